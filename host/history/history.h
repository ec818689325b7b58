/* SPDX-License-Identifier: MIT */
/*
 * The embedded, queryable history: compressed chunks a (UTC day, point) in history.db, merged from sealed journal segments
 * by a thread of its own, and once a month is over again, to a chunk a (UTC month, point). What is not merged yet is read from the journal, which is level 0 of history. Formats: README.md.
 */
#ifndef HD_HISTORY_HISTORY_H
#define HD_HISTORY_HISTORY_H

#include "base/error.h"
#include "journal/journal.h"
#include "model/sample.h"

#include <stdbool.h>

struct hd_history;

/* All zero but dir and journal takes the defaults in parentheses. */
struct hd_history_config {
	const char *dir;            /* folder of history.db, made if missing */
	struct hd_journal *journal; /* must outlive the history */
	const struct hd_key *seal;  /* NULL = chunks are not sealed; copied */
	int64_t merge_after_ms;     /* (1 h) a day is merged this long after its end (UTC) */
	uint64_t merge_pending;     /* (1 GiB) of sealed segments are merged before the day is over, so that each point has many rows by then */
	uint64_t merge_bytes;       /* (32 MiB) of segments that a merge holds in memory at a time, by ranges of points; each range reads them once more */
	int64_t month_after_ms;     /* (3 d) a month's day chunks are merged this long after its end (UTC), and what came later this long after it came */
	uint64_t month_step_bytes;  /* (4 MiB) of day chunks that one step merges, about */
	bool manual;                /* no thread: merges only by hd_history_merge and _months */
	void (*event)(void *arg, uint32_t level, const char *event, const char *text); /* as the journal's; NULL: dropped */
	void *event_arg;
};

/*
 * Opens or creates history.db and starts the merging thread. HYDRO_E_UNSUPPORTED: written by a newer version; HYDRO_E_KEY:
 * sealed with another key; HYDRO_E_CONFLICT: its cursor lies beyond the journal's end (they do not belong together);
 * HYDRO_E_CORRUPT, HYDRO_E_IO, HYDRO_E_NOMEM. [control]
 */
int hd_history_open(const struct hd_history_config *config, struct hd_history **ret, struct hydro_error *err);
/* No query may be under way. NULL is fine. [control] */
void hd_history_close(struct hd_history **history);

/*
 * Merges every sealed segment now; with `roll` what is in the active one too. Rows of a day with a damaged chunk are kept beside it, and the
 * damage is told (event history_day_damaged). [any; waits for a merge under way]
 */
int hd_history_merge(struct hd_history *history, bool roll, struct hydro_error *err);

/*
 * One step of what there is to do at `now_ms` for months that are over, in a transaction of its own. *ret_more: there is more. What fails leaves all as it was; damaged chunks stay where they are and are told
 * (event history_month_damaged). [any; waits for a merge under way]
 */
int hd_history_merge_months(struct hd_history *history, int64_t now_ms, bool *ret_more, struct hydro_error *err);

/* The sample and its arrays are borrowed during the call; other than HYDRO_OK ends the query and is its result. */
typedef int (*hd_history_row_fn)(void *arg, const struct hd_sample *sample);

struct hd_history_query {
	uint32_t point;
	int64_t from_ms, to_ms; /* from inclusive, to exclusive */
	uint32_t limit;         /* 0 = all */
	bool descending;
	bool all_revs;          /* every revision, in (ts, rev) order; otherwise the highest of each ts */
};

/* Synced samples of a point in order of ts. HYDRO_E_CORRUPT names the day or month whose chunk does not check. [any] */
int hd_history_query(struct hd_history *history, const struct hd_history_query *query, hd_history_row_fn row, void *arg, struct hydro_error *err);

#define HD_PERIOD_HOUR 1u
#define HD_PERIOD_DAY 2u
#define HD_PERIOD_MONTH 3u

/* One metric of one period. Bad values (quality 0) do not count in it. */
struct hd_aggregate {
	int64_t start_ms;     /* of the period, by the zone */
	uint32_t metric;
	uint32_t count;       /* values counted */
	uint32_t suspect;     /* of these with a quality below 1 */
	double min, max, sum; /* mean = sum / count */
	double first, last;
	int64_t first_ms, last_ms;
	double volume;        /* metric `total`: last - last of the period before (NaN without one); NaN for others */
};

struct hd_tz;

typedef int (*hd_history_aggregate_fn)(void *arg, const struct hd_aggregate *aggregate);

struct hd_history_aggregate_query {
	uint32_t point;
	uint32_t period;         /* HD_PERIOD_* */
	int64_t from_ms, to_ms;  /* widened to whole periods */
	const struct hd_tz *zone; /* whose days and months; NULL = UTC */
};

/* Periods with values, in order of time, then metric. [any] */
int hd_history_aggregates(struct hd_history *history, const struct hd_history_aggregate_query *query, hd_history_aggregate_fn row, void *arg,
			  struct hydro_error *err);

struct hd_history_status {
	uint64_t merged_lsn;     /* everything up to it is in history.db */
	uint64_t merges;         /* since open */
	uint64_t merged_samples; /* since open */
	uint64_t bytes;          /* of history.db with its WAL */
	uint64_t written_bytes;  /* since open: to the log of history.db, and from there to it */
	uint64_t segments_waiting, bytes_waiting; /* sealed, not merged */
	int64_t last_merge_ns;   /* how long the last one took */
	uint32_t months_waiting; /* months that are over and not merged, or have much that came late, as of the last look */
	int64_t month_ms;        /* start of the one under way, 0 = none */
	uint32_t month_point;    /* its points below are done */
	uint64_t month_chunks;   /* (month, point) merged since open */
	uint64_t month_points_by_days; /* since open: left as they are, being large or damaged */
	int32_t month_error_code; /* HYDRO_OK, or why merging of months is stuck */
	char month_error_text[HYDRO_ERROR_TEXT_BYTES];
	int32_t error_code;      /* HYDRO_OK, or why merging is stuck */
	char error_text[HYDRO_ERROR_TEXT_BYTES];
};
/* [any] */
void hd_history_status(struct hd_history *history, struct hd_history_status *ret);

#endif
