/* SPDX-License-Identifier: MIT */
/* What the compiler of plans knows while it works; shared by compile.c and plan.c only. */
#ifndef HD_PIPELINE_COMPILE_H
#define HD_PIPELINE_COMPILE_H

#include "pipeline/step.h"

#include <stdatomic.h>

#define HD_COMPILE_TABLE_MAX 4096u /* numbers in all tables of a plan */

struct hd_shapes {
	pthread_mutex_t lock; /* guards: buckets, count, sinks, detectors; a shape without references is gone when it is given up */
	struct hd_names *names;
	struct hd_shape *buckets[1024];
	uint32_t count;
	uint32_t next_number;
	char **sinks;
	uint32_t sink_count;
	bool sinks_known;
	_Atomic(struct hd_compile *) spare; /* memory of the last compile: for the next, a hundred thousand times */
	const struct hd_detectors *detectors; /* borrowed */
};

struct hd_compile {
	struct hd_shapes *shapes;
	const struct hd_spec *spec;
	struct hd_plan_fault *fault;
	uint32_t step_count;
	uint32_t at; /* number of the spec's step being compiled */
	uint32_t slot_count, param_count, state_bytes, table_count, sinks_named;
	uint64_t hidden, consumed, made;
	struct hd_file_spec file;
	char target[64]; /* of the step being compiled, "" = its metric */
	char source[96]; /* of its rule, "" = the script */
	uint32_t metrics[HD_PLAN_SLOTS_MAX];
	const char *units[HD_PLAN_SLOTS_MAX];
	/* From here on nothing is read that this compile did not write. */
	struct hd_step steps[HD_SPEC_STEPS_MAX];
	double params[HD_PLAN_PARAMS_MAX];
	double table[HD_COMPILE_TABLE_MAX];
	uint32_t table_at[HD_SPEC_STEPS_MAX];
};

/* Compiles the steps of c->spec into c. */
int hd_compile_steps(struct hd_compile *c, struct hydro_error *err);

#endif
