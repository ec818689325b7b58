/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include "base/fs.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define POINTS 7u

static struct hd_key some_key(uint8_t seed)
{
	struct hd_key key = {.id = 1000u + seed};
	memset(key.bytes, seed, sizeof key.bytes);
	return key;
}

static void append_many(struct kit *kit, uint64_t from, uint64_t to)
{
	for (uint64_t n = from; n <= to; n += 50)
		kit_append(kit, n, (uint32_t)HD_MIN(50, to - n + 1), POINTS);
	cr_assert_eq(hd_journal_flush(kit->journal, KIT_WAIT_MS), HYDRO_OK);
}

Test(journal, what_is_appended_is_read_in_order_now_and_after_a_restart_plain_and_sealed)
{
	struct hd_key key = some_key(3);
	for (int sealed = 0; sealed < 2; sealed++) {
		struct kit kit;
		kit_init(&kit);
		kit.config.seal = sealed ? &key : NULL;
		cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
		append_many(&kit, 1, 9000);
		cr_assert_eq(atomic_load(&kit.synced), 9000);
		cr_assert_gt(kit_count(&kit, ".seg"), 2, "several segments are in play");
		kit_check_all(&kit, 1, 9000, POINTS);
		kit_close(&kit);
		for (uint64_t round = 1; round <= 3; round++) {
			cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
			append_many(&kit, 8000 + round * 1000 + 1, 9000 + round * 1000);
			kit_check_all(&kit, 1, 9000 + round * 1000, POINTS);
			struct hd_journal_status status;
			hd_journal_status(kit.journal, &status);
			cr_assert_eq(status.synced_lsn, 9000 + round * 1000);
			cr_assert_eq(status.first_lsn, 1);
			cr_assert_eq(status.error_code, HYDRO_OK);
			cr_assert_gt(status.sync_p99_ns, 0);
			kit_close(&kit);
		}
		kit_done(&kit);
	}
}

struct rows {
	struct kit *kit;
	uint64_t next; /* record number expected */
	uint32_t count;
	uint64_t stop_after;
};

static int row_of_point(void *arg, const struct hd_sample *sample, uint64_t lsn)
{
	struct rows *rows = arg;
	cr_assert_eq(lsn, rows->next);
	kit_check(sample, lsn, POINTS);
	rows->next += POINTS;
	rows->count++;
	return rows->count == rows->stop_after ? HYDRO_E_CANCELLED : HYDRO_OK;
}

Test(journal, a_query_gives_the_synced_records_of_one_point_from_sealed_and_active_segments)
{
	struct kit kit;
	kit_init(&kit);
	cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	append_many(&kit, 1, 4000);
	for (int round = 0; round < 3; round++) {
		for (uint32_t point = 0; point < POINTS; point++) {
			struct rows rows = {.kit = &kit, .next = point ? point : POINTS};
			cr_assert_eq(hd_journal_query(kit.journal, point, INT64_MIN, INT64_MAX, 0, row_of_point, &rows, &kit.err), HYDRO_OK, "%s", kit.err.text);
			cr_assert_eq(rows.count, 4000 / POINTS + (point && point <= 4000 % POINTS));
		}
		struct rows rows = {.kit = &kit, .next = 1001 + (3 + POINTS - 1001 % POINTS) % POINTS};
		cr_assert_eq(hd_journal_query(kit.journal, 3, KIT_TS, KIT_TS + 2000 * 1000, 1000, row_of_point, &rows, &kit.err), HYDRO_OK);
		cr_assert_eq(rows.count, 143, "after LSN 1000, before ts 2000: %u", rows.count);
		rows = (struct rows){.kit = &kit, .next = 2, .stop_after = 5};
		cr_assert_eq(hd_journal_query(kit.journal, 2, INT64_MIN, INT64_MAX, 0, row_of_point, &rows, &kit.err), HYDRO_E_CANCELLED);
		rows = (struct rows){.kit = &kit};
		cr_assert_eq(hd_journal_query(kit.journal, 99, INT64_MIN, INT64_MAX, 0, row_of_point, &rows, &kit.err), HYDRO_OK);
		cr_assert_eq(rows.count, 0);
		if (round == 0)
			cr_assert_eq(hd_journal_roll(kit.journal, KIT_WAIT_MS, &kit.err), HYDRO_OK, "%s", kit.err.text);
		if (round == 1) {
			kit_close(&kit);
			cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
		}
	}
	kit_done(&kit);
}

struct order {
	uint32_t point;
	uint64_t lsn, count;
};

static int row_in_order(void *arg, const struct hd_sample *sample, uint64_t lsn)
{
	struct order *order = arg;
	kit_check(sample, lsn, POINTS);
	cr_assert(sample->point > order->point || (sample->point == order->point && lsn > order->lsn));
	*order = (struct order){sample->point, lsn, order->count + 1};
	return HYDRO_OK;
}

/* The same segment in ranges of points: together they are all of it. */
static void check_ranges(struct kit *kit, const struct hd_journal_sealed *sealed)
{
	uint32_t firsts[5];
	struct order order = {0};
	cr_assert_eq(hd_journal_split(kit->journal, sealed->id, 4, firsts, &kit->err), HYDRO_OK);
	firsts[4] = UINT32_MAX;
	cr_assert_eq(firsts[0], 0);
	for (uint32_t part = 0; part < 4; part++) {
		struct hd_journal_scan *scan = NULL;
		struct hd_sample sample;
		uint64_t lsn, before = order.count;
		int rc;
		cr_assert_lt(firsts[part], firsts[part + 1]);
		cr_assert_eq(hd_journal_scan_open(kit->journal, sealed->id, firsts[part], firsts[part + 1], &scan, &kit->err), HYDRO_OK);
		while ((rc = hd_journal_scan_next(scan, &sample, &lsn)) == HYDRO_OK) {
			cr_assert(sample.point >= firsts[part] && sample.point < firsts[part + 1]);
			cr_assert_eq(row_in_order(&order, &sample, lsn), HYDRO_OK);
		}
		cr_assert_eq(rc, HYDRO_E_NOTFOUND);
		cr_assert_lt(order.count - before, sealed->records / 2, "about a quarter each");
		hd_journal_scan_close(&scan);
	}
	cr_assert_eq(order.count, sealed->records);
}

Test(journal, sealed_segments_are_walked_by_point_plain_and_sealed_by_a_key)
{
	struct hd_key key = some_key(4);
	for (int sealed = 0; sealed < 2; sealed++) {
		struct kit kit;
		kit_init(&kit);
		kit.config.seal = sealed ? &key : NULL;
		cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
		append_many(&kit, 1, 9000);
		cr_assert_eq(hd_journal_roll(kit.journal, KIT_WAIT_MS, &kit.err), HYDRO_OK, "%s", kit.err.text);
		struct hd_journal_sealed list[32];
		size_t n = hd_journal_sealed_list(kit.journal, 0, list, HD_ARRAY_LEN(list));
		cr_assert_gt(n, 2);
		uint64_t records = 0;
		for (size_t i = 0; i < n; i++) {
			struct order order = {0};
			cr_assert_eq(list[i].first_lsn, records + 1);
			cr_assert_eq(list[i].min_ts_ms, KIT_TS + (int64_t)list[i].first_lsn * 1000);
			cr_assert_eq(hd_journal_segment_foreach_by_point(kit.journal, list[i].id, row_in_order, &order, &kit.err), HYDRO_OK, "%s", kit.err.text);
			cr_assert_eq(order.count, list[i].records);
			cr_assert_eq(list[i].points, POINTS);
			records += order.count;
			check_ranges(&kit, &list[i]);
		}
		cr_assert_eq(records, 9000);
		cr_assert_eq(hd_journal_sealed_list(kit.journal, list[0].last_lsn, list, HD_ARRAY_LEN(list)), n - 1);
		struct hd_journal_scan *scan = NULL;
		cr_assert_eq(hd_journal_scan_open(kit.journal, 999999, 0, UINT32_MAX, &scan, &kit.err), HYDRO_E_NOTFOUND);
		kit_done(&kit);
	}
}

Test(journal, an_empty_batch_passes_in_order_and_a_batch_too_large_is_refused)
{
	struct kit kit;
	kit_init(&kit);
	cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	kit_append_synced(&kit, 1, 0, 1);
	struct hd_batch *batch = kit_batch(1, 6000, POINTS);
	cr_assert_eq(hd_journal_append(kit.journal, batch, &kit.err), HYDRO_E_LIMIT);
	hd_batch_free(&batch);
	kit_append_synced(&kit, 1, 3, POINTS);
	kit_check_all(&kit, 1, 3, POINTS);
	kit_done(&kit);
}

Test(journal, a_bad_configuration_is_refused)
{
	struct kit kit;
	kit_init(&kit);
	kit.config.segment_bytes = 1000;
	cr_assert_eq(kit_open(&kit), HYDRO_E_INVALID);
	kit.config.segment_bytes = KIT_SEGMENT;
	kit.config.max_bytes = KIT_SEGMENT;
	cr_assert_eq(kit_open(&kit), HYDRO_E_INVALID);
	kit.config.max_bytes = 0;
	kit.config.queue_batches = 100000;
	cr_assert_eq(kit_open(&kit), HYDRO_E_INVALID);
	kit_done(&kit);
}

Test(journal, segments_are_kept_for_every_known_reader_and_reused_when_all_have_released)
{
	struct kit kit;
	struct hd_journal_reader *a = NULL, *b = NULL, *c = NULL;
	struct hd_journal_status status;
	kit_init(&kit);
	cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	append_many(&kit, 1, 3000);
	cr_assert_eq(hd_journal_reader_open(kit.journal, "history", 0, 1, &a, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(hd_journal_reader_open(kit.journal, "mongo", 0, 0, &b, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(hd_journal_reader_open(kit.journal, "mongo", 0, 0, &c, &kit.err), HYDRO_E_CONFLICT);
	cr_assert_eq(hd_journal_reader_open(kit.journal, "no good", 0, 0, &c, &kit.err), HYDRO_E_INVALID);
	cr_assert_eq(hd_journal_reader_open(kit.journal, "far", 0, 99999, &c, &kit.err), HYDRO_E_CONFLICT, "a cursor beyond the end");
	hd_journal_reader_release(a, 3000);
	hd_journal_status(kit.journal, &status);
	cr_assert_str_eq(status.holder, "mongo");
	cr_assert_eq(status.held_lsn, 1);
	hd_journal_reader_close(&b);
	kit_check_all(&kit, 1, 3000, POINTS);
	hd_journal_reader_close(&a);
	kit_close(&kit);
	cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	hd_journal_status(kit.journal, &status);
	cr_assert_str_eq(status.holder, "mongo", "a name that is not open still holds");
	cr_assert_eq(hd_journal_reader_open(kit.journal, "history", 0, 3001, &a, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(hd_journal_reader_forget(kit.journal, "history", &kit.err), HYDRO_E_CONFLICT);
	cr_assert_eq(hd_journal_reader_forget(kit.journal, "nobody", &kit.err), HYDRO_E_NOTFOUND);
	cr_assert_eq(hd_journal_reader_forget(kit.journal, "mongo", &kit.err), HYDRO_OK);
	uint64_t next = 3001;
	do { /* the reader keeps up: the journal must not grow, and old files come back as new segments */
		append_many(&kit, next, next + 499);
		next += 500;
		hd_journal_reader_release(a, next - 1);
		hd_journal_status(kit.journal, &status);
		cr_assert_lt(next, 10000000);
	} while (status.first_lsn <= 3000 || status.spares < 2);
	append_many(&kit, next, next + 4999);
	hd_journal_status(kit.journal, &status);
	kit_check_all(&kit, status.first_lsn, next + 4999, POINTS);
	cr_assert_eq(hd_journal_reader_open(kit.journal, "old", 0, 1, &c, &kit.err), HYDRO_E_STALE);
	hd_journal_reader_close(&a);
	kit_close(&kit);
	cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	hd_journal_status(kit.journal, &status);
	kit_check_all(&kit, status.first_lsn, next + 4999, POINTS);
	kit_done(&kit);
}

Test(journal, over_the_bound_mirrors_are_shed_and_then_appends_are_held_back)
{
	struct kit kit;
	struct hd_journal_reader *history = NULL, *mirror = NULL;
	struct hd_journal_status status;
	struct hd_sample sample;
	uint64_t lsn, next = 1;
	kit_init(&kit);
	kit.config.max_bytes = 6 * KIT_SEGMENT;
	cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(hd_journal_reader_open(kit.journal, "mirror", HD_JOURNAL_READER_MIRROR, 1, &mirror, &kit.err), HYDRO_OK);
	cr_assert_eq(hd_journal_reader_open(kit.journal, "history", 0, 1, &history, &kit.err), HYDRO_OK);
	int rc;
	while (!kit_has_event(&kit, "journal_shed: mirror")) {
		kit_append_synced(&kit, next, 100, POINTS);
		next += 100;
		hd_journal_reader_release(history, next - 1);
		cr_assert_lt(next, 1000000);
	}
	do { /* now history does not release either */
		struct hd_batch *batch = kit_batch(next, 100, POINTS);
		rc = hd_journal_append(kit.journal, batch, &kit.err);
		if (rc != HYDRO_OK)
			hd_batch_free(&batch);
		else
			next += 100;
		(void)hd_journal_flush(kit.journal, KIT_WAIT_MS);
		hd_journal_status(kit.journal, &status);
		cr_assert_lt(status.bytes, 60 * KIT_SEGMENT, "the bound stops growth");
	} while (rc != HYDRO_E_AGAIN || status.error_code != HYDRO_E_FULL);
	cr_assert_not_null(strstr(status.error_text, "history"));
	cr_assert_eq(hd_journal_reader_next(mirror, &sample, &lsn, &kit.err), HYDRO_E_STALE);
	hd_journal_reader_release(history, next - 1);
	kit_append_synced(&kit, next, 10, POINTS);
	hd_journal_reader_close(&history);
	hd_journal_reader_close(&mirror);
	kit_done(&kit);
}

struct appender {
	struct kit *kit;
	uint64_t from, to;
};

static void *append_run(void *arg)
{
	struct appender *appender = arg;
	for (uint64_t n = appender->from; n < appender->to; n += 20)
		kit_append(appender->kit, n, 20, 1000);
	return NULL;
}

static int count_row(void *arg, const struct hd_sample *sample, uint64_t lsn)
{
	(void)lsn;
	kit_check(sample, sample->source, 1000);
	++*(uint64_t *)arg;
	return HYDRO_OK;
}

/* Four appenders, a reader that follows, queries beside them; each appender's records come once and in its order. */
Test(journal, appenders_readers_and_queries_work_at_the_same_time)
{
	enum { APPENDERS = 4, EACH = 4000 };
	struct kit kit;
	struct appender appenders[APPENDERS];
	pthread_t threads[APPENDERS];
	uint64_t expected[APPENDERS], seen = 0, rows = 0, lsn, last = 0;
	struct hd_journal_reader *reader = NULL;
	kit_init(&kit);
	kit.config.commit_ms = 1;
	kit.config.queue_batches = 8;
	cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(hd_journal_reader_open(kit.journal, "follower", 0, 1, &reader, &kit.err), HYDRO_OK);
	for (uint32_t i = 0; i < APPENDERS; i++) {
		expected[i] = i * 100000;
		appenders[i] = (struct appender){&kit, expected[i], expected[i] + EACH};
		cr_assert_eq(pthread_create(&threads[i], NULL, append_run, &appenders[i]), 0);
	}
	while (seen < APPENDERS * EACH) {
		struct hd_sample sample;
		int rc = hd_journal_reader_next(reader, &sample, &lsn, &kit.err);
		if (rc == HYDRO_E_AGAIN) {
			cr_assert(hd_journal_reader_wait(reader, KIT_WAIT_MS), "data must come");
			rows = 0;
			cr_assert_eq(hd_journal_query(kit.journal, 17, INT64_MIN, INT64_MAX, 0, count_row, &rows, &kit.err), HYDRO_OK, "%s", kit.err.text);
			continue;
		}
		cr_assert_eq(rc, HYDRO_OK, "%s", kit.err.text);
		uint64_t who = sample.source / 100000;
		cr_assert_lt(who, APPENDERS);
		kit_check(&sample, expected[who]++, 1000);
		cr_assert_eq(lsn, ++last);
		hd_journal_reader_release(reader, lsn > 3000 ? lsn - 3000 : 0);
		seen++;
	}
	for (uint32_t i = 0; i < APPENDERS; i++)
		(void)pthread_join(threads[i], NULL);
	cr_assert_eq(hd_journal_flush(kit.journal, KIT_WAIT_MS), HYDRO_OK); /* a record is seen before its batch is handed over */
	cr_assert_eq(atomic_load(&kit.synced), APPENDERS * EACH);
	hd_journal_reader_close(&reader);
	kit_done(&kit);
}

Test(journal, a_waiting_reader_can_be_woken)
{
	struct kit kit;
	struct hd_journal_reader *reader = NULL;
	kit_init(&kit);
	cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(hd_journal_reader_open(kit.journal, "r", 0, 0, &reader, &kit.err), HYDRO_OK);
	hd_journal_reader_wake(reader);
	cr_assert_not(hd_journal_reader_wait(reader, KIT_WAIT_MS), "woken, with nothing to read");
	hd_journal_reader_close(&reader);
	kit_done(&kit);
}
