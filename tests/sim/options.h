/* SPDX-License-Identifier: MIT */
#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include "sim.h"

#define SIM_OPTIONS_RUN 0
#define SIM_OPTIONS_HELP 1

/* Reads the command line over the defaults. SIM_OPTIONS_*, or HYDRO_E_INVALID. */
int sim_options_read(int argc, char **argv, struct sim_config *ret, struct hydro_error *err);
void sim_options_help(void);

#endif
