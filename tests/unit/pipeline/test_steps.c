/* SPDX-License-Identifier: MIT */
/* Single steps, on readings given one by one. */
#include "rig.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FLOW HD_METRIC_FLOW
#define TOTAL HD_METRIC_TOTAL
#define PULSES HD_METRIC_PULSES

static void two(struct rig *rig, int64_t ts_ms, uint32_t a, double x, uint32_t b, double y)
{
	hydro_raw raws[] = {{ts_ms, x, a, 0}, {ts_ms, y, b, 0}};
	cr_assert_eq(rig_feed(rig, 0, raws, 2, HD_FEED_LIVE), HYDRO_OK);
	rig_settle(rig, 0);
}

/* ---- frozen ---- */

static void open_frozen(struct rig *rig, double litres, double resolution)
{
	struct hd_spec spec = {0};
	rig_open(rig, 1, "well", NULL);
	if (litres > 0)
		rig_step(&spec, "counter", "ssn", "from", "pulses", "to", "total", "litres_per_pulse", litres);
	rig_step(&spec, "frozen", resolution > 0 ? "snn" : "sn", "of", "total", "readings", 4.0, "resolution", resolution);
	(void)rig_plan(rig, &spec, 1);
	hd_spec_done(&spec);
}

/* The first of `count` readings a minute apart at which the total counts as frozen; 0 = none. The pulses stay as they are. */
static int frozen_at(struct rig *rig, double flow, double pulses, int count)
{
	for (int i = 1; i <= count; i++) {
		two(rig, RIG_T0 + i * RIG_MIN, PULSES, pulses, FLOW, flow);
		if (rig_has_flag(rig_sample(rig, 0, RIG_T0 + i * RIG_MIN), TOTAL, HD_FLAG_FROZEN))
			return i;
	}
	return 0;
}

Test(frozen, a_meter_with_a_coarse_pulse_stands_still_between_two_of_them)
{
	struct rig rig;
	open_frozen(&rig, 1000, 0);
	double litres = 0;
	for (int i = 0; i < 600; i++) { /* 1,000 l a pulse at 0.7 l/s: one in 24 minutes */
		litres += 0.7 * 60;
		two(&rig, RIG_T0 + i * RIG_MIN, PULSES, 5000 + floor(litres / 1000), FLOW, 0.7);
		cr_assert_not(rig_has_flag(rig_sample(&rig, 0, RIG_T0 + i * RIG_MIN), TOTAL, HD_FLAG_FROZEN), "reading %d", i);
	}
	rig_close(&rig);
}

Test(frozen, it_is_frozen_once_the_flow_should_have_moved_it_twice)
{
	struct rig rig;
	open_frozen(&rig, 1000, 0);
	/* 2,000 l at 0.7 l/s are 47.6 minutes. */
	cr_assert_eq(frozen_at(&rig, 0.7, 5000, 100), 49);
	rig_close(&rig);
	open_frozen(&rig, 10, 0);
	cr_assert_eq(frozen_at(&rig, 4, 5000, 100), 4, "with a fine pulse by the readings alone");
	rig_close(&rig);
	open_frozen(&rig, 1000, 0);
	cr_assert_eq(frozen_at(&rig, 0, 5000, 100), 0, "a pump that rests");
	rig_close(&rig);
}

Test(frozen, the_resolution_of_a_total_that_no_counter_made_is_an_option)
{
	struct rig rig;
	struct hd_spec spec = {0};
	for (int coarse = 0; coarse < 2; coarse++) {
		open_frozen(&rig, 0, coarse ? 1.0 : 0);
		int at = 0;
		for (int i = 1; i <= 60 && !at; i++) {
			two(&rig, RIG_T0 + i * RIG_MIN, TOTAL, 77, FLOW, 1);
			if (rig_has_flag(rig_sample(&rig, 0, RIG_T0 + i * RIG_MIN), TOTAL, HD_FLAG_FROZEN))
				at = i;
		}
		cr_assert_eq(at, coarse ? 35 : 4); /* 2 m3 at 1 l/s after the first: 33.3 minutes */
		rig_close(&rig);
	}
	rig_open(&rig, 1, "well", NULL);
	rig_step(&spec, "frozen", "sn", "of", "level", "resolution", 1.0);
	spec.script = "well@1";
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_plan *plan = NULL;
	cr_assert_eq(hd_plan_compile(hd_pipeline_shapes(rig.pipeline), &spec, 1, NULL, &plan, NULL, &err), HYDRO_E_CONFIG);
	cr_assert_not_null(strstr(err.text, "`resolution` is of a total in m3"), "%s", err.text);
	hd_spec_done(&spec);
	rig_close(&rig);
}

/* ---- budget ---- */

#define DAY (24 * RIG_HOUR)

static void open_budget(struct rig *rig, double yearly, double used, double month)
{
	struct hd_spec spec = {0};
	rig_open(rig, 1, "well", NULL);
	rig_step(&spec, "budget", "ssnnn", "total", "total", "to", "volume_year", "yearly", yearly, "used", used, "month", month);
	(void)rig_plan(rig, &spec, 1);
	hd_spec_done(&spec);
}

static double volume_year(struct rig *rig, int64_t ts_ms)
{
	uint32_t metric = hd_names_find(rig->names, HD_NAME_METRIC, "volume_year");
	return rig_value(rig_sample(rig, 0, ts_ms), metric);
}

static void total(struct rig *rig, int64_t ts_ms, double m3)
{
	cr_assert_eq(rig_feed1(rig, 0, ts_ms, TOTAL, m3), HYDRO_OK);
	rig_settle(rig, 0);
}

static bool over(struct rig *rig, int64_t ts_ms)
{
	return rig_has_flag(rig_sample(rig, 0, ts_ms), TOTAL, HD_FLAG_BUDGET);
}

Test(budget, a_year_begins_at_utc_minus_four_and_the_last_one_is_forgotten)
{
	struct rig rig;
	int64_t year = RIG_T0 + 4 * RIG_HOUR; /* 2026-01-01 at UTC-4 */
	open_budget(&rig, 100, 0, 1);
	total(&rig, year - 2 * DAY, 1000);
	total(&rig, year - DAY, 1100);
	cr_assert_not(over(&rig, year - DAY));
	total(&rig, year - 1, 1101);
	cr_assert(over(&rig, year - 1), "RIG_T0 in UTC is still last year here");
	total(&rig, year, 1102);
	cr_assert_not(over(&rig, year));
	cr_assert_eq(volume_year(&rig, year), 0.0);
	total(&rig, year + DAY, 1203);
	cr_assert(over(&rig, year + DAY));
	cr_assert_eq(volume_year(&rig, year + DAY), 101.0);
	cr_assert_eq(rig_value(rig_sample(&rig, 0, year + DAY), TOTAL), 1203.0, "stays as read");
	rig_close(&rig);
}

Test(budget, what_was_used_before_counts_in_the_first_year_alone)
{
	struct rig rig;
	open_budget(&rig, 100, 70, 4); /* years begin in April */
	total(&rig, RIG_T0, 500);
	cr_assert_eq(volume_year(&rig, RIG_T0), 70.0);
	total(&rig, RIG_T0 + DAY, 531);
	cr_assert(over(&rig, RIG_T0 + DAY));
	total(&rig, RIG_T0 + 100 * DAY, 540); /* 11 April */
	cr_assert_eq(volume_year(&rig, RIG_T0 + 100 * DAY), 0.0);
	rig_close(&rig);
}

Test(budget, late_data_does_not_move_the_beginning_of_the_year)
{
	struct rig rig;
	int64_t year = RIG_T0 + 4 * RIG_HOUR;
	open_budget(&rig, 100, 0, 1);
	total(&rig, year - DAY, 900);
	total(&rig, year, 1000);
	for (int i = 1; i < 100; i++)
		if (i != 90)
			total(&rig, year + i * DAY, 1000 + i);
	total(&rig, year + 90 * DAY, 1090); /* run again with two days of history: the year's beginning is not among them */
	cr_assert_eq(volume_year(&rig, year + 90 * DAY), 90.0);
	cr_assert_eq(volume_year(&rig, year + 99 * DAY), 99.0);
	total(&rig, year + 100 * DAY, 1101);
	cr_assert(over(&rig, year + 100 * DAY));
	rig_close(&rig);
}

Test(budget, late_data_of_last_year_counts_there)
{
	struct rig rig;
	int64_t year = RIG_T0 + 4 * RIG_HOUR;
	open_budget(&rig, 100, 0, 1);
	total(&rig, year - 20 * DAY, 900);
	total(&rig, year, 1000);
	total(&rig, year + RIG_HOUR, 1001);
	total(&rig, year - RIG_HOUR, 999);
	cr_assert_eq(volume_year(&rig, year - RIG_HOUR), 99.0);
	cr_assert_eq(volume_year(&rig, year + RIG_HOUR), 1.0);
	rig_close(&rig);
}
