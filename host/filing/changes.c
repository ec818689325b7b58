/* SPDX-License-Identifier: MIT */
/* Changes of slots, gathered for one transaction, and what they mean in memory once they are written. */
#include "filing/filing_impl.h"

#include "base/array.h"
#include "observe/log.h"

#include <stdlib.h>
#include <string.h>

#define PAYLOADS_KEPT_BYTES (48u << 20)

struct hd_slot_change *filing_change_add(struct filing_changes *c, struct filing_work *w, int64_t due_ms, uint32_t from, uint32_t to, int64_t now_ms,
					 struct filing_change **ret_own)
{
	if (!HD_RESERVE(c->rows, c->row_capacity, c->count, 1) || !HD_RESERVE(c->own, c->own_capacity, c->count, 1))
		return NULL;
	struct filing_change *own = calloc(1, sizeof *own);
	if (!own)
		return NULL;
	own->work = w;
	c->own[c->count] = own;
	struct hd_slot_change *row = &c->rows[c->count++];
	*row = (struct hd_slot_change){.work = w->number, .from = from, .to = to, .due_ms = due_ms, .at_ms = now_ms, .actor = "hydrod"};
	*ret_own = own;
	return row;
}

static void own_free(struct filing_change *own)
{
	free(own->payload);
	free(own->detail);
	free(own);
}

void filing_changes_clear(struct filing_changes *c)
{
	for (uint32_t i = 0; i < c->count; i++)
		own_free(c->own[i]);
	c->count = 0;
}

void filing_changes_done(struct filing_changes *c)
{
	filing_changes_clear(c);
	free(c->rows);
	free(c->own);
	*c = (struct filing_changes){0};
}

/* ---- what was written, in memory ---- */

static void keep_payload(struct hd_filing *f, struct filing_slot *slot, struct filing_change *own, const struct hd_slot_change *row)
{
	if (slot->payload || f->payload_bytes + row->payload_len > PAYLOADS_KEPT_BYTES)
		return;
	slot->payload = HD_STEAL(own->payload);
	slot->payload_len = (uint16_t)row->payload_len;
	f->payload_bytes += row->payload_len;
}

static bool wants_check(struct hd_filing *f, const struct filing_slot *slot, const struct hd_slot_change *row)
{
	return row->to == HD_SLOT_FILED && row->receipt && row->receipt[0] && !(row->add_marks & HD_SLOT_CHECKED) &&
	       filing_check_wanted(f, slot->work, slot->adapter, slot->due_ms);
}

static void applied(struct hd_filing *f, const struct hd_slot_change *row, struct filing_change *own, int64_t now_ms)
{
	struct filing_work *w = own->work;
	struct filing_slot *slot = filing_slot_find(w, row->due_ms);
	filing_waiting_remove(f, w, row->due_ms);
	if (row->from == row->to && !own->call && !own->final) {
		if (slot)
			slot->marks |= (uint8_t)row->add_marks;
		return;
	}
	if (own->final || (hd_slot_state_is_final(row->to) && (!slot || !wants_check(f, slot, row)))) {
		if (slot)
			filing_slot_drop(f, slot);
		w->candidate_ms = w->mark_ms = INT64_MIN;
		filing_work_arm(f, w);
		return;
	}
	slot = slot ? slot : filing_slot_add(f, w, row->due_ms);
	if (!slot) {
		f->loaded = false; /* read anew once there is memory */
		return;
	}
	slot->state = (uint8_t)row->to;
	slot->marks |= (uint8_t)row->add_marks;
	if (own->adapter)
		slot->adapter = own->adapter;
	if (row->from == HD_SLOT_DUE) {
		slot->measured_ms = row->measured_ms ? row->measured_ms : row->due_ms;
		slot->last_attempt_ms = now_ms;
	}
	if (own->call)
		slot->last_attempt_ms = now_ms;
	if (row->payload)
		keep_payload(f, slot, own, row);
	if (row->receipt && slot->payload && !slot->receipt)
		slot->receipt = strdup(row->receipt);
	filing_slot_time(f, slot);
	if (own->not_before_ms)
		slot->not_before_ms = own->not_before_ms;
	if (row->to == HD_SLOT_FILED) {
		slot->not_before_ms = now_ms + filing_check_after(w);
		filing_check_queue(slot);
	}
	w->candidate_ms = w->mark_ms = INT64_MIN;
	filing_work_arm(f, w);
}

void filing_call_done(struct hd_filing *f, struct filing_call *call)
{
	struct filing_work *w = filing_work(f, call->work);
	struct filing_slot *slot = w ? filing_slot_find(w, call->due_ms) : NULL;
	if (slot) {
		slot->in_flight = false;
		/* By the time of the answer: the request may have arrived as late as that. */
		if (!call->is_check)
			w->last_post_ms = HD_MAX(w->last_post_ms, hd_clock_wall_ms());
	}
	f->in_flight--;
	filing_call_free(call);
}

/* The slot is not what it was taken for: another process changed it. An answer that came for it is kept as what happened. */
static void conflicted(struct hd_filing *f, const struct hd_slot_change *row, struct filing_change *own, int64_t now_ms)
{
	struct filing_work *w = own->work;
	filing_event(f, HD_LOG_WARN, "slot_changed_elsewhere", w->number, "slot of %lld is not %s any more", (long long)(row->due_ms / HD_MS_PER_S),
		     hd_slot_state_name(row->from));
	if (own->call && !own->call->is_check && row->from == HD_SLOT_SENDING) {
		struct hd_slot_change late = *row;
		struct hydro_error err = {0};
		late.from = HD_SLOT_UNKNOWN;
		late.rc = HYDRO_OK;
		if (late.to == HD_SLOT_UNKNOWN || hd_ledger_apply(f->config.ledger, &late, 1, &err) != HYDRO_OK || late.rc != HYDRO_OK) {
			/* Nobody may act on it any more, but it is not lost. */
			struct hd_slot now;
			if (hd_ledger_slot(f->config.ledger, w->number, row->due_ms, &now, &err) == HYDRO_OK) {
				late = *row;
				late.from = late.to = now.state;
				late.epoch = 0;
				late.receipt = NULL;
				late.add_marks = 0;
				late.cause = NULL;
				(void)hd_ledger_apply(f->config.ledger, &late, 1, &err);
			}
		}
	}
	(void)now_ms;
	struct filing_slot *slot = filing_slot_find(w, row->due_ms);
	if (slot)
		slot->in_flight = false;
	filing_slot_refresh(f, w, row->due_ms);
}

/* Nothing was written: answers wait, measurements are taken again. */
static void put_back(struct hd_filing *f, int64_t now_ms)
{
	for (uint32_t i = 0; i < f->changes.count; i++) {
		struct filing_change *own = f->changes.own[i];
		struct filing_work *w = own->work;
		if (own->call) {
			pthread_mutex_lock(&f->lock);
			own->call->next = f->done;
			f->done = own->call;
			pthread_mutex_unlock(&f->lock);
			continue;
		}
		w->look_ms = now_ms + FILING_RETRY_MS;
		w->mark_ms = HD_MIN(w->mark_ms, now_ms + FILING_RETRY_MS);
		filing_work_arm(f, w);
	}
	f->retry_ms = now_ms + HD_MS_PER_S;
}

/* One of them cannot be: it alone is left out, as if another had changed the slot. */
static int apply_each(struct hd_filing *f, struct filing_changes *c)
{
	for (uint32_t i = 0; i < c->count; i++) {
		struct hydro_error err = {0};
		int rc = hd_ledger_apply(f->config.ledger, &c->rows[i], 1, &err);
		if (rc == HYDRO_E_INVALID) {
			filing_event(f, HD_LOG_ERROR, "change_not_possible", c->rows[i].work, "%s", err.text);
			c->rows[i].rc = HYDRO_E_CONFLICT;
		} else if (rc != HYDRO_OK) {
			return rc; /* those before hold: when they come again they conflict, and are read anew */
		}
	}
	return HYDRO_OK;
}

void filing_changes_flush(struct hd_filing *f, int64_t now_ms)
{
	struct filing_changes *c = &f->changes;
	struct hydro_error err = {0};
	if (c->count == 0)
		return;
	int rc = hd_ledger_apply(f->config.ledger, c->rows, c->count, &err);
	if (rc == HYDRO_E_INVALID)
		rc = apply_each(f, c);
	if (rc != HYDRO_OK) {
		f->ledger_failures++;
		filing_event(f, HD_LOG_ERROR, "ledger_not_written", 0, "%s; nothing is sent until it takes writes again", err.text);
		put_back(f, now_ms);
	} else {
		for (uint32_t i = 0; i < c->count; i++) {
			if (c->rows[i].rc == HYDRO_OK)
				applied(f, &c->rows[i], c->own[i], now_ms);
			else
				conflicted(f, &c->rows[i], c->own[i], now_ms);
			if (c->own[i]->call)
				filing_call_done(f, c->own[i]->call);
		}
	}
	filing_changes_clear(c);
}
