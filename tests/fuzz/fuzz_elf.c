/* SPDX-License-Identifier: MIT */
/* The reader of plugin files: any bytes, no read outside them. */
#include "hostside/elf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hydro_error err = {.struct_size = sizeof err};
	int rc = hd_elf_check(data, size, &err);
	if (rc != HYDRO_OK && (rc != HYDRO_E_ABI || !err.text[0]))
		abort();
	return 0;
}
