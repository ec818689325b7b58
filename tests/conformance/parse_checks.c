/* SPDX-License-Identifier: MIT */
/* Answers to providers over HTTP: a failure never becomes a value. */
#include "suite.h"

#include <string.h>

static const uint32_t statuses[] = {200, 201, 204, 206, 301, 302, 304, 400, 401, 403, 404, 408, 418, 429, 500, 502, 503, 504, 599, 999, 4294967295u};

/* What holds for every answer, whatever it was. */
static void check_answer(const hydro_testkit_answer *answer, uint32_t status, const char *what)
{
	bool values_may_be = answer->status == HYDRO_PART_DATA || answer->status == HYDRO_PART_MORE;
	REQUIRE(values_may_be || answer->raw_count == 0, "%s, HTTP %u: a value on failure (outcome %u, %u values)", what, status, answer->status, answer->raw_count);
	REQUIRE(!values_may_be || (status >= 200 && status < 300), "%s, HTTP %u: taken as data", what, status);
	REQUIRE(answer->status != HYDRO_PART_DATA || answer->raw_count > 0, "%s, HTTP %u: data without a value", what, status);
	REQUIRE(answer->status != HYDRO_PART_FAILED || answer->reason[0], "%s, HTTP %u: failed without a reason", what, status);
	REQUIRE(status < 500 || status > 599 || answer->status == HYDRO_PART_FAILED, "%s, HTTP %u: outcome %u, not failed", what, status, answer->status);
	REQUIRE(!values_may_be || answer->refused == 0, "%s, HTTP %u: values that cannot be were emitted and the outcome is not failed", what, status);
}

static void give(struct subject *subject, uint32_t status, const char *body, size_t len, const char *what)
{
	hydro_testkit_answer answer;
	hydro_testkit_parse(subject->kit, status, body, len, &answer);
	check_answer(&answer, status, what);
	hydro_testkit_poll(subject->kit)->continuation = NULL;
	hydro_testkit_poll(subject->kit)->continuation_len = 0;
}

static void give_all(struct subject *subject, const char *body, size_t len, const char *what)
{
	uint32_t parts = hydro_testkit_parts(subject->kit);
	for (size_t s = 0; s < sizeof statuses / sizeof statuses[0]; s++)
		for (uint32_t part = 0; part < parts; part++) {
			hydro_testkit_poll(subject->kit)->part = part;
			hydro_testkit_poll(subject->kit)->mode = s & 1 ? HYDRO_POLL_HISTORY : HYDRO_POLL_LATEST;
			hydro_testkit_poll(subject->kit)->to_ms = INT64_C(1767225600000);
			give(subject, statuses[s], body, len, what);
		}
}

static void garbage_is_never_a_value(struct subject *subject)
{
	static const char *const bodies[] = {"", " ", "0", "null", "true", "\"\"", "{}", "[]", "[[]]", "[{}]", "{\"result\":[]}", "{\"data\":{}}", "{\"\":{\"\":[]}}",
					     "<!doctype html><title>Bad gateway</title>", "{\"error\":\"x\"}", "[1e999]", "[-0]", "\xff\xfe", "{\"k1\":[{\"ts\":1e300,\"value\":\"1\"}]}",
					     "{\"k1\":[{\"ts\":-1,\"value\":\"NaN\"}]}", "[{\"datetime\":\"never\",\"value\":1}]", "{\"result\":[{\"time\":0,\"value\":{}}]}"};
	subject_poll(subject);
	for (size_t b = 0; b < sizeof bodies / sizeof bodies[0]; b++)
		give_all(subject, bodies[b], strlen(bodies[b]), bodies[b]);
	give_all(subject, "{\"a\":1}\0tail", 12, "a body with NUL");
}

static void large_and_deep_bodies_do_no_harm(struct subject *subject)
{
	size_t len = (size_t)4 << 20;
	char *body = malloc(len);
	REQUIRE(body != NULL, "no memory");
	subject_poll(subject);
	memset(body, '[', len);
	give(subject, 200, body, len, "4 MiB of [");
	memset(body, 'a', len);
	give(subject, 200, body, len, "4 MiB of a");
	body[0] = '"';
	give(subject, 200, body, len, "an endless text");
	memset(body, '9', len);
	give(subject, 200, body, len, "a number of 4 MiB");
	for (size_t i = 0; i + 8 <= len; i += 8)
		memcpy(body + i, i % 16 ? "[1,2,3]," : "{\"a\":0},", 8);
	body[0] = '[';
	give(subject, 200, body, len, "a long list that never ends");
	free(body);
}

static void cut_and_changed_answers_are_never_data(struct subject *subject)
{
	subject_poll(subject);
	if (subject->body_count == 0)
		SKIP("no good answers in the options file (\"bodies\")");
	for (uint32_t b = 0; b < subject->body_count; b++) {
		const char *good = subject->bodies[b];
		size_t len = strlen(good);
		hydro_testkit_answer answer;
		hydro_testkit_parse(subject->kit, 200, good, len, &answer);
		REQUIRE(answer.status == HYDRO_PART_DATA || answer.status == HYDRO_PART_MORE, "body %u of the options file is not data: %s", b, answer.reason);
		for (size_t cut = 0; cut < len; cut++) {
			hydro_testkit_parse(subject->kit, 200, good, cut, &answer);
			check_answer(&answer, 200, "a cut answer");
			REQUIRE(answer.status == HYDRO_PART_FAILED || answer.status == HYDRO_PART_NO_DATA, "cut at %zu of %zu bytes it is still data", cut, len);
		}
		char *changed = strdup(good);
		REQUIRE(changed != NULL, "no memory");
		for (size_t i = 0; i < len; i++)
			for (unsigned bit = 0; bit < 8; bit++) {
				changed[i] = (char)(good[i] ^ (1 << bit));
				give(subject, 200, changed, len, "an answer with one bit changed");
				changed[i] = good[i];
			}
		free(changed);
		for (size_t s = 0; s < sizeof statuses / sizeof statuses[0]; s++)
			give(subject, statuses[s], good, len, "a good body");
	}
}

const struct check parse_checks[] = {
	{"garbage is never a value, a failure has a reason", HYDRO_KIND_PROVIDER, garbage_is_never_a_value},
	{"large and deep answers do no harm", HYDRO_KIND_PROVIDER, large_and_deep_bodies_do_no_harm},
	{"cut and changed answers are never data by mistake", HYDRO_KIND_PROVIDER, cut_and_changed_answers_are_never_data},
	{NULL, 0, NULL},
};
