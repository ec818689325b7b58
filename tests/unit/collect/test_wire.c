/* SPDX-License-Identifier: MIT */
/* The collector wired to the real plugin host, pipeline and journal: from an HTTP answer to a synced latest value. */
#include "check.h"

#include "base/clock.h"
#include "collect/wire.h"
#include "journal/journal.h"
#include "net/rawserver.h"
#include "pipeline/latest.h"
#include "pipeline/pipeline.h"
#include "plugin/plugin.h"

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POINTS 20u

static struct rig {
	char dir[64];
	struct rawserver *server;
	uint16_t port;
	struct hd_names *names;
	struct hd_plugins *plugins;
	struct hd_instance *twin;
	int64_t served_ms;
	struct hd_points *points;
	struct hd_journal *journal;
	struct hd_pipeline *pipeline;
	struct hd_net *net;
	struct hd_collect *collect;
	struct hd_collect_wiring wiring;
	pthread_mutex_t lock; /* guards: synced */
	pthread_cond_t cond;
	uint32_t synced;
} rig;

static bool answer(void *arg, int fd, const char *request)
{
	(void)arg;
	char body[256];
	long long ts = (long long)rig.served_ms; /* the same reading each time it is asked for */
	if (strncmp(request, "POST /login", 11) == 0)
		return rawserver_answer(fd, strstr(request, "\"password\":\"right\"") ? 200 : 401, NULL, "{\"token\":\"session-91\"}");
	if (!strstr(request, "Bearer session-91"))
		return rawserver_answer(fd, 401, NULL, "");
	(void)snprintf(body, sizeof body, "{\"5001\":[{\"ts\":%lld,\"value\":\"12.5\"}],\"5003\":[{\"ts\":%lld,\"value\":\"42500\"}]}", ts, ts);
	return rawserver_answer(fd, 200, "Content-Type: application/json\r\n", body);
}

static int account(void *arg, uint32_t id, struct hd_collect_account *ret, struct hydro_error *err)
{
	(void)arg, (void)id, (void)err;
	*ret = (struct hd_collect_account){1, strdup("{\"username\":\"someone\",\"password\":\"right\"}")};
	return HYDRO_OK;
}

static int append(void *arg, struct hd_batch *batch, struct hydro_error *err)
{
	(void)arg;
	return hd_journal_append(rig.journal, batch, err);
}

static void synced(void *arg, struct hd_batch *batch)
{
	(void)arg;
	hd_pipeline_synced(rig.pipeline, batch);
}

static void seen(void *arg, const struct hd_batch *batch)
{
	(void)arg;
	pthread_mutex_lock(&rig.lock);
	rig.synced += batch->count;
	pthread_cond_signal(&rig.cond);
	pthread_mutex_unlock(&rig.lock);
}

static void must(int rc, const struct hydro_error *err)
{
	cr_assert_eq(rc, HYDRO_OK, "%s", err->text);
}

static void storage_open(struct hydro_error *err)
{
	(void)snprintf(rig.dir, sizeof rig.dir, "/tmp/hydro-wire-XXXXXX");
	cr_assert_not_null(mkdtemp(rig.dir));
	struct hd_journal_config journal = {.dir = rig.dir, .segment_bytes = 1u << 20, .synced = synced};
	must(hd_journal_open(&journal, &rig.journal, err), err);
	struct hd_pipeline_config pipeline = {.workers = 2, .names = rig.names, .points = rig.points, .append = append};
	must(hd_pipeline_open(&pipeline, &rig.pipeline, err), err);
	must(hd_latest_listen(hd_pipeline_latest(rig.pipeline), seen, NULL, err), err);
}

static void plugins_open(struct hydro_error *err)
{
	static const char *const dirs[] = {HD_BINARY_DIR "/plugins"};
	struct hd_plugins_config config = {
		.dirs = dirs, .dir_count = 1, .runner_path = HD_BINARY_DIR "/bin/hydro-runner", .names = rig.names, .probe_ms = 20000};
	must(hd_plugins_open(&config, &rig.plugins, err), err);
	char base_url[64];
	(void)snprintf(base_url, sizeof base_url, "http://127.0.0.1:%u", rig.port);
	cJSON *options = cJSON_CreateObject();
	cJSON_AddStringToObject(options, "base_url", base_url);
	must(hd_instance_create(rig.plugins, "twin-north", "twin", options, &rig.twin, err), err);
	cJSON_Delete(options);
}

static void points_make(struct hydro_error *err)
{
	for (uint32_t i = 0; i < POINTS; i++) {
		char options[128];
		(void)snprintf(options, sizeof options, "{\"device\":\"dev-%u-private\",\"keys\":{\"flow\":\"5001\",\"pulses\":\"5003\"}}", i);
		struct hd_point_spec spec = {.index = i,
					     .version = 1,
					     .bits = HD_POINT_ACTIVE,
					     .account = 1,
					     .period_s = 3600,
					     .join_ms = 30000,
					     .name = "p",
					     .provider = "twin-north",
					     .options = options};
		spec.id.bytes[0] = (uint8_t)(i + 1);
		uint32_t index;
		must(hd_points_put(rig.points, &spec, &index, err), err);
	}
}

static void rig_open(void)
{
	struct hydro_error err = {.struct_size = sizeof err};
	pthread_mutex_init(&rig.lock, NULL);
	pthread_cond_init(&rig.cond, NULL);
	rig.server = rawserver_start(answer, NULL, &rig.port);
	must(hd_names_open(NULL, &rig.names, &err), &err);
	rig.served_ms = hd_clock_wall_ms();
	must(hd_points_new(&rig.points), &err);
	points_make(&err);
	storage_open(&err);
	plugins_open(&err);
	struct hd_net_config net = {0};
	must(hd_net_open(&net, &rig.net, &err), &err);
	struct hd_collect_provider provider;
	cr_assert(hd_collect_wire_provider(rig.twin, &provider));
	rig.wiring = (struct hd_collect_wiring){.pipeline = rig.pipeline, .names = rig.names, .account = account};
	struct hd_collect_config config = {.net = rig.net, .points = rig.points, .providers = &provider, .provider_count = 1};
	hd_collect_wire(&rig.wiring, &config.ops);
	must(hd_collect_open(&config, &rig.collect, &err), &err);
}

static void rig_close(void)
{
	struct hydro_error err = {.struct_size = sizeof err};
	must(hd_collect_drain(rig.collect, 20000, &err), &err);
	must(hd_pipeline_drain(rig.pipeline, 20000, &err), &err);
	hd_collect_close(&rig.collect);
	hd_net_close(&rig.net);
	must(hd_instance_stop(rig.twin, 1000, &err), &err);
	hd_instance_free(&rig.twin);
	hd_plugins_close(&rig.plugins);
	hd_pipeline_close(&rig.pipeline);
	hd_journal_close(&rig.journal);
	hd_points_free(&rig.points);
	hd_names_close(&rig.names);
	rawserver_stop(rig.server);
	char command[128];
	(void)snprintf(command, sizeof command, "rm -r '%s'", rig.dir);
	cr_assert_eq(system(command), 0);
}

Test(wire, answers_become_synced_latest_values_and_a_dry_poll_shows_the_pipeline)
{
	rig_open();
	uint32_t points;
	cr_assert_eq(hd_collect_now(rig.collect, "twin-north", &points, NULL), HYDRO_OK);
	cr_assert_eq(points, POINTS);
	pthread_mutex_lock(&rig.lock);
	while (rig.synced < POINTS)
		pthread_cond_wait(&rig.cond, &rig.lock);
	pthread_mutex_unlock(&rig.lock);
	for (uint32_t i = 0; i < POINTS; i++) {
		struct hd_latest_value value;
		cr_assert(hd_latest_get(hd_pipeline_latest(rig.pipeline), i, &value));
		cr_assert_eq(value.count, 2);
		cr_assert_gt(hd_pipeline_newest(rig.pipeline, i), 0);
	}
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	struct hydro_error err = {0};
	cr_assert_eq(hd_collect_dry(rig.collect, 3, &buf, &err), HYDRO_OK, "%s", err.text);
	const char *text = hd_buf_text(&buf);
	cJSON *json = cJSON_Parse(text);
	cr_assert_not_null(json, "%s", text);
	cr_assert_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "readings")), 2, "%s", text);
	cr_assert(cJSON_IsArray(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "pipeline"), "readings")), "%s", text);
	/* The point is up to date: known readings are asked for again, so that there is something to look at. */
	cr_assert_not_null(strstr(text, "\"known\":\"duplicate\""), "%s", text);
	const char *from = strstr(text, "startTs=");
	cr_assert_not_null(from, "%s", text);
	cr_assert_leq(strtoll(from + 8, NULL, 10), hd_pipeline_newest(rig.pipeline, 3) - 3 * 3600 * 1000);
	cr_assert_not_null(strstr(text, "\"metric\":\"flow\""), "%s", text);
	cr_assert_null(strstr(text, "session-91"), "%s", text);
	cr_assert_null(strstr(text, "dev-3-private"), "%s", text);
	cJSON_Delete(json);
	rig_close();
}
