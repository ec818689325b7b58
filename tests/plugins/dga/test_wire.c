/* SPDX-License-Identifier: MIT */
/* Requests: what is sent, what differs between two tries, and what never leaves. */
#include "support.h"

#include <stdio.h>

static const hydro_http_request *posted(hydro_testkit *kit, const hydro_filing_send *send)
{
	struct hydro_error err = {.struct_size = sizeof err};
	const hydro_http_request *request = NULL;
	cr_assert_eq(hydro_testkit_filing_request(kit, send, 0, &request, &err), HYDRO_OK, "%s", err.text);
	return request;
}

Test(dga_wire, a_post_is_as_the_manual_says)
{
	hydro_testkit *kit = dga_kit(NULL);
	hydro_filing_send send = send_of("subterranea", PAYLOAD);
	const hydro_http_request *request = posted(kit, &send);
	cr_assert_eq(request->method, HYDRO_HTTP_POST);
	cr_assert_str_eq(request->url, "https://apimee.mop.gob.cl/api/v1/mediciones/subterraneas");
	cr_assert_str_eq(hydro_testkit_header(request, "codigoObra"), CODE);
	cr_assert_str_eq(hydro_testkit_header(request, "timeStampOrigen"), "2026-01-01T14:00:05-0000");
	cr_assert_str_eq(hydro_testkit_header(request, "Content-Type"), "application/json");
	cr_assert_null(hydro_testkit_header(request, "Authorization"));
	cr_assert_eq(request->body_len, strlen(request->body));
	cr_assert_str_eq(request->body, "{\"autenticacion\":{\"password\":\"una \\\"clave\\\" \\\\ ñ\\u000a\",\"rutEmpresa\":\"76086428-5\",\"rutUsuario\":\"12531909-2\"},"
					"\"medicionSubterranea\":" PAYLOAD "}");
	hydro_testkit_close(&kit);
}

Test(dga_wire, each_kind_has_its_path_and_object)
{
	static const struct {
		const char *kind, *path, *object, *payload;
	} kinds[] = {{"subterranea", "/subterraneas", "},\"medicionSubterranea\":{", PAYLOAD},
		     {"flujometro", "/superficiales/flujometro", "},\"medicionSuperficialFlujometro\":{", PAYLOAD},
		     {"canal", "/superficiales", "},\"medicionSuperficial\":{", CHANNEL_PAYLOAD}};
	hydro_testkit *kit = dga_kit("{\"base_url\":\"http://127.0.0.1:9/x/\"}");
	struct hydro_error err = {.struct_size = sizeof err};
	for (size_t i = 0; i < 3; i++) {
		char url[128];
		hydro_filing_send send = send_of(kinds[i].kind, kinds[i].payload);
		const hydro_http_request *request = posted(kit, &send);
		(void)snprintf(url, sizeof url, "http://127.0.0.1:9/x%s", kinds[i].path);
		cr_assert_str_eq(request->url, url);
		cr_assert_not_null(strstr(request->body, kinds[i].object));
		send.receipt = "aB3/ &x";
		send.secret = NULL;
		cr_assert_eq(hydro_testkit_filing_request(kit, &send, 1, &request, &err), HYDRO_OK, "%s", err.text);
		cr_assert_eq(request->method, HYDRO_HTTP_GET);
		(void)snprintf(url, sizeof url, "http://127.0.0.1:9/x%s?codigoObra=OB-0101-7&numeroComprobante=aB3%%2F%%20%%26x", kinds[i].path);
		cr_assert_str_eq(request->url, url);
		cr_assert_eq(request->body_len, 0);
	}
	hydro_testkit_close(&kit);
}

Test(dga_wire, two_tries_differ_in_their_time_alone)
{
	hydro_testkit *kit = dga_kit(NULL);
	hydro_filing_send send = send_of("subterranea", PAYLOAD);
	char *body = strdup(posted(kit, &send)->body), *url = strdup(posted(kit, &send)->url);
	send.now_ms += 86400000;
	hydro_testkit_set_scratch(kit, 0);
	const hydro_http_request *again = posted(kit, &send);
	cr_assert_str_eq(again->body, body);
	cr_assert_str_eq(again->url, url);
	cr_assert_str_eq(hydro_testkit_header(again, "timeStampOrigen"), "2026-01-02T14:00:05-0000");
	cr_assert_gt(hydro_testkit_scratch_calls(kit), 1);
	free(body);
	free(url);
	hydro_testkit_close(&kit);
}

Test(dga_wire, the_origins_form_is_an_option)
{
	static const struct {
		const char *options, *text;
	} forms[] = {{"{\"origin\":\"utc4_0000\"}", "2026-01-01T14:00:05-0000"},
		     {"{\"origin\":\"utc_0000\"}", "2026-01-01T18:00:05-0000"},
		     {"{\"origin\":\"utc4_0400\"}", "2026-01-01T14:00:05-0400"},
		     {"{\"origin\":\"utc_z\"}", "2026-01-01T18:00:05Z"}};
	for (size_t i = 0; i < 4; i++) {
		hydro_testkit *kit = dga_kit(forms[i].options);
		hydro_filing_send send = send_of("subterranea", PAYLOAD);
		cr_assert_str_eq(hydro_testkit_header(posted(kit, &send), "timeStampOrigen"), forms[i].text);
		hydro_testkit_close(&kit);
	}
}

static bool not_sent(hydro_testkit *kit, const hydro_filing_send *send, const char *why)
{
	struct hydro_error err = {.struct_size = sizeof err};
	const hydro_http_request *request = NULL;
	int32_t rc = hydro_testkit_filing_request(kit, send, 0, &request, &err);
	if (rc == HYDRO_E_INVALID && strstr(err.text, why) && !strstr(err.text, "clave"))
		return true;
	(void)fprintf(stderr, "%d: %s\n", (int)rc, err.text);
	return false;
}

Test(dga_wire, what_cannot_be_right_is_not_sent)
{
	hydro_testkit *kit = dga_kit(NULL);
	const hydro_filing_send good = send_of("subterranea", PAYLOAD);
	hydro_filing_send send = good;
	send.centre = "76086428-6";
	cr_assert(not_sent(kit, &send, "rutEmpresa"));
	send = good;
	send.informant = NULL;
	cr_assert(not_sent(kit, &send, "rutUsuario"));
	send = good;
	send.secret = "";
	cr_assert(not_sent(kit, &send, "password"));
	send = good;
	send.code = "OB";
	cr_assert(not_sent(kit, &send, "codigoObra"));
	send = good;
	send.kind = "otro";
	cr_assert(not_sent(kit, &send, "kind"));
	send = good;
	send.payload_len--;
	cr_assert(not_sent(kit, &send, "payload"));
	send = send_of("subterranea", CHANNEL_PAYLOAD);
	cr_assert(not_sent(kit, &send, "the payload has no nivelFreaticoDelPozo: it was prepared for another kind"));
	hydro_testkit_close(&kit);
}

Test(dga_wire, a_password_does_not_travel_in_the_clear)
{
	static const struct {
		const char *options;
		int32_t rc;
	} cases[] = {{"{\"base_url\":\"http://dga.example/api/\"}", HYDRO_E_CONFIG}, {"{\"base_url\":\"http://127.0.0.1.example/\"}", HYDRO_E_CONFIG},
		     {"{\"base_url\":\"http://localhost:8080/\"}", HYDRO_OK},       {"{\"base_url\":\"http://[::1]:8080\"}", HYDRO_OK},
		     {"{\"base_url\":\"https://dga.example/api?x=1\"}", HYDRO_E_CONFIG}, {"{\"base_url\":\"http://dga.example/\",\"plain_http\":true}", HYDRO_OK}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct hydro_error err = {.struct_size = sizeof err};
		hydro_testkit *kit = NULL;
		cr_assert_eq(hydro_testkit_open(hydro_plugin_entry, &kit, &err), HYDRO_OK, "%s", err.text);
		cr_assert_eq(hydro_testkit_create(kit, cases[i].options, &err), cases[i].rc, "%s", cases[i].options);
		if (cases[i].rc != HYDRO_OK)
			cr_assert_not_null(strstr(err.text, "base_url"));
		hydro_testkit_close(&kit);
	}
}
