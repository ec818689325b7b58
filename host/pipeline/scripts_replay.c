/* SPDX-License-Identifier: MIT */
/*
 * A past window of a point through a candidate, from the raw values kept, beside what was stored of them. Runs on the caller's
 * thread in the builder's Lua state: workers lend a copy of the point's state and nothing else, so a candidate that is slow
 * or broken holds up nobody's readings.
 */
#include "pipeline/past.h"
#include "pipeline/run_lua.h"
#include "pipeline/scripts_inner.h"

#include "base/timefmt.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 50000u    /* records read, with the run-up */
#define CHANGES_MAX 500u   /* readings told one by one; all are counted */
#define OVERRUNS_MAX 3u    /* of one Lua step; then it is switched off, as it would be live */
#define METRICS_MAX 64u
#define AHEAD_MS (24 * 3600 * INT64_C(1000)) /* read beyond the window, for steps that look ahead: no further than that */

struct metric_change {
	uint32_t metric, count;
	double was, would; /* where the difference is largest; NaN = no value */
	int64_t ts_ms;
};

struct replay {
	struct hd_scripts *s;
	const struct hd_point *point;
	int64_t from_ms, to_ms;
	struct hd_past past;
	struct hd_shape *live;   /* a reference; NULL: the point has no plan */
	uint8_t *live_state;
	struct hd_plan *plan;    /* the candidate's */
	uint8_t *state;
	struct hd_run *run;
	struct hd_buf *json;
	uint8_t overruns[64];
	uint32_t readings, changed, added, removed, unprocessed, faults;
	char fault[512];
	struct metric_change metrics[METRICS_MAX];
	uint32_t metric_count;
};

/* ---- answer ---- */

static void add_name(struct replay *r, uint32_t metric)
{
	const char *name = metric ? hd_names_get(r->s->config.names, HD_NAME_METRIC, metric) : NULL;
	if (metric)
		hd_buf_add_json(r->json, name ? name : "?", strlen(name ? name : "?"));
	else
		hd_buf_add_text(r->json, "null");
}

static void add_number(struct replay *r, const char *key, double value)
{
	hd_buf_add_text(r->json, key);
	if (isfinite(value))
		hd_buf_add_number(r->json, value);
	else
		hd_buf_add_text(r->json, "null");
}

static void add_time(struct replay *r, const char *key, int64_t ts_ms)
{
	char text[HD_TIME_TEXT];
	hd_time_format(ts_ms, text);
	hd_buf_printf(r->json, "%s\"%s\"", key, text);
}

static void note_metric(struct replay *r, uint32_t metric, int64_t ts_ms, double was, double would)
{
	struct metric_change *m = NULL;
	for (uint32_t i = 0; i < r->metric_count && !m; i++)
		if (r->metrics[i].metric == metric)
			m = &r->metrics[i];
	if (!m && r->metric_count < METRICS_MAX) {
		m = &r->metrics[r->metric_count++];
		*m = (struct metric_change){.metric = metric};
	}
	if (!m)
		return;
	double distance = fabs(would - was), largest = fabs(m->would - m->was);
	if (!m->count || (isfinite(distance) && !(largest >= distance))) {
		m->was = was;
		m->would = would;
		m->ts_ms = ts_ms;
	}
	m->count++;
}

/* ---- one reading ---- */

struct result {
	const struct hd_value *values;
	const struct hd_flag *flags;
	uint32_t value_count, flag_count;
};

static const struct hd_value *value_of(const struct result *result, uint32_t metric)
{
	for (uint32_t i = 0; i < result->value_count; i++)
		if (result->values[i].metric == metric)
			return &result->values[i];
	return NULL;
}

static bool has_flag(const struct replay *r, const struct result *result, const struct hd_flag *flag)
{
	for (uint32_t i = 0; i < result->flag_count; i++)
		if (hd_flag_same(r->s->config.names, &result->flags[i], flag))
			return true;
	return false;
}

static bool same_value(const struct hd_value *a, const struct hd_value *b)
{
	return a && b && fabs(a->value - b->value) <= 1e-9 * (1.0 + fabs(a->value)) && a->quality == b->quality;
}

static void add_value_change(struct replay *r, uint32_t *n, uint32_t metric, const struct hd_value *was, const struct hd_value *would)
{
	hd_buf_add_text(r->json, (*n)++ ? "," : "");
	add_name(r, metric);
	add_number(r, ":{\"was\":", was ? was->value : (double)NAN);
	add_number(r, ",\"would\":", would ? would->value : (double)NAN);
	add_number(r, ",\"quality_was\":", was ? (double)was->quality : (double)NAN);
	add_number(r, ",\"quality_would\":", would ? (double)would->quality : (double)NAN);
	hd_buf_add_char(r->json, '}');
}

/* Values that differ; told only when `tell`. How many. */
static uint32_t compare_values(struct replay *r, int64_t ts_ms, const struct result *was, const struct result *would, bool tell)
{
	uint32_t n = 0, changes = 0;
	for (uint32_t i = 0; i < was->value_count + would->value_count; i++) {
		bool first = i < was->value_count;
		uint32_t metric = first ? was->values[i].metric : would->values[i - was->value_count].metric;
		const struct hd_value *a = value_of(was, metric), *b = value_of(would, metric);
		if ((!first && a) || same_value(a, b))
			continue;
		changes++;
		if (tell)
			add_value_change(r, &n, metric, a, b);
		else
			note_metric(r, metric, ts_ms, a ? a->value : (double)NAN, b ? b->value : (double)NAN);
	}
	return changes;
}

/* Flags of `here` that `other` has not. */
static uint32_t compare_flags(struct replay *r, const struct result *here, const struct result *other, bool tell)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < here->flag_count; i++) {
		if (has_flag(r, other, &here->flags[i]))
			continue;
		if (tell) {
			hd_buf_printf(r->json, "%s{\"flag\":\"%s\",\"metric\":", n ? "," : "", hd_flag_text(r->s->config.names, &here->flags[i]));
			add_name(r, here->flags[i].metric);
			hd_buf_add_char(r->json, '}');
		}
		n++;
	}
	return n;
}

static int compare(void *arg, const struct hd_sample *sample, const struct hd_outcome *now)
{
	struct replay *r = arg;
	struct result was = {sample->values, sample->flags, sample->value_count, sample->flag_count};
	struct result would = {now->values, now->flags, now->value_count, now->flag_count};
	if (sample->ts_ms < r->from_ms || sample->ts_ms >= r->to_ms)
		return HYDRO_OK;
	r->readings++;
	r->unprocessed += (now->bits & HD_SAMPLE_UNPROCESSED) != 0;
	uint32_t changes = compare_values(r, sample->ts_ms, &was, &would, false);
	uint32_t added = compare_flags(r, &would, &was, false), removed = compare_flags(r, &was, &would, false);
	r->added += added;
	r->removed += removed;
	if (changes + added + removed == 0 || r->changed++ >= CHANGES_MAX)
		return HYDRO_OK;
	hd_buf_add_text(r->json, r->changed > 1 ? "," : "");
	add_time(r, "{\"ts\":", sample->ts_ms);
	hd_buf_add_text(r->json, ",\"values\":{");
	(void)compare_values(r, sample->ts_ms, &was, &would, true);
	hd_buf_add_text(r->json, "},\"flags_added\":[");
	(void)compare_flags(r, &would, &was, true);
	hd_buf_add_text(r->json, "],\"flags_removed\":[");
	(void)compare_flags(r, &was, &would, true);
	hd_buf_add_text(r->json, "]}");
	return HYDRO_OK;
}

/* ---- the run ---- */

static int call_step(struct hd_run *run, const struct hd_step *step, struct hd_row *row, uint32_t i)
{
	struct replay *r = run->lua.arg;
	const struct hd_sample *sample = r->past.rows[row->sample];
	struct hd_run_lua_call how = {.call = hd_scripts_call_builder, .arg = r->s, .raws = sample->raws, .raw_count = sample->raw_count};
	struct hd_lua_fault fault = {0};
	uint8_t *overruns = &r->overruns[step - run->shape->steps];
	if (*overruns >= OVERRUNS_MAX)
		return HYDRO_OK;
	int rc = hd_run_call_lua(run, step, i, &how, &fault);
	if (rc == HYDRO_OK)
		return rc;
	*overruns = (uint8_t)(*overruns + (rc == HYDRO_E_LIMIT));
	if (!r->faults++)
		(void)snprintf(r->fault, sizeof r->fault, "line %u: %s", fault.line, fault.text);
	hd_run_flag(run, i, HD_SLOT_NONE, HD_FLAG_UNPROCESSED, step->rule);
	return rc;
}

static void prepare_row(void *arg, struct hd_row *row, const struct hd_sample *sample)
{
	struct replay *r = arg;
	(void)sample;
	row->params = r->plan->params;
	row->state = r->state;
	row->config = r->point;
}

static void run_all(struct replay *r)
{
	r->run->lua = (struct hd_run_lua){call_step, r};
	struct hd_past_run how = {.pipeline = r->s->pipeline, .run = r->run, .shape = r->plan->shape, .prepare = prepare_row, .done = compare, .arg = r};
	(void)hd_past_run(&how, &r->past);
}

/* Fresh state, but for what its counters carry: that is in no raw value of the window. */
static int make_state(struct replay *r, struct hydro_error *err)
{
	const struct hd_shape *shape = r->plan->shape;
	size_t bytes = (shape->state_bytes + 64u) & ~63u;
	uint8_t *carried = aligned_alloc(64, bytes);
	r->state = aligned_alloc(64, bytes);
	r->run = calloc(1, sizeof *r->run);
	if (!carried || !r->state || !r->run) {
		free(carried);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a dry run");
	}
	hd_shape_state_init(shape, r->state);
	hd_shape_state_init(shape, carried);
	if (r->live && r->past.count) {
		hd_state_migrate(r->live, r->live_state, shape, carried, NULL);
		hd_redo_prepare(shape, carried, r->state, r->past.rows[0]->ts_ms);
	}
	free(carried);
	return HYDRO_OK;
}

static void add_summary(struct replay *r)
{
	hd_buf_printf(r->json, "],\"more\":%u,\"summary\":{\"readings\":%u,\"changed\":%u,\"flags_added\":%u,\"flags_removed\":%u,\"unprocessed\":%u,\"faults\":%u",
		      r->changed > CHANGES_MAX ? r->changed - CHANGES_MAX : 0, r->readings, r->changed, r->added, r->removed, r->unprocessed, r->faults);
	if (r->faults) {
		hd_buf_add_text(r->json, ",\"first_fault\":");
		hd_buf_add_json(r->json, r->fault, strlen(r->fault));
	}
	hd_buf_add_text(r->json, ",\"metrics\":{");
	for (uint32_t i = 0; i < r->metric_count; i++) {
		const struct metric_change *m = &r->metrics[i];
		hd_buf_add_text(r->json, i ? "," : "");
		add_name(r, m->metric);
		hd_buf_printf(r->json, ":{\"changed\":%u,\"largest\":", m->count);
		add_number(r, "{\"difference\":", m->would - m->was);
		add_number(r, ",\"was\":", m->was);
		add_number(r, ",\"would\":", m->would);
		add_time(r, ",\"ts\":", m->ts_ms);
		hd_buf_add_text(r->json, "}}");
	}
	hd_buf_add_text(r->json, "}}}");
}

/* With the lock held and the script attached to the builder. */
static int replay_script(struct replay *r, struct hd_script *script, struct hd_scripts_diags *diags, struct hydro_error *err)
{
	char id[HD_UUID_TEXT];
	r->s->trial = true;
	int rc = hd_scripts_build(r->s, script, r->point, &r->plan, diags, err);
	r->s->trial = false;
	if (rc == HYDRO_OK)
		rc = make_state(r, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_uuid_format(&r->point->id, id);
	hd_buf_printf(r->json, "{\"point\":\"%s\",\"candidate\":\"%s\"", id, hd_script_version(script));
	add_time(r, ",\"from\":", r->from_ms);
	add_time(r, ",\"to\":", r->to_ms);
	hd_buf_add_text(r->json, ",\"changes\":[");
	run_all(r);
	add_summary(r);
	return r->json->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for a dry run's answer") : HYDRO_OK;
}

/* ---- what is needed first ---- */

static void copy_live(void *arg, struct hd_worker *w)
{
	struct replay *r = arg;
	struct hd_point_block *block = hd_pipeline_block_find(hd_worker_pipeline(w), r->point->index);
	if (w->pending_count)
		hd_worker_execute(w);
	if (!block || !block->shape || !block->shape->state_bytes)
		return;
	r->live_state = aligned_alloc(64, (block->shape->state_bytes + 64u) & ~63u);
	if (!r->live_state)
		return;
	memcpy(r->live_state, hd_block_state(block), block->shape->state_bytes);
	hd_shape_ref(block->shape);
	r->live = block->shape;
}

static int prepare(struct replay *r, struct hydro_error *err)
{
	const struct hd_pipeline *p = r->s->pipeline;
	if (!p || !p->config.history)
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "this daemon keeps no history");
	if (!hd_pipeline_call(r->s->pipeline, r->point->index, copy_live, r))
		return hd_error_set(err, HYDRO_E_CONFLICT, "the pipeline is stopping");
	return hd_past_load(p, r->point->index, r->from_ms - p->config.redo_warmup_ms, r->to_ms + AHEAD_MS, ROWS_MAX, &r->past, err);
}

static void replay_done(struct replay *r)
{
	hd_past_done(&r->past);
	if (r->live)
		hd_shape_unref(r->live);
	free(r->live_state);
	free(r->state);
	free(r->run);
	hd_plan_free(&r->plan);
	hd_point_unref(r->point);
}

static int locked(struct replay *r, const char *name, const char *text, size_t len, struct hd_scripts_diags *diags, struct hydro_error *err)
{
	struct hd_script *script = NULL;
	int rc = hd_scripts_candidate(r->s, name, text, len, &script, diags, err);
	if (rc == HYDRO_OK)
		rc = replay_script(r, script, diags, err);
	hd_scripts_candidate_done(r->s, &script);
	return rc;
}

int hd_scripts_replay(struct hd_scripts *s, const char *name, const char *text, size_t len, uint32_t point, int64_t from_ms, int64_t to_ms,
		      struct hd_buf *ret_json, struct hydro_error *err)
{
	struct replay r = {.s = s, .point = hd_points_get(s->config.points, point), .from_ms = from_ms, .to_ms = to_ms, .json = ret_json};
	struct hd_scripts_diags diags = {.count = 0};
	if (!r.point)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "there is no point number %u", point);
	int rc = prepare(&r, err);
	if (rc == HYDRO_OK) {
		(void)pthread_mutex_lock(&s->lock);
		rc = locked(&r, name, text, len, &diags, err);
		(void)pthread_mutex_unlock(&s->lock);
	}
	if (rc != HYDRO_OK && diags.count)
		hd_scripts_refused(&diags, ret_json);
	replay_done(&r);
	return rc;
}
