/* SPDX-License-Identifier: MIT */
/* What another system filed beside what we would have filed, slot by slot. */
#include "filing/cutover.h"

#include "base/array.h"

#include <hydro/abi.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 200000u
#define HOUR_MS INT64_C(3600000)
#define SHIFT_MAX 2

struct ours {
	int64_t due_ms;
	uint32_t state;
	double values[3];
};
struct theirs {
	int64_t due_ms;
	uint32_t check;
	double values[3];
	char receipt[HD_RECEIPT_BYTES], text[192];
};
struct both {
	struct ours *ours;
	struct theirs *theirs;
	uint32_t our_count, our_capacity, their_count, their_capacity;
	double steps[3];
};

const char *hd_compared_name(uint32_t outcome)
{
	static const char *const names[HD_COMPARED_COUNT] = {"same", "differs", "only_theirs", "only_ours", "open", "absent"};
	return outcome < HD_COMPARED_COUNT ? names[outcome] : "";
}

static int no_room(uint32_t count, struct hydro_error *err)
{
	return count < ROWS_MAX ? hd_error_set(err, HYDRO_E_NOMEM, "no memory")
				: hd_error_set(err, HYDRO_E_LIMIT, "more than %u slots: ask for a shorter time", ROWS_MAX);
}

static int add_ours(void *arg, const struct hd_slot *slot, struct hydro_error *err)
{
	struct both *b = arg;
	if (slot->state == HD_SLOT_MISSING)
		return HYDRO_OK;
	if (b->our_count >= ROWS_MAX || !HD_RESERVE(b->ours, b->our_capacity, b->our_count, 1))
		return no_room(b->our_count, err);
	struct ours *row = &b->ours[b->our_count++];
	*row = (struct ours){.due_ms = slot->due_ms, .state = slot->state};
	memcpy(row->values, slot->values, sizeof row->values);
	return HYDRO_OK;
}

static int add_theirs(void *arg, const struct hd_foreign_receipt *receipt, struct hydro_error *err)
{
	struct both *b = arg;
	if (b->their_count >= ROWS_MAX || !HD_RESERVE(b->theirs, b->their_capacity, b->their_count, 1))
		return no_room(b->their_count, err);
	struct theirs *row = &b->theirs[b->their_count++];
	*row = (struct theirs){.due_ms = receipt->due_ms, .check = receipt->check};
	memcpy(row->values, receipt->values, sizeof row->values);
	(void)snprintf(row->receipt, sizeof row->receipt, "%s", receipt->receipt);
	(void)snprintf(row->text, sizeof row->text, "%s", receipt->check_text ? receipt->check_text : "");
	return HYDRO_OK;
}

static bool told(const struct theirs *theirs)
{
	return !isnan(theirs->values[0]) || !isnan(theirs->values[1]) || !isnan(theirs->values[2]);
}

/* Equal to the step that each field is filed to; what was not told does not count. */
static bool equal(const struct both *b, const struct ours *ours, const struct theirs *theirs)
{
	for (int i = 0; i < 3; i++)
		if (!isnan(theirs->values[i]) && (isnan(ours->values[i]) || fabs(ours->values[i] - theirs->values[i]) > b->steps[i] * .5001))
			return false;
	return true;
}

static uint32_t judge(const struct both *b, const struct ours *ours, const struct theirs *theirs)
{
	if (theirs->check == HYDRO_CHECK_ABSENT)
		return HD_COMPARED_ABSENT;
	if (theirs->check == HYDRO_CHECK_SAME || theirs->check == HYDRO_CHECK_DIFFERS)
		return theirs->check == HYDRO_CHECK_SAME ? HD_COMPARED_SAME : HD_COMPARED_DIFFERS;
	if (!told(theirs))
		return HD_COMPARED_OPEN;
	return equal(b, ours, theirs) ? HD_COMPARED_SAME : HD_COMPARED_DIFFERS;
}

static int give(const struct both *b, const struct ours *ours, const struct theirs *theirs, hd_compared_fn fn, void *arg, struct hd_comparison *ret,
		struct hydro_error *err)
{
	struct hd_compared row = {.due_ms = ours ? ours->due_ms : theirs->due_ms, .state = ours ? ours->state : HD_SLOT_DUE, .ours = {NAN, NAN, NAN}, .theirs = {NAN, NAN, NAN}};
	row.outcome = !ours ? (theirs->check == HYDRO_CHECK_ABSENT ? HD_COMPARED_ABSENT : HD_COMPARED_ONLY_THEIRS) : !theirs ? HD_COMPARED_ONLY_OURS : judge(b, ours, theirs);
	if (ours)
		memcpy(row.ours, ours->values, sizeof row.ours);
	if (theirs) {
		memcpy(row.theirs, theirs->values, sizeof row.theirs);
		memcpy(row.receipt, theirs->receipt, sizeof row.receipt);
		memcpy(row.text, theirs->text, sizeof row.text);
	}
	ret->outcomes[row.outcome]++;
	return fn ? fn(arg, &row, err) : HYDRO_OK;
}

static const struct ours *find_ours(const struct both *b, int64_t due_ms)
{
	size_t low = 0, high = b->our_count;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (b->ours[mid].due_ms < due_ms)
			low = mid + 1;
		else
			high = mid;
	}
	return low < b->our_count && b->ours[low].due_ms == due_ms ? &b->ours[low] : NULL;
}

/* Whether their labels fit ours better some hours off: a system that files local time. */
static void find_shift(const struct both *b, struct hd_comparison *ret)
{
	uint64_t best = 0;
	for (int shift = -SHIFT_MAX; shift <= SHIFT_MAX; shift++) {
		uint64_t matches = 0;
		for (size_t i = 0; i < b->their_count; i++) {
			const struct ours *ours = told(&b->theirs[i]) ? find_ours(b, b->theirs[i].due_ms - shift * HOUR_MS) : NULL;
			matches += ours && equal(b, ours, &b->theirs[i]);
		}
		if (matches > best || (matches == best && shift == 0)) {
			best = matches;
			ret->shift_h = shift;
			ret->shift_matches = matches;
		}
	}
}

static int merge(const struct both *b, hd_compared_fn fn, void *arg, struct hd_comparison *ret, struct hydro_error *err)
{
	int rc = HYDRO_OK;
	for (size_t i = 0, k = 0; rc == HYDRO_OK && (i < b->our_count || k < b->their_count);) {
		bool has_ours = i < b->our_count && (k >= b->their_count || b->ours[i].due_ms <= b->theirs[k].due_ms);
		bool has_theirs = k < b->their_count && (i >= b->our_count || b->theirs[k].due_ms <= b->ours[i].due_ms);
		rc = give(b, has_ours ? &b->ours[i] : NULL, has_theirs ? &b->theirs[k] : NULL, fn, arg, ret, err);
		i += has_ours;
		k += has_theirs;
	}
	return rc;
}

int hd_cutover_compare(struct hd_ledger *ledger, uint32_t work, int64_t from_ms, int64_t to_ms, double level_step, hd_compared_fn fn, void *arg,
		       struct hd_comparison *ret, struct hydro_error *err)
{
	struct both b = {.steps = {.01, 1, level_step}};
	struct hd_slot_filter filter = {.work = work, .from_ms = from_ms, .to_ms = to_ms};
	*ret = (struct hd_comparison){.shift_h = 0};
	int rc = hd_ledger_slots(ledger, &filter, add_ours, &b, err);
	if (rc == HYDRO_OK)
		rc = hd_ledger_foreign_list(ledger, work, from_ms, to_ms, add_theirs, &b, err);
	if (rc == HYDRO_OK)
		rc = merge(&b, fn, arg, ret, err);
	if (rc == HYDRO_OK)
		find_shift(&b, ret);
	free(b.ours);
	free(b.theirs);
	return rc;
}
