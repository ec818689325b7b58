/* SPDX-License-Identifier: MIT */
/* Calls of Lua steps: the path that every measurement takes. */
#include "lua/internal.h"

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

int hd_lua_call_step(struct hd_lua *lua, struct hd_script *script, uint32_t function, const struct hd_mview *view, double *slots,
		     const struct hd_point *point, struct hd_lua_fault *fault)
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
	int rc = hd_lua_run(lua, 3, 0, lua->config.step_cpu_us, &stop, text, sizeof text);
	lua->calling = NULL;
	lua->view = NULL;
	lua->slots = NULL;
	lua->point = NULL;
	return HD_LIKELY(rc == HYDRO_OK) ? HYDRO_OK : failed(rc, stop, text, fault);
}
