/* SPDX-License-Identifier: MIT */
/*
 * A line of Lua, or steps, over a point's recent measurements: for people who look at data while they write a script. The line
 * becomes a script of its own, built and run in the builder's state on the caller's thread, so it has the sandbox and the
 * budgets of any step, and no worker, state or stored value is touched.
 */
#include "pipeline/past.h"
#include "pipeline/run_lua.h"
#include "pipeline/scripts_inner.h"

#include "base/clock.h"
#include "base/timefmt.h"
#include "model/flags.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 50000u
#define RUN_UP 100u     /* readings before the first one told, for steps with state */
#define OVERRUNS_MAX 3u /* then the rest is not run */
#define DAY_MS (24 * 3600 * HD_MS_PER_S)

enum kind { KIND_STEPS, KIND_EXPRESSION, KIND_STATEMENTS, KIND_COUNT };
static const char *const kind_names[KIND_COUNT] = {"steps", "expression", "statements"};

struct eval {
	struct hd_scripts *s;
	const struct hd_scripts_eval *what;
	const struct hd_point *point;
	struct hd_past past;
	struct hd_script *script;
	enum kind kind;
	uint32_t lines_before; /* of the script, before the code */
	uint32_t code_lines;
	uint32_t prelude_line; /* where the prelude begins */
	struct hd_plan *plan;
	uint8_t *state;
	struct hd_run *run;
	struct hd_buf *json;
	struct hd_buf value;   /* of the reading under way */
	char fault[HD_DIAG_TEXT_BYTES]; /* the last one */
	uint32_t overruns, faults, told;
};

/* ---- the script ---- */

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* "range { …", "function (m) …": what build returns, rather than what a step does. */
static bool is_steps(const char *code)
{
	code += strspn(code, " \t\r\n");
	size_t len = 0;
	while (is_word(code[len]))
		len++;
	const char *after = code + len + strspn(code + len, " \t\r\n");
	if (len == 8 && strncmp(code, "function", len) == 0)
		return *after == '(';
	if (*after != '{')
		return false;
	char name[64];
	(void)snprintf(name, sizeof name, "%.*s", (int)HD_MIN(len, sizeof name - 1), code);
	return strcmp(name, HD_SPEC_KIND_LUA) == 0 || hd_step_kind_find(name) != NULL;
}

/* Whether a text that is no expression was meant as statements: a word that begins one, or an assignment. */
static bool looks_like_statements(const char *code)
{
	static const char *const words[] = {"if", "for", "while", "local", "repeat", "do", "return", "goto"};
	code += strspn(code, " \t\r\n");
	for (size_t i = 0; i < HD_ARRAY_LEN(words); i++) {
		size_t len = strlen(words[i]);
		if (strncmp(code, words[i], len) == 0 && !is_word(code[len]))
			return true;
	}
	for (const char *at = code; (at = strchr(at, '=')) != NULL; at++) {
		if (at[1] == '=')
			at++;
		else if (at == code || !strchr("=~<>", at[-1]))
			return true;
	}
	return false;
}

static uint32_t count_lines(const struct hd_buf *text)
{
	uint32_t lines = 0;
	for (size_t i = 0; i < text->len; i++)
		lines += text->data[i] == '\n';
	return lines;
}

/* The metrics that the readings have read as nil where one lacks them; any other name that is unknown is an error. */
static void add_metrics(struct eval *e, struct hd_buf *text)
{
	hd_buf_add_text(text, "local metrics = {");
	for (uint32_t metric = 1, last = hd_names_count(e->s->config.names, HD_NAME_METRIC); metric <= last; metric++) {
		const char *name = hd_names_get(e->s->config.names, HD_NAME_METRIC, metric);
		if (name)
			hd_buf_printf(text, "[\"%s\"]=true,", name);
	}
	hd_buf_add_text(text, "}\n");
}

static const char function_head[] =
	"lua { state = { \"a\", \"b\", \"c\", \"n\", \"last\", \"sum\" }, function (m, state, point) local _ENV = setmetatable({ m = m, state = state, point = point }, "
	"{ __index = function (_, k) local v = m[k] if v ~= nil or metrics[k] then return v end return globals[k] end, "
	"__newindex = function (_, k, v) m[k] = v end })";

static int make_script(struct eval *e, struct hydro_error *err)
{
	struct hd_buf text = {0};
	hd_buf_add_text(&text, "local globals = _ENV\n");
	add_metrics(e, &text);
	e->prelude_line = count_lines(&text);
	hd_buf_add_text(&text, e->what->prelude ? e->what->prelude : "");
	hd_buf_add_text(&text, "\nreturn pipeline { name = \"repl\", build = function (point) return { ");
	if (e->kind != KIND_STEPS)
		hd_buf_add_text(&text, function_head);
	hd_buf_add_text(&text, e->kind == KIND_EXPRESSION ? " return\n" : "\n");
	e->lines_before = count_lines(&text);
	hd_buf_add(&text, e->what->code, e->what->code_len);
	e->code_lines = count_lines(&text) - e->lines_before + 1;
	hd_buf_add_text(&text, e->kind == KIND_STEPS ? "\n} end }\n" : "\nend } } end }\n");
	hd_script_unref(&e->script);
	int rc = text.failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for a line of Lua") : hd_scripts_load_text(e->s, "repl", text.data, text.len, &e->script, err);
	hd_buf_done(&text);
	return rc;
}

/* Places are those of the line that was typed. */
static void place(const struct eval *e, struct hd_diag *diag)
{
	(void)snprintf(diag->file, sizeof diag->file, "%s", diag->line > e->prelude_line && diag->line <= e->lines_before ? "prelude" : "line");
	if (diag->line <= e->lines_before) {
		diag->line -= HD_MIN(diag->line, e->prelude_line);
		return;
	}
	diag->line -= e->lines_before;
	if (diag->line > e->code_lines) { /* what stands behind it is ours: nobody typed that `end` */
		diag->line = e->code_lines;
		diag->column = 0;
		(void)snprintf(diag->message, sizeof diag->message, "it ends too early");
	}
}

/* Attaches the code as an expression, or as statements where it is none. */
static int attach(struct eval *e, struct hd_diag *ret, struct hydro_error *err)
{
	struct hydro_error why = {.struct_size = sizeof why};
	struct hd_diag diag = {0};
	enum kind first = is_steps(e->what->code) ? KIND_STEPS : KIND_EXPRESSION, last = first == KIND_STEPS ? KIND_STEPS : KIND_STATEMENTS;
	bool statements = looks_like_statements(e->what->code);
	int rc = HYDRO_OK;
	for (e->kind = first; e->kind <= last; e->kind++) {
		rc = make_script(e, err);
		if (rc != HYDRO_OK)
			return rc;
		rc = hd_lua_attach(e->s->builder, e->script, &diag, &why);
		if (rc == HYDRO_OK)
			return rc;
		if (e->kind == first || statements) {
			*ret = diag;
			place(e, ret);
		}
	}
	char text[sizeof err->text];
	hd_diag_text(ret, text, sizeof text);
	return hd_error_set(err, rc, "%s", text);
}

/* Names of rules and generations are kept for ever: a line that is typed once brings none but "repl/…". */
static int make_plan(struct eval *e, struct hd_diag *diag, struct hydro_error *err)
{
	struct hd_plan_fault fault = {0};
	int rc = hd_script_build(e->s->builder, e->script, e->point, &e->s->spec, diag, err);
	if (rc == HYDRO_OK) {
		e->s->spec.script = "repl";
		rc = hd_plan_compile(hd_pipeline_shapes(e->s->pipeline), &e->s->spec, 0, e->script, &e->plan, &fault, err);
		if (rc != HYDRO_OK) {
			hd_diag_from_lua(diag, "repl", hd_script_text(e->script), err->text);
			diag->line = fault.line;
			diag->column = fault.option[0] ? hd_diag_column(hd_script_text(e->script), fault.line, fault.option) : 0;
			if (fault.nearest[0])
				(void)snprintf(diag->hint, sizeof diag->hint, "did you mean '%s'?", fault.nearest);
		}
	}
	if (rc != HYDRO_OK) {
		place(e, diag);
		char text[sizeof err->text];
		hd_diag_text(diag, text, sizeof text);
		return hd_error_set(err, rc, "%s", text);
	}
	size_t bytes = (e->plan->shape->state_bytes + 64u) & ~63u;
	e->state = aligned_alloc(64, bytes);
	e->run = calloc(1, sizeof *e->run);
	if (!e->state || !e->run)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a line of Lua");
	hd_shape_state_init(e->plan->shape, e->state);
	return HYDRO_OK;
}

/* ---- the run ---- */

static int call_eval(void *arg, uint32_t worker, struct hd_script *script, uint32_t function, const struct hd_mview *view, double *slots,
		     const struct hd_point *point, struct hd_lua_fault *fault)
{
	struct eval *e = arg;
	(void)worker;
	if (e->kind == KIND_STEPS)
		return hd_lua_call_step(e->s->builder, script, function, view, slots, point, fault);
	return hd_lua_eval_step(e->s->builder, script, function, view, slots, point, &e->value, fault);
}

static int call_step(struct hd_run *run, const struct hd_step *step, struct hd_row *row, uint32_t i)
{
	struct eval *e = run->lua.arg;
	const struct hd_sample *sample = e->past.rows[row->sample];
	struct hd_run_lua_call how = {.call = call_eval, .arg = e, .raws = sample->raws, .raw_count = sample->raw_count};
	struct hd_lua_fault fault = {0};
	if (e->overruns >= OVERRUNS_MAX)
		return HYDRO_E_LIMIT;
	int rc = hd_run_call_lua(run, step, i, &how, &fault);
	if (rc == HYDRO_OK)
		return rc;
	struct hd_diag diag;
	e->faults++;
	e->overruns += rc == HYDRO_E_LIMIT;
	hd_diag_from_lua(&diag, "line", hd_script_text(e->script), fault.text);
	place(e, &diag);
	hd_diag_text(&diag, e->fault, sizeof e->fault);
	return rc;
}

/* What the pipeline made of the reading, and beside it the raw values of metrics that it has not. */
static uint32_t inputs(const struct hd_sample *sample, struct hd_value values[HD_METRICS_PER_SAMPLE_MAX])
{
	uint32_t count = HD_MIN(sample->value_count, HD_METRICS_PER_SAMPLE_MAX);
	if (count)
		memcpy(values, sample->values, count * sizeof *values);
	for (uint32_t i = 0; i < sample->raw_count && count < HD_METRICS_PER_SAMPLE_MAX; i++) {
		bool there = false;
		for (uint32_t k = 0; k < sample->value_count; k++)
			there |= sample->values[k].metric == sample->raws[i].metric;
		if (!there)
			values[count++] = sample->raws[i];
	}
	return count;
}

static void add_name(struct eval *e, uint32_t metric)
{
	const char *name = metric ? hd_names_get(e->s->config.names, HD_NAME_METRIC, metric) : NULL;
	if (metric)
		hd_buf_add_json(e->json, name ? name : "?", strlen(name ? name : "?"));
	else
		hd_buf_add_text(e->json, "null");
}

static void add_sets(struct eval *e, const struct hd_value *before, uint32_t before_count, const struct hd_value *after, uint32_t after_count)
{
	uint32_t n = 0;
	hd_buf_add_text(e->json, ",\"sets\":{");
	for (uint32_t i = 0; i < after_count; i++) {
		bool same = false;
		for (uint32_t k = 0; k < before_count; k++)
			same |= before[k].metric == after[i].metric && before[k].value == after[i].value;
		if (same)
			continue;
		hd_buf_add_text(e->json, n++ ? "," : "");
		add_name(e, after[i].metric);
		hd_buf_add_char(e->json, ':');
		hd_buf_add_number(e->json, after[i].value);
	}
	hd_buf_add_char(e->json, '}');
}

static void add_flags(struct eval *e, const struct hd_flag *flags, uint32_t count)
{
	hd_buf_add_text(e->json, ",\"flags\":[");
	for (uint32_t i = 0; i < count; i++) {
		hd_buf_printf(e->json, "%s{\"flag\":\"%s\",\"metric\":", i ? "," : "", hd_flag_text(e->s->config.names, &flags[i]));
		add_name(e, flags[i].metric);
		hd_buf_add_char(e->json, '}');
	}
	hd_buf_add_char(e->json, ']');
}

/* Row i of the run. */
static void tell(struct eval *e, const struct hd_sample *sample, uint32_t i)
{
	struct hd_value before[HD_METRICS_PER_SAMPLE_MAX], values[HD_METRICS_PER_SAMPLE_MAX];
	struct hd_flag flags[HD_FLAGS_PER_SAMPLE_MAX];
	uint32_t value_count, flag_count, before_count = inputs(sample, before);
	char ts[HD_TIME_TEXT];
	hd_time_format(sample->ts_ms, ts);
	hd_run_result(e->run, i, values, &value_count, flags, &flag_count);
	hd_buf_printf(e->json, "%s{\"ts\":\"%s\"", e->told++ ? "," : "", ts);
	if (e->kind != KIND_STEPS) {
		hd_buf_add_text(e->json, ",\"value\":");
		hd_buf_add_text(e->json, e->value.len ? hd_buf_text(&e->value) : "null");
	}
	add_sets(e, before, before_count, values, value_count);
	add_flags(e, flags, flag_count);
	if (e->run->rows[i].bits & HD_ROW_UNPROCESSED) {
		hd_buf_add_text(e->json, ",\"fault\":");
		hd_buf_add_json(e->json, e->fault, strlen(e->fault));
	}
	hd_buf_add_char(e->json, '}');
}

/* Steps see the readings together, for some look back; a function is called for one at a time, and its value told. */
static void run_all(struct eval *e, uint32_t first_told, uint32_t first)
{
	uint32_t rows = e->kind == KIND_STEPS ? HD_RUN_ROWS : 1;
	for (uint32_t at = first; at < e->past.count && e->overruns < OVERRUNS_MAX;) {
		hd_buf_clear(&e->value);
		hd_run_begin(e->run, e->plan->shape);
		e->run->amends = true; /* of what is told already nothing is run again */
		while (at < e->past.count && e->run->count < rows) {
			struct hd_value values[HD_METRICS_PER_SAMPLE_MAX];
			struct hd_row *row = hd_run_add(e->run, values, inputs(e->past.rows[at], values), e->past.rows[at]->ts_ms);
			row->sample = at++;
			row->params = e->plan->params;
			row->state = e->state;
			row->config = e->point;
		}
		hd_run_steps(e->run);
		for (uint32_t i = 0; i < e->run->count; i++)
			if (e->run->rows[i].sample >= first_told)
				tell(e, e->past.rows[e->run->rows[i].sample], i);
	}
}

/* ---- what is needed first ---- */

/* The window that was asked for; else as far back as it takes to have enough, but no further than a month. */
static int load(struct eval *e, struct hydro_error *err)
{
	static const int64_t back_ms[] = {3600 * HD_MS_PER_S, DAY_MS, 31 * DAY_MS};
	const struct hd_pipeline *p = e->s->pipeline;
	int64_t newest = hd_pipeline_newest(e->s->pipeline, e->point->index);
	int64_t to_ms = e->what->to_ms ? e->what->to_ms : newest + 1;
	if (e->what->from_ms)
		return hd_past_load(p, e->point->index, e->what->from_ms, to_ms, ROWS_MAX, &e->past, err);
	int rc = HYDRO_OK;
	for (size_t i = 0; i < HD_ARRAY_LEN(back_ms) && rc == HYDRO_OK && e->past.count < e->what->limit + RUN_UP; i++) {
		struct hd_past wider = {0};
		rc = hd_past_load(p, e->point->index, to_ms - back_ms[i], to_ms, ROWS_MAX, &wider, err);
		if (rc == HYDRO_E_LIMIT && e->past.count) { /* enough is there already */
			hd_past_done(&wider);
			return HYDRO_OK;
		}
		hd_past_done(&e->past);
		e->past = wider;
	}
	return rc;
}

static int locked(struct eval *e, struct hd_diag *diag, struct hydro_error *err)
{
	char id[HD_UUID_TEXT];
	int rc = attach(e, diag, err);
	if (rc != HYDRO_OK)
		return rc;
	rc = make_plan(e, diag, err);
	if (rc == HYDRO_OK) {
		e->run->lua = (struct hd_run_lua){call_step, e};
		uint32_t told = HD_MIN(e->past.count, e->what->limit), first = e->past.count - told;
		hd_uuid_format(&e->point->id, id);
		hd_buf_printf(e->json, "{\"point\":\"%s\",\"kind\":\"%s\",\"readings\":[", id, kind_names[e->kind]);
		run_all(e, first, e->kind == KIND_STEPS ? first - HD_MIN(first, RUN_UP) : first);
		hd_buf_printf(e->json, "],\"faults\":%u,\"stopped\":%s}", e->faults, e->overruns >= OVERRUNS_MAX ? "true" : "false");
		rc = e->json->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for an answer") : HYDRO_OK;
	}
	hd_plan_free(&e->plan); /* its Lua steps are of the script */
	hd_lua_detach(e->s->builder, e->script);
	return rc;
}

int hd_scripts_eval(struct hd_scripts *s, uint32_t point, const struct hd_scripts_eval *what, struct hd_buf *ret_json, struct hydro_error *err)
{
	struct eval e = {.s = s, .what = what, .point = hd_points_get(s->config.points, point), .json = ret_json};
	struct hd_diag diag = {0};
	if (!e.point)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "there is no point number %u", point);
	int rc = s->pipeline && s->pipeline->config.history ? load(&e, err) : hd_error_set(err, HYDRO_E_UNSUPPORTED, "this daemon keeps no history");
	if (rc == HYDRO_OK) {
		(void)pthread_mutex_lock(&s->lock);
		rc = locked(&e, &diag, err);
		(void)pthread_mutex_unlock(&s->lock);
	}
	if (rc != HYDRO_OK && diag.message[0]) {
		hd_buf_clear(ret_json);
		hd_buf_add_text(ret_json, "{\"result\":\"refused\",\"diagnostics\":[");
		hd_diag_json(&diag, ret_json);
		hd_buf_add_text(ret_json, "]}");
	}
	hd_past_done(&e.past);
	hd_buf_done(&e.value);
	hd_script_unref(&e.script);
	free(e.state);
	free(e.run);
	hd_point_unref(e.point);
	return rc;
}
