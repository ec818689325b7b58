/* SPDX-License-Identifier: MIT */
/* Decimal numbers as text, converted exactly and whatever the locale. All [any], pure. */
#ifndef PROVIDER_NUMBER_H
#define PROVIDER_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A longer text is no measurement; its value is refused. */
#define NUMBER_TEXT_MAX 512u

struct number {
	const char *text;
	size_t len;
	uint64_t digits; /* the first 19 significant digits */
	int32_t exp10;   /* value = digits × 10^exp10 when exact */
	bool negative;
	bool exact; /* `digits` holds all of them */
};

/* Reads a number at p by RFC 8259, or NULL if none stands there. Returns the position behind it. */
const char *number_scan(const char *p, const char *end, struct number *ret);

/* The nearest double, as strtod. False if it would be infinite, or zero though it is not, or is longer than NUMBER_TEXT_MAX. */
bool number_value(const struct number *number, double *ret);

/* A number that is the whole of a string, as loggers write it: blanks around, "+5", "007", ".5" and "5." are taken too.
 * Never hexadecimal, "nan", "inf" or a decimal comma. */
bool number_parse(const char *text, size_t len, double *ret);

#endif
