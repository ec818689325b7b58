/* SPDX-License-Identifier: MIT */
/*
 * A filing in 40 bytes, so that ten thousand works fit a month into memory, and its receipt, which is a function of work and
 * slot and so needs no room at all. What does not come back the same from the short form is kept in full ("odd").
 */
#ifndef SIM_FILING_ROW_H
#define SIM_FILING_ROW_H

#include "base/map.h"
#include "ledger.h"

struct sim_row {
	uint32_t work;   /* number in the ledger */
	uint32_t slot_s; /* fechaMedicion and horaMedicion, UTC-4, as s since 1970 UTC; 0: none that can be read */
	uint32_t who;    /* name of user and company */
	uint32_t aux;    /* refused: name of the reason; odd: index into the filings kept in full */
	int32_t flow;    /* 0.01 l/s */
	int32_t level;   /* 0.01; INT32_MIN: "" */
	uint64_t total : 50;
	uint64_t kind : 2;
	uint64_t outcome : 2;
	uint64_t stored : 1;
	uint64_t foreign : 1;   /* filed by "another system" (a fault) */
	uint64_t odd : 1;
	uint64_t delivered : 1; /* the accepting answer went out whole */
	uint64_t arrival_ms : 44;
	uint64_t origin_ago : 16; /* s of timeStampOrigen before the arrival's UTC-4, plus SIM_AGO_ZERO */
};
#define SIM_AGO_ZERO 32768

/* Texts by number, from 0. All zero is empty. */
struct sim_names {
	struct hd_map numbers;
	char **texts;
	uint32_t count, cap;
};
bool sim_names_put(struct sim_names *names, const char *text, uint32_t *ret);
void sim_names_done(struct sim_names *names);

/* s since 1970 UTC of a date and hour in UTC-4; 0 when they cannot be read. */
uint32_t sim_slot_seconds(const char *date, const char *hour);

/* Fills all but work, who, aux, outcome and the flags; false when the filing must be kept in full. */
bool sim_row_pack(const struct sim_filing *filing, int64_t arrival_ms, struct sim_row *ret);
void sim_row_unpack(const struct sim_row *row, const char *work, const char *who, struct sim_filing *ret);

/* 32 letters and digits, the same in each run. */
void sim_receipt_make(const char *work, uint32_t slot_s, char ret[SIM_RECEIPT_TEXT]);
/* The slot of a receipt of this work; 0 when it is none. */
uint32_t sim_receipt_slot(const char *work, const char *receipt);

#endif
