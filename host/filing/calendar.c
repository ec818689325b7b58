/* SPDX-License-Identifier: MIT */
#include "filing/calendar.h"

#include "base/clock.h"
#include "base/timefmt.h"

#include <stdio.h>

#define HOUR_MS INT64_C(3600000)
#define DAY_MS INT64_C(86400000)
#define END_MS INT64_C(4102444800000)    /* 2100-01-01 */
#define START_MS INT64_C(-62135596800000) /* 0001-01-01 */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t offset_ms(const struct hd_calendar *calendar)
{
	return (int64_t)calendar->utc_offset_s * HD_MS_PER_S;
}

/* Periods are numbered: hours and days since 1970, months and half-years since the year 0, all by the local clock. */
static int64_t period_of(uint32_t every, int64_t local_ms)
{
	int64_t year;
	unsigned month, day;
	if (every == HYDRO_EVERY_HOUR)
		return floor_div(local_ms, HOUR_MS);
	if (every == HYDRO_EVERY_DAY)
		return floor_div(local_ms, DAY_MS);
	hd_civil_from_days(floor_div(local_ms, DAY_MS), &year, &month, &day);
	return every == HYDRO_EVERY_MONTH ? year * 12 + (int64_t)month - 1 : year * 2 + (month > 6);
}

static int64_t period_start(uint32_t every, int64_t period)
{
	if (every == HYDRO_EVERY_HOUR)
		return period * HOUR_MS;
	if (every == HYDRO_EVERY_DAY)
		return period * DAY_MS;
	int64_t month = every == HYDRO_EVERY_MONTH ? period : period * 6;
	int64_t year = floor_div(month, 12);
	return hd_days_from_civil(year, (unsigned)(month - year * 12) + 1, 1) * DAY_MS;
}

static bool is_known(const struct hd_calendar *calendar)
{
	return calendar->every >= HYDRO_EVERY_HOUR && calendar->every <= HYDRO_EVERY_HALF_YEAR;
}

static int64_t after_start(const struct hd_calendar *calendar)
{
	return calendar->every == HYDRO_EVERY_HOUR || calendar->at_ms < 0 ? 0 : calendar->at_ms;
}

static int64_t slot_of(const struct hd_calendar *calendar, int64_t period)
{
	return period_start(calendar->every, period) + after_start(calendar) - offset_ms(calendar);
}

/* Number of the last period whose slot is due at or before ms. */
static int64_t last_period(const struct hd_calendar *calendar, int64_t ms)
{
	ms = HD_MIN(HD_MAX(ms, START_MS), END_MS);
	return period_of(calendar->every, ms + offset_ms(calendar) - after_start(calendar));
}

int64_t hd_calendar_previous(const struct hd_calendar *calendar, int64_t ms)
{
	return is_known(calendar) ? slot_of(calendar, last_period(calendar, ms)) : INT64_MIN;
}

int64_t hd_calendar_next(const struct hd_calendar *calendar, int64_t ms)
{
	if (!is_known(calendar) || ms >= END_MS)
		return INT64_MAX;
	int64_t period = last_period(calendar, ms), due = slot_of(calendar, period);
	if (due < ms)
		due = slot_of(calendar, period + 1);
	return due < END_MS ? due : INT64_MAX;
}

uint64_t hd_calendar_count(const struct hd_calendar *calendar, int64_t from_ms, int64_t to_ms)
{
	to_ms = HD_MIN(to_ms, END_MS);
	from_ms = HD_MAX(from_ms, START_MS);
	if (!is_known(calendar) || to_ms <= from_ms)
		return 0;
	return (uint64_t)(last_period(calendar, to_ms - 1) - last_period(calendar, from_ms - 1));
}

bool hd_calendar_is_slot(const struct hd_calendar *calendar, int64_t ms)
{
	return is_known(calendar) && ms < END_MS && hd_calendar_previous(calendar, ms) == ms;
}

static unsigned days_of_month(int64_t month)
{
	return (unsigned)((period_start(HYDRO_EVERY_MONTH, month + 1) - period_start(HYDRO_EVERY_MONTH, month)) / DAY_MS);
}

/* The same day and hour that many months on; the last day of the month where it has no such day. */
static int64_t add_months(int64_t local_ms, uint32_t months)
{
	int64_t days = floor_div(local_ms, DAY_MS), year;
	unsigned month, day;
	hd_civil_from_days(days, &year, &month, &day);
	int64_t to = year * 12 + (int64_t)month - 1 + months;
	return period_start(HYDRO_EVERY_MONTH, to) + (int64_t)(HD_MIN(day, days_of_month(to)) - 1) * DAY_MS + (local_ms - days * DAY_MS);
}

int64_t hd_calendar_limit(const struct hd_calendar *calendar, int64_t due_ms)
{
	if (calendar->lag_ms > 0)
		return due_ms + calendar->lag_ms;
	return add_months(due_ms + offset_ms(calendar), calendar->lag_months) - offset_ms(calendar);
}

int64_t hd_calendar_day(int32_t utc_offset_s, int64_t ms)
{
	return floor_div(ms + (int64_t)utc_offset_s * HD_MS_PER_S, DAY_MS);
}

int64_t hd_calendar_day_start(int32_t utc_offset_s, int64_t day)
{
	return day * DAY_MS - (int64_t)utc_offset_s * HD_MS_PER_S;
}

void hd_calendar_zone(int32_t utc_offset_s, char ret[HD_CALENDAR_ZONE_TEXT])
{
	uint32_t minutes = (uint32_t)(utc_offset_s < 0 ? -utc_offset_s : utc_offset_s) / 60 % 1440;
	int n = snprintf(ret, HD_CALENDAR_ZONE_TEXT, "UTC");
	if (minutes)
		n += snprintf(ret + n, HD_CALENDAR_ZONE_TEXT - (size_t)n, "%c%u", utc_offset_s < 0 ? '-' : '+', minutes / 60);
	if (minutes % 60)
		(void)snprintf(ret + n, HD_CALENDAR_ZONE_TEXT - (size_t)n, ":%02u", minutes % 60);
}
