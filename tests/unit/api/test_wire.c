/* SPDX-License-Identifier: MIT */
/* The API's ends at the real plugin host and the real pipeline. */
#include "../pipeline/rig.h"
#include "../plugin/world.h"
#include "api/checks.h"
#include "api/wire_feed.h"

struct plugged {
	struct world world;
	struct hd_instance *instance;
	struct hd_api_parts parts;
	struct hd_api_deps deps;
	struct hydro_error err;
};

static void plug(struct plugged *p)
{
	memset(p, 0, sizeof *p);
	world_init(&p->world);
	world_add(&p->world, "good", "good");
	world_open(&p->world);
	cr_assert_eq(hd_instance_create(p->world.plugins, "north", "good", NULL, &p->instance, &p->err), HYDRO_OK, "%s", p->err.text);
	p->parts = (struct hd_api_parts){.names = p->world.names, .plugins = p->world.plugins, .instances = &p->instance, .instance_count = 1};
	hd_api_wire(&p->parts, &p->deps);
}

static void unplug(struct plugged *p)
{
	hd_api_unwire(&p->parts);
	hd_instance_free(&p->instance);
	world_done(&p->world);
}

Test(wire, options_are_checked_by_the_descriptor_and_secrets_are_hidden)
{
	struct plugged p;
	struct hd_buf shown = {0};
	bool secret = false;
	plug(&p);
	const struct hd_store_checks *checks = &p.deps.checks;
	cr_assert_eq(checks->options(checks->arg, "north", HYDRO_SCOPE_POINT, "{\"device_token\":\"tok\"}", &shown, &secret, &p.err), HYDRO_OK, "%s", p.err.text);
	cr_assert_str_eq(hd_buf_text(&shown), "{\"device_token\":\"***\"}");
	cr_assert(secret);
	static const struct {
		const char *provider, *json, *says;
	} bad[] = {
		{"south", "{}", "there are: north"}, {"north", "{}", "device_token"}, {"north", "{\"device_tokem\":\"x\"}", "device_token"}, {"north", "{", "no JSON"}};
	for (size_t i = 0; i < HD_ARRAY_LEN(bad); i++) {
		cr_assert_neq(checks->options(checks->arg, bad[i].provider, HYDRO_SCOPE_POINT, bad[i].json, &shown, &secret, &p.err), HYDRO_OK);
		cr_assert_not_null(strstr(p.err.text, bad[i].says), "%s", p.err.text);
	}
	cr_assert_eq(checks->option_type(checks->arg, "north", HYDRO_SCOPE_POINT, "device_token"), HYDRO_OPT_STRING);
	cr_assert_eq(checks->option_type(checks->arg, "north", HYDRO_SCOPE_POINT, "base_url"), 0);
	hd_buf_done(&shown);
	unplug(&p);
}

Test(wire, plugins_and_instances_are_json_and_absent_parts_stay_null)
{
	struct plugged p;
	struct hd_buf text = {0};
	plug(&p);
	cr_assert_eq(p.deps.plugins(p.deps.arg, &text, &p.err), HYDRO_OK);
	cJSON *json = cJSON_Parse(hd_buf_text(&text));
	cr_assert_str_eq(cJSON_GetObjectItem(cJSON_GetArrayItem(json, 0), "state")->valuestring, "loaded");
	cJSON_Delete(json);
	hd_buf_clear(&text);
	cr_assert_eq(p.deps.instances(p.deps.arg, &text, &p.err), HYDRO_OK);
	json = cJSON_Parse(hd_buf_text(&text));
	cr_assert_str_eq(cJSON_GetObjectItem(cJSON_GetArrayItem(json, 0), "name")->valuestring, "north");
	cJSON_Delete(json);
	hd_buf_done(&text);
	cr_assert_eq(p.deps.plugins_scan(p.deps.arg, &p.err), HYDRO_OK);
	cr_assert(!p.deps.collect_point && !p.deps.history && !p.deps.feed && !p.deps.config);
	unplug(&p);
}

Test(wire, readings_by_hand_are_answered_once_on_disk)
{
	struct rig rig;
	struct hydro_error err = {0};
	uint32_t accepted = 0, dropped = 0;
	rig_open(&rig, 4, "", NULL);
	hydro_raw raws[2] = {{.ts_ms = RIG_T0, .value = 1.5, .metric = HD_METRIC_FLOW}, {.ts_ms = RIG_T0 + RIG_HOUR, .value = 2.5, .metric = HD_METRIC_FLOW}};
	cr_assert_eq(hd_api_wire_feed(rig.pipeline, 2, raws, 2, &accepted, &dropped, &err), HYDRO_OK, "%s", err.text);
	cr_assert(accepted == 2 && dropped == 0);
	cr_assert_not_null(rig_sample(&rig, 2, RIG_T0 + RIG_HOUR));
	cr_assert_eq(hd_api_wire_feed(rig.pipeline, 2, raws, 2, &accepted, &dropped, &err), HYDRO_OK);
	cr_assert(accepted == 0 && dropped == 2);
	cr_assert_eq(hd_api_wire_feed(rig.pipeline, 99, raws, 2, &accepted, &dropped, &err), HYDRO_E_INVALID);
	cr_assert_neq(err.text[0], '\0');
	rig_close(&rig);
}
