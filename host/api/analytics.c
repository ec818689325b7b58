/* SPDX-License-Identifier: MIT */
/* History and aggregates of a point. */
#include "api/internal.h"

#include "base/clock.h"
#include "base/timefmt.h"
#include "base/tz.h"
#include "model/flags.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_WINDOW_MS (30 * 24 * 3600 * HD_MS_PER_S)
#define DEFAULT_ZONE "America/Santiago"
#define STOP 1 /* returned by a row function that has enough */

static int take_window(const struct hd_http_request *req, int64_t *ret_from, int64_t *ret_to, struct hydro_error *err)
{
	const struct hd_http_value *from = hd_http_param(req, "from"), *to = hd_http_param(req, "to");
	*ret_to = to->is_set ? to->integer : hd_clock_wall_ms() + 1;
	*ret_from = from->is_set ? from->integer : *ret_to - DEFAULT_WINDOW_MS;
	return *ret_from < *ret_to ? HYDRO_OK : hd_error_set(err, HYDRO_E_INVALID, "parameter from: must lie before `to`");
}

/* ---- history ----------------------------------------------------------------------------------------------------------------- */

struct rows {
	struct hd_api *api;
	struct hd_buf *body;
	uint32_t only[HD_METRICS_PER_SAMPLE_MAX + 1];
	bool csv, with_raw, descending, has_more;
	uint32_t count, limit;
	bool has_cursor;
	int64_t after_ts, last_ts;
	uint32_t after_rev, last_rev;
};

static void csv_line(struct rows *rows, const struct hd_sample *sample, const char *kind, const struct hd_value *value)
{
	char ts[HD_TIME_TEXT];
	bool raw = kind[0] == 'r';
	const char *name = hd_names_get(rows->api->deps.names, HD_NAME_METRIC, value->metric);
	hd_time_format(sample->ts_ms, ts);
	hd_buf_printf(rows->body, "%s,%u,%s,%s,", ts, sample->rev, kind, name ? name : "?");
	if (isfinite(value->value))
		hd_buf_add_number(rows->body, value->value);
	hd_buf_printf(rows->body, ",%s,%.4g,", raw ? "" : hd_metric_unit(value->metric), (double)value->quality);
	bool first = true;
	for (uint32_t i = 0; i < sample->flag_count && !raw; i++) {
		if (sample->flags[i].metric != 0 && sample->flags[i].metric != value->metric)
			continue;
		hd_buf_printf(rows->body, "%s%s", first ? "" : " ", hd_flag_text(rows->api->deps.names, &sample->flags[i]));
		first = false;
	}
	hd_buf_add_text(rows->body, "\r\n");
}

static bool is_wanted(const struct rows *rows, uint32_t metric)
{
	const uint32_t *only = rows->only;
	if (!only[0])
		return true;
	while (*only && *only != metric)
		only++;
	return *only != 0;
}

static void csv_rows(struct rows *rows, const struct hd_sample *sample)
{
	for (uint32_t i = 0; i < sample->value_count; i++)
		if (is_wanted(rows, sample->values[i].metric))
			csv_line(rows, sample, "value", &sample->values[i]);
	for (uint32_t i = 0; i < sample->raw_count && rows->with_raw; i++)
		if (is_wanted(rows, sample->raws[i].metric))
			csv_line(rows, sample, "raw", &sample->raws[i]);
}

static int take_row(void *arg, const struct hd_sample *sample)
{
	struct rows *rows = arg;
	if (rows->has_cursor && sample->ts_ms == rows->after_ts && (rows->descending ? sample->rev >= rows->after_rev : sample->rev <= rows->after_rev))
		return HYDRO_OK;
	if (rows->count == rows->limit) {
		rows->has_more = true;
		return STOP;
	}
	if (rows->csv) {
		csv_rows(rows, sample);
	} else {
		if (rows->count)
			hd_buf_add_char(rows->body, ',');
		hd_json_sample(rows->api, rows->body, sample, rows->only, rows->with_raw);
	}
	rows->count++;
	rows->last_ts = sample->ts_ms;
	rows->last_rev = sample->rev;
	return rows->body->failed ? HYDRO_E_NOMEM : HYDRO_OK;
}

/* "<ts>.<rev>" of the last row given narrows the window. */
static int take_cursor(const struct hd_http_request *req, struct rows *rows, struct hd_history_query *query, struct hydro_error *err)
{
	const struct hd_http_value *cursor = hd_http_param(req, "cursor");
	if (!cursor->is_set)
		return HYDRO_OK;
	char *end;
	errno = 0;
	rows->after_ts = strtoll(cursor->text, &end, 10);
	bool ok = !errno && end > cursor->text && *end == '.';
	unsigned long rev = ok ? strtoul(end + 1, &end, 10) : 0;
	if (!ok || *end || rev > UINT16_MAX || rows->after_ts < HD_TS_MIN_MS || rows->after_ts >= HD_TS_MAX_MS)
		return hd_error_set(err, HYDRO_E_INVALID, "parameter cursor: take it from `next` of the page before");
	rows->has_cursor = true;
	rows->after_rev = (uint32_t)rev;
	if (query->descending)
		query->to_ms = HD_MIN(query->to_ms, rows->after_ts + 1);
	else
		query->from_ms = HD_MAX(query->from_ms, rows->after_ts);
	return HYDRO_OK;
}

static void end_page(const struct hd_http_request *req, struct hd_http_response *resp, const struct rows *rows)
{
	char next[64];
	(void)req;
	(void)snprintf(next, sizeof next, "%" PRId64 ".%u", rows->last_ts, rows->last_rev);
	if (rows->csv) {
		resp->content_type = "text/csv; charset=utf-8";
		if (rows->has_more)
			memcpy(resp->next, next, sizeof next);
	} else if (rows->has_more) {
		hd_buf_printf(&resp->body, "],\"next\":\"%s\"}", next);
	} else {
		hd_buf_add_text(&resp->body, "],\"next\":null}");
	}
}

HD_HANDLER(history)
{
	struct hd_api *api = HD_API(arg);
	struct rows rows = {.api = api, .body = &resp->body, .csv = hd_http_param(req, "format")->integer == 1, .with_raw = hd_http_param(req, "raw")->integer,
			    .limit = (uint32_t)hd_http_param(req, "limit")->integer};
	struct hd_history_query query = {.descending = hd_http_param(req, "order")->integer == 1, .all_revs = hd_http_param(req, "revisions")->integer};
	HD_NEED(api, history);
	rows.descending = query.descending;
	int rc = hd_api_find_point(api, req, &query.point, err);
	if (rc != HYDRO_OK || (rc = take_window(req, &query.from_ms, &query.to_ms, err)) != HYDRO_OK || (rc = take_cursor(req, &rows, &query, err)) != HYDRO_OK ||
	    (rc = hd_api_metrics(api, hd_http_param(req, "metrics")->text, rows.only, err)) != HYDRO_OK)
		return rc;
	/* One more tells whether there is a next page; rows at the cursor's ts are skipped here. */
	query.limit = rows.has_cursor ? 0 : rows.limit + 1;
	if (rows.csv) {
		hd_buf_add_text(&resp->body, "ts,rev,kind,metric,value,unit,quality,flags\r\n");
	} else {
		hd_buf_add_char(&resp->body, '{');
		hd_json_id(&resp->body, "point", &hd_http_param(req, "id")->uuid);
		hd_buf_add_text(&resp->body, ",\"items\":[");
	}
	rc = query.from_ms < query.to_ms ? api->deps.history(api->deps.arg, &query, take_row, &rows, err) : HYDRO_OK;
	if (rc != HYDRO_OK && rc != STOP)
		return rc;
	end_page(req, resp, &rows);
	return HYDRO_OK;
}

/* ---- aggregates ---------------------------------------------------------------------------------------------------------------- */

static void add_double(struct hd_buf *ret, const char *key, double value)
{
	hd_buf_printf(ret, ",\"%s\":", key);
	hd_buf_add_number(ret, value);
}

static void json_aggregate(struct rows *rows, const struct hd_aggregate *a, const char *name)
{
	struct hd_buf *ret = rows->body;
	if (rows->count)
		hd_buf_add_char(ret, ',');
	hd_buf_add_char(ret, '{');
	hd_json_time(ret, "start", a->start_ms);
	hd_json_text(ret, "metric", name);
	hd_json_text(ret, "unit", hd_metric_unit(a->metric));
	hd_json_int(ret, "count", a->count);
	hd_json_int(ret, "suspect", a->suspect);
	add_double(ret, "min", a->min);
	add_double(ret, "max", a->max);
	add_double(ret, "mean", a->count ? a->sum / a->count : NAN);
	add_double(ret, "first", a->first);
	add_double(ret, "last", a->last);
	add_double(ret, "volume", a->volume);
	hd_buf_add_char(ret, '}');
}

static void csv_aggregate(struct rows *rows, const struct hd_aggregate *a, const char *name)
{
	char start[HD_TIME_TEXT];
	const double values[] = {a->min, a->max, a->count ? a->sum / a->count : NAN, a->first, a->last, a->volume};
	hd_time_format(a->start_ms, start);
	hd_buf_printf(rows->body, "%s,%s,%s,%u,%u", start, name, hd_metric_unit(a->metric), a->count, a->suspect);
	for (size_t i = 0; i < HD_ARRAY_LEN(values); i++) {
		hd_buf_add_char(rows->body, ',');
		if (isfinite(values[i]))
			hd_buf_add_number(rows->body, values[i]);
	}
	hd_buf_add_text(rows->body, "\r\n");
}

static int take_aggregate(void *arg, const struct hd_aggregate *aggregate)
{
	struct rows *rows = arg;
	if (!is_wanted(rows, aggregate->metric))
		return HYDRO_OK;
	const char *name = hd_names_get(rows->api->deps.names, HD_NAME_METRIC, aggregate->metric);
	if (rows->csv)
		csv_aggregate(rows, aggregate, name ? name : "?");
	else
		json_aggregate(rows, aggregate, name ? name : "?");
	rows->count++;
	return rows->body->failed ? HYDRO_E_NOMEM : HYDRO_OK;
}

/* The zone asked for, else the point's, else Chile's. */
static int take_zone(struct hd_api *api, const struct hd_http_request *req, uint32_t index, char ret_name[65], struct hd_tz **ret, struct hydro_error *err)
{
	const struct hd_http_value *asked = hd_http_param(req, "zone");
	HD_CLEANUP(hd_cleanup_point) const struct hd_point *point = hd_points_get(api->deps.points, index);
	const char *name = asked->is_set ? asked->text : point ? hd_point_zone(point) : "";
	(void)snprintf(ret_name, 65, "%s", name[0] ? name : DEFAULT_ZONE);
	int rc = hd_tz_load(ret_name, ret, err);
	return rc == HYDRO_OK || !asked->is_set ? rc : hd_error_set(err, HYDRO_E_INVALID, "parameter zone: there is no time zone \"%.64s\"", ret_name);
}

HD_HANDLER(aggregates)
{
	static const char *const periods[] = {"hour", "day", "month"};
	struct hd_api *api = HD_API(arg);
	uint32_t period = (uint32_t)hd_http_param(req, "period")->integer;
	struct rows rows = {.api = api, .body = &resp->body, .csv = hd_http_param(req, "format")->integer == 1};
	struct hd_history_aggregate_query query = {.period = HD_PERIOD_HOUR + period};
	struct hd_tz *tz = NULL;
	char zone[65];
	HD_NEED(api, aggregates);
	int rc = hd_api_find_point(api, req, &query.point, err);
	if (rc != HYDRO_OK || (rc = take_window(req, &query.from_ms, &query.to_ms, err)) != HYDRO_OK ||
	    (rc = hd_api_metrics(api, hd_http_param(req, "metrics")->text, rows.only, err)) != HYDRO_OK ||
	    (rc = take_zone(api, req, query.point, zone, &tz, err)) != HYDRO_OK)
		return rc;
	query.zone = tz;
	if (rows.csv) {
		resp->content_type = "text/csv; charset=utf-8";
		hd_buf_add_text(&resp->body, "start,metric,unit,count,suspect,min,max,mean,first,last,volume\r\n");
	} else {
		hd_buf_add_char(&resp->body, '{');
		hd_json_id(&resp->body, "point", &hd_http_param(req, "id")->uuid);
		hd_json_text(&resp->body, "period", periods[period]);
		hd_json_text(&resp->body, "zone", zone);
		hd_buf_add_text(&resp->body, ",\"items\":[");
	}
	rc = api->deps.aggregates(api->deps.arg, &query, take_aggregate, &rows, err);
	if (!rows.csv)
		hd_buf_add_text(&resp->body, "]}");
	hd_tz_free(&tz);
	return rc;
}
