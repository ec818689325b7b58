/* SPDX-License-Identifier: MIT */
#ifndef HD_BASE_UUID_H
#define HD_BASE_UUID_H

#include <stdbool.h>
#include <stdint.h>

#define HD_UUID_TEXT 37u /* with the ending NUL */

struct hd_uuid {
	uint8_t bytes[16];
};

/* A random (version 4) UUID from the kernel's generator. [any] */
struct hd_uuid hd_uuid_new(void);
/* The 8-4-4-4-12 form, either case; false if text is anything else. [any] */
bool hd_uuid_parse(const char *text, struct hd_uuid *ret);
void hd_uuid_format(const struct hd_uuid *uuid, char ret[HD_UUID_TEXT]);
bool hd_uuid_equal(const struct hd_uuid *a, const struct hd_uuid *b);
/* `len` random bytes from the kernel. [any] */
void hd_random_bytes(void *ret, uint32_t len);

#endif
