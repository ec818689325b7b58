/* SPDX-License-Identifier: MIT */
#include "filing/compliance.h"

#include "base/array.h"
#include "base/json.h"
#include "base/map.h"
#include "base/timefmt.h"
#include "filing/filing.h"
#include "filing/work_form.h"

#include <hydro/abi.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_STATES ((1u << HD_SLOT_QUEUED) | (1u << HD_SLOT_CLAIMED) | (1u << HD_SLOT_SENDING) | (1u << HD_SLOT_UNKNOWN) | (1u << HD_SLOT_REFUSED) | (1u << HD_SLOT_HELD))
#define CAUSE_STATES (OPEN_STATES | (1u << HD_SLOT_MISSING) | (1u << HD_SLOT_FILED_DIFFERS))

/* A work, the row it counts in, and its calendar. */
struct member {
	uint32_t row;
	struct hd_calendar calendar;
	bool counted; /* the work is one of the query's */
	bool settles; /* and has an hour to be on time by */
};

struct take {
	struct hd_ledger *ledger;
	const struct hd_adapters *adapters;
	const struct hd_compliance_query *query;
	struct hd_compliance *ret;
	struct hd_map keys;
	struct member *members; /* by number */
	uint32_t member_count;
	uint32_t row_cap;
	int64_t deadline_ms;
};

/* ---- works and their rows ------------------------------------------------------------------------------------------------ */

static void fill_row(struct hd_compliance_row *row, const struct hd_work *work, uint32_t by, const char *key)
{
	(void)snprintf(row->key, sizeof row->key, "%s", key);
	if (by != HD_COMPLIANCE_BY_WORK)
		return;
	row->work = work->number;
	row->mode = work->mode;
	(void)snprintf(row->name, sizeof row->name, "%s", work->name);
	(void)snprintf(row->client, sizeof row->client, "%s", work->client);
	(void)snprintf(row->kind, sizeof row->kind, "%s", work->kind);
	(void)snprintf(row->standard, sizeof row->standard, "%s", work->standard);
	(void)snprintf(row->region, sizeof row->region, "%s", work->region);
}

static int find_row(struct take *t, const struct hd_work *work, uint32_t *ret, struct hydro_error *err)
{
	const char *keys[] = {work->code, work->client, work->standard, work->region}, *key = keys[t->query->by];
	uint64_t at;
	struct hd_compliance *c = t->ret;
	if (hd_map_get(&t->keys, key, strlen(key), &at)) {
		*ret = (uint32_t)at;
		return HYDRO_OK;
	}
	if (!HD_RESERVE(c->rows, t->row_cap, c->count, 1))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory");
	memset(&c->rows[c->count], 0, sizeof *c->rows);
	fill_row(&c->rows[c->count], work, t->query->by, key);
	*ret = c->count++;
	return hd_map_put(&t->keys, key, strlen(key), *ret) ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOMEM, "no memory");
}

static int member_of(struct take *t, uint32_t number, struct member **ret, struct hydro_error *err)
{
	if (!HD_RESERVE_ZEROED(t->members, t->member_count, number, 1))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory");
	*ret = &t->members[number];
	return HYDRO_OK;
}

static void earlier(int64_t *at, int64_t ms)
{
	if (ms != 0 && ms != INT64_MAX && (*at == 0 || ms < *at))
		*at = ms;
}

static int add_work(void *arg, const struct hd_work *work, struct hydro_error *err)
{
	struct take *t = arg;
	struct hd_calendar calendar;
	struct hydro_error why = {.struct_size = sizeof why};
	uint32_t at = 0;
	struct member *member = NULL;
	if (work->deleted || (t->query->code && strcmp(work->code, t->query->code) != 0))
		return HYDRO_OK;
	int rc = find_row(t, work, &at, err);
	if (rc == HYDRO_OK)
		rc = member_of(t, work->number, &member, err);
	if (rc != HYDRO_OK)
		return rc;
	struct hd_compliance_row *row = &t->ret->rows[at];
	row->works++;
	bool has_calendar = hd_filing_calendar(t->adapters, work, &calendar, &why) == HYDRO_OK;
	*member = (struct member){at, has_calendar ? calendar : (struct hd_calendar){.utc_offset_s = t->ret->utc_offset_s}, true, false};
	if (!has_calendar || work->mode == HD_MODE_OFF || work->starts_ms == 0)
		return HYDRO_OK;
	int64_t now = t->query->now_ms, from = HD_MAX(t->ret->from_ms, work->starts_ms), end = work->ends_ms ? work->ends_ms : INT64_MAX;
	int64_t to = HD_MIN(HD_MIN(t->ret->to_ms, now + 1), end);
	row->due += to > from ? hd_calendar_count(&calendar, from, to) : 0;
	/* What is not sent, or sent by hand, has no hour to be on time by. */
	member->settles = work->mode == HD_MODE_LIVE && !work->by_sheet;
	to = member->settles ? HD_MIN(to, now + 1 - t->deadline_ms) : from;
	row->settled += to > from ? hd_calendar_count(&calendar, from, to) : 0;
	int64_t next = hd_calendar_next(&calendar, HD_MAX(now + 1, work->starts_ms));
	if (next < end) {
		earlier(&row->next_due_ms, next);
		earlier(&row->next_deadline_ms, next == INT64_MAX ? 0 : next + t->deadline_ms);
	}
	return HYDRO_OK;
}

static int take_works(struct take *t, struct hydro_error *err)
{
	struct hd_work_filter filter = {.mode = -1, .held = -1, .centre = HD_LEDGER_ALL};
	struct hd_store_page page = {.next = 0};
	if (t->query->works)
		filter = *t->query->works;
	if (t->query->code)
		filter.code_prefix = t->query->code;
	filter.limit = HD_LEDGER_PAGE_MAX;
	filter.want_total = false;
	for (filter.after = 0; page.next >= 0; filter.after = (uint32_t)page.next) {
		int rc = hd_ledger_work_list(t->ledger, &filter, add_work, t, &page, err);
		if (rc != HYDRO_OK)
			return rc;
	}
	return HYDRO_OK;
}

/* ---- counts ---------------------------------------------------------------------------------------------------------------- */

static struct hd_compliance_row *row_of(struct take *t, uint32_t work)
{
	return work < t->member_count && t->members[work].counted ? &t->ret->rows[t->members[work].row] : NULL;
}

static int add_day(void *arg, const struct hd_day_count *count, struct hydro_error *err)
{
	(void)err;
	struct hd_compliance_row *row = row_of(arg, count->work);
	const uint32_t *n = count->states;
	if (!row)
		return HYDRO_OK;
	row->filed += n[HD_SLOT_FILED] + n[HD_SLOT_FILED_NO_RECEIPT] + n[HD_SLOT_FILED_DIFFERS] + n[HD_SLOT_BY_HAND];
	row->no_receipt += n[HD_SLOT_FILED_NO_RECEIPT];
	row->differs += n[HD_SLOT_FILED_DIFFERS];
	row->by_hand += n[HD_SLOT_BY_HAND];
	row->shadow += n[HD_SLOT_SHADOW];
	row->missing += n[HD_SLOT_MISSING];
	row->queued += n[HD_SLOT_QUEUED] + n[HD_SLOT_CLAIMED] + n[HD_SLOT_SENDING];
	row->unknown += n[HD_SLOT_UNKNOWN];
	row->refused += n[HD_SLOT_REFUSED];
	row->held += n[HD_SLOT_HELD];
	row->on_time += count->on_time;
	row->late += count->late;
	row->over_lag += count->over_lag;
	row->checked += count->checked;
	return HYDRO_OK;
}

static void add_cause(struct hd_compliance_row *row, uint32_t state, const char *text)
{
	for (uint32_t i = 0; i < row->cause_count; i++)
		if (row->causes[i].state == state && strcmp(row->causes[i].text, text) == 0) {
			row->causes[i].slots++;
			return;
		}
	if (row->cause_count == HD_COMPLIANCE_CAUSES) {
		row->other_causes++;
		return;
	}
	struct hd_compliance_cause *cause = &row->causes[row->cause_count++];
	*cause = (struct hd_compliance_cause){.state = state, .slots = 1};
	(void)snprintf(cause->text, sizeof cause->text, "%s", text);
}

static int add_slot(void *arg, const struct hd_slot *slot, struct hydro_error *err)
{
	struct take *t = arg;
	(void)err;
	struct hd_compliance_row *row = row_of(t, slot->work);
	if (!row)
		return HYDRO_OK;
	if (slot->due_ms >= t->ret->from_ms && slot->due_ms < t->ret->to_ms && slot->state != HD_SLOT_QUEUED)
		add_cause(row, slot->state, slot->cause);
	if (((1u << slot->state) & OPEN_STATES) && (row->oldest_open_ms == 0 || slot->due_ms < row->oldest_open_ms)) {
		row->oldest_open_ms = slot->due_ms;
		row->next_limit_ms = hd_calendar_limit(&t->members[slot->work].calendar, slot->due_ms);
	}
	return HYDRO_OK;
}

/* Filed before its deadline has passed: the calendar does not count it as settled yet. */
static int add_early(void *arg, const struct hd_slot *slot, struct hydro_error *err)
{
	struct take *t = arg;
	struct hd_compliance_row *row = row_of(t, slot->work);
	(void)err;
	if (row && t->members[slot->work].settles)
		row->settled++;
	return HYDRO_OK;
}

static int take_early(struct take *t, uint32_t work, struct hydro_error *err)
{
	const uint32_t filed = 1u << HD_SLOT_FILED | 1u << HD_SLOT_FILED_NO_RECEIPT | 1u << HD_SLOT_FILED_DIFFERS | 1u << HD_SLOT_BY_HAND;
	struct hd_slot_filter early = {.work = work, .states = filed, .from_ms = HD_MAX(t->ret->from_ms, t->query->now_ms + 1 - t->deadline_ms),
				       .to_ms = HD_MIN(t->ret->to_ms, t->query->now_ms + 1)};
	return early.from_ms < early.to_ms ? hd_ledger_slots(t->ledger, &early, add_early, t, err) : HYDRO_OK;
}

static int take_slots(struct take *t, struct hydro_error *err)
{
	struct hd_slot_filter open = {.work = HD_LEDGER_ALL, .states = OPEN_STATES}, closed = {.work = HD_LEDGER_ALL, .states = CAUSE_STATES & ~OPEN_STATES};
	closed.from_ms = t->ret->from_ms;
	closed.to_ms = t->ret->to_ms;
	if (t->query->by == HD_COMPLIANCE_BY_WORK && t->query->code && t->ret->count == 1)
		open.work = closed.work = t->ret->rows[0].work;
	int rc = take_early(t, open.work, err);
	if (rc == HYDRO_OK)
		rc = hd_ledger_slots(t->ledger, &open, add_slot, t, err);
	return rc == HYDRO_OK ? hd_ledger_slots(t->ledger, &closed, add_slot, t, err) : rc;
}

/* ---- the end ------------------------------------------------------------------------------------------------------------------ */

static int by_slots(const void *a, const void *b)
{
	const struct hd_compliance_cause *x = a, *y = b;
	return x->slots < y->slots ? 1 : x->slots > y->slots ? -1 : 0;
}

static int by_key(const void *a, const void *b)
{
	const struct hd_compliance_row *x = a, *y = b;
	return strcmp(x->key, y->key);
}

static void finish_row(struct hd_compliance_row *row)
{
	uint64_t stored = row->filed + row->missing + row->shadow + row->queued + row->unknown + row->refused + row->held;
	row->due = HD_MAX(row->due, stored); /* a work that is off now, or has other hours now, owes what it owed then */
	row->settled = HD_MAX(row->settled, row->on_time + row->late);
	row->waiting = row->due - stored;
	row->on_time_share = row->settled ? (double)row->on_time / (double)row->settled : NAN;
	if (row->on_time_share > 1)
		row->on_time_share = 1;
	qsort(row->causes, row->cause_count, sizeof row->causes[0], by_slots);
}

static void add_to_all(struct hd_compliance_row *all, const struct hd_compliance_row *row)
{
	all->works += row->works;
	all->due += row->due;
	all->settled += row->settled;
	all->filed += row->filed;
	all->on_time += row->on_time;
	all->late += row->late;
	all->over_lag += row->over_lag;
	all->checked += row->checked;
	all->missing += row->missing;
	all->differs += row->differs;
	all->no_receipt += row->no_receipt;
	all->by_hand += row->by_hand;
	all->shadow += row->shadow;
	all->queued += row->queued;
	all->unknown += row->unknown;
	all->refused += row->refused;
	all->held += row->held;
	all->waiting += row->waiting;
	earlier(&all->next_due_ms, row->next_due_ms);
	earlier(&all->next_deadline_ms, row->next_deadline_ms);
	earlier(&all->oldest_open_ms, row->oldest_open_ms);
	earlier(&all->next_limit_ms, row->next_limit_ms);
}

static void finish(struct hd_compliance *c)
{
	for (uint32_t i = 0; i < c->count; i++) {
		finish_row(&c->rows[i]);
		add_to_all(&c->all, &c->rows[i]);
	}
	c->all.on_time_share = c->all.settled ? (double)c->all.on_time / (double)c->all.settled : NAN;
	if (c->count)
		qsort(c->rows, c->count, sizeof *c->rows, by_key);
}

int hd_compliance_take(struct hd_ledger *ledger, const struct hd_adapters *adapters, const struct hd_compliance_query *query, struct hd_compliance *ret,
		       struct hydro_error *err)
{
	struct take t = {.ledger = ledger, .adapters = adapters, .query = query, .ret = ret};
	const struct hd_adapter *adapter = adapters ? hd_adapters_at(adapters, 0) : NULL;
	memset(ret, 0, sizeof *ret);
	if (!adapter)
		return hd_error_set(err, HYDRO_E_CONFIG, "no adapter of filing is loaded");
	ret->utc_offset_s = hd_adapter_info(adapter)->utc_offset_s;
	t.deadline_ms = hd_adapter_info(adapter)->deadline_ms;
	int64_t from_day = hd_calendar_day(ret->utc_offset_s, query->from_ms), to_day = hd_calendar_day(ret->utc_offset_s, query->to_ms - 1) + 1;
	ret->from_ms = hd_calendar_day_start(ret->utc_offset_s, from_day);
	ret->to_ms = hd_calendar_day_start(ret->utc_offset_s, to_day);
	int rc = take_works(&t, err);
	uint32_t work = query->by == HD_COMPLIANCE_BY_WORK && query->code && ret->count == 1 ? ret->rows[0].work : HD_LEDGER_ALL;
	if (rc == HYDRO_OK && ret->count)
		rc = hd_ledger_days(ledger, work, from_day, to_day, add_day, &t, err);
	if (rc == HYDRO_OK && ret->count)
		rc = take_slots(&t, err);
	if (rc == HYDRO_OK)
		finish(ret);
	hd_map_done(&t.keys);
	free(t.members);
	return rc;
}

void hd_compliance_done(struct hd_compliance *compliance)
{
	free(compliance->rows);
	memset(compliance, 0, sizeof *compliance);
}

/* ---- printing --------------------------------------------------------------------------------------------------------------------- */

static void print_causes(struct hd_buf *ret, const struct hd_compliance_row *row)
{
	hd_json_open(ret, "causes", '[');
	for (uint32_t i = 0; i < row->cause_count; i++) {
		hd_json_item(ret);
		hd_buf_add_char(ret, '{');
		hd_json_text(ret, "state", hd_slot_state_name(row->causes[i].state));
		hd_json_text(ret, "cause", row->causes[i].text);
		hd_json_text(ret, "text", hd_cause_text(row->causes[i].text, true));
		hd_json_int(ret, "slots", (int64_t)row->causes[i].slots);
		hd_buf_add_char(ret, '}');
	}
	hd_buf_add_char(ret, ']');
	hd_json_int(ret, "other_causes", (int64_t)row->other_causes);
}

static void print_row(struct hd_buf *ret, const struct hd_compliance_row *row)
{
	hd_buf_add_char(ret, '{');
	hd_json_text(ret, "key", row->key);
	if (row->work) {
		hd_json_text(ret, "name", row->name);
		hd_json_text(ret, "client", row->client);
		hd_json_text(ret, "kind", row->kind);
		hd_json_text(ret, "standard", row->standard);
		hd_json_text(ret, "region", row->region);
		hd_json_text(ret, "mode", hd_work_mode_name(row->mode));
	}
	const struct {
		const char *key;
		uint64_t value;
	} counts[] = {{"works", row->works}, {"due", row->due}, {"settled", row->settled}, {"filed", row->filed}, {"on_time", row->on_time}, {"late", row->late},
		      {"over_lag", row->over_lag}, {"missing", row->missing}, {"waiting", row->waiting}, {"queued", row->queued}, {"unknown", row->unknown},
		      {"refused", row->refused}, {"held", row->held}, {"differs", row->differs}, {"no_receipt", row->no_receipt}, {"by_hand", row->by_hand},
		      {"shadow", row->shadow}, {"checked", row->checked}};
	for (size_t i = 0; i < HD_ARRAY_LEN(counts); i++)
		hd_json_int(ret, counts[i].key, (int64_t)counts[i].value);
	hd_json_number(ret, "on_time_share", row->on_time_share);
	hd_json_time(ret, "next_due", row->next_due_ms);
	hd_json_time(ret, "next_deadline", row->next_deadline_ms);
	hd_json_time(ret, "oldest_open", row->oldest_open_ms);
	hd_json_time(ret, "next_limit", row->next_limit_ms);
	print_causes(ret, row);
	hd_buf_add_char(ret, '}');
}

void hd_compliance_print(struct hd_buf *ret, const struct hd_compliance *compliance)
{
	hd_buf_add_char(ret, '{');
	hd_json_time(ret, "from", compliance->from_ms);
	hd_json_time(ret, "to", compliance->to_ms);
	hd_json_key(ret, "all");
	print_row(ret, &compliance->all);
	hd_json_open(ret, "items", '[');
	for (uint32_t i = 0; i < compliance->count; i++) {
		hd_json_item(ret);
		print_row(ret, &compliance->rows[i]);
	}
	hd_buf_add_text(ret, "]}");
}
