/* SPDX-License-Identifier: MIT */
/*
 * What scripts cost by themselves: a Lua step's call, a build, an attack past its budget.
 */
#include "bench.h"

#include "base/clock.h"
#include "lua/lua.h"
#include "model/names.h"
#include "model/points.h"
#include "pipeline/plan.h"

#include <string.h>

#define CALLS 1000000
#define BUILDS 20000
#define ROUNDS 5
#define ATTACKS 50
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

int main(void)
{
	struct hydro_error err = {0};
	struct hd_watchdog *watchdog;
	must(hd_names_open(NULL, &names, &err), &err, "names");
	must(hd_points_new(&points), &err, "points");
	must(hd_watchdog_new(&watchdog, &err), &err, "watchdog");
	bench_lua(watchdog);
	hd_watchdog_free(&watchdog);
	hd_points_free(&points);
	hd_names_close(&names);
	return 0;
}
