/* SPDX-License-Identifier: MIT */
/* One request from its first line to its answer. */
#include "http/exchange.h"

#include "base/clock.h"
#include "base/thread.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define DISCARD_BYTES_MAX (4u << 20)
#define STATE_NEW 0u
#define STATE_BODY 1u
#define STATE_RUNNING 2u /* a worker has it, or had it: the next call queues the answer */

struct hd_exchange *hd_exchange_new(struct hd_http *http, const char *target, struct MHD_Connection *connection)
{
	struct hd_exchange *x = malloc(sizeof *x);
	if (!x)
		return NULL;
	memset(x, 0, offsetof(struct hd_exchange, uri)); /* uri is large, and written before it is read */
	x->magic = HD_EXCHANGE_MAGIC;
	x->http = http;
	x->connection = connection;
	x->spool_fd = -1;
	x->started_ns = hd_clock_real_ns();
	x->target = strdup(target);
	if (!x->target) {
		free(x);
		return NULL;
	}
	return x;
}

void hd_exchange_free(struct hd_exchange *x)
{
	hd_body_done(x);
	hd_buf_done(&x->resp.body);
	hd_buf_done(&x->resp.problems);
	hd_http_stream_unref(x->resp.stream);
	free(x->target);
	x->magic = 0;
	free(x);
}

void hd_exchange_fail(struct hd_exchange *x, uint32_t status)
{
	x->failed_status = status ? status : hd_error_info(x->err.code)->http_status;
}

/* ---- idempotency --------------------------------------------------------------------------------------------------- */

static void make_fingerprint(struct hd_exchange *x)
{
	crypto_generichash_state state;
	const char *method = hd_http_method_name(x->req.route->method);
	(void)crypto_generichash_init(&state, NULL, 0, sizeof x->req.fingerprint);
	(void)crypto_generichash_update(&state, (const unsigned char *)method, strlen(method) + 1);
	(void)crypto_generichash_update(&state, (const unsigned char *)x->target, strlen(x->target) + 1);
	if (x->req.body_len)
		(void)crypto_generichash_update(&state, (const unsigned char *)x->req.body, x->req.body_len);
	(void)crypto_generichash_final(&state, x->req.fingerprint, sizeof x->req.fingerprint);
}

static bool lock_key(struct hd_exchange *x)
{
	struct hd_http_inflight *inflight = &x->http->inflight;
	(void)pthread_mutex_lock(&inflight->lock);
	bool taken = false;
	for (struct hd_exchange *other = inflight->first; other && !taken; other = other->next_inflight)
		taken = other->req.principal.id == x->req.principal.id && strcmp(other->req.idempotency_key, x->req.idempotency_key) == 0;
	if (!taken) {
		x->next_inflight = inflight->first;
		inflight->first = x;
	}
	(void)pthread_mutex_unlock(&inflight->lock);
	return !taken;
}

static void unlock_key(struct hd_exchange *x)
{
	struct hd_http_inflight *inflight = &x->http->inflight;
	(void)pthread_mutex_lock(&inflight->lock);
	struct hd_exchange **link = &inflight->first;
	while (*link != x)
		link = &(*link)->next_inflight;
	*link = x->next_inflight;
	(void)pthread_mutex_unlock(&inflight->lock);
}

/* ---- running -------------------------------------------------------------------------------------------------------- */

static int call_handler(struct hd_exchange *x)
{
	int rc = x->req.route->handle(x->http->config.arg, &x->req, &x->resp, &x->err);
	if (rc == HYDRO_OK && x->resp.body.failed)
		rc = hd_error_set(&x->err, HYDRO_E_NOMEM, "no memory for the answer");
	if (rc != HYDRO_OK && x->err.code == HYDRO_OK)
		(void)hd_error_set(&x->err, rc, "%s", hd_error_info(rc)->title);
	return rc;
}

static int run_once(struct hd_exchange *x)
{
	const struct hd_http_hooks *hooks = &x->http->config.hooks;
	bool found = false;
	make_fingerprint(x);
	if (!lock_key(x))
		return hd_error_set(&x->err, HYDRO_E_CONFLICT, "a request with this Idempotency-Key is under way");
	int rc = hooks->idempotency_find(hooks->arg, &x->req, &x->resp, &found, &x->err);
	if (rc == HYDRO_OK && !found) {
		rc = call_handler(x);
		/* The answer stands even when it could not be kept: the write it tells of has happened. */
		if (rc == HYDRO_OK && !x->resp.kept && hooks->idempotency_keep && !(x->req.route->flags & HD_ROUTE_SECRET_BODY))
			(void)hooks->idempotency_keep(hooks->arg, &x->req, &x->resp, NULL);
	}
	unlock_key(x);
	return rc;
}

void hd_exchange_run(struct hd_exchange *x)
{
	bool keyed = x->req.idempotency_key && x->http->config.hooks.idempotency_find;
	int rc = keyed ? run_once(x) : call_handler(x);
	if (rc != HYDRO_OK)
		hd_exchange_fail(x, x->resp.status >= 400 ? x->resp.status : 0);
}

/* ---- the answer ------------------------------------------------------------------------------------------------------- */

static bool same_tag(const char *list, const char *tag)
{
	return list && *tag && (strcmp(list, "*") == 0 || strstr(list, tag) != NULL);
}

static void add_headers(struct hd_exchange *x, struct MHD_Response *response, uint32_t status, const char *type)
{
	char text[96];
	if (type)
		(void)MHD_add_response_header(response, "Content-Type", type);
	(void)MHD_add_response_header(response, "Cache-Control", "no-store");
	(void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	if (x->resp.etag[0] && !x->failed_status)
		(void)MHD_add_response_header(response, "ETag", x->resp.etag);
	if (x->resp.location[0] && !x->failed_status)
		(void)MHD_add_response_header(response, "Location", x->resp.location);
	if (x->resp.next[0] && !x->failed_status)
		(void)MHD_add_response_header(response, "X-Next-Cursor", x->resp.next);
	if (status == 401)
		(void)MHD_add_response_header(response, "WWW-Authenticate", "Bearer realm=\"hydrod\"");
	if (x->resp.retry_after_s || status == 503) {
		(void)snprintf(text, sizeof text, "%u", x->resp.retry_after_s ? x->resp.retry_after_s : 1);
		(void)MHD_add_response_header(response, "Retry-After", text);
	}
	if (x->failed_status == 405 || x->failed_status == 204) {
		text[0] = '\0';
		for (uint32_t i = 0; i < HD_METHODS; i++)
			if (x->allowed >> i & 1)
				(void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", text[0] ? ", " : "",
					       i == HD_METHOD_GET ? "GET, HEAD" : hd_http_method_name(i));
		(void)MHD_add_response_header(response, "Allow", text);
	}
	if (__atomic_load_n(&x->http->draining, __ATOMIC_RELAXED))
		(void)MHD_add_response_header(response, "Connection", "close");
}

static struct MHD_Response *buffer_response(struct hd_buf *body)
{
	size_t len = body->len;
	if (len == 0)
		return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	char *data = hd_buf_take(body);
	struct MHD_Response *response = data ? MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_FREE) : NULL;
	if (!response)
		free(data);
	return response;
}

static enum MHD_Result answer(struct hd_exchange *x)
{
	const struct hd_http_route *route = x->req.route;
	uint32_t status = x->failed_status ? x->failed_status : x->resp.status ? x->resp.status : route->answer_status ? route->answer_status : 200;
	const char *type = NULL;
	struct MHD_Response *response;
	if (x->failed_status) {
		hd_buf_clear(&x->resp.body);
		if (status != 204) {
			char path[256];
			(void)snprintf(path, sizeof path, "%.*s", (int)HD_MIN(strcspn(x->target, "?"), sizeof path - 1), x->target);
			hd_http_problem_write(&x->resp.body, &x->err, status, path, &x->resp.problems);
			type = "application/problem+json";
		}
		response = buffer_response(&x->resp.body);
	} else if (x->resp.stream && !x->req.head) {
		type = "text/event-stream";
		response = hd_stream_response(&x->http->streams, HD_STEAL(x->resp.stream), x->connection);
	} else {
		if (same_tag(x->req.if_none_match, x->resp.etag) && route->method == HD_METHOD_GET) {
			status = 304;
			hd_buf_clear(&x->resp.body);
		}
		if (x->resp.body.len)
			type = x->resp.content_type ? x->resp.content_type : route->answer_type ? route->answer_type : "application/json";
		response = buffer_response(&x->resp.body);
	}
	if (!response)
		return MHD_NO;
	add_headers(x, response, status, type);
	enum MHD_Result result = MHD_queue_response(x->connection, status, response);
	MHD_destroy_response(response);
	__atomic_add_fetch(&x->http->by_class[HD_MIN(status / 100, 5u)], 1, __ATOMIC_RELAXED);
	const struct hd_http_hooks *hooks = &x->http->config.hooks;
	if (hooks->observe)
		hooks->observe(hooks->arg, route, status, hd_clock_real_ns() - x->started_ns);
	return result;
}

/* ---- the calls of libmicrohttpd --------------------------------------------------------------------------------------- */

static enum MHD_Result start_running(struct hd_exchange *x)
{
	hd_receive_end(&x->http->receiving, x->connection);
	if (!hd_body_finish(x))
		return answer(x);
	x->state = STATE_RUNNING;
	if (x->req.route->flags & HD_ROUTE_INLINE) {
		hd_exchange_run(x);
		return answer(x);
	}
	/* Suspended before a worker can see it: the worker's resume must not come first. */
	MHD_suspend_connection(x->connection);
	if (!hd_queue_try_push(x->http->queue, x)) {
		hd_error_set(&x->err, HYDRO_E_AGAIN, "too many requests are waiting");
		hd_exchange_fail(x, 503);
		MHD_resume_connection(x->connection);
	}
	return MHD_YES;
}

/*
 * Whether the body of a refused request is read first: closing on a client that is still sending resets the connection, and it may
 * never see the answer. Not one that waits for the server's word, nor one that is too long to be read for nothing.
 */
static bool reads_body_first(const struct hd_exchange *x)
{
	const char *length = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
	if (MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT))
		return false;
	if (MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING))
		return true;
	unsigned long long bytes = length ? strtoull(length, NULL, 10) : 0;
	return bytes > 0 && bytes <= DISCARD_BYTES_MAX;
}

enum MHD_Result hd_exchange_access(struct hd_exchange *x, const char *method, const char *upload, size_t *upload_len)
{
	if (hd_thread_role() == HD_ROLE_ANY)
		hd_thread_set_role(HD_ROLE_HTTP);
	if (x->state == STATE_NEW) {
		x->state = STATE_BODY;
		hd_gate_check(x, method);
		if (x->failed_status && !reads_body_first(x)) {
			hd_receive_end(&x->http->receiving, x->connection);
			return answer(x);
		}
		/* Without a body there is no second call to wait for, but an answer now would end a connection that has one. */
		return MHD_YES;
	}
	if (x->state == STATE_BODY && *upload_len > 0) {
		hd_receive_took(&x->http->receiving, x->connection, *upload_len);
		/* The rest of a body that has failed is read and thrown away, but not without end. */
		if (!x->failed_status)
			(void)hd_body_take(x, upload, *upload_len);
		else if ((x->discarded += *upload_len) > DISCARD_BYTES_MAX)
			return MHD_NO;
		*upload_len = 0;
		return MHD_YES;
	}
	if (x->failed_status || x->state == STATE_RUNNING)
		return answer(x);
	return start_running(x);
}
