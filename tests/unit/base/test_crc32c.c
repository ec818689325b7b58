/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/bytes.h"
#include "base/crc32c.h"

Test(crc32c, agrees_with_the_vectors_of_rfc3720)
{
	unsigned char zeros[32] = {0}, ones[32];
	memset(ones, 0xff, sizeof ones);
	cr_assert_eq(hd_crc32c(0, zeros, 32), 0x8a9136aau);
	cr_assert_eq(hd_crc32c(0, ones, 32), 0x62a8ab43u);
	cr_assert_eq(hd_crc32c(hd_crc32c(0, "12345", 5), "6789", 4), 0xe3069283u);
}

Test(bytes, varints_read_back_and_cut_or_long_ones_are_refused)
{
	const uint64_t values[] = {0, 1, 127, 128, 300, UINT64_C(1) << 35, UINT64_MAX};
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		uint8_t bytes[HD_VARINT_MAX];
		uint64_t back = 0;
		uint8_t *end = hd_put_varint(bytes, values[i]);
		cr_assert(hd_get_varint(bytes, end, &back) == end && back == values[i]);
		cr_assert_null(hd_get_varint(bytes, end - 1, &back));
	}
	const uint8_t eleven[11] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0};
	uint64_t back;
	cr_assert_null(hd_get_varint(eleven, eleven + 11, &back));
	cr_assert_eq(hd_unzigzag(hd_zigzag(INT64_MIN)), INT64_MIN);
}
