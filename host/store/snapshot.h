/* SPDX-License-Identifier: MIT */
/*
 * Inside of the store folder: the snapshot of the points beside the database, and when it is written. The database names
 * the file that may be used and logs which rows changed; a start takes the file, then those rows.
 */
#ifndef HD_STORE_SNAPSHOT_H
#define HD_STORE_SNAPSHOT_H

#include "store/snapshot_file.h"
#include "store/store.h"

#include <pthread.h>

struct hd_store_snapshot {
	char *path, *fresh; /* NULL: none is kept. fresh: where the next one is written */
	pthread_t thread;
	pthread_mutex_t lock; /* guards: all below */
	pthread_cond_t wake;
	bool has_thread;
	uint64_t changed;  /* rows that changed since the file */
	int64_t first_ns, last_ns; /* the first and the last such change; real */
	bool stop;
	bool behind; /* the points in memory did not follow a commit: no file is made of them */
	bool has_file;
	uint8_t id[HD_SNAPSHOT_ID_BYTES]; /* of the file */
};

int hd_store_snapshot_init(struct hd_store *store, const char *path, struct hydro_error *err);
/* Points from the file and the rows that changed since. false: nothing is loaded, and the database is to be read. */
bool hd_store_snapshot_load(struct hd_store *store, struct hd_points *points);
/* The points are loaded (`all`: from the rows, so that a new file is wanted): files are written from now on. */
int hd_store_snapshot_start(struct hd_store *store, bool all, struct hydro_error *err);
/* Writes a last file when it is worth it. Before the writer thread ends. */
void hd_store_snapshot_stop(struct hd_store *store);
void hd_store_snapshot_done(struct hd_store *store);
/* `count` rows were committed; rc: whether the points in memory followed. [store] */
void hd_store_snapshot_changed(struct hd_store *store, uint64_t count, int rc);

#endif
