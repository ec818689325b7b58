/* SPDX-License-Identifier: MIT */
#include "pipeline/inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hd_point_block *hd_pipeline_block(struct hd_pipeline *p, uint32_t point)
{
	struct hd_point_block *block = hd_pipeline_block_find(p, point);
	if (block || point >= HD_POINTS_MAX)
		return block;
	(void)pthread_mutex_lock(&p->pages_lock);
	if (!atomic_load_explicit(&p->pages[point / HD_PAGE_POINTS], memory_order_relaxed)) {
		struct hd_point_block *page = aligned_alloc(64, HD_PAGE_POINTS * sizeof *page);
		if (page)
			memset(page, 0, HD_PAGE_POINTS * sizeof *page);
		atomic_store_explicit(&p->pages[point / HD_PAGE_POINTS], page, memory_order_release);
	}
	(void)pthread_mutex_unlock(&p->pages_lock);
	return hd_pipeline_block_find(p, point);
}

struct hd_point_extra *hd_block_extra(struct hd_point_block *block)
{
	if (!block->extra)
		block->extra = calloc(1, sizeof *block->extra);
	return block->extra;
}

static uint32_t data_bytes(const struct hd_shape *shape)
{
	return shape->param_count * (uint32_t)sizeof(double) + shape->state_bytes;
}

static void take_config(struct hd_worker *w, struct hd_point_block *block, const struct hd_point *config)
{
	hd_point_unref(block->config);
	block->config = config;
	block->join_ms = config->join_ms;
	/* Without a pipeline raw values pass as they are; with one that has no plan they are kept raw. */
	struct hd_shape *pass = w->pipeline->pass;
	bool passes = hd_point_pipeline(config)[0] == '\0';
	if (passes && !block->shape) {
		hd_shape_ref(pass);
		block->shape = pass;
		block->data = hd_slab_take(w->slab, 0);
	} else if (!passes && block->shape == pass) {
		hd_shape_unref(pass);
		block->shape = NULL;
	}
}

int hd_block_ready(struct hd_worker *w, struct hd_point_block *block, uint32_t point, struct hydro_error *err)
{
	if (HD_UNLIKELY(w->swap != NULL))
		hd_worker_swap_point(w, block, point);
	if (HD_LIKELY(block->bits & HD_HOT_SEEN && block->config))
		return HYDRO_OK;
	const struct hd_point *config = hd_points_get(w->pipeline->config.points, point);
	if (!config)
		return hd_error_set(err, HYDRO_E_INVALID, "there is no point number %u", point);
	block->bits |= HD_HOT_SEEN;
	take_config(w, block, config);
	return HYDRO_OK;
}

void hd_block_refresh(struct hd_worker *w, struct hd_point_block *block, uint32_t point)
{
	const struct hd_point *config = hd_points_get(w->pipeline->config.points, point);
	if (config)
		take_config(w, block, config);
}

void hd_swap_report_name(struct hd_swap_report *report, const char *label)
{
	for (uint32_t i = 0; i < report->named; i++)
		if (strcmp(report->names[i], label) == 0)
			return;
	if (report->named < HD_SWAP_NAMED_MAX)
		(void)snprintf(report->names[report->named++], HD_SWAP_NAME_BYTES, "%s", label);
}

void hd_state_migrate(const struct hd_shape *from, const uint8_t *from_state, const struct hd_shape *to, uint8_t *to_state, struct hd_swap_report *report)
{
	for (uint32_t i = 0; i < to->step_count; i++) {
		const struct hd_step *now = &to->steps[i];
		if (!now->state_bytes)
			continue;
		bool kept = false;
		for (uint32_t k = 0; from && k < from->step_count && !kept; k++) {
			const struct hd_step *old = &from->steps[k];
			if (old->identity == now->identity && old->kind == now->kind && old->slot_count == now->slot_count)
				kept = hd_step_take_state(now, from_state + old->state, old->state_bytes, to_state);
		}
		if (!report)
			continue;
		kept ? report->states_kept++ : report->states_reset++;
		if (!kept && from)
			hd_swap_report_name(report, now->label);
	}
}

/* Another plan, another chance. */
static void clear_strikes(struct hd_worker *w, struct hd_point_extra *extra)
{
	uint64_t off = (uint64_t)__builtin_popcountll(extra->lua_off);
	HD_COUNT(w, steps_off, 0 - off);
	memset(extra->strikes, 0, sizeof extra->strikes);
	extra->lua_off = 0;
}

int hd_block_set_plan(struct hd_worker *w, struct hd_point_block *block, uint32_t point, struct hd_plan *plan, struct hd_swap_report *report)
{
	struct hd_shape *old = block->shape;
	uint8_t *old_data = block->data;
	if (plan) {
		struct hd_shape *shape = plan->shape;
		uint32_t param_bytes = shape->param_count * (uint32_t)sizeof(double);
		uint8_t *data = hd_slab_take(w->slab, param_bytes + shape->state_bytes);
		if (!data)
			return HYDRO_E_NOMEM;
		memcpy(data, plan->params, param_bytes);
		hd_shape_state_init(shape, data + param_bytes);
		hd_state_migrate(old, old ? hd_block_state(block) : NULL, shape, data + param_bytes, report);
		if (w->pipeline->keeper && (!old || old == w->pipeline->pass))
			hd_keeper_take(w->pipeline, point, shape, data + param_bytes, report);
		block->shape = HD_STEAL(plan->shape);
		block->data = data;
		block->plan_version = (uint32_t)(plan->config_version || !block->config ? plan->config_version : block->config->version);
	} else {
		block->shape = NULL;
		block->data = NULL;
	}
	block->undo = 0; /* of another layout */
	if (block->extra)
		clear_strikes(w, block->extra);
	if (old) {
		hd_slab_give(w->slab, old_data, data_bytes(old));
		hd_shape_unref(old);
	}
	return HYDRO_OK;
}

void hd_block_done(struct hd_worker *w, struct hd_point_block *block)
{
	if (block->shape) {
		hd_slab_give(w->slab, block->data, data_bytes(block->shape));
		hd_shape_unref(block->shape);
	}
	if (block->extra)
		free(block->extra->held);
	free(block->extra);
	hd_point_unref(block->config);
	*block = (struct hd_point_block){0};
}
