/* SPDX-License-Identifier: MIT */
#include "http/route.h"

#include "base/timefmt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_DEFAULT 256

static const char *const method_names[HD_METHODS] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

const char *hd_http_method_name(uint32_t method)
{
	HD_ASSERT(method < HD_METHODS);
	return method_names[method];
}

/* Goes over the segments of a template: the next one from *at, its length; false at the end. */
static bool next_segment(const char **at, const char **ret, size_t *ret_len)
{
	while (**at == '/')
		(*at)++;
	if (!**at)
		return false;
	*ret = *at;
	*ret_len = strcspn(*at, "/");
	*at += *ret_len;
	return true;
}

/* 0: no match, else higher for more literal segments (leftmost counts most). */
static uint32_t match_score(const char *template, const struct hd_uri *uri)
{
	const char *segment;
	size_t len;
	uint32_t i = 0, score = 1;
	while (next_segment(&template, &segment, &len)) {
		if (i == uri->segment_count)
			return 0;
		bool literal = segment[0] != '{';
		if (literal && (strlen(uri->segments[i]) != len || memcmp(uri->segments[i], segment, len) != 0))
			return 0;
		score = score << 1 | (literal ? 1u : 0u);
		i++;
	}
	return i == uri->segment_count ? score : 0;
}

struct hd_http_match hd_http_route_find(const struct hd_http_route *routes, size_t count, uint32_t method, const struct hd_uri *uri)
{
	struct hd_http_match match = {NULL, 0};
	uint32_t best = 0;
	for (size_t i = 0; i < count; i++) {
		uint32_t score = match_score(routes[i].path, uri);
		if (score == 0 || score < best)
			continue;
		if (score > best)
			match = (struct hd_http_match){NULL, 0};
		best = score;
		match.allowed |= 1u << routes[i].method;
		if (routes[i].method == method)
			match.route = &routes[i];
	}
	return match;
}

static bool parse_int(const char *text, int64_t *ret)
{
	char *end;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (errno || end == text || *end || *text == ' ' || *text == '+')
		return false;
	*ret = value;
	return true;
}

static bool parse_time(const char *text, int64_t *ret)
{
	char copy[48];
	size_t len = strlen(text);
	if (parse_int(text, ret))
		return true;
	if (len >= sizeof copy)
		return false;
	memcpy(copy, text, len + 1);
	/* The '+' of a zone that was not percent-encoded has become a blank. */
	if (len > 19 && copy[len - 6] == ' ')
		copy[len - 6] = '+';
	return hd_time_parse(copy, len, true, ret);
}

static bool parse_choice(const char *choices, const char *text, int64_t *ret)
{
	size_t len = strlen(text);
	int64_t index = 0;
	for (const char *p = choices; len > 0;) {
		size_t one = strcspn(p, "|");
		if (one == len && memcmp(p, text, len) == 0) {
			*ret = index;
			return true;
		}
		if (!p[one])
			break;
		p += one + 1;
		index++;
	}
	return false;
}

static bool parse_bool(const char *text, int64_t *ret)
{
	bool yes = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
	*ret = yes;
	return yes || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
}

static int take(const struct hd_http_param *param, const char *text, struct hd_http_value *ret, struct hydro_error *err)
{
	struct hd_http_value value = {.is_set = true, .text = text};
	bool ok = true;
	switch (param->type) {
	case HD_PARAM_TEXT:
		ok = strlen(text) <= (size_t)(param->max > 0 ? param->max : TEXT_BYTES_DEFAULT);
		break;
	case HD_PARAM_INT:
		ok = parse_int(text, &value.integer) && (param->max < param->min || (value.integer >= param->min && value.integer <= param->max));
		break;
	case HD_PARAM_BOOL:
		ok = parse_bool(text, &value.integer);
		break;
	case HD_PARAM_TIME:
		ok = parse_time(text, &value.integer);
		break;
	case HD_PARAM_UUID:
		ok = hd_uuid_parse(text, &value.uuid);
		break;
	case HD_PARAM_CHOICE:
		ok = parse_choice(param->choices, text, &value.integer);
		break;
	default:
		HD_ASSERT(!"known type of parameter");
	}
	if (ok) {
		*ret = value;
		return HYDRO_OK;
	}
	static const char *const wanted[] = {"a shorter text", "a whole number", "true or false", "a time as RFC 3339 or ms since 1970", "a UUID", "one of"};
	if (param->type == HD_PARAM_INT && param->max >= param->min)
		return hd_error_set(err, HYDRO_E_INVALID, "parameter %s: a whole number from %lld to %lld is wanted", param->name,
				    (long long)param->min, (long long)param->max);
	return hd_error_set(err, HYDRO_E_INVALID, "parameter %s: %s%s%s is wanted", param->name, wanted[param->type],
			    param->type == HD_PARAM_CHOICE ? " " : "", param->type == HD_PARAM_CHOICE ? param->choices : "");
}

static int find_param(const struct hd_http_route *route, uint32_t in, const char *name, size_t len)
{
	for (int i = 0; i < (int)HD_ROUTE_PARAMS_MAX && route->params[i].name; i++)
		if (route->params[i].in == in && strlen(route->params[i].name) == len && memcmp(route->params[i].name, name, len) == 0)
			return i;
	return -1;
}

int hd_http_params_take(const struct hd_http_route *route, const struct hd_uri *uri, struct hd_http_value ret[HD_ROUTE_PARAMS_MAX],
			struct hydro_error *err)
{
	const char *template = route->path, *segment;
	size_t len;
	int rc = HYDRO_OK;
	memset(ret, 0, HD_ROUTE_PARAMS_MAX * sizeof *ret);
	for (uint32_t i = 0; next_segment(&template, &segment, &len); i++) {
		if (segment[0] != '{')
			continue;
		int at = find_param(route, HD_IN_PATH, segment + 1, len - 2);
		HD_ASSERT(at >= 0 && i < uri->segment_count);
		if ((rc = take(&route->params[at], uri->segments[i], &ret[at], err)) != HYDRO_OK)
			return rc;
	}
	for (uint32_t i = 0; i < uri->query_count; i++) {
		const char *name = uri->query[i].name;
		int at = find_param(route, HD_IN_QUERY, name, strlen(name));
		if (at < 0)
			return hd_error_set(err, HYDRO_E_INVALID, "parameter %.64s is not known here", name);
		if (ret[at].is_set)
			return hd_error_set(err, HYDRO_E_INVALID, "parameter %s is given twice", name);
		if ((rc = take(&route->params[at], uri->query[i].value, &ret[at], err)) != HYDRO_OK)
			return rc;
	}
	for (uint32_t i = 0; i < HD_ROUTE_PARAMS_MAX && route->params[i].name; i++)
		if (!ret[i].is_set && route->params[i].default_value && (rc = take(&route->params[i], route->params[i].default_value, &ret[i], err)) != HYDRO_OK)
			return rc;
	return HYDRO_OK;
}
