/* SPDX-License-Identifier: MIT */
/* Inside of the engine. Everything here is of the filing thread unless said otherwise. */
#ifndef HD_FILING_FILING_IMPL_H
#define HD_FILING_FILING_IMPL_H

#include "base/clock.h"
#include "base/hash.h"
#include "filing/filing.h"
#include "filing/pace.h"
#include "net/client.h"

#include <pthread.h>
#include <stdatomic.h>

#define FILING_MAGIC 0x474e4c46u
#define FILING_NEVER INT64_MAX

#define FILING_CHECK_AFTER_MS (60 * HD_MS_PER_S)        /* a filed slot is checked not sooner: the regulator stores it after it has answered */
#define FILING_CHECK_BOUND_MS (30 * 60 * HD_MS_PER_S)   /* a check that has waited so long alternates with filings */
#define FILING_CHECK_TRIES 12u                          /* unclear answers to one check, each twice as late as the one before */
#define FILING_SETTLE_MS (20 * 60 * HD_MS_PER_S)        /* so long a slot waits for a reading nearer to its due time */
#define FILING_FETCH_MS (10 * 60 * HD_MS_PER_S)         /* after a start: what was read meanwhile is on its way */
#define FILING_BACKFILL_MS (60 * HD_MS_PER_S)           /* from the first past reading to the look for late slots */
#define FILING_LOOK_MAX_MS (60 * 60 * HD_MS_PER_S)
#define FILING_LOOK_SLOTS 200u                          /* waiting slots that one query of history serves */
#define FILING_RETRY_MS (60 * HD_MS_PER_S)              /* after a failure of our own disk or memory */
#define FILING_MINUTE_MS (60 * HD_MS_PER_S)
#define FILING_STEP_MS (30 * HD_MS_PER_S)               /* a step of the wall clock that stops filing */
#define FILING_FLUSH_NS (100 * HD_NS_PER_MS)            /* real: answers are gathered so long for one commit */
#define FILING_IN_FLIGHT_MAX 512u

struct filing_call;
struct filing_foreign;
struct filing_centre;
struct filing_pending;
struct filing_work;

/* A stored slot that still needs something: to be sent, or to be checked. */
struct filing_slot {
	struct filing_slot *next;       /* of the work, ascending by due */
	struct hd_pace_node check;      /* in its centre's checks, by time */
	struct filing_work *work;
	const struct hd_adapter *adapter; /* that made its payload; NULL: not known here any more */
	char *payload;                  /* kept until it was checked, if there was room; else read from the ledger */
	char *receipt;                  /* the same */
	int64_t due_ms, measured_ms;
	int64_t not_before_ms;          /* turn, retry or check */
	int64_t last_attempt_ms;
	uint32_t attempts, epoch;
	uint16_t payload_len;
	uint8_t state, marks;
	uint8_t checks;                 /* unclear ones so far */
	bool in_flight;
};

struct filing_work {
	struct hd_pace_node timer, ready; /* ready: in its centre's heap */
	uint32_t number, mode;
	uint64_t version, hash;
	struct filing_centre *centre; /* NULL = none */
	uint32_t informant;
	uint32_t point;               /* dense; UINT32_MAX = none (yet) */
	uint32_t pick;
	bool by_sheet, held, tracked; /* tracked: its calendar runs */
	bool woken, watched;
	struct hd_uuid point_id;
	struct hd_calendar calendar;
	int64_t window_ms, starts_ms, ends_ms;
	int64_t spacing_ms, deadline_ms; /* of its adapter of today */
	char *code, *kind, *standard, *family, *options_json, *adapters_json;
	struct hd_options *options;   /* by `options_of` */
	const struct hd_adapter *options_of;
	uint32_t metrics[HYDRO_FIELDS];
	char trouble[96];             /* why it cannot be prepared: an unknown standard, options that do not hold; "" = none */

	int64_t next_due_ms;          /* first slot whose time has not come */
	int64_t *waiting;             /* due, without measurement; ascending */
	uint32_t waiting_count, waiting_capacity;
	int64_t look_ms, look_step_ms;
	struct filing_slot *slots;
	uint32_t slot_count;
	int64_t last_post_ms;
	int64_t candidate_ms;         /* when it may have a slot to send; FILING_NEVER */
	int64_t foreign_ms;           /* when the claim of another process on one of its slots is over; FILING_NEVER */
	int64_t mark_ms;              /* when one of its slots passes amber, red or its lag */
	uint32_t amber, red;          /* slots past the amber or red time that are not filed */
	struct filing_work *same_point;
};

struct filing_centre {
	uint32_t number, state, backlog_scope;
	uint64_t version;
	int64_t spacing_ms, registered_ms, last_backlog_ms;
	double check_share, calls_per_s;
	char *name, *identifier;
	struct hd_pace_heap ready;
	struct hd_pace_gate gate;
	struct hd_pace_circuit circuit;
	int64_t forecast_ms; /* when the next look is at whether its backlog drains in time */
	bool told_backlog;
	struct hd_pace_heap checks;
	bool last_was_check, seen;
	struct filing_foreign *foreign, *foreign_last; /* receipts of another system to be asked for when nothing else is to be done */
	uint32_t foreign_count;
	uint32_t resets;              /* works in a row whose connection was reset */
	uint32_t reset_work;
	uint32_t works, live;
	uint32_t amber, red;          /* works that have such slots */
	uint32_t told_amber, told_red;
};

struct filing_informant {
	uint64_t version;
	char *identifier, *secret;
};

/* A change on its way to the ledger, with what it owns. */
struct filing_change {
	struct filing_work *work;
	struct filing_call *call;         /* whose outcome it is */
	const struct hd_adapter *adapter; /* of a slot that is queued */
	int64_t not_before_ms;            /* over what its state says; 0 = none */
	bool final;                       /* nothing more is to be done for the slot, whatever its state */
	double values[HYDRO_FIELDS];
	char cause[96];
	char receipt[HD_RECEIPT_BYTES];
	char *payload, *detail;
};
struct filing_changes {
	struct hd_slot_change *rows;
	struct filing_change **own;
	uint32_t count, row_capacity, own_capacity;
};

/* A request under way. */
struct filing_call {
	struct filing_call *next;
	struct hd_filing *filing;
	uint32_t work;
	uint32_t epoch;
	bool is_check, is_foreign, answered, kept;
	_Atomic bool begun;         /* the first byte may have been written */
	int64_t due_ms, lease_until_ns, started_ms, submitted_ns;
	const struct hd_adapter *adapter;
	uint32_t adapter_failures;  /* how often its adapter failed to read the answer */
	char *payload;
	uint32_t payload_len;
	char receipt[HD_RECEIPT_BYTES];
	/* written by the io thread before it is handed back */
	uint32_t status, failure;
	struct hd_buf body;
	int64_t retry_after_ms;
	char content_type[96], detail[128];
};

/* A piece of work that another thread asked for. */
struct filing_act {
	struct filing_act *next;
	int (*fn)(struct hd_filing *filing, void *arg, struct hydro_error *err);
	void *arg;
	struct hydro_error *err;
	int rc;
	bool done;
};

struct filing_watch {
	int64_t from_ms, to_ms;
	uint32_t work; /* first of the point's works; the others by same_point */
};

struct hd_filing {
	uint32_t magic;
	struct hd_filing_config config;
	struct hd_pace_rules rules;

	struct filing_work **works; /* by number */
	uint32_t work_capacity;
	struct filing_centre **centres;
	uint32_t centre_capacity;
	struct filing_informant *informants;
	uint32_t informant_capacity;
	struct hd_pace_heap timers;
	struct filing_changes changes;
	struct filing_pending *pending; /* FILING_IN_FLIGHT_MAX: to be claimed in this tick */
	struct hd_slot_change *claims; /* as many */
	uint32_t pending_count;
	uint64_t posts, checks, answers[8];
	uint64_t revision;
	uint64_t slot_count, waiting_count, payload_bytes;
	int64_t reload_ns, reload_cost_ns; /* real */
	int64_t opened_ms;              /* wall clock at the start */
	bool relink; /* a point was found that was not there before */
	_Atomic bool on; /* the switch; read by the io thread just before a write */
	bool loaded, on_hold, clock_good, stopped_by_clock;
	int64_t hold_from_ms, hold_to_ms;
	int64_t offset_ms, offset_since_ms; /* wall - BOOTTIME */
	int64_t minute_ms, anchor_day, pack_day;
	int64_t retry_ms;               /* the ledger did not take a write: nothing before then */
	uint32_t in_flight, put_back;   /* put_back: of them, answered, and read later */
	int64_t last_submit_ns;
	uint64_t ledger_failures, failures_before; /* before closing */
	int64_t proof_day, certificates_hour;
	uint32_t not_ready_told;
	int64_t totals_ns;

	pthread_mutex_t lock; /* guards: done, outstanding, acts, woken, watches, status, waits_until_ms, next_ms, busy, woken_up, closing */
	pthread_cond_t cond;
	struct filing_call *done;
	uint32_t outstanding; /* calls that the client has and has not given back */
	int64_t done_since_ns;
	struct filing_act *acts;
	uint32_t *woken;
	uint32_t woken_count, woken_capacity;
	struct filing_watch *watches; /* by point */
	uint32_t watch_count;
	struct hd_filing_status status;
	uint64_t status_revision;
	int64_t waits_until_ms; /* retry_ms, as others see it */
	int64_t next_ms;
	bool busy, woken_up, started;
	_Atomic bool closing;
	pthread_t thread;
};

/* ---- filing.c ---- */
/* Runs fn on the filing thread (straight away when manual) and waits. [any] */
int filing_act(struct hd_filing *f, int (*fn)(struct hd_filing *f, void *arg, struct hydro_error *err), void *arg, struct hydro_error *err);
void filing_event(struct hd_filing *f, uint32_t level, const char *event, uint32_t work, const char *fmt, ...) HD_PRINTF(5, 6);

/* ---- registry.c: works, centres, informants, settings as the ledger has them ---- */
int filing_registry_load(struct hd_filing *f, int64_t now_ms, struct hydro_error *err);
void filing_registry_done(struct hd_filing *f);
void filing_points_link(struct hd_filing *f);
struct filing_work *filing_work(struct hd_filing *f, uint32_t number);      /* NULL */
struct filing_centre *filing_centre(struct hd_filing *f, uint32_t number); /* NULL */
double filing_calls_per_s(const struct hd_centre *row); /* or the default */
/* Identifier and secret of an informant, read once and kept. */
const struct filing_informant *filing_informant(struct hd_filing *f, uint32_t number, struct hydro_error *err);

/* ---- versions.c ---- */
/* The newest of the family by the slot's date, or the one that the work's own rows name. */
const struct hd_adapter *filing_adapter_of(struct hd_filing *f, const struct filing_work *w, int64_t due_ms);
/* What the work's versions in shadow would have sent for a slot, for the audit: JSON to be freed, NULL without any. One that would have
 * refused is an alarm. */
char *filing_shadows(struct hd_filing *f, struct filing_work *w, const struct hd_adapter *adapter, const hydro_filing_slot *slot);

/* ---- works.c: slots and waiting slots in memory, timers ---- */
struct filing_slot *filing_slot_find(struct filing_work *w, int64_t due_ms);
struct filing_slot *filing_slot_add(struct hd_filing *f, struct filing_work *w, int64_t due_ms);
void filing_slot_drop(struct hd_filing *f, struct filing_slot *slot);
/* Takes over what the ledger has of a slot. */
int filing_slot_adopt(struct hd_filing *f, struct filing_work *w, const struct hd_slot *row);
/* Reads it anew from the ledger: another process changed it. */
void filing_slot_refresh(struct hd_filing *f, struct filing_work *w, int64_t due_ms);
/* When it may be sent, from its state. */
void filing_slot_time(struct hd_filing *f, struct filing_slot *slot);
bool filing_waiting_add(struct hd_filing *f, struct filing_work *w, int64_t due_ms);
void filing_waiting_remove(struct hd_filing *f, struct filing_work *w, int64_t due_ms);
/* Loads what is stored of a work since its start: what is open, what was not checked, what is missing. number 0: of all. */
int filing_slots_load(struct hd_filing *f, uint32_t number, int64_t now_ms, struct hydro_error *err);
void filing_slots_forget(struct hd_filing *f, struct filing_work *w);
/* What a work's timer is for: the calendar goes on, looks, marks, its candidate goes to its centre. */
void filing_work_run(struct hd_filing *f, struct filing_work *w, int64_t now_ms);
void filing_work_arm(struct hd_filing *f, struct filing_work *w);
/* The slot that it would send now; NULL: none, *ret_next_ms when. */
struct filing_slot *filing_work_pick(struct hd_filing *f, struct filing_work *w, int64_t now_ms, uint32_t *ret_class, int64_t *ret_next_ms);
void filing_work_candidate(struct hd_filing *f, struct filing_work *w, int64_t now_ms);
int64_t filing_spacing(const struct filing_work *w);
int64_t filing_deadline(const struct filing_slot *slot);

/* ---- measure.c ---- */
void filing_look(struct hd_filing *f, struct filing_work *w, int64_t now_ms);
const hydro_options *filing_work_options(struct filing_work *w, const struct hd_adapter *adapter, struct hydro_error *err);
void filing_watch(struct hd_filing *f, struct filing_work *w, int64_t from_ms, int64_t to_ms);

/* ---- changes.c: gathered for one transaction ---- */
/* A row to be filled; NULL without memory. Its texts live in `own`. */
struct hd_slot_change *filing_change_add(struct filing_changes *changes, struct filing_work *w, int64_t due_ms, uint32_t from, uint32_t to, int64_t now_ms,
					 struct filing_change **ret_own);
void filing_changes_clear(struct filing_changes *changes);
void filing_changes_done(struct filing_changes *changes);
/* Writes what was gathered, and what was written into memory. */
void filing_changes_flush(struct hd_filing *f, int64_t now_ms);

/* ---- send.c, check.c, answer.c ---- */
bool filing_may_send(const struct hd_filing *f, const struct filing_centre *c);
/* All centres' calls that may go now. */
void filing_send(struct hd_filing *f, int64_t now_ms);
/* When the next of them may. */
int64_t filing_send_next(struct hd_filing *f, int64_t now_ms);
struct filing_call *filing_call_new(struct hd_filing *f, struct filing_slot *slot, bool is_check, struct hydro_error *err);
void filing_call_free(struct filing_call *call);
int filing_call_send(struct hd_filing *f, const struct filing_call *call, struct filing_work *w, bool with_secret, int64_t now_ms, hydro_filing_send *ret,
		     struct hydro_error *err);
void filing_call_submit(struct filing_call *call, struct filing_centre *c, const hydro_http_request *request);
/* Its answer is here: a call under way while this process slept holds its centre's rate from now, as it may have arrived just now. */
void filing_call_arrived(struct hd_filing *f, struct filing_centre *c, const struct filing_call *call, int64_t now_ms);
size_t filing_pending_bytes(void);
/* A work that cannot be sent as it is configured: event and alarm. */
void filing_trouble(struct hd_filing *f, struct filing_work *w, const char *why, int64_t now_ms);
int64_t filing_check_after(const struct filing_work *w); /* ms from filing to check */
/* At not_before_ms. */
void filing_check_queue(struct filing_slot *slot);
void filing_check_unqueue(struct filing_slot *slot);
struct filing_slot *filing_check_first(const struct filing_centre *c); /* NULL */
void filing_check_answer(struct hd_filing *f, struct filing_call *call, int64_t now_ms);
/* A change that is the outcome of a call, with what was answered as its detail. NULL without memory. */
struct hd_slot_change *filing_outcome(struct hd_filing *f, struct filing_call *call, struct filing_work *w, uint32_t from, uint32_t to, const char *text,
				      int64_t now_ms, struct filing_change **ret_own);
/* Ends a call that has no outcome to write. */
void filing_call_done(struct hd_filing *f, struct filing_call *call);
bool filing_check_send(struct hd_filing *f, struct filing_centre *c, int64_t now_ms);
bool filing_check_wanted(const struct hd_filing *f, const struct filing_work *w, const struct hd_adapter *adapter, int64_t due_ms);
/* What came back: into changes. */
void filing_answers(struct hd_filing *f, int64_t now_ms);
void filing_hold_work(struct hd_filing *f, struct filing_work *w, const char *why, int64_t now_ms);
void filing_block(struct hd_filing *f, struct filing_centre *c, const char *why, int64_t now_ms);
void filing_result(struct hd_filing *f, struct filing_centre *c, struct filing_work *w, const struct filing_call *call, int64_t now_ms);

/* ---- foreign_check.c ---- */
void filing_foreign_clear(struct filing_centre *c);
/* Asks for the first; false when none could be. */
bool filing_foreign_send(struct hd_filing *f, struct filing_centre *c, int64_t now_ms);
void filing_foreign_answer(struct hd_filing *f, struct filing_call *call, int64_t now_ms);

/* ---- reconcile.c, alarms.c ---- */
void filing_minute(struct hd_filing *f, int64_t now_ms);
void filing_clock_look(struct hd_filing *f, int64_t now_ms);
void filing_hold_tell(struct hd_filing *f);
void filing_alarm(struct hd_filing *f, uint32_t level, const char *kind, uint32_t work, uint32_t centre, uint32_t count, const char *text, const char *text_en);
void filing_alarm_clear(struct hd_filing *f, const char *kind, uint32_t work, uint32_t centre);
void filing_marks_run(struct hd_filing *f, struct filing_work *w, int64_t now_ms);
void filing_alarms_tell(struct hd_filing *f, int64_t now_ms);
/* ---- outlook.c ---- */
void filing_forecast(const struct hd_filing *f, const struct filing_centre *c, int64_t now_ms, struct hd_drain_forecast *ret);

#endif
