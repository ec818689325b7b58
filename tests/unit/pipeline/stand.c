/* SPDX-License-Identifier: MIT */
#include "stand.h"

#include "base/fs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_event(void *arg, uint32_t level, const char *event, const char *text)
{
	struct stand *st = arg;
	(void)level, (void)text;
	(void)pthread_mutex_lock(&st->lock);
	st->live += strcmp(event, "pipeline_live") == 0;
	st->refused += strcmp(event, "pipeline_refused") == 0;
	(void)pthread_cond_broadcast(&st->changed);
	(void)pthread_mutex_unlock(&st->lock);
}

void stand_write(struct stand *st, const char *name, const char *text)
{
	char path[128];
	(void)snprintf(path, sizeof path, "%s/%s.lua", st->dir, name);
	cr_assert_eq(hd_fs_write_atomic(path, text, strlen(text), 0644, &st->err), HYDRO_OK);
}

static void add_points(struct stand *st, uint32_t count)
{
	cr_assert_eq(hd_points_new(&st->rig.points), HYDRO_OK);
	st->rig.config.points = st->rig.points;
	for (uint32_t i = 0; i < count; i++) {
		char name[32];
		(void)snprintf(name, sizeof name, "p%u", i);
		struct hd_point_spec spec = {.index = HD_POINT_NONE, .id = hd_uuid_new(), .version = 1, .bits = HD_POINT_ACTIVE, .period_s = 3600,
					     .join_ms = 30000, .name = name, .provider = "twin", .pipeline = "t", .options = "{}", .params = "{}"};
		uint32_t index;
		cr_assert_eq(hd_points_put(st->rig.points, &spec, &index, &st->err), HYDRO_OK);
	}
}

void stand_open(struct stand *st, uint32_t points, const char *text, uint32_t edit, bool watch)
{
	memset(st, 0, sizeof *st);
	(void)pthread_mutex_init(&st->lock, NULL);
	(void)pthread_cond_init(&st->changed, NULL);
	(void)snprintf(st->dir, sizeof st->dir, "/tmp/hydro-scriptsXXXXXX");
	cr_assert_not_null(mkdtemp(st->dir));
	stand_write(st, "t", text);
	/* The scripts come before the pipeline that calls them; the closed pipeline's points go, for it watched them. */
	rig_open(&st->rig, 1, "t", NULL);
	rig_stop(&st->rig);
	hd_points_free(&st->rig.points);
	add_points(st, points);
	char versions[96];
	(void)snprintf(versions, sizeof versions, "%s/versions", st->dir);
	struct hd_scripts_config config = {.dir = st->dir, .state_dir = versions, .names = st->rig.names, .points = st->rig.points, .workers = 2,
					   .edit = edit, .watch = watch, .event = on_event, .event_arg = st};
	cr_assert_eq(hd_scripts_open(&config, &st->scripts, &st->err), HYDRO_OK, "%s", st->err.text);
	st->rig.config.call_lua = hd_scripts_call_lua;
	st->rig.config.call_lua_arg = st->scripts;
	rig_restart(&st->rig);
	cr_assert_eq(hd_scripts_start(st->scripts, st->rig.pipeline, &st->err), HYDRO_OK, "%s", st->err.text);
	st->ts = RIG_T0;
}

void stand_close(struct stand *st)
{
	hd_scripts_stop(st->scripts);
	rig_stop(&st->rig);
	hd_scripts_close(&st->scripts);
	rig_close(&st->rig);
	hd_buf_done(&st->json);
	char command[128];
	(void)snprintf(command, sizeof command, "rm -r %s", st->dir);
	cr_assert_eq(system(command), 0);
}

const char *answer(struct stand *st)
{
	const char *text = hd_buf_text(&st->json);
	return text ? text : "";
}

int reload(struct stand *st, const char *name, const struct hd_scripts_change *change)
{
	hd_buf_clear(&st->json);
	return hd_scripts_reload(st->scripts, name, change, &st->json, &st->err);
}

const struct hd_sample *feed(struct stand *st, uint32_t point, double pulses)
{
	st->ts += RIG_HOUR;
	cr_assert_eq(rig_feed1(&st->rig, point, st->ts, HD_METRIC_PULSES, pulses), HYDRO_OK);
	rig_settle(&st->rig, point);
	const struct hd_sample *sample = rig_sample(&st->rig, point, st->ts);
	cr_assert_not_null(sample);
	return sample;
}

const char *generation(struct stand *st, const struct hd_sample *sample)
{
	const char *name = hd_names_get(st->rig.names, HD_NAME_GENERATION, sample->generation);
	return name ? name : "";
}
