/* SPDX-License-Identifier: MIT */
#include "rows.h"

#include "base/timefmt.h"
#include "number.h"

#include <math.h>
#include <string.h>

#define TIME_TEXT_MAX 64u
#define TS_DOUBLE_MAX 9e15 /* whole numbers up to here are exact */

bool rows_wrong_form(struct rows *rows, const char *why)
{
	if (!rows->form)
		rows->form = why;
	return false;
}

void rows_leave_out(struct rows *rows, const char *why)
{
	if (rows->bad++ == 0)
		rows->why = why;
}

void rows_flush(struct rows *rows)
{
	if (rows->pending == 0)
		return;
	int32_t result = rows->emit->raw(rows->emit->ctx, rows->batch, rows->pending);
	if (rows->emitted == HYDRO_OK)
		rows->emitted = result;
	rows->pending = 0;
}

void rows_add(struct rows *rows, int64_t ts_ms, double value, uint32_t metric, uint32_t flags)
{
	rows->count++;
	if (rows->pending == ROWS_BATCH) {
		if (!rows->emit)
			return; /* counted now, read again afterwards */
		rows_flush(rows);
	}
	rows->batch[rows->pending++] = (hydro_raw){.ts_ms = ts_ms, .value = value, .metric = metric, .flags = flags};
}

void rows_series_begin(struct rows *rows)
{
	rows->series = (struct page_series){0};
}

void rows_series_end(struct rows *rows)
{
	if (rows->pages)
		page_seen_add(&rows->seen, &rows->series, rows->limit);
}

static bool string_value(const struct json_text *text, double *ret)
{
	char plain[NUMBER_TEXT_MAX];
	if (!text->escaped)
		return number_parse(text->at, text->len, ret);
	size_t len = json_text_copy(text, plain, sizeof plain);
	return len != SIZE_MAX && number_parse(plain, len, ret);
}

bool cell_read_value(struct json *j, double *ret, enum cell *ret_cell, const char **ret_why)
{
	struct json_text text;
	bool fits = true;
	*ret_cell = CELL_BAD;
	switch (json_peek(j)) {
	case JSON_NUMBER:
		if (!json_number(j, ret, &fits))
			return false;
		break;
	case JSON_STRING:
		if (!json_string(j, &text))
			return false;
		fits = string_value(&text, ret);
		break;
	case JSON_NULL:
		*ret_cell = CELL_NULL;
		return json_skip(j);
	default:
		*ret_why = "a value is neither a number nor a string";
		return json_skip(j);
	}
	if (fits)
		*ret_cell = CELL_GOOD;
	else
		*ret_why = "a value is not a finite decimal number";
	return true;
}

static bool ts_of_number(double number, enum ts_format format, int64_t *ret)
{
	double ms = format == TS_S ? number * 1000 : number;
	if (!(fabs(ms) < TS_DOUBLE_MAX))
		return false;
	*ret = (int64_t)floor(ms + (format == TS_S ? 1e-3 : 0)); /* 0.123 s is 122.99… ms in binary */
	return true;
}

static bool ts_of_string(const struct json_text *text, enum ts_format format, int64_t *ret)
{
	char time[TIME_TEXT_MAX];
	double number;
	size_t len = json_text_copy(text, time, sizeof time);
	if (len == SIZE_MAX)
		return false;
	if (format == TS_RFC3339 || format == TS_RFC3339_UTC)
		return hd_time_parse(time, len, format == TS_RFC3339_UTC, ret);
	return number_parse(time, len, &number) && ts_of_number(number, format, ret);
}

bool cell_read_ts(struct json *j, enum ts_format format, int64_t *ret, enum cell *ret_cell, const char **ret_why)
{
	struct json_text text;
	double number;
	bool good = false;
	int64_t ts = 0;
	*ret_cell = CELL_BAD;
	switch (json_peek(j)) {
	case JSON_NUMBER:
		if (!json_number(j, &number, &good))
			return false;
		good = good && (format == TS_MS || format == TS_S) && ts_of_number(number, format, &ts);
		break;
	case JSON_STRING:
		if (!json_string(j, &text))
			return false;
		good = ts_of_string(&text, format, &ts);
		break;
	default:
		if (!json_skip(j))
			return false;
	}
	if (!good) {
		*ret_why = "a time is not of the expected form";
	} else if (ts < ROWS_TS_MIN || ts >= ROWS_TS_MAX) {
		*ret_why = "a time is outside of 1990 to 2100";
	} else {
		*ret = ts;
		*ret_cell = CELL_GOOD;
	}
	return true;
}

/* What has been seen of a row so far. */
struct parts {
	enum cell ts, value;
	bool has_ts, has_value;
	const char *why;
};

static bool read_member(struct json *j, const struct row_form *form, const struct json_text *name, struct parts *parts, struct row *row)
{
	struct json_text text;
	if (json_text_equal(name, form->ts, strlen(form->ts))) {
		if (parts->has_ts)
			parts->why = "a row has two times";
		parts->has_ts = true;
		return cell_read_ts(j, form->format, &row->ts_ms, &parts->ts, &parts->why);
	}
	if (json_text_equal(name, form->value, strlen(form->value))) {
		if (parts->has_value)
			parts->why = "a row has two values";
		parts->has_value = true;
		return cell_read_value(j, &row->value, &parts->value, &parts->why);
	}
	if (form->same && json_text_equal(name, form->same, strlen(form->same))) {
		if (json_peek(j) != JSON_STRING)
			return json_skip(j);
		if (!json_string(j, &text))
			return false;
		if (!json_text_equal(&text, form->same_value, strlen(form->same_value)))
			parts->why = "a row is of another variable";
		return true;
	}
	return json_skip(j);
}

bool rows_read_row(struct rows *rows, struct json *j, const struct row_form *form, struct row *ret)
{
	struct parts parts = {.ts = CELL_BAD, .value = CELL_BAD};
	struct json_text name;
	struct row row = {0};
	rows->series.rows++;
	enum json_kind kind = json_peek(j);
	if (kind == JSON_NONE)
		return false;
	if (kind != JSON_OBJECT)
		return rows_wrong_form(rows, "a row is not an object");
	if (!json_enter_object(j))
		return false;
	while (json_member(j, &name))
		if (!read_member(j, form, &name, &parts, &row))
			return false;
	if (j->error)
		return false;
	if (rows->pages && parts.ts == CELL_GOOD)
		page_series_add(&rows->series, rows->pages, row.ts_ms);
	if (!parts.why && !parts.has_ts)
		parts.why = "a row has no time";
	if (!parts.why && !parts.has_value)
		parts.why = "a row has no value";
	if (parts.why && parts.value != CELL_NULL)
		rows_leave_out(rows, parts.why);
	row.good = !parts.why && parts.ts == CELL_GOOD && parts.value == CELL_GOOD;
	*ret = row;
	return true;
}
