/* SPDX-License-Identifier: MIT */
/* Private, sealed copies of plugin files: what is probed is what is mapped. Same hash = same copy = same mapping. */
#ifndef HD_PLUGIN_IMAGE_H
#define HD_PLUGIN_IMAGE_H

#include "hostside/module.h"
#include "plugin/plugin.h"

struct hd_image {
	struct hd_image *next;
	struct hd_plugin_info info; /* from the probe; path is of the file it was first seen as */
	int fd;                     /* sealed memory file; kept open while mapped, for the loader knows mappings by its name */
	bool mapped;
	bool pinned; /* a call into it never returned: stays mapped */
	uint32_t instances;
	struct hd_module module; /* while mapped */
	int probe_rc;            /* what the probe came to, with err */
	struct hydro_error err;
};

/* Reads a file into a sealed copy and hashes it; not probed yet. HYDRO_E_IO, HYDRO_E_LIMIT above HD_PLUGIN_FILE_BYTES_MAX. [control] */
int hd_image_new(const char *path, struct hd_image **ret, struct hydro_error *err);
/* Maps the copy and checks that it is what was probed. HYDRO_E_ABI … as hd_module_open. [control] */
int hd_image_map(struct hd_image *image, struct hydro_error *err);
/* Unmaps if the plugin allows it and nothing runs in it, else leaves the mapping be; frees. [control] */
void hd_image_free(struct hd_image **image);

#endif
