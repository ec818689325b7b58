/* SPDX-License-Identifier: MIT */
#include "base/array.h"

#include <stdlib.h>
#include <string.h>

bool hd_array_grow(void *array, uint32_t *capacity, uint64_t need, size_t size, bool zeroed)
{
	uint64_t wanted = HD_MIN(HD_MAX(need, (uint64_t)*capacity * 2), UINT32_MAX);
	size_t bytes;
	void *items;
	if (need > UINT32_MAX || __builtin_mul_overflow(wanted, size, &bytes))
		return false;
	memcpy(&items, array, sizeof items); /* the pointer may be of any type */
	items = realloc(items, bytes);
	if (!items)
		return false;
	if (zeroed)
		memset((char *)items + *capacity * size, 0, (wanted - *capacity) * size);
	memcpy(array, &items, sizeof items);
	*capacity = (uint32_t)wanted;
	return true;
}
