/* SPDX-License-Identifier: MIT */
#include "filing/works_import.h"

#include "base/array.h"
#include "base/json.h"
#include "base/map.h"
#include "base/timefmt.h"
#include "store/csv.h"

#include <hydro/abi.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE 1000u /* works of one transaction: filing waits meanwhile */

/* ---- columns ------------------------------------------------------------------------------------------------------------- */

static int take_column(const char *name, uint32_t i, struct hd_works_columns *ret, struct hydro_error *err)
{
	const struct hd_work_field *field = hd_work_field_find(name);
	bool option = strncmp(name, "option.", 7) == 0 && name[7] && strlen(name + 7) < sizeof ret->options[0];
	if (!field && !option) {
		const char *nearest = hd_work_field_nearest(name);
		return hd_error_set(err, HYDRO_E_INVALID, nearest ? "column %u, \"%.64s\", is not known: did you mean \"%s\"?" : "column %u, \"%.64s\", is not known",
				    i + 1, name, nearest);
	}
	if (field && (field->flags & HD_WORK_FIELD_READ_ONLY) && strcmp(name, "id") != 0)
		return hd_error_set(err, HYDRO_E_INVALID, "column \"%.64s\" cannot be written", name);
	ret->fields[i] = field;
	(void)snprintf(ret->options[i], sizeof ret->options[i], "%s", option ? name + 7 : "");
	for (uint32_t k = 0; k < i; k++)
		if (ret->fields[k] == field && strcmp(ret->options[k], ret->options[i]) == 0)
			return hd_error_set(err, HYDRO_E_INVALID, "column \"%.64s\" is given twice", name);
	return HYDRO_OK;
}

int hd_works_columns_take(const struct hd_csv *csv, struct hd_works_columns *ret, struct hydro_error *err)
{
	bool has_code = false, has_options = false, has_option = false;
	memset(ret, 0, sizeof *ret);
	if (csv->count > HD_ARRAY_LEN(ret->fields))
		return hd_error_set(err, HYDRO_E_LIMIT, "more than %zu columns", HD_ARRAY_LEN(ret->fields));
	for (uint32_t i = 0; i < csv->count; i++) {
		int rc = take_column(hd_csv_field(csv, i), i, ret, err);
		if (rc != HYDRO_OK)
			return rc;
		has_code = has_code || (ret->fields[i] && strcmp(ret->fields[i]->name, "code") == 0);
		has_options = has_options || (ret->fields[i] && strcmp(ret->fields[i]->name, "options") == 0);
		has_option = has_option || !ret->fields[i];
	}
	ret->count = csv->count;
	if (has_options && has_option)
		return hd_error_set(err, HYDRO_E_INVALID, "column \"options\": give JSON in one column or single columns, not both");
	return has_code ? HYDRO_OK : hd_error_set(err, HYDRO_E_INVALID, "column \"code\" is missing");
}

/* ---- one line -------------------------------------------------------------------------------------------------------------- */

/* "2026-01-31", by the regulator's clock; else as it stands. */
static cJSON *time_value(const char *text, int32_t utc_offset_s)
{
	char date[40], made[HD_TIME_TEXT];
	int64_t ms;
	(void)snprintf(date, sizeof date, "%.10sT00:00:00Z", text);
	if (strlen(text) != 10 || !hd_time_parse(date, strlen(date), false, &ms))
		return cJSON_CreateString(text);
	hd_time_format(ms - (int64_t)utc_offset_s * 1000, made);
	return cJSON_CreateString(made);
}

static cJSON *bool_value(const char *text)
{
	static const char *const yes[] = {"true", "1", "si", "sí", "yes"}, *const no[] = {"false", "0", "no"};
	for (size_t i = 0; i < HD_ARRAY_LEN(yes); i++)
		if (strcmp(text, yes[i]) == 0)
			return cJSON_CreateTrue();
	for (size_t i = 0; i < HD_ARRAY_LEN(no); i++)
		if (strcmp(text, no[i]) == 0)
			return cJSON_CreateFalse();
	return cJSON_CreateString(text);
}

static cJSON *number_value(const char *text)
{
	char *end;
	double value = strtod(text, &end);
	return *end == '\0' && end != text && isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateString(text);
}

static cJSON *value_of(const struct hd_work_field *field, const char *text, int32_t utc_offset_s)
{
	cJSON *json;
	switch (field->type) {
	case HD_WORK_FIELD_IS_INTEGER:
	case HD_WORK_FIELD_IS_NUMBER:
		return number_value(text);
	case HD_WORK_FIELD_IS_BOOL:
		return bool_value(text);
	case HD_WORK_FIELD_IS_TIME:
		return time_value(text, utc_offset_s);
	case HD_WORK_FIELD_IS_OBJECT:
	case HD_WORK_FIELD_IS_ARRAY:
		json = cJSON_ParseWithOpts(text, NULL, true);
		return json ? json : cJSON_CreateString(text);
	default:
		return cJSON_CreateString(text);
	}
}

/* A single option: a number or truth value where it looks so, else text. */
static cJSON *option_value(const char *text)
{
	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		return cJSON_CreateBool(text[0] == 't');
	return number_value(text);
}

static bool add(cJSON *object, const char *key, cJSON *value)
{
	if (value && cJSON_AddItemToObject(object, key, value))
		return true;
	cJSON_Delete(value);
	return false;
}

static bool add_option(cJSON *document, const char *key, const char *text)
{
	cJSON *options = cJSON_GetObjectItemCaseSensitive(document, "options");
	if (!options)
		options = cJSON_AddObjectToObject(document, "options");
	return options && add(options, key, option_value(text));
}

cJSON *hd_works_line(const struct hd_works_columns *columns, const struct hd_csv *csv, int32_t utc_offset_s,
		     void (*problem)(void *arg, const char *field, const char *why), void *arg)
{
	cJSON *document = cJSON_CreateObject();
	char why[200];
	for (uint32_t i = 0; i < columns->count && document; i++) {
		const struct hd_work_field *field = columns->fields[i];
		const char *text = hd_csv_field(csv, i);
		if (!*text)
			continue;
		cJSON *value = field ? value_of(field, text, utc_offset_s) : NULL;
		if (field && value && hd_work_field_misfit(field, value, why)) {
			problem(arg, field->name, why);
			cJSON_Delete(value);
		} else if (field ? !add(document, field->name, value) : !add_option(document, columns->options[i], text)) {
			cJSON_Delete(document);
			document = NULL;
		}
	}
	return document;
}

/* ---- the report --------------------------------------------------------------------------------------------------------------- */

void hd_import_report_add(struct hd_import_report *report, uint32_t line, const char *column, const char *why)
{
	if (report->errors_kept == HD_IMPORT_ERRORS_MAX)
		return;
	hd_buf_printf(&report->errors, "%s{", report->errors_kept++ ? "," : "");
	hd_json_int(&report->errors, "line", line);
	hd_json_key(&report->errors, "column");
	if (column)
		hd_buf_add_json(&report->errors, column, strlen(column));
	else
		hd_buf_add_text(&report->errors, "null");
	hd_json_text(&report->errors, "detail", why);
	hd_buf_add_char(&report->errors, '}');
}

void hd_import_report_print(struct hd_buf *ret, const struct hd_import_report *report, bool dry)
{
	hd_buf_add_char(ret, '{');
	hd_json_bool(ret, "applied", report->applied);
	hd_json_bool(ret, "dry", dry);
	hd_json_int(ret, "lines", (int64_t)report->lines);
	hd_json_int(ret, "created", (int64_t)report->created);
	hd_json_int(ret, "updated", (int64_t)report->updated);
	hd_json_int(ret, "failed", (int64_t)report->failed);
	hd_json_open(ret, "errors", '[');
	hd_buf_add(ret, report->errors.data ? report->errors.data : "", report->errors.len);
	hd_buf_add_text(ret, "]}");
}

/* ---- all lines ---------------------------------------------------------------------------------------------------------------- */

struct kept {
	cJSON *document;
	struct hd_work_draft draft;
	struct hd_work was; /* before it was given to the ledger */
	uint32_t line;
	bool is_new;
};

struct importer {
	const struct hd_works_import *import;
	struct hd_import_report *report;
	struct hd_csv csv;
	struct hd_works_columns columns;
	struct hd_work_context context;
	struct hd_map codes; /* code -> line */
	struct kept *kept;
	uint32_t count, cap;
	uint32_t line_problems;
	int32_t utc_offset_s;
};

static void note(void *arg, const char *field, const char *why)
{
	struct importer *im = arg;
	im->line_problems++;
	hd_import_report_add(im->report, im->csv.record_line, field, why);
}

/* The work that is there, as a document that the line's members are put over. */
struct present {
	cJSON *document;
	struct hd_work_draft draft;
	const struct hd_registry_ids *ids;
};

static int take_present(void *arg, const struct hd_work *work, struct hydro_error *err)
{
	struct present *present = arg;
	return hd_work_draft_copy(work, present->ids, &present->document, &present->draft, err);
}

/* Members of `over` replace those of `under`, objects member by member; `over` is freed. */
static cJSON *put_over(cJSON *under, cJSON *over)
{
	for (cJSON *item = over->child, *next; item; item = next) {
		next = item->next;
		cJSON *moved = cJSON_DetachItemViaPointer(over, item), *there = cJSON_GetObjectItemCaseSensitive(under, moved->string);
		if (cJSON_IsObject(there) && cJSON_IsObject(moved))
			(void)put_over(there, moved);
		else if (!(there ? cJSON_ReplaceItemViaPointer(under, there, moved) : cJSON_AddItemToObject(under, moved->string, moved)))
			cJSON_Delete(moved);
	}
	cJSON_Delete(over);
	return under;
}

static struct kept *keep(struct importer *im)
{
	if (!HD_RESERVE(im->kept, im->cap, im->count, 1))
		return NULL;
	struct kept *kept = &im->kept[im->count];
	memset(kept, 0, sizeof *kept);
	return kept;
}

static void kept_done(struct kept *kept)
{
	hd_work_draft_done(&kept->draft);
	cJSON_Delete(kept->document);
}

static void seen_code(struct importer *im, const char *code)
{
	uint64_t line;
	char why[64];
	if (hd_map_get(&im->codes, code, strlen(code), &line)) {
		(void)snprintf(why, sizeof why, "stands in line %llu too", (unsigned long long)line);
		note(im, "code", why);
	}
	(void)hd_map_put(&im->codes, code, strlen(code), im->csv.record_line);
}

static int take_line(struct importer *im, struct hydro_error *err)
{
	struct present present = {.ids = im->context.ids};
	struct kept *kept = keep(im);
	cJSON *document = kept ? hd_works_line(&im->columns, &im->csv, im->utc_offset_s, note, im) : NULL;
	if (!document)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory");
	const char *code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(document, "code"));
	if (!code)
		note(im, "code", "is missing");
	else
		seen_code(im, code);
	int rc = code ? hd_ledger_work_get(im->import->ledger, 0, NULL, code, take_present, &present, err) : HYDRO_E_NOTFOUND;
	if (rc != HYDRO_OK && rc != HYDRO_E_NOTFOUND) {
		hd_work_draft_done(&present.draft);
		cJSON_Delete(present.document);
		cJSON_Delete(document);
		return rc;
	}
	kept->is_new = rc == HYDRO_E_NOTFOUND;
	kept->line = im->csv.record_line;
	kept->draft = present.draft;
	kept->document = kept->is_new ? document : put_over(present.document, document);
	for (uint32_t i = 0; i < hd_work_field_count && kept->is_new; i++)
		if ((hd_work_fields[i].flags & HD_WORK_FIELD_REQUIRED) && strcmp(hd_work_fields[i].name, "code") != 0 &&
		    !cJSON_HasObjectItem(kept->document, hd_work_fields[i].name) && im->line_problems == 0)
			note(im, hd_work_fields[i].name, "is missing");
	rc = im->line_problems ? HYDRO_E_INVALID : hd_work_draft_take(kept->document, &im->context, &kept->draft, err);
	if (rc == HYDRO_OK) {
		im->count++;
	} else {
		kept_done(kept);
	}
	return rc == HYDRO_E_INVALID ? HYDRO_OK : rc;
}

static int check_lines(struct importer *im, struct hydro_error *err)
{
	bool end = false;
	for (;;) {
		struct hydro_error why = {.struct_size = sizeof why};
		int rc = hd_csv_next(&im->csv, &end, &why);
		if (rc == HYDRO_OK && end)
			return HYDRO_OK;
		if (++im->report->lines > HD_WORKS_IMPORT_MAX)
			return hd_error_set(err, HYDRO_E_LIMIT, "more than %u lines", HD_WORKS_IMPORT_MAX);
		im->line_problems = 0;
		if (rc == HYDRO_OK && im->csv.count > im->columns.count)
			rc = hd_error_set(&why, HYDRO_E_INVALID, "the line has %u fields, the header %u", im->csv.count, im->columns.count);
		if (rc != HYDRO_OK)
			note(im, NULL, why.text);
		else if ((rc = take_line(im, err)) != HYDRO_OK)
			return rc;
		im->report->failed += im->line_problems > 0;
	}
}

static void note_stored(struct importer *im, const struct kept *kept)
{
	im->report->created += kept->is_new;
	im->report->updated += !kept->is_new;
	im->report->applied = true;
}

/* Errors that are a line's own fault, or of whoever changed that work meanwhile. */
static bool is_the_lines(int rc)
{
	return rc == HYDRO_E_EXISTS || rc == HYDRO_E_STALE || rc == HYDRO_E_INVALID || rc == HYDRO_E_NOTFOUND || rc == HYDRO_E_CONFLICT;
}

static int not_stored(struct importer *im, uint32_t line, int rc, const struct hydro_error *why, struct hydro_error *err)
{
	return hd_error_set(err, rc, "line %u, after %llu works were stored: %.300s", line, (unsigned long long)(im->report->created + im->report->updated), why->text);
}

/* Lines first … first + count - 1 in one transaction; when one of them cannot be stored, each by itself. */
static int store_piece(struct importer *im, uint32_t first, uint32_t count, struct hydro_error *err)
{
	const struct hd_works_import *import = im->import;
	struct hd_work *rows[PIECE];
	struct hydro_error why = {.struct_size = sizeof why};
	uint32_t failed;
	for (uint32_t i = 0; i < count; i++) {
		rows[i] = &im->kept[first + i].draft.row;
		im->kept[first + i].was = *rows[i];
	}
	int rc = hd_ledger_works_put(import->ledger, rows, count, import->by, "import", &failed, &why);
	for (uint32_t i = 0; i < count && rc == HYDRO_OK; i++)
		note_stored(im, &im->kept[first + i]);
	if (rc == HYDRO_OK)
		return rc;
	if (!is_the_lines(rc))
		return not_stored(im, im->kept[first].line, rc, &why, err);
	for (uint32_t i = 0; i < count; i++) {
		struct kept *kept = &im->kept[first + i];
		*rows[i] = kept->was; /* what the call that was undone wrote into it */
		rc = hd_ledger_works_put(import->ledger, &rows[i], 1, import->by, "import", &failed, &why);
		if (rc == HYDRO_OK) {
			note_stored(im, kept);
		} else if (is_the_lines(rc)) {
			im->report->failed++;
			hd_import_report_add(im->report, kept->line, "code", why.text);
		} else {
			return not_stored(im, kept->line, rc, &why, err);
		}
	}
	return HYDRO_OK;
}

static int store_lines(struct importer *im, struct hydro_error *err)
{
	int rc = HYDRO_OK;
	for (uint32_t i = 0; i < im->count && rc == HYDRO_OK; i += PIECE)
		rc = store_piece(im, i, HD_MIN(PIECE, im->count - i), err);
	return rc;
}

static void count_dry(struct importer *im)
{
	for (uint32_t i = 0; i < im->count; i++) {
		im->report->created += im->kept[i].is_new;
		im->report->updated += !im->kept[i].is_new;
	}
}

static int run(struct importer *im, struct hydro_error *err)
{
	bool end = false;
	int rc = hd_csv_next(&im->csv, &end, err);
	if (rc == HYDRO_OK && end)
		rc = hd_error_set(err, HYDRO_E_INVALID, "there is no line with the names of the columns");
	if (rc == HYDRO_OK)
		rc = hd_works_columns_take(&im->csv, &im->columns, err);
	if (rc == HYDRO_OK)
		rc = check_lines(im, err);
	if (rc != HYDRO_OK)
		return rc;
	if (im->import->dry)
		count_dry(im);
	else if (im->report->failed == 0 || im->import->skip_bad)
		return store_lines(im, err);
	return HYDRO_OK;
}

int hd_works_import(const struct hd_works_import *import, const char *csv, size_t len, struct hd_import_report *ret, struct hydro_error *err)
{
	const struct hd_adapter *adapter = import->context->adapters ? hd_adapters_at(import->context->adapters, 0) : NULL;
	*ret = (struct hd_import_report){.lines = 0};
	struct importer *im = calloc(1, sizeof *im);
	if (!im)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for an import");
	im->import = import;
	im->report = ret;
	im->context = *import->context;
	im->context.problem = note;
	im->context.problem_arg = im;
	im->utc_offset_s = adapter ? hd_adapter_info(adapter)->utc_offset_s : 0;
	hd_csv_init(&im->csv, csv, len);
	int rc = run(im, err);
	for (uint32_t i = 0; i < im->count; i++)
		kept_done(&im->kept[i]);
	hd_csv_done(&im->csv);
	hd_map_done(&im->codes);
	free(im->kept);
	free(im);
	return rc;
}
