/* SPDX-License-Identifier: MIT */
/*
 * Step state on disk. Workers write their shards in turn into memory, stamped with an LSN up to which everything has gone
 * through them; the keeper's thread puts each into its file once all it holds is synced: state is never ahead of data. At
 * the start the files are mapped, points take their state when they get their plan, and the journal's tail goes through.
 */
#include "pipeline/state_file.h"

#include "base/fs.h"
#include "base/queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_SHARDS (4u * HD_SHARDS)
#define AT_ONCE 64u /* shards that share one sync of the folder */
#define POLL_MS 20

/* A shard that was written to memory. */
struct shard_image {
	uint32_t shard;
	struct hd_worker *worker;
	uint64_t seq; /* of the worker's last batch that is in it */
	uint64_t lsn;
	struct hd_buf data;
};

struct mapping {
	void *data;
	size_t len;
};

struct hd_keeper {
	pthread_t thread;
	bool started;
	struct hd_queue *queue; /* of shard_image */
	_Atomic bool stopping;
	uint64_t shard_lsn[HD_SHARDS]; /* keeper's thread after the start */
	struct mapping maps[HD_SHARDS];
	/* Entries that no plan took over yet, by point; a pointer pair each. Owned by the point's worker after the start. */
	struct hd_stored *pages[HD_PAGES];
	_Atomic bool recovered;
	struct hd_shape *last; /* the shape found last, with a reference: most points share few. [control] */
};

static void path_of(const struct hd_pipeline *p, uint32_t shard, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s/%02x.state", p->config.state_dir, shard);
}

/* ---- reading at the start ---- */

static int keep_entry(void *arg, const struct hd_stored *stored)
{
	struct hd_pipeline *p = arg;
	uint32_t point = stored->point->point;
	struct hd_point_block *block = hd_pipeline_block(p, point);
	struct hd_stored **page = &p->keeper->pages[point / HD_PAGE_POINTS];
	if (!*page)
		*page = calloc(HD_PAGE_POINTS, sizeof **page);
	if (!block || !*page)
		return HYDRO_E_NOMEM;
	if (stored->shape)
		(*page)[point % HD_PAGE_POINTS] = *stored;
	const struct hd_state_point *entry = stored->point;
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

static int map_file(const char *path, struct mapping *ret, struct hydro_error *err)
{
	HD_CLEANUP(hd_cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0)
		return errno == ENOENT ? HYDRO_E_NOTFOUND : hd_error_errno(err, HYDRO_E_IO, errno, "cannot open %s", path);
	if (fstat(fd, &st) != 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot read %s", path);
	if (st.st_size == 0)
		return hd_error_set(err, HYDRO_E_CORRUPT, "state file %s is empty", path);
	void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (data == MAP_FAILED)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot map %s", path);
	*ret = (struct mapping){data, (size_t)st.st_size};
	return HYDRO_OK;
}

/* A file that does not check is set aside: its points begin at the journal's oldest record instead. */
static int read_shard(struct hd_pipeline *p, uint32_t shard, struct hydro_error *err)
{
	struct hd_keeper *k = p->keeper;
	char path[4096], aside[4200];
	path_of(p, shard, path, sizeof path);
	int rc = map_file(path, &k->maps[shard], err);
	if (rc == HYDRO_E_NOTFOUND)
		return HYDRO_OK;
	if (rc == HYDRO_OK)
		rc = hd_state_check(k->maps[shard].data, k->maps[shard].len, shard, path, err);
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
	k->shard_lsn[shard] = ((const struct hd_state_header *)k->maps[shard].data)->lsn;
	rc = hd_state_each(k->maps[shard].data, keep_entry, p);
	return rc == HYDRO_OK ? rc : hd_error_set(err, rc, "no memory for the state of points");
}

bool hd_keeper_stored(struct hd_pipeline *p, uint32_t point, struct hd_stored *ret)
{
	struct hd_keeper *k = p->keeper;
	const struct hd_stored *page = k ? k->pages[point / HD_PAGE_POINTS] : NULL;
	if (!page || !page[point % HD_PAGE_POINTS].point)
		return false;
	*ret = page[point % HD_PAGE_POINTS];
	return true;
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
	p->keeper->pages[point / HD_PAGE_POINTS][point % HD_PAGE_POINTS] = (struct hd_stored){0};
}

int hd_pipeline_plan_stored(struct hd_pipeline *p, uint32_t point, uint64_t config_version, uint32_t generation, struct hd_plan **ret)
{
	struct hd_stored stored;
	if (!hd_keeper_stored(p, point, &stored) || !stored.shape || stored.point->config_version != (uint32_t)config_version || !config_version ||
	    stored.shape->generation != generation)
		return HYDRO_E_NOTFOUND;
	struct hd_keeper *k = p->keeper;
	if (!k->last || k->last->hash != stored.shape->hash) {
		struct hd_shape *found = hd_shapes_find(p->shapes, stored.shape->hash);
		if (!found)
			return HYDRO_E_NOTFOUND;
		if (k->last)
			hd_shape_unref(k->last);
		k->last = found;
	}
	struct hd_shape *shape = k->last;
	struct hd_plan *plan = shape->param_count == stored.shape->params && shape->generation == generation
				       ? malloc(sizeof *plan + shape->param_count * sizeof *plan->params) : NULL;
	if (!plan)
		return HYDRO_E_NOTFOUND;
	hd_shape_ref(shape);
	plan->shape = shape;
	plan->config_version = config_version;
	memcpy(plan->params, hd_stored_params(&stored), shape->param_count * sizeof *plan->params);
	*ret = plan;
	return HYDRO_OK;
}

/* ---- writing ---- */

static void image_free(struct shard_image *image)
{
	hd_buf_done(&image->data);
	free(image);
}

static void release(struct hd_pipeline *p)
{
	uint64_t least = UINT64_MAX;
	for (uint32_t i = 0; i < HD_SHARDS; i++)
		least = HD_MIN(least, p->keeper->shard_lsn[i]);
	if (p->config.release && least)
		p->config.release(p->config.release_arg, least);
}

/* Waits until all that is in it is synced; false when the pipeline stops without that. */
static bool wait_synced(struct hd_keeper *k, const struct shard_image *image)
{
	const struct timespec nap = {0, POLL_MS * 1000000L};
	while (!hd_worker_is_synced(image->worker, image->seq)) {
		if (atomic_load(&k->stopping))
			return false;
		(void)nanosleep(&nap, NULL);
	}
	return true;
}

static int write_new(const struct hd_pipeline *p, const struct shard_image *image, struct hydro_error *err)
{
	char path[4096];
	(void)snprintf(path, sizeof path, "%s/%02x.state.new", p->config.state_dir, image->shard);
	HD_CLEANUP(hd_cleanup_fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot create %s", path);
	int rc = hd_fs_pwrite(fd, image->data.data, image->data.len, 0, err);
	if (rc == HYDRO_OK && fdatasync(fd) != 0)
		rc = hd_error_errno(err, HYDRO_E_IO, errno, "cannot sync %s", path);
	return rc;
}

static int put_in_place(const struct hd_pipeline *p, const struct shard_image *image, struct hydro_error *err)
{
	char path[4096], fresh[4200];
	path_of(p, image->shard, path, sizeof path);
	(void)snprintf(fresh, sizeof fresh, "%s.new", path);
	return rename(fresh, path) == 0 ? HYDRO_OK : hd_error_errno(err, HYDRO_E_IO, errno, "cannot rename %s", fresh);
}

/* Several shards become files together: each synced, renamed, then their folder once. */
static void publish(struct hd_pipeline *p, struct shard_image **images, size_t count)
{
	struct hydro_error err = {.struct_size = sizeof err};
	int rc = HYDRO_OK;
	size_t written = 0;
	while (written < count && rc == HYDRO_OK && wait_synced(p->keeper, images[written])) {
		rc = write_new(p, images[written], &err);
		written += rc == HYDRO_OK;
	}
	for (size_t i = 0; i < written && rc == HYDRO_OK; i++)
		rc = put_in_place(p, images[i], &err);
	if (rc == HYDRO_OK && written)
		rc = hd_fs_sync_dir(p->config.state_dir, &err);
	if (rc != HYDRO_OK) {
		hd_pipeline_event(p, HD_EVENT_WARN, "state_write_failed", HD_POINT_NONE, "%s; more of the journal is read at the next start", err.text);
		return;
	}
	for (size_t i = 0; i < written; i++)
		p->keeper->shard_lsn[images[i]->shard] = images[i]->lsn;
	release(p);
}

static void *keeper_main(void *arg)
{
	struct hd_pipeline *p = arg;
	void *items[AT_ONCE];
	size_t count;
	while ((count = hd_queue_pop(p->keeper->queue, items, AT_ONCE, -1)) > 0) {
		struct shard_image *images[AT_ONCE];
		for (size_t i = 0; i < count; i++)
			images[i] = items[i];
		publish(p, images, count);
		for (size_t i = 0; i < count; i++)
			image_free(images[i]);
	}
	return NULL;
}

static bool write_shard(struct hd_worker *w, uint32_t shard)
{
	struct hd_pipeline *p = w->pipeline;
	uint32_t end = hd_points_count(p->config.points), count = 0;
	uint32_t *points = malloc((end / HD_SHARDS + 64) * 4 * sizeof *points);
	struct shard_image *image = calloc(1, sizeof *image);
	uint32_t room = (end / HD_SHARDS + 64) * 4;
	for (uint32_t i = 0; points && i < end && count < room; i++)
		if (hd_shard_of(i) == shard)
			points[count++] = i;
	/* What is synced anywhere at this moment has gone through this worker, as far as it is its own. */
	bool ok = points && image;
	if (ok) {
		*image = (struct shard_image){.shard = shard, .worker = w, .seq = w->seq, .lsn = atomic_load(&p->synced_lsn)};
		ok = hd_state_write(p, shard, points, count, image->lsn, &image->data) && hd_queue_try_push(p->keeper->queue, image);
	}
	if (!ok && image)
		image_free(image);
	free(points);
	return ok;
}

void hd_worker_checkpoint(struct hd_worker *w, bool all)
{
	struct hd_pipeline *p = w->pipeline;
	if (!p->keeper || !atomic_load(&p->keeper->recovered))
		return;
	int64_t now = hd_clock_real_ns();
	int64_t step = p->config.checkpoint_ms * HD_NS_PER_MS / HD_SHARDS * p->worker_count;
	if (!all && now < w->checkpoint_ns)
		return;
	w->checkpoint_ns = now + step;
	if (w->pending_count)
		hd_worker_execute(w);
	if (hd_worker_flush(w, NULL) != HYDRO_OK)
		return;
	for (uint32_t i = 0; i < HD_SHARDS; i++) {
		uint32_t shard = w->checkpoint_shard++ % HD_SHARDS;
		if (shard % p->worker_count != w->index)
			continue;
		(void)write_shard(w, shard);
		if (!all)
			break;
	}
}

/* ---- life ---- */

/* Points without a plan keep what they were read with, so that a later plan finds it and a checkpoint does not lose it. */
static bool all_taken(const struct hd_keeper *k)
{
	for (uint32_t i = 0; i < HD_PAGES; i++)
		for (uint32_t n = 0; k->pages[i] && n < HD_PAGE_POINTS; n++)
			if (k->pages[i][n].point)
				return false;
	return true;
}

static void let_go(struct hd_keeper *k)
{
	if (k->last)
		hd_shape_unref(HD_STEAL(k->last));
	for (uint32_t i = 0; i < HD_SHARDS; i++) {
		if (k->maps[i].data)
			(void)munmap(k->maps[i].data, k->maps[i].len);
		k->maps[i] = (struct mapping){NULL, 0};
	}
	for (uint32_t i = 0; i < HD_PAGES; i++) {
		free(k->pages[i]);
		k->pages[i] = NULL;
	}
}

int hd_keeper_open(struct hd_pipeline *p, struct hydro_error *err)
{
	if (!p->config.state_dir)
		return HYDRO_OK;
	int rc = hd_fs_mkdirs(p->config.state_dir, 0700, err);
	if (rc != HYDRO_OK)
		return rc;
	struct hd_keeper *k = calloc(1, sizeof *k);
	if (!k || hd_queue_new(QUEUE_SHARDS, &k->queue) != HYDRO_OK) {
		free(k);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the keeper of state");
	}
	p->keeper = k;
	for (uint32_t shard = 0; shard < HD_SHARDS && rc == HYDRO_OK; shard++)
		rc = read_shard(p, shard, err);
	if (rc == HYDRO_OK)
		rc = hd_thread_start(&k->thread, HD_ROLE_ANY, "state", keeper_main, p, err);
	k->started = rc == HYDRO_OK;
	return rc;
}

void hd_keeper_drain(struct hd_pipeline *p, bool give_up)
{
	struct hd_keeper *k = p->keeper;
	if (!k || !k->started)
		return;
	atomic_store(&k->stopping, give_up);
	hd_queue_close(k->queue);
	(void)pthread_join(k->thread, NULL);
	k->started = false;
}

void hd_keeper_close(struct hd_pipeline *p)
{
	struct hd_keeper *k = p->keeper;
	if (!k)
		return;
	hd_keeper_drain(p, true);
	let_go(k);
	hd_queue_free(&k->queue);
	free(k);
	p->keeper = NULL;
}

uint64_t hd_keeper_lsn(const struct hd_pipeline *p, uint32_t shard)
{
	return p->keeper ? p->keeper->shard_lsn[shard] : 0;
}

void hd_keeper_recovered(struct hd_pipeline *p)
{
	if (!p->keeper)
		return;
	if (all_taken(p->keeper))
		let_go(p->keeper);
	atomic_store(&p->keeper->recovered, true);
}
