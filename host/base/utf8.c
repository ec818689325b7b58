/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

bool hd_utf8_valid(const char *text, size_t len)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)text;
	for (size_t i = 0; i < len;) {
		uint64_t eight;
		if (len - i >= 8 && (memcpy(&eight, p + i, 8), (eight & UINT64_C(0x8080808080808080)) == 0)) {
			i += 8;
			continue;
		}
		if (p[i] < 0x80) {
			i++;
			continue;
		}
		unsigned more = p[i] >= 0xf0 && p[i] < 0xf8 ? 4 : p[i] >= 0xe0 && p[i] < 0xf0 ? 3 : p[i] >= 0xc0 && p[i] < 0xe0 ? 2 : 0;
		if (more == 0 || len - i < more)
			return false;
		uint32_t code = p[i] & (0x7fu >> more);
		for (unsigned k = 1; k < more; k++) {
			if ((p[i + k] & 0xc0) != 0x80)
				return false;
			code = code << 6 | (p[i + k] & 0x3fu);
		}
		if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
			return false;
		i += more;
	}
	return true;
}
