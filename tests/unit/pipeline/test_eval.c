/* SPDX-License-Identifier: MIT */
/* Lua over a point's recent measurements, as a person at a prompt would type it. */
#include "stand.h"

#include <stdio.h>
#include <string.h>

static int eval_with(struct stand *st, const char *code, const char *prelude, uint32_t limit)
{
	hd_buf_clear(&st->json);
	struct hd_scripts_eval what = {.code = code, .code_len = strlen(code), .prelude = prelude, .limit = limit};
	return hd_scripts_eval(st->scripts, 1, &what, &st->json, &st->err);
}

static int eval(struct stand *st, const char *code)
{
	return eval_with(st, code, NULL, 10);
}

/* Totals of 10, 12, 17 and 18 m3 after an hour each: flows of 2, 5 and 1 m3/h. */
static void open_fed(struct stand *st)
{
	static const double pulses[] = {10, 12, 17, 18};
	stand_open(st, 3, FIRST, HD_SCRIPTS_EDIT_WRITE, false);
	for (int i = 0; i < 4; i++)
		(void)feed(st, 1, pulses[i]);
}

Test(eval, an_expression_gives_its_value_for_each_reading)
{
	struct stand st;
	open_fed(&st);
	static const struct {
		const char *code, *expected;
	} lines[] = {
		{"total * 2", "\"value\":20,\"sets\":{},\"flags\":[]},"},
		{"m.total + m:raw('pulses')", "\"value\":36,"},
		{"pulses", "\"value\":18,"},
		{"flow and flow > 1", "\"value\":true,"},
		{"flow", "\"value\":null,\"sets\":{},"},
		{"level", "\"value\":null,"},
		{"('%.1f'):format(total)", "\"value\":\"18.0\","},
		{"{ total, point.name }", "\"value\":[18,\"p1\"],"},
		{"math.floor(total / 5)", "\"value\":3,"},
		{"0/0", "nan\","},
		{"print", "unknown step or name 'print'"},
	};
	for (size_t i = 0; i < HD_ARRAY_LEN(lines); i++) {
		cr_assert_eq(eval(&st, lines[i].code), HYDRO_OK, "%s: %s", lines[i].code, st.err.text);
		cr_assert_not_null(strstr(answer(&st), lines[i].expected), "%s: %s", lines[i].code, answer(&st));
		cr_assert_not_null(strstr(answer(&st), "\"kind\":\"expression\""), "%s", answer(&st));
	}
	cr_assert_eq(eval_with(&st, "total", NULL, 2), HYDRO_OK);
	cr_assert_null(strstr(answer(&st), "\"value\":12"), "the newest two: %s", answer(&st));
	cr_assert_not_null(strstr(answer(&st), "\"value\":17"), "%s", answer(&st));
	stand_close(&st);
}

Test(eval, statements_keep_state_from_one_reading_to_the_next)
{
	struct stand st;
	open_fed(&st);
	cr_assert_eq(eval(&st, "state.sum = (state.sum or 0) + total volume = state.sum"), HYDRO_OK, "%s", st.err.text);
	cr_assert_not_null(strstr(answer(&st), "\"kind\":\"statements\""), "%s", answer(&st));
	cr_assert_not_null(strstr(answer(&st), "\"value\":null,\"sets\":{\"volume\":57},\"flags\":[]"), "%s", answer(&st));
	cr_assert_eq(eval(&st, "if total > 15 then m:flag('total', 'jump') end"), HYDRO_OK, "%s", st.err.text);
	cr_assert_not_null(strstr(answer(&st), "\"flags\":[{\"flag\":\"jump\",\"metric\":\"total\"}]"), "%s", answer(&st));
	stand_close(&st);
}

Test(eval, steps_show_what_they_would_set_and_flag)
{
	struct stand st;
	open_fed(&st);
	cr_assert_eq(eval(&st, "range { 'total', max = 15 }, rate { from = 'total', to = 'drawn' }"), HYDRO_OK, "%s", st.err.text);
	cr_assert_not_null(strstr(answer(&st), "\"kind\":\"steps\""), "%s", answer(&st));
	cr_assert_not_null(strstr(answer(&st), "\"sets\":{\"drawn\":1.388"), "%s", answer(&st));
	cr_assert_not_null(strstr(answer(&st), "{\"flag\":\"out_of_range\",\"metric\":\"total\"}"), "%s", answer(&st));
	/* Readings before the first one told are run up: the last one alone has a rate too. */
	cr_assert_eq(eval_with(&st, "rate { from = 'total', to = 'drawn' }", NULL, 1), HYDRO_OK);
	cr_assert_not_null(strstr(answer(&st), "\"sets\":{\"drawn\":0.277"), "%s", answer(&st));
	cr_assert_eq(eval(&st, "function (m, state, point) m.volume = m.total end"), HYDRO_OK, "%s", st.err.text);
	cr_assert_not_null(strstr(answer(&st), "\"sets\":{\"volume\":18}"), "%s", answer(&st));
	stand_close(&st);
}

Test(eval, what_is_wrong_is_told_at_the_place_that_was_typed)
{
	struct stand st;
	open_fed(&st);
	static const struct {
		const char *code, *prelude, *expected, *hint;
	} lines[] = {
		{"total +", NULL, "\"file\":\"line\",\"line\":1,", "it ends too early"},
		{"rnge { 'flow', max = 1 }", NULL, "", "did you mean 'range'?"},
		{"range { 'flow', mx = 1 }", NULL, "\"file\":\"line\",\"line\":1,\"column\":17,", "did you mean"},
		{"rate { from = 'flow', to = 'x' }", NULL, "\"file\":\"line\",\"line\":1,", " must be in m3"},
		{"local x = \nx )", NULL, "\"file\":\"line\",\"line\":2,", "near ')'"},
		{"total", "local y =\n1 +", "\"file\":\"prelude\",", ""},
	};
	for (size_t i = 0; i < HD_ARRAY_LEN(lines); i++) {
		int rc = eval_with(&st, lines[i].code, lines[i].prelude, 10);
		if (rc == HYDRO_OK) /* a name that is unknown is met as it runs */
			cr_assert_not_null(strstr(answer(&st), "\"faults\":4,"), "%s", answer(&st));
		else
			cr_assert_eq(rc, HYDRO_E_CONFIG, "%s gave %d", lines[i].code, rc);
		cr_assert_not_null(strstr(answer(&st), lines[i].expected), "%s: %s", lines[i].code, answer(&st));
		cr_assert_not_null(strstr(answer(&st), lines[i].hint), "%s: %s", lines[i].code, answer(&st));
	}
	stand_close(&st);
}

Test(eval, what_stands_in_the_prelude_can_be_used)
{
	struct stand st;
	open_fed(&st);
	cr_assert_eq(eval_with(&st, "litres(total)", "local k = 1000\nlocal function litres (x) return x * k end\n", 10), HYDRO_OK, "%s", st.err.text);
	cr_assert_not_null(strstr(answer(&st), "\"value\":18000,"), "%s", answer(&st));
	stand_close(&st);
}

Test(eval, nothing_is_touched_and_an_endless_line_costs_three_budgets)
{
	struct stand st;
	open_fed(&st);
	uint32_t rules = hd_names_count(st.rig.names, HD_NAME_RULE), generations = hd_names_count(st.rig.names, HD_NAME_GENERATION);
	uint64_t stored = st.rig.stored->count;
	cr_assert_eq(eval(&st, "while true do pcall(error) end"), HYDRO_OK, "%s", st.err.text);
	cr_assert_not_null(strstr(answer(&st), "\"faults\":3,\"stopped\":true"), "%s", answer(&st));
	cr_assert_eq(eval(&st, "io.open('/etc/passwd')"), HYDRO_OK);
	cr_assert_not_null(strstr(answer(&st), "unknown step or name 'io'"), "%s", answer(&st));
	for (int i = 0; i < 20; i++) {
		char code[64];
		(void)snprintf(code, sizeof code, "total * %d", i);
		cr_assert_eq(eval(&st, code), HYDRO_OK);
	}
	cr_assert_eq(hd_names_count(st.rig.names, HD_NAME_GENERATION), generations);
	cr_assert_leq(hd_names_count(st.rig.names, HD_NAME_RULE), rules + 2, "names are kept for ever: no new ones for each line");
	cr_assert_eq(st.rig.stored->count, stored);
	struct hd_pipeline_status status;
	hd_pipeline_status(st.rig.pipeline, UINT32_MAX, &status);
	cr_assert_eq(status.overruns, 0);
	cr_assert_float_eq(rig_value(feed(&st, 1, 19), HD_METRIC_FLOW), 1 / 3.6, 1e-9, "the live state did not move");
	struct hd_scripts_eval what = {.code = "total", .code_len = 5, .limit = 10};
	hd_buf_clear(&st.json);
	cr_assert_eq(hd_scripts_eval(st.scripts, 2, &what, &st.json, &st.err), HYDRO_OK, "a point without readings: %s", st.err.text);
	cr_assert_not_null(strstr(answer(&st), "\"readings\":[],"), "%s", answer(&st));
	cr_assert_eq(hd_scripts_eval(st.scripts, 99, &what, &st.json, &st.err), HYDRO_E_NOTFOUND);
	stand_close(&st);
}
