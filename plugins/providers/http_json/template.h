/* SPDX-License-Identifier: MIT */
/* Texts with placeholders: "https://h/{device}/data?from={from}". A brace that begins no {name} stands for itself. [any] */
#ifndef PROVIDER_TEMPLATE_H
#define PROVIDER_TEMPLATE_H

#include "pages.h"
#include "text.h"

/* Placeholders that are not of the point's params. */
#define TEMPLATE_TOKEN 1u
#define TEMPLATE_KEY 2u
#define TEMPLATE_FROM 4u
#define TEMPLATE_TO 8u
#define TEMPLATE_NOW 16u
#define TEMPLATE_LIMIT 32u
#define TEMPLATE_PARAM 64u /* any other name */

enum template_escape { TEMPLATE_URL, TEMPLATE_JSON, TEMPLATE_HEADER };

struct template_values {
	const hydro_options *point;
	uint32_t params_row; /* the point's MAP option with the values of other names */
	const char *token, *key;
	int64_t from_ms, to_ms, now_ms;
	uint32_t limit;
	enum text_date date_format;
	bool redact; /* "***" in place of the token */
};

/* TEMPLATE_* of all placeholders in the text. */
uint32_t template_uses(const char *text);
/* The first name that is neither built in nor among the point's params, in `ret_name` (cut to its size); false if all are there. */
bool template_unknown(const char *text, const hydro_options *point, uint32_t params_row, char *ret_name, size_t size);
/* Puts the text with its placeholders replaced; those without a value become nothing. */
void template_put(struct text *t, const char *text, const struct template_values *values, enum template_escape escape);

#endif
