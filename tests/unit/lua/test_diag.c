/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "lua/diag.h"

#include <string.h>

static const char *const names[] = {"counter", "rate", "range", "scale", "depth", "frozen"};

static const char *name(const void *arg, uint32_t i)
{
	(void)arg;
	return names[i];
}

Test(diag, the_nearest_name_is_found_and_a_far_one_is_not)
{
	cr_assert_str_eq(hd_diag_nearest("coutner", name, NULL, HD_ARRAY_LEN(names)), "counter");
	cr_assert_str_eq(hd_diag_nearest("rang", name, NULL, HD_ARRAY_LEN(names)), "range");
	cr_assert_str_eq(hd_diag_nearest("dept", name, NULL, HD_ARRAY_LEN(names)), "depth");
	cr_assert_null(hd_diag_nearest("balance", name, NULL, HD_ARRAY_LEN(names)));
	cr_assert_null(hd_diag_nearest("", name, NULL, HD_ARRAY_LEN(names)));
}

Test(diag, a_message_of_lua_is_taken_apart)
{
	struct hd_diag diag;
	const char *source = "local a = 1\n  foo { bar = 2, ba = 3 }\n";
	hd_diag_from_lua(&diag, "w.lua", source, "[string \"w\"]:2: unknown option 'ba' of step foo\nhint: did you mean 'bar'?");
	cr_assert_eq(diag.line, 2);
	cr_assert_eq(diag.column, 18);
	cr_assert_str_eq(diag.message, "unknown option 'ba' of step foo");
	cr_assert_str_eq(diag.hint, "did you mean 'bar'?");
	char text[256];
	hd_diag_text(&diag, text, sizeof text);
	cr_assert_str_eq(text, "w.lua:2:18: unknown option 'ba' of step foo (did you mean 'bar'?)");
	struct hd_buf json = {0};
	cr_assert(hd_diag_json(&diag, &json));
	cr_assert_str_eq(hd_buf_text(&json), "{\"file\":\"w.lua\",\"line\":2,\"column\":18,\"message\":\"unknown option 'ba' of step foo\",\"hint\":\"did you mean 'bar'?\"}");
	hd_buf_done(&json);
	hd_diag_from_lua(&diag, "w.lua", NULL, "no place: 12: here");
	cr_assert_eq(diag.line, 0);
	hd_diag_from_lua(&diag, "w.lua", source, "w.lua:99: 'x' is beyond the end");
	cr_assert_eq(diag.line, 99);
	cr_assert_eq(diag.column, 0);
}
