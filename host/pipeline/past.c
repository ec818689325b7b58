/* SPDX-License-Identifier: MIT */
#include "pipeline/past.h"

#include <stdlib.h>
#include <string.h>

static int take_past(void *arg, const struct hd_sample *sample, uint64_t lsn)
{
	struct hd_past *past = arg;
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

void hd_past_done(struct hd_past *past)
{
	hd_batch_free(&past->batch);
	free(past->rows);
}

int hd_past_load(const struct hd_pipeline *p, uint32_t point, int64_t from_ms, int64_t to_ms, uint32_t max_rows, struct hd_past *past,
		 struct hydro_error *err)
{
	int rc = hd_batch_new(max_rows, max_rows * 256u, &past->batch);
	if (rc != HYDRO_OK)
		return hd_error_set(err, rc, "no memory to run the past again");
	rc = p->config.history(p->config.history_arg, point, from_ms, to_ms, take_past, past, err);
	if (past->too_many)
		return hd_error_set(err, HYDRO_E_LIMIT, "more than %u readings to be run again", max_rows);
	if (rc != HYDRO_OK)
		return rc;
	past->rows = malloc((past->batch->count + 1) * sizeof *past->rows);
	if (!past->rows)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to run the past again");
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

/* What a counter must know before it sees old readings again: the units carried at that time, and an event confirmed since. What reaches back further is as it is now. */
void hd_redo_prepare(const struct hd_shape *shape, const uint8_t *live, uint8_t *scratch, int64_t first_ts)
{
	hd_shape_state_init(shape, scratch);
	for (uint32_t i = 0; i < shape->step_count; i++) {
		const struct hd_step *step = &shape->steps[i];
		if (step->kind->bits & HD_STEP_RECALLS)
			memcpy(scratch + step->state, live + step->state, step->state_bytes);
		if (step->kind->run != hd_step_counter.run)
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

static struct hd_row *add_row(const struct hd_pipeline *p, struct hd_run *run, const struct hd_past *past, uint32_t i)
{
	const struct hd_sample *sample = past->rows[i];
	struct hd_row *row = hd_run_add(run, sample->raws, sample->raw_count, sample->ts_ms);
	HD_ASSERT(row);
	row->sample = i;
	row->point = sample->point;
	row->bits = HD_ROW_REDO;
	for (uint32_t k = 0; k < sample->raw_count; k++)
		if (sample->raws[k].quality <= 0)
			hd_run_flag_metric(run, run->count - 1, sample->raws[k].metric, HD_FLAG_STATUS_CODE, p->rule_status);
	if (sample->bits & HD_SAMPLE_MANUAL)
		hd_run_flag(run, run->count - 1, HD_SLOT_NONE, HD_FLAG_MANUAL, p->rule_manual);
	return row;
}

static void amend(struct hd_outcome *outcome, const struct hd_amend *a)
{
	uint32_t left = 0;
	for (uint32_t i = 0; i < outcome->flag_count; i++)
		if (!a->remove || outcome->flags[i].metric != a->metric || outcome->flags[i].flag != a->remove || outcome->flags[i].rule != a->rule)
			outcome->flags[left++] = outcome->flags[i];
	outcome->flag_count = left;
	if (a->add && left < HD_FLAGS_PER_SAMPLE_MAX)
		outcome->flags[outcome->flag_count++] = (struct hd_flag){.metric = a->metric, .flag = a->add, .rule = a->rule};
	for (uint32_t i = 0; i < outcome->value_count; i++)
		if (outcome->values[i].metric == a->metric)
			outcome->values[i].quality = HD_MIN(outcome->values[i].quality, a->quality);
}

/* The last reading of the rows before, which the first of these rows may still judge. */
struct held_back {
	const struct hd_sample *sample; /* NULL = none */
	struct hd_outcome outcome;
};

static int let_go(const struct hd_past_run *how, struct held_back *held)
{
	const struct hd_sample *sample = HD_STEAL(held->sample);
	for (uint32_t i = 0; sample && i < how->run->amend_count; i++)
		amend(&held->outcome, &how->run->amend[i]);
	return sample ? how->done(how->arg, sample, &held->outcome) : HYDRO_OK;
}

int hd_past_run(const struct hd_past_run *how, const struct hd_past *past)
{
	struct hd_run *run = how->run;
	struct held_back held = {.sample = NULL};
	struct hd_outcome now;
	int rc = HYDRO_OK;
	for (uint32_t at = 0; at < past->count && rc == HYDRO_OK;) {
		hd_run_begin(run, how->shape);
		run->amends = held.sample != NULL;
		while (at < past->count && run->count < HD_RUN_ROWS) {
			struct hd_row *row = add_row(how->pipeline, run, past, at);
			how->prepare(how->arg, row, past->rows[at++]);
		}
		hd_run_steps(run);
		rc = let_go(how, &held);
		bool more = at < past->count && how->shape->ahead_ms;
		for (uint32_t i = 0; i < run->count && rc == HYDRO_OK; i++) {
			const struct hd_sample *sample = past->rows[run->rows[i].sample];
			bool keep = more && i + 1 == run->count;
			hd_run_outcome(run, i, sample->bits & HD_SAMPLE_MANUAL, keep ? &held.outcome : &now);
			if (keep)
				held.sample = sample;
			else
				rc = how->done(how->arg, sample, &now);
		}
	}
	return rc;
}

int64_t hd_past_reaches_back(const struct hd_past *past, const struct hd_shape *shape, int64_t ts_ms)
{
	int64_t before = ts_ms;
	for (uint32_t i = 0; shape->ahead_ms && i < past->count && past->rows[i]->ts_ms < ts_ms; i++)
		before = past->rows[i]->ts_ms;
	return before;
}
