/* SPDX-License-Identifier: MIT */
#ifndef HD_BASE_UTF8_H
#define HD_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the bytes are well-formed UTF-8 (no overlong forms, no surrogates, nothing above U+10FFFF). [any] */
bool hd_utf8_valid(const char *text, size_t len);

#endif
