/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include "base/fs.h"
#include "pipeline/keeper.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
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
		shard_path(place, shard, path);
		(void)strncat(path, ".new", 16); /* a crash was played while it was written */
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

static void read_file(const struct place *place, uint32_t shard, struct hd_buf *ret)
{
	char path[128];
	shard_path(place, shard, path);
	cr_assert_eq(hd_fs_read(path, 1 << 20, ret, NULL), HYDRO_OK);
}

static int frames_of(const struct hd_buf *data, size_t len, uint32_t shard, struct hd_frames *ret)
{
	struct hydro_error err = {.struct_size = sizeof err};
	/* Nothing lies behind it in memory, as the sanitizer sees. */
	void *copy = malloc(len ? len : 1);
	cr_assert_not_null(copy);
	memcpy(copy, data->data, len);
	int rc = hd_frames_read(copy, len, shard, "file", ret, &err);
	free(copy);
	return rc;
}

Test(state, cut_and_changed_files_are_refused_and_never_read_out_of_bounds)
{
	struct place place;
	open_place(&place);
	feed_hours(&place, 0, 1);
	rig_stop(&place.rig);
	uint32_t shard = hd_shard_of(5);
	struct hd_buf data = {0};
	struct hd_frames frames;
	read_file(&place, shard, &data);
	cr_assert_eq(frames_of(&data, data.len, shard, &frames), HYDRO_OK);
	cr_assert(frames.frames == 1 && frames.end == data.len && !frames.cut);
	hd_buf_done(&frames.image);
	for (size_t len = 0; len < data.len; len++)
		cr_assert_eq(frames_of(&data, len, shard, &frames), HYDRO_E_CORRUPT);
	cr_assert_eq(frames_of(&data, data.len, shard ^ 1, &frames), HYDRO_E_CORRUPT);
	for (size_t at = 0; at < data.len; at++) {
		data.data[at] ^= 0x40;
		cr_assert_neq(frames_of(&data, data.len, shard, &frames), HYDRO_OK, "byte %zu", at);
		data.data[at] ^= 0x40;
	}
	hd_buf_done(&data);
	rig_restart(&place.rig);
	close_place(&place);
}

/* ---- frames of what changed ---- */

static uint64_t behind(struct place *place)
{
	struct hd_pipeline_status status;
	hd_pipeline_status(place->rig.pipeline, UINT32_MAX, &status);
	return status.state_behind;
}

/* Until the files are no more than so many records behind. */
static void wait_behind(struct place *place, uint64_t records)
{
	const struct timespec nap = {0, 5000000};
	for (int i = 0; i < 20000 && behind(place) > records; i++)
		(void)nanosleep(&nap, NULL);
	cr_assert_leq(behind(place), records, "%llu behind of %u, %s, %u events", (unsigned long long)behind(place), place->rig.stored->count, place->rig.last_event, place->rig.events);
}

/* As after a kill -9: the files as they are now, and a journal with all that was synced; returns what runs again. */
static uint64_t crash(struct place *place)
{
	char command[256];
	uint64_t records = 0;
	(void)snprintf(command, sizeof command, "cp -r %s %s.then", place->dir, place->dir);
	cr_assert_eq(system(command), 0);
	rig_stop(&place->rig);
	(void)snprintf(command, sizeof command, "rm -r %s && mv %s.then %s", place->dir, place->dir, place->dir);
	cr_assert_eq(system(command), 0);
	rig_restart(&place->rig);
	(void)rig_plan(&place->rig, &place->spec, POINTS);
	cr_assert_eq(hd_pipeline_recover(place->rig.pipeline, &records, NULL), HYDRO_OK);
	return records;
}

Test(state, a_crash_never_costs_more_records_than_the_bound_however_many_came)
{
	struct place place;
	open_place(&place);
	rig_stop(&place.rig);
	place.rig.config.replay_records = 1200;
	place.rig.config.checkpoint_ms = 3600000; /* time alone does nothing here */
	rig_restart(&place.rig);
	(void)rig_plan(&place.rig, &place.spec, POINTS);
	cr_assert_eq(hd_pipeline_recover(place.rig.pipeline, NULL, NULL), HYDRO_OK);
	for (int round = 0; round < 2; round++) {
		feed_hours(&place, round * 60, (round + 1) * 60); /* 2,400 records */
		wait_behind(&place, 1200);
		uint64_t records = crash(&place);
		cr_assert_leq(records, 1200u, "%u records", (unsigned)records);
		for (uint32_t point = 0; point < POINTS; point++)
			cr_assert_eq(hd_pipeline_newest(place.rig.pipeline, point), RIG_T0 + ((round + 1) * 60 - 1) * RIG_HOUR);
	}
	goes_on(&place, 120);
	close_place(&place);
}

Test(state, only_what_changed_is_written_and_a_start_finds_the_newest_of_each_point)
{
	struct place place;
	open_place(&place);
	feed_hours(&place, 0, 3);
	cr_assert_eq(restart(&place, false), 0u);
	struct hd_buf data = {0};
	for (int h = 3; h < 6; h++) {
		hydro_raw raws[] = {{RIG_T0 + h * RIG_HOUR, 1000.0 + 10.0 * h * 8, HD_METRIC_PULSES, 0}, {RIG_T0 + h * RIG_HOUR, 20, HD_METRIC_LEVEL, 0}};
		cr_assert_eq(rig_feed(&place.rig, 7, raws, 2, HD_FEED_LIVE), HYDRO_OK);
		rig_settle(&place.rig, 7);
		if (h < 5)
			cr_assert_eq(restart(&place, false), 0u);
	}
	rig_stop(&place.rig);
	struct hd_frames frames;
	for (uint32_t shard = 0; shard < HD_SHARDS; shard++, hd_buf_clear(&data)) {
		read_file(&place, shard, &data);
		cr_assert_eq(frames_of(&data, data.len, shard, &frames), HYDRO_OK);
		cr_assert_leq(frames.changed, shard == hd_shard_of(7) ? 3u : 0u, "shard %u: %u", shard, (unsigned)frames.changed);
		hd_buf_done(&frames.image);
	}
	hd_buf_done(&data);
	rig_restart(&place.rig);
	(void)rig_plan(&place.rig, &place.spec, POINTS);
	cr_assert_eq(hd_pipeline_recover(place.rig.pipeline, NULL, NULL), HYDRO_OK);
	for (uint32_t point = 0; point < POINTS; point++)
		cr_assert_eq(hd_pipeline_newest(place.rig.pipeline, point), RIG_T0 + (point == 7 ? 5 : 2) * RIG_HOUR);
	close_place(&place);
}
/* What a crash leaves of a frame that was being added. */
Test(state, a_frame_that_is_cut_short_is_where_the_file_ends_and_the_journal_goes_on)
{
	struct place place;
	open_place(&place);
	feed_hours(&place, 0, 3);
	cr_assert_eq(restart(&place, false), 0u);
	feed_hours(&place, 3, 4);
	rig_stop(&place.rig);
	uint32_t shard = hd_shard_of(5);
	struct hd_buf data = {0};
	struct hd_frames frames;
	char path[128];
	read_file(&place, shard, &data);
	cr_assert(frames_of(&data, data.len, shard, &frames) == HYDRO_OK && frames.frames == 2);
	hd_buf_done(&frames.image);
	for (size_t len = data.len - 1; frames_of(&data, len, shard, &frames) == HYDRO_OK && frames.cut; len--) {
		cr_assert(frames.frames == 1 && frames.lsn == 3 * POINTS);
		hd_buf_done(&frames.image);
	}
	cr_assert(!frames.cut && frames.frames == 1, "all the way down to the end of the first");
	hd_buf_done(&frames.image);
	shard_path(&place, shard, path);
	cr_assert_eq(truncate(path, (off_t)data.len - 3), 0);
	rig_restart(&place.rig);
	(void)rig_plan(&place.rig, &place.spec, POINTS);
	uint64_t records = 0;
	cr_assert_eq(hd_pipeline_recover(place.rig.pipeline, &records, NULL), HYDRO_OK);
	cr_assert(records >= 1 && records < POINTS);
	goes_on(&place, 4);
	cr_assert_eq(restart(&place, false), 0u, "what was cut is written over");
	goes_on(&place, 5);
	hd_buf_done(&data);
	close_place(&place);
}

Test(state, files_of_the_version_before_are_read_and_replaced)
{
	struct place place;
	open_place(&place);
	feed_hours(&place, 0, 3);
	rig_stop(&place.rig);
	char path[128];
	struct hd_buf data = {0};
	struct hd_frames frames;
	for (uint32_t shard = 0; shard < HD_SHARDS; shard++, hd_buf_clear(&data)) {
		read_file(&place, shard, &data);
		cr_assert_eq(frames_of(&data, data.len, shard, &frames), HYDRO_OK);
		shard_path(&place, shard, path);
		cr_assert_eq(hd_fs_write_atomic(path, frames.image.data, frames.image.len, 0600, NULL), HYDRO_OK);
		hd_buf_done(&frames.image);
	}
	hd_buf_done(&data);
	for (int hour = 3; hour < 6; hour++) {
		rig_restart(&place.rig);
		(void)rig_plan(&place.rig, &place.spec, POINTS);
		uint64_t records = 1;
		cr_assert_eq(hd_pipeline_recover(place.rig.pipeline, &records, NULL), HYDRO_OK);
		cr_assert_eq(records, 0u);
		goes_on(&place, hour);
		rig_stop(&place.rig);
	}
	rig_restart(&place.rig);
	close_place(&place);
}

Test(state, a_file_that_cannot_be_added_to_is_written_again_as_a_whole)
{
	struct place place;
	open_place(&place);
	feed_hours(&place, 0, 3);
	rig_stop(&place.rig);
	place.rig.config.replay_records = 400;
	rig_restart(&place.rig);
	(void)rig_plan(&place.rig, &place.spec, POINTS);
	cr_assert_eq(hd_pipeline_recover(place.rig.pipeline, NULL, NULL), HYDRO_OK);
	remove_files(&place); /* somebody did */
	feed_hours(&place, 3, 30);
	wait_behind(&place, 400);
	cr_assert_str_eq(place.rig.last_event, "state_write_failed");
	uint64_t records = crash(&place);
	cr_assert_leq(records, 400u);
	goes_on(&place, 30);
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
