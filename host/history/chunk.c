/* SPDX-License-Identifier: MIT */
#include "history/chunk.h"

#include "history/chunk_layout.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <zstd.h>

#define PACKED_PLAIN 0u
#define PACKED_ZSTD 1u
#define ZSTD_LEVEL 3

void hd_chunk_codec_done(struct hd_chunk_codec *codec)
{
	ZSTD_freeCCtx(codec->cctx);
	ZSTD_freeDCtx(codec->dctx);
	hd_buf_done(&codec->plain);
	hd_buf_done(&codec->bytes);
	free(codec->numbers);
	*codec = (struct hd_chunk_codec){0};
}

void hd_chunk_done(struct hd_chunk *chunk)
{
	free(chunk->memory);
	*chunk = (struct hd_chunk){0};
}

static bool put(struct hd_buf *buf, uint64_t v)
{
	uint8_t bytes[HD_VARINT_MAX];
	return hd_buf_add(buf, bytes, (size_t)(hd_put_varint(bytes, v) - bytes));
}

/* Times: unit (1 or 1000 ms), first, then differences of differences. */
static void put_times(struct hd_buf *buf, const struct hd_sample *samples, uint32_t count)
{
	int64_t unit = 1000;
	for (uint32_t i = 0; i < count; i++)
		if (samples[i].ts_ms % 1000 != 0)
			unit = 1;
	put(buf, (uint64_t)unit);
	int64_t last = 0, last_step = 0;
	for (uint32_t i = 0; i < count; i++) {
		int64_t now = samples[i].ts_ms / unit, step = now - last;
		put(buf, hd_zigzag(i == 0 ? now : step - last_step));
		last_step = i == 0 ? 0 : step;
		last = now;
	}
}

static bool numbers_reserve(struct hd_chunk_codec *codec, size_t count)
{
	if (codec->numbers_cap >= count)
		return true;
	double *numbers = realloc(codec->numbers, count * sizeof *numbers);
	if (!numbers)
		return false;
	codec->numbers = numbers;
	codec->numbers_cap = count;
	return true;
}

/* Each column: its values in the rows that have it, then the qualities that are not 1. */
static bool put_columns(struct hd_chunk_codec *codec, const struct chunk_layouts *layouts, const struct hd_sample *samples, uint32_t count,
			const int64_t *ts_ms)
{
	struct hd_buf *buf = &codec->plain;
	uint32_t columns = layouts->column_count;
	double *matrix = codec->numbers, *dense = matrix + (size_t)columns * count;
	uint32_t *rows = (uint32_t *)(void *)(dense + count);
	const double *earlier[CHUNK_COLUMNS_MAX];
	for (uint32_t c = 0; c < columns; c++) {
		uint32_t n = 0, last = 0;
		earlier[c] = matrix + (size_t)c * count;
		struct hd_buf qualities = {0};
		uint32_t exceptions = 0;
		for (uint32_t i = 0; i < count; i++) {
			const struct hd_value *value = chunk_layout_value(layouts, &samples[i], i, c);
			matrix[(size_t)c * count + i] = value ? value->value : chunk_absent();
			if (!value)
				continue;
			if (value->quality != 1.0f) {
				put(&qualities, n - last);
				hd_buf_add(&qualities, &value->quality, sizeof value->quality);
				last = n;
				exceptions++;
			}
			rows[n] = i;
			dense[n++] = value->value;
		}
		struct hd_column_context context = {earlier, c, rows, ts_ms};
		bool ok = hd_column_encode(buf, dense, n, &context) && put(buf, exceptions) && hd_buf_add(buf, qualities.data, qualities.len) && !qualities.failed;
		hd_buf_done(&qualities);
		if (!ok)
			return false;
	}
	return true;
}

static void put_flags(struct hd_buf *buf, const struct hd_sample *samples, uint32_t count)
{
	uint32_t total = 0, last = 0;
	for (uint32_t i = 0; i < count; i++)
		total += samples[i].flag_count;
	put(buf, total);
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t f = 0; f < samples[i].flag_count; f++) {
			const struct hd_flag *flag = &samples[i].flags[f];
			put(buf, i - last);
			put(buf, flag->metric);
			put(buf, flag->flag);
			put(buf, flag->rule);
			last = i;
		}
}

static int pack(struct hd_chunk_codec *codec, struct hd_buf *ret, struct hydro_error *err)
{
	const struct hd_buf *plain = &codec->plain;
	if (plain->failed)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a chunk");
	if (plain->len > HD_CHUNK_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "a chunk of more than %u bytes", HD_CHUNK_BYTES_MAX);
	if (!codec->cctx && !(codec->cctx = ZSTD_createCCtx()))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a chunk");
	(void)ZSTD_CCtx_setParameter(codec->cctx, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	(void)ZSTD_CCtx_setParameter(codec->cctx, ZSTD_c_contentSizeFlag, 0);
	size_t bound = ZSTD_compressBound(plain->len);
	if (!hd_buf_reserve(ret, 1 + HD_VARINT_MAX + bound))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a chunk");
	uint8_t head[1 + HD_VARINT_MAX] = {PACKED_ZSTD};
	size_t head_len = (size_t)(hd_put_varint(head + 1, plain->len) - head);
	size_t packed = ZSTD_compress2(codec->cctx, ret->data + ret->len + head_len, bound, plain->data, plain->len);
	if (ZSTD_isError(packed) || packed >= plain->len) {
		head[0] = PACKED_PLAIN;
		packed = plain->len;
		memcpy(ret->data + ret->len + head_len, plain->data, plain->len);
	}
	memcpy(ret->data + ret->len, head, head_len);
	ret->len += head_len + packed;
	return HYDRO_OK;
}

int hd_chunk_encode(struct hd_chunk_codec *codec, const struct hd_sample *samples, uint32_t count, struct hd_buf *ret, struct hydro_error *err)
{
	HD_ASSERT(count > 0 && count <= HD_CHUNK_SAMPLES_MAX);
	HD_CLEANUP(chunk_layouts_done) struct chunk_layouts layouts = {0};
	int rc = chunk_layouts_collect(&layouts, samples, count, err);
	if (rc != HYDRO_OK)
		return rc;
	size_t doubles = ((size_t)layouts.column_count + 1) * count;
	if (!numbers_reserve(codec, doubles + count + count))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a chunk");
	int64_t *ts_ms = (int64_t *)(void *)(codec->numbers + doubles + count);
	for (uint32_t i = 0; i < count; i++)
		ts_ms[i] = samples[i].ts_ms;
	hd_buf_clear(&codec->plain);
	put(&codec->plain, count);
	chunk_layouts_put(&layouts, count, &codec->plain);
	put_times(&codec->plain, samples, count);
	if (!put_columns(codec, &layouts, samples, count, ts_ms))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a chunk");
	put_flags(&codec->plain, samples, count);
	return pack(codec, ret, err);
}

/* ---- reading ---- */

static int corrupt(struct hydro_error *err, const char *what)
{
	return hd_error_set(err, HYDRO_E_CORRUPT, "history chunk does not check: %s", what);
}

static int unpack(struct hd_chunk_codec *codec, const uint8_t *data, size_t len, const uint8_t **ret, size_t *ret_len, struct hydro_error *err)
{
	uint64_t plain_len;
	const uint8_t *p = len ? hd_get_varint(data + 1, data + len, &plain_len) : NULL;
	if (!p || plain_len > HD_CHUNK_BYTES_MAX || data[0] > PACKED_ZSTD)
		return corrupt(err, "its head");
	size_t rest = len - (size_t)(p - data);
	*ret = p;
	*ret_len = rest;
	if (data[0] == PACKED_PLAIN)
		return rest == plain_len ? HYDRO_OK : corrupt(err, "its length");
	hd_buf_clear(&codec->bytes);
	if ((!codec->dctx && !(codec->dctx = ZSTD_createDCtx())) || !hd_buf_reserve(&codec->bytes, (size_t)plain_len + 1))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to read a chunk");
	if (ZSTD_decompressDCtx(codec->dctx, codec->bytes.data, (size_t)plain_len, p, rest) != plain_len)
		return corrupt(err, "its compression");
	*ret = (const uint8_t *)codec->bytes.data;
	*ret_len = (size_t)plain_len;
	return HYDRO_OK;
}

static const uint8_t *get_times(const uint8_t *p, const uint8_t *end, struct hd_sample *samples, int64_t *ts_ms, uint32_t count)
{
	uint64_t unit, v;
	if (!(p = hd_get_varint(p, end, &unit)) || (unit != 1 && unit != 1000))
		return NULL;
	int64_t last = 0, step = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (!(p = hd_get_varint(p, end, &v)))
			return NULL;
		if (i == 0)
			last = hd_unzigzag(v);
		else if (__builtin_add_overflow(step, hd_unzigzag(v), &step) || __builtin_add_overflow(last, step, &last))
			return NULL;
		if (__builtin_mul_overflow(last, (int64_t)unit, &ts_ms[i]) || ts_ms[i] < HD_TS_MIN_MS || ts_ms[i] > HD_TS_MAX_MS || (i && ts_ms[i] < ts_ms[i - 1]))
			return NULL;
		samples[i].ts_ms = ts_ms[i];
	}
	return p;
}

static const uint8_t *get_qualities(const uint8_t *p, const uint8_t *end, struct hd_value **values, uint32_t n)
{
	uint64_t exceptions, step, at = 0;
	if (!(p = hd_get_varint(p, end, &exceptions)) || exceptions > n)
		return NULL;
	for (uint64_t e = 0; e < exceptions; e++) {
		if (!(p = hd_get_varint(p, end, &step)) || end - p < 4 || step > n || (at += step) >= n)
			return NULL;
		float quality;
		memcpy(&quality, p, sizeof quality);
		if (!(quality >= 0 && quality <= 1))
			return NULL;
		values[at]->quality = quality;
		p += 4;
	}
	return p;
}

static const uint8_t *get_columns(struct hd_chunk_codec *codec, const struct chunk_layouts *layouts, const uint8_t *p, const uint8_t *end,
				  struct hd_sample *samples, uint32_t count, const int64_t *ts_ms)
{
	double *matrix = codec->numbers, *dense = matrix + (size_t)layouts->column_count * count;
	uint32_t *rows = (uint32_t *)(void *)(dense + count);
	HD_CLEANUP(hd_cleanup_free) struct hd_value **at = malloc((size_t)count * sizeof *at);
	const double *earlier[CHUNK_COLUMNS_MAX];
	for (uint32_t c = 0; at && p && c < layouts->column_count; c++) {
		uint32_t n = 0;
		double *column = matrix + (size_t)c * count;
		earlier[c] = column;
		for (uint32_t i = 0; i < count; i++) {
			column[i] = chunk_absent();
			struct hd_value *value = (struct hd_value *)(uintptr_t)chunk_layout_value(layouts, &samples[i], i, c);
			if (!value)
				continue;
			value->metric = layouts->columns[c].metric;
			value->quality = 1.0f;
			rows[n] = i;
			at[n++] = value;
		}
		struct hd_column_context context = {earlier, c, rows, ts_ms};
		p = hd_column_decode(p, end, dense, n, &context);
		for (uint32_t i = 0; p && i < n; i++) {
			at[i]->value = dense[i];
			column[rows[i]] = dense[i];
		}
		if (p)
			p = get_qualities(p, end, at, n);
	}
	return at ? p : NULL;
}

static const uint8_t *get_flags(const uint8_t *p, const uint8_t *end, struct hd_sample *samples, uint32_t count, struct hd_flag *flags, uint64_t total)
{
	uint64_t at = 0, step, metric, number, rule;
	for (uint64_t f = 0; f < total; f++) {
		if (!(p = hd_get_varint(p, end, &step)) || !(p = hd_get_varint(p, end, &metric)) || !(p = hd_get_varint(p, end, &number)) ||
		    !(p = hd_get_varint(p, end, &rule)) || step > count || (at += step) >= count || metric > UINT32_MAX || number > UINT16_MAX ||
		    rule > UINT32_MAX || samples[at].flag_count == HD_FLAGS_PER_SAMPLE_MAX)
			return NULL;
		flags[f] = (struct hd_flag){(uint32_t)metric, (uint16_t)number, 0, (uint32_t)rule};
		if (samples[at].flag_count++ == 0)
			samples[at].flags = &flags[f];
	}
	return p;
}

/* One allocation: samples, then values, then room for flags is taken after the columns are known. */
static int chunk_reserve(struct hd_chunk *chunk, size_t bytes, struct hydro_error *err)
{
	if (chunk->memory_bytes < bytes) {
		void *memory = realloc(chunk->memory, bytes);
		if (!memory)
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory to read a chunk");
		chunk->memory = memory;
		chunk->memory_bytes = bytes;
	}
	chunk->samples = chunk->memory;
	return HYDRO_OK;
}

static int read_plain(struct hd_chunk_codec *codec, const uint8_t *p, const uint8_t *end, uint32_t point, struct hd_chunk *ret, struct hydro_error *err)
{
	HD_CLEANUP(chunk_layouts_done) struct chunk_layouts layouts = {0};
	uint64_t count, flag_total;
	if (!(p = hd_get_varint(p, end, &count)) || count == 0 || count > HD_CHUNK_SAMPLES_MAX)
		return corrupt(err, "its count");
	uint32_t n = (uint32_t)count;
	if (!(p = chunk_layouts_get(&layouts, n, p, end)))
		return corrupt(err, "its layouts");
	/* A flag takes at least four bytes, so what is left bounds their number before it is read. */
	size_t flags_max = (size_t)(end - p) / 4;
	size_t bytes = n * sizeof(struct hd_sample) + layouts.value_total * sizeof(struct hd_value) + flags_max * sizeof(struct hd_flag);
	int rc = chunk_reserve(ret, bytes, err);
	size_t doubles = ((size_t)layouts.column_count + 1) * n;
	if (rc == HYDRO_OK && !numbers_reserve(codec, doubles + n + n))
		rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory to read a chunk");
	if (rc != HYDRO_OK)
		return rc;
	int64_t *ts_ms = (int64_t *)(void *)(codec->numbers + doubles + n);
	struct hd_value *values = (struct hd_value *)(void *)(ret->samples + n);
	chunk_layouts_apply(&layouts, ret->samples, n, point, values);
	if (!(p = get_times(p, end, ret->samples, ts_ms, n)))
		return corrupt(err, "its times");
	if (!(p = get_columns(codec, &layouts, p, end, ret->samples, n, ts_ms)))
		return corrupt(err, "its columns");
	struct hd_flag *flags = (struct hd_flag *)(void *)(values + layouts.value_total);
	if (!(p = hd_get_varint(p, end, &flag_total)) || flag_total > flags_max || !(p = get_flags(p, end, ret->samples, n, flags, flag_total)) || p != end)
		return corrupt(err, "its flags");
	ret->count = n;
	return HYDRO_OK;
}

int hd_chunk_decode(struct hd_chunk_codec *codec, const void *data, size_t len, uint32_t point, struct hd_chunk *ret, struct hydro_error *err)
{
	const uint8_t *plain = NULL;
	size_t plain_len = 0;
	ret->count = 0;
	int rc = unpack(codec, data, len, &plain, &plain_len, err);
	return rc == HYDRO_OK ? read_plain(codec, plain, plain + plain_len, point, ret, err) : rc;
}
