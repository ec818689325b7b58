/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "collect/collect_impl.h"

Test(schedule, entries_come_out_in_order_of_time_also_after_removals)
{
	struct schedule s = {0};
	enum { COUNT = 5000 };
	cr_assert(schedule_reserve(&s, COUNT - 1));
	for (uint32_t i = 0; i < COUNT; i++)
		schedule_put(&s, i, (int64_t)(hd_hash_u64(i) % 100000));
	for (uint32_t i = 0; i < COUNT; i += 3)
		schedule_remove(&s, i);
	int64_t last = 0;
	uint32_t seen = 0;
	while (s.heap_count) {
		int64_t first = schedule_first_ms(&s);
		uint32_t index = schedule_pop(&s);
		cr_assert_eq(first, (int64_t)(hd_hash_u64(index) % 100000));
		cr_assert_geq(first, last);
		cr_assert_neq(index % 3, 0);
		last = first;
		seen++;
	}
	cr_assert_eq(seen, COUNT - (COUNT + 2) / 3);
	cr_assert_eq(schedule_first_ms(&s), NEVER_MS);
	schedule_done(&s);
}

Test(schedule, a_point_costs_32_bytes)
{
	cr_assert_leq(sizeof(struct entry) + sizeof(int64_t) + sizeof(uint32_t), 32);
}

Test(schedule, the_grid_is_kept_and_spread_evenly)
{
	uint32_t per_second[60] = {0};
	for (uint32_t i = 0; i < 60000; i++) {
		int64_t due = schedule_next_ms(i, 60, 0, 600000);
		cr_assert(due > 600000 && due <= 660000);
		cr_assert_eq(schedule_next_ms(i, 60, 0, due), due + 60000, "the next is a period later");
		cr_assert_eq(schedule_next_ms(i, 60, 0, due - 1), due);
		cr_assert_eq(schedule_next_ms(i, 60, 500, due + 500), due + 60500, "the origin moves the grid");
		per_second[(due - 600001) / 1000]++;
	}
	for (int i = 0; i < 60; i++)
		cr_assert(per_second[i] > 800 && per_second[i] < 1200);
	cr_assert_gt(schedule_next_ms(3, 60, 0, -100000), -100000);
	cr_assert_leq(schedule_next_ms(3, 60, 0, -100000), -40000);
}

Test(schedule, jitter_stays_between_half_and_whole_and_backoff_doubles_to_its_end)
{
	struct hd_collect c = {.random = 1};
	for (int i = 0; i < 1000; i++) {
		int64_t ms = jitter_ms(&c, 1001);
		cr_assert(ms >= 500 && ms <= 1001);
	}
	cr_assert_eq(backoff_ms(5, 0, 100), 5);
	cr_assert_eq(backoff_ms(5, 3, 100), 40);
	cr_assert_eq(backoff_ms(5, 60, 100), 100);
}
