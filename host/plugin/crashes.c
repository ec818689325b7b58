/* SPDX-License-Identifier: MIT */
#include "plugin/crashes.h"

#include "base/fs.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_BYTES_MAX (1u << 20)

struct hd_crashes {
	char *path;
	size_t count;
	struct hd_crash rows[HD_CRUMB_INSTANCES_MAX];
};

const char *hd_crash_name(int32_t fatal)
{
	switch (fatal) {
	case HD_CRUMB_HANG:
		return "a hang past the deadline";
	case SIGSEGV:
		return "SIGSEGV";
	case SIGBUS:
		return "SIGBUS";
	case SIGILL:
		return "SIGILL";
	case SIGFPE:
		return "SIGFPE";
	case SIGABRT:
		return "SIGABRT";
	default:
		return "a fatal signal";
	}
}

static struct hd_crash *find(struct hd_crashes *crashes, const char *instance)
{
	for (size_t i = 0; i < crashes->count; i++)
		if (strcmp(crashes->rows[i].instance, instance) == 0)
			return &crashes->rows[i];
	return NULL;
}

static void load(struct hd_crashes *crashes, char *text)
{
	char *rest = NULL;
	for (char *line = strtok_r(text, "\n", &rest); line && crashes->count < HD_CRUMB_INSTANCES_MAX; line = strtok_r(NULL, "\n", &rest)) {
		struct hd_crash row = {.count = 0};
		if (sscanf(line, "%63s %39s %64s %u %d", row.instance, row.plugin, row.hash, &row.count, &row.fatal) == 5 && row.count > 0)
			crashes->rows[crashes->count++] = row;
	}
}

int hd_crashes_open(const char *path, struct hd_crashes **ret, struct hydro_error *err)
{
	struct hd_crashes *crashes = calloc(1, sizeof *crashes);
	if (!crashes || (path && !(crashes->path = strdup(path)))) {
		free(crashes);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the counts of crashes");
	}
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	int rc = path ? hd_fs_read(path, FILE_BYTES_MAX, &buf, err) : HYDRO_E_NOTFOUND;
	if (rc != HYDRO_OK && rc != HYDRO_E_NOTFOUND) {
		hd_crashes_close(&crashes);
		return rc;
	}
	HD_CLEANUP(hd_cleanup_free) char *text = hd_buf_take(&buf);
	if (text)
		load(crashes, text);
	*ret = crashes;
	return HYDRO_OK;
}

void hd_crashes_close(struct hd_crashes **crashes)
{
	if (*crashes)
		free((*crashes)->path);
	free(*crashes);
	*crashes = NULL;
}

static int save(struct hd_crashes *crashes, struct hydro_error *err)
{
	if (!crashes->path)
		return HYDRO_OK;
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	for (size_t i = 0; i < crashes->count; i++) {
		const struct hd_crash *row = &crashes->rows[i];
		(void)hd_buf_printf(&buf, "%s %s %s %u %d\n", row->instance, row->plugin, row->hash, row->count, row->fatal);
	}
	if (buf.failed)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the counts of crashes");
	return hd_fs_write_atomic(crashes->path, buf.data ? buf.data : "", buf.len, 0600, err);
}

int hd_crashes_add(struct hd_crashes *crashes, const struct hd_crumb_where *where, struct hydro_error *err)
{
	struct hd_crash *row = find(crashes, where->instance);
	if (!row) {
		if (crashes->count == HD_ARRAY_LEN(crashes->rows))
			return hd_error_set(err, HYDRO_E_LIMIT, "more than %u instances have crashed", HD_CRUMB_INSTANCES_MAX);
		row = &crashes->rows[crashes->count++];
		*row = (struct hd_crash){.count = 0};
	}
	if (strcmp(row->hash, where->hash) != 0)
		row->count = 0;
	(void)snprintf(row->instance, sizeof row->instance, "%s", where->instance);
	(void)snprintf(row->plugin, sizeof row->plugin, "%s", where->plugin);
	(void)snprintf(row->hash, sizeof row->hash, "%s", where->hash);
	row->count++;
	row->fatal = where->fatal;
	return save(crashes, err);
}

const struct hd_crash *hd_crashes_find(const struct hd_crashes *crashes, const char *instance)
{
	for (size_t i = 0; i < crashes->count; i++)
		if (strcmp(crashes->rows[i].instance, instance) == 0)
			return &crashes->rows[i];
	return NULL;
}

int hd_crashes_forget(struct hd_crashes *crashes, const char *instance, struct hydro_error *err)
{
	struct hd_crash *row = find(crashes, instance);
	if (!row)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "no crash of instance '%.64s' is known", instance);
	*row = crashes->rows[--crashes->count];
	return save(crashes, err);
}
