/* SPDX-License-Identifier: MIT */
#include "stand.h"

#include "base/fs.h"
#include "pipeline/scripts_inner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Test(scripts, every_ready_pipeline_and_example_passes_its_check)
{
	static const struct {
		const char *dir;
		const char *names[8];
	} folders[] = {
		{HD_SOURCE_DIR "/scripts/lua/pipelines", {"well", "surface_meter", "open_channel", "pulses_only", "several_meters"}},
		{HD_SOURCE_DIR "/scripts/lua/examples", {"minimal", "lua_step", "calm_level"}},
	};
	struct rig rig;
	rig_open(&rig, 1, "", NULL);
	for (size_t f = 0; f < HD_ARRAY_LEN(folders); f++) {
		struct hd_scripts_config config = {.dir = folders[f].dir, .names = rig.names, .points = rig.points, .workers = 1};
		struct hd_scripts *scripts = NULL;
		struct hydro_error err = {0};
		cr_assert_eq(hd_scripts_open(&config, &scripts, &err), HYDRO_OK, "%s", err.text);
		for (const char *const *name = folders[f].names; *name; name++) {
			struct hd_buf json = {0};
			int rc = hd_scripts_check(scripts, *name, NULL, 0, &json, &err);
			cr_assert_eq(rc, HYDRO_OK, "%s: %s", *name, err.text);
			cr_assert(strstr(hd_buf_text(&json), "\"result\":\"valid\""));
			hd_buf_done(&json);
		}
		hd_scripts_close(&scripts);
	}
	rig_close(&rig);
}

Test(scripts, a_reload_switches_all_points_and_keeps_their_state)
{
	struct stand st;
	stand_open(&st, 50, FIRST, HD_SCRIPTS_EDIT_WRITE, false);
	const struct hd_sample *sample = feed(&st, 3, 100);
	cr_assert_float_eq(rig_value(sample, HD_METRIC_TOTAL), 100, 1e-9);
	sample = feed(&st, 3, 136);
	cr_assert_float_eq(rig_value(sample, HD_METRIC_FLOW), 10, 1e-9);
	cr_assert_not(rig_has_flag(sample, HD_METRIC_FLOW, HD_FLAG_OUT_OF_RANGE));
	char before[64];
	(void)snprintf(before, sizeof before, "%s", generation(&st, sample));

	stand_write(&st, "t", SECOND);
	cr_assert_eq(reload(&st, "t", NULL), HYDRO_OK, "%s", st.err.text);
	cr_assert(strstr(answer(&st), "\"result\":\"live\"") && strstr(answer(&st), "\"points\":50") && strstr(answer(&st), "\"lost\":0"), "%s", answer(&st));
	cr_assert(strstr(answer(&st), "\"version\":2"), "%s", answer(&st));
	sample = feed(&st, 3, 172);
	cr_assert_float_eq(rig_value(sample, HD_METRIC_FLOW), 10, 1e-9);
	cr_assert(rig_has_flag(sample, HD_METRIC_FLOW, HD_FLAG_OUT_OF_RANGE));
	cr_assert_str_neq(generation(&st, sample), before);

	cr_assert_eq(reload(&st, "t", NULL), HYDRO_OK);
	cr_assert(strstr(answer(&st), "\"result\":\"unchanged\""));
	cr_assert_eq(reload(&st, "none", NULL), HYDRO_E_NOTFOUND);
	cr_assert_eq(reload(&st, "../t", NULL), HYDRO_E_INVALID);
	stand_close(&st);
}

Test(scripts, a_lua_steps_state_goes_over_to_the_next_generation)
{
	struct stand st;
	stand_open(&st, 4, WITH_LUA, HD_SCRIPTS_EDIT_WRITE, false);
	for (int i = 1; i <= 4; i++) {
		if (i == 4) {
			stand_write(&st, "t", "-- another text\n" WITH_LUA);
			cr_assert_eq(reload(&st, "t", NULL), HYDRO_OK, "%s", st.err.text);
		}
		double n = rig_value(feed(&st, 1, i), HD_METRIC_VOLUME);
		cr_assert_float_eq(n, i, 0);
	}
	stand_close(&st);
}

static const struct {
	const char *text, *message;
	unsigned line;
} broken[] = {
	{HEAD "\nbuild = function (point) return { rang { 'flow', max = 1 } } end }", "unknown step or name 'rang'", 2},
	{"return pipeline {", "near <eof>", 1},
	{HEAD "build = function (point) local off = point.offset\nreturn { function (m) m.flow = off end } end }", "captures 'off'", 2},
	{HEAD "build = function (point)\nreturn { range { 'flow', max = 'x' } } end }", "max", 2},
	{HEAD "build = function (point)\nreturn { depth { from = 'level' } } end }", "sensor_depth", 2},
	{HEAD "build = function (point) return { " TOTAL " } end,\nselftest = function (t)\n t:equal(t:run { readings = { { pulses = 1 } } }[1].total, 2)\n end }",
	 "is 1.0, expected 2", 3},
	{HEAD "build = function (point) while true do end end }", "CPU time", 0},
	{HEAD "build = function (point)\nif point.name == 'p7' then error('not this one') end return {} end }", "point p7", 2},
	{"while true do end", "CPU time", 0},
	{"", "does not return a pipeline", 0},
};

Test(scripts, what_is_wrong_is_refused_with_its_place_and_what_ran_goes_on)
{
	struct stand st;
	stand_open(&st, 10, FIRST, HD_SCRIPTS_EDIT_WRITE, false);
	char live[64];
	(void)snprintf(live, sizeof live, "%s", generation(&st, feed(&st, 7, 1)));
	for (size_t i = 0; i < HD_ARRAY_LEN(broken); i++) {
		stand_write(&st, "t", broken[i].text);
		int rc = reload(&st, "t", NULL);
		cr_assert(rc == HYDRO_E_CONFIG || rc == HYDRO_E_LIMIT, "%s gave %d", broken[i].text, rc);
		cr_assert(strstr(answer(&st), "\"result\":\"refused\"") && strstr(answer(&st), broken[i].message), "%s", answer(&st));
		cr_assert(strstr(answer(&st), live), "%s", answer(&st));
		char line[32];
		(void)snprintf(line, sizeof line, "\"line\":%u,", broken[i].line);
		cr_assert(strstr(answer(&st), line), "%s", answer(&st));
		cr_assert_str_eq(generation(&st, feed(&st, 7, 2 + (double)i)), live);
	}
	cr_assert_eq(st.refused, HD_ARRAY_LEN(broken));
	stand_write(&st, "t", SECOND);
	cr_assert_eq(reload(&st, "t", NULL), HYDRO_OK);
	cr_assert_str_neq(generation(&st, feed(&st, 7, 20)), live);
	stand_close(&st);
}

Test(scripts, an_edit_names_the_hash_it_is_made_on_and_is_written_and_kept_as_a_version)
{
	struct stand st;
	stand_open(&st, 2, FIRST, HD_SCRIPTS_EDIT_WRITE, false);
	struct hd_buf text = {0};
	char hash[17];
	cr_assert_eq(hd_scripts_text(st.scripts, "t", 0, &text, hash, &st.err), HYDRO_OK);
	cr_assert_str_eq(hd_buf_text(&text), FIRST);
	struct hd_scripts_change change = {.author = "ana", .reason = "limit \"1\"", .if_hash = "0000000000000000"};
	cr_assert_eq(hd_scripts_put(st.scripts, "t", SECOND, strlen(SECOND), &change, &st.json, &st.err), HYDRO_E_STALE);
	change.if_hash = hash;
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_put(st.scripts, "t", SECOND, strlen(SECOND), &change, &st.json, &st.err), HYDRO_OK, "%s", st.err.text);
	cr_assert(strstr(answer(&st), "\"written\":true"));
	char path[128];
	(void)snprintf(path, sizeof path, "%s/t.lua", st.dir);
	hd_buf_clear(&text);
	cr_assert_eq(hd_fs_read(path, 65536, &text, &st.err), HYDRO_OK);
	cr_assert_str_eq(hd_buf_text(&text), SECOND);
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_versions(st.scripts, "t", &st.json, &st.err), HYDRO_OK);
	cr_assert_eq(strncmp(answer(&st), "[{\"version\":2,", 14), 0, "%s", answer(&st));
	cr_assert(strstr(answer(&st), "\"author\":\"ana\",\"reason\":\"limit \\\"1\\\"\""), "%s", answer(&st));

	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_rollback(st.scripts, "t", 0, &(struct hd_scripts_change){.author = "ana"}, &st.json, &st.err), HYDRO_OK, "%s", st.err.text);
	cr_assert(strstr(answer(&st), hash), "%s", answer(&st));
	hd_buf_clear(&text);
	cr_assert_eq(hd_fs_read(path, 65536, &text, &st.err), HYDRO_OK);
	cr_assert_str_eq(hd_buf_text(&text), FIRST);
	cr_assert_eq(hd_scripts_rollback(st.scripts, "t", 99, NULL, &st.json, &st.err), HYDRO_E_NOTFOUND);
	hd_buf_done(&text);
	stand_close(&st);
}

Test(scripts, an_edit_is_refused_where_the_folder_is_the_truth)
{
	struct stand st;
	stand_open(&st, 1, FIRST, HD_SCRIPTS_EDIT_REFUSE, false);
	cr_assert_eq(hd_scripts_put(st.scripts, "t", SECOND, strlen(SECOND), NULL, &st.json, &st.err), HYDRO_E_DENIED);
	cr_assert(strstr(answer(&st), "\"result\":\"refused\""));
	stand_close(&st);
}

Test(scripts, a_check_builds_all_and_changes_nothing)
{
	struct stand st;
	stand_open(&st, 20, FIRST, HD_SCRIPTS_EDIT_WRITE, false);
	char live[64];
	(void)snprintf(live, sizeof live, "%s", generation(&st, feed(&st, 0, 1)));
	cr_assert_eq(hd_scripts_check(st.scripts, "t", SECOND, strlen(SECOND), &st.json, &st.err), HYDRO_OK);
	cr_assert(strstr(answer(&st), "\"result\":\"valid\"") && strstr(answer(&st), "\"points\":20"), "%s", answer(&st));
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_check(st.scripts, "t", "x = = 1", 7, &st.json, &st.err), HYDRO_E_CONFIG);
	cr_assert(strstr(answer(&st), "\"diagnostics\":[{\"file\":"), "%s", answer(&st));
	cr_assert_str_eq(generation(&st, feed(&st, 0, 2)), live);
	stand_close(&st);
}

Test(scripts, a_canary_that_was_put_is_not_ended_by_the_file_it_wrote)
{
	struct stand st;
	stand_open(&st, 50, FIRST, HD_SCRIPTS_EDIT_WRITE, false);
	hd_buf_clear(&st.json);
	struct hd_scripts_change change = {.share = 20};
	cr_assert_eq(hd_scripts_put(st.scripts, "t", SECOND, strlen(SECOND), &change, &st.json, &st.err), HYDRO_OK, "%s", st.err.text);
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_reload(st.scripts, NULL, NULL, &st.json, &st.err), HYDRO_OK);
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_list(st.scripts, &st.json, &st.err), HYDRO_OK);
	cr_assert(strstr(answer(&st), "\"canary\":{"), "%s", answer(&st));
	stand_close(&st);
}

Test(scripts, a_canary_runs_on_its_share_and_the_next_reload_ends_it)
{
	struct stand st;
	stand_open(&st, 200, FIRST, HD_SCRIPTS_EDIT_WRITE, false);
	stand_write(&st, "t", SECOND);
	cr_assert_eq(reload(&st, "t", &(struct hd_scripts_change){.share = 20}), HYDRO_OK, "%s", st.err.text);
	cr_assert(strstr(answer(&st), "\"result\":\"canary\""));
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_list(st.scripts, &st.json, &st.err), HYDRO_OK);
	cr_assert(strstr(answer(&st), "\"canary\":{"), "%s", answer(&st));
	uint32_t canaries = 0, first = 0;
	for (uint32_t i = 0; i < 200; i++) {
		const struct hd_sample *sample = feed(&st, i, 1);
		first = i ? first : sample->generation;
		canaries += sample->generation != first;
	}
	canaries = HD_MIN(canaries, 200 - canaries);
	cr_assert(canaries > 15 && canaries < 70, "%u", canaries);
	cr_assert_eq(reload(&st, "t", NULL), HYDRO_OK);
	cr_assert(strstr(answer(&st), "\"result\":\"live\""));
	const struct hd_sample *a = feed(&st, 0, 2);
	uint32_t generation_of_all = a->generation;
	for (uint32_t i = 1; i < 200; i++)
		cr_assert_eq(feed(&st, i, 2)->generation, generation_of_all);
	stand_close(&st);
}

Test(scripts, a_changed_file_goes_live_by_itself)
{
	struct stand st;
	stand_open(&st, 3, FIRST, HD_SCRIPTS_EDIT_REFUSE, true);
	const char *texts[] = {SECOND, "return pipeline {", FIRST};
	for (size_t i = 0; i < HD_ARRAY_LEN(texts); i++) {
		(void)pthread_mutex_lock(&st.lock);
		uint32_t live = st.live, refused = st.refused;
		(void)pthread_mutex_unlock(&st.lock);
		stand_write(&st, "t", texts[i]);
		(void)pthread_mutex_lock(&st.lock);
		while (st.live == live && st.refused == refused)
			(void)pthread_cond_wait(&st.changed, &st.lock);
		cr_assert_eq(st.live, live + (i != 1));
		cr_assert_eq(st.refused, refused + (i == 1));
		(void)pthread_mutex_unlock(&st.lock);
	}
	stand_close(&st);
}

Test(scripts, a_points_changed_params_give_it_another_plan)
{
	struct stand st;
	stand_open(&st, 3, FIRST, HD_SCRIPTS_EDIT_REFUSE, false);
	cr_assert_eq(rig_value(feed(&st, 1, 10), HD_METRIC_TOTAL), 10);
	const struct hd_point *point = hd_points_get(st.rig.points, 1);
	struct hd_point_spec spec = {.index = 1, .id = point->id, .version = 2, .bits = HD_POINT_ACTIVE, .period_s = 3600, .join_ms = 30000, .name = "p1",
				     .provider = "twin", .pipeline = "t", .options = "{}", .params = "{\"litres_per_pulse\": 500}"};
	hd_point_unref(point);
	uint32_t index;
	cr_assert_eq(hd_points_put(st.rig.points, &spec, &index, &st.err), HYDRO_OK);
	/* The scripts' thread follows in its own time. */
	double total = 10, pulses = 10;
	for (int i = 0; i < 100000 && total == pulses; i++) {
		pulses += 1;
		total = rig_value(feed(&st, 1, pulses), HD_METRIC_TOTAL);
	}
	cr_assert_float_eq(total, pulses / 2, 1e-9);
	cr_assert_eq(rig_value(feed(&st, 2, 10), HD_METRIC_TOTAL), 10);
	stand_close(&st);
}

Test(scripts, an_endless_step_costs_its_own_points_alone)
{
	struct stand st;
	stand_open(&st, 4, HEAD "build = function (point) return { " TOTAL "function (m, state, point) if point.name == 'p2' then while true do pcall(error) end end m.volume = 1 end } end }",
		   HD_SCRIPTS_EDIT_REFUSE, false);
	for (int i = 1; i <= 4; i++) {
		const struct hd_sample *bad = feed(&st, 2, i);
		cr_assert(i > 3 || bad->bits & HD_SAMPLE_UNPROCESSED);
		cr_assert_eq(rig_value(feed(&st, 1, i), HD_METRIC_VOLUME), 1);
	}
	stand_close(&st);
}

/* ---- the past ---- */

static int replay(struct stand *st, uint32_t point, const char *text, int64_t from_ms, int64_t to_ms)
{
	hd_buf_clear(&st->json);
	return hd_scripts_replay(st->scripts, "t", text, text ? strlen(text) : 0, point, from_ms, to_ms, &st->json, &st->err);
}

/* Totals of 10, 12, 17 and 18 m3 after an hour each: flows of 2, 5 and 1 m3/h. Times of the readings in ts. */
static void feed_four(struct stand *st, int64_t ts[4])
{
	static const double pulses[] = {10, 12, 17, 18};
	for (int i = 0; i < 4; i++) {
		(void)feed(st, 1, pulses[i]);
		ts[i] = st->ts;
	}
}

Test(scripts, a_candidate_is_tried_on_the_past_and_nothing_moves)
{
	struct stand st;
	int64_t ts[4];
	stand_open(&st, 3, FIRST, HD_SCRIPTS_EDIT_REFUSE, false);
	feed_four(&st, ts);
	cr_assert_eq(replay(&st, 1, NULL, RIG_T0, st.ts + 1), HYDRO_OK, "%s", st.err.text);
	cr_assert_not_null(strstr(answer(&st), "\"changes\":[],\"more\":0,\"summary\":{\"readings\":4,\"changed\":0,"), "%s", answer(&st));
	cr_assert_eq(replay(&st, 1, SECOND, RIG_T0, st.ts + 1), HYDRO_OK, "%s", st.err.text);
	cr_assert_not_null(strstr(answer(&st), "\"summary\":{\"readings\":4,\"changed\":1,\"flags_added\":1,\"flags_removed\":0,\"unprocessed\":0,\"faults\":0"), "%s",
			   answer(&st));
	cr_assert_not_null(strstr(answer(&st), "\"flags_added\":[{\"flag\":\"out_of_range\",\"metric\":\"flow\"}],\"flags_removed\":[]"), "%s", answer(&st));
	cr_assert_not_null(strstr(answer(&st), "\"quality_was\":1,\"quality_would\":0.5"), "%s", answer(&st));
	/* The window alone counts, whatever is run up to it. */
	cr_assert_eq(replay(&st, 1, SECOND, ts[3], st.ts + 1), HYDRO_OK);
	cr_assert_not_null(strstr(answer(&st), "\"readings\":1,\"changed\":0,"), "%s", answer(&st));
	cr_assert_eq(replay(&st, 1, HEAD "build = function (point) return { counter { from = 'pulses', to = 'total', litres_per_pulse = 500 } } end }", RIG_T0, st.ts + 1),
		     HYDRO_OK, "%s", st.err.text);
	cr_assert_not_null(strstr(answer(&st), "\"total\":{\"changed\":4,\"largest\":{\"difference\":-9,\"was\":18,\"would\":9,"), "%s", answer(&st));
	cr_assert_not_null(strstr(answer(&st), "\"flow\":{\"was\":1.388"), "%s", answer(&st));
	cr_assert_eq(replay(&st, 1, HEAD "build = function (point) return { rnge { 'flow', max = 1 } } end }", RIG_T0, st.ts + 1), HYDRO_E_CONFIG);
	cr_assert_not_null(strstr(answer(&st), "\"diagnostics\":[{"), "%s", answer(&st));
	cr_assert_eq(replay(&st, 99, NULL, RIG_T0, st.ts + 1), HYDRO_E_NOTFOUND);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(rig_count(&st.rig, 1, ts[i]), 1);
	cr_assert_float_eq(rig_value(feed(&st, 1, 19), HD_METRIC_FLOW), 1 / 3.6, 1e-9);
	stand_close(&st);
}

Test(scripts, an_endless_candidate_costs_three_budgets_and_no_worker)
{
	struct stand st;
	stand_open(&st, 3, FIRST, HD_SCRIPTS_EDIT_REFUSE, false);
	for (int i = 1; i <= 10; i++)
		(void)feed(&st, 1, i);
	cr_assert_eq(replay(&st, 1, HEAD "build = function (point) return { " TOTAL "function (m, state, point) while true do pcall(error) end end } end }", RIG_T0, st.ts + 1),
		     HYDRO_OK, "%s", st.err.text);
	cr_assert_not_null(strstr(answer(&st), "\"readings\":10,"), "%s", answer(&st));
	cr_assert_not_null(strstr(answer(&st), "\"unprocessed\":3,\"faults\":3,\"first_fault\":\"line "), "%s", strstr(answer(&st), "summary"));
	struct hd_pipeline_status status;
	hd_pipeline_status(st.rig.pipeline, UINT32_MAX, &status);
	cr_assert_eq(status.overruns, 0);
	stand_close(&st);
}

Test(scripts, a_window_run_again_gives_revisions_and_overwrites_nothing)
{
	struct stand st;
	struct hd_reprocess_report report;
	int64_t ts[4];
	stand_open(&st, 3, FIRST, HD_SCRIPTS_EDIT_WRITE, false);
	feed_four(&st, ts);
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_put(st.scripts, "t", SECOND, strlen(SECOND), NULL, &st.json, &st.err), HYDRO_OK, "%s", st.err.text);
	cr_assert_eq(hd_pipeline_reprocess(st.rig.pipeline, 1, ts[3], INT64_MAX, &report, &st.err), HYDRO_OK, "%s", st.err.text);
	cr_assert_eq(report.readings, 1);
	cr_assert_eq(report.revisions, 0);
	cr_assert_eq(hd_pipeline_reprocess(st.rig.pipeline, 1, ts[0], ts[3], &report, &st.err), HYDRO_OK, "%s", st.err.text);
	cr_assert_eq(report.readings, 3);
	cr_assert_eq(report.revisions, 1);
	const struct hd_sample *revised = rig_sample(&st.rig, 1, ts[2]);
	cr_assert_eq(revised->rev, 1);
	cr_assert(rig_has_flag(revised, HD_METRIC_FLOW, HD_FLAG_OUT_OF_RANGE));
	cr_assert_eq(rig_value(revised, HD_METRIC_TOTAL), 17);
	cr_assert_eq(rig_count(&st.rig, 1, ts[2]), 2);
	cr_assert_eq(rig_count(&st.rig, 1, ts[1]), 1);
	cr_assert_eq(hd_pipeline_reprocess(st.rig.pipeline, 1, ts[0], INT64_MAX, &report, &st.err), HYDRO_OK);
	cr_assert_eq(report.revisions, 0, "what is right already is left alone");
	cr_assert_float_eq(rig_value(feed(&st, 1, 19), HD_METRIC_FLOW), 1 / 3.6, 1e-9);
	stand_close(&st);
}

Test(scripts, readings_that_a_broken_step_left_raw_are_processed_on_demand)
{
	struct stand st;
	struct hd_reprocess_report report;
	stand_open(&st, 3, HEAD "build = function (point) return { " TOTAL "function (m, state, point) error('broken') end } end }", HD_SCRIPTS_EDIT_WRITE, false);
	int64_t first = st.ts;
	for (int i = 1; i <= 3; i++)
		cr_assert(feed(&st, 1, i)->bits & HD_SAMPLE_UNPROCESSED);
	cr_assert_eq(hd_pipeline_reprocess(st.rig.pipeline, 1, first, INT64_MAX, &report, &st.err), HYDRO_OK, "%s", st.err.text);
	cr_assert_eq(report.unprocessed, 3);
	cr_assert_eq(report.revisions, 0);
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_put(st.scripts, "t", FIRST, strlen(FIRST), NULL, &st.json, &st.err), HYDRO_OK, "%s", st.err.text);
	cr_assert_eq(hd_pipeline_reprocess(st.rig.pipeline, 1, first, INT64_MAX, &report, &st.err), HYDRO_OK, "%s", st.err.text);
	cr_assert_eq(report.revisions, 3);
	const struct hd_sample *made = rig_sample(&st.rig, 1, st.ts);
	cr_assert_not(made->bits & HD_SAMPLE_UNPROCESSED);
	cr_assert_eq(rig_value(made, HD_METRIC_TOTAL), 3);
	stand_close(&st);
}

Test(scripts, a_script_is_shown_with_hash_and_version)
{
	struct stand st;
	char hash[17] = "", old[17] = "";
	stand_open(&st, 1, FIRST, HD_SCRIPTS_EDIT_WRITE, false);
	cr_assert_eq(hd_scripts_show(st.scripts, "t", 0, &st.json, old, &st.err), HYDRO_OK);
	cr_assert_not_null(strstr(answer(&st), "\"version\":1,\"source\":\"return pipeline"), "%s", answer(&st));
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_put(st.scripts, "t", SECOND, strlen(SECOND), NULL, &st.json, &st.err), HYDRO_OK);
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_show(st.scripts, "t", 1, &st.json, hash, &st.err), HYDRO_OK);
	cr_assert_str_eq(hash, old);
	cr_assert_null(strstr(answer(&st), "range"));
	cr_assert_eq(hd_scripts_show(st.scripts, "t", 9, &st.json, hash, &st.err), HYDRO_E_NOTFOUND);
	stand_close(&st);
}
