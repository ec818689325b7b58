/* SPDX-License-Identifier: MIT */
/*
 * libcurl copies a request's body and headers into buffers of its own, and frees them as they are. Its allocator is set to one that
 * wipes whatever is given back, so that no password or token outlives its request on the heap.
 */
#include "net/net_impl.h"

#include <malloc.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static void wiping_free(void *block)
{
	if (block)
		sodium_memzero(block, malloc_usable_size(block));
	free(block);
}

/* realloc would leave the old copy behind when it moves a block. */
static void *wiping_realloc(void *block, size_t size)
{
	size_t held = block ? malloc_usable_size(block) : 0;
	if (block && size <= held && size > held / 2)
		return block;
	void *grown = malloc(size ? size : 1);
	if (grown && block) {
		memcpy(grown, block, HD_MIN(held, size));
		wiping_free(block);
	}
	return grown;
}

CURLcode net_memory_init(void)
{
	return curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiping_free, wiping_realloc, strdup, calloc);
}
