/* SPDX-License-Identifier: MIT */
/*
 * The HTTP client that collect and deliver share: one I/O thread over libcurl multi. Everything asynchronous of its users
 * runs on that thread too, by jobs (hd_net_post) and ticks (hd_net_tick_add), so their state needs no locks.
 *
 * HTTP/1.1 with kept connections; certificates are always verified; redirects are never followed; only http and https.
 * Time-outs are real time, also under a simulated clock. Nothing here is logged: a URL or a header may be a secret.
 */
#ifndef HD_NET_CLIENT_H
#define HD_NET_CLIENT_H

#include "base/buf.h"
#include "base/error.h"

#define HD_NET_CONNECTIONS 1024u          /* kept open, over all hosts */
#define HD_NET_CONNECT_TIMEOUT_MS 10000u
#define HD_NET_TIMEOUT_MS 30000u
#define HD_NET_BODY_BYTES_MAX (8u << 20)  /* of one answer */
#define HD_NET_URL_BYTES_MAX 8192u
#define HD_NET_HEADERS_MAX 64u
#define HD_NET_TICKS_MAX 4u
#define HD_NET_NEVER INT64_MAX

struct hd_net;

struct hd_net_config {
	uint32_t connections_max;      /* 0: HD_NET_CONNECTIONS */
	uint32_t connections_per_host; /* 0: no cap but connections_max; more requests than that wait inside libcurl */
	uint32_t connect_timeout_ms;   /* 0: HD_NET_CONNECT_TIMEOUT_MS */
	uint32_t timeout_ms;           /* whole request; 0: HD_NET_TIMEOUT_MS */
	uint64_t body_max_bytes;       /* 0: HD_NET_BODY_BYTES_MAX */
	const char *ca_file;           /* NULL: the system's */
	const char *proxy;             /* NULL: none; the environment's is never taken */
	const char *user_agent;        /* NULL: "hydrod" */
	bool manual;                   /* no thread: the caller is the io thread and calls hd_net_run_once (tests, benches) */
};

/* How a request ended without a whole answer. X(NAME, text) */
#define HD_NET_FAILURES(X) \
	X(NONE, "none") \
	X(DNS, "name not found") \
	X(CONNECT, "connection refused") \
	X(TLS, "TLS failed") \
	X(TIMEOUT, "time-out") \
	X(CUT, "connection cut") \
	X(TOO_LARGE, "answer too large") \
	X(PROTOCOL, "not HTTP") \
	X(INVALID, "request not valid") \
	X(CANCELLED, "cancelled") \
	X(OTHER, "failed")
#define HD_NET_FAILURE_CONSTANT(NAME, text) HD_NET_##NAME,
enum hd_net_failure { HD_NET_FAILURES(HD_NET_FAILURE_CONSTANT) HD_NET_FAILURE_COUNT };
#undef HD_NET_FAILURE_CONSTANT

/* The words of a failure; static. [any] */
const char *hd_net_failure_text(uint32_t failure);

/* A new connection for this request alone: libcurl never repeats it by itself after a kept one turned out dead. */
#define HD_NET_FRESH 1u

struct hd_net_request {
	uint32_t method; /* HYDRO_HTTP_* */
	uint32_t flags;  /* HD_NET_* flags */
	const char *url;
	const hydro_http_header *headers; /* names and values with control characters are refused */
	uint32_t header_count;
	uint32_t header_stride; /* 0: sizeof(hydro_http_header) */
	const char *body;
	uint64_t body_len;
	uint32_t timeout_ms;      /* 0: the client's */
	uint64_t body_max_bytes;  /* of the answer; 0: the client's */
	const void *owner;        /* for hd_net_cancel */
	/* Asked once the connection stands (TLS too), just before the first byte is written; false ends the request as CANCELLED
	 * with nothing sent. Gets the `arg` of done. NULL: not asked. [io] */
	bool (*before_write)(void *arg);
};

struct hd_net_result {
	uint32_t status;    /* HTTP status, 0 when there is no whole answer */
	uint32_t failure;   /* HD_NET_NONE when there is one */
	bool sent;          /* bytes of the request left this machine: it may have been acted on */
	struct hd_buf *body; /* may be taken: swap an empty buffer in */
	const char *content_type; /* "" if absent */
	int64_t retry_after_ms;   /* -1 if absent */
	int64_t received_ns;      /* hd_clock_real_ns */
	const char *detail;       /* libcurl's words on a failure: names host and port, never path, query or headers */
};

/* [io] Exactly once per accepted request. The result is valid during the call. */
typedef void (*hd_net_done_fn)(void *arg, struct hd_net_result *result);

/* A piece of work for the io thread, embedded in what it works on. */
struct hd_net_job {
	struct hd_net_job *next;
	void (*run)(struct hd_net_job *job); /* [io] may free the job */
};

/* Starts the thread unless config->manual. HYDRO_E_IO without descriptors, HYDRO_E_NOMEM. [control] */
int hd_net_open(const struct hd_net_config *config, struct hd_net **ret, struct hydro_error *err);
/* Ends all requests as CANCELLED, runs the jobs left, joins the thread. NULL is fine. [control] */
void hd_net_close(struct hd_net **net);
/* Runs `fn` once per round of the loop; it returns the real ns until it wants to run again, or HD_NET_NEVER. Never blocks.
 * Before the first request, or on the io thread. HYDRO_E_LIMIT above HD_NET_TICKS_MAX. */
int hd_net_tick_add(struct hd_net *net, int64_t (*fn)(void *arg), void *arg, struct hydro_error *err);
/* After it has returned the tick is not called any more. [not io] */
void hd_net_tick_remove(struct hd_net *net, int64_t (*fn)(void *arg), void *arg);
/* Queues a job; jobs of one thread run in their order. Never fails, never blocks. [any] */
void hd_net_post(struct hd_net *net, struct hd_net_job *job);
/* Runs fn(arg) on the io thread and waits for it; straight away when called there. [any but callbacks of others' locks] */
void hd_net_call(struct hd_net *net, void (*fn)(void *arg), void *arg);
/* Wakes the loop so that the ticks run. [any] */
void hd_net_wake(struct hd_net *net);
/*
 * Starts a request; what it points to is copied, and the copies are wiped at its end. HYDRO_E_INVALID for a bad URL, method or header, HYDRO_E_LIMIT above the
 * named limits, HYDRO_E_NOMEM; then `done` is not called. [any]
 */
int hd_net_submit(struct hd_net *net, const struct hd_net_request *request, hd_net_done_fn done, void *arg,
		  struct hydro_error *err);
/* Ends the owner's requests as CANCELLED (their done functions run within). [io] */
void hd_net_cancel(struct hd_net *net, const void *owner);
/* One round of a manual client: waits up to timeout_ms for something to do. */
void hd_net_run_once(struct hd_net *net, int timeout_ms);
bool hd_net_is_manual(const struct hd_net *net);
/* Requests under way. [io] */
uint32_t hd_net_in_flight(const struct hd_net *net);

#endif
