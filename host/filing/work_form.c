/* SPDX-License-Identifier: MIT */
/* The table of a work's fields, and a work as JSON. */
#include "filing/work_form.h"

#include "base/array.h"
#include "base/json.h"
#include "base/timefmt.h"
#include "lua/diag.h"

#include <hydro/abi.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD_ROW(name, TYPE, FLAG, min, max, choices, doc) {name, HD_WORK_FIELD_IS_##TYPE, HD_WORK_FIELD_##FLAG, min, max, choices, doc},
const struct hd_work_field hd_work_fields[] = {HD_WORK_FIELDS(FIELD_ROW)};
const uint32_t hd_work_field_count = HD_ARRAY_LEN(hd_work_fields);

static const char *const mode_names[] = {"off", "shadow", "live"};
static const char *const every_names[] = {"", "hour", "day", "month", "half_year"};

const struct hd_work_field *hd_work_field_find(const char *name)
{
	for (uint32_t i = 0; i < hd_work_field_count; i++)
		if (strcmp(hd_work_fields[i].name, name) == 0)
			return &hd_work_fields[i];
	return NULL;
}

static const char *field_name(const void *arg, uint32_t i)
{
	(void)arg;
	return hd_work_fields[i].name;
}

const char *hd_work_field_nearest(const char *name)
{
	return hd_diag_nearest(name, field_name, NULL, hd_work_field_count);
}

const char *hd_work_mode_name(uint32_t mode)
{
	return mode < HD_ARRAY_LEN(mode_names) ? mode_names[mode] : "";
}

const char *hd_every_name(uint32_t every)
{
	return every < HD_ARRAY_LEN(every_names) ? every_names[every] : "";
}

/* ---- printing ----------------------------------------------------------------------------------------------------------- */

static void print_null(struct hd_buf *ret, const char *key)
{
	hd_json_key(ret, key);
	hd_buf_add_text(ret, "null");
}

static void print_seconds(struct hd_buf *ret, const char *key, int64_t ms, bool none)
{
	if (none)
		print_null(ret, key);
	else
		hd_json_int(ret, key, ms / 1000);
}

static void print_ref(struct hd_buf *ret, const char *key, const struct hd_registry_row *row)
{
	if (row)
		hd_json_id(ret, key, &row->id);
	else
		print_null(ret, key);
}

static void print_times(struct hd_buf *ret, const struct hd_work *work)
{
	hd_json_text(ret, "pick", work->pick == HD_PICK_MEAN ? "mean" : "nearest");
	print_seconds(ret, "window_s", work->window_ms, work->window_ms == 0);
	if (work->every)
		hd_json_text(ret, "every", hd_every_name(work->every));
	else
		print_null(ret, "every");
	print_seconds(ret, "at_s", work->at_ms, work->at_ms < 0);
	print_seconds(ret, "lag_s", work->lag_ms, work->lag_ms == 0);
	if (work->lag_months)
		hd_json_int(ret, "lag_months", work->lag_months);
	else
		print_null(ret, "lag_months");
}

void hd_work_print(struct hd_buf *ret, const struct hd_work *work, const struct hd_registry_ids *ids)
{
	hd_buf_add_char(ret, '{');
	hd_json_id(ret, "id", &work->id);
	hd_json_int(ret, "number", work->number);
	hd_json_int(ret, "version", (int64_t)work->version);
	hd_json_text(ret, "code", work->code);
	hd_json_text(ret, "name", work->name);
	hd_json_text(ret, "kind", work->kind);
	hd_json_text(ret, "standard", work->standard);
	hd_json_text(ret, "family", work->family);
	hd_json_text(ret, "client", work->client);
	hd_json_text(ret, "region", work->region);
	hd_json_text(ret, "shac", work->shac);
	hd_json_text(ret, "mode", hd_work_mode_name(work->mode));
	print_ref(ret, "centre", ids ? hd_registry_centre(ids, work->centre) : NULL);
	print_ref(ret, "informant", ids ? hd_registry_informant(ids, work->informant) : NULL);
	hd_json_id(ret, "point", &work->point);
	hd_json_time(ret, "starts", work->starts_ms);
	hd_json_time(ret, "ends", work->ends_ms);
	hd_json_number(ret, "granted_lps", work->granted_lps);
	hd_json_number(ret, "granted_m3_year", work->granted_m3_year);
	print_times(ret, work);
	hd_json_bool(ret, "by_sheet", work->by_sheet);
	hd_json_text(ret, "flow_metric", work->flow_metric);
	hd_json_text(ret, "total_metric", work->total_metric);
	hd_json_text(ret, "level_metric", work->level_metric);
	hd_json_raw(ret, "options", work->options);
	hd_json_raw(ret, "adapters", work->adapters[0] ? work->adapters : "[]");
	hd_json_text(ret, "notes", work->notes);
	hd_json_time(ret, "held_since", work->held_since_ms);
	hd_json_text(ret, "held_why", work->held_why);
	hd_json_time(ret, "created_at", work->created_ms);
	hd_json_time(ret, "updated_at", work->updated_ms);
	hd_buf_add_char(ret, '}');
}

/* ---- types ---------------------------------------------------------------------------------------------------------------- */

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

static bool fits(const struct hd_work_field *field, const cJSON *item)
{
	const char *text = cJSON_IsString(item) ? item->valuestring : NULL;
	bool bounded = field->max > field->min;
	int64_t ms;
	struct hd_uuid id;
	switch (field->type) {
	case HD_WORK_FIELD_IS_TEXT:
		if (text && field->choices)
			return one_of(field->choices, text);
		return text && (!bounded || ((double)strlen(text) >= field->min && (double)strlen(text) <= field->max));
	case HD_WORK_FIELD_IS_INTEGER:
	case HD_WORK_FIELD_IS_NUMBER:
		return cJSON_IsNumber(item) && isfinite(item->valuedouble) &&
		       (!bounded || (item->valuedouble >= field->min && item->valuedouble <= field->max)) &&
		       (field->type == HD_WORK_FIELD_IS_NUMBER || floor(item->valuedouble) == item->valuedouble);
	case HD_WORK_FIELD_IS_BOOL:
		return cJSON_IsBool(item);
	case HD_WORK_FIELD_IS_TIME:
		return text && hd_time_parse(text, strlen(text), false, &ms);
	case HD_WORK_FIELD_IS_UUID:
		return text && hd_uuid_parse(text, &id);
	case HD_WORK_FIELD_IS_OBJECT:
		return cJSON_IsObject(item);
	default:
		return cJSON_IsArray(item) && (!bounded || cJSON_GetArraySize(item) <= (int)field->max);
	}
}

const char *hd_work_field_misfit(const struct hd_work_field *field, const cJSON *item, char ret[200])
{
	static const char *const types[] = {"a text", "a whole number", "a number", "true or false", "a time as RFC 3339", "a UUID", "an object", "a list"};
	if ((cJSON_IsNull(item) && (field->flags & HD_WORK_FIELD_NULLABLE)) || fits(field, item))
		return NULL;
	if (field->choices)
		(void)snprintf(ret, 200, "one of %.120s is wanted", field->choices);
	else if (field->max > field->min && field->type == HD_WORK_FIELD_IS_TEXT)
		(void)snprintf(ret, 200, "a text of %.0f to %.0f bytes is wanted", field->min, field->max);
	else if (field->max > field->min && field->type != HD_WORK_FIELD_IS_ARRAY)
		(void)snprintf(ret, 200, "%s from %.16g to %.16g is wanted", types[field->type], field->min, field->max);
	else
		(void)snprintf(ret, 200, "%s is wanted", types[field->type]);
	return ret;
}

/* ---- ids of the registry ---------------------------------------------------------------------------------------------------- */

static struct hd_registry_row *row_add(struct hd_registry_row **rows, uint32_t *count, uint32_t *capacity)
{
	if (!HD_RESERVE(*rows, *capacity, *count, 1))
		return NULL;
	struct hd_registry_row *row = &(*rows)[(*count)++];
	memset(row, 0, sizeof *row);
	return row;
}

static int add_centre(void *arg, const struct hd_centre *centre, struct hydro_error *err)
{
	struct hd_registry_ids *ids = arg;
	struct hd_registry_row *row = row_add(&ids->centres, &ids->centre_count, &ids->centre_capacity);
	if (!row)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory");
	row->number = centre->number;
	row->id = centre->id;
	row->ready = centre->registered_ms != 0;
	(void)snprintf(row->name, sizeof row->name, "%s", centre->name);
	(void)snprintf(row->identifier, sizeof row->identifier, "%s", centre->identifier);
	return HYDRO_OK;
}

static int add_informant(void *arg, const struct hd_informant *informant, struct hydro_error *err)
{
	struct hd_registry_ids *ids = arg;
	struct hd_registry_row *row = row_add(&ids->informants, &ids->informant_count, &ids->informant_capacity);
	if (!row)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory");
	row->number = informant->number;
	row->id = informant->id;
	row->ready = informant->has_secret;
	(void)snprintf(row->name, sizeof row->name, "%s", informant->name);
	(void)snprintf(row->identifier, sizeof row->identifier, "%s", informant->identifier);
	return HYDRO_OK;
}

int hd_registry_ids_load(struct hd_ledger *ledger, struct hd_registry_ids *ret, struct hydro_error *err)
{
	*ret = (struct hd_registry_ids){.centres = NULL};
	int rc = hd_ledger_centre_list(ledger, add_centre, ret, err);
	if (rc == HYDRO_OK)
		rc = hd_ledger_informant_list(ledger, add_informant, ret, err);
	if (rc != HYDRO_OK)
		hd_registry_ids_done(ret);
	return rc;
}

void hd_registry_ids_done(struct hd_registry_ids *ids)
{
	free(ids->centres);
	free(ids->informants);
	*ids = (struct hd_registry_ids){.centres = NULL};
}

static const struct hd_registry_row *row_of(const struct hd_registry_row *rows, uint32_t count, uint32_t number)
{
	for (uint32_t i = 0; i < count; i++)
		if (rows[i].number == number)
			return &rows[i];
	return NULL;
}

const struct hd_registry_row *hd_registry_centre(const struct hd_registry_ids *ids, uint32_t number)
{
	return number ? row_of(ids->centres, ids->centre_count, number) : NULL;
}

const struct hd_registry_row *hd_registry_informant(const struct hd_registry_ids *ids, uint32_t number)
{
	return number ? row_of(ids->informants, ids->informant_count, number) : NULL;
}
