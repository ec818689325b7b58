/* SPDX-License-Identifier: MIT */
/* What is derived from a descriptor's rows: redacted JSON, JSON Schema, the reference page, the probe's output. */
#include "hostside/options.h"

#include "base/buf.h"

#include <cjson/cJSON.h>
#include <hydro/conv.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void duration_text(int64_t ms, char ret[32])
{
	static const struct { int64_t ms; const char *unit; } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
	for (size_t i = 0; i < HD_ARRAY_LEN(units); i++)
		if (ms % units[i].ms == 0) {
			(void)snprintf(ret, 32, "%" PRId64 "%s", ms / units[i].ms, units[i].unit);
			return;
		}
}

static cJSON *value_json(const hydro_option *row, const hydro_options *abi, const hydro_option_value *value)
{
	if (row->flags & HYDRO_OPT_SECRET)
		return cJSON_CreateString("***");
	char text[32] = "";
	switch (row->type) {
	case HYDRO_OPT_BOOL:
		return cJSON_CreateBool(value->integer != 0);
	case HYDRO_OPT_INT:
	case HYDRO_OPT_NUMBER:
		return cJSON_CreateNumber(value->number);
	case HYDRO_OPT_DURATION:
		duration_text(value->integer, text);
		return cJSON_CreateString(text);
	case HYDRO_OPT_MAP: {
		cJSON *map = cJSON_CreateObject();
		for (uint32_t k = 0; map && k < value->entry_count; k++) {
			const hydro_map_entry *entry = hydro_option_entry(abi, value, k);
			(void)cJSON_AddStringToObject(map, entry->key, entry->value);
		}
		return map;
	}
	default:
		return cJSON_CreateString(value->text ? value->text : "");
	}
}

struct cJSON *hd_options_redacted_json(const struct hd_descriptor *descriptor, const struct hd_options *options)
{
	const hydro_options *abi = hd_options_abi(options);
	cJSON *json = cJSON_CreateObject();
	for (uint32_t i = 0; json && i < descriptor->row_count; i++) {
		const hydro_option_value *value = hydro_option_at(abi, i);
		if (!value->is_set)
			continue;
		cJSON *item = value_json(&descriptor->rows[i], abi, value);
		if (!item || !cJSON_AddItemToObject(json, descriptor->rows[i].key, item)) {
			cJSON_Delete(item);
			cJSON_Delete(json);
			return NULL;
		}
	}
	return json;
}

static void schema_bounds(const hydro_option *row, cJSON *schema)
{
	if (row->max <= row->min)
		return;
	if (row->type == HYDRO_OPT_INT || row->type == HYDRO_OPT_NUMBER) {
		(void)cJSON_AddNumberToObject(schema, "minimum", row->min);
		(void)cJSON_AddNumberToObject(schema, "maximum", row->max);
	} else if (row->type == HYDRO_OPT_STRING) {
		(void)cJSON_AddNumberToObject(schema, "minLength", row->min);
		(void)cJSON_AddNumberToObject(schema, "maxLength", row->max);
	}
}

static void schema_choices(const hydro_option *row, cJSON *schema)
{
	cJSON *list = cJSON_AddArrayToObject(schema, "enum");
	for (const char *p = row->choices; list && p;) {
		char text[HD_PLUGIN_TEXT_BYTES_MAX + 1];
		size_t len = strcspn(p, "|");
		(void)snprintf(text, sizeof text, "%.*s", (int)len, p);
		(void)cJSON_AddItemToArray(list, cJSON_CreateString(text));
		p = p[len] ? p + len + 1 : NULL;
	}
}

static cJSON *row_schema(const struct hd_descriptor *d, uint32_t i)
{
	static const char *const types[] = {"", "boolean", "integer", "number", "string", NULL, "string", "string", "object"};
	const hydro_option *row = &d->rows[i];
	cJSON *schema = cJSON_CreateObject();
	if (!schema)
		return NULL;
	(void)cJSON_AddStringToObject(schema, "description", row->doc);
	if (row->type == HYDRO_OPT_DURATION) {
		static const char *const both[] = {"string", "number"};
		(void)cJSON_AddItemToObject(schema, "type", cJSON_CreateStringArray(both, 2));
		(void)cJSON_AddStringToObject(schema, "pattern", "^[0-9]+(ms|s|m|h|d)?$");
	} else {
		(void)cJSON_AddStringToObject(schema, "type", types[row->type]);
	}
	if (row->type == HYDRO_OPT_URL)
		(void)cJSON_AddStringToObject(schema, "format", "uri");
	if (row->type == HYDRO_OPT_CHOICE)
		schema_choices(row, schema);
	if (row->type == HYDRO_OPT_MAP) {
		static const char *const both[] = {"string", "integer"};
		cJSON *values = cJSON_AddObjectToObject(schema, "additionalProperties");
		(void)cJSON_AddItemToObject(values, "type", cJSON_CreateStringArray(both, 2));
		if (row->flags & HYDRO_OPT_METRIC_KEYS) {
			cJSON *names = cJSON_AddObjectToObject(schema, "propertyNames");
			(void)cJSON_AddStringToObject(names, "pattern", "^[a-z][a-z0-9_]*$");
		}
	}
	schema_bounds(row, schema);
	if (row->flags & HYDRO_OPT_SECRET)
		(void)cJSON_AddBoolToObject(schema, "writeOnly", 1);
	if (d->defaults[i].is_set) {
		hydro_options abi = {.map_stride = sizeof(hydro_map_entry)};
		(void)cJSON_AddItemToObject(schema, "default", value_json(row, &abi, &d->defaults[i]));
	}
	return schema;
}

struct cJSON *hd_descriptor_json_schema(const struct hd_descriptor *descriptor, uint32_t scope)
{
	cJSON *schema = cJSON_CreateObject();
	if (!schema)
		return NULL;
	char title[96];
	(void)snprintf(title, sizeof title, "%s options of plugin %s", hd_scope_name(scope), descriptor->plugin.name);
	(void)cJSON_AddStringToObject(schema, "$schema", "https://json-schema.org/draft/2020-12/schema");
	(void)cJSON_AddStringToObject(schema, "title", title);
	(void)cJSON_AddStringToObject(schema, "type", "object");
	(void)cJSON_AddBoolToObject(schema, "additionalProperties", 0);
	cJSON *properties = cJSON_AddObjectToObject(schema, "properties");
	cJSON *required = cJSON_AddArrayToObject(schema, "required");
	for (uint32_t i = 0; properties && required && i < descriptor->row_count; i++) {
		const hydro_option *row = &descriptor->rows[i];
		if (row->scope != scope)
			continue;
		(void)cJSON_AddItemToObject(properties, row->key, row_schema(descriptor, i));
		if (row->flags & HYDRO_OPT_REQUIRED && !descriptor->defaults[i].is_set)
			(void)cJSON_AddItemToArray(required, cJSON_CreateString(row->key));
	}
	return schema;
}

/* Text for a table cell: a bar would end it. */
static void add_cell(struct hd_buf *buf, const char *text)
{
	for (const char *p = text; *p; p++) {
		if (*p == '|')
			(void)hd_buf_add_char(buf, '\\');
		(void)hd_buf_add_char(buf, *p);
	}
}

static void reference_row(const struct hd_descriptor *d, uint32_t i, struct hd_buf *buf)
{
	const hydro_option *row = &d->rows[i];
	(void)hd_buf_printf(buf, "| `%s` | %s%s%s | ", row->key, hd_option_type_name(row->type), row->flags & HYDRO_OPT_REQUIRED ? ", required" : "",
			    row->flags & HYDRO_OPT_SECRET ? ", secret" : "");
	if (row->flags & HYDRO_OPT_RELOADABLE)
		(void)hd_buf_add_text(buf, "reloadable");
	(void)hd_buf_add_text(buf, " | ");
	if (row->default_value && row->default_value[0]) {
		(void)hd_buf_add_char(buf, '`');
		add_cell(buf, row->default_value);
		(void)hd_buf_add_char(buf, '`');
	}
	(void)hd_buf_add_text(buf, " | ");
	if (row->type == HYDRO_OPT_CHOICE)
		add_cell(buf, row->choices);
	else if (row->max > row->min)
		(void)hd_buf_printf(buf, "%.15g – %.15g%s", row->min, row->max, row->type == HYDRO_OPT_DURATION ? " ms" : "");
	(void)hd_buf_add_text(buf, " | ");
	add_cell(buf, row->doc);
	(void)hd_buf_add_text(buf, " |\n");
}

char *hd_descriptor_reference_md(const struct hd_descriptor *descriptor)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	const hydro_plugin *plugin = &descriptor->plugin;
	(void)hd_buf_printf(&buf, "# %s %s\n\n%s\n\nKind: %s. Licence: %s. Needs ABI %u.%u.\n", plugin->name, plugin->version, plugin->summary,
			    hd_kind_name(plugin->kind), plugin->licence, plugin->abi_major, plugin->abi_minor_needed);
	for (uint32_t scope = HYDRO_SCOPE_INSTANCE; scope <= HYDRO_SCOPE_POINT; scope++) {
		bool any = false;
		for (uint32_t i = 0; i < descriptor->row_count; i++) {
			if (descriptor->rows[i].scope != scope)
				continue;
			if (!any)
				(void)hd_buf_printf(&buf, "\n## Options of the %s\n\n| key | type | change | default | takes | meaning |\n|---|---|---|---|---|---|\n",
						    hd_scope_name(scope));
			any = true;
			reference_row(descriptor, i, &buf);
		}
	}
	return hd_buf_take(&buf);
}

static uint32_t capabilities(const struct hd_descriptor *d)
{
	return d->plugin.kind == HYDRO_KIND_PROVIDER ? d->ops.provider.capabilities
	     : d->plugin.kind == HYDRO_KIND_SINK     ? d->ops.sink.capabilities
						     : d->ops.analytics.capabilities;
}

static void add_member(struct hd_buf *buf, const char *key, const char *text)
{
	(void)hd_buf_printf(buf, ",\"%s\":", key);
	if (text)
		(void)hd_buf_add_json(buf, text, strlen(text));
	else
		(void)hd_buf_add_text(buf, "null");
}

bool hd_descriptor_json(const struct hd_descriptor *descriptor, struct hd_buf *ret)
{
	const hydro_plugin *plugin = &descriptor->plugin;
	(void)hd_buf_printf(ret, "{\"kind\":\"%s\",\"abi_major\":%u,\"abi_minor_needed\":%u", hd_kind_name(plugin->kind), plugin->abi_major,
			    plugin->abi_minor_needed);
	add_member(ret, "name", plugin->name);
	add_member(ret, "version", plugin->version);
	add_member(ret, "summary", plugin->summary);
	add_member(ret, "licence", plugin->licence);
	(void)hd_buf_printf(ret, ",\"flags\":%u,\"capabilities\":%u,\"options\":[", plugin->flags, capabilities(descriptor));
	for (uint32_t i = 0; i < descriptor->row_count; i++) {
		const hydro_option *row = &descriptor->rows[i];
		(void)hd_buf_printf(ret, "%s{\"type\":\"%s\",\"scope\":\"%s\",\"flags\":%u", i ? "," : "", hd_option_type_name(row->type),
				    hd_scope_name(row->scope), row->flags);
		add_member(ret, "key", row->key);
		add_member(ret, "default", row->default_value);
		add_member(ret, "choices", row->choices);
		add_member(ret, "doc", row->doc);
		(void)hd_buf_add_text(ret, ",\"min\":");
		(void)hd_buf_add_number(ret, row->min);
		(void)hd_buf_add_text(ret, ",\"max\":");
		(void)hd_buf_add_number(ret, row->max);
		(void)hd_buf_add_char(ret, '}');
	}
	return hd_buf_add_text(ret, "]}") && !ret->failed;
}
