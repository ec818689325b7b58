/* SPDX-License-Identifier: MIT */
/* The JSON reader of the providers: skipping a text and pulling it apart must agree on whether, and where, it is wrong. */
#include "json.h"
#include "number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Walks by pulling: must come to the same end as skipping. */
static void pull(struct json *j, unsigned depth)
{
	struct json_text text;
	char copy[256];
	double value;
	bool flag;
	switch (json_peek(j)) {
	case JSON_OBJECT:
		if (json_enter_object(j))
			while (json_member(j, &text)) {
				(void)json_text_equal(&text, "value", 5);
				pull(j, depth + 1);
			}
		break;
	case JSON_ARRAY:
		if (json_enter_array(j))
			while (json_element(j))
				pull(j, depth + 1);
		break;
	case JSON_STRING:
		if (json_string(j, &text)) {
			size_t len = json_text_copy(&text, copy, sizeof copy);
			if (len != SIZE_MAX && (len > text.len || copy[len] != 0))
				abort();
			(void)number_parse(text.at, text.len, &value);
		}
		break;
	case JSON_NUMBER:
		(void)json_number(j, &value, &flag);
		break;
	case JSON_BOOL:
		(void)json_bool(j, &flag);
		break;
	default:
		(void)json_skip(j);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json skipped, pulled;
	json_begin(&skipped, (const char *)data, size);
	json_begin(&pulled, (const char *)data, size);
	bool a = json_skip(&skipped) && json_end(&skipped);
	pull(&pulled, 0);
	bool b = json_end(&pulled);
	if (a != b || a != !skipped.error || (!a && json_offset(&skipped) != json_offset(&pulled))) {
		(void)fprintf(stderr, "skip: %s at %zu, pull: %s at %zu\n", skipped.error ? skipped.error : "good", json_offset(&skipped),
			      pulled.error ? pulled.error : "good", json_offset(&pulled));
		abort();
	}
	return 0;
}
