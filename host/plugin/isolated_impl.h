/* SPDX-License-Identifier: MIT */
/* Inside of an isolated plugin: how a call is made, for the tables of functions of its kinds. */
#ifndef HD_PLUGIN_ISOLATED_IMPL_H
#define HD_PLUGIN_ISOLATED_IMPL_H

#include "hostside/wire.h"
#include "plugin/isolated.h"

#include <pthread.h>

struct hd_isolated {
	uint32_t magic;
	uint32_t call_ms;
	char *runner_path;
	const struct hd_image *image;
	struct hd_services *services;
	pthread_mutex_t lock; /* guards: what follows; held for the length of a call, which is at most call_ms */
	struct hd_options *options;
	int link; /* -1: no process */
	pid_t child;
	int64_t started_ns, not_before_ns;
	uint32_t failures;
	struct hd_buf out, in; /* secret: passwords and tokens go through them */
	/* What a sink that files says of its regulator: asked once, kept with the memory behind it. */
	const hydro_filing_info *filing_info;
	struct hd_buf info_body;
	struct hd_wire_reader info_reader;
};

/* Begins a call: takes the lock and a process. On failure the lock is not held. */
int hd_isolated_begin(void *instance, uint32_t call, struct hd_isolated **ret, struct hydro_error *err);
/* Sends self->out and waits for the result, whose error it returns; the rest of it is then in `reader`. Under the lock, with a process. */
int hd_isolated_ask(struct hd_isolated *self, uint32_t call, struct hd_wire_reader *reader, struct hydro_error *err);
/* The process is no good any more: ends it, counts, says so, and returns the call's error. */
int hd_isolated_fail(struct hd_isolated *self, uint32_t call, int why, struct hydro_error *err);
/* Ends a call: wipes what went over the wire, gives the lock back; returns rc. */
int32_t hd_isolated_finish(struct hd_isolated *self, struct hd_wire_reader *reader, int32_t rc);
int32_t hd_isolated_configure(void *instance, const hydro_options *options, struct hydro_error *err);
/* The rest of a call whose result is a request. */
int32_t hd_isolated_take_request(struct hd_isolated *self, uint32_t call, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err);

#endif
