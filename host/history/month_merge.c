/* SPDX-License-Identifier: MIT */
/* The day chunks of a (month, point) become one month chunk: for all points the first time, later where much came late. */
#include "history/internal.h"

#include "base/array.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

/* A (month, point) of more rows, or of more bytes in day chunks, stays by days: its chunks are large enough as they are, and
 * an hour of it should not cost the reading of a month. 8,192 rows are a reading each 5.4 minutes. */
#define MONTH_ROWS_MAX HD_CHUNK_SAMPLES_MAX
#define MONTH_BYTES_MAX (128u << 10)
/* Revisions and what is stored twice may go as they meet; above this nothing is tried. */
#define LATE_ROWS_MAX (4u * MONTH_ROWS_MAX)
/* Days and slices of a month; with more all of it stays by days: it is one of a fleet too dense for months. */
#define CURSORS_MAX 4096u
/* A step ends at the first of these, and at its bytes. */
#define STEP_POINTS 4096u
#define STEP_NS INT64_C(200000000)

/* A chunk of the point under way, copied to months.raw. */
struct found {
	int64_t key;
	uint32_t day, slice;
	size_t at, len;
};

static bool step_goes_on(const struct history_month_step *step)
{
	return step->bytes < step->history->config.month_step_bytes && step->points < STEP_POINTS && hd_clock_real_ns() - step->begun_ns < STEP_NS;
}

/* ---- one (month, point) ---- */

static int chunk_add(struct hd_history *history, int64_t day, int64_t key, const void *data, size_t len, uint32_t point, struct hydro_error *err)
{
	struct hd_chunk *chunk = history_chunks_next(&history->chunks);
	const void *opened;
	size_t opened_len;
	if (!chunk)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to merge a month");
	chunk->count = 0;
	int rc = history_open_sealed(history, key, data, len, &history->sealed_chunk, &opened, &opened_len, err);
	if (rc == HYDRO_OK)
		rc = hd_chunk_decode(&history->codec, opened, opened_len, point, chunk, err);
	for (uint32_t i = 0; rc == HYDRO_OK && i < chunk->count; i++)
		if (!rowset_borrow(&history->day, &chunk->samples[i]))
			rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory to merge a month");
	return rc == HYDRO_OK ? rc : hd_error_while(err, "reading point %u, day %lld", point, (long long)day);
}

/* The rows in history->day as the month's chunk. HYDRO_E_LIMIT: too much for one. */
static int put_chunk(struct hd_history *history, int64_t month, uint32_t point, struct hydro_error *err)
{
	struct rowset *set = &history->day;
	rowset_sort(set);
	rowset_settle(set, true);
	if (set->count > MONTH_ROWS_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "more than %u rows", MONTH_ROWS_MAX);
	hd_buf_clear(&history->chunk);
	int rc = hd_chunk_encode(&history->codec, set->rows, set->count, &history->chunk, err);
	if (rc == HYDRO_OK)
		rc = history_seal(history, history_month_seal_key(month, point), &history->chunk, &history->sealed_chunk, err);
	if (rc != HYDRO_OK)
		return rc;
	sqlite3_stmt *put = history->months.put;
	(void)sqlite3_bind_int64(put, 1, history_month_key(month, point));
	(void)sqlite3_bind_blob64(put, 2, history->sealed_chunk.data, history->sealed_chunk.len, SQLITE_STATIC);
	return history_step_done(history->db, put, "writing a month", err);
}

/* Whether the (month, point) stays by days for this, and merging goes on with the next. Damage is told. */
static bool stays(struct history_month_step *step, uint32_t point, int rc, const struct hydro_error *why)
{
	char text[HYDRO_ERROR_TEXT_BYTES + 64], month[HISTORY_MONTH_TEXT];
	if (rc != HYDRO_E_LIMIT && rc != HYDRO_E_CORRUPT)
		return false;
	if (rc == HYDRO_E_CORRUPT) {
		(void)snprintf(text, sizeof text, "point %u, month %s stays as it is: %s", point, history_month_text(step->month, month), why->text);
		history_event(step->history, HISTORY_LOG_ERROR, "history_month_damaged", text);
	}
	step->stayed++;
	return true;
}

/* ---- the first time: day chunks of all points, in order of points ---- */

static bool comes_before(const struct history_month_cursor *a, const struct history_month_cursor *b)
{
	if (a->point != b->point)
		return a->point < b->point;
	return a->day != b->day ? a->day < b->day : a->slice < b->slice;
}

/* To its place in the heap, downwards. */
static void sift(struct history_months *months, uint32_t at)
{
	struct history_month_cursor *cursors = months->cursors;
	for (uint32_t child; (child = 2 * at + 1) < months->cursor_count; at = child) {
		if (child + 1 < months->cursor_count && comes_before(&cursors[child + 1], &cursors[child]))
			child++;
		if (comes_before(&cursors[at], &cursors[child]))
			return;
		struct history_month_cursor swap = cursors[at];
		cursors[at] = cursors[child];
		cursors[child] = swap;
	}
}

static int cursor_step(struct history_month_step *step, struct history_month_cursor *cursor, struct hydro_error *err)
{
	int code = sqlite3_step(cursor->stmt);
	cursor->point = code == SQLITE_ROW ? (uint32_t)(sqlite3_column_int64(cursor->stmt, 0) >> SEQ_BITS) & (MONTH_END - 1u) : MONTH_END;
	return code == SQLITE_ROW || code == SQLITE_DONE ? HYDRO_OK : history_db_error(err, step->history->db, "reading chunks");
}

static int stmt_at(struct hd_history *history, struct history_stmts *stmts, uint32_t index, const char *sql, sqlite3_stmt **ret, struct hydro_error *err)
{
	if (!HD_RESERVE(stmts->list, stmts->capacity, index, 1))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to merge a month");
	if (index == stmts->count) {
		int rc = history_db_prepare(history->db, sql, &stmts->list[index], err);
		if (rc != HYDRO_OK)
			return rc;
		stmts->count++;
	}
	*ret = stmts->list[index];
	return HYDRO_OK;
}

/* The range's chunks of points from the frontier on. */
static int cursor_open(struct history_month_step *step, uint32_t day, uint32_t slice, uint32_t *used, struct hydro_error *err)
{
	struct history_months *months = step->months;
	struct history_month_cursor cursor = {.day = day, .slice = slice};
	int64_t of_day = step->first_day + day;
	int rc = slice ? stmt_at(step->history, &months->of_slices, (*used)++, "SELECT key, data FROM slice WHERE key BETWEEN ? AND ? ORDER BY key", &cursor.stmt, err)
		       : stmt_at(step->history, &months->of_chunks, day, "SELECT key, data FROM chunk WHERE key BETWEEN ? AND ? ORDER BY key", &cursor.stmt, err);
	if (rc != HYDRO_OK)
		return rc;
	(void)sqlite3_bind_int64(cursor.stmt, 1, slice ? history_slice_key(of_day, slice, step->next, 0) : history_key(of_day, step->next, 0));
	(void)sqlite3_bind_int64(cursor.stmt, 2, (slice ? history_slice_key(of_day, slice + 1, 0, 0) : history_key(of_day + 1, 0, 0)) - 1);
	rc = cursor_step(step, &cursor, err);
	if (rc == HYDRO_OK && cursor.point != MONTH_END)
		months->cursors[months->cursor_count++] = cursor;
	return rc;
}

static int cursors_open(struct history_month_step *step, bool *ret_given_up, struct hydro_error *err)
{
	struct history_months *months = step->months;
	uint32_t days = (uint32_t)(step->end_day - step->first_day), count = days, used = 0;
	for (uint32_t d = 0; d < days; d++)
		count += history_slices_of(step->history, step->first_day + d);
	months->cursor_count = 0;
	*ret_given_up = count > CURSORS_MAX;
	if (*ret_given_up)
		return HYDRO_OK;
	if (!HD_RESERVE(months->cursors, months->cursor_capacity, 0, count))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to merge a month");
	int rc = HYDRO_OK;
	for (uint32_t d = 0; d < days; d++)
		for (uint32_t s = 0, slices = history_slices_of(step->history, step->first_day + d); s <= slices && rc == HYDRO_OK; s++)
			rc = cursor_open(step, d, s, &used, err);
	for (uint32_t i = months->cursor_count / 2; i > 0; i--)
		sift(months, i - 1);
	return rc;
}

static void cursors_close(struct history_months *months)
{
	for (uint32_t i = 0; i < months->of_chunks.count; i++)
		(void)sqlite3_reset(months->of_chunks.list[i]);
	for (uint32_t i = 0; i < months->of_slices.count; i++)
		(void)sqlite3_reset(months->of_slices.list[i]);
}

static uint32_t lowest(const struct history_months *months)
{
	return months->cursor_count ? months->cursors[0].point : MONTH_END;
}

static int lowest_next(struct history_month_step *step, struct hydro_error *err)
{
	struct history_months *months = step->months;
	int rc = cursor_step(step, &months->cursors[0], err);
	if (months->cursors[0].point == MONTH_END)
		months->cursors[0] = months->cursors[--months->cursor_count];
	sift(months, 0);
	return rc;
}

/* Takes the point's chunks to months.raw, moving the cursors past it; beyond the bound they are only counted. */
static int gather(struct history_month_step *step, uint32_t point, uint32_t *ret_days, uint64_t *ret_bytes, struct hydro_error *err)
{
	struct history_months *months = step->months;
	hd_buf_clear(&months->raw);
	hd_buf_clear(&months->found);
	while (lowest(months) == point) {
		const struct history_month_cursor *cursor = &months->cursors[0];
		struct found found = {.key = sqlite3_column_int64(cursor->stmt, 0), .day = cursor->day, .slice = cursor->slice, .at = months->raw.len,
				      .len = (size_t)sqlite3_column_bytes(cursor->stmt, 1)};
		*ret_days |= 1u << found.day;
		*ret_bytes += found.len;
		if (*ret_bytes <= MONTH_BYTES_MAX &&
		    !(hd_buf_add(&months->raw, sqlite3_column_blob(cursor->stmt, 1), found.len) && hd_buf_add(&months->found, &found, sizeof found)))
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory to merge a month");
		int rc = lowest_next(step, err);
		if (rc != HYDRO_OK)
			return rc;
	}
	return HYDRO_OK;
}

static int merge_found(struct history_month_step *step, uint32_t point, struct hydro_error *err)
{
	struct hd_history *history = step->history;
	const struct found *found = (const void *)step->months->found.data;
	size_t count = step->months->found.len / sizeof *found;
	int rc = HYDRO_OK;
	history->chunks.count = 0;
	rowset_clear(&history->day);
	for (size_t i = 0; i < count && rc == HYDRO_OK; i++)
		rc = history->day.count > MONTH_ROWS_MAX ? hd_error_set(err, HYDRO_E_LIMIT, "more than %u rows", MONTH_ROWS_MAX)
			: chunk_add(history, step->first_day + found[i].day, found[i].slice ? found[i].key | SLICE_SEAL_BIT : found[i].key,
				    step->months->raw.data + found[i].at, found[i].len, point, err);
	return rc == HYDRO_OK ? put_chunk(history, step->month, point, err) : rc;
}

static int take_point(struct history_month_step *step, uint32_t point, struct hydro_error *err)
{
	struct history_months *months = step->months;
	struct hydro_error why = {0};
	uint32_t days = 0;
	uint64_t bytes = 0;
	int rc = gather(step, point, &days, &bytes, err);
	if (rc != HYDRO_OK)
		return rc;
	step->points++;
	step->bytes += HD_MIN(bytes, (uint64_t)MONTH_BYTES_MAX);
	rc = bytes > MONTH_BYTES_MAX ? HYDRO_E_LIMIT : merge_found(step, point, &why);
	if (stays(step, point, rc, &why))
		return history_month_put_rest(step->history, step->month, point, days, 0, MONTH_STAYS, err);
	if (rc != HYDRO_OK)
		return hd_error_set(err, rc, "%s", why.text);
	step->merged++;
	const struct found *found = (const void *)months->found.data;
	for (size_t i = 0; i < months->found.len / sizeof *found; i++)
		if (!hd_buf_add(&months->gone[found[i].slice != 0], &found[i].key, sizeof found[i].key))
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory to merge a month");
	return HYDRO_OK;
}

static int by_key(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

/* In order of keys, so that each page is met once. */
static int remove_gone(struct history_month_step *step, struct hd_buf *gone, sqlite3_stmt *stmt, struct hydro_error *err)
{
	int64_t *keys = (void *)gone->data;
	size_t count = gone->len / sizeof *keys;
	int rc = HYDRO_OK;
	if (count)
		qsort(keys, count, sizeof *keys, by_key);
	for (size_t i = 0; i < count && rc == HYDRO_OK; i++) {
		(void)sqlite3_bind_int64(stmt, 1, keys[i]);
		rc = history_step_done(step->history->db, stmt, "removing merged chunks", err);
	}
	return rc;
}

int history_month_first_pass(struct history_month_step *step, bool *ret_given_up, struct hydro_error *err)
{
	struct history_months *months = step->months;
	hd_buf_clear(&months->gone[0]);
	hd_buf_clear(&months->gone[1]);
	int rc = cursors_open(step, ret_given_up, err);
	uint32_t point = *ret_given_up ? step->next : lowest(months);
	for (; rc == HYDRO_OK && !*ret_given_up && point != MONTH_END && step_goes_on(step); point = lowest(months))
		rc = take_point(step, point, err);
	cursors_close(months);
	step->next = point;
	if (rc == HYDRO_OK)
		rc = remove_gone(step, &months->gone[0], months->drop_chunk, err);
	return rc == HYDRO_OK ? remove_gone(step, &months->gone[1], months->drop_slice, err) : rc;
}

/* ---- later: points with much that came late ---- */

int history_month_late_next(struct history_month_step *step, uint32_t *ret_point, struct hydro_error *err)
{
	sqlite3_stmt *late = step->months->late;
	*ret_point = MONTH_END;
	(void)sqlite3_bind_int64(late, 1, history_month_key(step->month, step->months->late_point));
	(void)sqlite3_bind_int64(late, 2, history_month_key(step->month + 1, 0) - 1);
	int code = sqlite3_step(late);
	if (code == SQLITE_ROW)
		*ret_point = (uint32_t)sqlite3_column_int64(late, 0) & (MONTH_END - 1u);
	(void)sqlite3_reset(late);
	return code == SQLITE_ROW || code == SQLITE_DONE ? HYDRO_OK : history_db_error(err, step->history->db, "reading months");
}

static int add_day(struct history_month_step *step, int64_t day, uint32_t point, struct hydro_error *err)
{
	struct hd_history *history = step->history;
	int rc = history_parts(history, history->parts, history->slices, &history->codec, &history->sealed_chunk, day, point, &history->chunks, err);
	/* Copies, as the chunks' memory is that of the next day's too. */
	for (uint32_t i = 0; rc == HYDRO_OK && i < history->chunks.count; i++)
		for (uint32_t k = 0; rc == HYDRO_OK && k < history->chunks.list[i].count; k++)
			if (!rowset_add(&history->day, &history->chunks.list[i].samples[k]))
				rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory to merge a month");
	return rc == HYDRO_OK && history->day.count > LATE_ROWS_MAX ? hd_error_set(err, HYDRO_E_LIMIT, "more than %u rows", LATE_ROWS_MAX) : rc;
}

/* Month chunk and day chunks, all decoded, become the month chunk. */
static int merge_late(struct history_month_step *step, uint32_t point, struct hydro_error *err)
{
	struct hd_history *history = step->history;
	struct history_month *at = &step->months->at;
	rowset_clear(&history->day);
	history_month_forget(at);
	int rc = history_month_load(history, at, &history->codec, &history->sealed_chunk, step->first_day, point, err);
	for (uint32_t i = 0; rc == HYDRO_OK && i < at->chunk.count; i++)
		if (!rowset_borrow(&history->day, &at->chunk.samples[i]))
			rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory to merge a month");
	for (int64_t day = step->first_day; rc == HYDRO_OK && day < step->end_day; day++)
		if (history_month_has_day(at, day))
			rc = add_day(step, day, point, err);
	if (rc == HYDRO_OK)
		rc = put_chunk(history, step->month, point, err);
	step->bytes += history->sealed_chunk.len;
	return rc;
}

static int remove_day(struct hd_history *history, int64_t day, uint32_t point, struct hydro_error *err)
{
	const uint32_t last = (1u << SEQ_BITS) - 1, slices = history_slices_of(history, day);
	(void)sqlite3_bind_int64(history->remove, 1, history_key(day, point, 0));
	(void)sqlite3_bind_int64(history->remove, 2, history_key(day, point, last));
	int rc = history_step_done(history->db, history->remove, "removing merged chunks", err);
	for (uint32_t slice = 1; slice <= slices && rc == HYDRO_OK; slice++) {
		(void)sqlite3_bind_int64(history->months.drop_slices, 1, history_slice_key(day, slice, point, 0));
		(void)sqlite3_bind_int64(history->months.drop_slices, 2, history_slice_key(day, slice, point, last));
		rc = history_step_done(history->db, history->months.drop_slices, "removing merged chunks", err);
	}
	return rc;
}

static int take_late(struct history_month_step *step, uint32_t point, struct hydro_error *err)
{
	struct hd_history *history = step->history;
	struct hydro_error why = {0};
	struct history_month *at = &step->months->at;
	int rc = merge_late(step, point, &why);
	step->points++;
	if (stays(step, point, rc, &why)) {
		/* The days it has are known from the row itself, whatever could be read of the rest. */
		rc = history_month_put_rest(history, step->month, point, at->days, at->late, MONTH_STAYS, err);
		history_month_forget(at);
		return rc;
	}
	if (rc != HYDRO_OK)
		return hd_error_set(err, rc, "%s", why.text);
	step->merged++;
	for (int64_t day = step->first_day; rc == HYDRO_OK && day < step->end_day; day++)
		if (history_month_has_day(at, day))
			rc = remove_day(history, day, point, err);
	history_month_forget(at);
	if (rc != HYDRO_OK)
		return rc;
	(void)sqlite3_bind_int64(step->months->drop_rest, 1, history_month_key(step->month, point));
	return history_step_done(history->db, step->months->drop_rest, "noting what a month has by days", err);
}

int history_month_late_pass(struct history_month_step *step, bool *ret_done, struct hydro_error *err)
{
	struct history_months *months = step->months;
	uint32_t point = MONTH_END;
	if (months->late_month != step->month) {
		months->late_month = step->month;
		months->late_point = 0;
	}
	int rc;
	while ((rc = history_month_late_next(step, &point, err)) == HYDRO_OK && point != MONTH_END && step_goes_on(step)) {
		rc = take_late(step, point, err);
		if (rc != HYDRO_OK)
			return rc;
		months->late_point = point + 1;
	}
	*ret_done = point == MONTH_END;
	return rc;
}

