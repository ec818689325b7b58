/* SPDX-License-Identifier: MIT */
/* The sink against recorded bytes: no network, no daemon. argv[1] is the plugin's file. */
#include <hydro/testkit.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(cond) ((cond) ? (void)0 : (fprintf(stderr, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #cond, err.text), exit(1)))
#define PAYLOAD "{\"due\":\"2026-01-01T18:00:00Z\",\"flow_ls\":25.700,\"total_m3\":1234500.000}"

static struct hydro_error err = {.struct_size = sizeof err};
static const hydro_filing_send sent = {.struct_size = sizeof sent, .payload_len = sizeof PAYLOAD - 1, .code = "W-17", .kind = "well", .payload = PAYLOAD,
				       .centre = "c-1", .informant = "i-1", .secret = "a password", .receipt = "r/1", .now_ms = 1767290460000};

static void a_slot_becomes_its_bytes(hydro_testkit *kit)
{
	hydro_filing_slot slot = {.struct_size = sizeof slot, .fields = 3, .code = "W-17", .kind = "well", .standard = "large", .due_ms = 1767290400000, .values = {25.7, 1234500, 0}};
	hydro_filing_payload payload = {.struct_size = sizeof payload};
	const hydro_sink_ops *ops = hydro_testkit_sink(kit);
	CHECK(ops->filing_prepare(hydro_testkit_instance(kit), &slot, &payload, &err) == HYDRO_OK);
	CHECK(strcmp(payload.text, PAYLOAD) == 0 && payload.len == strlen(PAYLOAD));
	slot.fields = 1;
	CHECK(ops->filing_prepare(hydro_testkit_instance(kit), &slot, &payload, &err) == HYDRO_E_INVALID && strstr(err.text, "total: there is no value"));
}

static void the_password_is_in_its_header_alone(hydro_testkit *kit)
{
	const hydro_http_request *request;
	CHECK(hydro_testkit_filing_request(kit, &sent, 0, &request, &err) == HYDRO_OK);
	CHECK(strcmp(request->url, "http://h/v1/works/W-17/readings") == 0 && strcmp(request->body, PAYLOAD) == 0);
	CHECK(strcmp(hydro_testkit_header(request, "x-password"), "a password") == 0 && (request->headers[3].flags & HYDRO_HEADER_SECRET));
	CHECK(hydro_testkit_filing_request(kit, &sent, 1, &request, &err) == HYDRO_OK);
	CHECK(strcmp(request->url, "http://h/v1/receipts/%72%2F%31") == 0);
}

static uint32_t outcome(hydro_testkit *kit, uint32_t status, const char *body, const char *receipt)
{
	hydro_filing_answer answer;
	CHECK(hydro_testkit_filing_parse(kit, &sent, status, NULL, body, strlen(body), &answer, &err) == HYDRO_OK);
	CHECK(strcmp(answer.receipt, receipt) == 0);
	return answer.outcome;
}

static void only_success_counts_as_filed(hydro_testkit *kit)
{
	CHECK(outcome(kit, 201, "{\"receipt\":\"r-1\"}", "r-1") == HYDRO_FILING_FILED);
	CHECK(outcome(kit, 201, "{}", "") == HYDRO_FILING_NO_RECEIPT);
	CHECK(outcome(kit, 409, "{\"receipt\":\"r-1\"}", "r-1") == HYDRO_FILING_DUPLICATE);
	CHECK(outcome(kit, 403, "<html>", "") == HYDRO_FILING_BLOCKED);
	CHECK(outcome(kit, 201, "{\"receipt\":", "") == HYDRO_FILING_REFUSED);
	CHECK(outcome(kit, 500, "", "") == HYDRO_FILING_REFUSED);
}

static uint32_t seen(hydro_testkit *kit, uint32_t status, const char *body, const char *text)
{
	hydro_filing_check check;
	CHECK(hydro_testkit_filing_check_parse(kit, &sent, status, NULL, body, strlen(body), &check, &err) == HYDRO_OK);
	CHECK(strcmp(check.text, text) == 0);
	return check.outcome;
}

static void what_is_there_is_compared(hydro_testkit *kit)
{
	CHECK(seen(kit, 200, "{\"due\":\"2026-01-01T18:00:00Z\",\"flow_ls\":25.7,\"total_m3\":1234500}", "") == HYDRO_CHECK_SAME);
	CHECK(seen(kit, 200, "{\"due\":\"2026-01-01T18:00:00Z\",\"flow_ls\":2.5,\"total_m3\":1234500}", "flow_ls 25.700 -> 2.500") == HYDRO_CHECK_DIFFERS);
	CHECK(seen(kit, 404, "{\"unknown\":true}", "") == HYDRO_CHECK_ABSENT);
	CHECK(seen(kit, 500, "", "") == HYDRO_CHECK_UNCLEAR);
}

int main(int argc, char **argv)
{
	hydro_testkit *kit = NULL;
	CHECK(argc == 2);
	CHECK(hydro_testkit_open_file(argv[1], &kit, &err) == HYDRO_OK);
	CHECK(hydro_testkit_create(kit, "{\"base_url\":\"http://h/v1/\"}", &err) == HYDRO_OK);
	a_slot_becomes_its_bytes(kit);
	the_password_is_in_its_header_alone(kit);
	only_success_counts_as_filed(kit);
	what_is_there_is_compared(kit);
	hydro_testkit_close(&kit);
	puts("example_filing: all as it should be");
	return 0;
}
