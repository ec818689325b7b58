/* SPDX-License-Identifier: MIT */
/*
 * A collector in a test: a manual net, a provider and a server of a few lines, workers that run when the test says so, a
 * pipeline that only remembers. All on the test's thread and on the simulated clock, so that each run is the same.
 */
#ifndef HD_TESTS_COLLECT_FAKE_H
#define HD_TESTS_COLLECT_FAKE_H

#include "collect/collect.h"

#include <stdbool.h>

#define FAKE_POINTS_MAX 64u
#define FAKE_REQUESTS_MAX 16384u
#define FAKE_FEEDS_MAX 16384u
#define FAKE_WORKERS 2u

struct fake;

struct fake_request {
	bool login;
	uint32_t point, part, mode;
	int64_t from_ms, to_ms, at_ms; /* at: wall clock when asked */
	char token[32], continuation[32], secret[32];
};

struct fake_reply {
	uint32_t status;  /* 0: by `failure` */
	uint32_t failure; /* HD_NET_* */
	int64_t retry_after_ms;
	char body[65536];
};

struct fake_feed {
	uint32_t point, count, mode;
	int64_t first_ms, last_ms;
	bool sorted;
};

struct fake {
	struct hd_net *net;
	struct hd_points *points;
	struct hd_collect *collect;
	struct hd_collect_config config;
	struct hd_collect_provider provider;
	hydro_provider_ops ops;
	/* the provider's shape */
	uint32_t parts;
	bool latest_only; /* this instance is without history, though the plugin knows it */
	/* the server; NULL: fake_serve_series */
	void (*serve)(struct fake *f, const struct fake_request *request, struct fake_reply *reply);
	int64_t reading_ms;  /* a logger's period */
	int64_t silent_from_ms, silent_to_ms; /* no readings with a time in it */
	bool down;
	uint32_t page_rows;  /* rows of a page; 0: all */
	uint64_t tokens;     /* number of the token that is accepted */
	uint32_t token_life_s;
	/* what happened */
	struct fake_request requests[FAKE_REQUESTS_MAX];
	uint32_t request_count, login_count;
	struct fake_feed feeds[FAKE_FEEDS_MAX];
	uint32_t feed_count;
	int64_t newest_ms[FAKE_POINTS_MAX];
	uint64_t rows[FAKE_POINTS_MAX]; /* distinct new rows fed */
	uint32_t holds, releases, most_in_flight, in_flight;
	char last_event[64];
	/* control */
	bool workers_full, hold_replies, refuse_feed, hold_syncs;
	bool logins_first; /* their answers overtake those of polls */
	struct {
		void (*synced)(void *arg, uint32_t accepted, uint32_t dropped);
		void *arg;
	} syncs[256]; /* held back */
	uint32_t sync_count;
	bool (*idle)(struct fake *f);
	/* insides */
	struct fake_pending *pending, **pending_end;
	struct fake_job *jobs, **jobs_end;
	uint64_t account_version;
	char account_options[128];
};

/* Fills in defaults; the test changes what it wants, then calls fake_open. */
struct fake *fake_new(void);
/* Adds a point of provider "fake"; options are its number. */
uint32_t fake_point(struct fake *f, uint32_t period_s, uint32_t account);
void fake_point_set(struct fake *f, uint32_t index, uint32_t period_s, uint32_t bits, const char *options);
void fake_open(struct fake *f);
/* Runs all there is to do without moving the clock. */
void fake_pump(struct fake *f);
/* Moves the clock on in steps, pumping at each. */
void fake_run(struct fake *f, int64_t ms, int64_t step_ms);
void fake_free(struct fake *f);
/* Answers as a provider with one reading each reading_ms. */
void fake_serve_series(struct fake *f, const struct fake_request *request, struct fake_reply *reply);
/* Polls (not logins) recorded from place `from` on. */
uint32_t fake_polls(const struct fake *f, uint32_t from);
struct hd_collect_counters fake_counters(struct fake *f);
/* Time now; the collector's grids begin anew with each fake, so tests do not depend on each other. */
int64_t fake_now(void);

#endif
