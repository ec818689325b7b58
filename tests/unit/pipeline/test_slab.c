/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

#define BLOCKS 20000u

static void fill(struct hd_slab *slab, uint8_t **blocks, uint32_t bytes, uint8_t with)
{
	for (uint32_t i = 0; i < BLOCKS; i++) {
		blocks[i] = hd_slab_take(slab, bytes);
		cr_assert_not_null(blocks[i]);
		memset(blocks[i], with + (int)(i % 100), bytes);
	}
}

static void check_all(uint8_t **blocks, uint32_t bytes, uint8_t with)
{
	for (uint32_t i = 0; i < BLOCKS; i++)
		for (uint32_t k = 0; k < bytes; k++)
			cr_assert_eq(blocks[i][k], (uint8_t)(with + i % 100), "block %u, byte %u", i, k);
}

Test(slab, blocks_of_a_size_are_apart_and_take_little_more_than_they_hold)
{
	static uint8_t *small[BLOCKS], *large[BLOCKS];
	struct hd_slab *slab = NULL;
	cr_assert_eq(hd_slab_new(&slab), HYDRO_OK);
	fill(slab, small, 208, 1);
	cr_assert_lt(hd_slab_bytes(slab), (uint64_t)BLOCKS * 208 + 2 * 262144);
	fill(slab, large, 1000, 50);
	check_all(small, 208, 1);
	check_all(large, 1000, 50);
	uint64_t bytes = hd_slab_bytes(slab);
	for (uint32_t i = 0; i < BLOCKS; i += 2)
		hd_slab_give(slab, small[i], 208);
	for (uint32_t i = 0; i < BLOCKS; i += 2) {
		small[i] = hd_slab_take(slab, 208);
		memset(small[i], 1 + (int)(i % 100), 208);
	}
	check_all(small, 208, 1);
	cr_assert_eq(hd_slab_bytes(slab), bytes, "what was given is taken again");
	hd_slab_free(&slab);
}

Test(slab, points_that_move_to_another_size_leave_no_memory_behind)
{
	static uint8_t *blocks[BLOCKS];
	struct hd_slab *slab = NULL;
	cr_assert_eq(hd_slab_new(&slab), HYDRO_OK);
	fill(slab, blocks, 64, 1);
	uint64_t most = 0;
	for (uint32_t round = 1, bytes = 64; round < 60; round++) {
		uint32_t next = 64 + round * 13 % 40 * 16;
		for (uint32_t i = 0; i < BLOCKS; i++) { /* as a swap does it */
			uint8_t *block = hd_slab_take(slab, next);
			cr_assert_not_null(block);
			memset(block, 7, next);
			hd_slab_give(slab, blocks[i], bytes);
			blocks[i] = block;
			most = HD_MAX(most, hd_slab_bytes(slab));
		}
		/* One page of each size at most stays empty. */
		cr_assert_leq(hd_slab_bytes(slab), (uint64_t)BLOCKS * next * 102 / 100 + (uint64_t)(round + 2) * 262144, "round %u", round);
		bytes = next;
	}
	cr_assert_lt(most, (uint64_t)BLOCKS * 704 * 2 + 64 * 262144);
	hd_slab_free(&slab);
}

Test(slab, the_largest_plan_fits_and_nothing_is_a_block_too)
{
	struct hd_slab *slab = NULL;
	cr_assert_eq(hd_slab_new(&slab), HYDRO_OK);
	uint32_t largest = HD_PLAN_PARAMS_MAX * (uint32_t)sizeof(double) + HD_PLAN_STATE_BYTES_MAX;
	void *data = hd_slab_take(slab, largest), *nothing = hd_slab_take(slab, 0);
	cr_assert_not_null(data);
	cr_assert_not_null(nothing);
	memset(data, 1, largest);
	hd_slab_give(slab, nothing, 0);
	hd_slab_give(slab, data, largest);
	hd_slab_give(slab, NULL, 64);
	hd_slab_free(&slab);
	hd_slab_free(&slab);
}
