/* SPDX-License-Identifier: MIT */
#include "api/schema.h"

#include "base/timefmt.h"
#include "base/utf8.h"
#include "base/uuid.h"
#include "lua/diag.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const type_names[] = {"text", "whole number", "number", "boolean", "RFC 3339 time", "UUID", "object", "array", "value"};

void hd_cleanup_json(cJSON **json)
{
	cJSON_Delete(*json);
	*json = NULL;
}

const char *hd_body_text(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
	return cJSON_IsString(item) ? item->valuestring : NULL;
}

static bool one_of(const char *choices, const char *text)
{
	size_t len = strlen(text);
	for (const char *p = choices; len > 0 && *p;) {
		size_t one = strcspn(p, "|");
		if (one == len && memcmp(p, text, len) == 0)
			return true;
		p += one + (p[one] == '|');
	}
	return false;
}

static bool bounded(const struct hd_schema_field *field, double value)
{
	return field->max <= field->min || (value >= field->min && value <= field->max);
}

/* NULL when the value fits, else what is wanted. */
static const char *misfit(const struct hd_schema_field *field, const cJSON *item, char ret[160])
{
	bool ok = false;
	int64_t ms;
	struct hd_uuid id;
	const char *text = cJSON_IsString(item) ? item->valuestring : NULL;
	if (cJSON_IsNull(item) && (field->flags & HD_FIELD_NULLABLE))
		return NULL;
	switch (field->type) {
	case HD_FIELD_IS_TEXT:
		ok = text && (field->of ? one_of(field->of, text) : bounded(field, (double)strlen(text)));
		break;
	case HD_FIELD_IS_INTEGER:
		ok = cJSON_IsNumber(item) && floor(item->valuedouble) == item->valuedouble && fabs(item->valuedouble) < 9e15 && bounded(field, item->valuedouble);
		break;
	case HD_FIELD_IS_NUMBER:
		ok = cJSON_IsNumber(item) && isfinite(item->valuedouble) && bounded(field, item->valuedouble);
		break;
	case HD_FIELD_IS_BOOL:
		ok = cJSON_IsBool(item);
		break;
	case HD_FIELD_IS_TIME:
		ok = text && hd_time_parse(text, strlen(text), false, &ms);
		break;
	case HD_FIELD_IS_UUID:
		ok = text && hd_uuid_parse(text, &id);
		break;
	case HD_FIELD_IS_OBJECT:
		ok = cJSON_IsObject(item);
		break;
	case HD_FIELD_IS_ARRAY:
		ok = cJSON_IsArray(item) && bounded(field, cJSON_GetArraySize(item));
		break;
	case HD_FIELD_IS_ANY:
		ok = true;
		break;
	default:
		HD_ASSERT(!"known type of field");
	}
	if (ok)
		return NULL;
	if (field->type == HD_FIELD_IS_TEXT && field->of)
		(void)snprintf(ret, 160, "one of %.100s is wanted", field->of);
	else if (field->max > field->min)
		(void)snprintf(ret, 160, "a %s %s %.16g to %.16g is wanted", type_names[field->type],
			       field->type == HD_FIELD_IS_TEXT || field->type == HD_FIELD_IS_ARRAY ? "of length" : "from", field->min, field->max);
	else
		(void)snprintf(ret, 160, "a value of type %s is wanted", type_names[field->type]);
	return ret;
}

static const struct hd_schema_field *find_field(const struct hd_schema *schema, const char *name)
{
	for (uint32_t i = 0; i < schema->count; i++)
		if (strcmp(schema->fields[i].name, name) == 0)
			return &schema->fields[i];
	return NULL;
}

static const char *field_name(const void *arg, uint32_t i)
{
	return ((const struct hd_schema *)arg)->fields[i].name;
}

static void check_members(cJSON *object, const struct hd_schema *schema, struct hd_http_response *resp)
{
	char why[160];
	for (cJSON *item = object->child, *next; item; item = next) {
		next = item->next;
		const struct hd_schema_field *field = find_field(schema, item->string);
		if (!field) {
			const char *nearest = hd_diag_nearest(item->string, field_name, schema, schema->count);
			(void)snprintf(why, sizeof why, nearest ? "is not known here: did you mean \"%.60s\"?" : "is not known here", nearest);
			hd_http_problem_add(resp, item->string, why);
		} else if (field->flags & HD_FIELD_READ_ONLY) {
			cJSON_Delete(cJSON_DetachItemViaPointer(object, item));
		} else if (cJSON_GetObjectItemCaseSensitive(object, item->string) != item) {
			hd_http_problem_add(resp, item->string, "is given twice");
		} else if (misfit(field, item, why)) {
			hd_http_problem_add(resp, item->string, why);
		}
	}
}

int hd_body_parse(const struct hd_http_request *req, const struct hd_schema *schema, bool partial, struct hd_http_response *resp, cJSON **ret,
		  struct hydro_error *err)
{
	const char *end = NULL;
	if (!hd_utf8_valid(req->body, req->body_len) || memchr(req->body, '\0', req->body_len))
		return hd_error_set(err, HYDRO_E_PARSE, "the body is not UTF-8 text");
	HD_CLEANUP(hd_cleanup_json) cJSON *json = cJSON_ParseWithLengthOpts(req->body, req->body_len, &end, 0);
	if (!json)
		return hd_error_set(err, HYDRO_E_PARSE, "the body is no JSON: error at byte %zu", end && end >= req->body ? (size_t)(end - req->body) : 0);
	while (end < req->body + req->body_len && strchr(" \t\r\n", *end))
		end++;
	if (end < req->body + req->body_len)
		return hd_error_set(err, HYDRO_E_PARSE, "the body goes on after its JSON, at byte %zu", (size_t)(end - req->body));
	if (!cJSON_IsObject(json))
		return hd_error_set(err, HYDRO_E_INVALID, "a JSON object is wanted");
	check_members(json, schema, resp);
	for (uint32_t i = 0; i < schema->count && !partial; i++)
		if ((schema->fields[i].flags & HD_FIELD_REQUIRED) && !cJSON_GetObjectItemCaseSensitive(json, schema->fields[i].name))
			hd_http_problem_add(resp, schema->fields[i].name, "is missing");
	if (resp->problems.len)
		return hd_error_set(err, HYDRO_E_INVALID, "the body does not fit %s", schema->name);
	*ret = HD_STEAL(json);
	return HYDRO_OK;
}

/* ---- printing ----------------------------------------------------------------------------------------------------------- */

static void print_text(struct hd_buf *ret, const char *key, const char *text)
{
	hd_buf_printf(ret, "\"%s\":", key);
	hd_buf_add_json(ret, text, strlen(text));
}

static void print_type(struct hd_buf *ret, const char *type, bool nullable)
{
	if (nullable)
		hd_buf_printf(ret, "\"type\":[\"%s\",\"null\"]", type);
	else
		hd_buf_printf(ret, "\"type\":\"%s\"", type);
}

static void print_choices(struct hd_buf *ret, const char *choices)
{
	hd_buf_add_text(ret, ",\"enum\":[");
	for (const char *p = choices; *p;) {
		size_t len = strcspn(p, "|");
		hd_buf_add_json(ret, p, len);
		p += len + (p[len] == '|');
		if (*p)
			hd_buf_add_char(ret, ',');
	}
	hd_buf_add_char(ret, ']');
}

static void print_field(struct hd_buf *ret, const struct hd_schema_field *field)
{
	static const char *const types[] = {"string", "integer", "number", "boolean", "string", "string", "object", "array"};
	hd_buf_printf(ret, "\"%s\":{", field->name);
	if (field->type == HD_FIELD_IS_ANY) {
		print_text(ret, "description", field->doc);
		hd_buf_add_char(ret, '}');
		return;
	}
	print_type(ret, types[field->type], field->flags & HD_FIELD_NULLABLE);
	if (field->type == HD_FIELD_IS_TIME || field->type == HD_FIELD_IS_UUID)
		hd_buf_printf(ret, ",\"format\":\"%s\"", field->type == HD_FIELD_IS_TIME ? "date-time" : "uuid");
	if (field->type == HD_FIELD_IS_TEXT && field->of)
		print_choices(ret, field->of);
	if (field->max > field->min && (field->type == HD_FIELD_IS_INTEGER || field->type == HD_FIELD_IS_NUMBER))
		hd_buf_printf(ret, ",\"minimum\":%.16g,\"maximum\":%.16g", field->min, field->max);
	else if (field->max > field->min)
		hd_buf_printf(ret, field->type == HD_FIELD_IS_ARRAY ? ",\"minItems\":%.0f,\"maxItems\":%.0f" : ",\"minLength\":%.0f,\"maxLength\":%.0f", field->min,
			      field->max);
	if (field->type == HD_FIELD_IS_ARRAY)
		hd_buf_add_text(ret, ",\"items\":{");
	if (field->type == HD_FIELD_IS_ARRAY && field->of)
		hd_buf_printf(ret, "\"$ref\":\"#/components/schemas/%s\"", field->of);
	if (field->type == HD_FIELD_IS_ARRAY)
		hd_buf_add_char(ret, '}');
	if (field->flags & HD_FIELD_READ_ONLY)
		hd_buf_add_text(ret, ",\"readOnly\":true");
	hd_buf_add_char(ret, ',');
	print_text(ret, "description", field->doc);
	hd_buf_add_char(ret, '}');
}

static void print_schema(struct hd_buf *ret, const struct hd_schema *schema)
{
	hd_buf_printf(ret, "\"%s\":{\"type\":\"object\",", schema->name);
	print_text(ret, "description", schema->doc);
	hd_buf_add_text(ret, ",\"properties\":{");
	for (uint32_t i = 0; i < schema->count; i++) {
		if (i)
			hd_buf_add_char(ret, ',');
		print_field(ret, &schema->fields[i]);
	}
	hd_buf_add_text(ret, "},\"required\":[");
	bool first = true;
	for (uint32_t i = 0; i < schema->count; i++) {
		if (!(schema->fields[i].flags & HD_FIELD_REQUIRED))
			continue;
		hd_buf_printf(ret, "%s\"%s\"", first ? "" : ",", schema->fields[i].name);
		first = false;
	}
	hd_buf_add_text(ret, "]}");
}

void hd_schemas_print(struct hd_buf *ret)
{
	for (size_t i = 0; i < hd_schemas_count; i++) {
		if (i)
			hd_buf_add_char(ret, ',');
		print_schema(ret, hd_schemas[i]);
	}
}
