/* SPDX-License-Identifier: MIT */
/*
 * Filing: every due slot of every work filed once, on time, with its receipt, or explained. One thread (role filing) owns the
 * queues: it computes slots, takes their measurement from history, freezes the payload, claims, sends over its own HTTP
 * client, writes down what came, checks by GET, and raises alarms before a limit. It knows no regulator: adapters do.
 */
#ifndef HD_FILING_FILING_H
#define HD_FILING_FILING_H

#include "filing/adapter.h"
#include "filing/calendar.h"
#include "filing/ledger.h"
#include "history/history.h"
#include "model/names.h"

struct hd_batch;
struct hd_filing;
struct hd_net;

/* All zero takes the defaults in parentheses. Times in ms. */
struct hd_filing_config {
	struct hd_ledger *ledger;     /* borrowed, must outlive filing */
	struct hd_adapters *adapters; /* the same */
	struct hd_names *names;
	struct hd_net *net;           /* the same; requests go with HD_NET_FRESH */
	bool restored;                /* as hd_ledger_open said: begins on hold */
	bool manual;                  /* no thread: hd_filing_step is called (benches, tests) */

	int64_t send_from_ms;   /* (2 min) after due, the first turn in the hour */
	int64_t send_until_ms;  /* (50 min) after due, the last turn: slots of an hour are spread evenly between the two */
	int64_t deadline_reserve_ms; /* (3 min) a turn comes at least this long before the deadline that the measurement sets */
	int64_t lease_ms;       /* (120 s) of a claim, on BOOTTIME; must be more than all time-outs of a call together */
	int64_t timeout_ms;     /* (30 s) of a call */
	int64_t look_again_ms;  /* (5 min) for a slot without measurement in its first hour; then up to 1 h */
	int64_t amber_ms;       /* (45 min) after the measurement, not filed: alarm */
	int64_t red_ms;         /* (12 h) before the end of the lag: alarm */
	uint32_t circuit_failures; /* (5) failures in a row of a centre that open its circuit: only a check or a never-sent slot probes it */
	int64_t circuit_probe_ms;  /* (5 min) */
	uint32_t block_works;      /* (8) works in a row whose connection was reset that count as a block; 0 = never */
	bool no_connection_is_unsent; /* DNS, refused, TLS: counts as never sent (else as no answer: the next day) */

	void *arg;
	/* Samples of a point with from <= ts < to, the highest revision of each. [filing] */
	int (*history)(void *arg, const struct hd_history_query *query, hd_history_row_fn row, void *row_arg, struct hydro_error *err);
	/* Dense index of a point; false: there is none. [filing] */
	bool (*point)(void *arg, const struct hd_uuid *id, uint32_t *ret);
	/* The machine's clock is synchronised (real clocks only); NULL: it is. While it is not, nothing is sent. */
	bool (*clock_good)(void *arg);
	void (*event)(void *arg, uint32_t level, const char *event, uint32_t work, const char *text); /* log; NULL: dropped */
};

/* Starts the thread unless manual. HYDRO_E_CONFIG for a lease shorter than the time-outs. [control] */
int hd_filing_open(const struct hd_filing_config *config, struct hd_filing **ret, struct hydro_error *err);
/* Waits for the calls under way to end (their time-outs), writes down what came, joins. [control] */
void hd_filing_close(struct hd_filing **filing);
/* Something of the ledger's registry or settings changed: look now. [any] */
void hd_filing_wake(struct hd_filing *filing);
/* A listener for synced samples: wakes the slots of points whose measurement was waited for. [journal] */
void hd_filing_on_batch(void *arg, const struct hd_batch *batch);

/* Manual running and simulated clocks: does all that is due now; *ret_next_ms: wall time of the next thing to do (INT64_MAX none). */
void hd_filing_step(struct hd_filing *filing, int64_t *ret_next_ms);
/* Nothing is under way and nothing is due now; *ret_next_ms as above. [any] */
bool hd_filing_is_idle(struct hd_filing *filing, int64_t *ret_next_ms);

/* ---- acts of a person; each audited with who and why ------------------------------------------------------------------------- */

/* The global switch; off at first start. */
int hd_filing_switch(struct hd_filing *filing, bool on, const char *by, const char *why, struct hydro_error *err);
/* Leaves the hold after a restore. HYDRO_E_CONFLICT when there is none. */
int hd_filing_leave_hold(struct hd_filing *filing, const char *by, const char *why, struct hydro_error *err);
/* A blocked or stopped centre goes on, or is stopped. HYDRO_E_NOTFOUND. */
int hd_filing_centre_state(struct hd_filing *filing, uint32_t centre, bool running, const char *by, const char *why, struct hydro_error *err);
/* A work's configuration was corrected: its held slots go again from the next local day. */
int hd_filing_release(struct hd_filing *filing, uint32_t work, const char *by, const char *why, struct hydro_error *err);
/* Filed by sheet or form, with its receipt. HYDRO_E_CONFLICT for a slot that is filed or may be on its way. */
int hd_filing_by_hand(struct hd_filing *filing, uint32_t work, int64_t due_ms, const char *receipt, const char *by, const char *why, struct hydro_error *err);

/*
 * Asks the regulator for the other system's receipts (hd_ledger_foreign_put) of a work in from <= due < to that were not asked for yet,
 * each by GET in the centre's rate behind everything else, and compares with our slot's payload; what it shows is in
 * hd_ledger_foreign_list. *ret_queued: how many. HYDRO_E_CONFLICT while the centre may not call. [any]
 */
int hd_filing_compare(struct hd_filing *filing, uint32_t work, int64_t from_ms, int64_t to_ms, uint32_t *ret_queued, struct hydro_error *err);

/* ---- what it looks like --------------------------------------------------------------------------------------------------------- */

struct hd_filing_status {
	bool on, on_hold, clock_good;
	uint64_t states[HD_SLOT_STATE_COUNT]; /* of stored slots; DUE: waiting for a measurement */
	uint32_t works[3];                    /* by mode */
	uint32_t works_held, centres_blocked;
	uint64_t posts, checks;               /* since start */
	uint64_t answers[8];                  /* by HYDRO_FILING_*; 0: no answer */
	int64_t oldest_due_ms;                /* of what is not final; 0 = none */
	uint32_t in_flight;
	uint32_t alarms_amber, alarms_red;
};
void hd_filing_status(struct hd_filing *filing, struct hd_filing_status *ret); /* [any] */

/* Why a slot stands where it stands, and when it goes next, for people: also of slots that are not stored. [http] */
struct hd_slot_outlook {
	struct hd_slot slot;
	int64_t deadline_ms; /* measurement + deadline; 0 = not measured */
	int64_t limit_ms;    /* end of the lag */
	int64_t next_ms;     /* when it may be tried again; 0 = not by itself */
	char why[192];       /* Spanish */
	char why_en[192];
};
int hd_filing_outlook(struct hd_filing *filing, uint32_t work, int64_t due_ms, struct hd_slot_outlook *ret, struct hydro_error *err);

/* A plan before it is set: how long a backlog of `slots` slots over `works` works of this centre takes beside the fresh ones,
 * and whether that is within each work's lag. Also raised as an alarm while it is true of what is there. [http] */
struct hd_drain_forecast {
	uint64_t backlog;
	double fresh_per_hour, calls_per_hour;
	double needed_per_hour; /* calls of the fresh slots and their checks: above calls_per_hour they alone are too many */
	int64_t drained_ms;   /* wall time at which the backlog is gone; INT64_MAX never */
	uint64_t over_lag;    /* slots that will not make it */
	char text[192];
};
int hd_filing_forecast(struct hd_filing *filing, uint32_t centre, struct hd_drain_forecast *ret, struct hydro_error *err);
/*
 * Whether the centre could have the rate, spacing, scope of the backlog and share of checks of `row`: HYDRO_E_CONFLICT with the numbers
 * when with them its works' slots would not be filed within their lag, and more of them than as it stands. A centre that no engine knows
 * yet has no works. [http]
 */
int hd_filing_centre_check(struct hd_filing *filing, const struct hd_centre *row, struct hydro_error *err);

/* Per work and local day: slots due = filed + explained. Days that do not add up are errors of ours, and alarms. [http] */
struct hd_day_proof {
	int64_t day;
	uint64_t due, filed, explained, open; /* explained: missing, held, refused, unknown… with their cause; open: still within its time */
	bool adds_up;
};
int hd_filing_day_proof(struct hd_filing *filing, uint32_t work, int64_t day, struct hd_day_proof *ret, struct hydro_error *err);

/* The calendar of a work with its standard's defaults and own settings. HYDRO_E_NOTFOUND, HYDRO_E_CONFIG (unknown standard). [any] */
int hd_filing_calendar(const struct hd_adapters *adapters, const struct hd_work *work, struct hd_calendar *ret, struct hydro_error *err);

#endif
