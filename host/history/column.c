/* SPDX-License-Identifier: MIT */
#include "history/column.h"

#include "base/bytes.h"

#include <math.h>

#define FORM_PLANES 0u     /* 8 planes of bytes, lowest first, over the XOR with the value before */
#define FORM_DECIMAL 1u    /* exponent k, then differences of value × 10^k */
#define FORM_CONSTANT 2u   /* one value */
#define FORM_SAME 3u       /* index of the equal earlier column */
#define FORM_RATE 4u       /* index of a counter column: Δcounter × 1000 / Δs; first value and exceptions follow */
#define FORM_DICTIONARY 5u /* n values, then an index byte a row */
#define FORM_REST 6u       /* index of an earlier column and c: c - column, as a depth is of a level */

#define DECIMALS_MAX 6u
#define MANTISSA_MAX 9007199254740992.0 /* 2^53: beyond it a double is no exact integer */
#define DICTIONARY_MAX 32u

static const double powers[DECIMALS_MAX + 1] = {1, 10, 100, 1000, 1e4, 1e5, 1e6};

static bool same_bits(double a, double b)
{
	return hd_get_u64((const uint8_t *)&a) == hd_get_u64((const uint8_t *)&b);
}

/* Smallest k so that every value is an integer / 10^k, bit for bit; DECIMALS_MAX + 1 if there is none. */
static unsigned decimals_of(const double *values, uint32_t count)
{
	unsigned k = 0;
	for (uint32_t i = 0; i < count; i++) {
		for (; k <= DECIMALS_MAX; k++) {
			double mantissa = rint(values[i] * powers[k]);
			if (fabs(mantissa) < MANTISSA_MAX && same_bits((double)(int64_t)mantissa / powers[k], values[i]))
				break;
		}
		if (k > DECIMALS_MAX)
			return k;
	}
	for (uint32_t i = 0; i < count; i++) /* a later value may have raised k past an earlier one's exactness */
		if (!(fabs(values[i] * powers[k]) < MANTISSA_MAX) || !same_bits((double)(int64_t)rint(values[i] * powers[k]) / powers[k], values[i]))
			return DECIMALS_MAX + 1;
	return k;
}

static bool encode_decimal(struct hd_buf *ret, const double *values, uint32_t count, unsigned k)
{
	if (!hd_buf_reserve(ret, 2 + (size_t)count * HD_VARINT_MAX))
		return false;
	uint8_t *p = (uint8_t *)ret->data + ret->len;
	*p++ = FORM_DECIMAL;
	*p++ = (uint8_t)k;
	int64_t last = 0;
	for (uint32_t i = 0; i < count; i++) {
		int64_t mantissa = (int64_t)rint(values[i] * powers[k]);
		p = hd_put_varint(p, hd_zigzag(mantissa - last));
		last = mantissa;
	}
	ret->len = (size_t)((char *)p - ret->data);
	return true;
}

/* The flow that a `rate` step makes of a counter: the one formula, so that results are the same bits. */
static double rate_of(const double *counter, const int64_t *ts_ms, uint32_t row)
{
	double seconds = (double)(ts_ms[row] - ts_ms[row - 1]) / 1000.0;
	return (counter[row] - counter[row - 1]) / seconds * 1000.0;
}

static bool rate_predicts(const struct hd_column_context *context, uint32_t column, double value, uint32_t row)
{
	return row > 0 && same_bits(rate_of(context->earlier[column], context->ts_ms, row), value);
}

/* Rows that the rate of the column does not give. */
static uint32_t rate_exceptions(const struct hd_column_context *context, uint32_t column, const double *values, uint32_t count, uint32_t limit)
{
	uint32_t exceptions = 0;
	for (uint32_t i = 0; i < count && exceptions <= limit; i++)
		exceptions += !rate_predicts(context, column, values[i], context->rows[i]);
	return exceptions;
}

static bool encode_rate(struct hd_buf *ret, const double *values, uint32_t count, const struct hd_column_context *context, uint32_t column, uint32_t exceptions)
{
	if (!hd_buf_reserve(ret, 2 * HD_VARINT_MAX + (size_t)exceptions * (HD_VARINT_MAX + 8) + 1))
		return false;
	uint8_t *p = (uint8_t *)ret->data + ret->len;
	*p++ = FORM_RATE;
	p = hd_put_varint(hd_put_varint(p, column), exceptions);
	uint32_t last = 0;
	for (uint32_t i = 0; i < count; i++)
		if (!rate_predicts(context, column, values[i], context->rows[i])) {
			p = hd_put_varint(p, i - last);
			hd_put_f64(p, values[i]);
			p += 8;
			last = i;
		}
	ret->len = (size_t)((char *)p - ret->data);
	return true;
}

static bool encode_planes(struct hd_buf *ret, const double *values, uint32_t count)
{
	if (!hd_buf_reserve(ret, 1 + (size_t)count * 8))
		return false;
	uint8_t *p = (uint8_t *)ret->data + ret->len;
	*p++ = FORM_PLANES;
	uint64_t last = 0;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t bits;
		memcpy(&bits, &values[i], sizeof bits);
		for (unsigned plane = 0; plane < 8; plane++)
			p[(size_t)plane * count + i] = (uint8_t)((bits ^ last) >> (8 * plane));
		last = bits;
	}
	ret->len += 1 + (size_t)count * 8;
	return true;
}

/* Few distinct values that are no decimals: false when there are too many. */
static bool encode_dictionary(struct hd_buf *ret, const double *values, uint32_t count)
{
	double distinct[DICTIONARY_MAX];
	uint32_t n = 0, most = HD_MIN(count / 2, DICTIONARY_MAX);
	size_t start = ret->len;
	if (!hd_buf_reserve(ret, 2 + DICTIONARY_MAX * 8 + (size_t)count))
		return false;
	uint8_t *index = (uint8_t *)ret->data + start + 2 + DICTIONARY_MAX * 8;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = 0;
		while (at < n && !same_bits(distinct[at], values[i]))
			at++;
		if (at == n) {
			if (n == most)
				return false;
			distinct[n++] = values[i];
		}
		index[i] = (uint8_t)at;
	}
	uint8_t *p = (uint8_t *)ret->data + start;
	*p++ = FORM_DICTIONARY;
	*p++ = (uint8_t)n;
	memcpy(p, distinct, (size_t)n * 8);
	memmove(p + (size_t)n * 8, index, count);
	ret->len = start + 2 + (size_t)n * 8 + count;
	return true;
}

static bool equals_earlier(const struct hd_column_context *context, uint32_t column, const double *values, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (!same_bits(context->earlier[column][context->rows[i]], values[i]))
			return false;
	return true;
}

static bool rests_on(const struct hd_column_context *context, uint32_t column, const double *values, uint32_t count, double *ret_from)
{
	const double *earlier = context->earlier[column];
	*ret_from = rint((values[0] + earlier[context->rows[0]]) * 1000) / 1000; /* what it rests on is configured in millimetres at the finest */
	for (uint32_t i = 0; i < count; i++)
		if (!same_bits(*ret_from - earlier[context->rows[i]], values[i]))
			return false;
	return true;
}

static bool encode_rest(struct hd_buf *ret, uint32_t column, double from)
{
	uint8_t bytes[1 + HD_VARINT_MAX + 8] = {FORM_REST};
	uint8_t *p = hd_put_varint(bytes + 1, column);
	hd_put_f64(p, from);
	return hd_buf_add(ret, bytes, (size_t)(p + 8 - bytes));
}

bool hd_column_encode(struct hd_buf *ret, const double *values, uint32_t count, const struct hd_column_context *context)
{
	uint32_t i = 1;
	while (i < count && same_bits(values[i], values[0]))
		i++;
	if (i >= count) {
		hd_buf_add_char(ret, (char)FORM_CONSTANT);
		return hd_buf_add(ret, values, 8);
	}
	for (uint32_t c = 0; c < context->earlier_count; c++)
		if (equals_earlier(context, c, values, count)) {
			uint8_t bytes[1 + HD_VARINT_MAX] = {FORM_SAME};
			return hd_buf_add(ret, bytes, (size_t)(hd_put_varint(bytes + 1, c) - bytes));
		}
	double from;
	for (uint32_t c = 0; count > 2 && c < context->earlier_count; c++)
		if (rests_on(context, c, values, count, &from))
			return encode_rest(ret, c, from);
	unsigned k = decimals_of(values, count);
	if (k <= 3)
		return encode_decimal(ret, values, count, k);
	for (uint32_t c = 0; c < context->earlier_count; c++) {
		uint32_t exceptions = rate_exceptions(context, c, values, count, count / 2);
		if (exceptions <= count / 2)
			return encode_rate(ret, values, count, context, c, exceptions);
	}
	if (k <= DECIMALS_MAX)
		return encode_decimal(ret, values, count, k);
	return encode_dictionary(ret, values, count) || (!ret->failed && encode_planes(ret, values, count));
}

static const uint8_t *decode_decimal(const uint8_t *p, const uint8_t *end, double *ret, uint32_t count)
{
	if (p >= end || *p > DECIMALS_MAX)
		return NULL;
	double power = powers[*p++];
	uint64_t mantissa = 0;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t v;
		if (!(p = hd_get_varint(p, end, &v)))
			return NULL;
		mantissa += (uint64_t)hd_unzigzag(v);
		ret[i] = (double)(int64_t)mantissa / power;
	}
	return p;
}

static const uint8_t *decode_planes(const uint8_t *p, const uint8_t *end, double *ret, uint32_t count)
{
	if ((size_t)(end - p) < (size_t)count * 8)
		return NULL;
	uint64_t last = 0;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t bits = 0;
		for (unsigned plane = 0; plane < 8; plane++)
			bits |= (uint64_t)p[(size_t)plane * count + i] << (8 * plane);
		last ^= bits;
		memcpy(&ret[i], &last, sizeof last);
	}
	return p + (size_t)count * 8;
}

static const uint8_t *decode_rate(const uint8_t *p, const uint8_t *end, double *ret, uint32_t count, const struct hd_column_context *context)
{
	uint64_t column, exceptions, step;
	if (!(p = hd_get_varint(p, end, &column)) || column >= context->earlier_count || !(p = hd_get_varint(p, end, &exceptions)) || exceptions > count)
		return NULL;
	for (uint32_t i = 0; i < count; i++)
		ret[i] = context->rows[i] > 0 ? rate_of(context->earlier[column], context->ts_ms, context->rows[i]) : 0;
	uint64_t at = 0;
	for (uint64_t e = 0; e < exceptions; e++) {
		if (!(p = hd_get_varint(p, end, &step)) || end - p < 8 || (at += step) >= count)
			return NULL;
		ret[at] = hd_get_f64(p);
		p += 8;
	}
	return p;
}

static const uint8_t *decode_dictionary(const uint8_t *p, const uint8_t *end, double *ret, uint32_t count)
{
	if (p >= end)
		return NULL;
	uint32_t n = *p++;
	const uint8_t *values = p, *index = p + (size_t)n * 8;
	if (n == 0 || (size_t)(end - p) < (size_t)n * 8 + count)
		return NULL;
	for (uint32_t i = 0; i < count; i++) {
		if (index[i] >= n)
			return NULL;
		ret[i] = hd_get_f64(values + (size_t)index[i] * 8);
	}
	return index + count;
}

const uint8_t *hd_column_decode(const uint8_t *p, const uint8_t *end, double *ret, uint32_t count, const struct hd_column_context *context)
{
	uint64_t column;
	if (p >= end)
		return NULL;
	switch (*p++) {
	case FORM_CONSTANT:
		if (end - p < 8)
			return NULL;
		for (uint32_t i = 0; i < count; i++)
			ret[i] = hd_get_f64(p);
		return p + 8;
	case FORM_SAME:
		if (!(p = hd_get_varint(p, end, &column)) || column >= context->earlier_count)
			return NULL;
		for (uint32_t i = 0; i < count; i++)
			ret[i] = context->earlier[column][context->rows[i]];
		return p;
	case FORM_REST:
		if (!(p = hd_get_varint(p, end, &column)) || column >= context->earlier_count || end - p < 8)
			return NULL;
		for (uint32_t i = 0; i < count; i++)
			ret[i] = hd_get_f64(p) - context->earlier[column][context->rows[i]];
		return p + 8;
	case FORM_DECIMAL:
		return decode_decimal(p, end, ret, count);
	case FORM_RATE:
		return decode_rate(p, end, ret, count, context);
	case FORM_DICTIONARY:
		return decode_dictionary(p, end, ret, count);
	case FORM_PLANES:
		return decode_planes(p, end, ret, count);
	default:
		return NULL;
	}
}
