/* SPDX-License-Identifier: MIT */
/* What raw values would become, step by step, from the point's present state; nothing is stored. Runs on the point's worker. */
#include "pipeline/intake.h"
#include "pipeline/run_lua.h"

#include "base/timefmt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct dry {
	struct hd_pipeline *pipeline;
	struct hd_worker *worker;
	uint32_t point;
	const hydro_raw *raws;
	uint32_t count;
	const struct hd_plan *candidate; /* NULL = the live plan */
	struct hd_buf *json;
	struct hydro_error *err;
	int rc;
	/* While a reading runs: */
	const struct hd_sample *sample;
	uint64_t present;
	double slots[HD_PLAN_SLOTS_MAX];
	struct hd_value extras[HD_RUN_EXTRAS]; /* metrics that the shape does not name */
	uint32_t extra_count;
	uint32_t flags;
	uint32_t steps;
};

static void add_metric(struct dry *d, uint32_t metric)
{
	const char *name = hd_names_get(d->pipeline->config.names, HD_NAME_METRIC, metric);
	hd_buf_add_json(d->json, name ? name : "?", strlen(name ? name : "?"));
}

static void add_time(struct dry *d, int64_t ts_ms)
{
	char text[HD_TIME_TEXT];
	hd_time_format(ts_ms, text);
	hd_buf_printf(d->json, "\"%s\"", text);
}

static void add_flags(struct dry *d, const struct hd_flag *flags, uint32_t from, uint32_t to)
{
	hd_buf_add_text(d->json, "\"flags\":[");
	for (uint32_t i = from; i < to; i++) {
		const char *rule = hd_names_get(d->pipeline->config.names, HD_NAME_RULE, flags[i].rule);
		hd_buf_printf(d->json, "%s{\"flag\":\"%s\",\"metric\":", i > from ? "," : "", hd_flag_text(d->pipeline->config.names, &flags[i]));
		if (flags[i].metric)
			add_metric(d, flags[i].metric);
		else
			hd_buf_add_text(d->json, "null");
		hd_buf_add_text(d->json, ",\"rule\":");
		hd_buf_add_json(d->json, rule ? rule : "", strlen(rule ? rule : ""));
		hd_buf_add_char(d->json, '}');
	}
	hd_buf_add_char(d->json, ']');
}

static void add_values(struct dry *d, const char *key, const struct hd_value *values, uint32_t count, bool with_quality)
{
	hd_buf_printf(d->json, "\"%s\":{", key);
	for (uint32_t i = 0; i < count; i++) {
		if (i)
			hd_buf_add_char(d->json, ',');
		add_metric(d, values[i].metric);
		hd_buf_add_text(d->json, with_quality ? ":{\"value\":" : ":");
		hd_buf_add_number(d->json, values[i].value);
		if (with_quality)
			hd_buf_printf(d->json, ",\"unit\":\"%s\",\"quality\":%.3g}", hd_metric_unit(values[i].metric), (double)values[i].quality);
	}
	hd_buf_add_char(d->json, '}');
}

static bool slot_changed(const struct dry *d, const struct hd_run *run, uint32_t slot)
{
	bool was = d->present >> slot & 1, is = hd_run_has(&run->rows[0], slot);
	return was != is || (is && run->slots[slot] != d->slots[slot]);
}

static bool extra_changed(const struct dry *d, const struct hd_value *extra)
{
	for (uint32_t i = 0; i < d->extra_count; i++)
		if (d->extras[i].metric == extra->metric)
			return d->extras[i].value != extra->value;
	return true;
}

/* What the next step is compared with. */
static void remember(struct dry *d, const struct hd_run *run)
{
	const struct hd_row *row = &run->rows[0];
	d->present = row->present;
	d->extra_count = row->extra_count;
	d->flags = row->flag_count;
	memcpy(d->slots, run->slots, run->shape->slot_count * sizeof *d->slots);
	memcpy(d->extras, run->extras[0], row->extra_count * sizeof *d->extras);
}

/* After each step: what it set and flagged. */
static void trace(void *arg, const struct hd_run *run, const struct hd_step *step)
{
	struct dry *d = arg;
	const struct hd_row *row = &run->rows[0];
	hd_buf_printf(d->json, "%s{\"step\":", d->steps++ ? "," : "");
	hd_buf_add_json(d->json, step->label, strlen(step->label));
	hd_buf_printf(d->json, ",\"line\":%u,\"lib\":", step->line);
	if (step->lib)
		hd_buf_add_json(d->json, step->lib, strlen(step->lib));
	else
		hd_buf_add_text(d->json, "null");
	hd_buf_add_text(d->json, ",\"sets\":{");
	uint32_t n = 0;
	for (uint32_t slot = 0; slot < run->shape->slot_count; slot++) {
		if (!run->shape->metrics[slot] || !slot_changed(d, run, slot))
			continue;
		if (n++)
			hd_buf_add_char(d->json, ',');
		add_metric(d, run->shape->metrics[slot]);
		hd_buf_add_char(d->json, ':');
		hd_buf_add_number(d->json, hd_run_has(row, slot) ? run->slots[slot] : (double)NAN);
	}
	for (uint32_t i = 0; i < row->extra_count; i++) {
		if (!extra_changed(d, &run->extras[0][i]))
			continue;
		if (n++)
			hd_buf_add_char(d->json, ',');
		add_metric(d, run->extras[0][i].metric);
		hd_buf_add_char(d->json, ':');
		hd_buf_add_number(d->json, run->extras[0][i].value);
	}
	hd_buf_add_text(d->json, "},");
	add_flags(d, run->flags[0], d->flags, row->flag_count);
	hd_buf_add_char(d->json, '}');
	remember(d, run);
}

static int dry_lua(struct hd_run *run, const struct hd_step *step, struct hd_row *row, uint32_t i)
{
	(void)row;
	struct dry *d = run->trace_arg;
	const struct hd_pipeline_config *config = &d->pipeline->config;
	struct hd_run_lua_call how = {.call = config->call_lua, .arg = config->call_lua_arg, .worker = d->worker->index, .raws = d->sample->raws,
				      .raw_count = d->sample->raw_count};
	struct hd_lua_fault fault = {0};
	int rc = hd_run_call_lua(run, step, i, &how, &fault);
	if (rc != HYDRO_OK)
		hd_run_flag(run, i, HD_SLOT_NONE, HD_FLAG_UNPROCESSED, step->rule);
	return rc;
}

static const char *known_text(const struct hd_point_block *block, const struct hd_reading *reading, const struct hd_raw *raws)
{
	static const char *const texts[] = {"duplicate", "revision", "new"};
	struct hd_known known;
	if (block->newest_ms && reading->ts_ms < block->newest_ms - (int64_t)block->join_ms)
		return "older";
	if (!block->newest_ms)
		return "new";
	hd_known_get(block, &known);
	return texts[hd_known_compare(&known, reading, raws, block->join_ms)];
}

static void run_reading(struct dry *d, const struct hd_point_block *block, const struct hd_shape *shape, const double *params, uint8_t *state,
			const struct hd_reading *reading, const struct hd_raw *raws)
{
	struct hd_run *run = d->worker->run;
	struct hd_value values[HD_METRICS_PER_SAMPLE_MAX];
	struct hd_flag flags[HD_FLAGS_PER_SAMPLE_MAX];
	uint32_t value_count, flag_count;
	for (uint32_t i = 0; i < reading->count; i++)
		values[i] = (struct hd_value){raws[i].value, raws[i].metric, raws[i].quality};
	struct hd_sample sample = {.ts_ms = reading->ts_ms, .point = d->point, .raw_count = (uint8_t)reading->count, .raws = values};
	hd_buf_add_text(d->json, "{\"ts\":");
	add_time(d, reading->ts_ms);
	hd_buf_printf(d->json, ",\"known\":\"%s\",", known_text(block, reading, raws));
	add_values(d, "raws", values, reading->count, false);
	hd_buf_add_text(d->json, ",\"steps\":[");
	hd_run_begin(run, shape);
	struct hd_row *row = hd_run_add(run, values, reading->count, reading->ts_ms);
	row->params = params;
	row->state = state;
	row->point = d->point;
	row->config = block->config;
	for (uint32_t i = 0; i < reading->count; i++)
		if (raws[i].quality <= 0)
			hd_run_flag_metric(run, 0, raws[i].metric, HD_FLAG_STATUS_CODE, d->pipeline->rule_status);
	d->sample = &sample;
	remember(d, run);
	d->flags = d->steps = 0;
	hd_run_steps(run);
	hd_run_result(run, 0, values, &value_count, flags, &flag_count);
	hd_buf_add_text(d->json, "],");
	add_values(d, "values", values, value_count, true);
	hd_buf_add_char(d->json, ',');
	add_flags(d, flags, 0, flag_count);
	uint16_t bits = hd_run_sample_bits(run, 0, 0);
	hd_buf_printf(d->json, ",\"unprocessed\":%s,\"fileable\":%s}", bits & HD_SAMPLE_UNPROCESSED ? "true" : "false",
		      bits & HD_SAMPLE_FILE ? "true" : "false");
}

/*
 * Copies of state and numbers, so that the live ones do not move. Readings that are known already run through a state of
 * their own, as late data does: to the present one a counter would seem to go back.
 */
static int run_readings(struct dry *d, struct hd_point_block *block)
{
	const struct hd_shape *shape = d->candidate ? d->candidate->shape : block->shape;
	if (!shape)
		return hd_error_set(d->err, HYDRO_E_NOTFOUND, "point number %u has no plan", d->point);
	size_t state_bytes = (shape->state_bytes + 64u) & ~(size_t)63u;
	uint8_t *state = aligned_alloc(64, 2 * state_bytes), *past = state + state_bytes;
	if (!state)
		return hd_error_set(d->err, HYDRO_E_NOMEM, "no memory for a dry run");
	hd_shape_state_init(shape, state);
	if (block->shape)
		hd_state_migrate(block->shape, hd_block_state(block), shape, state, NULL);
	struct hd_run *run = d->worker->run;
	struct hd_run_lua live = run->lua;
	run->lua.call = dry_lua;
	run->trace = trace;
	run->trace_arg = d;
	char id[HD_UUID_TEXT];
	hd_uuid_format(&block->config->id, id);
	hd_buf_printf(d->json, "{\"point\":\"%s\",\"readings\":[", id);
	const struct hd_intake *in = d->worker->intake;
	if (in->count)
		hd_redo_prepare(shape, state, past, in->readings[0].ts_ms);
	for (uint32_t i = 0; i < in->count; i++) {
		bool known = block->newest_ms && in->readings[i].ts_ms <= block->newest_ms;
		if (i)
			hd_buf_add_char(d->json, ',');
		run_reading(d, block, shape, d->candidate ? d->candidate->params : hd_block_params(block), known ? past : state, &in->readings[i],
			    in->raws + in->readings[i].first);
	}
	hd_buf_add_text(d->json, "]}");
	run->lua = live;
	run->trace = NULL;
	run->trace_arg = NULL;
	free(state);
	return d->json->failed ? hd_error_set(d->err, HYDRO_E_NOMEM, "no memory for a dry run's answer") : HYDRO_OK;
}

static void dry_job(void *arg, struct hd_worker *w)
{
	struct dry *d = arg;
	d->worker = w;
	if (w->pending_count)
		hd_worker_execute(w);
	struct hd_point_block *block = hd_pipeline_block(w->pipeline, d->point);
	d->rc = block ? hd_block_ready(w, block, d->point, d->err) : hd_error_set(d->err, HYDRO_E_INVALID, "there is no point number %u", d->point);
	if (d->rc == HYDRO_OK)
		d->rc = hd_intake_group(w->intake, d->raws, d->count, block->join_ms, d->err);
	if (d->rc == HYDRO_OK)
		d->rc = run_readings(d, block);
}

int hd_pipeline_dry_run(struct hd_pipeline *p, uint32_t point, const hydro_raw *raws, uint32_t count, const struct hd_spec *spec,
			struct hd_script *script, struct hd_buf *ret_json, struct hydro_error *err)
{
	if (count > HD_FEED_RAWS_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "%u raw values in one dry run, at most %u are taken", count, HD_FEED_RAWS_MAX);
	struct hd_plan *candidate = NULL;
	int rc = spec ? hd_plan_compile(p->shapes, spec, 0, script, &candidate, NULL, err) : HYDRO_OK;
	if (rc != HYDRO_OK)
		return rc;
	struct dry d = {.pipeline = p, .point = point, .raws = raws, .count = count, .candidate = candidate, .json = ret_json, .err = err};
	if (!hd_pipeline_call(p, point, dry_job, &d))
		d.rc = hd_error_set(err, HYDRO_E_CONFLICT, "the pipeline is draining");
	hd_plan_free(&candidate);
	return d.rc;
}
