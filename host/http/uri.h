/* SPDX-License-Identifier: MIT */
/* The request target of HTTP, taken apart strictly: RFC 3986 percent-encoding, UTF-8 only, no dot segments. Pure. */
#ifndef HD_HTTP_URI_H
#define HD_HTTP_URI_H

#include "base/error.h"

#include <stdbool.h>

#define HD_URI_BYTES_MAX 4096u
#define HD_URI_SEGMENTS_MAX 16u
#define HD_URI_QUERY_MAX 32u

struct hd_uri_pair {
	const char *name;
	const char *value;
};

/* Texts point into `mem`: a struct is not to be copied. */
struct hd_uri {
	uint32_t segment_count;
	uint32_t query_count;
	const char *segments[HD_URI_SEGMENTS_MAX];
	struct hd_uri_pair query[HD_URI_QUERY_MAX];
	char mem[HD_URI_BYTES_MAX + HD_URI_SEGMENTS_MAX + 2u * HD_URI_QUERY_MAX + 2u];
};

/*
 * Takes "/a/b/?x=1&y=2" apart; one trailing slash is dropped, "/" has no segments. In a query '+' is a blank.
 * HYDRO_E_LIMIT: too long, too many segments or pairs. HYDRO_E_PARSE: no leading '/', an empty, "." or ".." segment, a
 * bad percent-sequence, a decoded control character, invalid UTF-8, a pair without name. [any]
 */
int hd_uri_parse(const char *target, size_t len, struct hd_uri *ret, struct hydro_error *err);

#endif
