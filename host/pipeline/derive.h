/* SPDX-License-Identifier: MIT */
/*
 * Derived points: a point whose provider is "derived" has no logger. What other points measured comes to it as its raw
 * values, at their loggers' times, and goes through its own pipeline, journal and history as any reading does. So a work
 * measured by several meters is a point of its own:
 *
 *     provider = "derived", options = { sources = { total_1 = "<id of a point>/total", total_2 = "<id>/total" } }
 *
 * Values whose times lie within the derived point's join window are one reading, at the earliest of them; what comes later
 * in the window is a revision. A source that says nothing is missing in the reading: a `sum` over it is not made. Nothing is
 * carried over or made up. What a source judged bad (quality 0) is kept as raw value and is no datum.
 */
#ifndef HD_PIPELINE_DERIVE_H
#define HD_PIPELINE_DERIVE_H

#include "base/error.h"

#include <stdint.h>

#define HD_DERIVE_PROVIDER "derived"
#define HD_DERIVE_SOURCES_MAX 32u

struct hd_derive;
struct hd_journal;
struct hd_names;
struct hd_pipeline;
struct hd_points;
struct hd_sample;

struct hd_derive_config {
	struct hd_pipeline *pipeline;
	struct hd_points *points;
	struct hd_names *names;
	struct hd_journal *journal; /* NULL: hd_derive_take by the caller alone */
	const char *cursor_path;    /* file with the LSN up to which all was passed on; copied */
	/* level as HD_EVENT_*. May be NULL. [any] */
	void (*event)(void *arg, uint32_t level, const char *event, const char *text);
	void *event_arg;
};

/*
 * Checks the options (JSON) of a derived point: HYDRO_E_INVALID names the source that is wrong; a source must be there and
 * may not be derived itself. [control, http]
 */
int hd_derive_check(struct hd_points *points, const char *options, struct hydro_error *err);
/* Registers with `points` for changes; nothing runs yet. Before other threads do. [control] */
int hd_derive_new(struct hd_points *points, struct hd_derive **ret, struct hydro_error *err);
/*
 * Takes up what the journal has since the cursor, then follows it on a thread of its own; while there is no derived point it
 * reads nothing. A derived point gets what its sources measure from its making on. [control, after hd_pipeline_recover]
 */
int hd_derive_start(struct hd_derive *derive, const struct hd_derive_config *config, struct hydro_error *err);
/* Before the pipeline is drained. [control] */
void hd_derive_stop(struct hd_derive *derive);
/* NULL is fine. [control] */
void hd_derive_free(struct hd_derive **derive);
/* Passes a synced sample on to the points derived from it; returns to how many. [derive, or the only caller] */
uint32_t hd_derive_take(struct hd_derive *derive, const struct hd_sample *sample);

#endif
