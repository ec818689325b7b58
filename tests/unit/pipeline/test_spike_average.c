/* SPDX-License-Identifier: MIT */
/* A step that judges a reading when the next one is there; that its verdicts are QARTOD's is in test_qartod.c. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEVEL HD_METRIC_LEVEL

static void open_rig(struct rig *rig, const char *state_dir)
{
	struct hd_spec spec = {0};
	rig_open(rig, 1, "well", state_dir);
	rig_step(&spec, "spike_average", "snn", "of", "level", "suspect", 5.0, "fail", 50.0);
	(void)rig_plan(rig, &spec, 1);
	hd_spec_done(&spec);
}

static int64_t ts(int i)
{
	return RIG_T0 + i * RIG_MIN;
}

static void feed(struct rig *rig, int i, double value)
{
	cr_assert_eq(rig_feed1(rig, 0, ts(i), LEVEL, value), HYDRO_OK);
	rig_settle(rig, 0);
}

static bool spike(struct rig *rig, int i)
{
	return rig_has_flag(rig_sample(rig, 0, ts(i)), LEVEL, HD_FLAG_SPIKE);
}

Test(spike_average, only_a_judgement_other_than_good_costs_a_revision)
{
	struct rig rig;
	open_rig(&rig, NULL);
	const double values[] = {10, 11, 30, 12, 13};
	for (int i = 0; i < 5; i++)
		feed(&rig, i, values[i]);
	cr_assert(rig_has_flag(rig_sample(&rig, 0, ts(0)), LEVEL, HD_FLAG_UNJUDGED), "the first has none before it");
	cr_assert(spike(&rig, 1));
	cr_assert(spike(&rig, 2));
	cr_assert(spike(&rig, 3));
	cr_assert_eq(rig_sample(&rig, 0, ts(4))->flag_count, 0, "the newest is not judged yet");
	const uint32_t revisions[] = {1, 2, 2, 2, 1};
	for (int i = 0; i < 5; i++)
		cr_assert_eq(rig_count(&rig, 0, ts(i)), revisions[i], "reading %d", i);
	cr_assert_eq(rig_value(rig_sample(&rig, 0, ts(2)), LEVEL), 30.0);
	rig_close(&rig);
}

Test(spike_average, a_revised_reading_judges_the_one_before_it_again)
{
	struct rig rig;
	open_rig(&rig, NULL);
	feed(&rig, 0, 10);
	feed(&rig, 1, 10);
	feed(&rig, 2, 40);
	cr_assert(spike(&rig, 1), "10 between 10 and 40");
	feed(&rig, 2, 10);
	cr_assert_not(spike(&rig, 1));
	cr_assert_eq(rig_sample(&rig, 0, ts(1))->flag_count, 0);
	rig_close(&rig);
}

Test(spike_average, a_late_reading_changes_the_judgement_of_both_its_neighbours)
{
	struct rig rig;
	open_rig(&rig, NULL);
	const int at[] = {0, 1, 3, 4};
	for (int i = 0; i < 4; i++)
		feed(&rig, at[i], 10);
	for (int i = 1; i < 3; i++)
		cr_assert_not(spike(&rig, at[i]));
	feed(&rig, 2, 40);
	cr_assert(spike(&rig, 1));
	cr_assert(spike(&rig, 2));
	cr_assert(spike(&rig, 3));
	cr_assert_not(spike(&rig, 4));
	rig_close(&rig);
}

/* More readings than one run takes, with spikes around each border. */
Test(spike_average, the_border_of_a_run_is_no_border_of_judgement)
{
	enum { N = 400 };
	static const int at[] = {126, 127, 128, 129, 255, 256, 257};
	struct rig rig;
	for (size_t k = 0; k < HD_ARRAY_LEN(at); k++) {
		hydro_raw raws[N];
		open_rig(&rig, NULL);
		for (int i = 0; i < N; i++)
			raws[i] = (hydro_raw){ts(i + 1), i + 1 == at[k] ? 500 : 10, LEVEL, 0};
		cr_assert_eq(rig_feed(&rig, 0, raws, N, HD_FEED_LIVE), HYDRO_OK);
		rig_settle(&rig, 0);
		for (int late = 0; late < 2; late++) {
			for (int i = 2; i < N; i++)
				cr_assert_eq(spike(&rig, i), abs(i - at[k]) <= 1, "spike at %d, reading %d, %s", at[k], i, late ? "late" : "live");
			cr_assert_eq(rig_sample(&rig, 0, ts(at[k]))->values[0].quality, HD_QUALITY_BAD);
			if (!late) /* all of it is run again, one reading further on */
				feed(&rig, 0, 10);
		}
		rig_close(&rig);
	}
}

Test(spike_average, a_judgement_that_the_end_came_before_is_made_at_the_start)
{
	struct rig rig;
	char dir[] = "/tmp/hydro-average-XXXXXX", command[64];
	cr_assert_not_null(mkdtemp(dir));
	open_rig(&rig, dir);
	cr_assert_eq(hd_pipeline_recover(rig.pipeline, NULL, NULL), HYDRO_OK);
	feed(&rig, 0, 10);
	feed(&rig, 1, 40);
	rig_stop(&rig);
	/* As if the daemon had been killed with the third on disk and nothing more. */
	struct hd_value raw = {10, LEVEL, 1};
	struct hd_sample third = rig.stored->samples[rig.stored->count - 1];
	third.ts_ms = ts(2);
	third.raws = third.values = &raw;
	third.raw_count = third.value_count = 1;
	third.flag_count = 0;
	cr_assert_not_null(hd_batch_add(rig.stored, &third));
	rig_restart(&rig);
	struct hd_spec spec = {0};
	rig_step(&spec, "spike_average", "snn", "of", "level", "suspect", 5.0, "fail", 50.0);
	(void)rig_plan(&rig, &spec, 1);
	cr_assert_eq(hd_pipeline_recover(rig.pipeline, NULL, NULL), HYDRO_OK);
	rig_settle(&rig, 0);
	cr_assert(spike(&rig, 1));
	hd_spec_done(&spec);
	rig_close(&rig);
	(void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
	cr_assert_eq(system(command), 0);
}

Test(spike_average, a_reprocess_judges_the_last_of_its_window_by_the_reading_behind_it)
{
	struct rig rig;
	open_rig(&rig, NULL);
	const double values[] = {10, 10, 10, 40, 10, 10};
	for (int i = 0; i < 6; i++)
		feed(&rig, i, values[i]);
	uint32_t before = rig.stored->count;
	struct hd_reprocess_report report;
	cr_assert_eq(hd_pipeline_reprocess(rig.pipeline, 0, ts(1), ts(4), &report, NULL), HYDRO_OK);
	cr_assert_eq(report.readings, 3u);
	cr_assert_eq(report.revisions, 0u, "nothing comes out differently");
	cr_assert_eq(rig.stored->count, before);
	rig_close(&rig);
}
