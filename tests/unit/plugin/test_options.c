/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "model/names.h"
#include "plugin/options.h"

#include <cjson/cJSON.h>
#include <hydro/conv.h>
#include <stdio.h>
#include <stdlib.h>

enum { URL, PACE, RATE, COUNT, MODE, ON, LABEL, SECRET, KEYS, EXTRA, ROWS };
static const hydro_option rows[ROWS] = {
	[URL] = {.key = "base_url", .type = HYDRO_OPT_URL, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "https://h/"},
	[PACE] = {.key = "pace", .type = HYDRO_OPT_DURATION, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "15m", .min = 1000, .max = 3600000},
	[RATE] = {.key = "rate", .type = HYDRO_OPT_NUMBER, .scope = HYDRO_SCOPE_INSTANCE, .min = 0.5, .max = 10},
	[COUNT] = {.key = "count", .type = HYDRO_OPT_INT, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "7", .min = 1, .max = 100},
	[MODE] = {.key = "mode", .type = HYDRO_OPT_CHOICE, .scope = HYDRO_SCOPE_INSTANCE, .choices = "fast|slow|off", .default_value = "slow"},
	[ON] = {.key = "on", .type = HYDRO_OPT_BOOL, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "true"},
	[LABEL] = {.key = "label", .type = HYDRO_OPT_STRING, .scope = HYDRO_SCOPE_INSTANCE, .min = 2, .max = 5},
	[SECRET] = {.key = "device_token", .type = HYDRO_OPT_STRING, .scope = HYDRO_SCOPE_POINT, .flags = HYDRO_OPT_REQUIRED | HYDRO_OPT_SECRET, .min = 3, .max = 64},
	[KEYS] = {.key = "keys", .type = HYDRO_OPT_MAP, .scope = HYDRO_SCOPE_POINT, .flags = HYDRO_OPT_METRIC_KEYS, .default_value = "flow=5001,level=5002"},
	[EXTRA] = {.key = "extra", .type = HYDRO_OPT_MAP, .scope = HYDRO_SCOPE_POINT},
};

struct fixture {
	struct hd_descriptor d;
	hydro_option rows[ROWS];
	struct hd_names *names;
	struct hydro_error err;
	struct hd_options *options;
};

static void init(struct fixture *f)
{
	memset(f, 0, sizeof *f);
	memcpy(f->rows, rows, sizeof rows);
	for (int i = 0; i < ROWS; i++)
		f->rows[i].doc = "what it is";
	f->err.struct_size = sizeof f->err;
	f->d.plugin.name = "p";
	f->d.rows = f->rows;
	f->d.row_count = ROWS;
	cr_assert_eq(hd_option_defaults(&f->d, &f->err), HYDRO_OK, "%s", f->err.text);
	cr_assert_eq(hd_names_open(NULL, &f->names, &f->err), HYDRO_OK);
}

static void done(struct fixture *f)
{
	hd_options_unref(&f->options);
	free(f->d.defaults);
	free(f->d.default_entries);
	free(f->d.default_texts);
	hd_names_close(&f->names);
}

static int parse(struct fixture *f, uint32_t scope, const char *text)
{
	cJSON *json = text ? cJSON_Parse(text) : NULL;
	cr_assert(json || !text, "%s", text);
	hd_options_unref(&f->options);
	int rc = hd_options_parse(&f->d, scope, json, f->names, &f->options, &f->err);
	cJSON_Delete(json);
	return rc;
}

static void refused(struct fixture *f, uint32_t scope, const char *text, const char *part)
{
	cr_assert_eq(parse(f, scope, text), HYDRO_E_CONFIG, "should be refused: %s", text);
	cr_assert(strstr(f->err.text, part), "%s\n  gave: %s", text, f->err.text);
}

static const hydro_option_value *value(struct fixture *f, uint32_t i)
{
	return hydro_option_at(hd_options_abi(f->options), i);
}

Test(options, defaults_are_applied_and_other_scopes_are_not_set)
{
	struct fixture f;
	init(&f);
	cr_assert_eq(parse(&f, HYDRO_SCOPE_INSTANCE, NULL), HYDRO_OK, "%s", f.err.text);
	cr_assert_str_eq(value(&f, URL)->text, "https://h/");
	cr_assert_eq(value(&f, PACE)->integer, 900000);
	cr_assert_eq(value(&f, COUNT)->integer, 7);
	cr_assert_eq(value(&f, MODE)->integer, 1);
	cr_assert_str_eq(value(&f, MODE)->text, "slow");
	cr_assert_eq(value(&f, ON)->integer, 1);
	cr_assert_eq(value(&f, RATE)->is_set, 0);
	cr_assert_eq(value(&f, SECRET)->is_set, 0);
	cr_assert_eq(value(&f, KEYS)->is_set, 0);
	done(&f);
}

Test(options, given_values_arrive_in_the_form_of_the_abi)
{
	struct fixture f;
	init(&f);
	cr_assert_eq(parse(&f, HYDRO_SCOPE_INSTANCE, "{\"base_url\":\"http://x:1/v\",\"pace\":\"90s\",\"rate\":2.5,\"count\":3,\"mode\":\"off\",\"on\":false,\"label\":\"abc\"}"),
		     HYDRO_OK, "%s", f.err.text);
	cr_assert_str_eq(value(&f, URL)->text, "http://x:1/v");
	cr_assert_eq(value(&f, PACE)->integer, 90000);
	cr_assert_float_eq(value(&f, RATE)->number, 2.5, 0);
	cr_assert_eq(value(&f, COUNT)->integer, 3);
	cr_assert_eq(value(&f, MODE)->integer, 2);
	cr_assert_eq(value(&f, ON)->integer, 0);
	cr_assert_str_eq(value(&f, LABEL)->text, "abc");
	cr_assert_eq(parse(&f, HYDRO_SCOPE_INSTANCE, "{\"pace\":60,\"label\":null}"), HYDRO_OK);
	cr_assert_eq(value(&f, PACE)->integer, 60000, "a number is seconds");
	cr_assert_eq(value(&f, LABEL)->is_set, 0, "null is not given");
	done(&f);
}

Test(options, keys_of_metric_maps_carry_the_metrics_id_and_numbers_read_as_texts)
{
	struct fixture f;
	init(&f);
	cr_assert_eq(parse(&f, HYDRO_SCOPE_POINT, "{\"device_token\":\"abc\",\"keys\":{\"total\":5003,\"ph\":\"k\"},\"extra\":{\"A b\":\"c\"}}"), HYDRO_OK, "%s", f.err.text);
	const hydro_options *abi = hd_options_abi(f.options);
	cr_assert_eq(value(&f, KEYS)->entry_count, 2);
	cr_assert_eq(hydro_option_entry(abi, value(&f, KEYS), 0)->metric, HD_METRIC_TOTAL);
	cr_assert_str_eq(hydro_option_entry(abi, value(&f, KEYS), 0)->value, "5003");
	cr_assert_eq(hydro_option_entry(abi, value(&f, KEYS), 1)->metric, hd_names_find(f.names, HD_NAME_METRIC, "ph"));
	cr_assert_eq(hydro_option_entry(abi, value(&f, EXTRA), 0)->metric, 0);
	cr_assert_eq(parse(&f, HYDRO_SCOPE_POINT, "{\"device_token\":\"abc\"}"), HYDRO_OK, "%s", f.err.text);
	cr_assert_eq(hydro_option_entry(hd_options_abi(f.options), value(&f, KEYS), 1)->metric, HD_METRIC_LEVEL, "a default map has its ids too");
	done(&f);
}

Test(options, what_is_wrong_is_refused_with_key_and_expectation)
{
	struct fixture f;
	init(&f);
	uint32_t instance = HYDRO_SCOPE_INSTANCE, point = HYDRO_SCOPE_POINT;
	refused(&f, instance, "{\"base_ulr\":\"http://h\"}", "option 'base_ulr' is unknown to plugin p (instance): did you mean 'base_url'?");
	refused(&f, instance, "{\"zzzzzz\":1}", "it takes base_url, pace, rate, count, mode, on, label");
	refused(&f, instance, "{\"device_token\":\"x\"}", "is given with the point, not with the instance");
	refused(&f, HYDRO_SCOPE_ACCOUNT, "{\"zzzzzz\":1}", "it takes none");
	refused(&f, instance, "{\"count\":1,\"count\":2}", "option 'count' is given twice");
	refused(&f, instance, "[]", "must be an object");
	refused(&f, instance, "{\"count\":\"1\"}", "option 'count' must be a whole number");
	refused(&f, instance, "{\"count\":1.5}", "option 'count' must be a whole number");
	refused(&f, instance, "{\"count\":101}", "option 'count' is 101, must be from 1 to 100");
	refused(&f, instance, "{\"rate\":0.1}", "must be from 0.5 to 10");
	refused(&f, instance, "{\"rate\":1e999}", "option 'rate' must be a number");
	refused(&f, instance, "{\"on\":1}", "option 'on' must be true or false");
	refused(&f, instance, "{\"pace\":\"soon\"}", "option 'pace' must be a duration such as");
	refused(&f, instance, "{\"pace\":\"2h\"}", "option 'pace' is 7200000ms, must be from 1000ms to 3600000ms");
	refused(&f, instance, "{\"pace\":-5}", "must be a duration");
	refused(&f, instance, "{\"mode\":\"fas\"}", "option 'mode' is \"fas\", must be one of fast|slow|off");
	refused(&f, instance, "{\"mode\":\"fast|slow\"}", "must be one of");
	refused(&f, instance, "{\"label\":\"toolong\"}", "has 7 characters, must have from 2 to 5");
	refused(&f, instance, "{\"label\":\"a\\r\\nb\"}", "option 'label' has control characters");
	refused(&f, instance, "{\"base_url\":\"ftp://h\"}", "must begin with http:// or https://");
	refused(&f, instance, "{\"base_url\":\"http://\"}", "has no host");
	refused(&f, instance, "{\"base_url\":\"http://u:p@h/\"}", "must not carry credentials");
	refused(&f, instance, "{\"base_url\":\"http://h/a b\"}", "characters that a URL cannot have");
	refused(&f, point, NULL, "option 'device_token' is required (point of plugin p): what it is");
	refused(&f, point, "{\"device_token\":\"\"}", "is required and empty");
	refused(&f, point, "{\"device_token\":\"abc\",\"keys\":{\"Bad Metric\":\"1\"}}", "\"Bad Metric\" is not a metric's name");
	refused(&f, point, "{\"device_token\":\"abc\",\"keys\":{\"flow\":true}}", "the value of \"flow\" must be a text");
	refused(&f, point, "{\"device_token\":\"abc\",\"keys\":{\"flow\":1e300}}", "the value of \"flow\" must be a text");
	refused(&f, point, "{\"device_token\":\"abc\",\"keys\":{\"flow\":1.5}}", "the value of \"flow\" must be a text");
	refused(&f, point, "{\"device_token\":\"abc\",\"keys\":7}", "option 'keys' must be an object of texts");
	done(&f);
}

Test(options, a_secret_is_in_no_error_and_in_no_json)
{
	struct fixture f;
	init(&f);
	char text[256];
	(void)snprintf(text, sizeof text, "{\"device_token\":\"hush%080d\"}", 7);
	cr_assert_eq(parse(&f, HYDRO_SCOPE_POINT, text), HYDRO_E_CONFIG);
	cr_assert_null(strstr(f.err.text, "hush"));
	cr_assert_eq(parse(&f, HYDRO_SCOPE_POINT, "{\"device_token\":\"hushhush\"}"), HYDRO_OK);
	cJSON *json = hd_options_redacted_json(&f.d, f.options);
	char *printed = cJSON_PrintUnformatted(json);
	cr_assert_str_eq(printed, "{\"device_token\":\"***\",\"keys\":{\"flow\":\"5001\",\"level\":\"5002\"}}");
	cJSON_free(printed);
	cJSON_Delete(json);
	cr_assert(hd_options_is_secret(&f.d, HYDRO_SCOPE_POINT, "device_token"));
	cr_assert_not(hd_options_is_secret(&f.d, HYDRO_SCOPE_POINT, "keys"));
	cr_assert_not(hd_options_is_secret(&f.d, HYDRO_SCOPE_POINT, "nothing"));
	done(&f);
}

Test(options, limits_hold_at_the_limit)
{
	struct fixture f;
	init(&f);
	f.rows[LABEL].max = 0;
	static char long_text[HD_OPTION_TEXT_BYTES_MAX + 2];
	memset(long_text, 'x', HD_OPTION_TEXT_BYTES_MAX);
	cJSON *json = cJSON_CreateObject();
	cJSON_AddStringToObject(json, "label", long_text);
	cr_assert_eq(hd_options_parse(&f.d, HYDRO_SCOPE_INSTANCE, json, f.names, &f.options, &f.err), HYDRO_OK, "%s", f.err.text);
	hd_options_unref(&f.options);
	long_text[HD_OPTION_TEXT_BYTES_MAX] = 'x';
	cJSON_ReplaceItemInObject(json, "label", cJSON_CreateString(long_text));
	cr_assert_eq(hd_options_parse(&f.d, HYDRO_SCOPE_INSTANCE, json, f.names, &f.options, &f.err), HYDRO_E_CONFIG);
	cJSON_Delete(json);
	for (unsigned count = HD_OPTION_MAP_ENTRIES_MAX; count <= HD_OPTION_MAP_ENTRIES_MAX + 1; count++) {
		json = cJSON_CreateObject();
		cJSON_AddStringToObject(json, "device_token", "abc");
		cJSON *map = cJSON_AddObjectToObject(json, "extra");
		for (unsigned i = 0; i < count; i++) {
			char key[16];
			(void)snprintf(key, sizeof key, "k%u", i);
			cJSON_AddStringToObject(map, key, "v");
		}
		int rc = hd_options_parse(&f.d, HYDRO_SCOPE_POINT, json, f.names, &f.options, &f.err);
		cr_assert_eq(rc, count > HD_OPTION_MAP_ENTRIES_MAX ? HYDRO_E_CONFIG : HYDRO_OK, "%u entries: %s", count, f.err.text);
		hd_options_unref(&f.options);
		cJSON_Delete(json);
	}
	done(&f);
}

Test(options, identity_is_never_used_twice_and_references_are_counted)
{
	struct fixture f;
	init(&f);
	cr_assert_eq(parse(&f, HYDRO_SCOPE_INSTANCE, NULL), HYDRO_OK);
	const void *first = hd_options_abi(f.options)->identity;
	struct hd_options *held = hd_options_ref(f.options);
	hd_options_unref(&f.options);
	cr_assert_eq(hd_options_abi(held)->identity, first);
	hd_options_unref(&held);
	cr_assert_null(held);
	cr_assert_eq(parse(&f, HYDRO_SCOPE_INSTANCE, NULL), HYDRO_OK);
	cr_assert_neq(hd_options_abi(f.options)->identity, first);
	done(&f);
}

Test(options, the_schema_says_what_is_taken)
{
	struct fixture f;
	init(&f);
	cJSON *schema = hd_descriptor_json_schema(&f.d, HYDRO_SCOPE_POINT);
	char *printed = cJSON_PrintUnformatted(schema);
	cr_assert(strstr(printed, "\"required\":[\"device_token\"]"), "%s", printed);
	cr_assert(strstr(printed, "\"writeOnly\":true"), "%s", printed);
	cr_assert(strstr(printed, "\"propertyNames\":{\"pattern\":\"^[a-z][a-z0-9_]*$\"}"), "%s", printed);
	cr_assert(strstr(printed, "\"default\":{\"flow\":\"5001\",\"level\":\"5002\"}"), "%s", printed);
	cr_assert(strstr(printed, "\"additionalProperties\":false"), "%s", printed);
	cr_assert_null(strstr(printed, "base_url"));
	cJSON_free(printed);
	cJSON_Delete(schema);
	done(&f);
}
