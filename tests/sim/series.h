/* SPDX-License-Identifier: MIT */
/* The real excerpts that are replayed, resampled to even steps so that a look-up is an index. */
#ifndef SIM_SERIES_H
#define SIM_SERIES_H

#include "base/error.h"

struct sim_track {
	char name[48];
	int64_t step_ms;
	size_t count;    /* steps in one cycle */
	double *values;  /* volume: count + 1 cumulative litres from 0; stage: count values in cm */
	double total;    /* volume: litres a cycle */
	double max_rate; /* volume: litres a second in the busiest step */
	double low, high; /* stage */
};

struct sim_series {
	struct sim_track *volumes;
	size_t volume_count;
	struct sim_track *stages;
	size_t stage_count;
};

/*
 * Reads DIR/daiad/totalizer.csv, DIR/bwdf/inflow_hourly_lps.csv and DIR/stage/…csv, each plain or .gz; what is not
 * there is left out, but one volume and one stage series must be. Backward steps of the meters are held level (truth
 * never falls; faults make it fall), spans without data are cut out, nothing is filled. HYDRO_E_NOTFOUND, HYDRO_E_IO,
 * HYDRO_E_NOMEM. [control]
 */
int sim_series_load(const char *dir, struct sim_series **ret, struct hydro_error *err);
void sim_series_free(struct sim_series *series);

/* Litres run from the cycle's begin of an endless replay until t_ms >= 0. [any] */
double sim_track_volume(const struct sim_track *track, int64_t t_ms);
/* Stage in cm at t_ms >= 0 of an endless replay, straight between steps. [any] */
double sim_track_stage(const struct sim_track *track, int64_t t_ms);

#endif
