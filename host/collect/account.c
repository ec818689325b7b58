/* SPDX-License-Identifier: MIT */
/* What belongs to an account: its token, one login at a time, the circuit, the pace. */
#include "collect/collect_impl.h"

#include <stdio.h>
#include <stdlib.h>

#define LOGIN_RETRY_MS INT64_C(1000)
#define LOGIN_RETRY_MAX_MS INT64_C(300000)
#define LOGIN_REFUSED_MS INT64_C(60000) /* wrong credentials: hammering locks accounts */
#define LOGIN_REFUSED_MAX_MS INT64_C(3600000)
#define REFRESH_MARGIN_MS INT64_C(60000)
#define PAUSE_MAX_MS INT64_C(3600000)
#define WORKS_MS INT64_C(900000)

struct login {
	struct hd_net_job job; /* first */
	struct account *account;
	struct options *options;
	struct errand errand;
	struct hd_buf body;
	char content_type[64];
	uint32_t status;
	int64_t retry_after_ms, received_ms;
	int32_t code;
	struct hydro_error error;
	hydro_token token;
};

/* ---- tokens ---- */

struct token *token_ref(struct token *token)
{
	if (token)
		token->refs++;
	return token;
}

void token_unref(struct token *token)
{
	if (!token || --token->refs > 0)
		return;
	explicit_bzero(token->text, strlen(token->text));
	free(token);
}

bool account_token_usable(const struct account *account)
{
	if (!(provider_of(account)->config.ops->capabilities & HYDRO_PROVIDER_LOGIN))
		return true;
	return account->token && !account->token_refused && (!account->expires_ms || hd_clock_wall_ms() < account->expires_ms);
}

/* ---- login ---- */

static void login_free(struct login *login)
{
	explicit_bzero(&login->token, sizeof login->token);
	hd_buf_done(&login->body);
	options_unref(login->account->collect, login->options);
	free(login);
}

static void token_take(struct account *account, const struct login *login)
{
	uint32_t len = HD_MIN(login->token.token_len, HYDRO_TOKEN_BYTES - 1);
	struct token *token = calloc(1, sizeof *token + len + 1);
	if (!token)
		return; /* the next poll tries again */
	token->refs = 1;
	token->number = ++account->token_numbers;
	memcpy(token->text, login->token.token, len);
	token_unref(account->token);
	account->token = token;
	account->token_refused = account->token_good = false;
	account->token_state = TOKEN_OK;
	account->expires_ms = login->token.expires_at_ms;
	int64_t life_ms = account->expires_ms - login->received_ms;
	account->refresh_ms = account->expires_ms ? account->expires_ms - HD_MIN(REFRESH_MARGIN_MS, life_ms / 10) : 0;
}

static void login_failed(struct account *account, int32_t code, const char *reason, int64_t retry_after_ms)
{
	struct hd_collect *c = account->collect;
	struct provider *provider = provider_of(account);
	bool refused = code == HYDRO_E_UNAUTHORIZED || code == HYDRO_E_CONFIG;
	provider->counters.login_failures++;
	account->token_state = refused ? TOKEN_REFUSED : TOKEN_WAITING;
	int64_t wait_ms = refused ? backoff_ms(LOGIN_REFUSED_MS, account->login_failures, LOGIN_REFUSED_MAX_MS)
				  : backoff_ms(LOGIN_RETRY_MS, account->login_failures, LOGIN_RETRY_MAX_MS);
	wait_ms = HD_MAX(jitter_ms(c, wait_ms), HD_MIN(retry_after_ms, PAUSE_MAX_MS));
	account->login_failures = HD_MIN(account->login_failures + 1, 30u);
	account->login_at_ms = mono_ms() + wait_ms;
	health_failure(provider, NULL, 0, 0, reason);
	if (account->login_failures == 1)
		health_event(c, 1, "login_failed", "provider %s, account %u: %s", provider->config.name, account->id, reason);
	if (!account_token_usable(account)) {
		char text[REASON_BYTES];
		(void)snprintf(text, sizeof text, "login failed: %.180s", reason);
		poll_fail_waiting(account, text);
	}
	account_activate(account);
}

static void login_over(struct login *login)
{
	struct account *account = login->account;
	account->logging_in = false;
	if (login->code == HYDRO_OK && login->token.token_len > 0) {
		provider_of(account)->counters.logins++;
		health_reachable(provider_of(account), true);
		token_take(account, login);
	} else {
		int32_t code = login->code == HYDRO_OK ? HYDRO_E_PROTOCOL : login->code;
		login_failed(account, code, login->error.text[0] ? login->error.text : "the answer holds no token", login->retry_after_ms);
	}
	account_activate(account);
	login_free(login);
}

static void login_back(struct hd_net_job *job)
{
	struct login *login = (struct login *)(void *)job;
	errand_back(login->account->collect);
	login_over(login);
}

static void login_parse(void *arg, struct hd_worker *w)
{
	(void)w;
	struct login *login = arg;
	struct account *account = login->account;
	struct hd_collect *c = account->collect;
	const struct hd_collect_provider *provider = &provider_of(account)->config;
	hydro_http_response response = {sizeof response,      login->status,       login->body.data ? login->body.data : "",
					login->body.len,      login->content_type, login->received_ms,
					login->retry_after_ms};
	login->token = (hydro_token){.struct_size = sizeof login->token};
	login->error.struct_size = sizeof login->error;
	if (c->ops.enter)
		c->ops.enter(c->ops.arg, provider->crumb, NULL);
	login->code = provider->ops->login_parse(provider->instance, login->options->view, &response, &login->token, &login->error);
	if (c->ops.leave)
		c->ops.leave(c->ops.arg);
	login->token.token[HYDRO_TOKEN_BYTES - 1] = '\0';
	login->token.token_len = (uint32_t)strlen(login->token.token);
	login->job.run = login_back;
	hd_net_post(c->config.net, &login->job);
}

static void login_dropped(void *arg)
{
	struct login *login = arg;
	login->code = HYDRO_E_CANCELLED;
	login_over(login);
}

static void login_answered(void *arg, struct hd_net_result *result)
{
	struct login *login = arg;
	struct account *account = login->account;
	struct hd_collect *c = account->collect;
	c->busy--;
	login->status = result->status;
	login->retry_after_ms = result->retry_after_ms;
	login->received_ms = hd_clock_wall_ms();
	if (result->failure != HD_NET_NONE) {
		login->code = HYDRO_E_IO;
		(void)snprintf(login->error.text, sizeof login->error.text, "%s", hd_net_failure_text(result->failure));
		if (result->failure != HD_NET_CANCELLED)
			health_reachable(provider_of(account), false);
		login_over(login);
		return;
	}
	struct hd_buf body = *result->body;
	*result->body = (struct hd_buf){0};
	body.secret = true; /* the token */
	login->body = body;
	(void)snprintf(login->content_type, sizeof login->content_type, "%s", result->content_type);
	login->errand.run = login_parse;
	login->errand.drop = login_dropped;
	login->errand.arg = login;
	login->errand.worker = c->ops.worker_of(c->ops.arg, account->slot);
	errand_post(c, &login->errand);
}

static int login_submit(struct login *login, struct hydro_error *err)
{
	struct account *account = login->account;
	struct hd_collect *c = account->collect;
	const struct hd_collect_provider *provider = &provider_of(account)->config;
	hydro_http_request request;
	int rc;
	for (;;) {
		request = (hydro_http_request){.struct_size = sizeof request, .method = HYDRO_HTTP_POST};
		hydro_scratch scratch = {c->scratch, c->scratch_size, 0, 0};
		if (c->ops.enter)
			c->ops.enter(c->ops.arg, provider->crumb, NULL);
		rc = provider->ops->login_request(provider->instance, login->options->view, &scratch, &request, err);
		if (c->ops.leave)
			c->ops.leave(c->ops.arg);
		if (rc != HYDRO_E_LIMIT || !scratch_grow(c, scratch.wanted))
			break;
	}
	if (rc != HYDRO_OK)
		return rc;
	struct hd_net_request http = {
		.method = request.method,
		.url = request.url,
		.headers = request.headers,
		.header_count = request.header_count,
		.header_stride = request.header_stride,
		.body = request.body,
		.body_len = request.body_len,
		.timeout_ms = request.timeout_ms ? request.timeout_ms : provider->timeout_ms,
		.owner = c,
	};
	rc = c->config.submit(c->config.submit_arg, &http, login_answered, login, err);
	explicit_bzero(c->scratch, c->scratch_size); /* it held the password */
	return rc;
}

void account_login(struct account *account, int64_t now_ms)
{
	struct hd_collect *c = account->collect;
	if (account->logging_in || c->draining || now_ms < account->login_at_ms)
		return;
	if (!account->options) {
		login_failed(account, HYDRO_E_CONFIG, account->problem, -1);
		return;
	}
	struct login *login = calloc(1, sizeof *login);
	if (!login)
		return;
	login->account = account;
	login->options = options_ref(account->options);
	login->retry_after_ms = -1;
	account->logging_in = true;
	c->busy++;
	provider_of(account)->counters.requests++;
	int rc = login_submit(login, &login->error);
	if (rc != HYDRO_OK) {
		c->busy--;
		login->code = rc;
		login_over(login);
	}
}

/* ---- 401 ---- */

/* Others of the account were answered well of late, so a point that is refused is refused for itself. */
static bool account_works(const struct account *account)
{
	return account->good_ms && mono_ms() - account->good_ms < WORKS_MS;
}

/*
 * A token that has been replaced meanwhile: ask again with the present one. The present one: one new login, then ask again.
 * Refused also after that: the point's own trouble, no more logins for its sake.
 */
void account_unauthorized(struct poll *poll)
{
	struct account *account = poll->account;
	struct provider *provider = provider_of(account);
	struct entry *entry = &account->collect->schedule.entries[poll->index];
	if (!(provider->config.ops->capabilities & HYDRO_PROVIDER_LOGIN)) {
		poll_part_over(poll, HYDRO_PART_FAILED, poll->status, poll->reason[0] ? poll->reason : "unauthorized");
		return;
	}
	if (account->token && poll->token && poll->token->number < account->token->number && poll->stale_tries++ < 3) {
		provider->counters.stale_tokens++;
		send_push(account, poll, true);
		return;
	}
	if (poll->bits & POLL_RELOGGED || ((entry->bits & ENTRY_DENIED) && account_works(account))) {
		if (!(poll->bits & POLL_DRY))
			entry->bits |= ENTRY_DENIED;
		poll_part_over(poll, HYDRO_PART_FAILED, poll->status, "unauthorized, also with a new token");
		return;
	}
	int64_t now_ms = mono_ms();
	if (!account->token_refused) {
		account->token_refused = true;
		/* A token that never worked is a login that failed, or each poll would bring a login. */
		if (account->token && !account->token_good) {
			account->login_at_ms =
				now_ms + jitter_ms(account->collect, backoff_ms(LOGIN_RETRY_MS, account->login_failures, LOGIN_RETRY_MAX_MS));
			account->login_failures = HD_MIN(account->login_failures + 1, 30u);
		}
	}
	poll->bits |= POLL_RELOGGED;
	account->token_state = TOKEN_WAITING;
	send_push(account, poll, true);
}

/* ---- what each poll tells about the account ---- */

static void circuit_open(struct account *account, int64_t now_ms)
{
	struct hd_collect *c = account->collect;
	int64_t wait_ms = backoff_ms(c->config.circuit_open_ms, account->circuit_opens_in_a_row, c->config.circuit_open_max_ms);
	account->circuit = CIRCUIT_OPEN;
	account->circuit_at_ms = now_ms + jitter_ms(c, wait_ms);
	if (account->circuit_opens_in_a_row++ == 0)
		health_event(c, 1, "circuit_open", "provider %s, account %u: %u polls in a row failed", provider_of(account)->config.name,
			     account->id, account->failures_in_a_row);
	provider_of(account)->counters.circuit_opens++;
}

bool account_circuit_lets(struct account *account, int64_t now_ms)
{
	if (account->circuit == CIRCUIT_OPEN && now_ms >= account->circuit_at_ms)
		account->circuit = CIRCUIT_HALF_OPEN;
	return account->circuit == CIRCUIT_CLOSED || (account->circuit == CIRCUIT_HALF_OPEN && !account->probing);
}

void account_answered(struct account *account, const struct poll *poll, int64_t now_ms)
{
	if (poll->bits & POLL_GOOD_TOKEN)
		account->good_ms = now_ms;
	if (poll->bits & POLL_GOOD_TOKEN && poll->token && account->token == poll->token && !account->token_good) {
		account->token_good = true;
		account->login_failures = 0;
		account->login_at_ms = 0;
	}
	bool probe = account->circuit == CIRCUIT_HALF_OPEN;
	if (poll->bits & POLL_INFRA) {
		account->failures_in_a_row = HD_MIN(account->failures_in_a_row + 1, UINT32_MAX - 1);
		if (probe || (account->circuit == CIRCUIT_CLOSED && account->failures_in_a_row >= account->collect->config.circuit_failures))
			circuit_open(account, now_ms);
	} else if (poll->bits & POLL_ANSWERED) {
		if (account->circuit != CIRCUIT_CLOSED)
			health_event(account->collect, 2, "circuit_closed", "provider %s, account %u", provider_of(account)->config.name,
				     account->id);
		account->failures_in_a_row = account->circuit_opens_in_a_row = 0;
		account->circuit = CIRCUIT_CLOSED;
	}
	if (probe)
		account->probing = false;
}

int64_t account_rate_take(struct account *account)
{
	const struct hd_collect_provider *provider = &provider_of(account)->config;
	if (provider->rate <= 0)
		return 0;
	double burst = provider->burst > 0 ? provider->burst : HD_MAX(1.0, provider->rate);
	int64_t now_ns = hd_clock_mono_ns();
	account->tokens += (double)(now_ns - account->tokens_ns) / (double)HD_NS_PER_S * provider->rate;
	account->tokens = HD_MIN(account->tokens, burst);
	account->tokens_ns = now_ns;
	/* The small allowance keeps a wait of whole ms from falling short of a token by rounding. */
	if (account->tokens >= 1.0 - 1e-9) {
		account->tokens -= 1.0;
		return 0;
	}
	return (int64_t)((1.0 - account->tokens) / provider->rate * (double)HD_MS_PER_S) + 1;
}

void account_free(struct account *account)
{
	if (!account)
		return;
	token_unref(account->token);
	options_unref(account->collect, account->options);
	free(account);
}
