/* SPDX-License-Identifier: MIT */
/* What state.c and state_read.c share: the keeper of step state. */
#ifndef HD_PIPELINE_KEEPER_H
#define HD_PIPELINE_KEEPER_H

#include "pipeline/state_frame.h"

#include "base/queue.h"

#include <stdatomic.h>
#include <stdio.h>

/* A shard's file. */
struct shard_file {
	struct hd_buf image; /* what was read, until it is taken over */
	/* keeper's thread after the start */
	size_t end;      /* of its frames */
	bool broken;     /* what changed is not all in it: only a frame of all points is written again */
	_Atomic uint64_t lsn; /* up to which it holds everything; read by others */
	/* worker's after the start */
	uint32_t frames; /* behind the first */
	uint64_t changed; /* entries in them */
	uint64_t written_lsn; /* of the newest frame that was made */
	_Atomic bool want_all; /* the next frame is to have all points: set by both, cleared by the worker */
};

struct hd_keeper {
	pthread_t thread;
	bool started;
	struct hd_queue *queue; /* of shard_image */
	_Atomic bool stopping;
	struct shard_file files[HD_SHARDS];
	_Atomic(uint64_t *) sums[HD_PAGES]; /* by point: of what was written last; owned by the points' workers */
	/* Entries that no plan took over yet, by point; a pointer pair each. Owned by the point's worker after the start. */
	_Atomic(struct hd_stored *) pages[HD_PAGES];
	_Atomic bool recovered;
};

static inline void hd_keeper_path(const struct hd_pipeline *p, uint32_t shard, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s/%02x.state", p->config.state_dir, shard);
}

/* Reads and checks the files of all shards, on a thread for each worker; what they say of points is in place then. */
int hd_keeper_read(struct hd_pipeline *p, struct hydro_error *err);
/* The point's plan has taken over what was kept. [worker] */
void hd_keeper_forget(struct hd_pipeline *p, uint32_t point);

#endif
