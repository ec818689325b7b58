/* SPDX-License-Identifier: MIT */
/*
 * The rules of pacing, pure: when a slot has its turn, which of several goes first, how often a centre may be called, when
 * a centre that fails is tried again. No clock, no thread, no memory but the heap's own.
 */
#ifndef HD_FILING_PACE_H
#define HD_FILING_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HD_PACE_NEVER INT64_MAX

/* ---- turns -------------------------------------------------------------------------------------------------------------------- */

struct hd_pace_rules {
	int64_t send_from_ms, send_until_ms; /* after due: the first and the last turn */
	int64_t deadline_ms;                 /* from measurement to filing */
	int64_t reserve_ms;                  /* a turn comes at least this long before the deadline */
};

/* The turn of a fresh slot: spread over [due + send_from, due + send_until] by the work's hash, but never later than reserve
 * before the measurement's deadline. May lie in the past: then at once. */
int64_t hd_pace_turn(const struct hd_pace_rules *rules, uint64_t hash, int64_t due_ms, int64_t measured_ms);
/* A slot that failed goes again from the first instant of the next local day. */
int64_t hd_pace_retry(int32_t utc_offset_s, int64_t failed_ms);

/* ---- order -------------------------------------------------------------------------------------------------------------------- */

#define HD_PACE_FRESH 0u    /* within its deadline */
#define HD_PACE_BACKLOG 1u  /* late, within the lag */
#define HD_PACE_OVER_LAG 2u /* a failure of transmission already; still filed */

/* What the rules know of one slot that could be sent. */
struct hd_pace_slot {
	int64_t deadline_ms;   /* measurement + deadline */
	int64_t limit_ms;      /* end of the lag */
	int64_t not_before_ms; /* its turn, or the day after it failed */
};

/* Class at a time, and within the class the time by which it is ordered: least slack first. */
uint32_t hd_pace_class(const struct hd_pace_slot *slot, int64_t now_ms, int64_t *ret_order_ms);

struct hd_pace_pick {
	uint32_t chosen;    /* index; UINT32_MAX = none now */
	uint32_t class;
	int64_t order_ms;
	int64_t next_ms;    /* when to look again if none was chosen */
};
/* Folds slots of one work, one after another, into a pick. `free_ms`: since when the work may be filed for again (spacing). Late
 * slots give way to a fresh one whose turn would come within `spacing_ms`. */
struct hd_pace_picker {
	int64_t now_ms, free_ms, spacing_ms;
	int64_t fresh_soon_ms; /* earliest turn of a fresh slot that is not yet come */
	int64_t next_ms;
	struct hd_pace_pick best;
	uint32_t count;
};
void hd_pace_pick_begin(struct hd_pace_picker *picker, int64_t now_ms, int64_t free_ms, int64_t spacing_ms);
void hd_pace_pick_add(struct hd_pace_picker *picker, const struct hd_pace_slot *slot);
struct hd_pace_pick hd_pace_pick_end(const struct hd_pace_picker *picker);

/* ---- a centre's rate: calls on multiples of its interval while it is busy, so that centres of one rate share their ticks ------- */

struct hd_pace_gate {
	double interval_ms;
	int64_t late_ms; /* a call this much after its multiple still counts as on it (a thread wakes late) */
	int64_t next_ms;
};
void hd_pace_gate_set(struct hd_pace_gate *gate, double calls_per_s, int64_t late_ms);
static inline bool hd_pace_gate_open(const struct hd_pace_gate *gate, int64_t now_ms)
{
	return now_ms >= gate->next_ms;
}
/* A call was made at now: closed until the first multiple that is an interval (less late_ms) later. */
void hd_pace_gate_take(struct hd_pace_gate *gate, int64_t now_ms);
/* The call taken before went at that time, later than its turn: the next one is an interval (less late_ms) after it. */
void hd_pace_gate_went(struct hd_pace_gate *gate, int64_t went_ms);

/* ---- a centre's circuit ---------------------------------------------------------------------------------------------------------- */

struct hd_pace_circuit {
	uint32_t failures; /* in a row */
	int64_t probe_ms;  /* open: when it may be tried; 0 = closed */
};
void hd_pace_circuit_failed(struct hd_pace_circuit *circuit, uint32_t failures_max, int64_t probe_every_ms, int64_t now_ms);
void hd_pace_circuit_good(struct hd_pace_circuit *circuit);
static inline bool hd_pace_circuit_is_open(const struct hd_pace_circuit *circuit)
{
	return circuit->probe_ms != 0;
}

/* ---- what a centre does with one call --------------------------------------------------------------------------------------------- */

#define HD_PACE_NOTHING 0u
#define HD_PACE_POST 1u
#define HD_PACE_CHECK 2u

struct hd_pace_call {
	bool post, check;         /* there is one that may go */
	uint32_t post_class;
	bool post_never_sent;
	int64_t check_waits_ms;   /* how long the oldest check has waited for its turn */
	int64_t check_bound_ms;   /* from then on it alternates with filings */
	bool last_was_check;
	bool probing;             /* the circuit is open: a check, else a slot that was never sent */
};
uint32_t hd_pace_choose(const struct hd_pace_call *call);

/* ---- heap ----------------------------------------------------------------------------------------------------------------------- */

/* A place in a heap, embedded in what it stands for. All zero: in none. */
struct hd_pace_node {
	uint32_t at; /* place + 1 */
	uint32_t class;
	int64_t order_ms;
};
struct hd_pace_heap {
	struct hd_pace_node **nodes;
	uint32_t count, capacity;
};
void hd_pace_heap_done(struct hd_pace_heap *heap);
/* Puts or moves a node to (class, order). false without memory. */
bool hd_pace_heap_put(struct hd_pace_heap *heap, struct hd_pace_node *node, uint32_t class, int64_t order_ms);
void hd_pace_heap_remove(struct hd_pace_heap *heap, struct hd_pace_node *node);
struct hd_pace_node *hd_pace_heap_top(const struct hd_pace_heap *heap);

#endif
