/* SPDX-License-Identifier: MIT */
/*
 * A small regulator over HTTP with books of its own, and an adapter that speaks to it. Its books are the judge: what it has
 * accepted, when each request came by the simulated clock, what a second filing of an accepted slot was.
 */
#ifndef TESTS_FILING_REGULATOR_H
#define TESTS_FILING_REGULATOR_H

#include "filing/filing.h"
#include "plugin/plugin.h"

#include <pthread.h>
#include <stdatomic.h>

#define REGULATOR_SEEN_MAX 4096u
#define REGULATOR_HANGING_MAX 64u

/* How it answers one request. X-macro-free on purpose: tests name them. */
enum reply {
	REPLY_ACCEPT,        /* books it and answers with a receipt; a known slot: duplicate */
	REPLY_NO_RECEIPT,    /* books it, answers without receipt */
	REPLY_HELD,          /* the informant is not the work's */
	REPLY_ERROR,         /* 500, nothing booked */
	REPLY_REFUSE,        /* 400, nothing booked */
	REPLY_BLOCKED,       /* 403 page */
	REPLY_CUT,           /* closes without a word, nothing booked */
	REPLY_CUT_BOOKED,    /* books it, then closes without a word */
	REPLY_SILENT,        /* never answers, nothing booked */
	REPLY_SILENT_BOOKED, /* books it, never answers */
	REPLY_CHECK,         /* GET: by the books */
	REPLY_CHECK_DIFFERS,
	REPLY_CHECK_ABSENT,
};

struct seen {
	bool is_check;
	char code[32];
	long long due_ms;
	int64_t at_ms;   /* simulated */
	char payload[160];
	char receipt[32];
	enum reply reply;
	bool again;      /* a filing of a slot that was booked, and answered with acceptance */
};

struct regulator {
	int fd;
	uint16_t port;
	pthread_t thread;
	atomic_bool stopping;
	pthread_mutex_t lock; /* guards: all below */
	struct seen seen[REGULATOR_SEEN_MAX];
	uint32_t seen_count;
	int hanging[REGULATOR_HANGING_MAX];
	uint32_t hanging_count;
	uint32_t receipts;
	/* What to answer; NULL: accept and check by the books. Runs on the regulator's thread with the lock. */
	enum reply (*answer)(struct regulator *r, const struct seen *seen);
	void *arg;
	/* Called at steps of the exchange, without the lock: "connected", "read", "booked", "answered". NULL: not. */
	void (*at)(struct regulator *r, const char *step);
};

void regulator_start(struct regulator *r);
void regulator_stop(struct regulator *r);
uint32_t regulator_count(struct regulator *r, bool checks);        /* requests of a kind so far */
uint32_t regulator_count_of(struct regulator *r, const char *code); /* filings of a work */
struct seen regulator_get(struct regulator *r, bool checks, uint32_t i); /* the i-th of a kind */
/* Filings of slots that it had accepted and said so. */
uint32_t regulator_twice(struct regulator *r);
/* Books a slot as if another system had filed it. */
void regulator_book(struct regulator *r, const char *code, int64_t due_ms, const char *payload);

/* The adapter "fake" of the family "fake": deadline 1 h, spacing 5 min, standards mayor, medio, menor; kind "well". */
int fake_adapter_add(struct hd_adapters *adapters, const char *name, const char *valid_from, const struct regulator *r, struct hydro_error *err);

#endif
