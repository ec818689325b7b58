/* SPDX-License-Identifier: MIT */
/*
 * Works from CSV. The first line names the columns: the fields of work_form.h that can be written, `option.<key>` for single
 * options of the adapter. A line whose code (or id) is there changes that work, any other is a new one; an empty field is "not
 * given". Texts of `starts` and `ends` may be dates alone: midnight on the regulator's clock.
 */
#ifndef HD_FILING_WORKS_IMPORT_H
#define HD_FILING_WORKS_IMPORT_H

#include "filing/work_form.h"
#include "store/import.h" /* struct hd_import_report */

#define HD_WORKS_IMPORT_MAX 200000u

struct hd_csv;
struct hd_works_columns {
	uint32_t count;
	const struct hd_work_field *fields[128]; /* NULL: an option */
	char options[128][64];                   /* its key */
};
/* The columns of the header; HYDRO_E_INVALID names an unknown, repeated, read-only or missing one. [any, pure] */
int hd_works_columns_take(const struct hd_csv *csv, struct hd_works_columns *ret, struct hydro_error *err);
/*
 * One line as the JSON document of a work, to be freed with cJSON_Delete. Values that do not fit their column are told to
 * `problem`; NULL without memory. [any, pure]
 */
cJSON *hd_works_line(const struct hd_works_columns *columns, const struct hd_csv *csv, int32_t utc_offset_s,
		     void (*problem)(void *arg, const char *field, const char *why), void *arg);

struct hd_works_import {
	struct hd_ledger *ledger;
	const struct hd_work_context *context; /* problem and problem_arg are the import's own */
	const char *by;
	bool skip_bad; /* store the good lines although others do not fit */
	bool dry;      /* check alone */
};
/* HYDRO_OK with ret->failed > 0 tells of bad lines; HYDRO_E_INVALID for a header that does not fit. Nothing is stored before all lines
 * are checked. The report is to be given to hd_import_report_done in any case. [any that may wait] */
int hd_works_import(const struct hd_works_import *import, const char *csv, size_t len, struct hd_import_report *ret, struct hydro_error *err);

/* Adds one misfit of a line to a report, as hd_store_points_import does. */
void hd_import_report_add(struct hd_import_report *report, uint32_t line, const char *column, const char *why);
/* The report as one JSON object. */
void hd_import_report_print(struct hd_buf *ret, const struct hd_import_report *report, bool dry);

#endif
