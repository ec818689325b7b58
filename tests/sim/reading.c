/* SPDX-License-Identifier: MIT */
#include "reading.h"

#include "faults.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

/* How far back the newest reading to be had is looked for. */
#define LATEST_SLOTS_MAX 100000
#define JITTER_SHARE 0.009
#define JITTER_MIN_COUNTER 1000

static int64_t until(const struct sim_fault *f)
{
	return atomic_load_explicit(&f->until_ms, memory_order_relaxed);
}

static bool touches_data(const struct sim_fault *f)
{
	uint32_t scope = sim_fault_infos[f->kind].scope;
	return scope == SIM_SCOPE_DATA || scope == SIM_SCOPE_EVENT || (f->kind == SIM_FAULT_OUTAGE && !f->history);
}

void sim_point_faults_pick(const struct sim *sim, const struct sim_point *point, struct sim_point_faults *ret)
{
	const struct sim_fault_list *list = sim_faults_list(sim->faults);
	ret->count = 0;
	ret->shift_max_ms = 0;
	for (size_t i = 0; i < list->count && ret->count < SIM_POINT_FAULTS_MAX; i++) {
		struct sim_fault *f = list->rows[i];
		if (!touches_data(f) || !(f->services & 1u << point->provider) || point->index < f->point_first || point->index > f->point_last)
			continue;
		ret->rows[ret->count++] = f;
		if (f->kind == SIM_FAULT_CLOCK_AHEAD)
			ret->shift_max_ms = HD_MAX(ret->shift_max_ms, f->delay_ms);
	}
}

static uint64_t fault_draw(const struct sim *sim, const struct sim_point *point, const struct sim_fault *f, int64_t n)
{
	return sim_mix(sim_mix(sim_faults_seed(sim->faults), f->id), ((uint64_t)point->index << 32) ^ (uint64_t)n);
}

/* Whether the slot lies in an episode of this fault; episodes are whole blocks of `length` slots. */
static bool episode(const struct sim *sim, const struct sim_point *point, const struct sim_fault *f, int64_t slot)
{
	int64_t ts = sim_slot_ts(point, slot);
	if (ts < f->from_ms || ts >= until(f))
		return false;
	return f->probability >= 1 || sim_chance(fault_draw(sim, point, f, slot / f->length), f->probability);
}

struct event {
	const struct sim_fault *fault;
	int64_t at_ms;
	uint64_t draw;
};

/* When this point's event takes place: at the window's begin, or anywhere in a window that has an end. */
static bool event_of(const struct sim *sim, const struct sim_point *point, const struct sim_fault *f, struct event *ret)
{
	uint64_t d = fault_draw(sim, point, f, -1);
	if (f->probability < 1 && !sim_chance(d, f->probability))
		return false;
	d = sim_mix(d, 1);
	int64_t end = until(f), from = HD_MAX(f->from_ms, point->first_ms);
	if (end <= from)
		return false;
	*ret = (struct event){f, end == INT64_MAX ? from : from + (int64_t)(d % (uint64_t)(end - from)), sim_mix(d, 2)};
	return true;
}

static size_t events_in_order(const struct sim *sim, const struct sim_point *point, const struct sim_point_faults *faults, struct event ret[SIM_POINT_FAULTS_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < faults->count; i++) {
		struct event e;
		if (sim_fault_infos[faults->rows[i]->kind].scope != SIM_SCOPE_EVENT || !event_of(sim, point, faults->rows[i], &e))
			continue;
		size_t at = n++;
		for (; at > 0 && ret[at - 1].at_ms > e.at_ms; at--)
			ret[at] = ret[at - 1];
		ret[at] = e;
	}
	return n;
}

static int64_t power_above(int64_t value)
{
	int64_t p = 10;
	while (p <= value && p < INT64_C(100000000000000000))
		p *= 10;
	return p;
}

/* What a counter event adds to the counter from then on, given what it would have read (`reads`) at that moment. */
static int64_t event_step(const struct sim_point *point, const struct event *e, int64_t reads)
{
	const struct sim_fault *f = e->fault;
	switch (f->kind) {
	case SIM_FAULT_COUNTER_RESET:
		return (f->has_value ? (int64_t)f->value : 0) - reads;
	case SIM_FAULT_METER_REPLACEMENT:
		return (f->has_value ? (int64_t)f->value : (int64_t)(e->draw % 40)) - reads;
	case SIM_FAULT_ROLLBACK:
		return -HD_MAX((int64_t)((double)reads * (f->has_value ? f->value : 0.3)), 1);
	case SIM_FAULT_JUMP:
		return f->has_value ? (int64_t)f->value : (int64_t)(point->flow_granted_lps * 36000.0 / (double)point->litres_per_pulse) + 1;
	default:
		return 0;
	}
}

/* The counter with its events, at a slot. *ret_events gets the kinds whose first reading this slot is. */
static int64_t counter_at(const struct sim *sim, const struct sim_point *point, const struct sim_point_faults *faults, int64_t slot, uint64_t *ret_events)
{
	struct event events[SIM_POINT_FAULTS_MAX];
	size_t n = events_in_order(sim, point, faults, events);
	int64_t ts = sim_slot_ts(point, slot), before = ts - point->period_ms;
	int64_t shift_then = 0; /* at the event */
	int64_t shift_now = 0;  /* at the slot */
	for (size_t i = 0; i < n; i++) {
		const struct event *e = &events[i];
		int64_t reads = sim_point_pulses(sim, point, e->at_ms) + shift_then;
		if (e->at_ms <= ts && e->at_ms > before)
			*ret_events |= SIM_FAULT_BIT(e->fault->kind);
		if (e->fault->kind == SIM_FAULT_ROLLOVER) {
			/* Of a counter with as many digits as it takes: it stood just below 10^k and goes on from 0. */
			shift_now += (e->at_ms <= ts ? 0 : power_above(reads)) - reads;
			shift_then -= reads;
			continue;
		}
		int64_t step = event_step(point, e, reads);
		shift_then += step;
		if (e->at_ms <= ts)
			shift_now += step;
	}
	return HD_MAX(sim_point_pulses(sim, point, ts) + shift_now, 0);
}

static int64_t cut_digits(int64_t value, const struct sim_fault *f)
{
	for (int64_t digits = f->has_value ? (int64_t)f->value : 2; digits > 0 && value; digits--)
		value /= 10;
	return value;
}

static void lay_values(const struct sim *sim, const struct sim_point *point, const struct sim_point_faults *faults, const struct sim_fault *f, struct sim_reading *r)
{
	uint64_t d = sim_mix(fault_draw(sim, point, f, r->slot), 3), ignored = 0;
	int64_t *pulses = &r->served[SIM_PULSES];
	switch (f->kind) {
	case SIM_FAULT_NEGATIVE_STATUS:
		for (uint32_t m = 0; m < SIM_METRICS; m++)
			if (f->metrics & 1u << m)
				r->served[m] = -(f->has_value ? (int64_t)fabs(f->value) : (int64_t)(d % 5) + 1) * (int64_t)(pow(10, sim_metric_decimals[m]) + 0.5);
		break;
	case SIM_FAULT_DISCONNECTED:
		for (uint32_t m = 0; m < SIM_METRICS; m++)
			r->served[m] = 0;
		break;
	case SIM_FAULT_ZERO:
		*pulses = 0;
		break;
	case SIM_FAULT_JITTER:
		if (*pulses < JITTER_MIN_COUNTER)
			return;
		*pulses -= (int64_t)((double)*pulses * JITTER_SHARE * ((double)(d >> 11) * 0x1p-53)) + 1;
		break;
	case SIM_FAULT_TRUNCATED:
		*pulses = cut_digits(*pulses, f);
		break;
	case SIM_FAULT_FROZEN:
		*pulses = counter_at(sim, point, faults, r->slot / f->length * f->length, &ignored);
		break;
	default:
		return;
	}
	r->events |= SIM_FAULT_BIT(f->kind);
}

static void lay_fault(const struct sim *sim, const struct sim_point *point, const struct sim_point_faults *faults, const struct sim_fault *f, struct sim_reading *r)
{
	switch (f->kind) {
	case SIM_FAULT_OUTAGE:
	case SIM_FAULT_MISSING:
		r->lost = true;
		break;
	case SIM_FAULT_LATE: {
		int64_t when = f->delay_ms >= 0 ? r->ts_ms + f->delay_ms : until(f);
		r->available_ms = HD_MAX(r->available_ms, when);
		break;
	}
	case SIM_FAULT_DUPLICATE:
		r->twice = true;
		break;
	case SIM_FAULT_CLOCK_AHEAD:
		r->shift_ms = f->delay_ms;
		break;
	default:
		lay_values(sim, point, faults, f, r);
		return;
	}
	r->events |= SIM_FAULT_BIT(f->kind);
}

void sim_reading_at(const struct sim *sim, const struct sim_point *point, const struct sim_point_faults *faults, int64_t slot, struct sim_reading *ret)
{
	int64_t ts = sim_slot_ts(point, slot);
	*ret = (struct sim_reading){.slot = slot, .ts_ms = ts, .available_ms = ts};
	sim_point_read(sim, point, slot, ret->truth);
	for (uint32_t m = 0; m < SIM_METRICS; m++)
		ret->served[m] = ret->truth[m];
	if (!faults->count)
		return;
	ret->served[SIM_PULSES] = counter_at(sim, point, faults, slot, &ret->events);
	for (size_t i = 0; i < faults->count; i++) {
		const struct sim_fault *f = faults->rows[i];
		bool data = sim_fault_infos[f->kind].scope != SIM_SCOPE_EVENT;
		if (data && episode(sim, point, f, slot))
			lay_fault(sim, point, faults, f, ret);
	}
}

int64_t sim_reading_ts(const struct sim_point *point, const struct sim_reading *reading, uint32_t metric)
{
	return reading->ts_ms + reading->shift_ms + (metric < SIM_METRICS ? point->skew_ms[metric] : 0);
}

static _Thread_local struct sim_reading *thread_rows;
static pthread_key_t rows_key;
static pthread_once_t rows_once = PTHREAD_ONCE_INIT;

static void make_rows_key(void)
{
	HD_ASSERT(pthread_key_create(&rows_key, free) == 0);
}

static struct sim_reading *rows_of_thread(void)
{
	if (!thread_rows) {
		(void)pthread_once(&rows_once, make_rows_key);
		thread_rows = malloc(SIM_ROWS_MAX * sizeof *thread_rows);
		(void)pthread_setspecific(rows_key, thread_rows);
	}
	return thread_rows;
}

static bool to_be_had(const struct sim_point *point, const struct sim_query *q, const struct sim_reading *r, int64_t now_ms)
{
	int64_t skew = q->metric < SIM_METRICS ? point->skew_ms[q->metric] : 0;
	return !r->lost && r->available_ms + skew <= now_ms;
}

bool sim_query_run(const struct sim *sim, const struct sim_point *point, const struct sim_query *q, int64_t now_ms, struct sim_rows *ret)
{
	struct sim_point_faults faults;
	sim_point_faults_pick(sim, point, &faults);
	*ret = (struct sim_rows){.rows = rows_of_thread()};
	if (!ret->rows)
		return false;
	int64_t skew = q->metric < SIM_METRICS ? point->skew_ms[q->metric] : 0;
	int64_t oldest = now_ms - sim->config.retention_ms;
	int64_t from = q->latest ? oldest : HD_MAX(q->from_ms, oldest), to = q->latest ? INT64_MAX : q->to_ms;
	int64_t high = sim_slot_at(point, HD_MIN(to, now_ms) - skew);
	int64_t low = HD_MAX(sim_slot_at(point, from - skew - faults.shift_max_ms - 1) + 1, 0);
	if (q->latest)
		low = HD_MAX(low, high - LATEST_SLOTS_MAX);
	uint32_t limit = q->latest ? 1 : HD_MIN(q->limit, SIM_ROWS_MAX);
	int64_t step = q->ascending && !q->latest ? 1 : -1;
	for (int64_t slot = step > 0 ? low : high; slot >= low && slot <= high && ret->count < limit; slot += step) {
		struct sim_reading *r = &ret->rows[ret->count];
		sim_reading_at(sim, point, &faults, slot, r);
		int64_t ts = sim_reading_ts(point, r, q->metric);
		if (to_be_had(point, q, r, now_ms) && ts >= from && ts <= to)
			ret->count++;
	}
	return true;
}
