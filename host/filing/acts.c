/* SPDX-License-Identifier: MIT */
/* What a person may do, each audited with who and why. */
#include "filing/filing_impl.h"

#include <string.h>

struct act {
	uint32_t work, centre;
	int64_t due_ms;
	bool on;
	const char *receipt, *by, *why;
};

static int act_switch(struct hd_filing *f, void *arg, struct hydro_error *err)
{
	const struct act *act = arg;
	int rc = hd_ledger_setting_put(f->config.ledger, "kill_switch", act->on ? "on" : "off", act->by, act->why, err);
	if (rc == HYDRO_OK)
		f->on = act->on;
	return rc;
}

int hd_filing_switch(struct hd_filing *f, bool on, const char *by, const char *why, struct hydro_error *err)
{
	struct act act = {.on = on, .by = by, .why = why};
	return filing_act(f, act_switch, &act, err);
}

static int act_leave_hold(struct hd_filing *f, void *arg, struct hydro_error *err)
{
	const struct act *act = arg;
	if (!f->on_hold)
		return hd_error_set(err, HYDRO_E_CONFLICT, "filing is not on hold");
	int rc = hd_ledger_setting_put(f->config.ledger, "hold", "", act->by, act->why, err);
	if (rc != HYDRO_OK)
		return rc;
	f->on_hold = false;
	filing_alarm_clear(f, "restored", 0, 0);
	return HYDRO_OK;
}

int hd_filing_leave_hold(struct hd_filing *f, const char *by, const char *why, struct hydro_error *err)
{
	struct act act = {.by = by, .why = why};
	return filing_act(f, act_leave_hold, &act, err);
}

/* ---- a centre goes on or stops ---- */

struct centre_change {
	struct hd_filing *f;
	const struct act *act;
};

static int write_centre(void *arg, const struct hd_centre *row, struct hydro_error *err)
{
	struct centre_change *change = arg;
	struct hd_centre changed = *row;
	changed.state = change->act->on ? HD_CENTRE_RUNNING : HD_CENTRE_STOPPED;
	changed.state_since_ms = hd_clock_wall_ms();
	changed.state_why = change->act->why;
	changed.state_by = change->act->by;
	return hd_ledger_centre_replace(change->f->config.ledger, &changed, change->act->by, change->act->why, err);
}

static int act_centre(struct hd_filing *f, void *arg, struct hydro_error *err)
{
	const struct act *act = arg;
	struct centre_change change = {f, act};
	int rc = hd_ledger_centre_get(f->config.ledger, act->centre, NULL, write_centre, &change, err);
	struct filing_centre *c = filing_centre(f, act->centre);
	if (rc != HYDRO_OK || !c)
		return rc;
	if (act->on) {
		hd_pace_circuit_good(&c->circuit);
		c->resets = 0;
		filing_alarm_clear(f, "blocked", 0, c->number);
		filing_alarm_clear(f, "no_answer", 0, c->number);
	}
	c->state = act->on ? HD_CENTRE_RUNNING : HD_CENTRE_STOPPED;
	return HYDRO_OK;
}

int hd_filing_centre_state(struct hd_filing *f, uint32_t centre, bool running, const char *by, const char *why, struct hydro_error *err)
{
	struct act act = {.centre = centre, .on = running, .by = by, .why = why};
	return filing_act(f, act_centre, &act, err);
}

/* ---- a work that was corrected ---- */

struct work_change {
	struct hd_filing *f;
	const struct act *act;
};

static int write_release(void *arg, const struct hd_work *row, struct hydro_error *err)
{
	struct work_change *change = arg;
	struct hd_work released = *row;
	released.held_since_ms = 0;
	released.held_why = "";
	return hd_ledger_work_replace(change->f->config.ledger, &released, change->act->by, change->act->why, err);
}

static int act_release(struct hd_filing *f, void *arg, struct hydro_error *err)
{
	const struct act *act = arg;
	struct work_change change = {f, act};
	int rc = hd_ledger_work_get(f->config.ledger, act->work, NULL, NULL, write_release, &change, err);
	struct filing_work *w = filing_work(f, act->work);
	if (rc != HYDRO_OK)
		return rc;
	filing_alarm_clear(f, "held", act->work, 0);
	filing_alarm_clear(f, "configuration", act->work, 0);
	if (!w)
		return HYDRO_OK;
	w->held = false;
	w->trouble[0] = '\0';
	for (const struct filing_slot *s = w->slots; s; s = s->next)
		if (s->state == HD_SLOT_HELD && s->attempts == 0)
			(void)filing_waiting_add(f, w, s->due_ms); /* measured and prepared anew */
	w->look_ms = w->candidate_ms = w->mark_ms = INT64_MIN;
	filing_work_arm(f, w);
	return HYDRO_OK;
}

int hd_filing_release(struct hd_filing *f, uint32_t work, const char *by, const char *why, struct hydro_error *err)
{
	struct act act = {.work = work, .by = by, .why = why};
	return filing_act(f, act_release, &act, err);
}

/* ---- filed by a person ---- */

static int act_by_hand(struct hd_filing *f, void *arg, struct hydro_error *err)
{
	const struct act *act = arg;
	struct hd_slot row;
	struct filing_work *w = filing_work(f, act->work);
	int rc = hd_ledger_slot(f->config.ledger, act->work, act->due_ms, &row, err);
	if (rc != HYDRO_OK && rc != HYDRO_E_NOTFOUND)
		return rc;
	uint32_t state = rc == HYDRO_OK ? row.state : HD_SLOT_DUE;
	if (state == HD_SLOT_CLAIMED || state == HD_SLOT_SENDING || state == HD_SLOT_FILED || state == HD_SLOT_FILED_NO_RECEIPT || state == HD_SLOT_BY_HAND)
		return hd_error_set(err, HYDRO_E_CONFLICT, "the slot is %s", hd_slot_state_name(state));
	if (state == HD_SLOT_DUE && w && w->tracked && !hd_calendar_is_slot(&w->calendar, act->due_ms))
		return hd_error_set(err, HYDRO_E_INVALID, "the work has no slot at that time");
	struct hd_slot_change change = {.work = act->work, .from = state, .to = HD_SLOT_BY_HAND, .due_ms = act->due_ms, .at_ms = hd_clock_wall_ms(),
					.actor = act->by, .cause = act->why, .receipt = act->receipt};
	hd_error_clear(err);
	rc = hd_ledger_apply(f->config.ledger, &change, 1, err);
	if (rc == HYDRO_OK && change.rc != HYDRO_OK)
		rc = hd_error_set(err, change.rc, "the slot has changed meanwhile");
	if (rc == HYDRO_OK && w)
		filing_slot_refresh(f, w, act->due_ms);
	return rc;
}

int hd_filing_by_hand(struct hd_filing *f, uint32_t work, int64_t due_ms, const char *receipt, const char *by, const char *why, struct hydro_error *err)
{
	struct act act = {.work = work, .due_ms = due_ms, .receipt = receipt, .by = by, .why = why};
	return filing_act(f, act_by_hand, &act, err);
}
