/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/buf.h"

Test(buf, json_text_is_escaped_and_bad_utf8_replaced)
{
	struct hd_buf buf = {0};
	hd_buf_add_json(&buf, "a\"\\\n\x01\xc3\xb1\xff\xed\xa0\x80", 11);
	cr_assert_str_eq(hd_buf_text(&buf), "\"a\\\"\\\\\\n\\u0001\xc3\xb1\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	hd_buf_done(&buf);
}

Test(buf, numbers_read_back_the_same)
{
	const double values[] = {0, 1, 0.1, 1.0 / 3, 999.99, 1e300, 12345678901234567.0, -7.25};
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		struct hd_buf buf = {0};
		hd_buf_add_number(&buf, values[i]);
		cr_assert_eq(strtod(hd_buf_text(&buf), NULL), values[i]);
		hd_buf_done(&buf);
	}
	struct hd_buf buf = {0};
	hd_buf_add_number(&buf, 0.1);
	cr_assert_str_eq(hd_buf_text(&buf), "0.1");
	hd_buf_done(&buf);
}
