/* SPDX-License-Identifier: MIT */
/* What a person or a meter may give: numbers, times, codes, identifiers, passwords. Refused in words, or sent and read back. */
#include "dga.h"
#include "fuzz_provider.h"

#include <cjson/cJSON.h>
#include <math.h>

struct input {
	double values[HYDRO_FIELDS];
	int64_t due_ms;
	uint8_t fields, kind, standard, rest;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The text is the value, rounded to its decimals. */
static void check_number(double value, const char *text, uint32_t decimals)
{
	double unit = decimals ? 0.01 : 1.0;
	char *end;
	FUZZ_CHECK(strspn(text, "-0123456789.") == strlen(text) && strcmp(text, "-0.00") != 0 && strcmp(text, "-0") != 0);
	FUZZ_CHECK(decimals ? strlen(text) > 3 && text[strlen(text) - 3] == '.' : !strchr(text, '.'));
	double there = strtod(text, &end);
	FUZZ_CHECK(!*end && fabs(there - value) <= unit * 0.5 + fabs(value) * 1e-15);
}

static void check_texts(const char *text)
{
	struct hydro_error err = {.struct_size = sizeof err};
	FUZZ_CHECK(dga_check_rut("x", text, &err) == HYDRO_OK || err.text[0]);
	FUZZ_CHECK(dga_check_code("x", text, &err) == HYDRO_OK || err.text[0]);
}

/* Any password is the text that a JSON reader finds in the body. */
static void check_password(hydro_testkit *kit, const hydro_filing_payload *payload, const char *kind, const char *password)
{
	struct hydro_error err = {.struct_size = sizeof err};
	const hydro_http_request *request = NULL;
	hydro_filing_send send = {.struct_size = sizeof send, .payload_len = payload->len, .code = "OB-0101-7", .kind = kind, .payload = payload->text,
				  .centre = "76086428-5", .informant = "12531909-2", .secret = password, .now_ms = INT64_C(1767290400000)};
	if (hydro_testkit_filing_request(kit, &send, 0, &request, &err) != HYDRO_OK) {
		FUZZ_CHECK(err.text[0] && !*password);
		return;
	}
	cJSON *json = cJSON_ParseWithLength(request->body, (size_t)request->body_len);
	const char *there = cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "autenticacion"), "password"));
	FUZZ_CHECK(there && strcmp(there, password) == 0);
	cJSON_Delete(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const kinds[] = {"subterranea", "flujometro", "canal", "x"}, *const standards[] = {"mayor", "medio", "menor", "muy_pequeno"};
	static hydro_testkit *kit;
	struct hydro_error err = {.struct_size = sizeof err};
	struct input in;
	if (!kit) {
		FUZZ_CHECK(hydro_testkit_open(hydro_plugin_entry, &kit, &err) == HYDRO_OK);
		FUZZ_CHECK(hydro_testkit_create(kit, NULL, &err) == HYDRO_OK);
	}
	if (size < sizeof in)
		return 0;
	memcpy(&in, data, sizeof in);
	char *text = strndup((const char *)data + sizeof in, size - sizeof in);
	FUZZ_CHECK(text != NULL);
	check_texts(text);
	hydro_filing_slot slot = {.struct_size = sizeof slot, .fields = in.fields & 7u, .code = "OB-0101-7", .kind = kinds[in.kind & 3], .standard = standards[in.standard & 3], .due_ms = in.due_ms};
	memcpy(slot.values, in.values, sizeof in.values);
	hydro_filing_payload payload = {.struct_size = sizeof payload};
	if (hydro_testkit_sink(kit)->filing_prepare(hydro_testkit_instance(kit), &slot, &payload, &err) == HYDRO_OK) {
		cJSON *json = cJSON_ParseWithLength(payload.text, payload.len);
		FUZZ_CHECK(json != NULL);
		check_number(in.values[HYDRO_FIELD_FLOW], cJSON_GetStringValue(cJSON_GetObjectItem(json, "caudal")), 2);
		const char *total = cJSON_GetStringValue(cJSON_GetObjectItem(json, "totalizador"));
		if (total) {
			check_number(in.values[HYDRO_FIELD_TOTAL], total, 0);
			FUZZ_CHECK(strlen(total) <= 15);
		}
		cJSON_Delete(json);
		check_password(kit, &payload, slot.kind, text);
	} else {
		FUZZ_CHECK(err.text[0]);
	}
	free(text);
	return 0;
}
