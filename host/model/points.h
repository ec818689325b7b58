/* SPDX-License-Identifier: MIT */
/*
 * All points of this process: a dense index per point, which the store gives once and never reuses (journal and history
 * refer to it), and an immutable, reference-counted snapshot of each point's configuration. The truth is in the store.
 */
#ifndef HD_MODEL_POINTS_H
#define HD_MODEL_POINTS_H

#include "base/error.h"
#include "base/uuid.h"

#include <stdbool.h>

#define HD_POINTS_MAX 4000000u
#define HD_POINT_NONE UINT32_MAX
#define HD_POINT_TEXT_BYTES_MAX 65535u

#define HD_POINT_ACTIVE 1u
#define HD_POINT_DELETED 2u /* kept in the table so that its index stays valid */

/* What a point is made from. Texts are copied; NULL reads as "". */
struct hd_point_spec {
	uint32_t index;     /* persistent, given by the store, dense from 0; HD_POINT_NONE: the next one */
	struct hd_uuid id;
	uint64_t version;   /* raised by the store at each change; the ETag */
	uint32_t bits;      /* HD_POINT_ACTIVE … */
	uint32_t account;   /* row id of the account in the store; 0 = none */
	uint32_t period_s;  /* poll period */
	uint32_t join_ms;   /* raw values of one poll within it are one reading (30000) */
	int64_t start_ms;   /* readings before it are flagged `clock`; 0 = none */
	const char *name;
	const char *provider; /* name of the provider instance */
	const char *pipeline; /* name of the pipeline script, "" = raw values pass as they are */
	const char *options;  /* JSON object: the provider's options of scope POINT (may hold secrets) */
	const char *params;   /* JSON object: what the pipeline reads as `point.…`: sensor_depth, offset … */
	const char *zone;     /* tzdata name for what a person sees; "" = America/Santiago */
};

/* Immutable, one allocation with its texts behind it. */
struct hd_point {
	uint32_t refs; /* atomic; by hd_points_get and hd_point_unref only; one of a loaded page's never falls to 0 */
	uint32_t index;
	struct hd_uuid id;
	uint64_t version;
	int64_t start_ms;
	uint32_t bits;
	uint32_t account;
	uint32_t period_s;
	uint32_t join_ms;
	uint16_t name_at, provider_at, pipeline_at, options_at, params_at, zone_at;
	char texts[];
};

static inline const char *hd_point_name(const struct hd_point *p) { return p->texts + p->name_at; }
static inline const char *hd_point_provider(const struct hd_point *p) { return p->texts + p->provider_at; }
static inline const char *hd_point_pipeline(const struct hd_point *p) { return p->texts + p->pipeline_at; }
static inline const char *hd_point_options(const struct hd_point *p) { return p->texts + p->options_at; }
static inline const char *hd_point_params(const struct hd_point *p) { return p->texts + p->params_at; }
static inline const char *hd_point_zone(const struct hd_point *p) { return p->texts + p->zone_at; }

/* A point by itself, with one reference, in no table (index HD_POINT_NONE); NULL with the error set. [any] */
struct hd_point *hd_point_make(const struct hd_point_spec *spec, struct hydro_error *err);

struct hd_points;

/* Called after a point was added or replaced, on the thread that did it, without a lock held. old is NULL for a new one. */
typedef void (*hd_points_watch_fn)(void *arg, const struct hd_point *old, const struct hd_point *now);

int hd_points_new(struct hd_points **ret);
void hd_points_free(struct hd_points **points);
/*
 * Adds the point, or replaces the one with the same id. HYDRO_E_CONFLICT when spec->index is neither the one the id has
 * nor, for a new id, the next free one. [control or store; one thread at a time]
 */
int hd_points_put(struct hd_points *points, const struct hd_point_spec *spec, uint32_t *ret_index, struct hydro_error *err);
/* A reference to be given back, or NULL. [any] */
const struct hd_point *hd_points_get(struct hd_points *points, uint32_t index);
/* The same for several at once; NULL for those that are not there. [any] */
void hd_points_get_many(struct hd_points *points, const uint32_t *indices, uint32_t count, const struct hd_point **ret);
void hd_point_unref(const struct hd_point *point);
/* For HD_CLEANUP. */
void hd_cleanup_point(const struct hd_point **point);
/* Index of an id, or HD_POINT_NONE. [any] */
uint32_t hd_points_find(struct hd_points *points, const struct hd_uuid *id);
/* The id of an index (all zero for an unknown one). [any] */
struct hd_uuid hd_points_id(struct hd_points *points, uint32_t index);
/* Indices are 0 … count-1. [any] */
uint32_t hd_points_count(struct hd_points *points);

/*
 * Many points at once, at the start, into an empty table that nobody uses yet: page by page, from several threads. A page
 * is HD_POINTS_PAGE points one after another in one block of memory, which the table keeps to its end.
 */
#define HD_POINTS_PAGE 4096u
/* Room for `count` points. HYDRO_E_NOMEM, HYDRO_E_LIMIT; HYDRO_E_CONFLICT when there are points. [control] */
int hd_points_load_begin(struct hd_points *points, uint32_t count, struct hydro_error *err);
/*
 * The page that begins with number `first`: point i lies at memory + offsets[i], and all of them passed hd_point_fits.
 * Ids are different ones. Takes `memory` (of malloc) over, in success only; HYDRO_E_NOMEM. [any; each page once]
 */
int hd_points_load_page(struct hd_points *points, uint32_t first, uint32_t count, void *memory, const uint32_t *offsets);
/* All pages are there. [control] */
void hd_points_load_end(struct hd_points *points);
/* Away with all points, so that they can be loaded again. [control, while nobody else uses it] */
void hd_points_clear(struct hd_points *points);
/* Bytes of a point with its texts. */
size_t hd_point_bytes(const struct hd_point *point);
/* Whether `bytes` bytes hold a point whose texts all end inside. */
bool hd_point_fits(const struct hd_point *point, size_t bytes);

/* At most 8 watchers, set before the threads start. [control] */
void hd_points_watch(struct hd_points *points, hd_points_watch_fn fn, void *arg);
/* Takes it out again, when nobody puts points at the moment; one that is not there is fine. [control] */
void hd_points_unwatch(struct hd_points *points, hd_points_watch_fn fn, const void *arg);

#endif
