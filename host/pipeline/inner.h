/* SPDX-License-Identifier: MIT */
/* What the files of the pipeline share: points as workers keep them, workers, batches under way. Not for other folders. */
#ifndef HD_PIPELINE_INNER_H
#define HD_PIPELINE_INNER_H

#include "pipeline/latest.h"
#include "pipeline/pipeline.h"
#include "pipeline/run.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/thread.h"

#include <stdatomic.h>

#define HD_PAGE_POINTS 4096u
#define HD_PAGES (HD_POINTS_MAX / HD_PAGE_POINTS + 1)
#define HD_SHARDS 256u
#define HD_KNOWN_INLINE 4u
#define HD_UNDO_SLOTS 8192u
#define HD_UNDO_STATE_BYTES 496u /* larger states are brought back from raw history instead */
#define HD_DT_UNKNOWN INT32_MIN

/* A raw value of the newest reading; dt: its own time less the reading's. */
struct hd_known_raw {
	double value;
	uint32_t metric;
	int32_t dt_ms;
};

struct hd_held;

/* What few points have. */
struct hd_point_extra {
	struct hd_known_raw more[HD_METRICS_PER_SAMPLE_MAX]; /* known raws beyond the inline ones */
	struct hd_held *held; /* by rising ts */
	uint32_t held_count, held_capacity;
	int64_t hold_until_ns; /* mono; released by itself then */
	uint64_t lua_off;     /* steps switched off, by number in the shape */
	uint8_t strikes[64];
	uint32_t strikes_shape;
};

#define HD_HOT_SEEN 1u        /* configuration was looked up */
#define HD_HOT_HOLD 2u
#define HD_HOT_RAW_ONLY 4u    /* the newest reading did not go through the plan */
#define HD_HOT_PENDING 8u     /* has a row waiting in the run */
#define HD_HOT_REDO 16u       /* is in the worker's list of redos */
#define HD_HOT_CLOCK 32u      /* has `clock` readings, whose time may come */
#define HD_HOT_ASKED 64u      /* history was asked for its newest reading, for its state was lost */

/* A point in two cache lines, owned by its worker; newest_ms is read by others. */
struct hd_point_block {
	int64_t newest_ms; /* atomic */
	struct hd_shape *shape; /* a reference; NULL: raw values only */
	uint8_t *data;     /* params, then state; a slab of the worker */
	const struct hd_point *config; /* a reference */
	struct hd_point_extra *extra;
	uint64_t last_seq; /* of the worker's batch that has its last sample */
	uint32_t undo;     /* number of its place in the ring, from 1 */
	uint32_t join_ms;
	uint16_t newest_rev;
	uint8_t known_count;
	uint8_t bits;
	uint32_t plan_version; /* of the configuration that the plan was built from */
	struct hd_known_raw known[HD_KNOWN_INLINE];
};
_Static_assert(sizeof(struct hd_point_block) == 128, "a point is two cache lines");

static inline double *hd_block_params(const struct hd_point_block *b) { return (double *)(void *)b->data; }
static inline uint8_t *hd_block_state(const struct hd_point_block *b) { return b->data + b->shape->param_count * sizeof(double); }

/* State before the newest reading, so that a revision of it can run from there. */
struct hd_undo {
	uint32_t point, number;
	int64_t ts_ms;
	uint8_t state[HD_UNDO_STATE_BYTES];
};

struct hd_ack {
	void (*synced)(void *arg, uint32_t accepted, uint32_t dropped);
	void *arg;
	uint32_t accepted, dropped;
};

/* A batch with what only the pipeline needs of it; batch->owner. */
struct hd_outgoing {
	struct hd_batch *batch;
	struct hd_worker *worker;
	uint64_t seq;
	struct hd_ack *acks;
	uint32_t ack_count, ack_capacity;
	struct hd_outgoing *next;
};

struct hd_pending {
	struct hd_point_block *block;
	uint32_t point;
	uint32_t sample;
	uint8_t bits; /* HD_ROW_* */
	uint8_t undo; /* keep the state before it */
};

struct hd_redo {
	uint32_t point;
	int64_t from_ms;
};

struct hd_job {
	void (*fn)(void *arg, struct hd_worker *w);
	void *arg;
};

struct hd_slab;
struct hd_swap;
struct hd_intake;

struct hd_worker {
	struct hd_pipeline *pipeline;
	uint32_t index;
	pthread_t thread;
	bool started;

	pthread_mutex_t lock; /* guards: jobs … closed, free_batches … free_least, stale_points */
	pthread_cond_t work;   /* there is a job, a batch came back or was synced */
	pthread_cond_t room;
	struct hd_job *jobs;
	uint32_t job_head, job_count, job_capacity;
	bool closed;
	bool idle;
	struct hd_outgoing *free_batches;
	uint32_t free_count;
	uint32_t free_least; /* of free_count since the last look */
	uint32_t *stale_points; /* whose configuration changed */
	uint32_t stale_count, stale_capacity;

	struct hd_outgoing *out; /* being filled */
	uint64_t seq;            /* of `out` */
	_Atomic uint64_t synced_seq;
	uint32_t batches;        /* there are */
	int64_t trim_ns;         /* when surplus batches are looked for next */
	_Atomic bool stopping;
	_Atomic uint32_t stale; /* stale_count is not 0 */

	struct hd_pending pending[HD_RUN_ROWS];
	uint32_t pending_count;
	struct hd_run *run;
	struct hd_undo *undo;
	uint32_t undo_next;
	struct hd_redo *redos;
	uint32_t redo_count, redo_capacity;
	struct hd_slab *slab;
	struct hd_intake *intake; /* memory of the feed under way */
	struct hd_swap *swap;     /* under way */
	uint32_t swap_at;
	int64_t checkpoint_ns;     /* when a shard is to be written by the time */
	uint64_t checkpoint_lsn;   /* up to which shards were written for the records that came */
	struct hd_pipeline_status count; /* relaxed atomics */
};

struct hd_keeper;

struct hd_pipeline {
	uint32_t magic;
	struct hd_pipeline_config config;
	char *state_dir; /* a copy, where config.state_dir points */
	struct hd_shapes *shapes;
	struct hd_shape *pass; /* of points without a pipeline */
	struct hd_latest *latest;
	_Atomic(struct hd_point_block *) pages[HD_PAGES];
	pthread_mutex_t pages_lock; /* guards: making of a page */
	uint32_t rule_clock, rule_status, rule_held, rule_unprocessed, rule_manual;
	pthread_mutex_t swap_lock; /* guards: one swap at a time */
	struct hd_keeper *keeper;
	_Atomic uint64_t synced_lsn; /* highest */
	_Atomic uint64_t state_bytes; /* written to state files */
	bool lost[HD_SHARDS]; /* the state of these was neither in a file nor wholly in the journal; set before feeding */
	uint32_t worker_count;
	struct hd_worker *workers;
};

#define HD_PIPELINE_MAGIC 0x50495045u
#define HD_COUNT(w, field, n) __atomic_store_n(&(w)->count.field, (w)->count.field + (n), __ATOMIC_RELAXED)

static inline uint32_t hd_shard_of(uint32_t point)
{
	return (uint32_t)hd_hash_u64(point) & (HD_SHARDS - 1);
}

/* The block of a point, made if need be; NULL without memory. */
struct hd_point_block *hd_pipeline_block(struct hd_pipeline *p, uint32_t point);
/* The block if there is one. [any, for newest_ms] */
static inline struct hd_point_block *hd_pipeline_block_find(struct hd_pipeline *p, uint32_t point)
{
	struct hd_point_block *page = point < HD_POINTS_MAX ? atomic_load_explicit(&p->pages[point / HD_PAGE_POINTS], memory_order_acquire) : NULL;
	return page ? &page[point % HD_PAGE_POINTS] : NULL;
}
static inline void hd_block_set_newest(struct hd_point_block *b, int64_t ts)
{
	__atomic_store_n(&b->newest_ms, ts, __ATOMIC_RELAXED);
}
void hd_pipeline_event(const struct hd_pipeline *p, uint32_t level, const char *event, uint32_t point, const char *fmt, ...) HD_PRINTF(5, 6);

/* Runs fn on the point's worker and returns when it has; false (nothing done) when the pipeline is draining. [not worker, not io] */
bool hd_pipeline_call(struct hd_pipeline *p, uint32_t point, void (*fn)(void *arg, struct hd_worker *w), void *arg);

/* worker.c */
int hd_worker_start(struct hd_worker *w, struct hydro_error *err);
void hd_worker_done(struct hd_worker *w);
/* Runs what is pending and hands the batch to the journal; waits while it is full. */
int hd_worker_flush(struct hd_worker *w, struct hydro_error *err);
/* A batch with room for one more sample. */
int hd_worker_room(struct hd_worker *w, struct hydro_error *err);
void hd_worker_ack(struct hd_worker *w, const struct hd_feed *how, uint32_t accepted, uint32_t dropped);
/* Until all up to that batch is on disk; HYDRO_E_CANCELLED when stopping. */
int hd_worker_wait_synced(struct hd_worker *w, uint64_t seq, struct hydro_error *err);
bool hd_worker_is_synced(const struct hd_worker *w, uint64_t seq);

/* execute.c */
void hd_worker_execute(struct hd_worker *w);
void hd_undo_keep(struct hd_worker *w, struct hd_point_block *block, uint32_t point, int64_t ts_ms);
int hd_worker_lua(struct hd_run *run, const struct hd_step *step, struct hd_row *row, uint32_t i);

/* slab.c [worker] */
int hd_slab_new(struct hd_slab **ret);
void hd_slab_free(struct hd_slab **slab);
void *hd_slab_take(struct hd_slab *slab, uint32_t bytes);
void hd_slab_give(struct hd_slab *slab, void *data, uint32_t bytes);
/* That it holds of the system's memory. */
uint64_t hd_slab_bytes(const struct hd_slab *slab);

/* block.c: configuration and plan of a point. [worker] */
/* Looks the point up when it is new here; HYDRO_E_INVALID for one that does not exist. */
int hd_block_ready(struct hd_worker *w, struct hd_point_block *block, uint32_t point, struct hydro_error *err);
/* Gives the point a plan (NULL: none), whose shape it takes, keeping state by identity; counts what was kept. HYDRO_E_NOMEM
 * leaves the old one. */
int hd_block_set_plan(struct hd_worker *w, struct hd_point_block *block, uint32_t point, struct hd_plan *plan, struct hd_swap_report *report);
struct hd_point_extra *hd_block_extra(struct hd_point_block *block);
void hd_block_done(struct hd_worker *w, struct hd_point_block *block);
void hd_block_refresh(struct hd_worker *w, struct hd_point_block *block, uint32_t point);
/* Copies the states that both shapes have; counts into report (may be NULL). */
void hd_swap_report_name(struct hd_swap_report *report, const char *label);
void hd_state_migrate(const struct hd_shape *from, const uint8_t *from_state, const struct hd_shape *to, uint8_t *to_state, struct hd_swap_report *report);

/* intake.c, held.c, redo.c */
int hd_intake_new(struct hd_intake **ret);
void hd_intake_free(struct hd_intake **intake);
void hd_worker_redo_later(struct hd_worker *w, struct hd_point_block *block, uint32_t point, int64_t from_ms);
/* Does those redos whose samples are all synced; false when some are left. */
bool hd_worker_redo(struct hd_worker *w);

/* past.c */
/* A state in `scratch` for readings from first_ts on that have been through already; `live` is the present state of the shape. */
void hd_redo_prepare(const struct hd_shape *shape, const uint8_t *live, uint8_t *scratch, int64_t first_ts);

/* swap.c */
void hd_worker_swap_point(struct hd_worker *w, struct hd_point_block *block, uint32_t point);
/* A slice of the swap under way; false when there is nothing left. */
bool hd_worker_swap_slice(struct hd_worker *w);

/* state.c */
int hd_keeper_open(struct hd_pipeline *p, struct hydro_error *err);
/* Waits until what the workers wrote is in its files; give_up: without what is not synced. After the workers. */
void hd_keeper_drain(struct hd_pipeline *p, bool give_up);
void hd_keeper_close(struct hd_pipeline *p);
/* LSN up to which a shard was read. */
uint64_t hd_keeper_lsn(const struct hd_pipeline *p, uint32_t shard);
/* From now on state is written; what was read and taken over is let go. [control, workers idle] */
void hd_keeper_recovered(struct hd_pipeline *p);
/* A point that gets its first plan takes the state it was read with. [worker] */
void hd_keeper_take(struct hd_pipeline *p, uint32_t point, const struct hd_shape *shape, uint8_t *state, struct hd_swap_report *report);
/* How many records lie behind the shard that is furthest behind: a start would run as many again. [any] */
uint64_t hd_keeper_behind(const struct hd_pipeline *p);
/* Writes those of the worker's shards that are due; all = every shard, now. */
void hd_worker_checkpoint(struct hd_worker *w, bool all);

#endif
