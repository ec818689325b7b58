/* SPDX-License-Identifier: MIT */
/* The journal's tail through the plans at the start, so that state, newest readings and latest values are those of its end. */
#include "pipeline/intake.h"
#include "pipeline/run_lua.h"

#include <stdlib.h>
#include <string.h>

struct recovery {
	uint64_t from_lsn;
	pthread_mutex_t lock; /* guards: left … last_lsn */
	pthread_cond_t done;
	uint32_t left;
	int rc;
	uint64_t records, first_lsn, last_lsn;
	struct hydro_error *err;
};

struct tail {
	struct hd_worker *w;
	uint64_t records, first_lsn, last_lsn;
	uint64_t shard_lsn[HD_SHARDS];
};

/* A Lua step moves its state again; one without state has nothing to move. */
static int lua_again(struct hd_run *run, const struct hd_step *step, struct hd_row *row, uint32_t i)
{
	const struct hd_worker *w = run->lua.arg;
	const struct hd_pipeline_config *config = &w->pipeline->config;
	const struct hd_sample *sample = run->trace_arg;
	(void)row;
	if (!step->slot_count)
		return HYDRO_OK;
	struct hd_run_lua_call how = {.call = config->call_lua, .arg = config->call_lua_arg, .worker = w->index, .raws = sample->raws,
				      .raw_count = sample->raw_count};
	struct hd_lua_fault fault = {0};
	return hd_run_call_lua(run, step, i, &how, &fault);
}

/* One reading through the plan as it went then; what comes out is on disk already. */
static void run_again(struct hd_worker *w, struct hd_point_block *block, const struct hd_sample *sample)
{
	struct hd_run *run = w->run;
	const struct hd_undo *before = &w->undo[block->undo % HD_UNDO_SLOTS];
	bool revision = sample->ts_ms == block->newest_ms;
	if (revision && block->undo && before->number == block->undo && before->point == sample->point && before->ts_ms == sample->ts_ms)
		memcpy(hd_block_state(block), before->state, block->shape->state_bytes);
	hd_undo_keep(w, block, sample->point, sample->ts_ms);
	hd_run_begin(run, block->shape);
	struct hd_row *row = hd_run_add(run, sample->raws, sample->raw_count, sample->ts_ms);
	row->params = hd_block_params(block);
	row->state = hd_block_state(block);
	row->point = sample->point;
	row->config = block->config;
	row->bits = HD_ROW_REDO | (sample->rev ? HD_ROW_REVISION : 0);
	run->trace_arg = (void *)(uintptr_t)sample;
	hd_run_steps(run);
	run->trace_arg = NULL;
	if (row->redo_from_ms) /* whether it was done before the end, history tells */
		hd_worker_redo_later(w, block, sample->point, row->redo_from_ms);
}

static int take_tail(void *arg, const struct hd_sample *sample, uint64_t lsn)
{
	struct tail *tail = arg;
	struct hd_worker *w = tail->w;
	tail->first_lsn = tail->first_lsn ? tail->first_lsn : lsn;
	tail->last_lsn = lsn;
	if (hd_pipeline_worker_of(w->pipeline, sample->point) != w->index || lsn <= tail->shard_lsn[hd_shard_of(sample->point)])
		return HYDRO_OK;
	struct hd_point_block *block = hd_pipeline_block(w->pipeline, sample->point);
	if (!block || hd_block_ready(w, block, sample->point, NULL) != HYDRO_OK)
		return HYDRO_OK; /* a point that is gone from the store */
	tail->records++;
	hd_latest_put(w->pipeline->latest, sample);
	if (sample->bits & HD_SAMPLE_CLOCK) {
		block->bits |= HD_HOT_CLOCK;
		return HYDRO_OK;
	}
	if (sample->bits & HD_SAMPLE_HELD)
		return hd_held_restore(block, sample);
	if (block->extra && block->extra->held_count)
		(void)hd_held_take(block, sample->ts_ms);
	if (sample->bits & HD_SAMPLE_LATE && block->shape && block->shape->stateful_steps)
		hd_worker_redo_later(w, block, sample->point, sample->ts_ms);
	bool newer = sample->ts_ms > block->newest_ms || (sample->ts_ms == block->newest_ms && sample->rev > block->newest_rev);
	if (!newer || sample->bits & HD_SAMPLE_LATE)
		return HYDRO_OK;
	if (block->shape && !(sample->bits & HD_SAMPLE_UNPROCESSED && !sample->value_count && !sample->generation))
		run_again(w, block, sample);
	block->bits = (uint8_t)(sample->bits & HD_SAMPLE_UNPROCESSED ? block->bits | HD_HOT_RAW_ONLY : block->bits & ~HD_HOT_RAW_ONLY);
	struct hd_known known;
	hd_known_of_sample(sample, &known);
	hd_known_set(block, &known);
	return HYDRO_OK;
}

static void recover_job(void *arg, struct hd_worker *w)
{
	struct recovery *r = arg;
	struct hd_pipeline *p = w->pipeline;
	struct hydro_error err = {.struct_size = sizeof err};
	struct tail *tail = calloc(1, sizeof *tail);
	int rc = HYDRO_E_NOMEM;
	if (tail) {
		tail->w = w;
		for (uint32_t i = 0; i < HD_SHARDS; i++)
			tail->shard_lsn[i] = hd_keeper_lsn(p, i);
		struct hd_run_lua live = w->run->lua;
		w->run->lua.call = lua_again;
		rc = p->config.replay(p->config.replay_arg, r->from_lsn, take_tail, tail, &err);
		w->run->lua = live;
	}
	(void)pthread_mutex_lock(&r->lock);
	if (rc != HYDRO_OK && r->rc == HYDRO_OK) {
		r->rc = rc;
		hd_error_set(r->err, rc, "%s (while reading the journal's tail)", err.text);
	}
	r->records += tail ? tail->records : 0;
	r->first_lsn = tail && tail->first_lsn ? tail->first_lsn : r->first_lsn;
	r->last_lsn = HD_MAX(r->last_lsn, tail ? tail->last_lsn : 0);
	r->left--;
	(void)pthread_cond_signal(&r->done);
	(void)pthread_mutex_unlock(&r->lock);
	free(tail);
}

int hd_pipeline_recover(struct hd_pipeline *p, uint64_t *ret_records, struct hydro_error *err)
{
	struct recovery r = {.from_lsn = UINT64_MAX, .lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER, .err = err};
	for (uint32_t i = 0; i < HD_SHARDS; i++)
		r.from_lsn = HD_MIN(r.from_lsn, hd_keeper_lsn(p, i) + 1);
	if (p->config.replay) {
		r.left = p->worker_count;
		for (uint32_t i = 0; i < p->worker_count; i++)
			HD_ASSERT(hd_pipeline_post_wait(p, i, recover_job, &r));
		(void)pthread_mutex_lock(&r.lock);
		while (r.left)
			(void)pthread_cond_wait(&r.done, &r.lock);
		(void)pthread_mutex_unlock(&r.lock);
	}
	/* A shard without file, and a journal that begins later than it: only history knows those points. */
	for (uint32_t i = 0; i < HD_SHARDS; i++)
		p->lost[i] = p->lost[i] || (hd_keeper_lsn(p, i) == 0 && r.first_lsn > 1);
	if (r.rc == HYDRO_OK) {
		atomic_store(&p->synced_lsn, r.last_lsn ? r.last_lsn : r.from_lsn - 1);
		hd_keeper_recovered(p);
		if (ret_records)
			*ret_records = r.records;
	}
	return r.rc;
}
