/* SPDX-License-Identifier: MIT */
/* What a person hands on: the monthly report, the failures of transmission that the user must report, the sheet for filing by
 * hand, and receipts as a list. All [any that may wait]; they read the ledger alone. */
#ifndef HD_FILING_REPORT_H
#define HD_FILING_REPORT_H

#include "filing/compliance.h"
#include "filing/doc.h"

#define HD_REPORT_ROWS_MAX 1000000u      /* slots of a CSV */
#define HD_REPORT_RECEIPTS_MAX 60000u    /* receipts in the annex of a document: beyond it they are in the CSV alone */

struct hd_report_query {
	const char *client; /* NULL = all */
	const char *code;   /* one work; NULL = all */
	int64_t from_ms, to_ms, now_ms;
};

/* The monthly report as HD_DOC_HTML or HD_DOC_PDF. HYDRO_E_NOTFOUND when no work passes. */
int hd_report_document(struct hd_ledger *ledger, const struct hd_adapters *adapters, const struct hd_report_query *query, uint32_t format,
		       struct hd_buf *ret, struct hydro_error *err);
/* The same as CSV: a line for each slot to which something happened. HYDRO_E_LIMIT above HD_REPORT_ROWS_MAX. */
int hd_report_csv(struct hd_ledger *ledger, const struct hd_adapters *adapters, const struct hd_report_query *query, struct hd_buf *ret,
		  struct hydro_error *err);

/* A run of slots of one work that were not transmitted within the lag, for one cause. */
struct hd_failure {
	uint32_t work;
	uint32_t state;
	uint64_t slots;
	int64_t first_ms, last_ms; /* due times */
	int64_t limit_ms;          /* end of the lag of the last */
	bool filed_late;           /* they were filed in the end, after the lag */
	char code[HD_WORK_CODE_BYTES_MAX + 1], name[201], client[201], cause[96];
};
typedef int (*hd_failure_fn)(void *arg, const struct hd_failure *failure, struct hydro_error *err);
/* Failures of transmission of slots due within the query's time, by work and time. */
int hd_failures(struct hd_ledger *ledger, const struct hd_adapters *adapters, const struct hd_report_query *query, hd_failure_fn fn, void *arg,
		struct hydro_error *err);
int hd_failures_document(struct hd_ledger *ledger, const struct hd_adapters *adapters, const struct hd_report_query *query, uint32_t format,
			 struct hd_buf *ret, struct hydro_error *err);
int hd_failures_csv(struct hd_ledger *ledger, const struct hd_adapters *adapters, const struct hd_report_query *query, struct hd_buf *ret,
		    struct hydro_error *err);
int hd_failures_json(struct hd_ledger *ledger, const struct hd_adapters *adapters, const struct hd_report_query *query, struct hd_buf *ret,
		     struct hydro_error *err);

/*
 * The data of works that may be filed by sheet or form (standards with HYDRO_STANDARD_BY_SHEET), one worksheet a kind, as XLSX:
 * the fields of the frozen payloads under their own names, numbers as numbers. `all` false: only what is not filed yet.
 * HYDRO_E_NOTFOUND when there is nothing to put in it.
 */
int hd_sheet(struct hd_ledger *ledger, const struct hd_adapters *adapters, const struct hd_report_query *query, bool all, struct hd_buf *ret,
	     struct hydro_error *err);

/* A field of a CSV, quoted where it must be; what a spreadsheet would take for a formula begins with an apostrophe. */
void hd_csv_add(struct hd_buf *ret, const char *text, bool last);

#endif
