/* SPDX-License-Identifier: MIT */
/* A temporary folder of plugins, and a plugin host on it, for the tests of this folder. */
#ifndef HD_TEST_PLUGIN_WORLD_H
#define HD_TEST_PLUGIN_WORLD_H

#include "check.h"

#include "base/fs.h"
#include "model/names.h"
#include "plugin/plugin.h"

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct world {
	char dir[64];
	char crumbs[96];
	const char *dirs[1];
	struct hd_names *names;
	struct hd_plugins *plugins;
	struct hydro_error err;
	pthread_mutex_t lock; /* guards: log */
	char log[8192];
};

static inline void world_log(void *arg, uint32_t level, const char *instance, const char *text)
{
	struct world *w = arg;
	(void)level;
	(void)pthread_mutex_lock(&w->lock);
	size_t used = strlen(w->log);
	(void)snprintf(w->log + used, sizeof w->log - used, "%s: %s\n", instance, text);
	(void)pthread_mutex_unlock(&w->lock);
}

static inline bool world_said(struct world *w, const char *text)
{
	(void)pthread_mutex_lock(&w->lock);
	bool said = strstr(w->log, text) != NULL;
	(void)pthread_mutex_unlock(&w->lock);
	return said;
}

static inline void world_init(struct world *w)
{
	memset(w, 0, sizeof *w);
	w->err.struct_size = sizeof w->err;
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)snprintf(w->dir, sizeof w->dir, "/tmp/hydro-plugins-XXXXXX");
	cr_assert_not_null(mkdtemp(w->dir));
	(void)snprintf(w->crumbs, sizeof w->crumbs, "%s/crumbs", w->dir);
	w->dirs[0] = w->dir;
	cr_assert_eq(hd_names_open(NULL, &w->names, &w->err), HYDRO_OK);
}

/* Copies a fixture into the folder under a name. */
static inline void world_add(struct world *w, const char *fixture, const char *as)
{
	char from[512], to[512];
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	(void)snprintf(from, sizeof from, "%s/fixtures/%s.so", HD_BINARY_DIR, fixture);
	(void)snprintf(to, sizeof to, "%s/%s.so", w->dir, as);
	cr_assert_eq(hd_fs_read(from, 64u << 20, &buf, &w->err), HYDRO_OK, "%s", w->err.text);
	cr_assert_eq(hd_fs_write_atomic(to, buf.data, buf.len, 0644, &w->err), HYDRO_OK);
}

static inline void world_write(struct world *w, const char *name, const void *data, size_t len)
{
	char to[512];
	(void)snprintf(to, sizeof to, "%s/%s", w->dir, name);
	cr_assert_eq(hd_fs_write_atomic(to, data, len, 0644, &w->err), HYDRO_OK);
}

static inline struct hd_plugins_config world_config(struct world *w)
{
	return (struct hd_plugins_config){.dirs = w->dirs, .dir_count = 1, .runner_path = HD_RUNNER, .names = w->names, .log = world_log, .log_arg = w,
					  .probe_ms = 20000};
}

static inline void world_open(struct world *w)
{
	struct hd_plugins_config cfg = world_config(w);
	cr_assert_eq(hd_plugins_open(&cfg, &w->plugins, &w->err), HYDRO_OK, "%s", w->err.text);
}

/* The entry of a file, by the name it was added as. */
static inline struct hd_plugin_info world_info(struct world *w, const char *name)
{
	struct hd_plugin_info info;
	char end[64];
	(void)snprintf(end, sizeof end, "/%s.so", name);
	for (size_t i = 0; hd_plugins_get(w->plugins, i, &info); i++)
		if (strlen(info.path) > strlen(end) && strcmp(info.path + strlen(info.path) - strlen(end), end) == 0)
			return info;
	cr_assert_fail("no entry for the file");
	return (struct hd_plugin_info){.state = 0};
}

static inline void world_done(struct world *w)
{
	char command[128];
	hd_plugins_close(&w->plugins);
	hd_names_close(&w->names);
	(void)snprintf(command, sizeof command, "rm -rf %s", w->dir);
	cr_assert_eq(system(command), 0);
}

#endif
