/* SPDX-License-Identifier: MIT */
/* Paging against a small service that holds rows and answers with the oldest or the newest of a window, in any order. */
#include "check.h"

#include "pages.h"

#include <string.h>

#define ROWS_MAX 400

enum serves { OLDEST, NEWEST };
enum order { RISING, FALLING, MIXED };

struct service {
	int64_t ts[ROWS_MAX]; /* rising; equal ones are allowed */
	unsigned count;
	enum serves serves;
	enum order order;
	unsigned requests;
};

static struct service service_with(unsigned count, enum serves serves, enum order order)
{
	struct service s = {.count = count, .serves = serves, .order = order};
	for (unsigned i = 0; i < count; i++)
		s.ts[i] = 1000 + 10 * (int64_t)i;
	return s;
}

/* Rows of the window in the order of the service; their number. */
static unsigned answer(struct service *s, const struct pages *pages, unsigned limit, int64_t ret[ROWS_MAX])
{
	int64_t in[ROWS_MAX];
	unsigned n = 0, first = 0;
	s->requests++;
	for (unsigned i = 0; i < s->count; i++)
		if (s->ts[i] >= pages->from && s->ts[i] <= pages->to)
			in[n++] = s->ts[i];
	if (n > limit) {
		first = s->serves == NEWEST ? n - limit : 0;
		n = limit;
	}
	for (unsigned i = 0; i < n; i++) {
		unsigned from = s->order == RISING ? i : s->order == FALLING ? n - 1 - i : (i * 7 + 3) % n;
		ret[i] = in[first + (s->order == MIXED && n % 7 == 0 ? i : from)];
	}
	return n;
}

/* Pages through [from, to]; counts how many of the service's rows were seen. Fails the test if it does not end. */
static unsigned walk(struct service *s, uint32_t direction, int64_t from, int64_t to, unsigned limit)
{
	bool seen_ts[ROWS_MAX] = {false};
	unsigned char continuation[HYDRO_CONTINUATION_BYTES];
	hydro_poll poll = {.mode = HYDRO_POLL_HISTORY, .from_ms = from, .to_ms = to};
	for (unsigned page = 0; page < 3 * ROWS_MAX; page++) {
		struct pages pages, next;
		int64_t rows[ROWS_MAX];
		struct page_series series = {0};
		struct page_seen seen = {0};
		cr_assert_eq(pages_load(&poll, direction, &pages, NULL), HYDRO_OK);
		series.rows = answer(s, &pages, limit, rows);
		for (unsigned i = 0; i < series.rows; i++) {
			page_series_add(&series, &pages, rows[i]);
			for (unsigned k = 0; k < s->count; k++)
				seen_ts[k] |= s->ts[k] == rows[i];
		}
		page_seen_add(&seen, &series, limit);
		int result = pages_next(&pages, &seen, &next);
		cr_assert_neq(result, PAGES_STUCK);
		if (result == PAGES_DONE) {
			unsigned n = 0;
			for (unsigned k = 0; k < s->count; k++)
				n += seen_ts[k];
			return n;
		}
		memcpy(continuation, &next, sizeof next);
		poll.continuation = continuation;
		poll.continuation_len = sizeof next;
	}
	cr_assert_fail("the pages do not end");
	return 0;
}

Test(pages, no_row_is_lost_whatever_the_service_does)
{
	static const uint32_t directions[] = {PAGES_UP, PAGES_DOWN, PAGES_UNKNOWN};
	for (int serves = OLDEST; serves <= NEWEST; serves++)
		for (int order = RISING; order <= MIXED; order++)
			for (unsigned d = 0; d < 3; d++)
				for (unsigned limit = 2; limit <= 60; limit += 29) {
					/* A promise that the service breaks without the rows showing it cannot be seen through. */
					bool kept = (directions[d] == PAGES_UP) == (serves == OLDEST);
					bool shows = order != MIXED && (order == RISING) == (serves == OLDEST);
					if (directions[d] != PAGES_UNKNOWN && !kept && !shows)
						continue;
					struct service s = service_with(157, (enum serves)serves, (enum order)order);
					unsigned n = walk(&s, directions[d], 0, 100000, limit);
					cr_assert_eq(n, 157, "serves %d order %d direction %u limit %u: %u rows", serves, order, directions[d], limit, n);
				}
}

Test(pages, a_kept_promise_costs_no_request_more_than_needed)
{
	struct service up = service_with(95, OLDEST, RISING), down = service_with(95, NEWEST, FALLING);
	cr_assert_eq(walk(&up, PAGES_UP, 0, 100000, 10), 95);
	cr_assert_eq(up.requests, 10);
	cr_assert_eq(walk(&down, PAGES_DOWN, 0, 100000, 10), 95);
	cr_assert_eq(down.requests, 10);
	struct service unknown = service_with(95, NEWEST, FALLING);
	cr_assert_eq(walk(&unknown, PAGES_UNKNOWN, 0, 100000, 10), 95);
	cr_assert_eq(unknown.requests, 11, "one to learn the direction, not %u", unknown.requests);
}

Test(pages, the_window_alone_is_asked_for)
{
	struct service s = service_with(100, NEWEST, FALLING);
	cr_assert_eq(walk(&s, PAGES_UNKNOWN, 1100, 1290, 7), 20);
	s = service_with(100, OLDEST, RISING);
	cr_assert_eq(walk(&s, PAGES_UP, 1100, 1290, 7), 20);
	s = service_with(0, OLDEST, RISING);
	cr_assert_eq(walk(&s, PAGES_UNKNOWN, 1100, 1290, 7), 0);
	cr_assert_eq(s.requests, 1);
}

Test(pages, several_series_go_on_from_the_one_that_was_cut_first)
{
	struct pages pages = {.from = 0, .to = 1000, .rest_to = -1, .direction = PAGES_UP}, next;
	struct page_series a = {.rows = 5, .any = true, .rises = true, .min = 10, .max = 300, .last = 300};
	struct page_series b = {.rows = 5, .any = true, .rises = true, .min = 20, .max = 200, .last = 200};
	struct page_series c = {.rows = 4, .any = true, .rises = true, .min = 5, .max = 50, .last = 50};
	struct page_seen seen = {0};
	page_seen_add(&seen, &a, 5);
	page_seen_add(&seen, &b, 5);
	page_seen_add(&seen, &c, 5);
	cr_assert_eq(pages_next(&pages, &seen, &next), PAGES_MORE);
	cr_assert_eq(next.from, 201);
	cr_assert_eq(next.to, 1000);
}

Test(pages, a_full_page_of_other_times_is_no_progress)
{
	struct pages pages = {.from = 100, .to = 200, .rest_to = -1, .direction = PAGES_UP}, next;
	struct page_series s = {.rows = 2};
	struct page_seen seen = {0};
	page_series_add(&s, &pages, 50);
	page_series_add(&s, &pages, 99);
	page_seen_add(&seen, &s, 2);
	cr_assert_eq(pages_next(&pages, &seen, &next), PAGES_STUCK);
}

Test(pages, continuations_that_are_not_ours_are_refused)
{
	struct pages pages, bad = {.from = 10, .to = 5, .direction = PAGES_UP};
	hydro_poll poll = {.from_ms = 1, .to_ms = 2, .continuation = "abc", .continuation_len = 3};
	cr_assert_eq(pages_load(&poll, PAGES_UP, &pages, NULL), HYDRO_E_INVALID);
	poll.continuation = &bad;
	poll.continuation_len = sizeof bad;
	cr_assert_eq(pages_load(&poll, PAGES_UP, &pages, NULL), HYDRO_E_INVALID);
	bad = (struct pages){.from = 1, .to = 5, .direction = 9};
	cr_assert_eq(pages_load(&poll, PAGES_UP, &pages, NULL), HYDRO_E_INVALID);
	poll = (hydro_poll){.from_ms = 5, .to_ms = 4};
	cr_assert_eq(pages_load(&poll, PAGES_UP, &pages, NULL), HYDRO_E_INVALID);
	poll = (hydro_poll){.from_ms = 5, .to_ms = INT64_MAX};
	cr_assert_eq(pages_load(&poll, PAGES_UP, &pages, NULL), HYDRO_E_INVALID);
}
