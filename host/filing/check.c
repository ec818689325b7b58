/* SPDX-License-Identifier: MIT */
/* What the regulator has under a receipt: each filed slot is asked for by GET and compared. */
#include "filing/filing_impl.h"

#include "base/timefmt.h"
#include "observe/log.h"

#include <stdio.h>
#include <string.h>

#define ABSENT_TRIES 3u
#define BACK_OFF_MAX_MS (6 * 60 * FILING_MINUTE_MS)

bool filing_check_wanted(const struct hd_filing *f, const struct filing_work *w, const struct hd_adapter *adapter, int64_t due_ms)
{
	(void)f;
	if (!adapter || !hd_adapter_can_check(adapter))
		return false;
	double share = w->centre ? w->centre->check_share : 1;
	if (share >= 1)
		return true;
	/* The same slots at each start. */
	uint64_t hash = hd_hash_u64(w->hash ^ (uint64_t)due_ms);
	return (double)(hash >> 11) / (double)(UINT64_C(1) << 53) < share;
}

/* Not before the work may be filed for again: so a slot that was checked is known to have been sent longer ago than that (load.c). */
int64_t filing_check_after(const struct filing_work *w)
{
	return HD_MAX(FILING_CHECK_AFTER_MS, filing_spacing(w));
}

static struct filing_slot *slot_of(struct hd_pace_node *node)
{
	return (struct filing_slot *)(void *)((char *)node - offsetof(struct filing_slot, check));
}

struct filing_slot *filing_check_first(const struct filing_centre *c)
{
	struct hd_pace_node *node = hd_pace_heap_top(&c->checks);
	return node ? slot_of(node) : NULL;
}

void filing_check_queue(struct filing_slot *slot)
{
	struct filing_centre *c = slot->work->centre;
	if (c)
		(void)hd_pace_heap_put(&c->checks, &slot->check, 0, slot->not_before_ms);
}

void filing_check_unqueue(struct filing_slot *slot)
{
	if (slot->work->centre)
		hd_pace_heap_remove(&slot->work->centre->checks, &slot->check);
}

static void again(struct filing_slot *slot, int64_t now_ms)
{
	int64_t wait = FILING_CHECK_AFTER_MS << HD_MIN(slot->checks, 16u);
	if (slot->checks < UINT8_MAX)
		slot->checks++;
	slot->not_before_ms = now_ms + HD_MIN(wait, BACK_OFF_MAX_MS);
	filing_check_queue(slot);
}

static int take_receipt(struct hd_filing *f, const struct filing_slot *slot, struct filing_call *call, struct hydro_error *err)
{
	struct hd_slot row;
	if (slot->receipt) {
		(void)snprintf(call->receipt, sizeof call->receipt, "%s", slot->receipt);
		return HYDRO_OK;
	}
	int rc = hd_ledger_slot(f->config.ledger, call->work, call->due_ms, &row, err);
	if (rc == HYDRO_OK)
		memcpy(call->receipt, row.receipt, sizeof call->receipt);
	return rc;
}

static int start(struct hd_filing *f, struct filing_slot *slot, int64_t now_ms, struct hydro_error *err)
{
	struct filing_call *call = filing_call_new(f, slot, true, err);
	HD_CLEANUP(hd_buf_done) struct hd_buf memory = {0};
	hydro_http_request request;
	hydro_filing_send send;
	if (!call)
		return err->code;
	int rc = take_receipt(f, slot, call, err);
	if (rc == HYDRO_OK)
		rc = filing_call_send(f, call, slot->work, false, now_ms, &send, err);
	if (rc == HYDRO_OK)
		rc = hd_adapter_request(call->adapter, &send, true, &memory, &request, err);
	if (rc != HYDRO_OK) {
		filing_call_free(call);
		return rc;
	}
	call->started_ms = now_ms;
	slot->in_flight = true;
	f->checks++;
	filing_call_submit(call, slot->work->centre, &request);
	return HYDRO_OK;
}

bool filing_check_send(struct hd_filing *f, struct filing_centre *c, int64_t now_ms)
{
	struct filing_slot *slot = filing_check_first(c);
	struct hydro_error err = {0};
	filing_check_unqueue(slot);
	if (start(f, slot, now_ms, &err) == HYDRO_OK)
		return true;
	filing_event(f, HD_LOG_WARN, "check_not_made", slot->work->number, "%s: %s", slot->work->code, err.text);
	again(slot, now_ms);
	return false;
}

/* ---- answers ---- */

static void date_text(const struct filing_work *w, int64_t due_ms, char ret[32])
{
	int64_t local = due_ms + w->calendar.utc_offset_s * HD_MS_PER_S, year;
	unsigned month, day;
	int64_t days = local / INT64_C(86400000);
	hd_civil_from_days(days, &year, &month, &day);
	int64_t minute = (local - days * INT64_C(86400000)) / FILING_MINUTE_MS;
	(void)snprintf(ret, 32, "%04d-%02u-%02u %02d:%02d", (int)year, month, day, (int)(minute / 60), (int)(minute % 60));
}

static void tell(struct hd_filing *f, struct filing_work *w, int64_t due_ms, const char *kind, const char *what, const char *what_en, const char *says)
{
	char text[224], text_en[224], when[32];
	date_text(w, due_ms, when);
	(void)snprintf(text, sizeof text, "%s %s: %s: %.100s", w->code, when, what, says);
	(void)snprintf(text_en, sizeof text_en, "%s %s: %s: %.100s", w->code, when, what_en, says);
	filing_event(f, HD_LOG_ERROR, kind, w->number, "%s", text_en);
	filing_alarm(f, HD_ALARM_RED, kind, w->number, 0, 1, text, text_en);
}

static void shown(struct hd_filing *f, struct filing_call *call, struct filing_slot *slot, const hydro_filing_check *check, int64_t now_ms)
{
	struct filing_work *w = slot->work;
	struct filing_change *own;
	bool differs = check->outcome == HYDRO_CHECK_DIFFERS, same = check->outcome == HYDRO_CHECK_SAME;
	struct hd_slot_change *row = filing_outcome(f, call, w, HD_SLOT_FILED, differs ? HD_SLOT_FILED_DIFFERS : HD_SLOT_FILED, check->text, now_ms, &own);
	if (!row) {
		slot->in_flight = false;
		again(slot, now_ms);
		filing_call_done(f, call);
		return;
	}
	row->epoch = 0;
	own->final = true;
	row->add_marks = same ? HD_SLOT_CHECKED : 0;
	row->cause = differs ? "differs" : same ? NULL : "not_stored";
	if (differs)
		tell(f, w, call->due_ms, "differs", "el regulador tiene otros valores", "the regulator has other values", check->text);
	else if (!same)
		tell(f, w, call->due_ms, "not_stored", "el comprobante no existe en el regulador", "the regulator does not know its receipt", call->receipt);
}

void filing_check_answer(struct hd_filing *f, struct filing_call *call, int64_t now_ms)
{
	struct filing_work *w = filing_work(f, call->work);
	struct filing_slot *slot = filing_slot_find(w, call->due_ms);
	struct hydro_error err = {0};
	hydro_filing_check check = {.struct_size = sizeof check, .outcome = HYDRO_CHECK_UNCLEAR};
	if (w->centre)
		filing_result(f, w->centre, w, call, now_ms);
	if (call->failure == HD_NET_NONE) {
		hydro_filing_send send;
		hydro_http_response response = {.struct_size = sizeof response, .status = call->status, .body = call->body.data ? call->body.data : "",
						.body_len = call->body.len, .content_type = call->content_type, .received_ms = now_ms,
						.retry_after_ms = call->retry_after_ms};
		int rc = filing_call_send(f, call, w, false, now_ms, &send, &err);
		if (rc != HYDRO_OK || hd_adapter_check_parse(call->adapter, &send, &response, &check, &err) != HYDRO_OK)
			check.outcome = HYDRO_CHECK_UNCLEAR;
	}
	if (check.outcome == HYDRO_CHECK_BLOCKED && w->centre)
		filing_block(f, w->centre, check.text[0] ? check.text : "the regulator's answer to a check", now_ms);
	if (!slot || slot->state != HD_SLOT_FILED) {
		filing_call_done(f, call);
		return;
	}
	bool absent = check.outcome == HYDRO_CHECK_ABSENT && slot->checks + 1u >= ABSENT_TRIES;
	if (check.outcome == HYDRO_CHECK_SAME || check.outcome == HYDRO_CHECK_DIFFERS || absent) {
		shown(f, call, slot, &check, now_ms);
		return;
	}
	slot->in_flight = false;
	if (slot->checks == FILING_CHECK_TRIES)
		tell(f, w, call->due_ms, "not_checked", "no se pudo verificar por GET", "it could not be checked by GET", check.text);
	again(slot, now_ms);
	filing_call_done(f, call);
}
