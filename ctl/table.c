/* SPDX-License-Identifier: MIT */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 16u
#define CELL_WIDTH_MAX 60

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

void ctl_text_at(const cJSON *node, const char *path, struct hd_buf *ret)
{
	char word[64];
	for (const char *p = path; node && *p;) {
		size_t n = strcspn(p, ".");
		(void)snprintf(word, sizeof word, "%.*s", (int)n, p);
		node = cJSON_GetObjectItemCaseSensitive(node, word);
		p += n + (p[n] == '.');
	}
	if (cJSON_IsString(node)) {
		hd_buf_add_text(ret, node->valuestring);
	} else if (cJSON_IsNumber(node)) {
		hd_buf_add_number(ret, node->valuedouble);
	} else if (cJSON_IsBool(node)) {
		hd_buf_add_text(ret, cJSON_IsTrue(node) ? "yes" : "no");
	} else if (node && !cJSON_IsNull(node)) {
		char *text = cJSON_PrintUnformatted(node);
		hd_buf_add_text(ret, text ? text : "");
		free(text);
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

static void print_cell(const char *text, int width, bool right)
{
	int have = columns_of(text);
	if (have > width) {
		int n = 0;
		const char *p = text;
		for (; *p && n < width - 1; p++)
			n += ((unsigned char)p[1] & 0xc0) != 0x80;
		(void)printf("%.*s…", (int)(p - text), text);
		return;
	}
	(void)printf("%*s%s%*s", right ? width - have : 0, "", text, right ? 0 : width - have, "");
}

void ctl_table(const struct ctl *ctl, const cJSON *rows, const char *const *columns, size_t count)
{
	int widths[COLUMNS_MAX];
	bool numeric[COLUMNS_MAX];
	char titles[COLUMNS_MAX][32];
	count = HD_MIN(count, (size_t)COLUMNS_MAX);
	const cJSON *row;
	for (size_t c = 0; c < count; c++) {
		(void)snprintf(titles[c], sizeof titles[c], "%.*s", (int)strcspn(columns[c], "="), columns[c]);
		widths[c] = columns_of(titles[c]);
		numeric[c] = true;
		cJSON_ArrayForEach(row, rows) {
			struct hd_buf cell = {0};
			ctl_text_at(row, strchr(columns[c], '=') + 1, &cell);
			const char *text = hd_buf_text(&cell);
			widths[c] = HD_MAX(widths[c], HD_MIN(columns_of(text), CELL_WIDTH_MAX));
			numeric[c] = numeric[c] && is_numeric(text);
			hd_buf_done(&cell);
		}
	}
	for (size_t c = 0; c < count; c++) {
		(void)fputs(ctl->color ? "\033[1m" : "", stdout);
		print_cell(titles[c], widths[c], numeric[c]);
		(void)fputs(ctl->color ? "\033[0m" : "", stdout);
		(void)fputs(c + 1 < count ? "  " : "\n", stdout);
	}
	cJSON_ArrayForEach(row, rows) {
		for (size_t c = 0; c < count; c++) {
			struct hd_buf cell = {0};
			ctl_text_at(row, strchr(columns[c], '=') + 1, &cell);
			print_cell(hd_buf_text(&cell), widths[c], numeric[c]);
			(void)fputs(c + 1 < count ? "  " : "\n", stdout);
			hd_buf_done(&cell);
		}
	}
}
