/* SPDX-License-Identifier: MIT */
/* Plans of points: all of a pipeline's before a swap, single ones as their configuration changes; scripts on the workers. */
#include "pipeline/scripts_inner.h"

#include "base/clock.h"
#include "pipeline/step.h"

#include <sched.h>
#include <string.h>

#define SLICE_POINTS 256u   /* built between two offers of the processor to others */
#define FAULTS_TOLD_MAX 5u  /* points told one by one that get no plan at the start */

struct worker_job {
	struct hd_scripts *s;
	struct hd_script *script;
	bool detach;
	int rc;
	struct hydro_error err;
	int64_t worst_ns; /* longest that one took */
	pthread_mutex_t lock; /* guards: waiting, rc, err, worst_ns */
	pthread_cond_t done;
	uint32_t waiting;
};

static void on_worker(void *arg, struct hd_worker *w)
{
	struct worker_job *job = arg;
	struct hd_lua *lua = job->s->workers[hd_worker_index(w)];
	struct hydro_error err = {0};
	int rc = HYDRO_OK;
	int64_t began = hd_clock_real_ns();
	if (job->detach)
		hd_lua_detach(lua, job->script);
	else if (!hd_lua_is_attached(lua, job->script))
		rc = hd_lua_attach(lua, job->script, NULL, &err);
	(void)pthread_mutex_lock(&job->lock);
	job->worst_ns = HD_MAX(job->worst_ns, hd_clock_real_ns() - began);
	if (rc != HYDRO_OK) {
		job->rc = rc;
		job->err = err;
	}
	if (--job->waiting == 0)
		(void)pthread_cond_signal(&job->done);
	(void)pthread_mutex_unlock(&job->lock);
}

static int on_all_workers(struct hd_scripts *s, struct hd_script *script, bool detach, int64_t *worst_ns, struct hydro_error *err)
{
	if (!s->pipeline)
		return HYDRO_OK;
	struct worker_job job = {.s = s, .script = script, .detach = detach, .waiting = s->worker_count};
	(void)pthread_mutex_init(&job.lock, NULL);
	(void)pthread_cond_init(&job.done, NULL);
	for (uint32_t i = 0; i < s->worker_count; i++) {
		if (hd_pipeline_post_wait(s->pipeline, i, on_worker, &job))
			continue;
		(void)pthread_mutex_lock(&job.lock);
		job.waiting--;
		job.rc = hd_error_set(&job.err, HYDRO_E_CONFLICT, "the pipeline is stopping");
		(void)pthread_mutex_unlock(&job.lock);
	}
	(void)pthread_mutex_lock(&job.lock);
	while (job.waiting)
		(void)pthread_cond_wait(&job.done, &job.lock);
	(void)pthread_mutex_unlock(&job.lock);
	(void)pthread_cond_destroy(&job.done);
	(void)pthread_mutex_destroy(&job.lock);
	if (worst_ns)
		*worst_ns = HD_MAX(*worst_ns, job.worst_ns);
	if (job.rc != HYDRO_OK && err)
		*err = job.err;
	return job.rc;
}

int hd_scripts_attach(struct hd_scripts *s, struct hd_script *script, int64_t *worst_ns, struct hydro_error *err)
{
	return on_all_workers(s, script, false, worst_ns, err);
}

void hd_scripts_detach(struct hd_scripts *s, struct hd_script *script, int64_t *worst_ns)
{
	(void)on_all_workers(s, script, true, worst_ns, NULL);
}

/* One point of the pipeline into `plans`. */
static int build_point(struct hd_scripts *s, const struct hd_scripts_entry *entry, const struct hd_point *point, struct hd_plans *plans,
		       struct hd_scripts_diags *diags, struct hydro_error *err)
{
	struct hd_plan *plan = NULL;
	int rc = hd_scripts_build(s, hd_scripts_of_point(entry, point->index), point, &plan, diags, err);
	if (rc != HYDRO_OK)
		return rc;
	rc = hd_plans_put(plans, point->index, plan);
	if (rc != HYDRO_OK) {
		hd_plan_free(&plan);
		return hd_error_set(err, rc, "no memory for the plans of all points");
	}
	return HYDRO_OK;
}

int hd_scripts_build_all(struct hd_scripts *s, const struct hd_scripts_entry *entry, struct hd_plans *plans, uint32_t *ret_points,
			 struct hd_scripts_diags *diags, struct hydro_error *err)
{
	uint32_t count = hd_points_count(s->config.points), built = 0;
	int rc = HYDRO_OK;
	for (uint32_t i = 0; i < count && rc == HYDRO_OK; i++) {
		const struct hd_point *point = hd_points_get(s->config.points, i);
		if (!point)
			continue;
		if (!(point->bits & HD_POINT_DELETED) && strcmp(hd_point_pipeline(point), entry->name) == 0) {
			rc = build_point(s, entry, point, plans, diags, err);
			if (rc == HYDRO_OK && ++built % SLICE_POINTS == 0)
				(void)sched_yield();
		}
		hd_point_unref(point);
	}
	*ret_points = built;
	return rc;
}

/* ---- the plans of all points at the start ---- */

struct first {
	struct hd_scripts *s;
	struct hd_spec specs[HD_WORKERS_MAX]; /* each its worker's */
	pthread_mutex_t lock; /* guards: failed */
	uint32_t failed;
};

/*
 * The pipeline whose points may have a shape that was kept: that of the script as it is now. Not one with a Lua step that a
 * point, not a sample, was the first to have: its number is this run's. [worker]
 */
static const char *pipeline_of_shape(void *arg, const struct hd_shape *shape)
{
	const struct first *first = arg;
	const struct hd_scripts *s = first->s;
	for (uint32_t k = 0; k < s->entry_count; k++) {
		const struct hd_scripts_entry *entry = &s->entries[k];
		if (!entry->live || shape->generation != hd_names_find(s->config.names, HD_NAME_GENERATION, hd_script_version(entry->live)))
			continue;
		bool sure = shape->script == NULL || shape->script == entry->live;
		for (uint32_t i = 0; i < shape->step_count; i++)
			sure &= shape->steps[i].kind != &hd_step_lua || shape->steps[i].function < entry->sure_functions;
		return sure ? entry->name : NULL;
	}
	return NULL;
}

/* A point that cannot have a plan is told and passed by. [worker] */
static int build_first(void *arg, uint32_t worker, const struct hd_point *point, struct hd_plan **ret)
{
	struct first *first = arg;
	struct hd_scripts *s = first->s;
	struct hydro_error err = {0};
	struct hd_scripts_diags diags = {.count = 0};
	const struct hd_scripts_entry *entry = hd_scripts_find(s, hd_point_pipeline(point));
	if (!entry || !entry->live)
		return HYDRO_E_NOTFOUND;
	int rc = hd_scripts_build_in(s, s->workers[worker], &first->specs[worker], hd_scripts_of_point(entry, point->index), point, ret, &diags, &err);
	if (rc == HYDRO_OK || rc == HYDRO_E_NOMEM)
		return rc;
	(void)pthread_mutex_lock(&first->lock);
	bool tell = first->failed++ < FAULTS_TOLD_MAX;
	(void)pthread_mutex_unlock(&first->lock);
	if (tell)
		hd_scripts_event(s, HD_EVENT_ERROR, "plan_failed", "point %s: %s", hd_point_name(point), err.text);
	return rc;
}

/* A plan of each shape that was kept, so that those shapes are there; the points themselves come after. */
static int compile_samples(struct hd_scripts *s, struct hd_plan **ret, uint32_t *ret_count, struct hydro_error *err)
{
	uint32_t points[HD_ADOPT_SAMPLES_MAX], count = hd_pipeline_adopt_samples(s->pipeline, points, HD_ADOPT_SAMPLES_MAX);
	int rc = HYDRO_OK;
	*ret_count = 0;
	for (uint32_t i = 0; i < count && rc == HYDRO_OK; i++) {
		HD_CLEANUP(hd_cleanup_point) const struct hd_point *point = hd_points_get(s->config.points, points[i]);
		const struct hd_scripts_entry *entry = hd_scripts_find(s, hd_point_pipeline(point));
		struct hd_scripts_diags diags = {.count = 0};
		if (!entry || !entry->live)
			continue;
		rc = hd_scripts_build(s, entry->live, point, &ret[*ret_count], &diags, err);
		*ret_count += rc == HYDRO_OK;
		rc = rc == HYDRO_E_NOMEM ? rc : HYDRO_OK; /* what is wrong is told when its turn comes */
	}
	return rc;
}

int hd_scripts_first_plans(struct hd_scripts *s, struct hydro_error *err)
{
	struct first first = {.s = s, .lock = PTHREAD_MUTEX_INITIALIZER};
	struct hd_plan *samples[HD_ADOPT_SAMPLES_MAX];
	uint32_t sample_count = 0, points = 0;
	int rc = HYDRO_OK;
	for (uint32_t i = 0; i < s->entry_count && rc == HYDRO_OK; i++)
		if (s->entries[i].live)
			rc = hd_scripts_attach(s, s->entries[i].live, NULL, err);
	if (rc == HYDRO_OK)
		rc = compile_samples(s, samples, &sample_count, err);
	if (rc == HYDRO_OK)
		rc = hd_pipeline_adopt(s->pipeline, pipeline_of_shape, &first, &points, err);
	if (rc == HYDRO_OK)
		rc = hd_pipeline_build_rest(s->pipeline, build_first, &first, err);
	for (uint32_t i = 0; i < sample_count; i++)
		hd_plan_free(&samples[i]);
	for (uint32_t i = 0; i < HD_WORKERS_MAX; i++)
		hd_spec_done(&first.specs[i]);
	if (first.failed > FAULTS_TOLD_MAX)
		hd_scripts_event(s, HD_EVENT_ERROR, "plan_failed", "%u more points have no plan", first.failed - FAULTS_TOLD_MAX);
	return rc;
}

/* A changed point: its new plan, or none; whose build fails keeps the one it has. */
static int follow_point(struct hd_scripts *s, uint32_t index, struct hd_plans *plans)
{
	const struct hd_point *point = hd_points_get(s->config.points, index);
	if (!point)
		return HYDRO_OK;
	struct hydro_error err = {0};
	struct hd_scripts_diags diags = {.count = 0};
	const char *name = hd_point_pipeline(point);
	const struct hd_scripts_entry *entry = *name ? hd_scripts_find(s, name) : NULL;
	int rc = HYDRO_OK;
	if (point->bits & HD_POINT_DELETED || !*name)
		rc = hd_plans_put(plans, index, NULL);
	else if (!entry || !entry->live)
		hd_scripts_event(s, HD_EVENT_ERROR, "plan_failed", "point %s: there is no pipeline '%s' that runs", hd_point_name(point), name);
	else if ((rc = build_point(s, entry, point, plans, &diags, &err)) != HYDRO_OK)
		hd_scripts_event(s, HD_EVENT_ERROR, "plan_failed", "point %s keeps its plan: %s", hd_point_name(point), err.text);
	hd_point_unref(point);
	return rc == HYDRO_E_NOMEM ? rc : HYDRO_OK;
}

void hd_scripts_follow_points(struct hd_scripts *s, const uint32_t *points, uint32_t count)
{
	struct hd_plans *plans = NULL;
	struct hd_swap_report report;
	struct hydro_error err = {0};
	(void)pthread_mutex_lock(&s->lock);
	int rc = hd_plans_new(&plans);
	for (uint32_t i = 0; i < count && rc == HYDRO_OK; i++)
		rc = follow_point(s, points[i], plans);
	if (rc == HYDRO_OK && hd_plans_count(plans))
		rc = hd_pipeline_swap(s->pipeline, HD_STEAL(plans), &report, &err);
	hd_plans_free(&plans);
	if (rc != HYDRO_OK && rc != HYDRO_E_CONFLICT)
		hd_scripts_event(s, HD_EVENT_ERROR, "plan_failed", "%u changed points keep their plans: %s", count, err.text);
	(void)pthread_mutex_unlock(&s->lock);
}
