/* SPDX-License-Identifier: MIT */
/* Counters, gauges and histograms of the process, and their text in Prometheus' exposition format 0.0.4. */
#ifndef HD_OBSERVE_METRICS_H
#define HD_OBSERVE_METRICS_H

#include "base/buf.h"
#include "base/error.h"

#define HD_METRIC_BUCKETS_MAX 24u

struct hd_counter;
struct hd_histogram;

/*
 * The counter of (name, labels), made at the first call; lives as long as the process. `labels` is what stands between the
 * braces, e.g. "provider=\"twin\"", or "". Names by Prometheus' rules, counters end in _total. Never NULL. [any, takes a lock]
 */
struct hd_counter *hd_metrics_counter(const char *name, const char *help, const char *labels);
void hd_counter_add(struct hd_counter *counter, uint64_t n); /* [any, wait-free] */
uint64_t hd_counter_get(const struct hd_counter *counter);

/* A value asked for at each rendering; fn must not block. Replaces an earlier one of the same (name, labels). [any] */
void hd_metrics_gauge(const char *name, const char *help, const char *labels, double (*fn)(void *arg), void *arg);
/* Takes back all gauges of arg: before arg goes. [any] */
void hd_metrics_gauge_forget(const void *arg);

/* Upper bounds ascending, at most HD_METRIC_BUCKETS_MAX; a +Inf bucket is added. [any] */
struct hd_histogram *hd_metrics_histogram(const char *name, const char *help, const char *labels, const double *bounds, uint32_t count);
void hd_histogram_observe(struct hd_histogram *histogram, double value); /* [any, wait-free] */
/* Upper bound of the bucket that holds the q-quantile (0..1); 0 without observations. */
double hd_histogram_quantile(const struct hd_histogram *histogram, double q);

void hd_metrics_render(struct hd_buf *ret);

#endif
