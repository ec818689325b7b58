/* SPDX-License-Identifier: MIT */
#include "pipeline/latest.h"

#include "model/flags.h"
#include "model/points.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_POINTS 4096u
#define PAGES (HD_POINTS_MAX / PAGE_POINTS + 1)
#define INLINE_METRICS 4u
#define QUALITY_STEPS 200.0f
#define METRIC_MAX 0xffffu /* names come in small numbers; a metric above is not shown as latest */

/* One cache line. All members are written under the sequence and read as relaxed atomics. */
struct entry {
	uint32_t seq; /* odd while it is written */
	uint16_t rev;
	uint8_t count;
	uint8_t reserved;
	int64_t ts_ms; /* 0 = none */
	uint64_t values[INLINE_METRICS];
	uint32_t meta[INLINE_METRICS]; /* metric, quality × 200, flag */
};
_Static_assert(sizeof(struct entry) == 64, "latest values are one cache line");

struct more {
	uint64_t values[HD_METRICS_PER_SAMPLE_MAX];
	uint32_t meta[HD_METRICS_PER_SAMPLE_MAX];
};

struct hd_latest {
	_Atomic(struct entry *) pages[PAGES];
	_Atomic(_Atomic(struct more *) *) more[PAGES]; /* of points with more than INLINE_METRICS */
	pthread_mutex_t lock; /* guards: listeners; held while they are called */
	struct { hd_latest_fn fn; void *arg; } listeners[HD_LATEST_LISTENERS_MAX];
};

int hd_latest_new(struct hd_latest **ret)
{
	struct hd_latest *latest = calloc(1, sizeof *latest);
	if (!latest)
		return HYDRO_E_NOMEM;
	(void)pthread_mutex_init(&latest->lock, NULL);
	*ret = latest;
	return HYDRO_OK;
}

void hd_latest_free(struct hd_latest **latest)
{
	if (!*latest)
		return;
	for (uint32_t i = 0; i < PAGES; i++) {
		free(atomic_load(&(*latest)->pages[i]));
		_Atomic(struct more *) *more = atomic_load(&(*latest)->more[i]);
		for (uint32_t k = 0; more && k < PAGE_POINTS; k++)
			free(atomic_load(&more[k]));
		free(more);
	}
	(void)pthread_mutex_destroy(&(*latest)->lock);
	free(*latest);
	*latest = NULL;
}

static struct entry *entry_of(struct hd_latest *latest, uint32_t point, bool make)
{
	if (point >= HD_POINTS_MAX)
		return NULL;
	struct entry *page = atomic_load_explicit(&latest->pages[point / PAGE_POINTS], memory_order_acquire);
	if (!page && make && (page = aligned_alloc(64, PAGE_POINTS * sizeof *page))) {
		/* At the start all workers write, each its own points: one of their pages stays. */
		struct entry *none = NULL;
		memset(page, 0, PAGE_POINTS * sizeof *page);
		if (!atomic_compare_exchange_strong(&latest->pages[point / PAGE_POINTS], &none, page)) {
			free(page);
			page = none;
		}
	}
	return page ? &page[point % PAGE_POINTS] : NULL;
}

static struct more *more_of(struct hd_latest *latest, uint32_t point, bool make)
{
	_Atomic(struct more *) *page = atomic_load_explicit(&latest->more[point / PAGE_POINTS], memory_order_acquire);
	if (!page && make && (page = calloc(PAGE_POINTS, sizeof *page))) {
		_Atomic(struct more *) *none = NULL;
		if (!atomic_compare_exchange_strong(&latest->more[point / PAGE_POINTS], &none, page)) {
			free(page);
			page = none;
		}
	}
	if (!page)
		return NULL;
	struct more *more = atomic_load_explicit(&page[point % PAGE_POINTS], memory_order_acquire);
	if (!more && make && (more = calloc(1, sizeof *more))) /* of one point: one writer */
		atomic_store_explicit(&page[point % PAGE_POINTS], more, memory_order_release);
	return more;
}

#define PUT(where, value) __atomic_store_n(&(where), (value), __ATOMIC_RELAXED)
#define GET(where) __atomic_load_n(&(where), __ATOMIC_RELAXED)

/* The worst flag of a metric. */
static uint32_t flag_of(const struct hd_sample *sample, uint32_t metric)
{
	uint32_t worst = 0;
	float quality = 2;
	for (uint32_t i = 0; i < sample->flag_count; i++) {
		const struct hd_flag_info *info = hd_flag_info(sample->flags[i].flag);
		if ((sample->flags[i].metric == metric || !sample->flags[i].metric) && info && info->quality < quality) {
			worst = sample->flags[i].flag;
			quality = info->quality;
		}
	}
	return worst;
}

static void write_values(struct entry *entry, struct more *more, const struct hd_sample *sample)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < sample->value_count; i++) {
		const struct hd_value *value = &sample->values[i];
		if (value->metric > METRIC_MAX || (n >= INLINE_METRICS && !more))
			continue;
		uint64_t bits;
		memcpy(&bits, &value->value, sizeof bits);
		uint32_t meta = value->metric | (uint32_t)(value->quality * QUALITY_STEPS + 0.5f) << 16 |
				(sample->flag_count ? flag_of(sample, value->metric) << 24 : 0);
		PUT(*(n < INLINE_METRICS ? &entry->values[n] : &more->values[n]), bits);
		PUT(*(n < INLINE_METRICS ? &entry->meta[n] : &more->meta[n]), meta);
		n++;
	}
	PUT(entry->count, (uint8_t)n);
	PUT(entry->rev, sample->rev);
	PUT(entry->ts_ms, sample->ts_ms);
}

void hd_latest_put(struct hd_latest *latest, const struct hd_sample *sample)
{
	if (sample->bits & (HD_SAMPLE_CLOCK | HD_SAMPLE_HELD | HD_SAMPLE_UNPROCESSED))
		return;
	struct entry *entry = entry_of(latest, sample->point, true);
	if (!entry || sample->ts_ms < entry->ts_ms || (sample->ts_ms == entry->ts_ms && sample->rev <= entry->rev))
		return;
	struct more *more = sample->value_count > INLINE_METRICS ? more_of(latest, sample->point, true) : NULL;
	uint32_t seq = entry->seq;
	PUT(entry->seq, seq + 1);
	atomic_thread_fence(memory_order_release);
	write_values(entry, more, sample);
	__atomic_store_n(&entry->seq, seq + 2, __ATOMIC_RELEASE);
}

static void read_values(const struct entry *entry, const struct more *more, struct hd_latest_value *ret)
{
	ret->ts_ms = GET(entry->ts_ms);
	ret->rev = GET(entry->rev);
	ret->count = GET(entry->count);
	if (ret->count > HD_METRICS_PER_SAMPLE_MAX || (ret->count > INLINE_METRICS && !more))
		ret->count = INLINE_METRICS; /* torn: read again */
	for (uint32_t i = 0; i < ret->count; i++) {
		uint64_t bits = i < INLINE_METRICS ? GET(entry->values[i]) : GET(more->values[i]);
		uint32_t meta = i < INLINE_METRICS ? GET(entry->meta[i]) : GET(more->meta[i]);
		memcpy(&ret->metrics[i].value, &bits, sizeof bits);
		ret->metrics[i].metric = meta & 0xffff;
		ret->metrics[i].quality = (float)(meta >> 16 & 0xff) / QUALITY_STEPS;
		ret->metrics[i].flag = meta >> 24;
	}
}

bool hd_latest_get(struct hd_latest *latest, uint32_t point, struct hd_latest_value *ret)
{
	const struct entry *entry = entry_of(latest, point, false);
	if (!entry)
		return false;
	for (;;) {
		uint32_t seq = __atomic_load_n(&entry->seq, __ATOMIC_ACQUIRE);
		if (seq & 1)
			continue;
		read_values(entry, GET(entry->count) > INLINE_METRICS ? more_of(latest, point, false) : NULL, ret);
		atomic_thread_fence(memory_order_acquire);
		if (GET(entry->seq) == seq)
			return ret->ts_ms != 0;
	}
}

void hd_latest_publish(struct hd_latest *latest, const struct hd_batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		if (i + 8 < batch->count) {
			const struct entry *ahead = entry_of(latest, batch->samples[i + 8].point, false);
			if (ahead)
				__builtin_prefetch(ahead, 1);
		}
		hd_latest_put(latest, &batch->samples[i]);
	}
	(void)pthread_mutex_lock(&latest->lock);
	for (uint32_t i = 0; i < HD_LATEST_LISTENERS_MAX; i++)
		if (latest->listeners[i].fn)
			latest->listeners[i].fn(latest->listeners[i].arg, batch);
	(void)pthread_mutex_unlock(&latest->lock);
}

int hd_latest_listen(struct hd_latest *latest, hd_latest_fn fn, void *arg, struct hydro_error *err)
{
	int rc = HYDRO_E_LIMIT;
	(void)pthread_mutex_lock(&latest->lock);
	for (uint32_t i = 0; i < HD_LATEST_LISTENERS_MAX && rc != HYDRO_OK; i++)
		if (!latest->listeners[i].fn) {
			latest->listeners[i].fn = fn;
			latest->listeners[i].arg = arg;
			rc = HYDRO_OK;
		}
	(void)pthread_mutex_unlock(&latest->lock);
	return rc == HYDRO_OK ? rc : hd_error_set(err, rc, "more than %u listeners to latest values", HD_LATEST_LISTENERS_MAX);
}

void hd_latest_unlisten(struct hd_latest *latest, hd_latest_fn fn, void *arg)
{
	(void)pthread_mutex_lock(&latest->lock);
	for (uint32_t i = 0; i < HD_LATEST_LISTENERS_MAX; i++)
		if (latest->listeners[i].fn == fn && latest->listeners[i].arg == arg)
			latest->listeners[i].fn = NULL;
	(void)pthread_mutex_unlock(&latest->lock);
}
