/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/fs.h"
#include "plugin/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int read_text(const char *text, struct hd_plugin_info *ret, struct hydro_error *err)
{
	memset(ret, 0, sizeof *ret);
	return hd_probe_read(text, strlen(text), ret, err);
}

Test(probe, the_answer_of_a_child_is_not_trusted)
{
	static const char *const garbage[] = {"", "{", "null", "[]", "{}", "{\"ok\":1}", "{\"ok\":true}", "{\"ok\":true,\"plugin\":[]}", "{\"ok\":true,\"plugin\":{}}",
					      "{\"ok\":true,\"plugin\":{\"name\":\"Bad Name\",\"kind\":\"provider\"}}",
					      "{\"ok\":true,\"plugin\":{\"name\":\"x\",\"kind\":\"spoon\"}}"};
	struct hd_plugin_info info;
	struct hydro_error err = {.struct_size = sizeof err};
	for (size_t i = 0; i < HD_ARRAY_LEN(garbage); i++)
		cr_assert_eq(read_text(garbage[i], &info, &err), HYDRO_E_PROTOCOL, "%s", garbage[i]);
}

Test(probe, a_refusal_keeps_its_code_and_words)
{
	struct hd_plugin_info info;
	struct hydro_error err = {.struct_size = sizeof err};
	cr_assert_eq(read_text("{\"ok\":false,\"code\":\"HYDRO_E_INVALID\",\"error\":\"why\"}", &info, &err), HYDRO_E_INVALID);
	cr_assert_str_eq(err.text, "why");
	cr_assert_eq(read_text("{\"ok\":false,\"code\":\"HYDRO_OK\"}", &info, &err), HYDRO_E_ABI);
}

Test(probe, numbers_out_of_range_are_nought)
{
	struct hd_plugin_info info;
	struct hydro_error err = {.struct_size = sizeof err};
	cr_assert_eq(read_text("{\"ok\":true,\"plugin\":{\"name\":\"x\",\"kind\":\"sink\",\"capabilities\":-1,\"abi_minor_needed\":1e99}}", &info, &err), HYDRO_OK);
	cr_assert_eq(info.capabilities, 0);
	cr_assert_eq(info.abi_minor_needed, 0);
	cr_assert_eq(info.kind, HYDRO_KIND_SINK);
}

Test(probe, the_runner_prints_its_answer_into_a_file_too)
{
	char path[] = "/tmp/hydro-probe-XXXXXX", command[1024];
	int fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	(void)close(fd);
	(void)snprintf(command, sizeof command, "%s --probe %s/fixtures/good.so >%s", HD_RUNNER, HD_BINARY_DIR, path);
	cr_assert_eq(system(command), 0);
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_plugin_info info;
	cr_assert_eq(hd_fs_read(path, 1u << 20, &buf, &err), HYDRO_OK);
	memset(&info, 0, sizeof info);
	cr_assert_eq(hd_probe_read(buf.data, buf.len, &info, &err), HYDRO_OK, "%s", err.text);
	cr_assert_str_eq(info.name, "good");
	(void)unlink(path);
}
