/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include "base/fs.h"
#include "hostside/elf.h"
#include "hostside/module.h"
#include "hostside/options.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define PROBE_SECONDS 3u /* a backstop: the daemon's own limit is shorter */
#define PROBE_BYTES (1u << 30)

/* The sanitizers' shadow memory does not fit a limit of addresses. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ADDRESSES_LIMITED 0
#else
#define ADDRESSES_LIMITED 1
#endif

/* Files of any kind, the standard output among them when it is one: not while the plugin's code runs. */
static void may_write(bool yes)
{
	struct rlimit size;
	if (getrlimit(RLIMIT_FSIZE, &size) != 0)
		return;
	size.rlim_cur = yes ? size.rlim_max : 0;
	(void)setrlimit(RLIMIT_FSIZE, &size);
}

static void limit_self(void)
{
	static const struct { int what; rlim_t max; } limits[] = {{RLIMIT_CPU, PROBE_SECONDS}, {RLIMIT_CORE, 0}, {RLIMIT_NOFILE, 64}};
	for (size_t i = 0; i < HD_ARRAY_LEN(limits); i++) {
		struct rlimit limit = {limits[i].max, limits[i].max};
		(void)setrlimit((__rlimit_resource_t)limits[i].what, &limit);
	}
	may_write(false);
	struct rlimit addresses = {PROBE_BYTES, PROBE_BYTES};
	if (ADDRESSES_LIMITED)
		(void)setrlimit(RLIMIT_AS, &addresses);
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)alarm(PROBE_SECONDS);
}

/* Keeps the standard output for the answer and gives the plugin a null one. */
static int take_stdout(void)
{
	int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	HD_CLEANUP(hd_cleanup_fd) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (out >= 0 && null >= 0)
		(void)dup2(null, STDOUT_FILENO);
	return out;
}

static int look(const char *path, struct hd_module *ret, struct hydro_error *err)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf file = {0};
	int rc = hd_fs_read(path, HD_PLUGIN_FILE_BYTES_MAX, &file, err);
	if (rc == HYDRO_OK)
		rc = hd_elf_check(file.data, file.len, err);
	if (rc == HYDRO_OK)
		rc = hd_module_open(path, ret, err);
	if (rc == HYDRO_OK && ret->entry(HYDRO_ABI_MAJOR, HYDRO_ABI_MINOR) != ret->entry(HYDRO_ABI_MAJOR, HYDRO_ABI_MINOR))
		rc = hd_error_set(err, HYDRO_E_ABI, "hydro_plugin_entry returns another descriptor at each call, this host needs the same one");
	return rc;
}

int hd_runner_probe(const char *path)
{
	int out = take_stdout();
	if (out < 0)
		return 1;
	limit_self();
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_module module = {0};
	int rc = look(path, &module, &err);
	may_write(true);
	HD_CLEANUP(hd_buf_done) struct hd_buf json = {0};
	if (rc == HYDRO_OK) {
		(void)hd_buf_add_text(&json, "{\"ok\":true,\"plugin\":");
		(void)hd_descriptor_json(module.descriptor, &json);
	} else {
		(void)hd_buf_printf(&json, "{\"ok\":false,\"code\":\"%s\",\"error\":", hd_error_info(rc)->name);
		(void)hd_buf_add_json(&json, err.text, strlen(err.text));
	}
	(void)hd_buf_add_text(&json, "}\n");
	size_t done = 0;
	while (!json.failed && done < json.len) {
		ssize_t n = write(out, json.data + done, json.len - done);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	/* Not through exit: what the plugin registered there is not this child's affair. */
	_exit(rc == HYDRO_OK && !json.failed && done == json.len ? 0 : 1);
}
