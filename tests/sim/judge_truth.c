/* SPDX-License-Identifier: MIT */
#include "judge_truth.h"

#include "base/timefmt.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_MS INT64_C(3600000)
#define OTHER_HOURS 6
#define WORK_PREFIX "OB-0901-"
#define HUNDREDTH 0.00501
#define CENTIMETRE 0.501

void sim_work_code(uint32_t index, char ret[SIM_WORK_TEXT])
{
	(void)snprintf(ret, SIM_WORK_TEXT, WORK_PREFIX "%u", index + 1);
}

uint32_t sim_work_point(const struct sim *sim, const char *code)
{
	size_t n = sizeof WORK_PREFIX - 1;
	char right[SIM_WORK_TEXT];
	if (strncmp(code, WORK_PREFIX, n) != 0)
		return SIM_NO_POINT;
	unsigned long long v = strtoull(code + n, NULL, 10);
	if (v == 0 || v > sim->config.points)
		return SIM_NO_POINT;
	sim_work_code((uint32_t)v - 1, right);
	return strcmp(right, code) == 0 ? (uint32_t)v - 1 : SIM_NO_POINT;
}

void sim_work_truth_init(const struct sim *sim, uint32_t point, struct sim_work_truth *ret)
{
	sim_point_at(sim, point, &ret->point);
}

static bool near(const char *text, double value, double reach)
{
	return *text && fabs(strtod(text, NULL) - value) <= reach;
}

/* The level of a kind: depth of the water table in m, stage in cm, none. */
static bool has_level(const struct sim_point *p, const struct sim_filing *f, double level_m)
{
	if (f->kind == SIM_FLOWMETER)
		return true;
	return f->kind == SIM_CHANNEL ? near(f->level, level_m * 100.0, CENTIMETRE) : near(f->level, p->sensor_depth_m - level_m, HUNDREDTH);
}

static bool has_values(const struct sim_point *p, const struct sim_filing *f, const int64_t values[SIM_METRICS])
{
	double total = (double)values[SIM_PULSES] * (double)p->litres_per_pulse / 1000.0 + p->offset_m3;
	return near(f->flow, (double)values[SIM_FLOW] / 100.0, HUNDREDTH) && (f->kind == SIM_CHANNEL || near(f->total, total, 0.999)) &&
	       has_level(p, f, (double)values[SIM_LEVEL] / 1000.0);
}

/* The newest reading with those values and from < ts <= to; *ret_nearest: none later of them was to be had at now_ms. */
static bool find(const struct sim *sim, const struct sim_point *p, const struct sim_point_faults *faults, const struct sim_filing *f, int64_t from_ms, int64_t to_ms,
		 int64_t now_ms, struct sim_match *ret)
{
	bool nearest = true;
	int64_t low = sim_slot_at(p, from_ms) + 1;
	for (int64_t slot = sim_slot_at(p, to_ms); slot >= low && slot >= 0; slot--) {
		struct sim_reading r;
		sim_reading_at(sim, p, faults, slot, &r);
		if (r.lost || r.available_ms > now_ms)
			continue;
		if (has_values(p, f, r.served) || (r.events && has_values(p, f, r.truth))) {
			*ret = (struct sim_match){r.ts_ms, nearest};
			return true;
		}
		nearest = false;
	}
	return false;
}

enum sim_match_kind sim_truth_match(const struct sim *sim, const struct sim_work_truth *truth, const struct sim_filing *f, int64_t slot_ms, int64_t now_ms,
				    struct sim_match *ret)
{
	const struct sim_point *p = &truth->point;
	struct sim_point_faults faults;
	sim_point_faults_pick(sim, p, &faults);
	if (find(sim, p, &faults, f, slot_ms - sim->config.dga_window_ms, slot_ms, now_ms, ret))
		return SIM_MATCH_HOUR;
	if (find(sim, p, &faults, f, slot_ms - OTHER_HOURS * HOUR_MS, slot_ms + OTHER_HOURS * HOUR_MS, now_ms, ret))
		return SIM_MATCH_OTHER_HOUR;
	return SIM_MATCH_NONE;
}

/* A reading for the slot that the provider had before the lag was over. */
static bool is_there(const struct sim *sim, const struct sim_point *p, const struct sim_point_faults *faults, int64_t slot_ms, int64_t now_ms)
{
	int64_t low = sim_slot_at(p, slot_ms - sim->config.dga_window_ms) + 1, until = HD_MIN(slot_ms + sim->config.dga_lag_ms, now_ms);
	for (int64_t slot = sim_slot_at(p, slot_ms); slot >= low && slot >= 0; slot--) {
		struct sim_reading r;
		if (!faults->count)
			return true;
		sim_reading_at(sim, p, faults, slot, &r);
		if (!r.lost && r.available_ms <= until)
			return true;
	}
	return false;
}

struct coverage {
	uint64_t due, missing, filed, foreign, unfiled, invented;
	uint32_t shown;
};

static void cover(const struct sim *sim, const struct sim_point *p, const struct sim_verdict_query *q, int64_t now_ms, struct coverage *c, struct hd_buf *unfiled)
{
	struct sim_point_faults faults;
	char code[SIM_WORK_TEXT], text[HD_TIME_TEXT];
	sim_point_faults_pick(sim, p, &faults);
	sim_work_code(p->index, code);
	for (int64_t slot_ms = (q->from_ms + HOUR_MS - 1) / HOUR_MS * HOUR_MS; slot_ms < q->to_ms; slot_ms += HOUR_MS) {
		struct sim_taken taken = {0};
		bool is_taken = sim_ledger_taken(sim->ledger, code, slot_ms, &taken), there = is_there(sim, p, &faults, slot_ms, now_ms);
		c->due++;
		c->missing += !there;
		c->filed += there && is_taken;
		c->foreign += is_taken && taken.foreign;
		c->invented += !there && is_taken && !taken.foreign;
		if (!there || is_taken)
			continue;
		c->unfiled++;
		hd_time_format(slot_ms, text);
		if (c->shown < q->limit)
			(void)hd_buf_printf(unfiled, "%s{\"work\":\"%s\",\"slot\":\"%s\"}", c->shown++ ? ",\n" : "", code, text);
	}
}

void sim_truth_coverage(const struct sim *sim, const struct sim_verdict_query *q, int64_t now_ms, struct hd_buf *out)
{
	struct coverage c = {0};
	struct hd_buf unfiled = {0};
	for (uint32_t i = q->first; i <= q->last && i < sim->config.points; i++) {
		struct sim_point point;
		sim_point_at(sim, i, &point);
		cover(sim, &point, q, now_ms, &c, &unfiled);
	}
	(void)hd_buf_printf(out, ",\"due\":%" PRIu64 ",\"truly_missing\":%" PRIu64 ",\"filed\":%" PRIu64 ",\"filed_foreign\":%" PRIu64 ",\"unfiled\":%" PRIu64 ",\"invented\":%" PRIu64,
	                    c.due, c.missing, c.filed, c.foreign, c.unfiled, c.invented);
	(void)hd_buf_printf(out, ",\"unfiled_slots\":[%s]", unfiled.len ? hd_buf_text(&unfiled) : "");
	hd_buf_done(&unfiled);
}
