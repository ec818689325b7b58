/* SPDX-License-Identifier: MIT */
#include "journal/journal.h"

#include "base/array.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/uuid.h"
#include "journal/internal.h"
#include "observe/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOURNAL_MAGIC 0x4c4e524au
#define SEGMENTS_MIN 4u /* max_bytes is at least so many segments */

static ssize_t system_pwritev(void *arg, int fd, const struct iovec *iov, int count, off_t offset)
{
	(void)arg;
	return pwritev(fd, iov, count, offset);
}

static int system_fdatasync(void *arg, int fd)
{
	(void)arg;
	return fdatasync(fd);
}

static int system_fallocate(void *arg, int fd, off_t bytes)
{
	(void)arg;
	int rc = fallocate(fd, 0, 0, bytes);
	return rc != 0 && errno == EOPNOTSUPP ? ftruncate(fd, bytes) : rc;
}

const struct hd_journal_io hd_journal_io_system = {
	.pwritev = system_pwritev, .fdatasync = system_fdatasync, .fallocate = system_fallocate};

void journal_event(struct hd_journal *journal, uint32_t level, const char *event, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	if (!journal->config.event)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	journal->config.event(journal->config.event_arg, level, event, text);
}

void journal_deadline(int64_t ms, struct timespec *ret)
{
	(void)clock_gettime(CLOCK_MONOTONIC, ret);
	int64_t ns = ret->tv_nsec + (ms % HD_MS_PER_S) * HD_NS_PER_MS;
	ret->tv_sec += (time_t)(ms / HD_MS_PER_S + ns / HD_NS_PER_S);
	ret->tv_nsec = (long)(ns % HD_NS_PER_S);
}

void journal_keep_locked(struct hd_journal *journal)
{
	journal->keep_pending = true;
	(void)pthread_cond_signal(&journal->keep);
}

uint64_t journal_bytes_locked(const struct hd_journal *journal)
{
	uint64_t bytes = journal->spare_count * journal->config.segment_bytes;
	for (const struct segment *s = journal->first; s; s = s->next)
		bytes += s->file_bytes + s->index_bytes;
	return bytes;
}

static int config_take(struct hd_journal *journal, const struct hd_journal_config *config, struct hydro_error *err)
{
	struct hd_journal_config *c = &journal->config;
	*c = *config;
	c->segment_bytes = c->segment_bytes ? c->segment_bytes : UINT64_C(64) << 20;
	c->segment_bytes = (c->segment_bytes + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
	c->commit_ms = c->commit_ms ? c->commit_ms : 2;
	c->commit_bytes = c->commit_bytes ? c->commit_bytes : 1u << 20;
	c->queue_batches = c->queue_batches ? c->queue_batches : 128;
	c->spares = HD_MIN(c->spares ? c->spares : SPARES, SPARES_MAX);
	if (!c->dir || !*c->dir)
		return hd_error_set(err, HYDRO_E_INVALID, "the journal needs a folder");
	if (c->segment_bytes < HD_JOURNAL_SEGMENT_BYTES_MIN || c->segment_bytes > HD_JOURNAL_SEGMENT_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_INVALID, "a journal segment of %" PRIu64 " bytes: must be %u … %u", c->segment_bytes,
				    HD_JOURNAL_SEGMENT_BYTES_MIN, HD_JOURNAL_SEGMENT_BYTES_MAX);
	if (c->max_bytes && c->max_bytes < SEGMENTS_MIN * c->segment_bytes)
		return hd_error_set(err, HYDRO_E_INVALID, "a bound of %" PRIu64 " bytes is less than %u segments of the journal", c->max_bytes, SEGMENTS_MIN);
	if (c->queue_batches > QUEUE_BATCHES_MAX)
		return hd_error_set(err, HYDRO_E_INVALID, "a journal queue of %u batches: at most %u", c->queue_batches, QUEUE_BATCHES_MAX);
	journal->io = config->io ? *config->io : hd_journal_io_system;
	if (config->seal) {
		hd_key_derive(config->seal, "journal_", &journal->key_storage);
		journal->key = &journal->key_storage;
	}
	journal->dir = strdup(config->dir);
	journal->tail = aligned_alloc(PAGE_BYTES, PAGE_BYTES);
	if (!journal->dir || !journal->tail || hd_queue_new(c->queue_batches + 8, &journal->queue) != HYDRO_OK)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the journal");
	c->dir = journal->dir;
	return HYDRO_OK;
}

static void locks_init(struct hd_journal *journal)
{
	pthread_condattr_t attr;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&journal->lock, NULL);
	(void)pthread_mutex_init(&journal->holds_lock, NULL);
	(void)pthread_mutex_init(&journal->writers_lock, NULL);
	(void)pthread_cond_init(&journal->changed, &attr);
	(void)pthread_cond_init(&journal->keep, &attr);
	(void)pthread_condattr_destroy(&attr);
}

static int start(struct hd_journal *journal, struct hydro_error *err)
{
	struct segment *segment;
	int rc = segment_create(journal, journal->next_lsn, true, &segment, &journal->writing_fd, err);
	if (rc != HYDRO_OK)
		return rc;
	memset(journal->tail, 0, PAGE_BYTES);
	journal->writing = journal->active = journal->started = segment;
	segment_append_locked(journal, segment);
	rc = hd_thread_start(&journal->thread, HD_ROLE_JOURNAL, "journal", commit_run, journal, err);
	journal->thread_started = rc == HYDRO_OK;
	if (rc == HYDRO_OK)
		rc = hd_thread_start(&journal->keeper, HD_ROLE_JOURNAL, "journal-keeper", keeper_run, journal, err);
	journal->keeper_started = rc == HYDRO_OK;
	return rc;
}

int hd_journal_open(const struct hd_journal_config *config, struct hd_journal **ret, struct hydro_error *err)
{
	HD_ON(HD_ROLE_CONTROL);
	struct hd_journal *journal = calloc(1, sizeof *journal);
	if (!journal)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the journal");
	journal->magic = JOURNAL_MAGIC;
	journal->writing_fd = -1;
	locks_init(journal);
	hd_random_bytes(&journal->seal_epoch, sizeof journal->seal_epoch);
	int rc = config_take(journal, config, err);
	if (rc == HYDRO_OK)
		rc = hd_fs_mkdirs(journal->dir, 0700, err);
	if (rc == HYDRO_OK)
		rc = holds_load(journal, err);
	if (rc == HYDRO_OK)
		rc = recover(journal, err);
	if (rc == HYDRO_OK)
		rc = start(journal, err);
	if (rc != HYDRO_OK) {
		hd_journal_close(&journal);
		return rc;
	}
	*ret = journal;
	return HYDRO_OK;
}

/* An open that failed leaves no segment of its own behind, or each try would add one. */
static void started_remove(struct hd_journal *journal)
{
	HD_CLEANUP(hd_cleanup_free) char *path = segment_path(journal, journal->started->header.id, ".seg");
	if (path)
		(void)unlink(path);
}

static void stop_threads(struct hd_journal *journal)
{
	atomic_store(&journal->closing, 1);
	if (journal->queue)
		hd_queue_close(journal->queue);
	if (journal->thread_started)
		(void)pthread_join(journal->thread, NULL);
	else if (journal->writing)
		(void)close(journal->writing_fd);
	(void)pthread_mutex_lock(&journal->lock);
	journal->keeper_stop = true;
	journal_keep_locked(journal);
	(void)pthread_mutex_unlock(&journal->lock);
	if (journal->keeper_started)
		(void)pthread_join(journal->keeper, NULL);
	else if (journal->started)
		started_remove(journal);
}

void hd_journal_close(struct hd_journal **pointer)
{
	if (!*pointer)
		return;
	struct hd_journal *journal = HD_CAST(struct hd_journal, JOURNAL_MAGIC, *pointer);
	stop_threads(journal);
	if (journal->keeper_started)
		(void)holds_save(journal, NULL); /* the file's older LSNs only keep more */
	for (struct segment *s = journal->first, *next; s; s = next) {
		next = s->next;
		segment_free(s);
	}
	for (struct hold *h = journal->holds, *next; h; h = next) {
		next = h->next;
		HD_ASSERT(!h->open || !journal->keeper_started);
		free(h);
	}
	for (uint32_t i = 0; i < journal->writer_count; i++)
		hd_record_writer_free(&journal->writers[i]);
	free(journal->writers);
	free(journal->damages);
	free(journal->tail);
	free(journal->dir);
	hd_queue_free(&journal->queue);
	hd_key_wipe(&journal->key_storage);
	(void)pthread_mutex_destroy(&journal->lock);
	(void)pthread_mutex_destroy(&journal->holds_lock);
	(void)pthread_mutex_destroy(&journal->writers_lock);
	(void)pthread_cond_destroy(&journal->changed);
	(void)pthread_cond_destroy(&journal->keep);
	journal->magic = 0;
	free(journal);
	*pointer = NULL;
}

/* A writer with its memory; there are as many as threads that append at once. */
static struct hd_record_writer *writer_take(struct hd_journal *journal)
{
	struct hd_record_writer *writer = NULL;
	(void)pthread_mutex_lock(&journal->writers_lock);
	if (journal->writer_count)
		writer = journal->writers[--journal->writer_count];
	(void)pthread_mutex_unlock(&journal->writers_lock);
	return writer ? writer : hd_record_writer_new();
}

static void writer_give(struct hd_journal *journal, struct hd_record_writer *writer)
{
	(void)pthread_mutex_lock(&journal->writers_lock);
	if (HD_RESERVE(journal->writers, journal->writer_capacity, journal->writer_count, 1))
		journal->writers[journal->writer_count++] = HD_STEAL(writer);
	(void)pthread_mutex_unlock(&journal->writers_lock);
	hd_record_writer_free(&writer);
}

static int encode(struct hd_journal *journal, struct hd_batch *batch, struct hydro_error *err)
{
	hd_buf_clear(&batch->encoded);
	if (batch->count == 0)
		return HYDRO_OK;
	struct hd_record_writer *writer = writer_take(journal);
	if (!writer)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to encode a batch");
	uint64_t number = atomic_fetch_add(&journal->batch_number, 1) + 1;
	int rc = format_batch_encode(writer, batch, journal->key, journal->seal_epoch, number, &batch->encoded, err);
	writer_give(journal, writer);
	if (rc == HYDRO_OK && batch->encoded.len > journal->config.segment_bytes - SEGMENT_HEADER_BYTES)
		rc = hd_error_set(err, HYDRO_E_LIMIT, "a batch of %zu bytes does not fit into a journal segment of %" PRIu64, batch->encoded.len,
				  journal->config.segment_bytes);
	return rc;
}

int hd_journal_append(struct hd_journal *journal, struct hd_batch *batch, struct hydro_error *err)
{
	HD_ON(HD_ROLE_WORKER);
	HD_ASSERT(journal->magic == JOURNAL_MAGIC);
	if (atomic_load(&journal->over_bound))
		return hd_error_set(err, HYDRO_E_AGAIN, "the journal is at its bound of %" PRIu64 " bytes", journal->config.max_bytes);
	if (atomic_fetch_add(&journal->in_flight, 1) >= journal->config.queue_batches) {
		(void)atomic_fetch_sub(&journal->in_flight, 1);
		return hd_error_set(err, HYDRO_E_AGAIN, "%u batches wait for the journal", journal->config.queue_batches);
	}
	int rc = encode(journal, batch, err);
	if (rc == HYDRO_OK) {
		(void)atomic_fetch_add(&journal->appended, 1);
		if (hd_queue_try_push(journal->queue, batch))
			return HYDRO_OK;
		(void)atomic_fetch_sub(&journal->appended, 1);
		rc = hd_queue_is_closed(journal->queue) ? hd_error_set(err, HYDRO_E_CANCELLED, "the journal is closing")
							: hd_error_set(err, HYDRO_E_AGAIN, "the journal's queue is full");
	}
	(void)atomic_fetch_sub(&journal->in_flight, 1);
	return rc;
}

int hd_journal_flush(struct hd_journal *journal, int timeout_ms)
{
	uint64_t until_done = atomic_load(&journal->appended);
	struct timespec until;
	int rc = 0;
	journal_deadline(timeout_ms, &until);
	(void)pthread_mutex_lock(&journal->lock);
	while (atomic_load(&journal->done) < until_done && rc == 0)
		rc = pthread_cond_timedwait(&journal->changed, &journal->lock, &until);
	(void)pthread_mutex_unlock(&journal->lock);
	return atomic_load(&journal->done) >= until_done ? HYDRO_OK : HYDRO_E_TIMEOUT;
}

static bool all_sealed_locked(const struct hd_journal *journal, uint64_t lsn)
{
	for (const struct segment *s = journal->first; s && s->header.first_lsn < lsn; s = s->next)
		if (s->state != SEGMENT_SEALED && segment_batches(s).count > 0)
			return false;
	return true;
}

int hd_journal_roll(struct hd_journal *journal, int timeout_ms, struct hydro_error *err)
{
	struct timespec until;
	const void *token = &commit_roll_token;
	void *item;
	int rc = 0;
	journal_deadline(timeout_ms, &until);
	memcpy(&item, &token, sizeof item);
	(void)pthread_mutex_lock(&journal->lock);
	uint64_t lsn = journal->next_lsn;
	(void)pthread_mutex_unlock(&journal->lock);
	if (!hd_queue_try_push(journal->queue, item))
		return hd_error_set(err, HYDRO_E_TIMEOUT, "the journal's queue is full");
	(void)pthread_mutex_lock(&journal->lock);
	while (!all_sealed_locked(journal, lsn) && rc == 0)
		rc = pthread_cond_timedwait(&journal->changed, &journal->lock, &until);
	(void)pthread_mutex_unlock(&journal->lock);
	return rc == 0 ? HYDRO_OK : hd_error_set(err, HYDRO_E_TIMEOUT, "the journal's segments were not sealed in %d ms", timeout_ms);
}

size_t hd_journal_sealed_list(struct hd_journal *journal, uint64_t after_lsn, struct hd_journal_sealed *ret, size_t max)
{
	size_t n = 0;
	(void)pthread_mutex_lock(&journal->lock);
	for (const struct segment *s = journal->first; s && n < max; s = s->next) {
		if (s->state == SEGMENT_CLOSED && s->live->record_count == 0)
			continue; /* the keeper takes it away */
		if (s->state != SEGMENT_SEALED)
			break;
		if (s->last_lsn > after_lsn)
			ret[n++] = (struct hd_journal_sealed){.id = s->header.id, .first_lsn = s->header.first_lsn, .last_lsn = s->last_lsn,
							      .min_ts_ms = s->index.min_ts, .max_ts_ms = s->index.max_ts,
							      .bytes = s->end + s->index_bytes, .records = s->index.record_count,
							      .points = s->index.point_count};
	}
	(void)pthread_mutex_unlock(&journal->lock);
	return n;
}
