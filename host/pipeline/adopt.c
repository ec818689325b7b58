/* SPDX-License-Identifier: MIT */
/*
 * Plans of the points at the start, as they were kept: each worker walks its shards' files, and a point whose
 * configuration and script are still the same takes numbers and state from there. Nothing is built or compiled for it.
 */
#include "pipeline/keeper.h"

#include "base/array.h"

#include <stdlib.h>
#include <string.h>

#define AT_ONCE 256u /* points looked up together */

/* A shape of a state file, and what became of it in this process. */
struct known_shape {
	const struct hd_state_shape *stored;
	struct hd_shape *shape; /* a reference, NULL: not there, or not to be taken */
	const char *pipeline;   /* whose points may have it */
	bool same_layout;       /* state is copied as a whole */
	uint32_t taken;
};

/* A job of all workers; the caller waits. */
struct all {
	struct hd_pipeline *p;
	const char *(*pipeline_of)(void *arg, const struct hd_shape *shape);
	int (*build)(void *arg, uint32_t worker, const struct hd_point *point, struct hd_plan **ret);
	void *arg;
	uint32_t failed; /* atomic: without memory */
	pthread_mutex_t lock; /* guards: left, points */
	pthread_cond_t done;
	uint32_t left, points;
};

static void all_failed(struct all *all)
{
	__atomic_store_n(&all->failed, 1, __ATOMIC_RELAXED);
}

static void all_leave(struct all *all, uint32_t points)
{
	(void)pthread_mutex_lock(&all->lock);
	all->points += points;
	if (--all->left == 0)
		(void)pthread_cond_signal(&all->done);
	(void)pthread_mutex_unlock(&all->lock);
}

static int all_run(struct all *all, void (*job)(void *arg, struct hd_worker *w), struct hydro_error *err)
{
	(void)pthread_mutex_init(&all->lock, NULL);
	(void)pthread_cond_init(&all->done, NULL);
	all->left = all->p->worker_count;
	for (uint32_t i = 0; i < all->p->worker_count; i++)
		HD_ASSERT(hd_pipeline_post_wait(all->p, i, job, all));
	(void)pthread_mutex_lock(&all->lock);
	while (all->left)
		(void)pthread_cond_wait(&all->done, &all->lock);
	(void)pthread_mutex_unlock(&all->lock);
	(void)pthread_cond_destroy(&all->done);
	(void)pthread_mutex_destroy(&all->lock);
	return all->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the plans of points") : HYDRO_OK;
}

/* What one worker does at the moment. */
struct walk {
	struct all *all;
	struct hd_worker *w;
	struct known_shape *known; /* of the shard's file */
	uint32_t known_count, known_capacity;
	struct hd_stored waiting[AT_ONCE];
	uint32_t indices[AT_ONCE];
	uint32_t count, points;
};

static bool has_same_layout(const struct hd_shape *shape, const struct hd_state_shape *stored)
{
	const struct hd_state_step *steps = (const struct hd_state_step *)(const void *)(stored + 1);
	bool same = shape->step_count == stored->steps && shape->state_bytes == stored->state_bytes;
	for (uint32_t i = 0; same && i < shape->step_count; i++)
		same = shape->steps[i].identity == steps[i].identity && shape->steps[i].kind_hash == steps[i].kind &&
		       shape->steps[i].state == steps[i].offset && shape->steps[i].state_bytes == steps[i].bytes && !shape->steps[i].detector;
	return same;
}

static struct known_shape *known_shape(struct walk *walk, const struct hd_state_shape *stored)
{
	for (uint32_t i = 0; i < walk->known_count; i++)
		if (walk->known[i].stored == stored)
			return &walk->known[i];
	if (!HD_RESERVE(walk->known, walk->known_capacity, walk->known_count, 1))
		return NULL;
	struct all *all = walk->all;
	struct known_shape *k = &walk->known[walk->known_count++];
	*k = (struct known_shape){.stored = stored, .shape = hd_shapes_find(all->p->shapes, stored->hash)};
	if (k->shape && k->shape->param_count == stored->params && k->shape->generation == stored->generation)
		k->pipeline = all->pipeline_of(all->arg, k->shape);
	k->same_layout = k->pipeline && has_same_layout(k->shape, stored);
	return k;
}

/* Takes `config` over when it returns true. */
static bool take(struct walk *walk, const struct hd_stored *stored, const struct hd_point *config)
{
	struct hd_pipeline *p = walk->w->pipeline;
	uint32_t point = stored->point->point;
	struct known_shape *k = known_shape(walk, stored->shape);
	struct hd_point_block *block = hd_pipeline_block_find(p, point);
	if (!k || !k->pipeline || !block || block->shape || block->config || stored->point->config_version != (uint32_t)config->version ||
	    config->bits & HD_POINT_DELETED || strcmp(hd_point_pipeline(config), k->pipeline) != 0)
		return false;
	struct hd_shape *shape = k->shape;
	uint32_t param_bytes = shape->param_count * (uint32_t)sizeof(double);
	uint8_t *data = hd_slab_take(walk->w->slab, param_bytes + shape->state_bytes);
	if (!data)
		return false;
	memcpy(data, hd_stored_params(stored), param_bytes);
	if (k->same_layout) {
		memcpy(data + param_bytes, hd_stored_state(stored), shape->state_bytes);
		hd_keeper_forget(p, point);
	} else {
		hd_shape_state_init(shape, data + param_bytes);
		hd_keeper_take(p, point, shape, data + param_bytes, NULL);
	}
	block->shape = shape;
	block->data = data;
	block->plan_version = (uint32_t)config->version;
	block->config = config;
	block->join_ms = config->join_ms;
	block->bits |= HD_HOT_SEEN;
	k->taken++;
	return true;
}

static void take_waiting(struct walk *walk)
{
	const struct hd_point *configs[AT_ONCE];
	hd_points_get_many(walk->w->pipeline->config.points, walk->indices, walk->count, configs);
	for (uint32_t i = 0; i < walk->count; i++) {
		if (configs[i] && take(walk, &walk->waiting[i], configs[i]))
			walk->points++;
		else
			hd_point_unref(configs[i]);
	}
	walk->count = 0;
}

static int take_entry(void *arg, const struct hd_stored *stored)
{
	struct walk *walk = arg;
	if (!stored->shape)
		return HYDRO_OK;
	walk->waiting[walk->count] = *stored;
	walk->indices[walk->count++] = stored->point->point;
	if (walk->count == AT_ONCE)
		take_waiting(walk);
	return HYDRO_OK;
}

/* The points' references are counted together: their number of a shape is often the same one million. */
static void settle_shapes(struct walk *walk)
{
	for (uint32_t i = 0; i < walk->known_count; i++) {
		struct known_shape *k = &walk->known[i];
		if (k->taken)
			hd_shape_ref_many(k->shape, k->taken);
		if (k->shape)
			hd_shape_unref(k->shape);
	}
	walk->known_count = 0;
}

static void adopt_job(void *arg, struct hd_worker *w)
{
	struct all *all = arg;
	struct walk *walk = calloc(1, sizeof *walk);
	if (walk)
		*walk = (struct walk){.all = all, .w = w};
	else
		all_failed(all);
	for (uint32_t shard = w->index; walk && shard < HD_SHARDS; shard += all->p->worker_count) {
		const struct hd_buf *image = &all->p->keeper->files[shard].image;
		if (!image->data || all->p->lost[shard])
			continue;
		(void)hd_state_each(image->data, take_entry, walk);
		take_waiting(walk);
		settle_shapes(walk);
	}
	all_leave(all, walk ? walk->points : 0);
	if (walk)
		free(walk->known);
	free(walk);
}

int hd_pipeline_adopt(struct hd_pipeline *p, const char *(*pipeline_of)(void *arg, const struct hd_shape *shape), void *arg, uint32_t *ret_points,
		      struct hydro_error *err)
{
	struct all all = {.p = p, .pipeline_of = pipeline_of, .arg = arg};
	int rc = p->keeper ? all_run(&all, adopt_job, err) : HYDRO_OK;
	*ret_points = all.points;
	return rc;
}

/* ---- points to compile first ---- */

struct search {
	struct hd_pipeline *p;
	const struct hd_state_shape *shape;
	uint32_t point;
};

static int find_point(void *arg, const struct hd_stored *stored)
{
	struct search *search = arg;
	if (stored->shape != search->shape)
		return HYDRO_OK;
	HD_CLEANUP(hd_cleanup_point) const struct hd_point *config = hd_points_get(search->p->config.points, stored->point->point);
	if (!config || stored->point->config_version != (uint32_t)config->version || config->bits & HD_POINT_DELETED)
		return HYDRO_OK;
	search->point = config->index;
	return HYDRO_E_CANCELLED; /* found: no further */
}

uint32_t hd_pipeline_adopt_samples(struct hd_pipeline *p, uint32_t *ret_points, uint32_t max)
{
	uint64_t hashes[HD_ADOPT_SAMPLES_MAX];
	uint32_t count = 0;
	max = HD_MIN(max, HD_ADOPT_SAMPLES_MAX);
	for (uint32_t shard = 0; p->keeper && shard < HD_SHARDS; shard++) {
		const struct hd_state_header *header = p->lost[shard] ? NULL : (const void *)p->keeper->files[shard].image.data;
		for (uint32_t number = 1; header && number <= header->shapes && count < max; number++) {
			struct search search = {.p = p, .shape = hd_state_shape_at(header, number), .point = HD_POINT_NONE};
			uint32_t known = 0;
			while (known < count && hashes[known] != search.shape->hash)
				known++;
			if (known < count || hd_state_each(header, find_point, &search) != HYDRO_E_CANCELLED)
				continue;
			hashes[count] = search.shape->hash;
			ret_points[count++] = search.point;
		}
	}
	return count;
}

/* ---- the others ---- */

static void build_point(struct all *all, struct hd_worker *w, uint32_t point)
{
	struct hd_point_block *block = hd_pipeline_block(w->pipeline, point);
	struct hd_plan *plan = NULL;
	int rc = block ? HYDRO_OK : HYDRO_E_NOMEM;
	if (rc == HYDRO_OK && block->shape)
		return;
	HD_CLEANUP(hd_cleanup_point) const struct hd_point *config = rc == HYDRO_OK ? hd_points_get(w->pipeline->config.points, point) : NULL;
	if (config && !(config->bits & HD_POINT_DELETED) && *hd_point_pipeline(config) && (rc = all->build(all->arg, w->index, config, &plan)) == HYDRO_OK) {
		if (!block->config)
			hd_block_refresh(w, block, point);
		rc = hd_block_set_plan(w, block, point, plan, NULL);
	}
	hd_plan_free(&plan);
	if (rc == HYDRO_E_NOMEM)
		all_failed(all);
}

static void build_job(void *arg, struct hd_worker *w)
{
	struct all *all = arg;
	uint32_t count = hd_points_count(w->pipeline->config.points);
	for (uint32_t point = 0; point < count && !__atomic_load_n(&all->failed, __ATOMIC_RELAXED); point++)
		if (hd_pipeline_worker_of(w->pipeline, point) == w->index)
			build_point(all, w, point);
	all_leave(all, 0);
}

int hd_pipeline_build_rest(struct hd_pipeline *p, int (*build)(void *arg, uint32_t worker, const struct hd_point *point, struct hd_plan **ret), void *arg,
			   struct hydro_error *err)
{
	struct all all = {.p = p, .build = build, .arg = arg};
	return all_run(&all, build_job, err);
}
