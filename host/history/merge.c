/* SPDX-License-Identifier: MIT */
/* Sealed journal segments → chunks. One transaction a run, with the cursor in it; segments are released only after. */
#include "history/internal.h"

#include "base/clock.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows of one point gathered before they are written out; a day's chunk is cut at HD_CHUNK_SAMPLES_MAX. */
#define POINT_ROWS_MAX 200000u
/* Segment bytes of one range, and ranges at most: each reads all segments once more, which costs time, as large ones do memory. */
#define RANGE_BYTES (32u << 20)
#define RANGES_MAX 64u

/* Of the run's points so many get parts between a day's chunks at most. */
#define TOUCHED_SHARE 16u
#define TOUCHED_MIN 16u
#define TOUCHED_MAX 256u

/* A sealed segment being merged, and its record that comes next. */
struct input {
	struct hd_journal_scan *scan;
	struct hd_sample sample;
	uint64_t lsn;
	bool done;
};

/* A run merges its segments range by range of points, so that only a range's records are in memory. */
struct run {
	struct hd_history *history;
	const struct hd_journal_sealed *segments;
	size_t segment_count;
	struct input *inputs; /* of the range under way */
	size_t count;
	uint32_t firsts[RANGES_MAX + 1]; /* where ranges begin, and the end of the last */
	uint32_t ranges;
	uint64_t last_lsn;
	uint64_t samples;
};

static int input_next(struct input *input)
{
	int rc = hd_journal_scan_next(input->scan, &input->sample, &input->lsn);
	if (rc == HYDRO_E_NOTFOUND || rc == HYDRO_E_CORRUPT) { /* damage was set aside and reported by the journal */
		input->done = true;
		return HYDRO_OK;
	}
	return rc;
}

static void range_close(struct run *run)
{
	for (size_t i = 0; i < run->count; i++)
		hd_journal_scan_close(&run->inputs[i].scan);
	free(HD_STEAL(run->inputs));
	run->count = 0;
}

static int range_open(struct run *run, uint32_t range, struct hydro_error *err)
{
	run->inputs = calloc(run->segment_count, sizeof *run->inputs);
	if (!run->inputs)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to merge");
	for (size_t i = 0; i < run->segment_count; i++) {
		const struct hd_journal_sealed *segment = &run->segments[i];
		if (segment->last_lsn < segment->first_lsn)
			continue;
		struct input *input = &run->inputs[run->count];
		int rc = hd_journal_scan_open(run->history->config.journal, segment->id, run->firsts[range], run->firsts[range + 1], &input->scan, err);
		if (rc != HYDRO_OK)
			return hd_error_while(err, "merging segment %llu", (unsigned long long)segment->id);
		run->count++;
		rc = input_next(input);
		if (rc != HYDRO_OK)
			return hd_error_set(err, rc, "cannot read segment %llu", (unsigned long long)segment->id);
	}
	return HYDRO_OK;
}

/* As many ranges as the segments need, of about as many records each in the largest of them. */
static int run_plan(struct run *run, struct hydro_error *err)
{
	const struct hd_journal_sealed *largest = &run->segments[0];
	uint64_t bytes = 0;
	for (size_t i = 0; i < run->segment_count; i++) {
		run->last_lsn = HD_MAX(run->last_lsn, run->segments[i].last_lsn);
		bytes += run->segments[i].bytes;
		if (run->segments[i].records > largest->records)
			largest = &run->segments[i];
	}
	uint64_t most = run->history->config.merge_bytes ? run->history->config.merge_bytes : RANGE_BYTES;
	run->ranges = (uint32_t)HD_MIN(bytes / most + 1, (uint64_t)RANGES_MAX);
	run->firsts[0] = 0;
	int rc = run->ranges > 1 ? hd_journal_split(run->history->config.journal, largest->id, run->ranges, run->firsts, err) : HYDRO_OK;
	run->firsts[run->ranges] = UINT32_MAX;
	return rc;
}

/* The input with the lowest (point, lsn); few inputs, so a walk is enough. */
static struct input *run_lowest(struct run *run)
{
	struct input *best = NULL;
	for (size_t i = 0; i < run->count; i++) {
		struct input *input = &run->inputs[i];
		if (!input->done && (!best || input->sample.point < best->sample.point || (input->sample.point == best->sample.point && input->lsn < best->lsn)))
			best = input;
	}
	return best;
}

static int write_point(struct hd_history *history, struct hydro_error *err)
{
	struct rowset *set = &history->rows;
	rowset_sort(set);
	rowset_settle(set, true);
	for (uint32_t i = 0; i < set->count;) {
		int64_t day = history_day(set->rows[i].ts_ms);
		uint32_t n = 1;
		while (i + n < set->count && history_day(set->rows[i + n].ts_ms) == day)
			n++;
		int rc = history_write_day(history, day, set->rows[i].point, &set->rows[i], n, err);
		if (rc != HYDRO_OK)
			return rc;
		i += n;
	}
	rowset_clear(set);
	return HYDRO_OK;
}

static int range_write(struct run *run, struct hydro_error *err)
{
	struct hd_history *history = run->history;
	struct rowset *set = &history->rows;
	rowset_clear(set);
	for (struct input *input; (input = run_lowest(run));) {
		bool same = set->count && set->rows[0].point == input->sample.point;
		if (set->count && (!same || set->count == POINT_ROWS_MAX)) {
			int rc = write_point(history, err);
			if (rc != HYDRO_OK)
				return rc;
			if (same)
				history->run++; /* the same keys may be written again */
		}
		if (!rowset_add(set, &input->sample))
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory to merge");
		run->samples++;
		int rc = input_next(input);
		if (rc != HYDRO_OK)
			return hd_error_set(err, rc, "cannot read a segment while merging");
	}
	return write_point(history, err);
}

static int run_write(struct run *run, struct hydro_error *err)
{
	int rc = run_plan(run, err);
	for (uint32_t range = 0; range < run->ranges && rc == HYDRO_OK; range++) {
		if (run->firsts[range] == run->firsts[range + 1])
			continue;
		rc = range_open(run, range, err);
		if (rc == HYDRO_OK)
			rc = range_write(run, err);
		range_close(run);
	}
	return rc;
}

static uint32_t touched_max(const struct run *run)
{
	uint32_t points = 0;
	for (size_t i = 0; i < run->segment_count; i++)
		points = HD_MAX(points, run->segments[i].points);
	return HD_MIN(HD_MAX(points / TOUCHED_SHARE, TOUCHED_MIN), TOUCHED_MAX);
}

static int transaction(struct run *run, struct hydro_error *err)
{
	struct hd_history *history = run->history;
	uint64_t records = 0;
	for (size_t i = 0; i < run->segment_count; i++)
		records += run->segments[i].records;
	int rc = history_run_next(history, records / POINT_ROWS_MAX, err);
	if (rc != HYDRO_OK)
		return rc;
	rc = history_db_exec(history->db, "BEGIN IMMEDIATE", err);
	if (rc != HYDRO_OK)
		return rc;
	history->days.count = 0;
	history_month_forget(&history->months.at);
	history->months.touched_count = 0;
	history->days.touched_max = touched_max(run);
	rc = run_write(run, err);
	if (rc == HYDRO_OK)
		rc = history_months_touched(history, err);
	if (rc == HYDRO_OK)
		rc = history_set_cursor(history, run->last_lsn, err);
	if (rc == HYDRO_OK)
		rc = history_db_exec(history->db, "COMMIT", err);
	if (rc != HYDRO_OK)
		(void)sqlite3_exec(history->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

/* Under merge_lock. */
static int merge_some(struct hd_history *history, const struct hd_journal_sealed *segments, size_t count, struct hydro_error *err)
{
	struct run run = {.history = history, .segments = segments, .segment_count = count};
	int64_t start = hd_clock_real_ns();
	int rc = transaction(&run, err);
	history_count_written(history);
	if (rc == HYDRO_OK) {
		/* Queries that still stand on the snapshot before this commit read these segments: they finish first. */
		(void)pthread_rwlock_wrlock(&history->segments_lock);
		hd_journal_reader_release(history->hold, run.last_lsn);
		(void)pthread_rwlock_unlock(&history->segments_lock);
		(void)pthread_mutex_lock(&history->status_lock);
		history->status.merged_lsn = run.last_lsn;
		history->status.merges++;
		history->status.merged_samples += run.samples;
		history->status.last_merge_ns = hd_clock_real_ns() - start;
		(void)pthread_mutex_unlock(&history->status_lock);
	}
	/* What a run of millions of rows took is wanted elsewhere meanwhile. */
	(void)sqlite3_db_release_memory(history->db);
	(void)malloc_trim(0);
	return rc;
}

/* Sealed segments behind the cursor and up to until_lsn, as many as a run takes; at least one if there are any. */
static size_t take_some(struct hd_history *history, uint64_t until_lsn, struct hd_journal_sealed *ret, size_t max)
{
	size_t count = hd_journal_sealed_list(history->config.journal, history->status.merged_lsn, ret, max), n = 0;
	for (uint64_t bytes = 0; n < count && ret[n].last_lsn <= until_lsn && (n == 0 || bytes < history->config.merge_pending); n++)
		bytes += ret[n].bytes;
	return n;
}

int history_merge(struct hd_history *history, struct hydro_error *err)
{
	struct history_pending pending;
	history_pending(history, &pending);
	HD_CLEANUP(hd_cleanup_free) struct hd_journal_sealed *segments = calloc(pending.segments + 1, sizeof *segments);
	if (!segments)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to merge");
	for (size_t count; (count = take_some(history, pending.last_lsn, segments, pending.segments)) > 0;) {
		int rc = merge_some(history, segments, count, err);
		if (rc != HYDRO_OK)
			return rc;
	}
	return HYDRO_OK;
}
