/* SPDX-License-Identifier: MIT */
#include "journal/record.h"

#include "base/array.h"
#include "base/bytes.h"
#include "journal/record_format.h"

#include <stdlib.h>
#include <string.h>

struct layout {
	uint32_t generation;
	uint32_t metrics_at; /* raws, then values, in `metrics` */
	uint8_t raw_count, value_count;
};

struct note {
	uint64_t odd;
	uint32_t qualities_at;
	uint32_t flags_at;
	uint8_t flag_count;
};

/* A growable array. */
struct pool {
	void *data;
	uint32_t count, capacity;
};

struct hd_record_reader {
	const uint8_t *body, *end; /* end of the records */
	const uint8_t *at;
	const uint8_t *skips;
	uint32_t count, ordinal;
	int64_t base_ts;
	uint64_t base_source;
	struct pool layouts, notes, metrics, qualities, flags;
	struct hd_value raws[HD_METRICS_PER_SAMPLE_MAX];
	struct hd_value values[HD_METRICS_PER_SAMPLE_MAX];
};

static const double powers[VALUE_DECIMALS_MAX + 1] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};

/* `more` elements of `size` bytes at the pool's end; NULL without memory. */
static void *pool_add(struct pool *pool, uint32_t more, size_t size)
{
	/* room for one even then, as nothing added is not NULL */
	if (!hd_array_reserve(&pool->data, &pool->capacity, pool->count, HD_MAX(more, 1u), size, false))
		return NULL;
	void *added = (char *)pool->data + pool->count * size;
	pool->count += more;
	return added;
}

struct hd_record_reader *hd_record_reader_new(void)
{
	return calloc(1, sizeof(struct hd_record_reader));
}

void hd_record_reader_free(struct hd_record_reader **reader)
{
	if (!*reader)
		return;
	free((*reader)->layouts.data);
	free((*reader)->notes.data);
	free((*reader)->metrics.data);
	free((*reader)->qualities.data);
	free((*reader)->flags.data);
	free(*reader);
	*reader = NULL;
}

static const uint8_t *get_u32(const uint8_t *p, const uint8_t *end, uint32_t *ret)
{
	uint64_t value;
	p = hd_get_varint(p, end, &value);
	if (!p || value > UINT32_MAX)
		return NULL;
	*ret = (uint32_t)value;
	return p;
}

/* Each returns the next position, or NULL with *rc set. */
static const uint8_t *read_layout(struct hd_record_reader *r, const uint8_t *p, const uint8_t *end, int *rc)
{
	uint32_t generation;
	p = get_u32(p, end, &generation);
	if (!p || end - p < 2 || p[0] > HD_METRICS_PER_SAMPLE_MAX || p[1] > HD_METRICS_PER_SAMPLE_MAX)
		return NULL;
	uint32_t count = (uint32_t)p[0] + p[1];
	struct layout *layout = pool_add(&r->layouts, 1, sizeof *layout);
	uint32_t at = r->metrics.count, *metrics = pool_add(&r->metrics, count, sizeof *metrics);
	if (!layout || (count && !metrics)) {
		*rc = HYDRO_E_NOMEM;
		return NULL;
	}
	*layout = (struct layout){.generation = generation, .metrics_at = at, .raw_count = p[0], .value_count = p[1]};
	p += 2;
	for (uint32_t i = 0; i < count && p; i++)
		p = get_u32(p, end, &metrics[i]);
	return p;
}

static const uint8_t *read_flag(const uint8_t *p, const uint8_t *end, struct hd_flag *ret)
{
	uint32_t number = 0;
	*ret = (struct hd_flag){0};
	p = get_u32(p, end, &ret->metric);
	p = p ? get_u32(p, end, &number) : NULL;
	if (!p || number > UINT16_MAX)
		return NULL;
	ret->flag = (uint16_t)number;
	return get_u32(p, end, &ret->rule);
}

static const uint8_t *read_note(struct hd_record_reader *r, const uint8_t *p, const uint8_t *end, int *rc)
{
	uint64_t odd;
	p = hd_get_varint(p, end, &odd);
	if (!p)
		return NULL;
	uint32_t qualities = (uint32_t)__builtin_popcountll(odd);
	if ((size_t)(end - p) < qualities * sizeof(float) + 1)
		return NULL;
	uint32_t flag_count = p[qualities * sizeof(float)];
	if (flag_count > HD_FLAGS_PER_SAMPLE_MAX)
		return NULL;
	struct note *note = pool_add(&r->notes, 1, sizeof *note);
	uint32_t quality_at = r->qualities.count, flag_at = r->flags.count;
	float *quality = pool_add(&r->qualities, qualities, sizeof *quality);
	struct hd_flag *flags = pool_add(&r->flags, flag_count, sizeof *flags);
	if (!note || (qualities && !quality) || (flag_count && !flags)) {
		*rc = HYDRO_E_NOMEM;
		return NULL;
	}
	*note = (struct note){.odd = odd, .qualities_at = quality_at, .flags_at = flag_at, .flag_count = (uint8_t)flag_count};
	if (qualities)
		memcpy(quality, p, qualities * sizeof *quality);
	p += qualities * sizeof(float) + 1;
	for (uint32_t i = 0; i < flag_count && p; i++)
		p = read_flag(p, end, &flags[i]);
	return p;
}

int hd_record_reader_begin(struct hd_record_reader *r, const void *body, size_t len, uint32_t count)
{
	const uint8_t *p = body;
	int rc = HYDRO_E_CORRUPT;
	r->layouts.count = r->notes.count = r->metrics.count = r->qualities.count = r->flags.count = 0;
	r->count = r->ordinal = 0;
	if (len < 4 || len > UINT32_MAX || hd_get_u32(p + len - 4) > len - 4)
		return HYDRO_E_CORRUPT;
	const uint8_t *footer = p + (len - 4 - hd_get_u32(p + len - 4)), *end = p + len - 4;
	uint64_t base_ts = 0;
	uint32_t layouts = 0, notes = 0;
	r->body = r->at = p;
	r->end = footer;
	p = hd_get_varint(footer, end, &base_ts);
	p = p ? hd_get_varint(p, end, &r->base_source) : NULL;
	p = p ? get_u32(p, end, &layouts) : NULL;
	for (uint32_t i = 0; i < layouts && p; i++)
		p = read_layout(r, p, end, &rc);
	p = p ? get_u32(p, end, &notes) : NULL;
	for (uint32_t i = 0; i < notes && p; i++)
		p = read_note(r, p, end, &rc);
	uint32_t skips = count ? (count - 1) / RECORD_SKIP : 0;
	if (!p || (size_t)(end - p) != (size_t)skips * 4)
		return rc;
	r->base_ts = hd_unzigzag(base_ts);
	r->skips = p;
	r->count = count;
	return HYDRO_OK;
}

static inline const uint8_t *read_value(const uint8_t *p, const uint8_t *end, double *ret)
{
	if (HD_UNLIKELY(p >= end))
		return NULL;
	uint32_t control = *p++, bytes = control & 15u, decimals = control >> 4 & 7u;
	if (bytes > VALUE_MANTISSA_BYTES_MAX) {
		if (control != VALUE_DOUBLE || end - p < 8)
			return NULL;
		*ret = hd_get_f64(p);
		return p + 8;
	}
	if (HD_UNLIKELY(decimals > VALUE_DECIMALS_MAX || end - p < (ptrdiff_t)bytes))
		return NULL;
	uint64_t mantissa = 0;
	if (HD_LIKELY(end - p >= 8))
		mantissa = hd_get_u64(p) & ((UINT64_C(1) << (bytes * 8)) - 1);
	else
		for (uint32_t i = 0; i < bytes; i++)
			mantissa |= (uint64_t)p[i] << (i * 8);
	double value = (double)(int64_t)mantissa / powers[decimals];
	*ret = control & 0x80u ? -value : value;
	return p + bytes;
}

static inline const uint8_t *read_result(const struct hd_record_reader *r, uint32_t raw_count, const uint8_t *p, double *ret)
{
	if (HD_UNLIKELY(p >= r->end))
		return NULL;
	uint32_t kind = *p & 15u;
	if (kind != VALUE_RAW && kind != VALUE_RAW16)
		return read_value(p, r->end, ret);
	uint32_t raw = (uint32_t)(*p >> 4) + (kind == VALUE_RAW16 ? 16u : 0u);
	if (raw >= raw_count)
		return NULL;
	*ret = r->raws[raw].value;
	return p + 1;
}

/* What stands before the values. */
static const uint8_t *read_head(const struct hd_record_reader *r, struct hd_sample *ret, uint32_t *ret_layout, uint32_t *ret_note)
{
	const uint8_t *p = r->at, *end = r->end;
	uint32_t head, rev = 0, bits = 0, note = 0;
	uint64_t distance = 0, source = 0;
	if (p >= end || (head = *p++) > RECORD_HEAD_MASK)
		return NULL;
	p = get_u32(p, end, &ret->point);
	p = p ? hd_get_varint(p, end, &distance) : NULL;
	*ret_layout = 0;
	if (p && head & RECORD_LAYOUT)
		p = get_u32(p, end, ret_layout);
	if (p && head & RECORD_REV)
		p = get_u32(p, end, &rev);
	if (p && head & RECORD_BITS)
		p = get_u32(p, end, &bits);
	if (p && head & RECORD_NOTE)
		p = get_u32(p, end, &note);
	if (p && head & RECORD_SOURCE)
		p = hd_get_varint(p, end, &source);
	*ret_note = head & RECORD_NOTE ? note + 1 : 0;
	if (!p || rev > UINT16_MAX || bits > UINT16_MAX || *ret_layout >= r->layouts.count || note >= HD_MAX(r->notes.count, 1u) ||
	    *ret_note > r->notes.count)
		return NULL;
	uint64_t step = (uint64_t)hd_unzigzag(distance) * (head & RECORD_SECONDS ? 1000u : 1u);
	ret->ts_ms = (int64_t)((uint64_t)r->base_ts + step);
	ret->source = r->base_source + (uint64_t)hd_unzigzag(source);
	ret->rev = (uint16_t)rev;
	ret->bits = (uint16_t)bits;
	return p;
}

static bool apply_note(struct hd_record_reader *r, const struct note *note, struct hd_sample *ret)
{
	uint64_t known = ((UINT64_C(1) << ret->raw_count) - 1) | ((UINT64_C(1) << ret->value_count) - 1) << 32;
	if (note->odd & ~known)
		return false;
	const float *quality = (const float *)r->qualities.data + note->qualities_at;
	for (uint64_t left = note->odd; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(left);
		if (i < 32)
			r->raws[i].quality = *quality++;
		else
			r->values[i - 32].quality = *quality++;
	}
	ret->flag_count = note->flag_count;
	ret->flags = note->flag_count ? (const struct hd_flag *)r->flags.data + note->flags_at : NULL;
	return true;
}

int hd_record_read(struct hd_record_reader *r, struct hd_sample *ret)
{
	if (r->ordinal >= r->count)
		return r->at == r->end || r->count == 0 ? HYDRO_E_NOTFOUND : HYDRO_E_CORRUPT;
	struct hd_sample sample = {0};
	uint32_t number, note;
	const uint8_t *p = read_head(r, &sample, &number, &note);
	if (!p)
		return HYDRO_E_CORRUPT;
	const struct layout *layout = (const struct layout *)r->layouts.data + number;
	const uint32_t *metrics = r->metrics.data ? (const uint32_t *)r->metrics.data + layout->metrics_at : NULL;
	sample.generation = layout->generation;
	sample.raw_count = layout->raw_count;
	sample.value_count = layout->value_count;
	for (uint32_t i = 0; i < layout->raw_count && p; i++) {
		r->raws[i].metric = *metrics++;
		r->raws[i].quality = 1.0f;
		p = read_value(p, r->end, &r->raws[i].value);
	}
	for (uint32_t i = 0; i < layout->value_count && p; i++) {
		r->values[i].metric = *metrics++;
		r->values[i].quality = 1.0f;
		p = read_result(r, layout->raw_count, p, &r->values[i].value);
	}
	sample.raws = layout->raw_count ? r->raws : NULL;
	sample.values = layout->value_count ? r->values : NULL;
	if (!p || (note && !apply_note(r, (const struct note *)r->notes.data + (note - 1), &sample)))
		return HYDRO_E_CORRUPT;
	r->at = p;
	r->ordinal++;
	*ret = sample;
	return HYDRO_OK;
}

uint32_t hd_record_tell(const struct hd_record_reader *r)
{
	return (uint32_t)(r->at - r->body);
}

void hd_record_jump(struct hd_record_reader *r, uint32_t position, uint32_t ordinal)
{
	HD_ASSERT(position <= (size_t)(r->end - r->body) && ordinal <= r->count);
	r->at = r->body + position;
	r->ordinal = ordinal;
}

int hd_record_seek(struct hd_record_reader *r, uint32_t ordinal)
{
	if (ordinal >= r->count)
		return HYDRO_E_NOTFOUND;
	uint32_t skip = ordinal / RECORD_SKIP, position = skip ? hd_get_u32(r->skips + (size_t)(skip - 1) * 4) : 0;
	if (position > (size_t)(r->end - r->body))
		return HYDRO_E_CORRUPT;
	hd_record_jump(r, position, skip * RECORD_SKIP);
	struct hd_sample sample;
	for (int rc; r->ordinal < ordinal;)
		if ((rc = hd_record_read(r, &sample)) != HYDRO_OK)
			return rc;
	return HYDRO_OK;
}

bool hd_record_copy_footer(const struct hd_record_reader *r, uint32_t count, struct hd_buf *ret)
{
	static const uint8_t none[4];
	/* The dictionary as it stands; the skips are of other records, so that the copy is read by positions alone. */
	size_t before = ret->len;
	(void)hd_buf_add(ret, r->end, (size_t)(r->skips - r->end));
	for (uint32_t i = 0; i < (count - 1) / RECORD_SKIP; i++)
		(void)hd_buf_add(ret, none, sizeof none);
	uint8_t len[4];
	hd_put_u32(len, (uint32_t)(ret->len - before));
	return hd_buf_add(ret, len, sizeof len);
}
