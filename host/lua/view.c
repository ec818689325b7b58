/* SPDX-License-Identifier: MIT */
/*
 * What a Lua step sees: m, state and point. Each is one userdata per state, bound to what is under way during a call: a
 * script that keeps one sees the next call's values, never another point's. Names become numbers through a cache keyed by
 * the address of the script's (interned, anchored) string, so a call allocates nothing.
 */
#include "lua/internal.h"

#include "model/flags.h"
#include "model/names.h"

#include <math.h>
#include <string.h>

/* Names of m that are no metrics. */
#define M_TS (UINT32_MAX - 1)
#define M_FLAG (UINT32_MAX - 2)
#define M_QUALITY (UINT32_MAX - 3)
#define M_RAW (UINT32_MAX - 4)
#define M_FIRST M_RAW

#define FLAG_NAME_BYTES_MAX 32u

static struct hd_lua_name *cache_line(struct hd_lua_name *cache, const void *key)
{
	uintptr_t address = (uintptr_t)key;
	return &cache[(address >> 5 ^ address >> 12) & (HD_LUA_NAME_CACHE - 1)];
}

/* Keeps the string at `index` alive for good, so that its address is its name. */
LUA_RAISES static void anchor(lua_State *L, struct hd_lua *lua, int index)
{
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, lua->names_ref);
	lua_pushvalue(L, index);
	lua_pushboolean(L, 1);
	lua_rawset(L, -3);
	lua_pop(L, 1);
}

LUA_RAISES static void count_new_name(lua_State *L, struct hd_lua *lua, const char *text)
{
	if (lua->calling && ++lua->calling->new_names > HD_LUA_METRICS_PER_SCRIPT_MAX)
		(void)luaL_error(L, "'%s': a script makes at most %d names of metrics and flags", text, (int)HD_LUA_METRICS_PER_SCRIPT_MAX);
}

LUA_RAISES static uint32_t look_up_metric(lua_State *L, struct hd_lua *lua, const char *text, bool make)
{
	static const struct {
		const char *name;
		uint32_t number;
	} members[] = {{"ts", M_TS}, {"flag", M_FLAG}, {"quality", M_QUALITY}, {"raw", M_RAW}};
	for (size_t i = 0; i < HD_ARRAY_LEN(members); i++)
		if (strcmp(members[i].name, text) == 0)
			return members[i].number;
	uint32_t number = hd_names_find(lua->config.names, HD_NAME_METRIC, text);
	if (number || !make)
		return number;
	count_new_name(L, lua, text);
	if (hd_names_intern(lua->config.names, HD_NAME_METRIC, text, &number, NULL) != HYDRO_OK)
		(void)luaL_error(L, "'%s' is no name for a metric: a-z, then a-z 0-9 _", text);
	return number;
}

/* Number of the name at `index`; 0 = unknown and not made. */
LUA_RAISES static uint32_t name_number(lua_State *L, struct hd_lua *lua, int index, bool make)
{
	/* A string's address, without asking what type it is: a kept string's is no other value's. */
	const void *key = lua_topointer(L, index);
	struct hd_lua_name *line = cache_line(lua->metric_cache, key);
	if (HD_LIKELY(key && line->key == key))
		return line->number;
	if (lua_type(L, index) != LUA_TSTRING)
		(void)luaL_error(L, "a metric is read and set by name, as in m.flow");
	const char *text = lua_tostring(L, index);
	uint32_t number = look_up_metric(L, lua, text, make);
	if (number) {
		anchor(L, lua, index);
		*line = (struct hd_lua_name){key, number};
	}
	return number;
}

LUA_RAISES uint32_t hd_lua_metric(lua_State *L, int index, bool make)
{
	uint32_t number = name_number(L, hd_lua_of(L), index, make);
	return number >= M_FIRST ? 0 : number;
}

LUA_RAISES static const struct hd_mview *view_of(lua_State *L, struct hd_lua *lua)
{
	if (HD_UNLIKELY(!lua->view))
		(void)luaL_error(L, "m is there only while a step runs");
	return lua->view;
}

/* The metric of an argument, or 0 for "*": the whole measurement. */
LUA_RAISES static uint32_t metric_argument(lua_State *L, struct hd_lua *lua, int index)
{
	const char *text = luaL_checkstring(L, index);
	if (strcmp(text, "*") == 0)
		return 0;
	uint32_t metric = name_number(L, lua, index, true);
	if (metric >= M_FIRST)
		(void)luaL_error(L, "'%s' is no metric", text);
	return metric;
}

/* m:flag(metric, flag); metric "*" = the whole measurement. */
LUA_RAISES static int m_flag(lua_State *L)
{
	struct hd_lua *lua = hd_lua_of(L);
	const struct hd_mview *view = view_of(L, lua);
	uint32_t metric = metric_argument(L, lua, 2);
	size_t len;
	const char *text = luaL_checklstring(L, 3, &len);
	const void *key = lua_topointer(L, 3);
	struct hd_lua_name *line = cache_line(lua->flag_cache, key);
	if (line->key != key) {
		uint32_t number = hd_flag_by_name(text);
		if (!number) {
			if (len == 0 || len >= FLAG_NAME_BYTES_MAX || strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") != len)
				return luaL_error(L, "'%s' is no name for a flag: a-z 0-9 _, at most %d", text, (int)FLAG_NAME_BYTES_MAX - 1);
			count_new_name(L, lua, text);
		}
		anchor(L, lua, 3);
		*line = (struct hd_lua_name){key, number ? number : HD_FLAG_SCRIPT};
	}
	if (view->flag(view->arg, metric, line->number, text) < 0)
		return luaL_error(L, "too many flags on one measurement");
	return 0;
}

/* m:quality(metric, 0 … 1) */
LUA_RAISES static int m_quality(lua_State *L)
{
	struct hd_lua *lua = hd_lua_of(L);
	const struct hd_mview *view = view_of(L, lua);
	uint32_t metric = metric_argument(L, lua, 2);
	double quality = luaL_checknumber(L, 3);
	luaL_argcheck(L, quality >= 0 && quality <= 1, 3, "a quality is 0 to 1");
	if (!metric || view->quality(view->arg, metric, quality) < 0)
		return luaL_error(L, "'%s' has no value to set a quality of", lua_tostring(L, 2));
	return 0;
}

/* m:raw(metric): as the provider said it, or nil. */
LUA_RAISES static int m_raw(lua_State *L)
{
	struct hd_lua *lua = hd_lua_of(L);
	const struct hd_mview *view = view_of(L, lua);
	uint32_t metric = hd_lua_metric(L, 2, false);
	double value;
	if (metric && view->get_raw && view->get_raw(view->arg, metric, &value))
		lua_pushnumber(L, value);
	else
		lua_pushnil(L);
	return 1;
}

LUA_RAISES static int m_member(lua_State *L, const struct hd_mview *view, uint32_t number)
{
	switch (number) {
	case M_TS:
		lua_pushinteger(L, view->ts_ms);
		break;
	case M_FLAG:
		lua_pushcfunction(L, m_flag);
		break;
	case M_QUALITY:
		lua_pushcfunction(L, m_quality);
		break;
	default:
		lua_pushcfunction(L, m_raw);
		break;
	}
	return 1;
}

LUA_RAISES static int m_index(lua_State *L)
{
	struct hd_lua *lua = hd_lua_of(L);
	const struct hd_mview *view = view_of(L, lua);
	uint32_t number = name_number(L, lua, 2, false);
	if (HD_UNLIKELY(number >= M_FIRST))
		return m_member(L, view, number);
	double value;
	if (number && view->get(view->arg, number, &value))
		lua_pushnumber(L, value);
	else
		lua_pushnil(L);
	return 1;
}

LUA_RAISES static int m_newindex(lua_State *L)
{
	struct hd_lua *lua = hd_lua_of(L);
	const struct hd_mview *view = view_of(L, lua);
	if (lua_type(L, 2) != LUA_TSTRING)
		return luaL_error(L, "a metric is read and set by name, as in m.flow");
	const char *name = lua_tostring(L, 2);
	double value = NAN;
	if (lua_type(L, 3) == LUA_TNUMBER)
		value = lua_tonumber(L, 3);
	else if (!lua_isnil(L, 3))
		return luaL_error(L, "m.%s is a number or nil, not a %s", name, luaL_typename(L, 3));
	if (!lua_isnil(L, 3) && !isfinite(value))
		return luaL_error(L, "m.%s = %f: a value is finite", name, value);
	uint32_t metric = name_number(L, lua, 2, !lua_isnil(L, 3));
	if (metric >= M_FIRST)
		return luaL_error(L, "m.%s cannot be set", name);
	if (metric && view->set(view->arg, metric, value) < 0)
		return luaL_error(L, "m.%s: too many metrics on one measurement", name);
	return 0;
}

/* The slot named at 2, from 1; raises when the step has not declared it. */
LUA_RAISES static lua_Integer slot_of(lua_State *L, struct hd_lua *lua)
{
	if (!lua->view || lua->slots_ref == LUA_NOREF || !lua->slots)
		return luaL_error(L, "this step has no state\nhint: declare it: lua { state = {\"last\"}, function (m, state, point) … end }");
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, lua->slots_ref);
	lua_pushvalue(L, 2);
	if (lua_rawget(L, -2) != LUA_TNUMBER)
		return luaL_error(L, "state slot '%s' is not declared", lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2));
	lua_Integer slot = lua_tointeger(L, -1);
	lua_pop(L, 2);
	return slot;
}

LUA_RAISES static int state_index(lua_State *L)
{
	struct hd_lua *lua = hd_lua_of(L);
	lua_Integer slot = slot_of(L, lua);
	double value = lua->slots[slot - 1];
	if (isnan(value))
		lua_pushnil(L);
	else
		lua_pushnumber(L, value);
	return 1;
}

LUA_RAISES static int state_newindex(lua_State *L)
{
	struct hd_lua *lua = hd_lua_of(L);
	lua_Integer slot = slot_of(L, lua);
	double value = NAN;
	if (lua_type(L, 3) == LUA_TNUMBER)
		value = lua_tonumber(L, 3);
	else if (lua_type(L, 3) == LUA_TBOOLEAN)
		value = lua_toboolean(L, 3);
	else if (!lua_isnil(L, 3))
		return luaL_error(L, "a state slot holds a number or nil, not a %s", luaL_typename(L, 3));
	lua->slots[slot - 1] = value;
	return 0;
}

LUA_RAISES static void push_view(lua_State *L, const char *name, lua_CFunction index, lua_CFunction newindex)
{
	(void)lua_newuserdatauv(L, 0, 0);
	hd_sandbox_metatable(L, name, index, newindex);
	(void)lua_setmetatable(L, -2);
}

LUA_RAISES void hd_lua_open_views(lua_State *L)
{
	struct hd_lua *lua = hd_lua_of(L);
	lua_newtable(L);
	lua->names_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	lua->slots_ref = LUA_NOREF;
	push_view(L, "m", m_index, m_newindex);
	push_view(L, "state", state_index, state_newindex);
	hd_lua_open_point(L);
}
