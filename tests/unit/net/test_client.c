/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "net/client.h"
#include "net/rawserver.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BIG_BYTES 100000u

/* The server answers by the path of the request. */
static bool answer(void *arg, int fd, const char *request)
{
	(void)arg;
	if (strncmp(request, "GET /ok", 7) == 0)
		return rawserver_answer(fd, 200, "Content-Type: application/json\r\n", "{\"a\":1}");
	if (strncmp(request, "GET /busy", 9) == 0)
		return rawserver_answer(fd, 429, "Retry-After: 7\r\n", "slow down");
	if (strncmp(request, "GET /moved", 10) == 0)
		return rawserver_answer(fd, 302, "Location: /ok\r\n", "");
	if (strncmp(request, "GET /header", 11) == 0)
		return rawserver_answer(fd, 200, NULL, strstr(request, "X-Token: s3\r\n") ? "seen" : "missing");
	if (strncmp(request, "POST /echo", 10) == 0)
		return rawserver_answer(fd, 201, NULL, strstr(request, "\r\n\r\n") + 4);
	if (strncmp(request, "PUT /echo", 9) == 0)
		return rawserver_answer(fd, 204, NULL, "");
	if (strncmp(request, "GET /big", 8) == 0) {
		char *big = calloc(1, BIG_BYTES + 1);
		memset(big, 'x', BIG_BYTES);
		rawserver_answer(fd, 200, NULL, big);
		free(big);
		return true;
	}
	if (strncmp(request, "GET /half", 9) == 0) {
		const char *text = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
		rawserver_write(fd, text, strlen(text));
		return false;
	}
	if (strncmp(request, "GET /hang", 9) == 0)
		return rawserver_hang(fd);
	if (strncmp(request, "GET /garbage", 12) == 0) {
		rawserver_write(fd, "\x16\x03\x01 no http\r\n\r\n", 15);
		return false;
	}
	return false; /* cut without a byte */
}

struct outcome {
	uint32_t calls, status, failure;
	bool sent;
	int64_t retry_after_ms;
	char body[256], content_type[64], detail[256];
	size_t body_len;
};

static void note(void *arg, struct hd_net_result *result)
{
	struct outcome *o = arg;
	o->calls++;
	o->status = result->status;
	o->failure = result->failure;
	o->sent = result->sent;
	o->retry_after_ms = result->retry_after_ms;
	o->body_len = result->body->len;
	(void)snprintf(o->body, sizeof o->body, "%s", hd_buf_text(result->body));
	(void)snprintf(o->content_type, sizeof o->content_type, "%s", result->content_type);
	(void)snprintf(o->detail, sizeof o->detail, "%s", result->detail);
}

struct setup {
	struct rawserver *server;
	struct hd_net *net;
	uint16_t port;
	char url[128];
};

static void setup_with(struct setup *s, struct hd_net_config config)
{
	s->server = rawserver_start(answer, NULL, &s->port);
	config.manual = true;
	cr_assert_eq(hd_net_open(&config, &s->net, NULL), HYDRO_OK);
}

static void teardown(struct setup *s)
{
	hd_net_close(&s->net);
	rawserver_stop(s->server);
}

static const char *url(struct setup *s, const char *path)
{
	(void)snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u%s", s->port, path);
	return s->url;
}

static struct outcome fetch(struct setup *s, struct hd_net_request request)
{
	struct outcome o = {0};
	if (!request.method)
		request.method = HYDRO_HTTP_GET;
	struct hydro_error err = {0};
	cr_assert_eq(hd_net_submit(s->net, &request, note, &o, &err), HYDRO_OK, "%s", err.text);
	while (!o.calls)
		hd_net_run_once(s->net, 1000);
	cr_assert_eq(o.calls, 1);
	return o;
}

static struct outcome get(struct setup *s, const char *path)
{
	return fetch(s, (struct hd_net_request){.url = url(s, path)});
}

Test(client, a_good_answer_arrives_with_status_type_and_body)
{
	struct setup s;
	setup_with(&s, (struct hd_net_config){0});
	struct outcome o = get(&s, "/ok");
	cr_assert_eq(o.status, 200);
	cr_assert_eq(o.failure, HD_NET_NONE);
	cr_assert_str_eq(o.body, "{\"a\":1}");
	cr_assert_str_eq(o.content_type, "application/json");
	cr_assert_eq(o.retry_after_ms, -1);
	teardown(&s);
}

Test(client, one_connection_serves_request_after_request)
{
	struct setup s;
	setup_with(&s, (struct hd_net_config){0});
	for (int i = 0; i < 10; i++)
		cr_assert_eq(get(&s, "/ok").status, 200);
	cr_assert_eq(rawserver_connections(s.server), 1);
	struct outcome o = fetch(&s, (struct hd_net_request){.url = url(&s, "/ok"), .flags = HD_NET_FRESH});
	cr_assert_eq(o.status, 200);
	cr_assert_eq(rawserver_connections(s.server), 2, "a fresh request opens its own connection");
	teardown(&s);
}

Test(client, headers_and_bodies_are_sent_and_not_carried_over)
{
	struct setup s;
	setup_with(&s, (struct hd_net_config){0});
	hydro_http_header header = {"X-Token", "s3", HYDRO_HEADER_SECRET, 0};
	struct hd_net_request with = {.url = url(&s, "/header"), .headers = &header, .header_count = 1};
	cr_assert_str_eq(fetch(&s, with).body, "seen");
	cr_assert_str_eq(get(&s, "/header").body, "missing");
	struct hd_net_request post = {.method = HYDRO_HTTP_POST, .url = url(&s, "/echo"), .body = "a\nb", .body_len = 3};
	struct outcome o = fetch(&s, post);
	cr_assert_eq(o.status, 201);
	cr_assert_str_eq(o.body, "a\nb");
	post.method = HYDRO_HTTP_PUT;
	cr_assert_eq(fetch(&s, post).status, 204);
	cr_assert_eq(get(&s, "/ok").status, 200, "the handle is a GET again");
	teardown(&s);
}

Test(client, retry_after_is_told_and_redirects_are_not_followed)
{
	struct setup s;
	setup_with(&s, (struct hd_net_config){0});
	struct outcome o = get(&s, "/busy");
	cr_assert_eq(o.status, 429);
	cr_assert_eq(o.retry_after_ms, 7000);
	o = get(&s, "/moved");
	cr_assert_eq(o.status, 302);
	teardown(&s);
}

Test(client, each_way_to_fail_has_its_class)
{
	struct setup s;
	setup_with(&s, (struct hd_net_config){.body_max_bytes = BIG_BYTES - 1});
	cr_assert_eq(get(&s, "/cut").failure, HD_NET_CUT);
	struct outcome o = get(&s, "/half");
	cr_assert_eq(o.failure, HD_NET_CUT);
	cr_assert_eq(o.status, 0, "half an answer is no answer");
	cr_assert(o.sent);
	cr_assert_eq(get(&s, "/garbage").failure, HD_NET_PROTOCOL);
	cr_assert_eq(get(&s, "/big").failure, HD_NET_TOO_LARGE);
	struct hd_net_request allowed = {.url = url(&s, "/big"), .body_max_bytes = BIG_BYTES};
	cr_assert_eq(fetch(&s, allowed).body_len, BIG_BYTES, "exactly the limit passes");
	struct hd_net_request hang = {.url = url(&s, "/hang"), .timeout_ms = 50};
	o = fetch(&s, hang);
	cr_assert_eq(o.failure, HD_NET_TIMEOUT);
	cr_assert(o.sent);
	o = fetch(&s, (struct hd_net_request){.url = "http://no-such-host.invalid/secret?token=abc", .timeout_ms = 20000});
	cr_assert_eq(o.failure, HD_NET_DNS);
	cr_assert_not(o.sent);
	cr_assert_null(strstr(o.detail, "secret"));
	cr_assert_null(strstr(o.detail, "token"));
	teardown(&s);
}

Test(client, a_closed_port_is_a_refused_connection_and_nothing_was_sent)
{
	struct setup s;
	setup_with(&s, (struct hd_net_config){0});
	/* Bound but not listening: nobody else can have the port meanwhile. */
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, len), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	char closed[64];
	(void)snprintf(closed, sizeof closed, "http://127.0.0.1:%u/x", ntohs(address.sin_port));
	struct outcome o = fetch(&s, (struct hd_net_request){.url = closed});
	cr_assert_eq(o.failure, HD_NET_CONNECT);
	cr_assert_not(o.sent);
	close(fd);
	teardown(&s);
}

Test(client, bad_requests_are_refused_before_anything_is_sent)
{
	struct setup s;
	setup_with(&s, (struct hd_net_config){0});
	struct outcome o = {0};
	struct hd_net_request r = {.method = HYDRO_HTTP_GET, .url = "ftp://127.0.0.1/"};
	cr_assert_eq(hd_net_submit(s.net, &r, note, &o, NULL), HYDRO_E_INVALID);
	r.url = "http://127.0.0.1/a b";
	cr_assert_eq(hd_net_submit(s.net, &r, note, &o, NULL), HYDRO_E_INVALID);
	r.url = "http://127.0.0.1/";
	hydro_http_header split = {"X", "a\r\nInjected: 1", 0, 0}, name = {"X:Y", "a", 0, 0};
	r.headers = &split;
	r.header_count = 1;
	cr_assert_eq(hd_net_submit(s.net, &r, note, &o, NULL), HYDRO_E_INVALID);
	r.headers = &name;
	cr_assert_eq(hd_net_submit(s.net, &r, note, &o, NULL), HYDRO_E_INVALID);
	r.header_count = 0;
	static char longer[HD_NET_URL_BYTES_MAX + 2];
	memset(longer, 'a', sizeof longer - 1);
	memcpy(longer, "http://", 7);
	r.url = longer;
	cr_assert_eq(hd_net_submit(s.net, &r, note, &o, NULL), HYDRO_E_LIMIT);
	r.url = "http://127.0.0.1/";
	r.method = 9;
	cr_assert_eq(hd_net_submit(s.net, &r, note, &o, NULL), HYDRO_E_INVALID);
	cr_assert_eq(o.calls, 0);
	teardown(&s);
}

Test(client, cancel_ends_the_owners_requests_alone)
{
	struct setup s;
	setup_with(&s, (struct hd_net_config){0});
	struct outcome mine = {0}, other = {0};
	struct hd_net_request r = {.method = HYDRO_HTTP_GET, .url = url(&s, "/hang"), .owner = &mine};
	cr_assert_eq(hd_net_submit(s.net, &r, note, &mine, NULL), HYDRO_OK);
	r.owner = &other;
	cr_assert_eq(hd_net_submit(s.net, &r, note, &other, NULL), HYDRO_OK);
	hd_net_cancel(s.net, &mine);
	cr_assert_eq(mine.calls, 1);
	cr_assert_eq(mine.failure, HD_NET_CANCELLED);
	cr_assert_eq(other.calls, 0);
	cr_assert_eq(hd_net_in_flight(s.net), 1);
	hd_net_close(&s.net);
	cr_assert_eq(other.calls, 1, "closing ends the rest");
	cr_assert_eq(other.failure, HD_NET_CANCELLED);
	rawserver_stop(s.server);
}

/* ---- with the thread ---- */

#define SUBMITTERS 4
#define EACH 50

struct crowd {
	struct hd_net *net;
	const char *url;
	pthread_mutex_t lock; /* guards: done */
	pthread_cond_t cond;
	uint32_t done;
	atomic_uint good;
};

static void crowd_done(void *arg, struct hd_net_result *result)
{
	struct crowd *crowd = arg;
	if (result->status == 200 && strcmp(hd_buf_text(result->body), "seen") == 0)
		atomic_fetch_add(&crowd->good, 1);
	pthread_mutex_lock(&crowd->lock);
	crowd->done++;
	pthread_cond_signal(&crowd->cond);
	pthread_mutex_unlock(&crowd->lock);
}

static void *submit_many(void *arg)
{
	struct crowd *crowd = arg;
	for (int i = 0; i < EACH; i++) {
		char address[128], value[8];
		(void)snprintf(address, sizeof address, "%s", crowd->url);
		(void)snprintf(value, sizeof value, "s3");
		hydro_http_header header = {"X-Token", value, 0, 0};
		struct hd_net_request r = {.method = HYDRO_HTTP_GET, .url = address, .headers = &header, .header_count = 1};
		cr_assert_eq(hd_net_submit(crowd->net, &r, crowd_done, crowd, NULL), HYDRO_OK);
		memset(address, 0, sizeof address); /* what was submitted has been copied */
		memset(value, 0, sizeof value);
	}
	return NULL;
}

static void add_one(void *arg)
{
	++*(int *)arg;
}

Test(client, many_threads_submit_and_each_request_is_answered_once)
{
	uint16_t port;
	struct rawserver *server = rawserver_start(answer, NULL, &port);
	char address[64];
	(void)snprintf(address, sizeof address, "http://127.0.0.1:%u/header", port);
	struct crowd crowd = {.url = address};
	pthread_mutex_init(&crowd.lock, NULL);
	pthread_cond_init(&crowd.cond, NULL);
	struct hd_net_config config = {.connections_per_host = 8};
	cr_assert_eq(hd_net_open(&config, &crowd.net, NULL), HYDRO_OK);
	pthread_t threads[SUBMITTERS];
	for (int i = 0; i < SUBMITTERS; i++)
		pthread_create(&threads[i], NULL, submit_many, &crowd);
	for (int i = 0; i < SUBMITTERS; i++)
		pthread_join(threads[i], NULL);
	pthread_mutex_lock(&crowd.lock);
	while (crowd.done < SUBMITTERS * EACH)
		pthread_cond_wait(&crowd.cond, &crowd.lock);
	pthread_mutex_unlock(&crowd.lock);
	cr_assert_eq(atomic_load(&crowd.good), SUBMITTERS * EACH);
	cr_assert_leq(rawserver_connections(server), 8, "the cap per host holds");
	int called = 0;
	hd_net_call(crowd.net, add_one, &called);
	cr_assert_eq(called, 1);
	hd_net_close(&crowd.net);
	rawserver_stop(server);
}

static int64_t count_tick(void *arg)
{
	++*(int *)arg;
	return HD_NET_NEVER;
}

Test(client, ticks_run_each_round_until_removed_and_have_a_limit)
{
	struct hd_net *net;
	struct hd_net_config config = {.manual = true};
	cr_assert_eq(hd_net_open(&config, &net, NULL), HYDRO_OK);
	int ticks = 0;
	cr_assert_eq(hd_net_tick_add(net, count_tick, &ticks, NULL), HYDRO_OK);
	hd_net_run_once(net, 0);
	hd_net_run_once(net, 0);
	cr_assert_eq(ticks, 2);
	hd_net_tick_remove(net, count_tick, &ticks);
	hd_net_run_once(net, 0);
	cr_assert_eq(ticks, 2);
	for (uint32_t i = 0; i < HD_NET_TICKS_MAX; i++)
		cr_assert_eq(hd_net_tick_add(net, count_tick, &ticks, NULL), HYDRO_OK);
	cr_assert_eq(hd_net_tick_add(net, count_tick, &ticks, NULL), HYDRO_E_LIMIT);
	hd_net_close(&net);
}
