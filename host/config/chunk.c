/* SPDX-License-Identifier: MIT */
#include "config/chunk.h"

#include "base/buf.h"
#include "base/fs.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *bounded_alloc(void *ud, void *ptr, size_t osize, size_t nsize)
{
	size_t *used = ud;
	size_t before = ptr ? osize : 0;
	if (nsize == 0) {
		*used -= before;
		free(ptr);
		return NULL;
	}
	if (*used - before + nsize > HD_CHUNK_MEMORY_BYTES)
		return NULL;
	void *next = realloc(ptr, nsize);
	if (next)
		*used += nsize - before;
	return next;
}

static void too_long(lua_State *L, lua_Debug *ar)
{
	(void)ar;
	luaL_error(L, "configuration takes too long: an endless loop?");
}

/* env(name [, default]): LUA_RAISES, holds nothing. */
static int lua_env(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	const char *value = getenv(name);
	if (value)
		lua_pushstring(L, value);
	else if (lua_gettop(L) >= 2)
		lua_settop(L, 2);
	else
		return luaL_error(L, "environment variable %s is not set and env() has no default", name);
	return 1;
}

/* secret_file(path): the file's text without its last line end. LUA_RAISES: the file is read into a buffer on the stack. */
static int lua_secret_file(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	char text[HD_CHUNK_SECRET_BYTES_MAX + 1];
	FILE *file = fopen(path, "re");
	if (!file)
		return luaL_error(L, "cannot open secret file %s", path);
	size_t len = fread(text, 1, sizeof text, file);
	(void)fclose(file);
	if (len > HD_CHUNK_SECRET_BYTES_MAX)
		return luaL_error(L, "secret file %s is larger than %d bytes", path, (int)HD_CHUNK_SECRET_BYTES_MAX);
	while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	lua_pushlstring(L, text, len);
	return 1;
}

static const char *const allowed[] = {"assert", "error", "ipairs", "pairs", "next", "select", "tonumber", "tostring", "type", "math", "table", "string"};

/* Opens what a configuration may use and compiles the chunk over it. LUA_RAISES; called protected. */
static int prepare(lua_State *L)
{
	luaL_requiref(L, LUA_GNAME, luaopen_base, 0);
	luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 1);
	luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 1);
	luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
	lua_settop(L, 0);
	lua_newtable(L);
	for (size_t i = 0; i < HD_ARRAY_LEN(allowed); i++) {
		lua_getglobal(L, allowed[i]);
		lua_setfield(L, -2, allowed[i]);
	}
	lua_pushcfunction(L, lua_env);
	lua_setfield(L, -2, "env");
	lua_pushcfunction(L, lua_secret_file);
	lua_setfield(L, -2, "secret_file");
	return 1;
}

static int to_json(lua_State *L, int depth, const char *where, cJSON **ret, struct hydro_error *err);

static int table_to_json(lua_State *L, int depth, const char *where, cJSON **ret, struct hydro_error *err)
{
	bool is_list = lua_rawlen(L, -1) > 0;
	cJSON *node = is_list ? cJSON_CreateArray() : cJSON_CreateObject();
	if (!node || !lua_checkstack(L, 4)) {
		cJSON_Delete(node);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for configuration");
	}
	int rc = HYDRO_OK;
	for (lua_pushnil(L); rc == HYDRO_OK && lua_next(L, -2);) {
		char path[256];
		cJSON *child = NULL;
		if (is_list != (lua_type(L, -2) == LUA_TNUMBER) || (!is_list && lua_type(L, -2) != LUA_TSTRING)) {
			rc = hd_error_set(err, HYDRO_E_CONFIG, "%s: a table has either names or a list, not both", where[0] ? where : "the table");
		} else if (is_list) {
			(void)snprintf(path, sizeof path, "%s[%d]", where, (int)lua_tointeger(L, -2));
			rc = to_json(L, depth, path, &child, err);
			if (rc == HYDRO_OK)
				cJSON_AddItemToArray(node, child);
		} else {
			const char *key = lua_tostring(L, -2);
			(void)snprintf(path, sizeof path, "%s%s%s", where, where[0] ? "." : "", key);
			rc = to_json(L, depth, path, &child, err);
			if (rc == HYDRO_OK)
				cJSON_AddItemToObject(node, key, child);
		}
		lua_pop(L, rc == HYDRO_OK ? 1 : 2);
	}
	if (rc != HYDRO_OK) {
		cJSON_Delete(node);
		return rc;
	}
	*ret = node;
	return HYDRO_OK;
}

/* The value on the top of the stack; uses no Lua call that can raise. */
static int to_json(lua_State *L, int depth, const char *where, cJSON **ret, struct hydro_error *err)
{
	cJSON *node = NULL;
	switch (lua_type(L, -1)) {
	case LUA_TBOOLEAN:
		node = cJSON_CreateBool(lua_toboolean(L, -1));
		break;
	case LUA_TNUMBER:
		if (!isfinite(lua_tonumber(L, -1)))
			return hd_error_set(err, HYDRO_E_CONFIG, "%s: not a finite number", where);
		node = cJSON_CreateNumber(lua_tonumber(L, -1));
		break;
	case LUA_TSTRING:
		if (strlen(lua_tostring(L, -1)) != lua_rawlen(L, -1))
			return hd_error_set(err, HYDRO_E_CONFIG, "%s: text with a NUL byte", where);
		node = cJSON_CreateString(lua_tostring(L, -1));
		break;
	case LUA_TTABLE:
		if (depth >= HD_CHUNK_DEPTH_MAX)
			return hd_error_set(err, HYDRO_E_CONFIG, "%s: tables nested deeper than %d", where, HD_CHUNK_DEPTH_MAX);
		return table_to_json(L, depth + 1, where, ret, err);
	default:
		return hd_error_set(err, HYDRO_E_CONFIG, "%s: a %s cannot be configuration", where, luaL_typename(L, -1));
	}
	if (!node)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for configuration");
	*ret = node;
	return HYDRO_OK;
}

static int run(lua_State *L, const char *name, const char *text, size_t len, cJSON **ret, struct hydro_error *err)
{
	char chunk_name[512];
	(void)snprintf(chunk_name, sizeof chunk_name, "@%s", name);
	lua_pushcfunction(L, prepare);
	if (lua_pcall(L, 0, 1, 0) != LUA_OK || luaL_loadbufferx(L, text, len, chunk_name, "t") != LUA_OK) {
		const char *why = lua_isstring(L, -1) ? lua_tostring(L, -1) : "error without text";
		return hd_error_set(err, HYDRO_E_CONFIG, "%s%s%s", strstr(why, name) ? "" : name, strstr(why, name) ? "" : ": ", why);
	}
	lua_insert(L, -2);
	(void)lua_setupvalue(L, -2, 1);
	lua_sethook(L, too_long, LUA_MASKCOUNT, HD_CHUNK_INSTRUCTIONS);
	if (lua_pcall(L, 0, 1, 0) != LUA_OK)
		return hd_error_set(err, HYDRO_E_CONFIG, "%s", lua_isstring(L, -1) ? lua_tostring(L, -1) : "error without text");
	lua_sethook(L, NULL, 0, 0);
	if (!lua_istable(L, -1))
		return hd_error_set(err, HYDRO_E_CONFIG, "%s: must return a table, returned %s", name, luaL_typename(L, -1));
	int rc = to_json(L, 0, "", ret, err);
	return rc == HYDRO_OK ? rc : hd_error_while(err, "reading the table of %s", name);
}

int hd_chunk_run(const char *name, const char *text, size_t len, cJSON **ret, struct hydro_error *err)
{
	size_t used = 0;
	lua_State *L = lua_newstate(bounded_alloc, &used);
	if (!L)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for configuration");
	int rc = run(L, name, text, len, ret, err);
	lua_close(L);
	return rc;
}
