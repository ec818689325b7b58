/* SPDX-License-Identifier: MIT */
/* Files and folders, with the syncs that make them last. All functions [any], may block. */
#ifndef HD_BASE_FS_H
#define HD_BASE_FS_H

#include "base/buf.h"
#include "base/error.h"

#include <sys/types.h>

/* Creates the folder and its missing parents (mode for the last one), synced in their parents; there already is fine. */
int hd_fs_mkdirs(const char *path, mode_t mode, struct hydro_error *err);
/* The whole file; HYDRO_E_LIMIT above max_bytes, HYDRO_E_NOTFOUND when there is none. */
int hd_fs_read(const char *path, size_t max_bytes, struct hd_buf *ret, struct hydro_error *err);
/* All or nothing: temporary file, fsync, rename, fsync of the folder. */
int hd_fs_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct hydro_error *err);
/* fsync of a folder, so that creations, renames and removals in it last. */
int hd_fs_sync_dir(const char *path, struct hydro_error *err);
/* All of it at the offset, going on after short writes and EINTR. */
int hd_fs_pwrite(int fd, const void *data, size_t len, off_t offset, struct hydro_error *err);
/* As many as there are up to len; ret_len < len only at the end of the file. */
int hd_fs_pread(int fd, void *ret, size_t len, off_t offset, size_t *ret_len, struct hydro_error *err);
/* Takes an exclusive OFD lock on `path`, held as long as the descriptor is open. HYDRO_E_CONFLICT when another holds it. */
int hd_fs_lock(const char *path, int *ret_fd, struct hydro_error *err);
/* "dir/name" in allocated memory; NULL without memory. */
char *hd_fs_join(const char *dir, const char *name);

#endif
