/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_TWIN_H
#define PROVIDER_TWIN_H

#include <hydro/abi.h>

/* Rows of the option table, in its order. */
enum {
	TWIN_BASE_URL,
	TWIN_PAGE_LIMIT,
	TWIN_KEY_LIST,
	TWIN_FORBIDDEN,
	TWIN_USERNAME,
	TWIN_PASSWORD,
	TWIN_DEVICE,
	TWIN_KEYS,
	TWIN_OPTION_COUNT
};

/* Choices of key_list and forbidden, in their order. */
enum { TWIN_KEYS_COMMA, TWIN_KEYS_SINGLE };
enum { TWIN_FORBIDDEN_LOGIN, TWIN_FORBIDDEN_FAILED };

struct twin {
	const hydro_host *host;
	char *base;
	uint32_t page_limit;
	uint32_t key_list;
	uint32_t forbidden;
};

/* Life of a token whose claims name none. */
#define TWIN_TOKEN_LIFE_MS INT64_C(3300000)

int32_t twin_login_request(void *instance, const hydro_options *account, hydro_scratch *scratch, hydro_http_request *ret,
			   struct hydro_error *err);
int32_t twin_login_parse(void *instance, const hydro_options *account, const hydro_http_response *response, hydro_token *ret,
			 struct hydro_error *err);

#endif
