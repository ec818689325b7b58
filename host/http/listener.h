/* SPDX-License-Identifier: MIT */
/* The listening socket: ours, so that it can be closed to newcomers while libmicrohttpd's threads still serve who is there. */
#ifndef HD_HTTP_LISTENER_H
#define HD_HTTP_LISTENER_H

#include "base/error.h"

#include <sys/types.h>

struct hd_listener {
	int fd; /* -1: none */
	dev_t device;
	ino_t inode; /* of the socket, to know it again */
};

void hd_listener_init(struct hd_listener *l);
/* Binds to a numeric address and listens; port 0 takes a free one, which *ret_port tells. Errors: CONFIG (no address), IO. */
int hd_listener_bind(struct hd_listener *l, const char *address, uint16_t port, uint16_t *ret_port, struct hydro_error *err);
/*
 * Refuses connections from now on; may be called again. Not by MHD_quiesce_daemon: it takes the socket out of a worker's epoll set while
 * the worker does the same, and aborts when it comes second.
 */
void hd_listener_stop(struct hd_listener *l);
/*
 * Once nobody accepts from it, or libmicrohttpd did not start with it. It does not tell whether it has closed the socket then: 0.9.75 has not
 * when it refused an option, or had no memory or descriptor before its threads; it has when a thread, or what a thread of several needs, could
 * not be made. So this closes the descriptor if it still is the socket's; by now it may be another's.
 */
void hd_listener_done(struct hd_listener *l);

#endif
