/* SPDX-License-Identifier: MIT */
#ifndef HD_HOSTSIDE_MODULE_H
#define HD_HOSTSIDE_MODULE_H

#include "hostside/descriptor.h"

/* A mapped plugin. All zero is none. */
struct hd_module {
	void *handle;
	hydro_plugin_entry_fn entry;
	struct hd_descriptor *descriptor;
};

/*
 * Maps the file (RTLD_NOW | RTLD_LOCAL), finds its entry and reads the descriptor. HYDRO_E_ABI with the loader's words or
 * with what is missing, else as hd_descriptor_read. Runs code of the file: initialisers and the entry. [control]
 */
int hd_module_open(const char *path, struct hd_module *ret, struct hydro_error *err);
/* Frees the descriptor and unmaps; nothing of the plugin may be in use. [control] */
void hd_module_close(struct hd_module *module);

#endif
