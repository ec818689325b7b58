/* SPDX-License-Identifier: MIT */
/* A point derived from two others: by hand from what the rig's journal has. */
#include "rig.h"

#include "pipeline/derive.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct lab {
	struct rig rig;
	struct hd_derive *derive;
	uint32_t passed;   /* samples of the rig's journal that were passed on */
	uint32_t sum;      /* the derived point */
	char ids[3][HD_UUID_TEXT];
};

static void put_point(struct lab *lab, uint32_t index, const char *provider, const char *options)
{
	struct hd_uuid id = index < hd_points_count(lab->rig.points) ? hd_points_id(lab->rig.points, index) : hd_uuid_new();
	char name[16];
	(void)snprintf(name, sizeof name, "p%u", index);
	struct hd_point_spec spec = {.index = index, .id = id, .version = 2, .bits = HD_POINT_ACTIVE, .period_s = 3600, .join_ms = 60000, .name = name,
				     .provider = provider, .pipeline = "well", .options = options, .params = "{}"};
	uint32_t got;
	cr_assert_eq(hd_points_put(lab->rig.points, &spec, &got, NULL), HYDRO_OK);
}

static void open_lab(struct lab *lab)
{
	struct hd_spec spec = {0}, sum = {0};
	char options[256];
	memset(lab, 0, sizeof *lab);
	rig_open(&lab->rig, 3, "well", NULL);
	lab->sum = 2;
	for (uint32_t i = 0; i < 3; i++) {
		struct hd_uuid id = hd_points_id(lab->rig.points, i);
		hd_uuid_format(&id, lab->ids[i]);
	}
	cr_assert_eq(hd_derive_new(lab->rig.points, &lab->derive, NULL), HYDRO_OK);
	struct hd_derive_config config = {.pipeline = lab->rig.pipeline, .points = lab->rig.points, .names = lab->rig.names};
	cr_assert_eq(hd_derive_start(lab->derive, &config, NULL), HYDRO_OK);
	(void)snprintf(options, sizeof options, "{\"sources\":{\"total_1\":\"%s/total\",\"total_2\":\"%s/total\"}}", lab->ids[0], lab->ids[1]);
	cr_assert_eq(hd_derive_check(lab->rig.points, options, NULL), HYDRO_OK);
	put_point(lab, 2, HD_DERIVE_PROVIDER, options);
	rig_step(&spec, "range", "sn", "of", "total", "fail_max", 1e6);
	const char **of = hd_spec_alloc(&sum, 2 * sizeof *of);
	of[0] = "total_1";
	of[1] = "total_2";
	struct hd_spec_arg *args = hd_spec_alloc(&sum, 2 * sizeof *args);
	args[0] = (struct hd_spec_arg){.key = "of", .type = HD_ARG_TEXTS, .count = 2, .texts = of};
	args[1] = (struct hd_spec_arg){.key = "to", .type = HD_ARG_TEXT, .count = 1, .text = "total"};
	struct hd_spec_step step = {.kind = "sum", .id = "", .line = 1, .arg_count = 2, .args = args};
	cr_assert_eq(hd_spec_add(&sum, &step, NULL), HYDRO_OK);
	struct hd_plans *plans = NULL;
	struct hd_swap_report report;
	cr_assert_eq(hd_plans_new(&plans), HYDRO_OK);
	for (uint32_t i = 0; i < 3; i++)
		cr_assert_eq(hd_plans_put(plans, i, rig_compile(&lab->rig, i == 2 ? &sum : &spec)), HYDRO_OK);
	cr_assert_eq(hd_pipeline_swap(lab->rig.pipeline, plans, &report, NULL), HYDRO_OK);
	hd_spec_done(&spec);
	hd_spec_done(&sum);
}

static void close_lab(struct lab *lab)
{
	hd_derive_stop(lab->derive);
	rig_close(&lab->rig);
	hd_derive_free(&lab->derive);
}

/* As the thread would: everything synced so far, in order. */
static void pass_on(struct lab *lab)
{
	while (lab->passed < lab->rig.stored->count) {
		struct hd_sample sample = lab->rig.stored->samples[lab->passed++];
		(void)hd_derive_take(lab->derive, &sample);
		rig_settle(&lab->rig, lab->sum);
	}
}

static void feed(struct lab *lab, uint32_t point, int64_t ts_ms, double total)
{
	cr_assert_eq(rig_feed1(&lab->rig, point, ts_ms, HD_METRIC_TOTAL, total), HYDRO_OK);
	rig_settle(&lab->rig, point);
	pass_on(lab);
}

static double sum_at(struct lab *lab, int64_t ts_ms)
{
	const struct hd_sample *sample = rig_sample(&lab->rig, lab->sum, ts_ms);
	return sample ? rig_value(sample, HD_METRIC_TOTAL) : (double)NAN;
}

Test(derive, the_sum_is_made_once_all_sources_have_spoken_within_the_window)
{
	struct lab lab;
	open_lab(&lab);
	feed(&lab, 0, RIG_T0, 100);
	cr_assert_not_null(rig_sample(&lab.rig, lab.sum, RIG_T0), "what came is kept raw");
	cr_assert(isnan(sum_at(&lab, RIG_T0)), "and no sum is made of one");
	feed(&lab, 1, RIG_T0 + 40000, 50);
	uint32_t stored = lab.rig.stored->count;
	lab.passed = 0;
	pass_on(&lab);
	cr_assert_eq(lab.rig.stored->count, stored, "what comes twice is known");
	cr_assert_eq(sum_at(&lab, RIG_T0), 150.0, "within the join window of 60 s, at the earlier time");
	feed(&lab, 1, RIG_T0 + RIG_HOUR, 55);
	feed(&lab, 0, RIG_T0 + RIG_HOUR + 90000, 110);
	cr_assert(isnan(sum_at(&lab, RIG_T0 + RIG_HOUR)), "further apart than the window: no sum");
	cr_assert(isnan(sum_at(&lab, RIG_T0 + RIG_HOUR + 90000)));
	close_lab(&lab);
}

Test(derive, a_gap_of_one_source_leaves_a_gap_and_its_late_data_fills_it)
{
	struct lab lab;
	open_lab(&lab);
	for (int h = 0; h < 6; h++) {
		feed(&lab, 0, RIG_T0 + h * RIG_HOUR, 100 + h);
		if (h != 2 && h != 3)
			feed(&lab, 1, RIG_T0 + h * RIG_HOUR, 10 + h);
	}
	for (int h = 0; h < 6; h++)
		cr_assert_eq(isnan(sum_at(&lab, RIG_T0 + h * RIG_HOUR)), h == 2 || h == 3, "hour %d", h);
	feed(&lab, 1, RIG_T0 + 2 * RIG_HOUR, 12);
	cr_assert_eq(sum_at(&lab, RIG_T0 + 2 * RIG_HOUR), 114.0);
	cr_assert(isnan(sum_at(&lab, RIG_T0 + 3 * RIG_HOUR)));
	close_lab(&lab);
}

Test(derive, a_revised_source_revises_the_sum_and_a_bad_value_is_no_datum)
{
	struct lab lab;
	open_lab(&lab);
	feed(&lab, 0, RIG_T0, 100);
	feed(&lab, 1, RIG_T0, 50);
	feed(&lab, 1, RIG_T0, 51);
	cr_assert_eq(sum_at(&lab, RIG_T0), 151.0);
	feed(&lab, 0, RIG_T0 + RIG_HOUR, 101);
	feed(&lab, 1, RIG_T0 + RIG_HOUR, 2e6); /* beyond what the instrument can read: quality 0 */
	cr_assert(isnan(sum_at(&lab, RIG_T0 + RIG_HOUR)));
	lab.passed = 0; /* as after a crash: the same again, and it ends the same */
	pass_on(&lab);
	cr_assert_eq(sum_at(&lab, RIG_T0), 151.0);
	cr_assert(isnan(sum_at(&lab, RIG_T0 + RIG_HOUR)));
	close_lab(&lab);
}

Test(derive, wrong_options_are_refused_by_name)
{
	struct lab lab;
	open_lab(&lab);
	char text[512];
	static const struct {
		const char *format, *why;
	} wrong[] = {
		{"{}", "has `sources`"}, {"{\"sources\":{}}", "has `sources`"}, {"{\"sources\":[\"x\"]}", "has `sources`"},
		{"{\"sources\":{\"a\":\"x/total\"}}", "sources.a: \"<id of a point>/<metric>\""},
		{"{\"sources\":{\"a\":7}}", "sources.a"},
		{"{\"sources\":{\"a\":\"00000000-0000-4000-8000-000000000000/total\"}}", "there is no point"},
		{"{\"sources\":{\"a\":\"%s/total\"},\"more\":1}", "`more` is no option"},
		{"{\"sources\":{\"a\":\"%s\"}}", "sources.a"},
	};
	for (size_t i = 0; i < HD_ARRAY_LEN(wrong); i++) {
		struct hydro_error err = {.struct_size = sizeof err};
		const char *mark = strstr(wrong[i].format, "%s");
		size_t head = mark ? (size_t)(mark - wrong[i].format) : strlen(wrong[i].format);
		(void)snprintf(text, sizeof text, "%.*s%s%s", (int)head, wrong[i].format, mark ? lab.ids[0] : "", mark ? mark + 2 : "");
		cr_assert_eq(hd_derive_check(lab.rig.points, text, &err), HYDRO_E_INVALID, "%s", text);
		cr_assert_not_null(strstr(err.text, wrong[i].why), "%s lacks %s", err.text, wrong[i].why);
	}
	struct hydro_error err = {.struct_size = sizeof err};
	(void)snprintf(text, sizeof text, "{\"sources\":{\"a\":\"%s/total\"}}", lab.ids[2]);
	cr_assert_eq(hd_derive_check(lab.rig.points, text, &err), HYDRO_E_INVALID);
	cr_assert_not_null(strstr(err.text, "is derived itself"), "%s", err.text);
	close_lab(&lab);
}
