/* SPDX-License-Identifier: MIT */
/* JSON of a point's params, read in place: nothing is allocated until a script asks for a field. */
#include "lua/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16

static const char *skip_blank(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

/* Past a string whose opening quote is at `at`; NULL when it does not end. */
static const char *skip_string(const char *at)
{
	for (at++; *at && *at != '"'; at++)
		if (*at == '\\' && at[1])
			at++;
	return *at ? at + 1 : NULL;
}

/* Past any value; NULL when it is cut. */
static const char *skip_value(const char *at)
{
	int depth = 0;
	do {
		at = skip_blank(at);
		switch (*at) {
		case '\0':
			return NULL;
		case '"':
			at = skip_string(at);
			if (!at)
				return NULL;
			break;
		case '{': case '[':
			depth++;
			at++;
			break;
		case '}': case ']':
			depth--;
			at++;
			break;
		case ',': case ':':
			if (depth == 0)
				return NULL;
			at++;
			break;
		default:
			at += strcspn(at, " \t\r\n,:{}[]\"");
			break;
		}
	} while (depth > 0);
	return depth == 0 ? at : NULL;
}

bool hd_lua_json_field(const char *json, const char *key, size_t key_len, const char **ret_value)
{
	const char *at = skip_blank(json);
	if (*at != '{')
		return false;
	at = skip_blank(at + 1);
	while (*at == '"') {
		const char *name = at + 1;
		const char *end = skip_string(at);
		if (!end)
			return false;
		at = skip_blank(end);
		if (*at != ':')
			return false;
		at = skip_blank(at + 1);
		if ((size_t)(end - 1 - name) == key_len && memcmp(name, key, key_len) == 0) {
			*ret_value = at;
			return *at != '\0';
		}
		at = skip_value(at);
		if (!at)
			return false;
		at = skip_blank(at);
		if (*at != ',')
			return false;
		at = skip_blank(at + 1);
	}
	return false;
}

static bool read_hex4(const char *at, uint32_t *ret)
{
	uint32_t value = 0;
	for (int i = 0; i < 4; i++) {
		char c = at[i];
		uint32_t digit = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10 :
				 c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10 : 16;
		if (digit == 16)
			return false;
		value = value << 4 | digit;
	}
	*ret = value;
	return true;
}

LUA_RAISES static void add_utf8(luaL_Buffer *buffer, uint32_t code)
{
	if (code < 0x80) {
		luaL_addchar(buffer, (char)code);
	} else if (code < 0x800) {
		luaL_addchar(buffer, (char)(0xc0 | code >> 6));
		luaL_addchar(buffer, (char)(0x80 | (code & 0x3f)));
	} else if (code < 0x10000) {
		luaL_addchar(buffer, (char)(0xe0 | code >> 12));
		luaL_addchar(buffer, (char)(0x80 | (code >> 6 & 0x3f)));
		luaL_addchar(buffer, (char)(0x80 | (code & 0x3f)));
	} else {
		luaL_addchar(buffer, (char)(0xf0 | code >> 18));
		luaL_addchar(buffer, (char)(0x80 | (code >> 12 & 0x3f)));
		luaL_addchar(buffer, (char)(0x80 | (code >> 6 & 0x3f)));
		luaL_addchar(buffer, (char)(0x80 | (code & 0x3f)));
	}
}

LUA_RAISES static const char *push_string(lua_State *L, const char *at)
{
	luaL_Buffer buffer;
	luaL_buffinit(L, &buffer);
	for (at++; *at && *at != '"'; at++) {
		if (*at != '\\') {
			luaL_addchar(&buffer, *at);
			continue;
		}
		static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
		const char *escape = *++at ? strchr(escapes, *at) : NULL;
		uint32_t code, low;
		if (escape) {
			luaL_addchar(&buffer, meanings[escape - escapes]);
		} else if (*at == 'u' && read_hex4(at + 1, &code)) {
			at += 4;
			if (code >> 10 == 0x36 && at[1] == '\\' && at[2] == 'u' && read_hex4(at + 3, &low) && low >> 10 == 0x37) {
				code = 0x10000 + ((code & 0x3ff) << 10 | (low & 0x3ff));
				at += 6;
			}
			add_utf8(&buffer, code);
		} else {
			(void)luaL_error(L, "params of the point: a bad escape in a JSON string");
		}
	}
	if (*at != '"')
		(void)luaL_error(L, "params of the point: a JSON string without end");
	luaL_pushresult(&buffer);
	return at + 1;
}

LUA_RAISES static const char *push_value(lua_State *L, const char *at, int depth);

LUA_RAISES static const char *push_list(lua_State *L, const char *at, int depth)
{
	lua_newtable(L);
	at = skip_blank(at + 1);
	for (lua_Integer i = 1; *at != ']'; i++) {
		at = skip_blank(push_value(L, at, depth));
		lua_rawseti(L, -2, i);
		if (*at != ',' && *at != ']')
			(void)luaL_error(L, "params of the point: a JSON list without end");
		if (*at == ',')
			at = skip_blank(at + 1);
	}
	return at + 1;
}

LUA_RAISES static const char *push_object(lua_State *L, const char *at, int depth)
{
	lua_newtable(L);
	at = skip_blank(at + 1);
	while (*at != '}') {
		if (*at != '"')
			(void)luaL_error(L, "params of the point: a JSON object without end");
		at = skip_blank(push_string(L, at));
		if (*at != ':')
			(void)luaL_error(L, "params of the point: a JSON name without ':'");
		at = skip_blank(push_value(L, skip_blank(at + 1), depth));
		lua_rawset(L, -3);
		if (*at != ',' && *at != '}')
			(void)luaL_error(L, "params of the point: a JSON object without end");
		if (*at == ',')
			at = skip_blank(at + 1);
	}
	return at + 1;
}

LUA_RAISES static const char *push_number(lua_State *L, const char *at)
{
	char *end;
	double number = strtod(at, &end);
	if (end == at || !isfinite(number))
		(void)luaL_error(L, "params of the point: no JSON value");
	if (number == floor(number) && fabs(number) < 1e15 && memchr(at, '.', (size_t)(end - at)) == NULL)
		lua_pushinteger(L, (lua_Integer)number);
	else
		lua_pushnumber(L, number);
	return end;
}

LUA_RAISES static const char *push_value(lua_State *L, const char *at, int depth)
{
	if (depth == 0)
		(void)luaL_error(L, "params of the point: more than %d levels", DEPTH_MAX);
	luaL_checkstack(L, 4, NULL);
	switch (*at) {
	case '"':
		return push_string(L, at);
	case '[':
		return push_list(L, at, depth - 1);
	case '{':
		return push_object(L, at, depth - 1);
	default:
		break;
	}
	if (strncmp(at, "true", 4) == 0 || strncmp(at, "false", 5) == 0) {
		lua_pushboolean(L, *at == 't');
		return at + (*at == 't' ? 4 : 5);
	}
	if (strncmp(at, "null", 4) == 0) {
		lua_pushnil(L);
		return at + 4;
	}
	return push_number(L, at);
}

LUA_RAISES void hd_lua_json_push(lua_State *L, const char *json)
{
	(void)push_value(L, skip_blank(json), DEPTH_MAX);
}

LUA_RAISES static void push_json_string(lua_State *L, int index)
{
	size_t len;
	const char *text = lua_tolstring(L, index, &len);
	luaL_Buffer buffer;
	luaL_buffinit(L, &buffer);
	luaL_addchar(&buffer, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c == '"' || c == '\\')
			luaL_addchar(&buffer, '\\');
		luaL_addchar(&buffer, c < 0x20 ? ' ' : (char)c);
	}
	luaL_addchar(&buffer, '"');
	luaL_pushresult(&buffer);
}

LUA_RAISES static void push_text(lua_State *L, int index, int depth);

/* A table with [1] is a list, any other an object whose names are texts. Small tables only: each field is a concatenation. */
LUA_RAISES static void push_table(lua_State *L, int index, int depth)
{
	lua_Unsigned count = lua_rawlen(L, index);
	lua_pushstring(L, count ? "[" : "{");
	int text = lua_gettop(L);
	for (lua_Unsigned i = 1; i <= count; i++) {
		if (i > 1)
			lua_pushliteral(L, ",");
		(void)lua_rawgeti(L, index, (lua_Integer)i);
		push_text(L, lua_gettop(L), depth - 1);
		lua_remove(L, -2);
		lua_concat(L, lua_gettop(L) - text + 1);
	}
	bool first = true;
	lua_pushnil(L);
	while (count == 0 && lua_next(L, index)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			(void)luaL_error(L, "a name in params is not a text");
		lua_pushvalue(L, text);
		lua_pushstring(L, first ? "" : ",");
		push_json_string(L, text + 1);
		lua_pushliteral(L, ":");
		push_text(L, text + 2, depth - 1);
		lua_concat(L, 5);
		lua_replace(L, text);
		lua_pop(L, 1);
		first = false;
	}
	lua_settop(L, text);
	lua_pushstring(L, count ? "]" : "}");
	lua_concat(L, 2);
}

LUA_RAISES static void push_text(lua_State *L, int index, int depth)
{
	if (depth == 0)
		(void)luaL_error(L, "params of more than %d levels", DEPTH_MAX);
	luaL_checkstack(L, 12, NULL);
	switch (lua_type(L, index)) {
	case LUA_TSTRING:
		push_json_string(L, index);
		return;
	case LUA_TNUMBER: {
		double value = lua_tonumber(L, index);
		char text[40];
		if (!isfinite(value))
			(void)luaL_error(L, "a number that is not finite cannot be a param");
		(void)snprintf(text, sizeof text, "%.17g", value);
		lua_pushstring(L, text);
		return;
	}
	case LUA_TBOOLEAN:
		lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
		return;
	case LUA_TTABLE:
		push_table(L, index, depth);
		return;
	default:
		(void)luaL_error(L, "a %s cannot be a param", luaL_typename(L, index));
	}
}

LUA_RAISES void hd_lua_json_text(lua_State *L, int index)
{
	push_text(L, lua_absindex(L, index), DEPTH_MAX);
}
