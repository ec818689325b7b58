/* SPDX-License-Identifier: MIT */
/* detect: an analytics plugin's judgement of a metric. */
#include "model/points.h"
#include "pipeline/detect.h"
#include "pipeline/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { P_LOW, P_HIGH };

/* A reading that is run again keeps the judgement it had: the detector saw it in its order, and sees nothing twice. */
static void copy_judgement(const struct hd_step *step, struct hd_run *run, uint32_t i)
{
	const struct hd_sample *old = run->rows[i].old;
	uint32_t metric = run->shape->metrics[step->in[0]], score = step->out[0] != HD_SLOT_NONE ? run->shape->metrics[step->out[0]] : 0;
	bool judged = false;
	for (uint32_t k = 0; k < old->value_count; k++) {
		judged |= old->values[k].metric == metric;
		if (score && old->values[k].metric == score)
			hd_run_set(run, i, step->out[0], old->values[k].value, old->values[k].quality);
	}
	if (!judged)
		hd_run_flag(run, i, step->in[0], HD_FLAG_UNANNOTATED, step->rule);
	for (uint32_t k = 0; judged && k < old->flag_count; k++)
		if (old->flags[k].rule == step->rule && old->flags[k].metric == metric)
			hd_run_flag(run, i, step->in[0], old->flags[k].flag, step->rule);
}

static void judge(const struct hd_step *step, struct hd_run *run, uint32_t i)
{
	struct hd_row *row = &run->rows[i];
	struct hd_detector *d = step->detector;
	const double *p = row->params + step->param;
	float *quality = &run->quality[i * run->shape->slot_count + step->in[0]], before = *quality;
	hydro_sample sample = {.struct_size = sizeof sample, .metric = run->shape->metrics[step->in[0]], .ts_ms = row->ts_ms,
			       .value = run->slots[i * run->shape->slot_count + step->in[0]], .quality = HD_MIN(before, row->cap),
			       .range_min = p[P_LOW], .range_max = p[P_HIGH]};
	hydro_annotation said;
	if (HD_UNLIKELY(!d->face) ||
	    hd_detector_update(d, row->state + step->state, &sample, row->config ? &row->config->id : NULL, &said) != HYDRO_OK) {
		hd_run_flag(run, i, step->in[0], HD_FLAG_UNANNOTATED, step->rule);
		return;
	}
	if (said.flag)
		hd_run_flag(run, i, step->in[0], said.flag, step->rule);
	if (said.quality >= 0.0f)
		*quality = HD_MIN(before, said.quality); /* finer than the flag's */
	if (step->out[0] != HD_SLOT_NONE)
		hd_run_set(run, i, step->out[0], said.score, HD_QUALITY_GOOD);
}

static void run_detect(const struct hd_step *step, struct hd_run *run)
{
	for (uint32_t i = 0; i < run->count; i++) {
		const struct hd_row *row = &run->rows[i];
		if (!hd_run_has(row, step->in[0]) || row->bits & HD_ROW_UNPROCESSED)
			continue;
		if (HD_UNLIKELY(row->bits & HD_ROW_STATELESS))
			hd_run_flag(run, i, step->in[0], HD_FLAG_UNANNOTATED, step->rule);
		else if (HD_UNLIKELY(row->old != NULL))
			copy_judgement(step, run, i);
		else
			judge(step, run, i);
	}
}

/* range = { low, high }: numbers of the point; a bound that is nil leaves none. */
static int take_range(struct hd_compile *compile, const struct hd_spec_step *spec, struct hydro_error *err)
{
	const struct hd_spec_arg *arg = hd_spec_arg(spec, "range");
	double low = 0, high = 0; /* high <= low: none */
	if (arg && (arg->type != HD_ARG_NUMBERS || arg->count > 2))
		return hd_compile_fail(compile, spec, "range", NULL, err, "`range` is { lowest, highest } that the sensor can give");
	if (arg && arg->count == 2) {
		low = arg->numbers[0];
		high = arg->numbers[1];
		if (!isfinite(low) || !isfinite(high) || high <= low)
			return hd_compile_fail(compile, spec, "range", NULL, err, "`range` must rise: %g … %g does not", low, high);
	}
	if (!hd_compile_add_param(compile, low) || !hd_compile_add_param(compile, high))
		return hd_compile_fail(compile, spec, "range", NULL, err, "the plan has more than %u numbers", HD_PLAN_PARAMS_MAX);
	return HYDRO_OK;
}

static int check_detect(struct hd_compile *compile, struct hd_step *step, const struct hd_spec_step *spec, struct hydro_error *err)
{
	const struct hd_spec_arg *arg = hd_spec_arg(spec, "");
	arg = arg ? arg : hd_spec_arg(spec, "analytics");
	const char *name = arg->type == HD_ARG_TEXTS && arg->count == 1 ? arg->texts[0] : arg->text, *nearest = NULL;
	if (!name)
		return hd_compile_fail(compile, spec, "analytics", NULL, err, "`detect` takes the name of one instance of `analytics` in hydro.lua");
	step->detector = hd_compile_detector(compile, name, &nearest);
	if (!step->detector)
		return hd_compile_fail(compile, spec, name, nearest, err, "there is no instance `%s` among `analytics` of hydro.lua", name);
	const struct hd_detector *d = step->detector;
	if (!d->updates_points)
		return hd_compile_fail(compile, spec, name, NULL, err, "plugin %s judges no single readings", d->plugin);
	if (step->out[0] != HD_SLOT_NONE && step->out[0] == step->in[0])
		return hd_compile_fail(compile, spec, "score", NULL, err, "`score` would take the place of what is judged");
	int rc = take_range(compile, spec, err);
	if (rc != HYDRO_OK)
		return rc;
	if (d->state_size > HD_PLAN_STATE_BYTES_MAX)
		return hd_compile_fail(compile, spec, name, NULL, err, "plugin %s wants %u bytes a point, at most %u are there", d->plugin, d->state_size,
				       HD_PLAN_STATE_BYTES_MAX);
	step->state_bytes = (uint32_t)sizeof(struct hd_detect_head) + d->state_size;
	char target[64], by[96];
	const char *metric = hd_compile_metric_name(compile, step->in[0]);
	(void)snprintf(target, sizeof target, "%.24s/%.36s", name, metric);
	hd_compile_set_target(compile, target);
	(void)snprintf(by, sizeof by, "plugin %s %s", d->plugin, d->version);
	hd_compile_set_source(compile, by);
	return HYDRO_OK;
}

static const struct hd_step_option detect_options[] = {
	{"analytics", HD_OPT_NAMES, HD_OPT_REQUIRED | HD_OPT_POSITIONAL, "", NULL, 0, 0, 0, "name of an instance of `analytics` in hydro.lua"},
	{"on", HD_OPT_INPUT, HD_OPT_REQUIRED, "", NULL, 0, 0, 0, "the metric"},
	{"range", HD_OPT_NUMBERS, 0, "", NULL, 0, 0, 0, "{ lowest, highest } that the sensor can give, for the detector; two numbers of the point"},
	{"score", HD_OPT_OUTPUT, HD_OPT_ABSENT, "", NULL, 0, 0, 0, "metric that gets the score, 0 … 1"},
};

const struct hd_step_kind hd_step_detect = {
	.name = "detect",
	.doc = "An analytics plugin's judgement; its name and version stand in the flag's rule. What the detector did not see (late data, or it failed) is flagged "
	       "`unannotated`; what is run again keeps the judgement it had.",
	.formula = "the plugin's own: see its README", .state = "the plugin's, and 8 bytes more", .flags = "anomaly unannotated, or what else the plugin says",
	.options = detect_options, .option_count = HD_ARRAY_LEN(detect_options), .bits = HD_STEP_STATEFUL | HD_STEP_REMEMBERS, .state_version = 1,
	.run = run_detect, .check = check_detect};
