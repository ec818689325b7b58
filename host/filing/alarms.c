/* SPDX-License-Identifier: MIT */
/* Alarms before a limit: which slots pass amber, red and their lag, told per centre. */
#include "filing/filing_impl.h"

#include "observe/log.h"

#include <stdio.h>
#include <string.h>

#define CODES_BYTES 100
#define FORECAST_MS (10 * FILING_MINUTE_MS)

void filing_alarm(struct hd_filing *f, uint32_t level, const char *kind, uint32_t work, uint32_t centre, uint32_t count, const char *text, const char *text_en)
{
	struct hydro_error err = {0};
	int64_t now_ms = hd_clock_wall_ms();
	struct hd_alarm alarm = {.work = work, .centre = centre, .level = level, .count = count, .kind = kind, .text = text, .text_en = text_en,
				 .since_ms = now_ms, .last_ms = now_ms};
	if (hd_ledger_alarm_raise(f->config.ledger, &alarm, &err) != HYDRO_OK)
		filing_event(f, HD_LOG_ERROR, "alarm_not_raised", work, "%s: %s", text_en, err.text);
}

void filing_alarm_clear(struct hd_filing *f, const char *kind, uint32_t work, uint32_t centre)
{
	struct hydro_error err = {0};
	int rc = hd_ledger_alarm_clear(f->config.ledger, kind, work, centre, hd_clock_wall_ms(), &err);
	if (rc != HYDRO_OK && rc != HYDRO_E_NOTFOUND)
		filing_event(f, HD_LOG_ERROR, "alarm_not_cleared", work, "%s: %s", kind, err.text);
}

/* ---- a work's slots against time ---- */

static void pass(int64_t at_ms, int64_t now_ms, uint32_t *count, int64_t *next_ms)
{
	if (now_ms >= at_ms)
		(*count)++;
	else
		*next_ms = HD_MIN(*next_ms, at_ms);
}

static void mark_over_lag(struct hd_filing *f, struct filing_work *w, const struct filing_slot *s, int64_t now_ms)
{
	struct filing_change *own;
	struct hd_slot_change *row = filing_change_add(&f->changes, w, s->due_ms, s->state, s->state, now_ms, &own);
	if (row)
		row->add_marks = HD_SLOT_OVER_LAG;
}

/* The work's configuration was corrected: its slot goes again from the day after it failed. */
static void release_held(struct hd_filing *f, struct filing_work *w, const struct filing_slot *s, int64_t now_ms)
{
	struct filing_change *own;
	struct hd_slot_change *row = filing_change_add(&f->changes, w, s->due_ms, HD_SLOT_HELD, HD_SLOT_QUEUED, now_ms, &own);
	if (row)
		row->cause = "released";
}

/* A work that is put into shadow sends nothing more of what was never sent. */
static void shadow_queued(struct hd_filing *f, struct filing_work *w, const struct filing_slot *s, int64_t now_ms)
{
	struct filing_change *own;
	(void)filing_change_add(&f->changes, w, s->due_ms, HD_SLOT_QUEUED, HD_SLOT_SHADOW, now_ms, &own);
}

void filing_marks_run(struct hd_filing *f, struct filing_work *w, int64_t now_ms)
{
	uint32_t amber = 0, red = 0;
	int64_t next = FILING_NEVER;
	for (const struct filing_slot *s = w->slots; s; s = s->next) {
		int64_t limit = hd_calendar_limit(&w->calendar, s->due_ms);
		if (s->state == HD_SLOT_FILED)
			continue;
		if (s->state == HD_SLOT_HELD && s->attempts > 0 && !w->held && !s->in_flight)
			release_held(f, w, s, now_ms);
		else if (s->state == HD_SLOT_QUEUED && s->attempts == 0 && w->mode == HD_MODE_SHADOW && !s->in_flight)
			shadow_queued(f, w, s, now_ms);
		if (!w->by_sheet)
			pass(s->measured_ms + f->config.amber_ms, now_ms, &amber, &next);
		pass(limit - f->config.red_ms, now_ms, &red, &next);
		if (s->marks & HD_SLOT_OVER_LAG || s->in_flight)
			continue;
		if (now_ms >= limit)
			mark_over_lag(f, w, s, now_ms);
		else
			next = HD_MIN(next, limit);
	}
	for (uint32_t i = 0; i < w->waiting_count; i++)
		pass(hd_calendar_limit(&w->calendar, w->waiting[i]) - f->config.red_ms, now_ms, &red, &next);
	w->mark_ms = next;
	if (w->mode != HD_MODE_LIVE)
		amber = red = 0;
	if (w->centre) {
		w->centre->amber = w->centre->amber + (amber > 0) - (w->amber > 0);
		w->centre->red = w->centre->red + (red > 0) - (w->red > 0);
	}
	w->amber = amber;
	w->red = red;
}

/* ---- per centre ---- */

static void first_codes(const struct hd_filing *f, const struct filing_centre *c, bool red, char ret[CODES_BYTES])
{
	size_t len = 0;
	ret[0] = '\0';
	for (uint32_t i = 0; i < f->work_capacity && len + 24 < CODES_BYTES; i++) {
		const struct filing_work *w = f->works[i];
		if (w && w->centre == c && (red ? w->red : w->amber) > 0)
			len += (size_t)snprintf(ret + len, CODES_BYTES - len, "%s%.20s", len ? ", " : "", w->code);
	}
}

static void tell(struct hd_filing *f, struct filing_centre *c, bool red)
{
	char codes[CODES_BYTES], text[224], text_en[224];
	uint32_t count = red ? c->red : c->amber;
	const char *kind = red ? "lag_at_risk" : "hour_at_risk";
	if (count == 0) {
		filing_alarm_clear(f, kind, 0, c->number);
		return;
	}
	first_codes(f, c, red, codes);
	(void)snprintf(text, sizeof text, "Centro %.30s: %u obras con mediciones sin enviar %s: %s", c->name, count,
		       red ? "cerca del plazo máximo" : "cerca de la hora", codes);
	(void)snprintf(text_en, sizeof text_en, "Centre %.30s: %u works have measurements not filed %s: %s", c->name, count,
		       red ? "near the end of their lag" : "near their hour", codes);
	filing_alarm(f, red ? HD_ALARM_RED : HD_ALARM_AMBER, kind, 0, c->number, count, text, text_en);
}

static bool is_ready(const struct filing_work *w)
{
	return w->centre && w->centre->registered_ms != 0 && w->informant != 0 && w->trouble[0] == '\0';
}

static void tell_not_ready(struct hd_filing *f)
{
	uint32_t count = 0;
	char codes[CODES_BYTES] = "", text[224], text_en[224];
	size_t len = 0;
	for (uint32_t i = 0; i < f->work_capacity; i++) {
		const struct filing_work *w = f->works[i];
		if (!w || w->mode != HD_MODE_LIVE || w->by_sheet || w->starts_ms == 0 || is_ready(w))
			continue;
		count++;
		if (len + 24 < sizeof codes)
			len += (size_t)snprintf(codes + len, sizeof codes - len, "%s%.20s", len ? ", " : "", w->code);
	}
	if (count == f->not_ready_told)
		return;
	f->not_ready_told = count;
	if (count == 0) {
		filing_alarm_clear(f, "not_ready", 0, 0);
		return;
	}
	(void)snprintf(text, sizeof text, "%u obras en modo live no pueden enviar (centro registrado, informante o configuración): %s", count, codes);
	(void)snprintf(text_en, sizeof text_en, "%u live works cannot file (registered centre, informant or configuration): %s", count, codes);
	filing_alarm(f, HD_ALARM_RED, "not_ready", 0, 0, count, text, text_en);
}

/*
 * A plan that cannot hold is told while it is made, not when it is late: more fresh slots with their checks than the rate takes, or a
 * backlog that does not drain within its lag.
 */
static void tell_backlog(struct hd_filing *f, struct filing_centre *c, int64_t now_ms)
{
	struct hd_drain_forecast forecast;
	char text[224], text_en[256];
	if (now_ms < c->forecast_ms)
		return;
	c->forecast_ms = now_ms + FORECAST_MS;
	filing_forecast(f, c, now_ms, &forecast);
	double calls = forecast.needed_per_hour;
	bool overfull = calls > forecast.calls_per_hour, late = forecast.over_lag > 0;
	if (!overfull && !late) {
		if (c->told_backlog)
			filing_alarm_clear(f, "backlog", 0, c->number);
		c->told_backlog = false;
		return;
	}
	c->told_backlog = true;
	if (overfull) {
		(void)snprintf(text, sizeof text, "Centro %.30s: sus obras necesitan %.0f llamadas por hora y su tope es %.0f", c->name, calls, forecast.calls_per_hour);
		(void)snprintf(text_en, sizeof text_en, "Centre %.30s: its works need %.0f calls an hour, its cap is %.0f", c->name, calls, forecast.calls_per_hour);
	} else {
		(void)snprintf(text, sizeof text, "Centro %.30s: %llu mediciones atrasadas no alcanzan a enviarse dentro de su plazo", c->name,
			       (unsigned long long)forecast.over_lag);
		(void)snprintf(text_en, sizeof text_en, "Centre %.30s: %.180s", c->name, forecast.text);
	}
	filing_alarm(f, HD_ALARM_RED, "backlog", 0, c->number, (uint32_t)HD_MIN(forecast.over_lag, (uint64_t)UINT32_MAX), text, text_en);
}

/* Of what a live work still has to file. */
static int64_t oldest_due(const struct hd_filing *f)
{
	int64_t oldest = INT64_MAX;
	for (uint32_t i = 0; i < f->work_capacity; i++) {
		const struct filing_work *w = f->works[i];
		if (!w || w->mode != HD_MODE_LIVE)
			continue;
		if (w->waiting_count)
			oldest = HD_MIN(oldest, w->waiting[0]);
		const struct filing_slot *s = w->slots;
		while (s && s->state == HD_SLOT_FILED)
			s = s->next;
		if (s)
			oldest = HD_MIN(oldest, s->due_ms);
	}
	return oldest == INT64_MAX ? 0 : oldest;
}

void filing_alarms_tell(struct hd_filing *f, int64_t now_ms)
{
	uint32_t amber = 0, red = 0;
	for (uint32_t i = 0; i < f->centre_capacity; i++) {
		struct filing_centre *c = f->centres[i];
		if (!c)
			continue;
		amber += c->amber;
		red += c->red;
		if (c->amber != c->told_amber)
			tell(f, c, false);
		if (c->red != c->told_red)
			tell(f, c, true);
		tell_backlog(f, c, now_ms);
		c->told_amber = c->amber;
		c->told_red = c->red;
	}
	tell_not_ready(f);
	int64_t oldest = oldest_due(f);
	pthread_mutex_lock(&f->lock);
	f->status.alarms_amber = amber;
	f->status.alarms_red = red;
	f->status.oldest_due_ms = oldest;
	pthread_mutex_unlock(&f->lock);
}
