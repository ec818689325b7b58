/* SPDX-License-Identifier: MIT */
/* Inside of the ledger: registry rows by tables of their fields: binding, reading, and what a change changed. */
#ifndef HD_FILING_LEDGER_FIELDS_H
#define HD_FILING_LEDGER_FIELDS_H

#include "filing/ledger_inner.h"

#define HD_FIELD_TEXT_BYTES_MAX 8192u

enum hd_field_type { HD_FIELD_U32, HD_FIELD_BOOL, HD_FIELD_MS, HD_FIELD_REAL, HD_FIELD_UUID, HD_FIELD_TEXT };
struct hd_field {
	const char *name;
	enum hd_field_type type;
	size_t offset;
};

/* The first column or parameter that holds `fields`; those before are number, uuid, version, created_ms, updated_ms. */
#define HD_FIELDS_AT 5

void hd_fields_bind(sqlite3_stmt *stmt, const struct hd_field *fields, size_t count, const void *object);
/* Texts and all are borrowed from the statement. */
void hd_fields_read(sqlite3_stmt *stmt, const struct hd_field *fields, size_t count, void *ret);
/* HYDRO_E_INVALID for a NULL text, HYDRO_E_LIMIT for one above HD_FIELD_TEXT_BYTES_MAX. */
int hd_fields_check(const struct hd_field *fields, size_t count, const void *object, struct hydro_error *err);
/* Adds "name":value, or with `before` "name":[old,new] for those that differ, each after a comma. */
void hd_fields_json(struct hd_buf *out, const struct hd_field *fields, size_t count, const void *before, const void *object);

/* As columns of SQL, and as rows of a table. Use with a list X(TYPE, name). */
#define HD_FIELD_COLUMN(type, name) ", " #name
#define HD_FIELD_PARAMETER(type, name) ", ?"
#define HD_FIELD_SET(type, name) ", " #name " = ?"

#endif
