/* SPDX-License-Identifier: MIT */
#include "pages.h"

#include <hydro/conv.h>

_Static_assert(sizeof(struct pages) <= HYDRO_CONTINUATION_BYTES, "the window must fit a continuation");

int32_t pages_load(const hydro_poll *poll, uint32_t direction, struct pages *ret, struct hydro_error *err)
{
	struct pages pages = {.from = poll->from_ms, .to = poll->to_ms, .rest_from = 0, .rest_to = -1, .direction = direction};
	if (poll->continuation) {
		if (poll->continuation_len != sizeof pages)
			return hydro_fail(err, HYDRO_E_INVALID, "a continuation of %u bytes is not ours", (unsigned)poll->continuation_len);
		memcpy(&pages, poll->continuation, sizeof pages);
	}
	if (pages.from < 0 || pages.from > pages.to || pages.to > PAGES_TO_MAX || pages.direction < PAGES_UP || pages.direction > PAGES_UNKNOWN)
		return hydro_fail(err, HYDRO_E_INVALID, "a history window that is empty or out of range");
	*ret = pages;
	return HYDRO_OK;
}

void page_series_add(struct page_series *s, const struct pages *pages, int64_t ts_ms)
{
	if (ts_ms < pages->from || ts_ms > pages->to)
		return; /* what was not asked for says nothing about what is left */
	if (!s->any) {
		s->min = s->max = ts_ms;
	} else {
		s->rises |= ts_ms > s->last;
		s->falls |= ts_ms < s->last;
		s->min = ts_ms < s->min ? ts_ms : s->min;
		s->max = ts_ms > s->max ? ts_ms : s->max;
	}
	s->last = ts_ms;
	s->any = true;
}

void page_seen_add(struct page_seen *seen, const struct page_series *s, uint32_t limit)
{
	if (limit == 0 || s->rows < limit)
		return;
	if (!s->any) {
		seen->stuck = true;
		return;
	}
	seen->up_from = seen->full && seen->up_from < s->max ? seen->up_from : s->max;
	seen->down_to = seen->full && seen->down_to > s->min ? seen->down_to : s->min;
	seen->rises |= s->rises;
	seen->falls |= s->falls;
	seen->full = true;
}

static int step(const struct pages *pages, struct pages *ret)
{
	*ret = *pages;
	if (ret->from <= ret->to)
		return PAGES_MORE;
	if (ret->rest_from > ret->rest_to)
		return PAGES_DONE;
	ret->from = ret->rest_from;
	ret->to = ret->rest_to;
	ret->rest_from = 0;
	ret->rest_to = -1;
	ret->direction = PAGES_DOWN;
	ret->learned = 1;
	return PAGES_MORE;
}

int pages_next(const struct pages *pages, const struct page_seen *seen, struct pages *ret)
{
	struct pages next = *pages;
	if (seen->stuck)
		return PAGES_STUCK;
	if (!seen->full) {
		next.from = next.to + 1;
		return step(&next, ret);
	}
	bool contradicted = (next.direction == PAGES_UP && seen->falls && !seen->rises) ||
			    (next.direction == PAGES_DOWN && seen->rises && !seen->falls);
	if (next.direction == PAGES_UNKNOWN || (contradicted && !next.learned)) {
		next.rest_from = next.from; /* set aside once at most: `learned` keeps it from being overwritten */
		next.rest_to = seen->down_to - 1;
		next.direction = PAGES_UP;
		next.learned = 1;
	}
	if (next.direction == PAGES_UP)
		next.from = seen->up_from + 1;
	else
		next.to = seen->down_to - 1;
	return step(&next, ret);
}
