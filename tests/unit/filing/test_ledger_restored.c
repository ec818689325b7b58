/* SPDX-License-Identifier: MIT */
/* The mark: a ledger that was restored, moved or lost stands on hold; one that was just stopped does not. */
#include "ledger_kit.h"

#include "base/clock.h"
#include "base/fs.h"
#include "filing/ledger_mark.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void shell(const char *fmt, const char *a, const char *b)
{
	char command[512];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(command, sizeof command, fmt, a, b);
#pragma GCC diagnostic pop
	cr_assert_eq(system(command), 0, "%s", command);
}

static const char *setting(struct ledger_kit *kit, const char *key)
{
	static char text[256];
	struct hd_buf value = {0};
	(void)hd_ledger_setting_get(kit->ledger, key, &value, NULL);
	(void)snprintf(text, sizeof text, "%s", value.data ? hd_buf_text(&value) : "");
	hd_buf_done(&value);
	return text;
}

static void reopen(struct ledger_kit *kit, bool restored, const char *why)
{
	ledger_kit_close(kit);
	cr_assert_eq(ledger_kit_open(kit), HYDRO_OK, "%s", kit->err.text);
	cr_assert_eq(kit->restored, restored, "%s: %s", why, setting(kit, "hold_why"));
	if (restored)
		cr_assert(strstr(setting(kit, "hold_why"), why), "%s", setting(kit, "hold_why"));
}

/* One slot filed, one queued, one refused, one held that was tried, one held that was not. */
static void build(struct ledger_kit *kit)
{
	ledger_kit_begin(kit);
	ledger_kit_works(kit, 1);
	ledger_kit_file(kit, 1, KIT_DUE, "R");
	static const struct {
		int hour;
		uint32_t from, to;
	} ways[] = {{1, HD_SLOT_DUE, HD_SLOT_QUEUED}, {2, HD_SLOT_DUE, HD_SLOT_QUEUED}, {2, HD_SLOT_QUEUED, HD_SLOT_SENDING}, {2, HD_SLOT_SENDING, HD_SLOT_REFUSED},
		    {3, HD_SLOT_DUE, HD_SLOT_QUEUED}, {3, HD_SLOT_QUEUED, HD_SLOT_SENDING}, {3, HD_SLOT_SENDING, HD_SLOT_HELD}, {4, HD_SLOT_DUE, HD_SLOT_HELD}};
	for (size_t i = 0; i < HD_ARRAY_LEN(ways); i++) {
		struct hd_slot_change change = ledger_kit_change(1, KIT_DUE + ways[i].hour * KIT_HOUR, ways[i].from, ways[i].to);
		cr_assert_eq(ledger_kit_apply(kit, &change), HYDRO_OK, "%d %s", (int)i, kit->err.text);
	}
}

static void backup(struct ledger_kit *kit)
{
	ledger_kit_close(kit);
	shell("cp '%s' '%s/backup'", kit->path, kit->dir);
	cr_assert_eq(ledger_kit_open(kit), HYDRO_OK);
}

Test(ledger_restored, a_ledger_that_was_just_closed_is_not_restored)
{
	struct ledger_kit kit;
	build(&kit);
	for (int i = 0; i < 3; i++)
		reopen(&kit, false, "");
	ledger_kit_end(&kit);
}

Test(ledger_restored, a_backup_put_back_stands_on_hold_and_what_may_have_been_sent_is_unknown)
{
	struct ledger_kit kit;
	build(&kit);
	backup(&kit);
	struct hd_slot_change sent = ledger_kit_change(1, KIT_DUE + KIT_HOUR, HD_SLOT_QUEUED, HD_SLOT_SENDING);
	cr_assert_eq(ledger_kit_apply(&kit, &sent), HYDRO_OK, "%s", kit.err.text);
	ledger_kit_close(&kit);
	shell("rm -f '%s-wal' '%s-shm'", kit.path, kit.path);
	shell("cp '%s/backup' '%s'", kit.dir, kit.path);
	cr_assert_eq(ledger_kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	cr_assert(kit.restored);
	cr_assert_str_eq(setting(&kit, "hold"), "restored");
	cr_assert_str_eq(setting(&kit, "hold_why"), "it is older than its mark");
	cr_assert_eq(strtoll(setting(&kit, "restored_from_ms"), NULL, 10), KIT_DUE + 4 * KIT_HOUR + 300000);
	static const uint32_t states[] = {HD_SLOT_FILED, HD_SLOT_UNKNOWN, HD_SLOT_UNKNOWN, HD_SLOT_UNKNOWN, HD_SLOT_HELD};
	for (int hour = 0; hour < 5; hour++)
		cr_assert_eq(ledger_kit_slot(&kit, 1, KIT_DUE + hour * KIT_HOUR).state, states[hour], "hour %d", hour);
	struct hd_ledger_verdict verdict;
	cr_assert_eq(hd_ledger_verify(kit.ledger, HD_LEDGER_ALL, &verdict, &kit.err), HYDRO_OK);
	cr_assert(verdict.good, "%s", verdict.text);
	reopen(&kit, true, "older"); /* until a person leaves the hold */
	cr_assert_eq(hd_ledger_setting_put(kit.ledger, "hold", "", "ana", "checked", &kit.err), HYDRO_OK);
	reopen(&kit, false, "");
	struct hd_slot_change claim = ledger_kit_change(1, KIT_DUE + KIT_HOUR, HD_SLOT_UNKNOWN, HD_SLOT_SENDING);
	cr_assert_eq(ledger_kit_apply(&kit, &claim), HYDRO_OK, "%s", kit.err.text);
	reopen(&kit, false, "");
	ledger_kit_end(&kit);
}

Test(ledger_restored, another_machine_a_lost_mark_and_another_ledgers_mark_stand_on_hold)
{
	struct ledger_kit kit;
	build(&kit);
	kit.machine = "fedcba9876543210";
	reopen(&kit, true, "another machine's");
	cr_assert_eq(hd_ledger_setting_put(kit.ledger, "hold", "", "ana", "moved on purpose", &kit.err), HYDRO_OK);
	reopen(&kit, false, "");
	ledger_kit_close(&kit);
	shell("rm '%s'%s", kit.mark, "");
	cr_assert_eq(ledger_kit_open(&kit), HYDRO_OK);
	reopen(&kit, true, "its mark is gone");
	cr_assert_eq(hd_ledger_setting_put(kit.ledger, "hold", "", "ana", "", &kit.err), HYDRO_OK);
	ledger_kit_close(&kit);
	shell("head -c 8192 /dev/urandom > '%s'%s", kit.mark, "");
	cr_assert_eq(ledger_kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	reopen(&kit, true, "its mark is gone");
	ledger_kit_close(&kit);
	shell("rm -f '%s' '%s-wal'", kit.path, kit.path); /* the data folder was lost: a new ledger beside the old one's mark */
	cr_assert_eq(ledger_kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	cr_assert(kit.restored);
	cr_assert_str_eq(setting(&kit, "hold_why"), "the mark is another ledger's");
	ledger_kit_end(&kit);
}

Test(ledger_restored, anchors_cut_off_stand_on_hold)
{
	struct ledger_kit kit;
	build(&kit);
	cr_assert_eq(hd_ledger_anchor(kit.ledger, 20454, KIT_DUE, &kit.err), HYDRO_OK);
	reopen(&kit, false, "");
	ledger_kit_close(&kit);
	ledger_kit_sql(&kit, "DELETE FROM anchors");
	cr_assert_eq(ledger_kit_open(&kit), HYDRO_OK);
	cr_assert(kit.restored);
	ledger_kit_end(&kit);
}

Test(ledger_restored, a_torn_write_of_the_mark_leaves_the_one_before)
{
	struct ledger_kit kit;
	struct hd_buf data = {0};
	struct hd_mark whole, torn;
	build(&kit);
	ledger_kit_close(&kit);
	cr_assert_eq(hd_fs_read(kit.mark, HD_MARK_FILE_BYTES, &data, &kit.err), HYDRO_OK);
	cr_assert_eq(data.len, HD_MARK_FILE_BYTES);
	cr_assert(hd_mark_parse(data.data, data.len, &whole));
	cr_assert_gt(whole.counter, 2);
	for (size_t byte = 0; byte < 117; byte++) {
		data.data[(whole.counter & 1) * HD_MARK_PLACE_BYTES + byte] ^= 0x40;
		cr_assert(hd_mark_parse(data.data, data.len, &torn));
		cr_assert_eq(torn.counter, whole.counter - 1, "byte %d", (int)byte);
		data.data[(whole.counter & 1) * HD_MARK_PLACE_BYTES + byte] ^= 0x40;
	}
	cr_assert_not(hd_mark_parse(data.data, 100, &torn));
	hd_buf_done(&data);
	ledger_kit_end(&kit);
}

/* ---- claims of processes that are gone ---------------------------------------------------------------------------------- */

Test(ledger_restored, the_claim_of_a_process_that_died_is_unknown_at_once_that_of_a_living_one_after_its_lease)
{
	struct ledger_kit kit;
	uint64_t expired = 0;
	int turn[2], done[2];
	ledger_kit_begin(&kit);
	ledger_kit_works(&kit, 1);
	ledger_kit_close(&kit);
	cr_assert(pipe(turn) == 0 && pipe(done) == 0);
	pid_t pid = check_fork();
	if (pid == 0) { /* claims a slot, and lives until it is told to end */
		char byte = 0;
		struct hd_slot_change queued = ledger_kit_change(1, KIT_DUE, HD_SLOT_DUE, HD_SLOT_QUEUED), claim = ledger_kit_change(1, KIT_DUE, HD_SLOT_QUEUED, HD_SLOT_CLAIMED);
		bool good = ledger_kit_open(&kit) == HYDRO_OK && ledger_kit_apply(&kit, &queued) == HYDRO_OK && ledger_kit_apply(&kit, &claim) == HYDRO_OK;
		good = write(done[1], good ? "+" : "-", 1) == 1 && read(turn[0], &byte, 1) == 1;
		_exit(good ? 0 : 1);
	}
	char byte = 0;
	cr_assert_eq(read(done[0], &byte, 1), 1);
	cr_assert_eq(byte, '+');
	cr_assert_eq(ledger_kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(hd_ledger_expire_claims(kit.ledger, KIT_DUE, hd_clock_mono_ns(), &expired, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(expired, 0, "it lives and has its lease");
	cr_assert_eq(write(turn[1], "x", 1), 1);
	check_child_good(pid);
	cr_assert_eq(hd_ledger_expire_claims(kit.ledger, KIT_DUE, hd_clock_mono_ns(), &expired, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(expired, 1);
	cr_assert_eq(ledger_kit_slot(&kit, 1, KIT_DUE).state, HD_SLOT_UNKNOWN);
	for (int i = 0; i < 2; i++)
		(void)close(turn[i]), (void)close(done[i]);
	ledger_kit_end(&kit);
}

/* Claims, is stopped until its lease is over, wakes and tries to go on. What it could not do is its exit code. */
static int stopped_child(struct ledger_kit *kit, int done)
{
	struct hd_slot_change queued = ledger_kit_change(1, KIT_DUE, HD_SLOT_DUE, HD_SLOT_QUEUED), claim = ledger_kit_change(1, KIT_DUE, HD_SLOT_QUEUED, HD_SLOT_CLAIMED);
	claim.lease_until_ns = hd_clock_mono_ns() + 30 * HD_NS_PER_MS;
	if (ledger_kit_open(kit) != HYDRO_OK || ledger_kit_apply(kit, &queued) != HYDRO_OK || ledger_kit_apply(kit, &claim) != HYDRO_OK || write(done, "+", 1) != 1)
		return 1;
	(void)raise(SIGSTOP);
	struct hd_slot_change sending = ledger_kit_change(1, KIT_DUE, HD_SLOT_CLAIMED, HD_SLOT_SENDING), unknown = ledger_kit_change(1, KIT_DUE, HD_SLOT_CLAIMED, HD_SLOT_QUEUED);
	sending.epoch = unknown.epoch = claim.epoch;
	return ledger_kit_apply(kit, &sending) == HYDRO_E_CONFLICT && ledger_kit_apply(kit, &unknown) == HYDRO_E_CONFLICT ? 0 : 2;
}

Test(ledger_restored, a_process_stopped_beyond_its_lease_cannot_write_when_it_wakes)
{
	struct ledger_kit kit;
	uint64_t expired = 0;
	int done[2], status = 0;
	char byte = 0;
	ledger_kit_begin(&kit);
	ledger_kit_works(&kit, 1);
	ledger_kit_close(&kit);
	cr_assert_eq(pipe(done), 0);
	pid_t pid = check_fork();
	if (pid == 0)
		_exit(stopped_child(&kit, done[1]));
	cr_assert_eq(read(done[0], &byte, 1), 1);
	cr_assert_eq(waitpid(pid, &status, WUNTRACED), pid);
	cr_assert(WIFSTOPPED(status));
	cr_assert_eq(ledger_kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	while (expired == 0)
		cr_assert_eq(hd_ledger_expire_claims(kit.ledger, KIT_DUE, hd_clock_mono_ns(), &expired, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(kill(pid, SIGCONT), 0);
	check_child_good(pid);
	cr_assert_eq(ledger_kit_slot(&kit, 1, KIT_DUE).state, HD_SLOT_UNKNOWN);
	(void)close(done[0]), (void)close(done[1]);
	ledger_kit_end(&kit);
}

Test(ledger_restored, a_claim_of_before_the_boot_is_unknown)
{
	struct ledger_kit kit;
	uint64_t expired = 0;
	ledger_kit_begin(&kit);
	ledger_kit_works(&kit, 1);
	struct hd_slot_change queued = ledger_kit_change(1, KIT_DUE, HD_SLOT_DUE, HD_SLOT_QUEUED), claim = ledger_kit_change(1, KIT_DUE, HD_SLOT_QUEUED, HD_SLOT_SENDING);
	cr_assert_eq(ledger_kit_apply(&kit, &queued), HYDRO_OK);
	cr_assert_eq(ledger_kit_apply(&kit, &claim), HYDRO_OK);
	reopen(&kit, false, ""); /* another owner, the same process */
	cr_assert_eq(hd_ledger_expire_claims(kit.ledger, KIT_DUE, hd_clock_mono_ns(), &expired, &kit.err), HYDRO_OK);
	cr_assert_eq(expired, 0);
	ledger_kit_sql(&kit, "UPDATE owners SET boot = 'before' WHERE number = 1");
	cr_assert_eq(hd_ledger_expire_claims(kit.ledger, KIT_DUE, hd_clock_mono_ns(), &expired, &kit.err), HYDRO_OK);
	cr_assert_eq(expired, 1);
	ledger_kit_end(&kit);
}
