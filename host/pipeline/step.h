/* SPDX-License-Identifier: MIT */
/*
 * The table of steps: a row per kind says its options with type, unit and default, its state and its flags; compiler,
 * messages and reference are made from it. Inside the pipeline only.
 */
#ifndef HD_PIPELINE_STEP_H
#define HD_PIPELINE_STEP_H

#include "pipeline/plan.h"

#include <pthread.h>

#define HD_SLOT_NONE 255u
#define HD_STEP_METRICS_MAX 8u
#define HD_STEP_CONSTS_MAX 8u
#define HD_STEP_OPTIONS_MAX 16u

/* Types of an option. */
#define HD_OPT_INPUT 1u    /* name of a metric that must have been made or may come raw */
#define HD_OPT_OUTPUT 2u   /* name of a metric that the step sets */
#define HD_OPT_PARAM 3u    /* a number of the point, kept with it */
#define HD_OPT_CONST 4u    /* a number of the script, kept with the shape */
#define HD_OPT_DURATION 5u /* "2h" or seconds; kept with the shape in ms */
#define HD_OPT_BOOL 6u     /* kept with the shape as 0 or 1 */
#define HD_OPT_TABLE 7u    /* numbers, row by row, taken by the kind */
#define HD_OPT_INPUTS 8u   /* a list of metrics */
#define HD_OPT_NAMES 9u    /* a list of names, checked by the kind */
#define HD_OPT_UNIT 10u    /* name of a unit, checked by the kind */
#define HD_OPT_DATED 12u   /* tables with the date each holds from, taken by the kind */
#define HD_OPT_NUMBERS 11u /* a few numbers, taken by the kind */

#define HD_OPT_REQUIRED 1u
#define HD_OPT_POSITIONAL 2u /* may come without its key */
#define HD_OPT_CONSUMES 4u   /* the input's raw value is no result by itself, unless it is the output too */
#define HD_OPT_AS_INPUT 8u   /* an output that is the input when not given */
#define HD_OPT_ABSENT 16u    /* a number without default: NaN when not given */

struct hd_step_option {
	const char *name;
	uint8_t type;
	uint8_t flags;
	const char *unit;     /* of the metric or number; "" = any */
	const char *metric;   /* default of an INPUT or OUTPUT; NULL = none */
	double fallback;      /* default of a number */
	double min, max;      /* of a number; max <= min: no bound */
	const char *doc;
};

#define HD_STEP_STATEFUL 1u
#define HD_STEP_NOT_YET 2u /* named in scripts, not available in this version */
#define HD_STEP_REMEMBERS 8u /* for longer than raw history is run again: a redo leaves its live state alone */
#define HD_STEP_LOOKS_AHEAD 16u /* judges a reading when the next is there; its first constant says for how long, in ms */
#define HD_STEP_RECALLS 32u /* a redo begins with its live state: what it holds is of long before */
#define HD_STEP_NO_CODE 4u /* says something about the plan, runs nothing */

struct hd_run;
struct hd_step;
struct hd_compile;
struct hd_detector;

struct hd_step_kind {
	const char *name;
	const char *doc;
	const char *formula;
	const char *state; /* what is remembered, "" = nothing */
	const char *flags; /* that it sets */
	const struct hd_step_option *options;
	uint32_t option_count;
	uint32_t bits; /* HD_STEP_* */
	uint32_t state_bytes;
	uint32_t state_version;
	void (*run)(const struct hd_step *step, struct hd_run *run);
	/* Checks beyond the rows, fills what they cannot say. NULL = nothing. */
	int (*check)(struct hd_compile *compile, struct hd_step *step, const struct hd_spec_step *spec, struct hydro_error *err);
};

/* A step of a shape. */
struct hd_step {
	const struct hd_step_kind *kind;
	void (*run)(const struct hd_step *step, struct hd_run *run);
	uint64_t identity; /* of its state: id, else kind and target */
	uint64_t kind_hash; /* of the kind's name, as state files have it */
	uint16_t param;    /* its first number in the point's block */
	uint16_t state;    /* its first byte in the point's state … */
	uint32_t state_bytes; /* … and how many */
	struct hd_detector *detector; /* of a `detect` step */
	uint8_t in_count, out_count;
	uint8_t in[HD_STEP_METRICS_MAX];  /* slots in the order of the options; HD_SLOT_NONE = not given */
	uint8_t out[HD_STEP_METRICS_MAX];
	uint8_t link;      /* slot of a counter's accumulated raw units that feeds a rate, else HD_SLOT_NONE */
	uint8_t reserved;
	uint16_t link_param; /* the counter's litres_per_pulse */
	uint32_t rule;     /* number in hd_names: provenance of its flags */
	uint32_t line;
	const char *lib;   /* library that the line is of, the script's own text; NULL = the script itself */
	uint32_t table_rows;
	double consts[HD_STEP_CONSTS_MAX];
	const double *table;
	uint32_t function;   /* of a Lua step */
	uint32_t slot_count; /* state slots of a Lua step */
	char label[72];    /* "range:flow" */
};

struct hd_shape {
	uint32_t refs; /* atomic; the last one goes, and a found one comes, under the shapes' lock */
	uint32_t number;
	uint64_t hash;
	uint32_t generation;
	uint32_t step_count, slot_count, param_count, state_bytes;
	uint32_t stateful_steps, lua_steps, sinks_named;
	int64_t ahead_ms;  /* how far steps look ahead; 0 = none does */
	uint64_t hidden;   /* slots that are no result */
	uint64_t consumed; /* slots whose raw value alone is no result */
	uint64_t made;     /* slots that a step sets */
	struct hd_script *script;
	struct hd_shapes *owner;
	struct hd_step *steps;
	uint32_t metrics[HD_PLAN_SLOTS_MAX]; /* of each slot; 0 = hidden */
	uint32_t metric_limit;
	struct hd_file_spec file;
	uint8_t *slot_of;                    /* [metric_limit] slot or HD_SLOT_NONE */
	struct hd_shape *next;               /* in its bucket */
	void *key;                           /* what the hash is of */
	uint32_t key_bytes;
};

const struct hd_step_kind *hd_step_kinds(uint32_t *ret_count);
const struct hd_step_kind *hd_step_kind_find(const char *name);
/* The kind of Lua steps; not in the table. */
extern const struct hd_step_kind hd_step_lua;

/* A live shape by its hash, with a reference; NULL when there is none. */
struct hd_shape *hd_shapes_find(struct hd_shapes *shapes, uint64_t hash);
void hd_shape_ref(struct hd_shape *shape);
void hd_shape_ref_many(struct hd_shape *shape, uint32_t count);
void hd_shape_unref(struct hd_shape *shape);
/* The rule with a flag's own name behind it; the rule itself when there is no room on disk. [worker, may block on disk for a new name] */
uint32_t hd_shape_rule_named(const struct hd_shape *shape, uint32_t rule, const char *name);
/* What an older plan or a state file kept for this step, into a new plan's state; false: it begins anew. */
bool hd_step_take_state(const struct hd_step *step, const uint8_t *from, uint32_t from_bytes, uint8_t *state);
/* A new point's state. */
void hd_shape_state_init(const struct hd_shape *shape, uint8_t *state);

/* For the kinds' check functions. */
/* Error with line and step in front; `nearest` may be NULL. */
int hd_compile_fail(struct hd_compile *compile, const struct hd_spec_step *spec, const char *option, const char *nearest,
		    struct hydro_error *err, const char *fmt, ...) HD_PRINTF(6, 7);
/* A slot that is no metric. HD_SLOT_NONE when there are too many. */
uint8_t hd_compile_hidden_slot(struct hd_compile *compile);
/* Unit of a slot as known so far, "" = unknown; and what a step makes of it. */
const char *hd_compile_unit(const struct hd_compile *compile, uint8_t slot);
void hd_compile_set_unit(struct hd_compile *compile, uint8_t slot, const char *unit);
uint32_t hd_compile_metric(const struct hd_compile *compile, uint8_t slot);
/* Slot of a metric named in a script; HD_SLOT_NONE with the error set. */
uint8_t hd_compile_slot(struct hd_compile *compile, const struct hd_spec_step *spec, const char *option, const char *metric, struct hydro_error *err);
/* The latest counter step that made a slot, or NULL. */
const struct hd_step *hd_compile_counter_of(const struct hd_compile *compile, uint8_t slot);
bool hd_compile_sink_known(const struct hd_compile *compile, const char *name, const char **ret_nearest);
void hd_compile_add_sink(struct hd_compile *compile);
/* Slot of a metric that an earlier step names or makes, or HD_SLOT_NONE. */
uint8_t hd_compile_slot_of(const struct hd_compile *compile, uint32_t metric);
/* The metric with a unit that is nearest to a name, or NULL. */
const char *hd_compile_nearest(const struct hd_compile *compile, const char *name);
/* What the step is called after its kind in labels and identity, instead of its metric. */
void hd_compile_set_target(struct hd_compile *compile, const char *target);
/* Whose rule it is, instead of the script's: "plugin anomaly 1.2.0". The step keeps its provenance through edits of the script. */
void hd_compile_set_source(struct hd_compile *compile, const char *source);
/* One more number of the point; false when there are too many. */
bool hd_compile_add_param(struct hd_compile *compile, double number);
/* Room for `count` numbers in the step's table; NULL with the error set when there are too many. */
double *hd_compile_add_table(struct hd_compile *compile, struct hd_step *step, const struct hd_spec_step *spec, const char *option, uint32_t count,
			     struct hydro_error *err);
const char *hd_compile_metric_name(const struct hd_compile *compile, uint8_t slot);
/* The instance of that name, or NULL with the nearest one, if any. */
struct hd_detector *hd_compile_detector(const struct hd_compile *compile, const char *name, const char **ret_nearest);
/* Where the plan's `file` step writes what it says; all zero until then. */
struct hd_file_spec *hd_compile_file(struct hd_compile *compile);

/* Step tables by topic. */
extern const struct hd_step_kind hd_step_counter;
extern const struct hd_step_kind hd_step_budget;
extern const struct hd_step_kind hd_step_detect;
extern const struct hd_step_kind hd_step_spike_average;
extern const struct hd_step_kind hd_steps_flow[];
extern const uint32_t hd_steps_flow_count;
extern const struct hd_step_kind hd_steps_quality[];
extern const uint32_t hd_steps_quality_count;
extern const struct hd_step_kind hd_steps_out[];
extern const uint32_t hd_steps_out_count;

/* What a counter remembers, in raw units: a changed offset or litres_per_pulse must not appear as flow. */
struct hd_counter_state {
	double base;         /* the last good reading */
	int64_t base_ts;     /* its time; 0 = none yet */
	double carried;      /* sum of the meters and rounds before this one */
	double acc;          /* sum of the accepted differences */
	double first, last;  /* of the series that may become the new count */
	int64_t last_ts;     /* of its newest reading */
	int64_t event_ts;    /* where the last confirmed event began … */
	double event_carried; /* … and `carried` before it */
	float peak;          /* highest rate an hour seen, fading */
	uint16_t rises;      /* of that series */
	uint8_t pending;     /* flag number of that series, 0 = none */
	uint8_t bits;
	uint64_t event_flag : 8;
	uint64_t event_bits : 8; /* `bits` of the series that it was */
	uint64_t span_ms : 48;   /* that the series lasts: it began so long before last_ts */
};

#define HD_COUNTER_REPLACED 1u   /* an operator said that the meter was replaced; the next drop is the new meter */
#define HD_COUNTER_PENDING_GAP 2u /* the series began after a disconnection */
#define HD_COUNTER_KNOWN 4u      /* redo: what began at event_ts is event_flag, already confirmed */
#define HD_COUNTER_CUT_OFF 16u   /* the series began 90 % or more below */
#define HD_COUNTER_NEW_COUNT 8u  /* the series began at zero, as far as its first value tells */

#endif
