/* SPDX-License-Identifier: MIT */
/*
 * Samples on their way from a worker to the journal and on to whoever publishes them. One allocation for the samples, one
 * for their values and flags; both are kept when the batch is recycled, so that a running worker allocates nothing.
 * A batch belongs to one thread at a time and is handed over whole: worker → journal → publisher → back by `recycle`.
 */
#ifndef HD_MODEL_BATCH_H
#define HD_MODEL_BATCH_H

#include "base/buf.h"
#include "base/error.h"
#include "model/sample.h"

#include <stdbool.h>

#define HD_BATCH_SAMPLES_MAX 65536u
/* What the largest sample takes in the arena. */
#define HD_BATCH_SAMPLE_BYTES_MAX \
	(2u * HD_METRICS_PER_SAMPLE_MAX * (uint32_t)sizeof(struct hd_value) + HD_FLAGS_PER_SAMPLE_MAX * (uint32_t)sizeof(struct hd_flag) + 16u)

struct hd_batch {
	struct hd_sample *samples; /* their arrays lie in `arena` */
	uint32_t count, capacity;
	uint8_t *arena;
	uint32_t arena_used, arena_bytes;
	struct hd_buf encoded; /* filled by hd_journal_append on the worker; kept with its memory by hd_batch_clear */
	uint64_t first_lsn;    /* of samples[0], given by the journal; samples[i] has first_lsn + i */
	int64_t received_ns;   /* hd_clock_real_ns of the oldest answer in it, 0 = unknown; for freshness */
	void *owner;           /* who made it, for `recycle` */
	void (*recycle)(struct hd_batch *batch); /* called once everything right of the journal has let go; NULL: hd_batch_free by the taker */
};

/*
 * An empty batch for up to `capacity` samples (1 … HD_BATCH_SAMPLES_MAX) and arena_bytes of values and flags (at least
 * HD_BATCH_SAMPLE_BYTES_MAX). HYDRO_E_NOMEM. [any]
 */
int hd_batch_new(uint32_t capacity, uint32_t arena_bytes, struct hd_batch **ret);
/* NULL is fine; sets the pointer to NULL. [any] */
void hd_batch_free(struct hd_batch **batch);
/* Forgets the samples, keeps memory, owner and recycle. [owner] */
void hd_batch_clear(struct hd_batch *batch);
/* Gives the batch back: by its `recycle`, or frees it. [whoever holds it] */
void hd_batch_release(struct hd_batch *batch);
/* Whether one more sample of any size fits. [owner] */
static inline bool hd_batch_has_room(const struct hd_batch *batch)
{
	return batch->count < batch->capacity && batch->arena_bytes - batch->arena_used >= HD_BATCH_SAMPLE_BYTES_MAX;
}
/*
 * Adds a sample with the head of `sample` and room for as many raws, values and flags as its counts say; the arrays are not
 * copied but filled by the caller through the ret pointers (NULL where the count is 0). NULL when it does not fit. [owner]
 */
struct hd_sample *hd_batch_reserve(struct hd_batch *batch, const struct hd_sample *sample, struct hd_value **ret_raws,
				   struct hd_value **ret_values, struct hd_flag **ret_flags);
/* Gives sample `i`, which has none yet, values and flags; false when they do not fit. [owner] */
bool hd_batch_extend(struct hd_batch *batch, uint32_t i, const struct hd_value *values, uint32_t value_count, const struct hd_flag *flags,
		     uint32_t flag_count);
/* Adds a copy of `sample` with its arrays; NULL when it does not fit. [owner] */
struct hd_sample *hd_batch_add(struct hd_batch *batch, const struct hd_sample *sample);

#endif
