/* SPDX-License-Identifier: MIT */
/* Readings of the feed under way, and what is known of a (point, ts). Shared by intake.c, known.c, held.c and redo.c only. */
#ifndef HD_PIPELINE_INTAKE_H
#define HD_PIPELINE_INTAKE_H

#include "pipeline/inner.h"

/* Raw values within one join window: raws[first … first + count). */
struct hd_reading {
	int64_t ts_ms;
	uint32_t first, count;
};

struct hd_raw {
	double value;
	uint32_t metric;
	int32_t dt_ms; /* its own time less the reading's */
	float quality; /* 0 = a status code */
};

struct hd_intake {
	struct hd_raw *raws;
	struct hd_reading *readings;
	uint32_t raw_count, raw_capacity;
	uint32_t count, capacity;
	hydro_raw *sorted;
	uint32_t sorted_capacity;
	uint32_t dropped; /* equal values inside the feed */
};

#define HD_SAME_DUPLICATE 0u /* all of it is known */
#define HD_SAME_REVISION 1u  /* of the known reading: new metrics, or other values at the same time */
#define HD_SAME_OTHER 2u     /* a reading of its own */

/* What a known reading says of a new one. */
struct hd_known {
	int64_t ts_ms;
	uint32_t count;
	struct hd_raw raws[HD_METRICS_PER_SAMPLE_MAX];
	uint16_t rev;
	uint16_t bits; /* HD_SAMPLE_* */
};

/* Splits raw values (any order) into readings by rising ts. HYDRO_E_INVALID, HYDRO_E_NOMEM. */
int hd_intake_group(struct hd_intake *in, const hydro_raw *raws, uint32_t count, uint32_t join_ms, struct hydro_error *err);
/* Compares a reading with a known one within `join_ms` of it. */
uint32_t hd_known_compare(const struct hd_known *known, const struct hd_reading *reading, const struct hd_raw *raws, uint32_t join_ms);
/* Adds to `known` what the reading has new; false when that is more than a sample holds. */
bool hd_known_merge(struct hd_known *known, const struct hd_reading *reading, const struct hd_raw *raws);
/* The newest reading of a point, as known; and sets it. */
void hd_known_get(const struct hd_point_block *block, struct hd_known *ret);
void hd_known_set(struct hd_point_block *block, const struct hd_known *known);
void hd_known_of_sample(const struct hd_sample *sample, struct hd_known *ret);

/* One sample to be: raws go into the batch, the plan runs later unless raw_only. */
struct hd_sample_how {
	int64_t ts_ms;
	const struct hd_raw *raws;
	uint32_t raw_count;
	uint16_t rev;
	uint16_t bits;     /* HD_SAMPLE_* */
	uint8_t row_bits;  /* HD_ROW_* */
	bool raw_only;
	bool undo;
	uint64_t source;
	int64_t received_ns;
};
int hd_worker_add(struct hd_worker *w, struct hd_point_block *block, uint32_t point, const struct hd_sample_how *how, struct hydro_error *err);
/* A reading newer than all of its point: becomes the newest and goes through the plan. */
int hd_worker_add_newest(struct hd_worker *w, struct hd_point_block *block, uint32_t point, struct hd_known *reading, bool last,
			 const struct hd_feed *how, struct hydro_error *err);

/* Readings older than the newest, or `clock`: compared with history, appended, redone later. known.c */
int hd_worker_feed_old(struct hd_worker *w, struct hd_point_block *block, uint32_t point, const struct hd_intake *in, uint32_t first, uint32_t count,
		       uint16_t bits, const struct hd_feed *how, uint32_t *accepted, uint32_t *dropped, struct hydro_error *err);

/* Revision that a reading at ts must have so that it replaces what history knows; left alone when it knows nothing. known.c */
int hd_worker_known_rev(struct hd_worker *w, struct hd_point_block *block, uint32_t point, int64_t ts_ms, uint16_t *ret, struct hydro_error *err);

/* The newest reading of a point whose state was lost, from history; its state follows by a redo. known.c */
int hd_worker_find_newest(struct hd_worker *w, struct hd_point_block *block, uint32_t point, struct hydro_error *err);

/* held.c: keeps a live reading for later; true when it was known already. */
int hd_worker_feed_held(struct hd_worker *w, struct hd_point_block *block, uint32_t point, const struct hd_reading *reading, const struct hd_raw *raws,
			const struct hd_feed *how, bool *ret_known, struct hydro_error *err);
/* Takes the held reading of that time out, giving the revision that replaces it; 0 when there is none. */
uint16_t hd_held_take(struct hd_point_block *block, int64_t ts_ms);
/* At the start: a held reading that nothing replaced. */
int hd_held_restore(struct hd_point_block *block, const struct hd_sample *sample);
void hd_held_tick(struct hd_worker *w, struct hd_point_block *block, uint32_t point);

#endif
