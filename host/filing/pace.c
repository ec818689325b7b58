/* SPDX-License-Identifier: MIT */
#include "filing/pace.h"

#include "base/array.h"
#include "base/macros.h"
#include "filing/calendar.h"

#include <math.h>
#include <stdlib.h>

/* ---- turns ---- */

int64_t hd_pace_turn(const struct hd_pace_rules *rules, uint64_t hash, int64_t due_ms, int64_t measured_ms)
{
	double part = (double)(hash >> 11) / (double)(UINT64_C(1) << 53);
	int64_t span = HD_MAX(rules->send_until_ms - rules->send_from_ms, 0);
	int64_t turn = due_ms + rules->send_from_ms + (int64_t)(part * (double)span);
	return HD_MIN(turn, measured_ms + rules->deadline_ms - rules->reserve_ms);
}

int64_t hd_pace_retry(int32_t utc_offset_s, int64_t failed_ms)
{
	return hd_calendar_day_start(utc_offset_s, hd_calendar_day(utc_offset_s, failed_ms) + 1);
}

/* ---- order ---- */

uint32_t hd_pace_class(const struct hd_pace_slot *slot, int64_t now_ms, int64_t *ret_order_ms)
{
	if (now_ms <= slot->deadline_ms) {
		*ret_order_ms = slot->deadline_ms;
		return HD_PACE_FRESH;
	}
	*ret_order_ms = slot->limit_ms;
	return now_ms < slot->limit_ms ? HD_PACE_BACKLOG : HD_PACE_OVER_LAG;
}

void hd_pace_pick_begin(struct hd_pace_picker *picker, int64_t now_ms, int64_t free_ms, int64_t spacing_ms)
{
	*picker = (struct hd_pace_picker){
		.now_ms = now_ms, .free_ms = free_ms, .spacing_ms = spacing_ms, .fresh_soon_ms = HD_PACE_NEVER, .next_ms = HD_PACE_NEVER,
		.best = {.chosen = UINT32_MAX, .class = UINT32_MAX, .order_ms = INT64_MAX},
	};
}

void hd_pace_pick_add(struct hd_pace_picker *p, const struct hd_pace_slot *slot)
{
	uint32_t index = p->count++;
	int64_t order, from = HD_MAX(slot->not_before_ms, p->free_ms);
	if (from > p->now_ms) {
		if (slot->not_before_ms <= slot->deadline_ms && p->now_ms <= slot->deadline_ms)
			p->fresh_soon_ms = HD_MIN(p->fresh_soon_ms, from);
		p->next_ms = HD_MIN(p->next_ms, from);
		return;
	}
	uint32_t class = hd_pace_class(slot, p->now_ms, &order);
	if (class < p->best.class || (class == p->best.class && order < p->best.order_ms))
		p->best = (struct hd_pace_pick){.chosen = index, .class = class, .order_ms = order};
}

struct hd_pace_pick hd_pace_pick_end(const struct hd_pace_picker *p)
{
	struct hd_pace_pick pick = p->best;
	pick.next_ms = p->next_ms;
	if (pick.chosen != UINT32_MAX && pick.class != HD_PACE_FRESH && p->fresh_soon_ms - p->spacing_ms < p->now_ms) {
		pick.chosen = UINT32_MAX;
		pick.next_ms = p->fresh_soon_ms;
	}
	return pick;
}

/* ---- rate ---- */

void hd_pace_gate_set(struct hd_pace_gate *gate, double calls_per_s, int64_t late_ms)
{
	gate->interval_ms = calls_per_s > 0 ? 1000.0 / calls_per_s : 1000.0;
	gate->late_ms = HD_MIN(late_ms, (int64_t)(gate->interval_ms / 20));
}

void hd_pace_gate_take(struct hd_pace_gate *gate, int64_t now_ms)
{
	/* On a multiple, rounded up to a whole ms: the next one. Else the first that is an interval later. */
	double taken = floor((double)(now_ms - gate->late_ms) / gate->interval_ms + 1e-9);
	bool on = (int64_t)ceil(taken * gate->interval_ms - 1e-6) == now_ms - gate->late_ms;
	double next = on ? taken + 1 : ceil(((double)(now_ms - gate->late_ms) + gate->interval_ms) / gate->interval_ms - 1e-9);
	gate->next_ms = HD_MAX((int64_t)ceil(next * gate->interval_ms - 1e-6), now_ms + 1);
}

void hd_pace_gate_went(struct hd_pace_gate *gate, int64_t went_ms)
{
	gate->next_ms = HD_MAX(gate->next_ms, went_ms + (int64_t)ceil(gate->interval_ms - 1e-6) - gate->late_ms);
}

/* ---- circuit ---- */

void hd_pace_circuit_failed(struct hd_pace_circuit *circuit, uint32_t failures_max, int64_t probe_every_ms, int64_t now_ms)
{
	circuit->failures++;
	if (circuit->failures >= failures_max)
		circuit->probe_ms = now_ms + probe_every_ms;
}

void hd_pace_circuit_good(struct hd_pace_circuit *circuit)
{
	*circuit = (struct hd_pace_circuit){0};
}

/* ---- choice ---- */

uint32_t hd_pace_choose(const struct hd_pace_call *call)
{
	bool post = call->post && (!call->probing || call->post_never_sent);
	if (call->probing)
		return call->check ? HD_PACE_CHECK : post ? HD_PACE_POST : HD_PACE_NOTHING;
	if (!post || !call->check)
		return post ? HD_PACE_POST : call->check ? HD_PACE_CHECK : HD_PACE_NOTHING;
	bool alternates = call->post_class != HD_PACE_FRESH || call->check_waits_ms >= call->check_bound_ms;
	return alternates && !call->last_was_check ? HD_PACE_CHECK : HD_PACE_POST;
}

/* ---- heap ---- */

static bool before(const struct hd_pace_node *a, const struct hd_pace_node *b)
{
	return a->class != b->class ? a->class < b->class : a->order_ms < b->order_ms;
}

static void place(struct hd_pace_heap *heap, uint32_t i, struct hd_pace_node *node)
{
	heap->nodes[i] = node;
	node->at = i + 1;
}

static void up(struct hd_pace_heap *heap, uint32_t i, struct hd_pace_node *node)
{
	while (i > 0 && before(node, heap->nodes[(i - 1) / 2])) {
		place(heap, i, heap->nodes[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	place(heap, i, node);
}

static void down(struct hd_pace_heap *heap, uint32_t i, struct hd_pace_node *node)
{
	for (uint32_t child; (child = 2 * i + 1) < heap->count; i = child) {
		if (child + 1 < heap->count && before(heap->nodes[child + 1], heap->nodes[child]))
			child++;
		if (!before(heap->nodes[child], node))
			break;
		place(heap, i, heap->nodes[child]);
	}
	place(heap, i, node);
}

void hd_pace_heap_done(struct hd_pace_heap *heap)
{
	free(heap->nodes);
	*heap = (struct hd_pace_heap){0};
}

bool hd_pace_heap_put(struct hd_pace_heap *heap, struct hd_pace_node *node, uint32_t class, int64_t order_ms)
{
	if (node->at == 0) {
		if (!HD_RESERVE(heap->nodes, heap->capacity, heap->count, 1))
			return false;
		node->at = ++heap->count;
	}
	node->class = class;
	node->order_ms = order_ms;
	uint32_t i = node->at - 1;
	if (i > 0 && before(node, heap->nodes[(i - 1) / 2]))
		up(heap, i, node);
	else
		down(heap, i, node);
	return true;
}

void hd_pace_heap_remove(struct hd_pace_heap *heap, struct hd_pace_node *node)
{
	if (node->at == 0)
		return;
	uint32_t i = node->at - 1;
	struct hd_pace_node *last = heap->nodes[--heap->count];
	node->at = 0;
	if (last == node)
		return;
	if (i > 0 && before(last, heap->nodes[(i - 1) / 2]))
		up(heap, i, last);
	else
		down(heap, i, last);
}

struct hd_pace_node *hd_pace_heap_top(const struct hd_pace_heap *heap)
{
	return heap->count ? heap->nodes[0] : NULL;
}
