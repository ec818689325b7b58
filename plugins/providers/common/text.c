/* SPDX-License-Identifier: MIT */
#include "text.h"

#include "base/timefmt.h"

#define MS_PER_DAY INT64_C(86400000)

void text_begin(struct text *t, hydro_scratch *scratch)
{
	size_t at = (scratch->used + 15u) & ~(size_t)15u; /* where hydro_scratch_take will put it */
	if (at > scratch->size)
		at = scratch->size;
	*t = (struct text){.scratch = scratch, .at = scratch->mem + at, .room = scratch->size - at};
}

const char *text_end(struct text *t)
{
	text_put_bytes(t, "", 1);
	return hydro_scratch_take(t->scratch, t->len);
}

void text_put_bytes(struct text *t, const char *s, size_t len)
{
	if (t->len <= t->room && len <= t->room - t->len)
		memcpy(t->at + t->len, s, len);
	t->len += len;
}

void text_put(struct text *t, const char *s)
{
	text_put_bytes(t, s, strlen(s));
}

void text_put_int(struct text *t, int64_t value)
{
	char digits[24];
	int n = snprintf(digits, sizeof digits, "%lld", (long long)value);
	text_put_bytes(t, digits, n > 0 ? (size_t)n : 0);
}

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

void text_put_url(struct text *t, const char *s)
{
	static const char hex[] = "0123456789ABCDEF";
	for (; *s; s++) {
		if (is_unreserved(*s)) {
			text_put_bytes(t, s, 1);
		} else {
			unsigned char c = (unsigned char)*s;
			char escape[3] = {'%', hex[c >> 4], hex[c & 15]};
			text_put_bytes(t, escape, sizeof escape);
		}
	}
}

void text_put_json(struct text *t, const char *s)
{
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			text_put(t, "\\");
		if ((unsigned char)*s < 0x20) {
			char escape[8];
			(void)snprintf(escape, sizeof escape, "\\u%04x", (unsigned)*s);
			text_put(t, escape);
		} else {
			text_put_bytes(t, s, 1);
		}
	}
}

void text_put_date(struct text *t, int64_t ms, enum text_date format, bool round_up)
{
	if (format == TEXT_DATE_MS) {
		text_put_int(t, ms);
		return;
	}
	if (format != TEXT_DATE_ISO && round_up)
		ms += 999;
	int64_t rest = ((ms % MS_PER_DAY) + MS_PER_DAY) % MS_PER_DAY, days = (ms - rest) / MS_PER_DAY, year;
	if (format == TEXT_DATE_S) {
		text_put_int(t, days * 86400 + rest / 1000);
		return;
	}
	unsigned month, day, s = (unsigned)(rest / 1000);
	char date[80];
	hd_civil_from_days(days, &year, &month, &day);
	if (format == TEXT_DATE_COMPACT)
		(void)snprintf(date, sizeof date, "%04lld%02u%02u%02u%02u%02u", (long long)year, month, day, s / 3600, s / 60 % 60, s % 60);
	else
		(void)snprintf(date, sizeof date, "%04lld-%02u-%02uT%02u:%02u:%02u.%03uZ", (long long)year, month, day, s / 3600,
			       s / 60 % 60, s % 60, (unsigned)(rest % 1000));
	text_put(t, date);
}

bool text_is_header_value(const char *s)
{
	if (!*s || *s == ' ' || s[strlen(s) - 1] == ' ')
		return false;
	for (; *s; s++)
		if (*s < 0x20 || *s > 0x7e)
			return false;
	return true;
}

bool text_is_segment(const char *s)
{
	return *s && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}
