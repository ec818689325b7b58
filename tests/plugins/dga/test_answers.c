/* SPDX-License-Identifier: MIT */
/* The table of answers, and the check by receipt. */
#include "support.h"

#include <stdio.h>

Test(dga_answers, recorded_answers_come_to_their_outcome)
{
	static const struct {
		const char *file;
		uint32_t status, outcome;
		const char *receipt, *text;
	} cases[] = {
		{"dga_filed.json", 200, HYDRO_FILING_FILED, "qK3vTz0RbX8mPw5YcE2nLs7HdJ4uGa19", "Medición subterránea ingresada correctamente"},
		{"dga_filed.json", 201, HYDRO_FILING_FILED, "qK3vTz0RbX8mPw5YcE2nLs7HdJ4uGa19", ""},
		{"dga_no_receipt.json", 200, HYDRO_FILING_NO_RECEIPT, "", "Medición superficial ingresada correctamente"},
		{"dga_duplicate.json", 400, HYDRO_FILING_DUPLICATE, "W7fQx2LmZp9sDk4TbV1yRc6NhG8eJu30", "Ya existe"},
		{"dga_duplicate.json", 409, HYDRO_FILING_DUPLICATE, "W7fQx2LmZp9sDk4TbV1yRc6NhG8eJu30", ""},
		{"dga_not_informant.json", 400, HYDRO_FILING_HELD, "", "Usuario no es el informante"},
		{"dga_refused.json", 400, HYDRO_FILING_REFUSED, "", "Error interno al procesar la medición"},
		{"dga_refused.json", 200, HYDRO_FILING_REFUSED, "", ""},
		{"dga_refused.json", 500, HYDRO_FILING_REFUSED, "", ""},
		/* A server that fails says nothing, whatever it says. */
		{"dga_filed.json", 500, HYDRO_FILING_REFUSED, "", ""},
		{"dga_filed.json", 302, HYDRO_FILING_REFUSED, "", ""},
		{"dga_refused.json", 403, HYDRO_FILING_BLOCKED, "", ""},
		{"dga_waf.html", 200, HYDRO_FILING_BLOCKED, "", "HTTP 200 without JSON"},
		{"dga_waf.html", 403, HYDRO_FILING_BLOCKED, "", "HTTP 403"},
		{"dga_not_informant.json", 403, HYDRO_FILING_HELD, "", ""},
	};
	hydro_testkit *kit = dga_kit(NULL);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *body = recorded(cases[i].file);
		hydro_filing_answer answer = answer_of(kit, cases[i].status, body);
		cr_assert_eq(answer.outcome, cases[i].outcome, "%s %u: %u", cases[i].file, cases[i].status, answer.outcome);
		cr_assert_str_eq(answer.receipt, cases[i].receipt);
		cr_assert_not_null(strstr(answer.text, cases[i].text), "%s", answer.text);
		free(body);
	}
	hydro_testkit_close(&kit);
}

Test(dga_answers, receipts_are_kept_exactly)
{
	hydro_testkit *kit = dga_kit(NULL);
	static const struct {
		const char *body, *receipt;
		uint32_t outcome;
	} cases[] = {
		{"{\"status\":\"00\",\"data\":{\"numeroComprobante\":\" a-B/9 \"}}", " a-B/9 ", HYDRO_FILING_FILED},
		{"{\"status\":\"00\",\"data\":{\"numeroComprobante\":\"\\u00e1\\\"b\"}}", "á\"b", HYDRO_FILING_FILED},
		{"{\"status\":\"00\",\"data\":{\"numeroComprobante\":0012}}", "", HYDRO_FILING_REFUSED}, /* no JSON */
		{"{\"status\":\"00\",\"data\":{\"numeroComprobante\":12345678901234567890}}", "12345678901234567890", HYDRO_FILING_FILED},
		{"{\"status\":\"00\",\"data\":{\"numeroComprobante\":\"\"}}", "", HYDRO_FILING_NO_RECEIPT},
		{"{\"status\":\"00\",\"data\":{\"numeroComprobante\":null}}", "", HYDRO_FILING_NO_RECEIPT},
		{"{\"status\":\"00\",\"data\":null}", "", HYDRO_FILING_NO_RECEIPT},
		{"{\"status\":\"00\"}", "", HYDRO_FILING_NO_RECEIPT},
		{"{\"status\":\"00\",\"data\":{\"numeroComprobante\":\"0123456789012345678901234567890123456789012345678901234567890123\"}}", "", HYDRO_FILING_NO_RECEIPT},
		{"{\"status\":\"00\",\"data\":{\"numeroComprobante\":\"012345678901234567890123456789012345678901234567890123456789012\"}}",
		 "012345678901234567890123456789012345678901234567890123456789012", HYDRO_FILING_FILED},
		/* The manual's §5.1 says Code where its JSON says status. */
		{"{\"Code\":\"00\",\"data\":{\"numeroComprobante\":\"x1\"}}", "x1", HYDRO_FILING_FILED},
		{"{\"Code\":\"00\",\"status\":\"07\",\"data\":{\"numeroComprobante\":\"x1\"}}", "", HYDRO_FILING_REFUSED},
		{"{\"status\":\"07\",\"Code\":\"00\",\"data\":{\"numeroComprobante\":\"x1\"}}", "", HYDRO_FILING_REFUSED},
		{"{\"status\":\"0\",\"data\":{\"numeroComprobante\":\"x1\"}}", "", HYDRO_FILING_REFUSED},
		{"{\"status\":0,\"data\":{\"numeroComprobante\":\"x1\"}}", "", HYDRO_FILING_REFUSED},
		{"{\"status\":\"000\",\"data\":{\"numeroComprobante\":\"x1\"}}", "", HYDRO_FILING_REFUSED},
		{"{\"message\":\"ingresada correctamente\",\"data\":{\"numeroComprobante\":\"x1\"}}", "", HYDRO_FILING_REFUSED},
		{"[{\"status\":\"00\"}]", "", HYDRO_FILING_REFUSED},
		{"", "", HYDRO_FILING_REFUSED},
		{"<html>502 Bad Gateway</html>", "", HYDRO_FILING_REFUSED},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		hydro_filing_answer answer = answer_of(kit, 200, cases[i].body);
		cr_assert_eq(answer.outcome, cases[i].outcome, "%s: %u", cases[i].body, answer.outcome);
		cr_assert_str_eq(answer.receipt, cases[i].receipt, "%s: %s", cases[i].body, answer.receipt);
	}
	hydro_testkit_close(&kit);
}

Test(dga_answers, the_duplicates_receipt_is_found_in_any_case)
{
	static const struct {
		const char *message, *receipt;
		uint32_t outcome;
	} cases[] = {
		{"YA EXISTE UN REGISTRO EN ESA FECHA, HORA PARA LA OBRA. COMPROBANTE: Ab9", "Ab9", HYDRO_FILING_DUPLICATE},
		{"ya existe un registro; comprobante:Ab9.", "Ab9", HYDRO_FILING_DUPLICATE},
		{"Ya existe un registro. Comprobante: \\t\\n Ab9 y otro", "Ab9", HYDRO_FILING_DUPLICATE},
		{"Ya existe un registro. Comprobante: , Comprobante: Zz", "Zz", HYDRO_FILING_DUPLICATE},
		{"Ya existe un registro en esa fecha, hora para la obra.", "", HYDRO_FILING_NO_RECEIPT},
		{"Ya existe un registro. Comprobante:", "", HYDRO_FILING_NO_RECEIPT},
		{"Falta el comprobante: Ab9", "", HYDRO_FILING_REFUSED},
	};
	hydro_testkit *kit = dga_kit(NULL);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char body[512];
		(void)snprintf(body, sizeof body, "{\"status\":\"01\",\"message\":\"%s\",\"data\":null}", cases[i].message);
		hydro_filing_answer answer = answer_of(kit, 400, body);
		cr_assert_eq(answer.outcome, cases[i].outcome, "%s: %u", cases[i].message, answer.outcome);
		cr_assert_str_eq(answer.receipt, cases[i].receipt);
	}
	hydro_testkit_close(&kit);
}

Test(dga_answers, long_and_broken_texts_are_shortened_whole)
{
	hydro_testkit *kit = dga_kit(NULL);
	char body[8192] = "{\"status\":\"99\",\"message\":\"";
	for (int i = 0; i < 1500; i++)
		strcat(body, "ñ");
	strcat(body, "\"}");
	hydro_filing_answer answer = answer_of(kit, 400, body);
	cr_assert_eq(answer.outcome, HYDRO_FILING_REFUSED);
	cr_assert_eq(strlen(answer.text) % 2, 0, "half a character is left");
	hydro_testkit_close(&kit);
}

Test(dga_answers, every_cut_and_changed_byte_is_never_success_by_chance)
{
	hydro_testkit *kit = dga_kit(NULL);
	struct hydro_error err = {.struct_size = sizeof err};
	hydro_filing_send send = send_of("subterranea", PAYLOAD);
	char *body = recorded("dga_filed.json");
	size_t len = strlen(body);
	for (size_t cut = 0; cut < len; cut++) {
		hydro_filing_answer answer;
		cr_assert_eq(hydro_testkit_filing_parse(kit, &send, 200, NULL, body, cut, &answer, &err), HYDRO_OK);
		cr_assert_eq(answer.outcome, HYDRO_FILING_REFUSED, "cut at %zu", cut);
	}
	free(body);
	body = recorded("dga_stored.json");
	len = strlen(body);
	for (size_t at = 0; at < len; at++)
		for (int bit = 0; bit < 8; bit++) {
			hydro_filing_check check;
			body[at] ^= (char)(1 << bit);
			cr_assert_eq(hydro_testkit_filing_check_parse(kit, &send, 200, NULL, body, len, &check, &err), HYDRO_OK);
			bool inside = strstr(body, "\"data\":{") && at > (size_t)(strstr(body, "\"data\":{") - body) + 7 && at < len - 2;
			if (inside && check.outcome == HYDRO_CHECK_SAME) {
				/* Only the case of a name's letter may change. */
				cr_assert_eq(bit, 5, "byte %zu bit %d: %s", at, bit, body);
			}
			body[at] ^= (char)(1 << bit);
		}
	free(body);
	hydro_testkit_close(&kit);
}

Test(dga_answers, what_is_stored_is_compared_as_numbers)
{
	hydro_testkit *kit = dga_kit(NULL);
	hydro_filing_send send = send_of("subterranea", PAYLOAD), channel = send_of("canal", CHANNEL_PAYLOAD);
	send.secret = channel.secret = NULL;
	char *body = recorded("dga_stored.json");
	cr_assert_eq(check_of(kit, &send, 200, body).outcome, HYDRO_CHECK_SAME);
	free(body);
	body = recorded("dga_stored_channel.json");
	cr_assert_eq(check_of(kit, &channel, 200, body).outcome, HYDRO_CHECK_SAME);
	free(body);
	static const struct {
		const char *data;
		uint32_t outcome;
		const char *text;
	} cases[] = {
		{"\"caudal\":25.7,\"fechaMedicion\":\"01-01-2026\",\"horaMedicion\":\"14:00\",\"nivelfreaticoDelPozo\":\"3.000\",\"totalizador\":1234500", HYDRO_CHECK_SAME, ""},
		{"\"caudal\":\"25.70\",\"fechaMedicion\":\"2026-01-01\",\"horaMedicion\":\"14:00:00\",\"nivelFreaticoDelPozo\":\"3\",\"totalizador\":\"1234500\",\"otro\":[1]", HYDRO_CHECK_SAME, ""},
		{"\"caudal\":\"1.11\",\"fechaMedicion\":\"01-01-2026\",\"horaMedicion\":\"13:00:00\",\"nivelFreaticoDelPozo\":\"3\",\"totalizador\":\"1234500\"", HYDRO_CHECK_DIFFERS,
		 "caudal 25.70 -> 1.11; horaMedicion 14:00:00 -> 13:00:00"},
		{"\"caudal\":\"25.7\",\"fechaMedicion\":\"02-01-2026\",\"horaMedicion\":\"14:00:00\",\"nivelFreaticoDelPozo\":\"\"", HYDRO_CHECK_DIFFERS,
		 "fechaMedicion 2026-01-01 -> 02-01-2026; nivelFreaticoDelPozo 3.00 -> \"\"; totalizador 1234500 -> (falta)"},
		{"\"caudal\":\"25,7\",\"fechaMedicion\":\"01-01-2026\",\"horaMedicion\":\"14:00:00\",\"nivelFreaticoDelPozo\":\"3\",\"totalizador\":\"1234500\"", HYDRO_CHECK_DIFFERS, "caudal 25.70 -> 25,7"},
		{"\"caudal\":true,\"fechaMedicion\":\"01-01-2026\",\"horaMedicion\":\"14:00:00\",\"nivelFreaticoDelPozo\":\"3\",\"totalizador\":\"1234500\"", HYDRO_CHECK_DIFFERS, "caudal 25.70 -> (?)"},
		{"", HYDRO_CHECK_ABSENT, ""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[1024];
		(void)snprintf(text, sizeof text, "{\"status\":\"00\",\"message\":\"\",\"data\":{%s}}", cases[i].data);
		hydro_filing_check check = check_of(kit, &send, 200, text);
		cr_assert_eq(check.outcome, cases[i].outcome, "%s: %u %s", cases[i].data, check.outcome, check.text);
		if (cases[i].outcome == HYDRO_CHECK_DIFFERS)
			cr_assert_str_eq(check.text, cases[i].text);
	}
	hydro_testkit_close(&kit);
}

Test(dga_answers, an_empty_level_is_the_same_as_none)
{
	hydro_testkit *kit = dga_kit(NULL);
	hydro_filing_send send = send_of("canal", "{\"alturaLimnimetrica\":\"\",\"caudal\":\"1.00\",\"fechaMedicion\":\"2026-01-01\",\"horaMedicion\":\"00:00:00\"}");
	static const char *const levels[] = {"\"alturaLimnimetrica\":\"\",", "\"alturaLimnimetrica\":null,", ""};
	for (size_t i = 0; i < 3; i++) {
		char text[512];
		(void)snprintf(text, sizeof text, "{\"status\":\"00\",\"data\":{%s\"caudal\":\"1\",\"fechaMedicion\":\"01-01-2026\",\"horaMedicion\":\"00:00:00\"}}", levels[i]);
		cr_assert_eq(check_of(kit, &send, 200, text).outcome, HYDRO_CHECK_SAME, "%s", levels[i]);
	}
	cr_assert_eq(check_of(kit, &send, 200, "{\"status\":\"00\",\"data\":{\"alturaLimnimetrica\":\"0\",\"caudal\":\"1\",\"fechaMedicion\":\"01-01-2026\",\"horaMedicion\":\"00:00:00\"}}").outcome,
		     HYDRO_CHECK_DIFFERS);
	hydro_testkit_close(&kit);
}

Test(dga_answers, what_does_not_tell_is_asked_again_later)
{
	hydro_testkit *kit = dga_kit(NULL);
	hydro_filing_send send = send_of("subterranea", PAYLOAD);
	char *absent = recorded("dga_absent.json"), *waf = recorded("dga_waf.html"), *stored = recorded("dga_stored.json");
	cr_assert_eq(check_of(kit, &send, 404, absent).outcome, HYDRO_CHECK_ABSENT);
	cr_assert_eq(check_of(kit, &send, 400, absent).outcome, HYDRO_CHECK_ABSENT);
	cr_assert_eq(check_of(kit, &send, 200, absent).outcome, HYDRO_CHECK_ABSENT);
	cr_assert_eq(check_of(kit, &send, 200, "{\"status\":\"00\",\"data\":null}").outcome, HYDRO_CHECK_ABSENT);
	cr_assert_eq(check_of(kit, &send, 404, "<html>404 Not Found</html>").outcome, HYDRO_CHECK_UNCLEAR);
	cr_assert_eq(check_of(kit, &send, 500, absent).outcome, HYDRO_CHECK_UNCLEAR);
	cr_assert_eq(check_of(kit, &send, 503, stored).outcome, HYDRO_CHECK_UNCLEAR);
	cr_assert_eq(check_of(kit, &send, 200, "").outcome, HYDRO_CHECK_UNCLEAR);
	cr_assert_eq(check_of(kit, &send, 200, "{\"status\":\"99\",\"message\":\"Error\"}").outcome, HYDRO_CHECK_UNCLEAR);
	cr_assert_eq(check_of(kit, &send, 403, waf).outcome, HYDRO_CHECK_BLOCKED);
	cr_assert_eq(check_of(kit, &send, 200, waf).outcome, HYDRO_CHECK_BLOCKED);
	free(absent);
	free(waf);
	free(stored);
	hydro_testkit_close(&kit);
}
