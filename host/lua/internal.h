/* SPDX-License-Identifier: MIT */
/* Private to host/lua: what its files share. */
#ifndef HD_LUA_INTERNAL_H
#define HD_LUA_INTERNAL_H

#include "lua/lua.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>

/*
 * Marks a function that can raise a Lua error: longjmp passes over it, so across a call that can raise it holds nothing
 * that C must give back (no malloc, descriptor, lock, reference), and it uses no HD_CLEANUP.
 */
#define LUA_RAISES

#define HD_LUA_STRING_MAX 65536u  /* what string functions take; `..` is bounded by memory alone */
#define HD_LUA_RANGE_MAX 65536    /* elements a table function goes over */
#define HD_LUA_UNPACK_MAX 250
#define HD_LUA_MATCH_STEPS 200000u
#define HD_LUA_NAME_CACHE 128u /* a power of two */

/* A metric or flag name met in a script. Its string is anchored, so the address stays its own. */
struct hd_lua_name {
	const void *key; /* lua_topointer of the string */
	uint32_t number; /* HD_FLAG_SCRIPT for a flag outside the scheme */
};

/* A script in a state. References are into the registry; LUA_NOREF = none. */
struct hd_lua_attached {
	struct hd_script *script;
	uint32_t count;
	int pipeline_ref; /* the table given to pipeline {} */
	int build_ref;
	int upvalues_ref; /* set: upvalue id → true, of all that the script had before its first build */
	int anchor_ref;   /* set: the functions those belong to, so that no id is given out again */
	int libs_ref;     /* name → what use(name) gave */
	int functions[HD_SCRIPT_FUNCTIONS_MAX];      /* number → step function, LUA_NOREF = not met in this state */
	int function_slots[HD_SCRIPT_FUNCTIONS_MAX]; /* number → table name → slot from 1, LUA_NOREF = no state */
	uint32_t new_names; /* metric and flag names that this script brought */
};

struct hd_lua {
	lua_State *L;
	struct hd_budget *budget;
	struct hd_lua_config config;
	size_t used_bytes, limit_bytes; /* limit: of the call under way */
	size_t refused_bytes;           /* of the last request over the limit, 0 = none since */
	struct hd_lua_attached **by_slot; /* by the script's slot number */
	uint32_t slot_count;
	struct hd_lua_attached *loading; /* whose chunk runs */
	struct hd_lua_attached *building;

	/* What the views show during a call. */
	struct hd_lua_attached *calling;
	const struct hd_mview *view;
	double *slots;
	int slots_ref; /* table name → slot number (from 1) of the step under way */
	const struct hd_point *point;

	int env_ref, names_ref, step_ref; /* all in the registry */
	struct hd_lua_name metric_cache[HD_LUA_NAME_CACHE];
	struct hd_lua_name flag_cache[HD_LUA_NAME_CACHE];

	/* The selftest under way. */
	hd_selftest_run_fn selftest_run;
	void *selftest_arg;
};

static inline struct hd_lua *hd_lua_of(lua_State *L)
{
	struct hd_lua *lua;
	__builtin_memcpy(&lua, lua_getextraspace(L), sizeof lua);
	return lua;
}

/* Where hd_lua_new leaves the views on L's stack for good. */
#define HD_LUA_AT_M 1
#define HD_LUA_AT_STATE 2
#define HD_LUA_AT_POINT 3

/* --- lua.c --- */
/*
 * A call under a budget of what is on the stack, as lua_pcall; never raises. HYDRO_OK with the results; otherwise the
 * arguments are gone and `text` says why: HYDRO_E_CONFIG for an error of the script, HYDRO_E_LIMIT, HYDRO_E_TIMEOUT.
 */
int hd_lua_run(struct hd_lua *lua, int nargs, int nresults, uint32_t cpu_us, uint32_t *ret_stop, char *text, size_t text_bytes);
/* NULL when it is not attached. */
struct hd_lua_attached *hd_lua_attached(const struct hd_lua *lua, const struct hd_script *script);

/* --- sandbox.c --- */
LUA_RAISES void hd_sandbox_open(lua_State *L);
/* Replaces the table at the top of the stack by a frozen view of it; `name` as messages call it. */
LUA_RAISES void hd_sandbox_freeze(lua_State *L, const char *name);
/* Raises when the call under way is to stop: for loops in C. */
LUA_RAISES void hd_sandbox_poll(lua_State *L);
/* Pushes a protected metatable; without `newindex` writing is refused. */
LUA_RAISES void hd_sandbox_metatable(lua_State *L, const char *name, lua_CFunction index, lua_CFunction newindex);
LUA_RAISES int hd_sandbox_tostring(lua_State *L);

/* --- sandbox_string.c, sandbox_table.c, match.c: push their library as a table --- */
LUA_RAISES void hd_sandbox_open_string(lua_State *L);
LUA_RAISES void hd_sandbox_open_table(lua_State *L);
LUA_RAISES void hd_sandbox_open_match(lua_State *L); /* adds find, match, gmatch, gsub to the table at the top */

/* --- steps.c --- */
#define HD_LUA_KIND_LUA UINT32_MAX
struct hd_lua_step {
	uint32_t kind; /* index in config.steps, or HD_LUA_KIND_LUA */
	uint32_t line;
	uint32_t lib;  /* that made it, by number from 1 among the script's; 0 = the script itself */
};
LUA_RAISES void hd_lua_open_steps(lua_State *L); /* adds pipeline, use and the constructors to the table at the top */
LUA_RAISES int hd_lua_unknown_global(lua_State *L);
/* The step at an index of the stack, or NULL; never raises. Its arguments are its user value 1. */
const struct hd_lua_step *hd_lua_to_step(struct hd_lua *lua, int index);
const char *hd_lua_step_kind(const struct hd_lua *lua, const struct hd_lua_step *step);

/* --- build.c --- */
/* Runs build(point): HYDRO_OK with its value on the stack, else as hd_lua_run. */
int hd_lua_call_build(struct hd_lua *lua, struct hd_lua_attached *at, const struct hd_point *point, char *text, size_t text_bytes);

/* --- functions.c --- */
/* Notes every upvalue that the script has before its first build. Arguments: the build function, the selftest or nil. */
LUA_RAISES int hd_lua_note_upvalues(lua_State *L);
/*
 * The number of the step function at the top of the stack, given to it if it is new; the slot names are in `slots`.
 * HYDRO_E_CONFIG with `diag` for one that captures what is local to build. Never raises; leaves the stack as it is.
 */
int hd_lua_function_number(struct hd_lua *lua, struct hd_lua_attached *at, const struct hd_point *point, uint32_t step, uint32_t line,
			   const char *const *slots, uint32_t slot_count, uint32_t *ret, struct hd_diag *diag, struct hydro_error *err);
/* Makes function `number` available in this state by building the point it was met at. */
int hd_lua_function_ready(struct hd_lua *lua, struct hd_lua_attached *at, uint32_t number, struct hydro_error *err);

/* --- view.c, point.c --- */
LUA_RAISES void hd_lua_open_views(lua_State *L); /* leaves m, state and point on the stack */
LUA_RAISES void hd_lua_open_point(lua_State *L);
/* Number of a metric by its name at an index; 0 = unknown and not made. */
LUA_RAISES uint32_t hd_lua_metric(lua_State *L, int index, bool make);
/* A point outside of the table of points: bytes it needs, and filling them. */
size_t hd_lua_point_bytes(const char *name, const char *params, const char *zone);
void hd_lua_point_fill(struct hd_point *ret, const struct hd_point *like, const char *name, const char *params, const char *zone);

/* --- json.c --- */
/* Finds a field of a JSON object by name; false when it is not there or the text is no object. Never raises. */
bool hd_lua_json_field(const char *json, const char *key, size_t key_len, const char **ret_value);
/* Pushes a JSON value; raises for one that is none. */
LUA_RAISES void hd_lua_json_push(lua_State *L, const char *json);
/* Pushes the JSON text of the value at an index. */
LUA_RAISES void hd_lua_json_text(lua_State *L, int index);

/* --- script.c --- */
/* A Lua step of a script as all states know it: what it is, and the first point and step that had it. */
struct hd_script_function {
	uint64_t hash[2];
	const struct hd_point *sample; /* a copy, owned by the script */
	uint32_t step;
	uint32_t line;
};
/* A small number that no other living script has. */
uint32_t hd_script_slot(const struct hd_script *script);
const struct hd_script_lib *hd_script_lib(const struct hd_script *script, const char *name);
uint32_t hd_script_lib_count(const struct hd_script *script);
const struct hd_script_lib *hd_script_lib_at(const struct hd_script *script, uint32_t i);
/* [any, locks] */
struct hd_script_function hd_script_function_get(struct hd_script *script, uint32_t number);
/* HYDRO_E_LIMIT above HD_SCRIPT_FUNCTIONS_MAX, HYDRO_E_NOMEM. The sample is copied. */
int hd_script_function_add(struct hd_script *script, const struct hd_script_function *function, uint32_t *ret_number);

#endif
