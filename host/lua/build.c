/* SPDX-License-Identifier: MIT */
/*
 * From what build(point) returned to a spec. The walk uses only what cannot raise (raw access, no conversions), so it may
 * hold the spec; the script itself runs before it, under its budget.
 */
#include "lua/internal.h"

#include "base/timefmt.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct walk {
	struct hd_lua *lua;
	lua_State *L;
	struct hd_lua_attached *at;
	const struct hd_point *point;
	struct hd_spec *spec;
	struct hd_diag *diag;
	struct hydro_error *err;
	uint32_t number; /* of the step, from 1 */
	uint32_t line;
	const struct hd_script_lib *lib; /* that the line is of; NULL: the script */
	const char *kind;
};

/* Notes what is wrong with the step under way. */
static int HD_PRINTF(2, 3) refuse(struct walk *w, const char *fmt, ...)
{
	char text[HD_DIAG_TEXT_BYTES], whole[2 * HD_DIAG_TEXT_BYTES];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	const char *file = hd_script_file(w->at->script), *source = hd_script_text(w->at->script);
	char lib_file[HD_DIAG_FILE_BYTES];
	if (w->lib) {
		(void)snprintf(lib_file, sizeof lib_file, "lib/%s.lua", w->lib->name);
		file = lib_file;
		source = w->lib->text;
	}
	if (w->line)
		(void)snprintf(whole, sizeof whole, "%s:%u: %s", file, w->line, text);
	else
		(void)snprintf(whole, sizeof whole, "%s", text);
	hd_diag_from_lua(w->diag, file, source, whole);
	if (!w->diag->column && w->kind)
		w->diag->column = hd_diag_column(source, w->line, w->kind);
	hd_diag_text(w->diag, whole, sizeof whole);
	return hd_error_set(w->err, HYDRO_E_CONFIG, "%s", whole);
}

static int no_memory(struct walk *w)
{
	return hd_error_set(w->err, HYDRO_E_NOMEM, "%s: no memory for step %u, or more than %u bytes of options", hd_script_file(w->at->script),
			    w->number, HD_SPEC_BYTES_MAX);
}

/* Text of the string at the top, copied into the spec. */
static const char *spec_text(struct walk *w)
{
	size_t len;
	const char *text = lua_tolstring(w->L, -1, &len);
	return hd_spec_text(w->spec, text, len);
}

/* Counts a list's leaves: numbers, or rows of numbers; -1 when something else is in it. */
static int64_t count_numbers(lua_State *L, int index, bool nested)
{
	lua_Unsigned len = lua_rawlen(L, index);
	int64_t count = 0;
	for (lua_Unsigned i = 1; i <= len && i <= HD_SPEC_LIST_MAX; i++) {
		int type = lua_rawgeti(L, index, (lua_Integer)i);
		int64_t more = type == LUA_TNUMBER ? 1 : type == LUA_TTABLE && !nested ? count_numbers(L, lua_gettop(L), true) : -1;
		lua_pop(L, 1);
		if (more < 0)
			return -1;
		count += more;
	}
	return len > HD_SPEC_LIST_MAX ? (int64_t)HD_SPEC_LIST_MAX + 1 : count;
}

static void fill_numbers(lua_State *L, int index, double **at)
{
	lua_Unsigned len = lua_rawlen(L, index);
	for (lua_Unsigned i = 1; i <= len; i++) {
		if (lua_rawgeti(L, index, (lua_Integer)i) == LUA_TTABLE)
			fill_numbers(L, lua_gettop(L), at);
		else
			*(*at)++ = lua_tonumber(L, -1);
		lua_pop(L, 1);
	}
}

static int list_of_numbers(struct walk *w, int index, int64_t count, struct hd_spec_arg *ret)
{
	double *numbers = hd_spec_alloc(w->spec, (size_t)HD_MAX(count, 1) * sizeof *numbers);
	if (!numbers)
		return no_memory(w);
	double *at = numbers;
	fill_numbers(w->L, index, &at);
	ret->type = HD_ARG_NUMBERS;
	ret->numbers = numbers;
	ret->count = (uint32_t)count;
	return HYDRO_OK;
}

static int list_of_texts(struct walk *w, int index, const char *key, struct hd_spec_arg *ret)
{
	lua_Unsigned count = lua_rawlen(w->L, index);
	if (count > HD_SPEC_LIST_MAX)
		return refuse(w, "a list of step '%s' has more than %u values", w->kind, HD_SPEC_LIST_MAX);
	const char **texts = hd_spec_alloc(w->spec, (size_t)HD_MAX(count, 1) * sizeof *texts);
	if (!texts)
		return no_memory(w);
	for (lua_Unsigned i = 0; i < count; i++) {
		int type = lua_rawgeti(w->L, index, (lua_Integer)i + 1);
		texts[i] = type == LUA_TSTRING ? spec_text(w) : NULL;
		lua_pop(w->L, 1);
		if (type != LUA_TSTRING)
			return refuse(w, "%s%s of step '%s' is a list of numbers, or of texts, not of both", *key ? "option " : "what stands without name",
				      key, w->kind);
		if (!texts[i])
			return no_memory(w);
	}
	ret->type = HD_ARG_TEXTS;
	ret->texts = texts;
	ret->count = (uint32_t)count;
	return HYDRO_OK;
}

/* A list whose first element is { from = …, … }. */
static bool is_dated(lua_State *L, int index)
{
	bool dated = false;
	if (lua_rawgeti(L, index, 1) == LUA_TTABLE) {
		lua_pushliteral(L, "from");
		dated = lua_rawget(L, -2) != LUA_TNIL;
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	return dated;
}

/* One of them, at the top of the stack: its date and numbers to *at, or only counted where *at is NULL. */
static int dated_table(struct walk *w, const char *key, lua_Integer n, double **at, int64_t *count)
{
	lua_State *L = w->L;
	int top = lua_gettop(L);
	int64_t ms = 0, numbers = -1;
	size_t len = 0;
	if (lua_type(L, top) == LUA_TTABLE) {
		lua_pushliteral(L, "from");
		const char *from = lua_rawget(L, top) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : "";
		if (!hd_date_parse(from, len, &ms)) {
			lua_settop(L, top);
			return refuse(w, "%s of step '%s': table %d: `from` is a date such as \"2025-01-01\"", key, w->kind, (int)n);
		}
		lua_pushliteral(L, "table");
		numbers = lua_rawget(L, top) == LUA_TTABLE ? count_numbers(L, top + 2, false) : -1;
	}
	if (numbers > 0 && numbers <= (int64_t)HD_SPEC_LIST_MAX && *at) {
		*(*at)++ = (double)ms;
		*(*at)++ = (double)numbers;
		fill_numbers(L, top + 2, at);
	}
	lua_settop(L, top);
	*count += 2 + numbers;
	if (numbers <= 0 || *count > (int64_t)HD_SPEC_LIST_MAX)
		return refuse(w, "%s of step '%s': table %d: { from = \"2025-01-01\", table = { {0, 0}, … } } with at most %u numbers in all is wanted", key, w->kind,
			      (int)n, HD_SPEC_LIST_MAX);
	return HYDRO_OK;
}

static int list_of_dated(struct walk *w, int index, const char *key, struct hd_spec_arg *ret)
{
	lua_Integer len = (lua_Integer)lua_rawlen(w->L, index);
	double *numbers = NULL, *at = NULL;
	int rc = HYDRO_OK;
	/* Twice: to count, and to fill. */
	for (int pass = 0; pass < 2 && rc == HYDRO_OK; pass++) {
		int64_t count = 0;
		for (lua_Integer i = 1; i <= len && rc == HYDRO_OK; i++) {
			(void)lua_rawgeti(w->L, index, i);
			rc = dated_table(w, key, i, &at, &count);
			lua_pop(w->L, 1);
		}
		if (rc != HYDRO_OK || pass)
			break;
		numbers = at = hd_spec_alloc(w->spec, (size_t)count * sizeof *numbers);
		if (!numbers)
			return no_memory(w);
		ret->count = (uint32_t)count;
	}
	ret->type = HD_ARG_DATED;
	ret->numbers = numbers;
	return rc;
}

static int list(struct walk *w, int index, const char *key, struct hd_spec_arg *ret)
{
	if (*key && is_dated(w->L, index))
		return list_of_dated(w, index, key, ret);
	int64_t numbers = count_numbers(w->L, index, false);
	if (numbers > (int64_t)HD_SPEC_LIST_MAX)
		return refuse(w, "a list of step '%s' has more than %u values", w->kind, HD_SPEC_LIST_MAX);
	if (numbers > 0)
		return list_of_numbers(w, index, numbers, ret);
	return list_of_texts(w, index, key, ret);
}

/* The option whose value is at the top of the stack. */
static int argument(struct walk *w, const char *key, struct hd_spec_arg *ret)
{
	*ret = (struct hd_spec_arg){.key = hd_spec_text(w->spec, key, strlen(key)), .count = 1};
	if (!ret->key)
		return no_memory(w);
	switch (lua_type(w->L, -1)) {
	case LUA_TNUMBER:
		ret->type = HD_ARG_NUMBER;
		ret->number = lua_tonumber(w->L, -1);
		return isfinite(ret->number) ? HYDRO_OK : refuse(w, "option '%s' of step %s is not a finite number", key, w->kind);
	case LUA_TBOOLEAN:
		ret->type = HD_ARG_BOOL;
		ret->number = lua_toboolean(w->L, -1);
		return HYDRO_OK;
	case LUA_TSTRING:
		ret->type = HD_ARG_TEXT;
		ret->text = spec_text(w);
		return ret->text ? HYDRO_OK : no_memory(w);
	case LUA_TTABLE:
		return list(w, lua_gettop(w->L), key, ret);
	default:
		return refuse(w, "option '%s' of step %s cannot be a %s", key, w->kind, luaL_typename(w->L, -1));
	}
}

/* Named options of the table at `index`, sorted by key so that equal steps make equal specs. */
static int named_arguments(struct walk *w, int index, struct hd_spec_step *step, struct hd_spec_arg *args)
{
	lua_State *L = w->L;
	lua_pushnil(L);
	while (lua_next(L, index)) {
		int rc = HYDRO_OK;
		if (lua_type(L, -2) == LUA_TSTRING) {
			const char *key = lua_tostring(L, -2);
			if (strcmp(key, "id") == 0 && lua_type(L, -1) == LUA_TSTRING) {
				step->id = spec_text(w);
				rc = step->id ? HYDRO_OK : no_memory(w);
			} else if (step->arg_count == HD_SPEC_ARGS_MAX) {
				rc = refuse(w, "step '%s' has more than %u options", w->kind, HD_SPEC_ARGS_MAX);
			} else {
				struct hd_spec_arg arg;
				rc = argument(w, key, &arg);
				uint32_t i = step->arg_count;
				for (; rc == HYDRO_OK && i > 0 && strcmp(args[i - 1].key, arg.key) > 0; i--)
					args[i] = args[i - 1];
				if (rc == HYDRO_OK) {
					args[i] = arg;
					step->arg_count++;
				}
			}
		} else if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) < 1 || (lua_Unsigned)lua_tointeger(L, -2) > lua_rawlen(L, index)) {
			rc = refuse(w, "what stands without name in step '%s' has a hole (a nil?)", w->kind);
		}
		lua_pop(L, 1);
		if (rc != HYDRO_OK) {
			lua_pop(L, 1);
			return rc;
		}
	}
	return HYDRO_OK;
}

static int plain_step(struct walk *w, int index, struct hd_spec_step *step)
{
	struct hd_spec_arg *args = hd_spec_alloc(w->spec, (HD_SPEC_ARGS_MAX + 1) * sizeof *args);
	if (!args)
		return no_memory(w);
	step->args = args;
	int rc = named_arguments(w, index, step, args);
	if (rc != HYDRO_OK || lua_rawlen(w->L, index) == 0)
		return rc;
	struct hd_spec_arg positional = {.key = "", .count = 1};
	rc = list(w, index, "", &positional);
	if (rc == HYDRO_OK)
		args[step->arg_count++] = positional;
	return rc;
}

/* state = {"last", "n"} of a Lua step. */
static int state_slots(struct walk *w, int index, struct hd_spec_step *step)
{
	lua_State *L = w->L;
	if (lua_type(L, index) != LUA_TTABLE || lua_rawlen(L, index) > HD_SPEC_SLOTS_MAX)
		return refuse(w, "'state' of a lua step is a list of at most %u names", HD_SPEC_SLOTS_MAX);
	struct hd_spec_arg arg = {.key = ""};
	int rc = lua_rawlen(L, index) ? list_of_texts(w, index, "", &arg) : HYDRO_OK;
	for (uint32_t i = 0; i < arg.count && rc == HYDRO_OK; i++)
		for (uint32_t k = 0; k < i; k++)
			if (strcmp(arg.texts[i], arg.texts[k]) == 0)
				rc = refuse(w, "state slot '%s' is declared twice", arg.texts[i]);
	if (rc != HYDRO_OK)
		return rc;
	step->slots = arg.texts;
	step->slot_count = arg.count;
	return HYDRO_OK;
}

/* lua { id =, state = {…}, fn }: leaves the function on the stack. */
static int lua_step(struct walk *w, int index, struct hd_spec_step *step)
{
	lua_State *L = w->L;
	int rc = HYDRO_OK;
	lua_pushnil(L);
	while (rc == HYDRO_OK && lua_next(L, index)) {
		const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
		if (strcmp(key, "id") == 0) {
			step->id = lua_type(L, -1) == LUA_TSTRING ? spec_text(w) : NULL;
			rc = step->id ? HYDRO_OK : refuse(w, "'id' of a lua step is a text");
		} else if (strcmp(key, "state") == 0) {
			rc = state_slots(w, lua_gettop(L), step);
		}
		lua_pop(L, 1);
	}
	if (rc != HYDRO_OK) {
		lua_pop(L, 1);
		return rc;
	}
	(void)lua_rawgeti(L, index, 1);
	return lua_rawlen(L, index) == 1 ? HYDRO_OK : refuse(w, "a lua step has one function: lua { state = {\"last\"}, function (m, state, point) … end }");
}

static int function_step(struct walk *w, struct hd_spec_step *step)
{
	lua_State *L = w->L;
	if (lua_type(L, -1) != LUA_TFUNCTION || lua_iscfunction(L, -1))
		return refuse(w, "step %u is a %s, not a function of the script", w->number, luaL_typename(L, -1));
	if (!step->line) {
		lua_Debug ar;
		lua_pushvalue(L, -1);
		if (lua_getinfo(L, ">S", &ar) && ar.linedefined > 0)
			step->line = w->line = (uint32_t)ar.linedefined;
	}
	return hd_lua_function_number(w->lua, w->at, w->point, w->number - 1, step->line, step->slots, step->slot_count, &step->function, w->diag,
				      w->err);
}

/* The step at the top of the stack. */
static int one_step(struct walk *w)
{
	lua_State *L = w->L;
	int top = lua_gettop(L);
	struct hd_spec_step step = {.kind = HD_SPEC_KIND_LUA, .id = ""};
	const struct hd_lua_step *made = hd_lua_to_step(w->lua, top);
	int rc = HYDRO_OK;
	w->line = step.line = made ? made->line : 0;
	w->lib = made && made->lib ? hd_script_lib_at(w->at->script, made->lib - 1) : NULL;
	step.lib = w->lib ? w->lib->name : NULL;
	w->kind = made ? hd_lua_step_kind(w->lua, made) : NULL;
	if (made && made->kind != HD_LUA_KIND_LUA) {
		step.kind = w->kind;
		(void)lua_getiuservalue(L, top, 1);
		rc = plain_step(w, top + 1, &step);
	} else if (made) {
		(void)lua_getiuservalue(L, top, 1);
		rc = lua_step(w, top + 1, &step);
		if (rc == HYDRO_OK)
			rc = function_step(w, &step);
	} else if (lua_type(L, top) == LUA_TFUNCTION) {
		rc = function_step(w, &step);
	} else {
		rc = refuse(w, "step %u that build returned is a %s, not a step: counter { … }, function (m, state, point) … end", w->number,
			    luaL_typename(L, top));
	}
	lua_settop(L, top);
	return rc == HYDRO_OK ? hd_spec_add(w->spec, &step, w->err) : rc;
}

static int all_steps(struct walk *w)
{
	lua_State *L = w->L;
	int list_at = lua_gettop(L);
	if (lua_type(L, list_at) != LUA_TTABLE)
		return refuse(w, "build returned a %s, not a list of steps", luaL_typename(L, list_at));
	lua_Unsigned count = lua_rawlen(L, list_at);
	if (count > HD_SPEC_STEPS_MAX)
		return refuse(w, "build returned %llu steps: at most %u", (unsigned long long)count, HD_SPEC_STEPS_MAX);
	int rc = HYDRO_OK;
	for (lua_Unsigned i = 1; i <= count && rc == HYDRO_OK; i++) {
		(void)lua_rawgeti(L, list_at, (lua_Integer)i);
		w->number = (uint32_t)i;
		rc = one_step(w);
		lua_pop(L, 1);
	}
	return rc;
}

int hd_lua_call_build(struct hd_lua *lua, struct hd_lua_attached *at, const struct hd_point *point, char *text, size_t text_bytes)
{
	const struct hd_point *outer_point = lua->point;
	struct hd_lua_attached *outer = lua->building;
	lua->point = point;
	lua->building = at;
	(void)lua_rawgeti(lua->L, LUA_REGISTRYINDEX, at->build_ref);
	lua_pushvalue(lua->L, HD_LUA_AT_POINT);
	int rc = hd_lua_run(lua, 1, 1, lua->config.build_cpu_us, NULL, text, text_bytes);
	lua->building = outer;
	lua->point = outer_point;
	return rc;
}

int hd_script_build(struct hd_lua *lua, struct hd_script *script, const struct hd_point *point, struct hd_spec *ret, struct hd_diag *diag,
		    struct hydro_error *err)
{
	struct hd_lua_attached *at = hd_lua_attached(lua, script);
	HD_ASSERT(at);
	struct hd_diag local;
	struct walk w = {.lua = lua, .L = lua->L, .at = at, .point = point, .spec = ret, .diag = diag ? diag : &local, .err = err};
	*w.diag = (struct hd_diag){0};
	hd_spec_clear(ret);
	ret->script = hd_spec_text(ret, hd_script_version(script), strlen(hd_script_version(script)));
	if (!ret->script)
		return no_memory(&w);
	int top = lua_gettop(lua->L);
	char text[2 * HD_DIAG_TEXT_BYTES];
	int rc = hd_lua_call_build(lua, at, point, text, sizeof text);
	/* Of a million innocent builds one pays for a page fault storm or another's garbage: what is stopped gets one more try, from
	 * a clean heap. A build that really takes too long is stopped twice. */
	if (rc == HYDRO_E_LIMIT || rc == HYDRO_E_TIMEOUT)
		rc = hd_lua_call_build(lua, at, point, text, sizeof text);
	if (rc != HYDRO_OK) {
		hd_diag_from_lua(w.diag, hd_script_file(script), hd_script_text(script), text);
		hd_diag_text(w.diag, text, sizeof text);
		return hd_error_set(err, rc, "%s", text);
	}
	rc = all_steps(&w);
	lua_settop(lua->L, top);
	return rc;
}
