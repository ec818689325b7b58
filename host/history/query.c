/* SPDX-License-Identifier: MIT */
#include "history/internal.h"

#include "base/array.h"

#include <stdlib.h>

void history_chunks_done(struct history_chunks *chunks)
{
	for (uint32_t i = 0; i < chunks->capacity; i++)
		hd_chunk_done(&chunks->list[i]);
	free(chunks->list);
	*chunks = (struct history_chunks){0};
}

struct hd_chunk *history_chunks_next(struct history_chunks *chunks)
{
	if (!HD_RESERVE_ZEROED(chunks->list, chunks->capacity, chunks->count, 1))
		return NULL;
	return &chunks->list[chunks->count++];
}

/* The chunks with first <= key <= last behind those that are in ret. */
static int read_chunks(struct hd_history *history, sqlite3_stmt *stmt, int64_t first, int64_t last, int64_t seal_bit, struct hd_chunk_codec *codec,
		       struct hd_buf *opened, uint32_t point, struct history_chunks *ret, struct hydro_error *err)
{
	int rc = HYDRO_OK, code = SQLITE_DONE;
	(void)sqlite3_bind_int64(stmt, 1, first);
	(void)sqlite3_bind_int64(stmt, 2, last);
	while (rc == HYDRO_OK && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
		const void *data;
		size_t len;
		struct hd_chunk *chunk = history_chunks_next(ret);
		if (!chunk)
			rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory to read history");
		else
			rc = history_open_sealed(history, sqlite3_column_int64(stmt, 0) | seal_bit, sqlite3_column_blob(stmt, 1), (size_t)sqlite3_column_bytes(stmt, 1),
						 opened, &data, &len, err);
		if (rc == HYDRO_OK)
			rc = hd_chunk_decode(codec, data, len, point, chunk, err);
	}
	if (rc == HYDRO_OK && code != SQLITE_DONE)
		rc = history_db_error(err, sqlite3_db_handle(stmt), "reading chunks");
	(void)sqlite3_reset(stmt);
	return rc;
}

int history_parts(struct hd_history *history, sqlite3_stmt *parts, sqlite3_stmt *slices, struct hd_chunk_codec *codec, struct hd_buf *opened, int64_t day,
		  uint32_t point, struct history_chunks *ret, struct hydro_error *err)
{
	const uint32_t last = (1u << SEQ_BITS) - 1;
	ret->count = 0;
	int rc = read_chunks(history, parts, history_key(day, point, 0), history_key(day, point, last), 0, codec, opened, point, ret, err);
	uint32_t count = slices ? history_slices_of(history, day) : 0;
	for (uint32_t slice = 1; rc == HYDRO_OK && slice <= count; slice++)
		rc = read_chunks(history, slices, history_slice_key(day, slice, point, 0), history_slice_key(day, slice, point, last), SLICE_SEAL_BIT, codec, opened,
				 point, ret, err);
	return rc == HYDRO_OK ? rc : hd_error_while(err, "reading point %u, day %lld", point, (long long)day);
}

static int keep_row(void *arg, const struct hd_sample *sample, uint64_t lsn)
{
	(void)lsn;
	return rowset_add(arg, sample) ? HYDRO_OK : HYDRO_E_NOMEM;
}

/* The snapshot's cursor, then what the journal has behind it. */
static int read_journal(struct hd_history *history, struct history_reader *reader, const struct hd_history_query *query, struct hydro_error *err)
{
	if (sqlite3_step(reader->cursor) != SQLITE_ROW) {
		(void)sqlite3_reset(reader->cursor);
		return history_db_error(err, reader->db, "reading the cursor");
	}
	uint64_t cursor = (uint64_t)sqlite3_column_int64(reader->cursor, 0);
	(void)sqlite3_reset(reader->cursor);
	int rc = hd_journal_query(history->config.journal, query->point, query->from_ms, query->to_ms, cursor, keep_row, &reader->journal, err);
	if (rc == HYDRO_E_NOMEM)
		return hd_error_set(err, rc, "no memory to read history");
	if (rc == HYDRO_OK)
		rowset_sort(&reader->journal);
	return rc;
}

/* Index of the first journal row of the day or later. */
static uint32_t journal_from(const struct history_reader *reader, int64_t day)
{
	uint32_t low = 0, high = reader->journal.count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (reader->journal.rows[middle].ts_ms < day * DAY_MS)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool history_journal_has_days(const struct history_reader *reader, int64_t first_day, int64_t end_day)
{
	uint32_t at = journal_from(reader, first_day);
	return at < reader->journal.count && reader->journal.rows[at].ts_ms < end_day * DAY_MS;
}

bool history_month_is_empty(const struct history_reader *reader, int64_t day)
{
	const struct history_month *month = &reader->month;
	return month->has_month && !month->known && day >= month->first_day && day < month->end_day &&
	       !history_journal_has_days(reader, month->first_day, month->end_day);
}

int history_gather_day(struct hd_history *history, struct history_reader *reader, const struct hd_history_query *query, int64_t day, struct hydro_error *err)
{
	struct history_chunks *chunks = &reader->chunks;
	struct history_month *month = &reader->month;
	int rc = history_month_load(history, month, &reader->codec, &reader->opened, day, query->point, err);
	chunks->count = 0;
	if (rc == HYDRO_OK && history_month_has_day(month, day))
		rc = history_parts(history, reader->parts, reader->slices, &reader->codec, &reader->opened, day, query->point, chunks, err);
	if (rc != HYDRO_OK)
		return rc;
	rowset_clear(&reader->day);
	bool ok = true;
	uint32_t of_month;
	const struct hd_sample *rows = history_month_rows(month, HD_MAX(query->from_ms, day * DAY_MS), HD_MIN(query->to_ms, (day + 1) * DAY_MS), &of_month);
	for (uint32_t i = 0; i < of_month; i++)
		ok = ok && rowset_borrow(&reader->day, &rows[i]);
	for (uint32_t i = 0; i < chunks->count; i++)
		for (uint32_t k = 0; k < chunks->list[i].count; k++) {
			const struct hd_sample *row = &chunks->list[i].samples[k];
			if (row->ts_ms >= query->from_ms && row->ts_ms < query->to_ms)
				ok = ok && rowset_borrow(&reader->day, row);
		}
	for (uint32_t i = journal_from(reader, day); i < reader->journal.count && reader->journal.rows[i].ts_ms < (day + 1) * DAY_MS; i++)
		ok = ok && rowset_borrow(&reader->day, &reader->journal.rows[i]);
	if (!ok)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to read history");
	rowset_sort(&reader->day);
	rowset_settle(&reader->day, query->all_revs);
	return HYDRO_OK;
}

static int give_days(struct hd_history *history, struct history_reader *reader, const struct hd_history_query *query, hd_history_row_fn row, void *arg,
		     struct hydro_error *err)
{
	int64_t first = history_day(query->from_ms), last = history_day(query->to_ms - 1), step = query->descending ? -1 : 1;
	uint32_t given = 0;
	for (int64_t day = query->descending ? last : first; day >= first && day <= last; day += step) {
		int rc = history_gather_day(history, reader, query, day, err);
		for (uint32_t k = 0; rc == HYDRO_OK && k < reader->day.count; k++) {
			rc = row(arg, &reader->day.rows[query->descending ? reader->day.count - 1 - k : k]);
			if (rc == HYDRO_OK && query->limit && ++given == query->limit)
				return HYDRO_OK;
		}
		if (rc != HYDRO_OK)
			return rc;
		if (history_month_is_empty(reader, day))
			day = query->descending ? reader->month.first_day : reader->month.end_day - 1;
	}
	return HYDRO_OK;
}

int history_snapshot_begin(struct hd_history *history, const struct hd_history_query *query, struct history_reader **ret, struct hydro_error *err)
{
	struct hydro_error own = {0};
	struct history_reader *reader = history_reader_take(history, &own);
	if (!reader)
		return hd_error_set(err, own.code, "%s", own.text);
	history_month_forget(&reader->month);
	(void)pthread_rwlock_rdlock(&history->segments_lock);
	int rc = history_db_exec(reader->db, "BEGIN", err);
	if (rc == HYDRO_OK)
		rc = read_journal(history, reader, query, err);
	if (rc != HYDRO_OK) {
		history_snapshot_end(history, reader);
		return rc;
	}
	*ret = reader;
	return HYDRO_OK;
}

void history_snapshot_end(struct hd_history *history, struct history_reader *reader)
{
	(void)sqlite3_exec(reader->db, "COMMIT", NULL, NULL, NULL);
	(void)pthread_rwlock_unlock(&history->segments_lock);
	history_reader_give(history, reader);
}

int hd_history_query(struct hd_history *history, const struct hd_history_query *query, hd_history_row_fn row, void *arg, struct hydro_error *err)
{
	struct hd_history_query bounded = *query;
	bounded.from_ms = HD_MAX(query->from_ms, HD_TS_MIN_MS);
	bounded.to_ms = HD_MIN(query->to_ms, HD_TS_MAX_MS + 1);
	if (bounded.from_ms >= bounded.to_ms)
		return HYDRO_OK;
	struct history_reader *reader;
	int rc = history_snapshot_begin(history, &bounded, &reader, err);
	if (rc != HYDRO_OK)
		return rc;
	rc = give_days(history, reader, &bounded, row, arg, err);
	history_snapshot_end(history, reader);
	return rc;
}
