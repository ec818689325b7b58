/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCOUNT "{\"username\":\"operador@hydrod.example\",\"password\":\"una clave\"}"
#define POINT "{\"device\":\"dev-SECRET-1\",\"keys\":{\"flow\":\"5001\",\"level\":\"5002\",\"pulses\":\"5003\"}}"
#define BASE "https://api.twindimension.com/tdata/v1"
#define DEVICE BASE "/telemetry/DEVICE/dev-SECRET-1/values/timeseries"
#define T0 INT64_C(1767139200000)
#define MINUTE INT64_C(60000)

static hydro_testkit *kit_now(void)
{
	return kit_with(NULL, ACCOUNT, POINT);
}

Test(twin, login_posts_the_credentials_as_json)
{
	hydro_testkit *kit = kit_with("{\"base_url\":\"http://127.0.0.1:9/tdata/v1//\"}", "{\"username\":\"a\\\"b\\\\\",\"password\":\"c/\u00e9\\\"d\"}", POINT);
	struct hydro_error err = {.struct_size = sizeof err};
	const hydro_http_request *request;
	cr_assert_eq(hydro_testkit_login_request(kit, &request, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(request->method, HYDRO_HTTP_POST);
	cr_assert_str_eq(request->url, "http://127.0.0.1:9/tdata/v1/login");
	cr_assert_str_eq(request->body, "{\"username\":\"a\\\"b\\\\\",\"password\":\"c/\u00e9\\\"d\"}");
	cr_assert_eq(request->body_len, strlen(request->body));
	cr_assert_str_eq(hydro_testkit_header(request, "content-type"), "application/json");
	cr_assert_null(strstr(request->url_log, "c/"));
	hydro_testkit_close(&kit);
}

static const hydro_token *login(hydro_testkit *kit, uint32_t status, const char *body, int32_t expected, const char *why)
{
	struct hydro_error err = {.struct_size = sizeof err};
	const hydro_token *token = NULL;
	int32_t result = hydro_testkit_login_parse(kit, status, body, strlen(body), &token, &err);
	cr_assert_eq(result, expected, "%d: %s", (int)result, err.text);
	if (result != HYDRO_OK)
		cr_assert(strstr(err.text, why), "%s", err.text);
	return result == HYDRO_OK ? token : NULL;
}

Test(twin, a_token_lives_as_long_as_its_claim_says)
{
	hydro_testkit *kit = kit_now();
	size_t len;
	char *body = recorded("twin_login.json", &len);
	const hydro_token *token = login(kit, 200, body, HYDRO_OK, "");
	cr_assert_eq(token->expires_at_ms, INT64_C(1767312000000));
	cr_assert_eq(token->token_len, strlen(token->token));
	cr_assert(strncmp(token->token, "eyJ", 3) == 0);
	free(body);
	hydro_testkit_close(&kit);
}

Test(twin, a_token_without_a_usable_claim_lives_3300_s)
{
	static const char *const tokens[] = {
		"opaque", "a.b", "a.!!!.c", "a.e30.c" /* {} */, "a..c", "a.eyJleHAiOiJ4In0.c" /* exp "x" */, "a.eyJleHAiOjF9.c" /* exp 1 */,
		"a.eyJleHAiOi01fQ.c" /* exp -5 */, "a.eyJleHAiOjFlMzAwfQ.c" /* exp 1e300 */, "a.eyJleHAiOjE3Njcz.c" /* cut */,
	};
	hydro_testkit *kit = kit_now();
	for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
		char body[256];
		(void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", tokens[i]);
		const hydro_token *token = login(kit, 200, body, HYDRO_OK, "");
		cr_assert_str_eq(token->token, tokens[i]);
		cr_assert_eq(token->expires_at_ms, INT64_C(1767225600000) + 3300000, "%s", tokens[i]);
	}
	hydro_testkit_close(&kit);
}

Test(twin, a_login_that_fails_says_whether_to_try_again)
{
	hydro_testkit *kit = kit_now();
	login(kit, 401, "{\"message\":\"Invalid username or password\"}", HYDRO_E_UNAUTHORIZED, "401");
	login(kit, 403, "", HYDRO_E_UNAUTHORIZED, "403");
	login(kit, 429, "", HYDRO_E_IO, "429");
	login(kit, 500, "<html>", HYDRO_E_IO, "500");
	login(kit, 404, "", HYDRO_E_PROTOCOL, "404");
	login(kit, 302, "", HYDRO_E_PROTOCOL, "302");
	login(kit, 200, "", HYDRO_E_PROTOCOL, "token");
	login(kit, 200, "<html>", HYDRO_E_PROTOCOL, "token");
	login(kit, 200, "{}", HYDRO_E_PROTOCOL, "token");
	login(kit, 200, "{\"token\":\"\"}", HYDRO_E_PROTOCOL, "token");
	login(kit, 200, "{\"token\":5}", HYDRO_E_PROTOCOL, "token");
	login(kit, 200, "{\"token\":\"a\\r\\nX: 1\"}", HYDRO_E_PROTOCOL, "token");
	login(kit, 200, "{\"token\":\"abc\"", HYDRO_E_PROTOCOL, "token");
	hydro_testkit_close(&kit);
}

Test(twin, a_token_longer_than_the_host_takes_is_refused)
{
	hydro_testkit *kit = kit_now();
	char *body = calloc(1, HYDRO_TOKEN_BYTES + 64);
	cr_assert_not_null(body);
	for (unsigned len = HYDRO_TOKEN_BYTES - 1; len <= HYDRO_TOKEN_BYTES; len++) {
		strcpy(body, "{\"token\":\"");
		memset(body + 10, 'x', len);
		strcpy(body + 10 + len, "\"}");
		login(kit, 200, body, len < HYDRO_TOKEN_BYTES ? HYDRO_OK : HYDRO_E_PROTOCOL, "token");
	}
	free(body);
	hydro_testkit_close(&kit);
}

Test(twin, latest_asks_all_keys_at_once_with_the_bearer_token)
{
	hydro_testkit *kit = kit_now();
	hydro_testkit_poll(kit)->token = "tok.SECRET.x";
	const hydro_http_request *request = asked(kit);
	cr_assert_eq(hydro_testkit_parts(kit), 1);
	cr_assert_eq(request->method, HYDRO_HTTP_GET);
	cr_assert_str_eq(request->url, DEVICE "?keys=5001,5002,5003");
	cr_assert_str_eq(request->url_log, BASE "/telemetry/DEVICE/***/values/timeseries?keys=5001,5002,5003");
	cr_assert_str_eq(hydro_testkit_header(request, "authorization"), "Bearer tok.SECRET.x");
	cr_assert_str_eq(hydro_testkit_header(request, "accept"), "application/json");
	cr_assert_null(request->body);
	for (uint32_t i = 0; i < request->header_count; i++)
		if (strstr(request->headers[i].value, "SECRET"))
			cr_assert(request->headers[i].flags & HYDRO_HEADER_SECRET);
	hydro_testkit_close(&kit);
}

Test(twin, single_asks_one_key_a_part_and_takes_no_other)
{
	hydro_testkit *kit = kit_with("{\"key_list\":\"single\"}", ACCOUNT, POINT);
	cr_assert_eq(hydro_testkit_parts(kit), 3);
	hydro_testkit_poll(kit)->part = 1;
	cr_assert_str_eq(asked(kit)->url, DEVICE "?keys=5002");
	hydro_testkit_answer answer = answered_recorded(kit, "twin_latest.json");
	cr_assert_eq(answer.status, HYDRO_PART_DATA);
	cr_assert_eq(answer.raw_count, 1);
	cr_assert(has(kit, &answer, "level", 0, INT64_C(1767225540000), 31.7));
	hydro_testkit_poll(kit)->part = 3;
	struct hydro_error err = {.struct_size = sizeof err};
	const hydro_http_request *request;
	cr_assert_eq(hydro_testkit_request(kit, &request, &err), HYDRO_E_INVALID);
	hydro_testkit_close(&kit);
}

Test(twin, history_asks_a_window_oldest_first)
{
	hydro_testkit *kit = kit_now();
	ask_history(kit, T0, T0 + 5 * MINUTE, 0);
	cr_assert_str_eq(asked(kit)->url, DEVICE "?keys=5001,5002,5003&startTs=1767139200000&endTs=1767139500000&limit=100&asc=true");
	hydro_testkit_poll(kit)->limit = 7;
	cr_assert(strstr(asked(kit)->url, "&limit=7&"));
	hydro_testkit_poll(kit)->limit = 5000;
	cr_assert(strstr(asked(kit)->url, "&limit=100&"), "the instance's page_limit holds");
	hydro_testkit_close(&kit);
}

Test(twin, odd_characters_are_escaped_and_scratch_may_be_small)
{
	hydro_testkit *kit = kit_with(NULL, ACCOUNT, "{\"device\":\"a/b?c#d e\u00f1%\",\"keys\":{\"flow\":\"q&limit=1\",\"level\":\"x y\"}}");
	hydro_testkit_poll(kit)->token = "t";
	for (size_t scratch = 1; scratch <= 1024; scratch *= 2) {
		hydro_testkit_set_scratch(kit, scratch);
		const hydro_http_request *request = asked(kit);
		cr_assert_str_eq(request->url, BASE "/telemetry/DEVICE/a%2Fb%3Fc%23d%20e%C3%B1%25/values/timeseries?keys=q%26limit%3D1,x%20y");
		cr_assert_str_eq(hydro_testkit_header(request, "authorization"), "Bearer t");
	}
	cr_assert_eq(hydro_testkit_scratch_calls(kit), 1);
	hydro_testkit_close(&kit);
}

Test(twin, values_are_strings_or_numbers_at_the_loggers_time)
{
	hydro_testkit *kit = kit_now();
	hydro_testkit_answer answer = answered_recorded(kit, "twin_latest.json");
	cr_assert_eq(answer.status, HYDRO_PART_DATA);
	cr_assert_eq(answer.raw_count, 3);
	cr_assert(has(kit, &answer, "flow", 0, INT64_C(1767225540000), 12.4));
	cr_assert(has(kit, &answer, "level", 0, INT64_C(1767225540000), 31.7));
	cr_assert(has(kit, &answer, "pulses", 0, INT64_C(1767225541789), 42500));
	answer = answered(kit, 200, "{\"5003\":[{\"ts\":1767225541789,\"value\":42500.5,\"extra\":{\"a\":[1]}}]}");
	cr_assert(has(kit, &answer, "pulses", 0, INT64_C(1767225541789), 42500.5));
	answer = answered(kit, 200, "{\"5001\":[{\"ts\":1767225541789,\"value\":\"0\"}]}");
	cr_assert(has(kit, &answer, "flow", 0, INT64_C(1767225541789), 0), "0 with a fresh date means no consumption");
	hydro_testkit_close(&kit);
}

Test(twin, one_key_may_serve_two_metrics)
{
	hydro_testkit *kit = kit_with(NULL, ACCOUNT, "{\"device\":\"d\",\"keys\":{\"pulses\":\"5003\",\"total\":\"5003\"}}");
	hydro_testkit_answer answer = answered_recorded(kit, "twin_latest.json");
	cr_assert_eq(answer.raw_count, 2);
	cr_assert(has(kit, &answer, "pulses", 0, INT64_C(1767225541789), 42500));
	cr_assert(has(kit, &answer, "total", 0, INT64_C(1767225541789), 42500));
	hydro_testkit_close(&kit);
}

Test(twin, duplicates_and_late_values_are_handed_on)
{
	hydro_testkit *kit = kit_now();
	ask_history(kit, T0, T0 + 5 * MINUTE, 0);
	hydro_testkit_answer answer = answered_recorded(kit, "twin_history.json");
	cr_assert_eq(answer.status, HYDRO_PART_DATA);
	cr_assert_eq(answer.raw_count, 16);
	cr_assert(has(kit, &answer, "pulses", 1, T0 + MINUTE, 42007));
	cr_assert(has(kit, &answer, "pulses", 2, T0 + MINUTE, 42007));
	answer = answered(kit, 200, "{\"5001\":[{\"ts\":1767139000000,\"value\":\"3\"}]}");
	cr_assert(has(kit, &answer, "flow", 0, INT64_C(1767139000000), 3), "late data from before the window");
	hydro_testkit_close(&kit);
}

Test(twin, nothing_there_is_no_data)
{
	static const char *const empty[] = {"{}", " { } ", "{\"5003\":[]}", "{\"5003\":null}", "{\"5003\":[{\"ts\":1767225541789,\"value\":null}]}",
					    "{\"9999\":[{\"ts\":1767225541789,\"value\":\"1\"}]}"};
	hydro_testkit *kit = kit_now();
	for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
		hydro_testkit_answer answer = answered(kit, 200, empty[i]);
		cr_assert(came_to(&answer, HYDRO_PART_NO_DATA, ""), "%s", empty[i]);
	}
	hydro_testkit_answer answer = answered(kit, 204, "");
	cr_assert(came_to(&answer, HYDRO_PART_NO_DATA, ""));
	hydro_testkit_close(&kit);
}

Test(twin, a_refused_token_asks_for_a_login)
{
	hydro_testkit *kit = kit_now();
	hydro_testkit_answer answer = answered(kit, 401, "{\"status\":401,\"message\":\"Token has expired\",\"errorCode\":11}");
	cr_assert(came_to(&answer, HYDRO_PART_UNAUTHORIZED, ""));
	answer = answered(kit, 403, "");
	cr_assert(came_to(&answer, HYDRO_PART_UNAUTHORIZED, ""));
	hydro_testkit_close(&kit);
	kit = kit_with("{\"forbidden\":\"failed\"}", ACCOUNT, POINT);
	answer = answered(kit, 403, "");
	cr_assert(came_to(&answer, HYDRO_PART_FAILED, "HTTP 403"));
	answer = answered(kit, 401, "");
	cr_assert(came_to(&answer, HYDRO_PART_UNAUTHORIZED, ""));
	hydro_testkit_close(&kit);
}

Test(twin, failures_carry_status_and_reason)
{
	static const struct { uint32_t status; const char *why; } failures[] = {
		{400, "HTTP 400"}, {404, "HTTP 404"}, {408, "HTTP 408"}, {429, "HTTP 429"}, {500, "HTTP 500"}, {502, "HTTP 502"}, {503, "HTTP 503"},
		{302, "HTTP 302"}, {304, "HTTP 304"}, {100, "HTTP 100"}, {999, "HTTP 999"},
	};
	hydro_testkit *kit = kit_now();
	for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
		hydro_testkit_answer answer = answered(kit, failures[i].status, "{\"5003\":[{\"ts\":1767225541789,\"value\":\"0\"}]}");
		cr_assert(came_to(&answer, HYDRO_PART_FAILED, failures[i].why), "%u", failures[i].status);
	}
	hydro_testkit_close(&kit);
}

Test(twin, an_answer_of_the_wrong_form_fails_as_a_whole)
{
	static const struct { const char *body, *why; } wrong[] = {
		{"", "not JSON"}, {"<html>504</html>", "not JSON"}, {"[]", "not an object"}, {"5", "not an object"}, {"null", "not an object"},
		{"{\"5003\":5}", "list"}, {"{\"5003\":{\"ts\":1,\"value\":2}}", "list"}, {"{\"5003\":[5]}", "row"}, {"{\"5003\":[[]]}", "row"},
		{"{\"status\":500,\"message\":\"x\"}", "list"}, {"{\"5003\":[{\"ts\":1767225541789,\"value\":\"1\"}]", "not JSON"},
		{"{\"5003\":[{\"ts\":1767225541789,\"value\":\"1\"}]}x", "not JSON"}, {"{\"5003\":[{\"ts\":1767225541789,\"value\":\"1\"}],\"5001\":7}", "list"},
		{"{\"5003\":[{\"ts\":1767225541789,\"value\":01}]}", "not JSON"}, {"{\"5003\":[{\"ts\":1767225541789,\"value\":NaN}]}", "not JSON"},
	};
	hydro_testkit *kit = kit_now();
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		hydro_testkit_answer answer = answered(kit, 200, wrong[i].body);
		cr_assert(came_to(&answer, HYDRO_PART_FAILED, wrong[i].why), "%s", wrong[i].body);
	}
	hydro_testkit_close(&kit);
}

Test(twin, a_bad_value_is_left_out_and_the_others_stay)
{
	hydro_testkit *kit = kit_now();
	hydro_testkit_answer answer = answered(kit, 200,
		"{\"5001\":[{\"ts\":1767225540000,\"value\":\"ERROR\"}],\"5002\":[{\"ts\":1767225540000,\"value\":\"7.5\"}],\"5003\":[{\"ts\":\"yesterday\",\"value\":1}]}");
	cr_assert_eq(answer.status, HYDRO_PART_DATA);
	cr_assert_eq(answer.raw_count, 1);
	cr_assert(has(kit, &answer, "level", 0, INT64_C(1767225540000), 7.5));
	cr_assert(strstr(hydro_testkit_log(kit), "twin: 2 of 3 values left out; the first: a value is not a finite decimal number"), "%s", hydro_testkit_log(kit));
	hydro_testkit_close(&kit);
}

Test(twin, nothing_but_bad_values_is_a_failure_never_a_zero)
{
	static const char *const bad[] = {
		"\"\"", "\"nan\"", "\"NaN\"", "\"inf\"", "\"-Infinity\"", "\"0x10\"", "\"12abc\"", "\"1,5\"", "1e999", "\"1e999\"", "-1e999", "true", "false", "{}", "[]", "[1]", "\"null\"", "\"\\u0000\"",
	};
	hydro_testkit *kit = kit_now();
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char body[128];
		(void)snprintf(body, sizeof body, "{\"5003\":[{\"ts\":1767225541789,\"value\":%s}]}", bad[i]);
		hydro_testkit_answer answer = answered(kit, 200, body);
		cr_assert(came_to(&answer, HYDRO_PART_FAILED, "no value of 1 is usable"), "%s", bad[i]);
	}
	hydro_testkit_close(&kit);
}

Test(twin, a_time_that_cannot_be_is_refused)
{
	static const struct { const char *ts; bool good; } times[] = {
		{"631152000000", true}, {"631151999999", false}, {"4102444799999", true}, {"4102444800000", false}, {"0", false}, {"-1", false}, {"1e300", false},
		{"1767225541", false}, {"\"1767225541789\"", true}, {"null", false}, {"true", false}, {"\"2026-01-01\"", false}, {"1767225541789.9", true}, {"1e400", false},
	};
	hydro_testkit *kit = kit_now();
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		char body[128];
		(void)snprintf(body, sizeof body, "{\"5003\":[{\"value\":\"1\",\"ts\":%s}]}", times[i].ts);
		hydro_testkit_answer answer = answered(kit, 200, body);
		cr_assert_eq(answer.status, times[i].good ? HYDRO_PART_DATA : HYDRO_PART_FAILED, "%s: %s", times[i].ts, answer.reason);
		cr_assert_eq(answer.raw_count, times[i].good ? 1 : 0);
	}
	hydro_testkit_answer answer = answered(kit, 200, "{\"5003\":[{\"value\":\"1\"}]}");
	cr_assert(came_to(&answer, HYDRO_PART_FAILED, "no time"));
	answer = answered(kit, 200, "{\"5003\":[{\"ts\":1767225541789}]}");
	cr_assert(came_to(&answer, HYDRO_PART_FAILED, "no value"));
	answer = answered(kit, 200, "{\"5003\":[{\"ts\":1767225541789,\"value\":1,\"value\":2}]}");
	cr_assert(came_to(&answer, HYDRO_PART_FAILED, "two values"));
	hydro_testkit_close(&kit);
}

/* {"key":[rows from first to last minute],…} */
static char *rows_of(const char *key, int first, int last, char *at)
{
	at += sprintf(at, "\"%s\":[", key);
	for (int i = first; i <= last; i++)
		at += sprintf(at, "%s{\"ts\":%lld,\"value\":\"%d\"}", i > first ? "," : "", (long long)(T0 + i * MINUTE), i);
	return at + sprintf(at, "]");
}

Test(twin, paging_goes_on_from_the_key_that_was_cut_first)
{
	hydro_testkit *kit = kit_now();
	char body[4096], *at = body;
	ask_history(kit, T0, T0 + 30 * MINUTE, 4);
	at = rows_of("5001", 0, 3, at + sprintf(at, "{"));
	at = rows_of("5002", 0, 1, at + sprintf(at, ","));
	at = rows_of("5003", 4, 7, at + sprintf(at, ","));
	strcpy(at, "}");
	hydro_testkit_answer answer = answered(kit, 200, body);
	cr_assert_eq(answer.status, HYDRO_PART_MORE);
	cr_assert_eq(answer.raw_count, 10);
	cr_assert(strstr(asked(kit)->url, "&startTs=1767139380001&endTs=1767141000000&limit=4&asc=true"), "%s", asked(kit)->url);
	answer = answered(kit, 200, "{\"5001\":[{\"ts\":1767139440000,\"value\":\"4\"}]}");
	cr_assert_eq(answer.status, HYDRO_PART_DATA);
	hydro_testkit_close(&kit);
}

Test(twin, an_empty_page_ends_the_chain)
{
	hydro_testkit *kit = kit_now();
	char body[1024];
	ask_history(kit, T0, T0 + 30 * MINUTE, 2);
	strcpy(rows_of("5001", 0, 1, body + sprintf(body, "{")), "}");
	hydro_testkit_answer answer = answered(kit, 200, body);
	cr_assert_eq(answer.status, HYDRO_PART_MORE);
	answer = answered(kit, 200, "{}");
	cr_assert(came_to(&answer, HYDRO_PART_NO_DATA, ""));
	hydro_testkit_close(&kit);
}

Test(twin, a_service_that_ignores_startTs_is_no_progress)
{
	hydro_testkit *kit = kit_now();
	char body[1024];
	ask_history(kit, T0, T0 + 30 * MINUTE, 2);
	strcpy(rows_of("5001", 0, 1, body + sprintf(body, "{")), "}");
	hydro_testkit_answer answer = answered(kit, 200, body);
	cr_assert_eq(answer.status, HYDRO_PART_MORE);
	answer = answered(kit, 200, body);
	cr_assert(came_to(&answer, HYDRO_PART_FAILED, "no progress"));
	hydro_testkit_close(&kit);
}

Test(twin, a_service_that_ignores_asc_loses_nothing)
{
	hydro_testkit *kit = kit_now();
	ask_history(kit, T0, T0 + 3 * MINUTE, 2);
	/* The newest two first, though the oldest were asked for. */
	hydro_testkit_answer answer = answered(kit, 200, "{\"5001\":[{\"ts\":1767139380000,\"value\":\"3\"},{\"ts\":1767139320000,\"value\":\"2\"}]}");
	cr_assert_eq(answer.status, HYDRO_PART_MORE);
	cr_assert(strstr(asked(kit)->url, "&startTs=1767139200000&endTs=1767139319999&"), "%s", asked(kit)->url);
	hydro_testkit_close(&kit);
}

Test(twin, a_long_answer_is_handed_on_whole_and_in_order)
{
	static const int counts[] = {ROWS_BATCH - 1, ROWS_BATCH, ROWS_BATCH + 1, 2 * ROWS_BATCH, 3 * ROWS_BATCH - 7};
	hydro_testkit *kit = kit_with("{\"page_limit\":10000}", ACCOUNT, POINT);
	char *body = malloc(64 * 3 * ROWS_BATCH);
	cr_assert_not_null(body);
	for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
		ask_history(kit, T0, T0 + 5000 * MINUTE, 0);
		strcpy(rows_of("5001", 0, counts[c] - 1, body + sprintf(body, "{")), "}");
		hydro_testkit_answer answer = answered(kit, 200, body);
		cr_assert_eq(answer.status, HYDRO_PART_DATA);
		cr_assert_eq(answer.raw_count, (uint32_t)counts[c]);
		for (int i = 0; i < counts[c]; i++)
			cr_assert(answer.raws[i].ts_ms == T0 + i * MINUTE && (int)answer.raws[i].value == i);
		body[strlen(body) - 1] = 0; /* the same, cut by one byte: nothing of it */
		answer = answered(kit, 200, body);
		cr_assert(came_to(&answer, HYDRO_PART_FAILED, "not JSON"));
	}
	free(body);
	hydro_testkit_close(&kit);
}

Test(twin, mangled_answers_give_no_wrong_value)
{
	hydro_testkit *kit = kit_now();
	mangle(kit, "twin_latest.json");
	ask_history(kit, T0, T0 + 5 * MINUTE, 6);
	mangle(kit, "twin_history.json");
	hydro_testkit_close(&kit);
}

Test(twin, deep_nesting_is_refused)
{
	hydro_testkit *kit = kit_now();
	char *body = malloc(200001);
	cr_assert_not_null(body);
	memset(body, '[', 200000);
	body[200000] = 0;
	memcpy(body, "{\"5003\":", 8);
	hydro_testkit_answer answer = answered(kit, 200, body);
	cr_assert_eq(answer.status, HYDRO_PART_FAILED);
	memcpy(body, "{\"x\":[  ", 8);
	answer = answered(kit, 200, body);
	cr_assert(came_to(&answer, HYDRO_PART_FAILED, "deep"));
	free(body);
	hydro_testkit_close(&kit);
}

Test(twin, secrets_are_in_no_error_text)
{
	hydro_testkit *kit = kit_now();
	hydro_testkit_poll(kit)->token = "tok.SECRET.x";
	static const char *const bodies[] = {"dev-SECRET-1", "{\"dev-SECRET-1\":5}", "{\"5003\":[{\"ts\":1,\"value\":\"dev-SECRET-1\"}]}", "\"dev-SECRET-1", "{\"5003\":\"SECRET\"}"};
	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
		for (uint32_t status = 200; status <= 500; status += 100) {
			hydro_testkit_answer answer = answered(kit, status, bodies[i]);
			cr_assert_null(strstr(answer.reason, "SECRET"), "%s", answer.reason);
		}
	cr_assert_null(strstr(hydro_testkit_log(kit), "SECRET"));
	hydro_testkit_close(&kit);
}

Test(twin, options_that_cannot_work_are_refused)
{
	cr_assert(point_refused(NULL, "{\"device\":\"..\",\"keys\":{\"flow\":\"5001\"}}", "device"));
	cr_assert(point_refused(NULL, "{\"device\":\"d\",\"keys\":{}}", "keys"));
	cr_assert(point_refused(NULL, "{\"device\":\"d\",\"keys\":{\"flow\":\"a,b\"}}", "single"));
	cr_assert(point_refused(NULL, "{\"device\":\"d\",\"keys\":{\"flow\":\"\"}}", "keys"));
	cr_assert(point_refused(NULL, "{\"keys\":{\"flow\":\"5001\"}}", "device"));
	cr_assert(instance_refused("{\"page_limit\":0}", "page_limit"));
	cr_assert(instance_refused("{\"key_list\":\"both\"}", "key_list"));
}
