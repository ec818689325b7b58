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
/* Adds row i, flagged as intake would; params, state, block and config are the caller's to set. The run has room. */
struct hd_row *hd_past_add_row(const struct hd_pipeline *p, struct hd_run *run, const struct hd_past *past, uint32_t i);

#endif
