/* SPDX-License-Identifier: MIT */
/*
 * A provider over HTTP, or a sink that files, in a process of its own (hydro-runner --serve) behind the same table of functions. A crash or hang ends
 * that process alone: the call fails in words, the next one starts it again after a back-off (1 s doubling to 60 s), and after
 * HD_ISOLATED_FAILURES_MAX in a row it is quarantined. Calls wait for one another: an isolated plugin parses on one core.
 */
#ifndef HD_PLUGIN_ISOLATED_H
#define HD_PLUGIN_ISOLATED_H

#include "plugin/image.h"
#include "plugin/services.h"

#include <sys/types.h>

#define HD_ISOLATED_CALL_MS 5000u      /* a call that takes longer is a hang */
#define HD_ISOLATED_FAILURES_MAX 5u    /* in a row, each within HD_ISOLATED_GOOD_MS of its start */
#define HD_ISOLATED_GOOD_MS 60000u     /* a process that lives this long begins counting anew */

struct hd_isolated;

/* Not started yet. `image` is mapped and stays while this lives; `services` is borrowed. [control] */
int hd_isolated_new(const char *runner_path, const struct hd_image *image, struct hd_services *services, uint32_t call_ms,
		    struct hd_isolated **ret, struct hydro_error *err);
/* Starts the process and creates in it; keeps a reference to the options to create again after a crash. [control] */
int hd_isolated_create(struct hd_isolated *isolated, struct hd_options *options, struct hydro_error *err);
/* Ends the process; sets the pointer to NULL. [control] */
void hd_isolated_free(struct hd_isolated **isolated);
/* Functions to be called with the hd_isolated as instance; NULL where the plugin has none. create and subscribe are not in it. */
hydro_provider_ops hd_isolated_ops(const struct hd_isolated *isolated);
hydro_sink_ops hd_isolated_sink_ops(const struct hd_isolated *isolated);
/* After configure went well: what a restart is to be made from. [control] */
void hd_isolated_keep_options(struct hd_isolated *isolated, struct hd_options *options);
/* Process id, 0 when it does not run; failures in a row. [any] */
pid_t hd_isolated_pid(struct hd_isolated *isolated, uint32_t *ret_failures);

#endif
