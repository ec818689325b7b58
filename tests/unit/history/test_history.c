/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "place.h"

#include "base/clock.h"
#include "base/timefmt.h"
#include "base/tz.h"
#include "history/history.h"
#include "model/names.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DAY INT64_C(86400000)
#define HOUR INT64_C(3600000)
#define START INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

/* One sample a row: total and flow. */
static void append(struct place *p, uint32_t point, int64_t ts, uint16_t rev, double total)
{
	struct hydro_error err = {0};
	struct hd_batch *batch = NULL;
	cr_assert_eq(hd_batch_new(4, 4 * HD_BATCH_SAMPLE_BYTES_MAX, &batch), HYDRO_OK);
	const struct hd_value raws[] = {{total * 10, HD_METRIC_PULSES, 1}};
	const struct hd_value values[] = {{total, HD_METRIC_TOTAL, 1}, {3.25, HD_METRIC_FLOW, 0.5f}};
	const struct hd_sample sample = {.ts_ms = ts, .point = point, .rev = rev, .raw_count = 1, .value_count = 2, .raws = raws, .values = values};
	cr_assert_not_null(hd_batch_add(batch, &sample));
	while (hd_journal_append(p->journal, batch, &err) == HYDRO_E_AGAIN)
		cr_assert_eq(hd_journal_flush(p->journal, 10000), HYDRO_OK);
}

struct seen {
	uint32_t count;
	int64_t first, last;
	double last_total;
	bool ordered;
	int64_t previous;
};

static int see(void *arg, const struct hd_sample *sample)
{
	struct seen *seen = arg;
	if (seen->count == 0)
		seen->first = sample->ts_ms;
	else if (sample->ts_ms <= seen->previous)
		seen->ordered = false;
	seen->previous = seen->last = sample->ts_ms;
	seen->last_total = sample->values[0].value;
	cr_assert_eq(sample->raws[0].value, sample->values[0].value * 10);
	cr_assert_eq(sample->values[1].quality, 0.5f);
	seen->count++;
	return HYDRO_OK;
}

static struct seen query(struct place *p, uint32_t point, int64_t from, int64_t to)
{
	struct seen seen = {.ordered = true};
	struct hydro_error err = {0};
	struct hd_history_query q = {.point = point, .from_ms = from, .to_ms = to};
	cr_assert_eq(hd_history_query(p->history, &q, see, &seen, &err), HYDRO_OK, "%s", err.text);
	cr_assert(seen.ordered);
	return seen;
}

Test(history, rows_are_the_same_before_and_after_the_merge_and_after_a_restart)
{
	struct place p;
	new_place(&p, NULL);
	for (int i = 0; i < 72; i++)
		for (uint32_t point = 0; point < 3; point++)
			append(&p, point, START + i * HOUR, 0, 100.0 + i + point * 1000.0);
	flush(&p);
	for (int round = 0; round < 3; round++) {
		struct seen all = query(&p, 1, START, START + 10 * DAY);
		cr_assert_eq(all.count, 72, "round %d: %u rows", round, all.count);
		cr_assert_eq(all.last_total, 1171);
		struct seen part = query(&p, 2, START + 5 * HOUR, START + 30 * HOUR);
		cr_assert_eq(part.count, 25);
		cr_assert_eq(part.first, START + 5 * HOUR);
		if (round == 0)
			merge(&p);
		else if (round == 1) {
			close_place(&p);
			open_place(&p, NULL);
		}
	}
	struct hd_history_status status;
	hd_history_status(p.history, &status);
	cr_assert_eq(status.merged_lsn, 72u * 3u);
	cr_assert_eq(query(&p, 7, START, START + DAY).count, 0);
	remove_place(&p);
}

Test(history, a_merge_by_narrow_ranges_of_points_gives_what_one_in_memory_gives)
{
	for (uint64_t bytes = 1; bytes <= 8193; bytes += 4096) { /* as many ranges as may be, some, one */
		struct place p;
		struct hd_history_status status;
		new_place(&p, NULL);
		close_place(&p);
		p.merge_bytes = bytes == 8193 ? 0 : bytes;
		open_place(&p, NULL);
		for (int i = 0; i < 30; i++)
			for (uint32_t point = 0; point < 90; point++)
				if (point % 7 || i % 2) /* uneven, and with points only some segments have */
					append(&p, point * (point > 60 ? 1000 : 1), START + i * HOUR, 0, 100.0 + i + point * 1000.0);
		flush(&p);
		merge(&p);
		hd_history_status(p.history, &status);
		for (uint32_t point = 0; point < 90; point++) {
			struct seen all = query(&p, point * (point > 60 ? 1000 : 1), START, START + 10 * DAY);
			cr_assert_eq(all.count, point % 7 ? 30 : 15, "point %u: %u rows", point, all.count);
			cr_assert_eq(all.last_total, 129 + point * 1000.0);
		}
		cr_assert_eq(status.merged_samples, 77u * 30u + 13u * 15u);
		remove_place(&p);
	}
}

Test(history, late_rows_and_revisions_are_found_whether_merged_or_not_and_many_parts_become_one)
{
	struct place p;
	new_place(&p, NULL);
	for (int i = 0; i < 24; i++)
		append(&p, 5, START + i * HOUR, 0, i);
	flush(&p);
	merge(&p);
	for (int late = 0; late < 12; late++) {
		append(&p, 5, START + late * HOUR + 60000, 0, late);
		append(&p, 5, START + late * HOUR, 1, late + 500);
		flush(&p);
		struct seen seen = query(&p, 5, START, START + DAY);
		cr_assert_eq(seen.count, 24u + (unsigned)late + 1u);
		merge(&p);
		seen = query(&p, 5, START, START + DAY);
		cr_assert_eq(seen.count, 24u + (unsigned)late + 1u);
	}
	struct seen hour = query(&p, 5, START + 3 * HOUR, START + 3 * HOUR + 1);
	cr_assert(hour.count == 1 && hour.last_total == 503, "the revision wins");
	struct hydro_error err = {0};
	struct hd_history_query q = {.point = 5, .from_ms = START, .to_ms = START + HOUR, .all_revs = true, .limit = 2};
	struct seen revs = {.ordered = true};
	cr_assert_eq(hd_history_query(p.history, &q, see, &revs, &err), HYDRO_OK);
	cr_assert(revs.count == 2 && revs.first == revs.last, "both revisions of the first hour, then the limit");
	remove_place(&p);
}

static int see_any_order(void *arg, const struct hd_sample *sample)
{
	struct seen *seen = arg;
	if (seen->count++ == 0)
		seen->first = sample->ts_ms;
	seen->last = sample->ts_ms;
	return HYDRO_OK;
}

Test(history, a_descending_query_with_a_limit_gives_the_newest)
{
	struct place p;
	new_place(&p, NULL);
	for (int i = 0; i < 50; i++)
		append(&p, 0, START + i * HOUR, 0, i);
	flush(&p);
	merge(&p);
	append(&p, 0, START + 50 * HOUR, 0, 50);
	flush(&p);
	struct seen seen = {.ordered = true};
	struct hydro_error err = {0};
	struct hd_history_query q = {.point = 0, .from_ms = START, .to_ms = START + 100 * DAY, .descending = true, .limit = 3};
	cr_assert_eq(hd_history_query(p.history, &q, see_any_order, &seen, &err), HYDRO_OK);
	cr_assert(seen.count == 3 && seen.first == START + 50 * HOUR && seen.last == START + 48 * HOUR);
	remove_place(&p);
}

Test(history, sealed_history_opens_with_its_key_alone)
{
	struct hd_key key = {.id = 7}, other = {.id = 8};
	memset(key.bytes, 1, sizeof key.bytes);
	memset(other.bytes, 2, sizeof other.bytes);
	struct place p;
	new_place(&p, &key);
	for (int i = 0; i < 100; i++)
		append(&p, 3, START + i * HOUR / 4, 0, i);
	flush(&p);
	merge(&p);
	cr_assert_eq(query(&p, 3, START, START + 2 * DAY).count, 100);
	close_place(&p);
	open_place(&p, &key);
	cr_assert_eq(query(&p, 3, START, START + 2 * DAY).count, 100);
	struct hydro_error err = {0};
	struct hd_history *wrong = NULL;
	hd_history_close(&p.history);
	struct hd_history_config hc = {.dir = p.history_dir, .journal = p.journal, .seal = &other, .manual = true};
	cr_assert_eq(hd_history_open(&hc, &wrong, &err), HYDRO_E_KEY, "%s", err.text);
	hc.seal = NULL;
	cr_assert_eq(hd_history_open(&hc, &wrong, &err), HYDRO_E_KEY, "%s", err.text);
	hd_journal_close(&p.journal);
	char command[128];
	(void)snprintf(command, sizeof command, "rm -rf %s", p.dir);
	cr_assert_eq(system(command), 0);
}

struct aggregates {
	struct hd_aggregate rows[400];
	uint32_t count;
};

static int keep(void *arg, const struct hd_aggregate *a)
{
	struct aggregates *all = arg;
	if (a->metric == HD_METRIC_TOTAL && all->count < 400)
		all->rows[all->count++] = *a;
	return HYDRO_OK;
}

static void aggregate(struct place *p, uint32_t period, int64_t from, int64_t to, const struct hd_tz *zone, struct aggregates *ret)
{
	struct hydro_error err = {0};
	struct hd_history_aggregate_query q = {.point = 1, .period = period, .from_ms = from, .to_ms = to, .zone = zone};
	ret->count = 0;
	cr_assert_eq(hd_history_aggregates(p->history, &q, keep, ret, &err), HYDRO_OK, "%s", err.text);
}

Test(history, hours_days_and_months_agree_with_the_rows_merged_or_not)
{
	struct place p;
	new_place(&p, NULL);
	/* Every 15 minutes for 40 days, one m3 each. */
	for (int i = 0; i < 40 * 96; i++)
		append(&p, 1, START + i * HOUR / 4, 0, 1000 + i);
	flush(&p);
	struct hd_tz *santiago = NULL;
	cr_assert_eq(hd_tz_load("America/Santiago", &santiago, NULL), HYDRO_OK);
	static struct aggregates all;
	for (int round = 0; round < 2; round++) {
		aggregate(&p, HD_PERIOD_HOUR, START + DAY, START + 2 * DAY, NULL, &all);
		cr_assert_eq(all.count, 24);
		cr_assert(all.rows[0].start_ms == START + DAY && all.rows[0].count == 4 && all.rows[0].min == 1096 && all.rows[0].max == 1099, "round %d: %lld %u %g %g", round, (long long)(all.rows[0].start_ms - START), all.rows[0].count, all.rows[0].min, all.rows[0].max);
		cr_assert_float_eq(all.rows[0].volume, 4, 1e-9);
		aggregate(&p, HD_PERIOD_DAY, START + DAY, START + 3 * DAY, santiago, &all);
		cr_assert_eq(all.count, 3, "local days: the one of 1 January 00:00 UTC belongs to the day before");
		cr_assert_eq(all.rows[1].start_ms, START + DAY + 3 * HOUR);
		cr_assert_eq(all.rows[1].count, 96);
		cr_assert_float_eq(all.rows[1].volume, 96, 1e-9);
		aggregate(&p, HD_PERIOD_MONTH, START, START + 40 * DAY, NULL, &all);
		cr_assert_eq(all.count, 2);
		cr_assert(all.rows[0].count == 31 * 96 && isnan(all.rows[0].volume));
		cr_assert_float_eq(all.rows[1].volume, 9 * 96, 1e-9);
		if (round == 0)
			merge(&p);
	}
	/* A late, higher value in a merged day shows in its hour at once, and after its merge. */
	append(&p, 1, START + DAY + 60000, 0, 5000);
	flush(&p);
	for (int round = 0; round < 2; round++) {
		aggregate(&p, HD_PERIOD_HOUR, START + DAY, START + DAY + HOUR, NULL, &all);
		cr_assert(all.count == 1 && all.rows[0].count == 5 && all.rows[0].max == 5000);
		merge(&p);
	}
	hd_tz_free(&santiago);
	remove_place(&p);
}

/* ---- many points, few rows each: slices ---- */

#define MANY 700u /* more than get parts of their own in a run */

/* `rounds` rows of each point from `from` on, a minute apart, merged after each `a_merge` rounds. */
static void append_many(struct place *p, int64_t from, int rounds, int a_merge)
{
	for (int i = 0; i < rounds; i++) {
		struct hydro_error err = {0};
		struct hd_batch *batch = NULL;
		cr_assert_eq(hd_batch_new(MANY, MANY * 128 + HD_BATCH_SAMPLE_BYTES_MAX, &batch), HYDRO_OK);
		for (uint32_t point = 0; point < MANY; point++) {
			double total = point + (double)((from - START) / 60000 + i);
			const struct hd_value raws[] = {{total * 10, HD_METRIC_PULSES, 1}};
			const struct hd_value values[] = {{total, HD_METRIC_TOTAL, 1}, {3.25, HD_METRIC_FLOW, 0.5f}};
			const struct hd_sample sample = {.ts_ms = from + i * 60000, .point = point, .raw_count = 1, .value_count = 2, .raws = raws, .values = values};
			cr_assert_not_null(hd_batch_add(batch, &sample));
		}
		while (hd_journal_append(p->journal, batch, &err) == HYDRO_E_AGAIN)
			flush(p);
		flush(p);
		if (i % a_merge == a_merge - 1)
			merge(p);
	}
}

static void expect_rows(struct place *p, int64_t from, uint32_t count)
{
	for (uint32_t point = 0; point < MANY; point += 37) {
		struct seen seen = query(p, point, from, from + DAY);
		cr_assert_eq(seen.count, count, "point %u: %u rows of %u", point, seen.count, count);
		cr_assert_eq(seen.last_total, point + (double)((from - START) / 60000 + count - 1));
	}
}

Test(history, merges_of_a_few_rows_of_many_points_write_each_row_about_once_to_log_and_file)
{
	struct place p;
	struct hd_history_status status;
	uint64_t written[2];
	new_place(&p, NULL);
	int64_t today = hd_clock_wall_ms() / DAY * DAY;
	append_many(&p, today, 5, 5);
	for (int half = 0; half < 2; half++) {
		hd_history_status(p.history, &status);
		written[half] = status.written_bytes;
		append_many(&p, today + (5 + half * 50) * 60000, 50, 5);
		hd_history_status(p.history, &status);
		written[half] = status.written_bytes - written[half];
	}
	/* A merge costs what it brings: not more the more of the day there is, as it would when pages were written again for a handful of rows each. */
	cr_assert_lt(written[1], written[0] + written[0] / 4, "%llu bytes, then %llu", (unsigned long long)written[0], (unsigned long long)written[1]);
	expect_rows(&p, today, 105);
	close_place(&p);
	open_place(&p, NULL);
	expect_rows(&p, today, 105);
	remove_place(&p);
}

Test(history, slices_of_a_sealed_history_and_late_rows_beside_them_are_read_as_one_day)
{
	struct hd_key key = {.id = 7};
	struct place p;
	memset(key.bytes, 1, sizeof key.bytes);
	new_place(&p, &key);
	append_many(&p, START, 60, 10);
	expect_rows(&p, START, 60);
	append(&p, 37, START + 30000, 0, 7); /* between the first two */
	append(&p, 37, START + 59 * 60000, 1, 8000); /* a revision of the last */
	flush(&p);
	for (int round = 0; round < 3; round++) {
		struct seen seen = query(&p, 37, START, START + DAY);
		cr_assert_eq(seen.count, 61, "round %d: %u", round, seen.count);
		cr_assert_eq(seen.last_total, 8000);
		if (round == 0) {
			merge(&p);
		} else if (round == 1) {
			close_place(&p);
			open_place(&p, &key);
		}
	}
	remove_place(&p);
}

Test(history, aggregates_of_a_day_in_slices_agree_with_its_rows_also_when_more_come_later)
{
	struct place p;
	static struct aggregates all;
	new_place(&p, NULL);
	append_many(&p, START, 120, 10); /* two hours, twelve merges: above the slices whose aggregates are kept */
	append_many(&p, START + DAY, 120, 40);
	for (int day = 0; day < 2; day++) {
		aggregate(&p, HD_PERIOD_HOUR, START + day * DAY, START + (day + 1) * DAY, NULL, &all);
		cr_assert_eq(all.count, 2);
		for (uint32_t hour = 0; hour < 2; hour++)
			cr_assert(all.rows[hour].count == 60 && all.rows[hour].max - all.rows[hour].min == 59);
	}
	append_many(&p, START + DAY + 2 * HOUR, 30, 30);
	aggregate(&p, HD_PERIOD_HOUR, START + DAY, START + 2 * DAY, NULL, &all);
	cr_assert(all.count == 3 && all.rows[2].count == 30);
	remove_place(&p);
}

Test(history, a_day_whose_bulk_comes_after_its_first_rows_is_one_chunk)
{
	struct place p;
	new_place(&p, NULL);
	uint32_t noise = 1;
	for (int i = 0; i <= 40; i++)
		for (uint32_t point = 0; point < MANY; point++) {
			noise = noise * 1664525u + 1013904223u;
			append(&p, point, START + i * 60000, 0, (double)(noise >> 8));
			if (i == 0 && point == MANY - 1) { /* the first minute is merged with the day before */
				flush(&p);
				merge(&p);
			}
		}
	flush(&p);
	merge(&p);
	for (uint32_t point = 0; point < MANY; point += 37)
		cr_assert_eq(query(&p, point, START, START + DAY).count, 41);
	close_place(&p);
	char path[128];
	(void)snprintf(path, sizeof path, "%s/history.db", p.history_dir);
	sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;
	cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, "SELECT (SELECT count(*) FROM chunk), (SELECT count(*) FROM slice)", -1, &stmt, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
	cr_assert(sqlite3_column_int(stmt, 0) == (int)MANY && sqlite3_column_int(stmt, 1) == 0);
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	open_place(&p, NULL);
	remove_place(&p);
}

Test(history, a_database_of_the_format_without_slices_is_taken_over)
{
	struct place p;
	new_place(&p, NULL);
	append_many(&p, START, 10, 10);
	close_place(&p);
	char path[128];
	(void)snprintf(path, sizeof path, "%s/history.db", p.history_dir);
	sqlite3 *db = NULL;
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, "DROP TABLE slice; DROP TABLE month_chunk; DROP TABLE months; DROP TABLE month_rest; UPDATE meta SET value = 1 WHERE key = 'format'", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
	open_place(&p, NULL);
	expect_rows(&p, START, 10);
	append_many(&p, START + 10 * 60000, 10, 10);
	expect_rows(&p, START, 20);
	remove_place(&p);
}

static void wait_merged(struct place *p, uint64_t merges)
{
	struct hd_history_status status;
	struct timespec nap = {0, 20000000};
	for (int i = 0; i < 1500; i++) {
		hd_history_status(p->history, &status);
		if (status.merges >= merges)
			return;
		(void)nanosleep(&nap, NULL);
	}
	cr_assert_fail("merged %u times", (unsigned)status.merges);
}

Test(history, an_open_day_is_merged_only_once_so_much_is_pending)
{
	struct place p;
	struct hydro_error err = {0};
	struct hd_history_status status;
	new_place(&p, NULL);
	hd_history_close(&p.history);
	struct hd_history_config hc = {.dir = p.history_dir, .journal = p.journal, .merge_pending = 8 * HD_JOURNAL_SEGMENT_BYTES_MIN};
	cr_assert_eq(hd_history_open(&hc, &p.history, &err), HYDRO_OK, "%s", err.text);
	int64_t today = hd_clock_wall_ms() / DAY * DAY;
	append_many(&p, today, 25, 1000);
	cr_assert_eq(hd_journal_roll(p.journal, 10000, &err), HYDRO_OK);
	hd_history_status(p.history, &status);
	cr_assert(status.merges == 0 && status.segments_waiting > 4 && status.bytes_waiting < hc.merge_pending, "%u merges, %u segments", (unsigned)status.merges,
		  (unsigned)status.segments_waiting);
	expect_rows(&p, today, 25);
	append_many(&p, today + 25 * 60000, 25, 1000);
	wait_merged(&p, 1);
	hd_history_status(p.history, &status);
	cr_assert(status.merged_samples > 25 * MANY && status.bytes_waiting < hc.merge_pending);
	expect_rows(&p, today, 50);
	remove_place(&p);
}
