/* SPDX-License-Identifier: MIT */
/* Inside of the ledger. */
#ifndef HD_FILING_LEDGER_INNER_H
#define HD_FILING_LEDGER_INNER_H

#include "base/map.h"
#include "filing/ledger.h"
#include "filing/ledger_mark.h"
#include "store/schema.h"

#include <pthread.h>
#include <stdatomic.h>

#define HD_LEDGER_MAGIC 0x5247444cu
#define HD_LEDGER_READERS 2u      /* opened at once */
#define HD_LEDGER_READERS_MAX 64u /* opened as needed: what reads may read again in its callback, and must not wait for itself */
#define HD_HASH_BYTES 32u
#define HD_ACTOR_BYTES_MAX 128u
#define HD_DETAIL_BYTES_MAX (1u << 20)
#define HD_PAYLOAD_BYTES_MAX 4096u

/* States whose slots still need something: the partial index of slots holds them. */
#define HD_OPEN_STATES_SQL "(2, 3, 4, 8, 9, 10)"
#define HD_OPEN_STATES (1u << HD_SLOT_QUEUED | 1u << HD_SLOT_CLAIMED | 1u << HD_SLOT_SENDING | 1u << HD_SLOT_UNKNOWN | 1u << HD_SLOT_REFUSED | 1u << HD_SLOT_HELD)

extern const struct hd_migration hd_schema_filing[];
extern const size_t hd_schema_filing_count;

struct hd_ledger {
	uint32_t magic;
	uint32_t owner;
	int32_t utc_offset_s;
	bool has_mark;
	char *path;
	struct hd_uuid id;
	struct hd_key key, anchor_key;
	struct hd_mark_file mark;
	_Atomic uint64_t revision;
	char machine[HD_MACHINE_BYTES], boot[HD_UUID_TEXT];
	pthread_mutex_t write_lock; /* guards: writer, names, mark, and how far packing has come: */
	bool to_sweep, sweeping;
	uint32_t pack_work;
	int64_t sweep_row;
	struct hd_db *writer;
	struct hd_map names; /* of actors and adapters: id */
	pthread_mutex_t lock; /* guards: readers, reader_count; may be taken under write_lock */
	pthread_cond_t free_reader;
	struct hd_db *readers[HD_LEDGER_READERS_MAX]; /* free ones */
	uint32_t reader_count, reader_total;
};

/* ---- ledger_tx.c: a transaction on the writing connection, with what it gathers to be written once at its end ---- */

struct hd_tx_head {
	uint32_t work;
	uint64_t sequence;
	int64_t row; /* id of the last audit row */
	uint8_t hash[HD_HASH_BYTES];
};
struct hd_tx_day {
	uint32_t work;
	int64_t day;
	int32_t states[HD_SLOT_STATE_COUNT], on_time, late, over_lag, checked;
};
/* Numbers to indexes + 1, open addressing; all zero is empty. */
struct hd_index {
	uint64_t *keys;
	uint32_t *values; /* 0 = free */
	uint32_t mask, count;
};
/* The value of a key, 0 for a new one, which the caller sets at once; NULL without memory. */
uint32_t *hd_index_place(struct hd_index *index, uint64_t key);
uint32_t hd_index_get(const struct hd_index *index, uint64_t key); /* 0: not there */
void hd_index_done(struct hd_index *index);

struct hd_tx {
	struct hd_ledger *ledger;
	struct hd_db *db;
	struct hd_index head_index, day_index;
	struct hd_tx_head *heads;
	struct hd_tx_day *days;
	struct hd_buf scratch;
	uint32_t head_count, head_cap, day_count, day_cap;
	bool claims;      /* the mark file goes on with the commit */
	bool anchors;     /* the same, and it was anchored up to: */
	int64_t anchored_day;
	bool marks;       /* the mark is written, but there was nothing to count */
	bool revises;     /* the revision is raised by the commit */
	int64_t next_id;  /* of the audit; 0 = not looked up yet */
	int64_t slots_ms; /* time of the last slot change in it; 0 = none */
	int64_t totals[HD_SLOT_STATE_COUNT];
};

/* Takes the writing lock and begins. On failure nothing is held. */
int hd_tx_begin(struct hd_ledger *ledger, struct hd_tx *tx, struct hydro_error *err);
/* Commits when rc is HYDRO_OK, else undoes; gives the lock back. Returns rc, or why the commit failed. */
int hd_tx_end(struct hd_tx *tx, int rc, struct hydro_error *err);
/* Adds a row to its work's chain: sequence, previous and hash are set. A chain begins with its first row. */
int hd_tx_audit(struct hd_tx *tx, struct hd_audit_row *row, int64_t *ret_id, struct hydro_error *err);
/* Whether a work (0: the ledger itself) has a chain: it was created. */
int hd_tx_has_chain(struct hd_tx *tx, uint32_t work, bool *ret, struct hydro_error *err);
/* The counts of a slot's day and of all. */
int hd_tx_count(struct hd_tx *tx, uint32_t work, int64_t due_ms, uint32_t state, uint32_t marks, int sign, struct hydro_error *err);
/* Id of a name in `names`, which it makes if need be. */
int hd_tx_name(struct hd_tx *tx, const char *text, uint32_t *ret, struct hydro_error *err);
int hd_ledger_meta_get(struct hd_db *db, const char *key, int64_t *ret, struct hydro_error *err); /* 0 when it is not there */
int hd_ledger_meta_put(struct hd_db *db, const char *key, int64_t value, struct hydro_error *err);
/* A row about the ledger itself or a work, not a slot. */
int hd_tx_note(struct hd_tx *tx, uint32_t work, const char *by, struct hd_buf *detail, struct hydro_error *err);

int hd_tx_setting_put(struct hd_tx *tx, const char *key, const char *value, const char *by, const char *why, struct hydro_error *err);

/* ---- ledger_owner.c ---- */

/* Which ledger this is and where, whether it was restored (then it is put on hold), and a row for this process. */
int hd_ledger_identify(struct hd_ledger *ledger, const struct hd_ledger_config *config, bool *ret_restored, struct hydro_error *err);

/* ---- ledger_chain.c ---- */

void hd_chain_hash(const struct hd_audit_row *row, uint8_t ret[HD_HASH_BYTES]);
/* Rows of a work's chain with first <= sequence <= last, in order; packed ones are opened. fn's row is borrowed. */
struct hd_chain_walk {
	uint32_t work;
	uint64_t first, last;
	int64_t row; /* id of the row of sequence `last`, if it is known; 0: from the chain's head */
	hd_audit_fn fn; /* may be NULL */
	void *arg;
	bool broken;        /* out: hashes do not fit, or rows are not there */
	uint64_t broken_at; /* out: the sequence where */
	uint64_t rows;      /* out */
	uint8_t hash[HD_HASH_BYTES]; /* out: of the last row */
};
struct hd_chain_head {
	uint64_t sequence, packed; /* sequence 0: no such chain */
	int64_t row;
	uint8_t hash[HD_HASH_BYTES];
};
int hd_chain_head(struct hd_db *db, uint32_t work, struct hd_chain_head *ret, struct hydro_error *err);
/* The next row in a walk: follows the one before, with its own hash as stored (`stored` NULL: there is none, it is reckoned). */
int hd_chain_step(struct hd_chain_walk *walk, struct hd_audit_row *row, uint64_t expected, const uint8_t *stored, struct hydro_error *err);
int hd_chain_walk(struct hd_db *db, struct hd_chain_walk *walk, struct hydro_error *err);

/* ---- ledger_verify.c ---- */

/* What the chain says of a slot. */
struct hd_told {
	uint32_t state, marks;
	bool seen; /* among the slots */
	uint64_t receipt, values; /* hashes of their JSON; 0 = none */
};
/* Takes what an audit row's detail says in "slot". */
void hd_told_take(struct hd_told *told, const char *detail);

/* ---- ledger_pack.c ---- */

/* The packed part of a walk, up to sequence `packed`. */
int hd_packs_walk(struct hd_db *db, struct hd_chain_walk *walk, uint64_t packed, struct hydro_error *err);
/* Hash of the last packed row. */
int hd_packs_last_hash(struct hd_db *db, uint32_t work, uint8_t ret[HD_HASH_BYTES], struct hydro_error *err);
/* Opens a pack: rows first … last, each given to fn with its hash still to be reckoned. HYDRO_E_CORRUPT. */
typedef int (*hd_pack_fn)(void *arg, struct hd_audit_row *row, struct hydro_error *err);
int hd_pack_open(uint32_t work, uint64_t first, uint64_t last, const void *data, size_t len, hd_pack_fn fn, void *arg, struct hydro_error *err);

/* ---- ledger_anchor.c ---- */

/* One head of an anchor, in order of works. */
typedef int (*hd_anchor_fn)(void *arg, uint32_t work, uint64_t sequence, const uint8_t hash[HD_HASH_BYTES], struct hydro_error *err);
/* HYDRO_E_CORRUPT for what is no list of heads. */
int hd_anchor_heads(const uint8_t *data, size_t len, hd_anchor_fn fn, void *arg, struct hydro_error *err);
/* Goes over all anchors in order and their heads; *ret_bad_day is the first whose hash does not follow from the one before and its
 * content (INT64_MIN: none). */
int hd_anchors_walk(struct hd_ledger *ledger, struct hd_db *db, hd_anchor_fn fn, void *arg, uint64_t *ret_count, int64_t *ret_bad_day, struct hydro_error *err);

/* ---- ledger_states.c ---- */

bool hd_slot_way_is_open(uint32_t from, uint32_t to);

/* ---- ledger_apply.c ---- */

int hd_tx_apply(struct hd_tx *tx, struct hd_slot_change *change, struct hydro_error *err);
/* As it stands at the end of "slot" in an audit row's detail. */
void hd_slot_values_json(struct hd_buf *out, int64_t measured_ms, const double *values);

/* ---- ledger_slots.c ---- */

#define HD_SLOT_COLUMNS \
	"s.work, s.due, s.state, s.marks, s.adapter, s.epoch, s.owner, s.measured, s.queued, s.attempted, s.filed, s.lease," \
	" s.flow, s.total, s.level, s.receipt, s.cause, s.first, s.payload, s.last, s.row"
/* Where its audit rows are: sequences in the work's chain. */
struct hd_slot_trail {
	uint64_t first, payload, last; /* payload 0: none was frozen */
	int64_t row; /* id of `last` */
};
void hd_slot_read(sqlite3_stmt *stmt, struct hd_slot *ret, struct hd_slot_trail *ret_trail);

#endif
