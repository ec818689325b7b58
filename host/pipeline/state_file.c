/* SPDX-License-Identifier: MIT */
#include "pipeline/state_file.h"

#include "base/crc32c.h"

#include <stdlib.h>
#include <string.h>

#define SHAPES_MAX 4096u /* of one file; points of further ones are kept without step state */

/* ---- writing ---- */

struct writer {
	struct hd_pipeline *p;
	struct hd_buf *out;
	bool all;
	uint32_t written;
	const struct hd_shape *live[SHAPES_MAX];
	const struct hd_state_shape *read[SHAPES_MAX];
	uint32_t shapes;
	struct hd_buf shape_bytes;
};

static void pad(struct hd_buf *buf)
{
	static const uint8_t zero[8];
	hd_buf_add(buf, zero, (8 - buf->len % 8) % 8);
}

static uint32_t add_live_shape(struct writer *w, const struct hd_shape *shape)
{
	for (uint32_t i = 0; i < w->shapes; i++)
		if (w->live[i] == shape)
			return i + 1;
	if (w->shapes == SHAPES_MAX)
		return 0;
	struct hd_state_shape head = {.hash = shape->hash, .generation = shape->generation, .params = shape->param_count,
				      .state_bytes = shape->state_bytes, .steps = shape->step_count};
	hd_buf_add(&w->shape_bytes, &head, sizeof head);
	for (uint32_t i = 0; i < shape->step_count; i++) {
		const struct hd_step *step = &shape->steps[i];
		struct hd_state_step s = {.identity = step->identity, .kind = step->kind_hash, .offset = step->state, .bytes = step->state_bytes};
		hd_buf_add(&w->shape_bytes, &s, sizeof s);
	}
	w->read[w->shapes] = NULL;
	w->live[w->shapes++] = shape;
	return w->shapes;
}

static uint32_t add_read_shape(struct writer *w, const struct hd_state_shape *shape)
{
	for (uint32_t i = 0; i < w->shapes; i++)
		if (w->read[i] == shape)
			return i + 1;
	if (w->shapes == SHAPES_MAX)
		return 0;
	hd_buf_add(&w->shape_bytes, shape, sizeof *shape + shape->steps * sizeof(struct hd_state_step));
	w->live[w->shapes] = NULL;
	w->read[w->shapes++] = shape;
	return w->shapes;
}

uint64_t hd_state_sum(const struct hd_state_point *point, uint64_t shape_hash, uint32_t generation)
{
	const size_t number = offsetof(struct hd_state_point, shape) / 8 * 8; /* the word with the shape's number */
	const uint8_t *at = (const uint8_t *)point;
	uint64_t sum = hd_hash_u64(shape_hash + generation), word;
	for (uint32_t i = 0; i < point->bytes; i += 8) {
		memcpy(&word, at + i, 8);
		sum = (sum ^ (i == number ? point->point : word)) * UINT64_C(0x9fb21c651e98df25);
		sum ^= sum >> 32;
	}
	return sum ? sum : 1;
}

static void add_values(struct writer *w, const struct hd_state_point *entry, const struct hd_point_block *block, const struct hd_latest_value *latest)
{
	for (uint32_t i = 0; i < entry->known; i++)
		hd_buf_add(w->out, i < HD_KNOWN_INLINE ? &block->known[i] : &block->extra->more[i], sizeof(struct hd_known_raw));
	for (uint32_t i = 0; i < entry->latest; i++) {
		struct hd_value value = {latest->metrics[i].value, latest->metrics[i].metric, latest->metrics[i].quality};
		hd_buf_add(w->out, &value, sizeof value);
	}
}

/* Appends the point's entry, unless it is what `sum` says was written last and not all are wanted. */
static void add_point(struct writer *w, uint32_t point, const struct hd_point_block *block, uint64_t *sum)
{
	struct hd_latest_value latest = {0};
	struct hd_stored stored = {0};
	bool have_latest = hd_latest_get(w->p->latest, point, &latest), live = block->shape && block->shape != w->p->pass;
	if (!block->shape)
		(void)hd_keeper_stored(w->p, point, &stored);
	struct hd_state_point entry = {.newest_ms = block->newest_ms, .config_version = block->shape ? block->plan_version : stored.point ? stored.point->config_version : 0, .point = point,
				       .newest_rev = block->newest_rev, .known = block->known_count,
				       .bits = block->bits & (HD_HOT_RAW_ONLY | HD_HOT_CLOCK)};
	if (have_latest) {
		entry.latest_ms = latest.ts_ms;
		entry.latest_rev = (uint16_t)latest.rev;
		entry.latest = (uint8_t)latest.count;
	}
	size_t at = w->out->len;
	hd_buf_add(w->out, &entry, sizeof entry);
	add_values(w, &entry, block, &latest);
	if (live)
		hd_buf_add(w->out, block->data, block->shape->param_count * sizeof(double) + block->shape->state_bytes);
	else if (stored.shape)
		hd_buf_add(w->out, hd_stored_params(&stored), stored.shape->params * sizeof(double) + stored.shape->state_bytes);
	pad(w->out);
	if (w->out->failed)
		return;
	entry.bytes = (uint32_t)(w->out->len - at);
	memcpy(w->out->data + at, &entry, sizeof entry);
	uint64_t now = hd_state_sum((const struct hd_state_point *)(const void *)(w->out->data + at), live ? block->shape->hash : stored.shape ? stored.shape->hash : 0,
				    live ? block->shape->generation : stored.shape ? stored.shape->generation : 0);
	if (now == *sum && !w->all) {
		w->out->len = at;
		return;
	}
	*sum = now;
	w->written++;
	entry.shape = live ? add_live_shape(w, block->shape) : stored.shape ? add_read_shape(w, stored.shape) : 0;
	if (!entry.shape && (live || stored.shape)) { /* too many shapes: without step state */
		w->out->len = at + sizeof entry + entry.known * sizeof(struct hd_known_raw) + entry.latest * sizeof(struct hd_value);
		pad(w->out);
		entry.bytes = (uint32_t)(w->out->len - at);
	}
	memcpy(w->out->data + at, &entry, sizeof entry);
}

bool hd_state_write(struct hd_pipeline *p, uint32_t shard, const uint32_t *points, uint32_t count, uint64_t lsn, bool all, struct hd_buf *ret)
{
	struct hd_buf body = {0};
	struct writer *w = calloc(1, sizeof *w);
	if (!w)
		return false;
	w->p = p;
	w->out = &body;
	w->all = all;
	for (uint32_t i = 0; i < count; i++) {
		const struct hd_point_block *block = hd_pipeline_block_find(p, points[i]);
		if (!block || (!block->newest_ms && !block->shape && !(block->bits & HD_HOT_CLOCK)))
			continue;
		uint64_t *sum = hd_keeper_sum(p, points[i]), none = 0;
		add_point(w, points[i], block, sum ? sum : &none);
	}
	struct hd_state_header header = {.magic = HD_STATE_MAGIC, .version = HD_STATE_VERSION, .shard = shard, .shapes = w->shapes, .points = w->written,
					 .lsn = lsn, .bytes = sizeof header + w->shape_bytes.len + body.len};
	header.crc = hd_crc32c(hd_crc32c(0, w->shape_bytes.data, w->shape_bytes.len), body.data, body.len);
	bool ok = !body.failed && !w->shape_bytes.failed;
	ok = ok && hd_buf_add(ret, &header, sizeof header) && hd_buf_add(ret, w->shape_bytes.data, w->shape_bytes.len) && hd_buf_add(ret, body.data, body.len);
	hd_buf_done(&w->shape_bytes);
	hd_buf_done(&body);
	free(w);
	return ok;
}

/* ---- reading ---- */

static int corrupt(struct hydro_error *err, const char *path, const char *what)
{
	return hd_error_set(err, HYDRO_E_CORRUPT, "state file %s: %s", path, what);
}

/* The end of the shapes, or NULL when they do not fit. */
static const uint8_t *skip_shapes(const uint8_t *at, const uint8_t *end, uint32_t shapes)
{
	for (uint32_t i = 0; i < shapes; i++) {
		const struct hd_state_shape *shape = (const void *)at;
		if ((size_t)(end - at) < sizeof *shape || shape->steps > HD_SPEC_STEPS_MAX || shape->params > HD_PLAN_PARAMS_MAX ||
		    shape->state_bytes > HD_PLAN_STATE_BYTES_MAX)
			return NULL;
		at += sizeof *shape;
		if ((size_t)(end - at) < shape->steps * sizeof(struct hd_state_step))
			return NULL;
		const struct hd_state_step *steps = (const void *)at;
		for (uint32_t k = 0; k < shape->steps; k++)
			if (steps[k].bytes > shape->state_bytes || steps[k].offset > shape->state_bytes - steps[k].bytes)
				return NULL;
		at += shape->steps * sizeof(struct hd_state_step);
	}
	return at;
}

const struct hd_state_shape *hd_state_shape_at(const void *data, uint32_t number)
{
	const uint8_t *at = (const uint8_t *)data + sizeof(struct hd_state_header);
	for (uint32_t i = 1; i < number; i++)
		at += sizeof(struct hd_state_shape) + ((const struct hd_state_shape *)(const void *)at)->steps * sizeof(struct hd_state_step);
	return number ? (const struct hd_state_shape *)(const void *)at : NULL;
}

static bool point_fits(const struct hd_state_header *header, const uint8_t *at, const uint8_t *end)
{
	const struct hd_state_point *point = (const void *)at;
	if ((size_t)(end - at) < sizeof *point || point->bytes > (size_t)(end - at) || point->shape > header->shapes ||
	    point->known > HD_METRICS_PER_SAMPLE_MAX || point->latest > HD_METRICS_PER_SAMPLE_MAX || point->point >= HD_POINTS_MAX ||
	    hd_shard_of(point->point) != header->shard)
		return false;
	const struct hd_state_shape *shape = hd_state_shape_at(header, point->shape);
	size_t need = sizeof *point + point->known * sizeof(struct hd_known_raw) + point->latest * sizeof(struct hd_value);
	need += shape ? shape->params * sizeof(double) + shape->state_bytes : 0;
	return point->bytes == ((need + 7) & ~(size_t)7);
}

int hd_state_check(const void *data, size_t len, uint32_t shard, const char *path, struct hydro_error *err)
{
	const struct hd_state_header *header = data;
	const uint8_t *end = (const uint8_t *)data + len;
	if (len < sizeof *header || header->magic != HD_STATE_MAGIC)
		return corrupt(err, path, "is no state file");
	if (header->version != HD_STATE_VERSION)
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "state file %s has version %u, this program reads %u", path, header->version, HD_STATE_VERSION);
	if (header->bytes != len || header->shard != shard || header->shapes > SHAPES_MAX)
		return corrupt(err, path, "has the wrong size or shard");
	if (hd_crc32c(0, header + 1, len - sizeof *header) != header->crc)
		return corrupt(err, path, "does not check");
	const uint8_t *at = skip_shapes((const uint8_t *)(header + 1), end, header->shapes);
	for (uint32_t i = 0; at && i < header->points; i++)
		at = point_fits(header, at, end) ? at + ((const struct hd_state_point *)(const void *)at)->bytes : NULL;
	return at == end ? HYDRO_OK : corrupt(err, path, "holds entries that do not fit");
}

int hd_state_each(const void *data, int (*fn)(void *arg, const struct hd_stored *stored), void *arg)
{
	const struct hd_state_header *header = data;
	const uint8_t *at = skip_shapes((const uint8_t *)(header + 1), (const uint8_t *)data + header->bytes, header->shapes);
	int rc = HYDRO_OK;
	for (uint32_t i = 0; i < header->points && rc == HYDRO_OK; i++) {
		struct hd_stored stored = {.point = (const void *)at};
		stored.shape = hd_state_shape_at(data, stored.point->shape);
		rc = fn(arg, &stored);
		at += stored.point->bytes;
	}
	return rc;
}
