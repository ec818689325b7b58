/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "model/names.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void path_of(char ret[64])
{
	(void)snprintf(ret, 64, "/tmp/hydro-names-%d", (int)getpid());
	(void)unlink(ret);
}

Test(names, numbers_survive_a_restart_and_a_torn_line_is_cut)
{
	char path[64];
	path_of(path);
	struct hydro_error err = {0};
	struct hd_names *names = NULL;
	uint32_t ph, rule, again;
	cr_assert_eq(hd_names_open(path, &names, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(hd_names_find(names, HD_NAME_METRIC, "flow"), HD_METRIC_FLOW);
	cr_assert_eq(hd_names_intern(names, HD_NAME_METRIC, "ph", &ph, &err), HYDRO_OK);
	cr_assert_eq(hd_names_intern(names, HD_NAME_RULE, "well@1/range:flow", &rule, &err), HYDRO_OK);
	hd_names_close(&names);
	int fd = open(path, O_WRONLY | O_APPEND);
	cr_assert_eq(write(fd, "deadbeef 0 9", 12), 12);
	close(fd);
	cr_assert_eq(hd_names_open(path, &names, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(hd_names_intern(names, HD_NAME_METRIC, "ph", &again, &err), HYDRO_OK);
	cr_assert_eq(again, ph);
	cr_assert_str_eq(hd_names_get(names, HD_NAME_RULE, rule), "well@1/range:flow");
	hd_names_close(&names);
	(void)unlink(path);
}

Test(names, a_line_that_does_not_check_is_reported_with_its_number)
{
	char path[64];
	path_of(path);
	struct hydro_error err = {0};
	struct hd_names *names = NULL;
	uint32_t number;
	cr_assert_eq(hd_names_open(path, &names, &err), HYDRO_OK);
	cr_assert_eq(hd_names_intern(names, HD_NAME_METRIC, "aa", &number, &err), HYDRO_OK);
	cr_assert_eq(hd_names_intern(names, HD_NAME_METRIC, "bb", &number, &err), HYDRO_OK);
	hd_names_close(&names);
	int fd = open(path, O_WRONLY);
	cr_assert_eq(pwrite(fd, "x", 1, 3), 1);
	close(fd);
	cr_assert_eq(hd_names_open(path, &names, &err), HYDRO_E_CORRUPT);
	cr_assert_not_null(strstr(err.text, ":1:"));
	(void)unlink(path);
}

Test(names, names_that_cannot_be_are_refused)
{
	struct hd_names *names = NULL;
	struct hydro_error err = {0};
	uint32_t number;
	cr_assert_eq(hd_names_open(NULL, &names, &err), HYDRO_OK);
	const char *bad[] = {"", "Flow", "9a", "a b", "a\n"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		cr_assert_eq(hd_names_intern(names, HD_NAME_METRIC, bad[i], &number, &err), HYDRO_E_INVALID);
	hd_names_close(&names);
}
