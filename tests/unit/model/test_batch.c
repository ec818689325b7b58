/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "model/batch.h"

static unsigned recycled;

static void take_back(struct hd_batch *batch)
{
	recycled++;
	hd_batch_clear(batch);
}

Test(batch, a_sample_is_copied_with_its_arrays)
{
	struct hd_batch *batch = NULL;
	cr_assert_eq(hd_batch_new(4, 8192, &batch), HYDRO_OK);
	struct hd_value raw = {42, HD_METRICS_PER_SAMPLE_MAX, 1}, values[2] = {{1, 1, 1}, {2, 2, 0.5f}};
	struct hd_flag flag = {.metric = 2, .flag = 4, .rule = 7};
	struct hd_sample sample = {.ts_ms = 5, .point = 3, .raw_count = 1, .value_count = 2, .flag_count = 1, .raws = &raw, .values = values, .flags = &flag};
	const struct hd_sample *added = hd_batch_add(batch, &sample);
	cr_assert_not_null(added);
	raw.value = values[1].value = 0;
	flag.rule = 0;
	cr_assert_eq(added->raws[0].value, 42.0);
	cr_assert_eq(added->values[1].value, 2.0);
	cr_assert_eq(added->flags[0].rule, 7u);
	cr_assert_eq(batch->count, 1u);
	hd_batch_free(&batch);
	cr_assert_null(batch);
}

Test(batch, a_full_batch_takes_no_more_and_recycles_with_its_memory)
{
	struct hd_batch *batch = NULL;
	cr_assert_eq(hd_batch_new(2, HD_BATCH_SAMPLE_BYTES_MAX, &batch), HYDRO_OK);
	struct hd_value raws[HD_METRICS_PER_SAMPLE_MAX] = {{0}};
	struct hd_flag flags[HD_FLAGS_PER_SAMPLE_MAX] = {{0}};
	struct hd_sample large = {.raw_count = HD_METRICS_PER_SAMPLE_MAX, .value_count = HD_METRICS_PER_SAMPLE_MAX,
				  .flag_count = HD_FLAGS_PER_SAMPLE_MAX, .raws = raws, .values = raws, .flags = flags};
	cr_assert(hd_batch_has_room(batch));
	cr_assert_not_null(hd_batch_add(batch, &large));
	cr_assert_not(hd_batch_has_room(batch));
	cr_assert_null(hd_batch_add(batch, &large));
	struct hd_sample empty = {0};
	cr_assert_eq(batch->arena_used % 16, 0u);
	cr_assert_not_null(hd_batch_add(batch, &empty));
	cr_assert_null(hd_batch_add(batch, &empty));
	const void *arena = batch->arena;
	batch->recycle = take_back;
	hd_batch_release(batch);
	cr_assert_eq(recycled, 1u);
	cr_assert_eq(batch->arena, arena);
	cr_assert(hd_batch_has_room(batch));
	hd_batch_free(&batch);
}

Test(batch, values_and_flags_may_come_later)
{
	struct hd_batch *batch = NULL;
	cr_assert_eq(hd_batch_new(2, HD_BATCH_SAMPLE_BYTES_MAX, &batch), HYDRO_OK);
	struct hd_value raw = {42, 5, 1}, value = {0.42, 3, 1};
	struct hd_flag flag = {.metric = 3, .flag = 9};
	struct hd_sample sample = {.raw_count = 1, .raws = &raw};
	cr_assert_not_null(hd_batch_add(batch, &sample));
	cr_assert(hd_batch_extend(batch, 0, &value, 1, &flag, 1));
	cr_assert_eq(batch->samples[0].raws[0].value, 42.0);
	cr_assert_eq(batch->samples[0].values[0].value, 0.42);
	cr_assert_eq(batch->samples[0].flags[0].flag, 9);
	batch->arena_used = batch->arena_bytes;
	cr_assert_not_null(hd_batch_reserve(batch, &(struct hd_sample){.ts_ms = 1}, &(struct hd_value *){NULL}, &(struct hd_value *){NULL}, &(struct hd_flag *){NULL}));
	cr_assert_not(hd_batch_extend(batch, 1, &value, 1, NULL, 0));
	hd_batch_free(&batch);
}
