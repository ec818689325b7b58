/* SPDX-License-Identifier: MIT */
/* Text built in the host's scratch memory: URLs, headers, bodies. All [any]. */
#ifndef PROVIDER_TEXT_H
#define PROVIDER_TEXT_H

#include <hydro/conv.h>
#include <stdbool.h>

/* One text at a time per scratch: nothing else may be taken from it between text_begin and text_end. */
struct text {
	hydro_scratch *scratch;
	char *at;
	size_t room; /* bytes that `at` has */
	size_t len;  /* bytes put so far, beyond `room` too */
};

/* What a secret becomes in a text for the log. */
#define TEXT_REDACTED "***"

enum text_date {
	TEXT_DATE_ISO,     /* 2026-01-01T00:00:00.000Z */
	TEXT_DATE_COMPACT, /* 20260101000000 */
	TEXT_DATE_MS,      /* ms since 1970 */
	TEXT_DATE_S        /* s since 1970 */
};
/* The rows of the enum as the choices of an option, in its order. */
#define TEXT_DATE_CHOICES "iso|compact|ms|s"

void text_begin(struct text *t, hydro_scratch *scratch);
/* The text, ended by NUL; NULL if the scratch is too small: return HYDRO_E_LIMIT then. */
const char *text_end(struct text *t);

void text_put(struct text *t, const char *s);
void text_put_bytes(struct text *t, const char *s, size_t len);
void text_put_int(struct text *t, int64_t value);
/* Percent-encodes all but the unreserved characters of RFC 3986: safe in a path segment and in a query. */
void text_put_url(struct text *t, const char *s);
/* The inside of a JSON string. */
void text_put_json(struct text *t, const char *s);
/* UTC. Formats of whole seconds go down, or up with `round_up`, so that a window loses nothing. Years 0000–9999. */
void text_put_date(struct text *t, int64_t ms, enum text_date format, bool round_up);

/* True if it may stand in a header: visible ASCII and blanks inside, at least one character. */
bool text_is_header_value(const char *s);
/* True if it may be a path segment: not empty, and not "." or "..", which clients resolve before sending. */
bool text_is_segment(const char *s);

#endif
