/* SPDX-License-Identifier: MIT */
/*
 * Two versions of a regulator's manual in one engine: the built dga plugin and a later one that is made up, against the simulated DGA over
 * HTTP on one simulated clock. The later one has another path and another name of the level, and the simulator takes neither for the other.
 */
#include "check.h"

#include "../../plugins/sim/sim_process.h"
#include "rig.h"

#include "base/fs.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JULY INT64_C(1782878400000) /* 2026-07-01T00:00 by the DGA's clock: from here on the later manual holds */
#define HOURS 4

struct world {
	struct rig *rig;
	struct sim_process sim;
	struct hd_names *names;
	struct hd_plugins *plugins;
	struct hd_instance *instances[2];
	char dir[64];
	struct hydro_error err;
};

static void copy_plugin(struct world *w, const char *folder, const char *name)
{
	char from[512], to[512];
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	(void)snprintf(from, sizeof from, "%s/%s/%s.so", HD_BINARY_DIR, folder, name);
	(void)snprintf(to, sizeof to, "%s/%s.so", w->dir, name);
	cr_assert_eq(hd_fs_read(from, 64u << 20, &buf, &w->err), HYDRO_OK, "%s", w->err.text);
	cr_assert_eq(hd_fs_write_atomic(to, buf.data, buf.len, 0644, &w->err), HYDRO_OK);
}

static void add_adapter(struct world *w, size_t i, const char *name, const char *plugin)
{
	char url[128];
	(void)snprintf(url, sizeof url, "{\"base_url\":\"http://127.0.0.1:%u/dga/api/v1/mediciones/\"}", w->sim.port);
	cJSON *options = cJSON_Parse(url);
	cr_assert_eq(hd_instance_create(w->plugins, name, plugin, options, &w->instances[i], &w->err), HYDRO_OK, "%s", w->err.text);
	cJSON_Delete(options);
	cr_assert_eq(hd_adapters_add(w->rig->adapters, w->instances[i], &w->err), HYDRO_OK, "%s", w->err.text);
}

static void world_init(struct world *w)
{
	char clock[96], *argv[] = {(char[]){SIM_FILE}, (char[]){"--points"}, (char[]){"4"}, (char[]){"--port"}, (char[]){"0"}, (char[]){"--clock"}, clock, NULL};
	*w = (struct world){.err = {.struct_size = sizeof w->err}};
	w->rig = rig_new();
	(void)snprintf(clock, sizeof clock, "%s/clock", w->rig->dir);
	cr_assert_eq(sim_process_start(&w->sim, argv), 0);
	(void)snprintf(w->dir, sizeof w->dir, "/tmp/hydro-versions-XXXXXX");
	cr_assert_not_null(mkdtemp(w->dir));
	copy_plugin(w, "plugins", "dga");
	copy_plugin(w, "fixtures", "dga_next");
	const char *dirs[] = {w->dir};
	struct hd_plugins_config cfg = {.dirs = dirs, .dir_count = 1, .runner_path = HD_RUNNER, .probe_ms = 20000};
	cr_assert_eq(hd_names_open(NULL, &w->names, &w->err), HYDRO_OK);
	cfg.names = w->names;
	cr_assert_eq(hd_plugins_open(&cfg, &w->plugins, &w->err), HYDRO_OK, "%s", w->err.text);
	add_adapter(w, 0, "next", "dga_next");
	add_adapter(w, 1, "dga", "dga");
	w->rig->config.timeout_ms = 5000;
	hd_clock_advance(JULY - (HOURS + 1) * HOUR_MS);
}

static void world_done(struct world *w)
{
	char command[128];
	rig_free(w->rig);
	hd_instance_free(&w->instances[0]);
	hd_instance_free(&w->instances[1]);
	hd_plugins_close(&w->plugins);
	hd_names_close(&w->names);
	sim_process_stop(&w->sim);
	(void)snprintf(command, sizeof command, "rm -rf %s", w->dir);
	cr_assert_eq(system(command), 0);
}

/* A work of the DGA with readings at each hour around the change. */
static uint32_t add_work(struct world *w, const char *code, uint32_t mode, const char *adapters)
{
	struct hd_work work = rig_work_default(w->rig, code);
	work.mode = mode;
	work.kind = "subterranea";
	work.family = "dga";
	work.adapters = adapters;
	work.starts_ms = JULY - HOURS * HOUR_MS;
	rig_work_with(w->rig, &work);
	rig_read_hours(w->rig, work.point.bytes[15], work.starts_ms, JULY + HOURS * HOUR_MS);
	return work.number;
}

static void run(struct world *w)
{
	rig_open(w->rig);
	rig_run(w->rig, JULY + (HOURS + 1) * HOUR_MS);
}

/* Filed, found again by GET, and by which version. */
static const char *filed_by(struct world *w, uint32_t work, int64_t due_ms)
{
	static char name[64];
	struct hd_slot slot = rig_slot(w->rig, work, due_ms);
	cr_assert_eq(slot.state, HD_SLOT_FILED, "state %u: %s", slot.state, slot.cause);
	cr_assert(slot.marks & HD_SLOT_CHECKED, "marks %u", slot.marks);
	cr_assert_eq(strlen(slot.receipt), 32);
	cr_assert_eq(hd_ledger_name(w->rig->ledger, slot.adapter, name, &w->err), HYDRO_OK);
	return name;
}

Test(versions, a_later_manual_takes_over_at_its_date_and_per_work)
{
	struct world w;
	world_init(&w);
	uint32_t ordinary = add_work(&w, "OB-0101-1", HD_MODE_LIVE, ""), stays = add_work(&w, "OB-0101-2", HD_MODE_LIVE, "[{\"adapter\":\"dga\"}]");
	uint32_t early = add_work(&w, "OB-0101-3", HD_MODE_LIVE, "[{\"adapter\":\"dga\"},{\"adapter\":\"next\",\"from\":\"2026-06-30\"}]");
	run(&w);
	for (int64_t due = JULY - HOURS * HOUR_MS; due < JULY + HOURS * HOUR_MS; due += HOUR_MS) {
		cr_assert_str_eq(filed_by(&w, ordinary, due), due < JULY ? "dga" : "next");
		cr_assert_str_eq(filed_by(&w, stays, due), "dga");
		cr_assert_str_eq(filed_by(&w, early, due), "next");
	}
	world_done(&w);
}

struct audit {
	char detail[1024];
	uint32_t sent;
};

static int take_audit(void *arg, const struct hd_audit_row *row, struct hydro_error *err)
{
	struct audit *a = arg;
	(void)err;
	if (row->from == HD_SLOT_DUE && row->detail)
		(void)snprintf(a->detail, sizeof a->detail, "%s", row->detail);
	a->sent += row->to == HD_SLOT_SENDING;
	return HYDRO_OK;
}

static struct audit audit_of(struct world *w, uint32_t work, int64_t due_ms)
{
	struct audit audit = {.sent = 0};
	cr_assert_eq(hd_ledger_audit(w->rig->ledger, work, due_ms, take_audit, &audit, &w->err), HYDRO_OK, "%s", w->err.text);
	return audit;
}

Test(versions, both_run_in_shadow_side_by_side)
{
	static const char beside[] = "[{\"adapter\":\"dga\"},{\"adapter\":\"next\",\"mode\":\"shadow\"}]";
	struct world w;
	world_init(&w);
	uint32_t shadow = add_work(&w, "OB-0101-1", HD_MODE_SHADOW, beside), live = add_work(&w, "OB-0101-2", HD_MODE_LIVE, beside);
	uint32_t alone = add_work(&w, "OB-0101-3", HD_MODE_LIVE, "");
	run(&w);
	int64_t due = JULY - HOUR_MS;
	HD_CLEANUP(hd_buf_done) struct hd_buf payload = {0};
	char name[64];
	struct audit a = audit_of(&w, shadow, due);
	cr_assert_eq(rig_slot(w.rig, shadow, due).state, HD_SLOT_SHADOW);
	cr_assert_eq(a.sent, 0);
	cr_assert_eq(hd_ledger_payload(w.rig->ledger, shadow, due, &payload, name, &w.err), HYDRO_OK, "%s", w.err.text);
	cr_assert_str_eq(name, "dga");
	cr_assert_not_null(strstr(hd_buf_text(&payload), "\"nivelFreaticoDelPozo\":\"20.00\""));
	cr_assert(strstr(a.detail, "\"shadow\":[{\"adapter\":\"next\",\"payload\":") && strstr(a.detail, "nivelFreatico\\\":\\\"20.00"), "%s", a.detail);
	/* Beside a version that files, too. */
	cr_assert_str_eq(filed_by(&w, live, due), "dga");
	a = audit_of(&w, live, due);
	cr_assert_eq(a.sent, 1);
	cr_assert_not_null(strstr(a.detail, "\"adapter\":\"next\""), "%s", a.detail);
	a = audit_of(&w, alone, due);
	cr_assert_null(strstr(a.detail, "shadow"), "%s", a.detail);
	world_done(&w);
}
