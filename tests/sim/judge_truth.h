/* SPDX-License-Identifier: MIT */
/* What a work ought to have filed, from what its point truly read. Pure but for the books; all [any]. */
#ifndef SIM_JUDGE_TRUTH_H
#define SIM_JUDGE_TRUTH_H

#include "judge.h"
#include "reading.h"

struct sim_work_truth {
	struct sim_point point;
};
void sim_work_truth_init(const struct sim *sim, uint32_t point, struct sim_work_truth *ret);

enum sim_match_kind { SIM_MATCH_NONE, SIM_MATCH_HOUR, SIM_MATCH_OTHER_HOUR };
struct sim_match {
	int64_t measured_ms;
	bool nearest; /* no later reading of the hour was to be had */
};
/* Whose values a filing has: of a reading in the window before its slot, of another hour's within six, or of none. */
enum sim_match_kind sim_truth_match(const struct sim *sim, const struct sim_work_truth *truth, const struct sim_filing *filing, int64_t slot_ms, int64_t now_ms,
				    struct sim_match *ret);

/* Adds ,"due":…,"truly_missing":…,"filed":…,"unfiled":…,"invented":…,"unfiled_slots":[…] */
void sim_truth_coverage(const struct sim *sim, const struct sim_verdict_query *query, int64_t now_ms, struct hd_buf *out);

#endif
