/* SPDX-License-Identifier: MIT */
/*
 * How works stand with what they owe: per work, client, standard or region, over whole local days. Counts come from the
 * ledger's day counts, slots due from the calendar, causes and open deadlines from the slots that are not filed.
 */
#ifndef HD_FILING_COMPLIANCE_H
#define HD_FILING_COMPLIANCE_H

#include "filing/adapter.h"
#include "filing/calendar.h"
#include "filing/ledger.h"

#define HD_COMPLIANCE_BY_WORK 0u
#define HD_COMPLIANCE_BY_CLIENT 1u
#define HD_COMPLIANCE_BY_STANDARD 2u
#define HD_COMPLIANCE_BY_REGION 3u

#define HD_COMPLIANCE_CAUSES 6u /* the most frequent ones of a row; the others are counted together */

struct hd_compliance_cause {
	uint32_t state; /* HD_SLOT_* */
	char text[96];  /* the slot's cause */
	uint64_t slots;
};

struct hd_compliance_row {
	uint32_t work; /* number; 0 for a row of several */
	uint32_t works;
	uint32_t mode; /* of a single work */
	char key[256], name[201], client[201], kind[41], standard[41], region[101]; /* of a single work */
	uint64_t due;      /* slots whose time has come */
	uint64_t settled;  /* of these: those of live works, not filed by sheet, whose deadline has passed or that are filed */
	uint64_t filed;    /* with or without receipt, by hand, or with other values: the regulator has one */
	uint64_t on_time, late, over_lag, checked;
	uint64_t missing, differs, no_receipt, by_hand, shadow;
	uint64_t queued, unknown, refused, held; /* still open */
	uint64_t waiting;  /* due, without a measurement yet */
	double on_time_share; /* on_time / settled; NAN without any */
	int64_t next_due_ms;      /* next slot; 0 = none */
	int64_t next_deadline_ms; /* when it should be filed at the latest */
	int64_t oldest_open_ms;   /* due time of the oldest slot that is not final; 0 = none */
	int64_t next_limit_ms;    /* end of its lag */
	uint32_t cause_count;
	struct hd_compliance_cause causes[HD_COMPLIANCE_CAUSES];
	uint64_t other_causes;
};

struct hd_compliance_query {
	uint32_t by;                         /* HD_COMPLIANCE_BY_* */
	const struct hd_work_filter *works;  /* whose; NULL = all. Paging members are not looked at */
	const char *code;                    /* one work alone; NULL = all */
	int64_t from_ms, to_ms;              /* widened to whole local days; to exclusive */
	int64_t now_ms;
};

struct hd_compliance {
	int32_t utc_offset_s;
	int64_t from_ms, to_ms; /* as widened */
	struct hd_compliance_row *rows; /* by key */
	uint32_t count;
	struct hd_compliance_row all; /* of all rows together */
};

/* HYDRO_E_CONFIG when no adapter is loaded; errors of the ledger. Give back with hd_compliance_done in any case. [any that may wait] */
int hd_compliance_take(struct hd_ledger *ledger, const struct hd_adapters *adapters, const struct hd_compliance_query *query, struct hd_compliance *ret,
		       struct hydro_error *err);
void hd_compliance_done(struct hd_compliance *compliance);
void hd_compliance_print(struct hd_buf *ret, const struct hd_compliance *compliance);
/* A cause of the ledger in words for people: Spanish, English; the text itself when it is none that is known. */
const char *hd_cause_text(const char *cause, bool spanish);
/* A state in words for people. */
const char *hd_slot_state_text(uint32_t state, bool spanish);

/* The first instant of a local month ("2026-01") and of the one after; false when the text is no month. [any] */
bool hd_month_parse(const char *text, int32_t utc_offset_s, int64_t *ret_from_ms, int64_t *ret_to_ms);
/* A time on the regulator's clock: "2026-01-31 14:00". */
void hd_local_time(int64_t ms, int32_t utc_offset_s, char ret[32]);
void hd_local_date(int64_t ms, int32_t utc_offset_s, char ret[32]);

#endif
