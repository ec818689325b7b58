/* SPDX-License-Identifier: MIT */
/* Points and accounts as they come and change: looked up on the thread that changed them, applied on the io thread. */
#include "collect/collect_impl.h"

#include "base/array.h"

#include <stdio.h>
#include <stdlib.h>

#define SOON_MS UINT64_C(5000) /* new and changed points are polled within it, spread */

struct change {
	struct account *account; /* a new one; or an existing one's new options */
	uint32_t slot;           /* of the point; HD_POINT_NONE: off */
	uint32_t index;          /* HD_POINT_NONE: it is about the account */
	bool soon;
};

/* changes_lock is held. */
static bool change_push(struct hd_collect *c, struct change change)
{
	if (!HD_RESERVE(c->changes, c->change_capacity, c->change_count, 1))
		return false;
	c->changes[c->change_count++] = change;
	return true;
}

uint32_t provider_find(const struct hd_collect *c, const char *name)
{
	for (uint32_t i = 0; i < c->provider_count; i++)
		if (strcmp(c->providers[i].config.name, name) == 0)
			return i;
	return UINT32_MAX;
}

/* ---- accounts ---- */

/* Reads the account's options; without them it exists all the same and says why it cannot be used. */
static struct account *account_read(struct hd_collect *c, uint32_t provider, uint32_t id)
{
	struct account *account = calloc(1, sizeof *account);
	if (!account)
		return NULL;
	account->collect = c;
	account->id = id;
	account->provider = provider;
	account->ready.head = account->backlog.head = HD_POINT_NONE;
	account->tokens_ns = hd_clock_mono_ns();
	account->tokens = 1.0;
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_collect_account found = {0};
	int rc = id ? c->ops.account(c->ops.arg, id, &found, &err) : HYDRO_OK;
	if (rc == HYDRO_OK) {
		account->version = found.version;
		account->options = options_make(c, provider, HYDRO_SCOPE_ACCOUNT, found.options ? found.options : "{}", found.version, &err);
	}
	if (!account->options)
		(void)snprintf(account->problem, sizeof account->problem, "account %u: %.170s", id, err.text);
	if (found.options) {
		explicit_bzero(found.options, strlen(found.options));
		free(found.options);
	}
	return account;
}

struct account_key {
	uint32_t provider, id;
};

static uint32_t account_slot(struct hd_collect *c, uint32_t provider, uint32_t id)
{
	struct account_key key = {provider, id};
	uint64_t slot = HD_POINT_NONE;
	pthread_mutex_lock(&c->changes_lock);
	bool known = hd_map_get(&c->slots, &key, sizeof key, &slot);
	pthread_mutex_unlock(&c->changes_lock);
	if (known)
		return (uint32_t)slot;
	struct account *account = account_read(c, provider, id);
	if (!account)
		return HD_POINT_NONE;
	pthread_mutex_lock(&c->changes_lock);
	if (!hd_map_get(&c->slots, &key, sizeof key, &slot)) {
		account->slot = c->slot_count;
		slot = account->slot;
		struct change change = {.account = account, .slot = account->slot, .index = HD_POINT_NONE};
		if (hd_map_put(&c->slots, &key, sizeof key, slot) && change_push(c, change)) {
			c->slot_count++;
			account = NULL;
		} else {
			hd_map_remove(&c->slots, &key, sizeof key);
			slot = HD_POINT_NONE;
		}
	}
	pthread_mutex_unlock(&c->changes_lock);
	account_free(account); /* another thread was first, or there was no memory */
	return (uint32_t)slot;
}

int hd_collect_account_changed(struct hd_collect *c, uint32_t id, struct hydro_error *err)
{
	for (uint32_t provider = 0; provider < c->provider_count; provider++) {
		struct account_key key = {provider, id};
		uint64_t slot;
		pthread_mutex_lock(&c->changes_lock);
		bool known = hd_map_get(&c->slots, &key, sizeof key, &slot);
		pthread_mutex_unlock(&c->changes_lock);
		if (!known)
			continue;
		struct account *account = account_read(c, provider, id);
		if (!account)
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory for account %u", id);
		account->slot = (uint32_t)slot;
		pthread_mutex_lock(&c->changes_lock);
		bool pushed = change_push(c, (struct change){.account = account, .slot = account->slot, .index = HD_POINT_NONE});
		pthread_mutex_unlock(&c->changes_lock);
		if (!pushed) {
			account_free(account);
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory for account %u", id);
		}
	}
	hd_net_wake(c->config.net);
	return HYDRO_OK;
}

/* ---- points ---- */

static uint32_t slot_of(struct hd_collect *c, const struct hd_point *point)
{
	bool active = (point->bits & (HD_POINT_ACTIVE | HD_POINT_DELETED)) == HD_POINT_ACTIVE;
	uint32_t provider = active ? provider_find(c, hd_point_provider(point)) : UINT32_MAX;
	return provider == UINT32_MAX ? HD_POINT_NONE : account_slot(c, provider, point->account);
}

static bool polled_otherwise(const struct hd_point *old, const struct hd_point *now)
{
	return !old || old->bits != now->bits || old->account != now->account || old->period_s != now->period_s ||
	       strcmp(hd_point_provider(old), hd_point_provider(now)) != 0 || strcmp(hd_point_options(old), hd_point_options(now)) != 0;
}

void changes_watch(void *arg, const struct hd_point *old, const struct hd_point *now)
{
	struct hd_collect *c = arg;
	pthread_mutex_lock(&c->changes_lock);
	bool watching = c->watching;
	pthread_mutex_unlock(&c->changes_lock);
	if (!watching)
		return;
	struct change change = {.slot = slot_of(c, now), .index = now->index, .soon = polled_otherwise(old, now)};
	if (change.slot != HD_POINT_NONE) {
		/* Once here: names of metrics never seen are made durable, which the io thread must not wait for. */
		void *handle;
		const hydro_options *view;
		uint32_t provider = provider_find(c, hd_point_provider(now));
		if (c->ops.options(c->ops.arg, &c->providers[provider].config, HYDRO_SCOPE_POINT, hd_point_options(now), &handle, &view, NULL) ==
		    HYDRO_OK)
			c->ops.options_free(c->ops.arg, handle);
	}
	pthread_mutex_lock(&c->changes_lock);
	(void)change_push(c, change);
	pthread_mutex_unlock(&c->changes_lock);
	hd_net_wake(c->config.net);
}

#define SCAN_POINTS 512u /* looked up together */

/* The slot found last: most points one after another are of one account. */
struct last_slot {
	uint32_t provider, account, slot;
};

static uint32_t slot_of_scanned(struct hd_collect *c, const struct hd_point *point, struct last_slot *last)
{
	if ((point->bits & (HD_POINT_ACTIVE | HD_POINT_DELETED)) != HD_POINT_ACTIVE)
		return HD_POINT_NONE;
	bool same = last->provider < c->provider_count && last->account == point->account &&
		    strcmp(c->providers[last->provider].config.name, hd_point_provider(point)) == 0;
	if (!same) {
		uint32_t provider = provider_find(c, hd_point_provider(point));
		*last = (struct last_slot){provider, point->account, provider == UINT32_MAX ? HD_POINT_NONE : account_slot(c, provider, point->account)};
	}
	return last->slot;
}

int changes_scan(struct hd_collect *c, struct hydro_error *err)
{
	uint32_t count = hd_points_count(c->config.points);
	struct last_slot last = {.provider = UINT32_MAX};
	for (uint32_t first = 0; first < count; first += SCAN_POINTS) {
		uint32_t indices[SCAN_POINTS], n = HD_MIN(count - first, SCAN_POINTS);
		const struct hd_point *points[SCAN_POINTS];
		struct change changes[SCAN_POINTS];
		for (uint32_t i = 0; i < n; i++)
			indices[i] = first + i;
		hd_points_get_many(c->config.points, indices, n, points);
		for (uint32_t i = 0; i < n; i++) {
			changes[i] = (struct change){.slot = points[i] ? slot_of_scanned(c, points[i], &last) : HD_POINT_NONE, .index = first + i};
			hd_point_unref(points[i]);
		}
		bool pushed = true;
		pthread_mutex_lock(&c->changes_lock);
		for (uint32_t i = 0; i < n && pushed; i++)
			pushed = change_push(c, changes[i]);
		pthread_mutex_unlock(&c->changes_lock);
		if (!pushed)
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory for %u points", count);
	}
	return HYDRO_OK;
}

/* ---- on the io thread ---- */

static void entry_schedule(struct hd_collect *c, uint32_t index, bool soon)
{
	struct entry *entry = &c->schedule.entries[index];
	if (entry->account == HD_POINT_NONE || !(provider_of(c->accounts[entry->account])->config.ops->capabilities & HYDRO_PROVIDER_HTTP)) {
		entry->state = ENTRY_OFF;
		return;
	}
	int64_t now_ms = mono_ms();
	int64_t due_ms = schedule_next_ms(index, entry->period_s, c->origin_ms, now_ms);
	if (soon)
		due_ms = HD_MIN(due_ms, now_ms + (int64_t)(hd_hash_u64(index) % SOON_MS));
	schedule_put(&c->schedule, index, due_ms);
}

void change_resume(struct hd_collect *c, uint32_t index)
{
	entry_schedule(c, index, true);
}

static void apply_point(struct hd_collect *c, const struct change *change)
{
	if (!schedule_reserve(&c->schedule, change->index))
		return;
	struct entry *entry = &c->schedule.entries[change->index];
	const struct hd_point *point = hd_points_get(c->config.points, change->index);
	bool known = entry->period_s > 0;
	if (!known && c->config.after_crash && c->config.overlap_ms > 0)
		entry->bits |= ENTRY_OVERLAP;
	uint32_t was = known ? entry->account : HD_POINT_NONE;
	uint32_t is = point && change->slot < c->account_count ? change->slot : HD_POINT_NONE;
	bool keep = known && was == is && !change->soon && entry->state != ENTRY_OFF;
	if (was != HD_POINT_NONE) {
		provider_of(c->accounts[was])->points--;
		stream_key(c, c->accounts[was]->provider, change->index, NULL, true);
	}
	if (is != HD_POINT_NONE) {
		struct provider *provider = provider_of(c->accounts[is]);
		provider->points++;
		if (provider->stream) {
			struct options *options = options_point(c, point, c->accounts[is]->provider, NULL);
			stream_key(c, c->accounts[is]->provider, change->index, options, options == NULL);
			options_unref(c, options);
		}
	}
	if (!keep && entry->state != ENTRY_POLLING)
		entry_detach(c, change->index);
	entry->account = is;
	entry->period_s = point ? HD_MAX(point->period_s, HD_COLLECT_PERIOD_S_MIN) : HD_COLLECT_PERIOD_S_MIN;
	if (!keep && entry->state == ENTRY_POLLING)
		entry->bits |= ENTRY_CHANGED;
	else if (!keep)
		entry_schedule(c, change->index, change->soon);
	hd_point_unref(point);
}

static void apply_account(struct hd_collect *c, struct account *fresh)
{
	if (fresh->slot < c->account_count) {
		/* New options of a known account: the next poll logs in with them. */
		struct account *account = c->accounts[fresh->slot];
		options_unref(c, account->options);
		account->options = HD_STEAL(fresh->options);
		memcpy(account->problem, fresh->problem, sizeof account->problem);
		account->version = fresh->version;
		account->token_refused = true;
		account->token_state = TOKEN_NONE;
		account->login_failures = 0;
		account->login_at_ms = 0;
		account_activate(account);
		account_free(fresh);
		return;
	}
	if (!HD_RESERVE(c->accounts, c->account_capacity, c->account_count, 1)) {
		account_free(fresh);
		return;
	}
	HD_ASSERT(fresh->slot == c->account_count);
	c->accounts[c->account_count++] = fresh;
}

void changes_apply(struct hd_collect *c)
{
	pthread_mutex_lock(&c->changes_lock);
	struct change *changes = HD_STEAL(c->changes);
	uint32_t count = c->change_count;
	c->change_count = c->change_capacity = 0;
	pthread_mutex_unlock(&c->changes_lock);
	for (uint32_t i = 0; i < count; i++) {
		if (changes[i].account)
			apply_account(c, changes[i].account);
		else
			apply_point(c, &changes[i]);
	}
	free(changes);
}

void changes_done(struct hd_collect *c)
{
	for (uint32_t i = 0; i < c->change_count; i++)
		account_free(c->changes[i].account);
	free(HD_STEAL(c->changes));
	c->change_count = c->change_capacity = 0;
	hd_map_done(&c->slots);
}
