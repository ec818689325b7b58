/* SPDX-License-Identifier: MIT */
/* Steps that say where a measurement goes: to (sinks), file (the regulator). */
#include "lua/lua.h"
#include "pipeline/run.h"

#include <stdio.h>
#include <string.h>

/* ---- to ---- */

static int check_to(struct hd_compile *compile, struct hd_step *step, const struct hd_spec_step *spec, struct hydro_error *err)
{
	(void)step;
	const struct hd_spec_arg *arg = hd_spec_arg(spec, "");
	arg = arg ? arg : hd_spec_arg(spec, "sinks");
	for (uint32_t i = 0; arg && i < arg->count; i++) {
		const char *name = arg->type == HD_ARG_TEXTS ? arg->texts[i] : arg->text, *nearest = NULL;
		if (!name)
			return hd_compile_fail(compile, spec, "sinks", NULL, err, "`to` takes names of sinks");
		if (!hd_compile_sink_known(compile, name, &nearest))
			return hd_compile_fail(compile, spec, name, nearest, err, "there is no sink `%s`", name);
		hd_compile_add_sink(compile);
	}
	return HYDRO_OK;
}

static const struct hd_step_option to_options[] = {
	{"sinks", HD_OPT_NAMES, HD_OPT_REQUIRED | HD_OPT_POSITIONAL, "", NULL, 0, 0, 0, "names of sinks"},
};

/* ---- file ---- */

enum { C_MIN_QUALITY };
enum { IN_FLOW, IN_TOTAL, IN_LEVEL, IN_COUNT };

static void run_file(const struct hd_step *step, struct hd_run *run)
{
	/* Late data passes stateful steps by at first: what it comes to is known once it was run again. */
	uint8_t passed = HD_ROW_UNPROCESSED | (run->shape->stateful_steps ? HD_ROW_STATELESS : 0);
	float least = (float)step->consts[C_MIN_QUALITY];
	for (uint32_t i = 0; i < run->count; i++) {
		struct hd_row *row = &run->rows[i];
		const float *quality = run->quality + i * run->shape->slot_count;
		bool any = false, good = row->cap >= least;
		for (uint32_t k = 0; k < IN_COUNT; k++) {
			if (!hd_run_has(row, step->in[k]))
				continue;
			any = true;
			good &= quality[step->in[k]] >= least;
		}
		if (any && good && !(row->bits & passed))
			row->bits |= HD_ROW_FILE;
	}
}

static const char *const standards[] = {"mayor", "medio", "menor", "muy_pequeno"};

static const char *standard_name(const void *arg, uint32_t i)
{
	(void)arg;
	return standards[i];
}

static int take_regulator(struct hd_compile *compile, const struct hd_spec_step *spec, struct hd_file_spec *file, struct hydro_error *err)
{
	const struct hd_spec_arg *arg = hd_spec_arg(spec, "");
	arg = arg ? arg : hd_spec_arg(spec, "regulator");
	const char *name = arg->type == HD_ARG_TEXTS && arg->count == 1 ? arg->texts[0] : arg->text;
	if (!name || !name[0] || strlen(name) >= sizeof file->regulator)
		return hd_compile_fail(compile, spec, "regulator", NULL, err, "`file` takes the name of one regulator: file { \"dga\" }");
	if (file->regulator[0])
		return hd_compile_fail(compile, spec, NULL, NULL, err, "a pipeline files once: there is a `file` step already");
	(void)snprintf(file->regulator, sizeof file->regulator, "%s", name);
	hd_compile_set_target(compile, name);
	return HYDRO_OK;
}

static int take_standard(struct hd_compile *compile, const struct hd_spec_step *spec, struct hd_file_spec *file, struct hydro_error *err)
{
	const struct hd_spec_arg *arg = hd_spec_arg(spec, "standard");
	if (!arg)
		return HYDRO_OK;
	for (uint32_t i = 0; arg->text && i < HD_ARRAY_LEN(standards); i++)
		if (strcmp(arg->text, standards[i]) == 0) {
			(void)snprintf(file->standard, sizeof file->standard, "%s", standards[i]);
			return HYDRO_OK;
		}
	const char *nearest = arg->text ? hd_diag_nearest(arg->text, standard_name, NULL, HD_ARRAY_LEN(standards)) : NULL;
	return hd_compile_fail(compile, spec, "standard", nearest, err, "`standard` is mayor, medio, menor or muy_pequeno, not `%s`",
			       arg->text ? arg->text : "a number");
}

/* The level of a well is its water table, that of a channel its stage: whichever the plan knows. */
static const char *level_default(const struct hd_compile *compile)
{
	bool stage = hd_compile_slot_of(compile, HD_METRIC_STAGE) != HD_SLOT_NONE;
	return stage && hd_compile_slot_of(compile, HD_METRIC_WATER_TABLE) == HD_SLOT_NONE ? "stage" : "water_table";
}

/* A number is filed in the unit that the regulator wants, so its own must be known. */
static int check_filed(struct hd_compile *compile, const struct hd_spec_step *spec, const char *option, uint8_t slot, const char *unit,
		       const char *other_unit, struct hydro_error *err)
{
	const struct hd_spec_arg *arg = hd_spec_arg(spec, option);
	const char *have = hd_compile_unit(compile, slot), *name = arg && arg->text ? arg->text : option;
	if (have[0] == '\0')
		return hd_compile_fail(compile, spec, option, hd_compile_nearest(compile, name), err,
				       "`%s` is made by no step and has no unit that is known: it cannot be filed (a `convert` gives a metric its unit)", name);
	if (strcmp(have, unit) != 0 && strcmp(have, other_unit) != 0)
		return hd_compile_fail(compile, spec, option, NULL, err, "`%s` is in %s, `%s` must be in %s", name, have, option,
				       unit == other_unit ? unit : "m (water table) or cm (stage)");
	return HYDRO_OK;
}

static int check_file(struct hd_compile *compile, struct hd_step *step, const struct hd_spec_step *spec, struct hydro_error *err)
{
	struct hd_file_spec *file = hd_compile_file(compile);
	int rc = take_regulator(compile, spec, file, err);
	if (rc == HYDRO_OK)
		rc = take_standard(compile, spec, file, err);
	if (rc == HYDRO_OK && step->in[IN_LEVEL] == HD_SLOT_NONE) {
		step->in[IN_LEVEL] = hd_compile_slot(compile, spec, "level", level_default(compile), err);
		rc = step->in[IN_LEVEL] == HD_SLOT_NONE ? HYDRO_E_CONFIG : HYDRO_OK;
	}
	if (rc == HYDRO_OK)
		rc = check_filed(compile, spec, "flow", step->in[IN_FLOW], "l/s", "l/s", err);
	if (rc == HYDRO_OK)
		rc = check_filed(compile, spec, "total", step->in[IN_TOTAL], "m3", "m3", err);
	if (rc == HYDRO_OK)
		rc = check_filed(compile, spec, "level", step->in[IN_LEVEL], "m", "cm", err);
	if (rc != HYDRO_OK)
		return rc;
	file->flow = hd_compile_metric(compile, step->in[IN_FLOW]);
	file->total = hd_compile_metric(compile, step->in[IN_TOTAL]);
	file->level = hd_compile_metric(compile, step->in[IN_LEVEL]);
	file->min_quality = (float)step->consts[C_MIN_QUALITY];
	return HYDRO_OK;
}

static const struct hd_step_option file_options[] = {
	{"regulator", HD_OPT_NAMES, HD_OPT_REQUIRED | HD_OPT_POSITIONAL, "", NULL, 0, 0, 0, "with whom: \"dga\""},
	{"standard", HD_OPT_NAMES, 0, "", NULL, 0, 0, 0, "mayor, medio, menor or muy_pequeno; the work's own when not given"},
	{"flow", HD_OPT_INPUT, 0, "l/s", "flow", 0, 0, 0, "filed as caudal"},
	{"total", HD_OPT_INPUT, 0, "m3", "total", 0, 0, 0, "filed as totalizador"},
	{"level", HD_OPT_INPUT, HD_OPT_ABSENT, "", NULL, 0, 0, 0,
	 "filed as nivel freático (m) or altura limnimétrica (cm): `water_table`, or `stage` in a plan that knows only that"},
	{"min_quality", HD_OPT_CONST, 0, "", NULL, 0, 0, 1, "a measurement with a worse metric among these is not filed; 0: odd values are filed as read"},
};

const struct hd_step_kind hd_steps_out[] = {
	{.name = "to", .doc = "Names the sinks that get the measurement.", .formula = "", .state = "", .flags = "", .options = to_options,
	 .option_count = HD_ARRAY_LEN(to_options), .bits = HD_STEP_NO_CODE, .check = check_to},
	{.name = "file",
	 .doc = "Lets the measurement be filed with the regulator, once in a pipeline. Without it nothing of the point is filed. What `clock`, `unprocessed` or "
		"not yet run in order (late) stays out.",
	 .formula = "fileable = one of the metrics is there, and none that is there has a quality below min_quality", .state = "", .flags = "",
	 .options = file_options, .option_count = HD_ARRAY_LEN(file_options), .run = run_file, .check = check_file},
};
const uint32_t hd_steps_out_count = HD_ARRAY_LEN(hd_steps_out);
