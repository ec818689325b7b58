/* SPDX-License-Identifier: MIT */
/* /admin/v1: plugins, instances, pipelines, configuration. */
#include "api/internal.h"

#include "base/clock.h"
#include "base/timefmt.h"

#include <string.h>

static int list_of(struct hd_api *api, int (*fn)(void *arg, struct hd_buf *ret, struct hydro_error *err), struct hd_http_response *resp,
		   struct hydro_error *err)
{
	if (!fn)
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "this daemon runs without that part");
	hd_buf_add_text(&resp->body, "{\"items\":");
	int rc = fn(api->deps.arg, &resp->body, err);
	hd_buf_add_char(&resp->body, '}');
	return rc;
}

HD_HANDLER(plugins_list)
{
	(void)req;
	return list_of(HD_API(arg), HD_API(arg)->deps.plugins, resp, err);
}

HD_HANDLER(plugins_scan)
{
	struct hd_api *api = HD_API(arg);
	HD_NEED(api, plugins_scan);
	int rc = api->deps.plugins_scan(api->deps.arg, err);
	return rc == HYDRO_OK ? hd_api_plugins_list(arg, req, resp, err) : rc;
}

HD_HANDLER(instances_list)
{
	(void)req;
	return list_of(HD_API(arg), HD_API(arg)->deps.instances, resp, err);
}

HD_HANDLER(config_get)
{
	struct hd_api *api = HD_API(arg);
	(void)req;
	HD_NEED(api, config);
	return api->deps.config(api->deps.arg, &resp->body, err);
}

/* ---- pipelines -------------------------------------------------------------------------------------------------------------- */

HD_HANDLER(pipelines_list)
{
	(void)req;
	return list_of(HD_API(arg), HD_API(arg)->deps.pipelines, resp, err);
}

HD_HANDLER(pipelines_reload)
{
	struct hd_api *api = HD_API(arg);
	(void)req;
	HD_NEED(api, pipelines_reload);
	return api->deps.pipelines_reload(api->deps.arg, &resp->body, err);
}

HD_HANDLER(pipeline_check)
{
	struct hd_api *api = HD_API(arg);
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	HD_NEED(api, pipeline_check);
	int rc = req->body_len ? hd_body_parse(req, &hd_schema_pipeline_source, false, resp, &body, err) : HYDRO_OK;
	if (rc != HYDRO_OK)
		return rc;
	const char *text = body ? hd_body_text(body, "source") : NULL;
	return api->deps.pipeline_check(api->deps.arg, hd_http_param(req, "name")->text, text, text ? strlen(text) : 0, &resp->body, err);
}

HD_HANDLER(pipeline_versions)
{
	struct hd_api *api = HD_API(arg);
	HD_NEED(api, pipeline_versions);
	hd_buf_add_text(&resp->body, "{\"items\":");
	int rc = api->deps.pipeline_versions(api->deps.arg, hd_http_param(req, "name")->text, &resp->body, err);
	hd_buf_add_char(&resp->body, '}');
	return rc;
}

HD_HANDLER(pipeline_rollback)
{
	struct hd_api *api = HD_API(arg);
	const struct hd_http_value *version = hd_http_param(req, "version");
	HD_NEED(api, pipeline_rollback);
	return api->deps.pipeline_rollback(api->deps.arg, hd_http_param(req, "name")->text, version->is_set ? version->text : NULL, &resp->body, err);
}

static int time_of(const cJSON *body, const char *name, int64_t preset, int64_t *ret)
{
	const char *text = hd_body_text(body, name);
	*ret = preset;
	return !text || hd_time_parse(text, strlen(text), false, ret) ? HYDRO_OK : HYDRO_E_INVALID;
}

HD_HANDLER(pipeline_dry_run)
{
	struct hd_api *api = HD_API(arg);
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	struct hd_uuid id;
	int64_t from_ms, to_ms;
	HD_NEED(api, pipeline_dry_run);
	int rc = hd_body_parse(req, &hd_schema_pipeline_source, false, resp, &body, err);
	if (rc != HYDRO_OK)
		return rc;
	const char *text = hd_body_text(body, "source"), *point_text = hd_body_text(body, "point");
	uint32_t point = point_text && hd_uuid_parse(point_text, &id) ? hd_points_find(api->deps.points, &id) : HD_POINT_NONE;
	if (point == HD_POINT_NONE)
		return hd_error_set(err, HYDRO_E_INVALID, "point: a point to run it on is wanted");
	if (time_of(body, "to", hd_clock_wall_ms(), &to_ms) != HYDRO_OK || time_of(body, "from", to_ms - 24 * 3600 * HD_MS_PER_S, &from_ms) != HYDRO_OK ||
	    from_ms >= to_ms)
		return hd_error_set(err, HYDRO_E_INVALID, "from, to: a window is wanted");
	return api->deps.pipeline_dry_run(api->deps.arg, hd_http_param(req, "name")->text, text, text ? strlen(text) : 0, point, from_ms, to_ms, &resp->body, err);
}
