/* SPDX-License-Identifier: MIT */
/* Inside of the store folder. */
#ifndef HD_STORE_INTERNAL_H
#define HD_STORE_INTERNAL_H

#include "store/snapshot.h"
#include "store/store.h"

#include <pthread.h>

#define HD_STORE_MAGIC 0x524f5453u
#define HD_STORE_READERS_MAX 16u
#define HD_STORE_JOIN_MAX 512u /* writes of one commit at most */

struct hd_write;

struct hd_store {
	uint32_t magic;
	struct hd_key key;
	struct hd_points *points; /* set once by hd_store_points_load */
	struct hd_store_snapshot snapshot;
	struct hd_db *writer;     /* the writer thread's */
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* guards: all below */
	pthread_cond_t wanted, free_reader;
	struct hd_write *first, **last;
	uint32_t waiting, queue;
	bool closing;
	struct hd_store_stats stats;
	struct hd_db *readers[HD_STORE_READERS_MAX]; /* free ones */
	uint32_t reader_count, reader_total;
};

/* Puts each row of the statement (HD_STORE_POINT_COLUMNS, by number) into the points; counts them. HYDRO_E_CORRUPT for a row
 * that is not there. */
int hd_store_points_put_rows(struct hd_store *store, struct hd_points *points, struct hd_db *db, sqlite3_stmt *stmt, uint64_t *ret_count,
			     struct hydro_error *err);

/* The writer thread. */
void *hd_store_writer_run(void *arg);

#endif
