/* SPDX-License-Identifier: MIT */
/* Polls of a provider under test: request, login, parse. */
#include "kit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TS_MIN_MS INT64_C(631152000000)  /* 1990-01-01 */
#define TS_MAX_MS INT64_C(4102444800000) /* 2100-01-01 */

int32_t hydro_testkit_point(hydro_testkit *kit, const char *account_json, const char *point_json, struct hydro_error *err)
{
	const hydro_provider_ops *ops = hydro_testkit_provider(kit);
	if (!ops || !kit->instance)
		return hd_error_set(err, HYDRO_E_CONFLICT, "no instance of a provider");
	struct hd_options *account = NULL, *point = NULL;
	int rc = kit_options(kit, HYDRO_SCOPE_ACCOUNT, account_json, &account, err);
	if (rc == HYDRO_OK)
		rc = kit_options(kit, HYDRO_SCOPE_POINT, point_json, &point, err);
	if (rc == HYDRO_OK && ops->check_point)
		rc = ops->check_point(kit->instance, hd_options_abi(point), err);
	if (rc != HYDRO_OK) {
		hd_options_unref(&account);
		hd_options_unref(&point);
		return rc;
	}
	hd_options_unref(&kit->account);
	hd_options_unref(&kit->point);
	kit->account = account;
	kit->point = point;
	kit->poll = (hydro_poll){
		.struct_size = sizeof kit->poll,
		.mode = HYDRO_POLL_LATEST,
		.now_ms = kit->host.now_ms(kit),
		.point = hd_options_abi(point),
		.account = hd_options_abi(account),
		.token = "",
	};
	return HYDRO_OK;
}

hydro_poll *hydro_testkit_poll(hydro_testkit *kit)
{
	return &kit->poll;
}

uint32_t hydro_testkit_parts(hydro_testkit *kit)
{
	const hydro_provider_ops *ops = hydro_testkit_provider(kit);
	return ops && ops->parts ? ops->parts(kit->instance, kit->poll.point) : 1;
}

void hydro_testkit_set_scratch(hydro_testkit *kit, size_t bytes)
{
	kit->scratch_start = bytes;
}

uint32_t hydro_testkit_scratch_calls(const hydro_testkit *kit)
{
	return kit->scratch_calls;
}

static int32_t check_request(const hydro_http_request *request, struct hydro_error *err)
{
	if (request->method < HYDRO_HTTP_GET || request->method > HYDRO_HTTP_PUT)
		return hd_error_set(err, HYDRO_E_INVALID, "the request's method is %u, the host knows 1 GET, 2 POST, 3 PUT", request->method);
	if (!request->url || hd_url_problem(request->url))
		return hd_error_set(err, HYDRO_E_INVALID, "the request's URL %s", request->url ? hd_url_problem(request->url) : "is NULL");
	if (request->body_len && !request->body)
		return hd_error_set(err, HYDRO_E_INVALID, "the request has body_len without body");
	for (uint32_t i = 0; i < request->header_count; i++) {
		const hydro_http_header *header = (const hydro_http_header *)(const void *)((const char *)request->headers + (size_t)i * request->header_stride);
		if (!header->name || !header->name[0] || !header->value || hd_text_problem(header->value, strlen(header->value)))
			return hd_error_set(err, HYDRO_E_INVALID, "header %u of the request has no name, no value or control characters", i);
	}
	return HYDRO_OK;
}

struct poll_call {
	int login;
};

static int32_t call_request(hydro_testkit *kit, const void *arg, hydro_scratch *scratch, struct hydro_error *err)
{
	const hydro_provider_ops *ops = hydro_testkit_provider(kit);
	return ((const struct poll_call *)arg)->login ? ops->login_request(kit->instance, kit->poll.account, scratch, &kit->request, err)
						       : ops->request(kit->instance, &kit->poll, scratch, &kit->request, err);
}

int32_t kit_request(hydro_testkit *kit, kit_request_fn call, const void *arg, struct hydro_error *err)
{
	size_t size = kit->scratch_start;
	for (kit->scratch_calls = 1;; kit->scratch_calls++) {
		free(kit->scratch);
		kit->scratch = malloc(size + 1);
		if (!kit->scratch)
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory for scratch");
		hydro_scratch scratch = {.mem = kit->scratch, .size = size};
		kit->request = (hydro_http_request){.struct_size = sizeof kit->request, .method = HYDRO_HTTP_GET, .header_stride = sizeof(hydro_http_header)};
		int32_t rc = call(kit, arg, &scratch, err);
		if (rc != HYDRO_E_LIMIT)
			return rc == HYDRO_OK ? check_request(&kit->request, err) : rc;
		if (scratch.wanted <= size)
			return hd_error_set(err, HYDRO_E_LIMIT, "plugin returned HYDRO_E_LIMIT with wanted = %zu of %zu bytes", scratch.wanted, size);
		if (scratch.wanted > KIT_SCRATCH_MAX)
			return hd_error_set(err, HYDRO_E_LIMIT, "plugin wants %zu bytes of scratch, the host gives at most %u", scratch.wanted, KIT_SCRATCH_MAX);
		size = scratch.wanted;
	}
}

static int32_t make_request(hydro_testkit *kit, int login, const hydro_http_request **ret, struct hydro_error *err)
{
	const hydro_provider_ops *ops = hydro_testkit_provider(kit);
	if (!ops || !kit->point)
		return hd_error_set(err, HYDRO_E_CONFLICT, "hydro_testkit_point comes first");
	if (login ? !ops->login_request : !ops->request)
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "plugin %s has no such function", kit->module.descriptor->plugin.name);
	int32_t rc = kit_request(kit, call_request, &(struct poll_call){login}, err);
	if (rc == HYDRO_OK)
		*ret = &kit->request;
	return rc;
}

int32_t hydro_testkit_request(hydro_testkit *kit, const hydro_http_request **ret, struct hydro_error *err)
{
	return make_request(kit, 0, ret, err);
}

int32_t hydro_testkit_login_request(hydro_testkit *kit, const hydro_http_request **ret, struct hydro_error *err)
{
	return make_request(kit, 1, ret, err);
}

const char *hydro_testkit_header(const hydro_http_request *request, const char *name)
{
	for (uint32_t i = 0; i < request->header_count; i++) {
		const hydro_http_header *header = (const hydro_http_header *)(const void *)((const char *)request->headers + (size_t)i * request->header_stride);
		if (strcasecmp(header->name, name) == 0)
			return header->value;
	}
	return NULL;
}

char *kit_exact_copy(const char *body, size_t len)
{
	char *copy = malloc(len ? len : 1);
	if (copy && len)
		memcpy(copy, body, len);
	return copy;
}

hydro_http_response kit_response(hydro_testkit *kit, uint32_t status, const char *body, size_t len)
{
	return (hydro_http_response){
		.struct_size = sizeof(hydro_http_response),
		.status = status,
		.body = body,
		.body_len = len,
		.content_type = "application/json",
		.received_ms = kit->host.now_ms(kit),
		.retry_after_ms = -1,
	};
}

int32_t hydro_testkit_login_parse(hydro_testkit *kit, uint32_t status, const char *body, size_t body_len, const hydro_token **ret, struct hydro_error *err)
{
	const hydro_provider_ops *ops = hydro_testkit_provider(kit);
	if (!ops || !ops->login_parse || !kit->account)
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "no login_parse, or hydro_testkit_point was not called");
	char *copy = kit_exact_copy(body, body_len);
	if (!copy)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the body");
	hydro_http_response response = kit_response(kit, status, copy, body_len);
	kit->token = (hydro_token){.struct_size = sizeof kit->token};
	int32_t rc = ops->login_parse(kit->instance, kit->poll.account, &response, &kit->token, err);
	free(copy);
	if (rc == HYDRO_OK)
		*ret = &kit->token;
	return rc;
}

/* The same limits as the daemon's. */
static int value_fits(hydro_testkit *kit, const hydro_raw *raw)
{
	return isfinite(raw->value) && raw->ts_ms >= TS_MIN_MS && raw->ts_ms <= TS_MAX_MS && hydro_testkit_metric_name(kit, raw->metric);
}

static int32_t emit_raw(void *ctx, const hydro_raw *values, uint32_t count)
{
	hydro_testkit *kit = ctx;
	for (uint32_t i = 0; i < count; i++) {
		if (!value_fits(kit, &values[i])) {
			kit->refused++;
			return HYDRO_E_INVALID;
		}
		if (kit->raw_count == kit->raw_cap) {
			uint32_t cap = kit->raw_cap ? kit->raw_cap * 2 : 64;
			hydro_raw *more = cap <= KIT_RAWS_MAX * 2 ? realloc(kit->raws, cap * sizeof *more) : NULL;
			if (!more)
				return HYDRO_E_NOMEM;
			kit->raws = more;
			kit->raw_cap = cap;
		}
		kit->raws[kit->raw_count++] = values[i];
	}
	return HYDRO_OK;
}

static int32_t emit_raw_for(void *ctx, const char *point_key, const hydro_raw *values, uint32_t count)
{
	return point_key ? emit_raw(ctx, values, count) : HYDRO_E_INVALID;
}

void hydro_testkit_parse(hydro_testkit *kit, uint32_t status, const char *body, size_t body_len, hydro_testkit_answer *ret)
{
	const hydro_provider_ops *ops = hydro_testkit_provider(kit);
	hydro_outcome outcome = {.struct_size = sizeof outcome};
	hydro_emit emit = {.struct_size = sizeof emit, .ctx = kit, .raw = emit_raw, .raw_for = emit_raw_for};
	char *copy = kit_exact_copy(body, body_len);
	kit->error = (struct hydro_error){.struct_size = sizeof kit->error};
	kit->raw_count = kit->refused = 0;
	int32_t rc = HYDRO_E_UNSUPPORTED;
	if (copy && ops && ops->parse && kit->point) {
		hydro_http_response response = kit_response(kit, status, copy, body_len);
		rc = ops->parse(kit->instance, &kit->poll, &response, &emit, &outcome, &kit->error);
	}
	free(copy);
	bool known = outcome.status >= HYDRO_PART_DATA && outcome.status <= HYDRO_PART_FAILED && outcome.continuation_len <= HYDRO_CONTINUATION_BYTES;
	bool more = rc == HYDRO_OK && outcome.status == HYDRO_PART_MORE && known;
	memcpy(kit->continuation, outcome.continuation, sizeof kit->continuation);
	kit->poll.continuation = more ? kit->continuation : NULL;
	kit->poll.continuation_len = more ? outcome.continuation_len : 0;
	*ret = (hydro_testkit_answer){
		.rc = rc,
		.status = rc == HYDRO_OK && known ? outcome.status : HYDRO_PART_FAILED,
		.reason = kit->error.text,
		.raws = kit->raws,
		.raw_count = kit->raw_count,
		.refused = kit->refused,
		.continuation = kit->poll.continuation,
		.continuation_len = kit->poll.continuation_len,
	};
}

const hydro_raw *hydro_testkit_find(hydro_testkit *kit, const hydro_testkit_answer *answer, const char *metric, uint32_t n)
{
	uint32_t id = hydro_testkit_metric(kit, metric);
	for (uint32_t i = 0; i < answer->raw_count; i++)
		if (answer->raws[i].metric == id && n-- == 0)
			return &answer->raws[i];
	return NULL;
}
