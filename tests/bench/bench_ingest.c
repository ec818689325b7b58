/* SPDX-License-Identifier: MIT */
/*
 * Ingest: parsed readings → intake → plan → journal, synced. A measurement is three metrics of one point at one time.
 * Jobs feed many points each, so that the figure is the pipeline's and the journal's, not a producer's.
 */
#include "bench.h"

#include "history/history.h"
#include "base/fs.h"
#include "lua/lua.h"
#include "pipeline/inner.h"
#include "pipeline/link.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#define WORKERS 2u
#define POINTS 20000u
#define ROUNDS 100u
#define RUNS 3u
#define PERIOD_MS 60000
#define JOB_POINTS 256u
#define RAW_RECORD 64u
#define T0 INT64_C(1767225600000)

struct place {
	char dir[128], journal_dir[192];
	struct hd_names *names;
	struct hd_points *points;
	struct hd_pipeline_link *link;
	struct hd_journal *journal;
	struct hd_history *history; /* NULL: not merged */
	struct hd_pipeline *pipeline;
	struct hd_watchdog *watchdog;
	struct hd_script *script;
	struct hd_lua *lua[WORKERS];
	struct hd_key key;
	uint32_t *of_worker[WORKERS]; /* its points */
	uint32_t count[WORKERS];
	double *pulses;
	pthread_mutex_t lock; /* guards: left */
	pthread_cond_t done;
	uint64_t left; /* measurements not yet synced */
};

static void must(int rc, const struct hydro_error *err, const char *what)
{
	if (rc == HYDRO_OK)
		return;
	(void)fprintf(stderr, "bench_ingest: %s: %s\n", what, err->text);
	exit(1);
}

/* ---- specs ---- */

static void step(struct hd_spec *spec, const char *kind, const char *const *texts, const char *const *keys, const double *numbers)
{
	struct hd_spec_arg *args = hd_spec_alloc(spec, 16 * sizeof *args);
	uint32_t n = 0;
	for (; texts && texts[0]; texts += 2)
		args[n++] = (struct hd_spec_arg){.key = texts[0], .type = HD_ARG_TEXT, .count = 1, .text = texts[1]};
	for (; keys && *keys; keys++)
		args[n++] = (struct hd_spec_arg){.key = *keys, .type = HD_ARG_NUMBER, .count = 1, .number = *numbers++};
	struct hd_spec_step s = {.kind = kind, .id = "", .line = 1, .arg_count = n, .args = args};
	HD_ASSERT(hd_spec_add(spec, &s, NULL) == HYDRO_OK);
}

#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NUMBERS(...) ((const double[]){__VA_ARGS__})

static void six_steps(struct hd_spec *spec)
{
	step(spec, "counter", TEXTS("from", "pulses", "to", "total"), TEXTS("litres_per_pulse", "offset", "max_per_hour"), NUMBERS(100, 1000, 500));
	step(spec, "rate", TEXTS("from", "total", "to", "flow"), NULL, NULL);
	step(spec, "depth", TEXTS("from", "level", "to", "water_table"), TEXTS("sensor_depth"), NUMBERS(60));
	step(spec, "range", TEXTS("of", "flow"), TEXTS("min", "max", "tolerance"), NUMBERS(0, 1000, 0.1));
	step(spec, "range", TEXTS("of", "level"), TEXTS("min", "max"), NUMBERS(0, 50));
	step(spec, "frozen", TEXTS("of", "total"), TEXTS("readings"), NUMBERS(4));
}

static const char lua_text[] =
	"return pipeline { name = 'bench', build = function (point) return {\n"
	"  counter { from = 'pulses', to = 'total', litres_per_pulse = 100, offset = 1000, max_per_hour = 500 },\n"
	"  rate { from = 'total', to = 'flow' }, depth { from = 'level', to = 'water_table', sensor_depth = 60 },\n"
	"  range { 'flow', min = 0, max = 1000, tolerance = 0.1 }, range { 'level', min = 0, max = 50 }, frozen { 'total', readings = 4 },\n"
	"  function (m, state, point) if m.flow and m.level and m.flow > 0 and m.level <= 0 then m:flag('level', 'pumping_dry') end end,\n"
	"} end }\n";

static int call_lua(void *arg, uint32_t worker, struct hd_script *script, uint32_t function, const struct hd_mview *view, double *slots,
		    const struct hd_point *point, struct hd_lua_fault *fault)
{
	const struct place *place = arg;
	return hd_lua_call_step(place->lua[worker], script, function, view, slots, point, fault);
}

static void open_lua(struct place *place, struct hd_spec *spec)
{
	struct hydro_error err = {.struct_size = sizeof err};
	must(hd_watchdog_new(&place->watchdog, &err), &err, "watchdog");
	uint32_t count;
	const struct hd_lua_step_doc *docs = hd_steps_lua_docs(&count);
	struct hd_lua_config config = {.watchdog = place->watchdog, .names = place->names, .steps = docs, .step_count = count};
	must(hd_script_new("bench", "bench.lua", lua_text, sizeof lua_text - 1, NULL, 0, &place->script, &err), &err, "script");
	struct hd_diag diag;
	for (uint32_t i = 0; i < WORKERS; i++) {
		must(hd_lua_new(&config, &place->lua[i], &err), &err, "lua");
		must(hd_lua_attach(place->lua[i], place->script, &diag, &err), &err, "attach");
	}
	HD_CLEANUP(hd_cleanup_point) const struct hd_point *point = hd_points_get(place->points, 0);
	for (uint32_t i = 0; i < WORKERS; i++) /* each state meets the step */
		must(hd_script_build(place->lua[i], place->script, point, spec, &diag, &err), &err, "build");
}

/* ---- the place ---- */

static void add_points(struct place *place)
{
	must(hd_names_open(NULL, &place->names, NULL), NULL, "names");
	HD_ASSERT(hd_points_new(&place->points) == HYDRO_OK);
	for (uint32_t i = 0; i < POINTS; i++) {
		struct hd_point_spec spec = {.index = HD_POINT_NONE, .id = hd_uuid_new(), .bits = HD_POINT_ACTIVE, .join_ms = 30000, .pipeline = "bench",
					     .options = "{}", .params = "{}"};
		uint32_t index;
		HD_ASSERT(hd_points_put(place->points, &spec, &index, NULL) == HYDRO_OK);
	}
}

static void give_plans(struct place *place, const struct hd_spec *spec)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_plans *plans = NULL;
	HD_ASSERT(hd_plans_new(&plans) == HYDRO_OK);
	for (uint32_t i = 0; i < POINTS; i++) {
		struct hd_plan *plan = NULL;
		must(hd_plan_compile(hd_pipeline_shapes(place->pipeline), spec, 1, place->script, &plan, NULL, &err), &err, "compile");
		HD_ASSERT(hd_plans_put(plans, i, plan) == HYDRO_OK);
	}
	struct hd_swap_report report;
	must(hd_pipeline_swap(place->pipeline, plans, &report, &err), &err, "swap");
}

static void open_place(struct place *place, bool sealed, bool lua, bool merging)
{
	struct hydro_error err = {.struct_size = sizeof err};
	memset(place, 0, sizeof *place);
	(void)pthread_mutex_init(&place->lock, NULL);
	(void)pthread_cond_init(&place->done, NULL);
	const char *base = getenv("HYDRO_BENCH_DIR");
	(void)snprintf(place->dir, sizeof place->dir, "%s/hydro-ingest-XXXXXX", base ? base : "/tmp");
	HD_ASSERT(mkdtemp(place->dir) != NULL);
	(void)snprintf(place->journal_dir, sizeof place->journal_dir, "%s/journal", place->dir);
	add_points(place);
	struct hd_spec spec = {.script = "bench@1"};
	struct hd_pipeline_config config = {.workers = WORKERS, .names = place->names, .points = place->points};
	if (lua) {
		open_lua(place, &spec);
		config.call_lua = call_lua;
		config.call_lua_arg = place;
	} else {
		six_steps(&spec);
	}
	HD_ASSERT(hd_pipeline_link_new(&place->link) == HYDRO_OK);
	randombytes_buf(place->key.bytes, sizeof place->key.bytes);
	place->key.id = 1;
	struct hd_journal_config journal = {.dir = place->journal_dir, .seal = sealed ? &place->key : NULL, .synced = hd_pipeline_link_synced,
					    .synced_arg = place->link};
	must(hd_journal_open(&journal, &place->journal, &err), &err, "journal");
	must(hd_pipeline_link_journal(place->link, place->journal, &config, &err), &err, "link");
	struct hd_history_config history = {.dir = place->dir, .journal = place->journal, .merge_pending = 128u << 20};
	if (merging)
		must(hd_history_open(&history, &place->history, &err), &err, "history");
	must(hd_pipeline_open(&config, &place->pipeline, &err), &err, "pipeline");
	hd_pipeline_link_pipeline(place->link, place->pipeline);
	give_plans(place, &spec);
	hd_spec_done(&spec);
	place->pulses = calloc(POINTS, sizeof *place->pulses);
	for (uint32_t i = 0; i < WORKERS; i++)
		place->of_worker[i] = calloc(POINTS, sizeof *place->of_worker[i]);
	for (uint32_t i = 0; i < POINTS; i++) {
		uint32_t worker = hd_pipeline_worker_of(place->pipeline, i);
		place->of_worker[worker][place->count[worker]++] = i;
		place->pulses[i] = 1000 + i;
	}
}

static void close_place(struct place *place)
{
	(void)hd_pipeline_drain(place->pipeline, 10000, NULL);
	hd_history_close(&place->history);
	hd_pipeline_link_detach(place->link);
	hd_journal_close(&place->journal);
	hd_pipeline_close(&place->pipeline);
	hd_pipeline_link_free(&place->link);
	for (uint32_t i = 0; i < WORKERS; i++) {
		hd_lua_free(&place->lua[i]);
		free(place->of_worker[i]);
	}
	if (place->script)
		hd_script_unref(&place->script);
	hd_watchdog_free(&place->watchdog);
	hd_points_free(&place->points);
	hd_names_close(&place->names);
	free(place->pulses);
	char command[256];
	(void)snprintf(command, sizeof command, "rm -rf '%s'", place->dir);
	if (system(command) != 0)
		(void)fprintf(stderr, "bench_ingest: %s is left\n", place->dir);
}

/* ---- load ---- */

struct job {
	struct place *place;
	uint32_t worker, first, count, round;
};

static void synced(void *arg, uint32_t accepted, uint32_t dropped)
{
	struct place *place = arg;
	(void)pthread_mutex_lock(&place->lock);
	place->left -= accepted;
	if (place->left == 0)
		(void)pthread_cond_signal(&place->done);
	(void)pthread_mutex_unlock(&place->lock);
	HD_ASSERT(dropped == 0);
}

static void feed_job(void *arg, struct hd_worker *w)
{
	struct job *job = arg;
	struct place *place = job->place;
	struct hydro_error err = {.struct_size = sizeof err};
	for (uint32_t i = 0; i < job->count; i++) {
		uint32_t point = place->of_worker[job->worker][job->first + i];
		int64_t ts = T0 + (int64_t)job->round * PERIOD_MS;
		place->pulses[point] += (point + job->round) % 7;
		hydro_raw raws[] = {{ts, place->pulses[point], HD_METRIC_PULSES, 0}, {ts, 20 + (point + job->round) % 5, HD_METRIC_LEVEL, 0},
				    {ts, 12.5, HD_METRIC_BATTERY, 0}};
		struct hd_feed how = {.source = job->round + 1, .received_ns = 1, .synced = synced, .arg = place};
		must(hd_pipeline_feed(w, point, raws, 3, &how, &err), &err, "feed");
	}
	free(job);
}

static double run_ingest(struct place *place)
{
	uint64_t total = (uint64_t)POINTS * ROUNDS;
	place->left = total;
	int64_t began = hd_clock_real_ns();
	for (uint32_t round = 0; round < ROUNDS; round++)
		for (uint32_t first = 0; first < POINTS; first += JOB_POINTS)
			for (uint32_t worker = 0; worker < WORKERS; worker++) {
				if (first >= place->count[worker])
					continue;
				struct job *job = malloc(sizeof *job);
				*job = (struct job){place, worker, first, HD_MIN(JOB_POINTS, place->count[worker] - first), round};
				HD_ASSERT(hd_pipeline_post_wait(place->pipeline, worker, feed_job, job));
			}
	(void)pthread_mutex_lock(&place->lock);
	while (place->left)
		(void)pthread_cond_wait(&place->done, &place->lock);
	(void)pthread_mutex_unlock(&place->lock);
	struct hydro_error err = {.struct_size = sizeof err};
	if (place->history) /* to the last one */
		must(hd_history_merge(place->history, true, &err), &err, "merge");
	return (double)total / ((double)(hd_clock_real_ns() - began) / 1e9);
}

/* The raw log: records of 64 bytes, appended and synced in batches of the journal's size. */
static double run_raw_log(void)
{
	const char *base = getenv("HYDRO_BENCH_DIR");
	char path[256];
	(void)snprintf(path, sizeof path, "%s/hydro-raw-XXXXXX", base ? base : "/tmp");
	int fd = mkstemp(path);
	HD_ASSERT(fd >= 0);
	static char batch[1u << 20];
	memset(batch, 7, sizeof batch);
	uint64_t bytes = (uint64_t)POINTS * ROUNDS * RAW_RECORD;
	int64_t began = hd_clock_real_ns();
	for (uint64_t at = 0; at < bytes; at += sizeof batch) {
		for (size_t i = 0; i < sizeof batch; i += RAW_RECORD) /* a record at a time, as a log has to */
			memcpy(batch + i, &at, sizeof at);
		HD_ASSERT(write(fd, batch, sizeof batch) == (ssize_t)sizeof batch && fdatasync(fd) == 0);
	}
	double rate = (double)(bytes / RAW_RECORD) / ((double)(hd_clock_real_ns() - began) / 1e9);
	(void)close(fd);
	(void)unlink(path);
	return rate;
}

static void bench_ingest(const char *name, bool sealed, bool lua, bool merging, double goal)
{
	double values[RUNS], raw[RUNS];
	for (uint32_t i = 0; i < RUNS; i++) {
		struct place *place = malloc(sizeof *place);
		open_place(place, sealed, lua, merging);
		values[i] = run_ingest(place);
		close_place(place);
		free(place);
		raw[i] = run_raw_log();
	}
	bench_print(&(struct bench_figure){.bench = "ingest", .name = name, .unit = "measurements/s", .value = bench_quantile(values, RUNS, 0.5),
					   .reference = bench_quantile(raw, RUNS, 0.5), .reference_name = "raw log of 64-byte records, records/s",
					   .goal = goal, .n = (uint64_t)POINTS * ROUNDS});
}

int main(void)
{
	if (sodium_init() < 0)
		return 1;
	bench_ingest("6 steps, journal synced", false, false, false, 1e6);
	bench_ingest("6 steps, journal synced, all merged into history", false, false, true, NAN);
	bench_ingest("6 steps and one in Lua, journal synced", false, true, false, 7e5);
	bench_ingest("6 steps, journal sealed and synced", true, false, false, NAN);
	bench_ingest("6 steps and one in Lua, journal sealed and synced", true, true, false, NAN);
	return 0;
}
