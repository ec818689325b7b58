/* SPDX-License-Identifier: MIT */
/* A worker's thread, its queue of jobs, its batches. */
#include "pipeline/inner.h"

#include "base/array.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define JOBS_AT_ONCE 64u
#define BATCHES_MAX 64u /* of one worker, under way and free */
#define VALUE_BYTES_PER_SAMPLE 192u
#define SMALL_BATCH 64u /* samples */
#define IDLE_MS 100
#define TRIM_NS (10 * HD_NS_PER_S) /* batches that were free all that time are given up, but for two */
#define WAIT_MS 10 /* for the journal, before asking again */

static void wait_ms(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t ms)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (ms % 1000) * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	(void)pthread_cond_timedwait(cond, lock, &until);
}

/* ---- batches ---- */

static void recycle(struct hd_batch *batch)
{
	struct hd_outgoing *out = batch->owner;
	struct hd_worker *w = out->worker;
	hd_batch_clear(batch);
	out->ack_count = 0;
	(void)pthread_mutex_lock(&w->lock);
	out->next = w->free_batches;
	w->free_batches = out;
	w->free_count++;
	(void)pthread_cond_signal(&w->work);
	(void)pthread_mutex_unlock(&w->lock);
}

static void free_outgoing(struct hd_outgoing *out)
{
	while (out) {
		struct hd_outgoing *next = out->next;
		hd_batch_free(&out->batch);
		free(out->acks);
		free(out);
		out = next;
	}
}

static struct hd_outgoing *make_outgoing(struct hd_worker *w)
{
	uint32_t samples = w->pipeline->config.batch_samples;
	struct hd_outgoing *out = calloc(1, sizeof *out);
	if (!out)
		return NULL;
	/* Room for all rows of a run at their largest is always kept. */
	uint32_t bytes = samples * VALUE_BYTES_PER_SAMPLE + (HD_RUN_ROWS + 1) * HD_BATCH_SAMPLE_BYTES_MAX;
	if (hd_batch_new(samples, bytes, &out->batch) != HYDRO_OK) {
		free(out);
		return NULL;
	}
	out->worker = w;
	out->batch->owner = out;
	out->batch->recycle = recycle;
	return out;
}

/* With the lock held. */
static struct hd_outgoing *take_free(struct hd_worker *w)
{
	struct hd_outgoing *out = w->free_batches;
	if (out) {
		w->free_batches = out->next;
		w->free_count--;
		w->free_least = HD_MIN(w->free_least, w->free_count);
	}
	return out;
}

/* A burst makes batches by the dozen; they are not kept for the next one. */
static void trim_batches(struct hd_worker *w)
{
	int64_t now = hd_clock_real_ns();
	if (now < w->trim_ns)
		return;
	w->trim_ns = now + TRIM_NS;
	struct hd_outgoing *surplus = NULL;
	(void)pthread_mutex_lock(&w->lock);
	for (uint32_t n = w->free_least; n > 2; n--) {
		struct hd_outgoing *out = take_free(w);
		out->next = surplus;
		surplus = out;
		w->batches--;
	}
	w->free_least = w->free_count;
	(void)pthread_mutex_unlock(&w->lock);
	free_outgoing(surplus);
}

/* The next empty batch; waits for one to come back when all are under way. */
static int next_batch(struct hd_worker *w, struct hydro_error *err)
{
	for (bool waited = false; !w->out;) {
		(void)pthread_mutex_lock(&w->lock);
		if (!w->free_batches && w->batches >= BATCHES_MAX && !atomic_load(&w->stopping)) {
			HD_COUNT(w, waits, !waited);
			waited = true;
			wait_ms(&w->work, &w->lock, WAIT_MS);
		}
		struct hd_outgoing *out = take_free(w);
		(void)pthread_mutex_unlock(&w->lock);
		if (!out && w->batches < BATCHES_MAX) {
			out = make_outgoing(w);
			w->batches += out != NULL;
			if (!out && w->batches == 0)
				return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a batch");
		}
		if (!out && atomic_load(&w->stopping))
			return hd_error_set(err, HYDRO_E_CANCELLED, "the pipeline is stopping");
		w->out = out;
	}
	if (w->out->seq != w->seq + 1) {
		w->out->seq = w->seq + 1;
		w->out->next = NULL;
	}
	return HYDRO_OK;
}

bool hd_worker_is_synced(const struct hd_worker *w, uint64_t seq)
{
	return atomic_load_explicit(&w->synced_seq, memory_order_acquire) >= seq;
}

static int append(struct hd_worker *w, struct hydro_error *err)
{
	const struct hd_pipeline_config *config = &w->pipeline->config;
	for (bool first = true;; first = false) {
		int rc = config->append(config->append_arg, w->out->batch, err);
		if (rc == HYDRO_OK) {
			w->seq++;
			w->out = NULL;
			return HYDRO_OK;
		}
		/* The state has moved with this batch: it is kept and tried until it is taken, whatever the reason. */
		if (first) {
			HD_COUNT(w, waits, 1);
			if (rc != HYDRO_E_AGAIN)
				hd_pipeline_event(w->pipeline, HD_EVENT_ERROR, "append_failed", HD_POINT_NONE, "%s", err ? err->text : "the journal refuses");
		}
		if (rc == HYDRO_E_CANCELLED || atomic_load(&w->stopping))
			return rc;
		(void)pthread_mutex_lock(&w->lock);
		wait_ms(&w->work, &w->lock, WAIT_MS);
		(void)pthread_mutex_unlock(&w->lock);
	}
}

int hd_worker_flush(struct hd_worker *w, struct hydro_error *err)
{
	struct hydro_error own = {.struct_size = sizeof own};
	if (w->pending_count)
		hd_worker_execute(w);
	if (!w->out || (!w->out->batch->count && !w->out->ack_count))
		return HYDRO_OK;
	return append(w, err ? err : &own);
}

int hd_worker_wait_synced(struct hd_worker *w, uint64_t seq, struct hydro_error *err)
{
	int rc = hd_worker_flush(w, err);
	HD_COUNT(w, waits, rc == HYDRO_OK && !hd_worker_is_synced(w, seq));
	while (rc == HYDRO_OK && !hd_worker_is_synced(w, seq)) {
		if (atomic_load(&w->stopping))
			return hd_error_set(err, HYDRO_E_CANCELLED, "the pipeline is stopping");
		(void)pthread_mutex_lock(&w->lock);
		if (!hd_worker_is_synced(w, seq))
			wait_ms(&w->work, &w->lock, WAIT_MS);
		(void)pthread_mutex_unlock(&w->lock);
	}
	return rc;
}

int hd_worker_room(struct hd_worker *w, struct hydro_error *err)
{
	if (w->pending_count == HD_RUN_ROWS)
		hd_worker_execute(w);
	for (;;) {
		int rc = w->out ? HYDRO_OK : next_batch(w, err);
		if (rc != HYDRO_OK)
			return rc;
		const struct hd_batch *batch = w->out->batch;
		if (batch->count < batch->capacity && batch->arena_bytes - batch->arena_used >= (w->pending_count + 1) * HD_BATCH_SAMPLE_BYTES_MAX)
			return HYDRO_OK;
		rc = hd_worker_flush(w, err);
		if (rc != HYDRO_OK)
			return rc;
	}
}

void hd_worker_ack(struct hd_worker *w, const struct hd_feed *how, uint32_t accepted, uint32_t dropped)
{
	if (!how->synced)
		return;
	struct hydro_error err = {.struct_size = sizeof err};
	if (!w->out && next_batch(w, &err) != HYDRO_OK)
		return;
	struct hd_outgoing *out = w->out;
	if (!HD_RESERVE(out->acks, out->ack_capacity, out->ack_count, 1)) { /* never acknowledged is never lost: it comes again */
		hd_pipeline_event(w->pipeline, HD_EVENT_ERROR, "no_memory", HD_POINT_NONE, "no memory for an acknowledgement");
		return;
	}
	out->acks[out->ack_count++] = (struct hd_ack){how->synced, how->arg, accepted, dropped};
}

static void raise_lsn(_Atomic uint64_t *highest, uint64_t lsn)
{
	uint64_t old = atomic_load(highest);
	while (old < lsn && !atomic_compare_exchange_weak(highest, &old, lsn))
		;
}

void hd_pipeline_synced(void *arg, struct hd_batch *batch)
{
	struct hd_pipeline *p = HD_CAST(struct hd_pipeline, HD_PIPELINE_MAGIC, arg);
	struct hd_outgoing *out = batch->owner;
	struct hd_worker *w = out->worker;
	hd_latest_publish(p->latest, batch);
	if (batch->count)
		raise_lsn(&p->synced_lsn, batch->first_lsn + batch->count - 1);
	atomic_store_explicit(&w->synced_seq, out->seq, memory_order_release);
	for (uint32_t i = 0; i < out->ack_count; i++)
		out->acks[i].synced(out->acks[i].arg, out->acks[i].accepted, out->acks[i].dropped);
	hd_batch_release(batch); /* wakes the worker */
}

/* ---- jobs ---- */

static bool post(struct hd_pipeline *p, uint32_t worker, void (*fn)(void *, struct hd_worker *), void *arg, bool wait)
{
	HD_ASSERT(worker < p->worker_count);
	struct hd_worker *w = &p->workers[worker];
	(void)pthread_mutex_lock(&w->lock);
	while (wait && !w->closed && w->job_count == w->job_capacity)
		(void)pthread_cond_wait(&w->room, &w->lock);
	bool ok = !w->closed && w->job_count < w->job_capacity;
	if (ok) {
		w->jobs[(w->job_head + w->job_count++) % w->job_capacity] = (struct hd_job){fn, arg};
		if (w->idle)
			(void)pthread_cond_signal(&w->work);
	}
	(void)pthread_mutex_unlock(&w->lock);
	return ok;
}

bool hd_pipeline_post(struct hd_pipeline *p, uint32_t worker, void (*fn)(void *, struct hd_worker *), void *arg)
{
	return post(p, worker, fn, arg, false);
}

bool hd_pipeline_post_wait(struct hd_pipeline *p, uint32_t worker, void (*fn)(void *, struct hd_worker *), void *arg)
{
	return post(p, worker, fn, arg, true);
}

/* Up to JOBS_AT_ONCE jobs, waiting up to ms for the first; false once closed and empty. */
static bool take_jobs(struct hd_worker *w, struct hd_job *ret, uint32_t *ret_count, int64_t ms)
{
	(void)pthread_mutex_lock(&w->lock);
	if (!w->job_count && !w->closed && ms) {
		w->idle = true;
		wait_ms(&w->work, &w->lock, ms);
		w->idle = false;
	}
	uint32_t n = HD_MIN(w->job_count, JOBS_AT_ONCE);
	for (uint32_t i = 0; i < n; i++)
		ret[i] = w->jobs[(w->job_head + i) % w->job_capacity];
	w->job_head = (w->job_head + n) % w->job_capacity;
	w->job_count -= n;
	__atomic_store_n(&w->count.queued, w->job_count, __ATOMIC_RELAXED);
	bool more = n || !w->closed;
	if (n)
		(void)pthread_cond_broadcast(&w->room);
	(void)pthread_mutex_unlock(&w->lock);
	*ret_count = n;
	return more;
}

/* Takes over configurations that changed. */
static void refresh_points(struct hd_worker *w)
{
	(void)pthread_mutex_lock(&w->lock);
	uint32_t *points = HD_STEAL(w->stale_points), count = w->stale_count;
	w->stale_count = w->stale_capacity = 0;
	atomic_store(&w->stale, 0);
	(void)pthread_mutex_unlock(&w->lock);
	for (uint32_t i = 0; i < count; i++) {
		struct hd_point_block *block = hd_pipeline_block_find(w->pipeline, points[i]);
		if (block && block->bits & HD_HOT_SEEN) {
			if (block->bits & HD_HOT_PENDING)
				hd_worker_execute(w);
			hd_block_refresh(w, block, points[i]);
		}
	}
	free(points);
}

/* A batch of few samples is filled further while the one before it is not on disk: it would wait for that sync anyhow. */
static bool may_grow(const struct hd_worker *w)
{
	return w->out && w->out->batch->count + w->pending_count < SMALL_BATCH && !hd_worker_is_synced(w, w->seq);
}

/* What is to do when no job waits; returns how long to wait for one then. */
static int64_t idle_work(struct hd_worker *w)
{
	bool grows = may_grow(w);
	if (!grows && hd_worker_flush(w, NULL) != HYDRO_OK)
		return WAIT_MS;
	if (w->swap && hd_worker_swap_slice(w))
		return 0;
	if (!hd_worker_redo(w))
		return WAIT_MS;
	hd_worker_checkpoint(w, false);
	trim_batches(w);
	return grows ? WAIT_MS : w->out && w->out->ack_count ? 0 : IDLE_MS;
}

static void *worker_main(void *arg)
{
	struct hd_worker *w = arg;
	struct hd_job jobs[JOBS_AT_ONCE];
	int64_t wait = IDLE_MS;
	uint32_t n;
	for (;;) {
		if (!take_jobs(w, jobs, &n, wait))
			break;
		if (HD_UNLIKELY(atomic_load_explicit(&w->stale, memory_order_relaxed)))
			refresh_points(w);
		for (uint32_t i = 0; i < n; i++)
			jobs[i].fn(jobs[i].arg, w);
		wait = 0;
		if (n < JOBS_AT_ONCE) {
			wait = idle_work(w);
		} else {
			hd_worker_checkpoint(w, false);
			if (w->swap)
				(void)hd_worker_swap_slice(w);
		}
	}
	/* Closed: all jobs are done. What is left goes to the journal, then the state to its files. */
	while (w->swap && hd_worker_swap_slice(w))
		;
	(void)hd_worker_flush(w, NULL);
	while (!hd_worker_redo(w) && !atomic_load(&w->stopping)) {
		(void)pthread_mutex_lock(&w->lock);
		wait_ms(&w->work, &w->lock, WAIT_MS);
		(void)pthread_mutex_unlock(&w->lock);
	}
	(void)hd_worker_flush(w, NULL);
	hd_worker_checkpoint(w, true);
	return NULL;
}

int hd_worker_start(struct hd_worker *w, struct hydro_error *err)
{
	char name[16] = "worker";
	name[6] = (char)('0' + w->index / 10);
	name[7] = (char)('0' + w->index % 10);
	int rc = hd_thread_start(&w->thread, HD_ROLE_WORKER, name, worker_main, w, err);
	w->started = rc == HYDRO_OK;
	return rc;
}

void hd_worker_done(struct hd_worker *w)
{
	if (w->out)
		w->out->next = NULL;
	free_outgoing(HD_STEAL(w->out));
	free_outgoing(HD_STEAL(w->free_batches));
	free(w->jobs);
	free(w->run);
	free(w->undo);
	free(w->redos);
	free(w->stale_points);
	hd_intake_free(&w->intake);
	hd_slab_free(&w->slab);
	(void)pthread_mutex_destroy(&w->lock);
	(void)pthread_cond_destroy(&w->work);
	(void)pthread_cond_destroy(&w->room);
}

uint32_t hd_worker_index(const struct hd_worker *w)
{
	return w->index;
}

struct hd_pipeline *hd_worker_pipeline(struct hd_worker *w)
{
	return w->pipeline;
}
