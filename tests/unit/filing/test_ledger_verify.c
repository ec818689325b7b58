/* SPDX-License-Identifier: MIT */
/* Whatever is done to the file behind the ledger's back, verification finds it. */
#include "ledger_kit.h"

#include "filing/calendar.h"

#include <stdio.h>
#include <string.h>

static struct hd_ledger_verdict verdict_of(struct ledger_kit *kit, uint32_t work)
{
	struct hd_ledger_verdict verdict;
	cr_assert_eq(hd_ledger_verify(kit->ledger, work, &verdict, &kit->err), HYDRO_OK, "%s", kit->err.text);
	return verdict;
}

/* All, in parts of so many works; the first fault is kept. */
static struct hd_ledger_verdict verdict_in_parts(struct ledger_kit *kit, uint32_t works_max, int64_t for_ms)
{
	struct hd_ledger_verdict all = {.good = true}, part = {.next = -1};
	do {
		int64_t after = part.next;
		uint32_t left = part.works_left;
		cr_assert_eq(hd_ledger_verify_some(kit->ledger, after, works_max, for_ms, &part, &kit->err), HYDRO_OK, "%s", kit->err.text);
		cr_assert(part.next == -1 || part.next > after);
		cr_assert(all.works == 0 || part.works + part.works_left == left);
		cr_assert(works_max == 0 || part.works <= works_max);
		all.rows += part.rows;
		all.works += part.works;
		all.anchors = part.anchors;
		if (all.good && !part.good) {
			all.good = false;
			all.work = part.work;
		}
	} while (part.next >= 0);
	return all;
}

/* Three works of six slots each, checked, one of them with an unknown that was resolved; anchored in the middle. */
static void build(struct ledger_kit *kit)
{
	int64_t day = hd_calendar_day(-14400, KIT_DUE);
	ledger_kit_begin(kit);
	ledger_kit_works(kit, 3);
	for (int hour = 0; hour < 6; hour++) {
		for (uint32_t work = 1; work <= 3; work++) {
			char receipt[32];
			(void)snprintf(receipt, sizeof receipt, "R\"%u-%d", work, hour);
			ledger_kit_file(kit, work, KIT_DUE + hour * KIT_HOUR, receipt);
			struct hd_slot_change check = ledger_kit_change(work, KIT_DUE + hour * KIT_HOUR, HD_SLOT_FILED, HD_SLOT_FILED);
			check.add_marks = HD_SLOT_CHECKED;
			check.detail = "{\"receipt\":\"another\"}";
			check.detail_len = strlen(check.detail);
			cr_assert_eq(ledger_kit_apply(kit, &check), HYDRO_OK);
		}
		if (hour == 1 || hour == 3)
			cr_assert_eq(hd_ledger_anchor(kit->ledger, day + hour, KIT_DUE, &kit->err), HYDRO_OK, "%s", kit->err.text);
	}
	static const uint32_t ways[] = {HD_SLOT_DUE, HD_SLOT_QUEUED, HD_SLOT_SENDING, HD_SLOT_UNKNOWN, HD_SLOT_SENDING, HD_SLOT_FILED_DIFFERS, HD_SLOT_BY_HAND};
	for (size_t i = 1; i < HD_ARRAY_LEN(ways); i++) {
		struct hd_slot_change change = ledger_kit_change(1, KIT_DUE + 7 * KIT_HOUR, ways[i - 1], ways[i]);
		change.receipt = i > 4 ? "late" : NULL;
		change.add_marks = i == 3 ? HD_SLOT_LATE : 0;
		change.cause = "a \"quoted\",\"measured_ms\":1,\"values\":[1] cause";
		cr_assert_eq(ledger_kit_apply(kit, &change), HYDRO_OK, "%d %s", (int)i, kit->err.text);
	}
	cr_assert_eq(hd_ledger_setting_put(kit->ledger, "kill_switch", "on", "ana", "first day", &kit->err), HYDRO_OK);
}

Test(ledger_verify, what_nobody_touched_is_good)
{
	struct ledger_kit kit;
	build(&kit);
	for (int opened = 0; opened < 2; opened++) {
		struct hd_ledger_verdict all = verdict_of(&kit, HD_LEDGER_ALL);
		cr_assert(all.good, "work %d row %d: %s", (int)all.work, (int)all.sequence, all.text);
		cr_assert_eq(all.anchors, 2);
		cr_assert_eq(all.rows, 3 * (1 + 6 * 5) + 8 + 1, "%d", (int)all.rows);
		cr_assert_eq(all.works, 4, "three and the registry");
		cr_assert(all.works_left == 0 && all.next == -1);
		cr_assert(verdict_of(&kit, 2).good);
		cr_assert_not(verdict_of(&kit, 9).good);
		ledger_kit_close(&kit);
		cr_assert_eq(ledger_kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	}
	ledger_kit_end(&kit);
}

Test(ledger_verify, parts_come_to_what_the_whole_comes_to)
{
	struct ledger_kit kit;
	build(&kit);
	struct hd_ledger_verdict whole = verdict_of(&kit, HD_LEDGER_ALL), part;
	for (uint32_t works_max = 0; works_max <= 5; works_max++) {
		struct hd_ledger_verdict all = verdict_in_parts(&kit, works_max, KIT_HOUR);
		cr_assert(all.good && all.rows == whole.rows && all.works == whole.works && all.anchors == whole.anchors, "%d", (int)works_max);
	}
	struct hd_ledger_verdict all = verdict_in_parts(&kit, 0, 0);
	cr_assert(all.good && all.rows == whole.rows && all.works == whole.works, "without time one work at a time");
	cr_assert_eq(hd_ledger_verify_some(kit.ledger, 0, 1, 0, &part, &kit.err), HYDRO_OK);
	cr_assert(part.works == 1 && part.works_left == 2 && part.next == 1);
	cr_assert_eq(hd_ledger_verify_some(kit.ledger, UINT32_MAX, 1, 0, &part, &kit.err), HYDRO_OK);
	cr_assert(part.good && part.works == 0 && part.next == -1, "behind the last");
	ledger_kit_end(&kit);
}

struct attack {
	const char *what, *sql;
	bool of_all; /* seen in the verification of all only */
};

#define LAST_OF_2 "(SELECT max(sequence) FROM audit WHERE work = 2)"
static const struct attack attacks[] = {
	{"a detail altered", "UPDATE audit SET detail = '{}' WHERE work = 2 AND sequence = 5", false},
	{"a payload altered", "UPDATE audit SET payload = CAST(replace(CAST(payload AS TEXT), '15.31', '14.31') AS BLOB) WHERE work = 2 AND sequence = 2", false},
	{"a time altered", "UPDATE audit SET at = at + 1 WHERE work = 2 AND sequence = 7", false},
	{"a due time altered", "UPDATE audit SET due = due + 3600000 WHERE work = 2 AND sequence = 7", false},
	{"an actor altered", "UPDATE names SET text = 'pedro' WHERE text = 'test'", false},
	{"states altered", "UPDATE audit SET states = 4 * 256 + 9 WHERE work = 2 AND states = 4 * 256 + 5", false},
	{"a hash altered", "UPDATE audit SET hash = zeroblob(32) WHERE work = 2 AND sequence = 4", false},
	{"the first row removed", "DELETE FROM audit WHERE work = 2 AND sequence = 1", false},
	{"a row removed from the middle", "DELETE FROM audit WHERE work = 2 AND sequence = 9", false},
	{"a row removed and the others moved up", "DELETE FROM audit WHERE work = 2 AND sequence = 9; UPDATE audit SET sequence = sequence - 1 WHERE work = 2 AND sequence > 9", false},
	{"the last row removed", "DELETE FROM audit WHERE work = 2 AND sequence = " LAST_OF_2, false},
	{"the last rows removed, the head with them", "DELETE FROM audit WHERE work = 2 AND sequence > 4;"
	 "UPDATE chains SET sequence = 4, hash = (SELECT hash FROM audit WHERE work = 2 AND sequence = 4) WHERE work = 2;"
	 "DELETE FROM slots WHERE work = 2 AND first > 4; UPDATE slots SET state = 4, last = 2 WHERE work = 2", false},
	{"a row put in at the end, not linked", "INSERT INTO audit SELECT id + 10000, work, sequence + 1, 10000, due, at, states, actor, detail, payload, hash FROM audit WHERE work = 2"
	 " AND sequence = " LAST_OF_2, true},
	{"a row put in at the end, linked", "INSERT INTO audit SELECT id + 10000, work, sequence + 1, 10000, due, at, states, actor, detail, payload, hash FROM audit WHERE work = 2"
	 " AND sequence = " LAST_OF_2 "; UPDATE chains SET row = row + 10000, sequence = sequence + 1 WHERE work = 2", false},
	{"a link led astray", "UPDATE audit SET back = back + 1 WHERE work = 2 AND sequence = 6", false},
	{"a chain led in a circle", "UPDATE audit SET back = -1 WHERE work = 2 AND sequence = 6", false},
	{"two rows changed about", "UPDATE audit SET sequence = 1000 WHERE work = 2 AND sequence = 6; UPDATE audit SET sequence = 6 WHERE work = 2 AND sequence = 7;"
	 "UPDATE audit SET sequence = 7 WHERE work = 2 AND sequence = 1000", false},
	{"a chain of another work", "DELETE FROM audit WHERE work = 2; UPDATE audit SET work = 2 WHERE work = 3;"
	 "UPDATE chains SET hash = (SELECT hash FROM chains WHERE work = 3) WHERE work = 2", false},
	{"the chain removed", "DELETE FROM audit WHERE work = 2; DELETE FROM chains WHERE work = 2; DELETE FROM slots WHERE work = 2", false},
	{"the head removed", "DELETE FROM chains WHERE work = 2", false},
	{"a row for a work that never was", "INSERT INTO audit SELECT 99999, 77, 1, 0, due, at, states, actor, detail, payload, hash FROM audit WHERE work = 2 AND sequence = 1", true},
	{"a slot for a work that never was", "INSERT INTO slots SELECT 77, due, state, marks, adapter, epoch, owner, measured, queued, attempted, filed, lease, flow, total, level,"
	 " receipt, cause, first, payload, last, row FROM slots WHERE work = 2 LIMIT 1", true},
	{"a slot's state", "UPDATE slots SET state = 9 WHERE work = 2 AND due = 1767240000000", false},
	{"a slot's receipt", "UPDATE slots SET receipt = 'forged' WHERE work = 2 AND due = 1767240000000", false},
	{"a slot's receipt taken away", "UPDATE slots SET receipt = '' WHERE work = 2 AND due = 1767240000000", false},
	{"a slot's marks", "UPDATE slots SET marks = marks | 1 WHERE work = 2 AND due = 1767240000000", false},
	{"a slot's values", "UPDATE slots SET flow = 15.3 WHERE work = 2 AND due = 1767240000000", false},
	{"a slot's measuring time", "UPDATE slots SET measured = measured + 1 WHERE work = 2 AND due = 1767240000000", false},
	{"a slot removed", "DELETE FROM slots WHERE work = 2 AND due = 1767240000000", false},
	{"a slot put in", "INSERT INTO slots SELECT work, due + 60, state, marks, adapter, epoch, owner, measured, queued, attempted, filed, lease, flow, total, level, receipt, cause,"
	 " first, payload, last, row FROM slots WHERE work = 2 LIMIT 1", false},
	{"an anchor altered", "UPDATE anchors SET at = at + 1 WHERE day = (SELECT min(day) FROM anchors)", false},
	{"an anchor removed", "DELETE FROM anchors WHERE day = (SELECT min(day) FROM anchors)", false},
	{"the last anchor removed", "DELETE FROM anchors WHERE day = (SELECT max(day) FROM anchors)", false},
	{"an anchor's heads cut", "UPDATE anchors SET heads = substr(heads, 1, 20) WHERE day = (SELECT min(day) FROM anchors)", false},
	{"a setting unsaid", "DELETE FROM audit WHERE work = 0 AND sequence = (SELECT max(sequence) FROM audit WHERE work = 0)", true},
};

Test(ledger_verify, whatever_is_altered_removed_put_in_or_reordered_is_found)
{
	for (size_t i = 0; i < HD_ARRAY_LEN(attacks); i++) {
		struct ledger_kit kit;
		build(&kit);
		ledger_kit_sql(&kit, attacks[i].sql);
		struct hd_ledger_verdict all = verdict_of(&kit, HD_LEDGER_ALL);
		cr_assert_not(all.good, "%s", attacks[i].what);
		cr_assert(all.text[0]);
		cr_assert_not(verdict_in_parts(&kit, 1, 0).good, "%s, in parts", attacks[i].what);
		if (!attacks[i].of_all)
			cr_assert_not(verdict_of(&kit, 2).good, "%s, of one work", attacks[i].what);
		ledger_kit_end(&kit);
	}
}

/* Who knows how rows are hashed, but not the key, writes the last of a chain anew: the anchor tells. */
Test(ledger_verify, a_chain_written_anew_does_not_meet_its_anchor)
{
	struct ledger_kit kit, other;
	build(&kit);
	ledger_kit_begin(&other);
	ledger_kit_works(&other, 3);
	ledger_kit_file(&other, 2, KIT_DUE, "forged");
	char sql[1024];
	ledger_kit_close(&other);
	(void)snprintf(sql, sizeof sql, "ATTACH '%s' AS o; DELETE FROM audit WHERE work = 2; INSERT INTO audit SELECT id + 10000, work, sequence, back, due, at, states, actor, detail,"
					" payload, hash FROM o.audit WHERE work = 2; DELETE FROM names;"
					"INSERT INTO names SELECT * FROM o.names; DELETE FROM slots WHERE work = 2; INSERT INTO slots SELECT * FROM o.slots WHERE work = 2;"
					"DELETE FROM chains WHERE work = 2; INSERT INTO chains SELECT work, sequence, row + 10000, 0, 4, hash"
					" FROM o.chains WHERE work = 2", other.path);
	ledger_kit_sql(&kit, sql);
	struct hd_ledger_verdict verdict = verdict_of(&kit, 2);
	cr_assert_not(verdict.good);
	cr_assert(strstr(verdict.text, "anchored"), "%s", verdict.text);
	ledger_kit_end(&kit);
	ledger_kit_end(&other);
}

/* ---- packs -------------------------------------------------------------------------------------------------------------- */

static uint64_t pack_all(struct ledger_kit *kit, int64_t before_ms, uint32_t rows_min)
{
	struct hd_pack_plan plan = {.before_ms = before_ms, .rows_min = rows_min, .chains_max = 2};
	struct hd_pack_done done = {.more = true};
	uint64_t rows = 0;
	for (int i = 0; i < 1000 && done.more; i++, rows += done.rows)
		cr_assert_eq(hd_ledger_pack(kit->ledger, &plan, &done, &kit->err), HYDRO_OK, "%s", kit->err.text);
	cr_assert_not(done.more);
	return rows;
}

struct told {
	size_t len;
	uint32_t rows;
	char text[16384];
};

static int tell(void *arg, const struct hd_audit_row *row, struct hydro_error *err)
{
	struct told *told = arg;
	(void)err;
	told->rows++;
	told->len += (size_t)snprintf(told->text + told->len, sizeof told->text - told->len, "%u %lld %lld %u>%u %s %s %.*s %02x%02x>%02x%02x\n", (unsigned)row->sequence,
				      (long long)row->due_ms, (long long)row->at_ms, row->from, row->to, row->actor, row->detail, (int)row->payload_len,
				      row->payload ? row->payload : "", row->previous[0], row->previous[31], row->hash[0], row->hash[31]);
	cr_assert_lt(told->len, sizeof told->text);
	return HYDRO_OK;
}

static void tell_all(struct ledger_kit *kit, int64_t due_ms, struct told *ret)
{
	*ret = (struct told){0};
	cr_assert_eq(hd_ledger_audit(kit->ledger, 1, due_ms, tell, ret, &kit->err), HYDRO_OK, "%s", kit->err.text);
}

Test(ledger_verify, packed_rows_read_as_before_and_the_chain_goes_on)
{
	struct ledger_kit kit;
	static struct told before, after, slot_before, slot_after;
	struct hd_buf payload = {0};
	char adapter[64];
	build(&kit);
	tell_all(&kit, 0, &before);
	tell_all(&kit, KIT_DUE + KIT_HOUR, &slot_before);
	cr_assert_eq(before.rows, 1 + 30 + 8);
	cr_assert_eq(pack_all(&kit, KIT_DUE + 3 * KIT_HOUR, 1000), 0, "too few");
	uint64_t packed = pack_all(&kit, INT64_MAX, 12);
	cr_assert_eq(packed, (uint64_t)before.rows + 2 * 31, "%d", (int)packed);
	for (int opened = 0; opened < 2; opened++) {
		tell_all(&kit, 0, &after);
		tell_all(&kit, KIT_DUE + KIT_HOUR, &slot_after);
		cr_assert_str_eq(after.text, before.text);
		cr_assert_str_eq(slot_after.text, slot_before.text);
		cr_assert_eq(slot_after.rows, 5);
		hd_buf_clear(&payload);
		cr_assert_eq(hd_ledger_payload(kit.ledger, 1, KIT_DUE + 2 * KIT_HOUR, &payload, adapter, &kit.err), HYDRO_OK, "%s", kit.err.text);
		cr_assert_str_eq(hd_buf_text(&payload), KIT_PAYLOAD);
		struct hd_ledger_verdict all = verdict_of(&kit, HD_LEDGER_ALL);
		cr_assert(all.good, "work %d row %d: %s", (int)all.work, (int)all.sequence, all.text);
		cr_assert_eq(all.rows, 102, "%d", (int)all.rows);
		ledger_kit_close(&kit);
		cr_assert_eq(ledger_kit_open(&kit), HYDRO_OK);
	}
	/* Rows behind a pack, a second pack behind the first, and a slot that has rows on both sides. */
	for (int hour = 10; hour < 20; hour++)
		ledger_kit_file(&kit, 1, KIT_DUE + hour * KIT_HOUR, "R");
	struct hd_slot_change differs = ledger_kit_change(1, KIT_DUE + KIT_HOUR, HD_SLOT_FILED, HD_SLOT_FILED_DIFFERS);
	cr_assert_eq(ledger_kit_apply(&kit, &differs), HYDRO_OK, "%s", kit.err.text);
	tell_all(&kit, 0, &before);
	tell_all(&kit, KIT_DUE + KIT_HOUR, &slot_before);
	cr_assert_eq(slot_before.rows, 6);
	cr_assert(verdict_of(&kit, 1).good);
	cr_assert_eq(pack_all(&kit, INT64_MAX, 12), 41);
	tell_all(&kit, 0, &after);
	tell_all(&kit, KIT_DUE + KIT_HOUR, &slot_after);
	cr_assert_str_eq(after.text, before.text);
	cr_assert_str_eq(slot_after.text, slot_before.text);
	ledger_kit_file(&kit, 1, KIT_DUE + 30 * KIT_HOUR, "R");
	struct hd_ledger_verdict all = verdict_of(&kit, HD_LEDGER_ALL);
	cr_assert(all.good, "%s", all.text);
	hd_buf_done(&payload);
	ledger_kit_end(&kit);
}

Test(ledger_verify, whatever_is_done_to_packs_is_found)
{
	static const struct attack ways[] = {
		{"a byte altered", "UPDATE packs SET data = CAST(substr(data, 1, 60) || x'55' || substr(data, 62) AS BLOB) WHERE work = 2 AND first = 1", false},
		{"cut", "UPDATE packs SET data = substr(data, 1, length(data) - 5) WHERE work = 2 AND first = 1", false},
		{"the hash altered", "UPDATE packs SET hash = zeroblob(32) WHERE work = 2 AND first = 1", false},
		{"the first removed", "DELETE FROM packs WHERE work = 2 AND first = 1", false},
		{"the last removed", "DELETE FROM packs WHERE work = 2 AND first > 1", false},
		{"the last removed, and said so", "DELETE FROM packs WHERE work = 2 AND first > 1; UPDATE chains SET packed = 31 WHERE work = 2", false},
		{"both removed", "DELETE FROM packs WHERE work = 2", false},
		{"another's", "UPDATE packs SET data = (SELECT data FROM packs WHERE work = 3 AND first = 1), hash = (SELECT hash FROM packs WHERE work = 3 AND first = 1)"
			      " WHERE work = 2 AND first = 1", false},
		{"said to be shorter", "UPDATE packs SET last = last - 1 WHERE work = 2 AND first = 1", false},
		{"said to be longer", "UPDATE packs SET last = last + 1 WHERE work = 2 AND first = 1", false},
		{"for a work that never was", "INSERT INTO packs SELECT 77, first, last, hash, data FROM packs WHERE work = 2", true},
	};
	for (size_t i = 0; i < HD_ARRAY_LEN(ways); i++) {
		struct ledger_kit kit;
		build(&kit);
		(void)pack_all(&kit, INT64_MAX, 12);
		for (int hour = 10; hour < 20; hour++)
			ledger_kit_file(&kit, 2, KIT_DUE + hour * KIT_HOUR, "R");
		cr_assert_eq(pack_all(&kit, INT64_MAX, 12), 40);
		cr_assert(verdict_of(&kit, HD_LEDGER_ALL).good);
		ledger_kit_sql(&kit, ways[i].sql);
		struct hd_ledger_verdict verdict = verdict_of(&kit, ways[i].of_all ? HD_LEDGER_ALL : 2);
		cr_assert_not(verdict.good, "%s", ways[i].what);
		cr_assert_not(verdict_in_parts(&kit, 1, 0).good, "in parts: %s", ways[i].what);
		ledger_kit_end(&kit);
	}
}

Test(ledger_verify, a_day_is_anchored_once)
{
	struct ledger_kit kit;
	int64_t day = hd_calendar_day(-14400, KIT_DUE);
	build(&kit);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(hd_ledger_anchor(kit.ledger, day + 5, KIT_DUE + i, &kit.err), HYDRO_OK);
	cr_assert_eq(hd_ledger_anchor(kit.ledger, day, KIT_DUE, &kit.err), HYDRO_OK, "a day that is past");
	cr_assert_eq(hd_ledger_anchor(kit.ledger, day + 6, KIT_DUE, &kit.err), HYDRO_OK, "a day without a change");
	struct hd_ledger_verdict verdict = verdict_of(&kit, HD_LEDGER_ALL);
	cr_assert(verdict.good, "%s", verdict.text);
	cr_assert_eq(verdict.anchors, 4);
	ledger_kit_end(&kit);
}
