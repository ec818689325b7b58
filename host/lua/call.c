/* SPDX-License-Identifier: MIT */
/* Calls of Lua steps: the path that every measurement takes. */
#include "lua/internal.h"

#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "file:12: text" → 12 */
static uint32_t line_of(const char *text)
{
	for (const char *at = text; (at = strchr(at, ':')) != NULL; at++) {
		char *end;
		unsigned long line = strtoul(at + 1, &end, 10);
		if (end > at + 1 && *end == ':' && line < UINT32_MAX)
			return (uint32_t)line;
	}
	return 0;
}

static int failed(int rc, uint32_t stop, const char *text, struct hd_lua_fault *fault)
{
	if (fault) {
		fault->stop = stop;
		fault->line = stop ? 0 : line_of(text);
		(void)snprintf(fault->text, sizeof fault->text, "%s", text);
	}
	return rc == HYDRO_E_CONFIG ? HYDRO_E_INVALID : rc;
}

/* A function that another state met after this one attached the script. */
static int ready(struct hd_lua *lua, struct hd_lua_attached *at, uint32_t function, struct hd_lua_fault *fault)
{
	if (function >= hd_script_function_count(at->script))
		return failed(HYDRO_E_CONFIG, HD_STOP_NONE, "there is no such step function", fault);
	struct hydro_error err = {0};
	int rc = hd_lua_function_ready(lua, at, function, &err);
	return rc == HYDRO_OK ? rc : failed(rc, HD_STOP_NONE, err.text, fault);
}

/* fn(m, state, point); its results are on the stack. */
static int call(struct hd_lua *lua, struct hd_script *script, uint32_t function, const struct hd_mview *view, double *slots,
		const struct hd_point *point, int results, struct hd_lua_fault *fault)
{
	struct hd_lua_attached *at = hd_lua_attached(lua, script);
	HD_ASSERT(at && function < HD_SCRIPT_FUNCTIONS_MAX);
	if (HD_UNLIKELY(at->functions[function] == LUA_NOREF)) {
		int rc = ready(lua, at, function, fault);
		if (rc != HYDRO_OK)
			return rc;
	}
	lua_State *L = lua->L;
	lua->calling = at;
	lua->view = view;
	lua->slots = slots;
	lua->slots_ref = at->function_slots[function];
	lua->point = point;
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, at->functions[function]);
	lua_pushvalue(L, HD_LUA_AT_M);
	lua_pushvalue(L, HD_LUA_AT_STATE);
	lua_pushvalue(L, HD_LUA_AT_POINT);
	char text[HD_DIAG_TEXT_BYTES];
	uint32_t stop;
	int rc = hd_lua_run(lua, 3, results, lua->config.step_cpu_us, &stop, text, sizeof text);
	lua->calling = NULL;
	lua->view = NULL;
	lua->slots = NULL;
	lua->point = NULL;
	return HD_LIKELY(rc == HYDRO_OK) ? HYDRO_OK : failed(rc, stop, text, fault);
}

int hd_lua_call_step(struct hd_lua *lua, struct hd_script *script, uint32_t function, const struct hd_mview *view, double *slots,
		     const struct hd_point *point, struct hd_lua_fault *fault)
{
	return call(lua, script, function, view, slots, point, 0, fault);
}

LUA_RAISES static int to_json(lua_State *L)
{
	int type = lua_type(L, 1);
	lua_settop(L, 1);
	if (type == LUA_TNIL)
		lua_pushliteral(L, "null");
	else if (type == LUA_TNUMBER && !isfinite(lua_tonumber(L, 1)))
		lua_pushfstring(L, "\"%f\"", lua_tonumber(L, 1));
	else if (type == LUA_TFUNCTION || type == LUA_TUSERDATA)
		lua_pushfstring(L, "\"(a %s)\"", luaL_typename(L, 1));
	else
		hd_lua_json_text(L, 1);
	return 1;
}

int hd_lua_eval_step(struct hd_lua *lua, struct hd_script *script, uint32_t function, const struct hd_mview *view, double *slots,
		     const struct hd_point *point, struct hd_buf *ret_json, struct hd_lua_fault *fault)
{
	lua_State *L = lua->L;
	char text[HD_DIAG_TEXT_BYTES];
	uint32_t stop;
	int rc = call(lua, script, function, view, slots, point, 1, fault);
	if (rc != HYDRO_OK)
		return rc;
	size_t len;
	if (lua_type(L, -1) == LUA_TSTRING) {
		const char *string = lua_tolstring(L, -1, &len);
		bool ok = hd_buf_add_json(ret_json, string, len);
		lua_pop(L, 1);
		return ok ? HYDRO_OK : failed(HYDRO_E_NOMEM, HD_STOP_NONE, "no memory for the value", fault);
	}
	lua_pushcfunction(L, to_json);
	lua_insert(L, -2);
	rc = hd_lua_run(lua, 1, 1, lua->config.step_cpu_us, &stop, text, sizeof text);
	if (rc != HYDRO_OK)
		return failed(rc, stop, text, fault);
	const char *json = lua_tolstring(L, -1, &len);
	if (!hd_utf8_valid(json, len))
		rc = failed(HYDRO_E_CONFIG, HD_STOP_NONE, "the value has a text that is not UTF-8", fault);
	else if (!hd_buf_add(ret_json, json, len))
		rc = failed(HYDRO_E_NOMEM, HD_STOP_NONE, "no memory for the value", fault);
	lua_pop(L, 1);
	return rc;
}
