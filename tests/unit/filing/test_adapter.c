/* SPDX-License-Identifier: MIT */
/* Adapters as a set, and what stays on this side of a plugin that errs. The plugins are the built ones. */
#include "check.h"

#include "base/fs.h"
#include "filing/adapter.h"
#include "model/names.h"
#include "plugin/plugin.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DAY INT64_C(86400000)
#define JULY INT64_C(1782878400000) /* 2026-07-01T00:00 by the DGA's clock */

/* ---- the built plugins ---- */

struct world {
	char dir[64];
	const char *dirs[1];
	struct hd_names *names;
	struct hd_plugins *plugins;
	struct hd_instance *instances[4];
	size_t count;
	struct hd_adapters *adapters;
	struct hydro_error err;
};

static void copy(struct world *w, const char *from, const char *name)
{
	char path[512], to[512];
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	(void)snprintf(path, sizeof path, "%s/%s/%s.so", HD_BINARY_DIR, from, name);
	(void)snprintf(to, sizeof to, "%s/%s.so", w->dir, name);
	cr_assert_eq(hd_fs_read(path, 64u << 20, &buf, &w->err), HYDRO_OK, "%s", w->err.text);
	cr_assert_eq(hd_fs_write_atomic(to, buf.data, buf.len, 0644, &w->err), HYDRO_OK);
}

static void world_init(struct world *w)
{
	*w = (struct world){.err = {.struct_size = sizeof w->err}};
	(void)snprintf(w->dir, sizeof w->dir, "/tmp/hydro-adapters-XXXXXX");
	cr_assert_not_null(mkdtemp(w->dir));
	w->dirs[0] = w->dir;
	copy(w, "plugins", "dga");
	copy(w, "fixtures", "dga_next");
	copy(w, "fixtures", "sink");
	cr_assert_eq(hd_names_open(NULL, &w->names, &w->err), HYDRO_OK);
	struct hd_plugins_config cfg = {.dirs = w->dirs, .dir_count = 1, .runner_path = HD_RUNNER, .names = w->names, .probe_ms = 20000};
	cr_assert_eq(hd_plugins_open(&cfg, &w->plugins, &w->err), HYDRO_OK, "%s", w->err.text);
	cr_assert_eq(hd_adapters_new(&w->adapters, &w->err), HYDRO_OK);
}

static struct hd_instance *make(struct world *w, const char *name, const char *plugin, const char *options)
{
	cJSON *json = options ? cJSON_Parse(options) : NULL;
	cr_assert_eq(hd_instance_create(w->plugins, name, plugin, json, &w->instances[w->count], &w->err), HYDRO_OK, "%s", w->err.text);
	cJSON_Delete(json);
	return w->instances[w->count++];
}

static void add(struct world *w, const char *name, const char *plugin, const char *options)
{
	cr_assert_eq(hd_adapters_add(w->adapters, make(w, name, plugin, options), &w->err), HYDRO_OK, "%s", w->err.text);
}

static void world_done(struct world *w)
{
	char command[128];
	hd_adapters_free(&w->adapters);
	for (size_t i = 0; i < w->count; i++)
		hd_instance_free(&w->instances[i]);
	hd_plugins_close(&w->plugins);
	hd_names_close(&w->names);
	(void)snprintf(command, sizeof command, "rm -rf %s", w->dir);
	cr_assert_eq(system(command), 0);
}

static const char *picked(const struct world *w, const char *name, int64_t due_ms)
{
	const struct hd_adapter *adapter = hd_adapters_pick(w->adapters, "dga", name, due_ms);
	return adapter ? hd_adapter_name(adapter) : "";
}

Test(adapter, a_later_manual_takes_over_at_its_date)
{
	struct world w;
	world_init(&w);
	add(&w, "next", "dga_next", NULL);
	add(&w, "dga", "dga", NULL);
	cr_assert_str_eq(picked(&w, "", JULY - 1), "dga");
	cr_assert_str_eq(picked(&w, NULL, JULY), "next");
	cr_assert_str_eq(picked(&w, "", JULY + 400 * DAY), "next");
	/* Before the first of them there is none. */
	cr_assert_str_eq(picked(&w, "", INT64_C(1753934400000) - 1), "");
	cr_assert_str_eq(picked(&w, "", INT64_C(1753934400000)), "dga");
	/* A work may name its own, before the date or after it: both run side by side. */
	cr_assert_str_eq(picked(&w, "next", JULY - 100 * DAY), "next");
	cr_assert_str_eq(picked(&w, "dga", JULY + 100 * DAY), "dga");
	cr_assert_str_eq(picked(&w, "other", JULY), "");
	cr_assert_null(hd_adapters_pick(w.adapters, "sunass", "", JULY));
	cr_assert_null(hd_adapters_pick(w.adapters, "sunass", "dga", JULY));
	cr_assert_eq(hd_adapter_valid_from_ms(hd_adapters_pick(w.adapters, "dga", "next", 0)), JULY);
	world_done(&w);
}

Test(adapter, two_instances_of_one_version_are_told_by_name)
{
	struct world w;
	world_init(&w);
	add(&w, "measured", "dga", "{\"stamp\":\"measured\"}");
	add(&w, "dga", "dga", NULL);
	cr_assert_str_eq(picked(&w, "", JULY), "dga");
	cr_assert_str_eq(picked(&w, "measured", JULY), "measured");
	world_done(&w);
}

Test(adapter, each_version_sends_in_its_own_way)
{
	struct world w;
	world_init(&w);
	add(&w, "dga", "dga", "{\"base_url\":\"http://127.0.0.1:9/\"}");
	add(&w, "next", "dga_next", "{\"base_url\":\"http://127.0.0.1:9/\"}");
	static const struct {
		const char *name, *url, *field;
	} versions[] = {{"dga", "http://127.0.0.1:9/subterraneas", "\"nivelFreaticoDelPozo\":\"3.00\""}, {"next", "http://127.0.0.1:9/v2/subterraneas", "\"nivelFreatico\":\"3.00\""}};
	for (size_t i = 0; i < 2; i++) {
		const struct hd_adapter *a = hd_adapters_pick(w.adapters, "dga", versions[i].name, JULY);
		hydro_filing_slot slot = {.struct_size = sizeof slot, .fields = 7, .code = "OB-0101-7", .kind = "subterranea", .standard = "mayor", .due_ms = JULY, .values = {25.7, 1234500, 3}};
		hydro_filing_payload payload;
		cr_assert_eq(hd_adapter_check_work(a, &slot, &w.err), HYDRO_OK, "%s", w.err.text);
		cr_assert_eq(hd_adapter_prepare(a, &slot, &payload, &w.err), HYDRO_OK, "%s", w.err.text);
		cr_assert_not_null(strstr(payload.text, versions[i].field));
		hydro_filing_send send = {.struct_size = sizeof send, .payload_len = payload.len, .code = slot.code, .kind = slot.kind, .payload = payload.text,
					  .centre = "76086428-5", .informant = "12531909-2", .secret = "una clave", .now_ms = JULY + 5000};
		HD_CLEANUP(hd_buf_done) struct hd_buf memory = {0}, words = {0};
		hydro_http_request request;
		cr_assert_eq(hd_adapter_request(a, &send, false, &memory, &request, &w.err), HYDRO_OK, "%s", w.err.text);
		cr_assert_str_eq(request.url, versions[i].url);
		hd_adapter_describe(&request, &send, &words);
		cr_assert_null(strstr(hd_buf_text(&words), "clave"));
		char expected[256];
		(void)snprintf(expected, sizeof expected, "{\"POST\":\"%s\",\"timeStampOrigen\":\"2026-07-01T00:00:05-0000\",\"centre\":\"76086428-5\",\"informant\":\"12531909-2\"}", versions[i].url);
		cr_assert_str_eq(hd_buf_text(&words), expected);
		hd_buf_clear(&memory);
		for (size_t b = 0; b < memory.cap; b++)
			cr_assert_eq(memory.data[b], 0);
		hydro_http_response response = {.struct_size = sizeof response, .status = 200, .body = "{\"status\":\"00\",\"data\":{\"numeroComprobante\":\"Ab1\"}}", .body_len = 53, .content_type = ""};
		response.body_len = strlen(response.body);
		hydro_filing_answer answer;
		cr_assert_eq(hd_adapter_parse(a, &send, &response, &answer, &w.err), HYDRO_OK);
		cr_assert(answer.outcome == HYDRO_FILING_FILED && strcmp(answer.receipt, "Ab1") == 0);
	}
	world_done(&w);
}

Test(adapter, a_works_options_are_checked_by_their_rows)
{
	struct world w;
	world_init(&w);
	add(&w, "dga", "dga", NULL);
	const struct hd_adapter *a = hd_adapters_at(w.adapters, 0);
	struct hd_options *options = NULL;
	cr_assert_eq(hd_adapter_options(a, "{\"mine_water\":true}", &options, &w.err), HYDRO_OK, "%s", w.err.text);
	hydro_filing_slot slot = {.struct_size = sizeof slot, .fields = 3, .code = "OB-0101-7", .kind = "subterranea", .standard = "mayor", .due_ms = JULY, .values = {1, 2, 0}};
	hydro_filing_payload payload;
	cr_assert_eq(hd_adapter_prepare(a, &slot, &payload, &w.err), HYDRO_E_INVALID);
	cr_assert_not_null(strstr(w.err.text, "nivelFreaticoDelPozo: there is no value"), "%s", w.err.text);
	cr_assert_eq(hd_adapter_needed(a, &slot), 7);
	slot.work = hd_options_abi(options);
	cr_assert_eq(hd_adapter_needed(a, &slot), 3, "a level that may be empty");
	cr_assert_eq(hd_adapter_prepare(a, &slot, &payload, &w.err), HYDRO_OK, "%s", w.err.text);
	hd_adapter_options_free(&options);
	cr_assert_null(options);
	cr_assert_eq(hd_adapter_options(a, NULL, &options, &w.err), HYDRO_OK);
	hd_adapter_options_free(&options);
	cr_assert_eq(hd_adapter_options(a, "{\"mine_watr\":true}", &options, &w.err), HYDRO_E_CONFIG);
	cr_assert_not_null(strstr(w.err.text, "mine_watr"));
	cr_assert_eq(hd_adapter_options(a, "{", &options, &w.err), HYDRO_E_CONFIG);
	cr_assert_eq(hd_adapter_check_identifier(a, "76086428-5", &w.err), HYDRO_OK);
	cr_assert_eq(hd_adapter_check_identifier(a, "76086428-6", &w.err), HYDRO_E_INVALID);
	world_done(&w);
}

Test(adapter, a_sink_that_does_not_file_is_none)
{
	struct world w;
	world_init(&w);
	cr_assert_eq(hd_adapters_add(w.adapters, make(&w, "s", "swallow", NULL), &w.err), HYDRO_E_CONFIG);
	cr_assert_not_null(strstr(w.err.text, "'s' is no sink that files"));
	add(&w, "dga", "dga", NULL);
	cr_assert_eq(hd_adapters_add(w.adapters, w.instances[1], &w.err), HYDRO_E_EXISTS);
	cr_assert_null(hd_adapters_at(w.adapters, 1));
	world_done(&w);
}

/* ---- in a process of its own ---- */

static void add_isolated(struct world *w, const char *name, const char *plugin, const char *options)
{
	cJSON *json = options ? cJSON_Parse(options) : NULL;
	struct hd_instance **instance = &w->instances[w->count++];
	cr_assert_eq(hd_instance_create_isolated(w->plugins, name, plugin, json, HD_ISOLATION_PROCESS, instance, &w->err), HYDRO_OK, "%s", w->err.text);
	cJSON_Delete(json);
	cr_assert(hd_instance_is_isolated(*instance));
	cr_assert_eq(hd_adapters_add(w->adapters, *instance, &w->err), HYDRO_OK, "%s", w->err.text);
}

/* Everything that an adapter says of one slot and some answers, as one text. */
static void say_all(const struct hd_adapter *a, const char *kind, const char *standard, const char *work, uint32_t fields, struct hd_buf *ret)
{
	static const struct {
		uint32_t status;
		const char *body;
	} answers[] = {{200, "{\"status\":\"00\",\"data\":{\"numeroComprobante\":\"Ab1\"}}"}, {400, "{\"message\":\"Ya existe un registro. Comprobante: Zz\"}"}, {403, "<html>"}, {500, ""},
		       {200, "{\"status\":\"00\",\"data\":{\"caudal\":\"1\",\"totalizador\":\"x\"}}"}};
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_options *options = NULL;
	hydro_filing_payload payload = {.struct_size = sizeof payload};
	cr_assert_eq(hd_adapter_options(a, work, &options, &err), HYDRO_OK, "%s", err.text);
	hydro_filing_slot slot = {.struct_size = sizeof slot, .fields = fields, .code = "OB-0101-7", .kind = kind, .standard = standard, .work = hd_options_abi(options), .due_ms = JULY,
				  .measured_ms = JULY - 7000, .values = {25.7, 1234500, 3}};
	const hydro_filing_info *info = hd_adapter_info(a);
	(void)hd_buf_printf(ret, "%s %s %d %s %s %s\n", info->family, info->valid_from, info->utc_offset_s, info->authority, info->failures_note, info->failures_note_en);
	for (uint32_t i = 0; i < info->standard_count; i++)
		(void)hd_buf_printf(ret, "%s %u %u %u %u %lld %s\n", info->standards[i].name, info->standards[i].every, info->standards[i].flags, info->standards[i].lag_months,
				    info->standards[i].empty_fields, (long long)info->standards[i].lag_ms, info->standards[i].doc);
	for (uint32_t i = 0; i < info->kind_count; i++)
		(void)hd_buf_printf(ret, "%s %u %s %s %s\n", info->kinds[i].name, info->kinds[i].fields, info->kinds[i].level_metric, info->kinds[i].level_unit, info->kinds[i].doc);
	int rc = hd_adapter_check_identifier(a, "76086428-6", &err);
	(void)hd_buf_printf(ret, "%d %s\n", rc, err.text);
	rc = hd_adapter_check_work(a, &slot, &err);
	(void)hd_buf_printf(ret, "%d %s\nneeded %u\n", rc, err.text, hd_adapter_needed(a, &slot));
	rc = hd_adapter_prepare(a, &slot, &payload, &err);
	(void)hd_buf_printf(ret, "%d %s\n", rc, rc == HYDRO_OK ? payload.text : err.text);
	hydro_filing_send send = {.struct_size = sizeof send, .payload_len = payload.len, .code = slot.code, .kind = kind, .payload = payload.text, .centre = "76086428-5",
				  .informant = "12531909-2", .secret = "una \"clave\"", .receipt = "r/1", .now_ms = JULY + 5000};
	for (int check = 0; check < 2 && rc == HYDRO_OK; check++) {
		HD_CLEANUP(hd_buf_done) struct hd_buf memory = {0};
		hydro_http_request request;
		cr_assert_eq(hd_adapter_request(a, &send, check, &memory, &request, &err), HYDRO_OK, "%s", err.text);
		hd_adapter_describe(&request, &send, ret);
		(void)hd_buf_add(ret, request.body, (size_t)request.body_len);
		(void)hd_buf_printf(ret, " %u headers\n", request.header_count);
	}
	for (size_t i = 0; i < HD_ARRAY_LEN(answers); i++) {
		hydro_http_response response = {.struct_size = sizeof response, .status = answers[i].status, .body = answers[i].body, .body_len = strlen(answers[i].body), .content_type = ""};
		hydro_filing_answer answer;
		hydro_filing_check seen;
		(void)hd_adapter_parse(a, &send, &response, &answer, &err);
		(void)hd_adapter_check_parse(a, &send, &response, &seen, &err);
		(void)hd_buf_printf(ret, "%u %s %s | %u %s\n", answer.outcome, answer.receipt, answer.text, seen.outcome, seen.text);
	}
	hd_adapter_options_free(&options);
}

Test(adapter, one_in_a_process_of_its_own_says_and_does_the_same)
{
	static const struct {
		const char *kind, *standard, *work;
		uint32_t fields;
	} slots[] = {{"subterranea", "mayor", NULL, 7}, {"subterranea", "mayor", "{\"mine_water\":true}", 3}, {"subterranea", "menor", NULL, 3}, {"canal", "muy_pequeno", NULL, 1},
		     {"flujometro", "medio", NULL, 3}, {"flujometro", "medio", "{\"mine_water\":true}", 3}};
	struct world w;
	world_init(&w);
	add(&w, "near", "dga", "{\"base_url\":\"http://127.0.0.1:9/\",\"stamp\":\"measured\"}");
	add_isolated(&w, "apart", "dga", "{\"base_url\":\"http://127.0.0.1:9/\",\"stamp\":\"measured\"}");
	for (size_t i = 0; i < HD_ARRAY_LEN(slots); i++) {
		HD_CLEANUP(hd_buf_done) struct hd_buf near_text = {0}, apart_text = {0};
		say_all(hd_adapters_at(w.adapters, 0), slots[i].kind, slots[i].standard, slots[i].work, slots[i].fields, &near_text);
		say_all(hd_adapters_at(w.adapters, 1), slots[i].kind, slots[i].standard, slots[i].work, slots[i].fields, &apart_text);
		cr_assert_str_eq(hd_buf_text(&apart_text), hd_buf_text(&near_text));
	}
	world_done(&w);
}

Test(adapter, a_crash_ends_its_process_alone_and_the_next_call_starts_it_again)
{
	struct world w;
	world_init(&w);
	copy(&w, "fixtures", "filing_crash");
	cr_assert_eq(hd_plugins_scan(w.plugins, &w.err), HYDRO_OK, "%s", w.err.text);
	add_isolated(&w, "apart", "filing_crash", NULL);
	const struct hd_adapter *a = hd_adapters_at(w.adapters, 0);
	hydro_filing_send send = {.struct_size = sizeof send, .code = "W-1", .kind = "well", .payload = "x", .payload_len = 1, .centre = "c", .informant = "i"};
	hydro_http_response response = {.struct_size = sizeof response, .status = 200, .body = "crash", .body_len = 5, .content_type = ""};
	hydro_filing_answer answer;
	cr_assert_eq(hd_adapter_parse(a, &send, &response, &answer, &w.err), HYDRO_E_IO);
	cr_assert(strstr(w.err.text, "was ended by") && strstr(w.err.text, "in filing_parse"), "%s", w.err.text);
	cr_assert_eq(answer.outcome, HYDRO_FILING_REFUSED);
	/* What it says of its regulator is kept on this side. */
	cr_assert_str_eq(hd_adapter_info(a)->family, "made_up");
	response.body = "OK r1";
	int rc = HYDRO_E_AGAIN;
	for (int i = 0; i < 400 && rc == HYDRO_E_AGAIN; i++) {
		(void)usleep(50000);
		rc = hd_adapter_parse(a, &send, &response, &answer, &w.err);
	}
	cr_assert_eq(rc, HYDRO_OK, "%s", w.err.text);
	cr_assert_str_eq(answer.receipt, "r1");
	world_done(&w);
}

/* ---- functions that err ---- */

static hydro_filing_standard standards[2];
static hydro_filing_kind kinds[2];
static hydro_filing_info info;
static struct {
	int32_t rc;
	uint32_t outcome;
	const char *text, *receipt;
	const char *url, *url_log;
	hydro_http_header header;
	size_t wants;
} says;

static const hydro_filing_info *fake_info(void *self)
{
	(void)self;
	return &info;
}

static int32_t fake_identifier(void *self, const char *text, struct hydro_error *err)
{
	(void)self;
	(void)text;
	(void)snprintf(err->text, sizeof err->text, "%s", says.text);
	return says.rc;
}

static int32_t fake_work(void *self, const hydro_filing_slot *work, struct hydro_error *err)
{
	return fake_identifier(self, work->code, err);
}

static int32_t fake_prepare(void *self, const hydro_filing_slot *slot, hydro_filing_payload *ret, struct hydro_error *err)
{
	(void)slot;
	ret->len = says.outcome;
	memcpy(ret->text, "{}", 3);
	return fake_identifier(self, "", err);
}

static int32_t fake_request(void *self, const hydro_filing_send *send, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	(void)send;
	if (scratch->size < says.wants) {
		memset(scratch->mem, 'x', scratch->size);
		scratch->wanted = says.wants;
		return HYDRO_E_LIMIT;
	}
	ret->method = HYDRO_HTTP_POST;
	ret->url = says.url;
	ret->url_log = says.url_log;
	ret->headers = says.header.name ? &says.header : NULL;
	ret->header_count = says.header.name ? 1 : 0;
	return fake_identifier(self, "", err);
}

static int32_t fake_parse(void *self, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_answer *ret, struct hydro_error *err)
{
	(void)send;
	(void)response;
	ret->outcome = says.outcome;
	(void)snprintf(ret->text, sizeof ret->text, "%s", says.text);
	if (says.receipt)
		memset(ret->receipt, says.receipt[0], strlen(says.receipt) < sizeof ret->receipt ? strlen(says.receipt) : sizeof ret->receipt);
	return fake_identifier(self, "", err);
}

static int32_t fake_check_parse(void *self, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_check *ret, struct hydro_error *err)
{
	(void)send;
	(void)response;
	ret->outcome = says.outcome;
	(void)snprintf(ret->text, sizeof ret->text, "%s", says.text);
	return fake_identifier(self, "", err);
}

static struct hd_sink fake_sink(void)
{
	standards[0] = standards[1] = (hydro_filing_standard){.name = "one", .every = HYDRO_EVERY_DAY, .lag_ms = DAY, .doc = ""};
	standards[1].name = "two";
	kinds[0] = kinds[1] = (hydro_filing_kind){.name = "well", .fields = 1, .level_metric = "", .level_unit = "", .doc = ""};
	kinds[1].name = "canal";
	info = (hydro_filing_info){.struct_size = sizeof info, .utc_offset_s = -18000, .family = "fake", .valid_from = "2024-02-29", .deadline_ms = 1, .standards = standards, .kinds = kinds,
				   .standard_count = 2, .standard_stride = sizeof standards[0], .kind_count = 2, .kind_stride = sizeof kinds[0]};
	memset(&says, 0, sizeof says);
	says.text = "";
	return (struct hd_sink){.ops = {.struct_size = sizeof(hydro_sink_ops), .capabilities = HYDRO_SINK_FILING, .filing_info = fake_info, .filing_check_identifier = fake_identifier,
					.filing_check_work = fake_work, .filing_prepare = fake_prepare, .filing_request = fake_request, .filing_parse = fake_parse,
					.filing_check_request = fake_request, .filing_check_parse = fake_check_parse}};
}

static bool taken(const struct hd_sink *sink, const char *why)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_adapters *adapters = NULL;
	cr_assert_eq(hd_adapters_new(&adapters, &err), HYDRO_OK);
	int rc = hd_adapters_add_sink(adapters, "fake", sink, &err);
	hd_adapters_free(&adapters);
	cr_assert(rc == HYDRO_OK || rc == HYDRO_E_CONFIG);
	if (rc != HYDRO_OK)
		cr_assert_not_null(strstr(err.text, why), "%s", err.text);
	return rc == HYDRO_OK;
}

Test(adapter, what_a_plugin_says_of_itself_must_hold)
{
	struct hd_sink sink = fake_sink();
	cr_assert(taken(&sink, ""));
#define REFUSED(change, why)                     \
	do {                                     \
		sink = fake_sink();              \
		change;                          \
		cr_assert_not(taken(&sink, why)); \
	} while (0)
	REFUSED(info.struct_size = 8, "at least the");
	REFUSED(info.struct_size = 1u << 20, "bytes");
	REFUSED(info.family = "Fake", "family");
	REFUSED(info.family = NULL, "family");
	REFUSED(info.valid_from = "2023-02-29", "valid_from");
	REFUSED(info.valid_from = "2024-2-29", "valid_from");
	REFUSED(info.valid_from = "2024-02-29T", "valid_from");
	REFUSED(info.valid_from = NULL, "valid_from");
	REFUSED(info.utc_offset_s = 86400, "utc_offset_s");
	REFUSED(info.authority = "a\nb", "authority");
	REFUSED(info.deadline_ms = 0, "deadline_ms");
	REFUSED(info.standard_count = 0, "standards are none");
	REFUSED(info.standard_count = 1000, "at most");
	REFUSED(info.standard_stride = 12, "rows of standards");
	REFUSED(info.standard_stride = sizeof standards[0] + 4, "rows of standards");
	REFUSED(info.kinds = NULL, "kinds are none");
	REFUSED(standards[1].name = "one", "is there twice");
	REFUSED(standards[1].every = 9, "frequency");
	REFUSED(standards[1].lag_ms = 0, "no lag");
	REFUSED(standards[1].empty_fields = 8, "fields");
	REFUSED(standards[1].doc = NULL, "doc");
	REFUSED(kinds[0].name = "a b", "kind");
	REFUSED(kinds[1].fields = 0, "no fields");
	REFUSED(kinds[1].fields = 1u << HYDRO_FIELD_LEVEL, "level without");
	REFUSED(sink.ops.filing_prepare = NULL, "no sink that files");
	REFUSED(sink.ops.filing_check_parse = NULL, "no sink that files");
	REFUSED(sink.ops.capabilities = HYDRO_SINK_WRITE, "no sink that files");
}

Test(adapter, rows_of_a_longer_plugin_are_read_by_their_stride)
{
	static struct {
		hydro_filing_kind kind;
		uint64_t later;
	} longer[2];
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_adapters *adapters = NULL;
	struct hd_sink sink = fake_sink();
	longer[0].kind = kinds[0];
	longer[1].kind = kinds[1];
	info.kinds = &longer[0].kind;
	info.kind_stride = sizeof longer[0];
	cr_assert_eq(hd_adapters_new(&adapters, &err), HYDRO_OK);
	cr_assert_eq(hd_adapters_add_sink(adapters, "fake", &sink, &err), HYDRO_OK, "%s", err.text);
	const struct hd_adapter *a = hd_adapters_at(adapters, 0);
	cr_assert_str_eq(hd_adapter_kind(a, "canal")->name, "canal");
	cr_assert_null(hd_adapter_kind(a, "sea"));
	cr_assert_str_eq(hd_adapter_standard(a, "two")->name, "two");
	hydro_filing_slot work = {.struct_size = sizeof work, .kind = "canal", .standard = "two"};
	cr_assert_eq(hd_adapter_needed(a, &work), 1);
	work.kind = "sea";
	cr_assert_eq(hd_adapter_needed(a, &work), 0);
	cr_assert_eq(hd_adapter_info(a)->kind_stride, sizeof(hydro_filing_kind));
	cr_assert_eq(hd_adapter_valid_from_ms(a), INT64_C(1709182800000)); /* midnight at UTC-5 */
	cr_assert_str_eq(hd_adapter_version(a), "");
	cr_assert_str_eq(hd_adapter_info(a)->authority, "fake", "not said: the family");
	cr_assert_str_eq(hd_adapter_info(a)->failures_note, "");
	struct hd_options *options = NULL;
	cr_assert_eq(hd_adapter_options(a, "{}", &options, &err), HYDRO_OK);
	cr_assert_eq(hd_adapter_options(a, "{\"x\":1}", &options, &err), HYDRO_E_CONFIG);
	hd_adapters_free(&adapters);
}

Test(adapter, a_secret_stays_inside)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_adapters *adapters = NULL;
	struct hd_sink sink = fake_sink();
	cr_assert_eq(hd_adapters_new(&adapters, &err), HYDRO_OK);
	cr_assert_eq(hd_adapters_add_sink(adapters, "fake", &sink, &err), HYDRO_OK, "%s", err.text);
	const struct hd_adapter *a = hd_adapters_at(adapters, 0);
	hydro_filing_send send = {.struct_size = sizeof send, .code = "x", .kind = "well", .payload = "", .centre = "c", .informant = "i", .secret = "s3cret"};
	HD_CLEANUP(hd_buf_done) struct hd_buf memory = {0}, words = {0};
	hydro_http_request request;
	says.url = "https://h/a?p=s3cret";
	cr_assert_eq(hd_adapter_request(a, &send, false, &memory, &request, &err), HYDRO_E_FATAL);
	cr_assert(strstr(err.text, "the secret in its URL") && !strstr(err.text, "s3cret"));
	says.url = "https://h/a";
	says.header = (hydro_http_header){.name = "X", .value = "s3cret"};
	cr_assert_eq(hd_adapter_request(a, &send, false, &memory, &request, &err), HYDRO_E_FATAL);
	says.header.flags = HYDRO_HEADER_SECRET;
	says.wants = 70000;
	cr_assert_eq(hd_adapter_request(a, &send, false, &memory, &request, &err), HYDRO_OK, "%s", err.text);
	hd_adapter_describe(&request, &send, &words);
	cr_assert_str_eq(hd_buf_text(&words), "{\"POST\":\"https://h/***\",\"X\":\"***\",\"centre\":\"c\",\"informant\":\"i\"}");
	says.wants = (1u << 20) + 1;
	cr_assert_eq(hd_adapter_request(a, &send, false, &memory, &request, &err), HYDRO_E_LIMIT);
	says.wants = 0;
	says.rc = HYDRO_E_INVALID;
	says.text = "bad s3cret and s3cret";
	cr_assert_eq(hd_adapter_request(a, &send, false, &memory, &request, &err), HYDRO_E_INVALID);
	cr_assert_str_eq(err.text, "fake: bad *** and ***");
	hydro_http_response response = {.struct_size = sizeof response, .status = 200, .body = "", .content_type = ""};
	hydro_filing_answer answer;
	says.rc = HYDRO_OK;
	says.outcome = HYDRO_FILING_REFUSED;
	says.text = "clave s3cret\nmala \xc3";
	cr_assert_eq(hd_adapter_parse(a, &send, &response, &answer, &err), HYDRO_OK);
	cr_assert_str_eq(answer.text, "clave *** mala ");
	hd_adapters_free(&adapters);
}

Test(adapter, any_answer_has_an_outcome)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_adapters *adapters = NULL;
	struct hd_sink sink = fake_sink();
	cr_assert_eq(hd_adapters_new(&adapters, &err), HYDRO_OK);
	cr_assert_eq(hd_adapters_add_sink(adapters, "fake", &sink, &err), HYDRO_OK, "%s", err.text);
	const struct hd_adapter *a = hd_adapters_at(adapters, 0);
	hydro_filing_send send = {.struct_size = sizeof send, .code = "x", .kind = "well", .payload = ""};
	hydro_http_response response = {.struct_size = sizeof response, .status = 299, .body = "", .content_type = ""};
	hydro_filing_answer answer;
	hydro_filing_check check;
	says.outcome = 77;
	cr_assert_eq(hd_adapter_parse(a, &send, &response, &answer, &err), HYDRO_E_FATAL);
	cr_assert(answer.outcome == HYDRO_FILING_REFUSED && strstr(answer.text, "HTTP 299"));
	cr_assert_eq(hd_adapter_check_parse(a, &send, &response, &check, &err), HYDRO_E_FATAL);
	cr_assert(check.outcome == HYDRO_CHECK_UNCLEAR && check.text[0]);
	says.outcome = HYDRO_FILING_FILED;
	cr_assert_eq(hd_adapter_parse(a, &send, &response, &answer, &err), HYDRO_OK);
	cr_assert_eq(answer.outcome, HYDRO_FILING_NO_RECEIPT, "filed without a receipt");
	char endless[80];
	memset(endless, 'r', sizeof endless - 1);
	endless[sizeof endless - 1] = '\0';
	says.receipt = endless;
	cr_assert_eq(hd_adapter_parse(a, &send, &response, &answer, &err), HYDRO_E_FATAL, "a receipt without an end");
	says.receipt = "r";
	says.rc = -1000;
	says.text = "oh";
	cr_assert_eq(hd_adapter_parse(a, &send, &response, &answer, &err), HYDRO_E_FATAL);
	cr_assert_eq(answer.outcome, HYDRO_FILING_REFUSED);
	cr_assert_str_eq(answer.receipt, "");
	hydro_filing_slot slot = {.struct_size = sizeof slot, .code = ""};
	hydro_filing_payload payload;
	says.rc = HYDRO_OK;
	for (uint32_t len = 0; len < 4; len++) {
		says.outcome = len == 3 ? HYDRO_PAYLOAD_BYTES : len;
		cr_assert_eq(hd_adapter_prepare(a, &slot, &payload, &err), len == 2 ? HYDRO_OK : HYDRO_E_FATAL);
	}
	hd_adapters_free(&adapters);
}
