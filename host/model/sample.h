/* SPDX-License-Identifier: MIT */
/* The unit that travels: one reading of one point at one logger's timestamp, and what the pipeline made of it. */
#ifndef HD_MODEL_SAMPLE_H
#define HD_MODEL_SAMPLE_H

#include <stdint.h>

#define HD_METRICS_PER_SAMPLE_MAX 32u
#define HD_FLAGS_PER_SAMPLE_MAX 64u
/* A logger's timestamp must lie in 1990-01-01 … 2100-01-01. */
#define HD_TS_MIN_MS INT64_C(631152000000)
#define HD_TS_MAX_MS INT64_C(4102444800000)

/* A value of one metric. For raw values `quality` is 0 when it is a logger's status code, else 1. */
struct hd_value {
	double value;
	uint32_t metric; /* id in hd_names, kind METRIC */
	float quality;   /* 0 … 1 */
};

/* A flag with its provenance. */
struct hd_flag {
	uint32_t metric; /* 0 = the whole measurement */
	uint16_t flag;   /* enum hd_flag_number */
	uint16_t reserved;
	uint32_t rule;   /* id in hd_names, kind RULE: "well@3f2a91c0/range:flow", "plugin anomaly 1.2.0" */
};

#define HD_SAMPLE_CLOCK 1u       /* never becomes latest, baseline or filing */
#define HD_SAMPLE_UNPROCESSED 2u /* raw only: the pipeline failed or was over its budget */
#define HD_SAMPLE_HELD 4u        /* raw only for now: an older gap is being filled */
#define HD_SAMPLE_LATE 8u        /* older than the newest reading of its point */
#define HD_SAMPLE_MANUAL 16u
#define HD_SAMPLE_FILE 32u        /* passed a `file` step: may be filed. What was written before that step existed has it not */

/* Raw and result of one (point, ts, rev); arrays are borrowed from the batch that owns the sample. */
struct hd_sample {
	int64_t ts_ms;
	uint64_t source; /* position in its source: poll number, offset; 0 = none */
	uint32_t point;  /* dense index in hd_points */
	uint32_t generation; /* id in hd_names, kind GENERATION: "well@3f2a91c0"; 0 = none */
	uint16_t rev;    /* 0 = first; a higher one carries all metrics of this ts and replaces lower ones */
	uint16_t bits;   /* HD_SAMPLE_* */
	uint8_t raw_count;
	uint8_t value_count;
	uint8_t flag_count;
	uint8_t reserved;
	const struct hd_value *raws;
	const struct hd_value *values;
	const struct hd_flag *flags;
};

#endif
