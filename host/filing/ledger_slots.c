/* SPDX-License-Identifier: MIT */
/* Reading slots and counts. */
#include "filing/ledger_inner.h"

#include <math.h>
#include <string.h>

static int64_t read_time(sqlite3_stmt *stmt, int at, int64_t due_ms)
{
	return sqlite3_column_type(stmt, at) == SQLITE_NULL ? 0 : due_ms + sqlite3_column_int64(stmt, at);
}

static void read_text(sqlite3_stmt *stmt, int at, char *ret, size_t size)
{
	const char *text = hd_column_text(stmt, at);
	size_t len = HD_MIN(strlen(text), size - 1);
	memcpy(ret, text, len);
	ret[len] = '\0';
}

void hd_slot_read(sqlite3_stmt *stmt, struct hd_slot *ret, struct hd_slot_trail *ret_trail)
{
	int64_t due = sqlite3_column_int64(stmt, 1);
	ret->work = (uint32_t)sqlite3_column_int64(stmt, 0);
	ret->due_ms = due;
	ret->state = (uint32_t)sqlite3_column_int64(stmt, 2);
	ret->marks = (uint32_t)sqlite3_column_int64(stmt, 3);
	ret->adapter = (uint32_t)sqlite3_column_int64(stmt, 4);
	ret->epoch = ret->attempts = (uint32_t)sqlite3_column_int64(stmt, 5);
	ret->owner = (uint32_t)sqlite3_column_int64(stmt, 6);
	ret->measured_ms = read_time(stmt, 7, due);
	ret->queued_ms = read_time(stmt, 8, due);
	ret->last_attempt_ms = read_time(stmt, 9, due);
	ret->filed_ms = read_time(stmt, 10, due);
	ret->lease_until_ns = sqlite3_column_int64(stmt, 11);
	for (int i = 0; i < (int)HYDRO_FIELDS; i++)
		ret->values[i] = sqlite3_column_type(stmt, 12 + i) == SQLITE_NULL ? NAN : sqlite3_column_double(stmt, 12 + i);
	read_text(stmt, 15, ret->receipt, sizeof ret->receipt);
	read_text(stmt, 16, ret->cause, sizeof ret->cause);
	if (!ret_trail)
		return;
	ret_trail->first = (uint64_t)sqlite3_column_int64(stmt, 17);
	ret_trail->payload = sqlite3_column_type(stmt, 18) == SQLITE_NULL ? 0 : ret_trail->first + (uint64_t)sqlite3_column_int64(stmt, 18);
	ret_trail->last = ret_trail->first + (uint64_t)sqlite3_column_int64(stmt, 19);
	ret_trail->row = sqlite3_column_int64(stmt, 20);
}

/* ---- lists ------------------------------------------------------------------------------------------------------------ */

struct list {
	struct hd_ledger *ledger;
	const struct hd_slot_filter *filter;
	hd_slot_fn fn;
	void *arg;
	uint32_t count;
	bool full;
};

/* Bits that every statement has: ?1 states, ?2 marks set, ?3 marks clear, ?4 from, ?5 to. */
#define PASSES " (1 << s.state) & ?1 <> 0 AND s.marks & ?2 = ?2 AND s.marks & ?3 = 0 AND s.due >= ?4 AND s.due < ?5"

static void bind_filter(sqlite3_stmt *stmt, const struct hd_slot_filter *f)
{
	hd_bind_int(stmt, 1, f->states ? f->states : UINT32_MAX);
	hd_bind_int(stmt, 2, f->marks_set);
	hd_bind_int(stmt, 3, f->marks_clear);
	hd_bind_int(stmt, 4, f->from_ms || f->to_ms ? f->from_ms : INT64_MIN);
	hd_bind_int(stmt, 5, f->from_ms || f->to_ms ? f->to_ms : INT64_MAX);
}

static int give(struct hd_db *db, sqlite3_stmt *stmt, struct list *list, struct hydro_error *err)
{
	struct hd_slot slot;
	bool row = false;
	int rc = HYDRO_OK;
	while (!list->full && (rc = hd_db_step(db, stmt, &row, err)) == HYDRO_OK && row) {
		hd_slot_read(stmt, &slot, NULL);
		list->full = ++list->count == list->filter->limit;
		if ((rc = list->fn(list->arg, &slot, err)) != HYDRO_OK)
			break;
	}
	(void)sqlite3_reset(stmt);
	return rc;
}

/* Of one work; with a page's beginning only the slots behind it, so that one range is all there is to look through. */
static int list_work(struct hd_db *db, struct list *list, uint32_t work, struct hydro_error *err)
{
	struct hd_slot_filter f = *list->filter;
	if (f.from_ms == 0 && f.to_ms == 0) {
		f.from_ms = INT64_MIN;
		f.to_ms = INT64_MAX;
	}
	if (work && f.after_work == work && f.descending)
		f.to_ms = HD_MIN(f.to_ms, f.after_due);
	else if (work && f.after_work == work)
		f.from_ms = HD_MAX(f.from_ms, f.after_due + 1);
	sqlite3_stmt *stmt = f.descending ? hd_db_prepare(db, "SELECT " HD_SLOT_COLUMNS " FROM slots s INDEXED BY slots_work WHERE s.work = ?6 AND" PASSES " ORDER BY s.due DESC", err)
					  : hd_db_prepare(db, "SELECT " HD_SLOT_COLUMNS " FROM slots s INDEXED BY slots_work WHERE s.work = ?6 AND" PASSES " ORDER BY s.due", err);
	if (!stmt)
		return HYDRO_E_IO;
	bind_filter(stmt, &f);
	hd_bind_int(stmt, 6, work);
	return give(db, stmt, list, err);
}

/* What is open, over all works, by the index that has nothing else. */
static int list_open(struct hd_db *db, struct list *list, struct hydro_error *err)
{
	const struct hd_slot_filter *f = list->filter;
	sqlite3_stmt *stmt = f->descending ? hd_db_prepare(db, "SELECT " HD_SLOT_COLUMNS " FROM slots s INDEXED BY slots_open WHERE s.state IN " HD_OPEN_STATES_SQL
							       " AND (s.work, s.due) < (?6, ?7) AND" PASSES " ORDER BY s.work DESC, s.due DESC", err)
					   : hd_db_prepare(db, "SELECT " HD_SLOT_COLUMNS " FROM slots s INDEXED BY slots_open WHERE s.state IN " HD_OPEN_STATES_SQL
							       " AND (s.work, s.due) > (?6, ?7) AND" PASSES " ORDER BY s.work, s.due", err);
	if (!stmt)
		return HYDRO_E_IO;
	bind_filter(stmt, f);
	hd_bind_int(stmt, 6, f->after_work ? f->after_work : f->descending ? INT64_C(1) << 33 : 0);
	hd_bind_int(stmt, 7, f->after_work ? f->after_due : f->descending ? INT64_MAX : INT64_MIN);
	return give(db, stmt, list, err);
}

static int list_receipt(struct hd_db *db, struct list *list, struct hydro_error *err)
{
	const struct hd_slot_filter *f = list->filter;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT " HD_SLOT_COLUMNS " FROM slots s INDEXED BY slots_receipt WHERE substr(s.receipt, -6) = substr(?6, -6)"
					       " AND s.receipt <> '' AND s.receipt = ?6 AND (?7 = 0 OR s.work = ?7) AND" PASSES " ORDER BY s.work, s.due", err);
	if (!stmt)
		return HYDRO_E_IO;
	bind_filter(stmt, f);
	hd_bind_text(stmt, 6, f->receipt);
	hd_bind_int(stmt, 7, f->work == HD_LEDGER_ALL ? 0 : f->work);
	return give(db, stmt, list, err);
}

/* The next work that has slots, in the list's direction; 0 = none. */
static int next_work(struct hd_db *db, uint32_t work, bool descending, uint32_t *ret, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = descending ? hd_db_prepare(db, "SELECT max(number) FROM works WHERE number < ?1", err)
					: hd_db_prepare(db, "SELECT min(number) FROM works WHERE number > ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, descending && work == 0 ? INT64_C(1) << 33 : work);
	int rc = hd_db_step(db, stmt, &row, err);
	*ret = rc == HYDRO_OK && row ? (uint32_t)sqlite3_column_int64(stmt, 0) : 0;
	(void)sqlite3_reset(stmt);
	return rc;
}

static int list_slots(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct list *list = arg;
	const struct hd_slot_filter *f = list->filter;
	if (f->receipt)
		return list_receipt(db, list, err);
	if (f->work != HD_LEDGER_ALL)
		return list_work(db, list, f->work, err);
	if (f->states && (f->states & ~HD_OPEN_STATES) == 0)
		return list_open(db, list, err);
	uint32_t work = f->after_work;
	int rc = work ? list_work(db, list, work, err) : HYDRO_OK;
	while (rc == HYDRO_OK && !list->full && (rc = next_work(db, work, f->descending, &work, err)) == HYDRO_OK && work)
		rc = list_work(db, list, work, err);
	return rc;
}

int hd_ledger_slots(struct hd_ledger *ledger, const struct hd_slot_filter *filter, hd_slot_fn fn, void *arg, struct hydro_error *err)
{
	struct list list = {.ledger = ledger, .filter = filter, .fn = fn, .arg = arg};
	return hd_ledger_read(ledger, list_slots, &list, err);
}

/* ---- one -------------------------------------------------------------------------------------------------------------- */

struct one {
	uint32_t work;
	int64_t due_ms;
	struct hd_slot *slot;
	struct hd_slot_trail trail;
	bool found;
	struct hd_buf *payload;
	char *adapter;
	hd_audit_fn fn;
	void *arg;
};

static int read_one(struct hd_db *db, struct one *one, struct hd_slot *ret, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT " HD_SLOT_COLUMNS " FROM slots s WHERE s.work = ?1 AND s.due = ?2", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, one->work);
	hd_bind_int(stmt, 2, one->due_ms);
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && !row)
		rc = hd_error_set(err, HYDRO_E_NOTFOUND, "nothing has happened yet to slot %lld of work %u", (long long)one->due_ms, one->work);
	else if (rc == HYDRO_OK)
		hd_slot_read(stmt, ret, &one->trail);
	(void)sqlite3_reset(stmt);
	return rc;
}

static int get_slot(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct one *one = arg;
	return read_one(db, one, one->slot, err);
}

int hd_ledger_slot(struct hd_ledger *ledger, uint32_t work, int64_t due_ms, struct hd_slot *ret, struct hydro_error *err)
{
	struct one one = {.work = work, .due_ms = due_ms, .slot = ret};
	return hd_ledger_read(ledger, get_slot, &one, err);
}

static int read_name(struct hd_db *db, uint32_t id, char ret[64], struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT text FROM names WHERE id = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, id);
	int rc = hd_db_step(db, stmt, &row, err);
	ret[0] = '\0';
	if (rc == HYDRO_OK && row)
		read_text(stmt, 0, ret, 64);
	(void)sqlite3_reset(stmt);
	return rc;
}

static int take_payload(void *arg, const struct hd_audit_row *row, struct hydro_error *err)
{
	struct one *one = arg;
	if (row->sequence != one->trail.payload)
		return HYDRO_OK;
	one->found = true;
	if (!hd_buf_add(one->payload, row->payload, row->payload_len))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a payload");
	return HYDRO_OK;
}

static int get_payload(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct one *one = arg;
	struct hd_slot slot;
	int rc = read_one(db, one, &slot, err);
	if (rc == HYDRO_OK && one->trail.payload == 0)
		rc = hd_error_set(err, HYDRO_E_NOTFOUND, "slot %lld of work %u has no payload", (long long)one->due_ms, one->work);
	if (rc != HYDRO_OK)
		return rc;
	struct hd_chain_walk walk = {.work = one->work, .first = one->trail.payload, .last = one->trail.last, .row = one->trail.row, .fn = take_payload, .arg = one};
	rc = hd_chain_walk(db, &walk, err);
	if (rc == HYDRO_OK && (!one->found || walk.broken))
		rc = hd_error_set(err, HYDRO_E_CORRUPT, "the payload of slot %lld of work %u does not check", (long long)one->due_ms, one->work);
	return rc == HYDRO_OK ? read_name(db, slot.adapter, one->adapter, err) : rc;
}

int hd_ledger_payload(struct hd_ledger *ledger, uint32_t work, int64_t due_ms, struct hd_buf *ret, char ret_adapter[64], struct hydro_error *err)
{
	struct one one = {.work = work, .due_ms = due_ms, .payload = ret, .adapter = ret_adapter};
	return hd_ledger_read(ledger, get_payload, &one, err);
}

struct name_query {
	uint32_t id;
	char *ret;
};

static int get_name(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct name_query *query = arg;
	return read_name(db, query->id, query->ret, err);
}

int hd_ledger_name(struct hd_ledger *ledger, uint32_t id, char ret[64], struct hydro_error *err)
{
	struct name_query query = {id, ret};
	return hd_ledger_read(ledger, get_name, &query, err);
}

static int pass_of_slot(void *arg, const struct hd_audit_row *row, struct hydro_error *err)
{
	struct one *one = arg;
	return one->due_ms == 0 || row->due_ms == one->due_ms ? one->fn(one->arg, row, err) : HYDRO_OK;
}

static int list_audit(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct one *one = arg;
	struct hd_slot slot;
	struct hd_chain_walk walk = {.work = one->work, .first = 1, .last = UINT64_MAX, .fn = pass_of_slot, .arg = one};
	if (one->due_ms) {
		int rc = read_one(db, one, &slot, err);
		if (rc != HYDRO_OK)
			return rc == HYDRO_E_NOTFOUND ? HYDRO_OK : rc;
		walk.first = one->trail.first;
		walk.last = one->trail.last;
		walk.row = one->trail.row;
	}
	return hd_chain_walk(db, &walk, err);
}

int hd_ledger_audit(struct hd_ledger *ledger, uint32_t work, int64_t due_ms, hd_audit_fn fn, void *arg, struct hydro_error *err)
{
	struct one one = {.work = work, .due_ms = due_ms, .fn = fn, .arg = arg};
	return hd_ledger_read(ledger, list_audit, &one, err);
}

/* ---- counts ----------------------------------------------------------------------------------------------------------- */

struct days {
	uint32_t work;
	int64_t from, to;
	hd_day_fn fn;
	void *arg;
};

static int give_days(struct hd_db *db, sqlite3_stmt *stmt, const struct days *days, struct hydro_error *err)
{
	bool row = false;
	int rc;
	while ((rc = hd_db_step(db, stmt, &row, err)) == HYDRO_OK && row) {
		struct hd_day_count count = {.work = (uint32_t)sqlite3_column_int64(stmt, 0), .day = sqlite3_column_int64(stmt, 1)};
		for (int i = 0; i < HD_SLOT_STATE_COUNT; i++)
			count.states[i] = (uint32_t)sqlite3_column_int64(stmt, 2 + i);
		count.on_time = (uint32_t)sqlite3_column_int64(stmt, 16);
		count.late = (uint32_t)sqlite3_column_int64(stmt, 17);
		count.over_lag = (uint32_t)sqlite3_column_int64(stmt, 18);
		count.checked = (uint32_t)sqlite3_column_int64(stmt, 19);
		if ((rc = days->fn(days->arg, &count, err)) != HYDRO_OK)
			break;
	}
	(void)sqlite3_reset(stmt);
	return rc;
}

static int read_range(struct hd_db *db, int64_t *ret_first, int64_t *ret_last, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT (SELECT coalesce(min(day), 0) FROM days), (SELECT coalesce(max(day), -1) FROM days)", err);
	if (!stmt)
		return HYDRO_E_IO;
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && row) {
		*ret_first = sqlite3_column_int64(stmt, 0);
		*ret_last = sqlite3_column_int64(stmt, 1);
	}
	(void)sqlite3_reset(stmt);
	return rc;
}

/* One work's: a look at each day, as a day's works stand together. */
static int list_days_of(struct hd_db *db, const struct days *days, struct hydro_error *err)
{
	int64_t first = 0, last = -1;
	int rc = read_range(db, &first, &last, err);
	for (int64_t day = HD_MAX(first, days->from); day <= last && day < days->to && rc == HYDRO_OK; day++) {
		sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT * FROM days WHERE day = ?1 AND work = ?2", err);
		if (!stmt)
			return HYDRO_E_IO;
		hd_bind_int(stmt, 1, day);
		hd_bind_int(stmt, 2, days->work);
		rc = give_days(db, stmt, days, err);
	}
	return rc;
}

static int list_days(struct hd_db *db, void *arg, struct hydro_error *err)
{
	const struct days *days = arg;
	if (days->work != HD_LEDGER_ALL)
		return list_days_of(db, days, err);
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT * FROM days WHERE day >= ?1 AND day < ?2 ORDER BY day, work", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, days->from);
	hd_bind_int(stmt, 2, days->to);
	return give_days(db, stmt, days, err);
}

int hd_ledger_days(struct hd_ledger *ledger, uint32_t work, int64_t from_day, int64_t to_day, hd_day_fn fn, void *arg, struct hydro_error *err)
{
	struct days days = {work, from_day, to_day, fn, arg};
	return hd_ledger_read(ledger, list_days, &days, err);
}

static int read_totals(struct hd_db *db, void *arg, struct hydro_error *err)
{
	uint64_t *states = arg;
	bool row = false;
	int rc;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT state, count FROM totals WHERE state BETWEEN 0 AND 13", err);
	if (!stmt)
		return HYDRO_E_IO;
	while ((rc = hd_db_step(db, stmt, &row, err)) == HYDRO_OK && row)
		states[sqlite3_column_int64(stmt, 0)] = (uint64_t)sqlite3_column_int64(stmt, 1);
	(void)sqlite3_reset(stmt);
	return rc;
}

int hd_ledger_totals(struct hd_ledger *ledger, uint64_t ret_states[HD_SLOT_STATE_COUNT], struct hydro_error *err)
{
	memset(ret_states, 0, HD_SLOT_STATE_COUNT * sizeof *ret_states);
	return hd_ledger_read(ledger, read_totals, ret_states, err);
}

static int read_last_change(struct hd_db *db, void *arg, struct hydro_error *err)
{
	return hd_ledger_meta_get(db, "slots_ms", arg, err);
}

int hd_ledger_last_change(struct hd_ledger *ledger, int64_t *ret_ms, struct hydro_error *err)
{
	return hd_ledger_read(ledger, read_last_change, ret_ms, err);
}
