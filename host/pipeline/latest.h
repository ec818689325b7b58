/* SPDX-License-Identifier: MIT */
/* The newest synced measurement of each point. Read by anybody without a lock; written by the journal thread alone. */
#ifndef HD_PIPELINE_LATEST_H
#define HD_PIPELINE_LATEST_H

#include "model/batch.h"

struct hd_latest;

/* At most 8, each called once per synced batch, on the journal thread, after the values are visible. Must not block. */
#define HD_LATEST_LISTENERS_MAX 8u
typedef void (*hd_latest_fn)(void *arg, const struct hd_batch *batch);

struct hd_latest_metric {
	double value;
	uint32_t metric;
	float quality; /* kept in steps of 1/200 */
	uint32_t flag; /* its worst flag, 0 = none */
};

struct hd_latest_value {
	int64_t ts_ms;
	uint32_t rev;
	uint32_t count;
	struct hd_latest_metric metrics[HD_METRICS_PER_SAMPLE_MAX];
};

int hd_latest_new(struct hd_latest **ret);
void hd_latest_free(struct hd_latest **latest);
/* false when the point has none yet. [any] */
bool hd_latest_get(struct hd_latest *latest, uint32_t point, struct hd_latest_value *ret);
/* Samples that are newer than (ts, rev) of what is there become latest; `clock`, held and unprocessed ones do not. One writer a point at a time. [journal; workers at the start] */
void hd_latest_put(struct hd_latest *latest, const struct hd_sample *sample);
/* As hd_latest_put for each sample, then the listeners. [journal] */
void hd_latest_publish(struct hd_latest *latest, const struct hd_batch *batch);
/* HYDRO_E_LIMIT when all places are taken. [any] */
int hd_latest_listen(struct hd_latest *latest, hd_latest_fn fn, void *arg, struct hydro_error *err);
/* After it returns, fn is not running and will not be called. [not journal] */
void hd_latest_unlisten(struct hd_latest *latest, hd_latest_fn fn, void *arg);

#endif
