/* SPDX-License-Identifier: MIT */
#include "filing/pace.h"

#include "../check.h"
#include "base/hash.h"
#include "base/macros.h"

#include <stdlib.h>

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DUE (HOUR * 1000)

static const struct hd_pace_rules rules = {.send_from_ms = 2 * MINUTE, .send_until_ms = 50 * MINUTE, .deadline_ms = HOUR, .reserve_ms = 3 * MINUTE};

Test(pace, turns_are_spread_evenly_over_the_hour)
{
	uint32_t tenths[10] = {0};
	for (uint64_t i = 0; i < 10000; i++) {
		int64_t turn = hd_pace_turn(&rules, hd_hash_u64(i), DUE, DUE);
		cr_assert(turn >= DUE + 2 * MINUTE && turn < DUE + 50 * MINUTE);
		tenths[(turn - DUE - 2 * MINUTE) * 10 / (48 * MINUTE)]++;
	}
	for (int i = 0; i < 10; i++)
		cr_assert(tenths[i] > 850 && tenths[i] < 1150);
}

Test(pace, a_turn_leaves_the_reserve_before_the_measurements_deadline)
{
	for (uint64_t i = 0; i < 1000; i++)
		cr_assert_leq(hd_pace_turn(&rules, hd_hash_u64(i), DUE, DUE - 30 * MINUTE), DUE + 27 * MINUTE);
}

Test(pace, what_failed_goes_again_with_the_next_local_day)
{
	int64_t midnight = INT64_C(1767240000000); /* in UTC-4 */
	cr_assert_eq(hd_pace_retry(-14400, midnight - 1), midnight);
	cr_assert_eq(hd_pace_retry(-14400, midnight), midnight + 24 * HOUR);
}

static struct hd_pace_pick pick(int64_t now, int64_t free, const struct hd_pace_slot *slots, uint32_t count)
{
	struct hd_pace_picker picker;
	hd_pace_pick_begin(&picker, now, free, 5 * MINUTE);
	for (uint32_t i = 0; i < count; i++)
		hd_pace_pick_add(&picker, &slots[i]);
	return hd_pace_pick_end(&picker);
}

Test(pace, fresh_goes_before_backlog_and_backlog_by_least_slack)
{
	struct hd_pace_slot slots[] = {
		{.deadline_ms = DUE - 1, .limit_ms = DUE + 20 * HOUR},
		{.deadline_ms = DUE - 1, .limit_ms = DUE + 10 * HOUR},
		{.deadline_ms = DUE - 1, .limit_ms = DUE - HOUR},
		{.deadline_ms = DUE + 30 * MINUTE, .limit_ms = DUE + 100 * HOUR},
	};
	cr_assert_eq(pick(DUE, 0, slots, 4).chosen, 3);
	cr_assert_eq(pick(DUE, 0, slots, 4).class, HD_PACE_FRESH);
	cr_assert_eq(pick(DUE, 0, slots, 3).chosen, 1);
	cr_assert_eq(pick(DUE, 0, &slots[2], 1).class, HD_PACE_OVER_LAG);
}

Test(pace, a_work_waits_for_its_spacing_and_keeps_it_free_for_a_fresh_slot)
{
	struct hd_pace_slot slots[] = {
		{.deadline_ms = DUE - 1, .limit_ms = DUE + 20 * HOUR},
		{.deadline_ms = DUE + HOUR, .limit_ms = DUE + 100 * HOUR, .not_before_ms = DUE + 3 * MINUTE},
	};
	cr_assert_eq(pick(DUE, DUE + MINUTE, slots, 1).chosen, UINT32_MAX);
	cr_assert_eq(pick(DUE, DUE + MINUTE, slots, 1).next_ms, DUE + MINUTE);
	/* The fresh one has its turn in 3 minutes: the late one would push it back. */
	cr_assert_eq(pick(DUE, 0, slots, 2).chosen, UINT32_MAX);
	cr_assert_eq(pick(DUE, 0, slots, 2).next_ms, DUE + 3 * MINUTE);
	slots[1].not_before_ms = DUE + 6 * MINUTE;
	cr_assert_eq(pick(DUE, 0, slots, 2).chosen, 0);
}

Test(pace, a_busy_gate_opens_once_an_interval_and_never_early)
{
	struct hd_pace_gate gate = {0};
	int64_t last = 0, calls = 0;
	hd_pace_gate_set(&gate, 1, 0);
	for (int64_t now = 10007; now < 70007; now++) {
		if (!hd_pace_gate_open(&gate, now))
			continue;
		if (last)
			cr_assert_geq(now - last, 1000);
		last = now;
		calls++;
		hd_pace_gate_take(&gate, now);
	}
	cr_assert(calls >= 58 && calls <= 60);
	cr_assert_eq(last % 1000, 0);
}

Test(pace, a_call_that_went_later_than_its_turn_holds_the_gate_an_interval_from_then)
{
	struct hd_pace_gate gate = {0};
	hd_pace_gate_set(&gate, 1, 30);
	hd_pace_gate_take(&gate, 10000);
	hd_pace_gate_went(&gate, 10020);
	cr_assert_eq(gate.next_ms, 11000);
	hd_pace_gate_went(&gate, 10800);
	cr_assert_eq(gate.next_ms, 11770);
}

Test(pace, a_gate_of_a_rate_that_is_no_whole_interval_keeps_the_rate)
{
	struct hd_pace_gate gate = {0};
	int64_t calls = 0;
	hd_pace_gate_set(&gate, 7, 0);
	for (int64_t now = 0; now < 100000; now++)
		if (hd_pace_gate_open(&gate, now)) {
			hd_pace_gate_take(&gate, now);
			calls++;
		}
	cr_assert(calls >= 690 && calls <= 701);
}

Test(pace, a_circuit_opens_after_failures_in_a_row_and_is_probed)
{
	struct hd_pace_circuit circuit = {0};
	for (int i = 0; i < 4; i++)
		hd_pace_circuit_failed(&circuit, 5, 5 * MINUTE, DUE);
	cr_assert(!hd_pace_circuit_is_open(&circuit));
	hd_pace_circuit_failed(&circuit, 5, 5 * MINUTE, DUE);
	cr_assert(hd_pace_circuit_is_open(&circuit));
	cr_assert_eq(circuit.probe_ms, DUE + 5 * MINUTE);
	hd_pace_circuit_good(&circuit);
	cr_assert(!hd_pace_circuit_is_open(&circuit));
}

Test(pace, a_probe_is_a_check_or_a_slot_that_was_never_sent)
{
	struct hd_pace_call call = {.post = true, .probing = true};
	cr_assert_eq(hd_pace_choose(&call), HD_PACE_NOTHING);
	call.post_never_sent = true;
	cr_assert_eq(hd_pace_choose(&call), HD_PACE_POST);
	call.check = true;
	cr_assert_eq(hd_pace_choose(&call), HD_PACE_CHECK);
}

Test(pace, checks_fill_what_is_left_and_alternate_once_they_have_waited_too_long)
{
	struct hd_pace_call call = {.post = true, .check = true, .post_class = HD_PACE_FRESH, .check_waits_ms = MINUTE, .check_bound_ms = 30 * MINUTE};
	cr_assert_eq(hd_pace_choose(&call), HD_PACE_POST);
	call.check_waits_ms = 31 * MINUTE;
	cr_assert_eq(hd_pace_choose(&call), HD_PACE_CHECK);
	call.last_was_check = true;
	cr_assert_eq(hd_pace_choose(&call), HD_PACE_POST);
	call = (struct hd_pace_call){.check = true};
	cr_assert_eq(hd_pace_choose(&call), HD_PACE_CHECK);
}

Test(pace, a_heap_gives_class_then_time_whatever_is_moved_and_removed)
{
	enum { COUNT = 500 };
	struct hd_pace_heap heap = {0};
	struct hd_pace_node *nodes = calloc(COUNT, sizeof *nodes), *top;
	uint64_t random = 1;
	uint32_t left = 0;
	for (uint32_t i = 0; i < COUNT * 4; i++) {
		random = hd_hash_u64(random);
		struct hd_pace_node *node = &nodes[random % COUNT];
		if (random >> 60 == 0)
			hd_pace_heap_remove(&heap, node);
		else
			cr_assert(hd_pace_heap_put(&heap, node, (uint32_t)(random >> 20) % 3, (int64_t)(random >> 32)));
	}
	for (uint32_t i = 0; i < COUNT; i++)
		left += nodes[i].at != 0;
	cr_assert_eq(left, heap.count);
	uint32_t class = 0;
	int64_t order = INT64_MIN;
	while ((top = hd_pace_heap_top(&heap))) {
		cr_assert(top->class > class || (top->class == class && top->order_ms >= order));
		class = top->class;
		order = top->order_ms;
		hd_pace_heap_remove(&heap, top);
		left--;
	}
	cr_assert_eq(left, 0);
	hd_pace_heap_done(&heap);
	free(nodes);
}
