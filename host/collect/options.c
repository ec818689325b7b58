/* SPDX-License-Identifier: MIT */
/* Options in the ABI's form, kept per point and version in a table of a fixed size: a place is taken by the last that used it. */
#include "collect/collect_impl.h"

#include <stdlib.h>

#define CACHE_PLACES 8192u /* about half a kilobyte each */

int options_cache_init(struct hd_collect *c)
{
	c->cache = calloc(CACHE_PLACES, sizeof(struct options *));
	c->cache_index = calloc(CACHE_PLACES, sizeof *c->cache_index);
	return c->cache && c->cache_index ? HYDRO_OK : HYDRO_E_NOMEM;
}

void options_cache_done(struct hd_collect *c)
{
	for (uint32_t i = 0; c->cache && i < CACHE_PLACES; i++)
		options_unref(c, c->cache[i]);
	free(c->cache);
	free(c->cache_index);
	c->cache = NULL;
	c->cache_index = NULL;
}

struct options *options_make(struct hd_collect *c, uint32_t provider, uint32_t scope, const char *json, uint64_t version, struct hydro_error *err)
{
	struct options *o = calloc(1, sizeof *o);
	if (!o) {
		hd_error_set(err, HYDRO_E_NOMEM, "no memory for options");
		return NULL;
	}
	o->refs = 1;
	o->provider = provider;
	o->version = version;
	if (c->ops.options(c->ops.arg, &c->providers[provider].config, scope, json, &o->handle, &o->view, err) != HYDRO_OK) {
		free(o);
		return NULL;
	}
	return o;
}

void options_unref(struct hd_collect *c, struct options *o)
{
	if (!o || --o->refs > 0)
		return;
	c->ops.options_free(c->ops.arg, o->handle);
	free(o);
}

struct options *options_point(struct hd_collect *c, const struct hd_point *point, uint32_t provider, struct hydro_error *err)
{
	uint32_t at = point->index % CACHE_PLACES;
	struct options *o = c->cache[at];
	if (!o || c->cache_index[at] != point->index || o->version != point->version || o->provider != provider) {
		o = options_make(c, provider, HYDRO_SCOPE_POINT, hd_point_options(point), point->version, err);
		if (!o)
			return NULL;
		options_unref(c, c->cache[at]);
		c->cache[at] = o;
		c->cache_index[at] = point->index;
	}
	return options_ref(o);
}
