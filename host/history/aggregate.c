/* SPDX-License-Identifier: MIT */
/* Hours, days and months of a zone, folded from hours. */
#include "history/internal.h"

#include "base/timefmt.h"
#include "base/tz.h"
#include "model/names.h"

#include <math.h>

/* What is being folded: one aggregate a metric, and the last total of the period before. */
struct fold {
	const struct hd_history_aggregate_query *query;
	hd_history_aggregate_fn row;
	void *arg;
	int64_t from_ms;   /* periods that start before it only give the last total */
	int64_t period_ms; /* start of the open period */
	struct hd_aggregate metrics[HD_METRICS_PER_SAMPLE_MAX];
	uint32_t count;
	double last_total;
};

static int64_t period_start(const struct hd_tz *zone, uint32_t period, int64_t ms)
{
	int64_t local = ms + hd_tz_offset_ms(zone, ms);
	if (period == HD_PERIOD_HOUR)
		return ms - ((local % HOUR_MS) + HOUR_MS) % HOUR_MS;
	int64_t day = history_day(local);
	if (period == HD_PERIOD_MONTH) {
		int64_t year;
		unsigned month, of_month;
		hd_civil_from_days(day, &year, &month, &of_month);
		day -= of_month - 1;
	}
	return hd_tz_from_local_ms(zone, day * DAY_MS);
}

static int64_t period_next(const struct hd_tz *zone, uint32_t period, int64_t start)
{
	/* A little into the next one, whatever the clock does there: hours + 1, days + 25 to 27 h, months + 32 days. */
	int64_t beyond = period == HD_PERIOD_HOUR ? HOUR_MS : period == HD_PERIOD_DAY ? 26 * HOUR_MS : 32 * DAY_MS;
	return period_start(zone, period, start + beyond);
}

static int fold_flush(struct fold *fold)
{
	for (uint32_t i = 0; i < fold->count; i++) {
		struct hd_aggregate *a = &fold->metrics[i];
		a->start_ms = fold->period_ms;
		a->volume = a->metric == HD_METRIC_TOTAL ? a->last - fold->last_total : NAN;
		if (a->metric == HD_METRIC_TOTAL)
			fold->last_total = a->last;
		int rc = fold->period_ms >= fold->from_ms ? fold->row(fold->arg, a) : HYDRO_OK;
		if (rc != HYDRO_OK)
			return rc;
	}
	fold->count = 0;
	return HYDRO_OK;
}

static int fold_take(struct fold *fold, const struct hd_aggregate *hour)
{
	int64_t period = period_start(fold->query->zone, fold->query->period, hour->start_ms);
	if (period != fold->period_ms) {
		int rc = fold_flush(fold);
		if (rc != HYDRO_OK)
			return rc;
		fold->period_ms = period;
	}
	for (uint32_t i = 0; i < fold->count; i++) {
		struct hd_aggregate *a = &fold->metrics[i];
		if (a->metric != hour->metric)
			continue;
		a->count += hour->count;
		a->suspect += hour->suspect;
		a->min = fmin(a->min, hour->min);
		a->max = fmax(a->max, hour->max);
		a->sum += hour->sum;
		a->last = hour->last;
		a->last_ms = hour->last_ms;
		return HYDRO_OK;
	}
	if (fold->count < HD_METRICS_PER_SAMPLE_MAX)
		fold->metrics[fold->count++] = *hour;
	return HYDRO_OK;
}

/* The day's hours: the stored ones where nothing newer is in the journal, else from the rows. */
static int day_hours(struct hd_history *history, struct history_reader *reader, const struct hd_history_query *query, int64_t day, struct history_hours *ret,
		     struct hydro_error *err)
{
	int64_t key = history_key(day, query->point, 0);
	if (!history_journal_has_days(reader, day, day + 1)) {
		(void)sqlite3_bind_int64(reader->hours, 1, key);
		int code = sqlite3_step(reader->hours), rc = HYDRO_OK;
		if (code == SQLITE_ROW) {
			const void *data;
			size_t len;
			rc = history_open_sealed(history, -key, sqlite3_column_blob(reader->hours, 0), (size_t)sqlite3_column_bytes(reader->hours, 0), &reader->opened,
						 &data, &len, err);
			if (rc == HYDRO_OK && !history_hours_get(data, len, day, ret))
				rc = hd_error_set(err, HYDRO_E_CORRUPT, "aggregates of point %u, day %lld do not check", query->point, (long long)day);
		}
		(void)sqlite3_reset(reader->hours);
		if (code == SQLITE_ROW)
			return rc;
	}
	int rc = history_gather_day(history, reader, query, day, err);
	if (rc == HYDRO_OK && history_hours_of(&reader->day, ret) != HYDRO_OK)
		rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory for aggregates");
	return rc;
}

static int fold_days(struct hd_history *history, struct history_reader *reader, const struct hd_history_query *query, struct fold *fold, struct hydro_error *err)
{
	struct history_hours hours = {0};
	int rc = HYDRO_OK;
	for (int64_t day = history_day(query->from_ms); rc == HYDRO_OK && day <= history_day(query->to_ms - 1); day++) {
		rc = day_hours(history, reader, query, day, &hours, err);
		for (uint32_t i = 0; rc == HYDRO_OK && i < hours.count; i++)
			if (hours.hours[i].start_ms >= query->from_ms && hours.hours[i].start_ms < query->to_ms)
				rc = fold_take(fold, &hours.hours[i]);
		if (history_month_is_empty(reader, day))
			day = reader->month.end_day - 1;
	}
	history_hours_done(&hours);
	return rc == HYDRO_OK ? fold_flush(fold) : rc;
}

int hd_history_aggregates(struct hd_history *history, const struct hd_history_aggregate_query *query, hd_history_aggregate_fn row, void *arg,
			  struct hydro_error *err)
{
	if (query->period < HD_PERIOD_HOUR || query->period > HD_PERIOD_MONTH)
		return hd_error_set(err, HYDRO_E_INVALID, "no such period: %u", query->period);
	int64_t from = HD_MAX(query->from_ms, HD_TS_MIN_MS + 40 * DAY_MS), to = HD_MIN(query->to_ms, HD_TS_MAX_MS - 40 * DAY_MS);
	if (from >= to)
		return HYDRO_OK;
	struct fold fold = {.query = query, .row = row, .arg = arg, .period_ms = INT64_MIN, .last_total = NAN};
	fold.from_ms = period_start(query->zone, query->period, from);
	struct hd_history_query rows = {
		.point = query->point,
		.from_ms = period_start(query->zone, query->period, fold.from_ms - 1),
		.to_ms = period_next(query->zone, query->period, period_start(query->zone, query->period, to - 1)),
	};
	struct history_reader *reader;
	int rc = history_snapshot_begin(history, &rows, &reader, err);
	if (rc != HYDRO_OK)
		return rc;
	rc = fold_days(history, reader, &rows, &fold, err);
	history_snapshot_end(history, reader);
	return rc;
}
