/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/clock.h"
#include "collect/fake.h"

#include <string.h>

Test(changes, a_new_point_is_polled_soon_and_then_by_its_period)
{
	struct fake *f = fake_new();
	fake_open(f);
	fake_run(f, 5000, 1000);
	cr_assert_eq(f->request_count, 0);
	fake_point(f, 3600, 0);
	fake_run(f, 6000, 1000);
	cr_assert_eq(fake_polls(f, 0), 1);
	fake_run(f, 3600000, 5000);
	cr_assert_eq(fake_polls(f, 0), 2);
	fake_free(f);
}

Test(changes, a_deactivated_point_is_left_alone_and_comes_back)
{
	struct fake *f = fake_new();
	uint32_t p = fake_point(f, 60, 0);
	fake_open(f);
	fake_run(f, 120000, 1000);
	fake_point_set(f, p, 60, 0, "0");
	fake_pump(f);
	uint32_t before = f->request_count;
	fake_run(f, 300000, 1000);
	cr_assert_eq(fake_polls(f, before), 0);
	cr_assert_eq(hd_collect_point_now(f->collect, p, NULL), HYDRO_E_CONFLICT);
	fake_point_set(f, p, 60, HD_POINT_ACTIVE, "0");
	fake_run(f, 120000, 1000);
	cr_assert_geq(fake_polls(f, before), 2);
	cr_assert_geq(f->rows[p], 8, "what it missed meanwhile is asked from history");
	fake_free(f);
}

Test(changes, new_options_are_used_from_the_next_poll_on)
{
	struct fake *f = fake_new();
	uint32_t p = fake_point(f, 60, 0);
	fake_open(f);
	fake_run(f, 120000, 1000);
	fake_point_set(f, p, 60, HD_POINT_ACTIVE, "33");
	fake_run(f, 60000, 1000);
	cr_assert_eq(f->requests[f->request_count - 1].point, 33);
	fake_free(f);
}

Test(changes, a_shorter_period_holds_at_once)
{
	struct fake *f = fake_new();
	uint32_t p = fake_point(f, 3600, 0);
	fake_open(f);
	fake_run(f, 10000, 1000);
	uint32_t before = f->request_count;
	fake_point_set(f, p, 10, HD_POINT_ACTIVE, "0");
	fake_run(f, 100000, 1000);
	cr_assert(fake_polls(f, before) >= 10 && fake_polls(f, before) <= 11, "%u", fake_polls(f, before));
	fake_free(f);
}

Test(changes, a_change_during_a_poll_takes_hold_after_it)
{
	struct fake *f = fake_new();
	uint32_t p = fake_point(f, 60, 0);
	f->newest_ms[p] -= 60000;
	fake_open(f);
	f->hold_replies = true;
	fake_run(f, 60000, 1000);
	cr_assert_eq(f->in_flight, 1);
	fake_point_set(f, p, 60, 0, "0");
	fake_pump(f);
	f->hold_replies = false;
	fake_pump(f);
	cr_assert_eq(f->feed_count, 1, "the answer under way is still taken");
	uint32_t before = f->request_count;
	fake_run(f, 120000, 1000);
	cr_assert_eq(fake_polls(f, before), 0);
	fake_free(f);
}

Test(changes, points_of_unknown_providers_are_left_alone)
{
	struct fake *f = fake_new();
	f->provider.name = "other";
	fake_point(f, 10, 0);
	fake_open(f);
	fake_run(f, 60000, 1000);
	cr_assert_eq(f->request_count, 0);
	fake_free(f);
}

Test(changes, providers_that_contradict_themselves_are_refused)
{
	struct fake *f = fake_new();
	struct hydro_error err = {0};
	f->ops.parse = NULL;
	cr_assert_eq(hd_collect_open(&f->config, &f->collect, &err), HYDRO_E_INVALID);
	cr_assert_not_null(strstr(err.text, "no parse"));
	f->ops.capabilities = HYDRO_PROVIDER_SUBSCRIBE;
	cr_assert_eq(hd_collect_open(&f->config, &f->collect, &err), HYDRO_E_INVALID);
	f->ops.capabilities = HYDRO_PROVIDER_LOGIN;
	f->ops.login_parse = NULL;
	cr_assert_eq(hd_collect_open(&f->config, &f->collect, &err), HYDRO_E_INVALID);
	struct hd_collect_provider two[2] = {f->provider, f->provider};
	f->ops.capabilities = 0;
	f->config.providers = two;
	f->config.provider_count = 2;
	cr_assert_eq(hd_collect_open(&f->config, &f->collect, &err), HYDRO_E_INVALID);
	cr_assert_not_null(strstr(err.text, "two providers"));
	cr_assert_null(f->collect);
	fake_free(f);
}
