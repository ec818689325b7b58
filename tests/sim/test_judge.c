/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/timefmt.h"
#include "faults.h"
#include "filing_row.h"
#include "judge.h"
#include "options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)
#define MINUTE INT64_C(60000)
#define T0 INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define CENTRE "76086428-5"

static struct sim sim;

static void open_sim(void)
{
	char *argv[] = {(char[]){"hydro-sim"}, (char[]){"--points=20"}, (char[]){"--dga-tolerance=0"}, (char[]){"--period=5m"}};
	struct sim_config config;
	struct hydro_error err = {0};
	cr_assert_eq(sim_options_read(4, argv, &config, &err), SIM_OPTIONS_RUN);
	cr_assert_eq(sim_init(&sim, &config, &err), HYDRO_OK, "%s", err.text);
}

static void close_sim(void)
{
	sim_done(&sim);
}

/* What the point's last reading before `measured_ms` would be filed as, for a slot. */
static struct sim_filing filing_of(uint32_t index, int64_t slot_ms, int64_t measured_ms)
{
	struct sim_point p;
	int64_t values[SIM_METRICS];
	char local[HD_TIME_TEXT];
	struct sim_filing f = {.kind = SIM_GROUNDWATER};
	sim_point_at(&sim, index, &p);
	sim_point_read(&sim, &p, sim_slot_at(&p, measured_ms), values);
	sim_work_code(index, f.work);
	hd_time_format(slot_ms - 4 * HOUR, local);
	(void)snprintf(f.date, sizeof f.date, "%.10s", local);
	(void)snprintf(f.hour, sizeof f.hour, "%.8s", local + 11);
	(void)snprintf(f.flow, sizeof f.flow, "%.2f", (double)values[SIM_FLOW] / 100.0);
	(void)snprintf(f.total, sizeof f.total, "%.0f", floor((double)(values[SIM_PULSES] * p.litres_per_pulse) / 1000.0 + p.offset_m3));
	(void)snprintf(f.level, sizeof f.level, "%.2f", p.sensor_depth_m - (double)values[SIM_LEVEL] / 1000.0);
	(void)snprintf(f.user, sizeof f.user, "12531909-2");
	(void)snprintf(f.company, sizeof f.company, CENTRE);
	(void)snprintf(f.origin, sizeof f.origin, "%.19s-0000", local);
	return f;
}

/* As dga.c does with a POST: seen, taken or not, answered or not. */
static enum sim_ledger_outcome post(const struct sim_filing *f, int64_t now_ms, bool taken, bool delivered)
{
	char receipt[SIM_RECEIPT_TEXT];
	sim_judge_post(sim.judge, f, now_ms);
	enum sim_ledger_outcome outcome = taken ? sim_ledger_file(sim.ledger, f, now_ms, SIM_FILE_STORED, receipt) : SIM_REFUSED;
	sim_judge_outcome(sim.judge, f, outcome, taken && delivered, now_ms);
	return outcome;
}

static void file(uint32_t index, int64_t slot_ms, int64_t now_ms)
{
	struct sim_filing f = filing_of(index, slot_ms, slot_ms);
	cr_assert_eq(post(&f, now_ms, true, true), SIM_FILED);
}

/* Exactly one violation of this rule, none of any other. */
static void expect_only(uint32_t rule)
{
	for (uint32_t r = 0; r < SIM_RULE_COUNT; r++)
		cr_assert_eq(sim_judge_count(sim.judge, r), r == rule ? 1u : 0u, "rule %u: %llu", r, (unsigned long long)sim_judge_count(sim.judge, r));
}

Test(judge, finds_nothing_in_what_keeps_all_rules)
{
	open_sim();
	struct sim_filing f = filing_of(2, T0, T0);
	for (int64_t h = 0; h < 3; h++)
		for (uint32_t i = 0; i < 2; i++)
			file(i, T0 + h * HOUR, T0 + h * HOUR + (10 + i) * MINUTE);
	/* A failure, sent again after midnight in UTC-4, then a time-out after acceptance whose duplicate comes a day later. */
	post(&f, T0 + 4 * HOUR - MINUTE, false, false);
	post(&f, T0 + 4 * HOUR + 4 * MINUTE, true, false);
	cr_assert_eq(post(&f, T0 + 28 * HOUR, true, true), SIM_DUPLICATE);
	expect_only(SIM_RULE_COUNT);
	cr_assert_eq(sim_judge_count(sim.judge, SIM_RULE_TAKEN), 7u);
	cr_assert_eq(sim_judge_count(sim.judge, SIM_RULE_LATE), 1u);
	close_sim();
}

Test(judge, counts_two_filings_of_one_hour)
{
	open_sim();
	struct sim_filing f = filing_of(0, T0 + 20 * MINUTE, T0);
	file(0, T0, T0 + 30 * MINUTE);
	post(&f, T0 + 40 * MINUTE, true, true);
	cr_assert_eq(sim_judge_count(sim.judge, SIM_RULE_ACCEPTED_TWICE), 1u);
	cr_assert_eq(sim_judge_count(sim.judge, SIM_RULE_WRONG_HOUR), 1u);
	close_sim();
}

Test(judge, counts_an_hour_that_is_not_round)
{
	open_sim();
	struct sim_filing f = filing_of(0, T0 + 5 * MINUTE, T0 + 5 * MINUTE);
	post(&f, T0 + 10 * MINUTE, true, true);
	expect_only(SIM_RULE_WRONG_HOUR);
	close_sim();
}

Test(judge, counts_an_hour_that_is_not_over)
{
	open_sim();
	struct sim_filing f = filing_of(0, T0 + HOUR, T0 + 55 * MINUTE);
	post(&f, T0 + 58 * MINUTE, true, true);
	expect_only(SIM_RULE_WRONG_HOUR);
	close_sim();
}

Test(judge, counts_the_local_hour_of_summer)
{
	open_sim();
	struct sim_filing f = filing_of(0, T0 + HOUR, T0); /* what was read at T0, labelled by UTC-3 */
	post(&f, T0 + 65 * MINUTE, true, true);
	expect_only(SIM_RULE_WRONG_HOUR);
	close_sim();
}

Test(judge, counts_values_that_were_never_read)
{
	open_sim();
	struct sim_filing f = filing_of(0, T0, T0);
	(void)snprintf(f.flow, sizeof f.flow, "777.77");
	post(&f, T0 + 10 * MINUTE, true, true);
	expect_only(SIM_RULE_WRONG_VALUE);
	close_sim();
}

Test(judge, counts_an_empty_level_as_a_value_that_was_never_read)
{
	open_sim();
	struct sim_filing f = filing_of(0, T0, T0);
	f.level[0] = '\0';
	post(&f, T0 + 10 * MINUTE, true, true);
	expect_only(SIM_RULE_WRONG_VALUE);
	close_sim();
}

Test(judge, counts_two_posts_of_a_work_within_five_minutes)
{
	open_sim();
	file(1, T0, T0 + 62 * MINUTE);
	file(0, T0, T0 + 65 * MINUTE);
	file(1, T0 + HOUR, T0 + 67 * MINUTE);
	expect_only(SIM_RULE_COUNT);
	file(0, T0 + HOUR, T0 + 70 * MINUTE - 1);
	expect_only(SIM_RULE_SPACING);
	close_sim();
}

Test(judge, counts_a_failed_slot_sent_again_on_the_same_day)
{
	open_sim();
	struct sim_filing f = filing_of(0, T0 + 4 * HOUR, T0 + 4 * HOUR);
	post(&f, T0 + 5 * HOUR, false, false);
	post(&f, T0 + 27 * HOUR, false, false);
	expect_only(SIM_RULE_SAME_DAY);
	post(&f, T0 + 28 * HOUR, true, true);
	expect_only(SIM_RULE_SAME_DAY);
	close_sim();
}

Test(judge, counts_a_slot_sent_again_after_it_was_taken)
{
	open_sim();
	struct sim_filing f = filing_of(0, T0, T0);
	post(&f, T0 + 10 * MINUTE, true, true);
	post(&f, T0 + DAY, true, true);
	expect_only(SIM_RULE_AFTER_ACCEPTANCE);
	/* The duplicate's answer was the second that told so. */
	post(&f, T0 + 2 * DAY, true, true);
	cr_assert_eq(sim_judge_count(sim.judge, SIM_RULE_AFTER_ACCEPTANCE), 2u);
	close_sim();
}

Test(judge, lets_a_slot_go_again_whose_answer_died_with_its_process)
{
	open_sim();
	struct sim_filing f = filing_of(0, T0, T0);
	post(&f, T0 + 10 * MINUTE, true, true);
	sim_judge_death(sim.judge, T0 + 10 * MINUTE + 100);
	post(&f, T0 + DAY, true, true);
	expect_only(SIM_RULE_COUNT);
	cr_assert_eq(sim_judge_count(sim.judge, SIM_RULE_AFTER_DEATH), 1u);
	post(&f, T0 + 2 * DAY, true, true);
	expect_only(SIM_RULE_AFTER_ACCEPTANCE);
	/* The first resend met a failure: the second is still demanded. */
	struct sim_filing other = filing_of(1, T0, T0);
	post(&other, T0 + 2 * DAY + 10 * MINUTE, true, true);
	sim_judge_death(sim.judge, T0 + 2 * DAY + 10 * MINUTE);
	post(&other, T0 + 3 * DAY, false, false);
	post(&other, T0 + 4 * DAY, true, true);
	expect_only(SIM_RULE_AFTER_ACCEPTANCE);
	cr_assert_eq(sim_judge_count(sim.judge, SIM_RULE_AFTER_DEATH), 3u);
	close_sim();
}

Test(judge, counts_calls_of_a_centre_above_its_rate)
{
	open_sim();
	char code[SIM_WORK_TEXT];
	sim_work_code(0, code);
	file(0, T0, T0 + 10 * MINUTE);
	sim_judge_get(sim.judge, code, T0 + 10 * MINUTE + 1000);
	file(1, T0, T0 + 10 * MINUTE + 2000);
	expect_only(SIM_RULE_COUNT);
	sim_judge_get(sim.judge, code, T0 + 10 * MINUTE + 2999);
	expect_only(SIM_RULE_RATE);
	close_sim();
}

Test(judge, tells_what_is_late_and_what_was_not_the_last_reading)
{
	open_sim();
	struct sim_filing old = filing_of(0, T0, T0 - 20 * MINUTE);
	post(&old, T0 + 10 * MINUTE, true, true);
	cr_assert_eq(sim_judge_count(sim.judge, SIM_RULE_NOT_NEAREST), 1u);
	file(1, T0, T0 + 65 * MINUTE);
	file(2, T0, T0 + 7 * DAY + HOUR);
	cr_assert_eq(sim_judge_count(sim.judge, SIM_RULE_LATE), 2u);
	cr_assert_eq(sim_judge_count(sim.judge, SIM_RULE_OVER_LAG), 1u);
	expect_only(SIM_RULE_COUNT);
	close_sim();
}

static uint64_t told(const struct hd_buf *text, const char *name)
{
	char form[48];
	unsigned long long value = 0;
	(void)snprintf(form, sizeof form, "\"%s\":", name);
	const char *at = strstr(text->data, form);
	cr_assert(at && sscanf(at + strlen(form), "%llu", &value) == 1, "%s", name);
	return value;
}

Test(judge, adds_up_what_is_due_missing_filed_and_not)
{
	open_sim();
	static const char missing[] = "{\"kind\":\"missing\",\"point\":1,\"from\":\"2026-01-01T02:00:00Z\",\"until\":\"2026-01-01T05:00:01Z\"}";
	static const char late[] = "{\"kind\":\"late\",\"point\":3,\"delay\":\"8d\"}";
	struct hd_buf out = {0};
	cr_assert_eq(sim_faults_add(sim.faults, missing, sizeof missing - 1, T0, NULL, NULL), HYDRO_OK);
	cr_assert_eq(sim_faults_add(sim.faults, late, sizeof late - 1, T0, NULL, NULL), HYDRO_OK);
	file(1, T0, T0 + 5 * MINUTE);
	for (int64_t h = 0; h < 10; h++)
		file(0, T0 + h * HOUR, T0 + h * HOUR + 10 * MINUTE);
	struct sim_verdict_query q = {.first = 0, .last = 3, .from_ms = T0, .to_ms = T0 + 10 * HOUR, .limit = 5};
	sim_judge_print(sim.judge, &q, T0 + 20 * DAY, &out);
	cr_assert_eq(told(&out, "due"), 40u);
	cr_assert_eq(told(&out, "truly_missing"), 3u + 10u, "%s", hd_buf_text(&out)); /* slots 3, 4, 5 of the one, all of the other */
	cr_assert_eq(told(&out, "filed"), 11u);
	cr_assert_eq(told(&out, "unfiled"), 40u - 13u - 11u);
	cr_assert_eq(told(&out, "invented"), 0u);
	cr_assert_eq(told(&out, "broken"), 0u);
	cr_assert(strstr(hd_buf_text(&out), "{\"work\":\"OB-0901-2\",\"slot\":\"2026-01-01T01:00:00Z\"}"), "%s", hd_buf_text(&out));
	hd_buf_done(&out);
	close_sim();
}

Test(judge, gives_a_work_a_receipt_of_its_own_that_tells_the_slot)
{
	open_sim();
	char receipt[SIM_RECEIPT_TEXT], other[SIM_RECEIPT_TEXT];
	sim_receipt_make("OB-0901-1", 1767225600, receipt);
	sim_receipt_make("OB-0901-2", 1767225600, other);
	cr_assert_str_neq(receipt, other);
	cr_assert_eq(strspn(receipt, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), 32u);
	cr_assert_eq(sim_receipt_slot("OB-0901-1", receipt), 1767225600u);
	cr_assert_eq(sim_receipt_slot("OB-0901-2", receipt), 0u);
	receipt[31] = receipt[31] == 'a' ? 'b' : 'a';
	cr_assert_eq(sim_receipt_slot("OB-0901-1", receipt), 0u);
	close_sim();
}

Test(judge, keeps_filings_as_they_came_also_the_odd_ones)
{
	open_sim();
	static const char *const flows[] = {"0.00", "-1.25", "12345678.90", "999999999999.99", "-0.00", "007.10"};
	struct sim_filing back;
	char receipt[SIM_RECEIPT_TEXT];
	for (size_t i = 0; i < HD_ARRAY_LEN(flows); i++) {
		struct sim_filing f = filing_of(5, T0 + (int64_t)i * HOUR, T0);
		(void)snprintf(f.flow, sizeof f.flow, "%s", flows[i]);
		(void)snprintf(f.total, sizeof f.total, i % 2 ? "999999999999999" : "012");
		cr_assert_eq(sim_ledger_file(sim.ledger, &f, T0 + 20 * HOUR, SIM_FILE_STORED, receipt), SIM_FILED);
		cr_assert(sim_ledger_find(sim.ledger, f.work, receipt, &back));
		cr_assert_str_eq(back.flow, f.flow);
		cr_assert_str_eq(back.total, f.total);
		cr_assert_str_eq(back.level, f.level);
		cr_assert_str_eq(back.date, f.date);
		cr_assert_str_eq(back.hour, f.hour);
		cr_assert_str_eq(back.origin, f.origin);
		cr_assert_str_eq(back.company, f.company);
	}
	close_sim();
}
