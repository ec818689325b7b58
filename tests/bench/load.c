/* SPDX-License-Identifier: MIT */
#include "load.h"

#include "bench.h"

#include "base/clock.h"
#include "base/thread.h"
#include "model/names.h"
#include "model/points.h"
#include "pipeline/link.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define WORKERS 2u
#define JOB_POINTS 100u
#define T0 INT64_C(1767225600000)
#define MINUTE_MS 60000
#define SEGMENT_BYTES (4u << 20) /* what the journal knows of its open segment in memory stays small beside what is measured */
#define KEPT (1u << 20) /* latencies of a phase at most */

struct latencies {
	_Atomic uint32_t count;
	float *ms;
};

struct load {
	struct load_config config;
	char dir[128];
	struct hd_names *names;
	struct hd_points *points;
	struct hd_pipeline_link *link;
	struct hd_journal *journal;
	struct hd_journal_reader *reader;
	struct hd_pipeline_config pipeline_config;
	struct hd_pipeline *pipeline;
	struct hd_scripts *scripts;
	uint32_t *of_worker[WORKERS], count[WORKERS]; /* its points */
	pthread_t producer, checker;
	atomic_bool stop, checked_all;
	_Atomic uint32_t phase;
	struct latencies latencies[LOAD_PHASES];
	uint32_t *fed;  /* rounds of each point that went in; its worker's */
	uint32_t *seen; /* rounds of each point that came back; the checker's */
	_Atomic uint64_t on_disk, lost, doubled;
};

struct load_job {
	struct load *load;
	uint32_t worker, first, count, phase, round;
	int64_t due_ns;
};

void load_must(int rc, const struct hydro_error *err, const char *what)
{
	if (rc == HYDRO_OK)
		return;
	(void)fprintf(stderr, "bench: %s: %s\n", what, err->text);
	exit(1);
}

/* ---- in ---- */

static void synced(void *arg, uint32_t accepted, uint32_t dropped)
{
	struct load_job *job = arg;
	struct latencies *l = &job->load->latencies[job->phase];
	(void)accepted, (void)dropped;
	uint32_t i = job->phase ? atomic_fetch_add(&l->count, 1) : KEPT;
	if (i < KEPT)
		l->ms[i] = (float)(hd_clock_real_ns() - job->due_ns) / 1e6f;
	free(job);
}

static void feed_point(struct load *load, struct hd_worker *w, uint32_t point, uint32_t round, const struct hd_feed *how)
{
	struct hydro_error err = {.struct_size = sizeof err};
	int64_t ts = T0 + (int64_t)round * MINUTE_MS;
	const hydro_raw raws[] = {{.ts_ms = ts, .metric = HD_METRIC_PULSES, .value = 1000 + 60.0 * round + point % 7},
				  {.ts_ms = ts, .metric = HD_METRIC_LEVEL, .value = 20 + (point + round) % 5},
				  {.ts_ms = ts, .metric = HD_METRIC_FLOW, .value = 10}};
	load_must(hd_pipeline_feed(w, point, raws, HD_ARRAY_LEN(raws), how, &err), &err, "feed");
	load->fed[point]++;
}

static void feed_job(void *arg, struct hd_worker *w)
{
	struct load_job *job = arg;
	const struct hd_feed plain = {.mode = HD_FEED_LIVE}, last = {.mode = HD_FEED_LIVE, .synced = synced, .arg = job};
	struct load_job copy = *job;
	for (uint32_t i = 0; i < copy.count; i++) /* the last one frees the job */
		feed_point(copy.load, w, copy.load->of_worker[copy.worker][copy.first + i], copy.round, i + 1 < copy.count ? &plain : &last);
}

static void post_jobs(struct load *load, uint32_t first, uint32_t round, int64_t due_ns)
{
	for (uint32_t w = 0; w < WORKERS; w++) {
		if (first >= load->count[w])
			continue;
		struct load_job *job = malloc(sizeof *job);
		HD_ASSERT(job);
		*job = (struct load_job){load, w, first, HD_MIN(JOB_POINTS, load->count[w] - first), atomic_load(&load->phase), round, due_ns};
		HD_ASSERT(hd_pipeline_post_wait(load->pipeline, w, feed_job, job));
	}
}

static void *produce(void *arg)
{
	struct load *load = arg;
	int64_t due_ns = hd_clock_real_ns();
	uint32_t longest = HD_MAX(load->count[0], load->count[1]);
	for (uint32_t round = 0; !atomic_load(&load->stop); round++)
		for (uint32_t first = 0; first < longest && !atomic_load(&load->stop); first += JOB_POINTS) {
			int64_t ahead = due_ns - hd_clock_real_ns();
			if (ahead > 0)
				(void)nanosleep(&(struct timespec){ahead / HD_NS_PER_S, ahead % HD_NS_PER_S}, NULL);
			post_jobs(load, first, round, due_ns);
			due_ns += (int64_t)WORKERS * JOB_POINTS * HD_NS_PER_S / load->config.rate;
		}
	return NULL;
}

/* ---- back ---- */

/* A point's measurements come in their order, each once. */
static void check(struct load *load, const struct hd_sample *sample)
{
	(void)atomic_fetch_add(&load->on_disk, 1);
	if (sample->point >= load->config.points)
		return;
	uint32_t round = (uint32_t)((sample->ts_ms - T0) / MINUTE_MS), *next = &load->seen[sample->point];
	if (round < *next) {
		(void)atomic_fetch_add(&load->doubled, 1);
		return;
	}
	(void)atomic_fetch_add(&load->lost, round - *next);
	*next = round + 1;
}

/* In place of the journal. A point's measurements come from one worker. */
static int append(void *arg, struct hd_batch *batch, struct hydro_error *err)
{
	struct load *load = arg;
	(void)err;
	for (uint32_t i = 0; i < batch->count; i++)
		check(load, &batch->samples[i]);
	hd_pipeline_synced(load->pipeline, batch);
	return HYDRO_OK;
}

static void *read_back(void *arg)
{
	struct load *load = arg;
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_sample sample;
	uint64_t lsn = 0;
	for (;;) {
		bool last = atomic_load(&load->checked_all);
		int rc;
		while ((rc = hd_journal_reader_next(load->reader, &sample, &lsn, &err)) == HYDRO_OK)
			check(load, &sample);
		if (rc != HYDRO_E_AGAIN)
			load_must(rc, &err, "reading back");
		hd_journal_reader_release(load->reader, lsn);
		load->pipeline_config.release(load->pipeline_config.release_arg, lsn);
		if (last)
			return NULL;
		(void)hd_journal_reader_wait(load->reader, 100);
	}
}

/* ---- the place ---- */

static void put_point(struct load *load, struct hd_uuid id, uint64_t version, const char *pipeline, uint32_t *ret)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_point_spec spec = {.index = HD_POINT_NONE, .id = id, .version = version, .bits = HD_POINT_ACTIVE, .period_s = 60, .join_ms = 30000,
				     .name = "p", .pipeline = pipeline, .options = "{}",
				     .params = "{\"litres_per_pulse\":10,\"sensor_depth\":80,\"flow_granted\":20,\"max_m3h\":500}"};
	load_must(hd_points_put(load->points, &spec, ret, &err), &err, "point");
}

static void make_points(struct load *load)
{
	uint32_t index;
	HD_ASSERT(hd_points_new(&load->points) == HYDRO_OK);
	for (uint32_t i = 0; i < load->config.points; i++)
		put_point(load, hd_uuid_new(), 1, "well", &index);
}

static void open_journal(struct load *load)
{
	struct hydro_error err = {.struct_size = sizeof err};
	const char *base = getenv("HYDRO_BENCH_DIR");
	(void)snprintf(load->dir, sizeof load->dir, "%s/hydro-load-XXXXXX", base ? base : "/tmp");
	HD_ASSERT(mkdtemp(load->dir) != NULL && hd_pipeline_link_new(&load->link) == HYDRO_OK);
	struct hd_journal_config journal = {.dir = load->dir, .segment_bytes = SEGMENT_BYTES, .synced = hd_pipeline_link_synced, .synced_arg = load->link};
	load_must(hd_journal_open(&journal, &load->journal, &err), &err, "journal");
	load_must(hd_journal_reader_open(load->journal, "check", 0, 0, &load->reader, &err), &err, "reader");
}

void load_open(const struct load_config *config, struct load **ret)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct load *load = calloc(1, sizeof *load);
	HD_ASSERT(load);
	load->config = *config;
	load->fed = calloc(config->points, sizeof *load->fed);
	load->seen = calloc(config->points, sizeof *load->seen);
	HD_ASSERT(load->fed && load->seen);
	for (uint32_t i = 0; i < LOAD_PHASES; i++)
		HD_ASSERT((load->latencies[i].ms = malloc(KEPT * sizeof(float))) != NULL);
	load_must(hd_names_open(NULL, &load->names, &err), &err, "names");
	make_points(load);
	if (!config->no_disk)
		open_journal(load);
	struct hd_scripts_config scripts = {.dir = config->pipelines, .names = load->names, .points = load->points, .workers = WORKERS};
	load_must(hd_scripts_open(&scripts, &load->scripts, &err), &err, "scripts (run from the repository's root)");
	struct hd_pipeline_config *pc = &load->pipeline_config;
	*pc = (struct hd_pipeline_config){.workers = WORKERS, .names = load->names, .points = load->points, .call_lua = hd_scripts_call_lua,
					  .call_lua_arg = load->scripts};
	if (config->no_disk) {
		pc->append = append;
		pc->append_arg = load;
	} else {
		load_must(hd_pipeline_link_journal(load->link, load->journal, pc, &err), &err, "link");
	}
	load_must(hd_pipeline_open(pc, &load->pipeline, &err), &err, "pipeline");
	if (!config->no_disk)
		hd_pipeline_link_pipeline(load->link, load->pipeline);
	load_must(hd_scripts_start(load->scripts, load->pipeline, &err), &err, "start");
	for (uint32_t w = 0; w < WORKERS; w++)
		HD_ASSERT((load->of_worker[w] = calloc(config->points, sizeof(uint32_t))) != NULL);
	for (uint32_t i = 0; i < config->points; i++) {
		uint32_t w = hd_pipeline_worker_of(load->pipeline, i);
		load->of_worker[w][load->count[w]++] = i;
	}
	if (!config->no_disk)
		load_must(hd_thread_start(&load->checker, HD_ROLE_ANY, "checker", read_back, load, &err), &err, "checker");
	load_must(hd_thread_start(&load->producer, HD_ROLE_ANY, "producer", produce, load, &err), &err, "producer");
	*ret = load;
}

struct hd_scripts *load_scripts(struct load *load)
{
	return load->scripts;
}

struct hd_pipeline *load_pipeline(struct load *load)
{
	return load->pipeline;
}

struct hd_points *load_points(struct load *load)
{
	return load->points;
}

/* ---- one point more ---- */

struct beside {
	struct load *load;
	uint32_t point;
	uint64_t number;
};

static void feed_beside(void *arg, struct hd_worker *w)
{
	struct beside *b = arg;
	const struct hd_feed how = {.mode = HD_FEED_LIVE};
	const hydro_raw raw = {.ts_ms = T0 + (int64_t)b->number * MINUTE_MS, .metric = HD_METRIC_FLOW, .value = 10};
	(void)hd_pipeline_feed(w, b->point, &raw, 1, &how, NULL);
	free(b);
}

uint32_t load_beside(struct load *load, const char *pipeline)
{
	uint32_t index = hd_points_count(load->points) > load->config.points ? load->config.points : HD_POINT_NONE;
	uint64_t version = 1;
	struct hd_uuid id = hd_uuid_new();
	const struct hd_point *old = index == HD_POINT_NONE ? NULL : hd_points_get(load->points, index);
	if (old) {
		id = old->id;
		version = old->version + 1;
		hd_point_unref(old);
	}
	put_point(load, id, version, pipeline, &index);
	return index;
}

void load_feed_beside(struct load *load, uint32_t point, uint64_t number)
{
	struct beside *b = malloc(sizeof *b);
	HD_ASSERT(b);
	*b = (struct beside){load, point, number};
	HD_ASSERT(hd_pipeline_post_wait(load->pipeline, hd_pipeline_worker_of(load->pipeline, point), feed_beside, b));
}

/* ---- figures ---- */

void load_phase(struct load *load, uint32_t phase)
{
	atomic_store(&load->phase, phase);
}

double load_latency(struct load *load, uint32_t phase, double q, uint64_t *ret_count)
{
	uint32_t count = HD_MIN(atomic_load(&load->latencies[phase].count), KEPT);
	double *values = malloc((count + 1) * sizeof *values);
	HD_ASSERT(values);
	for (uint32_t i = 0; i < count; i++)
		values[i] = (double)load->latencies[phase].ms[i];
	double value = bench_quantile(values, count, q);
	free(values);
	*ret_count = count;
	return value;
}

void load_wait(struct load *load, uint64_t measurements)
{
	while (atomic_load(&load->on_disk) < measurements)
		(void)usleep(10000);
}

void load_stop(struct load *load, struct load_account *ret)
{
	struct hydro_error err = {.struct_size = sizeof err};
	atomic_store(&load->stop, true);
	(void)pthread_join(load->producer, NULL);
	load_must(hd_pipeline_drain(load->pipeline, 60000, &err), &err, "drain");
	if (!load->config.no_disk) {
		load_must(hd_journal_flush(load->journal, 60000), &err, "flush");
		atomic_store(&load->checked_all, true);
		hd_journal_reader_wake(load->reader);
		(void)pthread_join(load->checker, NULL);
	}
	*ret = (struct load_account){.lost = atomic_load(&load->lost), .doubled = atomic_load(&load->doubled)};
	for (uint32_t i = 0; i < load->config.points; i++) {
		ret->fed += load->fed[i];
		ret->lost += load->fed[i] - HD_MIN(load->seen[i], load->fed[i]);
	}
}

void load_close(struct load **pointer)
{
	struct load *load = HD_STEAL(*pointer);
	hd_scripts_stop(load->scripts);
	if (!load->config.no_disk) {
		hd_journal_reader_close(&load->reader);
		hd_pipeline_link_detach(load->link);
		hd_journal_close(&load->journal);
	}
	hd_pipeline_close(&load->pipeline);
	hd_scripts_close(&load->scripts);
	hd_pipeline_link_free(&load->link);
	hd_points_free(&load->points);
	hd_names_close(&load->names);
	for (uint32_t i = 0; i < WORKERS; i++)
		free(load->of_worker[i]);
	for (uint32_t i = 0; i < LOAD_PHASES; i++)
		free(load->latencies[i].ms);
	char command[256];
	(void)snprintf(command, sizeof command, "rm -rf '%s'", load->dir);
	if (load->dir[0] && system(command) != 0)
		(void)fprintf(stderr, "bench: %s is left\n", load->dir);
	free(load->fed);
	free(load->seen);
	free(load);
}
