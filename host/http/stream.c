/* SPDX-License-Identifier: MIT */
#include "http/stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define STREAM_MAGIC 0x4d525453u
#define BLOCK_BYTES 8192u

struct hd_http_stream {
	uint32_t magic;
	uint32_t refs; /* atomic */
	pthread_mutex_t lock; /* guards: all below */
	struct hd_buf pending;
	size_t sent; /* of pending */
	size_t limit;
	struct MHD_Connection *connection; /* NULL: not yet or no longer played */
	int fd;                            /* of the connection, -1 without */
	bool waiting; /* the connection is suspended until there is something */
	bool ended;   /* no more will come */
	bool cut;     /* the client was too slow or is gone */
	struct hd_stream_list *list;
	struct hd_http_stream *next, **link; /* guarded by list->lock */
};

struct hd_http_stream *hd_http_stream_new(size_t limit)
{
	struct hd_http_stream *stream = calloc(1, sizeof *stream);
	if (!stream)
		return NULL;
	stream->magic = STREAM_MAGIC;
	stream->refs = 1;
	stream->limit = limit;
	stream->fd = -1;
	(void)pthread_mutex_init(&stream->lock, NULL);
	return stream;
}

struct hd_http_stream *hd_http_stream_ref(struct hd_http_stream *stream)
{
	__atomic_add_fetch(&stream->refs, 1, __ATOMIC_RELAXED);
	return stream;
}

void hd_http_stream_unref(struct hd_http_stream *stream)
{
	if (!stream || __atomic_sub_fetch(&stream->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	hd_buf_done(&stream->pending);
	(void)pthread_mutex_destroy(&stream->lock);
	stream->magic = 0;
	free(stream);
}

/* Under the stream's lock. */
static void wake(struct hd_http_stream *stream)
{
	if (stream->waiting && stream->connection) {
		stream->waiting = false;
		MHD_resume_connection(stream->connection);
	}
}

/* Lets go of a client that does not keep up; its socket is shut so that its event thread notices at once. */
static void cut(struct hd_http_stream *stream)
{
	stream->cut = true;
	hd_buf_done(&stream->pending);
	stream->sent = 0;
	if (stream->fd >= 0)
		(void)shutdown(stream->fd, SHUT_RDWR);
	wake(stream);
}

bool hd_http_stream_send(struct hd_http_stream *stream, const void *data, size_t len)
{
	(void)pthread_mutex_lock(&stream->lock);
	bool ok = !stream->cut && !stream->ended;
	if (ok && stream->pending.len - stream->sent + len > stream->limit) {
		cut(stream);
		if (stream->connection) /* as long as it is set the list lives */
			__atomic_add_fetch(&stream->list->cut, 1, __ATOMIC_RELAXED);
		ok = false;
	}
	if (ok) {
		if (stream->sent && stream->sent == stream->pending.len) {
			hd_buf_clear(&stream->pending);
			stream->sent = 0;
		}
		ok = hd_buf_add(&stream->pending, data, len);
		if (!ok)
			cut(stream);
		wake(stream);
	}
	(void)pthread_mutex_unlock(&stream->lock);
	return ok;
}

bool hd_http_stream_alive(struct hd_http_stream *stream)
{
	(void)pthread_mutex_lock(&stream->lock);
	bool alive = !stream->cut && !stream->ended;
	(void)pthread_mutex_unlock(&stream->lock);
	return alive;
}

/* Asked by the event thread for the next bytes. */
static ssize_t read_stream(void *arg, uint64_t position, char *ret, size_t max)
{
	struct hd_http_stream *stream = HD_CAST(struct hd_http_stream, STREAM_MAGIC, arg);
	ssize_t n = 0;
	(void)position;
	(void)pthread_mutex_lock(&stream->lock);
	size_t have = stream->pending.len - stream->sent;
	if (stream->cut) {
		n = MHD_CONTENT_READER_END_WITH_ERROR;
	} else if (have > 0) {
		n = (ssize_t)HD_MIN(have, max);
		memcpy(ret, stream->pending.data + stream->sent, (size_t)n);
		stream->sent += (size_t)n;
	} else if (stream->ended) {
		n = MHD_CONTENT_READER_END_OF_STREAM;
	} else {
		stream->waiting = true;
		MHD_suspend_connection(stream->connection);
	}
	/* A slow client keeps `sent` behind for long: move the rest down before it grows on. */
	if (stream->sent > BLOCK_BYTES * 4 && n > 0) {
		memmove(stream->pending.data, stream->pending.data + stream->sent, stream->pending.len - stream->sent);
		stream->pending.len -= stream->sent;
		stream->sent = 0;
	}
	(void)pthread_mutex_unlock(&stream->lock);
	return n;
}

/* The connection is done with the response; called before its socket is closed. */
static void release_stream(void *arg)
{
	struct hd_http_stream *stream = HD_CAST(struct hd_http_stream, STREAM_MAGIC, arg);
	struct hd_stream_list *list = stream->list;
	(void)pthread_mutex_lock(&list->lock);
	*stream->link = stream->next;
	if (stream->next)
		stream->next->link = stream->link;
	list->count--;
	(void)pthread_mutex_lock(&stream->lock);
	stream->connection = NULL;
	stream->fd = -1;
	stream->waiting = false;
	stream->cut = true;
	(void)pthread_mutex_unlock(&stream->lock);
	(void)pthread_mutex_unlock(&list->lock);
	hd_http_stream_unref(stream);
}

struct MHD_Response *hd_stream_response(struct hd_stream_list *list, struct hd_http_stream *stream, struct MHD_Connection *connection)
{
	struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, stream, release_stream);
	if (!response) {
		hd_http_stream_unref(stream);
		return NULL;
	}
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	(void)pthread_mutex_lock(&list->lock);
	(void)pthread_mutex_lock(&stream->lock);
	stream->list = list;
	stream->connection = connection;
	stream->fd = info ? info->connect_fd : -1;
	stream->ended = stream->ended || list->ended;
	(void)pthread_mutex_unlock(&stream->lock);
	stream->next = list->first;
	stream->link = &list->first;
	if (list->first)
		list->first->link = &stream->next;
	list->first = stream;
	list->count++;
	(void)pthread_mutex_unlock(&list->lock);
	return response;
}

void hd_stream_list_init(struct hd_stream_list *list)
{
	*list = (struct hd_stream_list){.first = NULL};
	(void)pthread_mutex_init(&list->lock, NULL);
}

void hd_stream_list_done(struct hd_stream_list *list)
{
	HD_ASSERT(!list->first);
	(void)pthread_mutex_destroy(&list->lock);
}

void hd_stream_list_heartbeat(struct hd_stream_list *list)
{
	(void)pthread_mutex_lock(&list->lock);
	for (struct hd_http_stream *stream = list->first; stream; stream = stream->next)
		(void)hd_http_stream_send(stream, ":\n\n", 3);
	(void)pthread_mutex_unlock(&list->lock);
}

void hd_stream_list_end(struct hd_stream_list *list)
{
	(void)pthread_mutex_lock(&list->lock);
	list->ended = true;
	for (struct hd_http_stream *stream = list->first; stream; stream = stream->next) {
		(void)pthread_mutex_lock(&stream->lock);
		stream->ended = true;
		wake(stream);
		(void)pthread_mutex_unlock(&stream->lock);
	}
	(void)pthread_mutex_unlock(&list->lock);
}
