/* SPDX-License-Identifier: MIT */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ctl_points_list(struct ctl *ctl)
{
	static const char *const columns[] = {"id=id", "name=name", "provider=provider", "pipeline=pipeline", "period s=period_s", "active=active"};
	struct hd_buf path = {0};
	cJSON *answer = NULL;
	hd_buf_add_text(&path, "/api/v1/points/");
	ctl_query(&path, "provider", ctl_option(ctl, "--provider"));
	ctl_query(&path, "pipeline", ctl_option(ctl, "--pipeline"));
	ctl_query(&path, "name", ctl_option(ctl, "--name"));
	const char *limit = ctl_option(ctl, "--limit");
	ctl_query(&path, "limit", limit ? limit : "50");
	int code = ctl_no_more(ctl) ? ctl_get(ctl, hd_buf_text(&path), &answer) : CTL_EXIT_USAGE;
	if (code == CTL_EXIT_OK && ctl->json) {
		ctl_print_json(answer);
	} else if (code == CTL_EXIT_OK) {
		const cJSON *total = cJSON_GetObjectItemCaseSensitive(answer, "total");
		ctl_table(ctl, ctl_items(answer), columns, HD_ARRAY_LEN(columns));
		if (cJSON_IsNumber(total))
			(void)printf("%d of %.0f\n", cJSON_GetArraySize(ctl_items(answer)), total->valuedouble);
	}
	cJSON_Delete(answer);
	hd_buf_done(&path);
	return code;
}

int ctl_show(struct ctl *ctl, const char *method, const char *path, const char *type, const struct hd_buf *body)
{
	cJSON *answer = NULL;
	int code = ctl_request(ctl, method, path, type, body ? body->data : NULL, body ? body->len : 0, &answer);
	if (code == CTL_EXIT_OK && answer && ctl->json)
		ctl_print_json(answer);
	else if (code == CTL_EXIT_OK)
		ctl_tree(answer, 0);
	cJSON_Delete(answer);
	return code;
}

static int show_point(struct ctl *ctl, const char *method, const char *point, const struct hd_buf *body)
{
	struct hd_buf path = {0};
	hd_buf_add_text(&path, "/api/v1/points/");
	int code = ctl_point_id(ctl, point, &path);
	if (code == CTL_EXIT_OK)
		code = ctl_show(ctl, method, hd_buf_text(&path), body ? "application/json" : NULL, body);
	hd_buf_done(&path);
	return code;
}

int ctl_points_show(struct ctl *ctl)
{
	const char *point = ctl_positional(ctl);
	if (!point)
		return ctl_usage("which point? Give its id or name");
	return ctl_no_more(ctl) ? show_point(ctl, "GET", point, NULL) : CTL_EXIT_USAGE;
}

int ctl_send_file(struct ctl *ctl, const char *path)
{
	const char *file = ctl_positional(ctl);
	struct hd_buf body = {0};
	if (!file)
		return ctl_usage("which file? - is standard input");
	int code = ctl_no_more(ctl) ? CTL_EXIT_OK : CTL_EXIT_USAGE;
	if (code == CTL_EXIT_OK)
		code = ctl_read_file(file, &body) ? ctl_show(ctl, "POST", path, "application/json", &body) : CTL_EXIT_FAILED;
	hd_buf_done(&body);
	return code;
}

int ctl_points_create(struct ctl *ctl)
{
	return ctl_send_file(ctl, "/api/v1/points/");
}

int ctl_accounts_create(struct ctl *ctl)
{
	return ctl_send_file(ctl, "/api/v1/accounts/");
}

/* What became of the lines; "FILE:LINE: column: why" on standard error for those that did not fit. */
static void print_report(const cJSON *report, const char *file)
{
	const cJSON *row, *errors = cJSON_GetObjectItemCaseSensitive(report, "errors");
	cJSON_ArrayForEach(row, errors) {
		const char *column = ctl_text(row, "column");
		(void)fprintf(stderr, "%s:%.0f: %s%s%s\n", file, ctl_value(row, "line"), column, *column ? ": " : "", ctl_text(row, "detail"));
	}
	double failed = ctl_value(report, "failed");
	if (failed > cJSON_GetArraySize(errors))
		(void)fprintf(stderr, "%s: and %.0f more lines that do not fit\n", file, failed - cJSON_GetArraySize(errors));
	(void)printf("%.0f lines: %.0f created, %.0f updated, %.0f do not fit%s\n", ctl_value(report, "lines"), ctl_value(report, "created"), ctl_value(report, "updated"), failed,
		     cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(report, "applied")) ? "" : cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(report, "dry")) ? "; nothing was stored, as asked" : "; nothing was imported");
}

int ctl_import(struct ctl *ctl, const char *path)
{
	bool skip_bad = ctl_flag(ctl, "--skip-bad");
	const char *file = ctl_positional(ctl);
	struct hd_buf url = {0}, body = {0}, text = {0};
	long status = 0;
	if (!file)
		return ctl_usage("which file? - is standard input");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	hd_buf_add_text(&url, path);
	ctl_query(&url, "skip_bad", skip_bad ? "true" : NULL);
	int code = ctl_read_file(file, &body) ? CTL_EXIT_OK : CTL_EXIT_FAILED;
	if (code == CTL_EXIT_OK)
		code = ctl_perform(ctl, "POST", hd_buf_text(&url), "text/csv", body.data ? body.data : "", body.len, &status, &text);
	cJSON *report = text.len ? cJSON_ParseWithLength(text.data, text.len) : NULL;
	bool is_report = cJSON_HasObjectItem(report, "lines");
	if (code == CTL_EXIT_OK && is_report && ctl->json)
		ctl_print_json(report);
	else if (code == CTL_EXIT_OK && is_report)
		print_report(report, file);
	else if (code == CTL_EXIT_OK)
		ctl_problem("POST", hd_buf_text(&url), status, report);
	if (code == CTL_EXIT_OK && (status >= 400 || (!skip_bad && ctl_value(report, "failed") > 0)))
		code = CTL_EXIT_FAILED;
	cJSON_Delete(report);
	hd_buf_done(&url);
	hd_buf_done(&body);
	hd_buf_done(&text);
	return code;
}

int ctl_points_import(struct ctl *ctl)
{
	return ctl_import(ctl, "/api/v1/points/import");
}

int ctl_accounts_import(struct ctl *ctl)
{
	return ctl_import(ctl, "/api/v1/accounts/import");
}

int ctl_accounts_list(struct ctl *ctl)
{
	static const char *const columns[] = {"id=id", "name=name", "provider=provider", "options=options"};
	return ctl_list(ctl, "/api/v1/accounts/?limit=1000", columns, HD_ARRAY_LEN(columns));
}

/* Puts VALUE (JSON, else text) at the dotted KEY of an object. */
static bool assign(cJSON *object, char *pair)
{
	char *value = strchr(pair, '=');
	if (!value)
		return false;
	*value++ = '\0';
	cJSON *node = cJSON_ParseWithOpts(value, NULL, true);
	if (!node)
		node = cJSON_CreateString(value);
	char *save = NULL, *word = strtok_r(pair, ".", &save);
	for (char *next; word && (next = strtok_r(NULL, ".", &save)); word = next) {
		cJSON *child = cJSON_GetObjectItemCaseSensitive(object, word);
		object = child ? child : cJSON_AddObjectToObject(object, word);
	}
	if (word && cJSON_AddItemToObject(object, word, node))
		return true;
	cJSON_Delete(node);
	return false;
}

bool ctl_assigned(struct ctl *ctl, struct hd_buf *ret)
{
	cJSON *object = cJSON_CreateObject();
	bool good = ctl->argc > 0;
	for (int i = 0; i < ctl->argc && good; i++)
		good = assign(object, ctl->argv[i]);
	char *text = good ? cJSON_PrintUnformatted(object) : NULL;
	if (text)
		hd_buf_add_text(ret, text);
	free(text);
	cJSON_Delete(object);
	return good;
}

int ctl_points_set(struct ctl *ctl)
{
	const char *id = ctl_positional(ctl);
	struct hd_buf body = {0};
	int code = id && ctl_assigned(ctl, &body) ? show_point(ctl, "PATCH", id, &body) : ctl_usage("points set POINT KEY=VALUE…");
	hd_buf_done(&body);
	return code;
}
