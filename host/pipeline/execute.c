/* SPDX-License-Identifier: MIT */
/* Pending readings of a worker, grouped by shape, through their plans into the batch. */
#include "pipeline/inner.h"
#include "pipeline/run_lua.h"

#include <string.h>

#define STRIKES_MAX 3u

void hd_undo_keep(struct hd_worker *w, struct hd_point_block *block, uint32_t point, int64_t ts_ms)
{
	uint32_t bytes = block->shape->state_bytes;
	if (!bytes || bytes > HD_UNDO_STATE_BYTES)
		return;
	uint32_t number = ++w->undo_next ? w->undo_next : ++w->undo_next;
	struct hd_undo *undo = &w->undo[number % HD_UNDO_SLOTS];
	undo->point = point;
	undo->number = number;
	undo->ts_ms = ts_ms;
	memcpy(undo->state, hd_block_state(block), bytes);
	block->undo = number;
}

static void strike(struct hd_worker *w, const struct hd_step *step, struct hd_row *row, uint32_t number, const char *text)
{
	struct hd_point_extra *extra = hd_block_extra(row->block);
	HD_COUNT(w, overruns, 1);
	if (!extra || ++extra->strikes[number] < STRIKES_MAX) {
		hd_pipeline_event(w->pipeline, HD_EVENT_WARN, "step_overrun", row->point, "step %s: %s", step->label, text);
		return;
	}
	extra->lua_off |= UINT64_C(1) << number;
	HD_COUNT(w, steps_off, 1);
	hd_pipeline_event(w->pipeline, HD_EVENT_ERROR, "step_off", row->point, "step %s is switched off after %u overruns: %s", step->label,
			  STRIKES_MAX, text);
}

int hd_worker_lua(struct hd_run *run, const struct hd_step *step, struct hd_row *row, uint32_t i)
{
	struct hd_worker *w = run->lua.arg;
	const struct hd_pipeline_config *config = &w->pipeline->config;
	uint32_t number = (uint32_t)(step - run->shape->steps);
	const struct hd_point_extra *extra = row->block ? row->block->extra : NULL;
	if (extra && extra->lua_off >> number & 1)
		return HYDRO_OK;
	const struct hd_sample *sample = &w->out->batch->samples[row->sample];
	struct hd_run_lua_call how = {.call = config->call_lua, .arg = config->call_lua_arg, .worker = w->index, .raws = sample->raws,
				      .raw_count = sample->raw_count};
	struct hd_lua_fault fault = {0};
	int rc = hd_run_call_lua(run, step, i, &how, &fault);
	if (HD_LIKELY(rc == HYDRO_OK))
		return HYDRO_OK;
	if (rc == HYDRO_E_LIMIT && row->block) {
		strike(w, step, row, number, fault.text);
	} else {
		HD_COUNT(w, lua_errors, 1);
		hd_pipeline_event(w->pipeline, HD_EVENT_WARN, "step_failed", row->point, "step %s: line %u: %s", step->label, fault.line, fault.text);
	}
	hd_run_flag(run, i, HD_SLOT_NONE, HD_FLAG_UNPROCESSED, step->rule);
	return rc;
}

/* What intake has to say of a reading, before the steps. */
static void flag_intake(struct hd_worker *w, struct hd_run *run, uint32_t i, const struct hd_sample *sample)
{
	const struct hd_pipeline *p = w->pipeline;
	for (uint32_t k = 0; k < sample->raw_count; k++)
		if (HD_UNLIKELY(sample->raws[k].quality <= 0))
			hd_run_flag_metric(run, i, sample->raws[k].metric, HD_FLAG_STATUS_CODE, p->rule_status);
	if (HD_UNLIKELY(sample->bits & HD_SAMPLE_CLOCK))
		hd_run_flag(run, i, HD_SLOT_NONE, HD_FLAG_CLOCK, p->rule_clock);
	if (HD_UNLIKELY(sample->bits & HD_SAMPLE_MANUAL))
		hd_run_flag(run, i, HD_SLOT_NONE, HD_FLAG_MANUAL, p->rule_manual);
}

static void add_row(struct hd_worker *w, const struct hd_pending *pending)
{
	struct hd_point_block *block = pending->block;
	const struct hd_sample *sample = &w->out->batch->samples[pending->sample];
	struct hd_run *run = w->run;
	if (pending->undo)
		hd_undo_keep(w, block, pending->point, sample->ts_ms);
	struct hd_row *row = hd_run_add(run, sample->raws, sample->raw_count, sample->ts_ms);
	row->params = hd_block_params(block);
	row->state = hd_block_state(block);
	row->sample = pending->sample;
	row->point = pending->point;
	row->bits = pending->bits;
	row->block = block;
	row->config = block->config;
	flag_intake(w, run, run->count - 1, sample);
	block->bits &= (uint8_t)~HD_HOT_PENDING;
}

static void finish_row(struct hd_worker *w, uint32_t i)
{
	struct hd_run *run = w->run;
	const struct hd_row *row = &run->rows[i];
	struct hd_value values[HD_METRICS_PER_SAMPLE_MAX];
	struct hd_flag flags[HD_FLAGS_PER_SAMPLE_MAX];
	uint32_t value_count, flag_count;
	hd_run_result(run, i, values, &value_count, flags, &flag_count);
	struct hd_batch *batch = w->out->batch;
	HD_ASSERT(hd_batch_extend(batch, row->sample, values, value_count, flags, flag_count)); /* hd_worker_room kept it free */
	batch->samples[row->sample].generation = run->shape->generation;
	batch->samples[row->sample].bits = hd_run_sample_bits(run, i, batch->samples[row->sample].bits);
	HD_COUNT(w, values, value_count);
	if (HD_UNLIKELY(row->bits & HD_ROW_UNPROCESSED))
		HD_COUNT(w, unprocessed, 1);
	if (HD_UNLIKELY(row->redo_from_ms != 0))
		hd_worker_redo_later(w, row->block, row->point, row->redo_from_ms);
}

void hd_worker_execute(struct hd_worker *w)
{
	uint32_t left = w->pending_count;
	while (left) {
		const struct hd_shape *shape = w->pending[0].block->shape;
		hd_run_begin(w->run, shape);
		uint32_t others = 0;
		for (uint32_t i = 0; i < left; i++) {
			if (w->pending[i].block->shape == shape)
				add_row(w, &w->pending[i]);
			else
				w->pending[others++] = w->pending[i];
		}
		hd_run_steps(w->run);
		for (uint32_t i = 0; i < w->run->count; i++)
			finish_row(w, i);
		left = others;
	}
	w->pending_count = 0;
}
