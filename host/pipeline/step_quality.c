/* SPDX-License-Identifier: MIT */
/* Steps that judge a metric, or calm it: range, frozen, gap, rate_of_change, spike, dry, balance, dead_band, smooth; and what only names. */
#include "pipeline/run.h"

#include "base/hash.h"

#include <math.h>
#include <string.h>

#define SLOT(run, i, slot) ((run)->slots[(i) * (run)->shape->slot_count + (slot)])
#define QUALITY(run, i, slot) ((run)->quality[(i) * (run)->shape->slot_count + (slot)])
#define STATE(type, step, row) ((type *)(void *)((row)->state + (step)->state))
/* Most of these look at one metric: rows that have it, with state only in their turn. */
#define FOR_ROWS(run, i, step, skip_bits) \
	for (uint32_t i = 0; i < (run)->count; i++) \
		if (hd_run_has(&(run)->rows[i], (step)->in[0]) && !((run)->rows[i].bits & (skip_bits)))

/* ---- range ---- */

enum { P_MIN, P_MAX };
enum { C_TOLERANCE, C_GRANTED, C_FAIL_MIN, C_FAIL_MAX };

static void run_range(const struct hd_step *step, struct hd_run *run)
{
	double tolerance = isnan(step->consts[C_TOLERANCE]) ? 0 : step->consts[C_TOLERANCE];
	uint32_t above_flag = step->consts[C_GRANTED] > 0 ? HD_FLAG_ABOVE_GRANTED : HD_FLAG_OUT_OF_RANGE;
	FOR_ROWS(run, i, step, 0)
	{
		/* Each is false for a bound that is NaN: none. */
		const double *p = run->rows[i].params + step->param;
		double x = SLOT(run, i, step->in[0]);
		bool above = x > p[P_MAX] + fabs(p[P_MAX]) * tolerance;
		bool bad = x < step->consts[C_FAIL_MIN] || x > step->consts[C_FAIL_MAX];
		if (HD_LIKELY(!above && !bad && !(x < p[P_MIN])))
			continue;
		hd_run_flag(run, i, step->in[0], above ? above_flag : HD_FLAG_OUT_OF_RANGE, step->rule);
		if (bad)
			QUALITY(run, i, step->in[0]) = HD_QUALITY_BAD;
	}
}

static int check_range(struct hd_compile *compile, struct hd_step *step, const struct hd_spec_step *spec, struct hydro_error *err)
{
	if (!hd_spec_arg(spec, "min") && !hd_spec_arg(spec, "max") && !hd_spec_arg(spec, "fail_min") && !hd_spec_arg(spec, "fail_max"))
		return hd_compile_fail(compile, spec, "max", NULL, err, "range needs `min`, `max` or both");
	/* A maximum with a tolerance, on the flow, is the right granted. */
	if (!hd_spec_arg(spec, "granted"))
		step->consts[C_GRANTED] = hd_compile_metric(compile, step->in[0]) == HD_METRIC_FLOW && !isnan(step->consts[C_TOLERANCE]);
	return HYDRO_OK;
}

static const struct hd_step_option range_options[] = {
	{"of", HD_OPT_INPUT, HD_OPT_REQUIRED | HD_OPT_POSITIONAL, "", NULL, 0, 0, 0, "the metric"},
	{"min", HD_OPT_PARAM, HD_OPT_ABSENT, "", NULL, 0, 0, 0, "lowest good value"},
	{"max", HD_OPT_PARAM, HD_OPT_ABSENT, "", NULL, 0, 0, 0, "highest good value"},
	{"tolerance", HD_OPT_CONST, HD_OPT_ABSENT, "share", NULL, 0, 0, 10, "share of `max` by which it may be passed"},
	{"granted", HD_OPT_BOOL, 0, "", NULL, 0, 0, 0, "`max` is the right granted: the flag is above_granted; so by itself for flow with a tolerance"},
	{"fail_min", HD_OPT_CONST, HD_OPT_ABSENT, "", NULL, 0, 0, 0, "below it the value is bad, not suspect: what the instrument cannot read"},
	{"fail_max", HD_OPT_CONST, HD_OPT_ABSENT, "", NULL, 0, 0, 0, "above it the value is bad, not suspect"},
};

/* ---- frozen ---- */

enum { C_READINGS, C_RESOLUTION };

#define STEPS_TO_PASS 2.0f    /* of the counter, before its standing still means anything: flow meters err too */
#define FLOW_SPAN_S 3600u     /* a flow is taken to have lasted so long at most before its reading */

struct frozen_state {
	uint32_t value;  /* hash of the last one */
	uint32_t equal;  /* readings with the same value, 0 = none yet */
	uint32_t at_s;   /* of the last reading */
	float passed;    /* litres by the flow since the value moved */
};

/* Litres that must pass before the counter shows them; 0 = any reading does. */
static float litres_per_step(const struct hd_step *step, const struct hd_row *row)
{
	if (!isnan(step->consts[C_RESOLUTION]))
		return (float)(step->consts[C_RESOLUTION] * 1000.0);
	return step->link != HD_SLOT_NONE ? (float)row->params[step->link_param] : 0.0f;
}

static void run_frozen(const struct hd_step *step, struct hd_run *run)
{
	uint32_t moving = step->in[1];
	FOR_ROWS(run, i, step, HD_ROW_STATELESS)
	{
		const struct hd_row *row = &run->rows[i];
		struct frozen_state *s = STATE(struct frozen_state, step, row);
		double x = SLOT(run, i, step->in[0]);
		uint64_t bits;
		memcpy(&bits, &x, sizeof bits);
		uint32_t value = (uint32_t)hd_hash_u64(bits), now_s = (uint32_t)(row->ts_ms / 1000);
		double flow = moving != HD_SLOT_NONE && hd_run_has(row, moving) ? SLOT(run, i, moving) : 0;
		bool stands = s->equal && value == s->value && (moving == HD_SLOT_NONE || flow > 0);
		s->passed = stands ? s->passed + (float)flow * (float)HD_MIN(now_s - s->at_s, FLOW_SPAN_S) : 0.0f;
		s->equal = stands ? s->equal + 1 : 1;
		s->value = value;
		s->at_s = now_s;
		if (HD_UNLIKELY((double)s->equal >= step->consts[C_READINGS]) &&
		    (moving == HD_SLOT_NONE || s->passed >= STEPS_TO_PASS * litres_per_step(step, row)))
			hd_run_flag(run, i, step->in[0], HD_FLAG_FROZEN, step->rule);
	}
}

static int check_frozen(struct hd_compile *compile, struct hd_step *step, const struct hd_spec_step *spec, struct hydro_error *err)
{
	/* A counter stands still with the pump: only while water flows is that an error, and only when it had to show it. */
	uint32_t metric = hd_compile_metric(compile, step->in[0]);
	bool total = strcmp(hd_compile_unit(compile, step->in[0]), "m3") == 0;
	if (step->in[1] == HD_SLOT_NONE && (metric == HD_METRIC_PULSES || total) && !hd_spec_arg(spec, "moving")) {
		step->in[1] = hd_compile_slot(compile, spec, "moving", "flow", err);
		if (step->in[1] == HD_SLOT_NONE)
			return HYDRO_E_CONFIG;
	}
	bool litres = total && step->in[1] != HD_SLOT_NONE && strcmp(hd_compile_unit(compile, step->in[1]), "l/s") == 0;
	if (!isnan(step->consts[C_RESOLUTION]) && !litres)
		return hd_compile_fail(compile, spec, "resolution", NULL, err, "`resolution` is of a total in m3 beside a flow in l/s");
	const struct hd_step *counter = litres ? hd_compile_counter_of(compile, step->in[0]) : NULL;
	if (counter) {
		step->link = step->in[0];
		step->link_param = counter->param; /* litres_per_pulse is its first number */
	}
	return HYDRO_OK;
}

static const struct hd_step_option frozen_options[] = {
	{"of", HD_OPT_INPUT, HD_OPT_REQUIRED | HD_OPT_POSITIONAL, "", NULL, 0, 0, 0, "the metric"},
	{"moving", HD_OPT_INPUT, HD_OPT_ABSENT, "", NULL, 0, 0, 0, "only while this metric is above 0; for totals `flow` by itself"},
	{"readings", HD_OPT_CONST, 0, "readings", NULL, 4, 2, 100000, "equal values that make it frozen"},
	{"resolution", HD_OPT_CONST, HD_OPT_ABSENT, "m3", NULL, 0, 0, 1e6,
	 "smallest amount that a total shows; behind a `counter` its litres_per_pulse by itself. Twice as much must have passed by the flow"},
};

/* ---- gap, rate_of_change ---- */

enum { C_LONGER };
enum { P_PER_HOUR };

struct previous_state {
	double last;
	int64_t last_ts;
};

static void run_gap(const struct hd_step *step, struct hd_run *run)
{
	FOR_ROWS(run, i, step, HD_ROW_STATELESS)
	{
		struct previous_state *s = STATE(struct previous_state, step, &run->rows[i]);
		if (s->last_ts && (double)(run->rows[i].ts_ms - s->last_ts) > step->consts[C_LONGER])
			hd_run_flag(run, i, step->in[0], HD_FLAG_GAP, step->rule);
		s->last_ts = run->rows[i].ts_ms;
	}
}

static const struct hd_step_option gap_options[] = {
	{"of", HD_OPT_INPUT, HD_OPT_REQUIRED | HD_OPT_POSITIONAL, "", NULL, 0, 0, 0, "the metric"},
	{"longer", HD_OPT_DURATION, 0, "", NULL, 2 * 3600000.0, 1000, 0, "time since its previous reading that is a gap"},
};

static void run_rate_of_change(const struct hd_step *step, struct hd_run *run)
{
	FOR_ROWS(run, i, step, HD_ROW_STATELESS)
	{
		struct hd_row *row = &run->rows[i];
		struct previous_state *s = STATE(struct previous_state, step, row);
		double x = SLOT(run, i, step->in[0]);
		double hours = (double)(row->ts_ms - s->last_ts) / 3600000.0;
		if (s->last_ts && hours > 0 && fabs(x - s->last) > row->params[step->param + P_PER_HOUR] * hours)
			hd_run_flag(run, i, step->in[0], HD_FLAG_RATE_OF_CHANGE, step->rule);
		s->last = x;
		s->last_ts = row->ts_ms;
	}
}

static const struct hd_step_option change_options[] = {
	{"of", HD_OPT_INPUT, HD_OPT_REQUIRED | HD_OPT_POSITIONAL, "", NULL, 0, 0, 0, "the metric"},
	{"per_hour", HD_OPT_PARAM, HD_OPT_REQUIRED, "", NULL, 0, 0, 1e300, "most it may change in an hour, in its unit"},
};

/* ---- spike ---- */

#define HAMPEL_WINDOW 7u
#define HAMPEL_MAD 1.4826 /* of the median absolute deviation, is the standard deviation of a normal series */

enum { C_SIGMAS };
enum { P_LEAST };

struct hampel_state {
	double last[HAMPEL_WINDOW];
	uint32_t count;
	uint32_t reserved;
};

static double median_of(double v[HAMPEL_WINDOW])
{
	for (uint32_t i = 1; i < HAMPEL_WINDOW; i++)
		for (uint32_t k = i; k > 0 && v[k] < v[k - 1]; k--) {
			double t = v[k];
			v[k] = v[k - 1];
			v[k - 1] = t;
		}
	return v[HAMPEL_WINDOW / 2];
}

static void run_spike(const struct hd_step *step, struct hd_run *run)
{
	FOR_ROWS(run, i, step, HD_ROW_STATELESS)
	{
		struct hampel_state *s = STATE(struct hampel_state, step, &run->rows[i]);
		double x = SLOT(run, i, step->in[0]), v[HAMPEL_WINDOW];
		if (s->count >= HAMPEL_WINDOW) {
			memcpy(v, s->last, sizeof v);
			double median = median_of(v);
			for (uint32_t k = 0; k < HAMPEL_WINDOW; k++)
				v[k] = fabs(s->last[k] - median);
			double limit = step->consts[C_SIGMAS] * HAMPEL_MAD * median_of(v);
			if (fabs(x - median) > HD_MAX(limit, run->rows[i].params[step->param + P_LEAST]))
				hd_run_flag(run, i, step->in[0], HD_FLAG_SPIKE, step->rule);
		}
		s->last[s->count % HAMPEL_WINDOW] = x;
		s->count = s->count + 1 < 2 * HAMPEL_WINDOW ? s->count + 1 : HAMPEL_WINDOW; /* keeps its place in the ring */
	}
}

static const struct hd_step_option spike_options[] = {
	{"of", HD_OPT_INPUT, HD_OPT_REQUIRED | HD_OPT_POSITIONAL, "", NULL, 0, 0, 0, "the metric"},
	{"sigmas", HD_OPT_CONST, 0, "", NULL, 4, 0.5, 100, "distance from the median of the seven readings before, in their robust deviation"},
	{"least", HD_OPT_PARAM, HD_OPT_REQUIRED, "", NULL, 0, 0, 1e300, "a smaller distance is no spike, in its unit"},
};

/* ---- dry ---- */

static void run_dry(const struct hd_step *step, struct hd_run *run)
{
	FOR_ROWS(run, i, step, 0)
	if (hd_run_has(&run->rows[i], step->in[1]) && SLOT(run, i, step->in[0]) > 0 && SLOT(run, i, step->in[1]) <= run->rows[i].params[step->param])
		hd_run_flag(run, i, step->in[1], HD_FLAG_PUMPING_DRY, step->rule);
}

static const struct hd_step_option dry_options[] = {
	{"flow", HD_OPT_INPUT, 0, "l/s", "flow", 0, 0, 0, "the flow"},
	{"level", HD_OPT_INPUT, 0, "m", "level", 0, 0, 0, "water above the sensor"},
	{"min", HD_OPT_PARAM, 0, "m", NULL, 0, 0, 0, "level up to which there is no water"},
};

/* ---- balance ---- */

enum { C_WINDOW, C_SHARE };

struct balance_state {
	double litres;     /* ∫flow since start */
	double start_m3;
	double flow;       /* the last one */
	int64_t start_ts, last_ts;
};

static void run_balance(const struct hd_step *step, struct hd_run *run)
{
	FOR_ROWS(run, i, step, HD_ROW_STATELESS)
	{
		struct hd_row *row = &run->rows[i];
		if (!hd_run_has(row, step->in[1]))
			continue;
		struct balance_state *s = STATE(struct balance_state, step, row);
		double flow = SLOT(run, i, step->in[0]), m3 = SLOT(run, i, step->in[1]);
		if (s->start_ts)
			s->litres += (flow + s->flow) / 2 * (double)(row->ts_ms - s->last_ts) / 1000.0;
		s->flow = flow;
		s->last_ts = row->ts_ms;
		if (s->start_ts && (double)(row->ts_ms - s->start_ts) < step->consts[C_WINDOW])
			continue;
		double counted = (m3 - s->start_m3) * 1000.0;
		double scale = HD_MAX(fabs(counted), fabs(s->litres));
		if (s->start_ts && fabs(counted - s->litres) > step->consts[C_SHARE] * scale)
			hd_run_flag(run, i, step->in[0], HD_FLAG_BALANCE, step->rule);
		s->start_ts = row->ts_ms;
		s->start_m3 = m3;
		s->litres = 0;
	}
}

static const struct hd_step_option balance_options[] = {
	{"flow", HD_OPT_INPUT, 0, "l/s", "flow", 0, 0, 0, "a measured flow"},
	{"total", HD_OPT_INPUT, 0, "m3", "total", 0, 0, 0, "a counted total"},
	{"window", HD_OPT_DURATION, 0, "", NULL, 24 * 3600000.0, 60000, 0, "time over which both are compared"},
	{"tolerance", HD_OPT_CONST, 0, "share", NULL, 0.1, 0, 10, "share of the larger by which they may differ"},
};

/* ---- dead_band, smooth ---- */

struct held_state {
	double held;
	uint64_t known;
};

static void run_dead_band(const struct hd_step *step, struct hd_run *run)
{
	FOR_ROWS(run, i, step, HD_ROW_STATELESS)
	{
		struct held_state *s = STATE(struct held_state, step, &run->rows[i]);
		double x = SLOT(run, i, step->in[0]);
		if (!s->known || fabs(x - s->held) > run->rows[i].params[step->param])
			s->held = x;
		s->known = 1;
		hd_run_set(run, i, step->out[0], s->held, QUALITY(run, i, step->in[0]));
	}
}

static void run_smooth(const struct hd_step *step, struct hd_run *run)
{
	FOR_ROWS(run, i, step, HD_ROW_STATELESS)
	{
		struct held_state *s = STATE(struct held_state, step, &run->rows[i]);
		double x = SLOT(run, i, step->in[0]);
		s->held = s->known ? s->held + step->consts[0] * (x - s->held) : x;
		s->known = 1;
		hd_run_set(run, i, step->out[0], s->held, QUALITY(run, i, step->in[0]));
	}
}

static const struct hd_step_option dead_band_options[] = {
	{"of", HD_OPT_INPUT, HD_OPT_REQUIRED | HD_OPT_POSITIONAL, "", NULL, 0, 0, 0, "the metric"},
	{"to", HD_OPT_OUTPUT, HD_OPT_REQUIRED, "", NULL, 0, 0, 0, "the result; what was read stays beside it"},
	{"band", HD_OPT_PARAM, HD_OPT_REQUIRED, "", NULL, 0, 0, 1e300, "smaller changes are not followed"},
};

static const struct hd_step_option smooth_options[] = {
	{"of", HD_OPT_INPUT, HD_OPT_REQUIRED | HD_OPT_POSITIONAL, "", NULL, 0, 0, 0, "the metric"},
	{"to", HD_OPT_OUTPUT, HD_OPT_REQUIRED, "", NULL, 0, 0, 0, "the result; what was read stays beside it"},
	{"weight", HD_OPT_CONST, 0, "share", NULL, 0.3, 0.0001, 1, "of a new reading"},
};

#define QUALITY_STEP(name_, doc_, formula_, state_, flags_, options_, bits_, bytes_, run_, check_) \
	{.name = name_, .doc = doc_, .formula = formula_, .state = state_, .flags = flags_, .options = options_, \
	 .option_count = HD_ARRAY_LEN(options_), .bits = bits_, .state_bytes = bytes_, .state_version = 1, .run = run_, .check = check_}

const struct hd_step_kind hd_steps_quality[] = {
	QUALITY_STEP("range", "Flags what is out of bounds; the value stays as read.", "x < min, x > max × (1 + tolerance): suspect; x < fail_min, x > fail_max: bad", "",
		     "out_of_range above_granted", range_options, 0, 0, run_range, check_range),
	{.name = "frozen", .doc = "Flags a value that does not move; of a total only once the flow should have moved it.",
	 .formula = "n equal readings; of a total: ∫flow dt >= 2 × resolution since it moved", .state = "last value (a hash), how often, litres since it moved",
	 .flags = "frozen", .options = frozen_options, .option_count = HD_ARRAY_LEN(frozen_options), .bits = HD_STEP_STATEFUL,
	 .state_bytes = sizeof(struct frozen_state), .state_version = 2, .run = run_frozen, .check = check_frozen},
	QUALITY_STEP("gap", "Flags the first reading after a gap.", "Δt > longer", "last time", "gap", gap_options, HD_STEP_STATEFUL,
		     sizeof(struct previous_state), run_gap, NULL),
	QUALITY_STEP("rate_of_change", "Flags a fast change.", "|Δx| > per_hour × Δt", "last value and its time", "rate_of_change", change_options,
		     HD_STEP_STATEFUL, sizeof(struct previous_state), run_rate_of_change, NULL),
	QUALITY_STEP("spike", "Flags what is far from the readings before (Hampel).", "|x − median7| > max(sigmas × 1.4826 × MAD7, least)",
		     "the last seven values", "spike", spike_options, HD_STEP_STATEFUL, sizeof(struct hampel_state), run_spike, NULL),
	QUALITY_STEP("dry", "Flags pumping without water above the sensor.", "flow > 0 and level <= min", "", "pumping_dry", dry_options, 0, 0, run_dry, NULL),
	QUALITY_STEP("balance", "Flags flow and total that disagree.", "|∫flow dt − Δtotal| > tolerance × the larger, per window",
		     "integral, start of the window", "balance", balance_options, HD_STEP_STATEFUL, sizeof(struct balance_state), run_balance, NULL),
	QUALITY_STEP("dead_band", "A copy that follows only larger changes.", "held while |x − held| <= band", "held value", "", dead_band_options,
		     HD_STEP_STATEFUL, sizeof(struct held_state), run_dead_band, NULL),
	QUALITY_STEP("smooth", "A calmed copy (exponential).", "s += weight × (x − s)", "the smoothed value", "", smooth_options, HD_STEP_STATEFUL,
		     sizeof(struct held_state), run_smooth, NULL),
};
const uint32_t hd_steps_quality_count = HD_ARRAY_LEN(hd_steps_quality);
