/* SPDX-License-Identifier: MIT */
#include "number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPONENT_LIMIT 100000 /* far beyond any double; keeps the sum in range */
#define EXACT_DIGITS (UINT64_C(1) << 53)
#define EXACT_POWER 22

static bool is_digit(char c)
{
	return (unsigned char)(c - '0') < 10;
}

static const char *scan_digits(const char *p, const char *end, struct number *n, bool fraction)
{
	for (; p < end && is_digit(*p); p++) {
		if (n->digits < UINT64_C(1000000000000000000)) {
			n->digits = n->digits * 10 + (uint64_t)(*p - '0');
			if (fraction && n->exp10 > -EXPONENT_LIMIT)
				n->exp10--;
		} else {
			n->exact = false;
		}
	}
	return p;
}

static const char *scan_exponent(const char *p, const char *end, struct number *n)
{
	bool negative = false;
	int32_t value = 0;
	if (p < end && (*p == '+' || *p == '-'))
		negative = *p++ == '-';
	const char *first = p;
	for (; p < end && is_digit(*p); p++)
		if (value < EXPONENT_LIMIT)
			value = value * 10 + (*p - '0');
	if (p == first)
		return NULL;
	n->exp10 += negative ? -value : value;
	return p;
}

static const char *scan(const char *p, const char *end, bool lenient, struct number *ret)
{
	struct number n = {.text = p, .exact = true};
	if (p < end && (*p == '-' || (lenient && *p == '+')))
		n.negative = *p++ == '-';
	const char *whole = p;
	p = scan_digits(p, end, &n, false);
	size_t whole_len = (size_t)(p - whole), fraction_len = 0;
	if (!lenient && (whole_len == 0 || (whole_len > 1 && *whole == '0')))
		return NULL;
	if (p < end && *p == '.') {
		const char *fraction = ++p;
		p = scan_digits(p, end, &n, true);
		fraction_len = (size_t)(p - fraction);
		if (fraction_len == 0 && !lenient)
			return NULL;
	}
	if (whole_len + fraction_len == 0)
		return NULL;
	if (p < end && (*p == 'e' || *p == 'E')) {
		p = scan_exponent(p + 1, end, &n);
		if (!p)
			return NULL;
	}
	n.len = (size_t)(p - n.text);
	*ret = n;
	return p;
}

const char *number_scan(const char *p, const char *end, struct number *ret)
{
	return scan(p, end, false, ret);
}

/* The text again as an integer and an exponent: so there is no decimal point, and no locale can matter. */
static bool value_by_text(const struct number *n, double *ret)
{
	char text[NUMBER_TEXT_MAX + 16];
	size_t len = 0;
	int32_t exp10 = 0;
	bool fraction = false;
	struct number exponent = {0};
	for (const char *p = n->text, *end = n->text + n->len; p < end; p++) {
		if (is_digit(*p)) {
			text[len++] = *p;
			exp10 -= fraction;
		} else if (*p == '.') {
			fraction = true;
		} else if (*p == 'e' || *p == 'E') {
			(void)scan_exponent(p + 1, end, &exponent);
			break;
		}
	}
	(void)snprintf(text + len, sizeof text - len, "e%d", (int)(exp10 + exponent.exp10));
	double value = strtod(text, NULL);
	*ret = n->negative ? -value : value;
	return isfinite(value) && value != 0;
}

bool number_value(const struct number *n, double *ret)
{
	static const double powers[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
						       1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
	if (n->len > NUMBER_TEXT_MAX)
		return false;
	if (n->digits == 0) {
		*ret = n->negative ? -0.0 : 0.0;
		return true;
	}
	/* Both operands are exact doubles here, so one operation rounds once: the nearest double (Clinger 1990). */
	if (n->exact && n->digits <= EXACT_DIGITS && n->exp10 >= -EXACT_POWER && n->exp10 <= EXACT_POWER) {
		double value = (double)n->digits;
		value = n->exp10 < 0 ? value / powers[-n->exp10] : value * powers[n->exp10];
		*ret = n->negative ? -value : value;
		return true;
	}
	return value_by_text(n, ret);
}

bool number_parse(const char *text, size_t len, double *ret)
{
	const char *p = text, *end = text + len;
	struct number n;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return scan(p, end, true, &n) == end && number_value(&n, ret);
}
