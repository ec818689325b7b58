/* SPDX-License-Identifier: MIT */
#include "history/rowset.h"

#include "base/array.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES (256u * 1024u)

struct rowset_block {
	struct rowset_block *next;
	size_t used, size;
	_Alignas(16) char data[];
};

void rowset_done(struct rowset *set)
{
	while (set->blocks) {
		struct rowset_block *next = set->blocks->next;
		free(set->blocks);
		set->blocks = next;
	}
	free(set->rows);
	*set = (struct rowset){0};
}

void rowset_clear(struct rowset *set)
{
	while (set->blocks && set->blocks->next) {
		struct rowset_block *next = set->blocks->next;
		free(set->blocks);
		set->blocks = next;
	}
	if (set->blocks)
		set->blocks->used = 0;
	set->count = 0;
}

static void *take(struct rowset *set, size_t bytes)
{
	bytes = (bytes + 15u) & ~(size_t)15u;
	if (!set->blocks || set->blocks->size - set->blocks->used < bytes) {
		size_t size = HD_MAX(bytes, (size_t)BLOCK_BYTES);
		struct rowset_block *block = malloc(sizeof *block + size);
		if (!block)
			return NULL;
		*block = (struct rowset_block){.next = set->blocks, .size = size};
		set->blocks = block;
	}
	void *memory = set->blocks->data + set->blocks->used;
	set->blocks->used += bytes;
	return memory;
}

bool rowset_borrow(struct rowset *set, const struct hd_sample *sample)
{
	if (!HD_RESERVE(set->rows, set->capacity, set->count, 1))
		return false;
	set->rows[set->count++] = *sample;
	return true;
}

/* Empty arrays may be NULL. */
static void *copy(void *to, const void *from, size_t bytes)
{
	return bytes ? memcpy(to, from, bytes) : to;
}

bool rowset_add(struct rowset *set, const struct hd_sample *sample)
{
	size_t raws = sample->raw_count * sizeof(struct hd_value), values = sample->value_count * sizeof(struct hd_value);
	size_t flags = sample->flag_count * sizeof(struct hd_flag);
	char *memory = take(set, raws + values + flags);
	if (!memory || !rowset_borrow(set, sample))
		return false;
	struct hd_sample *row = &set->rows[set->count - 1];
	row->raws = copy(memory, sample->raws, raws);
	row->values = copy(memory + raws, sample->values, values);
	row->flags = copy(memory + raws + values, sample->flags, flags);
	return true;
}

static int order(const struct hd_sample *a, const struct hd_sample *b)
{
	if (a->ts_ms != b->ts_ms)
		return a->ts_ms < b->ts_ms ? -1 : 1;
	return a->rev == b->rev ? 0 : a->rev < b->rev ? -1 : 1;
}

/* Merge sort from the bottom: stable, and one pass when the rows are in order already. */
void rowset_sort(struct rowset *set)
{
	bool sorted = true;
	for (uint32_t i = 1; i < set->count && sorted; i++)
		sorted = order(&set->rows[i - 1], &set->rows[i]) <= 0;
	if (sorted)
		return;
	struct hd_sample *from = set->rows, *to = malloc(set->capacity * sizeof *to);
	if (!to) { /* without memory: by insertion, slow but in place */
		for (uint32_t i = 1; i < set->count; i++)
			for (uint32_t k = i; k > 0 && order(&from[k - 1], &from[k]) > 0; k--) {
				struct hd_sample swap = from[k];
				from[k] = from[k - 1];
				from[k - 1] = swap;
			}
		return;
	}
	for (uint32_t width = 1; width < set->count; width *= 2) {
		for (uint32_t start = 0; start < set->count; start += 2 * width) {
			uint32_t left = start, middle = HD_MIN(start + width, set->count), right = middle, end = HD_MIN(start + 2 * width, set->count);
			for (uint32_t k = start; k < end; k++)
				to[k] = left < middle && (right >= end || order(&from[left], &from[right]) <= 0) ? from[left++] : from[right++];
		}
		struct hd_sample *swap = from;
		from = to;
		to = swap;
	}
	set->rows = from;
	free(to);
}

void rowset_settle(struct rowset *set, bool all_revs)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < set->count; i++) {
		bool replaces = kept && set->rows[kept - 1].ts_ms == set->rows[i].ts_ms && (!all_revs || set->rows[kept - 1].rev == set->rows[i].rev);
		if (!replaces)
			kept++;
		set->rows[kept - 1] = set->rows[i];
	}
	set->count = kept;
}
