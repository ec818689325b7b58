/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/timefmt.h"

static int64_t parsed(const char *text)
{
	int64_t ms = -1;
	return hd_time_parse(text, strlen(text), true, &ms) ? ms : -1;
}

Test(timefmt, rfc3339_times_are_read_with_zones_and_fractions)
{
	cr_assert_eq(parsed("2026-01-01T00:00:00.000Z"), INT64_C(1767225600000));
	cr_assert_eq(parsed("2025-12-31T20:00:00-04:00"), INT64_C(1767225600000));
	cr_assert_eq(parsed("2026-01-01 00:00:00.1239"), INT64_C(1767225600123));
	cr_assert_eq(parsed("2024-02-29T12:00:00Z"), INT64_C(1709208000000));
}

Test(timefmt, what_is_no_time_is_refused)
{
	const char *bad[] = {"", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00Zx", "2026-01-01T00:00:00.Z", "26-01-01T00:00:00Z"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		cr_assert_eq(parsed(bad[i]), -1, "%s", bad[i]);
	int64_t ms;
	cr_assert_not(hd_time_parse("2026-01-01T00:00:00", 19, false, &ms));
}

Test(timefmt, formatting_gives_what_parsing_reads)
{
	const int64_t times[] = {0, -1, 1, INT64_C(1767225600123), INT64_C(4102444800000), INT64_C(-62135596800000)};
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		char text[HD_TIME_TEXT];
		int64_t back;
		hd_time_format(times[i], text);
		cr_assert(hd_time_parse(text, strlen(text), false, &back) && back == times[i], "%s", text);
	}
}

Test(timefmt, durations_have_units)
{
	int64_t ms;
	cr_assert(hd_duration_parse("90s", &ms) && ms == 90000);
	cr_assert(hd_duration_parse("15m", &ms) && ms == 900000);
	cr_assert(hd_duration_parse("1.5h", &ms) && ms == 5400000);
	cr_assert(hd_duration_parse("30", &ms) && ms == 30000);
	cr_assert_not(hd_duration_parse("-1s", &ms));
	cr_assert_not(hd_duration_parse("1w", &ms));
	cr_assert_not(hd_duration_parse("", &ms));
}

Test(timefmt, a_date_is_its_midnight_at_utc_minus_four)
{
	int64_t ms;
	cr_assert(hd_date_parse("2026-01-01", 10, &ms));
	cr_assert_eq(ms, INT64_C(1767225600000) + 4 * 3600000);
	cr_assert(hd_date_parse("2026-07-01", 10, &ms) && ms % 86400000 == 4 * 3600000, "in winter too");
	cr_assert(hd_date_parse("2026-01-01T00:00:00Z", 20, &ms));
	cr_assert_eq(ms, INT64_C(1767225600000));
	const char *bad[] = {"", "2026-02-30", "2026-1-1", "2026/01/01", "2026-01-01T00:00:00", "May 2026 .."};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		cr_assert_not(hd_date_parse(bad[i], strlen(bad[i]), &ms), "%s", bad[i]);
}
