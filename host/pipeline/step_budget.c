/* SPDX-License-Identifier: MIT */
/* budget: the volume of a year against the right. */
#include "pipeline/run.h"

#include "base/clock.h"
#include "base/timefmt.h"

#include <math.h>

enum { P_YEARLY, P_USED };
enum { C_TOLERANCE, C_MONTH };

#define ZONE_MS (4 * 3600000) /* days are the regulator's: UTC-4 all year */
#define DAY_MS 86400000
#define YEAR_DAYS_MAX 366u

struct budget_state {
	double start;       /* the total where the year began */
	double before;      /* where the year before it did; NaN = not known */
	uint32_t first_day; /* days since 1970, of the year … */
	uint32_t next_day;  /* … and of the next one; 0 = none begun */
};

/* The year of a day, that begins in a month. */
static void year_of(uint32_t day, unsigned month, struct budget_state *s)
{
	int64_t year;
	unsigned m, d;
	hd_civil_from_days(day, &year, &m, &d);
	year -= m < month;
	s->first_day = (uint32_t)hd_days_from_civil(year, month, 1);
	s->next_day = (uint32_t)hd_days_from_civil(year + 1, month, 1);
}

static void run_budget(const struct hd_step *step, struct hd_run *run)
{
	for (uint32_t i = 0; i < run->count; i++) {
		struct hd_row *row = &run->rows[i];
		if (!hd_run_has(row, step->in[0]) || row->bits & HD_ROW_STATELESS)
			continue;
		struct budget_state *s = (struct budget_state *)(void *)(row->state + step->state);
		const double *p = row->params + step->param;
		uint32_t day = (uint32_t)((row->ts_ms - ZONE_MS) / DAY_MS);
		double m3 = run->slots[i * run->shape->slot_count + step->in[0]];
		if (HD_UNLIKELY(day >= s->next_day)) {
			bool first = s->next_day == 0;
			s->before = !first && day < s->next_day + YEAR_DAYS_MAX ? s->start : (double)NAN;
			s->start = first ? m3 - p[P_USED] : m3;
			year_of(day, (unsigned)step->consts[C_MONTH], s);
		}
		/* A redo may come by the end of the last year again. */
		double used = m3 - (day >= s->first_day ? s->start : s->before);
		if (isnan(used))
			continue;
		if (step->out[0] != HD_SLOT_NONE)
			hd_run_set(run, i, step->out[0], used, run->quality[i * run->shape->slot_count + step->in[0]]);
		if (used > p[P_YEARLY] * (1.0 + step->consts[C_TOLERANCE]))
			hd_run_flag(run, i, step->in[0], HD_FLAG_BUDGET, step->rule);
	}
}

static const struct hd_step_option budget_options[] = {
	{"total", HD_OPT_INPUT, HD_OPT_POSITIONAL, "m3", "total", 0, 0, 0, "the total"},
	{"to", HD_OPT_OUTPUT, HD_OPT_ABSENT, "m3", NULL, 0, 0, 0, "metric that gets the volume of the year so far"},
	{"yearly", HD_OPT_PARAM, HD_OPT_REQUIRED, "m3", NULL, 0, 0, 1e15, "volume granted for a year"},
	{"used", HD_OPT_PARAM, 0, "m3", NULL, 0, 0, 1e15, "volume of the year before this point's first reading"},
	{"tolerance", HD_OPT_CONST, 0, "share", NULL, 0, 0, 10, "share of `yearly` by which it may be passed"},
	{"month", HD_OPT_CONST, 0, "", NULL, 1, 1, 12, "month in which the year begins, at UTC-4"},
};

const struct hd_step_kind hd_step_budget = {
	.name = "budget",
	.doc = "Flags the total once more than a year's right was taken. A year begins with its first reading; what a point took before its own first reading is `used`.",
	.formula = "total − total at the year's first reading > yearly × (1 + tolerance)", .state = "total at the beginning of this year and the last, the year",
	.flags = "budget", .options = budget_options, .option_count = HD_ARRAY_LEN(budget_options), .bits = HD_STEP_STATEFUL | HD_STEP_RECALLS,
	.state_bytes = sizeof(struct budget_state), .state_version = 1, .run = run_budget};
