/* SPDX-License-Identifier: MIT */
/* A state, a script and a view for the tests of host/lua. */
#ifndef HD_TESTS_LUA_SUPPORT_H
#define HD_TESTS_LUA_SUPPORT_H

#include "lua/lua.h"
#include "model/points.h"

struct bench {
	struct hd_watchdog *watchdog;
	struct hd_names *names;
	struct hd_lua *lua;
	struct hd_script *script;
	struct hd_points *points;
	struct hd_spec spec;
	struct hd_diag diag;
	struct hydro_error err;
	struct hd_lua_fault fault;
	/* What the view shows and gets. */
	struct hd_mview view;
	double values[64]; /* by metric; NaN = none */
	char flags[512];   /* "metric:flag " … */
	double quality[64];
};

void bench_open(struct bench *b);
void bench_close(struct bench *b);
/* Another state beside b->lua, for tests of several. */
struct hd_lua *bench_state(struct bench *b);
/* Loads and attaches; the result of hd_lua_attach (or of hd_script_new). */
int bench_load(struct bench *b, const char *text);
/* A point with these params; to be given back. */
const struct hd_point *bench_point(struct bench *b, const char *params);
/* Builds the script for a point with these params into b->spec. */
int bench_build(struct bench *b, const char *params);
/* A script named "t" whose build runs `body` before it returns no steps: loads and builds it. */
int bench_run_in_build(struct bench *b, const char *body);
/* A script named "t" with one step function (m, state, point) of this body: loads, builds and calls it. */
int bench_run_in_step(struct bench *b, const char *body);
int bench_call(struct bench *b, uint32_t step, double *slots, const char *params);

#endif
