/* SPDX-License-Identifier: MIT */
#include "base/map.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 16u

struct hd_map_slot {
	char *key; /* NULL: free; &deleted: was used */
	size_t key_len;
	uint64_t hash;
	uint64_t value;
};

static char deleted;

void hd_map_done(struct hd_map *map)
{
	for (size_t i = 0; map->slots && i <= map->mask; i++)
		if (map->slots[i].key != &deleted)
			free(map->slots[i].key);
	free(map->slots);
	*map = (struct hd_map){0};
}

/* The slot of the key, or the first free one on its way. */
static struct hd_map_slot *find(const struct hd_map *map, const void *key, size_t key_len, uint64_t hash)
{
	struct hd_map_slot *reuse = NULL;
	for (size_t i = hash & map->mask;; i = (i + 1) & map->mask) {
		struct hd_map_slot *slot = &map->slots[i];
		if (!slot->key)
			return reuse ? reuse : slot;
		if (slot->key == &deleted) {
			if (!reuse)
				reuse = slot;
		} else if (slot->hash == hash && slot->key_len == key_len && memcmp(slot->key, key, key_len) == 0) {
			return slot;
		}
	}
}

static bool grow(struct hd_map *map)
{
	size_t want = FIRST_SLOTS;
	while (want < map->used * 4)
		want *= 2;
	struct hd_map next = {.slots = calloc(want, sizeof *next.slots), .mask = want - 1};
	if (!next.slots)
		return false;
	for (size_t i = 0; map->slots && i <= map->mask; i++) {
		struct hd_map_slot *slot = &map->slots[i];
		if (slot->key && slot->key != &deleted)
			*find(&next, slot->key, slot->key_len, slot->hash) = *slot;
	}
	next.used = next.filled = map->used;
	free(map->slots);
	*map = next;
	return true;
}

bool hd_map_put(struct hd_map *map, const void *key, size_t key_len, uint64_t value)
{
	if ((!map->slots || (map->filled + 1) * 4 > (map->mask + 1) * 3) && !grow(map))
		return false;
	uint64_t hash = hd_hash(key, key_len);
	struct hd_map_slot *slot = find(map, key, key_len, hash);
	if (!slot->key || slot->key == &deleted) {
		char *copy = malloc(key_len + 1);
		if (!copy)
			return false;
		memcpy(copy, key, key_len);
		copy[key_len] = '\0';
		map->filled += !slot->key;
		map->used++;
		*slot = (struct hd_map_slot){copy, key_len, hash, value};
	}
	slot->value = value;
	return true;
}

bool hd_map_get(const struct hd_map *map, const void *key, size_t key_len, uint64_t *ret)
{
	if (!map->slots)
		return false;
	struct hd_map_slot *slot = find(map, key, key_len, hd_hash(key, key_len));
	if (!slot->key || slot->key == &deleted)
		return false;
	*ret = slot->value;
	return true;
}

bool hd_map_remove(struct hd_map *map, const void *key, size_t key_len)
{
	if (!map->slots)
		return false;
	struct hd_map_slot *slot = find(map, key, key_len, hd_hash(key, key_len));
	if (!slot->key || slot->key == &deleted)
		return false;
	free(slot->key);
	slot->key = &deleted;
	map->used--;
	return true;
}

bool hd_map_next(const struct hd_map *map, size_t *iter, const void **ret_key, size_t *ret_key_len, uint64_t *ret_value)
{
	for (; map->slots && *iter <= map->mask; (*iter)++) {
		const struct hd_map_slot *slot = &map->slots[*iter];
		if (slot->key && slot->key != &deleted) {
			*ret_key = slot->key;
			*ret_key_len = slot->key_len;
			*ret_value = slot->value;
			(*iter)++;
			return true;
		}
	}
	return false;
}
