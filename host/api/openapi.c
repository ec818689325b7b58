/* SPDX-License-Identifier: MIT */
/* The OpenAPI 3.1 document, from the route table and the schemas. */
#include "api/internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static void text(struct hd_buf *ret, const char *key, const char *value)
{
	hd_json_text(ret, key, value);
}

static void print_param(struct hd_buf *ret, const struct hd_http_param *param)
{
	static const char *const types[] = {"\"type\":\"string\"", "\"type\":\"integer\"", "\"type\":\"boolean\"", "\"type\":\"string\",\"format\":\"date-time\"",
					    "\"type\":\"string\",\"format\":\"uuid\"", "\"type\":\"string\""};
	hd_buf_add_char(ret, '{');
	text(ret, "name", param->name);
	text(ret, "in", param->in == HD_IN_PATH ? "path" : "query");
	hd_json_bool(ret, "required", param->in == HD_IN_PATH);
	text(ret, "description", param->doc ? param->doc : "");
	hd_buf_printf(ret, ",\"schema\":{%s", types[param->type]);
	if (param->type == HD_PARAM_INT && param->max >= param->min)
		hd_buf_printf(ret, ",\"minimum\":%lld,\"maximum\":%lld", (long long)param->min, (long long)param->max);
	if (param->type == HD_PARAM_TEXT)
		hd_buf_printf(ret, ",\"maxLength\":%lld", (long long)(param->max > 0 ? param->max : 256));
	if (param->type == HD_PARAM_CHOICE) {
		hd_buf_add_text(ret, ",\"enum\":[");
		for (const char *p = param->choices; *p;) {
			size_t len = strcspn(p, "|");
			hd_buf_add_json(ret, p, len);
			p += len + (p[len] == '|');
			if (*p)
				hd_buf_add_char(ret, ',');
		}
		hd_buf_add_char(ret, ']');
	}
	if (param->default_value && (param->type == HD_PARAM_INT || param->type == HD_PARAM_BOOL))
		hd_buf_printf(ret, ",\"default\":%s", param->default_value);
	else if (param->default_value)
		text(ret, "default", param->default_value);
	hd_buf_add_text(ret, "}}");
}

static void print_header_param(struct hd_buf *ret, bool *first, const char *name, const char *doc)
{
	hd_buf_add_text(ret, *first ? "{" : ",{");
	*first = false;
	text(ret, "name", name);
	text(ret, "in", "header");
	hd_json_bool(ret, "required", false);
	text(ret, "description", doc);
	hd_buf_add_text(ret, ",\"schema\":{\"type\":\"string\"}}");
}

static void print_params(struct hd_buf *ret, const struct hd_http_route *route)
{
	bool first = true;
	hd_buf_add_text(ret, ",\"parameters\":[");
	for (uint32_t i = 0; i < HD_ROUTE_PARAMS_MAX && route->params[i].name; i++) {
		if (!first)
			hd_buf_add_char(ret, ',');
		print_param(ret, &route->params[i]);
		first = false;
	}
	if (route->flags & HD_ROUTE_IDEMPOTENT)
		print_header_param(ret, &first, "Idempotency-Key", "the same key again gives the same answer, and does nothing again (kept for 24 hours)");
	if ((route->flags & HD_ROUTE_VERSIONED) && route->method != HD_METHOD_GET && route->method != HD_METHOD_POST)
		print_header_param(ret, &first, "If-Match", "ETag of the version that is to be changed");
	hd_buf_add_char(ret, ']');
}

static void print_content(struct hd_buf *ret, const char *type, const char *schema)
{
	hd_buf_add_text(ret, "\"content\":{");
	hd_buf_add_json(ret, type, strcspn(type, ";"));
	if (schema)
		hd_buf_printf(ret, ":{\"schema\":{\"$ref\":\"#/components/schemas/%s\"}}}", schema);
	else
		hd_buf_add_text(ret, ":{\"schema\":{}}}");
}

static void print_body(struct hd_buf *ret, const struct hd_http_route *route)
{
	if (route->body_max == 0 || ((route->flags & HD_ROUTE_BODY_OPTIONAL) && !route->body_schema))
		return;
	hd_buf_printf(ret, ",\"requestBody\":{\"required\":%s,", route->flags & HD_ROUTE_BODY_OPTIONAL ? "false" : "true");
	print_content(ret, route->body_type ? route->body_type : "application/json", route->body_schema);
	hd_buf_add_char(ret, '}');
}

static void print_answers(struct hd_buf *ret, const struct hd_http_route *route)
{
	uint32_t status = route->answer_status ? route->answer_status : 200;
	hd_buf_printf(ret, ",\"responses\":{\"%u\":{\"description\":\"%s\"", status, status == 201 ? "Made" : status == 202 ? "Taken" : status == 204 ? "Done" : "Answer");
	if (status != 204) {
		hd_buf_add_char(ret, ',');
		print_content(ret, route->answer_type ? route->answer_type : "application/json", route->answer_schema);
	}
	hd_buf_add_text(ret, "},\"default\":{\"$ref\":\"#/components/responses/Problem\"}}");
}

static void print_operation(struct hd_buf *ret, const struct hd_http_route *route)
{
	char method[16];
	(void)snprintf(method, sizeof method, "%s", hd_http_method_name(route->method));
	for (char *p = method; *p; p++)
		*p = (char)(*p | 0x20);
	hd_buf_printf(ret, "\"%s\":{", method);
	text(ret, "operationId", route->id);
	text(ret, "summary", route->summary);
	hd_buf_printf(ret, ",\"tags\":[\"%s\"]", route->tag);
	if (route->roles == 0) {
		hd_buf_add_text(ret, ",\"security\":[]");
	} else {
		hd_buf_add_text(ret, ",\"x-roles\":[");
		bool first = true;
		for (uint32_t role = 0; role < HD_AUTH_ROLE_END; role++) {
			if (!(route->roles >> role & 1))
				continue;
			hd_buf_printf(ret, "%s\"%s\"", first ? "" : ",", hd_auth_role_name(role));
			first = false;
		}
		hd_buf_add_char(ret, ']');
	}
	print_params(ret, route);
	print_body(ret, route);
	print_answers(ret, route);
	hd_buf_add_char(ret, '}');
}

static bool seen_before(size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(hd_api_routes[k].path, hd_api_routes[i].path) == 0)
			return true;
	return false;
}

static void print_paths(struct hd_buf *ret)
{
	hd_buf_add_text(ret, ",\"paths\":{");
	for (size_t i = 0; i < hd_api_routes_count; i++) {
		if (seen_before(i))
			continue;
		hd_buf_printf(ret, "%s\"%s\":{", i ? "," : "", hd_api_routes[i].path);
		for (size_t k = i; k < hd_api_routes_count; k++) {
			if (strcmp(hd_api_routes[k].path, hd_api_routes[i].path) != 0)
				continue;
			if (k > i)
				hd_buf_add_char(ret, ',');
			print_operation(ret, &hd_api_routes[k]);
		}
		hd_buf_add_char(ret, '}');
	}
	hd_buf_add_char(ret, '}');
}

void hd_api_openapi(const struct hd_api *api, struct hd_buf *ret)
{
	hd_buf_add_text(ret, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"hydrod\"");
	text(ret, "version", api->deps.version);
	text(ret, "description", "Telemetry of water-extraction points. Times are RFC 3339; errors are application/problem+json (RFC 9457); "
				 "a trailing slash is optional.");
	hd_buf_add_text(ret, ",\"license\":{\"name\":\"MIT\",\"identifier\":\"MIT\"}},\"security\":[{\"bearer\":[]},{\"apiKey\":[]}]");
	print_paths(ret);
	hd_buf_add_text(ret, ",\"components\":{\"securitySchemes\":{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"},"
			     "\"apiKey\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"X-API-Key\"}},"
			     "\"responses\":{\"Problem\":{\"description\":\"What went wrong\",\"content\":{\"application/problem+json\":"
			     "{\"schema\":{\"$ref\":\"#/components/schemas/Problem\"}}}}},\"schemas\":{");
	hd_schemas_print(ret);
	hd_buf_add_text(ret, "}}}");
}

HD_HANDLER(openapi_get)
{
	(void)req, (void)err;
	hd_api_openapi(HD_API(arg), &resp->body);
	return HYDRO_OK;
}
