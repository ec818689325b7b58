/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_HTTP_JSON_H
#define PROVIDER_HTTP_JSON_H

#include "options.h"
#include "rows.h"

/* Rows of the option table, in its order. */
enum {
	HJ_URL,
	HJ_HISTORY_URL,
	HJ_METHOD,
	HJ_BODY,
	HJ_HISTORY_BODY,
	HJ_HEADERS,
	HJ_DATE_FORMAT,
	HJ_ITEMS,
	HJ_MISSING_ITEMS,
	HJ_TS,
	HJ_TS_FORMAT,
	HJ_VALUE,
	HJ_ORDER,
	HJ_PAGE_LIMIT,
	HJ_ACCOUNT_TOKEN,
	HJ_TOKEN,
	HJ_PARAMS,
	HJ_KEYS,
	HJ_OPTION_COUNT
};

/* Choices, in their order. */
enum { HJ_METHOD_GET, HJ_METHOD_POST };
enum { HJ_MISSING_FAILED, HJ_MISSING_NO_DATA };
enum { HJ_ORDER_ANY, HJ_ORDER_ASC, HJ_ORDER_DESC };

/* The mapping from an answer to values: the instance's options in a form of its own. Owned by the instance. */
struct mapping {
	char *items, *ts, *value; /* paths; value "" = each key is a path of its own */
	enum ts_format ts_format;
	uint32_t missing_items;
};

/* One reading of an answer by a mapping. */
struct mapping_walk {
	const struct mapping *mapping;
	struct keys keys;
	uint32_t first, end; /* entries that the part asks for */
	struct json root;    /* before the text's value */
	uint64_t items, found;
};

/* An answer_walk; ctx is a struct mapping_walk with mapping, keys, first and end set. */
bool mapping_walk_answer(void *ctx, struct json *j, struct rows *rows);

#endif
