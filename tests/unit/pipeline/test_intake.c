/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <math.h>

#define FLOW HD_METRIC_FLOW
#define LEVEL HD_METRIC_LEVEL

Test(intake, values_of_one_window_are_one_reading_at_the_earliest_time)
{
	struct rig rig;
	rig_open(&rig, 1, "", NULL);
	hydro_raw raws[] = {{RIG_T0 + 20000, 7.5, LEVEL, 0}, {RIG_T0, 1.5, FLOW, 0}, {RIG_T0 + 31000, 12.6, HD_METRIC_BATTERY, 0}};
	cr_assert_eq(rig_feed(&rig, 0, raws, 3, HD_FEED_LIVE), HYDRO_OK);
	rig_settle(&rig, 0);
	cr_assert_eq(rig.stored->count, 2u);
	const struct hd_sample *first = rig_sample(&rig, 0, RIG_T0);
	cr_assert_eq(first->raw_count, 2);
	cr_assert_eq(rig_value(first, FLOW), 1.5);
	cr_assert_eq(rig_value(first, LEVEL), 7.5);
	cr_assert_eq(rig_value(rig_sample(&rig, 0, RIG_T0 + 31000), HD_METRIC_BATTERY), 12.6);
	cr_assert_eq(hd_pipeline_newest(rig.pipeline, 0), RIG_T0 + 31000);
	rig_close(&rig);
}

Test(intake, an_equal_reading_is_dropped_and_acknowledged)
{
	struct rig rig;
	rig_open(&rig, 1, "", NULL);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0, FLOW, 1.5), HYDRO_OK);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0, FLOW, 1.5), HYDRO_OK);
	rig_settle(&rig, 0);
	cr_assert_eq(rig.stored->count, 1u);
	cr_assert_eq(rig.acked, 2u);
	cr_assert_eq(rig.acked_accepted, 1u);
	cr_assert_eq(rig.acked_dropped, 1u);
	rig_close(&rig);
}

Test(intake, a_part_that_comes_later_is_a_revision_with_all_metrics)
{
	struct rig rig;
	rig_open(&rig, 1, "", NULL);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0, FLOW, 1.5), HYDRO_OK);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0 + 3000, LEVEL, 7.0), HYDRO_OK);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0 + 3000, LEVEL, 7.0), HYDRO_OK);
	rig_settle(&rig, 0);
	cr_assert_eq(rig.stored->count, 2u);
	const struct hd_sample *sample = rig_sample(&rig, 0, RIG_T0);
	cr_assert_eq(sample->rev, 1);
	cr_assert_eq(rig_value(sample, FLOW), 1.5);
	cr_assert_eq(rig_value(sample, LEVEL), 7.0);
	rig_close(&rig);
}

Test(intake, another_value_at_the_same_time_is_a_revision)
{
	struct rig rig;
	rig_open(&rig, 1, "", NULL);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0, FLOW, 1.5), HYDRO_OK);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0, FLOW, 1.6), HYDRO_OK);
	rig_settle(&rig, 0);
	cr_assert_eq(rig_sample(&rig, 0, RIG_T0)->rev, 1);
	cr_assert_eq(rig_value(rig_sample(&rig, 0, RIG_T0), FLOW), 1.6);
	rig_close(&rig);
}

Test(intake, a_metric_each_ten_seconds_is_a_reading_each_time)
{
	struct rig rig;
	rig_open(&rig, 1, "", NULL);
	hydro_raw raws[6];
	for (int i = 0; i < 6; i++)
		raws[i] = (hydro_raw){RIG_T0 + i * 10000, 5.0, FLOW, 0};
	cr_assert_eq(rig_feed(&rig, 0, raws, 3, HD_FEED_LIVE), HYDRO_OK);
	cr_assert_eq(rig_feed(&rig, 0, raws, 6, HD_FEED_LIVE), HYDRO_OK);
	rig_settle(&rig, 0);
	cr_assert_eq(rig.stored->count, 6u);
	rig_close(&rig);
}

Test(intake, a_known_older_reading_is_dropped_and_an_unknown_one_is_late)
{
	struct rig rig;
	rig_open(&rig, 1, "", NULL);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0, FLOW, 1), HYDRO_OK);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0 + 2 * RIG_HOUR, FLOW, 3), HYDRO_OK);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0, FLOW, 1), HYDRO_OK);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0 + RIG_HOUR, FLOW, 2), HYDRO_OK);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0 + RIG_HOUR, FLOW, 2), HYDRO_OK);
	rig_settle(&rig, 0);
	cr_assert_eq(rig.stored->count, 3u);
	cr_assert(rig_sample(&rig, 0, RIG_T0 + RIG_HOUR)->bits & HD_SAMPLE_LATE);
	cr_assert_eq(hd_pipeline_newest(rig.pipeline, 0), RIG_T0 + 2 * RIG_HOUR);
	rig_close(&rig);
}

Test(intake, known_readings_are_seen_although_they_are_not_synced_yet)
{
	struct rig rig;
	rig_open(&rig, 1, "", NULL);
	hydro_raw raws[] = {{RIG_T0, 1, FLOW, 0}, {RIG_T0 + RIG_HOUR, 2, FLOW, 0}};
	cr_assert_eq(rig_feed(&rig, 0, raws, 2, HD_FEED_LIVE), HYDRO_OK);
	cr_assert_eq(rig_feed(&rig, 0, raws, 2, HD_FEED_LIVE), HYDRO_OK);
	rig_settle(&rig, 0);
	cr_assert_eq(rig.stored->count, 2u);
	rig_close(&rig);
}

Test(intake, a_time_ahead_is_kept_and_flagged_and_never_newest)
{
	struct rig rig;
	rig_open(&rig, 1, "", NULL);
	int64_t ahead = hd_clock_wall_ms() + RIG_HOUR;
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0, FLOW, 1), HYDRO_OK);
	cr_assert_eq(rig_feed1(&rig, 0, ahead, FLOW, 2), HYDRO_OK);
	cr_assert_eq(rig_feed1(&rig, 0, ahead, FLOW, 2), HYDRO_OK);
	rig_settle(&rig, 0);
	cr_assert_eq(rig_count(&rig, 0, ahead), 1u);
	const struct hd_sample *sample = rig_sample(&rig, 0, ahead);
	cr_assert(sample->bits & HD_SAMPLE_CLOCK);
	cr_assert(rig_has_flag(sample, 0, HD_FLAG_CLOCK));
	cr_assert_eq(hd_pipeline_newest(rig.pipeline, 0), RIG_T0);
	struct hd_latest_value latest;
	cr_assert(hd_latest_get(hd_pipeline_latest(rig.pipeline), 0, &latest));
	cr_assert_eq(latest.ts_ms, RIG_T0);
	/* Its time has come: the same reading is a revision without the flag. */
	hd_clock_step_wall(2 * RIG_HOUR);
	cr_assert_eq(rig_feed1(&rig, 0, ahead, FLOW, 2), HYDRO_OK);
	rig_settle(&rig, 0);
	hd_clock_step_wall(-2 * RIG_HOUR);
	sample = rig_sample(&rig, 0, ahead);
	cr_assert_eq(sample->rev, 1);
	cr_assert_not(sample->bits & HD_SAMPLE_CLOCK);
	cr_assert_eq(hd_pipeline_newest(rig.pipeline, 0), ahead);
	rig_close(&rig);
}

Test(intake, a_status_code_is_kept_raw_and_is_no_datum)
{
	struct rig rig;
	rig_open(&rig, 1, "", NULL);
	hydro_raw raws[] = {{RIG_T0, -3, FLOW, HYDRO_RAW_STATUS}, {RIG_T0, 7, LEVEL, 0}};
	cr_assert_eq(rig_feed(&rig, 0, raws, 2, HD_FEED_LIVE), HYDRO_OK);
	rig_settle(&rig, 0);
	const struct hd_sample *sample = rig_sample(&rig, 0, RIG_T0);
	cr_assert_eq(sample->raw_count, 2);
	cr_assert(isnan(rig_value(sample, FLOW)));
	cr_assert_eq(rig_value(sample, LEVEL), 7.0);
	cr_assert(rig_has_flag(sample, FLOW, HD_FLAG_STATUS_CODE));
	rig_close(&rig);
}

Test(intake, values_that_cannot_be_are_refused_whole)
{
	struct rig rig;
	rig_open(&rig, 1, "", NULL);
	hydro_raw bad[] = {{RIG_T0, 1, FLOW, 0}, {RIG_T0, (double)NAN, LEVEL, 0}};
	cr_assert_eq(rig_feed(&rig, 0, bad, 2, HD_FEED_LIVE), HYDRO_E_INVALID);
	cr_assert_eq(rig_feed1(&rig, 0, 5, FLOW, 1), HYDRO_E_INVALID);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0, 0, 1), HYDRO_E_INVALID);
	cr_assert_eq(rig_feed1(&rig, 7, RIG_T0, FLOW, 1), HYDRO_E_INVALID);
	rig_settle(&rig, 0);
	cr_assert_eq(rig.stored->count, 0u);
	cr_assert_eq(rig.acked, 0u);
	rig_close(&rig);
}

Test(intake, without_a_plan_a_named_pipeline_keeps_raw_values_unprocessed)
{
	struct rig rig;
	rig_open(&rig, 1, "well", NULL);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0, FLOW, 1), HYDRO_OK);
	rig_settle(&rig, 0);
	const struct hd_sample *sample = rig_sample(&rig, 0, RIG_T0);
	cr_assert(sample->bits & HD_SAMPLE_UNPROCESSED);
	cr_assert(rig_has_flag(sample, 0, HD_FLAG_UNPROCESSED));
	cr_assert_eq(sample->raw_count, 1);
	cr_assert_eq(sample->value_count, 0);
	/* Once there is a plan, the same reading goes through it. */
	struct hd_spec spec = {0};
	rig_well(&spec);
	(void)rig_plan(&rig, &spec, 1);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0, FLOW, 1), HYDRO_OK);
	rig_settle(&rig, 0);
	sample = rig_sample(&rig, 0, RIG_T0);
	cr_assert_eq(sample->rev, 1);
	cr_assert_eq(rig_value(sample, FLOW), 1.0);
	hd_spec_done(&spec);
	rig_close(&rig);
}

struct hold {
	bool release;
};

static void hold_job(void *arg, struct hd_worker *w)
{
	const struct hold *hold = arg;
	if (hold->release)
		hd_pipeline_release(w, 0);
	else
		hd_pipeline_hold(w, 0);
}

Test(intake, held_readings_are_on_disk_at_once_and_go_through_in_order_afterwards)
{
	struct rig rig;
	rig_open(&rig, 1, "well", NULL);
	struct hd_spec spec = {0};
	rig_well(&spec);
	(void)rig_plan(&rig, &spec, 1);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0, HD_METRIC_PULSES, 1000), HYDRO_OK);
	rig_on_worker(&rig, 0, hold_job, &(struct hold){false});
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0 + 3 * RIG_HOUR, HD_METRIC_PULSES, 4000), HYDRO_OK);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0 + 3 * RIG_HOUR, HD_METRIC_PULSES, 4000), HYDRO_OK);
	rig_settle(&rig, 0);
	cr_assert_eq(rig_count(&rig, 0, RIG_T0 + 3 * RIG_HOUR), 1u);
	cr_assert(rig_sample(&rig, 0, RIG_T0 + 3 * RIG_HOUR)->bits & HD_SAMPLE_HELD);
	cr_assert_eq(hd_pipeline_newest(rig.pipeline, 0), RIG_T0);
	hydro_raw gap[] = {{RIG_T0 + RIG_HOUR, 2000, HD_METRIC_PULSES, 0}, {RIG_T0 + 2 * RIG_HOUR, 3000, HD_METRIC_PULSES, 0}};
	cr_assert_eq(rig_feed(&rig, 0, gap, 2, HD_FEED_BACKFILL), HYDRO_OK);
	rig_on_worker(&rig, 0, hold_job, &(struct hold){true});
	rig_settle(&rig, 0);
	const struct hd_sample *sample = rig_sample(&rig, 0, RIG_T0 + 3 * RIG_HOUR);
	cr_assert_eq(sample->rev, 1);
	cr_assert_not(sample->bits & (HD_SAMPLE_HELD | HD_SAMPLE_LATE));
	cr_assert_float_eq(rig_value(sample, HD_METRIC_TOTAL), 1400.0, 1e-9);
	cr_assert_float_eq(rig_value(sample, FLOW), 100.0 * 1000 / 3600, 1e-9); /* from the reading an hour before, not from three */
	cr_assert_eq(hd_pipeline_newest(rig.pipeline, 0), RIG_T0 + 3 * RIG_HOUR);
	hd_spec_done(&spec);
	rig_close(&rig);
}

Test(intake, late_data_is_run_through_stateful_steps_again)
{
	struct rig rig;
	rig_open(&rig, 1, "well", NULL);
	struct hd_spec spec = {0};
	rig_well(&spec);
	(void)rig_plan(&rig, &spec, 1);
	for (int h = 0; h < 6; h++)
		if (h != 3)
			cr_assert_eq(rig_feed1(&rig, 0, RIG_T0 + h * RIG_HOUR, HD_METRIC_PULSES, 1000 + 100 * h), HYDRO_OK);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0 + 3 * RIG_HOUR, HD_METRIC_PULSES, 1250), HYDRO_OK);
	rig_settle(&rig, 0);
	const struct hd_sample *late = rig_sample(&rig, 0, RIG_T0 + 3 * RIG_HOUR), *next = rig_sample(&rig, 0, RIG_T0 + 4 * RIG_HOUR);
	cr_assert_float_eq(rig_value(late, HD_METRIC_TOTAL), 1125.0, 1e-9);
	cr_assert_float_eq(rig_value(late, FLOW), 5.0 * 1000 / 3600, 1e-9);
	cr_assert_eq(next->rev, 1);
	cr_assert_float_eq(rig_value(next, FLOW), 15.0 * 1000 / 3600, 1e-9);
	cr_assert_eq(rig_count(&rig, 0, RIG_T0 + 5 * RIG_HOUR), 1u); /* nothing changes for it */
	/* The live state goes on. */
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0 + 6 * RIG_HOUR, HD_METRIC_PULSES, 1600), HYDRO_OK);
	rig_settle(&rig, 0);
	cr_assert_float_eq(rig_value(rig_sample(&rig, 0, RIG_T0 + 6 * RIG_HOUR), FLOW), 10.0 * 1000 / 3600, 1e-9);
	hd_spec_done(&spec);
	rig_close(&rig);
}

Test(intake, a_revision_of_the_newest_does_not_count_twice)
{
	struct rig rig;
	rig_open(&rig, 1, "well", NULL);
	struct hd_spec spec = {0};
	rig_well(&spec);
	(void)rig_plan(&rig, &spec, 1);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0, HD_METRIC_PULSES, 1000), HYDRO_OK);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0 + RIG_HOUR, HD_METRIC_PULSES, 1100), HYDRO_OK);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0 + RIG_HOUR + 4000, LEVEL, 12), HYDRO_OK);
	rig_settle(&rig, 0);
	const struct hd_sample *sample = rig_sample(&rig, 0, RIG_T0 + RIG_HOUR);
	cr_assert_eq(sample->rev, 1);
	cr_assert_float_eq(rig_value(sample, FLOW), 10.0 * 1000 / 3600, 1e-9);
	cr_assert_float_eq(rig_value(sample, HD_METRIC_WATER_TABLE), 48.0, 1e-9);
	cr_assert(isnan(rig_value(sample, HD_METRIC_PULSES)));
	hd_spec_done(&spec);
	rig_close(&rig);
}
