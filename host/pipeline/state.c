/* SPDX-License-Identifier: MIT */
/*
 * Step state on disk. Workers write their shards in turn into memory, stamped with an LSN up to which everything has gone
 * through them; the keeper's thread puts each into its file once all it holds is synced: state is never ahead of data. At
 * the start the files are mapped, points take their state when they get their plan, and the journal's tail goes through.
 */
#include "pipeline/keeper.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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
	hd_keeper_path(p, image->shard, path, sizeof path);
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
	for (size_t i = 0; i < written; i++) {
		p->keeper->shard_lsn[images[i]->shard] = images[i]->lsn;
		atomic_fetch_add_explicit(&p->state_bytes, images[i]->data.len, memory_order_relaxed);
	}
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
	for (uint32_t i = 0; i < HD_PAGES; i++) {
		const struct hd_stored *page = atomic_load_explicit(&k->pages[i], memory_order_relaxed);
		for (uint32_t n = 0; page && n < HD_PAGE_POINTS; n++)
			if (page[n].point)
				return false;
	}
	return true;
}

static void let_go(struct hd_keeper *k)
{
	for (uint32_t i = 0; i < HD_SHARDS; i++) {
		if (k->maps[i].data)
			(void)munmap(k->maps[i].data, k->maps[i].len);
		k->maps[i] = (struct mapping){NULL, 0};
	}
	for (uint32_t i = 0; i < HD_PAGES; i++) {
		free(atomic_load_explicit(&k->pages[i], memory_order_relaxed));
		atomic_store_explicit(&k->pages[i], NULL, memory_order_relaxed);
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
	rc = hd_keeper_read(p, err);
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
