/* SPDX-License-Identifier: MIT */
/* Inside of the api folder: readings by hand on their way through the pipeline, waited for until they are on disk. */
#ifndef HD_API_WIRE_FEED_H
#define HD_API_WIRE_FEED_H

#include "pipeline/pipeline.h"

#define HD_API_FEED_TIMEOUT_MS 30000

/* HYDRO_E_TIMEOUT: they may still come through; HYDRO_E_CANCELLED while draining; else as hd_pipeline_feed. [http] */
int hd_api_wire_feed(struct hd_pipeline *pipeline, uint32_t point, const hydro_raw *raws, uint32_t count, uint32_t *ret_accepted, uint32_t *ret_dropped,
		     struct hydro_error *err);

#endif
