/* SPDX-License-Identifier: MIT */
/*
 * The listening socket and the thread that accepts. Its own, as the library's quiesce removes the socket from a worker's epoll set in two
 * threads at once and aborts when it loses the race.
 */
#ifndef HD_HTTP_LISTENER_H
#define HD_HTTP_LISTENER_H

#include "base/error.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdbool.h>

struct hd_listener {
	struct MHD_Daemon *daemon;
	int fd, stop_fd; /* -1: none; stop_fd is an eventfd */
	pthread_t thread;
	bool has_thread;
};

void hd_listener_init(struct hd_listener *l);
/* Binds to a numeric address and listens; port 0 takes a free one, which *ret_port tells. Errors: CONFIG (no address), IO. */
int hd_listener_bind(struct hd_listener *l, const char *address, uint16_t port, uint16_t *ret_port, struct hydro_error *err);
/* Gives each connection to the daemon from now on; which must be stopped after hd_listener_stop. */
int hd_listener_start(struct hd_listener *l, struct MHD_Daemon *daemon, struct hydro_error *err);
/* Refuses connections from now on; may be called again. */
void hd_listener_stop(struct hd_listener *l);

#endif
