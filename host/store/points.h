/* SPDX-License-Identifier: MIT */
/*
 * Points as rows. A row's number is hd_point.index: dense from 0, given once, never reused; a deleted point stays as a row.
 * Options with secrets are kept twice: as shown ("***" in place of each secret) and, sealed, in full.
 */
#ifndef HD_STORE_POINTS_H
#define HD_STORE_POINTS_H

#include "model/points.h"
#include "store/store.h"

#define HD_STORE_PAGE_MAX 1000u

/* Texts are borrowed from whoever gives the struct. */
struct hd_store_point {
	uint32_t number;
	uint32_t bits; /* HD_POINT_* */
	struct hd_uuid id;
	uint64_t version;
	uint32_t account; /* row number, 0 = none */
	uint32_t period_s, join_ms;
	int64_t start_ms, created_ms, updated_ms;
	const char *name, *provider, *pipeline, *zone;
	const char *shown;   /* options without secrets */
	const char *options; /* options in full; in reads only where asked for, else NULL */
	const char *params;
	bool has_secret; /* in writes: `options` differs from `shown` and is to be sealed */
	struct hd_uuid account_id; /* in reads; all zero without account */
};

/* Other than HYDRO_OK ends the reading. */
typedef int (*hd_store_point_fn)(void *arg, const struct hd_store_point *point, struct hydro_error *err);
/* Runs in the same transaction after the row was written; NULL: nothing more. [store] */
typedef int (*hd_store_point_also)(void *arg, struct hd_db *db, const struct hd_store_point *point, struct hydro_error *err);

/*
 * A new row: sets number, version, times, and the id if it is all zero. HYDRO_E_EXISTS for an id there already,
 * HYDRO_E_INVALID for an account that is none or another provider's, HYDRO_E_LIMIT beyond HD_POINTS_MAX or
 * HD_POINT_TEXT_BYTES_MAX, and what hd_store_write fails with. [as hd_store_write]
 */
int hd_store_point_create(struct hd_store *store, struct hd_store_point *point, hd_store_point_also also, void *arg, struct hydro_error *err);
/* Replaces the row of point->id, whose version must be point->version (else HYDRO_E_STALE; HYDRO_E_NOTFOUND without row or
 * when deleted); sets version and updated_ms. Deleting is setting HD_POINT_DELETED. [as hd_store_write] */
int hd_store_point_replace(struct hd_store *store, struct hd_store_point *point, hd_store_point_also also, void *arg, struct hydro_error *err);
/* One row; deleted ones are HYDRO_E_NOTFOUND. [as hd_store_read] */
int hd_store_point_get(struct hd_store *store, const struct hd_uuid *id, bool with_secrets, hd_store_point_fn fn, void *arg, struct hydro_error *err);

struct hd_store_point_filter {
	const char *provider, *pipeline, *name_prefix; /* NULL: any */
	int active;     /* 1, 0, or -1: any */
	int64_t after;  /* number of the last row of the page before; -1 at the start */
	uint32_t limit; /* 1 … HD_STORE_PAGE_MAX */
	bool want_total;
};
struct hd_store_page {
	int64_t next;   /* `after` of the next page, -1 = none */
	uint64_t total; /* rows that pass the filter, all pages */
};
/* Rows that are not deleted, by number. [as hd_store_read] */
int hd_store_point_list(struct hd_store *store, const struct hd_store_point_filter *filter, hd_store_point_fn fn, void *arg, struct hd_store_page *ret,
			struct hydro_error *err);

/* All rows into `points`, which follows the store from then on. HYDRO_E_CORRUPT when numbers have a gap. [control, once] */
int hd_store_points_load(struct hd_store *store, struct hd_points *points, struct hydro_error *err);

/* ---- for writes that are made of many rows; on the writer's connection ---- */

int hd_store_point_insert(struct hd_store *store, struct hd_db *db, struct hd_store_point *point, struct hydro_error *err);
int hd_store_point_update(struct hd_store *store, struct hd_db *db, struct hd_store_point *point, struct hydro_error *err);
/* Puts the committed rows first … last into hd_store_points. [store] */
int hd_store_points_publish(struct hd_store *store, struct hd_db *db, int64_t first, int64_t last, struct hydro_error *err);

#endif
