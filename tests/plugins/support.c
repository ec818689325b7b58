/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hydro_testkit *kit_with(const char *instance, const char *account, const char *point)
{
	struct hydro_error err = {.struct_size = sizeof err};
	hydro_testkit *kit = NULL;
	cr_assert_eq(hydro_testkit_open(hydro_plugin_entry, &kit, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(hydro_testkit_create(kit, instance, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(hydro_testkit_point(kit, account, point, &err), HYDRO_OK, "%s", err.text);
	return kit;
}

static bool refused(int32_t result, const struct hydro_error *err, const char *why)
{
	if (result == HYDRO_E_CONFIG && strstr(err->text, why))
		return true;
	(void)fprintf(stderr, "result %d: %s\n", (int)result, result == HYDRO_OK ? "" : err->text);
	return false;
}

bool instance_refused(const char *instance, const char *why)
{
	struct hydro_error err = {.struct_size = sizeof err};
	hydro_testkit *kit = NULL;
	cr_assert_eq(hydro_testkit_open(hydro_plugin_entry, &kit, &err), HYDRO_OK, "%s", err.text);
	bool yes = refused(hydro_testkit_create(kit, instance, &err), &err, why);
	hydro_testkit_close(&kit);
	return yes;
}

bool point_refused(const char *instance, const char *point, const char *why)
{
	struct hydro_error err = {.struct_size = sizeof err};
	hydro_testkit *kit = NULL;
	cr_assert_eq(hydro_testkit_open(hydro_plugin_entry, &kit, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(hydro_testkit_create(kit, instance, &err), HYDRO_OK, "%s", err.text);
	const char *account = strcmp(hydro_testkit_plugin(kit)->name, "twin") == 0 ? "{\"username\":\"u\",\"password\":\"p\"}" : NULL;
	bool yes = refused(hydro_testkit_point(kit, account, point, &err), &err, why);
	hydro_testkit_close(&kit);
	return yes;
}

const hydro_http_request *asked(hydro_testkit *kit)
{
	struct hydro_error err = {.struct_size = sizeof err};
	const hydro_http_request *request = NULL;
	cr_assert_eq(hydro_testkit_request(kit, &request, &err), HYDRO_OK, "%s", err.text);
	return request;
}

void ask_history(hydro_testkit *kit, int64_t from_ms, int64_t to_ms, uint32_t limit)
{
	hydro_poll *poll = hydro_testkit_poll(kit);
	poll->mode = HYDRO_POLL_HISTORY;
	poll->from_ms = from_ms;
	poll->to_ms = to_ms;
	poll->limit = limit;
	poll->continuation = NULL;
	poll->continuation_len = 0;
}

hydro_testkit_answer answered(hydro_testkit *kit, uint32_t status, const char *body)
{
	hydro_testkit_answer answer;
	hydro_testkit_parse(kit, status, body, strlen(body), &answer);
	return answer;
}

char *recorded(const char *file, size_t *ret_len)
{
	char path[512];
	(void)snprintf(path, sizeof path, "%s/tests/fixtures/recorded/%s", HD_SOURCE_DIR, file);
	FILE *f = fopen(path, "rb");
	cr_assert(f != NULL, "%s", path);
	char *bytes = calloc(1, 65536);
	cr_assert_not_null(bytes);
	*ret_len = fread(bytes, 1, 65535, f);
	(void)fclose(f);
	cr_assert_gt(*ret_len, 0);
	return bytes;
}

hydro_testkit_answer answered_recorded(hydro_testkit *kit, const char *file)
{
	size_t len;
	char *bytes = recorded(file, &len);
	hydro_testkit_answer answer;
	hydro_testkit_parse(kit, 200, bytes, len, &answer);
	free(bytes);
	return answer;
}

bool came_to(const hydro_testkit_answer *answer, uint32_t status, const char *why)
{
	if (answer->status == status && answer->raw_count == 0 && answer->refused == 0 && strstr(answer->reason, why))
		return true;
	(void)fprintf(stderr, "status %u with %u values: %s\n", answer->status, answer->raw_count, answer->reason);
	return false;
}

bool has(hydro_testkit *kit, const hydro_testkit_answer *answer, const char *metric, uint32_t n, int64_t ts_ms, double value)
{
	const hydro_raw *raw = hydro_testkit_find(kit, answer, metric, n);
	if (raw && raw->ts_ms == ts_ms && raw->value <= value && raw->value >= value)
		return true;
	if (raw)
		(void)fprintf(stderr, "%s[%u] is %.17g at %lld\n", metric, n, raw->value, (long long)raw->ts_ms);
	return false;
}

static void check_sane(const hydro_testkit_answer *answer)
{
	cr_assert(answer->status >= HYDRO_PART_DATA && answer->status <= HYDRO_PART_FAILED);
	cr_assert_eq(answer->refused, 0);
	if (answer->raw_count > 0)
		cr_assert(answer->status == HYDRO_PART_DATA || answer->status == HYDRO_PART_MORE, "values with status %u", answer->status);
	if (answer->status == HYDRO_PART_FAILED)
		cr_assert(*answer->reason, "a failure without a reason");
}

void mangle(hydro_testkit *kit, const char *file)
{
	static const char other[] = {0, '"', '\\', '{', '}', '[', ']', ',', ':', '-', '9', 'e', '.', ' ', '\n', (char)0xff, (char)0xc3};
	size_t len;
	char *bytes = recorded(file, &len);
	hydro_poll start = *hydro_testkit_poll(kit);
	hydro_testkit_answer answer;
	for (size_t cut = 0; cut < len; cut++) {
		char *exact = malloc(cut ? cut : 1); /* so that a read behind it is seen by the sanitizer */
		cr_assert_not_null(exact);
		memcpy(exact, bytes, cut);
		*hydro_testkit_poll(kit) = start;
		hydro_testkit_parse(kit, 200, exact, cut, &answer);
		check_sane(&answer);
		cr_assert_eq(answer.status, HYDRO_PART_FAILED, "cut at %zu", cut);
		free(exact);
	}
	for (size_t at = 0; at < len; at++) {
		char was = bytes[at];
		for (size_t i = 0; i < sizeof other; i++) {
			bytes[at] = other[i];
			*hydro_testkit_poll(kit) = start;
			hydro_testkit_parse(kit, 200, bytes, len, &answer);
			check_sane(&answer);
		}
		bytes[at] = was;
	}
	*hydro_testkit_poll(kit) = start;
	free(bytes);
}
