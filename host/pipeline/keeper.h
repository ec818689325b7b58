/* SPDX-License-Identifier: MIT */
/* What state.c and state_read.c share: the keeper of step state. */
#ifndef HD_PIPELINE_KEEPER_H
#define HD_PIPELINE_KEEPER_H

#include "pipeline/state_file.h"

#include "base/queue.h"

#include <stdatomic.h>
#include <stdio.h>

struct mapping {
	void *data;
	size_t len;
};

struct hd_keeper {
	pthread_t thread;
	bool started;
	struct hd_queue *queue; /* of shard_image */
	_Atomic bool stopping;
	uint64_t shard_lsn[HD_SHARDS]; /* keeper's thread after the start */
	struct mapping maps[HD_SHARDS];
	/* Entries that no plan took over yet, by point; a pointer pair each. Owned by the point's worker after the start. */
	_Atomic(struct hd_stored *) pages[HD_PAGES];
	_Atomic bool recovered;
};

static inline void hd_keeper_path(const struct hd_pipeline *p, uint32_t shard, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s/%02x.state", p->config.state_dir, shard);
}

/* Maps and checks the files of all shards, on a thread for each worker; what they say of points is in place then. */
int hd_keeper_read(struct hd_pipeline *p, struct hydro_error *err);
/* The point's plan has taken over what was kept. [worker] */
void hd_keeper_forget(struct hd_pipeline *p, uint32_t point);

#endif
