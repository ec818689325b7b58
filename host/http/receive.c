/* SPDX-License-Identifier: MIT */
#include "http/receive.h"

#include "base/clock.h"
#include "base/macros.h"

#include <stdlib.h>
#include <sys/socket.h>

struct hd_receive {
	struct hd_receive *next, **link;
	int fd;           /* libmicrohttpd's, open until the connection is taken off the list */
	int64_t begin_ns; /* of the request that comes in; 0 = none does */
	uint64_t bytes;   /* of its body */
};

void hd_receive_list_init(struct hd_receive_list *list, int64_t limit_ns)
{
	*list = (struct hd_receive_list){.limit_ns = limit_ns};
	(void)pthread_mutex_init(&list->lock, NULL);
}

void hd_receive_list_done(struct hd_receive_list *list)
{
	HD_ASSERT(!list->first);
	(void)pthread_mutex_destroy(&list->lock);
}

void hd_receive_list_check(struct hd_receive_list *list, int64_t now_ns)
{
	(void)pthread_mutex_lock(&list->lock);
	for (struct hd_receive *r = list->first; r; r = r->next) {
		int64_t limit_ns = list->limit_ns + (int64_t)(r->bytes / HD_HTTP_RECEIVE_BYTES_MS) * HD_NS_PER_MS;
		if (!r->begin_ns || now_ns - r->begin_ns < limit_ns)
			continue;
		/* Its event thread sees the end and closes it. */
		(void)shutdown(r->fd, SHUT_RDWR);
		r->begin_ns = 0;
		list->cut++;
	}
	(void)pthread_mutex_unlock(&list->lock);
}

static void leave(struct hd_receive_list *list, struct hd_receive *r)
{
	(void)pthread_mutex_lock(&list->lock);
	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
	(void)pthread_mutex_unlock(&list->lock);
	free(r);
}

void hd_receive_notify(void *arg, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct hd_receive_list *list = arg;
	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*context)
			leave(list, HD_STEAL(*context));
		return;
	}
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct hd_receive *r = info ? calloc(1, sizeof *r) : NULL;
	*context = r;
	if (!r)
		return; /* without memory it is not watched, but served */
	r->fd = info->connect_fd;
	r->begin_ns = hd_clock_real_ns();
	(void)pthread_mutex_lock(&list->lock);
	r->next = list->first;
	r->link = &list->first;
	if (r->next)
		r->next->link = &r->next;
	list->first = r;
	(void)pthread_mutex_unlock(&list->lock);
}

static struct hd_receive *of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

static void set(struct hd_receive_list *list, struct MHD_Connection *connection, int64_t begin_ns)
{
	struct hd_receive *r = of(connection);
	if (!r)
		return;
	(void)pthread_mutex_lock(&list->lock);
	r->begin_ns = begin_ns;
	r->bytes = 0;
	(void)pthread_mutex_unlock(&list->lock);
}

void hd_receive_begin(struct hd_receive_list *list, struct MHD_Connection *connection)
{
	set(list, connection, hd_clock_real_ns());
}

void hd_receive_took(struct hd_receive_list *list, struct MHD_Connection *connection, uint64_t bytes)
{
	struct hd_receive *r = of(connection);
	if (!r)
		return;
	(void)pthread_mutex_lock(&list->lock);
	r->bytes += bytes;
	(void)pthread_mutex_unlock(&list->lock);
}

void hd_receive_end(struct hd_receive_list *list, struct MHD_Connection *connection)
{
	set(list, connection, 0);
}
