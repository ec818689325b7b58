/* SPDX-License-Identifier: MIT */
#include "dga.h"

#include "base/timefmt.h"

#include <math.h>
#include <stdlib.h>

#define RUT_DIGITS_MIN 7u
#define RUT_DIGITS_MAX 8u
#define CODE_BYTES_MAX 40u
#define WHOLE_DIGITS_MAX 15
#define SIGNIFICANT_MAX 17
#define DECIMALS_MAX 9u
#define TIME_MIN_MS INT64_C(631152000000)  /* 1990-01-01 */
#define TIME_MAX_MS INT64_C(4102444800000) /* 2100-01-01 */

int dga_kind_index(const char *name)
{
	for (uint32_t i = 0; name && i < dga_manual.info.kind_count; i++)
		if (strcmp(dga_manual.info.kinds[i].name, name) == 0)
			return (int)i;
	return -1;
}

const hydro_filing_standard *dga_standard(const char *name)
{
	for (uint32_t i = 0; name && i < dga_manual.info.standard_count; i++)
		if (strcmp(dga_manual.info.standards[i].name, name) == 0)
			return &dga_manual.info.standards[i];
	return NULL;
}

static size_t digits(const char *p)
{
	return strspn(p, "0123456789");
}

/* Weights 2..7 from the right, again and again; 11 − sum mod 11. */
static char check_digit(const char *number, size_t len)
{
	unsigned sum = 0, weight = 2;
	for (size_t i = len; i-- > 0; weight = weight == 7 ? 2 : weight + 1)
		sum += (unsigned)(number[i] - '0') * weight;
	unsigned check = 11 - sum % 11;
	return check == 11 ? '0' : check == 10 ? 'K' : (char)('0' + check);
}

int32_t dga_check_rut(const char *what, const char *text, struct hydro_error *err)
{
	if (!text || !*text)
		return hydro_fail(err, HYDRO_E_INVALID, "%s: the RUT is missing", what);
	size_t n = digits(text);
	if (strchr(text, '.'))
		return hydro_fail(err, HYDRO_E_INVALID, "%s: RUT '%.20s' has dots; write it as 12345678-5", what, text);
	if (n < RUT_DIGITS_MIN || n > RUT_DIGITS_MAX || text[n] != '-' || !text[n + 1] || text[n + 2])
		return hydro_fail(err, HYDRO_E_INVALID, "%s: RUT '%.20s' is not 7 or 8 digits, a dash and its check digit", what, text);
	if (text[n + 1] == 'k')
		return hydro_fail(err, HYDRO_E_INVALID, "%s: RUT '%.20s': the check digit K is written in upper case", what, text);
	if (text[n + 1] != check_digit(text, n))
		return hydro_fail(err, HYDRO_E_INVALID, "%s: RUT '%.20s' does not fit its check digit: a digit is wrong", what, text);
	return HYDRO_OK;
}

int32_t dga_check_code(const char *what, const char *text, struct hydro_error *err)
{
	bool good = text && strlen(text) <= CODE_BYTES_MAX && text[0] == 'O' && (text[1] == 'B' || text[1] == 'R') && text[2] == '-' && digits(text + 3) == 4 &&
		    text[7] == '-' && text[8] >= '1' && text[8] <= '9';
	if (good)
		good = text[8 + digits(text + 8)] == '\0';
	if (good)
		return HYDRO_OK;
	return hydro_fail(err, HYDRO_E_INVALID, "%s: '%.40s' is not of the form OB-0101-123 or OR-0101-123", what, text ? text : "");
}

/* The shortest decimal that reads back the same: its significant digits, and 10^exponent for the first of them. */
static size_t shortest(double value, char ret[SIGNIFICANT_MAX], int *ret_exponent)
{
	char text[64];
	size_t n = 0;
	/* 15 digits are enough for each decimal of at most 15; more only where two doubles lie closer than that. */
	for (int precision = 14; precision < SIGNIFICANT_MAX; precision++) {
		(void)snprintf(text, sizeof text, "%.*e", precision, value);
		if (strtod(text, NULL) <= value && strtod(text, NULL) >= value)
			break;
	}
	const char *p = text;
	/* Whatever the locale puts between the digits is passed over. */
	for (; *p && *p != 'e'; p++)
		if (*p >= '0' && *p <= '9' && n < SIGNIFICANT_MAX)
			ret[n++] = *p;
	*ret_exponent = *p ? (int)strtol(p + 1, NULL, 10) : 0;
	return n;
}

/* Adds one to the last of `len` decimal digits; true if all were nines and a 1 must go before them. */
static bool carry(char *number, size_t len)
{
	while (len > 0) {
		if (number[--len] != '9') {
			number[len]++;
			return false;
		}
		number[len] = '0';
	}
	return true;
}

bool dga_put_number(double value, uint32_t decimals, char ret[DGA_VALUE_BYTES])
{
	char significant[SIGNIFICANT_MAX], number[DGA_VALUE_BYTES];
	int exponent;
	if (!isfinite(value) || decimals > DECIMALS_MAX)
		return false;
	size_t n = shortest(fabs(value), significant, &exponent), len = 0, whole;
	if (exponent >= WHOLE_DIGITS_MAX)
		return false;
	/* The number in units of its last decimal: so many digits stay, the next one rounds. */
	int kept = exponent + 1 + (int)decimals;
	for (; (int)len < kept; len++)
		number[len] = len < n ? significant[len] : '0';
	if (kept >= 0 && kept < (int)n && significant[kept] >= '5' && carry(number, len)) {
		memmove(number + 1, number, len++);
		number[0] = '1';
	}
	for (; len < decimals + 1; len++) {
		memmove(number + 1, number, len);
		number[0] = '0';
	}
	whole = len - decimals;
	number[len] = '\0';
	(void)snprintf(ret, DGA_VALUE_BYTES, "%s%.*s%s%s", value < 0 && strspn(number, "0") < len ? "-" : "", (int)whole, number, decimals ? "." : "", number + whole);
	return true;
}

bool dga_put_time(int64_t ms, int32_t utc_offset_s, char ret_date[DGA_VALUE_BYTES], char ret_hour[DGA_VALUE_BYTES])
{
	int64_t year;
	unsigned month, day;
	if (ms < TIME_MIN_MS || ms >= TIME_MAX_MS)
		return false;
	int64_t local_s = ms / 1000 + utc_offset_s, days = local_s / 86400;
	unsigned s = (unsigned)(local_s % 86400);
	hd_civil_from_days(days, &year, &month, &day);
	(void)snprintf(ret_date, DGA_VALUE_BYTES, "%04d-%02u-%02u", (int)year, month, day);
	(void)snprintf(ret_hour, DGA_VALUE_BYTES, "%02u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
	return true;
}
