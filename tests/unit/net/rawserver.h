/* SPDX-License-Identifier: MIT */
/* A server for tests on a free port of 127.0.0.1 that can also misbehave: one thread a connection, answers by a callback. */
#ifndef HD_TESTS_RAWSERVER_H
#define HD_TESTS_RAWSERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rawserver;

/* One request (head and body, ended by NUL). Writes what it likes to fd; false closes the connection. Any thread. */
typedef bool (*rawserver_fn)(void *arg, int fd, const char *request);

struct rawserver *rawserver_start(rawserver_fn fn, void *arg, uint16_t *ret_port);
/* Closes all connections and joins all threads. */
void rawserver_stop(struct rawserver *server);
/* Connections accepted so far. */
uint32_t rawserver_connections(struct rawserver *server);
/* A whole answer with Content-Length; `head` are further header lines, each ended by \r\n. Returns true. */
bool rawserver_answer(int fd, int status, const char *head, const char *body);
void rawserver_write(int fd, const char *text, size_t len);
/* Blocks until the peer closes or the server stops. */
bool rawserver_hang(int fd);

#endif
