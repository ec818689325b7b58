/* SPDX-License-Identifier: MIT */
/* What is known of a (point, ts): the newest reading from the point itself, older ones from history. */
#include "pipeline/intake.h"

#include "base/array.h"

#include <stdlib.h>
#include <string.h>

uint32_t hd_known_compare(const struct hd_known *known, const struct hd_reading *reading, const struct hd_raw *raws, uint32_t join_ms)
{
	int64_t distance = reading->ts_ms - known->ts_ms;
	if (distance > (int64_t)join_ms || -distance > (int64_t)join_ms)
		return HD_SAME_OTHER;
	uint32_t same = HD_SAME_DUPLICATE;
	for (uint32_t i = 0; i < reading->count; i++) {
		const struct hd_raw *raw = &raws[i], *other = NULL;
		for (uint32_t k = 0; k < known->count && !other; k++)
			if (known->raws[k].metric == raw->metric)
				other = &known->raws[k];
		if (!other) {
			same = HD_SAME_REVISION;
			continue;
		}
		bool equal = memcmp(&other->value, &raw->value, sizeof raw->value) == 0;
		/* The value's own time is not on disk: after a restart an equal one in the window is taken for the same. */
		bool same_time = other->dt_ms == HD_DT_UNKNOWN ? equal || distance == 0 : distance + raw->dt_ms == other->dt_ms;
		if (!same_time)
			return HD_SAME_OTHER;
		if (!equal)
			same = HD_SAME_REVISION;
	}
	return same;
}

bool hd_known_merge(struct hd_known *known, const struct hd_reading *reading, const struct hd_raw *raws)
{
	int64_t distance = reading->ts_ms - known->ts_ms;
	for (uint32_t i = 0; i < reading->count; i++) {
		struct hd_raw *other = NULL;
		for (uint32_t k = 0; k < known->count && !other; k++)
			if (known->raws[k].metric == raws[i].metric)
				other = &known->raws[k];
		if (!other) {
			if (known->count == HD_METRICS_PER_SAMPLE_MAX)
				return false;
			other = &known->raws[known->count++];
		}
		*other = raws[i];
		other->dt_ms = (int32_t)(distance + raws[i].dt_ms);
	}
	return true;
}

/* In the block the sign bit of the metric's number says that the value is a status code. */
#define STATUS_BIT 0x80000000u

static void unpack(const struct hd_known_raw *from, struct hd_raw *to)
{
	*to = (struct hd_raw){.value = from->value, .metric = from->metric & ~STATUS_BIT, .dt_ms = from->dt_ms,
			      .quality = from->metric & STATUS_BIT ? 0.0f : 1.0f};
}

void hd_known_get(const struct hd_point_block *block, struct hd_known *ret)
{
	ret->ts_ms = block->newest_ms;
	ret->rev = block->newest_rev;
	ret->bits = 0;
	ret->count = block->known_count;
	for (uint32_t i = 0; i < ret->count; i++)
		unpack(i < HD_KNOWN_INLINE ? &block->known[i] : &block->extra->more[i], &ret->raws[i]);
}

void hd_known_set(struct hd_point_block *block, const struct hd_known *known)
{
	uint32_t count = known->count;
	if (HD_UNLIKELY(count > HD_KNOWN_INLINE) && !hd_block_extra(block))
		count = HD_KNOWN_INLINE; /* without memory a repeated poll may make a revision more */
	for (uint32_t i = 0; i < count; i++) {
		struct hd_known_raw *to = i < HD_KNOWN_INLINE ? &block->known[i] : &block->extra->more[i];
		*to = (struct hd_known_raw){known->raws[i].value, known->raws[i].metric | (known->raws[i].quality > 0 ? 0 : STATUS_BIT), known->raws[i].dt_ms};
	}
	block->known_count = (uint8_t)count;
	block->newest_rev = known->rev;
	hd_block_set_newest(block, known->ts_ms);
}

void hd_known_of_sample(const struct hd_sample *sample, struct hd_known *ret)
{
	ret->ts_ms = sample->ts_ms;
	ret->rev = sample->rev;
	ret->bits = sample->bits;
	ret->count = sample->raw_count;
	for (uint32_t i = 0; i < sample->raw_count; i++)
		ret->raws[i] = (struct hd_raw){.value = sample->raws[i].value, .metric = sample->raws[i].metric, .dt_ms = HD_DT_UNKNOWN,
					       .quality = sample->raws[i].quality};
}

/* ---- older than the newest ---- */

struct rows {
	struct hd_known *rows;
	uint32_t count, capacity;
};

static int take_row(void *arg, const struct hd_sample *sample, uint64_t lsn)
{
	(void)lsn;
	struct rows *rows = arg;
	for (uint32_t i = 0; i < rows->count; i++)
		if (rows->rows[i].ts_ms == sample->ts_ms) {
			if (sample->rev >= rows->rows[i].rev)
				hd_known_of_sample(sample, &rows->rows[i]);
			return HYDRO_OK;
		}
	if (!HD_RESERVE(rows->rows, rows->capacity, rows->count, 1))
		return HYDRO_E_NOMEM;
	hd_known_of_sample(sample, &rows->rows[rows->count++]);
	return HYDRO_OK;
}

/* All known readings around; what the worker itself appended must be synced first, or it would not be seen. */
static int look_up(struct hd_worker *w, struct hd_point_block *block, uint32_t point, int64_t from_ms, int64_t to_ms, struct rows *rows,
		   struct hydro_error *err)
{
	const struct hd_pipeline_config *config = &w->pipeline->config;
	if (!config->history)
		return HYDRO_OK;
	if (block->last_seq && !hd_worker_is_synced(w, block->last_seq)) {
		int rc = hd_worker_wait_synced(w, block->last_seq, err);
		if (rc != HYDRO_OK)
			return rc;
	}
	return config->history(config->history_arg, point, from_ms, to_ms, take_row, rows, err);
}

int hd_worker_known_rev(struct hd_worker *w, struct hd_point_block *block, uint32_t point, int64_t ts_ms, uint16_t *ret, struct hydro_error *err)
{
	struct rows rows = {0};
	int rc = look_up(w, block, point, ts_ms, ts_ms + 1, &rows, err);
	if (rc == HYDRO_OK && rows.count)
		*ret = (uint16_t)(rows.rows[0].rev + 1);
	free(rows.rows);
	return rc;
}

static int take_newest(void *arg, const struct hd_sample *sample, uint64_t lsn)
{
	struct hd_known *newest = arg;
	(void)lsn;
	if (sample->bits & (HD_SAMPLE_CLOCK | HD_SAMPLE_HELD))
		return HYDRO_OK;
	if (sample->ts_ms > newest->ts_ms || (sample->ts_ms == newest->ts_ms && sample->rev >= newest->rev))
		hd_known_of_sample(sample, newest);
	return HYDRO_OK;
}

int hd_worker_find_newest(struct hd_worker *w, struct hd_point_block *block, uint32_t point, struct hydro_error *err)
{
	const struct hd_pipeline_config *config = &w->pipeline->config;
	struct hd_known newest = {.ts_ms = 0};
	int rc = config->history ? config->history(config->history_arg, point, HD_TS_MIN_MS, HD_TS_MAX_MS, take_newest, &newest, err) : HYDRO_OK;
	if (rc != HYDRO_OK)
		return rc;
	block->bits |= HD_HOT_ASKED;
	if (!newest.ts_ms)
		return HYDRO_OK;
	hd_known_set(block, &newest);
	if (newest.bits & HD_SAMPLE_UNPROCESSED)
		block->bits |= HD_HOT_RAW_ONLY;
	hd_worker_redo_later(w, block, point, newest.ts_ms);
	(void)hd_worker_redo(w); /* before anything new goes through */
	return HYDRO_OK;
}

/* A known reading that should now be run (again), although nothing in it is new. */
static bool wants_processing(const struct hd_known *known, const struct hd_point_block *block, uint16_t bits)
{
	if (known->bits & HD_SAMPLE_CLOCK && !(bits & HD_SAMPLE_CLOCK))
		return true;
	return known->bits & HD_SAMPLE_UNPROCESSED && block->shape;
}

static int add_old(struct hd_worker *w, struct hd_point_block *block, uint32_t point, const struct hd_known *known, uint16_t bits,
		   const struct hd_feed *how, struct hydro_error *err)
{
	struct hd_sample_how sample = {.ts_ms = known->ts_ms, .raws = known->raws, .raw_count = known->count, .rev = known->rev, .bits = bits,
				       .row_bits = HD_ROW_STATELESS, .source = how->source, .received_ns = how->received_ns};
	if (how->mode == HD_FEED_MANUAL)
		sample.bits |= HD_SAMPLE_MANUAL;
	int rc = hd_worker_add(w, block, point, &sample, err);
	if (rc != HYDRO_OK)
		return rc;
	HD_COUNT(w, readings, known->rev == 0);
	HD_COUNT(w, revisions, known->rev != 0);
	if (bits & HD_SAMPLE_CLOCK) {
		block->bits |= HD_HOT_CLOCK;
		HD_COUNT(w, clock, 1);
		return HYDRO_OK;
	}
	HD_COUNT(w, late, 1);
	if (block->shape && block->shape->stateful_steps)
		hd_worker_redo_later(w, block, point, known->ts_ms);
	return HYDRO_OK;
}

static int feed_old_one(struct hd_worker *w, struct hd_point_block *block, uint32_t point, const struct hd_reading *reading, const struct hd_raw *raws,
			struct rows *rows, uint16_t bits, const struct hd_feed *how, bool *ret_new, struct hydro_error *err)
{
	struct hd_known *known = NULL, fresh;
	uint32_t same = HD_SAME_OTHER;
	for (uint32_t i = 0; i < rows->count && same == HD_SAME_OTHER; i++) {
		same = hd_known_compare(&rows->rows[i], reading, raws, block->join_ms);
		known = same == HD_SAME_OTHER ? NULL : &rows->rows[i];
	}
	*ret_new = true;
	if (!known) {
		fresh = (struct hd_known){.ts_ms = reading->ts_ms, .count = reading->count};
		memcpy(fresh.raws, raws, reading->count * sizeof *raws);
		int rc = add_old(w, block, point, &fresh, bits, how, err);
		struct hd_sample sample = {.ts_ms = fresh.ts_ms};
		if (rc == HYDRO_OK && take_row(rows, &sample, 0) == HYDRO_OK) /* what comes twice in one feed is known the second time */
			rows->rows[rows->count - 1] = fresh;
		return rc;
	}
	if (same == HD_SAME_DUPLICATE && !wants_processing(known, block, bits)) {
		*ret_new = false;
		return HYDRO_OK;
	}
	if (!hd_known_merge(known, reading, raws))
		return hd_error_set(err, HYDRO_E_LIMIT, "more than %u metrics in one reading", HD_METRICS_PER_SAMPLE_MAX);
	known->rev++;
	known->bits = bits;
	return add_old(w, block, point, known, bits, how, err);
}

int hd_worker_feed_old(struct hd_worker *w, struct hd_point_block *block, uint32_t point, const struct hd_intake *in, uint32_t first, uint32_t count,
		       uint16_t clock, const struct hd_feed *how, uint32_t *accepted, uint32_t *dropped, struct hydro_error *err)
{
	struct rows rows = {0};
	int64_t join = block->join_ms;
	int rc = look_up(w, block, point, in->readings[first].ts_ms - join, in->readings[first + count - 1].ts_ms + join + 1, &rows, err);
	for (uint32_t i = first; i < first + count && rc == HYDRO_OK; i++) {
		bool fresh;
		uint16_t bits = clock ? clock : HD_SAMPLE_LATE;
		rc = feed_old_one(w, block, point, &in->readings[i], in->raws + in->readings[i].first, &rows, bits, how, &fresh, err);
		if (rc == HYDRO_OK)
			fresh ? ++*accepted : ++*dropped;
	}
	free(rows.rows);
	return rc;
}
