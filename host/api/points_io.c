/* SPDX-License-Identifier: MIT */
/* Points: import, readings by hand, collecting now. */
#include "api/internal.h"

#include "base/array.h"
#include "base/timefmt.h"
#include "model/sample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*import_fn)(struct hd_store *store, const char *csv, size_t len, bool skip_bad, const struct hd_store_checks *checks,
			 struct hd_import_report *ret, struct hydro_error *err);

static int run_import(struct hd_api *api, const struct hd_http_request *req, struct hd_http_response *resp, import_fn import, struct hydro_error *err)
{
	struct hd_import_report report;
	int rc = import(api->deps.store, req->body, req->body_len, hd_http_param(req, "skip_bad")->integer, &api->deps.checks, &report, err);
	if (rc == HYDRO_OK) {
		resp->status = report.applied || report.lines == 0 ? 200 : 422;
		hd_buf_add_char(&resp->body, '{');
		hd_json_bool(&resp->body, "applied", report.applied);
		hd_json_int(&resp->body, "lines", (int64_t)report.lines);
		hd_json_int(&resp->body, "created", (int64_t)report.created);
		hd_json_int(&resp->body, "updated", (int64_t)report.updated);
		hd_json_int(&resp->body, "failed", (int64_t)report.failed);
		hd_buf_add_text(&resp->body, ",\"errors\":[");
		hd_buf_add(&resp->body, report.errors.data ? report.errors.data : "", report.errors.len);
		hd_buf_add_text(&resp->body, "]}");
	}
	hd_import_report_done(&report);
	return rc;
}

HD_HANDLER(points_import)
{
	return run_import(HD_API(arg), req, resp, hd_store_points_import, err);
}

HD_HANDLER(accounts_import)
{
	return run_import(HD_API(arg), req, resp, hd_store_accounts_import, err);
}

/* ---- readings by hand ------------------------------------------------------------------------------------------------------ */

struct raws {
	hydro_raw *items;
	uint32_t count, cap;
};

static int add_values(struct hd_api *api, const cJSON *values, int64_t ts_ms, struct raws *raws, struct hydro_error *err)
{
	uint32_t count = 0;
	for (const cJSON *item = values->child; item; item = item->next) {
		uint32_t metric;
		if (++count > HD_METRICS_PER_SAMPLE_MAX)
			return hd_error_set(err, HYDRO_E_LIMIT, "values: more than %u metrics", HD_METRICS_PER_SAMPLE_MAX);
		if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble))
			return hd_error_set(err, HYDRO_E_INVALID, "values.%.64s: a number is wanted", item->string);
		int rc = hd_names_intern(api->deps.names, HD_NAME_METRIC, item->string, &metric, err);
		if (rc != HYDRO_OK)
			return rc;
		if (!HD_RESERVE(raws->items, raws->cap, raws->count, 1))
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory");
		raws->items[raws->count++] = (hydro_raw){.ts_ms = ts_ms, .value = item->valuedouble, .metric = metric};
	}
	return HYDRO_OK;
}

/* One reading; its place in the body goes before the text of an error. */
static int add_reading(struct hd_api *api, const cJSON *item, int index, struct raws *raws, struct hydro_error *err)
{
	int64_t ts_ms;
	const char *ts = hd_body_text(item, "ts");
	const cJSON *values = cJSON_GetObjectItemCaseSensitive(item, "values");
	if (!ts || !hd_time_parse(ts, strlen(ts), false, &ts_ms) || ts_ms < HD_TS_MIN_MS || ts_ms >= HD_TS_MAX_MS)
		return hd_error_set(err, HYDRO_E_INVALID, "readings[%d].ts: a time as RFC 3339, from 1990 to 2100, is wanted", index);
	if (!cJSON_IsObject(values) || !values->child)
		return hd_error_set(err, HYDRO_E_INVALID, "readings[%d].values: an object of numbers by metric is wanted", index);
	int rc = add_values(api, values, ts_ms, raws, err);
	return rc == HYDRO_OK ? rc : hd_error_while(err, "taking readings[%d]", index);
}

HD_HANDLER(point_readings)
{
	struct hd_api *api = HD_API(arg);
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	struct raws raws = {NULL, 0, 0};
	uint32_t point, accepted = 0, dropped = 0;
	HD_NEED(api, feed);
	int rc = hd_api_find_point(api, req, &point, err);
	if (rc == HYDRO_OK)
		rc = hd_body_parse(req, &hd_schema_readings, false, resp, &body, err);
	if (rc != HYDRO_OK)
		return rc;
	const cJSON *item;
	int index = 0;
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(body, "readings"))
	{
		rc = add_reading(api, item, index++, &raws, err);
		if (rc != HYDRO_OK)
			break;
	}
	if (rc == HYDRO_OK)
		rc = api->deps.feed(api->deps.arg, point, raws.items, raws.count, &accepted, &dropped, err);
	free(raws.items);
	hd_buf_printf(&resp->body, "{\"accepted\":%u,\"dropped\":%u}", accepted, dropped);
	return rc;
}

HD_HANDLER(point_collect)
{
	struct hd_api *api = HD_API(arg);
	uint32_t point;
	int rc = hd_api_find_point(api, req, &point, err);
	if (rc != HYDRO_OK)
		return rc;
	if (hd_http_param(req, "dry")->integer) {
		HD_NEED(api, collect_dry);
		return api->deps.collect_dry(api->deps.arg, point, &resp->body, err);
	}
	HD_NEED(api, collect_point);
	rc = api->deps.collect_point(api->deps.arg, point, err);
	resp->status = 202;
	hd_buf_add_text(&resp->body, "{\"points\":1}");
	return rc;
}
