/* SPDX-License-Identifier: MIT */
/* Versions on disk: <state_dir>/<name>/<number>.lua and .json with hash, author, reason and time. */
#include "pipeline/scripts_inner.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/timefmt.h"

#include <cJSON.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define META_BYTES_MAX 65536u

static void path_of(const struct hd_scripts *s, const char *name, uint32_t version, const char *end, char ret[HD_SCRIPTS_PATH_BYTES])
{
	(void)snprintf(ret, HD_SCRIPTS_PATH_BYTES, "%.*s/%s/%06u.%s", (int)(HD_SCRIPTS_PATH_BYTES - 128), s->state_dir, name, version, end);
}

static void dir_of(const struct hd_scripts *s, const char *name, char ret[HD_SCRIPTS_PATH_BYTES])
{
	(void)snprintf(ret, HD_SCRIPTS_PATH_BYTES, "%.*s/%s", (int)(HD_SCRIPTS_PATH_BYTES - 128), s->state_dir, name);
}

struct range {
	uint32_t oldest, newest;
};

/* Numbers of the first and last version there is; 0 = none. A version counts when its .json, written last, is there. */
static struct range range_of(struct hd_scripts *s, const char *name)
{
	struct range range = {0, 0};
	char dir[HD_SCRIPTS_PATH_BYTES];
	dir_of(s, name, dir);
	DIR *d = s->state_dir[0] ? opendir(dir) : NULL;
	if (!d)
		return range;
	for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
		char *end;
		unsigned long number = strtoul(entry->d_name, &end, 10);
		if (end == entry->d_name || strcmp(end, ".json") != 0 || number == 0 || number > UINT32_MAX)
			continue;
		range.newest = HD_MAX(range.newest, (uint32_t)number);
		range.oldest = range.oldest ? HD_MIN(range.oldest, (uint32_t)number) : (uint32_t)number;
	}
	(void)closedir(d);
	return range;
}

uint32_t hd_scripts_version_newest(struct hd_scripts *s, const char *name)
{
	return range_of(s, name).newest;
}

/* The description of a version, to be deleted; NULL when it is not there or does not parse. */
static cJSON *read_meta(struct hd_scripts *s, const char *name, uint32_t version)
{
	char path[HD_SCRIPTS_PATH_BYTES];
	struct hd_buf text = {0};
	cJSON *meta = NULL;
	path_of(s, name, version, "json", path);
	if (hd_fs_read(path, META_BYTES_MAX, &text, NULL) == HYDRO_OK)
		meta = cJSON_ParseWithLength(text.data ? text.data : "", text.len);
	hd_buf_done(&text);
	return meta;
}

static void remove_old(struct hd_scripts *s, const char *name, struct range range)
{
	for (uint32_t v = range.oldest; v && v + HD_SCRIPT_VERSIONS_MAX <= range.newest; v++) {
		char path[HD_SCRIPTS_PATH_BYTES];
		path_of(s, name, v, "json", path);
		(void)unlink(path);
		path_of(s, name, v, "lua", path);
		(void)unlink(path);
	}
}

static void meta_text(const struct hd_script *script, uint32_t version, const char *author, const char *reason, struct hd_buf *ret)
{
	char at[HD_TIME_TEXT];
	hd_time_format(hd_clock_wall_ms(), at);
	hd_buf_printf(ret, "{\"version\":%u,\"hash\":\"%s\",\"author\":", version, hd_script_hash(script));
	hd_buf_add_json(ret, author, strlen(author));
	hd_buf_add_text(ret, ",\"reason\":");
	hd_buf_add_json(ret, reason, strlen(reason));
	hd_buf_printf(ret, ",\"at\":\"%s\"}", at);
}

int hd_scripts_version_keep(struct hd_scripts *s, const struct hd_script *script, const char *author, const char *reason, uint32_t *ret_version,
			    struct hydro_error *err)
{
	*ret_version = 0;
	if (!s->state_dir[0])
		return HYDRO_OK;
	const char *name = hd_script_name(script);
	struct range range = range_of(s, name);
	cJSON *newest = range.newest ? read_meta(s, name, range.newest) : NULL;
	const cJSON *hash = cJSON_GetObjectItemCaseSensitive(newest, "hash");
	bool same = cJSON_IsString(hash) && strcmp(hash->valuestring, hd_script_hash(script)) == 0;
	cJSON_Delete(newest);
	*ret_version = range.newest;
	if (same)
		return HYDRO_OK;
	char path[HD_SCRIPTS_PATH_BYTES];
	struct hd_buf meta = {0};
	uint32_t version = range.newest + 1;
	dir_of(s, name, path);
	int rc = hd_fs_mkdirs(path, 0750, err);
	path_of(s, name, version, "lua", path);
	if (rc == HYDRO_OK)
		rc = hd_fs_write_atomic(path, hd_script_text(script), hd_script_len(script), 0640, err);
	meta_text(script, version, author, reason, &meta);
	path_of(s, name, version, "json", path);
	if (rc == HYDRO_OK)
		rc = meta.failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for a version") : hd_fs_write_atomic(path, meta.data, meta.len, 0640, err);
	hd_buf_done(&meta);
	if (rc != HYDRO_OK)
		return rc;
	range.newest = *ret_version = version;
	remove_old(s, name, range);
	return HYDRO_OK;
}

int hd_scripts_version_read(struct hd_scripts *s, const char *name, uint32_t version, struct hd_buf *ret_text, struct hydro_error *err)
{
	char path[HD_SCRIPTS_PATH_BYTES];
	path_of(s, name, version, "lua", path);
	int rc = s->state_dir[0] ? hd_fs_read(path, HD_SCRIPT_BYTES_MAX, ret_text, err) : HYDRO_E_NOTFOUND;
	return rc == HYDRO_E_NOTFOUND ? hd_error_set(err, rc, "pipeline '%s' has no version %u", name, version) : rc;
}

int hd_scripts_versions_json(struct hd_scripts *s, const char *name, struct hd_buf *ret_json, struct hydro_error *err)
{
	struct range range = range_of(s, name);
	bool first = true;
	hd_buf_add_char(ret_json, '[');
	for (uint32_t v = range.newest; v && v >= range.oldest; v--) {
		cJSON *meta = read_meta(s, name, v);
		char *text = meta ? cJSON_PrintUnformatted(meta) : NULL;
		if (text) {
			hd_buf_add_text(ret_json, first ? "" : ",");
			hd_buf_add_text(ret_json, text);
			first = false;
		}
		cJSON_free(text);
		cJSON_Delete(meta);
	}
	hd_buf_add_char(ret_json, ']');
	return ret_json->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the versions of '%s'", name) : HYDRO_OK;
}
