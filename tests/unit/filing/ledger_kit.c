/* SPDX-License-Identifier: MIT */
#include "ledger_kit.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int ledger_kit_open(struct ledger_kit *kit)
{
	struct hd_ledger_config config = {.path = kit->path, .mark_path = kit->mark, .key = &kit->key, .machine = kit->machine};
	return hd_ledger_open(&config, &kit->ledger, &kit->restored, &kit->err);
}

void ledger_kit_begin(struct ledger_kit *kit)
{
	*kit = (struct ledger_kit){.dir = "/tmp/hydro-ledger-XXXXXX", .machine = "0123456789abcdef", .err.struct_size = sizeof kit->err};
	cr_assert_not_null(mkdtemp(kit->dir));
	(void)snprintf(kit->path, sizeof kit->path, "%s/filing.db", kit->dir);
	(void)snprintf(kit->mark, sizeof kit->mark, "%s/aside/mark", kit->dir);
	memset(kit->key.bytes, 7, sizeof kit->key.bytes);
	kit->key.id = 7;
	cr_assert_eq(ledger_kit_open(kit), HYDRO_OK, "%s", kit->err.text);
	cr_assert(!kit->restored);
}

void ledger_kit_close(struct ledger_kit *kit)
{
	hd_ledger_close(&kit->ledger);
}

void ledger_kit_end(struct ledger_kit *kit)
{
	char command[128];
	ledger_kit_close(kit);
	(void)snprintf(command, sizeof command, "rm -rf '%s'", kit->dir);
	cr_assert_eq(system(command), 0);
}

struct hd_work ledger_kit_work(const char *code)
{
	return (struct hd_work){.mode = HD_MODE_LIVE, .pick = HD_PICK_NEAREST, .at_ms = -1, .starts_ms = KIT_DUE, .granted_lps = 20.5, .granted_m3_year = NAN, .code = code,
				.name = "Pozo", .kind = "subterranea", .standard = "mayor", .family = "dga", .client = "c", .region = "RM", .shac = "", .notes = "",
				.held_why = "", .options = "{}", .adapters = "[]", .flow_metric = "", .total_metric = "", .level_metric = ""};
}

void ledger_kit_works(struct ledger_kit *kit, uint32_t count)
{
	for (uint32_t i = 1; i <= count; i++) {
		char code[32];
		(void)snprintf(code, sizeof code, "OB-0001-%u", i);
		struct hd_work work = ledger_kit_work(code);
		int rc = hd_ledger_work_create(kit->ledger, &work, "test", &kit->err);
		cr_assert_eq(rc, HYDRO_OK, "%s", kit->err.text);
		cr_assert_eq(work.number, i);
	}
}

struct hd_slot_change ledger_kit_change(uint32_t work, int64_t due_ms, uint32_t from, uint32_t to)
{
	static const double values[3] = {15.31, 425000, 12.3};
	struct hd_slot_change change = {.work = work, .from = from, .to = to, .due_ms = due_ms, .at_ms = due_ms + 300000, .actor = "hydrod",
					.lease_until_ns = hd_clock_mono_ns() + 3600 * HD_NS_PER_S};
	if (from == HD_SLOT_DUE && (to == HD_SLOT_QUEUED || to == HD_SLOT_SHADOW)) {
		change.payload = KIT_PAYLOAD;
		change.payload_len = sizeof KIT_PAYLOAD - 1;
		change.adapter = "dga_2025";
		change.measured_ms = due_ms - 60000;
		change.values = values;
	}
	return change;
}

int ledger_kit_apply(struct ledger_kit *kit, struct hd_slot_change *change)
{
	int rc = hd_ledger_apply(kit->ledger, change, 1, &kit->err);
	return rc != HYDRO_OK ? rc : change->rc;
}

void ledger_kit_file(struct ledger_kit *kit, uint32_t work, int64_t due_ms, const char *receipt)
{
	static const uint32_t states[] = {HD_SLOT_DUE, HD_SLOT_QUEUED, HD_SLOT_CLAIMED, HD_SLOT_SENDING, HD_SLOT_FILED};
	uint32_t epoch = 0;
	for (size_t i = 1; i < HD_ARRAY_LEN(states); i++) {
		struct hd_slot_change change = ledger_kit_change(work, due_ms, states[i - 1], states[i]);
		change.at_ms = due_ms + (int64_t)i * 60000;
		change.epoch = epoch;
		change.receipt = states[i] == HD_SLOT_FILED ? receipt : NULL;
		cr_assert_eq(ledger_kit_apply(kit, &change), HYDRO_OK, "%s", kit->err.text);
		epoch = change.epoch;
	}
}

struct hd_slot ledger_kit_slot(struct ledger_kit *kit, uint32_t work, int64_t due_ms)
{
	struct hd_slot slot;
	cr_assert_eq(hd_ledger_slot(kit->ledger, work, due_ms, &slot, &kit->err), HYDRO_OK, "%s", kit->err.text);
	return slot;
}

void ledger_kit_sql(struct ledger_kit *kit, const char *sql)
{
	sqlite3 *db = NULL;
	char *text = NULL;
	cr_assert_eq(sqlite3_open(kit->path, &db), SQLITE_OK);
	int rc = sqlite3_exec(db, sql, NULL, NULL, &text);
	cr_assert_eq(rc, SQLITE_OK, "%s", text ? text : "");
	(void)sqlite3_close(db);
}
