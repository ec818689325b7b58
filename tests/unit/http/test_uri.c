/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "http/route.h"

#include <stdio.h>
#include <string.h>

static int parse(const char *target, struct hd_uri *uri)
{
	struct hydro_error err = {0};
	int rc = hd_uri_parse(target, strlen(target), uri, &err);
	cr_assert((rc == HYDRO_OK) == (err.code == HYDRO_OK));
	return rc;
}

Test(uri, takes_segments_and_pairs_apart_and_decodes_them)
{
	struct hd_uri uri;
	cr_assert_eq(parse("/api/v1/pozo%20n%C2%BA1/?a=1&b=x+y%2Bz&&flag", &uri), HYDRO_OK);
	cr_assert_eq(uri.segment_count, 3);
	cr_assert_str_eq(uri.segments[2], "pozo n\xc2\xba" "1");
	cr_assert_eq(uri.query_count, 3);
	cr_assert_str_eq(uri.query[1].value, "x y+z");
	cr_assert_str_eq(uri.query[2].name, "flag");
	cr_assert_str_eq(uri.query[2].value, "");
	cr_assert_eq(parse("/", &uri), HYDRO_OK);
	cr_assert_eq(uri.segment_count, 0);
}

Test(uri, refuses_what_could_mean_two_things)
{
	static const char *const bad[] = {"", "x", "http://h/", "/a//b", "//", "/./a", "/a/..", "/%2e%2e/etc", "/a%", "/a%4", "/a%zz", "/a%00b",
					  "/a%0ab", "/%ff", "/%c0%af", "/%ed%a0%80", "/a?=1", "/a?x=%f5%80%80%80", "/a?x=%1"};
	struct hd_uri uri;
	for (size_t i = 0; i < HD_ARRAY_LEN(bad); i++)
		cr_assert_eq(parse(bad[i], &uri), HYDRO_E_PARSE, "%s", bad[i]);
}

Test(uri, holds_to_its_limits_exactly)
{
	static char target[HD_URI_BYTES_MAX + 2];
	struct hd_uri uri;
	memset(target, 'a', sizeof target - 1);
	target[0] = '/';
	cr_assert_eq(hd_uri_parse(target, HD_URI_BYTES_MAX, &uri, NULL), HYDRO_OK);
	cr_assert_eq(hd_uri_parse(target, HD_URI_BYTES_MAX + 1, &uri, NULL), HYDRO_E_LIMIT);
	char many[8 * HD_URI_QUERY_MAX] = "";
	for (uint32_t i = 0; i < HD_URI_SEGMENTS_MAX; i++)
		strcat(many, "/a");
	cr_assert_eq(parse(many, &uri), HYDRO_OK);
	strcat(many, "/a");
	cr_assert_eq(parse(many, &uri), HYDRO_E_LIMIT);
	strcpy(many, "/?");
	for (uint32_t i = 0; i < HD_URI_QUERY_MAX; i++)
		strcat(many, "a=1&");
	cr_assert_eq(parse(many, &uri), HYDRO_OK);
	strcat(many, "a=1");
	cr_assert_eq(parse(many, &uri), HYDRO_E_LIMIT);
}

static const struct hd_http_route routes[] = {
	{.method = HD_METHOD_GET, .path = "/", .id = "root"},
	{.method = HD_METHOD_GET, .path = "/points/", .id = "list"},
	{.method = HD_METHOD_POST, .path = "/points/import", .id = "import"},
	{.method = HD_METHOD_GET, .path = "/points/{id}", .id = "get",
	 .params = {{.name = "id", .in = HD_IN_PATH, .type = HD_PARAM_UUID},
		    {.name = "limit", .type = HD_PARAM_INT, .min = 1, .max = 10, .default_value = "5"},
		    {.name = "from", .type = HD_PARAM_TIME},
		    {.name = "raw", .type = HD_PARAM_BOOL},
		    {.name = "order", .type = HD_PARAM_CHOICE, .choices = "asc|desc"}}},
	{.method = HD_METHOD_DELETE, .path = "/points/{id}", .id = "delete", .params = {{.name = "id", .in = HD_IN_PATH, .type = HD_PARAM_UUID}}},
};

static struct hd_http_match find(uint32_t method, const char *target, struct hd_uri *uri)
{
	cr_assert_eq(parse(target, uri), HYDRO_OK);
	return hd_http_route_find(routes, HD_ARRAY_LEN(routes), method, uri);
}

Test(route, literal_segments_go_before_parameters_and_methods_are_told)
{
	struct hd_uri uri;
	cr_assert_str_eq(find(HD_METHOD_GET, "/", &uri).route->id, "root");
	cr_assert_str_eq(find(HD_METHOD_GET, "/points", &uri).route->id, "list");
	cr_assert_str_eq(find(HD_METHOD_GET, "/points/", &uri).route->id, "list");
	cr_assert_str_eq(find(HD_METHOD_POST, "/points/import", &uri).route->id, "import");
	struct hd_http_match match = find(HD_METHOD_GET, "/points/import", &uri);
	cr_assert_null(match.route);
	cr_assert_eq(match.allowed, 1u << HD_METHOD_POST);
	cr_assert_eq(find(HD_METHOD_PUT, "/points/x", &uri).allowed, 1u << HD_METHOD_GET | 1u << HD_METHOD_DELETE);
	cr_assert_eq(find(HD_METHOD_GET, "/point", &uri).allowed, 0);
	cr_assert_eq(find(HD_METHOD_GET, "/points/a/b", &uri).allowed, 0);
}

Test(route, parameters_are_typed_and_unknown_ones_refused)
{
	static const struct {
		const char *query;
		const char *says; /* NULL: taken */
	} cases[] = {
		{"", NULL},
		{"?limit=10&from=2026-01-01T00:00:00Z&raw=true&order=desc", NULL},
		{"?from=2026-01-01T03:00:00+03:00", NULL},
		{"?limit=11", "limit"},
		{"?limit=1&limit=2", "twice"},
		{"?limit=+1", "limit"},
		{"?limit=1e3", "limit"},
		{"?limit=99999999999999999999", "limit"},
		{"?raw=yes", "raw"},
		{"?order=des", "asc|desc"},
		{"?order=", "asc|desc"},
		{"?from=yesterday", "from"},
		{"?colour=red", "colour"},
	};
	for (size_t i = 0; i < HD_ARRAY_LEN(cases); i++) {
		struct hd_uri uri;
		struct hydro_error err = {0};
		struct hd_http_value values[HD_ROUTE_PARAMS_MAX];
		char target[256];
		(void)snprintf(target, sizeof target, "/points/00000000-0000-4000-8000-000000000001%s", cases[i].query);
		struct hd_http_match match = find(HD_METHOD_GET, target, &uri);
		int rc = hd_http_params_take(match.route, &uri, values, &err);
		cr_assert_eq(rc, cases[i].says ? HYDRO_E_INVALID : HYDRO_OK, "%s: %s", cases[i].query, err.text);
		if (cases[i].says)
			cr_assert_not_null(strstr(err.text, cases[i].says), "%s: %s", cases[i].query, err.text);
		if (i == 0)
			cr_assert(values[1].is_set && values[1].integer == 5 && !values[2].is_set);
		if (i == 1)
			cr_assert(values[2].integer == INT64_C(1767225600000) && values[3].integer == 1 && values[4].integer == 1);
		if (i == 2)
			cr_assert_eq(values[2].integer, INT64_C(1767225600000));
	}
	struct hd_uri uri;
	struct hd_http_value values[HD_ROUTE_PARAMS_MAX];
	struct hd_http_match match = find(HD_METHOD_GET, "/points/not-a-uuid", &uri);
	cr_assert_eq(hd_http_params_take(match.route, &uri, values, NULL), HYDRO_E_INVALID);
}
