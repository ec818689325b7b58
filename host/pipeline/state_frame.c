/* SPDX-License-Identifier: MIT */
#include "pipeline/state_frame.h"

#include "base/array.h"
#include "base/crc32c.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define LEVEL 1
#define BLOCK 64u /* entries that are turned together, so that they stay in the first cache */

static uint32_t frame_crc(const struct hd_state_frame *frame, const void *stored)
{
	struct hd_state_frame head = *frame;
	head.crc = 0;
	return hd_crc32c(hd_crc32c(0, &head, sizeof head), stored, frame->stored_bytes);
}

/* ---- entries by size ---- */

/* Entries of one size, in the order in which they come. */
struct group {
	uint32_t bytes, count, taken;
	size_t at; /* where its planes begin */
};

struct groups {
	struct group *list;
	uint32_t count, capacity;
};

static struct group *group_of(struct groups *groups, uint32_t bytes)
{
	for (uint32_t i = 0; i < groups->count; i++)
		if (groups->list[i].bytes == bytes)
			return &groups->list[i];
	if (!HD_RESERVE(groups->list, groups->capacity, groups->count, 1))
		return NULL;
	groups->list[groups->count] = (struct group){.bytes = bytes};
	return &groups->list[groups->count++];
}

/* sizes[i]: of entry i in units of 8. */
static bool groups_make(struct groups *ret, const uint8_t *sizes, uint32_t count, size_t at)
{
	for (uint32_t i = 0; i < count; i++) {
		struct group *group = group_of(ret, 8 * (uint32_t)(sizes[2 * i] | sizes[2 * i + 1] << 8));
		if (!group)
			return false;
		group->count++;
	}
	for (uint32_t i = 0; i < ret->count; i++) {
		ret->list[i].at = at;
		at += (size_t)ret->list[i].bytes * ret->list[i].count;
	}
	return true;
}

/* From entries to planes, or back. `entries`: those of one group, up to BLOCK, from number `first` on. */
static void turn(uint8_t *const *entries, uint32_t n, uint8_t *planes, const struct group *group, uint32_t first, bool back)
{
	for (uint32_t b = 0; b < group->bytes; b++) {
		uint8_t *plane = planes + (size_t)b * group->count + first;
		for (uint32_t i = 0; i < n; i++) {
			if (back)
				entries[i][b] = plane[i];
			else
				plane[i] = entries[i][b];
		}
	}
}

/* All entries of a group by blocks; `body` has the entries in their order. */
static void turn_group(uint8_t *body, const uint8_t *sizes, uint32_t count, uint8_t *planes, const struct group *group, bool back)
{
	uint8_t *block[BLOCK];
	uint32_t n = 0, first = 0;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t bytes = 8 * (uint32_t)(sizes[2 * i] | sizes[2 * i + 1] << 8);
		if (bytes == group->bytes)
			block[n++] = body;
		body += bytes;
		if (n == BLOCK) {
			turn(block, n, planes, group, first, back);
			first += n;
			n = 0;
		}
	}
	turn(block, n, planes, group, first, back);
}

/* ---- packing ---- */

static const uint8_t *shapes_end(const struct hd_state_header *header)
{
	const uint8_t *at = (const uint8_t *)(header + 1);
	for (uint32_t i = 0; i < header->shapes; i++)
		at += sizeof(struct hd_state_shape) + ((const struct hd_state_shape *)(const void *)at)->steps * sizeof(struct hd_state_step);
	return at;
}

/* Head and shapes, sizes, planes. */
static bool rearrange(const struct hd_state_header *header, size_t len, struct hd_buf *ret)
{
	const uint8_t *image = (const uint8_t *)header, *body = shapes_end(header), *at = body;
	struct groups groups = {0};
	bool ok = hd_buf_reserve(ret, len + 2 * (size_t)header->points) && hd_buf_add(ret, image, (size_t)(body - image));
	size_t sizes_at = ret->len;
	for (uint32_t i = 0; ok && i < header->points; i++) {
		uint32_t bytes = ((const struct hd_state_point *)(const void *)at)->bytes;
		uint8_t size[2] = {(uint8_t)(bytes / 8), (uint8_t)(bytes / 8 >> 8)};
		ok = bytes / 8 <= UINT16_MAX && hd_buf_add(ret, size, 2);
		at += bytes;
	}
	const uint8_t *sizes = (const uint8_t *)ret->data + sizes_at;
	ok = ok && groups_make(&groups, sizes, header->points, ret->len) && hd_buf_reserve(ret, (size_t)(image + len - body));
	sizes = ok ? (const uint8_t *)ret->data + sizes_at : NULL;
	uint8_t *entries;
	memcpy(&entries, &body, sizeof entries);
	for (uint32_t i = 0; ok && i < groups.count; i++)
		turn_group(entries, sizes, header->points, (uint8_t *)ret->data + groups.list[i].at, &groups.list[i], false);
	ret->len += ok ? (size_t)(image + len - body) : 0;
	free(groups.list);
	return ok;
}

bool hd_frame_pack(const void *image, size_t len, uint32_t kind, struct hd_buf *ret)
{
	const struct hd_state_header *header = image;
	struct hd_buf planes = {0};
	size_t at = ret->len, bound = ZSTD_compressBound(len + 2 * (size_t)header->points), stored = 0;
	bool ok = rearrange(header, len, &planes) && hd_buf_reserve(ret, sizeof(struct hd_state_frame) + bound);
	if (ok) {
		stored = ZSTD_compress(ret->data + at + sizeof(struct hd_state_frame), bound, planes.data, planes.len, LEVEL);
		ok = !ZSTD_isError(stored);
	}
	if (ok) {
		struct hd_state_frame frame = {.magic = HD_FRAME_MAGIC, .version = HD_FRAME_VERSION, .shard = header->shard, .kind = kind, .lsn = header->lsn,
					       .stored_bytes = stored, .image_bytes = len};
		frame.crc = frame_crc(&frame, ret->data + at + sizeof frame);
		memcpy(ret->data + at, &frame, sizeof frame);
		ret->len = at + sizeof frame + stored;
	}
	hd_buf_done(&planes);
	return ok;
}

/* ---- unpacking ---- */

static int corrupt(struct hydro_error *err, const char *path, const char *what)
{
	return hd_error_set(err, HYDRO_E_CORRUPT, "state file %s: a frame %s", path, what);
}

/* Where shapes end in what was rearranged, checked: nothing of it was yet. */
static bool find_shapes_end(const uint8_t *data, size_t len, size_t *ret)
{
	const struct hd_state_header *header = (const void *)data;
	size_t at = sizeof *header;
	if (len < at)
		return false;
	for (uint32_t i = 0; i < header->shapes; i++) {
		struct hd_state_shape shape;
		if (len - at < sizeof shape)
			return false;
		memcpy(&shape, data + at, sizeof shape);
		at += sizeof shape;
		if (shape.steps > HD_SPEC_STEPS_MAX || len - at < shape.steps * sizeof(struct hd_state_step))
			return false;
		at += shape.steps * sizeof(struct hd_state_step);
	}
	*ret = at;
	return true;
}

/* The image behind what ret holds; its own check comes after. */
static int arrange(uint8_t *planes, size_t len, size_t image_len, const char *path, struct hd_buf *ret, struct hydro_error *err)
{
	size_t body;
	if (!find_shapes_end(planes, len, &body))
		return corrupt(err, path, "has shapes that do not fit");
	uint32_t points = ((const struct hd_state_header *)(const void *)planes)->points;
	if ((len - body) / 2 < points || len - 2 * (size_t)points != image_len)
		return corrupt(err, path, "has the wrong size");
	const uint8_t *sizes = planes + body;
	size_t total = 0;
	for (uint32_t i = 0; i < points; i++)
		total += 8 * (size_t)(sizes[2 * i] | sizes[2 * i + 1] << 8);
	if (total != image_len - body)
		return corrupt(err, path, "has entries that do not fit");
	struct groups groups = {0};
	bool ok = groups_make(&groups, sizes, points, body + 2 * (size_t)points) && hd_buf_reserve(ret, image_len);
	if (ok)
		memcpy(ret->data + ret->len, planes, body);
	for (uint32_t i = 0; ok && i < groups.count; i++)
		turn_group((uint8_t *)ret->data + ret->len + body, sizes, points, planes + groups.list[i].at, &groups.list[i], true);
	ret->len += ok ? image_len : 0;
	free(groups.list);
	return ok ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOMEM, "no memory for the state of points");
}

int hd_frame_unpack(const void *data, size_t len, uint32_t shard, const char *path, struct hd_buf *ret, struct hd_state_frame *ret_frame, size_t *ret_bytes,
		    struct hydro_error *err)
{
	struct hd_state_frame frame;
	if (len < sizeof frame)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "state file %s: a frame is cut short", path);
	memcpy(&frame, data, sizeof frame);
	const uint8_t *stored = (const uint8_t *)data + sizeof frame;
	if (frame.magic != HD_FRAME_MAGIC || frame.shard != shard || frame.kind > HD_FRAME_CHANGED || frame.image_bytes > HD_FRAME_IMAGE_BYTES_MAX)
		return corrupt(err, path, "is none, or of another shard");
	if (frame.version != HD_FRAME_VERSION)
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "state file %s has version %u, this program reads %u", path, frame.version, HD_FRAME_VERSION);
	if (frame.stored_bytes > len - sizeof frame)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "state file %s: a frame is cut short", path);
	if (frame_crc(&frame, stored) != frame.crc)
		return corrupt(err, path, "does not check");
	size_t most = frame.image_bytes + frame.image_bytes / 4; /* an entry is never below 8 bytes */
	HD_CLEANUP(hd_cleanup_free) uint8_t *planes = malloc(most + 8);
	if (!planes)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the state of points");
	size_t n = ZSTD_decompress(planes, most, stored, frame.stored_bytes), at = ret->len;
	if (ZSTD_isError(n))
		return corrupt(err, path, "does not unpack");
	int rc = arrange(planes, n, frame.image_bytes, path, ret, err);
	if (rc == HYDRO_OK)
		rc = hd_state_check(ret->data + at, ret->len - at, shard, path, err);
	if (rc == HYDRO_OK && ((const struct hd_state_header *)(const void *)(ret->data + at))->lsn != frame.lsn)
		rc = corrupt(err, path, "has two LSNs");
	if (rc != HYDRO_OK) {
		ret->len = HD_MIN(ret->len, at);
		return rc;
	}
	*ret_frame = frame;
	*ret_bytes = sizeof frame + frame.stored_bytes;
	return HYDRO_OK;
}
