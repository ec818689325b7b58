/* SPDX-License-Identifier: MIT */
/* Slots, their changes and their audit. */
#include "ledger_kit.h"

#include "base/clock.h"
#include "filing/calendar.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define COUNT HD_SLOT_STATE_COUNT

Test(ledger, a_slot_goes_from_queued_to_filed_with_a_row_for_each_step)
{
	struct ledger_kit kit;
	struct hd_buf payload = {0};
	char adapter[64];
	uint64_t totals[COUNT];
	ledger_kit_begin(&kit);
	ledger_kit_works(&kit, 2);
	ledger_kit_file(&kit, 2, KIT_DUE, "zk7DOAl3uIlGTjvwNtwBF0sBLAR16cI5");
	struct hd_slot slot = ledger_kit_slot(&kit, 2, KIT_DUE);
	cr_assert_eq(slot.state, HD_SLOT_FILED);
	cr_assert_eq(slot.attempts, 1);
	cr_assert_eq(slot.epoch, 1);
	cr_assert_eq(slot.owner, hd_ledger_owner(kit.ledger));
	cr_assert_eq(slot.lease_until_ns, 0);
	cr_assert_eq(slot.measured_ms, KIT_DUE - 60000);
	cr_assert_eq(slot.queued_ms, KIT_DUE + 60000);
	cr_assert_eq(slot.last_attempt_ms, KIT_DUE + 180000);
	cr_assert_eq(slot.filed_ms, KIT_DUE + 240000);
	cr_assert_eq(slot.values[0], 15.31);
	cr_assert_eq(slot.values[1], 425000);
	cr_assert_str_eq(slot.receipt, "zk7DOAl3uIlGTjvwNtwBF0sBLAR16cI5");
	cr_assert_eq(hd_ledger_payload(kit.ledger, 2, KIT_DUE, &payload, adapter, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_str_eq(hd_buf_text(&payload), KIT_PAYLOAD);
	cr_assert_str_eq(adapter, "dga_2025");
	cr_assert_eq(hd_ledger_totals(kit.ledger, totals, &kit.err), HYDRO_OK);
	cr_assert_eq(totals[HD_SLOT_FILED], 1);
	cr_assert_eq(totals[HD_SLOT_QUEUED], 0);
	hd_buf_done(&payload);
	ledger_kit_end(&kit);
}

/* A slot brought into a state by SQL, for what is asked from there. */
static void put_state(struct ledger_kit *kit, int64_t due_ms, uint32_t state)
{
	char sql[256];
	if (state == HD_SLOT_DUE)
		return;
	struct hd_slot_change change = ledger_kit_change(1, due_ms, HD_SLOT_DUE, HD_SLOT_QUEUED);
	cr_assert_eq(ledger_kit_apply(kit, &change), HYDRO_OK, "%s", kit->err.text);
	(void)snprintf(sql, sizeof sql, "UPDATE slots SET state = %u WHERE due = %lld", state, (long long)due_ms);
	ledger_kit_sql(kit, sql);
}

/* As people would say it; the table of the code is another. */
static bool should_be_open(uint32_t from, uint32_t to)
{
	static const char *const open[] = {"due>queued", "due>held", "due>missing", "due>shadow", "due>by_hand", "queued>claimed", "queued>sending", "queued>held",
		"queued>unknown", "queued>shadow", "queued>by_hand", "claimed>sending", "claimed>queued", "claimed>unknown", "claimed>refused", "claimed>held",
		"sending>filed", "sending>filed_no_receipt", "sending>filed_differs", "sending>unknown", "sending>refused", "sending>held", "sending>queued",
		"filed>filed_differs", "filed_no_receipt>filed", "filed_no_receipt>filed_differs", "filed_no_receipt>by_hand", "filed_differs>filed",
		"filed_differs>by_hand", "unknown>claimed", "unknown>sending", "unknown>filed", "unknown>filed_no_receipt", "unknown>filed_differs",
		"unknown>refused", "unknown>held", "unknown>by_hand", "refused>claimed", "refused>sending", "refused>held", "refused>unknown", "refused>by_hand",
		"held>queued", "held>unknown", "held>refused", "held>shadow", "held>by_hand", "missing>by_hand", "shadow>by_hand"};
	char way[64];
	(void)snprintf(way, sizeof way, "%s>%s", hd_slot_state_name(from), hd_slot_state_name(to));
	for (size_t i = 0; i < HD_ARRAY_LEN(open); i++)
		if (strcmp(way, open[i]) == 0)
			return true;
	return from == to && from != HD_SLOT_DUE;
}

Test(ledger, only_the_ways_of_the_table_are_open_and_none_leads_from_filed_to_sending)
{
	struct ledger_kit kit;
	int64_t due = KIT_DUE;
	ledger_kit_begin(&kit);
	ledger_kit_works(&kit, 1);
	for (uint32_t from = 0; from < COUNT; from++) {
		for (uint32_t to = 0; to < COUNT; to++, due += KIT_HOUR) {
			if (!hd_slot_state_name(from)[0] || !hd_slot_state_name(to)[0])
				continue;
			put_state(&kit, due, from);
			struct hd_slot_change change = ledger_kit_change(1, due, from, to);
			int rc = ledger_kit_apply(&kit, &change);
			cr_assert_eq(rc, should_be_open(from, to) ? HYDRO_OK : HYDRO_E_INVALID, "%s to %s: %d %s", hd_slot_state_name(from), hd_slot_state_name(to), rc, kit.err.text);
			if (rc == HYDRO_OK)
				cr_assert_eq(ledger_kit_slot(&kit, 1, due).state, to);
		}
	}
	ledger_kit_end(&kit);
}

Test(ledger, a_change_from_a_state_that_is_past_conflicts_and_leaves_the_others)
{
	struct ledger_kit kit;
	ledger_kit_begin(&kit);
	ledger_kit_works(&kit, 1);
	struct hd_slot_change changes[3] = {ledger_kit_change(1, KIT_DUE, HD_SLOT_DUE, HD_SLOT_QUEUED), ledger_kit_change(1, KIT_DUE, HD_SLOT_DUE, HD_SLOT_QUEUED),
					    ledger_kit_change(1, KIT_DUE + KIT_HOUR, HD_SLOT_DUE, HD_SLOT_QUEUED)};
	cr_assert_eq(hd_ledger_apply(kit.ledger, changes, 3, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(changes[0].rc, HYDRO_OK);
	cr_assert_eq(changes[1].rc, HYDRO_E_CONFLICT);
	cr_assert_eq(changes[2].rc, HYDRO_OK);
	struct hd_slot_change refused = ledger_kit_change(1, KIT_DUE, HD_SLOT_SENDING, HD_SLOT_REFUSED);
	cr_assert_eq(ledger_kit_apply(&kit, &refused), HYDRO_E_CONFLICT);
	struct hd_slot_change stranger = ledger_kit_change(7, KIT_DUE, HD_SLOT_DUE, HD_SLOT_QUEUED);
	cr_assert_eq(ledger_kit_apply(&kit, &stranger), HYDRO_E_INVALID);
	ledger_kit_end(&kit);
}

Test(ledger, a_joint_claim_is_one_change_with_two_rows)
{
	struct ledger_kit kit;
	uint64_t totals[COUNT];
	ledger_kit_begin(&kit);
	ledger_kit_works(&kit, 1);
	struct hd_slot_change queued = ledger_kit_change(1, KIT_DUE, HD_SLOT_DUE, HD_SLOT_QUEUED), sent = ledger_kit_change(1, KIT_DUE, HD_SLOT_QUEUED, HD_SLOT_SENDING);
	cr_assert_eq(ledger_kit_apply(&kit, &queued), HYDRO_OK);
	cr_assert_eq(ledger_kit_apply(&kit, &sent), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(sent.epoch, 1);
	struct hd_slot_change filed = ledger_kit_change(1, KIT_DUE, HD_SLOT_SENDING, HD_SLOT_FILED);
	filed.epoch = 2;
	filed.receipt = "R1";
	cr_assert_eq(ledger_kit_apply(&kit, &filed), HYDRO_E_CONFLICT, "another claim's answer");
	filed.epoch = 1;
	cr_assert_eq(ledger_kit_apply(&kit, &filed), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(hd_ledger_totals(kit.ledger, totals, &kit.err), HYDRO_OK);
	cr_assert_eq(totals[HD_SLOT_FILED], 1);
	cr_assert_eq(totals[HD_SLOT_SENDING], 0);
	ledger_kit_end(&kit);
}

Test(ledger, a_process_that_slept_past_its_lease_neither_sends_nor_writes)
{
	struct ledger_kit kit;
	uint64_t expired = 0;
	ledger_kit_begin(&kit);
	ledger_kit_works(&kit, 1);
	struct hd_slot_change queued = ledger_kit_change(1, KIT_DUE, HD_SLOT_DUE, HD_SLOT_QUEUED), claim = ledger_kit_change(1, KIT_DUE, HD_SLOT_QUEUED, HD_SLOT_CLAIMED);
	cr_assert_eq(ledger_kit_apply(&kit, &queued), HYDRO_OK);
	claim.lease_until_ns = hd_clock_mono_ns() - 1;
	cr_assert_eq(ledger_kit_apply(&kit, &claim), HYDRO_OK);
	struct hd_slot_change sending = ledger_kit_change(1, KIT_DUE, HD_SLOT_CLAIMED, HD_SLOT_SENDING);
	sending.epoch = claim.epoch;
	cr_assert_eq(ledger_kit_apply(&kit, &sending), HYDRO_E_CONFLICT, "the lease is over");
	cr_assert_eq(hd_ledger_expire_claims(kit.ledger, KIT_DUE + 600000, hd_clock_mono_ns(), &expired, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(expired, 1);
	struct hd_slot slot = ledger_kit_slot(&kit, 1, KIT_DUE);
	cr_assert_eq(slot.state, HD_SLOT_UNKNOWN);
	cr_assert_str_eq(slot.cause, "claim expired");
	cr_assert(slot.marks & HD_SLOT_WAS_UNKNOWN);
	/* The next day another claim; the first one's late answer is not taken any more, but would have been before. */
	struct hd_slot_change again = ledger_kit_change(1, KIT_DUE, HD_SLOT_UNKNOWN, HD_SLOT_SENDING);
	cr_assert_eq(ledger_kit_apply(&kit, &again), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(again.epoch, 2);
	struct hd_slot_change late = ledger_kit_change(1, KIT_DUE, HD_SLOT_SENDING, HD_SLOT_REFUSED);
	late.epoch = 1;
	cr_assert_eq(ledger_kit_apply(&kit, &late), HYDRO_E_CONFLICT);
	ledger_kit_end(&kit);
}

Test(ledger, a_payload_once_perhaps_taken_is_never_made_anew)
{
	struct ledger_kit kit;
	ledger_kit_begin(&kit);
	ledger_kit_works(&kit, 1);
	struct hd_slot_change held = ledger_kit_change(1, KIT_DUE, HD_SLOT_DUE, HD_SLOT_HELD);
	cr_assert_eq(ledger_kit_apply(&kit, &held), HYDRO_OK, "%s", kit.err.text);
	struct hd_slot_change bare = ledger_kit_change(1, KIT_DUE, HD_SLOT_HELD, HD_SLOT_QUEUED);
	cr_assert_eq(ledger_kit_apply(&kit, &bare), HYDRO_E_INVALID, "nothing to send");
	struct hd_slot_change anew = ledger_kit_change(1, KIT_DUE, HD_SLOT_DUE, HD_SLOT_QUEUED);
	anew.from = HD_SLOT_HELD;
	cr_assert_eq(ledger_kit_apply(&kit, &anew), HYDRO_OK, "%s", kit.err.text);
	static const uint32_t ways[] = {HD_SLOT_QUEUED, HD_SLOT_SENDING, HD_SLOT_UNKNOWN, HD_SLOT_HELD};
	for (int i = 0; i < 3; i++) {
		struct hd_slot_change change = ledger_kit_change(1, KIT_DUE, ways[i], ways[i + 1]);
		cr_assert_eq(ledger_kit_apply(&kit, &change), HYDRO_OK, "%s", kit.err.text);
	}
	cr_assert_eq(ledger_kit_apply(&kit, &anew), HYDRO_E_INVALID);
	cr_assert_eq(ledger_kit_apply(&kit, &bare), HYDRO_OK, "%s", kit.err.text);
	ledger_kit_end(&kit);
}

struct seen {
	uint32_t count;
	struct hd_slot slots[32];
	uint32_t work_sum;
};

static int see(void *arg, const struct hd_slot *slot, struct hydro_error *err)
{
	struct seen *seen = arg;
	(void)err;
	if (seen->count < 32)
		seen->slots[seen->count] = *slot;
	seen->count++;
	return HYDRO_OK;
}

static uint32_t list(struct ledger_kit *kit, const struct hd_slot_filter *filter, struct seen *seen)
{
	*seen = (struct seen){0};
	cr_assert_eq(hd_ledger_slots(kit->ledger, filter, see, seen, &kit->err), HYDRO_OK, "%s", kit->err.text);
	return seen->count;
}

Test(ledger, slots_are_listed_by_work_time_state_mark_and_receipt_page_by_page)
{
	struct ledger_kit kit;
	struct seen seen, second;
	ledger_kit_begin(&kit);
	ledger_kit_works(&kit, 3);
	for (uint32_t work = 1; work <= 3; work++) {
		for (int hour = 0; hour < 5; hour++) {
			char receipt[32];
			(void)snprintf(receipt, sizeof receipt, "R%u-%d", work, hour);
			if (hour < 3) {
				ledger_kit_file(&kit, work, KIT_DUE + hour * KIT_HOUR, receipt);
			} else {
				struct hd_slot_change change = ledger_kit_change(work, KIT_DUE + hour * KIT_HOUR, HD_SLOT_DUE, HD_SLOT_QUEUED);
				change.add_marks = hour == 4 ? HD_SLOT_FLAGGED : 0;
				cr_assert_eq(ledger_kit_apply(&kit, &change), HYDRO_OK);
			}
		}
	}
	struct hd_slot_filter all = {.work = HD_LEDGER_ALL}, open = {.work = HD_LEDGER_ALL, .states = 1u << HD_SLOT_QUEUED};
	cr_assert_eq(list(&kit, &all, &seen), 15);
	for (uint32_t i = 1; i < 15; i++)
		cr_assert(seen.slots[i].work > seen.slots[i - 1].work || seen.slots[i].due_ms > seen.slots[i - 1].due_ms);
	for (int descending = 0; descending < 2; descending++) { /* pages of 4 are the whole list */
		for (int only_open = 0; only_open < 2; only_open++) {
			struct hd_slot_filter f = only_open ? open : all;
			f.descending = descending;
			uint32_t total = list(&kit, &f, &seen), got = 0;
			cr_assert_eq(total, only_open ? 6u : 15u);
			f.limit = 4;
			while (list(&kit, &f, &second)) {
				for (uint32_t i = 0; i < second.count; i++, got++)
					cr_assert(second.slots[i].work == seen.slots[got].work && second.slots[i].due_ms == seen.slots[got].due_ms);
				f.after_work = second.slots[second.count - 1].work;
				f.after_due = second.slots[second.count - 1].due_ms;
			}
			cr_assert_eq(got, total);
		}
	}
	struct hd_slot_filter flagged = {.work = HD_LEDGER_ALL, .marks_set = HD_SLOT_FLAGGED}, hour = {.work = 2, .from_ms = KIT_DUE + KIT_HOUR, .to_ms = KIT_DUE + 2 * KIT_HOUR};
	struct hd_slot_filter receipt = {.work = HD_LEDGER_ALL, .receipt = "R2-1"}, none = {.work = HD_LEDGER_ALL, .receipt = "R2"};
	cr_assert_eq(list(&kit, &flagged, &seen), 3);
	cr_assert_eq(list(&kit, &hour, &seen), 1);
	cr_assert_eq(list(&kit, &receipt, &seen), 1);
	cr_assert(seen.slots[0].work == 2 && seen.slots[0].due_ms == KIT_DUE + KIT_HOUR);
	cr_assert_eq(list(&kit, &none, &seen), 0);
	ledger_kit_end(&kit);
}

static int add_day(void *arg, const struct hd_day_count *count, struct hydro_error *err)
{
	struct hd_day_count *sum = arg;
	(void)err;
	for (int i = 0; i < COUNT; i++)
		sum->states[i] += count->states[i];
	sum->on_time += count->on_time;
	sum->late += count->late;
	sum->over_lag += count->over_lag;
	sum->checked += count->checked;
	sum->day = count->day;
	return HYDRO_OK;
}

Test(ledger, days_are_counted_with_the_changes)
{
	struct ledger_kit kit;
	struct hd_day_count sum = {0};
	int64_t day = hd_calendar_day(-14400, KIT_DUE);
	ledger_kit_begin(&kit);
	ledger_kit_works(&kit, 1);
	ledger_kit_file(&kit, 1, KIT_DUE - 1000, "yesterday");
	for (int hour = 0; hour < 4; hour++)
		ledger_kit_file(&kit, 1, KIT_DUE + hour * KIT_HOUR, "R");
	struct hd_slot_change check = ledger_kit_change(1, KIT_DUE, HD_SLOT_FILED, HD_SLOT_FILED);
	check.add_marks = HD_SLOT_CHECKED | HD_SLOT_LATE;
	cr_assert_eq(ledger_kit_apply(&kit, &check), HYDRO_OK);
	cr_assert_eq(ledger_kit_apply(&kit, &check), HYDRO_OK, "once more counts no more");
	struct hd_slot_change missing = ledger_kit_change(1, KIT_DUE + 5 * KIT_HOUR, HD_SLOT_DUE, HD_SLOT_MISSING);
	missing.cause = "no_reading";
	cr_assert_eq(ledger_kit_apply(&kit, &missing), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(hd_ledger_days(kit.ledger, 1, day, day + 1, add_day, &sum, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(sum.states[HD_SLOT_FILED], 4);
	cr_assert_eq(sum.states[HD_SLOT_MISSING], 1);
	cr_assert_eq(sum.states[HD_SLOT_QUEUED], 0);
	cr_assert_eq(sum.on_time, 3);
	cr_assert_eq(sum.late, 1);
	cr_assert_eq(sum.checked, 1);
	cr_assert_eq(hd_ledger_days(kit.ledger, HD_LEDGER_ALL, day - 1, day, add_day, &sum, &kit.err), HYDRO_OK);
	cr_assert_eq(sum.day, day - 1);
	cr_assert_eq(sum.states[HD_SLOT_FILED], 5);
	ledger_kit_end(&kit);
}

static int add_order(void *arg, const struct hd_day_count *count, struct hydro_error *err)
{
	(void)err;
	return hd_buf_printf(arg, "%u@%d ", count->work, (int)(count->day - hd_calendar_day(-14400, KIT_DUE))) ? HYDRO_OK : HYDRO_E_NOMEM;
}

/* As they stand in the file: sorting a year of ten thousand works took longer than all else at a start. */
Test(ledger, days_of_all_works_come_day_by_day)
{
	struct ledger_kit kit;
	HD_CLEANUP(hd_buf_done) struct hd_buf order = {0};
	int64_t day = hd_calendar_day(-14400, KIT_DUE);
	ledger_kit_begin(&kit);
	ledger_kit_works(&kit, 3);
	for (uint32_t work = 3; work >= 1; work--)
		for (int i = 0; i < 2; i++)
			ledger_kit_file(&kit, work, KIT_DUE + i * 24 * KIT_HOUR, "R");
	cr_assert_eq(hd_ledger_days(kit.ledger, HD_LEDGER_ALL, day, day + 2, add_order, &order, &kit.err), HYDRO_OK);
	cr_assert_str_eq(hd_buf_text(&order), "1@0 2@0 3@0 1@1 2@1 3@1 ");
	ledger_kit_end(&kit);
}

struct trail {
	uint32_t count;
	char text[4096];
};

static int note(void *arg, const struct hd_audit_row *row, struct hydro_error *err)
{
	struct trail *trail = arg;
	(void)err;
	size_t len = strlen(trail->text);
	(void)snprintf(trail->text + len, sizeof trail->text - len, "%s>%s %s;", hd_slot_state_name(row->from), hd_slot_state_name(row->to), row->detail);
	trail->count++;
	return HYDRO_OK;
}

Test(ledger, the_audit_of_a_slot_tells_all_that_happened_to_it)
{
	struct ledger_kit kit;
	struct trail trail = {0};
	ledger_kit_begin(&kit);
	ledger_kit_works(&kit, 1);
	ledger_kit_file(&kit, 1, KIT_DUE, "A");
	ledger_kit_file(&kit, 1, KIT_DUE + KIT_HOUR, "B");
	struct hd_slot_change check = ledger_kit_change(1, KIT_DUE, HD_SLOT_FILED, HD_SLOT_FILED);
	check.add_marks = HD_SLOT_CHECKED;
	check.detail = "{\"http\":200}";
	check.detail_len = strlen(check.detail);
	cr_assert_eq(ledger_kit_apply(&kit, &check), HYDRO_OK);
	cr_assert_eq(hd_ledger_audit(kit.ledger, 1, KIT_DUE, note, &trail, &kit.err), HYDRO_OK);
	cr_assert_str_eq(trail.text, "due>queued {\"slot\":{\"adapter\":\"dga_2025\",\"measured_ms\":1767239940000,\"values\":[15.31,425000,12.3]}};"
				     "queued>claimed {\"claim\":{\"epoch\":1,\"owner\":1}};claimed>sending {};sending>filed {\"slot\":{\"receipt\":\"A\"}};"
				     "filed>filed {\"slot\":{\"marks\":4},\"http\":200};");
	trail = (struct trail){0};
	cr_assert_eq(hd_ledger_audit(kit.ledger, 1, 0, note, &trail, &kit.err), HYDRO_OK);
	cr_assert_eq(trail.count, 10, "the work's creation, and nine of its slots: %d", (int)trail.count);
	ledger_kit_end(&kit);
}

Test(ledger, what_a_change_may_not_carry_is_refused)
{
	struct ledger_kit kit;
	char receipt[HD_RECEIPT_BYTES + 1];
	ledger_kit_begin(&kit);
	ledger_kit_works(&kit, 1);
	struct hd_slot_change change = ledger_kit_change(1, KIT_DUE, HD_SLOT_DUE, HD_SLOT_QUEUED);
	change.detail = "[]";
	change.detail_len = 2;
	cr_assert_eq(ledger_kit_apply(&kit, &change), HYDRO_E_INVALID);
	change = ledger_kit_change(1, KIT_DUE, HD_SLOT_DUE, HD_SLOT_QUEUED);
	memset(receipt, 'r', sizeof receipt);
	receipt[HD_RECEIPT_BYTES] = '\0';
	change.receipt = receipt;
	cr_assert_eq(ledger_kit_apply(&kit, &change), HYDRO_E_INVALID);
	receipt[HD_RECEIPT_BYTES - 1] = '\0';
	change.cause = "xñandú ñandú ñandú ñandú ñandú ñandú ñandú ñandú ñandú ñandú ñandú ñandú ñandú ñandú"; /* cut between characters */
	cr_assert_eq(ledger_kit_apply(&kit, &change), HYDRO_OK, "%s", kit.err.text);
	struct hd_slot slot = ledger_kit_slot(&kit, 1, KIT_DUE);
	cr_assert_eq(strlen(slot.receipt), HD_RECEIPT_BYTES - 1);
	cr_assert_eq(strlen(slot.cause), 94, "%d", (int)strlen(slot.cause));
	change = ledger_kit_change(1, KIT_DUE, HD_SLOT_QUEUED, HD_SLOT_CLAIMED);
	change.lease_until_ns = 0;
	cr_assert_eq(ledger_kit_apply(&kit, &change), HYDRO_E_INVALID);
	change = ledger_kit_change(1, KIT_DUE, HD_SLOT_QUEUED, HD_SLOT_CLAIMED);
	change.payload = "x";
	change.payload_len = 1;
	cr_assert_eq(ledger_kit_apply(&kit, &change), HYDRO_E_INVALID, "frozen");
	ledger_kit_end(&kit);
}

Test(ledger, names_of_states_read_back)
{
	uint32_t state;
	for (uint32_t i = 0; i < 20; i++)
		cr_assert(!hd_slot_state_name(i)[0] || (hd_slot_state_parse(hd_slot_state_name(i), &state) && state == i));
	cr_assert_not(hd_slot_state_parse("measured", &state));
	cr_assert(hd_slot_state_is_final(HD_SLOT_FILED_DIFFERS));
	cr_assert_not(hd_slot_state_is_final(HD_SLOT_REFUSED));
}

/* ---- several threads ---------------------------------------------------------------------------------------------------- */

struct side {
	struct ledger_kit *kit;
	atomic_bool ends;
	int turns, rc;
};

static int nested(void *arg, const struct hd_slot *slot, struct hydro_error *err)
{
	struct side *side = arg;
	struct hd_slot again;
	return hd_ledger_slot(side->kit->ledger, slot->work, slot->due_ms, &again, err);
}

/* Reads that read again in their callback. */
static void *read_on(void *arg)
{
	struct side *side = arg;
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_slot_filter all = {.work = HD_LEDGER_ALL};
	struct hd_ledger_verdict verdict;
	while (!atomic_load(&side->ends) && side->rc == HYDRO_OK) {
		side->rc = hd_ledger_slots(side->kit->ledger, &all, nested, side, &err);
		if (side->rc == HYDRO_OK)
			side->rc = hd_ledger_verify(side->kit->ledger, HD_LEDGER_ALL, &verdict, &err);
		if (side->rc == HYDRO_OK && !verdict.good)
			side->rc = HYDRO_E_CORRUPT;
		side->turns++;
	}
	return NULL;
}

static void *register_on(void *arg)
{
	struct side *side = arg;
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_pack_done done;
	struct hd_pack_plan plan = {.before_ms = INT64_MAX, .rows_min = 5};
	for (; !atomic_load(&side->ends) && side->rc == HYDRO_OK; side->turns++) {
		side->rc = hd_ledger_setting_put(side->kit->ledger, "k", "v", "ana", "", &err);
		if (side->rc == HYDRO_OK)
			side->rc = hd_ledger_pack(side->kit->ledger, &plan, &done, &err);
	}
	return NULL;
}

Test(ledger, filing_registering_packing_reading_and_verifying_go_on_at_once)
{
	struct ledger_kit kit;
	struct side sides[7] = {{0}};
	pthread_t threads[7];
	ledger_kit_begin(&kit);
	ledger_kit_works(&kit, 3);
	for (int i = 0; i < 7; i++) {
		sides[i].kit = &kit;
		cr_assert_eq(pthread_create(&threads[i], NULL, i ? read_on : register_on, &sides[i]), 0);
	}
	for (int hour = 0; hour < 20; hour++)
		for (uint32_t work = 1; work <= 3; work++)
			ledger_kit_file(&kit, work, KIT_DUE + hour * KIT_HOUR, "R");
	for (int i = 0; i < 7; i++)
		atomic_store(&sides[i].ends, true);
	for (int i = 0; i < 7; i++) {
		cr_assert_eq(pthread_join(threads[i], NULL), 0);
		cr_assert_eq(sides[i].rc, HYDRO_OK, "thread %d", i);
	}
	struct hd_ledger_verdict verdict;
	cr_assert_eq(hd_ledger_verify(kit.ledger, HD_LEDGER_ALL, &verdict, &kit.err), HYDRO_OK);
	cr_assert(verdict.good, "%s", verdict.text);
	ledger_kit_end(&kit);
}
