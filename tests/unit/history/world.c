/* SPDX-License-Identifier: MIT */
#include "world.h"

#include "check.h"

#include "model/names.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const uint32_t world_points[WORLD_POINTS] = {0, 1, 2, 3, 7, 900, 200, 201, 202, 203, 204, 205, 206, 207, 208, 209, 210, 211, 212, 213, 214, 215, 216, 217, 218, 219};

uint32_t world_next(struct world *w, uint32_t bound)
{
	w->seed = w->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(w->seed >> 33) % bound;
}

struct made {
	struct hd_value raws[2], values[3];
	struct hd_flag flags[2];
	struct hd_sample sample;
};

/* All of a row follows from its identity and salt. */
static void make(const struct row *row, struct made *ret)
{
	uint64_t h = ((uint64_t)row->ts ^ row->point * UINT64_C(0x9e3779b97f4a7c15) ^ row->rev * 77u ^ row->salt * UINT64_C(0xff51afd7ed558ccd)) * UINT64_C(0xc4ceb9fe1a85ec53);
	double total = (double)(row->ts - JANUARY) / 1000.0 + (double)(h >> 60);
	*ret = (struct made){
		.raws = {{total * 10, HD_METRIC_PULSES, 1}, {(double)(h >> 20 & 1023) / 8, HD_METRIC_LEVEL, 1}},
		.values = {{total, HD_METRIC_TOTAL, h >> 50 & 15 ? 1.0f : 0.0f}, {(double)(h >> 40 & 255) / 10, HD_METRIC_FLOW, 0.5f}, {1.5, HD_METRIC_WATER_TABLE, 1}},
		.flags = {{HD_METRIC_TOTAL, (uint16_t)(1 + (h & 7)), 0, 3}, {HD_METRIC_FLOW, 2, 0, (uint32_t)(h >> 30 & 7)}},
	};
	ret->sample = (struct hd_sample){.ts_ms = row->ts, .point = row->point, .rev = row->rev, .generation = 1 + row->salt % 3,
					 .bits = h % 41 == 0 ? HD_SAMPLE_CLOCK : 0, .raw_count = (uint8_t)(1 + h % 2), .value_count = (uint8_t)(2 + (h >> 8) % 2),
					 .flag_count = h % 11 == 0 ? 2 : 0, .raws = ret->raws, .values = ret->values, .flags = ret->flags};
}

static void assert_row(const struct row *row, const struct hd_sample *s)
{
	struct made m;
	make(row, &m);
	const struct hd_sample *e = &m.sample;
	cr_assert(s->ts_ms == e->ts_ms && s->point == e->point && s->rev == e->rev && s->generation == e->generation && s->bits == e->bits,
		  "point %u: row of %lld rev %u instead of %lld rev %u", e->point, (long long)s->ts_ms, s->rev, (long long)e->ts_ms, e->rev);
	cr_assert(s->raw_count == e->raw_count && s->value_count == e->value_count && s->flag_count == e->flag_count);
	for (uint32_t i = 0; i < e->raw_count; i++)
		cr_assert_arr_eq(&s->raws[i], &e->raws[i], sizeof(struct hd_value));
	for (uint32_t i = 0; i < e->value_count; i++)
		cr_assert_arr_eq(&s->values[i], &e->values[i], sizeof(struct hd_value));
	for (uint32_t i = 0; i < e->flag_count; i++)
		cr_assert(s->flags[i].metric == e->flags[i].metric && s->flags[i].flag == e->flags[i].flag && s->flags[i].rule == e->flags[i].rule);
}

static void send(struct world *w)
{
	struct hydro_error err = {0};
	struct hd_batch *batch = w->batch;
	w->batch = NULL;
	while (batch && hd_journal_append(w->place.journal, batch, &err) == HYDRO_E_AGAIN)
		flush(&w->place);
}

void world_store(struct world *w, uint32_t point, int64_t ts, uint16_t rev)
{
	struct row row = {.ts = ts, .point = point, .rev = rev, .salt = (uint32_t)(ts / 1000 + rev * 7) % 997, .number = w->count};
	struct made m;
	make(&row, &m);
	if (w->batch && !hd_batch_has_room(w->batch))
		send(w);
	if (!w->batch)
		cr_assert_eq(hd_batch_new(100, 100 * 512 + HD_BATCH_SAMPLE_BYTES_MAX, &w->batch), HYDRO_OK);
	cr_assert_not_null(hd_batch_add(w->batch, &m.sample));
	if (w->count == w->capacity) {
		w->capacity = w->capacity ? w->capacity * 2 : 4096;
		w->rows = realloc(w->rows, w->capacity * sizeof *w->rows);
		cr_assert_not_null(w->rows);
	}
	w->rows[w->count++] = row;
}

void world_stored(struct world *w)
{
	send(w);
	flush(&w->place);
}

void world_begin(struct world *w, const struct hd_key *seal, uint64_t step_bytes)
{
	*w = (struct world){.seed = 11};
	new_place(&w->place, seal);
	close_place(&w->place);
	w->place.month_step_bytes = step_bytes;
	open_place(&w->place, seal);
}

void world_end(struct world *w)
{
	remove_place(&w->place);
	free(w->rows);
}

static int by_identity(const void *pa, const void *pb)
{
	const struct row *a = pa, *b = pb;
	if (a->point != b->point)
		return a->point < b->point ? -1 : 1;
	if (a->ts != b->ts)
		return a->ts < b->ts ? -1 : 1;
	if (a->rev != b->rev)
		return a->rev < b->rev ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

/* What a query must give, ascending. */
static uint32_t expected(const struct world *w, const struct hd_history_query *q, struct row **ret)
{
	struct row *rows = malloc((w->count + 1) * sizeof *rows);
	uint32_t count = 0, kept = 0;
	cr_assert_not_null(rows);
	for (uint32_t i = 0; i < w->count; i++)
		if (w->rows[i].point == q->point && w->rows[i].ts >= q->from_ms && w->rows[i].ts < q->to_ms)
			rows[count++] = w->rows[i];
	qsort(rows, count, sizeof *rows, by_identity);
	for (uint32_t i = 0; i < count; i++) {
		bool replaces = kept && rows[kept - 1].ts == rows[i].ts && (!q->all_revs || rows[kept - 1].rev == rows[i].rev);
		if (!replaces)
			kept++;
		rows[kept - 1] = rows[i];
	}
	*ret = rows;
	return kept;
}

struct compare {
	const struct row *rows;
	uint32_t count, seen;
	bool descending;
};

static int compare_row(void *arg, const struct hd_sample *sample)
{
	struct compare *c = arg;
	cr_assert_lt(c->seen, c->count, "point %u: a row too many, of %lld", sample->point, (long long)sample->ts_ms);
	assert_row(&c->rows[c->descending ? c->count - 1 - c->seen : c->seen], sample);
	c->seen++;
	return HYDRO_OK;
}

void world_check_query(struct world *w, const struct hd_history_query *q)
{
	struct hydro_error err = {0};
	struct row *rows;
	struct compare c = {.count = expected(w, q, &rows), .descending = q->descending};
	c.rows = rows;
	cr_assert_eq(hd_history_query(w->place.history, q, compare_row, &c, &err), HYDRO_OK, "%s", err.text);
	uint32_t most = q->limit && q->limit < c.count ? q->limit : c.count;
	cr_assert_eq(c.seen, most, "point %u: %u rows of %u", q->point, c.seen, most);
	free(rows);
}

struct fold {
	struct hd_aggregate hours[4000];
	uint32_t count;
};

static int fold_row(void *arg, const struct hd_sample *s)
{
	struct fold *f = arg;
	const struct hd_value *total = &s->values[0];
	if (s->bits & HD_SAMPLE_CLOCK || !(total->quality > 0))
		return HYDRO_OK;
	int64_t hour = s->ts_ms / HOUR * HOUR;
	if (!f->count || f->hours[f->count - 1].start_ms != hour)
		f->hours[f->count++] = (struct hd_aggregate){.start_ms = hour, .min = total->value, .max = total->value, .first = total->value};
	struct hd_aggregate *a = &f->hours[f->count - 1];
	a->count++;
	a->sum += total->value;
	a->min = fmin(a->min, total->value);
	a->max = fmax(a->max, total->value);
	a->last = total->value;
	return HYDRO_OK;
}

static int compare_hour(void *arg, const struct hd_aggregate *a)
{
	struct fold *f = arg;
	if (a->metric != HD_METRIC_TOTAL)
		return HYDRO_OK;
	const struct hd_aggregate *e = &f->hours[f->count++];
	cr_assert(a->start_ms == e->start_ms && a->count == e->count && a->sum == e->sum && a->min == e->min && a->max == e->max && a->first == e->first && a->last == e->last,
		  "hour %lld: %u values, sum %g instead of hour %lld, %u, %g", (long long)a->start_ms, a->count, a->sum, (long long)e->start_ms, e->count, e->sum);
	return HYDRO_OK;
}

void world_check_hours(struct world *w, uint32_t point, int64_t from, int64_t to)
{
	static struct fold fold;
	struct hydro_error err = {0};
	fold.count = 0;
	struct hd_history_query q = {.point = point, .from_ms = from, .to_ms = to};
	cr_assert_eq(hd_history_query(w->place.history, &q, fold_row, &fold, &err), HYDRO_OK, "%s", err.text);
	uint32_t count = fold.count;
	fold.count = 0;
	struct hd_history_aggregate_query a = {.point = point, .period = HD_PERIOD_HOUR, .from_ms = from, .to_ms = to};
	cr_assert_eq(hd_history_aggregates(w->place.history, &a, compare_hour, &fold, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(fold.count, count, "point %u: %u hours of %u", point, fold.count, count);
}

void world_check_all(struct world *w, uint32_t queries)
{
	for (size_t i = 0; i < WORLD_POINTS; i++) {
		world_check_query(w, &(struct hd_history_query){.point = world_points[i], .from_ms = INT64_MIN, .to_ms = INT64_MAX, .all_revs = true});
		world_check_hours(w, world_points[i], JANUARY - DAY, APRIL + DAY);
		for (uint32_t k = 0; k < queries; k++) {
			int64_t from = JANUARY - DAY + world_next(w, 92 * 24) * HOUR + world_next(w, 3) * MINUTE;
			world_check_query(w, &(struct hd_history_query){.point = world_points[i], .from_ms = from, .to_ms = from + (world_next(w, 3) ? world_next(w, 60) * DAY : 1 + world_next(w, 90) * MINUTE),
								  .descending = world_next(w, 2), .all_revs = world_next(w, 2), .limit = world_next(w, 3) ? 0 : 1 + world_next(w, 40)});
		}
	}
}

int64_t world_number(struct place *p, const char *sql)
{
	char path[160];
	sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;
	(void)snprintf(path, sizeof path, "%s/history.db", p->history_dir);
	cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
	int code = sqlite3_step(stmt);
	int64_t value = code == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : -1;
	cr_assert(code == SQLITE_ROW || code == SQLITE_DONE, "%s: %s", sql, sqlite3_errmsg(db));
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	return value;
}

void world_fill(struct world *w, int64_t from, int64_t to)
{
	for (int64_t ts = from; ts < to; ts += 4 * MINUTE) {
		world_store(w, 2, ts, 0);
		if (ts % HOUR == 0) {
			world_store(w, 0, ts, 0);
			world_store(w, 900, ts + world_next(w, 59) * 1000, 0);
		}
		for (uint32_t i = 6; i < WORLD_POINTS && ts % (6 * HOUR) == 0; i++)
			world_store(w, world_points[i], ts + i, 0);
		if (ts % (20 * MINUTE) == 0)
			world_store(w, 3, ts, 0);
		if (world_next(w, 3000) == 0)
			world_store(w, 1, ts + world_next(w, 1000), 0);
		if (world_next(w, 200) == 0)
			for (uint32_t n = world_next(w, 100); n > 0; n--)
				world_store(w, 7, ts + n * 1000, (uint16_t)world_next(w, 2));
	}
}
