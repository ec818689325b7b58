/* SPDX-License-Identifier: MIT */
/*
 * Instances of analytics plugins as `detect` steps name them. What a plugin remembers of a point lies in the point's step
 * state, behind a head that says which version wrote it; a call works on a copy, so that one that fails or writes where it
 * must not leaves the point's memory as it was. The list is filled before plans are compiled and outlives all of them.
 */
#ifndef HD_PIPELINE_DETECT_H
#define HD_PIPELINE_DETECT_H

#include "plugin/plugin.h"

#include <pthread.h>
#include <stdatomic.h>

#define HD_DETECTORS_MAX 32u

/* In front of the plugin's state. */
struct hd_detect_head {
	uint32_t version; /* state_version + 1 of who wrote it; 0 = not begun */
	uint16_t size;
	uint16_t plugin; /* of the plugin's name: an instance may come to be of another one */
};

struct hd_detector {
	char name[64];   /* of the instance */
	char plugin[40]; /* name and … */
	char version[40]; /* … version, for provenance */
	const struct hd_analytics *face; /* NULL = does not run: every reading is flagged `unannotated` */
	uint32_t state_size, state_version;
	uint16_t plugin_hash;
	bool updates_points; /* has `update` */
	struct hd_options *point; /* defaults of its options of points */
	pthread_mutex_t migrate; /* makes migrate one call at a time, as [control] functions are; guards nothing of ours */
	_Atomic uint64_t samples, flagged, failures;
	_Atomic int64_t told_ns; /* of the last event about a failure */
	void (*event)(void *arg, uint32_t level, const char *event, const char *text);
	void *event_arg;
};

struct hd_detectors {
	uint32_t count;
	struct hd_detector *list[HD_DETECTORS_MAX];
	/* Failures, at most one a minute per instance; level as HD_EVENT_*. Set before the list is used. [worker] */
	void (*event)(void *arg, uint32_t level, const char *event, const char *text);
	void *event_arg;
};

struct hd_names;

/*
 * Adds an instance. `instance` NULL: one that could not be made and does not run; `descriptor` is its plugin's either way.
 * HYDRO_E_CONFIG for a plugin of another kind or with options of points that are required, HYDRO_E_LIMIT, HYDRO_E_NOMEM. [control]
 */
int hd_detectors_add(struct hd_detectors *detectors, const char *name, const struct hd_instance *instance, const struct hd_descriptor *descriptor,
		     struct hd_names *names, struct hydro_error *err);
/* All plans must be gone. [control] */
void hd_detectors_done(struct hd_detectors *detectors);

/*
 * One sample of a point through the plugin: what is in `state` (head and plugin's) moves on. HYDRO_OK with the annotation,
 * whose score and quality are in range; anything else: not judged, `state` as it was. `point_id`: 16 bytes. [worker]
 */
int hd_detector_update(struct hd_detector *d, uint8_t *state, const hydro_sample *sample, const void *point_id, hydro_annotation *ret);
/*
 * State written by an older plan or version into a new plan's. true: carried over, as it is or by the plugin's `migrate`;
 * false: begins anew. [worker]
 */
bool hd_detector_take_state(struct hd_detector *d, const uint8_t *from, uint32_t from_bytes, uint8_t *to);

#endif
