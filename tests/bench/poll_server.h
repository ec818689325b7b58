/* SPDX-License-Identifier: MIT */
/* An HTTP server that costs as little as it can: one epoll loop in a child process, so that a bench measures the client. */
#ifndef HD_TESTS_BENCH_POLL_SERVER_H
#define HD_TESTS_BENCH_POLL_SERVER_H

#include <stdint.h>
#include <sys/types.h>

/* Starts it on a free port of 127.0.0.1; exits the program when it cannot. */
pid_t poll_server_start(uint16_t *ret_port);
void poll_server_stop(pid_t pid);

#endif
