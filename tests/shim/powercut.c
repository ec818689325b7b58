/* SPDX-License-Identifier: MIT */
/*
 * LD_PRELOAD shim: a disk that forgets at a cut of power what was not synced, and that fails on demand. README.md says how
 * to use it. Each wrapper does its call under one lock, so that a cut never meets a call half done.
 */
/* Fortified headers would define inline what is defined here. */
#undef _FORTIFY_SOURCE
#include "powercut.h"
#include "raw.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CUT_STATUS 99
#define EXPORT __attribute__((visibility("default")))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards: everything of the shim */
static char root[PATH_MAX], trash[PATH_MAX];
static const char *fault_file, *count_file;
static unsigned long cut_at, syncs, trash_number;
static unsigned keep_percent;
static uint64_t seed;
static bool active;
static struct {
	char operation[8];
	int code;
	unsigned long from, count, seen;
} fault;

void shim_die(const char *what)
{
	char text[256];
	int n = snprintf(text, sizeof text, "powercut shim: %s: %s\n", what, strerror(errno));
	(void)!raw_write(2, text, (size_t)n);
	abort();
}

unsigned shim_dice(unsigned sides)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return sides ? (unsigned)(seed >> 33) % sides : 0;
}

void shim_trash_path(char ret[PATH_MAX])
{
	if (snprintf(ret, PATH_MAX, "%s/%d-%lu", trash, (int)getpid(), ++trash_number) >= PATH_MAX)
		shim_die("the trash's path is too long");
}

static int errno_by_name(const char *name)
{
	return strcmp(name, "ENOSPC") == 0 ? ENOSPC : strcmp(name, "EDQUOT") == 0 ? EDQUOT : EIO;
}

/* "sync:EIO:5:3": the 5th to 7th; without numbers: all from the first on. */
static bool fault_parse(const char *text)
{
	char operation[8], name[8];
	unsigned long from = 1, count = ULONG_MAX;
	if (sscanf(text, "%7[a-z]:%7[A-Z]:%lu:%lu", operation, name, &from, &count) < 2)
		return false;
	memcpy(fault.operation, operation, sizeof operation);
	fault.code = errno_by_name(name);
	fault.from = from;
	fault.count = count;
	return true;
}

/* Whether this call is to fail; errno is set then. */
static bool fault_hits(const char *operation)
{
	if (fault_file) { /* its presence is the switch, so a running daemon can be made to fail and to recover */
		char text[64] = "";
		int fd = raw_open(fault_file, O_RDONLY | O_CLOEXEC, 0);
		ssize_t n = fd >= 0 ? raw_pread(fd, text, sizeof text - 1, 0) : 0;
		if (fd >= 0)
			(void)raw_close(fd);
		if (n <= 0 || !fault_parse(text))
			return false;
	}
	if (!fault.code || (strcmp(fault.operation, operation) != 0 && strcmp(fault.operation, "all") != 0))
		return false;
	fault.seen++;
	if (!fault_file && (fault.seen < fault.from || fault.seen - fault.from >= fault.count))
		return false;
	errno = fault.code;
	return true;
}

/* Only the first process is cut: what it forks or runs goes past the shim. */
static void forked(void)
{
	active = false;
}

__attribute__((constructor)) static void start(void)
{
	const char *dir = getenv("HYDRO_CUT_ROOT"), *at = getenv("HYDRO_CUT_AT"), *keep = getenv("HYDRO_CUT_KEEP"), *number = getenv("HYDRO_CUT_SEED");
	const char *faults = getenv("HYDRO_FAULT");
	if (!dir || getenv("HYDRO_CUT_OWNER") || !realpath(dir, root))
		return;
	fault_file = getenv("HYDRO_FAULT_FILE");
	count_file = getenv("HYDRO_CUT_COUNT_FILE");
	cut_at = at ? strtoul(at, NULL, 10) : 0;
	keep_percent = keep ? (unsigned)strtoul(keep, NULL, 10) : 0;
	seed = number ? strtoull(number, NULL, 10) : 1;
	if (faults && !fault_parse(faults))
		shim_die("HYDRO_FAULT is not OPERATION:ERRNO[:FROM[:COUNT]]");
	if (snprintf(trash, sizeof trash, "%s.cut-trash", root) >= (int)sizeof trash)
		shim_die("the folder's path is too long");
	if (raw_mkdir(trash, 0700) != 0 && errno != EEXIST)
		shim_die("cannot make the trash");
	(void)setenv("HYDRO_CUT_OWNER", "1", 1);
	(void)pthread_atfork(NULL, NULL, forked);
	active = true;
}

static void count_write(void)
{
	char text[32];
	int fd = count_file ? raw_open(count_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	if (fd < 0)
		return;
	int n = snprintf(text, sizeof text, "%lu\n", syncs);
	(void)!raw_write(fd, text, (size_t)n);
	(void)raw_close(fd);
}

__attribute__((destructor)) static void finish(void)
{
	if (!active)
		return;
	(void)pthread_mutex_lock(&lock);
	names_all_synced();
	pages_all_synced();
	(void)raw_rmdir(trash);
	count_write();
	active = false;
	(void)pthread_mutex_unlock(&lock);
}

/* A thread that reads a mapped file while its end is taken back: it too is without power. */
static void stand_still(int number)
{
	(void)number;
	for (;;)
		(void)pause();
}

/* The power is gone: the disk is put as it would be found, and nobody gets any further. */
static _Noreturn void cut(void)
{
	(void)signal(SIGBUS, stand_still);
	pages_restore(keep_percent);
	names_restore(keep_percent);
	(void)raw_rmdir(trash);
	count_write();
	_exit(CUT_STATUS);
}

/* The absolute path without links in its folder; false when it is not under the root. */
static bool resolve(int dir, const char *path, char ret[PATH_MAX])
{
	char joined[2 * PATH_MAX], folder[PATH_MAX], proc[64], base[PATH_MAX];
	if (!active || !path)
		return false;
	joined[0] = '\0';
	if (*path != '/') {
		(void)snprintf(proc, sizeof proc, dir == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", dir);
		ssize_t n = readlink(proc, base, sizeof base - 1);
		if (n < 0)
			return false;
		base[n] = '\0';
		(void)snprintf(joined, sizeof joined, "%s/", base);
	}
	size_t len = strlen(joined);
	if (snprintf(joined + len, sizeof joined - len, "%s", path) >= (int)(sizeof joined - len))
		return false;
	char *slash = strrchr(joined, '/');
	(void)snprintf(base, sizeof base, "%s", slash + 1);
	*slash = '\0';
	if (!realpath(*joined ? joined : "/", folder) || snprintf(ret, PATH_MAX, "%s/%s", folder, base) >= PATH_MAX)
		return false;
	len = strlen(root);
	return strncmp(ret, root, len) == 0 && (ret[len] == '/' || ret[len] == '\0');
}

/* Whether the open file lies under the root. */
static bool tracked(int fd)
{
	char proc[64], path[PATH_MAX];
	int saved = errno;
	if (!active)
		return false;
	(void)snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(proc, path, sizeof path - 1);
	errno = saved;
	size_t len = strlen(root);
	return n >= (ssize_t)len && strncmp(path, root, len) == 0 && (n == (ssize_t)len || path[len] == '/');
}

static int open_any(int dir, const char *path, int flags, mode_t mode)
{
	char full[PATH_MAX];
	struct stat st;
	(void)pthread_mutex_lock(&lock);
	bool ours = resolve(dir, path, full), made = ours && flags & O_CREAT && lstat(full, &st) != 0;
	int fd = -1;
	if (!made || !fault_hits("open")) {
		if (ours && flags & O_TRUNC && !made) { /* its content must be kept before it goes */
			int old = raw_open(full, O_RDWR | O_CLOEXEC, 0);
			if (old >= 0) {
				pages_touch_size(old);
				(void)raw_close(old);
			}
		}
		fd = raw_openat(dir, path, flags, mode);
		if (fd >= 0 && made && lstat(full, &st) == 0)
			names_created(full);
	}
	int saved = errno;
	(void)pthread_mutex_unlock(&lock);
	errno = saved;
	return fd;
}

static mode_t mode_of(int flags, va_list ap)
{
	return flags & (O_CREAT | __O_TMPFILE) ? (mode_t)va_arg(ap, unsigned) : 0;
}

#define OPEN_WRAPPER(name)                                          \
	EXPORT int name(const char *path, int flags, ...)           \
	{                                                           \
		va_list ap;                                         \
		va_start(ap, flags);                                \
		mode_t mode = mode_of(flags, ap);                   \
		va_end(ap);                                         \
		return open_any(AT_FDCWD, path, flags, mode);       \
	}
#define OPENAT_WRAPPER(name)                                        \
	EXPORT int name(int dir, const char *path, int flags, ...)  \
	{                                                           \
		va_list ap;                                         \
		va_start(ap, flags);                                \
		mode_t mode = mode_of(flags, ap);                   \
		va_end(ap);                                         \
		return open_any(dir, path, flags, mode);            \
	}

#include "wrappers.h"
