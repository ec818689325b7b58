/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

static struct check_test *first, **last = &first;
static jmp_buf leave;

void check_add(struct check_test *test)
{
	*last = test;
	last = &test->next;
}

void check_failed(const char *file, int line, const char *what, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	(void)fprintf(stderr, "%s:%d: not so: %s ", file, line, what);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputc('\n', stderr);
	va_end(ap);
	longjmp(leave, 1);
}

void check_skipped(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	(void)fputs("skipped: ", stderr);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputc('\n', stderr);
	va_end(ap);
	longjmp(leave, 2);
}

int main(int argc, char **argv)
{
	unsigned count[3] = {0, 0, 0};
	const char *only = argc > 1 ? argv[1] : NULL;
	for (struct check_test *volatile test = first; test; test = test->next) {
		if (only && !strstr(test->name, only) && !strstr(test->suite, only))
			continue;
		int result = setjmp(leave);
		if (result == 0)
			test->run();
		count[result]++;
		if (result == 1)
			(void)fprintf(stderr, "[FAIL] %s::%s\n", test->suite, test->name);
	}
	(void)fprintf(stderr, "[====] Synthesis: Tested: %u | Passing: %u | Failing: %u | Crashing: 0\n", count[0] + count[1], count[0], count[1]);
	return count[1] ? 1 : 0;
}
