/* SPDX-License-Identifier: MIT */
/*
 * Steps against the vectors of QARTOD: the value's quality is the flag (1 -> GOOD 1, 0.5 -> SUSPECT 3, 0 -> FAIL 4, no value ->
 * MISSING 9); a good one that is flagged `unjudged` is UNKNOWN 2.
 */
#include "rig.h"

#include "base/fs.h"

#include <cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double number(const cJSON *node, const char *key)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(node, key);
	cr_assert(cJSON_IsNumber(value), "%s", key);
	return value->valuedouble;
}

static cJSON *vectors(void)
{
	struct hd_buf text = {0};
	struct hydro_error err = {.struct_size = sizeof err};
	const char *shared = getenv("HYDRO_SHARED_DATA");
	char path[1024];
	(void)snprintf(path, sizeof path, "%s/qartod/vectors.json", shared ? shared : "");
	if (!shared || hd_fs_read(path, 1u << 20, &text, &err) != HYDRO_OK)
		cr_assert_eq(hd_fs_read(HD_SOURCE_DIR "/tests/unit/pipeline/data/qartod.json", 1u << 20, &text, &err), HYDRO_OK, "%s", err.text);
	cJSON *json = cJSON_ParseWithLength(text.data, text.len);
	hd_buf_done(&text);
	cr_assert_not_null(json);
	return json;
}

static int flag_of(const struct hd_sample *sample)
{
	for (uint32_t i = 0; i < sample->value_count; i++)
		if (sample->values[i].metric == HD_METRIC_LEVEL)
			return sample->values[i].quality <= HD_QUALITY_BAD		 ? 4
			       : sample->values[i].quality < HD_QUALITY_GOOD		 ? 3
			       : rig_has_flag(sample, HD_METRIC_LEVEL, HD_FLAG_UNJUDGED) ? 2
											 : 1;
	return 9;
}

/* Compares what is stored of each value now, from `from` on up to `to`. */
static void compare(struct rig *rig, const cJSON *vector, int64_t step_ms, int from, int to)
{
	const cJSON *flags = cJSON_GetObjectItemCaseSensitive(vector, "flags");
	for (int i = from; i < to; i++) {
		const struct hd_sample *sample = rig_sample(rig, 0, RIG_T0 + i * step_ms);
		int expected = cJSON_GetArrayItem(flags, i)->valueint;
		cr_assert_eq(flag_of(sample), expected, "value %d: flag %d, not %d", i, flag_of(sample), expected);
	}
}

/*
 * Feeds the vector's values, `step_ms` apart, one by one or all at once; a missing one is a reading of something else. With
 * `ahead` a value has its flag once the next one came, so all are compared at the end.
 */
static void agrees_fed(const cJSON *vector, const struct hd_spec *spec, int64_t step_ms, bool ahead, bool at_once)
{
	const cJSON *in = cJSON_GetObjectItemCaseSensitive(vector, "inp"), *value;
	struct rig rig;
	hydro_raw raws[64];
	int n = 0;
	rig_open(&rig, 1, "q", NULL);
	(void)rig_plan(&rig, (struct hd_spec *)(uintptr_t)spec, 1);
	cJSON_ArrayForEach(value, in) {
		bool missing = cJSON_IsNull(value);
		raws[n] = (hydro_raw){RIG_T0 + n * step_ms, missing ? 1 : value->valuedouble, missing ? HD_METRIC_FLOW : HD_METRIC_LEVEL, 0};
		if (!at_once) {
			cr_assert_eq(rig_feed(&rig, 0, &raws[n], 1, HD_FEED_LIVE), HYDRO_OK);
			rig_settle(&rig, 0);
			if (!ahead)
				compare(&rig, vector, step_ms, n, n + 1);
		}
		n++;
	}
	if (at_once)
		cr_assert_eq(rig_feed(&rig, 0, raws, (uint32_t)n, HD_FEED_LIVE), HYDRO_OK);
	rig_settle(&rig, 0);
	cr_assert_eq(n, cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(vector, "flags")));
	compare(&rig, vector, step_ms, 0, n);
	rig_close(&rig);
}

static void agrees(const cJSON *vector, struct hd_spec *spec, int64_t step_ms, bool ahead)
{
	agrees_fed(vector, spec, step_ms, ahead, false);
	agrees_fed(vector, spec, step_ms, ahead, true);
	hd_spec_done(spec);
}

/* Calls `run` for each vector of a test; how many there were. */
static uint32_t each(const char *test, void (*run)(const cJSON *vector, const cJSON *params))
{
	cJSON *json = vectors();
	const cJSON *vector;
	uint32_t count = 0;
	cJSON_ArrayForEach(vector, cJSON_GetObjectItemCaseSensitive(json, "vectors")) {
		const cJSON *name = cJSON_GetObjectItemCaseSensitive(vector, "test");
		if (strcmp(name->valuestring, test) != 0)
			continue;
		run(vector, cJSON_GetObjectItemCaseSensitive(vector, "params"));
		count++;
	}
	cJSON_Delete(json);
	return count;
}

static void gross_range(const cJSON *vector, const cJSON *params)
{
	struct hd_spec spec = {0};
	const cJSON *fail = cJSON_GetObjectItemCaseSensitive(params, "fail_span"), *suspect = cJSON_GetObjectItemCaseSensitive(params, "suspect_span");
	rig_step(&spec, "range", "snnnn", "of", "level", "min", cJSON_GetArrayItem(suspect, 0)->valuedouble, "max", cJSON_GetArrayItem(suspect, 1)->valuedouble,
		 "fail_min", cJSON_GetArrayItem(fail, 0)->valuedouble, "fail_max", cJSON_GetArrayItem(fail, 1)->valuedouble);
	agrees(vector, &spec, 15 * RIG_MIN, false);
}

static void rate_of_change(const cJSON *vector, const cJSON *params)
{
	struct hd_spec spec = {0};
	rig_step(&spec, "rate_of_change", "sn", "of", "level", "per_hour", number(params, "suspect_per_s") * 3600);
	agrees(vector, &spec, (int64_t)(number(params, "step_s") * 1000), false);
}

static void spike_average(const cJSON *vector, const cJSON *params)
{
	struct hd_spec spec = {0};
	rig_step(&spec, "spike_average", "snnsb", "of", "level", "suspect", number(params, "suspect"), "fail", number(params, "fail"), "max_gap", "20m", "unjudged", 1);
	agrees(vector, &spec, 15 * RIG_MIN, true);
}

/* All vectors that there are have a test here. */
Test(qartod, every_vector_is_run)
{
	static const char *const run[] = {"gross_range", "spike_average", "rate_of_change"};
	cJSON *json = vectors();
	const cJSON *vector;
	cJSON_ArrayForEach(vector, cJSON_GetObjectItemCaseSensitive(json, "vectors")) {
		const char *name = cJSON_GetObjectItemCaseSensitive(vector, "test")->valuestring;
		bool known = false;
		for (size_t i = 0; i < HD_ARRAY_LEN(run); i++)
			known |= strcmp(run[i], name) == 0;
		cr_assert(known, "%s", name);
	}
	cJSON_Delete(json);
}

Test(qartod, spike_average_agrees_flag_for_flag)
{
	cr_assert_eq(each("spike_average", spike_average), 4);
}

Test(qartod, gross_range_agrees_flag_for_flag)
{
	cr_assert_eq(each("gross_range", gross_range), 1);
}

Test(qartod, rate_of_change_agrees_flag_for_flag)
{
	cr_assert_eq(each("rate_of_change", rate_of_change), 3);
}

Test(qartod, a_bad_value_is_flagged_also_where_nothing_else_bounds_it)
{
	struct rig rig;
	struct hd_spec spec = {0};
	rig_open(&rig, 1, "q", NULL);
	/* The tolerance lets 21 pass; what the instrument cannot read is bad all the same. */
	rig_step(&spec, "range", "snnn", "of", "level", "max", 20.0, "tolerance", 0.1, "fail_max", 20.5);
	(void)rig_plan(&rig, &spec, 1);
	static const double values[] = {19, 20.4, 21, 30};
	static const int flags[] = {1, 1, 4, 4};
	for (int i = 0; i < 4; i++) {
		cr_assert_eq(rig_feed1(&rig, 0, RIG_T0 + i * RIG_HOUR, HD_METRIC_LEVEL, values[i]), HYDRO_OK);
		rig_settle(&rig, 0);
		const struct hd_sample *sample = rig_sample(&rig, 0, RIG_T0 + i * RIG_HOUR);
		cr_assert_eq(flag_of(sample), flags[i], "%g", values[i]);
		cr_assert_eq(rig_has_flag(sample, HD_METRIC_LEVEL, HD_FLAG_OUT_OF_RANGE), flags[i] == 4, "%g", values[i]);
		cr_assert_eq(rig_value(sample, HD_METRIC_LEVEL), values[i]);
	}
	rig_close(&rig);
	hd_spec_done(&spec);
}
