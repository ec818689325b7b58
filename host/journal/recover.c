/* SPDX-License-Identifier: MIT */
/*
 * Opening a folder that a crash left: first everything is read and judged, with nothing changed (a wrong key or a newer
 * format ends it there); then tails are cut, damage is copied aside, and leftovers are removed.
 */
#include "journal/internal.h"

#include "base/array.h"
#include "base/fs.h"
#include "observe/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_DIGITS 16u

struct found {
	uint64_t id;
	uint64_t file_bytes;
	bool bad;     /* its header does not check */
	bool scanned; /* it had no index */
	struct segment_header header;
	struct scan_result scan;
	struct segment *segment;
};

struct recovery {
	struct hd_journal *journal;
	struct found *segments;
	uint32_t count, capacity;
	uint64_t spares[64];
	size_t spare_count;
	uint64_t highest_id;
};

static void recovery_done(struct recovery *r)
{
	for (size_t i = 0; i < r->count; i++) {
		scan_result_done(&r->segments[i].scan);
		segment_free(r->segments[i].segment);
	}
	free(r->segments);
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct found *)a)->id, y = ((const struct found *)b)->id;
	return (x > y) - (x < y);
}

static bool parse_name(const char *name, uint64_t *ret_id, const char **ret_suffix)
{
	uint64_t id = 0;
	for (unsigned i = 0; i < NAME_DIGITS; i++) {
		char c = name[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		id = id << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	*ret_id = id;
	*ret_suffix = name + NAME_DIGITS;
	return true;
}

static int list_add(struct recovery *r, uint64_t id)
{
	if (!HD_RESERVE(r->segments, r->capacity, r->count, 1))
		return HYDRO_E_NOMEM;
	r->segments[r->count++] = (struct found){.id = id};
	return HYDRO_OK;
}

static int list(struct recovery *r, struct hydro_error *err)
{
	DIR *dir = opendir(r->journal->dir);
	if (!dir)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot list %s", r->journal->dir);
	int rc = HYDRO_OK;
	for (struct dirent *entry; rc == HYDRO_OK && (entry = readdir(dir));) {
		uint64_t id;
		const char *suffix;
		if (!parse_name(entry->d_name, &id, &suffix))
			continue;
		r->highest_id = HD_MAX(r->highest_id, id);
		if (strcmp(suffix, ".seg") == 0)
			rc = list_add(r, id);
		else if (strcmp(suffix, ".spare") == 0 && r->spare_count < HD_ARRAY_LEN(r->spares))
			r->spares[r->spare_count++] = id;
	}
	(void)closedir(dir);
	if (rc != HYDRO_OK)
		return hd_error_set(err, rc, "no memory to list %s", r->journal->dir);
	if (r->count)
		qsort(r->segments, r->count, sizeof *r->segments, by_id);
	return HYDRO_OK;
}

static int read_header(struct recovery *r, struct found *f, struct hydro_error *err)
{
	uint8_t block[SEGMENT_HEADER_BYTES];
	struct stat st;
	size_t len = 0;
	HD_CLEANUP(hd_cleanup_free) char *path = segment_path(r->journal, f->id, ".seg");
	if (!path)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a path");
	HD_CLEANUP(hd_cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot open %s", path);
	f->file_bytes = (uint64_t)st.st_size;
	int rc = hd_fs_pread(fd, block, sizeof block, 0, &len, err);
	if (rc != HYDRO_OK)
		return rc;
	rc = format_segment_get(block, len, r->journal->key, path, &f->header, err);
	f->bad = rc == HYDRO_E_CORRUPT || (rc == HYDRO_OK && (f->header.id != f->id || f->file_bytes > HD_JOURNAL_SEGMENT_BYTES_MAX));
	return f->bad ? HYDRO_OK : rc;
}

/* First LSN of the next segment that has a header; 0 = none. */
static uint64_t next_first(const struct recovery *r, size_t i)
{
	for (i++; i < r->count; i++)
		if (!r->segments[i].bad)
			return r->segments[i].header.first_lsn;
	return 0;
}

static int scan_file(struct recovery *r, struct found *f, uint64_t next, const char *path, struct hydro_error *err)
{
	size_t len = 0;
	HD_CLEANUP(hd_cleanup_free) uint8_t *bytes = malloc(f->file_bytes + 1);
	if (!bytes)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to read %s", path);
	HD_CLEANUP(hd_cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot open %s", path);
	int rc = hd_fs_pread(fd, bytes, f->file_bytes, 0, &len, err);
	return rc == HYDRO_OK ? scan_segment(&f->header, bytes, len, next, r->journal->key, path, &f->scan, err) : rc;
}

static int judge(struct recovery *r, size_t i, struct hydro_error *err)
{
	struct found *f = &r->segments[i];
	HD_CLEANUP(hd_cleanup_free) char *path = segment_path(r->journal, f->id, ".seg");
	HD_CLEANUP(hd_cleanup_free) char *index_path = segment_path(r->journal, f->id, ".idx");
	struct segment *segment = f->segment = calloc(1, sizeof *segment);
	if (!path || !index_path || !segment)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a segment");
	segment->header = f->header;
	segment->file_bytes = f->file_bytes;
	if (index_open(index_path, &f->header, &segment->index, NULL) == HYDRO_OK && segment->index.end <= f->file_bytes) {
		segment->state = SEGMENT_SEALED;
		segment->index_bytes = segment->index.map_bytes;
		segment->end = segment->index.end;
		segment->last_lsn = f->header.first_lsn + segment->index.span - 1;
		return HYDRO_OK;
	}
	index_close(&segment->index);
	int rc = scan_file(r, f, next_first(r, i), path, err);
	if (rc != HYDRO_OK)
		return rc;
	f->scanned = true;
	segment->state = SEGMENT_CLOSED;
	segment->live = HD_STEAL(f->scan.live);
	segment->end = f->scan.end;
	segment->last_lsn = f->scan.last_lsn;
	return HYDRO_OK;
}

static void set_aside_file(struct hd_journal *journal, uint64_t id)
{
	HD_CLEANUP(hd_cleanup_free) char *path = segment_path(journal, id, ".seg");
	HD_CLEANUP(hd_cleanup_free) char *folder = hd_fs_join(journal->dir, "set-aside");
	HD_CLEANUP(hd_cleanup_free) char *to = NULL;
	if (!path || !folder || asprintf(&to, "%s/%016" PRIx64 ".seg", folder, id) < 0)
		to = NULL;
	bool moved = to && hd_fs_mkdirs(folder, 0700, NULL) == HYDRO_OK && rename(path, to) == 0;
	(void)hd_fs_sync_dir(journal->dir, NULL);
	journal->status.set_aside++;
	journal_event(journal, HD_LOG_ERROR, "journal_corrupt", "segment %016" PRIx64 " has no header that checks; %s %s", id,
		      moved ? "moved to" : "could not be moved away, left at", moved ? to : path ? path : "its place");
}

/* Cuts the file behind its last good batch (so that the same tail is not judged again) and copies damage aside. */
static int settle(struct hd_journal *journal, struct found *f, struct hydro_error *err)
{
	HD_CLEANUP(hd_cleanup_free) char *path = segment_path(journal, f->id, ".seg");
	if (!path)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a path");
	HD_CLEANUP(hd_cleanup_fd) int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot open %s", path);
	for (uint32_t i = 0; i < f->scan.damage_count; i++) {
		const struct scan_damage *d = &f->scan.damages[i];
		segment_set_aside(journal, f->id, fd, d->offset, d->end, "synced batches that do not check");
		journal_event(journal, HD_LOG_ERROR, "journal_gap", "records %" PRIu64 "-%" PRIu64 " are lost with the damaged bytes", d->first_lsn,
			      d->next_lsn - 1);
	}
	if (f->scan.torn)
		journal_event(journal, HD_LOG_WARN, "journal_torn", "segment %016" PRIx64 ": cut at byte %" PRIu64 ", behind record %" PRIu64
			      "; nothing behind it had been acknowledged", f->id, f->scan.end, f->scan.last_lsn);
	if (ftruncate(fd, (off_t)f->scan.end) != 0 || fsync(fd) != 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot cut %s", path);
	f->segment->file_bytes = f->scan.end;
	return HYDRO_OK;
}

/* Takes a judged segment into the journal's list; empty ones go once there is a newer one (it carries the LSN on). */
static int adopt(struct recovery *r, size_t i, uint64_t *expected, struct hydro_error *err)
{
	struct hd_journal *journal = r->journal;
	struct found *f = &r->segments[i];
	if (*expected && f->header.first_lsn > *expected)
		journal_event(journal, HD_LOG_ERROR, "journal_gap", "records %" PRIu64 "-%" PRIu64 " are missing before segment %016" PRIx64, *expected,
			      f->header.first_lsn - 1, f->id);
	*expected = HD_MAX(*expected, HD_MAX(f->header.first_lsn, f->segment->last_lsn + 1));
	if (f->scanned) {
		int rc = settle(journal, f, err);
		if (rc != HYDRO_OK)
			return rc;
	}
	segment_append_locked(journal, f->segment);
	f->segment = NULL;
	return HYDRO_OK;
}

static void keep_spares(struct recovery *r)
{
	struct hd_journal *journal = r->journal;
	for (size_t i = 0; i < r->spare_count; i++) {
		struct stat st;
		HD_CLEANUP(hd_cleanup_free) char *path = segment_path(journal, r->spares[i], ".spare");
		if (path && journal->spare_count < journal->config.spares && stat(path, &st) == 0 && (uint64_t)st.st_size == journal->config.segment_bytes)
			journal->spare_ids[journal->spare_count++] = r->spares[i];
		else if (path)
			(void)unlink(path);
	}
}

int recover(struct hd_journal *journal, struct hydro_error *err)
{
	HD_CLEANUP(recovery_done) struct recovery r = {.journal = journal};
	uint64_t expected = 0;
	int rc = list(&r, err);
	for (size_t i = 0; i < r.count && rc == HYDRO_OK; i++)
		rc = read_header(&r, &r.segments[i], err);
	for (size_t i = 0; i < r.count && rc == HYDRO_OK; i++)
		if (!r.segments[i].bad)
			rc = judge(&r, i, err);
	for (size_t i = 0; i < r.count && rc == HYDRO_OK; i++) {
		if (r.segments[i].bad) {
			set_aside_file(journal, r.segments[i].id);
			/* its LSNs are unknown: without a later segment go on behind all that it can have held */
			expected += next_first(&r, i) ? 0 : r.segments[i].file_bytes / BATCH_ALIGN;
		} else
{
			rc = adopt(&r, i, &expected, err);
		}
	}
	if (rc != HYDRO_OK)
		return rc;
	keep_spares(&r);
	journal->next_id = r.highest_id + 1;
	journal->next_lsn = HD_MAX(expected, 1u);
	return HYDRO_OK;
}
