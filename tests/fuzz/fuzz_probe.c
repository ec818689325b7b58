/* SPDX-License-Identifier: MIT */
/* What a child that looked at a plugin printed. */
#include "plugin/probe.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_plugin_info info;
	memset(&info, 0, sizeof info);
	int rc = hd_probe_read((const char *)data, size, &info, &err);
	if (rc == HYDRO_OK && (!hd_plugin_name_valid(info.name) || !hd_kind_name(info.kind)))
		abort();
	return 0;
}
