/* SPDX-License-Identifier: MIT */
/* /api/v1/dga over the real server with a ledger and the built dga plugin, without an engine: what needs one answers 501. */
#include "../filing/dga_kit.h"
#include "world.h"

#define DGA "/api/v1/dga/"
#define HOUR INT64_C(3600000)

struct lab {
	struct api_world api;
	struct dga_kit dga;
};

static void begin(struct lab *lab)
{
	dga_kit_begin(&lab->dga);
	api_world_begin_with(&lab->api, lab->dga.ledger.ledger, lab->dga.adapters);
}

static void end(struct lab *lab)
{
	api_world_end(&lab->api);
	dga_kit_end(&lab->dga);
}

static void expect(struct lab *lab, const char *method, const char *target, const char *body, long status, const char *contains)
{
	api_expect(&lab->api, method, target, lab->api.admin, body, status, contains);
}

Test(dga, a_daemon_without_filing_says_so)
{
	struct api_world w;
	api_world_begin(&w);
	static const char *const targets[] = {"status", "works/", "centres/", "slots/", "receipts/", "verify", "compliance", "alarms/", "kill-switch", "failure-report", "reports/monthly", "sheet"};
	for (size_t i = 0; i < HD_ARRAY_LEN(targets); i++) {
		char target[96];
		(void)snprintf(target, sizeof target, DGA "%s", targets[i]);
		api_expect(&w, "GET", target, w.admin, NULL, 501, "runs without that part");
	}
	api_world_end(&w);
}

Test(dga, a_work_is_made_read_changed_and_hidden)
{
	struct lab lab;
	char point[96], body[256];
	begin(&lab);
	api_make_point(&lab.api, "Pozo 1", point);
	expect(&lab, "POST", DGA "works/", "{\"code\":\"OB-0101-1\",\"kind\":\"subterranea\",\"standard\":\"mayor\",\"point\":\"Pozo 1\",\"client\":\"Sur\",\"options\":{}}", 201,
	       "\"mode\":\"off\"");
	expect(&lab, "POST", DGA "works/", "{\"code\":\"OB-0101-1\",\"kind\":\"subterranea\",\"standard\":\"mayor\"}", 409, "OB-0101-1");
	expect(&lab, "GET", DGA "works/OB-0101-1", NULL, 200, strrchr(point, '/') + 1);
	expect(&lab, "GET", DGA "works/1", NULL, 200, "\"code\":\"OB-0101-1\"");
	expect(&lab, "GET", DGA "works/?client=Sur&mode=off&held=false", NULL, 200, "\"total\":1");
	expect(&lab, "GET", DGA "works/?client=Norte", NULL, 200, "\"items\":[],\"next\":null,\"total\":0");
	expect(&lab, "GET", DGA "works/?point=Pozo%201", NULL, 200, "\"total\":1");
	expect(&lab, "PATCH", DGA "works/OB-0101-1", "{\"region\":\"RM\",\"client\":\"\"}", 200, "\"region\":\"RM\"");
	expect(&lab, "GET", DGA "works/OB-0101-1", NULL, 200, "\"client\":\"\"");
	expect(&lab, "PATCH", DGA "works/OB-0101-1", "{\"mode\":\"live\"}", 400, "\"field\":\"centre\"");
	(void)snprintf(body, sizeof body, "{\"mode\":\"live\",\"centre\":\"Centro Norte\",\"informant\":\"Ana Soto\",\"starts\":\"2026-01-01T04:00:00Z\"}");
	expect(&lab, "PATCH", DGA "works/OB-0101-1", body, 200, "\"mode\":\"live\"");
	expect(&lab, "DELETE", DGA "works/OB-0101-1", NULL, 204, "");
	expect(&lab, "GET", DGA "works/OB-0101-1", NULL, 404, "there is no work");
	end(&lab);
}

Test(dga, what_does_not_fit_is_told_field_by_field_with_the_nearest_name)
{
	struct lab lab;
	begin(&lab);
	expect(&lab, "POST", DGA "works/", "{\"code\":\"OB-0101-1\",\"kindd\":\"subterranea\",\"standard\":\"mayor\"}", 400, "did you mean \\\"kind\\\"?");
	expect(&lab, "POST", DGA "works/", "{\"code\":\"OB-0101-1\",\"kind\":\"subterranea\",\"standard\":\"medoi\"}", 400, "did you mean \\\"medio\\\"?");
	expect(&lab, "POST", DGA "works/", "{\"code\":\"XX-1\",\"kind\":\"subterranea\",\"standard\":\"mayor\"}", 400, "\"field\":\"code\"");
	expect(&lab, "POST", DGA "works/", "{\"code\":\"OB-0101-1\",\"kind\":\"subterranea\",\"standard\":\"mayor\",\"options\":{\"nosuch\":1}}", 400, "\"field\":\"options\"");
	expect(&lab, "POST", DGA "works/", "{\"code\":\"OB-0101-1\",\"kind\":\"subterranea\",\"standard\":\"mayor\",\"family\":\"sunass\"}", 400, "\"field\":\"family\"");
	expect(&lab, "POST", DGA "works/", "{\"code\":\"OB-0101-1\",\"kind\":\"subterranea\",\"standard\":\"mayor\",\"point\":\"Pozo 9\"}", 400, "there is no point \\\"Pozo 9\\\"");
	expect(&lab, "POST", DGA "works/", "{\"code\":\"OB-0101-1\",\"kind\":\"subterranea\",\"standard\":\"mayor\",\"lag_s\":60,\"lag_months\":1}", 400, "not both");
	expect(&lab, "POST", DGA "works/", "{\"code\":\"OB-0101-1\",\"kind\":\"subterranea\",\"standard\":\"mayor\",\"by_sheet\":true}", 400, "\"field\":\"by_sheet\"");
	expect(&lab, "POST", DGA "works/", "{\"code\":\"OB-0101-1\",\"kind\":\"subterranea\",\"standard\":\"mayor\",\"adapters\":[{\"adapter\":\"dgaa\",\"from\":\"2027-01-01\"}]}", 400,
	       "did you mean \\\"dga\\\"?");
	expect(&lab, "GET", DGA "slots/?day=2026-1-1", NULL, 400, "parameter day");
	expect(&lab, "GET", DGA "slots/?day=2026-01-01&month=2026-01", NULL, 400, "give day, month, or from and to");
	expect(&lab, "GET", DGA "slots/?cursor=7", NULL, 400, "parameter cursor");
	expect(&lab, "GET", DGA "works/?cursor=x", NULL, 400, "parameter cursor");
	end(&lab);
}

Test(dga, centres_and_informants_keep_what_is_not_given_and_show_no_password)
{
	struct lab lab;
	begin(&lab);
	expect(&lab, "POST", DGA "centres/", "{\"name\":\"Otro\",\"identifier\":\"76086428-4\"}", 400, "\"field\":\"identifier\"");
	expect(&lab, "POST", DGA "centres/", "{\"name\":\"Otro\",\"identifier\":\"76498451-K\",\"registered_at\":\"2026-01-01T00:00:00Z\"}", 400, "\"field\":\"registration\"");
	cJSON *centre = api_json(&lab.api, "POST", DGA "centres/", lab.api.admin, "{\"name\":\"Otro\",\"identifier\":\"76498451-K\",\"calls_per_s\":2,\"backlog\":\"per_centre\"}", 201);
	char target[128];
	(void)snprintf(target, sizeof target, DGA "centres/%s", cJSON_GetObjectItem(centre, "id")->valuestring);
	cJSON_Delete(centre);
	expect(&lab, "PATCH", target, "{\"check_share\":0.5}", 200, "\"calls_per_s\":2,");
	expect(&lab, "GET", target, NULL, 200, "\"backlog\":\"per_centre\"");
	cJSON *informant = api_json(&lab.api, "POST", DGA "informants/", lab.api.admin, "{\"name\":\"Eva\",\"identifier\":\"76498451-K\",\"password\":\"oculta\"}", 201);
	cr_assert_null(cJSON_GetObjectItem(informant, "password"));
	(void)snprintf(target, sizeof target, DGA "informants/%s", cJSON_GetObjectItem(informant, "id")->valuestring);
	cJSON_Delete(informant);
	expect(&lab, "PATCH", target, "{\"name\":\"Eva Paz\"}", 200, "\"has_password\":true");
	struct fetch answer = fetch(lab.api.port, "GET", DGA "informants/", lab.api.admin, NULL);
	cr_assert_null(strstr(hd_buf_text(&answer.body), "oculta"));
	fetch_done(&answer);
	api_expect(&lab.api, "GET", DGA "informants/", lab.api.analyst, NULL, 403, "");
	end(&lab);
}

Test(dga, slots_receipts_and_their_proof_come_from_the_ledger)
{
	struct lab lab;
	begin(&lab);
	uint32_t one = dga_kit_work(&lab.dga, "OB-0101-1", "mayor", "Sur"), two = dga_kit_work(&lab.dga, "OB-0101-2", "mayor", "Sur");
	for (int i = 0; i < 5; i++) {
		char receipt[16];
		(void)snprintf(receipt, sizeof receipt, "abc%d", i);
		ledger_kit_file(&lab.dga.ledger, one, KIT_DUE + i * HOUR, receipt);
	}
	dga_kit_missing(&lab.dga, two, KIT_DUE, "no_reading");
	expect(&lab, "GET", DGA "slots/?limit=2", NULL, 200, "\"next\":\"1.1767243600000\"");
	expect(&lab, "GET", DGA "slots/?limit=2&cursor=1.1767243600000", NULL, 200, "\"due\":\"2026-01-01T06:00:00Z\"");
	expect(&lab, "GET", DGA "slots/?state=missing", NULL, 200, "\"cause_text\":\"no hubo medición del sensor\"");
	expect(&lab, "GET", DGA "slots/OB-0101-1/2026-01-01T04:00:00Z", NULL, 200, "\"to\":\"queued\"");
	expect(&lab, "GET", DGA "slots/OB-0101-1/2026-01-01T04:30:00Z", NULL, 404, "no slot");
	expect(&lab, "GET", DGA "receipts/?receipt=abc3", NULL, 200, "\"due\":\"2026-01-01T07:00:00Z\"");
	expect(&lab, "GET", DGA "receipts/?format=csv&work=OB-0101-1", NULL, 200, "OB-0101-1,2026-01-01,02:00,abc2,15.31,425000,12.3,");
	expect(&lab, "GET", DGA "receipts/abc3/proof", NULL, 200, "\"chain\":{\"good\":true");
	expect(&lab, "GET", DGA "receipts/nosuch/proof", NULL, 404, "no slot has the receipt");
	expect(&lab, "GET", DGA "verify", NULL, 200, "\"good\":true");
	expect(&lab, "GET", DGA "verify", NULL, 200, "\"works_left\":0,\"next\":null}");
	expect(&lab, "GET", DGA "verify?limit=1", NULL, 200, "\"works\":1,\"works_left\":2,\"next\":0}");
	expect(&lab, "GET", DGA "verify?limit=1&after=0", NULL, 200, "\"works\":1,\"works_left\":1,\"next\":1}");
	expect(&lab, "GET", DGA "verify?after=1", NULL, 200, "\"works\":1,\"works_left\":0,\"next\":null}");
	expect(&lab, "GET", DGA "verify?work=OB-0101-1", NULL, 200, "\"works\":1,\"works_left\":0,\"next\":null}");
	expect(&lab, "GET", DGA "verify?work=OB-0101-1&after=1", NULL, 400, "only without work");
	expect(&lab, "GET", DGA "verify?after=-1", NULL, 400, "after");
	expect(&lab, "GET", DGA "verify?limit=0", NULL, 400, "limit");
	expect(&lab, "GET", DGA "compliance?from=2026-01-01T04:00:00Z&to=2026-01-01T10:00:00Z&by=client", NULL, 200, "\"key\":\"Sur\",\"works\":2");
	expect(&lab, "GET", DGA "failure-report?month=2026-01", NULL, 200, "\"total\":1,\"slots\":1");
	expect(&lab, "GET", DGA "reports/monthly?month=2026-01&client=Sur", NULL, 200, "abc4");
	expect(&lab, "GET", DGA "reports/monthly?month=2026-01&client=Nadie", NULL, 404, "no work passes");
	expect(&lab, "GET", DGA "cutover/OB-0101-1?at=2026-01-15T10:00:00-04:00&zone=America/Nowhere", NULL, 400, "parameter zone");
	expect(&lab, "GET", DGA "cutover/OB-0101-1?at=2026-01-15T10:00:00-04:00", NULL, 200, "\"safe\":false");
	end(&lab);
}
