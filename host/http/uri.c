/* SPDX-License-Identifier: MIT */
#include "http/uri.h"

#include "base/utf8.h"

#include <string.h>

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes [from, to) to *at, ends it with NUL and moves *at behind; NULL when it does not decode. */
static const char *decode(const char *from, const char *to, bool plus_is_blank, char **at)
{
	char *start = *at, *out = start;
	for (const char *p = from; p < to; p++) {
		char c = *p;
		if (c == '%') {
			int high = to - p > 2 ? hex(p[1]) : -1, low = high < 0 ? -1 : hex(p[2]);
			if (low < 0)
				return NULL;
			c = (char)(high << 4 | low);
			p += 2;
		} else if (c == '+' && plus_is_blank) {
			c = ' ';
		}
		if ((unsigned char)c < 0x20 || c == 0x7f)
			return NULL;
		*out++ = c;
	}
	*out = '\0';
	*at = out + 1;
	return hd_utf8_valid(start, (size_t)(out - start)) ? start : NULL;
}

static const char *find(const char *p, const char *end, char c)
{
	const char *hit = memchr(p, c, (size_t)(end - p));
	return hit ? hit : end;
}

static int parse_path(const char *p, const char *end, char **at, struct hd_uri *ret, struct hydro_error *err)
{
	while (p < end) {
		const char *to = find(p, end, '/');
		if (ret->segment_count == HD_URI_SEGMENTS_MAX)
			return hd_error_set(err, HYDRO_E_LIMIT, "path has more than %u segments", HD_URI_SEGMENTS_MAX);
		const char *segment = decode(p, to, false, at);
		if (!segment || !*segment || strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0)
			return hd_error_set(err, HYDRO_E_PARSE, "segment %u of the path is not valid", ret->segment_count + 1);
		ret->segments[ret->segment_count++] = segment;
		p = to < end ? to + 1 : end;
	}
	return HYDRO_OK;
}

static int parse_query(const char *p, const char *end, char **at, struct hd_uri *ret, struct hydro_error *err)
{
	while (p < end) {
		const char *to = find(p, end, '&'), *equals = find(p, to, '=');
		if (to > p) {
			if (ret->query_count == HD_URI_QUERY_MAX)
				return hd_error_set(err, HYDRO_E_LIMIT, "query has more than %u parameters", HD_URI_QUERY_MAX);
			struct hd_uri_pair *pair = &ret->query[ret->query_count++];
			pair->name = decode(p, equals, true, at);
			pair->value = decode(equals < to ? equals + 1 : to, to, true, at);
			if (!pair->name || !*pair->name || !pair->value)
				return hd_error_set(err, HYDRO_E_PARSE, "parameter %u of the query is not valid", ret->query_count);
		}
		p = to < end ? to + 1 : end;
	}
	return HYDRO_OK;
}

int hd_uri_parse(const char *target, size_t len, struct hd_uri *ret, struct hydro_error *err)
{
	ret->segment_count = ret->query_count = 0;
	if (len > HD_URI_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "request target is longer than %u bytes", HD_URI_BYTES_MAX);
	if (len == 0 || target[0] != '/')
		return hd_error_set(err, HYDRO_E_PARSE, "request target does not begin with '/'");
	const char *end = target + len, *question = find(target, end, '?');
	char *at = ret->mem;
	int rc = parse_path(target + 1, question, &at, ret, err);
	if (rc == HYDRO_OK && question < end)
		rc = parse_query(question + 1, end, &at, ret, err);
	return rc;
}
