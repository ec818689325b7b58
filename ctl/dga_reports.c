/* SPDX-License-Identifier: MIT */
/* Filing with the DGA: compliance, reports, the sheet, and taking over from another system. */
#include "ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DGA "/api/v1/dga/"

/* The answer of a GET into a file, or to standard output (never binary to a terminal). */
static int save(struct ctl *ctl, const char *path, const char *file, bool binary)
{
	struct hd_buf text = {0};
	long status = 0;
	if (!file && binary && isatty(STDOUT_FILENO))
		return ctl_usage("that is no text: give --out FILE");
	int code = ctl_perform(ctl, "GET", path, NULL, NULL, 0, &status, &text);
	if (code == CTL_EXIT_OK && status >= 400) {
		cJSON *problem = cJSON_ParseWithLength(hd_buf_text(&text), text.len);
		ctl_problem("GET", path, status, problem);
		cJSON_Delete(problem);
		code = CTL_EXIT_FAILED;
	}
	FILE *out = code != CTL_EXIT_OK ? NULL : file ? fopen(file, "we") : stdout;
	bool good = out && fwrite(hd_buf_text(&text), 1, text.len, out) == text.len && (out == stdout ? fflush(out) : fclose(out)) == 0;
	if (code == CTL_EXIT_OK && !good) {
		(void)fprintf(stderr, "hydroctl: cannot write %s: %s\n", file ? file : "standard output", strerror(errno));
		code = CTL_EXIT_FAILED;
	} else if (code == CTL_EXIT_OK && file) {
		(void)printf("%s: %zu bytes\n", file, text.len);
	}
	hd_buf_done(&text);
	return code;
}

static void add_whose(struct ctl *ctl, struct hd_buf *path)
{
	ctl_query(path, "client", ctl_option(ctl, "--client"));
	ctl_query(path, "work", ctl_option(ctl, "--work"));
}

int ctl_dga_report(struct ctl *ctl)
{
	const char *format = ctl_option(ctl, "--format"), *file = ctl_option(ctl, "--out");
	struct hd_buf path = {0};
	hd_buf_add_text(&path, DGA "reports/monthly");
	add_whose(ctl, &path);
	const char *month = ctl_positional(ctl);
	ctl_query(&path, "month", month);
	ctl_query(&path, "format", format);
	int code = !month ? ctl_usage("which month? As 2026-01") : !ctl_no_more(ctl) ? CTL_EXIT_USAGE : save(ctl, hd_buf_text(&path), file, format && strcmp(format, "pdf") == 0);
	hd_buf_done(&path);
	return code;
}

int ctl_dga_failure_report(struct ctl *ctl)
{
	static const char *const columns[] = {"work=work", "name=name", "first=first", "last=last", "slots=slots", "what=what", "cause=cause_text"};
	const char *format = ctl_option(ctl, "--format"), *file = ctl_option(ctl, "--out");
	struct hd_buf path = {0};
	hd_buf_add_text(&path, DGA "failure-report");
	add_whose(ctl, &path);
	const char *month = ctl_positional(ctl);
	ctl_query(&path, "month", month);
	ctl_query(&path, "format", format);
	int code;
	if (!month)
		code = ctl_usage("which month? As 2026-01");
	else if (!format)
		code = ctl_list(ctl, hd_buf_text(&path), columns, HD_ARRAY_LEN(columns));
	else
		code = ctl_no_more(ctl) ? save(ctl, hd_buf_text(&path), file, strcmp(format, "pdf") == 0) : CTL_EXIT_USAGE;
	hd_buf_done(&path);
	return code;
}

int ctl_dga_sheet(struct ctl *ctl)
{
	const char *file = ctl_option(ctl, "--out");
	struct hd_buf path = {0};
	hd_buf_add_text(&path, DGA "sheet");
	add_whose(ctl, &path);
	ctl_query(&path, "all", ctl_flag(ctl, "--all") ? "true" : NULL);
	const char *month = ctl_positional(ctl);
	ctl_query(&path, "month", month);
	int code = !month ? ctl_usage("which month? As 2026-01") : !ctl_no_more(ctl) ? CTL_EXIT_USAGE : save(ctl, hd_buf_text(&path), file, true);
	hd_buf_done(&path);
	return code;
}

int ctl_dga_days(struct ctl *ctl)
{
	static const char *const columns[] = {"day=day", "due=due", "filed=filed", "explained=explained", "open=open", "adds up=adds_up"};
	struct hd_buf path = {0};
	ctl_dga_window(ctl, &path); /* taken first: they are options */
	const char *work = ctl_positional(ctl);
	struct hd_buf whole = {0};
	if (!work) {
		hd_buf_done(&path);
		return ctl_usage("which work? Give its code");
	}
	hd_buf_add_text(&whole, DGA "works/");
	ctl_escape(&whole, work);
	hd_buf_add_text(&whole, "/days");
	hd_buf_add(&whole, path.data ? path.data : "", path.len);
	int code = ctl_list(ctl, hd_buf_text(&whole), columns, HD_ARRAY_LEN(columns));
	hd_buf_done(&path);
	hd_buf_done(&whole);
	return code;
}

/* Shares as "99.8 %" beside their numbers. */
static void add_percent(cJSON *row)
{
	char text[32] = "-";
	const cJSON *share = cJSON_GetObjectItemCaseSensitive(row, "on_time_share");
	if (cJSON_IsNumber(share))
		(void)snprintf(text, sizeof text, "%.2f", share->valuedouble * 100);
	(void)cJSON_AddStringToObject(row, "percent", text);
}

int ctl_dga_compliance(struct ctl *ctl)
{
	static const char *const columns[] = {"key=key", "works=works", "due=due", "filed=filed", "on time %=percent", "late=late", "over lag=over_lag", "missing=missing",
					      "waiting=waiting", "unknown=unknown", "refused=refused", "held=held", "next due=next_due", "lag ends=next_limit"};
	struct hd_buf path = {0};
	cJSON *answer = NULL;
	hd_buf_add_text(&path, DGA "compliance");
	ctl_query(&path, "by", ctl_option(ctl, "--by"));
	add_whose(ctl, &path);
	ctl_query(&path, "standard", ctl_option(ctl, "--standard"));
	ctl_dga_window(ctl, &path);
	int code = ctl_no_more(ctl) ? ctl_get(ctl, hd_buf_text(&path), &answer) : CTL_EXIT_USAGE;
	if (code == CTL_EXIT_OK && ctl->json) {
		ctl_print_json(answer);
	} else if (code == CTL_EXIT_OK) {
		cJSON *items = cJSON_GetObjectItemCaseSensitive(answer, "items"), *all = cJSON_DetachItemFromObjectCaseSensitive(answer, "all"), *row;
		(void)cJSON_ReplaceItemInObjectCaseSensitive(all, "key", cJSON_CreateString("(all)"));
		(void)cJSON_AddItemToArray(items, all);
		cJSON_ArrayForEach(row, items)
			add_percent(row);
		ctl_table(ctl, items, columns, HD_ARRAY_LEN(columns));
	}
	cJSON_Delete(answer);
	hd_buf_done(&path);
	return code;
}

/* ---- cut-over ----------------------------------------------------------------------------------------------------------------- */

int ctl_dga_cutover_plan(struct ctl *ctl)
{
	const char *at = ctl_option(ctl, "--at"), *zone = ctl_option(ctl, "--zone"), *work = ctl_positional(ctl);
	struct hd_buf path = {0};
	if (!work)
		return ctl_usage("which work? Give its code");
	hd_buf_add_text(&path, DGA "cutover/");
	ctl_escape(&path, work);
	ctl_query(&path, "at", at);
	ctl_query(&path, "zone", zone);
	int code = ctl_no_more(ctl) ? ctl_show(ctl, "GET", hd_buf_text(&path), NULL, NULL) : CTL_EXIT_USAGE;
	hd_buf_done(&path);
	return code;
}

int ctl_dga_cutover_import(struct ctl *ctl)
{
	const char *source = ctl_option(ctl, "--source");
	struct hd_buf path = {0};
	hd_buf_add_text(&path, DGA "cutover/receipts");
	ctl_query(&path, "source", source);
	ctl_query(&path, "dry", ctl_flag(ctl, "--dry") ? "true" : NULL);
	int code = ctl_import(ctl, hd_buf_text(&path));
	hd_buf_done(&path);
	return code;
}

/* The other system's receipts are asked for; what they show is there later. `options` is given up. */
static int ask_by_get(struct ctl *ctl, struct hd_buf *options)
{
	const char *work = ctl_positional(ctl);
	struct hd_buf path = {0};
	hd_buf_add_text(&path, DGA "cutover/");
	ctl_escape(&path, work ? work : "");
	hd_buf_add_text(&path, "/compare");
	hd_buf_add(&path, options->data ? options->data : "", options->len);
	int code = !work ? ctl_usage("which work? Give its code") : ctl_no_more(ctl) ? ctl_show(ctl, "POST", hd_buf_text(&path), NULL, NULL) : CTL_EXIT_USAGE;
	hd_buf_done(options);
	hd_buf_done(&path);
	return code;
}

int ctl_dga_cutover_compare(struct ctl *ctl)
{
	static const char *const columns[] = {"due=due", "outcome=outcome", "our flow=ours.flow", "theirs=theirs.flow", "our total=ours.total", "theirs=theirs.total",
					      "our level=ours.level", "theirs=theirs.level", "their receipt=receipt", "by GET=text"};
	struct hd_buf options = {0}, path = {0};
	cJSON *answer = NULL;
	bool ask = ctl_flag(ctl, "--ask");
	ctl_dga_window(ctl, &options);
	if (ask)
		return ask_by_get(ctl, &options);
	ctl_query(&options, "differences", ctl_flag(ctl, "--all") ? "false" : NULL);
	ctl_query(&options, "limit", ctl_option(ctl, "--limit"));
	const char *work = ctl_positional(ctl);
	hd_buf_add_text(&path, DGA "cutover/");
	ctl_escape(&path, work ? work : "");
	hd_buf_add_text(&path, "/compare");
	hd_buf_add(&path, options.data ? options.data : "", options.len);
	int code = !work ? ctl_usage("which work? Give its code") : ctl_no_more(ctl) ? ctl_get(ctl, hd_buf_text(&path), &answer) : CTL_EXIT_USAGE;
	if (code == CTL_EXIT_OK && ctl->json) {
		ctl_print_json(answer);
	} else if (code == CTL_EXIT_OK) {
		struct hd_buf text = {0};
		ctl_table(ctl, ctl_items(answer), columns, HD_ARRAY_LEN(columns));
		ctl_text_at(answer, "outcomes", &text);
		(void)printf("%s\n%s%s", hd_buf_text(&text), ctl_text(answer, "hint"), *ctl_text(answer, "hint") ? "\n" : "");
		hd_buf_done(&text);
	}
	cJSON_Delete(answer);
	hd_buf_done(&options);
	hd_buf_done(&path);
	return code;
}
