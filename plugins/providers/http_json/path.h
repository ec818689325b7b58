/* SPDX-License-Identifier: MIT */
/*
 * Where a value is in a JSON text: a small part of JSONPath (RFC 9535), always of one place.
 *
 *	data.values[0].v      members and an index; the first name needs no dot
 *	["a.b"].c             a name with dots or brackets
 *	$.time                from the root of the text, not from the item
 *	{key}.value           a member named by the point's key
 *	(nothing)             the value itself
 */
#ifndef PROVIDER_PATH_H
#define PROVIDER_PATH_H

#include "json.h"

#define PATH_LENGTH_MAX 512u

/* [any] */
bool path_is_valid(const char *path);
bool path_is_absolute(const char *path);
/* True if a step is {key}. */
bool path_uses_key(const char *path);
/*
 * Goes from the value that j stands before to the one at the path; false if it is not there, with j anywhere. The text must
 * have been checked before (json_skip): what is not on the way is passed over. Of members with one name the first counts.
 */
bool path_find(struct json *j, const char *path, const char *key);

#endif
