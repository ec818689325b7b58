/* SPDX-License-Identifier: MIT */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

static void print_state(const struct ctl *ctl, const char *state)
{
	const char *color = strcmp(state, "ok") == 0 ? "\033[32m" : strcmp(state, "degraded") == 0 ? "\033[33m" : "\033[31m";
	(void)printf("state: %s%s%s\n", ctl->color ? color : "", state, ctl->color ? "\033[0m" : "");
}

/* Objects as "name.key: value" lines, arrays of texts one a line. */
static void print_tree(const cJSON *node, const char *prefix)
{
	const cJSON *child;
	cJSON_ArrayForEach(child, node) {
		char name[160];
		(void)snprintf(name, sizeof name, "%s%s%s", prefix, *prefix && child->string ? "." : "", child->string ? child->string : "");
		if ((cJSON_IsObject(child) || cJSON_IsArray(child)) && cJSON_GetArraySize(child)) {
			print_tree(child, name);
			continue;
		}
		struct hd_buf text = {0};
		ctl_text_at(child, "", &text);
		(void)printf("  %-36s %s\n", name, hd_buf_text(&text));
		hd_buf_done(&text);
	}
}

int ctl_status(struct ctl *ctl)
{
	cJSON *health = NULL;
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	int code = ctl_get(ctl, "/health", &health);
	if (code != CTL_EXIT_OK)
		return code;
	const char *state = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(health, "status"));
	if (ctl->json) {
		ctl_print_json(health);
	} else {
		print_state(ctl, state ? state : "?");
		print_tree(health, "");
	}
	code = state && strcmp(state, "ok") == 0 ? CTL_EXIT_OK : CTL_EXIT_FAILED;
	cJSON_Delete(health);
	return code;
}

int ctl_providers(struct ctl *ctl)
{
	static const char *const columns[] = {"provider=name", "state=state", "reachable=reachable", "points=points", "good share=good_share", "newest data (s)=newest_data_age_s",
					      "in flight=in_flight", "waiting=waiting", "circuits open=circuits_open", "polls=counts.polls", "failed=counts.polls_failed"};
	const char *name = ctl_positional(ctl);
	struct hd_buf path = {0};
	cJSON *answer = NULL;
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	hd_buf_add_text(&path, name ? "/status/" : "/providers");
	if (name)
		ctl_escape(&path, name);
	int code = ctl_get(ctl, hd_buf_text(&path), &answer);
	if (code == CTL_EXIT_OK && (ctl->json))
		ctl_print_json(answer);
	else if (code == CTL_EXIT_OK && name)
		print_tree(answer, "");
	else if (code == CTL_EXIT_OK)
		ctl_table(ctl, ctl_items(answer), columns, HD_ARRAY_LEN(columns));
	cJSON_Delete(answer);
	hd_buf_done(&path);
	return code;
}

int ctl_collect(struct ctl *ctl)
{
	const char *point = ctl_option(ctl, "--point");
	bool dry = ctl_flag(ctl, "--dry");
	const char *provider = point ? NULL : ctl_positional(ctl);
	struct hd_buf path = {0};
	cJSON *answer = NULL;
	if (!point && !provider)
		return ctl_usage("collect what? PROVIDER or --point ID");
	if (!point && dry)
		return ctl_usage("--dry goes with --point");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	hd_buf_add_text(&path, point ? "/api/v1/points/" : "/collect/");
	ctl_escape(&path, point ? point : provider);
	if (point)
		hd_buf_add_text(&path, dry ? "/collect?dry=true" : "/collect");
	int code = ctl_request(ctl, "POST", hd_buf_text(&path), NULL, "", 0, &answer);
	if (code == CTL_EXIT_OK && answer)
		ctl_print_json(answer);
	cJSON_Delete(answer);
	hd_buf_done(&path);
	return code;
}

static int print_list(struct ctl *ctl, const char *path, const char *const *columns, size_t count)
{
	cJSON *answer = NULL;
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	int code = ctl_get(ctl, path, &answer);
	if (code == CTL_EXIT_OK && ctl->json)
		ctl_print_json(answer);
	else if (code == CTL_EXIT_OK)
		ctl_table(ctl, ctl_items(answer), columns, count);
	cJSON_Delete(answer);
	return code;
}

int ctl_plugins(struct ctl *ctl)
{
	static const char *const columns[] = {"plugin=name", "version=version", "kind=kind", "state=state", "file=path", "why=refusal"};
	return print_list(ctl, "/admin/v1/plugins/", columns, HD_ARRAY_LEN(columns));
}

int ctl_instances(struct ctl *ctl)
{
	static const char *const columns[] = {"instance=name", "plugin=plugin", "version=version", "state=state", "why=error"};
	return print_list(ctl, "/admin/v1/instances/", columns, HD_ARRAY_LEN(columns));
}

int ctl_get_path(struct ctl *ctl)
{
	const char *path = ctl_positional(ctl);
	cJSON *answer = NULL;
	if (!path || *path != '/')
		return ctl_usage("get what? A path that begins with /");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	int code = ctl_get(ctl, path, &answer);
	if (code == CTL_EXIT_OK)
		ctl_print_json(answer);
	cJSON_Delete(answer);
	return code;
}
