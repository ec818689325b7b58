/* SPDX-License-Identifier: MIT */
/* hydroctl: the operator's and engineer's command line over the REST API. Shared by its files. */
#ifndef HD_CTL_CTL_H
#define HD_CTL_CTL_H

#include "base/buf.h"
#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

#define CTL_EXIT_OK 0
#define CTL_EXIT_FAILED 1 /* the daemon said no, or could not be reached */
#define CTL_EXIT_USAGE 2
#define CTL_NUMBER_TEXT 40u

struct ctl {
	const char *url;
	const char *key;
	bool json; /* print answers as they are */
	bool tty;  /* standard output is a terminal: fit tables to it */
	int width; /* of the terminal */
	bool color;
	int argc; /* arguments of the command */
	char **argv;
};

struct ctl_command {
	const char *name;    /* "points import" */
	const char *args;    /* "FILE"; words in lower case stand as they are, "a|b" */
	const char *summary; /* one line */
	const char *options; /* lines "--dry\tprint …", or NULL */
	int (*run)(struct ctl *ctl);
};

/* One table each: dispatch, --help, completion and the manual page come from them. */
extern const struct ctl_command ctl_commands[];
extern const size_t ctl_command_count;
extern const char ctl_global_options[];  /* lines as in ctl_command.options */
extern const char ctl_exit_statuses[];   /* lines "0\tdone" */

/* main.c: steps through lines "left\tright"; false past the last one. The texts are not ended: use the lengths. */
struct ctl_line {
	const char *left, *right;
	int left_len, right_len;
};
bool ctl_next_line(const char **at, struct ctl_line *ret);

/* client.c: one request whatever the answer's status; CTL_EXIT_FAILED (and said why) only without an answer. *ret filled. */
int ctl_perform(struct ctl *ctl, const char *method, const char *path, const char *content_type, const char *body, size_t body_len, long *ret_status,
		struct hd_buf *ret);
/* One request; *ret owned JSON (NULL when the answer has no body). Prints the problem and returns an exit code. */
int ctl_request(struct ctl *ctl, const char *method, const char *path, const char *content_type, const char *body, size_t body_len, cJSON **ret);
int ctl_get(struct ctl *ctl, const char *path, cJSON **ret);
/* Says what a problem+json answer says. */
void ctl_problem(const char *method, const char *path, long status, const cJSON *answer);
/* Follows a stream of lines until it ends; `line` false ends it. */
int ctl_stream(struct ctl *ctl, const char *path, bool (*line)(void *arg, const char *text), void *arg);
/* Percent-encodes into ret. */
void ctl_escape(struct hd_buf *ret, const char *text);
/* Adds "?key=value" or "&key=value" to a path; nothing when value is NULL. */
void ctl_query(struct hd_buf *path, const char *key, const char *value);
/* Adds the id of a point given by id or name; says why not and returns an exit code. */
int ctl_point_id(struct ctl *ctl, const char *point, struct hd_buf *ret);
/* Reads a file, "-" = standard input; says why not. */
bool ctl_read_file(const char *path, struct hd_buf *ret);

/* args.c: takes "--name VALUE" or "--name=VALUE" out of the arguments; NULL when absent. */
const char *ctl_option(struct ctl *ctl, const char *name);
bool ctl_flag(struct ctl *ctl, const char *name);
/* The next positional argument, or NULL. */
const char *ctl_positional(struct ctl *ctl);
/* Says what was not understood if anything is left; returns false then. */
bool ctl_no_more(struct ctl *ctl);
int ctl_usage(const char *why);

/* table.c: a table of a JSON array of objects. Columns "title=path", path with dots; right-aligned when numeric. */
void ctl_table(const struct ctl *ctl, const cJSON *rows, const char *const *columns, size_t count);
/* An object as indented "key  value" lines. */
void ctl_tree(const cJSON *node, int indent);
/* The value at a dotted path as text in ret ("" when absent). */
void ctl_text_at(const cJSON *node, const char *path, struct hd_buf *ret);
/* The text at a key, or "". */
const char *ctl_text(const cJSON *node, const char *key);
/* The number at a key, or 0. */
double ctl_value(const cJSON *node, const char *key);
/* Ten digits, without the noise of binary fractions. */
const char *ctl_number(double value, char ret[CTL_NUMBER_TEXT]);
void ctl_print_json(const cJSON *node);
/* The list in an answer: the array itself, or its "items". */
const cJSON *ctl_items(const cJSON *answer);
/* GET a list and print it as a table, or as JSON when that is wanted. */
int ctl_list(struct ctl *ctl, const char *path, const char *const *columns, size_t count);

/* points.c: sends, and shows the object that comes back. */
int ctl_show(struct ctl *ctl, const char *method, const char *path, const char *type, const struct hd_buf *body);
/* The same for a POST of the JSON file that is the next argument. */
int ctl_send_file(struct ctl *ctl, const char *path);
/* A POST of the CSV file that is the next argument; --skip-bad is taken. Says which lines do not fit. */
int ctl_import(struct ctl *ctl, const char *path);
/* All arguments left, KEY=VALUE each, as a JSON object. */
bool ctl_assigned(struct ctl *ctl, struct hd_buf *ret);

/* dga.c: adds the id of a control centre or informant given by id, name or RUT; `kind` is "centres" or "informants". */
int ctl_dga_id(struct ctl *ctl, const char *kind, const char *name, struct hd_buf *ret);
/* Adds day, month, from and to to a path, as the options say. */
void ctl_dga_window(struct ctl *ctl, struct hd_buf *path);
/* {"reason":…} of --reason; says it is missing. */
bool ctl_dga_reason(struct ctl *ctl, struct hd_buf *ret);

/* collect.c: a reading of a dry run, each step's effect on a line. */
void ctl_print_steps(const cJSON *reading);

/* plot.c: values over time in braille dots. */
void ctl_plot(const struct ctl *ctl, const char *title, const double *times_ms, const double *values, size_t count);

/* pipelines.c: "/admin/v1/pipelines/{name}{what}". */
void ctl_pipeline_path(const char *name, const char *what, struct hd_buf *ret);
/* A change, then the outcome of each pipeline whatever the status, for a refusal says where the script is wrong. */
int ctl_pipelines_change(struct ctl *ctl, const char *method, const char *path, const char *type, const char *body, size_t len);

/* Commands, by topic. */
int ctl_status(struct ctl *ctl);
int ctl_providers(struct ctl *ctl);
int ctl_collect(struct ctl *ctl);
int ctl_points_list(struct ctl *ctl);
int ctl_points_show(struct ctl *ctl);
int ctl_points_create(struct ctl *ctl);
int ctl_points_set(struct ctl *ctl);
int ctl_points_import(struct ctl *ctl);
int ctl_accounts_list(struct ctl *ctl);
int ctl_accounts_create(struct ctl *ctl);
int ctl_accounts_import(struct ctl *ctl);
int ctl_history(struct ctl *ctl);
int ctl_aggregates(struct ctl *ctl);
int ctl_watch(struct ctl *ctl);
int ctl_plugins(struct ctl *ctl);
int ctl_instances(struct ctl *ctl);
int ctl_pipelines_list(struct ctl *ctl);
int ctl_pipelines_check(struct ctl *ctl);
int ctl_pipelines_reload(struct ctl *ctl);
int ctl_pipelines_versions(struct ctl *ctl);
int ctl_pipelines_rollback(struct ctl *ctl);
int ctl_pipelines_show(struct ctl *ctl);
int ctl_pipelines_put(struct ctl *ctl);
int ctl_pipelines_dry_run(struct ctl *ctl);
int ctl_pipelines_reprocess(struct ctl *ctl);
/* pipelines_edit.c: adds `"key":"text"` to an object being written. */
void ctl_add_text(struct hd_buf *body, const char *key, const char *text, size_t len);
int ctl_pipelines_new(struct ctl *ctl);
int ctl_pipelines_repl(struct ctl *ctl);
int ctl_dga_status(struct ctl *ctl);
int ctl_dga_works_list(struct ctl *ctl);
int ctl_dga_works_show(struct ctl *ctl);
int ctl_dga_works_create(struct ctl *ctl);
int ctl_dga_works_set(struct ctl *ctl);
int ctl_dga_works_import(struct ctl *ctl);
int ctl_dga_works_delete(struct ctl *ctl);
int ctl_dga_centres_list(struct ctl *ctl);
int ctl_dga_centres_create(struct ctl *ctl);
int ctl_dga_centres_set(struct ctl *ctl);
int ctl_dga_centres_resume(struct ctl *ctl);
int ctl_dga_centres_stop(struct ctl *ctl);
int ctl_dga_centres_forecast(struct ctl *ctl);
int ctl_dga_informants_list(struct ctl *ctl);
int ctl_dga_informants_create(struct ctl *ctl);
int ctl_dga_informants_password(struct ctl *ctl);
int ctl_dga_certificates_list(struct ctl *ctl);
int ctl_dga_certificates_add(struct ctl *ctl);
int ctl_dga_certificates_remove(struct ctl *ctl);
int ctl_dga_slots(struct ctl *ctl);
int ctl_dga_show(struct ctl *ctl);
int ctl_dga_receipts(struct ctl *ctl);
int ctl_dga_verify(struct ctl *ctl);
int ctl_dga_days(struct ctl *ctl);
int ctl_dga_compliance(struct ctl *ctl);
int ctl_dga_report(struct ctl *ctl);
int ctl_dga_failure_report(struct ctl *ctl);
int ctl_dga_sheet(struct ctl *ctl);
int ctl_dga_cutover_plan(struct ctl *ctl);
int ctl_dga_cutover_import(struct ctl *ctl);
int ctl_dga_cutover_compare(struct ctl *ctl);
int ctl_dga_kill_switch(struct ctl *ctl);
int ctl_dga_hold_leave(struct ctl *ctl);
int ctl_dga_release(struct ctl *ctl);
int ctl_dga_by_hand(struct ctl *ctl);
int ctl_dga_alarms(struct ctl *ctl);
int ctl_dga_acknowledge(struct ctl *ctl);
int ctl_check_config(struct ctl *ctl);
int ctl_config_reference(struct ctl *ctl);
int ctl_completion(struct ctl *ctl);
int ctl_man(struct ctl *ctl);
int ctl_get_path(struct ctl *ctl);

#endif
