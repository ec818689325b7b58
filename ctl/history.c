/* SPDX-License-Identifier: MIT */
#include "ctl.h"

#include "base/clock.h"
#include "base/timefmt.h"
#include "base/tz.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)
#define SERIES_MAX 16u

/* The daemon's clock: it may be simulated, and ours may be wrong. Ours when it does not say. */
static int64_t daemon_now_ms(struct ctl *ctl)
{
	cJSON *health = NULL;
	int64_t now_ms = hd_clock_wall_ms();
	if (ctl_get(ctl, "/health", &health) == CTL_EXIT_OK) {
		const char *text = ctl_text(health, "time");
		(void)hd_time_parse(text, strlen(text), false, &now_ms);
	}
	cJSON_Delete(health);
	return now_ms;
}

/* "/api/v1/analytics/points/{id}/{what}?from=…&to=…"; a logger's clock may be ahead: the default goes a day beyond now. */
static int series_path(struct ctl *ctl, const char *point, const char *what, const char *from, const char *to, int64_t back_ms, struct hd_buf *ret)
{
	char from_text[HD_TIME_TEXT], to_text[HD_TIME_TEXT];
	int64_t now_ms = from && to ? 0 : daemon_now_ms(ctl);
	hd_time_format(now_ms - back_ms, from_text);
	hd_time_format(now_ms + DAY_MS, to_text);
	hd_buf_add_text(ret, "/api/v1/analytics/points/");
	int code = ctl_point_id(ctl, point, ret);
	hd_buf_printf(ret, "/%s", what);
	ctl_query(ret, "from", from ? from : from_text);
	ctl_query(ret, "to", to ? to : to_text);
	return code;
}

static double time_of(const cJSON *row)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, "ts"));
	int64_t ms;
	return text && hd_time_parse(text, strlen(text), true, &ms) ? (double)ms : -1;
}

static const cJSON *measurements_of(const cJSON *row)
{
	return cJSON_GetObjectItemCaseSensitive(row, "values");
}

static void plot_metric(const struct ctl *ctl, const cJSON *rows, const char *name)
{
	size_t most = (size_t)cJSON_GetArraySize(rows), count = 0;
	double *times = calloc(most + 1, sizeof *times), *values = calloc(most + 1, sizeof *values);
	const char *unit = "";
	const cJSON *row;
	cJSON_ArrayForEach(row, rows) {
		const cJSON *metric = cJSON_GetObjectItemCaseSensitive(measurements_of(row), name);
		if (!times || !values || !cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(metric, "value")) || time_of(row) < 0)
			continue;
		unit = ctl_text(metric, "unit");
		times[count] = time_of(row);
		values[count++] = ctl_value(metric, "value");
	}
	char title[96];
	(void)snprintf(title, sizeof title, "%s (%s)", name, unit);
	ctl_plot(ctl, title, times, values, count);
	free(times);
	free(values);
}

/* Names of all metrics in the rows, in the order in which they come. */
static size_t metric_names(const cJSON *rows, const char *only, const char *ret[SERIES_MAX])
{
	size_t count = 0;
	const cJSON *row, *metric;
	cJSON_ArrayForEach(row, rows) {
		cJSON_ArrayForEach(metric, measurements_of(row)) {
			bool known = only && strcmp(metric->string, only) != 0;
			for (size_t i = 0; i < count && !known; i++)
				known = strcmp(ret[i], metric->string) == 0;
			if (!known && count < SERIES_MAX)
				ret[count++] = metric->string;
		}
	}
	return count;
}

/* "flow:above_range late"; each once */
static void flags_text(const cJSON *row, struct hd_buf *ret)
{
	const cJSON *flag, *note;
	cJSON_ArrayForEach(flag, cJSON_GetObjectItemCaseSensitive(row, "flags")) {
		const char *metric = ctl_text(flag, "metric");
		hd_buf_printf(ret, "%s%s%s%s", ret->len ? " " : "", metric, *metric ? ":" : "", ctl_text(flag, "flag"));
	}
	cJSON_ArrayForEach(note, cJSON_GetObjectItemCaseSensitive(row, "notes"))
		if (cJSON_IsString(note) && strcmp(note->valuestring, "fileable") != 0) /* nothing to look at */
			hd_buf_printf(ret, "%s%s", ret->len ? " " : "", note->valuestring);
}

/* Each row as {"ts", "<metric>"…, "flags"}, with titles that have the units, for a table. */
static cJSON *flat_rows(const cJSON *rows, const char *const *names, size_t count, char titles[][96])
{
	cJSON *flat = cJSON_CreateArray();
	const cJSON *row;
	for (size_t i = 0; i < count; i++)
		(void)snprintf(titles[i], 96, "%s=%zu", names[i], i);
	cJSON_ArrayForEach(row, rows) {
		cJSON *to = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(to, "ts", ctl_text(row, "ts"));
		for (size_t i = 0; i < count; i++) {
			char key[24];
			const cJSON *metric = cJSON_GetObjectItemCaseSensitive(measurements_of(row), names[i]);
			const char *unit = ctl_text(metric, "unit");
			(void)snprintf(key, sizeof key, "%zu", i);
			if (*unit)
				(void)snprintf(titles[i], 96, "%.40s %.20s=%zu", names[i], unit, i);
			if (cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(metric, "value")))
				(void)cJSON_AddNumberToObject(to, key, ctl_value(metric, "value"));
		}
		struct hd_buf flags = {0};
		flags_text(row, &flags);
		(void)cJSON_AddStringToObject(to, "flags", hd_buf_text(&flags));
		hd_buf_done(&flags);
		(void)cJSON_AddItemToArray(flat, to);
	}
	return flat;
}

static void print_rows(const struct ctl *ctl, const cJSON *rows, const char *const *names, size_t count)
{
	char titles[SERIES_MAX][96];
	const char *columns[SERIES_MAX + 2];
	cJSON *flat = flat_rows(rows, names, count, titles);
	columns[0] = "time=ts";
	for (size_t i = 0; i < count; i++)
		columns[i + 1] = titles[i];
	columns[count + 1] = "flags=flags";
	ctl_table(ctl, flat, columns, count + 2);
	cJSON_Delete(flat);
}

/* The answer has the newest first, so that a limit keeps the newest; people and plots want them last. */
static void turn_around(cJSON *answer)
{
	cJSON *turned = cJSON_CreateArray(), *items = cJSON_GetObjectItemCaseSensitive(answer, "items");
	for (cJSON *row; (row = cJSON_DetachItemFromArray(items, 0));)
		(void)cJSON_InsertItemInArray(turned, 0, row);
	(void)cJSON_ReplaceItemInObjectCaseSensitive(answer, "items", turned);
}

int ctl_history(struct ctl *ctl)
{
	const char *metric = ctl_option(ctl, "--metric"), *limit = ctl_option(ctl, "--limit");
	const char *from = ctl_option(ctl, "--from"), *to = ctl_option(ctl, "--to");
	bool plot = ctl_flag(ctl, "--plot");
	const char *point = ctl_positional(ctl);
	struct hd_buf path = {0};
	cJSON *answer = NULL;
	if (!point)
		return ctl_usage("which point? Give its id or name");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	int code = series_path(ctl, point, "history", from, to, DAY_MS, &path);
	ctl_query(&path, "order", "desc");
	ctl_query(&path, "limit", limit ? limit : "2000");
	ctl_query(&path, "metrics", metric);
	if (code == CTL_EXIT_OK)
		code = ctl_get(ctl, hd_buf_text(&path), &answer);
	if (code == CTL_EXIT_OK) {
		const char *names[SERIES_MAX];
		turn_around(answer);
		const cJSON *rows = ctl_items(answer);
		size_t count = metric_names(rows, metric, names);
		for (size_t i = 0; plot && !ctl->json && i < count; i++)
			plot_metric(ctl, rows, names[i]);
		if (ctl->json)
			ctl_print_json(answer);
		else if (count == 0)
			(void)puts("no measurements in this time");
		else if (!plot)
			print_rows(ctl, rows, names, count);
		if (cJSON_IsString(cJSON_GetObjectItemCaseSensitive(answer, "next")))
			(void)fprintf(stderr, "hydroctl: these are the newest %d; --limit shows more, up to 10000\n", cJSON_GetArraySize(rows));
	}
	cJSON_Delete(answer);
	hd_buf_done(&path);
	return code;
}

/* "2026-11-24T03:00:00Z" as it is called in its zone: "2026-11-24", "2026-11" or "2026-11-24 00:00". */
static void name_period(cJSON *row, const char *period, const struct hd_tz *tz)
{
	cJSON *start = cJSON_GetObjectItemCaseSensitive(row, "start");
	int64_t ms;
	char text[HD_TIME_TEXT];
	if (!cJSON_IsString(start) || !hd_time_parse(start->valuestring, strlen(start->valuestring), false, &ms))
		return;
	hd_time_format(ms + hd_tz_offset_ms(tz, ms), text);
	text[strcmp(period, "month") == 0 ? 7 : strcmp(period, "day") == 0 ? 10 : 16] = '\0';
	if (strlen(text) > 10)
		text[10] = ' ';
	(void)cJSON_SetValuestring(start, text);
}

static void print_aggregates(const struct ctl *ctl, cJSON *answer)
{
	static const char *const columns[] = {"start=start", "metric=metric", "unit=unit", "count=count", "suspect=suspect", "min=min", "mean=mean", "max=max", "volume m3=volume"};
	const char *zone = ctl_text(answer, "zone"), *period = ctl_text(answer, "period");
	struct hydro_error err = {0};
	struct hd_tz *tz = NULL;
	cJSON *row;
	bool local = hd_tz_load(zone, &tz, &err) == HYDRO_OK;
	cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(answer, "items")) {
		cJSON *mean = cJSON_GetObjectItemCaseSensitive(row, "mean");
		name_period(row, period, tz);
		if (cJSON_IsNumber(mean))
			cJSON_SetNumberValue(mean, round(mean->valuedouble * 1e4) / 1e4);
	}
	if (cJSON_GetArraySize(ctl_items(answer)))
		ctl_table(ctl, ctl_items(answer), columns, HD_ARRAY_LEN(columns));
	else
		(void)puts("no measurements in this time");
	(void)printf("by %s in %s\n", period, local ? zone : "UTC");
	hd_tz_free(&tz);
}

int ctl_aggregates(struct ctl *ctl)
{
	const char *period = ctl_option(ctl, "--period"), *zone = ctl_option(ctl, "--zone"), *metric = ctl_option(ctl, "--metric");
	const char *from = ctl_option(ctl, "--from"), *to = ctl_option(ctl, "--to");
	const char *point = ctl_positional(ctl);
	struct hd_buf path = {0};
	cJSON *answer = NULL;
	if (!point)
		return ctl_usage("which point? Give its id or name");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	int code = series_path(ctl, point, "aggregates", from, to, 30 * DAY_MS, &path);
	ctl_query(&path, "period", period ? period : "day");
	ctl_query(&path, "zone", zone);
	ctl_query(&path, "metrics", metric);
	if (code == CTL_EXIT_OK)
		code = ctl_get(ctl, hd_buf_text(&path), &answer);
	if (code == CTL_EXIT_OK && ctl->json)
		ctl_print_json(answer);
	else if (code == CTL_EXIT_OK)
		print_aggregates(ctl, answer);
	cJSON_Delete(answer);
	hd_buf_done(&path);
	return code;
}

static bool print_event(void *arg, const char *text)
{
	const struct ctl *ctl = arg;
	if (strncmp(text, "data:", 5) != 0)
		return true;
	text += 5 + (text[5] == ' ');
	cJSON *row = ctl->json ? NULL : cJSON_Parse(text);
	if (!row) {
		(void)puts(text);
	} else {
		const cJSON *metric;
		char number[CTL_NUMBER_TEXT];
		struct hd_buf flags = {0};
		flags_text(row, &flags);
		(void)fputs(ctl_text(row, "ts"), stdout);
		cJSON_ArrayForEach(metric, measurements_of(row))
			(void)printf("  %s %s %s", metric->string, ctl_number(ctl_value(metric, "value"), number), ctl_text(metric, "unit"));
		(void)printf("%s%s\n", flags.len ? "  " : "", hd_buf_text(&flags));
		hd_buf_done(&flags);
	}
	cJSON_Delete(row);
	/* A reader that has gone ends it. */
	return fflush(stdout) == 0;
}

int ctl_watch(struct ctl *ctl)
{
	const char *point = ctl_positional(ctl);
	struct hd_buf path = {0};
	if (!point)
		return ctl_usage("which point? Give its id or name");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	hd_buf_add_text(&path, "/api/v1/analytics/points/");
	int code = ctl_point_id(ctl, point, &path);
	hd_buf_add_text(&path, "/realtime");
	if (code == CTL_EXIT_OK)
		code = ctl_stream(ctl, hd_buf_text(&path), print_event, ctl);
	hd_buf_done(&path);
	return code;
}
