/* SPDX-License-Identifier: MIT */
/*
 * Paging through a window of history where an answer has only a limit and no "more": a full page means that there may be
 * more, before it or behind it. All [any], pure; the state between two pages is the ABI's continuation.
 *
 * UP: pages are the oldest rows first, so the next one begins behind the newest row seen. DOWN: the newest first, so the next
 * one ends before the oldest row seen. UNKNOWN: not promised, and the order inside an answer proves nothing (the newest n
 * rows are often turned around): the rest behind the page is asked for, then the rest before it. A page whose rows
 * contradict UP or DOWN makes it UNKNOWN. Each step narrows what is left, so a chain ends; one that would not is an error.
 */
#ifndef PROVIDER_PAGES_H
#define PROVIDER_PAGES_H

#include <hydro/abi.h>
#include <stdbool.h>

#define PAGES_UP 1u
#define PAGES_DOWN 2u
#define PAGES_UNKNOWN 3u

struct pages {
	int64_t from, to;           /* asked for by this page, inclusive */
	int64_t rest_from, rest_to; /* to be asked for afterwards; none if rest_to < rest_from */
	uint32_t direction;
	uint32_t learned; /* 1: by asking both ways; no longer open to contradiction */
};

/* The rows of one series (one key) in one answer. */
struct page_series {
	uint32_t rows; /* all, also those without a usable value */
	bool any, rises, falls;
	int64_t min, max, last;
};

/* What the series that filled the page leave open; those below the limit are complete. */
struct page_seen {
	bool full, stuck, rises, falls;
	int64_t up_from; /* the smallest of their newest ts */
	int64_t down_to; /* the largest of their oldest ts */
};

#define PAGES_TO_MAX INT64_C(253402300799999) /* the end of year 9999 */

/* The window of a HISTORY poll: its own on the first page, else from the continuation. HYDRO_E_INVALID if it makes no sense. */
int32_t pages_load(const hydro_poll *poll, uint32_t direction, struct pages *ret, struct hydro_error *err);

void page_series_add(struct page_series *series, const struct pages *pages, int64_t ts_ms);
void page_seen_add(struct page_seen *seen, const struct page_series *series, uint32_t limit);

#define PAGES_DONE 0
#define PAGES_MORE 1
#define PAGES_STUCK 2 /* a full page that brought the window no further */

/* What to ask for after this page; writes *ret for PAGES_MORE. */
int pages_next(const struct pages *pages, const struct page_seen *seen, struct pages *ret);

#endif
