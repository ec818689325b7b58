/* SPDX-License-Identifier: MIT */
/*
 * Lua as the daemon sees it: a sandboxed state per worker (and scratch ones for checks), scripts attached to it, build
 * and step calls under budgets. Nothing here raises a Lua error into its caller and no lua_State leaves the folder.
 */
#ifndef HD_LUA_LUA_H
#define HD_LUA_LUA_H

#include "lua/budget.h"
#include "lua/diag.h"
#include "lua/script.h"
#include "lua/spec.h"

struct hd_lua;
struct hd_names;
struct hd_point;

#define HD_LUA_MEMORY_BYTES (32u << 20)
#define HD_LUA_CALL_MEMORY_BYTES (4u << 20)
#define HD_LUA_METRICS_PER_SCRIPT_MAX 64u

/* A step that scripts can name. */
struct hd_lua_step_doc {
	const char *name;
	const char *options; /* the keys it takes, blank between: "from to litres_per_pulse"; "*" = not checked here */
};

struct hd_lua_config {
	struct hd_watchdog *watchdog; /* outlives the state */
	struct hd_names *names;       /* metrics; outlives the state */
	const struct hd_lua_step_doc *steps; /* what exists beside "lua"; outlives the state */
	uint32_t step_count;
	uint32_t step_cpu_us;  /* of one step call; 0 = HD_BUDGET_CPU_US */
	uint32_t build_cpu_us; /* of one build; 0 = 20,000 */
	uint32_t load_cpu_us;  /* of loading a script or its selftest; 0 = 500,000 */
	uint32_t wall_ms;      /* backstop of a step or build; 0 = HD_BUDGET_WALL_MS */
	size_t memory_bytes;      /* of the whole state; 0 = HD_LUA_MEMORY_BYTES */
	size_t call_memory_bytes; /* by which one call may grow it; 0 = HD_LUA_CALL_MEMORY_BYTES */
};

/* A state belongs to one thread at a time. HYDRO_E_NOMEM. [any] */
int hd_lua_new(const struct hd_lua_config *config, struct hd_lua **ret, struct hydro_error *err);
void hd_lua_free(struct hd_lua **lua);
/* Bytes its allocator has given out. [owner] */
size_t hd_lua_memory(const struct hd_lua *lua);

/*
 * Compiles and runs the script's chunk, takes the table that pipeline {} made, and readies the Lua steps other states have
 * found already. Attached again it is counted. HYDRO_E_CONFIG: the script is wrong, see `diag` (may be NULL);
 * HYDRO_E_LIMIT: over its budget. The state is usable afterwards in any case. [owner]
 */
int hd_lua_attach(struct hd_lua *lua, struct hd_script *script, struct hd_diag *diag, struct hydro_error *err);
/* Forgets the script and collects what it held. [owner] */
void hd_lua_detach(struct hd_lua *lua, struct hd_script *script);
bool hd_lua_is_attached(const struct hd_lua *lua, const struct hd_script *script);

/*
 * Runs build(point) and fills `spec` (cleared first). The steps' kinds and option names are checked; values are the
 * compiler's affair. Lua steps get their number; one that captures what is local to build is refused. HYDRO_E_CONFIG with
 * `diag`, HYDRO_E_LIMIT over budget, HYDRO_E_NOMEM. The script must be attached. [owner]
 */
int hd_script_build(struct hd_lua *lua, struct hd_script *script, const struct hd_point *point, struct hd_spec *ret,
		    struct hd_diag *diag, struct hydro_error *err);

/* What a Lua step sees as `m`. All callbacks on the caller's thread, during the call; they must not call into this state. */
struct hd_mview {
	void *arg;
	int64_t ts_ms; /* m.ts, of the logger */
	/* false: no such value; the metric reads as nil. */
	bool (*get)(void *arg, uint32_t metric, double *ret);
	/* The reading as the provider said it; NULL reads as nil. */
	bool (*get_raw)(void *arg, uint32_t metric, double *ret);
	/* A finite value, or NaN for nil: the metric is taken out. Below 0 = refused (too many metrics): an error in the script. */
	int (*set)(void *arg, uint32_t metric, double value);
	/* metric 0 = the whole measurement; name is the flag's text, also for HD_FLAG_SCRIPT (a name outside the scheme). */
	int (*flag)(void *arg, uint32_t metric, uint32_t flag, const char *name);
	int (*quality)(void *arg, uint32_t metric, double quality);
};

/* A call that went wrong. */
struct hd_lua_fault {
	uint32_t stop; /* HD_STOP_*: CPU and MEMORY are strikes, WALL is none; NONE: the script raised an error */
	uint32_t line; /* where known */
	char text[HD_DIAG_TEXT_BYTES];
};

/*
 * Calls a Lua step: fn(m, state, point). `slots` are as many as the step declared, NaN = nil, read and written in place.
 * HYDRO_OK; HYDRO_E_LIMIT: stopped, over its budget; HYDRO_E_TIMEOUT: stopped by the wall backstop, no strike;
 * HYDRO_E_INVALID: the script raised an error. What it set before is up to the caller to drop. `fault` may be NULL and is
 * written on failure only. Allocates nothing unless the script does. [owner]
 */
int hd_lua_call_step(struct hd_lua *lua, struct hd_script *script, uint32_t function, const struct hd_mview *view, double *slots,
		     const struct hd_point *point, struct hd_lua_fault *fault);

/* The same; what the function returned is added to `ret_json` as a JSON value, also under the step's budget. [owner] */
int hd_lua_eval_step(struct hd_lua *lua, struct hd_script *script, uint32_t function, const struct hd_mview *view, double *slots,
		     const struct hd_point *point, struct hd_buf *ret_json, struct hd_lua_fault *fault);

/* A point with these params (a JSON object) outside of the table of points, to be freed. HYDRO_E_LIMIT, HYDRO_E_NOMEM. [any] */
int hd_lua_point_new(const char *name, const char *params, struct hd_point **ret, struct hydro_error *err);

/* One reading of a selftest and what came of it; `values` are by metric number. */
struct hd_selftest_value {
	uint32_t metric;
	float quality;
	double value;
};
struct hd_selftest_flag {
	uint32_t metric;
	char name[32];
};
#define HD_SELFTEST_VALUES_MAX 32u
#define HD_SELFTEST_FLAGS_MAX 32u
struct hd_selftest_reading {
	int64_t ts_ms;
	uint32_t raw_count, value_count, flag_count; /* value_count, flag_count: filled by run */
	bool unprocessed, fileable;
	struct hd_selftest_value raws[HD_SELFTEST_VALUES_MAX];
	struct hd_selftest_value values[HD_SELFTEST_VALUES_MAX];
	struct hd_selftest_flag flags[HD_SELFTEST_FLAGS_MAX];
};

/*
 * Builds the script for `point` and runs the readings in order through the plan, from fresh state; on a state other than
 * the one the selftest runs in. Given by pipeline.
 */
typedef int (*hd_selftest_run_fn)(void *arg, struct hd_script *script, const struct hd_point *point, struct hd_selftest_reading *readings,
				  uint32_t count, struct hydro_error *err);

/* Runs the script's selftest(t), if it has one. HYDRO_E_CONFIG with `diag` when it fails, HYDRO_E_LIMIT. [owner] */
int hd_script_selftest(struct hd_lua *lua, struct hd_script *script, hd_selftest_run_fn run, void *arg, struct hd_diag *diag,
		       struct hydro_error *err);
/* The sample points that the script gives for checks (`samples = { {…params…}, … }` in pipeline {}); 0 = none. [owner] */
uint32_t hd_script_sample_count(struct hd_lua *lua, struct hd_script *script);
/* The i-th one as a JSON object of params. HYDRO_E_CONFIG when it is none. [owner] */
int hd_script_sample(struct hd_lua *lua, struct hd_script *script, uint32_t i, struct hd_buf *ret, struct hydro_error *err);

#endif
