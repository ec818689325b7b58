/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <stdio.h>

hydro_testkit *dga_kit(const char *options)
{
	struct hydro_error err = {.struct_size = sizeof err};
	hydro_testkit *kit = NULL;
	cr_assert_eq(hydro_testkit_open(hydro_plugin_entry, &kit, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(hydro_testkit_create(kit, options, &err), HYDRO_OK, "%s", err.text);
	return kit;
}

hydro_filing_slot slot_of(const char *kind, const char *standard)
{
	hydro_filing_slot slot = {.struct_size = sizeof slot, .fields = 7, .code = CODE, .kind = kind, .standard = standard, .due_ms = DUE, .measured_ms = DUE - 125500};
	slot.values[HYDRO_FIELD_FLOW] = 25.7;
	slot.values[HYDRO_FIELD_TOTAL] = 1234500;
	slot.values[HYDRO_FIELD_LEVEL] = 3;
	return slot;
}

hydro_filing_send send_of(const char *kind, const char *payload)
{
	return (hydro_filing_send){.struct_size = sizeof(hydro_filing_send), .payload_len = (uint32_t)strlen(payload), .code = CODE, .kind = kind, .payload = payload,
				   .centre = CENTRE, .informant = INFORMANT, .secret = PASSWORD, .now_ms = DUE + 5000};
}

static int32_t prepare(hydro_testkit *kit, const hydro_filing_slot *slot, hydro_filing_payload *ret, struct hydro_error *err)
{
	return hydro_testkit_sink(kit)->filing_prepare(hydro_testkit_instance(kit), slot, ret, err);
}

const char *prepared(hydro_testkit *kit, const hydro_filing_slot *slot)
{
	static hydro_filing_payload payload;
	struct hydro_error err = {.struct_size = sizeof err};
	payload = (hydro_filing_payload){.struct_size = sizeof payload};
	cr_assert_eq(prepare(kit, slot, &payload, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(payload.len, strlen(payload.text));
	return payload.text;
}

bool not_prepared(hydro_testkit *kit, const hydro_filing_slot *slot, const char *why)
{
	hydro_filing_payload payload = {.struct_size = sizeof payload};
	struct hydro_error err = {.struct_size = sizeof err};
	int32_t rc = prepare(kit, slot, &payload, &err);
	if (rc == HYDRO_E_INVALID && strstr(err.text, why))
		return true;
	(void)fprintf(stderr, "%d: %s\n", (int)rc, rc == HYDRO_OK ? payload.text : err.text);
	return false;
}

hydro_filing_answer answer_of(hydro_testkit *kit, uint32_t status, const char *body)
{
	struct hydro_error err = {.struct_size = sizeof err};
	hydro_filing_send send = send_of("subterranea", PAYLOAD);
	hydro_filing_answer answer;
	cr_assert_eq(hydro_testkit_filing_parse(kit, &send, status, NULL, body, strlen(body), &answer, &err), HYDRO_OK, "%s", err.text);
	return answer;
}

hydro_filing_check check_of(hydro_testkit *kit, const hydro_filing_send *send, uint32_t status, const char *body)
{
	struct hydro_error err = {.struct_size = sizeof err};
	hydro_filing_check check;
	cr_assert_eq(hydro_testkit_filing_check_parse(kit, send, status, NULL, body, strlen(body), &check, &err), HYDRO_OK, "%s", err.text);
	return check;
}

char *recorded(const char *file)
{
	char path[512];
	(void)snprintf(path, sizeof path, "%s/tests/fixtures/recorded/%s", HD_SOURCE_DIR, file);
	FILE *f = fopen(path, "rb");
	cr_assert(f != NULL, "%s", path);
	char *bytes = calloc(1, 65536);
	cr_assert_not_null(bytes);
	cr_assert_gt(fread(bytes, 1, 65535, f), 0);
	(void)fclose(f);
	return bytes;
}
