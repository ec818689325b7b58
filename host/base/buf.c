/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 64u

static void wipe(struct hd_buf *buf)
{
	if (buf->secret && buf->data)
		explicit_bzero(buf->data, buf->cap);
}

void hd_buf_done(struct hd_buf *buf)
{
	wipe(buf);
	free(buf->data);
	*buf = (struct hd_buf){.secret = buf->secret};
}

void hd_buf_clear(struct hd_buf *buf)
{
	wipe(buf);
	buf->len = 0;
	buf->failed = false;
}

/* realloc would leave a secret behind where it was. */
static char *grow(struct hd_buf *buf, size_t cap)
{
	if (!buf->secret)
		return realloc(buf->data, cap);
	char *data = malloc(cap);
	if (!data)
		return NULL;
	if (buf->len)
		memcpy(data, buf->data, buf->len);
	wipe(buf);
	free(buf->data);
	return data;
}

bool hd_buf_reserve(struct hd_buf *buf, size_t more)
{
	if (buf->failed)
		return false;
	if (more <= buf->cap - buf->len && buf->data)
		return true;
	size_t cap = buf->cap ? buf->cap : FIRST_CAP;
	while (cap - buf->len < more) {
		if (cap > SIZE_MAX / 2) {
			buf->failed = true;
			return false;
		}
		cap *= 2;
	}
	char *data = grow(buf, cap);
	if (!data) {
		buf->failed = true;
		return false;
	}
	buf->data = data;
	buf->cap = cap;
	return true;
}

bool hd_buf_add(struct hd_buf *buf, const void *data, size_t len)
{
	if (!hd_buf_reserve(buf, len))
		return false;
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	return true;
}

bool hd_buf_add_text(struct hd_buf *buf, const char *text)
{
	return hd_buf_add(buf, text, strlen(text));
}

bool hd_buf_add_char(struct hd_buf *buf, char c)
{
	return hd_buf_add(buf, &c, 1);
}

bool hd_buf_vprintf(struct hd_buf *buf, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	bool ok = n >= 0 && hd_buf_reserve(buf, (size_t)n + 1);
	if (ok) {
		(void)vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, again);
		buf->len += (size_t)n;
	}
	va_end(again);
	return ok;
}

bool hd_buf_printf(struct hd_buf *buf, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	bool ok = hd_buf_vprintf(buf, fmt, ap);
	va_end(ap);
	return ok;
}

/* Length of the valid UTF-8 sequence at p, or 0. */
static size_t utf8_len(const unsigned char *p, size_t left)
{
	if (p[0] < 0x80)
		return 1;
	size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
	bool surrogate = p[0] == 0xed && p[1] > 0x9f;
	bool beyond = p[0] == 0xf4 && p[1] > 0x8f;
	return overlong || surrogate || beyond ? 0 : n;
}

bool hd_buf_add_json(struct hd_buf *buf, const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	hd_buf_add_char(buf, '"');
	for (size_t i = 0; i < len;) {
		size_t n = utf8_len(p + i, len - i);
		unsigned char c = p[i];
		if (n == 0) {
			hd_buf_add_text(buf, "\xef\xbf\xbd");
			i++;
			continue;
		}
		if (c == '"' || c == '\\') {
			hd_buf_add_char(buf, '\\');
			hd_buf_add_char(buf, (char)c);
		} else if (c == '\n') {
			hd_buf_add_text(buf, "\\n");
		} else if (c < 0x20) {
			hd_buf_printf(buf, "\\u%04x", c);
		} else {
			hd_buf_add(buf, text + i, n);
		}
		i += n;
	}
	return hd_buf_add_char(buf, '"');
}

bool hd_buf_add_number(struct hd_buf *buf, double value)
{
	if (!isfinite(value))
		return hd_buf_add_text(buf, "null");
	char text[40];
	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, sizeof text, "%.*g", digits, value);
		if (strtod(text, NULL) == value) /* the shortest of 15..17 digits that is exact */
			break;
	}
	return hd_buf_add_text(buf, text);
}

const char *hd_buf_text(struct hd_buf *buf)
{
	if (!hd_buf_reserve(buf, 1))
		return NULL;
	buf->data[buf->len] = '\0';
	return buf->data;
}

char *hd_buf_take(struct hd_buf *buf)
{
	if (!hd_buf_text(buf)) {
		hd_buf_done(buf);
		return NULL;
	}
	char *data = buf->data;
	*buf = (struct hd_buf){.secret = buf->secret};
	return data;
}
