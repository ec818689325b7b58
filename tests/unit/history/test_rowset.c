/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "history/rowset.h"

Test(rowset, rows_sort_by_time_and_revision_and_the_highest_revision_wins)
{
	static const struct { int64_t ts; uint16_t rev; double value; } in[] = {{300, 0, 1}, {100, 0, 2}, {200, 1, 3}, {200, 0, 4}, {300, 0, 5}, {200, 2, 6}};
	struct rowset set = {0};
	for (int repeat = 0; repeat < 2; repeat++) {
		rowset_clear(&set);
		for (size_t i = 0; i < sizeof in / sizeof in[0]; i++) {
			struct hd_value value = {in[i].value, 1, 1};
			struct hd_sample sample = {.ts_ms = in[i].ts, .rev = in[i].rev, .value_count = 1, .values = &value};
			cr_assert(rowset_add(&set, &sample));
		}
		rowset_sort(&set);
		rowset_settle(&set, true);
		cr_assert_eq(set.count, 5, "of two equal (ts, rev) the last stays");
		cr_assert_eq(set.rows[4].values[0].value, 5);
		rowset_settle(&set, false);
		cr_assert_eq(set.count, 3);
		cr_assert(set.rows[0].ts_ms == 100 && set.rows[1].ts_ms == 200 && set.rows[1].values[0].value == 6);
	}
	rowset_done(&set);
}

Test(rowset, many_rows_in_random_order_come_out_sorted)
{
	struct rowset set = {0};
	uint32_t x = 1;
	for (uint32_t i = 0; i < 5000; i++) {
		x = x * 1664525u + 1013904223u;
		struct hd_sample sample = {.ts_ms = x % 3000, .rev = (uint16_t)(x >> 20)};
		cr_assert(rowset_add(&set, &sample));
	}
	rowset_sort(&set);
	for (uint32_t i = 1; i < set.count; i++)
		cr_assert(set.rows[i - 1].ts_ms < set.rows[i].ts_ms || (set.rows[i - 1].ts_ms == set.rows[i].ts_ms && set.rows[i - 1].rev <= set.rows[i].rev));
	rowset_done(&set);
}
