/* SPDX-License-Identifier: MIT */
/* Options to try a plugin with, derived from its rows. */
#include "suite.h"

#include "base/fs.h"

#include <cjson/cJSON.h>
#include <string.h>

static cJSON *sample_text(const hydro_option *row)
{
	char text[256];
	size_t min = row->max > row->min && row->min > 0 ? (size_t)row->min : 0, max = row->max > row->min ? (size_t)row->max : 64;
	(void)snprintf(text, sizeof text, "%s-%s", row->flags & HYDRO_OPT_SECRET ? SECRET_MARK : "sample", row->key);
	size_t len = strlen(text);
	while (len < min && len + 1 < sizeof text)
		text[len++] = 'x';
	text[len < max ? len : max] = '\0';
	return cJSON_CreateString(text);
}

static cJSON *sample_value(const hydro_option *row)
{
	double number = row->max > row->min ? row->min : 1.0;
	char text[64];
	switch (row->type) {
	case HYDRO_OPT_BOOL:
		return cJSON_CreateTrue();
	case HYDRO_OPT_INT:
	case HYDRO_OPT_NUMBER:
		return cJSON_CreateNumber(number);
	case HYDRO_OPT_DURATION:
		(void)snprintf(text, sizeof text, "%.0fms", row->max > row->min ? row->min : 60000.0);
		return cJSON_CreateString(text);
	case HYDRO_OPT_URL:
		return cJSON_CreateString("http://127.0.0.1:9/base");
	case HYDRO_OPT_CHOICE:
		(void)snprintf(text, sizeof text, "%.*s", (int)strcspn(row->choices, "|"), row->choices);
		return cJSON_CreateString(text);
	case HYDRO_OPT_MAP: {
		cJSON *map = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(map, "flow", "k1");
		(void)cJSON_AddStringToObject(map, "level", "k2");
		return map;
	}
	default:
		return sample_text(row);
	}
}

/* Required rows, and secrets: those must be seen not to leak. */
static char *sample_scope(const hydro_plugin *plugin, uint32_t scope, const cJSON *given)
{
	cJSON *json = cJSON_CreateObject();
	for (uint32_t i = 0; i < plugin->option_count; i++) {
		const hydro_option *row = &plugin->options[i];
		if (row->scope == scope && row->flags & (HYDRO_OPT_REQUIRED | HYDRO_OPT_SECRET | HYDRO_OPT_METRIC_KEYS) && !cJSON_HasObjectItem(given, row->key))
			(void)cJSON_AddItemToObject(json, row->key, sample_value(row));
	}
	const cJSON *item;
	cJSON_ArrayForEach(item, given)
		(void)cJSON_AddItemToObject(json, item->string, cJSON_Duplicate(item, 1));
	char *text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return text;
}

static cJSON *read_file(const char *path)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	struct hydro_error err = {.struct_size = sizeof err};
	if (hd_fs_read(path, 1u << 20, &buf, &err) != HYDRO_OK) {
		(void)fprintf(stderr, "%s\n", err.text);
		return NULL;
	}
	cJSON *json = cJSON_ParseWithLength(buf.data, buf.len);
	if (!cJSON_IsObject(json)) {
		(void)fprintf(stderr, "%s is not a JSON object\n", path);
		cJSON_Delete(json);
		return NULL;
	}
	return json;
}

/* A text of the file's "filing", or another one. */
static char *filing_text(const cJSON *given, const char *name, const char *otherwise)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetObjectItem(given, "filing"), name));
	return strdup(text ? text : otherwise);
}

bool subject_fill(struct subject *subject, const char *file)
{
	cJSON *given = file ? read_file(file) : cJSON_CreateObject();
	if (!given)
		return false;
	subject->instance = sample_scope(subject->plugin, HYDRO_SCOPE_INSTANCE, cJSON_GetObjectItem(given, "instance"));
	subject->account = sample_scope(subject->plugin, HYDRO_SCOPE_ACCOUNT, cJSON_GetObjectItem(given, "account"));
	subject->point = sample_scope(subject->plugin, HYDRO_SCOPE_POINT, cJSON_GetObjectItem(given, "point"));
	const cJSON *body;
	cJSON_ArrayForEach(body, cJSON_GetObjectItem(given, "bodies"))
		if (cJSON_IsString(body) && subject->body_count < BODIES_MAX)
			subject->bodies[subject->body_count++] = strdup(body->valuestring);
	subject->code = filing_text(given, "code", "W-1");
	subject->centre = filing_text(given, "centre", "centre-1");
	subject->informant = filing_text(given, "informant", "informant-1");
	cJSON_Delete(given);
	return subject->instance && subject->account && subject->point && subject->code && subject->centre && subject->informant;
}

void subject_create(struct subject *subject)
{
	struct hydro_error err = {.struct_size = sizeof err};
	int32_t rc = hydro_testkit_create(subject->kit, subject->instance, &err);
	if (rc == HYDRO_E_IO || rc == HYDRO_E_AGAIN || rc == HYDRO_E_TIMEOUT)
		SKIP("create needs what is not here: %s", err.text);
	REQUIRE(rc == HYDRO_OK, "create with %s failed: %s (give working options by --options)", subject->instance, err.text);
}

void subject_poll(struct subject *subject)
{
	struct hydro_error err = {.struct_size = sizeof err};
	const hydro_provider_ops *ops = hydro_testkit_provider(subject->kit);
	if (!(ops->capabilities & HYDRO_PROVIDER_HTTP))
		SKIP("not a provider over HTTP");
	subject_create(subject);
	int32_t rc = hydro_testkit_point(subject->kit, subject->account, subject->point, &err);
	REQUIRE(rc == HYDRO_OK, "account %s and point %s are refused: %s (give working options by --options)", subject->account, subject->point, err.text);
	hydro_testkit_poll(subject->kit)->token = SECRET_MARK "-token";
}
