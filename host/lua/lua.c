/* SPDX-License-Identifier: MIT */
/* States: memory, protected calls under budgets, scripts attached to them. */
#include "lua/internal.h"

#include "base/array.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUILD_CPU_US 20000u
#define LOAD_CPU_US 500000u

/*
 * A request over the limit fails once, Lua collects, and asks again: the second failure in a row means that the memory is
 * really in use. Then the call is stopped, before it can make Lua collect for each further request.
 */
static void *allocate(void *ud, void *ptr, size_t old_bytes, size_t bytes)
{
	struct hd_lua *lua = ud;
	if (!ptr)
		old_bytes = 0;
	if (bytes == 0) {
		lua->used_bytes -= old_bytes;
		free(ptr);
		return NULL;
	}
	if (bytes > old_bytes && lua->used_bytes + (bytes - old_bytes) > lua->limit_bytes) {
		if (lua->refused_bytes == bytes)
			hd_budget_stop(lua->budget, HD_STOP_MEMORY);
		lua->refused_bytes = bytes;
		return NULL;
	}
	void *now = realloc(ptr, bytes);
	if (now) {
		lua->used_bytes += bytes - old_bytes;
		if (bytes > old_bytes)
			lua->refused_bytes = 0;
	}
	return now;
}

LUA_RAISES static int open_all(lua_State *L)
{
	lua_settop(L, 0);
	hd_sandbox_open(L);
	return 3;
}

static void set_defaults(struct hd_lua_config *config)
{
	config->step_cpu_us = config->step_cpu_us ? config->step_cpu_us : HD_BUDGET_CPU_US;
	config->build_cpu_us = config->build_cpu_us ? config->build_cpu_us : BUILD_CPU_US;
	config->load_cpu_us = config->load_cpu_us ? config->load_cpu_us : LOAD_CPU_US;
	config->wall_ms = config->wall_ms ? config->wall_ms : HD_BUDGET_WALL_MS;
	config->memory_bytes = config->memory_bytes ? config->memory_bytes : HD_LUA_MEMORY_BYTES;
	config->call_memory_bytes = config->call_memory_bytes ? config->call_memory_bytes : HD_LUA_CALL_MEMORY_BYTES;
}

int hd_lua_new(const struct hd_lua_config *config, struct hd_lua **ret, struct hydro_error *err)
{
	struct hd_lua *lua = calloc(1, sizeof *lua);
	if (!lua)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a Lua state");
	lua->config = *config;
	set_defaults(&lua->config);
	lua->limit_bytes = lua->config.memory_bytes;
	lua->L = lua_newstate(allocate, lua);
	if (!lua->L || hd_budget_new(config->watchdog, lua->L, &lua->budget) != HYDRO_OK) {
		hd_lua_free(&lua);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a Lua state");
	}
	memcpy(lua_getextraspace(lua->L), &lua, sizeof lua);
	char text[HD_DIAG_TEXT_BYTES];
	lua_pushcfunction(lua->L, open_all);
	int rc = hd_lua_run(lua, 0, 3, lua->config.load_cpu_us, NULL, text, sizeof text);
	if (rc == HYDRO_OK && !lua_checkstack(lua->L, 64))
		rc = HYDRO_E_NOMEM;
	if (rc != HYDRO_OK) {
		hd_lua_free(&lua);
		return hd_error_set(err, HYDRO_E_NOMEM, "a Lua state: %s", text);
	}
	*ret = lua;
	return HYDRO_OK;
}

void hd_lua_free(struct hd_lua **lua)
{
	struct hd_lua *l = HD_STEAL(*lua);
	if (!l)
		return;
	for (uint32_t i = 0; i < l->slot_count; i++) {
		if (l->by_slot[i])
			hd_script_unref(&l->by_slot[i]->script);
		free(l->by_slot[i]);
	}
	free(l->by_slot);
	if (l->L)
		lua_close(l->L);
	hd_budget_free(&l->budget);
	free(l);
}

size_t hd_lua_memory(const struct hd_lua *lua)
{
	return lua->used_bytes;
}

/* The text of the error value at the top, which is popped. */
static void take_error(lua_State *L, char *ret, size_t ret_bytes)
{
	if (lua_type(L, -1) == LUA_TSTRING)
		(void)snprintf(ret, ret_bytes, "%s", lua_tostring(L, -1));
	else
		(void)snprintf(ret, ret_bytes, "error of type %s", luaL_typename(L, -1));
	lua_pop(L, 1);
}

static int stopped(struct hd_lua *lua, uint32_t why, uint32_t cpu_us, char *text, size_t text_bytes)
{
	/* What the call has left behind goes now, not in the middle of the next point's. */
	(void)lua_gc(lua->L, LUA_GCCOLLECT);
	switch (why) {
	case HD_STOP_CPU:
		(void)snprintf(text, text_bytes, "stopped: more than %u.%u ms of CPU time", cpu_us / 1000, cpu_us % 1000 / 100);
		return HYDRO_E_LIMIT;
	case HD_STOP_MEMORY:
		(void)snprintf(text, text_bytes, "stopped: more than %zu KiB of memory", lua->config.call_memory_bytes / 1024);
		return HYDRO_E_LIMIT;
	default:
		(void)snprintf(text, text_bytes, "stopped: not done after %u ms on a busy machine", lua->config.wall_ms);
		return HYDRO_E_TIMEOUT;
	}
}

int hd_lua_run(struct hd_lua *lua, int nargs, int nresults, uint32_t cpu_us, uint32_t *ret_stop, char *text, size_t text_bytes)
{
	int base = lua_gettop(lua->L) - nargs - 1;
	lua->limit_bytes = HD_MIN(lua->config.memory_bytes, lua->used_bytes + lua->config.call_memory_bytes);
	lua->refused_bytes = 0;
	uint32_t wall_ms = HD_MAX(lua->config.wall_ms, cpu_us / 1000 * 10);
	hd_budget_begin(lua->budget, cpu_us, wall_ms);
	int status = lua_pcall(lua->L, nargs, nresults, 0);
	uint32_t why = hd_budget_end(lua->budget);
	lua->limit_bytes = lua->config.memory_bytes;
	if (ret_stop)
		*ret_stop = why;
	if (HD_LIKELY(status == LUA_OK && why == HD_STOP_NONE))
		return HYDRO_OK;
	if (why != HD_STOP_NONE) {
		lua_settop(lua->L, base);
		return stopped(lua, why, cpu_us, text, text_bytes);
	}
	take_error(lua->L, text, text_bytes);
	lua_settop(lua->L, base);
	return HYDRO_E_CONFIG;
}

struct hd_lua_attached *hd_lua_attached(const struct hd_lua *lua, const struct hd_script *script)
{
	uint32_t slot = hd_script_slot(script);
	struct hd_lua_attached *at = slot < lua->slot_count ? lua->by_slot[slot] : NULL;
	return at && at->script == script ? at : NULL;
}

bool hd_lua_is_attached(const struct hd_lua *lua, const struct hd_script *script)
{
	return hd_lua_attached(lua, script) != NULL;
}

static int attached_new(struct hd_lua *lua, struct hd_script *script, struct hd_lua_attached **ret)
{
	uint32_t slot = hd_script_slot(script);
	if (!HD_RESERVE_ZEROED(lua->by_slot, lua->slot_count, slot, 1))
		return HYDRO_E_NOMEM;
	struct hd_lua_attached *at = calloc(1, sizeof *at);
	if (!at)
		return HYDRO_E_NOMEM;
	at->script = hd_script_ref(script);
	at->count = 1;
	at->pipeline_ref = at->build_ref = at->upvalues_ref = at->anchor_ref = at->libs_ref = LUA_NOREF;
	for (uint32_t i = 0; i < HD_SCRIPT_FUNCTIONS_MAX; i++)
		at->functions[i] = at->function_slots[i] = LUA_NOREF;
	lua->by_slot[slot] = at;
	*ret = at;
	return HYDRO_OK;
}

static void attached_free(struct hd_lua *lua, struct hd_lua_attached *at)
{
	lua_State *L = lua->L;
	const int refs[] = {at->pipeline_ref, at->build_ref, at->upvalues_ref, at->anchor_ref, at->libs_ref};
	for (size_t i = 0; i < HD_ARRAY_LEN(refs); i++)
		luaL_unref(L, LUA_REGISTRYINDEX, refs[i]);
	for (uint32_t i = 0; i < HD_SCRIPT_FUNCTIONS_MAX; i++) {
		luaL_unref(L, LUA_REGISTRYINDEX, at->functions[i]);
		luaL_unref(L, LUA_REGISTRYINDEX, at->function_slots[i]);
	}
	lua->by_slot[hd_script_slot(at->script)] = NULL;
	hd_script_unref(&at->script);
	free(at);
	(void)lua_gc(L, LUA_GCCOLLECT);
}

static int load_chunk(struct hd_lua *lua, const struct hd_script *script, char *text, size_t text_bytes)
{
	char chunk_name[HD_DIAG_FILE_BYTES];
	(void)snprintf(chunk_name, sizeof chunk_name, "@%s", hd_script_file(script));
	lua->limit_bytes = lua->config.memory_bytes;
	if (luaL_loadbufferx(lua->L, hd_script_text(script), hd_script_len(script), chunk_name, "t") != LUA_OK) {
		take_error(lua->L, text, text_bytes);
		return HYDRO_E_CONFIG;
	}
	(void)lua_rawgeti(lua->L, LUA_REGISTRYINDEX, lua->env_ref);
	(void)lua_setupvalue(lua->L, -2, 1);
	return HYDRO_OK;
}

/* Runs the chunk, whose value must be what pipeline {} made. */
static int run_chunk(struct hd_lua *lua, struct hd_lua_attached *at, char *text, size_t text_bytes)
{
	int rc = load_chunk(lua, at->script, text, text_bytes);
	if (rc != HYDRO_OK)
		return rc;
	struct hd_lua_attached *outer = lua->loading;
	lua->loading = at;
	rc = hd_lua_run(lua, 0, 1, lua->config.load_cpu_us, NULL, text, text_bytes);
	if (rc == HYDRO_OK) {
		(void)lua_rawgeti(lua->L, LUA_REGISTRYINDEX, at->pipeline_ref);
		bool same = at->pipeline_ref != LUA_NOREF && lua_rawequal(lua->L, -1, -2);
		lua_pop(lua->L, 2);
		if (!same) {
			(void)snprintf(text, text_bytes, "the script does not return a pipeline\nhint: end it with: return pipeline { name = \"%s\", build = function (point) … end }",
				       hd_script_name(at->script));
			rc = HYDRO_E_CONFIG;
		}
	}
	if (rc == HYDRO_OK) {
		lua_pushcfunction(lua->L, hd_lua_note_upvalues);
		(void)lua_rawgeti(lua->L, LUA_REGISTRYINDEX, at->build_ref);
		(void)lua_rawgeti(lua->L, LUA_REGISTRYINDEX, at->pipeline_ref);
		rc = hd_lua_run(lua, 2, 0, lua->config.load_cpu_us, NULL, text, text_bytes);
	}
	lua->loading = outer;
	return rc;
}

int hd_lua_attach(struct hd_lua *lua, struct hd_script *script, struct hd_diag *diag, struct hydro_error *err)
{
	struct hd_lua_attached *at = hd_lua_attached(lua, script);
	if (at) {
		at->count++;
		return HYDRO_OK;
	}
	if (attached_new(lua, script, &at) != HYDRO_OK)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to attach %s", hd_script_file(script));
	char text[2 * HD_DIAG_TEXT_BYTES];
	int rc = run_chunk(lua, at, text, sizeof text);
	if (rc != HYDRO_OK) {
		struct hd_diag local;
		diag = diag ? diag : &local;
		hd_diag_from_lua(diag, hd_script_file(script), hd_script_text(script), text);
		char whole[sizeof err->text];
		hd_diag_text(diag, whole, sizeof whole);
		hd_error_set(err, rc, "%s", whole);
		attached_free(lua, at);
		return rc;
	}
	for (uint32_t i = 0; i < hd_script_function_count(script) && rc == HYDRO_OK; i++)
		rc = hd_lua_function_ready(lua, at, i, err);
	if (rc != HYDRO_OK)
		attached_free(lua, at);
	return rc;
}

void hd_lua_detach(struct hd_lua *lua, struct hd_script *script)
{
	struct hd_lua_attached *at = hd_lua_attached(lua, script);
	if (at && --at->count == 0)
		attached_free(lua, at);
}
