/* SPDX-License-Identifier: MIT */
/* A hash table from text to a 64-bit value, open addressing; one thread at a time. All zero is empty. */
#ifndef HD_BASE_MAP_H
#define HD_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hd_map_slot;

struct hd_map {
	struct hd_map_slot *slots;
	size_t mask;
	size_t used;
	size_t filled; /* used and deleted */
};

void hd_map_done(struct hd_map *map);
/* Puts or replaces; the key is copied. false without memory. */
bool hd_map_put(struct hd_map *map, const void *key, size_t key_len, uint64_t value);
bool hd_map_get(const struct hd_map *map, const void *key, size_t key_len, uint64_t *ret);
bool hd_map_remove(struct hd_map *map, const void *key, size_t key_len);
/* Goes over all entries: *iter starts at 0; false at the end. No change meanwhile. */
bool hd_map_next(const struct hd_map *map, size_t *iter, const void **ret_key, size_t *ret_key_len, uint64_t *ret_value);

#endif
