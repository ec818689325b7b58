/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include "base/fs.h"
#include "pipeline/state_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POINTS 40u

struct place {
	struct rig rig;
	struct hd_spec spec;
	char dir[64];
};

static void open_place(struct place *place)
{
	memset(place, 0, sizeof *place);
	(void)snprintf(place->dir, sizeof place->dir, "/tmp/hydro-state-XXXXXX");
	cr_assert_not_null(mkdtemp(place->dir));
	rig_open(&place->rig, POINTS, "well", place->dir);
	rig_well(&place->spec);
	(void)rig_plan(&place->rig, &place->spec, POINTS);
	cr_assert_eq(hd_pipeline_recover(place->rig.pipeline, NULL, NULL), HYDRO_OK);
}

static void shard_path(const struct place *place, uint32_t shard, char ret[128])
{
	(void)snprintf(ret, 128, "%s/%02x.state", place->dir, shard);
}

static void remove_files(const struct place *place)
{
	char path[128];
	for (uint32_t shard = 0; shard < HD_SHARDS; shard++) {
		shard_path(place, shard, path);
		(void)unlink(path);
		(void)strncat(path, ".corrupt", 16);
		(void)unlink(path);
	}
}

static void close_place(struct place *place)
{
	rig_close(&place->rig);
	hd_spec_done(&place->spec);
	remove_files(place);
	cr_assert_eq(rmdir(place->dir), 0);
}

static void feed_hours(struct place *place, int from, int to)
{
	for (int h = from; h < to; h++)
		for (uint32_t point = 0; point < POINTS; point++) {
			hydro_raw raws[] = {{RIG_T0 + h * RIG_HOUR, 1000.0 + 10.0 * h * (point + 1), HD_METRIC_PULSES, 0},
					    {RIG_T0 + h * RIG_HOUR, 20, HD_METRIC_LEVEL, 0}};
			cr_assert_eq(rig_feed(&place->rig, point, raws, 2, HD_FEED_LIVE), HYDRO_OK);
		}
	for (uint32_t point = 0; point < POINTS; point++)
		rig_settle(&place->rig, point);
}

/* Ends and begins again; returns how many records of the tail went through. */
static uint64_t restart(struct place *place, bool lose_files)
{
	rig_stop(&place->rig);
	if (lose_files)
		remove_files(place);
	rig_restart(&place->rig);
	(void)rig_plan(&place->rig, &place->spec, POINTS);
	uint64_t records = 0;
	struct hydro_error err = {.struct_size = sizeof err};
	cr_assert_eq(hd_pipeline_recover(place->rig.pipeline, &records, &err), HYDRO_OK);
	return records;
}

/* The next hour goes on exactly where the last one ended. */
static void goes_on(struct place *place, int hour)
{
	uint32_t stored = place->rig.stored->count;
	for (uint32_t point = 0; point < POINTS; point++)
		cr_assert_eq(hd_pipeline_newest(place->rig.pipeline, point), RIG_T0 + (hour - 1) * RIG_HOUR);
	feed_hours(place, hour - 1, hour + 1); /* the last one once more: known */
	cr_assert_eq(place->rig.stored->count, stored + POINTS);
	for (uint32_t point = 0; point < POINTS; point++) {
		const struct hd_sample *sample = rig_sample(&place->rig, point, RIG_T0 + hour * RIG_HOUR);
		cr_assert_float_eq(rig_value(sample, HD_METRIC_FLOW), 10.0 * (point + 1) * 100 / 3600, 1e-9);
		cr_assert_eq(rig_has_flag(sample, HD_METRIC_LEVEL, HD_FLAG_FROZEN), hour >= 3);
	}
}

Test(state, a_restart_goes_on_from_the_files)
{
	struct place place;
	open_place(&place);
	feed_hours(&place, 0, 3);
	cr_assert_eq(restart(&place, false), 0u);
	struct hd_latest_value latest;
	cr_assert(hd_latest_get(hd_pipeline_latest(place.rig.pipeline), 7, &latest));
	cr_assert_eq(latest.ts_ms, RIG_T0 + 2 * RIG_HOUR);
	goes_on(&place, 3);
	close_place(&place);
}

Test(state, the_callers_text_of_the_folder_may_go_after_the_open)
{
	struct place place;
	char path[sizeof place.dir];
	open_place(&place);
	rig_stop(&place.rig);
	memcpy(path, place.dir, sizeof path);
	place.rig.config.state_dir = path;
	rig_restart(&place.rig);
	memset(path, 'x', sizeof path - 1);
	(void)rig_plan(&place.rig, &place.spec, POINTS);
	cr_assert_eq(hd_pipeline_recover(place.rig.pipeline, NULL, NULL), HYDRO_OK);
	feed_hours(&place, 0, 3);
	place.rig.config.state_dir = place.dir;
	cr_assert_eq(restart(&place, false), 0u);
	close_place(&place);
}

Test(state, without_files_the_journal_gives_the_same)
{
	struct place place;
	open_place(&place);
	feed_hours(&place, 0, 3);
	cr_assert_eq(restart(&place, true), 3u * POINTS);
	struct hd_latest_value latest;
	cr_assert(hd_latest_get(hd_pipeline_latest(place.rig.pipeline), 7, &latest));
	cr_assert_eq(latest.ts_ms, RIG_T0 + 2 * RIG_HOUR);
	goes_on(&place, 3);
	close_place(&place);
}

Test(state, without_files_and_with_a_trimmed_journal_history_is_asked)
{
	struct place place;
	open_place(&place);
	feed_hours(&place, 0, 4);
	place.rig.trimmed = 3 * POINTS + POINTS / 2;
	(void)restart(&place, true);
	uint32_t stored = place.rig.stored->count;
	feed_hours(&place, 0, 4); /* all known */
	cr_assert_eq(place.rig.stored->count, stored);
	feed_hours(&place, 4, 5);
	for (uint32_t point = 0; point < POINTS; point++) {
		const struct hd_sample *sample = rig_sample(&place.rig, point, RIG_T0 + 4 * RIG_HOUR);
		cr_assert_eq(sample->rev, 0);
		bool redone = point < POINTS / 2; /* the others' tail was too short to know a flow from */
		cr_assert(!redone || fabs(rig_value(sample, HD_METRIC_FLOW) - 10.0 * (point + 1) * 100 / 3600) < 1e-9);
	}
	close_place(&place);
}

Test(state, a_file_that_does_not_check_is_set_aside_and_its_points_run_again)
{
	struct place place;
	open_place(&place);
	feed_hours(&place, 0, 3);
	rig_stop(&place.rig);
	char path[128];
	shard_path(&place, hd_shard_of(5), path);
	struct hd_buf data = {0};
	cr_assert_eq(hd_fs_read(path, 1 << 20, &data, NULL), HYDRO_OK);
	data.data[data.len - 9] ^= 1;
	cr_assert_eq(hd_fs_write_atomic(path, data.data, data.len, 0600, NULL), HYDRO_OK);
	hd_buf_done(&data);
	rig_restart(&place.rig);
	cr_assert_str_eq(place.rig.last_event, "state_corrupt");
	(void)rig_plan(&place.rig, &place.spec, POINTS);
	uint64_t records = 0;
	cr_assert_eq(hd_pipeline_recover(place.rig.pipeline, &records, NULL), HYDRO_OK);
	cr_assert_geq(records, 3u);
	cr_assert_lt(records, 3u * POINTS);
	goes_on(&place, 3);
	close_place(&place);
}

Test(state, cut_and_changed_files_are_refused_and_never_read_out_of_bounds)
{
	struct place place;
	open_place(&place);
	feed_hours(&place, 0, 1);
	rig_stop(&place.rig);
	uint32_t shard = hd_shard_of(5);
	char path[128];
	shard_path(&place, shard, path);
	struct hd_buf data = {0};
	struct hydro_error err = {.struct_size = sizeof err};
	cr_assert_eq(hd_fs_read(path, 1 << 20, &data, NULL), HYDRO_OK);
	cr_assert_eq(hd_state_check(data.data, data.len, shard, path, &err), HYDRO_OK);
	for (size_t len = 0; len < data.len; len += 7)
		cr_assert_eq(hd_state_check(data.data, len, shard, path, &err), HYDRO_E_CORRUPT);
	cr_assert_eq(hd_state_check(data.data, data.len, shard ^ 1, path, &err), HYDRO_E_CORRUPT);
	for (size_t at = 0; at < data.len; at++) {
		data.data[at] ^= 0x40;
		bool lsn_or_spare = at >= offsetof(struct hd_state_header, lsn) && at < offsetof(struct hd_state_header, bytes);
		lsn_or_spare |= at >= offsetof(struct hd_state_header, reserved) && at < sizeof(struct hd_state_header);
		int rc = hd_state_check(data.data, data.len, shard, path, &err);
		cr_assert(rc != HYDRO_OK || lsn_or_spare);
		data.data[at] ^= 0x40;
	}
	hd_buf_done(&data);
	rig_restart(&place.rig);
	close_place(&place);
}

static const char *shape_of_well(void *arg, const struct hd_shape *shape)
{
	return shape->generation == *(const uint32_t *)arg ? "well" : NULL;
}

static int no_build(void *arg, uint32_t worker, const struct hd_point *point, struct hd_plan **ret)
{
	(void)worker, (void)ret;
	__atomic_add_fetch((uint32_t *)arg, 1, __ATOMIC_RELAXED);
	cr_assert(point->index < POINTS);
	return HYDRO_E_CONFIG;
}

static uint32_t adopted(struct place *place, uint32_t generation)
{
	uint32_t points = 0;
	struct hydro_error err = {.struct_size = sizeof err};
	cr_assert_eq(hd_pipeline_adopt(place->rig.pipeline, shape_of_well, &generation, &points, &err), HYDRO_OK, "%s", err.text);
	return points;
}

Test(state, plans_and_state_come_back_without_a_build)
{
	struct place place;
	uint32_t sample[8], built = 0;
	open_place(&place);
	feed_hours(&place, 0, 3);
	rig_stop(&place.rig);
	rig_restart(&place.rig);
	uint32_t generation = hd_names_find(place.rig.names, HD_NAME_GENERATION, "well@0011aabb");
	cr_assert_eq(hd_pipeline_adopt_samples(place.rig.pipeline, sample, 8), 1, "all points have one shape");
	cr_assert_lt(sample[0], POINTS);
	cr_assert_eq(adopted(&place, generation), 0, "no such shape yet");
	struct hd_plan *first = rig_compile(&place.rig, &place.spec);
	cr_assert_eq(adopted(&place, generation + 1), 0, "of another script");
	cr_assert_eq(adopted(&place, generation), POINTS);
	cr_assert_eq(adopted(&place, generation), 0, "once");
	cr_assert_eq(hd_pipeline_build_rest(place.rig.pipeline, no_build, &built, NULL), HYDRO_OK);
	cr_assert_eq(built, 0);
	cr_assert_eq(first->shape->refs, POINTS + 1);
	hd_plan_free(&first);
	cr_assert_eq(hd_pipeline_recover(place.rig.pipeline, NULL, NULL), HYDRO_OK);
	goes_on(&place, 3);
	close_place(&place);
}

Test(state, a_point_whose_configuration_changed_gets_a_new_plan_and_keeps_its_state)
{
	struct place place;
	open_place(&place);
	feed_hours(&place, 0, 3);
	rig_stop(&place.rig);
	rig_restart(&place.rig);
	uint32_t generation = hd_names_find(place.rig.names, HD_NAME_GENERATION, "well@0011aabb"), built = 0;
	/* As after a change while it was down; in place, for the registry still tells the pipeline that is closed. */
	const struct hd_point *point = hd_points_get(place.rig.points, 3);
	((struct hd_point *)(uintptr_t)point)->version++;
	hd_point_unref(point);
	struct hd_plan *first = rig_compile(&place.rig, &place.spec);
	cr_assert_eq(adopted(&place, generation), POINTS - 1);
	cr_assert_eq(hd_pipeline_build_rest(place.rig.pipeline, no_build, &built, NULL), HYDRO_OK);
	cr_assert_eq(built, 1);
	hd_plan_free(&first);
	(void)rig_plan(&place.rig, &place.spec, POINTS);
	cr_assert_eq(hd_pipeline_recover(place.rig.pipeline, NULL, NULL), HYDRO_OK);
	goes_on(&place, 3);
	close_place(&place);
}

static void hold_job(void *arg, struct hd_worker *w)
{
	if (arg)
		hd_pipeline_hold(w, 0);
	else
		hd_pipeline_release(w, 0);
}

Test(state, held_readings_are_held_again_after_a_restart)
{
	struct place place;
	open_place(&place);
	feed_hours(&place, 0, 1);
	rig_on_worker(&place.rig, 0, hold_job, &place);
	cr_assert_eq(rig_feed1(&place.rig, 0, RIG_T0 + 2 * RIG_HOUR, HD_METRIC_PULSES, 1020), HYDRO_OK);
	rig_settle(&place.rig, 0);
	(void)restart(&place, true);
	cr_assert_eq(hd_pipeline_newest(place.rig.pipeline, 0), RIG_T0);
	cr_assert_eq(rig_feed1(&place.rig, 0, RIG_T0 + 2 * RIG_HOUR, HD_METRIC_PULSES, 1020), HYDRO_OK);
	cr_assert_eq(rig_count(&place.rig, 0, RIG_T0 + 2 * RIG_HOUR), 1u);
	rig_on_worker(&place.rig, 0, hold_job, NULL);
	rig_settle(&place.rig, 0);
	const struct hd_sample *sample = rig_sample(&place.rig, 0, RIG_T0 + 2 * RIG_HOUR);
	cr_assert_eq(sample->rev, 1);
	cr_assert_float_eq(rig_value(sample, HD_METRIC_TOTAL), 1102.0, 1e-9);
	close_place(&place);
}
