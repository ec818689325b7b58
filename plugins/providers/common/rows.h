/* SPDX-License-Identifier: MIT */
/*
 * What one answer holds: its values on their way to the host, those left out and why, and its paging. [worker]
 *
 * Nothing is emitted before the whole text has been read and found well formed: an answer that was cut, or that turns out
 * wrong at its end, gives no value at all. What fits in ROWS_BATCH is kept meanwhile; a longer answer is read once more.
 */
#ifndef PROVIDER_ROWS_H
#define PROVIDER_ROWS_H

#include "json.h"
#include "pages.h"

#include <hydro/abi.h>

#define ROWS_BATCH 1024u /* 32 KiB on the stack of `parse`, touched as far as it is filled */

/* A logger's ts outside of these is refused, as the host would. */
#define ROWS_TS_MIN INT64_C(631152000000)  /* 1990-01-01 */
#define ROWS_TS_MAX INT64_C(4102444800000) /* 2100-01-01, exclusive */

enum ts_format { TS_MS, TS_S, TS_RFC3339, TS_RFC3339_UTC /* a time without a zone is UTC */ };

struct rows {
	const hydro_emit *emit; /* NULL while the text is being checked */
	hydro_raw batch[ROWS_BATCH];
	uint32_t pending; /* in `batch` */
	uint64_t count;   /* good values */
	uint64_t bad;     /* values left out */
	const char *why;  /* of the first of them; static text */
	int32_t emitted;  /* first result of the host other than HYDRO_OK */
	const char *form; /* what is wrong with the answer's form; static text */
	int32_t code;     /* HYDRO_E_* that goes with `form`; 0: PROTOCOL */
	const struct pages *pages; /* NULL unless in a window of history */
	uint32_t limit;            /* rows asked for at most */
	struct page_series series;
	struct page_seen seen;
};

/* The answer is JSON, but not of the form that it should have; false. */
bool rows_wrong_form(struct rows *rows, const char *why);
/* A value is left out, with the reason for the log. */
void rows_leave_out(struct rows *rows, const char *why);
void rows_add(struct rows *rows, int64_t ts_ms, double value, uint32_t metric, uint32_t flags);
/* Hands over what is in the batch. */
void rows_flush(struct rows *rows);

/* A series of rows for the paging: begin, each row's ts (or none), end. */
void rows_series_begin(struct rows *rows);
void rows_series_end(struct rows *rows);

enum cell { CELL_GOOD, CELL_NULL, CELL_BAD };

/* Any JSON value as a measurement: a number, or a number in a string. null is no value; all else is bad, with the reason.
 * False only if the text is wrong. */
bool cell_read_value(struct json *j, double *ret, enum cell *ret_cell, const char **ret_why);
/* Any JSON value as a logger's time, in ms since 1970. */
bool cell_read_ts(struct json *j, enum ts_format format, int64_t *ret, enum cell *ret_cell, const char **ret_why);

/* How a row looks: an object with a member for the time and one for the value. */
struct row_form {
	const char *ts, *value;
	enum ts_format format;
	const char *same;       /* a member that must be equal to same_value where it is there; NULL: none */
	const char *same_value;
};

struct row {
	int64_t ts_ms;
	double value;
	bool good;
};

/* Reads one row, notes its ts for the paging, and leaves out what is bad. False if text or form are wrong. */
bool rows_read_row(struct rows *rows, struct json *j, const struct row_form *form, struct row *ret);

#endif
