/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "support.h"

#include "base/clock.h"
#include "base/thread.h"
#include "model/names.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each must be stopped, or end by itself, and leave the state as good as new. */
static const struct {
	const char *name, *body;
	bool stopped; /* else: may also end with an error of its own */
} attacks[] = {
	{"an endless loop", "while true do end", true},
	{"an endless loop in pcall", "while true do pcall(function () while true do end end) end", true},
	{"nested pcalls", "local function f() while true do pcall(f) end end f()", true},
	{"pcall of error", "while true do pcall(error, 'x') end", true},
	{"a repeat without end", "repeat until false", true},
	{"goto", "::a:: goto a", true},
	{"tail calls", "local function f() return f() end f()", true},
	{"deep recursion", "local function f() return 1 + f() end f()", false},
	{"deep recursion, caught, again", "local function f() return 1 + f() end while true do pcall(f) end", true},
	{"a growing string", "local s = 'x' while true do s = s .. s end", false},
	{"a growing string, caught, again", "while true do pcall(function () local s = 'x' while true do s = s .. s end end) end", true},
	{"a growing table", "local t = {} local i = 0 while true do i = i + 1 t[i] = {} end", true},
	{"a growing table, caught, again", "local t = {} while true do pcall(function () while true do t[#t + 1] = {} end end) end", true},
	{"string.rep in a loop", "while true do ('x'):rep(65536) end", true},
	{"string.rep of nothing", "while true do (''):rep(1 << 60) end", true},
	{"string.format in a loop", "while true do ('%99d'):format(1) end", true},
	{"a pattern that explodes", "while true do pcall(string.find, ('a'):rep(30), ('a?'):rep(30) .. ('a'):rep(30)) end", true},
	{"a pattern over a long text", "local s = ('a'):rep(60000) while true do pcall(string.match, s, '.-.-.-b') end", true},
	{"gsub with a callback", "local s = ('a'):rep(60000) while true do s:gsub('.', function () return 'b' end) end", true},
	{"table.concat of much", "local t = {} for i = 1, 60000 do t[i] = 'xxxxxxxx' end while true do table.concat(t) end", true},
	{"table.sort of much", "local t = {} for i = 1, 30000 do t[i] = i * 7919 % 30011 end while true do table.sort(t) end", true},
	{"table.sort with a callback", "local t = {} for i = 1, 5000 do t[i] = i end while true do pcall(table.sort, t, function () return true end) end", true},
	{"table.insert at the front", "local t = {} while true do pcall(table.insert, t, 1, 1) end", true},
	{"table.move", "local t = {} while true do pcall(table.move, t, 1, 65000, 2) end", true},
	{"a lying __len", "local t = setmetatable({}, {__len = function () return 1 << 60 end}) while true do pcall(table.unpack, t) pcall(table.insert, t, 1) t[1] = nil end", true},
	{"__index without end", "local t t = setmetatable({}, {__index = function (_, k) return t[k + 1] end}) local x = t[1]", false},
	{"__close that loops", "local x <close> = setmetatable({}, {__close = function () while true do end end}) while true do end", true},
	{"__close that loops after an error", "local x <close> = setmetatable({}, {__close = function () while true do pcall(error) end end}) error('x')", true},
	{"many __close", "local function f() local x <close> = setmetatable({}, {__close = function () while true do end end}) f() end f()", false},
	{"__tostring that loops", "tostring(setmetatable({}, {__tostring = function () while true do end end}))", true},
	{"__concat that loops", "local x = setmetatable({}, {__concat = function () while true do end end}) .. 'x'", true},
	{"__eq and __lt", "local mt = {__lt = function () while true do end end} local x = setmetatable({}, mt) < setmetatable({}, mt)", true},
	{"a for without end", "for i = 1, math.maxinteger do end", true},
	{"an iterator without end", "for x in function () return 1 end do end", true},
	{"ipairs without end", "for i in ipairs(setmetatable({}, {__index = function () return 1 end})) do end", true},
	{"long keys", "local t = {} while true do t[('x'):rep(60000) .. #t] = 1 end", true},
	{"metrics without end", "local i = 0 while true do i = i + 1 m['x' .. i] = 1 end", false},
	{"metrics without end, caught", "local i = 0 while true do i = i + 1 pcall(function () m['y' .. i] = 1 end) end", true},
};

/* That each ends, and with what, is asserted; how soon is a figure of tests/bench (bench_script), for the watchdog may have to wait
 * for its turn on a busy machine. */
Test(budget, every_attack_ends_and_leaves_the_state_usable)
{
	struct bench b;
	bench_open(&b);
	for (size_t i = 0; i < HD_ARRAY_LEN(attacks); i++) {
		int64_t cpu_ns = hd_clock_thread_cpu_ns();
		int rc = bench_run_in_step(&b, attacks[i].body);
		cpu_ns = hd_clock_thread_cpu_ns() - cpu_ns;
		if (attacks[i].stopped)
			cr_assert_eq(rc, HYDRO_E_LIMIT, "%s gave %d %s %s", attacks[i].name, rc, b.fault.text, b.err.text);
		else
			cr_assert(rc == HYDRO_E_LIMIT || rc == HYDRO_E_INVALID, "%s gave %d %s", attacks[i].name, rc, b.err.text);
		if (getenv("HYDRO_TEST_FIGURES"))
			(void)fprintf(stderr, "%-40s %7.2f ms  %s\n", attacks[i].name, (double)cpu_ns / 1e6, b.fault.text);
		cr_assert_eq(bench_run_in_step(&b, "m.flow = 1 + (m.flow or 0)"), HYDRO_OK, "after %s: %s", attacks[i].name, b.fault.text);
		cr_assert_lt(hd_lua_memory(b.lua), 4u << 20, "%s left %zu bytes", attacks[i].name, hd_lua_memory(b.lua));
	}
	cr_assert_float_eq(b.values[HD_METRIC_FLOW], (double)HD_ARRAY_LEN(attacks), 1e-9);
	bench_close(&b);
}

Test(budget, attacks_in_a_build_and_in_a_chunk_end_too)
{
	struct bench b;
	bench_open(&b);
	cr_assert_eq(bench_run_in_build(&b, "while true do pcall(function () while true do end end) end"), HYDRO_E_LIMIT);
	cr_assert_eq(bench_load(&b, "while true do end"), HYDRO_E_LIMIT);
	cr_assert_eq(bench_load(&b, "local s = 'x' while true do s = s .. s end"), HYDRO_E_LIMIT);
	cr_assert_eq(bench_run_in_build(&b, ""), HYDRO_OK);
	bench_close(&b);
}

Test(budget, a_harmless_call_after_many_overruns_is_never_stopped)
{
	struct bench b;
	bench_open(&b);
	cr_assert_eq(bench_load(&b, "return pipeline { name = 't', build = function () return {"
				    "function () while true do end end, function (m) local x = m.flow for i = 1, 100 do x = i end m.level = x end } end }"),
		     HYDRO_OK);
	cr_assert_eq(bench_build(&b, "{}"), HYDRO_OK);
	const struct hd_point *point = bench_point(&b, "{}");
	for (int i = 0; i < 20; i++) {
		cr_assert_eq(hd_lua_call_step(b.lua, b.script, 0, &b.view, NULL, point, &b.fault), HYDRO_E_LIMIT);
		cr_assert_eq(b.fault.stop, HD_STOP_CPU);
		for (int k = 0; k < 2000; k++)
			cr_assert_eq(hd_lua_call_step(b.lua, b.script, 1, &b.view, NULL, point, &b.fault), HYDRO_OK, "%s", b.fault.text);
	}
	hd_point_unref(point);
	bench_close(&b);
}

struct worker {
	pthread_t thread;
	struct bench *b;
	struct hd_lua *lua;
	uint32_t function;
	int rc;
	uint32_t done;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct hd_mview view = w->b->view;
	const struct hd_point *point = hd_points_get(w->b->points, 0);
	for (w->done = 0; w->done < (w->function ? 3000u : 5u); w->done++) {
		w->rc = hd_lua_call_step(w->lua, w->b->script, w->function, &view, NULL, point, NULL);
		if (w->rc != (w->function ? HYDRO_OK : HYDRO_E_LIMIT))
			break;
	}
	hd_point_unref(point);
	return NULL;
}

Test(budget, the_offender_alone_is_stopped_when_states_run_side_by_side)
{
	struct bench b;
	bench_open(&b);
	cr_assert_eq(bench_load(&b, "return pipeline { name = 't', build = function () return {"
				    "function () while true do pcall(error) end end, function (m) local x = m.flow for i = 1, 200 do x = i end end } end }"),
		     HYDRO_OK);
	cr_assert_eq(bench_build(&b, "{}"), HYDRO_OK);
	struct worker workers[4];
	for (uint32_t i = 0; i < 4; i++) {
		workers[i] = (struct worker){.b = &b, .lua = bench_state(&b), .function = i % 2};
		cr_assert_eq(hd_lua_attach(workers[i].lua, b.script, &b.diag, &b.err), HYDRO_OK);
		cr_assert_eq(hd_thread_start(&workers[i].thread, HD_ROLE_WORKER, "worker", work, &workers[i], &b.err), HYDRO_OK);
	}
	for (uint32_t i = 0; i < 4; i++) {
		(void)pthread_join(workers[i].thread, NULL);
		cr_assert_eq(workers[i].done, workers[i].function ? 3000u : 5u, "worker %u: %d after %u calls", i, workers[i].rc, workers[i].done);
		hd_lua_free(&workers[i].lua);
	}
	bench_close(&b);
}
