/* SPDX-License-Identifier: MIT */
/* From an HTTP answer to the outcome of one part of a poll: what all providers do alike. [worker] */
#ifndef PROVIDER_ANSWER_H
#define PROVIDER_ANSWER_H

#include "rows.h"

#include <hydro/conv.h>

#define ANSWER_LOGIN 1u             /* the token is from a login: 401 asks for a new one */
#define ANSWER_FORBIDDEN_IS_LOGIN 2u /* and 403 too */
#define ANSWER_404_IS_NO_DATA 4u
#define ANSWER_304_IS_NO_DATA 8u

/* One call of `parse`. */
struct answer {
	const char *provider; /* for the log */
	const hydro_host *host;
	uint32_t rules; /* ANSWER_* */
	const hydro_poll *poll;
	const hydro_http_response *response;
	const hydro_emit *emit;
	hydro_outcome *ret;
	struct hydro_error *err;
	uint32_t limit;     /* rows that were asked for at most; 0 = no limit, no paging */
	uint32_t direction; /* PAGES_* where mode is HISTORY */
};

/* Reads the answer's text once: values by rows_add, false if text or form are wrong. Called twice for long answers. */
typedef bool (*answer_walk)(void *ctx, struct json *j, struct rows *rows);

/* FAILED with the reason in words; returns HYDRO_OK, as `parse` does. Neither tokens nor the answer's text may go into it. */
__attribute__((format(printf, 3, 4))) int32_t answer_failed(struct answer *answer, int32_t code, const char *fmt, ...);

/* The whole of `parse`: HTTP status, text, values, paging. */
int32_t provider_answer_parse(struct answer *answer, answer_walk walk, void *ctx);

/* The limit of rows to ask for: the host's where it is smaller than the instance's. */
uint32_t answer_limit(const hydro_poll *poll, uint32_t page_limit);

#endif
