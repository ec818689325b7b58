/* SPDX-License-Identifier: MIT */
/* Raw history of a point, to be run again: by late data, by a reprocess, by a candidate on trial. Inside the pipeline only. */
#ifndef HD_PIPELINE_PAST_H
#define HD_PIPELINE_PAST_H

#include "pipeline/inner.h"

/* Readings of a window by time, highest revisions only, without those of a wrong clock. */
struct hd_past {
	struct hd_batch *batch;
	struct hd_sample **rows; /* into the batch */
	uint32_t count;
	bool too_many;
};

/* Loads from_ms <= ts < to_ms into *ret, which is all zero. HYDRO_E_LIMIT for more than max_rows records. [worker, http] */
int hd_past_load(const struct hd_pipeline *p, uint32_t point, int64_t from_ms, int64_t to_ms, uint32_t max_rows, struct hd_past *ret,
		 struct hydro_error *err);
/* All zero is fine. */
void hd_past_done(struct hd_past *past);
struct hd_past_run {
	const struct hd_pipeline *pipeline;
	struct hd_run *run; /* its Lua calls are the caller's to set; row->sample is the number in past->rows */
	const struct hd_shape *shape;
	/* params, state, block, config. */
	void (*prepare)(void *arg, struct hd_row *row, const struct hd_sample *sample);
	/* In order; other than HYDRO_OK ends it. */
	int (*done)(void *arg, const struct hd_sample *sample, const struct hd_outcome *now);
	void *arg;
};
/* All readings through the shape, flagged as intake would; one is done once nothing can be said of it any more. */
int hd_past_run(const struct hd_past_run *how, const struct hd_past *past);
/* Of the reading before ts_ms, for one's judgement depends on the next; ts_ms itself when no step looks ahead. */
int64_t hd_past_reaches_back(const struct hd_past *past, const struct hd_shape *shape, int64_t ts_ms);

#endif
