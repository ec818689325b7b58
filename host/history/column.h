/* SPDX-License-Identifier: MIT */
/* A column of doubles in the cheapest form that reads back bit for bit. */
#ifndef HD_HISTORY_COLUMN_H
#define HD_HISTORY_COLUMN_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* What a column may be predicted from: an earlier column with a value for each of its rows, and the rows' times. */
struct hd_column_context {
	const double *const *earlier; /* columns already written, each with a row per sample (NaN where absent) */
	uint32_t earlier_count;
	const uint32_t *rows;  /* sample index of each value */
	const int64_t *ts_ms;  /* time of each sample */
};

/* Appends the form byte and the payload. */
bool hd_column_encode(struct hd_buf *ret, const double *values, uint32_t count, const struct hd_column_context *context);
/* Reads `count` values from [p, end); the next position, or NULL when it does not check. */
const uint8_t *hd_column_decode(const uint8_t *p, const uint8_t *end, double *ret, uint32_t count, const struct hd_column_context *context);

#endif
