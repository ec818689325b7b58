/* SPDX-License-Identifier: MIT */
#include "history/chunk_layout.h"

#include "base/array.h"
#include "base/bytes.h"

#include <stdlib.h>

void chunk_layouts_done(struct chunk_layouts *layouts)
{
	free(layouts->layouts);
	free(layouts->of_row);
	*layouts = (struct chunk_layouts){0};
}

static int column_of(struct chunk_layouts *ret, uint32_t metric, uint32_t is_raw)
{
	for (uint32_t c = 0; c < ret->column_count; c++)
		if (ret->columns[c].metric == metric && ret->columns[c].is_raw == is_raw)
			return (int)c;
	if (ret->column_count == CHUNK_COLUMNS_MAX)
		return -1;
	ret->columns[ret->column_count] = (struct chunk_column){metric, is_raw};
	return (int)ret->column_count++;
}

static bool matches(const struct chunk_layouts *layouts, const struct chunk_layout *layout, const struct hd_sample *sample)
{
	if (layout->generation != sample->generation || layout->rev != sample->rev || layout->bits != sample->bits ||
	    layout->raw_count != sample->raw_count || layout->value_count != sample->value_count)
		return false;
	for (uint32_t i = 0; i < sample->raw_count; i++)
		if (layouts->columns[layout->slots[i]].metric != sample->raws[i].metric)
			return false;
	for (uint32_t i = 0; i < sample->value_count; i++)
		if (layouts->columns[layout->slots[sample->raw_count + i]].metric != sample->values[i].metric)
			return false;
	return true;
}

static struct chunk_layout *layout_add(struct chunk_layouts *ret)
{
	if (!HD_RESERVE(ret->layouts, ret->layout_cap, ret->layout_count, 1))
		return NULL;
	ret->layouts[ret->layout_count] = (struct chunk_layout){0};
	return &ret->layouts[ret->layout_count++];
}

static int layout_make(struct chunk_layouts *ret, const struct hd_sample *sample, struct hydro_error *err)
{
	if (ret->layout_count == CHUNK_LAYOUTS_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "more than %u layouts in a chunk", CHUNK_LAYOUTS_MAX);
	struct chunk_layout *layout = layout_add(ret);
	if (!layout)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a chunk");
	layout->generation = sample->generation;
	layout->rev = sample->rev;
	layout->bits = sample->bits;
	layout->raw_count = sample->raw_count;
	layout->value_count = sample->value_count;
	for (uint32_t i = 0; i < (uint32_t)sample->raw_count + sample->value_count; i++) {
		bool is_raw = i < sample->raw_count;
		uint32_t metric = is_raw ? sample->raws[i].metric : sample->values[i - sample->raw_count].metric;
		int column = column_of(ret, metric, is_raw);
		if (column < 0)
			return hd_error_set(err, HYDRO_E_LIMIT, "more than %u metrics in a chunk", CHUNK_COLUMNS_MAX);
		if (layout->place[column])
			return hd_error_set(err, HYDRO_E_INVALID, "a sample has metric %u twice", metric);
		layout->slots[i] = (uint8_t)column;
		layout->place[column] = (uint8_t)(i + 1);
	}
	return HYDRO_OK;
}

int chunk_layouts_collect(struct chunk_layouts *ret, const struct hd_sample *samples, uint32_t count, struct hydro_error *err)
{
	ret->of_row = malloc(count * sizeof *ret->of_row);
	if (!ret->of_row)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a chunk");
	uint32_t at = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (at >= ret->layout_count || !matches(ret, &ret->layouts[at], &samples[i])) {
			for (at = 0; at < ret->layout_count && !matches(ret, &ret->layouts[at], &samples[i]); at++)
				;
			int rc = at == ret->layout_count ? layout_make(ret, &samples[i], err) : HYDRO_OK;
			if (rc != HYDRO_OK)
				return rc;
		}
		ret->of_row[i] = (uint16_t)at;
		ret->value_total += (size_t)samples[i].raw_count + samples[i].value_count;
	}
	return HYDRO_OK;
}

static void put(struct hd_buf *buf, uint64_t v)
{
	uint8_t bytes[HD_VARINT_MAX];
	hd_buf_add(buf, bytes, (size_t)(hd_put_varint(bytes, v) - bytes));
}

void chunk_layouts_put(const struct chunk_layouts *layouts, uint32_t count, struct hd_buf *buf)
{
	put(buf, layouts->column_count);
	for (uint32_t c = 0; c < layouts->column_count; c++)
		put(buf, (uint64_t)layouts->columns[c].metric << 1 | layouts->columns[c].is_raw);
	put(buf, layouts->layout_count);
	for (uint32_t l = 0; l < layouts->layout_count; l++) {
		const struct chunk_layout *layout = &layouts->layouts[l];
		put(buf, layout->generation);
		put(buf, layout->rev);
		put(buf, layout->bits);
		put(buf, layout->raw_count);
		put(buf, layout->value_count);
		hd_buf_add(buf, layout->slots, (size_t)layout->raw_count + layout->value_count);
	}
	for (uint32_t i = 0; i < count && layouts->layout_count > 1;) {
		uint32_t run = 1;
		while (i + run < count && layouts->of_row[i + run] == layouts->of_row[i])
			run++;
		put(buf, layouts->of_row[i]);
		put(buf, run);
		i += run;
	}
}

static const uint8_t *get_layout(struct chunk_layouts *ret, struct chunk_layout *layout, const uint8_t *p, const uint8_t *end)
{
	uint64_t head[5];
	for (size_t i = 0; i < HD_ARRAY_LEN(head); i++)
		if (!(p = hd_get_varint(p, end, &head[i])))
			return NULL;
	if (head[0] > UINT32_MAX || head[1] > UINT16_MAX || head[2] > UINT16_MAX || head[3] > HD_METRICS_PER_SAMPLE_MAX ||
	    head[4] > HD_METRICS_PER_SAMPLE_MAX || (size_t)(end - p) < head[3] + head[4])
		return NULL;
	*layout = (struct chunk_layout){.generation = (uint32_t)head[0], .rev = (uint16_t)head[1], .bits = (uint16_t)head[2],
					.raw_count = (uint8_t)head[3], .value_count = (uint8_t)head[4]};
	for (uint32_t i = 0; i < head[3] + head[4]; i++) {
		uint8_t column = *p++;
		if (column >= ret->column_count || layout->place[column] || ret->columns[column].is_raw != (i < head[3]))
			return NULL;
		layout->slots[i] = column;
		layout->place[column] = (uint8_t)(i + 1);
	}
	return p;
}

static const uint8_t *get_runs(struct chunk_layouts *ret, uint32_t count, const uint8_t *p, const uint8_t *end)
{
	for (uint32_t i = 0; i < count;) {
		uint64_t layout = 0, run = count;
		if (ret->layout_count > 1 && (!(p = hd_get_varint(p, end, &layout)) || !(p = hd_get_varint(p, end, &run))))
			return NULL;
		if (layout >= ret->layout_count || run == 0 || run > count - i)
			return NULL;
		ret->value_total += run * ((size_t)ret->layouts[layout].raw_count + ret->layouts[layout].value_count);
		for (uint64_t k = 0; k < run; k++)
			ret->of_row[i++] = (uint16_t)layout;
	}
	return p;
}

const uint8_t *chunk_layouts_get(struct chunk_layouts *ret, uint32_t count, const uint8_t *p, const uint8_t *end)
{
	uint64_t columns, layouts, column;
	if (!(p = hd_get_varint(p, end, &columns)) || columns > CHUNK_COLUMNS_MAX)
		return NULL;
	for (uint32_t c = 0; c < columns; c++) {
		if (!(p = hd_get_varint(p, end, &column)) || column >> 1 > UINT32_MAX)
			return NULL;
		ret->columns[c] = (struct chunk_column){(uint32_t)(column >> 1), (uint32_t)(column & 1)};
	}
	ret->column_count = (uint32_t)columns;
	if (!(p = hd_get_varint(p, end, &layouts)) || layouts == 0 || layouts > CHUNK_LAYOUTS_MAX || layouts > (uint64_t)(end - p))
		return NULL;
	for (uint32_t l = 0; l < layouts; l++) {
		struct chunk_layout *layout = layout_add(ret);
		if (!layout || !(p = get_layout(ret, layout, p, end)))
			return NULL;
	}
	ret->of_row = malloc(count * sizeof *ret->of_row);
	return ret->of_row ? get_runs(ret, count, p, end) : NULL;
}

void chunk_layouts_apply(const struct chunk_layouts *layouts, struct hd_sample *samples, uint32_t count, uint32_t point, struct hd_value *values)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct chunk_layout *layout = &layouts->layouts[layouts->of_row[i]];
		samples[i] = (struct hd_sample){.point = point, .generation = layout->generation, .rev = layout->rev, .bits = layout->bits,
						.raw_count = layout->raw_count, .value_count = layout->value_count, .raws = values,
						.values = values + layout->raw_count};
		values += layout->raw_count + layout->value_count;
	}
}
