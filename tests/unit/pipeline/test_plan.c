/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include "base/fs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct names_shapes {
	struct hd_names *names;
	struct hd_shapes *shapes;
};

static struct names_shapes open_shapes(void)
{
	struct names_shapes s = {0};
	cr_assert_eq(hd_names_open(NULL, &s.names, NULL), HYDRO_OK);
	cr_assert_eq(hd_shapes_new(s.names, &s.shapes), HYDRO_OK);
	return s;
}

static void close_shapes(struct names_shapes *s)
{
	hd_shapes_free(&s->shapes);
	hd_names_close(&s->names);
}

/* Compiles and wants a failure whose text and fault name these. */
static void fails_with(struct hd_spec *spec, const char *text, const char *option, const char *nearest)
{
	struct names_shapes s = open_shapes();
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_plan_fault fault;
	struct hd_plan *plan = NULL;
	spec->script = "well@1";
	cr_assert_eq(hd_plan_compile(s.shapes, spec, 1, NULL, &plan, &fault, &err), HYDRO_E_CONFIG);
	cr_assert(strstr(err.text, text) != NULL);
	cr_assert(strstr(err.text, "line 10") != NULL || strstr(err.text, "line 7") != NULL || strstr(err.text, "line 20") != NULL);
	cr_assert_str_eq(fault.option, option);
	cr_assert_str_eq(fault.nearest, nearest);
	cr_assert_null(plan);
	close_shapes(&s);
	hd_spec_done(spec);
}

Test(plan, an_unknown_step_is_refused_with_the_nearest_name)
{
	struct hd_spec spec = {0};
	rig_step(&spec, "countr", "s", "from", "pulses");
	fails_with(&spec, "unknown step", "", "counter");
}

Test(plan, an_unknown_option_is_refused_with_the_nearest_name)
{
	struct hd_spec spec = {0};
	rig_step(&spec, "counter", "sn", "from", "pulses", "liters_per_pulse", 10.0);
	fails_with(&spec, "unknown option `liters_per_pulse`", "liters_per_pulse", "litres_per_pulse");
}

Test(plan, a_missing_option_is_named)
{
	struct hd_spec spec = {0};
	rig_step(&spec, "depth", "s", "from", "level");
	fails_with(&spec, "`sensor_depth` is missing", "sensor_depth", "");
}

Test(plan, an_option_of_the_wrong_type_or_out_of_bounds_is_refused)
{
	struct hd_spec spec = {0};
	rig_step(&spec, "depth", "ss", "from", "level", "sensor_depth", "deep");
	fails_with(&spec, "must be a number", "sensor_depth", "");
	rig_step(&spec, "frozen", "sn", "of", "level", "readings", 1.0);
	fails_with(&spec, "out of 2", "readings", "");
	rig_step(&spec, "rate", "s", "max_gap", "soon");
	fails_with(&spec, "duration", "max_gap", "");
}

Test(plan, units_are_checked_between_steps)
{
	struct hd_spec spec = {0};
	rig_step(&spec, "rate", "ss", "from", "level", "to", "flow");
	fails_with(&spec, "`level` is in m, `from` must be in m3", "from", "");
	rig_step(&spec, "counter", "ss", "from", "pulses", "to", "volume_all");
	rig_step(&spec, "depth", "sn", "from", "volume_all", "sensor_depth", 3.0);
	fails_with(&spec, "is in m3", "from", "");
}

Test(plan, what_is_filed_has_its_unit_and_its_regulator)
{
	struct hd_spec spec = {0};
	rig_step(&spec, "file", "ss", "regulator", "dga", "standard", "major");
	fails_with(&spec, "`standard` is mayor", "standard", "mayor");
	rig_step(&spec, "file", "ss", "regulator", "dga", "flow", "level");
	fails_with(&spec, "`level` is in m, `flow` must be in l/s", "flow", "");
	rig_step(&spec, "file", "ss", "regulator", "dga", "flow", "folw");
	fails_with(&spec, "`folw` is made by no step", "flow", "flow");
	rig_step(&spec, "file", "ss", "regulator", "dga", "level", "battery");
	fails_with(&spec, "m (water table) or cm (stage)", "level", "");
	rig_step(&spec, "file", "sn", "regulator", "dga", "min_quality", 2.0);
	fails_with(&spec, "out of 0", "min_quality", "");
	rig_step(&spec, "file", "n", "min_quality", 0.5);
	fails_with(&spec, "`regulator` is missing", "regulator", "");
	rig_step(&spec, "file", "s", "regulator", "dga");
	rig_step(&spec, "file", "s", "regulator", "other");
	fails_with(&spec, "files once", "", "");
}

Test(plan, a_plan_says_which_metrics_are_filed_as_what)
{
	struct names_shapes s = open_shapes();
	struct hd_plan *plan = NULL;
	struct hd_spec spec = {.script = "well@1"};
	rig_step(&spec, "convert", "ssss", "metric", "battery", "as", "gauge", "from", "cm", "to", "cm");
	rig_step(&spec, "file", "sssn", "regulator", "dga", "standard", "menor", "level", "gauge", "min_quality", 0.5);
	cr_assert_eq(hd_plan_compile(s.shapes, &spec, 1, NULL, &plan, NULL, NULL), HYDRO_OK);
	const struct hd_file_spec *file = &plan->shape->file;
	cr_assert_str_eq(file->regulator, "dga");
	cr_assert_str_eq(file->standard, "menor");
	cr_assert_eq(file->flow, HD_METRIC_FLOW);
	cr_assert_eq(file->total, HD_METRIC_TOTAL);
	cr_assert_str_eq(hd_names_get(s.names, HD_NAME_METRIC, file->level), "gauge");
	cr_assert_eq(file->min_quality, 0.5f);
	cr_assert_str_eq(plan->shape->steps[1].label, "file:dga");
	hd_plan_free(&plan);
	hd_spec_done(&spec);
	/* A plan that knows only a stage files that; any other one the water table. */
	for (int channel = 0; channel < 2; channel++) {
		struct hd_spec other = {.script = "well@1"};
		if (channel)
			rig_step(&other, "range", "sn", "of", "stage", "max", 100.0);
		rig_step(&other, "file", "s", "regulator", "dga");
		cr_assert_eq(hd_plan_compile(s.shapes, &other, 1, NULL, &plan, NULL, NULL), HYDRO_OK);
		cr_assert_eq(plan->shape->file.level, channel ? HD_METRIC_STAGE : HD_METRIC_WATER_TABLE);
		hd_plan_free(&plan);
		hd_spec_done(&other);
	}
	close_shapes(&s);
}

Test(plan, sinks_are_checked_when_they_are_known)
{
	struct names_shapes s = open_shapes();
	struct hd_spec spec = {.script = "well@1"};
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_plan *plan = NULL;
	struct hd_plan_fault fault;
	rig_step_texts(&spec, "to", "history", "mongodb");
	cr_assert_eq(hd_plan_compile(s.shapes, &spec, 1, NULL, &plan, &fault, &err), HYDRO_OK);
	hd_plan_free(&plan);
	const char *const sinks[] = {"history", "mongo"};
	cr_assert_eq(hd_shapes_set_sinks(s.shapes, sinks, 2), HYDRO_OK);
	cr_assert_eq(hd_plan_compile(s.shapes, &spec, 1, NULL, &plan, &fault, &err), HYDRO_E_CONFIG);
	cr_assert_str_eq(fault.nearest, "mongo");
	hd_spec_done(&spec);
	close_shapes(&s);
}

Test(plan, points_with_the_same_steps_share_a_shape_and_keep_their_numbers)
{
	struct names_shapes s = open_shapes();
	struct hd_plan *plans[3] = {NULL};
	for (int i = 0; i < 3; i++) {
		struct hd_spec spec = {.script = "well@1"};
		rig_step(&spec, "depth", "sn", "from", "level", "sensor_depth", i == 2 ? 2.0 : 10.0 + i);
		if (i == 2)
			rig_step(&spec, "range", "sn", "of", "level", "max", 5.0);
		cr_assert_eq(hd_plan_compile(s.shapes, &spec, 1, NULL, &plans[i], NULL, NULL), HYDRO_OK);
		hd_spec_done(&spec);
	}
	cr_assert_eq(plans[0]->shape, plans[1]->shape);
	cr_assert_neq(plans[0]->shape, plans[2]->shape);
	cr_assert_eq(plans[0]->params[0], 10.0);
	cr_assert_eq(plans[1]->params[0], 11.0);
	cr_assert_eq(hd_shapes_count(s.shapes), 2u);
	for (int i = 0; i < 3; i++)
		hd_plan_free(&plans[i]);
	cr_assert_eq(hd_shapes_count(s.shapes), 0u);
	close_shapes(&s);
}

Test(plan, the_well_pipeline_takes_no_more_than_two_hundred_bytes_a_point)
{
	struct names_shapes s = open_shapes();
	struct hd_spec spec = {0};
	rig_well(&spec);
	struct hd_plan *plan = NULL;
	cr_assert_eq(hd_plan_compile(s.shapes, &spec, 1, NULL, &plan, NULL, NULL), HYDRO_OK);
	struct hd_shape_info info;
	hd_shape_info(plan->shape, &info);
	cr_assert_leq(info.params * sizeof(double) + info.state_bytes, 200u);
	hd_plan_free(&plan);
	hd_spec_done(&spec);
	close_shapes(&s);
}

Test(plan, the_reference_names_every_step_and_option)
{
	struct hd_buf text = {0};
	cr_assert(hd_steps_markdown(&text));
	uint32_t count;
	const struct hd_step_kind *kinds = hd_step_kinds(&count);
	cr_assert_geq(count, 19u);
	for (uint32_t i = 0; i < count; i++) {
		char want[64];
		(void)snprintf(want, sizeof want, "## %s\n", kinds[i].name);
		cr_assert(strstr(hd_buf_text(&text), want) != NULL);
	}
	for (uint32_t i = 1; i < HD_FLAG_END; i++) {
		char want[64];
		(void)snprintf(want, sizeof want, "| `%s` | ", hd_flag_info(i)->name);
		cr_assert_not_null(strstr(hd_buf_text(&text), want), "%s", want);
	}
	hd_buf_done(&text);
}

/* HYDRO_UPDATE=1 writes it anew. */
Test(plan, the_reference_in_the_tree_is_of_this_table)
{
	static const char path[] = HD_SOURCE_DIR "/scripts/lua/STEPS.md";
	struct hd_buf text = {0}, kept = {0};
	struct hydro_error err = {.struct_size = sizeof err};
	cr_assert(hd_steps_markdown(&text));
	if (getenv("HYDRO_UPDATE"))
		cr_assert_eq(hd_fs_write_atomic(path, text.data, text.len, 0644, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(hd_fs_read(path, 1u << 20, &kept, &err), HYDRO_OK, "%s", err.text);
	cr_assert(kept.len == text.len && memcmp(kept.data, text.data, text.len) == 0, "%s: run this test with HYDRO_UPDATE=1", path);
	hd_buf_done(&text);
	hd_buf_done(&kept);
}

Test(plan, a_dry_run_shows_each_step_and_stores_nothing)
{
	struct rig rig;
	rig_open(&rig, 1, "well", NULL);
	struct hd_spec spec = {0};
	rig_well(&spec);
	(void)rig_plan(&rig, &spec, 1);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0, HD_METRIC_PULSES, 1000), HYDRO_OK);
	rig_settle(&rig, 0);
	hydro_raw raws[] = {{RIG_T0 + RIG_HOUR, 1100, HD_METRIC_PULSES, 0}, {RIG_T0 + RIG_HOUR, 80, HD_METRIC_LEVEL, 0}};
	struct hydro_error err = {.struct_size = sizeof err};
	for (int round = 0; round < 2; round++) { /* the second says the same: the state did not move */
		struct hd_buf json = {0};
		cr_assert_eq(hd_pipeline_dry_run(rig.pipeline, 0, raws, 2, NULL, NULL, &json, &err), HYDRO_OK);
		const char *text = hd_buf_text(&json);
		cr_assert(strstr(text, "{\"step\":\"counter:total\",\"line\":10,\"lib\":null,\"sets\":{\"total\":1110},\"flags\":[]}") != NULL);
		cr_assert(strstr(text, "\"step\":\"depth:water_table\",\"line\":30,\"lib\":null,\"sets\":{\"water_table\":-20}") != NULL);
		cr_assert(strstr(text, "\"flag\":\"out_of_range\",\"metric\":\"level\",\"rule\":\"well@0011aabb/range:level\"") != NULL);
		cr_assert(strstr(text, "\"known\":\"new\"") != NULL);
		hd_buf_done(&json);
	}
	struct hd_spec other = {.script = "try@1"};
	rig_step(&other, "scale", "sn", "from", "level", "factor", 0.5);
	struct hd_buf json = {0};
	cr_assert_eq(hd_pipeline_dry_run(rig.pipeline, 0, raws, 2, &other, NULL, &json, &err), HYDRO_OK);
	cr_assert(strstr(hd_buf_text(&json), "\"sets\":{\"level\":40}") != NULL);
	hd_buf_done(&json);
	hd_spec_done(&other);
	rig_settle(&rig, 0);
	cr_assert_eq(rig.stored->count, 1u);
	cr_assert_eq(hd_pipeline_dry_run(rig.pipeline, 9, raws, 2, NULL, NULL, &json, &err), HYDRO_E_INVALID);
	hd_buf_done(&json);
	hd_spec_done(&spec);
	rig_close(&rig);
}

Test(plan, known_readings_in_a_dry_run_come_to_what_they_came_to_before)
{
	struct rig rig;
	rig_open(&rig, 1, "well", NULL);
	struct hd_spec spec = {0};
	rig_well(&spec);
	(void)rig_plan(&rig, &spec, 1);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(rig_feed1(&rig, 0, RIG_T0 + i * RIG_HOUR, HD_METRIC_PULSES, 1000 + 100 * i), HYDRO_OK);
	rig_settle(&rig, 0);
	/* To the present state, at 1200, the first would be a counter that went back. */
	hydro_raw raws[] = {{RIG_T0 + RIG_HOUR, 1100, HD_METRIC_PULSES, 0},
			    {RIG_T0 + 2 * RIG_HOUR, 1200, HD_METRIC_PULSES, 0},
			    {RIG_T0 + 3 * RIG_HOUR, 1300, HD_METRIC_PULSES, 0}};
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_buf json = {0};
	cr_assert_eq(hd_pipeline_dry_run(rig.pipeline, 0, raws, 3, NULL, NULL, &json, &err), HYDRO_OK);
	for (int i = 0; i < 3; i++) {
		char want[64];
		(void)snprintf(want, sizeof want, "\"sets\":{\"total\":%d},\"flags\":[]", 1110 + 10 * i);
		cr_assert_not_null(strstr(hd_buf_text(&json), want), "%s", hd_buf_text(&json));
	}
	hd_buf_done(&json);
	hd_spec_done(&spec);
	rig_close(&rig);
}
