/* SPDX-License-Identifier: MIT */
/*
 * The ledger of filing (filing.db, SQLite, WAL, synchronous = FULL): works, centres, informants, certificates, what happened
 * to slots, the hash-chained audit, alarms and settings. One thread at a time writes (the filing thread, or a caller inside
 * hd_ledger_write); reads have connections of their own.
 *
 * Audit first: a state changes only in the transaction that writes its audit row. Each work has a chain: row n holds
 * BLAKE2b-256 over (hash of row n-1, n, work, due, time, from, to, actor, detail, payload). The heads of all chains are sealed once
 * a UTC-offset day into `anchors`, a chain of its own, so that a chain cut short shows.
 */
#ifndef HD_FILING_LEDGER_H
#define HD_FILING_LEDGER_H

#include "base/buf.h"
#include "base/uuid.h"
#include "store/seal.h"
#include "store/points.h" /* struct hd_store_page, hd_db, hd_store_fn */

#define HD_LEDGER_PAGE_MAX 1000u
#define HD_LEDGER_ALL UINT32_MAX
#define HD_RECEIPT_BYTES 64u
#define HD_WORK_CODE_BYTES_MAX 63u

struct hd_ledger;

/* States of a slot. Numbers are stored. X(NAME, number, text, doc) */
#define HD_SLOT_STATES(X) \
	X(DUE, 0, "due", "its time has come, no measurement yet; not stored") \
	X(QUEUED, 2, "queued", "measured, its payload frozen: waits for its turn") \
	X(CLAIMED, 3, "claimed", "one process has the right to send it until its lease is over") \
	X(SENDING, 4, "sending", "the request may be on its way") \
	X(FILED, 5, "filed", "taken by the regulator, receipt kept") \
	X(FILED_NO_RECEIPT, 6, "filed_no_receipt", "taken without a receipt: to be verified by hand") \
	X(FILED_DIFFERS, 7, "filed_differs", "the regulator has other values under this slot: never sent again, a person must look") \
	X(UNKNOWN, 8, "unknown", "it may have been taken: sent again on the next day") \
	X(REFUSED, 9, "refused", "not taken: sent again on the next day") \
	X(HELD, 10, "held", "the work's configuration or this slot's format is wrong: again after the correction, from the next day") \
	X(MISSING, 11, "missing", "no measurement until the lag was over") \
	X(SHADOW, 12, "shadow", "prepared exactly, not sent: the work is in shadow") \
	X(BY_HAND, 13, "by_hand", "filed by sheet or form and marked by a person")
#define HD_SLOT_CONSTANT(NAME, number, text, doc) HD_SLOT_##NAME = number,
enum hd_slot_state { HD_SLOT_STATES(HD_SLOT_CONSTANT) HD_SLOT_STATE_COUNT = 14 };
#undef HD_SLOT_CONSTANT
const char *hd_slot_state_name(uint32_t state);      /* "" for a number that is none */
bool hd_slot_state_parse(const char *text, uint32_t *ret);
/* Nothing more is sent for it: FILED…, MISSING, SHADOW, BY_HAND. */
bool hd_slot_state_is_final(uint32_t state);

#define HD_SLOT_LATE 1u      /* not filed within the deadline counted from its measurement */
#define HD_SLOT_OVER_LAG 2u  /* not filed within the lag: a failure of transmission to be reported */
#define HD_SLOT_CHECKED 4u   /* GET showed the same values */
#define HD_SLOT_FLAGGED 8u   /* odd values (flags of quality), filed as read */
#define HD_SLOT_FOREIGN 16u  /* its receipt came with a duplicate answer: filed before, by us unknowingly or by another */
#define HD_SLOT_WAS_UNKNOWN 32u /* set by the ledger: it was UNKNOWN once, so that its payload may never be made anew */

/* Work modes. */
#define HD_MODE_OFF 0u
#define HD_MODE_SHADOW 1u
#define HD_MODE_LIVE 2u

#define HD_PICK_NEAREST 1u /* the reading nearest before the due time, within the window */
#define HD_PICK_MEAN 2u    /* flow and level: mean over the period before the due time; total: the last reading in it */

struct hd_work {
	uint32_t number; /* dense from 1, never reused */
	uint32_t mode;   /* HD_MODE_* */
	uint32_t centre, informant; /* numbers; 0 = none yet */
	uint32_t every;  /* HYDRO_EVERY_*; 0 = the standard's */
	uint32_t pick;   /* HD_PICK_* */
	uint32_t lag_months;
	bool by_sheet;   /* its user files by sheet or form: slots are prepared and never sent */
	bool deleted;
	struct hd_uuid id, point; /* point: all zero = none yet */
	uint64_t version;
	int64_t lag_ms;        /* 0 with lag_months 0: the standard's */
	int64_t at_ms;         /* filing hour; -1: 0 */
	int64_t window_ms;     /* for HD_PICK_NEAREST; 0 = HD_WINDOW_MS */
	int64_t starts_ms;     /* start of compliance: no slot before it; 0 = not set, no slots at all */
	int64_t ends_ms;       /* 0 = no end */
	int64_t held_since_ms; /* 0 = not held */
	int64_t created_ms, updated_ms;
	double granted_lps, granted_m3_year; /* NAN = not set */
	const char *code, *name, *kind, *standard, *family, *client, *region, *shac, *notes;
	const char *held_why;  /* "" = not held */
	const char *options;   /* JSON of the adapter's work options */
	const char *adapters;  /* JSON: [{"adapter":"dga_2027","from":"2027-01-01","mode":"shadow"}]: over the family's dates */
	const char *flow_metric, *total_metric, *level_metric; /* "" = flow, total, the kind's */
};
#define HD_WINDOW_MS INT64_C(3600000)

#define HD_CENTRE_RUNNING 0u
#define HD_CENTRE_BLOCKED 1u /* by signs of a block; waits for a person */
#define HD_CENTRE_STOPPED 2u /* by a person */

#define HD_BACKLOG_PER_WORK 0u
#define HD_BACKLOG_PER_CENTRE 1u

struct hd_centre {
	uint32_t number;
	uint32_t state;         /* HD_CENTRE_* */
	uint32_t backlog_scope; /* HD_BACKLOG_* */
	struct hd_uuid id;
	uint64_t version;
	int64_t spacing_ms;     /* 0 = the adapter's */
	int64_t state_since_ms, registered_ms; /* registered_ms 0 = no registration recorded: no work of it may be live */
	double calls_per_s;     /* POST and GET together; 0 = 1 */
	double check_share;     /* of filed slots that are checked by GET: 1 = all */
	const char *name, *identifier, *registration, *state_why, *state_by;
	int64_t created_ms, updated_ms;
};

struct hd_informant {
	uint32_t number;
	struct hd_uuid id;
	uint64_t version;
	const char *name, *identifier;
	const char *secret; /* NULL in reads that do not ask for it; sealed at rest */
	bool has_secret;
	int64_t created_ms, updated_ms;
};

/* A certificate used towards the regulator; the PEM's own dates. */
struct hd_certificate {
	uint32_t number;
	struct hd_uuid id;
	uint32_t centre;
	const char *name, *subject, *issuer, *serial, *pem;
	int64_t not_before_ms, not_after_ms, created_ms;
};

struct hd_slot {
	uint32_t work;
	uint32_t state;
	uint32_t marks;     /* HD_SLOT_LATE … */
	uint32_t attempts;  /* requests that were claimed */
	uint32_t adapter;   /* id of the adapter's name in the ledger; 0 = none */
	uint32_t epoch;     /* of the last claim */
	uint32_t owner;     /* of the last claim: number of the process's row in `owners` */
	int64_t due_ms, measured_ms, queued_ms;
	int64_t last_attempt_ms; /* 0 = none */
	int64_t filed_ms;        /* when it was known to be filed; 0 = not */
	int64_t lease_until_ns;  /* BOOTTIME, of the claim; 0 = none */
	double values[3];        /* HYDRO_FIELD_* as frozen; NAN = empty */
	char receipt[HD_RECEIPT_BYTES]; /* "" = none */
	char cause[96];          /* why it stands where it stands: "no_reading", "http 503", "time-out"… */
};

/* ---- life ------------------------------------------------------------------------------------------------------------------ */

struct hd_ledger_config {
	const char *path;         /* filing.db */
	const char *mark_path;    /* outside the data folder: how far the ledger had come, to know a restored one; NULL = none (tests) */
	const struct hd_key *key; /* seals secrets, keys the anchors; copied */
	const char *machine;      /* NULL = /etc/machine-id */
	int32_t utc_offset_s;     /* of local days (counts, anchors), set by the first opening; 0 = -14400 */
	bool unsafe_no_sync;      /* benches of CPU only */
};

/*
 * Opens, migrates. *ret_restored: the ledger is older than its mark, or another machine's, or its mark is gone: filing must stand on hold. The
 * ledger itself has then, in one transaction, written the setting "hold" ("restored", with why in "hold_why", "restored_from_ms" = last
 * change it knows, "restored_to_ms" = now) and made UNKNOWN whatever might have been sent since (QUEUED, REFUSED, claims, HELD with
 * attempts). It stays true at each opening while "hold" is "restored"; leaving hold is putting "" there.
 * HYDRO_E_CONFIG for a newer ledger, HYDRO_E_KEY, HYDRO_E_CORRUPT, HYDRO_E_IO. [control]
 */
int hd_ledger_open(const struct hd_ledger_config *config, struct hd_ledger **ret, bool *ret_restored, struct hydro_error *err);
void hd_ledger_close(struct hd_ledger **ledger);
/* Runs fn in one transaction on the writing connection. HYDRO_E_FULL, HYDRO_E_IO when it could not be committed: nothing of it
 * holds. [any that may wait] */
int hd_ledger_write(struct hd_ledger *ledger, hd_store_fn fn, void *arg, struct hydro_error *err);
/* One read transaction on a connection of a pool; fn may read again (another connection, perhaps a later state). [any that may wait] */
int hd_ledger_read(struct hd_ledger *ledger, hd_store_fn fn, void *arg, struct hydro_error *err);

/* Small settings ("kill_switch", "hold"), each change audited in the global chain (work 0) with who and why. */
int hd_ledger_setting_get(struct hd_ledger *ledger, const char *key, struct hd_buf *ret, struct hydro_error *err); /* HYDRO_E_NOTFOUND */
int hd_ledger_setting_put(struct hd_ledger *ledger, const char *key, const char *value, const char *by, const char *why, struct hydro_error *err);

/* This process's row: machine id, pid, start; its number is the owner of claims. */
uint32_t hd_ledger_owner(const struct hd_ledger *ledger);

/* ---- slots and their audit --------------------------------------------------------------------------------------------------- */

/* One change of one slot. What is not named stays as it is. */
struct hd_slot_change {
	uint32_t work;
	uint32_t from, to;      /* HD_SLOT_*; from DUE: the row must not exist yet. from == to: an event that changes no state (check, mark) */
	/* To SENDING from a state that may be CLAIMED: both at once, two audit rows, one CAS: the claim (epoch, lease_until_ns) as to CLAIMED. */
	uint32_t epoch;         /* the claim's, from CLAIMED and SENDING on: must be the row's (a paused process may not write); 0 = not compared.
	                           to CLAIMED: written by the call. From UNKNOWN with an epoch: a late answer of that claim, nobody having claimed since */
	uint32_t add_marks;
	int64_t due_ms;
	int64_t at_ms;          /* wall clock of the change */
	int64_t lease_until_ns; /* to CLAIMED */
	const char *actor;      /* "hydrod", or who did it over REST */
	const char *cause;      /* NULL: as it is; at most 95 bytes */
	const char *receipt;    /* NULL: as it is */
	const char *detail;     /* JSON for the audit; NULL = {}. Never holds a secret. */
	size_t detail_len;
	/* to QUEUED from DUE, or a HELD one whose payload is made anew: what is frozen */
	const char *payload;
	size_t payload_len;
	const char *adapter;
	int64_t measured_ms;
	const double *values;   /* 3 */
	int32_t rc;             /* by the call: HYDRO_OK, or HYDRO_E_CONFLICT (the slot is not in `from`, or of another claim) */
};

/*
 * All changes in one transaction with one sync, each with its audit row; a change that conflicts has its rc set and is left out,
 * the others hold. When the mark can't be written after the commit (HYDRO_E_IO) the claims stand but nothing may be sent: they expire. Which ways are open from a state is a table in ledger (HYDRO_E_INVALID for a way there is not). [filing, or inside no write]
 */
int hd_ledger_apply(struct hd_ledger *ledger, struct hd_slot_change *changes, uint32_t count, struct hydro_error *err);

/* At start, before anything is sent: every CLAIMED or SENDING slot whose lease is over or whose owner is gone becomes UNKNOWN,
 * cause "claim expired". *ret_count is how many. Called again by the reconciler for leases of other processes. */
int hd_ledger_expire_claims(struct hd_ledger *ledger, int64_t now_ms, int64_t boot_ns, uint64_t *ret_count, struct hydro_error *err);

/* Wall time of the last change of any slot; 0 = none yet: what was due since then may have been sent by a ledger that was restored over. */
int hd_ledger_last_change(struct hd_ledger *ledger, int64_t *ret_ms, struct hydro_error *err);

typedef int (*hd_slot_fn)(void *arg, const struct hd_slot *slot, struct hydro_error *err);

struct hd_slot_filter {
	uint32_t work;    /* HD_LEDGER_ALL */
	uint32_t states;  /* bits 1 << HD_SLOT_*; 0 = all */
	uint32_t marks_set, marks_clear;
	int64_t from_ms, to_ms; /* due; to exclusive; 0, 0 = all */
	const char *receipt;    /* exact; NULL = any */
	uint32_t after_work; int64_t after_due; /* of the last row of the page before; work 0 at the start */
	uint32_t limit;   /* 0 = no limit */
	bool descending;
};
/* In order of (work, due). [as hd_ledger_read] */
int hd_ledger_slots(struct hd_ledger *ledger, const struct hd_slot_filter *filter, hd_slot_fn fn, void *arg, struct hydro_error *err);
/* The text of an adapter's id in a slot; "" for none. */
int hd_ledger_name(struct hd_ledger *ledger, uint32_t id, char ret[64], struct hydro_error *err);
int hd_ledger_slot(struct hd_ledger *ledger, uint32_t work, int64_t due_ms, struct hd_slot *ret, struct hydro_error *err); /* HYDRO_E_NOTFOUND: nothing happened to it */
/* The frozen payload with the adapter's name. HYDRO_E_NOTFOUND. */
int hd_ledger_payload(struct hd_ledger *ledger, uint32_t work, int64_t due_ms, struct hd_buf *ret, char ret_adapter[64], struct hydro_error *err);

struct hd_audit_row {
	uint32_t work;
	uint32_t from, to;
	uint64_t sequence; /* in the work's chain, from 1 */
	int64_t due_ms;    /* 0 for rows about the work itself */
	int64_t at_ms;
	const char *actor, *detail, *payload;
	size_t payload_len;
	uint8_t hash[32], previous[32];
};
typedef int (*hd_audit_fn)(void *arg, const struct hd_audit_row *row, struct hydro_error *err);
/* Of one slot (due_ms) or a work's whole chain (due_ms 0), in order. */
int hd_ledger_audit(struct hd_ledger *ledger, uint32_t work, int64_t due_ms, hd_audit_fn fn, void *arg, struct hydro_error *err);

struct hd_ledger_verdict {
	uint64_t rows, anchors;
	bool good;
	uint32_t work;      /* where it breaks */
	uint64_t sequence;
	char text[192];
	uint32_t works, works_left; /* walked, and behind them */
	int64_t next;               /* for hd_ledger_verify_some; -1: there is no more */
};
/* Walks a work's chain, or all (HD_LEDGER_ALL), against heads and anchors. HYDRO_OK with good = false when it does not check. */
int hd_ledger_verify(struct hd_ledger *ledger, uint32_t work, struct hd_ledger_verdict *ret, struct hydro_error *err);
/*
 * The whole in parts: the works behind number `after` (-1: from the first), one at least, no more than works_max (0: any), no new one once
 * for_ms of real time are over. The ledger is whole when the verdicts of all parts are good.
 */
int hd_ledger_verify_some(struct hd_ledger *ledger, int64_t after, uint32_t works_max, int64_t for_ms, struct hd_ledger_verdict *ret, struct hydro_error *err);
/* Seals the heads of the day that has ended, if that was not done. [filing] */
int hd_ledger_anchor(struct hd_ledger *ledger, int64_t day, int64_t now_ms, struct hydro_error *err);

/*
 * Old audit rows become compressed packs, which stay verifiable, searchable and readable as before (bytes and cost: README). One step at a
 * time, each a transaction of some 5 to 50 ms: to be called now and then while there is nothing to send, until `more` is false; then
 * again the next day. [filing]
 */
#define HD_PACK_CHAINS_MAX 64u
struct hd_pack_plan {
	int64_t before_ms;   /* rows of this time and later stay; days before now, as slots of late days are still at work */
	uint32_t rows_min;   /* in a pack at least; a chain waits until it has twice as many; 0 = 512 */
	uint32_t chains_max; /* of one step; 0 = 8 */
};
struct hd_pack_done {
	uint64_t rows; /* packed in this step */
	bool more;
};
int hd_ledger_pack(struct hd_ledger *ledger, const struct hd_pack_plan *plan, struct hd_pack_done *ret, struct hydro_error *err);

/* Counts by work, local day and state, kept by the same transactions: compliance need not read slots. */
struct hd_day_count {
	uint32_t work;
	int64_t day;                            /* hd_calendar_day of due */
	uint32_t states[HD_SLOT_STATE_COUNT];
	uint32_t on_time, late, over_lag, checked;
};
/* Of a work, or of each (HD_LEDGER_ALL), from_day <= day < to_day, in order of day and work. */
typedef int (*hd_day_fn)(void *arg, const struct hd_day_count *count, struct hydro_error *err);
int hd_ledger_days(struct hd_ledger *ledger, uint32_t work, int64_t from_day, int64_t to_day, hd_day_fn fn, void *arg, struct hydro_error *err);
/* Of all works together. */
int hd_ledger_totals(struct hd_ledger *ledger, uint64_t ret_states[HD_SLOT_STATE_COUNT], struct hydro_error *err);

/* ---- works, centres, informants, certificates ---------------------------------------------------------------------------------- */
/* Texts of rows are borrowed during the call. `create` sets number, id (if all zero), version, times. `replace` wants the version
 * it was made from (HYDRO_E_STALE; 0 = any). Each change is an audit row in the work's chain (or work 0's), secrets as "***". */

typedef int (*hd_work_fn)(void *arg, const struct hd_work *work, struct hydro_error *err);
typedef int (*hd_centre_fn)(void *arg, const struct hd_centre *centre, struct hydro_error *err);
typedef int (*hd_informant_fn)(void *arg, const struct hd_informant *informant, struct hydro_error *err);
typedef int (*hd_certificate_fn)(void *arg, const struct hd_certificate *certificate, struct hydro_error *err);

struct hd_work_filter {
	const char *code_prefix, *client, *standard, *region, *shac; /* NULL = any */
	int mode;           /* -1 = any */
	int held;           /* 1, 0, -1 = any */
	uint32_t centre;    /* HD_LEDGER_ALL */
	struct hd_uuid point; /* all zero = any */
	uint32_t after, limit;
	bool want_total;
};

int hd_ledger_work_create(struct hd_ledger *ledger, struct hd_work *work, const char *by, struct hydro_error *err); /* HYDRO_E_EXISTS: code or id */
int hd_ledger_work_replace(struct hd_ledger *ledger, struct hd_work *work, const char *by, const char *why, struct hydro_error *err);
/* Many in one transaction: those without number are created, the others replaced. All or none: *ret_failed is the one at fault, `count`
 * when it is none's. An import should give at most some thousand at once, for filing waits meanwhile. */
int hd_ledger_works_put(struct hd_ledger *ledger, struct hd_work *const *works, uint32_t count, const char *by, const char *why, uint32_t *ret_failed,
			struct hydro_error *err);
/* By number, else by id, else by code. */
int hd_ledger_work_get(struct hd_ledger *ledger, uint32_t number, const struct hd_uuid *id, const char *code, hd_work_fn fn, void *arg, struct hydro_error *err);
int hd_ledger_work_list(struct hd_ledger *ledger, const struct hd_work_filter *filter, hd_work_fn fn, void *arg, struct hd_store_page *ret, struct hydro_error *err);

int hd_ledger_centre_create(struct hd_ledger *ledger, struct hd_centre *centre, const char *by, struct hydro_error *err);
int hd_ledger_centre_replace(struct hd_ledger *ledger, struct hd_centre *centre, const char *by, const char *why, struct hydro_error *err);
int hd_ledger_centre_get(struct hd_ledger *ledger, uint32_t number, const struct hd_uuid *id, hd_centre_fn fn, void *arg, struct hydro_error *err);
int hd_ledger_centre_list(struct hd_ledger *ledger, hd_centre_fn fn, void *arg, struct hydro_error *err);

/* A NULL secret in a replace keeps the old one. */
int hd_ledger_informant_create(struct hd_ledger *ledger, struct hd_informant *informant, const char *by, struct hydro_error *err);
int hd_ledger_informant_replace(struct hd_ledger *ledger, struct hd_informant *informant, const char *by, const char *why, struct hydro_error *err);
int hd_ledger_informant_get(struct hd_ledger *ledger, uint32_t number, const struct hd_uuid *id, bool with_secret, hd_informant_fn fn, void *arg, struct hydro_error *err);
int hd_ledger_informant_list(struct hd_ledger *ledger, hd_informant_fn fn, void *arg, struct hydro_error *err);

int hd_ledger_certificate_add(struct hd_ledger *ledger, struct hd_certificate *certificate, const char *by, struct hydro_error *err);
int hd_ledger_certificate_remove(struct hd_ledger *ledger, const struct hd_uuid *id, const char *by, struct hydro_error *err);
int hd_ledger_certificate_list(struct hd_ledger *ledger, hd_certificate_fn fn, void *arg, struct hydro_error *err);

/* Raised when one that changes what is to be sent was committed (works, centres, informants, settings): the engine reads anew what changed. */
uint64_t hd_ledger_revision(const struct hd_ledger *ledger);

/* ---- receipts of another system, for the cut-over -------------------------------------------------------------------------------- */

struct hd_foreign_receipt {
	const char *code;     /* of the work */
	int64_t due_ms;       /* as it was filed there, by the regulator's clock */
	const char *receipt;
	const char *source;   /* file or system */
	double values[3];     /* NAN = not told */
	uint32_t check;       /* 0, or HYDRO_CHECK_* of what GET showed */
	const char *check_text;
};
typedef int (*hd_foreign_fn)(void *arg, const struct hd_foreign_receipt *receipt, struct hydro_error *err);
int hd_ledger_foreign_put(struct hd_ledger *ledger, const struct hd_foreign_receipt *receipts, uint32_t count, struct hydro_error *err);
int hd_ledger_foreign_list(struct hd_ledger *ledger, uint32_t work, int64_t from_ms, int64_t to_ms, hd_foreign_fn fn, void *arg, struct hydro_error *err);

/* ---- alarms ---------------------------------------------------------------------------------------------------------------------- */

#define HD_ALARM_AMBER 1u
#define HD_ALARM_RED 2u

/* One alarm for each (kind, work, centre), open until cleared; raising it again changes level, count and text. */
struct hd_alarm {
	uint64_t number;
	uint32_t work, centre; /* 0 = none */
	uint32_t level;
	uint32_t count;
	const char *kind;  /* "hour_at_risk", "lag_at_risk", "held", "differs", "blocked", "backlog", "certificate", "restored"… */
	const char *text;  /* Spanish */
	const char *text_en;
	int64_t since_ms, last_ms, cleared_ms, seen_ms; /* seen_ms: acknowledged */
	const char *seen_by;
};
typedef int (*hd_alarm_fn)(void *arg, const struct hd_alarm *alarm, struct hydro_error *err);
int hd_ledger_alarm_raise(struct hd_ledger *ledger, const struct hd_alarm *alarm, struct hydro_error *err);
int hd_ledger_alarm_clear(struct hd_ledger *ledger, const char *kind, uint32_t work, uint32_t centre, int64_t now_ms, struct hydro_error *err);
int hd_ledger_alarm_seen(struct hd_ledger *ledger, uint64_t number, const char *by, int64_t now_ms, struct hydro_error *err);
int hd_ledger_alarm_list(struct hd_ledger *ledger, bool open_only, uint32_t work, hd_alarm_fn fn, void *arg, struct hydro_error *err);

#endif
