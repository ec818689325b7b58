/* SPDX-License-Identifier: MIT */
#include "base/uuid.h"

#include "base/macros.h"

#include <string.h>
#include <sys/random.h>

void hd_random_bytes(void *ret, uint32_t len)
{
	uint8_t *p = ret;
	while (len) {
		ssize_t n = getrandom(p, len, 0);
		if (n > 0) {
			p += n;
			len -= (uint32_t)n;
		}
	}
}

struct hd_uuid hd_uuid_new(void)
{
	struct hd_uuid uuid;
	hd_random_bytes(uuid.bytes, sizeof uuid.bytes);
	uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x40);
	uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
	return uuid;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hd_uuid_parse(const char *text, struct hd_uuid *ret)
{
	struct hd_uuid uuid;
	size_t at = 0;
	for (size_t i = 0; i < 16; i++) {
		if ((i == 4 || i == 6 || i == 8 || i == 10) && text[at++] != '-')
			return false;
		int high = hex_digit(text[at]);
		int low = high < 0 ? -1 : hex_digit(text[at + 1]);
		if (low < 0)
			return false;
		uuid.bytes[i] = (uint8_t)(high << 4 | low);
		at += 2;
	}
	if (text[at] != '\0')
		return false;
	*ret = uuid;
	return true;
}

void hd_uuid_format(const struct hd_uuid *uuid, char ret[HD_UUID_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	size_t at = 0;
	for (size_t i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			ret[at++] = '-';
		ret[at++] = digits[uuid->bytes[i] >> 4];
		ret[at++] = digits[uuid->bytes[i] & 15];
	}
	ret[at] = '\0';
}

bool hd_uuid_equal(const struct hd_uuid *a, const struct hd_uuid *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}
