/* SPDX-License-Identifier: MIT */
#include "journal/record.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "journal/record_format.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_MIN 64u
#define NOTE_BYTES_MAX (16u + 64u * 4u + HD_FLAGS_PER_SAMPLE_MAX * 15u)
#define LAYOUT_BYTES_MAX (16u + 2u * HD_METRICS_PER_SAMPLE_MAX * 5u)
#define MANTISSA_END 9007199254740992.0 /* 2^53 */
#define SCALED_END 2251799813685248.0   /* 2^51: below it one rounding of v * 10^6 still finds the decimal */

struct entry {
	uint32_t at, len;
	uint64_t hash;
};

/* Byte strings with numbers in order of arrival; `bytes` is what goes into the footer. */
struct dict {
	struct hd_buf bytes;
	struct entry *entries;
	uint32_t count, capacity;
	uint32_t *table; /* entry number + 1 */
	uint32_t mask;
};

struct hd_record_writer {
	struct hd_buf *out;
	size_t start;
	struct dict layouts, notes;
	struct hd_buf skips;
	int64_t base_ts;
	uint64_t base_source;
	uint32_t count;
	/* the layout of the last sample, spelled out: most samples have it again */
	uint32_t last_number, last_generation, last_counts;
	uint32_t last_metrics[2 * HD_METRICS_PER_SAMPLE_MAX];
};

static void dict_done(struct dict *dict)
{
	hd_buf_done(&dict->bytes);
	free(dict->entries);
	free(dict->table);
}

static void dict_clear(struct dict *dict)
{
	hd_buf_clear(&dict->bytes);
	dict->count = 0;
	if (dict->table)
		memset(dict->table, 0, (dict->mask + 1u) * sizeof *dict->table);
}

static bool dict_grow(struct dict *dict)
{
	uint32_t capacity = dict->capacity ? dict->capacity * 2 : TABLE_MIN / 2;
	struct entry *entries = realloc(dict->entries, capacity * sizeof *entries);
	if (!entries)
		return false;
	dict->entries = entries;
	uint32_t *table = calloc((size_t)capacity * 2, sizeof *table);
	if (!table)
		return false;
	free(dict->table);
	dict->table = table;
	dict->capacity = capacity;
	dict->mask = capacity * 2 - 1;
	for (uint32_t i = 0; i < dict->count; i++) {
		uint32_t slot = (uint32_t)entries[i].hash & dict->mask;
		while (table[slot])
			slot = (slot + 1) & dict->mask;
		table[slot] = i + 1;
	}
	return true;
}

/* The number of a byte string, new or known; false without memory. */
static bool dict_put(struct dict *dict, const uint8_t *text, size_t len, uint32_t *ret)
{
	if (dict->count == dict->capacity && !dict_grow(dict))
		return false;
	uint64_t hash = hd_hash(text, len);
	uint32_t slot = (uint32_t)hash & dict->mask;
	for (; dict->table[slot]; slot = (slot + 1) & dict->mask) {
		const struct entry *entry = &dict->entries[dict->table[slot] - 1];
		if (entry->hash == hash && entry->len == len && memcmp(dict->bytes.data + entry->at, text, len) == 0) {
			*ret = dict->table[slot] - 1;
			return true;
		}
	}
	struct entry *entry = &dict->entries[dict->count];
	*entry = (struct entry){.at = (uint32_t)dict->bytes.len, .len = (uint32_t)len, .hash = hash};
	if (!hd_buf_add(&dict->bytes, text, len))
		return false;
	dict->table[slot] = ++dict->count;
	*ret = dict->count - 1;
	return true;
}

struct hd_record_writer *hd_record_writer_new(void)
{
	return calloc(1, sizeof(struct hd_record_writer));
}

void hd_record_writer_free(struct hd_record_writer **writer)
{
	if (!*writer)
		return;
	dict_done(&(*writer)->layouts);
	dict_done(&(*writer)->notes);
	hd_buf_done(&(*writer)->skips);
	free(*writer);
	*writer = NULL;
}

void hd_record_writer_begin(struct hd_record_writer *writer, struct hd_buf *out)
{
	writer->out = out;
	writer->start = out->len;
	writer->count = 0;
	writer->last_counts = UINT32_MAX;
	dict_clear(&writer->layouts);
	dict_clear(&writer->notes);
	hd_buf_clear(&writer->skips);
}

static bool layout_is_last(const struct hd_record_writer *writer, const struct hd_sample *sample)
{
	if (writer->last_counts != ((uint32_t)sample->raw_count | (uint32_t)sample->value_count << 8) ||
	    writer->last_generation != sample->generation)
		return false;
	const uint32_t *metrics = writer->last_metrics;
	uint32_t different = 0;
	for (uint32_t i = 0; i < sample->raw_count; i++)
		different |= sample->raws[i].metric ^ *metrics++;
	for (uint32_t i = 0; i < sample->value_count; i++)
		different |= sample->values[i].metric ^ *metrics++;
	return different == 0;
}

static bool layout_put(struct hd_record_writer *writer, const struct hd_sample *sample)
{
	uint8_t text[LAYOUT_BYTES_MAX], *p = hd_put_varint(text, sample->generation);
	uint32_t *metrics = writer->last_metrics;
	*p++ = sample->raw_count;
	*p++ = sample->value_count;
	for (uint32_t i = 0; i < sample->raw_count; i++)
		p = hd_put_varint(p, *metrics++ = sample->raws[i].metric);
	for (uint32_t i = 0; i < sample->value_count; i++)
		p = hd_put_varint(p, *metrics++ = sample->values[i].metric);
	writer->last_counts = (uint32_t)sample->raw_count | (uint32_t)sample->value_count << 8;
	writer->last_generation = sample->generation;
	return dict_put(&writer->layouts, text, (size_t)(p - text), &writer->last_number);
}

/* Bit i: raw i, bit 32 + i: value i has another quality than 1. */
static uint64_t odd_qualities(const struct hd_sample *sample)
{
	uint64_t odd = 0;
	for (uint32_t i = 0; i < sample->raw_count; i++)
		odd |= (uint64_t)(sample->raws[i].quality != 1.0f) << i;
	for (uint32_t i = 0; i < sample->value_count; i++)
		odd |= (uint64_t)(sample->values[i].quality != 1.0f) << (32 + i);
	return odd;
}

static bool note_put(struct hd_record_writer *writer, const struct hd_sample *sample, uint64_t odd, uint32_t *ret)
{
	uint8_t text[NOTE_BYTES_MAX], *p = hd_put_varint(text, odd);
	for (uint64_t left = odd; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(left);
		float quality = i < 32 ? sample->raws[i].quality : sample->values[i - 32].quality;
		memcpy(p, &quality, sizeof quality);
		p += sizeof quality;
	}
	*p++ = sample->flag_count;
	for (uint32_t i = 0; i < sample->flag_count; i++) {
		p = hd_put_varint(p, sample->flags[i].metric);
		p = hd_put_varint(p, sample->flags[i].flag);
		p = hd_put_varint(p, sample->flags[i].rule);
	}
	return dict_put(&writer->notes, text, (size_t)(p - text), ret);
}

/* Writes up to 9 bytes, touches up to 9. */
static inline uint8_t *put_value(uint8_t *p, double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof bits);
	double magnitude = fabs(value);
	if (magnitude < MANTISSA_END) {
		uint64_t mantissa = (uint64_t)(int64_t)magnitude;
		uint32_t decimals = 0;
		if ((double)(int64_t)mantissa != magnitude) {
			double scaled = magnitude * 1e6;
			mantissa = scaled < SCALED_END ? (uint64_t)(int64_t)(scaled + 0.5) : 0;
			if ((double)(int64_t)mantissa / 1e6 != magnitude)
				goto as_double;
			decimals = VALUE_DECIMALS_MAX;
			if (mantissa % 1000 == 0) {
				mantissa /= 1000;
				decimals -= 3;
			}
			while (mantissa % 10 == 0) {
				mantissa /= 10;
				decimals--;
			}
		}
		uint32_t bytes = mantissa ? (71u - (uint32_t)__builtin_clzll(mantissa)) / 8u : 0;
		*p = (uint8_t)(bytes | decimals << 4 | (uint32_t)(bits >> 63) << 7);
		hd_put_u64(p + 1, mantissa);
		return p + 1 + bytes;
	}
as_double:
	*p = VALUE_DOUBLE;
	hd_put_u64(p + 1, bits);
	return p + 9;
}

static inline uint8_t *put_result(uint8_t *p, const struct hd_value *value, const struct hd_sample *sample)
{
	for (uint32_t i = 0; i < sample->raw_count; i++)
		if (memcmp(&value->value, &sample->raws[i].value, sizeof value->value) == 0) {
			*p = (uint8_t)((i & 15u) << 4 | (i < 16 ? VALUE_RAW : VALUE_RAW16));
			return p + 1;
		}
	return put_value(p, value->value);
}

static uint8_t *put_head(struct hd_record_writer *writer, uint8_t *p, const struct hd_sample *sample, uint32_t layout, uint32_t note)
{
	int64_t distance = (int64_t)((uint64_t)sample->ts_ms - (uint64_t)writer->base_ts);
	uint64_t source = sample->source - writer->base_source;
	uint32_t head = (sample->rev ? RECORD_REV : 0u) | (sample->bits ? RECORD_BITS : 0u) | (note ? RECORD_NOTE : 0u) |
			(source ? RECORD_SOURCE : 0u) | (distance % 1000 == 0 ? RECORD_SECONDS : 0u) | (layout ? RECORD_LAYOUT : 0u);
	*p++ = (uint8_t)head;
	p = hd_put_varint(p, sample->point);
	p = hd_put_varint(p, hd_zigzag(head & RECORD_SECONDS ? distance / 1000 : distance));
	if (head & RECORD_LAYOUT)
		p = hd_put_varint(p, layout);
	if (head & RECORD_REV)
		p = hd_put_varint(p, sample->rev);
	if (head & RECORD_BITS)
		p = hd_put_varint(p, sample->bits);
	if (head & RECORD_NOTE)
		p = hd_put_varint(p, note - 1);
	if (head & RECORD_SOURCE)
		p = hd_put_varint(p, hd_zigzag((int64_t)source));
	return p;
}

int hd_record_write(struct hd_record_writer *writer, const struct hd_sample *sample)
{
	if (HD_UNLIKELY(sample->raw_count > HD_METRICS_PER_SAMPLE_MAX || sample->value_count > HD_METRICS_PER_SAMPLE_MAX ||
			sample->flag_count > HD_FLAGS_PER_SAMPLE_MAX))
		return HYDRO_E_INVALID;
	struct hd_buf *out = writer->out;
	if (HD_UNLIKELY(out->cap - out->len < HD_RECORD_BYTES_MAX) && !hd_buf_reserve(out, HD_RECORD_BYTES_MAX))
		return HYDRO_E_NOMEM;
	if (writer->count == 0) {
		writer->base_ts = sample->ts_ms;
		writer->base_source = sample->source;
	} else if (writer->count % RECORD_SKIP == 0) {
		uint8_t position[4];
		hd_put_u32(position, (uint32_t)(out->len - writer->start));
		if (!hd_buf_add(&writer->skips, position, sizeof position))
			return HYDRO_E_NOMEM;
	}
	if (HD_UNLIKELY(!layout_is_last(writer, sample)) && !layout_put(writer, sample))
		return HYDRO_E_NOMEM;
	uint64_t odd = odd_qualities(sample);
	uint32_t note = 0;
	if (odd || sample->flag_count) {
		if (!note_put(writer, sample, odd, &note))
			return HYDRO_E_NOMEM;
		note++;
	}
	uint8_t *start = (uint8_t *)out->data + out->len, *p = put_head(writer, start, sample, writer->last_number, note);
	for (uint32_t i = 0; i < sample->raw_count; i++)
		p = put_value(p, sample->raws[i].value);
	for (uint32_t i = 0; i < sample->value_count; i++)
		p = put_result(p, &sample->values[i], sample);
	out->len += (size_t)(p - start);
	writer->count++;
	return HYDRO_OK;
}

static bool add_varint(struct hd_buf *out, uint64_t value)
{
	uint8_t text[HD_VARINT_MAX];
	return hd_buf_add(out, text, (size_t)(hd_put_varint(text, value) - text));
}

int hd_record_writer_end(struct hd_record_writer *writer)
{
	struct hd_buf *out = writer->out;
	size_t footer = out->len;
	uint8_t len[4];
	if (writer->count == 0)
		writer->base_ts = 0, writer->base_source = 0;
	bool good = add_varint(out, hd_zigzag(writer->base_ts)) && add_varint(out, writer->base_source) &&
		    add_varint(out, writer->layouts.count) && hd_buf_add(out, writer->layouts.bytes.data, writer->layouts.bytes.len) &&
		    add_varint(out, writer->notes.count) && hd_buf_add(out, writer->notes.bytes.data, writer->notes.bytes.len) &&
		    hd_buf_add(out, writer->skips.data, writer->skips.len);
	hd_put_u32(len, (uint32_t)(out->len - footer));
	writer->out = NULL;
	return good && hd_buf_add(out, len, sizeof len) ? HYDRO_OK : HYDRO_E_NOMEM;
}
