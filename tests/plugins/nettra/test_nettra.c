/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POINT "{\"thing\":\"thing-SECRET\",\"keys\":{\"flow\":\"caudal\",\"level\":\"nivel\"}}"
#define THING "https://api.thethings.io/v2/things/thing-SECRET/resources/"
#define T0 INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define MINUTE INT64_C(60000)

static hydro_testkit *kit_now(void)
{
	return kit_with(NULL, NULL, POINT);
}

Test(nettra, each_variable_is_a_request_with_the_token_in_its_url)
{
	hydro_testkit *kit = kit_now();
	cr_assert_eq(hydro_testkit_parts(kit), 2);
	cr_assert_str_eq(asked(kit)->url, THING "caudal?limit=1");
	cr_assert_str_eq(asked(kit)->url_log, "https://api.thethings.io/v2/things/***/resources/caudal?limit=1");
	cr_assert_null(hydro_testkit_header(asked(kit), "authorization"));
	hydro_testkit_poll(kit)->part = 1;
	cr_assert_str_eq(asked(kit)->url, THING "nivel?limit=1");
	hydro_testkit_poll(kit)->part = 2;
	struct hydro_error err = {.struct_size = sizeof err};
	const hydro_http_request *request;
	cr_assert_eq(hydro_testkit_request(kit, &request, &err), HYDRO_E_INVALID);
	hydro_testkit_close(&kit);
}

Test(nettra, history_asks_a_window_in_the_format_of_the_option)
{
	static const struct { const char *options, *dates; } formats[] = {
		{NULL, "&startDate=2026-01-01T00:00:00.001Z&endDate=2026-01-01T00:10:00.001Z"},
		{"{\"date_format\":\"compact\"}", "&startDate=20260101000000&endDate=20260101001001"},
		{"{\"date_format\":\"ms\"}", "&startDate=1767225600001&endDate=1767226200001"},
		{"{\"date_format\":\"s\"}", "&startDate=1767225600&endDate=1767226201"},
	};
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
		char expected[256];
		hydro_testkit *kit = kit_with(formats[i].options, NULL, POINT);
		ask_history(kit, T0 + 1, T0 + 10 * MINUTE + 1, 50);
		(void)snprintf(expected, sizeof expected, THING "caudal?limit=50%s", formats[i].dates);
		cr_assert_str_eq(asked(kit)->url, expected);
		cr_assert_null(strstr(asked(kit)->url_log, "SECRET"));
		hydro_testkit_close(&kit);
	}
}

Test(nettra, without_history_a_gap_stays_a_gap)
{
	hydro_testkit *kit = kit_with("{\"history\":false}", NULL, POINT);
	struct hydro_error err = {.struct_size = sizeof err};
	const hydro_http_request *request;
	ask_history(kit, T0, T0 + MINUTE, 0);
	cr_assert_eq(hydro_testkit_request(kit, &request, &err), HYDRO_E_UNSUPPORTED);
	hydro_testkit_close(&kit);
}

Test(nettra, the_value_is_of_the_metric_of_its_part)
{
	hydro_testkit *kit = kit_now();
	hydro_testkit_answer answer = answered_recorded(kit, "nettra_latest.json");
	cr_assert_eq(answer.status, HYDRO_PART_DATA);
	cr_assert_eq(answer.raw_count, 1);
	cr_assert(has(kit, &answer, "flow", 0, T0, 42));
	hydro_testkit_poll(kit)->part = 1;
	answer = answered(kit, 200, "[{\"datetime\":\"2025-12-31T21:00:00.5-03:00\",\"value\":\"7.25\",\"geo\":{\"lat\":-33.4}}]");
	cr_assert(has(kit, &answer, "level", 0, T0 + 500, 7.25));
	hydro_testkit_close(&kit);
}

Test(nettra, nothing_there_is_no_data)
{
	hydro_testkit *kit = kit_now();
	hydro_testkit_answer answer = answered(kit, 200, "[]");
	cr_assert(came_to(&answer, HYDRO_PART_NO_DATA, ""));
	answer = answered(kit, 200, "[{\"datetime\":\"2026-01-01T00:00:00.000Z\",\"value\":null}]");
	cr_assert(came_to(&answer, HYDRO_PART_NO_DATA, ""));
	answer = answered(kit, 304, "");
	cr_assert(came_to(&answer, HYDRO_PART_NO_DATA, ""), "the service documents 304 as no new data");
	hydro_testkit_close(&kit);
}

Test(nettra, a_404_is_a_failure_unless_the_option_says_otherwise)
{
	hydro_testkit *kit = kit_now();
	size_t len;
	char *body = recorded("nettra_not_found.json", &len);
	hydro_testkit_answer answer = answered(kit, 404, body);
	cr_assert(came_to(&answer, HYDRO_PART_FAILED, "HTTP 404"));
	hydro_testkit_close(&kit);
	kit = kit_with("{\"not_found\":\"no_data\"}", NULL, POINT);
	answer = answered(kit, 404, body);
	cr_assert(came_to(&answer, HYDRO_PART_NO_DATA, ""));
	free(body);
	hydro_testkit_close(&kit);
}

Test(nettra, failures_carry_status_and_reason)
{
	hydro_testkit *kit = kit_now();
	static const struct { uint32_t status; const char *body, *why; } failures[] = {
		{401, "", "HTTP 401: device token refused"}, {403, "", "HTTP 403: device token refused"}, {429, "", "HTTP 429"}, {500, "", "HTTP 500"},
		{503, "[]", "HTTP 503"}, {200, "", "not JSON"}, {200, "{\"status\":\"error\",\"code\":401}", "not a list"}, {200, "[1]", "row"}, {200, "[[]]", "row"},
		{200, "[{\"datetime\":\"2026-01-01T00:00:00.000Z\",\"value\":1}", "not JSON"}, {200, "[{\"datetime\":\"2026-01-01\",\"value\":1}]", "a time"},
		{200, "[{\"datetime\":\"2026-01-01T00:00:00\",\"value\":1}]", "a time"}, {200, "[{\"datetime\":\"2026-02-30T00:00:00Z\",\"value\":1}]", "a time"},
		{200, "[{\"datetime\":1767225600000,\"value\":1}]", "a time"}, {200, "[{\"datetime\":\"1989-12-31T23:59:59Z\",\"value\":1}]", "1990"},
		{200, "[{\"value\":1}]", "no time"}, {200, "[{\"datetime\":\"2026-01-01T00:00:00Z\",\"value\":\"on\"}]", "decimal"},
		{200, "[{\"datetime\":\"2026-01-01T00:00:00Z\",\"value\":true}]", "neither"},
	};
	for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
		hydro_testkit_answer answer = answered(kit, failures[i].status, failures[i].body);
		cr_assert(came_to(&answer, HYDRO_PART_FAILED, failures[i].why), "%u %s", failures[i].status, failures[i].body);
		cr_assert_null(strstr(answer.reason, "SECRET"));
	}
	hydro_testkit_close(&kit);
}

Test(nettra, pages_go_down_from_the_newest)
{
	hydro_testkit *kit = kit_now();
	ask_history(kit, T0, T0 + 60 * MINUTE, 13);
	hydro_testkit_answer answer = answered_recorded(kit, "nettra_history.json");
	cr_assert_eq(answer.raw_count, 13);
	cr_assert_eq(answer.status, HYDRO_PART_DATA, "the window's first ms is reached");
	cr_assert(has(kit, &answer, "flow", 0, T0 + 60 * MINUTE, 112.5));
	cr_assert(has(kit, &answer, "flow", 12, T0, 100.5));
	ask_history(kit, T0 - 60 * MINUTE, T0 + 60 * MINUTE, 13);
	answer = answered_recorded(kit, "nettra_history.json");
	cr_assert_eq(answer.status, HYDRO_PART_MORE);
	cr_assert(strstr(asked(kit)->url, "startDate=2025-12-31T23:00:00.000Z&endDate=2025-12-31T23:59:59.999Z"), "%s", asked(kit)->url);
	answer = answered(kit, 200, "[]");
	cr_assert(came_to(&answer, HYDRO_PART_NO_DATA, ""));
	hydro_testkit_close(&kit);
}

Test(nettra, a_service_that_ignores_endDate_is_no_progress)
{
	hydro_testkit *kit = kit_now();
	ask_history(kit, T0 - 60 * MINUTE, T0 + 60 * MINUTE, 13);
	hydro_testkit_answer answer = answered_recorded(kit, "nettra_history.json");
	cr_assert_eq(answer.status, HYDRO_PART_MORE);
	answer = answered_recorded(kit, "nettra_history.json");
	cr_assert(came_to(&answer, HYDRO_PART_FAILED, "no progress"));
	hydro_testkit_close(&kit);
}

Test(nettra, mangled_answers_give_no_wrong_value)
{
	hydro_testkit *kit = kit_now();
	mangle(kit, "nettra_latest.json");
	ask_history(kit, T0 - 60 * MINUTE, T0 + 60 * MINUTE, 13);
	mangle(kit, "nettra_history.json");
	hydro_testkit_close(&kit);
}

Test(nettra, odd_characters_are_escaped_and_what_cannot_be_sent_is_refused)
{
	hydro_testkit *kit = kit_with("{\"base_url\":\"http://127.0.0.1:1/v2/\"}", NULL, "{\"thing\":\"a/b\",\"keys\":{\"flow\":\"caudal medio/\\u00e1?\"}}");
	cr_assert_str_eq(asked(kit)->url, "http://127.0.0.1:1/v2/things/a%2Fb/resources/caudal%20medio%2F%C3%A1%3F?limit=1");
	hydro_testkit_close(&kit);
	cr_assert(point_refused(NULL, "{\"thing\":\".\",\"keys\":{\"flow\":\"x\"}}", "thing"));
	cr_assert(point_refused(NULL, "{\"thing\":\"t\",\"keys\":{\"flow\":\"..\"}}", "keys"));
	cr_assert(point_refused(NULL, "{\"thing\":\"t\"}", "keys"));
	cr_assert(point_refused(NULL, "{\"keys\":{\"flow\":\"x\"}}", "thing"));
	cr_assert(instance_refused("{\"date_format\":\"roman\"}", "date_format"));
}
