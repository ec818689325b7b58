/* SPDX-License-Identifier: MIT */
/*
 * How long requests take to arrive. libmicrohttpd ends a connection on which nothing comes; one on which a byte comes now
 * and then would be held for ever, so a whole request has to be there within a time of its own.
 */
#ifndef HD_HTTP_RECEIVE_H
#define HD_HTTP_RECEIVE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdint.h>

#define HD_HTTP_RECEIVE_BYTES_MS 16u /* a body gives time: a ms for so many bytes (16 kB/s) */

struct hd_receive;

/* All connections. */
struct hd_receive_list {
	pthread_mutex_t lock; /* guards: first and what is in it */
	struct hd_receive *first;
	int64_t limit_ns;
	uint64_t cut;
};

void hd_receive_list_init(struct hd_receive_list *list, int64_t limit_ns);
void hd_receive_list_done(struct hd_receive_list *list);
/* Ends the connections whose request takes too long. [http ticker] */
void hd_receive_list_check(struct hd_receive_list *list, int64_t now_ns);

/* MHD_OPTION_NOTIFY_CONNECTION, with the list as its argument. [http] */
void hd_receive_notify(void *list, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code);
/* A request line came, or the answer before it is done: the time begins. [http] */
void hd_receive_begin(struct hd_receive_list *list, struct MHD_Connection *connection);
/* A piece of a body. [http] */
void hd_receive_took(struct hd_receive_list *list, struct MHD_Connection *connection, uint64_t bytes);
/* The request is there. [http] */
void hd_receive_end(struct hd_receive_list *list, struct MHD_Connection *connection);

#endif
