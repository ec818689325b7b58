/* SPDX-License-Identifier: MIT */
/*
 * What the power-cut test runs on history over its journal.
 *   power_history run FOLDER BATCHES ACKS   appends a day a batch, each third with revisions of rows two months old; merges
 *                                           segments and months on the way; writes "BATCH" to the file ACKS once it is synced
 *   power_history verify FOLDER ACKS        reads all: 0 = every row of what ACKS says is there once, and nothing else
 * A restart goes on after the last batch there is. ACKS lies outside the cut folder.
 */
#include "history/history.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define STEP_MS INT64_C(2400000)
#define BATCH 36u /* rows, a day of them */
#define REVISED 20u
#define BACK (60u * BATCH)
#define POINTS 7u
#define BATCHES_MAX 1000u

struct all {
	bool rows[BATCHES_MAX * BATCH], revisions[BATCHES_MAX * BATCH];
	uint32_t end; /* above the highest row */
};

static struct hd_journal *journal;
static struct hd_history *history;

static _Noreturn void die(int code, const char *what, const struct hydro_error *err)
{
	(void)fprintf(stderr, "power_history: %s: %s\n", what, err ? err->text : "");
	exit(code);
}

static void open_both(const char *dir)
{
	char path[512], history_dir[512];
	struct hydro_error err = {0};
	struct hd_key key = {.bytes = {1, 2, 3}, .id = 5};
	(void)snprintf(path, sizeof path, "%s/journal", dir);
	(void)snprintf(history_dir, sizeof history_dir, "%s/history", dir);
	struct hd_journal_config jc = {.dir = path, .segment_bytes = HD_JOURNAL_SEGMENT_BYTES_MIN, .commit_ms = HD_JOURNAL_COMMIT_NOW, .seal = &key};
	if (hd_journal_open(&jc, &journal, &err) != HYDRO_OK)
		die(3, "open", &err);
	struct hd_history_config hc = {.dir = history_dir, .journal = journal, .seal = &key, .manual = true, .month_after_ms = 1, .month_step_bytes = 700};
	if (hd_history_open(&hc, &history, &err) != HYDRO_OK)
		die(3, "open", &err);
}

static void close_both(void)
{
	hd_history_close(&history);
	hd_journal_close(&journal);
}

static bool batch_revises(uint32_t batch)
{
	return batch % 3 == 0 && batch * BATCH >= BACK;
}

static void add(struct hd_batch *batch, uint32_t n, uint16_t rev)
{
	const struct hd_value values[] = {{(double)n / 7 + rev, 1, 1}, {(double)n / 3, 2, 1}};
	const struct hd_sample sample = {.ts_ms = START + n * STEP_MS, .point = n % POINTS, .rev = rev, .raw_count = 1, .value_count = 1, .raws = values, .values = values + 1};
	(void)hd_batch_add(batch, &sample);
}

static int see(void *arg, const struct hd_sample *s)
{
	struct all *all = arg;
	uint32_t n = (uint32_t)((s->ts_ms - START) / STEP_MS);
	bool *seen = s->rev ? all->revisions : all->rows;
	if (n >= BATCHES_MAX * BATCH || s->point != n % POINTS || s->rev > 1 || s->raw_count != 1 || s->value_count != 1 || s->raws[0].value != (double)n / 7 + s->rev ||
	    s->values[0].value != (double)n / 3 || seen[n]) {
		(void)fprintf(stderr, "row %" PRIu32 ", revision %u: twice, or not as stored\n", n, s->rev);
		exit(1);
	}
	seen[n] = true;
	all->end = HD_MAX(all->end, n + 1);
	return HYDRO_OK;
}

/* Every row up to the last must be there, and the revisions of every batch. */
static void read_all(struct all *ret)
{
	struct hydro_error err = {0};
	*ret = (struct all){0};
	for (uint32_t point = 0; point < POINTS; point++) {
		struct hd_history_query q = {.point = point, .from_ms = INT64_MIN, .to_ms = INT64_MAX, .all_revs = true};
		if (hd_history_query(history, &q, see, ret, &err) != HYDRO_OK)
			die(1, "reading", &err);
	}
	for (uint32_t n = 0; n < ret->end; n++)
		if (!ret->rows[n])
			die(1, "a row is missing", NULL);
	if (ret->end % BATCH)
		die(1, "half of a batch is there", NULL);
	for (uint32_t b = 0; b < ret->end / BATCH; b++)
		for (uint32_t i = 0; i < REVISED && batch_revises(b); i++)
			if (!ret->revisions[b * BATCH - BACK + i])
				die(1, "a revision is missing", NULL);
}

static void merge_all(uint32_t batch)
{
	struct hydro_error err = {0};
	if (hd_history_merge(history, true, &err) != HYDRO_OK)
		die(3, "merging", &err);
	/* The clock of the data, and now and then far ahead of it: what came late is merged again too. */
	int64_t now = batch % 5 ? START + (int64_t)batch * BATCH * STEP_MS : INT64_MAX / 2;
	for (bool more = true; more;)
		if (hd_history_merge_months(history, now, &more, &err) != HYDRO_OK)
			die(3, "merging months", &err);
}

static int run(const char *dir, uint32_t batches, const char *path)
{
	static struct all all;
	struct hydro_error err = {0};
	int acks = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	open_both(dir);
	read_all(&all);
	for (uint32_t b = all.end / BATCH, end = b + batches; b < end && b < BATCHES_MAX; b++) {
		struct hd_batch *batch = NULL;
		if (hd_batch_new(BATCH + REVISED, (BATCH + REVISED) * 128 + HD_BATCH_SAMPLE_BYTES_MAX, &batch) != HYDRO_OK)
			die(3, "no memory", NULL);
		for (uint32_t i = 0; i < BATCH; i++)
			add(batch, b * BATCH + i, 0);
		for (uint32_t i = 0; i < REVISED && batch_revises(b); i++)
			add(batch, b * BATCH - BACK + i, 1);
		if (hd_journal_append(journal, batch, &err) != HYDRO_OK || hd_journal_flush(journal, 5000) != HYDRO_OK)
			die(3, "append", &err);
		if (dprintf(acks, "%u\n", b) < 0)
			die(3, "cannot write the acks", NULL);
		if (b % 4 == 3)
			merge_all(b);
	}
	close_both();
	return 0;
}

static int verify(const char *dir, const char *path)
{
	static struct all all;
	unsigned acked = 0, n;
	FILE *file = fopen(path, "re");
	while (file && fscanf(file, "%u", &n) == 1)
		acked = n + 1;
	if (file)
		(void)fclose(file);
	open_both(dir);
	read_all(&all);
	if (all.end / BATCH < acked) {
		(void)fprintf(stderr, "%u batches acknowledged, %u are there\n", acked, all.end / BATCH);
		return 1;
	}
	close_both();
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "run") == 0)
		return run(argv[2], (uint32_t)strtoul(argv[3], NULL, 10), argv[4]);
	if (argc == 4 && strcmp(argv[1], "verify") == 0)
		return verify(argv[2], argv[3]);
	(void)fprintf(stderr, "power_history run FOLDER BATCHES ACKS | verify FOLDER ACKS\n");
	return 2;
}
