/* SPDX-License-Identifier: MIT */
#include "http.h"

#include "account.h"
#include "base/clock.h"
#include "base/thread.h"
#include "faults.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define BODY_MAX 1048576u
#define STREAM_BLOCK 16384u
#define HANG_TICK_MS 50
#define IDLE_MAX_S 600u /* a half-closed connection would stay for ever */

static const struct {
	const char *prefix;
	void (*handle)(struct sim_request *request, struct sim_answer *answer);
	uint32_t service; /* SIM_SERVICES: none, not in the account */
} services[] = {
	{"/twin/", sim_twin_handle, SIM_TWIN}, {"/nettra/", sim_nettra_handle, SIM_NETTRA}, {"/novus/", sim_novus_handle, SIM_NOVUS},
	{"/json/", sim_json_handle, SIM_JSON}, {"/dga/", sim_dga_handle, SIM_DGA}, {"/sim/", sim_control_handle, SIM_SERVICES},
};

struct hung {
	struct MHD_Connection *connection;
	int64_t deadline_ns;
	struct hung *next;
};

struct sim_http {
	struct sim *sim;
	struct MHD_Daemon *daemon;
	pthread_t reaper;
	bool reaping;
	pthread_mutex_t lock; /* guards: hung, stopping */
	pthread_cond_t wake;
	struct hung *hung;
	bool stopping;
};

/* What belongs to one request until it is answered. GETs have no body and share marks. */
struct upload {
	struct hd_buf body;
	bool too_large;
};
static struct upload get_mark, hung_mark;

/* Stop sends all; else those whose time is over. */
static void release_hung(struct sim_http *http)
{
	int64_t now = hd_clock_real_ns();
	for (struct hung **p = &http->hung; *p;) {
		struct hung *h = *p;
		if (!http->stopping && h->deadline_ns > now) {
			p = &h->next;
			continue;
		}
		*p = h->next;
		MHD_resume_connection(h->connection);
		free(h);
	}
}

static void *reap(void *arg)
{
	struct sim_http *http = arg;
	(void)pthread_mutex_lock(&http->lock);
	while (!http->stopping) {
		struct timespec at;
		(void)clock_gettime(CLOCK_MONOTONIC, &at);
		at.tv_nsec += HANG_TICK_MS * HD_NS_PER_MS;
		if (at.tv_nsec >= HD_NS_PER_S) {
			at.tv_nsec -= HD_NS_PER_S;
			at.tv_sec++;
		}
		if (http->hung)
			(void)pthread_cond_timedwait(&http->wake, &http->lock, &at);
		else
			(void)pthread_cond_wait(&http->wake, &http->lock);
		release_hung(http);
	}
	release_hung(http);
	(void)pthread_mutex_unlock(&http->lock);
	return NULL;
}

static enum MHD_Result hang(struct sim_http *http, struct MHD_Connection *connection)
{
	struct hung *h = malloc(sizeof *h);
	if (!h)
		return MHD_NO;
	(void)pthread_mutex_lock(&http->lock);
	bool stopping = http->stopping;
	if (!stopping) {
		*h = (struct hung){connection, hd_clock_real_ns() + http->sim->config.hang_max_ms * HD_NS_PER_MS, http->hung};
		http->hung = h;
		MHD_suspend_connection(connection);
		(void)pthread_cond_signal(&http->wake);
	}
	(void)pthread_mutex_unlock(&http->lock);
	if (stopping)
		free(h);
	return stopping ? MHD_NO : MHD_YES;
}

struct half {
	char *data;
	size_t len;
};

static ssize_t send_half(void *cls, uint64_t pos, char *out, size_t max)
{
	const struct half *half = cls;
	if (pos >= half->len / 2)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	size_t n = HD_MIN(max, half->len / 2 - (size_t)pos);
	memcpy(out, half->data + pos, n);
	return (ssize_t)n;
}

static void free_half(void *cls)
{
	struct half *half = cls;
	free(half->data);
	free(half);
}

static struct MHD_Response *cut_response(struct hd_buf *body)
{
	if (body->len < 2)
		(void)hd_buf_add_text(body, "  ");
	struct half *half = malloc(sizeof *half);
	if (!half || body->failed) {
		free(half);
		return NULL;
	}
	*half = (struct half){.len = body->len};
	half->data = hd_buf_take(body);
	return MHD_create_response_from_callback(half->len, STREAM_BLOCK, send_half, half, free_half);
}

static struct MHD_Response *whole_response(struct hd_buf *body)
{
	size_t len = body->len;
	char *data = hd_buf_take(body);
	if (!data)
		return NULL;
	struct MHD_Response *r = MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_FREE);
	if (!r)
		free(data);
	return r;
}

static enum MHD_Result send_answer(struct MHD_Connection *connection, struct sim_answer *a)
{
	struct MHD_Response *r = HD_STEAL(a->response);
	if (!r && !a->body.failed)
		r = a->fate == SIM_FATE_CUT ? cut_response(&a->body) : whole_response(&a->body);
	hd_buf_done(&a->body);
	if (!r)
		return MHD_NO;
	(void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, a->type ? a->type : "application/json");
	if (a->retry_after_ms) {
		char text[24];
		(void)snprintf(text, sizeof text, "%lld", (long long)((a->retry_after_ms + 999) / 1000));
		(void)MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER, text);
	}
	enum MHD_Result ok = MHD_queue_response(connection, a->status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result respond(struct sim_http *http, struct MHD_Connection *connection, const char *url, const char *method, void **state)
{
	struct upload *up = *state;
	struct sim_request q = {.sim = http->sim, .connection = connection, .method = method, .body = up->body.data, .body_len = up->body.len,
	                        .now_ms = hd_clock_wall_ms()};
	struct sim_answer a = {0};
	uint32_t service = SIM_SERVICES;
	for (size_t i = 0; i < HD_ARRAY_LEN(services); i++) {
		size_t n = strlen(services[i].prefix);
		if (strncmp(url, services[i].prefix, n) != 0)
			continue;
		service = services[i].service;
		q.path = url + n - 1;
		if (up->too_large)
			sim_answer_text(&a, 413, "{\"message\":\"too large\"}");
		else
			services[i].handle(&q, &a);
		break;
	}
	if (!a.status && a.fate == SIM_FATE_SEND)
		sim_answer_text(&a, 404, "{\"status\":404,\"message\":\"no such path\"}");
	if (service < SIM_SERVICES)
		sim_account_request(http->sim->account, service, a.fate == SIM_FATE_HANG ? SIM_OUTCOME_HANG : a.fate == SIM_FATE_CUT ? SIM_OUTCOME_CUT : a.status);
	if (a.fate != SIM_FATE_HANG)
		return send_answer(connection, &a);
	hd_buf_done(&a.body);
	if (up != &get_mark) {
		hd_buf_done(&up->body);
		free(up);
	}
	*state = &hung_mark;
	return hang(http, connection);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                  const char *data, size_t *size, void **state)
{
	(void)version;
	if (!*state) {
		bool plain = strcmp(method, MHD_HTTP_METHOD_GET) == 0;
		*state = plain ? &get_mark : calloc(1, sizeof(struct upload));
		return *state ? MHD_YES : MHD_NO;
	}
	struct upload *up = *state;
	if (up == &hung_mark)
		return MHD_NO; /* its time is over: cut */
	if (*size) {
		if (up != &get_mark && up->body.len + *size <= BODY_MAX)
			(void)hd_buf_add(&up->body, data, *size);
		else if (up != &get_mark)
			up->too_large = true;
		*size = 0;
		return MHD_YES;
	}
	return respond(cls, connection, url, method, state);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code)
{
	(void)cls;
	(void)connection;
	(void)code;
	struct upload *up = *state;
	if (up && up != &get_mark && up != &hung_mark) {
		hd_buf_done(&up->body);
		free(up);
	}
	*state = NULL;
}

static void raise_file_limit(uint32_t wanted)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted + 64u)
		return;
	limit.rlim_cur = HD_MIN(limit.rlim_max, (rlim_t)wanted + 64u);
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

int sim_http_start(struct sim *sim, struct sim_http **ret, struct hydro_error *err)
{
	struct sim_http *http = calloc(1, sizeof *http);
	pthread_condattr_t attr;
	if (!http)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the port");
	http->sim = sim;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&http->lock, NULL);
	(void)pthread_cond_init(&http->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	raise_file_limit(sim->config.connections);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)sim->config.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	http->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_SUPPRESS_DATE_NO_CLOCK,
	                                0, NULL, NULL, on_request, http, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_THREAD_POOL_SIZE,
	                                sim->config.threads > 1 ? sim->config.threads : 0u, MHD_OPTION_CONNECTION_LIMIT, sim->config.connections, MHD_OPTION_NOTIFY_COMPLETED,
	                                on_completed, NULL, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_MAX_S, MHD_OPTION_LISTEN_BACKLOG_SIZE, 4096u, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	                                (size_t)16384, MHD_OPTION_END);
	int rc = http->daemon ? hd_thread_start(&http->reaper, HD_ROLE_ANY, "sim-reaper", reap, http, err)
	                      : hd_error_errno(err, HYDRO_E_IO, errno, "cannot listen on 127.0.0.1:%u", sim->config.port);
	if (rc != HYDRO_OK) {
		sim_http_stop(http);
		return rc;
	}
	http->reaping = true;
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT);
	__atomic_store_n(&sim->port, info ? info->port : sim->config.port, __ATOMIC_RELAXED);
	*ret = http;
	return HYDRO_OK;
}

void sim_http_stop(struct sim_http *http)
{
	if (!http)
		return;
	(void)pthread_mutex_lock(&http->lock);
	http->stopping = true;
	(void)pthread_cond_signal(&http->wake);
	(void)pthread_mutex_unlock(&http->lock);
	if (http->reaping)
		(void)pthread_join(http->reaper, NULL);
	if (http->daemon)
		MHD_stop_daemon(http->daemon);
	(void)pthread_cond_destroy(&http->wake);
	(void)pthread_mutex_destroy(&http->lock);
	free(http);
}
