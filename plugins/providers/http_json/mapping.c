/* SPDX-License-Identifier: MIT */
#include "http_json.h"

#include "path.h"

/* The key that {key} stands for: there is one entry where keys are asked for one by one. */
static const char *key_of(const struct mapping_walk *walk)
{
	return walk->first < walk->end ? keys_at(&walk->keys, walk->first)->value : "";
}

struct item_ts {
	enum cell cell;
	int64_t ts_ms;
	const char *why;
};

static bool read_ts(const struct mapping_walk *walk, const struct json *item, struct item_ts *ret)
{
	struct json at = path_is_absolute(walk->mapping->ts) ? walk->root : *item;
	*ret = (struct item_ts){.cell = CELL_BAD, .why = "an item has no time"};
	if (!path_find(&at, walk->mapping->ts, key_of(walk)))
		return true;
	return cell_read_ts(&at, walk->mapping->ts_format, &ret->ts_ms, &ret->cell, &ret->why);
}

/* One value of an item; false only if the text is wrong. */
static bool read_value(struct mapping_walk *walk, const struct json *item, uint32_t i, const struct item_ts *ts, struct rows *rows)
{
	const hydro_map_entry *entry = keys_at(&walk->keys, i);
	const char *path = *walk->mapping->value ? walk->mapping->value : entry->value, *why = NULL;
	struct json at = path_is_absolute(path) ? walk->root : *item;
	enum cell cell;
	double value;
	if (!path_find(&at, path, entry->value))
		return true;
	walk->found++;
	if (!cell_read_value(&at, &value, &cell, &why))
		return false;
	if (cell == CELL_BAD)
		rows_leave_out(rows, why);
	else if (cell == CELL_GOOD && ts->cell != CELL_GOOD)
		rows_leave_out(rows, ts->why);
	else if (cell == CELL_GOOD)
		rows_add(rows, ts->ts_ms, value, entry->metric, 0);
	return true;
}

static bool read_item(struct mapping_walk *walk, const struct json *item, struct rows *rows)
{
	struct item_ts ts;
	rows->series.rows++;
	walk->items++;
	if (!read_ts(walk, item, &ts))
		return false;
	if (rows->pages && ts.cell == CELL_GOOD)
		page_series_add(&rows->series, rows->pages, ts.ts_ms);
	for (uint32_t i = walk->first; i < walk->end; i++)
		if (!read_value(walk, item, i, &ts, rows))
			return false;
	return true;
}

/* All items, or the one that stands there instead of a list. */
static bool read_items(struct mapping_walk *walk, struct json *items, struct rows *rows)
{
	enum json_kind kind = json_peek(items);
	if (kind == JSON_NULL)
		return true;
	if (kind != JSON_ARRAY)
		return read_item(walk, items, rows);
	if (!json_enter_array(items))
		return false;
	while (json_element(items)) {
		struct json item = *items;
		if (!json_skip(items) || !read_item(walk, &item, rows))
			return false;
	}
	return !items->error;
}

bool mapping_walk_answer(void *ctx, struct json *j, struct rows *rows)
{
	struct mapping_walk *walk = ctx;
	walk->root = *j;
	walk->items = walk->found = 0;
	/* All of the text first: paths pass over what they do not need. */
	if (!json_skip(j))
		return false;
	struct json items = walk->root;
	if (!path_find(&items, walk->mapping->items, key_of(walk)))
		return walk->mapping->missing_items == HJ_MISSING_NO_DATA || rows_wrong_form(rows, "the answer has nothing at the path `items`");
	rows_series_begin(rows);
	if (!read_items(walk, &items, rows))
		return false;
	rows_series_end(rows);
	if (walk->items > 0 && walk->found == 0)
		return rows_wrong_form(rows, "no item has a value at the paths that are mapped");
	return true;
}
