/* SPDX-License-Identifier: MIT */
/*
 * The journal alone: two threads append batches of real series, three metrics raw and result, and what counts is synced.
 * The reference is a raw log on the same disk: 64-byte records into a filled file, as many a write and fdatasync as the
 * journal's groups had. A reader releases as it goes, so segments are reused as in a running daemon.
 *   bench_journal [measurements] [folder]
 */
#include "bench.h"

#include "base/clock.h"
#include "base/queue.h"
#include "base/thread.h"
#include "journal/journal.h"
#include "model/names.h"
#include "options.h"
#include "sim.h"

#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <unistd.h>

#define THREADS 2u
#define BATCHES 32u /* a thread's own, each filled once and appended again and again */
#define BATCH_SAMPLES 1024u
#define POINTS 1000u
#define START_MS INT64_C(1735689600000)
#define RAW_RECORD 64u
#define ROUNDS 3u

struct load {
	struct hd_journal *journal;
	struct hd_queue *idle;
	struct hd_batch *batches[BATCHES];
	uint64_t measurements;
	int64_t cpu_ns;
};

static struct hd_journal_reader *reader;

static void die(const char *what, const struct hydro_error *err)
{
	(void)fprintf(stderr, "bench_journal: %s: %s\n", what, err ? err->text : "");
	exit(1);
}

/* A point's minute as its logger sends it and as the well pipeline leaves it. */
static void fill(const struct sim *sim, struct hd_batch *batch, uint64_t first)
{
	for (uint64_t n = first; n < first + BATCH_SAMPLES; n++) {
		struct sim_point point;
		int64_t truth[SIM_METRICS];
		sim_point_at(sim, (uint32_t)(n % POINTS), &point);
		int64_t slot = sim_slot_at(&point, START_MS + (int64_t)(n / POINTS) * 60000);
		sim_point_read(sim, &point, slot, truth);
		double flow = (double)truth[SIM_FLOW] / 100, level = (double)truth[SIM_LEVEL] / 1000, pulses = (double)truth[SIM_PULSES];
		struct hd_value raws[] = {{flow, HD_METRIC_FLOW, 1}, {level, HD_METRIC_LEVEL, 1}, {pulses, HD_METRIC_PULSES, 1}};
		struct hd_value values[] = {{flow, HD_METRIC_FLOW, 1},
					    {point.sensor_depth_m - level, HD_METRIC_WATER_TABLE, 1},
					    {pulses * (double)point.litres_per_pulse / 1000 + point.offset_m3, HD_METRIC_TOTAL, 1}};
		struct hd_sample sample = {.ts_ms = sim_slot_ts(&point, slot), .point = (uint32_t)(n % POINTS), .generation = 1, .source = n / POINTS,
					   .raw_count = 3, .value_count = 3, .raws = raws, .values = values};
		if (!hd_batch_add(batch, &sample))
			die("a batch is too small", NULL);
	}
}

static void give_back(struct hd_batch *batch)
{
	(void)hd_queue_try_push(((struct load *)batch->owner)->idle, batch);
}

static void synced(void *arg, struct hd_batch *batch)
{
	(void)arg;
	if (reader)
		hd_journal_reader_release(reader, batch->first_lsn + batch->count - 1);
	hd_batch_release(batch);
}

static void *load_run(void *arg)
{
	struct load *load = arg;
	struct hydro_error err = {0};
	int64_t cpu = hd_clock_thread_cpu_ns();
	for (uint64_t done = 0; done < load->measurements; done += BATCH_SAMPLES) {
		void *batch;
		if (hd_queue_pop(load->idle, &batch, 1, -1) != 1)
			die("no batch", NULL);
		int rc;
		while ((rc = hd_journal_append(load->journal, batch, &err)) == HYDRO_E_AGAIN)
			(void)usleep(100);
		if (rc != HYDRO_OK)
			die("append", &err);
	}
	load->cpu_ns = hd_clock_thread_cpu_ns() - cpu;
	return NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

struct result {
	double rate, bytes, group, written, cpu_ns, p50_us;
};

static struct result run(struct load *loads, const char *dir, uint64_t measurements, const struct hd_key *key)
{
	struct hd_journal *journal = NULL;
	struct hydro_error err = {0};
	struct hd_journal_config config = {.dir = dir, .seal = key, .synced = synced};
	struct hd_journal_status before, after;
	pthread_t threads[THREADS];
	if (hd_journal_open(&config, &journal, &err) != HYDRO_OK || hd_journal_reader_open(journal, "bench", 0, 0, &reader, &err) != HYDRO_OK)
		die("open", &err);
	hd_journal_status(journal, &before);
	int64_t start = hd_clock_real_ns();
	for (uint32_t i = 0; i < THREADS; i++) {
		loads[i].journal = journal;
		loads[i].measurements = measurements / THREADS;
		if (hd_thread_start(&threads[i], HD_ROLE_WORKER, "bench", load_run, &loads[i], &err) != HYDRO_OK)
			die("thread", &err);
	}
	double cpu = 0;
	for (uint32_t i = 0; i < THREADS; i++) {
		(void)pthread_join(threads[i], NULL);
		cpu += (double)loads[i].cpu_ns;
	}
	if (hd_journal_flush(journal, 60000) != HYDRO_OK)
		die("flush", NULL);
	double took = (double)(hd_clock_real_ns() - start) / 1e9;
	hd_journal_status(journal, &after);
	double n = (double)(after.synced_lsn - before.synced_lsn);
	struct result result = {.rate = n / took, .group = n / (double)(after.syncs - before.syncs), .cpu_ns = cpu / n,
				.written = (double)(after.written_bytes - before.written_bytes) / n, .p50_us = (double)after.sync_p50_ns / 1e3};
	double bytes = 0;
	for (uint32_t i = 0; i < BATCHES; i++)
		bytes += (double)loads[0].batches[i]->encoded.len;
	result.bytes = bytes / (BATCHES * BATCH_SAMPLES);
	hd_journal_reader_close(&reader);
	hd_journal_close(&journal);
	(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return result;
}

/* 64-byte records, `group` of them a write and sync, over a file that was filled before, as reused segments are. */
static double raw_log(const char *path, double group, uint64_t records)
{
	size_t bytes = (size_t)group * RAW_RECORD, file = 64u << 20;
	bytes = bytes > file ? file : bytes < RAW_RECORD ? RAW_RECORD : bytes;
	char *data = malloc(file);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (!data || fd < 0)
		die("raw log", NULL);
	memset(data, 7, file);
	if (pwrite(fd, data, file, 0) != (ssize_t)file || fsync(fd) != 0)
		die("raw log", NULL);
	int64_t start = hd_clock_real_ns();
	uint64_t done = 0;
	for (size_t at = 0; done < records; at += bytes, done += bytes / RAW_RECORD) {
		at = at + bytes > file ? 0 : at;
		data[at]++;
		if (pwrite(fd, data + at, bytes, (off_t)at) != (ssize_t)bytes || fdatasync(fd) != 0)
			die("raw log", NULL);
	}
	double rate = (double)done / ((double)(hd_clock_real_ns() - start) / 1e9);
	(void)close(fd);
	(void)unlink(path);
	free(data);
	return rate;
}

static void measure(struct load *loads, const char *dir, uint64_t measurements, const struct hd_key *key)
{
	double rates[ROUNDS], raws[ROUNDS], cpu[ROUNDS], groups[ROUNDS], written[ROUNDS], sync[ROUNDS];
	const char *how = key ? "sealed" : "plain";
	char name[64], path[256];
	struct result last = {0};
	(void)snprintf(path, sizeof path, "%s.raw", dir);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		last = run(loads, dir, measurements, key);
		raws[i] = raw_log(path, last.group, measurements);
		rates[i] = last.rate;
		cpu[i] = last.cpu_ns;
		groups[i] = last.group;
		written[i] = last.written;
		sync[i] = last.p50_us;
	}
	(void)snprintf(name, sizeof name, "synced_%s", how);
	bench_print(&(struct bench_figure){"journal", name, "measurements/s", bench_quantile(rates, ROUNDS, 0.5), bench_quantile(raws, ROUNDS, 0.5),
					   "raw log of 64-byte records, same group size", NAN, false, false, measurements * ROUNDS});
	(void)snprintf(name, sizeof name, "bytes_%s", how);
	bench_print(&(struct bench_figure){"journal", name, "bytes/measurement", last.bytes, 56, "budget", 56, true, false, BATCHES * BATCH_SAMPLES});
	(void)snprintf(name, sizeof name, "written_%s", how);
	bench_print(&(struct bench_figure){"journal", name, "bytes/measurement", bench_quantile(written, ROUNDS, 0.5), NAN, NULL, NAN, true, false, measurements});
	(void)snprintf(name, sizeof name, "append_cpu_%s", how);
	bench_print(&(struct bench_figure){"journal", name, "ns/measurement on the worker", bench_quantile(cpu, ROUNDS, 0.5), NAN, NULL, key ? NAN : 150, true, false,
					   measurements});
	(void)snprintf(name, sizeof name, "group_%s", how);
	bench_print(&(struct bench_figure){"journal", name, "measurements/sync", bench_quantile(groups, ROUNDS, 0.5), NAN, NULL, NAN, false, false, measurements});
	(void)snprintf(name, sizeof name, "sync_p50_%s", how);
	bench_print(&(struct bench_figure){"journal", name, "us", bench_quantile(sync, ROUNDS, 0.5), NAN, NULL, NAN, true, false, measurements});
}

int main(int argc, char **argv)
{
	uint64_t measurements = argc > 1 ? strtoull(argv[1], NULL, 10) : 5000000;
	char dir[128];
	char *none[] = {argv[0], NULL};
	static struct load loads[THREADS];
	struct hydro_error err = {0};
	struct sim_config config;
	struct sim sim;
	struct hd_key key = {.id = 1};
	(void)snprintf(dir, sizeof dir, "%s/hydro-bench-journal-%d", argc > 2 ? argv[2] : "/var/tmp", (int)getpid());
	if (sim_options_read(1, none, &config, &err) < 0)
		die("options", &err);
	config.points = POINTS;
	config.origin_ms = START_MS - 86400000;
	for (uint32_t i = 0; i < SIM_PROVIDERS; i++)
		config.period_ms[i] = 60000;
	if (sim_init(&sim, &config, &err) != HYDRO_OK)
		die("sim", &err);
	for (uint32_t i = 0; i < THREADS; i++) {
		if (hd_queue_new(BATCHES, &loads[i].idle) != HYDRO_OK)
			die("no memory", NULL);
		for (uint32_t k = 0; k < BATCHES; k++) {
			struct hd_batch *batch = NULL;
			if (hd_batch_new(BATCH_SAMPLES, BATCH_SAMPLES * 128 + HD_BATCH_SAMPLE_BYTES_MAX, &batch) != HYDRO_OK)
				die("no memory", NULL);
			fill(&sim, batch, (uint64_t)(i * BATCHES + k) * BATCH_SAMPLES);
			batch->owner = &loads[i];
			batch->recycle = give_back;
			loads[i].batches[k] = batch;
			(void)hd_queue_push(loads[i].idle, batch);
		}
	}
	measure(loads, dir, measurements, NULL);
	measure(loads, dir, measurements, &key);
	for (uint32_t i = 0; i < THREADS; i++) {
		for (uint32_t k = 0; k < BATCHES; k++)
			hd_batch_free(&loads[i].batches[k]);
		hd_queue_free(&loads[i].idle);
	}
	sim_done(&sim);
	return 0;
}
