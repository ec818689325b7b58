/* SPDX-License-Identifier: MIT */
/* Why a slot stands where it stands, how long a backlog takes, whether a day adds up: for people. */
#include "filing/filing_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define HOUR_MS INT64_C(3600000)

struct outlook_act {
	uint32_t work;
	int64_t due_ms, now_ms;
	struct hd_slot_outlook *ret;
};

static void say(struct hd_slot_outlook *o, const char *why, const char *why_en)
{
	(void)snprintf(o->why, sizeof o->why, "%s", why);
	(void)snprintf(o->why_en, sizeof o->why_en, "%s", why_en);
}

static void say_with(struct hd_slot_outlook *o, const char *why, const char *why_en, const char *cause)
{
	(void)snprintf(o->why, sizeof o->why, "%s: %.100s", why, cause);
	(void)snprintf(o->why_en, sizeof o->why_en, "%s: %.100s", why_en, cause);
}

/* What keeps all of the work or its centre from sending; false: nothing does. */
static bool say_stopped(const struct hd_filing *f, const struct filing_work *w, struct hd_slot_outlook *o)
{
	const struct filing_centre *c = w->centre;
	if (w->mode == HD_MODE_OFF)
		say(o, "La obra está apagada (off)", "The work is off");
	else if (w->by_sheet)
		say(o, "Se envía por planilla o formulario", "It is filed by sheet or form");
	else if (w->held)
		say(o, "Obra retenida por error de configuración", "The work is held: its configuration is wrong");
	else if (w->trouble[0])
		say_with(o, "No se puede enviar", "It cannot be sent", w->trouble);
	else if (!c)
		say(o, "La obra no tiene centro de control", "The work has no control centre");
	else if (c->registered_ms == 0)
		say(o, "El centro de control no tiene registro", "The control centre has no registration");
	else if (w->informant == 0)
		say(o, "La obra no tiene informante", "The work has no informant");
	else if (c->state == HD_CENTRE_BLOCKED)
		say(o, "Centro con señales de bloqueo: espera a una persona", "The centre shows signs of a block: waits for a person");
	else if (c->state == HD_CENTRE_STOPPED)
		say(o, "Centro detenido por una persona", "The centre was stopped by a person");
	else if (!f->on)
		say(o, "El interruptor general está apagado", "The global switch is off");
	else if (f->on_hold)
		say(o, "En espera tras restaurar un respaldo", "On hold after a restore");
	else if (!f->clock_good || f->stopped_by_clock)
		say(o, "El reloj del equipo no es confiable", "The machine's clock is not to be trusted");
	else if (hd_pace_circuit_is_open(&c->circuit))
		say(o, "El regulador no responde: se prueba de a uno", "The regulator does not answer: tried one at a time");
	else
		return false;
	return true;
}

static void say_waiting(const struct hd_filing *f, const struct filing_work *w, const struct filing_slot *s, struct hd_slot_outlook *o)
{
	o->next_ms = HD_MAX(s->not_before_ms, w->last_post_ms + filing_spacing(w));
	if (say_stopped(f, w, o)) {
		o->next_ms = 0;
		return;
	}
	switch (s->state) {
	case HD_SLOT_QUEUED:
		say(o, "En cola: espera su turno", "Queued: waits for its turn");
		break;
	case HD_SLOT_REFUSED:
		say_with(o, "Rechazada: se reenvía al día siguiente", "Refused: again on the next day", o->slot.cause);
		break;
	case HD_SLOT_UNKNOWN:
		say_with(o, "Sin respuesta: pudo llegar; se reenvía al día siguiente", "No answer: it may have arrived; again on the next day", o->slot.cause);
		break;
	case HD_SLOT_HELD:
		say_with(o, "Retenida", "Held", o->slot.cause);
		break;
	default:
		say(o, "En camino", "On its way");
		o->next_ms = 0;
	}
}

static void say_final(struct hd_slot_outlook *o)
{
	switch (o->slot.state) {
	case HD_SLOT_FILED:
		say(o, o->slot.marks & HD_SLOT_CHECKED ? "Enviada y verificada" : "Enviada, con comprobante",
		    o->slot.marks & HD_SLOT_CHECKED ? "Filed and checked" : "Filed, with receipt");
		break;
	case HD_SLOT_FILED_NO_RECEIPT:
		say(o, "Aceptada sin comprobante: verificar a mano", "Taken without a receipt: verify by hand");
		break;
	case HD_SLOT_FILED_DIFFERS:
		say(o, "El regulador tiene otros valores: una persona debe revisar", "The regulator has other values: a person must look");
		break;
	case HD_SLOT_MISSING:
		say_with(o, "Sin medición hasta el fin del plazo", "No measurement until the lag was over", o->slot.cause);
		break;
	case HD_SLOT_SHADOW:
		say(o, "Preparada, no enviada: la obra está en sombra (shadow)", "Prepared, not sent: the work is in shadow");
		break;
	case HD_SLOT_BY_HAND:
		say(o, "Enviada por una persona", "Filed by a person");
		break;
	default:
		say(o, "En camino", "On its way");
	}
}

static int act_outlook(struct hd_filing *f, void *arg, struct hydro_error *err)
{
	struct outlook_act *act = arg;
	struct hd_slot_outlook *o = act->ret;
	struct filing_work *w = filing_work(f, act->work);
	if (!w)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "there is no work %u", act->work);
	*o = (struct hd_slot_outlook){.slot = {.work = act->work, .due_ms = act->due_ms, .values = {NAN, NAN, NAN}}};
	if (w->calendar.every == 0)
		return hd_error_set(err, HYDRO_E_CONFIG, "%s", w->trouble);
	o->limit_ms = hd_calendar_limit(&w->calendar, act->due_ms);
	int rc = hd_ledger_slot(f->config.ledger, act->work, act->due_ms, &o->slot, err);
	if (rc == HYDRO_E_NOTFOUND) {
		hd_error_clear(err);
		if (!hd_calendar_is_slot(&w->calendar, act->due_ms))
			return hd_error_set(err, HYDRO_E_NOTFOUND, "the work has no slot at that time");
		o->next_ms = w->tracked && w->waiting_count ? w->look_ms : 0;
		if (w->mode == HD_MODE_OFF || w->starts_ms == 0 || act->due_ms < w->starts_ms || (w->ends_ms && act->due_ms >= w->ends_ms))
			say(o, "No corresponde: la obra está apagada o fuera de su vigencia", "Not due: the work is off or out of its time");
		else if (act->due_ms > act->now_ms)
			say(o, "Aún no llega su hora", "Its time has not come");
		else
			say(o, w->point == UINT32_MAX ? "La obra no tiene punto" : "Sin medición todavía", w->point == UINT32_MAX ? "The work has no point" : "No measurement yet");
		return HYDRO_OK;
	}
	if (rc != HYDRO_OK)
		return rc;
	const struct filing_slot *s = filing_slot_find(w, act->due_ms);
	if (o->slot.measured_ms)
		o->deadline_ms = o->slot.measured_ms + (s ? filing_deadline(s) - s->measured_ms : w->deadline_ms);
	if (s && s->state != HD_SLOT_FILED)
		say_waiting(f, w, s, o);
	else
		say_final(o);
	return HYDRO_OK;
}

int hd_filing_outlook(struct hd_filing *f, uint32_t work, int64_t due_ms, struct hd_slot_outlook *ret, struct hydro_error *err)
{
	struct outlook_act act = {.work = work, .due_ms = due_ms, .now_ms = hd_clock_wall_ms(), .ret = ret};
	return filing_act(f, act_outlook, &act, err);
}

/* ---- the forecast of a centre's backlog ---- */

struct forecast_act {
	uint32_t centre;
	struct hd_drain_forecast *ret;
};

static double slots_per_hour(const struct filing_work *w)
{
	switch (w->calendar.every) {
	case HYDRO_EVERY_HOUR:
		return 1;
	case HYDRO_EVERY_DAY:
		return 1.0 / 24;
	case HYDRO_EVERY_MONTH:
		return 1.0 / (24 * 30);
	default:
		return 1.0 / (24 * 182);
	}
}

static bool is_backlog(const struct filing_slot *s, int64_t now_ms)
{
	return s->state != HD_SLOT_FILED && s->state != HD_SLOT_HELD && now_ms > filing_deadline(s);
}

/* What of a centre decides how fast it files. */
struct plan {
	double calls_per_s, check_share;
	int64_t spacing_ms; /* 0: each work's */
	uint32_t backlog_scope;
};

static double calls_each(const struct plan *plan)
{
	return 1 + HD_MIN(HD_MAX(plan->check_share, 0), 1);
}

static int64_t spacing_of(const struct plan *plan, const struct filing_work *w)
{
	return plan->spacing_ms > 0 ? plan->spacing_ms : w->spacing_ms;
}

/* How many calls an hour the rates leave to what is late: the centre's cap less the fresh ones and their checks, and the spacing. */
static double backlog_per_hour(const struct plan *plan, double fresh, uint32_t works, int64_t spacing_ms)
{
	double by_rate = plan->calls_per_s * 3600 / calls_each(plan) - fresh;
	double spaced = (double)HOUR_MS / (double)HD_MAX(spacing_ms, 1);
	double by_spacing = plan->backlog_scope == HD_BACKLOG_PER_CENTRE ? spaced : works * spaced - fresh;
	return HD_MIN(by_rate, by_spacing);
}

static void count_over_lag(const struct hd_filing *f, const struct filing_centre *c, int64_t now_ms, int64_t drained_ms, struct hd_drain_forecast *ret)
{
	for (uint32_t i = 0; i < f->work_capacity; i++) {
		const struct filing_work *w = f->works[i];
		for (const struct filing_slot *s = w && w->centre == c ? w->slots : NULL; s; s = s->next)
			if (is_backlog(s, now_ms) && hd_calendar_limit(&w->calendar, s->due_ms) < drained_ms)
				ret->over_lag++;
	}
}

static void forecast_text(struct hd_drain_forecast *ret, int64_t now_ms)
{
	if (ret->drained_ms == INT64_MAX)
		(void)snprintf(ret->text, sizeof ret->text, "%llu late slots; the rate of %.0f calls an hour leaves nothing for them", (unsigned long long)ret->backlog,
			       ret->calls_per_hour);
	else
		(void)snprintf(ret->text, sizeof ret->text, "%llu late slots drain in %.1f h beside %.0f fresh ones an hour; %llu of them beyond their lag",
			       (unsigned long long)ret->backlog, (double)(ret->drained_ms - now_ms) / (double)HOUR_MS, ret->fresh_per_hour,
			       (unsigned long long)ret->over_lag);
}

static void forecast(const struct hd_filing *f, const struct filing_centre *c, const struct plan *plan, int64_t now_ms, struct hd_drain_forecast *ret)
{
	int64_t spacing = 0;
	uint32_t works = 0, longest = 0;
	*ret = (struct hd_drain_forecast){0};
	for (uint32_t i = 0; i < f->work_capacity; i++) {
		const struct filing_work *w = f->works[i];
		if (!w || w->centre != c || !w->tracked || w->mode != HD_MODE_LIVE || w->by_sheet)
			continue;
		uint32_t late = 0;
		ret->fresh_per_hour += slots_per_hour(w);
		for (const struct filing_slot *s = w->slots; s; s = s->next)
			late += is_backlog(s, now_ms);
		ret->backlog += late;
		works += late > 0;
		longest = HD_MAX(longest, late);
		spacing = HD_MAX(spacing, spacing_of(plan, w));
	}
	ret->calls_per_hour = plan->calls_per_s * 3600;
	ret->needed_per_hour = ret->fresh_per_hour * calls_each(plan);
	double per_hour = backlog_per_hour(plan, ret->fresh_per_hour, works, spacing);
	if (ret->backlog == 0)
		ret->drained_ms = now_ms;
	else if (per_hour <= 0)
		ret->drained_ms = INT64_MAX;
	else
		ret->drained_ms = now_ms + (int64_t)HD_MAX((double)ret->backlog / per_hour * (double)HOUR_MS, (double)longest * (double)spacing);
	count_over_lag(f, c, now_ms, ret->drained_ms, ret);
	forecast_text(ret, now_ms);
}

void filing_forecast(const struct hd_filing *f, const struct filing_centre *c, int64_t now_ms, struct hd_drain_forecast *ret)
{
	struct plan plan = {c->calls_per_s, c->check_share, c->spacing_ms, c->backlog_scope};
	forecast(f, c, &plan, now_ms, ret);
}

static int act_forecast(struct hd_filing *f, void *arg, struct hydro_error *err)
{
	struct forecast_act *act = arg;
	const struct filing_centre *c = filing_centre(f, act->centre);
	if (!c)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "there is no centre %u", act->centre);
	filing_forecast(f, c, hd_clock_wall_ms(), act->ret);
	return HYDRO_OK;
}

int hd_filing_forecast(struct hd_filing *f, uint32_t centre, struct hd_drain_forecast *ret, struct hydro_error *err)
{
	struct forecast_act act = {centre, ret};
	return filing_act(f, act_forecast, &act, err);
}

/* ---- a plan before it is set ---- */

static double too_many(const struct hd_drain_forecast *forecast)
{
	return HD_MAX(forecast->needed_per_hour - forecast->calls_per_hour, 0);
}

static int act_centre_check(struct hd_filing *f, void *arg, struct hydro_error *err)
{
	const struct hd_centre *row = arg;
	const struct filing_centre *c = filing_centre(f, row->number);
	struct plan plan = {filing_calls_per_s(row), row->check_share, row->spacing_ms, row->backlog_scope};
	struct hd_drain_forecast as_it_is, then;
	int64_t now_ms = hd_clock_wall_ms();
	if (!c)
		return HYDRO_OK;
	filing_forecast(f, c, now_ms, &as_it_is);
	forecast(f, c, &plan, now_ms, &then);
	if (too_many(&then) > too_many(&as_it_is))
		return hd_error_set(err, HYDRO_E_CONFLICT, "the centre's works have %.0f fresh slots an hour, which with their checks are %.0f calls; %g a second are %.0f calls an hour, so that more"
				    " and more of them would be late (now: %.0f calls an hour)",
				    then.fresh_per_hour, then.needed_per_hour, plan.calls_per_s, then.calls_per_hour, as_it_is.calls_per_hour);
	if (then.over_lag > as_it_is.over_lag)
		return hd_error_set(err, HYDRO_E_CONFLICT, "the backlog would not drain within its lag: %s (now: %s)", then.text, as_it_is.text);
	return HYDRO_OK;
}

int hd_filing_centre_check(struct hd_filing *f, const struct hd_centre *row, struct hydro_error *err)
{
	struct hd_centre copy = *row;
	return filing_act(f, act_centre_check, &copy, err);
}

/* ---- the proof of a day ---- */

struct day_act {
	uint32_t work;
	int64_t day;
	struct hd_day_proof *ret;
};

static int add_day(void *arg, const struct hd_day_count *row, struct hydro_error *err)
{
	struct hd_day_proof *p = arg;
	(void)err;
	if (row->day != p->day)
		return HYDRO_OK;
	p->filed += row->states[HD_SLOT_FILED] + row->states[HD_SLOT_FILED_NO_RECEIPT] + row->states[HD_SLOT_FILED_DIFFERS] + row->states[HD_SLOT_BY_HAND];
	p->explained += row->states[HD_SLOT_MISSING] + row->states[HD_SLOT_HELD] + row->states[HD_SLOT_REFUSED] + row->states[HD_SLOT_UNKNOWN] +
			row->states[HD_SLOT_SHADOW];
	p->open += row->states[HD_SLOT_QUEUED] + row->states[HD_SLOT_CLAIMED] + row->states[HD_SLOT_SENDING];
	return HYDRO_OK;
}

static int act_day(struct hd_filing *f, void *arg, struct hydro_error *err)
{
	struct day_act *act = arg;
	const struct filing_work *w = filing_work(f, act->work);
	if (!w)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "there is no work %u", act->work);
	if (w->calendar.every == 0)
		return hd_error_set(err, HYDRO_E_CONFIG, "%s", w->trouble);
	int64_t now_ms = hd_clock_wall_ms();
	int64_t from = HD_MAX(hd_calendar_day_start(w->calendar.utc_offset_s, act->day), w->starts_ms);
	int64_t to = HD_MIN(hd_calendar_day_start(w->calendar.utc_offset_s, act->day + 1), now_ms + 1);
	to = w->ends_ms ? HD_MIN(to, w->ends_ms) : to;
	struct hd_day_proof p = {.day = act->day, .due = w->starts_ms && from < to ? hd_calendar_count(&w->calendar, from, to) : 0};
	int rc = hd_ledger_days(f->config.ledger, act->work, act->day, act->day + 1, add_day, &p, err);
	if (rc != HYDRO_OK)
		return rc;
	/* What is not stored is open as long as its lag is not over. */
	uint64_t stored = p.filed + p.explained + p.open, not_stored = p.due > stored ? p.due - stored : 0;
	bool in_time = from < to && now_ms < hd_calendar_limit(&w->calendar, from) + HOUR_MS;
	p.open += in_time ? not_stored : 0;
	p.adds_up = p.filed + p.explained + p.open == p.due;
	*act->ret = p;
	return HYDRO_OK;
}

int hd_filing_day_proof(struct hd_filing *f, uint32_t work, int64_t day, struct hd_day_proof *ret, struct hydro_error *err)
{
	struct day_act act = {work, day, ret};
	return filing_act(f, act_day, &act, err);
}
