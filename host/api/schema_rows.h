/* SPDX-License-Identifier: MIT */
/* Inside of the api folder: short names for tables of schemas, and the rows that many of them have. For the files of tables alone. */
#ifndef HD_API_SCHEMA_ROWS_H
#define HD_API_SCHEMA_ROWS_H

#include "api/schema.h"

#define T HD_FIELD_IS_TEXT
#define I HD_FIELD_IS_INTEGER
#define N HD_FIELD_IS_NUMBER
#define B HD_FIELD_IS_BOOL
#define W HD_FIELD_IS_TIME
#define U HD_FIELD_IS_UUID
#define O HD_FIELD_IS_OBJECT
#define A HD_FIELD_IS_ARRAY
#define V HD_FIELD_IS_ANY
#define REQ HD_FIELD_REQUIRED
#define NUL HD_FIELD_NULLABLE
#define RO HD_FIELD_READ_ONLY
#define SCHEMA(variable, name, doc, fields) const struct hd_schema variable = {name, doc, fields, HD_ARRAY_LEN(fields)}
#define SCHEMA_OWN(variable, name, doc, fields) static const struct hd_schema variable = {name, doc, fields, HD_ARRAY_LEN(fields)}

/* What each stored thing has. */
#define STORED_FIELDS \
	{"id", U, RO, 0, 0, NULL, "UUID"}, \
	{"version", I, RO, 0, 0, NULL, "rises with each change; the ETag"}, \
	{"created_at", W, RO, 0, 0, NULL, "when it was made"}, \
	{"updated_at", W, RO, 0, 0, NULL, "when it was changed last"}

#define ITEMS_FIELD(of, doc) {"items", A, REQ, 0, 0, of, doc}
#define PAGE_FIELDS(of, doc) ITEMS_FIELD(of, doc), {"next", T, REQ | NUL, 0, 0, NULL, "cursor of the next page"}
#define TOTAL_FIELD(flags) {"total", I, flags, 0, 0, NULL, "rows that pass the filters, all pages"}

#define WINDOW_FIELDS \
	{"from", W, REQ, 0, 0, NULL, "first instant"}, \
	{"to", W, REQ, 0, 0, NULL, "exclusive"}

#define IMPORT_FIELDS \
	{"applied", B, REQ, 0, 0, NULL, "false: nothing was stored"}, \
	{"lines", I, REQ, 0, 0, NULL, "lines after the header"}, \
	{"created", I, REQ, 0, 0, NULL, "new rows"}, \
	{"updated", I, REQ, 0, 0, NULL, "rows replaced"}, \
	{"failed", I, REQ, 0, 0, NULL, "lines that do not fit"}, \
	{"errors", A, REQ, 0, 0, NULL, "{line, column, detail} each; the first 1000"}

#endif
