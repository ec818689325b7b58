/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/clock.h"
#include "collect/fake.h"

#include <stdio.h>
#include <string.h>

#define LOGIN_CAPS (HYDRO_PROVIDER_HTTP | HYDRO_PROVIDER_HISTORY | HYDRO_PROVIDER_LOGIN)

static struct fake *with_login(uint32_t points, uint32_t period_s)
{
	struct fake *f = fake_new();
	f->ops.capabilities = LOGIN_CAPS;
	for (uint32_t i = 0; i < points; i++)
		fake_point(f, period_s, 1);
	return f;
}

static void all_now(struct fake *f)
{
	uint32_t points;
	cr_assert_eq(hd_collect_now(f->collect, "fake", &points, NULL), HYDRO_OK);
	fake_pump(f);
}

Test(account, many_points_bring_one_login)
{
	struct fake *f = with_login(20, 600);
	fake_open(f);
	f->hold_replies = true;
	all_now(f);
	cr_assert_eq(f->login_count, 1, "single flight");
	cr_assert_eq(fake_polls(f, 0), 0, "nothing is asked without a token");
	f->hold_replies = false;
	fake_pump(f);
	cr_assert_eq(fake_polls(f, 0), 20);
	cr_assert_eq(f->login_count, 1);
	cr_assert_str_eq(f->requests[f->request_count - 1].token, "t1");
	cr_assert_str_eq(f->requests[0].secret, "pw1");
	cr_assert_eq(fake_counters(f).polls_good, 20);
	fake_free(f);
}

Test(account, a_401_to_the_present_token_brings_one_new_login_for_all)
{
	struct fake *f = with_login(20, 600);
	fake_open(f);
	all_now(f);
	f->tokens = 2; /* the old one is over */
	f->hold_replies = true;
	uint32_t before = f->request_count;
	all_now(f);
	cr_assert_eq(fake_polls(f, before), 20, "all under way with the old token");
	f->hold_replies = false;
	fake_pump(f);
	cr_assert_eq(f->login_count, 2, "%u logins", f->login_count);
	cr_assert_eq(fake_counters(f).polls_good, 40);
	cr_assert_eq(fake_counters(f).polls_failed, 0);
	fake_free(f);
}

Test(account, a_401_to_a_replaced_token_asks_again_without_a_login)
{
	struct fake *f = with_login(2, 600);
	fake_open(f);
	all_now(f);
	cr_assert_eq(f->login_count, 1);
	f->tokens = 2;
	f->hold_replies = true;
	f->logins_first = true;
	all_now(f); /* both are asked with the first token */
	f->hold_replies = false;
	fake_pump(f); /* 401 to one, login, and only then 401 to the other */
	cr_assert_eq(f->login_count, 2);
	cr_assert_eq(fake_counters(f).stale_tokens, 1);
	cr_assert_eq(fake_counters(f).polls_good, 4);
	cr_assert_str_eq(f->requests[f->request_count - 1].token, "t2");
	fake_free(f);
}

static void serve_denied_point(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	if (!q->login && q->point == 0)
		reply->status = 401;
	else
		fake_serve_series(f, q, reply);
}

Test(account, one_point_that_is_always_refused_does_not_cost_the_others_their_token)
{
	struct fake *f = with_login(5, 600);
	f->serve = serve_denied_point;
	f->config.retry_ms = 100000;
	fake_open(f);
	for (int i = 0; i < 10; i++)
		all_now(f);
	cr_assert_leq(f->login_count, 3, "%u logins", f->login_count);
	cr_assert_eq(fake_counters(f).polls_good, 40);
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	cr_assert_eq(hd_collect_status_json(f->collect, "fake", &buf, NULL), HYDRO_OK);
	cr_assert_not_null(strstr(hd_buf_text(&buf), "unauthorized, also with a new token"));
	cr_assert_null(strstr(hd_buf_text(&buf), "\"t1\""), "no token in the status");
	cr_assert_null(strstr(hd_buf_text(&buf), "pw1"));
	fake_free(f);
}

Test(account, a_401_without_a_login_is_a_failure)
{
	struct fake *f = fake_new();
	f->serve = serve_denied_point;
	fake_point(f, 600, 0);
	fake_open(f);
	all_now(f);
	cr_assert_eq(fake_counters(f).polls_failed, 1);
	cr_assert_eq(f->login_count, 0);
	fake_free(f);
}

Test(account, a_token_is_renewed_before_it_ends)
{
	struct fake *f = with_login(1, 10);
	f->token_life_s = 600;
	fake_open(f);
	fake_run(f, 3600000, 1000);
	cr_assert(f->login_count >= 6 && f->login_count <= 8, "%u logins", f->login_count);
	cr_assert_eq(fake_counters(f).polls_failed, 0);
	int64_t last = 0;
	for (uint32_t i = 0; i < f->request_count; i++)
		if (f->requests[i].login) {
			cr_assert(!last || f->requests[i].at_ms - last < 600000, "renewed in time");
			last = f->requests[i].at_ms;
		}
	fake_free(f);
}

static void serve_login_503(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	if (q->login)
		reply->status = 503;
	else
		fake_serve_series(f, q, reply);
}

static void serve_login_401(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	if (q->login)
		reply->status = strcmp(q->secret, "pw2") == 0 ? 0 : 401;
	if (q->login && reply->status == 401)
		return;
	fake_serve_series(f, q, reply);
}

Test(account, logins_that_fail_are_repeated_ever_more_slowly)
{
	struct fake *f = with_login(5, 60);
	f->serve = serve_login_503;
	fake_open(f);
	fake_run(f, 600000, 500);
	cr_assert(f->login_count >= 7 && f->login_count <= 13, "%u logins", f->login_count);
	cr_assert_eq(fake_polls(f, 0), 0);
	f->serve = NULL;
	fake_run(f, 400000, 500);
	cr_assert_gt(fake_counters(f).polls_good, 5);
	fake_free(f);
}

Test(account, wrong_credentials_wait_long_and_new_ones_are_tried_at_once)
{
	struct fake *f = with_login(5, 60);
	f->serve = serve_login_401;
	fake_open(f);
	fake_run(f, 600000, 500);
	cr_assert(f->login_count >= 2 && f->login_count <= 6, "%u logins", f->login_count);
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	cr_assert_eq(hd_collect_status_json(f->collect, "fake", &buf, NULL), HYDRO_OK);
	cr_assert_not_null(strstr(hd_buf_text(&buf), "\"token\":\"refused\""));
	cr_assert_not_null(strstr(hd_buf_text(&buf), "\"state\":\"degraded\""));
	cr_assert_not_null(strstr(hd_buf_text(&buf), "wrong password"));
	(void)snprintf(f->account_options, sizeof f->account_options, "pw2");
	f->account_version++;
	cr_assert_eq(hd_collect_account_changed(f->collect, 1, NULL), HYDRO_OK);
	fake_pump(f);
	cr_assert_gt(fake_counters(f).polls_good, 0);
	fake_free(f);
}

static void serve_500(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	(void)f, (void)q;
	reply->status = 500;
}

Test(account, a_circuit_opens_after_failures_in_a_row_probes_and_closes)
{
	struct fake *f = fake_new();
	for (int i = 0; i < 30; i++)
		fake_point(f, 60, 0);
	f->serve = serve_500;
	f->config.circuit_failures = 5;
	f->provider.concurrency = 1;
	fake_open(f);
	fake_run(f, 3600000, 1000);
	struct hd_collect_counters counters = fake_counters(f);
	cr_assert_lt(counters.requests, 5 + 20, "%u requests in an hour instead of 1800 and more", (unsigned)counters.requests);
	cr_assert_gt(counters.circuit_opens, 4);
	cr_assert_str_eq(f->last_event, "circuit_open");
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	cr_assert_eq(hd_collect_status_json(f->collect, "fake", &buf, NULL), HYDRO_OK);
	cr_assert_not_null(strstr(hd_buf_text(&buf), "\"circuit\":\"open\""));
	f->serve = NULL;
	f->provider.concurrency = 1;
	fake_run(f, 700000, 1000);
	cr_assert_str_eq(f->last_event, "circuit_closed");
	for (uint32_t i = 0; i < 30; i++)
		cr_assert_geq(f->newest_ms[i], fake_now() - 180000);
	fake_free(f);
}

Test(account, one_accounts_circuit_leaves_the_others_alone)
{
	struct fake *f = fake_new();
	fake_point(f, 60, 0);
	fake_point(f, 60, 2);
	f->config.circuit_failures = 1;
	fake_open(f);
	fake_pump(f);
	f->serve = serve_500;
	cr_assert_eq(hd_collect_point_now(f->collect, 0, NULL), HYDRO_OK);
	fake_pump(f);
	f->serve = NULL;
	cr_assert_eq(hd_collect_point_now(f->collect, 1, NULL), HYDRO_OK);
	fake_pump(f);
	cr_assert_eq(fake_counters(f).polls_good, 1);
	fake_free(f);
}

Test(account, requests_keep_the_rate)
{
	struct fake *f = fake_new();
	for (int i = 0; i < 60; i++)
		fake_point(f, 3600, 0);
	f->provider.rate = 2;
	f->provider.burst = 1;
	fake_open(f);
	all_now(f);
	fake_run(f, 10000, 50);
	cr_assert(fake_polls(f, 0) >= 20 && fake_polls(f, 0) <= 22, "%u", fake_polls(f, 0));
	fake_run(f, 21000, 50);
	cr_assert_eq(fake_polls(f, 0), 60);
	fake_free(f);
}

Test(account, no_more_polls_than_its_concurrency_are_under_way)
{
	struct fake *f = fake_new();
	for (int i = 0; i < 40; i++)
		fake_point(f, 3600, 0);
	f->provider.concurrency = 7;
	fake_open(f);
	f->hold_replies = true;
	all_now(f);
	cr_assert_eq(f->in_flight, 7);
	f->hold_replies = false;
	fake_pump(f);
	cr_assert_eq(f->most_in_flight, 7);
	cr_assert_eq(fake_counters(f).polls_good, 40);
	fake_free(f);
}

Test(account, all_accounts_together_keep_the_cap_of_polls_under_way)
{
	struct fake *f = fake_new();
	for (uint32_t i = 0; i < 40; i++)
		fake_point(f, 3600, i % 4);
	f->config.in_flight_max = 9;
	fake_open(f);
	f->hold_replies = true;
	all_now(f);
	cr_assert_eq(f->in_flight, 9);
	f->hold_replies = false;
	fake_pump(f);
	cr_assert_eq(fake_counters(f).polls_good, 40);
	fake_free(f);
}

static void serve_429(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	(void)f, (void)q;
	reply->status = 429;
	reply->retry_after_ms = 120000;
}

Test(account, retry_after_pauses_the_whole_account)
{
	struct fake *f = fake_new();
	for (int i = 0; i < 10; i++)
		fake_point(f, 600, 0);
	f->provider.concurrency = 1;
	f->serve = serve_429;
	fake_open(f);
	all_now(f);
	cr_assert_eq(fake_polls(f, 0), 1);
	f->serve = NULL;
	fake_run(f, 119000, 1000);
	cr_assert_eq(fake_polls(f, 0), 1, "%u", fake_polls(f, 0));
	fake_run(f, 2000, 1000);
	cr_assert_gt(fake_polls(f, 0), 9);
	fake_free(f);
}

Test(account, a_busy_account_does_not_keep_the_cap_for_itself)
{
	struct fake *f = fake_new();
	for (uint32_t i = 0; i < 40; i++)
		fake_point(f, 3600, i < 36 ? 1 : 2);
	f->config.in_flight_max = 4;
	fake_open(f);
	all_now(f);
	uint32_t last = 0;
	for (uint32_t i = 0; i < f->request_count; i++)
		if (f->requests[i].point >= 36)
			last = i;
	cr_assert_lt(last, 30, "the small account was done at request %u of %u", last, f->request_count);
	fake_free(f);
}

Test(account, an_account_that_cannot_be_read_says_so_and_does_not_spin)
{
	struct fake *f = fake_new();
	f->ops.capabilities = LOGIN_CAPS;
	fake_point(f, 60, 99);
	fake_open(f);
	fake_run(f, 300000, 1000);
	cr_assert_eq(f->request_count, 0);
	cr_assert(fake_counters(f).login_failures >= 1 && fake_counters(f).login_failures <= 4);
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	cr_assert_eq(hd_collect_status_json(f->collect, "fake", &buf, NULL), HYDRO_OK);
	cr_assert_not_null(strstr(hd_buf_text(&buf), "no account 99"));
	fake_free(f);
}

Test(account, a_401_while_draining_ends_the_poll)
{
	struct fake *f = with_login(3, 600);
	fake_open(f);
	all_now(f);
	f->tokens = 2;
	f->hold_replies = true;
	all_now(f);
	hd_collect_drain_begin(f->collect);
	f->hold_replies = false;
	fake_pump(f);
	cr_assert(hd_collect_is_drained(f->collect));
	cr_assert_eq(f->login_count, 1);
	fake_free(f);
}
