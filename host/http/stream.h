/* SPDX-License-Identifier: MIT */
/* Inside of the http folder: how the server binds event streams to connections. */
#ifndef HD_HTTP_STREAM_H
#define HD_HTTP_STREAM_H

#include "http/http.h"

#include <microhttpd.h>
#include <pthread.h>

/* The streams of one server. */
struct hd_stream_list {
	pthread_mutex_t lock; /* guards: first, count, cut, ended; taken before a stream's own lock */
	struct hd_http_stream *first;
	uint32_t count;
	uint64_t cut;
	bool ended;
};

void hd_stream_list_init(struct hd_stream_list *list);
void hd_stream_list_done(struct hd_stream_list *list);
/* Makes the response that plays the stream on the connection; takes over the caller's reference. NULL without memory. [http] */
struct MHD_Response *hd_stream_response(struct hd_stream_list *list, struct hd_http_stream *stream, struct MHD_Connection *connection);
/* A comment line to each stream, so that dead peers show. [any] */
void hd_stream_list_heartbeat(struct hd_stream_list *list);
/* Ends all streams, now and in future. [any] */
void hd_stream_list_end(struct hd_stream_list *list);

#endif
