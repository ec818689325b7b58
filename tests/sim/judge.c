/* SPDX-License-Identifier: MIT */
#include "judge.h"

#include "base/array.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/timefmt.h"
#include "filing_row.h"
#include "judge_truth.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UTC_OFFSET_MS (-INT64_C(14400000))
#define DAY_MS INT64_C(86400000)
#define HOUR_MS INT64_C(3600000)
#define SECOND_MS INT64_C(1000)
#define DEATHS_MAX 4096u
#define DEATH_WINDOW_MS INT64_C(5000)
#define KEPT_MAX 1000u /* violations kept by name */
#define NEVER (INT64_MIN / 2)

const char *const sim_count_names[SIM_COUNT_COUNT] = {
#define X(NAME, text, doc) [SIM_RULE_##NAME] = text,
	SIM_RULES(X) SIM_NOTES(X)
#undef X
};

struct work {
	char code[SIM_WORK_TEXT];
	int64_t last_post_ms;
	uint32_t centre; /* number + 1; 0: not known yet */
	bool has_truth;
	struct sim_work_truth truth;
};

struct centre {
	int64_t *calls; /* ring of the last calls: as many as may be made in the judge's span */
	uint64_t count;
};

/* A slot that was sent and not answered as taken, or more than once. */
struct attempt {
	uint64_t key; /* (work + 1) << 32 | slot in s; 0: free */
	int64_t last_ms;
	int64_t told_ms; /* when it was answered last that it is taken; NEVER */
};

struct violation {
	uint32_t rule;
	uint32_t work;
	int64_t slot_ms, at_ms;
};

struct sim_judge {
	const struct sim *sim;
	pthread_mutex_t lock; /* guards: all below */
	struct hd_map work_numbers, centre_numbers;
	struct work *works;
	uint32_t work_count, work_cap;
	struct centre *centres;
	size_t centre_count;
	struct attempt *attempts;
	size_t attempt_mask, attempt_count;
	int64_t deaths[DEATHS_MAX];
	size_t death_count;
	uint64_t counts[SIM_COUNT_COUNT];
	struct violation kept[KEPT_MAX];
	size_t kept_count;
};

int sim_judge_new(const struct sim *sim, struct sim_judge **ret, struct hydro_error *err)
{
	struct sim_judge *j = calloc(1, sizeof *j);
	if (!j || pthread_mutex_init(&j->lock, NULL) != 0) {
		free(j);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the judge");
	}
	j->sim = sim;
	*ret = j;
	return HYDRO_OK;
}

void sim_judge_free(struct sim_judge *j)
{
	if (!j)
		return;
	for (size_t i = 0; i < j->centre_count; i++)
		free(j->centres[i].calls);
	free(j->centres);
	free(j->works);
	free(j->attempts);
	hd_map_done(&j->work_numbers);
	hd_map_done(&j->centre_numbers);
	(void)pthread_mutex_destroy(&j->lock);
	free(j);
}

static struct work *work_of(struct sim_judge *j, const char *code)
{
	uint64_t number;
	if (hd_map_get(&j->work_numbers, code, strlen(code), &number))
		return &j->works[number];
	if (!HD_RESERVE(j->works, j->work_cap, j->work_count, 1))
		return NULL;
	if (!hd_map_put(&j->work_numbers, code, strlen(code), j->work_count))
		return NULL;
	struct work *w = &j->works[j->work_count++];
	*w = (struct work){.last_post_ms = NEVER};
	(void)snprintf(w->code, sizeof w->code, "%s", code);
	uint32_t point = sim_work_point(j->sim, code);
	w->has_truth = point != SIM_NO_POINT;
	if (w->has_truth)
		sim_work_truth_init(j->sim, point, &w->truth);
	return w;
}

static void break_rule(struct sim_judge *j, uint32_t rule, const struct work *w, int64_t slot_ms, int64_t now_ms)
{
	j->counts[rule]++;
	if (j->kept_count < KEPT_MAX)
		j->kept[j->kept_count++] = (struct violation){rule, (uint32_t)(w - j->works), slot_ms, now_ms};
}


/* A sliding second; where arrivals jitter, ten of them. */
static uint32_t span_s(const struct sim_judge *j)
{
	return j->sim->config.dga_tolerance_ms > 0 ? 10 : 1;
}

/* One call more than may be made in the span must take longer than it. */
static void call(struct sim_judge *j, const struct work *w, int64_t slot_ms, int64_t now_ms)
{
	struct centre *c = &j->centres[w->centre - 1];
	uint32_t most = j->sim->config.dga_rate * span_s(j);
	int64_t *oldest = &c->calls[c->count % most];
	if (c->count >= most && now_ms - *oldest < span_s(j) * SECOND_MS - j->sim->config.dga_tolerance_ms)
		break_rule(j, SIM_RULE_RATE, w, slot_ms, now_ms);
	*oldest = now_ms;
	c->count++;
}

static bool add_centre(struct sim_judge *j, const char *company)
{
	struct centre *centres = realloc(j->centres, (j->centre_count + 1) * sizeof *centres);
	if (!centres)
		return false;
	j->centres = centres;
	int64_t *calls = calloc((size_t)j->sim->config.dga_rate * span_s(j), sizeof *calls);
	if (!calls || !hd_map_put(&j->centre_numbers, company, strlen(company), j->centre_count)) {
		free(calls);
		return false;
	}
	centres[j->centre_count++] = (struct centre){.calls = calls};
	return true;
}

static void set_centre(struct sim_judge *j, struct work *w, const char *company)
{
	uint64_t number;
	if (!*company || (!hd_map_get(&j->centre_numbers, company, strlen(company), &number) && !add_centre(j, company)))
		return;
	if (hd_map_get(&j->centre_numbers, company, strlen(company), &number))
		w->centre = (uint32_t)number + 1;
}

static struct attempt *attempt_at(struct attempt *table, size_t mask, uint64_t key)
{
	size_t at = hd_hash_u64(key) & mask;
	while (table[at].key && table[at].key != key)
		at = (at + 1) & mask;
	return &table[at];
}

static const struct attempt *attempt_find(const struct sim_judge *j, uint64_t key)
{
	const struct attempt *a = j->attempts ? attempt_at(j->attempts, j->attempt_mask, key) : NULL;
	return a && a->key ? a : NULL;
}

static void attempt_put(struct sim_judge *j, uint64_t key, int64_t last_ms, int64_t told_ms)
{
	if (!j->attempts || j->attempt_count >= (j->attempt_mask + 1) / 4 * 3) {
		size_t size = j->attempts ? (j->attempt_mask + 1) * 2 : 1024;
		struct attempt *table = calloc(size, sizeof *table);
		if (!table)
			return;
		for (size_t i = 0; j->attempts && i <= j->attempt_mask; i++)
			if (j->attempts[i].key)
				*attempt_at(table, size - 1, j->attempts[i].key) = j->attempts[i];
		free(j->attempts);
		j->attempts = table;
		j->attempt_mask = size - 1;
	}
	struct attempt *a = attempt_at(j->attempts, j->attempt_mask, key);
	j->attempt_count += !a->key;
	*a = (struct attempt){key, last_ms, told_ms};
}

static int64_t day_of(int64_t ms)
{
	int64_t local = ms + UTC_OFFSET_MS;
	return local / DAY_MS - (local % DAY_MS < 0);
}

static bool died_after(const struct sim_judge *j, int64_t ms)
{
	for (size_t i = 0; i < j->death_count; i++)
		if (j->deaths[i] >= ms && j->deaths[i] - ms <= DEATH_WINDOW_MS)
			return true;
	return false;
}

static uint64_t slot_key(const struct sim_judge *j, const struct work *w, uint32_t slot_s)
{
	return ((uint64_t)(w - j->works) + 1) << 32 | slot_s;
}

/* What was sent before of the same slot. */
static void judge_resend(struct sim_judge *j, const struct work *w, uint32_t slot_s, int64_t now_ms)
{
	int64_t slot_ms = (int64_t)slot_s * 1000;
	const struct attempt *a = attempt_find(j, slot_key(j, w, slot_s));
	struct sim_taken taken = {0};
	bool told_now = sim_ledger_taken(j->sim->ledger, w->code, slot_ms, &taken) && taken.delivered && !a;
	int64_t told_ms = told_now ? taken.arrival_ms : a ? a->told_ms : NEVER, last_ms = told_now ? taken.arrival_ms : a ? a->last_ms : NEVER;
	if (last_ms != NEVER && day_of(last_ms) == day_of(now_ms))
		break_rule(j, SIM_RULE_SAME_DAY, w, slot_ms, now_ms);
	if (told_ms != NEVER && died_after(j, told_ms))
		j->counts[SIM_RULE_AFTER_DEATH]++;
	else if (told_ms != NEVER)
		break_rule(j, SIM_RULE_AFTER_ACCEPTANCE, w, slot_ms, now_ms);
	if (a || told_now)
		attempt_put(j, slot_key(j, w, slot_s), now_ms, told_ms);
}

void sim_judge_post(struct sim_judge *j, const struct sim_filing *f, int64_t now_ms)
{
	uint32_t slot_s = sim_slot_seconds(f->date, f->hour);
	(void)pthread_mutex_lock(&j->lock);
	struct work *w = work_of(j, f->work);
	j->counts[SIM_RULE_POSTS]++;
	if (w) {
		int64_t slot_ms = (int64_t)slot_s * 1000;
		set_centre(j, w, f->company);
		if (w->centre)
			call(j, w, slot_ms, now_ms);
		if (now_ms - w->last_post_ms < j->sim->config.dga_spacing_ms - j->sim->config.dga_tolerance_ms)
			break_rule(j, SIM_RULE_SPACING, w, slot_ms, now_ms);
		w->last_post_ms = now_ms;
		if (slot_s)
			judge_resend(j, w, slot_s, now_ms);
	}
	(void)pthread_mutex_unlock(&j->lock);
}

void sim_judge_get(struct sim_judge *j, const char *code, int64_t now_ms)
{
	uint64_t number;
	(void)pthread_mutex_lock(&j->lock);
	j->counts[SIM_RULE_GETS]++;
	if (hd_map_get(&j->work_numbers, code, strlen(code), &number) && j->works[number].centre)
		call(j, &j->works[number], 0, now_ms);
	else
		j->counts[SIM_RULE_NO_CENTRE]++;
	(void)pthread_mutex_unlock(&j->lock);
}

static void judge_taken(struct sim_judge *j, struct work *w, const struct sim_filing *f, int64_t slot_ms, int64_t now_ms)
{
	struct sim_match match;
	struct sim_taken taken;
	j->counts[SIM_RULE_TAKEN]++;
	for (int64_t at = slot_ms - slot_ms % HOUR_MS; slot_ms % HOUR_MS != 0 && at < slot_ms + HOUR_MS; at += 60000)
		if (at != slot_ms && sim_ledger_taken(j->sim->ledger, w->code, at, &taken)) {
			break_rule(j, SIM_RULE_ACCEPTED_TWICE, w, slot_ms, now_ms);
			break;
		}
	if (slot_ms % HOUR_MS != 0 || slot_ms > now_ms)
		break_rule(j, SIM_RULE_WRONG_HOUR, w, slot_ms, now_ms);
	if (!w->has_truth) {
		j->counts[SIM_RULE_NO_TRUTH]++;
		return;
	}
	switch (sim_truth_match(j->sim, &w->truth, f, slot_ms, now_ms, &match)) {
	case SIM_MATCH_HOUR:
		j->counts[SIM_RULE_LATE] += now_ms - match.measured_ms > HOUR_MS + j->sim->config.dga_tolerance_ms;
		j->counts[SIM_RULE_OVER_LAG] += now_ms - match.measured_ms > j->sim->config.dga_lag_ms;
		j->counts[SIM_RULE_NOT_NEAREST] += !match.nearest;
		break;
	case SIM_MATCH_OTHER_HOUR:
		break_rule(j, SIM_RULE_WRONG_HOUR, w, slot_ms, now_ms);
		break;
	default:
		break_rule(j, SIM_RULE_WRONG_VALUE, w, slot_ms, now_ms);
	}
}

void sim_judge_outcome(struct sim_judge *j, const struct sim_filing *f, enum sim_ledger_outcome outcome, bool delivered, int64_t now_ms)
{
	uint32_t slot_s = sim_slot_seconds(f->date, f->hour);
	int64_t slot_ms = (int64_t)slot_s * 1000;
	(void)pthread_mutex_lock(&j->lock);
	struct work *w = work_of(j, f->work);
	if (w && slot_s) {
		if (outcome == SIM_FILED)
			judge_taken(j, w, f, slot_ms, now_ms);
		uint64_t key = slot_key(j, w, slot_s);
		const struct attempt *a = attempt_find(j, key);
		if (delivered)
			sim_ledger_delivered(j->sim->ledger, f->work, slot_ms);
		if (a || !delivered)
			attempt_put(j, key, now_ms, delivered ? now_ms : a ? a->told_ms : NEVER);
	}
	(void)pthread_mutex_unlock(&j->lock);
}

void sim_judge_foreign(struct sim_judge *j)
{
	(void)pthread_mutex_lock(&j->lock);
	j->counts[SIM_RULE_FOREIGN]++;
	(void)pthread_mutex_unlock(&j->lock);
}

void sim_judge_death(struct sim_judge *j, int64_t now_ms)
{
	(void)pthread_mutex_lock(&j->lock);
	if (j->death_count < DEATHS_MAX)
		j->deaths[j->death_count++] = now_ms;
	(void)pthread_mutex_unlock(&j->lock);
}

uint64_t sim_judge_count(struct sim_judge *j, uint32_t which)
{
	(void)pthread_mutex_lock(&j->lock);
	uint64_t n = which < SIM_COUNT_COUNT ? j->counts[which] : 0;
	(void)pthread_mutex_unlock(&j->lock);
	return n;
}

static void print_violations(struct sim_judge *j, uint32_t limit, struct hd_buf *out)
{
	char slot[HD_TIME_TEXT], at[HD_TIME_TEXT];
	(void)hd_buf_add_text(out, ",\"violations\":[");
	for (size_t i = 0; i < j->kept_count && i < limit; i++) {
		const struct violation *v = &j->kept[i];
		hd_time_format(v->slot_ms, slot);
		hd_time_format(v->at_ms, at);
		(void)hd_buf_printf(out, "%s{\"rule\":\"%s\",\"work\":\"%s\",\"slot\":\"%s\",\"at\":\"%s\"}", i ? ",\n" : "", sim_count_names[v->rule], j->works[v->work].code,
		                    v->slot_ms ? slot : "", at);
	}
	(void)hd_buf_add_char(out, ']');
}

void sim_judge_print(struct sim_judge *j, const struct sim_verdict_query *q, int64_t now_ms, struct hd_buf *out)
{
	(void)pthread_mutex_lock(&j->lock);
	uint64_t broken = 0;
	for (uint32_t i = 0; i < SIM_RULE_COUNT; i++)
		broken += j->counts[i];
	(void)hd_buf_printf(out, "{\"broken\":%" PRIu64, broken);
	for (uint32_t i = 0; i < SIM_COUNT_COUNT; i++)
		(void)hd_buf_printf(out, ",\"%s\":%" PRIu64, sim_count_names[i], j->counts[i]);
	(void)hd_buf_printf(out, ",\"works\":%" PRIu32 ",\"centres\":%zu", j->work_count, j->centre_count);
	print_violations(j, q->limit, out);
	(void)pthread_mutex_unlock(&j->lock);
	sim_truth_coverage(j->sim, q, now_ms, out);
	(void)hd_buf_add_char(out, '}');
}
