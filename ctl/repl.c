/* SPDX-License-Identifier: MIT */
/* hydroctl pipelines repl: Lua over a point's recent measurements, a line at a time; what is tried runs in the daemon. */
#include "ctl.h"

#include "model/names.h"
#include "pipeline/plan.h"
#include "lua/lua.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HYDRO_LIBEDIT
#include <editline/readline.h>
#endif

static const char help_text[] =
	"  flow * 3.6                     an expression: its value for each reading\n"
	"  sum = (sum or 0) + volume      statements; a, b, c, n, last and sum are kept from one reading to the next as state.sum …\n"
	"  range { \"flow\", max = 10 }     steps as build returns them: what they would set and flag\n"
	"  local function f (x) …         kept for the lines that follow, as are other locals\n"
	"  m.flow, m:raw(\"pulses\"), point.sensor_depth are there too; a line that ends in \\ goes on\n"
	"  :limit N   :from TIME   :to TIME   :locals   :forget   :help   :quit\n";

struct repl {
	struct ctl *ctl;
	struct hd_buf point; /* its id */
	struct hd_buf prelude;
	char limit[16], from[40], to[40];
};

/* ---- what is sent, what is told ---- */

static int send_code(struct repl *repl, const char *code, const char *prelude, cJSON **ret)
{
	struct hd_buf body = {0}, answer = {0};
	long status = 0;
	hd_buf_add_char(&body, '{');
	ctl_add_text(&body, "point", hd_buf_text(&repl->point), strlen(hd_buf_text(&repl->point)));
	ctl_add_text(&body, "code", code, strlen(code));
	if (prelude && *prelude)
		ctl_add_text(&body, "prelude", prelude, strlen(prelude));
	if (repl->from[0])
		ctl_add_text(&body, "from", repl->from, strlen(repl->from));
	if (repl->to[0])
		ctl_add_text(&body, "to", repl->to, strlen(repl->to));
	hd_buf_printf(&body, ",\"limit\":%s}", repl->limit);
	int result = ctl_perform(repl->ctl, "POST", "/admin/v1/pipelines/eval", "application/json", body.data, body.len, &status, &answer);
	cJSON *json = answer.len ? cJSON_ParseWithLength(answer.data, answer.len) : NULL;
	const cJSON *row, *rows = cJSON_GetObjectItemCaseSensitive(json, "errors");
	if (result == CTL_EXIT_OK && status >= 400) {
		if (cJSON_GetArraySize(rows) == 0)
			ctl_problem("POST", "/admin/v1/pipelines/eval", status, json);
		cJSON_ArrayForEach(row, rows)
			(void)fprintf(stderr, "%s: %s\n", ctl_text(row, "field"), ctl_text(row, "detail"));
		result = CTL_EXIT_FAILED;
	}
	if (result == CTL_EXIT_OK)
		*ret = json;
	else
		cJSON_Delete(json);
	hd_buf_done(&body);
	hd_buf_done(&answer);
	return result;
}

static void print_value(const cJSON *value)
{
	char number[CTL_NUMBER_TEXT];
	if (cJSON_IsNumber(value)) {
		(void)printf("  %s", ctl_number(value->valuedouble, number));
	} else if (cJSON_IsNull(value)) {
		(void)fputs("  nil", stdout);
	} else {
		char *text = cJSON_PrintUnformatted(value);
		(void)printf("  %s", text ? text : "?");
		free(text);
	}
}

static void print_reading(const cJSON *reading)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(reading, "value"), *item;
	char number[CTL_NUMBER_TEXT];
	(void)printf("  %s", ctl_text(reading, "ts"));
	if (value && !cJSON_HasObjectItem(reading, "fault"))
		print_value(value);
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(reading, "sets"))
		(void)printf("  %s = %s", item->string, cJSON_IsNumber(item) ? ctl_number(item->valuedouble, number) : "nil");
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(reading, "flags"))
		(void)printf("  +%s %s", ctl_text(item, "metric"), ctl_text(item, "flag"));
	if (cJSON_HasObjectItem(reading, "fault"))
		(void)printf("  failed: %s", ctl_text(reading, "fault"));
	(void)putchar('\n');
}

/* Of values that are numbers: how many, and between which they lie. */
static void print_summary(const cJSON *readings)
{
	const cJSON *reading;
	double least = (double)INFINITY, most = -(double)INFINITY, sum = 0;
	unsigned numbers = 0, yes = 0, no = 0;
	char a[CTL_NUMBER_TEXT], b[CTL_NUMBER_TEXT], c[CTL_NUMBER_TEXT];
	cJSON_ArrayForEach(reading, readings) {
		const cJSON *value = cJSON_GetObjectItemCaseSensitive(reading, "value");
		yes += cJSON_IsTrue(value) ? 1 : 0;
		no += cJSON_IsFalse(value) ? 1 : 0;
		if (!cJSON_IsNumber(value))
			continue;
		numbers++;
		sum += value->valuedouble;
		least = fmin(least, value->valuedouble);
		most = fmax(most, value->valuedouble);
	}
	if (numbers)
		(void)printf("%u numbers from %s to %s, mean %s\n", numbers, ctl_number(least, a), ctl_number(most, b), ctl_number(sum / numbers, c));
	else if (yes + no)
		(void)printf("%u true, %u false\n", yes, no);
}

static int eval(struct repl *repl, const char *code)
{
	cJSON *answer = NULL;
	int result = send_code(repl, code, hd_buf_text(&repl->prelude), &answer);
	const cJSON *reading, *readings = cJSON_GetObjectItemCaseSensitive(answer, "readings");
	if (result == CTL_EXIT_OK && repl->ctl->json) {
		ctl_print_json(answer);
	} else if (result == CTL_EXIT_OK) {
		cJSON_ArrayForEach(reading, readings)
			print_reading(reading);
		if (cJSON_GetArraySize(readings) == 0)
			(void)puts("no readings there");
		print_summary(readings);
		if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "stopped")))
			(void)puts("stopped: over its budget three times");
	}
	cJSON_Delete(answer);
	return result;
}

/* A line for the prelude stays there if the daemon takes it. */
static int keep_local(struct repl *repl, const char *line)
{
	struct hd_buf longer = {0};
	cJSON *answer = NULL;
	hd_buf_printf(&longer, "%s%s\n", repl->prelude.len ? hd_buf_text(&repl->prelude) : "", line);
	int result = longer.failed ? CTL_EXIT_FAILED : send_code(repl, "nil", hd_buf_text(&longer), &answer);
	cJSON_Delete(answer);
	if (result == CTL_EXIT_OK) {
		hd_buf_done(&repl->prelude);
		repl->prelude = longer;
	} else {
		hd_buf_done(&longer);
	}
	return result;
}

/* ---- lines ---- */

#ifdef HYDRO_LIBEDIT
/* Steps, metrics and the words of a line. The library asks again with a higher state until there is none. */
static char *complete(const char *begun, int state)
{
	static const char *const words[] = {"and", "else", "end", "false", "function", "if", "local", "math", "nil", "not", "or", "point", "return", "state", "string", "then", "true"};
#define METRIC_TEXT(NAME, number, text, unit) text,
	static const char *const metrics[] = {HD_METRICS(METRIC_TEXT)};
#undef METRIC_TEXT
	static uint32_t at;
	uint32_t count;
	const struct hd_lua_step_doc *steps = hd_steps_lua_docs(&count);
	if (state == 0)
		at = 0;
	for (; at < count + HD_ARRAY_LEN(words) + HD_ARRAY_LEN(metrics);) {
		uint32_t i = at++;
		const char *word = i < count ? steps[i].name : i - count < HD_ARRAY_LEN(words) ? words[i - count] : metrics[i - count - HD_ARRAY_LEN(words)];
		if (strncmp(word, begun, strlen(begun)) == 0)
			return strdup(word);
	}
	return NULL;
}

static char **complete_line(const char *begun, int from, int to)
{
	(void)from, (void)to;
	rl_attempted_completion_over = 1; /* no names of files */
	return rl_completion_matches(begun, complete);
}
#endif

/* One line, owned; NULL at the end. */
static char *read_line(const char *prompt, bool terminal)
{
#ifdef HYDRO_LIBEDIT
	if (terminal) {
		rl_readline_name = "hydroctl";
		rl_attempted_completion_function = complete_line;
		char *typed = readline(prompt);
		if (typed && *typed)
			(void)add_history(typed);
		return typed;
	}
#endif
	char *line = NULL;
	size_t room = 0;
	if (terminal) {
		(void)fputs(prompt, stdout);
		(void)fflush(stdout);
	}
	if (getline(&line, &room, stdin) < 0) {
		free(line);
		return NULL;
	}
	line[strcspn(line, "\r\n")] = '\0';
	return line;
}

/* Lines that end in '\' go on. */
static bool read_code(struct hd_buf *ret, bool terminal)
{
	hd_buf_clear(ret);
	for (;;) {
		char *line = read_line(ret->len ? "… " : "> ", terminal);
		if (!line)
			return ret->len > 0;
		size_t len = strlen(line);
		bool more = len && line[len - 1] == '\\';
		hd_buf_add(ret, line, len - more);
		free(line);
		if (!more)
			return true;
		hd_buf_add_char(ret, '\n');
	}
}

static void set_text(char *to, size_t to_bytes, const char *text)
{
	text += strspn(text, " ");
	(void)snprintf(to, to_bytes, "%s", text);
}

/* ":limit 20"; false ends it. */
static bool command(struct repl *repl, const char *line)
{
	size_t len = strcspn(line, " ");
	const char *rest = line + len + strspn(line + len, " ");
	if (strncmp(line, ":quit", len) == 0 && len > 1)
		return false;
	if (strncmp(line, ":limit", len) == 0 && strtol(rest, NULL, 10) > 0)
		(void)snprintf(repl->limit, sizeof repl->limit, "%ld", strtol(rest, NULL, 10));
	else if (strncmp(line, ":from", len) == 0)
		set_text(repl->from, sizeof repl->from, rest);
	else if (strncmp(line, ":to", len) == 0)
		set_text(repl->to, sizeof repl->to, rest);
	else if (strncmp(line, ":locals", len) == 0)
		(void)fputs(repl->prelude.len ? hd_buf_text(&repl->prelude) : "none yet\n", stdout);
	else if (strncmp(line, ":forget", len) == 0)
		hd_buf_clear(&repl->prelude);
	else
		(void)fputs(help_text, stdout);
	return true;
}

static int one(struct repl *repl, const char *code)
{
	const char *at = code + strspn(code, " \t\n");
	if (!*at)
		return CTL_EXIT_OK;
	return strncmp(at, "local ", 6) == 0 ? keep_local(repl, at) : eval(repl, at);
}

static int loop(struct repl *repl)
{
	bool terminal = isatty(STDIN_FILENO);
	struct hd_buf code = {0};
	int result = CTL_EXIT_OK;
	if (terminal)
		(void)printf("Lua over the newest %s readings; nothing is stored. :help says what there is, :quit ends.\n", repl->limit);
	while (read_code(&code, terminal)) {
		const char *text = code.len ? hd_buf_text(&code) : "";
		if (text[0] == ':' && !command(repl, text))
			break;
		int rc = text[0] == ':' ? CTL_EXIT_OK : one(repl, text);
		/* From a file or a pipe it counts; a person has seen it. */
		result = !terminal && rc != CTL_EXIT_OK ? rc : result;
		(void)fflush(stdout);
	}
	hd_buf_done(&code);
	return result;
}

int ctl_pipelines_repl(struct ctl *ctl)
{
	const char *code = ctl_option(ctl, "--eval"), *limit = ctl_option(ctl, "--limit"), *from = ctl_option(ctl, "--from"), *to = ctl_option(ctl, "--to");
	const char *point = ctl_positional(ctl);
	struct repl repl = {.ctl = ctl};
	if (!point)
		return ctl_usage("on which point's readings?");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	if (limit && strtol(limit, NULL, 10) <= 0)
		return ctl_usage("--limit is a number of readings");
	(void)snprintf(repl.limit, sizeof repl.limit, "%ld", limit ? strtol(limit, NULL, 10) : 10);
	set_text(repl.from, sizeof repl.from, from ? from : "");
	set_text(repl.to, sizeof repl.to, to ? to : "");
	int result = ctl_point_id(ctl, point, &repl.point);
	if (result == CTL_EXIT_OK)
		result = code ? eval(&repl, code) : loop(&repl);
	hd_buf_done(&repl.point);
	hd_buf_done(&repl.prelude);
	return result;
}
