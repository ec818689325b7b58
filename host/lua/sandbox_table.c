/* SPDX-License-Identifier: MIT */
/* The table library, on raw tables with bounded ranges: no __len or __index has a say in how long a loop in C is. */
#include "lua/internal.h"

#define POLL_EVERY 255

LUA_RAISES static lua_Integer length(lua_State *L, int index)
{
	luaL_checktype(L, index, LUA_TTABLE);
	lua_Unsigned n = lua_rawlen(L, index);
	if (n > HD_LUA_RANGE_MAX)
		return luaL_error(L, "table of %I elements: at most %d", (LUAI_UACINT)n, HD_LUA_RANGE_MAX);
	return (lua_Integer)n;
}

LUA_RAISES static int table_insert(lua_State *L)
{
	lua_Integer end = length(L, 1) + 1, at = end;
	switch (lua_gettop(L)) {
	case 2:
		break;
	case 3:
		at = luaL_checkinteger(L, 2);
		luaL_argcheck(L, at >= 1 && at <= end, 2, "position out of bounds");
		for (lua_Integer i = end; i > at; i--) {
			(void)lua_rawgeti(L, 1, i - 1);
			lua_rawseti(L, 1, i);
		}
		break;
	default:
		return luaL_error(L, "wrong number of arguments to 'insert'");
	}
	lua_rawseti(L, 1, at);
	return 0;
}

LUA_RAISES static int table_remove(lua_State *L)
{
	lua_Integer size = length(L, 1), at = luaL_optinteger(L, 2, size);
	if (lua_gettop(L) >= 2)
		luaL_argcheck(L, at >= 1 && at <= size + 1, 2, "position out of bounds");
	(void)lua_rawgeti(L, 1, at);
	for (; at < size; at++) {
		(void)lua_rawgeti(L, 1, at + 1);
		lua_rawseti(L, 1, at);
	}
	lua_pushnil(L);
	lua_rawseti(L, 1, at);
	return 1;
}

LUA_RAISES static int table_move(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_Integer from = luaL_checkinteger(L, 2), end = luaL_checkinteger(L, 3), to = luaL_checkinteger(L, 4);
	int target = lua_isnoneornil(L, 5) ? 1 : 5;
	luaL_checktype(L, target, LUA_TTABLE);
	if (end >= from) {
		lua_Unsigned span = (lua_Unsigned)end - (lua_Unsigned)from;
		luaL_argcheck(L, span < HD_LUA_RANGE_MAX, 3, "too many elements to move");
		lua_Integer n = (lua_Integer)span + 1;
		luaL_argcheck(L, to <= LUA_MAXINTEGER - n + 1, 4, "destination wrap around");
		bool up = !(to > end || to <= from || target != 1);
		for (lua_Integer i = 0; i < n; i++) {
			lua_Integer k = up ? n - 1 - i : i;
			(void)lua_rawgeti(L, 1, from + k);
			lua_rawseti(L, target, to + k);
			if ((i & POLL_EVERY) == 0)
				hd_sandbox_poll(L);
		}
	}
	lua_pushvalue(L, target);
	return 1;
}

LUA_RAISES static int table_concat(lua_State *L)
{
	lua_Integer size = length(L, 1);
	size_t separator_len;
	const char *separator = luaL_optlstring(L, 2, "", &separator_len);
	luaL_argcheck(L, separator_len <= HD_LUA_STRING_MAX, 2, "too long");
	lua_Integer from = luaL_optinteger(L, 3, 1), to = luaL_optinteger(L, 4, size);
	lua_settop(L, 4);
	luaL_Buffer buffer;
	luaL_buffinit(L, &buffer);
	if (to >= from && (lua_Unsigned)to - (lua_Unsigned)from >= HD_LUA_RANGE_MAX)
		return luaL_error(L, "range of 'concat' too long: at most %d", HD_LUA_RANGE_MAX);
	for (lua_Integer i = from; i <= to; i++) {
		(void)lua_rawgeti(L, 1, i);
		if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
			return luaL_error(L, "invalid value (at index %I) in table for 'concat'", (LUAI_UACINT)i);
		luaL_addvalue(&buffer);
		if (i == to)
			break;
		luaL_addlstring(&buffer, separator, separator_len);
		if ((i & POLL_EVERY) == 0)
			hd_sandbox_poll(L);
	}
	luaL_pushresult(&buffer);
	return 1;
}

LUA_RAISES static int table_pack(lua_State *L)
{
	int n = lua_gettop(L);
	lua_createtable(L, n, 1);
	lua_insert(L, 1);
	for (int i = n; i >= 1; i--)
		lua_rawseti(L, 1, i);
	lua_pushinteger(L, n);
	lua_setfield(L, 1, "n");
	return 1;
}

LUA_RAISES static int table_unpack(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_Integer from = luaL_optinteger(L, 2, 1), to = luaL_opt(L, luaL_checkinteger, 3, length(L, 1));
	if (from > to)
		return 0;
	lua_Unsigned n = (lua_Unsigned)to - (lua_Unsigned)from;
	if (n >= HD_LUA_UNPACK_MAX)
		return luaL_error(L, "too many results to unpack: at most %d", HD_LUA_UNPACK_MAX);
	luaL_checkstack(L, (int)n + 1, "too many results to unpack");
	for (lua_Unsigned i = 0; i <= n; i++)
		(void)lua_rawgeti(L, 1, (lua_Integer)((lua_Unsigned)from + i));
	return (int)n + 1;
}

/* Whether element a comes before element b; both are taken from the table. */
LUA_RAISES static bool before(lua_State *L, lua_Integer a, lua_Integer b)
{
	bool result;
	if (lua_isnil(L, 2)) {
		(void)lua_rawgeti(L, 1, a);
		(void)lua_rawgeti(L, 1, b);
		result = lua_compare(L, -2, -1, LUA_OPLT) != 0;
		lua_pop(L, 2);
	} else {
		lua_pushvalue(L, 2);
		(void)lua_rawgeti(L, 1, a);
		(void)lua_rawgeti(L, 1, b);
		lua_call(L, 2, 1);
		result = lua_toboolean(L, -1) != 0;
		lua_pop(L, 1);
	}
	return result;
}

LUA_RAISES static void swap(lua_State *L, lua_Integer a, lua_Integer b)
{
	(void)lua_rawgeti(L, 1, a);
	(void)lua_rawgeti(L, 1, b);
	lua_rawseti(L, 1, a);
	lua_rawseti(L, 1, b);
}

LUA_RAISES static void sift_down(lua_State *L, lua_Integer root, lua_Integer count)
{
	for (;;) {
		lua_Integer child = 2 * root;
		if (child > count)
			return;
		if (child < count && before(L, child, child + 1))
			child++;
		if (!before(L, root, child))
			return;
		swap(L, root, child);
		root = child;
	}
}

/* A heap sort: n log n whatever the order and the comparison say, and the same result everywhere. */
LUA_RAISES static int table_sort(lua_State *L)
{
	lua_Integer n = length(L, 1);
	if (!lua_isnoneornil(L, 2))
		luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	for (lua_Integer i = n / 2; i >= 1; i--) {
		sift_down(L, i, n);
		hd_sandbox_poll(L);
	}
	for (lua_Integer last = n; last > 1; last--) {
		swap(L, 1, last);
		sift_down(L, 1, last - 1);
		hd_sandbox_poll(L);
	}
	return 0;
}

LUA_RAISES void hd_sandbox_open_table(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"concat", table_concat}, {"insert", table_insert}, {"move", table_move}, {"pack", table_pack},
		{"remove", table_remove}, {"sort", table_sort},     {"unpack", table_unpack}, {NULL, NULL},
	};
	luaL_newlib(L, functions);
}
