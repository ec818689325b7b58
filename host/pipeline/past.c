/* SPDX-License-Identifier: MIT */
#include "pipeline/past.h"

#include <stdlib.h>

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

struct hd_row *hd_past_add_row(const struct hd_pipeline *p, struct hd_run *run, const struct hd_past *past, uint32_t i)
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
