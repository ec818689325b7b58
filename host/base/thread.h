/* SPDX-License-Identifier: MIT */
/* Named threads and their roles. */
#ifndef HD_BASE_THREAD_H
#define HD_BASE_THREAD_H

#include "base/error.h"

#include <pthread.h>

#define HD_ROLE_ANY 0u
#define HD_ROLE_CONTROL 1u
#define HD_ROLE_IO 2u
#define HD_ROLE_WORKER 3u
#define HD_ROLE_JOURNAL 4u
#define HD_ROLE_HISTORY 5u
#define HD_ROLE_DELIVERY 6u
#define HD_ROLE_HTTP 7u
#define HD_ROLE_STORE 8u
#define HD_ROLE_FILING 9u

/* Starts a thread with all signals blocked but those of its own faults; name (15 characters) as `ps` shows it. */
int hd_thread_start(pthread_t *ret, uint32_t role, const char *name, void *(*run)(void *), void *arg, struct hydro_error *err);
/* Role of the calling thread; HD_ROLE_ANY for one not started here. */
uint32_t hd_thread_role(void);
void hd_thread_set_role(uint32_t role);

/* In all builds. A thread without role (tests) passes. */
#define HD_ON(role) HD_ASSERT(hd_thread_role() == (role) || hd_thread_role() == HD_ROLE_ANY)

#endif
