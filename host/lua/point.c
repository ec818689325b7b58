/* SPDX-License-Identifier: MIT */
/* `point` as scripts see it: a frozen view of the params of the point under way. */
#include "lua/internal.h"

#include "model/points.h"

#include <stdlib.h>
#include <string.h>

/* Fields that every point has; params of the same name are hidden by them. */
LUA_RAISES static bool push_own_field(lua_State *L, const struct hd_point *point, const char *key)
{
	char id[HD_UUID_TEXT];
	if (strcmp(key, "name") == 0) {
		lua_pushstring(L, hd_point_name(point));
	} else if (strcmp(key, "id") == 0) {
		hd_uuid_format(&point->id, id);
		lua_pushstring(L, id);
	} else if (strcmp(key, "period") == 0) {
		lua_pushinteger(L, point->period_s);
	} else if (strcmp(key, "zone") == 0) {
		const char *zone = hd_point_zone(point);
		lua_pushstring(L, *zone ? zone : "America/Santiago");
	} else {
		return false;
	}
	return true;
}

/* A list or table in params is a copy of its own at each reading: writing into it changes nothing. */
LUA_RAISES static int point_index(lua_State *L)
{
	const struct hd_point *point = hd_lua_of(L)->point;
	if (!point)
		return luaL_error(L, "point is there only while build or a step runs");
	size_t len;
	if (lua_type(L, 2) != LUA_TSTRING)
		return luaL_error(L, "point is read by name, as in point.offset");
	const char *key = lua_tolstring(L, 2, &len), *value;
	if (push_own_field(L, point, key))
		return 1;
	if (hd_lua_json_field(hd_point_params(point), key, len, &value))
		hd_lua_json_push(L, value);
	else
		lua_pushnil(L);
	return 1;
}

LUA_RAISES void hd_lua_open_point(lua_State *L)
{
	(void)lua_newuserdatauv(L, 0, 0);
	hd_sandbox_metatable(L, "point", point_index, NULL);
	(void)lua_setmetatable(L, -2);
}

size_t hd_lua_point_bytes(const char *name, const char *params, const char *zone)
{
	return sizeof(struct hd_point) + strlen(name) + strlen(params) + strlen(zone) + 4;
}

static uint16_t add_text(struct hd_point *point, size_t *at, const char *text)
{
	size_t len = strlen(text) + 1;
	uint16_t begin = (uint16_t)*at;
	memcpy(point->texts + *at, text, len);
	*at += len;
	return begin;
}

void hd_lua_point_fill(struct hd_point *ret, const struct hd_point *like, const char *name, const char *params, const char *zone)
{
	size_t at = 0;
	HD_ASSERT(strlen(name) + strlen(params) + strlen(zone) + 4 <= HD_POINT_TEXT_BYTES_MAX);
	memset(ret, 0, sizeof *ret);
	if (like)
		*ret = *like;
	ret->refs = 1;
	ret->name_at = add_text(ret, &at, name);
	ret->params_at = add_text(ret, &at, params);
	ret->zone_at = add_text(ret, &at, zone);
	ret->provider_at = ret->pipeline_at = ret->options_at = add_text(ret, &at, "");
}

int hd_lua_point_new(const char *name, const char *params, struct hd_point **ret, struct hydro_error *err)
{
	if (strlen(name) + strlen(params) + 4 > HD_POINT_TEXT_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "params of point %s are too large", name);
	struct hd_point *point = malloc(hd_lua_point_bytes(name, params, ""));
	if (!point)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a point");
	hd_lua_point_fill(point, NULL, name, params, "");
	point->bits = HD_POINT_ACTIVE;
	*ret = point;
	return HYDRO_OK;
}
