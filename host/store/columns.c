/* SPDX-License-Identifier: MIT */
#include "store/columns.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[HD_COLUMN_NAMED] = {"id", "name", "provider", "options", "account", "pipeline", "period", "join", "start", "zone", "active", "params"};

static bool take_part(const char **at, char ret[HD_COLUMN_PART_BYTES])
{
	size_t len = strcspn(*at, ".");
	if (len == 0 || len >= HD_COLUMN_PART_BYTES)
		return false;
	memcpy(ret, *at, len);
	ret[len] = '\0';
	*at += len + ((*at)[len] == '.');
	return true;
}

static int take_dotted(struct hd_columns *columns, uint32_t i, const char *name, bool for_points, struct hydro_error *err)
{
	bool option = strncmp(name, "option.", 7) == 0, param = for_points && strncmp(name, "param.", 6) == 0;
	const char *at = name + (option ? 7 : 6);
	columns->each[i].kind = option ? HD_COLUMN_OPTION : HD_COLUMN_PARAM;
	columns->each[i].sub[0] = '\0';
	if ((!option && !param) || !take_part(&at, columns->each[i].key) || (*at && (!take_part(&at, columns->each[i].sub) || *at)))
		return hd_error_set(err, HYDRO_E_INVALID, "column %u, \"%.64s\", is not known", i + 1, name);
	return HYDRO_OK;
}

static int check_repeated(const struct hd_columns *columns, uint32_t i, const char *name, struct hydro_error *err)
{
	for (uint32_t k = 0; k < i; k++)
		if (columns->each[k].kind == columns->each[i].kind && strcmp(columns->each[k].key, columns->each[i].key) == 0 &&
		    (strcmp(columns->each[k].sub, columns->each[i].sub) == 0 || !columns->each[k].sub[0] || !columns->each[i].sub[0]))
			return hd_error_set(err, HYDRO_E_INVALID, "column \"%.64s\" is given twice", name);
	return HYDRO_OK;
}

int hd_columns_take(const struct hd_csv *csv, bool for_points, struct hd_columns *ret, struct hydro_error *err)
{
	uint32_t named = for_points ? HD_COLUMN_NAMED : HD_COLUMN_ACCOUNT;
	memset(ret, 0, sizeof *ret);
	ret->count = csv->count;
	for (uint32_t i = 0; i < csv->count; i++) {
		const char *name = hd_csv_field(csv, i);
		uint32_t kind = 0;
		while (kind < named && strcmp(name, names[kind]) != 0)
			kind++;
		int rc = HYDRO_OK;
		ret->each[i].kind = (enum hd_column_kind)kind;
		if (kind == named)
			rc = take_dotted(ret, i, name, for_points, err);
		else
			ret->at[kind] = i + 1;
		if (rc != HYDRO_OK || (rc = check_repeated(ret, i, name, err)) != HYDRO_OK)
			return rc;
	}
	for (uint32_t i = 0; i < csv->count; i++)
		if ((ret->each[i].kind == HD_COLUMN_OPTION && ret->at[HD_COLUMN_OPTIONS]) || (ret->each[i].kind == HD_COLUMN_PARAM && ret->at[HD_COLUMN_PARAMS]))
			return hd_error_set(err, HYDRO_E_INVALID, "column \"%.64s\": give JSON in one column or single columns, not both", hd_csv_field(csv, i));
	for (uint32_t kind = HD_COLUMN_NAME; kind <= HD_COLUMN_PROVIDER; kind++)
		if (!ret->at[kind])
			return hd_error_set(err, HYDRO_E_INVALID, "column \"%s\" is missing", names[kind]);
	return HYDRO_OK;
}

const char *hd_columns_text(const struct hd_columns *columns, const struct hd_csv *csv, enum hd_column_kind kind)
{
	return columns->at[kind] ? hd_csv_field(csv, columns->at[kind] - 1) : "";
}

static bool is_number(const char *text, double *ret)
{
	char *end;
	errno = 0;
	if (!strchr("-0123456789", text[0]) || strpbrk(text, "xXpPnN"))
		return false;
	*ret = strtod(text, &end);
	return !*end && end != text && !errno && isfinite(*ret);
}

/* One value by its type; what does not fit its type goes as text, and the check of the options says so. */
static void add_value(struct hd_buf *ret, const char *text, uint32_t type, bool guess)
{
	double number;
	bool numeric = guess || type == HYDRO_OPT_INT || type == HYDRO_OPT_NUMBER;
	if ((guess || type == HYDRO_OPT_BOOL) && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
		hd_buf_add_text(ret, text);
	else if (numeric && is_number(text, &number))
		hd_buf_add_number(ret, number);
	else
		hd_buf_add_json(ret, text, strlen(text));
}

static void add_key(struct hd_buf *ret, const char *key, bool first)
{
	if (!first)
		hd_buf_add_char(ret, ',');
	hd_buf_add_json(ret, key, strlen(key));
	hd_buf_add_char(ret, ':');
}

static int take_json(const char *text, struct hd_buf *ret, struct hydro_error *err)
{
	cJSON *json = cJSON_Parse(text);
	bool ok = cJSON_IsObject(json);
	cJSON_Delete(json);
	hd_buf_add_text(ret, text);
	return ok ? HYDRO_OK : hd_error_set(err, HYDRO_E_PARSE, "is no JSON object");
}

int hd_columns_object(const struct hd_columns *columns, const struct hd_csv *csv, enum hd_column_kind kind, const char *provider, uint32_t scope,
		      const struct hd_store_checks *checks, struct hd_buf *ret, struct hydro_error *err)
{
	const char *json = hd_columns_text(columns, csv, kind == HD_COLUMN_OPTION ? HD_COLUMN_OPTIONS : HD_COLUMN_PARAMS);
	bool first = true, done[HD_CSV_COLUMNS_MAX] = {false};
	if (*json)
		return take_json(json, ret, err);
	hd_buf_add_char(ret, '{');
	for (uint32_t i = 0; i < columns->count; i++) {
		const char *key = columns->each[i].key, *text = hd_csv_field(csv, i);
		if (columns->each[i].kind != kind || done[i] || !*text)
			continue;
		add_key(ret, key, first);
		first = false;
		if (!columns->each[i].sub[0]) {
			uint32_t type = kind == HD_COLUMN_OPTION && checks->option_type ? checks->option_type(checks->arg, provider, scope, key) : 0;
			add_value(ret, text, type, kind == HD_COLUMN_PARAM);
			continue;
		}
		bool first_sub = true;
		hd_buf_add_char(ret, '{');
		for (uint32_t k = i; k < columns->count; k++) {
			const char *value = hd_csv_field(csv, k);
			if (columns->each[k].kind != kind || strcmp(columns->each[k].key, key) != 0 || !*value)
				continue;
			add_key(ret, columns->each[k].sub, first_sub);
			add_value(ret, value, 0, kind == HD_COLUMN_PARAM);
			first_sub = false;
			done[k] = true;
		}
		hd_buf_add_char(ret, '}');
	}
	hd_buf_add_char(ret, '}');
	return ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory") : HYDRO_OK;
}
