/* SPDX-License-Identifier: MIT */
/* A poll on the io thread: its parts and pages one after the other, then what it came to. */
#include "collect/collect_impl.h"

#include <stdio.h>
#include <stdlib.h>

#define POOL_MAX 1024u
#define KEPT_RAWS 256u /* a longer array is not kept for the next poll */
#define KEPT_BODY_BYTES 65536u
#define RESTING_MAX 4096u /* polls that wait with good parts in memory */
#define PAUSE_MAX_MS INT64_C(3600000)
#define PAGE_TRIES_MAX 3u /* of one page, after the first */

/* ---- the pool ---- */

struct poll *poll_new(struct hd_collect *c, struct account *account, uint32_t index)
{
	const struct hd_point *point = hd_points_get(c->config.points, index);
	if (!point)
		return NULL;
	struct poll *poll = c->pool;
	if (poll) {
		c->pool = poll->next;
		c->pool_count--;
	} else if (!(poll = calloc(1, sizeof *poll))) {
		hd_point_unref(point);
		return NULL;
	}
	poll->collect = c;
	poll->account = account;
	poll->point = point;
	poll->index = index;
	poll->worker = c->ops.worker_of(c->ops.arg, index);
	poll->number = ++c->numbers;
	return poll;
}

void poll_free(struct poll *poll)
{
	struct hd_collect *c = poll->collect;
	options_unref(c, poll->options);
	options_unref(c, poll->account_options);
	token_unref(poll->token);
	hd_point_unref(poll->point);
	if (poll->body.cap > KEPT_BODY_BYTES)
		hd_buf_done(&poll->body);
	if (poll->raw_capacity > KEPT_RAWS) {
		free(HD_STEAL(poll->raws));
		poll->raw_capacity = 0;
	}
	struct poll kept = {.body = poll->body, .raws = poll->raws, .raw_capacity = poll->raw_capacity};
	hd_buf_clear(&kept.body);
	if (c->pool_count >= POOL_MAX) {
		hd_buf_done(&kept.body);
		free(kept.raws);
		free(poll);
		return;
	}
	*poll = kept;
	poll->next = c->pool;
	c->pool = poll;
	c->pool_count++;
}

/* ---- asking ---- */

void poll_fill(const struct poll *poll, hydro_poll *ret)
{
	*ret = (hydro_poll){
		.struct_size = sizeof *ret,
		.mode = poll->mode,
		.part = poll->part,
		.from_ms = poll->from_ms,
		.to_ms = poll->to_ms,
		.now_ms = poll->now_ms,
		.point = poll->options->view,
		.account = poll->account_options->view,
		.token = poll->token ? poll->token->text : "",
		.continuation = poll->continuation_len ? poll->continuation : NULL,
		.continuation_len = poll->continuation_len,
	};
}

bool scratch_grow(struct hd_collect *c, size_t wanted)
{
	if (wanted <= c->scratch_size || wanted > HD_COLLECT_SCRATCH_BYTES_MAX)
		return false;
	char *grown = realloc(c->scratch, wanted);
	if (!grown)
		return false;
	c->scratch = grown;
	c->scratch_size = wanted;
	return true;
}

/* The plugin knows history, this instance is configured without: what it overwrote between two polls is gone. */
static void latest_instead(struct poll *poll)
{
	provider_of(poll->account)->latest_only = true;
	poll->mode = HYDRO_POLL_LATEST;
	poll->from_ms = poll->begin_ms = poll->to_ms = poll->end_ms = 0;
}

static int request_make(struct poll *poll, hydro_http_request *ret, struct hydro_error *err)
{
	struct hd_collect *c = poll->collect;
	const struct hd_collect_provider *provider = &provider_of(poll->account)->config;
	hydro_poll view;
	for (;;) {
		poll_fill(poll, &view);
		*ret = (hydro_http_request){.struct_size = sizeof *ret, .method = HYDRO_HTTP_GET};
		hydro_scratch scratch = {c->scratch, c->scratch_size, 0, 0};
		if (c->ops.enter)
			c->ops.enter(c->ops.arg, provider->crumb, poll->point->id.bytes);
		int rc = provider->ops->request(provider->instance, &view, &scratch, ret, err);
		if (c->ops.leave)
			c->ops.leave(c->ops.arg);
		if (rc == HYDRO_E_UNSUPPORTED && poll->mode == HYDRO_POLL_HISTORY)
			latest_instead(poll);
		else if (rc != HYDRO_E_LIMIT || !scratch_grow(c, scratch.wanted))
			return rc;
	}
}

/* The first time: options, number of parts. */
static int poll_prepare(struct poll *poll, struct hydro_error *err)
{
	struct hd_collect *c = poll->collect;
	const struct hd_collect_provider *provider = &provider_of(poll->account)->config;
	poll->options = options_point(c, poll->point, poll->account->provider, err);
	if (!poll->options)
		return err->code ? err->code : HYDRO_E_CONFIG;
	uint32_t parts = 1;
	if (provider->ops->parts) {
		if (c->ops.enter)
			c->ops.enter(c->ops.arg, provider->crumb, poll->point->id.bytes);
		parts = provider->ops->parts(provider->instance, poll->options->view);
		if (c->ops.leave)
			c->ops.leave(c->ops.arg);
	}
	if (parts < 1 || parts > HD_COLLECT_PARTS_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "a poll of %u parts; 1 to %u are taken", parts, HD_COLLECT_PARTS_MAX);
	poll->parts = parts;
	if (!poll->parts_left)
		poll->parts_left = parts == 32 ? UINT32_MAX : (1u << parts) - 1;
	poll->part = (uint32_t)__builtin_ctz(poll->parts_left);
	return HYDRO_OK;
}

/*
 * A page in the middle of a chain that did not come is asked again at once, a few times: or a long chain would never end
 * where one request in five is cut. Not when it is time that ran out.
 */
static bool page_again(struct poll *poll)
{
	if (poll->dry || !poll->pages || poll->page_tries == PAGE_TRIES_MAX || poll->collect->draining)
		return false;
	poll->page_tries++;
	send_push(poll->account, poll, true);
	return true;
}

static void poll_answered(void *arg, struct hd_net_result *result)
{
	struct poll *poll = arg;
	struct hd_collect *c = poll->collect;
	struct provider *provider = provider_of(poll->account);
	c->busy--;
	poll->status = result->status;
	poll->received_ms = hd_clock_wall_ms();
	poll->retry_after_ms = result->retry_after_ms;
	if (result->failure != HD_NET_NONE) {
		if (poll->dry)
			dry_answer(poll, 0, hd_net_failure_text(result->failure));
		bool service = result->failure != HD_NET_CANCELLED && result->failure != HD_NET_TOO_LARGE && result->failure != HD_NET_INVALID;
		if (service) {
			poll->bits |= POLL_INFRA;
			health_reachable(provider, false);
		}
		if (service && result->failure != HD_NET_TIMEOUT && page_again(poll))
			return;
		poll_part_over(poll, HYDRO_PART_FAILED, 0, hd_net_failure_text(result->failure));
		return;
	}
	struct hd_buf body = poll->body;
	poll->body = *result->body;
	*result->body = body;
	hd_buf_clear(result->body);
	(void)snprintf(poll->content_type, sizeof poll->content_type, "%s", result->content_type);
	if (!poll->received_ns)
		poll->received_ns = result->received_ns;
	if (poll->status >= 500) {
		poll->bits |= POLL_INFRA;
	} else {
		poll->bits |= POLL_ANSWERED;
	}
	health_reachable(provider, poll->status < 500);
	if (poll->dry)
		dry_answer(poll, poll->status, NULL);
	poll->errand.run = answer_parse;
	errand_post(c, &poll->errand);
}

void poll_send(struct poll *poll)
{
	struct hd_collect *c = poll->collect;
	struct provider *provider = provider_of(poll->account);
	struct hydro_error err = {.struct_size = sizeof err};
	hydro_http_request request;
	token_unref(poll->token);
	poll->token = token_ref(poll->account->token);
	options_unref(c, poll->account_options);
	poll->account_options = options_ref(poll->account->options);
	poll->errand.arg = poll;
	poll->errand.drop = poll_dropped;
	poll->errand.worker = poll->worker;
	int rc = HYDRO_OK;
	if (!poll->account_options)
		rc = hd_error_set(&err, HYDRO_E_CONFIG, "%s", poll->account->problem);
	else if (!poll->options)
		rc = poll_prepare(poll, &err);
	if (rc == HYDRO_OK)
		rc = request_make(poll, &request, &err);
	if (rc == HYDRO_OK) {
		if (poll->dry)
			dry_request(poll, &request);
		struct hd_net_request http = {
			.method = request.method,
			.url = request.url,
			.headers = request.headers,
			.header_count = request.header_count,
			.header_stride = request.header_stride,
			.body = request.body,
			.body_len = request.body_len,
			.timeout_ms = request.timeout_ms ? request.timeout_ms : provider->config.timeout_ms,
			.owner = c,
		};
		provider->counters.requests++;
		c->busy++;
		rc = c->config.submit(c->config.submit_arg, &http, poll_answered, poll, &err);
		c->busy -= rc != HYDRO_OK;
	}
	if (rc != HYDRO_OK) {
		if (!poll->parts)
			poll->parts_left = poll->parts = 1; /* no part could be told apart */
		poll_part_over(poll, HYDRO_PART_FAILED, 0, err.text[0] ? err.text : hd_error_info(rc)->title);
	}
}

/* ---- judging ---- */

static void retry_after(struct poll *poll)
{
	if (poll->retry_after_ms < 0 || (poll->status != 429 && poll->status != 503))
		return;
	int64_t until_ms = mono_ms() + HD_MIN(poll->retry_after_ms, PAUSE_MAX_MS);
	poll->account->pause_ms = HD_MAX(poll->account->pause_ms, until_ms);
}

void poll_judged(struct hd_net_job *job)
{
	struct poll *poll = (struct poll *)(void *)job;
	struct account *account = poll->account;
	struct provider *provider = provider_of(account);
	errand_back(poll->collect);
	provider->counters.no_progress += poll->stopped;
	switch (poll->verdict) {
	case HYDRO_PART_MORE:
		poll->pages++;
		poll->page_tries = 0;
		send_push(account, poll, true);
		return;
	case HYDRO_PART_UNAUTHORIZED:
		account_unauthorized(poll);
		return;
	case HYDRO_PART_FAILED:
		retry_after(poll);
		if (poll->status >= 500 && poll->retry_after_ms < 0 && page_again(poll))
			return;
		break;
	default:
		poll->bits |= POLL_GOOD_TOKEN;
	}
	poll_part_over(poll, poll->verdict, poll->status, poll->reason);
}

static void part_note(struct poll *poll, uint32_t part, uint32_t outcome, uint32_t status, const char *reason)
{
	struct provider *provider = provider_of(poll->account);
	poll->outcome[part] = (uint8_t)outcome;
	poll->part_status[part] = (uint16_t)status;
	poll->parts_left &= ~(1u << part);
	if (poll->dry) {
		dry_part_over(poll, outcome, reason);
		return;
	}
	if (outcome == HYDRO_PART_FAILED) {
		poll->failed |= 1u << part;
		provider->counters.parts_failed++;
		health_failure(provider, poll, part, status, reason);
	} else if (outcome == HYDRO_PART_DATA) {
		provider->counters.parts_data++;
	} else {
		provider->counters.parts_no_data++;
	}
}

/* Some parts had data, others answered well and had nothing. */
static bool parts_differ(const struct poll *poll)
{
	bool data = false, nothing = false;
	for (uint32_t i = 0; i < poll->parts; i++) {
		data = data || poll->outcome[i] == HYDRO_PART_DATA;
		nothing = nothing || poll->outcome[i] == HYDRO_PART_NO_DATA;
	}
	return data && nothing;
}

/* Asks the next slice of a long gap. */
static void slice_next(struct poll *poll)
{
	int64_t slice_ms = poll->collect->config.slice_ms;
	poll->from_ms = poll->to_ms + 1;
	poll->to_ms = HD_MIN(poll->end_ms, poll->from_ms + slice_ms - 1);
	poll->parts_left = poll->parts == 32 ? UINT32_MAX : (1u << poll->parts) - 1;
	poll->part = 0;
	poll->bits &= ~POLL_FED;
	poll->received_ns = 0;
	provider_of(poll->account)->counters.slices++;
	send_push(poll->account, poll, false);
}

/* Keeps the good parts in memory and asks the failed ones again, if there is time for it within the period. When all have
 * failed there is nothing to keep: the entry's retry does. */
static bool poll_rest(struct poll *poll)
{
	struct hd_collect *c = poll->collect;
	struct entry *entry = &c->schedule.entries[poll->index];
	bool all = __builtin_popcount(poll->failed) == (int)poll->parts;
	if (all || c->draining || poll->bits & (POLL_DRY | POLL_SLICED) || entry->bits & (ENTRY_CHANGED | ENTRY_NOW) ||
	    c->resting_count >= RESTING_MAX)
		return false;
	uint32_t failures = entry->failures;
	entry->failures = (uint8_t)HD_MIN(entry->failures + 1, 255);
	int64_t next_ms = schedule_next_ms(poll->index, entry->period_s, c->origin_ms, mono_ms());
	entry_after(c, poll->index, true);
	if (c->schedule.due_ms[poll->index] >= next_ms || !hd_map_put(&c->resting, &poll->index, sizeof poll->index, (uint64_t)(uintptr_t)poll)) {
		/* Out of time: back to how it was, the poll ends now. */
		schedule_remove(&c->schedule, poll->index);
		entry->state = ENTRY_POLLING;
		entry->failures = (uint8_t)failures;
		return false;
	}
	c->resting_count++;
	entry->bits |= ENTRY_RESTING;
	poll->parts_left = poll->failed;
	poll->failed = 0;
	poll->part = (uint32_t)__builtin_ctz(poll->parts_left);
	account_answered(poll->account, poll, mono_ms());
	poll->bits &= ~(POLL_INFRA | POLL_ANSWERED | POLL_GOOD_TOKEN | POLL_RELOGGED);
	poll->pages = poll->stale_tries = poll->page_tries = 0;
	c->polls--;
	poll->account->polls--;
	account_activate(poll->account);
	return true;
}

void poll_part_over(struct poll *poll, uint32_t outcome, uint32_t status, const char *reason)
{
	part_note(poll, poll->part, outcome, status, reason);
	/* No connection, a pause: asking for the other parts would only take their time-outs too. */
	if (outcome == HYDRO_PART_FAILED && (status == 0 || status == 429))
		while (poll->parts_left)
			part_note(poll, (uint32_t)__builtin_ctz(poll->parts_left), outcome, status, reason);
	poll->continuation_len = 0;
	poll->pages = poll->stale_tries = poll->page_tries = 0;
	poll->page_newest_ms = 0;
	poll->stopped = false;
	if (poll->parts_left) {
		poll->part = (uint32_t)__builtin_ctz(poll->parts_left);
		send_push(poll->account, poll, true);
		return;
	}
	if (poll->failed && poll_rest(poll))
		return;
	bool to_feed = poll->raw_count > 0 && !poll->dry && !(poll->bits & POLL_FED);
	if (to_feed || poll->bits & POLL_HOLDING) {
		poll->errand.run = answer_feed;
		errand_post(poll->collect, &poll->errand);
		return;
	}
	poll_over(poll);
}

/* ---- the end ---- */

/* What is newer than the begin of this poll's window has to be asked again: others of its parts may have moved the newest
 * reading past what this one still owes. */
static void entry_behind(const struct poll *poll, struct entry *entry)
{
	uint32_t from_s = (uint32_t)(poll->begin_ms / HD_MS_PER_S);
	if (poll->mode == HYDRO_POLL_HISTORY && poll->raws_total > 0 && (!entry->behind_s || from_s < entry->behind_s))
		entry->behind_s = from_s;
}

static void entry_learn(struct poll *poll, struct entry *entry, bool good)
{
	bool history = poll->mode == HYDRO_POLL_HISTORY;
	if (!good) {
		entry->failures = (uint8_t)HD_MIN(entry->failures + 1, 255);
		entry_behind(poll, entry);
	} else {
		entry->failures = 0;
		entry->bits &= (uint8_t)~ENTRY_DENIED;
		if (history)
			entry->behind_s = 0;
		if (poll->bits & POLL_OVERLAP)
			entry->bits &= (uint8_t)~ENTRY_OVERLAP;
		if (poll->bits & POLL_DEEP)
			entry->bits &= (uint8_t)~ENTRY_DEEP;
		/* Empty answers happen where there is data: believed the second time. */
		if (!(poll->bits & POLL_DOUBT)) {
			entry->bits &= (uint8_t)~ENTRY_DOUBT;
		} else if (!(entry->bits & ENTRY_DOUBT)) {
			entry->bits |= ENTRY_DOUBT;
			entry_behind(poll, entry);
		}
	}
	if (history && good && poll->raws_total == 0)
		entry->bits |= ENTRY_QUIET;
	else if (poll->raws_total > 0)
		entry->bits &= (uint8_t)~ENTRY_QUIET;
	entry->outcome = good ? (poll->raws_total ? HYDRO_PART_DATA : HYDRO_PART_NO_DATA) : HYDRO_PART_FAILED;
}

static void entry_release(struct poll *poll, bool good)
{
	struct hd_collect *c = poll->collect;
	struct entry *entry = &c->schedule.entries[poll->index];
	entry_learn(poll, entry, good);
	entry->state = ENTRY_OFF;
	if (entry->bits & ENTRY_CHANGED) {
		entry->bits &= (uint8_t)~ENTRY_CHANGED;
		change_resume(c, poll->index);
	} else {
		entry_after(c, poll->index, !good);
	}
}

void poll_over(struct poll *poll)
{
	struct hd_collect *c = poll->collect;
	struct account *account = poll->account;
	if (parts_differ(poll))
		poll->bits |= POLL_DOUBT;
	if (poll->bits & POLL_SLICED && !poll->failed && poll->to_ms < poll->end_ms && !c->draining) {
		slice_next(poll);
		return;
	}
	if (poll->dry) {
		dry_over(poll);
		return;
	}
	bool good = poll->failed == 0;
	c->polls--;
	account->polls--;
	account->backlog_polls -= (poll->bits & POLL_SLICED) != 0;
	account_answered(account, poll, mono_ms());
	health_poll(c, poll, good);
	entry_release(poll, good);
	account_activate(account);
	poll_free(poll);
}

void poll_dropped(void *arg)
{
	struct poll *poll = arg;
	poll->parts_left = poll->raw_count = 0;
	poll->failed |= 1;
	poll->bits &= ~POLL_HOLDING;
	poll_over(poll);
}

void poll_fail_waiting(struct account *account, const char *reason)
{
	struct poll *poll = HD_STEAL(account->send_head);
	account->send_tail = NULL;
	while (poll) {
		struct poll *next = HD_STEAL(poll->next);
		if (!poll->parts)
			poll->parts_left = poll->parts = 1;
		poll_part_over(poll, HYDRO_PART_FAILED, 0, reason);
		poll = next;
	}
}
