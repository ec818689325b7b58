/* SPDX-License-Identifier: MIT */
/*
 * Names that stored data refers to by number: metrics, rules, generations. The table is one append-only file in the data
 * directory; a number is on disk before it is given out, and is never reused. Reading a name takes no lock.
 */
#ifndef HD_MODEL_NAMES_H
#define HD_MODEL_NAMES_H

#include "base/error.h"

#define HD_NAME_METRIC 0u
#define HD_NAME_RULE 1u
#define HD_NAME_GENERATION 2u
#define HD_NAME_KINDS 3u
#define HD_NAME_BYTES_MAX 160u

/* Metrics of the field have fixed numbers. X(NAME, number, text, unit) */
#define HD_METRICS(X) \
	X(FLOW, 1, "flow", "l/s") \
	X(LEVEL, 2, "level", "m") \
	X(TOTAL, 3, "total", "m3") \
	X(WATER_TABLE, 4, "water_table", "m") \
	X(PULSES, 5, "pulses", "1") \
	X(STAGE, 6, "stage", "cm") \
	X(BATTERY, 7, "battery", "V") \
	X(VOLUME, 8, "volume", "m3")
#define HD_METRIC_CONSTANT(NAME, number, text, unit) HD_METRIC_##NAME = number,
enum hd_metric_number { HD_METRIC_NONE = 0, HD_METRICS(HD_METRIC_CONSTANT) HD_METRIC_FIRST_FREE };
#undef HD_METRIC_CONSTANT

struct hd_names;

/*
 * Opens or creates the table at `path`; NULL path: in memory only. A torn last line is cut; a line that does not check
 * elsewhere is HYDRO_E_CORRUPT with its line number. [control]
 */
int hd_names_open(const char *path, struct hd_names **ret, struct hydro_error *err);
void hd_names_close(struct hd_names **names);
/* Number (> 0) of a name, made and synced if new. HYDRO_E_INVALID for a name that is empty, too long or has control
 * characters; for METRIC also one not of [a-z][a-z0-9_]*. [any, may block on disk] */
int hd_names_intern(struct hd_names *names, uint32_t kind, const char *name, uint32_t *ret, struct hydro_error *err);
/* Number of a name known already, else 0. [any] */
uint32_t hd_names_find(struct hd_names *names, uint32_t kind, const char *name);
/* The name, valid as long as the table; NULL for an unknown number. [any, no lock] */
const char *hd_names_get(const struct hd_names *names, uint32_t kind, uint32_t number);
/* Highest number given out in a kind. [any] */
uint32_t hd_names_count(const struct hd_names *names, uint32_t kind);
/* Unit of a fixed metric ("l/s"), "" for others. [any] */
const char *hd_metric_unit(uint32_t metric);

#endif
