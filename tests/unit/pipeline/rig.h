/* SPDX-License-Identifier: MIT */
/* A pipeline on a journal that lives in memory and syncs at once, and specs made in C. */
#ifndef HD_TESTS_RIG_H
#define HD_TESTS_RIG_H

#include "check.h"

#include "pipeline/inner.h"

#define RIG_T0 INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define RIG_MIN INT64_C(60000)
#define RIG_HOUR (60 * RIG_MIN)

struct rig {
	struct hd_names *names;
	struct hd_points *points;
	struct hd_pipeline *pipeline;
	struct hd_pipeline_config config;
	pthread_mutex_t one_at_a_time; /* held while a batch is given back as synced: the journal has one thread for it */
	pthread_mutex_t lock; /* guards: what follows */
	pthread_cond_t changed;
	struct hd_batch *stored; /* all samples, in order of LSN from 1 */
	uint64_t trimmed;        /* records that only history has any more */
	unsigned refuse;         /* appends to refuse with AGAIN */
	bool hold_back;          /* appends are taken, but synced by rig_sync only */
	struct hd_batch *waiting[64];
	unsigned waiting_count;
	char last_event[64];
	unsigned events;
	uint32_t acked, acked_accepted, acked_dropped;
};

/* Opens a pipeline over `points` points; `state_dir` may be NULL. */
void rig_open(struct rig *rig, uint32_t points, const char *pipeline_name, const char *state_dir);
/* Ends the pipeline, keeps journal, names and points; and opens it again on them. */
void rig_stop(struct rig *rig);
void rig_restart(struct rig *rig);
void rig_close(struct rig *rig);

/* rig_step(spec, "range", "sn", "of", "flow", "max", 12.0): s text, n number, b bool (int); keys come before values. */
void rig_step(struct hd_spec *spec, const char *kind, const char *types, ...);
void rig_step_texts(struct hd_spec *spec, const char *kind, const char *first, const char *second);
/* Compiles and gives the plan to the points 0 … count-1. */
struct hd_swap_report rig_plan(struct rig *rig, struct hd_spec *spec, uint32_t count);
struct hd_plan *rig_compile(struct rig *rig, struct hd_spec *spec);
/* The well pipeline: counter, rate, depth, range × 2, frozen. */
void rig_well(struct hd_spec *spec);

/* Runs fn on the point's worker and waits for it. */
void rig_on_worker(struct rig *rig, uint32_t point, void (*fn)(void *arg, struct hd_worker *w), void *arg);
int rig_feed(struct rig *rig, uint32_t point, const hydro_raw *raws, uint32_t count, uint32_t mode);
/* One reading of one metric. */
int rig_feed1(struct rig *rig, uint32_t point, int64_t ts_ms, uint32_t metric, double value);
/* Flushes, and does the redos that wait. */
void rig_settle(struct rig *rig, uint32_t point);
void rig_sync(struct rig *rig);

/* The stored sample of (point, ts) with the highest rev, or NULL; and how many there are. */
const struct hd_sample *rig_sample(struct rig *rig, uint32_t point, int64_t ts_ms);
uint32_t rig_count(struct rig *rig, uint32_t point, int64_t ts_ms);
/* The value of a metric, NaN when there is none. */
double rig_value(const struct hd_sample *sample, uint32_t metric);
bool rig_has_flag(const struct hd_sample *sample, uint32_t metric, uint32_t flag);

#endif
