/* SPDX-License-Identifier: MIT */
/* The functions of the C library that the shim stands in for; part of powercut.c. */

OPEN_WRAPPER(open)
OPEN_WRAPPER(open64)
OPENAT_WRAPPER(openat)
OPENAT_WRAPPER(openat64)
/* what fortified callers call */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);

EXPORT int __open_2(const char *path, int flags)
{
	return open_any(AT_FDCWD, path, flags, 0);
}

EXPORT int __open64_2(const char *path, int flags)
{
	return open_any(AT_FDCWD, path, flags, 0);
}

EXPORT int creat(const char *path, mode_t mode)
{
	return open_any(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

/* ---- content ---- */

static ssize_t bytes_of(const struct iovec *iov, int count)
{
	ssize_t n = 0;
	for (int i = 0; i < count; i++)
		n += (ssize_t)iov[i].iov_len;
	return n;
}

/* at < 0: where the file stands. */
static ssize_t write_any(int fd, const struct iovec *iov, int count, off_t at)
{
	(void)pthread_mutex_lock(&lock);
	ssize_t n = -1;
	if (!tracked(fd)) {
		(void)pthread_mutex_unlock(&lock); /* it may block: a pipe, a socket */
		return at < 0 ? raw_writev(fd, iov, count) : raw_pwritev(fd, iov, count, at);
	}
	if (!fault_hits("write")) {
		struct stat st;
		off_t from = at >= 0 ? at : fcntl(fd, F_GETFL) & O_APPEND && fstat(fd, &st) == 0 ? st.st_size : lseek(fd, 0, SEEK_CUR);
		pages_touch(fd, from, bytes_of(iov, count));
		n = at < 0 ? raw_writev(fd, iov, count) : raw_pwritev(fd, iov, count, at);
	}
	int saved = errno;
	(void)pthread_mutex_unlock(&lock);
	errno = saved;
	return n;
}

static ssize_t write_one(int fd, const void *data, size_t len, off_t at)
{
	void *bytes;
	memcpy(&bytes, &data, sizeof bytes);
	struct iovec iov = {bytes, len};
	return write_any(fd, &iov, 1, at);
}

EXPORT ssize_t write(int fd, const void *data, size_t len)
{
	return write_one(fd, data, len, -1);
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
	return write_one(fd, data, len, at);
}

EXPORT ssize_t pwrite64(int fd, const void *data, size_t len, off_t at)
{
	return write_one(fd, data, len, at);
}

EXPORT ssize_t writev(int fd, const struct iovec *iov, int count)
{
	return write_any(fd, iov, count, -1);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t at)
{
	return write_any(fd, iov, count, at);
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *iov, int count, off_t at)
{
	return write_any(fd, iov, count, at);
}

EXPORT int ftruncate(int fd, off_t size)
{
	(void)pthread_mutex_lock(&lock);
	if (tracked(fd))
		pages_touch_size(fd);
	int rc = raw_ftruncate(fd, size), saved = errno;
	(void)pthread_mutex_unlock(&lock);
	errno = saved;
	return rc;
}

EXPORT int ftruncate64(int fd, off_t size)
{
	return ftruncate(fd, size);
}

EXPORT int truncate(const char *path, off_t size)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int rc = ftruncate(fd, size), saved = errno;
	(void)raw_close(fd);
	errno = saved;
	return rc;
}

EXPORT int truncate64(const char *path, off_t size)
{
	return truncate(path, size);
}

EXPORT int fallocate(int fd, int mode, off_t at, off_t len)
{
	(void)pthread_mutex_lock(&lock);
	int rc = -1;
	if (!tracked(fd) || !fault_hits("alloc")) {
		if (tracked(fd))
			pages_touch_size(fd);
		rc = raw_fallocate(fd, mode, at, len);
	}
	int saved = errno;
	(void)pthread_mutex_unlock(&lock);
	errno = saved;
	return rc;
}

EXPORT int fallocate64(int fd, int mode, off_t at, off_t len)
{
	return fallocate(fd, mode, at, len);
}

EXPORT int posix_fallocate(int fd, off_t at, off_t len)
{
	return fallocate(fd, 0, at, len) == 0 ? 0 : errno;
}

EXPORT int posix_fallocate64(int fd, off_t at, off_t len)
{
	return posix_fallocate(fd, at, len);
}

/* ---- syncs ---- */

static int sync_any(int fd)
{
	(void)pthread_mutex_lock(&lock);
	int rc = 0;
	if (tracked(fd)) {
		struct stat st;
		if (++syncs == cut_at)
			cut();
		if (fault_hits("sync")) {
			rc = -1; /* and what was dirty stays so: as good as lost at a cut */
		} else if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
			names_dir_synced(fd);
		} else {
			pages_synced(fd);
		}
	} else {
		rc = raw_fsync(fd);
	}
	int saved = errno;
	(void)pthread_mutex_unlock(&lock);
	errno = saved;
	return rc;
}

EXPORT int fsync(int fd)
{
	return sync_any(fd);
}

EXPORT int fdatasync(int fd)
{
	return sync_any(fd);
}

EXPORT void sync(void)
{
	(void)pthread_mutex_lock(&lock);
	pages_all_synced();
	names_all_synced();
	(void)pthread_mutex_unlock(&lock);
}

EXPORT int syncfs(int fd)
{
	(void)fd;
	sync();
	return 0;
}

/* ---- names ---- */

static int rename_any(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	char full_from[PATH_MAX], full_to[PATH_MAX];
	(void)pthread_mutex_lock(&lock);
	bool ours = resolve(from_dir, from, full_from), theirs = resolve(to_dir, to, full_to);
	if (ours && theirs)
		names_rename_before(full_from, full_to);
	int rc = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags), saved = errno;
	if (ours && theirs)
		names_rename_after(full_from, full_to, rc == 0);
	(void)pthread_mutex_unlock(&lock);
	errno = saved;
	return rc;
}

EXPORT int rename(const char *from, const char *to)
{
	return rename_any(AT_FDCWD, from, AT_FDCWD, to, 0);
}

EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return rename_any(from_dir, from, to_dir, to, 0);
}

EXPORT int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	return rename_any(from_dir, from, to_dir, to, flags);
}

static int unlink_any(int dir, const char *path, int flags)
{
	char full[PATH_MAX];
	(void)pthread_mutex_lock(&lock);
	bool ours = !(flags & AT_REMOVEDIR) && resolve(dir, path, full);
	if (ours)
		names_unlink_before(full);
	int rc = (int)syscall(SYS_unlinkat, dir, path, flags), saved = errno;
	if (ours)
		names_unlink_after(full, rc == 0);
	(void)pthread_mutex_unlock(&lock);
	errno = saved;
	return rc;
}

EXPORT int unlink(const char *path)
{
	return unlink_any(AT_FDCWD, path, 0);
}

EXPORT int unlinkat(int dir, const char *path, int flags)
{
	return unlink_any(dir, path, flags);
}

EXPORT int remove(const char *path)
{
	int rc = unlink_any(AT_FDCWD, path, 0);
	return rc != 0 && errno == EISDIR ? raw_rmdir(path) : rc;
}

EXPORT int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	char full[PATH_MAX];
	(void)pthread_mutex_lock(&lock);
	int rc = (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags), saved = errno;
	if (rc == 0 && resolve(to_dir, to, full))
		names_created(full);
	(void)pthread_mutex_unlock(&lock);
	errno = saved;
	return rc;
}

EXPORT int link(const char *from, const char *to)
{
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

EXPORT int mkdirat(int dir, const char *path, mode_t mode)
{
	char full[PATH_MAX];
	(void)pthread_mutex_lock(&lock);
	int rc = (int)syscall(SYS_mkdirat, dir, path, mode), saved = errno;
	if (rc == 0 && resolve(dir, path, full))
		names_made_dir(full);
	(void)pthread_mutex_unlock(&lock);
	errno = saved;
	return rc;
}

EXPORT int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}
