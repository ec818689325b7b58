/* SPDX-License-Identifier: MIT */
/* Filing with the DGA: how it is, its slots and receipts, and what a person does about them. */
#include "ctl.h"

#include "base/uuid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DGA "/api/v1/dga/"

void ctl_dga_window(struct ctl *ctl, struct hd_buf *path)
{
	ctl_query(path, "day", ctl_option(ctl, "--day"));
	ctl_query(path, "month", ctl_option(ctl, "--month"));
	ctl_query(path, "from", ctl_option(ctl, "--from"));
	ctl_query(path, "to", ctl_option(ctl, "--to"));
}

bool ctl_dga_reason(struct ctl *ctl, struct hd_buf *ret)
{
	const char *reason = ctl_option(ctl, "--reason");
	if (!reason) {
		(void)ctl_usage("why? Give --reason TEXT: it is kept in the audit");
		return false;
	}
	hd_buf_add_text(ret, "{\"reason\":");
	hd_buf_add_json(ret, reason, strlen(reason));
	hd_buf_add_char(ret, '}');
	return true;
}

int ctl_dga_id(struct ctl *ctl, const char *kind, const char *name, struct hd_buf *ret)
{
	struct hd_buf path = {0};
	struct hd_uuid id;
	cJSON *answer = NULL;
	const cJSON *row;
	unsigned found = 0;
	if (hd_uuid_parse(name, &id)) {
		hd_buf_add_text(ret, name);
		return CTL_EXIT_OK;
	}
	hd_buf_printf(&path, DGA "%s/", kind);
	int code = ctl_get(ctl, hd_buf_text(&path), &answer);
	cJSON_ArrayForEach(row, ctl_items(answer)) {
		if (strcmp(ctl_text(row, "name"), name) != 0 && strcmp(ctl_text(row, "identifier"), name) != 0)
			continue;
		if (found++ == 0)
			hd_buf_add_text(ret, ctl_text(row, "id"));
	}
	if (code == CTL_EXIT_OK && found != 1) {
		(void)fprintf(stderr, found ? "hydroctl: %u of the %s are called \"%s\": give the id\n" : "hydroctl: %u of the %s are called \"%s\"\n", found, kind, name);
		code = CTL_EXIT_FAILED;
	}
	cJSON_Delete(answer);
	hd_buf_done(&path);
	return code;
}

/* ---- how it is --------------------------------------------------------------------------------------------------------------- */

static void put_counts(const char *title, const cJSON *counts)
{
	const cJSON *one;
	(void)printf("%-10s", title);
	cJSON_ArrayForEach(one, counts) {
		if (one->valuedouble > 0)
			(void)printf(" %s=%.0f", one->string, one->valuedouble);
	}
	(void)putchar('\n');
}

static bool is_true(const cJSON *object, const char *key)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static void print_status(const struct ctl *ctl, const cJSON *s)
{
	bool on = is_true(s, "on"), hold = is_true(s, "on_hold");
	const char *color = hold || ctl_value(s, "alarms_red") > 0 ? "\033[31m" : on ? "\033[32m" : "\033[33m";
	(void)printf("filing: %s%s%s%s    %s\n", ctl->color ? color : "", hold ? "on hold after a restore" : on ? "on" : "off", ctl->color ? "\033[0m" : "",
		     is_true(s, "clock_good") ? "" : "    the clock is not synchronised: nothing is sent", ctl_text(s, "now"));
	put_counts("works", cJSON_GetObjectItemCaseSensitive(s, "works"));
	put_counts("slots", cJSON_GetObjectItemCaseSensitive(s, "states"));
	put_counts("answers", cJSON_GetObjectItemCaseSensitive(s, "answers"));
	(void)printf("calls      sent=%.0f checks=%.0f under way=%.0f\n", ctl_value(s, "posts"), ctl_value(s, "checks"), ctl_value(s, "in_flight"));
	(void)printf("alarms     red=%.0f amber=%.0f blocked centres=%.0f\n", ctl_value(s, "alarms_red"), ctl_value(s, "alarms_amber"), ctl_value(s, "centres_blocked"));
	(void)printf("oldest due %s\n", *ctl_text(s, "oldest_due") ? ctl_text(s, "oldest_due") : "-");
	const cJSON *adapter;
	cJSON_ArrayForEach(adapter, cJSON_GetObjectItemCaseSensitive(s, "adapters"))
		(void)printf("adapter    %s %s, manual from %s\n", ctl_text(adapter, "name"), ctl_text(adapter, "version"), ctl_text(adapter, "valid_from"));
}

int ctl_dga_status(struct ctl *ctl)
{
	cJSON *answer = NULL;
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	int code = ctl_get(ctl, DGA "status", &answer);
	if (code == CTL_EXIT_OK && ctl->json)
		ctl_print_json(answer);
	else if (code == CTL_EXIT_OK)
		print_status(ctl, answer);
	if (code == CTL_EXIT_OK && (!is_true(answer, "on") || is_true(answer, "on_hold") || ctl_value(answer, "alarms_red") > 0))
		code = CTL_EXIT_FAILED;
	cJSON_Delete(answer);
	return code;
}

/* ---- slots -------------------------------------------------------------------------------------------------------------------- */

static int list_path(struct ctl *ctl, struct hd_buf *path, const char *const *columns, size_t count)
{
	int code = ctl_list(ctl, hd_buf_text(path), columns, count);
	hd_buf_done(path);
	return code;
}

int ctl_dga_slots(struct ctl *ctl)
{
	static const char *const columns[] = {"work=work", "due=due", "state=state", "marks=marks", "receipt=receipt", "flow=values.flow", "total=values.total",
					      "level=values.level", "tries=attempts", "cause=cause"};
	struct hd_buf path = {0};
	hd_buf_add_text(&path, DGA "slots/");
	ctl_query(&path, "work", ctl_option(ctl, "--work"));
	ctl_query(&path, "state", ctl_option(ctl, "--state"));
	ctl_query(&path, "mark", ctl_option(ctl, "--mark"));
	ctl_query(&path, "order", ctl_flag(ctl, "--newest") ? "desc" : NULL);
	ctl_dga_window(ctl, &path);
	const char *limit = ctl_option(ctl, "--limit");
	ctl_query(&path, "limit", limit ? limit : "50");
	return list_path(ctl, &path, columns, HD_ARRAY_LEN(columns));
}

/* A time as people write it; without a zone it is on the DGA's clock, UTC-4 all year. */
static void add_due(struct hd_buf *path, const char *due)
{
	char text[64];
	size_t len = strlen(due);
	bool local = (len == 16 || len == 19) && (due[10] == 'T' || due[10] == ' ') && strspn(due + 11, "0123456789:") == len - 11;
	(void)snprintf(text, sizeof text, "%.10sT%.8s%s-04:00", due, local ? due + 11 : "", len == 16 ? ":00" : "");
	ctl_escape(path, local ? text : due);
}

/* "slots/WORK/DUE" from the next two arguments; false after saying what is missing. */
static bool slot_path(struct ctl *ctl, struct hd_buf *path)
{
	const char *work = ctl_positional(ctl), *due = ctl_positional(ctl);
	if (!work || !due) {
		(void)ctl_usage("which slot? Give the WORK and when it is due, as 2026-01-31T14:00");
		return false;
	}
	hd_buf_add_text(path, DGA "slots/");
	ctl_escape(path, work);
	hd_buf_add_char(path, '/');
	add_due(path, due);
	return true;
}

static void print_audit(const struct ctl *ctl, const cJSON *audit)
{
	static const char *const columns[] = {"no=sequence", "at=at", "from=from", "to=to", "who=actor", "detail=detail"};
	ctl_table(ctl, audit, columns, HD_ARRAY_LEN(columns));
}

static void print_slot(const struct ctl *ctl, const cJSON *slot)
{
	static const char *const keys[] = {"work", "due", "state", "state_text", "marks", "receipt", "values", "measured_at", "deadline", "limit", "next_try", "attempts",
					   "last_attempt_at", "filed_at", "cause", "why", "why_en", "adapter", "payload"};
	for (size_t i = 0; i < HD_ARRAY_LEN(keys); i++) {
		struct hd_buf text = {0};
		ctl_text_at(slot, keys[i], &text);
		if (text.len)
			(void)printf("%-16s %s\n", keys[i], hd_buf_text(&text));
		hd_buf_done(&text);
	}
	(void)putchar('\n');
	print_audit(ctl, cJSON_GetObjectItemCaseSensitive(slot, "audit"));
}

static int show_slot(struct ctl *ctl, const char *method, const char *path, const struct hd_buf *body)
{
	cJSON *answer = NULL;
	int code = ctl_request(ctl, method, path, body ? "application/json" : NULL, body ? body->data : NULL, body ? body->len : 0, &answer);
	if (code == CTL_EXIT_OK && ctl->json)
		ctl_print_json(answer);
	else if (code == CTL_EXIT_OK)
		print_slot(ctl, answer);
	cJSON_Delete(answer);
	return code;
}

int ctl_dga_show(struct ctl *ctl)
{
	struct hd_buf path = {0};
	int code = slot_path(ctl, &path) && ctl_no_more(ctl) ? show_slot(ctl, "GET", hd_buf_text(&path), NULL) : CTL_EXIT_USAGE;
	hd_buf_done(&path);
	return code;
}

int ctl_dga_by_hand(struct ctl *ctl)
{
	struct hd_buf path = {0}, body = {0};
	const char *reason = ctl_option(ctl, "--reason"), *receipt = NULL;
	bool good = slot_path(ctl, &path);
	if (good && (!(receipt = ctl_positional(ctl)) || !reason))
		good = ctl_usage("by-hand WORK DUE RECEIPT --reason TEXT") == CTL_EXIT_OK;
	if (good && ctl_no_more(ctl)) {
		hd_buf_add_text(&path, "/by-hand");
		hd_buf_add_text(&body, "{\"receipt\":");
		hd_buf_add_json(&body, receipt, strlen(receipt));
		hd_buf_add_text(&body, ",\"reason\":");
		hd_buf_add_json(&body, reason, strlen(reason));
		hd_buf_add_char(&body, '}');
	}
	int code = body.len ? show_slot(ctl, "POST", hd_buf_text(&path), &body) : CTL_EXIT_USAGE;
	hd_buf_done(&path);
	hd_buf_done(&body);
	return code;
}

/* ---- receipts ------------------------------------------------------------------------------------------------------------------- */

/* The answer as it comes, to standard output. */
static int put_answer(struct ctl *ctl, const char *path)
{
	struct hd_buf text = {0};
	long status = 0;
	int code = ctl_perform(ctl, "GET", path, NULL, NULL, 0, &status, &text);
	if (code == CTL_EXIT_OK && status >= 400) {
		cJSON *problem = cJSON_ParseWithLength(hd_buf_text(&text), text.len);
		ctl_problem("GET", path, status, problem);
		cJSON_Delete(problem);
		code = CTL_EXIT_FAILED;
	} else if (code == CTL_EXIT_OK) {
		(void)fwrite(hd_buf_text(&text), 1, text.len, stdout);
	}
	hd_buf_done(&text);
	return code;
}

int ctl_dga_receipts(struct ctl *ctl)
{
	static const char *const columns[] = {"work=work", "due=due", "receipt=receipt", "state=state", "filed at=filed_at", "flow=values.flow", "total=values.total",
					      "level=values.level", "marks=marks"};
	struct hd_buf path = {0};
	bool csv = ctl_flag(ctl, "--csv");
	const char *limit = ctl_option(ctl, "--limit");
	hd_buf_add_text(&path, DGA "receipts/");
	ctl_query(&path, "work", ctl_option(ctl, "--work"));
	ctl_dga_window(ctl, &path);
	ctl_query(&path, "receipt", ctl_positional(ctl));
	ctl_query(&path, "limit", limit ? limit : "50");
	if (!csv)
		return list_path(ctl, &path, columns, HD_ARRAY_LEN(columns));
	ctl_query(&path, "format", "csv");
	int code = ctl_no_more(ctl) ? put_answer(ctl, hd_buf_text(&path)) : CTL_EXIT_USAGE;
	hd_buf_done(&path);
	return code;
}

static bool print_chain(const struct ctl *ctl, const cJSON *chain)
{
	bool good = is_true(chain, "good");
	(void)printf("chain: %s%s%s, %.0f rows, %.0f anchors%s%s\n", ctl->color ? good ? "\033[32m" : "\033[31m" : "", good ? "whole" : "BROKEN", ctl->color ? "\033[0m" : "",
		     ctl_value(chain, "rows"), ctl_value(chain, "anchors"), *ctl_text(chain, "text") ? ": " : "", ctl_text(chain, "text"));
	return good;
}

static bool print_proof(const struct ctl *ctl, const cJSON *proof)
{
	const cJSON *item;
	bool good = true;
	(void)printf("receipt: %s\n", ctl_text(proof, "receipt"));
	cJSON_ArrayForEach(item, ctl_items(proof)) {
		const cJSON *slot = cJSON_GetObjectItemCaseSensitive(item, "slot");
		struct hd_buf payload = {0};
		ctl_text_at(item, "payload", &payload);
		(void)printf("\nwork:    %s\ndue:     %s\nstate:   %s, filed %s\nadapter: %s\npayload: %s\n\n", ctl_text(slot, "work"), ctl_text(slot, "due"), ctl_text(slot, "state"),
			     ctl_text(slot, "filed_at"), ctl_text(item, "adapter"), hd_buf_text(&payload));
		hd_buf_done(&payload);
		print_audit(ctl, cJSON_GetObjectItemCaseSensitive(item, "audit"));
		(void)putchar('\n');
		good = print_chain(ctl, cJSON_GetObjectItemCaseSensitive(item, "chain")) && good;
	}
	return good;
}

static bool all_proved(const cJSON *proof)
{
	const cJSON *item;
	cJSON_ArrayForEach(item, ctl_items(proof)) {
		if (!is_true(cJSON_GetObjectItemCaseSensitive(item, "chain"), "good"))
			return false;
	}
	return true;
}

static int prove_receipt(struct ctl *ctl, const char *receipt)
{
	struct hd_buf path = {0};
	cJSON *answer = NULL;
	hd_buf_add_text(&path, DGA "receipts/");
	ctl_escape(&path, receipt);
	hd_buf_add_text(&path, "/proof");
	int code = ctl_get(ctl, hd_buf_text(&path), &answer);
	if (code == CTL_EXIT_OK && ctl->json)
		ctl_print_json(answer);
	else if (code == CTL_EXIT_OK)
		(void)print_proof(ctl, answer);
	if (code == CTL_EXIT_OK && !all_proved(answer))
		code = CTL_EXIT_FAILED;
	cJSON_Delete(answer);
	hd_buf_done(&path);
	return code;
}

static int get_verdict(struct ctl *ctl, const char *work, const char *limit, const char *after, cJSON **ret)
{
	struct hd_buf path = {0};
	hd_buf_add_text(&path, DGA "verify");
	ctl_query(&path, "work", work);
	ctl_query(&path, "limit", limit);
	ctl_query(&path, "after", after);
	int code = ctl_get(ctl, hd_buf_text(&path), ret);
	hd_buf_done(&path);
	return code;
}

/* On standard error: the verdict alone goes to standard output. */
static void print_progress(const cJSON *verdict)
{
	bool in_place = isatty(STDERR_FILENO);
	double works = ctl_value(verdict, "works");
	(void)fprintf(stderr, "%s%.0f of %.0f works, %.0f rows%s", in_place ? "\r" : "", works, works + ctl_value(verdict, "works_left"), ctl_value(verdict, "rows"),
		      in_place ? " " : "\n");
}

/* Answer after answer to the first that is not good, or to the end; the last one, with the sums of all. */
static int verify_all(struct ctl *ctl, const char *work, const char *limit, cJSON **ret)
{
	static const char *const sums[] = {"rows", "works"};
	char after[32];
	int code = get_verdict(ctl, work, limit, NULL, ret);
	bool in_parts = false;
	while (code == CTL_EXIT_OK && is_true(*ret, "good") && cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(*ret, "next"))) {
		cJSON *before = *ret;
		*ret = NULL;
		in_parts = true;
		print_progress(before);
		(void)snprintf(after, sizeof after, "%.0f", ctl_value(before, "next"));
		code = get_verdict(ctl, work, limit, after, ret);
		for (size_t i = 0; i < HD_ARRAY_LEN(sums); i++) {
			cJSON *sum = cJSON_GetObjectItemCaseSensitive(*ret, sums[i]);
			if (sum)
				(void)cJSON_SetNumberValue(sum, sum->valuedouble + ctl_value(before, sums[i]));
		}
		cJSON_Delete(before);
	}
	if (code == CTL_EXIT_OK && in_parts)
		print_progress(*ret);
	if (in_parts && isatty(STDERR_FILENO))
		(void)fputc('\n', stderr);
	return code;
}

int ctl_dga_verify(struct ctl *ctl)
{
	const char *work = ctl_option(ctl, "--work"), *limit = ctl_option(ctl, "--limit"), *receipt = ctl_positional(ctl);
	cJSON *verdict = NULL;
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	if (receipt)
		return prove_receipt(ctl, receipt);
	int code = verify_all(ctl, work, limit, &verdict);
	if (code == CTL_EXIT_OK && ctl->json)
		ctl_print_json(verdict);
	else if (code == CTL_EXIT_OK)
		(void)print_chain(ctl, verdict);
	if (code == CTL_EXIT_OK && !is_true(verdict, "good"))
		code = CTL_EXIT_FAILED;
	cJSON_Delete(verdict);
	return code;
}

/* ---- acts ------------------------------------------------------------------------------------------------------------------------ */

int ctl_dga_kill_switch(struct ctl *ctl)
{
	const char *word = ctl_positional(ctl), *reason = ctl_option(ctl, "--reason");
	struct hd_buf body = {0};
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	if (!word)
		return ctl_show(ctl, "GET", DGA "kill-switch", NULL, NULL);
	if ((strcmp(word, "on") != 0 && strcmp(word, "off") != 0) || !reason)
		return ctl_usage("kill-switch on|off --reason TEXT");
	hd_buf_printf(&body, "{\"on\":%s,\"reason\":", strcmp(word, "on") == 0 ? "true" : "false");
	hd_buf_add_json(&body, reason, strlen(reason));
	hd_buf_add_char(&body, '}');
	int code = ctl_show(ctl, "PUT", DGA "kill-switch", "application/json", &body);
	hd_buf_done(&body);
	return code;
}

int ctl_dga_hold_leave(struct ctl *ctl)
{
	struct hd_buf body = {0};
	int code = ctl_dga_reason(ctl, &body) && ctl_no_more(ctl) ? ctl_show(ctl, "POST", DGA "hold/leave", "application/json", &body) : CTL_EXIT_USAGE;
	hd_buf_done(&body);
	return code;
}

int ctl_dga_release(struct ctl *ctl)
{
	struct hd_buf path = {0}, body = {0};
	const char *work = ctl_positional(ctl);
	if (!work)
		return ctl_usage("which work? Give its code");
	hd_buf_add_text(&path, DGA "works/");
	ctl_escape(&path, work);
	hd_buf_add_text(&path, "/release");
	int code = ctl_dga_reason(ctl, &body) && ctl_no_more(ctl) ? ctl_show(ctl, "POST", hd_buf_text(&path), "application/json", &body) : CTL_EXIT_USAGE;
	hd_buf_done(&path);
	hd_buf_done(&body);
	return code;
}

int ctl_dga_alarms(struct ctl *ctl)
{
	static const char *const columns[] = {"no=number", "level=level", "kind=kind", "work=work", "centre=centre", "text=text", "times=count", "since=since", "last=last",
					      "seen by=seen_by"};
	struct hd_buf path = {0};
	hd_buf_add_text(&path, DGA "alarms/");
	ctl_query(&path, "work", ctl_option(ctl, "--work"));
	ctl_query(&path, "open", ctl_flag(ctl, "--all") ? "false" : NULL);
	return list_path(ctl, &path, columns, HD_ARRAY_LEN(columns));
}

int ctl_dga_acknowledge(struct ctl *ctl)
{
	struct hd_buf path = {0};
	const char *number = ctl_positional(ctl);
	if (!number)
		return ctl_usage("which alarm? Give its number");
	hd_buf_add_text(&path, DGA "alarms/");
	ctl_escape(&path, number);
	hd_buf_add_text(&path, "/acknowledge");
	int code = ctl_no_more(ctl) ? ctl_request(ctl, "POST", hd_buf_text(&path), NULL, "", 0, NULL) : CTL_EXIT_USAGE;
	hd_buf_done(&path);
	return code;
}
