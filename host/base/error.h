/* SPDX-License-Identifier: MIT */
#ifndef HD_BASE_ERROR_H
#define HD_BASE_ERROR_H

#include "base/macros.h"

#include <hydro/abi.h>
#include <stdarg.h>

/* How the caller may go on after an error of a code. */
#define HD_RETRY_NEVER 0u   /* the same call will fail again */
#define HD_RETRY_LATER 1u   /* the same call may succeed after a while */
#define HD_RETRY_CHANGED 2u /* after the named thing has been corrected */

struct hd_error_info {
	int32_t code;
	const char *name;     /* "HYDRO_E_IO" */
	const char *slug;     /* "io": problem+json type, metric label */
	uint16_t http_status; /* what a REST answer carries */
	uint16_t retry;       /* HD_RETRY_* */
	const char *title;
};

/* The row of a code; an unknown code has the row of HYDRO_E_FATAL. [any] */
const struct hd_error_info *hd_error_info(int32_t code);

/*
 * Writes code and text where the cause is known and returns code, so that `return hd_error_set(err, …)` reads well.
 * `err` may be NULL. Text longer than the buffer is cut. [any]
 */
int hd_error_set(struct hydro_error *err, int32_t code, const char *fmt, ...) HD_PRINTF(3, 4);
int hd_error_setv(struct hydro_error *err, int32_t code, const char *fmt, va_list ap);
/* As hd_error_set, with ": " and the text of errno's value appended. */
int hd_error_errno(struct hydro_error *err, int32_t code, int errno_value, const char *fmt, ...) HD_PRINTF(4, 5);
/* Appends " (while …)" to a text already set; returns the code it holds. */
int hd_error_while(struct hydro_error *err, const char *fmt, ...) HD_PRINTF(2, 3);
void hd_error_clear(struct hydro_error *err);

#endif
