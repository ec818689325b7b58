/* SPDX-License-Identifier: MIT */
/* What is looked at each minute and each day: the clock, claims of others, anchors, the daily proof; and the hold after a restore. */
#include "filing/certificates.h"
#include "filing/filing_impl.h"

#include "observe/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)
#define CLOCK_TRUST_MS (60 * FILING_MINUTE_MS) /* so long a stepped clock must be synchronised before it is believed */
#define PROOF_AFTER_MS (2 * 60 * FILING_MINUTE_MS)

/* ---- the clock ---- */

void filing_clock_look(struct hd_filing *f, int64_t now_ms)
{
	int64_t offset = now_ms - hd_clock_mono_ns() / HD_NS_PER_MS;
	bool good = !f->config.clock_good || f->config.clock_good(f->config.arg);
	if (good != f->clock_good) {
		f->clock_good = good;
		if (!good) {
			filing_event(f, HD_LOG_ERROR, "clock_not_synchronised", 0, "the machine's clock is not synchronised: nothing is sent");
			filing_alarm(f, HD_ALARM_RED, "clock", 0, 0, 1, "El reloj del equipo no está sincronizado: no se envía nada",
				     "The machine's clock is not synchronised: nothing is sent");
		} else if (!f->stopped_by_clock) {
			filing_alarm_clear(f, "clock", 0, 0);
		}
	}
	if (f->offset_since_ms == 0) {
		f->offset_ms = offset;
		f->offset_since_ms = 1;
		return;
	}
	int64_t step = offset - f->offset_ms;
	bool stepped = step > FILING_STEP_MS || step < -FILING_STEP_MS;
	if (stepped && !f->stopped_by_clock) {
		char text[160], text_en[160];
		f->stopped_by_clock = true;
		f->offset_since_ms = hd_clock_mono_ns() / HD_NS_PER_MS;
		filing_event(f, HD_LOG_ERROR, "clock_stepped", 0, "the clock was set by %lld s: nothing is sent", (long long)(step / HD_MS_PER_S));
		(void)snprintf(text, sizeof text, "El reloj del equipo saltó %lld s: no se envía nada", (long long)(step / HD_MS_PER_S));
		(void)snprintf(text_en, sizeof text_en, "The machine's clock was set by %lld s: nothing is sent", (long long)(step / HD_MS_PER_S));
		filing_alarm(f, HD_ALARM_RED, "clock", 0, 0, 1, text, text_en);
	} else if (f->stopped_by_clock && (!stepped || (good && hd_clock_mono_ns() / HD_NS_PER_MS - f->offset_since_ms > CLOCK_TRUST_MS))) {
		/* Set back, or synchronised for so long that the new time is the right one. */
		f->stopped_by_clock = false;
		f->offset_ms = offset;
		filing_event(f, HD_LOG_INFO, "clock_trusted", 0, "the clock is believed again");
		filing_alarm_clear(f, "clock", 0, 0);
	} else if (!stepped) {
		f->offset_ms = offset; /* slewing is no step */
	}
}

/* ---- the hold after a restore ---- */

/* The ledger has put it there when it was opened; here it is told. */
void filing_hold_tell(struct hd_filing *f)
{
	filing_event(f, HD_LOG_ERROR, "filing_on_hold", 0, "the ledger was restored or comes from another machine: nothing is sent until a person lets it go on");
	filing_alarm(f, HD_ALARM_RED, "restored", 0, 0, 1, "El libro de envíos fue restaurado: nada se envía hasta que una persona lo autorice",
		     "The ledger was restored: nothing is sent until a person lets it go on");
}

/* ---- the daily proof ---- */

struct proof {
	struct hd_filing *f;
	int64_t day, now_ms;
	uint32_t *stored; /* by work */
	uint32_t bad;
	char first[64];
};

static int take_day(void *arg, const struct hd_day_count *row, struct hydro_error *err)
{
	struct proof *p = arg;
	(void)err;
	if (row->day != p->day || row->work >= p->f->work_capacity)
		return HYDRO_OK;
	for (uint32_t s = 0; s < HD_SLOT_STATE_COUNT; s++)
		p->stored[row->work] += row->states[s];
	return HYDRO_OK;
}

static void prove_work(struct proof *p, struct filing_work *w)
{
	int64_t from = HD_MAX(hd_calendar_day_start(w->calendar.utc_offset_s, p->day), w->starts_ms);
	int64_t to = hd_calendar_day_start(w->calendar.utc_offset_s, p->day + 1);
	to = w->ends_ms ? HD_MIN(to, w->ends_ms) : to;
	uint64_t expected = from < to ? hd_calendar_count(&w->calendar, from, to) : 0, waiting = 0;
	for (uint32_t i = 0; i < w->waiting_count; i++)
		waiting += w->waiting[i] >= from && w->waiting[i] < to && !filing_slot_find(w, w->waiting[i]);
	if (p->stored[w->number] + waiting == expected)
		return;
	if (p->bad++ == 0)
		(void)snprintf(p->first, sizeof p->first, "%s", w->code);
}

static int prove(struct hd_filing *f, int64_t day, int64_t now_ms, struct hydro_error *err)
{
	struct proof p = {.f = f, .day = day, .now_ms = now_ms, .stored = calloc(f->work_capacity + 1, sizeof(uint32_t))};
	if (!p.stored)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the daily proof");
	int rc = hd_ledger_days(f->config.ledger, HD_LEDGER_ALL, day, day + 1, take_day, &p, err);
	for (uint32_t i = 0; rc == HYDRO_OK && i < f->work_capacity; i++)
		if (f->works[i] && f->works[i]->tracked)
			prove_work(&p, f->works[i]);
	free(p.stored);
	if (rc == HYDRO_OK && p.bad > 0) {
		char text[160], text_en[160];
		filing_event(f, HD_LOG_ERROR, "proof_fails", 0, "%u works do not add up on day %lld, the first is %s", p.bad, (long long)day, p.first);
		(void)snprintf(text, sizeof text, "Prueba diaria: %u obras no cuadran (primera: %s)", p.bad, p.first);
		(void)snprintf(text_en, sizeof text_en, "Daily proof: %u works do not add up (the first: %s)", p.bad, p.first);
		filing_alarm(f, HD_ALARM_RED, "proof", 0, 0, p.bad, text, text_en);
	} else if (rc == HYDRO_OK) {
		filing_alarm_clear(f, "proof", 0, 0);
	}
	return rc;
}

/* ---- each minute ---- */

#define PACK_KEEP_MS (INT64_C(3) * 86400000)
#define PACK_BUDGET_NS (50 * HD_NS_PER_MS)

/* Old audit rows into packs: some steps a minute, once round a day. */
static void pack(struct hd_filing *f, int64_t day, int64_t now_ms)
{
	struct hydro_error err = {0};
	struct hd_pack_plan plan = {.before_ms = now_ms - PACK_KEEP_MS};
	struct hd_pack_done done = {.more = day != f->pack_day};
	int64_t until_ns = hd_clock_real_ns() + PACK_BUDGET_NS;
	while (done.more && hd_clock_real_ns() < until_ns) {
		if (hd_ledger_pack(f->config.ledger, &plan, &done, &err) != HYDRO_OK) {
			filing_event(f, HD_LOG_ERROR, "audit_not_packed", 0, "%s", err.text);
			return;
		}
	}
	if (!done.more)
		f->pack_day = day;
}

static int32_t utc_offset_s(const struct hd_filing *f)
{
	const struct hd_adapter *adapter = hd_adapters_at(f->config.adapters, 0);
	return adapter ? hd_adapter_info(adapter)->utc_offset_s : 0;
}

void filing_minute(struct hd_filing *f, int64_t now_ms)
{
	struct hydro_error err = {0};
	uint64_t expired = 0;
	f->minute_ms = (now_ms / FILING_MINUTE_MS + 1) * FILING_MINUTE_MS;
	if (hd_ledger_expire_claims(f->config.ledger, now_ms, hd_clock_mono_ns(), &expired, &err) != HYDRO_OK)
		filing_event(f, HD_LOG_ERROR, "claims_not_expired", 0, "%s", err.text);
	else if (expired > 0)
		filing_event(f, HD_LOG_WARN, "claims_expired", 0, "%llu claims ended without an answer: unknown until the next day's resend",
			     (unsigned long long)expired);
	int64_t day = hd_calendar_day(utc_offset_s(f), now_ms);
	if (day != f->anchor_day) {
		if (hd_ledger_anchor(f->config.ledger, day - 1, now_ms, &err) == HYDRO_OK)
			f->anchor_day = day;
		else
			filing_event(f, HD_LOG_ERROR, "anchor_not_written", 0, "%s", err.text);
	}
	pack(f, day, now_ms);
	int64_t proof_day = hd_calendar_day(utc_offset_s(f), now_ms - PROOF_AFTER_MS) - 1;
	if (proof_day != f->proof_day) {
		if (prove(f, proof_day, now_ms, &err) == HYDRO_OK)
			f->proof_day = proof_day;
		else
			filing_event(f, HD_LOG_ERROR, "proof_not_made", 0, "%s", err.text);
	}
	int64_t hour = now_ms / (60 * FILING_MINUTE_MS);
	if (hour != f->certificates_hour && hd_certificates_watch(f->config.ledger, now_ms, &err) == HYDRO_OK)
		f->certificates_hour = hour;
	filing_alarms_tell(f, now_ms);
}
