/* SPDX-License-Identifier: MIT */
/*
 * From raw values to journaled samples. A point belongs to one worker, which alone owns its step state, its newest
 * reading and its held readings: no locks on the way. Journal, history and Lua are reached through functions in the
 * configuration, so that the pipeline can be run and tested without them.
 */
#ifndef HD_PIPELINE_PIPELINE_H
#define HD_PIPELINE_PIPELINE_H

#include "base/buf.h"
#include "model/batch.h"
#include "model/names.h"
#include "model/points.h"

#include <hydro/abi.h>
#include <stdbool.h>

#define HD_WORKERS_MAX 64u
#define HD_FEED_RAWS_MAX 262144u /* raw values of one hd_pipeline_feed */
#define HD_HELD_MAX 8192u        /* held readings of one point; more are journaled raw-only and wait for a reprocess */

struct hd_pipeline;
struct hd_worker;
struct hd_latest;
struct hd_file_spec;
struct hd_plan;
struct hd_plans;
struct hd_shapes;
struct hd_mview;
struct hd_lua_fault;
struct hd_plan;
struct hd_script;
struct hd_shape;
struct hd_spec;

/* Row of a query or replay: `sample` is borrowed for the call; other than HYDRO_OK ends it. */
typedef int (*hd_sample_row_fn)(void *arg, const struct hd_sample *sample, uint64_t lsn);

#define HD_EVENT_ERROR 0u
#define HD_EVENT_WARN 1u
#define HD_EVENT_INFO 2u

struct hd_pipeline_config {
	uint32_t workers;       /* 1 … HD_WORKERS_MAX; 0 = 2 */
	uint32_t queue_jobs;    /* jobs that wait per worker at most; 0 = 1024 */
	uint32_t batch_samples; /* samples of one batch at most; 0 = 2048 */
	int64_t ahead_ms;       /* a timestamp further ahead of the wall clock is flagged `clock`; 0 = 5 min */
	int64_t redo_warmup_ms; /* history read before late data, to bring state up; 0 = 48 h */
	int64_t checkpoint_ms;  /* a round over all state shards by the time; 0 = 10 min */
	uint64_t replay_records; /* (1,000,000) and so often that a start runs no more records of the journal again */
	const char *state_dir;  /* where step state is kept; NULL = not kept; copied */
	struct hd_names *names;
	struct hd_points *points;

	/* hd_journal_append: takes the batch, or HYDRO_E_AGAIN and leaves it. [worker] */
	int (*append)(void *arg, struct hd_batch *batch, struct hydro_error *err);
	void *append_arg;
	/* Every synced sample of a point with from_ms <= ts < to_ms, in any order, all revisions. NULL: nothing older than the
	 * newest reading is known. [worker] */
	int (*history)(void *arg, uint32_t point, int64_t from_ms, int64_t to_ms, hd_sample_row_fn row, void *row_arg, struct hydro_error *err);
	void *history_arg;
	/* Synced samples from `from_lsn` on, in LSN order, for the start. NULL: no replay. [control, worker] */
	int (*replay)(void *arg, uint64_t from_lsn, hd_sample_row_fn row, void *row_arg, struct hydro_error *err);
	void *replay_arg;
	/* No reading of the journal below that LSN is needed any more. NULL: nobody to tell. [any] */
	void (*release)(void *arg, uint64_t lsn);
	void *release_arg;
	/*
	 * hd_lua_call_step on the worker's own state. What the step set before a failure is dropped. NULL: plans with Lua steps
	 * do not compile. [worker]
	 */
	int (*call_lua)(void *arg, uint32_t worker, struct hd_script *script, uint32_t function, const struct hd_mview *view,
			double *slots, const struct hd_point *point, struct hd_lua_fault *fault);
	void *call_lua_arg;
	/* Something an operator may want to know; point = HD_POINT_NONE when it is about none. [any] */
	void (*event)(void *arg, uint32_t level, const char *event, uint32_t point, const char *text);
	void *event_arg;
};

/*
 * Takes its state from state_dir and the journal, starts the workers. HYDRO_E_INVALID for a configuration out of bounds,
 * HYDRO_E_CORRUPT for state that does not check (named), HYDRO_E_NOMEM, HYDRO_E_IO. Points without a plan whose pipeline is
 * "" pass raw values as they are; others are kept raw, flagged UNPROCESSED, until hd_pipeline_swap gives them a plan. [control]
 */
int hd_pipeline_open(const struct hd_pipeline_config *config, struct hd_pipeline **ret, struct hydro_error *err);
/*
 * Brings state to the journal's end: once, after the first plans were given and before anything is fed. Until then no state
 * is written. `ret_records` (may be NULL): records that went through. [control]
 */
int hd_pipeline_recover(struct hd_pipeline *pipeline, uint64_t *ret_records, struct hydro_error *err);
/*
 * Gives all points on their workers the plans and the state they were kept with, as far as configuration and generation are
 * the same, their shapes are compiled, and `pipeline_of` names for a shape the pipeline whose points may have it (NULL: none
 * may; called by all workers). Others are left for hd_pipeline_build_rest. `ret_points`: that have theirs. HYDRO_E_NOMEM.
 * [control, before anything is swapped or recovered]
 */
int hd_pipeline_adopt(struct hd_pipeline *pipeline, const char *(*pipeline_of)(void *arg, const struct hd_shape *shape), void *arg, uint32_t *ret_points,
		      struct hydro_error *err);
#define HD_ADOPT_SAMPLES_MAX 1024u
/* A point for each shape that was kept, whose plan is to be compiled before hd_pipeline_adopt; how many there are. [control] */
uint32_t hd_pipeline_adopt_samples(struct hd_pipeline *pipeline, uint32_t *ret_points, uint32_t max);
/*
 * Then, on their workers, a plan from `build` for each point that has a pipeline and no plan; what it fails for is left
 * without. HYDRO_E_NOMEM of `build` ends it. [control, as above]
 */
int hd_pipeline_build_rest(struct hd_pipeline *pipeline, int (*build)(void *arg, uint32_t worker, const struct hd_point *point, struct hd_plan **ret), void *arg,
			   struct hydro_error *err);
/* No more jobs are taken; returns when all that were posted are done and handed to the journal, or HYDRO_E_TIMEOUT. [control] */
int hd_pipeline_drain(struct hd_pipeline *pipeline, int64_t timeout_ms, struct hydro_error *err);
/*
 * Drains if that was not done, frees all. All batches must be back: synced, or released by hd_journal_close; so call
 * hd_pipeline_drain, hd_journal_close, hd_pipeline_close in this order. [control]
 */
void hd_pipeline_close(struct hd_pipeline **pipeline);

uint32_t hd_pipeline_workers(const struct hd_pipeline *pipeline);
/* Worker that owns the point. [any] */
uint32_t hd_pipeline_worker_of(const struct hd_pipeline *pipeline, uint32_t point);
/* Runs fn(arg, worker) on the worker in order of posting; false (nothing done) when its queue is full or drained. [any] */
bool hd_pipeline_post(struct hd_pipeline *pipeline, uint32_t worker, void (*fn)(void *arg, struct hd_worker *w), void *arg);
/* Waits for room instead; false only when drained. [not io, not worker] */
bool hd_pipeline_post_wait(struct hd_pipeline *pipeline, uint32_t worker, void (*fn)(void *arg, struct hd_worker *w), void *arg);

#define HD_FEED_LIVE 0u
#define HD_FEED_BACKFILL 1u /* passes while live readings of the point are held */
#define HD_FEED_MANUAL 2u

struct hd_feed {
	uint32_t mode; /* HD_FEED_* */
	uint32_t reserved;
	uint64_t source;     /* position in its source, kept with the sample */
	int64_t received_ns; /* hd_clock_real_ns when the answer was there, 0 = unknown */
	/*
	 * Once all of this call is on disk, also when nothing of it was new: `accepted` new samples and revisions, `dropped`
	 * readings known already. NULL: no need to know. [journal or worker]
	 */
	void (*synced)(void *arg, uint32_t accepted, uint32_t dropped);
	void *arg;
};

/*
 * Raw values of one point in any order, to readings, through the point's plan, to the journal. Values within the point's
 * join window are one reading, whose ts is the earliest; equal to a known reading is dropped; a new metric or other value is
 * a revision that carries all metrics. HYDRO_E_INVALID for an unknown point or a value that is not finite or whose
 * timestamp is out of HD_TS_MIN_MS … HD_TS_MAX_MS (nothing of the call is taken then, `synced` is not called);
 * HYDRO_E_LIMIT above HD_FEED_RAWS_MAX. Waits while the journal is full. [worker, the point's own]
 */
int hd_pipeline_feed(struct hd_worker *w, uint32_t point, const hydro_raw *raws, uint32_t count, const struct hd_feed *how,
		     struct hydro_error *err);
/* Live readings are journaled raw-only (HELD) from now on … [worker] */
void hd_pipeline_hold(struct hd_worker *w, uint32_t point);
/* … and go through the plan in order of time now. [worker] */
void hd_pipeline_release(struct hd_worker *w, uint32_t point);
/* An operator's meter-replacement event: the next reading of the point's counter after at_ms is a new meter's. [worker] */
int hd_pipeline_meter_replaced(struct hd_worker *w, uint32_t point, int64_t at_ms, struct hydro_error *err);
/* Number of a worker, and what it belongs to. [worker] */
uint32_t hd_worker_index(const struct hd_worker *w);
struct hd_pipeline *hd_worker_pipeline(struct hd_worker *w);

/* Newest timestamp that went through the plan (held and `clock` readings do not count), 0 = none. [any] */
int64_t hd_pipeline_newest(struct hd_pipeline *pipeline, uint32_t point);
/* The batch is on disk: latest values, listeners, acknowledgements; gives the batch back. `arg` is the pipeline; this is the
 * journal's `synced`. [journal] */
void hd_pipeline_synced(void *arg, struct hd_batch *batch);
struct hd_latest *hd_pipeline_latest(struct hd_pipeline *pipeline);
/* For hd_plan_compile. [any] */
struct hd_shapes *hd_pipeline_shapes(struct hd_pipeline *pipeline);

/*
 * What the `file` step of the point's live plan says; HD_SAMPLE_FILE on a measurement says that it passed such a step.
 * HYDRO_E_NOTFOUND: no plan, or one that files nothing; HYDRO_E_CONFLICT when draining. [not worker, not io]
 */
int hd_pipeline_file_spec(struct hd_pipeline *pipeline, uint32_t point, struct hd_file_spec *ret, struct hydro_error *err);

#define HD_SWAP_NAMED_MAX 16u
#define HD_SWAP_NAME_BYTES 72u

struct hd_swap_report {
	uint32_t points;       /* that got another plan */
	uint32_t states_kept;  /* steps whose state went over */
	uint32_t states_reset; /* steps that begin anew */
	uint32_t named;        /* which those are, each once; more than HD_SWAP_NAMED_MAX are not named */
	char names[HD_SWAP_NAMED_MAX][HD_SWAP_NAME_BYTES];
	uint64_t samples_in;   /* readings taken while it lasted */
	uint64_t samples_out;  /* samples made of them, revisions not counted: one each */
	int64_t worst_pause_ns; /* longest time that a worker took no reading because of it; what other processes took of it too */
	int64_t worst_cpu_ns;   /* most CPU time of one pause: what it would be on an idle machine */
};
/*
 * Gives points other plans: each worker switches at a batch boundary, before its next reading. Returns when all have.
 * `plans` is taken. A step with the same identity and kind keeps its state. HYDRO_E_CONFLICT when drained. [control]
 */
int hd_pipeline_swap(struct hd_pipeline *pipeline, struct hd_plans *plans, struct hd_swap_report *ret, struct hydro_error *err);

/*
 * What the raw values would become: JSON {"readings":[{"ts","known","raws":{},"steps":[{"step","line","sets":{},"flags":[]}],
 * "values":{},"flags":[]}]}, from the point's present state; `spec`, when given, is tried instead of the live plan.
 * Nothing is stored. HYDRO_E_NOTFOUND, HYDRO_E_INVALID, or the compile error of `spec`. [not worker, not io]
 */
int hd_pipeline_dry_run(struct hd_pipeline *pipeline, uint32_t point, const hydro_raw *raws, uint32_t count, const struct hd_spec *spec,
			struct hd_script *script, struct hd_buf *ret_json, struct hydro_error *err);

struct hd_reprocess_report {
	uint32_t readings;    /* run again */
	uint32_t revisions;   /* of them, that came out differently; on disk when the call returns */
	uint32_t unprocessed; /* a step failed again: they stay as they were */
};
/*
 * The readings of from_ms <= ts < to_ms once more through the live plan, after a run-up from raw history; what comes out with
 * other numbers or flags becomes a revision. Nothing is overwritten, the point's present state stays. Its worker does nothing
 * else meanwhile. HYDRO_E_CONFLICT without a plan or when draining, HYDRO_E_LIMIT for more than 20,000 records with the
 * run-up or a Lua step over its budget, HYDRO_E_UNSUPPORTED without history. [not worker, not io]
 */
int hd_pipeline_reprocess(struct hd_pipeline *pipeline, uint32_t point, int64_t from_ms, int64_t to_ms, struct hd_reprocess_report *ret,
			  struct hydro_error *err);

struct hd_pipeline_status {
	uint64_t readings;     /* distinct readings taken */
	uint64_t samples;      /* samples given to the journal, revisions too */
	uint64_t values;       /* metric values in them */
	uint64_t dropped;      /* equal to what was known */
	uint64_t revisions;
	uint64_t late;
	uint64_t clock;        /* flagged so */
	uint64_t held;
	uint64_t unprocessed;
	uint64_t overruns;     /* Lua steps over their budget */
	uint64_t lua_errors;
	uint64_t steps_off;    /* (point, step) switched off after three overruns; another plan switches them on again */
	uint64_t redone;       /* readings run again because of late data */
	uint64_t waits;        /* times a worker waited for the journal: it was full, all batches were under way, or a sync was needed */
	uint64_t state_bytes;  /* of step state written to its files; of all workers */
	uint64_t state_behind; /* records behind the shard of state that is furthest behind; of all workers */
	uint64_t queued;       /* jobs waiting now */
};
/* Of one worker, or the sum for worker = UINT32_MAX. [any] */
void hd_pipeline_status(struct hd_pipeline *pipeline, uint32_t worker, struct hd_pipeline_status *ret);

#endif
