/* SPDX-License-Identifier: MIT */
/* State files of the pipeline: size, magic, version, length and CRC are made to fit, so that what lies behind them is reached. */
#include "base/crc32c.h"
#include "pipeline/state_frame.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define SHARD 7u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int touch(void *arg, const struct hd_stored *stored)
{
	uint64_t *sum = arg;
	for (uint32_t i = 0; i < stored->point->known; i++)
		*sum += hd_stored_known(stored)[i].metric;
	for (uint32_t i = 0; i < stored->point->latest; i++)
		*sum += hd_stored_latest(stored)[i].metric;
	if (!stored->shape)
		return HYDRO_OK;
	for (uint32_t i = 0; i < stored->shape->params; i++)
		*sum += hd_stored_params(stored)[i] > 0;
	for (uint32_t i = 0; i < stored->shape->steps; i++)
		if (hd_stored_steps(stored)[i].bytes)
			*sum += hd_stored_state(stored)[hd_stored_steps(stored)[i].offset + hd_stored_steps(stored)[i].bytes - 1];
	return HYDRO_OK;
}

/* The bytes as what two frames unpack to: with the first byte's share of them each. */
static void read_frames(const uint8_t *data, size_t size, uint64_t *sum)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_frames frames;
	struct hd_buf file = {0};
	size_t first = size * data[0] / 255, at = 0;
	for (uint32_t kind = 0; kind < 2; kind++, at = first) {
		size_t len = kind ? size - first : first, bound = ZSTD_compressBound(len), head = file.len;
		struct hd_state_frame frame = {.magic = HD_FRAME_MAGIC, .version = HD_FRAME_VERSION, .shard = SHARD, .kind = kind};
		if (len < sizeof(struct hd_state_header) || !hd_buf_reserve(&file, sizeof frame + bound))
			break;
		struct hd_state_header header;
		memcpy(&header, data + at, sizeof header);
		frame.lsn = header.lsn;
		/* Two bytes of size for each point are not part of the image. */
		frame.image_bytes = len - 2 * (size_t)HD_MIN(header.points, (uint32_t)(len / 2));
		frame.stored_bytes = ZSTD_compress(file.data + head + sizeof frame, bound, data + at, len, 1);
		frame.crc = hd_crc32c(hd_crc32c(0, &frame, sizeof frame), file.data + head + sizeof frame, frame.stored_bytes);
		memcpy(file.data + head, &frame, sizeof frame);
		file.len = head + sizeof frame + frame.stored_bytes;
	}
	if (hd_frames_read(file.data, file.len, SHARD, "fuzz", &frames, &err) == HYDRO_OK)
		(void)hd_state_each(frames.image.data, touch, sum);
	hd_buf_done(&frames.image);
	if (hd_frames_read(data, size, SHARD, "fuzz", &frames, &err) == HYDRO_OK)
		(void)hd_state_each(frames.image.data, touch, sum);
	hd_buf_done(&frames.image);
	hd_buf_done(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hydro_error err = {.struct_size = sizeof err};
	(void)hd_state_check(data, 0, SHARD, "fuzz", &err);
	if (size < sizeof(struct hd_state_header))
		return 0;
	uint8_t *copy = aligned_alloc(8, (size + 7) & ~(size_t)7);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	struct hd_state_header *header = (struct hd_state_header *)(void *)copy;
	header->magic = HD_STATE_MAGIC;
	header->version = HD_STATE_VERSION;
	header->shard = SHARD;
	header->bytes = size;
	header->crc = hd_crc32c(0, header + 1, size - sizeof *header);
	uint64_t sum = 0;
	if (hd_state_check(copy, size, SHARD, "fuzz", &err) == HYDRO_OK)
		(void)hd_state_each(copy, touch, &sum);
	read_frames(data, size, &sum);
	free(copy);
	return sum == UINT64_MAX ? 1 : 0;
}
