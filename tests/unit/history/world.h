/* SPDX-License-Identifier: MIT */
/* A history whose every stored row is remembered, so that whatever it answers can be compared. */
#ifndef HD_TESTS_HISTORY_WORLD_H
#define HD_TESTS_HISTORY_WORLD_H

#include "place.h"

#define DAY INT64_C(86400000)
#define HOUR INT64_C(3600000)
#define MINUTE INT64_C(60000)
#define JANUARY INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define FEBRUARY (JANUARY + 31 * DAY)
#define MARCH (FEBRUARY + 28 * DAY)
#define APRIL (MARCH + 31 * DAY)
#define LATER (APRIL + 4000 * DAY) /* every month of these is over, also for what came late */

struct row {
	int64_t ts;
	uint32_t point, salt, number; /* number: in order of storing */
	uint16_t rev;
};

struct world {
	struct place place;
	struct row *rows;
	uint32_t count, capacity;
	struct hd_batch *batch;
	uint64_t seed;
};

#define WORLD_POINTS 26u /* enough that later runs of a day make slices */
extern const uint32_t world_points[WORLD_POINTS];

void world_begin(struct world *w, const struct hd_key *seal, uint64_t step_bytes);
void world_end(struct world *w);
uint32_t world_next(struct world *w, uint32_t bound);
/* A row whose content follows from its identity and a salt. */
void world_store(struct world *w, uint32_t point, int64_t ts, uint16_t rev);
/* Waits until all of them are synced. */
void world_stored(struct world *w);
/* A month's worth of each kind of point: hourly, rare, too dense for a month, each third of an hour, in bursts;
 * and twenty with four a day. */
void world_fill(struct world *w, int64_t from, int64_t to);

/* Rows bit for bit, in order, within the limit. */
void world_check_query(struct world *w, const struct hd_history_query *q);
/* Hours agree with the rows that a query gives. */
void world_check_hours(struct world *w, uint32_t point, int64_t from, int64_t to);
/* All of every point, its hours, and `queries` of any kind a point. */
void world_check_all(struct world *w, uint32_t queries);
/* First column of the first row of a statement on history.db. */
int64_t world_number(struct place *p, const char *sql);

#endif
