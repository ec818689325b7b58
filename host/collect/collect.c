/* SPDX-License-Identifier: MIT */
#include "collect/collect.h"

#include "base/uuid.h"
#include "collect/collect_impl.h"

#include <stdlib.h>
#include <unistd.h>

#define SCRATCH_BYTES 8192u
#define PARKED_WAIT_NS (2 * HD_NS_PER_MS) /* real: a full worker is asked again */
#define SIM_WAIT_NS (HD_NS_PER_MS / 2)    /* real: the rest of the daemon is asked whether it is idle */
#define CLOSE_PATIENCE_NS (2 * HD_NS_PER_S)
#define SWEEP_POINTS 4096u /* of "collect now", in one round */

uint64_t random_next(struct hd_collect *c)
{
	return hd_hash_u64(c->random++);
}

int64_t jitter_ms(struct hd_collect *c, int64_t ms)
{
	return ms <= 1 ? ms : ms / 2 + (int64_t)(random_next(c) % (uint64_t)(ms - ms / 2 + 1));
}

int64_t backoff_ms(int64_t base, uint32_t times, int64_t max)
{
	for (uint32_t i = 0; i < times && base < max; i++)
		base *= 2;
	return HD_MIN(base, max);
}

/* ---- collect now ---- */

static bool entry_now(struct hd_collect *c, uint32_t index)
{
	struct entry *entry = &c->schedule.entries[index];
	if (entry->state == ENTRY_TIMED) {
		schedule_remove(&c->schedule, index);
		entry_ready(c, index);
	} else if (entry->state == ENTRY_POLLING) {
		entry->bits |= ENTRY_NOW;
	} else if (entry->state == ENTRY_OFF) {
		return false;
	}
	return true;
}

static void sweep_run(struct hd_collect *c, struct provider *provider)
{
	uint32_t number = (uint32_t)(provider - c->providers);
	uint32_t end = HD_MIN(provider->sweep_end, provider->sweep_next + SWEEP_POINTS);
	for (; provider->sweep_next < end; provider->sweep_next++) {
		const struct entry *entry = &c->schedule.entries[provider->sweep_next];
		if (entry->account != HD_POINT_NONE && entry->state != ENTRY_OFF && c->accounts[entry->account]->provider == number)
			(void)entry_now(c, provider->sweep_next);
	}
}

struct now_call {
	struct hd_collect *collect;
	const char *provider;
	uint32_t point;
	uint32_t points;
	int rc;
};

static void now_io(void *arg)
{
	struct now_call *call = arg;
	struct hd_collect *c = call->collect;
	changes_apply(c);
	if (!call->provider) {
		call->rc = call->point >= c->schedule.count ? HYDRO_E_NOTFOUND : entry_now(c, call->point) ? HYDRO_OK : HYDRO_E_CONFLICT;
		return;
	}
	uint32_t i = provider_find(c, call->provider);
	if (i == UINT32_MAX) {
		call->rc = HYDRO_E_NOTFOUND;
		return;
	}
	c->providers[i].sweep_next = 0;
	c->providers[i].sweep_end = c->schedule.count;
	call->points = c->providers[i].points;
}

int hd_collect_now(struct hd_collect *c, const char *provider, uint32_t *ret_points, struct hydro_error *err)
{
	struct now_call call = {.collect = c, .provider = provider};
	hd_net_call(c->config.net, now_io, &call);
	if (call.rc != HYDRO_OK)
		return hd_error_set(err, call.rc, "no provider '%s'", provider);
	hd_net_wake(c->config.net);
	*ret_points = call.points;
	return HYDRO_OK;
}

int hd_collect_point_now(struct hd_collect *c, uint32_t point, struct hydro_error *err)
{
	struct now_call call = {.collect = c, .point = point};
	hd_net_call(c->config.net, now_io, &call);
	if (call.rc == HYDRO_E_NOTFOUND)
		return hd_error_set(err, call.rc, "no point %u", point);
	if (call.rc != HYDRO_OK)
		return hd_error_set(err, call.rc, "point %u is not active or its provider is not configured", point);
	hd_net_wake(c->config.net);
	return HYDRO_OK;
}

/* ---- the tick ---- */

static void due_run(struct hd_collect *c, int64_t now_ms)
{
	while (schedule_first_ms(&c->schedule) <= now_ms)
		entry_ready(c, schedule_pop(&c->schedule));
}

static int64_t dispatch_all(struct hd_collect *c, int64_t now_ms)
{
	int64_t wake_ms = NEVER_MS;
	/* After the one that got the last place, or a busy account would take each place that the cap over all has free. */
	uint32_t first = 0;
	while (first < c->active_count && c->active[first] != c->served)
		first++;
	first++;
	for (uint32_t n = 0, count = c->active_count; n < count; n++) {
		int64_t wanted_ms = account_dispatch(c->active[(first + n) % count], now_ms);
		wake_ms = HD_MIN(wake_ms, wanted_ms);
	}
	for (uint32_t i = 0; i < c->active_count;) {
		struct account *account = c->active[i];
		if (account->ready.count == 0 && account->backlog.count == 0 && !account->send_head) {
			account->active = false;
			c->active[i] = c->active[--c->active_count];
		} else {
			i++;
		}
	}
	return wake_ms;
}

static bool changes_wait(struct hd_collect *c)
{
	pthread_mutex_lock(&c->changes_lock);
	bool wait = c->change_count > 0;
	pthread_mutex_unlock(&c->changes_lock);
	return wait;
}

/* The simulated clock stands still until all is idle; then it goes on to the next time anything here waits for. */
static int64_t simulated_wait(struct hd_collect *c, int64_t wake_ms)
{
	if (c->busy > 0 || changes_wait(c))
		return HD_NET_NEVER; /* what is under way wakes the loop */
	if (streams_busy(c))
		return SIM_WAIT_NS;
	int64_t wall_ms = hd_clock_wall_ms(), other_ms = NEVER_MS;
	if (c->ops.idle && !c->ops.idle(c->ops.arg, &other_ms))
		return SIM_WAIT_NS;
	if (wake_ms == NEVER_MS && other_ms == NEVER_MS)
		return HD_NET_NEVER;
	int64_t target_ms = HD_MIN(wake_ms == NEVER_MS ? NEVER_MS : wall_ms + HD_MAX(wake_ms - mono_ms(), 1), HD_MAX(other_ms, wall_ms + 1));
	int64_t step_ms = c->config.sim_step_ms;
	if (step_ms > 1)
		target_ms = (target_ms + step_ms - 1) / step_ms * step_ms;
	if (c->config.sim_until_ms > 0 && target_ms > c->config.sim_until_ms) {
		if (wall_ms < c->config.sim_until_ms)
			hd_clock_advance(c->config.sim_until_ms);
		return HD_NET_NEVER;
	}
	hd_clock_advance(target_ms);
	return 0;
}

static int64_t tick(void *arg)
{
	struct hd_collect *c = HD_CAST(struct hd_collect, COLLECT_MAGIC, arg);
	changes_apply(c);
	(void)outboxes_flush(c);
	streams_repost(c);
	int64_t now_ms = mono_ms();
	bool sweeping = false;
	if (!c->draining) {
		for (uint32_t i = 0; i < c->provider_count; i++) {
			sweep_run(c, &c->providers[i]);
			sweeping = sweeping || c->providers[i].sweep_next < c->providers[i].sweep_end;
		}
		due_run(c, now_ms);
	}
	int64_t wake_ms = dispatch_all(c, now_ms);
	bool full = outboxes_flush(c);
	if (c->draining) {
		atomic_store(&c->drained, c->polls == 0 && c->busy == 0 && !streams_busy(c));
		return full ? PARKED_WAIT_NS : HD_NET_NEVER;
	}
	wake_ms = HD_MIN(wake_ms, schedule_first_ms(&c->schedule));
	if (sweeping)
		return 0;
	if (full || streams_parked(c))
		return PARKED_WAIT_NS;
	if (hd_clock_is_simulated())
		return simulated_wait(c, wake_ms);
	return wake_ms == NEVER_MS ? HD_NET_NEVER : HD_MAX(wake_ms - now_ms, 0) * HD_NS_PER_MS;
}

/* ---- life ---- */

static int submit_net(void *arg, const struct hd_net_request *request, hd_net_done_fn done, void *done_arg, struct hydro_error *err)
{
	return hd_net_submit(arg, request, done, done_arg, err);
}

static void config_defaults(struct hd_collect_config *config)
{
#define DEFAULT(field, value) config->field = config->field ? config->field : (value)
	DEFAULT(in_flight_max, HD_COLLECT_IN_FLIGHT);
	DEFAULT(pages_max, HD_COLLECT_PAGES_MAX);
	DEFAULT(slice_ms, HD_COLLECT_SLICE_MS);
	DEFAULT(history_ms, HD_COLLECT_HISTORY_MS);
	DEFAULT(first_window_ms, HD_COLLECT_FIRST_WINDOW_MS);
	DEFAULT(ahead_ms, HD_COLLECT_AHEAD_MS);
	config->ahead_ms = HD_MAX(config->ahead_ms, 0);
	DEFAULT(skew_ms, HD_COLLECT_SKEW_MS);
	DEFAULT(overlap_ms, HD_COLLECT_OVERLAP_MS);
	config->overlap_ms = HD_MAX(config->overlap_ms, 0);
	DEFAULT(overlap_every_ms, HD_MAX(config->overlap_ms, 1));
	DEFAULT(deep_ms, HD_COLLECT_DEEP_MS);
	config->deep_ms = HD_MAX(config->deep_ms, 0);
	DEFAULT(deep_every_ms, HD_MAX(config->deep_ms / 2, 1));
	DEFAULT(behind_ms, HD_COLLECT_BEHIND_MS);
	DEFAULT(retry_ms, HD_COLLECT_RETRY_MS);
	DEFAULT(circuit_failures, HD_COLLECT_CIRCUIT_FAILURES);
	DEFAULT(circuit_open_ms, HD_COLLECT_CIRCUIT_OPEN_MS);
	DEFAULT(circuit_open_max_ms, HD_COLLECT_CIRCUIT_OPEN_MAX_MS);
	if (!config->submit) {
		config->submit = submit_net;
		config->submit_arg = config->net;
	}
	if (!config->seed)
		hd_random_bytes(&config->seed, sizeof config->seed);
#undef DEFAULT
}

static int provider_check(const struct hd_collect_provider *p, struct hydro_error *err)
{
	if (!p->name || !p->ops || !*p->name)
		return hd_error_set(err, HYDRO_E_INVALID, "a provider without name or functions");
	const hydro_provider_ops *ops = p->ops;
	if (ops->capabilities & HYDRO_PROVIDER_HTTP && (!ops->request || !ops->parse))
		return hd_error_set(err, HYDRO_E_INVALID, "provider %s says HTTP but has no request or no parse", p->name);
	if (ops->capabilities & HYDRO_PROVIDER_LOGIN && (!ops->login_request || !ops->login_parse))
		return hd_error_set(err, HYDRO_E_INVALID, "provider %s says LOGIN but has no login_request or no login_parse", p->name);
	if (ops->capabilities & HYDRO_PROVIDER_SUBSCRIBE && (!ops->subscribe || !ops->ack || !ops->nack || !ops->credit))
		return hd_error_set(err, HYDRO_E_INVALID, "provider %s says SUBSCRIBE but has no subscribe, ack, nack or credit", p->name);
	return HYDRO_OK;
}

static int collect_init(struct hd_collect *c, const struct hd_collect_config *config, struct hydro_error *err)
{
	c->magic = COLLECT_MAGIC;
	c->config = *config;
	c->ops = config->ops;
	config_defaults(&c->config);
	c->random = c->config.seed;
	c->origin_ms = mono_ms() - hd_clock_wall_ms();
	pthread_mutex_init(&c->changes_lock, NULL);
	c->providers = calloc(HD_MAX(config->provider_count, 1u), sizeof *c->providers);
	c->scratch = malloc(SCRATCH_BYTES);
	c->scratch_size = SCRATCH_BYTES;
	if (!c->providers || !c->scratch || options_cache_init(c) != HYDRO_OK)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the collector");
	for (uint32_t i = 0; i < config->provider_count; i++) {
		int rc = provider_check(&config->providers[i], err);
		if (rc == HYDRO_OK && provider_find(c, config->providers[i].name) != UINT32_MAX)
			rc = hd_error_set(err, HYDRO_E_INVALID, "two providers named %s", config->providers[i].name);
		if (rc != HYDRO_OK)
			return rc;
		c->providers[i].config = config->providers[i];
		c->provider_count++;
	}
	return streams_prepare(c, err);
}

static void collect_free(struct hd_collect *c)
{
	streams_free(c);
	changes_done(c);
	for (uint32_t i = 0; i < c->schedule.count; i++)
		if (c->schedule.entries[i].bits & ENTRY_RESTING)
			entry_detach(c, i);
	options_cache_done(c);
	for (uint32_t i = 0; i < c->account_count; i++)
		account_free(c->accounts[i]);
	while (c->pool) {
		struct poll *next = c->pool->next;
		hd_buf_done(&c->pool->body);
		free(c->pool->raws);
		free(c->pool);
		c->pool = next;
	}
	hd_map_done(&c->resting);
	schedule_done(&c->schedule);
	free(c->accounts);
	free(c->active);
	free(c->providers);
	free(c->scratch);
	pthread_mutex_destroy(&c->changes_lock);
	free(c);
}

static void apply_io(void *arg)
{
	changes_apply(arg);
}

int hd_collect_open(const struct hd_collect_config *config, struct hd_collect **ret, struct hydro_error *err)
{
	if (!config->net || !config->points || config->provider_count > HD_COLLECT_PROVIDERS_MAX)
		return hd_error_set(err, HYDRO_E_INVALID, "a collector needs a net, points and at most %u providers", HD_COLLECT_PROVIDERS_MAX);
	struct hd_collect *c = calloc(1, sizeof *c);
	if (!c)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the collector");
	int rc = collect_init(c, config, err);
	if (rc == HYDRO_OK)
		rc = changes_scan(c, err);
	if (rc == HYDRO_OK)
		rc = hd_net_tick_add(config->net, tick, c, err);
	if (rc != HYDRO_OK) {
		collect_free(c);
		return rc;
	}
	/* Messages of subscriptions find their points from the first on. */
	hd_net_call(config->net, apply_io, c);
	c->watching = true;
	rc = streams_open(c, err);
	if (rc != HYDRO_OK) {
		hd_collect_close(&c);
		return rc;
	}
	hd_points_watch(config->points, changes_watch, c);
	hd_net_wake(config->net);
	*ret = c;
	return HYDRO_OK;
}

static void drain_io(void *arg)
{
	struct hd_collect *c = arg;
	if (c->draining)
		return;
	c->draining = true;
	for (uint32_t i = 0; i < c->account_count; i++)
		poll_fail_waiting(c->accounts[i], "stopping");
}

void hd_collect_drain_begin(struct hd_collect *c)
{
	hd_net_call(c->config.net, drain_io, c);
	streams_quiesce(c);
	hd_net_wake(c->config.net);
}

bool hd_collect_is_drained(struct hd_collect *c)
{
	return atomic_load(&c->drained);
}

static void cancel_io(void *arg)
{
	struct hd_collect *c = arg;
	hd_net_cancel(c->config.net, c);
	for (uint32_t i = 0; i < c->account_count; i++)
		poll_fail_waiting(c->accounts[i], "stopping");
}

static void wait_a_little(struct hd_collect *c)
{
	if (hd_net_is_manual(c->config.net)) {
		hd_net_run_once(c->config.net, 1);
		return;
	}
	(void)usleep(1000);
	hd_net_wake(c->config.net);
}

int hd_collect_drain(struct hd_collect *c, int64_t timeout_ms, struct hydro_error *err)
{
	hd_collect_drain_begin(c);
	int64_t deadline_ns = hd_clock_real_ns() + timeout_ms * HD_NS_PER_MS;
	while (!hd_collect_is_drained(c)) {
		if (hd_clock_real_ns() >= deadline_ns) {
			hd_net_call(c->config.net, cancel_io, c);
			return hd_error_set(err, HYDRO_E_TIMEOUT, "polls were still under way after %lld ms", (long long)timeout_ms);
		}
		wait_a_little(c);
	}
	return HYDRO_OK;
}

static void drop_io(void *arg)
{
	outboxes_drop(arg);
}

void hd_collect_close(struct hd_collect **pointer)
{
	struct hd_collect *c = HD_STEAL(*pointer);
	if (!c)
		return;
	pthread_mutex_lock(&c->changes_lock);
	c->watching = false;
	pthread_mutex_unlock(&c->changes_lock);
	hd_collect_drain_begin(c);
	hd_net_call(c->config.net, cancel_io, c);
	streams_end(c);
	/* The workers give back what they have; what they do not take any more is dropped. */
	int64_t patience_ns = hd_clock_real_ns() + CLOSE_PATIENCE_NS;
	while (!hd_collect_is_drained(c)) {
		wait_a_little(c);
		if (hd_clock_real_ns() > patience_ns)
			hd_net_call(c->config.net, drop_io, c);
	}
	hd_net_tick_remove(c->config.net, tick, c);
	collect_free(c);
}
