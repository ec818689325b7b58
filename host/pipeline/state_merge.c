/* SPDX-License-Identifier: MIT */
/* A state file's frames as one image: of each point the entry of the last frame that has it. */
#include "pipeline/state_frame.h"

#include "base/array.h"
#include "base/crc32c.h"

#include <stdlib.h>
#include <string.h>

/* An image and its next entry; entries rise by point. */
struct source {
	size_t at; /* of the image, in the buffer */
	const struct hd_state_header *header;
	const uint8_t *next;
	uint32_t left;
	uint32_t *shapes; /* number in the result by number in the image, 0 = not there yet */
};

struct merge {
	struct source *list;
	uint32_t count, capacity;
	struct hd_buf images;
	struct hd_buf shapes, entries;
	uint32_t shape_count, points;
};

static void merge_done(struct merge *m)
{
	for (uint32_t i = 0; i < m->count; i++)
		free(m->list[i].shapes);
	free(m->list);
	hd_buf_done(&m->images);
	hd_buf_done(&m->shapes);
	hd_buf_done(&m->entries);
}

static bool add_source(struct merge *m, size_t at)
{
	if (!HD_RESERVE(m->list, m->capacity, m->count, 1))
		return false;
	m->list[m->count++] = (struct source){.at = at};
	return true;
}

/* All frames that are good, each image behind the other. */
static int read_frames(struct merge *m, const void *data, size_t len, uint32_t shard, const char *path, struct hd_frames *ret, struct hydro_error *err)
{
	size_t at = 0, bytes = 0;
	while (at < len) {
		struct hd_state_frame frame;
		size_t image = m->images.len;
		int rc = hd_frame_unpack((const uint8_t *)data + at, len - at, shard, path, &m->images, &frame, &bytes, err);
		if (rc == HYDRO_OK && (frame.kind == HD_FRAME_ALL) != (at == 0))
			rc = hd_error_set(err, HYDRO_E_CORRUPT, "state file %s: a frame is of the wrong kind", path);
		if (rc != HYDRO_OK && rc != HYDRO_E_CORRUPT && rc != HYDRO_E_NOTFOUND)
			return rc;
		if (rc != HYDRO_OK) {
			ret->cut = true;
			return at ? HYDRO_OK : hd_error_set(err, HYDRO_E_CORRUPT, "state file %s does not check", path);
		}
		if (!add_source(m, image))
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the state of points");
		ret->changed += at ? ((const struct hd_state_header *)(const void *)(m->images.data + image))->points : 0;
		ret->lsn = frame.lsn;
		ret->frames++;
		at += bytes;
		ret->end = at;
	}
	return HYDRO_OK;
}

static bool open_source(struct merge *m, struct source *source)
{
	const struct hd_state_header *header = (const void *)(m->images.data + source->at);
	const uint8_t *at = (const uint8_t *)(header + 1);
	for (uint32_t i = 0; i < header->shapes; i++)
		at += sizeof(struct hd_state_shape) + ((const struct hd_state_shape *)(const void *)at)->steps * sizeof(struct hd_state_step);
	source->header = header;
	source->next = at;
	source->left = header->points;
	source->shapes = calloc((size_t)header->shapes + 1, sizeof *source->shapes);
	return source->shapes != NULL;
}

static uint32_t point_of(const struct source *source)
{
	return source->left ? ((const struct hd_state_point *)(const void *)source->next)->point : UINT32_MAX;
}

/* The shape's number in the result; the same shape of several frames has one. */
static uint32_t shape_of(struct merge *m, struct source *source, uint32_t number)
{
	if (!number || source->shapes[number])
		return number ? source->shapes[number] : 0;
	const struct hd_state_shape *shape = hd_state_shape_at(source->header, number);
	size_t bytes = sizeof *shape + shape->steps * sizeof(struct hd_state_step), at = 0;
	for (uint32_t i = 1; i <= m->shape_count; i++) {
		const struct hd_state_shape *other = (const void *)(m->shapes.data + at);
		size_t other_bytes = sizeof *other + other->steps * sizeof(struct hd_state_step);
		if (other_bytes == bytes && memcmp(other, shape, bytes) == 0)
			return source->shapes[number] = i;
		at += other_bytes;
	}
	hd_buf_add(&m->shapes, shape, bytes);
	return source->shapes[number] = ++m->shape_count;
}

static void take_entry(struct merge *m, struct source *source)
{
	struct hd_state_point entry;
	memcpy(&entry, source->next, sizeof entry);
	entry.shape = shape_of(m, source, entry.shape);
	size_t at = m->entries.len;
	if (hd_buf_add(&m->entries, source->next, entry.bytes))
		memcpy(m->entries.data + at, &entry, sizeof entry);
	m->points++;
}

static bool take_all(struct merge *m)
{
	for (uint32_t i = 0; i < m->count; i++)
		if (!open_source(m, &m->list[i]))
			return false;
	for (;;) {
		uint32_t point = UINT32_MAX;
		struct source *newest = NULL;
		for (uint32_t i = 0; i < m->count; i++) {
			uint32_t next = point_of(&m->list[i]);
			if (next > point || next == UINT32_MAX)
				continue;
			point = next;
			newest = &m->list[i];
		}
		if (!newest)
			break;
		take_entry(m, newest);
		for (uint32_t i = 0; i < m->count; i++)
			while (m->list[i].left && point_of(&m->list[i]) <= point) {
				m->list[i].next += ((const struct hd_state_point *)(const void *)m->list[i].next)->bytes;
				m->list[i].left--;
			}
	}
	return !m->shapes.failed && !m->entries.failed;
}

/* An image of the parts. */
static bool put_together(const struct merge *m, uint32_t shard, uint64_t lsn, struct hd_buf *ret)
{
	struct hd_state_header header = {.magic = HD_STATE_MAGIC, .version = HD_STATE_VERSION, .shard = shard, .shapes = m->shape_count, .points = m->points,
					 .lsn = lsn, .bytes = sizeof header + m->shapes.len + m->entries.len};
	header.crc = hd_crc32c(hd_crc32c(0, m->shapes.data, m->shapes.len), m->entries.data, m->entries.len);
	return hd_buf_reserve(ret, header.bytes) && hd_buf_add(ret, &header, sizeof header) && hd_buf_add(ret, m->shapes.data, m->shapes.len) &&
	       hd_buf_add(ret, m->entries.data, m->entries.len);
}

/* A file as the version before wrote it: one image, not packed. */
static int read_plain(const void *data, size_t len, uint32_t shard, const char *path, struct hd_frames *ret, struct hydro_error *err)
{
	int rc = hd_state_check(data, len, shard, path, err);
	if (rc != HYDRO_OK)
		return rc;
	ret->lsn = ((const struct hd_state_header *)data)->lsn;
	return hd_buf_add(&ret->image, data, len) ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOMEM, "no memory for the state of points");
}

int hd_frames_read(const void *data, size_t len, uint32_t shard, const char *path, struct hd_frames *ret, struct hydro_error *err)
{
	struct merge m = {0};
	uint64_t magic = 0;
	*ret = (struct hd_frames){0};
	if (len >= sizeof magic)
		memcpy(&magic, data, sizeof magic);
	if (magic == HD_STATE_MAGIC)
		return read_plain(data, len, shard, path, ret, err);
	int rc = len ? read_frames(&m, data, len, shard, path, ret, err) : hd_error_set(err, HYDRO_E_CORRUPT, "state file %s is empty", path);
	bool ok = true;
	if (rc == HYDRO_OK && m.count == 1) {
		ret->image = m.images;
		m.images = (struct hd_buf){0};
	} else if (rc == HYDRO_OK) {
		ok = take_all(&m) && put_together(&m, shard, ret->lsn, &ret->image);
	}
	merge_done(&m);
	if (ok && rc == HYDRO_OK)
		return HYDRO_OK;
	hd_buf_done(&ret->image);
	return rc == HYDRO_OK ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the state of points") : rc;
}
