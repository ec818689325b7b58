/* SPDX-License-Identifier: MIT */
/* Receipts of another system asked for by GET, behind everything that is ours: what it filed beside what we would have filed. */
#include "filing/filing_impl.h"

#include "observe/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUED_MAX 200000u

struct filing_foreign {
	struct filing_foreign *next;
	uint32_t work;
	int64_t due_ms;
	char receipt[HD_RECEIPT_BYTES];
};

void filing_foreign_clear(struct filing_centre *c)
{
	while (c->foreign) {
		struct filing_foreign *next = c->foreign->next;
		free(c->foreign);
		c->foreign = next;
	}
	c->foreign_last = NULL;
	c->foreign_count = 0;
}

/* ---- asking ---- */

static struct filing_foreign *take_first(struct filing_centre *c)
{
	struct filing_foreign *first = c->foreign;
	c->foreign = first->next;
	if (!c->foreign)
		c->foreign_last = NULL;
	c->foreign_count--;
	return first;
}

static int make_call(struct hd_filing *f, const struct filing_foreign *foreign, struct filing_work *w, struct filing_call **ret, struct hydro_error *err)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf payload = {0};
	char name[64] = "";
	int rc = hd_ledger_payload(f->config.ledger, foreign->work, foreign->due_ms, &payload, name, err);
	if (rc != HYDRO_OK)
		return rc;
	const struct hd_adapter *adapter = hd_adapters_pick(f->config.adapters, w->family, name, foreign->due_ms);
	if (!adapter || !hd_adapter_can_check(adapter))
		return hd_error_set(err, HYDRO_E_CONFIG, "the adapter \"%.40s\" cannot be asked", name);
	struct filing_call *call = calloc(1, sizeof *call);
	if (!call || !hd_buf_text(&payload)) {
		free(call);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a call");
	}
	call->filing = f;
	call->work = foreign->work;
	call->due_ms = foreign->due_ms;
	call->is_check = call->is_foreign = true;
	call->adapter = adapter;
	call->payload_len = (uint32_t)payload.len;
	call->payload = hd_buf_take(&payload);
	memcpy(call->receipt, foreign->receipt, sizeof call->receipt);
	*ret = call;
	return HYDRO_OK;
}

static int ask(struct hd_filing *f, struct filing_centre *c, const struct filing_foreign *foreign, int64_t now_ms, struct hydro_error *err)
{
	struct filing_work *w = filing_work(f, foreign->work);
	struct filing_call *call = NULL;
	HD_CLEANUP(hd_buf_done) struct hd_buf memory = {0};
	hydro_http_request request;
	hydro_filing_send send;
	int rc = w ? make_call(f, foreign, w, &call, err) : hd_error_set(err, HYDRO_E_NOTFOUND, "the work is gone");
	if (rc == HYDRO_OK)
		rc = filing_call_send(f, call, w, false, now_ms, &send, err);
	if (rc == HYDRO_OK)
		rc = hd_adapter_request(call->adapter, &send, true, &memory, &request, err);
	if (rc != HYDRO_OK) {
		filing_call_free(call);
		return rc;
	}
	call->started_ms = now_ms;
	f->checks++;
	filing_call_submit(call, c, &request);
	return HYDRO_OK;
}

bool filing_foreign_send(struct hd_filing *f, struct filing_centre *c, int64_t now_ms)
{
	while (c->foreign) {
		struct hydro_error err = {0};
		struct filing_foreign *foreign = take_first(c);
		int rc = ask(f, c, foreign, now_ms, &err);
		if (rc != HYDRO_OK)
			filing_event(f, HD_LOG_WARN, "foreign_check_not_made", foreign->work, "%s", err.text);
		free(foreign);
		if (rc == HYDRO_OK)
			return true;
	}
	return false;
}

/* ---- what was answered ---- */

struct answered {
	struct hd_ledger *ledger;
	const hydro_filing_check *check;
	struct hd_foreign_receipt row;
	char code[HD_WORK_CODE_BYTES_MAX + 1], receipt[HD_RECEIPT_BYTES], source[1100];
	bool found;
};

static int take_row(void *arg, const struct hd_foreign_receipt *row, struct hydro_error *err)
{
	struct answered *a = arg;
	(void)err;
	a->row = *row;
	(void)snprintf(a->code, sizeof a->code, "%s", row->code);
	(void)snprintf(a->receipt, sizeof a->receipt, "%s", row->receipt);
	(void)snprintf(a->source, sizeof a->source, "%s", row->source ? row->source : "");
	a->found = true;
	return HYDRO_OK;
}

static int keep(struct hd_filing *f, const struct filing_call *call, const hydro_filing_check *check, struct hydro_error *err)
{
	struct answered a = {.check = check};
	int rc = hd_ledger_foreign_list(f->config.ledger, call->work, call->due_ms, call->due_ms + 1, take_row, &a, err);
	if (rc != HYDRO_OK || !a.found || strcmp(a.receipt, call->receipt) != 0)
		return rc;
	a.row.code = a.code;
	a.row.receipt = a.receipt;
	a.row.source = a.source;
	a.row.check = check->outcome;
	a.row.check_text = check->text;
	return hd_ledger_foreign_put(f->config.ledger, &a.row, 1, err);
}

void filing_foreign_answer(struct hd_filing *f, struct filing_call *call, int64_t now_ms)
{
	struct filing_work *w = filing_work(f, call->work);
	struct hydro_error err = {0};
	hydro_filing_check check = {.struct_size = sizeof check, .outcome = HYDRO_CHECK_UNCLEAR};
	if (w && w->centre)
		filing_result(f, w->centre, w, call, now_ms);
	if (w && call->failure == HD_NET_NONE) {
		hydro_filing_send send;
		hydro_http_response response = {.struct_size = sizeof response, .status = call->status, .body = call->body.data ? call->body.data : "",
						.body_len = call->body.len, .content_type = call->content_type, .received_ms = now_ms,
						.retry_after_ms = call->retry_after_ms};
		if (filing_call_send(f, call, w, false, now_ms, &send, &err) != HYDRO_OK ||
		    hd_adapter_check_parse(call->adapter, &send, &response, &check, &err) != HYDRO_OK)
			check.outcome = HYDRO_CHECK_UNCLEAR;
	}
	if (check.outcome == HYDRO_CHECK_BLOCKED && w && w->centre)
		filing_block(f, w->centre, check.text[0] ? check.text : "the regulator's answer to a check", now_ms);
	else if (keep(f, call, &check, &err) != HYDRO_OK)
		filing_event(f, HD_LOG_WARN, "foreign_check_not_kept", call->work, "%s", err.text);
	filing_call_done(f, call);
}

/* ---- a person's act ---- */

struct compare {
	struct hd_filing *f;
	struct filing_centre *centre;
	uint32_t work;
	int64_t from_ms, to_ms;
	uint32_t queued;
};

static int queue_row(void *arg, const struct hd_foreign_receipt *row, struct hydro_error *err)
{
	struct compare *c = arg;
	if (row->check != 0 && row->check != HYDRO_CHECK_UNCLEAR)
		return HYDRO_OK;
	if (c->centre->foreign_count >= QUEUED_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "more than %u receipts wait to be asked for", QUEUED_MAX);
	struct filing_foreign *foreign = calloc(1, sizeof *foreign);
	if (!foreign)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory");
	foreign->work = c->work;
	foreign->due_ms = row->due_ms;
	(void)snprintf(foreign->receipt, sizeof foreign->receipt, "%s", row->receipt);
	*(c->centre->foreign_last ? &c->centre->foreign_last->next : &c->centre->foreign) = foreign;
	c->centre->foreign_last = foreign;
	c->centre->foreign_count++;
	c->queued++;
	return HYDRO_OK;
}

static int act_compare(struct hd_filing *f, void *arg, struct hydro_error *err)
{
	struct compare *c = arg;
	struct filing_work *w = filing_work(f, c->work);
	if (!w)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "there is no such work");
	if (!w->centre || w->informant == 0)
		return hd_error_set(err, HYDRO_E_CONFLICT, "%s has no control centre or no informant: nobody can ask", w->code);
	if (!filing_may_send(f, w->centre))
		return hd_error_set(err, HYDRO_E_CONFLICT, "the switch is off, or the control centre is stopped or not registered: nothing is asked");
	c->f = f;
	c->centre = w->centre;
	return hd_ledger_foreign_list(f->config.ledger, c->work, c->from_ms, c->to_ms, queue_row, c, err);
}

int hd_filing_compare(struct hd_filing *f, uint32_t work, int64_t from_ms, int64_t to_ms, uint32_t *ret_queued, struct hydro_error *err)
{
	struct compare compare = {.work = work, .from_ms = from_ms, .to_ms = to_ms};
	int rc = filing_act(f, act_compare, &compare, err);
	*ret_queued = compare.queued;
	return rc;
}
