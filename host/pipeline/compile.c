/* SPDX-License-Identifier: MIT */
#include "pipeline/compile.h"

#include "base/hash.h"
#include "base/timefmt.h"
#include "lua/lua.h"
#include "pipeline/detect.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int hd_compile_fail(struct hd_compile *c, const struct hd_spec_step *spec, const char *option, const char *nearest, struct hydro_error *err,
		    const char *fmt, ...)
{
	char what[256];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	if (c->fault) {
		*c->fault = (struct hd_plan_fault){.step = c->at, .line = spec->line};
		(void)snprintf(c->fault->lib, sizeof c->fault->lib, "%s", spec->lib ? spec->lib : "");
		(void)snprintf(c->fault->option, sizeof c->fault->option, "%s", option ? option : "");
		(void)snprintf(c->fault->nearest, sizeof c->fault->nearest, "%s", nearest ? nearest : "");
	}
	char lib[80] = "";
	if (spec->lib)
		(void)snprintf(lib, sizeof lib, "lib/%.60s.lua: ", spec->lib);
	return hd_error_set(err, HYDRO_E_CONFIG, "%s: %sline %u: step %u (%s): %s%s%s%s", c->spec->script ? c->spec->script : "pipeline", lib, spec->line,
			    c->at + 1, spec->kind, what, nearest ? "; did you mean `" : "", nearest ? nearest : "", nearest ? "`?" : "");
}

/* ---- slots ---- */

static uint8_t add_slot(struct hd_compile *c, uint32_t metric, const char *unit)
{
	if (c->slot_count == HD_PLAN_SLOTS_MAX)
		return HD_SLOT_NONE;
	c->metrics[c->slot_count] = metric;
	c->units[c->slot_count] = unit;
	return (uint8_t)c->slot_count++;
}

uint8_t hd_compile_hidden_slot(struct hd_compile *c)
{
	uint8_t slot = add_slot(c, 0, "");
	if (slot != HD_SLOT_NONE)
		c->hidden |= UINT64_C(1) << slot;
	return slot;
}

uint8_t hd_compile_slot(struct hd_compile *c, const struct hd_spec_step *spec, const char *option, const char *metric, struct hydro_error *err)
{
	uint32_t number;
	struct hydro_error why = {.struct_size = sizeof why};
	if (hd_names_intern(c->shapes->names, HD_NAME_METRIC, metric, &number, &why) != HYDRO_OK) {
		(void)hd_compile_fail(c, spec, option, NULL, err, "`%s`: %s", option, why.text);
		return HD_SLOT_NONE;
	}
	uint8_t slot = hd_compile_slot_of(c, number);
	slot = slot == HD_SLOT_NONE ? add_slot(c, number, hd_metric_unit(number)) : slot;
	if (slot == HD_SLOT_NONE)
		(void)hd_compile_fail(c, spec, option, NULL, err, "the plan names more than %u metrics", HD_PLAN_SLOTS_MAX);
	return slot;
}

const char *hd_compile_unit(const struct hd_compile *c, uint8_t slot)
{
	return c->units[slot];
}

void hd_compile_set_unit(struct hd_compile *c, uint8_t slot, const char *unit)
{
	c->units[slot] = unit;
}

uint32_t hd_compile_metric(const struct hd_compile *c, uint8_t slot)
{
	return c->metrics[slot];
}

const struct hd_step *hd_compile_counter_of(const struct hd_compile *c, uint8_t slot)
{
	for (uint32_t i = c->step_count; i-- > 0;)
		for (uint32_t k = 0; k < c->steps[i].out_count; k++)
			if (c->steps[i].out[k] == slot)
				return strcmp(c->steps[i].kind->name, "counter") == 0 && k == 0 ? &c->steps[i] : NULL;
	return NULL;
}

bool hd_compile_sink_known(const struct hd_compile *c, const char *name, const char **ret_nearest)
{
	struct hd_shapes *shapes = c->shapes;
	bool known = false;
	*ret_nearest = NULL;
	(void)pthread_mutex_lock(&shapes->lock);
	for (uint32_t i = 0; i < shapes->sink_count; i++)
		known |= strcmp(shapes->sinks[i], name) == 0;
	for (uint32_t i = 0; !known && i < shapes->sink_count; i++)
		if (strncmp(shapes->sinks[i], name, 3) == 0)
			*ret_nearest = shapes->sinks[i];
	known |= !shapes->sinks_known;
	(void)pthread_mutex_unlock(&shapes->lock);
	return known;
}

uint8_t hd_compile_slot_of(const struct hd_compile *c, uint32_t metric)
{
	for (uint32_t i = 0; i < c->slot_count; i++)
		if (c->metrics[i] == metric)
			return (uint8_t)i;
	return HD_SLOT_NONE;
}

/* Those of the plan first, then those that every plan may name. */
static const char *metric_name(const void *arg, uint32_t i)
{
	const struct hd_compile *c = arg;
	bool own = i < c->slot_count;
	const char *name = hd_names_get(c->shapes->names, HD_NAME_METRIC, own ? c->metrics[i] : i - c->slot_count + 1);
	return name && (!own || c->units[i][0]) ? name : "";
}

const char *hd_compile_nearest(const struct hd_compile *c, const char *name)
{
	const char *nearest = hd_diag_nearest(name, metric_name, c, c->slot_count + HD_METRIC_FIRST_FREE - 1);
	return nearest && nearest[0] ? nearest : NULL;
}

void hd_compile_set_target(struct hd_compile *c, const char *target)
{
	(void)snprintf(c->target, sizeof c->target, "%s", target);
}

void hd_compile_set_source(struct hd_compile *c, const char *source)
{
	(void)snprintf(c->source, sizeof c->source, "%s", source);
}

bool hd_compile_add_param(struct hd_compile *c, double number)
{
	if (c->param_count == HD_PLAN_PARAMS_MAX)
		return false;
	c->params[c->param_count++] = number;
	return true;
}

const char *hd_compile_metric_name(const struct hd_compile *c, uint8_t slot)
{
	return hd_names_get(c->shapes->names, HD_NAME_METRIC, c->metrics[slot]);
}

static const char *detector_name(const void *arg, uint32_t i)
{
	return ((const struct hd_detectors *)arg)->list[i]->name;
}

struct hd_detector *hd_compile_detector(const struct hd_compile *c, const char *name, const char **ret_nearest)
{
	(void)pthread_mutex_lock(&c->shapes->lock);
	const struct hd_detectors *all = c->shapes->detectors;
	(void)pthread_mutex_unlock(&c->shapes->lock);
	for (uint32_t i = 0; all && i < all->count; i++)
		if (strcmp(all->list[i]->name, name) == 0)
			return all->list[i];
	*ret_nearest = all ? hd_diag_nearest(name, detector_name, all, all->count) : NULL;
	return NULL;
}

struct hd_file_spec *hd_compile_file(struct hd_compile *c)
{
	return &c->file;
}

void hd_compile_add_sink(struct hd_compile *c)
{
	c->sinks_named++;
}

/* ---- options ---- */

static const char *kind_name(const void *kinds, uint32_t i)
{
	return ((const struct hd_step_kind *)kinds)[i].name;
}

static const char *option_name(const void *kind, uint32_t i)
{
	return ((const struct hd_step_kind *)kind)->options[i].name;
}

/* The value given for an option, by key or by place, or NULL. */
static const struct hd_spec_arg *arg_of(const struct hd_spec_step *spec, const struct hd_step_option *option)
{
	const struct hd_spec_arg *arg = hd_spec_arg(spec, option->name);
	return !arg && option->flags & HD_OPT_POSITIONAL ? hd_spec_arg(spec, "") : arg;
}

static int check_keys(struct hd_compile *c, const struct hd_step_kind *kind, const struct hd_spec_step *spec, struct hydro_error *err)
{
	for (uint32_t i = 0; i < spec->arg_count; i++) {
		const char *key = spec->args[i].key;
		bool known = strcmp(key, "id") == 0;
		for (uint32_t k = 0; k < kind->option_count; k++)
			known |= strcmp(key, kind->options[k].name) == 0 || (key[0] == '\0' && kind->options[k].flags & HD_OPT_POSITIONAL);
		if (known)
			continue;
		if (key[0] == '\0')
			return hd_compile_fail(c, spec, "", NULL, err, "takes no value without a key");
		return hd_compile_fail(c, spec, key, hd_diag_nearest(key, option_name, kind, kind->option_count), err, "unknown option `%s`", key);
	}
	return HYDRO_OK;
}

/* The single text of a metric's option; also a list of one, as positional values come. */
static const char *one_text(const struct hd_spec_arg *arg)
{
	if (arg->type == HD_ARG_TEXT)
		return arg->text;
	return arg->type == HD_ARG_TEXTS && arg->count == 1 ? arg->texts[0] : NULL;
}

static int take_unit(struct hd_compile *c, const struct hd_step_option *option, const struct hd_spec_step *spec, uint8_t slot, struct hydro_error *err)
{
	const char *have = c->units[slot];
	if (option->type == HD_OPT_INPUT && option->unit[0] && have[0] && strcmp(option->unit, have) != 0)
		return hd_compile_fail(c, spec, option->name, NULL, err, "`%s` is in %s, `%s` must be in %s",
				       hd_names_get(c->shapes->names, HD_NAME_METRIC, c->metrics[slot]), have, option->name, option->unit);
	if (option->type == HD_OPT_OUTPUT && option->unit[0])
		c->units[slot] = option->unit;
	return HYDRO_OK;
}

static int take_metric(struct hd_compile *c, struct hd_step *step, const struct hd_step_option *option, const struct hd_spec_step *spec,
		       struct hydro_error *err)
{
	const struct hd_spec_arg *arg = arg_of(spec, option);
	const char *name = arg ? one_text(arg) : option->metric;
	if (arg && !name)
		return hd_compile_fail(c, spec, option->name, NULL, err, "`%s` must be the name of one metric", option->name);
	uint8_t slot = HD_SLOT_NONE;
	if (name) {
		slot = hd_compile_slot(c, spec, option->name, name, err);
		if (slot == HD_SLOT_NONE)
			return HYDRO_E_CONFIG;
		int rc = take_unit(c, option, spec, slot, err);
		if (rc != HYDRO_OK)
			return rc;
	} else if (option->flags & HD_OPT_AS_INPUT) {
		slot = step->in[0];
	}
	if (option->type == HD_OPT_INPUT)
		step->in[step->in_count++] = slot;
	else
		step->out[step->out_count++] = slot;
	return HYDRO_OK;
}

static int take_inputs(struct hd_compile *c, struct hd_step *step, const struct hd_step_option *option, const struct hd_spec_step *spec,
		       struct hydro_error *err)
{
	const struct hd_spec_arg *arg = arg_of(spec, option);
	if (arg->type != HD_ARG_TEXTS || arg->count > HD_STEP_METRICS_MAX)
		return hd_compile_fail(c, spec, option->name, NULL, err, "`%s` takes 1 to %u metrics", option->name, HD_STEP_METRICS_MAX);
	for (uint32_t i = 0; i < arg->count; i++) {
		uint8_t slot = hd_compile_slot(c, spec, option->name, arg->texts[i], err);
		if (slot == HD_SLOT_NONE)
			return HYDRO_E_CONFIG;
		const char *first = c->units[step->in_count ? step->in[0] : slot];
		if (first[0] && c->units[slot][0] && strcmp(first, c->units[slot]) != 0)
			return hd_compile_fail(c, spec, option->name, NULL, err, "`%s` is in %s, the others in %s", arg->texts[i], c->units[slot], first);
		step->in[step->in_count++] = slot;
	}
	return HYDRO_OK;
}

static int number_of(struct hd_compile *c, const struct hd_step_option *option, const struct hd_spec_step *spec, double *ret, struct hydro_error *err)
{
	const struct hd_spec_arg *arg = arg_of(spec, option);
	if (!arg) {
		*ret = option->flags & HD_OPT_ABSENT ? (double)NAN : option->fallback;
		return HYDRO_OK;
	}
	int64_t ms;
	bool ok = true;
	if (option->type == HD_OPT_BOOL)
		ok = arg->type == HD_ARG_BOOL, *ret = arg->number;
	else if (option->type == HD_OPT_DURATION && arg->type == HD_ARG_TEXT && (ok = hd_duration_parse(arg->text, &ms)))
		*ret = (double)ms;
	else if (arg->type == HD_ARG_NUMBER)
		*ret = option->type == HD_OPT_DURATION ? arg->number * 1000.0 : arg->number;
	else
		ok = false;
	if (!ok || !isfinite(*ret))
		return hd_compile_fail(c, spec, option->name, NULL, err, "`%s` must be %s", option->name,
				       option->type == HD_OPT_BOOL ? "true or false" : option->type == HD_OPT_DURATION ? "a duration such as \"2h\"" : "a number");
	bool bounded = option->max > option->min;
	bool least = option->max <= option->min && option->min > 0;
	if ((bounded && (*ret < option->min || *ret > option->max)) || (least && *ret < option->min))
		return hd_compile_fail(c, spec, option->name, NULL, err, "`%s` = %g is out of %g … %g", option->name, *ret, option->min,
				       bounded ? option->max : (double)INFINITY);
	return HYDRO_OK;
}

double *hd_compile_add_table(struct hd_compile *c, struct hd_step *step, const struct hd_spec_step *spec, const char *option, uint32_t count,
			     struct hydro_error *err)
{
	if (count > HD_COMPILE_TABLE_MAX - c->table_count) {
		(void)hd_compile_fail(c, spec, option, NULL, err, "more than %u numbers in all tables", HD_COMPILE_TABLE_MAX);
		return NULL;
	}
	double *table = c->table + c->table_count;
	step->table = table;
	step->table_rows = count;
	c->table_at[c->step_count] = c->table_count;
	c->table_count += count;
	return table;
}

static int take_option(struct hd_compile *c, struct hd_step *step, const struct hd_step_option *option, uint32_t *consts,
		       const struct hd_spec_step *spec, struct hydro_error *err)
{
	if (option->flags & HD_OPT_REQUIRED && !arg_of(spec, option))
		return hd_compile_fail(c, spec, option->name, NULL, err, "`%s` is missing", option->name);
	double number = 0;
	switch (option->type) {
	case HD_OPT_INPUT:
	case HD_OPT_OUTPUT:
		return take_metric(c, step, option, spec, err);
	case HD_OPT_INPUTS:
		return take_inputs(c, step, option, spec, err);
	case HD_OPT_PARAM:
	case HD_OPT_CONST:
	case HD_OPT_DURATION:
	case HD_OPT_BOOL:
		break;
	default:
		return HYDRO_OK; /* names and units are the kind's own affair */
	}
	int rc = number_of(c, option, spec, &number, err);
	if (rc != HYDRO_OK)
		return rc;
	if (option->type != HD_OPT_PARAM) {
		HD_ASSERT(*consts < HD_STEP_CONSTS_MAX);
		step->consts[(*consts)++] = number;
		return HYDRO_OK;
	}
	if (c->param_count == HD_PLAN_PARAMS_MAX)
		return hd_compile_fail(c, spec, option->name, NULL, err, "the plan has more than %u numbers", HD_PLAN_PARAMS_MAX);
	c->params[c->param_count++] = number;
	return HYDRO_OK;
}

/* ---- steps ---- */

/* Label, rule and identity: "kind:target", or "kind:id" when the script gave one. */
static int name_step(struct hd_compile *c, struct hd_step *step, const struct hd_spec_step *spec, struct hydro_error *err)
{
	uint32_t slot = step->out_count && step->out[0] != HD_SLOT_NONE ? step->out[0] : step->in_count ? step->in[0] : HD_SLOT_NONE;
	const char *target = spec->id && spec->id[0] ? spec->id : c->target[0] ? c->target : slot != HD_SLOT_NONE ? hd_names_get(c->shapes->names, HD_NAME_METRIC, c->metrics[slot]) : "";
	char number[16];
	if (!target[0] && step->kind == &hd_step_lua) {
		(void)snprintf(number, sizeof number, "%u", spec->function + 1);
		target = number;
	}
	(void)snprintf(step->label, sizeof step->label, "%s%s%.40s", spec->kind, target[0] ? ":" : "", target);
	uint32_t twins = 1;
	for (uint32_t i = 0; i < c->step_count; i++)
		twins += strncmp(c->steps[i].label, step->label, strlen(step->label)) == 0;
	size_t len = strlen(step->label);
	if (twins > 1)
		(void)snprintf(step->label + len, sizeof step->label - len, "#%u", twins);
	step->kind_hash = hd_hash(step->kind->name, strlen(step->kind->name));
	step->identity = hd_hash(step->label, strlen(step->label)) ^ step->kind->state_version;
	if (step->kind->bits & HD_STEP_NO_CODE)
		return HYDRO_OK;
	char rule[HD_NAME_BYTES_MAX];
	(void)snprintf(rule, sizeof rule, "%.80s/%s", c->source[0] ? c->source : c->spec->script ? c->spec->script : "", step->label);
	return hd_names_intern(c->shapes->names, HD_NAME_RULE, rule, &step->rule, err);
}

static int compile_lua(struct hd_compile *c, struct hd_step *step, const struct hd_spec_step *spec, struct hydro_error *err)
{
	if (spec->slot_count > HD_SPEC_SLOTS_MAX)
		return hd_compile_fail(c, spec, "state", NULL, err, "more than %u state slots", HD_SPEC_SLOTS_MAX);
	step->function = spec->function;
	step->slot_count = spec->slot_count;
	/* Names of the slots take part in the identity: other slots are another state. */
	int rc = name_step(c, step, spec, err);
	for (uint32_t i = 0; i < spec->slot_count; i++)
		step->identity = hd_hash_u64(step->identity ^ hd_hash(spec->slots[i], strlen(spec->slots[i])));
	return rc;
}

static int compile_step(struct hd_compile *c, const struct hd_spec_step *spec, struct hydro_error *err)
{
	struct hd_step *step = &c->steps[c->step_count];
	bool lua = strcmp(spec->kind, HD_SPEC_KIND_LUA) == 0;
	const struct hd_step_kind *kind = lua ? &hd_step_lua : hd_step_kind_find(spec->kind);
	if (!kind) {
		uint32_t count;
		const struct hd_step_kind *kinds = hd_step_kinds(&count);
		return hd_compile_fail(c, spec, NULL, hd_diag_nearest(spec->kind, kind_name, kinds, count), err, "unknown step");
	}
	if (kind->bits & HD_STEP_NOT_YET)
		return hd_compile_fail(c, spec, NULL, NULL, err, "is not available in this version yet: leave the step out");
	*step = (struct hd_step){.kind = kind, .run = kind->run, .line = spec->line, .lib = spec->lib, .link = HD_SLOT_NONE, .param = (uint16_t)c->param_count,
				 .state = (uint16_t)c->state_bytes};
	c->target[0] = c->source[0] = '\0';
	memset(step->in, HD_SLOT_NONE, sizeof step->in);
	memset(step->out, HD_SLOT_NONE, sizeof step->out);
	int rc = lua ? compile_lua(c, step, spec, err) : check_keys(c, kind, spec, err);
	uint32_t consts = 0;
	for (uint32_t i = 0; rc == HYDRO_OK && i < kind->option_count; i++)
		rc = take_option(c, step, &kind->options[i], &consts, spec, err);
	if (rc == HYDRO_OK && kind->check)
		rc = kind->check(c, step, spec, err);
	if (rc == HYDRO_OK && !lua)
		rc = name_step(c, step, spec, err);
	if (rc != HYDRO_OK)
		return rc;
	for (uint32_t i = 0; i < step->out_count; i++)
		c->made |= step->out[i] == HD_SLOT_NONE ? 0 : UINT64_C(1) << step->out[i];
	for (uint32_t i = 0; i < kind->option_count; i++)
		if (kind->options[i].flags & HD_OPT_CONSUMES && step->in[0] != step->out[0])
			c->consumed |= UINT64_C(1) << step->in[0];
	if (!step->state_bytes)
		step->state_bytes = lua ? spec->slot_count * (uint32_t)sizeof(double) : kind->state_bytes;
	uint32_t bytes = (step->state_bytes + 7u) & ~7u;
	if (c->state_bytes + bytes > HD_PLAN_STATE_BYTES_MAX)
		return hd_compile_fail(c, spec, NULL, NULL, err, "the plan's state is larger than %u bytes", HD_PLAN_STATE_BYTES_MAX);
	c->state_bytes += bytes;
	c->step_count += kind->bits & HD_STEP_NO_CODE ? 0 : 1;
	return HYDRO_OK;
}

int hd_compile_steps(struct hd_compile *c, struct hydro_error *err)
{
	for (c->at = 0; c->at < c->spec->step_count; c->at++) {
		int rc = compile_step(c, &c->spec->steps[c->at], err);
		if (rc != HYDRO_OK)
			return rc;
	}
	return HYDRO_OK;
}
