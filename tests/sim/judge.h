/* SPDX-License-Identifier: MIT */
/*
 * Judges what a filer does by the sending rules of DOMAIN §2, from the regulator's side: every POST and GET is seen when it
 * arrives, also those that a fault then spoils; what was taken is compared with what the point truly read. All [any].
 */
#ifndef SIM_JUDGE_H
#define SIM_JUDGE_H

#include "ledger.h"

struct sim_judge;

/* Rules that a filing system may never break, then what is only told. X(NAME, text, doc) */
#define SIM_RULES(X) \
	X(ACCEPTED_TWICE, "accepted_twice", "two filings of one work and hour were taken, whatever their minutes") \
	X(WRONG_HOUR, "wrong_hour", "taken under an hour that is not round, not yet over, or another measurement's") \
	X(WRONG_VALUE, "wrong_value", "taken with values that the point did not read in the hour before the slot") \
	X(SPACING, "spacing", "two POSTs of one work less than five minutes apart") \
	X(SAME_DAY, "same_day", "a slot sent again on the UTC-4 day on which it was sent before") \
	X(AFTER_ACCEPTANCE, "after_acceptance", "a slot sent again after it was answered that it was taken") \
	X(RATE, "rate", "more calls of one centre in a sliding second than allowed")
#define SIM_NOTES(X) \
	X(POSTS, "posts", "") X(GETS, "gets", "") X(TAKEN, "taken", "filings taken") X(FOREIGN, "foreign", "filed by another system") \
	X(LATE, "late", "taken more than an hour after the measurement") \
	X(OVER_LAG, "over_lag", "taken more than the lag after the measurement") \
	X(NOT_NEAREST, "not_nearest", "taken with an older reading than the last before the slot") \
	X(AFTER_DEATH, "after_death", "sent again after an answer that may have died with its process (no violation)") \
	X(NO_TRUTH, "no_truth", "taken of works that are no point's: values not judged") \
	X(NO_CENTRE, "no_centre", "GETs of works of no known centre: rate not judged")
#define SIM_RULE_CONSTANT(NAME, text, doc) SIM_RULE_##NAME,
enum sim_rule { SIM_RULES(SIM_RULE_CONSTANT) SIM_RULE_COUNT };
enum sim_note { SIM_NOTE_BASE = SIM_RULE_COUNT - 1, SIM_NOTES(SIM_RULE_CONSTANT) SIM_COUNT_COUNT };
#undef SIM_RULE_CONSTANT

int sim_judge_new(const struct sim *sim, struct sim_judge **ret, struct hydro_error *err);
void sim_judge_free(struct sim_judge *judge);

/* The work of a point, "OB-0901-<index + 1>", and back (SIM_NO_POINT). */
#define SIM_WORK_TEXT 24u
void sim_work_code(uint32_t index, char ret[SIM_WORK_TEXT]);
uint32_t sim_work_point(const struct sim *sim, const char *code);

/* A POST has come, whatever becomes of it. What could not be read of it is "". */
void sim_judge_post(struct sim_judge *judge, const struct sim_filing *filing, int64_t now_ms);
void sim_judge_get(struct sim_judge *judge, const char *work, int64_t now_ms);
/*
 * What became of a POST: taken (SIM_FILED), its hour found taken (SIM_DUPLICATE), or any other. delivered: the answer says
 * that it is taken and goes out whole.
 */
void sim_judge_outcome(struct sim_judge *judge, const struct sim_filing *filing, enum sim_ledger_outcome outcome, bool delivered, int64_t now_ms);
/* Another system has filed a slot (a fault). */
void sim_judge_foreign(struct sim_judge *judge);
/* A sending process was killed about now: answers of the last moments may not have been read. */
void sim_judge_death(struct sim_judge *judge, int64_t now_ms);

/*
 * The counts, and the coverage of the works of points `first` to `last` for slots of [from, to): due, truly missing (the point
 * has no reading to be had within the lag), filed, unfiled. The first `limit` violations and unfiled slots by name. JSON.
 */
struct sim_verdict_query {
	uint32_t first, last;
	int64_t from_ms, to_ms;
	uint32_t limit;
};
void sim_judge_print(struct sim_judge *judge, const struct sim_verdict_query *query, int64_t now_ms, struct hd_buf *out);
uint64_t sim_judge_count(struct sim_judge *judge, uint32_t which);

#endif
