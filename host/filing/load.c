/* SPDX-License-Identifier: MIT */
/* At the start, and when a work's calendar changes: which slots since its start are stored, which are open, which wait. */
#include "filing/filing_impl.h"

#include "base/array.h"

#include <stdlib.h>

#define DAY_MS INT64_C(86400000)
/* Where only a share is checked, filed slots that were not are looked for so far back. */
#define CHECK_DAYS 8

struct load_day {
	uint32_t work;
	int64_t day;
};

struct load {
	struct hd_filing *f;
	int64_t now_ms;
	int64_t *at; /* by work: first day not looked at; INT64_MAX: not of this load */
	struct load_day *days; /* whose slots must be read */
	uint32_t count, capacity;
	bool no_memory;
};

struct load_rows {
	struct hd_filing *f;
	struct filing_work *w;
	int64_t *dues;
	uint32_t count, capacity;
};

static int32_t offset_of(const struct filing_work *w)
{
	return w->calendar.utc_offset_s;
}

/* Slots of a day that have come, within the work's time. */
static void day_range(const struct load *l, const struct filing_work *w, int64_t day, int64_t *ret_from, int64_t *ret_to)
{
	*ret_from = HD_MAX(hd_calendar_day_start(offset_of(w), day), w->starts_ms);
	int64_t to = HD_MIN(hd_calendar_day_start(offset_of(w), day + 1), l->now_ms + 1);
	*ret_to = w->ends_ms ? HD_MIN(to, w->ends_ms) : to;
}

static void wait_for_days(struct load *l, struct filing_work *w, int64_t from_day, int64_t to_day)
{
	int64_t from, to, end, start;
	if (from_day >= to_day)
		return;
	day_range(l, w, from_day, &from, &end);
	day_range(l, w, to_day - 1, &start, &to);
	for (int64_t due = hd_calendar_next(&w->calendar, from); due < to; due = hd_calendar_next(&w->calendar, due + 1))
		if (!filing_waiting_add(l->f, w, due))
			l->no_memory = true;
}

static void remember(struct load *l, uint32_t work, int64_t day)
{
	if (HD_RESERVE(l->days, l->capacity, l->count, 1))
		l->days[l->count++] = (struct load_day){work, day};
	else
		l->no_memory = true;
}

static int take_day(void *arg, const struct hd_day_count *row, struct hydro_error *err)
{
	struct load *l = arg;
	struct filing_work *w = filing_work(l->f, row->work);
	if (!w || l->at[row->work] == INT64_MAX)
		return HYDRO_OK;
	wait_for_days(l, w, l->at[row->work], row->day);
	l->at[row->work] = HD_MAX(row->day + 1, l->at[row->work]);
	int64_t from, to;
	day_range(l, w, row->day, &from, &to);
	uint64_t expected = from < to ? hd_calendar_count(&w->calendar, from, to) : 0, stored = 0, open = 0;
	for (uint32_t s = 0; s < HD_SLOT_STATE_COUNT; s++) {
		stored += row->states[s];
		open += hd_slot_state_is_final(s) ? 0 : row->states[s];
	}
	bool recent = !w->centre || w->centre->check_share >= 1 || row->day >= hd_calendar_day(offset_of(w), l->now_ms) - CHECK_DAYS;
	/* What was taken without a receipt is never checked, and must be read for when it was sent. */
	bool unchecked = recent && (row->states[HD_SLOT_FILED] > row->checked || row->states[HD_SLOT_FILED_NO_RECEIPT] > 0);
	if (stored != expected || open > 0 || unchecked)
		remember(l, row->work, row->day);
	return l->no_memory ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for slots") : HYDRO_OK;
}

static int take_slot(void *arg, const struct hd_slot *row, struct hydro_error *err)
{
	struct load_rows *rows = arg;
	if (!HD_RESERVE(rows->dues, rows->capacity, rows->count, 1))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for slots");
	rows->dues[rows->count++] = row->due_ms;
	return filing_slot_adopt(rows->f, rows->w, row) == HYDRO_OK ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOMEM, "no memory for slots");
}

static int read_day(struct load *l, struct load_rows *rows, const struct load_day *d, struct hydro_error *err)
{
	struct filing_work *w = rows->w = filing_work(l->f, d->work);
	struct hd_slot_filter filter = {.work = d->work, .from_ms = hd_calendar_day_start(offset_of(w), d->day),
					.to_ms = hd_calendar_day_start(offset_of(w), d->day + 1)};
	rows->count = 0;
	int rc = hd_ledger_slots(l->f->config.ledger, &filter, take_slot, rows, err);
	if (rc != HYDRO_OK)
		return rc;
	int64_t from, to;
	uint32_t k = 0;
	day_range(l, w, d->day, &from, &to);
	for (int64_t due = hd_calendar_next(&w->calendar, from); due < to; due = hd_calendar_next(&w->calendar, due + 1)) {
		while (k < rows->count && rows->dues[k] < due)
			k++;
		if ((k == rows->count || rows->dues[k] != due) && !filing_waiting_add(l->f, w, due))
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory for slots");
	}
	return HYDRO_OK;
}

/* What comes after the last stored day, and when the calendar goes on. */
static void finish(struct load *l, struct filing_work *w, int64_t last_change_ms)
{
	struct hd_filing *f = l->f;
	int64_t today = hd_calendar_day(offset_of(w), l->now_ms);
	wait_for_days(l, w, l->at[w->number], today + 1);
	w->next_due_ms = hd_calendar_next(&w->calendar, HD_MAX(w->starts_ms, l->now_ms + 1));
	/* A slot that needs nothing more is not read. Was it checked, it was sent longer ago than the spacing; else nothing was sent after this. */
	if (!w->centre || w->centre->check_share < 1 || !filing_check_wanted(f, w, filing_adapter_of(f, w, l->now_ms), l->now_ms))
		w->last_post_ms = HD_MAX(w->last_post_ms, HD_MIN(last_change_ms, l->now_ms));
	w->look_ms = l->now_ms;
	w->look_step_ms = f->config.look_again_ms;
	w->candidate_ms = w->mark_ms = INT64_MIN;
	filing_work_arm(f, w);
}

static int load(struct load *l, uint32_t number, struct hydro_error *err)
{
	struct hd_filing *f = l->f;
	int64_t first = INT64_MAX, last_change = 0, last = hd_calendar_day(0, l->now_ms) + 1;
	for (uint32_t i = 0; i < f->work_capacity; i++) {
		struct filing_work *w = f->works[i];
		l->at[i] = INT64_MAX;
		if (!w || !w->tracked || (number && i != number))
			continue;
		l->at[i] = hd_calendar_day(offset_of(w), w->starts_ms);
		first = HD_MIN(first, l->at[i]);
	}
	if (first == INT64_MAX)
		return HYDRO_OK;
	int rc = hd_ledger_last_change(f->config.ledger, &last_change, err);
	if (rc == HYDRO_OK)
		rc = hd_ledger_days(f->config.ledger, number ? number : HD_LEDGER_ALL, first, last, take_day, l, err);
	struct load_rows rows = {.f = f};
	for (uint32_t i = 0; rc == HYDRO_OK && i < l->count; i++)
		rc = read_day(l, &rows, &l->days[i], err);
	free(rows.dues);
	for (uint32_t i = 0; rc == HYDRO_OK && i < f->work_capacity; i++)
		if (l->at[i] != INT64_MAX)
			finish(l, f->works[i], last_change);
	return rc == HYDRO_OK && l->no_memory ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for slots") : rc;
}

int filing_slots_load(struct hd_filing *f, uint32_t number, int64_t now_ms, struct hydro_error *err)
{
	struct load l = {.f = f, .now_ms = now_ms, .at = malloc((f->work_capacity + 1) * sizeof(int64_t))};
	int rc = l.at ? load(&l, number, err) : hd_error_set(err, HYDRO_E_NOMEM, "no memory for slots");
	free(l.at);
	free(l.days);
	return rc;
}
