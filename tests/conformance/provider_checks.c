/* SPDX-License-Identifier: MIT */
/* Requests of providers over HTTP. */
#include "suite.h"

#include "base/buf.h"

#include <string.h>

#define PARTS_MAX 256u

/* Everything of a request as one text, to compare. */
static void print(const hydro_http_request *request, struct hd_buf *ret)
{
	(void)hd_buf_printf(ret, "%u %s\n", request->method, request->url);
	for (uint32_t i = 0; i < request->header_count; i++) {
		const hydro_http_header *header = (const hydro_http_header *)(const void *)((const char *)request->headers + (size_t)i * request->header_stride);
		(void)hd_buf_printf(ret, "%s: %s\n", header->name, header->value);
	}
	(void)hd_buf_add(ret, request->body, request->body ? request->body_len : 0);
}

static const hydro_http_request *request_of(struct subject *subject)
{
	struct hydro_error err = {.struct_size = sizeof err};
	const hydro_http_request *request = NULL;
	int32_t rc = hydro_testkit_request(subject->kit, &request, &err);
	REQUIRE(rc == HYDRO_OK, "request failed: %s", err.text);
	return request;
}

/* Part and mode by number, over all that the provider claims. */
static bool next_poll(struct subject *subject, uint32_t n)
{
	hydro_poll *poll = hydro_testkit_poll(subject->kit);
	uint32_t parts = hydro_testkit_parts(subject->kit);
	uint32_t modes = hydro_testkit_provider(subject->kit)->capabilities & HYDRO_PROVIDER_HISTORY ? 2 : 1;
	REQUIRE(parts >= 1 && parts <= PARTS_MAX, "a poll has %u parts", parts);
	poll->part = n / modes;
	poll->mode = n % modes ? HYDRO_POLL_HISTORY : HYDRO_POLL_LATEST;
	poll->from_ms = INT64_C(1767139200000);
	poll->to_ms = INT64_C(1767225600000);
	return poll->part < parts;
}

static void request_is_a_function_of_the_poll(struct subject *subject)
{
	subject_poll(subject);
	for (uint32_t n = 0; next_poll(subject, n); n++) {
		HD_CLEANUP(hd_buf_done) struct hd_buf first = {0};
		print(request_of(subject), &first);
		for (int i = 0; i < 3; i++) {
			HD_CLEANUP(hd_buf_done) struct hd_buf again = {0};
			print(request_of(subject), &again);
			REQUIRE(first.len == again.len && memcmp(first.data, again.data, first.len) == 0, "the same poll gave another request");
		}
	}
}

static void small_scratch_is_asked_to_grow(struct subject *subject)
{
	subject_poll(subject);
	for (uint32_t n = 0; next_poll(subject, n); n++) {
		HD_CLEANUP(hd_buf_done) struct hd_buf whole = {0};
		hydro_testkit_set_scratch(subject->kit, 65536);
		print(request_of(subject), &whole);
		for (size_t size = 0; size < 512; size += size < 32 ? 1 : 29) {
			HD_CLEANUP(hd_buf_done) struct hd_buf again = {0};
			hydro_testkit_set_scratch(subject->kit, size);
			print(request_of(subject), &again);
			REQUIRE(whole.len == again.len && memcmp(whole.data, again.data, whole.len) == 0, "with %zu bytes of scratch first the request differs", size);
			REQUIRE(hydro_testkit_scratch_calls(subject->kit) <= 64, "more than 64 calls until the scratch sufficed");
		}
	}
}

static void check_secrets(const hydro_http_request *request)
{
	REQUIRE(!request->url_log || !strstr(request->url_log, SECRET_MARK), "url_log holds a secret: %s", request->url_log);
	for (uint32_t i = 0; i < request->header_count; i++) {
		const hydro_http_header *header = (const hydro_http_header *)(const void *)((const char *)request->headers + (size_t)i * request->header_stride);
		if (strstr(header->value, SECRET_MARK))
			REQUIRE(header->flags & HYDRO_HEADER_SECRET, "header %s holds a secret and is not flagged HYDRO_HEADER_SECRET", header->name);
	}
}

static void secrets_stay_out_of_logs(struct subject *subject)
{
	struct hydro_error err = {.struct_size = sizeof err};
	subject_poll(subject);
	for (uint32_t n = 0; next_poll(subject, n); n++) {
		check_secrets(request_of(subject));
		hydro_testkit_answer answer;
		hydro_testkit_parse(subject->kit, 403, "denied " SECRET_MARK, strlen("denied " SECRET_MARK), &answer);
		REQUIRE(!strstr(answer.reason, SECRET_MARK), "the reason of a failure holds a secret: %s", answer.reason);
	}
	if (hydro_testkit_provider(subject->kit)->capabilities & HYDRO_PROVIDER_LOGIN) {
		const hydro_http_request *login = NULL;
		REQUIRE(hydro_testkit_login_request(subject->kit, &login, &err) == HYDRO_OK, "login_request: %s", err.text);
		check_secrets(login);
	}
	REQUIRE(!strstr(hydro_testkit_log(subject->kit), SECRET_MARK), "a log line holds a secret: %s", hydro_testkit_log(subject->kit));
}

static void odd_continuations_do_no_harm(struct subject *subject)
{
	unsigned char odd[HYDRO_CONTINUATION_BYTES];
	struct hydro_error err = {.struct_size = sizeof err};
	subject_poll(subject);
	for (uint32_t n = 0; next_poll(subject, n); n++)
		for (uint32_t len = 1; len <= sizeof odd; len++) {
			const hydro_http_request *request = NULL;
			memset(odd, n & 1 ? 0xff : (int)len, sizeof odd);
			/* As after a page: length and bytes of somebody else's making. */
			unsigned char *exact = malloc(len);
			REQUIRE(exact != NULL, "no memory");
			memcpy(exact, odd, len);
			hydro_testkit_poll(subject->kit)->continuation = exact;
			hydro_testkit_poll(subject->kit)->continuation_len = len;
			int32_t rc = hydro_testkit_request(subject->kit, &request, &err);
			REQUIRE(rc == HYDRO_OK || err.text[0], "request failed without words");
			hydro_testkit_poll(subject->kit)->continuation = NULL;
			hydro_testkit_poll(subject->kit)->continuation_len = 0;
			free(exact);
		}
}

static void login_takes_no_garbage(struct subject *subject)
{
	static const char *const bodies[] = {"", "{", "{}", "null", "[]", "<html>", "{\"token\":null}", "{\"token\":\"\"}", "{\"token\":[1]}", "\xff\xfe\x00"};
	static const uint32_t statuses[] = {200, 204, 302, 400, 401, 403, 404, 429, 500, 503};
	subject_poll(subject);
	if (!(hydro_testkit_provider(subject->kit)->capabilities & HYDRO_PROVIDER_LOGIN))
		SKIP("no login");
	for (size_t s = 0; s < sizeof statuses / sizeof statuses[0]; s++)
		for (size_t b = 0; b < sizeof bodies / sizeof bodies[0]; b++) {
			struct hydro_error err = {.struct_size = sizeof err};
			const hydro_token *token = NULL;
			int32_t rc = hydro_testkit_login_parse(subject->kit, statuses[s], bodies[b], strlen(bodies[b]), &token, &err);
			REQUIRE(rc != HYDRO_OK, "login took status %u with \"%s\"", statuses[s], bodies[b]);
			REQUIRE(err.text[0] && !strstr(err.text, SECRET_MARK), "login failed without words or with a secret: %s", err.text);
		}
}

const struct check provider_checks[] = {
	{"request is a function of the poll", HYDRO_KIND_PROVIDER, request_is_a_function_of_the_poll},
	{"too little scratch is HYDRO_E_LIMIT, then works", HYDRO_KIND_PROVIDER, small_scratch_is_asked_to_grow},
	{"secrets stay out of logged URLs, headers, reasons and logs", HYDRO_KIND_PROVIDER, secrets_stay_out_of_logs},
	{"odd continuations do no harm", HYDRO_KIND_PROVIDER, odd_continuations_do_no_harm},
	{"login takes no garbage for a token", HYDRO_KIND_PROVIDER, login_takes_no_garbage},
	{NULL, 0, NULL},
};
