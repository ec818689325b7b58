/* SPDX-License-Identifier: MIT */
#ifndef HD_BASE_HASH_H
#define HD_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* A fast 64-bit hash for tables and sharding; not for secrets, not stable across versions of the file formats. [any] */
uint64_t hd_hash(const void *data, size_t len);

/* Mixes a 64-bit integer (the finaliser of SplitMix64). [any] */
static inline uint64_t hd_hash_u64(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

#endif
