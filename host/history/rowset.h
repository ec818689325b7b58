/* SPDX-License-Identifier: MIT */
/* Copies of samples of one point, sorted and with revisions settled. One thread at a time; all zero is empty. */
#ifndef HD_HISTORY_ROWSET_H
#define HD_HISTORY_ROWSET_H

#include "base/error.h"
#include "model/sample.h"

#include <stdbool.h>

struct rowset_block;

struct rowset {
	struct hd_sample *rows;
	uint32_t count, capacity;
	struct rowset_block *blocks; /* arrays of the rows; the newest first */
};

void rowset_done(struct rowset *set);
/* Forgets the rows and keeps one block of memory. */
void rowset_clear(struct rowset *set);
/* A copy with its arrays; false without memory. */
bool rowset_add(struct rowset *set, const struct hd_sample *sample);
/* The head only: the arrays stay where they are and must outlive the set. */
bool rowset_borrow(struct rowset *set, const struct hd_sample *sample);
/* By (ts, rev); equal ones keep the order in which they came. */
void rowset_sort(struct rowset *set);
/* After sorting: of equal (ts, rev) the last, and without `all_revs` of equal ts the highest rev. */
void rowset_settle(struct rowset *set, bool all_revs);

#endif
