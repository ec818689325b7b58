/* SPDX-License-Identifier: MIT */
/* RFC 3339 times, calendar dates and durations as text. All [any], pure. */
#ifndef HD_BASE_TIMEFMT_H
#define HD_BASE_TIMEFMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HD_TIME_TEXT 32u

/* "2026-01-01T00:00:00Z" or with ".123" when ms are not zero; UTC. Years 0000–9999. */
void hd_time_format(int64_t ms, char ret[HD_TIME_TEXT]);
/* RFC 3339 with 'T' or blank, any fraction (cut to ms), 'Z' or ±hh:mm; without a zone only if `zone_optional` (then UTC). */
bool hd_time_parse(const char *text, size_t len, bool zone_optional, int64_t *ret_ms);
/* "2026-01-01" = its midnight at UTC-4 all year, as the regulator counts days; or a time as hd_time_parse wants it, with a zone. */
bool hd_date_parse(const char *text, size_t len, int64_t *ret_ms);
/* Days since 1970-01-01 of a proleptic Gregorian date, and back. */
int64_t hd_days_from_civil(int64_t year, unsigned month, unsigned day);
void hd_civil_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day);
/* "500ms" "90s" "15m" "2h" "1d", or whole seconds without a unit. */
bool hd_duration_parse(const char *text, int64_t *ret_ms);

#endif
