/* SPDX-License-Identifier: MIT */
/*
 * The process dies, or sleeps past its lease, at each step of the exchange. The regulator stays outside and keeps the books: a
 * slot that was answered with acceptance is never filed again on the same day, never twice at all but to learn its receipt.
 */
#include "rig.h"

#include "../check.h"
#include "net/client.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST (RIG_START + HOUR_MS)
#define LEASE_MS INT64_C(60000)

/* What the child is doing; the parent, which is the regulator, acts on it. */
struct exchange {
	struct rig *rig;
	pid_t child;
	const char *step; /* at which the child is hit */
	int signal;       /* SIGKILL, or SIGSTOP until the lease is over */
	uint32_t hits;
};
static struct exchange *now;

static void hit(struct regulator *r, const char *step)
{
	struct exchange *x = now;
	(void)r;
	if (!x || x->hits || !x->child || strcmp(step, x->step) != 0)
		return;
	x->hits++;
	(void)kill(x->child, x->signal);
	if (x->signal != SIGSTOP)
		return;
	int status;
	while (waitpid(x->child, &status, WUNTRACED) < 0 && errno == EINTR)
		continue;
	hd_clock_advance(hd_clock_wall_ms() + LEASE_MS + MINUTE_MS);
	(void)kill(x->child, SIGCONT);
}

/* The child opens the engine on the rig's ledger and runs until `until`, as a daemon would. */
static pid_t launch(struct rig *rig, int64_t until)
{
	pid_t child = check_fork();
	if (child > 0)
		return child;
	rig->own_regulator = false;
	rig_open_ledger(rig);
	rig_open(rig);
	rig_run(rig, until);
	rig_close(rig);
	_exit(0);
}

static void wait_for_killed(pid_t child)
{
	int status = 0;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%d", status);
}

static void attack(const char *step, int signal_number)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1");
	rig_read_hours(rig, work, FIRST, FIRST + 4 * HOUR_MS);
	hd_net_close(&rig->net);
	hd_ledger_close(&rig->ledger);
	struct exchange x = {.rig = rig, .step = step, .signal = signal_number};
	now = &x;
	rig->regulator.at = hit;
	x.child = launch(rig, FIRST + 6 * HOUR_MS);
	if (signal_number == SIGKILL)
		wait_for_killed(x.child);
	else
		check_child_good(x.child);
	x.child = 0;
	cr_assert_eq(x.hits, 1, "%s was never reached", step);
	/* The next process goes on with the same ledger, until the day after has brought what was unknown. */
	check_child_good(launch(rig, FIRST + 3 * DAY_MS));
	rig->regulator.at = NULL;
	now = NULL;
	rig_open_ledger(rig);
	for (int64_t due = FIRST; due < FIRST + 4 * HOUR_MS; due += HOUR_MS) {
		struct hd_slot slot = rig_slot(rig, work, due);
		cr_assert_eq(slot.state, HD_SLOT_FILED, "%s after %s: %s (%s)", hd_slot_state_name(slot.state), step, signal_number == SIGKILL ? "kill" : "stop", slot.cause);
		cr_assert(slot.marks & HD_SLOT_CHECKED);
	}
	/* No two requests for one slot on one local day, and five minutes between any two. */
	uint32_t count = regulator_count(&rig->regulator, false);
	for (uint32_t i = 0; i < count; i++) {
		struct seen a = regulator_get(&rig->regulator, false, i);
		for (uint32_t k = 0; k < i; k++) {
			struct seen b = regulator_get(&rig->regulator, false, k);
			cr_assert_geq(a.at_ms - b.at_ms, 5 * MINUTE_MS);
			if (a.due_ms == b.due_ms)
				cr_assert_neq(hd_calendar_day(-14400, a.at_ms), hd_calendar_day(-14400, b.at_ms));
		}
	}
	cr_assert_leq(count, 5);
	struct hd_ledger_verdict verdict;
	struct hydro_error err = {0};
	cr_assert_eq(hd_ledger_verify(rig->ledger, HD_LEDGER_ALL, &verdict, &err), HYDRO_OK, "%s", err.text);
	cr_assert(verdict.good, "%s", verdict.text);
	rig_free(rig);
}

Test(exchange, a_process_killed_at_any_step_of_the_exchange_files_each_slot_once)
{
	static const char *const steps[] = {"connected", "read", "booked", "answered"};
	for (size_t i = 0; i < HD_ARRAY_LEN(steps); i++)
		attack(steps[i], SIGKILL);
}

Test(exchange, a_process_stopped_beyond_its_lease_at_any_step_files_each_slot_once)
{
	static const char *const steps[] = {"connected", "read", "booked", "answered"};
	for (size_t i = 0; i < HD_ARRAY_LEN(steps); i++)
		attack(steps[i], SIGSTOP);
}

/* ---- before the first byte ------------------------------------------------------------------------------------------------------ */

/* The clock goes on by more than the lease between the claim and the write: the regulator must not see the request. */
Test(exchange, a_claim_that_ran_out_before_the_write_sends_nothing)
{
	struct rig *rig = rig_new();
	struct hydro_error err = {0};
	uint32_t work = rig_work(rig, "OB-1");
	int64_t next;
	rig_read(rig, work, FIRST);
	rig_open(rig);
	/* Until just before its turn, then one step that claims; nothing is sent yet: the client is run by hand. */
	for (;;) {
		hd_filing_step(rig->filing, &next);
		if (hd_net_in_flight(rig->net) > 0)
			break;
		hd_clock_advance(next);
	}
	cr_assert_eq(rig_slot(rig, work, FIRST).state, HD_SLOT_SENDING);
	hd_clock_advance(hd_clock_wall_ms() + LEASE_MS + 1);
	while (hd_net_in_flight(rig->net) > 0)
		hd_net_run_once(rig->net, 50);
	hd_filing_step(rig->filing, &next);
	cr_assert_eq(regulator_count(&rig->regulator, false), 0);
	struct hd_slot slot = rig_slot(rig, work, FIRST);
	cr_assert(slot.state == HD_SLOT_REFUSED || slot.state == HD_SLOT_UNKNOWN);
	rig_run(rig, FIRST + 2 * DAY_MS);
	cr_assert_eq(rig_slot(rig, work, FIRST).state, HD_SLOT_FILED);
	cr_assert_eq(regulator_count(&rig->regulator, false), 1);
	(void)err;
	rig_free(rig);
}

/* ---- between our own steps ------------------------------------------------------------------------------------------------------- */

/* Ends without a word after the claim was committed (no byte sent), or after the answer has come and before it was written down. */
static void die_inside(bool answered)
{
	struct rig *rig = rig_new();
	uint32_t work = rig_work(rig, "OB-1");
	rig_read(rig, work, FIRST);
	hd_net_close(&rig->net);
	hd_ledger_close(&rig->ledger);
	pid_t child = check_fork();
	if (child == 0) {
		int64_t next;
		rig_open_ledger(rig);
		rig_open(rig);
		do {
			hd_filing_step(rig->filing, &next);
			if (hd_net_in_flight(rig->net) == 0)
				hd_clock_advance(next);
		} while (hd_net_in_flight(rig->net) == 0);
		while (answered && hd_net_in_flight(rig->net) > 0)
			hd_net_run_once(rig->net, 50);
		_exit(0);
	}
	check_child_good(child);
	rig_open_ledger(rig);
	cr_assert_eq(rig_slot(rig, work, FIRST).state, HD_SLOT_SENDING);
	rig_open(rig);
	rig_run(rig, FIRST + 2 * HOUR_MS);
	cr_assert_eq(rig_slot(rig, work, FIRST).state, HD_SLOT_UNKNOWN);
	cr_assert_eq(regulator_count(&rig->regulator, false), answered);
	rig_run(rig, FIRST + 2 * DAY_MS);
	struct hd_slot slot = rig_slot(rig, work, FIRST);
	cr_assert_eq(slot.state, HD_SLOT_FILED);
	cr_assert_eq((slot.marks & HD_SLOT_FOREIGN) != 0, answered);
	cr_assert_eq(regulator_count(&rig->regulator, false), 1u + answered);
	rig_free(rig);
}

Test(exchange, a_process_that_dies_between_claim_and_write_leaves_it_unknown)
{
	die_inside(false);
}

Test(exchange, a_process_that_dies_between_answer_and_ledger_learns_the_receipt_on_the_next_day)
{
	die_inside(true);
}

Test(exchange, a_switch_put_off_before_the_write_sends_nothing)
{
	struct rig *rig = rig_new();
	struct hydro_error err = {0};
	uint32_t work = rig_work(rig, "OB-1");
	int64_t next;
	rig_read(rig, work, FIRST);
	rig_open(rig);
	for (;;) {
		hd_filing_step(rig->filing, &next);
		if (hd_net_in_flight(rig->net) > 0)
			break;
		hd_clock_advance(next);
	}
	cr_assert_eq(hd_filing_switch(rig->filing, false, "person", "stop", &err), HYDRO_OK);
	while (hd_net_in_flight(rig->net) > 0)
		hd_net_run_once(rig->net, 50);
	hd_filing_step(rig->filing, &next);
	cr_assert_eq(regulator_count(&rig->regulator, false), 0);
	cr_assert_eq(rig_slot(rig, work, FIRST).state, HD_SLOT_QUEUED);
	cr_assert_eq(hd_filing_switch(rig->filing, true, "person", "on", &err), HYDRO_OK);
	rig_run(rig, FIRST + 2 * HOUR_MS);
	cr_assert_eq(rig_slot(rig, work, FIRST).state, HD_SLOT_FILED);
	cr_assert_eq(regulator_count(&rig->regulator, false), 1);
	rig_free(rig);
}

/* ---- two processes ---------------------------------------------------------------------------------------------------------------- */

Test(exchange, two_processes_on_one_ledger_file_each_slot_once)
{
	struct rig *rig = rig_new();
	uint32_t works[6];
	char code[16];
	for (uint32_t i = 0; i < 6; i++) {
		(void)snprintf(code, sizeof code, "OB-%u", i + 1);
		works[i] = rig_work(rig, code);
		rig_read_hours(rig, works[i], FIRST, FIRST + 12 * HOUR_MS);
	}
	hd_net_close(&rig->net);
	hd_ledger_close(&rig->ledger);
	pid_t a = launch(rig, FIRST + 14 * HOUR_MS), b = launch(rig, FIRST + 14 * HOUR_MS);
	check_child_good(a);
	check_child_good(b);
	check_child_good(launch(rig, FIRST + 3 * DAY_MS));
	rig_open_ledger(rig);
	for (uint32_t i = 0; i < 6; i++)
		for (int64_t due = FIRST; due < FIRST + 12 * HOUR_MS; due += HOUR_MS)
			cr_assert_eq(rig_slot(rig, works[i], due).state, HD_SLOT_FILED);
	cr_assert_eq(regulator_twice(&rig->regulator), 0);
	rig_free(rig);
}

/* ---- what is lost comes back as an event -------------------------------------------------------------------------------------------- */

struct audit_find {
	const char *text;
	uint32_t found;
};

static int find_text(void *arg, const struct hd_audit_row *row, struct hydro_error *err)
{
	struct audit_find *find = arg;
	(void)err;
	find->found += row->detail && strstr(row->detail, find->text) != NULL;
	return HYDRO_OK;
}

Test(exchange, an_answer_that_comes_after_its_claim_was_taken_away_is_kept)
{
	struct rig *rig = rig_new();
	struct hydro_error err = {0};
	uint32_t work = rig_work(rig, "OB-1");
	int64_t next;
	uint64_t expired;
	rig_read(rig, work, FIRST);
	rig_open(rig);
	do {
		hd_filing_step(rig->filing, &next);
		if (hd_net_in_flight(rig->net) == 0)
			hd_clock_advance(next);
	} while (hd_net_in_flight(rig->net) == 0);
	while (hd_net_in_flight(rig->net) > 0)
		hd_net_run_once(rig->net, 50);
	/* The answer is here and not read yet; somebody else finds the lease over. */
	hd_clock_advance(hd_clock_wall_ms() + LEASE_MS + 1);
	cr_assert_eq(hd_ledger_expire_claims(rig->ledger, hd_clock_wall_ms(), hd_clock_mono_ns(), &expired, &err), HYDRO_OK);
	cr_assert_eq(expired, 1);
	cr_assert_eq(rig_slot(rig, work, FIRST).state, HD_SLOT_UNKNOWN);
	rig_run(rig, FIRST + 3 * HOUR_MS);
	/* Nobody has claimed it since: the receipt holds. */
	cr_assert_eq(rig_slot(rig, work, FIRST).state, HD_SLOT_FILED);
	struct audit_find find = {"\"http\":200", 0};
	cr_assert_eq(hd_ledger_audit(rig->ledger, work, FIRST, find_text, &find, &err), HYDRO_OK);
	cr_assert_eq(find.found, 1);
	rig_run(rig, FIRST + 2 * DAY_MS);
	cr_assert_eq(regulator_count(&rig->regulator, false), 1);
	rig_free(rig);
}
