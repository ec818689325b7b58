/* SPDX-License-Identifier: MIT */
/*
 * What a script's build(point) asks for, as neutral data: the list of steps in order. Filled by lua, compiled by pipeline
 * (pipeline/plan.h); knows neither of Lua nor of plans. All memory is one arena: a spec is freed as a whole and may be
 * refilled. A spec belongs to one thread at a time.
 */
#ifndef HD_LUA_SPEC_H
#define HD_LUA_SPEC_H

#include "base/error.h"

#include <stdbool.h>

#define HD_SPEC_STEPS_MAX 64u
#define HD_SPEC_ARGS_MAX 32u  /* of a step */
#define HD_SPEC_LIST_MAX 1024u
#define HD_SPEC_SLOTS_MAX 16u /* state slots of one Lua step */
#define HD_SPEC_BYTES_MAX (1u << 20)

#define HD_ARG_NUMBER 1u
#define HD_ARG_TEXT 2u
#define HD_ARG_BOOL 3u
#define HD_ARG_NUMBERS 4u
#define HD_ARG_TEXTS 5u
#define HD_ARG_DATED 6u /* { { from = "2025-01-01", table = { … } }, … } */

/*
 * One option of a step. A named one has `key` ("from"); a positional one (range { "flow", … }, to { "history", "redis" })
 * has key "" and all positional ones of a step come as a single argument: TEXTS, or NUMBERS when all are numbers.
 * Lists of lists (a rating table) come flattened row by row. DATED ones, each with the date it holds from, are NUMBERS too:
 * for each its date in ms, how many numbers follow, and those.
 */
struct hd_spec_arg {
	const char *key;
	uint32_t type;         /* HD_ARG_* */
	uint32_t count;        /* of a list; 1 otherwise */
	double number;         /* NUMBER; BOOL as 0 or 1 */
	const char *text;      /* TEXT, ended by NUL */
	const double *numbers; /* NUMBERS, DATED */
	const char *const *texts; /* TEXTS */
};

#define HD_SPEC_KIND_LUA "lua" /* kind of a step that is a Lua function */

struct hd_spec_step {
	const char *kind; /* "counter", "range", … HD_SPEC_KIND_LUA */
	const char *id;   /* identity given by the script, "" = none (kind + target then) */
	uint32_t line;    /* where the script made it, 0 = unknown */
	const char *lib;  /* name of the library that the line is of; NULL = the script itself */
	uint32_t arg_count;
	const struct hd_spec_arg *args;
	/* For HD_SPEC_KIND_LUA: */
	uint32_t function; /* index for hd_lua_call_step */
	uint32_t slot_count;
	const char *const *slots; /* names of the declared numeric state slots */
};

struct hd_spec_chunk;

struct hd_spec {
	const char *script; /* name and hash for provenance: "well@3f2a91c0" */
	struct hd_spec_step *steps;
	uint32_t step_count;
	struct hd_spec_chunk *chunks; /* private */
	uint32_t bytes;               /* private: taken from the chunks */
};

/* All zero is an empty spec. [any] */
void hd_spec_done(struct hd_spec *spec);
/* Forgets the steps, keeps one chunk of memory. [owner] */
void hd_spec_clear(struct hd_spec *spec);
/* `size` zeroed bytes, aligned to 8, that live as long as the spec's content; NULL without memory or above HD_SPEC_BYTES_MAX. [owner] */
void *hd_spec_alloc(struct hd_spec *spec, size_t size);
/* A copy of text in the spec; NULL as above. [owner] */
const char *hd_spec_text(struct hd_spec *spec, const char *text, size_t len);
/*
 * Appends a step; `step` is copied as it is (its texts and arrays must be in the spec or outlive it). HYDRO_E_LIMIT above
 * HD_SPEC_STEPS_MAX, HYDRO_E_NOMEM. [owner]
 */
int hd_spec_add(struct hd_spec *spec, const struct hd_spec_step *step, struct hydro_error *err);
/* The named argument of a step, or NULL. [any] */
const struct hd_spec_arg *hd_spec_arg(const struct hd_spec_step *step, const char *key);

#endif
