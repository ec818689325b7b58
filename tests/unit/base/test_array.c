/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/array.h"

#include <stdlib.h>

/* By the linker's --wrap; the thread of the test gets none. */
static _Thread_local bool no_memory;
static _Thread_local size_t asked; /* bytes of the last call */

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_realloc(void *old, size_t size)
{
	asked = size;
	return no_memory ? NULL : __real_realloc(old, size);
}

struct numbers {
	int64_t *list;
	uint32_t count, capacity;
};

Test(array, items_stay_as_they_are_while_it_grows)
{
	struct numbers n = {0};
	for (uint32_t i = 0; i < 1000; i++) {
		cr_assert(HD_RESERVE(n.list, n.capacity, n.count, 1));
		cr_assert_gt(n.capacity, n.count);
		n.list[n.count++] = i * 7;
	}
	for (uint32_t i = 0; i < n.count; i++)
		cr_assert_eq(n.list[i], i * 7);
	free(n.list);
}

Test(array, the_capacity_doubles_or_is_what_is_needed)
{
	struct numbers n = {0};
	cr_assert(HD_RESERVE(n.list, n.capacity, 0, 5));
	cr_assert_eq(n.capacity, 5);
	cr_assert(HD_RESERVE(n.list, n.capacity, 5, 1));
	cr_assert_eq(n.capacity, 10);
	cr_assert(HD_RESERVE(n.list, n.capacity, 9, 40));
	cr_assert_eq(n.capacity, 49);
	free(n.list);
}

Test(array, with_room_nothing_moves)
{
	struct numbers n = {0};
	cr_assert(HD_RESERVE(n.list, n.capacity, 0, 8));
	const int64_t *before = n.list;
	cr_assert(HD_RESERVE(n.list, n.capacity, 7, 1) && HD_RESERVE(n.list, n.capacity, 8, 0) && HD_RESERVE(n.list, n.capacity, 0, 0));
	cr_assert_eq(n.list, before);
	cr_assert_eq(n.capacity, 8);
	free(n.list);
}

Test(array, an_empty_one_has_room_for_nothing)
{
	struct numbers n = {0};
	cr_assert(HD_RESERVE(n.list, n.capacity, 0, 0));
	cr_assert_null(n.list);
	cr_assert_eq(n.capacity, 0);
}

Test(array, only_what_is_new_is_zeroed)
{
	struct numbers n = {0};
	cr_assert(HD_RESERVE_ZEROED(n.list, n.capacity, 3, 1)); /* the place of number 3 */
	for (uint32_t i = 0; i < n.capacity; i++) {
		cr_assert_eq(n.list[i], 0);
		n.list[i] = 9;
	}
	cr_assert(HD_RESERVE_ZEROED(n.list, n.capacity, 100, 1));
	cr_assert_eq(n.capacity, 101);
	for (uint32_t i = 0; i < n.capacity; i++)
		cr_assert_eq(n.list[i], i < 4 ? 9 : 0);
	free(n.list);
}

/* Refused before any memory is asked for. */
static void refuses(uint32_t capacity, uint32_t count, uint32_t more, size_t size)
{
	int64_t *list = NULL;
	uint32_t now = capacity;
	asked = 0;
	cr_assert_not(hd_array_reserve(&list, &now, count, more, size, true));
	cr_assert_eq(asked, 0);
	cr_assert_null(list);
	cr_assert_eq(now, capacity);
}

Test(array, more_items_than_a_uint32_counts_are_refused)
{
	refuses(UINT32_MAX, UINT32_MAX, 1, 1);
	refuses(1, UINT32_MAX, UINT32_MAX, 1);
	refuses(UINT32_MAX - 1, UINT32_MAX - 1, 2, 1);
}

Test(array, doubling_ends_at_what_a_uint32_counts)
{
	char *bytes = NULL;
	uint32_t capacity = UINT32_MAX - 5;
	no_memory = true;
	bool grown = HD_RESERVE(bytes, capacity, UINT32_MAX - 5, 1);
	no_memory = false;
	cr_assert_not(grown);
	cr_assert_eq(asked, UINT32_MAX);
}

Test(array, more_bytes_than_a_size_t_counts_are_refused)
{
	refuses(1, 1, 1, SIZE_MAX / 2 + 1);
	refuses(3, 3, 1, SIZE_MAX / 5);
	refuses(UINT32_MAX / 2 + 1, UINT32_MAX / 2 + 1, 1, SIZE_MAX / UINT32_MAX + 1);
}

Test(array, without_memory_all_stays_as_it_was)
{
	struct numbers n = {0};
	cr_assert(HD_RESERVE(n.list, n.capacity, 0, 2));
	n.list[0] = 3;
	const int64_t *before = n.list;
	no_memory = true;
	bool grown = HD_RESERVE(n.list, n.capacity, 2, 1), zeroed = HD_RESERVE_ZEROED(n.list, n.capacity, 2, 1);
	no_memory = false;
	cr_assert(!grown && !zeroed);
	cr_assert_eq(n.list, before);
	cr_assert_eq(n.capacity, 2);
	cr_assert_eq(n.list[0], 3);
	free(n.list);
}
