/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The process that runs the tests: a child of one has nobody to report to but by its exit status. */
static pid_t runner;

__attribute__((constructor)) static void note_runner(void)
{
	runner = getpid();
}

pid_t check_fork(void)
{
	pid_t child = fork();
	cr_assert_geq(child, 0);
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)alarm(CHECK_CHILD_S);
	}
	return child;
}

void check_child_good(pid_t child)
{
	int status;
	while (waitpid(child, &status, 0) < 0)
		cr_assert_eq(errno, EINTR, "no child to wait for");
	cr_assert_not(WIFSIGNALED(status), "the child was ended by signal %d", WTERMSIG(status));
	cr_assert_eq(WEXITSTATUS(status), 0, "the child ended with status %d", WEXITSTATUS(status));
}

#ifndef HD_TEST_INPROC

/* Linked in the place of Criterion's, which would wait for ever for the runner's answer to a child that it does not know. */
void __real_criterion_send_assert(struct criterion_assert_stats *stats);
void __wrap_criterion_send_assert(struct criterion_assert_stats *stats);

void __wrap_criterion_send_assert(struct criterion_assert_stats *stats)
{
	if (getpid() == runner) {
		__real_criterion_send_assert(stats);
	} else if (!stats->passed) {
		(void)fprintf(stderr, "%s:%u: in a child: %s\n", stats->file, stats->line, stats->message ? stats->message : "not so");
		_exit(CHECK_CHILD_FAILED);
	}
}

#else

#include <setjmp.h>

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
	if (getpid() != runner)
		_exit(CHECK_CHILD_FAILED);
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

static void run(const struct check_test *test)
{
	if (test->init)
		test->init();
	test->run();
	if (test->fini)
		test->fini();
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
			run(test);
		count[result]++;
		if (result == 1)
			(void)fprintf(stderr, "[FAIL] %s::%s\n", test->suite, test->name);
	}
	(void)fprintf(stderr, "[====] Synthesis: Tested: %u | Passing: %u | Failing: %u | Crashing: 0\n", count[0] + count[1], count[0], count[1]);
	return count[1] ? 1 : 0;
}

#endif
