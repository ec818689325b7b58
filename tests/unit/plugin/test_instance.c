/* SPDX-License-Identifier: MIT */
#include "world.h"

#include "plugin/services.h"

#include <time.h>

static struct hd_instance *create(struct world *w, const char *name, const char *plugin, const char *json, int expected)
{
	struct hd_instance *instance = NULL;
	cJSON *options = json ? cJSON_Parse(json) : NULL;
	int rc = hd_instance_create(w->plugins, name, plugin, options, &instance, &w->err);
	cJSON_Delete(options);
	cr_assert_eq(rc, expected, "%d: %s", rc, w->err.text);
	return instance;
}

static int32_t take_raw(void *ctx, const hydro_raw *values, uint32_t count)
{
	*(double *)ctx = count == 1 ? values[0].value : -1.0;
	return HYDRO_OK;
}

static double parse_of(const struct hd_provider *provider, const hydro_options *point, const char *body)
{
	double value = 0.0;
	hydro_poll poll = {.struct_size = sizeof poll, .now_ms = INT64_C(1767225600000), .point = point};
	hydro_http_response response = {.struct_size = sizeof response, .status = 200, .body = body, .body_len = strlen(body)};
	hydro_emit emit = {.struct_size = sizeof emit, .ctx = &value, .raw = take_raw};
	hydro_outcome outcome = {.struct_size = sizeof outcome};
	struct hydro_error err = {.struct_size = sizeof err};
	hd_crumb_enter(provider->crumb, NULL);
	int rc = provider->ops.parse(provider->self, &poll, &response, &emit, &outcome, &err);
	hd_crumb_leave();
	cr_assert_eq(rc, HYDRO_OK, "%s", err.text);
	return value;
}

static double parse(const struct hd_provider *provider, const char *body)
{
	return parse_of(provider, NULL, body);
}

Test(instance, tables_of_older_and_newer_minors_work_and_a_missing_tail_reads_as_null)
{
	struct world w;
	world_init(&w);
	world_add(&w, "shorter_tables", "s");
	world_add(&w, "longer_tables", "l");
	world_open(&w);
	struct hd_instance *shorter = create(&w, "s", "shorter_tables", NULL, HYDRO_OK);
	struct hd_instance *longer = create(&w, "l", "longer_tables", NULL, HYDRO_OK);
	cr_assert_null(hd_instance_provider(shorter)->ops.stop);
	cr_assert_eq(hd_instance_provider(longer)->ops.struct_size, sizeof(hydro_provider_ops));
	cr_assert_float_eq(parse(hd_instance_provider(shorter), "4.25"), 4.25, 0.0);
	cr_assert_float_eq(parse(hd_instance_provider(longer), "7"), 7.0, 0.0);
	cr_assert_null(hd_instance_sink(shorter));
	cr_assert_null(hd_instance_analytics(shorter));
	hd_instance_free(&shorter);
	hd_instance_free(&longer);
	world_done(&w);
}

static void provides(struct world *w, const struct hd_instance *frozen)
{
	cJSON *point = cJSON_Parse("{\"device_token\":\"t\"}");
	struct hd_options *options = NULL;
	cr_assert_eq(hd_options_parse(hd_instance_descriptor(frozen), HYDRO_SCOPE_POINT, point, w->names, &options, &w->err), HYDRO_OK, "%s", w->err.text);
	cJSON_Delete(point);
	cr_assert_float_eq(parse_of(hd_instance_provider(frozen), hd_options_abi(options), "2.5"), 2.5, 0.0);
	hd_options_unref(&options);
}

/* A sink of 0.2: a slot, its payload, and what an answer means. */
static void files(const struct hd_sink *sink)
{
	struct hydro_error err = {.struct_size = sizeof err};
	hydro_filing_slot slot = {.struct_size = sizeof slot, .fields = 3, .code = "W-1", .kind = "well", .standard = "hourly", .due_ms = 1000, .values = {2.5, 7}};
	hydro_filing_payload payload = {.struct_size = sizeof payload};
	hydro_filing_send send = {.struct_size = sizeof send, .code = "W-1", .kind = "well", .payload = payload.text, .centre = "c", .informant = "i", .secret = "s"};
	hydro_http_response response = {.struct_size = sizeof response, .status = 200, .body = "OK r1", .body_len = 5, .content_type = ""};
	hydro_filing_answer answer = {.struct_size = sizeof answer};
	cr_assert_str_eq(sink->ops.filing_info(sink->self)->family, "frozen");
	cr_assert_eq(sink->ops.filing_needed(sink->self, &slot), 7);
	cr_assert_eq(sink->ops.filing_prepare(sink->self, &slot, &payload, &err), HYDRO_E_INVALID);
	cr_assert_str_eq(err.text, "level: there is no value");
	slot.standard = "monthly";
	cr_assert_eq(sink->ops.filing_prepare(sink->self, &slot, &payload, &err), HYDRO_OK, "%s", err.text);
	cr_assert_str_eq(payload.text, "1000 flow=2.50 total=7.00");
	cr_assert_eq(sink->ops.filing_parse(sink->self, &send, &response, &answer, &err), HYDRO_OK);
	cr_assert(answer.outcome == HYDRO_FILING_FILED && strcmp(answer.receipt, "r1") == 0);
}

Test(instance, a_plugin_built_with_each_published_header_loads_and_works)
{
	struct world w;
	char list[] = HD_FROZEN, *rest = NULL;
	world_init(&w);
	for (char *number = strtok_r(list, ",", &rest); number; number = strtok_r(NULL, ",", &rest)) {
		char name[32];
		(void)snprintf(name, sizeof name, "frozen_%.16s", number);
		name[strcspn(name, ".")] = '_';
		world_add(&w, name, name);
		world_open(&w);
		struct hd_instance *frozen = create(&w, "f", name, NULL, HYDRO_OK);
		if (hd_instance_sink(frozen))
			files(hd_instance_sink(frozen));
		else
			provides(&w, frozen);
		hd_instance_free(&frozen);
		hd_plugins_close(&w.plugins);
	}
	world_done(&w);
}

Test(instance, options_are_checked_before_create_and_shown_without_secrets)
{
	struct world w;
	world_init(&w);
	world_add(&w, "good", "good");
	world_open(&w);
	(void)create(&w, "a", "good", "{\"base_ulr\":\"http://h/\"}", HYDRO_E_CONFIG);
	cr_assert(strstr(w.err.text, "did you mean 'base_url'"), "%s", w.err.text);
	(void)create(&w, "a", "nobody", NULL, HYDRO_E_NOTFOUND);
	(void)create(&w, "a b", "good", NULL, HYDRO_E_INVALID);
	struct hd_instance *a = create(&w, "a", "good", "{\"pace\":\"2s\"}", HYDRO_OK);
	(void)create(&w, "a", "good", NULL, HYDRO_E_EXISTS);
	cJSON *json = hd_instance_options_json(a);
	cr_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(json, "pace")), "2s");
	cJSON_Delete(json);
	hd_instance_free(&a);
	world_done(&w);
}

Test(instance, only_reloadable_options_change_and_a_refusal_leaves_the_old_ones)
{
	struct world w;
	world_init(&w);
	world_add(&w, "good", "good");
	world_add(&w, "shorter_tables", "s");
	world_open(&w);
	struct hd_instance *a = create(&w, "a", "good", NULL, HYDRO_OK), *s = create(&w, "s", "shorter_tables", NULL, HYDRO_OK);
	cJSON *url = cJSON_Parse("{\"base_url\":\"http://other/\"}"), *pace = cJSON_Parse("{\"pace\":\"3s\"}"), *unlucky = cJSON_Parse("{\"pace\":\"13s\"}");
	cr_assert_eq(hd_instance_configure(a, url, &w.err), HYDRO_E_CONFLICT);
	cr_assert(strstr(w.err.text, "base_url"), "%s", w.err.text);
	cr_assert_eq(hd_instance_configure(a, pace, &w.err), HYDRO_OK, "%s", w.err.text);
	cr_assert_eq(hd_instance_configure(a, unlucky, &w.err), HYDRO_E_CONFIG);
	cr_assert(strstr(w.err.text, "configure failed: 13 s brings bad luck"), "%s", w.err.text);
	cJSON *json = hd_instance_options_json(a);
	cr_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(json, "pace")), "3s");
	cJSON_Delete(json);
	cr_assert_eq(hd_instance_configure(s, pace, &w.err), HYDRO_E_UNSUPPORTED);
	cJSON_Delete(url);
	cJSON_Delete(pace);
	cJSON_Delete(unlucky);
	hd_instance_free(&a);
	hd_instance_free(&s);
	world_done(&w);
}

Test(instance, a_create_that_says_ok_without_an_instance_or_fails_with_an_unknown_code_is_refused)
{
	struct world w;
	world_init(&w);
	world_add(&w, "no_instance", "n");
	world_open(&w);
	(void)create(&w, "n", "no_instance", NULL, HYDRO_E_FATAL);
	cr_assert(strstr(w.err.text, "gave no instance, this host needs one"), "%s", w.err.text);
	(void)create(&w, "n", "no_instance", "{\"pace\":0}", HYDRO_E_FATAL);
	world_done(&w);
}

Test(instance, a_create_that_hangs_is_left_behind_and_the_others_run)
{
	struct world w;
	world_init(&w);
	world_add(&w, "hang_create", "h");
	world_add(&w, "good", "good");
	struct hd_plugins_config cfg = world_config(&w);
	cfg.call_ms = 100;
	cr_assert_eq(hd_plugins_open(&cfg, &w.plugins, &w.err), HYDRO_OK);
	(void)create(&w, "h", "hang_create", NULL, HYDRO_E_TIMEOUT);
	cr_assert(strstr(w.err.text, "create did not return within 100 ms; its thread is left behind"), "%s", w.err.text);
	hd_plugins_close(&w.plugins);
	world_open(&w);
	struct hd_instance *good = create(&w, "g", "good", NULL, HYDRO_OK);
	cr_assert_float_eq(parse(hd_instance_provider(good), "1"), 1.0, 0.0);
	hd_instance_free(&good);
	world_done(&w);
}

Test(instance, a_thread_left_running_at_stop_is_survived_and_named)
{
	struct world w;
	world_init(&w);
	world_add(&w, "thread_left", "t");
	world_open(&w);
	struct hd_instance *instance = create(&w, "leaver", "thread_left", NULL, HYDRO_OK);
	cr_assert_eq(hd_instance_stop(instance, 10, &w.err), HYDRO_OK);
	hd_instance_free(&instance);
	uint64_t before = hd_services_late_calls();
	while (hd_services_late_calls() < before + 3)
		(void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	cr_assert(world_said(&w, "leaver: plugin called into the host after its stop had returned"), "%s", w.log);
	world_done(&w);
}

Test(instance, what_a_plugin_logs_is_one_line_and_limited)
{
	struct world w;
	world_init(&w);
	struct hd_plugins_config cfg = world_config(&w);
	struct hd_services *services = hd_services_new(&cfg, "noisy");
	const hydro_host *host = hd_services_host(services);
	host->log(host->ctx, HYDRO_LOG_WARN, "first\nlevel=error forged");
	cr_assert(world_said(&w, "noisy: first level=error forged\n"), "%s", w.log);
	for (int i = 0; i < 500; i++)
		host->log(host->ctx, HYDRO_LOG_WARN, "again");
	size_t lines = 0;
	for (const char *p = w.log; (p = strstr(p, "again")); p++)
		lines++;
	cr_assert_geq(lines, HD_SERVICES_LOG_BURST - 1);
	cr_assert_lt(lines, 500);
	cr_assert_gt(host->metric(host->ctx, "flow"), 0);
	cr_assert_eq(host->metric(host->ctx, "Not A Metric"), 0);
	cr_assert_str_eq(host->metric_name(host->ctx, HD_METRIC_FLOW), "flow");
	cr_assert_null(host->metric_name(host->ctx, 99999));
	hd_services_retire(&services);
	world_done(&w);
}

Test(instance, sinks_and_analytics_have_their_faces)
{
	struct world w;
	world_init(&w);
	world_add(&w, "sink", "sink");
	world_add(&w, "analytics", "analytics");
	world_open(&w);
	struct hd_instance *sink = create(&w, "s", "swallow", NULL, HYDRO_OK), *analytics = create(&w, "a", "counting", NULL, HYDRO_OK);
	hydro_record records[2] = {{.struct_size = sizeof records[0], .value_count = 1}, {.struct_size = sizeof records[0]}};
	hydro_batch batch = {.struct_size = sizeof batch, .record_count = 2, .record_stride = sizeof records[0], .records = records};
	hydro_write_outcome outcomes[2];
	memset(outcomes, 0, sizeof outcomes);
	const struct hd_sink *face = hd_instance_sink(sink);
	cr_assert_eq(face->ops.write(face->self, &batch, outcomes, sizeof outcomes[0], &w.err), HYDRO_OK);
	cr_assert_eq(outcomes[0].status, HYDRO_WRITE_OK);
	cr_assert_eq(outcomes[1].status, HYDRO_WRITE_REJECT);
	cr_assert_eq(hd_instance_analytics(analytics)->ops.state_size, 8);
	hd_instance_free(&sink);
	hd_instance_free(&analytics);
	world_done(&w);
}
