/* SPDX-License-Identifier: MIT */
/*
 * Late data and confirmed events: the readings from a time on are run again from raw history, and where something else
 * comes out a revision is appended. History is read once everything of the point is synced.
 */
#include "pipeline/intake.h"
#include "pipeline/run_lua.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define REDO_ROWS_MAX 20000u

void hd_worker_redo_later(struct hd_worker *w, struct hd_point_block *block, uint32_t point, int64_t from_ms)
{
	if (!w->pipeline->config.history)
		return;
	if (block->bits & HD_HOT_REDO) {
		for (uint32_t i = 0; i < w->redo_count; i++)
			if (w->redos[i].point == point)
				w->redos[i].from_ms = HD_MIN(w->redos[i].from_ms, from_ms);
		return;
	}
	if (w->redo_count == w->redo_capacity) {
		uint32_t capacity = w->redo_capacity ? w->redo_capacity * 2 : 16;
		struct hd_redo *grown = realloc(w->redos, capacity * sizeof *grown);
		if (!grown) {
			hd_pipeline_event(w->pipeline, HD_EVENT_ERROR, "no_memory", point, "late data is not run through stateful steps");
			return;
		}
		w->redos = grown;
		w->redo_capacity = capacity;
	}
	w->redos[w->redo_count++] = (struct hd_redo){point, from_ms};
	block->bits |= HD_HOT_REDO;
}

/* ---- raw history of a point, highest revisions only ---- */

struct past {
	struct hd_batch *batch;
	struct hd_sample **rows; /* into the batch, by ts */
	uint32_t count;
	bool too_many;
};

static int take_past(void *arg, const struct hd_sample *sample, uint64_t lsn)
{
	struct past *past = arg;
	(void)lsn;
	if (sample->bits & HD_SAMPLE_CLOCK)
		return HYDRO_OK;
	if (!hd_batch_add(past->batch, sample)) {
		past->too_many = true;
		return HYDRO_E_LIMIT;
	}
	return HYDRO_OK;
}

static int by_ts_rev(const void *a, const void *b)
{
	const struct hd_sample *x = *(struct hd_sample *const *)a, *y = *(struct hd_sample *const *)b;
	if (x->ts_ms != y->ts_ms)
		return x->ts_ms < y->ts_ms ? -1 : 1;
	return (x->rev > y->rev) - (x->rev < y->rev);
}

static void past_done(struct past *past)
{
	hd_batch_free(&past->batch);
	free(past->rows);
}

static int load_past(struct hd_worker *w, const struct hd_redo *redo, int64_t to_ms, struct past *past, struct hydro_error *err)
{
	const struct hd_pipeline_config *config = &w->pipeline->config;
	int rc = hd_batch_new(REDO_ROWS_MAX, REDO_ROWS_MAX * 256u, &past->batch);
	if (rc != HYDRO_OK)
		return hd_error_set(err, rc, "no memory to run late data");
	rc = config->history(config->history_arg, redo->point, redo->from_ms - config->redo_warmup_ms, to_ms + 1, take_past, past, err);
	if (past->too_many)
		return hd_error_set(err, HYDRO_E_LIMIT, "more than %u readings since the late one", REDO_ROWS_MAX);
	if (rc != HYDRO_OK)
		return rc;
	past->rows = malloc((past->batch->count + 1) * sizeof *past->rows);
	if (!past->rows)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to run late data");
	for (uint32_t i = 0; i < past->batch->count; i++)
		past->rows[i] = &past->batch->samples[i];
	qsort(past->rows, past->batch->count, sizeof *past->rows, by_ts_rev);
	for (uint32_t i = 0; i < past->batch->count; i++) {
		if (past->count && past->rows[past->count - 1]->ts_ms == past->rows[i]->ts_ms)
			past->count--;
		past->rows[past->count++] = past->rows[i];
	}
	return HYDRO_OK;
}

/* ---- the run ---- */

/* What a counter must know before it sees old readings again: the units carried at that time, and an event confirmed since. */
void hd_redo_prepare(const struct hd_shape *shape, const uint8_t *live, uint8_t *scratch, int64_t first_ts)
{
	hd_shape_state_init(shape, scratch);
	for (uint32_t i = 0; i < shape->step_count; i++) {
		if (shape->steps[i].kind->run != hd_step_counter.run)
			continue;
		const struct hd_counter_state *now = (const struct hd_counter_state *)(const void *)(live + shape->steps[i].state);
		struct hd_counter_state *then = (struct hd_counter_state *)(void *)(scratch + shape->steps[i].state);
		bool before_event = now->event_ts > first_ts;
		then->carried = before_event ? now->event_carried : now->carried;
		then->peak = now->peak;
		then->bits = now->bits & HD_COUNTER_REPLACED;
		if (!before_event || now->event_flag == HD_FLAG_ROLLOVER)
			continue;
		then->event_ts = now->event_ts;
		then->event_flag = now->event_flag;
		then->event_bits = now->event_bits;
		then->bits |= HD_COUNTER_KNOWN;
	}
}

static bool same_result(const struct hd_sample *sample, const struct hd_value *values, uint32_t value_count, const struct hd_flag *flags,
			uint32_t flag_count)
{
	if (sample->bits & (HD_SAMPLE_HELD | HD_SAMPLE_UNPROCESSED | HD_SAMPLE_LATE) || sample->value_count != value_count || sample->flag_count != flag_count)
		return false;
	for (uint32_t i = 0; i < value_count; i++)
		if (sample->values[i].metric != values[i].metric || fabs(sample->values[i].value - values[i].value) > 1e-9 * (1.0 + fabs(values[i].value)) ||
		    sample->values[i].quality != values[i].quality)
			return false;
	for (uint32_t i = 0; i < flag_count; i++)
		if (sample->flags[i].metric != flags[i].metric || sample->flags[i].flag != flags[i].flag || sample->flags[i].rule != flags[i].rule)
			return false;
	return true;
}

static int append_revision(struct hd_worker *w, struct hd_point_block *block, const struct hd_sample *old, const struct hd_value *values,
			   uint32_t value_count, const struct hd_flag *flags, uint32_t flag_count, struct hydro_error *err)
{
	struct hd_sample revision = *old;
	revision.rev++;
	revision.bits &= HD_SAMPLE_MANUAL;
	revision.generation = block->shape->generation;
	revision.values = values;
	revision.flags = flags;
	revision.value_count = (uint8_t)value_count;
	revision.flag_count = (uint8_t)flag_count;
	int rc = hd_worker_room(w, err);
	if (rc != HYDRO_OK)
		return rc;
	HD_ASSERT(hd_batch_add(w->out->batch, &revision));
	block->last_seq = w->out->seq;
	if (old->ts_ms == block->newest_ms)
		block->newest_rev = revision.rev;
	HD_COUNT(w, samples, 1);
	HD_COUNT(w, revisions, 1);
	return HYDRO_OK;
}

static int lua_on_past(struct hd_run *run, const struct hd_step *step, struct hd_row *row, uint32_t i)
{
	struct hd_worker *w = run->lua.arg;
	const struct hd_point_extra *extra = row->block->extra;
	if (extra && extra->lua_off >> (step - run->shape->steps) & 1)
		return HYDRO_OK;
	const struct hd_pipeline_config *config = &w->pipeline->config;
	const struct past *past = run->trace_arg;
	const struct hd_sample *sample = past->rows[run->rows[i].sample];
	struct hd_run_lua_call how = {.call = config->call_lua, .arg = config->call_lua_arg, .worker = w->index, .raws = sample->raws,
				      .raw_count = sample->raw_count};
	struct hd_lua_fault fault = {0};
	return hd_run_call_lua(run, step, i, &how, &fault);
}

static void add_past_row(struct hd_worker *w, struct hd_point_block *block, uint8_t *state, const struct past *past, uint32_t i)
{
	const struct hd_sample *sample = past->rows[i];
	struct hd_row *row = hd_run_add(w->run, sample->raws, sample->raw_count, sample->ts_ms);
	row->params = hd_block_params(block);
	row->state = state;
	row->sample = i;
	row->point = sample->point;
	row->block = block;
	row->config = block->config;
	row->bits = HD_ROW_REDO;
	for (uint32_t k = 0; k < sample->raw_count; k++)
		if (sample->raws[k].quality <= 0)
			hd_run_flag_metric(w->run, w->run->count - 1, sample->raws[k].metric, HD_FLAG_STATUS_CODE, w->pipeline->rule_status);
	if (sample->bits & HD_SAMPLE_MANUAL)
		hd_run_flag(w->run, w->run->count - 1, HD_SLOT_NONE, HD_FLAG_MANUAL, w->pipeline->rule_manual);
}

static int run_past(struct hd_worker *w, struct hd_point_block *block, const struct hd_redo *redo, struct past *past, uint8_t *state,
		    struct hydro_error *err)
{
	struct hd_run_lua live = w->run->lua;
	w->run->lua.call = lua_on_past;
	w->run->trace_arg = past;
	int rc = HYDRO_OK;
	for (uint32_t at = 0; at < past->count && rc == HYDRO_OK;) {
		hd_run_begin(w->run, block->shape);
		while (at < past->count && w->run->count < HD_RUN_ROWS)
			add_past_row(w, block, state, past, at++);
		hd_run_steps(w->run);
		for (uint32_t i = 0; i < w->run->count && rc == HYDRO_OK; i++) {
			struct hd_value values[HD_METRICS_PER_SAMPLE_MAX];
			struct hd_flag flags[HD_FLAGS_PER_SAMPLE_MAX];
			uint32_t value_count, flag_count;
			const struct hd_sample *old = past->rows[w->run->rows[i].sample];
			if (old->ts_ms < redo->from_ms || w->run->rows[i].bits & HD_ROW_UNPROCESSED)
				continue;
			hd_run_result(w->run, i, values, &value_count, flags, &flag_count);
			HD_COUNT(w, redone, 1);
			if (!same_result(old, values, value_count, flags, flag_count))
				rc = append_revision(w, block, old, values, value_count, flags, flag_count, err);
		}
	}
	w->run->lua = live;
	w->run->trace_arg = NULL;
	return rc;
}

static int redo_one(struct hd_worker *w, struct hd_point_block *block, const struct hd_redo *redo, struct hydro_error *err)
{
	struct past past = {0};
	if (!block->shape || !block->shape->stateful_steps)
		return HYDRO_OK;
	uint8_t *state = aligned_alloc(64, (block->shape->state_bytes + 63u) & ~63u);
	if (!state)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to run late data");
	int rc = load_past(w, redo, block->newest_ms, &past, err);
	if (rc == HYDRO_OK && past.count) {
		hd_redo_prepare(block->shape, hd_block_state(block), state, past.rows[0]->ts_ms);
		rc = run_past(w, block, redo, &past, state, err);
	}
	if (rc == HYDRO_OK && past.count && past.rows[past.count - 1]->ts_ms == block->newest_ms) {
		memcpy(hd_block_state(block), state, block->shape->state_bytes);
		block->undo = 0;
	}
	free(state);
	past_done(&past);
	return rc;
}

bool hd_worker_redo(struct hd_worker *w)
{
	uint32_t left = 0, count = w->redo_count;
	for (uint32_t i = 0; i < count; i++) {
		struct hd_redo redo = w->redos[i];
		struct hd_point_block *block = hd_pipeline_block_find(w->pipeline, redo.point);
		if (!hd_worker_is_synced(w, block->last_seq) || block->bits & HD_HOT_PENDING) {
			w->redos[left++] = redo;
			continue;
		}
		struct hydro_error err = {.struct_size = sizeof err};
		block->bits &= (uint8_t)~HD_HOT_REDO;
		if (redo_one(w, block, &redo, &err) != HYDRO_OK)
			hd_pipeline_event(w->pipeline, HD_EVENT_WARN, "redo_failed", redo.point, "late data was kept, later readings stay as they were: %s", err.text);
	}
	HD_ASSERT(w->redo_count == count); /* a redo asks for no other */
	w->redo_count = left;
	return left == 0;
}
