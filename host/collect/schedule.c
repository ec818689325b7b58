/* SPDX-License-Identifier: MIT */
/* Due times of all points: a 4-ary heap of indices over an array of times. A point's place is in its entry. */
#include "collect/collect_impl.h"

#include "base/array.h"

#include <stdlib.h>

#define ARITY 4u

bool schedule_reserve(struct schedule *s, uint32_t index)
{
	if (!HD_RESERVE(s->entries, s->entry_capacity, index, 1) || !HD_RESERVE(s->due_ms, s->due_capacity, index, 1) ||
	    !HD_RESERVE(s->heap, s->heap_capacity, index, 1))
		return false;
	while (s->count <= index) {
		s->entries[s->count] = (struct entry){.state = ENTRY_OFF, .link = HD_POINT_NONE};
		s->due_ms[s->count++] = 0;
	}
	return true;
}

void schedule_done(struct schedule *s)
{
	free(s->entries);
	free(s->due_ms);
	free(s->heap);
	*s = (struct schedule){0};
}

static void place(struct schedule *s, uint32_t at, uint32_t index)
{
	s->heap[at] = index;
	s->entries[index].link = at;
}

static void rise(struct schedule *s, uint32_t at, uint32_t index)
{
	while (at > 0) {
		uint32_t parent = (at - 1) / ARITY;
		if (s->due_ms[s->heap[parent]] <= s->due_ms[index])
			break;
		place(s, at, s->heap[parent]);
		at = parent;
	}
	place(s, at, index);
}

static void sink(struct schedule *s, uint32_t at, uint32_t index)
{
	for (;;) {
		uint32_t first = at * ARITY + 1, best = first;
		if (first >= s->heap_count)
			break;
		uint32_t end = HD_MIN(first + ARITY, s->heap_count);
		for (uint32_t child = first + 1; child < end; child++)
			if (s->due_ms[s->heap[child]] < s->due_ms[s->heap[best]])
				best = child;
		if (s->due_ms[s->heap[best]] >= s->due_ms[index])
			break;
		place(s, at, s->heap[best]);
		at = best;
	}
	place(s, at, index);
}

void schedule_put(struct schedule *s, uint32_t index, int64_t due_ms)
{
	s->due_ms[index] = due_ms;
	s->entries[index].state = ENTRY_TIMED;
	rise(s, s->heap_count++, index);
}

void schedule_remove(struct schedule *s, uint32_t index)
{
	uint32_t at = s->entries[index].link;
	HD_ASSERT(s->entries[index].state == ENTRY_TIMED && s->heap[at] == index);
	uint32_t last = s->heap[--s->heap_count];
	s->entries[index].state = ENTRY_OFF;
	s->entries[index].link = HD_POINT_NONE;
	if (last == index)
		return;
	if (at > 0 && s->due_ms[s->heap[(at - 1) / ARITY]] > s->due_ms[last])
		rise(s, at, last);
	else
		sink(s, at, last);
}

int64_t schedule_first_ms(const struct schedule *s)
{
	return s->heap_count ? s->due_ms[s->heap[0]] : NEVER_MS;
}

uint32_t schedule_pop(struct schedule *s)
{
	uint32_t index = s->heap[0];
	schedule_remove(s, index);
	return index;
}

int64_t schedule_next_ms(uint32_t index, uint32_t period_s, int64_t origin_ms, int64_t now_ms)
{
	int64_t period_ms = (int64_t)HD_MAX(period_s, HD_COLLECT_PERIOD_S_MIN) * HD_MS_PER_S;
	int64_t phase_ms = (int64_t)(hd_hash_u64(index) % (uint64_t)period_ms);
	int64_t since = now_ms - origin_ms - phase_ms;
	int64_t turns = since / period_ms - (since % period_ms < 0);
	return origin_ms + phase_ms + (turns + 1) * period_ms;
}
