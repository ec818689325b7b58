/* SPDX-License-Identifier: MIT */
/* The service manager's protocol (sd_notify): datagrams to $NOTIFY_SOCKET. Nothing happens without one. */
#ifndef HD_DAEMON_NOTIFY_H
#define HD_DAEMON_NOTIFY_H

#include <stdint.h>

void daemon_notify(const char *state);
/* $WATCHDOG_USEC in ns, 0 = no watchdog wanted. */
int64_t daemon_watchdog_ns(void);

#endif
