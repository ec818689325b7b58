/* SPDX-License-Identifier: MIT */
/* The keeper thread: all that would make a commit wait: indexes of closed segments, spares, reuse, the disk bound. */
#include "journal/internal.h"

#include "base/fs.h"
#include "observe/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RETRY_MS 1000

static struct segment *first_closed_locked(const struct hd_journal *journal)
{
	for (struct segment *s = journal->first; s; s = s->next)
		if (s->state == SEGMENT_CLOSED && (s->live->record_count > 0))
			return s;
	return NULL;
}

/* A segment that was closed early gives its unused end back; it cannot be a spare then. */
static uint64_t cut(struct hd_journal *journal, const struct segment *segment)
{
	HD_CLEANUP(hd_cleanup_free) char *path = segment_path(journal, segment->header.id, ".seg");
	if (segment->end > segment->file_bytes / 8 * 7 || !path || truncate(path, (off_t)segment->end) != 0)
		return segment->file_bytes;
	return segment->end;
}

/* Writes the index and lets queries use it; the live one goes. */
static int seal(struct hd_journal *journal, struct segment *segment, struct hydro_error *err)
{
	struct index_file index;
	uint64_t bytes = 0;
	int rc = index_write(journal, segment, &bytes, err);
	if (rc != HYDRO_OK)
		return rc;
	HD_CLEANUP(hd_cleanup_free) char *path = segment_path(journal, segment->header.id, ".idx");
	rc = path ? index_open(path, &segment->header, &index, err) : hd_error_set(err, HYDRO_E_NOMEM, "no memory for a path");
	if (rc != HYDRO_OK)
		return rc;
	uint64_t file_bytes = cut(journal, segment);
	(void)pthread_mutex_lock(&journal->lock);
	segment->file_bytes = file_bytes;
	struct live_index *live = HD_STEAL(segment->live);
	segment->index = index;
	atomic_store_explicit(&segment->index.checked, INDEX_GOOD, memory_order_relaxed); /* just written: no need to read it all */
	segment->index_bytes = bytes;
	segment->state = SEGMENT_SEALED;
	journal->status.written_bytes += bytes;
	(void)pthread_cond_broadcast(&journal->changed);
	(void)pthread_mutex_unlock(&journal->lock);
	live_free(&live);
	return HYDRO_OK;
}

static bool is_reusable(const struct hd_journal *journal, const struct segment *segment)
{
	uint64_t held = holds_first_locked(journal, NULL);
	if (segment == journal->last || segment->refs > 0)
		return false;
	if (segment->state == SEGMENT_CLOSED)
		return segment->live->record_count == 0;
	return segment->state == SEGMENT_SEALED && segment->last_lsn < held;
}

/* Unlinks the next segment nobody needs from the list: the oldest, or an empty one that a failure left. */
static struct segment *take_reusable_locked(struct hd_journal *journal)
{
	struct segment *previous = NULL;
	for (struct segment *s = journal->first; s; previous = s, s = s->next) {
		bool empty = s->state == SEGMENT_CLOSED && s->live->record_count == 0;
		if ((s != journal->first && !empty) || !is_reusable(journal, s))
			continue;
		if (previous)
			previous->next = s->next;
		else
			journal->first = s->next;
		s->next = NULL;
		return s;
	}
	return NULL;
}

static void reuse(struct hd_journal *journal, struct segment *segment)
{
	uint64_t id = segment->header.id;
	HD_CLEANUP(hd_cleanup_free) char *path = segment_path(journal, id, ".seg");
	HD_CLEANUP(hd_cleanup_free) char *index = segment_path(journal, id, ".idx");
	HD_CLEANUP(hd_cleanup_free) char *spare = segment_path(journal, id, ".spare");
	bool failed = segment->state == SEGMENT_CLOSED; /* its disk blocks are not trusted again */
	(void)pthread_mutex_lock(&journal->lock);
	bool keep = !failed && segment->file_bytes == journal->config.segment_bytes && journal->spare_count < journal->config.spares;
	(void)pthread_mutex_unlock(&journal->lock);
	if (!path || !index || !spare || !keep || rename(path, spare) != 0) {
		keep = false;
		if (path)
			(void)unlink(path);
	}
	if (index)
		(void)unlink(index);
	(void)hd_fs_sync_dir(journal->dir, NULL);
	(void)pthread_mutex_lock(&journal->lock);
	if (keep)
		journal->spare_ids[journal->spare_count++] = id;
	(void)pthread_mutex_unlock(&journal->lock);
	segment_free(segment);
}

/* Mirrors lose their hold, slowest first, until the bound is met or somebody else holds; the rest is back-pressure. */
static void bound_locked(struct hd_journal *journal, const char **ret_shed)
{
	const char *name = "";
	*ret_shed = NULL;
	uint64_t bytes = journal_bytes_locked(journal), held = holds_first_locked(journal, &name);
	bool over = journal->config.max_bytes && bytes > journal->config.max_bytes && journal->first != journal->last &&
		    journal->first->last_lsn >= held;
	if (over)
		for (struct hold *h = journal->holds; h; h = h->next)
			if (strcmp(h->name, name) == 0 && h->flags & HD_JOURNAL_READER_MIRROR) {
				h->shed = true;
				*ret_shed = h->name;
				over = false; /* looked at again after the reuse */
			}
	if (over == (atomic_load(&journal->over_bound) != 0))
		return;
	atomic_store(&journal->over_bound, over);
}

/* One piece of work; false when there is none. */
static bool work(struct hd_journal *journal, struct hydro_error *err, int *ret_rc)
{
	const char *shed;
	uint64_t spare;
	*ret_rc = HYDRO_OK;
	(void)pthread_mutex_lock(&journal->lock);
	struct segment *closed = first_closed_locked(journal), *old = closed ? NULL : take_reusable_locked(journal);
	bound_locked(journal, &shed);
	uint64_t room = journal->config.max_bytes ? journal->config.max_bytes - HD_MIN(journal->config.max_bytes, journal_bytes_locked(journal))
						  : UINT64_MAX;
	bool want_spare = !closed && !old && !shed && journal->spare_count == 0 && journal->active && journal->status.error_code == HYDRO_OK &&
			  !journal->keeper_stop && room >= journal->config.segment_bytes;
	(void)pthread_mutex_unlock(&journal->lock);
	if (shed)
		journal_event(journal, HD_LOG_WARN, "journal_shed", "%s lost its hold: the journal is over its bound of %" PRIu64 " bytes; it goes on from history",
			      shed, journal->config.max_bytes);
	if (closed) {
		*ret_rc = seal(journal, closed, err);
	} else if (old) {
		reuse(journal, old);
	} else if (want_spare) {
		*ret_rc = spare_make(journal, true, &spare, err);
		if (*ret_rc == HYDRO_OK) {
			(void)pthread_mutex_lock(&journal->lock);
			journal->spare_ids[journal->spare_count++] = spare;
			(void)pthread_mutex_unlock(&journal->lock);
		}
	}
	return closed || old || shed || want_spare;
}

void *keeper_run(void *arg)
{
	struct hd_journal *journal = arg;
	bool reported = false;
	for (;;) {
		int rc = HYDRO_OK;
		struct hydro_error err = {0};
		while (work(journal, &err, &rc) && rc == HYDRO_OK)
			reported = false;
		if (rc != HYDRO_OK && !reported)
			journal_event(journal, HD_LOG_WARN, "journal_keeper_failed", "%s; tried again each second", err.text);
		reported = rc != HYDRO_OK;
		(void)pthread_mutex_lock(&journal->lock);
		bool stop = journal->keeper_stop;
		if (!stop && rc != HYDRO_OK) {
			struct timespec until;
			journal_deadline(RETRY_MS, &until);
			while (!journal->keeper_stop && pthread_cond_timedwait(&journal->keep, &journal->lock, &until) == 0)
				;
		} else if (!stop && !journal->keep_pending) {
			(void)pthread_cond_wait(&journal->keep, &journal->lock);
		}
		journal->keep_pending = false;
		(void)pthread_mutex_unlock(&journal->lock);
		if (stop)
			return NULL;
	}
}
