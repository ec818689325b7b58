/* SPDX-License-Identifier: MIT */
#include "store/csv.h"

#include "base/utf8.h"

#include <string.h>

void hd_csv_init(struct hd_csv *csv, const char *text, size_t len)
{
	*csv = (struct hd_csv){.at = text, .end = text + len, .line = 1, .delimiter = ','};
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		csv->at += 3;
	for (const char *p = csv->at; p < csv->end && *p != '\n'; p++) {
		if (*p == ',' || *p == ';') {
			csv->delimiter = *p;
			break;
		}
	}
}

void hd_csv_done(struct hd_csv *csv)
{
	hd_buf_done(&csv->mem);
}

/* To the start of the line after the one that holds `from`. */
static void skip_line(struct hd_csv *csv, const char *from)
{
	const char *newline = from < csv->end ? memchr(from, '\n', (size_t)(csv->end - from)) : NULL;
	csv->at = newline ? newline + 1 : csv->end;
	csv->line++;
}

static bool at_line_end(const struct hd_csv *csv, const char *p)
{
	return p == csv->end || *p == '\n' || (*p == '\r' && (p + 1 == csv->end || p[1] == '\n'));
}

/* A quoted field from behind its opening quote, counting its line ends; NULL when the quote is not closed. */
static const char *take_quoted(struct hd_csv *csv, const char *p, uint32_t *lines)
{
	for (; p < csv->end; p++) {
		if (*p == '"' && p + 1 < csv->end && p[1] == '"')
			p++;
		else if (*p == '"')
			return p + 1;
		*lines += *p == '\n';
		hd_buf_add_char(&csv->mem, *p);
	}
	return NULL;
}

static const char *take_plain(struct hd_csv *csv, const char *p)
{
	const char *start = p;
	while (!at_line_end(csv, p) && *p != csv->delimiter)
		p++;
	const char *end = p;
	while (start < end && (*start == ' ' || *start == '\t'))
		start++;
	while (end > start && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	hd_buf_add(&csv->mem, start, (size_t)(end - start));
	return p;
}

static int fail(struct hd_csv *csv, const char *from, struct hydro_error *err, int code, const char *why)
{
	skip_line(csv, from);
	return hd_error_set(err, code, "%s", why);
}

static int take_record(struct hd_csv *csv, struct hydro_error *err)
{
	const char *p = csv->at, *start = p;
	uint32_t lines = 0;
	hd_buf_clear(&csv->mem);
	csv->count = 0;
	for (;;) {
		if (csv->count == HD_CSV_COLUMNS_MAX)
			return fail(csv, p, err, HYDRO_E_LIMIT, "more than 128 columns");
		csv->starts[csv->count++] = csv->mem.len;
		if (p < csv->end && *p == '"') {
			uint32_t inside = 0;
			const char *after = take_quoted(csv, p + 1, &inside);
			if (!after || (!at_line_end(csv, after) && *after != csv->delimiter)) {
				csv->line += lines;
				return fail(csv, p, err, HYDRO_E_PARSE, "a quoted field is not closed well");
			}
			lines += inside;
			p = after;
		} else {
			p = take_plain(csv, p);
		}
		hd_buf_add_char(&csv->mem, '\0');
		if ((size_t)(p - start) > HD_CSV_RECORD_BYTES_MAX)
			return fail(csv, p, err, HYDRO_E_LIMIT, "the line is longer than 65536 bytes");
		if (at_line_end(csv, p))
			break;
		p++;
	}
	csv->line += lines;
	skip_line(csv, p);
	if (csv->mem.failed)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a line");
	if (memchr(start, '\0', (size_t)(p - start)))
		return hd_error_set(err, HYDRO_E_PARSE, "the line holds a NUL byte");
	return hd_utf8_valid(start, (size_t)(p - start)) ? HYDRO_OK : hd_error_set(err, HYDRO_E_PARSE, "the line is not UTF-8: save the file as UTF-8");
}

int hd_csv_next(struct hd_csv *csv, bool *ret_end, struct hydro_error *err)
{
	while (csv->at < csv->end) {
		csv->record_line = csv->line;
		int rc = take_record(csv, err);
		if (rc != HYDRO_OK || csv->count > 1 || csv->mem.data[0] != '\0') {
			*ret_end = false;
			return rc;
		}
	}
	*ret_end = true;
	return HYDRO_OK;
}

const char *hd_csv_field(const struct hd_csv *csv, uint32_t i)
{
	return i < csv->count ? csv->mem.data + csv->starts[i] : "";
}
