/* SPDX-License-Identifier: MIT */
/* What the journal's tests share: a folder, batches whose content follows from a number, a disk that fails on demand. */
#ifndef HD_TESTS_JOURNAL_KIT_H
#define HD_TESTS_JOURNAL_KIT_H

#include "check.h"

#include "journal/io.h"
#include "journal/journal.h"

#include <pthread.h>
#include <stdatomic.h>

#define KIT_SEGMENT HD_JOURNAL_SEGMENT_BYTES_MIN
#define KIT_TS INT64_C(1700000000000)
#define KIT_WAIT_MS 60000

struct kit {
	char dir[64];
	struct hd_journal *journal;
	struct hd_journal_config config;
	struct hd_journal_io io;
	struct hydro_error err;
	_Atomic int sync_errno, write_errno, allocate_errno; /* 0 = works */
	_Atomic int fail_countdown; /* syncs and writes that still work before *_errno counts */
	_Atomic int failed_again;   /* a write or sync on a file that had failed before */
	struct hd_buf failed;       /* their paths, a line each; guarded by `lock` */
	_Atomic uint64_t synced;    /* records handed to `synced` */
	pthread_mutex_t lock;       /* guards: events */
	struct hd_buf events;       /* "event: text\n" */
};

/* A folder, an io table that goes through the kit, one commit at once, KIT_SEGMENT segments; not opened. */
void kit_init(struct kit *kit);
void kit_done(struct kit *kit);
int kit_open(struct kit *kit);
void kit_close(struct kit *kit);
/* Appends records number `from` … `from + count - 1` as one batch, waiting for room; points = from % points. */
void kit_append(struct kit *kit, uint64_t from, uint32_t count, uint32_t points);
/* Appends and waits until it is synced. */
void kit_append_synced(struct kit *kit, uint64_t from, uint32_t count, uint32_t points);
/* What record `number` must be. */
void kit_check(const struct hd_sample *sample, uint64_t number, uint32_t points);
/* Reads everything from the start and checks that it is `first` … `last` in order. */
void kit_check_all(struct kit *kit, uint64_t first, uint64_t last, uint32_t points);
/* Segment files as they are now, without indexes, into another kit's folder. */
void kit_copy_segments(struct kit *from, struct kit *to);
bool kit_has_event(struct kit *kit, const char *text);
/* Path of the n-th file with this suffix in name order, to be freed; NULL when there is none. */
char *kit_file(struct kit *kit, const char *suffix, unsigned n);
unsigned kit_count(struct kit *kit, const char *suffix);
struct hd_batch *kit_batch(uint64_t from, uint32_t count, uint32_t points);

#endif
