/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "history/chunk.h"
#include "model/flags.h"
#include "model/names.h"

#include <math.h>
#include <stdlib.h>

#define ROWS 400u

struct made {
	struct hd_sample samples[ROWS];
	struct hd_value values[ROWS][12];
	struct hd_flag flags[ROWS][3];
};

static uint64_t seed = 42;

static uint64_t next(void)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return seed >> 33;
}

/* Values of every form: decimals, products, random bits, negative zero, tiny and huge. */
static double any_value(unsigned form, double last)
{
	static const double odd[] = {-0.0, 1e-300, 1e300, 0.1 + 0.2, 9007199254740993.0, -7.25};
	switch (form % 6) {
	case 0: return last + (double)(next() % 100);
	case 1: return (double)(next() % 100000) / 100.0;
	case 2: return (double)next() / 3.0;
	case 3: return odd[next() % (sizeof odd / sizeof odd[0])];
	case 4: return 12.5;
	default: return (double)(next() % 3) / 7.0;
	}
}

static void make(struct made *made, uint32_t count, unsigned metrics)
{
	double last[6] = {0};
	int64_t ts = INT64_C(1767225600000) + (int64_t)(next() % 1000);
	for (uint32_t i = 0; i < count; i++) {
		struct hd_sample *s = &made->samples[i];
		ts += next() % 10 == 0 ? 0 : (int64_t)(next() % 3 == 0 ? 60000 : next() % 100000);
		*s = (struct hd_sample){.ts_ms = ts, .point = 9, .generation = (uint32_t)(next() % 2), .rev = (uint16_t)i, .bits = (uint16_t)(next() % 64)};
		uint32_t raws = 0, values = 0;
		for (unsigned m = 0; m < metrics; m++) {
			if (next() % 8 == 0)
				continue;
			last[m] = any_value(m, last[m]);
			made->values[i][raws++] = (struct hd_value){last[m], m + 1, next() % 20 == 0 ? 0.0f : 1.0f};
		}
		for (unsigned m = 0; m < metrics; m++) {
			if (next() % 8 == 0)
				continue;
			double v = m == 0 ? last[0] : any_value(m + 1, last[m]);
			made->values[i][raws + values++] = (struct hd_value){v, m + 1, next() % 10 == 0 ? 0.5f : 1.0f};
		}
		s->raw_count = (uint8_t)raws;
		s->value_count = (uint8_t)values;
		s->raws = made->values[i];
		s->values = made->values[i] + raws;
		s->flag_count = (uint8_t)(next() % 20 == 0 ? next() % 4 : 0);
		for (uint32_t f = 0; f < s->flag_count; f++)
			made->flags[i][f] = (struct hd_flag){(uint32_t)(next() % 4), (uint16_t)(1 + next() % 20), 0, (uint32_t)(next() % 1000)};
		s->flags = made->flags[i];
	}
}

static void assert_same(const struct hd_sample *a, const struct hd_sample *b)
{
	cr_assert(a->ts_ms == b->ts_ms && a->rev == b->rev && a->bits == b->bits && a->generation == b->generation && b->point == 9);
	cr_assert(a->raw_count == b->raw_count && a->value_count == b->value_count && a->flag_count == b->flag_count);
	for (uint32_t i = 0; i < a->raw_count; i++)
		cr_assert_arr_eq(&a->raws[i], &b->raws[i], sizeof(struct hd_value));
	for (uint32_t i = 0; i < a->value_count; i++)
		cr_assert_arr_eq(&a->values[i], &b->values[i], sizeof(struct hd_value));
	for (uint32_t i = 0; i < a->flag_count; i++)
		cr_assert_arr_eq(&a->flags[i], &b->flags[i], sizeof(struct hd_flag));
}

Test(chunk, samples_of_every_kind_read_back_bit_for_bit)
{
	struct made *made = calloc(1, sizeof *made);
	struct hd_chunk_codec codec = {0};
	struct hd_chunk chunk = {0};
	struct hydro_error err = {0};
	for (unsigned round = 0; round < 300; round++) {
		uint32_t count = 1 + (uint32_t)(next() % ROWS);
		struct hd_buf bytes = {0};
		make(made, count, (unsigned)(next() % 7));
		cr_assert_eq(hd_chunk_encode(&codec, made->samples, count, &bytes, &err), HYDRO_OK, "%s", err.text);
		cr_assert_eq(hd_chunk_decode(&codec, bytes.data, bytes.len, 9, &chunk, &err), HYDRO_OK, "%s", err.text);
		cr_assert_eq(chunk.count, count);
		for (uint32_t i = 0; i < count; i++)
			assert_same(&made->samples[i], &chunk.samples[i]);
		hd_buf_done(&bytes);
	}
	hd_chunk_done(&chunk);
	hd_chunk_codec_done(&codec);
	free(made);
}

Test(chunk, cut_or_altered_bytes_never_read_as_something_beyond_their_bounds)
{
	struct made *made = calloc(1, sizeof *made);
	struct hd_chunk_codec codec = {0};
	struct hd_chunk chunk = {0};
	struct hydro_error err = {0};
	struct hd_buf bytes = {0};
	make(made, 50, 3);
	cr_assert_eq(hd_chunk_encode(&codec, made->samples, 50, &bytes, &err), HYDRO_OK);
	for (size_t cut = 0; cut < bytes.len; cut++) {
		char *copy = malloc(cut + 1);
		memcpy(copy, bytes.data, cut);
		cr_assert_eq(hd_chunk_decode(&codec, copy, cut, 9, &chunk, &err), HYDRO_E_CORRUPT);
		free(copy);
	}
	for (unsigned round = 0; round < 3000; round++) {
		char *copy = malloc(bytes.len);
		memcpy(copy, bytes.data, bytes.len);
		copy[next() % bytes.len] ^= (char)(1 + next() % 255);
		int rc = hd_chunk_decode(&codec, copy, bytes.len, 9, &chunk, &err);
		cr_assert(rc == HYDRO_OK || rc == HYDRO_E_CORRUPT);
		free(copy);
	}
	hd_buf_done(&bytes);
	hd_chunk_done(&chunk);
	hd_chunk_codec_done(&codec);
	free(made);
}

Test(chunk, an_hourly_day_of_three_metrics_takes_less_than_sixteen_bytes_a_measurement)
{
	struct made *made = calloc(1, sizeof *made);
	struct hd_chunk_codec codec = {0};
	struct hydro_error err = {0};
	struct hd_buf bytes = {0};
	double pulses = 4250013;
	seed = 42;
	for (uint32_t i = 0; i < 24; i++) {
		struct hd_sample *s = &made->samples[i];
		double flow = 12 + (double)(next() % 400) / 100, level = 31 + (double)(next() % 50) / 100;
		pulses += (double)(next() % 600);
		struct hd_value *v = made->values[i];
		v[0] = (struct hd_value){flow, HD_METRIC_FLOW, 1};
		v[1] = (struct hd_value){level, HD_METRIC_LEVEL, 1};
		v[2] = (struct hd_value){pulses, HD_METRIC_PULSES, 1};
		v[3] = (struct hd_value){flow, HD_METRIC_FLOW, 1};
		v[4] = (struct hd_value){120.0 - level, HD_METRIC_WATER_TABLE, 1};
		v[5] = (struct hd_value){pulses * 100 / 1000 + 15, HD_METRIC_TOTAL, 1};
		*s = (struct hd_sample){.ts_ms = INT64_C(1767225600000) + i * INT64_C(3600000) + (int64_t)(next() % 4) * 1000, .point = 9, .generation = 3, .raw_count = 3,
					.value_count = 3, .raws = v, .values = v + 3};
	}
	cr_assert_eq(hd_chunk_encode(&codec, made->samples, 24, &bytes, &err), HYDRO_OK);
	cr_assert_leq(bytes.len, 24u * 16u, "%zu bytes", bytes.len);
	hd_buf_done(&bytes);
	hd_chunk_codec_done(&codec);
	free(made);
}
