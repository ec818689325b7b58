/* SPDX-License-Identifier: MIT */
/*
 * Plans: what a pipeline script asked for, in C. A plan is a shape, which all points with the same steps share, and the
 * point's own numbers. Shapes are hash-consed and reference-counted; a plan is one allocation until it is given to a
 * worker, which keeps the numbers beside the point's step state.
 */
#ifndef HD_PIPELINE_PLAN_H
#define HD_PIPELINE_PLAN_H

#include "base/buf.h"
#include "lua/spec.h"
#include "model/names.h"

#include <stdbool.h>

#define HD_PLAN_SLOTS_MAX 64u         /* metrics a shape can name */
#define HD_PLAN_PARAMS_MAX 256u       /* numbers of a point */
#define HD_PLAN_STATE_BYTES_MAX 4096u /* step state of a point */

struct hd_shape;
struct hd_script;
struct hd_lua_step_doc;

/* All shapes of a process; any thread. */
struct hd_shapes;
int hd_shapes_new(struct hd_names *names, struct hd_shapes **ret);
/* All plans must be gone. NULL is fine. */
void hd_shapes_free(struct hd_shapes **shapes);
uint32_t hd_shapes_count(struct hd_shapes *shapes);

struct hd_plan {
	struct hd_shape *shape;  /* a reference; NULL once a point has taken it */
	uint64_t config_version; /* of the point it was built from, 0 after hd_plan_compile: what the
	                          * point has when the plan is given */
	double params[];         /* as many as the shape says */
};

/* Why a spec does not compile, beside the text in the error. */
struct hd_plan_fault {
	uint32_t step;  /* from 0; UINT32_MAX: none */
	uint32_t line;  /* 0 = unknown */
	char lib[64];   /* library that the line is of, "" = the script itself */
	char option[64];
	char nearest[64]; /* the valid name nearest to a wrong one, "" = none */
};

/*
 * Compiles `spec`. `generation` is the number of spec->script in hd_names (kind GENERATION); `script` is what Lua steps
 * belong to (a reference is taken), NULL when there are none and without Lua. HYDRO_E_CONFIG: line, step, option and the
 * nearest valid name are in the text and in `fault` (may be NULL); HYDRO_E_LIMIT, HYDRO_E_NOMEM. [any, may block on disk
 * for a new rule's name]
 */
int hd_plan_compile(struct hd_shapes *shapes, const struct hd_spec *spec, uint32_t generation, struct hd_script *script,
		    struct hd_plan **ret, struct hd_plan_fault *fault, struct hydro_error *err);
void hd_plan_free(struct hd_plan **plan);

/* What a plan's `file` step says: which of a measurement's metrics may be filed, and as what. */
struct hd_file_spec {
	char regulator[32];   /* "dga"; "" = the plan has no such step and files nothing */
	char standard[16];    /* "mayor" "medio" "menor" "muy_pequeno", "" = not said: the work's own holds */
	uint32_t flow, total, level; /* metrics, in l/s, m3, and m (water table) or cm (stage) */
	float min_quality;    /* a measurement with a worse one among them is not filed */
};

struct hd_shape_info {
	uint64_t hash; /* of all that makes it: script, steps, shared options */
	uint32_t generation;
	uint32_t steps, lua_steps, stateful_steps;
	uint32_t slots, params, state_bytes;
	uint32_t sinks_named; /* by `to` steps; 0 = none named, all take it */
	struct hd_script *script; /* borrowed */
};
void hd_shape_info(const struct hd_shape *shape, struct hd_shape_info *ret);

/* Plans by index of their point, for hd_pipeline_swap; owned by one thread until taken. */
struct hd_plans;
int hd_plans_new(struct hd_plans **ret);
void hd_plans_free(struct hd_plans **plans);
/* Takes the plan; NULL: the point loses its plan (raw values pass, or stay unprocessed when a pipeline is named). HYDRO_E_NOMEM. */
int hd_plans_put(struct hd_plans *plans, uint32_t point, struct hd_plan *plan);
uint32_t hd_plans_count(const struct hd_plans *plans);

/* Names that `to` steps may use; the list is copied. Without it any name is taken. [control, before compiling] */
int hd_shapes_set_sinks(struct hd_shapes *shapes, const char *const *names, uint32_t count);

struct hd_detectors;
/* Instances that `detect` steps may name; borrowed, they outlive all plans. Without it there are none. [control, before compiling] */
void hd_shapes_set_detectors(struct hd_shapes *shapes, const struct hd_detectors *detectors);

/* The declarative steps as lua/lua.h wants them. [any] */
const struct hd_lua_step_doc *hd_steps_lua_docs(uint32_t *ret_count);
/* The steps with options, formula, state and flags, and the scheme of flags and quality, as Markdown: scripts/lua/STEPS.md. [any] */
bool hd_steps_markdown(struct hd_buf *ret);

#endif
