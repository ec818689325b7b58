/* SPDX-License-Identifier: MIT */
/*
 * Readings on their way through one shape: rows, run step by step, so that a step's code and its dispatch are paid once for
 * many readings. Rows of one point are in order of time. One run per worker; inside the pipeline only.
 */
#ifndef HD_PIPELINE_RUN_H
#define HD_PIPELINE_RUN_H

#include "model/batch.h"
#include "model/flags.h"
#include "pipeline/step.h"

#define HD_RUN_ROWS 128u
#define HD_RUN_EXTRAS HD_METRICS_PER_SAMPLE_MAX /* metrics of a row that the shape does not name */

#define HD_ROW_STATELESS 1u   /* late or `clock`: steps with state pass it by */
#define HD_ROW_UNPROCESSED 2u /* a step failed: what came out is dropped, the raw values stay */
#define HD_ROW_REDO 4u        /* being run again over raw history */
#define HD_ROW_FILE 8u        /* passed a `file` step */
#define HD_ROW_REVISION 16u   /* took another form of it before: what was concluded from that may change */

struct hd_point_block;

struct hd_row {
	uint64_t present; /* slots that hold a value */
	int64_t ts_ms;
	const double *params;
	uint8_t *state;
	int64_t redo_from_ms; /* a step found that readings from here on must be run again; 0 = none */
	uint32_t sample;      /* in the batch */
	uint32_t point;
	float cap;            /* of all metrics' quality */
	uint8_t bits;         /* HD_ROW_* */
	uint8_t flag_count;
	uint8_t extra_count;
	uint8_t reserved;
	struct hd_point_block *block; /* NULL in scratch runs */
	const struct hd_sample *old;  /* in a redo: what came of it before; NULL otherwise */
	const struct hd_point *config;
};

struct hd_run;

/* How Lua steps are called, and what to do after their failures; NULL call: there are none. */
struct hd_run_lua {
	int (*call)(struct hd_run *run, const struct hd_step *step, struct hd_row *row, uint32_t index);
	void *arg;
};

/* What came of a reading. */
struct hd_outcome {
	struct hd_value values[HD_METRICS_PER_SAMPLE_MAX];
	struct hd_flag flags[HD_FLAGS_PER_SAMPLE_MAX];
	uint32_t value_count, flag_count;
	uint16_t bits; /* HD_SAMPLE_* */
};

/* What a step says of the reading before the first one in a run. */
struct hd_amend {
	uint32_t metric, rule;
	uint16_t add, remove; /* flags; 0 = none */
	float quality;        /* cap */
};
#define HD_RUN_AMENDS_MAX 16u

struct hd_run {
	uint32_t count;
	const struct hd_shape *shape;
	struct hd_row rows[HD_RUN_ROWS];
	double slots[HD_RUN_ROWS * HD_PLAN_SLOTS_MAX]; /* row i, slot s: [i * shape->slot_count + s] */
	float quality[HD_RUN_ROWS * HD_PLAN_SLOTS_MAX];
	struct hd_flag flags[HD_RUN_ROWS][HD_FLAGS_PER_SAMPLE_MAX];
	struct hd_value extras[HD_RUN_ROWS][HD_RUN_EXTRAS];
	struct hd_run_lua lua;
	/* Past readings: the one before the first row can still be amended. Without it a step asks for a redo. */
	bool amends;
	uint32_t amend_count;
	struct hd_amend amend[HD_RUN_AMENDS_MAX];
	/* For dry runs: called after each step. */
	void (*trace)(void *arg, const struct hd_run *run, const struct hd_step *step);
	void *trace_arg;
};

/* Empties the run for rows of `shape`. */
void hd_run_begin(struct hd_run *run, const struct hd_shape *shape);
/* Adds a row from raw values; NULL when it is full. params, state … are the caller's to set. */
struct hd_row *hd_run_add(struct hd_run *run, const struct hd_value *raws, uint32_t count, int64_t ts_ms);
/* Runs all steps over all rows. */
void hd_run_steps(struct hd_run *run);
/* What came of row i; ret arrays hold HD_METRICS_PER_SAMPLE_MAX and HD_FLAGS_PER_SAMPLE_MAX. */
void hd_run_result(const struct hd_run *run, uint32_t i, struct hd_value *ret_values, uint32_t *ret_value_count, struct hd_flag *ret_flags,
		   uint32_t *ret_flag_count);
/* All of it at once; `bits` as below. */
void hd_run_outcome(const struct hd_run *run, uint32_t i, uint16_t bits, struct hd_outcome *ret);
/* HD_SAMPLE_FILE or HD_SAMPLE_UNPROCESSED, as row i came out; `bits` are what intake says of it. */
static inline uint16_t hd_run_sample_bits(const struct hd_run *run, uint32_t i, uint16_t bits)
{
	if (HD_UNLIKELY(run->rows[i].bits & HD_ROW_UNPROCESSED))
		return (uint16_t)(bits | HD_SAMPLE_UNPROCESSED);
	return run->rows[i].bits & HD_ROW_FILE && !(bits & HD_SAMPLE_CLOCK) ? (uint16_t)(bits | HD_SAMPLE_FILE) : bits;
}
/* Flags slot `slot` (HD_SLOT_NONE: the whole measurement) of row i; a flag without room is dropped, its cap is not. */
void hd_run_flag(struct hd_run *run, uint32_t i, uint32_t slot, uint32_t flag, uint32_t rule);
/* The same for a metric that the shape may not name. */
void hd_run_flag_metric(struct hd_run *run, uint32_t i, uint32_t metric, uint32_t flag, uint32_t rule);

static inline void hd_run_set(struct hd_run *run, uint32_t i, uint32_t slot, double value, float quality)
{
	run->rows[i].present |= UINT64_C(1) << slot;
	run->slots[i * run->shape->slot_count + slot] = value;
	run->quality[i * run->shape->slot_count + slot] = quality;
}

static inline bool hd_run_has(const struct hd_row *row, uint32_t slot)
{
	return row->present >> slot & 1;
}

#endif
