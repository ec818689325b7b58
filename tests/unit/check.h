/* SPDX-License-Identifier: MIT */
/*
 * Unit tests are written in Criterion's terms. Criterion's child processes do not run under ThreadSanitizer: there (and where Criterion is
 * missing) check.c runs the same tests in one process. Of Test()'s options both know those of struct check_test; any other does not compile
 * there.
 */
#ifndef HD_TESTS_CHECK_H
#define HD_TESTS_CHECK_H

#include <sys/types.h>

/*
 * A child of a test: what it asserts and is not so is told on standard error and ends it with CHECK_CHILD_FAILED. It does not outlive its
 * parent, nor CHECK_CHILD_S.
 */
#define CHECK_CHILD_FAILED 70
#define CHECK_CHILD_S 240u
pid_t check_fork(void);
/* Waits for it; fails unless it has ended by itself, with status 0. */
void check_child_good(pid_t child);

#ifndef HD_TEST_INPROC
#include <criterion/criterion.h>
#else

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct check_test {
	const char *suite, *name;
	void (*run)(void), (*init)(void), (*fini)(void);
	double timeout; /* s; not applied: sanitizers take their time, and scripts/dev/test.py bounds each program */
	struct check_test *next;
};
void check_add(struct check_test *test);
_Noreturn void check_failed(const char *file, int line, const char *what, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
_Noreturn void check_skipped(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define Test(suite_, name_, ...)                                                                       \
	static void suite_##_##name_##_run(void);                                                      \
	static struct check_test suite_##_##name_##_test = {.suite = #suite_, .name = #name_, .run = suite_##_##name_##_run, ##__VA_ARGS__}; \
	__attribute__((constructor)) static void suite_##_##name_##_add(void) { check_add(&suite_##_##name_##_test); } \
	static void suite_##_##name_##_run(void)

#pragma GCC diagnostic ignored "-Wformat-zero-length" /* an assertion without a message */
#define CHECK_(cond, ...) ((cond) ? (void)0 : check_failed(__FILE__, __LINE__, #cond, "" __VA_ARGS__))
#define cr_assert(cond, ...) CHECK_(cond, __VA_ARGS__)
#define cr_assert_not(cond, ...) CHECK_(!(cond), __VA_ARGS__)
#define cr_assert_eq(a, b, ...) CHECK_((a) == (b), __VA_ARGS__)
#define cr_assert_neq(a, b, ...) CHECK_((a) != (b), __VA_ARGS__)
#define cr_assert_lt(a, b, ...) CHECK_((a) < (b), __VA_ARGS__)
#define cr_assert_leq(a, b, ...) CHECK_((a) <= (b), __VA_ARGS__)
#define cr_assert_gt(a, b, ...) CHECK_((a) > (b), __VA_ARGS__)
#define cr_assert_geq(a, b, ...) CHECK_((a) >= (b), __VA_ARGS__)
#define cr_assert_null(a, ...) CHECK_((a) == NULL, __VA_ARGS__)
#define cr_assert_not_null(a, ...) CHECK_((a) != NULL, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) CHECK_(strcmp((a), (b)) == 0, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...) CHECK_(strcmp((a), (b)) != 0, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...) CHECK_(memcmp((a), (b), (n)) == 0, __VA_ARGS__)
#define cr_assert_float_eq(a, b, eps, ...) CHECK_(fabs((double)(a) - (double)(b)) <= (double)(eps), __VA_ARGS__)
#define cr_assert_fail(...) check_failed(__FILE__, __LINE__, "fail", "" __VA_ARGS__)
#define cr_skip_test(...) check_skipped("" __VA_ARGS__)

#endif
#endif
