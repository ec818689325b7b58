/* SPDX-License-Identifier: MIT */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_all(const char *path, struct hd_buf *ret)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	if (!file) {
		(void)fprintf(stderr, "hydroctl: cannot open %s\n", path);
		return false;
	}
	char chunk[65536];
	for (size_t n; (n = fread(chunk, 1, sizeof chunk, file)) > 0;)
		hd_buf_add(ret, chunk, n);
	if (file != stdin)
		(void)fclose(file);
	return !ret->failed;
}

static void query_add(struct hd_buf *path, const char *key, const char *value)
{
	if (!value)
		return;
	hd_buf_add_char(path, memchr(path->data, '?', path->len) ? '&' : '?');
	hd_buf_printf(path, "%s=", key);
	ctl_escape(path, value);
}

int ctl_points_list(struct ctl *ctl)
{
	static const char *const columns[] = {"id=id", "name=name", "provider=provider", "pipeline=pipeline", "period (s)=period_s", "active=active"};
	struct hd_buf path = {0};
	cJSON *answer = NULL;
	hd_buf_add_text(&path, "/api/v1/points/");
	query_add(&path, "provider", ctl_option(ctl, "--provider"));
	query_add(&path, "pipeline", ctl_option(ctl, "--pipeline"));
	query_add(&path, "limit", ctl_option(ctl, "--limit"));
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

static int show(struct ctl *ctl, const char *method, const char *prefix, const char *id, const char *suffix, const char *type, const struct hd_buf *body)
{
	struct hd_buf path = {0};
	cJSON *answer = NULL;
	hd_buf_add_text(&path, prefix);
	if (id)
		ctl_escape(&path, id);
	hd_buf_add_text(&path, suffix);
	int code = ctl_request(ctl, method, hd_buf_text(&path), type, body ? body->data : NULL, body ? body->len : 0, &answer);
	if (code == CTL_EXIT_OK && answer)
		ctl_print_json(answer);
	cJSON_Delete(answer);
	hd_buf_done(&path);
	return code;
}

int ctl_points_show(struct ctl *ctl)
{
	const char *id = ctl_positional(ctl);
	if (!id)
		return ctl_usage("which point? Give its id");
	return ctl_no_more(ctl) ? show(ctl, "GET", "/api/v1/points/", id, "", NULL, NULL) : CTL_EXIT_USAGE;
}

static int send_file(struct ctl *ctl, const char *path, const char *type)
{
	const char *file = ctl_positional(ctl);
	struct hd_buf body = {0};
	if (!file)
		return ctl_usage("which file? - is standard input");
	int code = ctl_no_more(ctl) ? CTL_EXIT_OK : CTL_EXIT_USAGE;
	if (code == CTL_EXIT_OK)
		code = read_all(file, &body) ? show(ctl, "POST", path, NULL, "", type, &body) : CTL_EXIT_FAILED;
	hd_buf_done(&body);
	return code;
}

int ctl_points_create(struct ctl *ctl)
{
	return send_file(ctl, "/api/v1/points/", "application/json");
}

int ctl_accounts_create(struct ctl *ctl)
{
	return send_file(ctl, "/api/v1/accounts/", "application/json");
}

int ctl_points_import(struct ctl *ctl)
{
	return send_file(ctl, ctl_flag(ctl, "--skip-bad") ? "/api/v1/points/import?skip_bad=true" : "/api/v1/points/import", "text/csv");
}

int ctl_accounts_import(struct ctl *ctl)
{
	return send_file(ctl, ctl_flag(ctl, "--skip-bad") ? "/api/v1/accounts/import?skip_bad=true" : "/api/v1/accounts/import", "text/csv");
}

int ctl_accounts_list(struct ctl *ctl)
{
	static const char *const columns[] = {"id=id", "name=name", "provider=provider"};
	cJSON *answer = NULL;
	int code = ctl_no_more(ctl) ? ctl_get(ctl, "/api/v1/accounts/", &answer) : CTL_EXIT_USAGE;
	if (code == CTL_EXIT_OK && ctl->json)
		ctl_print_json(answer);
	else if (code == CTL_EXIT_OK)
		ctl_table(ctl, ctl_items(answer), columns, HD_ARRAY_LEN(columns));
	cJSON_Delete(answer);
	return code;
}

/* Puts VALUE (JSON, else text) at the dotted KEY of an object. */
static bool assign(cJSON *object, char *pair)
{
	char *value = strchr(pair, '=');
	if (!value)
		return false;
	*value++ = '\0';
	cJSON *node = cJSON_Parse(value);
	if (!node)
		node = cJSON_CreateString(value);
	char *save = NULL, *word = strtok_r(pair, ".", &save);
	for (char *next; word && (next = strtok_r(NULL, ".", &save)); word = next) {
		cJSON *child = cJSON_GetObjectItemCaseSensitive(object, word);
		object = child ? child : cJSON_AddObjectToObject(object, word);
	}
	return word && cJSON_AddItemToObject(object, word, node);
}

int ctl_points_set(struct ctl *ctl)
{
	const char *id = ctl_positional(ctl);
	cJSON *object = cJSON_CreateObject();
	if (!id || ctl->argc == 0) {
		cJSON_Delete(object);
		return ctl_usage("points set ID KEY=VALUE…");
	}
	for (int i = 0; i < ctl->argc; i++)
		if (!assign(object, ctl->argv[i])) {
			cJSON_Delete(object);
			return ctl_usage("KEY=VALUE expected");
		}
	char *text = cJSON_PrintUnformatted(object);
	struct hd_buf body = {.data = text, .len = text ? strlen(text) : 0};
	int code = show(ctl, "PATCH", "/api/v1/points/", id, "", "application/json", &body);
	free(text);
	cJSON_Delete(object);
	return code;
}
