/* SPDX-License-Identifier: MIT */
#include "journal/internal.h"

#include "base/fs.h"
#include "base/uuid.h"
#include "observe/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILL_BYTES (1u << 20)
#define DAMAGES_MAX 10000u

char *segment_path(const struct hd_journal *journal, uint64_t id, const char *suffix)
{
	char *path;
	return asprintf(&path, "%s/%016" PRIx64 "%s", journal->dir, id, suffix) < 0 ? NULL : path;
}

static int errno_code(int errno_value)
{
	return errno_value == ENOSPC || errno_value == EDQUOT ? HYDRO_E_FULL : HYDRO_E_IO;
}

int segment_io_write(struct hd_journal *journal, int fd, struct iovec *iov, int count, off_t offset, struct hydro_error *err)
{
	while (count > 0) {
		ssize_t n = journal->io.pwritev(journal->io.arg, fd, iov, count, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return hd_error_errno(err, errno_code(n ? errno : ENOSPC), n ? errno : ENOSPC, "cannot write to the journal in %s", journal->dir);
		offset += n;
		for (; count > 0 && (size_t)n >= iov->iov_len; iov++, count--)
			n -= (ssize_t)iov->iov_len;
		if (count > 0) {
			iov->iov_base = (char *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return HYDRO_OK;
}

int segment_io_sync(struct hd_journal *journal, int fd, struct hydro_error *err)
{
	if (journal->io.fdatasync(journal->io.arg, fd) != 0)
		return hd_error_errno(err, errno_code(errno), errno, "cannot sync the journal in %s", journal->dir);
	return HYDRO_OK;
}

/* Blocks that are written already need no metadata at a sync. */
static int fill_zeros(struct hd_journal *journal, int fd, struct hydro_error *err)
{
	HD_CLEANUP(hd_cleanup_free) uint8_t *zeros = calloc(1, FILL_BYTES);
	if (!zeros)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to fill a segment");
	int rc = HYDRO_OK;
	for (uint64_t at = 0; at < journal->config.segment_bytes && rc == HYDRO_OK; at += FILL_BYTES) {
		uint64_t n = HD_MIN(journal->config.segment_bytes - at, (uint64_t)FILL_BYTES);
		struct iovec iov = {zeros, n};
		rc = segment_io_write(journal, fd, &iov, 1, (off_t)at, err);
	}
	return rc == HYDRO_OK ? segment_io_sync(journal, fd, err) : rc;
}

int spare_make(struct hd_journal *journal, bool fill, uint64_t *ret_id, struct hydro_error *err)
{
	(void)pthread_mutex_lock(&journal->lock);
	uint64_t id = journal->next_id++;
	(void)pthread_mutex_unlock(&journal->lock);
	HD_CLEANUP(hd_cleanup_free) char *path = segment_path(journal, id, ".spare");
	if (!path)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a path");
	HD_CLEANUP(hd_cleanup_fd) int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return hd_error_errno(err, errno_code(errno), errno, "cannot create %s", path);
	int rc = HYDRO_OK;
	if (journal->io.fallocate(journal->io.arg, fd, (off_t)journal->config.segment_bytes) != 0)
		rc = hd_error_errno(err, errno_code(errno), errno, "cannot allocate %" PRIu64 " bytes for %s", journal->config.segment_bytes, path);
	if (rc == HYDRO_OK && fill)
		rc = fill_zeros(journal, fd, err);
	if (rc != HYDRO_OK) {
		(void)unlink(path);
		return rc;
	}
	(void)pthread_mutex_lock(&journal->lock);
	journal->status.written_bytes += fill ? journal->config.segment_bytes : 0;
	(void)pthread_mutex_unlock(&journal->lock);
	*ret_id = id;
	return HYDRO_OK;
}

/* Writes the header over whatever the file held; its new epoch makes old batches in it void. */
static int spare_start(struct hd_journal *journal, const char *spare, const struct segment_header *header, int *ret_fd, struct hydro_error *err)
{
	HD_CLEANUP(hd_cleanup_free) char *path = segment_path(journal, header->id, ".seg");
	HD_CLEANUP(hd_cleanup_free) uint8_t *block = malloc(SEGMENT_HEADER_BYTES);
	if (!path || !block)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a segment");
	HD_CLEANUP(hd_cleanup_fd) int fd = open(spare, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return hd_error_errno(err, errno_code(errno), errno, "cannot open %s", spare);
	format_segment_put(header, journal->key, block);
	struct iovec iov = {block, SEGMENT_HEADER_BYTES};
	int rc = segment_io_write(journal, fd, &iov, 1, 0, err);
	if (rc == HYDRO_OK)
		rc = segment_io_sync(journal, fd, err);
	if (rc == HYDRO_OK && rename(spare, path) != 0)
		rc = hd_error_errno(err, errno_code(errno), errno, "cannot rename %s to %s", spare, path);
	if (rc != HYDRO_OK)
		return rc;
	rc = hd_fs_sync_dir(journal->dir, err);
	if (rc != HYDRO_OK) {
		(void)unlink(path);
		return rc;
	}
	*ret_fd = fd;
	fd = -1;
	return HYDRO_OK;
}

int segment_create(struct hd_journal *journal, uint64_t first_lsn, bool fill, struct segment **ret, int *ret_fd, struct hydro_error *err)
{
	struct segment *segment = calloc(1, sizeof *segment);
	if (!segment || live_new(journal->points_hint, false, &segment->live) != HYDRO_OK) {
		segment_free(segment);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a segment");
	}
	uint64_t spare_id = 0;
	(void)pthread_mutex_lock(&journal->lock);
	bool had = journal->spare_count > 0;
	if (had)
		spare_id = journal->spare_ids[--journal->spare_count];
	(void)pthread_mutex_unlock(&journal->lock);
	int rc = had ? HYDRO_OK : spare_make(journal, fill, &spare_id, err);
	HD_CLEANUP(hd_cleanup_free) char *spare = rc == HYDRO_OK ? segment_path(journal, spare_id, ".spare") : NULL;
	if (rc == HYDRO_OK && !spare)
		rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory for a path");
	if (rc == HYDRO_OK) {
		segment->header = (struct segment_header){.first_lsn = first_lsn, .key_id = journal->key ? journal->key->id : 0};
		hd_random_bytes(&segment->header.epoch, sizeof segment->header.epoch);
		(void)pthread_mutex_lock(&journal->lock);
		segment->header.id = journal->next_id++;
		journal->status.written_bytes += SEGMENT_HEADER_BYTES;
		(void)pthread_mutex_unlock(&journal->lock);
		rc = spare_start(journal, spare, &segment->header, ret_fd, err);
		if (rc != HYDRO_OK)
			(void)unlink(spare);
	}
	if (rc != HYDRO_OK) {
		segment_free(segment);
		return rc;
	}
	segment->file_bytes = journal->config.segment_bytes;
	segment->state = SEGMENT_ACTIVE;
	segment->end = SEGMENT_HEADER_BYTES;
	segment->last_lsn = first_lsn - 1;
	*ret = segment;
	return HYDRO_OK;
}

void segment_free(struct segment *segment)
{
	if (!segment)
		return;
	live_free(&segment->live);
	index_close(&segment->index);
	free(segment);
}

void segment_append_locked(struct hd_journal *journal, struct segment *segment)
{
	if (journal->last)
		journal->last->next = segment;
	else
		journal->first = segment;
	journal->last = segment;
}

int segment_open(const struct hd_journal *journal, const struct segment *segment, int *ret_fd, struct hydro_error *err)
{
	HD_CLEANUP(hd_cleanup_free) char *path = segment_path(journal, segment->header.id, ".seg");
	if (!path)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a path");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot open %s", path);
	*ret_fd = fd;
	return HYDRO_OK;
}

void segment_unref(struct hd_journal *journal, struct segment *segment)
{
	(void)pthread_mutex_lock(&journal->lock);
	HD_ASSERT(segment->refs > 0);
	if (--segment->refs == 0)
		journal_keep_locked(journal);
	(void)pthread_mutex_unlock(&journal->lock);
}

struct batch_table segment_batches(const struct segment *segment)
{
	const struct live_index *live = segment->live;
	return (struct batch_table){.entries = live ? live->batches : segment->index.batches,
				    .count = live ? live->batch_count : segment->index.batch_count, .end = segment->end};
}

uint32_t batch_of(const struct batch_table *table, uint32_t ordinal)
{
	uint32_t low = 0, high = table->count;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;
		if (table->entries[middle].ordinal <= ordinal)
			low = middle;
		else
			high = middle;
	}
	return low;
}

int segment_read_batch(struct hd_journal *journal, const struct segment *segment, int fd, uint64_t offset, uint64_t end,
		       struct hd_buf *buf, struct hd_record_reader *reader, struct batch_header *ret, struct hydro_error *err)
{
	size_t len = (size_t)(end - offset), got = 0, body_len = 0;
	hd_buf_clear(buf);
	if (end < offset + BATCH_HEADER_BYTES || end > HD_JOURNAL_SEGMENT_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_CORRUPT, "the index of segment %016" PRIx64 " does not check", segment->header.id);
	if (!hd_buf_reserve(buf, len))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a batch of %zu bytes", len);
	int rc = hd_fs_pread(fd, buf->data, len, (off_t)offset, &got, err);
	if (rc != HYDRO_OK)
		return rc;
	struct batch_header header;
	uint8_t *bytes = (uint8_t *)buf->data;
	bool good = got == len && format_batch_get(bytes, &header) && header.epoch == segment->header.epoch && batch_bytes(header.body_bytes) <= len;
	rc = good ? format_body_open(&header, journal->key, bytes + BATCH_HEADER_BYTES, &body_len) : HYDRO_E_CORRUPT;
	if (rc == HYDRO_E_KEY)
		return hd_error_set(err, rc, "a batch of segment %016" PRIx64 " does not open with the key", segment->header.id);
	if (rc == HYDRO_OK)
		rc = hd_record_reader_begin(reader, bytes + BATCH_HEADER_BYTES, body_len, header.count);
	if (rc == HYDRO_E_NOMEM)
		return hd_error_set(err, rc, "no memory to read a batch");
	if (rc != HYDRO_OK) {
		segment_set_aside(journal, segment->header.id, fd, offset, end, "a batch does not check");
		return hd_error_set(err, HYDRO_E_CORRUPT, "segment %016" PRIx64 " is damaged at byte %" PRIu64, segment->header.id, offset);
	}
	*ret = header;
	return HYDRO_OK;
}

/* false when this place is known already. */
static bool damage_note(struct hd_journal *journal, uint64_t id, uint64_t offset)
{
	bool fresh = true;
	(void)pthread_mutex_lock(&journal->lock);
	for (uint32_t i = 0; i < journal->damage_count && fresh; i++)
		fresh = journal->damages[i].segment != id || journal->damages[i].offset != offset;
	if (fresh) {
		struct damage *more = journal->damage_count < DAMAGES_MAX
					      ? realloc(journal->damages, (journal->damage_count + 1) * sizeof *more) : NULL;
		if (more) {
			journal->damages = more;
			journal->damages[journal->damage_count++] = (struct damage){id, offset};
		}
		journal->status.set_aside++;
	}
	(void)pthread_mutex_unlock(&journal->lock);
	return fresh;
}

void segment_set_aside(struct hd_journal *journal, uint64_t id, int fd, uint64_t offset, uint64_t end, const char *what)
{
	if (!damage_note(journal, id, offset))
		return;
	char *path;
	struct hydro_error err = {0};
	size_t got = 0;
	HD_CLEANUP(hd_cleanup_free) char *folder = hd_fs_join(journal->dir, "set-aside");
	HD_CLEANUP(hd_cleanup_free) uint8_t *bytes = malloc((size_t)(end - offset) + 1);
	if (!folder || !bytes || asprintf(&path, "%s/%016" PRIx64 "-%" PRIu64 ".bad", folder, id, offset) < 0) {
		journal_event(journal, HD_LOG_ERROR, "journal_corrupt", "segment %016" PRIx64 ", bytes %" PRIu64 "-%" PRIu64 ": %s; no memory to copy them",
			      id, offset, end, what);
		return;
	}
	int rc = hd_fs_mkdirs(folder, 0700, &err);
	if (rc == HYDRO_OK)
		rc = hd_fs_pread(fd, bytes, (size_t)(end - offset), (off_t)offset, &got, &err);
	if (rc == HYDRO_OK)
		rc = hd_fs_write_atomic(path, bytes, got, 0600, &err);
	journal_event(journal, HD_LOG_ERROR, "journal_corrupt", "segment %016" PRIx64 ", bytes %" PRIu64 "-%" PRIu64 ": %s; %s %s", id, offset, end, what,
		      rc == HYDRO_OK ? "copied to" : "could not be copied:", rc == HYDRO_OK ? path : err.text);
	free(path);
}
