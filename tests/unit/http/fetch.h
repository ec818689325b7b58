/* SPDX-License-Identifier: MIT */
/* A small HTTP client for tests, on libcurl, over real sockets. */
#ifndef HD_TESTS_FETCH_H
#define HD_TESTS_FETCH_H

#include "base/buf.h"

#include <stdint.h>

struct fetch {
	long status;
	struct hd_buf body;
	struct hd_buf headers;
};

/* One request on a connection of its own. `headers` is a list of "Name: value", separated by '\n', or NULL. */
struct fetch fetch(uint16_t port, const char *method, const char *target, const char *headers, const char *body);
/* "" when absent; valid until the next call on this thread. */
const char *fetch_header(struct fetch *answer, const char *name);
void fetch_done(struct fetch *answer);
/* Connects and sends raw bytes; the socket (with a receive time-out of 10 s). */
int fetch_raw(uint16_t port, const char *bytes, size_t len);
/* Reads until the text appears or the peer closes; what was read is in *ret. False with errno EAGAIN: neither, for 10 s. */
bool fetch_until(int fd, const char *text, struct hd_buf *ret);

#endif
