/* SPDX-License-Identifier: MIT */
#include "api/internal.h"

HD_HANDLER(providers_get)
{
	struct hd_api *api = HD_API(arg);
	(void)req;
	HD_NEED(api, providers);
	hd_buf_add_text(&resp->body, "{\"items\":");
	int rc = api->deps.providers(api->deps.arg, &resp->body, err);
	hd_buf_add_char(&resp->body, '}');
	return rc;
}

HD_HANDLER(provider_status)
{
	struct hd_api *api = HD_API(arg);
	HD_NEED(api, provider_status);
	return api->deps.provider_status(api->deps.arg, hd_http_param(req, "provider")->text, &resp->body, err);
}

HD_HANDLER(provider_collect)
{
	struct hd_api *api = HD_API(arg);
	uint32_t points = 0;
	HD_NEED(api, collect_provider);
	int rc = api->deps.collect_provider(api->deps.arg, hd_http_param(req, "provider")->text, &points, err);
	hd_buf_printf(&resp->body, "{\"points\":%u}", points);
	return rc;
}
