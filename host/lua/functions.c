/* SPDX-License-Identifier: MIT */
/*
 * Lua makes a new closure at every build; equal code over the same upvalues is one step function, one per script and
 * state. What a function may capture is told by the identity of its upvalues, not by their names: only those that the
 * script had before its first build. A function that another state met first is found by building the same point here.
 */
#include "lua/internal.h"

#include "model/points.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define QUEUE_MAX 100000

/* The walk's registers. */
#define AT_IDS 3
#define AT_SEEN 4
#define AT_QUEUE 5

/* Puts the value at the top into the queue, once; pops it. */
LUA_RAISES static void enqueue(lua_State *L, lua_Integer *tail)
{
	int type = lua_type(L, -1);
	if ((type != LUA_TFUNCTION && type != LUA_TTABLE) || lua_iscfunction(L, -1)) {
		lua_pop(L, 1);
		return;
	}
	lua_pushvalue(L, -1);
	if (lua_rawget(L, AT_SEEN) == LUA_TNIL) {
		if (*tail >= QUEUE_MAX)
			(void)luaL_error(L, "the script keeps more than %d functions and tables", QUEUE_MAX);
		lua_pushvalue(L, -2);
		lua_pushboolean(L, 1);
		lua_rawset(L, AT_SEEN);
		lua_pushvalue(L, -2);
		lua_rawseti(L, AT_QUEUE, ++*tail);
	}
	lua_pop(L, 2);
}

LUA_RAISES static void visit_function(lua_State *L, int index, lua_Integer *tail)
{
	for (int i = 1; lua_getupvalue(L, index, i); i++) {
		void *id = lua_upvalueid(L, index, i);
		enqueue(L, tail);
		lua_pushboolean(L, 1);
		lua_rawsetp(L, AT_IDS, id);
	}
}

LUA_RAISES static void visit_table(lua_State *L, int index, lua_Integer *tail)
{
	lua_pushnil(L);
	while (lua_next(L, index)) {
		enqueue(L, tail);
		lua_pushvalue(L, -1);
		enqueue(L, tail);
	}
	if (lua_getmetatable(L, index))
		enqueue(L, tail);
}

LUA_RAISES int hd_lua_note_upvalues(lua_State *L)
{
	struct hd_lua_attached *at = hd_lua_of(L)->loading;
	lua_Integer head = 0, tail = 0;
	lua_settop(L, 2);
	lua_newtable(L);
	lua_newtable(L);
	lua_newtable(L);
	for (int i = 1; i <= 2; i++) {
		lua_pushvalue(L, i);
		enqueue(L, &tail);
	}
	while (head < tail) {
		(void)lua_rawgeti(L, AT_QUEUE, ++head);
		if (lua_type(L, -1) == LUA_TFUNCTION)
			visit_function(L, lua_gettop(L), &tail);
		else
			visit_table(L, lua_gettop(L), &tail);
		lua_pop(L, 1);
		hd_sandbox_poll(L);
	}
	lua_settop(L, AT_SEEN);
	at->anchor_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	at->upvalues_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}

static int hash_dump(lua_State *L, const void *data, size_t len, void *ud)
{
	(void)L;
	(void)crypto_generichash_update(ud, data, len);
	return 0;
}

/* Code and constants of the function at the top, without lines, and its slot names. */
static void hash_function(lua_State *L, const char *const *slots, uint32_t slot_count, uint64_t ret[2])
{
	crypto_generichash_state state;
	uint8_t hash[16];
	(void)crypto_generichash_init(&state, NULL, 0, sizeof hash);
	(void)lua_dump(L, hash_dump, &state, 1);
	for (uint32_t i = 0; i < slot_count; i++)
		(void)crypto_generichash_update(&state, (const uint8_t *)slots[i], strlen(slots[i]) + 1);
	(void)crypto_generichash_final(&state, hash, sizeof hash);
	memcpy(ret, hash, sizeof hash);
}

/* Whether the functions at two indices have the same upvalues. */
static bool same_upvalues(lua_State *L, int a, int b)
{
	for (int i = 1;; i++) {
		void *id_a = lua_upvalueid(L, a, i), *id_b = lua_upvalueid(L, b, i);
		if (id_a != id_b)
			return false;
		if (!id_a)
			return true;
	}
}

static int check_captures(struct hd_lua *lua, const struct hd_lua_attached *at, uint32_t line, struct hd_diag *diag, struct hydro_error *err)
{
	lua_State *L = lua->L;
	int function = lua_gettop(L);
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, at->upvalues_ref);
	for (int i = 1;; i++) {
		void *id = lua_upvalueid(L, function, i);
		if (!id)
			break;
		bool known = lua_rawgetp(L, function + 1, id) != LUA_TNIL;
		lua_pop(L, 1);
		if (known)
			continue;
		const char *name = lua_getupvalue(L, function, i);
		char text[2 * HD_DIAG_TEXT_BYTES];
		bool point = name && strcmp(name, "point") == 0;
		(void)snprintf(text, sizeof text, "%s:%u: the step function captures '%s', which is local to build\nhint: %s", hd_script_file(at->script),
			       line, name ? name : "?",
			       point ? "take point as the third argument: function (m, state, point)"
				     : "a step function sees its arguments (m, state, point) and the script's top-level locals; read the number from point");
		lua_settop(L, function);
		hd_diag_from_lua(diag, hd_script_file(at->script), hd_script_text(at->script), text);
		hd_diag_text(diag, text, sizeof text);
		return hd_error_set(err, HYDRO_E_CONFIG, "%s", text);
	}
	lua_settop(L, function);
	return HYDRO_OK;
}

struct store {
	struct hd_lua_attached *at;
	uint32_t number;
	const char *const *slots;
	uint32_t slot_count;
};

/* Arguments: the function, a struct store. */
LUA_RAISES static int store_function(lua_State *L)
{
	const struct store *store = lua_touserdata(L, 2);
	if (store->slot_count) {
		lua_createtable(L, 0, (int)store->slot_count);
		for (uint32_t i = 0; i < store->slot_count; i++) {
			lua_pushinteger(L, i + 1);
			lua_setfield(L, -2, store->slots[i]);
		}
		store->at->function_slots[store->number] = luaL_ref(L, LUA_REGISTRYINDEX);
	}
	lua_pushvalue(L, 1);
	store->at->functions[store->number] = luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}

/* Keeps the function at the top as `number`. */
static int keep_function(struct hd_lua *lua, struct hd_lua_attached *at, uint32_t number, const char *const *slots, uint32_t slot_count,
			 struct hydro_error *err)
{
	struct store store = {at, number, slots, slot_count};
	char text[HD_DIAG_TEXT_BYTES];
	lua_pushcfunction(lua->L, store_function);
	lua_pushvalue(lua->L, -2);
	lua_pushlightuserdata(lua->L, &store);
	int rc = hd_lua_run(lua, 2, 0, lua->config.load_cpu_us, NULL, text, sizeof text);
	return rc == HYDRO_OK ? rc : hd_error_set(err, HYDRO_E_NOMEM, "%s: %s", hd_script_file(at->script), text);
}

/* Whether the function at the top is the one kept as `number` in this state. */
static bool is_kept(struct hd_lua *lua, const struct hd_lua_attached *at, uint32_t number)
{
	lua_State *L = lua->L;
	if (at->functions[number] == LUA_NOREF)
		return false;
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, at->functions[number]);
	int top = lua_gettop(L);
	bool same = lua_rawequal(L, top, top - 1) || same_upvalues(L, top, top - 1);
	lua_pop(L, 1);
	return same;
}

static bool same_hash(const struct hd_script_function *function, const uint64_t hash[2])
{
	return function->hash[0] == hash[0] && function->hash[1] == hash[1];
}

/* Looks among the functions that this state has, then among those it has still to get. */
static bool find_function(struct hd_lua *lua, struct hd_lua_attached *at, const uint64_t hash[2], uint32_t *ret)
{
	uint32_t count = hd_script_function_count(at->script);
	for (uint32_t pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < count; i++) {
			struct hd_script_function function = hd_script_function_get(at->script, i);
			if (!same_hash(&function, hash) || (at->functions[i] != LUA_NOREF) != (pass == 0))
				continue;
			if (pass == 1 && hd_lua_function_ready(lua, at, i, NULL) != HYDRO_OK)
				continue;
			if (is_kept(lua, at, i)) {
				*ret = i;
				return true;
			}
		}
	}
	return false;
}

int hd_lua_function_number(struct hd_lua *lua, struct hd_lua_attached *at, const struct hd_point *point, uint32_t step, uint32_t line,
			   const char *const *slots, uint32_t slot_count, uint32_t *ret, struct hd_diag *diag, struct hydro_error *err)
{
	struct hd_script_function function = {.sample = point, .step = step, .line = line};
	hash_function(lua->L, slots, slot_count, function.hash);
	if (find_function(lua, at, function.hash, ret))
		return HYDRO_OK;
	int rc = check_captures(lua, at, line, diag, err);
	if (rc != HYDRO_OK)
		return rc;
	rc = hd_script_function_add(at->script, &function, ret);
	if (rc != HYDRO_OK)
		return hd_error_set(err, rc, "%s: a script has at most %u different step functions", hd_script_file(at->script), HD_SCRIPT_FUNCTIONS_MAX);
	return keep_function(lua, at, *ret, slots, slot_count, err);
}

/* Slot names of the step at `index` (a step userdata's table), borrowed from Lua strings that the table holds. */
static uint32_t borrow_slots(lua_State *L, int index, const char *ret[HD_SPEC_SLOTS_MAX])
{
	uint32_t count = 0;
	lua_pushnil(L);
	while (lua_next(L, index)) {
		if (lua_type(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -2), "state") == 0 && lua_type(L, -1) == LUA_TTABLE) {
			for (; count < HD_SPEC_SLOTS_MAX && lua_rawgeti(L, -1, (lua_Integer)count + 1) == LUA_TSTRING; count++) {
				ret[count] = lua_tostring(L, -1);
				lua_pop(L, 1);
			}
			if (count < HD_SPEC_SLOTS_MAX)
				lua_pop(L, 1);
		}
		lua_pop(L, 1);
	}
	return count;
}

int hd_lua_function_ready(struct hd_lua *lua, struct hd_lua_attached *at, uint32_t number, struct hydro_error *err)
{
	if (at->functions[number] != LUA_NOREF)
		return HYDRO_OK;
	lua_State *L = lua->L;
	int top = lua_gettop(L);
	struct hd_script_function function = hd_script_function_get(at->script, number);
	char text[2 * HD_DIAG_TEXT_BYTES];
	if (!lua_checkstack(L, 16))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a Lua stack");
	int rc = hd_lua_call_build(lua, at, function.sample, text, sizeof text);
	if (rc != HYDRO_OK)
		return hd_error_set(err, rc, "%s", text);
	const char *slots[HD_SPEC_SLOTS_MAX];
	uint32_t slot_count = 0;
	if (lua_type(L, -1) == LUA_TTABLE && lua_rawgeti(L, -1, (lua_Integer)function.step + 1) == LUA_TUSERDATA && hd_lua_to_step(lua, lua_gettop(L))) {
		(void)lua_getiuservalue(L, -1, 1);
		slot_count = borrow_slots(L, lua_gettop(L), slots);
		(void)lua_rawgeti(L, -1, 1);
	}
	uint64_t hash[2] = {0, 0};
	if (lua_type(L, -1) == LUA_TFUNCTION && !lua_iscfunction(L, -1))
		hash_function(L, slots, slot_count, hash);
	if (same_hash(&function, hash))
		rc = keep_function(lua, at, number, slots, slot_count, err);
	else
		rc = hd_error_set(err, HYDRO_E_CONFIG, "%s:%u: build does not give the same steps for the same point each time", hd_script_file(at->script),
				  function.line);
	lua_settop(L, top);
	return rc;
}
