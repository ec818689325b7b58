/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/timefmt.h"
#include "filing/calendar.h"

#include <string.h>

static int64_t at(const char *text)
{
	int64_t ms;
	cr_assert(hd_time_parse(text, strlen(text), false, &ms), "%s", text);
	return ms;
}

static const struct hd_calendar hourly = {.every = HYDRO_EVERY_HOUR, .utc_offset_s = -14400, .lag_ms = 7 * INT64_C(86400000)};
static const struct hd_calendar daily = {.every = HYDRO_EVERY_DAY, .utc_offset_s = -14400, .at_ms = 12 * INT64_C(3600000), .lag_ms = 15 * INT64_C(86400000)};
static const struct hd_calendar monthly = {.every = HYDRO_EVERY_MONTH, .utc_offset_s = -14400, .lag_months = 1};
static const struct hd_calendar half_yearly = {.every = HYDRO_EVERY_HALF_YEAR, .utc_offset_s = -14400, .at_ms = INT64_C(8) * 3600000, .lag_months = 1};

Test(calendar, slots_stand_at_the_periods_of_the_fixed_offset)
{
	static const struct {
		const struct hd_calendar *calendar;
		const char *ms, *previous, *next;
	} rows[] = {
		{&hourly, "2026-03-01T10:00:00-04:00", "2026-03-01T10:00:00-04:00", "2026-03-01T10:00:00-04:00"},
		{&hourly, "2026-03-01T10:00:00.001-04:00", "2026-03-01T10:00:00-04:00", "2026-03-01T11:00:00-04:00"},
		{&daily, "2026-03-01T11:59:59-04:00", "2026-02-28T12:00:00-04:00", "2026-03-01T12:00:00-04:00"},
		{&daily, "2026-03-01T12:00:00-04:00", "2026-03-01T12:00:00-04:00", "2026-03-01T12:00:00-04:00"},
		{&monthly, "2026-12-31T23:59:59-04:00", "2026-12-01T00:00:00-04:00", "2027-01-01T00:00:00-04:00"},
		{&monthly, "2024-02-29T12:00:00-04:00", "2024-02-01T00:00:00-04:00", "2024-03-01T00:00:00-04:00"},
		{&half_yearly, "2026-07-01T07:00:00-04:00", "2026-01-01T08:00:00-04:00", "2026-07-01T08:00:00-04:00"},
		{&half_yearly, "2026-01-01T00:00:00-04:00", "2025-07-01T08:00:00-04:00", "2026-01-01T08:00:00-04:00"},
		{&hourly, "1969-12-31T23:30:00Z", "1969-12-31T23:00:00Z", "1970-01-01T00:00:00Z"},
	};
	for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
		cr_assert_eq(hd_calendar_previous(rows[i].calendar, at(rows[i].ms)), at(rows[i].previous), "row %d", (int)i);
		cr_assert_eq(hd_calendar_next(rows[i].calendar, at(rows[i].ms)), at(rows[i].next), "row %d", (int)i);
	}
}

Test(calendar, chilean_summer_time_moves_nothing)
{
	/* 2026-04-05 local clocks in Chile go from UTC-3 to UTC-4: the slots stay 3600 s apart. */
	int64_t ms = at("2026-04-04T00:00:00Z");
	for (int i = 0; i < 48; i++, ms += 3600000)
		cr_assert(hd_calendar_is_slot(&hourly, ms));
	cr_assert_not(hd_calendar_is_slot(&hourly, ms + 1));
}

Test(calendar, counting_agrees_with_stepping)
{
	static const struct hd_calendar *const all[] = {&hourly, &daily, &monthly, &half_yearly};
	for (size_t i = 0; i < HD_ARRAY_LEN(all); i++) {
		int64_t from = at("2023-12-31T23:00:00Z"), to = at("2027-01-01T12:00:00Z");
		uint64_t steps = 0;
		for (int64_t ms = hd_calendar_next(all[i], from); ms < to; ms = hd_calendar_next(all[i], ms + 1), steps++)
			cr_assert(hd_calendar_is_slot(all[i], ms));
		cr_assert_eq(hd_calendar_count(all[i], from, to), steps);
		cr_assert_eq(hd_calendar_count(all[i], to, from), 0);
	}
	cr_assert_eq(hd_calendar_count(&hourly, at("2026-01-01T04:00:00Z"), at("2027-01-01T04:00:00Z")), 8760);
	/* `to` is not in it, `from` is. */
	cr_assert_eq(hd_calendar_count(&hourly, at("2026-01-01T04:00:00Z"), at("2026-01-01T05:00:00Z")), 1);
}

Test(calendar, the_lag_ends_by_days_or_by_months)
{
	cr_assert_eq(hd_calendar_limit(&hourly, at("2026-03-01T10:00:00Z")), at("2026-03-08T10:00:00Z"));
	cr_assert_eq(hd_calendar_limit(&monthly, at("2026-01-01T00:00:00-04:00")), at("2026-02-01T00:00:00-04:00"));
	cr_assert_eq(hd_calendar_limit(&monthly, at("2026-01-31T22:00:00-04:00")), at("2026-02-28T22:00:00-04:00"), "no 31st of February");
	cr_assert_eq(hd_calendar_limit(&half_yearly, at("2026-12-31T08:00:00-04:00")), at("2027-01-31T08:00:00-04:00"));
}

Test(calendar, days_are_those_of_the_offset)
{
	int64_t day = hd_calendar_day(-14400, at("2026-01-01T03:59:59.999Z"));
	cr_assert_eq(day, hd_days_from_civil(2025, 12, 31));
	cr_assert_eq(hd_calendar_day_start(-14400, day + 1), at("2026-01-01T04:00:00Z"));
	cr_assert_eq(hd_calendar_day(-14400, hd_calendar_day_start(-14400, -1)), -1);
	cr_assert_eq(hd_calendar_day(-14400, hd_calendar_day_start(-14400, 0) - 1), -1);
}

Test(calendar, a_frequency_that_is_none_has_no_slots)
{
	struct hd_calendar none = {.every = 9, .utc_offset_s = -14400};
	cr_assert_eq(hd_calendar_next(&none, 0), INT64_MAX);
	cr_assert_eq(hd_calendar_previous(&none, 0), INT64_MIN);
	cr_assert_eq(hd_calendar_count(&none, 0, INT64_MAX), 0);
	cr_assert_not(hd_calendar_is_slot(&none, 0));
	cr_assert_eq(hd_calendar_next(&hourly, at("2099-12-31T23:00:00.001Z")), INT64_MAX);
	cr_assert_eq(hd_calendar_next(&hourly, INT64_MAX), INT64_MAX);
	cr_assert_eq(hd_calendar_count(&hourly, INT64_MIN, INT64_MIN + 5), 0);
}

Test(calendar, a_regulators_clock_has_a_name)
{
	static const struct {
		int32_t offset_s;
		const char *text;
	} zones[] = {{-14400, "UTC-4"}, {0, "UTC"}, {19800, "UTC+5:30"}, {-12600, "UTC-3:30"}, {1800, "UTC+0:30"}};
	for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
		char text[HD_CALENDAR_ZONE_TEXT];
		hd_calendar_zone(zones[i].offset_s, text);
		cr_assert_str_eq(text, zones[i].text);
	}
}
