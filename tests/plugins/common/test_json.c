/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_json(const char *text, size_t len)
{
	/* In memory of its exact size, so that a read beyond it is seen by the sanitizer. */
	char *exact = malloc(len ? len : 1);
	struct json j;
	cr_assert_not_null(exact);
	memcpy(exact, text, len);
	json_begin(&j, exact, len);
	bool ok = json_skip(&j) && json_end(&j);
	cr_assert_eq(ok, j.error == NULL);
	cr_assert_leq(json_offset(&j), len);
	free(exact);
	return ok;
}

Test(json, takes_every_text_of_rfc_8259)
{
	static const char *const good[] = {
		"{}", "[]", "\"\"", "0", "-0", "-1.5e+10", "1E5", "0.1", "true", "false", "null", " \t\r\n[ 1 , 2 ] \n", "[[],{},[{}]]",
		"{\"a\":{\"b\":[1,{\"c\":null}]},\"d\":\"e\"}", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"", "\"\x7f\"",
		"\"\xc3\xa1 \xe2\x82\xac \xf0\x9f\x92\xa7\"", "\xef\xbb\xbf{\"bom\":1}", "{\"a\":1,\"a\":2}", "{\"\":0}", "\"\\ud800\"",
		"123456789012345678901234567890.5e-400",
	};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		cr_assert(is_json(good[i], strlen(good[i])), "%s", good[i]);
}

Test(json, refuses_what_is_not_json)
{
	static const char *const bad[] = {
		"", " ", "{", "}", "[", "]", "[1,]", "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{a:1}", "{'a':1}", "{1:2}",
		"[1]]", "{}{}", "1 2", "01", "-", "-01", "+1", "1.", ".5", "1e", "1e+", "0x10", "NaN", "nan", "Infinity", "-Infinity", "tru", "truE",
		"True", "nul", "nulll", "falsee", "\"", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"a\nb\"", "\"\x01\"", "\"\x1f\"", "/*c*/1",
		"[1}", "{\"a\":1]", "\xef\xbb", "<html></html>", "\"\x80\"", "\"\xc0\xaf\"", "\"\xc1\xbf\"", "\"\xe0\x80\x80\"", "\"\xed\xa0\x80\"",
		"\"\xf0\x80\x80\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xf5\x80\x80\x80\"", "\"\xc3\"", "\"\xe2\x82\"", "\"\xf0\x9f\x92\"", "\"\xc3",
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		cr_assert_not(is_json(bad[i], strlen(bad[i])), "%s", bad[i]);
	cr_assert_not(is_json("[1]\0", 4));
	cr_assert_not(is_json("\"a\0b\"", 5));
}

Test(json, depth_is_bounded_and_the_bound_itself_is_fine)
{
	char text[2 * JSON_DEPTH_MAX + 3];
	for (unsigned depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		cr_assert_eq(is_json(text, 2 * depth), depth == JSON_DEPTH_MAX);
	}
	size_t len = 1000000;
	char *deep = malloc(len);
	cr_assert_not_null(deep);
	for (size_t i = 0; i < len; i++)
		deep[i] = i % 5 == 0 ? '{' : "\"a\":"[i % 5 - 1];
	cr_assert_not(is_json(deep, len));
	memset(deep, '[', len);
	cr_assert_not(is_json(deep, len));
	free(deep);
}

Test(json, objects_and_arrays_may_alternate_at_every_depth)
{
	char text[512] = "";
	for (int i = 0; i < 30; i++)
		strcat(text, i % 3 ? "{\"k\":" : "[0,");
	strcat(text, "1");
	for (int i = 29; i >= 0; i--)
		strcat(text, i % 3 ? ",\"z\":[]}" : ",{}]");
	cr_assert(is_json(text, strlen(text)));
	*strrchr(text, ']') = '}';
	cr_assert_not(is_json(text, strlen(text)));
}

Test(json, members_and_elements_are_pulled_one_by_one)
{
	static const char text[] = "{\"a\":[1,2.5,-3e2],\"b\":{\"c\":\"d\"},\"e\":true}";
	struct json j;
	struct json_text name, value;
	double sum = 0, number;
	bool fits, flag = false;
	json_begin(&j, text, sizeof text - 1);
	cr_assert(json_enter_object(&j));
	cr_assert(json_member(&j, &name) && json_text_equal(&name, "a", 1));
	cr_assert(json_enter_array(&j));
	while (json_element(&j)) {
		cr_assert(json_number(&j, &number, &fits) && fits);
		sum += number;
	}
	cr_assert_float_eq(sum, -296.5, 0);
	cr_assert(json_member(&j, &name) && json_text_equal(&name, "b", 1));
	cr_assert(json_enter_object(&j) && json_member(&j, &name) && json_string(&j, &value));
	cr_assert(json_text_equal(&value, "d", 1) && !json_member(&j, &name));
	cr_assert(json_member(&j, &name) && json_bool(&j, &flag) && flag);
	cr_assert_not(json_member(&j, &name));
	cr_assert(json_end(&j));
}

Test(json, the_first_error_is_kept_and_every_later_call_fails)
{
	struct json j;
	double number;
	bool fits;
	json_begin(&j, "[\"x\"]", 5);
	cr_assert(json_enter_array(&j) && json_element(&j));
	cr_assert_not(json_number(&j, &number, &fits));
	const char *why = j.error;
	cr_assert_not_null(why);
	cr_assert_not(json_skip(&j));
	cr_assert_not(json_element(&j));
	cr_assert_not(json_end(&j));
	cr_assert(j.error == why);
}

Test(json, escapes_are_decoded_and_compared)
{
	static const char text[] = "\"caudal \\u00e1\\ud83d\\ude00\\n\\\"\"";
	static const char plain[] = "caudal \xc3\xa1\xf0\x9f\x98\x80\n\"";
	struct json j;
	struct json_text value;
	char copy[64];
	json_begin(&j, text, sizeof text - 1);
	cr_assert(json_string(&j, &value) && json_end(&j));
	cr_assert(json_text_equal(&value, plain, sizeof plain - 1));
	cr_assert_not(json_text_equal(&value, plain, sizeof plain - 2));
	cr_assert_eq(json_text_copy(&value, copy, sizeof copy), sizeof plain - 1);
	cr_assert_str_eq(copy, plain);
	cr_assert_eq(json_text_copy(&value, copy, sizeof plain), sizeof plain - 1);
	cr_assert_eq(json_text_copy(&value, copy, sizeof plain - 1), SIZE_MAX);
}

Test(json, half_a_pair_and_nul_cannot_be_copied)
{
	static const char *const bad[] = {"\"\\ud800\"", "\"\\ud800x\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"a\\u0000b\""};
	char copy[64];
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct json j;
		struct json_text value;
		json_begin(&j, bad[i], strlen(bad[i]));
		cr_assert(json_string(&j, &value) && json_end(&j));
		cr_assert_eq(json_text_copy(&value, copy, sizeof copy), SIZE_MAX, "%s", bad[i]);
		cr_assert_not(json_text_equal(&value, "a", 1));
	}
}
