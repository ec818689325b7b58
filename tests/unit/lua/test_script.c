/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "support.h"

#include "model/names.h"

#include <stdio.h>
#include <string.h>

#define WELL                                                                                                  \
	"local limit = 3\n"                                                                                   \
	"local function dry(m)\n"                                                                             \
	"  if m.flow and m.level and m.flow > limit and m.level <= 0 then m:flag('level', 'pumping_dry') end\n" \
	"end\n"                                                                                               \
	"return pipeline {\n"                                                                                 \
	"  name = 't',\n"                                                                                     \
	"  build = function (point)\n"                                                                        \
	"    return {\n"                                                                                      \
	"      counter { from = 'pulses', to = 'total', litres_per_pulse = point.litres_per_pulse },\n"       \
	"      range { 'flow', min = 0, max = point.flow_granted, tolerance = 0.10 },\n"                      \
	"      rating { {0, 0}, {10, 2.5}, from = 'stage', to = 'flow' },\n"                                  \
	"      dry,\n"                                                                                        \
	"      lua { id = 'mean', state = {'last', 'n'}, function (m, state, point)\n"                        \
	"        state.n = (state.n or 0) + 1\n"                                                              \
	"        m.mean = ((state.last or m.flow) + m.flow) / 2\n"                                            \
	"        state.last = m.flow * point.factor\n"                                                        \
	"      end },\n"                                                                                      \
	"    }\n"                                                                                             \
	"  end,\n"                                                                                            \
	"}\n"

#define PARAMS "{\"litres_per_pulse\": 10, \"flow_granted\": 12.5, \"factor\": 2, \"deep\": {\"list\": [1, \"a\\u00e9\", true]}}"

Test(script, a_build_becomes_neutral_data)
{
	struct bench b;
	bench_open(&b);
	cr_assert_eq(bench_load(&b, WELL), HYDRO_OK, "%s", b.err.text);
	cr_assert_eq(bench_build(&b, PARAMS), HYDRO_OK, "%s", b.err.text);
	cr_assert_eq(b.spec.step_count, 5);
	cr_assert_eq(strncmp(b.spec.script, "t@", 2), 0);
	const struct hd_spec_step *steps = b.spec.steps;
	cr_assert_str_eq(steps[0].kind, "counter");
	cr_assert_eq(steps[0].line, 9);
	cr_assert_str_eq(hd_spec_arg(&steps[0], "from")->text, "pulses");
	cr_assert_float_eq(hd_spec_arg(&steps[0], "litres_per_pulse")->number, 10, 0);
	cr_assert_null(hd_spec_arg(&steps[0], "offset"));
	const struct hd_spec_arg *positional = hd_spec_arg(&steps[1], "");
	cr_assert_eq(positional->type, HD_ARG_TEXTS);
	cr_assert_eq(positional->count, 1);
	cr_assert_str_eq(positional->texts[0], "flow");
	cr_assert_float_eq(hd_spec_arg(&steps[1], "max")->number, 12.5, 0);
	const struct hd_spec_arg *table = hd_spec_arg(&steps[2], "");
	cr_assert_eq(table->type, HD_ARG_NUMBERS);
	cr_assert_eq(table->count, 4);
	cr_assert_float_eq(table->numbers[3], 2.5, 0);
	cr_assert_str_eq(steps[3].kind, HD_SPEC_KIND_LUA);
	cr_assert_eq(steps[3].line, 2);
	cr_assert_str_eq(steps[4].id, "mean");
	cr_assert_eq(steps[4].slot_count, 2);
	cr_assert_str_eq(steps[4].slots[0], "last");
	cr_assert_neq(steps[3].function, steps[4].function);
	bench_close(&b);
}

Test(script, equal_closures_of_all_points_and_states_are_one_function)
{
	struct bench b;
	bench_open(&b);
	cr_assert_eq(bench_load(&b, WELL), HYDRO_OK);
	cr_assert_eq(bench_build(&b, PARAMS), HYDRO_OK);
	uint32_t dry = b.spec.steps[3].function, mean = b.spec.steps[4].function;
	for (int i = 0; i < 100; i++) {
		cr_assert_eq(bench_build(&b, "{\"factor\": 3}"), HYDRO_OK);
		cr_assert_eq(b.spec.steps[3].function, dry);
		cr_assert_eq(b.spec.steps[4].function, mean);
	}
	struct hd_lua *other = bench_state(&b);
	cr_assert_eq(hd_lua_attach(other, b.script, &b.diag, &b.err), HYDRO_OK, "%s", b.err.text);
	const struct hd_point *point = bench_point(&b, PARAMS);
	cr_assert_eq(hd_script_build(other, b.script, point, &b.spec, &b.diag, &b.err), HYDRO_OK);
	cr_assert_eq(b.spec.steps[3].function, dry);
	cr_assert_eq(b.spec.steps[4].function, mean);
	hd_point_unref(point);
	hd_lua_free(&other);
	bench_close(&b);
}

Test(script, a_step_that_only_one_state_has_built_runs_in_the_other)
{
	struct bench b;
	bench_open(&b);
	cr_assert_eq(bench_load(&b, "return pipeline { name = 't', build = function (point)\n"
				    "if point.kind == 'a' then return { function (m) m.flow = 1 end } end\n"
				    "return { free {}, lua { state = {'s'}, function (m, state) state.s = 7 m.flow = 2 end } } end }"),
		     HYDRO_OK);
	struct hd_lua *other = bench_state(&b);
	cr_assert_eq(hd_lua_attach(other, b.script, &b.diag, &b.err), HYDRO_OK);
	cr_assert_eq(bench_build(&b, "{\"kind\": \"a\"}"), HYDRO_OK);
	cr_assert_eq(bench_build(&b, "{\"kind\": \"b\"}"), HYDRO_OK);
	const struct hd_point *point = bench_point(&b, "{}");
	double slot = 0;
	cr_assert_eq(hd_lua_call_step(other, b.script, b.spec.steps[1].function, &b.view, &slot, point, &b.fault), HYDRO_OK, "%s", b.fault.text);
	cr_assert_float_eq(b.values[HD_METRIC_FLOW], 2, 0);
	cr_assert_float_eq(slot, 7, 0);
	cr_assert_eq(hd_lua_call_step(other, b.script, 0, &b.view, NULL, point, &b.fault), HYDRO_OK);
	cr_assert_float_eq(b.values[HD_METRIC_FLOW], 1, 0);
	hd_point_unref(point);
	hd_lua_free(&other);
	bench_close(&b);
}

static const struct {
	const char *text, *name;
} captures[] = {
	{"build = function (point) return { function (m) m.flow = point.offset end } end", "'point'"},
	{"build = function (point) local off = point.offset return { function (m) m.flow = off end } end", "'off'"},
	{"build = function (point) local off = 1 return { lua { function (m) off = off + 1 m.flow = off end } } end", "'off'"},
	{"build = function (point) local _ENV = {} return { function (m) x = 1 end } end", "'_ENV'"},
	{"build = function (point) local function help(m) return m.flow end return { function (m) m.flow = help(m) end } end", "'help'"},
	{"build = function (point) return { make(point.offset) } end", "'v'"},
	{"build = function (point) cached = cached or make(point.offset) return { cached } end", "'v'"},
	{"build = function (point) list[1] = list[1] or make(point.offset) return { list[1] } end", "'v'"},
};

Test(script, a_step_function_that_captures_what_is_local_to_build_is_refused)
{
	struct bench b;
	bench_open(&b);
	for (size_t i = 0; i < HD_ARRAY_LEN(captures); i++) {
		char text[1024];
		(void)snprintf(text, sizeof text,
			       "local cached, list = nil, {}\nlocal function make(v) return function (m) m.flow = v end end\n"
			       "return pipeline { name = 't',\n%s }",
			       captures[i].text);
		cr_assert_eq(bench_load(&b, text), HYDRO_OK, "%s", b.err.text);
		for (int again = 0; again < 2; again++) {
			cr_assert_eq(bench_build(&b, "{\"offset\": 1}"), HYDRO_E_CONFIG, "accepted: %s", captures[i].text);
			cr_assert(strstr(b.diag.message, "captures") && strstr(b.diag.message, captures[i].name), "%s", b.diag.message);
			cr_assert(strstr(b.diag.hint, "point"), "%s", b.diag.hint);
			cr_assert_neq(b.diag.line, 0);
		}
	}
	bench_close(&b);
}

Test(script, a_step_function_may_capture_top_level_locals)
{
	struct bench b;
	bench_open(&b);
	cr_assert_eq(bench_load(&b, "local lib = { k = 3, f = function (x) return x * 2 end }\n"
				    "local function make() return function (m) m.level = lib.f(lib.k) end end\n"
				    "local two = {}\n"
				    "for i = 1, 2 do two[i] = function (m) m.flow = i * lib.k end end\n"
				    "return pipeline { name = 't', build = function (point)\n"
				    "return { make(), two[1], two[2], function (m) m.total = lib.k end } end }"),
		     HYDRO_OK);
	cr_assert_eq(bench_build(&b, "{}"), HYDRO_OK, "%s", b.err.text);
	cr_assert_neq(b.spec.steps[1].function, b.spec.steps[2].function);
	const double expected[] = {6, 3, 6, 3};
	const uint32_t metrics[] = {HD_METRIC_LEVEL, HD_METRIC_FLOW, HD_METRIC_FLOW, HD_METRIC_TOTAL};
	for (uint32_t i = 0; i < 4; i++) {
		cr_assert_eq(bench_call(&b, i, NULL, "{}"), HYDRO_OK, "%s", b.fault.text);
		cr_assert_float_eq(b.values[metrics[i]], expected[i], 0);
	}
	bench_close(&b);
}

static const struct {
	const char *text;
	uint32_t line, column;
	const char *message, *hint;
} mistakes[] = {
	{"return pipeline {\n name = 't',\n build = function ()\n  return { coutner { from = 'x' } }\n end }", 4, 12, "'coutner'", "'counter'"},
	{"return pipeline {\n name = 't',\n build = function ()\n  return {\n range { 'flow', tolerence = 1 } }\n end }", 5, 18, "'tolerence' of step range", "'tolerance'"},
	{"return pipeline { name = 't', buidl = function () end }", 1, 31, "'buidl'", "'build'"},
	{"return pipeline {\n name = 't'\n build = function () end }", 3, 2, "near 'build'", ""},
	{"local x == 1", 1, 9, "near '=='", ""},
	{"return pipeline { name = 'other', build = function () end }", 1, 0, "name = \"t\"", ""},
	{"return { name = 't' }", 0, 0, "does not return a pipeline", "pipeline {"},
	{"return pipeline { name = 't', build = function () return 7 end }", 0, 0, "returned a number", ""},
	{"return pipeline { name = 't', build = function () return { 7 } end }", 0, 0, "is a number", ""},
	{"return pipeline { name = 't', build = function () return { math.abs } end }", 0, 0, "not a function of the script", ""},
	{"return pipeline { name = 't', build = function ()\n return { range { 'flow', 3 } } end }", 2, 11, "not of both", ""},
	{"return pipeline { name = 't', build = function ()\n return { free { x = 0/0 } } end }", 2, 0, "not a finite number", ""},
	{"return pipeline { name = 't', build = function ()\n return { free { x = function () end } } end }", 2, 0, "cannot be a function", ""},
	{"return pipeline { name = 't', build = function ()\n return { counter 'x' } end }", 2, 11, "takes one table", ""},
	{"return pipeline { name = 't', build = function ()\n return { lua { function () end, function () end } } end }", 2, 11, "one function", ""},
	{"return pipeline { name = 't', build = function ()\n return { lua { state = {'a', 'a'}, function () end } } end }", 2, 0, "twice", ""},
	{"return pipeline { name = 't', build = function ()\n local t = {} for i = 1, 65 do t[i] = free {} end return t end }", 0, 0, "at most 64", ""},
};

Test(script, a_mistake_is_told_with_its_place_and_the_nearest_name)
{
	struct bench b;
	bench_open(&b);
	for (size_t i = 0; i < HD_ARRAY_LEN(mistakes); i++) {
		int rc = bench_load(&b, mistakes[i].text);
		if (rc == HYDRO_OK)
			rc = bench_build(&b, "{}");
		cr_assert_eq(rc, HYDRO_E_CONFIG, "accepted: %s", mistakes[i].text);
		cr_assert(strstr(b.diag.message, mistakes[i].message), "%s", b.diag.message);
		cr_assert(strstr(b.diag.hint, mistakes[i].hint), "%s: %s", b.diag.message, b.diag.hint);
		cr_assert_str_eq(b.diag.file, "t.lua");
		cr_assert_eq(b.diag.line, mistakes[i].line, "%s: line %u", b.diag.message, b.diag.line);
		if (mistakes[i].column)
			cr_assert_eq(b.diag.column, mistakes[i].column, "%s: column %u", b.diag.message, b.diag.column);
	}
	bench_close(&b);
}

Test(script, libraries_are_had_by_use_at_the_top_and_take_part_in_the_hash)
{
	struct bench b;
	bench_open(&b);
	static const char text[] = "local water = use 'water'\nreturn pipeline { name = 't', build = function () return { function (m) m.flow = water.double(m.flow) end } end }";
	static const char lib[] = "local k = 2 return { double = function (x) return x * k end }";
	const struct hd_script_lib libs[] = {{"water", lib, sizeof lib - 1}};
	cr_assert_eq(hd_script_new("t", "t.lua", text, sizeof text - 1, libs, 1, &b.script, &b.err), HYDRO_OK);
	cr_assert_eq(hd_lua_attach(b.lua, b.script, &b.diag, &b.err), HYDRO_OK, "%s", b.err.text);
	cr_assert_eq(bench_build(&b, "{}"), HYDRO_OK, "%s", b.err.text);
	b.values[HD_METRIC_FLOW] = 4;
	cr_assert_eq(bench_call(&b, 0, NULL, "{}"), HYDRO_OK, "%s", b.fault.text);
	cr_assert_float_eq(b.values[HD_METRIC_FLOW], 8, 0);
	struct hd_script *without = NULL;
	cr_assert_eq(hd_script_new("t", "t.lua", text, sizeof text - 1, NULL, 0, &without, &b.err), HYDRO_OK);
	cr_assert_str_neq(hd_script_hash(without), hd_script_hash(b.script));
	cr_assert_eq(hd_lua_attach(b.lua, without, &b.diag, &b.err), HYDRO_E_CONFIG);
	cr_assert(strstr(b.diag.message, "unknown library 'water'"));
	hd_script_unref(&without);
	bench_close(&b);
}

Test(script, attaching_and_detaching_a_thousand_times_keeps_the_memory)
{
	struct bench b;
	bench_open(&b);
	size_t before = 0;
	for (int i = 0; i < 1000; i++) {
		cr_assert_eq(bench_load(&b, WELL), HYDRO_OK);
		cr_assert_eq(bench_build(&b, PARAMS), HYDRO_OK);
		if (i == 10)
			before = hd_lua_memory(b.lua);
	}
	hd_lua_detach(b.lua, b.script);
	cr_assert_lt(hd_lua_memory(b.lua), before + 16384);
	bench_close(&b);
}

static int echo(void *arg, struct hd_script *script, const struct hd_point *point, struct hd_selftest_reading *readings, uint32_t count,
		struct hydro_error *err)
{
	struct bench *b = arg;
	(void)err;
	cr_assert_eq(script, b->script);
	cr_assert_str_eq(hd_point_params(point), "{\"offset\":2}");
	for (uint32_t i = 0; i < count; i++) {
		cr_assert_eq(readings[i].raw_count, 1);
		readings[i].value_count = 1;
		readings[i].values[0] = readings[i].raws[0];
		readings[i].values[0].value *= 2;
		readings[i].flag_count = i;
		readings[i].flags[0] = (struct hd_selftest_flag){readings[i].raws[0].metric, "spike"};
	}
	return HYDRO_OK;
}

Test(script, a_selftest_runs_readings_and_tells_where_it_failed)
{
	struct bench b;
	bench_open(&b);
	cr_assert_eq(bench_load(&b, "return pipeline { name = 't', build = function () return {} end, samples = { { offset = 2 } },\n"
				    "selftest = function (t)\n"
				    " local r = t:run { params = { offset = 2 }, readings = { { flow = 1 }, { ts = '2026-01-02T00:00:00Z', flow = 3 } } }\n"
				    " t:equal(#r, 2) t:equal(r[2].flow, 6) t:flagged(r[2], 'flow', 'spike') t:clean(r[1], 'flow')\n"
				    " t:equal(r[1].flow, 3, 0.1, 'the first')\n"
				    "end }"),
		     HYDRO_OK);
	cr_assert_eq(hd_script_selftest(b.lua, b.script, echo, &b, &b.diag, &b.err), HYDRO_E_CONFIG);
	cr_assert_eq(b.diag.line, 5);
	cr_assert(strstr(b.diag.message, "is 2.0, expected 3 (the first)"), "%s", b.diag.message);
	cr_assert_eq(hd_script_sample_count(b.lua, b.script), 1);
	struct hd_buf sample = {0};
	cr_assert_eq(hd_script_sample(b.lua, b.script, 0, &sample, &b.err), HYDRO_OK);
	cr_assert_str_eq(hd_buf_text(&sample), "{\"offset\":2}");
	hd_buf_done(&sample);
	bench_close(&b);
}
