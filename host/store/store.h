/* SPDX-License-Identifier: MIT */
/*
 * The business database (SQLite): points, accounts, API keys, kept answers. One writer thread joins the writes that wait into
 * one commit, each in a savepoint of its own; reads go through a small pool of connections.
 */
#ifndef HD_STORE_STORE_H
#define HD_STORE_STORE_H

#include "store/db.h"
#include "store/seal.h"

struct hd_store;
struct hd_points;

struct hd_store_config {
	const char *path;         /* business.db */
	const struct hd_key *key; /* seals secrets; copied */
	const char *snapshot;     /* file with a sealed copy of the points, which starts read; NULL: none */
	uint32_t readers;         /* connections; 0 = 4 */
	uint32_t queue;           /* writes that may wait; 0 = 4096 */
};

/* Opens, migrates, starts the writer. HYDRO_E_CONFIG for a newer database, HYDRO_E_KEY when it was sealed with another key,
 * HYDRO_E_CORRUPT, HYDRO_E_IO. [control] */
int hd_store_open(const struct hd_store_config *config, struct hd_store **ret, struct hydro_error *err);
/* Finishes what waits, writes the snapshot of points when much has changed, checkpoints, closes. [control] */
void hd_store_close(struct hd_store **store);

typedef int (*hd_store_fn)(struct hd_db *db, void *arg, struct hydro_error *err);

/*
 * Runs fn(db, arg) on the writer thread and returns once it is committed. When fn fails its own changes are undone and its
 * error returned; others that share the commit are not touched. `committed` (may be NULL) runs on the writer thread after the
 * commit, in commit order, before this returns. HYDRO_E_AGAIN: too many wait; HYDRO_E_FULL, HYDRO_E_IO: the commit failed,
 * nothing of it holds. [any but store, io, worker]
 */
int hd_store_write(struct hd_store *store, hd_store_fn fn, void (*committed)(struct hd_db *db, void *arg), void *arg, struct hydro_error *err);
/* Runs fn(db, arg) on a read connection, in one read transaction. [any but io, worker] */
int hd_store_read(struct hd_store *store, hd_store_fn fn, void *arg, struct hydro_error *err);

struct hd_store_stats {
	uint64_t writes, commits, failed_commits;
	uint32_t waiting;
	int32_t last_error;      /* of the last group of writes: HYDRO_OK, or why the disk failed it */
	int64_t last_failure_ns; /* hd_clock_real_ns of the last such failure, 0 = none */
};
void hd_store_stats(struct hd_store *store, struct hd_store_stats *ret);

/* The points that follow this store: filled by hd_store_points_load, kept up to date after each commit. */
struct hd_points *hd_store_points(struct hd_store *store);
const struct hd_key *hd_store_key_of(const struct hd_store *store);

#endif
