/* SPDX-License-Identifier: MIT */
/* A page of the snapshot of points as it is after it was unsealed: what passes the check can be walked. */
#include "store/snapshot_file.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walk(const uint8_t *page, uint32_t count)
{
	const uint32_t *offsets = (const uint32_t *)(const void *)page;
	size_t sum = 0;
	for (uint32_t i = 0; i < count; i++) {
		const struct hd_point *point = (const struct hd_point *)(const void *)(page + offsets[i]);
		if (hd_point_bytes(point) > offsets[i + 1] - offsets[i])
			abort();
		sum += strlen(hd_point_name(point)) + strlen(hd_point_provider(point)) + strlen(hd_point_pipeline(point)) + strlen(hd_point_options(point)) +
		       strlen(hd_point_params(point)) + strlen(hd_point_zone(point));
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	uint32_t count = data[0];
	uint8_t *copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	size_t sum = hd_snapshot_page_check(copy, size - 1, count) ? walk(copy, count) : 0;
	free(copy);
	return sum == SIZE_MAX;
}
