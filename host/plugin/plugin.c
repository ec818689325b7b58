/* SPDX-License-Identifier: MIT */
/* The catalog: files of the plugin folders, their images, and the crashes of the last run. */
#include "plugin/catalog.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/thread.h"
#include "plugin/probe.h"
#include "plugin/services.h"

#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CRASHED_MAX 64u
#define WATCH_SECONDS 1

static void say(struct hd_plugins *plugins, uint32_t level, const char *text)
{
	if (plugins->cfg.log)
		plugins->cfg.log(plugins->cfg.log_arg, level, "", text);
}

/* ---- scanning ---- */

static int is_plugin_file(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);
	return entry->d_name[0] != '.' && len > 3 && strcmp(entry->d_name + len - 3, ".so") == 0;
}

static struct plugin_file *find_file(struct plugin_file *files, size_t count, const char *path)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(files[i].path, path) == 0)
			return &files[i];
	return NULL;
}

static struct plugin_file *find_name(struct plugin_file *files, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (files[i].image && strcmp(files[i].image->info.name, name) == 0)
			return &files[i];
	return NULL;
}

/* The image of what the file holds now: one that is known already, or a new one, probed. */
static int image_of(struct hd_plugins *plugins, const char *path, struct hd_image **ret, struct hydro_error *err)
{
	struct hd_image *fresh = NULL;
	int rc = hd_image_new(path, &fresh, err);
	if (rc != HYDRO_OK)
		return rc;
	for (struct hd_image *image = plugins->images; image; image = image->next)
		if (strcmp(image->info.hash, fresh->info.hash) == 0) {
			hd_image_free(&fresh);
			*ret = image;
			return HYDRO_OK;
		}
	fresh->err = (struct hydro_error){.struct_size = sizeof fresh->err};
	fresh->probe_rc = hd_probe_run(plugins->runner_path, fresh->fd, plugins->cfg.probe_ms, &fresh->info, &fresh->err);
	(void)pthread_mutex_lock(&plugins->lock);
	fresh->next = plugins->images;
	plugins->images = fresh;
	(void)pthread_mutex_unlock(&plugins->lock);
	*ret = fresh;
	return HYDRO_OK;
}

static void refuse(struct plugin_file *file, const struct plugin_file *before, const char *text)
{
	const char *slash = strrchr(file->path, '/');
	char what[HYDRO_ERROR_TEXT_BYTES];
	(void)snprintf(what, sizeof what, "%.120s: %s", slash ? slash + 1 : file->path, text);
	file->image = before ? before->image : NULL;
	if (file->image)
		(void)snprintf(file->refusal, sizeof file->refusal, "the file on disk is refused, version %.40s loaded before goes on: %.380s",
			       file->image->info.version, what);
	else
		(void)snprintf(file->refusal, sizeof file->refusal, "%s", what);
}

static void look_at(struct hd_plugins *plugins, struct plugin_file *files, size_t count, struct plugin_file *file)
{
	struct hydro_error err = {.struct_size = sizeof err};
	const struct plugin_file *before = find_file(plugins->files, plugins->file_count, file->path);
	struct hd_image *image = NULL;
	int rc = image_of(plugins, file->path, &image, &err);
	if (rc != HYDRO_OK) {
		refuse(file, before, err.text);
		return;
	}
	file->refused = image->info;
	if (image->probe_rc != HYDRO_OK) {
		refuse(file, before, image->err.text);
		return;
	}
	const struct plugin_file *same = find_name(files, count, image->info.name);
	if (same) {
		(void)hd_error_set(&err, HYDRO_E_EXISTS, "its name '%s' is taken by %.300s, which is found first", image->info.name, same->path);
		refuse(file, NULL, err.text);
		return;
	}
	file->image = image;
}

static int scan_dir(struct hd_plugins *plugins, const char *dir, struct plugin_file **files, size_t *count, struct hydro_error *err)
{
	struct dirent **entries = NULL;
	int n = scandir(dir, &entries, is_plugin_file, alphasort);
	if (n < 0)
		return hd_error_errno(err, HYDRO_E_CONFIG, errno, "cannot read the plugin folder %s", dir);
	struct plugin_file *more = realloc(*files, (*count + (size_t)n + 1) * sizeof *more);
	if (more)
		*files = more;
	for (int i = 0; i < n; i++) {
		if (more) {
			struct plugin_file *file = &more[*count];
			memset(file, 0, sizeof *file);
			(void)snprintf(file->path, sizeof file->path, "%s/%s", dir, entries[i]->d_name);
			look_at(plugins, more, *count, file);
			(*count)++;
		}
		free(entries[i]);
	}
	free(entries);
	return more ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOMEM, "no memory for the plugins of %s", dir);
}

static bool is_needed(const struct hd_plugins *plugins, const struct hd_image *image)
{
	if (image->instances || image->pinned)
		return true;
	/* Code that stays mapped costs the same kept as an image, and a swap back then maps nothing. */
	if (image->mapped && !(image->module.descriptor->plugin.flags & HYDRO_PLUGIN_UNLOADABLE))
		return true;
	for (size_t i = 0; i < plugins->file_count; i++)
		if (plugins->files[i].image == image)
			return true;
	return false;
}

void hd_catalog_prune(struct hd_plugins *plugins)
{
	struct hd_image *unneeded = NULL;
	(void)pthread_mutex_lock(&plugins->lock);
	for (struct hd_image **at = &plugins->images; *at;) {
		struct hd_image *image = *at;
		if (is_needed(plugins, image)) {
			at = &image->next;
			continue;
		}
		*at = image->next;
		image->next = unneeded;
		unneeded = image;
	}
	(void)pthread_mutex_unlock(&plugins->lock);
	while (unneeded) {
		struct hd_image *next = unneeded->next;
		hd_image_free(&unneeded);
		unneeded = next;
	}
}

int hd_plugins_scan(struct hd_plugins *plugins, struct hydro_error *err)
{
	struct plugin_file *files = NULL;
	size_t count = 0;
	int rc = HYDRO_OK;
	for (size_t i = 0; i < plugins->cfg.dir_count; i++) {
		int one = scan_dir(plugins, plugins->dirs[i], &files, &count, rc == HYDRO_OK ? err : NULL);
		rc = rc == HYDRO_OK ? one : rc;
	}
	(void)pthread_mutex_lock(&plugins->lock);
	struct plugin_file *old = plugins->files;
	plugins->files = files;
	plugins->file_count = count;
	(void)pthread_mutex_unlock(&plugins->lock);
	free(old);
	hd_catalog_prune(plugins);
	return rc;
}

/* ---- the crashes of the last run, and the watchdog ---- */

static void count_crashes(struct hd_plugins *plugins)
{
	struct hd_crumb_where where[CRASHED_MAX];
	struct hydro_error err = {.struct_size = sizeof err};
	size_t count = 0;
	if (hd_crumbs_read(plugins->crumb_path, where, CRASHED_MAX, &count, &err) != HYDRO_OK)
		say(plugins, HYDRO_LOG_WARN, err.text);
	for (size_t i = 0; i < count; i++) {
		char text[512];
		if (hd_crashes_add(plugins->crashes, &where[i], &err) != HYDRO_OK)
			say(plugins, HYDRO_LOG_ERROR, err.text);
		const struct hd_crash *crash = hd_crashes_find(plugins->crashes, where[i].instance);
		(void)snprintf(text, sizeof text, "the last run ended by %s inside instance '%.63s' (plugin %.39s %.39s): crash %u", hd_crash_name(where[i].fatal),
			       where[i].instance, where[i].plugin, where[i].version, crash ? crash->count : 0);
		say(plugins, HYDRO_LOG_ERROR, text);
	}
}

static void *watch_main(void *arg)
{
	struct hd_plugins *plugins = arg;
	(void)pthread_mutex_lock(&plugins->watch_lock);
	while (!plugins->closing) {
		int64_t next_ns = hd_clock_real_ns() + WATCH_SECONDS * HD_NS_PER_S;
		struct timespec until = {.tv_sec = next_ns / HD_NS_PER_S, .tv_nsec = next_ns % HD_NS_PER_S};
		(void)pthread_cond_timedwait(&plugins->watch_wake, &plugins->watch_lock, &until);
		struct hd_crumb_where where;
		if (plugins->closing || hd_crumbs_check_hung(hd_clock_real_ns(), (int64_t)plugins->cfg.hang_ms * HD_NS_PER_MS, &where) == 0)
			continue;
		char text[320];
		(void)snprintf(text, sizeof text, "instance '%.63s' (plugin %.39s %.39s) has not returned for %u ms: aborting on purpose, the next start runs it isolated",
			       where.instance, where.plugin, where.version, plugins->cfg.hang_ms);
		say(plugins, HYDRO_LOG_ERROR, text);
		hd_crumbs_abort_hung();
	}
	(void)pthread_mutex_unlock(&plugins->watch_lock);
	return NULL;
}

static int open_crumbs(struct hd_plugins *plugins, struct hydro_error *err)
{
	char path[4096];
	(void)snprintf(path, sizeof path, "%s.crashes", plugins->crumb_path ? plugins->crumb_path : "");
	int rc = hd_crashes_open(plugins->crumb_path ? path : NULL, &plugins->crashes, err);
	if (rc != HYDRO_OK || !plugins->crumb_path)
		return rc;
	count_crashes(plugins);
	rc = hd_crumbs_open(plugins->crumb_path, err);
	if (rc == HYDRO_OK)
		rc = hd_thread_start(&plugins->watch, HD_ROLE_CONTROL, "plugin-watch", watch_main, plugins, err);
	plugins->watching = rc == HYDRO_OK;
	return rc;
}

/* ---- open, close ---- */

static int take_config(struct hd_plugins *plugins, const struct hd_plugins_config *cfg, struct hydro_error *err)
{
	plugins->cfg = *cfg;
	plugins->cfg.probe_ms = cfg->probe_ms ? cfg->probe_ms : HD_PLUGIN_PROBE_MS;
	plugins->cfg.call_ms = cfg->call_ms ? cfg->call_ms : HD_PLUGIN_CALL_MS;
	plugins->cfg.hang_ms = cfg->hang_ms ? cfg->hang_ms : HD_PLUGIN_HANG_MS;
	plugins->cfg.dirs = NULL;
	plugins->dirs = calloc(cfg->dir_count + 1, sizeof *plugins->dirs);
	plugins->runner_path = strdup(cfg->runner_path);
	plugins->crumb_path = cfg->crumb_path ? strdup(cfg->crumb_path) : NULL;
	bool good = plugins->dirs && plugins->runner_path && (plugins->crumb_path || !cfg->crumb_path);
	for (size_t i = 0; good && i < cfg->dir_count; i++)
		good = (plugins->dirs[i] = strdup(cfg->dirs[i])) != NULL;
	if (!good)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the plugin host");
	if (access(plugins->runner_path, X_OK) != 0)
		return hd_error_errno(err, HYDRO_E_CONFIG, errno, "cannot run %s, which looks at plugins before they are loaded", plugins->runner_path);
	return sodium_init() < 0 ? hd_error_set(err, HYDRO_E_FATAL, "libsodium does not start") : HYDRO_OK;
}

int hd_plugins_open(const struct hd_plugins_config *cfg, struct hd_plugins **ret, struct hydro_error *err)
{
	struct hd_plugins *plugins = calloc(1, sizeof *plugins);
	if (!plugins)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the plugin host");
	pthread_condattr_t attributes;
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&plugins->watch_wake, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	(void)pthread_mutex_init(&plugins->lock, NULL);
	(void)pthread_mutex_init(&plugins->watch_lock, NULL);
	int rc = take_config(plugins, cfg, err);
	if (rc == HYDRO_OK)
		rc = open_crumbs(plugins, err);
	if (rc == HYDRO_OK)
		rc = hd_plugins_scan(plugins, err);
	if (rc != HYDRO_OK) {
		hd_plugins_close(&plugins);
		return rc;
	}
	*ret = plugins;
	return HYDRO_OK;
}

void hd_plugins_close(struct hd_plugins **plugins)
{
	struct hd_plugins *old = HD_STEAL(*plugins);
	if (!old)
		return;
	HD_ASSERT(old->instance_count == 0);
	if (old->watching) {
		(void)pthread_mutex_lock(&old->watch_lock);
		old->closing = true;
		(void)pthread_cond_signal(&old->watch_wake);
		(void)pthread_mutex_unlock(&old->watch_lock);
		(void)pthread_join(old->watch, NULL);
	}
	if (old->crumb_path)
		hd_crumbs_close();
	hd_services_silence();
	while (old->images) {
		struct hd_image *image = old->images;
		old->images = image->next;
		hd_image_free(&image);
	}
	hd_crashes_close(&old->crashes);
	for (size_t i = 0; old->dirs && i < old->cfg.dir_count; i++)
		free(old->dirs[i]);
	free(old->dirs);
	free(old->runner_path);
	free(old->crumb_path);
	free(old->files);
	(void)pthread_cond_destroy(&old->watch_wake);
	(void)pthread_mutex_destroy(&old->watch_lock);
	(void)pthread_mutex_destroy(&old->lock);
	free(old);
}

/* ---- asking ---- */

size_t hd_plugins_count(struct hd_plugins *plugins)
{
	(void)pthread_mutex_lock(&plugins->lock);
	size_t count = plugins->file_count;
	(void)pthread_mutex_unlock(&plugins->lock);
	return count;
}

/* Under the lock. */
static void fill_info(const struct plugin_file *file, struct hd_plugin_info *ret)
{
	*ret = file->image ? file->image->info : file->refused;
	(void)snprintf(ret->path, sizeof ret->path, "%s", file->path);
	(void)snprintf(ret->refusal, sizeof ret->refusal, "%s", file->refusal);
	ret->instances = file->image ? file->image->instances : 0;
	ret->state = !file->image ? HD_PLUGIN_REFUSED : file->image->mapped ? HD_PLUGIN_LOADED : HD_PLUGIN_AVAILABLE;
}

bool hd_plugins_get(struct hd_plugins *plugins, size_t i, struct hd_plugin_info *ret)
{
	(void)pthread_mutex_lock(&plugins->lock);
	bool found = i < plugins->file_count;
	if (found)
		fill_info(&plugins->files[i], ret);
	(void)pthread_mutex_unlock(&plugins->lock);
	return found;
}

static int not_found(const struct hd_plugins *plugins, const char *name, struct hydro_error *err)
{
	char stem[64];
	(void)snprintf(stem, sizeof stem, "%.50s.so", name);
	for (size_t i = 0; i < plugins->file_count; i++) {
		const struct plugin_file *file = &plugins->files[i];
		const char *slash = strrchr(file->path, '/');
		if (!file->image && (strcmp(slash ? slash + 1 : file->path, stem) == 0 || strcmp(file->refused.name, name) == 0))
			return hd_error_set(err, HYDRO_E_NOTFOUND, "plugin '%.40s' is refused: %.400s", name, file->refusal);
	}
	char dirs[300] = "";
	size_t used = 0;
	for (size_t i = 0; i < plugins->cfg.dir_count && used < sizeof dirs; i++)
		used += (size_t)snprintf(dirs + used, sizeof dirs - used, "%s%s", i ? ", " : "", plugins->dirs[i]);
	return hd_error_set(err, HYDRO_E_NOTFOUND, "there is no plugin '%.40s' in %s", name, dirs);
}

int hd_plugins_find(struct hd_plugins *plugins, const char *name, struct hd_plugin_info *ret, struct hydro_error *err)
{
	(void)pthread_mutex_lock(&plugins->lock);
	const struct plugin_file *file = find_name(plugins->files, plugins->file_count, name);
	if (file)
		fill_info(file, ret);
	int rc = file ? HYDRO_OK : not_found(plugins, name, err);
	(void)pthread_mutex_unlock(&plugins->lock);
	return rc;
}

int hd_catalog_image(struct hd_plugins *plugins, const char *name, struct hd_image **ret, struct hydro_error *err)
{
	const struct plugin_file *file = find_name(plugins->files, plugins->file_count, name);
	if (!file)
		return not_found(plugins, name, err);
	*ret = file->image;
	return HYDRO_OK;
}

int hd_plugins_descriptor(struct hd_plugins *plugins, const char *name, const struct hd_descriptor **ret, struct hydro_error *err)
{
	struct hd_image *image = NULL;
	int rc = hd_catalog_image(plugins, name, &image, err);
	if (rc != HYDRO_OK)
		return rc;
	uint32_t crumb = HD_CRUMB_NONE;
	rc = hd_crumb_register(name, name, image->info.version, image->info.hash, &crumb, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_crumb_enter(crumb, NULL);
	rc = hd_image_map(image, err);
	hd_crumb_leave();
	if (rc == HYDRO_OK)
		*ret = image->module.descriptor;
	return rc;
}

int hd_plugins_pardon(struct hd_plugins *plugins, const char *instance_name, struct hydro_error *err)
{
	return hd_crashes_forget(plugins->crashes, instance_name, err);
}

uint32_t hd_plugins_crash_state(struct hd_plugins *plugins, const char *instance_name, char ret_text[256])
{
	const struct hd_crash *crash = hd_crashes_find(plugins->crashes, instance_name);
	const struct plugin_file *file = crash ? find_name(plugins->files, plugins->file_count, crash->plugin) : NULL;
	ret_text[0] = '\0';
	if (!crash || (file && strcmp(file->image->info.hash, crash->hash) != 0))
		return HD_CRASH_NONE;
	if (crash->count == 1) {
		(void)snprintf(ret_text, 256, "instance '%s' ended the daemon once (%s inside plugin %s): it runs isolated from now on", crash->instance,
			       hd_crash_name(crash->fatal), crash->plugin);
		return HD_CRASH_ISOLATE;
	}
	(void)snprintf(ret_text, 256, "instance '%s' crashed %u times (last by %s inside plugin %s): quarantined until an operator pardons it or the plugin's file changes",
		       crash->instance, crash->count, hd_crash_name(crash->fatal), crash->plugin);
	return HD_CRASH_QUARANTINE;
}
