/* SPDX-License-Identifier: MIT */
/* The past of all points of a pipeline once more: in slices, looked at, ended. */
#include "stand.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAYS 40

static int begin(struct stand *st, int64_t from_ms, int64_t to_ms)
{
	hd_buf_clear(&st->json);
	return hd_scripts_reprocess(st->scripts, "t", from_ms, to_ms, &st->json, &st->err);
}

static double number(struct stand *st, const char *key)
{
	const char *at = strstr(answer(st), key);
	cr_assert_not_null(at, "%s in %s", key, answer(st));
	return strtod(at + strlen(key), NULL);
}

static void wait_ended(struct stand *st)
{
	do {
		(void)sched_yield();
		hd_buf_clear(&st->json);
		cr_assert_eq(hd_scripts_reprocess_state(st->scripts, "t", &st->json, &st->err), HYDRO_OK, "%s", st->err.text);
	} while (strstr(answer(st), "\"state\":\"running\""));
}

static int put(struct stand *st, const char *text)
{
	hd_buf_clear(&st->json);
	return hd_scripts_put(st->scripts, "t", text, strlen(text), NULL, &st->json, &st->err);
}

/* Each point a reading a day. */
static void open_fed(struct stand *st, uint32_t points)
{
	stand_open(st, points, FIRST, HD_SCRIPTS_EDIT_WRITE, false);
	for (uint32_t i = 0; i < points; i++)
		for (int day = 0; day < DAYS; day++)
			cr_assert_eq(rig_feed1(&st->rig, i, RIG_T0 + day * 24 * RIG_HOUR, HD_METRIC_PULSES, day * 86.4), HYDRO_OK);
	for (uint32_t i = 0; i < points; i++)
		rig_settle(&st->rig, i);
}

Test(reprocess, all_points_are_run_again_over_more_than_one_slice)
{
	struct stand st;
	open_fed(&st, 20);
	cr_assert_eq(hd_scripts_reprocess_state(st.scripts, "t", &st.json, &st.err), HYDRO_E_NOTFOUND);
	cr_assert_eq(put(&st, HEAD "build = function (point) return { " TOTAL "range { 'total', max = 1 } } end }"), HYDRO_OK);
	int64_t end = RIG_T0 + DAYS * 24 * RIG_HOUR;
	cr_assert_eq(begin(&st, RIG_T0 + 10 * 24 * RIG_HOUR, end), HYDRO_OK, "%s", st.err.text);
	cr_assert_not_null(strstr(answer(&st), "\"from\":\"2026-01-11T00:00:00Z\""), "%s", answer(&st));
	wait_ended(&st);
	cr_assert_not_null(strstr(answer(&st), "\"state\":\"done\""), "%s", answer(&st));
	cr_assert_eq(number(&st, "\"points\":"), 20);
	cr_assert_eq(number(&st, "\"points_done\":"), 20);
	cr_assert_eq(number(&st, "\"points_failed\":"), 0);
	cr_assert_eq(number(&st, "\"readings\":"), 20 * 30);
	cr_assert_eq(number(&st, "\"revisions\":"), 20 * 30, "%s", answer(&st));
	cr_assert_not_null(strstr(answer(&st), "\"error\":null"), "%s", answer(&st));
	for (uint32_t i = 0; i < 20; i++)
		for (int day = 0; day < DAYS; day++) {
			const struct hd_sample *sample = rig_sample(&st.rig, i, RIG_T0 + day * 24 * RIG_HOUR);
			cr_assert_eq(sample->rev, day >= 10);
			cr_assert_eq(rig_has_flag(sample, HD_METRIC_TOTAL, HD_FLAG_OUT_OF_RANGE), day >= 10);
			cr_assert_float_eq(rig_value(sample, HD_METRIC_TOTAL), day * 86.4, 1e-6);
		}
	/* What is right already is left alone. */
	cr_assert_eq(begin(&st, RIG_T0 + 10 * 24 * RIG_HOUR, end), HYDRO_OK);
	wait_ended(&st);
	cr_assert_eq(number(&st, "\"revisions\":"), 0);
	cr_assert_eq(hd_scripts_reprocess(st.scripts, "none", 0, 1, &st.json, &st.err), HYDRO_E_NOTFOUND);
	cr_assert_eq(hd_scripts_reprocess_cancel(st.scripts, "none", &st.json, &st.err), HYDRO_E_NOTFOUND);
	stand_close(&st);
}

Test(reprocess, one_at_a_time_and_it_can_be_ended)
{
	struct stand st;
	open_fed(&st, 200);
	cr_assert_eq(begin(&st, RIG_T0, INT64_MAX), HYDRO_OK, "%s", st.err.text);
	cr_assert_eq(begin(&st, RIG_T0, INT64_MAX), HYDRO_E_CONFLICT);
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_reprocess_cancel(st.scripts, "t", &st.json, &st.err), HYDRO_OK);
	wait_ended(&st);
	cr_assert_not_null(strstr(answer(&st), "\"state\":\"cancelled\""), "%s", answer(&st));
	cr_assert_lt(number(&st, "\"points_done\":"), 200);
	cr_assert_eq(begin(&st, RIG_T0, RIG_T0 + RIG_HOUR), HYDRO_OK, "another one can begin");
	stand_close(&st); /* and is ended with the scripts */
}

Test(reprocess, a_change_of_the_script_ends_it)
{
	struct stand st;
	open_fed(&st, 200);
	cr_assert_eq(begin(&st, RIG_T0, INT64_MAX), HYDRO_OK);
	cr_assert_eq(put(&st, SECOND), HYDRO_OK);
	wait_ended(&st);
	cr_assert_not_null(strstr(answer(&st), "\"state\":\"ended\""), "%s", answer(&st));
	cr_assert_not_null(strstr(answer(&st), "does not run any more"), "%s", answer(&st));
	stand_close(&st);
}

Test(reprocess, a_point_that_fails_is_told_and_the_others_go_on)
{
	struct stand st;
	open_fed(&st, 10);
	cr_assert_eq(put(&st, HEAD "build = function (point) return { " TOTAL "function (m, state, point) if point.name == 'p4' then while true do end end m.volume = 1 end } end }"),
		     HYDRO_OK, "%s", st.err.text);
	cr_assert_eq(begin(&st, RIG_T0, INT64_MAX), HYDRO_OK);
	wait_ended(&st);
	cr_assert_not_null(strstr(answer(&st), "\"state\":\"done\""), "%s", answer(&st));
	cr_assert_eq(number(&st, "\"points_failed\":"), 1, "%s", answer(&st));
	cr_assert_not_null(strstr(answer(&st), "\"error\":\"point p4: a Lua step was over its budget"), "%s", answer(&st));
	cr_assert_eq(number(&st, "\"revisions\":"), 9 * DAYS, "%s", answer(&st));
	cr_assert_eq(rig_value(rig_sample(&st.rig, 3, RIG_T0), HD_METRIC_VOLUME), 1);
	stand_close(&st);
}
