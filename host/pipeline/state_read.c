/* SPDX-License-Identifier: MIT */
/* Step state from its files at the start. Shards are of one worker each, so they are read, and their points' plans given, side by side. */
#include "pipeline/keeper.h"

#include "base/fs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATE_FILE_BYTES_MAX ((size_t)1 << 30)

/* The page of a point's entry, made if need be: by any of the threads that read. */
static struct hd_stored *stored_page(struct hd_pipeline *p, uint32_t point)
{
	_Atomic(struct hd_stored *) *at = &p->keeper->pages[point / HD_PAGE_POINTS];
	struct hd_stored *page = atomic_load_explicit(at, memory_order_acquire), *none = NULL;
	if (page || !(page = calloc(HD_PAGE_POINTS, sizeof *page)))
		return page;
	if (atomic_compare_exchange_strong(at, &none, page))
		return page;
	free(page);
	return none;
}

uint64_t *hd_keeper_sum(struct hd_pipeline *p, uint32_t point)
{
	_Atomic(uint64_t *) *at = &p->keeper->sums[point / HD_PAGE_POINTS];
	uint64_t *page = atomic_load_explicit(at, memory_order_acquire), *none = NULL;
	if (!page && (page = calloc(HD_PAGE_POINTS, sizeof *page)) && !atomic_compare_exchange_strong(at, &none, page)) {
		free(page);
		page = none;
	}
	return page ? &page[point % HD_PAGE_POINTS] : NULL;
}

static int keep_entry(void *arg, const struct hd_stored *stored)
{
	struct hd_pipeline *p = arg;
	uint32_t point = stored->point->point;
	struct hd_point_block *block = hd_pipeline_block(p, point);
	struct hd_stored *page = stored_page(p, point);
	if (!block || !page)
		return HYDRO_E_NOMEM;
	if (stored->shape)
		page[point % HD_PAGE_POINTS] = *stored;
	const struct hd_state_point *entry = stored->point;
	uint64_t *sum = hd_keeper_sum(p, point);
	if (!sum)
		return HYDRO_E_NOMEM;
	*sum = hd_state_sum(entry, stored->shape ? stored->shape->hash : 0, stored->shape ? stored->shape->generation : 0);
	const struct hd_known_raw *known = hd_stored_known(stored);
	block->newest_ms = entry->newest_ms;
	block->newest_rev = entry->newest_rev;
	block->bits = entry->bits;
	if (entry->known > HD_KNOWN_INLINE && !hd_block_extra(block))
		return HYDRO_E_NOMEM;
	block->known_count = entry->known;
	for (uint32_t i = 0; i < entry->known; i++)
		*(i < HD_KNOWN_INLINE ? &block->known[i] : &block->extra->more[i]) = known[i];
	if (entry->latest_ms) {
		struct hd_sample sample = {.ts_ms = entry->latest_ms, .rev = entry->latest_rev, .point = point, .value_count = entry->latest,
					   .values = hd_stored_latest(stored)};
		hd_latest_put(p->latest, &sample);
	}
	return HYDRO_OK;
}

/* A file that does not check is set aside: its points begin at the journal's oldest record instead. */
static int read_shard(struct hd_pipeline *p, uint32_t shard, struct hydro_error *err)
{
	struct hd_keeper *k = p->keeper;
	char path[4096], aside[4200];
	hd_keeper_path(p, shard, path, sizeof path);
	struct shard_file *file = &k->files[shard];
	struct hd_buf data = {0};
	struct hd_frames frames = {0};
	atomic_store(&file->want_all, true);
	int rc = hd_fs_read(path, STATE_FILE_BYTES_MAX, &data, err);
	if (rc == HYDRO_OK)
		rc = hd_frames_read(data.data, data.len, shard, path, &frames, err);
	hd_buf_done(&data);
	atomic_store(&file->want_all, rc != HYDRO_OK || frames.end == 0);
	if (rc == HYDRO_E_NOTFOUND)
		return HYDRO_OK;
	if (rc == HYDRO_E_CORRUPT) {
		(void)snprintf(aside, sizeof aside, "%s.corrupt", path);
		(void)rename(path, aside);
		p->lost[shard] = true;
		hd_pipeline_event(p, HD_EVENT_ERROR, "state_corrupt", HD_POINT_NONE, "%s; set aside, its points are run again from journal and history",
				  err ? err->text : path);
		return HYDRO_OK;
	}
	if (rc != HYDRO_OK)
		return rc;
	file->image = frames.image;
	file->end = frames.end;
	file->frames = frames.frames ? frames.frames - 1 : 0;
	file->changed = frames.changed;
	file->written_lsn = frames.lsn;
	atomic_store(&file->lsn, frames.lsn);
	rc = hd_state_each(file->image.data, keep_entry, p);
	return rc == HYDRO_OK ? rc : hd_error_set(err, rc, "no memory for the state of points");
}

/* The shards of one worker. */
struct part {
	struct hd_pipeline *p;
	uint32_t worker;
	pthread_t thread;
	bool started;
	int rc;
	struct hydro_error err;
};

static void *read_part(void *arg)
{
	struct part *part = arg;
	for (uint32_t shard = part->worker; shard < HD_SHARDS && part->rc == HYDRO_OK; shard += part->p->worker_count)
		part->rc = read_shard(part->p, shard, &part->err);
	return NULL;
}

int hd_keeper_read(struct hd_pipeline *p, struct hydro_error *err)
{
	struct part *parts = calloc(p->worker_count, sizeof *parts);
	if (!parts)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the state of points");
	for (uint32_t i = 0; i < p->worker_count; i++) {
		parts[i] = (struct part){.p = p, .worker = i, .err = {.struct_size = sizeof parts[i].err}};
		parts[i].started = i > 0 && hd_thread_start(&parts[i].thread, HD_ROLE_ANY, "state-read", read_part, &parts[i], NULL) == HYDRO_OK;
	}
	int rc = HYDRO_OK;
	for (uint32_t i = 0; i < p->worker_count; i++) {
		if (!parts[i].started)
			(void)read_part(&parts[i]);
		else
			(void)pthread_join(parts[i].thread, NULL);
		if (parts[i].rc != HYDRO_OK && rc == HYDRO_OK)
			rc = hd_error_set(err, parts[i].rc, "%s", parts[i].err.text);
	}
	free(parts);
	return rc;
}

bool hd_keeper_stored(struct hd_pipeline *p, uint32_t point, struct hd_stored *ret)
{
	struct hd_keeper *k = p->keeper;
	const struct hd_stored *page = k ? atomic_load_explicit(&k->pages[point / HD_PAGE_POINTS], memory_order_acquire) : NULL;
	if (!page || !page[point % HD_PAGE_POINTS].point)
		return false;
	*ret = page[point % HD_PAGE_POINTS];
	return true;
}

void hd_keeper_forget(struct hd_pipeline *p, uint32_t point)
{
	atomic_load_explicit(&p->keeper->pages[point / HD_PAGE_POINTS], memory_order_relaxed)[point % HD_PAGE_POINTS] = (struct hd_stored){0};
}

void hd_keeper_take(struct hd_pipeline *p, uint32_t point, const struct hd_shape *shape, uint8_t *state, struct hd_swap_report *report)
{
	struct hd_stored stored;
	if (!hd_keeper_stored(p, point, &stored) || !stored.shape)
		return;
	const struct hd_state_step *old = hd_stored_steps(&stored);
	for (uint32_t i = 0; i < shape->step_count; i++) {
		const struct hd_step *step = &shape->steps[i];
		for (uint32_t k = 0; k < stored.shape->steps && step->state_bytes; k++)
			if (old[k].identity == step->identity && old[k].kind == step->kind_hash &&
			    hd_step_take_state(step, hd_stored_state(&stored) + old[k].offset, old[k].bytes, state)) {
				if (report) {
					report->states_kept++;
					report->states_reset--;
				}
				break;
			}
	}
	hd_keeper_forget(p, point);
}
