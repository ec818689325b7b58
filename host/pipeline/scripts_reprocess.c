/* SPDX-License-Identifier: MIT */
/*
 * A past window of all points of a pipeline, once more through the live script: point by point and slice by slice on a thread
 * of its own, which leaves the workers as much time as it took. One at a time; it can be looked at and ended, and what it has
 * done until then stays, for it is right. After a restart it is asked for again: what has been done comes out equal.
 */
#include "pipeline/inner.h"
#include "pipeline/scripts_inner.h"

#include "base/clock.h"
#include "base/thread.h"
#include "base/timefmt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLICE_MAX_MS (INT64_C(7) * 24 * 3600 * HD_MS_PER_S)
#define SLICE_MIN_MS (INT64_C(3600) * HD_MS_PER_S)
#define REST_NS_MAX (HD_NS_PER_S / 4) /* an end is not waited for longer */

enum { JOB_NONE, JOB_RUNNING, JOB_DONE, JOB_CANCELLED, JOB_ENDED };
static const char *const state_names[] = {"none", "running", "done", "cancelled", "ended"};

struct hd_scripts_job {
	struct hd_scripts *s;
	pthread_t thread;
	pthread_mutex_t lock; /* guards: all below */
	pthread_cond_t wake;
	bool joinable, cancel;
	uint32_t state;
	char name[HD_SCRIPT_NAME_BYTES_MAX];
	char generation[HD_NAME_BYTES_MAX];
	int64_t from_ms, to_ms, begun_ms, ended_ms, at_ms;
	uint32_t *points;
	uint32_t point_count, points_done, points_failed;
	uint64_t readings, revisions, unprocessed;
	char error[512]; /* the first point's that failed, or why it ended */
};

/* ---- one point ---- */

static bool cancelled(struct hd_scripts_job *job)
{
	(void)pthread_mutex_lock(&job->lock);
	bool cancel = job->cancel;
	(void)pthread_mutex_unlock(&job->lock);
	return cancel;
}

static void rest(struct hd_scripts_job *job, int64_t ns)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_REALTIME, &until);
	ns = HD_MIN(ns, REST_NS_MAX);
	until.tv_nsec += (long)ns;
	until.tv_sec += until.tv_nsec / HD_NS_PER_S;
	until.tv_nsec %= HD_NS_PER_S;
	(void)pthread_mutex_lock(&job->lock);
	if (!job->cancel)
		(void)pthread_cond_timedwait(&job->wake, &job->lock, &until);
	(void)pthread_mutex_unlock(&job->lock);
}

static void note_slice(struct hd_scripts_job *job, const struct hd_reprocess_report *report, int64_t at_ms)
{
	(void)pthread_mutex_lock(&job->lock);
	job->readings += report->readings;
	job->revisions += report->revisions;
	job->unprocessed += report->unprocessed;
	job->at_ms = at_ms;
	(void)pthread_mutex_unlock(&job->lock);
}

/* What does not fit into one run is halved; HYDRO_E_CANCELLED when that was asked for. */
static int run_point(struct hd_scripts_job *job, uint32_t point, struct hydro_error *err)
{
	struct hd_pipeline *p = job->s->pipeline;
	int64_t end = HD_MIN(job->to_ms, hd_pipeline_newest(p, point) + 1), slice = SLICE_MAX_MS;
	for (int64_t at = job->from_ms; at < end;) {
		struct hd_reprocess_report report;
		int64_t begun = hd_clock_real_ns(), to = HD_MIN(end, at + slice);
		if (cancelled(job))
			return hd_error_set(err, HYDRO_E_CANCELLED, "cancelled");
		int rc = hd_pipeline_reprocess(p, point, at, to, &report, err);
		if (rc == HYDRO_E_LIMIT && slice > SLICE_MIN_MS) {
			slice = HD_MAX(slice / 2, SLICE_MIN_MS);
			continue;
		}
		if (rc != HYDRO_OK)
			return rc;
		note_slice(job, &report, to);
		at = to;
		rest(job, hd_clock_real_ns() - begun);
	}
	return HYDRO_OK;
}

/* ---- all of them ---- */

static bool still_live(struct hd_scripts_job *job)
{
	(void)pthread_mutex_lock(&job->s->lock);
	const struct hd_scripts_entry *entry = hd_scripts_find(job->s, job->name);
	bool live = entry && entry->live && strcmp(hd_script_version(entry->live), job->generation) == 0;
	(void)pthread_mutex_unlock(&job->s->lock);
	return live;
}

static bool runs_it(struct hd_scripts *s, uint32_t index, const char *name)
{
	const struct hd_point *point = hd_points_get(s->config.points, index);
	bool runs = point && !(point->bits & HD_POINT_DELETED) && strcmp(hd_point_pipeline(point), name) == 0;
	if (point)
		hd_point_unref(point);
	return runs;
}

static void note_point(struct hd_scripts_job *job, uint32_t point, int rc, const struct hydro_error *err)
{
	const struct hd_point *config = hd_points_get(job->s->config.points, point);
	(void)pthread_mutex_lock(&job->lock);
	job->points_done++;
	if (rc != HYDRO_OK && !job->points_failed++)
		(void)snprintf(job->error, sizeof job->error, "point %s: %s", config ? hd_point_name(config) : "", err->text);
	(void)pthread_mutex_unlock(&job->lock);
	if (config)
		hd_point_unref(config);
}

static uint32_t run_points(struct hd_scripts_job *job)
{
	for (uint32_t i = 0; i < job->point_count; i++) {
		struct hydro_error err = {.struct_size = sizeof err};
		if (!still_live(job)) {
			(void)pthread_mutex_lock(&job->lock);
			(void)snprintf(job->error, sizeof job->error, "%s does not run any more: ask for it again with what runs now", job->generation);
			(void)pthread_mutex_unlock(&job->lock);
			return JOB_ENDED;
		}
		int rc = runs_it(job->s, job->points[i], job->name) ? run_point(job, job->points[i], &err) : HYDRO_OK;
		if (rc == HYDRO_E_CANCELLED || cancelled(job))
			return JOB_CANCELLED;
		note_point(job, job->points[i], rc, &err);
	}
	return JOB_DONE;
}

static void *run_job(void *arg)
{
	struct hd_scripts_job *job = arg;
	uint32_t state = run_points(job);
	(void)pthread_mutex_lock(&job->lock);
	job->state = state;
	job->ended_ms = hd_clock_wall_ms();
	(void)pthread_mutex_unlock(&job->lock);
	hd_scripts_event(job->s, job->points_failed ? HD_EVENT_WARN : HD_EVENT_INFO, "reprocessed",
			 "%s: %s, %u of %u points, %llu readings, %llu revisions, %u points failed%s%s", job->generation, state_names[state], job->points_done,
			 job->point_count, (unsigned long long)job->readings, (unsigned long long)job->revisions, job->points_failed, job->error[0] ? "; " : "",
			 job->error);
	return NULL;
}

/* ---- from outside ---- */

static void add_time(struct hd_buf *ret, const char *key, int64_t ms)
{
	char text[HD_TIME_TEXT];
	hd_time_format(ms, text);
	hd_buf_printf(ret, ",\"%s\":%s%s%s", key, ms ? "\"" : "", ms ? text : "null", ms ? "\"" : "");
}

/* With the job's lock held. */
static int tell(struct hd_scripts_job *job, struct hd_buf *ret, struct hydro_error *err)
{
	hd_buf_add_text(ret, "{\"pipeline\":");
	hd_buf_add_json(ret, job->name, strlen(job->name));
	hd_buf_printf(ret, ",\"generation\":\"%s\",\"state\":\"%s\"", job->generation, state_names[job->state]);
	add_time(ret, "from", job->from_ms);
	add_time(ret, "to", job->to_ms);
	hd_buf_printf(ret, ",\"points\":%u,\"points_done\":%u,\"points_failed\":%u,\"readings\":%llu,\"revisions\":%llu,\"unprocessed\":%llu", job->point_count,
		      job->points_done, job->points_failed, (unsigned long long)job->readings, (unsigned long long)job->revisions,
		      (unsigned long long)job->unprocessed);
	add_time(ret, "at", job->at_ms);
	add_time(ret, "started", job->begun_ms);
	add_time(ret, "ended", job->ended_ms);
	hd_buf_add_text(ret, ",\"error\":");
	if (job->error[0])
		hd_buf_add_json(ret, job->error, strlen(job->error));
	else
		hd_buf_add_text(ret, "null");
	return hd_buf_add_char(ret, '}') ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOMEM, "no memory for an answer");
}

/* Its points and what runs on them. */
static int prepare(struct hd_scripts *s, struct hd_scripts_job *job, const char *name, struct hydro_error *err)
{
	if (!s->pipeline || !s->pipeline->config.history)
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "this daemon keeps no history");
	(void)pthread_mutex_lock(&s->lock);
	const struct hd_scripts_entry *entry = hd_scripts_find(s, name);
	bool live = entry && entry->live;
	if (live)
		(void)snprintf(job->generation, sizeof job->generation, "%s", hd_script_version(entry->live));
	(void)pthread_mutex_unlock(&s->lock);
	if (!live)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "there is no pipeline '%.60s' that runs", name);
	(void)snprintf(job->name, sizeof job->name, "%s", name);
	uint32_t all = hd_points_count(s->config.points);
	free(job->points);
	job->points = malloc((all + 1) * sizeof *job->points);
	job->point_count = 0;
	if (!job->points)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the points of '%s'", name);
	for (uint32_t i = 0; i < all; i++)
		if (runs_it(s, i, name))
			job->points[job->point_count++] = i;
	return HYDRO_OK;
}

static void join(struct hd_scripts_job *job)
{
	if (job->joinable)
		(void)pthread_join(job->thread, NULL);
	job->joinable = false;
}

int hd_scripts_reprocess(struct hd_scripts *s, const char *name, int64_t from_ms, int64_t to_ms, struct hd_buf *ret_json, struct hydro_error *err)
{
	struct hd_scripts_job *job = s->job;
	(void)pthread_mutex_lock(&job->lock);
	int rc = HYDRO_OK;
	if (job->state == JOB_RUNNING)
		rc = hd_error_set(err, HYDRO_E_CONFLICT, "pipeline '%s' is being run again already: wait for it or end it", job->name);
	if (rc == HYDRO_OK) {
		join(job); /* it has told its end: it takes no lock any more */
		rc = prepare(s, job, name, err);
	}
	if (rc == HYDRO_OK) {
		job->from_ms = from_ms;
		job->to_ms = to_ms;
		job->begun_ms = hd_clock_wall_ms();
		job->ended_ms = job->at_ms = 0;
		job->points_done = job->points_failed = 0;
		job->readings = job->revisions = job->unprocessed = 0;
		job->error[0] = '\0';
		job->cancel = false;
		rc = hd_thread_start(&job->thread, HD_ROLE_ANY, "reprocess", run_job, job, err);
		job->joinable = rc == HYDRO_OK;
		job->state = rc == HYDRO_OK ? JOB_RUNNING : JOB_NONE;
	}
	if (rc == HYDRO_OK)
		rc = tell(job, ret_json, err);
	(void)pthread_mutex_unlock(&job->lock);
	return rc;
}

/* The job if the last one is of that pipeline; with its lock held then. */
static struct hd_scripts_job *job_of(struct hd_scripts *s, const char *name, struct hydro_error *err)
{
	struct hd_scripts_job *job = s->job;
	(void)pthread_mutex_lock(&job->lock);
	if (job->state != JOB_NONE && strcmp(job->name, name) == 0)
		return job;
	(void)pthread_mutex_unlock(&job->lock);
	(void)hd_error_set(err, HYDRO_E_NOTFOUND, "pipeline '%.60s' is not the one that was run again last", name);
	return NULL;
}

int hd_scripts_reprocess_state(struct hd_scripts *s, const char *name, struct hd_buf *ret_json, struct hydro_error *err)
{
	struct hd_scripts_job *job = job_of(s, name, err);
	if (!job)
		return HYDRO_E_NOTFOUND;
	int rc = tell(job, ret_json, err);
	(void)pthread_mutex_unlock(&job->lock);
	return rc;
}

int hd_scripts_reprocess_cancel(struct hd_scripts *s, const char *name, struct hd_buf *ret_json, struct hydro_error *err)
{
	struct hd_scripts_job *job = job_of(s, name, err);
	if (!job)
		return HYDRO_E_NOTFOUND;
	job->cancel = true;
	(void)pthread_cond_signal(&job->wake);
	int rc = tell(job, ret_json, err);
	(void)pthread_mutex_unlock(&job->lock);
	return rc;
}

int hd_scripts_job_new(struct hd_scripts *s, struct hydro_error *err)
{
	s->job = calloc(1, sizeof *s->job);
	if (!s->job)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the scripts");
	s->job->s = s;
	(void)pthread_mutex_init(&s->job->lock, NULL);
	(void)pthread_cond_init(&s->job->wake, NULL);
	return HYDRO_OK;
}

void hd_scripts_job_stop(struct hd_scripts *s)
{
	if (!s->job)
		return;
	(void)pthread_mutex_lock(&s->job->lock);
	s->job->cancel = true;
	(void)pthread_cond_signal(&s->job->wake);
	(void)pthread_mutex_unlock(&s->job->lock);
	join(s->job);
}

void hd_scripts_job_free(struct hd_scripts *s)
{
	hd_scripts_job_stop(s);
	if (!s->job)
		return;
	(void)pthread_mutex_destroy(&s->job->lock);
	(void)pthread_cond_destroy(&s->job->wake);
	free(s->job->points);
	free(s->job);
	s->job = NULL;
}
