/* SPDX-License-Identifier: MIT */
#include "filing_row.h"

#include "base/array.h"
#include "base/hash.h"
#include "base/timefmt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UTC_OFFSET_MS (-INT64_C(14400000))
#define TOTAL_MAX INT64_C(999999999999999)
#define TOTAL_MASK ((UINT64_C(1) << 50) - 1)
#define ARRIVAL_MASK ((UINT64_C(1) << 44) - 1)
#define RECEIPT_HEAD 11u /* digits to base 62 that hold 64 bits */
/* An odd number and its inverse modulo 2^64. */
#define SPREAD UINT64_C(0x9e3779b97f4a7c15)
#define GATHER UINT64_C(0xf1de83e19937733d)

bool sim_names_put(struct sim_names *n, const char *text, uint32_t *ret)
{
	uint64_t number;
	size_t len = strlen(text);
	if (hd_map_get(&n->numbers, text, len, &number)) {
		*ret = (uint32_t)number;
		return true;
	}
	if (!HD_RESERVE(n->texts, n->cap, n->count, 1))
		return false;
	n->texts[n->count] = strdup(text);
	if (!n->texts[n->count] || !hd_map_put(&n->numbers, text, len, n->count))
		return false;
	*ret = (uint32_t)n->count++;
	return true;
}

void sim_names_done(struct sim_names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->texts[i]);
	free(n->texts);
	hd_map_done(&n->numbers);
	*n = (struct sim_names){0};
}

static bool read_utc4(const char *text, size_t len, int64_t *ret_ms)
{
	if (!hd_time_parse(text, len, true, ret_ms))
		return false;
	*ret_ms -= UTC_OFFSET_MS;
	return true;
}

/* Date or time of day of the UTC-4 clock. */
static void print_utc4(int64_t ms, char ret[HD_TIME_TEXT])
{
	hd_time_format(ms + UTC_OFFSET_MS, ret);
}

uint32_t sim_slot_seconds(const char *date, const char *hour)
{
	char text[40];
	int64_t ms;
	int n = snprintf(text, sizeof text, "%sT%s", date, hour);
	if (n != 19 || !read_utc4(text, (size_t)n, &ms) || ms <= 0 || ms / 1000 > UINT32_MAX)
		return 0;
	return (uint32_t)(ms / 1000);
}

/* "25.70" with `decimals` as hundredths. */
static bool read_hundredths(const char *text, bool decimals, int32_t *ret)
{
	char *end;
	double v = strtod(text, &end) * 100.0;
	if (!*text || *end || !(v > -2e9) || !(v < 2e9))
		return false;
	*ret = (int32_t)(v < 0 ? v - 0.5 : v + 0.5);
	return decimals || *ret % 100 == 0;
}

static void print_hundredths(int32_t value, bool decimals, char *ret, size_t size)
{
	uint32_t v = value < 0 ? (uint32_t)-(int64_t)value : (uint32_t)value;
	if (decimals)
		(void)snprintf(ret, size, "%s%u.%02u", value < 0 ? "-" : "", v / 100, v % 100);
	else
		(void)snprintf(ret, size, "%s%u", value < 0 ? "-" : "", v / 100);
}

bool sim_row_pack(const struct sim_filing *f, int64_t arrival_ms, struct sim_row *row)
{
	int64_t origin_ms = 0;
	bool channel = f->kind == SIM_CHANNEL;
	char *end = NULL;
	int64_t total = *f->total ? strtoll(f->total, &end, 10) : 0;
	row->slot_s = sim_slot_seconds(f->date, f->hour);
	row->kind = f->kind & 3u;
	row->arrival_ms = (uint64_t)arrival_ms & ARRIVAL_MASK;
	row->level = INT32_MIN;
	if (!row->slot_s || (end && *end) || total < 0 || total > TOTAL_MAX || !read_hundredths(f->flow, true, &row->flow) ||
	    (*f->level && !read_hundredths(f->level, !channel, &row->level)) || strlen(f->origin) != 24 || !read_utc4(f->origin, 19, &origin_ms))
		return false;
	row->total = (uint64_t)total & TOTAL_MASK;
	int64_t ago = arrival_ms / 1000 - origin_ms / 1000 + SIM_AGO_ZERO;
	if (ago < 0 || ago > UINT16_MAX)
		return false;
	row->origin_ago = (uint16_t)ago;
	struct sim_filing back;
	char who[sizeof f->user + sizeof f->company + 1];
	(void)snprintf(who, sizeof who, "%s|%s", f->user, f->company);
	sim_row_unpack(row, f->work, who, &back);
	return strcmp(back.date, f->date) == 0 && strcmp(back.hour, f->hour) == 0 && strcmp(back.flow, f->flow) == 0 &&
	       strcmp(back.total, f->total) == 0 && strcmp(back.level, f->level) == 0 && strcmp(back.origin, f->origin) == 0 && strcmp(back.user, f->user) == 0;
}

void sim_row_unpack(const struct sim_row *row, const char *work, const char *who, struct sim_filing *f)
{
	char text[HD_TIME_TEXT];
	bool channel = row->kind == SIM_CHANNEL;
	size_t user = strcspn(who, "|");
	*f = (struct sim_filing){.kind = (uint32_t)row->kind};
	(void)snprintf(f->work, sizeof f->work, "%s", work);
	(void)snprintf(f->user, sizeof f->user, "%.*s", (int)user, who);
	(void)snprintf(f->company, sizeof f->company, "%s", who[user] ? who + user + 1 : "");
	print_utc4((int64_t)row->slot_s * 1000, text);
	(void)snprintf(f->date, sizeof f->date, "%.10s", text);
	(void)snprintf(f->hour, sizeof f->hour, "%.8s", text + 11);
	print_hundredths(row->flow, true, f->flow, sizeof f->flow);
	if (!channel)
		(void)snprintf(f->total, sizeof f->total, "%" PRIu64, (uint64_t)row->total);
	if (row->level != INT32_MIN)
		print_hundredths(row->level, !channel, f->level, sizeof f->level);
	print_utc4(((int64_t)(row->arrival_ms / 1000) - (int64_t)row->origin_ago + SIM_AGO_ZERO) * 1000, text);
	(void)snprintf(f->origin, sizeof f->origin, "%.19s-0000", text);
}

static const char receipt_digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
#define RECEIPT_BASE (sizeof receipt_digits - 1)

/* The first digits are the slot, spread and hidden by the work; the others follow from them. */
void sim_receipt_make(const char *work, uint32_t slot_s, char ret[SIM_RECEIPT_TEXT])
{
	uint64_t x = ((uint64_t)slot_s * SPREAD) ^ hd_hash(work, strlen(work)), h = x;
	for (size_t i = 0; i < RECEIPT_HEAD; i++, x /= RECEIPT_BASE)
		ret[i] = receipt_digits[x % RECEIPT_BASE];
	for (size_t i = RECEIPT_HEAD; i < SIM_RECEIPT_TEXT - 1; i++) {
		h = hd_hash_u64(h);
		ret[i] = receipt_digits[h % RECEIPT_BASE];
	}
	ret[SIM_RECEIPT_TEXT - 1] = '\0';
}

uint32_t sim_receipt_slot(const char *work, const char *receipt)
{
	char right[SIM_RECEIPT_TEXT];
	uint64_t x = 0;
	if (strlen(receipt) != SIM_RECEIPT_TEXT - 1)
		return 0;
	for (size_t i = RECEIPT_HEAD; i-- > 0;) {
		const char *digit = strchr(receipt_digits, receipt[i]);
		if (!digit)
			return 0;
		x = x * RECEIPT_BASE + (uint64_t)(digit - receipt_digits);
	}
	uint64_t slot = (x ^ hd_hash(work, strlen(work))) * GATHER;
	if (slot > UINT32_MAX)
		return 0;
	sim_receipt_make(work, (uint32_t)slot, right);
	return strcmp(right, receipt) == 0 ? (uint32_t)slot : 0;
}
