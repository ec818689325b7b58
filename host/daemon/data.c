/* SPDX-License-Identifier: MIT */
#include "daemon/internal.h"

#include "base/fs.h"

#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#ifndef NFS_SUPER_MAGIC
#define NFS_SUPER_MAGIC 0x6969
#endif
#define CIFS_MAGIC 0xff534d42u

char *daemon_path(const struct hd_daemon *d, const char *name)
{
	return hd_fs_join(d->config->data_dir, name);
}

/* Locks and syncs of network file systems do not hold what the journal relies on. */
static int refuse_network(const char *dir, struct hydro_error *err)
{
	struct statfs fs;
	if (statfs(dir, &fs) == 0 && ((unsigned long)fs.f_type == NFS_SUPER_MAGIC || (unsigned long)fs.f_type == CIFS_MAGIC))
		return hd_error_set(err, HYDRO_E_CONFIG, "data_dir %s is on a network file system: its locks and syncs cannot be relied on", dir);
	return HYDRO_OK;
}

static bool is_inside(const char *path, const char *dir)
{
	size_t len = strlen(dir);
	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static int open_key(struct hd_daemon *d, struct hydro_error *err)
{
	if (is_inside(d->config->key_file, d->config->data_dir))
		return hd_error_set(err, HYDRO_E_CONFIG, "key_file %s lies in data_dir: who copies the data would copy its key", d->config->key_file);
	bool first = access(d->config->key_file, F_OK) != 0;
	HD_CLEANUP(hd_cleanup_free) char *business = daemon_path(d, "business.db");
	if (first && business && access(business, F_OK) == 0)
		return hd_error_set(err, HYDRO_E_KEY, "key file %s is gone, but %s was sealed with it: put it back", d->config->key_file, business);
	int rc = hd_key_open(d->config->key_file, true, &d->key, err);
	if (rc == HYDRO_OK && first)
		hd_log(HD_LOG_INFO, "daemon", "key_made", HD_S("file", d->config->key_file), HD_S("message", "keep a copy of it apart from the data"));
	d->seal_all = strcmp(d->config->seal, "all") == 0;
	return rc;
}

int daemon_open_data(struct hd_daemon *d, struct hydro_error *err)
{
	int rc = hd_fs_mkdirs(d->config->data_dir, 0700, err);
	if (rc == HYDRO_OK)
		rc = refuse_network(d->config->data_dir, err);
	HD_CLEANUP(hd_cleanup_free) char *lock = daemon_path(d, "LOCK");
	HD_CLEANUP(hd_cleanup_free) char *names = daemon_path(d, "names");
	HD_CLEANUP(hd_cleanup_free) char *business = daemon_path(d, "business.db");
	HD_CLEANUP(hd_cleanup_free) char *snapshot = daemon_path(d, "points.snapshot");
	if (rc == HYDRO_OK && (!lock || !names || !business || !snapshot))
		rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory for paths");
	if (rc == HYDRO_OK)
		rc = hd_fs_lock(lock, &d->lock_fd, err);
	if (rc == HYDRO_OK)
		rc = open_key(d, err);
	if (rc == HYDRO_OK)
		rc = hd_names_open(names, &d->names, err);
	if (rc == HYDRO_OK) {
		struct hd_store_config config = {.path = business, .key = &d->key, .snapshot = snapshot};
		rc = hd_store_open(&config, &d->store, err);
	}
	if (rc == HYDRO_OK && hd_points_new(&d->points) != HYDRO_OK)
		rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory for points");
	return rc;
}

void daemon_close_data(struct hd_daemon *d)
{
	hd_store_close(&d->store);
	hd_points_free(&d->points);
	hd_names_close(&d->names);
	hd_key_wipe(&d->key);
	hd_cleanup_fd(&d->lock_fd);
}
