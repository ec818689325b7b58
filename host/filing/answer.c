/* SPDX-License-Identifier: MIT */
/* What came back, by the regulator's table of answers, and what it says of a work or a centre as a whole. */
#include "filing/filing_impl.h"

#include "observe/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HTTP_SERVER_ERROR 500u
#define HTTP_TOO_MANY 429u

struct hd_slot_change *filing_outcome(struct hd_filing *f, struct filing_call *call, struct filing_work *w, uint32_t from, uint32_t to, const char *text,
				      int64_t now_ms, struct filing_change **ret_own)
{
	struct filing_change *own;
	struct hd_slot_change *row = filing_change_add(&f->changes, w, call->due_ms, from, to, now_ms, &own);
	if (!row)
		return NULL;
	struct hd_buf detail = {0};
	if (call->failure == HD_NET_NONE)
		hd_buf_printf(&detail, "{\"%s\":%" PRIu32, call->is_check ? "get" : "http", call->status);
	else
		hd_buf_printf(&detail, "{\"failure\":\"%s\",\"sent\":%s", hd_net_failure_text(call->failure), atomic_load(&call->begun) ? "true" : "false");
	if (text && *text) {
		hd_buf_add_text(&detail, ",\"says\":");
		hd_buf_add_json(&detail, text, strlen(text));
	}
	hd_buf_add_char(&detail, '}');
	row->detail_len = detail.len;
	own->detail = hd_buf_take(&detail);
	row->detail = own->detail;
	if (!own->detail)
		row->detail_len = 0;
	row->epoch = call->epoch;
	own->call = call;
	*ret_own = own;
	return row;
}

/* ---- works and centres ---- */

struct work_hold {
	struct hd_filing *f;
	const char *why;
	int64_t now_ms;
};

static int write_hold(void *arg, const struct hd_work *row, struct hydro_error *err)
{
	struct work_hold *hold = arg;
	struct hd_work held = *row;
	held.held_since_ms = hold->now_ms;
	held.held_why = hold->why;
	return hd_ledger_work_replace(hold->f->config.ledger, &held, "hydrod", hold->why, err);
}

void filing_hold_work(struct hd_filing *f, struct filing_work *w, const char *why, int64_t now_ms)
{
	struct work_hold hold = {f, why, now_ms};
	struct hydro_error err = {0};
	char text[192], text_en[192];
	w->held = true;
	filing_event(f, HD_LOG_ERROR, "work_held", w->number, "%s: %s", w->code, why);
	if (hd_ledger_work_get(f->config.ledger, w->number, NULL, NULL, write_hold, &hold, &err) != HYDRO_OK)
		filing_event(f, HD_LOG_ERROR, "hold_not_written", w->number, "%s", err.text);
	(void)snprintf(text, sizeof text, "%s: retenida por error de configuración: %.100s", w->code, why);
	(void)snprintf(text_en, sizeof text_en, "%s: held, its configuration is wrong: %.100s", w->code, why);
	filing_alarm(f, HD_ALARM_RED, "held", w->number, 0, 1, text, text_en);
}

struct centre_block {
	struct hd_filing *f;
	const char *why;
	int64_t now_ms;
};

static int write_block(void *arg, const struct hd_centre *row, struct hydro_error *err)
{
	struct centre_block *block = arg;
	struct hd_centre blocked = *row;
	blocked.state = HD_CENTRE_BLOCKED;
	blocked.state_since_ms = block->now_ms;
	blocked.state_why = block->why;
	blocked.state_by = "hydrod";
	return hd_ledger_centre_replace(block->f->config.ledger, &blocked, "hydrod", block->why, err);
}

void filing_block(struct hd_filing *f, struct filing_centre *c, const char *why, int64_t now_ms)
{
	struct centre_block block = {f, why, now_ms};
	struct hydro_error err = {0};
	char text[192], text_en[192];
	if (c->state == HD_CENTRE_BLOCKED)
		return;
	c->state = HD_CENTRE_BLOCKED;
	filing_event(f, HD_LOG_ERROR, "centre_blocked", 0, "%s: %s: nothing is sent until a person lets it go on", c->name, why);
	if (hd_ledger_centre_get(f->config.ledger, c->number, NULL, write_block, &block, &err) != HYDRO_OK)
		filing_event(f, HD_LOG_ERROR, "block_not_written", 0, "%s", err.text);
	(void)snprintf(text, sizeof text, "Centro %.40s: señales de bloqueo (%.70s): abrir ticket de soporte; todo envío detenido", c->name, why);
	(void)snprintf(text_en, sizeof text_en, "Centre %.40s: signs of a block (%.70s): open a support ticket; all sending stopped", c->name, why);
	filing_alarm(f, HD_ALARM_RED, "blocked", 0, c->number, 1, text, text_en);
}

void filing_trouble(struct hd_filing *f, struct filing_work *w, const char *why, int64_t now_ms)
{
	char text[192], text_en[192];
	(void)now_ms;
	if (strncmp(w->trouble, why, sizeof w->trouble - 1) == 0)
		return;
	(void)snprintf(w->trouble, sizeof w->trouble, "%s", why);
	filing_event(f, HD_LOG_ERROR, "work_not_sendable", w->number, "%s: %s", w->code, why);
	(void)snprintf(text, sizeof text, "%s: no se puede enviar: %.110s", w->code, why);
	(void)snprintf(text_en, sizeof text_en, "%s: cannot be sent: %.110s", w->code, why);
	filing_alarm(f, HD_ALARM_RED, "configuration", w->number, 0, 1, text, text_en);
}

/* A whole answer shows that the centre is not cut off; failures in a row open its circuit, resets of many works count as a block. */
void filing_result(struct hd_filing *f, struct filing_centre *c, struct filing_work *w, const struct filing_call *call, int64_t now_ms)
{
	if (call->failure == HD_NET_CANCELLED)
		return; /* ours, not the regulator's */
	if (call->failure == HD_NET_NONE)
		c->resets = 0;
	else if (call->failure == HD_NET_CUT && c->reset_work != w->number) {
		c->resets++;
		c->reset_work = w->number;
	}
	if (call->failure == HD_NET_NONE && call->status < HTTP_SERVER_ERROR && call->status != HTTP_TOO_MANY) {
		if (hd_pace_circuit_is_open(&c->circuit)) {
			filing_event(f, HD_LOG_INFO, "centre_answers", 0, "%s: the regulator answers again", c->name);
			filing_alarm_clear(f, "no_answer", 0, c->number);
		}
		hd_pace_circuit_good(&c->circuit);
	} else {
		bool was_open = hd_pace_circuit_is_open(&c->circuit);
		hd_pace_circuit_failed(&c->circuit, f->config.circuit_failures, f->config.circuit_probe_ms, now_ms);
		if (!was_open && hd_pace_circuit_is_open(&c->circuit)) {
			char text[160], text_en[160];
			filing_event(f, HD_LOG_WARN, "centre_circuit_open", 0, "%s: %u failures in a row; tried again by a check or a slot that was never sent",
				     c->name, c->circuit.failures);
			(void)snprintf(text, sizeof text, "Centro %.40s: el regulador no responde (%u fallas seguidas)", c->name, c->circuit.failures);
			(void)snprintf(text_en, sizeof text_en, "Centre %.40s: the regulator does not answer (%u failures in a row)", c->name, c->circuit.failures);
			filing_alarm(f, HD_ALARM_AMBER, "no_answer", 0, c->number, c->circuit.failures, text, text_en);
		}
	}
	if (f->config.block_works > 0 && c->resets >= f->config.block_works)
		filing_block(f, c, "connections reset for many works in a row", now_ms);
}

/* ---- a filing's answer ---- */

struct verdict {
	uint32_t to, marks;
	const char *receipt;
	char cause[96];
};

static void judge_no_answer(const struct hd_filing *f, const struct filing_call *call, struct verdict *v)
{
	bool begun = atomic_load(&call->begun);
	if (begun) {
		v->to = HD_SLOT_UNKNOWN; /* it may have landed */
		(void)snprintf(v->cause, sizeof v->cause, "%s", hd_net_failure_text(call->failure));
		return;
	}
	if (call->failure == HD_NET_CANCELLED) { /* by our own look just before the write */
		bool over = hd_clock_mono_ns() >= call->lease_until_ns;
		v->to = over ? HD_SLOT_UNKNOWN : HD_SLOT_QUEUED;
		(void)snprintf(v->cause, sizeof v->cause, over ? "claim expired" : "not sent: the switch was put off");
		return;
	}
	v->to = f->config.no_connection_is_unsent ? HD_SLOT_QUEUED : HD_SLOT_REFUSED;
	(void)snprintf(v->cause, sizeof v->cause, "not sent: %s", hd_net_failure_text(call->failure));
}

static void judge(const hydro_filing_answer *answer, uint32_t status, struct verdict *v)
{
	switch (answer->outcome) {
	case HYDRO_FILING_FILED:
		*v = (struct verdict){.to = HD_SLOT_FILED, .receipt = answer->receipt};
		break;
	case HYDRO_FILING_NO_RECEIPT:
		*v = (struct verdict){.to = HD_SLOT_FILED_NO_RECEIPT, .cause = "no receipt in the answer"};
		break;
	case HYDRO_FILING_DUPLICATE:
		/* Never again, whatever GET shows: with a receipt it tells whether it is ours. */
		*v = (struct verdict){.to = answer->receipt[0] ? HD_SLOT_FILED : HD_SLOT_FILED_NO_RECEIPT, .marks = HD_SLOT_FOREIGN, .receipt = answer->receipt,
				      .cause = "duplicate"};
		break;
	case HYDRO_FILING_HELD:
		*v = (struct verdict){.to = HD_SLOT_HELD};
		(void)snprintf(v->cause, sizeof v->cause, "%.90s", answer->text);
		break;
	default:
		*v = (struct verdict){.to = HD_SLOT_REFUSED};
		(void)snprintf(v->cause, sizeof v->cause, "%shttp %" PRIu32, answer->outcome == HYDRO_FILING_BLOCKED ? "blocked: " : "", status);
	}
}

static hydro_http_response response_of(const struct filing_call *call, int64_t now_ms)
{
	return (hydro_http_response){.struct_size = sizeof(hydro_http_response), .status = call->status, .body = call->body.data ? call->body.data : "",
				     .body_len = call->body.len, .content_type = call->content_type, .received_ms = now_ms,
				     .retry_after_ms = call->retry_after_ms};
}

/* The answer is looked at again in a second. */
static void put_back(struct hd_filing *f, struct filing_call *call, int64_t now_ms)
{
	pthread_mutex_lock(&f->lock);
	call->next = f->done;
	f->done = call;
	pthread_mutex_unlock(&f->lock);
	f->put_back++;
	f->retry_ms = now_ms + HD_MS_PER_S;
}

/*
 * The adapter's own process has ended and starts again: what was answered is kept for it, or an accepted slot would be sent again. Once
 * more only if it ended over this very answer, which may be what it cannot stand.
 */
static bool is_read_later(const struct hd_filing *f, struct filing_call *call, int rc)
{
	if (rc == HYDRO_OK || f->closing || hd_error_info(rc)->retry != HD_RETRY_LATER)
		return false;
	call->adapter_failures += rc != HYDRO_E_AGAIN;
	return call->adapter_failures < 2;
}

static void post_answer(struct hd_filing *f, struct filing_call *call, struct filing_work *w, int64_t now_ms)
{
	struct hydro_error err = {0};
	struct verdict v = {0};
	hydro_filing_answer answer = {.struct_size = sizeof answer};
	const struct filing_slot *slot = filing_slot_find(w, call->due_ms);
	if (call->failure == HD_NET_NONE) {
		hydro_filing_send send;
		hydro_http_response response = response_of(call, now_ms);
		int rc = filing_call_send(f, call, w, true, now_ms, &send, &err);
		if (rc == HYDRO_OK)
			rc = hd_adapter_parse(call->adapter, &send, &response, &answer, &err);
		if (is_read_later(f, call, rc)) {
			put_back(f, call, now_ms);
			return;
		}
		if (rc != HYDRO_OK) {
			/* An answer that cannot be read may have been an accepting one. */
			v.to = HD_SLOT_UNKNOWN;
			(void)snprintf(v.cause, sizeof v.cause, "answer not read: %.70s", err.text);
		} else {
			judge(&answer, call->status, &v);
		}
	} else {
		judge_no_answer(f, call, &v);
	}
	struct filing_change *own;
	struct hd_slot_change *row = filing_outcome(f, call, w, HD_SLOT_SENDING, v.to, answer.text[0] ? answer.text : call->failure ? call->detail : "", now_ms, &own);
	if (!row) {
		put_back(f, call, now_ms);
		return;
	}
	f->answers[answer.outcome < HD_ARRAY_LEN(f->answers) ? answer.outcome : 0]++;
	memcpy(own->cause, v.cause, sizeof own->cause);
	row->cause = own->cause;
	if (v.receipt && v.receipt[0]) {
		(void)snprintf(own->receipt, sizeof own->receipt, "%s", v.receipt);
		row->receipt = own->receipt;
	}
	row->add_marks = v.marks;
	if (slot && now_ms > filing_deadline(slot) && !(slot->marks & HD_SLOT_LATE))
		row->add_marks |= HD_SLOT_LATE;
	if (v.to == HD_SLOT_QUEUED)
		own->not_before_ms = now_ms + filing_spacing(w);
	if (w->centre)
		filing_result(f, w->centre, w, call, now_ms);
	if (answer.outcome == HYDRO_FILING_HELD)
		filing_hold_work(f, w, answer.text, now_ms);
	if (answer.outcome == HYDRO_FILING_BLOCKED && w->centre)
		filing_block(f, w->centre, answer.text[0] ? answer.text : "the regulator's answer", now_ms);
}

void filing_answers(struct hd_filing *f, int64_t now_ms)
{
	pthread_mutex_lock(&f->lock);
	struct filing_call *newest = HD_STEAL(f->done), *oldest = NULL;
	pthread_mutex_unlock(&f->lock);
	f->put_back = 0;
	while (newest) {
		struct filing_call *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct filing_call *call = oldest;
		oldest = call->next;
		struct filing_work *w = filing_work(f, call->work);
		if (w && w->centre)
			filing_call_arrived(f, w->centre, call, now_ms);
		if (call->is_foreign)
			filing_foreign_answer(f, call, now_ms);
		else if (call->is_check)
			filing_check_answer(f, call, now_ms);
		else
			post_answer(f, call, w, now_ms);
	}
}
