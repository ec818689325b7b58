/* SPDX-License-Identifier: MIT */
/* The harness itself: the same under Criterion and where check.c takes its place. */
#include "check.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int prepared;

static void prepare(void)
{
	prepared = 7;
}

static void put_away(void)
{
	prepared = 0;
}

Test(check, what_a_test_needs_is_prepared_before_it, .init = prepare, .fini = put_away, .timeout = 60)
{
	cr_assert_eq(prepared, 7);
}

static int status_of(pid_t child)
{
	int status = -1;
	cr_assert_eq(waitpid(child, &status, 0), child);
	return status;
}

/* Its words go nowhere: a test that passes tells of no failure. */
static pid_t quiet_fork(void)
{
	pid_t child = check_fork();
	if (child == 0 && !freopen("/dev/null", "w", stderr))
		_exit(1);
	return child;
}

Test(check, an_assertion_that_fails_in_a_child_ends_it_with_a_failure)
{
	pid_t child = quiet_fork();
	if (child == 0) {
		cr_assert_eq(getpid(), 0, "a message of %d", 1);
		_exit(0);
	}
	int status = status_of(child);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == CHECK_CHILD_FAILED, "%d", status);
}

Test(check, assertions_that_hold_in_a_child_and_in_its_child_do_not_end_them)
{
	pid_t child = check_fork();
	if (child == 0) {
		pid_t grandchild = quiet_fork();
		if (grandchild == 0) {
			cr_assert_eq(getpid(), 0);
			_exit(0);
		}
		int status = status_of(grandchild);
		cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == CHECK_CHILD_FAILED);
		_exit(0);
	}
	check_child_good(child);
}

Test(check, a_child_that_goes_on_for_ever_is_ended_by_its_alarm)
{
	pid_t child = check_fork();
	if (child == 0) {
		if (alarm(1) == 0) /* in the place of the long one */
			_exit(2);
		for (;;)
			pause();
	}
	int status = status_of(child);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM, "%d", status);
}
