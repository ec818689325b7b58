/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "plugin/probe.h"

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
