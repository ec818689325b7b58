/* SPDX-License-Identifier: MIT */
/* Who goes now, claims, and the requests themselves. */
#include "filing/filing_impl.h"

#include "observe/log.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_RETRY_MS (10 * FILING_MINUTE_MS)
#define ADAPTER_RETRY_MS (5 * HD_MS_PER_S) /* its own process has ended and starts again */

/* A filing that is about to be claimed. */
struct filing_pending {
	struct filing_call *call;
	struct filing_slot *slot;
	struct filing_centre *centre;
	uint32_t class;
	hydro_http_request request;
	struct hd_buf memory; /* of the request: holds the secret */
	struct hd_buf detail;
};

bool filing_may_send(const struct hd_filing *f, const struct filing_centre *c)
{
	return f->on && !f->on_hold && f->clock_good && !f->stopped_by_clock && c->state == HD_CENTRE_RUNNING && c->registered_ms != 0;
}

size_t filing_pending_bytes(void)
{
	return sizeof(struct filing_pending);
}

/* ---- calls ---- */

void filing_call_free(struct filing_call *call)
{
	if (!call)
		return;
	hd_buf_done(&call->body);
	free(call->payload);
	free(call);
}

/* The frozen bytes and who made them, from memory or from the ledger. */
static int payload_of(struct hd_filing *f, struct filing_slot *slot, char **ret, uint32_t *ret_len, struct hydro_error *err)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf text = {0};
	char name[64] = "";
	if (slot->payload) {
		*ret = strdup(slot->payload);
		*ret_len = slot->payload_len;
		return *ret ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOMEM, "no memory for a payload");
	}
	int rc = hd_ledger_payload(f->config.ledger, slot->work->number, slot->due_ms, &text, name, err);
	if (rc != HYDRO_OK)
		return rc;
	slot->adapter = hd_adapters_pick(f->config.adapters, slot->work->family, name, slot->due_ms);
	if (!slot->adapter)
		return hd_error_set(err, HYDRO_E_CONFIG, "the adapter \"%.40s\" that made this slot's payload is not configured", name);
	*ret_len = (uint32_t)text.len;
	(void)hd_buf_text(&text);
	*ret = hd_buf_take(&text);
	return *ret ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOMEM, "no memory for a payload");
}

struct filing_call *filing_call_new(struct hd_filing *f, struct filing_slot *slot, bool is_check, struct hydro_error *err)
{
	struct filing_call *call = calloc(1, sizeof *call);
	if (!call) {
		(void)hd_error_set(err, HYDRO_E_NOMEM, "no memory for a call");
		return NULL;
	}
	call->filing = f;
	call->work = slot->work->number;
	call->due_ms = slot->due_ms;
	call->is_check = is_check;
	if (payload_of(f, slot, &call->payload, &call->payload_len, err) != HYDRO_OK) {
		filing_call_free(call);
		return NULL;
	}
	call->adapter = slot->adapter;
	return call;
}

/* [io] */
static bool before_write(void *arg)
{
	struct filing_call *call = arg;
	/* The right to send, and the turn in the centre's rate, may have gone while the connection was made, or while this process slept; and
	 * a switch put off holds at once. */
	if (!atomic_load(&call->filing->on) || hd_clock_mono_ns() >= call->lease_until_ns)
		return false;
	atomic_store(&call->begun, true);
	return true;
}

/* [io] */
static void on_done(void *arg, struct hd_net_result *result)
{
	struct filing_call *call = arg;
	struct hd_filing *f = call->filing;
	call->status = result->status;
	call->failure = result->failure;
	call->retry_after_ms = result->retry_after_ms;
	(void)snprintf(call->content_type, sizeof call->content_type, "%s", result->content_type);
	(void)snprintf(call->detail, sizeof call->detail, "%s", result->detail);
	struct hd_buf body = *result->body;
	*result->body = call->body;
	call->body = body;
	pthread_mutex_lock(&f->lock);
	f->outstanding--;
	if (!f->done)
		f->done_since_ns = hd_clock_real_ns();
	call->next = f->done;
	f->done = call;
	pthread_cond_broadcast(&f->cond);
	pthread_mutex_unlock(&f->lock);
}

/* What a call sends, for the adapter; texts are borrowed. */
int filing_call_send(struct hd_filing *f, const struct filing_call *call, struct filing_work *w, bool with_secret, int64_t now_ms, hydro_filing_send *ret,
		     struct hydro_error *err)
{
	const struct filing_informant *informant = filing_informant(f, w->informant, err);
	if (!informant)
		return err->code;
	*ret = (hydro_filing_send){
		.struct_size = sizeof *ret, .payload_len = call->payload_len, .code = w->code, .kind = w->kind, .payload = call->payload,
		.centre = w->centre ? w->centre->identifier : "", .informant = informant->identifier, .secret = with_secret ? informant->secret : NULL,
		.receipt = call->is_check ? call->receipt : NULL, .now_ms = now_ms,
	};
	ret->work = filing_work_options(w, call->adapter, err);
	return err->code;
}

/* The request goes off. When it cannot, it is as an answer without an answer. */
void filing_call_submit(struct filing_call *call, struct filing_centre *c, const hydro_http_request *request)
{
	struct hd_filing *f = call->filing;
	struct hydro_error err = {0};
	struct hd_net_request net = {
		.method = request->method, .flags = HD_NET_FRESH, .url = request->url, .headers = request->headers, .header_count = request->header_count,
		.header_stride = request->header_stride, .body = request->body, .body_len = request->body_len,
		.timeout_ms = (uint32_t)(request->timeout_ms ? HD_MIN(request->timeout_ms, f->config.timeout_ms) : f->config.timeout_ms),
		.owner = f, .before_write = before_write,
	};
	/* Its turn counts from when it goes: the ledger's write before it may have taken long. */
	hd_pace_gate_went(&c->gate, hd_clock_wall_ms());
	call->submitted_ns = hd_clock_mono_ns();
	if (call->is_check)
		call->lease_until_ns = call->submitted_ns + f->config.lease_ms * HD_NS_PER_MS;
	f->last_submit_ns = call->submitted_ns;
	f->in_flight++;
	pthread_mutex_lock(&f->lock);
	f->outstanding++;
	pthread_mutex_unlock(&f->lock);
	if (hd_net_submit(f->config.net, &net, on_done, call, &err) == HYDRO_OK)
		return;
	struct hd_buf none = {0};
	struct hd_net_result result = {.failure = HD_NET_INVALID, .body = &none, .content_type = "", .retry_after_ms = -1, .detail = err.text};
	on_done(call, &result);
}

/* ---- who goes ---- */

static struct filing_work *work_of(struct hd_pace_node *node)
{
	return (struct filing_work *)(void *)((char *)node - offsetof(struct filing_work, ready));
}

/* The centre's first work with its slot; works whose slot has changed meanwhile go to where they belong. */
static struct filing_slot *first_post(struct hd_filing *f, struct filing_centre *c, int64_t now_ms, uint32_t *ret_class)
{
	struct hd_pace_node *node;
	while ((node = hd_pace_heap_top(&c->ready))) {
		struct filing_work *w = work_of(node);
		int64_t next;
		struct filing_slot *slot = filing_work_pick(f, w, now_ms, ret_class, &next);
		if (slot && *ret_class == node->class)
			return slot;
		filing_work_candidate(f, w, now_ms);
		filing_work_arm(f, w);
	}
	return NULL;
}

/* While the circuit is open only a slot that was never sent may try. */
static struct filing_slot *first_never_sent(struct hd_filing *f, struct filing_centre *c, int64_t now_ms, uint32_t *ret_class)
{
	for (uint32_t i = 0; i < c->ready.count; i++) {
		int64_t next;
		struct filing_slot *slot = filing_work_pick(f, work_of(c->ready.nodes[i]), now_ms, ret_class, &next);
		if (slot && slot->attempts == 0)
			return slot;
	}
	return NULL;
}

static bool backlog_must_wait(const struct filing_centre *c, const struct filing_slot *slot, uint32_t class, int64_t now_ms)
{
	return class != HD_PACE_FRESH && c->backlog_scope == HD_BACKLOG_PER_CENTRE && now_ms < c->last_backlog_ms + filing_spacing(slot->work);
}

/* Makes the request; nothing is claimed yet. */
static bool prepare(struct hd_filing *f, struct filing_slot *slot, int64_t now_ms, struct filing_pending *ret)
{
	struct filing_work *w = slot->work;
	struct hydro_error err = {0};
	hydro_filing_send send;
	*ret = (struct filing_pending){.slot = slot, .centre = w->centre, .call = filing_call_new(f, slot, false, &err)};
	int rc = ret->call ? filing_call_send(f, ret->call, w, true, now_ms, &send, &err) : err.code;
	if (rc == HYDRO_OK)
		rc = hd_adapter_request(slot->adapter, &send, false, &ret->memory, &ret->request, &err);
	if (rc == HYDRO_OK) {
		hd_adapter_describe(&ret->request, &send, &ret->detail);
		return true;
	}
	hd_buf_done(&ret->memory);
	filing_call_free(ret->call);
	bool passes = hd_error_info(rc)->retry == HD_RETRY_LATER;
	if (passes)
		filing_event(f, HD_LOG_WARN, "adapter_not_asked", w->number, "%s: %s", w->code, err.text);
	else
		filing_trouble(f, w, err.text, now_ms);
	w->candidate_ms = now_ms + (passes ? ADAPTER_RETRY_MS : CONFIG_RETRY_MS);
	hd_pace_heap_remove(&w->centre->ready, &w->ready);
	filing_work_arm(f, w);
	return false;
}

static void pending_done(struct filing_pending *p)
{
	hd_buf_done(&p->memory);
	hd_buf_done(&p->detail);
}

static bool post(struct hd_filing *f, struct filing_centre *c, struct filing_slot *slot, uint32_t class, int64_t now_ms)
{
	if (f->pending_count == FILING_IN_FLIGHT_MAX || !prepare(f, slot, now_ms, &f->pending[f->pending_count]))
		return false;
	struct filing_pending *p = &f->pending[f->pending_count++];
	p->class = class;
	slot->in_flight = true;
	slot->work->last_post_ms = now_ms;
	if (class != HD_PACE_FRESH)
		c->last_backlog_ms = now_ms;
	filing_work_candidate(f, slot->work, now_ms);
	filing_work_arm(f, slot->work);
	return true;
}

/* One call of a centre; false: there is none now. */
static bool call_one(struct hd_filing *f, struct filing_centre *c, int64_t now_ms)
{
	uint32_t class = 0;
	bool probing = hd_pace_circuit_is_open(&c->circuit);
	if (probing && now_ms < c->circuit.probe_ms)
		return false;
	struct filing_slot *slot = probing ? first_never_sent(f, c, now_ms, &class) : first_post(f, c, now_ms, &class);
	if (slot && backlog_must_wait(c, slot, class, now_ms))
		slot = NULL;
	struct filing_slot *check = filing_check_first(c);
	if (check && check->not_before_ms > now_ms)
		check = NULL;
	struct hd_pace_call call = {
		.post = slot != NULL, .check = check != NULL, .post_class = class, .post_never_sent = slot && slot->attempts == 0,
		.check_waits_ms = check ? now_ms - check->not_before_ms : 0, .check_bound_ms = FILING_CHECK_BOUND_MS, .last_was_check = c->last_was_check,
		.probing = probing,
	};
	uint32_t what = hd_pace_choose(&call);
	if (what == HD_PACE_NOTHING) {
		if (probing || !filing_foreign_send(f, c, now_ms))
			return false;
		hd_pace_gate_take(&c->gate, now_ms);
		return true;
	}
	bool sent = what == HD_PACE_CHECK ? filing_check_send(f, c, now_ms) : post(f, c, slot, class, now_ms);
	if (!sent)
		return true; /* the next one */
	c->last_was_check = what == HD_PACE_CHECK;
	hd_pace_gate_take(&c->gate, now_ms);
	if (probing)
		c->circuit.probe_ms = now_ms + f->config.circuit_probe_ms;
	return true;
}

/* ---- claims ---- */

static void claimed(struct hd_filing *f, struct filing_pending *p, const struct hd_slot_change *row)
{
	struct filing_slot *slot = p->slot;
	slot->state = HD_SLOT_SENDING;
	slot->epoch = p->call->epoch = row->epoch;
	slot->attempts++;
	slot->last_attempt_ms = row->at_ms;
	slot->marks |= (uint8_t)row->add_marks;
	p->call->lease_until_ns = row->lease_until_ns;
	p->call->started_ms = row->at_ms;
	f->posts++;
	filing_call_submit(p->call, p->centre, &p->request);
}

static void not_claimed(struct hd_filing *f, struct filing_pending *p, bool conflict, int64_t now_ms)
{
	struct filing_work *w = p->slot->work;
	int64_t due_ms = p->slot->due_ms;
	p->slot->in_flight = false;
	filing_call_free(p->call);
	if (conflict)
		filing_slot_refresh(f, w, due_ms);
	w->candidate_ms = now_ms + (conflict ? 0 : HD_MS_PER_S);
	filing_work_arm(f, w);
}

static void claim_row(struct hd_filing *f, struct filing_pending *p, struct hd_slot_change *row, int64_t now_ms)
{
	const struct filing_slot *slot = p->slot;
	bool late = now_ms > filing_deadline(slot), over_lag = now_ms >= hd_calendar_limit(&slot->work->calendar, slot->due_ms);
	*row = (struct hd_slot_change){
		.work = slot->work->number, .from = slot->state, .to = HD_SLOT_SENDING, .due_ms = slot->due_ms, .at_ms = now_ms, .actor = "hydrod",
		.lease_until_ns = hd_clock_mono_ns() + f->config.lease_ms * HD_NS_PER_MS,
		.add_marks = ((late ? HD_SLOT_LATE : 0u) | (over_lag ? HD_SLOT_OVER_LAG : 0u)) & ~(uint32_t)slot->marks,
		.detail = hd_buf_text(&p->detail), .detail_len = p->detail.len,
	};
}

/* All claims of this tick in one transaction: durable before the first byte of any of them. */
static void claim(struct hd_filing *f, int64_t now_ms)
{
	struct hydro_error err = {0};
	if (f->pending_count == 0)
		return;
	for (uint32_t i = 0; i < f->pending_count; i++)
		claim_row(f, &f->pending[i], &f->claims[i], now_ms);
	int rc = hd_ledger_apply(f->config.ledger, f->claims, f->pending_count, &err);
	if (rc != HYDRO_OK) {
		f->ledger_failures++;
		f->retry_ms = now_ms + HD_MS_PER_S;
		filing_event(f, HD_LOG_ERROR, "ledger_not_written", 0, "%s; nothing is sent until it takes writes again", err.text);
	}
	for (uint32_t i = 0; i < f->pending_count; i++) {
		struct filing_pending *p = &f->pending[i];
		if (rc == HYDRO_OK && f->claims[i].rc == HYDRO_OK)
			claimed(f, p, &f->claims[i]);
		else
			not_claimed(f, p, rc == HYDRO_OK, now_ms);
		pending_done(p);
	}
	f->pending_count = 0;
}

/* Older than a call gets: this process slept while it was under way, and it may have arrived at any moment since. */
static bool is_overdue(const struct hd_filing *f, int64_t submitted_ns)
{
	return hd_clock_mono_ns() - submitted_ns > (f->config.timeout_ms + HD_NET_CONNECT_TIMEOUT_MS) * HD_NS_PER_MS;
}

void filing_call_arrived(struct hd_filing *f, struct filing_centre *c, const struct filing_call *call, int64_t now_ms)
{
	if (is_overdue(f, call->submitted_ns))
		hd_pace_gate_take(&c->gate, now_ms);
}

/* All that is under way should have ended: nothing goes until it is known when it did. */
static bool has_slept(const struct hd_filing *f)
{
	return f->in_flight > f->put_back && is_overdue(f, f->last_submit_ns);
}

void filing_send(struct hd_filing *f, int64_t now_ms)
{
	if (has_slept(f))
		return;
	for (uint32_t i = 0; i < f->centre_capacity; i++) {
		struct filing_centre *c = f->centres[i];
		if (!c || !filing_may_send(f, c))
			continue;
		for (uint32_t tries = 0; tries < 64 && hd_pace_gate_open(&c->gate, now_ms) && f->in_flight + f->pending_count < FILING_IN_FLIGHT_MAX; tries++)
			if (!call_one(f, c, now_ms))
				break;
	}
	claim(f, now_ms);
}

static int64_t next_of(struct hd_filing *f, const struct filing_centre *c, int64_t now_ms)
{
	int64_t at = FILING_NEVER;
	if (c->ready.count) {
		const struct hd_pace_node *top = hd_pace_heap_top(&c->ready);
		at = now_ms;
		if (top->class != HD_PACE_FRESH && c->backlog_scope == HD_BACKLOG_PER_CENTRE)
			at = HD_MAX(at, c->last_backlog_ms + filing_spacing(work_of(c->ready.nodes[0])));
	}
	if (c->checks.count)
		at = HD_MIN(at, filing_check_first(c)->not_before_ms);
	if (c->foreign)
		at = HD_MIN(at, now_ms);
	if (at == FILING_NEVER)
		return at;
	at = HD_MAX(at, c->gate.next_ms);
	if (hd_pace_circuit_is_open(&c->circuit))
		at = HD_MAX(at, c->circuit.probe_ms);
	/* Nothing of what is there could go: not again at once. */
	(void)f;
	return at > now_ms ? at : now_ms + (int64_t)c->gate.interval_ms;
}

int64_t filing_send_next(struct hd_filing *f, int64_t now_ms)
{
	int64_t next = FILING_NEVER;
	if (f->in_flight >= FILING_IN_FLIGHT_MAX || has_slept(f))
		return next; /* an answer wakes it */
	for (uint32_t i = 0; i < f->centre_capacity; i++)
		if (f->centres[i] && filing_may_send(f, f->centres[i]))
			next = HD_MIN(next, next_of(f, f->centres[i], now_ms));
	return next;
}
