/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "support.h"

#include "model/flags.h"
#include "model/names.h"

#include <math.h>
#include <string.h>

Test(view, m_reads_writes_flags_and_takes_out)
{
	struct bench b;
	bench_open(&b);
	b.values[HD_METRIC_FLOW] = 4;
	b.values[HD_METRIC_LEVEL] = -1;
	cr_assert_eq(bench_run_in_step(&b, "assert(m.total == nil and m.flow == 4 and m.nothing == nil and m.ts == 1700000000000)\n"
					   "m.total = m.flow * 2 m.level = nil m.my_metric = 7 assert(m.my_metric == 7)\n"
					   "m:flag('flow', 'spike') m:flag('*', 'my_flag') m:quality('flow', 0.25)"),
		     HYDRO_OK, "%s", b.fault.text);
	cr_assert_float_eq(b.values[HD_METRIC_TOTAL], 8, 0);
	cr_assert(isnan(b.values[HD_METRIC_LEVEL]));
	uint32_t mine = hd_names_find(b.names, HD_NAME_METRIC, "my_metric");
	cr_assert_neq(mine, 0);
	cr_assert_float_eq(b.values[mine], 7, 0);
	cr_assert_str_eq(b.flags, "1:19:spike 0:28:my_flag ");
	cr_assert_float_eq(b.quality[HD_METRIC_FLOW], 0.25, 0);
	bench_close(&b);
}

static const struct {
	const char *body, *message;
} refused[] = {
	{"m.flow = 'x'", "m.flow is a number or nil, not a string"}, {"m.flow = 0/0", "finite"}, {"m.flow = 1/0", "finite"},
	{"m.ts = 1", "m.ts cannot be set"}, {"m[1] = 1", "by name"}, {"local x = m[1]", "by name"}, {"m['No Metric'] = 1", "no name for a metric"},
	{"m:flag('flow', 'No Flag')", "no name for a flag"}, {"m:flag('flow')", "string expected"}, {"m:quality('flow', 2)", "0 to 1"},
	{"m:quality('*', 1)", "no value"}, {"state.x = 1", "no state"}, {"local x = state.x", "no state"}, {"point.x = 1", "frozen"},
	{"local x = point[1]", "by name"}, {"m.flow = nil + 1", "arithmetic"}, {"setmetatable(m, {})", "table expected"}, {"m.flag = 1", "cannot be set"},
};

Test(view, wrong_use_is_an_error_of_the_script_with_its_line)
{
	struct bench b;
	bench_open(&b);
	for (size_t i = 0; i < HD_ARRAY_LEN(refused); i++) {
		cr_assert_eq(bench_run_in_step(&b, refused[i].body), HYDRO_E_INVALID, "accepted: %s", refused[i].body);
		cr_assert(strstr(b.fault.text, refused[i].message), "%s gave: %s", refused[i].body, b.fault.text);
		cr_assert_eq(b.fault.line, 1);
		cr_assert_eq(b.fault.stop, HD_STOP_NONE);
	}
	bench_close(&b);
}

Test(view, point_shows_params_and_its_own_fields_and_tables_are_copies)
{
	struct bench b;
	bench_open(&b);
	cr_assert_eq(bench_load(&b, "return pipeline { name = 't', build = function () return { function (m, state, point)\n"
				    "assert(point.offset == 2.5 and point.n == 7 and math.type(point.n) == 'integer' and point.none == nil)\n"
				    "assert(point.name == 'well 1' and point.period == 300 and point.zone == 'America/Santiago' and #point.id == 36)\n"
				    "assert(point.text == 'a\\\\/\"b\\u{e9}\\u{1F4A7}' and point.yes == true and point.no == false and point.null == nil)\n"
				    "point.list[1] = 99 assert(point.list[1] == 1 and point.list[2].k == 'v' and #point.list == 2)\n"
				    "end } end }"),
		     HYDRO_OK, "%s", b.err.text);
	cr_assert_eq(bench_build(&b, "{}"), HYDRO_OK);
	cr_assert_eq(bench_call(&b, 0, NULL,
				"{\"x\": {\"offset\": 1}, \"offset\": 2.5, \"n\":7 , \"text\": \"a\\\\/\\\"b\\u00e9\\ud83d\\udca7\", \"yes\": true, \"no\":false,"
				" \"null\": null, \"list\": [1, {\"k\": \"v\"}]}"),
		     HYDRO_OK, "%s", b.fault.text);
	static const char *const broken[] = {"", "[", "{\"offset\"", "{\"offset\":", "{\"offset\": [1", "{\"offset\": \"x", "{\"offset\": {\"a\"", "{\"offset\": nope}"};
	for (size_t i = 0; i < HD_ARRAY_LEN(broken); i++)
		cr_assert_eq(bench_call(&b, 0, NULL, broken[i]), HYDRO_E_INVALID);
	bench_close(&b);
}

Test(view, state_slots_are_numbers_that_the_host_keeps)
{
	struct bench b;
	bench_open(&b);
	cr_assert_eq(bench_load(&b, "return pipeline { name = 't', build = function () return { lua { state = {'last', 'n'}, function (m, state)\n"
				    "state.n = (state.n or 0) + 1 if m.flow then state.last = m.flow else state.last = nil end\n"
				    "if m.level then state.other = 1 end if m.total then state.last = 'x' end end } } end }"),
		     HYDRO_OK);
	cr_assert_eq(bench_build(&b, "{}"), HYDRO_OK);
	double slots[2] = {NAN, NAN};
	b.values[HD_METRIC_FLOW] = 5;
	cr_assert_eq(bench_call(&b, 0, slots, "{}"), HYDRO_OK);
	cr_assert_eq(bench_call(&b, 0, slots, "{}"), HYDRO_OK);
	cr_assert_float_eq(slots[0], 5, 0);
	cr_assert_float_eq(slots[1], 2, 0);
	b.values[HD_METRIC_FLOW] = NAN;
	cr_assert_eq(bench_call(&b, 0, slots, "{}"), HYDRO_OK);
	cr_assert(isnan(slots[0]));
	b.values[HD_METRIC_LEVEL] = 1;
	cr_assert_eq(bench_call(&b, 0, slots, "{}"), HYDRO_E_INVALID);
	cr_assert(strstr(b.fault.text, "slot 'other' is not declared"));
	b.values[HD_METRIC_LEVEL] = NAN;
	b.values[HD_METRIC_TOTAL] = 1;
	cr_assert_eq(bench_call(&b, 0, slots, "{}"), HYDRO_E_INVALID);
	cr_assert(strstr(b.fault.text, "not a string"));
	bench_close(&b);
}

Test(view, what_a_script_keeps_of_one_point_does_not_show_another)
{
	struct bench b;
	bench_open(&b);
	cr_assert_eq(bench_load(&b, "local kept = {} return pipeline { name = 't', build = function (point) kept.p = kept.p or point return {\n"
				    "function (m, state, point) kept.m, kept.p = m, point end, function (m, state, point) assert(kept.p == point and kept.m == m)\n"
				    "m.flow = kept.p.offset end } end }"),
		     HYDRO_OK);
	cr_assert_eq(bench_build(&b, "{}"), HYDRO_OK);
	cr_assert_eq(bench_call(&b, 0, NULL, "{\"offset\": 1}"), HYDRO_OK);
	cr_assert_eq(bench_call(&b, 1, NULL, "{\"offset\": 2}"), HYDRO_OK, "%s", b.fault.text);
	cr_assert_float_eq(b.values[HD_METRIC_FLOW], 2, 0);
	bench_close(&b);
}

Test(view, a_call_allocates_nothing)
{
	struct bench b;
	bench_open(&b);
	cr_assert_eq(bench_load(&b, "return pipeline { name = 't', build = function () return { lua { state = {'n'}, function (m, state, point)\n"
				    "state.n = (state.n or 0) + 1 if m.flow and m.flow > point.granted then m:flag('flow', 'above_granted') end m.level = m.flow\n"
				    "end } } end }"),
		     HYDRO_OK);
	cr_assert_eq(bench_build(&b, "{}"), HYDRO_OK);
	const struct hd_point *point = bench_point(&b, "{\"granted\": 3}");
	double slot = NAN;
	b.values[HD_METRIC_FLOW] = 5;
	size_t before = 0;
	for (int i = 0; i < 1000; i++) {
		b.flags[0] = '\0';
		cr_assert_eq(hd_lua_call_step(b.lua, b.script, 0, &b.view, &slot, point, &b.fault), HYDRO_OK, "%s", b.fault.text);
		if (i == 10)
			before = hd_lua_memory(b.lua);
	}
	cr_assert_eq(hd_lua_memory(b.lua), before);
	cr_assert_float_eq(slot, 1000, 0);
	hd_point_unref(point);
	bench_close(&b);
}
