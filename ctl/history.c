/* SPDX-License-Identifier: MIT */
#include "ctl.h"

#include "base/clock.h"
#include "base/timefmt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)
#define SERIES_MAX 16u

static void time_default(const char *given, int64_t fallback_ms, char ret[HD_TIME_TEXT])
{
	if (given)
		(void)snprintf(ret, HD_TIME_TEXT, "%s", given);
	else
		hd_time_format(fallback_ms, ret);
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

static double value_of(const cJSON *metric)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(metric, "value");
	return cJSON_IsNumber(value) ? value->valuedouble : 0;
}

static void plot_metric(const struct ctl *ctl, const cJSON *rows, const char *name)
{
	size_t most = (size_t)cJSON_GetArraySize(rows), count = 0;
	double *times = calloc(most + 1, sizeof *times), *values = calloc(most + 1, sizeof *values);
	const char *unit = "";
	const cJSON *row;
	cJSON_ArrayForEach(row, rows) {
		const cJSON *metric = cJSON_GetObjectItemCaseSensitive(measurements_of(row), name);
		if (!times || !values || !metric || time_of(row) < 0)
			continue;
		const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metric, "unit"));
		unit = text ? text : unit;
		times[count] = time_of(row);
		values[count++] = value_of(metric);
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

static void flags_text(const cJSON *row, struct hd_buf *ret)
{
	const cJSON *flag;
	cJSON_ArrayForEach(flag, cJSON_GetObjectItemCaseSensitive(row, "flags")) {
		const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(flag, "flag"));
		const char *metric = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(flag, "metric"));
		hd_buf_printf(ret, "%s%s%s%s", ret->len ? " " : "", metric ? metric : "", metric ? ":" : "", name ? name : "?");
	}
}

static void print_rows(const struct ctl *ctl, const cJSON *rows, const char *const *names, size_t count)
{
	(void)printf("%s%-24s", ctl->color ? "\033[1m" : "", "timestamp");
	for (size_t i = 0; i < count; i++)
		(void)printf("%16s", names[i]);
	(void)printf("  flags%s\n", ctl->color ? "\033[0m" : "");
	const cJSON *row;
	cJSON_ArrayForEach(row, rows) {
		const char *ts = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, "ts"));
		(void)printf("%-24s", ts ? ts : "");
		for (size_t i = 0; i < count; i++) {
			const cJSON *metric = cJSON_GetObjectItemCaseSensitive(measurements_of(row), names[i]);
			if (metric)
				(void)printf("%16.10g", value_of(metric));
			else
				(void)printf("%16s", "");
		}
		struct hd_buf flags = {0};
		flags_text(row, &flags);
		(void)printf("  %s\n", hd_buf_text(&flags));
		hd_buf_done(&flags);
	}
}

int ctl_history(struct ctl *ctl)
{
	const char *metric = ctl_option(ctl, "--metric"), *limit = ctl_option(ctl, "--limit");
	const char *from = ctl_option(ctl, "--from"), *to = ctl_option(ctl, "--to");
	bool plot = ctl_flag(ctl, "--plot");
	const char *point = ctl_positional(ctl);
	if (!point)
		return ctl_usage("which point? Give its id");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	char from_text[HD_TIME_TEXT], to_text[HD_TIME_TEXT];
	time_default(from, hd_clock_wall_ms() - DAY_MS, from_text);
	time_default(to, hd_clock_wall_ms() + DAY_MS, to_text);
	struct hd_buf path = {0};
	cJSON *answer = NULL;
	hd_buf_add_text(&path, "/api/v1/analytics/points/");
	ctl_escape(&path, point);
	hd_buf_add_text(&path, "/history?from=");
	ctl_escape(&path, from_text);
	hd_buf_add_text(&path, "&to=");
	ctl_escape(&path, to_text);
	hd_buf_printf(&path, "&limit=%s", limit ? limit : "5000");
	if (metric) {
		hd_buf_add_text(&path, "&metrics=");
		ctl_escape(&path, metric);
	}
	int code = ctl_get(ctl, hd_buf_text(&path), &answer);
	if (code == CTL_EXIT_OK && ctl->json) {
		ctl_print_json(answer);
	} else if (code == CTL_EXIT_OK) {
		const char *names[SERIES_MAX];
		const cJSON *rows = ctl_items(answer);
		size_t count = metric_names(rows, metric, names);
		for (size_t i = 0; plot && i < count; i++)
			plot_metric(ctl, rows, names[i]);
		if (!plot)
			print_rows(ctl, rows, names, count);
		if (count == 0)
			(void)puts("no measurements in this time");
	}
	cJSON_Delete(answer);
	hd_buf_done(&path);
	return code;
}

int ctl_aggregates(struct ctl *ctl)
{
	static const char *const columns[] = {"start=start", "metric=metric", "count=count", "suspect=suspect", "min=min", "mean=mean", "max=max", "volume=volume"};
	const char *period = ctl_option(ctl, "--period"), *zone = ctl_option(ctl, "--zone");
	const char *from = ctl_option(ctl, "--from"), *to = ctl_option(ctl, "--to");
	const char *point = ctl_positional(ctl);
	if (!point)
		return ctl_usage("which point? Give its id");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	char from_text[HD_TIME_TEXT], to_text[HD_TIME_TEXT];
	time_default(from, hd_clock_wall_ms() - 30 * DAY_MS, from_text);
	time_default(to, hd_clock_wall_ms() + DAY_MS, to_text);
	struct hd_buf path = {0};
	cJSON *answer = NULL;
	hd_buf_add_text(&path, "/api/v1/analytics/points/");
	ctl_escape(&path, point);
	hd_buf_printf(&path, "/aggregates?period=%s&from=", period ? period : "day");
	ctl_escape(&path, from_text);
	hd_buf_add_text(&path, "&to=");
	ctl_escape(&path, to_text);
	if (zone) {
		hd_buf_add_text(&path, "&zone=");
		ctl_escape(&path, zone);
	}
	int code = ctl_get(ctl, hd_buf_text(&path), &answer);
	if (code == CTL_EXIT_OK && ctl->json)
		ctl_print_json(answer);
	else if (code == CTL_EXIT_OK)
		ctl_table(ctl, ctl_items(answer), columns, HD_ARRAY_LEN(columns));
	cJSON_Delete(answer);
	hd_buf_done(&path);
	return code;
}

static bool print_event(void *arg, const char *text)
{
	(void)arg;
	if (strncmp(text, "data:", 5) == 0)
		(void)printf("%s\n", text + 5 + (text[5] == ' '));
	(void)fflush(stdout);
	return true;
}

int ctl_watch(struct ctl *ctl)
{
	const char *point = ctl_positional(ctl);
	struct hd_buf path = {0};
	if (!point)
		return ctl_usage("which point? Give its id");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	hd_buf_add_text(&path, "/api/v1/analytics/points/");
	ctl_escape(&path, point);
	hd_buf_add_text(&path, "/realtime");
	int code = ctl_stream(ctl, hd_buf_text(&path), print_event, NULL);
	hd_buf_done(&path);
	return code;
}
