/* SPDX-License-Identifier: MIT */
/* What is found before a script lives, and that it is told at its place with what would be right. */
#include "stand.h"

#include "base/fs.h"
#include "lua/lua.h"

#include <stdio.h>
#include <string.h>

static int check(struct stand *st, const char *text)
{
	hd_buf_clear(&st->json);
	return hd_scripts_check(st->scripts, "t", text, strlen(text), &st->json, &st->err);
}

#define BODY(steps) HEAD "build = function (point) return {\n " steps " } end }"

static const struct {
	const char *text;
	unsigned line, column;
	const char *message, *hint;
} wrong[] = {
	/* names */
	{BODY("rang { 'flow', max = 1 }"), 2, 2, "unknown step or name 'rang'", "did you mean 'range'?"},
	{BODY("range { 'flow', maxx = 1 }"), 2, 18, "unknown option 'maxx' of step range", "did you mean 'max'?"},
	{BODY("convert { 'flow', from = 'm3/hour', to = 'l/s' }"), 2, 20, "unit", ""},
	{BODY("rate { from = 'Flow', to = 'x' }"), 2, 9, "Flow", ""},
	{HEAD "\n buidl = function (point) return {} end }", 0, 0, "unknown field 'buidl'", "did you mean 'build'?"},
	{"local water = use 'watr'\n" BODY(""), 1, 20, "unknown library 'watr'", ""},
	/* units between steps */
	{BODY("rate { from = 'flow', to = 'x' }"), 2, 9, "`flow` is in l/s, `from` must be in m3", ""},
	{BODY("counter { from = 'pulses', to = 'total' },\n depth { from = 'total', sensor_depth = 3 }"), 3, 10, "`total` is in m3, `from` must be in m", ""},
	{BODY("rate { from = 'total', to = 'speed' },\n rate { from = 'speed', to = 'x' }"), 3, 9, "`speed` is in l/s", ""},
	{BODY("balance { flow = 'level', total = 'total' }"), 2, 12, "`level` is in m, `flow` must be in l/s", ""},
	{BODY("sum { 'flow', 'level', to = 'x' }"), 2, 0, "`level` is in m, the others in l/s", ""},
	/* values */
	{BODY("range { 'flow', max = 'x' }"), 2, 18, "`max` must be a number", ""},
	{BODY("rate { from = 'total', to = 'flow', max_gap = 'soon' }"), 2, 38, "must be a duration such as \\\"2h\\\"", ""},
	{BODY("depth { from = 'level' }"), 2, 0, "`sensor_depth` is missing", ""},
	{BODY("5"), 0, 0, "step 1 that build returned is a number, not a step", ""},
	/* captures */
	{HEAD "build = function (point)\n local off = point.offset\n return { function (m) m.flow = off end } end }", 3, 33, "captures 'off', which is local to build", "top"},
	{HEAD "build = function (point)\n return { function (m) m.flow = point.offset end } end }", 2, 33, "captures 'point', which is local to build",
	 "take point as the third argument: function (m, state, point)"},
	/* the script's own test */
	{HEAD "build = function (point) return { range { 'flow', max = 3 } } end,\n selftest = function (t)\n  local r = t:run { readings = { { flow = 4 } } }\n  t:clean(r[1], 'flow')\n end }",
	 4, 0, "selftest: flow is flagged out_of_range", ""},
};

Test(check, each_mistake_is_told_with_line_column_and_what_would_be_right)
{
	struct stand st;
	stand_open(&st, 1, FIRST, HD_SCRIPTS_EDIT_WRITE, false);
	for (size_t i = 0; i < HD_ARRAY_LEN(wrong); i++) {
		char place[64];
		cr_assert_eq(check(&st, wrong[i].text), HYDRO_E_CONFIG, "%s", wrong[i].text);
		(void)snprintf(place, sizeof place, "\"line\":%u,", wrong[i].line);
		cr_assert(!wrong[i].line || strstr(answer(&st), place), "%s for %s: %s", place, wrong[i].text, answer(&st));
		(void)snprintf(place, sizeof place, "\"column\":%u,", wrong[i].column);
		cr_assert(!wrong[i].column || strstr(answer(&st), place), "%s for %s: %s", place, wrong[i].text, answer(&st));
		cr_assert_not_null(strstr(answer(&st), wrong[i].message), "%s: %s", wrong[i].message, answer(&st));
		cr_assert_not_null(strstr(answer(&st), wrong[i].hint), "%s: %s", wrong[i].hint, answer(&st));
	}
	stand_close(&st);
}

Test(check, a_script_without_samples_and_points_is_built_for_a_bare_point)
{
	static const char no_samples[] = "return pipeline { name = 'n', build = function (point) return {\n scale { 'flow', factor = 'x' } } end }";
	static const char wants[] = "return pipeline { name = 'n', build = function (point) return {\n depth { sensor_depth = point.sensor_depth } } end }";
	static const char good[] = "return pipeline { name = 'n', samples = { { sensor_depth = 9 } }, build = function (point) return {\n depth { sensor_depth = point.sensor_depth } } end }";
	struct stand st;
	stand_open(&st, 1, FIRST, HD_SCRIPTS_EDIT_WRITE, false);
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_check(st.scripts, "n", no_samples, strlen(no_samples), &st.json, &st.err), HYDRO_E_CONFIG);
	cr_assert_not_null(strstr(answer(&st), "`factor` must be a number"), "%s", answer(&st));
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_put(st.scripts, "n", no_samples, strlen(no_samples), NULL, &st.json, &st.err), HYDRO_E_CONFIG, "nor does it go live");
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_check(st.scripts, "n", wants, strlen(wants), &st.json, &st.err), HYDRO_E_CONFIG);
	cr_assert_not_null(strstr(answer(&st), "samples = { { … } }"), "%s", answer(&st));
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_check(st.scripts, "n", good, strlen(good), &st.json, &st.err), HYDRO_OK, "%s", st.err.text);
	stand_close(&st);
}

Test(check, what_a_library_makes_is_told_at_its_place_there)
{
	static const char lib[] = "local l = {}\n\nfunction l.judged(most)\n  return range { 'flow', max = most or 5 }\nend\nreturn l\n";
	static const char uses[] = "local l = use 'limits'\nreturn pipeline { name = 't', samples = { { most = 3 } }, build = function (point) return { l.judged(point.most) } end }";
	struct stand st;
	char path[128], text[sizeof uses + 64];
	stand_open(&st, 1, FIRST, HD_SCRIPTS_EDIT_WRITE, false);
	(void)snprintf(path, sizeof path, "%s/lib", st.dir);
	cr_assert_eq(hd_fs_mkdirs(path, 0700, &st.err), HYDRO_OK);
	(void)snprintf(path, sizeof path, "%s/lib/limits.lua", st.dir);
	cr_assert_eq(hd_fs_write_atomic(path, lib, sizeof lib - 1, 0600, &st.err), HYDRO_OK);
	/* The folder of libraries is looked for when the scripts are opened. */
	hd_scripts_stop(st.scripts);
	rig_stop(&st.rig);
	hd_scripts_close(&st.scripts);
	struct hd_scripts_config config = {.dir = st.dir, .names = st.rig.names, .points = st.rig.points, .workers = 2};
	cr_assert_eq(hd_scripts_open(&config, &st.scripts, &st.err), HYDRO_OK, "%s", st.err.text);
	st.rig.config.call_lua_arg = st.scripts;
	rig_restart(&st.rig);
	cr_assert_eq(hd_scripts_start(st.scripts, st.rig.pipeline, &st.err), HYDRO_OK);
	cr_assert_eq(check(&st, uses), HYDRO_OK, "%s", st.err.text);
	(void)snprintf(text, sizeof text, "%s", uses);
	memcpy(strstr(text, "point.most"), "point.name", 10);
	cr_assert_eq(check(&st, text), HYDRO_E_CONFIG);
	cr_assert_not_null(strstr(answer(&st), "{\"file\":\"lib/limits.lua\",\"line\":4,\"column\":26,\"message\":\"step 1 (range): `max` must be a number"), "%s", answer(&st));
	/* And so are a dry run's steps. */
	hydro_raw raw = {.ts_ms = RIG_T0, .metric = HD_METRIC_FLOW, .value = 7};
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_dry_run(st.scripts, "t", uses, strlen(uses), 0, &raw, 1, &st.json, &st.err), HYDRO_OK, "%s", st.err.text);
	cr_assert_not_null(strstr(answer(&st), "\"step\":\"range:flow\",\"line\":4,\"lib\":\"limits\""), "%s", answer(&st));
	stand_close(&st);
}

Test(check, one_reading_through_a_candidate_shows_each_step_and_moves_nothing)
{
	struct stand st;
	hydro_raw raw = {.metric = HD_METRIC_PULSES, .value = 36};
	stand_open(&st, 2, FIRST, HD_SCRIPTS_EDIT_REFUSE, false);
	(void)feed(&st, 0, 0);
	raw.ts_ms = st.ts + RIG_HOUR;
	for (int i = 0; i < 2; i++) {
		hd_buf_clear(&st.json);
		cr_assert_eq(hd_scripts_dry_run(st.scripts, "t", SECOND, strlen(SECOND), 0, &raw, 1, &st.json, &st.err), HYDRO_OK, "%s", st.err.text);
		cr_assert_not_null(strstr(answer(&st), "\"step\":\"rate:flow\",\"line\":1,\"lib\":null,\"sets\":{\"flow\":10}"), "%s", answer(&st));
		cr_assert_not_null(strstr(answer(&st), "\"flag\":\"out_of_range\",\"metric\":\"flow\""), "%s", answer(&st));
	}
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_dry_run(st.scripts, "t", NULL, 0, 0, &raw, 1, &st.json, &st.err), HYDRO_OK);
	cr_assert_null(strstr(answer(&st), "out_of_range"), "without a text it is what runs: %s", answer(&st));
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_dry_run(st.scripts, "t", WITH_LUA, strlen(WITH_LUA), 0, &raw, 1, &st.json, &st.err), HYDRO_OK, "%s", st.err.text);
	cr_assert_not_null(strstr(answer(&st), "\"step\":\"lua:n\",\"line\":1,\"lib\":null,\"sets\":{\"volume\":1}"), "%s", answer(&st));
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_dry_run(st.scripts, "t", "return 1", 8, 0, &raw, 1, &st.json, &st.err), HYDRO_E_CONFIG);
	cr_assert_not_null(strstr(answer(&st), "\"diagnostics\":[{"), "%s", answer(&st));
	cr_assert_eq(hd_scripts_dry_run(st.scripts, "none", NULL, 0, 0, &raw, 1, &st.json, &st.err), HYDRO_E_NOTFOUND);
	cr_assert_eq(rig_count(&st.rig, 0, raw.ts_ms), 0);
	stand_close(&st);
}

Test(check, a_step_that_is_switched_off_is_counted_until_another_plan_comes)
{
	struct stand st;
	struct hd_pipeline_status status;
	stand_open(&st, 3, HEAD "build = function (point) return { " TOTAL "function (m, state, point) if point.name == 'p2' then while true do end end end } end }",
		   HD_SCRIPTS_EDIT_WRITE, false);
	for (int i = 1; i <= 4; i++) {
		(void)feed(&st, 2, i);
		(void)feed(&st, 1, i);
	}
	hd_pipeline_status(st.rig.pipeline, UINT32_MAX, &status);
	cr_assert_eq(status.steps_off, 1);
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_put(st.scripts, "t", FIRST, strlen(FIRST), NULL, &st.json, &st.err), HYDRO_OK);
	hd_pipeline_status(st.rig.pipeline, UINT32_MAX, &status);
	cr_assert_eq(status.steps_off, 0);
	stand_close(&st);
}

Test(check, the_list_says_whether_the_folder_has_what_runs)
{
	struct stand st;
	stand_open(&st, 1, FIRST, HD_SCRIPTS_EDIT_REFUSE, false);
	cr_assert_eq(hd_scripts_list(st.scripts, &st.json, &st.err), HYDRO_OK);
	cr_assert_not_null(strstr(answer(&st), "\"folder\":\"same\""), "%s", answer(&st));
	stand_write(&st, "t", SECOND);
	cr_assert_eq(reload(&st, "t", NULL), HYDRO_OK, "%s", st.err.text);
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_rollback(st.scripts, "t", 0, NULL, &st.json, &st.err), HYDRO_OK, "%s", st.err.text);
	cr_assert_not_null(strstr(answer(&st), "\"written\":false"), "%s", answer(&st));
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_list(st.scripts, &st.json, &st.err), HYDRO_OK);
	cr_assert_not_null(strstr(answer(&st), "\"folder\":\"differs\""), "%s", answer(&st));
	stand_write(&st, "t", FIRST);
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_list(st.scripts, &st.json, &st.err), HYDRO_OK);
	cr_assert_not_null(strstr(answer(&st), "\"folder\":\"same\""), "%s", answer(&st));
	stand_close(&st);
}

Test(check, what_is_only_tried_makes_no_names_that_are_kept_for_ever)
{
	struct stand st;
	hydro_raw raw = {.ts_ms = RIG_T0 + 9 * RIG_HOUR, .metric = HD_METRIC_PULSES, .value = 36};
	stand_open(&st, 3, FIRST, HD_SCRIPTS_EDIT_WRITE, false);
	(void)feed(&st, 0, 1);
	cr_assert_eq(check(&st, "-- 0\n" SECOND), HYDRO_OK);
	uint32_t rules = hd_names_count(st.rig.names, HD_NAME_RULE), generations = hd_names_count(st.rig.names, HD_NAME_GENERATION);
	for (int i = 1; i <= 10; i++) {
		char text[sizeof SECOND + 64];
		int len = snprintf(text, sizeof text, "-- %d\n%s", i, SECOND);
		cr_assert_eq(check(&st, text), HYDRO_OK, "%s", st.err.text);
		hd_buf_clear(&st.json);
		cr_assert_eq(hd_scripts_dry_run(st.scripts, "t", text, (size_t)len, 0, &raw, 1, &st.json, &st.err), HYDRO_OK);
		hd_buf_clear(&st.json);
		cr_assert_eq(hd_scripts_replay(st.scripts, "t", text, (size_t)len, 0, RIG_T0, RIG_T0 + 9 * RIG_HOUR, &st.json, &st.err), HYDRO_OK);
	}
	cr_assert_eq(hd_names_count(st.rig.names, HD_NAME_RULE), rules);
	cr_assert_eq(hd_names_count(st.rig.names, HD_NAME_GENERATION), generations);
	/* What lives has its own. */
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_put(st.scripts, "t", SECOND, strlen(SECOND), NULL, &st.json, &st.err), HYDRO_OK);
	cr_assert_eq(hd_names_count(st.rig.names, HD_NAME_GENERATION), generations + 1);
	cr_assert_eq(strncmp(generation(&st, feed(&st, 0, 2)), "t@", 2), 0);
	stand_close(&st);
}

/* The line that says what a step takes, before "function name(o) end"; NULL when the step is not there. */
static const char *annotation(const char *text, const char *step, size_t *ret_len)
{
	char head[64];
	(void)snprintf(head, sizeof head, "\nfunction %s(", step);
	const char *at = strstr(text, head);
	if (!at)
		return NULL;
	const char *begin = at;
	while (begin > text && (begin[0] != '\n' || strncmp(begin + 1, "---@param", 9) != 0))
		begin--;
	*ret_len = strcspn(begin + 1, "\n");
	return begin + 1;
}

Test(check, editors_are_told_of_every_step_and_option)
{
	struct hydro_error err = {0};
	struct hd_buf text = {0};
	uint32_t count;
	const struct hd_lua_step_doc *steps = hd_steps_lua_docs(&count);
	cr_assert_eq(hd_fs_read(HD_SOURCE_DIR "/scripts/lua/hydro.d.lua", 1u << 20, &text, &err), HYDRO_OK, "%s", err.text);
	cr_assert_gt(count, 15);
	for (uint32_t i = 0; i < count; i++) {
		char options[1024], line[2048];
		size_t len = 0;
		const char *at = annotation(hd_buf_text(&text), steps[i].name, &len);
		cr_assert_not_null(at, "hydro.d.lua lacks the step %s", steps[i].name);
		(void)snprintf(line, sizeof line, "%.*s", (int)len, at);
		(void)snprintf(options, sizeof options, "%s", steps[i].options);
		for (char *save = NULL, *word = strtok_r(options, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
			char optional[72], required[72];
			(void)snprintf(optional, sizeof optional, " %s: ", word);
			(void)snprintf(required, sizeof required, " %s?: ", word);
			cr_assert(strstr(line, optional) || strstr(line, required), "hydro.d.lua lacks the option %s of %s: %s", word, steps[i].name, line);
		}
	}
	hd_buf_done(&text);
}
