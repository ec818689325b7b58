/* SPDX-License-Identifier: MIT */
/* Answers of the DGA: byte 0 chooses the HTTP status and the kind, the rest is the body, read as that of a POST and as that of a GET. */
#include "fuzz_provider.h"

#define PAYLOAD "{\"caudal\":\"25.70\",\"fechaMedicion\":\"2026-01-01\",\"horaMedicion\":\"14:00:00\",\"nivelFreaticoDelPozo\":\"3.00\",\"totalizador\":\"1234500\"}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t statuses[] = {200, 200, 200, 400, 400, 201, 403, 404, 429, 500, 503, 302, 200, 400, 409, 204};
	static const char *const kinds[] = {"subterranea", "flujometro", "canal", "subterranea"};
	static hydro_testkit *kit;
	struct hydro_error err = {.struct_size = sizeof err};
	if (!kit) {
		FUZZ_CHECK(hydro_testkit_open(hydro_plugin_entry, &kit, &err) == HYDRO_OK);
		FUZZ_CHECK(hydro_testkit_create(kit, NULL, &err) == HYDRO_OK);
	}
	if (size < 1)
		return 0;
	uint32_t status = statuses[data[0] & 15];
	const char *body = (const char *)data + 1;
	hydro_filing_send send = {.struct_size = sizeof send, .payload_len = sizeof PAYLOAD - 1, .code = "OB-0101-7", .kind = kinds[data[0] >> 4 & 3], .payload = PAYLOAD,
				  .centre = "76086428-5", .informant = "12531909-2", .secret = "hush"};
	hydro_filing_answer answer;
	hydro_filing_check check;
	FUZZ_CHECK(hydro_testkit_filing_parse(kit, &send, status, NULL, body, size - 1, &answer, &err) == HYDRO_OK);
	FUZZ_CHECK(answer.outcome >= HYDRO_FILING_FILED && answer.outcome <= HYDRO_FILING_BLOCKED);
	FUZZ_CHECK(memchr(answer.receipt, '\0', sizeof answer.receipt) && memchr(answer.text, '\0', sizeof answer.text));
	FUZZ_CHECK(answer.outcome != HYDRO_FILING_FILED || (answer.receipt[0] && status / 100 == 2));
	FUZZ_CHECK(answer.outcome != HYDRO_FILING_DUPLICATE || (answer.receipt[0] && status < 500));
	FUZZ_CHECK(status < 500 || answer.outcome == HYDRO_FILING_REFUSED || answer.outcome == HYDRO_FILING_BLOCKED);
	FUZZ_CHECK(hydro_testkit_filing_check_parse(kit, &send, status, NULL, body, size - 1, &check, &err) == HYDRO_OK);
	FUZZ_CHECK(check.outcome >= HYDRO_CHECK_SAME && check.outcome <= HYDRO_CHECK_BLOCKED);
	FUZZ_CHECK(memchr(check.text, '\0', sizeof check.text) != NULL);
	FUZZ_CHECK(check.outcome != HYDRO_CHECK_SAME || status / 100 == 2);
	FUZZ_CHECK(check.outcome != HYDRO_CHECK_DIFFERS || (check.text[0] && status / 100 == 2));
	return 0;
}
