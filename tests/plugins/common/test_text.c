/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "text.h"

#include <string.h>

static char memory[4096] __attribute__((aligned(16)));

static hydro_scratch scratch_of(size_t size)
{
	return (hydro_scratch){.mem = memory, .size = size};
}

static const char *url_of(const char *s)
{
	static hydro_scratch scratch;
	struct text t;
	scratch = scratch_of(sizeof memory);
	text_begin(&t, &scratch);
	text_put_url(&t, s);
	return text_end(&t);
}

static const char *date_of(int64_t ms, enum text_date format, bool up)
{
	static hydro_scratch scratch;
	struct text t;
	scratch = scratch_of(sizeof memory);
	text_begin(&t, &scratch);
	text_put_date(&t, ms, format, up);
	return text_end(&t);
}

Test(text, urls_are_escaped_to_the_unreserved_characters)
{
	cr_assert_str_eq(url_of("AZaz09-._~"), "AZaz09-._~");
	cr_assert_str_eq(url_of("a b/c?d=e&f#g%h+i"), "a%20b%2Fc%3Fd%3De%26f%23g%25h%2Bi");
	cr_assert_str_eq(url_of("ca\xc3\xb1" "o\r\n\x7f\xff"), "ca%C3%B1o%0D%0A%7F%FF");
	cr_assert_str_eq(url_of(""), "");
}

Test(text, dates_have_the_formats_and_round_so_that_a_window_loses_nothing)
{
	cr_assert_str_eq(date_of(INT64_C(1767225600000), TEXT_DATE_ISO, false), "2026-01-01T00:00:00.000Z");
	cr_assert_str_eq(date_of(INT64_C(1767225599999), TEXT_DATE_ISO, true), "2025-12-31T23:59:59.999Z");
	cr_assert_str_eq(date_of(INT64_C(1767225599999), TEXT_DATE_COMPACT, false), "20251231235959");
	cr_assert_str_eq(date_of(INT64_C(1767225599001), TEXT_DATE_COMPACT, true), "20260101000000");
	cr_assert_str_eq(date_of(INT64_C(1767225599001), TEXT_DATE_S, false), "1767225599");
	cr_assert_str_eq(date_of(INT64_C(1767225599001), TEXT_DATE_S, true), "1767225600");
	cr_assert_str_eq(date_of(INT64_C(1767225599001), TEXT_DATE_MS, true), "1767225599001");
}

Test(text, json_strings_are_escaped)
{
	hydro_scratch scratch = scratch_of(sizeof memory);
	struct text t;
	text_begin(&t, &scratch);
	text_put_json(&t, "a\"b\\c\nd\x01\xc3\xa1");
	cr_assert_str_eq(text_end(&t), "a\\\"b\\\\c\\u000ad\\u0001\xc3\xa1");
}

Test(text, a_scratch_that_is_too_small_says_what_would_do)
{
	static const char long_text[] = "0123456789012345678901234567890123456789";
	for (size_t size = 0; size < sizeof long_text; size++) {
		hydro_scratch scratch = scratch_of(size);
		struct text t;
		memset(memory, 'x', sizeof memory);
		text_begin(&t, &scratch);
		text_put(&t, long_text);
		cr_assert_null(text_end(&t));
		cr_assert_eq(scratch.wanted, sizeof long_text);
		cr_assert_eq(memory[size], 'x', "written beyond %zu", size);
	}
	hydro_scratch scratch = scratch_of(sizeof long_text);
	struct text t;
	text_begin(&t, &scratch);
	text_put(&t, long_text);
	cr_assert_str_eq(text_end(&t), long_text);
}

Test(text, what_a_header_or_a_path_cannot_carry_is_known)
{
	cr_assert(text_is_header_value("Bearer abc.def"));
	cr_assert_not(text_is_header_value(""));
	cr_assert_not(text_is_header_value("a\r\nX-Evil: 1"));
	cr_assert_not(text_is_header_value("a\tb"));
	cr_assert_not(text_is_header_value(" a"));
	cr_assert_not(text_is_header_value("a "));
	cr_assert_not(text_is_header_value("caf\xc3\xa9"));
	cr_assert(text_is_segment("a/b"));
	cr_assert(text_is_segment("..."));
	cr_assert_not(text_is_segment(""));
	cr_assert_not(text_is_segment("."));
	cr_assert_not(text_is_segment(".."));
}
