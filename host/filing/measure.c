/* SPDX-License-Identifier: MIT */
/* The measurement of a slot, from history: never an invented value. */
#include "filing/filing_impl.h"

#include "base/array.h"
#include "hostside/options.h"
#include "observe/log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What of a sample may be filed. */
struct reading {
	int64_t ts_ms;
	double values[HYDRO_FIELDS];
	uint32_t fields; /* bits 1 << HYDRO_FIELD_* */
	bool flagged;
};

struct look {
	struct hd_filing *f;
	struct filing_work *w;
	int64_t now_ms;
	struct reading *readings; /* ascending */
	uint32_t count, capacity;
	int64_t newest_ms;   /* of what may be filed */
	int64_t again_ms;    /* when a slot that could be better may be frozen */
	bool unsettled, full;
};

static bool may_be_filed(const struct hd_sample *sample)
{
	return (sample->bits & HD_SAMPLE_FILE) && !(sample->bits & (HD_SAMPLE_CLOCK | HD_SAMPLE_UNPROCESSED | HD_SAMPLE_HELD));
}

static bool flags_touch(const struct hd_sample *sample, const struct filing_work *w)
{
	for (uint32_t i = 0; i < sample->flag_count; i++) {
		uint32_t metric = sample->flags[i].metric;
		if (metric == 0 || metric == w->metrics[0] || metric == w->metrics[1] || metric == w->metrics[2])
			return true;
	}
	return false;
}

static int take_sample(void *arg, const struct hd_sample *sample)
{
	struct look *l = arg;
	const struct filing_work *w = l->w;
	if (!may_be_filed(sample))
		return HYDRO_OK;
	struct reading r = {.ts_ms = sample->ts_ms, .values = {NAN, NAN, NAN}, .flagged = flags_touch(sample, w)};
	for (uint32_t i = 0; i < sample->value_count; i++) {
		const struct hd_value *v = &sample->values[i];
		for (uint32_t field = 0; field < HYDRO_FIELDS; field++) {
			/* A value of quality 0 is no datum. */
			if (v->metric != w->metrics[field] || v->metric == 0 || !(v->quality > 0) || !isfinite(v->value))
				continue;
			r.values[field] = v->value;
			r.fields |= 1u << field;
			r.flagged = r.flagged || v->quality < 1;
		}
	}
	if (r.fields == 0)
		return HYDRO_OK;
	if (!HD_RESERVE(l->readings, l->capacity, l->count, 1))
		return HYDRO_E_NOMEM;
	l->readings[l->count++] = r;
	return HYDRO_OK;
}

static int64_t period_start(const struct filing_work *w, int64_t due_ms)
{
	return hd_calendar_previous(&w->calendar, due_ms - 1);
}

/* A reading belongs to one slot: from just after the slot before, however wide the window is. */
static int64_t window_start(const struct filing_work *w, int64_t due_ms)
{
	int64_t start = period_start(w, due_ms);
	return (w->pick == HD_PICK_MEAN ? start : HD_MAX(start, due_ms - w->window_ms)) + 1;
}

/* Fields that a reading must have (a work's options may let one be empty), and those that it may have. */
static void fields_of(struct filing_work *w, const struct hd_adapter *adapter, uint32_t *ret_needed, uint32_t *ret_all)
{
	struct hydro_error err = {0};
	const hydro_filing_kind *kind = hd_adapter_kind(adapter, w->kind);
	hydro_filing_slot slot = {.struct_size = sizeof slot, .code = w->code, .kind = w->kind, .standard = w->standard};
	slot.work = filing_work_options(w, adapter, &err);
	*ret_all = kind ? kind->fields : 0;
	*ret_needed = hd_adapter_needed(adapter, &slot);
}

static bool pick_nearest(const struct look *l, int64_t from_ms, int64_t due_ms, uint32_t needed, struct reading *ret)
{
	for (uint32_t i = l->count; i-- > 0;) {
		const struct reading *r = &l->readings[i];
		if (r->ts_ms > due_ms || (r->fields & needed) != needed)
			continue;
		if (r->ts_ms < from_ms)
			return false;
		*ret = *r;
		return true;
	}
	return false;
}

static bool pick_mean(const struct look *l, int64_t from_ms, int64_t due_ms, uint32_t needed, struct reading *ret)
{
	uint32_t counts[HYDRO_FIELDS] = {0};
	*ret = (struct reading){0};
	for (uint32_t i = 0; i < l->count; i++) {
		const struct reading *r = &l->readings[i];
		if (r->ts_ms < from_ms || r->ts_ms > due_ms)
			continue;
		for (uint32_t field = 0; field < HYDRO_FIELDS; field++) {
			if (!(r->fields & 1u << field))
				continue;
			double last = r->values[field];
			ret->values[field] = field == HYDRO_FIELD_TOTAL ? last : ret->values[field] + last;
			counts[field]++;
			ret->fields |= 1u << field;
		}
		ret->ts_ms = r->ts_ms;
		ret->flagged = ret->flagged || r->flagged;
	}
	for (uint32_t field = 0; field < HYDRO_FIELDS; field++) {
		if (counts[field] == 0)
			ret->values[field] = NAN;
		else if (field != HYDRO_FIELD_TOTAL)
			ret->values[field] /= counts[field];
	}
	return ret->fields != 0 && (ret->fields & needed) == needed;
}

/* ---- freezing ---- */

const hydro_options *filing_work_options(struct filing_work *w, const struct hd_adapter *adapter, struct hydro_error *err)
{
	if (w->options_of != adapter) {
		hd_adapter_options_free(&w->options);
		w->options_of = NULL;
		if (hd_adapter_options(adapter, w->options_json, &w->options, err) != HYDRO_OK)
			return NULL;
		w->options_of = adapter;
	}
	return w->options ? hd_options_abi(w->options) : NULL;
}

/* A slot whose format did not hold is measured anew when its work was released. */
static uint32_t from_state(struct filing_work *w, int64_t due_ms)
{
	return filing_slot_find(w, due_ms) ? HD_SLOT_HELD : HD_SLOT_DUE;
}

static void hold(struct look *l, int64_t due_ms, const char *why)
{
	struct filing_change *own;
	struct hd_slot_change *row = filing_change_add(&l->f->changes, l->w, due_ms, from_state(l->w, due_ms), HD_SLOT_HELD, l->now_ms, &own);
	if (!row) {
		l->full = true;
		return;
	}
	(void)snprintf(own->cause, sizeof own->cause, "%.90s", why);
	row->cause = own->cause;
	filing_event(l->f, HD_LOG_WARN, "slot_held", l->w->number, "%s: %s", l->w->code, why);
}

/* A slot of the time that a lost ledger may have filed goes to `unknown` at once: again on the next day, when the duplicate answer tells. */
static uint32_t state_after_queued(const struct look *l, int64_t due_ms, const char **ret_cause)
{
	*ret_cause = NULL;
	if (l->w->mode == HD_MODE_SHADOW)
		return HD_SLOT_SHADOW;
	if (l->f->hold_to_ms > 0 && due_ms >= l->f->hold_from_ms && due_ms <= l->f->hold_to_ms) {
		*ret_cause = "restored";
		return HD_SLOT_UNKNOWN;
	}
	return HD_SLOT_QUEUED;
}

static void freeze(struct look *l, int64_t due_ms, const struct hd_adapter *adapter, const struct reading *r, uint32_t all)
{
	struct filing_work *w = l->w;
	struct hydro_error err = {0};
	hydro_filing_slot slot = {.struct_size = sizeof slot, .fields = r->fields & all, .code = w->code, .kind = w->kind, .standard = w->standard,
				  .due_ms = due_ms, .measured_ms = r->ts_ms};
	hydro_filing_payload payload = {.struct_size = sizeof payload};
	for (uint32_t field = 0; field < HYDRO_FIELDS; field++)
		slot.values[field] = slot.fields & 1u << field ? r->values[field] : NAN;
	slot.work = filing_work_options(w, adapter, &err);
	int rc = err.code ? err.code : hd_adapter_prepare(adapter, &slot, &payload, &err);
	if (rc != HYDRO_OK && hd_error_info(rc)->retry == HD_RETRY_LATER) {
		/* The adapter cannot be asked just now (its own process has ended): nothing is wrong with the slot. */
		l->again_ms = HD_MIN(l->again_ms, l->now_ms + FILING_MINUTE_MS);
		filing_event(l->f, HD_LOG_WARN, "adapter_not_asked", w->number, "%s: %s", w->code, err.text);
		return;
	}
	if (rc != HYDRO_OK) {
		hold(l, due_ms, err.text);
		return;
	}
	struct filing_change *own, *own_next;
	const char *cause;
	uint32_t next = state_after_queued(l, due_ms, &cause);
	struct hd_slot_change *row = filing_change_add(&l->f->changes, w, due_ms, from_state(w, due_ms), next == HD_SLOT_SHADOW ? next : HD_SLOT_QUEUED, l->now_ms, &own);
	if (!row || !(own->payload = malloc(payload.len + 1u))) {
		l->full = true;
		l->f->changes.count -= row ? 1 : 0;
		return;
	}
	memcpy(own->payload, payload.text, payload.len);
	own->payload[payload.len] = '\0';
	memcpy(own->values, slot.values, sizeof own->values);
	own->adapter = adapter;
	row->payload = own->payload;
	row->payload_len = payload.len;
	row->adapter = hd_adapter_name(adapter);
	row->measured_ms = r->ts_ms;
	row->values = own->values;
	row->add_marks = r->flagged ? HD_SLOT_FLAGGED : 0;
	own->detail = filing_shadows(l->f, w, adapter, &slot);
	row->detail = own->detail;
	row->detail_len = own->detail ? strlen(own->detail) : 0;
	if (next != HD_SLOT_UNKNOWN)
		return;
	row = filing_change_add(&l->f->changes, w, due_ms, HD_SLOT_QUEUED, next, l->now_ms, &own_next);
	if (!row)
		l->full = true;
	else
		row->cause = cause;
}

static void missing(struct look *l, int64_t due_ms)
{
	struct filing_change *own;
	struct hd_slot_change *row = filing_change_add(&l->f->changes, l->w, due_ms, HD_SLOT_DUE, HD_SLOT_MISSING, l->now_ms, &own);
	if (!row) {
		l->full = true;
		return;
	}
	row->cause = l->w->point == UINT32_MAX ? "no_point" : "no_reading";
	row->add_marks = HD_SLOT_OVER_LAG;
}

/*
 * Until when a nearer reading is waited for: not beyond the settling time, nor so long that the deadline would be missed. Who starts
 * after a standstill first gives collection the time to fetch what was read meanwhile, unless that would cost the deadline.
 */
static int64_t settled(const struct look *l, int64_t due_ms, int64_t deadline_ms)
{
	int64_t last = HD_MIN(due_ms + FILING_SETTLE_MS, deadline_ms), fetched = l->f->opened_ms + FILING_FETCH_MS;
	if (last >= fetched)
		return last;
	return deadline_ms > l->now_ms ? HD_MIN(fetched, deadline_ms) : fetched;
}

/* One waiting slot: frozen, missing, or later. */
static void look_at(struct look *l, int64_t due_ms)
{
	struct filing_work *w = l->w;
	struct reading r;
	uint32_t needed, all;
	const struct hd_adapter *adapter = filing_adapter_of(l->f, w, due_ms);
	if (!adapter)
		return;
	fields_of(w, adapter, &needed, &all);
	int64_t from = window_start(w, due_ms);
	bool found = w->pick == HD_PICK_MEAN ? pick_mean(l, from, due_ms, needed, &r) : pick_nearest(l, from, due_ms, needed, &r);
	if (!found) {
		if (from_state(w, due_ms) == HD_SLOT_DUE && l->now_ms >= hd_calendar_limit(&w->calendar, due_ms))
			missing(l, due_ms);
		return;
	}
	struct hd_pace_rules rules = l->f->rules;
	rules.deadline_ms = hd_adapter_info(adapter)->deadline_ms;
	int64_t last = settled(l, due_ms, r.ts_ms + rules.deadline_ms - rules.reserve_ms);
	if (l->newest_ms >= due_ms || l->now_ms >= last) {
		freeze(l, due_ms, adapter, &r, all);
		return;
	}
	int64_t turn = hd_pace_turn(&rules, w->hash, due_ms, r.ts_ms);
	bool has_come = l->now_ms >= turn;
	l->unsettled = l->unsettled || has_come;
	l->again_ms = HD_MIN(l->again_ms, has_come ? last : HD_MIN(turn, last));
}

/* The waiting slots [first, end) with one query. */
static int look_range(struct look *l, uint32_t first, uint32_t end)
{
	struct filing_work *w = l->w;
	struct hydro_error err = {0};
	int64_t newest_due = w->waiting[end - 1];
	int64_t to = HD_MIN(l->now_ms, newest_due + FILING_SETTLE_MS) + 1;
	struct hd_history_query query = {.point = w->point, .from_ms = window_start(w, w->waiting[first]), .to_ms = to};
	l->count = 0;
	if (w->point != UINT32_MAX) {
		int rc = l->f->config.history(l->f->config.arg, &query, take_sample, l, &err);
		if (rc != HYDRO_OK) {
			filing_event(l->f, HD_LOG_ERROR, "history_not_read", w->number, "%s: %s", w->code, err.text);
			return rc;
		}
	}
	l->newest_ms = l->count ? l->readings[l->count - 1].ts_ms : INT64_MIN;
	for (uint32_t i = first; i < end && !l->full; i++)
		look_at(l, w->waiting[i]);
	return l->full ? HYDRO_E_NOMEM : HYDRO_OK;
}

static void look_again(struct look *l)
{
	struct filing_work *w = l->w;
	struct hd_filing *f = l->f;
	int64_t oldest_limit = hd_calendar_limit(&w->calendar, w->waiting[0]);
	int64_t step = HD_MIN(HD_MAX(w->look_step_ms, f->config.look_again_ms), FILING_LOOK_MAX_MS);
	w->look_ms = HD_MIN(l->again_ms, l->now_ms + step);
	if (oldest_limit > l->now_ms)
		w->look_ms = HD_MIN(w->look_ms, oldest_limit);
	/* After the first hour less and less often: what comes late wakes it by itself. */
	if (l->now_ms - w->waiting[w->waiting_count - 1] > HD_WINDOW_MS)
		w->look_step_ms = step * 2;
}

void filing_look(struct hd_filing *f, struct filing_work *w, int64_t now_ms)
{
	struct look l = {.f = f, .w = w, .now_ms = now_ms, .again_ms = FILING_NEVER};
	int rc = HYDRO_OK;
	uint32_t before = f->changes.count;
	if (w->point == UINT32_MAX && f->config.point) {
		if (f->config.point(f->config.arg, &w->point_id, &w->point))
			f->relink = true;
		else
			w->point = UINT32_MAX;
	}
	/* From before the query on: what comes in meanwhile is not missed. */
	filing_watch(f, w, window_start(w, w->waiting[0]), INT64_MAX);
	for (uint32_t i = 0; rc == HYDRO_OK && i < w->waiting_count; i += FILING_LOOK_SLOTS)
		rc = look_range(&l, i, HD_MIN(i + FILING_LOOK_SLOTS, w->waiting_count));
	free(l.readings);
	look_again(&l);
	if (rc != HYDRO_OK)
		w->look_ms = now_ms + FILING_RETRY_MS;
	/* All that waited is on its way to the ledger: looked at again only if that fails. */
	if (rc == HYDRO_OK && f->changes.count - before >= w->waiting_count)
		filing_watch(f, w, INT64_MAX, INT64_MIN);
	else
		filing_watch(f, w, window_start(w, w->waiting[0]), l.unsettled ? INT64_MAX : w->waiting[w->waiting_count - 1]);
}

void filing_watch(struct hd_filing *f, struct filing_work *w, int64_t from_ms, int64_t to_ms)
{
	if (w->point >= f->watch_count)
		return;
	pthread_mutex_lock(&f->lock);
	struct filing_watch *watch = &f->watches[w->point];
	bool alone = watch->work == w->number && !w->same_point;
	if (alone || (from_ms <= to_ms && watch->from_ms > watch->to_ms)) {
		watch->from_ms = from_ms;
		watch->to_ms = to_ms;
	} else if (from_ms <= to_ms) {
		watch->from_ms = HD_MIN(watch->from_ms, from_ms);
		watch->to_ms = HD_MAX(watch->to_ms, to_ms);
	}
	pthread_mutex_unlock(&f->lock);
}
