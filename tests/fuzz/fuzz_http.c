/* SPDX-License-Identifier: MIT */
/* Request targets: parsing, finding a route, taking parameters, over the API's own table. */
#include "api/internal.h"
#include "base/utf8.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hd_uri uri;
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_http_value values[HD_ROUTE_PARAMS_MAX];
	if (size == 0)
		return 0;
	uint32_t method = data[0] % HD_METHODS;
	if (hd_uri_parse((const char *)data + 1, size - 1, &uri, &err) != HYDRO_OK)
		return 0;
	for (uint32_t i = 0; i < uri.segment_count; i++)
		HD_ASSERT(uri.segments[i][0] && strcmp(uri.segments[i], "..") != 0 && hd_utf8_valid(uri.segments[i], strlen(uri.segments[i])));
	struct hd_http_match match = hd_http_route_find(hd_api_routes, hd_api_routes_count, method, &uri);
	if (!match.route)
		return 0;
	HD_ASSERT(match.allowed >> method & 1);
	if (hd_http_params_take(match.route, &uri, values, &err) == HYDRO_OK)
		for (uint32_t i = 0; i < HD_ROUTE_PARAMS_MAX && match.route->params[i].name; i++)
			HD_ASSERT(values[i].is_set || (match.route->params[i].in == HD_IN_QUERY && !match.route->params[i].default_value));
	return 0;
}
