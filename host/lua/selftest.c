/* SPDX-License-Identifier: MIT */
/*
 * selftest(t): t:run { params =, readings = } runs readings through the script's own pipeline and gives back what came of
 * each; t:equal, t:check, t:flagged and t:clean raise when it is not as expected.
 */
#include "lua/internal.h"

#include "base/timefmt.h"
#include "model/names.h"
#include "model/points.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define READINGS_MAX 1024
#define PERIOD_MS 3600000
#define START_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

/* Time of a reading: "2026-01-01T00:00:00Z", or one hour after the one before it. */
LUA_RAISES static int64_t reading_time(lua_State *L, int index, int64_t before)
{
	int64_t ts = before ? before + PERIOD_MS : START_MS;
	lua_pushliteral(L, "ts");
	if (lua_rawget(L, index) == LUA_TSTRING) {
		size_t len;
		const char *text = lua_tolstring(L, -1, &len);
		if (!hd_time_parse(text, len, true, &ts))
			(void)luaL_error(L, "'%s' is no time: 2026-01-01T00:00:00Z", text);
	} else if (lua_type(L, -1) == LUA_TNUMBER) {
		ts = (int64_t)lua_tonumber(L, -1);
	}
	lua_pop(L, 1);
	return ts;
}

LUA_RAISES static void take_reading(lua_State *L, int index, int64_t before, struct hd_selftest_reading *ret)
{
	luaL_checktype(L, index, LUA_TTABLE);
	ret->ts_ms = reading_time(L, index, before);
	lua_pushnil(L);
	while (lua_next(L, index)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			(void)luaL_error(L, "a reading is { ts = …, metric = number, … }");
		if (strcmp(lua_tostring(L, -2), "ts") != 0) {
			if (lua_type(L, -1) != LUA_TNUMBER)
				(void)luaL_error(L, "'%s' of a reading is not a number", lua_tostring(L, -2));
			if (ret->raw_count == HD_SELFTEST_VALUES_MAX)
				(void)luaL_error(L, "a reading has at most %d values", (int)HD_SELFTEST_VALUES_MAX);
			double value = lua_tonumber(L, -1);
			/* Named by a copy: lua_next must find its key untouched. */
			lua_pushvalue(L, -2);
			uint32_t metric = hd_lua_metric(L, lua_gettop(L), true);
			lua_pop(L, 1);
			ret->raws[ret->raw_count++] = (struct hd_selftest_value){metric, value < 0 ? 0 : 1, value};
		}
		lua_pop(L, 1);
	}
}

/* One result as a table: metrics by name, quality = {metric → number}, flags = {metric → {flag → true}}. */
LUA_RAISES static void push_result(lua_State *L, struct hd_lua *lua, const struct hd_selftest_reading *reading)
{
	lua_createtable(L, 0, (int)reading->value_count + 3);
	lua_createtable(L, 0, (int)reading->value_count);
	for (uint32_t i = 0; i < reading->value_count && i < HD_SELFTEST_VALUES_MAX; i++) {
		const char *name = hd_names_get(lua->config.names, HD_NAME_METRIC, reading->values[i].metric);
		lua_pushnumber(L, reading->values[i].value);
		lua_setfield(L, -3, name ? name : "?");
		lua_pushnumber(L, (lua_Number)reading->values[i].quality);
		lua_setfield(L, -2, name ? name : "?");
	}
	lua_setfield(L, -2, "quality");
	lua_newtable(L);
	for (uint32_t i = 0; i < reading->flag_count && i < HD_SELFTEST_FLAGS_MAX; i++) {
		const char *name = reading->flags[i].metric ? hd_names_get(lua->config.names, HD_NAME_METRIC, reading->flags[i].metric) : "*";
		(void)luaL_getsubtable(L, -1, name ? name : "?");
		lua_pushboolean(L, 1);
		lua_setfield(L, -2, reading->flags[i].name);
		lua_pop(L, 1);
	}
	lua_setfield(L, -2, "flags");
	lua_pushboolean(L, reading->unprocessed);
	lua_setfield(L, -2, "unprocessed");
	lua_pushboolean(L, reading->fileable);
	lua_setfield(L, -2, "fileable");
}

/* The point that the readings are of, in memory that Lua owns. */
LUA_RAISES static struct hd_point *push_point(lua_State *L, int index)
{
	lua_pushliteral(L, "params");
	if (lua_rawget(L, index) == LUA_TTABLE)
		hd_lua_json_text(L, -1);
	else
		lua_pushliteral(L, "{}");
	const char *params = lua_tostring(L, -1);
	if (strlen(params) > HD_POINT_TEXT_BYTES_MAX / 2)
		(void)luaL_error(L, "params of a point are too large");
	struct hd_point *point = lua_newuserdatauv(L, hd_lua_point_bytes("selftest", params, ""), 0);
	hd_lua_point_fill(point, NULL, "selftest", params, "");
	point->period_s = 3600;
	point->bits = HD_POINT_ACTIVE;
	return point;
}

LUA_RAISES static int t_run(lua_State *L)
{
	struct hd_lua *lua = hd_lua_of(L);
	luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	if (!lua->selftest_run || !lua->calling)
		return luaL_error(L, "t is there only while selftest runs");
	lua_pushliteral(L, "readings");
	if (lua_rawget(L, 2) != LUA_TTABLE)
		return luaL_error(L, "t:run { params = {…}, readings = { {flow = 1}, … } }");
	lua_Unsigned count = lua_rawlen(L, 3);
	if (count > READINGS_MAX)
		return luaL_error(L, "at most %d readings", READINGS_MAX);
	struct hd_selftest_reading *readings = lua_newuserdatauv(L, (count + 1) * sizeof *readings, 0);
	memset(readings, 0, (count + 1) * sizeof *readings);
	for (lua_Unsigned i = 0; i < count; i++) {
		(void)lua_rawgeti(L, 3, (lua_Integer)i + 1);
		take_reading(L, lua_gettop(L), i ? readings[i - 1].ts_ms : 0, &readings[i]);
		lua_pop(L, 1);
	}
	const struct hd_point *point = push_point(L, 2);
	struct hydro_error err = {0};
	/* Does not raise: it works in another state. */
	if (lua->selftest_run(lua->selftest_arg, lua->calling->script, point, readings, (uint32_t)count, &err) != HYDRO_OK)
		return luaL_error(L, "%s", err.text);
	lua_createtable(L, (int)count, 0);
	for (lua_Unsigned i = 0; i < count; i++) {
		push_result(L, lua, &readings[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

/* Text of a value for a message; left on the stack. */
LUA_RAISES static const char *shown(lua_State *L, int index)
{
	lua_pushcfunction(L, hd_sandbox_tostring);
	lua_pushvalue(L, index);
	lua_call(L, 1, 1);
	return lua_tostring(L, -1);
}

/* Text of the optional argument that says what is tested, as " (text)". */
LUA_RAISES static const char *what(lua_State *L, int index)
{
	return lua_type(L, index) == LUA_TSTRING ? lua_pushfstring(L, " (%s)", lua_tostring(L, index)) : "";
}

/* t:equal(got, expected [, tolerance [, what]]) */
LUA_RAISES static int t_equal(lua_State *L)
{
	lua_settop(L, 5);
	double tolerance = luaL_optnumber(L, 4, 1e-9);
	bool equal = lua_type(L, 2) == LUA_TNUMBER && lua_type(L, 3) == LUA_TNUMBER
			     ? fabs(lua_tonumber(L, 2) - lua_tonumber(L, 3)) <= tolerance
			     : lua_rawequal(L, 2, 3) != 0;
	if (!equal)
		return luaL_error(L, "selftest: is %s, expected %s%s", shown(L, 2), shown(L, 3), what(L, 5));
	return 0;
}

/* t:check(condition [, what]) */
LUA_RAISES static int t_check(lua_State *L)
{
	lua_settop(L, 3);
	if (!lua_toboolean(L, 2))
		return luaL_error(L, "selftest: not so%s", what(L, 3));
	return 0;
}

/* Whether result.flags[metric][flag] is set. */
LUA_RAISES static bool has_flag(lua_State *L, const char *metric, const char *flag)
{
	luaL_checktype(L, 2, LUA_TTABLE);
	if (lua_getfield(L, 2, "flags") != LUA_TTABLE || lua_getfield(L, -1, metric) != LUA_TTABLE)
		return false;
	return lua_getfield(L, -1, flag) == LUA_TBOOLEAN;
}

/* t:flagged(result, metric, flag) */
LUA_RAISES static int t_flagged(lua_State *L)
{
	const char *metric = luaL_checkstring(L, 3), *flag = luaL_checkstring(L, 4);
	if (!has_flag(L, metric, flag))
		return luaL_error(L, "selftest: %s is not flagged %s", metric, flag);
	return 0;
}

/* t:clean(result, metric [, flag]): has not the flag; without one: has none. */
LUA_RAISES static int t_clean(lua_State *L)
{
	lua_settop(L, 4);
	const char *metric = luaL_checkstring(L, 3);
	if (lua_isnil(L, 4)) {
		luaL_checktype(L, 2, LUA_TTABLE);
		if (lua_getfield(L, 2, "flags") == LUA_TTABLE && lua_getfield(L, -1, metric) == LUA_TTABLE) {
			lua_pushnil(L);
			if (lua_next(L, -2))
				return luaL_error(L, "selftest: %s is flagged %s", metric, lua_tostring(L, -2));
		}
		return 0;
	}
	if (has_flag(L, metric, luaL_checkstring(L, 4)))
		return luaL_error(L, "selftest: %s is flagged %s", metric, lua_tostring(L, 4));
	return 0;
}

/* Argument: the pipeline table. */
LUA_RAISES static int call_selftest(lua_State *L)
{
	static const luaL_Reg functions[] = {{"run", t_run}, {"equal", t_equal}, {"check", t_check}, {"flagged", t_flagged}, {"clean", t_clean}, {NULL, NULL}};
	lua_pushliteral(L, "selftest");
	if (lua_rawget(L, 1) != LUA_TFUNCTION)
		return 0;
	luaL_newlib(L, functions);
	hd_sandbox_freeze(L, "t");
	lua_call(L, 1, 0);
	return 0;
}

int hd_script_selftest(struct hd_lua *lua, struct hd_script *script, hd_selftest_run_fn run, void *arg, struct hd_diag *diag,
		       struct hydro_error *err)
{
	struct hd_lua_attached *at = hd_lua_attached(lua, script);
	HD_ASSERT(at);
	char text[2 * HD_DIAG_TEXT_BYTES];
	struct hd_diag local;
	diag = diag ? diag : &local;
	lua->calling = at;
	lua->selftest_run = run;
	lua->selftest_arg = arg;
	lua_pushcfunction(lua->L, call_selftest);
	(void)lua_rawgeti(lua->L, LUA_REGISTRYINDEX, at->pipeline_ref);
	int rc = hd_lua_run(lua, 1, 0, lua->config.load_cpu_us, NULL, text, sizeof text);
	lua->calling = NULL;
	lua->selftest_run = NULL;
	lua->selftest_arg = NULL;
	if (rc == HYDRO_OK)
		return rc;
	hd_diag_from_lua(diag, hd_script_file(script), hd_script_text(script), text);
	hd_diag_text(diag, text, sizeof text);
	return hd_error_set(err, rc, "%s", text);
}

/* Pushes the list of samples, or nil. */
static void push_samples(struct hd_lua *lua, const struct hd_lua_attached *at)
{
	lua_State *L = lua->L;
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, at->pipeline_ref);
	lua_pushnil(L);
	while (lua_next(L, -2)) {
		if (lua_type(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -2), "samples") == 0 && lua_type(L, -1) == LUA_TTABLE)
			return;
		lua_pop(L, 1);
	}
	lua_pushnil(L);
}

uint32_t hd_script_sample_count(struct hd_lua *lua, struct hd_script *script)
{
	struct hd_lua_attached *at = hd_lua_attached(lua, script);
	HD_ASSERT(at);
	int top = lua_gettop(lua->L);
	push_samples(lua, at);
	lua_Unsigned count = lua_type(lua->L, -1) == LUA_TTABLE ? lua_rawlen(lua->L, -1) : 0;
	lua_settop(lua->L, top);
	return (uint32_t)HD_MIN(count, READINGS_MAX);
}

LUA_RAISES static int sample_text(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	hd_lua_json_text(L, 1);
	return 1;
}

int hd_script_sample(struct hd_lua *lua, struct hd_script *script, uint32_t i, struct hd_buf *ret, struct hydro_error *err)
{
	struct hd_lua_attached *at = hd_lua_attached(lua, script);
	HD_ASSERT(at);
	lua_State *L = lua->L;
	int top = lua_gettop(L);
	char text[HD_DIAG_TEXT_BYTES];
	push_samples(lua, at);
	if (lua_type(L, -1) != LUA_TTABLE || lua_rawgeti(L, -1, (lua_Integer)i + 1) != LUA_TTABLE) {
		lua_settop(L, top);
		return hd_error_set(err, HYDRO_E_CONFIG, "%s: sample %u is no table of params", hd_script_file(script), i + 1);
	}
	lua_pushcfunction(L, sample_text);
	lua_insert(L, -2);
	int rc = hd_lua_run(lua, 1, 1, lua->config.load_cpu_us, NULL, text, sizeof text);
	if (rc != HYDRO_OK)
		rc = hd_error_set(err, rc, "%s: sample %u: %s", hd_script_file(script), i + 1, text);
	else if (!hd_buf_add_text(ret, lua_tostring(L, -1)))
		rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory for a sample");
	lua_settop(L, top);
	return rc;
}
