/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <pthread.h>

static const struct hd_point *live(struct api_world *w, const char *path)
{
	struct hd_uuid id;
	cr_assert(hd_uuid_parse(strrchr(path, '/') + 1, &id));
	return hd_points_get(w->points, hd_points_find(w->points, &id));
}

Test(points, are_made_read_changed_live_and_deleted_with_secrets_hidden)
{
	struct api_world w;
	char path[96], config[112];
	api_world_begin(&w);
	api_make_point(&w, "pozo", path);
	(void)snprintf(config, sizeof config, "%s/config", path);
	api_expect(&w, "GET", path, w.analyst, NULL, 200, "\"options\":{\"secret\":\"***\",\"keys\":{\"flow\":\"5001\"}}");
	const struct hd_point *point = live(&w, path);
	cr_assert_str_eq(hd_point_options(point), "{\"secret\":\"tok\",\"keys\":{\"flow\":\"5001\"}}");
	hd_point_unref(point);
	/* A merge patch: "***" keeps, null removes, the rest stays. */
	api_expect(&w, "PATCH", path, w.admin, "{\"period_s\":60,\"options\":{\"secret\":\"***\",\"keys\":{\"level\":\"5002\",\"flow\":null}},\"params\":{\"offset\":2}}", 200,
		   "\"version\":2");
	point = live(&w, path);
	cr_assert_str_eq(hd_point_options(point), "{\"secret\":\"tok\",\"keys\":{\"level\":\"5002\"}}");
	cr_assert_str_eq(hd_point_params(point), "{\"offset\":2}");
	cr_assert_eq(point->period_s, 60);
	hd_point_unref(point);
	/* The whole configuration: what is left out takes its default, name and provider stay. */
	api_expect(&w, "PUT", config, w.admin, "{\"start\":\"2026-01-01T00:00:00Z\",\"options\":{\"secret\":\"***\"}}", 200, "\"name\":\"pozo\"");
	point = live(&w, path);
	cr_assert(point->period_s == 900 && point->start_ms == FAKE_START_MS && point->version == 3);
	cr_assert_str_eq(hd_point_options(point), "{\"secret\":\"tok\"}");
	cr_assert_str_eq(hd_point_params(point), "{}");
	cr_assert_str_eq(hd_point_pipeline(point), "");
	hd_point_unref(point);
	struct fetch answer = fetch(w.port, "DELETE", path, w.admin, NULL);
	cr_assert_eq(answer.status, 204);
	fetch_done(&answer);
	api_expect(&w, "GET", path, w.admin, NULL, 404, "no such point");
	point = live(&w, path);
	cr_assert(point->bits == HD_POINT_DELETED && strcmp(hd_point_options(point), "{}") == 0);
	hd_point_unref(point);
	api_world_end(&w);
}

Test(points, a_bad_body_is_refused_with_every_field_named_and_nothing_changes)
{
	static const struct {
		const char *body;
		long status;
		const char *contains;
	} cases[] = {
		{"{", 400, "no JSON"},
		{"[]", 400, "object"},
		{"{} x", 400, "goes on"},
		{"{\"name\":\"a\\u00", 400, "no JSON"},
		{"{\"name\":\"\xff\"}", 400, "UTF-8"},
		{"{}", 400, "{\"field\":\"provider\",\"detail\":\"is missing\"}"},
		{"{\"name\":\"a\",\"provider\":\"twin\",\"colour\":1}", 400, "{\"field\":\"colour\""},
		{"{\"name\":\"a\",\"name\":\"b\",\"provider\":\"twin\"}", 400, "given twice"},
		{"{\"name\":\"\",\"provider\":\"twin\",\"period_s\":0,\"active\":1,\"start\":\"now\",\"account\":\"x\"}", 400, "{\"field\":\"account\""},
		{"{\"name\":\"a\",\"provider\":\"twin\",\"period_s\":1.5}", 400, "period_s"},
		{"{\"name\":\"a\",\"provider\":\"nobody\"}", 404, "no provider nobody"},
		{"{\"name\":\"a\",\"provider\":\"twin\",\"pipeline\":\"none\"}", 404, "pipeline"},
		{"{\"name\":\"a\",\"provider\":\"twin\",\"options\":{\"bad\":1}}", 422, "option 'bad'"},
		{"{\"name\":\"a\",\"provider\":\"twin\",\"options\":{\"secret\":\"***\"}}", 400, "there is none yet"},
		{"{\"name\":\"a\",\"provider\":\"twin\",\"zone\":\"Mars/Olympus\"}", 400, "zone"},
		{"{\"name\":\"a\",\"provider\":\"twin\",\"account\":\"00000000-0000-4000-8000-000000000001\"}", 400, "account"},
	};
	struct api_world w;
	char path[96];
	api_world_begin(&w);
	api_make_point(&w, "pozo", path);
	for (size_t i = 0; i < HD_ARRAY_LEN(cases); i++)
		api_expect(&w, "POST", "/api/v1/points", w.admin, cases[i].body, cases[i].status, cases[i].contains);
	api_expect(&w, "PATCH", path, w.admin, "{\"pipeline\":\"none\"}", 404, "pipeline");
	api_expect(&w, "PATCH", path, w.admin, "{\"name\":null}", 400, "name");
	api_expect(&w, "GET", "/api/v1/points/", w.admin, NULL, 200, "\"total\":1");
	api_expect(&w, "GET", path, w.admin, NULL, 200, "\"version\":1");
	api_world_end(&w);
}

Test(points, a_stale_version_is_refused_and_a_key_makes_one_point)
{
	struct api_world w;
	char path[96], headers[256];
	api_world_begin(&w);
	api_make_point(&w, "pozo", path);
	struct fetch answer = fetch(w.port, "GET", path, w.admin, NULL);
	cr_assert_str_eq(fetch_header(&answer, "ETag"), "\"1\"");
	fetch_done(&answer);
	(void)snprintf(headers, sizeof headers, "%s\nIf-Match: \"1\"", w.admin);
	api_expect(&w, "PATCH", path, headers, "{\"name\":\"a\"}", 200, "\"version\":2");
	api_expect(&w, "PATCH", path, headers, "{\"name\":\"b\"}", 412, "version 2");
	api_expect(&w, "DELETE", path, headers, NULL, 412, "version 2");
	(void)snprintf(headers, sizeof headers, "%s\nIdempotency-Key: abc", w.admin);
	const char *body = "{\"name\":\"once\",\"provider\":\"twin\"}";
	cJSON *first = api_json(&w, "POST", "/api/v1/points/", headers, body, 201), *second = api_json(&w, "POST", "/api/v1/points/", headers, body, 201);
	cr_assert(cJSON_Compare(first, second, true));
	cJSON_Delete(first);
	cJSON_Delete(second);
	api_expect(&w, "POST", "/api/v1/points/", headers, "{\"name\":\"other\",\"provider\":\"twin\"}", 409, "another request");
	api_expect(&w, "GET", "/api/v1/points/?limit=1", w.admin, NULL, 200, "\"total\":2");
	/* The same key of somebody else is another key. */
	api_expect(&w, "GET", "/api/v1/points/?name=once", w.analyst, NULL, 200, "\"total\":1");
	api_world_end(&w);
}

Test(points, lists_are_paged_and_filtered)
{
	struct api_world w;
	char path[96], name[16], target[160] = "/api/v1/points/?limit=2&total=false";
	api_world_begin(&w);
	for (int i = 0; i < 5; i++) {
		(void)snprintf(name, sizeof name, "pozo %d", i);
		api_make_point(&w, name, path);
	}
	unsigned rows = 0, pages = 0;
	for (bool more = true; more; pages++) {
		cJSON *page = api_json(&w, "GET", target, w.analyst, NULL, 200), *next = cJSON_GetObjectItem(page, "next");
		rows += (unsigned)cJSON_GetArraySize(cJSON_GetObjectItem(page, "items"));
		cr_assert_null(cJSON_GetObjectItem(page, "total"));
		more = cJSON_IsString(next);
		if (more)
			(void)snprintf(target, sizeof target, "/api/v1/points/?limit=2&total=false&cursor=%s", next->valuestring);
		cJSON_Delete(page);
	}
	cr_assert(rows == 5 && pages == 3);
	api_expect(&w, "GET", "/api/v1/points?cursor=zz", w.analyst, NULL, 400, "cursor");
	api_expect(&w, "GET", "/api/v1/points?limit=1001", w.analyst, NULL, 400, "limit");
	api_expect(&w, "GET", "/api/v1/points?provider=novus", w.analyst, NULL, 200, "{\"items\":[],\"next\":null,\"total\":0}");
	api_expect(&w, "GET", "/api/v1/points?name=pozo+4", w.analyst, NULL, 200, "\"total\":1");
	api_world_end(&w);
}

Test(points, come_from_csv_with_errors_by_line)
{
	struct api_world w;
	char headers[256];
	api_world_begin(&w);
	(void)snprintf(headers, sizeof headers, "%s\nContent-Type: text/csv", w.admin);
	api_expect(&w, "POST", "/api/v1/points/import", headers, "name,provider,option.secret\na,twin,t1\nb,nobody,t2\n", 422,
		   "{\"applied\":false,\"lines\":2,\"created\":0,\"updated\":0,\"failed\":1,\"errors\":[{\"line\":3,\"column\":\"options\"");
	api_expect(&w, "POST", "/api/v1/points/import?skip_bad=true", headers, "name,provider,option.secret\na,twin,t1\nb,nobody,t2\n", 200, "\"created\":1");
	api_expect(&w, "POST", "/api/v1/points/import", headers, "colour\nred\n", 400, "colour");
	api_expect(&w, "POST", "/api/v1/points/import", w.admin, "{}", 415, "text/csv");
	api_expect(&w, "POST", "/api/v1/accounts/import", headers, "provider,name,option.secret\ntwin,main,pw\n", 200, "\"created\":1");
	cr_assert_eq(hd_points_count(w.points), 1);
	api_world_end(&w);
}

Test(points, take_readings_by_hand_and_are_collected_now)
{
	struct api_world w;
	char path[96], readings[112], collect[112];
	api_world_begin(&w);
	api_make_point(&w, "pozo", path);
	(void)snprintf(readings, sizeof readings, "%s/readings", path);
	(void)snprintf(collect, sizeof collect, "%s/collect", path);
	api_expect(&w, "POST", readings, w.admin, "{\"readings\":[{\"ts\":\"2026-01-01T00:00:00Z\",\"values\":{\"flow\":1.5,\"caudal_medio\":2}}]}", 200,
		   "{\"accepted\":2,\"dropped\":1}");
	cr_assert_eq(w.fed, 2);
	api_expect(&w, "POST", readings, w.admin, "{\"readings\":[]}", 400, "readings");
	api_expect(&w, "POST", readings, w.admin, "{\"readings\":[{\"ts\":\"1980-01-01T00:00:00Z\",\"values\":{\"flow\":1}}]}", 400, "readings[0].ts");
	api_expect(&w, "POST", readings, w.admin, "{\"readings\":[{\"ts\":\"2026-01-01T00:00:00Z\",\"values\":{\"Flow!\":1}}]}", 400, "readings[0]");
	api_expect(&w, "POST", readings, w.admin, "{\"readings\":[{\"ts\":\"2026-01-01T00:00:00Z\",\"values\":{\"flow\":\"1\"}}]}", 400, "number");
	cr_assert_eq(w.fed, 2);
	/* No collector in this daemon. */
	api_expect(&w, "POST", collect, w.admin, NULL, 501, "without that part");
	api_expect(&w, "POST", "/collect/twin", w.admin, NULL, 202, "{\"points\":7}");
	api_expect(&w, "POST", "/collect/ghost", w.admin, NULL, 404, "ghost");
	api_world_end(&w);
}

Test(accounts, hide_their_secrets_and_tell_the_collector_of_changes)
{
	struct api_world w;
	char path[96];
	api_world_begin(&w);
	cJSON *made = api_json(&w, "POST", "/api/v1/accounts/", w.admin, "{\"provider\":\"twin\",\"name\":\"main\",\"options\":{\"secret\":\"pw\",\"user\":\"ana\"}}", 201);
	char *printed = cJSON_PrintUnformatted(made);
	cr_assert_null(strstr(printed, "pw"));
	free(printed);
	const char *id = cJSON_GetObjectItem(made, "id")->valuestring;
	(void)snprintf(path, sizeof path, "/api/v1/accounts/%s", id);
	char body[160], point[96];
	(void)snprintf(body, sizeof body, "{\"name\":\"p\",\"provider\":\"twin\",\"account\":\"%s\"}", id);
	cJSON *json = api_json(&w, "POST", "/api/v1/points", w.admin, body, 201);
	cr_assert_str_eq(cJSON_GetObjectItem(json, "account")->valuestring, id);
	(void)snprintf(point, sizeof point, "/api/v1/points/%s", cJSON_GetObjectItem(json, "id")->valuestring);
	cJSON_Delete(json);
	cJSON_Delete(made);
	api_expect(&w, "POST", "/api/v1/accounts/", w.admin, "{\"provider\":\"twin\",\"name\":\"main\"}", 409, "already");
	api_expect(&w, "PATCH", path, w.admin, "{\"options\":{\"secret\":\"***\",\"user\":\"eva\"}}", 200, "\"options\":{\"secret\":\"***\",\"user\":\"eva\"}");
	cr_assert_eq(w.accounts_changed, 1);
	api_expect(&w, "GET", "/api/v1/accounts/?provider=twin", w.admin, NULL, 200, "\"points\":1");
	api_expect(&w, "GET", path, w.analyst, NULL, 403, "analyst");
	api_expect(&w, "DELETE", path, w.admin, NULL, 409, "1 points use");
	api_expect(&w, "PATCH", point, w.admin, "{\"account\":null}", 200, "\"account\":null");
	api_expect(&w, "DELETE", path, w.admin, NULL, 204, "");
	api_expect(&w, "GET", path, w.admin, NULL, 404, "no such account");
	api_world_end(&w);
}

struct creator {
	struct api_world *w;
	char headers[256];
	long statuses[2];
};

static void *create_twice(void *arg)
{
	struct creator *creator = arg;
	for (int i = 0; i < 2; i++) {
		struct fetch answer = fetch(creator->w->port, "POST", "/api/v1/points", creator->headers, "{\"name\":\"same\",\"provider\":\"twin\"}");
		creator->statuses[i] = answer.status;
		fetch_done(&answer);
	}
	return NULL;
}

Test(points, many_clients_with_one_key_make_one_point)
{
	struct api_world w;
	pthread_t threads[8];
	struct creator creators[8];
	api_world_begin(&w);
	for (int i = 0; i < 8; i++) {
		creators[i].w = &w;
		(void)snprintf(creators[i].headers, sizeof creators[i].headers, "%s\nIdempotency-Key: shared", w.admin);
		(void)pthread_create(&threads[i], NULL, create_twice, &creators[i]);
	}
	for (int i = 0; i < 8; i++) {
		(void)pthread_join(threads[i], NULL);
		for (int k = 0; k < 2; k++)
			cr_assert(creators[i].statuses[k] == 201 || creators[i].statuses[k] == 409, "%ld", creators[i].statuses[k]);
	}
	cr_assert_eq(hd_points_count(w.points), 1);
	api_world_end(&w);
}
