/* SPDX-License-Identifier: MIT */
/* A growable byte buffer; also for text. All functions [any]; a buffer belongs to one thread at a time. */
#ifndef HD_BASE_BUF_H
#define HD_BASE_BUF_H

#include "base/macros.h"

#include <stdarg.h>
#include <stdbool.h>

/*
 * All zero is an empty buffer. `failed` stays set after a failed allocation; check it once at the end. What a `secret` one holds is wiped when
 * it grows, is cleared or done.
 */
struct hd_buf {
	char *data;
	size_t len;
	size_t cap;
	bool failed;
	bool secret;
};

void hd_buf_done(struct hd_buf *buf); /* empty again, and as secret as it was */
void hd_buf_clear(struct hd_buf *buf);
/* Room for `more` bytes after len; false without memory. */
bool hd_buf_reserve(struct hd_buf *buf, size_t more);
bool hd_buf_add(struct hd_buf *buf, const void *data, size_t len);
bool hd_buf_add_text(struct hd_buf *buf, const char *text);
bool hd_buf_add_char(struct hd_buf *buf, char c);
bool hd_buf_printf(struct hd_buf *buf, const char *fmt, ...) HD_PRINTF(2, 3);
bool hd_buf_vprintf(struct hd_buf *buf, const char *fmt, va_list ap);
/* Text as a JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
bool hd_buf_add_json(struct hd_buf *buf, const char *text, size_t len);
/* A number in JSON's form with the fewest digits that read back the same; NaN and infinities become null. */
bool hd_buf_add_number(struct hd_buf *buf, double value);
/* The content ended by NUL (borrowed), "" when empty; NULL without memory. */
const char *hd_buf_text(struct hd_buf *buf);
/* Owned, to be freed; leaves the buffer empty. NULL without memory. */
char *hd_buf_take(struct hd_buf *buf);

#endif
