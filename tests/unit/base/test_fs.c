/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/fs.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

Test(fs, a_file_written_atomically_reads_back_and_limits_hold)
{
	char dir[] = "/tmp/hydro-fs-XXXXXX";
	cr_assert_not_null(mkdtemp(dir));
	char *path = hd_fs_join(dir, "f");
	struct hydro_error err = {0};
	cr_assert_eq(hd_fs_write_atomic(path, "hello", 5, 0600, &err), HYDRO_OK, "%s", err.text);
	struct hd_buf buf = {0};
	cr_assert_eq(hd_fs_read(path, 5, &buf, &err), HYDRO_OK);
	cr_assert_str_eq(hd_buf_text(&buf), "hello");
	hd_buf_clear(&buf);
	cr_assert_eq(hd_fs_read(path, 4, &buf, &err), HYDRO_E_LIMIT);
	hd_buf_done(&buf);
	(void)unlink(path);
	cr_assert_eq(hd_fs_read(path, 4, &buf, &err), HYDRO_E_NOTFOUND);
	free(path);
	(void)rmdir(dir);
	hd_buf_done(&buf);
}

Test(fs, a_lock_is_held_against_a_second_taker)
{
	char path[64];
	(void)snprintf(path, sizeof path, "/tmp/hydro-lock-%d", (int)getpid());
	struct hydro_error err = {0};
	int a, b;
	cr_assert_eq(hd_fs_lock(path, &a, &err), HYDRO_OK);
	cr_assert_eq(hd_fs_lock(path, &b, &err), HYDRO_E_CONFLICT);
	close(a);
	cr_assert_eq(hd_fs_lock(path, &b, &err), HYDRO_OK);
	close(b);
	(void)unlink(path);
}
