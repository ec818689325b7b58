/* SPDX-License-Identifier: MIT */
/* What client.c and transfer.c share; nobody else includes it. */
#ifndef HD_NET_IMPL_H
#define HD_NET_IMPL_H

#include "net/client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#define NET_MAGIC 0x4e455431u
#define NET_KEPT_BUFFER_BYTES 65536u /* a larger answer's buffer is not kept for the next one */

struct net_transfer {
	CURL *easy;
	struct curl_slist *headers; /* one block: the list and its texts */
	size_t headers_bytes;
	struct hd_buf body;
	uint64_t body_max;
	bool too_large;
	bool with_body; /* the handle is set to POST or PUT */
	hd_net_done_fn done;
	void *arg;
	const void *owner;
	bool (*before_write)(void *arg);
	bool refused; /* by before_write */
	struct net_transfer *prev, *next; /* live list, or free list by next */
	char detail[CURL_ERROR_SIZE];
};

struct net_tick {
	int64_t (*fn)(void *arg);
	void *arg;
};

struct hd_net {
	uint32_t magic;
	struct hd_net_config config;
	char *ca_file, *proxy, *user_agent;
	CURLM *multi;
	int epoll_fd, event_fd;
	pthread_t thread;
	bool threaded;
	atomic_bool stopping;
	_Atomic(struct hd_net_job *) inbox; /* newest first */
	/* io thread only */
	int64_t curl_due_ns; /* hd_clock_real_ns; HD_NET_NEVER: no timer */
	struct net_tick ticks[HD_NET_TICKS_MAX];
	uint32_t tick_count;
	struct net_transfer *live, *idle;
	uint32_t live_count;
};

static inline const hydro_http_header *net_header_at(const struct hd_net_request *r, uint32_t i)
{
	size_t stride = r->header_stride ? r->header_stride : sizeof(hydro_http_header);
	return (const hydro_http_header *)(const void *)((const char *)r->headers + i * stride);
}

/* libcurl, with memory that is wiped when given back. Before anything else of libcurl. [any, once] */
CURLcode net_memory_init(void);
/* [io] */
int net_transfer_start(struct hd_net *net, const struct hd_net_request *request, hd_net_done_fn done, void *arg,
		       struct hydro_error *err);
/* [io] Takes what libcurl has finished and calls the done functions. */
void net_transfers_reap(struct hd_net *net);
/* [io] Ends one as CANCELLED. */
void net_transfer_cancel(struct hd_net *net, struct net_transfer *transfer);
void net_transfers_free(struct hd_net *net);
/* [any] The checks of hd_net_submit. */
int net_request_check(const struct hd_net_request *request, struct hydro_error *err);

#endif
