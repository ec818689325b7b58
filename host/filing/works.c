/* SPDX-License-Identifier: MIT */
/* Slots and waiting slots in memory, and what a work's timer is for. */
#include "filing/filing_impl.h"

#include "base/array.h"

#include <stdlib.h>
#include <string.h>

/* ---- slots ---- */

struct filing_slot *filing_slot_find(struct filing_work *w, int64_t due_ms)
{
	struct filing_slot *slot = w->slots;
	while (slot && slot->due_ms < due_ms)
		slot = slot->next;
	return slot && slot->due_ms == due_ms ? slot : NULL;
}

struct filing_slot *filing_slot_add(struct hd_filing *f, struct filing_work *w, int64_t due_ms)
{
	struct filing_slot **at = &w->slots;
	while (*at && (*at)->due_ms < due_ms)
		at = &(*at)->next;
	if (*at && (*at)->due_ms == due_ms)
		return *at;
	struct filing_slot *slot = calloc(1, sizeof *slot);
	if (!slot)
		return NULL;
	slot->work = w;
	slot->due_ms = due_ms;
	slot->next = *at;
	*at = slot;
	w->slot_count++;
	f->slot_count++;
	return slot;
}

static void payload_forget(struct hd_filing *f, struct filing_slot *slot)
{
	if (slot->payload)
		f->payload_bytes -= slot->payload_len;
	free(HD_STEAL(slot->payload));
	free(HD_STEAL(slot->receipt));
}

void filing_slot_drop(struct hd_filing *f, struct filing_slot *slot)
{
	struct filing_work *w = slot->work;
	struct filing_slot **at = &w->slots;
	while (*at != slot)
		at = &(*at)->next;
	*at = slot->next;
	filing_check_unqueue(slot);
	payload_forget(f, slot);
	w->slot_count--;
	f->slot_count--;
	free(slot);
}

void filing_slots_forget(struct hd_filing *f, struct filing_work *w)
{
	while (w->slots)
		filing_slot_drop(f, w->slots);
	f->waiting_count -= w->waiting_count;
	w->waiting_count = 0;
	if (w->centre) {
		hd_pace_heap_remove(&w->centre->ready, &w->ready);
		w->centre->amber -= w->amber > 0;
		w->centre->red -= w->red > 0;
	}
	w->amber = w->red = 0;
	hd_pace_heap_remove(&f->timers, &w->timer);
	w->look_ms = w->candidate_ms = w->foreign_ms = w->mark_ms = w->next_due_ms = FILING_NEVER;
	filing_watch(f, w, INT64_MAX, INT64_MIN);
}

int64_t filing_deadline(const struct filing_slot *slot)
{
	int64_t deadline = slot->adapter ? hd_adapter_info(slot->adapter)->deadline_ms : slot->work->deadline_ms;
	return slot->measured_ms + deadline;
}

int64_t filing_spacing(const struct filing_work *w)
{
	return w->centre && w->centre->spacing_ms > 0 ? w->centre->spacing_ms : w->spacing_ms;
}

void filing_slot_time(struct hd_filing *f, struct filing_slot *slot)
{
	struct filing_work *w = slot->work;
	struct hd_pace_rules rules = f->rules;
	rules.deadline_ms = filing_deadline(slot) - slot->measured_ms;
	switch (slot->state) {
	case HD_SLOT_QUEUED:
		slot->not_before_ms = slot->attempts == 0 ? hd_pace_turn(&rules, w->hash, slot->due_ms, slot->measured_ms) :
							    hd_pace_retry(w->calendar.utc_offset_s, slot->last_attempt_ms);
		break;
	case HD_SLOT_REFUSED:
	case HD_SLOT_UNKNOWN:
		/* Before the end of a lost ledger's time it may have been tried again. */
		slot->not_before_ms = hd_pace_retry(w->calendar.utc_offset_s, HD_MAX(slot->last_attempt_ms, f->hold_to_ms));
		break;
	default:
		slot->not_before_ms = FILING_NEVER;
	}
}

/* Of a stored row: whether it still needs something. */
static bool is_open(struct hd_filing *f, const struct filing_work *w, const struct hd_slot *row)
{
	if (row->state == HD_SLOT_FILED)
		return !(row->marks & HD_SLOT_CHECKED) && row->receipt[0] && filing_check_wanted(f, w, filing_adapter_of(f, w, row->due_ms), row->due_ms);
	return !hd_slot_state_is_final(row->state);
}

int filing_slot_adopt(struct hd_filing *f, struct filing_work *w, const struct hd_slot *row)
{
	struct filing_slot *slot = filing_slot_find(w, row->due_ms);
	/* By its answer; without one it may have arrived as late as its time-out. */
	if (row->last_attempt_ms)
		w->last_post_ms = HD_MAX(w->last_post_ms, row->state == HD_SLOT_FILED ? row->filed_ms : row->last_attempt_ms + f->config.timeout_ms);
	if (!is_open(f, w, row)) {
		if (slot && !slot->in_flight)
			filing_slot_drop(f, slot);
		return HYDRO_OK;
	}
	slot = slot ? slot : filing_slot_add(f, w, row->due_ms);
	if (!slot)
		return HYDRO_E_NOMEM;
	slot->state = (uint8_t)row->state;
	slot->marks = (uint8_t)row->marks;
	slot->attempts = row->attempts;
	slot->epoch = row->epoch;
	slot->measured_ms = row->measured_ms ? row->measured_ms : row->due_ms;
	/* Its request may have arrived as late as its time-out: the day that it failed on is counted from there. */
	slot->last_attempt_ms = row->last_attempt_ms ? row->last_attempt_ms + f->config.timeout_ms : row->queued_ms;
	if (!slot->adapter)
		slot->adapter = filing_adapter_of(f, w, row->due_ms);
	filing_slot_time(f, slot);
	if (slot->state == HD_SLOT_FILED) {
		slot->not_before_ms = row->filed_ms + filing_check_after(w);
		filing_check_queue(slot);
	} else if (slot->state == HD_SLOT_CLAIMED || slot->state == HD_SLOT_SENDING) {
		int64_t left_ms = (row->lease_until_ns - hd_clock_mono_ns()) / HD_NS_PER_MS;
		w->foreign_ms = HD_MIN(w->foreign_ms, hd_clock_wall_ms() + HD_MAX(left_ms, 0) + HD_MS_PER_S);
	}
	w->mark_ms = INT64_MIN;
	w->candidate_ms = INT64_MIN;
	return HYDRO_OK;
}

void filing_slot_refresh(struct hd_filing *f, struct filing_work *w, int64_t due_ms)
{
	struct hd_slot row;
	struct hydro_error err = {0};
	int rc = hd_ledger_slot(f->config.ledger, w->number, due_ms, &row, &err);
	if (rc == HYDRO_OK) {
		filing_waiting_remove(f, w, due_ms);
		(void)filing_slot_adopt(f, w, &row);
	} else if (rc == HYDRO_E_NOTFOUND) {
		struct filing_slot *slot = filing_slot_find(w, due_ms);
		if (slot)
			filing_slot_drop(f, slot);
		(void)filing_waiting_add(f, w, due_ms);
	}
	filing_work_arm(f, w);
}

/* ---- waiting ---- */

static uint32_t waiting_at(const struct filing_work *w, int64_t due_ms)
{
	uint32_t low = 0, high = w->waiting_count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (w->waiting[middle] < due_ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool filing_waiting_add(struct hd_filing *f, struct filing_work *w, int64_t due_ms)
{
	uint32_t at = waiting_at(w, due_ms);
	if (at < w->waiting_count && w->waiting[at] == due_ms)
		return true;
	if (!HD_RESERVE(w->waiting, w->waiting_capacity, w->waiting_count, 1))
		return false;
	memmove(w->waiting + at + 1, w->waiting + at, (w->waiting_count - at) * sizeof *w->waiting);
	w->waiting[at] = due_ms;
	w->waiting_count++;
	f->waiting_count++;
	return true;
}

void filing_waiting_remove(struct hd_filing *f, struct filing_work *w, int64_t due_ms)
{
	uint32_t at = waiting_at(w, due_ms);
	if (at == w->waiting_count || w->waiting[at] != due_ms)
		return;
	w->waiting_count--;
	f->waiting_count--;
	memmove(w->waiting + at, w->waiting + at + 1, (w->waiting_count - at) * sizeof *w->waiting);
}

/* ---- which goes next ---- */

static bool is_sendable(const struct filing_slot *s)
{
	return !s->in_flight && (s->state == HD_SLOT_QUEUED || s->state == HD_SLOT_REFUSED || s->state == HD_SLOT_UNKNOWN);
}

static bool may_have_candidate(const struct filing_work *w)
{
	return w->tracked && w->mode == HD_MODE_LIVE && !w->by_sheet && !w->held && w->centre && w->informant != 0;
}

struct filing_slot *filing_work_pick(struct hd_filing *f, struct filing_work *w, int64_t now_ms, uint32_t *ret_class, int64_t *ret_next_ms)
{
	struct hd_pace_picker picker;
	int64_t spacing = filing_spacing(w);
	(void)f;
	*ret_next_ms = FILING_NEVER;
	if (!may_have_candidate(w))
		return NULL;
	hd_pace_pick_begin(&picker, now_ms, w->last_post_ms + spacing, spacing);
	for (const struct filing_slot *s = w->slots; s; s = s->next) {
		bool sendable = is_sendable(s);
		struct hd_pace_slot pace = {.not_before_ms = sendable ? s->not_before_ms : FILING_NEVER};
		if (sendable) {
			pace.deadline_ms = s->attempts ? INT64_MIN : filing_deadline(s);
			pace.limit_ms = hd_calendar_limit(&w->calendar, s->due_ms);
		}
		hd_pace_pick_add(&picker, &pace);
	}
	struct hd_pace_pick pick = hd_pace_pick_end(&picker);
	*ret_next_ms = pick.next_ms;
	*ret_class = pick.class;
	if (pick.chosen == UINT32_MAX)
		return NULL;
	struct filing_slot *slot = w->slots;
	for (uint32_t i = 0; i < pick.chosen; i++)
		slot = slot->next;
	return slot;
}

void filing_work_candidate(struct hd_filing *f, struct filing_work *w, int64_t now_ms)
{
	uint32_t class = 0;
	int64_t next;
	struct filing_slot *slot = filing_work_pick(f, w, now_ms, &class, &next);
	w->candidate_ms = next;
	if (!slot) {
		if (w->centre)
			hd_pace_heap_remove(&w->centre->ready, &w->ready);
		return;
	}
	int64_t order = class == HD_PACE_FRESH ? filing_deadline(slot) : hd_calendar_limit(&w->calendar, slot->due_ms);
	if (class == HD_PACE_FRESH)
		w->candidate_ms = HD_MIN(w->candidate_ms, order + 1); /* then it is backlog */
	if (!hd_pace_heap_put(&w->centre->ready, &w->ready, class, order))
		w->candidate_ms = now_ms + FILING_RETRY_MS;
}

/* ---- the timer ---- */

/* After its due time a slot is first looked at within send_from, each work at its own instant. */
static int64_t first_look(const struct hd_filing *f, const struct filing_work *w)
{
	return (int64_t)((w->hash >> 20) % (uint64_t)HD_MAX(f->rules.send_from_ms, 1));
}

static bool has_next(const struct filing_work *w)
{
	return w->next_due_ms != FILING_NEVER && (w->ends_ms == 0 || w->next_due_ms < w->ends_ms);
}

void filing_work_arm(struct hd_filing *f, struct filing_work *w)
{
	int64_t at = FILING_NEVER;
	if (w->tracked) {
		at = HD_MIN(HD_MIN(w->candidate_ms, w->foreign_ms), w->mark_ms);
		if (has_next(w))
			at = HD_MIN(at, w->next_due_ms + first_look(f, w));
		if (w->waiting_count)
			at = HD_MIN(at, w->look_ms);
	}
	if (at == FILING_NEVER)
		hd_pace_heap_remove(&f->timers, &w->timer);
	else
		(void)hd_pace_heap_put(&f->timers, &w->timer, 0, at);
}

static void calendar_run(struct hd_filing *f, struct filing_work *w, int64_t now_ms)
{
	int64_t offset = first_look(f, w);
	while (has_next(w) && w->next_due_ms + offset <= now_ms) {
		if (!filing_waiting_add(f, w, w->next_due_ms)) {
			w->look_ms = now_ms + FILING_RETRY_MS;
			return;
		}
		w->look_ms = now_ms;
		w->look_step_ms = f->config.look_again_ms;
		w->next_due_ms = hd_calendar_next(&w->calendar, w->next_due_ms + 1);
	}
}

/* Another process had the claim and did not end it. */
static void foreign_run(struct hd_filing *f, struct filing_work *w, int64_t now_ms)
{
	uint64_t count;
	struct hydro_error err = {0};
	w->foreign_ms = FILING_NEVER;
	if (hd_ledger_expire_claims(f->config.ledger, now_ms, hd_clock_mono_ns(), &count, &err) != HYDRO_OK) {
		w->foreign_ms = now_ms + FILING_RETRY_MS;
		return;
	}
	for (struct filing_slot *s = w->slots, *next; s; s = next) {
		next = s->next;
		if (!s->in_flight && (s->state == HD_SLOT_CLAIMED || s->state == HD_SLOT_SENDING))
			filing_slot_refresh(f, w, s->due_ms);
	}
}

void filing_work_run(struct hd_filing *f, struct filing_work *w, int64_t now_ms)
{
	hd_pace_heap_remove(&f->timers, &w->timer);
	if (!w->tracked)
		return;
	calendar_run(f, w, now_ms);
	if (w->waiting_count && w->look_ms <= now_ms)
		filing_look(f, w, now_ms);
	if (w->foreign_ms <= now_ms)
		foreign_run(f, w, now_ms);
	if (w->mark_ms <= now_ms)
		filing_marks_run(f, w, now_ms);
	if (w->candidate_ms <= now_ms)
		filing_work_candidate(f, w, now_ms);
	filing_work_arm(f, w);
}
