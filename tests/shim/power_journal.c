/* SPDX-License-Identifier: MIT */
/*
 * What the power-cut test runs.
 *   power_journal append FOLDER BATCHES ACKS [nosync]   appends, writing "ack NUMBER" and "released LSN" to the file ACKS
 *   power_journal verify FOLDER ACKS                     opens, and compares with all that ACKS says: 0 = nothing lost or doubled
 * Records are numbered by their source; a restart goes on after the last one there is. ACKS lies outside the cut folder.
 * `nosync` leaves out fdatasync: the test must then fail, or it tests nothing.
 */
#include "journal/io.h"
#include "journal/journal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH 37u
#define POINTS 11u
#define KEEP 4000u /* records not yet released, so that segments come to be reused */

static int acks = -1;
static struct hd_journal_reader *reader;

static _Noreturn void die(const char *what, const struct hydro_error *err)
{
	(void)fprintf(stderr, "power_journal: %s: %s\n", what, err ? err->text : "");
	exit(2);
}

static void say(const char *what, uint64_t number)
{
	char text[64];
	int n = snprintf(text, sizeof text, "%s %" PRIu64 "\n", what, number);
	if (write(acks, text, (size_t)n) != n)
		die("cannot write the acks", NULL);
}

static void synced(void *arg, struct hd_batch *batch)
{
	(void)arg;
	uint64_t last = batch->samples[batch->count - 1].source;
	say("ack", last);
	uint64_t lsn = batch->first_lsn + batch->count - 1;
	if (lsn > KEEP) {
		say("released", lsn - KEEP);
		hd_journal_reader_release(reader, lsn - KEEP);
	}
	hd_batch_free(&batch);
}

static int no_sync(void *arg, int fd)
{
	(void)arg;
	(void)fd;
	return 0;
}

static struct hd_batch *make(uint64_t first)
{
	struct hd_batch *batch = NULL;
	if (hd_batch_new(BATCH, BATCH * 128 + HD_BATCH_SAMPLE_BYTES_MAX, &batch) != HYDRO_OK)
		die("no memory", NULL);
	for (uint64_t n = first; n < first + BATCH; n++) {
		struct hd_value raws[] = {{(double)(int64_t)n / 3, 1, 1}, {(double)(int64_t)n / 7, 2, 1}};
		struct hd_sample sample = {.ts_ms = INT64_C(1700000000000) + (int64_t)n * 1000, .source = n, .point = (uint32_t)(n % POINTS), .raw_count = 2, .raws = raws};
		(void)hd_batch_add(batch, &sample);
	}
	return batch;
}

static bool same(const struct hd_sample *s, uint64_t n)
{
	double a = (double)(int64_t)n / 3, b = (double)(int64_t)n / 7;
	return s->source == n && s->point == n % POINTS && s->raw_count == 2 && memcmp(&s->raws[0].value, &a, sizeof a) == 0 &&
	       memcmp(&s->raws[1].value, &b, sizeof b) == 0;
}

static void event(void *arg, uint32_t level, const char *name, const char *text)
{
	(void)level;
	if (arg)
		(void)fprintf(stderr, "%s: %s\n", name, text);
}

static struct hd_journal *open_journal(const char *dir, const struct hd_journal_io *io, void *loud)
{
	struct hydro_error err = {0};
	struct hd_journal *journal = NULL;
	struct hd_key key = {.bytes = {1, 2, 3}, .id = 5};
	struct hd_journal_config config = {.dir = dir, .segment_bytes = HD_JOURNAL_SEGMENT_BYTES_MIN, .commit_ms = HD_JOURNAL_COMMIT_NOW, .synced = synced,
					   .io = io, .event = event, .event_arg = loud, .seal = &key};
	if (hd_journal_open(&config, &journal, &err) != HYDRO_OK)
		die("open", &err);
	if (hd_journal_reader_open(journal, "power", 0, 0, &reader, &err) != HYDRO_OK)
		die("reader", &err);
	return journal;
}

/* Numbers must follow one another from the first to the last; returns the last (0 = none). */
static uint64_t read_all(uint64_t *ret_first)
{
	struct hd_sample sample;
	struct hydro_error err = {0};
	uint64_t lsn, last = 0;
	int rc;
	while ((rc = hd_journal_reader_next(reader, &sample, &lsn, &err)) == HYDRO_OK) {
		if (!last)
			*ret_first = sample.source;
		if ((last && sample.source != last + 1) || !same(&sample, sample.source) || lsn != sample.source) {
			(void)fprintf(stderr, "after record %" PRIu64 " comes %" PRIu64 " at LSN %" PRIu64 "\n", last, sample.source, lsn);
			exit(1);
		}
		last = sample.source;
	}
	if (rc != HYDRO_E_AGAIN)
		die("reading", &err);
	return last;
}

static int append(const char *dir, uint64_t batches, const struct hd_journal_io *io)
{
	struct hd_journal *journal = open_journal(dir, io, NULL);
	struct hydro_error err = {0};
	uint64_t first = 0, next = read_all(&first) + 1;
	for (uint64_t i = 0; i < batches; i++, next += BATCH) {
		struct hd_batch *batch = make(next);
		int rc;
		while ((rc = hd_journal_append(journal, batch, &err)) == HYDRO_E_AGAIN)
			(void)sched_yield();
		if (rc != HYDRO_OK)
			die("append", &err);
		if (i % 3 == 0 && hd_journal_flush(journal, 60000) != HYDRO_OK)
			die("flush", NULL);
	}
	if (hd_journal_flush(journal, 60000) != HYDRO_OK)
		die("flush", NULL);
	hd_journal_reader_close(&reader);
	hd_journal_close(&journal);
	return 0;
}

static int verify(const char *dir, const char *path)
{
	char line[64];
	uint64_t acked = 0, released = 0, n, first = 1;
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file)) {
		if (sscanf(line, "ack %" SCNu64, &n) == 1 && n > acked)
			acked = n;
		if (sscanf(line, "released %" SCNu64, &n) == 1 && n > released)
			released = n;
	}
	if (file)
		(void)fclose(file);
	struct hd_journal *journal = open_journal(dir, NULL, stderr);
	uint64_t last = read_all(&first);
	hd_journal_reader_close(&reader);
	hd_journal_close(&journal);
	if (last >= acked && (acked == 0 || first <= released + 1))
		return 0;
	(void)fprintf(stderr, "acked up to %" PRIu64 ", released up to %" PRIu64 "; there are %" PRIu64 " to %" PRIu64 "\n", acked, released, first, last);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc >= 5 && strcmp(argv[1], "append") == 0) {
		struct hd_journal_io io = hd_journal_io_system;
		io.fdatasync = argc > 5 ? no_sync : io.fdatasync;
		acks = open(argv[4], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		return append(argv[2], strtoull(argv[3], NULL, 10), &io);
	}
	if (argc == 4 && strcmp(argv[1], "verify") == 0) {
		acks = open("/dev/null", O_WRONLY | O_CLOEXEC);
		return verify(argv[2], argv[3]);
	}
	(void)fprintf(stderr, "power_journal append FOLDER BATCHES ACKS [nosync] | verify FOLDER ACKS\n");
	return 2;
}
