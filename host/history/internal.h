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

#define HISTORY_FORMAT 2
#define DAY_MS INT64_C(86400000)
#define HOUR_MS INT64_C(3600000)
/* A (day, point) has at most this many parts more than its rows need; then they are all made one. */
#define PARTS_SPARE 16u
#define SEQ_BITS 8u
#define POINT_BITS 24u
#define SLICE_BITS 10u
#define SLICES_MAX ((1u << SLICE_BITS) - 1)
#define SLICE_SEAL_BIT (INT64_C(1) << 62) /* tells the nonces of slices from those of chunks */

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

/* Decoded chunks with their memory; the first `count` are in use. */
struct history_chunks {
	struct hd_chunk *list;
	uint32_t count, capacity;
};
void history_chunks_done(struct history_chunks *chunks);

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
	struct rowset journal, day;
	struct hd_buf opened;
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
	uint64_t run; /* number of the merge: versions nonces */
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

/* db.c */
int history_db_open(struct hd_history *history, struct hydro_error *err);
void history_db_close(struct hd_history *history);
int history_db_error(struct hydro_error *err, sqlite3 *db, const char *doing);
int history_db_exec(sqlite3 *db, const char *sql, struct hydro_error *err);
int history_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct hydro_error *err);
struct history_reader *history_reader_take(struct hd_history *history, struct hydro_error *err);
void history_reader_give(struct hd_history *history, struct history_reader *reader);

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
/* Whether the journal's rows of the snapshot touch the day. */
bool history_journal_has_day(const struct history_reader *reader, int64_t day);

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

#endif
