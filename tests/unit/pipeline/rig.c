/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void give_synced(struct rig *rig, struct hd_batch *batch)
{
	(void)pthread_mutex_lock(&rig->one_at_a_time);
	hd_pipeline_synced(rig->pipeline, batch);
	(void)pthread_mutex_unlock(&rig->one_at_a_time);
}

static int append(void *arg, struct hd_batch *batch, struct hydro_error *err)
{
	struct rig *rig = arg;
	(void)pthread_mutex_lock(&rig->lock);
	if (rig->refuse) {
		rig->refuse--;
		(void)pthread_cond_broadcast(&rig->changed);
		(void)pthread_mutex_unlock(&rig->lock);
		return hd_error_set(err, HYDRO_E_AGAIN, "full");
	}
	batch->first_lsn = rig->stored->count + 1;
	for (uint32_t i = 0; i < batch->count; i++)
		HD_ASSERT(hd_batch_add(rig->stored, &batch->samples[i]));
	bool back = rig->hold_back;
	if (back)
		rig->waiting[rig->waiting_count++] = batch;
	(void)pthread_cond_broadcast(&rig->changed);
	(void)pthread_mutex_unlock(&rig->lock);
	if (!back)
		give_synced(rig, batch);
	return HYDRO_OK;
}

void rig_sync(struct rig *rig)
{
	(void)pthread_mutex_lock(&rig->lock);
	struct hd_batch *waiting[64];
	unsigned count = rig->waiting_count;
	memcpy(waiting, rig->waiting, sizeof waiting);
	rig->waiting_count = 0;
	rig->hold_back = false;
	(void)pthread_mutex_unlock(&rig->lock);
	for (unsigned i = 0; i < count; i++)
		give_synced(rig, waiting[i]);
}

static int history(void *arg, uint32_t point, int64_t from_ms, int64_t to_ms, hd_sample_row_fn row, void *row_arg, struct hydro_error *err)
{
	struct rig *rig = arg;
	(void)err;
	(void)pthread_mutex_lock(&rig->lock);
	uint32_t count = rig->stored->count; /* what is stored stays where it is, while others add to it */
	(void)pthread_mutex_unlock(&rig->lock);
	for (uint32_t i = 0; i < count; i++) {
		const struct hd_sample *sample = &rig->stored->samples[i];
		if (sample->point != point || sample->ts_ms < from_ms || sample->ts_ms >= to_ms)
			continue;
		int rc = row(row_arg, sample, i + 1);
		if (rc != HYDRO_OK)
			return rc;
	}
	return HYDRO_OK;
}

static int replay(void *arg, uint64_t from_lsn, hd_sample_row_fn row, void *row_arg, struct hydro_error *err)
{
	struct rig *rig = arg;
	(void)err;
	for (uint64_t lsn = HD_MAX(from_lsn, rig->trimmed + 1); lsn <= rig->stored->count; lsn++) {
		int rc = row(row_arg, &rig->stored->samples[lsn - 1], lsn);
		if (rc != HYDRO_OK)
			return rc;
	}
	return HYDRO_OK;
}

static void event(void *arg, uint32_t level, const char *name, uint32_t point, const char *text)
{
	struct rig *rig = arg;
	(void)level, (void)point, (void)text;
	(void)pthread_mutex_lock(&rig->lock);
	(void)snprintf(rig->last_event, sizeof rig->last_event, "%s", name);
	rig->events++;
	(void)pthread_mutex_unlock(&rig->lock);
}

static void add_points(struct rig *rig, uint32_t count, const char *pipeline_name)
{
	for (uint32_t i = 0; i < count; i++) {
		char name[32];
		(void)snprintf(name, sizeof name, "p%u", i);
		struct hd_point_spec spec = {.index = HD_POINT_NONE, .id = hd_uuid_new(), .version = 1, .bits = HD_POINT_ACTIVE, .period_s = 3600,
					     .join_ms = 30000, .name = name, .provider = "twin", .pipeline = pipeline_name, .options = "{}", .params = "{}"};
		uint32_t index;
		HD_ASSERT(hd_points_put(rig->points, &spec, &index, NULL) == HYDRO_OK && index == i);
	}
}

void rig_open(struct rig *rig, uint32_t points, const char *pipeline_name, const char *state_dir)
{
	memset(rig, 0, sizeof *rig);
	(void)pthread_mutex_init(&rig->lock, NULL);
	(void)pthread_mutex_init(&rig->one_at_a_time, NULL);
	(void)pthread_cond_init(&rig->changed, NULL);
	HD_ASSERT(hd_batch_new(65536, 65536 * 256, &rig->stored) == HYDRO_OK);
	HD_ASSERT(hd_names_open(NULL, &rig->names, NULL) == HYDRO_OK);
	HD_ASSERT(hd_points_new(&rig->points) == HYDRO_OK);
	add_points(rig, points, pipeline_name);
	/* All times of the tests lie before now. */
	rig->config = (struct hd_pipeline_config){.workers = 2, .names = rig->names, .points = rig->points, .state_dir = state_dir,
						  .append = append, .append_arg = rig, .history = history, .history_arg = rig, .replay = replay,
						  .replay_arg = rig, .event = event, .event_arg = rig};
	struct hydro_error err = {.struct_size = sizeof err};
	int rc = hd_pipeline_open(&rig->config, &rig->pipeline, &err);
	cr_assert_eq(rc, HYDRO_OK);
}

void rig_stop(struct rig *rig)
{
	hd_pipeline_close(&rig->pipeline);
}

void rig_restart(struct rig *rig)
{
	struct hydro_error err = {.struct_size = sizeof err};
	int rc = hd_pipeline_open(&rig->config, &rig->pipeline, &err);
	if (rc != HYDRO_OK)
		(void)fprintf(stderr, "open: %s\n", err.text);
	cr_assert_eq(rc, HYDRO_OK);
}

void rig_close(struct rig *rig)
{
	rig_sync(rig);
	hd_pipeline_close(&rig->pipeline);
	hd_points_free(&rig->points);
	hd_names_close(&rig->names);
	hd_batch_free(&rig->stored);
	(void)pthread_mutex_destroy(&rig->lock);
	(void)pthread_mutex_destroy(&rig->one_at_a_time);
	(void)pthread_cond_destroy(&rig->changed);
}

/* ---- specs ---- */

void rig_step(struct hd_spec *spec, const char *kind, const char *types, ...)
{
	uint32_t count = (uint32_t)strlen(types), line = (spec->step_count + 1) * 10;
	struct hd_spec_arg *args = hd_spec_alloc(spec, (count + 1) * sizeof *args);
	va_list ap;
	va_start(ap, types);
	for (uint32_t i = 0; i < count; i++) {
		args[i].key = va_arg(ap, const char *);
		args[i].count = 1;
		if (types[i] == 's') {
			args[i].type = HD_ARG_TEXT;
			args[i].text = va_arg(ap, const char *);
		} else if (types[i] == 'b') {
			args[i].type = HD_ARG_BOOL;
			args[i].number = va_arg(ap, int);
		} else {
			args[i].type = HD_ARG_NUMBER;
			args[i].number = va_arg(ap, double);
		}
	}
	va_end(ap);
	struct hd_spec_step step = {.kind = kind, .id = "", .line = line, .arg_count = count, .args = args};
	HD_ASSERT(hd_spec_add(spec, &step, NULL) == HYDRO_OK);
}

void rig_step_texts(struct hd_spec *spec, const char *kind, const char *first, const char *second)
{
	struct hd_spec_arg *arg = hd_spec_alloc(spec, sizeof *arg);
	const char **texts = hd_spec_alloc(spec, 2 * sizeof *texts);
	texts[0] = first;
	texts[1] = second;
	*arg = (struct hd_spec_arg){.key = "", .type = HD_ARG_TEXTS, .count = second ? 2 : 1, .texts = texts};
	struct hd_spec_step step = {.kind = kind, .id = "", .line = 7, .arg_count = 1, .args = arg};
	HD_ASSERT(hd_spec_add(spec, &step, NULL) == HYDRO_OK);
}

void rig_well(struct hd_spec *spec)
{
	spec->script = "well@0011aabb";
	rig_step(spec, "counter", "ssnnn", "from", "pulses", "to", "total", "litres_per_pulse", 100.0, "offset", 1000.0, "max_per_hour", 200.0);
	rig_step(spec, "rate", "sss", "from", "total", "to", "flow", "max_gap", "3h");
	rig_step(spec, "depth", "ssn", "from", "level", "to", "water_table", "sensor_depth", 60.0);
	rig_step(spec, "range", "snnn", "of", "flow", "min", 0.0, "max", 20.0, "tolerance", 0.1);
	rig_step(spec, "range", "snn", "of", "level", "min", 0.0, "max", 50.0);
	rig_step(spec, "frozen", "sn", "of", "level", "readings", 4.0);
}

struct hd_plan *rig_compile(struct rig *rig, struct hd_spec *spec)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_plan *plan = NULL;
	uint32_t generation = 0;
	(void)hd_names_intern(rig->names, HD_NAME_GENERATION, spec->script ? spec->script : "test@0", &generation, NULL);
	int rc = hd_plan_compile(hd_pipeline_shapes(rig->pipeline), spec, generation, NULL, &plan, NULL, &err);
	if (rc != HYDRO_OK)
		(void)fprintf(stderr, "compile: %s\n", err.text);
	cr_assert_eq(rc, HYDRO_OK);
	return plan;
}

struct hd_swap_report rig_plan(struct rig *rig, struct hd_spec *spec, uint32_t count)
{
	struct hd_plans *plans = NULL;
	HD_ASSERT(hd_plans_new(&plans) == HYDRO_OK);
	for (uint32_t i = 0; i < count; i++)
		HD_ASSERT(hd_plans_put(plans, i, rig_compile(rig, spec)) == HYDRO_OK);
	struct hd_swap_report report;
	struct hydro_error err = {.struct_size = sizeof err};
	cr_assert_eq(hd_pipeline_swap(rig->pipeline, plans, &report, &err), HYDRO_OK);
	return report;
}

/* ---- jobs ---- */

struct call {
	void (*fn)(void *arg, struct hd_worker *w);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool is_done;
};

static void run_call(void *arg, struct hd_worker *w)
{
	struct call *call = arg;
	call->fn(call->arg, w);
	(void)pthread_mutex_lock(&call->lock);
	call->is_done = true;
	(void)pthread_cond_signal(&call->done);
	(void)pthread_mutex_unlock(&call->lock);
}

void rig_on_worker(struct rig *rig, uint32_t point, void (*fn)(void *arg, struct hd_worker *w), void *arg)
{
	struct call call = {.fn = fn, .arg = arg, .lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};
	HD_ASSERT(hd_pipeline_post_wait(rig->pipeline, hd_pipeline_worker_of(rig->pipeline, point), run_call, &call));
	(void)pthread_mutex_lock(&call.lock);
	while (!call.is_done)
		(void)pthread_cond_wait(&call.done, &call.lock);
	(void)pthread_mutex_unlock(&call.lock);
}

struct feed {
	struct rig *rig;
	uint32_t point, count, mode;
	const hydro_raw *raws;
	int rc;
};

static void acked(void *arg, uint32_t accepted, uint32_t dropped)
{
	struct rig *rig = arg;
	(void)pthread_mutex_lock(&rig->lock);
	rig->acked++;
	rig->acked_accepted += accepted;
	rig->acked_dropped += dropped;
	(void)pthread_cond_broadcast(&rig->changed);
	(void)pthread_mutex_unlock(&rig->lock);
}

static void feed_job(void *arg, struct hd_worker *w)
{
	struct feed *feed = arg;
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_feed how = {.mode = feed->mode, .source = 1, .received_ns = 1, .synced = acked, .arg = feed->rig};
	feed->rc = hd_pipeline_feed(w, feed->point, feed->raws, feed->count, &how, &err);
}

int rig_feed(struct rig *rig, uint32_t point, const hydro_raw *raws, uint32_t count, uint32_t mode)
{
	struct feed feed = {.rig = rig, .point = point, .count = count, .mode = mode, .raws = raws};
	rig_on_worker(rig, point, feed_job, &feed);
	return feed.rc;
}

int rig_feed1(struct rig *rig, uint32_t point, int64_t ts_ms, uint32_t metric, double value)
{
	hydro_raw raw = {.ts_ms = ts_ms, .metric = metric, .value = value};
	return rig_feed(rig, point, &raw, 1, HD_FEED_LIVE);
}

static void settle_job(void *arg, struct hd_worker *w)
{
	(void)arg;
	(void)hd_worker_flush(w, NULL);
	(void)hd_worker_redo(w);
	(void)hd_worker_flush(w, NULL);
}

void rig_settle(struct rig *rig, uint32_t point)
{
	rig_on_worker(rig, point, settle_job, NULL);
}

/* ---- what came of it ---- */

const struct hd_sample *rig_sample(struct rig *rig, uint32_t point, int64_t ts_ms)
{
	const struct hd_sample *best = NULL;
	for (uint32_t i = 0; i < rig->stored->count; i++) {
		const struct hd_sample *sample = &rig->stored->samples[i];
		if (sample->point == point && sample->ts_ms == ts_ms && (!best || sample->rev > best->rev))
			best = sample;
	}
	return best;
}

uint32_t rig_count(struct rig *rig, uint32_t point, int64_t ts_ms)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < rig->stored->count; i++)
		count += rig->stored->samples[i].point == point && rig->stored->samples[i].ts_ms == ts_ms;
	return count;
}

double rig_value(const struct hd_sample *sample, uint32_t metric)
{
	for (uint32_t i = 0; sample && i < sample->value_count; i++)
		if (sample->values[i].metric == metric)
			return sample->values[i].value;
	return (double)NAN;
}

bool rig_has_flag(const struct hd_sample *sample, uint32_t metric, uint32_t flag)
{
	for (uint32_t i = 0; sample && i < sample->flag_count; i++)
		if (sample->flags[i].metric == metric && sample->flags[i].flag == flag)
			return true;
	return false;
}
