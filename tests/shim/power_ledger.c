/* SPDX-License-Identifier: MIT */
/*
 * What the power-cut test runs of the ledger of filing.
 *   power_ledger run FOLDER SLOTS ACKS [nosync]  files slots: before a byte would leave writes "sent HOUR" to ACKS, after an outcome "filed HOUR"
 *   power_ledger verify FOLDER ACKS               0 = what was sent can't be sent again that day, what was filed is filed, all verifies
 * The database and the mark lie in two folders under FOLDER, ACKS outside. `nosync`: commits are not synced; the test must then fail.
 */
#include "base/clock.h"
#include "base/fs.h"
#include "filing/ledger.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DUE INT64_C(1767240000000)
#define HOUR INT64_C(3600000)
#define SLOTS_MAX 4096

static struct hydro_error err = {.struct_size = sizeof err};
static int acks = -1;

static void die(const char *what)
{
	(void)fprintf(stderr, "power_ledger: %s: %s\n", what, err.text);
	exit(3);
}

static void check(int rc, const char *what)
{
	if (rc != HYDRO_OK)
		die(what);
}

static struct hd_ledger *open_ledger(const char *dir, bool nosync, bool *ret_restored)
{
	static struct hd_key key = {.id = 1};
	char data[512], path[600], mark[600];
	struct hd_ledger *ledger = NULL;
	(void)snprintf(data, sizeof data, "%s/data", dir);
	(void)snprintf(path, sizeof path, "%s/filing.db", data);
	(void)snprintf(mark, sizeof mark, "%s/aside/mark", dir);
	check(hd_fs_mkdirs(data, 0700, &err), "mkdirs");
	struct hd_ledger_config config = {.path = path, .mark_path = mark, .key = &key, .unsafe_no_sync = nosync};
	check(hd_ledger_open(&config, &ledger, ret_restored, &err), "open");
	return ledger;
}

static void ack(const char *what, int64_t hour)
{
	char line[64];
	int len = snprintf(line, sizeof line, "%s %" PRId64 "\n", what, hour);
	if (write(acks, line, (size_t)len) != len)
		die("acks");
}

static int nothing(void *arg, const struct hd_work *work, struct hydro_error *e)
{
	(void)arg, (void)work, (void)e;
	return HYDRO_OK;
}

static void need_work(struct hd_ledger *ledger)
{
	if (hd_ledger_work_get(ledger, 1, NULL, NULL, nothing, NULL, NULL) == HYDRO_OK)
		return;
	struct hd_work work = {.mode = HD_MODE_LIVE, .pick = HD_PICK_NEAREST, .at_ms = -1, .starts_ms = DUE, .code = "OB-1-1", .name = "", .kind = "", .standard = "mayor",
			       .family = "dga", .client = "", .region = "", .shac = "", .notes = "", .held_why = "", .options = "{}", .adapters = "[]", .flow_metric = "",
			       .total_metric = "", .level_metric = ""};
	check(hd_ledger_work_create(ledger, &work, "test", &err), "work");
}

static void change(struct hd_ledger *ledger, int64_t hour, uint32_t from, uint32_t to, uint32_t *epoch)
{
	char receipt[32];
	struct hd_slot_change c = {.work = 1, .from = from, .to = to, .due_ms = DUE + hour * HOUR, .at_ms = DUE + hour * HOUR + 60000, .actor = "hydrod", .epoch = *epoch,
				   .lease_until_ns = hd_clock_mono_ns() + 60 * HD_NS_PER_S};
	(void)snprintf(receipt, sizeof receipt, "R%" PRId64, hour);
	if (to == HD_SLOT_QUEUED) {
		c.payload = "{\"caudal\":\"1.00\"}";
		c.payload_len = strlen(c.payload);
		c.adapter = "dga";
		c.measured_ms = c.due_ms;
	}
	c.receipt = to == HD_SLOT_FILED ? receipt : NULL;
	check(hd_ledger_apply(ledger, &c, 1, &err), "apply");
	check(c.rc, "change");
	*epoch = c.epoch;
}

static void file_slot(struct hd_ledger *ledger, int64_t hour)
{
	uint32_t epoch = 0;
	change(ledger, hour, HD_SLOT_DUE, HD_SLOT_QUEUED, &epoch);
	change(ledger, hour, HD_SLOT_QUEUED, HD_SLOT_SENDING, &epoch);
	ack("sent", hour);
	change(ledger, hour, HD_SLOT_SENDING, HD_SLOT_FILED, &epoch);
	ack("filed", hour);
}

static int last_hour(void *arg, const struct hd_slot *slot, struct hydro_error *e)
{
	(void)e;
	*(int64_t *)arg = (slot->due_ms - DUE) / HOUR;
	return HYDRO_OK;
}

static int run(const char *dir, int64_t slots, bool nosync)
{
	bool restored;
	uint64_t expired;
	int64_t hour = -1;
	struct hd_ledger *ledger = open_ledger(dir, nosync, &restored);
	struct hd_slot_filter last = {.work = 1, .descending = true, .limit = 1};
	check(hd_ledger_expire_claims(ledger, DUE, hd_clock_mono_ns(), &expired, &err), "expire");
	need_work(ledger);
	check(hd_ledger_slots(ledger, &last, last_hour, &hour, &err), "slots");
	for (int64_t i = 0; i < slots; i++) {
		file_slot(ledger, ++hour);
		struct hd_pack_plan plan = {.before_ms = INT64_MAX, .rows_min = 8};
		struct hd_pack_done done;
		if (i % 5 == 4)
			check(hd_ledger_anchor(ledger, 20454 + hour, DUE, &err), "anchor");
		if (i % 3 == 2)
			check(hd_ledger_pack(ledger, &plan, &done, &err), "pack");
	}
	hd_ledger_close(&ledger);
	return 0;
}

static int verify(const char *dir, const char *path)
{
	static bool sent[SLOTS_MAX], filed[SLOTS_MAX];
	char line[64];
	int64_t hour;
	bool restored;
	int bad = 0;
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file)) {
		if (sscanf(line, "sent %" SCNd64, &hour) == 1 && hour < SLOTS_MAX)
			sent[hour] = true;
		if (sscanf(line, "filed %" SCNd64, &hour) == 1 && hour < SLOTS_MAX)
			filed[hour] = true;
	}
	if (file)
		(void)fclose(file);
	struct hd_ledger *ledger = open_ledger(dir, false, &restored);
	struct hd_ledger_verdict verdict;
	check(hd_ledger_verify(ledger, HD_LEDGER_ALL, &verdict, &err), "verify");
	if (restored || !verdict.good) {
		(void)fprintf(stderr, "restored %d, verdict: %s\n", restored, verdict.text);
		bad = 1;
	}
	for (hour = 0; hour < SLOTS_MAX; hour++) {
		struct hd_slot slot = {0};
		if (!sent[hour])
			continue;
		int rc = hd_ledger_slot(ledger, 1, DUE + hour * HOUR, &slot, NULL);
		bool stands = rc == HYDRO_OK && (slot.state == HD_SLOT_SENDING || slot.state == HD_SLOT_UNKNOWN || slot.state == HD_SLOT_FILED);
		if (!stands || (filed[hour] && (slot.state != HD_SLOT_FILED || slot.receipt[0] != 'R'))) {
			(void)fprintf(stderr, "slot %" PRId64 " was sent%s, and is %s\n", hour, filed[hour] ? " and filed" : "", rc == HYDRO_OK ? hd_slot_state_name(slot.state) : "not there");
			bad = 1;
		}
	}
	hd_ledger_close(&ledger);
	return bad;
}

int main(int argc, char **argv)
{
	if (argc >= 5 && strcmp(argv[1], "run") == 0) {
		acks = open(argv[4], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		return run(argv[2], strtoll(argv[3], NULL, 10), argc > 5);
	}
	if (argc == 4 && strcmp(argv[1], "verify") == 0)
		return verify(argv[2], argv[3]);
	(void)fprintf(stderr, "power_ledger run FOLDER SLOTS ACKS [nosync] | verify FOLDER ACKS\n");
	return 2;
}
