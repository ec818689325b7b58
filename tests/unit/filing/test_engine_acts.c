/* SPDX-License-Identifier: MIT */
/* The engine: modes, switches, holds, circuits, clocks, centres, several works. */
#include "rig.h"

#include "../check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST (RIG_START + HOUR_MS)

static uint32_t state_of(struct rig *rig, uint32_t work, int64_t due_ms)
{
	return rig_slot(rig, work, due_ms).state;
}

Test(acts, nothing_is_sent_before_the_switch_is_on)
{
	struct rig *rig = rig_new();
	struct hydro_error err = {0};
	uint32_t work = rig_work(rig, "OB-1");
	rig_read(rig, work, FIRST);
	rig_open(rig);
	cr_assert_eq(hd_filing_switch(rig->filing, false, "person", "test", &err), HYDRO_OK);
	rig_run(rig, FIRST + 2 * HOUR_MS);
	cr_assert_eq(state_of(rig, work, FIRST), HD_SLOT_QUEUED);
	cr_assert_eq(regulator_count(&rig->regulator, false), 0);
	cr_assert_eq(hd_filing_switch(rig->filing, true, "person", "test", &err), HYDRO_OK);
	rig_run(rig, FIRST + 3 * HOUR_MS);
	cr_assert_eq(state_of(rig, work, FIRST), HD_SLOT_FILED);
	rig_free(rig);
}

static void to_live(struct hd_work *work)
{
	work->mode = HD_MODE_LIVE;
}

Test(acts, a_work_in_shadow_is_prepared_and_never_sent)
{
	struct rig *rig = rig_new();
	struct hd_work work = rig_work_default(rig, "OB-1");
	struct hd_buf payload = {0};
	char adapter[64];
	struct hydro_error err = {0};
	work.mode = HD_MODE_SHADOW;
	rig_work_with(rig, &work);
	rig_read_hours(rig, work.number, FIRST, FIRST + 3 * HOUR_MS);
	rig_open(rig);
	rig_run(rig, FIRST + 90 * MINUTE_MS);
	cr_assert_eq(state_of(rig, work.number, FIRST), HD_SLOT_SHADOW);
	cr_assert_eq(hd_ledger_payload(rig->ledger, work.number, FIRST, &payload, adapter, &err), HYDRO_OK);
	cr_assert_eq(strncmp(hd_buf_text(&payload), "10.06|1060|20.00@", 17), 0);
	cr_assert_eq(regulator_count(&rig->regulator, false), 0);
	/* From then on it files; what was shadow stays so. */
	rig_work_change(rig, work.number, to_live);
	rig_run(rig, FIRST + 4 * HOUR_MS);
	cr_assert_eq(state_of(rig, work.number, FIRST), HD_SLOT_SHADOW);
	cr_assert_eq(state_of(rig, work.number, FIRST + 2 * HOUR_MS), HD_SLOT_FILED);
	hd_buf_done(&payload);
	rig_free(rig);
}

Test(acts, a_work_by_sheet_waits_for_the_person_who_files_it)
{
	struct rig *rig = rig_new();
	struct hydro_error err = {0};
	struct hd_work work = rig_work_default(rig, "OB-1");
	work.by_sheet = true;
	rig_work_with(rig, &work);
	rig_read_hours(rig, work.number, FIRST, FIRST + 2 * HOUR_MS);
	rig_open(rig);
	rig_run(rig, FIRST + 3 * HOUR_MS);
	cr_assert_eq(state_of(rig, work.number, FIRST), HD_SLOT_QUEUED);
	cr_assert_eq(regulator_count(&rig->regulator, false), 0);
	cr_assert_eq(hd_filing_by_hand(rig->filing, work.number, FIRST, "SHEET-1", "person", "sheet of January", &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(state_of(rig, work.number, FIRST), HD_SLOT_BY_HAND);
	cr_assert_str_eq(rig_slot(rig, work.number, FIRST).receipt, "SHEET-1");
	cr_assert_eq(hd_filing_by_hand(rig->filing, work.number, FIRST, "SHEET-1", "person", "again", &err), HYDRO_E_CONFLICT);
	cr_assert_eq(hd_filing_by_hand(rig->filing, work.number, FIRST + MINUTE_MS, "SHEET-1", "person", "no slot", &err), HYDRO_E_INVALID);
	rig_free(rig);
}

Test(acts, what_is_filed_by_hand_is_not_sent_any_more)
{
	struct rig *rig = rig_new();
	struct hydro_error err = {0};
	uint32_t work = rig_work(rig, "OB-1");
	rig_open(rig);
	rig_run(rig, FIRST + 10 * MINUTE_MS);
	cr_assert_eq(hd_filing_by_hand(rig->filing, work, FIRST, "FORM-1", "person", "form", &err), HYDRO_OK, "%s", err.text);
	rig_read(rig, work, FIRST);
	rig_tell(rig, 0);
	rig_run(rig, FIRST + DAY_MS);
	cr_assert_eq(state_of(rig, work, FIRST), HD_SLOT_BY_HAND);
	cr_assert_eq(regulator_count(&rig->regulator, false), 0);
	rig_free(rig);
}

static void no_registration(struct hd_centre *centre)
{
	centre->registered_ms = 0;
}

static void registration(struct hd_centre *centre)
{
	centre->registered_ms = RIG_START;
}

Test(acts, a_centre_without_registration_sends_nothing_and_is_told)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1");
	rig_centre_change(rig, no_registration);
	rig_read(rig, work, FIRST);
	rig_open(rig);
	rig_run(rig, FIRST + 2 * HOUR_MS);
	cr_assert_eq(state_of(rig, work, FIRST), HD_SLOT_QUEUED);
	cr_assert_eq(rig_alarms(rig, "not_ready"), 1);
	struct hd_slot_outlook outlook;
	struct hydro_error err = {0};
	cr_assert_eq(hd_filing_outlook(rig->filing, work, FIRST, &outlook, &err), HYDRO_OK);
	cr_assert(strstr(outlook.why_en, "registration"));
	rig_centre_change(rig, registration);
	rig_run(rig, FIRST + 3 * HOUR_MS);
	cr_assert_eq(state_of(rig, work, FIRST), HD_SLOT_FILED);
	cr_assert_eq(rig_alarms(rig, "not_ready"), 0);
	rig_free(rig);
}

static enum reply down_until_noon(struct regulator *r, const struct seen *s)
{
	(void)r;
	return s->at_ms < RIG_START + 12 * HOUR_MS ? REPLY_ERROR : s->is_check ? REPLY_CHECK : REPLY_ACCEPT;
}

Test(acts, an_outage_opens_the_circuit_which_only_slots_never_sent_probe)
{
	struct rig *rig = rig_new();
	uint32_t works[20];
	char code[16];
	for (uint32_t i = 0; i < 20; i++) {
		(void)snprintf(code, sizeof code, "OB-%u", i + 1);
		works[i] = rig_work(rig, code);
		rig_read_hours(rig, works[i], FIRST, RIG_START + 30 * HOUR_MS);
	}
	rig->regulator.answer = down_until_noon;
	rig_open(rig);
	rig_run(rig, RIG_START + 11 * HOUR_MS);
	/* Five that failed, then one probe each five minutes. */
	uint32_t sent = regulator_count(&rig->regulator, false);
	cr_assert(sent > 60 && sent <= 5 + 12 * 10, "%u", sent);
	for (uint32_t i = 0; i < sent; i++)
		for (uint32_t k = 0; k < i; k++) {
			struct seen a = regulator_get(&rig->regulator, false, i), b = regulator_get(&rig->regulator, false, k);
			cr_assert(a.due_ms != b.due_ms || strcmp(a.code, b.code) != 0);
		}
	cr_assert_eq(rig_alarms(rig, "no_answer"), 1);
	cr_assert_eq(rig_alarms(rig, "hour_at_risk"), 1);
	rig_run(rig, RIG_START + 52 * HOUR_MS);
	for (uint32_t i = 0; i < 20; i++)
		for (int64_t due = FIRST; due < RIG_START + 29 * HOUR_MS; due += HOUR_MS)
			cr_assert_eq(state_of(rig, works[i], due), HD_SLOT_FILED);
	cr_assert_eq(rig_alarms(rig, "no_answer"), 0);
	cr_assert_eq(rig_alarms(rig, "hour_at_risk"), 0);
	cr_assert_eq(regulator_twice(&rig->regulator), 0);
	rig_free(rig);
}

static enum reply first_work_is_refused(struct regulator *r, const struct seen *s)
{
	(void)r;
	return s->is_check ? REPLY_CHECK : strcmp(s->code, "OB-1") == 0 ? REPLY_REFUSE : REPLY_ACCEPT;
}

Test(acts, a_work_that_fails_delays_no_other)
{
	struct rig *rig = rig_new();
	uint32_t bad = rig_work(rig, "OB-1"), good = rig_work(rig, "OB-2");
	rig_read_hours(rig, bad, FIRST, FIRST + 48 * HOUR_MS);
	rig_read_hours(rig, good, FIRST, FIRST + 48 * HOUR_MS);
	rig->regulator.answer = first_work_is_refused;
	rig_open(rig);
	rig_run(rig, FIRST + 48 * HOUR_MS);
	for (int64_t due = FIRST; due < FIRST + 47 * HOUR_MS; due += HOUR_MS) {
		struct hd_slot slot = rig_slot(rig, good, due);
		cr_assert_eq(slot.state, HD_SLOT_FILED);
		cr_assert(!(slot.marks & HD_SLOT_LATE));
		cr_assert_leq(slot.filed_ms, slot.measured_ms + HOUR_MS);
	}
	/* And of the failing one each POST keeps its spacing, each slot its one try a day. */
	int64_t last = 0;
	for (uint32_t i = 0; i < regulator_count(&rig->regulator, false); i++) {
		struct seen s = regulator_get(&rig->regulator, false, i);
		if (strcmp(s.code, "OB-1") != 0)
			continue;
		cr_assert_geq(s.at_ms - last, 5 * MINUTE_MS);
		last = s.at_ms;
		for (uint32_t k = 0; k < i; k++) {
			struct seen b = regulator_get(&rig->regulator, false, k);
			if (strcmp(b.code, "OB-1") == 0 && b.due_ms == s.due_ms)
				cr_assert_lt(hd_calendar_day(-14400, b.at_ms), hd_calendar_day(-14400, s.at_ms));
		}
	}
	rig_free(rig);
}

static void per_centre(struct hd_centre *centre)
{
	centre->backlog_scope = HD_BACKLOG_PER_CENTRE;
}

Test(acts, backlog_may_be_spaced_over_the_whole_centre)
{
	struct rig *rig = rig_new();
	uint32_t a = rig_work(rig, "OB-1"), b = rig_work(rig, "OB-2");
	rig_centre_change(rig, per_centre);
	rig_open(rig);
	rig_run(rig, FIRST + 10 * HOUR_MS);
	rig_read_hours(rig, a, FIRST, FIRST + 9 * HOUR_MS);
	rig_read_hours(rig, b, FIRST, FIRST + 9 * HOUR_MS);
	rig_tell(rig, 0);
	rig_run(rig, FIRST + 12 * HOUR_MS);
	cr_assert_eq(regulator_count(&rig->regulator, false), 18);
	for (uint32_t i = 0; i + 1 < 18; i++)
		cr_assert_geq(regulator_get(&rig->regulator, false, i + 1).at_ms - regulator_get(&rig->regulator, false, i).at_ms, 5 * MINUTE_MS);
	rig_free(rig);
}

Test(acts, a_clock_that_is_not_synchronised_or_was_set_stops_filing)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1");
	int64_t next;
	rig_read_hours(rig, work, FIRST, FIRST + 5 * HOUR_MS);
	rig->clock_bad = true;
	rig_open(rig);
	rig_run(rig, FIRST + 2 * HOUR_MS);
	cr_assert_eq(regulator_count(&rig->regulator, false), 0);
	cr_assert_eq(rig_alarms(rig, "clock"), 1);
	rig->clock_bad = false;
	rig_run(rig, FIRST + 4 * HOUR_MS);
	cr_assert_gt(regulator_count(&rig->regulator, false), 0);
	cr_assert_eq(rig_alarms(rig, "clock"), 0);
	/* Set by ten minutes: it stands until it is set back. */
	uint32_t before = regulator_count(&rig->regulator, false);
	hd_clock_step_wall(10 * MINUTE_MS);
	for (int i = 0; i < 50; i++) {
		hd_filing_step(rig->filing, &next);
		hd_clock_advance(hd_clock_wall_ms() - 10 * MINUTE_MS + MINUTE_MS);
	}
	cr_assert_eq(regulator_count(&rig->regulator, false), before);
	cr_assert_eq(rig_alarms(rig, "clock"), 1);
	hd_clock_step_wall(-10 * MINUTE_MS);
	rig_run(rig, FIRST + 6 * HOUR_MS);
	cr_assert_eq(rig_alarms(rig, "clock"), 0);
	cr_assert_gt(regulator_count(&rig->regulator, false), before);
	rig_free(rig);
}

Test(acts, a_restart_goes_on_where_it_was)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1"), silent = rig_work(rig, "OB-2");
	rig_read_hours(rig, work, FIRST, FIRST + 30 * HOUR_MS);
	rig_open(rig);
	for (int64_t at = FIRST; at < FIRST + 30 * HOUR_MS; at += 37 * MINUTE_MS) {
		rig_run(rig, at);
		rig_restart(rig);
	}
	rig_run(rig, FIRST + 32 * HOUR_MS);
	for (int64_t due = FIRST; due < FIRST + 30 * HOUR_MS; due += HOUR_MS) {
		cr_assert_eq(state_of(rig, work, due), HD_SLOT_FILED);
		cr_assert_eq(state_of(rig, silent, due), HD_SLOT_DUE);
	}
	cr_assert_eq(regulator_count(&rig->regulator, false), 30);
	struct hd_day_proof proof;
	struct hydro_error err = {0};
	cr_assert_eq(hd_filing_day_proof(rig->filing, work, hd_calendar_day(-14400, FIRST), &proof, &err), HYDRO_OK);
	cr_assert(proof.adds_up);
	cr_assert_eq(proof.due, 23);
	cr_assert_eq(proof.filed, 23);
	rig_free(rig);
}

Test(acts, after_a_standstill_a_slot_waits_for_what_is_fetched_if_its_deadline_is_past_anyway)
{
	struct rig *rig = rig_new();
	uint32_t fetched = rig_work(rig, "OB-1"), dead = rig_work(rig, "OB-2");
	int64_t before = FIRST - 10 * MINUTE_MS, again = FIRST + 4 * HOUR_MS;
	rig_read(rig, fetched, before);
	rig_read(rig, dead, before);
	rig_open(rig);
	rig_run(rig, FIRST - 5 * MINUTE_MS);
	hd_clock_advance(again);
	rig_restart(rig);
	rig_run(rig, again + 2 * MINUTE_MS);
	cr_assert_eq(state_of(rig, fetched, FIRST), HD_SLOT_DUE, "the reading of ten to is there, that of the hour is on its way");
	uint32_t from = rig->reading_count;
	rig_read(rig, fetched, FIRST);
	rig_tell(rig, from);
	rig_run(rig, again + 20 * MINUTE_MS);
	cr_assert_eq(rig_slot(rig, fetched, FIRST).measured_ms, FIRST);
	cr_assert_eq(rig_slot(rig, dead, FIRST).measured_ms, before);
	cr_assert_eq(state_of(rig, fetched, FIRST), HD_SLOT_FILED);
	cr_assert_eq(state_of(rig, dead, FIRST), HD_SLOT_FILED);
	rig_free(rig);
}

Test(acts, a_ledger_from_a_backup_holds_all_until_a_person_lets_it_go_on)
{
	struct rig *rig = rig_new();
	struct hydro_error err = {0};
	char command[256];
	uint32_t work = rig_work(rig, "OB-1");
	rig_read_hours(rig, work, FIRST, FIRST + 60 * HOUR_MS);
	rig_open(rig);
	rig_run(rig, FIRST + 2 * HOUR_MS - 1);
	rig_close(rig);
	(void)snprintf(command, sizeof command, "cp %s/filing.db %s/backup.db", rig->dir, rig->dir);
	cr_assert_eq(system(command), 0);
	rig_open_ledger(rig);
	rig_open(rig);
	rig_run(rig, FIRST + 6 * HOUR_MS - 1);
	rig_close(rig);
	uint32_t sent = regulator_count(&rig->regulator, false);
	cr_assert_eq(sent, 6);
	(void)snprintf(command, sizeof command, "rm -f %s/filing.db* && cp %s/backup.db %s/filing.db", rig->dir, rig->dir, rig->dir);
	cr_assert_eq(system(command), 0);
	rig_open_ledger(rig);
	cr_assert(rig->restored);
	rig_open(rig);
	rig_run(rig, FIRST + 8 * HOUR_MS);
	cr_assert_eq(regulator_count(&rig->regulator, false), sent);
	cr_assert_eq(rig_alarms(rig, "restored"), 1);
	/* Filed by the ledger that was lost: unknown here. */
	cr_assert_eq(state_of(rig, work, FIRST + 3 * HOUR_MS), HD_SLOT_UNKNOWN);
	cr_assert_eq(hd_filing_leave_hold(rig->filing, "person", "looked at", &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(hd_filing_leave_hold(rig->filing, "person", "twice", &err), HYDRO_E_CONFLICT);
	rig_run(rig, FIRST + 12 * HOUR_MS);
	/* Not on the same day. */
	for (uint32_t i = sent; i < regulator_count(&rig->regulator, false); i++)
		cr_assert_geq(regulator_get(&rig->regulator, false, i).due_ms, FIRST + 5 * HOUR_MS);
	rig_run(rig, FIRST + 50 * HOUR_MS);
	for (int64_t due = FIRST; due < FIRST + 48 * HOUR_MS; due += HOUR_MS)
		cr_assert_eq(state_of(rig, work, due), HD_SLOT_FILED);
	cr_assert(rig_slot(rig, work, FIRST + 3 * HOUR_MS).marks & HD_SLOT_FOREIGN);
	rig_free(rig);
}

Test(acts, a_centre_without_backlog_has_nothing_to_drain)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1");
	struct hd_drain_forecast forecast;
	struct hydro_error err = {0};
	rig_read_hours(rig, work, FIRST, FIRST + 3 * HOUR_MS);
	rig_open(rig);
	rig_run(rig, FIRST + 3 * HOUR_MS);
	cr_assert_eq(hd_filing_forecast(rig->filing, rig->centre, &forecast, &err), HYDRO_OK);
	cr_assert_eq(forecast.backlog, 0);
	cr_assert_float_eq(forecast.fresh_per_hour, 1, 1e-9);
	rig_free(rig);
}

static void one_call_in_six_hours(struct hd_centre *centre)
{
	centre->calls_per_s = 1.0 / (6 * 3600);
}

Test(acts, a_rate_or_spacing_with_which_slots_would_be_late_is_refused_with_numbers_and_alarmed_once_set)
{
	struct rig *rig = rig_new();
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_drain_forecast forecast;
	char code[16];
	for (int i = 1; i <= 3; i++) {
		(void)snprintf(code, sizeof code, "OB-%d", i);
		struct hd_work work = rig_work_default(rig, code);
		work.lag_ms = 48 * HOUR_MS;
		rig_work_with(rig, &work);
		rig_read_hours(rig, work.number, FIRST, FIRST + 30 * HOUR_MS);
	}
	hd_clock_advance(FIRST + 24 * HOUR_MS);
	rig_open(rig);
	rig_run(rig, FIRST + 24 * HOUR_MS + 60000);
	cr_assert_eq(hd_filing_forecast(rig->filing, rig->centre, &forecast, &err), HYDRO_OK);
	cr_assert_gt(forecast.backlog, 30);
	cr_assert_eq(forecast.over_lag, 0);
	struct hd_centre good = {.number = rig->centre, .calls_per_s = 2, .check_share = 1}, slow = good, wide = good, scope = good, nobody = good;
	cr_assert_eq(hd_filing_centre_check(rig->filing, &good, &err), HYDRO_OK, "%s", err.text);

	slow.calls_per_s = .001;
	cr_assert_eq(hd_filing_centre_check(rig->filing, &slow, &err), HYDRO_E_CONFLICT);
	cr_assert_not_null(strstr(err.text, "3 fresh slots an hour, which with their checks are 6 calls; 0.001 a second are 4 calls an hour"), "%s", err.text);
	wide.spacing_ms = 50 * 60000;
	cr_assert_eq(hd_filing_centre_check(rig->filing, &wide, &err), HYDRO_E_CONFLICT);
	cr_assert_not_null(strstr(err.text, "the backlog would not drain within its lag"), "%s", err.text);
	scope.spacing_ms = 25 * 60000;
	cr_assert_eq(hd_filing_centre_check(rig->filing, &scope, &err), HYDRO_OK, "%s", err.text);
	scope.backlog_scope = HD_BACKLOG_PER_CENTRE;
	cr_assert_eq(hd_filing_centre_check(rig->filing, &scope, &err), HYDRO_E_CONFLICT);
	nobody.number = 77;
	nobody.calls_per_s = .001;
	cr_assert_eq(hd_filing_centre_check(rig->filing, &nobody, &err), HYDRO_OK, "no works, nothing to be late");

	cr_assert_eq(rig_alarms(rig, "backlog"), 0);
	rig_centre_change(rig, one_call_in_six_hours);
	rig_run(rig, FIRST + 24 * HOUR_MS + 3 * 60000);
	cr_assert_eq(rig_alarms(rig, "backlog"), 1, "at once, not at the next look");
	cr_assert_eq(hd_filing_centre_check(rig->filing, &slow, &err), HYDRO_OK, "better than it was: %s", err.text);
	rig_free(rig);
}
