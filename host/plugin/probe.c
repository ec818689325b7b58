/* SPDX-License-Identifier: MIT */
#include "plugin/probe.h"

#include "base/buf.h"
#include "base/clock.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX (1u << 20)
#define CHILD_FILE_FD 3

extern char **environ;

void hd_probe_environment(char *ret[16])
{
	static const char *const passed[] = {"PATH=", "LANG=", "LC_ALL=", "TMPDIR=", "LD_LIBRARY_PATH=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS=", "LSAN_OPTIONS="};
	size_t count = 0;
	for (char **entry = environ; *entry && count < 15; entry++)
		for (size_t i = 0; i < HD_ARRAY_LEN(passed); i++)
			if (strncmp(*entry, passed[i], strlen(passed[i])) == 0) {
				ret[count++] = *entry;
				break;
			}
	ret[count] = NULL;
}

static void take_text(const cJSON *json, const char *key, char *ret, size_t size)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));
	(void)snprintf(ret, size, "%s", text ? text : "");
}

static uint32_t take_number(const cJSON *json, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
	return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= (double)UINT32_MAX ? (uint32_t)item->valuedouble : 0;
}

static int refusal(const cJSON *json, struct hydro_error *err)
{
	char name[64], text[HYDRO_ERROR_TEXT_BYTES];
	take_text(json, "code", name, sizeof name);
	take_text(json, "error", text, sizeof text);
	int code = HYDRO_E_ABI;
	for (int32_t c = HYDRO_E_FATAL; c < 0; c++)
		if (strcmp(hd_error_info(c)->name, name) == 0)
			code = c;
	return hd_error_set(err, code, "%s", text[0] ? text : "refused without a reason");
}

int hd_probe_read(const char *text, size_t len, struct hd_plugin_info *ret, struct hydro_error *err)
{
	cJSON *json = cJSON_ParseWithLength(text, len);
	const cJSON *ok = cJSON_GetObjectItemCaseSensitive(json, "ok");
	const cJSON *plugin = cJSON_GetObjectItemCaseSensitive(json, "plugin");
	int rc = HYDRO_OK;
	if (!cJSON_IsBool(ok) || (cJSON_IsTrue(ok) && !cJSON_IsObject(plugin))) {
		rc = hd_error_set(err, HYDRO_E_PROTOCOL, "the probe's answer is not what hydro-runner prints");
	} else if (cJSON_IsFalse(ok)) {
		rc = refusal(json, err);
	} else {
		char kind[16];
		take_text(plugin, "name", ret->name, sizeof ret->name);
		take_text(plugin, "version", ret->version, sizeof ret->version);
		take_text(plugin, "summary", ret->summary, sizeof ret->summary);
		take_text(plugin, "licence", ret->licence, sizeof ret->licence);
		take_text(plugin, "kind", kind, sizeof kind);
		ret->abi_minor_needed = take_number(plugin, "abi_minor_needed");
		ret->capabilities = take_number(plugin, "capabilities");
		for (uint32_t k = HYDRO_KIND_PROVIDER; k <= HYDRO_KIND_ANALYTICS; k++)
			if (strcmp(kind, hd_kind_name(k)) == 0)
				ret->kind = k;
		if (!hd_plugin_name_valid(ret->name) || ret->kind == 0)
			rc = hd_error_set(err, HYDRO_E_PROTOCOL, "the probe's answer has no name or kind this host knows");
	}
	cJSON_Delete(json);
	return rc;
}

static int start(const char *runner_path, int fd, int out, pid_t *ret, struct hydro_error *err)
{
	char file[32], probe[] = "--probe";
	(void)snprintf(file, sizeof file, "/proc/self/fd/%d", CHILD_FILE_FD);
	HD_CLEANUP(hd_cleanup_free) char *path = strdup(runner_path);
	char *argv[] = {path, probe, file, NULL}, *env[16];
	hd_probe_environment(env);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawnattr_init(&attributes);
	(void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&actions, out, 1);
	(void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&actions, fd, CHILD_FILE_FD);
	(void)posix_spawn_file_actions_addclosefrom_np(&actions, CHILD_FILE_FD + 1);
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawnattr_setsigdefault(&attributes, &all);
	(void)posix_spawnattr_setpgroup(&attributes, 0);
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	int failed = path ? posix_spawn(ret, runner_path, &actions, &attributes, argv, env) : ENOMEM;
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)posix_spawnattr_destroy(&attributes);
	return failed ? hd_error_errno(err, HYDRO_E_IO, failed, "cannot start %s to look at plugins", runner_path) : HYDRO_OK;
}

/* Reads until the child closes its end; false when time ran out or it prints without end. */
static bool read_answer(int fd, int64_t deadline_ns, struct hd_buf *answer)
{
	while (answer->len < ANSWER_BYTES_MAX) {
		int64_t left_ms = (deadline_ns - hd_clock_real_ns()) / HD_NS_PER_MS;
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int ready = poll(&p, 1, left_ms > 0 ? (int)left_ms : 0);
		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0 || !hd_buf_reserve(answer, 4096))
			return false;
		ssize_t n = read(fd, answer->data + answer->len, 4096);
		if (n <= 0)
			return n == 0;
		answer->len += (size_t)n;
	}
	return false;
}

/* Collects the child, with what it started in its process group. */
static int finish(pid_t child, bool kill_it)
{
	int status = 0;
	if (kill_it)
		(void)kill(-child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	(void)kill(-child, SIGKILL);
	return status;
}

int hd_probe_run(const char *runner_path, int fd, uint32_t probe_ms, struct hd_plugin_info *ret, struct hydro_error *err)
{
	int ends[2];
	pid_t child = 0;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot make a pipe to look at plugins");
	/* Above what the child's end is moved to, so that no move overwrites another. */
	HD_CLEANUP(hd_cleanup_fd) int file = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	HD_CLEANUP(hd_cleanup_fd) int out = fcntl(ends[1], F_DUPFD_CLOEXEC, 10);
	HD_CLEANUP(hd_cleanup_fd) int in = ends[0];
	(void)close(ends[1]);
	if (file < 0 || out < 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "no descriptors to look at plugins");
	int rc = start(runner_path, file, out, &child, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_cleanup_fd(&out);
	HD_CLEANUP(hd_buf_done) struct hd_buf answer = {0};
	bool whole = read_answer(in, hd_clock_real_ns() + (int64_t)probe_ms * HD_NS_PER_MS, &answer);
	int status = finish(child, !whole);
	if (!whole)
		return hd_error_set(err, HYDRO_E_TIMEOUT, "plugin did not give its descriptor within the %u ms this host allows", probe_ms);
	if (WIFSIGNALED(status))
		return hd_error_set(err, HYDRO_E_FATAL, "plugin killed the child that looked at it (%s) before giving a descriptor, this host asks for one without side effects",
				    strsignal(WTERMSIG(status)));
	if (answer.len == 0)
		return hd_error_set(err, HYDRO_E_FATAL, "plugin ended the child that looked at it (status %d) before giving a descriptor, this host asks for one without side effects",
				    WEXITSTATUS(status));
	return hd_probe_read(answer.data, answer.len, ret, err);
}
