/* SPDX-License-Identifier: MIT */
#include "ctl.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ctl_pipelines_list(struct ctl *ctl)
{
	static const char *const columns[] = {"pipeline=name", "generation=generation", "points=points", "version=version", "live=live", "file=file"};
	cJSON *answer = NULL;
	int code = ctl_no_more(ctl) ? ctl_get(ctl, "/admin/v1/pipelines/", &answer) : CTL_EXIT_USAGE;
	if (code == CTL_EXIT_OK && ctl->json)
		ctl_print_json(answer);
	else if (code == CTL_EXIT_OK)
		ctl_table(ctl, ctl_items(answer), columns, HD_ARRAY_LEN(columns));
	cJSON_Delete(answer);
	return code;
}

static int post(struct ctl *ctl, const char *path, const char *type, const char *body, size_t len)
{
	cJSON *answer = NULL;
	int code = ctl_request(ctl, "POST", path, type, body, len, &answer);
	if (code == CTL_EXIT_OK && answer)
		ctl_print_json(answer);
	cJSON_Delete(answer);
	return code;
}

/* "file:line:column: message" for each finding of a check. */
static bool print_findings(const cJSON *answer, const char *file)
{
	const cJSON *finding, *list = cJSON_GetObjectItemCaseSensitive(answer, "diagnostics");
	cJSON_ArrayForEach(finding, list) {
		const cJSON *line = cJSON_GetObjectItemCaseSensitive(finding, "line"), *column = cJSON_GetObjectItemCaseSensitive(finding, "column");
		const char *message = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(finding, "message"));
		const char *hint = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(finding, "hint"));
		(void)printf("%s:%d:%d: %s%s%s\n", file, cJSON_IsNumber(line) ? line->valueint : 0, cJSON_IsNumber(column) ? column->valueint : 0, message ? message : "?",
			     hint && *hint ? "\n  hint: " : "", hint ? hint : "");
	}
	return cJSON_GetArraySize(list) == 0;
}

int ctl_pipelines_check(struct ctl *ctl)
{
	const char *file = ctl_positional(ctl);
	if (!file)
		return ctl_usage("which script? Give its file");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	FILE *in = fopen(file, "re");
	if (!in) {
		(void)fprintf(stderr, "hydroctl: cannot open %s\n", file);
		return CTL_EXIT_FAILED;
	}
	struct hd_buf text = {0}, path = {0};
	char chunk[65536], name[256];
	for (size_t n; (n = fread(chunk, 1, sizeof chunk, in)) > 0;)
		hd_buf_add(&text, chunk, n);
	(void)fclose(in);
	(void)snprintf(name, sizeof name, "%s", file);
	hd_buf_add_text(&path, "/admin/v1/pipelines/");
	char *base = basename(name), *dot = strrchr(base, '.');
	if (dot)
		*dot = '\0';
	ctl_escape(&path, base);
	hd_buf_add_text(&path, "/check");
	cJSON *answer = NULL;
	int code = ctl_request(ctl, "POST", hd_buf_text(&path), "text/plain", text.data ? text.data : "", text.len, &answer);
	if (code == CTL_EXIT_OK && ctl->json)
		ctl_print_json(answer);
	else if (code == CTL_EXIT_OK && print_findings(answer, file))
		(void)printf("%s: good\n", file);
	else if (code == CTL_EXIT_OK)
		code = CTL_EXIT_FAILED;
	cJSON_Delete(answer);
	hd_buf_done(&text);
	hd_buf_done(&path);
	return code;
}

int ctl_pipelines_reload(struct ctl *ctl)
{
	return ctl_no_more(ctl) ? post(ctl, "/admin/v1/pipelines/reload", NULL, "", 0) : CTL_EXIT_USAGE;
}

int ctl_pipelines_versions(struct ctl *ctl)
{
	static const char *const columns[] = {"version=version", "hash=hash", "when=at", "author=author", "reason=reason"};
	const char *name = ctl_positional(ctl);
	struct hd_buf path = {0};
	cJSON *answer = NULL;
	if (!name)
		return ctl_usage("which pipeline?");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	hd_buf_add_text(&path, "/admin/v1/pipelines/");
	ctl_escape(&path, name);
	hd_buf_add_text(&path, "/versions");
	int code = ctl_get(ctl, hd_buf_text(&path), &answer);
	if (code == CTL_EXIT_OK && ctl->json)
		ctl_print_json(answer);
	else if (code == CTL_EXIT_OK)
		ctl_table(ctl, ctl_items(answer), columns, HD_ARRAY_LEN(columns));
	cJSON_Delete(answer);
	hd_buf_done(&path);
	return code;
}

int ctl_pipelines_rollback(struct ctl *ctl)
{
	const char *name = ctl_positional(ctl), *version = ctl_positional(ctl);
	struct hd_buf path = {0}, body = {0};
	if (!name || !version)
		return ctl_usage("pipelines rollback NAME VERSION");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	hd_buf_add_text(&path, "/admin/v1/pipelines/");
	ctl_escape(&path, name);
	hd_buf_add_text(&path, "/rollback");
	hd_buf_add_text(&body, "{\"version\":");
	hd_buf_add_json(&body, version, strlen(version));
	hd_buf_add_char(&body, '}');
	int code = post(ctl, hd_buf_text(&path), "application/json", body.data, body.len);
	hd_buf_done(&path);
	hd_buf_done(&body);
	return code;
}
