/* SPDX-License-Identifier: MIT */
/* One provider's parse under libFuzzer: byte 0 chooses the poll (mode, part, page limit), byte 1 the HTTP status, the rest is the answer. */
#ifndef HD_TESTS_FUZZ_PROVIDER_H
#define HD_TESTS_FUZZ_PROVIDER_H

#include <hydro/testkit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_FROM_MS INT64_C(1767139200000)
#define FUZZ_TO_MS INT64_C(1767312000000)

#define FUZZ_CHECK(cond) ((cond) ? (void)0 : (fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond), abort()))

static inline hydro_testkit *fuzz_kit(const char *instance, const char *account, const char *point)
{
	struct hydro_error err = {.struct_size = sizeof err};
	hydro_testkit *kit = NULL;
	FUZZ_CHECK(hydro_testkit_open(hydro_plugin_entry, &kit, &err) == HYDRO_OK);
	FUZZ_CHECK(hydro_testkit_create(kit, instance, &err) == HYDRO_OK);
	FUZZ_CHECK(hydro_testkit_point(kit, account, point, &err) == HYDRO_OK);
	return kit;
}

/* A page chain over one and the same answer must end: at once, or by "no progress". */
static inline void fuzz_parse(hydro_testkit *kit, const uint8_t *data, size_t size)
{
	static const uint32_t statuses[] = {200, 200, 200, 200, 200, 200, 204, 401, 403, 404, 429, 500, 304, 302, 200, 200};
	if (size < 2)
		return;
	uint32_t parts = hydro_testkit_parts(kit), pages = 0;
	hydro_poll *poll = hydro_testkit_poll(kit);
	poll->mode = data[0] & 1 ? HYDRO_POLL_HISTORY : HYDRO_POLL_LATEST;
	poll->part = (data[0] >> 1 & 3u) % parts;
	poll->limit = 1u + (data[0] >> 3);
	poll->from_ms = FUZZ_FROM_MS;
	poll->to_ms = FUZZ_TO_MS;
	poll->continuation = NULL;
	poll->continuation_len = 0;
	uint32_t status = statuses[data[1] & 15];
	hydro_testkit_answer answer;
	do {
		hydro_testkit_parse(kit, status, (const char *)data + 2, size - 2, &answer);
		FUZZ_CHECK(answer.rc == HYDRO_OK && answer.refused == 0);
		FUZZ_CHECK(answer.status >= HYDRO_PART_DATA && answer.status <= HYDRO_PART_FAILED);
		FUZZ_CHECK(answer.raw_count == 0 || answer.status == HYDRO_PART_DATA || answer.status == HYDRO_PART_MORE);
		FUZZ_CHECK(answer.raw_count == 0 || (status >= 200 && status <= 299));
		FUZZ_CHECK(answer.status != HYDRO_PART_FAILED || *answer.reason);
		FUZZ_CHECK(++pages < 10000);
	} while (answer.status == HYDRO_PART_MORE);
}

#endif
