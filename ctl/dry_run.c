/* SPDX-License-Identifier: MIT */
/* hydroctl pipelines dry-run: a candidate on the past of a point or of several, or on one reading. */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHANGES_SHOWN 20

/* {"point":…,"from":…,"to":… with room for more. */
static int window_body(struct ctl *ctl, const char *point, const char *from, const char *to, struct hd_buf *ret)
{
	struct hd_buf id = {0};
	int code = ctl_point_id(ctl, point, &id);
	hd_buf_add_char(ret, '{');
	if (code == CTL_EXIT_OK)
		ctl_add_text(ret, "point", hd_buf_text(&id), id.len);
	if (from)
		ctl_add_text(ret, "from", from, strlen(from));
	if (to)
		ctl_add_text(ret, "to", to, strlen(to));
	hd_buf_done(&id);
	return code;
}

static const char *number_at(const cJSON *node, const char *key, char ret[CTL_NUMBER_TEXT])
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(node, key);
	return cJSON_IsNumber(value) ? ctl_number(value->valuedouble, ret) : "none";
}

static void print_flags(const cJSON *change, const char *key, const char *sign)
{
	const cJSON *flag;
	cJSON_ArrayForEach(flag, cJSON_GetObjectItemCaseSensitive(change, key))
		(void)printf("  %s%s %s", sign, ctl_text(flag, "metric"), ctl_text(flag, "flag"));
}

static void print_changes(const cJSON *answer)
{
	const cJSON *change, *value, *list = cJSON_GetObjectItemCaseSensitive(answer, "changes");
	char was[CTL_NUMBER_TEXT], would[CTL_NUMBER_TEXT];
	int shown = 0;
	cJSON_ArrayForEach(change, list) {
		if (shown++ == CHANGES_SHOWN)
			break;
		(void)printf("  %s", ctl_text(change, "ts"));
		cJSON_ArrayForEach(value, cJSON_GetObjectItemCaseSensitive(change, "values"))
			(void)printf("  %s %s -> %s", value->string, number_at(value, "was", was), number_at(value, "would", would));
		print_flags(change, "flags_added", "+");
		print_flags(change, "flags_removed", "-");
		(void)putchar('\n');
	}
	double left = cJSON_GetArraySize(list) - CHANGES_SHOWN + ctl_value(answer, "more");
	if (left > 0)
		(void)printf("  … and %.0f more; --json tells up to 500\n", left);
}

static void print_dry_run(const cJSON *answer)
{
	const cJSON *metric, *summary = cJSON_GetObjectItemCaseSensitive(answer, "summary");
	char was[CTL_NUMBER_TEXT], would[CTL_NUMBER_TEXT];
	print_changes(answer);
	(void)printf("%s: %.0f readings, %.0f would differ; flags %.0f more, %.0f fewer\n", ctl_text(answer, "candidate"), ctl_value(summary, "readings"),
		     ctl_value(summary, "changed"), ctl_value(summary, "flags_added"), ctl_value(summary, "flags_removed"));
	cJSON_ArrayForEach(metric, cJSON_GetObjectItemCaseSensitive(summary, "metrics")) {
		const cJSON *largest = cJSON_GetObjectItemCaseSensitive(metric, "largest");
		(void)printf("  %s: %.0f differ, most %s -> %s at %s\n", metric->string, ctl_value(metric, "changed"), number_at(largest, "was", was),
			     number_at(largest, "would", would), ctl_text(largest, "ts"));
	}
	if (ctl_value(summary, "faults") > 0)
		(void)printf("  a Lua step failed %.0f times; first: %s\n", ctl_value(summary, "faults"), ctl_text(summary, "first_fault"));
}

static void print_trial(const cJSON *answer)
{
	const cJSON *reading, *readings = cJSON_GetObjectItemCaseSensitive(answer, "readings");
	if (!readings)
		print_dry_run(answer);
	cJSON_ArrayForEach(reading, readings)
		ctl_print_steps(reading);
}

/* "pulses=1000,level=12.5" as the "values" of a body. */
static bool add_values(struct hd_buf *body, const char *reading)
{
	hd_buf_add_text(body, ",\"values\":{");
	for (const char *at = reading; *at;) {
		size_t name = strcspn(at, "=,"), whole = strcspn(at, ",");
		char *end = NULL;
		double value = at[name] == '=' ? strtod(at + name + 1, &end) : 0;
		if (name == 0 || end != at + whole)
			return false;
		hd_buf_add_text(body, at == reading ? "" : ",");
		hd_buf_add_json(body, at, name);
		hd_buf_add_char(body, ':');
		hd_buf_add_number(body, value);
		at += whole + (at[whole] == ',');
	}
	return hd_buf_add_char(body, '}');
}

struct trial {
	struct hd_buf path, source;
	bool candidate; /* there is a source; else the live script */
	const char *from, *to, *reading, *ts;
};

/* One point's; *ret owned. */
static int try_point(struct ctl *ctl, struct trial *t, const char *point, cJSON **ret)
{
	struct hd_buf body = {0};
	int code = window_body(ctl, point, t->from, t->to, &body);
	if (code == CTL_EXIT_OK && t->reading && !add_values(&body, t->reading))
		code = ctl_usage("--reading is metric=number,…");
	if (t->ts)
		ctl_add_text(&body, "ts", t->ts, strlen(t->ts));
	if (t->candidate)
		ctl_add_text(&body, "source", t->source.data ? t->source.data : "", t->source.len);
	hd_buf_add_char(&body, '}');
	if (code == CTL_EXIT_OK)
		code = ctl_request(ctl, "POST", hd_buf_text(&t->path), "application/json", body.data, body.len, ret);
	hd_buf_done(&body);
	return code;
}

static int one(struct ctl *ctl, struct trial *t, const char *point)
{
	cJSON *answer = NULL;
	int code = try_point(ctl, t, point, &answer);
	if (code == CTL_EXIT_OK && ctl->json)
		ctl_print_json(answer);
	else if (code == CTL_EXIT_OK)
		print_trial(answer);
	cJSON_Delete(answer);
	return code;
}

/* A line a point and their sum; with --json the list of answers. */
static int several(struct ctl *ctl, struct trial *t, const cJSON *points)
{
	static const char *const keys[] = {"readings", "changed", "flags_added", "flags_removed", "faults"};
	double sums[HD_ARRAY_LEN(keys)] = {0};
	cJSON *all = cJSON_CreateArray();
	const cJSON *point;
	int code = CTL_EXIT_OK, count = 0;
	cJSON_ArrayForEach(point, points) {
		cJSON *answer = NULL;
		code = try_point(ctl, t, ctl_text(point, "id"), &answer);
		if (code != CTL_EXIT_OK)
			break;
		const cJSON *summary = cJSON_GetObjectItemCaseSensitive(answer, "summary");
		for (size_t i = 0; i < HD_ARRAY_LEN(keys); i++)
			sums[i] += ctl_value(summary, keys[i]);
		if (!ctl->json)
			(void)printf("%s: %.0f readings, %.0f would differ; flags %.0f more, %.0f fewer\n", ctl_text(point, "name"), ctl_value(summary, "readings"),
				     ctl_value(summary, "changed"), ctl_value(summary, "flags_added"), ctl_value(summary, "flags_removed"));
		(void)cJSON_AddItemToArray(all, answer);
		count++;
	}
	if (code == CTL_EXIT_OK && ctl->json)
		ctl_print_json(all);
	else if (code == CTL_EXIT_OK)
		(void)printf("%d points: %.0f readings, %.0f would differ; flags %.0f more, %.0f fewer; a Lua step failed %.0f times\n", count, sums[0], sums[1], sums[2],
			     sums[3], sums[4]);
	cJSON_Delete(all);
	return code;
}

/* The first so many points of the pipeline. */
static int of_pipeline(struct ctl *ctl, struct trial *t, const char *name, const char *limit)
{
	struct hd_buf path = {0};
	cJSON *points = NULL;
	hd_buf_add_text(&path, "/api/v1/points/");
	ctl_query(&path, "pipeline", name);
	ctl_query(&path, "limit", limit);
	int code = ctl_get(ctl, hd_buf_text(&path), &points);
	if (code == CTL_EXIT_OK)
		code = several(ctl, t, ctl_items(points));
	cJSON_Delete(points);
	hd_buf_done(&path);
	return code;
}

int ctl_pipelines_dry_run(struct ctl *ctl)
{
	struct trial t = {.from = ctl_option(ctl, "--from"), .to = ctl_option(ctl, "--to"), .reading = ctl_option(ctl, "--reading"), .ts = ctl_option(ctl, "--at")};
	const char *points = ctl_option(ctl, "--points"), *name = ctl_positional(ctl), *point = points ? NULL : ctl_positional(ctl);
	const char *file = ctl_positional(ctl);
	if (!name || (!point && !points))
		return ctl_usage("which pipeline, and which point's past? Or --points N");
	if (points && t.reading)
		return ctl_usage("--reading is of one point");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	ctl_pipeline_path(name, "/dry-run", &t.path);
	t.candidate = file != NULL;
	int code = file && !ctl_read_file(file, &t.source) ? CTL_EXIT_FAILED : CTL_EXIT_OK;
	if (code == CTL_EXIT_OK)
		code = points ? of_pipeline(ctl, &t, name, points) : one(ctl, &t, point);
	hd_buf_done(&t.path);
	hd_buf_done(&t.source);
	return code;
}
