/* SPDX-License-Identifier: MIT */
/*
 * Pulses to m3. What a counter may do (DOMAIN §4), told apart without ever letting a bad value become the baseline: a drop
 * opens a *series*; the series is a new count once it has risen often enough, and an error when the old count comes back.
 */
#include "pipeline/run.h"

#include "base/clock.h"

#include <math.h>

enum { P_LITRES, P_OFFSET, P_MAX };
enum { C_CONFIRM, C_NOISE, C_TRUNCATED, C_DISCONNECTED, C_DIGITS };
enum { OUT_TOTAL, OUT_VOLUME, OUT_ACC };

#define MS_PER_HOUR 3600000.0
#define LEARNED_MARGIN 8.0      /* times the highest rate seen is still believed when no max_per_hour is given … */
#define USUAL_MARGIN 5.0        /* … is usual */
#define PEAK_KEEP 0.998f        /* of the highest rate seen, per reading */
#define ROLLOVER_SHARE 0.05     /* of the whole range is the most a rollover may hide */
#define RISES_BELIEVED 3u         /* a series that rose so often may cross the old count and go on as itself */
#define HOURS_MIN (1.0 / 60.0)

/* What one reading came to. */
struct verdict {
	uint32_t flag;  /* HD_FLAG_NONE: clean */
	uint32_t also;  /* a second one */
	bool datum;     /* there is a total */
	bool accepted;  /* the baseline moved; otherwise there is no volume and no flow */
	double delta;   /* accepted difference in raw units */
};

/* One reading as the rules see it. */
struct reading {
	double x;
	int64_t ts;
	double hours;     /* since the baseline */
	double per_hour;  /* most raw units an hour; 0 = not known */
	bool after_gap;
	const double *c;  /* constants of the step */
};

static double hours_between(int64_t from_ms, int64_t to_ms)
{
	double hours = (double)(to_ms - from_ms) / MS_PER_HOUR;
	return hours > HOURS_MIN ? hours : HOURS_MIN;
}

/* Whether `units` in `hours` can be water; one unit is always within the counter's resolution. */
static bool is_plausible(const struct reading *r, double units, double hours)
{
	return r->per_hour <= 0 || units <= r->per_hour * hours + 1.0;
}

/* What may well have run since the baseline: by the rate learned, within the one configured. */
static double usual_units(const struct hd_counter_state *s, const struct reading *r)
{
	double learned = (double)s->peak * USUAL_MARGIN;
	double rate = learned > 0 && (r->per_hour <= 0 || learned < r->per_hour) ? learned : r->per_hour;
	return rate > 0 ? rate * r->hours + 1.0 : 0.001 * s->base;
}

static void move_baseline(struct hd_counter_state *s, const struct reading *r, double delta)
{
	float rate = (float)(delta / r->hours);
	s->peak = rate > s->peak * PEAK_KEEP ? rate : s->peak * PEAK_KEEP;
	s->acc += delta;
	s->base = r->x;
	s->base_ts = r->ts;
	s->pending = 0;
}

/* A drop of more than 90 %, of what the counter should show by now: the last digit cut off is no more than that. */
static bool is_cut_off(const struct hd_counter_state *s, const struct reading *r)
{
	return r->x <= (1.0 - r->c[C_TRUNCATED]) * (s->base + usual_units(s, r));
}

static void open_series(struct hd_counter_state *s, const struct reading *r, uint32_t flag)
{
	s->pending = (uint8_t)flag;
	s->first = s->last = r->x;
	s->last_ts = r->ts;
	s->span_ms = 0;
	s->rises = 0;
	s->bits &= (uint8_t)~(HD_COUNTER_PENDING_GAP | HD_COUNTER_NEW_COUNT | HD_COUNTER_CUT_OFF);
	if (r->after_gap)
		s->bits |= HD_COUNTER_PENDING_GAP;
	/* From zero: the count is what may have run since the last good reading. */
	if (r->x < s->base && r->x <= usual_units(s, r))
		s->bits |= HD_COUNTER_NEW_COUNT;
	if (is_cut_off(s, r))
		s->bits |= HD_COUNTER_CUT_OFF;
}

/* What a confirmed series was. */
static uint32_t class_of(const struct hd_counter_state *s)
{
	if (s->first > s->base)
		return HD_FLAG_JUMP;
	if (s->bits & (HD_COUNTER_PENDING_GAP | HD_COUNTER_REPLACED))
		return HD_FLAG_METER_REPLACED;
	if (!(s->bits & HD_COUNTER_CUT_OFF))
		return HD_FLAG_ROLLBACK;
	return s->bits & HD_COUNTER_NEW_COUNT ? HD_FLAG_RESET : HD_FLAG_METER_REPLACED;
}

/*
 * The series is the count now. After a reset to zero all it shows is water; of a new meter, or from elsewhere, only what it
 * rose by. Water between the last good reading and the series is unknowable. A jump stays in the total, which is filed as
 * read, not in the volume.
 */
static struct verdict confirm(struct hd_counter_state *s, const struct reading *r, uint32_t flag)
{
	s->event_ts = s->last_ts - (int64_t)s->span_ms;
	s->event_carried = s->carried;
	s->event_flag = flag & 0xffu;
	s->event_bits = s->bits;
	double delta = r->x - s->first;
	if (s->first < s->base || flag == HD_FLAG_METER_REPLACED) {
		bool from_zero = (s->bits & HD_COUNTER_NEW_COUNT) != 0;
		s->carried += from_zero ? s->base : s->base - s->first;
		if (from_zero && flag != HD_FLAG_METER_REPLACED)
			delta += s->first;
	}
	float peak = s->peak;
	move_baseline(s, r, delta);
	s->peak = peak;
	s->bits &= (uint8_t)~(HD_COUNTER_REPLACED | HD_COUNTER_PENDING_GAP | HD_COUNTER_NEW_COUNT | HD_COUNTER_CUT_OFF);
	return (struct verdict){.flag = flag, .datum = true, .accepted = true, .delta = delta};
}

static bool pending_has_datum(uint32_t flag)
{
	return flag != HD_FLAG_TRUNCATED && flag != HD_FLAG_INGEST_ERROR;
}

/* A reading that goes on with the open series; false when it does not belong to it. */
static bool continue_series(struct hd_counter_state *s, const struct reading *r, struct verdict *ret)
{
	if (!s->pending || r->x < s->last || !is_plausible(r, r->x - s->last, hours_between(s->last_ts, r->ts)))
		return false;
	/* Back above the old count: noise always, and a short series, was the error that is now over. */
	if (r->x >= s->base && s->first < s->base && (s->pending == HD_FLAG_NOISE || s->rises < RISES_BELIEVED))
		return false;
	if (r->x > s->last)
		s->rises++;
	s->last = r->x;
	s->span_ms += (uint64_t)(r->ts - s->last_ts) & (UINT64_MAX >> 16);
	s->last_ts = r->ts;
	if ((double)s->rises >= r->c[C_CONFIRM]) {
		*ret = confirm(s, r, class_of(s));
		return true;
	}
	*ret = (struct verdict){.flag = s->pending, .datum = pending_has_datum(s->pending)};
	return true;
}

/* The range of the counter when its base is near the end of it, else 0. */
static double rollover_range(const struct hd_counter_state *s, const struct reading *r)
{
	if (r->c[C_DIGITS] > 0)
		return pow(10.0, r->c[C_DIGITS]);
	double range = 1000.0;
	while (range <= s->base && range < 1e15)
		range *= 10.0;
	return range;
}

static bool is_rollover(const struct hd_counter_state *s, const struct reading *r, double *ret_range)
{
	double range = rollover_range(s, r);
	double hidden = range - s->base + r->x;
	*ret_range = range;
	return hidden >= 0 && hidden <= ROLLOVER_SHARE * range && hidden <= usual_units(s, r);
}

static struct verdict backward(struct hd_counter_state *s, const struct reading *r)
{
	double drop = s->base - r->x, range;
	if (s->bits & HD_COUNTER_REPLACED && drop > r->c[C_NOISE] * s->base) {
		open_series(s, r, HD_FLAG_RESET_PENDING);
		return confirm(s, r, HD_FLAG_METER_REPLACED);
	}
	if (is_rollover(s, r, &range)) {
		double delta = range - s->base + r->x;
		s->event_ts = r->ts;
		s->event_carried = s->carried;
		s->event_flag = HD_FLAG_ROLLOVER;
		s->carried += range;
		move_baseline(s, r, delta);
		return (struct verdict){.flag = HD_FLAG_ROLLOVER, .datum = true, .accepted = true, .delta = delta};
	}
	uint32_t flag = HD_FLAG_RESET_PENDING;
	if (r->x == 0)
		flag = HD_FLAG_INGEST_ERROR;
	else if (drop < r->c[C_NOISE] * s->base)
		flag = HD_FLAG_NOISE;
	else if (is_cut_off(s, r) && !r->after_gap)
		flag = HD_FLAG_TRUNCATED;
	/* A wobble below an open series neither opens another one nor counts. */
	bool wobble = s->pending && r->x < s->last && s->last - r->x <= r->c[C_NOISE] * s->last;
	if (!wobble)
		open_series(s, r, flag);
	flag = wobble ? s->pending : flag;
	return (struct verdict){.flag = flag, .datum = pending_has_datum(flag)};
}

static struct verdict forward(struct hd_counter_state *s, const struct reading *r, bool limited)
{
	double delta = r->x - s->base;
	if (s->bits & HD_COUNTER_REPLACED && !is_plausible(r, delta, r->hours)) {
		open_series(s, r, HD_FLAG_JUMP);
		return confirm(s, r, HD_FLAG_METER_REPLACED);
	}
	/* Only a configured limit calls forward steps jumps: what was learned is no right. */
	if (limited && !r->after_gap && !is_plausible(r, delta, r->hours)) {
		open_series(s, r, HD_FLAG_JUMP);
		return (struct verdict){.flag = HD_FLAG_JUMP, .datum = true};
	}
	bool jumped = limited && r->after_gap && !is_plausible(r, delta, r->hours);
	move_baseline(s, r, delta);
	return (struct verdict){.flag = r->after_gap ? HD_FLAG_RECONNECTED : HD_FLAG_NONE, .also = jumped ? HD_FLAG_JUMP : HD_FLAG_NONE,
				.datum = true, .accepted = true, .delta = delta};
}

/* Everything but the plain forward step. */
static struct verdict judge(const struct hd_step *step, struct hd_counter_state *s, struct reading *r, double max_units)
{
	if (r->x < 0)
		return (struct verdict){.flag = HD_FLAG_STATUS_CODE};
	if (!s->base_ts) {
		s->base = r->x;
		s->base_ts = r->ts;
		return (struct verdict){.datum = true, .accepted = true};
	}
	r->hours = hours_between(s->base_ts, r->ts);
	r->after_gap = (double)(r->ts - s->base_ts) > step->consts[C_DISCONNECTED];
	r->per_hour = max_units > 0 ? max_units : (double)s->peak * LEARNED_MARGIN;
	struct verdict verdict;
	if (s->bits & HD_COUNTER_KNOWN && r->ts >= s->event_ts) {
		s->bits &= (uint8_t)~HD_COUNTER_KNOWN;
		if (r->ts == s->event_ts) {
			open_series(s, r, s->event_flag);
			s->bits = (uint8_t)(s->event_bits & ~HD_COUNTER_KNOWN);
			return confirm(s, r, s->event_flag);
		}
	}
	if (continue_series(s, r, &verdict))
		return verdict;
	return r->x >= s->base ? forward(s, r, max_units > 0) : backward(s, r);
}

static void emit(const struct hd_step *step, struct hd_run *run, uint32_t i, const struct hd_counter_state *s, double x,
		 const struct verdict *v)
{
	const double *p = run->rows[i].params + step->param;
	double m3 = p[P_LITRES] / 1000.0;
	if (v->datum) {
		hd_run_set(run, i, step->out[OUT_TOTAL], (x + s->carried) * m3 + p[P_OFFSET], HD_QUALITY_GOOD);
	}
	if (v->accepted) {
		hd_run_set(run, i, step->out[OUT_ACC], s->acc, HD_QUALITY_GOOD);
		if (step->out[OUT_VOLUME] != HD_SLOT_NONE)
			hd_run_set(run, i, step->out[OUT_VOLUME], v->delta * m3, HD_QUALITY_GOOD);
	}
	if (v->flag)
		hd_run_flag(run, i, step->out[OUT_TOTAL], v->flag, step->rule);
	if (v->also)
		hd_run_flag(run, i, step->out[OUT_TOTAL], v->also, step->rule);
}

static void counter_slow(const struct hd_step *step, struct hd_run *run, uint32_t i, double x, double max_units)
{
	struct hd_row *row = &run->rows[i];
	struct hd_counter_state *s = (struct hd_counter_state *)(void *)(row->state + step->state);
	struct reading r = {.x = x, .ts = row->ts_ms, .c = step->consts};
	int64_t event_ts = s->event_ts;
	/* The raw value of a total that is no datum must not stand for it. */
	if (step->in[0] == step->out[OUT_TOTAL])
		row->present &= ~(UINT64_C(1) << step->out[OUT_TOTAL]);
	struct verdict v = judge(step, s, &r, max_units);
	emit(step, run, i, s, x, &v);
	if (s->event_ts != event_ts && s->event_ts < row->ts_ms)
		row->redo_from_ms = s->event_ts;
}

static void run_counter(const struct hd_step *step, struct hd_run *run)
{
	for (uint32_t i = 0; i < run->count; i++) {
		struct hd_row *row = &run->rows[i];
		if (!hd_run_has(row, step->in[0]))
			continue;
		if (row->bits & HD_ROW_STATELESS) {
			if (step->in[0] == step->out[OUT_TOTAL])
				row->present &= ~(UINT64_C(1) << step->out[OUT_TOTAL]);
			continue;
		}
		double x = run->slots[i * run->shape->slot_count + step->in[0]];
		const double *p = row->params + step->param;
		struct hd_counter_state *s = (struct hd_counter_state *)(void *)(row->state + step->state);
		double max_units = p[P_MAX] > 0 ? p[P_MAX] * 1000.0 / p[P_LITRES] : 0;
		double dt = (double)(row->ts_ms - s->base_ts);
		double delta = x - s->base;
		bool plain = s->base_ts && !s->pending && !s->bits && delta >= 0 && dt > 0 && dt <= step->consts[C_DISCONNECTED] &&
			     (max_units <= 0 || delta * MS_PER_HOUR <= max_units * dt);
		if (HD_UNLIKELY(!plain)) {
			counter_slow(step, run, i, x, max_units);
			continue;
		}
		struct reading r = {.x = x, .ts = row->ts_ms, .hours = dt / MS_PER_HOUR};
		move_baseline(s, &r, delta);
		struct verdict v = {.datum = true, .accepted = true, .delta = delta};
		emit(step, run, i, s, x, &v);
	}
}

static int check_counter(struct hd_compile *compile, struct hd_step *step, const struct hd_spec_step *spec, struct hydro_error *err)
{
	step->out[OUT_ACC] = hd_compile_hidden_slot(compile);
	step->out_count = OUT_ACC + 1;
	if (step->out[OUT_ACC] == HD_SLOT_NONE)
		return hd_compile_fail(compile, spec, "to", NULL, err, "the plan names more than %u metrics", HD_PLAN_SLOTS_MAX);
	return HYDRO_OK;
}

static const struct hd_step_option counter_options[] = {
	{"from", HD_OPT_INPUT, HD_OPT_REQUIRED | HD_OPT_CONSUMES | HD_OPT_POSITIONAL, "", NULL, 0, 0, 0, "the raw counter"},
	{"to", HD_OPT_OUTPUT, 0, "m3", "total", 0, 0, 0, "the ever-growing total"},
	{"volume", HD_OPT_OUTPUT, HD_OPT_ABSENT, "m3", NULL, 0, 0, 0, "the accepted volume since the last good reading, when wanted"},
	{"litres_per_pulse", HD_OPT_PARAM, 0, "l", NULL, 1, 1e-9, 1e9, "litres of one unit of the raw counter"},
	{"offset", HD_OPT_PARAM, 0, "m3", NULL, 0, 0, 0, "sum before the count began"},
	{"max_per_hour", HD_OPT_PARAM, 0, "m3/h", NULL, 0, 0, 1e9, "more is a jump; 0: not known, then only drops are judged, by the rate learned"},
	{"confirm", HD_OPT_CONST, 0, "readings", NULL, 10, 1, 1000, "rises after which a drop or jump is the new count"},
	{"noise", HD_OPT_CONST, 0, "share", NULL, 0.01, 0, 0.5, "a smaller drop is noise: the baseline holds"},
	{"truncated", HD_OPT_CONST, 0, "share", NULL, 0.9, 0.1, 1, "a larger drop without a disconnection is a cut-off number"},
	{"disconnected", HD_OPT_DURATION, 0, "", NULL, 3 * 3600000.0, 1000, 0, "time without a good reading that counts as a disconnection"},
	{"digits", HD_OPT_CONST, 0, "digits", NULL, 0, 0, 15, "of the counter, where it rolls over; 0: the next power of ten"},
};

const struct hd_step_kind hd_step_counter = {
	.name = "counter",
	.doc = "Raw counter to total. A drop or jump is a series of its own until it has risen `confirm` times; a bad value never becomes the baseline.",
	.formula = "total = (raw + carried) * litres_per_pulse / 1000 + offset; carried: raw units of earlier meters and rounds",
	.state = "baseline, carried units, accepted units, the open series, the last event",
	.flags = "status_code ingest_error truncated noise reset_pending reset rollback meter_replaced rollover jump reconnected",
	.options = counter_options,
	.option_count = HD_ARRAY_LEN(counter_options),
	.bits = HD_STEP_STATEFUL,
	.state_bytes = sizeof(struct hd_counter_state),
	.state_version = 2,
	.run = run_counter,
	.check = check_counter,
};
