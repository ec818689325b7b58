/* SPDX-License-Identifier: MIT */
#ifndef HD_HOSTSIDE_ELF_H
#define HD_HOSTSIDE_ELF_H

#include "base/error.h"

#define HD_PLUGIN_FILE_BYTES_MAX (64u << 20)

/*
 * Looks at a plugin's file before the loader does: HYDRO_E_ABI when it is no ELF shared object for this machine, is cut, or
 * exports anything but hydro_plugin_entry; the text names what the file has and what this host needs. Weak symbols (C++
 * templates) and those of sanitizers are not counted. A file without section headers is left to the loader. [any, pure]
 */
int hd_elf_check(const void *data, size_t len, struct hydro_error *err);

#endif
