/* SPDX-License-Identifier: MIT */
/* /admin/v1/pipelines: what runs, changes to it, trying a candidate on the past, and the past run again. */
#include "api/internal.h"

#include "base/clock.h"
#include "base/timefmt.h"

#include <stdio.h>
#include <string.h>

#define NAME(req) (hd_http_param(req, "name")->text)
#define EVAL_READINGS 10u
#define DAY_MS (24 * 3600 * HD_MS_PER_S)

HD_HANDLER(pipelines_list)
{
	struct hd_api *api = HD_API(arg);
	(void)req;
	HD_NEED(api, pipelines);
	hd_buf_add_text(&resp->body, "{\"items\":");
	int rc = api->deps.pipelines(api->deps.arg, &resp->body, err);
	hd_buf_add_char(&resp->body, '}');
	return rc;
}

HD_HANDLER(pipeline_versions)
{
	struct hd_api *api = HD_API(arg);
	HD_NEED(api, pipeline_versions);
	hd_buf_add_text(&resp->body, "{\"items\":");
	int rc = api->deps.pipeline_versions(api->deps.arg, NAME(req), &resp->body, err);
	hd_buf_add_char(&resp->body, '}');
	return rc;
}

static int get_text(struct hd_api *api, const struct hd_http_request *req, uint32_t version, struct hd_http_response *resp, struct hydro_error *err)
{
	char hash[17];
	HD_NEED(api, pipeline_get);
	int rc = api->deps.pipeline_get(api->deps.arg, NAME(req), version, &resp->body, hash, err);
	if (rc == HYDRO_OK)
		(void)snprintf(resp->etag, sizeof resp->etag, "\"%s\"", hash);
	return rc;
}

HD_HANDLER(pipeline_get)
{
	return get_text(HD_API(arg), req, 0, resp, err);
}

HD_HANDLER(pipeline_version_get)
{
	return get_text(HD_API(arg), req, (uint32_t)hd_http_param(req, "version")->integer, resp, err);
}

/* ---- changes -------------------------------------------------------------------------------------------------------------- */

/* What is wrong with a script, as rows of the problem: {"field":"well.lua:3:9","detail":…} and what the finding has besides. */
static void tell_findings(struct hd_http_response *resp, const cJSON *answer)
{
	const cJSON *finding, *list = cJSON_GetObjectItemCaseSensitive(answer, "diagnostics");
	cJSON_ArrayForEach(finding, list) {
		const char *file = hd_body_text(finding, "file"), *message = hd_body_text(finding, "message"), *hint = hd_body_text(finding, "hint");
		const cJSON *line = cJSON_GetObjectItemCaseSensitive(finding, "line"), *column = cJSON_GetObjectItemCaseSensitive(finding, "column");
		HD_CLEANUP(hd_buf_done) struct hd_buf where = {0}, why = {0};
		hd_buf_printf(&where, "%s:%d:%d", file ? file : "", cJSON_IsNumber(line) ? line->valueint : 0, cJSON_IsNumber(column) ? column->valueint : 0);
		hd_buf_printf(&why, "%s%s%s%s", message ? message : "", hint && *hint ? " (" : "", hint && *hint ? hint : "", hint && *hint ? ")" : "");
		if (!where.failed && !why.failed)
			hd_http_problem_add(resp, hd_buf_text(&where), hd_buf_text(&why));
	}
}

/* After a change that failed: its findings go into the problem. */
static int changed(struct hd_http_response *resp, int rc)
{
	if (rc == HYDRO_OK || !resp->body.len)
		return rc;
	HD_CLEANUP(hd_cleanup_json) cJSON *answer = cJSON_ParseWithLength(resp->body.data, resp->body.len);
	const cJSON *one;
	if (cJSON_IsArray(answer))
		cJSON_ArrayForEach(one, answer) tell_findings(resp, one);
	else
		tell_findings(resp, answer);
	return rc;
}

/* The hash that If-Match names; NULL without it or with "*". */
static int wanted_hash(const struct hd_http_request *req, char ret[17], const char **ret_hash, struct hydro_error *err)
{
	const char *tag = req->if_match;
	*ret_hash = NULL;
	if (!tag || strcmp(tag, "*") == 0)
		return HYDRO_OK;
	size_t len = strlen(tag);
	if (len < 3 || len > 18 || tag[0] != '"' || tag[len - 1] != '"' || memchr(tag + 1, '"', len - 2))
		return hd_error_set(err, HYDRO_E_INVALID, "If-Match: the ETag of a pipeline is wanted, its hash in quotes");
	(void)snprintf(ret, 17, "%.*s", (int)(len - 2), tag + 1);
	*ret_hash = ret;
	return HYDRO_OK;
}

static const char *text_or(const struct hd_http_request *req, const char *name, const char *other)
{
	const struct hd_http_value *value = hd_http_param(req, name);
	return value->is_set ? value->text : other;
}

HD_HANDLER(pipeline_put)
{
	struct hd_api *api = HD_API(arg);
	char hash[17];
	HD_NEED(api, pipeline_put);
	struct hd_scripts_change change = {.author = text_or(req, "author", req->principal.name), .reason = text_or(req, "reason", ""),
					   .share = (uint32_t)hd_http_param(req, "share")->integer};
	int rc = wanted_hash(req, hash, &change.if_hash, err);
	if (rc != HYDRO_OK)
		return rc;
	return changed(resp, api->deps.pipeline_put(api->deps.arg, NAME(req), req->body, req->body_len, &change, &resp->body, err));
}

HD_HANDLER(pipelines_reload)
{
	struct hd_api *api = HD_API(arg);
	HD_NEED(api, pipeline_reload);
	struct hd_scripts_change change = {.author = req->principal.name, .reason = "reload"};
	return changed(resp, api->deps.pipeline_reload(api->deps.arg, NULL, &change, &resp->body, err));
}

HD_HANDLER(pipeline_reload)
{
	struct hd_api *api = HD_API(arg);
	char hash[17];
	HD_NEED(api, pipeline_reload);
	struct hd_scripts_change change = {.author = text_or(req, "author", req->principal.name), .reason = text_or(req, "reason", "reload"),
					   .share = (uint32_t)hd_http_param(req, "share")->integer, .force = hd_http_param(req, "force")->integer};
	int rc = wanted_hash(req, hash, &change.if_hash, err);
	return rc == HYDRO_OK ? changed(resp, api->deps.pipeline_reload(api->deps.arg, NAME(req), &change, &resp->body, err)) : rc;
}

HD_HANDLER(pipeline_rollback)
{
	struct hd_api *api = HD_API(arg);
	HD_NEED(api, pipeline_rollback);
	struct hd_scripts_change change = {.author = text_or(req, "author", req->principal.name), .reason = text_or(req, "reason", "rollback")};
	uint32_t version = (uint32_t)hd_http_param(req, "version")->integer;
	return changed(resp, api->deps.pipeline_rollback(api->deps.arg, NAME(req), version, &change, &resp->body, err));
}

/* ---- trying, and running again ----------------------------------------------------------------------------------------------- */

HD_HANDLER(pipeline_check)
{
	struct hd_api *api = HD_API(arg);
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	HD_NEED(api, pipeline_check);
	int rc = req->body_len ? hd_body_parse(req, &hd_schema_pipeline_source, false, resp, &body, err) : HYDRO_OK;
	if (rc != HYDRO_OK)
		return rc;
	const char *text = body ? hd_body_text(body, "source") : NULL;
	return api->deps.pipeline_check(api->deps.arg, NAME(req), text, text ? strlen(text) : 0, &resp->body, err);
}

static int time_of(const cJSON *body, const char *name, int64_t preset, int64_t *ret)
{
	const char *text = hd_body_text(body, name);
	*ret = preset;
	return !text || hd_time_parse(text, strlen(text), false, ret) ? HYDRO_OK : HYDRO_E_INVALID;
}

static int times_of(const cJSON *body, int64_t *ret_from_ms, int64_t *ret_to_ms, struct hydro_error *err)
{
	if (time_of(body, "to", hd_clock_wall_ms(), ret_to_ms) != HYDRO_OK || time_of(body, "from", *ret_to_ms - DAY_MS, ret_from_ms) != HYDRO_OK ||
	    *ret_from_ms >= *ret_to_ms)
		return hd_error_set(err, HYDRO_E_INVALID, "from, to: a window is wanted");
	return HYDRO_OK;
}

/* Point and window of a body. */
static int window_of(struct hd_api *api, const cJSON *body, uint32_t *ret_point, int64_t *ret_from_ms, int64_t *ret_to_ms, struct hydro_error *err)
{
	struct hd_uuid id;
	const char *text = hd_body_text(body, "point");
	*ret_point = text && hd_uuid_parse(text, &id) ? hd_points_find(api->deps.points, &id) : HD_POINT_NONE;
	if (*ret_point == HD_POINT_NONE)
		return hd_error_set(err, HYDRO_E_INVALID, "point: a point to run it on is wanted");
	return times_of(body, ret_from_ms, ret_to_ms, err);
}

/* {"pulses":1000,"level":12.5}: metrics that are known. */
static int values_of(struct hd_api *api, const cJSON *values, int64_t ts_ms, hydro_raw *ret, uint32_t *ret_count, struct hydro_error *err)
{
	const cJSON *item;
	uint32_t count = 0;
	cJSON_ArrayForEach(item, values)
	{
		uint32_t metric = hd_names_find(api->deps.names, HD_NAME_METRIC, item->string);
		if (!metric || !cJSON_IsNumber(item) || count == HD_METRICS_PER_SAMPLE_MAX)
			return hd_error_set(err, HYDRO_E_INVALID, metric ? "values.%.64s: a number is wanted, of %u metrics at most" : "values.%.64s: there is no such metric",
					    item->string, HD_METRICS_PER_SAMPLE_MAX);
		ret[count++] = (hydro_raw){.ts_ms = ts_ms, .value = item->valuedouble, .metric = metric};
	}
	*ret_count = count;
	return count ? HYDRO_OK : hd_error_set(err, HYDRO_E_INVALID, "values: at least one is wanted");
}

static int dry_reading(struct hd_api *api, const struct hd_http_request *req, const cJSON *body, uint32_t point, struct hd_http_response *resp,
		       struct hydro_error *err)
{
	hydro_raw raws[HD_METRICS_PER_SAMPLE_MAX];
	uint32_t count = 0;
	int64_t ts_ms;
	HD_NEED(api, pipeline_dry_reading);
	if (time_of(body, "ts", hd_clock_wall_ms(), &ts_ms) != HYDRO_OK || ts_ms < HD_TS_MIN_MS || ts_ms >= HD_TS_MAX_MS)
		return hd_error_set(err, HYDRO_E_INVALID, "ts: a time from 1990 to 2100 is wanted");
	int rc = values_of(api, cJSON_GetObjectItemCaseSensitive(body, "values"), ts_ms, raws, &count, err);
	const char *text = hd_body_text(body, "source");
	if (rc != HYDRO_OK)
		return rc;
	return changed(resp, api->deps.pipeline_dry_reading(api->deps.arg, NAME(req), text, text ? strlen(text) : 0, point, raws, count, &resp->body, err));
}

HD_HANDLER(pipeline_dry_run)
{
	struct hd_api *api = HD_API(arg);
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	uint32_t point;
	int64_t from_ms, to_ms;
	HD_NEED(api, pipeline_dry_run);
	int rc = hd_body_parse(req, &hd_schema_pipeline_source, false, resp, &body, err);
	if (rc == HYDRO_OK)
		rc = window_of(api, body, &point, &from_ms, &to_ms, err);
	if (rc != HYDRO_OK)
		return rc;
	if (cJSON_HasObjectItem(body, "values"))
		return dry_reading(api, req, body, point, resp, err);
	const char *text = hd_body_text(body, "source");
	return changed(resp, api->deps.pipeline_dry_run(api->deps.arg, NAME(req), text, text ? strlen(text) : 0, point, from_ms, to_ms, &resp->body, err));
}

HD_HANDLER(pipeline_reprocess)
{
	struct hd_api *api = HD_API(arg);
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	uint32_t point;
	int64_t from_ms, to_ms;
	HD_NEED(api, pipeline_reprocess);
	int rc = hd_body_parse(req, &hd_schema_reprocess, false, resp, &body, err);
	if (rc == HYDRO_OK && !hd_body_text(body, "point")) {
		HD_NEED(api, reprocess_start);
		rc = times_of(body, &from_ms, &to_ms, err);
		if (rc == HYDRO_OK)
			rc = api->deps.reprocess_start(api->deps.arg, NAME(req), from_ms, to_ms, &resp->body, err);
		if (rc == HYDRO_OK)
			resp->status = 202;
		return rc;
	}
	if (rc == HYDRO_OK)
		rc = window_of(api, body, &point, &from_ms, &to_ms, err);
	return rc == HYDRO_OK ? api->deps.pipeline_reprocess(api->deps.arg, NAME(req), point, from_ms, to_ms, &resp->body, err) : rc;
}

HD_HANDLER(reprocess_state)
{
	struct hd_api *api = HD_API(arg);
	HD_NEED(api, reprocess_state);
	return api->deps.reprocess_state(api->deps.arg, NAME(req), &resp->body, err);
}

HD_HANDLER(reprocess_cancel)
{
	struct hd_api *api = HD_API(arg);
	HD_NEED(api, reprocess_cancel);
	return api->deps.reprocess_cancel(api->deps.arg, NAME(req), &resp->body, err);
}

HD_HANDLER(pipeline_eval)
{
	struct hd_api *api = HD_API(arg);
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	struct hd_uuid id;
	HD_NEED(api, pipeline_eval);
	int rc = hd_body_parse(req, &hd_schema_pipeline_eval, false, resp, &body, err);
	if (rc != HYDRO_OK)
		return rc;
	const char *text = hd_body_text(body, "point"), *code = hd_body_text(body, "code");
	uint32_t point = text && hd_uuid_parse(text, &id) ? hd_points_find(api->deps.points, &id) : HD_POINT_NONE;
	if (point == HD_POINT_NONE)
		return hd_error_set(err, HYDRO_E_INVALID, "point: a point to run it on is wanted");
	const cJSON *limit = cJSON_GetObjectItemCaseSensitive(body, "limit");
	struct hd_scripts_eval what = {.code = code, .code_len = strlen(code), .prelude = hd_body_text(body, "prelude"),
				       .limit = cJSON_IsNumber(limit) ? (uint32_t)limit->valuedouble : EVAL_READINGS};
	if (time_of(body, "from", 0, &what.from_ms) != HYDRO_OK || time_of(body, "to", 0, &what.to_ms) != HYDRO_OK ||
	    (what.from_ms && what.to_ms && what.from_ms >= what.to_ms))
		return hd_error_set(err, HYDRO_E_INVALID, "from, to: a window is wanted");
	return changed(resp, api->deps.pipeline_eval(api->deps.arg, point, &what, &resp->body, err));
}
