/* SPDX-License-Identifier: MIT */
#ifndef HD_PLUGIN_CALL_H
#define HD_PLUGIN_CALL_H

#include "plugin/crumb.h"

/* A [control] function of a plugin with its arguments; allocated, begins every call's own struct. */
struct hd_call {
	void (*run)(struct hd_call *call);
	void (*free)(struct hd_call *call); /* whoever sees the call's end last */
	uint32_t crumb;
	int rc; /* by run */
	struct hydro_error err;
};

/*
 * Runs call->run on a thread of its own, under the call's crumb, for at most timeout_ms. Returns HYDRO_OK with the call
 * finished: the caller reads it and frees it by call->free. HYDRO_E_TIMEOUT: the thread was left behind and frees the call if
 * it ever returns; nothing the call refers to may be freed. HYDRO_E_AGAIN: no thread, the call was freed. [control]
 */
int hd_call_run(struct hd_call *call, const char *thread_name, uint32_t timeout_ms, struct hydro_error *err);

#endif
