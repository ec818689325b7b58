/* SPDX-License-Identifier: MIT */
/* Sinks and analytics. */
#include "suite.h"

#include <math.h>
#include <string.h>

#define RECORDS 8u

static void make_records(struct subject *subject, hydro_record records[RECORDS], hydro_value values[RECORDS])
{
	uint32_t flow = hydro_testkit_metric(subject->kit, "flow");
	memset(records, 0, RECORDS * sizeof *records);
	for (uint32_t i = 0; i < RECORDS; i++) {
		values[i] = (hydro_value){.value = 1.5 * i, .metric = flow, .quality = 1.0f};
		records[i] = (hydro_record){.struct_size = sizeof records[i], .ts_ms = INT64_C(1767225600000) + i * 60000, .sequence = i + 1, .provider = "conformance",
					    .values = &values[i], .value_count = i % 4 ? 1 : 0, .value_stride = sizeof values[i], .poll_period_s = 900};
		records[i].point_id[0] = (unsigned char)(i + 1);
	}
}

static void every_record_has_an_outcome(struct subject *subject)
{
	hydro_record records[RECORDS];
	hydro_value values[RECORDS];
	const hydro_sink_ops *ops = hydro_testkit_sink(subject->kit);
	subject_create(subject);
	if (!ops->write)
		SKIP("no write");
	make_records(subject, records, values);
	for (uint32_t count = 0; count <= RECORDS; count++) {
		struct hydro_error err = {.struct_size = sizeof err};
		hydro_write_outcome outcomes[RECORDS];
		memset(outcomes, 0, sizeof outcomes);
		hydro_batch batch = {.struct_size = sizeof batch, .record_count = count, .record_stride = sizeof records[0], .records = records};
		int32_t rc = ops->write(hydro_testkit_instance(subject->kit), &batch, outcomes, sizeof outcomes[0], &err);
		REQUIRE(rc == HYDRO_OK || err.text[0], "write failed without words");
		for (uint32_t i = 0; rc == HYDRO_OK && i < count; i++) {
			REQUIRE(outcomes[i].status >= HYDRO_WRITE_OK && outcomes[i].status <= HYDRO_WRITE_REJECT, "record %u of %u has no outcome", i, count);
			REQUIRE(outcomes[i].status != HYDRO_WRITE_REJECT || outcomes[i].reason[0], "record %u is rejected without a reason", i);
			REQUIRE(memchr(outcomes[i].reason, '\0', sizeof outcomes[i].reason), "a reason does not end");
		}
		for (uint32_t i = count; i < RECORDS; i++)
			REQUIRE(outcomes[i].status == 0, "an outcome was written behind the batch's end");
	}
}

static void sink_answers_are_never_taken_for_success(struct subject *subject)
{
	static const char *const bodies[] = {"", "{", "{}", "null", "[]", "<html>", "\xff"};
	static const uint32_t statuses[] = {200, 301, 400, 403, 404, 500, 503};
	hydro_record records[RECORDS];
	hydro_value values[RECORDS];
	const hydro_sink_ops *ops = hydro_testkit_sink(subject->kit);
	subject_create(subject);
	if (!ops->parse)
		SKIP("no HTTP");
	make_records(subject, records, values);
	for (size_t s = 0; s < sizeof statuses / sizeof statuses[0]; s++)
		for (size_t b = 0; b < sizeof bodies / sizeof bodies[0]; b++) {
			struct hydro_error err = {.struct_size = sizeof err};
			hydro_write_outcome outcome;
			memset(&outcome, 0, sizeof outcome);
			hydro_http_response response = {.struct_size = sizeof response, .status = statuses[s], .body = bodies[b], .body_len = strlen(bodies[b]), .content_type = "", .retry_after_ms = -1};
			int32_t rc = ops->parse(hydro_testkit_instance(subject->kit), &records[1], &response, &outcome, &err);
			REQUIRE(statuses[s] == 200 || rc != HYDRO_OK || outcome.status != HYDRO_WRITE_OK, "HTTP %u counts as stored", statuses[s]);
		}
}

static void update_stays_inside_its_state(struct subject *subject)
{
	const hydro_analytics_ops *ops = hydro_testkit_analytics(subject->kit);
	if (!(ops->capabilities & HYDRO_ANALYTICS_UPDATE))
		SKIP("no update");
	subject_create(subject);
	struct hydro_error err = {.struct_size = sizeof err};
	void *fresh = NULL;
	REQUIRE(hydro_testkit_state(subject->kit, subject->point, &fresh, &err) == HYDRO_OK, "state_init: %s", err.text);
	size_t size = ops->state_size;
	unsigned char *a = malloc(size + 64), *b = malloc(size + 64);
	REQUIRE(a && b, "no memory");
	memset(a, 0xa5, size + 64);
	memset(b, 0xa5, size + 64);
	memcpy(a, fresh, size);
	memcpy(b, fresh, size);
	for (uint32_t i = 0; i < 1000; i++) {
		hydro_sample sample = {.struct_size = sizeof sample, .metric = hydro_testkit_metric(subject->kit, "flow"), .ts_ms = INT64_C(1767225600000) + i * 60000,
				       .value = i % 97 == 96 ? 1e9 : sin(i * 0.1) * 10.0, .quality = 1.0f};
		hydro_annotation x = {.struct_size = sizeof x, .quality = -1.0f}, y = x;
		void *instance = hydro_testkit_instance(subject->kit);
		REQUIRE(ops->update(instance, a, &sample, &x) == ops->update(instance, b, &sample, &y), "the same state and sample gave another result");
		REQUIRE(x.flag == y.flag && !(x.score < y.score) && !(x.score > y.score), "the same state and sample gave another annotation");
		REQUIRE(x.score >= 0.0 && x.score <= 1.0 && x.quality <= 1.0f, "score %g or quality %g is out of range", x.score, (double)x.quality);
	}
	REQUIRE(memcmp(a, b, size) == 0, "two states that saw the same differ");
	for (size_t i = size; i < size + 64; i++)
		REQUIRE(a[i] == 0xa5, "update wrote behind state_size");
	free(a);
	free(b);
}

const struct check other_checks[] = {
	{"every record of a batch has an outcome", HYDRO_KIND_SINK, every_record_has_an_outcome},
	{"an odd answer is never taken for stored", HYDRO_KIND_SINK, sink_answers_are_never_taken_for_success},
	{"update is a function of state and sample and stays inside its state", HYDRO_KIND_ANALYTICS, update_stays_inside_its_state},
	{NULL, 0, NULL},
};
