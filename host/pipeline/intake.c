/* SPDX-License-Identifier: MIT */
/* Raw values of one feed to readings, and each reading to where it belongs. */
#include "pipeline/intake.h"

#include "base/array.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int hd_intake_new(struct hd_intake **ret)
{
	*ret = calloc(1, sizeof **ret);
	return *ret ? HYDRO_OK : HYDRO_E_NOMEM;
}

void hd_intake_free(struct hd_intake **intake)
{
	if (!*intake)
		return;
	free((*intake)->raws);
	free((*intake)->readings);
	free((*intake)->sorted);
	free(*intake);
	*intake = NULL;
}

/* ---- grouping ---- */

static int by_time(const void *a, const void *b)
{
	const hydro_raw *x = a, *y = b;
	if (x->ts_ms != y->ts_ms)
		return x->ts_ms < y->ts_ms ? -1 : 1;
	return 0;
}

/* Insertion for the few values of a poll, merge sort of the C library (stable in glibc for what fits in memory) for histories. */
static int sort(struct hd_intake *in, const hydro_raw *raws, uint32_t count, const hydro_raw **ret, struct hydro_error *err)
{
	bool sorted = true;
	for (uint32_t i = 1; i < count && sorted; i++)
		sorted = raws[i - 1].ts_ms <= raws[i].ts_ms;
	*ret = raws;
	if (sorted)
		return HYDRO_OK;
	if (!HD_RESERVE(in->sorted, in->sorted_capacity, 0, count))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for %u raw values", count);
	memcpy(in->sorted, raws, count * sizeof *raws);
	qsort(in->sorted, count, sizeof *in->sorted, by_time);
	*ret = in->sorted;
	return HYDRO_OK;
}

static int check(const hydro_raw *raws, uint32_t count, struct hydro_error *err)
{
	for (uint32_t i = 0; i < count; i++)
		if (HD_UNLIKELY(!isfinite(raws[i].value) || raws[i].ts_ms < HD_TS_MIN_MS || raws[i].ts_ms >= HD_TS_MAX_MS || !raws[i].metric))
			return hd_error_set(err, HYDRO_E_INVALID, "raw value %u of %u: ts %lld, metric %u, value %g", i + 1, count,
					    (long long)raws[i].ts_ms, raws[i].metric, raws[i].value);
	return HYDRO_OK;
}

int hd_intake_group(struct hd_intake *in, const hydro_raw *raws, uint32_t count, uint32_t join_ms, struct hydro_error *err)
{
	in->raw_count = in->count = in->dropped = 0;
	int rc = check(raws, count, err);
	if (rc == HYDRO_OK)
		rc = sort(in, raws, count, &raws, err);
	if (rc != HYDRO_OK)
		return rc;
	if (!HD_RESERVE(in->raws, in->raw_capacity, 0, count) ||
	    !HD_RESERVE(in->readings, in->capacity, 0, count))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for %u raw values", count);
	struct hd_reading *now = NULL;
	for (uint32_t i = 0; i < count; i++) {
		const hydro_raw *raw = &raws[i];
		struct hd_raw one = {.value = raw->value, .metric = raw->metric, .quality = raw->flags & HYDRO_RAW_STATUS ? 0.0f : 1.0f};
		struct hd_raw *same = NULL;
		bool in_window = now && raw->ts_ms - now->ts_ms <= (int64_t)join_ms && now->count < HD_METRICS_PER_SAMPLE_MAX;
		for (uint32_t k = 0; in_window && k < now->count && !same; k++)
			if (in->raws[now->first + k].metric == one.metric)
				same = &in->raws[now->first + k];
		if (in_window && same && now->ts_ms + same->dt_ms == raw->ts_ms) {
			/* The same time twice: the later word holds. */
			one.dt_ms = same->dt_ms;
			*same = one;
			in->dropped++;
			continue;
		}
		if (!in_window || same) {
			now = &in->readings[in->count++];
			*now = (struct hd_reading){.ts_ms = raw->ts_ms, .first = in->raw_count};
		}
		one.dt_ms = (int32_t)(raw->ts_ms - now->ts_ms);
		in->raws[in->raw_count++] = one;
		now->count++;
	}
	return HYDRO_OK;
}

/* ---- one sample ---- */

static void fill_flags(const struct hd_worker *w, const struct hd_sample *sample, struct hd_flag *flags)
{
	const struct hd_pipeline *p = w->pipeline;
	uint32_t n = 0;
	if (sample->bits & HD_SAMPLE_HELD)
		flags[n++] = (struct hd_flag){.flag = HD_FLAG_HELD, .rule = p->rule_held};
	if (sample->bits & HD_SAMPLE_UNPROCESSED)
		flags[n++] = (struct hd_flag){.flag = HD_FLAG_UNPROCESSED, .rule = p->rule_unprocessed};
	if (sample->bits & HD_SAMPLE_CLOCK)
		flags[n++] = (struct hd_flag){.flag = HD_FLAG_CLOCK, .rule = p->rule_clock};
	HD_ASSERT(n == sample->flag_count);
}

int hd_worker_add(struct hd_worker *w, struct hd_point_block *block, uint32_t point, const struct hd_sample_how *how, struct hydro_error *err)
{
	int rc = hd_worker_room(w, err);
	if (HD_UNLIKELY(rc != HYDRO_OK))
		return rc;
	bool raw_only = how->raw_only || !block->shape;
	struct hd_sample head = {.ts_ms = how->ts_ms, .source = how->source, .point = point, .rev = how->rev, .bits = how->bits,
				 .raw_count = (uint8_t)how->raw_count};
	if (HD_UNLIKELY(raw_only)) {
		if (!(head.bits & HD_SAMPLE_HELD)) {
			head.bits |= HD_SAMPLE_UNPROCESSED;
			HD_COUNT(w, unprocessed, 1);
		}
		head.flag_count = (uint8_t)__builtin_popcount(head.bits & (HD_SAMPLE_HELD | HD_SAMPLE_UNPROCESSED | HD_SAMPLE_CLOCK));
	}
	struct hd_batch *batch = w->out->batch;
	struct hd_value *raws, *values;
	struct hd_flag *flags;
	const struct hd_sample *sample = hd_batch_reserve(batch, &head, &raws, &values, &flags);
	HD_ASSERT(sample);
	for (uint32_t i = 0; i < how->raw_count; i++)
		raws[i] = (struct hd_value){how->raws[i].value, how->raws[i].metric, how->raws[i].quality};
	if (HD_UNLIKELY(flags != NULL))
		fill_flags(w, sample, flags);
	if (how->received_ns && (!batch->received_ns || how->received_ns < batch->received_ns))
		batch->received_ns = how->received_ns;
	block->last_seq = w->out->seq;
	HD_COUNT(w, samples, 1);
	if (raw_only)
		return HYDRO_OK;
	w->pending[w->pending_count++] = (struct hd_pending){.block = block, .point = point, .sample = batch->count - 1, .bits = how->row_bits, .undo = how->undo};
	block->bits |= HD_HOT_PENDING;
	__builtin_prefetch(block->data);
	__builtin_prefetch(block->data + 64, 1);
	__builtin_prefetch(block->data + 128, 1);
	return HYDRO_OK;
}

/* ---- where a reading belongs ---- */

int hd_worker_add_newest(struct hd_worker *w, struct hd_point_block *block, uint32_t point, struct hd_known *reading, bool last,
			 const struct hd_feed *how, struct hydro_error *err)
{
	/* The state before the last reading of a feed is kept, so the rows before it must have run. */
	if (last && block->bits & HD_HOT_PENDING)
		hd_worker_execute(w);
	struct hd_sample_how sample = {.ts_ms = reading->ts_ms, .raws = reading->raws, .raw_count = reading->count, .rev = reading->rev,
				       .bits = how->mode == HD_FEED_MANUAL ? HD_SAMPLE_MANUAL : 0, .row_bits = reading->rev ? HD_ROW_REVISION : 0, .undo = last,
				       .source = how->source,
				       .received_ns = how->received_ns};
	int rc = hd_worker_add(w, block, point, &sample, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_known_set(block, reading);
	block->bits &= (uint8_t)~HD_HOT_RAW_ONLY;
	if (!block->shape)
		block->bits |= HD_HOT_RAW_ONLY;
	return HYDRO_OK;
}

/* Another version of the newest reading: from the state before it when that is still there, else by a redo. */
static int revise_newest(struct hd_worker *w, struct hd_point_block *block, uint32_t point, struct hd_known *known, const struct hd_feed *how,
			 struct hydro_error *err)
{
	known->rev++;
	HD_COUNT(w, revisions, 1);
	if (block->bits & HD_HOT_PENDING)
		hd_worker_execute(w);
	bool stateful = block->shape && block->shape->state_bytes && block->shape->stateful_steps;
	const struct hd_undo *undo = &w->undo[block->undo % HD_UNDO_SLOTS];
	bool have = block->undo && undo->number == block->undo && undo->point == point && undo->ts_ms == known->ts_ms;
	if (stateful && have)
		memcpy(hd_block_state(block), undo->state, block->shape->state_bytes);
	if (!stateful || have || block->bits & HD_HOT_RAW_ONLY)
		return hd_worker_add_newest(w, block, point, known, true, how, err);
	struct hd_sample_how sample = {.ts_ms = known->ts_ms, .raws = known->raws, .raw_count = known->count, .rev = known->rev,
				       .row_bits = HD_ROW_STATELESS, .source = how->source, .received_ns = how->received_ns};
	int rc = hd_worker_add(w, block, point, &sample, err);
	if (rc == HYDRO_OK) {
		hd_known_set(block, known);
		hd_worker_redo_later(w, block, point, known->ts_ms);
	}
	return rc;
}

struct tally {
	uint32_t accepted, dropped;
};

/* A reading not older than the newest by more than the join window. */
static int feed_fresh(struct hd_worker *w, struct hd_point_block *block, uint32_t point, const struct hd_reading *reading, const struct hd_raw *raws,
		      bool last, const struct hd_feed *how, bool *ret_old, struct tally *tally, struct hydro_error *err)
{
	struct hd_known known;
	if (block->newest_ms && reading->ts_ms - block->newest_ms <= (int64_t)block->join_ms) {
		hd_known_get(block, &known);
		uint32_t same = hd_known_compare(&known, reading, raws, block->join_ms);
		if (same == HD_SAME_DUPLICATE && !(block->bits & HD_HOT_RAW_ONLY && block->shape)) {
			tally->dropped++;
			return HYDRO_OK;
		}
		if (same != HD_SAME_OTHER && hd_known_merge(&known, reading, raws)) {
			tally->accepted++;
			return revise_newest(w, block, point, &known, how, err);
		}
		if (reading->ts_ms <= block->newest_ms) {
			*ret_old = true;
			return HYDRO_OK;
		}
	}
	known.ts_ms = reading->ts_ms;
	known.count = reading->count;
	known.rev = block->extra && block->extra->held_count ? hd_held_take(block, reading->ts_ms) : 0;
	if (HD_UNLIKELY(block->bits & HD_HOT_CLOCK) && !known.rev) {
		int rc = hd_worker_known_rev(w, block, point, reading->ts_ms, &known.rev, err);
		if (rc != HYDRO_OK)
			return rc;
	}
	memcpy(known.raws, raws, reading->count * sizeof *raws);
	tally->accepted++;
	HD_COUNT(w, readings, 1);
	return hd_worker_add_newest(w, block, point, &known, last, how, err);
}

/* One reading of the feed that is not old, as far as its time tells. */
static int feed_one(struct hd_worker *w, struct hd_point_block *block, uint32_t point, uint32_t i, const struct hd_feed *how, struct tally *tally,
		    struct hydro_error *err)
{
	const struct hd_intake *in = w->intake;
	const struct hd_reading *reading = &in->readings[i];
	const struct hd_raw *raws = in->raws + reading->first;
	if (HD_UNLIKELY(block->bits & HD_HOT_HOLD) && how->mode == HD_FEED_LIVE) {
		bool known = false;
		int rc = hd_worker_feed_held(w, block, point, reading, raws, how, &known, err);
		if (rc == HYDRO_OK)
			known ? tally->dropped++ : tally->accepted++;
		return rc;
	}
	bool old = false;
	int rc = feed_fresh(w, block, point, reading, raws, i + 1 == in->count, how, &old, tally, err);
	if (rc == HYDRO_OK && HD_UNLIKELY(old))
		rc = hd_worker_feed_old(w, block, point, in, i, 1, 0, how, &tally->accepted, &tally->dropped, err);
	return rc;
}

/* Whether the logger's time cannot be. */
static bool is_clock(int64_t ts, int64_t last_good, int64_t start)
{
	return ts > last_good || ts < start;
}

int hd_pipeline_feed(struct hd_worker *w, uint32_t point, const hydro_raw *raws, uint32_t count, const struct hd_feed *how, struct hydro_error *err)
{
	const struct hd_pipeline_config *config = &w->pipeline->config;
	HD_ASSERT(hd_pipeline_worker_of(w->pipeline, point) == w->index);
	if (count > HD_FEED_RAWS_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "%u raw values in one feed, at most %u are taken", count, HD_FEED_RAWS_MAX);
	struct hd_point_block *block = hd_pipeline_block(w->pipeline, point);
	if (!block)
		return hd_error_set(err, point >= HD_POINTS_MAX ? HYDRO_E_INVALID : HYDRO_E_NOMEM, "no place for point number %u", point);
	int rc = hd_block_ready(w, block, point, err);
	if (rc == HYDRO_OK)
		rc = hd_intake_group(w->intake, raws, count, block->join_ms, err);
	if (rc != HYDRO_OK)
		return rc;
	if (HD_UNLIKELY(!block->newest_ms && w->pipeline->lost[hd_shard_of(point)] && !(block->bits & HD_HOT_ASKED)))
		rc = hd_worker_find_newest(w, block, point, err);
	if (rc != HYDRO_OK)
		return rc;
	if (HD_UNLIKELY(block->extra != NULL))
		hd_held_tick(w, block, point);
	struct tally tally = {.dropped = w->intake->dropped};
	int64_t last_good = hd_clock_wall_ms() + config->ahead_ms, start = block->config->start_ms;
	const struct hd_intake *in = w->intake;
	for (uint32_t i = 0; i < in->count && rc == HYDRO_OK;) {
		int64_t ts = in->readings[i].ts_ms, old_before = block->newest_ms - (int64_t)block->join_ms;
		bool clock = is_clock(ts, last_good, start);
		uint32_t n = 1;
		if (HD_LIKELY(!clock && ts >= old_before)) {
			rc = feed_one(w, block, point, i, how, &tally, err);
		} else { /* those that lie together are looked up together */
			while (i + n < in->count && clock == is_clock(in->readings[i + n].ts_ms, last_good, start) &&
			       (clock || in->readings[i + n].ts_ms < old_before))
				n++;
			rc = hd_worker_feed_old(w, block, point, in, i, n, clock ? HD_SAMPLE_CLOCK : 0, how, &tally.accepted, &tally.dropped, err);
		}
		i += n;
	}
	if (rc == HYDRO_OK) {
		HD_COUNT(w, dropped, tally.dropped);
		hd_worker_ack(w, how, tally.accepted, tally.dropped);
	}
	return rc;
}
