/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/fs.h"
#include "hostside/elf.h"

#include <stdio.h>
#include <stdlib.h>

static void read_good(struct hd_buf *ret)
{
	char path[512];
	(void)snprintf(path, sizeof path, "%s/fixtures/good.so", HD_BINARY_DIR);
	cr_assert_eq(hd_fs_read(path, 64u << 20, ret, NULL), HYDRO_OK);
}

Test(elf, a_good_plugin_passes_and_no_cut_of_it_is_read_past_its_end)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf file = {0};
	struct hydro_error err = {.struct_size = sizeof err};
	read_good(&file);
	cr_assert_eq(hd_elf_check(file.data, file.len, &err), HYDRO_OK, "%s", err.text);
	for (size_t len = 0; len < file.len; len += len < 4096 ? 1 : 997) {
		char *cut = malloc(len ? len : 1);
		memcpy(cut, file.data, len);
		cr_assert_eq(hd_elf_check(cut, len, &err), HYDRO_E_ABI, "%zu of %zu bytes", len, file.len);
		free(cut);
	}
}

Test(elf, changed_bytes_never_lead_outside)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf file = {0};
	struct hydro_error err = {.struct_size = sizeof err};
	read_good(&file);
	for (size_t i = 0; i < 4096 && i < file.len; i++) {
		char old = file.data[i];
		file.data[i] = (char)~old;
		(void)hd_elf_check(file.data, file.len, &err);
		file.data[i] = (char)0xff;
		(void)hd_elf_check(file.data, file.len, &err);
		file.data[i] = old;
	}
	cr_assert_eq(hd_elf_check(file.data, file.len, &err), HYDRO_OK);
}
