/* SPDX-License-Identifier: MIT */
/*
 * Help for taking over works that another system files: which slot collides where that system labels by local time, when to
 * switch, its receipts, and what it filed beside what we would have filed. [any that may wait] but where pure.
 */
#ifndef HD_FILING_CUTOVER_H
#define HD_FILING_CUTOVER_H

#include "filing/adapter.h"
#include "filing/calendar.h"
#include "filing/ledger.h"
#include "store/import.h" /* struct hd_import_report */

#define HD_CUTOVER_COLLISIONS_MAX 32u

struct hd_csv;
struct hd_tz;

struct hd_cutover {
	int64_t at_ms;   /* first slot that we file, as asked */
	int64_t safe_ms; /* first slot at or after it from which nothing collides; 0 = none within 400 days */
	int32_t zone_offset_s; /* of the old system's clock at the switch */
	uint32_t collision_count;
	struct {
		int64_t due_ms;   /* our slot … */
		int64_t filed_ms; /* … under whose label the old system has filed the measurement of this time */
	} collisions[HD_CUTOVER_COLLISIONS_MAX];
	char es[480], en[480]; /* what to do */
};

/* A switch of a work at at_ms (the old system files nothing from then on) from labels by a zone's clock to labels by the calendar's fixed offset. [any, pure] */
void hd_cutover_plan(const struct hd_calendar *calendar, const struct hd_tz *zone, int64_t at_ms, struct hd_cutover *ret);
void hd_cutover_print(struct hd_buf *ret, const char *code, const char *zone, const struct hd_cutover *plan);

/*
 * Receipts of the other system from CSV: columns code, date and hour (as filed: the label) or due (RFC 3339), receipt, and what
 * was filed: flow, total, level (each may be missing). Spanish names are known too: codigo_obra, fecha, hora, comprobante, caudal,
 * totalizador, nivel.
 */
struct hd_foreign_columns {
	uint32_t count;
	uint8_t at[8]; /* column + 1 of each kind; 0 = not there */
};
/* HYDRO_E_INVALID for an unknown, repeated or missing column. [any, pure] */
int hd_foreign_columns_take(const struct hd_csv *csv, struct hd_foreign_columns *ret, struct hydro_error *err);
/* The present record; texts are the record's. HYDRO_E_INVALID "column: why". [any, pure] */
int hd_foreign_line(const struct hd_foreign_columns *columns, const struct hd_csv *csv, int32_t utc_offset_s, struct hd_foreign_receipt *ret,
		    struct hydro_error *err);

struct hd_foreign_import {
	struct hd_ledger *ledger;
	int32_t utc_offset_s;
	const char *source; /* file or system, kept with each */
	bool skip_bad, dry;
};
/* As hd_works_import. A code that is no work's is a misfit of its line. */
int hd_foreign_import(const struct hd_foreign_import *import, const char *csv, size_t len, struct hd_import_report *ret, struct hydro_error *err);

#define HD_COMPARED_SAME 0u
#define HD_COMPARED_DIFFERS 1u
#define HD_COMPARED_ONLY_THEIRS 2u /* we had no measurement, or no slot */
#define HD_COMPARED_ONLY_OURS 3u
#define HD_COMPARED_OPEN 4u        /* their values are not known yet: GET has not been asked */
#define HD_COMPARED_ABSENT 5u      /* the regulator does not know their receipt */
#define HD_COMPARED_COUNT 6u
const char *hd_compared_name(uint32_t outcome);

struct hd_compared {
	int64_t due_ms;
	uint32_t outcome;   /* HD_COMPARED_* */
	uint32_t state;     /* of our slot; HD_SLOT_DUE: none */
	double ours[3], theirs[3]; /* NAN = not there or not told */
	char receipt[HD_RECEIPT_BYTES], text[192]; /* theirs; what GET showed */
};
struct hd_comparison {
	uint64_t outcomes[HD_COMPARED_COUNT];
	int32_t shift_h;        /* their labels are so many hours after ours for equal values; 0 = none is better */
	uint64_t shift_matches; /* slots equal at that shift */
};
typedef int (*hd_compared_fn)(void *arg, const struct hd_compared *row, struct hydro_error *err);
/* In order of time. level_step: what the level is filed to (0.01 m, 1 cm). HYDRO_E_LIMIT above 200,000 rows. */
int hd_cutover_compare(struct hd_ledger *ledger, uint32_t work, int64_t from_ms, int64_t to_ms, double level_step, hd_compared_fn fn, void *arg,
		       struct hd_comparison *ret, struct hydro_error *err);

#endif
