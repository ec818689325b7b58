/* SPDX-License-Identifier: MIT */
#include "api/wire_feed.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Shared by the http worker that waits and by the worker and journal threads that answer; the last one frees. */
struct call {
	pthread_mutex_t lock; /* guards: all below but the request */
	pthread_cond_t done_cond;
	unsigned refs;
	bool done;
	int rc;
	uint32_t accepted, dropped;
	struct hydro_error err;
	uint32_t point, count;
	hydro_raw raws[];
};

static void release(struct call *call)
{
	(void)pthread_mutex_lock(&call->lock);
	unsigned left = --call->refs;
	(void)pthread_mutex_unlock(&call->lock);
	if (left > 0)
		return;
	(void)pthread_mutex_destroy(&call->lock);
	(void)pthread_cond_destroy(&call->done_cond);
	free(call);
}

static void finish(struct call *call, int rc, uint32_t accepted, uint32_t dropped)
{
	(void)pthread_mutex_lock(&call->lock);
	call->done = true;
	call->rc = rc;
	call->accepted = accepted;
	call->dropped = dropped;
	(void)pthread_cond_signal(&call->done_cond);
	(void)pthread_mutex_unlock(&call->lock);
	release(call);
}

static void synced(void *arg, uint32_t accepted, uint32_t dropped)
{
	finish(arg, HYDRO_OK, accepted, dropped);
}

static void run(void *arg, struct hd_worker *w)
{
	struct call *call = arg;
	struct hd_feed how = {.mode = HD_FEED_MANUAL, .received_ns = hd_clock_real_ns(), .synced = synced, .arg = call};
	int rc = hd_pipeline_feed(w, call->point, call->raws, call->count, &how, &call->err);
	if (rc != HYDRO_OK)
		finish(call, rc, 0, 0);
}

static struct call *new_call(uint32_t point, const hydro_raw *raws, uint32_t count)
{
	struct call *call = calloc(1, sizeof *call + count * sizeof *raws);
	if (!call)
		return NULL;
	pthread_condattr_t monotonic;
	call->refs = 2;
	call->point = point;
	call->count = count;
	call->err.struct_size = sizeof call->err;
	memcpy(call->raws, raws, count * sizeof *raws);
	(void)pthread_mutex_init(&call->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&call->done_cond, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	return call;
}

int hd_api_wire_feed(struct hd_pipeline *pipeline, uint32_t point, const hydro_raw *raws, uint32_t count, uint32_t *ret_accepted, uint32_t *ret_dropped,
		     struct hydro_error *err)
{
	struct timespec until;
	struct call *call = new_call(point, raws, count);
	if (!call)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the readings");
	if (!hd_pipeline_post_wait(pipeline, hd_pipeline_worker_of(pipeline, point), run, call)) {
		release(call);
		release(call);
		return hd_error_set(err, HYDRO_E_CANCELLED, "the pipeline takes nothing new");
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += HD_API_FEED_TIMEOUT_MS / 1000;
	(void)pthread_mutex_lock(&call->lock);
	int waited = 0;
	while (!call->done && waited != ETIMEDOUT)
		waited = pthread_cond_timedwait(&call->done_cond, &call->lock, &until);
	int rc = call->done ? call->rc : hd_error_set(err, HYDRO_E_TIMEOUT, "the readings are not on disk yet; they may still come through");
	if (call->done && rc == HYDRO_OK) {
		*ret_accepted = call->accepted;
		*ret_dropped = call->dropped;
	} else if (call->done && err) {
		*err = call->err;
	}
	(void)pthread_mutex_unlock(&call->lock);
	release(call);
	return rc;
}
