/* SPDX-License-Identifier: MIT */
/* Opening, closing, and what workers ask for; the changes are in scripts_reload.c. */
#include "pipeline/scripts_inner.h"

#include "base/hash.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void hd_scripts_event(struct hd_scripts *s, uint32_t level, const char *event, const char *fmt, ...)
{
	if (!s->config.event)
		return;
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	s->config.event(s->config.event_arg, level, event, text);
}

struct hd_scripts_entry *hd_scripts_find(struct hd_scripts *s, const char *name)
{
	for (uint32_t i = 0; i < s->entry_count; i++)
		if (strcmp(s->entries[i].name, name) == 0)
			return &s->entries[i];
	return NULL;
}

struct hd_scripts_entry *hd_scripts_add(struct hd_scripts *s, const char *name)
{
	if (s->entry_count == HD_SCRIPTS_MAX || strlen(name) >= HD_SCRIPT_NAME_BYTES_MAX)
		return NULL;
	struct hd_scripts_entry *entry = &s->entries[s->entry_count++];
	*entry = (struct hd_scripts_entry){.share = 100};
	(void)snprintf(entry->name, sizeof entry->name, "%s", name);
	return entry;
}

bool hd_scripts_is_live(const struct hd_scripts *s, const struct hd_script *script)
{
	for (uint32_t i = 0; i < s->entry_count; i++)
		if (s->entries[i].live == script || s->entries[i].canary == script)
			return true;
	return false;
}

struct hd_script *hd_scripts_of_point(const struct hd_scripts_entry *entry, uint32_t point)
{
	if (entry->canary && hd_hash_u64(point ^ UINT64_C(0x5ca1ab1e)) % 100 < entry->share)
		return entry->canary;
	return entry->live;
}

static int make_states(struct hd_scripts *s, struct hydro_error *err)
{
	struct hd_lua_config config = {.watchdog = s->watchdog, .names = s->config.names, .step_cpu_us = s->config.step_cpu_us};
	config.steps = hd_steps_lua_docs(&config.step_count);
	int rc = hd_lua_new(&config, &s->tester, err);
	for (uint32_t i = 0; i < s->worker_count && rc == HYDRO_OK; i++)
		rc = hd_lua_new(&config, &s->workers[i], err);
	/* It holds all scripts at once, and no measurement waits for it. */
	config.memory_bytes = 4 * HD_LUA_MEMORY_BYTES;
	return rc == HYDRO_OK ? hd_lua_new(&config, &s->builder, err) : rc;
}

static bool is_dir(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int set_dirs(struct hd_scripts *s, struct hydro_error *err)
{
	const char *dir = s->config.dir;
	if (strlen(dir) + 64 > sizeof s->dir || (s->config.state_dir && strlen(s->config.state_dir) + 128 > sizeof s->state_dir))
		return hd_error_set(err, HYDRO_E_LIMIT, "path of the pipelines' folder is too long");
	if (!is_dir(dir))
		return hd_error_set(err, HYDRO_E_NOTFOUND, "%s: no folder of pipelines", dir);
	(void)snprintf(s->dir, sizeof s->dir, "%s", dir);
	(void)snprintf(s->lib_dir, sizeof s->lib_dir, "%s/lib", dir);
	if (!is_dir(s->lib_dir))
		(void)snprintf(s->lib_dir, sizeof s->lib_dir, "%s/../lib", dir);
	if (s->config.state_dir)
		(void)snprintf(s->state_dir, sizeof s->state_dir, "%s", s->config.state_dir);
	return HYDRO_OK;
}

int hd_scripts_open(const struct hd_scripts_config *config, struct hd_scripts **ret, struct hydro_error *err)
{
	if (config->workers == 0 || config->workers > HD_WORKERS_MAX)
		return hd_error_set(err, HYDRO_E_INVALID, "%u workers: 1 to %u", config->workers, HD_WORKERS_MAX);
	struct hd_scripts *s = calloc(1, sizeof *s);
	if (!s)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the scripts");
	s->config = *config;
	s->worker_count = config->workers;
	s->wake_fd = s->watch_fd = -1;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_mutex_init(&s->changed_lock, NULL);
	int rc = hd_scripts_job_new(s, err);
	if (rc == HYDRO_OK)
		rc = set_dirs(s, err);
	if (rc == HYDRO_OK)
		rc = hd_watchdog_new(&s->watchdog, err);
	if (rc == HYDRO_OK && (rc = hd_shapes_new(config->names, &s->shapes)) != HYDRO_OK)
		hd_error_set(err, rc, "no memory for the shapes of plans");
	if (rc == HYDRO_OK && config->sinks && (rc = hd_shapes_set_sinks(s->shapes, config->sinks, config->sink_count)) != HYDRO_OK)
		hd_error_set(err, rc, "no memory for the names of sinks");
	if (rc == HYDRO_OK)
		hd_shapes_set_detectors(s->shapes, config->detectors);
	if (rc == HYDRO_OK)
		rc = make_states(s, err);
	if (rc == HYDRO_OK)
		rc = hd_scripts_load_all(s, err);
	if (rc != HYDRO_OK) {
		hd_scripts_close(&s);
		return rc;
	}
	hd_points_watch(config->points, hd_scripts_point_changed, s);
	*ret = s;
	return HYDRO_OK;
}

int hd_scripts_start(struct hd_scripts *s, struct hd_pipeline *pipeline, struct hydro_error *err)
{
	HD_ASSERT(hd_pipeline_workers(pipeline) == s->worker_count);
	/* From now on changes are noted, so that none falls between the build of all and the following. */
	(void)pthread_mutex_lock(&s->changed_lock);
	s->following = true;
	(void)pthread_mutex_unlock(&s->changed_lock);
	(void)pthread_mutex_lock(&s->lock);
	s->pipeline = pipeline;
	int rc = HYDRO_OK;
	hd_shapes_set_detectors(hd_pipeline_shapes(pipeline), s->config.detectors);
	if (s->config.sinks && (rc = hd_shapes_set_sinks(hd_pipeline_shapes(pipeline), s->config.sinks, s->config.sink_count)) != HYDRO_OK)
		hd_error_set(err, rc, "no memory for the names of sinks");
	if (rc == HYDRO_OK)
		rc = hd_scripts_first_plans(s, err);
	(void)pthread_mutex_unlock(&s->lock);
	return rc == HYDRO_OK ? hd_scripts_follow_start(s, err) : rc;
}

void hd_scripts_stop(struct hd_scripts *s)
{
	if (!s)
		return;
	hd_scripts_job_stop(s);
	hd_scripts_follow_stop(s);
}

void hd_scripts_close(struct hd_scripts **scripts)
{
	struct hd_scripts *s = HD_STEAL(*scripts);
	if (!s)
		return;
	hd_points_unwatch(s->config.points, hd_scripts_point_changed, s);
	hd_scripts_job_free(s);
	hd_scripts_follow_stop(s);
	for (uint32_t i = 0; i < s->worker_count; i++)
		hd_lua_free(&s->workers[i]);
	hd_lua_free(&s->builder);
	hd_lua_free(&s->tester);
	for (uint32_t i = 0; i < s->entry_count; i++) {
		hd_script_unref(&s->entries[i].live);
		hd_script_unref(&s->entries[i].canary);
	}
	hd_spec_done(&s->spec);
	hd_shapes_free(&s->shapes);
	hd_watchdog_free(&s->watchdog);
	free(s->changed);
	(void)pthread_mutex_destroy(&s->changed_lock);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

int hd_scripts_call_lua(void *arg, uint32_t worker, struct hd_script *script, uint32_t function, const struct hd_mview *view, double *slots,
			const struct hd_point *point, struct hd_lua_fault *fault)
{
	struct hd_scripts *s = arg;
	struct hd_lua *lua = s->workers[worker];
	/* A candidate in a dry run has not been attached before; what goes live has. */
	if (HD_UNLIKELY(!hd_lua_is_attached(lua, script))) {
		struct hydro_error err = {0};
		int rc = hd_lua_attach(lua, script, NULL, &err);
		if (rc != HYDRO_OK) {
			*fault = (struct hd_lua_fault){.stop = HD_STOP_NONE};
			(void)snprintf(fault->text, sizeof fault->text, "%.399s", err.text);
			return HYDRO_E_INVALID;
		}
	}
	return hd_lua_call_step(lua, script, function, view, slots, point, fault);
}

static const char *entry_name(const void *arg, uint32_t i)
{
	return ((const struct hd_scripts_entry *)arg)[i].name;
}

bool hd_scripts_nearest(struct hd_scripts *s, const char *name, char ret[64])
{
	(void)pthread_mutex_lock(&s->lock);
	const char *nearest = hd_diag_nearest(name, entry_name, s->entries, s->entry_count);
	if (nearest)
		(void)snprintf(ret, 64, "%s", nearest);
	(void)pthread_mutex_unlock(&s->lock);
	return nearest != NULL;
}

static uint32_t count_points(struct hd_scripts *s, const char *name)
{
	uint32_t count = 0, all = hd_points_count(s->config.points);
	for (uint32_t i = 0; i < all; i++) {
		const struct hd_point *point = hd_points_get(s->config.points, i);
		if (point && !(point->bits & HD_POINT_DELETED) && strcmp(hd_point_pipeline(point), name) == 0)
			count++;
		if (point)
			hd_point_unref(point);
	}
	return count;
}

/* What runs is what the file says, but for a rollback where files are not written, or a file that is wrong. */
static const char *in_folder(struct hd_scripts *s, const struct hd_scripts_entry *entry)
{
	struct hd_script *file = NULL;
	if (hd_scripts_load_file(s, entry->name, &file, NULL) != HYDRO_OK)
		return "missing";
	bool same = strcmp(hd_script_hash(file), hd_script_hash(entry->live)) == 0 ||
		    (entry->canary && strcmp(hd_script_hash(file), hd_script_hash(entry->canary)) == 0);
	hd_script_unref(&file);
	return same ? "same" : "differs";
}

static void list_entry(struct hd_scripts *s, const struct hd_scripts_entry *entry, struct hd_buf *ret)
{
	hd_buf_add_text(ret, "{\"name\":");
	hd_buf_add_json(ret, entry->name, strlen(entry->name));
	if (entry->live) {
		hd_buf_add_text(ret, ",\"file\":");
		hd_buf_add_json(ret, hd_script_file(entry->live), strlen(hd_script_file(entry->live)));
		hd_buf_printf(ret, ",\"hash\":\"%s\",\"generation\":\"%s\",\"folder\":\"%s\"", hd_script_hash(entry->live), hd_script_version(entry->live),
			      in_folder(s, entry));
	}
	hd_buf_printf(ret, ",\"live\":%s,\"version\":%u,\"points\":%u", entry->live ? "true" : "false", entry->version, count_points(s, entry->name));
	if (entry->canary)
		hd_buf_printf(ret, ",\"canary\":{\"generation\":\"%s\",\"share\":%u}", hd_script_version(entry->canary), entry->share);
	hd_buf_add_char(ret, '}');
}

int hd_scripts_list(struct hd_scripts *s, struct hd_buf *ret_json, struct hydro_error *err)
{
	(void)pthread_mutex_lock(&s->lock);
	hd_buf_add_char(ret_json, '[');
	for (uint32_t i = 0; i < s->entry_count; i++) {
		if (i)
			hd_buf_add_char(ret_json, ',');
		list_entry(s, &s->entries[i], ret_json);
	}
	hd_buf_add_char(ret_json, ']');
	(void)pthread_mutex_unlock(&s->lock);
	return ret_json->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the list of pipelines") : HYDRO_OK;
}

int hd_scripts_versions(struct hd_scripts *s, const char *name, struct hd_buf *ret_json, struct hydro_error *err)
{
	(void)pthread_mutex_lock(&s->lock);
	int rc = hd_scripts_find(s, name) ? hd_scripts_versions_json(s, name, ret_json, err)
					  : hd_error_set(err, HYDRO_E_NOTFOUND, "there is no pipeline '%s'", name);
	(void)pthread_mutex_unlock(&s->lock);
	return rc;
}

int hd_scripts_text(struct hd_scripts *s, const char *name, uint32_t version, struct hd_buf *ret_text, char ret_hash[17], struct hydro_error *err)
{
	(void)pthread_mutex_lock(&s->lock);
	const struct hd_scripts_entry *entry = hd_scripts_find(s, name);
	int rc = HYDRO_OK;
	if (!entry || (!version && !entry->live)) {
		rc = hd_error_set(err, HYDRO_E_NOTFOUND, "there is no pipeline '%s' that runs", name);
	} else if (!version) {
		(void)snprintf(ret_hash, 17, "%s", hd_script_hash(entry->live));
		if (!hd_buf_add(ret_text, hd_script_text(entry->live), hd_script_len(entry->live)))
			rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory for the text of '%s'", name);
	} else {
		rc = hd_scripts_version_read(s, name, version, ret_text, err);
		struct hd_script *script = NULL;
		if (rc == HYDRO_OK)
			rc = hd_scripts_load_text(s, name, ret_text->data ? ret_text->data : "", ret_text->len, &script, err);
		if (rc == HYDRO_OK)
			(void)snprintf(ret_hash, 17, "%s", hd_script_hash(script));
		hd_script_unref(&script);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return rc;
}

int hd_scripts_show(struct hd_scripts *s, const char *name, uint32_t version, struct hd_buf *ret_json, char ret_hash[17], struct hydro_error *err)
{
	struct hd_buf text = {0};
	char hash[17];
	int rc = hd_scripts_text(s, name, version, &text, hash, err);
	if (rc == HYDRO_OK && !version) {
		(void)pthread_mutex_lock(&s->lock);
		const struct hd_scripts_entry *entry = hd_scripts_find(s, name);
		version = entry ? entry->version : 0;
		(void)pthread_mutex_unlock(&s->lock);
	}
	if (rc == HYDRO_OK) {
		hd_buf_add_text(ret_json, "{\"name\":");
		hd_buf_add_json(ret_json, name, strlen(name));
		hd_buf_printf(ret_json, ",\"hash\":\"%s\",\"generation\":\"%s@%.8s\",\"version\":%u,\"source\":", hash, name, hash, version);
		hd_buf_add_json(ret_json, text.data ? text.data : "", text.len);
		hd_buf_add_char(ret_json, '}');
		(void)memcpy(ret_hash, hash, sizeof hash);
	}
	if (rc == HYDRO_OK && ret_json->failed)
		rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory for the text of '%s'", name);
	hd_buf_done(&text);
	return rc;
}
