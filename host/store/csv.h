/* SPDX-License-Identifier: MIT */
/* Records of a CSV text (RFC 4180; ',' or ';', CRLF or LF, a byte order mark is skipped). Pure. */
#ifndef HD_STORE_CSV_H
#define HD_STORE_CSV_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>

#define HD_CSV_COLUMNS_MAX 128u
#define HD_CSV_RECORD_BYTES_MAX 65536u

struct hd_csv {
	const char *at, *end;
	uint32_t line;      /* of the next record, from 1 */
	char delimiter;
	struct hd_buf mem;  /* the present record's fields, each ended by NUL */
	uint32_t count;     /* fields of the present record */
	uint32_t record_line; /* where it began */
	size_t starts[HD_CSV_COLUMNS_MAX];
};

/* The text must live as long; the delimiter is taken from the first line. [any] */
void hd_csv_init(struct hd_csv *csv, const char *text, size_t len);
void hd_csv_done(struct hd_csv *csv);
/*
 * The next record that is not empty: HYDRO_OK with *ret_end false, or true at the end. HYDRO_E_PARSE (quotes, NUL, not
 * UTF-8) and HYDRO_E_LIMIT (columns, bytes) tell of one record; the next call goes on behind it. [any]
 */
int hd_csv_next(struct hd_csv *csv, bool *ret_end, struct hydro_error *err);
/* Field i of the present record, "" beyond its fields; blanks around an unquoted field are gone. */
const char *hd_csv_field(const struct hd_csv *csv, uint32_t i);

#endif
