/* SPDX-License-Identifier: MIT */
/*
 * Collects readings: polls each point by its period through its provider's request and parse, fills gaps from the
 * provider's history, hands what comes to the pipeline. All of its state belongs to the io thread of its hd_net; parse runs
 * on the worker of the point. See README.md for the life of a poll.
 */
#ifndef HD_COLLECT_COLLECT_H
#define HD_COLLECT_COLLECT_H

#include "base/buf.h"
#include "model/points.h"
#include "net/client.h"

struct hd_collect;
struct hd_worker;

#define HD_COLLECT_PROVIDERS_MAX 64u
#define HD_COLLECT_PARTS_MAX 32u          /* requests of one poll, pages aside */
#define HD_COLLECT_PAGES_MAX 1000u        /* pages of one part */
#define HD_COLLECT_RAWS_MAX 100000u       /* raw values of one poll or slice; more are fed in pieces */
#define HD_COLLECT_SCRATCH_BYTES_MAX (1u << 20)
#define HD_COLLECT_PERIOD_S_MIN 1u

#define HD_COLLECT_IN_FLIGHT 1000u
#define HD_COLLECT_CONCURRENCY 32u        /* polls of one account at once */
#define HD_COLLECT_SLICE_MS (INT64_C(6) * 3600 * 1000)
#define HD_COLLECT_HISTORY_MS (INT64_C(90) * 86400 * 1000)
#define HD_COLLECT_FIRST_WINDOW_MS (INT64_C(3600) * 1000)
#define HD_COLLECT_SKEW_MS (INT64_C(300) * 1000)
#define HD_COLLECT_AHEAD_MS (INT64_C(6) * 3600 * 1000)
#define HD_COLLECT_OVERLAP_MS (INT64_C(600) * 1000)
#define HD_COLLECT_BEHIND_MS (INT64_C(86400) * 1000)
#define HD_COLLECT_DEEP_MS (INT64_C(86400) * 1000)
#define HD_COLLECT_RETRY_MS INT64_C(5000)
#define HD_COLLECT_CIRCUIT_FAILURES 10u
#define HD_COLLECT_CIRCUIT_OPEN_MS INT64_C(30000)
#define HD_COLLECT_CIRCUIT_OPEN_MAX_MS INT64_C(600000)

/* One provider instance. Names and ops are borrowed until hd_collect_close. */
struct hd_collect_provider {
	const char *name;                 /* what points call it */
	const hydro_provider_ops *ops;    /* this build's size; functions that are not there are NULL */
	void *instance;
	void *owner;                      /* for ops.stop; opaque here */
	const void *descriptor;           /* for ops.options; opaque here */
	const hydro_option *rows;         /* of the descriptor, to know secrets; may be NULL */
	uint32_t row_count;
	uint32_t crumb;                   /* for ops.enter */
	uint32_t concurrency;             /* polls of one account at once; 0: HD_COLLECT_CONCURRENCY */
	uint32_t timeout_ms;              /* of a request that names none; 0: the client's */
	double rate;                      /* requests a second of one account; 0: no limit */
	double burst;                     /* requests that may go at once after a pause; 0: max(1, rate) */
	const char *point_key;            /* subscriptions: key of the point option that messages name points by; NULL: the first
	                                   * required text row of scope POINT */
	uint32_t credits;                 /* subscriptions: messages in flight at most; 0: 256 */
};

struct hd_collect_account {
	uint64_t version;
	char *options; /* JSON object with secrets open; malloc'ed, wiped and freed by the collector; NULL reads as {} */
};

#define HD_COLLECT_LIVE 0u     /* the same numbers as HD_FEED_* of the pipeline */
#define HD_COLLECT_BACKFILL 1u

/* As hd_feed of the pipeline. */
struct hd_collect_feed {
	uint32_t mode;
	uint64_t source;
	int64_t received_ns;
	void (*synced)(void *arg, uint32_t accepted, uint32_t dropped); /* [any]; may be NULL */
	void *arg;
};

/* The parts beside it, as functions, so that it runs and is tested without them. hd_collect_wire fills them. */
struct hd_collect_ops {
	void *arg;
	/* Options of a scope, checked, in the ABI's form; ret_handle goes to options_free. [io, http] */
	int (*options)(void *arg, const struct hd_collect_provider *provider, uint32_t scope, const char *json, void **ret_handle,
		       const hydro_options **ret_view, struct hydro_error *err);
	void (*options_free)(void *arg, void *handle); /* [io] */
	/* Never asked for account 0. May block. [control, http; never io] */
	int (*account)(void *arg, uint32_t account, struct hd_collect_account *ret, struct hydro_error *err);
	uint32_t (*worker_of)(void *arg, uint32_t point); /* [any] */
	/* false when the worker's queue is over its mark. [any] */
	bool (*post)(void *arg, uint32_t worker, void (*fn)(void *arg, struct hd_worker *w), void *fn_arg);
	int (*feed)(void *arg, struct hd_worker *w, uint32_t point, const hydro_raw *raws, uint32_t count, const struct hd_collect_feed *how,
		    struct hydro_error *err); /* [worker] */
	int64_t (*newest)(void *arg, uint32_t point); /* newest known ts, 0 = none [any] */
	void (*hold)(void *arg, struct hd_worker *w, uint32_t point);    /* may be NULL [worker] */
	void (*release)(void *arg, struct hd_worker *w, uint32_t point); /* may be NULL [worker] */
	/* What the raw values would become, as a JSON value; may be NULL. [http] */
	int (*dry_run)(void *arg, uint32_t point, const hydro_raw *raws, uint32_t count, struct hd_buf *ret_json, struct hydro_error *err);
	const char *(*metric_name)(void *arg, uint32_t metric); /* may be NULL [any] */
	/* Under a simulated clock: nothing waits beside the collector; *ret_next_ms is lowered to the wall time at which something
	 * wants to run. NULL: always. [io] */
	bool (*idle)(void *arg, int64_t *ret_next_ms);
	/* Life-cycle events; level as HD_EVENT_* (0 error, 1 warn, 2 info). May be NULL. [any] */
	void (*event)(void *arg, uint32_t level, const char *event, const char *text);
	/* Ends a subscription's instance: drain, stop. NULL: its ops' stop. [control] */
	void (*stop)(void *arg, const struct hd_collect_provider *provider);
	/* Around each call of a plugin: its crumb and the point's id (NULL: none). May be NULL. [any] */
	void (*enter)(void *arg, uint32_t crumb, const void *point_id);
	void (*leave)(void *arg);
};

/* Zero means the default above it. */
struct hd_collect_config {
	struct hd_net *net;
	struct hd_points *points;
	const struct hd_collect_provider *providers;
	uint32_t provider_count;
	struct hd_collect_ops ops;
	uint32_t in_flight_max;    /* polls under way, all accounts */
	uint32_t pages_max;
	int64_t slice_ms;          /* a gap longer than it is filled in slices of it, with a share of a quarter of the account */
	int64_t history_ms;        /* no provider is asked for what is older */
	int64_t first_window_ms;   /* how far back a point without any reading and without a start is asked */
	int64_t ahead_ms;          /* how far ahead of now a window ends: a logger's wrong clock is to be seen while it is wrong, not when
	                            * its times have come; < 0: at now */
	int64_t skew_ms;           /* what is ahead by no more than that waits for its time, as what came in while a poll went on: else a part
	                            * asked late would move the newest reading past what the others have not been asked for. As the pipeline's */
	int64_t overlap_ms;        /* how far before the newest reading is asked once every overlap_every_ms; < 0: never */
	int64_t overlap_every_ms;  /* 0: overlap_ms */
	bool after_crash;          /* each point's first poll looks back by the overlap: some parts of the last one before may have been stored
	                            * and others, whose answers were still to come, not */
	int64_t deep_ms;           /* the same further back and less often, for what providers take in hours late; < 0: never */
	int64_t deep_every_ms;     /* 0: half of deep_ms, so that an outage at the time of one look leaves another */
	int64_t behind_ms;         /* how far back a part that failed while others did not is asked again */
	int64_t retry_ms;          /* first retry of what failed, doubling within the poll's period */
	uint32_t circuit_failures; /* failed polls in a row that open an account's circuit */
	int64_t circuit_open_ms, circuit_open_max_ms;
	int64_t sim_step_ms;       /* simulated clock: advances to multiples of it; 0: to each due time */
	int64_t sim_until_ms;      /* simulated clock: never beyond this wall time; 0: no end */
	uint64_t seed;             /* of the jitter; 0: random */
	/* Takes the place of hd_net_submit (tests); `done` must be called on the io thread. */
	int (*submit)(void *arg, const struct hd_net_request *request, hd_net_done_fn done, void *done_arg, struct hydro_error *err);
	void *submit_arg;
};

/*
 * Takes over all points there are, watches for changes, and begins to poll at once. HYDRO_E_INVALID for a configuration
 * that contradicts itself, HYDRO_E_NOMEM, or what subscribing failed with. The net and what the ops reach outlive it. [control]
 */
int hd_collect_open(const struct hd_collect_config *config, struct hd_collect **ret, struct hydro_error *err);
/* Starts no more polls and takes no more messages; those under way go on, what no worker has yet is nacked. [control] */
void hd_collect_drain_begin(struct hd_collect *collect);
/* Nothing is under way any more. [any] */
bool hd_collect_is_drained(struct hd_collect *collect);
/* drain_begin, then waits up to timeout_ms of real time; what is left then is cancelled and HYDRO_E_TIMEOUT returned. [control] */
int hd_collect_drain(struct hd_collect *collect, int64_t timeout_ms, struct hydro_error *err);
/* Cancels what is under way, ends the subscriptions, waits for workers and journal to give back what they have: both must
 * still run. The points' watch stays with them, so the points must not be changed any more. [control] */
void hd_collect_close(struct hd_collect **collect);

/* The account's options or version changed in the store: looked up again, a new login with the next poll. [control, http] */
int hd_collect_account_changed(struct hd_collect *collect, uint32_t account, struct hydro_error *err);
/* Makes all active points of a provider due now; their number. HYDRO_E_NOTFOUND for an unknown provider. [any but io] */
int hd_collect_now(struct hd_collect *collect, const char *provider, uint32_t *ret_points, struct hydro_error *err);
/* The same for one point. HYDRO_E_NOTFOUND, HYDRO_E_CONFLICT when it is not active. [any but io] */
int hd_collect_point_now(struct hd_collect *collect, uint32_t point, struct hydro_error *err);
/*
 * Polls the point once and stores nothing: {"point","provider","mode","requests":[{"method","url","headers","status",
 * "answer","outcome","reason"}],"readings":[{"ts","metric","value"}],"pipeline":…}. Secrets read "***", answers are cut
 * at 16 KiB. Waits for the answers. HYDRO_E_NOTFOUND, HYDRO_E_CONFIG, HYDRO_E_CANCELLED when draining. [http, control]
 */
int hd_collect_dry(struct hd_collect *collect, uint32_t point, struct hd_buf *ret_json, struct hydro_error *err);

/* One provider's health and counters as a JSON object; HYDRO_E_NOTFOUND. [any but io] */
int hd_collect_status_json(struct hd_collect *collect, const char *provider, struct hd_buf *ret, struct hydro_error *err);
/* All of them as a JSON array. [any but io] */
int hd_collect_providers_json(struct hd_collect *collect, struct hd_buf *ret, struct hydro_error *err);

/*
 * The next provider from *index on whose service did not answer last, with since when (wall clock, ms); *index moves past it.
 * false: no more. Waits for nobody, so that health can tell whatever else hangs. [any]
 */
bool hd_collect_next_down(const struct hd_collect *collect, uint32_t *index, const char **ret_name, int64_t *ret_since_ms);

/* Sums over all providers, for metrics and tests. */
#define HD_COLLECT_COUNTERS(X) \
	X(polls, "polls started") \
	X(polls_good, "polls whose parts were all answered well") \
	X(polls_failed, "polls with a failed part") \
	X(requests, "HTTP requests, logins included") \
	X(parts_data, "parts with data") \
	X(parts_no_data, "parts answered well without data") \
	X(parts_failed, "parts that failed") \
	X(raws, "raw values received") \
	X(retries, "polls repeated within their period") \
	X(logins, "logins that gave a token") \
	X(login_failures, "logins that failed") \
	X(stale_tokens, "answers 401 to a token already replaced") \
	X(not_started, "polls put off because a worker was full") \
	X(circuit_opens, "times an account's circuit opened") \
	X(gaps, "windows longer than two periods that brought data") \
	X(slices, "slices of gaps asked") \
	X(no_progress, "page chains stopped because nothing moved") \
	X(messages, "messages of subscriptions") \
	X(unknown_keys, "messages that name no point")
struct hd_collect_counters {
#define HD_COLLECT_COUNTER(name, text) uint64_t name;
	HD_COLLECT_COUNTERS(HD_COLLECT_COUNTER)
#undef HD_COLLECT_COUNTER
};
/* Of one provider, or of all when NULL. [any but io] */
int hd_collect_counters(struct hd_collect *collect, const char *provider, struct hd_collect_counters *ret, struct hydro_error *err);

#endif
