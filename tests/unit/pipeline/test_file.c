/* SPDX-License-Identifier: MIT */
/* The `file` step: which measurements may be filed, and what a plan says of them. */
#include "rig.h"

#include <string.h>

static void plan_of(struct rig *rig, struct hd_spec *spec, double min_quality, bool with_file)
{
	rig_step(spec, "range", "sn", "of", "flow", "max", 100.0);
	if (with_file)
		rig_step(spec, "file", "sn", "regulator", "dga", "min_quality", min_quality);
	(void)rig_plan(rig, spec, 1);
}

static bool fileable(struct rig *rig, int64_t ts_ms)
{
	const struct hd_sample *sample = rig_sample(rig, 0, ts_ms);
	cr_assert_not_null(sample);
	return sample->bits & HD_SAMPLE_FILE;
}

Test(file, only_what_passed_the_step_is_fileable_and_odd_values_are)
{
	struct rig rig;
	rig_open(&rig, 1, "well", NULL);
	struct hd_spec spec = {0};
	plan_of(&rig, &spec, 0, true);
	(void)rig_feed1(&rig, 0, RIG_T0, HD_METRIC_FLOW, 10);
	(void)rig_feed1(&rig, 0, RIG_T0 + RIG_HOUR, HD_METRIC_FLOW, 500);        /* flagged, filed as read */
	(void)rig_feed1(&rig, 0, RIG_T0 + 2 * RIG_HOUR, HD_METRIC_BATTERY, 3.6); /* nothing in it to file */
	rig_settle(&rig, 0);
	cr_assert(fileable(&rig, RIG_T0));
	cr_assert(rig_has_flag(rig_sample(&rig, 0, RIG_T0 + RIG_HOUR), HD_METRIC_FLOW, HD_FLAG_OUT_OF_RANGE));
	cr_assert(fileable(&rig, RIG_T0 + RIG_HOUR));
	cr_assert_not(fileable(&rig, RIG_T0 + 2 * RIG_HOUR));
	hd_spec_done(&spec);
	rig_close(&rig);
}

Test(file, a_pipeline_without_the_step_files_nothing)
{
	struct rig rig;
	rig_open(&rig, 1, "well", NULL);
	struct hd_spec spec = {0};
	plan_of(&rig, &spec, 0, false);
	(void)rig_feed1(&rig, 0, RIG_T0, HD_METRIC_FLOW, 10);
	rig_settle(&rig, 0);
	cr_assert_not(fileable(&rig, RIG_T0));
	struct hd_file_spec file;
	struct hydro_error err = {.struct_size = sizeof err};
	cr_assert_eq(hd_pipeline_file_spec(rig.pipeline, 0, &file, &err), HYDRO_E_NOTFOUND);
	cr_assert_not_null(strstr(err.text, "no `file` step"));
	hd_spec_done(&spec);
	rig_close(&rig);
}

Test(file, what_is_worse_than_the_least_quality_is_not_fileable)
{
	struct rig rig;
	rig_open(&rig, 1, "well", NULL);
	struct hd_spec spec = {0};
	plan_of(&rig, &spec, 0.8, true);
	(void)rig_feed1(&rig, 0, RIG_T0, HD_METRIC_FLOW, 10);
	(void)rig_feed1(&rig, 0, RIG_T0 + RIG_HOUR, HD_METRIC_FLOW, 500);
	hydro_raw raws[] = {{RIG_T0 + 2 * RIG_HOUR, 10, HD_METRIC_FLOW, 0}, {RIG_T0 + 2 * RIG_HOUR, 7, HD_METRIC_TOTAL, 0}};
	(void)rig_feed(&rig, 0, raws, 2, HD_FEED_LIVE);
	rig_settle(&rig, 0);
	cr_assert(fileable(&rig, RIG_T0));
	cr_assert_not(fileable(&rig, RIG_T0 + RIG_HOUR));
	cr_assert(fileable(&rig, RIG_T0 + 2 * RIG_HOUR));
	struct hd_file_spec file;
	cr_assert_eq(hd_pipeline_file_spec(rig.pipeline, 0, &file, NULL), HYDRO_OK);
	cr_assert_str_eq(file.regulator, "dga");
	cr_assert_eq(file.level, HD_METRIC_WATER_TABLE);
	cr_assert_eq(file.min_quality, 0.8f);
	hd_spec_done(&spec);
	rig_close(&rig);
}

Test(file, a_reading_with_a_clock_ahead_is_never_fileable)
{
	struct rig rig;
	rig_open(&rig, 1, "well", NULL);
	struct hd_spec spec = {0};
	plan_of(&rig, &spec, 0, true);
	int64_t ahead = hd_clock_wall_ms() + RIG_HOUR;
	(void)rig_feed1(&rig, 0, ahead, HD_METRIC_FLOW, 10);
	rig_settle(&rig, 0);
	cr_assert(rig_sample(&rig, 0, ahead)->bits & HD_SAMPLE_CLOCK);
	cr_assert_not(fileable(&rig, ahead));
	hd_spec_done(&spec);
	rig_close(&rig);
}

Test(file, late_data_becomes_fileable_once_it_ran_in_order)
{
	struct rig rig;
	rig_open(&rig, 1, "well", NULL);
	struct hd_spec spec = {0};
	rig_step(&spec, "counter", "sn", "from", "pulses", "litres_per_pulse", 100.0);
	rig_step(&spec, "file", "s", "regulator", "dga");
	(void)rig_plan(&rig, &spec, 1);
	for (int i = 0; i < 4; i++)
		if (i != 2)
			(void)rig_feed1(&rig, 0, RIG_T0 + i * RIG_HOUR, HD_METRIC_PULSES, 1000 + 10 * i);
	rig_settle(&rig, 0);
	(void)rig_feed1(&rig, 0, RIG_T0 + 2 * RIG_HOUR, HD_METRIC_PULSES, 1020);
	rig_settle(&rig, 0);
	/* First as it came, without the total that only order can give; then as it ran. */
	cr_assert_eq(rig_count(&rig, 0, RIG_T0 + 2 * RIG_HOUR), 2u);
	bool first = true;
	for (uint32_t i = 0; i < rig.stored->count; i++) {
		const struct hd_sample *sample = &rig.stored->samples[i];
		if (sample->ts_ms != RIG_T0 + 2 * RIG_HOUR)
			continue;
		cr_assert_eq((sample->bits & HD_SAMPLE_FILE) != 0, !first);
		first = false;
	}
	cr_assert_eq(rig_value(rig_sample(&rig, 0, RIG_T0 + 2 * RIG_HOUR), HD_METRIC_TOTAL), 102.0);
	hd_spec_done(&spec);
	rig_close(&rig);
}

Test(file, a_reprocess_with_the_step_makes_old_measurements_fileable)
{
	struct rig rig;
	rig_open(&rig, 1, "well", NULL);
	struct hd_spec before = {0}, after = {0};
	plan_of(&rig, &before, 0, false);
	(void)rig_feed1(&rig, 0, RIG_T0, HD_METRIC_FLOW, 10);
	rig_settle(&rig, 0);
	cr_assert_not(fileable(&rig, RIG_T0));
	plan_of(&rig, &after, 0, true);
	struct hd_reprocess_report report = {0};
	cr_assert_eq(hd_pipeline_reprocess(rig.pipeline, 0, RIG_T0, RIG_T0 + RIG_HOUR, &report, NULL), HYDRO_OK);
	cr_assert_eq(report.revisions, 1u);
	cr_assert(fileable(&rig, RIG_T0));
	cr_assert_eq(hd_pipeline_reprocess(rig.pipeline, 0, RIG_T0, RIG_T0 + RIG_HOUR, &report, NULL), HYDRO_OK);
	cr_assert_eq(report.revisions, 0u, "the second time nothing changes");
	hd_spec_done(&before);
	hd_spec_done(&after);
	rig_close(&rig);
}
