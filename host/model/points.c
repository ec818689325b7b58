/* SPDX-License-Identifier: MIT */
#include "model/points.h"

#include "base/hash.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_POINTS HD_POINTS_PAGE
#define PAGES (HD_POINTS_MAX / PAGE_POINTS + 1)
#define WATCHERS_MAX 8u
#define FIRST_BUCKETS 1024u

struct hd_points {
	pthread_rwlock_t lock; /* guards: pages, count, buckets, mask; a swap of a point's pointer takes it for writing */
	struct hd_point **pages[PAGES];
	void *memory[PAGES]; /* of pages that were loaded as one block */
	uint32_t count, loading; /* loading: will be there once all pages are loaded */
	uint32_t *buckets; /* index + 1, by the id's hash; 0 = free */
	uint32_t mask;
	struct { hd_points_watch_fn fn; void *arg; } watchers[WATCHERS_MAX];
	unsigned watcher_count;
};

int hd_points_new(struct hd_points **ret)
{
	struct hd_points *points = calloc(1, sizeof *points);
	if (!points)
		return HYDRO_E_NOMEM;
	points->buckets = calloc(FIRST_BUCKETS, sizeof *points->buckets);
	if (!points->buckets) {
		free(points);
		return HYDRO_E_NOMEM;
	}
	points->mask = FIRST_BUCKETS - 1;
	(void)pthread_rwlock_init(&points->lock, NULL);
	*ret = points;
	return HYDRO_OK;
}

static struct hd_point **slot_of(struct hd_points *points, uint32_t index)
{
	return &points->pages[index / PAGE_POINTS][index % PAGE_POINTS];
}

void hd_points_free(struct hd_points **points)
{
	if (!*points)
		return;
	hd_points_clear(*points);
	free((*points)->buckets);
	(void)pthread_rwlock_destroy(&(*points)->lock);
	free(*points);
	*points = NULL;
}

void hd_points_clear(struct hd_points *points)
{
	for (uint32_t i = 0; i < points->count; i++)
		hd_point_unref(*slot_of(points, i));
	for (uint32_t i = 0; i < PAGES; i++) {
		free(HD_STEAL(points->pages[i]));
		free(HD_STEAL(points->memory[i]));
	}
	memset(points->buckets, 0, (points->mask + (size_t)1) * sizeof *points->buckets);
	points->count = points->loading = 0;
}

struct hd_point *hd_point_make(const struct hd_point_spec *spec, struct hydro_error *err)
{
	const char *texts[] = {spec->name, spec->provider, spec->pipeline, spec->options, spec->params, spec->zone};
	size_t lens[HD_ARRAY_LEN(texts)], total = 0;
	for (size_t i = 0; i < HD_ARRAY_LEN(texts); i++) {
		lens[i] = texts[i] ? strlen(texts[i]) : 0;
		total += lens[i] + 1;
	}
	if (total > HD_POINT_TEXT_BYTES_MAX) {
		hd_error_set(err, HYDRO_E_LIMIT, "configuration of a point is larger than %u bytes", HD_POINT_TEXT_BYTES_MAX);
		return NULL;
	}
	struct hd_point *point = malloc(sizeof *point + total);
	if (!point) {
		hd_error_set(err, HYDRO_E_NOMEM, "no memory for a point");
		return NULL;
	}
	*point = (struct hd_point){.refs = 1, .index = HD_POINT_NONE, .id = spec->id, .version = spec->version, .start_ms = spec->start_ms, .bits = spec->bits,
				   .account = spec->account, .period_s = spec->period_s, .join_ms = spec->join_ms};
	uint16_t *offsets[] = {&point->name_at, &point->provider_at, &point->pipeline_at, &point->options_at, &point->params_at, &point->zone_at};
	size_t at = 0;
	for (size_t i = 0; i < HD_ARRAY_LEN(texts); i++) {
		*offsets[i] = (uint16_t)at;
		if (lens[i])
			memcpy(point->texts + at, texts[i], lens[i]);
		point->texts[at + lens[i]] = '\0';
		at += lens[i] + 1;
	}
	return point;
}

/* The bucket of the id, or the free one where it would be. Under the lock. */
static uint32_t *bucket_of(struct hd_points *points, const struct hd_uuid *id)
{
	for (uint32_t i = (uint32_t)hd_hash(id, sizeof *id) & points->mask;; i = (i + 1) & points->mask) {
		uint32_t *bucket = &points->buckets[i];
		if (*bucket == 0 || hd_uuid_equal(&(*slot_of(points, *bucket - 1))->id, id))
			return bucket;
	}
}

static int grow(struct hd_points *points, struct hydro_error *err)
{
	uint32_t index = points->count;
	if (index >= HD_POINTS_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "more than %u points", HD_POINTS_MAX);
	struct hd_point ***page = &points->pages[index / PAGE_POINTS];
	if (!*page && !(*page = calloc(PAGE_POINTS, sizeof **page)))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for points");
	if ((index + 1) * 2 <= points->mask)
		return HYDRO_OK;
	uint32_t *old = points->buckets;
	uint32_t *buckets = calloc((size_t)(points->mask + 1) * 2, sizeof *buckets);
	if (!buckets)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for points");
	points->buckets = buckets;
	points->mask = points->mask * 2 + 1;
	for (uint32_t i = 0; i < index; i++)
		*bucket_of(points, &(*slot_of(points, i))->id) = i + 1;
	free(old);
	return HYDRO_OK;
}

int hd_points_put(struct hd_points *points, const struct hd_point_spec *spec, uint32_t *ret_index, struct hydro_error *err)
{
	struct hd_point *point = hd_point_make(spec, err);
	if (!point)
		return err && err->code == HYDRO_E_LIMIT ? HYDRO_E_LIMIT : HYDRO_E_NOMEM;
	struct hd_point *old = NULL;
	(void)pthread_rwlock_wrlock(&points->lock);
	uint32_t *bucket = bucket_of(points, &spec->id);
	int rc = HYDRO_OK;
	uint32_t have = *bucket ? *bucket - 1 : points->count;
	if (spec->index != HD_POINT_NONE && spec->index != have) {
		rc = hd_error_set(err, HYDRO_E_CONFLICT, "point number %u given where %u was expected", spec->index, have);
	} else if (*bucket) {
		point->index = *bucket - 1;
		old = *slot_of(points, point->index);
		*slot_of(points, point->index) = point;
	} else if ((rc = grow(points, err)) == HYDRO_OK) {
		point->index = points->count;
		*slot_of(points, point->index) = point;
		*bucket_of(points, &spec->id) = ++points->count;
	}
	if (rc == HYDRO_OK)
		__atomic_add_fetch(&point->refs, 1, __ATOMIC_RELAXED); /* for the watchers below */
	(void)pthread_rwlock_unlock(&points->lock);
	if (rc == HYDRO_OK) {
		for (unsigned i = 0; i < points->watcher_count; i++)
			points->watchers[i].fn(points->watchers[i].arg, old, point);
		*ret_index = point->index;
	}
	hd_point_unref(old);
	hd_point_unref(point);
	return rc;
}

const struct hd_point *hd_points_get(struct hd_points *points, uint32_t index)
{
	const struct hd_point *point = NULL;
	hd_points_get_many(points, &index, 1, &point);
	return point;
}

void hd_points_get_many(struct hd_points *points, const uint32_t *indices, uint32_t count, const struct hd_point **ret)
{
	(void)pthread_rwlock_rdlock(&points->lock);
	for (uint32_t i = 0; i < count; i++) {
		struct hd_point *point = indices[i] < points->count ? *slot_of(points, indices[i]) : NULL;
		if (point)
			__atomic_add_fetch(&point->refs, 1, __ATOMIC_RELAXED);
		ret[i] = point;
	}
	(void)pthread_rwlock_unlock(&points->lock);
}

void hd_point_unref(const struct hd_point *point)
{
	if (!point)
		return;
	struct hd_point *own = (struct hd_point *)(uintptr_t)point;
	if (__atomic_sub_fetch(&own->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(own);
}

void hd_cleanup_point(const struct hd_point **point)
{
	hd_point_unref(*point);
	*point = NULL;
}

uint32_t hd_points_find(struct hd_points *points, const struct hd_uuid *id)
{
	(void)pthread_rwlock_rdlock(&points->lock);
	uint32_t bucket = *bucket_of(points, id);
	(void)pthread_rwlock_unlock(&points->lock);
	return bucket ? bucket - 1 : HD_POINT_NONE;
}

struct hd_uuid hd_points_id(struct hd_points *points, uint32_t index)
{
	struct hd_uuid id = {{0}};
	(void)pthread_rwlock_rdlock(&points->lock);
	if (index < points->count)
		id = (*slot_of(points, index))->id;
	(void)pthread_rwlock_unlock(&points->lock);
	return id;
}

uint32_t hd_points_count(struct hd_points *points)
{
	(void)pthread_rwlock_rdlock(&points->lock);
	uint32_t count = points->count;
	(void)pthread_rwlock_unlock(&points->lock);
	return count;
}

void hd_points_watch(struct hd_points *points, hd_points_watch_fn fn, void *arg)
{
	HD_ASSERT(points->watcher_count < WATCHERS_MAX);
	points->watchers[points->watcher_count].fn = fn;
	points->watchers[points->watcher_count++].arg = arg;
}

void hd_points_unwatch(struct hd_points *points, hd_points_watch_fn fn, const void *arg)
{
	unsigned left = 0;
	for (unsigned i = 0; i < points->watcher_count; i++)
		if (points->watchers[i].fn != fn || points->watchers[i].arg != arg)
			points->watchers[left++] = points->watchers[i];
	points->watcher_count = left;
}

/* ---- loading ---- */

size_t hd_point_bytes(const struct hd_point *point)
{
	return sizeof *point + point->zone_at + strlen(hd_point_zone(point)) + 1;
}

bool hd_point_fits(const struct hd_point *point, size_t bytes)
{
	if (bytes <= sizeof *point)
		return false;
	size_t texts = bytes - sizeof *point;
	const uint16_t at[] = {point->name_at, point->provider_at, point->pipeline_at, point->options_at, point->params_at, point->zone_at};
	if (at[0] != 0)
		return false;
	for (size_t i = 1; i < HD_ARRAY_LEN(at); i++)
		if (at[i] <= at[i - 1] || at[i] >= texts || point->texts[at[i] - 1] != '\0')
			return false;
	return memchr(hd_point_zone(point), '\0', texts - point->zone_at) != NULL;
}

int hd_points_load_begin(struct hd_points *points, uint32_t count, struct hydro_error *err)
{
	if (points->count)
		return hd_error_set(err, HYDRO_E_CONFLICT, "there are points already");
	if (count > HD_POINTS_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "more than %u points", HD_POINTS_MAX);
	uint32_t mask = points->mask;
	while ((uint64_t)count * 2 > mask)
		mask = mask * 2 + 1;
	uint32_t *buckets = calloc((size_t)mask + 1, sizeof *buckets);
	if (!buckets)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for points");
	free(points->buckets);
	points->buckets = buckets;
	points->mask = mask;
	points->loading = count;
	return HYDRO_OK;
}

int hd_points_load_page(struct hd_points *points, uint32_t first, uint32_t count, void *memory, const uint32_t *offsets)
{
	HD_ASSERT(first % PAGE_POINTS == 0 && count <= PAGE_POINTS && first + count <= points->loading && !points->pages[first / PAGE_POINTS]);
	struct hd_point **page = calloc(PAGE_POINTS, sizeof *page);
	if (!page)
		return HYDRO_E_NOMEM;
	for (uint32_t i = 0; i < count; i++) {
		struct hd_point *point = page[i] = (struct hd_point *)(void *)((uint8_t *)memory + offsets[i]);
		point->refs = 2; /* the table's, and one that is never given back: its memory goes with the page's */
		point->index = first + i;
		for (uint32_t k = (uint32_t)hd_hash(&point->id, sizeof point->id) & points->mask;; k = (k + 1) & points->mask) {
			uint32_t none = 0;
			if (__atomic_load_n(&points->buckets[k], __ATOMIC_RELAXED) == 0 &&
			    __atomic_compare_exchange_n(&points->buckets[k], &none, first + i + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
				break;
		}
	}
	points->pages[first / PAGE_POINTS] = page;
	points->memory[first / PAGE_POINTS] = memory;
	return HYDRO_OK;
}

void hd_points_load_end(struct hd_points *points)
{
	points->count = points->loading;
}
