/* SPDX-License-Identifier: MIT */
#include "pipeline/compile.h"

#include "base/hash.h"
#include "lua/lua.h"
#include "model/flags.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_PLANS 4096u

int hd_shapes_new(struct hd_names *names, struct hd_shapes **ret)
{
	struct hd_shapes *shapes = calloc(1, sizeof *shapes);
	if (!shapes)
		return HYDRO_E_NOMEM;
	(void)pthread_mutex_init(&shapes->lock, NULL);
	shapes->names = names;
	*ret = shapes;
	return HYDRO_OK;
}

static void free_sinks(struct hd_shapes *shapes)
{
	for (uint32_t i = 0; i < shapes->sink_count; i++)
		free(shapes->sinks[i]);
	free(shapes->sinks);
	shapes->sinks = NULL;
	shapes->sink_count = 0;
}

void hd_shapes_free(struct hd_shapes **shapes)
{
	if (!*shapes)
		return;
	HD_ASSERT((*shapes)->count == 0);
	free_sinks(*shapes);
	free(atomic_load(&(*shapes)->spare));
	(void)pthread_mutex_destroy(&(*shapes)->lock);
	free(*shapes);
	*shapes = NULL;
}

uint32_t hd_shapes_count(struct hd_shapes *shapes)
{
	(void)pthread_mutex_lock(&shapes->lock);
	uint32_t count = shapes->count;
	(void)pthread_mutex_unlock(&shapes->lock);
	return count;
}

void hd_shapes_set_detectors(struct hd_shapes *shapes, const struct hd_detectors *detectors)
{
	(void)pthread_mutex_lock(&shapes->lock);
	shapes->detectors = detectors;
	(void)pthread_mutex_unlock(&shapes->lock);
}

int hd_shapes_set_sinks(struct hd_shapes *shapes, const char *const *names, uint32_t count)
{
	(void)pthread_mutex_lock(&shapes->lock);
	free_sinks(shapes);
	shapes->sinks = calloc(count + 1, sizeof *shapes->sinks);
	int rc = shapes->sinks ? HYDRO_OK : HYDRO_E_NOMEM;
	for (uint32_t i = 0; rc == HYDRO_OK && i < count; i++) {
		shapes->sinks[i] = strdup(names[i]);
		if (!shapes->sinks[i])
			rc = HYDRO_E_NOMEM;
		else
			shapes->sink_count++;
	}
	shapes->sinks_known = rc == HYDRO_OK;
	(void)pthread_mutex_unlock(&shapes->lock);
	return rc;
}

/* ---- hash-consing ---- */

/* All that makes a shape what it is, as bytes. Pointers to kinds are stable while the process lives; so are scripts with a reference. */
static bool add_key(struct hd_buf *key, const struct hd_compile *c, uint32_t generation, const struct hd_script *script)
{
	const uint32_t head[] = {generation, c->step_count, c->slot_count, c->param_count, c->state_bytes, c->sinks_named, c->table_count};
	hd_buf_add(key, head, sizeof head);
	hd_buf_add(key, &script, sizeof script);
	hd_buf_add(key, c->metrics, c->slot_count * sizeof *c->metrics);
	const uint64_t sets[] = {c->hidden, c->consumed, c->made};
	hd_buf_add(key, sets, sizeof sets);
	hd_buf_add(key, &c->file, sizeof c->file);
	hd_buf_add(key, c->table, c->table_count * sizeof *c->table);
	for (uint32_t i = 0; i < c->step_count; i++) {
		const struct hd_step *s = &c->steps[i];
		const uint32_t numbers[] = {s->param, s->state, s->in_count, s->out_count, s->link, s->link_param, s->rule, s->line, s->table_rows,
					    s->function, s->slot_count, s->state_bytes};
		hd_buf_add(key, &s->kind, sizeof s->kind);
		hd_buf_add(key, &s->identity, sizeof s->identity);
		hd_buf_add(key, &s->detector, sizeof s->detector);
		hd_buf_add(key, numbers, sizeof numbers);
		hd_buf_add(key, s->in, sizeof s->in);
		hd_buf_add(key, s->out, sizeof s->out);
		hd_buf_add(key, s->consts, sizeof s->consts);
	}
	return !key->failed;
}

/* A hash that says the same in the next process, for what is kept on disk: names and numbers only. */
static uint64_t stable_hash(const struct hd_compile *c)
{
	uint64_t h = c->spec->script ? hd_hash(c->spec->script, strlen(c->spec->script)) : 0;
	for (uint32_t i = 0; i < c->step_count; i++) {
		const struct hd_step *s = &c->steps[i];
		h = hd_hash_u64(h ^ hd_hash(s->label, strlen(s->label)));
		h = hd_hash_u64(h ^ s->identity ^ s->kind->state_version);
		h = hd_hash_u64(h ^ hd_hash(s->consts, sizeof s->consts) ^ (uint64_t)s->state << 16 ^ s->param);
		h = hd_hash_u64(h ^ hd_hash(s->in, sizeof s->in));
		h = hd_hash_u64(h ^ hd_hash(s->out, sizeof s->out));
	}
	h = hd_hash_u64(h ^ hd_hash(c->metrics, c->slot_count * sizeof *c->metrics)); /* numbers of names are kept on disk */
	h = hd_hash_u64(h ^ hd_hash(c->file.regulator, sizeof c->file.regulator));
	return hd_hash_u64(h ^ hd_hash(c->table, c->table_count * sizeof *c->table) ^ c->state_bytes ^ (uint64_t)c->param_count << 32);
}

static int fill_shape(struct hd_shape *shape, const struct hd_compile *c)
{
	shape->steps = calloc(c->step_count + 1, sizeof *shape->steps);
	double *table = malloc((c->table_count + 1) * sizeof *table);
	for (uint32_t i = 0; i < c->slot_count; i++)
		shape->metric_limit = HD_MAX(shape->metric_limit, c->metrics[i] + 1);
	shape->slot_of = malloc(shape->metric_limit + 1);
	if (!shape->steps || !table || !shape->slot_of) {
		free(table);
		return HYDRO_E_NOMEM;
	}
	memcpy(table, c->table, c->table_count * sizeof *table);
	memcpy(shape->steps, c->steps, c->step_count * sizeof *shape->steps);
	for (uint32_t i = 0; i < c->step_count; i++) {
		struct hd_step *step = &shape->steps[i];
		step->table = step->table ? table + (step->table - c->table) : NULL;
		shape->stateful_steps += (step->kind->bits & HD_STEP_STATEFUL) != 0 || step->slot_count > 0;
		shape->lua_steps += step->kind == &hd_step_lua;
		if (step->kind->bits & HD_STEP_LOOKS_AHEAD)
			shape->ahead_ms = HD_MAX(shape->ahead_ms, (int64_t)step->consts[0]);
	}
	/* steps[step_count].table keeps the memory of all tables. */
	shape->steps[c->step_count].table = table;
	memset(shape->slot_of, HD_SLOT_NONE, shape->metric_limit + 1);
	memcpy(shape->metrics, c->metrics, sizeof shape->metrics);
	for (uint32_t i = 0; i < c->slot_count; i++)
		if (c->metrics[i])
			shape->slot_of[c->metrics[i]] = (uint8_t)i;
	shape->step_count = c->step_count;
	shape->slot_count = c->slot_count;
	shape->param_count = c->param_count;
	shape->state_bytes = c->state_bytes;
	shape->sinks_named = c->sinks_named;
	shape->file = c->file;
	shape->hidden = c->hidden;
	shape->consumed = c->consumed;
	shape->made = c->made;
	return HYDRO_OK;
}

static void free_shape(struct hd_shape *shape)
{
	if (shape->steps)
		free((void *)(uintptr_t)shape->steps[shape->step_count].table);
	free(shape->steps);
	free(shape->slot_of);
	free(shape->key);
	if (shape->script)
		hd_script_unref(&shape->script);
	free(shape);
}

/* The shape of `key`, made when there is none; with a reference. Takes key's memory. */
static int intern_shape(struct hd_shapes *shapes, struct hd_buf *key, const struct hd_compile *c, uint32_t generation, struct hd_script *script,
			struct hd_shape **ret)
{
	uint64_t hash = hd_hash(key->data, key->len);
	struct hd_shape **bucket = &shapes->buckets[hash % HD_ARRAY_LEN(shapes->buckets)];
	int rc = HYDRO_OK;
	(void)pthread_mutex_lock(&shapes->lock);
	struct hd_shape *shape = *bucket;
	while (shape && (shape->key_bytes != key->len || memcmp(shape->key, key->data, key->len) != 0))
		shape = shape->next;
	if (!shape) {
		shape = calloc(1, sizeof *shape);
		rc = shape ? fill_shape(shape, c) : HYDRO_E_NOMEM;
		if (rc == HYDRO_OK) {
			shape->key_bytes = (uint32_t)key->len;
			shape->key = HD_STEAL(key->data);
			*key = (struct hd_buf){0};
			shape->hash = stable_hash(c);
			shape->generation = generation;
			shape->script = script ? hd_script_ref(script) : NULL;
			for (uint32_t i = 0; !script && i < shape->step_count; i++)
				shape->steps[i].lib = NULL; /* nobody would hold it */
			shape->owner = shapes;
			shape->number = ++shapes->next_number;
			shape->next = *bucket;
			*bucket = shape;
			shapes->count++;
		} else if (shape) {
			shape->step_count = shape->steps ? c->step_count : 0;
			free_shape(HD_STEAL(shape));
		}
	}
	if (shape)
		hd_shape_ref(shape);
	(void)pthread_mutex_unlock(&shapes->lock);
	if (rc == HYDRO_OK)
		*ret = shape;
	return rc;
}

struct hd_shape *hd_shapes_find(struct hd_shapes *shapes, uint64_t hash)
{
	struct hd_shape *found = NULL;
	(void)pthread_mutex_lock(&shapes->lock);
	for (size_t i = 0; i < HD_ARRAY_LEN(shapes->buckets) && !found; i++)
		for (struct hd_shape *shape = shapes->buckets[i]; shape && !found; shape = shape->next)
			if (shape->hash == hash)
				found = shape;
	if (found)
		hd_shape_ref(found);
	(void)pthread_mutex_unlock(&shapes->lock);
	return found;
}

void hd_shape_ref(struct hd_shape *shape)
{
	hd_shape_ref_many(shape, 1);
}

void hd_shape_ref_many(struct hd_shape *shape, uint32_t count)
{
	(void)__atomic_add_fetch(&shape->refs, count, __ATOMIC_RELAXED);
}

/* Unless it is the last one: that goes under the lock, or another could find the shape meanwhile. */
static bool unref_shared(struct hd_shape *shape)
{
	uint32_t refs = __atomic_load_n(&shape->refs, __ATOMIC_RELAXED);
	while (refs > 1)
		if (__atomic_compare_exchange_n(&shape->refs, &refs, refs - 1, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
			return true;
	return false;
}

void hd_shape_unref(struct hd_shape *shape)
{
	struct hd_shapes *shapes = shape->owner;
	if (HD_LIKELY(unref_shared(shape)))
		return;
	(void)pthread_mutex_lock(&shapes->lock);
	bool last = __atomic_sub_fetch(&shape->refs, 1, __ATOMIC_ACQ_REL) == 0;
	if (last) {
		struct hd_shape **at = &shapes->buckets[hd_hash(shape->key, shape->key_bytes) % HD_ARRAY_LEN(shapes->buckets)];
		while (*at != shape)
			at = &(*at)->next;
		*at = shape->next;
		shapes->count--;
	}
	(void)pthread_mutex_unlock(&shapes->lock);
	if (last)
		free_shape(shape);
}

uint32_t hd_shape_rule_named(const struct hd_shape *shape, uint32_t rule, const char *name)
{
	char text[HD_NAME_BYTES_MAX];
	struct hd_names *names = shape->owner->names;
	const char *base = hd_names_get(names, HD_NAME_RULE, rule);
	(void)snprintf(text, sizeof text, "%.120s%c%.32s", base ? base : "", HD_FLAG_NAME_MARK, name);
	uint32_t own = hd_names_find(names, HD_NAME_RULE, text);
	return own || hd_names_intern(names, HD_NAME_RULE, text, &own, NULL) == HYDRO_OK ? own : rule;
}

void hd_shape_state_init(const struct hd_shape *shape, uint8_t *state)
{
	memset(state, 0, shape->state_bytes);
	for (uint32_t i = 0; i < shape->step_count; i++)
		for (uint32_t k = 0; k < shape->steps[i].slot_count; k++) /* nil, as Lua sees it */
			((double *)(void *)(state + shape->steps[i].state))[k] = (double)NAN;
}

int hd_plan_compile(struct hd_shapes *shapes, const struct hd_spec *spec, uint32_t generation, struct hd_script *script, struct hd_plan **ret,
		    struct hd_plan_fault *fault, struct hydro_error *err)
{
	if (fault)
		*fault = (struct hd_plan_fault){.step = UINT32_MAX};
	struct hd_compile *c = atomic_exchange(&shapes->spare, NULL);
	c = c ? c : malloc(sizeof *c);
	if (!c)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to compile a plan");
	memset(c, 0, offsetof(struct hd_compile, steps));
	c->shapes = shapes;
	c->spec = spec;
	c->fault = fault;
	struct hd_buf key = {0};
	struct hd_shape *shape = NULL;
	struct hd_plan *plan = NULL;
	int rc = hd_compile_steps(c, err);
	if (rc == HYDRO_OK) {
		rc = add_key(&key, c, generation, script) ? intern_shape(shapes, &key, c, generation, script, &shape) : HYDRO_E_NOMEM;
		plan = rc == HYDRO_OK ? malloc(sizeof *plan + c->param_count * sizeof *plan->params) : NULL;
		if (plan) {
			plan->shape = shape;
			plan->config_version = 0;
			memcpy(plan->params, c->params, c->param_count * sizeof *plan->params);
			*ret = plan;
		} else {
			if (shape)
				hd_shape_unref(shape);
			rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory for a plan");
		}
	}
	hd_buf_done(&key);
	free(atomic_exchange(&shapes->spare, c));
	return rc;
}

void hd_plan_free(struct hd_plan **plan)
{
	if (*plan && (*plan)->shape)
		hd_shape_unref((*plan)->shape);
	free(*plan);
	*plan = NULL;
}

void hd_shape_info(const struct hd_shape *shape, struct hd_shape_info *ret)
{
	*ret = (struct hd_shape_info){.hash = shape->hash, .generation = shape->generation, .steps = shape->step_count, .lua_steps = shape->lua_steps,
				      .stateful_steps = shape->stateful_steps, .slots = shape->slot_count, .params = shape->param_count,
				      .state_bytes = shape->state_bytes, .sinks_named = shape->sinks_named, .script = shape->script};
}
