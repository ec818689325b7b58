/* SPDX-License-Identifier: MIT */
/*
 * The points of the business database as they lie in memory, in one sealed file, so that a start need not read them row by
 * row. It is a copy: whoever cannot use it reads the database. Little-endian, of this program's layout alone.
 *
 *   head       magic, version, size of a point's fixed part, key id, points, pages, change, file id (random)
 *   directory  per page: offset, sealed bytes
 *   tag        over head and directory
 *   pages      sealed, HD_POINTS_PAGE points each: offsets of the points and their end (u32), then the points, each
 *              aligned to 8
 *
 * Nonces are file id ‖ page (the head's: all ones), under a key of the file's own.
 */
#ifndef HD_STORE_SNAPSHOT_FILE_H
#define HD_STORE_SNAPSHOT_FILE_H

#include "model/points.h"
#include "store/seal.h"

#define HD_SNAPSHOT_ID_BYTES 16u

/* What a file says of itself. */
struct hd_snapshot_info {
	uint8_t id[HD_SNAPSHOT_ID_BYTES];
	uint32_t points;
	int64_t change; /* the database's changes up to this one are in it; later ones may be */
};

struct hd_snapshot;

/* Opens and checks the head. HYDRO_E_NOTFOUND, HYDRO_E_UNSUPPORTED (of another program), HYDRO_E_KEY, HYDRO_E_CORRUPT,
 * HYDRO_E_IO. [any, may block] */
int hd_snapshot_open(const char *path, const struct hd_key *key, struct hd_snapshot **ret, struct hd_snapshot_info *ret_info, struct hydro_error *err);
void hd_snapshot_close(struct hd_snapshot **snapshot);
/* All pages into the empty table, on as many threads as there are processors (up to four). In failure the table is empty. */
int hd_snapshot_load(struct hd_snapshot *snapshot, struct hd_points *points, struct hydro_error *err);
/* The first info->points points to a new file at `path`, synced; gives info->id. Points that change meanwhile are in it in
 * one form or the other. */
int hd_snapshot_write(const char *path, const struct hd_key *key, struct hd_points *points, struct hd_snapshot_info *info, struct hydro_error *err);

/* Whether an opened page holds `count` points. */
bool hd_snapshot_page_check(const void *page, size_t len, uint32_t count);

#endif
