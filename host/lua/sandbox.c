/* SPDX-License-Identifier: MIT */
/* What a script can reach: an allow-list of functions in frozen views, and nothing else. */
#include "lua/internal.h"

#include <lualib.h>
#include <string.h>

static const char *const base_names[] = {"assert", "error", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawlen", "select", "tonumber",
					 "type"};

/* random and randomseed are not here: the same reading gives the same result at every replay. */
static const char *const math_names[] = {"abs",  "acos", "asin", "atan", "ceil", "cos", "deg", "exp",  "floor", "fmod",     "huge",       "log", "max",
					 "maxinteger", "min", "mininteger", "modf", "pi", "rad", "sin", "sqrt", "tan", "tointeger", "type", "ult"};

/* The events a metatable may have. __gc would run code outside of budgets; __mode makes collection quadratic. */
static const char *const meta_names[] = {"__index", "__newindex", "__call", "__tostring", "__name", "__len", "__eq",   "__lt",  "__le",  "__concat",
					 "__unm",   "__add",      "__sub",  "__mul",      "__div",  "__mod", "__pow",  "__idiv", "__band", "__bor",
					 "__bxor",  "__bnot",     "__shl",  "__shr",      "__close", "__pairs", "__metatable"};

LUA_RAISES void hd_sandbox_poll(lua_State *L)
{
	if (HD_UNLIKELY(hd_budget_is_over(hd_lua_of(L)->budget)))
		(void)luaL_error(L, "over its budget");
}

LUA_RAISES static int refuse_write(lua_State *L)
{
	const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
	const char *name = lua_tostring(L, lua_upvalueindex(1));
	if (strcmp(name, "_ENV") == 0)
		return luaL_error(L, "global '%s' cannot be set: a script keeps nothing between calls\nhint: write 'local %s', or declare a state slot", key, key);
	return luaL_error(L, "'%s' is frozen: '%s' cannot be set", name, key);
}

LUA_RAISES void hd_sandbox_metatable(lua_State *L, const char *name, lua_CFunction index, lua_CFunction newindex)
{
	lua_createtable(L, 0, 4);
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pushstring(L, name);
	lua_setfield(L, -2, "__name");
	if (index) {
		lua_pushcfunction(L, index);
		lua_setfield(L, -2, "__index");
	}
	if (newindex) {
		lua_pushcfunction(L, newindex);
	} else {
		lua_pushstring(L, name);
		lua_pushcclosure(L, refuse_write, 1);
	}
	lua_setfield(L, -2, "__newindex");
}

/*
 * A view is a userdata, not a table: no raw function can write into it. The library's own table is never seen.
 */
LUA_RAISES void hd_sandbox_freeze(lua_State *L, const char *name)
{
	(void)lua_newuserdatauv(L, 0, 0);
	hd_sandbox_metatable(L, name, NULL, NULL);
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__index");
	(void)lua_setmetatable(L, -2);
	lua_replace(L, -2);
}

/*
 * Sets a sealed copy of the metatable, so that nothing can be added to it later; getmetatable gives back the original.
 */
LUA_RAISES static int set_metatable(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	int type = lua_type(L, 2);
	luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
	if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL && lua_type(L, -1) != LUA_TTABLE)
		return luaL_error(L, "cannot change a protected metatable");
	lua_settop(L, 2);
	if (type == LUA_TNIL) {
		(void)lua_setmetatable(L, 1);
		lua_settop(L, 1);
		return 1;
	}
	lua_pushliteral(L, "__gc");
	bool gc = lua_rawget(L, 2) != LUA_TNIL;
	lua_pushliteral(L, "__mode");
	bool mode = lua_rawget(L, 2) != LUA_TNIL;
	if (gc || mode)
		return luaL_error(L, "a metatable with '%s' is not allowed", gc ? "__gc" : "__mode");
	lua_settop(L, 2);
	lua_createtable(L, 0, 4);
	for (size_t i = 0; i < HD_ARRAY_LEN(meta_names); i++) {
		lua_pushstring(L, meta_names[i]);
		lua_pushvalue(L, -1);
		if (lua_rawget(L, 2) == LUA_TNIL)
			lua_pop(L, 2);
		else
			lua_rawset(L, 3);
	}
	lua_pushliteral(L, "__metatable");
	if (lua_rawget(L, 3) == LUA_TNIL) {
		lua_pushvalue(L, 2);
		lua_setfield(L, 3, "__metatable");
	}
	lua_settop(L, 3);
	(void)lua_setmetatable(L, 1);
	lua_settop(L, 1);
	return 1;
}

LUA_RAISES static int get_metatable(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	if (luaL_getmetafield(L, 1, "__metatable") == LUA_TNIL)
		lua_pushnil(L);
	return 1;
}

/* As tostring, but an object shows no address: that would differ from run to run. */
LUA_RAISES int hd_sandbox_tostring(lua_State *L)
{
	luaL_checkany(L, 1);
	lua_settop(L, 1);
	switch (lua_type(L, 1)) {
	case LUA_TNIL:
	case LUA_TBOOLEAN:
	case LUA_TNUMBER:
	case LUA_TSTRING:
		(void)luaL_tolstring(L, 1, NULL);
		return 1;
	default:
		break;
	}
	if (luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL) {
		lua_pushvalue(L, 1);
		lua_call(L, 1, 1);
		if (lua_type(L, -1) != LUA_TSTRING)
			return luaL_error(L, "'__tostring' must return a string");
		return 1;
	}
	if (luaL_getmetafield(L, 1, "__name") != LUA_TSTRING)
		lua_pushstring(L, luaL_typename(L, 1));
	return 1;
}

/* Copies the named fields of the table at the top into a new table, which replaces it. */
LUA_RAISES static void pick(lua_State *L, const char *const *names, size_t count)
{
	lua_createtable(L, 0, (int)count);
	for (size_t i = 0; i < count; i++) {
		(void)lua_getfield(L, -2, names[i]);
		lua_setfield(L, -2, names[i]);
	}
	lua_replace(L, -2);
}

LUA_RAISES static void set_function(lua_State *L, const char *name, lua_CFunction fn)
{
	lua_pushcfunction(L, fn);
	lua_setfield(L, -2, name);
}

/* Strings have methods, and no arithmetic: "10" + 1 is a mistake here. */
LUA_RAISES static void set_string_metatable(lua_State *L)
{
	lua_pushliteral(L, "");
	lua_createtable(L, 0, 2);
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	(void)lua_setmetatable(L, -2);
	lua_pop(L, 1);
}

LUA_RAISES void hd_sandbox_open(lua_State *L)
{
	struct hd_lua *lua = hd_lua_of(L);
	lua_pushcfunction(L, luaopen_base);
	lua_call(L, 0, 1);
	pick(L, base_names, HD_ARRAY_LEN(base_names));
	set_function(L, "setmetatable", set_metatable);
	set_function(L, "getmetatable", get_metatable);
	set_function(L, "tostring", hd_sandbox_tostring);

	lua_pushcfunction(L, luaopen_math);
	lua_call(L, 0, 1);
	pick(L, math_names, HD_ARRAY_LEN(math_names));
	hd_sandbox_freeze(L, "math");
	lua_setfield(L, -2, "math");
	hd_sandbox_open_string(L);
	hd_sandbox_open_match(L);
	set_string_metatable(L);
	hd_sandbox_freeze(L, "string");
	lua_setfield(L, -2, "string");
	hd_sandbox_open_table(L);
	hd_sandbox_freeze(L, "table");
	lua_setfield(L, -2, "table");
	hd_lua_open_steps(L);

	/* A name that is not there is a mistake at once, not a nil that travels. */
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, hd_lua_unknown_global);
	lua_setfield(L, -2, "__index");
	(void)lua_setmetatable(L, -2);
	hd_sandbox_freeze(L, "_ENV");
	lua->env_ref = luaL_ref(L, LUA_REGISTRYINDEX);

	/* What the openers left in the true globals is reached by nothing; it goes all the same. */
	lua_newtable(L);
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
	hd_lua_open_views(L);
}
