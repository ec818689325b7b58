/* SPDX-License-Identifier: MIT */
/* Trying a script without letting it live: builds, plans, selftest, and the diagnostics of all of them. */
#include "pipeline/scripts_inner.h"

#include "model/flags.h"
#include "pipeline/run.h"
#include "pipeline/run_lua.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hd_scripts_diag(struct hd_scripts_diags *diags, const struct hd_script *script, const struct hd_diag *diag, const struct hydro_error *err)
{
	if (diags->count == HD_SCRIPTS_DIAGS_MAX) {
		diags->more++;
		return;
	}
	struct hd_diag *to = &diags->diags[diags->count++];
	if (diag && diag->message[0])
		*to = *diag;
	else
		hd_diag_from_lua(to, script ? hd_script_file(script) : "", script ? hd_script_text(script) : NULL, err->text);
}

void hd_scripts_diags_json(const struct hd_scripts_diags *diags, struct hd_buf *ret_json)
{
	hd_buf_add_char(ret_json, '[');
	for (uint32_t i = 0; i < diags->count; i++) {
		if (i)
			hd_buf_add_char(ret_json, ',');
		hd_diag_json(&diags->diags[i], ret_json);
	}
	hd_buf_add_char(ret_json, ']');
}

/* What the compiler says, as a diagnostic at the step's line. */
static void diag_of_plan(const struct hd_script *script, const struct hd_plan_fault *fault, const struct hydro_error *err, struct hd_diag *ret)
{
	/* "t@0a5566a1: line 2: step 1 (rate): …": the place is told beside it. */
	const char *what = fault->line ? strstr(err->text, ": step ") : NULL, *file = hd_script_file(script), *source = hd_script_text(script);
	char lib_file[HD_DIAG_FILE_BYTES];
	if (fault->lib[0]) {
		(void)snprintf(lib_file, sizeof lib_file, "lib/%s.lua", fault->lib);
		file = lib_file;
		source = hd_script_lib_text(script, fault->lib);
	}
	hd_diag_from_lua(ret, file, source, what ? what + 2 : err->text);
	if (fault->line)
		ret->line = fault->line;
	ret->column = fault->option[0] ? hd_diag_column(source, ret->line, fault->option) : 0;
	if (fault->nearest[0])
		(void)snprintf(ret->hint, sizeof ret->hint, "did you mean '%s'?", fault->nearest);
}

int hd_scripts_build(struct hd_scripts *s, struct hd_script *script, const struct hd_point *point, struct hd_plan **ret,
		     struct hd_scripts_diags *diags, struct hydro_error *err)
{
	return hd_scripts_build_in(s, s->builder, &s->spec, script, point, ret, diags, err);
}

int hd_scripts_build_in(struct hd_scripts *s, struct hd_lua *lua, struct hd_spec *spec, struct hd_script *script, const struct hd_point *point,
			struct hd_plan **ret, struct hd_scripts_diags *diags, struct hydro_error *err)
{
	struct hd_diag diag = {0};
	struct hd_plan_fault fault = {0};
	uint32_t generation = 0;
	int rc = hd_script_build(lua, script, point, spec, &diag, err);
	if (lua == s->builder && s->trial && !hd_names_find(s->config.names, HD_NAME_GENERATION, hd_script_version(script)))
		spec->script = hd_script_name(script);
	else if (rc == HYDRO_OK)
		rc = hd_names_intern(s->config.names, HD_NAME_GENERATION, hd_script_version(script), &generation, err);
	if (rc == HYDRO_OK) {
		/* What goes live is of the pipeline's own shapes, which its stored plans are found among. */
		struct hd_shapes *shapes = s->pipeline ? hd_pipeline_shapes(s->pipeline) : s->shapes;
		rc = hd_plan_compile(shapes, spec, generation, script, ret, &fault, err);
		if (rc != HYDRO_OK)
			diag_of_plan(script, &fault, err, &diag);
		else
			(*ret)->config_version = point->version;
	}
	if (rc != HYDRO_OK) {
		size_t used = strlen(diag.message);
		(void)snprintf(diag.message + used, sizeof diag.message - used, " (point %s)", hd_point_name(point));
		hd_scripts_diag(diags, script, &diag, err);
	}
	return rc;
}

/* A selftest's run through a plan of its own; state and rows live as long. */
struct test_run {
	struct hd_scripts *s;
	struct hd_plan *plan;
	struct hd_shape_info info;
	struct hd_run *run;
	uint8_t *state;
	struct hd_value raws[HD_SELFTEST_VALUES_MAX];
	uint32_t raw_count;
	char fault[HD_DIAG_TEXT_BYTES];
};

int hd_scripts_call_builder(void *arg, uint32_t worker, struct hd_script *script, uint32_t function, const struct hd_mview *view, double *slots,
			    const struct hd_point *point, struct hd_lua_fault *fault)
{
	(void)worker;
	struct hd_scripts *s = arg;
	return hd_lua_call_step(s->builder, script, function, view, slots, point, fault);
}

static int call_step(struct hd_run *run, const struct hd_step *step, struct hd_row *row, uint32_t i)
{
	(void)row;
	struct test_run *test = run->lua.arg;
	struct hd_lua_fault fault = {0};
	struct hd_run_lua_call how = {.call = hd_scripts_call_builder, .arg = test->s, .raws = test->raws, .raw_count = test->raw_count};
	int rc = hd_run_call_lua(run, step, i, &how, &fault);
	if (rc != HYDRO_OK)
		(void)snprintf(test->fault, sizeof test->fault, "%s", fault.text);
	return rc;
}

static void take_result(struct test_run *test, struct hd_selftest_reading *reading)
{
	struct hd_value values[HD_METRICS_PER_SAMPLE_MAX];
	struct hd_flag flags[HD_FLAGS_PER_SAMPLE_MAX];
	uint32_t value_count, flag_count;
	hd_run_result(test->run, 0, values, &value_count, flags, &flag_count);
	uint16_t bits = hd_run_sample_bits(test->run, 0, 0);
	reading->unprocessed = bits & HD_SAMPLE_UNPROCESSED;
	reading->fileable = bits & HD_SAMPLE_FILE;
	reading->value_count = HD_MIN(value_count, HD_SELFTEST_VALUES_MAX);
	for (uint32_t i = 0; i < reading->value_count; i++)
		reading->values[i] = (struct hd_selftest_value){values[i].metric, values[i].quality, values[i].value};
	reading->flag_count = HD_MIN(flag_count, HD_SELFTEST_FLAGS_MAX);
	for (uint32_t i = 0; i < reading->flag_count; i++) {
		reading->flags[i].metric = flags[i].metric;
		(void)snprintf(reading->flags[i].name, sizeof reading->flags[i].name, "%s", hd_flag_text(test->s->config.names, &flags[i]));
	}
}

static int run_reading(struct test_run *test, const struct hd_point *point, struct hd_selftest_reading *reading, struct hydro_error *err)
{
	test->raw_count = reading->raw_count;
	for (uint32_t i = 0; i < reading->raw_count; i++)
		test->raws[i] = (struct hd_value){reading->raws[i].value, reading->raws[i].metric, reading->raws[i].quality};
	test->fault[0] = '\0';
	hd_run_begin(test->run, test->plan->shape);
	struct hd_row *row = hd_run_add(test->run, test->raws, test->raw_count, reading->ts_ms);
	HD_ASSERT(row);
	row->params = test->plan->params;
	row->state = test->state;
	row->config = point;
	hd_run_steps(test->run);
	take_result(test, reading);
	return test->fault[0] ? hd_error_set(err, HYDRO_E_CONFIG, "%s", test->fault) : HYDRO_OK;
}

/* hd_selftest_run_fn: the plan's Lua steps run in the builder's state, the selftest itself in the tester's. */
static int run_readings(void *arg, struct hd_script *script, const struct hd_point *point, struct hd_selftest_reading *readings, uint32_t count,
			struct hydro_error *err)
{
	struct hd_scripts_diags diags = {.count = 0};
	struct test_run test = {.s = arg};
	int rc = hd_scripts_build(arg, script, point, &test.plan, &diags, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_shape_info(test.plan->shape, &test.info);
	test.run = calloc(1, sizeof *test.run);
	test.state = calloc(1, (size_t)test.info.state_bytes + 8);
	if (!test.run || !test.state)
		rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory for a selftest");
	if (rc == HYDRO_OK) {
		hd_shape_state_init(test.plan->shape, test.state);
		test.run->lua = (struct hd_run_lua){call_step, &test};
	}
	for (uint32_t i = 0; i < count && rc == HYDRO_OK; i++)
		rc = run_reading(&test, point, &readings[i], err);
	free(test.run);
	free(test.state);
	hd_plan_free(&test.plan);
	return rc;
}

/* One point that is in no table. */
static int build_with(struct hd_scripts *s, struct hd_script *script, const char *name, const char *params, struct hd_scripts_diags *diags,
		      struct hydro_error *err)
{
	struct hd_point *point = NULL;
	struct hd_plan *plan = NULL;
	int rc = hd_lua_point_new(name, params, &point, err);
	if (rc != HYDRO_OK)
		hd_scripts_diag(diags, script, NULL, err);
	else
		rc = hd_scripts_build(s, script, point, &plan, diags, err);
	hd_plan_free(&plan);
	free(point);
	return rc;
}

int hd_scripts_build_bare(struct hd_scripts *s, struct hd_script *script, struct hd_scripts_diags *diags, struct hydro_error *err)
{
	uint32_t before = diags->count;
	int rc = build_with(s, script, "without params", "{}", diags, err);
	for (uint32_t i = before; i < diags->count; i++)
		if (!diags->diags[i].hint[0])
			(void)snprintf(diags->diags[i].hint, sizeof diags->diags[i].hint, "if points need params, give some: samples = { { … } } in pipeline {}");
	return rc;
}

static int try_samples(struct hd_scripts *s, struct hd_script *script, uint32_t *ret_samples, struct hd_scripts_diags *diags,
		       struct hydro_error *err)
{
	uint32_t count = hd_script_sample_count(s->builder, script);
	int rc = HYDRO_OK;
	*ret_samples = count;
	for (uint32_t i = 0; i < count && rc == HYDRO_OK; i++) {
		struct hd_buf params = {0};
		char name[24];
		(void)snprintf(name, sizeof name, "sample %u", i + 1);
		rc = hd_script_sample(s->builder, script, i, &params, err);
		if (rc != HYDRO_OK)
			hd_scripts_diag(diags, script, NULL, err);
		else
			rc = build_with(s, script, name, hd_buf_text(&params), diags, err);
		hd_buf_done(&params);
	}
	return rc;
}

static int try_selftest(struct hd_scripts *s, struct hd_script *script, struct hd_scripts_diags *diags, struct hydro_error *err)
{
	struct hd_diag diag = {0};
	int rc = hd_lua_attach(s->tester, script, &diag, err);
	if (rc == HYDRO_OK) {
		rc = hd_script_selftest(s->tester, script, run_readings, s, &diag, err);
		hd_lua_detach(s->tester, script);
	}
	if (rc != HYDRO_OK)
		hd_scripts_diag(diags, script, &diag, err);
	return rc;
}

static int try_script(struct hd_scripts *s, struct hd_script *script, uint32_t *ret_samples, struct hd_scripts_diags *diags, struct hydro_error *err)
{
	struct hd_diag diag = {0};
	int rc = hd_lua_attach(s->builder, script, &diag, err);
	if (rc != HYDRO_OK) {
		hd_scripts_diag(diags, script, &diag, err);
		return rc;
	}
	rc = try_samples(s, script, ret_samples, diags, err);
	if (rc == HYDRO_OK)
		rc = try_selftest(s, script, diags, err);
	if (rc != HYDRO_OK)
		hd_lua_detach(s->builder, script);
	return rc;
}

int hd_scripts_try(struct hd_scripts *s, struct hd_script *script, uint32_t *ret_samples, struct hd_scripts_diags *diags, struct hydro_error *err)
{
	bool was = s->trial;
	s->trial = true;
	int rc = try_script(s, script, ret_samples, diags, err);
	s->trial = was;
	return rc;
}
