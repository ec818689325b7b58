/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/error.h"

#include <errno.h>

Test(error, text_is_cut_at_the_buffer_and_context_is_appended)
{
	struct hydro_error err = {0};
	cr_assert_eq(hd_error_set(&err, HYDRO_E_IO, "disk %s", "sda"), HYDRO_E_IO);
	cr_assert_eq(hd_error_while(&err, "writing %d", 7), HYDRO_E_IO);
	cr_assert_str_eq(err.text, "disk sda (while writing 7)");
	hd_error_set(&err, HYDRO_E_IO, "%0600d", 1);
	hd_error_while(&err, "x");
	cr_assert_eq(strlen(err.text), sizeof err.text - 1);
}

Test(error, every_code_has_a_row_and_an_unknown_one_reads_as_fatal)
{
	for (int32_t code = HYDRO_OK; code >= HYDRO_E_FATAL; code--)
		cr_assert_eq(hd_error_info(code)->code, code);
	cr_assert_eq(hd_error_info(-9999)->code, HYDRO_E_FATAL);
}

Test(error, errno_text_is_added)
{
	struct hydro_error err = {0};
	cr_assert_eq(hd_error_errno(&err, HYDRO_E_FULL, ENOSPC, "journal"), HYDRO_E_FULL);
	cr_assert_str_eq(err.text, "journal: No space left on device");
}
