/* SPDX-License-Identifier: MIT */
#include "net/client.h"

#include "base/clock.h"
#include "base/thread.h"
#include "net/net_impl.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_PER_ROUND 256

static pthread_once_t global_once = PTHREAD_ONCE_INIT;

static void global_init(void)
{
	(void)net_memory_init();
}

/* The client whose io thread this is. */
static _Thread_local const struct hd_net *io_of;

static bool on_io(const struct hd_net *net)
{
	return !net->threaded || io_of == net;
}

/* ---- libcurl's two callbacks ---- */

static int socket_changed(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	(void)easy;
	struct hd_net *net = arg;
	if (what == CURL_POLL_REMOVE) {
		if (known)
			(void)epoll_ctl(net->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	struct epoll_event event = {.data.fd = fd};
	if (what & CURL_POLL_IN)
		event.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		event.events |= EPOLLOUT;
	if (known) {
		(void)epoll_ctl(net->epoll_fd, EPOLL_CTL_MOD, fd, &event);
	} else if (epoll_ctl(net->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0) {
		(void)curl_multi_assign(net->multi, fd, net);
	}
	return 0;
}

static int timer_changed(CURLM *multi, long timeout_ms, void *arg)
{
	(void)multi;
	struct hd_net *net = arg;
	net->curl_due_ns = timeout_ms < 0 ? HD_NET_NEVER : hd_clock_real_ns() + timeout_ms * HD_NS_PER_MS;
	return 0;
}

/* ---- jobs ---- */

void hd_net_wake(struct hd_net *net)
{
	uint64_t one = 1;
	ssize_t n = write(net->event_fd, &one, sizeof one);
	(void)n; /* EAGAIN: the counter is full, so it is awake */
}

void hd_net_post(struct hd_net *net, struct hd_net_job *job)
{
	struct hd_net_job *head = atomic_load_explicit(&net->inbox, memory_order_relaxed);
	do {
		job->next = head;
	} while (!atomic_compare_exchange_weak_explicit(&net->inbox, &head, job, memory_order_release, memory_order_relaxed));
	if (!head)
		hd_net_wake(net);
}

static bool jobs_run(struct hd_net *net)
{
	struct hd_net_job *newest = atomic_exchange_explicit(&net->inbox, NULL, memory_order_acquire);
	struct hd_net_job *oldest = NULL;
	while (newest) {
		struct hd_net_job *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	bool any = oldest != NULL;
	while (oldest) {
		struct hd_net_job *next = oldest->next;
		oldest->run(oldest);
		oldest = next;
	}
	return any;
}

struct call {
	struct hd_net_job job;
	void (*fn)(void *arg);
	void *arg;
	pthread_mutex_t lock; /* guards: done */
	pthread_cond_t cond;
	bool done;
};

static void call_run(struct hd_net_job *job)
{
	struct call *call = (struct call *)(void *)job;
	call->fn(call->arg);
	pthread_mutex_lock(&call->lock);
	call->done = true;
	pthread_cond_signal(&call->cond);
	pthread_mutex_unlock(&call->lock);
}

void hd_net_call(struct hd_net *net, void (*fn)(void *arg), void *arg)
{
	if (on_io(net)) {
		fn(arg);
		return;
	}
	struct call call = {.job.run = call_run, .fn = fn, .arg = arg};
	pthread_mutex_init(&call.lock, NULL);
	pthread_cond_init(&call.cond, NULL);
	hd_net_post(net, &call.job);
	pthread_mutex_lock(&call.lock);
	while (!call.done)
		pthread_cond_wait(&call.cond, &call.lock);
	pthread_mutex_unlock(&call.lock);
	pthread_cond_destroy(&call.cond);
	pthread_mutex_destroy(&call.lock);
}

/* ---- submitting from other threads ---- */

struct submission {
	struct hd_net_job job;
	struct hd_net *net;
	struct hd_net_request request;
	hd_net_done_fn done;
	void *arg;
	size_t size; /* of all of it */
	hydro_http_header headers[HD_NET_HEADERS_MAX];
	char texts[];
};

static void submission_run(struct hd_net_job *job)
{
	struct submission *s = (struct submission *)(void *)job;
	if (net_transfer_start(s->net, &s->request, s->done, s->arg, NULL) != HYDRO_OK) {
		struct hd_buf none = {0};
		struct hd_net_result result = {.failure = HD_NET_OTHER,
					       .body = &none,
					       .content_type = "",
					       .retry_after_ms = -1,
					       .received_ns = hd_clock_real_ns(),
					       .detail = "no memory for the request"};
		s->done(s->arg, &result);
	}
	sodium_memzero(s, s->size); /* a body or a header may be a secret */
	free(s);
}

static char *copy_text(char **at, const char *text, size_t len)
{
	char *copy = *at;
	memcpy(copy, text, len);
	copy[len] = '\0';
	*at += len + 1;
	return copy;
}

static int submit_copy(struct hd_net *net, const struct hd_net_request *r, hd_net_done_fn done, void *arg, struct hydro_error *err)
{
	size_t size = strlen(r->url) + r->body_len + 2;
	for (uint32_t i = 0; i < r->header_count; i++)
		size += strlen(net_header_at(r, i)->name) + strlen(net_header_at(r, i)->value) + 2;
	struct submission *s = malloc(sizeof *s + size);
	if (!s)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a request");
	s->job.run = submission_run;
	s->size = sizeof *s + size;
	s->net = net;
	s->request = *r;
	s->done = done;
	s->arg = arg;
	char *at = s->texts;
	s->request.url = copy_text(&at, r->url, strlen(r->url));
	if (r->body)
		s->request.body = copy_text(&at, r->body, r->body_len);
	for (uint32_t i = 0; i < r->header_count; i++) {
		const hydro_http_header *from = net_header_at(r, i);
		s->headers[i] = (hydro_http_header){copy_text(&at, from->name, strlen(from->name)), copy_text(&at, from->value, strlen(from->value)),
						    from->flags, 0};
	}
	s->request.headers = s->headers;
	s->request.header_stride = sizeof s->headers[0];
	hd_net_post(net, &s->job);
	return HYDRO_OK;
}

int hd_net_submit(struct hd_net *net, const struct hd_net_request *request, hd_net_done_fn done, void *arg, struct hydro_error *err)
{
	int rc = net_request_check(request, err);
	if (rc != HYDRO_OK)
		return rc;
	if (atomic_load_explicit(&net->stopping, memory_order_acquire))
		return hd_error_set(err, HYDRO_E_CANCELLED, "the HTTP client is stopping");
	return on_io(net) ? net_transfer_start(net, request, done, arg, err) : submit_copy(net, request, done, arg, err);
}

void hd_net_cancel(struct hd_net *net, const void *owner)
{
	for (struct net_transfer *t = net->live; t;) {
		struct net_transfer *next = t->next;
		if (t->owner == owner)
			net_transfer_cancel(net, t);
		t = next;
	}
}

bool hd_net_is_manual(const struct hd_net *net)
{
	return net->config.manual;
}

uint32_t hd_net_in_flight(const struct hd_net *net)
{
	return net->live_count;
}

/* ---- the loop ---- */

static int64_t ticks_run(struct hd_net *net)
{
	int64_t wait_ns = HD_NET_NEVER;
	for (uint32_t i = 0; i < net->tick_count; i++) {
		int64_t wanted = net->ticks[i].fn(net->ticks[i].arg);
		wait_ns = HD_MIN(wait_ns, wanted);
	}
	return wait_ns;
}

static int wait_ms(const struct hd_net *net, int64_t tick_ns, int limit_ms)
{
	int64_t ns = tick_ns;
	if (net->curl_due_ns != HD_NET_NEVER)
		ns = HD_MIN(ns, HD_MAX(net->curl_due_ns - hd_clock_real_ns(), 0));
	if (ns == HD_NET_NEVER)
		return limit_ms;
	int64_t ms = HD_MIN((ns + HD_NS_PER_MS - 1) / HD_NS_PER_MS, INT64_C(60000));
	return limit_ms >= 0 ? (int)HD_MIN(ms, (int64_t)limit_ms) : (int)HD_MAX(ms, 0);
}

static void events_run(struct hd_net *net, const struct epoll_event *events, int count)
{
	int running;
	for (int i = 0; i < count; i++) {
		if (events[i].data.fd == net->event_fd) {
			uint64_t drained;
			ssize_t n = read(net->event_fd, &drained, sizeof drained);
			(void)n;
			continue;
		}
		int what = 0;
		if (events[i].events & EPOLLIN)
			what |= CURL_CSELECT_IN;
		if (events[i].events & EPOLLOUT)
			what |= CURL_CSELECT_OUT;
		if (events[i].events & (EPOLLERR | EPOLLHUP))
			what |= CURL_CSELECT_ERR;
		(void)curl_multi_socket_action(net->multi, events[i].data.fd, what, &running);
	}
	if (net->curl_due_ns <= hd_clock_real_ns()) {
		net->curl_due_ns = HD_NET_NEVER;
		(void)curl_multi_socket_action(net->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
}

static void run_round(struct hd_net *net, int limit_ms)
{
	jobs_run(net);
	int64_t tick_ns = ticks_run(net);
	struct epoll_event events[EVENTS_PER_ROUND];
	int count = epoll_wait(net->epoll_fd, events, EVENTS_PER_ROUND, wait_ms(net, tick_ns, limit_ms));
	events_run(net, events, HD_MAX(count, 0));
	net_transfers_reap(net);
}

void hd_net_run_once(struct hd_net *net, int timeout_ms)
{
	HD_ASSERT(!net->threaded);
	run_round(net, timeout_ms);
}

static void *io_main(void *arg)
{
	struct hd_net *net = arg;
	io_of = net;
	while (!atomic_load_explicit(&net->stopping, memory_order_acquire))
		run_round(net, -1);
	return NULL;
}

struct tick_change {
	struct hd_net *net;
	struct net_tick tick;
	int rc;
};

static void tick_add_io(void *arg)
{
	struct tick_change *change = arg;
	if (change->net->tick_count == HD_NET_TICKS_MAX) {
		change->rc = HYDRO_E_LIMIT;
		return;
	}
	change->net->ticks[change->net->tick_count++] = change->tick;
}

int hd_net_tick_add(struct hd_net *net, int64_t (*fn)(void *arg), void *arg, struct hydro_error *err)
{
	struct tick_change change = {net, {fn, arg}, HYDRO_OK};
	hd_net_call(net, tick_add_io, &change);
	if (change.rc != HYDRO_OK)
		return hd_error_set(err, change.rc, "more than %u ticks on the io thread", HD_NET_TICKS_MAX);
	return HYDRO_OK;
}

static void tick_remove_io(void *arg)
{
	struct tick_change *change = arg;
	struct hd_net *net = change->net;
	for (uint32_t i = 0; i < net->tick_count; i++)
		if (net->ticks[i].fn == change->tick.fn && net->ticks[i].arg == change->tick.arg)
			net->ticks[i--] = net->ticks[--net->tick_count];
}

void hd_net_tick_remove(struct hd_net *net, int64_t (*fn)(void *arg), void *arg)
{
	struct tick_change change = {net, {fn, arg}, HYDRO_OK};
	hd_net_call(net, tick_remove_io, &change);
}

/* ---- life ---- */

static char *copy_or_null(const char *text)
{
	return text ? strdup(text) : NULL;
}

static int multi_init(struct hd_net *net, struct hydro_error *err)
{
	net->multi = curl_multi_init();
	if (!net->multi)
		return hd_error_set(err, HYDRO_E_NOMEM, "curl_multi_init failed");
	curl_multi_setopt(net->multi, CURLMOPT_SOCKETFUNCTION, socket_changed);
	curl_multi_setopt(net->multi, CURLMOPT_SOCKETDATA, net);
	curl_multi_setopt(net->multi, CURLMOPT_TIMERFUNCTION, timer_changed);
	curl_multi_setopt(net->multi, CURLMOPT_TIMERDATA, net);
	curl_multi_setopt(net->multi, CURLMOPT_MAXCONNECTS, (long)net->config.connections_max);
	curl_multi_setopt(net->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)net->config.connections_max);
	curl_multi_setopt(net->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)net->config.connections_per_host);
	curl_multi_setopt(net->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	net->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	net->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = net->event_fd};
	if (net->epoll_fd < 0 || net->event_fd < 0 || epoll_ctl(net->epoll_fd, EPOLL_CTL_ADD, net->event_fd, &event) < 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "the io loop has no descriptors");
	return HYDRO_OK;
}

int hd_net_open(const struct hd_net_config *config, struct hd_net **ret, struct hydro_error *err)
{
	pthread_once(&global_once, global_init);
	struct hd_net *net = calloc(1, sizeof *net);
	if (!net)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the HTTP client");
	net->magic = NET_MAGIC;
	net->config = *config;
	net->epoll_fd = net->event_fd = -1;
	net->curl_due_ns = HD_NET_NEVER;
	struct hd_net_config *c = &net->config;
	c->connections_max = c->connections_max ? c->connections_max : HD_NET_CONNECTIONS;
	c->connect_timeout_ms = c->connect_timeout_ms ? c->connect_timeout_ms : HD_NET_CONNECT_TIMEOUT_MS;
	c->timeout_ms = c->timeout_ms ? c->timeout_ms : HD_NET_TIMEOUT_MS;
	c->body_max_bytes = c->body_max_bytes ? c->body_max_bytes : HD_NET_BODY_BYTES_MAX;
	net->ca_file = copy_or_null(config->ca_file);
	net->proxy = strdup(config->proxy ? config->proxy : "");
	net->user_agent = strdup(config->user_agent ? config->user_agent : "hydrod");
	int rc = HYDRO_OK;
	if (!net->proxy || !net->user_agent || (config->ca_file && !net->ca_file))
		rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory for the HTTP client");
	if (rc == HYDRO_OK)
		rc = multi_init(net, err);
	if (rc == HYDRO_OK && !config->manual) {
		/* Set first: the thread reads it. */
		net->threaded = true;
		rc = hd_thread_start(&net->thread, HD_ROLE_IO, "hd-io", io_main, net, err);
		net->threaded = rc == HYDRO_OK;
	}
	if (rc != HYDRO_OK)
		hd_net_close(&net);
	else
		*ret = net;
	return rc;
}

void hd_net_close(struct hd_net **pointer)
{
	struct hd_net *net = HD_STEAL(*pointer);
	if (!net)
		return;
	atomic_store_explicit(&net->stopping, true, memory_order_release);
	if (net->threaded) {
		hd_net_wake(net);
		pthread_join(net->thread, NULL);
		net->threaded = false;
	}
	/* The rest of the io thread's work is done here: its callbacks see the thread as the io thread. */
	do {
		while (net->live)
			net_transfer_cancel(net, net->live);
	} while (jobs_run(net) || net->live);
	net_transfers_free(net);
	if (net->multi)
		curl_multi_cleanup(net->multi);
	hd_cleanup_fd(&net->epoll_fd);
	hd_cleanup_fd(&net->event_fd);
	free(net->ca_file);
	free(net->proxy);
	free(net->user_agent);
	free(net);
}
