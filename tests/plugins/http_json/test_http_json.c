/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T0 INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define HOUR INT64_C(3600000)

/* Rows with several values each; the token in a header. */
#define ROWS \
	"{\"url\":\"https://h.example/{site}/latest?d={device}&at={now}\",\"history_url\":\"https://h.example/{site}/h?d={device}&a={from}&b={to}&n={limit}\"," \
	"\"headers\":{\"authorization\":\"Bearer {token}\",\"x-site\":\"{site}\"},\"items\":\"data.rows\",\"ts\":\"at\",\"page_limit\":3,\"date_format\":\"ms\"}"
#define ROWS_POINT \
	"{\"token\":\"tok-SECRET\",\"params\":{\"site\":\"norte\",\"device\":\"PZ 4/a\"},\"keys\":{\"flow\":\"m[\\\"flow.avg\\\"]\",\"total\":\"m.total\"}}"
/* One object, time in seconds. */
#define FLAT "{\"url\":\"http://h/{token}\",\"ts\":\"timestamp\",\"ts_format\":\"s\"}"
#define FLAT_POINT "{\"token\":\"a b\",\"keys\":{\"level\":\"level_m\"}}"
/* As twin: a list named by the key, one key a request. */
#define KEYED "{\"url\":\"http://h/v?k={key}\",\"items\":\"{key}\",\"ts\":\"ts\",\"ts_format\":\"ms\",\"value\":\"value\",\"missing_items\":\"no_data\"}"
#define KEYED_POINT "{\"keys\":{\"flow\":\"5001\",\"pulses\":\"5003\"}}"

Test(http_json, the_request_is_filled_in_from_the_point)
{
	hydro_testkit *kit = kit_with(ROWS, NULL, ROWS_POINT);
	hydro_testkit_poll(kit)->now_ms = T0;
	for (size_t scratch = 1; scratch <= 1024; scratch *= 4) {
		hydro_testkit_set_scratch(kit, scratch);
		const hydro_http_request *request = asked(kit);
		cr_assert_eq(request->method, HYDRO_HTTP_GET);
		cr_assert_str_eq(request->url, "https://h.example/norte/latest?d=PZ%204%2Fa&at=1767225600000");
		cr_assert_str_eq(hydro_testkit_header(request, "authorization"), "Bearer tok-SECRET");
		cr_assert_str_eq(hydro_testkit_header(request, "X-Site"), "norte");
		for (uint32_t i = 0; i < request->header_count; i++)
			if (strstr(request->headers[i].value, "SECRET"))
				cr_assert(request->headers[i].flags & HYDRO_HEADER_SECRET);
		cr_assert_null(request->body);
	}
	ask_history(kit, T0, T0 + HOUR, 2);
	cr_assert_str_eq(asked(kit)->url, "https://h.example/norte/h?d=PZ%204%2Fa&a=1767225600000&b=1767229200000&n=2");
	hydro_testkit_close(&kit);
}

Test(http_json, a_token_in_the_url_is_not_in_the_log)
{
	hydro_testkit *kit = kit_with(FLAT, NULL, FLAT_POINT);
	cr_assert_str_eq(asked(kit)->url, "http://h/a%20b");
	cr_assert_str_eq(asked(kit)->url_log, "http://h/***");
	hydro_testkit_close(&kit);
	kit = kit_with(FLAT, "{\"account_token\":\"acc\"}", "{\"keys\":{\"level\":\"level_m\"}}");
	cr_assert_str_eq(asked(kit)->url, "http://h/acc");
	hydro_testkit_close(&kit);
}

Test(http_json, a_body_is_filled_in_as_json)
{
	hydro_testkit *kit = kit_with("{\"url\":\"http://h/\",\"method\":\"POST\",\"history_url\":\"http://h/h\",\"body\":\"{\\\"id\\\":\\\"{id}\\\"}\","
				      "\"history_body\":\"{\\\"from\\\":\\\"{from}\\\",\\\"t\\\":{to}}\"}",
				      NULL, "{\"params\":{\"id\":\"a\\\"b\"},\"keys\":{\"level\":\"l\"}}");
	cr_assert_eq(asked(kit)->method, HYDRO_HTTP_POST);
	cr_assert_str_eq(asked(kit)->body, "{\"id\":\"a\\\"b\"}");
	cr_assert_eq(asked(kit)->body_len, strlen(asked(kit)->body));
	cr_assert_str_eq(hydro_testkit_header(asked(kit), "content-type"), "application/json");
	ask_history(kit, T0, T0 + 1, 0);
	cr_assert_str_eq(asked(kit)->body, "{\"from\":\"2026-01-01T00:00:00.000Z\",\"t\":2026-01-01T00:00:00.001Z}");
	hydro_testkit_close(&kit);
}

Test(http_json, rows_with_several_values_are_mapped)
{
	hydro_testkit *kit = kit_with(ROWS, NULL, ROWS_POINT);
	hydro_testkit_answer answer = answered_recorded(kit, "http_json_rows.json");
	cr_assert_eq(answer.status, HYDRO_PART_DATA);
	cr_assert_eq(answer.raw_count, 5, "a row without a value gives none");
	cr_assert(has(kit, &answer, "flow", 0, T0 + 3 * HOUR, 3.25));
	cr_assert(has(kit, &answer, "flow", 1, T0 + 4 * HOUR, 3.5));
	cr_assert(has(kit, &answer, "total", 0, T0 + 3 * HOUR, 1043.5));
	cr_assert(has(kit, &answer, "total", 2, T0 + 5 * HOUR, 1045));
	hydro_testkit_close(&kit);
}

Test(http_json, one_flat_object_is_one_item)
{
	hydro_testkit *kit = kit_with(FLAT, NULL, FLAT_POINT);
	hydro_testkit_answer answer = answered_recorded(kit, "http_json_flat.json");
	cr_assert_eq(answer.raw_count, 1);
	cr_assert(has(kit, &answer, "level", 0, T0, 12.375));
	answer = answered(kit, 200, "{\"level_m\":\"1.5\",\"timestamp\":\"1767225600.123\"}");
	cr_assert(has(kit, &answer, "level", 0, T0 + 123, 1.5));
	hydro_testkit_close(&kit);
}

Test(http_json, each_key_may_be_a_request_of_its_own)
{
	hydro_testkit *kit = kit_with(KEYED, NULL, KEYED_POINT);
	cr_assert_eq(hydro_testkit_parts(kit), 2);
	hydro_testkit_poll(kit)->part = 1;
	cr_assert_str_eq(asked(kit)->url, "http://h/v?k=5003");
	hydro_testkit_answer answer = answered_recorded(kit, "twin_latest.json");
	cr_assert_eq(answer.raw_count, 1);
	cr_assert(has(kit, &answer, "pulses", 0, INT64_C(1767225541789), 42500));
	answer = answered(kit, 200, "{}");
	cr_assert(came_to(&answer, HYDRO_PART_NO_DATA, ""));
	hydro_testkit_close(&kit);
}

Test(http_json, the_time_may_stand_at_the_root)
{
	hydro_testkit *kit = kit_with("{\"url\":\"http://h/\",\"items\":\"$.s[1]\",\"ts\":\"$.t\",\"ts_format\":\"rfc3339_utc\"}", NULL, "{\"keys\":{\"flow\":\"v\",\"level\":\"$.l\"}}");
	hydro_testkit_answer answer = answered(kit, 200, "{\"t\":\"2026-01-01 00:00:00\",\"l\":3,\"s\":[{\"v\":1},{\"v\":2}]}");
	cr_assert_eq(answer.raw_count, 2);
	cr_assert(has(kit, &answer, "flow", 0, T0, 2));
	cr_assert(has(kit, &answer, "level", 0, T0, 3));
	hydro_testkit_close(&kit);
}

Test(http_json, nothing_there_is_no_data)
{
	hydro_testkit *kit = kit_with(ROWS, NULL, ROWS_POINT);
	static const char *const empty[] = {"{\"data\":{\"rows\":[]}}", "{\"data\":{\"rows\":null}}", "{\"data\":{\"rows\":[{\"at\":\"2026-01-01T00:00:00Z\",\"m\":{\"total\":null}}]}}"};
	for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
		hydro_testkit_answer answer = answered(kit, 200, empty[i]);
		cr_assert(came_to(&answer, HYDRO_PART_NO_DATA, ""), "%s", empty[i]);
	}
	hydro_testkit_close(&kit);
}

Test(http_json, failures_carry_status_and_reason)
{
	static const struct { uint32_t status; const char *body, *why; } failures[] = {
		{401, "", "HTTP 401: device token refused"}, {404, "", "HTTP 404"}, {429, "", "HTTP 429"}, {500, "", "HTTP 500"}, {200, "", "not JSON"}, {200, "{}", "items"},
		{200, "{\"data\":5}", "items"}, {200, "{\"data\":{\"rows\":[{\"at\":\"2026-01-01T00:00:00Z\"}]}}", "no item has a value"},
		{200, "{\"data\":{\"rows\":[{\"m\":{\"total\":1}}]}}", "no time"}, {200, "{\"data\":{\"rows\":[{\"at\":\"x\",\"m\":{\"total\":1}}]}}", "a time"},
		{200, "{\"data\":{\"rows\":[{\"at\":\"2026-01-01T00:00:00Z\",\"m\":{\"total\":\"x\"}}]}}", "decimal"},
		{200, "{\"data\":{\"rows\":[{\"at\":\"2026-01-01T00:00:00Z\",\"m\":{\"total\":{}}}]}}", "neither"},
		{200, "{\"data\":{\"rows\":[{\"at\":\"2026-01-01T00:00:00Z\",\"m\":{\"total\":1}}]}},", "not JSON"}, {200, "{\"data\":{\"rows\":5}}", "no item"},
	};
	hydro_testkit *kit = kit_with(ROWS, NULL, ROWS_POINT);
	for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
		hydro_testkit_answer answer = answered(kit, failures[i].status, failures[i].body);
		cr_assert(came_to(&answer, HYDRO_PART_FAILED, failures[i].why), "%u %s", failures[i].status, failures[i].body);
		cr_assert_null(strstr(answer.reason, "SECRET"));
	}
	hydro_testkit_close(&kit);
}

Test(http_json, history_pages_when_a_limit_is_known)
{
	hydro_testkit *kit = kit_with(ROWS, NULL, ROWS_POINT);
	ask_history(kit, T0, T0 + 24 * HOUR, 0);
	hydro_testkit_answer answer = answered_recorded(kit, "http_json_rows.json");
	cr_assert_eq(answer.status, HYDRO_PART_MORE);
	cr_assert_eq(answer.raw_count, 5);
	cr_assert(strstr(asked(kit)->url, "&a=1767243600001&b=1767312000000&n=3"), "%s", asked(kit)->url);
	answer = answered_recorded(kit, "http_json_rows.json");
	cr_assert(came_to(&answer, HYDRO_PART_FAILED, "no progress"));
	hydro_testkit_close(&kit);
}

Test(http_json, without_a_history_url_a_gap_stays_a_gap)
{
	hydro_testkit *kit = kit_with(FLAT, NULL, FLAT_POINT);
	struct hydro_error err = {.struct_size = sizeof err};
	const hydro_http_request *request;
	ask_history(kit, T0, T0 + HOUR, 0);
	cr_assert_eq(hydro_testkit_request(kit, &request, &err), HYDRO_E_UNSUPPORTED);
	hydro_testkit_close(&kit);
}

Test(http_json, a_token_that_breaks_a_header_is_not_sent)
{
	hydro_testkit *kit = kit_with("{\"url\":\"http://h/\",\"headers\":{\"x-key\":\"{token}\"}}", NULL, "{\"token\":\"a\u00f1o SECRET\",\"keys\":{\"flow\":\"v\"}}");
	struct hydro_error err = {.struct_size = sizeof err};
	const hydro_http_request *request;
	cr_assert_eq(hydro_testkit_request(kit, &request, &err), HYDRO_E_CONFIG);
	cr_assert_null(strstr(err.text, "SECRET"));
	hydro_testkit_close(&kit);
}

Test(http_json, mangled_answers_give_no_wrong_value)
{
	hydro_testkit *kit = kit_with(ROWS, NULL, ROWS_POINT);
	mangle(kit, "http_json_rows.json");
	hydro_testkit_close(&kit);
	kit = kit_with(FLAT, NULL, FLAT_POINT);
	mangle(kit, "http_json_flat.json");
	hydro_testkit_close(&kit);
}

Test(http_json, mappings_that_cannot_work_are_refused)
{
	cr_assert(instance_refused("{}", "url"));
	cr_assert(instance_refused("{\"url\":\"ftp://h/\"}", "http"));
	cr_assert(instance_refused("{\"url\":\"http://h/a b\"}", "blank"));
	cr_assert(instance_refused("{\"url\":\"http://h/{from}\"}", "history_url"));
	cr_assert(instance_refused("{\"url\":\"http://h/\",\"history_url\":\"http://h/all\"}", "{from}"));
	cr_assert(instance_refused("{\"url\":\"http://h/\",\"body\":\"{}\"}", "POST"));
	cr_assert(instance_refused("{\"url\":\"http://h/{key}\"}", "value"));
	cr_assert(instance_refused("{\"url\":\"http://h/\",\"items\":\"a..b\"}", "items"));
	cr_assert(instance_refused("{\"url\":\"http://h/\",\"items\":\"a[x]\"}", "items"));
	cr_assert(instance_refused("{\"url\":\"http://h/\",\"ts\":\"a[\"}", "ts"));
	cr_assert(instance_refused("{\"url\":\"http://h/\",\"headers\":{\"a b\":\"x\"}}", "headers"));
	cr_assert(instance_refused("{\"url\":\"http://h/\",\"headers\":{\"a\":\"x\\ny\"}}", "headers"));
	cr_assert(point_refused("{\"url\":\"http://h/{site}\"}", "{\"keys\":{\"flow\":\"v\"}}", "site"));
	cr_assert(point_refused("{\"url\":\"http://h/\"}", "{\"keys\":{\"flow\":\"a[\"}}", "not a path"));
	cr_assert(point_refused("{\"url\":\"http://h/\"}", "{\"keys\":{}}", "keys"));
}
