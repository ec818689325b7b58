/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "number.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse(const char *text, double *ret)
{
	return number_parse(text, strlen(text), ret);
}

static bool same(double a, double b)
{
	return memcmp(&a, &b, sizeof a) == 0;
}

Test(number, is_the_nearest_double_as_strtod_says)
{
	static const char *const texts[] = {
		"0", "-0", "1", "42500", "0.1", "7.25", "-2", "1e22", "1e23", "1.7976931348623157e308", "2.2250738585072014e-308", "4.9e-324",
		"9007199254740993", "9007199254740992.5", "0.3", "123456789.123456789", "1767225600000", "2.5e-5", "8.5e+3", "1E2",
		"3.14159265358979323846264338327950288419716939937510", "179769313486231570000000000000000000000.5e10", "0.000000000000000000000000000001",
		"100000000000000000000000", "0e999999", "0.0000e-99999", "12345678901234567890", "1234567890123456789.25e-3",
	};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		double value = 7;
		cr_assert(parse(texts[i], &value), "%s", texts[i]);
		cr_assert(same(value, strtod(texts[i], NULL)), "%s gives %.17g", texts[i], value);
	}
}

Test(number, agrees_with_strtod_on_many)
{
	uint64_t seed = 88172645463325252u;
	for (int i = 0; i < 200000; i++) {
		char text[64];
		double value = 0;
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		(void)snprintf(text, sizeof text, "%s%llu.%0*llue%d", seed & 1 ? "-" : "", (unsigned long long)(seed >> 20 >> seed % 40),
			       (int)(1 + seed % 12), (unsigned long long)(seed % 1000000), (int)(seed >> 33 & 63) - 32);
		cr_assert(parse(text, &value), "%s", text);
		cr_assert(same(value, strtod(text, NULL)), "%s gives %.17g", text, value);
	}
}

Test(number, takes_what_loggers_write)
{
	static const struct { const char *text; double value; } good[] = {
		{"+5", 5}, {"007", 7}, {".5", 0.5}, {"5.", 5}, {" 12.5 ", 12.5}, {"\t3", 3}, {"-.25", -0.25}, {"00", 0}, {"1e3", 1000},
	};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		double value = -1;
		cr_assert(parse(good[i].text, &value) && same(value, good[i].value), "%s", good[i].text);
	}
}

Test(number, refuses_what_is_no_finite_decimal)
{
	static const char *const bad[] = {
		"", " ", "-", "+", ".", "e5", "1e", "1e+", "abc", "12a", "12 3", "0x10", "0x1p3", "nan", "NaN", "inf", "-inf", "Infinity", "1,5", "1.2.3",
		"--1", "+-1", "1e400", "-1e400", "1e99999999999999999999", "1e-400", "0.0000001e-330", "1_000", "1'000", "12\n", "ON", "null", "true", "١",
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		double value;
		cr_assert_not(parse(bad[i], &value), "%s", bad[i]);
	}
	double value;
	cr_assert_not(number_parse("5\0", 2, &value));
}

Test(number, its_length_is_bounded_at_the_named_limit)
{
	char text[NUMBER_TEXT_MAX + 2];
	double value;
	memset(text, '1', sizeof text);
	text[1] = '.';
	cr_assert(number_parse(text, NUMBER_TEXT_MAX, &value));
	cr_assert_float_eq(value, 1.111111111111111, 1e-15);
	cr_assert_not(number_parse(text, NUMBER_TEXT_MAX + 1, &value));
}

Test(number, no_locale_changes_it)
{
	double value;
	/* Where the machine has a locale with a decimal comma it is tried; the conversion has no decimal point to mistake. */
	(void)setlocale(LC_ALL, "es_CL.UTF-8");
	cr_assert(parse("9007199254740993.75", &value) && same(value, 9007199254740993.75));
	cr_assert_not(parse("9007199254740993,75", &value));
	(void)setlocale(LC_ALL, "C");
}

Test(number, json_numbers_are_strict)
{
	static const char *const bad[] = {"01", "-", ".5", "5.", "1.e3", "+1", "1e", "-a"};
	struct number n;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		const char *end = bad[i] + strlen(bad[i]);
		cr_assert(number_scan(bad[i], end, &n) != end, "%s", bad[i]);
	}
	const char *text = "-12.5e1,";
	double value;
	cr_assert(number_scan(text, text + 8, &n) == text + 7 && number_value(&n, &value) && same(value, -125));
}
