/* SPDX-License-Identifier: MIT */
/* Fills the functions of hd_api_deps from the real parts of the daemon. */
#ifndef HD_API_WIRE_H
#define HD_API_WIRE_H

#include "api/api.h"
#include "collect/collect.h"
#include "config/config.h"
#include "pipeline/pipeline.h"
#include "plugin/plugin.h"

#include <pthread.h>

/* What there is; NULL = this daemon runs without it. Lives as long as the API. */
struct hd_api_parts {
	struct hd_names *names;
	struct hd_points *points; /* for options of derived points; NULL: there are none */
	struct hd_collect *collect;
	struct hd_pipeline *pipeline;
	struct hd_journal *journal;
	struct hd_history *history;
	struct hd_plugins *plugins;
	struct hd_instance *const *instances; /* those that points and accounts name as `provider`, and others */
	size_t instance_count;
	const struct hd_config *config;
	pthread_mutex_t control; /* one call at a time into [control] functions of plugins; by hd_api_wire */
	void *extra;             /* of whoever sets further functions of hd_api_deps: their arg is these parts */
};

/*
 * Sets deps->arg = parts and every function whose part is there, but for those of pipelines, `ready` and checks.point, which
 * belong to whoever keeps the scripts. [control]
 */
void hd_api_wire(struct hd_api_parts *parts, struct hd_api_deps *deps);
/* Ends what hd_api_wire began. [control] */
void hd_api_unwire(struct hd_api_parts *parts);

#endif
