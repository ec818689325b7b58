/* SPDX-License-Identifier: MIT */
/*
 * The HTTP server: a thin layer over libmicrohttpd (epoll, a few event threads). It takes requests apart strictly, finds the
 * row of the route table, checks who asks and what is given, and runs the handler: rows with HD_ROUTE_INLINE on the event
 * thread, all others on http workers, so that a commit or a query holds up nobody else's request.
 */
#ifndef HD_HTTP_HTTP_H
#define HD_HTTP_HTTP_H

#include "base/buf.h"
#include "http/route.h"

#define HD_HTTP_BODY_MEMORY_BYTES (256u << 10) /* a larger body is spooled to a file without name */
#define HD_HTTP_HEADER_BYTES_MAX 1024u         /* of a header that is looked at */
#define HD_HTTP_ETAG_BYTES 32u
#define HD_HTTP_FINGERPRINT_BYTES 32u
#define HD_HTTP_IDEMPOTENCY_KEY_BYTES 128u

struct hd_http;
struct hd_http_stream;

/* What a handler sees; valid until it returns. */
struct hd_http_request {
	const struct hd_http_route *route;
	struct hd_http_value values[HD_ROUTE_PARAMS_MAX]; /* by row of route->params */
	struct hd_principal principal;
	const char *body; /* not ended by NUL */
	size_t body_len;
	const char *if_match, *if_none_match, *accept; /* NULL if absent */
	const char *idempotency_key;                   /* NULL if absent */
	uint8_t fingerprint[HD_HTTP_FINGERPRINT_BYTES]; /* of method, target and body; set with idempotency_key */
	bool head;
};

/* What a handler fills. All zero is an empty 200 (or the row's answer_status). */
struct hd_http_response {
	uint32_t status;
	const char *content_type; /* static text; NULL: the row's answer_type */
	struct hd_buf body;
	struct hd_buf problems;   /* members of a problem's "errors" array, comma-separated JSON objects */
	char etag[HD_HTTP_ETAG_BYTES];
	char location[128];
	char next[64]; /* cursor of the next page, as X-Next-Cursor, for answers that are not JSON */
	uint32_t retry_after_s;
	bool kept; /* the handler has kept the answer under the Idempotency-Key itself */
	struct hd_http_stream *stream; /* answers with this event stream instead of the body; owned by the server from here */
};

/* Borrowed; never NULL for a name in the row: asking for another is our bug. [any] */
const struct hd_http_value *hd_http_param(const struct hd_http_request *req, const char *name);
/* Sets the ETag of a version. */
void hd_http_set_version(struct hd_http_response *resp, uint64_t version);
/* HYDRO_OK without If-Match, with "*" or when a tag is that of the version; else HYDRO_E_STALE. HYDRO_E_INVALID: weak or no tag. */
int hd_http_check_version(const struct hd_http_request *req, uint64_t version, struct hydro_error *err);
/* Adds a row to the problem's errors: what (field, "line 7"), and why. */
void hd_http_problem_add(struct hd_http_response *resp, const char *what, const char *why);
/* Writes the problem document (RFC 9457) of an error. */
void hd_http_problem_write(struct hd_buf *ret, const struct hydro_error *err, uint32_t status, const char *instance, const struct hd_buf *problems);

/*
 * A stream of server-sent events. Who sends never waits: a client that lets more than `limit` bytes pile up is cut off.
 * Holders take references; the server has its own.
 */
struct hd_http_stream *hd_http_stream_new(size_t limit);
struct hd_http_stream *hd_http_stream_ref(struct hd_http_stream *stream);
void hd_http_stream_unref(struct hd_http_stream *stream);
/* false once the client is gone or cut off. [any] */
bool hd_http_stream_send(struct hd_http_stream *stream, const void *data, size_t len);
bool hd_http_stream_alive(struct hd_http_stream *stream);

/* What came with a request to say who asks. */
struct hd_http_credentials {
	const char *authorization; /* value of Authorization, NULL if absent */
	const char *api_key;       /* value of X-API-Key, NULL if absent */
};

struct hd_http_hooks {
	void *arg;
	/* Who asks: HYDRO_OK with *ret, HYDRO_E_UNAUTHORIZED. Must not block. [http] */
	int (*authenticate)(void *arg, const struct hd_http_credentials *credentials, struct hd_principal *ret, struct hydro_error *err);
	/* A kept answer for req->idempotency_key; HYDRO_E_CONFLICT when the key was used for something else. NULL: not kept. */
	int (*idempotency_find)(void *arg, const struct hd_http_request *req, struct hd_http_response *resp, bool *ret_found, struct hydro_error *err);
	int (*idempotency_keep)(void *arg, const struct hd_http_request *req, const struct hd_http_response *resp, struct hydro_error *err);
	/* After each answer; NULL: nobody listens. Must not block. */
	void (*observe)(void *arg, const struct hd_http_route *route, uint32_t status, int64_t took_ns);
};

struct hd_http_config {
	const char *address; /* numeric IPv4 or IPv6; NULL = 127.0.0.1 */
	uint16_t port;       /* 0 = any free one */
	uint32_t threads;    /* event threads; 0 = 2 */
	uint32_t workers;    /* http workers; 0 = 64. As many writes can share one commit */
	uint32_t queue;      /* requests that may wait for a worker; 0 = 1024; beyond: 503 */
	uint32_t connections; /* 0 = 4096 */
	uint32_t timeout_s;  /* a connection without progress for so long is closed; 0 = 60 */
	uint32_t receive_ms; /* a request that is not there as a whole by then ends its connection; each 16 kB of body give a second more; 0 = 60,000 */
	uint32_t heartbeat_ms; /* comment line on idle streams; 0 = 10,000 */
	const char *spool_dir; /* folder for large bodies; NULL = /tmp */
	const struct hd_http_route *routes; /* lives as long as the server */
	size_t route_count;
	void *arg; /* first argument of the handlers */
	struct hd_http_hooks hooks;
};

struct hd_http_stats {
	uint64_t requests, by_class[6]; /* [2] = 2xx … */
	uint64_t streams_cut, slow_cut; /* clients that did not read, or did not come to the end of their request */
	uint32_t waiting, streams;
};

/* Listens and serves. HYDRO_E_CONFIG for the address, HYDRO_E_IO when it cannot listen. [control] */
int hd_http_start(const struct hd_http_config *config, struct hd_http **ret, struct hydro_error *err);
uint16_t hd_http_port(const struct hd_http *http);
/* No new connections; ends streams, waits until no request is under way or timeout_ms (real time) has passed. true: all done. [control] */
bool hd_http_drain(struct hd_http *http, uint32_t timeout_ms);
/* Drains briefly and frees. [control] */
void hd_http_stop(struct hd_http **http);
void hd_http_stats(struct hd_http *http, struct hd_http_stats *ret);

#endif
