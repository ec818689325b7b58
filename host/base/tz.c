/* SPDX-License-Identifier: MIT */
#include "base/tz.h"

#include "base/fs.h"
#include "base/timefmt.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX (1u << 20)
#define TRANSITIONS_MAX 4096u
#define HEADER_BYTES 44u
#define DAY_MS INT64_C(86400000)

/* A rule "Mm.w.d/time" of the POSIX footer. */
struct rule {
	unsigned month, week, day;
	int64_t time_ms; /* local wall clock, may be negative or beyond a day */
};

struct hd_tz {
	uint32_t count;
	int64_t *at_ms;     /* moments, ascending */
	int64_t *offset_ms; /* from that moment on */
	int64_t first_ms;   /* offset before the first moment */
	/* After the last moment: by the footer. */
	int64_t standard_ms, summer_ms;
	int has_rules;
	struct rule to_summer, to_standard;
};

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t be64(const uint8_t *p)
{
	return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

static int corrupt(struct hydro_error *err)
{
	return hd_error_set(err, HYDRO_E_CORRUPT, "not a time zone file of version 2 or later");
}

/* Bytes of a block after its header, with times of `size` bytes. */
static uint64_t block_bytes(const uint8_t *h, unsigned size)
{
	uint64_t isut = be32(h + 20), isstd = be32(h + 24), leap = be32(h + 28), times = be32(h + 32), types = be32(h + 36), chars = be32(h + 40);
	return times * size + times + types * 6 + chars + leap * (size + 4) + isstd + isut;
}

/* "<-04>" or "EST"; then an offset. Moves *p; 0 on failure. */
static int footer_name(const char **p)
{
	if (**p == '<') {
		const char *end = strchr(*p, '>');
		if (!end)
			return 0;
		*p = end + 1;
		return 1;
	}
	const char *start = *p;
	while (isalpha((unsigned char)**p))
		(*p)++;
	return *p - start >= 3;
}

/* [+-]h[:m[:s]] in ms. */
static int footer_time(const char **p, int64_t *ret)
{
	int64_t sign = 1, total = 0, unit = 3600000;
	if (**p == '-' || **p == '+')
		sign = *(*p)++ == '-' ? -1 : 1;
	if (!isdigit((unsigned char)**p))
		return 0;
	for (;;) {
		int64_t v = 0;
		while (isdigit((unsigned char)**p) && v < 1000)
			v = v * 10 + (*(*p)++ - '0');
		total += v * unit;
		unit /= 60;
		if (**p != ':' || unit < 1000)
			break;
		(*p)++;
	}
	*ret = sign * total;
	return 1;
}

static int footer_rule(const char **p, struct rule *ret)
{
	int used = 0;
	ret->time_ms = 2 * 3600000;
	if (sscanf(*p, ",M%2u.%1u.%1u%n", &ret->month, &ret->week, &ret->day, &used) != 3 || used == 0)
		return 0;
	if (ret->month < 1 || ret->month > 12 || ret->week < 1 || ret->week > 5 || ret->day > 6)
		return 0;
	*p += used;
	if (**p == '/') {
		(*p)++;
		return footer_time(p, &ret->time_ms);
	}
	return 1;
}

/* Sets what holds after the last transition; a footer in another form leaves the last offset in force. */
static void footer(struct hd_tz *tz, const char *text)
{
	const char *p = text;
	int64_t west;
	if (!footer_name(&p) || !footer_time(&p, &west))
		return;
	int64_t standard = -west, summer = standard + 3600000;
	if (*p) {
		if (!footer_name(&p) || (*p != ',' && !footer_time(&p, &west)))
			return;
		if (p[-1] != '>' && isdigit((unsigned char)p[-1]))
			summer = -west;
		if (!footer_rule(&p, &tz->to_summer) || !footer_rule(&p, &tz->to_standard))
			return;
		tz->has_rules = 1;
	}
	tz->standard_ms = standard;
	tz->summer_ms = summer;
}

static int read_block(struct hd_tz *tz, const uint8_t *h, const uint8_t *p, struct hydro_error *err)
{
	uint32_t times = be32(h + 32), types = be32(h + 36);
	if (types == 0 || times > TRANSITIONS_MAX)
		return corrupt(err);
	tz->at_ms = calloc(times + 1, sizeof *tz->at_ms);
	tz->offset_ms = calloc(times + 1, sizeof *tz->offset_ms);
	if (!tz->at_ms || !tz->offset_ms)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a time zone");
	const uint8_t *index = p + (size_t)times * 8, *type = index + times;
	for (uint32_t i = 0; i < times; i++) {
		int64_t seconds = be64(p + (size_t)i * 8);
		if (index[i] >= types || seconds > INT64_C(1) << 40 || (i && seconds * 1000 <= tz->at_ms[i - 1]))
			return corrupt(err);
		if (seconds < -(INT64_C(1) << 40))
			seconds = -(INT64_C(1) << 40) + i;
		tz->at_ms[i] = seconds * 1000;
		tz->offset_ms[i] = (int64_t)(int32_t)be32(type + (size_t)index[i] * 6) * 1000;
	}
	tz->count = times;
	tz->first_ms = (int64_t)(int32_t)be32(type) * 1000;
	tz->standard_ms = tz->summer_ms = times ? tz->offset_ms[times - 1] : tz->first_ms;
	return HYDRO_OK;
}

int hd_tz_parse(const void *data, size_t len, struct hd_tz **ret, struct hydro_error *err)
{
	const uint8_t *p = data;
	if (len < HEADER_BYTES || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
		return corrupt(err);
	uint64_t skip = HEADER_BYTES + block_bytes(p, 4);
	if (skip > len - HEADER_BYTES || memcmp(p + skip, "TZif", 4) != 0)
		return corrupt(err);
	const uint8_t *h = p + skip;
	uint64_t body = block_bytes(h, 8), left = len - skip - HEADER_BYTES;
	if (body > left)
		return corrupt(err);
	struct hd_tz *tz = calloc(1, sizeof *tz);
	if (!tz)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a time zone");
	int rc = read_block(tz, h, h + HEADER_BYTES, err);
	if (rc != HYDRO_OK) {
		hd_tz_free(&tz);
		return rc;
	}
	const uint8_t *tail = h + HEADER_BYTES + body, *end = p + len;
	const uint8_t *line_end = tail < end && *tail == '\n' ? memchr(tail + 1, '\n', (size_t)(end - tail - 1)) : NULL;
	char text[128];
	if (line_end && (size_t)(line_end - tail) < sizeof text) {
		memcpy(text, tail + 1, (size_t)(line_end - tail - 1));
		text[line_end - tail - 1] = '\0';
		footer(tz, text);
	}
	*ret = tz;
	return HYDRO_OK;
}

int hd_tz_load(const char *name, struct hd_tz **ret, struct hydro_error *err)
{
	char path[256];
	if (!*name || *name == '/' || strstr(name, "..") || strlen(name) > 100)
		return hd_error_set(err, HYDRO_E_INVALID, "not a time zone's name: \"%.60s\"", name);
	(void)snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
	HD_CLEANUP(hd_buf_done) struct hd_buf bytes = {0};
	int rc = hd_fs_read(path, FILE_BYTES_MAX, &bytes, err);
	return rc == HYDRO_OK ? hd_tz_parse(bytes.data, bytes.len, ret, err) : rc;
}

void hd_tz_free(struct hd_tz **tz)
{
	if (!*tz)
		return;
	free((*tz)->at_ms);
	free((*tz)->offset_ms);
	free(*tz);
	*tz = NULL;
}

/* The moment of a rule in a year, given the offset in force before it. */
static int64_t rule_at(const struct rule *rule, int64_t year, int64_t offset_ms)
{
	int64_t first = hd_days_from_civil(year, rule->month, 1);
	int64_t weekday = ((first + 4) % 7 + 7) % 7;
	int64_t day = first + ((int64_t)rule->day - weekday + 7) % 7 + 7 * ((int64_t)rule->week - 1);
	int64_t next = rule->month == 12 ? hd_days_from_civil(year + 1, 1, 1) : hd_days_from_civil(year, rule->month + 1, 1);
	while (day >= next)
		day -= 7;
	return day * DAY_MS + rule->time_ms - offset_ms;
}

static int64_t by_rules(const struct hd_tz *tz, int64_t utc_ms)
{
	if (!tz->has_rules)
		return tz->standard_ms;
	int64_t local = utc_ms + tz->standard_ms, year;
	unsigned month, day;
	hd_civil_from_days((local - (local % DAY_MS + DAY_MS) % DAY_MS) / DAY_MS, &year, &month, &day);
	int64_t summer = rule_at(&tz->to_summer, year, tz->standard_ms), standard = rule_at(&tz->to_standard, year, tz->summer_ms);
	int in_summer = summer < standard ? utc_ms >= summer && utc_ms < standard : utc_ms >= summer || utc_ms < standard;
	return in_summer ? tz->summer_ms : tz->standard_ms;
}

int64_t hd_tz_offset_ms(const struct hd_tz *tz, int64_t utc_ms)
{
	if (!tz)
		return 0;
	if (tz->count == 0 || utc_ms >= tz->at_ms[tz->count - 1])
		return by_rules(tz, utc_ms);
	if (utc_ms < tz->at_ms[0])
		return tz->first_ms;
	uint32_t low = 0, high = tz->count - 1; /* at[low] <= utc < at[high] */
	while (high - low > 1) {
		uint32_t middle = (low + high) / 2;
		if (tz->at_ms[middle] <= utc_ms)
			low = middle;
		else
			high = middle;
	}
	return tz->offset_ms[low];
}

int64_t hd_tz_from_local_ms(const struct hd_tz *tz, int64_t local_ms)
{
	int64_t before = hd_tz_offset_ms(tz, local_ms - hd_tz_offset_ms(tz, local_ms) - DAY_MS / 2);
	int64_t after = hd_tz_offset_ms(tz, local_ms - hd_tz_offset_ms(tz, local_ms) + DAY_MS / 2);
	if (hd_tz_offset_ms(tz, local_ms - before) == before)
		return local_ms - before;
	return local_ms - after > local_ms - before ? local_ms - after : local_ms - before;
}
