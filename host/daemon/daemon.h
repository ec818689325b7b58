/* SPDX-License-Identifier: MIT */
/* The whole daemon: opens the parts in order, wires them, waits for signals, closes them in the reverse order. */
#ifndef HD_DAEMON_DAEMON_H
#define HD_DAEMON_DAEMON_H

#include "base/error.h"

#include <stdbool.h>

struct hd_daemon_options {
	const char *config_path;
	const char *admin_key_file; /* NULL: the key is printed once on standard error */
	int64_t until_ms;           /* simulated clock: no further; 0 = no end */
	int64_t step_ms;            /* simulated clock: advances to multiples of it; 0 = to each time that something waits for */
	bool check;                 /* check only */
};

/* Runs until a signal; the process's exit code. [control] */
int hd_daemon_run(const struct hd_daemon_options *options);

#endif
