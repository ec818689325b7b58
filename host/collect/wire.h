/* SPDX-License-Identifier: MIT */
/* The real parts beside the collector: pipeline, plugin instances, names. */
#ifndef HD_COLLECT_WIRE_H
#define HD_COLLECT_WIRE_H

#include "collect/collect.h"

struct hd_instance;
struct hd_names;
struct hd_pipeline;

struct hd_collect_wiring {
	struct hd_pipeline *pipeline;
	struct hd_names *names;
	/* Looks an account up in the store. May block. */
	int (*account)(void *arg, uint32_t account, struct hd_collect_account *ret, struct hydro_error *err);
	void *account_arg;
	/* Under a simulated clock: journal, history and the rest have nothing to do. NULL: only the pipeline's queues count. */
	bool (*idle)(void *arg, int64_t *ret_next_ms);
	void *idle_arg;
	uint32_t stop_ms; /* time a subscription's drain may take at the end; 0: 5000 */
};

/* Fills `ret` for hd_collect_config.ops; `wiring` must live as long as the collector. [control] */
void hd_collect_wire(const struct hd_collect_wiring *wiring, struct hd_collect_ops *ret);
/*
 * Fills `ret` from an instance, which must live longer; concurrency, rate and time-out are left to the caller. false when
 * the instance is no provider. A subscribing instance is stopped by hd_collect_close. [control]
 */
bool hd_collect_wire_provider(struct hd_instance *instance, struct hd_collect_provider *ret);

#endif
