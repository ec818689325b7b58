/* SPDX-License-Identifier: MIT */
/* Points under a steady load, through ready pipelines and a journal that syncs, with an account of every measurement. */
#ifndef HD_TESTS_BENCH_LOAD_H
#define HD_TESTS_BENCH_LOAD_H

#include "pipeline/pipeline.h"
#include "pipeline/scripts.h"

#include <stdbool.h>
#include <stdint.h>

#define LOAD_PHASES 64u /* of phase 0 nothing is kept */

struct load;

struct load_config {
	uint32_t points;       /* all in pipeline `well` */
	const char *pipelines; /* folder of scripts */
	bool no_disk;          /* what comes out counts as synced at once: the journal's own memory is not in what is measured */
	uint32_t rate;         /* measurements a second, three metrics each; each point in turn, a minute of its own time apart */
};

/* Ends the program with a reason when something is not there. */
void load_must(int rc, const struct hydro_error *err, const char *what);
void load_open(const struct load_config *config, struct load **ret);
struct hd_scripts *load_scripts(struct load *load);
struct hd_pipeline *load_pipeline(struct load *load);
struct hd_points *load_points(struct load *load);
/* A point beside the load, and one reading of it. The point is put anew at each call, so that it gets a plan anew. */
uint32_t load_beside(struct load *load, const char *pipeline);
void load_feed_beside(struct load *load, uint32_t point, uint64_t number);
/* Latencies from now on belong to that phase: from when a measurement was due to when it was on disk. */
void load_phase(struct load *load, uint32_t phase);
/* ms; of measurements due in that phase. */
double load_latency(struct load *load, uint32_t phase, double q, uint64_t *ret_count);
/* Waits until that many measurements are on disk. */
void load_wait(struct load *load, uint64_t measurements);

struct load_account {
	uint64_t fed, lost, doubled;
};
/* Ends the load; everything is on disk then and has been read back from the journal. */
void load_stop(struct load *load, struct load_account *ret);
void load_close(struct load **load);

#endif
