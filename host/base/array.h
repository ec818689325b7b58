/* SPDX-License-Identifier: MIT */
/* Growing an array that stands in its owner's struct as a pointer, a capacity and a count. All functions [any]. */
#ifndef HD_BASE_ARRAY_H
#define HD_BASE_ARRAY_H

#include "base/macros.h"

#include <stdbool.h>

/*
 * Room for `more` items behind the first `count` of `array`, which moves when it has none: before a row is added, HD_RESERVE(s->rows,
 * s->capacity, s->count, 1); before a place is written to, HD_RESERVE(s->rows, s->capacity, place, 1). NULL with a capacity of 0 is an empty
 * array; free() ends one. The capacity, a uint32_t, becomes what is needed or doubles, whichever is more. false without memory, or when that
 * many items do not fit into a uint32_t or their bytes into a size_t: then array and capacity are as before.
 */
#define HD_RESERVE(array, capacity, count, more) hd_array_reserve(&(array), &(capacity), (count), (more), sizeof *(array), false)
/* The same; items that were not there before are all zero. */
#define HD_RESERVE_ZEROED(array, capacity, count, more) hd_array_reserve(&(array), &(capacity), (count), (more), sizeof *(array), true)

/* The macros' slow half. `array` is the address of the pointer to the items, which have `size` bytes each. */
bool hd_array_grow(void *array, uint32_t *capacity, uint64_t need, size_t size, bool zeroed);

HD_NODISCARD static inline bool hd_array_reserve(void *array, uint32_t *capacity, uint32_t count, uint32_t more, size_t size, bool zeroed)
{
	uint64_t need = (uint64_t)count + more;
	return HD_LIKELY(need <= *capacity) || hd_array_grow(array, capacity, need, size, zeroed);
}

#endif
