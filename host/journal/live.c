/* SPDX-License-Identifier: MIT */
#include "journal/internal.h"

#include "base/array.h"
#include "base/hash.h"

#include <stdlib.h>

#define SLOTS_MIN 1024u

static uint32_t slots_for(uint32_t points)
{
	uint32_t slots = SLOTS_MIN;
	while (slots / 2 < points && slots < (1u << 31))
		slots *= 2;
	return slots;
}

int live_new(uint32_t points_hint, bool sparse, struct live_index **ret)
{
	struct live_index *live = calloc(1, sizeof *live);
	uint32_t slots = slots_for(points_hint);
	if (live)
		live->slots = calloc(slots, sizeof *live->slots);
	if (!live || !live->slots) {
		live_free(&live);
		return HYDRO_E_NOMEM;
	}
	live->sparse = sparse;
	live->slot_mask = slots - 1;
	live->min_ts = INT64_MAX;
	live->max_ts = INT64_MIN;
	*ret = live;
	return HYDRO_OK;
}

void live_free(struct live_index **live)
{
	if (!*live)
		return;
	free((*live)->batches);
	free((*live)->previous);
	free((*live)->ordinals);
	free((*live)->slots);
	free(*live);
	*live = NULL;
}

static struct live_slot *slot_of(struct live_slot *slots, uint32_t mask, uint32_t point)
{
	uint32_t i = (uint32_t)hd_hash_u64(point) & mask;
	while (slots[i].last && slots[i].point != point)
		i = (i + 1) & mask;
	return &slots[i];
}

/* So many that all records could be of points not seen before. */
static int reserve_slots(struct live_index *live, uint32_t points)
{
	uint32_t slots = slots_for(points);
	if (slots <= live->slot_mask + 1)
		return HYDRO_OK;
	struct live_slot *bigger = calloc(slots, sizeof *bigger);
	if (!bigger)
		return HYDRO_E_NOMEM;
	for (uint32_t i = 0; i <= live->slot_mask; i++)
		if (live->slots[i].last)
			*slot_of(bigger, slots - 1, live->slots[i].point) = live->slots[i];
	free(live->slots);
	live->slots = bigger;
	live->slot_mask = slots - 1;
	return HYDRO_OK;
}

int live_reserve(struct live_index *live, uint32_t batches, uint32_t records)
{
	if (!HD_RESERVE(live->batches, live->batch_capacity, live->batch_count, batches) ||
	    !HD_RESERVE(live->previous, live->record_capacity, live->record_count, records) ||
	    (live->sparse && !HD_RESERVE(live->ordinals, live->ordinal_capacity, live->record_count, records)))
		return HYDRO_E_NOMEM;
	return reserve_slots(live, live->point_count + records);
}

void live_prefetch(const struct live_index *live, uint32_t point)
{
	__builtin_prefetch(&live->slots[(uint32_t)hd_hash_u64(point) & live->slot_mask], 1);
}

void live_add_batch(struct live_index *live, uint64_t offset, uint64_t ordinal)
{
	HD_ASSERT(live->batch_count < live->batch_capacity && offset <= UINT32_MAX && ordinal <= UINT32_MAX);
	live->batches[live->batch_count++] = (struct batch_entry){(uint32_t)offset, (uint32_t)ordinal};
}

void live_add(struct live_index *live, uint32_t point, uint32_t ordinal, int64_t ts_ms)
{
	HD_ASSERT(live->record_count < live->record_capacity);
	uint32_t number = live->record_count++;
	HD_ASSERT(live->sparse || ordinal == number);
	if (live->sparse)
		live->ordinals[number] = ordinal;
	struct live_slot *slot = slot_of(live->slots, live->slot_mask, point);
	live->previous[number] = slot->last;
	live->point_count += slot->last == 0;
	*slot = (struct live_slot){.last = number + 1, .point = point};
	live->min_ts = HD_MIN(live->min_ts, ts_ms);
	live->max_ts = HD_MAX(live->max_ts, ts_ms);
}

int live_find(const struct live_index *live, uint32_t point, uint32_t **ret, uint32_t *ret_count)
{
	uint32_t count = 0, last = slot_of(live->slots, live->slot_mask, point)->last;
	for (uint32_t at = last; at; at = live->previous[at - 1])
		count++;
	*ret = NULL;
	*ret_count = count;
	if (!count)
		return HYDRO_OK;
	uint32_t *ordinals = malloc(count * sizeof *ordinals);
	if (!ordinals)
		return HYDRO_E_NOMEM;
	for (uint32_t at = last, i = count; at; at = live->previous[at - 1])
		ordinals[--i] = live->sparse ? live->ordinals[at - 1] : at - 1;
	*ret = ordinals;
	return HYDRO_OK;
}
