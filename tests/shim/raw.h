/* SPDX-License-Identifier: MIT */
/* System calls that go past the shim's own wrappers. */
#ifndef HD_TESTS_SHIM_RAW_H
#define HD_TESTS_SHIM_RAW_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static inline int raw_openat(int dir, const char *path, int flags, mode_t mode) { return (int)syscall(SYS_openat, dir, path, flags, mode); }
static inline int raw_open(const char *path, int flags, mode_t mode) { return raw_openat(AT_FDCWD, path, flags, mode); }
static inline int raw_close(int fd) { return (int)syscall(SYS_close, fd); }
static inline ssize_t raw_pread(int fd, void *data, size_t len, off_t at) { return syscall(SYS_pread64, fd, data, len, at); }
static inline ssize_t raw_pwrite(int fd, const void *data, size_t len, off_t at) { return syscall(SYS_pwrite64, fd, data, len, at); }
static inline ssize_t raw_write(int fd, const void *data, size_t len) { return syscall(SYS_write, fd, data, len); }
static inline ssize_t raw_writev(int fd, const struct iovec *iov, int count) { return syscall(SYS_writev, fd, iov, count); }
static inline ssize_t raw_pwritev(int fd, const struct iovec *iov, int count, off_t at) { return syscall(SYS_pwritev, fd, iov, count, at, 0); }
static inline int raw_ftruncate(int fd, off_t size) { return (int)syscall(SYS_ftruncate, fd, size); }
static inline int raw_fallocate(int fd, int mode, off_t at, off_t len) { return (int)syscall(SYS_fallocate, fd, mode, at, len); }
static inline int raw_fsync(int fd) { return (int)syscall(SYS_fsync, fd); }
static inline int raw_link(const char *from, const char *to) { return (int)syscall(SYS_link, from, to); }
static inline int raw_unlink(const char *path) { return (int)syscall(SYS_unlink, path); }
static inline int raw_rmdir(const char *path) { return (int)syscall(SYS_rmdir, path); }
static inline int raw_mkdir(const char *path, mode_t mode) { return (int)syscall(SYS_mkdir, path, mode); }
static inline int raw_rename(const char *from, const char *to) { return (int)syscall(SYS_rename, from, to); }

#endif
