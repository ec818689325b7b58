/* SPDX-License-Identifier: MIT */
/*
 * The simulator's own account of what it served, against which loss is counted: for each point and metric the slots
 * served at least once, as runs; and totals of requests. All [any].
 */
#ifndef SIM_ACCOUNT_H
#define SIM_ACCOUNT_H

#include "base/buf.h"
#include "reading.h"

/* Outcomes of requests that have no HTTP status. */
#define SIM_OUTCOME_HANG 1u
#define SIM_OUTCOME_CUT 2u

int sim_account_new(uint32_t points, struct sim_account **ret, struct hydro_error *err);
void sim_account_free(struct sim_account *account);

/* Counts a request that was answered with an HTTP status or a SIM_OUTCOME_*. */
void sim_account_request(struct sim_account *account, uint32_t service, unsigned status);
/* Notes slots [first, last] of a point's metric as served. Memory grows with the number of runs only. */
void sim_account_serve(struct sim_account *account, uint32_t point, uint32_t metric, int64_t first, int64_t last);
/* Notes all rows of an answer, in any order. */
void sim_account_serve_rows(struct sim_account *account, uint32_t point, uint32_t metric, const struct sim_rows *rows);

/* The totals as a JSON object. */
void sim_account_print(struct sim_account *account, struct hd_buf *out);
/*
 * One point's account as a JSON object: count, runs as [first ts, last ts, count], and a checksum that any order of
 * adding gives: the sum modulo 2^64 of hd_hash_u64(served ts in ms), as 16 hexadecimal digits.
 */
void sim_account_print_point(const struct sim *sim, const struct sim_point *point, struct hd_buf *out);
/* Points of [first, last] as CSV lines "name,index,measurements,checksum". */
void sim_account_print_csv(const struct sim *sim, uint32_t first, uint32_t last, struct hd_buf *out);

#endif
