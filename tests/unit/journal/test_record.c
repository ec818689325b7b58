/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "journal/record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct full {
	struct hd_sample sample;
	struct hd_value raws[HD_METRICS_PER_SAMPLE_MAX], values[HD_METRICS_PER_SAMPLE_MAX];
	struct hd_flag flags[HD_FLAGS_PER_SAMPLE_MAX];
};

static uint64_t seed;

static uint64_t dice(uint64_t sides)
{
	return hd_hash_u64(seed++) % sides;
}

/* Values of every kind a codec could trip over. */
static double any_value(void)
{
	static const double special[] = {0.0, -0.0, 1, -1, 1e15, 9007199254740991.0, 9007199254740992.0, 9007199254740993e3, 1e300, 5e-324,
					 2251799813.685248, 2251799813.685247, 0.1, 0.3, 1e-6, 1e-7, 0.000001, 123456.654321, INFINITY, -INFINITY};
	uint64_t bits = hd_hash_u64(seed++);
	double value;
	switch (dice(6)) {
	case 0:
		return special[dice(HD_ARRAY_LEN(special))];
	case 1: /* any bits at all, NaNs with payload too */
		memcpy(&value, &bits, sizeof value);
		return value;
	case 2:
		return (double)(int64_t)dice(100000000) / 100.0;
	case 3:
		return -(double)(int64_t)dice(UINT64_C(1) << 50) / 1e6;
	case 4:
		return (double)(int64_t)dice(UINT64_C(1) << 53);
	default:
		return 45.2 - (double)dice(5000) / 100.0;
	}
}

static void any_sample(struct full *ret)
{
	static const float qualities[] = {1.0f, 1.0f, 0.5f, 0.0f, 0.25f};
	memset(ret, 0, sizeof *ret);
	struct hd_sample *s = &ret->sample;
	s->ts_ms = dice(4) ? INT64_C(1700000000000) + (int64_t)dice(86400) * 1000 : (int64_t)hd_hash_u64(seed++);
	s->source = dice(3) ? 77 + dice(3) : hd_hash_u64(seed++);
	s->point = (uint32_t)(dice(2) ? dice(1000) : hd_hash_u64(seed++));
	s->generation = (uint32_t)dice(3);
	s->rev = (uint16_t)(dice(3) ? 0 : dice(65536));
	s->bits = (uint16_t)(dice(3) ? 0 : dice(65536));
	bool big = dice(10) == 0;
	s->raw_count = (uint8_t)dice(big ? HD_METRICS_PER_SAMPLE_MAX + 1 : 5);
	s->value_count = (uint8_t)dice(big ? HD_METRICS_PER_SAMPLE_MAX + 1 : 5);
	s->flag_count = (uint8_t)(dice(3) ? 0 : dice(big ? HD_FLAGS_PER_SAMPLE_MAX + 1 : 3));
	for (uint32_t i = 0; i < s->raw_count; i++)
		ret->raws[i] = (struct hd_value){any_value(), i + 1, qualities[dice(5)]};
	for (uint32_t i = 0; i < s->value_count; i++) {
		double value = s->raw_count && dice(2) ? ret->raws[dice(s->raw_count)].value : any_value();
		ret->values[i] = (struct hd_value){value, (uint32_t)dice(UINT64_C(1) << 32), qualities[dice(5)]};
	}
	for (uint32_t i = 0; i < s->flag_count; i++)
		ret->flags[i] = (struct hd_flag){.metric = i, .flag = (uint16_t)dice(30), .rule = (uint32_t)dice(4)};
	s->raws = s->raw_count ? ret->raws : NULL;
	s->values = s->value_count ? ret->values : NULL;
	s->flags = s->flag_count ? ret->flags : NULL;
}

static void check_same(const struct hd_sample *a, const struct hd_sample *b)
{
	cr_assert_eq(a->ts_ms, b->ts_ms);
	cr_assert_eq(a->source, b->source);
	cr_assert_eq(a->point, b->point);
	cr_assert_eq(a->generation, b->generation);
	cr_assert_eq(a->rev, b->rev);
	cr_assert_eq(a->bits, b->bits);
	cr_assert_eq(a->raw_count, b->raw_count);
	cr_assert_eq(a->value_count, b->value_count);
	cr_assert_eq(a->flag_count, b->flag_count);
	if (a->raw_count)
		cr_assert_arr_eq(a->raws, b->raws, a->raw_count * sizeof *a->raws);
	if (a->value_count)
		cr_assert_arr_eq(a->values, b->values, a->value_count * sizeof *a->values);
	if (a->flag_count)
		cr_assert_arr_eq(a->flags, b->flags, a->flag_count * sizeof *a->flags);
}

#define BODY 300u

static void make_body(struct full *samples, uint32_t count, struct hd_buf *body)
{
	struct hd_record_writer *writer = hd_record_writer_new();
	hd_record_writer_begin(writer, body);
	for (uint32_t i = 0; i < count; i++)
		cr_assert_eq(hd_record_write(writer, &samples[i].sample), HYDRO_OK);
	cr_assert_eq(hd_record_writer_end(writer), HYDRO_OK);
	hd_record_writer_free(&writer);
}

Test(record, any_sample_reads_back_bit_for_bit_in_order_and_by_ordinal)
{
	struct full *samples = calloc(BODY, sizeof *samples);
	struct hd_record_reader *reader = hd_record_reader_new();
	struct hd_buf body = {0};
	for (uint32_t round = 0; round < 60; round++) {
		seed = round * 1000003u;
		uint32_t count = (uint32_t)dice(BODY);
		for (uint32_t i = 0; i < count; i++)
			any_sample(&samples[i]);
		hd_buf_clear(&body);
		make_body(samples, count, &body);
		struct hd_sample got;
		cr_assert_eq(hd_record_reader_begin(reader, body.data, body.len, count), HYDRO_OK);
		for (uint32_t i = 0; i < count; i++) {
			cr_assert_eq(hd_record_read(reader, &got), HYDRO_OK);
			check_same(&got, &samples[i].sample);
		}
		cr_assert_eq(hd_record_read(reader, &got), HYDRO_E_NOTFOUND);
		for (uint32_t n = 0; n < 50 && count; n++) {
			uint32_t i = (uint32_t)dice(count);
			cr_assert_eq(hd_record_seek(reader, i), HYDRO_OK);
			cr_assert_eq(hd_record_read(reader, &got), HYDRO_OK);
			check_same(&got, &samples[i].sample);
		}
		cr_assert_eq(hd_record_seek(reader, count), HYDRO_E_NOTFOUND);
	}
	hd_buf_done(&body);
	hd_record_reader_free(&reader);
	free(samples);
}

/* Reads all there is; the outcome does not matter, only that nothing outside is touched (the sanitizers watch). */
static void read_all(struct hd_record_reader *reader, const char *bytes, size_t len, uint32_t count)
{
	char *exact = malloc(len ? len : 1); /* its end is the end of the memory */
	struct hd_sample got;
	memcpy(exact, bytes, len);
	if (hd_record_reader_begin(reader, exact, len, count) == HYDRO_OK) {
		while (hd_record_read(reader, &got) == HYDRO_OK)
			;
		if (count > 40 && hd_record_seek(reader, 40) == HYDRO_OK)
			(void)hd_record_read(reader, &got);
	}
	free(exact);
}

Test(record, cut_altered_and_random_bodies_are_survived)
{
	struct full *samples = calloc(70, sizeof *samples);
	struct hd_record_reader *reader = hd_record_reader_new();
	struct hd_buf body = {0};
	seed = 5;
	for (uint32_t i = 0; i < 70; i++)
		any_sample(&samples[i]);
	make_body(samples, 70, &body);
	for (size_t n = 0; n < body.len; n += 1 + n / 64)
		read_all(reader, body.data, n, 70);
	for (uint32_t n = 0; n < 20000; n++) {
		size_t at = dice(body.len);
		char old = body.data[at];
		body.data[at] = (char)dice(256);
		read_all(reader, body.data, body.len, 70);
		body.data[at] = old;
	}
	cr_assert_eq(hd_record_reader_begin(reader, body.data, body.len, 200), HYDRO_E_CORRUPT, "the count must fit");
	for (uint32_t n = 0; n < 5000; n++) {
		char garbage[64];
		for (uint32_t i = 0; i < sizeof garbage; i++)
			garbage[i] = (char)dice(dice(2) ? 4 : 256);
		hd_put_u32((uint8_t *)garbage + 60, (uint32_t)dice(61));
		read_all(reader, garbage, sizeof garbage, (uint32_t)dice(4));
	}
	hd_buf_done(&body);
	hd_record_reader_free(&reader);
	free(samples);
}

Test(record, a_sample_over_its_limits_is_refused)
{
	struct hd_record_writer *writer = hd_record_writer_new();
	struct hd_buf body = {0};
	hd_record_writer_begin(writer, &body);
	struct hd_sample sample = {.raw_count = HD_METRICS_PER_SAMPLE_MAX + 1};
	cr_assert_eq(hd_record_write(writer, &sample), HYDRO_E_INVALID);
	sample = (struct hd_sample){.flag_count = HD_FLAGS_PER_SAMPLE_MAX + 1};
	cr_assert_eq(hd_record_write(writer, &sample), HYDRO_E_INVALID);
	hd_record_writer_free(&writer);
	hd_buf_done(&body);
}

/* Pulses, flow and level as loggers send them; total, flow and water table as the pipeline makes them. */
Test(record, a_measurement_of_three_metrics_takes_at_most_40_bytes_of_a_body)
{
	struct hd_record_writer *writer = hd_record_writer_new();
	struct hd_buf body = {0};
	hd_record_writer_begin(writer, &body);
	for (uint32_t i = 0; i < 1000; i++) {
		double pulses = 425000 + i * 7, flow = (double)(i % 300) / 100.0, level = 12.31 + (double)(i % 90) / 100.0;
		struct hd_value raws[] = {{pulses, 5, 1}, {flow, 1, 1}, {level, 2, 1}};
		struct hd_value values[] = {{pulses * 10 / 1000 + 12.5, 3, 1}, {70.0 / 3600 * (i % 7), 1, 1}, {45.2 - level, 4, 1}};
		struct hd_sample sample = {.ts_ms = INT64_C(1700000000000) + i * 60000, .point = i * 37, .source = 9 + i / 100, .generation = 1,
					   .raw_count = 3, .value_count = 3, .raws = raws, .values = values};
		cr_assert_eq(hd_record_write(writer, &sample), HYDRO_OK);
	}
	cr_assert_eq(hd_record_writer_end(writer), HYDRO_OK);
	cr_assert_leq(body.len, 40000u, "%zu bytes", body.len);
	hd_record_writer_free(&writer);
	hd_buf_done(&body);
}
