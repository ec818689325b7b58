/* SPDX-License-Identifier: MIT */
/*
 * Late data and confirmed events: the readings from a time on are run again from raw history, and where something else
 * comes out a revision is appended. History is read once everything of the point is synced.
 */
#include "pipeline/intake.h"

#include "base/array.h"
#include "pipeline/past.h"
#include "pipeline/run_lua.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define REDO_ROWS_MAX 20000u
#define OVERRUNS_MAX 3u /* of Lua steps in what was asked for: then it ends */

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
	if (!HD_RESERVE(w->redos, w->redo_capacity, w->redo_count, 1)) {
		hd_pipeline_event(w->pipeline, HD_EVENT_ERROR, "no_memory", point, "late data is not run through stateful steps");
		return;
	}
	w->redos[w->redo_count++] = (struct hd_redo){point, from_ms};
	block->bits |= HD_HOT_REDO;
}

/* ---- the run ---- */

/* What is run again: late data and confirmed events, or what somebody asked for. */
struct again {
	uint32_t point;
	int64_t from_ms, to_ms;
	bool asked; /* stateless plans too; what only names another rule stays; the live state is left alone */
	uint32_t readings, revisions, unprocessed, overruns;
	struct hd_worker *w;
	struct hd_point_block *block;
	uint8_t *state;
	struct hd_past past;
	struct hydro_error *err;
};

static bool same_result(const struct hd_names *names, const struct hd_sample *sample, const struct hd_outcome *now, bool with_rules)
{
	const struct hd_value *values = now->values;
	const struct hd_flag *flags = now->flags;
	if (sample->bits != now->bits || sample->value_count != now->value_count || sample->flag_count != now->flag_count)
		return false;
	for (uint32_t i = 0; i < now->value_count; i++)
		if (sample->values[i].metric != values[i].metric || fabs(sample->values[i].value - values[i].value) > 1e-9 * (1.0 + fabs(values[i].value)) ||
		    sample->values[i].quality != values[i].quality)
			return false;
	for (uint32_t i = 0; i < now->flag_count; i++)
		if (!hd_flag_same(names, &sample->flags[i], &flags[i]) || (with_rules && sample->flags[i].rule != flags[i].rule))
			return false;
	return true;
}

static int append_revision(struct hd_worker *w, struct hd_point_block *block, const struct hd_sample *old, const struct hd_outcome *now,
			   struct hydro_error *err)
{
	struct hd_sample revision = *old;
	revision.rev++;
	revision.bits = now->bits;
	revision.generation = block->shape->generation;
	revision.values = now->values;
	revision.flags = now->flags;
	revision.value_count = (uint8_t)now->value_count;
	revision.flag_count = (uint8_t)now->flag_count;
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
	struct again *again = run->lua.arg;
	const struct hd_point_extra *extra = row->block->extra;
	if (extra && extra->lua_off >> (step - run->shape->steps) & 1)
		return HYDRO_OK;
	const struct hd_pipeline_config *config = &again->w->pipeline->config;
	const struct hd_sample *sample = again->past.rows[row->sample];
	struct hd_run_lua_call how = {.call = config->call_lua, .arg = config->call_lua_arg, .worker = again->w->index, .raws = sample->raws,
				      .raw_count = sample->raw_count};
	struct hd_lua_fault fault = {0};
	if (again->asked && again->overruns >= OVERRUNS_MAX)
		return HYDRO_E_LIMIT;
	int rc = hd_run_call_lua(run, step, i, &how, &fault);
	again->overruns += rc == HYDRO_E_LIMIT;
	return rc;
}

static void prepare_row(void *arg, struct hd_row *row, const struct hd_sample *sample)
{
	struct again *again = arg;
	row->params = hd_block_params(again->block);
	row->state = again->state;
	row->block = again->block;
	row->config = again->block->config;
	row->old = again->asked ? NULL : sample;
}

/* One reading that has run: a revision if it came out differently. */
static int finish_past(void *arg, const struct hd_sample *old, const struct hd_outcome *now)
{
	struct again *again = arg;
	if (old->ts_ms < again->from_ms || old->ts_ms >= again->to_ms)
		return HYDRO_OK;
	if (now->bits & HD_SAMPLE_UNPROCESSED) {
		again->unprocessed++;
		return HYDRO_OK;
	}
	HD_COUNT(again->w, redone, 1);
	again->readings++;
	if (same_result(again->w->pipeline->config.names, old, now, !again->asked))
		return HYDRO_OK;
	again->revisions++;
	return append_revision(again->w, again->block, old, now, again->err);
}

static int run_past(struct again *again)
{
	struct hd_worker *w = again->w;
	struct hd_run_lua live = w->run->lua;
	w->run->lua = (struct hd_run_lua){lua_on_past, again};
	struct hd_past_run how = {.pipeline = w->pipeline, .run = w->run, .shape = again->block->shape, .prepare = prepare_row, .done = finish_past, .arg = again};
	int rc = hd_past_run(&how, &again->past);
	w->run->lua = live;
	return rc;
}

/* The state that the redo came to becomes the point's, but for steps that remember more than it saw. */
static void take_over(struct hd_point_block *block, uint8_t *state)
{
	uint8_t *live = hd_block_state(block);
	for (uint32_t i = 0; i < block->shape->step_count; i++) {
		const struct hd_step *step = &block->shape->steps[i];
		if (step->kind->bits & HD_STEP_REMEMBERS)
			memcpy(state + step->state, live + step->state, step->state_bytes);
	}
	memcpy(live, state, block->shape->state_bytes);
	block->undo = 0;
}

static int run_again(struct hd_worker *w, struct hd_point_block *block, struct again *again, struct hydro_error *err)
{
	const struct hd_shape *shape = block->shape;
	if (!shape || (!shape->stateful_steps && !again->asked))
		return HYDRO_OK;
	again->w = w;
	again->block = block;
	again->err = err;
	again->state = aligned_alloc(64, (shape->state_bytes + 64u) & ~63u);
	if (!again->state)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to run the past again");
	struct hd_past *past = &again->past;
	/* What is beyond the end is read for the judgement of what is before it. */
	int64_t to_ms = again->to_ms > block->newest_ms ? block->newest_ms + 1 : HD_MIN(again->to_ms + shape->ahead_ms, block->newest_ms + 1);
	int rc = hd_past_load(w->pipeline, again->point, again->from_ms - w->pipeline->config.redo_warmup_ms, to_ms, REDO_ROWS_MAX, past, err);
	if (rc == HYDRO_OK && past->count) {
		if (!again->asked)
			again->from_ms = hd_past_reaches_back(past, shape, again->from_ms);
		hd_redo_prepare(shape, hd_block_state(block), again->state, past->rows[0]->ts_ms);
		rc = run_past(again);
	}
	if (rc == HYDRO_OK && !again->asked && past->count && past->rows[past->count - 1]->ts_ms == block->newest_ms)
		take_over(block, again->state);
	free(again->state);
	hd_past_done(past);
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
		struct again again = {.point = redo.point, .from_ms = redo.from_ms, .to_ms = INT64_MAX};
		if (run_again(w, block, &again, &err) != HYDRO_OK)
			hd_pipeline_event(w->pipeline, HD_EVENT_WARN, "redo_failed", redo.point, "late data was kept, later readings stay as they were: %s", err.text);
	}
	HD_ASSERT(w->redo_count == count); /* a redo asks for no other */
	w->redo_count = left;
	return left == 0;
}

/* ---- on demand ---- */

struct asked {
	struct again again;
	struct hydro_error *err;
	int rc;
};

static void asked_job(void *arg, struct hd_worker *w)
{
	struct asked *asked = arg;
	uint32_t point = asked->again.point;
	struct hd_point_block *block = hd_pipeline_block(w->pipeline, point);
	asked->rc = block ? hd_block_ready(w, block, point, asked->err) : hd_error_set(asked->err, HYDRO_E_INVALID, "there is no point number %u", point);
	if (asked->rc == HYDRO_OK && (!block->shape || block->shape == w->pipeline->pass))
		asked->rc = hd_error_set(asked->err, HYDRO_E_CONFLICT, "point number %u has no pipeline that runs", point);
	/* History knows what is on disk. */
	if (asked->rc == HYDRO_OK)
		asked->rc = hd_worker_wait_synced(w, block->last_seq, asked->err);
	if (asked->rc == HYDRO_OK)
		asked->rc = run_again(w, block, &asked->again, asked->err);
	if (asked->rc == HYDRO_OK)
		asked->rc = hd_worker_wait_synced(w, block->last_seq, asked->err);
	if (asked->rc == HYDRO_OK && asked->again.overruns >= OVERRUNS_MAX)
		asked->rc = hd_error_set(asked->err, HYDRO_E_LIMIT, "a Lua step was over its budget %u times: ended after %u readings, %u revised",
					 asked->again.overruns, asked->again.readings, asked->again.revisions);
}

int hd_pipeline_reprocess(struct hd_pipeline *p, uint32_t point, int64_t from_ms, int64_t to_ms, struct hd_reprocess_report *ret,
			  struct hydro_error *err)
{
	if (!p->config.history)
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "this daemon keeps no history");
	struct asked asked = {.again = {.point = point, .from_ms = from_ms, .to_ms = to_ms, .asked = true}, .err = err};
	if (!hd_pipeline_call(p, point, asked_job, &asked))
		return hd_error_set(err, HYDRO_E_CONFLICT, "the pipeline is draining");
	if (asked.rc == HYDRO_OK)
		*ret = (struct hd_reprocess_report){asked.again.readings, asked.again.revisions, asked.again.unprocessed};
	return asked.rc;
}
