/* SPDX-License-Identifier: MIT */
/* Closed months: whatever is merged, late, revised, damaged or cut short, queries give what was stored. */
#include "check.h"
#include "world.h"

#include "base/timefmt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

Test(months, rows_are_the_same_before_and_after_and_day_chunks_are_gone)
{
	struct world w;
	world_begin(&w, NULL, 0);
	world_fill(&w, JANUARY, APRIL);
	world_stored(&w);
	merge(&w.place);
	world_check_all(&w, 20);
	int64_t days = world_number(&w.place, "SELECT count(*) FROM chunk");
	cr_assert_eq(world_number(&w.place, "SELECT count(*) FROM months WHERE next = 0"), 3);
	cr_assert_eq(merge_months(&w.place, FEBRUARY + 3 * DAY - 1), 1, "January is not over long enough");
	cr_assert_eq(world_number(&w.place, "SELECT count(*) FROM month_chunk"), 0);
	/* Written on 2026-… of a clock that is of no concern: only what comes late counts by it. */
	merge_months(&w.place, LATER);
	world_check_all(&w, 60);
	cr_assert_eq(world_number(&w.place, "SELECT count(*) FROM month_chunk"), 3 * (WORLD_POINTS - 1), "all points but the dense one");
	cr_assert_eq(world_number(&w.place, "SELECT count(DISTINCT key >> 8 & 0xffffff) FROM chunk"), 1);
	cr_assert_lt(world_number(&w.place, "SELECT count(*) FROM chunk"), days);
	cr_assert_eq(world_number(&w.place, "SELECT count(*) FROM months WHERE touched IS NOT NULL"), 0);
	struct hd_history_status status;
	hd_history_status(w.place.history, &status);
	cr_assert(status.months_waiting == 0 && status.month_chunks == 3 * (WORLD_POINTS - 1) && status.month_points_by_days == 3 && status.month_ms == 0);
	close_place(&w.place);
	open_place(&w.place, NULL);
	world_check_all(&w, 10);
	world_end(&w);
}

Test(months, each_step_is_bounded_and_leaves_all_rows_in_sight)
{
	struct world w;
	world_begin(&w, NULL, 1); /* a point a step */
	world_fill(&w, JANUARY + 20 * DAY, FEBRUARY + 10 * DAY);
	world_stored(&w);
	merge(&w.place);
	struct hydro_error err = {0};
	uint32_t steps = 0;
	for (bool more = true; more; steps++) {
		cr_assert_eq(hd_history_merge_months(w.place.history, LATER, &more, &err), HYDRO_OK, "%s", err.text);
		struct hd_history_status status;
		hd_history_status(w.place.history, &status);
		cr_assert(!more == (status.months_waiting == 0));
		if (steps % 3 == 1) { /* what comes between two steps, to points that are done and such that are not */
			for (size_t i = 0; i < WORLD_POINTS; i++)
				world_store(&w, world_points[i], JANUARY + 25 * DAY + (int64_t)steps * HOUR + 7, (uint16_t)world_next(&w, 3));
			world_stored(&w);
			merge(&w.place);
		}
		if (steps % 4 == 3) {
			close_place(&w.place);
			open_place(&w.place, NULL);
		}
		if (steps % 2)
			world_check_all(&w, 1);
	}
	cr_assert_geq(steps, 10u);
	world_end(&w);
}

Test(months, late_data_lies_beside_a_merged_month_until_it_is_more_than_a_tenth)
{
	struct world w;
	world_begin(&w, NULL, 0);
	for (int i = 0; i < 31 * 24; i++)
		for (uint32_t point = 0; point < 4; point++)
			world_store(&w, point, JANUARY + i * HOUR, 0);
	world_stored(&w);
	merge(&w.place);
	merge_months(&w.place, LATER);
	cr_assert_eq(world_number(&w.place, "SELECT count(*) FROM chunk"), 0);
	for (int i = 0; i < 74; i++)
		world_store(&w, 1, JANUARY + 3 * DAY + i * HOUR, 1); /* revisions: a tenth, not more */
	for (int i = 0; i < 75; i++)
		world_store(&w, 2, JANUARY + 3 * DAY + i * MINUTE + 1, 0);
	world_store(&w, 50, JANUARY + 9 * DAY, 0); /* a point that the month did not know */
	world_stored(&w);
	world_check_all(&w, 10);
	merge(&w.place);
	world_check_all(&w, 10);
	cr_assert_eq(world_number(&w.place, "SELECT count(*) FROM month_rest"), 3);
	cr_assert_eq(world_number(&w.place, "SELECT days FROM month_rest WHERE key & 0xffffff = 2"), 1 << 3, "the 4th");
	cr_assert_eq(merge_months(&w.place, hd_days_from_civil(2026, 2, 3) * DAY), 1, "what came late waits as long as a month does");
	cr_assert_eq(world_number(&w.place, "SELECT count(*) FROM month_rest"), 3);
	merge_months(&w.place, LATER);
	cr_assert_eq(world_number(&w.place, "SELECT count(*) FROM month_rest"), 1);
	cr_assert_eq(world_number(&w.place, "SELECT key & 0xffffff FROM month_rest"), 1);
	world_check_all(&w, 10);
	world_check_query(&w, &(struct hd_history_query){.point = 50, .from_ms = JANUARY, .to_ms = APRIL});
	world_store(&w, 1, JANUARY + 20 * DAY, 2);
	world_store(&w, 2, JANUARY + 3 * DAY, 5);
	world_stored(&w);
	merge(&w.place);
	merge_months(&w.place, LATER);
	cr_assert_eq(world_number(&w.place, "SELECT key & 0xffffff FROM month_rest"), 2, "75 of 744 are more than a tenth, 1 of 819 is not");
	world_check_all(&w, 10);
	/* So much that a month chunk cannot hold it: it stays beside. */
	for (int i = 0; i < 9000; i++)
		world_store(&w, 3, JANUARY + i * 5 * MINUTE % (31 * DAY) + 3, 0);
	world_stored(&w);
	merge(&w.place);
	merge_months(&w.place, LATER);
	cr_assert_eq(world_number(&w.place, "SELECT base FROM month_rest WHERE key & 0xffffff = 3"), -1);
	world_check_all(&w, 20);
	world_end(&w);
}

static void any_order(struct world *w, const struct hd_key *seal)
{
	bool slices = false;
	for (int round = 0; round < 14; round++) {
		uint32_t dice = world_next(w, 4);
		int64_t from = JANUARY + world_next(w, 85) * DAY;
		if (dice == 0)
			world_fill(w, from, from + world_next(w, 12) * DAY);
		for (uint32_t n = world_next(w, dice == 1 ? 3000 : 100); n > 0; n--) { /* anything late, and revisions of what there is */
			const struct row known = w->count ? w->rows[world_next(w, w->count)] : (struct row){.ts = from};
			if (world_next(w, 2) && w->count)
				world_store(w, known.point, known.ts, (uint16_t)(known.rev + world_next(w, 2)));
			else
				world_store(w, world_points[world_next(w, WORLD_POINTS)], JANUARY - DAY + world_next(w, 92 * 1440) * MINUTE, 0);
		}
		world_stored(w);
		if (world_next(w, 4))
			merge(&w->place);
		slices |= world_number(&w->place, "SELECT EXISTS (SELECT 1 FROM slice)");
		struct hydro_error err = {0};
		bool more = true;
		for (uint32_t steps = world_next(w, 12); steps > 0 && more; steps--)
			cr_assert_eq(hd_history_merge_months(w->place.history, LATER, &more, &err), HYDRO_OK, "%s", err.text);
		if (world_next(w, 3) == 0) {
			close_place(&w->place);
			w->place.month_step_bytes = 1u << world_next(w, 23);
			open_place(&w->place, seal);
		}
		world_check_all(w, 6);
	}
	merge(&w->place);
	merge_months(&w->place, LATER);
	world_check_all(w, 20);
	cr_assert(slices, "no slice came up");
}

Test(months, random_data_in_any_order_reads_as_it_was_stored)
{
	struct hd_key key = {.id = 7, .bytes = {1, 2, 3}};
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct world w;
		const struct hd_key *seal = seed % 2 ? NULL : &key;
		world_begin(&w, seal, 3000);
		w.seed = seed * 977;
		any_order(&w, seal);
		cr_assert_eq(w.place.damaged, 0);
		world_end(&w);
	}
}

Test(months, rows_at_the_edges_belong_to_their_month)
{
	static const int64_t edges[] = {951782400000, 951868799999, 951868800000, /* 29 February 2000 */
					JANUARY - 1, JANUARY, FEBRUARY - 1, FEBRUARY, MARCH - 1, MARCH, HD_TS_MIN_MS, HD_TS_MAX_MS};
	struct world w;
	world_begin(&w, NULL, 0);
	for (size_t i = 0; i < HD_ARRAY_LEN(edges); i++)
		world_store(&w, 1, edges[i], 0);
	world_stored(&w);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < HD_ARRAY_LEN(edges); i++)
			for (int64_t from = -1; from <= 0; from++)
				world_check_query(&w, &(struct hd_history_query){.point = 1, .from_ms = edges[i] + from, .to_ms = edges[i] + 1, .descending = i % 2});
		world_check_query(&w, &(struct hd_history_query){.point = 1, .from_ms = INT64_MIN, .to_ms = INT64_MAX, .descending = round % 2});
		if (round == 0)
			merge(&w.place);
		else
			merge_months(&w.place, INT64_C(1) << 50);
	}
	cr_assert_eq(world_number(&w.place, "SELECT count(*) FROM month_chunk"), 8);
	cr_assert_eq(world_number(&w.place, "SELECT count(*) FROM chunk"), 0);
	world_end(&w);
}

static int ignore(void *arg, const struct hd_sample *sample)
{
	(void)sample;
	++*(uint32_t *)arg;
	return HYDRO_OK;
}

static int query_fails(struct world *w, uint32_t point, int64_t from, int64_t to, struct hydro_error *err)
{
	uint32_t rows = 0;
	*err = (struct hydro_error){0};
	return hd_history_query(w->place.history, &(struct hd_history_query){.point = point, .from_ms = from, .to_ms = to}, ignore, &rows, err);
}

static int no_aggregate(void *arg, const struct hd_aggregate *a)
{
	(void)arg;
	(void)a;
	return HYDRO_OK;
}

Test(months, a_damaged_month_is_named_and_harms_no_other)
{
	struct hd_key key = {.id = 7, .bytes = {4}};
	for (int sealed = 0; sealed < 2; sealed++) {
		struct world w;
		struct hydro_error err = {0};
		world_begin(&w, sealed ? &key : NULL, 0);
		world_fill(&w, JANUARY, MARCH);
		world_stored(&w);
		merge(&w.place);
		merge_months(&w.place, LATER);
		/* Point 3, January 2026: month 672. Cut short, then with another's content. */
		(void)world_number(&w.place, "UPDATE month_chunk SET data = substr(data, 1, length(data) - 3) WHERE key = (672 << 24) + 3");
		cr_assert_eq(query_fails(&w, 3, JANUARY, APRIL, &err), HYDRO_E_CORRUPT, "%s", err.text);
		cr_assert_not_null(strstr(err.text, "point 3, month 2026-01"), "%s", err.text);
		cr_assert_eq(query_fails(&w, 3, FEBRUARY, APRIL, &err), HYDRO_OK);
		world_check_query(&w, &(struct hd_history_query){.point = 0, .from_ms = JANUARY, .to_ms = APRIL});
		(void)world_number(&w.place, "UPDATE month_chunk SET data = (SELECT data FROM month_chunk WHERE key = (673 << 24) + 3) WHERE key = (672 << 24) + 3");
		cr_assert_eq(query_fails(&w, 3, JANUARY, APRIL, &err), HYDRO_E_CORRUPT, "%s", err.text);
		cr_assert_not_null(strstr(err.text, sealed ? "its seal" : "another month"), "%s", err.text);
		/* What comes late is kept beside it, merging goes on, and no aggregate is made up of half of the rows. */
		for (int i = 0; i < 300; i++) {
			world_store(&w, 3, JANUARY + 5 * DAY + i * MINUTE + 1, 0);
			world_store(&w, 0, JANUARY + 5 * DAY + i * MINUTE + 1, 0);
		}
		world_stored(&w);
		merge(&w.place);
		cr_assert_eq(w.place.damaged, 1);
		merge_months(&w.place, LATER);
		cr_assert_eq(query_fails(&w, 3, JANUARY, APRIL, &err), HYDRO_E_CORRUPT, "%s", err.text);
		struct hd_history_aggregate_query a = {.point = 3, .period = HD_PERIOD_HOUR, .from_ms = JANUARY + 5 * DAY, .to_ms = JANUARY + 6 * DAY};
		cr_assert_eq(hd_history_aggregates(w.place.history, &a, no_aggregate, NULL, &err), HYDRO_E_CORRUPT, "%s", err.text);
		world_check_query(&w, &(struct hd_history_query){.point = 0, .from_ms = JANUARY, .to_ms = APRIL, .all_revs = true});
		world_check_query(&w, &(struct hd_history_query){.point = 3, .from_ms = FEBRUARY, .to_ms = APRIL, .all_revs = true});
		world_end(&w);
	}
}

Test(months, a_damaged_day_keeps_its_point_by_days_and_the_rest_is_merged)
{
	struct world w;
	struct hydro_error err = {0};
	world_begin(&w, NULL, 0);
	world_fill(&w, JANUARY, FEBRUARY);
	world_stored(&w);
	merge(&w.place);
	/* The 3rd of January 2026 is day 20456. */
	(void)world_number(&w.place, "UPDATE chunk SET data = x'00ff' WHERE key = (20456 << 32) + (3 << 8)");
	merge_months(&w.place, LATER);
	cr_assert_eq(w.place.damaged, 1);
	cr_assert_eq(world_number(&w.place, "SELECT count(*) FROM month_chunk"), WORLD_POINTS - 2);
	cr_assert_eq(world_number(&w.place, "SELECT count(*) FROM chunk WHERE key >> 8 & 0xffffff = 3"), 31);
	cr_assert_eq(query_fails(&w, 3, JANUARY, APRIL, &err), HYDRO_E_CORRUPT, "%s", err.text);
	cr_assert_not_null(strstr(err.text, "point 3, day 20456"), "%s", err.text);
	cr_assert_eq(query_fails(&w, 3, JANUARY + 3 * DAY, APRIL, &err), HYDRO_OK);
	for (size_t i = 0; i < WORLD_POINTS; i++)
		if (world_points[i] != 3)
			world_check_query(&w, &(struct hd_history_query){.point = world_points[i], .from_ms = JANUARY, .to_ms = APRIL, .all_revs = true});
	cr_assert_eq(merge_months(&w.place, LATER), 1, "it is not tried again and again");
	world_end(&w);
}

Test(months, what_comes_late_to_a_damaged_day_is_kept_beside_it_and_merging_goes_on)
{
	struct hd_key key = {.id = 7, .bytes = {4}};
	for (int sealed = 0; sealed < 2; sealed++) {
		struct world w;
		struct hydro_error err = {0};
		world_begin(&w, sealed ? &key : NULL, 0);
		world_fill(&w, JANUARY, FEBRUARY);
		world_stored(&w);
		merge(&w.place);
		(void)world_number(&w.place, "UPDATE chunk SET data = substr(data, 1, length(data) - 3) WHERE key = (20456 << 32) + (3 << 8)");
		for (int round = 1; round <= 2; round++) {
			/* With aggregates at stake: more than two readings an hour. */
			for (int i = 0; i < 300; i++) {
				world_store(&w, 3, JANUARY + 2 * DAY + i * MINUTE + round, 0);
				world_store(&w, 0, JANUARY + 2 * DAY + i * MINUTE + round, 0);
			}
			world_stored(&w);
			merge(&w.place);
			cr_assert_eq(w.place.damaged, round, "told each time");
			cr_assert_eq(world_number(&w.place, "SELECT count(*) FROM slice WHERE key >> 8 & 0xffffff = 3 AND key >> 42 = 20456"), round);
			cr_assert_eq(query_fails(&w, 3, JANUARY + 2 * DAY, JANUARY + 3 * DAY, &err), HYDRO_E_CORRUPT, "%s", err.text);
			cr_assert_not_null(strstr(err.text, "point 3, day 20456"), "%s", err.text);
			struct hd_history_aggregate_query a = {.point = 3, .period = HD_PERIOD_HOUR, .from_ms = JANUARY + 2 * DAY, .to_ms = JANUARY + 3 * DAY};
			cr_assert_eq(hd_history_aggregates(w.place.history, &a, no_aggregate, NULL, &err), HYDRO_E_CORRUPT, "%s", err.text);
			world_check_query(&w, &(struct hd_history_query){.point = 0, .from_ms = JANUARY, .to_ms = APRIL, .all_revs = true});
			world_check_query(&w, &(struct hd_history_query){.point = 3, .from_ms = JANUARY + 3 * DAY, .to_ms = APRIL, .all_revs = true});
		}
		world_end(&w);
	}
}

Test(months, a_folder_from_before_months_is_read_and_merged_and_a_newer_one_refused)
{
	struct world w;
	struct hydro_error err = {0};
	world_begin(&w, NULL, 0);
	world_fill(&w, JANUARY + 10 * DAY, APRIL);
	world_store(&w, 1, HD_TS_MIN_MS, 0);
	world_stored(&w);
	merge(&w.place);
	close_place(&w.place);
	for (int round = 0; round < 2; round++) {
		static const char *const back[] = {"DROP TABLE month_chunk", "DROP TABLE months", "DROP TABLE month_rest",
							"UPDATE meta SET value = 2 WHERE key = 'format'", "UPDATE meta SET value = 1 WHERE key = 'format'", "DROP TABLE slice"};
		for (size_t i = 0; i < (round ? HD_ARRAY_LEN(back) : 4u); i++)
			(void)world_number(&w.place, back[i]);
		open_place(&w.place, NULL);
		cr_assert_eq(world_number(&w.place, "SELECT count(*) FROM months WHERE next = 0"), 4);
		cr_assert_eq(world_number(&w.place, "SELECT value FROM meta WHERE key = 'format'"), 3);
		world_check_all(&w, 5);
		if (round == 0)
			close_place(&w.place);
	}
	merge_months(&w.place, LATER);
	cr_assert_geq(world_number(&w.place, "SELECT count(*) FROM month_chunk"), 14);
	world_check_all(&w, 10);
	hd_history_close(&w.place.history);
	(void)world_number(&w.place, "UPDATE meta SET value = 4 WHERE key = 'format'");
	struct hd_history_config hc = {.dir = w.place.history_dir, .journal = w.place.journal, .manual = true};
	struct hd_history *newer = NULL;
	cr_assert_eq(hd_history_open(&hc, &newer, &err), HYDRO_E_UNSUPPORTED, "%s", err.text);
	world_end(&w);
}

/* Merges months of a copy of nothing but the folder, until it is killed. */
static void merge_until_killed(struct world *w)
{
	struct hydro_error err = {0};
	open_place(&w->place, NULL);
	for (bool more = true; more;)
		if (hd_history_merge_months(w->place.history, LATER, &more, &err) != HYDRO_OK)
			_exit(3);
	_exit(0);
}

Test(months, killed_at_any_moment_of_merging_it_goes_on_and_nothing_is_lost_or_doubled)
{
	struct world w;
	world_begin(&w, NULL, 1);
	world_fill(&w, JANUARY, APRIL);
	world_stored(&w);
	merge(&w.place);
	merge_months(&w.place, JANUARY); /* nothing is due */
	close_place(&w.place);
	int killed = 0;
	for (int round = 0; round < 200; round++) {
		pid_t child = fork();
		cr_assert_geq(child, 0);
		if (child == 0)
			merge_until_killed(&w);
		(void)usleep(500 + world_next(&w, 6000));
		(void)kill(child, SIGKILL);
		int status;
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_assert(!WIFEXITED(status) || WEXITSTATUS(status) == 0);
		killed += WIFSIGNALED(status);
		if (round % 20 == 0) {
			open_place(&w.place, NULL);
			world_check_all(&w, 2);
			close_place(&w.place);
		}
	}
	cr_assert_gt(killed, 3);
	open_place(&w.place, NULL);
	merge_months(&w.place, LATER);
	cr_assert_eq(world_number(&w.place, "SELECT count(*) FROM month_chunk"), 3 * (WORLD_POINTS - 1));
	world_check_all(&w, 10);
	world_end(&w);
}

struct asker {
	struct hd_history *history;
	uint32_t rows; /* of point 0 */
	atomic_bool stop;
	atomic_uint asked, wrong;
};

static void *ask(void *arg)
{
	struct asker *asker = arg;
	for (bool descending = false; !atomic_load(&asker->stop); descending = !descending) {
		struct hd_history_query q = {.point = 0, .from_ms = JANUARY, .to_ms = APRIL, .descending = descending};
		uint32_t rows = 0;
		if (hd_history_query(asker->history, &q, ignore, &rows, NULL) != HYDRO_OK || rows != asker->rows)
			atomic_fetch_add(&asker->wrong, 1);
		atomic_fetch_add(&asker->asked, 1);
	}
	return NULL;
}

Test(months, queries_meanwhile_see_each_row_once)
{
	struct world w;
	world_begin(&w, NULL, 1);
	world_fill(&w, JANUARY, APRIL);
	world_stored(&w);
	merge(&w.place);
	struct asker asker = {.history = w.place.history, .rows = 90 * 24};
	pthread_t threads[2];
	for (size_t i = 0; i < HD_ARRAY_LEN(threads); i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, ask, &asker), 0);
	cr_assert_geq(merge_months(&w.place, LATER), 3 * (WORLD_POINTS - 1));
	while (atomic_load(&asker.asked) < 10)
		(void)usleep(1000);
	atomic_store(&asker.stop, true);
	for (size_t i = 0; i < HD_ARRAY_LEN(threads); i++)
		cr_assert_eq(pthread_join(threads[i], NULL), 0);
	cr_assert_eq(atomic_load(&asker.wrong), 0, "%u of %u", atomic_load(&asker.wrong), atomic_load(&asker.asked));
	world_end(&w);
}
