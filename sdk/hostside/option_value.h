/* SPDX-License-Identifier: MIT */
/* Single values of option rows: what each type takes, and defaults. All functions [any]. */
#ifndef HD_HOSTSIDE_OPTION_VALUE_H
#define HD_HOSTSIDE_OPTION_VALUE_H

#include "hostside/descriptor.h"

#define HD_OPTION_TEXT_BYTES_MAX 8192u /* one text value, and one value of a map */
#define HD_OPTION_MAP_ENTRIES_MAX 256u

/* What keeps a text from being taken ("control characters", "bytes that are not UTF-8"), or NULL. */
const char *hd_text_problem(const char *text, size_t len);
/* What is wrong with a URL (scheme, host, blanks, credentials in it), or NULL. */
const char *hd_url_problem(const char *url);
/*
 * Checks of a row's rules. Each writes "option 'key' …" with what is expected and returns HYDRO_E_CONFIG; the value of a
 * SECRET row is never part of the text.
 */
int hd_option_check_number(const hydro_option *row, double value, struct hydro_error *err);
int hd_option_check_duration(const hydro_option *row, int64_t ms, struct hydro_error *err);
int hd_option_check_text(const hydro_option *row, const char *text, size_t len, struct hydro_error *err);
/* Index among "a|b|c", or -1. */
int hd_option_choice(const char *choices, const char *text);
/* Number of choices. */
uint32_t hd_option_choice_count(const char *choices);

/* Parses the rows' default_value into d->defaults; HYDRO_E_INVALID for a default that its own row does not take. */
int hd_option_defaults(struct hd_descriptor *d, struct hydro_error *err);

#endif
