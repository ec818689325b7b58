/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/timefmt.h"
#include "base/tz.h"

#define HOUR INT64_C(3600000)

static int64_t at(const char *text)
{
	int64_t ms = 0;
	cr_assert(hd_time_parse(text, strlen(text), true, &ms), "%s", text);
	return ms;
}

Test(tz, chilean_zones_have_the_offsets_of_the_law)
{
	struct hydro_error err = {0};
	struct hd_tz *santiago = NULL, *punta_arenas = NULL, *easter = NULL;
	cr_assert_eq(hd_tz_load("America/Santiago", &santiago, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(hd_tz_load("America/Punta_Arenas", &punta_arenas, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(hd_tz_load("Pacific/Easter", &easter, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(hd_tz_offset_ms(santiago, at("2026-01-15T12:00:00Z")), -3 * HOUR);
	cr_assert_eq(hd_tz_offset_ms(santiago, at("2026-07-15T12:00:00Z")), -4 * HOUR);
	cr_assert_eq(hd_tz_offset_ms(santiago, at("2026-04-05T02:59:59Z")), -3 * HOUR);
	cr_assert_eq(hd_tz_offset_ms(santiago, at("2026-04-05T03:00:00Z")), -4 * HOUR);
	cr_assert_eq(hd_tz_offset_ms(punta_arenas, at("2026-07-15T12:00:00Z")), -3 * HOUR);
	cr_assert_eq(hd_tz_offset_ms(easter, at("2026-07-15T12:00:00Z")), -6 * HOUR);
	cr_assert_eq(hd_tz_offset_ms(santiago, at("2060-01-15T12:00:00Z")), -3 * HOUR, "by the footer's rules");
	cr_assert_eq(hd_tz_offset_ms(santiago, at("2060-07-15T12:00:00Z")), -4 * HOUR);
	cr_assert_eq(hd_tz_offset_ms(NULL, 0), 0);
	cr_assert_eq(hd_tz_from_local_ms(santiago, at("2026-07-15T00:00:00Z")), at("2026-07-15T04:00:00Z"));
	cr_assert_eq(hd_tz_from_local_ms(santiago, at("2026-04-04T23:30:00Z")), at("2026-04-05T02:30:00Z"), "the earlier of two");
	cr_assert_eq(hd_tz_from_local_ms(santiago, at("2026-09-06T00:30:00Z")), at("2026-09-06T04:30:00Z"), "behind the gap");
	hd_tz_free(&santiago);
	hd_tz_free(&punta_arenas);
	hd_tz_free(&easter);
}

Test(tz, names_that_leave_the_folder_and_cut_files_are_refused)
{
	struct hydro_error err = {0};
	struct hd_tz *tz = NULL;
	cr_assert_eq(hd_tz_load("../../etc/passwd", &tz, &err), HYDRO_E_INVALID);
	cr_assert_eq(hd_tz_load("No/Where", &tz, &err), HYDRO_E_NOTFOUND);
	cr_assert_eq(hd_tz_parse("TZif2", 5, &tz, &err), HYDRO_E_CORRUPT);
}
