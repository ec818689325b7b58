/* SPDX-License-Identifier: MIT */
/* What the daemon and its parts are doing. */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const provider_columns[] = {"provider=name",       "state=state",           "reachable=reachable",  "points=points",
					       "good=good_share",     "data age s=newest_data_age_s", "in flight=in_flight", "waiting=waiting",
					       "open=circuits_open", "polls=counts.polls",    "failed=counts.polls_failed"};

static void print_state(const struct ctl *ctl, const cJSON *health)
{
	const char *state = ctl_text(health, "status");
	const char *color = strcmp(state, "ok") == 0 ? "\033[32m" : strcmp(state, "degraded") == 0 ? "\033[33m" : "\033[31m";
	(void)printf("state: %s%s%s    hydrod %s at %s, %s\n", ctl->color ? color : "", state, ctl->color ? "\033[0m" : "", ctl_text(health, "version"), ctl->url,
		     ctl_text(health, "time"));
	const cJSON *reason;
	cJSON_ArrayForEach(reason, cJSON_GetObjectItemCaseSensitive(health, "reasons"))
		(void)printf("  %s: %s: %s\n", ctl_text(reason, "status"), ctl_text(reason, "part"), ctl_text(reason, "detail"));
}

/* The value of a metric without labels in Prometheus text; -1 when it is not there. */
static double metric(const char *text, const char *name)
{
	size_t len = strlen(name);
	for (const char *p = text; p && *p; p = strchr(p, '\n'), p += p != NULL)
		if (strncmp(p, name, len) == 0 && p[len] == ' ')
			return strtod(p + len, NULL);
	return -1;
}

static void print_metric(const char *title, double value, double scale, const char *unit)
{
	char number[CTL_NUMBER_TEXT];
	if (value >= 0)
		(void)printf("  %-26s %s%s\n", title, ctl_number((double)(long long)(value * scale * 10 + 0.5) / 10, number), unit);
}

static int print_work(struct ctl *ctl)
{
	struct hd_buf text = {0};
	cJSON *points = NULL, *providers = NULL;
	long status = 0;
	int code = ctl_get(ctl, "/api/v1/points/?limit=1", &points);
	if (code == CTL_EXIT_OK)
		code = ctl_perform(ctl, "GET", "/metrics", NULL, NULL, 0, &status, &text);
	if (code == CTL_EXIT_OK)
		code = ctl_get(ctl, "/providers", &providers);
	if (code == CTL_EXIT_OK) {
		const char *metrics = status == 200 ? hd_buf_text(&text) : "";
		print_metric("points", ctl_value(points, "total"), 1, "");
		print_metric("measurements made", metric(metrics, "hydro_measurements_total"), 1, "");
		print_metric("records on disk", metric(metrics, "hydro_journal_synced_lsn"), 1, "");
		print_metric("journal", metric(metrics, "hydro_journal_bytes"), 1.0 / (1 << 20), " MiB");
		print_metric("history", metric(metrics, "hydro_history_bytes"), 1.0 / (1 << 20), " MiB");
		print_metric("months to merge", metric(metrics, "hydro_history_months_waiting"), 1, "");
		print_metric("answer to visible, p99", metric(metrics, "hydro_freshness_p99_seconds"), 1000, " ms");
		(void)putchar('\n');
		ctl_table(ctl, ctl_items(providers), provider_columns, HD_ARRAY_LEN(provider_columns));
	}
	cJSON_Delete(points);
	cJSON_Delete(providers);
	hd_buf_done(&text);
	return code;
}

/* /health needs no key and answers 503 with its reasons when failing; the rest needs a key and is left out without. */
int ctl_status(struct ctl *ctl)
{
	struct hd_buf text = {0};
	long status = 0;
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	int code = ctl_perform(ctl, "GET", "/health", NULL, NULL, 0, &status, &text);
	if (code != CTL_EXIT_OK)
		return code;
	cJSON *health = cJSON_ParseWithLength(hd_buf_text(&text), text.len);
	const char *state = ctl_text(health, "status");
	if (!*state) {
		ctl_problem("GET", "/health", status, health);
		code = CTL_EXIT_FAILED;
	} else if (ctl->json) {
		ctl_print_json(health);
	} else {
		print_state(ctl, health);
		if (ctl->key)
			code = print_work(ctl);
	}
	if (code == CTL_EXIT_OK && strcmp(state, "ok") != 0)
		code = CTL_EXIT_FAILED;
	cJSON_Delete(health);
	hd_buf_done(&text);
	return code;
}

int ctl_providers(struct ctl *ctl)
{
	const char *name = ctl_positional(ctl);
	struct hd_buf path = {0};
	cJSON *answer = NULL;
	if (!name)
		return ctl_list(ctl, "/providers", provider_columns, HD_ARRAY_LEN(provider_columns));
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	hd_buf_add_text(&path, "/status/");
	ctl_escape(&path, name);
	int code = ctl_get(ctl, hd_buf_text(&path), &answer);
	if (code == CTL_EXIT_OK && ctl->json)
		ctl_print_json(answer);
	else if (code == CTL_EXIT_OK)
		ctl_tree(answer, 0);
	cJSON_Delete(answer);
	hd_buf_done(&path);
	return code;
}

int ctl_plugins(struct ctl *ctl)
{
	static const char *const columns[] = {"plugin=name", "version=version", "kind=kind", "state=state", "instances=instances", "file=path", "why=refusal"};
	return ctl_list(ctl, "/admin/v1/plugins/", columns, HD_ARRAY_LEN(columns));
}

int ctl_instances(struct ctl *ctl)
{
	static const char *const columns[] = {"instance=name", "plugin=plugin", "version=version", "isolated=isolated", "options=options"};
	return ctl_list(ctl, "/admin/v1/instances/", columns, HD_ARRAY_LEN(columns));
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
