/* SPDX-License-Identifier: MIT */
/* /admin/v1: plugins, instances, configuration. */
#include "api/internal.h"

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
