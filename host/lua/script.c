/* SPDX-License-Identifier: MIT */
#include "lua/internal.h"

#include "base/fs.h"
#include "model/points.h"

#include <dirent.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MAX 65536u

struct hd_script {
	_Atomic uint32_t refs;
	uint32_t slot;
	char name[HD_SCRIPT_NAME_BYTES_MAX];
	char hash[HD_SCRIPT_HASH_TEXT];
	char version[HD_SCRIPT_NAME_BYTES_MAX + 10];
	char *file;
	char *text;
	size_t len;
	struct hd_script_lib *libs; /* texts owned */
	uint32_t lib_count;
	pthread_mutex_t mutex; /* guards: functions, function_count */
	struct hd_script_function functions[HD_SCRIPT_FUNCTIONS_MAX];
	uint32_t function_count;
};

static pthread_mutex_t slots_mutex = PTHREAD_MUTEX_INITIALIZER; /* guards: slots_taken */
static uint8_t slots_taken[SLOTS_MAX / 8];

static bool take_slot(uint32_t *ret)
{
	bool found = false;
	(void)pthread_mutex_lock(&slots_mutex);
	for (uint32_t i = 0; i < SLOTS_MAX && !found; i++) {
		if (slots_taken[i / 8] & 1u << i % 8)
			continue;
		slots_taken[i / 8] |= (uint8_t)(1u << i % 8);
		*ret = i;
		found = true;
	}
	(void)pthread_mutex_unlock(&slots_mutex);
	return found;
}

static void give_slot(uint32_t slot)
{
	(void)pthread_mutex_lock(&slots_mutex);
	slots_taken[slot / 8] &= (uint8_t)~(1u << slot % 8);
	(void)pthread_mutex_unlock(&slots_mutex);
}

static bool is_name(const char *name)
{
	size_t len = strlen(name);
	return len > 0 && len < HD_SCRIPT_NAME_BYTES_MAX && name[0] >= 'a' && name[0] <= 'z' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static int check_text(const char *file, const char *text, size_t len, struct hydro_error *err)
{
	if (len > HD_SCRIPT_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "%s: %zu bytes: a script has at most %u", file, len, HD_SCRIPT_BYTES_MAX);
	if (len && text[0] == '\x1b')
		return hd_error_set(err, HYDRO_E_INVALID, "%s: a compiled chunk: scripts are text only", file);
	if (memchr(text, '\0', len))
		return hd_error_set(err, HYDRO_E_INVALID, "%s: holds a NUL byte: not a text", file);
	return HYDRO_OK;
}

static char *copy_text(const char *text, size_t len)
{
	char *copy = malloc(len + 1);
	if (copy) {
		memcpy(copy, text, len);
		copy[len] = '\0';
	}
	return copy;
}

static void destroy(struct hd_script *script)
{
	for (uint32_t i = 0; i < script->function_count; i++)
		free((void *)(uintptr_t)script->functions[i].sample);
	for (uint32_t i = 0; i < script->lib_count; i++) {
		free((void *)(uintptr_t)script->libs[i].name);
		free((void *)(uintptr_t)script->libs[i].text);
	}
	free(script->libs);
	free(script->file);
	free(script->text);
	(void)pthread_mutex_destroy(&script->mutex);
	give_slot(script->slot);
	free(script);
}

static int copy_libs(struct hd_script *script, const struct hd_script_lib *libs, uint32_t count, struct hydro_error *err)
{
	if (count > HD_SCRIPT_LIBS_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "%u libraries: at most %u", count, HD_SCRIPT_LIBS_MAX);
	script->libs = calloc(count ? count : 1, sizeof *script->libs);
	if (!script->libs)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a script's libraries");
	for (uint32_t i = 0; i < count; i++) {
		int rc = check_text(libs[i].name, libs[i].text, libs[i].len, err);
		if (rc != HYDRO_OK)
			return rc;
		script->libs[i] = (struct hd_script_lib){copy_text(libs[i].name, strlen(libs[i].name)), copy_text(libs[i].text, libs[i].len), libs[i].len};
		script->lib_count = i + 1;
		if (!script->libs[i].name || !script->libs[i].text)
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a script's libraries");
	}
	return HYDRO_OK;
}

static void set_hash(struct hd_script *script)
{
	uint8_t hash[16];
	crypto_generichash_state state;
	(void)crypto_generichash_init(&state, NULL, 0, sizeof hash);
	(void)crypto_generichash_update(&state, (const uint8_t *)script->text, script->len);
	for (uint32_t i = 0; i < script->lib_count; i++) {
		(void)crypto_generichash_update(&state, (const uint8_t *)script->libs[i].name, strlen(script->libs[i].name) + 1);
		(void)crypto_generichash_update(&state, (const uint8_t *)script->libs[i].text, script->libs[i].len + 1);
	}
	(void)crypto_generichash_final(&state, hash, sizeof hash);
	(void)sodium_bin2hex(script->hash, sizeof script->hash, hash, 8);
	(void)snprintf(script->version, sizeof script->version, "%s@%.8s", script->name, script->hash);
}

int hd_script_new(const char *name, const char *file, const char *text, size_t len, const struct hd_script_lib *libs, uint32_t lib_count,
		  struct hd_script **ret, struct hydro_error *err)
{
	if (!is_name(name))
		return hd_error_set(err, HYDRO_E_INVALID, "%s: '%s' is no name for a pipeline: a-z, then a-z 0-9 _, at most %u", file, name,
				    HD_SCRIPT_NAME_BYTES_MAX - 1);
	int rc = check_text(file, text, len, err);
	if (rc != HYDRO_OK)
		return rc;
	uint32_t slot;
	if (!take_slot(&slot))
		return hd_error_set(err, HYDRO_E_LIMIT, "%s: %u scripts are alive at once", file, SLOTS_MAX);
	struct hd_script *script = calloc(1, sizeof *script);
	if (!script) {
		give_slot(slot);
		return hd_error_set(err, HYDRO_E_NOMEM, "%s: no memory", file);
	}
	script->slot = slot;
	atomic_store(&script->refs, 1);
	(void)pthread_mutex_init(&script->mutex, NULL);
	(void)snprintf(script->name, sizeof script->name, "%s", name);
	script->file = copy_text(file, strlen(file));
	script->text = copy_text(text, len);
	script->len = len;
	rc = script->file && script->text ? copy_libs(script, libs, lib_count, err) : hd_error_set(err, HYDRO_E_NOMEM, "%s: no memory", file);
	if (rc != HYDRO_OK) {
		destroy(script);
		return rc;
	}
	set_hash(script);
	*ret = script;
	return HYDRO_OK;
}

/* "dir/well.lua" → "well". */
static bool name_of_path(const char *path, char ret[HD_SCRIPT_NAME_BYTES_MAX])
{
	const char *base = strrchr(path, '/');
	base = base ? base + 1 : path;
	size_t len = strlen(base);
	if (len < 5 || strcmp(base + len - 4, ".lua") != 0 || len - 4 >= HD_SCRIPT_NAME_BYTES_MAX)
		return false;
	memcpy(ret, base, len - 4);
	ret[len - 4] = '\0';
	return true;
}

struct lib_files {
	struct hd_script_lib libs[HD_SCRIPT_LIBS_MAX];
	char names[HD_SCRIPT_LIBS_MAX][HD_SCRIPT_NAME_BYTES_MAX];
	struct hd_buf texts[HD_SCRIPT_LIBS_MAX];
	uint32_t count;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int list_libs(const char *dir, struct lib_files *files, struct hydro_error *err)
{
	DIR *d = opendir(dir);
	if (!d)
		return HYDRO_OK; /* no folder, no libraries */
	int rc = HYDRO_OK;
	for (struct dirent *entry; rc == HYDRO_OK && (entry = readdir(d)) != NULL;) {
		char name[HD_SCRIPT_NAME_BYTES_MAX];
		if (!name_of_path(entry->d_name, name) || !is_name(name))
			continue;
		if (files->count == HD_SCRIPT_LIBS_MAX)
			rc = hd_error_set(err, HYDRO_E_LIMIT, "%s: more than %u libraries", dir, HD_SCRIPT_LIBS_MAX);
		else
			memcpy(files->names[files->count++], name, sizeof name);
	}
	(void)closedir(d);
	/* In order of names: the folder's own order must not change the hash. */
	qsort(files->names, files->count, sizeof files->names[0], compare_names);
	return rc;
}

static int read_libs(const char *dir, struct lib_files *files, struct hydro_error *err)
{
	int rc = list_libs(dir, files, err);
	for (uint32_t i = 0; i < files->count && rc == HYDRO_OK; i++) {
		char path[4096];
		(void)snprintf(path, sizeof path, "%s/%s.lua", dir, files->names[i]);
		rc = hd_fs_read(path, HD_SCRIPT_BYTES_MAX, &files->texts[i], err);
		files->libs[i] = (struct hd_script_lib){files->names[i], files->texts[i].data ? files->texts[i].data : "", files->texts[i].len};
	}
	return rc;
}

int hd_script_from_text(const char *path, const char *libs_dir, const char *text, size_t len, struct hd_script **ret, struct hydro_error *err)
{
	char name[HD_SCRIPT_NAME_BYTES_MAX];
	if (!name_of_path(path, name))
		return hd_error_set(err, HYDRO_E_INVALID, "%s: a script is a file <name>.lua", path);
	struct lib_files *files = calloc(1, sizeof *files);
	if (!files)
		return hd_error_set(err, HYDRO_E_NOMEM, "%s: no memory", path);
	int rc = libs_dir ? read_libs(libs_dir, files, err) : HYDRO_OK;
	if (rc == HYDRO_OK)
		rc = hd_script_new(name, path, text, len, files->libs, files->count, ret, err);
	for (uint32_t i = 0; i < files->count; i++)
		hd_buf_done(&files->texts[i]);
	free(files);
	return rc;
}

int hd_script_load(const char *path, const char *libs_dir, struct hd_script **ret, struct hydro_error *err)
{
	struct hd_buf text = {0};
	int rc = hd_fs_read(path, HD_SCRIPT_BYTES_MAX, &text, err);
	if (rc == HYDRO_OK)
		rc = hd_script_from_text(path, libs_dir, text.data ? text.data : "", text.len, ret, err);
	hd_buf_done(&text);
	return rc;
}

struct hd_script *hd_script_ref(struct hd_script *script)
{
	(void)atomic_fetch_add_explicit(&script->refs, 1, memory_order_relaxed);
	return script;
}

void hd_script_unref(struct hd_script **script)
{
	struct hd_script *s = HD_STEAL(*script);
	if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
		destroy(s);
}

const char *hd_script_name(const struct hd_script *script) { return script->name; }
const char *hd_script_file(const struct hd_script *script) { return script->file; }
const char *hd_script_text(const struct hd_script *script) { return script->text; }
size_t hd_script_len(const struct hd_script *script) { return script->len; }
const char *hd_script_hash(const struct hd_script *script) { return script->hash; }
const char *hd_script_version(const struct hd_script *script) { return script->version; }
uint32_t hd_script_slot(const struct hd_script *script) { return script->slot; }
uint32_t hd_script_lib_count(const struct hd_script *script) { return script->lib_count; }
const struct hd_script_lib *hd_script_lib_at(const struct hd_script *script, uint32_t i) { return &script->libs[i]; }

const struct hd_script_lib *hd_script_lib(const struct hd_script *script, const char *name)
{
	for (uint32_t i = 0; i < script->lib_count; i++)
		if (strcmp(script->libs[i].name, name) == 0)
			return &script->libs[i];
	return NULL;
}

const char *hd_script_lib_text(const struct hd_script *script, const char *name)
{
	const struct hd_script_lib *lib = hd_script_lib(script, name);
	return lib ? lib->text : NULL;
}

uint32_t hd_script_function_count(struct hd_script *script)
{
	(void)pthread_mutex_lock(&script->mutex);
	uint32_t count = script->function_count;
	(void)pthread_mutex_unlock(&script->mutex);
	return count;
}

struct hd_script_function hd_script_function_get(struct hd_script *script, uint32_t number)
{
	(void)pthread_mutex_lock(&script->mutex);
	HD_ASSERT(number < script->function_count);
	struct hd_script_function function = script->functions[number];
	(void)pthread_mutex_unlock(&script->mutex);
	return function;
}

int hd_script_function_add(struct hd_script *script, const struct hd_script_function *function, uint32_t *ret_number)
{
	const struct hd_point *like = function->sample;
	const char *name = hd_point_name(like), *params = hd_point_params(like), *zone = hd_point_zone(like);
	struct hd_point *sample = malloc(hd_lua_point_bytes(name, params, zone));
	if (!sample)
		return HYDRO_E_NOMEM;
	hd_lua_point_fill(sample, like, name, params, zone);
	int rc = HYDRO_OK;
	(void)pthread_mutex_lock(&script->mutex);
	if (script->function_count == HD_SCRIPT_FUNCTIONS_MAX) {
		rc = HYDRO_E_LIMIT;
	} else {
		*ret_number = script->function_count;
		script->functions[script->function_count] = *function;
		script->functions[script->function_count++].sample = sample;
	}
	(void)pthread_mutex_unlock(&script->mutex);
	if (rc != HYDRO_OK)
		free(sample);
	return rc;
}
