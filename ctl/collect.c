/* SPDX-License-Identifier: MIT */
/* Collecting now, and a dry poll laid out for a person: request, answer, readings, what each step made of them. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_SHOWN 600
#define READINGS_SHOWN 3

static void heading(const struct ctl *ctl, const char *text)
{
	(void)printf("\n%s%s%s\n", ctl->color ? "\033[1m" : "", text, ctl->color ? "\033[0m" : "");
}

static void print_request(const cJSON *row)
{
	const cJSON *header;
	const char *outcome = ctl_text(row, "outcome"), *reason = ctl_text(row, "reason"), *failure = ctl_text(row, "failure");
	if (*outcome) {
		(void)printf("  part %.0f: %s%s%s\n", ctl_value(row, "part"), outcome, *reason ? ": " : "", reason);
		return;
	}
	(void)printf("  %s %s\n", ctl_text(row, "method"), ctl_text(row, "url"));
	cJSON_ArrayForEach(header, cJSON_GetObjectItemCaseSensitive(row, "headers"))
		(void)printf("    %s: %s\n", header->string, cJSON_GetStringValue(header));
	if (*failure) {
		(void)printf("  no answer: %s\n", failure);
		return;
	}
	const char *answer = ctl_text(row, "answer");
	(void)printf("  answer: %.0f, %.0f bytes\n", ctl_value(row, "status"), ctl_value(row, "answer_bytes"));
	(void)printf("    %.*s%s\n", ANSWER_SHOWN, answer, strlen(answer) > ANSWER_SHOWN ? " … (--json shows more)" : "");
}

/* "flow 2.2 l/s" */
static void add_value(struct hd_buf *ret, const cJSON *value)
{
	char number[CTL_NUMBER_TEXT];
	double v = cJSON_IsNumber(value) ? value->valuedouble : ctl_value(value, "value");
	const char *unit = ctl_text(value, "unit");
	hd_buf_printf(ret, "%s%s %s%s%s", ret->len ? "  " : "", value->string, ctl_number(v, number), *unit ? " " : "", unit);
}

static void add_all(struct hd_buf *ret, const cJSON *values, const cJSON *flags)
{
	const cJSON *item;
	cJSON_ArrayForEach(item, values)
		add_value(ret, item);
	cJSON_ArrayForEach(item, flags) {
		const char *metric = ctl_text(item, "metric");
		hd_buf_printf(ret, "%sflag %s%s%s", ret->len ? "  " : "", ctl_text(item, "flag"), *metric ? " on " : "", metric);
	}
}

static void print_line(const char *title, const cJSON *values, const cJSON *flags)
{
	struct hd_buf text = {0};
	add_all(&text, values, flags);
	(void)printf("    %-30s %s\n", title, text.len ? hd_buf_text(&text) : "-");
	hd_buf_done(&text);
}

void ctl_print_steps(const cJSON *reading)
{
	const cJSON *step;
	(void)printf("  %s  (%s)\n", ctl_text(reading, "ts"), ctl_text(reading, "known"));
	print_line("as read", cJSON_GetObjectItemCaseSensitive(reading, "raws"), NULL);
	cJSON_ArrayForEach(step, cJSON_GetObjectItemCaseSensitive(reading, "steps")) {
		const char *lib = ctl_text(step, "lib");
		char title[160];
		(void)snprintf(title, sizeof title, "%s%s%s %.0f %s", *lib ? "lib/" : "line", lib, *lib ? ".lua" : "", ctl_value(step, "line"), ctl_text(step, "step"));
		print_line(title, cJSON_GetObjectItemCaseSensitive(step, "sets"), cJSON_GetObjectItemCaseSensitive(step, "flags"));
	}
	print_line("measurement", cJSON_GetObjectItemCaseSensitive(reading, "values"), cJSON_GetObjectItemCaseSensitive(reading, "flags"));
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(reading, "unprocessed")))
		(void)puts("    a step failed: it would be stored unprocessed");
}

static void print_dry(const struct ctl *ctl, const cJSON *answer, bool all)
{
	const cJSON *row, *readings = cJSON_GetObjectItemCaseSensitive(answer, "readings");
	const cJSON *pipeline = cJSON_GetObjectItemCaseSensitive(answer, "pipeline"), *rows = cJSON_GetObjectItemCaseSensitive(pipeline, "readings");
	(void)printf("point %s, provider %s, asked for %s; nothing is stored\n", ctl_text(answer, "point"), ctl_text(answer, "provider"), ctl_text(answer, "mode"));
	heading(ctl, "requests");
	cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(answer, "requests"))
		print_request(row);
	int count = cJSON_GetArraySize(rows), left_out = all ? 0 : HD_MAX(count - READINGS_SHOWN, 0);
	heading(ctl, "readings and pipeline");
	(void)printf("  %d values in %d readings%s\n", cJSON_GetArraySize(readings), count, left_out ? "; the newest three (--all shows the others):" : "");
	cJSON_ArrayForEach(row, rows)
		if (left_out-- <= 0)
			ctl_print_steps(row);
	if (*ctl_text(pipeline, "error"))
		(void)printf("  the pipeline: %s\n", ctl_text(pipeline, "error"));
}

static int collect_point(struct ctl *ctl, const char *point, bool dry, bool all)
{
	struct hd_buf path = {0};
	cJSON *answer = NULL;
	hd_buf_add_text(&path, "/api/v1/points/");
	int code = ctl_point_id(ctl, point, &path);
	hd_buf_add_text(&path, dry ? "/collect?dry=true" : "/collect");
	if (code == CTL_EXIT_OK)
		code = ctl_request(ctl, "POST", hd_buf_text(&path), NULL, "", 0, &answer);
	if (code == CTL_EXIT_OK && ctl->json)
		ctl_print_json(answer);
	else if (code == CTL_EXIT_OK && dry)
		print_dry(ctl, answer, all);
	else if (code == CTL_EXIT_OK)
		(void)printf("%s is due now\n", point);
	cJSON_Delete(answer);
	hd_buf_done(&path);
	return code;
}

static int collect_provider(struct ctl *ctl, const char *provider)
{
	struct hd_buf path = {0};
	cJSON *answer = NULL;
	hd_buf_add_text(&path, "/collect/");
	ctl_escape(&path, provider);
	int code = ctl_request(ctl, "POST", hd_buf_text(&path), NULL, "", 0, &answer);
	if (code == CTL_EXIT_OK && ctl->json)
		ctl_print_json(answer);
	else if (code == CTL_EXIT_OK)
		(void)printf("%.0f points of %s are due now\n", ctl_value(answer, "points"), provider);
	cJSON_Delete(answer);
	hd_buf_done(&path);
	return code;
}

int ctl_collect(struct ctl *ctl)
{
	const char *point = ctl_option(ctl, "--point");
	bool dry = ctl_flag(ctl, "--dry"), all = ctl_flag(ctl, "--all");
	const char *provider = point ? NULL : ctl_positional(ctl);
	if (!point && !provider)
		return ctl_usage("collect what? PROVIDER or --point POINT");
	if ((!point && dry) || (!dry && all))
		return ctl_usage("--dry goes with --point, --all with --dry");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	return point ? collect_point(ctl, point, dry, all) : collect_provider(ctl, provider);
}
