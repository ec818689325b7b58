/* SPDX-License-Identifier: MIT */
/* Whether what stands in the file is what was written: chains against their heads and anchors, slots against their chains. */
#include "filing/ledger_inner.h"

#include "base/array.h"
#include "base/clock.h"
#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_PREFIX "{\"slot\":{"

struct anchored {
	uint32_t work;
	uint64_t sequence;
	uint8_t hash[HD_HASH_BYTES];
};

struct verification {
	struct hd_ledger *ledger;
	struct hd_ledger_verdict *verdict;
	struct hd_index anchor_index; /* by work: the last head anchored */
	struct anchored *anchors;
	uint32_t anchor_count, anchor_cap;
	int64_t after;   /* works up to this number were walked before */
	uint32_t *works; /* behind it, in order */
	uint32_t work_count, work_cap;
	/* of the work at hand */
	uint32_t work;
	const struct anchored *anchor;
	bool anchor_met;
	struct hd_index told_index;
	struct hd_told *told;
	uint32_t told_count, told_cap;
	struct hd_buf scratch;
};

static int no_memory(struct hydro_error *err)
{
	return hd_error_set(err, HYDRO_E_NOMEM, "no memory to verify the filing ledger");
}

/* The first fault is the one that is told. */
static void HD_PRINTF(4, 5) fault(struct verification *v, uint32_t work, uint64_t sequence, const char *fmt, ...)
{
	struct hd_ledger_verdict *verdict = v->verdict;
	va_list ap;
	if (!verdict->good)
		return;
	verdict->good = false;
	verdict->work = work;
	verdict->sequence = sequence;
	va_start(ap, fmt);
	(void)vsnprintf(verdict->text, sizeof verdict->text, fmt, ap);
	va_end(ap);
}

/* ---- what the chain says ---------------------------------------------------------------------------------------------- */

/* Behind the JSON string that begins at text; NULL when it does not end. */
static const char *string_end(const char *text)
{
	for (const char *p = text + 1; *text == '"' && *p; p++) {
		if (*p == '"')
			return p + 1;
		if (*p == '\\' && *++p == '\0')
			break;
	}
	return NULL;
}

/* Receipt and marks stand first in "slot", the values last. */
void hd_told_take(struct hd_told *told, const char *detail)
{
	const char *at = detail, *end;
	if (strncmp(at, SLOT_PREFIX, strlen(SLOT_PREFIX)) != 0) {
		at = strstr(detail, ",\"slot\":{");
		if (strncmp(detail, "{\"claim\":{", 10) != 0 || !at)
			return;
		at += strlen(",\"slot\":{");
	} else {
		at += strlen(SLOT_PREFIX);
	}
	if (strncmp(at, "\"receipt\":", 10) == 0 && (end = string_end(at + 10)) != NULL) {
		told->receipt = hd_hash(at + 10, (size_t)(end - at - 10));
		at = end + (*end == ',');
	}
	if (strncmp(at, "\"marks\":", 8) == 0)
		told->marks |= (uint32_t)strtoul(at + 8, NULL, 10);
	const char *values = strstr(at, "\"measured_ms\":");
	end = values ? strchr(values, ']') : NULL;
	if (end && strncmp(values + strcspn(values, ",}"), ",\"values\":[", 11) == 0)
		told->values = hd_hash(values, (size_t)(end + 1 - values));
}

static int take_row(void *arg, const struct hd_audit_row *row, struct hydro_error *err)
{
	struct verification *v = arg;
	v->verdict->rows++;
	if (v->anchor && row->sequence == v->anchor->sequence) {
		v->anchor_met = true;
		if (memcmp(row->hash, v->anchor->hash, HD_HASH_BYTES) != 0)
			fault(v, v->work, row->sequence, "the row's hash is not the one that was anchored");
	}
	if (row->due_ms == 0)
		return HYDRO_OK;
	uint32_t *at = hd_index_place(&v->told_index, (uint64_t)row->due_ms);
	if (!at || !HD_RESERVE(v->told, v->told_cap, v->told_count, 1))
		return no_memory(err);
	if (*at == 0) {
		v->told[v->told_count] = (struct hd_told){0};
		*at = ++v->told_count;
	}
	struct hd_told *told = &v->told[*at - 1];
	told->state = row->to;
	told->marks |= row->to == HD_SLOT_UNKNOWN ? HD_SLOT_WAS_UNKNOWN : 0;
	hd_told_take(told, row->detail);
	return HYDRO_OK;
}

/* ---- slots against it ------------------------------------------------------------------------------------------------- */

static int check_texts(struct verification *v, const struct hd_slot *slot, const struct hd_slot_trail *trail, const struct hd_told *told, struct hydro_error *err)
{
	hd_buf_clear(&v->scratch);
	(void)hd_buf_add_json(&v->scratch, slot->receipt, strlen(slot->receipt));
	size_t receipt_len = v->scratch.len;
	hd_slot_values_json(&v->scratch, slot->measured_ms, slot->values);
	if (v->scratch.failed)
		return no_memory(err);
	const char *values = v->scratch.data + receipt_len;
	if (told->receipt ? told->receipt != hd_hash(v->scratch.data, receipt_len) : slot->receipt[0] != '\0')
		fault(v, v->work, trail->last, "slot %" PRId64 " has a receipt that its audit has not", slot->due_ms);
	if (told->values && told->values != hd_hash(values, v->scratch.len - receipt_len))
		fault(v, v->work, trail->last, "slot %" PRId64 " has values that its audit has not", slot->due_ms);
	return HYDRO_OK;
}

static int check_slot(struct verification *v, const struct hd_slot *slot, const struct hd_slot_trail *trail, struct hydro_error *err)
{
	uint32_t at = hd_index_get(&v->told_index, (uint64_t)slot->due_ms);
	if (at == 0) {
		fault(v, v->work, trail->last, "slot %" PRId64 " has no audit", slot->due_ms);
		return HYDRO_OK;
	}
	struct hd_told *told = &v->told[at - 1];
	told->seen = true;
	if (told->state != slot->state || told->marks != slot->marks)
		fault(v, v->work, trail->last, "slot %" PRId64 " stands as %s (marks %u), its audit says %s (%u)", slot->due_ms, hd_slot_state_name(slot->state), slot->marks,
		      hd_slot_state_name(told->state), told->marks);
	return check_texts(v, slot, trail, told, err);
}

static int check_slots(struct verification *v, struct hd_db *db, struct hydro_error *err)
{
	struct hd_slot slot;
	struct hd_slot_trail trail;
	bool row = false;
	int rc;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT " HD_SLOT_COLUMNS " FROM slots s INDEXED BY slots_work WHERE s.work = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, v->work);
	while ((rc = hd_db_step(db, stmt, &row, err)) == HYDRO_OK && row) {
		hd_slot_read(stmt, &slot, &trail);
		if ((rc = check_slot(v, &slot, &trail, err)) != HYDRO_OK)
			break;
	}
	(void)sqlite3_reset(stmt);
	for (uint32_t i = 0; i < v->told_count; i++)
		if (!v->told[i].seen)
			fault(v, v->work, 0, "a slot that the audit tells of is gone");
	return rc;
}

/* ---- chains ----------------------------------------------------------------------------------------------------------- */

static int check_head(struct verification *v, struct hd_db *db, const struct hd_chain_walk *walk, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT sequence, hash FROM chains WHERE work = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, v->work);
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && !row)
		fault(v, v->work, 0, walk->rows ? "the chain has no head" : "there is no such chain");
	else if (rc == HYDRO_OK && (uint64_t)sqlite3_column_int64(stmt, 0) != walk->rows)
		fault(v, v->work, walk->rows, "the chain has %" PRIu64 " rows, its head says %lld", walk->rows, (long long)sqlite3_column_int64(stmt, 0));
	else if (rc == HYDRO_OK && (sqlite3_column_bytes(stmt, 1) != (int)HD_HASH_BYTES || memcmp(sqlite3_column_blob(stmt, 1), walk->hash, HD_HASH_BYTES) != 0))
		fault(v, v->work, walk->rows, "the chain does not end in the hash of its head");
	(void)sqlite3_reset(stmt);
	return rc;
}

static int verify_work(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct verification *v = arg;
	uint32_t at = hd_index_get(&v->anchor_index, v->work);
	struct hd_chain_walk walk = {.work = v->work, .first = 1, .last = UINT64_MAX, .fn = take_row, .arg = v};
	v->anchor = at ? &v->anchors[at - 1] : NULL;
	v->anchor_met = false;
	v->told_count = 0;
	hd_index_done(&v->told_index);
	int rc = hd_chain_walk(db, &walk, err);
	if (rc != HYDRO_OK)
		return rc;
	if (walk.broken)
		fault(v, v->work, walk.broken_at, "the row, or one before it, was altered, removed or put in");
	if (v->anchor && !v->anchor_met)
		fault(v, v->work, walk.rows, "the chain was cut: it was anchored at row %" PRIu64 ", and has %" PRIu64, v->anchor->sequence, walk.rows);
	rc = check_head(v, db, &walk, err);
	return rc == HYDRO_OK ? check_slots(v, db, err) : rc;
}

/* ---- all -------------------------------------------------------------------------------------------------------------- */

static int take_anchor(void *arg, uint32_t work, uint64_t sequence, const uint8_t hash[HD_HASH_BYTES], struct hydro_error *err)
{
	struct verification *v = arg;
	uint32_t *at = hd_index_place(&v->anchor_index, work);
	if (!at || !HD_RESERVE(v->anchors, v->anchor_cap, v->anchor_count, 1))
		return no_memory(err);
	if (*at == 0)
		*at = ++v->anchor_count;
	struct anchored *anchor = &v->anchors[*at - 1];
	anchor->work = work;
	anchor->sequence = sequence;
	memcpy(anchor->hash, hash, HD_HASH_BYTES);
	return HYDRO_OK;
}

static int last_day(struct hd_db *db, int64_t *ret, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT coalesce(max(day), 0) FROM anchors", err);
	if (!stmt)
		return HYDRO_E_IO;
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && row)
		*ret = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_reset(stmt);
	return rc;
}

static int read_anchors(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct verification *v = arg;
	int64_t bad = INT64_MIN, last = 0;
	(void)pthread_mutex_lock(&v->ledger->write_lock);
	int64_t marked = v->ledger->has_mark ? v->ledger->mark.last.anchored_day : 0;
	(void)pthread_mutex_unlock(&v->ledger->write_lock);
	int rc = hd_anchors_walk(v->ledger, db, take_anchor, v, &v->verdict->anchors, &bad, err);
	if (rc == HYDRO_E_CORRUPT) {
		fault(v, 0, 0, "an anchor's heads are none");
		hd_error_clear(err);
		rc = HYDRO_OK;
	}
	if (bad != INT64_MIN)
		fault(v, 0, 0, "the anchor of day %" PRId64 ", or one before it, was altered, removed or put in", bad);
	if (rc == HYDRO_OK)
		rc = last_day(db, &last, err);
	if (rc == HYDRO_OK && last < marked)
		fault(v, 0, 0, "the anchors were cut: the mark knows one of day %" PRId64 ", the last is of day %" PRId64, marked, last);
	return rc;
}

/* Every work that has a chain, packs or slots: what is put in for a work without a chain shows too. */
static int read_works(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct verification *v = arg;
	int64_t work = v->after;
	bool row = false;
	int rc = HYDRO_OK;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT min(work) FROM (SELECT min(work) AS work FROM chains WHERE work > ?1 UNION ALL SELECT min(work) FROM packs WHERE work > ?1 UNION ALL SELECT min(work) FROM slots WHERE work > ?1)", err);
	if (!stmt)
		return HYDRO_E_IO;
	for (;;) {
		hd_bind_int(stmt, 1, work);
		rc = hd_db_step(db, stmt, &row, err);
		bool more = rc == HYDRO_OK && row && sqlite3_column_type(stmt, 0) != SQLITE_NULL;
		if (more)
			work = sqlite3_column_int64(stmt, 0);
		(void)sqlite3_reset(stmt);
		if (!more)
			return rc;
		if (!HD_RESERVE(v->works, v->work_cap, v->work_count, 1))
			return no_memory(err);
		v->works[v->work_count++] = (uint32_t)work;
	}
}

/* Rows that no chain leads to. */
static int count_rows(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct verification *v = arg;
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT (SELECT count(*) FROM audit a LEFT JOIN chains c ON c.work = a.work WHERE c.work IS NULL OR a.sequence > c.packed),"
					       " (SELECT coalesce(sum(sequence - packed), 0) FROM chains)", err);
	if (!stmt)
		return HYDRO_E_IO;
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && row && sqlite3_column_int64(stmt, 0) != sqlite3_column_int64(stmt, 1))
		fault(v, 0, 0, "there are %lld audit rows, the chains have %lld", (long long)sqlite3_column_int64(stmt, 0), (long long)sqlite3_column_int64(stmt, 1));
	(void)sqlite3_reset(stmt);
	return rc;
}

/* Works that were anchored and have nothing any more, among those behind `after` up to the last one walked. */
static int find_gone(struct verification *v, int64_t after, struct hydro_error *err)
{
	struct hd_index there = {0};
	int64_t last = v->verdict->next < 0 ? INT64_MAX : v->verdict->next;
	int rc = HYDRO_OK;
	for (uint32_t i = 0; i < v->verdict->works && rc == HYDRO_OK; i++) {
		uint32_t *at = hd_index_place(&there, v->works[i]);
		if (at)
			*at = 1;
		else
			rc = no_memory(err);
	}
	for (uint32_t i = 0; i < v->anchor_count && rc == HYDRO_OK; i++) {
		const struct anchored *anchor = &v->anchors[i];
		if (anchor->work > after && anchor->work <= last && hd_index_get(&there, anchor->work) == 0)
			fault(v, anchor->work, 0, "the chain is gone: it was anchored at row %" PRIu64, anchor->sequence);
	}
	hd_index_done(&there);
	return rc;
}

static int verify_works(struct verification *v, int64_t after, uint32_t works_max, int64_t until_ns, struct hydro_error *err)
{
	struct hd_ledger_verdict *verdict = v->verdict;
	v->after = after;
	int rc = hd_ledger_read(v->ledger, read_works, v, err);
	uint32_t count = works_max ? HD_MIN(works_max, v->work_count) : v->work_count;
	while (verdict->works < count && rc == HYDRO_OK && (verdict->works == 0 || hd_clock_real_ns() < until_ns)) {
		v->work = v->works[verdict->works++];
		rc = hd_ledger_read(v->ledger, verify_work, v, err);
	}
	verdict->works_left = v->work_count - verdict->works;
	verdict->next = verdict->works_left ? (int64_t)v->work : -1;
	if (rc == HYDRO_OK && verdict->works_left == 0)
		rc = hd_ledger_read(v->ledger, count_rows, v, err);
	return rc == HYDRO_OK ? find_gone(v, after, err) : rc;
}

static void verification_done(struct verification *v)
{
	hd_index_done(&v->anchor_index);
	hd_index_done(&v->told_index);
	free(v->anchors);
	free(v->works);
	free(v->told);
	hd_buf_done(&v->scratch);
}

static int verify_part(struct hd_ledger *ledger, int64_t after, uint32_t works_max, int64_t until_ns, struct hd_ledger_verdict *ret, struct hydro_error *err)
{
	struct verification v = {.ledger = ledger, .verdict = ret};
	*ret = (struct hd_ledger_verdict){.good = true, .next = -1};
	int rc = hd_ledger_read(ledger, read_anchors, &v, err);
	if (rc == HYDRO_OK)
		rc = verify_works(&v, after, works_max, until_ns, err);
	verification_done(&v);
	return rc;
}

static int verify_one(struct hd_ledger *ledger, uint32_t work, struct hd_ledger_verdict *ret, struct hydro_error *err)
{
	struct verification v = {.ledger = ledger, .verdict = ret, .work = work};
	*ret = (struct hd_ledger_verdict){.good = true, .works = 1, .next = -1};
	int rc = hd_ledger_read(ledger, read_anchors, &v, err);
	if (rc == HYDRO_OK)
		rc = hd_ledger_read(ledger, verify_work, &v, err);
	verification_done(&v);
	return rc;
}

int hd_ledger_verify(struct hd_ledger *ledger, uint32_t work, struct hd_ledger_verdict *ret, struct hydro_error *err)
{
	return work == HD_LEDGER_ALL ? verify_part(ledger, -1, 0, INT64_MAX, ret, err) : verify_one(ledger, work, ret, err);
}

int hd_ledger_verify_some(struct hd_ledger *ledger, int64_t after, uint32_t works_max, int64_t for_ms, struct hd_ledger_verdict *ret, struct hydro_error *err)
{
	return verify_part(ledger, after, works_max, hd_clock_real_ns() + for_ms * HD_NS_PER_MS, ret, err);
}
