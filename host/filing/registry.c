/* SPDX-License-Identifier: MIT */
/* Works, centres, informants and settings as the ledger has them, read anew when its revision has changed. */
#include "filing/filing_impl.h"

#include "base/array.h"
#include "base/timefmt.h"
#include "observe/log.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKS_PER_PAGE 1000u
#define GATE_LATE_MS 30

struct loading {
	struct hd_filing *f;
	int64_t now_ms;
	uint32_t last;  /* number of the last work of the page */
	uint32_t count;
};

/* ---- tables by number ---- */

struct filing_work *filing_work(struct hd_filing *f, uint32_t number)
{
	return number < f->work_capacity ? f->works[number] : NULL;
}

struct filing_centre *filing_centre(struct hd_filing *f, uint32_t number)
{
	return number < f->centre_capacity ? f->centres[number] : NULL;
}

static bool text_set(char **to, const char *text)
{
	if (*to && strcmp(*to, text ? text : "") == 0)
		return true;
	char *copy = strdup(text ? text : "");
	if (!copy)
		return false;
	free(*to);
	*to = copy;
	return true;
}

/* ---- centres ---- */

double filing_calls_per_s(const struct hd_centre *row)
{
	return row->calls_per_s > 0 ? row->calls_per_s : 1;
}

static int take_centre(void *arg, const struct hd_centre *row, struct hydro_error *err)
{
	struct loading *l = arg;
	struct hd_filing *f = l->f;
	if (!HD_RESERVE_ZEROED(f->centres, f->centre_capacity, row->number, 1))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a centre");
	struct filing_centre *c = f->centres[row->number];
	bool is_new = !c;
	if (is_new) {
		c = f->centres[row->number] = calloc(1, sizeof *c);
		if (!c)
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a centre");
		c->number = row->number;
		c->last_backlog_ms = INT64_MIN / 2;
	}
	if (!text_set(&c->name, row->name) || !text_set(&c->identifier, row->identifier))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a centre");
	if (c->state != HD_CENTRE_RUNNING && row->state == HD_CENTRE_RUNNING) {
		hd_pace_circuit_good(&c->circuit);
		c->resets = 0;
	}
	if (c->version != row->version)
		c->forecast_ms = 0; /* what cannot hold is told at once */
	c->state = row->state;
	c->backlog_scope = row->backlog_scope;
	c->version = row->version;
	c->spacing_ms = row->spacing_ms;
	c->registered_ms = row->registered_ms;
	c->check_share = row->check_share;
	c->calls_per_s = filing_calls_per_s(row);
	hd_pace_gate_set(&c->gate, c->calls_per_s, hd_clock_is_simulated() ? 0 : GATE_LATE_MS);
	if (is_new) /* the process before this one may have called just now */
		hd_pace_gate_take(&c->gate, l->now_ms);
	return HYDRO_OK;
}

/* ---- informants ---- */

static void informant_wipe(struct filing_informant *i)
{
	if (i->secret)
		sodium_memzero(i->secret, strlen(i->secret));
	free(i->secret);
	free(i->identifier);
	*i = (struct filing_informant){0};
}

static int take_informant_version(void *arg, const struct hd_informant *row, struct hydro_error *err)
{
	struct loading *l = arg;
	struct hd_filing *f = l->f;
	if (!HD_RESERVE_ZEROED(f->informants, f->informant_capacity, row->number, 1))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for an informant");
	struct filing_informant *i = &f->informants[row->number];
	if (i->version != row->version)
		informant_wipe(i);
	return HYDRO_OK;
}

static int take_informant(void *arg, const struct hd_informant *row, struct hydro_error *err)
{
	struct filing_informant *i = arg;
	i->identifier = strdup(row->identifier);
	i->secret = strdup(row->secret ? row->secret : "");
	i->version = row->version;
	if (i->identifier && i->secret)
		return HYDRO_OK;
	informant_wipe(i);
	return hd_error_set(err, HYDRO_E_NOMEM, "no memory for an informant");
}

const struct filing_informant *filing_informant(struct hd_filing *f, uint32_t number, struct hydro_error *err)
{
	if (number == 0 || number >= f->informant_capacity) {
		(void)hd_error_set(err, HYDRO_E_NOTFOUND, "there is no informant %u", number);
		return NULL;
	}
	struct filing_informant *i = &f->informants[number];
	if (!i->identifier && hd_ledger_informant_get(f->config.ledger, number, NULL, true, take_informant, i, err) != HYDRO_OK)
		return NULL;
	return i;
}

/* ---- works ---- */

int hd_filing_calendar(const struct hd_adapters *adapters, const struct hd_work *work, struct hd_calendar *ret, struct hydro_error *err)
{
	const struct hd_adapter *adapter = hd_adapters_pick(adapters, work->family, "", HD_MAX(hd_clock_wall_ms(), work->starts_ms));
	if (!adapter)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "no adapter of the family \"%.40s\" is configured", work->family ? work->family : "");
	const hydro_filing_standard *standard = hd_adapter_standard(adapter, work->standard);
	if (!standard)
		return hd_error_set(err, HYDRO_E_CONFIG, "standard: \"%.40s\" is none of %s", work->standard ? work->standard : "", hd_adapter_name(adapter));
	bool own_lag = work->lag_ms > 0 || work->lag_months > 0;
	*ret = (struct hd_calendar){
		.every = work->every ? work->every : standard->every,
		.utc_offset_s = hd_adapter_info(adapter)->utc_offset_s,
		.at_ms = HD_MAX(work->at_ms, 0),
		.lag_ms = own_lag ? work->lag_ms : standard->lag_ms,
		.lag_months = own_lag ? (work->lag_ms > 0 ? 0 : work->lag_months) : standard->lag_months,
	};
	return HYDRO_OK;
}

static uint32_t metric_of(struct hd_filing *f, const char *own, const char *fallback)
{
	const char *name = own && *own ? own : fallback;
	return name && *name ? hd_names_find(f->config.names, HD_NAME_METRIC, name) : 0;
}

/* What the work's adapter says about it: metrics, calendar, options. What does not hold is the work's trouble. */
static void work_prepare(struct hd_filing *f, struct filing_work *w, const struct hd_work *row, int64_t now_ms)
{
	struct hydro_error err = {0};
	w->trouble[0] = '\0';
	hd_adapter_options_free(&w->options);
	w->options_of = NULL;
	if (hd_filing_calendar(f->config.adapters, row, &w->calendar, &err) != HYDRO_OK) {
		w->calendar = (struct hd_calendar){0};
		(void)snprintf(w->trouble, sizeof w->trouble, "%.90s", err.text);
		return;
	}
	const struct hd_adapter *adapter = filing_adapter_of(f, w, HD_MAX(now_ms, w->starts_ms));
	const hydro_filing_kind *kind = adapter ? hd_adapter_kind(adapter, w->kind) : NULL;
	if (!kind) {
		(void)snprintf(w->trouble, sizeof w->trouble, "kind: \"%.40s\" is not known to the adapter", w->kind);
		return;
	}
	w->spacing_ms = hd_adapter_info(adapter)->spacing_ms;
	w->deadline_ms = hd_adapter_info(adapter)->deadline_ms;
	w->metrics[HYDRO_FIELD_FLOW] = metric_of(f, row->flow_metric, "flow");
	w->metrics[HYDRO_FIELD_TOTAL] = metric_of(f, row->total_metric, "total");
	w->metrics[HYDRO_FIELD_LEVEL] = metric_of(f, row->level_metric, kind->level_metric);
}

static bool is_tracked(const struct filing_work *w, const struct hd_work *row)
{
	return !row->deleted && row->mode != HD_MODE_OFF && row->starts_ms > 0 && w->calendar.every != 0;
}

static void find_point(struct hd_filing *f, struct filing_work *w)
{
	static const struct hd_uuid none;
	w->point = UINT32_MAX;
	if (!hd_uuid_equal(&w->point_id, &none) && f->config.point && !f->config.point(f->config.arg, &w->point_id, &w->point))
		w->point = UINT32_MAX;
}

static int take_work_row(struct hd_filing *f, struct filing_work *w, const struct hd_work *row, int64_t now_ms, struct hydro_error *err)
{
	struct filing_centre *centre = filing_centre(f, row->centre);
	bool new_calendar = w->starts_ms != row->starts_ms || w->ends_ms != row->ends_ms;
	struct hd_calendar before = w->calendar;
	bool was_tracked = w->tracked, was_held = w->held;
	if (!text_set(&w->code, row->code) || !text_set(&w->kind, row->kind) || !text_set(&w->standard, row->standard) ||
	    !text_set(&w->family, row->family) || !text_set(&w->options_json, row->options) || !text_set(&w->adapters_json, row->adapters))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a work");
	if (centre != w->centre) {
		filing_slots_forget(f, w);
		w->centre = centre;
		new_calendar = true;
	}
	w->version = row->version;
	w->mode = row->mode;
	w->by_sheet = row->by_sheet;
	w->held = row->held_since_ms != 0;
	w->informant = row->informant;
	w->pick = row->pick;
	w->window_ms = row->window_ms > 0 ? row->window_ms : HD_WINDOW_MS;
	w->starts_ms = row->starts_ms;
	w->ends_ms = row->ends_ms;
	w->point_id = row->point;
	find_point(f, w);
	work_prepare(f, w, row, now_ms);
	w->tracked = is_tracked(w, row);
	if (memcmp(&before, &w->calendar, sizeof before) != 0 || w->tracked != was_tracked)
		new_calendar = true;
	if (was_held && !w->held)
		w->candidate_ms = INT64_MIN;
	/* During the first load the slots of all works are read together. */
	if (new_calendar && f->loaded) {
		filing_slots_forget(f, w);
		if (w->tracked)
			return filing_slots_load(f, w->number, now_ms, err);
	}
	if (!w->tracked)
		filing_slots_forget(f, w);
	w->look_ms = w->waiting_count ? HD_MIN(w->look_ms, now_ms) : FILING_NEVER;
	w->candidate_ms = INT64_MIN;
	filing_work_arm(f, w);
	return HYDRO_OK;
}

static int take_work(void *arg, const struct hd_work *row, struct hydro_error *err)
{
	struct loading *l = arg;
	struct hd_filing *f = l->f;
	l->last = row->number;
	l->count++;
	if (!HD_RESERVE_ZEROED(f->works, f->work_capacity, row->number, 1))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a work");
	struct filing_work *w = f->works[row->number];
	if (w && w->version == row->version)
		return HYDRO_OK;
	if (!w) {
		w = f->works[row->number] = calloc(1, sizeof *w);
		if (!w)
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a work");
		w->number = row->number;
		w->hash = hd_hash_u64(row->number);
		w->look_ms = w->candidate_ms = w->foreign_ms = w->mark_ms = w->next_due_ms = FILING_NEVER;
		w->last_post_ms = INT64_MIN / 2;
		w->point = UINT32_MAX;
	}
	return take_work_row(f, w, row, l->now_ms, err);
}

/* ---- settings ---- */

/* "" when it was never set. */
static int setting(struct hd_filing *f, const char *key, struct hd_buf *ret, struct hydro_error *err)
{
	hd_buf_clear(ret);
	int rc = hd_ledger_setting_get(f->config.ledger, key, ret, err);
	if (!hd_buf_text(ret))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for settings");
	return rc == HYDRO_E_NOTFOUND ? HYDRO_OK : rc;
}

static int load_settings(struct hd_filing *f, struct hydro_error *err)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf text = {0};
	int rc = setting(f, "kill_switch", &text, err);
	if (rc != HYDRO_OK)
		return rc;
	f->on = strcmp(hd_buf_text(&text), "on") == 0;
	rc = setting(f, "hold", &text, err);
	if (rc != HYDRO_OK)
		return rc;
	f->on_hold = text.len > 0;
	rc = setting(f, "restored_from_ms", &text, err);
	if (rc != HYDRO_OK)
		return rc;
	f->hold_from_ms = strtoll(hd_buf_text(&text), NULL, 10);
	rc = setting(f, "restored_to_ms", &text, err);
	if (rc != HYDRO_OK)
		return rc;
	f->hold_to_ms = strtoll(hd_buf_text(&text), NULL, 10);
	hd_error_clear(err);
	return HYDRO_OK;
}

/* ---- all ---- */

static int load_works(struct loading *l, struct hydro_error *err)
{
	int rc;
	do {
		struct hd_work_filter filter = {.mode = -1, .held = -1, .centre = HD_LEDGER_ALL, .after = l->last, .limit = WORKS_PER_PAGE};
		struct hd_store_page page = {0};
		l->count = 0;
		rc = hd_ledger_work_list(l->f->config.ledger, &filter, take_work, l, &page, err);
	} while (rc == HYDRO_OK && l->count == WORKS_PER_PAGE);
	return rc;
}

/* Points of which works are filed, for the samples that are waited for. */
void filing_points_link(struct hd_filing *f)
{
	f->relink = false;
	pthread_mutex_lock(&f->lock);
	for (uint32_t i = 0; i < f->watch_count; i++)
		f->watches[i].work = 0;
	for (uint32_t i = 0; i < f->work_capacity; i++) {
		struct filing_work *w = f->works[i];
		if (!w)
			continue;
		w->same_point = NULL;
		if (!w->tracked || w->point == UINT32_MAX)
			continue;
		uint32_t had = f->watch_count;
		if (!HD_RESERVE(f->watches, f->watch_count, w->point, 1))
			continue; /* it is found by its looks */
		for (uint32_t k = had; k < f->watch_count; k++)
			f->watches[k] = (struct filing_watch){.from_ms = INT64_MAX, .to_ms = INT64_MIN};
		w->same_point = filing_work(f, f->watches[w->point].work);
		f->watches[w->point].work = w->number;
	}
	pthread_mutex_unlock(&f->lock);
}

static void count_works(struct hd_filing *f)
{
	struct hd_filing_status counted = {0};
	for (uint32_t i = 0; i < f->centre_capacity; i++)
		if (f->centres[i]) {
			f->centres[i]->works = f->centres[i]->live = 0;
			counted.centres_blocked += f->centres[i]->state == HD_CENTRE_BLOCKED;
		}
	for (uint32_t i = 0; i < f->work_capacity; i++) {
		const struct filing_work *w = f->works[i];
		if (!w || !w->version)
			continue;
		counted.works[HD_MIN(w->mode, 2u)]++;
		counted.works_held += w->held;
		if (w->centre) {
			w->centre->works++;
			w->centre->live += w->tracked && w->mode == HD_MODE_LIVE && !w->by_sheet;
		}
	}
	pthread_mutex_lock(&f->lock);
	memcpy(f->status.works, counted.works, sizeof counted.works);
	f->status.works_held = counted.works_held;
	f->status.centres_blocked = counted.centres_blocked;
	pthread_mutex_unlock(&f->lock);
}

int filing_registry_load(struct hd_filing *f, int64_t now_ms, struct hydro_error *err)
{
	uint64_t revision = hd_ledger_revision(f->config.ledger), expired = 0;
	struct loading l = {.f = f, .now_ms = now_ms};
	int rc = HYDRO_OK;
	if (!f->loaded)
		rc = hd_ledger_expire_claims(f->config.ledger, now_ms, hd_clock_mono_ns(), &expired, err);
	if (rc == HYDRO_OK)
		rc = load_settings(f, err);
	if (rc == HYDRO_OK)
		rc = hd_ledger_centre_list(f->config.ledger, take_centre, &l, err);
	if (rc == HYDRO_OK)
		rc = hd_ledger_informant_list(f->config.ledger, take_informant_version, &l, err);
	if (rc == HYDRO_OK)
		rc = load_works(&l, err);
	if (rc == HYDRO_OK && !f->loaded) {
		rc = filing_slots_load(f, 0, now_ms, err);
		if (rc == HYDRO_OK)
			filing_event(f, HD_LOG_INFO, "filing_ready", 0, "%llu slots to be sent or checked, %llu without measurement, %llu claims expired",
				     (unsigned long long)f->slot_count, (unsigned long long)f->waiting_count, (unsigned long long)expired);
	}
	if (rc != HYDRO_OK)
		return rc;
	f->loaded = true;
	f->revision = revision;
	filing_points_link(f);
	count_works(f);
	return HYDRO_OK;
}

static void work_free(struct hd_filing *f, struct filing_work *w)
{
	filing_slots_forget(f, w);
	hd_adapter_options_free(&w->options);
	free(w->waiting);
	free(w->code);
	free(w->kind);
	free(w->standard);
	free(w->family);
	free(w->options_json);
	free(w->adapters_json);
	free(w);
}

void filing_registry_done(struct hd_filing *f)
{
	for (uint32_t i = 0; i < f->work_capacity; i++)
		if (f->works[i])
			work_free(f, f->works[i]);
	for (uint32_t i = 0; i < f->centre_capacity; i++) {
		struct filing_centre *c = f->centres[i];
		if (!c)
			continue;
		hd_pace_heap_done(&c->ready);
		filing_foreign_clear(c);
		hd_pace_heap_done(&c->checks);
		free(c->name);
		free(c->identifier);
		free(c);
	}
	for (uint32_t i = 0; i < f->informant_capacity; i++)
		informant_wipe(&f->informants[i]);
	hd_pace_heap_done(&f->timers);
	free(f->works);
	free(f->centres);
	free(f->informants);
}
