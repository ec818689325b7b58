/* SPDX-License-Identifier: MIT */
/*
 * The calendar of slots: at which times a work has a measurement due, and until when it may be filed. Pure arithmetic on a
 * fixed offset from UTC (a regulator's clock knows no summer time); nothing is stored.
 */
#ifndef HD_FILING_CALENDAR_H
#define HD_FILING_CALENDAR_H

#include "base/error.h"

#include <stdbool.h>

/* The frequency, lag and hour of one work: its standard's with the work's own settings over them. */
struct hd_calendar {
	uint32_t every;       /* HYDRO_EVERY_* */
	int32_t utc_offset_s; /* -14400 */
	int64_t at_ms;        /* after the period's start: the filing hour of a day, month or half-year; 0 = its first instant */
	int64_t lag_ms;       /* longest time between slot and filing; 0: lag_months */
	uint32_t lag_months;
};

/* The first slot due at or after `ms`; INT64_MAX when there is none before 2100. [any] */
int64_t hd_calendar_next(const struct hd_calendar *calendar, int64_t ms);
/* The last slot due at or before `ms`. [any] */
int64_t hd_calendar_previous(const struct hd_calendar *calendar, int64_t ms);
/* Slots with from <= due < to. [any] */
uint64_t hd_calendar_count(const struct hd_calendar *calendar, int64_t from_ms, int64_t to_ms);
bool hd_calendar_is_slot(const struct hd_calendar *calendar, int64_t ms);
/* The end of the lag of a slot due at `due_ms`: from then on not filing it is a failure of transmission. [any] */
int64_t hd_calendar_limit(const struct hd_calendar *calendar, int64_t due_ms);
/* Number of the local day (days since 1970-01-01 at the offset), and the first instant of one. [any] */
int64_t hd_calendar_day(int32_t utc_offset_s, int64_t ms);
int64_t hd_calendar_day_start(int32_t utc_offset_s, int64_t day);
/* "UTC-4", "UTC+5:30", "UTC". [any] */
#define HD_CALENDAR_ZONE_TEXT 16u
void hd_calendar_zone(int32_t utc_offset_s, char ret[HD_CALENDAR_ZONE_TEXT]);

#endif
