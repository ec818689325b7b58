/* SPDX-License-Identifier: MIT */
/*
 * spike_average: QARTOD's spike test, which judges a reading by the ones before and after it. So a reading is judged when the
 * next one comes: in the same run it is flagged in place; else, only if the judgement is not what was said of it already,
 * readings from it on are run again and it becomes a revision.
 */
#include "pipeline/run.h"

#include <math.h>

enum { C_MAX_GAP, C_UNJUDGED };
enum { P_SUSPECT, P_FAIL };
enum { GOOD, SUSPECT, FAIL, UNKNOWN };

struct average_state {
	double before, last;
	int64_t last_ts;     /* 0 = none */
	uint32_t has_before; /* the one before the last was near enough */
	uint32_t row;        /* of the last, from 1, while its run lasts; else 0 */
};

static uint32_t judge(const struct average_state *s, double x, bool near, const double *p)
{
	if (!near || !s->has_before)
		return UNKNOWN;
	double distance = fabs(s->last - (s->before + x) / 2.0);
	if (distance > p[P_FAIL]) /* false for NaN: no such bound */
		return FAIL;
	return distance > p[P_SUSPECT] ? SUSPECT : GOOD;
}

static void say(const struct hd_step *step, struct hd_run *run, uint32_t i, uint32_t verdict)
{
	if (verdict == GOOD)
		return;
	hd_run_flag(run, i, step->in[0], verdict == UNKNOWN ? HD_FLAG_UNJUDGED : HD_FLAG_SPIKE, step->rule);
	if (verdict == FAIL)
		run->quality[i * run->shape->slot_count + step->in[0]] = HD_QUALITY_BAD;
}

/* What was said of a reading before its next one was there. */
static uint32_t first_word(const struct hd_step *step, bool had_before)
{
	return !had_before || step->consts[C_UNJUDGED] > 0 ? UNKNOWN : GOOD;
}

/* Judges the reading before row i, which is in no row of this run. */
static void judge_earlier(const struct hd_step *step, struct hd_run *run, uint32_t i, const struct average_state *s, uint32_t verdict)
{
	struct hd_row *row = &run->rows[i];
	uint32_t said = first_word(step, s->has_before);
	if (verdict == said && !(row->bits & HD_ROW_REVISION))
		return;
	if (!run->amends) {
		row->redo_from_ms = row->redo_from_ms ? HD_MIN(row->redo_from_ms, s->last_ts) : s->last_ts;
		return;
	}
	HD_ASSERT(run->amend_count < HD_RUN_AMENDS_MAX);
	run->amend[run->amend_count++] = (struct hd_amend){
		.metric = run->shape->metrics[step->in[0]], .rule = step->rule, .remove = said == UNKNOWN ? HD_FLAG_UNJUDGED : 0,
		.add = verdict == GOOD ? 0 : verdict == UNKNOWN ? HD_FLAG_UNJUDGED : HD_FLAG_SPIKE,
		.quality = verdict == FAIL ? HD_QUALITY_BAD : verdict == SUSPECT ? HD_QUALITY_SUSPECT : HD_QUALITY_GOOD,
	};
}

static void run_spike_average(const struct hd_step *step, struct hd_run *run)
{
	for (uint32_t i = 0; i < run->count; i++) {
		struct hd_row *row = &run->rows[i];
		if (!hd_run_has(row, step->in[0]) || row->bits & HD_ROW_STATELESS)
			continue;
		struct average_state *s = (struct average_state *)(void *)(row->state + step->state);
		double x = run->slots[i * run->shape->slot_count + step->in[0]];
		bool near = s->last_ts && (double)(row->ts_ms - s->last_ts) <= step->consts[C_MAX_GAP];
		if (s->last_ts) {
			uint32_t verdict = judge(s, x, near, row->params + step->param);
			if (s->row)
				say(step, run, s->row - 1, verdict);
			else
				judge_earlier(step, run, i, s, verdict);
		}
		*s = (struct average_state){.before = s->last, .last = x, .last_ts = row->ts_ms, .has_before = near, .row = i + 1};
	}
	/* The newest of each point in this run have no next one yet. */
	for (uint32_t i = 0; i < run->count; i++) {
		struct hd_row *row = &run->rows[i];
		struct average_state *s = (struct average_state *)(void *)(row->state + step->state);
		if (!hd_run_has(row, step->in[0]) || row->bits & HD_ROW_STATELESS || s->row != i + 1)
			continue;
		say(step, run, i, first_word(step, s->has_before));
		s->row = 0;
	}
}

static const struct hd_step_option average_options[] = {
	{"of", HD_OPT_INPUT, HD_OPT_REQUIRED | HD_OPT_POSITIONAL, "", NULL, 0, 0, 0, "the metric"},
	{"suspect", HD_OPT_PARAM, HD_OPT_REQUIRED, "", NULL, 0, 0, 1e300, "distance from the mean of its neighbours beyond which a value is suspect, in its unit"},
	{"fail", HD_OPT_PARAM, HD_OPT_ABSENT, "", NULL, 0, 0, 1e300, "distance beyond which it is bad"},
	{"max_gap", HD_OPT_DURATION, 0, "", NULL, 2 * 3600000.0, 1000, 24 * 3600000.0, "readings further apart are no neighbours"},
	{"unjudged", HD_OPT_BOOL, 0, "", NULL, 0, 0, 0,
	 "flags the newest reading too, until the next is there; that costs a revision of every reading. Without it the newest has no flag yet"},
};

const struct hd_step_kind hd_step_spike_average = {
	.name = "spike_average",
	.doc = "QARTOD's spike test: judges a reading by the ones beside it, so when the next one is there. What cannot be judged, for a neighbour is missing, is flagged "
	       "`unjudged`. A judgement other than good comes as a revision.",
	.formula = "d = |x[n] − (x[n−1] + x[n+1]) / 2|; d > suspect: suspect; d > fail: bad", .state = "the last two values, time of the last", .flags = "spike unjudged",
	.options = average_options, .option_count = HD_ARRAY_LEN(average_options), .bits = HD_STEP_STATEFUL | HD_STEP_LOOKS_AHEAD,
	.state_bytes = sizeof(struct average_state), .state_version = 1, .run = run_spike_average};
