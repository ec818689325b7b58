/* SPDX-License-Identifier: MIT */
#include "lua/diag.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 64u

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

uint32_t hd_diag_column(const char *source, uint32_t line, const char *word)
{
	size_t len = strlen(word);
	for (uint32_t i = 1; source && i < line; i++) {
		source = strchr(source, '\n');
		source = source ? source + 1 : NULL;
	}
	if (!source || !len || !line)
		return 0;
	const char *end = source + strcspn(source, "\n");
	for (const char *at = source; at + len <= end; at++) {
		if (memcmp(at, word, len) != 0)
			continue;
		if ((at == source || !is_word(at[-1]) || !is_word(*word)) && (!is_word(at[len]) || !is_word(word[len - 1])))
			return (uint32_t)(at - source) + 1;
	}
	return 0;
}

static void copy(char *to, size_t to_bytes, const char *from, size_t len)
{
	len = HD_MIN(len, to_bytes - 1);
	memcpy(to, from, len);
	to[len] = '\0';
}

/* The first 'quoted' word of a message. */
static bool quoted_word(const char *message, char ret[WORD_MAX])
{
	const char *open = strchr(message, '\'');
	const char *close = open ? strchr(open + 1, '\'') : NULL;
	if (!close || close == open + 1 || (size_t)(close - open) > WORD_MAX)
		return false;
	copy(ret, WORD_MAX, open + 1, (size_t)(close - open - 1));
	return true;
}

void hd_diag_from_lua(struct hd_diag *diag, const char *file, const char *source, const char *message)
{
	*diag = (struct hd_diag){0};
	copy(diag->file, sizeof diag->file, file, strlen(file));
	/* "…/well.lua:12: text"; Lua shortens a long file name, so only the number is taken from it. */
	for (const char *at = message; (at = strchr(at, ':')) != NULL; at++) {
		char *end;
		unsigned long line = strtoul(at + 1, &end, 10);
		if (end > at + 1 && end[0] == ':' && end[1] == ' ' && isdigit((unsigned char)at[1]) && line < UINT32_MAX) {
			diag->line = (uint32_t)line;
			message = end + 2;
			break;
		}
	}
	const char *hint = strstr(message, "\nhint: ");
	copy(diag->message, sizeof diag->message, message, hint ? (size_t)(hint - message) : strlen(message));
	if (hint)
		copy(diag->hint, sizeof diag->hint, hint + 7, strlen(hint + 7));
	const char *near = strstr(diag->message, " near ");
	char word[WORD_MAX];
	if (quoted_word(near ? near : diag->message, word))
		diag->column = hd_diag_column(source, diag->line, word);
}

void hd_diag_text(const struct hd_diag *diag, char *ret, size_t ret_bytes)
{
	char where[48] = "";
	if (diag->line && diag->column)
		(void)snprintf(where, sizeof where, "%u:%u:", diag->line, diag->column);
	else if (diag->line)
		(void)snprintf(where, sizeof where, "%u:", diag->line);
	(void)snprintf(ret, ret_bytes, "%s:%s %s%s%s%s", diag->file, where, diag->message, diag->hint[0] ? " (" : "", diag->hint, diag->hint[0] ? ")" : "");
}

bool hd_diag_json(const struct hd_diag *diag, struct hd_buf *ret)
{
	(void)hd_buf_add_text(ret, "{\"file\":");
	(void)hd_buf_add_json(ret, diag->file, strlen(diag->file));
	(void)hd_buf_printf(ret, ",\"line\":%u,\"column\":%u,\"message\":", diag->line, diag->column);
	(void)hd_buf_add_json(ret, diag->message, strlen(diag->message));
	(void)hd_buf_add_text(ret, ",\"hint\":");
	(void)hd_buf_add_json(ret, diag->hint, strlen(diag->hint));
	return hd_buf_add_char(ret, '}');
}

/* Edit distance, where exchanging two neighbours is one edit; above `max` it may say anything larger. */
static uint32_t distance(const char *a, const char *b, uint32_t max)
{
	size_t a_len = strlen(a), b_len = strlen(b);
	if (a_len >= WORD_MAX || b_len >= WORD_MAX || a_len > b_len + max || b_len > a_len + max)
		return max + 1;
	uint8_t rows[3][WORD_MAX + 1];
	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = (uint8_t)j;
	for (size_t i = 1; i <= a_len; i++) {
		uint8_t *row = rows[i % 3], *before = rows[(i + 2) % 3], *before2 = rows[(i + 1) % 3];
		row[0] = (uint8_t)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned best = before[j - 1] + (a[i - 1] != b[j - 1] ? 1u : 0u);
			best = HD_MIN(best, before[j] + 1u);
			best = HD_MIN(best, row[j - 1] + 1u);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = HD_MIN(best, before2[j - 2] + 1u);
			row[j] = (uint8_t)best;
		}
	}
	return rows[a_len % 3][b_len];
}

const char *hd_diag_nearest(const char *word, const char *(*name)(const void *arg, uint32_t i), const void *arg, uint32_t count)
{
	uint32_t max = (uint32_t)HD_MAX(strlen(word) / 3, (size_t)1), best = max + 1;
	const char *nearest = NULL;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t d = distance(word, name(arg, i), max);
		if (d < best) {
			best = d;
			nearest = name(arg, i);
		}
	}
	return nearest;
}
