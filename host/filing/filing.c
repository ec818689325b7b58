/* SPDX-License-Identifier: MIT */
/* The engine's life: its thread, one step of it, what other threads ask of it. */
#include "filing/filing_impl.h"

#include "base/array.h"
#include "base/thread.h"
#include "filing/filing.h"
#include "model/batch.h"
#include "observe/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS(n) ((n) * HD_MS_PER_S)
#define CHANGES_PER_FLUSH 2000u
#define SIM_POLL_MS 50 /* hd_filing_is_idle wakes it when the clock has gone on */
#define WAIT_MAX_MS 60000

void filing_event(struct hd_filing *f, uint32_t level, const char *event, uint32_t work, const char *fmt, ...)
{
	char text[320];
	va_list ap;
	if (!f->config.event)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	f->config.event(f->config.arg, level, event, work, text);
}

/* ---- one step ---- */

static void take_woken(struct hd_filing *f, int64_t now_ms)
{
	pthread_mutex_lock(&f->lock);
	uint32_t count = f->woken_count, *numbers = HD_STEAL(f->woken);
	f->woken_count = f->woken_capacity = 0;
	pthread_mutex_unlock(&f->lock);
	for (uint32_t i = 0; i < count; i++) {
		for (struct filing_work *w = filing_work(f, numbers[i]); w; w = w->same_point) {
			w->watched = false;
			if (w->waiting_count == 0)
				continue;
			/* Past data comes oldest first: what is late already waits for the nearer readings behind this one. */
			bool is_late = now_ms - w->waiting[w->waiting_count - 1] > FILING_SETTLE_MS;
			w->look_ms = HD_MIN(w->look_ms, now_ms + (is_late ? FILING_BACKFILL_MS : 0));
			filing_work_arm(f, w);
		}
	}
	free(numbers);
}

static void run_timers(struct hd_filing *f, int64_t now_ms)
{
	struct hd_pace_node *node;
	while ((node = hd_pace_heap_top(&f->timers)) && node->order_ms <= now_ms) {
		struct filing_work *w = (struct filing_work *)(void *)((char *)node - offsetof(struct filing_work, timer));
		filing_work_run(f, w, now_ms);
		if (f->changes.count >= CHANGES_PER_FLUSH) {
			filing_changes_flush(f, now_ms);
			if (f->retry_ms > now_ms)
				return;
		}
	}
}

static bool must_reload(struct hd_filing *f)
{
	if (!f->loaded)
		return true;
	if (hd_ledger_revision(f->config.ledger) == f->revision)
		return false;
	/* A long import raises it thousands of times: reading all of a large registry anew takes at most a twentieth of the time. */
	return hd_clock_is_simulated() || f->config.manual || hd_clock_real_ns() - f->reload_ns >= 20 * f->reload_cost_ns;
}

static void reload(struct hd_filing *f, int64_t now_ms)
{
	struct hydro_error err = {0};
	int64_t began = hd_clock_real_ns();
	if (filing_registry_load(f, now_ms, &err) != HYDRO_OK) {
		filing_event(f, HD_LOG_ERROR, "registry_not_read", 0, "%s", err.text);
		f->ledger_failures++;
		f->retry_ms = now_ms + FILING_RETRY_MS;
	}
	f->reload_ns = hd_clock_real_ns();
	f->reload_cost_ns = f->reload_ns - began;
}

/* The ledger's counts, at most once a real second: who asks for the status only reads memory. */
static void read_totals(struct hd_filing *f)
{
	uint64_t states[HD_SLOT_STATE_COUNT] = {0};
	struct hydro_error err = {0};
	int64_t now_ns = hd_clock_real_ns();
	if (!f->config.manual && now_ns - f->totals_ns < HD_NS_PER_S)
		return;
	f->totals_ns = now_ns;
	if (hd_ledger_totals(f->config.ledger, states, &err) != HYDRO_OK)
		return;
	states[HD_SLOT_DUE] = f->waiting_count;
	pthread_mutex_lock(&f->lock);
	memcpy(f->status.states, states, sizeof states);
	pthread_mutex_unlock(&f->lock);
}

void hd_filing_status(struct hd_filing *f, struct hd_filing_status *ret)
{
	if (f->config.manual)
		read_totals(f);
	pthread_mutex_lock(&f->lock);
	*ret = f->status;
	pthread_mutex_unlock(&f->lock);
}

/* With the lock. */
static void publish_switches(struct hd_filing *f)
{
	f->status.on = f->on;
	f->status.on_hold = f->on_hold;
	f->status.clock_good = f->clock_good && !f->stopped_by_clock;
}

static void publish(struct hd_filing *f, int64_t next_ms)
{
	if (!f->config.manual)
		read_totals(f);
	pthread_mutex_lock(&f->lock);
	struct hd_filing_status *s = &f->status;
	publish_switches(f);
	s->in_flight = f->in_flight;
	s->posts = f->posts;
	s->checks = f->checks;
	memcpy(s->answers, f->answers, sizeof s->answers);
	f->status_revision = f->revision;
	f->waits_until_ms = f->retry_ms;
	f->next_ms = next_ms;
	pthread_mutex_unlock(&f->lock);
}

static void step(struct hd_filing *f, int64_t *ret_next_ms)
{
	int64_t now_ms = hd_clock_wall_ms();
	filing_clock_look(f, now_ms);
	if (must_reload(f))
		reload(f, now_ms);
	if (now_ms >= f->retry_ms) {
		filing_answers(f, now_ms);
		filing_changes_flush(f, now_ms);
	}
	if (f->loaded && now_ms >= f->retry_ms && !f->closing) {
		take_woken(f, now_ms);
		run_timers(f, now_ms);
		if (f->relink)
			filing_points_link(f);
		filing_changes_flush(f, now_ms);
		if (now_ms >= f->retry_ms)
			filing_send(f, now_ms);
		if (now_ms >= f->minute_ms)
			filing_minute(f, now_ms);
	}
	struct hd_pace_node *node = hd_pace_heap_top(&f->timers);
	int64_t next = HD_MIN(node ? node->order_ms : FILING_NEVER, filing_send_next(f, now_ms));
	next = HD_MIN(next, f->minute_ms);
	if (hd_ledger_revision(f->config.ledger) != f->revision)
		next = HD_MIN(next, now_ms + 20 * f->reload_cost_ns / HD_NS_PER_MS + 1);
	/* A timer may be armed for "at once" (INT64_MIN): what waits for it takes differences. */
	*ret_next_ms = HD_MAX(HD_MAX(next, f->retry_ms), now_ms);
	publish(f, *ret_next_ms);
}

/* ---- acts ---- */

/* An act is on what the ledger has. */
static void load_first(struct hd_filing *f)
{
	if (!f->loaded)
		reload(f, hd_clock_wall_ms());
}

static void run_acts(struct hd_filing *f)
{
	load_first(f);
	pthread_mutex_lock(&f->lock);
	while (f->acts) {
		struct filing_act *act = f->acts;
		f->acts = act->next;
		pthread_mutex_unlock(&f->lock);
		act->rc = act->fn(f, act->arg, act->err);
		pthread_mutex_lock(&f->lock);
		publish_switches(f); /* who acted reads what it did */
		act->done = true;
		pthread_cond_broadcast(&f->cond);
	}
	pthread_mutex_unlock(&f->lock);
}

int filing_act(struct hd_filing *f, int (*fn)(struct hd_filing *f, void *arg, struct hydro_error *err), void *arg, struct hydro_error *err)
{
	if (f->config.manual) {
		load_first(f);
		return fn(f, arg, err);
	}
	struct filing_act act = {.fn = fn, .arg = arg, .err = err};
	pthread_mutex_lock(&f->lock);
	if (f->closing) {
		pthread_mutex_unlock(&f->lock);
		return hd_error_set(err, HYDRO_E_CANCELLED, "filing is stopping");
	}
	struct filing_act **last = &f->acts;
	while (*last)
		last = &(*last)->next;
	*last = &act;
	pthread_cond_broadcast(&f->cond);
	while (!act.done)
		pthread_cond_wait(&f->cond, &f->lock);
	pthread_mutex_unlock(&f->lock);
	return act.rc;
}

/* ---- the thread ---- */

void hd_filing_step(struct hd_filing *f, int64_t *ret_next_ms)
{
	HD_ASSERT(f->config.manual);
	step(f, ret_next_ms);
}

static void wait_until(struct hd_filing *f, int64_t real_ns)
{
	struct timespec at = {.tv_sec = real_ns / HD_NS_PER_S, .tv_nsec = real_ns % HD_NS_PER_S};
	(void)pthread_cond_timedwait(&f->cond, &f->lock, &at);
}

/* With the lock. */
static bool has_something(const struct hd_filing *f)
{
	return f->woken_up || f->acts || f->closing || (f->woken_count > 0 && hd_clock_wall_ms() >= f->waits_until_ms);
}

/* Answers that may be written down now. With the lock. */
static bool has_answers(const struct hd_filing *f)
{
	return f->done && hd_clock_wall_ms() >= f->waits_until_ms;
}

/* Until there is something to do. With the lock. */
static void wait_for_work(struct hd_filing *f)
{
	bool simulated = hd_clock_is_simulated();
	while (!has_something(f)) {
		int64_t real_ns = hd_clock_real_ns(), left_ms = f->next_ms - hd_clock_wall_ms();
		if (simulated && f->status_revision != hd_ledger_revision(f->config.ledger))
			return;
		bool answers = has_answers(f);
		if (left_ms <= 0 || (answers && (simulated || real_ns - f->done_since_ns >= FILING_FLUSH_NS)))
			return;
		int64_t wait_ns = HD_MIN(left_ms, WAIT_MAX_MS) * HD_NS_PER_MS;
		if (simulated)
			wait_ns = SIM_POLL_MS * HD_NS_PER_MS;
		else if (answers)
			wait_ns = HD_MIN(wait_ns, f->done_since_ns + FILING_FLUSH_NS - real_ns);
		wait_until(f, real_ns + wait_ns);
	}
}

/* Closing: what the client has comes back first; then what came is written down, if the ledger takes it (else its claims expire). With the lock. */
static bool must_finish(const struct hd_filing *f)
{
	return f->outstanding > 0 || (f->in_flight > 0 && f->ledger_failures == f->failures_before);
}

static void *thread_main(void *arg)
{
	struct hd_filing *f = HD_CAST(struct hd_filing, FILING_MAGIC, arg);
	pthread_mutex_lock(&f->lock);
	while (!f->closing || must_finish(f)) {
		if (f->closing && f->outstanding > 0)
			wait_until(f, hd_clock_real_ns() + FILING_FLUSH_NS);
		f->busy = true;
		f->woken_up = false;
		pthread_mutex_unlock(&f->lock);
		int64_t next_ms;
		run_acts(f);
		step(f, &next_ms);
		pthread_mutex_lock(&f->lock);
		f->busy = false;
		if (!f->closing)
			wait_for_work(f);
	}
	pthread_mutex_unlock(&f->lock);
	run_acts(f);
	return NULL;
}

/* ---- life ---- */

static int64_t or_else(int64_t value, int64_t fallback)
{
	return value > 0 ? value : fallback;
}

static void defaults(struct hd_filing_config *c)
{
	c->send_from_ms = or_else(c->send_from_ms, MS(120));
	c->send_until_ms = or_else(c->send_until_ms, MS(3000));
	c->deadline_reserve_ms = or_else(c->deadline_reserve_ms, MS(180));
	c->lease_ms = or_else(c->lease_ms, MS(120));
	c->timeout_ms = or_else(c->timeout_ms, MS(30));
	c->look_again_ms = or_else(c->look_again_ms, MS(300));
	c->amber_ms = or_else(c->amber_ms, MS(2700));
	c->red_ms = or_else(c->red_ms, MS(43200));
	c->circuit_failures = c->circuit_failures ? c->circuit_failures : 5;
	c->circuit_probe_ms = or_else(c->circuit_probe_ms, MS(300));
}

int hd_filing_open(const struct hd_filing_config *config, struct hd_filing **ret, struct hydro_error *err)
{
	struct hd_filing *f = calloc(1, sizeof *f);
	if (!f)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for filing");
	f->magic = FILING_MAGIC;
	f->config = *config;
	defaults(&f->config);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->cond, &attr);
	pthread_condattr_destroy(&attr);
	f->clock_good = true;
	f->opened_ms = hd_clock_wall_ms();
	f->minute_ms = f->retry_ms = INT64_MIN;
	f->next_ms = INT64_MIN;
	f->anchor_day = f->pack_day = INT64_MIN;
	f->rules = (struct hd_pace_rules){.send_from_ms = f->config.send_from_ms, .send_until_ms = f->config.send_until_ms,
					  .reserve_ms = f->config.deadline_reserve_ms};
	f->pending = calloc(FILING_IN_FLIGHT_MAX, filing_pending_bytes());
	f->claims = calloc(FILING_IN_FLIGHT_MAX, sizeof *f->claims);
	int rc = f->pending && f->claims ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOMEM, "no memory for filing");
	if (rc == HYDRO_OK && f->config.lease_ms <= f->config.timeout_ms + HD_NET_CONNECT_TIMEOUT_MS)
		rc = hd_error_set(err, HYDRO_E_CONFIG, "filing: lease (%lld ms) must be more than the time-outs of a call together (%lld ms)",
				  (long long)f->config.lease_ms, (long long)(f->config.timeout_ms + HD_NET_CONNECT_TIMEOUT_MS));
	if (rc == HYDRO_OK && f->config.restored)
		filing_hold_tell(f);
	if (rc == HYDRO_OK && !config->manual) {
		rc = hd_thread_start(&f->thread, HD_ROLE_FILING, "hd-filing", thread_main, f, err);
		f->started = rc == HYDRO_OK;
	}
	if (rc != HYDRO_OK) {
		hd_filing_close(&f);
		return rc;
	}
	*ret = f;
	return HYDRO_OK;
}

/* A manual one has no thread to wait for what is under way. */
static void finish_manual(struct hd_filing *f)
{
	for (;;) {
		pthread_mutex_lock(&f->lock);
		bool more = must_finish(f);
		if (f->outstanding > 0 && !hd_net_is_manual(f->config.net))
			wait_until(f, hd_clock_real_ns() + FILING_FLUSH_NS);
		pthread_mutex_unlock(&f->lock);
		if (!more)
			return;
		if (f->in_flight > 0 && hd_net_is_manual(f->config.net))
			hd_net_run_once(f->config.net, 10);
		int64_t next_ms;
		step(f, &next_ms);
	}
}

void hd_filing_close(struct hd_filing **filing)
{
	struct hd_filing *f = *filing;
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	f->failures_before = f->ledger_failures;
	f->closing = true;
	pthread_cond_broadcast(&f->cond);
	pthread_mutex_unlock(&f->lock);
	if (f->started)
		(void)pthread_join(f->thread, NULL);
	else if (f->config.manual)
		finish_manual(f);
	filing_registry_done(f);
	filing_changes_done(&f->changes);
	while (f->done) {
		struct filing_call *next = f->done->next;
		filing_call_free(f->done);
		f->done = next;
	}
	free(f->pending);
	free(f->claims);
	free(f->woken);
	free(f->watches);
	pthread_cond_destroy(&f->cond);
	pthread_mutex_destroy(&f->lock);
	free(f);
	*filing = NULL;
}

void hd_filing_wake(struct hd_filing *f)
{
	pthread_mutex_lock(&f->lock);
	f->woken_up = true;
	pthread_cond_broadcast(&f->cond);
	pthread_mutex_unlock(&f->lock);
}

bool hd_filing_is_idle(struct hd_filing *f, int64_t *ret_next_ms)
{
	pthread_mutex_lock(&f->lock);
	bool idle = !f->busy && !has_something(f) && !has_answers(f) && f->outstanding == 0 && f->next_ms > hd_clock_wall_ms() &&
		    f->status_revision == hd_ledger_revision(f->config.ledger);
	*ret_next_ms = f->next_ms;
	/* Who asks is who moves a simulated clock. */
	if (!idle && !f->busy && hd_clock_is_simulated()) {
		f->woken_up = f->woken_up || f->started;
		pthread_cond_broadcast(&f->cond);
	}
	pthread_mutex_unlock(&f->lock);
	return idle;
}

/* ---- synced samples ---- */

/* With the lock. */
static void wake_point(struct hd_filing *f, const struct hd_sample *sample)
{
	if (sample->point >= f->watch_count || !(sample->bits & HD_SAMPLE_FILE))
		return;
	struct filing_watch *watch = &f->watches[sample->point];
	if (watch->work == 0 || sample->ts_ms < watch->from_ms || sample->ts_ms > watch->to_ms)
		return;
	if (!HD_RESERVE(f->woken, f->woken_capacity, f->woken_count, 1))
		return; /* its next look finds it */
	f->woken[f->woken_count++] = watch->work;
	watch->from_ms = INT64_MAX;
	watch->to_ms = INT64_MIN;
}

void hd_filing_on_batch(void *arg, const struct hd_batch *batch)
{
	struct hd_filing *f = HD_CAST(struct hd_filing, FILING_MAGIC, arg);
	pthread_mutex_lock(&f->lock);
	uint32_t before = f->woken_count;
	for (uint32_t i = 0; i < batch->count; i++)
		wake_point(f, &batch->samples[i]);
	if (f->woken_count > before)
		pthread_cond_broadcast(&f->cond);
	pthread_mutex_unlock(&f->lock);
}
