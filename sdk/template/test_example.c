/* SPDX-License-Identifier: MIT */
/* The provider against recorded bytes: no network, no daemon. argv[1] is the plugin's file. */
#include <hydro/testkit.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(cond) ((cond) ? (void)0 : (fprintf(stderr, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #cond, err.text), exit(1)))
#define ACCOUNT "{\"api_key\":\"k\"}"
#define POINT "{\"device_token\":\"d1\",\"keys\":{\"flow\":\"q\",\"level\":\"h\"}}"

static struct hydro_error err = {.struct_size = sizeof err};

static hydro_testkit_answer parse(hydro_testkit *kit, uint32_t status, const char *body)
{
	hydro_testkit_answer answer;
	hydro_testkit_parse(kit, status, body, strlen(body), &answer);
	return answer;
}

static void asks_for_the_window_with_the_accounts_key(hydro_testkit *kit)
{
	const hydro_http_request *request;
	hydro_testkit_poll(kit)->mode = HYDRO_POLL_HISTORY;
	hydro_testkit_poll(kit)->from_ms = 1000;
	hydro_testkit_poll(kit)->to_ms = 2000;
	CHECK(hydro_testkit_request(kit, &request, &err) == HYDRO_OK);
	CHECK(strcmp(request->url, "http://h/v1/devices/d1/values?from=1000&to=2000") == 0);
	CHECK(strstr(request->url_log, "d1") == NULL);
	CHECK(strcmp(hydro_testkit_header(request, "authorization"), "Bearer k") == 0);
}

static void takes_the_values_of_its_metrics(hydro_testkit *kit)
{
	hydro_testkit_answer answer = parse(kit, 200, "{\"rows\":[{\"ts\":1767225600000,\"values\":{\"q\":12.5,\"h\":null,\"x\":1}}]}");
	CHECK(answer.status == HYDRO_PART_DATA && answer.raw_count == 1);
	CHECK(hydro_testkit_find(kit, &answer, "flow", 0)->value == 12.5);
	CHECK(hydro_testkit_find(kit, &answer, "level", 0) == NULL);
}

static void a_failure_never_becomes_a_value(hydro_testkit *kit)
{
	static const char half[] = "{\"rows\":[{\"ts\":1767225600000,\"values\":{\"q\":1}},{\"ts\":\"x\",\"values\":{\"q\":2}}]}";
	hydro_testkit_answer answer = parse(kit, 500, "{\"rows\":[{\"ts\":1767225600000,\"values\":{\"q\":1}}]}");
	CHECK(answer.status == HYDRO_PART_FAILED && answer.raw_count == 0 && strstr(answer.reason, "500"));
	answer = parse(kit, 200, half);
	CHECK(answer.status == HYDRO_PART_FAILED && answer.raw_count == 0);
	answer = parse(kit, 200, "{\"rows\":[");
	CHECK(answer.status == HYDRO_PART_FAILED && answer.raw_count == 0);
	answer = parse(kit, 200, "{\"rows\":[]}");
	CHECK(answer.status == HYDRO_PART_NO_DATA);
}

int main(int argc, char **argv)
{
	hydro_testkit *kit = NULL;
	CHECK(argc == 2);
	CHECK(hydro_testkit_open_file(argv[1], &kit, &err) == HYDRO_OK);
	CHECK(hydro_testkit_create(kit, "{\"base_url\":\"http://h/v1/\"}", &err) == HYDRO_OK);
	CHECK(hydro_testkit_point(kit, NULL, POINT, &err) == HYDRO_E_CONFIG && strstr(err.text, "api_key"));
	CHECK(hydro_testkit_point(kit, ACCOUNT, POINT, &err) == HYDRO_OK);
	asks_for_the_window_with_the_accounts_key(kit);
	takes_the_values_of_its_metrics(kit);
	a_failure_never_becomes_a_value(kit);
	hydro_testkit_close(&kit);
	puts("example: all as it should be");
	return 0;
}
