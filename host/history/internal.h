/* SPDX-License-Identifier: MIT */
/* Shared by the files of this folder. */
#ifndef HD_HISTORY_INTERNAL_H
#define HD_HISTORY_INTERNAL_H

#include "history/chunk.h"
#include "history/history.h"
#include "history/rowset.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#define HISTORY_FORMAT 3 /* 2: slices; 3: months */
#define DAY_MS INT64_C(86400000)
#define HOUR_MS INT64_C(3600000)
/* A (day, point) has at most this many parts more than its rows need; then they are all made one. */
#define PARTS_SPARE 16u
#define SEQ_BITS 8u
#define POINT_BITS 24u
#define SLICE_BITS 10u
#define SLICES_MAX ((1u << SLICE_BITS) - 1)
#define MONTH_SEAL_BIT (INT64_C(1) << 61) /* and those of months */
#define SLICE_SEAL_BIT (INT64_C(1) << 62) /* tells the nonces of slices from those of chunks */

/* Frontier of a month that is merged whole: above every point. */
#define MONTH_END (UINT32_C(1) << POINT_BITS)
/* base of a (month, point) that stays by days. */
#define MONTH_STAYS INT64_C(-1)

/* Key of a chunk: day since 1970 (UTC) ‖ point ‖ seq, so that a merge writes in key order. */
static inline int64_t history_key(int64_t day, uint32_t point, uint32_t seq)
{
	return day << (POINT_BITS + SEQ_BITS) | (int64_t)point << SEQ_BITS | (int64_t)seq;
}

/* Key of a chunk in a slice of a day, numbered from 1: day ‖ slice ‖ point ‖ seq, so that a slice is appended behind all others of its day. */
static inline int64_t history_slice_key(int64_t day, uint32_t slice, uint32_t point, uint32_t seq)
{
	return (day << SLICE_BITS | (int64_t)slice) << (POINT_BITS + SEQ_BITS) | (int64_t)point << SEQ_BITS | (int64_t)seq;
}

static inline int64_t history_day(int64_t ts_ms)
{
	return ts_ms >= 0 ? ts_ms / DAY_MS : -((-ts_ms + DAY_MS - 1) / DAY_MS);
}

/* Key of a (month, point): months since January 1970 (UTC) ‖ point. */
static inline int64_t history_month_key(int64_t month, uint32_t point)
{
	return month << POINT_BITS | (int64_t)point;
}

/* Decoded chunks with their memory; the first `count` are in use. */
struct history_chunks {
	struct hd_chunk *list;
	uint32_t count, capacity;
};
void history_chunks_done(struct history_chunks *chunks);
/* One more, kept over; NULL without memory. */
struct hd_chunk *history_chunks_next(struct history_chunks *chunks);

/*
 * What a connection's view of history.db has of one (month, point), read once: the rows of its month chunk, and which days
 * may have chunks of their own. To be forgotten when the view changes.
 */
struct history_month {
	sqlite3_stmt *state, *rest, *data;
	bool has_month, has_point; /* what follows is loaded */
	int64_t month, first_day, end_day;
	bool known;      /* some point has something in history.db */
	uint32_t next;   /* points below it are merged */
	uint32_t point;
	uint32_t days;   /* bit 0 = the 1st: chunks of the day may be there */
	int64_t late;    /* rows that came to a merged month */
	int64_t base;    /* rows of the month chunk, or MONTH_STAYS */
	bool damaged;    /* the month chunk does not read: the writer goes on without its rows */
	struct hd_chunk chunk;
};


/* What a run knows of a day it writes to. */
struct history_day {
	int64_t day;
	bool first_run; /* nothing of the day was there before */
	bool closed;    /* the day is over: its aggregates are kept */
	bool has_hours; /* there were aggregates of some point before */
	uint32_t touched; /* points that got parts in this run */
	uint32_t slices_before, slice; /* of this run; 0 = none yet */
	uint32_t point, seq; /* last point of the slice, and what comes next for it */
};

struct history_days {
	struct history_day *list; /* by day */
	uint32_t count, capacity;
	uint32_t touched_max; /* so many points of a day get parts between its chunks, each a page written again; further ones go to a slice */
};

/* How many slices days have; days without are left out. */
struct history_slices {
	struct history_slice_count {
		int64_t day;
		uint32_t slices;
	} *list; /* by day */
	uint32_t count, capacity;
};

/* Sealed segments that are not merged. */
struct history_pending {
	uint64_t segments, bytes, last_lsn;
};

/* A read connection with its statements and working memory; borrowed from the pool by one thread at a time. */
struct history_reader {
	struct history_reader *next;
	sqlite3 *db;
	sqlite3_stmt *cursor, *parts, *slices, *hours;
	struct hd_chunk_codec codec;
	struct history_chunks chunks;
	struct history_month month;
	struct rowset journal, day;
	struct hd_buf opened;
};

/* A range of chunks being gone through: a day's, or those of one of its slices. */
struct history_month_cursor {
	sqlite3_stmt *stmt;
	uint32_t day, slice; /* of the month, from 0; 0 = its chunks */
	uint32_t point;      /* at which it stands */
};

/* Statements that are prepared once and used again, as many as it takes. */
struct history_stmts {
	sqlite3_stmt **list;
	uint32_t count, capacity;
};

/* Merging of months: kept over steps. */
struct history_months {
	sqlite3_stmt *list, *touch, *advance, *put, *set_rest, *drop_rest, *late, *drop_chunk, *drop_slice, *drop_slices;
	struct history_month_cursor *cursors; /* a heap: the one at the lowest (point, day, slice) first */
	uint32_t cursor_count, cursor_capacity;
	struct history_stmts of_chunks, of_slices;
	struct hd_buf raw, found;     /* chunks of the point under way */
	struct hd_buf gone[2];        /* keys of chunks and slices that the step has merged */
	int64_t *touched;    /* months that the merge of segments under way wrote to */
	uint32_t touched_count, touched_capacity;
	int64_t late_month;  /* whose late rows are being gone through, up to late_point */
	uint32_t late_point;
	struct history_month at; /* for the writer */
};


struct hd_history {
	struct hd_history_config config;
	struct hd_key seal;
	bool sealed;
	char *path;
	uint64_t file_id;

	pthread_mutex_t pool_lock; /* guards: pool */
	struct history_reader *pool;
	/* Readers hold it while they use a snapshot and the journal behind it; a release of segments takes it for writing. */
	pthread_rwlock_t segments_lock;

	pthread_mutex_t merge_lock; /* guards: the writer below; held for a whole merge */
	sqlite3 *db;
	sqlite3_stmt *insert, *parts, *part_bytes, *remove, *insert_slice, *slices, *set_cursor, *set_hours, *remove_hours;
	struct hd_journal_reader *hold;
	struct hd_chunk_codec codec;
	struct history_chunks chunks;
	struct rowset rows, day;
	struct hd_buf chunk, sealed_chunk;
	uint64_t run;          /* number of the merge: versions nonces */
	uint64_t run_reserved; /* numbers up to it are committed */
	struct history_months months;
	struct history_days days; /* of the run */
	uint64_t frames_waiting; /* in the database's log, not in its file yet */

	pthread_mutex_t slices_lock; /* guards: slice_counts, which may be ahead of what is committed */
	struct history_slices slice_counts;

	pthread_t thread;
	bool thread_started;
	pthread_mutex_t wake_lock; /* guards: stop */
	pthread_cond_t wake;
	bool stop;

	pthread_mutex_t status_lock; /* guards: status */
	struct hd_history_status status;
};

#define HISTORY_LOG_ERROR 0u
void history_event(struct hd_history *history, uint32_t level, const char *name, const char *text);

/* db.c */
int history_db_open(struct hd_history *history, struct hydro_error *err);
void history_db_close(struct hd_history *history);
int history_db_error(struct hydro_error *err, sqlite3 *db, const char *doing);
int history_db_exec(sqlite3 *db, const char *sql, struct hydro_error *err);
int history_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct hydro_error *err);
struct history_reader *history_reader_take(struct hd_history *history, struct hydro_error *err);
void history_reader_give(struct hd_history *history, struct history_reader *reader);

/* A run number that nobody used, and `more` that follow it (history->run + 1 …) for whoever needs them; under merge_lock. */
int history_run_next(struct hd_history *history, uint64_t more, struct hydro_error *err);
int history_step_done(sqlite3 *db, sqlite3_stmt *stmt, const char *doing, struct hydro_error *err);

/* seal of a chunk: run number ‖ sealed bytes, or the bytes as they are */
int history_seal(struct hd_history *history, int64_t key, const struct hd_buf *chunk, struct hd_buf *ret, struct hydro_error *err);
int history_open_sealed(struct hd_history *history, int64_t key, const void *data, size_t len, struct hd_buf *ret, const void **ret_data, size_t *ret_len,
			struct hydro_error *err);

/* slices.c */
void history_slices_done(struct hd_history *history);
int history_slices_load(struct hd_history *history, struct hydro_error *err);
uint32_t history_slices_of(struct hd_history *history, int64_t day);
/* One more slice of the day, whose number it gives. HYDRO_E_NOMEM; HYDRO_E_LIMIT above SLICES_MAX. */
int history_slice_add(struct hd_history *history, int64_t day, uint32_t *ret, struct hydro_error *err);

/* history.c */
void history_pending(struct hd_history *history, struct history_pending *ret);
/* db.c: takes over into the status what the writer has written. Under merge_lock. */
void history_count_written(struct hd_history *history);

/* write.c: one point's rows of one day, sorted and settled with all revisions. */
int history_write_day(struct hd_history *history, int64_t day, uint32_t point, const struct hd_sample *rows, uint32_t count, struct hydro_error *err);
int history_set_cursor(struct hd_history *history, uint64_t lsn, struct hydro_error *err);

/* query.c: all parts of a (day, point), decoded; without those in slices where `slices` is NULL. */
int history_parts(struct hd_history *history, sqlite3_stmt *parts, sqlite3_stmt *slices, struct hd_chunk_codec *codec, struct hd_buf *opened, int64_t day, uint32_t point,
		  struct history_chunks *ret, struct hydro_error *err);
/* Borrows a reader with a snapshot open: its cursor's journal rows of the query are in reader->journal. */
int history_snapshot_begin(struct hd_history *history, const struct hd_history_query *query, struct history_reader **ret, struct hydro_error *err);
void history_snapshot_end(struct hd_history *history, struct history_reader *reader);
/* All rows of a day within the query's bounds, settled, in reader->day. */
int history_gather_day(struct hd_history *history, struct history_reader *reader, const struct hd_history_query *query, int64_t day, struct hydro_error *err);
/* Whether the journal's rows of the snapshot touch these days. */
bool history_journal_has_days(const struct history_reader *reader, int64_t first_day, int64_t end_day);
/* After the day was gathered: whether its month has nothing at all of any point. */
bool history_month_is_empty(const struct history_reader *reader, int64_t day);

/* hours.c: aggregates by hour of settled rows of one UTC day */
struct history_hours {
	struct hd_aggregate *hours;
	uint32_t count, capacity;
};
void history_hours_done(struct history_hours *hours);
int history_hours_of(const struct rowset *rows, struct history_hours *ret);
bool history_hours_put(const struct history_hours *hours, struct hd_buf *ret);
bool history_hours_get(const void *data, size_t len, int64_t day, struct history_hours *ret);

/* merge.c */
int history_merge(struct hd_history *history, struct hydro_error *err);

/* month.c: which month a day belongs to, and what there is of a (month, point) */
int64_t history_month_of(int64_t day);
void history_month_bounds(int64_t month, int64_t *ret_first_day, int64_t *ret_end_day);
/* "2025-03" */
#define HISTORY_MONTH_TEXT 48u
const char *history_month_text(int64_t month, char ret[HISTORY_MONTH_TEXT]);
int history_month_prepare(struct history_month *view, sqlite3 *db, struct hydro_error *err);
void history_month_done(struct history_month *view);
static inline void history_month_forget(struct history_month *view)
{
	view->has_month = view->has_point = false;
}
/* Loads the (month, point) of the day, unless it is loaded. HYDRO_E_CORRUPT names point and month. */
int history_month_load(struct hd_history *history, struct history_month *view, struct hd_chunk_codec *codec, struct hd_buf *opened, int64_t day,
		       uint32_t point, struct hydro_error *err);
/* Rows of the loaded month chunk with from_ms <= ts < to_ms. */
const struct hd_sample *history_month_rows(const struct history_month *view, int64_t from_ms, int64_t to_ms, uint32_t *ret_count);
static inline bool history_month_has_day(const struct history_month *view, int64_t day)
{
	return view->days >> (day - view->first_day) & 1u;
}
/* The seal of a month chunk is told from the others' by a bit of its key. */
static inline int64_t history_month_seal_key(int64_t month, uint32_t point)
{
	return MONTH_SEAL_BIT | history_month_key(month, point);
}

/* A step of merging a month. */
struct history_month_step {
	struct hd_history *history;
	struct history_months *months;
	int64_t month, first_day, end_day, now_ms;
	uint32_t next; /* the frontier, when the step begins and when it ends */
	uint64_t bytes;
	uint32_t points, merged, stayed;
	int64_t begun_ns;
};

/* month_merge.c: the passes over a month, within a transaction */
/* Of the day chunks of all points from step->next on, in order of points. *ret_given_up: the month stays by days. */
int history_month_first_pass(struct history_month_step *step, bool *ret_given_up, struct hydro_error *err);
/* Of points with more than a tenth of late rows, from months->late_point on. *ret_done: there is none left. */
int history_month_late_pass(struct history_month_step *step, bool *ret_done, struct hydro_error *err);
/* The next such point, MONTH_END without one. */
int history_month_late_next(struct history_month_step *step, uint32_t *ret_point, struct hydro_error *err);
int history_month_put_rest(struct hd_history *history, int64_t month, uint32_t point, uint32_t days, int64_t late, int64_t base, struct hydro_error *err);

/* months.c: closed months, merged in steps; all under merge_lock */
int history_months_open(struct hd_history *history, struct hydro_error *err);
void history_months_close(struct hd_history *history);
/* Within the transaction of a merge of segments: a day of a month was written; then what was written is put down. */
int history_months_touch(struct hd_history *history, int64_t month, struct hydro_error *err);
int history_months_touched(struct hd_history *history, struct hydro_error *err);
/* `count` rows of a day came to the merged (month, point) that months.at has loaded. */
int history_months_late(struct hd_history *history, int64_t day, uint32_t count, struct hydro_error *err);
int history_months_step(struct hd_history *history, int64_t now_ms, bool *ret_more, struct hydro_error *err);

#endif
