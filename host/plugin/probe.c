/* SPDX-License-Identifier: MIT */
#include "plugin/probe.h"

#include "base/buf.h"
#include "base/clock.h"
#include "plugin/child.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX (1u << 20)
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

int hd_probe_run(const char *runner_path, int fd, uint32_t probe_ms, struct hd_plugin_info *ret, struct hydro_error *err)
{
	int ends[2];
	pid_t child = 0;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot make a pipe to look at plugins");
	HD_CLEANUP(hd_cleanup_fd) int in = ends[0];
	HD_CLEANUP(hd_cleanup_fd) int out = ends[1];
	char file[32], probe[] = "--probe";
	(void)snprintf(file, sizeof file, "/proc/self/fd/%d", HD_CHILD_FILE_FD);
	char *argv[] = {NULL, probe, file, NULL};
	int rc = hd_child_start(runner_path, argv, out, fd, -1, &child, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_cleanup_fd(&out);
	HD_CLEANUP(hd_buf_done) struct hd_buf answer = {0};
	bool whole = read_answer(in, hd_clock_real_ns() + (int64_t)probe_ms * HD_NS_PER_MS, &answer);
	int status = hd_child_finish(child, !whole);
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
