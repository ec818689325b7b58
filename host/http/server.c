/* SPDX-License-Identifier: MIT */
/* The server as a whole: the daemon of libmicrohttpd, its workers, the ticker, drain and stop. */
#include "http/exchange.h"

#include "base/clock.h"
#include "base/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECTION_MEMORY_BYTES (32u << 10)
#define STOP_DRAIN_MS 1000u
#define RECEIVE_MS 60000

static void *on_uri(void *arg, const char *uri, struct MHD_Connection *connection)
{
	struct hd_http *http = HD_CAST(struct hd_http, HD_HTTP_MAGIC, arg);
	struct hd_exchange *x = hd_exchange_new(http, uri, connection);
	hd_receive_begin(&http->receiving, connection);
	if (x)
		__atomic_add_fetch(&http->under_way, 1, __ATOMIC_RELAXED);
	return x;
}

static enum MHD_Result on_access(void *arg, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
				 const char *upload, size_t *upload_len, void **context)
{
	(void)arg, (void)connection, (void)url, (void)version;
	return *context ? hd_exchange_access(HD_CAST(struct hd_exchange, HD_EXCHANGE_MAGIC, *context), method, upload, upload_len) : MHD_NO;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode why)
{
	struct hd_http *http = HD_CAST(struct hd_http, HD_HTTP_MAGIC, arg);
	(void)why;
	hd_receive_begin(&http->receiving, connection); /* the next one */
	if (!*context)
		return;
	hd_exchange_free(HD_CAST(struct hd_exchange, HD_EXCHANGE_MAGIC, *context));
	*context = NULL;
	if (__atomic_sub_fetch(&http->under_way, 1, __ATOMIC_ACQ_REL) == 0 && __atomic_load_n(&http->draining, __ATOMIC_ACQUIRE)) {
		(void)pthread_mutex_lock(&http->lock);
		(void)pthread_cond_broadcast(&http->idle);
		(void)pthread_mutex_unlock(&http->lock);
	}
}

/* Targets stay as they came: http/uri.c decodes them. */
static size_t keep_escaped(void *arg, struct MHD_Connection *connection, char *text)
{
	(void)arg, (void)connection;
	return strlen(text);
}

static void *work(void *arg)
{
	struct hd_http *http = HD_CAST(struct hd_http, HD_HTTP_MAGIC, arg);
	void *item;
	while (hd_queue_pop(http->queue, &item, 1, -1) == 1) {
		struct hd_exchange *x = HD_CAST(struct hd_exchange, HD_EXCHANGE_MAGIC, item);
		struct MHD_Connection *connection = x->connection;
		hd_exchange_run(x);
		MHD_resume_connection(connection);
	}
	return NULL;
}

static void deadline_in(uint32_t ms, struct timespec *ret)
{
	(void)clock_gettime(CLOCK_MONOTONIC, ret);
	ret->tv_sec += ms / 1000;
	ret->tv_nsec += (long)(ms % 1000) * 1000000L;
	if (ret->tv_nsec >= 1000000000L) {
		ret->tv_sec++;
		ret->tv_nsec -= 1000000000L;
	}
}

static void *tick(void *arg)
{
	struct hd_http *http = HD_CAST(struct hd_http, HD_HTTP_MAGIC, arg);
	(void)pthread_mutex_lock(&http->lock);
	while (!http->stopping) {
		struct timespec until;
		deadline_in(http->config.heartbeat_ms, &until);
		int rc = 0;
		while (!http->stopping && rc != ETIMEDOUT)
			rc = pthread_cond_timedwait(&http->idle, &http->lock, &until);
		if (http->stopping)
			break;
		(void)pthread_mutex_unlock(&http->lock);
		hd_stream_list_heartbeat(&http->streams);
		hd_receive_list_check(&http->receiving, hd_clock_real_ns());
		(void)pthread_mutex_lock(&http->lock);
	}
	(void)pthread_mutex_unlock(&http->lock);
	return NULL;
}

static int listen_on(struct hd_http *http, struct hydro_error *err)
{
	int rc = hd_listener_bind(&http->listener, http->address, http->config.port, &http->port, err);
	if (rc != HYDRO_OK)
		return rc;
	errno = 0;
	http->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, http->port, NULL, NULL,
					on_access, http, MHD_OPTION_LISTEN_SOCKET, http->listener.fd, MHD_OPTION_THREAD_POOL_SIZE, http->config.threads,
					MHD_OPTION_CONNECTION_LIMIT, http->config.connections, MHD_OPTION_CONNECTION_TIMEOUT, http->config.timeout_s,
					MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_URI_LOG_CALLBACK, on_uri, http,
					MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_NOTIFY_CONNECTION, hd_receive_notify,
					&http->receiving, MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, NULL, MHD_OPTION_END);
	if (!http->daemon)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot start the http server of %s port %u", http->address, http->port);
	return HYDRO_OK;
}

static int start_threads(struct hd_http *http, struct hydro_error *err)
{
	int rc = hd_queue_new(http->config.queue, &http->queue);
	http->workers = calloc(http->config.workers, sizeof *http->workers);
	if (rc != HYDRO_OK || !http->workers)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for http workers");
	for (; http->worker_count < http->config.workers; http->worker_count++)
		if ((rc = hd_thread_start(&http->workers[http->worker_count], HD_ROLE_HTTP, "http-worker", work, http, err)) != HYDRO_OK)
			return rc;
	if ((rc = hd_thread_start(&http->ticker, HD_ROLE_HTTP, "http-tick", tick, http, err)) == HYDRO_OK)
		http->has_ticker = true;
	return rc;
}

static struct hd_http *new_http(const struct hd_http_config *config)
{
	struct hd_http *http = calloc(1, sizeof *http);
	if (!http)
		return NULL;
	pthread_condattr_t monotonic;
	http->magic = HD_HTTP_MAGIC;
	hd_listener_init(&http->listener);
	http->config = *config;
	http->address = strdup(config->address ? config->address : "127.0.0.1");
	http->spool_dir = strdup(config->spool_dir ? config->spool_dir : "/tmp");
	http->config.threads = config->threads ? config->threads : 2;
	http->config.workers = config->workers ? config->workers : 64;
	http->config.queue = config->queue ? config->queue : 1024;
	http->config.connections = config->connections ? config->connections : 4096;
	http->config.timeout_s = config->timeout_s ? config->timeout_s : 60;
	http->config.heartbeat_ms = config->heartbeat_ms ? config->heartbeat_ms : 10000;
	hd_stream_list_init(&http->streams);
	hd_receive_list_init(&http->receiving, (config->receive_ms ? config->receive_ms : RECEIVE_MS) * HD_NS_PER_MS);
	(void)pthread_mutex_init(&http->inflight.lock, NULL);
	(void)pthread_mutex_init(&http->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&http->idle, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	return http;
}

int hd_http_start(const struct hd_http_config *config, struct hd_http **ret, struct hydro_error *err)
{
	struct hd_http *http = new_http(config);
	if (!http)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the http server");
	int rc = http->address && http->spool_dir ? start_threads(http, err) : hd_error_set(err, HYDRO_E_NOMEM, "no memory for the http server");
	if (rc == HYDRO_OK)
		rc = listen_on(http, err);
	if (rc != HYDRO_OK) {
		hd_http_stop(&http);
		return rc;
	}
	*ret = http;
	return HYDRO_OK;
}

uint16_t hd_http_port(const struct hd_http *http)
{
	return http->port;
}

bool hd_http_drain(struct hd_http *http, uint32_t timeout_ms)
{
	struct timespec until;
	deadline_in(timeout_ms, &until);
	__atomic_store_n(&http->draining, 1, __ATOMIC_SEQ_CST);
	hd_listener_stop(&http->listener);
	hd_stream_list_end(&http->streams);
	(void)pthread_mutex_lock(&http->lock);
	int rc = 0;
	while (__atomic_load_n(&http->under_way, __ATOMIC_ACQUIRE) > 0 && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&http->idle, &http->lock, &until);
	(void)pthread_mutex_unlock(&http->lock);
	return __atomic_load_n(&http->under_way, __ATOMIC_ACQUIRE) == 0;
}

void hd_http_stop(struct hd_http **http_ptr)
{
	struct hd_http *http = *http_ptr;
	if (!http)
		return;
	if (http->daemon)
		(void)hd_http_drain(http, STOP_DRAIN_MS);
	(void)pthread_mutex_lock(&http->lock);
	http->stopping = true;
	(void)pthread_cond_broadcast(&http->idle);
	(void)pthread_mutex_unlock(&http->lock);
	/* Workers first: they finish what is queued, so that no connection stays suspended. */
	if (http->queue)
		hd_queue_close(http->queue);
	for (uint32_t i = 0; i < http->worker_count; i++)
		(void)pthread_join(http->workers[i], NULL);
	if (http->has_ticker)
		(void)pthread_join(http->ticker, NULL);
	if (http->daemon)
		MHD_stop_daemon(http->daemon); /* closes the socket that it was given */
	else
		hd_listener_done(&http->listener); /* unless the library has */
	hd_stream_list_done(&http->streams);
	hd_receive_list_done(&http->receiving);
	hd_queue_free(&http->queue);
	free(http->workers);
	free(http->address);
	free(http->spool_dir);
	(void)pthread_mutex_destroy(&http->inflight.lock);
	(void)pthread_mutex_destroy(&http->lock);
	(void)pthread_cond_destroy(&http->idle);
	http->magic = 0;
	free(http);
	*http_ptr = NULL;
}

void hd_http_stats(struct hd_http *http, struct hd_http_stats *ret)
{
	*ret = (struct hd_http_stats){.waiting = (uint32_t)hd_queue_count(http->queue)};
	for (uint32_t i = 0; i < HD_ARRAY_LEN(http->by_class); i++) {
		ret->by_class[i] = __atomic_load_n(&http->by_class[i], __ATOMIC_RELAXED);
		ret->requests += ret->by_class[i];
	}
	ret->streams_cut = __atomic_load_n(&http->streams.cut, __ATOMIC_RELAXED);
	(void)pthread_mutex_lock(&http->receiving.lock);
	ret->slow_cut = http->receiving.cut;
	(void)pthread_mutex_unlock(&http->receiving.lock);
	(void)pthread_mutex_lock(&http->streams.lock);
	ret->streams = http->streams.count;
	(void)pthread_mutex_unlock(&http->streams.lock);
}
