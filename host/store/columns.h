/* SPDX-License-Identifier: MIT */
/* Inside of the store folder: the columns of an import, and JSON objects made of single columns. */
#ifndef HD_STORE_COLUMNS_H
#define HD_STORE_COLUMNS_H

#include "store/csv.h"
#include "store/import.h"

#define HD_COLUMN_PART_BYTES 64u

enum hd_column_kind {
	HD_COLUMN_ID, HD_COLUMN_NAME, HD_COLUMN_PROVIDER, HD_COLUMN_OPTIONS, /* accounts have these … */
	HD_COLUMN_ACCOUNT, HD_COLUMN_PIPELINE, HD_COLUMN_PERIOD, HD_COLUMN_JOIN, HD_COLUMN_START, HD_COLUMN_ZONE, HD_COLUMN_ACTIVE, HD_COLUMN_PARAMS,
	HD_COLUMN_NAMED, /* … points all of these; here they end that stand for themselves */
	HD_COLUMN_OPTION = HD_COLUMN_NAMED, HD_COLUMN_PARAM,
};

struct hd_columns {
	uint32_t count;
	uint32_t at[HD_COLUMN_NAMED]; /* column of each kind + 1; 0 = not there */
	struct {
		enum hd_column_kind kind; /* OPTION, PARAM or less */
		char key[HD_COLUMN_PART_BYTES], sub[HD_COLUMN_PART_BYTES]; /* option.<key>.<sub> */
	} each[HD_CSV_COLUMNS_MAX];
};

/* Takes the columns from the present record of csv. HYDRO_E_INVALID for an unknown, repeated or missing one. */
int hd_columns_take(const struct hd_csv *csv, bool for_points, struct hd_columns *ret, struct hydro_error *err);
/* Text of a named column in the present record, "" if absent. */
const char *hd_columns_text(const struct hd_columns *columns, const struct hd_csv *csv, enum hd_column_kind kind);
/*
 * The JSON object of a record's OPTION or PARAM columns (or of the JSON column itself) into ret. Parameters are numbers or
 * booleans where they look so; options by the type their provider says.
 */
int hd_columns_object(const struct hd_columns *columns, const struct hd_csv *csv, enum hd_column_kind kind, const char *provider, uint32_t scope,
		      const struct hd_store_checks *checks, struct hd_buf *ret, struct hydro_error *err);

#endif
