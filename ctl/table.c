/* SPDX-License-Identifier: MIT */
#include "ctl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 16u
#define CELL_WIDTH_MIN 8

const cJSON *ctl_items(const cJSON *answer)
{
	const cJSON *items = cJSON_GetObjectItemCaseSensitive(answer, "items");
	return items ? items : answer;
}

void ctl_print_json(const cJSON *node)
{
	char *text = cJSON_Print(node);
	(void)puts(text ? text : "null");
	free(text);
}

const char *ctl_text(const cJSON *node, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(node, key));
	return text ? text : "";
}

double ctl_value(const cJSON *node, const char *key)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(node, key);
	return cJSON_IsNumber(value) ? value->valuedouble : 0;
}

const char *ctl_number(double value, char ret[CTL_NUMBER_TEXT])
{
	bool whole = fabs(value) < 1e15 && value == floor(value);
	(void)snprintf(ret, CTL_NUMBER_TEXT, whole ? "%.0f" : "%.10g", value);
	return ret;
}

/* A value as text; "" for what is not there. */
static void text_of(const cJSON *node, struct hd_buf *ret)
{
	char number[CTL_NUMBER_TEXT];
	if (cJSON_IsString(node)) {
		hd_buf_add_text(ret, node->valuestring);
	} else if (cJSON_IsNumber(node)) {
		hd_buf_add_text(ret, ctl_number(node->valuedouble, number));
	} else if (cJSON_IsBool(node)) {
		hd_buf_add_text(ret, cJSON_IsTrue(node) ? "yes" : "no");
	} else if (cJSON_IsObject(node) || cJSON_IsArray(node)) {
		const cJSON *child;
		cJSON_ArrayForEach(child, node) {
			hd_buf_add_text(ret, child == node->child ? "" : " ");
			if (child->string)
				hd_buf_printf(ret, "%s=", child->string);
			text_of(child, ret);
		}
	}
}

void ctl_text_at(const cJSON *node, const char *path, struct hd_buf *ret)
{
	char word[64];
	for (const char *p = path; node && *p;) {
		size_t n = strcspn(p, ".");
		(void)snprintf(word, sizeof word, "%.*s", (int)n, p);
		node = cJSON_GetObjectItemCaseSensitive(node, word);
		p += n + (p[n] == '.');
	}
	text_of(node, ret);
}

static bool is_nested(const cJSON *node)
{
	return (cJSON_IsObject(node) && node->child) || (cJSON_IsArray(node) && cJSON_IsObject(node->child));
}

void ctl_tree(const cJSON *node, int indent)
{
	const cJSON *child;
	int width = 0;
	cJSON_ArrayForEach(child, node)
		width = child->string && !is_nested(child) ? HD_MAX(width, (int)strlen(child->string)) : width;
	cJSON_ArrayForEach(child, node) {
		if (is_nested(child)) {
			(void)printf("%*s%s\n", indent, "", child->string ? child->string : "-");
			ctl_tree(child, indent + 2);
			continue;
		}
		struct hd_buf text = {0};
		text_of(child, &text);
		(void)printf("%*s%-*s  %s\n", indent, "", width, child->string ? child->string : "-", text.len ? hd_buf_text(&text) : "-");
		hd_buf_done(&text);
	}
}

/* Characters of UTF-8, near enough to columns. */
static int columns_of(const char *text)
{
	int n = 0;
	for (const char *p = text; *p; p++)
		n += ((unsigned char)*p & 0xc0) != 0x80;
	return n;
}

static bool is_numeric(const char *text)
{
	char *end;
	if (!*text)
		return true;
	(void)strtod(text, &end);
	return *end == '\0';
}

/* The text in a column; what does not fit ends in "…". The last column of a row is not filled up. */
static void print_cell(const char *text, int width, bool right, bool last)
{
	int have = columns_of(text);
	if (have > width) {
		int n = 0;
		const char *p = text;
		for (; *p && n < width - 1; p++)
			n += ((unsigned char)p[1] & 0xc0) != 0x80;
		(void)printf("%.*s…", (int)(p - text), text);
	} else {
		(void)printf("%*s%s%*s", right ? width - have : 0, "", text, right || last ? 0 : width - have, "");
	}
	(void)fputs(last ? "\n" : "  ", stdout);
}

struct layout {
	size_t count;
	char titles[COLUMNS_MAX][32];
	const char *paths[COLUMNS_MAX];
	int widths[COLUMNS_MAX];
	bool numeric[COLUMNS_MAX];
};

/* On a terminal the widest columns of text give way until the table fits. */
static void fit(const struct ctl *ctl, struct layout *layout)
{
	for (;;) {
		int total = 2 * ((int)layout->count - 1);
		size_t widest = layout->count;
		for (size_t c = 0; c < layout->count; c++) {
			total += layout->widths[c];
			if (!layout->numeric[c] && (widest == layout->count || layout->widths[c] >= layout->widths[widest]))
				widest = c;
		}
		if (!ctl->tty || total <= ctl->width || widest == layout->count || layout->widths[widest] <= CELL_WIDTH_MIN)
			return;
		layout->widths[widest]--;
	}
}

static void measure(const cJSON *rows, const char *const *columns, size_t count, struct layout *ret)
{
	const cJSON *row;
	ret->count = HD_MIN(count, (size_t)COLUMNS_MAX);
	for (size_t c = 0; c < ret->count; c++) {
		(void)snprintf(ret->titles[c], sizeof ret->titles[c], "%.*s", (int)strcspn(columns[c], "="), columns[c]);
		ret->paths[c] = strchr(columns[c], '=') + 1;
		ret->widths[c] = columns_of(ret->titles[c]);
		ret->numeric[c] = true;
		bool any = false;
		cJSON_ArrayForEach(row, rows) {
			struct hd_buf cell = {0};
			ctl_text_at(row, ret->paths[c], &cell);
			any = any || cell.len;
			ret->widths[c] = HD_MAX(ret->widths[c], columns_of(hd_buf_text(&cell)));
			ret->numeric[c] = ret->numeric[c] && is_numeric(hd_buf_text(&cell));
			hd_buf_done(&cell);
		}
		ret->numeric[c] = ret->numeric[c] && any;
	}
}

void ctl_table(const struct ctl *ctl, const cJSON *rows, const char *const *columns, size_t count)
{
	struct layout layout;
	measure(rows, columns, count, &layout);
	fit(ctl, &layout);
	(void)fputs(ctl->color ? "\033[1m" : "", stdout);
	for (size_t c = 0; c < layout.count; c++)
		print_cell(layout.titles[c], layout.widths[c], layout.numeric[c], c + 1 == layout.count);
	(void)fputs(ctl->color ? "\033[0m" : "", stdout);
	const cJSON *row;
	cJSON_ArrayForEach(row, rows) {
		for (size_t c = 0; c < layout.count; c++) {
			struct hd_buf cell = {0};
			ctl_text_at(row, layout.paths[c], &cell);
			print_cell(hd_buf_text(&cell), layout.widths[c], layout.numeric[c], c + 1 == layout.count);
			hd_buf_done(&cell);
		}
	}
}

int ctl_list(struct ctl *ctl, const char *path, const char *const *columns, size_t count)
{
	cJSON *answer = NULL;
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	int code = ctl_get(ctl, path, &answer);
	if (code == CTL_EXIT_OK && ctl->json)
		ctl_print_json(answer);
	else if (code == CTL_EXIT_OK)
		ctl_table(ctl, ctl_items(answer), columns, count);
	cJSON_Delete(answer);
	return code;
}
