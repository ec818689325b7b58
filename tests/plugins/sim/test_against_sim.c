/* SPDX-License-Identifier: MIT */
/* Six hours of history of one point of each provider, page by page: every reading that the simulator knows, and nothing else. */
#include "check.h"

#include "sim_process.h"

#include <cjson/cJSON.h>
#include <hydro/testkit.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METRICS 3
#define VALUES_MAX 20000
#define WINDOW_MS INT64_C(21600000)
#define SETTLED_MS INT64_C(1800000) /* the window ends this long ago, so that nothing is still to come */

static const char *const metrics[METRICS] = {"flow", "level", "pulses"};

struct value {
	int64_t ts_ms;
	unsigned metric;
	double value;
};

struct values {
	struct value at[VALUES_MAX];
	size_t count;
};

static int compare(const void *a, const void *b)
{
	const struct value *x = a, *y = b;
	if (x->ts_ms != y->ts_ms)
		return x->ts_ms < y->ts_ms ? -1 : 1;
	return x->metric < y->metric ? -1 : x->metric > y->metric;
}

static void add(struct values *values, int64_t ts_ms, unsigned metric, double value)
{
	cr_assert_lt(values->count, VALUES_MAX);
	values->at[values->count++] = (struct value){ts_ms, metric, value};
}

/* In order, each (ts, metric) once. */
static void settle(struct values *values)
{
	size_t n = 0;
	qsort(values->at, values->count, sizeof values->at[0], compare);
	for (size_t i = 0; i < values->count; i++)
		if (n == 0 || compare(&values->at[n - 1], &values->at[i]) != 0)
			values->at[n++] = values->at[i];
	values->count = n;
}

static cJSON *control(const struct sim_process *sim, const char *path, const char *body)
{
	struct sim_reply reply;
	cr_assert_eq(sim_process_control(sim, path, body, &reply), 0);
	cr_assert(reply.status == 200 || reply.status == 201, "%s: %u %s", path, reply.status, reply.body);
	cJSON *json = cJSON_Parse(reply.body);
	cr_assert_not_null(json, "%s", reply.body);
	free(reply.body);
	return json;
}

static const char *text_of(const cJSON *json, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
	cr_assert_not_null(text, "%s", name);
	return text;
}

static double number_of(const cJSON *json, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
	cr_assert(cJSON_IsNumber(item), "%s", name);
	return item->valuedouble;
}

/* The first point of a provider; its JSON is to be deleted by `ret_all`. */
static const cJSON *point_of(const struct sim_process *sim, const char *provider, cJSON **ret_all)
{
	const cJSON *point;
	*ret_all = control(sim, "/points", NULL);
	cJSON_ArrayForEach(point, cJSON_GetObjectItemCaseSensitive(*ret_all, "points"))
		if (strcmp(text_of(point, "provider"), provider) == 0)
			return point;
	cr_assert_fail("no point of the provider");
	return NULL;
}

/* What the simulator shows of a point between two times, at the timestamps that it gives each variable. */
static void read_truth(const struct sim_process *sim, const cJSON *point, int64_t from, int64_t to, struct values *ret)
{
	char path[128];
	const cJSON *reading, *skews = cJSON_GetObjectItemCaseSensitive(point, "skew_ms");
	(void)snprintf(path, sizeof path, "/truth/%d?from=%lld&to=%lld", (int)number_of(point, "point"), (long long)from - 60000, (long long)to + 60000);
	cJSON *truth = control(sim, path, NULL);
	cJSON_ArrayForEach(reading, cJSON_GetObjectItemCaseSensitive(truth, "readings")) {
		const cJSON *served = cJSON_GetObjectItemCaseSensitive(reading, "served");
		if (cJSON_GetObjectItemCaseSensitive(reading, "lost"))
			continue;
		for (unsigned m = 0; m < METRICS; m++) {
			int64_t ts = (int64_t)number_of(reading, "ts") + (int64_t)cJSON_GetArrayItem(skews, (int)m)->valuedouble;
			if (ts >= from && ts <= to)
				add(ret, ts, m, number_of(served ? served : cJSON_GetObjectItemCaseSensitive(reading, "true"), metrics[m]));
		}
	}
	cJSON_Delete(truth);
	settle(ret);
}

static hydro_testkit *open_plugin(const struct sim_process *sim, const char *provider, const cJSON *point)
{
	struct hydro_error err = {.struct_size = sizeof err};
	hydro_testkit *kit = NULL;
	char file[512], instance[1024], account[256] = "{}", options[1024];
	const cJSON *at;
	cJSON *accounts = control(sim, "/accounts", NULL);
	cr_assert(cJSON_PrintPreallocated(cJSON_GetObjectItem(point, "options"), options, sizeof options, false));
	cJSON_ArrayForEach(at, accounts)
		if (strcmp(text_of(at, "provider"), provider) == 0) {
			cr_assert(cJSON_PrintPreallocated(cJSON_GetObjectItem(at, "options"), instance, sizeof instance, false));
			if (strcmp(provider, "twin") == 0)
				(void)snprintf(account, sizeof account, "{\"username\":\"%s\",\"password\":\"%s\"}", text_of(at, "username"), text_of(at, "password"));
		}
	(void)snprintf(file, sizeof file, "%s/plugins/%s.so", HD_BINARY_DIR, provider);
	cr_assert_eq(hydro_testkit_open_file(file, &kit, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(hydro_testkit_create(kit, instance, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(hydro_testkit_point(kit, account, options, &err), HYDRO_OK, "%s", err.text);
	cJSON_Delete(accounts);
	return kit;
}

static hydro_testkit_answer exchange(hydro_testkit *kit)
{
	struct hydro_error err = {.struct_size = sizeof err};
	const hydro_http_request *request;
	hydro_testkit_answer answer;
	struct sim_reply reply;
	cr_assert_eq(hydro_testkit_request(kit, &request, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(sim_process_send(request, &reply), 0);
	hydro_testkit_parse(kit, reply.status, reply.body, reply.len, &answer);
	free(reply.body);
	return answer;
}

static char token[HYDRO_TOKEN_BYTES];

static void login(hydro_testkit *kit)
{
	struct hydro_error err = {.struct_size = sizeof err};
	const hydro_http_request *request;
	const hydro_token *got;
	struct sim_reply reply;
	cr_assert_eq(hydro_testkit_login_request(kit, &request, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(sim_process_send(request, &reply), 0);
	cr_assert_eq(hydro_testkit_login_parse(kit, reply.status, reply.body, reply.len, &got, &err), HYDRO_OK, "%s", err.text);
	(void)snprintf(token, sizeof token, "%s", got->token);
	free(reply.body);
}

static unsigned metric_index(hydro_testkit *kit, uint32_t metric)
{
	for (unsigned m = 0; m < METRICS; m++)
		if (hydro_testkit_metric(kit, metrics[m]) == metric)
			return m;
	cr_assert_fail("a metric that was not asked for");
	return METRICS;
}

/* All parts, all pages; the number of requests. */
static unsigned walk(hydro_testkit *kit, int64_t from, int64_t to, uint32_t limit, struct values *ret)
{
	unsigned requests = 0;
	hydro_poll *poll = hydro_testkit_poll(kit);
	poll->mode = HYDRO_POLL_HISTORY;
	poll->from_ms = from;
	poll->to_ms = to;
	poll->limit = limit;
	for (poll->part = 0; poll->part < hydro_testkit_parts(kit); poll->part++) {
		hydro_testkit_answer answer;
		do {
			answer = exchange(kit);
			cr_assert_lt(++requests, 500);
			if (answer.status == HYDRO_PART_UNAUTHORIZED) {
				login(kit);
				hydro_testkit_poll(kit)->token = token;
				answer = exchange(kit);
			}
			cr_assert(answer.status == HYDRO_PART_DATA || answer.status == HYDRO_PART_MORE || answer.status == HYDRO_PART_NO_DATA, "%u: %s", answer.status,
				  answer.reason);
			cr_assert_eq(answer.refused, 0);
			for (uint32_t i = 0; i < answer.raw_count; i++)
				add(ret, answer.raws[i].ts_ms, metric_index(kit, answer.raws[i].metric), answer.raws[i].value);
		} while (answer.status == HYDRO_PART_MORE);
	}
	settle(ret);
	return requests;
}

static void check_same(const struct values *is, const struct values *expected, const char *provider)
{
	cr_assert_gt(expected->count, 900, "%s: %zu values are no test", provider, expected->count);
	cr_assert_eq(is->count, expected->count, "%s: %zu values, not %zu", provider, is->count, expected->count);
	for (size_t i = 0; i < is->count; i++)
		cr_assert(compare(&is->at[i], &expected->at[i]) == 0 && !(is->at[i].value < expected->at[i].value) && !(is->at[i].value > expected->at[i].value),
			  "%s: %s %.17g at %lld, not %s %.17g at %lld", provider, metrics[is->at[i].metric], is->at[i].value, (long long)is->at[i].ts_ms,
			  metrics[expected->at[i].metric], expected->at[i].value, (long long)expected->at[i].ts_ms);
}

static void run(const char *provider, const char *faults, uint32_t limit)
{
	char *argv[] = {(char[]){SIM_FILE}, (char[]){"--port"}, (char[]){"0"}, (char[]){"--points"}, (char[]){"8"}, (char[]){"--mix"}, (char[]){"1:1:1:1"}, NULL};
	struct sim_process sim;
	struct values *is = calloc(1, sizeof *is), *expected = calloc(1, sizeof *expected);
	cJSON *points;
	cr_assert(is && expected);
	cr_assert_eq(sim_process_start(&sim, argv), 0);
	if (faults)
		cJSON_Delete(control(&sim, "/faults", faults));
	cJSON *status = control(&sim, "/status", NULL);
	int64_t to = (int64_t)number_of(status, "now_ms") - SETTLED_MS, from = to - WINDOW_MS;
	const cJSON *point = point_of(&sim, provider, &points);
	hydro_testkit *kit = open_plugin(&sim, provider, point);
	read_truth(&sim, point, from, to, expected);
	unsigned requests = walk(kit, from, to, limit, is);
	cr_assert_gt(requests, 5);
	check_same(is, expected, provider);
	hydro_testkit_close(&kit);
	cJSON_Delete(points);
	cJSON_Delete(status);
	sim_process_stop(&sim);
	free(is);
	free(expected);
}

#define FAULTS "[{\"kind\":\"duplicate\",\"probability\":0.3},{\"kind\":\"out_of_order\",\"probability\":0.5},{\"kind\":\"negative_status\",\"probability\":0.05}]"

Test(against_sim, twin_has_every_reading_once)
{
	run("twin", NULL, 37);
}

Test(against_sim, twin_with_duplicates_and_disorder)
{
	run("twin", FAULTS, 37);
}

Test(against_sim, nettra_has_every_reading_once)
{
	run("nettra", NULL, 37);
}

Test(against_sim, nettra_with_duplicates_and_disorder)
{
	run("nettra", FAULTS, 37);
}

Test(against_sim, novus_has_every_reading_once)
{
	run("novus", NULL, 37);
}

Test(against_sim, novus_with_duplicates_and_disorder)
{
	run("novus", FAULTS, 37);
}

Test(against_sim, http_json_has_every_reading_once)
{
	run("http_json", NULL, 37);
}

Test(against_sim, http_json_with_duplicates_and_disorder)
{
	run("http_json", FAULTS, 37);
}
