/* SPDX-License-Identifier: MIT */
/* A row as a Lua step sees it. */
#include "pipeline/run.h"

#include "lua/lua.h"
#include "pipeline/run_lua.h"

#include <math.h>

struct view {
	struct hd_run *run;
	const struct hd_step *step;
	uint32_t index;
	const struct hd_value *raws;
	uint32_t raw_count;
};

static uint32_t slot_of(const struct hd_run *run, uint32_t metric)
{
	return metric && metric < run->shape->metric_limit ? run->shape->slot_of[metric] : HD_SLOT_NONE;
}

static struct hd_value *extra_of(struct hd_run *run, uint32_t i, uint32_t metric)
{
	for (uint32_t k = 0; k < run->rows[i].extra_count; k++)
		if (run->extras[i][k].metric == metric)
			return &run->extras[i][k];
	return NULL;
}

static bool view_get(void *arg, uint32_t metric, double *ret)
{
	const struct view *view = arg;
	uint32_t slot = slot_of(view->run, metric);
	if (slot != HD_SLOT_NONE) {
		if (!hd_run_has(&view->run->rows[view->index], slot))
			return false;
		*ret = view->run->slots[view->index * view->run->shape->slot_count + slot];
		return true;
	}
	const struct hd_value *extra = extra_of(view->run, view->index, metric);
	if (extra)
		*ret = extra->value;
	return extra != NULL;
}

static bool view_get_raw(void *arg, uint32_t metric, double *ret)
{
	const struct view *view = arg;
	for (uint32_t k = 0; k < view->raw_count; k++)
		if (view->raws[k].metric == metric) {
			*ret = view->raws[k].value;
			return true;
		}
	return false;
}

static int view_set(void *arg, uint32_t metric, double value)
{
	const struct view *view = arg;
	struct hd_run *run = view->run;
	struct hd_row *row = &run->rows[view->index];
	uint32_t slot = slot_of(run, metric);
	bool clear = isnan(value);
	if (slot != HD_SLOT_NONE) {
		if (clear)
			row->present &= ~(UINT64_C(1) << slot);
		else
			hd_run_set(run, view->index, slot, value, HD_QUALITY_GOOD);
		return HYDRO_OK;
	}
	struct hd_value *extra = extra_of(run, view->index, metric);
	if (clear) {
		if (extra)
			*extra = run->extras[view->index][--row->extra_count];
		return HYDRO_OK;
	}
	if (!extra && row->extra_count == HD_RUN_EXTRAS)
		return HYDRO_E_LIMIT;
	extra = extra ? extra : &run->extras[view->index][row->extra_count++];
	*extra = (struct hd_value){value, metric, HD_QUALITY_GOOD};
	return HYDRO_OK;
}

static int view_flag(void *arg, uint32_t metric, uint32_t flag, const char *name)
{
	const struct view *view = arg;
	struct hd_run *run = view->run;
	struct hd_row *row = &run->rows[view->index];
	if (row->flag_count == HD_FLAGS_PER_SAMPLE_MAX)
		return HYDRO_E_LIMIT;
	uint32_t rule = flag == HD_FLAG_SCRIPT ? hd_shape_rule_named(run->shape, view->step->rule, name) : view->step->rule;
	hd_run_flag_metric(run, view->index, metric, flag, rule);
	return HYDRO_OK;
}

static int view_quality(void *arg, uint32_t metric, double quality)
{
	const struct view *view = arg;
	struct hd_run *run = view->run;
	uint32_t slot = slot_of(run, metric);
	float q = (float)(quality < 0 ? 0 : quality > 1 ? 1 : quality);
	struct hd_value *extra = metric && slot == HD_SLOT_NONE ? extra_of(run, view->index, metric) : NULL;
	if (!metric)
		run->rows[view->index].cap = q;
	else if (slot != HD_SLOT_NONE)
		run->quality[view->index * run->shape->slot_count + slot] = q;
	else if (extra)
		extra->quality = q;
	return HYDRO_OK;
}

int hd_run_call_lua(struct hd_run *run, const struct hd_step *step, uint32_t i, const struct hd_run_lua_call *how, struct hd_lua_fault *fault)
{
	struct hd_row *row = &run->rows[i];
	struct view view = {.run = run, .step = step, .index = i, .raws = how->raws, .raw_count = how->raw_count};
	struct hd_mview m = {.arg = &view, .ts_ms = row->ts_ms, .get = view_get, .get_raw = view_get_raw, .set = view_set, .flag = view_flag,
			     .quality = view_quality};
	return how->call(how->arg, how->worker, run->shape->script, step->function, &m, (double *)(void *)(row->state + step->state), row->config, fault);
}

static void run_lua(const struct hd_step *step, struct hd_run *run)
{
	for (uint32_t i = 0; i < run->count; i++) {
		struct hd_row *row = &run->rows[i];
		if (row->bits & HD_ROW_UNPROCESSED || (row->bits & HD_ROW_STATELESS && step->slot_count))
			continue;
		HD_ASSERT(run->lua.call);
		if (run->lua.call(run, step, row, i) != HYDRO_OK)
			row->bits |= HD_ROW_UNPROCESSED;
	}
}

const struct hd_step_kind hd_step_lua = {
	.name = HD_SPEC_KIND_LUA,
	.doc = "A function of the script.",
	.formula = "",
	.state = "its declared slots",
	.flags = "what it sets, unprocessed",
	.state_version = 1,
	.run = run_lua,
};
