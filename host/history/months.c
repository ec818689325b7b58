/* SPDX-License-Identifier: MIT */
/*
 * Closed months: which are to be gone through, and the steps in which that is done. A step is one transaction: month chunks
 * written, day chunks gone, the month's frontier moved. What comes to a merged month stays in day chunks beside it until it
 * is more than a tenth, and then the month is gone through once more.
 */
#include "history/internal.h"

#include "base/array.h"
#include "base/clock.h"

#include <stdlib.h>

/* ---- what a merge of segments tells ---- */

int history_months_touch(struct hd_history *history, int64_t month, struct hydro_error *err)
{
	struct history_months *months = &history->months;
	for (uint32_t i = months->touched_count; i > 0; i--)
		if (months->touched[i - 1] == month)
			return HYDRO_OK;
	if (!HD_RESERVE(months->touched, months->touched_capacity, months->touched_count, 1))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to merge");
	months->touched[months->touched_count++] = month;
	return HYDRO_OK;
}

int history_months_touched(struct hd_history *history, struct hydro_error *err)
{
	struct history_months *months = &history->months;
	int rc = HYDRO_OK;
	for (uint32_t i = 0; i < months->touched_count && rc == HYDRO_OK; i++) {
		(void)sqlite3_bind_int64(months->touch, 1, months->touched[i]);
		(void)sqlite3_bind_int64(months->touch, 2, hd_clock_wall_ms());
		rc = history_step_done(history->db, months->touch, "noting a month", err);
		if (months->touched[i] == months->late_month) /* gone through from its first point once more */
			months->late_point = 0;
	}
	return rc;
}

int history_month_put_rest(struct hd_history *history, int64_t month, uint32_t point, uint32_t days, int64_t late, int64_t base, struct hydro_error *err)
{
	sqlite3_stmt *stmt = history->months.set_rest;
	(void)sqlite3_bind_int64(stmt, 1, history_month_key(month, point));
	(void)sqlite3_bind_int64(stmt, 2, days);
	(void)sqlite3_bind_int64(stmt, 3, late);
	(void)sqlite3_bind_int64(stmt, 4, base);
	return history_step_done(history->db, stmt, "noting what a month has by days", err);
}

int history_months_late(struct hd_history *history, int64_t day, uint32_t count, struct hydro_error *err)
{
	struct history_month *at = &history->months.at;
	bool known = history_month_has_day(at, day);
	at->days |= 1u << (day - at->first_day);
	at->late += count;
	return known && at->base == MONTH_STAYS ? HYDRO_OK : history_month_put_rest(history, at->month, at->point, at->days, at->late, at->base, err);
}

/* ---- steps ---- */

/* The oldest month that is to be gone through; *ret_due = how many there are. */
static int pick(struct history_month_step *step, int64_t *ret_touched, uint32_t *ret_due, struct hydro_error *err)
{
	sqlite3_stmt *list = step->months->list;
	int code;
	*ret_due = 0;
	while ((code = sqlite3_step(list)) == SQLITE_ROW) {
		int64_t month = sqlite3_column_int64(list, 0), touched = sqlite3_column_int64(list, 2), first, end;
		history_month_bounds(month, &first, &end);
		if (HD_MAX(touched, end * DAY_MS) > step->now_ms - step->history->config.month_after_ms)
			continue;
		if (++*ret_due > 1)
			continue;
		step->month = month;
		step->first_day = first;
		step->end_day = end;
		step->next = (uint32_t)sqlite3_column_int64(list, 1);
		*ret_touched = touched;
	}
	(void)sqlite3_reset(list);
	return code == SQLITE_DONE ? HYDRO_OK : history_db_error(err, step->history->db, "reading months");
}

static int advance(struct history_month_step *step, bool done, int64_t touched, struct hydro_error *err)
{
	sqlite3_stmt *stmt = step->months->advance;
	(void)sqlite3_bind_int64(stmt, 1, step->next);
	if (done)
		(void)sqlite3_bind_null(stmt, 2);
	else
		(void)sqlite3_bind_int64(stmt, 2, touched);
	(void)sqlite3_bind_int64(stmt, 3, step->month);
	return history_step_done(step->history->db, stmt, "moving a month's frontier", err);
}

/* Within the transaction. *ret_done: nothing is left to do for the month. */
static int pass(struct history_month_step *step, int64_t touched, bool *ret_done, struct hydro_error *err)
{
	bool first = step->next < MONTH_END;
	int rc = first ? history_month_first_pass(step, ret_done, err) : history_month_late_pass(step, ret_done, err);
	if (rc == HYDRO_OK && first && step->next == MONTH_END) {
		/* What came to its points meanwhile has its turn later. */
		uint32_t point;
		step->months->late_month = step->month;
		step->months->late_point = 0;
		rc = history_month_late_next(step, &point, err);
		*ret_done = point == MONTH_END;
		touched = step->now_ms;
	}
	return rc == HYDRO_OK ? advance(step, *ret_done, touched, err) : rc;
}

static int transaction(struct history_month_step *step, int64_t touched, bool *ret_done, struct hydro_error *err)
{
	struct hd_history *history = step->history;
	int rc = history_run_next(history, 0, err);
	if (rc == HYDRO_OK)
		rc = history_db_exec(history->db, "BEGIN IMMEDIATE", err);
	if (rc != HYDRO_OK)
		return rc;
	rc = pass(step, touched, ret_done, err);
	if (rc == HYDRO_OK)
		rc = history_db_exec(history->db, "COMMIT", err);
	if (rc != HYDRO_OK) {
		(void)sqlite3_exec(history->db, "ROLLBACK", NULL, NULL, NULL);
		step->months->late_month = INT64_MIN;
	}
	history_month_forget(&step->months->at);
	return rc;
}

static void tell(struct history_month_step *step, uint32_t due, bool done)
{
	struct hd_history *history = step->history;
	(void)pthread_mutex_lock(&history->status_lock);
	struct hd_history_status *status = &history->status;
	status->months_waiting = due - (done && due ? 1 : 0);
	status->month_ms = status->months_waiting ? step->first_day * DAY_MS : 0;
	status->month_point = status->months_waiting && !done ? step->next : 0;
	status->month_chunks += step->merged;
	status->month_points_by_days += step->stayed;
	(void)pthread_mutex_unlock(&history->status_lock);
}

int history_months_step(struct hd_history *history, int64_t now_ms, bool *ret_more, struct hydro_error *err)
{
	struct history_month_step step = {.history = history, .months = &history->months, .now_ms = now_ms, .begun_ns = hd_clock_real_ns()};
	int64_t touched = 0;
	uint32_t due = 0;
	bool done = false;
	*ret_more = false;
	int rc = pick(&step, &touched, &due, err);
	if (rc == HYDRO_OK && due)
		rc = transaction(&step, touched, &done, err);
	if (rc != HYDRO_OK)
		return due ? hd_error_while(err, "merging a month") : rc;
	tell(&step, due, done);
	*ret_more = due > (done ? 1 : 0);
	return HYDRO_OK;
}

int history_months_open(struct hd_history *history, struct hydro_error *err)
{
	struct history_months *months = &history->months;
	const struct { sqlite3_stmt **stmt; const char *sql; } rows[] = {
		{&months->list, "SELECT month, next, touched FROM months WHERE touched IS NOT NULL ORDER BY month"},
		{&months->touch, "INSERT INTO months (month, next, touched) VALUES (?1, 0, ?2) ON CONFLICT (month) DO UPDATE SET touched = coalesce(touched, ?2)"},
		{&months->advance, "UPDATE months SET next = ?, touched = ? WHERE month = ?"},
		{&months->put, "INSERT OR REPLACE INTO month_chunk (key, data) VALUES (?, ?)"},
		{&months->set_rest, "INSERT OR REPLACE INTO month_rest (key, days, late, base) VALUES (?, ?, ?, ?)"},
		{&months->drop_rest, "DELETE FROM month_rest WHERE key = ?"},
		{&months->drop_chunk, "DELETE FROM chunk WHERE key = ?"},
		{&months->drop_slice, "DELETE FROM slice WHERE key = ?"},
		{&months->drop_slices, "DELETE FROM slice WHERE key BETWEEN ? AND ?"},
		{&months->late, "SELECT key FROM month_rest WHERE key BETWEEN ? AND ? AND base >= 0 AND late * 10 > base ORDER BY key LIMIT 1"},
	};
	months->late_month = INT64_MIN;
	int rc = history_month_prepare(&months->at, history->db, err);
	for (size_t i = 0; rc == HYDRO_OK && i < HD_ARRAY_LEN(rows); i++)
		rc = history_db_prepare(history->db, rows[i].sql, rows[i].stmt, err);
	return rc;
}

static void stmts_done(struct history_stmts *stmts)
{
	for (uint32_t i = 0; i < stmts->count; i++)
		(void)sqlite3_finalize(stmts->list[i]);
	free(stmts->list);
	*stmts = (struct history_stmts){0};
}

void history_months_close(struct hd_history *history)
{
	struct history_months *months = &history->months;
	sqlite3_stmt *stmts[] = {months->list, months->touch, months->advance, months->put, months->set_rest, months->drop_rest, months->late,
				 months->drop_chunk, months->drop_slice, months->drop_slices};
	for (size_t i = 0; i < HD_ARRAY_LEN(stmts); i++)
		(void)sqlite3_finalize(stmts[i]);
	stmts_done(&months->of_chunks);
	stmts_done(&months->of_slices);
	history_month_done(&months->at);
	hd_buf_done(&months->raw);
	hd_buf_done(&months->found);
	hd_buf_done(&months->gone[0]);
	hd_buf_done(&months->gone[1]);
	free(months->cursors);
	free(months->touched);
}
