/* SPDX-License-Identifier: MIT */
/* What a provider shows of a slot, with the faults of the data laid over the truth. Pure; nothing is stored. */
#ifndef SIM_READING_H
#define SIM_READING_H

#include "sim.h"

#define SIM_POINT_FAULTS_MAX 64u

struct sim_fault;

/* The data faults that can touch one point, picked once a request. */
struct sim_point_faults {
	struct sim_fault *rows[SIM_POINT_FAULTS_MAX];
	size_t count;
	int64_t shift_max_ms; /* of clock_ahead */
};

struct sim_reading {
	int64_t slot;
	int64_t ts_ms;        /* true; of the metric without skew */
	int64_t shift_ms;     /* the logger's error: served ts = ts + shift (+ skew) */
	int64_t available_ms; /* from then on the provider has it */
	int64_t truth[SIM_METRICS];
	int64_t served[SIM_METRICS];
	uint64_t events;      /* SIM_FAULT_BIT of what altered it */
	bool lost;            /* the provider never has it */
	bool twice;
};

void sim_point_faults_pick(const struct sim *sim, const struct sim_point *point, struct sim_point_faults *ret);
void sim_reading_at(const struct sim *sim, const struct sim_point *point, const struct sim_point_faults *faults, int64_t slot, struct sim_reading *ret);

struct sim_query {
	int64_t from_ms, to_ms; /* served timestamps, both in */
	uint32_t metric;        /* SIM_METRICS: any (without skew) */
	uint32_t limit;
	bool ascending;
	bool latest; /* the newest one alone; from, to, limit do not count */
};

#define SIM_ROWS_MAX 20000u

struct sim_rows {
	struct sim_reading *rows; /* capacity SIM_ROWS_MAX, of the calling thread */
	size_t count;
};

/* What the provider has of a point at now_ms, within its retention; the rows live until this thread's next query. [any] */
bool sim_query_run(const struct sim *sim, const struct sim_point *point, const struct sim_query *query, int64_t now_ms, struct sim_rows *ret);

/* Served timestamp of a metric (SIM_METRICS: of the slot). */
int64_t sim_reading_ts(const struct sim_point *point, const struct sim_reading *reading, uint32_t metric);

#endif
