/* SPDX-License-Identifier: MIT */
/*
 * One point's rows of one day to where they cost least: a day's first run appends chunks in key order; later ones add parts
 * or make them all one while few points are touched or it pays, else they append a slice of the day for themselves.
 */
#include "history/internal.h"

#include "base/array.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

/* New rows with so many times the bytes of the old ones are worth making all of them one chunk. */
#define REMAKE_TIMES 4u
/* A day of more slices has its aggregates derived from the rows, as reading them all to write these would take long. */
#define HOURS_SLICES_MAX 8u

int history_set_cursor(struct hd_history *history, uint64_t lsn, struct hydro_error *err)
{
	(void)sqlite3_bind_int64(history->set_cursor, 1, (int64_t)lsn);
	return history_step_done(history->db, history->set_cursor, "moving the cursor", err);
}

/* ---- days of a run ---- */

static int exists_between(struct hd_history *history, const char *table, int64_t from, int64_t to, bool *ret, struct hydro_error *err)
{
	char sql[128];
	sqlite3_stmt *stmt = NULL;
	(void)snprintf(sql, sizeof sql, "SELECT EXISTS (SELECT 1 FROM %s WHERE key BETWEEN ? AND ?)", table);
	int rc = history_db_prepare(history->db, sql, &stmt, err);
	if (rc != HYDRO_OK)
		return rc;
	(void)sqlite3_bind_int64(stmt, 1, from);
	(void)sqlite3_bind_int64(stmt, 2, to);
	if (sqlite3_step(stmt) == SQLITE_ROW)
		*ret = sqlite3_column_int(stmt, 0) != 0;
	else
		rc = history_db_error(err, history->db, "looking at a day");
	(void)sqlite3_finalize(stmt);
	return rc;
}

/* Index of the day, or where it belongs. */
static uint32_t day_place(const struct history_days *days, int64_t day)
{
	uint32_t low = 0, high = days->count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (days->list[middle].day < day)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What the run knows of a day, looked up when it first meets it; good until the next call. */
static int day_of(struct hd_history *history, int64_t day, struct history_day **ret, struct hydro_error *err)
{
	struct history_days *days = &history->days;
	uint32_t at = day_place(days, day);
	if (at < days->count && days->list[at].day == day) {
		*ret = &days->list[at];
		return HYDRO_OK;
	}
	struct history_day fresh = {.day = day, .point = UINT32_MAX, .slices_before = history_slices_of(history, day),
				    .closed = (day + 1) * DAY_MS + history->config.merge_after_ms <= hd_clock_wall_ms()};
	bool chunks = false;
	int64_t from = history_key(day, 0, 0), to = history_key(day + 1, 0, 0) - 1;
	int rc = exists_between(history, "chunk", from, to, &chunks, err);
	if (rc == HYDRO_OK)
		rc = exists_between(history, "hours", from, to, &fresh.has_hours, err);
	if (rc == HYDRO_OK && !HD_RESERVE(days->list, days->capacity, days->count, 1))
		rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory to merge");
	if (rc != HYDRO_OK)
		return rc;
	fresh.first_run = !chunks && fresh.slices_before == 0;
	memmove(&days->list[at + 1], &days->list[at], (days->count - at) * sizeof *days->list);
	days->list[at] = fresh;
	days->count++;
	*ret = &days->list[at];
	return HYDRO_OK;
}

/* ---- chunks ---- */

static int write_rows(struct hd_history *history, sqlite3_stmt *insert, int64_t key, int64_t seal_key, const struct hd_sample *rows, uint32_t count,
		      struct hydro_error *err)
{
	hd_buf_clear(&history->chunk);
	int rc = hd_chunk_encode(&history->codec, rows, count, &history->chunk, err);
	if (rc == HYDRO_OK)
		rc = history_seal(history, seal_key, &history->chunk, &history->sealed_chunk, err);
	if (rc != HYDRO_OK)
		return rc;
	(void)sqlite3_bind_int64(insert, 1, key);
	(void)sqlite3_bind_blob64(insert, 2, history->sealed_chunk.data, history->sealed_chunk.len, SQLITE_STATIC);
	return history_step_done(history->db, insert, "writing a chunk", err);
}

static int remove_parts(struct hd_history *history, int64_t day, uint32_t point, struct hydro_error *err)
{
	(void)sqlite3_bind_int64(history->remove, 1, history_key(day, point, 0));
	(void)sqlite3_bind_int64(history->remove, 2, history_key(day, point, (1u << SEQ_BITS) - 1));
	return history_step_done(history->db, history->remove, "replacing chunks", err);
}

/* ---- aggregates ---- */

static int put_hours(struct hd_history *history, int64_t day, uint32_t point, const struct rowset *rows, struct hydro_error *err)
{
	struct history_hours hours = {0};
	struct hd_buf bytes = {0}, sealed = {0};
	int64_t key = history_key(day, point, 0);
	int rc = history_hours_of(rows, &hours) == HYDRO_OK && history_hours_put(&hours, &bytes) ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOMEM, "no memory for aggregates");
	/* The key of hours is told from a chunk's by its sign. */
	if (rc == HYDRO_OK)
		rc = history_seal(history, -key, &bytes, &sealed, err);
	if (rc == HYDRO_OK) {
		(void)sqlite3_bind_int64(history->set_hours, 1, key);
		(void)sqlite3_bind_blob64(history->set_hours, 2, sealed.data, sealed.len, SQLITE_STATIC);
		rc = history_step_done(history->db, history->set_hours, "writing aggregates", err);
	}
	history_hours_done(&hours);
	hd_buf_done(&bytes);
	hd_buf_done(&sealed);
	return rc;
}

/*
 * Hours are kept only of days that are over, where there is more than one reading an hour; else they are derived from the
 * rows. `rows`: all of the (day, point), settled; NULL: not known, so that what is kept is no longer true.
 */
static int write_hours(struct hd_history *history, const struct history_day *d, uint32_t point, const struct rowset *rows, struct hydro_error *err)
{
	if (rows && d->closed && rows->count > 48)
		return put_hours(history, d->day, point, rows, err);
	if (!d->has_hours)
		return HYDRO_OK;
	(void)sqlite3_bind_int64(history->remove_hours, 1, history_key(d->day, point, 0));
	return history_step_done(history->db, history->remove_hours, "removing aggregates", err);
}

static bool borrow_chunks(struct rowset *set, const struct history_chunks *chunks)
{
	for (uint32_t i = 0; i < chunks->count; i++)
		for (uint32_t k = 0; k < chunks->list[i].count; k++)
			if (!rowset_borrow(set, &chunks->list[i].samples[k]))
				return false;
	return true;
}

static bool borrow_rows(struct rowset *set, const struct hd_sample *rows, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (!rowset_borrow(set, &rows[i]))
			return false;
	return true;
}

/*
 * As write_hours, where the rows lie in slices or in a month chunk too. Without those of a damaged chunk hours would be wrong:
 * a query shall meet the damage instead.
 */
static int all_hours(struct hd_history *history, const struct history_day *d, uint32_t point, struct hydro_error *err)
{
	const struct history_month *month = &history->months.at;
	if (!d->closed || month->damaged || history_slices_of(history, d->day) > HOURS_SLICES_MAX)
		return write_hours(history, d, point, NULL, err);
	struct history_chunks *chunks = &history->chunks;
	int rc = history_parts(history, history->parts, history->slices, &history->codec, &history->sealed_chunk, d->day, point, chunks, err);
	if (rc == HYDRO_E_CORRUPT)
		return write_hours(history, d, point, NULL, err);
	if (rc != HYDRO_OK)
		return rc;
	rowset_clear(&history->day);
	uint32_t of_month;
	const struct hd_sample *rows = history_month_rows(month, d->day * DAY_MS, (d->day + 1) * DAY_MS, &of_month);
	if (!borrow_rows(&history->day, rows, of_month) || !borrow_chunks(&history->day, chunks))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for aggregates");
	rowset_sort(&history->day);
	rowset_settle(&history->day, false);
	return write_hours(history, d, point, &history->day, err);
}

/* ---- the two ways ---- */

/* Into the run's slice of the day, which is begun with its first point. */
static int write_slice(struct hd_history *history, struct history_day *d, uint32_t point, const struct hd_sample *rows, uint32_t count, struct hydro_error *err)
{
	int rc = HYDRO_OK;
	uint32_t seq = d->point == point ? d->seq : 0; /* a point of very many rows comes more than once in a run */
	for (; rc == HYDRO_OK && count; seq++) {
		uint32_t n = HD_MIN(count, HD_CHUNK_SAMPLES_MAX);
		if (d->slice == 0 || seq == 1u << SEQ_BITS) {
			rc = history_slice_add(history, d->day, &d->slice, err);
			seq = 0;
		}
		int64_t key = history_slice_key(d->day, d->slice, point, seq);
		if (rc == HYDRO_OK)
			rc = write_rows(history, history->insert_slice, key, key | SLICE_SEAL_BIT, rows, n, err);
		rows += n;
		count -= n;
	}
	d->point = point;
	d->seq = seq;
	return rc == HYDRO_OK ? all_hours(history, d, point, err) : rc;
}

/* A new part beside those there are, or all of them made one. Where one of them is damaged it is left as it is, and the rows go to a slice. */
static int write_parts(struct hd_history *history, struct history_day *d, uint32_t point, const struct hd_sample *rows, uint32_t count, bool remake,
		       struct hydro_error *err)
{
	struct history_chunks *chunks = &history->chunks;
	struct hydro_error own = {0};
	int rc = history_parts(history, history->parts, NULL, &history->codec, &history->sealed_chunk, d->day, point, chunks, &own);
	if (rc == HYDRO_E_CORRUPT) {
		history_event(history, HISTORY_LOG_ERROR, "history_day_damaged", own.text);
		return write_slice(history, d, point, rows, count, err);
	}
	if (rc != HYDRO_OK)
		return hd_error_set(err, rc, "%s", own.text);
	struct rowset *set = &history->day;
	rowset_clear(set);
	uint32_t parts = chunks->count, seq = 0;
	bool ok = borrow_chunks(set, chunks);
	uint32_t before = set->count;
	if (!ok || !borrow_rows(set, rows, count))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to merge");
	rowset_sort(set);
	rowset_settle(set, true);
	const struct hd_sample *from = rows;
	uint32_t left = count;
	if (remake || parts == 0 || parts >= before / HD_CHUNK_SAMPLES_MAX + PARTS_SPARE || count > before / 2) {
		rc = parts ? remove_parts(history, d->day, point, err) : HYDRO_OK;
		from = set->rows;
		left = set->count;
	} else {
		seq = parts;
	}
	for (; rc == HYDRO_OK && left; seq++) {
		uint32_t n = HD_MIN(left, HD_CHUNK_SAMPLES_MAX);
		int64_t key = history_key(d->day, point, seq);
		rc = write_rows(history, history->insert, key, key, from, n, err);
		from += n;
		left -= n;
	}
	if (rc != HYDRO_OK)
		return rc;
	rowset_settle(set, false);
	bool elsewhere = history_slices_of(history, d->day) || history->months.at.chunk.count || history->months.at.damaged;
	return elsewhere ? all_hours(history, d, point, err) : write_hours(history, d, point, set, err);
}

/* Bytes of the chunks of a (day, point), slices aside, without reading them. */
static uint64_t bytes_of_parts(struct hd_history *history, int64_t day, uint32_t point)
{
	(void)sqlite3_bind_int64(history->part_bytes, 1, history_key(day, point, 0));
	(void)sqlite3_bind_int64(history->part_bytes, 2, history_key(day, point, (1u << SEQ_BITS) - 1));
	uint64_t bytes = sqlite3_step(history->part_bytes) == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(history->part_bytes, 0) : 0;
	(void)sqlite3_reset(history->part_bytes);
	return bytes;
}

/* Whether the new rows by far outweigh what there is, so that the old pages are written again for their sake. */
static int pays(struct hd_history *history, const struct history_day *d, uint32_t point, const struct hd_sample *rows, uint32_t count, bool *ret,
		struct hydro_error *err)
{
	uint64_t bytes = bytes_of_parts(history, d->day, point);
	*ret = false;
	if (bytes == 0)
		return HYDRO_OK;
	hd_buf_clear(&history->chunk);
	int rc = hd_chunk_encode(&history->codec, rows, HD_MIN(count, HD_CHUNK_SAMPLES_MAX), &history->chunk, err);
	*ret = rc == HYDRO_OK && history->chunk.len > REMAKE_TIMES * bytes;
	return rc;
}

/* What the (month, point) has beside the day's parts. A damaged month chunk keeps nothing from being written beside it. */
static int load_month(struct hd_history *history, int64_t day, uint32_t point, struct hydro_error *err)
{
	struct history_month *month = &history->months.at;
	struct hydro_error own = {0};
	int rc = history_month_load(history, month, &history->codec, &history->sealed_chunk, day, point, &own);
	if (rc == HYDRO_E_CORRUPT) {
		history_event(history, HISTORY_LOG_ERROR, "history_month_damaged", own.text);
		month->chunk.count = 0;
		month->base = MONTH_STAYS;
		month->has_point = month->damaged = true;
		return HYDRO_OK;
	}
	return rc == HYDRO_OK ? rc : hd_error_set(err, rc, "%s", own.text);
}

/* The month keeps account of what was written to it. */
static int note_month(struct hd_history *history, int64_t day, uint32_t point, uint32_t count, struct hydro_error *err)
{
	const struct history_month *month = &history->months.at;
	int rc = history_months_touch(history, month->month, err);
	return rc == HYDRO_OK && point < month->next ? history_months_late(history, day, count, err) : rc;
}

static int write_rows_of_day(struct hd_history *history, struct history_day *d, uint32_t point, const struct hd_sample *rows, uint32_t count, struct hydro_error *err)
{
	bool remake = false;
	int rc = HYDRO_OK;
	if (d->first_run || d->touched < history->days.touched_max || history_slices_of(history, d->day) == SLICES_MAX) {
		d->touched++;
		return write_parts(history, d, point, rows, count, false, err);
	}
	if (d->slices_before == 0) /* with some, the day is one that the journal cannot hold: it will be slices */
		rc = pays(history, d, point, rows, count, &remake, err);
	if (rc != HYDRO_OK)
		return rc;
	return remake ? write_parts(history, d, point, rows, count, true, err) : write_slice(history, d, point, rows, count, err);
}

int history_write_day(struct hd_history *history, int64_t day, uint32_t point, const struct hd_sample *rows, uint32_t count, struct hydro_error *err)
{
	struct history_day *d;
	int rc = day_of(history, day, &d, err);
	if (rc == HYDRO_OK)
		rc = load_month(history, day, point, err);
	if (rc == HYDRO_OK)
		rc = write_rows_of_day(history, d, point, rows, count, err);
	return rc == HYDRO_OK ? note_month(history, day, point, count, err) : rc;
}
