/* SPDX-License-Identifier: MIT */
/* The simulator as a child process on a free port, and HTTP requests to it. */
#ifndef HD_TESTS_PLUGINS_SIM_PROCESS_H
#define HD_TESTS_PLUGINS_SIM_PROCESS_H

#include <hydro/abi.h>
#include <stddef.h>
#include <sys/types.h>

struct sim_process {
	pid_t pid;
	unsigned port;
};

struct sim_reply {
	unsigned status;
	char *body; /* ended by NUL; to be freed */
	size_t len;
};

/* Returns when it is ready; 0 or -1. */
int sim_process_start(struct sim_process *sim, char *const argv[]);
void sim_process_stop(struct sim_process *sim);

/* A plugin's request, sent as it stands. 0 or -1. */
int sim_process_send(const hydro_http_request *request, struct sim_reply *ret);
/* GET, or POST with a body, of a path of the simulator's own. */
int sim_process_control(const struct sim_process *sim, const char *path, const char *body, struct sim_reply *ret);

#endif
