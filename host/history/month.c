/* SPDX-License-Identifier: MIT */
/* Months of the UTC calendar, and what history.db has of a (month, point). */
#include "history/internal.h"

#include "base/timefmt.h"

#include <stdio.h>

#define EPOCH_YEAR 1970
#define ALL_DAYS UINT32_C(0x7fffffff)

int64_t history_month_of(int64_t day)
{
	int64_t year;
	unsigned month, of_month;
	hd_civil_from_days(day, &year, &month, &of_month);
	return (year - EPOCH_YEAR) * 12 + (int64_t)month - 1;
}

void history_month_bounds(int64_t month, int64_t *ret_first_day, int64_t *ret_end_day)
{
	/* Years before the epoch count down, their months up. */
	int64_t year = (month >= 0 ? month : month - 11) / 12, end_year = (month + 1 >= 0 ? month + 1 : month - 10) / 12;
	*ret_first_day = hd_days_from_civil(EPOCH_YEAR + year, (unsigned)(month - year * 12) + 1, 1);
	*ret_end_day = hd_days_from_civil(EPOCH_YEAR + end_year, (unsigned)(month + 1 - end_year * 12) + 1, 1);
}

const char *history_month_text(int64_t month, char ret[HISTORY_MONTH_TEXT])
{
	int64_t year = (month >= 0 ? month : month - 11) / 12;
	(void)snprintf(ret, HISTORY_MONTH_TEXT, "%04lld-%02d", (long long)(EPOCH_YEAR + year), (int)(month - year * 12) + 1);
	return ret;
}

int history_month_prepare(struct history_month *view, sqlite3 *db, struct hydro_error *err)
{
	int rc = history_db_prepare(db, "SELECT next FROM months WHERE month = ?", &view->state, err);
	if (rc == HYDRO_OK)
		rc = history_db_prepare(db, "SELECT days, late, base FROM month_rest WHERE key = ?", &view->rest, err);
	return rc == HYDRO_OK ? history_db_prepare(db, "SELECT data FROM month_chunk WHERE key = ?", &view->data, err) : rc;
}

void history_month_done(struct history_month *view)
{
	(void)sqlite3_finalize(view->state);
	(void)sqlite3_finalize(view->rest);
	(void)sqlite3_finalize(view->data);
	hd_chunk_done(&view->chunk);
	*view = (struct history_month){0};
}

static int row_done(sqlite3_stmt *stmt, int code, struct hydro_error *err)
{
	int rc = code == SQLITE_ROW || code == SQLITE_DONE ? HYDRO_OK : history_db_error(err, sqlite3_db_handle(stmt), "reading months");
	(void)sqlite3_reset(stmt);
	return rc;
}

static int load_month(struct history_month *view, int64_t month, struct hydro_error *err)
{
	history_month_forget(view);
	(void)sqlite3_bind_int64(view->state, 1, month);
	int code = sqlite3_step(view->state);
	view->known = code == SQLITE_ROW;
	view->next = view->known ? (uint32_t)sqlite3_column_int64(view->state, 0) : 0;
	int rc = row_done(view->state, code, err);
	if (rc != HYDRO_OK)
		return rc;
	view->month = month;
	history_month_bounds(month, &view->first_day, &view->end_day);
	view->has_month = true;
	return HYDRO_OK;
}

static int load_rest(struct history_month *view, int64_t key, struct hydro_error *err)
{
	(void)sqlite3_bind_int64(view->rest, 1, key);
	int code = sqlite3_step(view->rest);
	if (code == SQLITE_ROW) {
		view->days = (uint32_t)sqlite3_column_int64(view->rest, 0);
		view->late = sqlite3_column_int64(view->rest, 1);
		view->base = sqlite3_column_int64(view->rest, 2);
	}
	return row_done(view->rest, code, err);
}

static int load_chunk(struct hd_history *history, struct history_month *view, struct hd_chunk_codec *codec, struct hd_buf *opened, int64_t key,
		      struct hydro_error *err)
{
	(void)sqlite3_bind_int64(view->data, 1, key);
	int code = sqlite3_step(view->data), rc = HYDRO_OK;
	if (code == SQLITE_ROW) {
		const void *data;
		size_t len;
		rc = history_open_sealed(history, history_month_seal_key(view->month, view->point), sqlite3_column_blob(view->data, 0),
					 (size_t)sqlite3_column_bytes(view->data, 0), opened, &data, &len, err);
		if (rc == HYDRO_OK)
			rc = hd_chunk_decode(codec, data, len, view->point, &view->chunk, err);
		const struct hd_chunk *chunk = &view->chunk;
		if (rc == HYDRO_OK && (chunk->samples[0].ts_ms < view->first_day * DAY_MS || chunk->samples[chunk->count - 1].ts_ms >= view->end_day * DAY_MS))
			rc = hd_error_set(err, HYDRO_E_CORRUPT, "history chunk does not check: it holds another month");
		if (view->base != MONTH_STAYS)
			view->base = chunk->count;
	}
	int done = row_done(view->data, code, rc == HYDRO_OK ? err : NULL);
	return rc == HYDRO_OK ? done : rc;
}

int history_month_load(struct hd_history *history, struct history_month *view, struct hd_chunk_codec *codec, struct hd_buf *opened, int64_t day,
		       uint32_t point, struct hydro_error *err)
{
	bool same = view->has_month && day >= view->first_day && day < view->end_day;
	if (same && view->has_point && view->point == point)
		return HYDRO_OK;
	int rc = same ? HYDRO_OK : load_month(view, history_month_of(day), err);
	if (rc != HYDRO_OK)
		return rc;
	view->has_point = view->damaged = false;
	view->point = point;
	view->days = !view->known ? 0 : point < view->next ? 0 : ALL_DAYS;
	view->late = view->base = 0;
	view->chunk.count = 0;
	int64_t key = history_month_key(view->month, point);
	if (point < view->next) {
		rc = load_rest(view, key, err);
		if (rc == HYDRO_OK)
			rc = load_chunk(history, view, codec, opened, key, err);
	}
	if (rc != HYDRO_OK) {
		char text[HISTORY_MONTH_TEXT];
		return hd_error_while(err, "reading point %u, month %s", point, history_month_text(view->month, text));
	}
	view->has_point = true;
	return HYDRO_OK;
}

/* Index of the first row at ts_ms or later. */
static uint32_t row_from(const struct hd_chunk *chunk, int64_t ts_ms)
{
	uint32_t low = 0, high = chunk->count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (chunk->samples[middle].ts_ms < ts_ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct hd_sample *history_month_rows(const struct history_month *view, int64_t from_ms, int64_t to_ms, uint32_t *ret_count)
{
	uint32_t from = view->chunk.count ? row_from(&view->chunk, from_ms) : 0, to = view->chunk.count ? row_from(&view->chunk, to_ms) : 0;
	*ret_count = to > from ? to - from : 0;
	return *ret_count ? &view->chunk.samples[from] : NULL;
}
