/* SPDX-License-Identifier: MIT */
/* Aggregates by hour of one UTC day, and their stored form. */
#include "history/internal.h"

#include "base/array.h"
#include "base/bytes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DOUBLES 5u

void history_hours_done(struct history_hours *hours)
{
	free(hours->hours);
	*hours = (struct history_hours){0};
}

static struct hd_aggregate *hours_add(struct history_hours *hours)
{
	if (!HD_RESERVE(hours->hours, hours->capacity, hours->count, 1))
		return NULL;
	hours->hours[hours->count] = (struct hd_aggregate){0};
	return &hours->hours[hours->count++];
}

static void take_value(struct hd_aggregate *into, const struct hd_value *value, int64_t ts_ms)
{
	if (into->count == 0) {
		into->min = into->max = into->first = value->value;
		into->first_ms = ts_ms;
	}
	into->count++;
	into->suspect += value->quality < 1.0f;
	into->min = fmin(into->min, value->value);
	into->max = fmax(into->max, value->value);
	into->sum += value->value;
	into->last = value->value;
	into->last_ms = ts_ms;
}

/* Rows come in order of time; an hour's metrics stand in the order in which they first came. HYDRO_E_NOMEM. */
int history_hours_of(const struct rowset *rows, struct history_hours *ret)
{
	ret->count = 0;
	uint32_t hour_from = 0;
	int64_t hour = INT64_MIN;
	for (uint32_t i = 0; i < rows->count; i++) {
		const struct hd_sample *row = &rows->rows[i];
		int64_t now = row->ts_ms / HOUR_MS * HOUR_MS;
		if (row->bits & HD_SAMPLE_CLOCK)
			continue;
		if (now != hour) {
			hour = now;
			hour_from = ret->count;
		}
		for (uint32_t v = 0; v < row->value_count; v++) {
			if (!(row->values[v].quality > 0))
				continue;
			struct hd_aggregate *into = NULL;
			for (uint32_t k = hour_from; k < ret->count && !into; k++)
				if (ret->hours[k].metric == row->values[v].metric)
					into = &ret->hours[k];
			if (!into && !(into = hours_add(ret)))
				return HYDRO_E_NOMEM;
			into->start_ms = hour;
			into->metric = row->values[v].metric;
			take_value(into, &row->values[v], row->ts_ms);
		}
	}
	return HYDRO_OK;
}

static bool put(struct hd_buf *buf, uint64_t v)
{
	uint8_t bytes[HD_VARINT_MAX];
	return hd_buf_add(buf, bytes, (size_t)(hd_put_varint(bytes, v) - bytes));
}

bool history_hours_put(const struct history_hours *hours, struct hd_buf *ret)
{
	put(ret, hours->count);
	for (uint32_t i = 0; i < hours->count; i++) {
		const struct hd_aggregate *a = &hours->hours[i];
		put(ret, (uint64_t)(a->start_ms / HOUR_MS % 24));
		put(ret, a->metric);
		put(ret, a->count);
		put(ret, a->suspect);
		put(ret, (uint64_t)(a->first_ms - a->start_ms));
		put(ret, (uint64_t)(a->last_ms - a->start_ms));
		const double doubles[DOUBLES] = {a->min, a->max, a->sum, a->first, a->last};
		hd_buf_add(ret, doubles, sizeof doubles);
	}
	return !ret->failed;
}

bool history_hours_get(const void *data, size_t len, int64_t day, struct history_hours *ret)
{
	const uint8_t *p = data, *end = p + len;
	uint64_t count, head[6];
	ret->count = 0;
	if (!(p = hd_get_varint(p, end, &count)) || count > 24u * HD_METRICS_PER_SAMPLE_MAX)
		return false;
	for (uint64_t i = 0; i < count; i++) {
		for (size_t k = 0; k < HD_ARRAY_LEN(head); k++)
			if (!(p = hd_get_varint(p, end, &head[k])))
				return false;
		if (head[0] > 23 || head[1] > UINT32_MAX || head[2] > UINT32_MAX || head[3] > head[2] || head[4] >= (uint64_t)HOUR_MS ||
		    head[5] >= (uint64_t)HOUR_MS || (size_t)(end - p) < DOUBLES * 8)
			return false;
		double doubles[DOUBLES];
		memcpy(doubles, p, sizeof doubles);
		p += sizeof doubles;
		struct hd_aggregate *a = hours_add(ret);
		if (!a)
			return false;
		int64_t start = day * DAY_MS + (int64_t)head[0] * HOUR_MS;
		*a = (struct hd_aggregate){.start_ms = start, .metric = (uint32_t)head[1], .count = (uint32_t)head[2], .suspect = (uint32_t)head[3],
					   .min = doubles[0], .max = doubles[1], .sum = doubles[2], .first = doubles[3], .last = doubles[4],
					   .first_ms = start + (int64_t)head[4], .last_ms = start + (int64_t)head[5]};
	}
	return p == end;
}
