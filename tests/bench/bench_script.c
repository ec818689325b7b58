/* SPDX-License-Identifier: MIT */
/*
 * What scripts cost: a Lua step's call, a build, an attack past its budget, and reloads of 100,000 points under
 * 100,000 measurements/s through a journal that syncs at once.
 */
#include "bench.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/thread.h"
#include "lua/lua.h"
#include "model/batch.h"
#include "model/names.h"
#include "model/points.h"
#include "pipeline/pipeline.h"
#include "pipeline/plan.h"
#include "pipeline/scripts.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define CALLS 1000000
#define BUILDS 20000
#define ROUNDS 5
#define ATTACKS 50
#define POINTS 100000u
#define JOB_POINTS 500u
#define RATE 100000u /* measurements a second */
#define RELOADS 20
#define WORKERS 2u
#define T0 INT64_C(1767225600000)

static struct hd_names *names;
static struct hd_points *points;

static void must(int rc, const struct hydro_error *err, const char *what)
{
	if (rc == HYDRO_OK)
		return;
	(void)fprintf(stderr, "bench_script: %s: %s\n", what, err->text);
	exit(1);
}

static double values[64];

static bool get(void *arg, uint32_t metric, double *ret)
{
	(void)arg;
	*ret = values[metric & 63];
	return true;
}

static int set(void *arg, uint32_t metric, double value)
{
	(void)arg;
	values[metric & 63] = value;
	return HYDRO_OK;
}

static int flag(void *arg, uint32_t metric, uint32_t number, const char *name)
{
	(void)arg, (void)metric, (void)number, (void)name;
	return HYDRO_OK;
}

static int quality(void *arg, uint32_t metric, double value)
{
	(void)arg, (void)metric, (void)value;
	return HYDRO_OK;
}

static const struct hd_mview view = {.ts_ms = T0, .get = get, .get_raw = get, .set = set, .flag = flag, .quality = quality};

static void print_ns(const char *name, double *rounds, double goal, uint64_t n)
{
	struct bench_figure f = {.bench = "script", .name = name, .unit = "ns", .value = bench_quantile(rounds, ROUNDS, 0.5), .reference = NAN, .goal = goal,
				 .lower_is_better = true, .n = n};
	bench_print(&f);
}

static void bench_calls(struct hd_lua *lua, struct hd_script *script, const struct hd_spec *spec, const struct hd_point *point)
{
	static const struct {
		const char *name;
		double goal;
	} steps[] = {{"call of an empty Lua step", NAN}, {"call that reads flow and level", 150}, {"call with state and a write", NAN}};
	for (uint32_t s = 0; s < HD_ARRAY_LEN(steps); s++) {
		double rounds[ROUNDS], slots[2] = {NAN, NAN};
		for (int r = 0; r < ROUNDS; r++) {
			int64_t begun = hd_clock_thread_cpu_ns();
			for (int i = 0; i < CALLS; i++)
				if (hd_lua_call_step(lua, script, spec->steps[s].function, &view, slots, point, NULL) != HYDRO_OK)
					exit(1);
			rounds[r] = (double)(hd_clock_thread_cpu_ns() - begun) / CALLS;
		}
		print_ns(steps[s].name, rounds, steps[s].goal, CALLS);
	}
}

static void bench_attack(struct hd_lua *lua, struct hd_script *script, const struct hd_spec *spec, const struct hd_point *point)
{
	double over[ATTACKS];
	for (int i = 0; i < ATTACKS; i++) {
		int64_t cpu = hd_clock_thread_cpu_ns();
		if (hd_lua_call_step(lua, script, spec->steps[3].function, &view, NULL, point, NULL) != HYDRO_E_LIMIT)
			exit(1);
		over[i] = (double)(hd_clock_thread_cpu_ns() - cpu) / 1e6 - HD_BUDGET_CPU_US / 1000.0;
	}
	struct bench_figure f = {.bench = "script", .name = "CPU of a pcall loop past its budget, worst", .unit = "ms", .value = bench_quantile(over, ATTACKS, 1),
				 .reference = NAN, .goal = 4, .lower_is_better = true, .n = ATTACKS};
	bench_print(&f);
}

static void bench_lua(struct hd_watchdog *watchdog)
{
	static const char text[] =
		"return pipeline { name = 't', build = function (point) return {\n"
		"function (m) end,\n"
		"function (m) local flow, level = m.flow, m.level if flow and level and flow > 0 and level <= 0 then m:flag('level', 'pumping_dry') end end,\n"
		"lua { state = {'last', 'n'}, function (m, state) local flow = m.flow state.last = flow m.volume = flow * 2 end },\n"
		"function (m) while true do pcall(error) end end,\n"
		"counter { from = 'pulses', to = 'total', litres_per_pulse = point.litres_per_pulse, offset = point.offset },\n"
		"rate { from = 'total', to = 'flow' }, depth { from = 'level', to = 'water_table', sensor_depth = point.sensor_depth },\n"
		"range { 'flow', min = 0, max = point.flow_granted, tolerance = 0.1 }, frozen { 'total', readings = 4 } } end }";
	struct hydro_error err = {0};
	struct hd_lua_config config = {.watchdog = watchdog, .names = names};
	config.steps = hd_steps_lua_docs(&config.step_count);
	struct hd_lua *lua;
	struct hd_script *script;
	struct hd_spec spec = {0};
	struct hd_point *point;
	must(hd_lua_new(&config, &lua, &err), &err, "state");
	must(hd_script_new("t", "t.lua", text, sizeof text - 1, NULL, 0, &script, &err), &err, "script");
	must(hd_lua_attach(lua, script, NULL, &err), &err, "attach");
	must(hd_lua_point_new("p", "{\"litres_per_pulse\":10,\"offset\":5,\"sensor_depth\":80,\"flow_granted\":20}", &point, &err), &err, "point");
	must(hd_script_build(lua, script, point, &spec, NULL, &err), &err, "build");
	for (int i = 0; i < 64; i++)
		values[i] = 1;
	bench_calls(lua, script, &spec, point);
	bench_attack(lua, script, &spec, point);
	double rounds[ROUNDS];
	for (int r = 0; r < ROUNDS; r++) {
		int64_t begun = hd_clock_thread_cpu_ns();
		for (int i = 0; i < BUILDS; i++)
			must(hd_script_build(lua, script, point, &spec, NULL, &err), &err, "build");
		rounds[r] = (double)(hd_clock_thread_cpu_ns() - begun) / BUILDS;
	}
	print_ns("build of a point, 9 steps of which 4 in Lua", rounds, NAN, BUILDS);
	hd_spec_done(&spec);
	free(point);
	hd_lua_free(&lua);
	hd_script_unref(&script);
}

/* --- reload --- */

static struct hd_pipeline *pipeline;
static _Atomic uint64_t journaled;
static _Atomic uint64_t fed;
static atomic_bool stop;

static int append(void *arg, struct hd_batch *batch, struct hydro_error *err)
{
	(void)arg, (void)err;
	(void)atomic_fetch_add(&journaled, batch->count);
	hd_pipeline_synced(pipeline, batch);
	return HYDRO_OK;
}

struct job {
	uint32_t first;
	int64_t ts_ms;
};

static void feed(void *arg, struct hd_worker *w)
{
	struct job *job = arg;
	const struct hd_feed how = {.mode = HD_FEED_LIVE};
	for (uint32_t i = job->first; i < job->first + JOB_POINTS; i++) {
		if (hd_pipeline_worker_of(pipeline, i) != hd_worker_index(w))
			continue;
		double minutes = (double)(job->ts_ms - T0) / 60000.0;
		const hydro_raw raws[] = {{.ts_ms = job->ts_ms, .metric = HD_METRIC_PULSES, .value = 1000 + 60 * minutes},
					  {.ts_ms = job->ts_ms, .metric = HD_METRIC_LEVEL, .value = 20 + minutes / 1000},
					  {.ts_ms = job->ts_ms, .metric = HD_METRIC_FLOW, .value = 10}};
		if (hd_pipeline_feed(w, i, raws, HD_ARRAY_LEN(raws), &how, NULL) == HYDRO_OK)
			(void)atomic_fetch_add(&fed, 1);
	}
	free(job);
}

/* Every point once a minute of its own time, as fast as RATE says. */
static void *produce(void *arg)
{
	(void)arg;
	int64_t begun = hd_clock_real_ns();
	uint64_t sent = 0;
	for (int64_t ts = T0; !atomic_load(&stop); ts += 60000)
		for (uint32_t first = 0; first < POINTS && !atomic_load(&stop); first += JOB_POINTS) {
			for (uint32_t w = 0; w < WORKERS; w++) {
				struct job *job = malloc(sizeof *job);
				if (!job)
					exit(1);
				*job = (struct job){first, ts};
				if (!hd_pipeline_post_wait(pipeline, w, feed, job))
					exit(1);
			}
			sent += JOB_POINTS;
			int64_t ahead = (int64_t)(sent * HD_NS_PER_S / RATE) - (hd_clock_real_ns() - begun);
			if (ahead > 0)
				(void)nanosleep(&(struct timespec){ahead / HD_NS_PER_S, ahead % HD_NS_PER_S}, NULL);
		}
	return NULL;
}

static double pause_of(const struct hd_buf *json)
{
	const char *at = strstr(json->data, "\"worst_pause_ms\":");
	return at ? strtod(at + 17, NULL) : NAN;
}

static double build_of(const struct hd_buf *json)
{
	const char *at = strstr(json->data, "\"build_ms\":");
	return at ? strtod(at + 11, NULL) : NAN;
}

static double rss_kib(void)
{
	char line[256];
	double kib = NAN;
	FILE *file = fopen("/proc/self/status", "r");
	while (file && fgets(line, sizeof line, file))
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = strtod(line + 6, NULL);
	if (file)
		(void)fclose(file);
	return kib;
}

static void print_one(const char *name, const char *unit, double value, double goal, uint64_t n)
{
	struct bench_figure f = {.bench = "reload", .name = name, .unit = unit, .value = value, .reference = NAN, .goal = goal, .lower_is_better = true, .n = n};
	bench_print(&f);
}

static void bench_reload(void)
{
	struct hydro_error err = {0};
	for (uint32_t i = 0; i < POINTS; i++) {
		struct hd_point_spec spec = {.index = HD_POINT_NONE, .id = hd_uuid_new(), .version = 1, .bits = HD_POINT_ACTIVE, .period_s = 60, .name = "p",
					     .pipeline = "well", .params = "{\"litres_per_pulse\":10,\"sensor_depth\":80,\"flow_granted\":20}"};
		uint32_t index;
		must(hd_points_put(points, &spec, &index, &err), &err, "point");
	}
	const char *dir = getenv("HYDRO_PIPELINES");
	struct hd_scripts_config config = {.dir = dir ? dir : "scripts/lua/pipelines", .names = names, .points = points, .workers = WORKERS};
	struct hd_scripts *scripts;
	must(hd_scripts_open(&config, &scripts, &err), &err, "scripts (run from the repository's root)");
	struct hd_pipeline_config pc = {.workers = WORKERS, .names = names, .points = points, .append = append, .call_lua = hd_scripts_call_lua, .call_lua_arg = scripts};
	must(hd_pipeline_open(&pc, &pipeline, &err), &err, "pipeline");
	must(hd_scripts_start(scripts, pipeline, &err), &err, "start");
	pthread_t producer;
	must(hd_thread_start(&producer, HD_ROLE_ANY, "producer", produce, NULL, &err), &err, "producer");
	while (atomic_load(&journaled) < 2 * POINTS)
		(void)usleep(10000);
	double pauses[RELOADS], builds[RELOADS], rss = 0;
	for (int i = 0; i < RELOADS; i++) {
		struct hd_buf json = {0};
		must(hd_scripts_reload(scripts, "well", &(struct hd_scripts_change){.force = true}, &json, &err), &err, "reload");
		pauses[i] = pause_of(&json);
		builds[i] = build_of(&json);
		hd_buf_done(&json);
		if (i == 2)
			rss = rss_kib();
	}
	double grown = rss_kib() / rss;
	atomic_store(&stop, true);
	(void)pthread_join(producer, NULL);
	must(hd_pipeline_drain(pipeline, 60000, &err), &err, "drain");
	print_one("measurements lost over the reloads", "measurements", (double)atomic_load(&fed) - (double)atomic_load(&journaled), 0, atomic_load(&fed));
	print_one("worst pause of a worker", "ms", bench_quantile(pauses, RELOADS, 1), 10, RELOADS);
	print_one("build of 100,000 points, median", "ms", bench_quantile(builds, RELOADS, 0.5), NAN, RELOADS);
	print_one("RSS after the reloads to after the third", "ratio", grown, 1.02, RELOADS);
	hd_scripts_stop(scripts);
	hd_pipeline_close(&pipeline);
	hd_scripts_close(&scripts);
}

int main(void)
{
	struct hydro_error err = {0};
	struct hd_watchdog *watchdog;
	must(hd_names_open(NULL, &names, &err), &err, "names");
	must(hd_points_new(&points), &err, "points");
	must(hd_watchdog_new(&watchdog, &err), &err, "watchdog");
	bench_lua(watchdog);
	hd_watchdog_free(&watchdog);
	bench_reload();
	hd_points_free(&points);
	hd_names_close(&names);
	return 0;
}
