/* SPDX-License-Identifier: MIT */
/*
 * A pull reader of JSON texts (RFC 8259): in place, without allocation, strict, bounded in depth. All [any].
 *
 * The caller asks for what it expects; whatever it asks is checked against the grammar. The first thing that is wrong is
 * kept in `error` and every later call fails, so a caller may check once at its end:
 *
 *	json_begin(&j, text, len);
 *	if (json_enter_array(&j))
 *		while (json_element(&j))
 *			json_skip(&j);          // each element and member value is consumed by exactly one call
 *	if (!json_end(&j)) …
 *
 * Strings must be valid UTF-8; a byte order mark in front is passed over. A member that comes twice is not an error here.
 */
#ifndef PROVIDER_JSON_H
#define PROVIDER_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 64u
/* Strings with escapes are compared and decoded up to this length. */
#define JSON_ESCAPED_MAX 512u

enum json_kind { JSON_NONE, JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_BOOL, JSON_NULL };

struct json {
	const char *begin, *p, *end;
	const char *error; /* static text; NULL while all is well */
	uint32_t depth;
	bool fresh; /* just behind an opening bracket */
};

/* The inside of a string as it stands in the text. */
struct json_text {
	const char *at;
	size_t len;
	bool escaped;
};

void json_begin(struct json *j, const char *text, size_t len);
/* True if nothing but blanks is left and nothing was wrong. */
bool json_end(struct json *j);
/* Marks the text as wrong; false. Only the first reason is kept. */
bool json_fail(struct json *j, const char *why);
/* Bytes read so far: where the error is. */
size_t json_offset(const struct json *j);

/* What comes next, without taking it; JSON_NONE = nothing that can begin a value (and the text is marked as wrong). */
enum json_kind json_peek(struct json *j);
bool json_enter_object(struct json *j);
/* The next member's name; false at the object's end (which is taken) and on errors. */
bool json_member(struct json *j, struct json_text *ret_name);
bool json_enter_array(struct json *j);
/* True if another element follows; false at the array's end (which is taken) and on errors. */
bool json_element(struct json *j);
bool json_string(struct json *j, struct json_text *ret);
/* A number that no double can hold sets *ret_fits = false; it is no error of the text. */
bool json_number(struct json *j, double *ret, bool *ret_fits);
bool json_bool(struct json *j, bool *ret);
/* Takes one value of any kind, checking all of it. */
bool json_skip(struct json *j);

bool json_text_equal(const struct json_text *text, const char *other, size_t len);
/* Copies without escapes, ended by NUL; the length, or SIZE_MAX if it does not fit or holds NUL or half a surrogate pair. */
size_t json_text_copy(const struct json_text *text, char *ret, size_t size);

#endif
