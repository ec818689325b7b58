/* SPDX-License-Identifier: MIT */
/* A provider's health: reachable, share of good polls, age of its newest data, token and circuit of its accounts; as JSON. */
#include "base/timefmt.h"
#include "collect/collect_impl.h"

#include <stdio.h>

#define MINUTE_MS INT64_C(60000)
#define ACCOUNTS_SHOWN 100u
#define GOOD_SHARE_OK 0.9

void health_event(struct hd_collect *c, uint32_t level, const char *event, const char *fmt, ...)
{
	if (!c->ops.event)
		return;
	char text[400];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	c->ops.event(c->ops.arg, level, event, text);
}

void health_reachable(struct provider *provider, bool reachable)
{
	if (provider->reachable_since_ms && provider->reachable == reachable)
		return;
	provider->reachable = reachable;
	provider->reachable_since_ms = hd_clock_wall_ms();
	__atomic_store_n(&provider->down_since_ms, reachable ? 0 : provider->reachable_since_ms, __ATOMIC_RELAXED);
}

bool hd_collect_next_down(const struct hd_collect *c, uint32_t *index, const char **ret_name, int64_t *ret_since_ms)
{
	while (*index < c->provider_count) {
		const struct provider *provider = &c->providers[(*index)++];
		int64_t since_ms = __atomic_load_n(&provider->down_since_ms, __ATOMIC_RELAXED);
		if (!since_ms)
			continue;
		*ret_name = provider->config.name;
		*ret_since_ms = since_ms;
		return true;
	}
	return false;
}

void health_failure(struct provider *provider, const struct poll *poll, uint32_t part, uint32_t status, const char *reason)
{
	struct failure_note *note = &provider->failures[provider->failure_count++ % HEALTH_FAILURES];
	*note = (struct failure_note){.at_ms = hd_clock_wall_ms(), .part = part, .status = status};
	if (poll)
		note->point = poll->point->id;
	(void)snprintf(note->reason, sizeof note->reason, "%s", reason);
}

void health_poll(struct hd_collect *c, struct poll *poll, bool good)
{
	struct provider *provider = provider_of(poll->account);
	int64_t wall_ms = hd_clock_wall_ms(), minute = mono_ms() / MINUTE_MS;
	uint32_t place = (uint32_t)(minute % HEALTH_MINUTES);
	if (provider->window[place].minute != minute) {
		provider->window[place].minute = minute;
		provider->window[place].good = provider->window[place].bad = 0;
	}
	provider->window[place].good += good;
	provider->window[place].bad += !good;
	provider->counters.polls_good += good;
	provider->counters.polls_failed += !good;
	provider->counters.raws += poll->raws_total;
	if (good)
		provider->last_good_ms = wall_ms;
	/* A logger whose clock runs ahead must not hide that nothing else is fresh. */
	if (poll->newest_ms <= wall_ms)
		provider->newest_ms = HD_MAX(provider->newest_ms, poll->newest_ms);
	int64_t period_ms = c->schedule.entries[poll->index].period_s * HD_MS_PER_S;
	provider->counters.gaps +=
		poll->raws_total > 0 && poll->mode == HYDRO_POLL_HISTORY && poll->now_ms - poll->begin_ms > 2 * period_ms + c->config.overlap_ms;
}

static void window_sum(const struct provider *provider, uint32_t *ret_good, uint32_t *ret_bad)
{
	int64_t minute = mono_ms() / MINUTE_MS;
	*ret_good = *ret_bad = 0;
	for (uint32_t i = 0; i < HEALTH_MINUTES; i++) {
		if (minute - provider->window[i].minute >= HEALTH_MINUTES)
			continue;
		*ret_good += provider->window[i].good;
		*ret_bad += provider->window[i].bad;
	}
}

/* ---- JSON ---- */

static void put_time(struct hd_buf *ret, const char *key, int64_t ms)
{
	char text[HD_TIME_TEXT];
	hd_time_format(ms, text);
	if (ms > 0)
		hd_buf_printf(ret, ",\"%s\":\"%s\"", key, text);
	else
		hd_buf_printf(ret, ",\"%s\":null", key);
}

static void put_text(struct hd_buf *ret, const char *key, const char *text)
{
	hd_buf_printf(ret, ",\"%s\":", key);
	hd_buf_add_json(ret, text, strlen(text));
}

static void put_account(const struct account *account, struct hd_buf *ret)
{
	static const char *const tokens[] = {[TOKEN_NONE] = "none", [TOKEN_OK] = "ok", [TOKEN_WAITING] = "waiting", [TOKEN_REFUSED] = "refused"};
	static const char *const circuits[] = {[CIRCUIT_CLOSED] = "closed", [CIRCUIT_OPEN] = "open", [CIRCUIT_HALF_OPEN] = "half_open"};
	bool login = (provider_of(account)->config.ops->capabilities & HYDRO_PROVIDER_LOGIN) != 0;
	int64_t now_ms = mono_ms();
	hd_buf_printf(ret, "{\"account\":%u,\"token\":\"%s\"", account->id,
		      !login                ? "not_used"
		      : account->logging_in ? "logging_in"
					    : tokens[account->token_state]);
	put_time(ret, "token_expires_at", account->expires_ms);
	hd_buf_printf(ret, ",\"circuit\":\"%s\",\"in_flight\":%u,\"waiting\":%u,\"backlog\":%u,\"paused_s\":%lld", circuits[account->circuit],
		      account->polls, account->ready.count, account->backlog.count, (long long)HD_MAX((account->pause_ms - now_ms) / HD_MS_PER_S, 0));
	if (account->problem[0])
		put_text(ret, "problem", account->problem);
	hd_buf_add_char(ret, '}');
}

static void put_failure(const struct failure_note *note, struct hd_buf *ret)
{
	char id[HD_UUID_TEXT];
	hd_uuid_format(&note->point, id);
	hd_buf_printf(ret, "{\"point\":\"%s\",\"part\":%u,\"status\":%u", id, note->part, note->status);
	put_time(ret, "at", note->at_ms);
	put_text(ret, "reason", note->reason);
	hd_buf_add_char(ret, '}');
}

static void put_accounts(struct hd_collect *c, const struct provider *provider, struct hd_buf *ret)
{
	uint32_t number = (uint32_t)(provider - c->providers), shown = 0, in_flight = 0, waiting = 0, backlog = 0, open = 0;
	hd_buf_add_text(ret, ",\"accounts\":[");
	for (uint32_t i = 0; i < c->account_count; i++) {
		const struct account *account = c->accounts[i];
		if (account->provider != number)
			continue;
		in_flight += account->polls;
		waiting += account->ready.count;
		backlog += account->backlog.count;
		open += account->circuit != CIRCUIT_CLOSED;
		if (shown++ >= ACCOUNTS_SHOWN)
			continue;
		hd_buf_add_text(ret, shown > 1 ? "," : "");
		put_account(account, ret);
	}
	hd_buf_printf(ret, "],\"account_count\":%u,\"circuits_open\":%u,\"in_flight\":%u,\"waiting\":%u,\"backlog\":%u", shown, open, in_flight,
		      waiting, backlog);
}

static void put_counters(const struct provider *provider, struct hd_buf *ret)
{
	hd_buf_add_text(ret, ",\"counts\":{");
#define PUT(name, text) hd_buf_printf(ret, "\"" #name "\":%llu,", (unsigned long long)provider->counters.name);
	HD_COLLECT_COUNTERS(PUT)
#undef PUT
	ret->data[ret->len - 1] = '}';
}

static bool logins_fail(const struct hd_collect *c, const struct provider *provider)
{
	for (uint32_t i = 0; i < c->account_count; i++)
		if (provider_of(c->accounts[i]) == provider && c->accounts[i]->login_failures > 0)
			return true;
	return false;
}

/* ok: reachable, logins work, most polls good; down: not reachable; idle: nothing polled in the window. */
static const char *state_of(const struct hd_collect *c, const struct provider *provider, uint32_t good, uint32_t bad)
{
	if (provider->stream)
		return provider->reachable ? "ok" : "down";
	if (provider->reachable_since_ms && !provider->reachable)
		return "down";
	if (logins_fail(c, provider))
		return "degraded";
	if (good + bad == 0)
		return "idle";
	return good >= GOOD_SHARE_OK * (good + bad) ? "ok" : "degraded";
}

static void put_provider(struct hd_collect *c, struct provider *provider, struct hd_buf *ret)
{
	uint32_t good, bad;
	stream_sum(provider);
	window_sum(provider, &good, &bad);
	hd_buf_add_text(ret, "{\"name\":");
	hd_buf_add_json(ret, provider->config.name, strlen(provider->config.name));
	put_text(ret, "state", state_of(c, provider, good, bad));
	hd_buf_printf(ret, ",\"points\":%u,\"reachable\":%s", provider->points,
		      !provider->reachable_since_ms ? "null"
		      : provider->reachable         ? "true"
						    : "false");
	put_time(ret, "reachable_since", provider->reachable_since_ms);
	hd_buf_printf(ret, ",\"window_s\":%u,\"polls_in_window\":%u,\"good_share\":", HEALTH_MINUTES * 60u, good + bad);
	hd_buf_add_number(ret, good + bad ? (double)good / (good + bad) : __builtin_nan(""));
	put_time(ret, "newest_data_at", provider->newest_ms);
	hd_buf_add_text(ret, ",\"newest_data_age_s\":");
	hd_buf_add_number(ret, provider->newest_ms ? (double)(hd_clock_wall_ms() - provider->newest_ms) / 1000.0 : __builtin_nan(""));
	put_time(ret, "last_good_at", provider->last_good_ms);
	put_accounts(c, provider, ret);
	put_counters(provider, ret);
	stream_status(provider, ret);
	hd_buf_add_text(ret, ",\"recent_failures\":[");
	uint32_t shown = HD_MIN(provider->failure_count, HEALTH_FAILURES);
	for (uint32_t i = 0; i < shown; i++) {
		hd_buf_add_text(ret, i ? "," : "");
		put_failure(&provider->failures[(provider->failure_count - 1 - i) % HEALTH_FAILURES], ret);
	}
	hd_buf_add_text(ret, "]}");
}

struct query {
	struct hd_collect *collect;
	const char *name;
	struct hd_buf *ret;
	struct hd_collect_counters *counters;
	bool found;
};

static void status_io(void *arg)
{
	struct query *query = arg;
	struct hd_collect *c = query->collect;
	uint32_t i = provider_find(c, query->name);
	query->found = i != UINT32_MAX;
	if (query->found)
		put_provider(c, &c->providers[i], query->ret);
}

int hd_collect_status_json(struct hd_collect *c, const char *provider, struct hd_buf *ret, struct hydro_error *err)
{
	struct query query = {.collect = c, .name = provider, .ret = ret};
	hd_net_call(c->config.net, status_io, &query);
	if (!query.found)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "no provider '%s'", provider);
	return ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the status") : HYDRO_OK;
}

static void providers_io(void *arg)
{
	struct query *query = arg;
	hd_buf_add_char(query->ret, '[');
	for (uint32_t i = 0; i < query->collect->provider_count; i++) {
		hd_buf_add_text(query->ret, i ? "," : "");
		put_provider(query->collect, &query->collect->providers[i], query->ret);
	}
	hd_buf_add_char(query->ret, ']');
}

int hd_collect_providers_json(struct hd_collect *c, struct hd_buf *ret, struct hydro_error *err)
{
	struct query query = {.collect = c, .ret = ret};
	hd_net_call(c->config.net, providers_io, &query);
	return ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the status") : HYDRO_OK;
}

static void counters_io(void *arg)
{
	struct query *query = arg;
	struct hd_collect *c = query->collect;
	for (uint32_t i = 0; i < c->provider_count; i++) {
		const struct hd_collect_counters *from = &c->providers[i].counters;
		if (query->name && strcmp(query->name, c->providers[i].config.name) != 0)
			continue;
		query->found = true;
		stream_sum(&c->providers[i]);
#define ADD(name, text) query->counters->name += from->name;
		HD_COLLECT_COUNTERS(ADD)
#undef ADD
	}
}

int hd_collect_counters(struct hd_collect *c, const char *provider, struct hd_collect_counters *ret, struct hydro_error *err)
{
	struct hd_collect_counters sum = {0};
	struct query query = {.collect = c, .name = provider, .counters = &sum, .found = !provider};
	hd_net_call(c->config.net, counters_io, &query);
	if (!query.found)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "no provider '%s'", provider);
	*ret = sum;
	return HYDRO_OK;
}
