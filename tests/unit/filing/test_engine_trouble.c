/* SPDX-License-Identifier: MIT */
/* The engine when something of ours is wrong: no connection, a full disk, a registry that changes under it. */
#include "rig.h"

#include "../check.h"
#include "net/client.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define FIRST (RIG_START + HOUR_MS)

static void no_regulator(struct rig *rig, bool unsent)
{
	rig->config.no_connection_is_unsent = unsent;
	rig_read(rig, 1, FIRST);
	regulator_stop(&rig->regulator);
	rig->own_regulator = false;
	rig_open(rig);
}

Test(trouble, no_connection_is_taken_as_no_answer_and_goes_again_on_the_next_day)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1");
	no_regulator(rig, false);
	rig_run(rig, FIRST + 3 * HOUR_MS);
	struct hd_slot slot = rig_slot(rig, work, FIRST);
	cr_assert_eq(slot.state, HD_SLOT_REFUSED);
	cr_assert_eq(slot.attempts, 1);
	cr_assert_str_eq(slot.cause, "not sent: connection refused");
	rig_run(rig, FIRST + DAY_MS);
	cr_assert_eq(rig_slot(rig, work, FIRST).attempts, 2);
	rig_free(rig);
}

Test(trouble, by_option_no_connection_is_never_sent_and_goes_again_after_the_spacing)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1");
	no_regulator(rig, true);
	rig_run(rig, FIRST + 3 * HOUR_MS);
	struct hd_slot slot = rig_slot(rig, work, FIRST);
	cr_assert_eq(slot.state, HD_SLOT_QUEUED);
	cr_assert_gt(slot.attempts, 3);
	rig_free(rig);
}

Test(trouble, a_disk_that_takes_no_more_stops_sending_until_it_does)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1");
	struct rlimit before, none;
	(void)signal(SIGXFSZ, SIG_IGN);
	rig_read_hours(rig, work, FIRST, FIRST + 6 * HOUR_MS);
	rig_open(rig);
	rig_run(rig, FIRST + HOUR_MS - 1);
	cr_assert_eq(regulator_count(&rig->regulator, false), 1);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = before;
	none.rlim_cur = 4096;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	int64_t next;
	for (int i = 0; i < 300; i++) {
		hd_filing_step(rig->filing, &next);
		hd_clock_advance(HD_MIN(HD_MAX(next, hd_clock_wall_ms() + 1), FIRST + 3 * HOUR_MS));
	}
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	cr_assert_eq(regulator_count(&rig->regulator, false), 1);
	rig_run(rig, FIRST + 7 * HOUR_MS);
	for (int64_t due = FIRST; due < FIRST + 6 * HOUR_MS; due += HOUR_MS)
		cr_assert_eq(rig_slot(rig, work, due).state, HD_SLOT_FILED, "%s", hd_slot_state_name(rig_slot(rig, work, due).state));
	cr_assert_eq(regulator_count(&rig->regulator, false), 6);
	cr_assert_eq(regulator_twice(&rig->regulator), 0);
	rig_free(rig);
}

/* ---- a registry that changes ---- */

static void goes_live(struct hd_work *work)
{
	work->mode = HD_MODE_LIVE;
	work->starts_ms = FIRST + 3 * HOUR_MS;
	work->ends_ms = FIRST + 6 * HOUR_MS;
}

static void goes_off(struct hd_work *work)
{
	work->mode = HD_MODE_OFF;
}

Test(trouble, a_work_files_from_its_start_to_its_end_and_not_while_it_is_off)
{
	struct rig *rig = rig_new();
	struct hd_work work = rig_work_default(rig, "OB-1");
	work.mode = HD_MODE_OFF;
	rig_work_with(rig, &work);
	uint32_t number = work.number;
	rig_read_hours(rig, number, FIRST, FIRST + 12 * HOUR_MS);
	rig_open(rig);
	rig_run(rig, FIRST + 2 * HOUR_MS);
	cr_assert_eq(regulator_count(&rig->regulator, false), 0);
	rig_work_change(rig, number, goes_live);
	rig_run(rig, FIRST + 4 * HOUR_MS - 1);
	cr_assert_eq(regulator_count(&rig->regulator, false), 1);
	rig_work_change(rig, number, goes_off);
	rig_run(rig, FIRST + 7 * HOUR_MS);
	cr_assert_eq(regulator_count(&rig->regulator, false), 1);
	/* On again: what was due meanwhile is due still; nothing before its start or after its end. */
	rig_work_change(rig, number, goes_live);
	rig_run(rig, FIRST + 12 * HOUR_MS);
	cr_assert_eq(regulator_count(&rig->regulator, false), 3);
	for (uint32_t i = 0; i < 3; i++) {
		struct seen seen = regulator_get(&rig->regulator, false, i);
		cr_assert(seen.due_ms >= FIRST + 3 * HOUR_MS && seen.due_ms < FIRST + 6 * HOUR_MS);
	}
	rig_free(rig);
}

static void half_checked(struct hd_centre *centre)
{
	centre->check_share = 0.5;
}

Test(trouble, a_share_of_the_filed_slots_is_checked_if_so_configured)
{
	struct rig *rig = rig_new();
	char code[16];
	for (uint32_t i = 0; i < 20; i++) {
		(void)snprintf(code, sizeof code, "OB-%u", i + 1);
		rig_read_hours(rig, rig_work(rig, code), FIRST, FIRST + 10 * HOUR_MS);
	}
	rig_centre_change(rig, half_checked);
	rig_open(rig);
	rig_run(rig, FIRST + 12 * HOUR_MS);
	cr_assert_eq(regulator_count(&rig->regulator, false), 200);
	uint32_t checks = regulator_count(&rig->regulator, true);
	cr_assert(checks > 70 && checks < 130, "%u", checks);
	rig_free(rig);
}

Test(trouble, calls_of_a_centre_keep_its_rate_and_every_slot_its_hour)
{
	struct rig *rig = rig_new();
	char code[16];
	for (uint32_t i = 0; i < 60; i++) {
		(void)snprintf(code, sizeof code, "OB-%u", i + 1);
		rig_read_hours(rig, rig_work(rig, code), FIRST, FIRST + 4 * HOUR_MS);
	}
	rig->config.send_from_ms = 2 * MINUTE_MS;
	rig->config.send_until_ms = 3 * MINUTE_MS;
	rig_open(rig);
	rig_run(rig, FIRST + 5 * HOUR_MS);
	int64_t last = 0;
	pthread_mutex_lock(&rig->regulator.lock);
	for (uint32_t i = 0; i < rig->regulator.seen_count; i++) {
		const struct seen *s = &rig->regulator.seen[i];
		cr_assert_geq(s->at_ms - last, 1000);
		cr_assert(s->is_check || s->at_ms <= s->due_ms + HOUR_MS);
		last = s->at_ms;
	}
	pthread_mutex_unlock(&rig->regulator.lock);
	cr_assert_eq(regulator_count(&rig->regulator, false), 240);
	cr_assert_eq(regulator_count(&rig->regulator, true), 240);
	rig_free(rig);
}

/* What was let off before the sleep arrives after it: the next call of the centre is an interval from then, not from when it was let off. */
Test(trouble, a_process_that_slept_over_its_calls_keeps_the_rate_when_it_wakes)
{
	struct rig *rig = rig_new();
	char code[16];
	int64_t next;
	for (uint32_t i = 0; i < 8; i++) {
		(void)snprintf(code, sizeof code, "OB-%u", i + 1);
		rig_read_hours(rig, rig_work(rig, code), FIRST, FIRST + HOUR_MS);
	}
	rig->config.send_from_ms = MINUTE_MS;
	rig->config.send_until_ms = 2 * MINUTE_MS;
	rig->config.lease_ms = 10 * MINUTE_MS;
	rig_open(rig);
	while (hd_net_in_flight(rig->net) == 0) {
		hd_filing_step(rig->filing, &next);
		if (hd_net_in_flight(rig->net) == 0)
			hd_clock_advance(next);
	}
	hd_clock_advance(hd_clock_wall_ms() + 9 * MINUTE_MS);
	hd_filing_step(rig->filing, &next);
	cr_assert_eq(hd_net_in_flight(rig->net), 1);
	rig_run(rig, FIRST + HOUR_MS);
	int64_t last = 0;
	pthread_mutex_lock(&rig->regulator.lock);
	cr_assert_geq(rig->regulator.seen_count, 8);
	for (uint32_t i = 0; i < rig->regulator.seen_count; i++) {
		cr_assert_geq(rig->regulator.seen[i].at_ms - last, 1000);
		last = rig->regulator.seen[i].at_ms;
	}
	pthread_mutex_unlock(&rig->regulator.lock);
	rig_free(rig);
}

Test(trouble, alarms_come_before_the_limits_and_go_when_all_is_filed)
{
	struct rig *rig = rig_new();
	struct hydro_error err = {0};
	uint32_t work = rig_work(rig, "OB-1");
	rig_read(rig, work, FIRST);
	rig_open(rig);
	cr_assert_eq(hd_filing_centre_state(rig->filing, rig->centre, false, "person", "test", &err), HYDRO_OK);
	rig_run(rig, FIRST + 44 * MINUTE_MS);
	cr_assert_eq(rig_alarms(rig, "hour_at_risk"), 0);
	rig_run(rig, FIRST + 47 * MINUTE_MS);
	cr_assert_eq(rig_alarms(rig, "hour_at_risk"), 1);
	rig_run(rig, FIRST + 6 * DAY_MS + 11 * HOUR_MS);
	cr_assert_eq(rig_alarms(rig, "lag_at_risk"), 0);
	rig_run(rig, FIRST + 6 * DAY_MS + 13 * HOUR_MS);
	cr_assert_eq(rig_alarms(rig, "lag_at_risk"), 1);
	rig_run(rig, FIRST + 7 * DAY_MS + HOUR_MS);
	cr_assert(rig_slot(rig, work, FIRST).marks & HD_SLOT_OVER_LAG);
	cr_assert_eq(hd_filing_centre_state(rig->filing, rig->centre, true, "person", "test", &err), HYDRO_OK);
	rig_run(rig, FIRST + 7 * DAY_MS + 3 * HOUR_MS);
	struct hd_slot slot = rig_slot(rig, work, FIRST);
	cr_assert_eq(slot.state, HD_SLOT_FILED);
	cr_assert((slot.marks & (HD_SLOT_LATE | HD_SLOT_OVER_LAG)) == (HD_SLOT_LATE | HD_SLOT_OVER_LAG));
	cr_assert_eq(rig_alarms(rig, "hour_at_risk"), 0);
	rig_free(rig);
}
