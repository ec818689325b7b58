/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/clock.h"
#include "collect/fake.h"

#include <stdio.h>
#include <string.h>

#define HOUR_MS INT64_C(3600000)

Test(history, an_outage_of_six_hours_is_filled_with_the_loggers_own_times)
{
	struct fake *f = fake_new();
	for (int i = 0; i < 6; i++)
		fake_point(f, 300, 0);
	fake_open(f);
	fake_run(f, 600000, 1000);
	uint64_t rows = f->rows[3];
	f->down = true;
	fake_run(f, 6 * HOUR_MS, 5000);
	cr_assert_eq(f->rows[3], rows, "nothing is invented");
	f->down = false;
	fake_run(f, 1200000, 5000);
	int64_t newest = fake_now() / f->reading_ms * f->reading_ms;
	for (uint32_t i = 0; i < 6; i++) {
		cr_assert_geq(f->newest_ms[i], newest - 300000);
		cr_assert_geq(f->rows[i] - rows, 6 * 60 + 10, "point %u has %u", i, (unsigned)f->rows[i]);
	}
	cr_assert_gt(fake_counters(f).gaps, 0);
	fake_free(f);
}

Test(history, a_long_gap_is_filled_slice_by_slice_oldest_first)
{
	struct fake *f = fake_new();
	uint32_t p = fake_point(f, 300, 0), other = fake_point(f, 300, 0);
	f->newest_ms[p] -= 30 * HOUR_MS;
	int64_t gap_from = f->newest_ms[p];
	fake_open(f);
	fake_run(f, 310000, 1000);
	cr_assert_eq(f->rows[p], (uint64_t)((f->newest_ms[p] - gap_from) / f->reading_ms), "no row is missing, none comes twice");
	int64_t last = gap_from;
	uint32_t slices = 0;
	for (uint32_t i = 0; i < f->feed_count; i++) {
		if (f->feeds[i].point != p)
			continue;
		cr_assert_eq(f->feeds[i].first_ms, last + f->reading_ms, "in order, without holes");
		cr_assert(f->feeds[i].sorted);
		last = f->feeds[i].last_ms;
		slices += f->feeds[i].mode == HD_COLLECT_BACKFILL;
	}
	cr_assert_geq(slices, 5);
	cr_assert_eq(fake_counters(f).slices, 5);
	cr_assert_eq(f->holds, 1);
	cr_assert_eq(f->releases, 1);
	cr_assert_geq(f->newest_ms[other], fake_now() - 360000);
	fake_free(f);
}

Test(history, gaps_take_no_more_than_their_share_of_an_account)
{
	struct fake *f = fake_new();
	for (uint32_t i = 0; i < 16; i++)
		f->newest_ms[fake_point(f, 300, 0)] -= i < 8 ? 30 * HOUR_MS : 0;
	f->provider.concurrency = 8;
	fake_open(f);
	f->hold_replies = true;
	fake_run(f, 300000, 1000);
	uint32_t backfills = 0, live = 0;
	for (uint32_t i = 0; i < f->request_count; i++) {
		bool gap = f->requests[i].to_ms - f->requests[i].from_ms > HOUR_MS;
		backfills += gap;
		live += !gap;
	}
	cr_assert_eq(backfills, 2, "%u", backfills);
	cr_assert_eq(live, 6);
	f->hold_replies = false;
	fake_run(f, 600000, 1000);
	for (uint32_t i = 0; i < 16; i++)
		cr_assert_geq(f->newest_ms[i], fake_now() - 360000);
	fake_free(f);
}

Test(history, a_slice_that_fails_is_asked_again_before_newer_ones)
{
	struct fake *f = fake_new();
	uint32_t p = fake_point(f, 300, 0);
	f->newest_ms[p] -= 30 * HOUR_MS;
	int64_t gap_from = f->newest_ms[p];
	fake_open(f);
	f->hold_replies = true;
	while (f->request_count == 0)
		fake_run(f, 1000, 1000);
	f->down = true;
	f->hold_replies = false;
	fake_pump(f);
	cr_assert_eq(f->feed_count, 0);
	f->down = false;
	fake_run(f, 600000, 1000);
	cr_assert_eq(f->feeds[0].first_ms, gap_from + f->reading_ms);
	cr_assert_eq(f->rows[p], (uint64_t)((f->newest_ms[p] - gap_from) / f->reading_ms));
	cr_assert_eq(f->holds, f->releases);
	fake_free(f);
}

Test(history, a_silent_logger_is_asked_in_one_request_and_its_late_data_is_taken)
{
	struct fake *f = fake_new();
	uint32_t p = fake_point(f, 300, 0);
	int64_t last = f->newest_ms[p];
	f->silent_from_ms = last + 1;
	f->silent_to_ms = INT64_MAX;
	fake_open(f);
	fake_run(f, 20 * HOUR_MS, 10000);
	cr_assert_eq(f->feed_count, 0);
	uint32_t before = f->request_count;
	fake_run(f, 300000, 10000);
	cr_assert_eq(fake_polls(f, before), 1, "no slices for what is known to be silent");
	cr_assert_eq(f->requests[before].from_ms, last + 1);
	/* Its buffer arrives. */
	f->silent_to_ms = 0;
	fake_run(f, 300000, 10000);
	cr_assert_eq(f->feeds[0].first_ms, last + f->reading_ms);
	cr_assert_eq(f->rows[p], (uint64_t)((f->newest_ms[p] - last) / f->reading_ms));
	fake_free(f);
}

Test(history, a_point_without_readings_begins_at_its_start)
{
	struct fake *f = fake_new();
	uint32_t p = fake_point(f, 300, 0);
	f->newest_ms[p] = 0;
	fake_open(f);
	int64_t opened = fake_now();
	fake_run(f, 300000, 1000);
	cr_assert_geq(f->requests[0].from_ms, opened - HOUR_MS);
	cr_assert_leq(f->requests[0].from_ms, fake_now() - HOUR_MS);
	cr_assert_eq(f->requests[0].mode, HYDRO_POLL_HISTORY);
	fake_free(f);
}

Test(history, a_little_of_the_past_is_asked_again_now_and_then)
{
	struct fake *f = fake_new();
	f->config.overlap_ms = 600000;
	fake_point(f, 60, 0);
	fake_open(f);
	fake_run(f, HOUR_MS, 1000);
	uint32_t deep = 0;
	for (uint32_t i = 1; i < f->request_count; i++)
		deep += f->requests[i].to_ms - f->requests[i].from_ms >= 600000;
	cr_assert(deep >= 5 && deep <= 7, "%u", deep);
	cr_assert(f->request_count >= 59);
	fake_free(f);
}

Test(history, after_a_crash_the_first_poll_looks_back)
{
	for (int crashed = 0; crashed < 2; crashed++) {
		struct fake *f = fake_new();
		f->config.overlap_ms = 600000;
		f->config.overlap_every_ms = 100 * HOUR_MS;
		f->config.after_crash = crashed;
		uint32_t p = fake_point(f, 60, 0);
		int64_t newest = f->newest_ms[p] = fake_now() - 60000;
		fake_open(f);
		fake_run(f, 60000, 1000);
		cr_assert_eq(f->requests[0].from_ms, newest + 1 - (crashed ? 600000 : 0));
		fake_free(f);
	}
}

Test(history, a_logger_ahead_of_the_clock_is_asked_for_its_latest)
{
	struct fake *f = fake_new();
	uint32_t p = fake_point(f, 60, 0);
	f->newest_ms[p] = fake_now() + HOUR_MS;
	fake_open(f);
	fake_run(f, 60000, 1000);
	cr_assert_eq(f->requests[0].mode, HYDRO_POLL_LATEST);
	fake_free(f);
}

Test(history, a_window_ends_ahead_of_now_to_see_a_wrong_clock_while_it_is_wrong)
{
	struct fake *f = fake_new();
	f->config.ahead_ms = 0; /* the default */
	uint32_t p = fake_point(f, 60, 0);
	f->newest_ms[p] = fake_now() - 60000;
	fake_open(f);
	fake_run(f, 300000, 1000);
	for (uint32_t i = 0; i < f->request_count; i++) {
		cr_assert_eq(f->requests[i].mode, HYDRO_POLL_HISTORY);
		cr_assert_eq(f->requests[i].to_ms, f->requests[i].at_ms + HD_COLLECT_AHEAD_MS);
	}
	cr_assert_eq(fake_counters(f).gaps, 0u, "a window that ends ahead is no gap");
	fake_free(f);
}

static int64_t part_back_ms; /* part 1 fails until then */

static void serve_part_back_later(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	if (q->part == 1 && fake_now() < part_back_ms)
		reply->status = 503;
	else
		fake_serve_series(f, q, reply);
}

Test(history, a_part_that_is_asked_late_does_not_pass_what_the_others_were_asked_for)
{
	struct fake *f = fake_new();
	f->config.ahead_ms = 0; /* the default */
	f->parts = 2;
	f->reading_ms = 10000;
	f->serve = serve_part_back_later;
	uint32_t p = fake_point(f, 300, 0);
	f->newest_ms[p] = fake_now() - 60000;
	fake_open(f);
	part_back_ms = INT64_MAX;
	for (int i = 0; i < 300 && f->request_count < 2; i++)
		fake_run(f, 1000, 1000);
	int64_t asked = f->requests[0].at_ms;
	part_back_ms = asked + 60000;
	fake_run(f, 200000, 1000);
	cr_assert_geq(f->feed_count, 1u);
	cr_assert_leq(f->feeds[0].last_ms, asked, "the part that came back a minute later shows readings of that minute");
	cr_assert_gt(f->feeds[0].last_ms, asked - f->reading_ms);
	fake_free(f);
}

static void serve_ahead(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	(void)f;
	reply->status = 200;
	(void)snprintf(reply->body, sizeof reply->body, "r %lld 1 1\nr %lld 2 1\nr %lld 3 1\n", (long long)fake_now() - 1000, (long long)fake_now() + 60000,
		       (long long)fake_now() + HOUR_MS);
	cr_assert_eq(q->mode, HYDRO_POLL_HISTORY);
}

Test(history, what_is_far_ahead_is_fed_at_once_and_what_is_a_little_ahead_in_its_time)
{
	struct fake *f = fake_new();
	f->config.ahead_ms = 0; /* the default */
	f->serve = serve_ahead;
	uint32_t p = fake_point(f, 300, 0);
	f->newest_ms[p] = fake_now() - 60000;
	fake_open(f);
	for (int i = 0; i < 300 && !f->feed_count; i++)
		fake_run(f, 1000, 1000);
	cr_assert_eq(f->feeds[0].count, 2u);
	cr_assert_eq(f->feeds[0].last_ms - f->feeds[0].first_ms, HOUR_MS + 1000);
	fake_free(f);
}

Test(history, an_instance_that_says_it_has_no_history_is_asked_for_its_latest)
{
	struct fake *f = fake_new();
	f->latest_only = true;
	uint32_t p = fake_point(f, 60, 0);
	fake_open(f);
	fake_run(f, 300000, 1000);
	/* A gap of a day, which would be filled in slices: it stays a gap. */
	f->newest_ms[p] = fake_now() - 24 * HOUR_MS;
	fake_run(f, 300000, 1000);
	cr_assert(f->request_count >= 9);
	for (uint32_t i = 0; i < f->request_count; i++) {
		cr_assert_eq(f->requests[i].mode, HYDRO_POLL_LATEST);
		cr_assert_eq(f->requests[i].from_ms, 0);
	}
	cr_assert_eq(fake_counters(f).polls_failed, 0u);
	cr_assert_geq(f->newest_ms[p], fake_now() - 2 * f->reading_ms);
	fake_free(f);
}

Test(history, an_instance_without_history_and_a_long_gap_is_polled_too)
{
	struct fake *f = fake_new();
	f->latest_only = true;
	uint32_t p = fake_point(f, 60, 0);
	f->newest_ms[p] = fake_now() - 24 * HOUR_MS;
	fake_open(f);
	fake_run(f, 300000, 1000);
	cr_assert(f->request_count >= 4);
	cr_assert_eq(f->requests[0].mode, HYDRO_POLL_LATEST);
	cr_assert_geq(f->newest_ms[p], fake_now() - 2 * f->reading_ms);
	cr_assert_eq(f->holds, f->releases);
	fake_free(f);
}

Test(history, once_a_day_the_last_day_is_asked_again_at_each_points_own_time)
{
	struct fake *f = fake_new();
	f->config.deep_ms = f->config.deep_every_ms = 24 * HOUR_MS;
	for (int i = 0; i < 4; i++)
		fake_point(f, 600, 0);
	fake_open(f);
	int64_t first = fake_now();
	/* A reading that comes hours late, when newer ones are there. */
	f->silent_from_ms = first + HOUR_MS;
	f->silent_to_ms = first + HOUR_MS + 1800000;
	fake_run(f, 5 * HOUR_MS, 10000);
	f->silent_to_ms = 0;
	uint32_t before = f->request_count;
	fake_run(f, 24 * HOUR_MS, 10000);
	uint32_t deep[4] = {0}, minute[4] = {0};
	for (uint32_t i = before; i < f->request_count; i++)
		if (f->requests[i].to_ms - f->requests[i].from_ms > 23 * HOUR_MS) {
			deep[f->requests[i].point]++;
			minute[f->requests[i].point] = (uint32_t)((f->requests[i].at_ms - first) / 60000);
			cr_assert_leq(f->requests[i].from_ms, f->silent_from_ms + 5 * HOUR_MS);
		}
	for (int i = 0; i < 4; i++)
		cr_assert(deep[i] == 1 || deep[i] == 2, "point %d: %u", i, deep[i]);
	cr_assert(minute[0] != minute[1] || minute[1] != minute[2], "not all at once");
	fake_free(f);
}

static uint32_t empty_part_until; /* requests of part 1 that get nothing */

static void serve_empty_part(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	if (q->part == 1 && empty_part_until > 0) {
		empty_part_until--;
		reply->status = 200;
		return;
	}
	fake_serve_series(f, q, reply);
}

Test(history, an_empty_part_beside_full_ones_is_asked_once_more_and_then_believed)
{
	struct fake *f = fake_new();
	f->parts = 3;
	f->serve = serve_empty_part;
	f->newest_ms[fake_point(f, 600, 0)] -= HOUR_MS;
	int64_t from = f->newest_ms[0] + 1;
	empty_part_until = 1;
	fake_open(f);
	fake_run(f, 1200000, 1000);
	cr_assert_eq(fake_polls(f, 0), 6);
	cr_assert_eq(f->requests[0].from_ms, from);
	cr_assert_leq(f->requests[4].from_ms, from, "the whole window again");
	/* It recovered: back to short windows. */
	uint32_t before = f->request_count;
	fake_run(f, 600000, 1000);
	cr_assert_gt(f->requests[before].from_ms, from + HOUR_MS / 2);
	/* A part that is dead for good is doubted once only. */
	empty_part_until = 1000;
	fake_run(f, 600000, 1000);
	uint32_t doubted = f->request_count;
	fake_run(f, 600000, 1000);
	cr_assert_leq(f->requests[doubted].from_ms, f->requests[doubted - 3].from_ms);
	for (int i = 0; i < 5; i++) {
		before = f->request_count;
		fake_run(f, 600000, 1000);
		cr_assert_eq(fake_polls(f, before), 3);
		cr_assert_geq(f->requests[before].from_ms, f->requests[before].at_ms - 2 * 600000, "%d", i);
	}
	fake_free(f);
}

static uint32_t cut_turn;

/* Two requests in five are cut. */
static void serve_cut(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	static const bool cut[] = {false, true, false, false, true};
	if (!q->login && cut[cut_turn++ % HD_ARRAY_LEN(cut)])
		reply->failure = HD_NET_CUT;
	else
		fake_serve_series(f, q, reply);
}

Test(history, a_chain_of_many_pages_comes_to_its_end_where_many_answers_are_cut)
{
	struct fake *f = fake_new();
	f->parts = 3;
	f->page_rows = 10;
	f->serve = serve_cut;
	f->newest_ms[fake_point(f, 300, 0)] -= 5 * HOUR_MS;
	int64_t from = f->newest_ms[0];
	fake_open(f);
	fake_run(f, 600000, 1000);
	cr_assert_geq(f->newest_ms[0], fake_now() - 400000, "the gap is filled, and what came since is there");
	cr_assert_eq(f->rows[0], (uint64_t)((f->newest_ms[0] - from) / f->reading_ms));
	/* 31 pages of three parts, some of them twice: not chains that begin again and again. */
	cr_assert_lt(f->request_count, 3 * 31 * 2, "%u requests", f->request_count);
	fake_free(f);
}

static bool fail_long_windows;

static void serve_short_windows(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	if (fail_long_windows && q->part > 0 && q->to_ms - q->from_ms > 20 * HOUR_MS)
		reply->failure = HD_NET_CUT;
	else
		fake_serve_series(f, q, reply);
}

Test(history, a_look_back_that_fails_makes_no_other_window_longer)
{
	struct fake *f = fake_new();
	f->parts = 2;
	f->config.deep_ms = f->config.deep_every_ms = 24 * HOUR_MS;
	f->serve = serve_short_windows;
	fake_point(f, 600, 0);
	fake_open(f);
	fail_long_windows = true;
	fake_run(f, 30 * HOUR_MS, 10000);
	uint32_t deep = 0, others = 0;
	for (uint32_t i = 0; i < f->request_count; i++) {
		if (f->requests[i].to_ms - f->requests[i].from_ms > 20 * HOUR_MS)
			deep++;
		else if (f->requests[i].mode == HYDRO_POLL_HISTORY && f->requests[i].at_ms - f->requests[i].from_ms < 3600000)
			others++;
	}
	cr_assert_gt(deep, 0);
	cr_assert_gt(others, 2 * 100, "%u short ones, %u deep ones", others, deep);
	/* It is still owed: the first one that can be answered pays it. */
	fail_long_windows = false;
	fake_run(f, HOUR_MS, 10000);
	uint32_t before = f->request_count;
	fake_run(f, HOUR_MS, 10000);
	for (uint32_t i = before; i < f->request_count; i++)
		cr_assert_lt(f->requests[i].to_ms - f->requests[i].from_ms, 20 * HOUR_MS);
	fake_free(f);
}
