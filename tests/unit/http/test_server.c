/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "fetch.h"
#include "http/http.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SPOOLED_BYTES (HD_HTTP_BODY_MEMORY_BYTES * 3u + 17u)

struct world {
	struct hd_http *http;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned made, holding;
	bool release;
	struct hd_http_stream *stream;
	struct hd_buf kept; /* the one kept answer */
	char kept_key[64];
	uint8_t kept_print[HD_HTTP_FINGERPRINT_BYTES];
};

static int get_open(void *arg, const struct hd_http_request *req, struct hd_http_response *resp, struct hydro_error *err)
{
	(void)arg, (void)req, (void)err;
	hd_buf_add_text(&resp->body, "{\"status\":\"ok\"}");
	return HYDRO_OK;
}

static int get_versioned(void *arg, const struct hd_http_request *req, struct hd_http_response *resp, struct hydro_error *err)
{
	(void)arg;
	hd_http_set_version(resp, 7);
	hd_buf_printf(&resp->body, "{\"who\":\"%s\"}", req->principal.name);
	return hd_http_check_version(req, 7, err);
}

static int post_echo(void *arg, const struct hd_http_request *req, struct hd_http_response *resp, struct hydro_error *err)
{
	struct world *w = arg;
	(void)pthread_mutex_lock(&w->lock);
	w->made++;
	(void)pthread_mutex_unlock(&w->lock);
	if (req->body_len > 3 && memcmp(req->body, "bad", 3) == 0) {
		hd_http_problem_add(resp, "name", "is \"bad\"");
		return hd_error_set(err, HYDRO_E_INVALID, "it does not fit");
	}
	hd_buf_add(&resp->body, req->body, req->body_len);
	return HYDRO_OK;
}

static int post_hold(void *arg, const struct hd_http_request *req, struct hd_http_response *resp, struct hydro_error *err)
{
	struct world *w = arg;
	(void)req, (void)resp, (void)err;
	(void)pthread_mutex_lock(&w->lock);
	w->holding++;
	(void)pthread_cond_broadcast(&w->changed);
	while (!w->release)
		(void)pthread_cond_wait(&w->changed, &w->lock);
	(void)pthread_mutex_unlock(&w->lock);
	return HYDRO_OK;
}

static int get_stream(void *arg, const struct hd_http_request *req, struct hd_http_response *resp, struct hydro_error *err)
{
	struct world *w = arg;
	(void)req, (void)err;
	resp->stream = hd_http_stream_new(64u << 10);
	(void)pthread_mutex_lock(&w->lock);
	hd_http_stream_unref(w->stream);
	w->stream = hd_http_stream_ref(resp->stream);
	(void)pthread_cond_broadcast(&w->changed);
	(void)pthread_mutex_unlock(&w->lock);
	return HYDRO_OK;
}

static const struct hd_http_route routes[] = {
	{.method = HD_METHOD_GET, .path = "/open", .flags = HD_ROUTE_INLINE, .handle = get_open},
	{.method = HD_METHOD_GET, .path = "/thing/", .roles = HD_ROLES_READ, .handle = get_versioned},
	{.method = HD_METHOD_POST, .path = "/thing/", .roles = HD_ROLES_WRITE, .flags = HD_ROUTE_IDEMPOTENT, .body_max = 1u << 20, .answer_status = 201,
	 .handle = post_echo},
	{.method = HD_METHOD_POST, .path = "/hold", .roles = HD_ROLES_WRITE, .flags = HD_ROUTE_IDEMPOTENT, .handle = post_hold},
	{.method = HD_METHOD_GET, .path = "/stream", .flags = HD_ROUTE_STREAM, .handle = get_stream},
};

static int authenticate(void *arg, const struct hd_http_credentials *credentials, struct hd_principal *ret, struct hydro_error *err)
{
	(void)arg;
	const char *key = credentials->api_key ? credentials->api_key : credentials->authorization ? credentials->authorization : "";
	*ret = (struct hd_principal){.id = 1, .name = "ana"};
	ret->role = strcmp(key, "Bearer root") == 0 ? HD_AUTH_ADMIN : strcmp(key, "reader") == 0 ? HD_AUTH_ANALYST : HD_AUTH_ROLE_END;
	return ret->role < HD_AUTH_ROLE_END ? HYDRO_OK : hd_error_set(err, HYDRO_E_UNAUTHORIZED, "no key");
}

static int find_kept(void *arg, const struct hd_http_request *req, struct hd_http_response *resp, bool *ret_found, struct hydro_error *err)
{
	struct world *w = arg;
	*ret_found = w->kept.len > 0 && strcmp(w->kept_key, req->idempotency_key) == 0;
	if (*ret_found && memcmp(w->kept_print, req->fingerprint, sizeof w->kept_print) != 0)
		return hd_error_set(err, HYDRO_E_CONFLICT, "used for something else");
	if (*ret_found)
		hd_buf_add(&resp->body, w->kept.data, w->kept.len);
	return HYDRO_OK;
}

static int keep(void *arg, const struct hd_http_request *req, const struct hd_http_response *resp, struct hydro_error *err)
{
	struct world *w = arg;
	(void)err;
	hd_buf_clear(&w->kept);
	hd_buf_add(&w->kept, resp->body.data, resp->body.len);
	(void)snprintf(w->kept_key, sizeof w->kept_key, "%s", req->idempotency_key);
	memcpy(w->kept_print, req->fingerprint, sizeof w->kept_print);
	return HYDRO_OK;
}

/* With the world's routes and hooks. */
static void begin_with(struct world *w, const struct hd_http_config *given)
{
	struct hydro_error err = {0};
	*w = (struct world){.made = 0};
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->changed, NULL);
	struct hd_http_config config = *given;
	config.routes = routes;
	config.route_count = HD_ARRAY_LEN(routes);
	config.arg = w;
	config.hooks = (struct hd_http_hooks){.arg = w, .authenticate = authenticate, .idempotency_find = find_kept, .idempotency_keep = keep};
	cr_assert_eq(hd_http_start(&config, &w->http, &err), HYDRO_OK, "%s", err.text);
}

static uint16_t begin(struct world *w, uint32_t workers, uint32_t queue)
{
	begin_with(w, &(struct hd_http_config){.workers = workers, .queue = queue});
	return hd_http_port(w->http);
}

static void end(struct world *w)
{
	hd_http_stop(&w->http);
	cr_assert_null(w->http);
	hd_http_stream_unref(w->stream);
	hd_buf_done(&w->kept);
}

static void expect(uint16_t port, const char *method, const char *target, const char *headers, const char *body, long status, const char *contains)
{
	struct fetch answer = fetch(port, method, target, headers, body);
	cr_assert_eq(answer.status, status, "%s %s: %ld %s", method, target, answer.status, answer.body.data);
	cr_assert_not_null(strstr(answer.body.data, contains), "%s %s: %s", method, target, answer.body.data);
	if (status >= 400)
		cr_assert_str_eq(fetch_header(&answer, "Content-Type"), "application/problem+json");
	fetch_done(&answer);
}

Test(server, answers_and_refuses_by_the_route_table)
{
	struct world w;
	uint16_t port = begin(&w, 2, 16);
	expect(port, "GET", "/open", NULL, NULL, 200, "\"ok\"");
	expect(port, "GET", "/open/", NULL, NULL, 200, "\"ok\"");
	expect(port, "GET", "/nothing", NULL, NULL, 404, "urn:hydro:problem:not-found");
	expect(port, "GET", "/open?x=1", NULL, NULL, 400, "parameter x");
	expect(port, "GET", "/../etc/passwd", NULL, NULL, 400, "urn:hydro:problem:parse");
	expect(port, "GET", "/%2e%2e/etc", NULL, NULL, 400, "urn:hydro:problem:parse");
	expect(port, "BREW", "/open", NULL, NULL, 405, "BREW");
	expect(port, "GET", "/thing", NULL, NULL, 401, "urn:hydro:problem:unauthorized");
	expect(port, "GET", "/thing", "X-API-Key: reader", NULL, 200, "ana");
	expect(port, "POST", "/thing", "X-API-Key: reader", "{}", 403, "urn:hydro:problem:denied");
	expect(port, "POST", "/thing", "Authorization: Bearer root", "{}", 201, "{}");
	expect(port, "POST", "/thing", "Authorization: Bearer root", "bad thing", 400, "\"errors\":[{\"field\":\"name\",\"detail\":\"is \\\"bad\\\"\"}]");
	expect(port, "POST", "/thing", "Authorization: Bearer root\nContent-Type: text/plain", "{}", 415, "application/json");
	expect(port, "POST", "/thing", "Authorization: Bearer root", NULL, 400, "needs a body");
	struct fetch answer = fetch(port, "POST", "/open", NULL, NULL);
	cr_assert_eq(answer.status, 405);
	cr_assert_str_eq(fetch_header(&answer, "Allow"), "GET, HEAD");
	fetch_done(&answer);
	answer = fetch(port, "HEAD", "/open", NULL, NULL);
	cr_assert_eq(answer.status, 200);
	cr_assert_str_eq(fetch_header(&answer, "Content-Length"), "15");
	fetch_done(&answer);
	answer = fetch(port, "OPTIONS", "/thing", NULL, NULL);
	cr_assert_eq(answer.status, 204);
	cr_assert_str_eq(fetch_header(&answer, "Allow"), "GET, HEAD, POST");
	fetch_done(&answer);
	answer = fetch(port, "GET", "/thing", NULL, NULL);
	cr_assert_str_eq(fetch_header(&answer, "WWW-Authenticate"), "Bearer realm=\"hydrod\"");
	fetch_done(&answer);
	struct hd_http_stats stats;
	hd_http_stats(w.http, &stats);
	cr_assert(stats.by_class[4] >= 8 && stats.by_class[2] >= 4);
	end(&w);
}

Test(server, versions_guard_against_lost_updates)
{
	struct world w;
	uint16_t port = begin(&w, 2, 16);
	struct fetch answer = fetch(port, "GET", "/thing", "X-API-Key: reader", NULL);
	cr_assert_str_eq(fetch_header(&answer, "ETag"), "\"7\"");
	fetch_done(&answer);
	expect(port, "GET", "/thing", "X-API-Key: reader\nIf-None-Match: \"7\"", NULL, 304, "");
	expect(port, "GET", "/thing", "X-API-Key: reader\nIf-Match: \"6\", \"7\"", NULL, 200, "ana");
	expect(port, "GET", "/thing", "X-API-Key: reader\nIf-Match: \"6\"", NULL, 412, "version 7");
	expect(port, "GET", "/thing", "X-API-Key: reader\nIf-Match: W/\"7\"", NULL, 400, "entity tag");
	end(&w);
}

Test(server, large_bodies_are_spooled_and_oversized_ones_refused)
{
	struct world w;
	uint16_t port = begin(&w, 2, 16);
	char *body = malloc((2u << 20) + 1);
	for (size_t i = 0; i < 2u << 20; i++)
		body[i] = (char)('a' + i % 23);
	body[SPOOLED_BYTES] = '\0';
	struct fetch answer = fetch(port, "POST", "/thing", "Authorization: Bearer root", body);
	cr_assert_eq(answer.status, 201);
	cr_assert_eq(answer.body.len, SPOOLED_BYTES);
	cr_assert_arr_eq(answer.body.data, body, SPOOLED_BYTES);
	fetch_done(&answer);
	body[SPOOLED_BYTES] = 'x';
	body[2u << 20] = '\0';
	expect(port, "POST", "/thing", "Authorization: Bearer root", body, 413, "1048576");
	expect(port, "POST", "/thing", "Authorization: Bearer root\nTransfer-Encoding: chunked", body, 413, "1048576");
	free(body);
	char header[HD_HTTP_HEADER_BYTES_MAX + 64];
	(void)snprintf(header, sizeof header, "X-API-Key: %0*d", (int)HD_HTTP_HEADER_BYTES_MAX + 1, 0);
	expect(port, "GET", "/thing", header, NULL, 431, "X-API-Key");
	char target[HD_URI_BYTES_MAX + 64];
	(void)snprintf(target, sizeof target, "/%0*d", (int)HD_URI_BYTES_MAX, 0);
	expect(port, "GET", target, NULL, NULL, 414, "4096");
	end(&w);
}

Test(server, a_client_that_sends_its_body_without_asking_still_sees_why_it_was_refused)
{
	struct world w;
	uint16_t port = begin(&w, 2, 16);
	const char *head = "POST /thing HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2097152\r\n\r\n";
	int fd = fetch_raw(port, head, strlen(head));
	char *body = calloc(1, 2u << 20);
	cr_assert(fd >= 0 && body);
	for (size_t sent = 0; sent < 2u << 20;) {
		ssize_t n = send(fd, body + sent, HD_MIN((size_t)65536, (2u << 20) - sent), MSG_NOSIGNAL);
		cr_assert_gt(n, 0, "the connection was closed after %zu bytes", sent);
		sent += (size_t)n;
		(void)usleep(2000);
	}
	struct hd_buf answer = {0};
	cr_assert(fetch_until(fd, "urn:hydro:problem", &answer));
	cr_assert_eq(strncmp(hd_buf_text(&answer), "HTTP/1.1 401 ", 13), 0);
	hd_buf_done(&answer);
	(void)close(fd);
	free(body);
	end(&w);
}

Test(server, a_key_runs_a_write_once)
{
	struct world w;
	uint16_t port = begin(&w, 2, 16);
	const char *headers = "Authorization: Bearer root\nIdempotency-Key: k-1";
	expect(port, "POST", "/thing", headers, "{\"a\":1}", 201, "{\"a\":1}");
	expect(port, "POST", "/thing", headers, "{\"a\":1}", 201, "{\"a\":1}");
	cr_assert_eq(w.made, 1);
	expect(port, "POST", "/thing", headers, "{\"a\":2}", 409, "something else");
	expect(port, "POST", "/thing", "Authorization: Bearer root\nIdempotency-Key: k-2", "{\"a\":2}", 201, "{\"a\":2}");
	cr_assert_eq(w.made, 2);
	expect(port, "POST", "/thing", "Authorization: Bearer root\nIdempotency-Key;", "{}", 400, "Idempotency-Key");
	end(&w);
}

struct call {
	uint16_t port;
	const char *headers;
	long status;
};

static void *hold(void *arg)
{
	struct call *call = arg;
	struct fetch answer = fetch(call->port, "POST", "/hold", call->headers, NULL);
	call->status = answer.status;
	fetch_done(&answer);
	return NULL;
}

static void wait_holding(struct world *w, unsigned count)
{
	(void)pthread_mutex_lock(&w->lock);
	while (w->holding < count)
		(void)pthread_cond_wait(&w->changed, &w->lock);
	(void)pthread_mutex_unlock(&w->lock);
}

static void release(struct world *w)
{
	(void)pthread_mutex_lock(&w->lock);
	w->release = true;
	(void)pthread_cond_broadcast(&w->changed);
	(void)pthread_mutex_unlock(&w->lock);
}

Test(server, a_slow_handler_holds_up_nobody_and_a_full_queue_says_so)
{
	struct world w;
	pthread_t threads[2];
	uint16_t port = begin(&w, 1, 1);
	struct call calls[2] = {{port, "Authorization: Bearer root\nIdempotency-Key: one", 0}, {port, "Authorization: Bearer root", 0}};
	(void)pthread_create(&threads[0], NULL, hold, &calls[0]);
	wait_holding(&w, 1);
	expect(port, "GET", "/open", NULL, NULL, 200, "ok");
	(void)pthread_create(&threads[1], NULL, hold, &calls[1]);
	struct hd_http_stats stats;
	do
		hd_http_stats(w.http, &stats);
	while (stats.waiting == 0);
	struct fetch answer = fetch(port, "POST", "/hold", "Authorization: Bearer root", NULL);
	cr_assert_eq(answer.status, 503);
	cr_assert_str_eq(fetch_header(&answer, "Retry-After"), "1");
	fetch_done(&answer);
	release(&w);
	for (int i = 0; i < 2; i++) {
		(void)pthread_join(threads[i], NULL);
		cr_assert_eq(calls[i].status, 200);
	}
	end(&w);
}

Test(server, the_same_key_twice_at_once_is_a_conflict_and_stop_waits_for_what_runs)
{
	struct world w;
	pthread_t thread;
	uint16_t port = begin(&w, 2, 4);
	struct call call = {port, "Authorization: Bearer root\nIdempotency-Key: one", 0};
	(void)pthread_create(&thread, NULL, hold, &call);
	wait_holding(&w, 1);
	expect(port, "POST", "/hold", call.headers, NULL, 409, "under way");
	cr_assert_not(hd_http_drain(w.http, 1));
	release(&w);
	cr_assert(hd_http_drain(w.http, 10000));
	(void)pthread_join(thread, NULL);
	cr_assert_eq(call.status, 200);
	cr_assert_eq(fetch_raw(port, "x", 1) >= 0, 0, "still listening after the drain");
	end(&w);
}

static struct hd_http_stream *wait_stream(struct world *w)
{
	(void)pthread_mutex_lock(&w->lock);
	while (!w->stream)
		(void)pthread_cond_wait(&w->changed, &w->lock);
	struct hd_http_stream *stream = w->stream;
	(void)pthread_mutex_unlock(&w->lock);
	return stream;
}

Test(server, events_reach_a_listening_client_and_drain_ends_the_stream)
{
	struct world w;
	struct hd_buf got = {0};
	uint16_t port = begin(&w, 2, 4);
	static const char request[] = "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n";
	int fd = fetch_raw(port, request, sizeof request - 1);
	struct hd_http_stream *stream = wait_stream(&w);
	cr_assert(hd_http_stream_send(stream, "data: 1\n\n", 9));
	cr_assert(fetch_until(fd, "data: 1\n\n", &got));
	cr_assert_not_null(strstr(got.data, "text/event-stream"));
	cr_assert(hd_http_stream_send(stream, "data: 2\n\n", 9));
	cr_assert(fetch_until(fd, "data: 2\n\n", &got));
	cr_assert(hd_http_drain(w.http, 10000));
	cr_assert(fetch_until(fd, "\r\n0\r\n", &got));
	cr_assert_not(hd_http_stream_send(stream, "x", 1));
	(void)close(fd);
	hd_buf_done(&got);
	end(&w);
}

Test(server, a_client_that_does_not_read_is_cut_off_while_others_go_on)
{
	struct world w;
	char block[4096];
	uint16_t port = begin(&w, 2, 4);
	static const char request[] = "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n";
	int fd = fetch_raw(port, request, sizeof request - 1);
	struct hd_http_stream *stream = wait_stream(&w);
	memset(block, 'x', sizeof block);
	while (hd_http_stream_send(stream, block, sizeof block))
		continue;
	cr_assert_not(hd_http_stream_alive(stream));
	expect(port, "GET", "/open", NULL, NULL, 200, "ok");
	struct hd_http_stats stats;
	do
		hd_http_stats(w.http, &stats);
	while (stats.streams > 0);
	cr_assert_leq(stats.streams_cut, 1);
	(void)close(fd);
	end(&w);
}

/* Sends the head, then a byte now and then until the server has had enough; whether it has. */
static bool drip(uint16_t port, const char *head)
{
	int fd = fetch_raw(port, head, strlen(head));
	bool open = true;
	cr_assert_geq(fd, 0);
	for (int i = 0; i < 2000 && open; i++) {
		char byte;
		(void)usleep(5000);
		open = send(fd, "a", 1, MSG_NOSIGNAL) == 1 && !(recv(fd, &byte, 1, MSG_DONTWAIT) == 0);
	}
	(void)close(fd);
	return !open;
}

Test(server, a_client_that_drips_its_request_is_cut_off_and_one_that_waits_for_its_answer_is_not)
{
	struct world w;
	struct hd_http_stats stats;
	begin_with(&w, &(struct hd_http_config){.workers = 2, .queue = 4, .receive_ms = 200, .heartbeat_ms = 20});
	uint16_t port = hd_http_port(w.http);
	static const char held[] = "POST /hold HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer root\r\nContent-Length: 0\r\n\r\n";
	int waiting = fetch_raw(port, held, sizeof held - 1);
	cr_assert(drip(port, "GET /open HTTP/1.1\r\nHost: x\r\nX: "), "in a header");
	cr_assert(drip(port, "G"), "in the request line");
	cr_assert(drip(port, "POST /thing HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer root\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"),
		  "in the body");
	hd_http_stats(w.http, &stats);
	cr_assert_eq(stats.slow_cut, 3);
	(void)pthread_mutex_lock(&w.lock);
	cr_assert_eq(w.holding, 1);
	w.release = true;
	(void)pthread_cond_broadcast(&w.changed);
	(void)pthread_mutex_unlock(&w.lock);
	struct hd_buf got = {0};
	cr_assert(fetch_until(waiting, "HTTP/1.1 20", &got), "it was waited for longer than a request may take to come");
	hd_buf_done(&got);
	(void)close(waiting);
	expect(port, "GET", "/open", NULL, NULL, 200, "ok");
	end(&w);
}

Test(server, garbage_on_the_socket_harms_nobody)
{
	static const char *const garbage[] = {"\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "POST /thing HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
					      "POST /thing HTTP/1.1\r\nAuthorization: Bearer root\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
					      "GET /open HTTP/1.1\r\nHost", "GET * HTTP/1.1\r\nHost: x\r\n\r\n"};
	struct world w;
	/* The library may not notice that one has ended in the middle, and wait for the rest: it goes when its time is over. */
	begin_with(&w, &(struct hd_http_config){.workers = 2, .queue = 4, .receive_ms = 100, .heartbeat_ms = 20});
	uint16_t port = hd_http_port(w.http);
	for (size_t i = 0; i < HD_ARRAY_LEN(garbage); i++) {
		int fd = fetch_raw(port, garbage[i], strlen(garbage[i]));
		cr_assert_geq(fd, 0);
		(void)shutdown(fd, SHUT_WR);
		struct hd_buf got = {0};
		cr_assert_not(fetch_until(fd, "never sent", &got));
		cr_assert_neq(errno, EAGAIN, "it is still open");
		cr_assert_null(strstr(hd_buf_text(&got), "200 OK"));
		hd_buf_done(&got);
		(void)close(fd);
	}
	expect(port, "GET", "/open", NULL, NULL, 200, "ok");
	end(&w);
}

Test(server, refuses_an_address_that_is_none)
{
	struct hd_http *http = NULL;
	struct hydro_error err = {0};
	struct hd_http_config config = {.address = "nowhere"};
	cr_assert_eq(hd_http_start(&config, &http, &err), HYDRO_E_CONFIG);
	cr_assert_not_null(strstr(err.text, "nowhere"));
	cr_assert_null(http);
}
