/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/clock.h"
#include "collect/fake.h"

#include <stdio.h>
#include <string.h>

static void serve_failing_part(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	if (q->part == 1)
		reply->status = 500;
	else
		fake_serve_series(f, q, reply);
}

static void serve_text(struct fake_reply *reply, const char *text)
{
	reply->status = 200;
	(void)snprintf(reply->body, sizeof reply->body, "%s", text);
}

static void serve_empty(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	(void)f, (void)q;
	serve_text(reply, "");
}

static void serve_404(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	(void)f, (void)q;
	reply->status = 404;
}

static void serve_reason(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	(void)f, (void)q;
	char text[64];
	(void)snprintf(text, sizeof text, "r %lld 1 1\nfail the device is gone", (long long)fake_now());
	serve_text(reply, text);
}

static void serve_nonsense(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	(void)f, (void)q;
	serve_text(reply, "bad");
}

static void serve_large(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	(void)f, (void)q;
	reply->failure = HD_NET_TOO_LARGE;
}

static void serve_hang(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	(void)f, (void)q;
	reply->failure = HD_NET_TIMEOUT;
}

static void serve_same_page(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	(void)f, (void)q;
	serve_text(reply, "r 1767225600000 1 1\nmore again");
}

static void serve_endless(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	(void)f;
	char text[64];
	(void)snprintf(text, sizeof text, "more %d", atoi(q->continuation) + 1);
	serve_text(reply, text);
}

/* Health as one text, to look for words in. */
static const char *status_text(struct fake *f, struct hd_buf *buf)
{
	hd_buf_clear(buf);
	struct hydro_error err = {0};
	cr_assert_eq(hd_collect_status_json(f->collect, "fake", buf, &err), HYDRO_OK, "%s", err.text);
	return hd_buf_text(buf);
}

Test(poll, each_point_is_polled_once_a_period_and_the_readings_arrive)
{
	struct fake *f = fake_new();
	for (int i = 0; i < 20; i++)
		fake_point(f, 60, 0);
	fake_open(f);
	fake_run(f, 600000, 1000);
	cr_assert_eq(fake_polls(f, 0), 200);
	for (uint32_t i = 0; i < 20; i++) {
		cr_assert_geq(f->rows[i], 9, "point %u has %u rows", i, (unsigned)f->rows[i]);
		cr_assert_leq(f->rows[i], 10);
	}
	struct hd_collect_counters counters = fake_counters(f);
	cr_assert_eq(counters.polls, 200);
	cr_assert_eq(counters.polls_good, 200);
	cr_assert_eq(counters.requests, 200);
	cr_assert_eq(counters.parts_data + counters.parts_no_data, 200);
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	const char *text = status_text(f, &buf);
	cr_assert_not_null(strstr(text, "\"state\":\"ok\""), "%s", text);
	cr_assert_not_null(strstr(text, "\"reachable\":true"));
	cr_assert_not_null(strstr(text, "\"good_share\":1,"));
	cr_assert_not_null(strstr(text, "\"token\":\"not_used\""));
	fake_free(f);
}

Test(poll, the_parts_of_a_poll_are_fed_together_in_order_of_time)
{
	struct fake *f = fake_new();
	f->parts = 3;
	uint32_t p = fake_point(f, 300, 0);
	fake_open(f);
	fake_run(f, 600000, 1000);
	cr_assert_eq(fake_polls(f, 0), 6);
	cr_assert_eq(f->feed_count, 2);
	cr_assert(f->feeds[0].sorted && f->feeds[1].sorted);
	cr_assert_eq(f->feeds[1].count, 15, "five readings of three metrics");
	cr_assert_eq(f->feeds[1].point, p);
	fake_free(f);
}

Test(poll, without_history_the_latest_values_are_asked)
{
	struct fake *f = fake_new();
	f->ops.capabilities = HYDRO_PROVIDER_HTTP;
	fake_point(f, 60, 0);
	fake_open(f);
	fake_run(f, 60000, 1000);
	cr_assert_eq(f->request_count, 1);
	cr_assert_eq(f->requests[0].mode, HYDRO_POLL_LATEST);
	fake_free(f);
}

Test(poll, an_empty_answer_is_no_data_and_not_repeated)
{
	struct fake *f = fake_new();
	f->serve = serve_empty;
	fake_point(f, 60, 0);
	fake_open(f);
	fake_run(f, 60000, 1000);
	struct hd_collect_counters counters = fake_counters(f);
	cr_assert_eq(counters.parts_no_data, 1);
	cr_assert_eq(counters.polls_good, 1);
	cr_assert_eq(f->request_count, 1);
	cr_assert_eq(f->feed_count, 0);
	fake_free(f);
}

static void failing_with(void (*serve)(struct fake *, const struct fake_request *, struct fake_reply *), const char *reason, const char *state)
{
	struct fake *f = fake_new();
	f->serve = serve;
	fake_point(f, 600, 0);
	fake_open(f);
	fake_run(f, 600000, 1000);
	struct hd_collect_counters counters = fake_counters(f);
	cr_assert_eq(counters.polls_good, 0);
	cr_assert_geq(counters.polls_failed, 1);
	cr_assert_eq(counters.parts_failed, counters.polls_failed);
	cr_assert_eq(f->feed_count, 0, "a failure never becomes a value");
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	const char *text = status_text(f, &buf);
	cr_assert_not_null(strstr(text, reason), "%s not in %s", reason, text);
	cr_assert_not_null(strstr(text, state), "%s not in %s", state, text);
	fake_free(f);
}

Test(poll, failures_are_told_with_status_and_reason)
{
	failing_with(serve_404, "\"status\":404", "\"state\":\"degraded\"");
	failing_with(serve_reason, "the device is gone", "\"state\":\"degraded\"");
	failing_with(serve_nonsense, "outcome is not valid", "\"state\":\"degraded\"");
	failing_with(serve_large, "answer too large", "degraded");
	failing_with(serve_hang, "time-out", "\"state\":\"down\"");
}

Test(poll, options_and_requests_that_fail_are_failures_of_the_point)
{
	struct fake *f = fake_new();
	uint32_t a = fake_point(f, 60, 0), b = fake_point(f, 60, 0), c = fake_point(f, 60, 99);
	fake_point_set(f, a, 60, HD_POINT_ACTIVE, "invalid");
	fake_point_set(f, b, 60, HD_POINT_ACTIVE, "bad");
	(void)c;
	fake_open(f);
	fake_run(f, 70000, 1000);
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	const char *text = status_text(f, &buf);
	cr_assert_not_null(strstr(text, "option 'device' is missing"), "%s", text);
	cr_assert_not_null(strstr(text, "no such device"), "%s", text);
	cr_assert_not_null(strstr(text, "account 99: no account 99"), "%s", text);
	cr_assert_eq(f->request_count, 0);
	fake_free(f);
}

Test(poll, retries_double_within_the_period_and_ask_only_what_failed)
{
	struct fake *f = fake_new();
	f->parts = 3;
	f->serve = serve_failing_part;
	f->config.circuit_failures = 1000;
	f->newest_ms[fake_point(f, 600, 0)] -= 600000;
	fake_open(f);
	/* Up to its first poll, then one whole period. */
	while (f->request_count == 0)
		fake_run(f, 1000, 1000);
	int64_t first_ms = f->requests[0].at_ms;
	fake_run(f, 599000 - (fake_now() - first_ms), 1000);
	uint32_t retries = 0;
	int64_t last_ms = first_ms, last_wait = 0;
	for (uint32_t i = 3; i < f->request_count; i++) {
		cr_assert_eq(f->requests[i].part, 1, "the good parts are not asked again");
		int64_t wait = f->requests[i].at_ms - last_ms;
		cr_assert_geq(wait, last_wait, "waits grow");
		last_wait = wait;
		last_ms = f->requests[i].at_ms;
		retries++;
	}
	cr_assert(retries >= 5 && retries <= 8, "%u retries", retries);
	cr_assert_eq(fake_counters(f).retries, retries);
	cr_assert_eq(f->feed_count, 1, "the good parts were fed when the last retry had failed");
	/* The next poll asks again from where the failed part was left, though the others are ahead. */
	uint32_t before = f->request_count;
	fake_run(f, 10000, 1000);
	cr_assert_eq(fake_polls(f, before), 3);
	cr_assert_leq(f->requests[before].from_ms, f->requests[0].from_ms);
	/* It recovers: nothing is behind any more. */
	f->serve = NULL;
	fake_run(f, 600000, 1000);
	before = f->request_count;
	fake_run(f, 600000, 1000);
	cr_assert_eq(fake_polls(f, before), 3);
	cr_assert_geq(f->requests[before].from_ms, f->newest_ms[0] - 600000);
	fake_free(f);
}

Test(poll, parts_that_were_good_wait_for_the_others_and_are_one_feed)
{
	struct fake *f = fake_new();
	f->parts = 3;
	f->serve = serve_failing_part;
	f->newest_ms[fake_point(f, 600, 0)] -= 600000;
	fake_open(f);
	while (f->request_count == 0)
		fake_run(f, 1000, 1000);
	cr_assert_eq(f->feed_count, 0);
	f->serve = NULL;
	fake_run(f, 10000, 1000);
	cr_assert_eq(fake_polls(f, 0), 4);
	cr_assert_eq(f->feed_count, 1);
	cr_assert_eq(f->feeds[0].count % 3, 0);
	fake_free(f);
}

Test(poll, a_page_chain_is_followed_to_its_end)
{
	struct fake *f = fake_new();
	f->page_rows = 2;
	uint32_t p = fake_point(f, 600, 0);
	fake_open(f);
	fake_run(f, 1200000, 1000);
	cr_assert_eq(f->feed_count, 2);
	cr_assert_eq(f->feeds[1].count, 10);
	cr_assert_geq(fake_polls(f, 0), 6);
	cr_assert_geq(f->rows[p], 10);
	fake_free(f);
}

Test(poll, a_chain_without_progress_is_stopped)
{
	struct fake *f = fake_new();
	f->serve = serve_same_page;
	fake_point(f, 600, 0);
	fake_open(f);
	while (f->request_count == 0)
		fake_run(f, 1000, 1000);
	cr_assert_eq(f->request_count, 2, "%u", f->request_count);
	cr_assert_eq(fake_counters(f).no_progress, 1);
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	cr_assert_not_null(strstr(status_text(f, &buf), "no progress"));
	fake_free(f);
}

Test(poll, a_chain_without_end_is_stopped_at_the_limit)
{
	struct fake *f = fake_new();
	f->serve = serve_endless;
	f->config.pages_max = 10;
	fake_point(f, 600, 0);
	fake_open(f);
	while (f->request_count == 0)
		fake_run(f, 1000, 1000);
	cr_assert_eq(f->request_count, 10);
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	cr_assert_not_null(strstr(status_text(f, &buf), "no end after 10 pages"));
	fake_free(f);
}

Test(poll, a_full_worker_stops_its_points_and_nothing_is_lost)
{
	struct fake *f = fake_new();
	for (int i = 0; i < 8; i++)
		fake_point(f, 60, 0);
	fake_open(f);
	fake_run(f, 60000, 1000);
	f->workers_full = true;
	uint32_t before = f->request_count;
	fake_run(f, 300000, 1000);
	cr_assert_leq(fake_polls(f, before), 8, "one answer per worker waits, the rest is not asked");
	cr_assert_gt(fake_counters(f).not_started, 0);
	uint32_t fed = f->feed_count;
	f->workers_full = false;
	fake_run(f, 61000, 1000);
	cr_assert_gt(f->feed_count, fed);
	int64_t newest = fake_now() / f->reading_ms * f->reading_ms;
	for (uint32_t i = 0; i < 8; i++)
		cr_assert_geq(f->newest_ms[i], newest - 60000);
	for (uint32_t i = 0; i < 8; i++)
		cr_assert_geq(f->rows[i], 6, "no reading of the meantime is missing");
	fake_free(f);
}

Test(poll, what_the_pipeline_refuses_is_a_failed_poll)
{
	struct fake *f = fake_new();
	f->refuse_feed = true;
	f->newest_ms[fake_point(f, 60, 0)] -= 60000;
	fake_open(f);
	fake_run(f, 61000, 1000);
	cr_assert_eq(fake_counters(f).polls_good, 0);
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	cr_assert_not_null(strstr(status_text(f, &buf), "pipeline: not today"));
	fake_free(f);
}

Test(poll, collect_now_polls_all_points_of_the_provider_at_once)
{
	struct fake *f = fake_new();
	for (int i = 0; i < 10; i++)
		fake_point(f, 3600, 0);
	fake_open(f);
	fake_pump(f);
	uint32_t before = f->request_count, points;
	cr_assert_eq(hd_collect_now(f->collect, "fake", &points, NULL), HYDRO_OK);
	cr_assert_eq(points, 10);
	fake_pump(f);
	cr_assert_eq(fake_polls(f, before), 10);
	cr_assert_eq(hd_collect_point_now(f->collect, 3, NULL), HYDRO_OK);
	fake_pump(f);
	cr_assert_eq(fake_polls(f, before), 11);
	cr_assert_eq(f->requests[f->request_count - 1].point, 3);
	cr_assert_eq(hd_collect_now(f->collect, "other", &points, NULL), HYDRO_E_NOTFOUND);
	cr_assert_eq(hd_collect_point_now(f->collect, 77, NULL), HYDRO_E_NOTFOUND);
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	cr_assert_eq(hd_collect_status_json(f->collect, "other", &buf, NULL), HYDRO_E_NOTFOUND);
	cr_assert_eq(hd_collect_providers_json(f->collect, &buf, NULL), HYDRO_OK);
	cr_assert_eq(buf.data[0], '[');
	fake_free(f);
}

Test(poll, draining_finishes_what_is_under_way_and_starts_nothing)
{
	struct fake *f = fake_new();
	for (int i = 0; i < 4; i++)
		fake_point(f, 10, 0);
	fake_open(f);
	f->hold_replies = true;
	fake_run(f, 10000, 1000);
	cr_assert_eq(f->in_flight, 4);
	uint32_t before = f->request_count;
	hd_collect_drain_begin(f->collect);
	fake_run(f, 20000, 1000);
	cr_assert_eq(fake_polls(f, before), 0);
	cr_assert_not(hd_collect_is_drained(f->collect));
	f->hold_replies = false;
	fake_pump(f);
	cr_assert(hd_collect_is_drained(f->collect));
	cr_assert_eq(fake_counters(f).polls_good, 4);
	fake_free(f);
}

static int64_t stop_at_ms;

static bool idle_until(struct fake *f)
{
	(void)f;
	return fake_now() < stop_at_ms;
}

Test(poll, the_collector_moves_the_simulated_clock_when_all_is_idle)
{
	struct fake *f = fake_new();
	for (int i = 0; i < 5; i++)
		fake_point(f, 60, 0);
	f->idle = idle_until;
	stop_at_ms = fake_now() + 3600000;
	f->config.sim_step_ms = 1000;
	f->config.sim_until_ms = stop_at_ms;
	fake_open(f);
	while (fake_now() < stop_at_ms)
		fake_pump(f);
	fake_pump(f);
	cr_assert_eq(fake_now(), stop_at_ms, "it stops exactly where it was told to");
	cr_assert(fake_polls(f, 0) >= 5 * 59 && fake_polls(f, 0) <= 5 * 60, "%u polls", fake_polls(f, 0));
	for (uint32_t i = 0; i < 5; i++)
		cr_assert_geq(f->rows[i], 58);
	fake_free(f);
}

Test(poll, closing_drops_what_no_worker_takes_any_more)
{
	struct fake *f = fake_new();
	for (int i = 0; i < 4; i++)
		f->newest_ms[fake_point(f, 10, 0)] -= 60000;
	fake_open(f);
	f->workers_full = true;
	fake_run(f, 10000, 1000);
	cr_assert_gt(f->request_count, 0);
	hd_collect_close(&f->collect);
	cr_assert_eq(f->feed_count, 0);
	fake_free(f);
}
