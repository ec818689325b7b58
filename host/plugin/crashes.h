/* SPDX-License-Identifier: MIT */
/* How often each instance has crashed the daemon with one version of its plugin: a small text file. [control] */
#ifndef HD_PLUGIN_CRASHES_H
#define HD_PLUGIN_CRASHES_H

#include "plugin/crumb.h"

struct hd_crashes;

struct hd_crash {
	char instance[64];
	char plugin[40];
	char hash[65];
	uint32_t count;
	int32_t fatal; /* of the last one */
};

/* Reads `path`; NULL: in memory only. A line that does not parse is dropped: it would only have kept something from starting. */
int hd_crashes_open(const char *path, struct hd_crashes **ret, struct hydro_error *err);
void hd_crashes_close(struct hd_crashes **crashes);
/* One more crash; a count begun with another file hash starts again. Written before it returns. HYDRO_E_IO, HYDRO_E_FULL: then
 * counted in memory all the same. */
int hd_crashes_add(struct hd_crashes *crashes, const struct hd_crumb_where *where, struct hydro_error *err);
/* The row of an instance, or NULL; valid until the next change. */
const struct hd_crash *hd_crashes_find(const struct hd_crashes *crashes, const char *instance);
int hd_crashes_forget(struct hd_crashes *crashes, const char *instance, struct hydro_error *err);
/* "SIGSEGV", "a hang past the deadline", … */
const char *hd_crash_name(int32_t fatal);

#endif
