/* SPDX-License-Identifier: MIT */
/* hydroctl pipelines reprocess: the past once more through the live script, of a point or of all the pipeline's. */
#include "ctl.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_NS 300000000L

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

/* How far it is; whether it goes on. */
static bool print_state(const struct ctl *ctl, const cJSON *job, bool in_place)
{
	const char *state = ctl_text(job, "state");
	bool runs = strcmp(state, "running") == 0;
	if (ctl->json && !in_place)
		ctl_print_json(job);
	if (ctl->json)
		return runs;
	(void)printf("%s%s: %s, %.0f of %.0f points, %.0f readings run again, %.0f revisions, %.0f could not be processed", in_place ? "\r" : "",
		     ctl_text(job, "generation"), state, ctl_value(job, "points_done"), ctl_value(job, "points"), ctl_value(job, "readings"),
		     ctl_value(job, "revisions"), ctl_value(job, "unprocessed"));
	if (!in_place)
		(void)putchar('\n');
	(void)fflush(stdout);
	if (!in_place && *ctl_text(job, "error"))
		(void)fprintf(stderr, "%.0f points failed; %s\n", ctl_value(job, "points_failed"), ctl_text(job, "error"));
	return runs;
}

static int outcome(const cJSON *job)
{
	return strcmp(ctl_text(job, "state"), "done") == 0 && ctl_value(job, "points_failed") == 0 ? CTL_EXIT_OK : CTL_EXIT_FAILED;
}

/* Until it is over; an interrupt ends it. Takes the job as it was when it began. */
static int follow(struct ctl *ctl, const char *path, cJSON *job)
{
	struct sigaction action = {.sa_handler = on_interrupt};
	int code = CTL_EXIT_OK;
	bool asked = false;
	(void)sigaction(SIGINT, &action, NULL);
	while (code == CTL_EXIT_OK && strcmp(ctl_text(job, "state"), "running") == 0) {
		if (ctl->tty)
			(void)print_state(ctl, job, true);
		(void)nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
		cJSON_Delete(job);
		job = NULL;
		bool cancel = interrupted && !asked;
		asked = asked || cancel;
		code = ctl_request(ctl, cancel ? "DELETE" : "GET", path, NULL, NULL, 0, &job);
	}
	if (code == CTL_EXIT_OK) {
		if (ctl->tty && !ctl->json)
			(void)putchar('\n');
		(void)print_state(ctl, job, false);
		code = outcome(job);
	}
	cJSON_Delete(job);
	return code;
}

static int one_point(struct ctl *ctl, const char *path, const struct hd_buf *body)
{
	cJSON *answer = NULL;
	int code = ctl_request(ctl, "POST", path, "application/json", body->data, body->len, &answer);
	if (code == CTL_EXIT_OK && ctl->json)
		ctl_print_json(answer);
	else if (code == CTL_EXIT_OK)
		(void)printf("%.0f readings run again: %.0f revisions, %.0f could not be processed\n", ctl_value(answer, "readings"),
			     ctl_value(answer, "revisions"), ctl_value(answer, "unprocessed"));
	cJSON_Delete(answer);
	return code;
}

static int all_points(struct ctl *ctl, const char *path, const struct hd_buf *body, bool wait)
{
	cJSON *job = NULL;
	int code = ctl_request(ctl, "POST", path, "application/json", body->data, body->len, &job);
	if (code == CTL_EXIT_OK && wait)
		return follow(ctl, path, job);
	if (code == CTL_EXIT_OK)
		(void)print_state(ctl, job, false);
	cJSON_Delete(job);
	return code;
}

/* Of one that was begun before. */
static int look(struct ctl *ctl, const char *method, const char *path)
{
	cJSON *job = NULL;
	int code = ctl_request(ctl, method, path, NULL, NULL, 0, &job);
	if (code == CTL_EXIT_OK)
		(void)print_state(ctl, job, false);
	cJSON_Delete(job);
	return code;
}

int ctl_pipelines_reprocess(struct ctl *ctl)
{
	const char *from = ctl_option(ctl, "--from"), *to = ctl_option(ctl, "--to");
	bool state = ctl_flag(ctl, "--state"), cancel = ctl_flag(ctl, "--cancel"), wait = !ctl_flag(ctl, "--no-wait");
	const char *name = ctl_positional(ctl), *point = ctl_positional(ctl);
	struct hd_buf path = {0}, body = {0}, id = {0};
	if (!name)
		return ctl_usage("which pipeline?");
	if (!state && !cancel && (!from || !to))
		return ctl_usage("which window? Give --from and --to");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	ctl_pipeline_path(name, "/reprocess", &path);
	int code = point ? ctl_point_id(ctl, point, &id) : CTL_EXIT_OK;
	if (code == CTL_EXIT_OK && (state || cancel)) {
		code = look(ctl, cancel ? "DELETE" : "GET", hd_buf_text(&path));
	} else if (code == CTL_EXIT_OK) {
		hd_buf_add_char(&body, '{');
		if (point)
			ctl_add_text(&body, "point", hd_buf_text(&id), id.len);
		ctl_add_text(&body, "from", from, strlen(from));
		ctl_add_text(&body, "to", to, strlen(to));
		hd_buf_add_char(&body, '}');
		code = point ? one_point(ctl, hd_buf_text(&path), &body) : all_points(ctl, hd_buf_text(&path), &body, wait);
	}
	hd_buf_done(&path);
	hd_buf_done(&body);
	hd_buf_done(&id);
	return code;
}
