/* SPDX-License-Identifier: MIT */
#ifndef HD_PLUGIN_CHILD_H
#define HD_PLUGIN_CHILD_H

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

#define HD_CHILD_FILE_FD 3 /* the plugin's private copy, as the child sees it */
#define HD_CHILD_LINK_FD 4 /* the other descriptor, where one is given */

/*
 * Starts hydro-runner with `argv` (argv[0] is set to its path) in a process group of its own: standard input and error are
 * null, standard output is `out` or null (-1), `file` becomes HD_CHILD_FILE_FD and `link` (-1: none) HD_CHILD_LINK_FD; no other
 * descriptor and only a short list of environment names go along. HYDRO_E_IO. [control]
 */
int hd_child_start(const char *runner_path, char **argv, int out, int file, int link, pid_t *ret, struct hydro_error *err);
/* Waits for the child's end, after killing its group if `kill_it`; its wait status. */
int hd_child_finish(pid_t child, bool kill_it);

#endif
