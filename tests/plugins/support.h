/* SPDX-License-Identifier: MIT */
/* What the providers' tests share: a kit with an instance and a point, recorded answers, expectations. */
#ifndef HD_TESTS_PLUGINS_SUPPORT_H
#define HD_TESTS_PLUGINS_SUPPORT_H

#include "check.h"

#include <hydro/testkit.h>
#include <stdbool.h>

/* An instance of the plugin linked into this test, and a poll of a point. Options as JSON; NULL = none. */
hydro_testkit *kit_with(const char *instance, const char *account, const char *point);
/* True if the instance's or the point's options are refused with HYDRO_E_CONFIG and a text that holds `why`. */
bool instance_refused(const char *instance, const char *why);
bool point_refused(const char *instance, const char *point, const char *why);

/* The request that would be sent; asserts that there is one. */
const hydro_http_request *asked(hydro_testkit *kit);
/* Turns the poll into the first page of a window of history. */
void ask_history(hydro_testkit *kit, int64_t from_ms, int64_t to_ms, uint32_t limit);

hydro_testkit_answer answered(hydro_testkit *kit, uint32_t status, const char *body);
/* With the bytes of tests/fixtures/recorded/<file>. */
hydro_testkit_answer answered_recorded(hydro_testkit *kit, const char *file);
/* The file's bytes, ended by NUL; to be freed. */
char *recorded(const char *file, size_t *ret_len);

/* True if the answer came to nothing but this status, and its reason holds `why`. */
bool came_to(const hydro_testkit_answer *answer, uint32_t status, const char *why);
/* True if the n-th value of the metric is this. */
bool has(hydro_testkit *kit, const hydro_testkit_answer *answer, const char *metric, uint32_t n, int64_t ts_ms, double value);

/*
 * Every proper prefix of a recorded answer, and the answer with each byte replaced by each of some others, is given to
 * parse. A prefix must fail without a value; whatever else happens, no value may be one that the host refuses, and values
 * come only with DATA or MORE.
 */
void mangle(hydro_testkit *kit, const char *file);

#endif
