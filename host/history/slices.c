/* SPDX-License-Identifier: MIT */
/* How many slices each day has: in memory, as every look at a day asks for it. */
#include "history/internal.h"

#include "base/array.h"

#include <stdlib.h>
#include <string.h>

void history_slices_done(struct hd_history *history)
{
	free(history->slice_counts.list);
	history->slice_counts = (struct history_slices){0};
}

/* Index of the day, or where it belongs. Under slices_lock. */
static uint32_t place_of(const struct history_slices *slices, int64_t day)
{
	uint32_t low = 0, high = slices->count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (slices->list[middle].day < day)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint32_t history_slices_of(struct hd_history *history, int64_t day)
{
	const struct history_slices *slices = &history->slice_counts;
	(void)pthread_mutex_lock(&history->slices_lock);
	uint32_t at = place_of(slices, day), count = at < slices->count && slices->list[at].day == day ? slices->list[at].slices : 0;
	(void)pthread_mutex_unlock(&history->slices_lock);
	return count;
}

/* The day has so many. Under slices_lock. */
static bool set_count(struct history_slices *slices, int64_t day, uint32_t count)
{
	uint32_t at = place_of(slices, day);
	if (at == slices->count || slices->list[at].day != day) {
		if (!HD_RESERVE(slices->list, slices->capacity, slices->count, 1))
			return false;
		memmove(&slices->list[at + 1], &slices->list[at], (slices->count - at) * sizeof *slices->list);
		slices->list[at].day = day;
		slices->count++;
	}
	slices->list[at].slices = count;
	return true;
}

int history_slice_add(struct hd_history *history, int64_t day, uint32_t *ret, struct hydro_error *err)
{
	uint32_t slice = history_slices_of(history, day) + 1;
	if (slice > SLICES_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "day %lld has %u slices, no more are possible", (long long)day, SLICES_MAX);
	(void)pthread_mutex_lock(&history->slices_lock);
	bool ok = set_count(&history->slice_counts, day, slice);
	(void)pthread_mutex_unlock(&history->slices_lock);
	if (!ok)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to merge");
	*ret = slice;
	return HYDRO_OK;
}

/* One look for each day that has some, from the last one on. */
int history_slices_load(struct hd_history *history, struct hydro_error *err)
{
	sqlite3_stmt *stmt = NULL;
	int64_t below = INT64_MAX;
	int rc = history_db_prepare(history->db, "SELECT max(key) FROM slice WHERE key < ?", &stmt, err);
	while (rc == HYDRO_OK) {
		(void)sqlite3_bind_int64(stmt, 1, below);
		if (sqlite3_step(stmt) != SQLITE_ROW) {
			rc = history_db_error(err, history->db, "reading the slices of days");
			break;
		}
		if (sqlite3_column_type(stmt, 0) == SQLITE_NULL)
			break;
		int64_t slice = sqlite3_column_int64(stmt, 0) >> (POINT_BITS + SEQ_BITS), day = slice >> SLICE_BITS;
		(void)sqlite3_reset(stmt);
		if (!set_count(&history->slice_counts, day, (uint32_t)(slice & SLICES_MAX)))
			rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory for history");
		below = history_slice_key(day, 0, 0, 0);
	}
	(void)sqlite3_finalize(stmt);
	return rc;
}
