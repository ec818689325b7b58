/* SPDX-License-Identifier: MIT */
/* The listening socket: ours, so that it can be closed to newcomers while libmicrohttpd's threads still serve who is there. */
#ifndef HD_HTTP_LISTENER_H
#define HD_HTTP_LISTENER_H

#include "base/error.h"

struct hd_listener {
	int fd; /* -1: none */
};

void hd_listener_init(struct hd_listener *l);
/* Binds to a numeric address and listens; port 0 takes a free one, which *ret_port tells. Errors: CONFIG (no address), IO. */
int hd_listener_bind(struct hd_listener *l, const char *address, uint16_t port, uint16_t *ret_port, struct hydro_error *err);
/*
 * Refuses connections from now on; may be called again. Not by MHD_quiesce_daemon: it takes the socket out of a worker's epoll set while
 * the worker does the same, and aborts when it comes second.
 */
void hd_listener_stop(struct hd_listener *l);
/* Once nobody accepts from it. */
void hd_listener_done(struct hd_listener *l);

#endif
