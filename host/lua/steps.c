/* SPDX-License-Identifier: MIT */
/* pipeline {}, use(), and a constructor per step: they make data, which build.c turns into a spec. */
#include "lua/internal.h"

#include <stdio.h>
#include <string.h>

#define NAMES_MAX 256u

struct names {
	const char *names[NAMES_MAX];
	uint32_t count;
};

static const char *name_at(const void *arg, uint32_t i)
{
	return ((const struct names *)arg)->names[i];
}

/* Raises "what 'word' …" with the nearest of the names as hint. */
LUA_RAISES static int refuse_word(lua_State *L, const char *what, const char *word, const char *of, const struct names *names)
{
	const char *nearest = hd_diag_nearest(word, name_at, names, names->count);
	if (nearest)
		return luaL_error(L, "%s '%s'%s\nhint: did you mean '%s'?", what, word, of, nearest);
	return luaL_error(L, "%s '%s'%s", what, word, of);
}

/* Index of a global that is not there: upvalues none; arguments: the table of globals, the key. */
LUA_RAISES int hd_lua_unknown_global(lua_State *L)
{
	if (lua_type(L, 2) != LUA_TSTRING)
		return luaL_error(L, "a global is named by text");
	struct names names = {.count = 0};
	lua_pushnil(L);
	while (lua_next(L, 1)) {
		/* The table holds the names, so they live on after the pop. */
		if (lua_type(L, -2) == LUA_TSTRING && names.count < NAMES_MAX)
			names.names[names.count++] = lua_tostring(L, -2);
		lua_pop(L, 1);
	}
	return refuse_word(L, "unknown step or name", lua_tostring(L, 2), "", &names);
}

LUA_RAISES static void check_pipeline_fields(lua_State *L)
{
	static const struct names known = {{"name", "build", "selftest", "samples", "state_version", "description"}, 6};
	lua_pushnil(L);
	while (lua_next(L, 1)) {
		lua_pop(L, 1);
		if (lua_type(L, -1) != LUA_TSTRING)
			(void)luaL_error(L, "pipeline {} takes named fields only");
		const char *key = lua_tostring(L, -1);
		bool found = false;
		for (uint32_t i = 0; i < known.count; i++)
			found |= strcmp(known.names[i], key) == 0;
		if (!found)
			(void)refuse_word(L, "unknown field", key, " of pipeline {}", &known);
	}
}

LUA_RAISES static int field_type(lua_State *L, const char *name)
{
	lua_pushstring(L, name);
	return lua_rawget(L, 1);
}

LUA_RAISES static int make_pipeline(lua_State *L)
{
	struct hd_lua_attached *at = hd_lua_of(L)->loading;
	if (!at || at->pipeline_ref != LUA_NOREF)
		return luaL_error(L, "pipeline {} is made once, at the top of a script");
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	check_pipeline_fields(L);
	const char *name = hd_script_name(at->script);
	if (field_type(L, "name") != LUA_TSTRING || strcmp(lua_tostring(L, -1), name) != 0)
		return luaL_error(L, "pipeline {} has no name = \"%s\", as its file is called", name);
	int type = field_type(L, "selftest");
	if (type != LUA_TNIL && type != LUA_TFUNCTION)
		return luaL_error(L, "'selftest' is a function (t)");
	type = field_type(L, "samples");
	if (type != LUA_TNIL && type != LUA_TTABLE)
		return luaL_error(L, "'samples' is a list of tables of params");
	if (field_type(L, "build") != LUA_TFUNCTION || lua_iscfunction(L, -1))
		return luaL_error(L, "pipeline {} has no build = function (point) … end");
	at->build_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_settop(L, 1);
	lua_pushvalue(L, 1);
	at->pipeline_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	return 1;
}

/* use("name"): the value of a library's chunk, run once per script and state. */
LUA_RAISES static int use(lua_State *L)
{
	struct hd_lua *lua = hd_lua_of(L);
	struct hd_lua_attached *at = lua->loading;
	const char *name = luaL_checkstring(L, 1);
	if (!at)
		return luaL_error(L, "use '%s' stands at the top of a script, not in a function called later", name);
	lua_settop(L, 1);
	if (at->libs_ref == LUA_NOREF) {
		lua_newtable(L);
		at->libs_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	}
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, at->libs_ref);
	if (lua_getfield(L, 2, name) != LUA_TNIL)
		return 1;
	const struct hd_script_lib *lib = hd_script_lib(at->script, name);
	if (!lib) {
		struct names names = {.count = 0};
		for (uint32_t i = 0; i < hd_script_lib_count(at->script); i++)
			names.names[names.count++] = hd_script_lib_at(at->script, i)->name;
		return refuse_word(L, "unknown library", name, "", &names);
	}
	if (luaL_loadbufferx(L, lib->text, lib->len, lua_pushfstring(L, "@lib/%s.lua", name), "t") != LUA_OK)
		return lua_error(L);
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, lua->env_ref);
	(void)lua_setupvalue(L, -2, 1);
	lua_call(L, 0, 1);
	if (lua_isnil(L, -1))
		return luaL_error(L, "library '%s' returns nothing", name);
	lua_pushvalue(L, -1);
	lua_setfield(L, 2, name);
	return 1;
}

/* Whether a blank-separated list has the word. */
static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);
	for (const char *at = list; (at = strstr(at, word)) != NULL; at += len)
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0') && len)
			return true;
	return false;
}

LUA_RAISES static int refuse_option(lua_State *L, const char *kind, const char *options, const char *key)
{
	struct names names = {.count = 0};
	char words[1024];
	(void)snprintf(words, sizeof words, "%s id", options);
	char *rest = words;
	for (char *word; (word = strsep(&rest, " ")) != NULL && names.count < NAMES_MAX;)
		if (*word)
			names.names[names.count++] = word;
	return refuse_word(L, "unknown option", key, lua_pushfstring(L, " of step %s", kind), &names);
}

LUA_RAISES static void check_options(lua_State *L, const char *kind, const char *options)
{
	if (strcmp(options, "*") == 0)
		return;
	lua_pushnil(L);
	while (lua_next(L, 1)) {
		lua_pop(L, 1);
		if (lua_type(L, -1) != LUA_TSTRING)
			continue;
		const char *key = lua_tostring(L, -1);
		if (strcmp(key, "id") != 0 && !has_word(options, key))
			(void)refuse_option(L, kind, options, key);
	}
}

/* Number of the library, from 1, whose chunk is called so; 0 = none. */
static uint32_t lib_of(const struct hd_lua_attached *at, const char *source)
{
	for (uint32_t i = 0; i < hd_script_lib_count(at->script); i++) {
		const char *name = hd_script_lib_at(at->script, i)->name;
		size_t len = strlen(name);
		if (strncmp(source, "@lib/", 5) == 0 && strncmp(source + 5, name, len) == 0 && strcmp(source + 5 + len, ".lua") == 0)
			return i + 1;
	}
	return 0;
}

/* Upvalue: the kind. */
LUA_RAISES static int make_step(lua_State *L)
{
	struct hd_lua *lua = hd_lua_of(L);
	lua_Integer kind = lua_tointeger(L, lua_upvalueindex(1));
	const struct hd_lua_step_doc *doc = kind < 0 ? NULL : &lua->config.steps[kind];
	const char *name = doc ? doc->name : HD_SPEC_KIND_LUA;
	if (lua_type(L, 1) != LUA_TTABLE || lua_gettop(L) != 1)
		return luaL_error(L, "step '%s' takes one table: %s { … }", name, name);
	if (!lua->building && !lua->loading)
		return luaL_error(L, "step '%s' is made in build, or at the top of a script", name);
	check_options(L, name, doc ? doc->options : "state");
	struct hd_lua_step *step = lua_newuserdatauv(L, sizeof *step, 1);
	step->kind = doc ? (uint32_t)kind : HD_LUA_KIND_LUA;
	step->line = step->lib = 0;
	lua_pushvalue(L, 1);
	(void)lua_setiuservalue(L, -2, 1);
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, lua->step_ref);
	(void)lua_setmetatable(L, -2);
	lua_Debug ar;
	if (lua_getstack(L, 1, &ar) && lua_getinfo(L, "lS", &ar) && ar.currentline > 0) {
		step->line = (uint32_t)ar.currentline;
		step->lib = lib_of(lua->building ? lua->building : lua->loading, ar.source);
	}
	return 1;
}

const struct hd_lua_step *hd_lua_to_step(struct hd_lua *lua, int index)
{
	lua_State *L = lua->L;
	const struct hd_lua_step *step = lua_touserdata(L, index);
	if (!step || !lua_getmetatable(L, index))
		return NULL;
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, lua->step_ref);
	bool is = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	return is ? step : NULL;
}

const char *hd_lua_step_kind(const struct hd_lua *lua, const struct hd_lua_step *step)
{
	return step->kind == HD_LUA_KIND_LUA ? HD_SPEC_KIND_LUA : lua->config.steps[step->kind].name;
}

LUA_RAISES void hd_lua_open_steps(lua_State *L)
{
	struct hd_lua *lua = hd_lua_of(L);
	lua_pushcfunction(L, make_pipeline);
	lua_setfield(L, -2, "pipeline");
	lua_pushcfunction(L, use);
	lua_setfield(L, -2, "use");
	lua_pushinteger(L, -1);
	lua_pushcclosure(L, make_step, 1);
	lua_setfield(L, -2, HD_SPEC_KIND_LUA);
	for (uint32_t i = 0; i < lua->config.step_count; i++) {
		lua_pushinteger(L, i);
		lua_pushcclosure(L, make_step, 1);
		lua_setfield(L, -2, lua->config.steps[i].name);
	}
	hd_sandbox_metatable(L, "step", NULL, NULL);
	lua->step_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}
