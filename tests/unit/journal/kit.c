/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether the call is to fail; watches that no file is used again that failed once (names are never given twice). */
static bool fails(struct kit *kit, _Atomic int *code, int fd)
{
	char proc[64], line[256] = "";
	(void)snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(proc, line, sizeof line - 2);
	if (n > 0)
		(void)strcpy(line + n, "\n");
	int value = atomic_load(code);
	bool failing = value != 0 && atomic_fetch_sub(&kit->fail_countdown, 1) <= 0;
	(void)pthread_mutex_lock(&kit->lock);
	const char *failed = hd_buf_text(&kit->failed);
	if (failed && *line && strstr(failed, line))
		atomic_store(&kit->failed_again, 1);
	if (failing)
		(void)hd_buf_add_text(&kit->failed, line);
	(void)pthread_mutex_unlock(&kit->lock);
	if (failing)
		errno = value;
	return failing;
}

static ssize_t kit_pwritev(void *arg, int fd, const struct iovec *iov, int count, off_t offset)
{
	struct kit *kit = arg;
	return fails(kit, &kit->write_errno, fd) ? -1 : hd_journal_io_system.pwritev(NULL, fd, iov, count, offset);
}

static int kit_fdatasync(void *arg, int fd)
{
	struct kit *kit = arg;
	return fails(kit, &kit->sync_errno, fd) ? -1 : hd_journal_io_system.fdatasync(NULL, fd);
}

static int kit_fallocate(void *arg, int fd, off_t bytes)
{
	struct kit *kit = arg;
	return fails(kit, &kit->allocate_errno, fd) ? -1 : hd_journal_io_system.fallocate(NULL, fd, bytes);
}

static void kit_synced(void *arg, struct hd_batch *batch)
{
	struct kit *kit = arg;
	(void)atomic_fetch_add(&kit->synced, batch->count);
	hd_batch_free(&batch);
}

static void kit_event(void *arg, uint32_t level, const char *event, const char *text)
{
	struct kit *kit = arg;
	(void)level;
	(void)pthread_mutex_lock(&kit->lock);
	(void)hd_buf_printf(&kit->events, "%s: %s\n", event, text);
	(void)pthread_mutex_unlock(&kit->lock);
}

void kit_init(struct kit *kit)
{
	memset(kit, 0, sizeof *kit);
	(void)snprintf(kit->dir, sizeof kit->dir, "/tmp/hydro-journal-XXXXXX");
	cr_assert_not_null(mkdtemp(kit->dir));
	(void)pthread_mutex_init(&kit->lock, NULL);
	kit->io = (struct hd_journal_io){.arg = kit, .pwritev = kit_pwritev, .fdatasync = kit_fdatasync, .fallocate = kit_fallocate};
	kit->config = (struct hd_journal_config){.dir = kit->dir, .segment_bytes = KIT_SEGMENT, .commit_ms = HD_JOURNAL_COMMIT_NOW,
						 .synced = kit_synced, .synced_arg = kit, .event = kit_event, .event_arg = kit, .io = &kit->io};
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void kit_done(struct kit *kit)
{
	kit_close(kit);
	(void)nftw(kit->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	(void)pthread_mutex_destroy(&kit->lock);
	hd_buf_done(&kit->events);
	hd_buf_done(&kit->failed);
}

int kit_open(struct kit *kit)
{
	return hd_journal_open(&kit->config, &kit->journal, &kit->err);
}

void kit_close(struct kit *kit)
{
	hd_journal_close(&kit->journal);
}

static double raw_of(uint64_t number)
{
	return (double)(int64_t)number * 7 + 0.25;
}

struct hd_batch *kit_batch(uint64_t from, uint32_t count, uint32_t points)
{
	struct hd_batch *batch = NULL;
	cr_assert_eq(hd_batch_new(HD_MAX(count, 1u), count * 256 + HD_BATCH_SAMPLE_BYTES_MAX, &batch), HYDRO_OK);
	for (uint64_t n = from; n < from + count; n++) {
		struct hd_value raws[] = {{raw_of(n), 5, 1}, {12.5, 2, 1}};
		struct hd_value values[] = {{raw_of(n) / 3, 3, 1}, {12.5, 2, n % 5 ? 1 : 0.5f}};
		struct hd_flag flag = {.metric = 2, .flag = 4, .rule = 9};
		struct hd_sample sample = {.ts_ms = KIT_TS + (int64_t)n * 1000, .source = n, .point = (uint32_t)(n % points), .generation = 3, .raw_count = 2,
					   .value_count = 2, .flag_count = n % 5 ? 0 : 1, .raws = raws, .values = values, .flags = &flag};
		cr_assert_not_null(hd_batch_add(batch, &sample));
	}
	return batch;
}

void kit_append(struct kit *kit, uint64_t from, uint32_t count, uint32_t points)
{
	struct hd_batch *batch = kit_batch(from, count, points);
	struct hydro_error err = {0};
	int rc;
	while ((rc = hd_journal_append(kit->journal, batch, &err)) == HYDRO_E_AGAIN)
		(void)sched_yield();
	cr_assert_eq(rc, HYDRO_OK, "%s", err.text);
}

void kit_append_synced(struct kit *kit, uint64_t from, uint32_t count, uint32_t points)
{
	kit_append(kit, from, count, points);
	cr_assert_eq(hd_journal_flush(kit->journal, KIT_WAIT_MS), HYDRO_OK);
}

void kit_check(const struct hd_sample *s, uint64_t n, uint32_t points)
{
	cr_assert_eq(s->source, n, "record %d instead of %d", (int)s->source, (int)n);
	cr_assert_eq(s->ts_ms, KIT_TS + (int64_t)n * 1000);
	cr_assert_eq(s->point, n % points);
	cr_assert_eq(s->generation, 3);
	cr_assert_eq(s->raw_count, 2);
	cr_assert_eq(s->value_count, 2);
	cr_assert_eq(s->flag_count, n % 5 ? 0 : 1);
	double raw = raw_of(n), value = raw / 3;
	cr_assert_arr_eq(&s->raws[0].value, &raw, sizeof raw);
	cr_assert_arr_eq(&s->values[0].value, &value, sizeof value);
	cr_assert_eq(s->values[1].quality, n % 5 ? 1.0f : 0.5f);
	if (s->flag_count)
		cr_assert_eq(s->flags[0].rule, 9);
}

void kit_check_all(struct kit *kit, uint64_t first, uint64_t last, uint32_t points)
{
	struct hd_journal_reader *reader = NULL;
	struct hd_sample sample;
	uint64_t lsn, n = first;
	int rc;
	cr_assert_eq(hd_journal_reader_open(kit->journal, "kit", 0, 0, &reader, &kit->err), HYDRO_OK, "%s", kit->err.text);
	while ((rc = hd_journal_reader_next(reader, &sample, &lsn, &kit->err)) == HYDRO_OK)
		kit_check(&sample, n++, points);
	cr_assert_eq(rc, HYDRO_E_AGAIN, "%s", kit->err.text);
	cr_assert_eq(n, last + 1, "the last record is %d, not %d", (int)n - 1, (int)last);
	hd_journal_reader_close(&reader);
	cr_assert_eq(hd_journal_reader_forget(kit->journal, "kit", &kit->err), HYDRO_OK);
}

void kit_copy_segments(struct kit *from, struct kit *to)
{
	struct dirent **entries = NULL;
	int count = scandir(from->dir, &entries, NULL, NULL); /* once: those that go meanwhile are the oldest, and released */
	for (int i = 0; i < count; i++) {
		struct hd_buf bytes = {0};
		char *path = hd_fs_join(from->dir, entries[i]->d_name), *copy = hd_fs_join(to->dir, entries[i]->d_name);
		if (strstr(path, ".seg") && hd_fs_read(path, 1u << 20, &bytes, NULL) == HYDRO_OK)
			cr_assert_eq(hd_fs_write_atomic(copy, bytes.data, bytes.len, 0600, NULL), HYDRO_OK);
		hd_buf_done(&bytes);
		free(path);
		free(copy);
		free(entries[i]);
	}
	free(entries);
}

bool kit_has_event(struct kit *kit, const char *text)
{
	(void)pthread_mutex_lock(&kit->lock);
	const char *events = hd_buf_text(&kit->events);
	bool has = events && strstr(events, text);
	(void)pthread_mutex_unlock(&kit->lock);
	return has;
}

static int name_order(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static unsigned walk(struct kit *kit, const char *suffix, unsigned n, char **ret)
{
	struct dirent **entries = NULL;
	unsigned found = 0;
	int count = scandir(kit->dir, &entries, NULL, name_order);
	for (int i = 0; i < count; i++) {
		size_t len = strlen(entries[i]->d_name), tail = strlen(suffix);
		if (len > tail && strcmp(entries[i]->d_name + len - tail, suffix) == 0 && found++ == n && ret)
			*ret = hd_fs_join(kit->dir, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return found;
}

char *kit_file(struct kit *kit, const char *suffix, unsigned n)
{
	char *path = NULL;
	(void)walk(kit, suffix, n, &path);
	return path;
}

unsigned kit_count(struct kit *kit, const char *suffix)
{
	return walk(kit, suffix, UINT32_MAX, NULL);
}
