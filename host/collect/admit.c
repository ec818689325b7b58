/* SPDX-License-Identifier: MIT */
/* Which poll starts when: due points wait in their account's list until pace, circuit, token and workers let them. */
#include "collect/collect_impl.h"

#include "base/array.h"

#define FULL_WORKER_WAIT_MS INT64_C(250)
#define RETRY_MAX_MS INT64_C(600000)

/* ---- lists of entries ---- */

void list_push(struct hd_collect *c, struct list *list, uint32_t index, enum entry_state state)
{
	struct entry *entries = c->schedule.entries;
	entries[index].state = (uint8_t)state;
	entries[index].link = HD_POINT_NONE;
	if (list->count++ == 0)
		list->head = index;
	else
		entries[list->tail].link = index;
	list->tail = index;
}

uint32_t list_pop(struct hd_collect *c, struct list *list)
{
	uint32_t index = list->head;
	list->head = c->schedule.entries[index].link;
	list->count--;
	c->schedule.entries[index].link = HD_POINT_NONE;
	return index;
}

void list_remove(struct hd_collect *c, struct list *list, uint32_t index)
{
	struct entry *entries = c->schedule.entries;
	uint32_t before = HD_POINT_NONE;
	for (uint32_t at = list->head; at != index; at = entries[at].link)
		before = at;
	if (before == HD_POINT_NONE) {
		(void)list_pop(c, list);
		return;
	}
	entries[before].link = entries[index].link;
	if (list->tail == index)
		list->tail = before;
	list->count--;
	entries[index].link = HD_POINT_NONE;
}

static struct poll *resting_take(struct hd_collect *c, uint32_t index)
{
	uint64_t at = 0;
	struct entry *entry = &c->schedule.entries[index];
	if (!(entry->bits & ENTRY_RESTING))
		return NULL;
	entry->bits &= (uint8_t)~ENTRY_RESTING;
	if (!hd_map_get(&c->resting, &index, sizeof index, &at))
		return NULL;
	hd_map_remove(&c->resting, &index, sizeof index);
	c->resting_count--;
	return (struct poll *)(uintptr_t)at;
}

void entry_detach(struct hd_collect *c, uint32_t index)
{
	struct entry *entry = &c->schedule.entries[index];
	if (entry->state == ENTRY_TIMED)
		schedule_remove(&c->schedule, index);
	else if (entry->state == ENTRY_READY)
		list_remove(c, &c->accounts[entry->account]->ready, index);
	else if (entry->state == ENTRY_BACKLOG)
		list_remove(c, &c->accounts[entry->account]->backlog, index);
	entry->state = ENTRY_OFF;
	struct poll *resting = resting_take(c, index);
	if (resting)
		poll_free(resting);
}

void account_activate(struct account *account)
{
	struct hd_collect *c = account->collect;
	if (account->active)
		return;
	if (!HD_RESERVE(c->active, c->active_capacity, c->active_count, 1))
		return; /* its next due point tries again */
	account->active = true;
	c->active[c->active_count++] = account;
}

void entry_ready(struct hd_collect *c, uint32_t index)
{
	struct account *account = c->accounts[c->schedule.entries[index].account];
	list_push(c, &account->ready, index, ENTRY_READY);
	account_activate(account);
}

void entry_after(struct hd_collect *c, uint32_t index, bool retry)
{
	struct entry *entry = &c->schedule.entries[index];
	int64_t now_ms = mono_ms();
	int64_t due_ms = schedule_next_ms(index, entry->period_s, c->origin_ms, now_ms);
	if (entry->bits & ENTRY_NOW) {
		entry->bits &= (uint8_t)~ENTRY_NOW;
		due_ms = now_ms;
	} else if (retry) {
		int64_t wait_ms = jitter_ms(c, backoff_ms(c->config.retry_ms, entry->failures - 1u, RETRY_MAX_MS));
		/* A retry just before the next poll would only double it. */
		if (now_ms + wait_ms < due_ms - entry->period_s * HD_MS_PER_S / 10)
			due_ms = now_ms + wait_ms;
	}
	schedule_put(&c->schedule, index, due_ms);
}

/* ---- what a poll asks for ---- */

/* The point's own time in each `every_ms` lies between the poll before and now. */
static bool overlap_due(struct hd_collect *c, uint32_t index, int64_t length_ms, int64_t every_ms)
{
	int64_t shift_ms = (int64_t)(hd_hash_u64(index + UINT64_C(0x6f76)) % (uint64_t)every_ms);
	int64_t now_ms = mono_ms() - c->origin_ms + shift_ms;
	int64_t before_ms = c->schedule.due_ms[index] - c->origin_ms + shift_ms - c->schedule.entries[index].period_s * HD_MS_PER_S;
	return length_ms > 0 && now_ms / every_ms != before_ms / every_ms;
}

/* Marked before anything can put the poll off; the marks stay until a poll with them was good. */
static void overlaps_mark(struct hd_collect *c, uint32_t index)
{
	struct entry *entry = &c->schedule.entries[index];
	if (overlap_due(c, index, c->config.overlap_ms, c->config.overlap_every_ms))
		entry->bits |= ENTRY_OVERLAP;
	if (overlap_due(c, index, c->config.deep_ms, c->config.deep_every_ms))
		entry->bits |= ENTRY_DEEP;
}

/*
 * The window begins after the newest reading, so that a gap of any cause is asked for without a memory of outages; it goes
 * back further for parts that failed and, now and then, for what providers take in late.
 */
void poll_window(struct poll *poll)
{
	struct hd_collect *c = poll->collect;
	const struct entry *entry = &c->schedule.entries[poll->index];
	int64_t now_ms = poll->now_ms = hd_clock_wall_ms();
	int64_t newest_ms = c->ops.newest(c->ops.arg, poll->index);
	poll->mode = HYDRO_POLL_LATEST;
	poll->from_ms = poll->begin_ms = poll->to_ms = poll->end_ms = 0;
	const struct provider *provider = provider_of(poll->account);
	if (provider->latest_only || !(provider->config.ops->capabilities & HYDRO_PROVIDER_HISTORY))
		return;
	int64_t from_ms = newest_ms + 1;
	if (newest_ms <= 0) {
		int64_t first_ms = HD_MAX(c->config.first_window_ms, 2 * entry->period_s * HD_MS_PER_S);
		from_ms = poll->point->start_ms > 0 ? poll->point->start_ms : now_ms - first_ms;
	}
	bool gap = now_ms - from_ms > c->config.slice_ms && !(entry->bits & ENTRY_QUIET);
	if (entry->behind_s && entry->failures < POLL_FAILURES_MAX)
		from_ms = HD_MIN(from_ms, HD_MAX(entry->behind_s * HD_MS_PER_S, now_ms - c->config.behind_ms));
	poll->begin_ms = from_ms;
	/* After a failure looks wait for a poll that is good without them: with them it is longer and fails more easily. */
	bool looks = newest_ms > 0 && !gap && !entry->failures;
	if (looks && entry->bits & ENTRY_OVERLAP) {
		poll->bits |= POLL_OVERLAP;
		from_ms = HD_MIN(from_ms, newest_ms + 1 - c->config.overlap_ms);
	}
	if (looks && entry->bits & ENTRY_DEEP) {
		poll->bits |= POLL_DEEP;
		from_ms = HD_MIN(from_ms, newest_ms + 1 - c->config.deep_ms);
	}
	int64_t oldest_ms = HD_MAX(poll->point->start_ms, now_ms - c->config.history_ms);
	from_ms = HD_MAX(from_ms, oldest_ms);
	if (from_ms > now_ms)
		return; /* the newest reading is ahead of our clock, which went back: the newest value tells */
	poll->mode = HYDRO_POLL_HISTORY;
	poll->from_ms = from_ms;
	poll->begin_ms = HD_MAX(poll->begin_ms, oldest_ms);
	poll->to_ms = poll->end_ms = now_ms + c->config.ahead_ms;
	if (gap) {
		poll->bits |= POLL_SLICED;
		poll->to_ms = HD_MIN(poll->end_ms, from_ms + c->config.slice_ms - 1);
	}
}

/* ---- admission ---- */

static void poll_admitted(struct poll *poll)
{
	struct account *account = poll->account;
	struct hd_collect *c = account->collect;
	c->schedule.entries[poll->index].state = ENTRY_POLLING;
	c->polls++;
	c->served = account;
	account->polls++;
	if (poll->bits & POLL_SLICED)
		account->backlog_polls++;
	if (account->circuit == CIRCUIT_HALF_OPEN)
		account->probing = true;
	provider_of(account)->counters.polls++;
	provider_of(account)->counters.retries += (poll->bits & POLL_RETRY) != 0;
	send_push(account, poll, false);
}

/* The entry is in no list. A long gap waits in the backlog unless it comes from there. */
static void admit(struct account *account, uint32_t index, bool from_backlog)
{
	struct hd_collect *c = account->collect;
	struct entry *entry = &c->schedule.entries[index];
	overlaps_mark(c, index);
	if (worker_is_full(c, c->ops.worker_of(c->ops.arg, index))) {
		provider_of(account)->counters.not_started++;
		schedule_put(&c->schedule, index, mono_ms() + FULL_WORKER_WAIT_MS);
		return;
	}
	struct poll *poll = resting_take(c, index);
	if (poll) {
		poll->bits |= POLL_RETRY;
		poll_admitted(poll);
		return;
	}
	poll = poll_new(c, account, index);
	if (!poll) {
		entry_after(c, index, false);
		return;
	}
	poll_window(poll);
	if (poll->bits & POLL_SLICED && !from_backlog) {
		poll_free(poll);
		list_push(c, &account->backlog, index, ENTRY_BACKLOG);
		return;
	}
	if (entry->failures > 0)
		poll->bits |= POLL_RETRY;
	poll_admitted(poll);
}

static uint32_t concurrency_of(const struct account *account)
{
	uint32_t concurrency = provider_of(account)->config.concurrency;
	return concurrency ? concurrency : HD_COLLECT_CONCURRENCY;
}

static bool may_admit(struct account *account, int64_t now_ms)
{
	struct hd_collect *c = account->collect;
	return !c->draining && c->polls < c->config.in_flight_max && account->polls < concurrency_of(account) &&
	       account_circuit_lets(account, now_ms);
}

void send_push(struct account *account, struct poll *poll, bool first)
{
	poll->next = NULL;
	if (!account->send_head) {
		account->send_head = account->send_tail = poll;
	} else if (first) {
		poll->next = account->send_head;
		account->send_head = poll;
	} else {
		account->send_tail->next = poll;
		account->send_tail = poll;
	}
	account_activate(account);
}

/* Sends what may be sent now; false with the time to try again when something keeps the rest. */
static bool send_queue_run(struct account *account, int64_t now_ms, int64_t *ret_wake_ms)
{
	bool stuck = now_ms < account->pause_ms || !account_token_usable(account);
	if (account->collect->draining && stuck) {
		poll_fail_waiting(account, "stopping");
		return true;
	}
	while (account->send_head) {
		if (now_ms < account->pause_ms) {
			*ret_wake_ms = account->pause_ms;
			return false;
		}
		if (!account_token_usable(account)) {
			account_login(account, now_ms);
			*ret_wake_ms = account->logging_in ? NEVER_MS : account->login_at_ms;
			return false;
		}
		int64_t wait_ms = account_rate_take(account);
		if (wait_ms > 0) {
			*ret_wake_ms = now_ms + wait_ms;
			return false;
		}
		struct poll *poll = account->send_head;
		account->send_head = poll->next;
		poll->next = NULL;
		poll_send(poll);
	}
	return true;
}

int64_t account_dispatch(struct account *account, int64_t now_ms)
{
	struct hd_collect *c = account->collect;
	int64_t wake_ms = NEVER_MS;
	bool login = (provider_of(account)->config.ops->capabilities & HYDRO_PROVIDER_LOGIN) != 0;
	if (login && account->token && account->refresh_ms && hd_clock_wall_ms() >= account->refresh_ms)
		account_login(account, now_ms); /* ahead of its end, while the old one still serves */
	if (!send_queue_run(account, now_ms, &wake_ms))
		return wake_ms;
	while (account->ready.count + account->backlog.count > 0) {
		if (now_ms < account->pause_ms)
			return account->pause_ms;
		if (!account_token_usable(account)) {
			account_login(account, now_ms);
			return account->logging_in ? NEVER_MS : account->login_at_ms;
		}
		if (!may_admit(account, now_ms))
			return account->circuit == CIRCUIT_OPEN ? account->circuit_at_ms : NEVER_MS;
		bool share = account->backlog_polls < HD_MAX(1u, concurrency_of(account) / 4);
		bool backlog = share && account->backlog.count > 0 && (account->ready.count == 0 || account->backlog_polls == 0);
		if (backlog)
			admit(account, list_pop(c, &account->backlog), true);
		else if (account->ready.count > 0)
			admit(account, list_pop(c, &account->ready), false);
		else
			return NEVER_MS;
		if (!send_queue_run(account, now_ms, &wake_ms))
			return wake_ms;
	}
	return NEVER_MS;
}
