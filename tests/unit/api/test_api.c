/* SPDX-License-Identifier: MIT */
#include "world.h"

#include "api/internal.h"

#include <unistd.h>

Test(api, health_is_open_and_tells_what_is_wrong)
{
	struct api_world w;
	api_world_begin(&w);
	api_expect(&w, "GET", "/health", NULL, NULL, 200, "{\"status\":\"ok\",\"version\":\"0.1.0-test\"");
	api_expect(&w, "GET", "/livez", NULL, NULL, 200, "ok");
	api_expect(&w, "GET", "/readyz", NULL, NULL, 200, "ready");
	w.journal_full = true;
	api_expect(&w, "GET", "/health", NULL, NULL, 503, "{\"status\":\"failing\",\"part\":\"journal\",\"detail\":\"no space left on its disk\"}");
	api_expect(&w, "GET", "/readyz", NULL, NULL, 503, "not open");
	api_expect(&w, "GET", "/", NULL, NULL, 200, "<title>hydrod</title>");
	api_expect(&w, "GET", "/metrics", w.analyst, NULL, 200, "hydro_http_answers_total{class=\"2xx\"}");
	api_world_end(&w);
}

Test(api, every_route_but_health_wants_a_key_of_a_role_that_may)
{
	struct api_world w;
	api_world_begin(&w);
	for (size_t i = 0; i < hd_api_routes_count; i++) {
		const struct hd_http_route *route = &hd_api_routes[i];
		char target[160] = "";
		for (const char *p = route->path; *p; p++) {
			if (*p == '{') {
				strcat(target, "00000000-0000-4000-8000-000000000001");
				p = strchr(p, '}');
			} else {
				strncat(target, p, 1);
			}
		}
		struct fetch nobody = fetch(w.port, hd_http_method_name(route->method), target, NULL, NULL);
		struct fetch client = fetch(w.port, hd_http_method_name(route->method), target, w.client, NULL);
		bool open = strcmp(route->path, "/") == 0 || strcmp(route->tag, "health") == 0;
		cr_assert(route->roles != 0 || open, "%s", route->path);
		cr_assert_eq(nobody.status == 401, route->roles != 0, "%s: %ld", target, nobody.status);
		cr_assert_eq(client.status == 403, route->roles != 0 && !(route->roles & HD_ROLE_BIT(CLIENT)), "%s: %ld", target, client.status);
		if (route->flags & HD_ROUTE_INLINE)
			cr_assert_not(route->flags & HD_ROUTE_IDEMPOTENT);
		fetch_done(&nobody);
		fetch_done(&client);
	}
	api_world_end(&w);
}

Test(api, the_openapi_document_holds_every_route_and_only_schemas_that_are_there)
{
	struct api_world w;
	api_world_begin(&w);
	cJSON *doc = api_json(&w, "GET", "/openapi.json", w.client, NULL, 200);
	cr_assert_str_eq(cJSON_GetObjectItem(doc, "openapi")->valuestring, "3.1.0");
	cJSON *paths = cJSON_GetObjectItem(doc, "paths"), *schemas = cJSON_GetObjectItem(cJSON_GetObjectItem(doc, "components"), "schemas");
	for (size_t i = 0; i < hd_api_routes_count; i++) {
		const struct hd_http_route *route = &hd_api_routes[i];
		char method[8];
		(void)snprintf(method, sizeof method, "%s", hd_http_method_name(route->method));
		for (char *p = method; *p; p++)
			*p = (char)(*p | 0x20);
		cJSON *operation = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(paths, route->path), method);
		cr_assert_not_null(operation, "%s %s", method, route->path);
		cr_assert_str_eq(cJSON_GetObjectItem(operation, "operationId")->valuestring, route->id);
		unsigned declared = 0, shown = 0;
		while (declared < HD_ROUTE_PARAMS_MAX && route->params[declared].name)
			declared++;
		cJSON *param;
		cJSON_ArrayForEach(param, cJSON_GetObjectItem(operation, "parameters"))
			shown += strcmp(cJSON_GetObjectItem(param, "in")->valuestring, "header") != 0;
		cr_assert_eq(shown, declared);
		for (size_t k = 0; k < i; k++)
			cr_assert_str_neq(hd_api_routes[k].id, route->id);
	}
	char *text = cJSON_PrintUnformatted(doc);
	for (const char *p = text; (p = strstr(p, "\"#/components/schemas/")) != NULL;) {
		char name[64];
		p += 22;
		(void)snprintf(name, sizeof name, "%.*s", (int)strcspn(p, "\""), p);
		cr_assert_not_null(cJSON_GetObjectItemCaseSensitive(schemas, name), "schema %s", name);
	}
	free(text);
	cJSON_Delete(doc);
	api_world_end(&w);
}

Test(api, history_pages_meet_in_both_directions_and_filters_hold)
{
	static const char *const orders[] = {"asc", "desc"};
	struct api_world w;
	char path[96], target[320];
	api_world_begin(&w);
	api_make_point(&w, "pozo", path);
	const char *id = strrchr(path, '/') + 1;
	for (int o = 0; o < 4; o++) {
		char cursor[64] = "";
		unsigned rows = 0;
		int64_t last = -1;
		do {
			(void)snprintf(target, sizeof target, "/api/v1/analytics/points/%s/history?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z&limit=7&order=%s&revisions=%s%s%s",
				       id, orders[o % 2], o < 2 ? "false" : "true", cursor[0] ? "&cursor=" : "", cursor);
			cJSON *page = api_json(&w, "GET", target, w.analyst, NULL, 200), *item;
			cJSON_ArrayForEach(item, cJSON_GetObjectItem(page, "items"))
			{
				int hour = cJSON_GetObjectItem(cJSON_GetObjectItem(cJSON_GetObjectItem(item, "values"), "flow"), "value")->valueint;
				int64_t place = hour * 2 + cJSON_GetObjectItem(item, "rev")->valueint;
				cr_assert(last < 0 || (o % 2 ? place < last : place > last));
				last = place;
				rows++;
			}
			cJSON *next = cJSON_GetObjectItem(page, "next");
			(void)snprintf(cursor, sizeof cursor, "%s", cJSON_IsString(next) ? next->valuestring : "");
			cJSON_Delete(page);
		} while (cursor[0]);
		cr_assert_eq(rows, o < 2 ? FAKE_ROWS : FAKE_ROWS + FAKE_ROWS / 5);
	}
	(void)snprintf(target, sizeof target, "/api/v1/analytics/points/%s/history?from=%lld&to=%lld&metrics=flow&raw=true", id, (long long)FAKE_START_MS, (long long)FAKE_START_MS + 1);
	api_expect(&w, "GET", target, w.analyst, NULL, 200,
		   "{\"ts\":\"2026-01-01T00:00:00Z\",\"rev\":0,\"values\":{\"flow\":{\"value\":0,\"unit\":\"l/s\",\"quality\":0.5}},\"score\":0.75,"
		   "\"flags\":[{\"flag\":\"out_of_range\",\"metric\":\"flow\",\"rule\":\"well@1/range:flow\"}],\"notes\":[],\"pipeline\":null,"
		   "\"raw\":{\"pulses\":{\"value\":0,\"status\":false}}}");
	(void)snprintf(target, sizeof target, "/api/v1/analytics/points/%s/history?from=%lld&to=2026-02-01T00:00:00Z&format=csv&limit=2", id, (long long)FAKE_START_MS);
	struct fetch answer = fetch(w.port, "GET", target, w.analyst, NULL);
	cr_assert_str_eq(fetch_header(&answer, "Content-Type"), "text/csv; charset=utf-8");
	cr_assert_str_eq(fetch_header(&answer, "X-Next-Cursor"), "1767229200000.0");
	cr_assert_str_eq(answer.body.data, "ts,rev,kind,metric,value,unit,quality,flags\r\n2026-01-01T00:00:00Z,0,value,flow,0,l/s,0.5,out_of_range\r\n"
					   "2026-01-01T00:00:00Z,0,value,total,100,m3,1,\r\n2026-01-01T01:00:00Z,0,value,flow,1,l/s,1,\r\n"
					   "2026-01-01T01:00:00Z,0,value,total,101,m3,1,\r\n");
	fetch_done(&answer);
	(void)snprintf(target, sizeof target, "/api/v1/analytics/points/%s/history?metrics=flow,colour", id);
	api_expect(&w, "GET", target, w.analyst, NULL, 400, "colour");
	(void)snprintf(target, sizeof target, "/api/v1/analytics/points/%s/history?cursor=1.x", id);
	api_expect(&w, "GET", target, w.analyst, NULL, 400, "cursor");
	(void)snprintf(target, sizeof target, "/api/v1/analytics/points/%s/history?from=2026-01-02&to=2026-01-01", id);
	api_expect(&w, "GET", target, w.analyst, NULL, 400, "from");
	api_expect(&w, "GET", "/api/v1/analytics/points/00000000-0000-4000-8000-000000000001/history", w.analyst, NULL, 404, "no such point");
	api_world_end(&w);
}

Test(api, aggregates_are_by_the_points_zone_unless_asked)
{
	struct api_world w;
	char path[96], target[256];
	api_world_begin(&w);
	api_make_point(&w, "pozo", path);
	const char *id = strrchr(path, '/') + 1;
	(void)snprintf(target, sizeof target, "/api/v1/analytics/points/%s/aggregates?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z", id);
	api_expect(&w, "GET", target, w.analyst, NULL, 200, "\"period\":\"day\",\"zone\":\"America/Santiago\",\"items\":[{\"start\":\"2026-01-01T00:00:00Z\",\"metric\":\"flow\",\"unit\":\"l/s\","
							      "\"count\":4,\"suspect\":1,\"min\":1,\"max\":3,\"mean\":2,\"first\":1,\"last\":2,\"volume\":null}");
	(void)snprintf(target, sizeof target, "/api/v1/analytics/points/%s/aggregates?metrics=total&format=csv&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z", id);
	api_expect(&w, "GET", target, w.analyst, NULL, 200, "\r\n2026-01-01T00:00:00Z,total,m3,4,1,1,3,2,1,2,12.5\r\n");
	(void)snprintf(target, sizeof target, "/api/v1/analytics/points/%s/aggregates?zone=Mars/Olympus", id);
	api_expect(&w, "GET", target, w.analyst, NULL, 400, "zone");
	api_world_end(&w);
}

Test(api, realtime_gives_the_newest_value_once_or_as_a_stream)
{
	struct api_world w;
	char path[96], target[160], request[512];
	struct hd_buf got = {0};
	struct hd_batch *batch;
	api_world_begin(&w);
	api_make_point(&w, "other", path);
	api_make_point(&w, "pozo", path);
	const char *id = strrchr(path, '/') + 1;
	(void)snprintf(target, sizeof target, "/api/v1/analytics/points/%s/realtime", id);
	api_expect(&w, "GET", target, w.analyst, NULL, 404, "no measurement yet");
	w.has_latest = true;
	api_expect(&w, "GET", target, w.analyst, NULL, 200,
		   "{\"ts\":\"2026-01-01T00:00:00Z\",\"rev\":0,\"values\":{\"flow\":{\"value\":4.25,\"unit\":\"l/s\",\"quality\":0.5}},\"score\":0.5,"
		   "\"flags\":[{\"flag\":\"frozen\",\"metric\":\"flow\"}]}");
	(void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\nAccept: text/event-stream\r\n\r\n", target, w.analyst);
	int fd = fetch_raw(w.port, request, strlen(request));
	cr_assert(fetch_until(fd, "id: 1767225600000.0\ndata: {\"ts\"", &got), "%s", hd_buf_text(&got));
	cr_assert_eq(hd_batch_new(8, HD_BATCH_SAMPLE_BYTES_MAX * 8, &batch), HYDRO_OK);
	struct hd_value value = {9.5, HD_METRIC_FLOW, 1.0f};
	for (uint32_t i = 0; i < 3; i++) {
		struct hd_sample sample = {.ts_ms = FAKE_START_MS + 1000 + i, .point = i, .value_count = 1, .values = &value};
		cr_assert_not_null(hd_batch_add(batch, &sample));
	}
	hd_api_on_batch(w.api, batch);
	cr_assert(fetch_until(fd, "id: 1767225601001.0\ndata: {\"ts\":\"2026-01-01T00:00:01.001Z\"", &got), "%s", hd_buf_text(&got));
	cr_assert_null(strstr(got.data, "1767225601000"), "another point's sample");
	hd_batch_free(&batch);
	(void)close(fd);
	hd_buf_done(&got);
	api_world_end(&w);
}

Test(api, keys_are_made_once_shown_and_revoked)
{
	struct api_world w;
	char header[160], target[64];
	api_world_begin(&w);
	cJSON *key = api_json(&w, "POST", "/api/v1/api-keys/", w.admin, "{\"name\":\"scada\",\"role\":\"service\"}", 201);
	(void)snprintf(header, sizeof header, "X-API-Key: %s", cJSON_GetObjectItem(key, "key")->valuestring);
	(void)snprintf(target, sizeof target, "/api/v1/api-keys/%d", cJSON_GetObjectItem(key, "id")->valueint);
	cJSON_Delete(key);
	api_expect(&w, "GET", "/api/v1/points/", header, NULL, 200, "items");
	api_expect(&w, "POST", "/api/v1/points/", header, "{\"name\":\"x\",\"provider\":\"twin\"}", 403, "service");
	api_expect(&w, "GET", "/api/v1/api-keys/", header, NULL, 403, "service");
	api_expect(&w, "POST", "/api/v1/api-keys/", w.admin, "{\"name\":\"x\",\"role\":\"root\"}", 400, "role");
	struct fetch list = fetch(w.port, "GET", "/api/v1/api-keys/", w.admin, NULL);
	cr_assert_not_null(strstr(list.body.data, "\"scada\""));
	cr_assert_null(strstr(list.body.data, header + 11));
	fetch_done(&list);
	api_expect(&w, "DELETE", target, w.admin, NULL, 204, "");
	api_expect(&w, "GET", "/api/v1/points/", header, NULL, 401, "not valid");
	api_world_end(&w);
}

Test(api, pipelines_answer_with_their_own_errors)
{
	struct api_world w;
	api_world_begin(&w);
	api_expect(&w, "GET", "/admin/v1/pipelines/", w.analyst, NULL, 200, "{\"items\":[]}");
	api_expect(&w, "POST", "/admin/v1/pipelines/well/check", w.admin, NULL, 200, "\"candidate\":false");
	api_expect(&w, "POST", "/admin/v1/pipelines/well/check", w.admin, "{\"source\":\"return 1\"}", 200, "\"candidate\":true");
	api_expect(&w, "POST", "/admin/v1/pipelines/well/check", w.admin, "{\"source\":\"oops\"}", 422, "well.lua:1: oops");
	api_expect(&w, "GET", "/status/twin", w.analyst, NULL, 200, "reachable");
	api_expect(&w, "GET", "/status/ghost", w.analyst, NULL, 404, "ghost");
	api_expect(&w, "GET", "/providers", w.analyst, NULL, 200, "{\"items\":[{\"name\":\"twin\"}]}");
	api_world_end(&w);
}

static void put(struct api_world *w, const char *target, const char *headers, const char *text, long status, const char *contains)
{
	char all[512];
	(void)snprintf(all, sizeof all, "%s\nContent-Type: text/plain; charset=utf-8%s", w->admin, headers);
	api_expect(w, "PUT", target, all, text, status, contains);
}

Test(api, a_pipeline_is_read_written_reloaded_and_rolled_back)
{
	struct api_world w;
	api_world_begin(&w);
	struct fetch answer = fetch(w.port, "GET", "/admin/v1/pipelines/well", w.analyst, NULL);
	cr_assert_eq(answer.status, 200);
	cr_assert_not_null(strstr(hd_buf_text(&answer.headers), "\"0011223344556600\""), "%s", hd_buf_text(&answer.headers));
	fetch_done(&answer);
	api_expect(&w, "GET", "/admin/v1/pipelines/ghost", w.analyst, NULL, 404, "ghost");
	api_expect(&w, "GET", "/admin/v1/pipelines/well/versions/7", w.analyst, NULL, 200, "\"version\":7");
	put(&w, "/admin/v1/pipelines/well", "", "return 1", 200, "{\"bytes\":8,\"author\":\"admin\",\"reason\":\"\",\"share\":0}");
	put(&w, "/admin/v1/pipelines/well?author=ana&reason=new%20meter&share=10", "\nIf-Match: \"0011223344556600\"", "return 1", 200,
	    "\"author\":\"ana\",\"reason\":\"new meter\",\"share\":10");
	put(&w, "/admin/v1/pipelines/well", "\nIf-Match: \"ff\"", "return 1", 412, "not at ff");
	put(&w, "/admin/v1/pipelines/well", "\nIf-Match: W/\"ff\"", "return 1", 400, "If-Match");
	put(&w, "/admin/v1/pipelines/well?share=101", "", "return 1", 400, "share");
	put(&w, "/admin/v1/pipelines/well", "", "oops", 422, "{\"field\":\"well.lua:3:9\",\"detail\":\"no step `rnge` (range)\"}");
	api_expect(&w, "PUT", "/admin/v1/pipelines/well", w.admin, "{}", 415, "text/plain");
	api_expect(&w, "PUT", "/admin/v1/pipelines/well", w.analyst, "{}", 403, "analyst");
	api_expect(&w, "POST", "/admin/v1/pipelines/reload", w.admin, NULL, 200, "\"pipeline\":\"all\"");
	api_expect(&w, "POST", "/admin/v1/pipelines/well/reload?share=5&force=true", w.admin, NULL, 200, "{\"pipeline\":\"well\",\"share\":5,\"force\":1}");
	api_expect(&w, "POST", "/admin/v1/pipelines/well/rollback?version=3&reason=worse", w.admin, NULL, 200, "{\"version\":3,\"reason\":\"worse\"}");
	api_world_end(&w);
}

Test(api, a_window_is_run_again_of_one_point_or_begun_for_all)
{
	struct api_world w;
	char path[96], body[256];
	api_world_begin(&w);
	api_make_point(&w, "Well 1", path);
	const char *id = strrchr(path, '/') + 1;
	(void)snprintf(body, sizeof body, "{\"point\":\"%s\",\"from\":\"2026-01-01T00:00:00Z\",\"to\":\"2026-01-01T01:00:00Z\"}", id);
	api_expect(&w, "POST", "/admin/v1/pipelines/well/reprocess", w.admin, body, 200, "\"minutes\":60");
	(void)snprintf(body, sizeof body, "{\"point\":\"%s\",\"from\":\"2026-01-01T00:00:00Z\",\"to\":\"2026-01-01T00:00:00Z\"}", id);
	api_expect(&w, "POST", "/admin/v1/pipelines/well/reprocess", w.admin, body, 400, "window");
	api_expect(&w, "POST", "/admin/v1/pipelines/well/reprocess", w.admin, "{\"from\":\"2026-01-01T00:00:00Z\",\"to\":\"2026-01-01T00:00:00Z\"}", 400, "window");
	api_expect(&w, "POST", "/admin/v1/pipelines/well/reprocess", w.admin, "{\"from\":\"2026-01-01T00:00:00Z\"}", 400, "to");
	api_expect(&w, "POST", "/admin/v1/pipelines/well/reprocess", w.admin, "{\"from\":\"2026-01-01T00:00:00Z\",\"to\":\"2026-01-01T02:00:00Z\"}", 202,
		   "\"state\":\"running\",\"minutes\":120");
	api_expect(&w, "GET", "/admin/v1/pipelines/well/reprocess", w.admin, NULL, 200, "cancelled");
	api_expect(&w, "GET", "/admin/v1/pipelines/other/reprocess", w.admin, NULL, 404, "not that one");
	api_expect(&w, "DELETE", "/admin/v1/pipelines/well/reprocess", w.admin, NULL, 202, "cancelled");
	api_world_end(&w);
}

Test(api, lua_over_recent_readings_needs_a_point_and_code)
{
	struct api_world w;
	char path[96], body[256];
	api_world_begin(&w);
	api_make_point(&w, "Well 1", path);
	const char *id = strrchr(path, '/') + 1;
	(void)snprintf(body, sizeof body, "{\"point\":\"%s\",\"code\":\"flow\"}", id);
	api_expect(&w, "POST", "/admin/v1/pipelines/eval", w.admin, body, 200, "\"limit\":10,\"prelude\":false,\"from\":0");
	(void)snprintf(body, sizeof body, "{\"point\":\"%s\",\"code\":\"flow\",\"prelude\":\"local x\",\"limit\":500,\"from\":\"1970-01-01T00:00:01Z\"}", id);
	api_expect(&w, "POST", "/admin/v1/pipelines/eval", w.admin, body, 200, "\"limit\":500,\"prelude\":true,\"from\":1000");
	(void)snprintf(body, sizeof body, "{\"point\":\"%s\",\"code\":\"(\"}", id);
	api_expect(&w, "POST", "/admin/v1/pipelines/eval", w.admin, body, 422, "\"field\":\"line:1:2\"");
	(void)snprintf(body, sizeof body, "{\"point\":\"%s\",\"code\":\"flow\",\"limit\":501}", id);
	api_expect(&w, "POST", "/admin/v1/pipelines/eval", w.admin, body, 400, "limit");
	(void)snprintf(body, sizeof body, "{\"point\":\"%s\"}", id);
	api_expect(&w, "POST", "/admin/v1/pipelines/eval", w.admin, body, 400, "code");
	api_expect(&w, "POST", "/admin/v1/pipelines/eval", w.admin, "{\"point\":\"00000000-0000-4000-8000-000000000000\",\"code\":\"flow\"}", 400, "point");
	api_world_end(&w);
}

Test(api, a_dry_run_takes_a_window_or_one_reading)
{
	struct api_world w;
	char path[96], body[320];
	api_world_begin(&w);
	api_make_point(&w, "Well 1", path);
	const char *id = strrchr(path, '/') + 1;
	(void)snprintf(body, sizeof body, "{\"point\":\"%s\"}", id);
	api_expect(&w, "POST", "/admin/v1/pipelines/well/dry-run", w.admin, body, 200, "\"minutes\":1440");
	(void)snprintf(body, sizeof body, "{\"point\":\"%s\",\"values\":{\"pulses\":7,\"level\":2},\"ts\":\"2026-01-01T00:00:00Z\",\"source\":\"x\"}", id);
	api_expect(&w, "POST", "/admin/v1/pipelines/well/dry-run", w.admin, body, 200, "{\"count\":2,\"first\":7,\"ts\":1767225600000,\"candidate\":true}");
	(void)snprintf(body, sizeof body, "{\"point\":\"%s\",\"values\":{\"no_such\":7}}", id);
	api_expect(&w, "POST", "/admin/v1/pipelines/well/dry-run", w.admin, body, 400, "values.no_such: there is no such metric");
	(void)snprintf(body, sizeof body, "{\"point\":\"%s\",\"values\":{\"flow\":\"7\"}}", id);
	api_expect(&w, "POST", "/admin/v1/pipelines/well/dry-run", w.admin, body, 400, "values.flow: a number is wanted");
	(void)snprintf(body, sizeof body, "{\"point\":\"%s\",\"values\":{}}", id);
	api_expect(&w, "POST", "/admin/v1/pipelines/well/dry-run", w.admin, body, 400, "at least one");
	api_world_end(&w);
}
