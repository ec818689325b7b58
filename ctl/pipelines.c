/* SPDX-License-Identifier: MIT */
#include "ctl.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ctl_pipelines_list(struct ctl *ctl)
{
	static const char *const columns[] = {"pipeline=name", "points=points", "version=version", "live=live", "generation=generation", "folder=folder", "file=file"};
	return ctl_list(ctl, "/admin/v1/pipelines/", columns, HD_ARRAY_LEN(columns));
}

/* "file:line:column: message" for each finding. `file` NULL: as the daemon names it. Whether there were any. */
static bool print_findings(const cJSON *answer, const char *file)
{
	const cJSON *finding, *list = cJSON_GetObjectItemCaseSensitive(answer, "diagnostics");
	cJSON_ArrayForEach(finding, list) {
		double line = ctl_value(finding, "line"), column = ctl_value(finding, "column");
		const char *hint = ctl_text(finding, "hint");
		(void)fprintf(stderr, "%s:%.0f:", file ? file : ctl_text(finding, "file"), line);
		if (column > 0)
			(void)fprintf(stderr, "%.0f:", column);
		(void)fprintf(stderr, " %s%s%s\n", ctl_text(finding, "message"), *hint ? "\n  hint: " : "", hint);
	}
	return cJSON_GetArraySize(list) > 0;
}

/* One pipeline's reload or rollback in a line; whether it was taken. */
static bool print_change(const cJSON *change)
{
	const char *result = ctl_text(change, "result"), *name = ctl_text(change, "pipeline");
	if (strcmp(result, "refused") == 0) {
		if (!print_findings(change, NULL))
			(void)fprintf(stderr, "%s: %s\n", name, ctl_text(change, "error"));
		const char *running = ctl_text(change, "running");
		(void)printf("%s: refused; %s%s runs on\n", name, *running ? "" : "what ran", running);
		return false;
	}
	(void)printf("%s: %s, version %.0f, %s", name, result, ctl_value(change, "version"), ctl_text(change, "generation"));
	if (strcmp(result, "unchanged") != 0)
		(void)printf("; %.0f points, built in %.1f ms, longest pause %.2f ms; %.0f readings in, %.0f out, lost %.0f; state kept of %.0f steps, anew of %.0f",
			     ctl_value(change, "points"), ctl_value(change, "build_ms"), ctl_value(change, "worst_pause_ms"), ctl_value(change, "in"),
			     ctl_value(change, "out"), ctl_value(change, "lost"), ctl_value(change, "states_kept"), ctl_value(change, "states_reset"));
	const cJSON *step, *reset = cJSON_GetObjectItemCaseSensitive(change, "reset");
	cJSON_ArrayForEach(step, reset)
		(void)printf("%s%s", step == reset->child ? ": " : ", ", step->valuestring);
	(void)putchar('\n');
	return true;
}

int ctl_pipelines_change(struct ctl *ctl, const char *method, const char *path, const char *type, const char *body, size_t len)
{
	struct hd_buf text = {0};
	long status = 0;
	int code = ctl_perform(ctl, method, path, type, body, len, &status, &text);
	cJSON *answer = text.len ? cJSON_ParseWithLength(text.data, text.len) : NULL;
	const cJSON *item, *list = ctl_items(answer);
	bool good = status < 400;
	if (code == CTL_EXIT_OK && status >= 400 && !cJSON_HasObjectItem(answer, "result")) {
		ctl_problem(method, path, status, answer);
	} else if (code == CTL_EXIT_OK && ctl->json) {
		ctl_print_json(answer);
		cJSON_ArrayForEach(item, list)
			good = good && strcmp(ctl_text(item, "result"), "refused") != 0;
	} else if (code == CTL_EXIT_OK && cJSON_IsArray(list)) {
		if (cJSON_GetArraySize(list) == 0)
			(void)puts("no file has changed");
		cJSON_ArrayForEach(item, list)
			good = print_change(item) && good;
	} else if (code == CTL_EXIT_OK) {
		good = print_change(answer) && good;
	}
	cJSON_Delete(answer);
	hd_buf_done(&text);
	return code == CTL_EXIT_OK && !good ? CTL_EXIT_FAILED : code;
}

/* "…/well.lua" -> "/admin/v1/pipelines/well/check" */
static void check_path(const char *file, struct hd_buf *ret)
{
	char *copy = strdup(file);
	char *base = copy ? basename(copy) : NULL, *dot = base ? strrchr(base, '.') : NULL;
	if (dot)
		*dot = '\0';
	hd_buf_add_text(ret, "/admin/v1/pipelines/");
	ctl_escape(ret, base ? base : "");
	hd_buf_add_text(ret, "/check");
	free(copy);
}

int ctl_pipelines_check(struct ctl *ctl)
{
	const char *file = ctl_positional(ctl);
	struct hd_buf source = {0}, path = {0}, body = {0};
	cJSON *answer = NULL;
	if (!file)
		return ctl_usage("which script? Give its file");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	check_path(file, &path);
	int code = ctl_read_file(file, &source) ? CTL_EXIT_OK : CTL_EXIT_FAILED;
	if (code == CTL_EXIT_OK) {
		hd_buf_add_text(&body, "{\"source\":");
		hd_buf_add_json(&body, source.data ? source.data : "", source.len);
		hd_buf_add_char(&body, '}');
		code = ctl_request(ctl, "POST", hd_buf_text(&path), "application/json", body.data, body.len, &answer);
	}
	if (code == CTL_EXIT_OK) {
		bool found = ctl->json ? cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(answer, "diagnostics")) > 0 : print_findings(answer, file);
		if (ctl->json)
			ctl_print_json(answer);
		else if (!found)
			(void)printf("%s: good; %.0f samples, builds for %.0f points\n", file, ctl_value(answer, "samples"), ctl_value(answer, "points"));
		code = found ? CTL_EXIT_FAILED : CTL_EXIT_OK;
	}
	cJSON_Delete(answer);
	hd_buf_done(&source);
	hd_buf_done(&path);
	hd_buf_done(&body);
	return code;
}

int ctl_pipelines_reload(struct ctl *ctl)
{
	return ctl_no_more(ctl) ? ctl_pipelines_change(ctl, "POST", "/admin/v1/pipelines/reload", NULL, "", 0) : CTL_EXIT_USAGE;
}

void ctl_pipeline_path(const char *name, const char *what, struct hd_buf *ret)
{
	hd_buf_add_text(ret, "/admin/v1/pipelines/");
	ctl_escape(ret, name);
	hd_buf_add_text(ret, what);
}

int ctl_pipelines_versions(struct ctl *ctl)
{
	static const char *const columns[] = {"version=version", "hash=hash", "when=at", "author=author", "reason=reason"};
	const char *name = ctl_positional(ctl);
	struct hd_buf path = {0};
	if (!name)
		return ctl_usage("which pipeline?");
	ctl_pipeline_path(name, "/versions", &path);
	int code = ctl_list(ctl, hd_buf_text(&path), columns, HD_ARRAY_LEN(columns));
	hd_buf_done(&path);
	return code;
}

int ctl_pipelines_rollback(struct ctl *ctl)
{
	const char *name = ctl_positional(ctl), *version = ctl_positional(ctl);
	struct hd_buf path = {0};
	if (!name)
		return ctl_usage("which pipeline?");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	ctl_pipeline_path(name, "/rollback", &path);
	ctl_query(&path, "version", version);
	int code = ctl_pipelines_change(ctl, "POST", hd_buf_text(&path), NULL, "", 0);
	hd_buf_done(&path);
	return code;
}
