/* SPDX-License-Identifier: MIT */
/* The scheme of flags: number, name, quality that the flag caps a metric at, meaning. Numbers are stored: never reused. */
#ifndef HD_MODEL_FLAGS_H
#define HD_MODEL_FLAGS_H

#include <stdbool.h>
#include <stdint.h>

/* In a rule: what follows is the flag's own name. */
#define HD_FLAG_NAME_MARK '!'

#define HD_QUALITY_GOOD 1.0f
#define HD_QUALITY_SUSPECT 0.5f
#define HD_QUALITY_BAD 0.0f

/* X(NAME, number, text, quality cap, doc) */
#define HD_FLAGS(X) \
	X(CLOCK, 1, "clock", 0.5f, "the logger's time is ahead of ours or before the point's start: never latest, baseline or filing") \
	X(UNPROCESSED, 2, "unprocessed", 0.0f, "the pipeline did not finish: the raw values are kept") \
	X(STATUS_CODE, 3, "status_code", 0.0f, "the logger sent a status code instead of a value") \
	X(OUT_OF_RANGE, 4, "out_of_range", 0.5f, "outside the configured range") \
	X(ABOVE_GRANTED, 5, "above_granted", 0.5f, "flow above the right granted with its tolerance") \
	X(FROZEN, 6, "frozen", 0.5f, "the same value over n readings while it should move") \
	X(INGEST_ERROR, 7, "ingest_error", 0.0f, "zero after history: no datum until confirmed") \
	X(TRUNCATED, 8, "truncated", 0.0f, "a drop of more than 90 %: taken as a truncated read until confirmed") \
	X(NOISE, 9, "noise", 0.5f, "a backward step of less than 1 %: the baseline holds") \
	X(RESET_PENDING, 10, "reset_pending", 0.5f, "a drop that may be a reset; not yet confirmed") \
	X(RESET, 11, "reset", 1.0f, "a reset of the counter, confirmed: the offset carries the sum before it") \
	X(METER_REPLACED, 12, "meter_replaced", 1.0f, "a new meter: the offset carries the old meter's sum") \
	X(ROLLOVER, 13, "rollover", 1.0f, "the counter went over its highest number") \
	X(JUMP, 14, "jump", 0.5f, "more than the point's highest volume an hour") \
	X(RECONNECTED, 15, "reconnected", 1.0f, "first reading after a disconnection") \
	X(GAP, 16, "gap", 1.0f, "the previous reading is older than the step allows: nothing derived across it") \
	X(DISCONNECTED, 17, "disconnected", 0.0f, "all variables 0 at once on a provider where that means no sensor") \
	X(PUMPING_DRY, 18, "pumping_dry", 0.5f, "flow without water above the sensor") \
	X(SPIKE, 19, "spike", 0.5f, "far from its neighbours") \
	X(RATE_OF_CHANGE, 20, "rate_of_change", 0.5f, "changes faster than allowed") \
	X(EXTRAPOLATED, 21, "extrapolated", 0.5f, "outside the rating curve's table") \
	X(ANOMALY, 22, "anomaly", 0.5f, "a detector's score over its threshold") \
	X(UNANNOTATED, 23, "unannotated", 1.0f, "a detector did not answer in time") \
	X(BALANCE, 24, "balance", 0.5f, "integrated flow and counted volume disagree") \
	X(BUDGET, 25, "budget", 0.5f, "yearly volume beyond the right") \
	X(HELD, 26, "held", 1.0f, "kept raw while an older gap is filled; processed in order afterwards") \
	X(MANUAL, 27, "manual", 1.0f, "entered by hand") \
	X(SCRIPT, 28, "script", 0.5f, "set by a pipeline's Lua step, under a name of its own outside this scheme; shown by that name") \
	X(ROLLBACK, 29, "rollback", 1.0f, "the counter went back to a lower count and on from there, confirmed: the offset carries the difference") \
	X(UNJUDGED, 30, "unjudged", 1.0f, "a test that needs the readings beside it could not judge it, or has not yet (QARTOD: UNKNOWN)")

#define HD_FLAG_CONSTANT(NAME, number, text, quality, doc) HD_FLAG_##NAME = number,
enum hd_flag_number { HD_FLAG_NONE = 0, HD_FLAGS(HD_FLAG_CONSTANT) HD_FLAG_END };
#undef HD_FLAG_CONSTANT

struct hd_flag_info {
	uint16_t number;
	const char *name;
	float quality;
	const char *doc;
};

/* NULL for a number that is none. [any] */
const struct hd_flag_info *hd_flag_info(uint32_t number);
struct hd_flag;
struct hd_names;
/*
 * What a stored flag is called: its name in the scheme; for SCRIPT the name that the script gave, which its rule ends in
 * ("well@3f2a91c0/lua:2!leak"). Never NULL. [any]
 */
const char *hd_flag_text(const struct hd_names *names, const struct hd_flag *flag);
/* The same flag of the same metric, whatever rule set it. [any] */
bool hd_flag_same(const struct hd_names *names, const struct hd_flag *a, const struct hd_flag *b);
/* 0 for an unknown name. [any] */
uint32_t hd_flag_by_name(const char *name);

#endif
