/* SPDX-License-Identifier: MIT */
/* Sinks that file with a regulator. */
#include "suite.h"

#include "hostside/filing_info.h"

#include <math.h>
#include <string.h>

#define DUE_MS INT64_C(1767290400000) /* 2026-01-01T18:00:00Z: a round hour, and in each period's first day */
#define SECRET SECRET_MARK "-pass"

static const hydro_sink_ops *filing(struct subject *subject)
{
	const hydro_sink_ops *ops = hydro_testkit_sink(subject->kit);
	if (!(ops->capabilities & HYDRO_SINK_FILING))
		SKIP("files nothing");
	subject_create(subject);
	return ops;
}

static struct hd_filing_info about(struct subject *subject, const hydro_sink_ops *ops)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_filing_info info;
	int rc = hd_filing_info_read(ops->filing_info(hydro_testkit_instance(subject->kit)), &info, &err);
	REQUIRE(rc == HYDRO_OK, "%s", err.text);
	return info;
}

static hydro_filing_slot slot_of(const struct subject *subject, const char *kind, const char *standard)
{
	return (hydro_filing_slot){.struct_size = sizeof(hydro_filing_slot), .fields = (1u << HYDRO_FIELDS) - 1u, .code = subject->code, .kind = kind, .standard = standard,
				   .due_ms = DUE_MS, .measured_ms = DUE_MS - 61000, .values = {25.7, 1234500.0, 3.0}};
}

static hydro_filing_payload prepared(struct subject *subject, const hydro_sink_ops *ops, const hydro_filing_slot *slot)
{
	struct hydro_error err = {.struct_size = sizeof err};
	hydro_filing_payload payload;
	memset(&payload, 0xa5, sizeof payload);
	payload.struct_size = sizeof payload;
	int32_t rc = ops->filing_prepare(hydro_testkit_instance(subject->kit), slot, &payload, &err);
	REQUIRE(rc == HYDRO_OK, "kind %s, standard %s: %s (give a work's code by --options)", slot->kind, slot->standard, err.text);
	REQUIRE(payload.len > 0 && payload.len < sizeof payload.text && strnlen(payload.text, sizeof payload.text) == payload.len, "a payload of %u bytes that does not end there", payload.len);
	return payload;
}

static hydro_filing_send send_of(const struct subject *subject, const char *kind, const hydro_filing_payload *payload)
{
	return (hydro_filing_send){.struct_size = sizeof(hydro_filing_send), .payload_len = payload->len, .code = subject->code, .kind = kind, .payload = payload->text,
				   .centre = subject->centre, .informant = subject->informant, .secret = SECRET, .now_ms = DUE_MS + 5000};
}

static void what_it_says_of_its_regulator_holds(struct subject *subject)
{
	const hydro_sink_ops *ops = filing(subject);
	void *self = hydro_testkit_instance(subject->kit);
	struct hd_filing_info first = about(subject, ops);
	for (int i = 0; i < 3; i++)
		REQUIRE(ops->filing_info(self) == ops->filing_info(self), "another table at each call");
	hd_filing_info_done(&first);
}

static void the_same_slot_gives_the_same_bytes(struct subject *subject)
{
	const hydro_sink_ops *ops = filing(subject);
	struct hd_filing_info info = about(subject, ops);
	for (uint32_t k = 0; k < info.info.kind_count; k++)
		for (uint32_t s = 0; s < info.info.standard_count; s++) {
			hydro_filing_slot slot = slot_of(subject, info.kinds[k].name, info.standards[s].name);
			hydro_filing_payload first = prepared(subject, ops, &slot);
			for (int i = 0; i < 3; i++) {
				hydro_filing_payload again = prepared(subject, ops, &slot);
				REQUIRE(first.len == again.len && memcmp(first.text, again.text, first.len) == 0, "kind %s: the same slot gave other bytes", slot.kind);
			}
			slot.values[HYDRO_FIELD_FLOW] += 1;
			hydro_filing_payload other = prepared(subject, ops, &slot);
			REQUIRE(!(info.kinds[k].fields & 1u << HYDRO_FIELD_FLOW) || strcmp(first.text, other.text) != 0, "kind %s: another flow gave the same bytes", slot.kind);
		}
	hd_filing_info_done(&info);
}

static void what_it_needs_is_enough(struct subject *subject)
{
	const hydro_sink_ops *ops = filing(subject);
	struct hd_filing_info info = about(subject, ops);
	for (uint32_t k = 0; k < info.info.kind_count; k++)
		for (uint32_t s = 0; s < info.info.standard_count; s++) {
			hydro_filing_slot slot = slot_of(subject, info.kinds[k].name, info.standards[s].name);
			uint32_t needed = info.kinds[k].fields & ~info.standards[s].empty_fields;
			if (ops->filing_needed)
				needed = ops->filing_needed(hydro_testkit_instance(subject->kit), &slot);
			REQUIRE(!(needed & ~info.kinds[k].fields), "kind %s needs fields that it has not", slot.kind);
			slot.fields = needed;
			(void)prepared(subject, ops, &slot);
		}
	hd_filing_info_done(&info);
}

static void refuse(struct subject *subject, const hydro_sink_ops *ops, const hydro_filing_slot *slot, const char *what)
{
	struct hydro_error err = {.struct_size = sizeof err};
	hydro_filing_payload payload = {.struct_size = sizeof payload};
	int32_t rc = ops->filing_prepare(hydro_testkit_instance(subject->kit), slot, &payload, &err);
	REQUIRE(rc != HYDRO_OK, "kind %s: %s became %s", slot->kind, what, payload.text);
	REQUIRE(err.text[0], "kind %s: %s is refused without words", slot->kind, what);
}

static void what_no_format_carries_is_refused(struct subject *subject)
{
	const hydro_sink_ops *ops = filing(subject);
	struct hd_filing_info info = about(subject, ops);
	for (uint32_t k = 0; k < info.info.kind_count; k++)
		for (uint32_t f = 0; f < HYDRO_FIELDS; f++) {
			hydro_filing_slot slot = slot_of(subject, info.kinds[k].name, info.standards[0].name);
			if (!(info.kinds[k].fields & 1u << f))
				continue;
			slot.values[f] = (double)NAN;
			refuse(subject, ops, &slot, "a value that is no number");
			slot.values[f] = (double)INFINITY;
			refuse(subject, ops, &slot, "an infinite value");
			slot = slot_of(subject, info.kinds[k].name, info.standards[0].name);
			slot.fields &= ~(1u << f);
			if (!(info.standards[0].empty_fields & 1u << f))
				refuse(subject, ops, &slot, "a missing value");
		}
	hydro_filing_slot slot = slot_of(subject, "no such kind", info.standards[0].name);
	refuse(subject, ops, &slot, "an unknown kind");
	hd_filing_info_done(&info);
}

static void identifiers_and_works_are_refused_in_words(struct subject *subject)
{
	static const char *const odd[] = {"", " ", "\xff", "0", "\"", "a\nb", "999999999999999999999999999999999999"};
	const hydro_sink_ops *ops = filing(subject);
	void *self = hydro_testkit_instance(subject->kit);
	struct hd_filing_info info = about(subject, ops);
	struct hydro_error err = {.struct_size = sizeof err};
	REQUIRE(ops->filing_check_identifier(self, subject->centre, &err) == HYDRO_OK, "%s: %s (give one by --options)", subject->centre, err.text);
	REQUIRE(ops->filing_check_identifier(self, subject->informant, &err) == HYDRO_OK, "%s: %s (give one by --options)", subject->informant, err.text);
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		hydro_filing_slot work = slot_of(subject, info.kinds[0].name, info.standards[0].name);
		err.text[0] = '\0';
		REQUIRE(ops->filing_check_identifier(self, odd[i], &err) == HYDRO_OK || err.text[0], "identifier %zu is refused without words", i);
		work.code = odd[i];
		err.text[0] = '\0';
		REQUIRE(ops->filing_check_work(self, &work, &err) == HYDRO_OK || err.text[0], "code %zu is refused without words", i);
		work.code = subject->code;
		work.kind = work.standard = odd[i];
		err.text[0] = '\0';
		REQUIRE(ops->filing_check_work(self, &work, &err) != HYDRO_OK && err.text[0], "kind and standard %zu are taken", i);
	}
	hd_filing_info_done(&info);
}

static bool holds(const char *text, size_t len, const char *part)
{
	return text && memmem(text, len, part, strlen(part)) != NULL;
}

/* The password's plain part: however a body escapes the rest. */
static void keeps_secret(const hydro_http_request *request)
{
	REQUIRE(!holds(request->url, strlen(request->url), SECRET_MARK), "the password is in the URL");
	REQUIRE(!request->url_log || !holds(request->url_log, strlen(request->url_log), SECRET_MARK), "the password is in url_log");
	for (uint32_t i = 0; i < request->header_count; i++) {
		const hydro_http_header *header = (const hydro_http_header *)(const void *)((const char *)request->headers + (size_t)i * request->header_stride);
		REQUIRE(header->flags & HYDRO_HEADER_SECRET || !holds(header->value, strlen(header->value), SECRET_MARK), "the password is in header %s, which is not marked secret", header->name);
	}
}

static void two_tries_differ_in_headers_alone(struct subject *subject)
{
	const hydro_sink_ops *ops = filing(subject);
	struct hd_filing_info info = about(subject, ops);
	struct hydro_error err = {.struct_size = sizeof err};
	for (uint32_t k = 0; k < info.info.kind_count; k++) {
		hydro_filing_slot slot = slot_of(subject, info.kinds[k].name, info.standards[0].name);
		hydro_filing_payload payload = prepared(subject, ops, &slot);
		hydro_filing_send send = send_of(subject, slot.kind, &payload);
		const hydro_http_request *request = NULL;
		hydro_testkit_set_scratch(subject->kit, 65536);
		REQUIRE(hydro_testkit_filing_request(subject->kit, &send, 0, &request, &err) == HYDRO_OK, "request: %s", err.text);
		keeps_secret(request);
		REQUIRE(holds(request->body, (size_t)request->body_len, payload.text), "the payload is not in the body as it was prepared");
		char *url = strdup(request->url), *body = strndup(request->body, (size_t)request->body_len);
		send.now_ms += 86400000;
		for (size_t scratch = 0; scratch < 600; scratch += scratch < 16 ? 1 : 37) {
			hydro_testkit_set_scratch(subject->kit, scratch);
			REQUIRE(hydro_testkit_filing_request(subject->kit, &send, 0, &request, &err) == HYDRO_OK, "request: %s", err.text);
			REQUIRE(url && body && strcmp(url, request->url) == 0 && strlen(body) == request->body_len && memcmp(body, request->body, (size_t)request->body_len) == 0,
				"another try has another URL or body");
		}
		free(url);
		free(body);
	}
	hd_filing_info_done(&info);
}

static void a_check_needs_no_password(struct subject *subject)
{
	const hydro_sink_ops *ops = filing(subject);
	if (!ops->filing_check_request)
		SKIP("cannot be asked");
	struct hd_filing_info info = about(subject, ops);
	struct hydro_error err = {.struct_size = sizeof err};
	hydro_filing_slot slot = slot_of(subject, info.kinds[0].name, info.standards[0].name);
	hydro_filing_payload payload = prepared(subject, ops, &slot);
	hydro_filing_send send = send_of(subject, slot.kind, &payload);
	const hydro_http_request *request = NULL;
	send.secret = NULL;
	send.receipt = "r 1&x=/?#";
	REQUIRE(hydro_testkit_filing_request(subject->kit, &send, 1, &request, &err) == HYDRO_OK, "check request: %s", err.text);
	REQUIRE(!strpbrk(request->url, " #"), "a receipt's characters stand in the URL as they are");
	hd_filing_info_done(&info);
}

static void failures_do_not_tell_the_password(struct subject *subject)
{
	const hydro_sink_ops *ops = filing(subject);
	struct hd_filing_info info = about(subject, ops);
	hydro_filing_slot slot = slot_of(subject, info.kinds[0].name, info.standards[0].name);
	hydro_filing_payload payload = prepared(subject, ops, &slot);
	for (int i = 0; i < 5; i++) {
		struct hydro_error err = {.struct_size = sizeof err};
		const hydro_http_request *request = NULL;
		hydro_filing_send send = send_of(subject, slot.kind, &payload);
		*(const char **[]){&send.centre, &send.informant, &send.code, &send.kind, &send.payload}[i] = "";
		send.payload_len = i == 4 ? 0 : send.payload_len;
		if (hydro_testkit_filing_request(subject->kit, &send, 0, &request, &err) != HYDRO_OK)
			REQUIRE(err.text[0] && !strstr(err.text, SECRET_MARK), "%s", err.text[0] ? "the password is in an error" : "a failure without words");
	}
	REQUIRE(!strstr(hydro_testkit_log(subject->kit), SECRET_MARK), "the password is in the log");
	hd_filing_info_done(&info);
}

/* ---- answers ---- */

struct bench {
	const hydro_sink_ops *ops;
	hydro_filing_payload payload;
	hydro_filing_send send;
};

static struct bench bench_of(struct subject *subject)
{
	struct bench b = {.ops = filing(subject)};
	struct hd_filing_info info = about(subject, b.ops);
	const char *kind = b.ops->filing_info(hydro_testkit_instance(subject->kit))->kinds->name;
	hydro_filing_slot slot = slot_of(subject, kind, info.standards[0].name);
	b.payload = prepared(subject, b.ops, &slot);
	hd_filing_info_done(&info);
	return b;
}

/* Both readers of an answer; `good`: an outcome that takes something for done is allowed. */
static void judge(struct subject *subject, struct bench *b, uint32_t status, const char *body, size_t len, bool good)
{
	struct hydro_error err = {.struct_size = sizeof err};
	hydro_filing_answer answer;
	hydro_filing_check check;
	b->send = send_of(subject, b->ops->filing_info(hydro_testkit_instance(subject->kit))->kinds->name, &b->payload);
	int32_t rc = hydro_testkit_filing_parse(subject->kit, &b->send, status, NULL, body, len, &answer, &err);
	REQUIRE(rc == HYDRO_OK, "an answer without an outcome: %s", err.text);
	REQUIRE(answer.outcome >= HYDRO_FILING_FILED && answer.outcome <= HYDRO_FILING_BLOCKED, "outcome %u", answer.outcome);
	REQUIRE(memchr(answer.receipt, '\0', sizeof answer.receipt) && memchr(answer.text, '\0', sizeof answer.text), "a text does not end");
	REQUIRE(answer.outcome != HYDRO_FILING_FILED || answer.receipt[0], "filed without a receipt");
	REQUIRE(good || answer.outcome > HYDRO_FILING_DUPLICATE, "HTTP %u with %.40s counts as filed", status, body);
	if (!b->ops->filing_check_parse)
		return;
	b->send.secret = NULL;
	b->send.receipt = "r";
	rc = hydro_testkit_filing_check_parse(subject->kit, &b->send, status, NULL, body, len, &check, &err);
	REQUIRE(rc == HYDRO_OK, "a check without an outcome: %s", err.text);
	REQUIRE(check.outcome >= HYDRO_CHECK_SAME && check.outcome <= HYDRO_CHECK_BLOCKED, "outcome %u of a check", check.outcome);
	REQUIRE(memchr(check.text, '\0', sizeof check.text), "a text does not end");
	REQUIRE(good || check.outcome > HYDRO_CHECK_DIFFERS, "HTTP %u with %.40s counts as seen there", status, body);
}

static void no_garbage_counts_as_filed(struct subject *subject)
{
	static const char *const bodies[] = {"", "{", "{}", "null", "[]", "0", "\"00\"", "<html><body>Service Unavailable</body></html>", "\xff\xfe", "{\"data\":{}}"};
	static const uint32_t statuses[] = {100, 200, 204, 301, 400, 401, 403, 404, 429, 500, 502, 503, 999};
	struct bench b = bench_of(subject);
	for (size_t s = 0; s < sizeof statuses / sizeof statuses[0]; s++)
		for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
			judge(subject, &b, statuses[s], bodies[i], strlen(bodies[i]), false);
	size_t len = 4u << 20;
	char *large = malloc(len);
	REQUIRE(large, "no memory");
	memset(large, '[', len);
	judge(subject, &b, 200, large, len, false);
	free(large);
}

static void cut_and_changed_answers_are_judged(struct subject *subject)
{
	struct bench b = bench_of(subject);
	if (subject->body_count == 0)
		SKIP("no good answers given");
	for (uint32_t i = 0; i < subject->body_count; i++) {
		size_t len = strlen(subject->bodies[i]);
		judge(subject, &b, 503, subject->bodies[i], len, false);
		for (size_t cut = 0; cut < len; cut++)
			judge(subject, &b, 200, subject->bodies[i], cut, false);
		for (size_t at = 0; at < len; at++)
			for (int bit = 0; bit < 8; bit++) {
				subject->bodies[i][at] ^= (char)(1 << bit);
				judge(subject, &b, 200, subject->bodies[i], len, true);
				subject->bodies[i][at] ^= (char)(1 << bit);
			}
	}
}

const struct check filing_checks[] = {
	{"filing: what it says of its regulator holds", HYDRO_KIND_SINK, what_it_says_of_its_regulator_holds},
	{"filing: the same slot gives the same bytes", HYDRO_KIND_SINK, the_same_slot_gives_the_same_bytes},
	{"filing: the fields that it needs are enough", HYDRO_KIND_SINK, what_it_needs_is_enough},
	{"filing: what no format carries is refused in words", HYDRO_KIND_SINK, what_no_format_carries_is_refused},
	{"filing: identifiers and works are refused in words", HYDRO_KIND_SINK, identifiers_and_works_are_refused_in_words},
	{"filing: two tries differ in headers alone, the password stays in the body", HYDRO_KIND_SINK, two_tries_differ_in_headers_alone},
	{"filing: a check needs no password and escapes the receipt", HYDRO_KIND_SINK, a_check_needs_no_password},
	{"filing: failures do not tell the password", HYDRO_KIND_SINK, failures_do_not_tell_the_password},
	{"filing: no garbage counts as filed", HYDRO_KIND_SINK, no_garbage_counts_as_filed},
	{"filing: cut and changed answers are judged", HYDRO_KIND_SINK, cut_and_changed_answers_are_judged},
	{NULL, 0, NULL},
};
