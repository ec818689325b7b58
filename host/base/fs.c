/* SPDX-License-Identifier: MIT */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP 65536u

/* One folder, whose name then lasts. One that was there may have been made by a run that died before this sync. */
static int make_dir(const char *path, mode_t mode, bool sync_old, struct hydro_error *err)
{
	bool made = mkdir(path, mode) == 0;
	if (!made && errno != EEXIST)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot create folder %s", path);
	if (!made && !sync_old)
		return HYDRO_OK;
	HD_CLEANUP(hd_cleanup_free) char *copy = strdup(path);
	if (!copy)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a path");
	int rc = hd_fs_sync_dir(dirname(copy), made ? err : NULL);
	return made ? rc : HYDRO_OK;
}

int hd_fs_mkdirs(const char *path, mode_t mode, struct hydro_error *err)
{
	HD_CLEANUP(hd_cleanup_free) char *copy = strdup(path);
	if (!copy)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a path");
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		int rc = make_dir(copy, 0755, false, err);
		if (rc != HYDRO_OK)
			return rc;
		*slash = '/';
	}
	int rc = make_dir(copy, mode, true, err);
	if (rc != HYDRO_OK)
		return rc;
	struct stat st;
	if (stat(copy, &st) != 0 || !S_ISDIR(st.st_mode))
		return hd_error_set(err, HYDRO_E_IO, "%s is not a folder", copy);
	return HYDRO_OK;
}

int hd_fs_read(const char *path, size_t max_bytes, struct hd_buf *ret, struct hydro_error *err)
{
	HD_CLEANUP(hd_cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return hd_error_errno(err, errno == ENOENT ? HYDRO_E_NOTFOUND : HYDRO_E_IO, errno, "cannot open %s", path);
	for (;;) {
		if (!hd_buf_reserve(ret, READ_STEP))
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory to read %s", path);
		ssize_t n = read(fd, ret->data + ret->len, READ_STEP);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hd_error_errno(err, HYDRO_E_IO, errno, "cannot read %s", path);
		if (n == 0)
			return HYDRO_OK;
		ret->len += (size_t)n;
		if (ret->len > max_bytes)
			return hd_error_set(err, HYDRO_E_LIMIT, "%s is larger than %zu bytes", path, max_bytes);
	}
}

int hd_fs_pwrite(int fd, const void *data, size_t len, off_t offset, struct hydro_error *err)
{
	const char *p = data;
	while (len) {
		ssize_t n = pwrite(fd, p, len, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return hd_error_errno(err, errno == ENOSPC || errno == EDQUOT ? HYDRO_E_FULL : HYDRO_E_IO, n < 0 ? errno : EIO,
					      "cannot write %zu bytes at %lld", len, (long long)offset);
		p += n;
		len -= (size_t)n;
		offset += n;
	}
	return HYDRO_OK;
}

int hd_fs_pread(int fd, void *ret, size_t len, off_t offset, size_t *ret_len, struct hydro_error *err)
{
	char *p = ret;
	size_t got = 0;
	while (got < len) {
		ssize_t n = pread(fd, p + got, len - got, offset + (off_t)got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hd_error_errno(err, HYDRO_E_IO, errno, "cannot read %zu bytes at %lld", len, (long long)offset);
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*ret_len = got;
	return HYDRO_OK;
}

int hd_fs_sync_dir(const char *path, struct hydro_error *err)
{
	HD_CLEANUP(hd_cleanup_fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot open folder %s", path);
	if (fsync(fd) != 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot sync folder %s", path);
	return HYDRO_OK;
}

int hd_fs_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct hydro_error *err)
{
	char temporary[4096];
	int n = snprintf(temporary, sizeof temporary, "%s.new", path);
	if (n < 0 || (size_t)n >= sizeof temporary)
		return hd_error_set(err, HYDRO_E_LIMIT, "path too long: %s", path);
	HD_CLEANUP(hd_cleanup_fd) int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot create %s", temporary);
	int rc = hd_fs_pwrite(fd, data, len, 0, err);
	if (rc == HYDRO_OK && fsync(fd) != 0)
		rc = hd_error_errno(err, HYDRO_E_IO, errno, "cannot sync %s", temporary);
	if (rc == HYDRO_OK && rename(temporary, path) != 0)
		rc = hd_error_errno(err, HYDRO_E_IO, errno, "cannot rename %s to %s", temporary, path);
	if (rc != HYDRO_OK) {
		(void)unlink(temporary);
		return hd_error_while(err, "writing %s", path);
	}
	HD_CLEANUP(hd_cleanup_free) char *copy = strdup(path);
	return copy ? hd_fs_sync_dir(dirname(copy), err) : hd_error_set(err, HYDRO_E_NOMEM, "no memory for a path");
}

int hd_fs_lock(const char *path, int *ret_fd, struct hydro_error *err)
{
	HD_CLEANUP(hd_cleanup_fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot open lock %s", path);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
		if (errno == EAGAIN || errno == EACCES)
			return hd_error_set(err, HYDRO_E_CONFLICT, "%s is held by another process: is hydrod running on this folder?", path);
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot lock %s", path);
	}
	*ret_fd = fd;
	fd = -1;
	return HYDRO_OK;
}

char *hd_fs_join(const char *dir, const char *name)
{
	char *path = NULL;
	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}
