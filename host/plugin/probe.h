/* SPDX-License-Identifier: MIT */
#ifndef HD_PLUGIN_PROBE_H
#define HD_PLUGIN_PROBE_H

#include "plugin/plugin.h"

/*
 * Lets hydro-runner look at the plugin behind `fd` (a private copy) in a throw-away child and reads what it prints into the
 * descriptive members of `ret` (name, version, kind, summary, licence, abi_minor_needed, capabilities). The child sees
 * nothing of the daemon: its environment is a short list of names, its descriptors are the file and two pipes.
 * HYDRO_E_ABI or HYDRO_E_INVALID with the child's words; HYDRO_E_TIMEOUT after probe_ms; HYDRO_E_FATAL when the plugin
 * killed it; HYDRO_E_IO when the runner cannot be started. [control]
 */
int hd_probe_run(const char *runner_path, int fd, uint32_t probe_ms, struct hd_plugin_info *ret, struct hydro_error *err);
/* The answer's JSON alone; HYDRO_E_PROTOCOL for what is none. [any] */
int hd_probe_read(const char *json, size_t len, struct hd_plugin_info *ret, struct hydro_error *err);

#endif
