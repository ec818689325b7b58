/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "observe/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What `write_lines` puts on stderr. */
static void captured(void (*write_lines)(void), char *ret, size_t size)
{
	char path[] = "/tmp/hydro-log-XXXXXX";
	int file = mkstemp(path), keep = dup(STDERR_FILENO);
	cr_assert(file >= 0 && keep >= 0);
	(void)fflush(stderr);
	(void)dup2(file, STDERR_FILENO);
	write_lines();
	(void)fflush(stderr);
	(void)dup2(keep, STDERR_FILENO);
	ssize_t n = pread(file, ret, size - 1, 0);
	ret[n > 0 ? n : 0] = '\0';
	close(file);
	close(keep);
	(void)unlink(path);
}

static void two_forms(void)
{
	hd_log_setup(HD_LOG_INFO, HD_LOG_LOGFMT);
	hd_log(HD_LOG_INFO, "test", "one", HD_S("name", "a b\"c"), HD_I("n", -3));
	hd_log(HD_LOG_DEBUG, "test", "hidden", HD_I("n", 1));
	hd_log_setup(HD_LOG_INFO, HD_LOG_ECS);
	hd_log(HD_LOG_WARN, "test", "two", HD_S("message", "line\nbreak"), HD_N("x", 0.5));
}

Test(log, lines_are_logfmt_or_ecs_json_and_levels_filter)
{
	char text[4096];
	captured(two_forms, text, sizeof text);
	cr_assert_not_null(strstr(text, "level=info subsystem=test event=one name=\"a b\\\"c\" n=-3\n"), "%s", text);
	cr_assert_null(strstr(text, "hidden"));
	cr_assert_not_null(strstr(text, "\"log.level\":\"warn\",\"log.logger\":\"test\",\"event.action\":\"two\""), "%s", text);
	cr_assert_not_null(strstr(text, "\"message\":\"line\\nbreak\",\"hydro.x\":0.5}\n"), "%s", text);
}

static void a_hundred(void)
{
	for (int i = 0; i < 100; i++)
		hd_log(HD_LOG_ERROR, "test", "again", HD_I("n", i));
}

Test(log, a_repeated_event_is_rate_limited)
{
	static char text[65536];
	captured(a_hundred, text, sizeof text);
	size_t lines = 0;
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	cr_assert_eq(lines, 10);
}
