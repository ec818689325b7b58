/* SPDX-License-Identifier: MIT */
#include "plugin/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENVIRONMENT_MAX 16u
#define ABOVE_TARGETS 10 /* descriptors are first moved up here, so that no move overwrites another */

extern char **environ;

/* The daemon's environment may hold keys and passwords. */
static void environment(char *ret[ENVIRONMENT_MAX])
{
	static const char *const passed[] = {"PATH=", "LANG=", "LC_ALL=", "TMPDIR=", "LD_LIBRARY_PATH=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS=", "LSAN_OPTIONS="};
	size_t count = 0;
	for (char **entry = environ; *entry && count + 1 < ENVIRONMENT_MAX; entry++)
		for (size_t i = 0; i < HD_ARRAY_LEN(passed); i++)
			if (strncmp(*entry, passed[i], strlen(passed[i])) == 0) {
				ret[count++] = *entry;
				break;
			}
	ret[count] = NULL;
}

static int spawn(const char *runner_path, char **argv, int out, int file, int link, pid_t *ret)
{
	char *env[ENVIRONMENT_MAX];
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	environment(env);
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawnattr_init(&attributes);
	(void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (out >= 0)
		(void)posix_spawn_file_actions_adddup2(&actions, out, 1);
	else
		(void)posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	(void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&actions, file, HD_CHILD_FILE_FD);
	if (link >= 0)
		(void)posix_spawn_file_actions_adddup2(&actions, link, HD_CHILD_LINK_FD);
	(void)posix_spawn_file_actions_addclosefrom_np(&actions, link >= 0 ? HD_CHILD_LINK_FD + 1 : HD_CHILD_FILE_FD + 1);
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawnattr_setsigdefault(&attributes, &all);
	(void)posix_spawnattr_setpgroup(&attributes, 0);
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	int failed = posix_spawn(ret, runner_path, &actions, &attributes, argv, env);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)posix_spawnattr_destroy(&attributes);
	return failed;
}

int hd_child_start(const char *runner_path, char **argv, int out, int file, int link, pid_t *ret, struct hydro_error *err)
{
	HD_CLEANUP(hd_cleanup_free) char *path = strdup(runner_path);
	HD_CLEANUP(hd_cleanup_fd) int high_out = out >= 0 ? fcntl(out, F_DUPFD_CLOEXEC, ABOVE_TARGETS) : -1;
	HD_CLEANUP(hd_cleanup_fd) int high_file = fcntl(file, F_DUPFD_CLOEXEC, ABOVE_TARGETS);
	HD_CLEANUP(hd_cleanup_fd) int high_link = link >= 0 ? fcntl(link, F_DUPFD_CLOEXEC, ABOVE_TARGETS) : -1;
	if (!path || high_file < 0 || (out >= 0 && high_out < 0) || (link >= 0 && high_link < 0))
		return hd_error_set(err, HYDRO_E_IO, "no memory or descriptors to start %s", runner_path);
	argv[0] = path;
	int failed = spawn(runner_path, argv, high_out, high_file, high_link, ret);
	argv[0] = NULL;
	return failed ? hd_error_errno(err, HYDRO_E_IO, failed, "cannot start %s", runner_path) : HYDRO_OK;
}

int hd_child_finish(pid_t child, bool kill_it)
{
	int status = 0;
	if (kill_it)
		(void)kill(-child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	/* What it may have started. */
	(void)kill(-child, SIGKILL);
	return status;
}
