/* SPDX-License-Identifier: MIT */
/* Options with the daemon's table of names; everything else about options is in hostside/options.h. */
#ifndef HD_PLUGIN_OPTIONS_H
#define HD_PLUGIN_OPTIONS_H

#include "hostside/options.h"

struct hd_names;

/*
 * hd_options_build with metric names interned in `names`: HYDRO_E_CONFIG with key and expectation in the text, or what
 * hd_names_intern fails with. A metric name seen for the first time is synced to disk: not on the I/O thread. [any]
 */
int hd_options_parse(const struct hd_descriptor *descriptor, uint32_t scope, const struct cJSON *json, struct hd_names *names,
		     struct hd_options **ret, struct hydro_error *err);

#endif
