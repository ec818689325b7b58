/* SPDX-License-Identifier: MIT */
/* Formats of single values, and what a slot becomes. */
#include "dga.h"
#include "support.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>

static const char *number(double value, uint32_t decimals)
{
	static char text[DGA_VALUE_BYTES];
	cr_assert(dga_put_number(value, decimals, text), "%g", value);
	return text;
}

Test(dga_format, numbers_are_rounded_from_the_decimal_that_was_read)
{
	static const struct {
		double value;
		uint32_t decimals;
		const char *text;
	} cases[] = {
		{0, 2, "0.00"}, {-0.0, 2, "0.00"}, {25.7, 2, "25.70"}, {999.99, 2, "999.99"}, {999.994, 2, "999.99"}, {999.995, 2, "1000.00"},
		{1e6, 2, "1000000.00"}, {1234567.891, 2, "1234567.89"}, {1e14, 2, "100000000000000.00"}, {123456789012345.0, 2, "123456789012345.00"},
		/* Binary digits behind the read decimal do not decide: printf says 1.00, 0.12 and 2.67 here. */
		{1.005, 2, "1.01"}, {0.125, 2, "0.13"}, {2.675, 2, "2.68"}, {-1.005, 2, "-1.01"}, {-0.125, 2, "-0.13"},
		{0.004, 2, "0.00"}, {0.005, 2, "0.01"}, {0.0049999, 2, "0.00"}, {-0.004, 2, "0.00"}, {-0.005, 2, "-0.01"}, {0.05, 2, "0.05"}, {0.09, 2, "0.09"},
		{1e-7, 2, "0.00"}, {5e-324, 2, "0.00"}, {0.995, 2, "1.00"}, {9.995, 2, "10.00"}, {0.1 + 0.2, 2, "0.30"}, {7.0 / 3.6, 2, "1.94"},
		{0, 0, "0"}, {0.4, 0, "0"}, {0.5, 0, "1"}, {-0.4, 0, "0"}, {119.5, 0, "120"}, {120.49999, 0, "120"}, {1234499.9999999998, 0, "1234500"},
		{999999999999999.0, 0, "999999999999999"}, {99.9, 0, "100"}, {-3.2, 0, "-3"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		cr_assert_str_eq(number(cases[i].value, cases[i].decimals), cases[i].text, "%.17g: %s", cases[i].value, number(cases[i].value, cases[i].decimals));
}

Test(dga_format, what_a_double_does_not_hold_exactly_is_no_number)
{
	char text[DGA_VALUE_BYTES];
	for (size_t i = 0; i < 6; i++)
		cr_assert_not(dga_put_number((const double[]){NAN, INFINITY, -INFINITY, 1e15, -1e15, 1.7976931348623157e308}[i], 2, text));
}

Test(dga_format, the_locale_does_not_matter)
{
	/* One that writes a decimal comma, where the machine has one. */
	static const char *const names[] = {"es_CL.UTF-8", "de_DE.UTF-8", "fr_FR.UTF-8", "es_ES.UTF-8"};
	for (size_t i = 0; i < 4; i++)
		if (setlocale(LC_ALL, names[i]))
			break;
	cr_assert_str_eq(number(1234.565, 2), "1234.57");
	(void)setlocale(LC_ALL, "C");
}

Test(dga_format, every_number_of_two_decimals_reads_back)
{
	uint64_t x = 88172645463325252u;
	for (int i = 0; i < 200000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		int64_t cents = (int64_t)(x % 100000000000u);
		char expected[40];
		(void)snprintf(expected, sizeof expected, "%lld.%02lld", (long long)(cents / 100), (long long)(cents % 100));
		cr_assert_str_eq(number((double)cents / 100.0, 2), expected);
	}
}

static int32_t rut(const char *text, const char *why)
{
	struct hydro_error err = {.struct_size = sizeof err};
	int32_t rc = dga_check_rut("rutEmpresa", text, &err);
	if (rc != HYDRO_OK)
		cr_assert(strstr(err.text, why) && strstr(err.text, "rutEmpresa"), "%s", err.text);
	return rc;
}

Test(dga_format, a_rut_has_its_check_digit)
{
	cr_assert_eq(rut("76086428-5", ""), HYDRO_OK);
	cr_assert_eq(rut("12531909-2", ""), HYDRO_OK);
	cr_assert_eq(rut("76498451-K", ""), HYDRO_OK);
	cr_assert_eq(rut("1000005-K", ""), HYDRO_OK);
	cr_assert_eq(rut("1000013-0", ""), HYDRO_OK);
	cr_assert_eq(rut("76086428-6", "does not fit its check digit"), HYDRO_E_INVALID);
	cr_assert_eq(rut("77555666-7", "does not fit its check digit"), HYDRO_E_INVALID);
	cr_assert_eq(rut("76498451-k", "upper case"), HYDRO_E_INVALID);
	cr_assert_eq(rut("76.086.428-5", "dots"), HYDRO_E_INVALID);
	cr_assert_eq(rut("760864285", "a dash"), HYDRO_E_INVALID);
	cr_assert_eq(rut("760864-5", "7 or 8 digits"), HYDRO_E_INVALID);
	cr_assert_eq(rut("760864281-5", "7 or 8 digits"), HYDRO_E_INVALID);
	cr_assert_eq(rut("76086428-55", "7 or 8 digits"), HYDRO_E_INVALID);
	cr_assert_eq(rut("76086428-", "7 or 8 digits"), HYDRO_E_INVALID);
	cr_assert_eq(rut(" 76086428-5", "7 or 8 digits"), HYDRO_E_INVALID);
	cr_assert_eq(rut("", "missing"), HYDRO_E_INVALID);
	cr_assert_eq(rut(NULL, "missing"), HYDRO_E_INVALID);
}

Test(dga_format, a_code_has_its_form)
{
	struct hydro_error err = {.struct_size = sizeof err};
	static const char *const good[] = {"OB-0101-1", "OR-1305-123", "OB-0000-9999999"};
	static const char *const bad[] = {"", "OB-101-1", "OB-01011-1", "OB-0101-0", "OB-0101-01", "OB-0101-", "OX-0101-1", "ob-0101-1", "OB-0101-1a", "OB_0101-1", "OB-0101-1 ", "B-0101-1"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		cr_assert_eq(dga_check_code("codigoObra", good[i], &err), HYDRO_OK, "%s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		cr_assert_eq(dga_check_code("codigoObra", bad[i], &err), HYDRO_E_INVALID, "%s", bad[i]);
		cr_assert_not_null(strstr(err.text, "codigoObra"));
	}
	cr_assert_eq(dga_check_code("codigoObra", NULL, &err), HYDRO_E_INVALID);
}

Test(dga_format, the_three_kinds_of_body)
{
	hydro_testkit *kit = dga_kit(NULL);
	hydro_filing_slot slot = slot_of("subterranea", "mayor");
	cr_assert_str_eq(prepared(kit, &slot), PAYLOAD);
	slot = slot_of("flujometro", "medio");
	cr_assert_str_eq(prepared(kit, &slot), "{\"caudal\":\"25.70\",\"fechaMedicion\":\"2026-01-01\",\"horaMedicion\":\"14:00:00\",\"totalizador\":\"1234500\"}");
	slot = slot_of("canal", "menor");
	slot.code = "OR-0101-8";
	slot.values[HYDRO_FIELD_FLOW] = 110;
	slot.values[HYDRO_FIELD_LEVEL] = 119.5;
	cr_assert_str_eq(prepared(kit, &slot), CHANNEL_PAYLOAD);
	hydro_testkit_close(&kit);
}

Test(dga_format, the_stamp_is_the_slots_or_the_readings)
{
	hydro_testkit *kit = dga_kit("{\"stamp\":\"measured\"}");
	hydro_filing_slot slot = slot_of("flujometro", "mayor");
	cr_assert_not_null(strstr(prepared(kit, &slot), "\"fechaMedicion\":\"2026-01-01\",\"horaMedicion\":\"13:57:54\""));
	hydro_testkit_close(&kit);
	kit = dga_kit(NULL);
	/* Fixed UTC-4 all year: the same hour in Chile's summer and winter, and the day before where it is one. */
	slot.due_ms = INT64_C(1782878400000); /* 2026-07-01T04:00:00Z */
	cr_assert_not_null(strstr(prepared(kit, &slot), "\"fechaMedicion\":\"2026-07-01\",\"horaMedicion\":\"00:00:00\""));
	slot.due_ms = INT64_C(1767236400000); /* 2026-01-01T03:00:00Z */
	cr_assert_not_null(strstr(prepared(kit, &slot), "\"fechaMedicion\":\"2025-12-31\",\"horaMedicion\":\"23:00:00\""));
	slot.due_ms = 0;
	cr_assert(not_prepared(kit, &slot, "fechaMedicion"));
	hydro_testkit_close(&kit);
}

Test(dga_format, bad_formats_are_refused_by_the_fields_name)
{
	hydro_testkit *kit = dga_kit(NULL);
	hydro_filing_slot slot = slot_of("subterranea", "mayor");
	slot.values[HYDRO_FIELD_FLOW] = NAN;
	cr_assert(not_prepared(kit, &slot, "caudal: the value is no number"));
	slot.values[HYDRO_FIELD_FLOW] = INFINITY;
	cr_assert(not_prepared(kit, &slot, "caudal"));
	slot.values[HYDRO_FIELD_FLOW] = 1e300;
	cr_assert(not_prepared(kit, &slot, "caudal: 1e+300 has more digits"));
	slot = slot_of("subterranea", "mayor");
	slot.values[HYDRO_FIELD_TOTAL] = 999999999999999.0;
	cr_assert_not_null(strstr(prepared(kit, &slot), "\"totalizador\":\"999999999999999\""));
	slot.values[HYDRO_FIELD_TOTAL] = 999999999999999.5;
	cr_assert(not_prepared(kit, &slot, "totalizador: 1000000000000000 has more than 15 characters"));
	slot.values[HYDRO_FIELD_TOTAL] = -12;
	cr_assert(not_prepared(kit, &slot, "totalizador: -12 is below zero"));
	slot = slot_of("subterranea", "mayor");
	slot.fields &= ~(1u << HYDRO_FIELD_FLOW);
	cr_assert(not_prepared(kit, &slot, "caudal: there is no value"));
	slot = slot_of("flujometro", "muy_pequeno");
	slot.fields &= ~(1u << HYDRO_FIELD_TOTAL);
	cr_assert(not_prepared(kit, &slot, "totalizador: there is no value"));
	slot = slot_of("subterranea", "mayor");
	slot.code = "OB-1-1";
	cr_assert(not_prepared(kit, &slot, "code: 'OB-1-1'"));
	slot = slot_of("pozo", "mayor");
	cr_assert(not_prepared(kit, &slot, "kind: 'pozo'"));
	slot = slot_of("subterranea", "enorme");
	cr_assert(not_prepared(kit, &slot, "standard: 'enorme'"));
	hydro_testkit_close(&kit);
}

Test(dga_format, odd_values_are_carried_as_read)
{
	hydro_testkit *kit = dga_kit(NULL);
	hydro_filing_slot slot = slot_of("subterranea", "mayor");
	slot.values[HYDRO_FIELD_FLOW] = -1.5;
	slot.values[HYDRO_FIELD_TOTAL] = 0;
	slot.values[HYDRO_FIELD_LEVEL] = -0.25;
	const char *text = prepared(kit, &slot);
	cr_assert(strstr(text, "\"caudal\":\"-1.50\"") && strstr(text, "\"totalizador\":\"0\"") && strstr(text, "\"nivelFreaticoDelPozo\":\"-0.25\""), "%s", text);
	slot.values[HYDRO_FIELD_FLOW] = 1e6;
	cr_assert_not_null(strstr(prepared(kit, &slot), "\"caudal\":\"1000000.00\""));
	hydro_testkit_close(&kit);
}

Test(dga_format, a_level_is_empty_only_where_the_manual_lets_it)
{
	struct hydro_error err = {.struct_size = sizeof err};
	hydro_testkit *kit = dga_kit(NULL);
	static const struct {
		const char *kind, *option, *field;
	} kinds[] = {{"subterranea", "{\"mine_water\":true}", "\"nivelFreaticoDelPozo\":\"\""}, {"canal", "{\"automatic_gates\":true}", "\"alturaLimnimetrica\":\"\""}};
	for (size_t i = 0; i < 2; i++) {
		const hydro_options *work = NULL;
		hydro_filing_slot slot = slot_of(kinds[i].kind, "muy_pequeno");
		slot.fields &= ~(1u << HYDRO_FIELD_LEVEL);
		cr_assert_not_null(strstr(prepared(kit, &slot), kinds[i].field));
		slot.standard = "menor";
		cr_assert(not_prepared(kit, &slot, "there is no value, and it may not be empty under standard menor"));
		cr_assert_eq(hydro_testkit_work(kit, "{}", &work, &err), HYDRO_OK);
		slot.work = work;
		cr_assert(not_prepared(kit, &slot, "there is no value"));
		cr_assert_eq(hydro_testkit_work(kit, kinds[i].option, &work, &err), HYDRO_OK);
		slot.work = work;
		cr_assert_not_null(strstr(prepared(kit, &slot), kinds[i].field));
		/* The same option on another kind says nothing there. */
		slot.kind = "flujometro";
		cr_assert(not_prepared(kit, &slot, "a work of kind flujometro has no such thing"));
	}
	hydro_testkit_close(&kit);
}

Test(dga_format, standards_have_the_lags_of_the_manual)
{
	hydro_testkit *kit = dga_kit(NULL);
	const hydro_filing_info *info = hydro_testkit_sink(kit)->filing_info(hydro_testkit_instance(kit));
	static const struct {
		const char *name;
		uint32_t every, months, sheet;
		int64_t days;
	} expected[] = {{"mayor", HYDRO_EVERY_HOUR, 0, 0, 7}, {"medio", HYDRO_EVERY_DAY, 0, 1, 15}, {"menor", HYDRO_EVERY_MONTH, 1, 1, 0}, {"muy_pequeno", HYDRO_EVERY_HALF_YEAR, 1, 1, 0}};
	cr_assert_eq(info->standard_count, 4);
	cr_assert_eq(info->utc_offset_s, -14400);
	cr_assert_str_eq(info->valid_from, "2025-07-31");
	for (uint32_t i = 0; i < 4; i++) {
		const hydro_filing_standard *s = &info->standards[i];
		cr_assert_str_eq(s->name, expected[i].name);
		cr_assert_eq(s->every, expected[i].every);
		cr_assert_eq(s->lag_months, expected[i].months);
		cr_assert_eq(s->lag_ms, expected[i].days * 86400000);
		cr_assert_eq(s->flags & HYDRO_STANDARD_BY_SHEET, expected[i].sheet);
		cr_assert_eq(s->empty_fields, i == 3 ? 1u << HYDRO_FIELD_LEVEL : 0u);
	}
	hydro_testkit_close(&kit);
}
