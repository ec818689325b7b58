/* SPDX-License-Identifier: MIT */
#include "base/hash.h"

#include <string.h>

uint64_t hd_hash(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t h = hd_hash_u64(len);
	for (; len >= 8; p += 8, len -= 8) {
		uint64_t v;
		memcpy(&v, p, sizeof v);
		h = hd_hash_u64(h ^ v);
	}
	if (len) {
		uint64_t v = 0;
		memcpy(&v, p, len);
		h = hd_hash_u64(h ^ v);
	}
	return h;
}
