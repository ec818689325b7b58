/* SPDX-License-Identifier: MIT */
/* The string library without patterns (match.c): bounded by HD_LUA_STRING_MAX; no dump, pack or addresses. */
#include "lua/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define FORMAT_BYTES_MAX 1024u
#define BYTES_MAX 256

LUA_RAISES static const char *check_string(lua_State *L, int index, size_t *ret_len)
{
	const char *text = luaL_checklstring(L, index, ret_len);
	luaL_argcheck(L, *ret_len <= HD_LUA_STRING_MAX, index, "string too long");
	return text;
}

/* A position from the start; negative ones count from the end. */
static size_t start_at(lua_Integer pos, size_t len)
{
	if (pos > 0)
		return (size_t)pos;
	if (pos == 0 || pos < -(lua_Integer)len)
		return 1;
	return len + (size_t)pos + 1;
}

static size_t end_at(lua_Integer pos, size_t len)
{
	if (pos > (lua_Integer)len)
		return len;
	if (pos >= 0)
		return (size_t)pos;
	return pos < -(lua_Integer)len ? 0 : len + (size_t)pos + 1;
}

LUA_RAISES static int string_len(lua_State *L)
{
	size_t len;
	(void)luaL_checklstring(L, 1, &len);
	lua_pushinteger(L, (lua_Integer)len);
	return 1;
}

LUA_RAISES static int string_sub(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	size_t from = start_at(luaL_checkinteger(L, 2), len), to = end_at(luaL_optinteger(L, 3, -1), len);
	if (from <= to)
		lua_pushlstring(L, text + from - 1, to - from + 1);
	else
		lua_pushliteral(L, "");
	return 1;
}

LUA_RAISES static int map_bytes(lua_State *L, int (*map)(int c))
{
	size_t len;
	const char *text = check_string(L, 1, &len);
	luaL_Buffer buffer;
	char *to = luaL_buffinitsize(L, &buffer, len);
	for (size_t i = 0; i < len; i++)
		to[i] = (char)map((unsigned char)text[i]);
	luaL_pushresultsize(&buffer, len);
	return 1;
}

LUA_RAISES static int string_lower(lua_State *L)
{
	return map_bytes(L, tolower);
}

LUA_RAISES static int string_upper(lua_State *L)
{
	return map_bytes(L, toupper);
}

LUA_RAISES static int string_reverse(lua_State *L)
{
	size_t len;
	const char *text = check_string(L, 1, &len);
	luaL_Buffer buffer;
	char *to = luaL_buffinitsize(L, &buffer, len);
	for (size_t i = 0; i < len; i++)
		to[i] = text[len - 1 - i];
	luaL_pushresultsize(&buffer, len);
	return 1;
}

LUA_RAISES static int string_byte(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	lua_Integer first = luaL_optinteger(L, 2, 1);
	size_t from = start_at(first, len), to = end_at(luaL_optinteger(L, 3, (lua_Integer)from), len);
	if (from > to)
		return 0;
	if (to - from >= BYTES_MAX)
		return luaL_error(L, "string slice too long: at most %d", BYTES_MAX);
	luaL_checkstack(L, BYTES_MAX, NULL);
	for (size_t i = from; i <= to; i++)
		lua_pushinteger(L, (unsigned char)text[i - 1]);
	return (int)(to - from + 1);
}

LUA_RAISES static int string_char(lua_State *L)
{
	char bytes[BYTES_MAX];
	int n = lua_gettop(L);
	luaL_argcheck(L, n <= BYTES_MAX, n, "too many");
	for (int i = 1; i <= n; i++) {
		lua_Integer c = luaL_checkinteger(L, i);
		luaL_argcheck(L, c >= 0 && c <= 255, i, "value out of range");
		bytes[i - 1] = (char)c;
	}
	lua_pushlstring(L, bytes, (size_t)n);
	return 1;
}

LUA_RAISES static int string_rep(lua_State *L)
{
	size_t len, separator_len;
	const char *text = check_string(L, 1, &len);
	lua_Integer n = luaL_checkinteger(L, 2);
	const char *separator = luaL_optlstring(L, 3, "", &separator_len);
	size_t each = len + separator_len;
	if (n <= 0 || each == 0) {
		lua_pushliteral(L, "");
		return 1;
	}
	if (separator_len > HD_LUA_STRING_MAX || (lua_Unsigned)n > HD_LUA_STRING_MAX / each + 1)
		return luaL_error(L, "resulting string too long: at most %d bytes", (int)HD_LUA_STRING_MAX);
	size_t total = (size_t)n * each - separator_len;
	luaL_Buffer buffer;
	char *to = luaL_buffinitsize(L, &buffer, total);
	for (lua_Integer i = 0; i < n; i++) {
		memcpy(to, text, len);
		to += len;
		if (i + 1 < n && separator_len) {
			memcpy(to, separator, separator_len);
			to += separator_len;
		}
	}
	luaL_pushresultsize(&buffer, total);
	return 1;
}

struct directive {
	char spec[24]; /* as for snprintf, with the length modifier */
	char conversion;
};

/* Reads a directive after its '%': flags, at most two digits of width and of precision, conversion. */
LUA_RAISES static const char *parse_directive(lua_State *L, const char *at, struct directive *ret)
{
	const char *start = at;
	size_t flags = strspn(at, "-+ #0");
	luaL_argcheck(L, flags < 6, 1, "invalid format (repeated flags)");
	at += flags;
	for (int i = 0; i < 2 && isdigit((unsigned char)*at); i++)
		at++;
	if (*at == '.') {
		at++;
		for (int i = 0; i < 2 && isdigit((unsigned char)*at); i++)
			at++;
	}
	if (*at == '\0' || !strchr("dicuxXoeEfFgGaAs", *at))
		(void)luaL_error(L, "invalid conversion '%%%s' to 'format'", lua_pushlstring(L, start, (size_t)(at - start) + (*at != '\0')));
	size_t len = (size_t)(at - start);
	ret->conversion = *at;
	ret->spec[0] = '%';
	memcpy(ret->spec + 1, start, len);
	size_t end = len + 1;
	if (strchr("diuxXo", *at)) {
		ret->spec[end++] = 'l';
		ret->spec[end++] = 'l';
	}
	ret->spec[end++] = *at;
	ret->spec[end] = '\0';
	return at + 1;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the spec has been taken apart above */

LUA_RAISES static void add_directive(lua_State *L, luaL_Buffer *buffer, const struct directive *directive, int arg)
{
	char text[512]; /* two digits of width and precision; 309 digits before the point */
	int len;
	switch (directive->conversion) {
	case 'c':
		luaL_addchar(buffer, (char)luaL_checkinteger(L, arg));
		return;
	case 's': {
		lua_pushcfunction(L, hd_sandbox_tostring);
		lua_pushvalue(L, arg);
		lua_call(L, 1, 1);
		size_t value_len;
		const char *value = lua_tolstring(L, -1, &value_len);
		if (strcmp(directive->spec, "%s") == 0) {
			luaL_addvalue(buffer);
			return;
		}
		luaL_argcheck(L, strlen(value) == value_len, arg, "string contains zeros");
		len = snprintf(text, sizeof text, directive->spec, value);
		lua_pop(L, 1);
		luaL_argcheck(L, len >= 0 && (size_t)len < sizeof text, arg, "string too long for a width");
		break;
	}
	case 'd': case 'i': case 'u': case 'x': case 'X': case 'o':
		len = snprintf(text, sizeof text, directive->spec, (long long)luaL_checkinteger(L, arg));
		break;
	default:
		len = snprintf(text, sizeof text, directive->spec, luaL_checknumber(L, arg));
		break;
	}
	luaL_addlstring(buffer, text, len < 0 ? 0 : HD_MIN((size_t)len, sizeof text - 1));
}

#pragma GCC diagnostic pop

LUA_RAISES static int string_format(lua_State *L)
{
	size_t format_len;
	const char *at = luaL_checklstring(L, 1, &format_len);
	luaL_argcheck(L, format_len <= FORMAT_BYTES_MAX, 1, "format too long");
	const char *end = at + format_len;
	int arg = 1, top = lua_gettop(L);
	luaL_Buffer buffer;
	luaL_buffinit(L, &buffer);
	while (at < end) {
		if (*at != '%') {
			luaL_addchar(&buffer, *at++);
			continue;
		}
		if (*++at == '%') {
			luaL_addchar(&buffer, *at++);
			continue;
		}
		struct directive directive;
		at = parse_directive(L, at, &directive);
		if (++arg > top)
			return luaL_argerror(L, arg, "no value");
		add_directive(L, &buffer, &directive, arg);
		if (luaL_bufflen(&buffer) > HD_LUA_STRING_MAX)
			return luaL_error(L, "result of 'format' too long");
	}
	luaL_pushresult(&buffer);
	return 1;
}

LUA_RAISES void hd_sandbox_open_string(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"byte", string_byte},   {"char", string_char}, {"format", string_format},   {"len", string_len}, {"lower", string_lower},
		{"rep", string_rep},     {"sub", string_sub},   {"reverse", string_reverse}, {"upper", string_upper}, {NULL, NULL},
	};
	luaL_newlib(L, functions);
}
