/* SPDX-License-Identifier: MIT */
#include "observe/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIND_COUNTER 0u
#define KIND_GAUGE 1u
#define KIND_HISTOGRAM 2u

struct hd_counter {
	_Atomic uint64_t value;
};

struct hd_histogram {
	uint32_t count;
	double bounds[HD_METRIC_BUCKETS_MAX];
	_Atomic uint64_t buckets[HD_METRIC_BUCKETS_MAX + 1];
	_Atomic double sum;
};

struct series {
	struct series *next;
	uint32_t kind;
	char *name, *help, *labels;
	struct hd_counter counter;
	struct hd_histogram histogram;
	double (*fn)(void *arg);
	void *arg;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards: all, fn and arg of gauges */
static struct series *all;                              /* sorted by name, then labels */

/* The series of (name, labels), made where it belongs. Under the lock. */
static struct series *series_get(uint32_t kind, const char *name, const char *help, const char *labels)
{
	struct series **at = &all;
	for (; *at; at = &(*at)->next) {
		int order = strcmp((*at)->name, name);
		if (order == 0)
			order = strcmp((*at)->labels, labels);
		if (order == 0)
			return *at;
		if (order > 0)
			break;
	}
	struct series *series = calloc(1, sizeof *series);
	HD_ASSERT(series);
	series->kind = kind;
	series->name = strdup(name);
	series->help = strdup(help);
	series->labels = strdup(labels);
	HD_ASSERT(series->name && series->help && series->labels);
	series->next = *at;
	*at = series;
	return series;
}

struct hd_counter *hd_metrics_counter(const char *name, const char *help, const char *labels)
{
	(void)pthread_mutex_lock(&lock);
	struct series *series = series_get(KIND_COUNTER, name, help, labels);
	(void)pthread_mutex_unlock(&lock);
	return &series->counter;
}

void hd_counter_add(struct hd_counter *counter, uint64_t n)
{
	atomic_fetch_add_explicit(&counter->value, n, memory_order_relaxed);
}

uint64_t hd_counter_get(const struct hd_counter *counter)
{
	return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

void hd_metrics_gauge(const char *name, const char *help, const char *labels, double (*fn)(void *arg), void *arg)
{
	(void)pthread_mutex_lock(&lock);
	struct series *series = series_get(KIND_GAUGE, name, help, labels);
	series->fn = fn;
	series->arg = arg;
	(void)pthread_mutex_unlock(&lock);
}

void hd_metrics_gauge_forget(const void *arg)
{
	(void)pthread_mutex_lock(&lock);
	for (struct series *series = all; series; series = series->next)
		if (series->kind == KIND_GAUGE && series->arg == arg)
			series->fn = NULL;
	(void)pthread_mutex_unlock(&lock);
}

struct hd_histogram *hd_metrics_histogram(const char *name, const char *help, const char *labels, const double *bounds, uint32_t count)
{
	HD_ASSERT(count > 0 && count <= HD_METRIC_BUCKETS_MAX);
	(void)pthread_mutex_lock(&lock);
	struct series *series = series_get(KIND_HISTOGRAM, name, help, labels);
	if (series->histogram.count == 0) {
		memcpy(series->histogram.bounds, bounds, count * sizeof *bounds);
		series->histogram.count = count;
	}
	(void)pthread_mutex_unlock(&lock);
	return &series->histogram;
}

void hd_histogram_observe(struct hd_histogram *histogram, double value)
{
	uint32_t i = 0;
	while (i < histogram->count && value > histogram->bounds[i])
		i++;
	atomic_fetch_add_explicit(&histogram->buckets[i], 1, memory_order_relaxed);
	double sum = atomic_load_explicit(&histogram->sum, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&histogram->sum, &sum, sum + value, memory_order_relaxed, memory_order_relaxed))
		;
}

double hd_histogram_quantile(const struct hd_histogram *histogram, double q)
{
	uint64_t counts[HD_METRIC_BUCKETS_MAX + 1], total = 0, seen = 0;
	for (uint32_t i = 0; i <= histogram->count; i++)
		total += counts[i] = atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
	for (uint32_t i = 0; total && i < histogram->count; i++) {
		seen += counts[i];
		if ((double)seen >= q * (double)total)
			return histogram->bounds[i];
	}
	return total ? HUGE_VAL : 0;
}

static void render_histogram(struct hd_buf *ret, const struct series *series)
{
	const char *comma = series->labels[0] ? "," : "";
	uint64_t total = 0;
	for (uint32_t i = 0; i <= series->histogram.count; i++) {
		char bound[32] = "+Inf";
		if (i < series->histogram.count)
			(void)snprintf(bound, sizeof bound, "%g", series->histogram.bounds[i]);
		total += atomic_load_explicit(&series->histogram.buckets[i], memory_order_relaxed);
		hd_buf_printf(ret, "%s_bucket{%s%sle=\"%s\"} %llu\n", series->name, series->labels, comma, bound, (unsigned long long)total);
	}
	const char *open = series->labels[0] ? "{" : "", *close = series->labels[0] ? "}" : "";
	hd_buf_printf(ret, "%s_sum%s%s%s %.9g\n", series->name, open, series->labels, close, atomic_load_explicit(&series->histogram.sum, memory_order_relaxed));
	hd_buf_printf(ret, "%s_count%s%s%s %llu\n", series->name, open, series->labels, close, (unsigned long long)total);
}

static void render(struct hd_buf *ret, const struct series *series)
{
	if (series->kind == KIND_HISTOGRAM) {
		render_histogram(ret, series);
		return;
	}
	const char *open = series->labels[0] ? "{" : "", *close = series->labels[0] ? "}" : "";
	hd_buf_printf(ret, "%s%s%s%s ", series->name, open, series->labels, close);
	if (series->kind == KIND_COUNTER)
		hd_buf_printf(ret, "%llu\n", (unsigned long long)hd_counter_get(&series->counter));
	else
		hd_buf_printf(ret, "%.15g\n", series->fn(series->arg));
}

void hd_metrics_render(struct hd_buf *ret)
{
	static const char *const types[] = {"counter", "gauge", "histogram"};
	(void)pthread_mutex_lock(&lock);
	const char *last = "";
	for (const struct series *series = all; series; series = series->next) {
		if (series->kind == KIND_GAUGE && !series->fn)
			continue;
		if (strcmp(last, series->name) != 0)
			hd_buf_printf(ret, "# HELP %s %s\n# TYPE %s %s\n", series->name, series->help, series->name, types[series->kind]);
		last = series->name;
		render(ret, series);
	}
	(void)pthread_mutex_unlock(&lock);
}
