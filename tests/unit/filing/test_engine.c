/* SPDX-License-Identifier: MIT */
/* The engine against the small regulator: each row of the table of answers, times, measurements, acts. */
#include "rig.h"

#include "../check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FIRST (RIG_START + HOUR_MS) /* the first slot of rig_work */

static uint32_t state_of(struct rig *rig, uint32_t work, int64_t due_ms)
{
	return rig_slot(rig, work, due_ms).state;
}

static struct hd_slot one_slot(struct rig *rig, uint32_t work, enum reply (*answer)(struct regulator *r, const struct seen *s), int64_t until)
{
	rig->regulator.answer = answer;
	rig_read(rig, work, FIRST);
	rig_open(rig);
	rig_run(rig, until);
	return rig_slot(rig, work, FIRST);
}

/* ---- the table of answers ---- */

Test(engine, a_slot_is_filed_with_its_receipt_within_its_hour_and_checked)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1");
	struct hd_slot slot = one_slot(rig, work, NULL, FIRST + HOUR_MS - 1);
	struct seen seen = regulator_get(&rig->regulator, false, 0);
	cr_assert_eq(slot.state, HD_SLOT_FILED);
	cr_assert_str_eq(slot.receipt, "R1");
	cr_assert_eq(slot.marks, HD_SLOT_CHECKED);
	cr_assert_eq(regulator_count(&rig->regulator, false), 1);
	cr_assert_eq(regulator_count(&rig->regulator, true), 1);
	cr_assert_eq(seen.due_ms, FIRST);
	cr_assert(seen.at_ms >= FIRST + 2 * MINUTE_MS && seen.at_ms <= FIRST + 50 * MINUTE_MS);
	cr_assert_float_eq(slot.values[HYDRO_FIELD_FLOW], 10.06, 1e-9);
	rig_free(rig);
}

static enum reply no_receipt(struct regulator *r, const struct seen *s)
{
	(void)r, (void)s;
	return REPLY_NO_RECEIPT;
}

Test(engine, what_is_taken_without_a_receipt_is_never_sent_again_nor_asked_for)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1");
	struct hd_slot slot = one_slot(rig, work, no_receipt, FIRST + 3 * DAY_MS);
	cr_assert_eq(slot.state, HD_SLOT_FILED_NO_RECEIPT);
	cr_assert_eq(regulator_count(&rig->regulator, false), 1);
	cr_assert_eq(regulator_count(&rig->regulator, true), 0);
	rig_free(rig);
}

Test(engine, a_duplicate_with_the_same_values_is_filed_and_foreign)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1");
	char payload[64];
	(void)snprintf(payload, sizeof payload, "10.06|1060|20.00@%lld", (long long)FIRST);
	regulator_book(&rig->regulator, "OB-1", FIRST, payload);
	struct hd_slot slot = one_slot(rig, work, NULL, FIRST + 3 * DAY_MS);
	cr_assert_eq(slot.state, HD_SLOT_FILED);
	cr_assert_str_eq(slot.receipt, "R1");
	cr_assert_eq(slot.marks, HD_SLOT_FOREIGN | HD_SLOT_CHECKED);
	cr_assert_eq(regulator_count(&rig->regulator, false), 2); /* the booked one and ours */
	rig_free(rig);
}

Test(engine, a_duplicate_with_other_values_differs_and_is_told)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1");
	regulator_book(&rig->regulator, "OB-1", FIRST, "1.00|2|3.00");
	struct hd_slot slot = one_slot(rig, work, NULL, FIRST + 3 * DAY_MS);
	cr_assert_eq(slot.state, HD_SLOT_FILED_DIFFERS);
	cr_assert_eq(rig_alarms(rig, "differs"), 1);
	cr_assert_eq(regulator_count(&rig->regulator, false), 2);
	rig_free(rig);
}

static enum reply refuse_first_two(struct regulator *r, const struct seen *s)
{
	(void)r;
	return s->is_check ? REPLY_CHECK : s->at_ms < FIRST + 2 * DAY_MS - HOUR_MS ? REPLY_ERROR : REPLY_ACCEPT;
}

Test(engine, what_is_refused_goes_again_once_on_each_next_local_day)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1");
	struct hd_slot slot = one_slot(rig, work, refuse_first_two, FIRST + 4 * DAY_MS);
	cr_assert_eq(slot.state, HD_SLOT_FILED);
	cr_assert_eq(slot.attempts, 3);
	cr_assert_eq(regulator_count(&rig->regulator, false), 3);
	for (uint32_t i = 0; i < 3; i++)
		cr_assert_eq(hd_calendar_day(-14400, regulator_get(&rig->regulator, false, i).at_ms), hd_calendar_day(-14400, FIRST) + i);
	cr_assert(slot.marks & HD_SLOT_LATE);
	rig_free(rig);
}

static enum reply silent_booked_first(struct regulator *r, const struct seen *s)
{
	(void)r;
	return s->is_check ? REPLY_CHECK : s->at_ms < FIRST + HOUR_MS ? REPLY_SILENT_BOOKED : REPLY_ACCEPT;
}

Test(engine, no_answer_is_unknown_until_the_next_days_duplicate_gives_the_receipt)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1");
	struct hd_slot slot = one_slot(rig, work, silent_booked_first, FIRST + 2 * HOUR_MS);
	cr_assert_eq(slot.state, HD_SLOT_UNKNOWN);
	cr_assert_str_eq(slot.cause, "time-out");
	rig_run(rig, FIRST + 2 * DAY_MS);
	slot = rig_slot(rig, work, FIRST);
	cr_assert_eq(slot.state, HD_SLOT_FILED);
	cr_assert_str_eq(slot.receipt, "R1");
	cr_assert(slot.marks & HD_SLOT_FOREIGN && slot.marks & HD_SLOT_CHECKED);
	cr_assert_eq(regulator_count(&rig->regulator, false), 2);
	cr_assert_eq(regulator_twice(&rig->regulator), 0);
	rig_free(rig);
}

static enum reply cut_first(struct regulator *r, const struct seen *s)
{
	(void)r;
	return s->is_check ? REPLY_CHECK : s->at_ms < FIRST + HOUR_MS ? REPLY_CUT : REPLY_ACCEPT;
}

Test(engine, a_cut_connection_is_unknown_and_goes_again_on_the_next_day)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1");
	struct hd_slot slot = one_slot(rig, work, cut_first, FIRST + 2 * HOUR_MS);
	cr_assert_eq(slot.state, HD_SLOT_UNKNOWN);
	rig_run(rig, FIRST + 2 * DAY_MS);
	slot = rig_slot(rig, work, FIRST);
	cr_assert_eq(slot.state, HD_SLOT_FILED);
	cr_assert(!(slot.marks & HD_SLOT_FOREIGN));
	rig_free(rig);
}

static enum reply held_first(struct regulator *r, const struct seen *s)
{
	(void)r;
	return s->is_check ? REPLY_CHECK : s->at_ms < FIRST + 5 * HOUR_MS ? REPLY_HELD : REPLY_ACCEPT;
}

Test(engine, an_error_of_configuration_holds_the_work_until_a_person_releases_it)
{
	struct rig *rig = rig_new();
	struct hydro_error err = {0};
	uint32_t work = rig_work(rig, "OB-1"), other = rig_work(rig, "OB-2");
	rig_read_hours(rig, other, FIRST, FIRST + 6 * HOUR_MS);
	rig_read(rig, work, FIRST + HOUR_MS);
	rig->regulator.answer = held_first;
	rig_read(rig, work, FIRST);
	rig_open(rig);
	/* The other work is not held by it: the regulator holds by answer, so let only the first one be held. */
	rig_run(rig, FIRST + HOUR_MS - 1);
	cr_assert_eq(state_of(rig, work, FIRST), HD_SLOT_HELD);
	cr_assert_eq(rig_alarms(rig, "held"), 2);
	rig_run(rig, FIRST + 4 * HOUR_MS);
	cr_assert_eq(regulator_count_of(&rig->regulator, "OB-1"), 1);
	cr_assert_eq(state_of(rig, work, FIRST + HOUR_MS), HD_SLOT_QUEUED);
	rig_run(rig, FIRST + 6 * HOUR_MS);
	cr_assert_eq(hd_filing_release(rig->filing, work, "person", "corrected", &err), HYDRO_OK, "%s", err.text);
	rig_run(rig, FIRST + 8 * HOUR_MS);
	/* The slot that was never sent goes at once, the one that failed on the next day. */
	cr_assert_eq(state_of(rig, work, FIRST + HOUR_MS), HD_SLOT_FILED);
	cr_assert_eq(state_of(rig, work, FIRST), HD_SLOT_QUEUED);
	rig_run(rig, FIRST + 2 * DAY_MS);
	cr_assert_eq(state_of(rig, work, FIRST), HD_SLOT_FILED);
	cr_assert_eq(hd_calendar_day(-14400, rig_slot(rig, work, FIRST).last_attempt_ms), hd_calendar_day(-14400, FIRST) + 1);
	cr_assert_eq(rig_alarms(rig, "held"), 1);
	rig_free(rig);
}

static enum reply blocked(struct regulator *r, const struct seen *s)
{
	(void)r;
	return s->at_ms < FIRST + 3 * HOUR_MS ? REPLY_BLOCKED : s->is_check ? REPLY_CHECK : REPLY_ACCEPT;
}

Test(engine, signs_of_a_block_stop_the_centre_until_a_person_lets_it_go_on)
{
	struct rig *rig = rig_new();
	struct hydro_error err = {0};
	uint32_t work = rig_work(rig, "OB-1"), other = rig_work(rig, "OB-2");
	rig_read_hours(rig, other, FIRST, FIRST + 3 * HOUR_MS);
	struct hd_slot slot = one_slot(rig, work, blocked, FIRST + 5 * HOUR_MS);
	cr_assert_eq(regulator_count(&rig->regulator, false) + regulator_count(&rig->regulator, true), 1);
	cr_assert_eq(rig_alarms(rig, "blocked"), 1);
	cr_assert_eq(hd_filing_centre_state(rig->filing, rig->centre, true, "person", "ticket 1", &err), HYDRO_OK, "%s", err.text);
	rig_run(rig, FIRST + 2 * DAY_MS);
	slot = rig_slot(rig, work, FIRST);
	cr_assert_eq(slot.state, HD_SLOT_FILED);
	cr_assert_eq(state_of(rig, other, FIRST + 2 * HOUR_MS), HD_SLOT_FILED);
	cr_assert_eq(rig_alarms(rig, "blocked"), 0);
	rig_free(rig);
}

static enum reply cut_all(struct regulator *r, const struct seen *s)
{
	(void)r;
	return s->is_check ? REPLY_CHECK : REPLY_CUT;
}

Test(engine, resets_for_many_works_in_a_row_count_as_a_block)
{
	struct rig *rig = rig_new();
	char code[16];
	rig->config.block_works = 3;
	rig->regulator.answer = cut_all;
	for (int i = 0; i < 6; i++) {
		(void)snprintf(code, sizeof code, "OB-%d", i + 1);
		rig_read(rig, rig_work(rig, code), FIRST);
	}
	rig_open(rig);
	rig_run(rig, FIRST + 2 * HOUR_MS);
	cr_assert_eq(regulator_count(&rig->regulator, false), 3);
	cr_assert_eq(rig_alarms(rig, "blocked"), 1);
	rig_free(rig);
}

static enum reply absent(struct regulator *r, const struct seen *s)
{
	(void)r;
	return s->is_check ? REPLY_CHECK_ABSENT : REPLY_ACCEPT;
}

Test(engine, a_receipt_that_the_regulator_does_not_know_is_told)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1");
	struct hd_slot slot = one_slot(rig, work, absent, FIRST + 2 * DAY_MS);
	cr_assert_eq(slot.state, HD_SLOT_FILED);
	cr_assert(!(slot.marks & HD_SLOT_CHECKED));
	cr_assert_eq(rig_alarms(rig, "not_stored"), 1);
	cr_assert_eq(regulator_count(&rig->regulator, false), 1);
	rig_free(rig);
}

/* ---- measurements ---- */

Test(engine, without_a_measurement_a_slot_is_missing_once_its_lag_is_over)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1");
	rig_read(rig, work, FIRST + HOUR_MS);
	rig_open(rig);
	rig_run(rig, FIRST + 7 * DAY_MS - MINUTE_MS);
	cr_assert_eq(state_of(rig, work, FIRST), HD_SLOT_DUE);
	rig_run(rig, FIRST + 7 * DAY_MS + MINUTE_MS);
	struct hd_slot slot = rig_slot(rig, work, FIRST);
	cr_assert_eq(slot.state, HD_SLOT_MISSING);
	cr_assert_str_eq(slot.cause, "no_reading");
	cr_assert_eq(regulator_count(&rig->regulator, false), 1);
	rig_free(rig);
}

Test(engine, what_is_backfilled_is_filed_late)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1");
	rig_open(rig);
	rig_run(rig, FIRST + 30 * HOUR_MS);
	uint32_t from = rig->reading_count;
	rig_read_hours(rig, work, FIRST, FIRST + 30 * HOUR_MS);
	rig_tell(rig, from);
	rig_run(rig, FIRST + 36 * HOUR_MS);
	cr_assert_eq(regulator_count(&rig->regulator, false), 30);
	for (uint32_t i = 0; i + 1 < 30; i++)
		cr_assert_geq(regulator_get(&rig->regulator, false, i + 1).at_ms - regulator_get(&rig->regulator, false, i).at_ms, 5 * MINUTE_MS);
	cr_assert(rig_slot(rig, work, FIRST).marks & HD_SLOT_LATE);
	rig_free(rig);
}

Test(engine, a_reading_of_bad_quality_or_clock_is_never_filed_and_an_odd_one_is_flagged)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1");
	rig_read_with(rig, (struct reading){.point = work, .ts_ms = FIRST - 10 * MINUTE_MS, .flow = 999, .total = 5, .level = 1, .quality = 0.5f, .bits = HD_SAMPLE_FILE, .flagged = true});
	rig_read_with(rig, (struct reading){.point = work, .ts_ms = FIRST - 5 * MINUTE_MS, .flow = 1, .total = 6, .level = 1, .quality = 0, .bits = HD_SAMPLE_FILE});
	rig_read_with(rig, (struct reading){.point = work, .ts_ms = FIRST - 4 * MINUTE_MS, .flow = 1, .total = 7, .level = 1, .quality = 1, .bits = HD_SAMPLE_FILE | HD_SAMPLE_CLOCK});
	rig_read_with(rig, (struct reading){.point = work, .ts_ms = FIRST - 3 * MINUTE_MS, .flow = 1, .total = 8, .level = 1, .quality = 1});
	rig_read_with(rig, (struct reading){.point = work, .ts_ms = FIRST - 2 * MINUTE_MS, .flow = 1, .total = NAN, .level = 1, .quality = 1, .bits = HD_SAMPLE_FILE});
	rig_open(rig);
	rig_run(rig, FIRST + HOUR_MS - 1);
	struct hd_slot slot = rig_slot(rig, work, FIRST);
	cr_assert_eq(slot.state, HD_SLOT_FILED);
	cr_assert(slot.marks & HD_SLOT_FLAGGED);
	cr_assert_float_eq(slot.values[HYDRO_FIELD_FLOW], 999, 0);
	cr_assert_eq(slot.measured_ms, FIRST - 10 * MINUTE_MS);
	/* Within the hour of its measurement. */
	cr_assert_leq(regulator_get(&rig->regulator, false, 0).at_ms, FIRST + 50 * MINUTE_MS);
	rig_free(rig);
}

Test(engine, a_daily_mean_takes_the_period_and_its_last_total)
{
	struct rig *rig = rig_new();
	struct hd_work work = rig_work_default(rig, "OB-1");
	work.standard = "medio";
	work.pick = HD_PICK_MEAN;
	rig_work_with(rig, &work);
	int64_t due = RIG_START + DAY_MS;
	for (int h = 1; h <= 24; h++)
		rig_read_with(rig, (struct reading){.point = work.number, .ts_ms = RIG_START + h * HOUR_MS, .flow = h, .total = 100 * h, .level = 2, .quality = 1, .bits = HD_SAMPLE_FILE});
	rig_open(rig);
	rig_run(rig, due + HOUR_MS);
	struct hd_slot slot = rig_slot(rig, work.number, due);
	cr_assert_eq(slot.state, HD_SLOT_FILED);
	cr_assert_float_eq(slot.values[HYDRO_FIELD_FLOW], 12.5, 1e-9);
	cr_assert_float_eq(slot.values[HYDRO_FIELD_TOTAL], 2400, 1e-9);
	rig_free(rig);
}

Test(engine, a_format_that_cannot_be_is_held_and_measured_anew_after_its_release)
{
	struct rig *rig = rig_new();
	struct hydro_error err = {0};
	uint32_t work = rig_work(rig, "OB-1");
	rig_read_with(rig, (struct reading){.point = work, .ts_ms = FIRST, .flow = 1, .total = 1e16, .level = 1, .quality = 1, .bits = HD_SAMPLE_FILE});
	rig_open(rig);
	rig_run(rig, FIRST + HOUR_MS);
	struct hd_slot slot = rig_slot(rig, work, FIRST);
	cr_assert_eq(slot.state, HD_SLOT_HELD);
	cr_assert(strstr(slot.cause, "too long"));
	rig->readings[0].total = 1234;
	cr_assert_eq(hd_filing_release(rig->filing, work, "person", "corrected", &err), HYDRO_OK, "%s", err.text);
	rig_run(rig, FIRST + 3 * HOUR_MS);
	slot = rig_slot(rig, work, FIRST);
	cr_assert_eq(slot.state, HD_SLOT_FILED);
	cr_assert_float_eq(slot.values[HYDRO_FIELD_TOTAL], 1234, 0);
	rig_free(rig);
}
