/* SPDX-License-Identifier: MIT */
/*
 * Step state on disk. Workers write their shards into memory, the one that is furthest behind first, stamped with an LSN up
 * to which everything has gone through them: all points, or those that changed. The keeper's thread packs each and makes it a
 * file or adds it to its file once all it holds is synced: state is never ahead of data. At the start the files are read,
 * points take their state when they get their plan, and the journal's tail goes through.
 */
#include "pipeline/keeper.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_SHARDS (4u * HD_SHARDS)
#define AT_ONCE 64u /* shards that share one sync of the folder */
#define POLL_MS 20
/* A file gets a frame of all points when so many lie behind its first, or they hold so many times its points. */
#define FRAMES_MAX 64u
#define CHANGED_TIMES 2u
#define CATCH_UP 16u /* shards that a worker writes in one go when it is behind */

/* A shard that was written to memory. */
struct shard_image {
	uint32_t shard, kind;
	struct hd_worker *worker;
	uint64_t seq; /* of the worker's last batch that is in it */
	uint64_t lsn;
	struct hd_buf data;
	int fd; /* of its file, while it is written */
	bool failed;
};

/* ---- writing ---- */

static void image_free(struct shard_image *image)
{
	hd_buf_done(&image->data);
	hd_cleanup_fd(&image->fd);
	free(image);
}

static uint64_t least_lsn(const struct hd_keeper *k)
{
	uint64_t least = UINT64_MAX;
	for (uint32_t i = 0; i < HD_SHARDS; i++)
		least = HD_MIN(least, atomic_load_explicit(&k->files[i].lsn, memory_order_relaxed));
	return least;
}

uint64_t hd_keeper_behind(const struct hd_pipeline *p)
{
	uint64_t synced = atomic_load(&p->synced_lsn), least = p->keeper ? least_lsn(p->keeper) : synced;
	return synced > least ? synced - least : 0;
}

static void release(struct hd_pipeline *p)
{
	uint64_t least = least_lsn(p->keeper);
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

/* Behind the frames there are; what a crash left there goes first. */
static int open_file(const char *path, size_t end, int *ret_fd, struct hydro_error *err)
{
	struct stat st;
	HD_CLEANUP(hd_cleanup_fd) int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot open %s", path);
	if (st.st_size < (off_t)end)
		return hd_error_set(err, HYDRO_E_IO, "%s was cut short by somebody", path);
	if (st.st_size > (off_t)end && ftruncate(fd, (off_t)end) != 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot cut %s", path);
	*ret_fd = fd;
	fd = -1;
	return HYDRO_OK;
}

static int write_frame(struct hd_pipeline *p, struct shard_image *image, const struct hd_buf *frame, struct hydro_error *err)
{
	struct shard_file *file = &p->keeper->files[image->shard];
	bool all = image->kind == HD_FRAME_ALL;
	char path[4096], fresh[4200];
	hd_keeper_path(p, image->shard, path, sizeof path);
	(void)snprintf(fresh, sizeof fresh, "%s.new", path);
	int rc = HYDRO_OK;
	if (!all)
		rc = open_file(path, file->end, &image->fd, err);
	else if ((image->fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) < 0)
		rc = hd_error_errno(err, HYDRO_E_IO, errno, "cannot create %s", fresh);
	if (rc == HYDRO_OK)
		rc = hd_fs_pwrite(image->fd, frame->data, frame->len, all ? 0 : (off_t)file->end, err);
	if (rc != HYDRO_OK)
		return rc;
	/* On its way to the disk with the others, so that the syncs that follow have one commit of the file system to wait for. */
	(void)sync_file_range(image->fd, all ? 0 : (off_t)file->end, (off_t)frame->len, SYNC_FILE_RANGE_WRITE);
	file->end = (all ? 0 : file->end) + frame->len;
	return HYDRO_OK;
}

/* Packed and written, not synced yet. */
static int write_image(struct hd_pipeline *p, struct shard_image *image, struct hydro_error *err)
{
	struct hd_buf frame = {0};
	int rc = hd_frame_pack(image->data.data, image->data.len, image->kind, &frame) ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOMEM, "no memory for a frame of state");
	if (rc == HYDRO_OK)
		rc = write_frame(p, image, &frame, err);
	if (rc == HYDRO_OK)
		atomic_fetch_add_explicit(&p->state_bytes, frame.len, memory_order_relaxed);
	hd_buf_done(&frame);
	return rc;
}

/* Synced; a file of its own takes the place of the one there is. */
static int put_in_place(struct hd_pipeline *p, struct shard_image *image, struct hydro_error *err)
{
	char path[4096], fresh[4200];
	hd_keeper_path(p, image->shard, path, sizeof path);
	(void)snprintf(fresh, sizeof fresh, "%s.new", path);
	if (fdatasync(image->fd) != 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot sync %s", path);
	if (image->kind == HD_FRAME_ALL && rename(fresh, path) != 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot rename %s", fresh);
	return HYDRO_OK;
}

/* What changed is in no file now, so the next frame has all points, and none of those on their way is of use. */
static void give_up(struct hd_keeper *k, struct shard_image *image)
{
	image->failed = true;
	k->files[image->shard].broken = true;
	atomic_store(&k->files[image->shard].want_all, true);
}

/* Several shards: all written, then each synced, which is one commit of the file system for most, then their folder once; what they say is so only after that. */
static void publish(struct hd_pipeline *p, struct shard_image **images, size_t count)
{
	struct hd_keeper *k = p->keeper;
	struct hydro_error err = {.struct_size = sizeof err};
	size_t written = 0, failed = 0;
	bool replaced = false;
	for (; written < count && wait_synced(k, images[written]); written++) {
		struct shard_image *image = images[written];
		image->failed = image->kind == HD_FRAME_CHANGED && k->files[image->shard].broken;
		if (!image->failed && write_image(p, image, &err) != HYDRO_OK) {
			give_up(k, image);
			failed++;
		}
	}
	for (size_t i = 0; i < written; i++) {
		struct shard_image *image = images[i];
		image->failed = image->failed || (image->kind == HD_FRAME_CHANGED && k->files[image->shard].broken);
		replaced |= image->kind == HD_FRAME_ALL;
		if (!image->failed && put_in_place(p, image, &err) != HYDRO_OK) {
			give_up(k, image);
			failed++;
		}
		if (!image->failed && image->kind == HD_FRAME_ALL)
			k->files[image->shard].broken = false;
	}
	if (replaced && hd_fs_sync_dir(p->config.state_dir, &err) != HYDRO_OK)
		for (size_t i = 0; i < written; i++, failed++)
			give_up(k, images[i]);
	if (failed)
		hd_pipeline_event(p, HD_EVENT_WARN, "state_write_failed", HD_POINT_NONE, "%s; more of the journal is read at the next start", err.text);
	for (size_t i = 0; i < written; i++)
		if (!images[i]->failed)
			atomic_store(&k->files[images[i]->shard].lsn, images[i]->lsn);
	release(p);
}

/* How many go together: a frame cannot be added to a file that is still to take its place. */
static size_t group_of(struct shard_image *const *images, size_t count)
{
	for (size_t n = 1; n < count; n++)
		for (size_t i = 0; i < n; i++)
			if (images[i]->shard == images[n]->shard && (images[i]->kind == HD_FRAME_ALL || images[n]->kind == HD_FRAME_ALL))
				return n;
	return count;
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
		for (size_t done = 0, n; done < count; done += n) {
			n = group_of(images + done, count - done);
			publish(p, images + done, n);
		}
		for (size_t i = 0; i < count; i++)
			image_free(images[i]);
	}
	return NULL;
}

/* ---- the worker's part ---- */

/* The shard's points, rising, in a malloc'ed array. */
static uint32_t *points_of(const struct hd_pipeline *p, uint32_t shard, uint32_t *ret_count)
{
	uint32_t end = hd_points_count(p->config.points), count = 0, room = (end / HD_SHARDS + 64) * 4;
	uint32_t *points = malloc(room * sizeof *points);
	for (uint32_t i = 0; points && i < end && count < room; i++)
		if (hd_shard_of(i) == shard)
			points[count++] = i;
	*ret_count = count;
	return points;
}

static void write_shard(struct hd_worker *w, uint32_t shard)
{
	struct hd_pipeline *p = w->pipeline;
	struct shard_file *file = &p->keeper->files[shard];
	uint32_t count;
	uint32_t *points = points_of(p, shard, &count);
	struct shard_image *image = calloc(1, sizeof *image);
	if (image)
		image->fd = -1;
	bool all = atomic_exchange(&file->want_all, false) || file->frames >= FRAMES_MAX || file->changed > CHANGED_TIMES * (uint64_t)count;
	bool ok = points && image;
	uint64_t changed = 0, before = file->written_lsn;
	if (ok) {
		/* What is synced anywhere at this moment has gone through this worker, as far as it is its own. */
		*image = (struct shard_image){.shard = shard, .kind = all ? HD_FRAME_ALL : HD_FRAME_CHANGED, .worker = w, .seq = w->seq, .fd = -1,
					      .lsn = atomic_load(&p->synced_lsn)};
		file->written_lsn = image->lsn;
		ok = hd_state_write(p, shard, points, count, image->lsn, all, &image->data);
		changed = ok ? ((const struct hd_state_header *)(const void *)image->data.data)->points : 0;
	}
	if (ok && !all && !changed && image->lsn == before) { /* the file says all of it */
		image_free(image);
		free(points);
		return;
	}
	if (ok && hd_queue_try_push(p->keeper->queue, image)) {
		file->frames = all ? 0 : file->frames + 1;
		file->changed = all ? 0 : file->changed + changed;
	} else {
		atomic_store(&file->want_all, true); /* what was told as written is in no frame */
		if (image)
			image_free(image);
	}
	free(points);
}

/* The worker's shard whose newest frame is the oldest; false when all have what there is. */
static bool furthest_behind(const struct hd_worker *w, uint64_t lsn, uint32_t *ret)
{
	const struct hd_pipeline *p = w->pipeline;
	uint64_t least = UINT64_MAX;
	for (uint32_t shard = w->index; lsn && shard < HD_SHARDS; shard += p->worker_count) {
		const struct shard_file *file = &p->keeper->files[shard];
		if (file->written_lsn >= least || (file->written_lsn >= lsn && !atomic_load(&file->want_all)))
			continue;
		least = file->written_lsn;
		*ret = shard;
	}
	return least != UINT64_MAX;
}

static uint32_t own_shards(const struct hd_pipeline *p)
{
	return (HD_SHARDS + p->worker_count - 1) / p->worker_count;
}

/* Between two shards of a worker, by the time alone. */
static int64_t step_ns(const struct hd_pipeline *p)
{
	return p->config.checkpoint_ms * HD_NS_PER_MS / own_shards(p);
}

/* How many shards are to be written now: by the time, and so that none comes to lie too many records behind. */
static uint32_t shards_due(struct hd_worker *w, uint64_t lsn)
{
	const struct hd_pipeline *p = w->pipeline;
	uint32_t due = 0;
	int64_t now = hd_clock_real_ns();
	/* A quarter of the bound is left for what is under way. */
	uint64_t records = HD_MAX(p->config.replay_records / 4 * 3 / own_shards(p), UINT64_C(1));
	if (now >= w->checkpoint_ns) {
		w->checkpoint_ns = now + step_ns(p);
		due = 1;
	}
	if (lsn - w->checkpoint_lsn >= records) {
		due = HD_MAX(due, (uint32_t)HD_MIN((lsn - w->checkpoint_lsn) / records, (uint64_t)CATCH_UP));
		w->checkpoint_lsn += HD_MIN(due * records, lsn - w->checkpoint_lsn);
	}
	return due;
}

void hd_worker_checkpoint(struct hd_worker *w, bool all)
{
	struct hd_pipeline *p = w->pipeline;
	if (!p->keeper || !atomic_load(&p->keeper->recovered))
		return;
	uint64_t lsn = atomic_load(&p->synced_lsn);
	uint32_t due = all ? 0 : shards_due(w, lsn), shard;
	if (!all && !due)
		return;
	if (w->pending_count)
		hd_worker_execute(w);
	if (hd_worker_flush(w, NULL) != HYDRO_OK)
		return;
	for (; due && furthest_behind(w, lsn, &shard); due--)
		write_shard(w, shard);
	for (shard = w->index; all && shard < HD_SHARDS; shard += p->worker_count)
		write_shard(w, shard);
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
	for (uint32_t i = 0; i < HD_SHARDS; i++)
		hd_buf_done(&k->files[i].image);
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
	for (uint32_t i = 0; i < HD_PAGES; i++)
		free(atomic_load_explicit(&k->sums[i], memory_order_relaxed));
	hd_queue_free(&k->queue);
	free(k);
	p->keeper = NULL;
}

uint64_t hd_keeper_lsn(const struct hd_pipeline *p, uint32_t shard)
{
	return p->keeper ? atomic_load(&p->keeper->files[shard].lsn) : 0;
}

void hd_keeper_recovered(struct hd_pipeline *p)
{
	if (!p->keeper)
		return;
	for (uint32_t i = 0; i < p->worker_count; i++) {
		p->workers[i].checkpoint_lsn = atomic_load(&p->synced_lsn);
		p->workers[i].checkpoint_ns = hd_clock_real_ns() + step_ns(p);
	}
	if (all_taken(p->keeper))
		let_go(p->keeper);
	atomic_store(&p->keeper->recovered, true);
}
