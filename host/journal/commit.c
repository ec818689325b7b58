/* SPDX-License-Identifier: MIT */
/* The journal thread: gathers batches to groups, writes each with one pwritev and one fdatasync, and makes it known. */
#include "journal/internal.h"

#include "base/clock.h"
#include "observe/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKOFF_MIN_MS 10
#define BACKOFF_MAX_MS 1000
#define GIVE_UP_NS (3 * HD_NS_PER_S) /* how long a closing journal still tries */

#define GROUP_BYTES 32768u /* some pages: no more is waited for */
#define GROUP_WAITS_MAX UINT64_C(12)

const char commit_roll_token;

struct group {
	void *items[QUEUE_BATCHES_MAX + 1];
	size_t count;
	bool roll;
};

static bool is_roll(const void *item)
{
	return item == &commit_roll_token;
}

/* Room in the queue matters more than a full group: at half of it nobody is kept waiting. */
static bool group_is_full(const struct hd_journal *journal, const struct group *group, uint64_t bytes)
{
	return group->roll || bytes >= journal->config.commit_bytes || group->count >= (journal->config.queue_batches + 1) / 2;
}

/*
 * A group is written as whole pages, so that half a page and one begun before are written for nothing: where much comes in,
 * but little by little, a group waits longer, until it has some pages.
 */
static int64_t wait_of(const struct hd_journal *journal, int64_t commit_ns, uint64_t bytes)
{
	uint64_t times = bytes >= GROUP_BYTES ? 1 : journal->recent_bytes / GROUP_BYTES;
	return commit_ns * (int64_t)HD_MIN(HD_MAX(times, UINT64_C(1)), GROUP_WAITS_MAX);
}

static void count_recent(struct hd_journal *journal, uint64_t bytes)
{
	int64_t now = hd_clock_real_ns(), passed = HD_MIN(now - journal->recent_ns, HD_NS_PER_S);
	journal->recent_bytes = (uint64_t)((double)journal->recent_bytes * (1 - (double)passed / HD_NS_PER_S)) + bytes;
	journal->recent_ns = now;
}

static void gather(struct hd_journal *journal, struct group *group)
{
	uint64_t bytes = 0;
	int64_t begun = 0, commit_ns = journal->config.commit_ms == HD_JOURNAL_COMMIT_NOW ? 0 : journal->config.commit_ms * HD_NS_PER_MS;
	int timeout_ms = -1;
	group->count = 0;
	group->roll = false;
	for (;;) {
		void *items[64];
		size_t room = HD_MIN(HD_ARRAY_LEN(items), QUEUE_BATCHES_MAX - group->count);
		size_t n = hd_queue_pop(journal->queue, items, room, timeout_ms);
		for (size_t i = 0; i < n; i++) {
			if (is_roll(items[i])) {
				group->roll = true;
				continue;
			}
			group->items[group->count++] = items[i];
			bytes += ((struct hd_batch *)items[i])->encoded.len;
		}
		if (n == 0 || group_is_full(journal, group, bytes) || group->count == QUEUE_BATCHES_MAX)
			break;
		int64_t now = hd_clock_real_ns();
		begun = begun ? begun : now;
		int64_t until = begun + wait_of(journal, commit_ns, bytes);
		timeout_ms = now >= until ? 0 : (int)((until - now + HD_NS_PER_MS - 1) / HD_NS_PER_MS);
	}
	count_recent(journal, bytes);
}

static void histogram_add(struct hd_journal *journal, int64_t ns)
{
	uint64_t v = (uint64_t)HD_MAX(ns, 8);
	unsigned octave = 63u - (unsigned)__builtin_clzll(v);
	journal->histogram[octave * 8 + ((v >> (octave - 3)) & 7)]++;
}

/* No more batches into the segment being written; the keeper goes on with it. */
static void writing_finish(struct hd_journal *journal)
{
	struct segment *segment = journal->writing;
	if (!segment)
		return;
	(void)close(journal->writing_fd);
	journal->writing = NULL;
	(void)pthread_mutex_lock(&journal->lock);
	journal->active = NULL;
	segment->state = SEGMENT_CLOSED;
	journal->points_hint = segment->live->point_count;
	journal_keep_locked(journal);
	(void)pthread_cond_broadcast(&journal->changed);
	(void)pthread_mutex_unlock(&journal->lock);
}

static int writing_start(struct hd_journal *journal, struct hydro_error *err)
{
	struct segment *segment;
	int rc = segment_create(journal, journal->next_lsn, false, &segment, &journal->writing_fd, err);
	if (rc != HYDRO_OK)
		return rc;
	journal->writing = segment;
	memset(journal->tail, 0, PAGE_BYTES);
	(void)pthread_mutex_lock(&journal->lock);
	segment_append_locked(journal, segment);
	journal->active = segment;
	journal_keep_locked(journal); /* it may want to make a spare */
	(void)pthread_mutex_unlock(&journal->lock);
	return HYDRO_OK;
}

/* The last, partly filled page after a write, for the next one to begin with. */
static void tail_keep(struct hd_journal *journal, struct hd_batch *const *batches, size_t count, uint64_t end)
{
	size_t need = (size_t)(end % PAGE_BYTES), old = (size_t)(journal->writing->end % PAGE_BYTES), at = need;
	uint8_t page[PAGE_BYTES] = {0};
	for (size_t i = count; i > 0 && at > 0; i--) {
		const struct hd_buf *bytes = &batches[i - 1]->encoded;
		size_t n = HD_MIN(bytes->len, at);
		at -= n;
		memcpy(page + at, bytes->data + bytes->len - n, n);
	}
	if (at > 0) { /* all of it lies in the page that was begun before */
		HD_ASSERT(at == old);
		memcpy(page, journal->tail, at);
	}
	memcpy(journal->tail, page, PAGE_BYTES);
}

/* Gives LSNs and writes whole pages, so that no page must be read first, then syncs. */
static int write_batches(struct hd_journal *journal, struct hd_batch *const *batches, size_t count, uint64_t bytes, struct hydro_error *err)
{
	static const uint8_t zeros[PAGE_BYTES];
	struct segment *segment = journal->writing;
	struct iovec iov[QUEUE_BATCHES_MAX + 2];
	int n = 0;
	uint64_t lsn = journal->next_lsn, end = segment->end + bytes;
	size_t begun = (size_t)(segment->end % PAGE_BYTES), pad = (size_t)(-end % PAGE_BYTES);
	if (begun)
		iov[n++] = (struct iovec){journal->tail, begun};
	for (size_t i = 0; i < count; i++) {
		struct batch_header header;
		uint8_t *text = (uint8_t *)batches[i]->encoded.data;
		batches[i]->first_lsn = lsn;
		if (batches[i]->count == 0)
			continue;
		HD_ASSERT(format_batch_get(text, &header));
		header.epoch = segment->header.epoch;
		header.first_lsn = lsn;
		header.synced_lsn = journal->next_lsn - 1;
		format_batch_put(&header, text);
		iov[n++] = (struct iovec){text, batches[i]->encoded.len};
		lsn += batches[i]->count;
	}
	if (pad) {
		uint8_t *page;
		const uint8_t *none = zeros;
		memcpy(&page, &none, sizeof page);
		iov[n++] = (struct iovec){page, pad};
	}
	int rc = segment_io_write(journal, journal->writing_fd, iov, n, (off_t)(segment->end - begun), err);
	int64_t before = hd_clock_real_ns();
	if (rc == HYDRO_OK)
		rc = segment_io_sync(journal, journal->writing_fd, err);
	if (rc != HYDRO_OK)
		return rc;
	tail_keep(journal, batches, count, end);
	int64_t now = hd_clock_real_ns();
	(void)pthread_mutex_lock(&journal->lock);
	histogram_add(journal, now - before);
	journal->status.last_sync_ns = now;
	journal->status.syncs++;
	journal->status.written_bytes += begun + bytes + pad;
	(void)pthread_mutex_unlock(&journal->lock);
	return HYDRO_OK;
}

/* Into the index and in sight of readers. */
static void make_known(struct hd_journal *journal, struct hd_batch *const *batches, size_t count)
{
	struct segment *segment = journal->writing;
	(void)pthread_mutex_lock(&journal->lock);
	for (size_t i = 0; i < count; i++) {
		const struct hd_batch *batch = batches[i];
		journal->status.batches++;
		if (batch->count == 0)
			continue;
		uint32_t ordinal = (uint32_t)(batch->first_lsn - segment->header.first_lsn);
		live_add_batch(segment->live, segment->end, ordinal);
		for (uint32_t k = 0; k < batch->count; k++) {
			if (k + LIVE_AHEAD < batch->count)
				live_prefetch(segment->live, batch->samples[k + LIVE_AHEAD].point);
			live_add(segment->live, batch->samples[k].point, ordinal + k, batch->samples[k].ts_ms);
		}
		segment->end += batch->encoded.len;
		segment->last_lsn = batch->first_lsn + batch->count - 1;
		journal->next_lsn = segment->last_lsn + 1;
	}
	bool was_stuck = journal->status.error_code != HYDRO_OK;
	journal->status.error_code = HYDRO_OK;
	journal->status.error_text[0] = '\0';
	(void)pthread_cond_broadcast(&journal->changed);
	(void)pthread_mutex_unlock(&journal->lock);
	if (was_stuck)
		journal_event(journal, HD_LOG_INFO, "journal_recovered", "the journal writes again, at record %" PRIu64, journal->next_lsn);
}

static void hand_over(struct hd_journal *journal, struct hd_batch *const *batches, size_t count, bool synced)
{
	for (size_t i = 0; i < count; i++) {
		(void)atomic_fetch_sub(&journal->in_flight, 1);
		if (synced && journal->config.synced)
			journal->config.synced(journal->config.synced_arg, batches[i]);
		else
			hd_batch_release(batches[i]);
		(void)atomic_fetch_add(&journal->done, 1);
	}
	(void)pthread_mutex_lock(&journal->lock);
	(void)pthread_cond_broadcast(&journal->changed);
	(void)pthread_mutex_unlock(&journal->lock);
}

/* As many batches as fit into the segment; writes and hands them over. */
static int commit_some(struct hd_journal *journal, struct hd_batch *const *batches, size_t count, size_t *ret_done, struct hydro_error *err)
{
	size_t n = 0;
	uint64_t bytes = 0;
	uint32_t records = 0;
	for (int rolled = 0; n == 0; rolled++) {
		struct segment *segment = journal->writing;
		for (; segment && n < count && segment->end + bytes + batches[n]->encoded.len <= segment->file_bytes; n++) {
			bytes += batches[n]->encoded.len;
			records += batches[n]->count;
		}
		if (n > 0)
			break;
		HD_ASSERT(rolled < 2); /* append refused what does not fit into an empty one */
		writing_finish(journal);
		int rc = writing_start(journal, err);
		if (rc != HYDRO_OK)
			return rc;
	}
	if (records) {
		(void)pthread_mutex_lock(&journal->lock);
		int rc = live_reserve(journal->writing->live, (uint32_t)n, records);
		(void)pthread_mutex_unlock(&journal->lock);
		if (rc != HYDRO_OK)
			return hd_error_set(err, rc, "no memory for the journal's index");
		rc = write_batches(journal, batches, n, bytes, err);
		if (rc != HYDRO_OK) {
			writing_finish(journal); /* what the file holds from here on cannot be known */
			return rc;
		}
	} else {
		for (size_t i = 0; i < n; i++)
			batches[i]->first_lsn = journal->next_lsn;
	}
	make_known(journal, batches, n);
	hand_over(journal, batches, n, true);
	*ret_done = n;
	return HYDRO_OK;
}

static void stuck(struct hd_journal *journal, const struct hydro_error *err)
{
	(void)pthread_mutex_lock(&journal->lock);
	bool fresh = journal->status.error_code != err->code;
	journal->status.error_code = err->code;
	memcpy(journal->status.error_text, err->text, sizeof journal->status.error_text);
	journal->status.retries++;
	(void)pthread_mutex_unlock(&journal->lock);
	if (fresh)
		journal_event(journal, HD_LOG_ERROR, "journal_stuck", "%s; nothing is acknowledged until it writes again", err->text);
}

static void back_off(struct hd_journal *journal, int64_t ms)
{
	struct timespec until;
	journal_deadline(ms, &until);
	(void)pthread_mutex_lock(&journal->lock);
	while (pthread_cond_timedwait(&journal->changed, &journal->lock, &until) == 0)
		;
	(void)pthread_mutex_unlock(&journal->lock);
}

static void commit(struct hd_journal *journal, struct hd_batch *const *batches, size_t count, int64_t *give_up)
{
	int64_t wait_ms = BACKOFF_MIN_MS;
	while (count) {
		struct hydro_error err = {0};
		size_t done = 0;
		if (commit_some(journal, batches, count, &done, &err) == HYDRO_OK) {
			batches += done;
			count -= done;
			wait_ms = BACKOFF_MIN_MS;
			continue;
		}
		stuck(journal, &err);
		if (atomic_load(&journal->closing) && !*give_up)
			*give_up = hd_clock_real_ns() + GIVE_UP_NS;
		if (*give_up && hd_clock_real_ns() > *give_up) {
			journal_event(journal, HD_LOG_ERROR, "journal_given_up", "%zu batches could not be written before the end: %s; they were never acknowledged",
				      count, err.text);
			hand_over(journal, batches, count, false);
			return;
		}
		back_off(journal, wait_ms);
		wait_ms = HD_MIN(wait_ms * 2, BACKOFF_MAX_MS);
	}
}

void *commit_run(void *arg)
{
	struct hd_journal *journal = arg;
	struct group group;
	int64_t give_up = 0;
	HD_ON(HD_ROLE_JOURNAL);
	for (;;) {
		gather(journal, &group);
		if (group.count == 0 && !group.roll)
			break;
		commit(journal, (struct hd_batch *const *)group.items, group.count, &give_up);
		if (group.roll && journal->writing && journal->writing->last_lsn >= journal->writing->header.first_lsn)
			writing_finish(journal);
	}
	writing_finish(journal);
	return NULL;
}
