/* SPDX-License-Identifier: MIT */
/* One JSON line per figure, with the reference measured in the same run. */
#ifndef HD_TESTS_BENCH_H
#define HD_TESTS_BENCH_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct bench_figure {
	const char *bench, *name, *unit;
	double value;
	double reference; /* NaN: none */
	const char *reference_name;
	double goal;      /* NaN: none, just printed */
	bool lower_is_better;
	bool goal_is_ratio; /* the goal is for value / reference */
	uint64_t n;
};

static inline void bench_number(const char *key, double value)
{
	if (isnan(value))
		(void)printf(",\"%s\":null", key);
	else
		(void)printf(",\"%s\":%.6g", key, value);
}

static inline void bench_print(const struct bench_figure *f)
{
	double ratio = isnan(f->reference) ? NAN : f->value / f->reference, judged = f->goal_is_ratio ? ratio : f->value;
	(void)printf("{\"bench\":\"%s\",\"name\":\"%s\"", f->bench, f->name);
	bench_number("value", f->value);
	(void)printf(",\"unit\":\"%s\"", f->unit);
	bench_number("reference", f->reference);
	(void)printf(",\"reference_name\":%s%s%s", f->reference_name ? "\"" : "", f->reference_name ? f->reference_name : "null", f->reference_name ? "\"" : "");
	bench_number("ratio", ratio);
	bench_number("goal", f->goal);
	(void)printf(",\"met\":%s,\"n\":%llu}\n", isnan(f->goal) ? "null" : (f->lower_is_better ? judged <= f->goal : judged >= f->goal) ? "true" : "false",
		     (unsigned long long)f->n);
	(void)fflush(stdout);
}

static inline int bench_order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

/* Sorts in place; q from 0 to 1. */
static inline double bench_quantile(double *values, size_t count, double q)
{
	qsort(values, count, sizeof *values, bench_order);
	return count ? values[(size_t)(q * (double)(count - 1) + 0.5)] : NAN;
}

#endif
