/* SPDX-License-Identifier: MIT */
#include "pipeline/run.h"

void hd_run_begin(struct hd_run *run, const struct hd_shape *shape)
{
	run->count = 0;
	run->shape = shape;
	run->amends = false;
	run->amend_count = 0;
}

struct hd_row *hd_run_add(struct hd_run *run, const struct hd_value *raws, uint32_t count, int64_t ts_ms)
{
	if (run->count == HD_RUN_ROWS)
		return NULL;
	const struct hd_shape *shape = run->shape;
	uint32_t i = run->count++;
	struct hd_row *row = &run->rows[i];
	*row = (struct hd_row){.ts_ms = ts_ms, .cap = HD_QUALITY_GOOD};
	double *slots = run->slots + i * shape->slot_count;
	float *quality = run->quality + i * shape->slot_count;
	for (uint32_t k = 0; k < count; k++) {
		if (raws[k].quality <= 0) /* a status code: no datum */
			continue;
		uint32_t slot = raws[k].metric < shape->metric_limit ? shape->slot_of[raws[k].metric] : HD_SLOT_NONE;
		if (HD_LIKELY(slot != HD_SLOT_NONE)) {
			row->present |= UINT64_C(1) << slot;
			slots[slot] = raws[k].value;
			quality[slot] = raws[k].quality;
		} else if (row->extra_count < HD_RUN_EXTRAS) {
			run->extras[i][row->extra_count++] = raws[k];
		}
	}
	return row;
}

void hd_run_steps(struct hd_run *run)
{
	for (uint32_t k = 0; k < run->shape->step_count; k++) {
		const struct hd_step *step = &run->shape->steps[k];
		step->run(step, run);
		if (HD_UNLIKELY(run->trace != NULL))
			run->trace(run->trace_arg, run, step);
	}
}

void hd_run_flag(struct hd_run *run, uint32_t i, uint32_t slot, uint32_t flag, uint32_t rule)
{
	struct hd_row *row = &run->rows[i];
	const struct hd_flag_info *info = hd_flag_info(flag);
	float cap = info ? info->quality : HD_QUALITY_SUSPECT;
	uint32_t metric = 0;
	if (slot == HD_SLOT_NONE) {
		row->cap = HD_MIN(row->cap, cap);
	} else {
		float *quality = &run->quality[i * run->shape->slot_count + slot];
		metric = run->shape->metrics[slot];
		if (hd_run_has(row, slot))
			*quality = HD_MIN(*quality, cap);
	}
	if (row->flag_count < HD_FLAGS_PER_SAMPLE_MAX)
		run->flags[i][row->flag_count++] = (struct hd_flag){.metric = metric, .flag = (uint16_t)flag, .rule = rule};
}

void hd_run_flag_metric(struct hd_run *run, uint32_t i, uint32_t metric, uint32_t flag, uint32_t rule)
{
	struct hd_row *row = &run->rows[i];
	uint32_t slot = metric && metric < run->shape->metric_limit ? run->shape->slot_of[metric] : HD_SLOT_NONE;
	if (!metric || slot != HD_SLOT_NONE) {
		hd_run_flag(run, i, slot, flag, rule);
		return;
	}
	const struct hd_flag_info *info = hd_flag_info(flag);
	for (uint32_t k = 0; info && k < row->extra_count; k++)
		if (run->extras[i][k].metric == metric)
			run->extras[i][k].quality = HD_MIN(run->extras[i][k].quality, info->quality);
	if (row->flag_count < HD_FLAGS_PER_SAMPLE_MAX)
		run->flags[i][row->flag_count++] = (struct hd_flag){.metric = metric, .flag = (uint16_t)flag, .rule = rule};
}

void hd_run_result(const struct hd_run *run, uint32_t i, struct hd_value *ret_values, uint32_t *ret_value_count, struct hd_flag *ret_flags,
		   uint32_t *ret_flag_count)
{
	const struct hd_shape *shape = run->shape;
	const struct hd_row *row = &run->rows[i];
	const double *slots = run->slots + i * shape->slot_count;
	const float *quality = run->quality + i * shape->slot_count;
	uint32_t n = 0;
	if (!(row->bits & HD_ROW_UNPROCESSED)) {
		uint64_t left = row->present & ~shape->hidden & ~(shape->consumed & ~shape->made);
		for (; left && n < HD_METRICS_PER_SAMPLE_MAX; left &= left - 1) {
			uint32_t slot = (uint32_t)__builtin_ctzll(left);
			ret_values[n++] = (struct hd_value){slots[slot], shape->metrics[slot], HD_MIN(quality[slot], row->cap)};
		}
		for (uint32_t k = 0; k < row->extra_count && n < HD_METRICS_PER_SAMPLE_MAX; k++) {
			ret_values[n] = run->extras[i][k];
			ret_values[n].quality = HD_MIN(ret_values[n].quality, row->cap);
			n++;
		}
	}
	*ret_value_count = n;
	for (uint32_t k = 0; k < row->flag_count; k++)
		ret_flags[k] = run->flags[i][k];
	*ret_flag_count = row->flag_count;
}

void hd_run_outcome(const struct hd_run *run, uint32_t i, uint16_t bits, struct hd_outcome *ret)
{
	hd_run_result(run, i, ret->values, &ret->value_count, ret->flags, &ret->flag_count);
	ret->bits = hd_run_sample_bits(run, i, bits);
}
