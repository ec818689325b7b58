/* SPDX-License-Identifier: MIT */
/* A store in a temporary folder. */
#ifndef HD_TESTS_STORE_WORLD_H
#define HD_TESTS_STORE_WORLD_H

#include "check.h"

#include "store/import.h"
#include "store/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct store_world {
	char dir[64], path[96], snapshot[96];
	struct hd_key key;
	struct hd_store *store;
	struct hydro_error err;
};

static inline void store_world_open(struct store_world *w)
{
	struct hd_store_config config = {.path = w->path, .key = &w->key, .snapshot = w->snapshot};
	int rc = hd_store_open(&config, &w->store, &w->err);
	cr_assert_eq(rc, HYDRO_OK, "%s", w->err.text);
}

static inline void store_world_begin(struct store_world *w)
{
	*w = (struct store_world){.dir = "/tmp/hydro-store-XXXXXX"};
	cr_assert_not_null(mkdtemp(w->dir));
	(void)snprintf(w->path, sizeof w->path, "%s/business.db", w->dir);
	(void)snprintf(w->snapshot, sizeof w->snapshot, "%s/points.snapshot", w->dir);
	memset(w->key.bytes, 7, sizeof w->key.bytes);
	w->key.id = 7;
	store_world_open(w);
}

static inline void store_world_end(struct store_world *w)
{
	char command[128];
	hd_store_close(&w->store);
	(void)snprintf(command, sizeof command, "rm -rf '%s'", w->dir);
	cr_assert_eq(system(command), 0);
}

/* A point with all texts set; the caller changes what it likes. */
static inline struct hd_store_point store_world_point(const char *name)
{
	return (struct hd_store_point){.bits = HD_POINT_ACTIVE, .period_s = 900, .join_ms = 30000, .name = name, .provider = "twin", .pipeline = "well",
				       .zone = "", .shown = "{}", .options = "{}", .params = "{}"};
}

/* Treats "secret" as a secret option and "bad" as an unknown one; the pipeline "none" is not there. */
static inline int store_world_options(void *arg, const char *provider, uint32_t scope, const char *json, struct hd_buf *ret_shown, bool *ret_secret,
				      struct hydro_error *err)
{
	(void)arg, (void)scope;
	if (strcmp(provider, "nobody") == 0)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "there is no provider %s", provider);
	if (strstr(json, "\"bad\""))
		return hd_error_set(err, HYDRO_E_CONFIG, "option 'bad' is not known");
	const char *secret = strstr(json, "\"secret\":\"");
	*ret_secret = secret != NULL;
	if (!secret) {
		hd_buf_add_text(ret_shown, json);
		return HYDRO_OK;
	}
	const char *end = strchr(secret + 10, '"');
	hd_buf_add(ret_shown, json, (size_t)(secret + 10 - json));
	hd_buf_add_text(ret_shown, "***");
	hd_buf_add_text(ret_shown, end);
	return HYDRO_OK;
}

static inline int store_world_check(void *arg, const struct hd_point_spec *spec, struct hydro_error *err)
{
	(void)arg;
	return strcmp(spec->pipeline, "none") == 0 ? hd_error_set(err, HYDRO_E_NOTFOUND, "pipeline: there is no pipeline \"none\"") : HYDRO_OK;
}

static inline uint32_t store_world_option_type(void *arg, const char *provider, uint32_t scope, const char *key)
{
	(void)arg, (void)provider, (void)scope;
	return strcmp(key, "limit") == 0 ? HYDRO_OPT_INT : HYDRO_OPT_STRING;
}

static const struct hd_store_checks store_world_checks = {NULL, store_world_option_type, store_world_options, store_world_check};

#endif
