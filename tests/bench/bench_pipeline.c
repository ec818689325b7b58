/* SPDX-License-Identifier: MIT */
/* Plans by themselves: what steps cost a measurement, in cache and over a million points, and what a point holds. */
#include "bench.h"

#include "base/clock.h"
#include "base/hash.h"
#include "lua/lua.h"
#include "model/points.h"
#include "pipeline/inner.h"
#include "pipeline/run_lua.h"

#include <string.h>

#define POINTS 1000000u
#define CACHED 512u
#define ROUNDS_CACHED 4000u
#define ROUNDS 5u
#define PERIOD_MS 60000
#define T0 INT64_C(1767225600000)

#define SIX \
	"counter { from = 'pulses', to = 'total', litres_per_pulse = 100, offset = 1000, max_per_hour = 500 },\n" \
	"rate { from = 'total', to = 'flow' }, depth { from = 'level', to = 'water_table', sensor_depth = 60 },\n" \
	"range { 'flow', min = 0, max = 1000, tolerance = 0.1 }, range { 'level', min = 0, max = 50 }, frozen { 'total', readings = 4 },\n"
#define TWELVE SIX \
	"scale { from = 'battery', factor = 1.01 }, range { 'battery', min = 3, max = 16 }, rate_of_change { 'level', per_hour = 1000 },\n" \
	"dry { min = 0 }, gap { 'total' }, range { 'water_table', min = 0, max = 100 },\n"
#define LUA "function (m, state, point) if m.flow and m.level and m.flow > 0 and m.level <= 0 then m:flag('level', 'pumping_dry') end end,\n"
#define SCRIPT(steps) "return pipeline { name = 'bench', build = function (point) return {\n" steps "} end }\n"

/* A well as most are; and all that the ready script can be asked for beside its detector. */
static const char plain_well[] = "{\"litres_per_pulse\":10,\"offset\":5,\"sensor_depth\":80,\"flow_granted\":20}";
static const char whole_well[] = "{\"litres_per_pulse\":10,\"offset\":5,\"max_m3h\":200,\"flow_from\":\"total\",\"level_offset\":-2,\"level_divisor\":100,"
				 "\"sensor_depth\":60,\"flow_granted\":20,\"volume_granted\":50000,\"volume_used\":10,\"dry_level\":1}";

static struct hd_names *names;
static struct hd_watchdog *watchdog;

static void must(int rc, const struct hydro_error *err, const char *what)
{
	if (rc == HYDRO_OK)
		return;
	(void)fprintf(stderr, "bench_pipeline: %s: %s\n", what, err->text);
	exit(1);
}

/* A script's plan for one point, and as many blocks of parameters and state. */
struct lone {
	struct hd_shapes *shapes;
	struct hd_lua *lua;
	struct hd_script *script;
	struct hd_point *point;
	struct hd_plan *plan;
	struct hd_run *run;
	uint8_t *blocks;
	size_t stride;
};

static int call(void *arg, uint32_t worker, struct hd_script *script, uint32_t function, const struct hd_mview *view, double *slots,
		const struct hd_point *point, struct hd_lua_fault *fault)
{
	const struct lone *lone = arg;
	(void)worker;
	return hd_lua_call_step(lone->lua, script, function, view, slots, point, fault);
}

static int call_step(struct hd_run *run, const struct hd_step *step, struct hd_row *row, uint32_t i)
{
	(void)row;
	struct hd_run_lua_call how = {.call = call, .arg = run->lua.arg};
	return hd_run_call_lua(run, step, i, &how, NULL);
}

static void make_plan(struct lone *lone, const char *params)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_lua_config config = {.watchdog = watchdog, .names = names};
	struct hd_spec spec = {0};
	config.steps = hd_steps_lua_docs(&config.step_count);
	must(hd_lua_new(&config, &lone->lua, &err), &err, "state");
	must(hd_lua_attach(lone->lua, lone->script, NULL, &err), &err, "attach");
	must(hd_lua_point_new("p", params, &lone->point, &err), &err, "point");
	must(hd_script_build(lone->lua, lone->script, lone->point, &spec, NULL, &err), &err, "build");
	HD_ASSERT(hd_shapes_new(names, &lone->shapes) == HYDRO_OK);
	must(hd_plan_compile(lone->shapes, &spec, 1, lone->script, &lone->plan, NULL, &err), &err, "compile");
	hd_spec_done(&spec);
	const struct hd_shape *shape = lone->plan->shape;
	lone->stride = (shape->param_count * sizeof(double) + shape->state_bytes + 63u) & ~(size_t)63u;
}

static void open_text(struct lone *lone, const char *text)
{
	struct hydro_error err = {.struct_size = sizeof err};
	must(hd_script_new("bench", "bench.lua", text, strlen(text), NULL, 0, &lone->script, &err), &err, "script");
	make_plan(lone, "{}");
}

static void make_blocks(struct lone *lone, uint32_t points)
{
	const struct hd_shape *shape = lone->plan->shape;
	lone->run = calloc(1, sizeof *lone->run);
	lone->blocks = aligned_alloc(64, lone->stride * points);
	HD_ASSERT(lone->run && lone->blocks);
	lone->run->lua = (struct hd_run_lua){.call = call_step, .arg = lone};
	for (uint32_t i = 0; i < points; i++) {
		uint8_t *block = lone->blocks + i * lone->stride;
		memcpy(block, lone->plan->params, shape->param_count * sizeof(double));
		hd_shape_state_init(shape, block + shape->param_count * sizeof(double));
	}
}

static void close_lone(struct lone *lone)
{
	free(lone->blocks);
	free(lone->run);
	hd_plan_free(&lone->plan);
	hd_shapes_free(&lone->shapes);
	hd_lua_free(&lone->lua);
	hd_script_unref(&lone->script);
	free(lone->point);
}

/* One reading of each of `count` points in the given order; ns per measurement. */
static double run_lone(struct lone *lone, const uint32_t *order, uint32_t count, uint32_t round)
{
	const struct hd_shape *shape = lone->plan->shape;
	int64_t began = hd_clock_thread_cpu_ns();
	for (uint32_t at = 0; at < count; at += HD_RUN_ROWS) {
		hd_run_begin(lone->run, shape);
		for (uint32_t i = at; i < count && i < at + HD_RUN_ROWS; i++) {
			uint8_t *block = lone->blocks + order[i] * lone->stride;
			for (size_t line = 0; line < lone->stride; line += 64) /* as intake does */
				__builtin_prefetch(block + line, 1);
			struct hd_value raws[] = {{1000.0 + round * 3 + order[i] % 100, HD_METRIC_PULSES, 1}, {20.0 + (round + i) % 3, HD_METRIC_LEVEL, 1},
						  {12.5, HD_METRIC_BATTERY, 1}};
			struct hd_row *row = hd_run_add(lone->run, raws, 3, T0 + (int64_t)round * PERIOD_MS);
			row->params = (const double *)(const void *)block;
			row->state = block + shape->param_count * sizeof(double);
			row->config = lone->point;
		}
		hd_run_steps(lone->run);
	}
	return (double)(hd_clock_thread_cpu_ns() - began) / count;
}

static void shuffle(uint32_t *order, uint32_t count)
{
	uint64_t x = 1;
	for (uint32_t i = 0; i < count; i++)
		order[i] = i;
	for (uint32_t i = count; i > 1; i--) {
		x = hd_hash_u64(x);
		uint32_t k = (uint32_t)(x % i), t = order[i - 1];
		order[i - 1] = order[k];
		order[k] = t;
	}
}

static double median_ns(const char *text, uint32_t points, uint32_t rounds)
{
	struct lone lone = {0};
	open_text(&lone, text);
	make_blocks(&lone, points);
	uint32_t *order = malloc(points * sizeof *order);
	double *values = malloc(rounds * sizeof *values);
	HD_ASSERT(order && values);
	shuffle(order, points);
	(void)run_lone(&lone, order, points, 0);
	for (uint32_t round = 0; round < rounds; round++)
		values[round] = run_lone(&lone, order, points, round + 1);
	double median = bench_quantile(values, rounds, 0.5);
	free(values);
	free(order);
	close_lone(&lone);
	return median;
}

static void print(const char *name, const char *unit, double value, double reference, const char *reference_name, double goal, uint64_t n)
{
	bench_print(&(struct bench_figure){.bench = "pipeline", .name = name, .unit = unit, .value = value, .reference = reference, .reference_name = reference_name,
					   .goal = goal, .lower_is_better = true, .n = n});
}

static void bench_steps(void)
{
	const uint64_t cached = (uint64_t)CACHED * ROUNDS_CACHED, all = (uint64_t)POINTS * ROUNDS;
	print("6 steps in cache", "ns/measurement", median_ns(SCRIPT(SIX), CACHED, ROUNDS_CACHED), NAN, NULL, NAN, cached);
	double plain = median_ns(SCRIPT(TWELVE), CACHED, ROUNDS_CACHED), with = median_ns(SCRIPT(TWELVE LUA), CACHED, ROUNDS_CACHED);
	print("12 steps in cache", "ns/measurement", plain, NAN, NULL, 150, cached);
	print("a Lua step beside them adds, in cache", "ns/measurement", with - plain, plain, "12 steps in cache", 150, cached);
	plain = median_ns(SCRIPT(TWELVE), POINTS, ROUNDS), with = median_ns(SCRIPT(TWELVE LUA), POINTS, ROUNDS);
	print("12 steps, random order over 1,000,000 points", "ns/measurement", plain, NAN, NULL, 700, all);
	print("12 steps and one in Lua, random order over 1,000,000 points", "ns/measurement", with, plain, "12 steps, random order", NAN, all);
}

static double rss_bytes(void)
{
	unsigned long long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	if (!file || fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	if (file)
		(void)fclose(file);
	return (double)pages * 4096;
}

static uint32_t bytes_of_well(struct lone *lone, const char *params)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_shape_info info;
	must(hd_script_load("scripts/lua/pipelines/well.lua", "scripts/lua/lib", &lone->script, &err), &err, "well (run from the repository's root)");
	make_plan(lone, params);
	hd_shape_info(lone->plan->shape, &info);
	return info.params * (uint32_t)sizeof(double) + info.state_bytes;
}

/* The ready well; and what a million of them, given to the slab one by one, take in memory. */
static void bench_bytes(void)
{
	struct lone lone = {0}, whole = {0};
	struct hd_slab *slab;
	uint32_t bytes = bytes_of_well(&lone, plain_well);
	print("parameters and step state of the ready well: pulses, level, depth, right", "bytes/point", bytes, NAN, NULL, 200, 1);
	print("the same with everything that it can be asked for: volume of the year, flow from the total, scaled level", "bytes/point", bytes_of_well(&whole, whole_well),
	      NAN, NULL, NAN, 1);
	close_lone(&whole);
	HD_ASSERT(hd_slab_new(&slab) == HYDRO_OK);
	double before = rss_bytes();
	for (uint32_t i = 0; i < POINTS; i++) {
		uint8_t *data = hd_slab_take(slab, bytes);
		HD_ASSERT(data);
		memset(data, 1, bytes);
	}
	print("of the former in memory, 1,000,000 points", "bytes/point", (rss_bytes() - before) / POINTS, bytes, "parameters and state alone", 200, POINTS);
	print("a point in all: block, newest raw values, parameters, state, latest", "bytes/point", (double)(sizeof(struct hd_point_block) + lone.stride + 64), NAN,
	      NULL, NAN, 1);
	hd_slab_free(&slab);
	close_lone(&lone);
}

int main(void)
{
	struct hydro_error err = {.struct_size = sizeof err};
	must(hd_names_open(NULL, &names, &err), &err, "names");
	must(hd_watchdog_new(&watchdog, &err), &err, "watchdog");
	bench_bytes();
	bench_steps();
	hd_watchdog_free(&watchdog);
	hd_names_close(&names);
	return 0;
}
