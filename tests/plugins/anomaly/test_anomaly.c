/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "nab.h"

#include <hydro/conv.h>
#include <hydro/testkit.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define T0 INT64_C(1767225600000)
#define MIN INT64_C(60000)

struct bench {
	hydro_testkit *kit;
	const hydro_analytics_ops *ops;
	void *self, *state;
	uint64_t dice;
	uint32_t at;
	double low, high;
};

static void begin(struct bench *b, const char *options)
{
	struct hydro_error err = {.struct_size = sizeof err};
	memset(b, 0, sizeof *b);
	b->dice = 88172645463325252u;
	cr_assert_eq(hydro_testkit_open(hydro_plugin_entry, &b->kit, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(hydro_testkit_create(b->kit, options, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(hydro_testkit_state(b->kit, NULL, &b->state, &err), HYDRO_OK, "%s", err.text);
	b->ops = hydro_testkit_analytics(b->kit);
	b->self = hydro_testkit_instance(b->kit);
}

/* 0 … 1, the same each time. */
static double noise(struct bench *b)
{
	b->dice ^= b->dice << 13;
	b->dice ^= b->dice >> 7;
	b->dice ^= b->dice << 17;
	return (double)(b->dice >> 11) / 9007199254740992.0;
}

static hydro_annotation see_at(struct bench *b, int64_t ts_ms, double value, float quality)
{
	hydro_sample sample = {.struct_size = sizeof sample, .metric = 1, .ts_ms = ts_ms, .value = value, .quality = quality, .range_min = b->low, .range_max = b->high};
	hydro_annotation said = {.struct_size = sizeof said, .quality = -1.0f};
	cr_assert_eq(b->ops->update(b->self, b->state, &sample, &said), HYDRO_OK);
	cr_assert(said.score >= 0 && said.score <= 1);
	return said;
}

static bool flagged(struct bench *b, double value)
{
	return see_at(b, T0 + (int64_t)b->at++ * MIN, value, 1.0f).flag == HYDRO_FLAG_ANOMALY;
}

/* A pump that runs by day, with some noise. */
static double daily(struct bench *b, uint32_t i)
{
	return 10 + 5 * sin(i * 2 * 3.14159265 / 96) + noise(b);
}

static uint32_t false_alarms(struct bench *b, uint32_t count)
{
	uint32_t alarms = 0;
	for (uint32_t i = 0; i < count; i++)
		alarms += flagged(b, daily(b, b->at));
	return alarms;
}

Test(anomaly, a_daily_cycle_with_noise_is_nothing_odd)
{
	struct bench b;
	begin(&b, NULL);
	b.high = 30;
	cr_assert_eq(false_alarms(&b, 20000), 0u);
	hydro_testkit_close(&b.kit);
}

Test(anomaly, a_value_far_from_all_before_is_flagged_at_once_and_once)
{
	struct bench b;
	begin(&b, NULL);
	b.high = 30;
	(void)false_alarms(&b, 2000);
	cr_assert(flagged(&b, 28));
	for (int i = 0; i < 20; i++)
		cr_assert_not(flagged(&b, 28), "in its rest, %d", i);
	hydro_testkit_close(&b.kit);
}

Test(anomaly, a_value_that_stops_moving_far_from_its_cycle_is_no_alarm_for_ever)
{
	struct bench b;
	begin(&b, "{\"rest\":50}");
	b.high = 30;
	(void)false_alarms(&b, 2000);
	uint32_t alarms = 0;
	for (int i = 0; i < 5000; i++)
		alarms += flagged(&b, 25);
	cr_assert(alarms >= 1 && alarms <= 3, "%u", alarms);
	hydro_testkit_close(&b.kit);
}

Test(anomaly, nothing_is_judged_while_it_learns)
{
	struct bench b;
	begin(&b, "{\"learn\":200}");
	for (uint32_t i = 0; i < 200; i++)
		cr_assert_not(flagged(&b, i % 50 == 49 ? 1e6 : 10));
	hydro_testkit_close(&b.kit);
}

Test(anomaly, a_bad_value_is_neither_judged_nor_learned_from)
{
	struct bench a, b;
	begin(&a, NULL);
	begin(&b, NULL);
	for (uint32_t i = 0; i < 500; i++) {
		double x = daily(&a, i);
		(void)daily(&b, i);
		hydro_annotation bad = see_at(&b, T0 + i * MIN - 1, 1e9, 0.0f), one = see_at(&a, T0 + i * MIN, x, 1.0f), other = see_at(&b, T0 + i * MIN, x, 1.0f);
		cr_assert_eq(bad.flag, 0u);
		cr_assert(one.flag == other.flag && !(one.score < other.score) && !(one.score > other.score));
	}
	cr_assert_eq(memcmp(a.state, b.state, a.ops->state_size), 0);
	hydro_testkit_close(&a.kit);
	hydro_testkit_close(&b.kit);
}

Test(anomaly, constant_huge_and_tiny_series_stay_in_range)
{
	static const double values[] = {0, 1e300, -1e300, 1e-300, 5, -0.0};
	for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
		struct bench b;
		begin(&b, NULL);
		for (int i = 0; i < 500; i++)
			cr_assert_not(flagged(&b, values[k]));
		for (int i = 0; i < 500; i++)
			(void)flagged(&b, values[(size_t)i % 6]);
		hydro_testkit_close(&b.kit);
	}
}

Test(anomaly, options_out_of_their_bounds_are_refused)
{
	static const char *const wrong[] = {"{\"memory\":5}", "{\"threshold\":2}", "{\"rest\":-1}", "{\"learn\":0}", "{\"memry\":50}"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		hydro_testkit *kit;
		struct hydro_error err = {.struct_size = sizeof err};
		cr_assert_eq(hydro_testkit_open(hydro_plugin_entry, &kit, &err), HYDRO_OK);
		cr_assert_eq(hydro_testkit_create(kit, wrong[i], &err), HYDRO_E_CONFIG, "%s", wrong[i]);
		hydro_testkit_close(&kit);
	}
}

Test(anomaly, the_benchmark_of_labelled_series)
{
	struct nab nab;
	const char *shared = getenv("HYDRO_SHARED_DATA");
	if (!shared || !nab_load(shared, &nab)) {
		cr_skip_test("no shared data: the Numenta series");
		return;
	}
	for (uint32_t i = 0; i < nab.count; i++) {
		struct nab_series *s = &nab.series[i];
		struct bench b;
		begin(&b, "{\"learn\":1}");
		b.low = s->lowest;
		b.high = s->highest;
		for (uint32_t k = 0; k < s->count; k++)
			s->scores[k] = see_at(&b, s->ts_ms[k], s->values[k], 1.0f).score;
		hydro_testkit_close(&b.kit);
	}
	double score = nab_score(&nab, 0.54);
	(void)printf("Numenta Anomaly Benchmark, standard profile: %u series, score %.1f at the default threshold\n", nab.count, score);
	cr_assert(score > 55, "%g", score);
	nab_free(&nab);
}
