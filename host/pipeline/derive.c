/* SPDX-License-Identifier: MIT */
#include "pipeline/derive.h"

#include "base/array.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/thread.h"
#include "journal/journal.h"
#include "model/names.h"
#include "model/points.h"
#include "pipeline/pipeline.h"

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define READER "derive"
#define WAIT_MS 500
#define ROUND_SAMPLES 512u
#define CURSOR_EVERY_NS HD_NS_PER_S

/* A metric of a source, and what it is called at a derived point. */
struct edge {
	uint32_t source, metric;
	uint32_t point, as;
};

struct hd_derive {
	struct hd_derive_config config;
	struct hd_points *points;
	char *cursor_path;
	atomic_bool stale, stopping;
	pthread_t thread;
	bool started;
	struct edge *edges; /* by source */
	uint32_t count, capacity;
	_Atomic uint64_t since; /* highest LSN when the first derived point was made; 0 = none since the start */
	pthread_mutex_t lock; /* guards: under_way */
	pthread_cond_t done;
	uint32_t under_way;
	pthread_mutex_t wake_lock; /* guards: nothing but the wait for stale or stopping */
	pthread_cond_t wake;
};

/* ---- options ---- */

/* "<uuid>/metric". */
static int parse_source(struct hd_points *points, const cJSON *item, uint32_t *ret_point, char ret_metric[64], struct hydro_error *err)
{
	struct hd_uuid id;
	char text[HD_UUID_TEXT];
	const char *value = cJSON_GetStringValue(item), *slash = value ? strchr(value, '/') : NULL;
	if (!slash || (size_t)(slash - value) != HD_UUID_TEXT - 1 || slash[1] == '\0' || strlen(slash + 1) >= 64)
		return hd_error_set(err, HYDRO_E_INVALID, "options: sources.%.60s: \"<id of a point>/<metric>\" is wanted", item->string);
	(void)snprintf(text, sizeof text, "%.*s", (int)(slash - value), value);
	if (!hd_uuid_parse(text, &id))
		return hd_error_set(err, HYDRO_E_INVALID, "options: sources.%.60s: %s is no id of a point", item->string, text);
	*ret_point = hd_points_find(points, &id);
	(void)snprintf(ret_metric, 64, "%s", slash + 1);
	return *ret_point != HD_POINT_NONE ? HYDRO_OK : hd_error_set(err, HYDRO_E_INVALID, "options: sources.%.60s: there is no point %s", item->string, text);
}

static bool is_derived(const struct hd_point *point)
{
	return strcmp(hd_point_provider(point), HD_DERIVE_PROVIDER) == 0;
}

static const cJSON *sources_of(const cJSON *options)
{
	const cJSON *sources = cJSON_GetObjectItemCaseSensitive(options, "sources");
	return cJSON_IsObject(sources) ? sources : NULL;
}

int hd_derive_check(struct hd_points *points, const char *options, struct hydro_error *err)
{
	cJSON *json = cJSON_Parse(options);
	const cJSON *sources = sources_of(json), *item;
	int count = sources ? cJSON_GetArraySize(sources) : 0;
	int rc = HYDRO_OK;
	if (count < 1 || count > (int)HD_DERIVE_SOURCES_MAX)
		rc = hd_error_set(err, HYDRO_E_INVALID, "options: a derived point has `sources`: 1 to %u of metric = \"<id of a point>/<metric>\"", HD_DERIVE_SOURCES_MAX);
	cJSON_ArrayForEach(item, json)
		if (rc == HYDRO_OK && strcmp(item->string, "sources") != 0)
			rc = hd_error_set(err, HYDRO_E_INVALID, "options: `%.60s` is no option of a derived point; it has `sources` alone", item->string);
	cJSON_ArrayForEach(item, sources)
	{
		char metric[64];
		uint32_t source = HD_POINT_NONE;
		rc = rc == HYDRO_OK ? parse_source(points, item, &source, metric, err) : rc;
		HD_CLEANUP(hd_cleanup_point) const struct hd_point *point = rc == HYDRO_OK ? hd_points_get(points, source) : NULL;
		if (point && is_derived(point))
			rc = hd_error_set(err, HYDRO_E_INVALID, "options: sources.%.60s: %s is derived itself", item->string, hd_point_name(point));
	}
	cJSON_Delete(json);
	return rc;
}

/* ---- who is derived from whom ---- */

static bool add_edge(struct hd_derive *d, const struct edge *edge)
{
	if (!HD_RESERVE(d->edges, d->capacity, d->count, 1))
		return false;
	d->edges[d->count++] = *edge;
	return true;
}

/* What is wrong with one was refused when it was made; a source that is gone since gives nothing. */
static void add_point(struct hd_derive *d, const struct hd_point *point)
{
	cJSON *json = cJSON_Parse(hd_point_options(point));
	const cJSON *sources = sources_of(json), *item;
	cJSON_ArrayForEach(item, sources)
	{
		struct edge edge = {.point = point->index};
		char metric[64];
		if (parse_source(d->points, item, &edge.source, metric, NULL) != HYDRO_OK ||
		    hd_names_intern(d->config.names, HD_NAME_METRIC, metric, &edge.metric, NULL) != HYDRO_OK ||
		    hd_names_intern(d->config.names, HD_NAME_METRIC, item->string, &edge.as, NULL) != HYDRO_OK || !add_edge(d, &edge))
			if (d->config.event)
				d->config.event(d->config.event_arg, HD_EVENT_WARN, "derived_source", hd_point_name(point));
	}
	cJSON_Delete(json);
}

static int by_source(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;
	if (x->source != y->source)
		return x->source < y->source ? -1 : 1;
	return x->point < y->point ? -1 : x->point > y->point;
}

static void find_all(struct hd_derive *d)
{
	d->count = 0;
	for (uint32_t i = 0; i < hd_points_count(d->points); i++) {
		HD_CLEANUP(hd_cleanup_point) const struct hd_point *point = hd_points_get(d->points, i);
		if (point && is_derived(point))
			add_point(d, point);
	}
	if (d->count)
		qsort(d->edges, d->count, sizeof *d->edges, by_source);
}

static void refresh(struct hd_derive *d)
{
	if (atomic_exchange(&d->stale, false))
		find_all(d);
}

/* ---- passing on ---- */

struct passed {
	struct hd_derive *derive;
	uint32_t point, count;
	hydro_raw raws[HD_DERIVE_SOURCES_MAX];
};

static void finish(void *arg, uint32_t accepted, uint32_t dropped)
{
	struct hd_derive *d = arg;
	(void)accepted, (void)dropped;
	(void)pthread_mutex_lock(&d->lock);
	if (--d->under_way == 0)
		(void)pthread_cond_signal(&d->done);
	(void)pthread_mutex_unlock(&d->lock);
}

static void feed_job(void *arg, struct hd_worker *w)
{
	struct passed *p = arg;
	struct hd_derive *d = p->derive;
	struct hd_feed how = {.mode = HD_FEED_LIVE, .synced = finish, .arg = d};
	struct hydro_error err = {.struct_size = sizeof err};
	if (hd_pipeline_feed(w, p->point, p->raws, p->count, &how, &err) != HYDRO_OK) {
		if (d->config.event)
			d->config.event(d->config.event_arg, HD_EVENT_WARN, "derived_refused", err.text);
		finish(d, 0, 0);
	}
	free(p);
}

static uint32_t first_edge(const struct hd_derive *d, uint32_t source)
{
	uint32_t low = 0, high = d->count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (d->edges[middle].source < source)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void add_raw(struct passed *p, const struct hd_sample *sample, const struct edge *edge)
{
	for (uint32_t i = 0; i < sample->value_count && p->count < HD_DERIVE_SOURCES_MAX; i++)
		if (sample->values[i].metric == edge->metric)
			p->raws[p->count++] = (hydro_raw){.ts_ms = sample->ts_ms, .value = sample->values[i].value, .metric = edge->as,
							  .flags = sample->values[i].quality > 0 ? 0 : HYDRO_RAW_STATUS};
}

static bool pass_on(struct hd_derive *d, struct passed *p)
{
	(void)pthread_mutex_lock(&d->lock);
	d->under_way++;
	(void)pthread_mutex_unlock(&d->lock);
	if (hd_pipeline_post_wait(d->config.pipeline, hd_pipeline_worker_of(d->config.pipeline, p->point), feed_job, p))
		return true;
	finish(d, 0, 0); /* draining: the cursor stays before it */
	free(p);
	atomic_store(&d->stopping, true);
	return false;
}

uint32_t hd_derive_take(struct hd_derive *d, const struct hd_sample *sample)
{
	uint32_t passed = 0;
	refresh(d);
	if (sample->bits & (HD_SAMPLE_CLOCK | HD_SAMPLE_UNPROCESSED | HD_SAMPLE_HELD) || !sample->value_count)
		return 0;
	for (uint32_t i = first_edge(d, sample->point); i < d->count && d->edges[i].source == sample->point;) {
		uint32_t point = d->edges[i].point;
		struct passed *p = calloc(1, sizeof *p);
		if (!p)
			return passed;
		*p = (struct passed){.derive = d, .point = point};
		for (; i < d->count && d->edges[i].source == sample->point && d->edges[i].point == point; i++)
			add_raw(p, sample, &d->edges[i]);
		if (!p->count)
			free(p);
		else
			passed += pass_on(d, p);
	}
	return passed;
}

/* ---- following the journal ---- */

static uint64_t read_cursor(const struct hd_derive *d)
{
	struct hd_buf text = {0};
	uint64_t lsn = 0;
	if (hd_fs_read(d->cursor_path, 64, &text, NULL) == HYDRO_OK && hd_buf_add_char(&text, '\0'))
		lsn = strtoull(text.data, NULL, 10);
	hd_buf_done(&text);
	return lsn;
}

static void write_cursor(struct hd_derive *d, uint64_t lsn)
{
	char text[32];
	struct hydro_error err = {.struct_size = sizeof err};
	int len = snprintf(text, sizeof text, "%llu\n", (unsigned long long)lsn);
	if (hd_fs_write_atomic(d->cursor_path, text, (size_t)len, 0600, &err) != HYDRO_OK && d->config.event)
		d->config.event(d->config.event_arg, HD_EVENT_WARN, "derived_cursor", err.text);
}

/* From the cursor on; without one from the first point's making; when it is gone from the journal, from now on. */
static int open_reader(struct hd_derive *d, struct hd_journal_reader **ret, uint64_t *ret_cursor, struct hydro_error *err)
{
	struct hd_journal_status status;
	hd_journal_status(d->config.journal, &status);
	uint64_t cursor = read_cursor(d), end = status.synced_lsn;
	cursor = cursor ? cursor : atomic_load(&d->since);
	int rc = HYDRO_E_STALE;
	if (cursor && cursor <= end)
		rc = hd_journal_reader_open(d->config.journal, READER, 0, cursor + 1, ret, err);
	if (rc == HYDRO_E_STALE) {
		if (cursor && d->config.event)
			d->config.event(d->config.event_arg, HD_EVENT_WARN, "derived_gap", "derived points go on from now: the journal no longer has what came before");
		cursor = end;
		rc = hd_journal_reader_open(d->config.journal, READER, 0, cursor + 1, ret, err);
	}
	*ret_cursor = cursor;
	return rc;
}

/* Until all that was passed on is on disk. */
static void wait_synced(struct hd_derive *d)
{
	(void)pthread_mutex_lock(&d->lock);
	while (d->under_way)
		(void)pthread_cond_wait(&d->done, &d->lock);
	(void)pthread_mutex_unlock(&d->lock);
}

static int one_round(struct hd_derive *d, struct hd_journal_reader *reader, uint64_t *cursor, struct hydro_error *err)
{
	struct hd_sample sample;
	uint64_t lsn = *cursor;
	int rc = HYDRO_OK;
	for (uint32_t i = 0; i < ROUND_SAMPLES && rc == HYDRO_OK && !atomic_load(&d->stopping); i++) {
		uint64_t at;
		rc = hd_journal_reader_next(reader, &sample, &at, err);
		if (rc == HYDRO_E_CORRUPT)
			rc = HYDRO_OK; /* set aside and reported by the journal */
		else if (rc == HYDRO_OK) {
			(void)hd_derive_take(d, &sample);
			lsn = at;
		}
	}
	wait_synced(d);
	if (!atomic_load(&d->stopping))
		*cursor = lsn;
	return rc == HYDRO_E_AGAIN ? HYDRO_OK : rc;
}

static void follow(struct hd_derive *d)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_journal_reader *reader = NULL;
	uint64_t cursor = 0, written = 0;
	int64_t written_ns = 0;
	int rc = open_reader(d, &reader, &cursor, &err);
	while (rc == HYDRO_OK && !atomic_load(&d->stopping) && d->count) {
		rc = one_round(d, reader, &cursor, &err);
		int64_t now = hd_clock_mono_ns();
		if (cursor != written && now - written_ns > CURSOR_EVERY_NS) {
			write_cursor(d, cursor);
			hd_journal_reader_release(reader, cursor);
			written = cursor;
			written_ns = now;
		}
		if (rc == HYDRO_OK && !atomic_load(&d->stopping))
			(void)hd_journal_reader_wait(reader, WAIT_MS);
		refresh(d);
	}
	if (rc != HYDRO_OK && d->config.event)
		d->config.event(d->config.event_arg, HD_EVENT_ERROR, "derived_stopped", err.text);
	if (cursor != written)
		write_cursor(d, cursor);
	hd_journal_reader_close(&reader);
	if (!d->count) {
		(void)hd_journal_reader_forget(d->config.journal, READER, NULL);
		(void)remove(d->cursor_path);
	}
}

static void *derive_main(void *arg)
{
	struct hd_derive *d = arg;
	while (!atomic_load(&d->stopping)) {
		refresh(d);
		if (d->count)
			follow(d);
		(void)pthread_mutex_lock(&d->wake_lock);
		if (!atomic_load(&d->stopping) && !atomic_load(&d->stale) && !d->count)
			(void)pthread_cond_wait(&d->wake, &d->wake_lock);
		(void)pthread_mutex_unlock(&d->wake_lock);
		if (d->count && !atomic_load(&d->stopping)) { /* the journal could not be read: not at once again */
			const struct timespec nap = {1, 0};
			(void)nanosleep(&nap, NULL);
		}
	}
	return NULL;
}

/* ---- life ---- */

static void wake(struct hd_derive *d)
{
	(void)pthread_mutex_lock(&d->wake_lock);
	(void)pthread_cond_signal(&d->wake);
	(void)pthread_mutex_unlock(&d->wake_lock);
}

static void point_changed(void *arg, const struct hd_point *old, const struct hd_point *now)
{
	struct hd_derive *d = arg;
	if (!is_derived(now) && !(old && is_derived(old)))
		return;
	if (d->config.journal && !atomic_load(&d->since)) {
		struct hd_journal_status status;
		hd_journal_status(d->config.journal, &status);
		atomic_store(&d->since, status.synced_lsn);
	}
	atomic_store(&d->stale, true);
	wake(d);
}

int hd_derive_new(struct hd_points *points, struct hd_derive **ret, struct hydro_error *err)
{
	struct hd_derive *d = calloc(1, sizeof *d);
	if (!d)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for derived points");
	d->points = points;
	(void)pthread_mutex_init(&d->lock, NULL);
	(void)pthread_cond_init(&d->done, NULL);
	(void)pthread_mutex_init(&d->wake_lock, NULL);
	(void)pthread_cond_init(&d->wake, NULL);
	atomic_store(&d->stale, true);
	hd_points_watch(points, point_changed, d);
	*ret = d;
	return HYDRO_OK;
}

int hd_derive_start(struct hd_derive *d, const struct hd_derive_config *config, struct hydro_error *err)
{
	d->config = *config;
	d->cursor_path = config->cursor_path ? strdup(config->cursor_path) : NULL;
	if (!config->journal)
		return HYDRO_OK;
	if (!d->cursor_path)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for derived points");
	int rc = hd_thread_start(&d->thread, HD_ROLE_DELIVERY, "derive", derive_main, d, err);
	d->started = rc == HYDRO_OK;
	return rc;
}

void hd_derive_stop(struct hd_derive *d)
{
	atomic_store(&d->stopping, true);
	wake(d);
	if (d->started)
		(void)pthread_join(d->thread, NULL);
	d->started = false;
	hd_points_unwatch(d->points, point_changed, d);
}

void hd_derive_free(struct hd_derive **derive)
{
	struct hd_derive *d = HD_STEAL(*derive);
	if (!d)
		return;
	free(d->edges);
	free(d->cursor_path);
	(void)pthread_mutex_destroy(&d->lock);
	(void)pthread_cond_destroy(&d->done);
	(void)pthread_mutex_destroy(&d->wake_lock);
	(void)pthread_cond_destroy(&d->wake);
	free(d);
}
