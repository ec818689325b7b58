/* SPDX-License-Identifier: MIT */
#include "model/batch.h"

#include <stdlib.h>
#include <string.h>

int hd_batch_new(uint32_t capacity, uint32_t arena_bytes, struct hd_batch **ret)
{
	HD_ASSERT(capacity > 0 && capacity <= HD_BATCH_SAMPLES_MAX && arena_bytes >= HD_BATCH_SAMPLE_BYTES_MAX);
	struct hd_batch *batch = calloc(1, sizeof *batch);
	if (!batch)
		return HYDRO_E_NOMEM;
	batch->samples = malloc((size_t)capacity * sizeof *batch->samples);
	batch->arena = malloc(arena_bytes);
	if (!batch->samples || !batch->arena) {
		hd_batch_free(&batch);
		return HYDRO_E_NOMEM;
	}
	batch->capacity = capacity;
	batch->arena_bytes = arena_bytes;
	*ret = batch;
	return HYDRO_OK;
}

void hd_batch_free(struct hd_batch **batch)
{
	if (!*batch)
		return;
	hd_buf_done(&(*batch)->encoded);
	free((*batch)->samples);
	free((*batch)->arena);
	free(*batch);
	*batch = NULL;
}

void hd_batch_clear(struct hd_batch *batch)
{
	batch->count = 0;
	batch->arena_used = 0;
	batch->first_lsn = 0;
	batch->received_ns = 0;
	hd_buf_clear(&batch->encoded);
}

void hd_batch_release(struct hd_batch *batch)
{
	if (batch->recycle)
		batch->recycle(batch);
	else
		hd_batch_free(&batch);
}

struct hd_sample *hd_batch_reserve(struct hd_batch *batch, const struct hd_sample *sample, struct hd_value **ret_raws,
				   struct hd_value **ret_values, struct hd_flag **ret_flags)
{
	uint32_t raw_bytes = sample->raw_count * (uint32_t)sizeof(struct hd_value);
	uint32_t value_bytes = sample->value_count * (uint32_t)sizeof(struct hd_value);
	uint32_t flag_bytes = sample->flag_count * (uint32_t)sizeof(struct hd_flag);
	uint32_t need = (raw_bytes + value_bytes + flag_bytes + 15u) & ~15u;
	if (batch->count == batch->capacity || batch->arena_bytes - batch->arena_used < need)
		return NULL;
	uint8_t *at = batch->arena + batch->arena_used;
	batch->arena_used += need;
	*ret_raws = raw_bytes ? (struct hd_value *)(void *)at : NULL;
	*ret_values = value_bytes ? (struct hd_value *)(void *)(at + raw_bytes) : NULL;
	*ret_flags = flag_bytes ? (struct hd_flag *)(void *)(at + raw_bytes + value_bytes) : NULL;
	struct hd_sample *added = &batch->samples[batch->count++];
	*added = *sample;
	added->raws = *ret_raws;
	added->values = *ret_values;
	added->flags = *ret_flags;
	return added;
}

bool hd_batch_extend(struct hd_batch *batch, uint32_t i, const struct hd_value *values, uint32_t value_count, const struct hd_flag *flags,
		     uint32_t flag_count)
{
	struct hd_sample *sample = &batch->samples[i];
	HD_ASSERT(i < batch->count && !sample->value_count && !sample->flag_count);
	uint32_t value_bytes = value_count * (uint32_t)sizeof *values;
	uint32_t need = (value_bytes + flag_count * (uint32_t)sizeof *flags + 15u) & ~15u;
	if (batch->arena_bytes - batch->arena_used < need)
		return false;
	uint8_t *at = batch->arena + batch->arena_used;
	batch->arena_used += need;
	if (value_count)
		memcpy(at, values, value_bytes);
	if (flag_count)
		memcpy(at + value_bytes, flags, flag_count * sizeof *flags);
	sample->values = value_count ? (const struct hd_value *)(const void *)at : NULL;
	sample->flags = flag_count ? (const struct hd_flag *)(const void *)(at + value_bytes) : NULL;
	sample->value_count = (uint8_t)value_count;
	sample->flag_count = (uint8_t)flag_count;
	return true;
}

struct hd_sample *hd_batch_add(struct hd_batch *batch, const struct hd_sample *sample)
{
	struct hd_value *raws, *values;
	struct hd_flag *flags;
	struct hd_sample *added = hd_batch_reserve(batch, sample, &raws, &values, &flags);
	if (!added)
		return NULL;
	if (raws)
		memcpy(raws, sample->raws, sample->raw_count * sizeof *raws);
	if (values)
		memcpy(values, sample->values, sample->value_count * sizeof *values);
	if (flags)
		memcpy(flags, sample->flags, sample->flag_count * sizeof *flags);
	return added;
}
