/* SPDX-License-Identifier: MIT */
/* Options of a point or instance as JSON, against rows of every type; what is taken must print again and be taken again. */
#include "hostside/options.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static hydro_option rows[] = {
	{.key = "url", .type = HYDRO_OPT_URL, .scope = HYDRO_SCOPE_POINT, .doc = "d", .default_value = "http://h/"},
	{.key = "pace", .type = HYDRO_OPT_DURATION, .scope = HYDRO_SCOPE_POINT, .doc = "d", .min = 0, .max = 1e9},
	{.key = "n", .type = HYDRO_OPT_INT, .scope = HYDRO_SCOPE_POINT, .doc = "d"},
	{.key = "x", .type = HYDRO_OPT_NUMBER, .scope = HYDRO_SCOPE_POINT, .doc = "d"},
	{.key = "on", .type = HYDRO_OPT_BOOL, .scope = HYDRO_SCOPE_POINT, .doc = "d"},
	{.key = "mode", .type = HYDRO_OPT_CHOICE, .scope = HYDRO_SCOPE_POINT, .doc = "d", .choices = "a|bb|c"},
	{.key = "text", .type = HYDRO_OPT_STRING, .scope = HYDRO_SCOPE_POINT, .doc = "d", .min = 1, .max = 40},
	{.key = "keys", .type = HYDRO_OPT_MAP, .scope = HYDRO_SCOPE_POINT, .doc = "d", .flags = HYDRO_OPT_METRIC_KEYS, .default_value = "flow=1,level=2"},
	{.key = "map", .type = HYDRO_OPT_MAP, .scope = HYDRO_SCOPE_POINT, .doc = "d"},
};

static int intern(void *ctx, const char *name, uint32_t *ret, struct hydro_error *err)
{
	(void)ctx;
	(void)err;
	*ret = 1 + (uint32_t)strlen(name);
	return HYDRO_OK;
}

static struct hd_descriptor *descriptor(void)
{
	static struct hd_descriptor d;
	if (d.rows)
		return &d;
	d.plugin.name = "fuzz";
	d.rows = rows;
	d.row_count = sizeof rows / sizeof rows[0];
	if (hd_option_defaults(&d, NULL) != HYDRO_OK)
		abort();
	return &d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct hd_metric_source metrics = {.intern = intern};
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_options *options = NULL, *again = NULL;
	cJSON *json = cJSON_ParseWithLength((const char *)data, size);
	int rc = hd_options_build(descriptor(), HYDRO_SCOPE_POINT, json, &metrics, &options, &err);
	cJSON_Delete(json);
	if (rc != HYDRO_OK) {
		if (!err.text[0] || memchr(err.text, '\0', sizeof err.text) == NULL)
			abort();
		return 0;
	}
	cJSON *printed = hd_options_redacted_json(descriptor(), options);
	if (!printed || hd_options_build(descriptor(), HYDRO_SCOPE_POINT, printed, &metrics, &again, &err) != HYDRO_OK)
		abort();
	cJSON_Delete(printed);
	hd_options_unref(&options);
	hd_options_unref(&again);
	return 0;
}
