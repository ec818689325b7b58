/* SPDX-License-Identifier: MIT */
#include "dga_kit.h"

#include "base/fs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void dga_kit_begin(struct dga_kit *kit)
{
	char path[512], to[512];
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	*kit = (struct dga_kit){.err = {.struct_size = sizeof kit->err}};
	ledger_kit_begin(&kit->ledger);
	(void)snprintf(kit->dir, sizeof kit->dir, "/tmp/hydro-dga-XXXXXX");
	cr_assert_not_null(mkdtemp(kit->dir));
	kit->dirs[0] = kit->dir;
	(void)snprintf(path, sizeof path, "%s/plugins/dga.so", HD_BINARY_DIR);
	(void)snprintf(to, sizeof to, "%s/dga.so", kit->dir);
	cr_assert_eq(hd_fs_read(path, 64u << 20, &buf, &kit->err), HYDRO_OK, "%s", kit->err.text);
	cr_assert_eq(hd_fs_write_atomic(to, buf.data, buf.len, 0644, &kit->err), HYDRO_OK);
	cr_assert_eq(hd_names_open(NULL, &kit->names, &kit->err), HYDRO_OK);
	struct hd_plugins_config config = {.dirs = kit->dirs, .dir_count = 1, .runner_path = HD_RUNNER, .names = kit->names, .probe_ms = 20000};
	cr_assert_eq(hd_plugins_open(&config, &kit->plugins, &kit->err), HYDRO_OK, "%s", kit->err.text);
	cr_assert_eq(hd_instance_create(kit->plugins, "dga", "dga", NULL, &kit->instance, &kit->err), HYDRO_OK, "%s", kit->err.text);
	cr_assert_eq(hd_adapters_new(&kit->adapters, &kit->err), HYDRO_OK);
	cr_assert_eq(hd_adapters_add(kit->adapters, kit->instance, &kit->err), HYDRO_OK, "%s", kit->err.text);
	struct hd_centre centre = {.name = "Centro Norte", .identifier = "76086428-5", .registration = "Res. 123", .registered_ms = 1, .check_share = 1, .state_why = "", .state_by = ""};
	struct hd_informant informant = {.name = "Ana Soto", .identifier = "12531909-2", .secret = "una clave", .has_secret = true};
	cr_assert_eq(hd_ledger_centre_create(kit->ledger.ledger, &centre, "test", &kit->err), HYDRO_OK, "%s", kit->err.text);
	cr_assert_eq(hd_ledger_informant_create(kit->ledger.ledger, &informant, "test", &kit->err), HYDRO_OK, "%s", kit->err.text);
	kit->centre = centre.number;
	kit->informant = informant.number;
}

void dga_kit_end(struct dga_kit *kit)
{
	char command[128];
	hd_adapters_free(&kit->adapters);
	hd_instance_free(&kit->instance);
	hd_plugins_close(&kit->plugins);
	hd_names_close(&kit->names);
	ledger_kit_end(&kit->ledger);
	(void)snprintf(command, sizeof command, "rm -rf %s", kit->dir);
	cr_assert_eq(system(command), 0);
}

uint32_t dga_kit_work(struct dga_kit *kit, const char *code, const char *standard, const char *client)
{
	struct hd_work work = ledger_kit_work(code);
	work.kind = "subterranea";
	work.standard = standard;
	work.client = client;
	work.family = "dga";
	work.mode = HD_MODE_LIVE;
	work.centre = kit->centre;
	work.informant = kit->informant;
	work.starts_ms = KIT_DUE;
	work.ends_ms = 0;
	work.every = 0;
	work.at_ms = -1;
	work.lag_ms = 0;
	work.lag_months = 0;
	work.by_sheet = false;
	work.options = "";
	work.adapters = "";
	cr_assert_eq(hd_ledger_work_create(kit->ledger.ledger, &work, "test", &kit->err), HYDRO_OK, "%s", kit->err.text);
	return work.number;
}

void dga_kit_missing(struct dga_kit *kit, uint32_t work, int64_t due_ms, const char *cause)
{
	struct hd_slot_change change = ledger_kit_change(work, due_ms, HD_SLOT_DUE, HD_SLOT_MISSING);
	change.cause = cause;
	cr_assert_eq(ledger_kit_apply(&kit->ledger, &change), HYDRO_OK, "%s", kit->ledger.err.text);
}
