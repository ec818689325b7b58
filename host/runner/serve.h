/* SPDX-License-Identifier: MIT */
#ifndef HD_RUNNER_SERVE_H
#define HD_RUNNER_SERVE_H

/*
 * Runs a provider over HTTP or a sink that files for the daemon: maps the plugin at `path` and answers calls (hostside/wire.h) from the stream
 * socket `fd` until it closes. Ends the process at once when the daemon's end goes away, even inside a call that hangs.
 * Returns the exit status.
 */
int hd_runner_serve(const char *path, int fd);

#endif
