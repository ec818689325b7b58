/* SPDX-License-Identifier: MIT */
#include "pipeline/inner.h"

#include "base/array.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_WORKERS 2u
#define DEFAULT_QUEUE 1024u
#define DEFAULT_BATCH 2048u
#define BATCH_MIN 256u
#define DEFAULT_AHEAD_MS (5 * 60 * 1000)
#define DEFAULT_WARMUP_MS (48 * 3600 * 1000)
#define DEFAULT_CHECKPOINT_MS 600000
#define DEFAULT_REPLAY_RECORDS 1000000
#define STOP_NS (10 * HD_NS_PER_S)

void hd_pipeline_event(const struct hd_pipeline *p, uint32_t level, const char *event, uint32_t point, const char *fmt, ...)
{
	if (!p->config.event)
		return;
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	p->config.event(p->config.event_arg, level, event, point, text);
}

/* ---- open ---- */

static int take_config(struct hd_pipeline *p, const struct hd_pipeline_config *given, struct hydro_error *err)
{
	struct hd_pipeline_config *c = &p->config;
	*c = *given;
	c->workers = c->workers ? c->workers : DEFAULT_WORKERS;
	c->queue_jobs = c->queue_jobs ? c->queue_jobs : DEFAULT_QUEUE;
	c->batch_samples = c->batch_samples ? c->batch_samples : DEFAULT_BATCH;
	c->ahead_ms = c->ahead_ms ? c->ahead_ms : DEFAULT_AHEAD_MS;
	c->redo_warmup_ms = c->redo_warmup_ms ? c->redo_warmup_ms : DEFAULT_WARMUP_MS;
	c->replay_records = c->replay_records ? c->replay_records : DEFAULT_REPLAY_RECORDS;
	c->checkpoint_ms = c->checkpoint_ms ? c->checkpoint_ms : DEFAULT_CHECKPOINT_MS;
	if (c->workers > HD_WORKERS_MAX)
		return hd_error_set(err, HYDRO_E_INVALID, "workers: %u, at most %u", c->workers, HD_WORKERS_MAX);
	if (c->batch_samples < BATCH_MIN || c->batch_samples > HD_BATCH_SAMPLES_MAX)
		return hd_error_set(err, HYDRO_E_INVALID, "batch_samples: %u, must be %u … %u", c->batch_samples, BATCH_MIN, HD_BATCH_SAMPLES_MAX);
	if (!c->append || !c->names || !c->points)
		return hd_error_set(err, HYDRO_E_INVALID, "a pipeline needs a journal, names and points");
	return HYDRO_OK;
}

static int intern_rules(struct hd_pipeline *p, struct hydro_error *err)
{
	const struct {
		const char *name;
		uint32_t *number;
	} rules[] = {{"intake/clock", &p->rule_clock}, {"intake/status_code", &p->rule_status}, {"intake/held", &p->rule_held},
		     {"intake/unprocessed", &p->rule_unprocessed}, {"intake/manual", &p->rule_manual}};
	int rc = HYDRO_OK;
	for (size_t i = 0; i < HD_ARRAY_LEN(rules) && rc == HYDRO_OK; i++)
		rc = hd_names_intern(p->config.names, HD_NAME_RULE, rules[i].name, rules[i].number, err);
	return rc;
}

static int make_pass(struct hd_pipeline *p, struct hydro_error *err)
{
	const struct hd_spec nothing = {.script = ""};
	struct hd_plan *plan = NULL;
	int rc = hd_plan_compile(p->shapes, &nothing, 0, NULL, &plan, NULL, err);
	if (rc == HYDRO_OK) {
		hd_shape_ref(plan->shape);
		p->pass = plan->shape;
		hd_plan_free(&plan);
	}
	return rc;
}

static int make_worker(struct hd_pipeline *p, uint32_t index, struct hydro_error *err)
{
	struct hd_worker *w = &p->workers[index];
	w->pipeline = p;
	w->index = index;
	w->job_capacity = p->config.queue_jobs;
	pthread_condattr_t attr;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->work, &attr);
	(void)pthread_cond_init(&w->room, &attr);
	(void)pthread_condattr_destroy(&attr);
	w->jobs = calloc(w->job_capacity, sizeof *w->jobs);
	w->run = calloc(1, sizeof *w->run);
	w->undo = calloc(HD_UNDO_SLOTS, sizeof *w->undo);
	if (!w->jobs || !w->run || !w->undo || hd_intake_new(&w->intake) != HYDRO_OK || hd_slab_new(&w->slab) != HYDRO_OK)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a worker");
	w->run->lua = (struct hd_run_lua){.call = p->config.call_lua ? hd_worker_lua : NULL, .arg = w};
	return HYDRO_OK;
}

/* [any thread that changes points] */
static void point_changed(void *arg, const struct hd_point *old, const struct hd_point *now)
{
	struct hd_pipeline *p = HD_CAST(struct hd_pipeline, HD_PIPELINE_MAGIC, arg);
	if (!old)
		return;
	struct hd_worker *w = &p->workers[hd_pipeline_worker_of(p, now->index)];
	(void)pthread_mutex_lock(&w->lock);
	if (HD_RESERVE(w->stale_points, w->stale_capacity, w->stale_count, 1))
		w->stale_points[w->stale_count++] = now->index;
	else
		hd_pipeline_event(p, HD_EVENT_ERROR, "no_memory", now->index, "a changed configuration is not seen before the next start");
	atomic_store(&w->stale, 1);
	(void)pthread_cond_signal(&w->work);
	(void)pthread_mutex_unlock(&w->lock);
}

static int open_parts(struct hd_pipeline *p, struct hydro_error *err)
{
	int rc = intern_rules(p, err);
	if (rc != HYDRO_OK)
		return rc;
	if (hd_shapes_new(p->config.names, &p->shapes) != HYDRO_OK || hd_latest_new(&p->latest) != HYDRO_OK)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a pipeline");
	rc = make_pass(p, err);
	p->workers = calloc(p->config.workers, sizeof *p->workers);
	if (rc == HYDRO_OK && !p->workers)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a pipeline");
	for (uint32_t i = 0; i < p->config.workers && rc == HYDRO_OK; i++) {
		p->worker_count++;
		rc = make_worker(p, i, err);
	}
	if (rc == HYDRO_OK)
		rc = hd_keeper_open(p, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_points_watch(p->config.points, point_changed, p);
	for (uint32_t i = 0; i < p->worker_count && rc == HYDRO_OK; i++)
		rc = hd_worker_start(&p->workers[i], err);
	return rc;
}

int hd_pipeline_open(const struct hd_pipeline_config *config, struct hd_pipeline **ret, struct hydro_error *err)
{
	struct hd_pipeline *p = calloc(1, sizeof *p);
	if (!p)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a pipeline");
	p->magic = HD_PIPELINE_MAGIC;
	(void)pthread_mutex_init(&p->pages_lock, NULL);
	(void)pthread_mutex_init(&p->swap_lock, NULL);
	int rc = take_config(p, config, err);
	if (rc == HYDRO_OK && config->state_dir && !(p->config.state_dir = p->state_dir = strdup(config->state_dir)))
		rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory for a pipeline");
	if (rc == HYDRO_OK)
		rc = open_parts(p, err);
	if (rc != HYDRO_OK) {
		hd_pipeline_close(&p);
		return rc;
	}
	*ret = p;
	return HYDRO_OK;
}

/* ---- end ---- */

int hd_pipeline_drain(struct hd_pipeline *p, int64_t timeout_ms, struct hydro_error *err)
{
	int64_t deadline = hd_clock_real_ns() + timeout_ms * HD_NS_PER_MS;
	for (uint32_t i = 0; i < p->worker_count; i++) {
		(void)pthread_mutex_lock(&p->workers[i].lock);
		p->workers[i].closed = true;
		(void)pthread_cond_broadcast(&p->workers[i].work);
		(void)pthread_cond_broadcast(&p->workers[i].room);
		(void)pthread_mutex_unlock(&p->workers[i].lock);
	}
	int rc = HYDRO_OK;
	for (uint32_t i = 0; i < p->worker_count; i++) {
		struct hd_worker *w = &p->workers[i];
		if (!w->started)
			continue;
		struct timespec until;
		(void)clock_gettime(CLOCK_REALTIME, &until);
		int64_t left = HD_MAX(deadline - hd_clock_real_ns(), 0);
		until.tv_sec += left / HD_NS_PER_S;
		until.tv_nsec += left % HD_NS_PER_S;
		if (until.tv_nsec >= HD_NS_PER_S) {
			until.tv_sec++;
			until.tv_nsec -= HD_NS_PER_S;
		}
		if (pthread_timedjoin_np(w->thread, NULL, &until) != 0) {
			atomic_store(&w->stopping, true); /* what waits for the journal gives up; nothing of it was acknowledged */
			rc = hd_error_set(err, HYDRO_E_TIMEOUT, "worker %u could not hand everything to the journal in time", i);
			(void)pthread_join(w->thread, NULL);
		}
		w->started = false;
	}
	hd_keeper_drain(p, rc != HYDRO_OK);
	return rc;
}

void hd_pipeline_close(struct hd_pipeline **pipeline)
{
	struct hd_pipeline *p = *pipeline;
	if (!p)
		return;
	if (p->config.points)
		hd_points_unwatch(p->config.points, point_changed, p);
	(void)hd_pipeline_drain(p, STOP_NS / HD_NS_PER_MS, NULL);
	hd_keeper_close(p);
	for (uint32_t i = 0; i < HD_PAGES; i++) {
		struct hd_point_block *page = atomic_load(&p->pages[i]);
		for (uint32_t k = 0; page && k < HD_PAGE_POINTS; k++)
			hd_block_done(&p->workers[hd_pipeline_worker_of(p, i * HD_PAGE_POINTS + k)], &page[k]);
		free(page);
	}
	for (uint32_t i = 0; i < p->worker_count; i++)
		hd_worker_done(&p->workers[i]);
	free(p->workers);
	if (p->pass)
		hd_shape_unref(p->pass);
	hd_shapes_free(&p->shapes);
	hd_latest_free(&p->latest);
	(void)pthread_mutex_destroy(&p->pages_lock);
	(void)pthread_mutex_destroy(&p->swap_lock);
	free(p->state_dir);
	free(p);
	*pipeline = NULL;
}

/* ---- questions ---- */

uint32_t hd_pipeline_workers(const struct hd_pipeline *p)
{
	return p->worker_count;
}

uint32_t hd_pipeline_worker_of(const struct hd_pipeline *p, uint32_t point)
{
	return hd_shard_of(point) % p->worker_count; /* a shard of state has one owner */
}

int64_t hd_pipeline_newest(struct hd_pipeline *p, uint32_t point)
{
	struct hd_point_block *block = hd_pipeline_block_find(p, point);
	return block ? __atomic_load_n(&block->newest_ms, __ATOMIC_RELAXED) : 0;
}

struct hd_latest *hd_pipeline_latest(struct hd_pipeline *p)
{
	return p->latest;
}

struct hd_shapes *hd_pipeline_shapes(struct hd_pipeline *p)
{
	return p->shapes;
}

static void add_status(const struct hd_pipeline_status *from, struct hd_pipeline_status *to)
{
	const uint64_t *source = (const uint64_t *)(const void *)from;
	uint64_t *target = (uint64_t *)(void *)to;
	for (size_t i = 0; i < sizeof *to / sizeof *target; i++)
		target[i] += __atomic_load_n(&source[i], __ATOMIC_RELAXED);
}

void hd_pipeline_status(struct hd_pipeline *p, uint32_t worker, struct hd_pipeline_status *ret)
{
	*ret = (struct hd_pipeline_status){0};
	for (uint32_t i = 0; i < p->worker_count; i++)
		if (worker == UINT32_MAX || worker == i)
			add_status(&p->workers[i].count, ret);
	ret->state_bytes = atomic_load_explicit(&p->state_bytes, memory_order_relaxed);
	ret->state_behind = hd_keeper_behind(p);
}

int hd_pipeline_meter_replaced(struct hd_worker *w, uint32_t point, int64_t at_ms, struct hydro_error *err)
{
	struct hd_point_block *block = hd_pipeline_block_find(w->pipeline, point);
	if (!block || !block->shape)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "point number %u has no plan", point);
	if (block->bits & HD_HOT_PENDING)
		hd_worker_execute(w);
	bool counts = false;
	for (uint32_t i = 0; i < block->shape->step_count; i++) {
		const struct hd_step *step = &block->shape->steps[i];
		if (step->kind->run != hd_step_counter.run)
			continue;
		struct hd_counter_state *s = (struct hd_counter_state *)(void *)(hd_block_state(block) + step->state);
		s->bits |= HD_COUNTER_REPLACED;
		counts = true;
	}
	if (!counts)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "point number %u has no counter", point);
	if (at_ms <= block->newest_ms)
		hd_worker_redo_later(w, block, point, at_ms);
	return HYDRO_OK;
}

struct call {
	void (*fn)(void *arg, struct hd_worker *w);
	void *arg;
	pthread_mutex_t lock; /* guards: done */
	pthread_cond_t changed;
	bool done;
};

static void call_job(void *arg, struct hd_worker *w)
{
	struct call *call = arg;
	call->fn(call->arg, w);
	(void)pthread_mutex_lock(&call->lock);
	call->done = true;
	(void)pthread_cond_signal(&call->changed);
	(void)pthread_mutex_unlock(&call->lock);
}

bool hd_pipeline_call(struct hd_pipeline *p, uint32_t point, void (*fn)(void *arg, struct hd_worker *w), void *arg)
{
	struct call call = {.fn = fn, .arg = arg, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	if (!hd_pipeline_post_wait(p, hd_pipeline_worker_of(p, point), call_job, &call))
		return false;
	(void)pthread_mutex_lock(&call.lock);
	while (!call.done)
		(void)pthread_cond_wait(&call.changed, &call.lock);
	(void)pthread_mutex_unlock(&call.lock);
	return true;
}

struct file_spec_job {
	uint32_t point;
	struct hd_file_spec spec;
};

static void file_spec_job(void *arg, struct hd_worker *w)
{
	struct file_spec_job *job = arg;
	struct hd_point_block *block = hd_pipeline_block(w->pipeline, job->point);
	if (block && hd_block_ready(w, block, job->point, NULL) == HYDRO_OK && block->shape)
		job->spec = block->shape->file;
}

int hd_pipeline_file_spec(struct hd_pipeline *p, uint32_t point, struct hd_file_spec *ret, struct hydro_error *err)
{
	struct file_spec_job job = {.point = point};
	if (!hd_pipeline_call(p, point, file_spec_job, &job))
		return hd_error_set(err, HYDRO_E_CONFLICT, "the pipeline is draining");
	if (!job.spec.regulator[0])
		return hd_error_set(err, HYDRO_E_NOTFOUND, "the pipeline of point number %u has no `file` step", point);
	*ret = job.spec;
	return HYDRO_OK;
}
