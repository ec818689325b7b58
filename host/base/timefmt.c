/* SPDX-License-Identifier: MIT */
#include "base/timefmt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS_PER_DAY INT64_C(86400000)

/* Algorithms of H. Hinnant, "chrono-Compatible Low-Level Date Algorithms". */
int64_t hd_days_from_civil(int64_t year, unsigned month, unsigned day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t yoe = year - era * 400;
	int64_t doy = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + (int64_t)day - 1;
	int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + doe - 719468;
}

void hd_civil_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t doe = days - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;
	*ret_day = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
	*ret_month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
	*ret_year = yoe + era * 400 + (*ret_month <= 2);
}

void hd_time_format(int64_t ms, char ret[HD_TIME_TEXT])
{
	int64_t days = ms / MS_PER_DAY, rest = ms % MS_PER_DAY;
	if (rest < 0) {
		days--;
		rest += MS_PER_DAY;
	}
	int64_t year;
	unsigned month, day;
	hd_civil_from_days(days, &year, &month, &day);
	unsigned h = (unsigned)(rest / 3600000), m = (unsigned)(rest / 60000 % 60), s = (unsigned)(rest / 1000 % 60);
	unsigned milli = (unsigned)(rest % 1000);
	int n = snprintf(ret, HD_TIME_TEXT, "%04d-%02u-%02uT%02u:%02u:%02u", (int)year, month, day, h, m, s);
	if (n > 0 && (size_t)n < HD_TIME_TEXT)
		(void)snprintf(ret + n, HD_TIME_TEXT - (size_t)n, milli ? ".%03uZ" : "Z", milli);
}

static bool digits(const char **p, const char *end, unsigned count, unsigned *ret)
{
	unsigned v = 0;
	for (unsigned i = 0; i < count; i++) {
		if (*p >= end || **p < '0' || **p > '9')
			return false;
		v = v * 10 + (unsigned)(*(*p)++ - '0');
	}
	*ret = v;
	return true;
}

static bool literal(const char **p, const char *end, char c)
{
	if (*p >= end || **p != c)
		return false;
	(*p)++;
	return true;
}

static bool zone(const char **p, const char *end, bool optional, int64_t *ret_ms)
{
	*ret_ms = 0;
	if (*p == end)
		return optional;
	char c = *(*p)++;
	if (c == 'Z' || c == 'z')
		return true;
	unsigned h, m;
	if ((c != '+' && c != '-') || !digits(p, end, 2, &h))
		return false;
	(void)literal(p, end, ':');
	if (!digits(p, end, 2, &m) || h > 23 || m > 59)
		return false;
	*ret_ms = (int64_t)(h * 60 + m) * 60000 * (c == '-' ? -1 : 1);
	return true;
}

static unsigned month_days(unsigned year, unsigned month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

bool hd_time_parse(const char *text, size_t len, bool zone_optional, int64_t *ret_ms)
{
	const char *p = text, *end = text + len;
	unsigned year, month, day, h, m, s, milli = 0;
	if (!digits(&p, end, 4, &year) || !literal(&p, end, '-') || !digits(&p, end, 2, &month) || !literal(&p, end, '-') ||
	    !digits(&p, end, 2, &day))
		return false;
	if (p >= end || (*p != 'T' && *p != 't' && *p != ' '))
		return false;
	p++;
	if (!digits(&p, end, 2, &h) || !literal(&p, end, ':') || !digits(&p, end, 2, &m) || !literal(&p, end, ':') || !digits(&p, end, 2, &s))
		return false;
	if (literal(&p, end, '.')) {
		unsigned scale = 100, count = 0;
		for (; p < end && *p >= '0' && *p <= '9'; p++, count++, scale /= 10)
			milli += (unsigned)(*p - '0') * scale;
		if (count == 0)
			return false;
	}
	int64_t offset;
	if (!zone(&p, end, zone_optional, &offset) || p != end)
		return false;
	if (month < 1 || month > 12 || day < 1 || day > month_days(year, month) || h > 23 || m > 59 || s > 60)
		return false;
	*ret_ms = hd_days_from_civil((int64_t)year, month, day) * MS_PER_DAY + (int64_t)(h * 3600 + m * 60 + s) * 1000 + milli - offset;
	return true;
}

bool hd_duration_parse(const char *text, int64_t *ret_ms)
{
	static const struct { const char *unit; int64_t ms; } units[] = {
		{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", MS_PER_DAY}, {"", 1000},
	};
	char *end;
	errno = 0;
	if (*text < '0' || *text > '9')
		return false;
	double value = strtod(text, &end);
	if (errno || !(value >= 0))
		return false;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strcmp(end, units[i].unit) == 0 && value * (double)units[i].ms < 9e15) {
			*ret_ms = (int64_t)(value * (double)units[i].ms + 0.5);
			return true;
		}
	return false;
}

bool hd_date_parse(const char *text, size_t len, int64_t *ret_ms)
{
	char whole[] = "0000-00-00T00:00:00-04:00";
	if (len != 10)
		return hd_time_parse(text, len, false, ret_ms);
	memcpy(whole, text, 10);
	return hd_time_parse(whole, sizeof whole - 1, false, ret_ms);
}
