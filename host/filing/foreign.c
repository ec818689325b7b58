/* SPDX-License-Identifier: MIT */
/* Receipts of another system, from CSV. */
#include "base/timefmt.h"
#include "filing/cutover.h"
#include "filing/works_import.h"
#include "store/csv.h"

#include <hydro/abi.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 500u

enum column { C_CODE, C_DATE, C_HOUR, C_DUE, C_RECEIPT, C_FLOW, C_TOTAL, C_LEVEL, C_COUNT };
static const char *const columns_en[C_COUNT] = {"code", "date", "hour", "due", "receipt", "flow", "total", "level"};
static const char *const columns_es[C_COUNT] = {"codigo_obra", "fecha", "hora", "", "comprobante", "caudal", "totalizador", "nivel"};

/* ---- CSV -------------------------------------------------------------------------------------------------------------------- */

int hd_foreign_columns_take(const struct hd_csv *csv, struct hd_foreign_columns *ret, struct hydro_error *err)
{
	memset(ret, 0, sizeof *ret);
	ret->count = csv->count;
	for (uint32_t i = 0; i < csv->count; i++) {
		const char *name = hd_csv_field(csv, i);
		uint32_t kind = 0;
		while (kind < C_COUNT && strcmp(name, columns_en[kind]) != 0 && (!*columns_es[kind] || strcmp(name, columns_es[kind]) != 0))
			kind++;
		if (kind == C_COUNT)
			return hd_error_set(err, HYDRO_E_INVALID, "column %u, \"%.64s\", is not known: code, date, hour, due, receipt, flow, total, level", i + 1, name);
		if (ret->at[kind])
			return hd_error_set(err, HYDRO_E_INVALID, "column \"%.64s\" is given twice", name);
		ret->at[kind] = (uint8_t)(i + 1);
	}
	if (!ret->at[C_CODE] || !ret->at[C_RECEIPT])
		return hd_error_set(err, HYDRO_E_INVALID, "column \"%s\" is missing", ret->at[C_CODE] ? "receipt" : "code");
	if (!ret->at[C_DUE] && (!ret->at[C_DATE] || !ret->at[C_HOUR]))
		return hd_error_set(err, HYDRO_E_INVALID, "columns \"date\" and \"hour\", or \"due\", are missing");
	return HYDRO_OK;
}

static const char *field(const struct hd_foreign_columns *columns, const struct hd_csv *csv, enum column kind)
{
	return columns->at[kind] ? hd_csv_field(csv, columns->at[kind] - 1u) : "";
}

static int take_due(const struct hd_foreign_columns *columns, const struct hd_csv *csv, int32_t utc_offset_s, int64_t *ret, struct hydro_error *err)
{
	const char *due = field(columns, csv, C_DUE), *date = field(columns, csv, C_DATE), *hour = field(columns, csv, C_HOUR);
	char text[64];
	if (*due)
		return hd_time_parse(due, strlen(due), false, ret) ? HYDRO_OK : hd_error_set(err, HYDRO_E_INVALID, "due: a time as RFC 3339 is wanted");
	/* 31-01-2026, as the regulator answers, is known too. */
	bool dmy = strlen(date) == 10 && date[2] == '-' && date[5] == '-';
	if (dmy)
		(void)snprintf(text, sizeof text, "%.4s-%.2s-%.2sT%.8s%s", date + 6, date + 3, date, hour, strlen(hour) == 5 ? ":00" : "");
	else
		(void)snprintf(text, sizeof text, "%.10sT%.8s%s", date, hour, strlen(hour) == 5 ? ":00" : "");
	if (strlen(date) != 10 || !hd_time_parse(text, strlen(text), true, ret))
		return hd_error_set(err, HYDRO_E_INVALID, "date: a date as 2026-01-31 and an hour as 14:00 are wanted");
	*ret -= (int64_t)utc_offset_s * 1000;
	return HYDRO_OK;
}

static int take_value(const char *text, const char *column, double *ret, struct hydro_error *err)
{
	char *end;
	*ret = NAN;
	if (!*text)
		return HYDRO_OK;
	*ret = strtod(text, &end);
	return *end == '\0' && isfinite(*ret) ? HYDRO_OK : hd_error_set(err, HYDRO_E_INVALID, "%s: a number with a decimal point is wanted", column);
}

int hd_foreign_line(const struct hd_foreign_columns *columns, const struct hd_csv *csv, int32_t utc_offset_s, struct hd_foreign_receipt *ret,
		    struct hydro_error *err)
{
	*ret = (struct hd_foreign_receipt){.code = field(columns, csv, C_CODE), .receipt = field(columns, csv, C_RECEIPT), .source = "", .check_text = ""};
	if (!*ret->code || strlen(ret->code) > HD_WORK_CODE_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_INVALID, "code: a code of at most %u bytes is wanted", HD_WORK_CODE_BYTES_MAX);
	if (!*ret->receipt || strlen(ret->receipt) >= HD_RECEIPT_BYTES)
		return hd_error_set(err, HYDRO_E_INVALID, "receipt: a receipt of at most %u bytes is wanted", HD_RECEIPT_BYTES - 1);
	int rc = take_due(columns, csv, utc_offset_s, &ret->due_ms, err);
	for (uint32_t i = 0; i < HYDRO_FIELDS && rc == HYDRO_OK; i++)
		rc = take_value(field(columns, csv, (enum column)(C_FLOW + i)), columns_en[C_FLOW + i], &ret->values[i], err);
	return rc;
}

struct foreign_import {
	const struct hd_foreign_import *import;
	struct hd_import_report *report;
	struct hd_csv csv;
	struct hd_foreign_columns columns;
	struct hd_foreign_receipt batch[BATCH];
	char *texts[BATCH]; /* code and receipt of each, owned */
	uint32_t count;
	char known[HD_WORK_CODE_BYTES_MAX + 1]; /* the code that was looked up last */
	bool known_there, store;
};

static int ignore_work(void *arg, const struct hd_work *work, struct hydro_error *err)
{
	(void)arg, (void)work, (void)err;
	return HYDRO_OK;
}

static int check_code(struct foreign_import *im, const char *code, struct hydro_error *err)
{
	if (strcmp(im->known, code) != 0) {
		(void)snprintf(im->known, sizeof im->known, "%s", code);
		int rc = hd_ledger_work_get(im->import->ledger, 0, NULL, code, ignore_work, NULL, err);
		if (rc != HYDRO_OK && rc != HYDRO_E_NOTFOUND)
			return rc;
		im->known_there = rc == HYDRO_OK;
	}
	return im->known_there ? HYDRO_OK : hd_error_set(err, HYDRO_E_INVALID, "code: there is no work \"%.63s\"", code);
}

static int flush(struct foreign_import *im, struct hydro_error *err)
{
	int rc = im->count ? hd_ledger_foreign_put(im->import->ledger, im->batch, im->count, err) : HYDRO_OK;
	for (uint32_t i = 0; i < im->count; i++)
		free(im->texts[i]);
	if (rc == HYDRO_OK && im->count) {
		im->report->created += im->count;
		im->report->applied = true;
	}
	im->count = 0;
	return rc;
}

static int keep(struct foreign_import *im, const struct hd_foreign_receipt *row, struct hydro_error *err)
{
	size_t code = strlen(row->code) + 1, receipt = strlen(row->receipt) + 1;
	char *texts = malloc(code + receipt);
	if (!texts)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory");
	memcpy(texts, row->code, code);
	memcpy(texts + code, row->receipt, receipt);
	im->batch[im->count] = *row;
	im->batch[im->count].code = texts;
	im->batch[im->count].receipt = texts + code;
	im->batch[im->count].source = im->import->source;
	im->texts[im->count++] = texts;
	return im->count == BATCH ? flush(im, err) : HYDRO_OK;
}

/* "column: why" becomes column and why. */
static void note(struct foreign_import *im, const struct hydro_error *why)
{
	const char *colon = strstr(why->text, ": ");
	char column[16];
	size_t len = colon ? (size_t)(colon - why->text) : 0;
	bool named = colon && len < sizeof column && strcspn(why->text, " ") >= len;
	(void)snprintf(column, sizeof column, "%.*s", (int)(named ? len : 0), why->text);
	im->report->failed++;
	hd_import_report_add(im->report, im->csv.record_line, named ? column : NULL, named ? colon + 2 : why->text);
}

/* Once over all lines: to check, or to store what is good. */
static int pass(struct foreign_import *im, const char *text, size_t len, bool store, struct hydro_error *err)
{
	bool end = false;
	hd_csv_done(&im->csv);
	hd_csv_init(&im->csv, text, len);
	int rc = hd_csv_next(&im->csv, &end, err);
	if (rc == HYDRO_OK && end)
		rc = hd_error_set(err, HYDRO_E_INVALID, "there is no line with the names of the columns");
	if (rc == HYDRO_OK)
		rc = hd_foreign_columns_take(&im->csv, &im->columns, err);
	while (rc == HYDRO_OK) {
		struct hydro_error why = {.struct_size = sizeof why};
		struct hd_foreign_receipt row;
		int line = hd_csv_next(&im->csv, &end, &why);
		if (line == HYDRO_OK && end)
			break;
		if (line == HYDRO_OK && im->csv.count > im->columns.count)
			line = hd_error_set(&why, HYDRO_E_INVALID, "the line has %u fields, the header %u", im->csv.count, im->columns.count);
		if (line == HYDRO_OK)
			line = hd_foreign_line(&im->columns, &im->csv, im->import->utc_offset_s, &row, &why);
		if (line == HYDRO_OK)
			line = check_code(im, row.code, &why);
		if (store)
			rc = line == HYDRO_OK ? keep(im, &row, err) : HYDRO_OK;
		else if (im->report->lines++, line != HYDRO_OK)
			note(im, &why);
	}
	return rc == HYDRO_OK && store ? flush(im, err) : rc;
}

int hd_foreign_import(const struct hd_foreign_import *import, const char *csv, size_t len, struct hd_import_report *ret, struct hydro_error *err)
{
	*ret = (struct hd_import_report){.lines = 0};
	struct foreign_import *im = calloc(1, sizeof *im);
	if (!im)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for an import");
	im->import = import;
	im->report = ret;
	int rc = pass(im, csv, len, false, err);
	if (rc == HYDRO_OK && import->dry)
		ret->created = ret->lines - ret->failed;
	else if (rc == HYDRO_OK && (ret->failed == 0 || import->skip_bad))
		rc = pass(im, csv, len, true, err);
	for (uint32_t i = 0; i < im->count; i++)
		free(im->texts[i]);
	hd_csv_done(&im->csv);
	free(im);
	return rc;
}
