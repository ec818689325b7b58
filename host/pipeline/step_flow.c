/* SPDX-License-Identifier: MIT */
/* Steps that make one metric of others: rate, scale, convert, depth, curve, sum. */
#include "pipeline/run.h"

#include <math.h>
#include <string.h>

#define SLOT(run, i, slot) ((run)->slots[(i) * (run)->shape->slot_count + (slot)])
#define QUALITY(run, i, slot) ((run)->quality[(i) * (run)->shape->slot_count + (slot)])

/* ---- rate ---- */

enum { C_MAX_GAP };

struct rate_state {
	double last;
	int64_t last_ts; /* 0 = none */
};

static void run_rate(const struct hd_step *step, struct hd_run *run)
{
	/* From a counter: its accepted raw units, so that resets, rounds and changed parameters are no flow. */
	bool linked = step->link != HD_SLOT_NONE;
	uint32_t from = linked ? step->link : step->in[0];
	for (uint32_t i = 0; i < run->count; i++) {
		struct hd_row *row = &run->rows[i];
		if (!hd_run_has(row, from) || row->bits & HD_ROW_STATELESS)
			continue;
		struct rate_state *s = (struct rate_state *)(void *)(row->state + step->state);
		double now = SLOT(run, i, from), before = s->last;
		int64_t dt = row->ts_ms - s->last_ts;
		bool known = s->last_ts != 0;
		s->last = now;
		s->last_ts = row->ts_ms;
		if (!known || dt <= 0)
			continue;
		if (HD_UNLIKELY((double)dt > step->consts[C_MAX_GAP])) {
			hd_run_flag(run, i, step->out[0], HD_FLAG_GAP, step->rule);
			continue;
		}
		/* m3 / s × 1000 = l/s; litres / ms × 1000 = l/s. */
		double litres = (now - before) * (linked ? row->params[step->link_param] : 1000.0);
		hd_run_set(run, i, step->out[0], litres * 1000.0 / (double)dt, HD_QUALITY_GOOD);
	}
}

static int check_rate(struct hd_compile *compile, struct hd_step *step, const struct hd_spec_step *spec, struct hydro_error *err)
{
	(void)spec, (void)err;
	const struct hd_step *counter = hd_compile_counter_of(compile, step->in[0]);
	if (counter) {
		step->link = counter->out[counter->out_count - 1];
		step->link_param = counter->param; /* litres_per_pulse is its first number */
	}
	return HYDRO_OK;
}

static const struct hd_step_option rate_options[] = {
	{"from", HD_OPT_INPUT, HD_OPT_POSITIONAL, "m3", "total", 0, 0, 0, "the total"},
	{"to", HD_OPT_OUTPUT, 0, "l/s", "flow", 0, 0, 0, "the flow"},
	{"max_gap", HD_OPT_DURATION, 0, "", NULL, 2 * 3600000.0, 1000, 0, "no flow is made across a longer time"},
};

/* ---- scale, convert ---- */

enum { P_FACTOR, P_DIVISOR, P_SCALE_OFFSET };

static void run_scale(const struct hd_step *step, struct hd_run *run)
{
	uint32_t from = step->in[0], to = step->out[0];
	for (uint32_t i = 0; i < run->count; i++) {
		if (!hd_run_has(&run->rows[i], from))
			continue;
		const double *p = run->rows[i].params + step->param;
		hd_run_set(run, i, to, (SLOT(run, i, from) + p[P_SCALE_OFFSET]) * p[P_FACTOR] / p[P_DIVISOR], QUALITY(run, i, from));
	}
}

static const struct hd_step_option scale_options[] = {
	{"from", HD_OPT_INPUT, HD_OPT_REQUIRED | HD_OPT_CONSUMES | HD_OPT_POSITIONAL, "", NULL, 0, 0, 0, "the metric"},
	{"to", HD_OPT_OUTPUT, HD_OPT_AS_INPUT, "", NULL, 0, 0, 0, "the result; `from` itself when not given"},
	{"factor", HD_OPT_PARAM, 0, "", NULL, 1, 0, 0, "multiplies"},
	{"divisor", HD_OPT_PARAM, 0, "", NULL, 1, 1e-12, 1e12, "divides"},
	{"offset", HD_OPT_PARAM, 0, "", NULL, 0, 0, 0, "is added first"},
};

/* A unit: its dimension's base unit is factor × it. */
struct unit {
	const char *name;
	const char *base;
	double factor;
};

static const struct unit units[] = {
	{"l/s", "l/s", 1}, {"m3/h", "l/s", 1 / 3.6}, {"m3/s", "l/s", 1000}, {"l/min", "l/s", 1 / 60.0}, {"l/h", "l/s", 1 / 3600.0},
	{"m3/d", "l/s", 1 / 86.4}, {"gal/min", "l/s", 3.785411784 / 60}, {"m", "m", 1}, {"cm", "m", 0.01}, {"mm", "m", 0.001},
	{"ft", "m", 0.3048}, {"bar", "m", 10.19716213}, {"kPa", "m", 0.1019716213}, {"psi", "m", 0.7030695796}, {"m3", "m3", 1},
	{"l", "m3", 0.001}, {"gal", "m3", 0.003785411784}, {"V", "V", 1}, {"mV", "V", 0.001},
};

static const struct unit *unit_find(const char *name)
{
	for (size_t i = 0; i < HD_ARRAY_LEN(units); i++)
		if (strcmp(units[i].name, name) == 0)
			return &units[i];
	return NULL;
}

static void run_convert(const struct hd_step *step, struct hd_run *run)
{
	for (uint32_t i = 0; i < run->count; i++)
		if (hd_run_has(&run->rows[i], step->in[0]))
			hd_run_set(run, i, step->out[0], SLOT(run, i, step->in[0]) * step->consts[0], QUALITY(run, i, step->in[0]));
}

static int check_convert(struct hd_compile *compile, struct hd_step *step, const struct hd_spec_step *spec, struct hydro_error *err)
{
	const struct unit *pair[2];
	const char *const keys[2] = {"from", "to"};
	for (int k = 0; k < 2; k++) {
		const struct hd_spec_arg *arg = hd_spec_arg(spec, keys[k]);
		pair[k] = arg && arg->type == HD_ARG_TEXT ? unit_find(arg->text) : NULL;
		if (!pair[k])
			return hd_compile_fail(compile, spec, keys[k], NULL, err, "`%s` is no unit that convert knows%s", arg && arg->text ? arg->text : "",
					       " (l/s m3/h m3/s l/min l/h m3/d gal/min m cm mm ft bar kPa psi m3 l gal V mV)");
	}
	if (strcmp(pair[0]->base, pair[1]->base) != 0)
		return hd_compile_fail(compile, spec, "to", NULL, err, "`%s` does not convert to `%s`", pair[0]->name, pair[1]->name);
	step->consts[0] = pair[0]->factor / pair[1]->factor;
	hd_compile_set_unit(compile, step->out[0], pair[1]->name);
	return HYDRO_OK;
}

static const struct hd_step_option convert_options[] = {
	{"metric", HD_OPT_INPUT, HD_OPT_REQUIRED | HD_OPT_CONSUMES | HD_OPT_POSITIONAL, "", NULL, 0, 0, 0, "the metric"},
	{"as", HD_OPT_OUTPUT, HD_OPT_AS_INPUT, "", NULL, 0, 0, 0, "the result; the metric itself when not given"},
	{"from", HD_OPT_UNIT, HD_OPT_REQUIRED, "", NULL, 0, 0, 0, "unit it comes in"},
	{"to", HD_OPT_UNIT, HD_OPT_REQUIRED, "", NULL, 0, 0, 0, "unit it shall have; pressures to metres are of water at 4 °C"},
};

/* ---- depth ---- */

static void run_depth(const struct hd_step *step, struct hd_run *run)
{
	for (uint32_t i = 0; i < run->count; i++)
		if (hd_run_has(&run->rows[i], step->in[0]))
			hd_run_set(run, i, step->out[0], run->rows[i].params[step->param] - SLOT(run, i, step->in[0]), QUALITY(run, i, step->in[0]));
}

static const struct hd_step_option depth_options[] = {
	{"from", HD_OPT_INPUT, HD_OPT_POSITIONAL, "m", "level", 0, 0, 0, "water column above the sensor"},
	{"to", HD_OPT_OUTPUT, 0, "m", "water_table", 0, 0, 0, "depth from ground to water"},
	{"sensor_depth", HD_OPT_PARAM, HD_OPT_REQUIRED, "m", NULL, 0, 0, 10000, "depth of the sensor below ground"},
};

/* ---- curve: stage → flow ---- */

/*
 * The step's table: one rating table after the other, by date: from when it holds (ms), how many numbers follow, pairs
 * {stage, flow}. The last one whose date has come holds.
 */
static const double *table_at(const struct hd_step *step, int64_t ts_ms, uint32_t *ret_last)
{
	const double *found = NULL;
	for (uint32_t at = 0; at < step->table_rows && step->table[at] <= (double)ts_ms; at += 2 + (uint32_t)step->table[at + 1]) {
		found = step->table + at + 2;
		*ret_last = (uint32_t)step->table[at + 1] / 2 - 1;
	}
	return found;
}

static void run_curve(const struct hd_step *step, struct hd_run *run)
{
	for (uint32_t i = 0; i < run->count; i++) {
		uint32_t last = 1;
		const double *t = hd_run_has(&run->rows[i], step->in[0]) ? table_at(step, run->rows[i].ts_ms, &last) : NULL;
		if (!t)
			continue;
		double x = SLOT(run, i, step->in[0]);
		uint32_t low = 0, high = last - 1; /* the segment that begins at `low` */
		while (low < high) {
			uint32_t middle = (low + high + 1) / 2;
			if (t[middle * 2] <= x)
				low = middle;
			else
				high = middle - 1;
		}
		const double *a = t + low * 2;
		hd_run_set(run, i, step->out[0], a[1] + (x - a[0]) * (a[3] - a[1]) / (a[2] - a[0]), QUALITY(run, i, step->in[0]));
		if (x < t[0] || x > t[last * 2])
			hd_run_flag(run, i, step->out[0], HD_FLAG_EXTRAPOLATED, step->rule);
	}
}

static int check_pairs(struct hd_compile *compile, const struct hd_spec_step *spec, const char *option, const double *pairs, uint32_t count,
		       struct hydro_error *err)
{
	if (count < 4 || count % 2)
		return hd_compile_fail(compile, spec, option, NULL, err, "a curve needs two or more pairs {stage, flow}");
	for (uint32_t i = 2; i < count; i += 2)
		if (pairs[i] <= pairs[i - 2])
			return hd_compile_fail(compile, spec, option, NULL, err, "stages of a curve must rise: pair %u does not", i / 2 + 1);
	return HYDRO_OK;
}

static int check_dated(struct hd_compile *compile, const struct hd_spec_step *spec, const struct hd_spec_arg *arg, struct hydro_error *err)
{
	int rc = HYDRO_OK;
	double before = -(double)INFINITY;
	for (uint32_t at = 0; at < arg->count && rc == HYDRO_OK; at += 2 + (uint32_t)arg->numbers[at + 1]) {
		if (arg->numbers[at] <= before)
			return hd_compile_fail(compile, spec, "tables", NULL, err, "dates of the tables must rise");
		before = arg->numbers[at];
		rc = check_pairs(compile, spec, "tables", arg->numbers + at + 2, (uint32_t)arg->numbers[at + 1], err);
	}
	return rc;
}

static int check_curve(struct hd_compile *compile, struct hd_step *step, const struct hd_spec_step *spec, struct hydro_error *err)
{
	const struct hd_spec_arg *one = hd_spec_arg(spec, "table"), *dated = hd_spec_arg(spec, "tables");
	if (!one == !dated)
		return hd_compile_fail(compile, spec, "table", NULL, err, "a curve has a `table`, or `tables` with the date each holds from");
	if (one && one->type != HD_ARG_NUMBERS)
		return hd_compile_fail(compile, spec, "table", NULL, err, "`table` must be pairs {stage, flow}");
	if (dated && dated->type != HD_ARG_DATED)
		return hd_compile_fail(compile, spec, "tables", NULL, err, "`tables` is { { from = \"2025-01-01\", table = { {0, 0}, … } }, … }");
	int rc = one ? check_pairs(compile, spec, "table", one->numbers, one->count, err) : check_dated(compile, spec, dated, err);
	double *table = rc == HYDRO_OK ? hd_compile_add_table(compile, step, spec, one ? "table" : "tables", one ? one->count + 2 : dated->count, err) : NULL;
	if (!table)
		return HYDRO_E_CONFIG;
	if (one) {
		table[0] = -(double)INFINITY;
		table[1] = one->count;
	}
	memcpy(table + (one ? 2 : 0), one ? one->numbers : dated->numbers, (one ? one->count : dated->count) * sizeof *table);
	return HYDRO_OK;
}

static const struct hd_step_option curve_options[] = {
	{"from", HD_OPT_INPUT, HD_OPT_POSITIONAL, "cm", "stage", 0, 0, 0, "the stage"},
	{"to", HD_OPT_OUTPUT, 0, "l/s", "flow", 0, 0, 0, "the flow"},
	{"table", HD_OPT_TABLE, 0, "", NULL, 0, 0, 0, "pairs {stage, flow}, by rising stage"},
	{"tables", HD_OPT_DATED, 0, "", NULL, 0, 0, 0,
	 "instead of `table`: { { from = \"2025-01-01\", table = {…} }, … }, each until the next one's date (midnight at UTC-4, or a time with its zone)"},
};

/* ---- sum ---- */

static void run_sum(const struct hd_step *step, struct hd_run *run)
{
	for (uint32_t i = 0; i < run->count; i++) {
		double sum = 0;
		float quality = HD_QUALITY_GOOD;
		bool all = true;
		for (uint32_t k = 0; k < step->in_count && all; k++) {
			all = hd_run_has(&run->rows[i], step->in[k]);
			sum += all ? SLOT(run, i, step->in[k]) : 0;
			quality = all && QUALITY(run, i, step->in[k]) < quality ? QUALITY(run, i, step->in[k]) : quality;
		}
		if (all)
			hd_run_set(run, i, step->out[0], sum, quality);
	}
}

static const struct hd_step_option sum_options[] = {
	{"of", HD_OPT_INPUTS, HD_OPT_REQUIRED | HD_OPT_POSITIONAL, "", NULL, 0, 0, 0, "metrics; when one is missing there is no sum"},
	{"to", HD_OPT_OUTPUT, HD_OPT_REQUIRED, "", NULL, 0, 0, 0, "the sum"},
};

const struct hd_step_kind hd_steps_flow[] = {
	{.name = "rate", .doc = "Flow from a total.", .formula = "flow = Δtotal / Δt × 1000; after a counter: of its accepted units", .state = "last value and its time",
	 .flags = "gap", .options = rate_options, .option_count = HD_ARRAY_LEN(rate_options), .bits = HD_STEP_STATEFUL,
	 .state_bytes = sizeof(struct rate_state), .state_version = 1, .run = run_rate, .check = check_rate},
	{.name = "scale", .doc = "A linear change.", .formula = "to = (from + offset) × factor / divisor", .state = "", .flags = "", .options = scale_options,
	 .option_count = HD_ARRAY_LEN(scale_options), .run = run_scale},
	{.name = "convert", .doc = "A change of unit.", .formula = "the ratio of the units", .state = "", .flags = "", .options = convert_options,
	 .option_count = HD_ARRAY_LEN(convert_options), .run = run_convert, .check = check_convert},
	{.name = "depth", .doc = "Water table from the water column above the sensor.", .formula = "water_table = sensor_depth − level", .state = "", .flags = "",
	 .options = depth_options, .option_count = HD_ARRAY_LEN(depth_options), .run = run_depth},
	{.name = "curve", .doc = "Flow from stage by a rating table.", .formula = "linear between pairs, the end segments go on", .state = "",
	 .flags = "extrapolated", .options = curve_options, .option_count = HD_ARRAY_LEN(curve_options), .run = run_curve, .check = check_curve},
	{.name = "sum", .doc = "Sum of metrics of one reading.", .formula = "to = Σ of", .state = "", .flags = "", .options = sum_options,
	 .option_count = HD_ARRAY_LEN(sum_options), .run = run_sum},
};
const uint32_t hd_steps_flow_count = HD_ARRAY_LEN(hd_steps_flow);
