/* SPDX-License-Identifier: MIT */
/* The worker's half of a poll: parse, what it emits, the feed. Also the io thread's queue in front of full workers. */
#include "collect/collect_impl.h"

#include "base/array.h"
#include "model/sample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- errands ---- */

bool worker_is_full(const struct hd_collect *c, uint32_t worker)
{
	return c->outbox[worker % WORKERS_MAX].full;
}

void errand_post(struct hd_collect *c, struct errand *errand)
{
	struct outbox *outbox = &c->outbox[errand->worker % WORKERS_MAX];
	c->busy++;
	errand->next = NULL;
	if (outbox->head)
		outbox->tail->next = errand;
	else
		outbox->head = errand;
	outbox->tail = errand;
}

/* The whole chain is one job of the worker. */
static void errands_run(void *arg, struct hd_worker *w)
{
	for (struct errand *errand = arg; errand;) {
		/* Running it gives it back to the io thread. */
		struct errand *next = errand->next;
		errand->run(errand->arg, w);
		errand = next;
	}
}

bool outboxes_flush(struct hd_collect *c)
{
	bool left = false;
	for (uint32_t i = 0; i < WORKERS_MAX; i++) {
		struct outbox *outbox = &c->outbox[i];
		if (!outbox->head)
			continue;
		outbox->full = !c->ops.post(c->ops.arg, outbox->head->worker, errands_run, outbox->head);
		left = left || outbox->full;
		if (!outbox->full)
			outbox->head = outbox->tail = NULL;
	}
	return left;
}

void outboxes_drop(struct hd_collect *c)
{
	for (uint32_t i = 0; i < WORKERS_MAX; i++) {
		struct errand *errand = HD_STEAL(c->outbox[i].head);
		c->outbox[i].tail = NULL;
		while (errand) {
			struct errand *next = errand->next;
			errand_back(c);
			errand->drop(errand->arg);
			errand = next;
		}
	}
}

/* ---- what parse emits ---- */

bool raws_valid(const hydro_raw *values, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (!isfinite(values[i].value) || values[i].ts_ms < HD_TS_MIN_MS || values[i].ts_ms >= HD_TS_MAX_MS || values[i].metric == 0)
			return false;
	return true;
}

static int32_t emit_raw(void *ctx, const hydro_raw *values, uint32_t count)
{
	struct poll *poll = ctx;
	if (!raws_valid(values, count))
		return HYDRO_E_INVALID;
	if (!HD_RESERVE(poll->raws, poll->raw_capacity, poll->raw_count, count))
		return HYDRO_E_NOMEM;
	/* The next poll takes what came in after this one had begun, for all parts. */
	int64_t ahead_ms = HD_MAX(poll->now_ms, poll->received_ms) + poll->collect->config.skew_ms;
	for (uint32_t i = 0; i < count; i++) {
		if (poll->mode == HYDRO_POLL_HISTORY && values[i].ts_ms > poll->now_ms && values[i].ts_ms <= ahead_ms)
			continue;
		poll->raws[poll->raw_count++] = values[i];
		poll->raws_total++;
		poll->newest_ms = HD_MAX(poll->newest_ms, values[i].ts_ms);
		poll->page_newest_ms = HD_MAX(poll->page_newest_ms, values[i].ts_ms);
	}
	return HYDRO_OK;
}

static int32_t emit_raw_for(void *ctx, const char *point_key, const hydro_raw *values, uint32_t count)
{
	(void)point_key;
	/* A poll is for one point. */
	return emit_raw(ctx, values, count);
}

/* ---- feeding ---- */

static int raw_order(const void *a, const void *b)
{
	int64_t x = ((const hydro_raw *)a)->ts_ms, y = ((const hydro_raw *)b)->ts_ms;
	return (x > y) - (x < y);
}

static void sort_raws(struct poll *poll)
{
	for (uint32_t i = 1; i < poll->raw_count; i++)
		if (poll->raws[i].ts_ms < poll->raws[i - 1].ts_ms) {
			qsort(poll->raws, poll->raw_count, sizeof *poll->raws, raw_order);
			return;
		}
}

/* False with the reason when the pipeline did not take it. */
static bool feed(struct poll *poll, struct hd_worker *w)
{
	struct hd_collect *c = poll->collect;
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_collect_feed how = {
		.mode = poll->bits & POLL_SLICED ? HD_COLLECT_BACKFILL : HD_COLLECT_LIVE,
		.source = poll->number,
		.received_ns = poll->received_ns,
	};
	sort_raws(poll);
	int rc = c->ops.feed(c->ops.arg, w, poll->index, poll->raws, poll->raw_count, &how, &err);
	poll->raw_count = 0;
	if (rc != HYDRO_OK)
		(void)snprintf(poll->reason, sizeof poll->reason, "pipeline: %.180s", err.text);
	return rc == HYDRO_OK;
}

/* ---- parse ---- */

static void parse(struct poll *poll, hydro_outcome *outcome)
{
	struct hd_collect *c = poll->collect;
	const struct hd_collect_provider *provider = &provider_of(poll->account)->config;
	hydro_poll view;
	poll_fill(poll, &view);
	hydro_http_response response = {sizeof response,     poll->status,       poll->body.data ? poll->body.data : "",
					poll->body.len,      poll->content_type, poll->received_ms,
					poll->retry_after_ms};
	hydro_emit emit = {.struct_size = sizeof emit, .ctx = poll, .raw = emit_raw, .raw_for = emit_raw_for};
	struct hydro_error err = {.struct_size = sizeof err};
	if (c->ops.enter)
		c->ops.enter(c->ops.arg, provider->crumb, poll->point->id.bytes);
	int32_t rc = provider->ops->parse(provider->instance, &view, &response, &emit, outcome, &err);
	if (c->ops.leave)
		c->ops.leave(c->ops.arg);
	poll->reason[0] = '\0';
	if (rc != HYDRO_OK)
		outcome->status = HYDRO_PART_FAILED;
	if (outcome->status < HYDRO_PART_DATA || outcome->status > HYDRO_PART_FAILED || outcome->continuation_len > HYDRO_CONTINUATION_BYTES) {
		outcome->status = HYDRO_PART_FAILED;
		(void)snprintf(poll->reason, sizeof poll->reason, "the provider's outcome is not valid");
	} else if (outcome->status == HYDRO_PART_FAILED) {
		(void)snprintf(poll->reason, sizeof poll->reason, "%.190s", err.text[0] ? err.text : "failed without a reason");
	}
}

/* A chain of pages must move: another continuation, or newer data. */
static void chain_check(struct poll *poll, hydro_outcome *outcome, int64_t newest_before_ms)
{
	bool same =
		outcome->continuation_len == poll->continuation_len && memcmp(outcome->continuation, poll->continuation, poll->continuation_len) == 0;
	if (same && poll->page_newest_ms <= newest_before_ms) {
		outcome->status = HYDRO_PART_FAILED;
		poll->stopped = true;
		(void)snprintf(poll->reason, sizeof poll->reason, "no progress: neither continuation nor newest time moved");
		return;
	}
	if (poll->pages + 1 >= poll->collect->config.pages_max) {
		outcome->status = HYDRO_PART_FAILED;
		poll->stopped = true;
		(void)snprintf(poll->reason, sizeof poll->reason, "no end after %u pages", poll->collect->config.pages_max);
		return;
	}
	memcpy(poll->continuation, outcome->continuation, outcome->continuation_len);
	poll->continuation_len = outcome->continuation_len;
}

void answer_parse(void *arg, struct hd_worker *w)
{
	struct poll *poll = arg;
	struct hd_collect *c = poll->collect;
	hydro_outcome outcome = {.struct_size = sizeof outcome};
	uint32_t raws_before = poll->raw_count;
	int64_t newest_before_ms = poll->page_newest_ms;
	if (poll->bits & POLL_SLICED && !(poll->bits & POLL_HOLDING) && c->ops.hold && !poll->dry) {
		c->ops.hold(c->ops.arg, w, poll->index);
		poll->bits |= POLL_HOLDING;
	}
	parse(poll, &outcome);
	/* A failure never becomes a value: what a page that failed had emitted is dropped. */
	if (outcome.status == HYDRO_PART_FAILED || outcome.status == HYDRO_PART_UNAUTHORIZED) {
		poll->raws_total -= poll->raw_count - raws_before;
		poll->raw_count = raws_before;
	}
	if (outcome.status == HYDRO_PART_MORE)
		chain_check(poll, &outcome, newest_before_ms);
	/* The page before said that there was more. */
	if (outcome.status == HYDRO_PART_NO_DATA && poll->pages > 0) {
		outcome.status = poll->page_newest_ms > 0 ? HYDRO_PART_DATA : HYDRO_PART_NO_DATA;
		poll->bits |= POLL_DOUBT;
	}
	poll->verdict = outcome.status;
	bool whole =
		(outcome.status == HYDRO_PART_DATA || outcome.status == HYDRO_PART_NO_DATA) && poll->failed == 0 && poll->parts_left == 1u << poll->part;
	if (!poll->dry && poll->raw_count > 0 && (whole || poll->raw_count >= HD_COLLECT_RAWS_MAX)) {
		if (!feed(poll, w))
			poll->verdict = HYDRO_PART_FAILED;
		if (whole)
			poll->bits |= POLL_FED;
	}
	poll->job.run = poll_judged;
	hd_net_post(c->config.net, &poll->job);
}

static void fed(struct hd_net_job *job)
{
	struct poll *poll = (struct poll *)(void *)job;
	errand_back(poll->collect);
	if (poll->verdict == HYDRO_PART_FAILED && !poll->failed) {
		poll->failed = 1;
		health_failure(provider_of(poll->account), poll, 0, poll->status, poll->reason);
	}
	poll_over(poll);
}

void answer_feed(void *arg, struct hd_worker *w)
{
	struct poll *poll = arg;
	struct hd_collect *c = poll->collect;
	poll->verdict = HYDRO_PART_DATA;
	if (poll->raw_count > 0 && !poll->dry && !feed(poll, w))
		poll->verdict = HYDRO_PART_FAILED;
	bool last = poll->failed || poll->to_ms >= poll->end_ms;
	if (poll->bits & POLL_HOLDING && last) {
		if (c->ops.release)
			c->ops.release(c->ops.arg, w, poll->index);
		poll->bits &= ~POLL_HOLDING;
	}
	poll->job.run = fed;
	hd_net_post(c->config.net, &poll->job);
}
