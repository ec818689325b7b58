/* SPDX-License-Identifier: MIT */
/* The engine with its own thread and the client's, while other threads ask, act and bring readings. */
#include "rig.h"

#include "../check.h"
#include "net/client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define FIRST (RIG_START + HOUR_MS)
#define WORKS 4u

static atomic_bool stop;

static void pause_ms(long ms)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void *ask(void *arg)
{
	struct rig *rig = arg;
	struct hd_filing_status status;
	struct hd_slot_outlook outlook;
	struct hd_drain_forecast forecast;
	struct hd_day_proof proof;
	while (!atomic_load(&stop)) {
		struct hydro_error err = {0};
		hd_filing_status(rig->filing, &status);
		(void)hd_filing_outlook(rig->filing, 1, FIRST, &outlook, &err);
		(void)hd_filing_forecast(rig->filing, rig->centre, &forecast, &err);
		(void)hd_filing_day_proof(rig->filing, 1, hd_calendar_day(-14400, FIRST), &proof, &err);
		hd_filing_wake(rig->filing);
		rig_tell(rig, 0);
		pause_ms(1);
	}
	return NULL;
}

/* Moves the clock as a collector does: once the engine is idle, to when it wants to run next. */
static void run_until(struct rig *rig, int64_t until)
{
	int64_t next;
	while (hd_clock_wall_ms() < until) {
		if (hd_filing_is_idle(rig->filing, &next))
			hd_clock_advance(HD_MIN(next, until));
		else
			pause_ms(1);
	}
	while (!hd_filing_is_idle(rig->filing, &next))
		pause_ms(1);
}

Test(engine_thread, files_while_others_ask_and_act)
{
	struct rig *rig = rig_new();
	struct hydro_error err = {0};
	uint32_t works[WORKS];
	char code[16];
	pthread_t asker;
	for (uint32_t i = 0; i < WORKS; i++) {
		(void)snprintf(code, sizeof code, "OB-%u", i + 1);
		works[i] = rig_work(rig, code);
		rig_read_hours(rig, works[i], FIRST, FIRST + 5 * HOUR_MS);
	}
	hd_net_close(&rig->net);
	struct hd_net_config net = {.timeout_ms = RIG_TIMEOUT_MS, .connect_timeout_ms = RIG_TIMEOUT_MS};
	cr_assert_eq(hd_net_open(&net, &rig->net, &err), HYDRO_OK);
	rig->config.manual = false;
	atomic_store(&stop, false);
	rig_open(rig);
	cr_assert_eq(pthread_create(&asker, NULL, ask, rig), 0);
	run_until(rig, FIRST + 2 * HOUR_MS);
	cr_assert_eq(hd_filing_centre_state(rig->filing, rig->centre, false, "person", "a pause", &err), HYDRO_OK, "%s", err.text);
	run_until(rig, FIRST + 3 * HOUR_MS);
	cr_assert_eq(hd_filing_centre_state(rig->filing, rig->centre, true, "person", "on again", &err), HYDRO_OK, "%s", err.text);
	run_until(rig, FIRST + 7 * HOUR_MS);
	atomic_store(&stop, true);
	cr_assert_eq(pthread_join(asker, NULL), 0);
	for (uint32_t i = 0; i < WORKS; i++)
		for (int64_t due = FIRST; due < FIRST + 5 * HOUR_MS; due += HOUR_MS)
			cr_assert_eq(rig_slot(rig, works[i], due).state, HD_SLOT_FILED);
	cr_assert_eq(regulator_count(&rig->regulator, false), WORKS * 5);
	rig_free(rig);
}

static enum reply slow_answer(struct regulator *r, const struct seen *s)
{
	(void)r;
	pause_ms(100);
	return s->is_check ? REPLY_CHECK : REPLY_ACCEPT;
}

Test(engine_thread, closing_waits_for_what_is_under_way_and_writes_it_down)
{
	struct rig *rig = rig_new();
	struct hydro_error err = {0};
	uint32_t work = rig_work(rig, "OB-1");
	rig_read(rig, work, FIRST);
	hd_net_close(&rig->net);
	struct hd_net_config net = {.timeout_ms = RIG_TIMEOUT_MS, .connect_timeout_ms = RIG_TIMEOUT_MS};
	cr_assert_eq(hd_net_open(&net, &rig->net, &err), HYDRO_OK);
	rig->config.manual = false;
	rig->regulator.answer = slow_answer;
	rig_open(rig);
	int64_t next;
	struct hd_filing_status status;
	for (;;) {
		hd_filing_status(rig->filing, &status);
		if (status.in_flight > 0)
			break;
		if (hd_filing_is_idle(rig->filing, &next))
			hd_clock_advance(next);
		else
			pause_ms(1);
	}
	hd_filing_close(&rig->filing);
	cr_assert_eq(rig_slot(rig, work, FIRST).state, HD_SLOT_FILED);
	rig_free(rig);
}
