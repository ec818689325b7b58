/* SPDX-License-Identifier: MIT */
/* Live readings of a point whose older gap is being filled: on disk at once, through the plan afterwards, in order of time. */
#include "pipeline/intake.h"

#include "base/array.h"

#include <stdlib.h>
#include <string.h>

#define HOLD_NS_MAX (6 * 3600 * HD_NS_PER_S) /* a hold that nobody releases ends by itself */

struct hd_held {
	struct hd_known known;
	uint64_t source;
};

void hd_pipeline_hold(struct hd_worker *w, uint32_t point)
{
	struct hd_point_block *block = hd_pipeline_block(w->pipeline, point);
	if (!block || !hd_block_extra(block))
		return; /* without memory live readings pass; what is backfilled is late then */
	block->bits |= HD_HOT_HOLD;
	block->extra->hold_until_ns = hd_clock_mono_ns() + HOLD_NS_MAX;
}

/* Place of the first held reading not before ts. */
static uint32_t place_of(const struct hd_point_extra *extra, int64_t ts_ms)
{
	uint32_t low = 0, high = extra->held_count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (extra->held[middle].known.ts_ms < ts_ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool insert(struct hd_point_extra *extra, uint32_t at, const struct hd_known *known, uint64_t source)
{
	if (extra->held_count >= HD_HELD_MAX || !HD_RESERVE(extra->held, extra->held_capacity, extra->held_count, 1))
		return false;
	memmove(extra->held + at + 1, extra->held + at, (extra->held_count - at) * sizeof *extra->held);
	extra->held[at] = (struct hd_held){.known = *known, .source = source};
	extra->held_count++;
	return true;
}

static int append_held(struct hd_worker *w, struct hd_point_block *block, uint32_t point, const struct hd_known *known, const struct hd_feed *how,
		       struct hydro_error *err)
{
	struct hd_sample_how sample = {.ts_ms = known->ts_ms, .raws = known->raws, .raw_count = known->count, .rev = known->rev, .bits = HD_SAMPLE_HELD,
				       .raw_only = true, .source = how->source, .received_ns = how->received_ns};
	HD_COUNT(w, held, 1);
	return hd_worker_add(w, block, point, &sample, err);
}

int hd_worker_feed_held(struct hd_worker *w, struct hd_point_block *block, uint32_t point, const struct hd_reading *reading, const struct hd_raw *raws,
			const struct hd_feed *how, bool *ret_known, struct hydro_error *err)
{
	struct hd_point_extra *extra = block->extra;
	struct hd_known newest;
	hd_known_get(block, &newest);
	/* What the gap's filling brought already. */
	*ret_known = block->newest_ms && hd_known_compare(&newest, reading, raws, block->join_ms) == HD_SAME_DUPLICATE;
	if (*ret_known)
		return HYDRO_OK;
	uint32_t at = place_of(extra, reading->ts_ms - (int64_t)block->join_ms);
	for (uint32_t i = at; i < extra->held_count && extra->held[i].known.ts_ms <= reading->ts_ms + (int64_t)block->join_ms; i++) {
		struct hd_known *known = &extra->held[i].known;
		uint32_t same = hd_known_compare(known, reading, raws, block->join_ms);
		if (same == HD_SAME_DUPLICATE) {
			*ret_known = true;
			return HYDRO_OK;
		}
		if (same == HD_SAME_REVISION && hd_known_merge(known, reading, raws)) {
			known->rev++;
			return append_held(w, block, point, known, how, err);
		}
	}
	struct hd_known fresh = {.ts_ms = reading->ts_ms, .count = reading->count};
	memcpy(fresh.raws, raws, reading->count * sizeof *raws);
	HD_COUNT(w, readings, 1);
	if (!insert(extra, place_of(extra, reading->ts_ms), &fresh, how->source))
		hd_pipeline_event(w->pipeline, HD_EVENT_WARN, "held_overflow", point, "a held reading waits for a reprocess: more than %u are held", HD_HELD_MAX);
	return append_held(w, block, point, &fresh, how, err);
}

uint16_t hd_held_take(struct hd_point_block *block, int64_t ts_ms)
{
	struct hd_point_extra *extra = block->extra;
	uint32_t at = place_of(extra, ts_ms);
	if (at == extra->held_count || extra->held[at].known.ts_ms != ts_ms)
		return 0;
	uint16_t rev = (uint16_t)(extra->held[at].known.rev + 1);
	extra->held_count--;
	memmove(extra->held + at, extra->held + at + 1, (extra->held_count - at) * sizeof *extra->held);
	return rev;
}

void hd_pipeline_release(struct hd_worker *w, uint32_t point)
{
	struct hd_point_block *block = hd_pipeline_block_find(w->pipeline, point);
	if (!block || !(block->bits & HD_HOT_HOLD))
		return;
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_point_extra *extra = block->extra;
	struct hd_held *held = HD_STEAL(extra->held);
	uint32_t count = extra->held_count;
	extra->held_count = extra->held_capacity = 0;
	block->bits &= (uint8_t)~HD_HOT_HOLD;
	int rc = hd_block_ready(w, block, point, &err);
	for (uint32_t i = 0; i < count && rc == HYDRO_OK; i++) {
		struct hd_known *known = &held[i].known;
		struct hd_feed how = {.mode = HD_FEED_LIVE, .source = held[i].source};
		known->rev++;
		HD_COUNT(w, revisions, 1);
		if (known->ts_ms > block->newest_ms) {
			rc = hd_worker_add_newest(w, block, point, known, i + 1 == count, &how, &err);
			continue;
		}
		/* The gap's filling went past it: late. */
		struct hd_sample_how sample = {.ts_ms = known->ts_ms, .raws = known->raws, .raw_count = known->count, .rev = known->rev,
					       .bits = HD_SAMPLE_LATE, .row_bits = HD_ROW_STATELESS, .source = how.source};
		rc = hd_worker_add(w, block, point, &sample, &err);
		if (rc == HYDRO_OK)
			hd_worker_redo_later(w, block, point, known->ts_ms);
	}
	if (rc != HYDRO_OK)
		hd_pipeline_event(w->pipeline, HD_EVENT_ERROR, "release_failed", point, "%s", err.text);
	free(held);
}

void hd_held_tick(struct hd_worker *w, struct hd_point_block *block, uint32_t point)
{
	if (block->bits & HD_HOT_HOLD && hd_clock_mono_ns() > block->extra->hold_until_ns) {
		hd_pipeline_event(w->pipeline, HD_EVENT_WARN, "hold_expired", point, "a gap was not filled in time; held readings go through now");
		hd_pipeline_release(w, point);
	}
}

int hd_held_restore(struct hd_point_block *block, const struct hd_sample *sample)
{
	struct hd_point_extra *extra = hd_block_extra(block);
	struct hd_known known;
	hd_known_of_sample(sample, &known);
	if (!extra)
		return HYDRO_E_NOMEM;
	(void)hd_held_take(block, sample->ts_ms);
	if (!insert(extra, place_of(extra, sample->ts_ms), &known, sample->source))
		return HYDRO_E_NOMEM;
	block->bits |= HD_HOT_HOLD;
	extra->hold_until_ns = hd_clock_mono_ns() + HOLD_NS_MAX / 36; /* ten minutes for the collector to come to it */
	return HYDRO_OK;
}
