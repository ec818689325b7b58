/* SPDX-License-Identifier: MIT */
/* Inside a chunk: which columns there are, and which of them each sample has, with rev, bits and generation; by dictionary. */
#ifndef HD_HISTORY_CHUNK_LAYOUT_H
#define HD_HISTORY_CHUNK_LAYOUT_H

#include "base/buf.h"
#include "base/error.h"
#include "history/column.h"
#include "model/sample.h"

#define CHUNK_COLUMNS_MAX (2u * HD_METRICS_PER_SAMPLE_MAX)
#define CHUNK_LAYOUTS_MAX 1024u

struct chunk_column {
	uint32_t metric;
	uint32_t is_raw;
};

struct chunk_layout {
	uint32_t generation;
	uint16_t rev, bits;
	uint8_t raw_count, value_count;
	uint8_t slots[CHUNK_COLUMNS_MAX]; /* column of each raw, then of each value */
	uint8_t place[CHUNK_COLUMNS_MAX]; /* per column: place in slots + 1, 0 = the sample has it not */
};

struct chunk_layouts {
	struct chunk_column columns[CHUNK_COLUMNS_MAX];
	uint32_t column_count;
	struct chunk_layout *layouts;
	uint32_t layout_count, layout_cap;
	uint16_t *of_row; /* layout of each sample */
	size_t value_total;
};

void chunk_layouts_done(struct chunk_layouts *layouts);
int chunk_layouts_collect(struct chunk_layouts *ret, const struct hd_sample *samples, uint32_t count, struct hydro_error *err);
void chunk_layouts_put(const struct chunk_layouts *layouts, uint32_t count, struct hd_buf *buf);
/* The next position, or NULL when it does not check. */
const uint8_t *chunk_layouts_get(struct chunk_layouts *ret, uint32_t count, const uint8_t *p, const uint8_t *end);
/* Heads of the samples and the places of their arrays in `values` (value_total of them). */
void chunk_layouts_apply(const struct chunk_layouts *layouts, struct hd_sample *samples, uint32_t count, uint32_t point, struct hd_value *values);
/* The value of a column in a row, NULL where absent. */
static inline const struct hd_value *chunk_layout_value(const struct chunk_layouts *layouts, const struct hd_sample *sample, uint32_t row, uint32_t column)
{
	const struct chunk_layout *layout = &layouts->layouts[layouts->of_row[row]];
	uint32_t place = layout->place[column];
	if (place == 0)
		return NULL;
	return place <= layout->raw_count ? &sample->raws[place - 1] : &sample->values[place - 1 - layout->raw_count];
}

/* What stands in a column where a sample has no value; never stored. */
static inline double chunk_absent(void)
{
	return __builtin_nan("");
}

#endif
