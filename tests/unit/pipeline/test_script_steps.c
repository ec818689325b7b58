/* SPDX-License-Identifier: MIT */
/* Steps as scripts write them: dated rating tables, flags of a script's own. */
#include "stand.h"

#include "model/flags.h"

#include <stdio.h>
#include <string.h>

#define CURVE(tables) HEAD "build = function (point) return { curve { from = 'stage', to = 'flow', " tables " } } end }"

static void refused(const char *text, const char *why)
{
	struct stand st;
	stand_open(&st, 1, FIRST, HD_SCRIPTS_EDIT_WRITE, false);
	hd_buf_clear(&st.json);
	cr_assert_neq(hd_scripts_check(st.scripts, "t", text, strlen(text), &st.json, &st.err), HYDRO_OK, "%s", text);
	cr_assert_not_null(strstr(answer(&st), why), "%s lacks %s", answer(&st), why);
	stand_close(&st);
}

static const struct hd_sample *stage(struct stand *st, int64_t ts_ms, double value)
{
	cr_assert_eq(rig_feed1(&st->rig, 0, ts_ms, HD_METRIC_STAGE, value), HYDRO_OK);
	rig_settle(&st->rig, 0);
	return rig_sample(&st->rig, 0, ts_ms);
}

Test(dated_curve, the_table_whose_date_has_come_holds)
{
	struct stand st;
	stand_open(&st, 1,
		   CURVE("tables = { { from = '2026-01-01', table = { {0, 0}, {10, 100} } }, { from = '2026-01-02T00:00:00Z', table = { {0, 10}, {5, 20}, {10, 60} } } }"),
		   HD_SCRIPTS_EDIT_WRITE, false);
	int64_t first = RIG_T0 + 4 * RIG_HOUR, second = RIG_T0 + 24 * RIG_HOUR;
	cr_assert_eq(stage(&st, first - 1, 5)->value_count, 1, "no table, no flow");
	cr_assert_eq(rig_value(stage(&st, first, 5), HD_METRIC_FLOW), 50.0);
	cr_assert_eq(rig_value(stage(&st, second - 1, 5), HD_METRIC_FLOW), 50.0);
	cr_assert_eq(rig_value(stage(&st, second, 5), HD_METRIC_FLOW), 20.0);
	const struct hd_sample *beyond = stage(&st, second + 1000, 12);
	cr_assert_eq(rig_value(beyond, HD_METRIC_FLOW), 76.0, "the last segment goes on");
	cr_assert(rig_has_flag(beyond, HD_METRIC_FLOW, HD_FLAG_EXTRAPOLATED));
	/* A reading of yesterday that comes today is of yesterday's table. */
	cr_assert_eq(rig_value(stage(&st, first + 1000, 1), HD_METRIC_FLOW), 10.0);
	stand_close(&st);
}

Test(dated_curve, what_is_wrong_with_it_is_told)
{
	refused(CURVE(""), "a curve has a `table`, or `tables`");
	refused(CURVE("table = { {0, 0}, {1, 1} }, tables = { { from = '2026-01-01', table = { {0, 0}, {1, 1} } } }"), "a curve has a `table`, or `tables`");
	refused(CURVE("tables = { { from = 'May', table = { {0, 0}, {1, 1} } } }"), "`from` is a date");
	refused(CURVE("tables = { { from = '2026-02-30', table = { {0, 0}, {1, 1} } } }"), "`from` is a date");
	refused(CURVE("tables = { { from = '2026-01-01', tabel = { {0, 0}, {1, 1} } } }"), "is wanted");
	refused(CURVE("tables = { { from = '2026-01-01', table = { {0, 0} } } }"), "two or more pairs");
	refused(CURVE("tables = { { from = '2026-01-01', table = { {0, 0}, {0, 1} } } }"), "must rise: pair 2");
	refused(CURVE("tables = { { from = '2026-01-02', table = { {0, 0}, {1, 1} } }, { from = '2026-01-01', table = { {0, 0}, {1, 1} } } }"), "dates of the tables must rise");
	refused(CURVE("tables = { { from = '2026-01-02', table = { {0, 0}, {1, 1} } }, 7 }"), "table 2");
	refused(CURVE("tables = { {0, 0}, {1, 1} }"), "`tables` is {");
}

#define OWN(name) HEAD "build = function (point) return { function (m) if m.pulses > 10 then m:flag('pulses', '" name "') end end } end }"

Test(own_flags, a_name_outside_the_scheme_is_kept_with_its_rule)
{
	struct stand st;
	stand_open(&st, 1, OWN("leak_suspected"), HD_SCRIPTS_EDIT_WRITE, false);
	cr_assert_eq(feed(&st, 0, 5)->flag_count, 0);
	const struct hd_sample *sample = feed(&st, 0, 20);
	cr_assert_eq(sample->flag_count, 1);
	cr_assert_eq(sample->flags[0].flag, HD_FLAG_SCRIPT);
	cr_assert_str_eq(hd_flag_text(st.rig.names, &sample->flags[0]), "leak_suspected");
	const char *rule = hd_names_get(st.rig.names, HD_NAME_RULE, sample->flags[0].rule);
	char want[128];
	(void)snprintf(want, sizeof want, "%s/lua:1!leak_suspected", generation(&st, sample));
	cr_assert_str_eq(rule, want);
	cr_assert_eq(sample->values[0].quality, 0.5f);
	/* One of the scheme is that. */
	stand_close(&st);
	stand_open(&st, 1, OWN("spike"), HD_SCRIPTS_EDIT_WRITE, false);
	sample = feed(&st, 0, 20);
	cr_assert_str_eq(hd_flag_text(st.rig.names, &sample->flags[0]), "spike");
	cr_assert_eq(sample->flags[0].flag, HD_FLAG_SPIKE);
	stand_close(&st);
}

Test(own_flags, a_name_that_is_none_ends_the_step_with_a_clear_word)
{
	struct stand st;
	stand_open(&st, 1, OWN("Leak!"), HD_SCRIPTS_EDIT_WRITE, false);
	const struct hd_sample *sample = feed(&st, 0, 20);
	cr_assert(sample->bits & HD_SAMPLE_UNPROCESSED);
	cr_assert_str_eq(st.rig.last_event, "step_failed");
	stand_close(&st);
}

Test(own_flags, a_reprocess_sees_that_another_own_flag_is_another)
{
	struct stand st;
	stand_open(&st, 1, OWN("leak"), HD_SCRIPTS_EDIT_WRITE, false);
	int64_t ts = feed(&st, 0, 20)->ts_ms;
	struct hd_reprocess_report report;
	cr_assert_eq(hd_pipeline_reprocess(st.rig.pipeline, 0, ts, ts + 1, &report, NULL), HYDRO_OK);
	cr_assert_eq(report.revisions, 0u);
	stand_write(&st, "t", OWN("theft"));
	cr_assert_eq(reload(&st, "t", NULL), HYDRO_OK, "%s", answer(&st));
	cr_assert_eq(hd_pipeline_reprocess(st.rig.pipeline, 0, ts, ts + 1, &report, NULL), HYDRO_OK);
	cr_assert_eq(report.revisions, 1u);
	cr_assert_str_eq(hd_flag_text(st.rig.names, &rig_sample(&st.rig, 0, ts)->flags[0]), "theft");
	stand_close(&st);
}
