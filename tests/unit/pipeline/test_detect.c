/* SPDX-License-Identifier: MIT */
/* The `detect` step on a real plugin, loaded as the daemon loads it. */
#include "rig.h"

#include "pipeline/detect.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLOW HD_METRIC_FLOW

struct lab {
	struct rig rig;
	const char *dirs[1];
	char dir[512];
	struct hd_plugins *plugins;
	struct hd_instance *instance;
	struct hd_detectors detectors;
	char said[512];
	struct hydro_error err;
};

static void take_event(void *arg, uint32_t level, const char *event, const char *text)
{
	struct lab *lab = arg;
	(void)level;
	(void)snprintf(lab->said, sizeof lab->said, "%s: %s", event, text);
}

/* An instance "watch" of a fixture; `runs` false: as after a crash. */
static void load(struct lab *lab, const char *fixture, bool runs)
{
	char link[600], target[600];
	(void)snprintf(lab->dir, sizeof lab->dir, "/tmp/hydro-detect-XXXXXX");
	cr_assert_not_null(mkdtemp(lab->dir));
	(void)snprintf(target, sizeof target, "%s/fixtures/%s.so", HD_BINARY_DIR, fixture);
	(void)snprintf(link, sizeof link, "%s/%s.so", lab->dir, fixture);
	cr_assert_eq(symlink(target, link), 0);
	lab->dirs[0] = lab->dir;
	lab->err.struct_size = sizeof lab->err;
	struct hd_plugins_config config = {.dirs = lab->dirs, .dir_count = 1, .runner_path = HD_RUNNER, .names = lab->rig.names, .probe_ms = 20000};
	cr_assert_eq(hd_plugins_open(&config, &lab->plugins, &lab->err), HYDRO_OK, "%s", lab->err.text);
	const char *plugin = strcmp(fixture, "good") == 0 ? "good" : "detector";
	const struct hd_descriptor *descriptor;
	cr_assert_eq(hd_plugins_descriptor(lab->plugins, plugin, &descriptor, &lab->err), HYDRO_OK, "%s", lab->err.text);
	if (runs)
		cr_assert_eq(hd_instance_create(lab->plugins, "watch", plugin, NULL, &lab->instance, &lab->err), HYDRO_OK, "%s", lab->err.text);
	lab->detectors = (struct hd_detectors){.event = take_event, .event_arg = lab};
	int rc = hd_detectors_add(&lab->detectors, "watch", lab->instance, descriptor, lab->rig.names, &lab->err);
	cr_assert_eq(rc, strcmp(fixture, "good") == 0 ? HYDRO_E_CONFIG : HYDRO_OK, "%s", lab->err.text);
	hd_shapes_set_detectors(hd_pipeline_shapes(lab->rig.pipeline), &lab->detectors);
}

static void unload(struct lab *lab)
{
	char command[600];
	hd_detectors_done(&lab->detectors);
	hd_instance_free(&lab->instance);
	hd_plugins_close(&lab->plugins);
	(void)snprintf(command, sizeof command, "rm -rf '%s'", lab->dir);
	cr_assert_eq(system(command), 0);
}

/* 1 for the metric `judged_score` too; the plan stays the same otherwise. */
static void plan(struct lab *lab, bool score)
{
	struct hd_spec spec = {0};
	rig_step(&spec, "detect", score ? "sss" : "ss", "analytics", "watch", "on", "flow", "score", "judged_score");
	(void)rig_plan(&lab->rig, &spec, 1);
	hd_spec_done(&spec);
}

static void feed(struct lab *lab, int hour, double value)
{
	cr_assert_eq(rig_feed1(&lab->rig, 0, RIG_T0 + hour * RIG_HOUR, FLOW, value), HYDRO_OK);
	rig_settle(&lab->rig, 0);
}

static const struct hd_sample *at(struct lab *lab, int hour)
{
	const struct hd_sample *sample = rig_sample(&lab->rig, 0, RIG_T0 + hour * RIG_HOUR);
	cr_assert_not_null(sample);
	return sample;
}

/* The plugin's count in the point's state: the last score says it in thousandths. */
static double score(struct lab *lab, int hour)
{
	uint32_t metric;
	cr_assert_eq(hd_names_intern(lab->rig.names, HD_NAME_METRIC, "judged_score", &metric, NULL), HYDRO_OK);
	return rig_value(at(lab, hour), metric);
}

Test(detect, an_annotation_becomes_a_flag_whose_rule_names_the_plugin_and_its_version)
{
	struct lab lab = {0};
	rig_open(&lab.rig, 1, "well", NULL);
	load(&lab, "detector", true);
	plan(&lab, false);
	feed(&lab, 0, 50);
	feed(&lab, 1, 150);
	feed(&lab, 2, 250);
	cr_assert_eq(at(&lab, 0)->flag_count, 0);
	cr_assert(rig_has_flag(at(&lab, 1), FLOW, HD_FLAG_ANOMALY));
	cr_assert_eq(at(&lab, 1)->values[0].value, 150.0, "the value stays as read");
	cr_assert_eq(at(&lab, 1)->values[0].quality, 0.5f);
	cr_assert_eq(at(&lab, 2)->values[0].quality, 0.25f, "a quality that the plugin gives is finer than the flag's");
	const char *rule = hd_names_get(lab.rig.names, HD_NAME_RULE, at(&lab, 1)->flags[0].rule);
	cr_assert_str_eq(rule, "plugin detector 1.0.0/detect:watch/flow");
	rig_stop(&lab.rig);
	unload(&lab);
	rig_close(&lab.rig);
}

Test(detect, a_plugin_that_misbehaves_leaves_the_reading_and_its_own_state_as_they_were)
{
	struct lab lab = {0};
	rig_open(&lab.rig, 1, "well", NULL);
	load(&lab, "detector", true);
	plan(&lab, true);
	feed(&lab, 0, 1);
	const double bad[] = {1001, 1002, 1003, 1004};
	for (int i = 0; i < 4; i++) {
		feed(&lab, 1 + i, bad[i]);
		cr_assert_eq(at(&lab, 1 + i)->flag_count, 1);
		cr_assert(rig_has_flag(at(&lab, 1 + i), FLOW, HD_FLAG_UNANNOTATED));
		cr_assert_eq(rig_value(at(&lab, 1 + i), FLOW), bad[i]);
		cr_assert_eq(at(&lab, 1 + i)->values[0].quality, 1.0f);
		cr_assert(isnan(score(&lab, 1 + i)));
	}
	feed(&lab, 5, 1);
	cr_assert_float_eq(score(&lab, 5), 0.002, 1e-12, "the second that it saw: what failed left no trace");
	cr_assert_eq(atomic_load(&lab.detectors.list[0]->failures), 4u);
	cr_assert_not_null(strstr(lab.said, "detector_failed: analytics watch (plugin detector 1.0.0): update failed"), "%s", lab.said);
	rig_stop(&lab.rig);
	unload(&lab);
	rig_close(&lab.rig);
}

/* Begins (again) with a plugin, feeds one reading and says what count the plugin came to; then ends. */
static double one_life(struct lab *lab, const char *fixture, int hour, bool first)
{
	if (!first)
		rig_restart(&lab->rig);
	load(lab, fixture, true);
	plan(lab, true);
	cr_assert_eq(hd_pipeline_recover(lab->rig.pipeline, NULL, NULL), HYDRO_OK);
	feed(lab, hour, 1);
	double count = score(lab, hour);
	rig_stop(&lab->rig);
	unload(lab);
	return count;
}

Test(detect, its_state_survives_a_restart_and_a_new_version_carries_it_over)
{
	struct lab lab = {0};
	char state[] = "/tmp/hydro-detect-state-XXXXXX", command[64];
	cr_assert_not_null(mkdtemp(state));
	rig_open(&lab.rig, 1, "well", state);
	double first = one_life(&lab, "detector", 0, true), again = one_life(&lab, "detector", 1, false);
	double newer = one_life(&lab, "detector_v2", 2, false), older = one_life(&lab, "detector", 3, false);
	cr_assert_float_eq(first, 0.001, 1e-12);
	cr_assert_float_eq(again, 0.002, 1e-12, "goes on where it was");
	cr_assert_float_eq(newer, 0.003, 1e-12, "its state is longer: by its own migrate");
	cr_assert_float_eq(older, 0.001, 1e-12, "the old one knows nothing of the longer state: anew");
	rig_close(&lab.rig);
	(void)snprintf(command, sizeof command, "rm -rf '%s'", state);
	cr_assert_eq(system(command), 0);
}

Test(detect, another_plan_keeps_the_state_and_the_answer_counts_it)
{
	struct lab lab = {0};
	rig_open(&lab.rig, 1, "well", NULL);
	load(&lab, "detector", true);
	plan(&lab, true);
	for (int i = 0; i < 3; i++)
		feed(&lab, i, 1);
	struct hd_spec spec = {0};
	rig_step(&spec, "range", "sn", "of", "flow", "max", 5000.0);
	rig_step(&spec, "detect", "sss", "analytics", "watch", "on", "flow", "score", "judged_score");
	struct hd_swap_report report = rig_plan(&lab.rig, &spec, 1);
	cr_assert_eq(report.states_kept, 1u);
	cr_assert_eq(report.states_reset, 0u);
	feed(&lab, 3, 1);
	cr_assert_float_eq(score(&lab, 3), 0.004, 1e-12);
	hd_spec_done(&spec);
	rig_stop(&lab.rig);
	unload(&lab);
	rig_close(&lab.rig);
}

Test(detect, late_data_is_not_judged_and_what_is_run_again_keeps_its_judgement)
{
	struct lab lab = {0};
	rig_open(&lab.rig, 1, "well", NULL);
	load(&lab, "detector", true);
	struct hd_spec spec = {0};
	rig_step(&spec, "rate_of_change", "sn", "of", "flow", "per_hour", 50.0);
	rig_step(&spec, "detect", "sss", "analytics", "watch", "on", "flow", "score", "judged_score");
	(void)rig_plan(&lab.rig, &spec, 1);
	feed(&lab, 0, 10);
	feed(&lab, 2, 150);
	feed(&lab, 3, 10);
	cr_assert_float_eq(score(&lab, 3), 0.003, 1e-12);
	feed(&lab, 1, 20); /* late; the reading after it is now a fast change */
	cr_assert(rig_has_flag(at(&lab, 1), FLOW, HD_FLAG_UNANNOTATED));
	cr_assert_eq(at(&lab, 2)->rev, 0 + rig_count(&lab.rig, 0, RIG_T0 + 2 * RIG_HOUR) - 1);
	cr_assert(rig_has_flag(at(&lab, 2), FLOW, HD_FLAG_RATE_OF_CHANGE));
	cr_assert(rig_has_flag(at(&lab, 2), FLOW, HD_FLAG_ANOMALY), "as it was judged when it came");
	cr_assert_float_eq(score(&lab, 2), 0.002, 1e-12);
	feed(&lab, 4, 10);
	cr_assert_float_eq(score(&lab, 4), 0.004, 1e-12, "saw each once, and the late one never");
	hd_spec_done(&spec);
	rig_stop(&lab.rig);
	unload(&lab);
	rig_close(&lab.rig);
}

Test(detect, a_revision_of_the_newest_is_judged_in_its_place)
{
	struct lab lab = {0};
	rig_open(&lab.rig, 1, "well", NULL);
	load(&lab, "detector", true);
	plan(&lab, true);
	feed(&lab, 0, 10);
	feed(&lab, 1, 10);
	feed(&lab, 1, 150);
	cr_assert_eq(at(&lab, 1)->rev, 1);
	cr_assert(rig_has_flag(at(&lab, 1), FLOW, HD_FLAG_ANOMALY));
	cr_assert_float_eq(score(&lab, 1), 0.002, 1e-12, "from the state before it, so it counts once");
	rig_stop(&lab.rig);
	unload(&lab);
	rig_close(&lab.rig);
}

Test(detect, one_that_does_not_run_leaves_the_points_going)
{
	struct lab lab = {0};
	rig_open(&lab.rig, 1, "well", NULL);
	load(&lab, "detector", false);
	plan(&lab, false);
	feed(&lab, 0, 150);
	cr_assert_eq(rig_value(at(&lab, 0), FLOW), 150.0);
	cr_assert(rig_has_flag(at(&lab, 0), FLOW, HD_FLAG_UNANNOTATED));
	cr_assert_eq(at(&lab, 0)->values[0].quality, 1.0f);
	rig_stop(&lab.rig);
	unload(&lab);
	rig_close(&lab.rig);
}

Test(detect, an_instance_that_is_not_there_is_refused_with_the_nearest_name)
{
	struct lab lab = {0};
	rig_open(&lab.rig, 1, "well", NULL);
	load(&lab, "detector", true);
	static const struct {
		const char *name, *types, *key, *text, *nearest;
	} wrong[] = {
		{"wtch", "ss", "on", "there is no instance `wtch`", "watch"},
		{"watch", "sss", "score", "take the place of what is judged", ""},
		{"watch", "s", "", "`on` is missing", ""},
	};
	for (size_t i = 0; i < HD_ARRAY_LEN(wrong); i++) {
		struct hd_spec spec = {.script = "well@1"};
		struct hd_plan *got = NULL;
		struct hd_plan_fault fault;
		rig_step(&spec, "detect", wrong[i].types, "analytics", wrong[i].name, "on", "flow", "score", "flow");
		cr_assert_eq(hd_plan_compile(hd_pipeline_shapes(lab.rig.pipeline), &spec, 1, NULL, &got, &fault, &lab.err), HYDRO_E_CONFIG);
		cr_assert_not_null(strstr(lab.err.text, wrong[i].text), "%s", lab.err.text);
		cr_assert_str_eq(fault.nearest, wrong[i].nearest);
		hd_spec_done(&spec);
	}
	rig_stop(&lab.rig);
	unload(&lab);
	rig_close(&lab.rig);
}

Test(detect, a_plugin_of_another_kind_is_refused)
{
	struct lab lab = {0};
	rig_open(&lab.rig, 1, "well", NULL);
	load(&lab, "good", true);
	cr_assert_not_null(strstr(lab.err.text, "plugin good is a provider, not analytics"), "%s", lab.err.text);
	rig_stop(&lab.rig);
	unload(&lab);
	rig_close(&lab.rig);
}
