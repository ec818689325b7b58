/* SPDX-License-Identifier: MIT */
/* A disk that fails while the journal runs. */
#include "kit.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#define POINTS 5u

/* Until the journal says that it is stuck with `code`. */
static void wait_stuck(struct kit *kit, int code)
{
	struct hd_journal_status status;
	do {
		(void)sched_yield();
		hd_journal_status(kit->journal, &status);
	} while (status.error_code != code || status.retries < 3);
	cr_assert_neq(status.error_text[0], '\0');
}

/* Fills the queue until appends are held back; returns how many records were taken. */
static uint64_t append_until_held_back(struct kit *kit, uint64_t next)
{
	for (;;) {
		struct hd_batch *batch = kit_batch(next, 10, POINTS);
		int rc = hd_journal_append(kit->journal, batch, &kit->err);
		if (rc != HYDRO_OK) {
			cr_assert_eq(rc, HYDRO_E_AGAIN);
			hd_batch_free(&batch);
			return next;
		}
		next += 10;
	}
}

static void check_failure(_Atomic int *which, struct kit *kit, int errno_value, int code)
{
	struct hd_journal_status status;
	kit->config.queue_batches = 8;
	cr_assert_eq(kit_open(kit), HYDRO_OK, "%s", kit->err.text);
	kit_append_synced(kit, 1, 100, POINTS);
	atomic_store(which, errno_value);
	uint64_t next = append_until_held_back(kit, 101);
	wait_stuck(kit, code);
	cr_assert_eq(atomic_load(&kit->synced), 100, "nothing is acknowledged that is not synced");
	kit_check_all(kit, 1, 100, POINTS);
	hd_journal_status(kit->journal, &status);
	cr_assert_eq(status.synced_lsn, 100);
	cr_assert(kit_has_event(kit, "journal_stuck"));
	atomic_store(which, 0);
	cr_assert_eq(hd_journal_flush(kit->journal, KIT_WAIT_MS), HYDRO_OK);
	cr_assert_eq(atomic_load(&kit->synced), next - 1);
	hd_journal_status(kit->journal, &status);
	cr_assert_eq(status.error_code, HYDRO_OK);
	cr_assert(kit_has_event(kit, "journal_recovered"));
	cr_assert_not(atomic_load(&kit->failed_again), "a file that failed is not written again");
	kit_append_synced(kit, next, 100, POINTS);
	kit_check_all(kit, 1, next + 99, POINTS);
	kit_close(kit);
	cr_assert_eq(kit_open(kit), HYDRO_OK, "%s", kit->err.text);
	kit_check_all(kit, 1, next + 99, POINTS);
	kit_done(kit);
}

Test(faults, a_failing_sync_is_tried_again_in_a_new_segment_and_nothing_is_lost_or_doubled)
{
	struct kit kit;
	kit_init(&kit);
	check_failure(&kit.sync_errno, &kit, EIO, HYDRO_E_IO);
}

Test(faults, a_failing_write_is_survived_the_same_way)
{
	struct kit kit;
	kit_init(&kit);
	check_failure(&kit.write_errno, &kit, EIO, HYDRO_E_IO);
}

Test(faults, a_full_disk_is_waited_out)
{
	struct kit kit;
	kit_init(&kit);
	check_failure(&kit.write_errno, &kit, ENOSPC, HYDRO_E_FULL);
}

/* One failure at the k-th write or sync, for each k: the disk works again at once. */
Test(faults, one_failure_at_any_write_or_sync_loses_and_doubles_nothing)
{
	for (int k = 0; k < 40; k++) {
		struct kit kit;
		kit_init(&kit);
		cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
		atomic_store(&kit.fail_countdown, k);
		atomic_store(k % 2 ? &kit.sync_errno : &kit.write_errno, k % 3 ? EIO : ENOSPC);
		uint64_t next = 1;
		for (; next < 3000; next += 100) {
			kit_append(&kit, next, 100, POINTS);
			if (atomic_load(&kit.fail_countdown) < 0) {
				atomic_store(&kit.sync_errno, 0);
				atomic_store(&kit.write_errno, 0);
			}
		}
		atomic_store(&kit.sync_errno, 0);
		atomic_store(&kit.write_errno, 0);
		cr_assert_eq(hd_journal_flush(kit.journal, KIT_WAIT_MS), HYDRO_OK);
		cr_assert_eq(atomic_load(&kit.synced), next - 1);
		kit_check_all(&kit, 1, next - 1, POINTS);
		kit_close(&kit);
		cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
		kit_check_all(&kit, 1, next - 1, POINTS);
		kit_done(&kit);
	}
}

Test(faults, closing_while_the_disk_fails_ends_and_acknowledges_nothing)
{
	struct kit kit;
	kit_init(&kit);
	cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	kit_append_synced(&kit, 1, 10, POINTS);
	atomic_store(&kit.sync_errno, EIO);
	kit_append(&kit, 11, 10, POINTS);
	kit_close(&kit);
	cr_assert_eq(atomic_load(&kit.synced), 10);
	cr_assert(kit_has_event(&kit, "journal_given_up"));
	atomic_store(&kit.sync_errno, 0);
	cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	kit_append_synced(&kit, 11, 10, POINTS);
	kit_done(&kit);
}

Test(faults, a_folder_that_cannot_be_written_is_an_error_of_open)
{
	struct kit kit;
	kit_init(&kit);
	atomic_store(&kit.allocate_errno, ENOSPC);
	cr_assert_eq(kit_open(&kit), HYDRO_E_FULL);
	cr_assert_eq(kit_count(&kit, ".seg"), 0);
	cr_assert_eq(kit_count(&kit, ".spare"), 0, "nothing half made stays");
	atomic_store(&kit.allocate_errno, 0);
	atomic_store(&kit.sync_errno, EIO);
	cr_assert_eq(kit_open(&kit), HYDRO_E_IO);
	atomic_store(&kit.sync_errno, 0);
	cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	kit_done(&kit);
}

/* A released segment comes back as the active one: what it held before must not be taken for new after a crash. */
Test(faults, old_bytes_in_a_reused_segment_are_never_taken_for_new_ones)
{
	struct kit kit, copy;
	struct hd_journal_reader *reader = NULL;
	struct hd_journal_status status;
	uint64_t next = 1;
	kit_init(&kit);
	cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(hd_journal_reader_open(kit.journal, "r", 0, 0, &reader, &kit.err), HYDRO_OK);
	do {
		kit_append_synced(&kit, next, 50, POINTS);
		next += 50;
		hd_journal_reader_release(reader, next - 1);
		hd_journal_status(kit.journal, &status);
		cr_assert_lt(next, 10000000);
	} while (next < 40000 || status.first_lsn + 200 > next);
	kit_init(&copy); /* as a crash leaves it: the last segment has no index */
	kit_copy_segments(&kit, &copy);
	cr_assert_eq(kit_open(&copy), HYDRO_OK, "%s", copy.err.text);
	hd_journal_status(copy.journal, &status);
	cr_assert_eq(status.synced_lsn, next - 1);
	kit_check_all(&copy, status.first_lsn, next - 1, POINTS);
	cr_assert_not(kit_has_event(&copy, "journal_corrupt"));
	kit_done(&copy);
	hd_journal_reader_close(&reader);
	kit_done(&kit);
}
