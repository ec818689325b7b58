/* SPDX-License-Identifier: MIT */
/* Inside of the http folder: the server's shape and one request's life. */
#ifndef HD_HTTP_EXCHANGE_H
#define HD_HTTP_EXCHANGE_H

#include "base/queue.h"
#include "http/listener.h"
#include "http/receive.h"
#include "http/stream.h"

#include <stdio.h>

#define HD_HTTP_MAGIC 0x50545448u
#define HD_EXCHANGE_MAGIC 0x48435845u

/* Idempotency keys of requests under way. */
struct hd_http_inflight {
	pthread_mutex_t lock; /* guards: first */
	struct hd_exchange *first;
};

struct hd_http {
	uint32_t magic;
	struct hd_http_config config; /* texts copied */
	char *address, *spool_dir;
	struct MHD_Daemon *daemon;
	struct hd_queue *queue; /* of struct hd_exchange */
	pthread_t *workers;
	uint32_t worker_count;
	pthread_t ticker;
	bool has_ticker;
	struct hd_stream_list streams;
	struct hd_receive_list receiving;
	struct hd_http_inflight inflight;
	pthread_mutex_t lock; /* guards: idle, stopping */
	pthread_cond_t idle;  /* under_way fell to 0, or stopping was set */
	bool stopping;
	uint32_t under_way; /* atomic: exchanges */
	uint32_t draining;  /* atomic */
	uint64_t by_class[6]; /* atomic */
	struct hd_listener listener;
	uint16_t port;
};

struct hd_exchange {
	uint32_t magic;
	uint32_t state;
	struct hd_http *http;
	struct MHD_Connection *connection;
	char *target;
	int64_t started_ns;
	struct hd_http_request req;
	struct hd_http_response resp;
	struct hydro_error err;
	uint32_t failed_status; /* > 0: the answer is the problem in err */
	uint32_t allowed;       /* methods, for 405 and OPTIONS */
	struct hd_buf body;
	int spool_fd;
	size_t spooled, discarded;
	void *map;
	struct hd_exchange *next_inflight;
	struct hd_uri uri;
};

/* A new exchange for a request line; NULL without memory. [http] */
struct hd_exchange *hd_exchange_new(struct hd_http *http, const char *target, struct MHD_Connection *connection);
void hd_exchange_free(struct hd_exchange *x);
/* The access handler of libmicrohttpd. [http] */
enum MHD_Result hd_exchange_access(struct hd_exchange *x, const char *method, const char *upload, size_t *upload_len);
/* Runs the handler, with idempotency around it; fills x->resp or x->err. [http or http worker] */
void hd_exchange_run(struct hd_exchange *x);
/* Marks as failed with the error in x->err; status 0: that of the code. */
void hd_exchange_fail(struct hd_exchange *x, uint32_t status);

/* Takes a piece of the body; false after marking the exchange failed. [http] */
bool hd_body_take(struct hd_exchange *x, const char *data, size_t len);
/* Gives the whole body as req.body; false after marking the exchange failed. [http] */
bool hd_body_finish(struct hd_exchange *x);
void hd_body_done(struct hd_exchange *x);

/* The checks before the body: target, route, credentials, role, parameters, size and type of body. [http] */
void hd_gate_check(struct hd_exchange *x, const char *method);

#endif
