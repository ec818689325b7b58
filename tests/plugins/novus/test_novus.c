/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POINT "{\"device_token\":\"token-SECRET\",\"keys\":{\"flow\":\"3grecuc1v\",\"level\":\"3grecuc2v\",\"pulses\":\"3grecdi1va\"}}"
#define T0 INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define MINUTE INT64_C(60000)

static hydro_testkit *kit_now(void)
{
	return kit_with(NULL, NULL, POINT);
}

Test(novus, each_variable_is_a_request_with_the_token_in_a_header)
{
	hydro_testkit *kit = kit_now();
	cr_assert_eq(hydro_testkit_parts(kit), 3);
	const hydro_http_request *request = asked(kit);
	cr_assert_str_eq(request->url, "https://api.tago.io/data?variable=3grecuc1v&query=last_item");
	cr_assert_str_eq(request->url_log, request->url);
	cr_assert_str_eq(hydro_testkit_header(request, "authorization"), "token-SECRET");
	for (uint32_t i = 0; i < request->header_count; i++)
		if (strstr(request->headers[i].value, "SECRET"))
			cr_assert(request->headers[i].flags & HYDRO_HEADER_SECRET);
	hydro_testkit_poll(kit)->part = 2;
	cr_assert_str_eq(asked(kit)->url, "https://api.tago.io/data?variable=3grecdi1va&query=last_item");
	hydro_testkit_close(&kit);
	kit = kit_with("{\"token_header\":\"device-token\",\"base_url\":\"https://api.eu-w1.tago.io/\"}", NULL, POINT);
	request = asked(kit);
	cr_assert_null(hydro_testkit_header(request, "authorization"));
	cr_assert_str_eq(hydro_testkit_header(request, "Device-Token"), "token-SECRET");
	cr_assert(strncmp(request->url, "https://api.eu-w1.tago.io/data?", 31) == 0);
	hydro_testkit_close(&kit);
}

Test(novus, history_asks_a_window_and_a_quantity)
{
	hydro_testkit *kit = kit_now();
	ask_history(kit, T0, T0 + 30 * MINUTE, 0);
	cr_assert_str_eq(asked(kit)->url,
			 "https://api.tago.io/data?variable=3grecuc1v&start_date=2026-01-01T00:00:00.000Z&end_date=2026-01-01T00:30:00.000Z&qty=100");
	hydro_testkit_close(&kit);
}

Test(novus, negative_values_are_status_codes_and_zeros_are_kept)
{
	hydro_testkit *kit = kit_now();
	ask_history(kit, T0, T0 + 30 * MINUTE, 0);
	hydro_testkit_answer answer = answered_recorded(kit, "novus_history.json");
	cr_assert_eq(answer.status, HYDRO_PART_DATA);
	cr_assert_eq(answer.raw_count, 6);
	for (uint32_t i = 0; i < answer.raw_count; i++)
		cr_assert_eq(answer.raws[i].flags, answer.raws[i].value < 0 ? HYDRO_RAW_STATUS : 0);
	cr_assert(has(kit, &answer, "flow", 2, T0 + 25 * MINUTE, 0));
	cr_assert(has(kit, &answer, "flow", 3, T0 + 15 * MINUTE, -2));
	cr_assert(has(kit, &answer, "flow", 4, T0 + 5 * MINUTE, 7.25));
	hydro_testkit_close(&kit);
	kit = kit_with("{\"negative_is_status\":false}", NULL, POINT);
	answer = answered(kit, 200, "{\"status\":true,\"result\":[{\"time\":\"2026-01-01T00:00:00.000Z\",\"value\":-2}]}");
	cr_assert(has(kit, &answer, "flow", 0, T0, -2));
	cr_assert_eq(answer.raws[0].flags, 0);
	hydro_testkit_close(&kit);
}

Test(novus, the_last_item_is_of_the_metric_of_its_part)
{
	hydro_testkit *kit = kit_now();
	hydro_testkit_answer answer = answered_recorded(kit, "novus_last_item.json");
	cr_assert_eq(answer.raw_count, 1);
	cr_assert(has(kit, &answer, "flow", 0, T0, 7.5));
	hydro_testkit_poll(kit)->part = 1;
	answer = answered_recorded(kit, "novus_last_item.json");
	cr_assert(came_to(&answer, HYDRO_PART_FAILED, "another variable"), "a value of another variable is a wrong value");
	answer = answered(kit, 200, "{\"result\":[{\"time\":\"2026-01-01T00:00:00.000Z\",\"value\":3}]}");
	cr_assert(has(kit, &answer, "level", 0, T0, 3), "where none is named it is the one that was asked for");
	hydro_testkit_close(&kit);
}

Test(novus, nothing_there_is_no_data)
{
	static const char *const empty[] = {"{\"status\":true,\"result\":[]}", "{\"result\":null}", "{\"result\":[{\"time\":\"2026-01-01T00:00:00Z\",\"value\":null}]}"};
	hydro_testkit *kit = kit_now();
	for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
		hydro_testkit_answer answer = answered(kit, 200, empty[i]);
		cr_assert(came_to(&answer, HYDRO_PART_NO_DATA, ""), "%s", empty[i]);
	}
	hydro_testkit_close(&kit);
}

Test(novus, failures_carry_status_and_reason)
{
	static const struct { uint32_t status; const char *body, *why; } failures[] = {
		{401, "", "HTTP 401: device token refused"}, {403, "", "HTTP 403: device token refused"}, {404, "", "HTTP 404"}, {429, "", "HTTP 429"}, {500, "", "HTTP 500"},
		{200, "", "not JSON"}, {200, "{}", "no result"}, {200, "{\"status\":true}", "no result"}, {200, "[]", "not an object"}, {200, "{\"result\":{}}", "not a list"},
		{200, "{\"result\":\"x\"}", "not a list"}, {200, "{\"result\":[],\"result\":[]}", "two results"}, {200, "{\"result\":[7]}", "row"},
		{200, "{\"status\":false,\"result\":[{\"time\":\"2026-01-01T00:00:00Z\",\"value\":1}]}", "status false"},
		{200, "{\"result\":[{\"time\":\"2026-01-01T00:00:00Z\",\"value\":1}],\"status\":false}", "status false"},
		{200, "{\"result\":[{\"time\":\"2026-01-01T00:00:00Z\",\"value\":1}]", "not JSON"}, {200, "{\"result\":[{\"time\":\"now\",\"value\":1}]}", "a time"},
		{200, "{\"result\":[{\"time\":\"2100-01-01T00:00:00Z\",\"value\":1}]}", "2100"}, {200, "{\"result\":[{\"time\":\"2026-01-01T00:00:00Z\",\"value\":\"\"}]}", "decimal"},
	};
	hydro_testkit *kit = kit_now();
	for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
		hydro_testkit_answer answer = answered(kit, failures[i].status, failures[i].body);
		cr_assert(came_to(&answer, HYDRO_PART_FAILED, failures[i].why), "%u %s", failures[i].status, failures[i].body);
		cr_assert_null(strstr(answer.reason, "SECRET"));
	}
	hydro_testkit_answer answer = answered_recorded(kit, "novus_denied.json");
	cr_assert(came_to(&answer, HYDRO_PART_FAILED, "status false"));
	hydro_testkit_close(&kit);
}

Test(novus, pages_are_asked_for_on_both_sides_until_the_order_is_known)
{
	hydro_testkit *kit = kit_now();
	ask_history(kit, T0 - 60 * MINUTE, T0 + 60 * MINUTE, 6);
	hydro_testkit_answer answer = answered_recorded(kit, "novus_history.json");
	cr_assert_eq(answer.status, HYDRO_PART_MORE);
	cr_assert_eq(answer.raw_count, 6);
	cr_assert(strstr(asked(kit)->url, "start_date=2026-01-01T00:25:00.001Z&end_date=2026-01-01T01:00:00.000Z&qty=6"), "%s", asked(kit)->url);
	answer = answered(kit, 200, "{\"status\":true,\"result\":[]}");
	cr_assert(came_to(&answer, HYDRO_PART_MORE, ""), "nothing newer: so what is left is older");
	cr_assert(strstr(asked(kit)->url, "start_date=2025-12-31T23:00:00.000Z&end_date=2025-12-31T23:59:59.999Z&qty=6"), "%s", asked(kit)->url);
	answer = answered(kit, 200, "{\"status\":true,\"result\":[{\"time\":\"2025-12-31T23:30:00.000Z\",\"value\":1}]}");
	cr_assert_eq(answer.status, HYDRO_PART_DATA);
	hydro_testkit_close(&kit);
}

Test(novus, a_service_that_ignores_the_dates_is_no_progress)
{
	hydro_testkit *kit = kit_now();
	ask_history(kit, T0 - 60 * MINUTE, T0 + 60 * MINUTE, 6);
	hydro_testkit_answer answer = answered_recorded(kit, "novus_history.json");
	cr_assert_eq(answer.status, HYDRO_PART_MORE);
	answer = answered_recorded(kit, "novus_history.json");
	cr_assert(came_to(&answer, HYDRO_PART_FAILED, "no progress"));
	hydro_testkit_close(&kit);
}

Test(novus, mangled_answers_give_no_wrong_value)
{
	hydro_testkit *kit = kit_now();
	mangle(kit, "novus_last_item.json");
	ask_history(kit, T0, T0 + 30 * MINUTE, 6);
	mangle(kit, "novus_history.json");
	hydro_testkit_close(&kit);
}

Test(novus, odd_characters_are_escaped_and_what_cannot_be_sent_is_refused)
{
	hydro_testkit *kit = kit_with(NULL, NULL, "{\"device_token\":\"t/?&=%\",\"keys\":{\"flow\":\"a b&qty=9#\\u00f1\"}}");
	cr_assert_str_eq(asked(kit)->url, "https://api.tago.io/data?variable=a%20b%26qty%3D9%23%C3%B1&query=last_item");
	cr_assert_str_eq(hydro_testkit_header(asked(kit), "authorization"), "t/?&=%");
	hydro_testkit_close(&kit);
	cr_assert(point_refused(NULL, "{\"device_token\":\"a\\r\\nX: 1\",\"keys\":{\"flow\":\"x\"}}", "device_token"));
	cr_assert(point_refused(NULL, "{\"device_token\":\"a\u00f1o\",\"keys\":{\"flow\":\"x\"}}", "device_token"));
	cr_assert(point_refused(NULL, "{\"device_token\":\"t\",\"keys\":{}}", "keys"));
	cr_assert(instance_refused("{\"token_header\":\"cookie\"}", "token_header"));
}
