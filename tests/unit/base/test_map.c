/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/map.h"

Test(map, keeps_what_was_put_through_growth_and_removal)
{
	struct hd_map map = {0};
	for (uint32_t i = 0; i < 5000; i++)
		cr_assert(hd_map_put(&map, &i, sizeof i, i * 3u));
	for (uint32_t i = 0; i < 5000; i += 2)
		cr_assert(hd_map_remove(&map, &i, sizeof i));
	for (uint32_t i = 0; i < 5000; i++) {
		uint64_t value = 0;
		cr_assert_eq(hd_map_get(&map, &i, sizeof i, &value), i % 2 == 1);
		cr_assert(i % 2 == 0 || value == i * 3u);
	}
	size_t iter = 0, n = 0, len;
	const void *key;
	uint64_t value;
	while (hd_map_next(&map, &iter, &key, &len, &value))
		n++;
	cr_assert_eq(n, 2500);
	hd_map_done(&map);
}
