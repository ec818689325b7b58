/* SPDX-License-Identifier: MIT */
#ifndef HD_RUNNER_PROBE_H
#define HD_RUNNER_PROBE_H

/*
 * Limits this process, looks at the plugin at `path` and prints one JSON object on the standard output:
 * {"ok":true,"plugin":{…}} or {"ok":false,"code":"HYDRO_E_ABI","error":"…"}. What the plugin itself prints is dropped.
 * Returns the exit status: 0 taken, 1 refused.
 */
int hd_runner_probe(const char *path);

#endif
