/* SPDX-License-Identifier: MIT */
#include "ctl.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const char ctl_global_options[] = "--url URL\twhere hydrod listens; else HYDRO_URL; else http://127.0.0.1:8000\n"
				  "--key KEY\tAPI key; else HYDRO_API_KEY\n"
				  "--key-file FILE\tfile with the API key; else HYDRO_API_KEY_FILE\n"
				  "--json\tprint answers as JSON\n"
				  "--help\tcommands, or after a command its options\n"
				  "--version\tthe version";
const char ctl_exit_statuses[] = "0\tdone\n1\trefused, not reached, or (status) not in order; the reason is on standard error\n2\twrong usage";

#define DGA_WINDOW "--day DATE\ta day, 2026-01-31 in UTC-4\n--month MONTH\ta month, 2026-01 in UTC-4\n--from TIME\tRFC 3339, instead\n--to TIME\tRFC 3339, exclusive (now)"

const struct ctl_command ctl_commands[] = {
	{"status", "", "state of the daemon, its journal, history and providers; exit status 1 unless it is ok", NULL, ctl_status},
	{"providers", "[NAME]", "providers with their state, or one in full", NULL, ctl_providers},
	{"collect", "PROVIDER | --point POINT", "collect now",
	 "--point POINT\tone point instead of all of a provider\n--dry\tshow request, answer, readings and each pipeline step; store nothing\n"
	 "--all\twith --dry: every reading, not the newest three alone",
	 ctl_collect},
	{"points list", "", "points", "--provider NAME\tof one provider\n--pipeline NAME\tof one pipeline\n--name TEXT\twhose name begins so\n--limit N\tat most N (50)", ctl_points_list},
	{"points show", "POINT", "one point in full", NULL, ctl_points_show},
	{"points create", "FILE", "a point from a JSON file (- = standard input)", NULL, ctl_points_create},
	{"points set", "POINT KEY=VALUE...", "change a point's configuration, live; VALUE is JSON or text; KEY may have dots", NULL, ctl_points_set},
	{"points import", "FILE", "points from CSV, with errors per line", "--skip-bad\timport the good lines although others are bad", ctl_points_import},
	{"accounts list", "", "accounts", NULL, ctl_accounts_list},
	{"accounts create", "FILE", "an account from a JSON file (- = standard input)", NULL, ctl_accounts_create},
	{"accounts import", "FILE", "accounts from CSV, with errors per line", "--skip-bad\timport the good lines although others are bad", ctl_accounts_import},
	{"history", "POINT", "measurements of a point",
	 "--from TIME\tRFC 3339 (24 h ago)\n--to TIME\tRFC 3339, exclusive (now)\n--metric NAME\tone metric\n--limit N\tthe newest N (2000)\n--plot\tdraw it in the terminal", ctl_history},
	{"aggregates", "POINT", "hours, days or months of a point",
	 "--period hour|day|month\tlength of a period (day)\n--metric NAME\tone metric\n--from TIME\tRFC 3339 (30 days ago)\n--to TIME\tRFC 3339, exclusive (now)\n--zone NAME\ttime zone of days (the point's)",
	 ctl_aggregates},
	{"watch", "POINT", "follow a point's measurements as they become durable", NULL, ctl_watch},
	{"plugins", "", "plugins found, loaded and refused, with the reason", NULL, ctl_plugins},
	{"instances", "", "instances of plugins with their options", NULL, ctl_instances},
	{"pipelines list", "", "pipelines with generation and points", NULL, ctl_pipelines_list},
	{"pipelines check", "FILE", "check a script: syntax, steps, options, selftest; changes nothing", NULL, ctl_pipelines_check},
	{"pipelines reload", "", "take all pipelines whose file has changed; a failure keeps what runs", NULL, ctl_pipelines_reload},
	{"pipelines versions", "NAME", "kept versions of a pipeline", NULL, ctl_pipelines_versions},
	{"pipelines rollback", "NAME [VERSION]", "make a kept version live again; without VERSION the one before", NULL, ctl_pipelines_rollback},
	{"pipelines show", "NAME [VERSION]", "the live script, or a kept version, as it is", NULL, ctl_pipelines_show},
	{"pipelines new", "NAME", "write NAME.lua to begin with: a commented pipeline that runs", "--like PIPELINE\ta copy of one that is there, by the new name", ctl_pipelines_new},
	{"pipelines put", "FILE", "make a script live: checked and built for all its points first; a failure keeps what runs",
	 "--name NAME\tof the pipeline (the file's)\n--reason TEXT\tkept with the version\n--author TEXT\twho makes it (the key's name)\n"
	 "--canary N\ton N percent of the points; a later put without it takes all",
	 ctl_pipelines_put},
	{"pipelines dry-run", "NAME POINT [FILE]", "a point's past through the script in FILE (the live one): what would differ; changes nothing",
	 "--from TIME\tRFC 3339 (24 h ago)\n--to TIME\tRFC 3339, exclusive (now)\n"
	 "--points N\tnot one POINT: the first N of the pipeline\n--reading METRIC=N,...\tnot the past: one reading, with each step's effect\n--at TIME\tof that reading (now)",
	 ctl_pipelines_dry_run},
	{"pipelines reprocess", "NAME [POINT]", "run the past of a point, or of all, again through the live script; what differs becomes a revision",
	 "--from TIME\tRFC 3339\n--to TIME\tRFC 3339, exclusive\n--no-wait\tof all points: begin it and leave; else Ctrl-C ends it\n"
	 "--state\thow far it is\n--cancel\tend it; what was done stays",
	 ctl_pipelines_reprocess},
	{"pipelines repl", "POINT", "try Lua on a point's recent measurements: expressions, statements, steps; stores nothing",
	 "--eval CODE\tthis alone, not a line at a time\n--limit N\tthe newest N (10)\n--from TIME\tRFC 3339 (as far back as it takes)\n--to TIME\tRFC 3339, exclusive (the newest)",
	 ctl_pipelines_repl},
	{"dga status", "", "how filing is: switch, works, slots by state, answers, alarms; exit status 1 while it is off, on hold or red", NULL, ctl_dga_status},
	{"dga works list", "", "works that owe measurements to the DGA",
	 "--code TEXT\twhose code begins so\n--client NAME\tof one client\n--standard NAME\tof one standard\n--region NAME\tof one region\n--mode off|shadow|live\tof one mode\n"
	 "--held\tthat wait for a correction\n--limit N\tat most N (50)",
	 ctl_dga_works_list},
	{"dga works show", "WORK", "one work in full", NULL, ctl_dga_works_show},
	{"dga works create", "FILE", "a work from a JSON file (- = standard input)", NULL, ctl_dga_works_create},
	{"dga works set", "WORK KEY=VALUE...", "change a work, live: mode=shadow, informant=NAME, options.x=1", NULL, ctl_dga_works_set},
	{"dga works import", "FILE", "works from CSV, with errors per line; a code that is there is changed",
	 "--skip-bad\timport the good lines although others are bad\n--dry\tcheck alone", ctl_dga_works_import},
	{"dga works delete", "WORK", "switch a work off and hide it; its audit stays", NULL, ctl_dga_works_delete},
	{"dga centres list", "", "control centres", NULL, ctl_dga_centres_list},
	{"dga centres create", "FILE", "a control centre from a JSON file (- = standard input)", NULL, ctl_dga_centres_create},
	{"dga centres set", "CENTRE KEY=VALUE...", "change a control centre, live",
	 "--force\talso when its works could then not be filed within their lag: an alarm instead of a refusal", ctl_dga_centres_set},
	{"dga centres resume", "CENTRE", "a blocked or stopped centre goes on", "--reason TEXT\tkept in the audit", ctl_dga_centres_resume},
	{"dga centres stop", "CENTRE", "stop all calls of a centre", "--reason TEXT\tkept in the audit", ctl_dga_centres_stop},
	{"dga centres forecast", "CENTRE", "how long its backlog takes, and whether within the lag", NULL, ctl_dga_centres_forecast},
	{"dga informants list", "", "who informs, without passwords", NULL, ctl_dga_informants_list},
	{"dga informants create", "FILE", "an informant from a JSON file (- = standard input)", NULL, ctl_dga_informants_create},
	{"dga informants password", "INFORMANT FILE", "a new password from a file's first line (- = standard input)", NULL, ctl_dga_informants_password},
	{"dga certificates list", "", "certificates and when they end", NULL, ctl_dga_certificates_list},
	{"dga certificates add", "FILE", "a certificate as PEM", "--name TEXT\tfor people\n--centre CENTRE\tthat uses it", ctl_dga_certificates_add},
	{"dga certificates remove", "ID", "forget a certificate", NULL, ctl_dga_certificates_remove},
	{"dga slots", "", "slots to which something happened",
	 "--work WORK\tof one work\n--state LIST\tstates, comma-separated: unknown,refused\n--mark late|over_lag|checked|flagged|foreign\twith this mark\n" DGA_WINDOW
	 "\n--newest\tthe newest first\n--limit N\tat most N (50)",
	 ctl_dga_slots},
	{"dga show", "WORK DUE", "one slot: why it stands where it stands, when it goes next, all that happened to it; DUE without a zone is UTC-4", NULL, ctl_dga_show},
	{"dga receipts", "[RECEIPT]", "receipts, or the one", "--work WORK\tof one work\n" DGA_WINDOW "\n--csv\tall of them as CSV\n--limit N\tat most N (50)", ctl_dga_receipts},
	{"dga verify", "[RECEIPT]", "prove a receipt: slot, payload, request, answer, check, chain; without one walk the audit's chains, telling how far on standard error",
	 "--work WORK\twithout RECEIPT: of one work\n--limit NUMBER\twithout RECEIPT: works of one request at most; it ends after some 20 s anyway", ctl_dga_verify},
	{"dga days", "WORK", "daily proof: slots due = filed + explained + open", DGA_WINDOW, ctl_dga_days},
	{"dga compliance", "", "on-time share, late, missing, next deadlines",
	 "--by work|client|standard|region\ta row for each (work)\n--work WORK\tof one work\n--client NAME\tof one client\n--standard NAME\tof one standard\n" DGA_WINDOW, ctl_dga_compliance},
	{"dga report", "MONTH", "the monthly report (2026-01) with its receipts",
	 "--client NAME\tof one client\n--work WORK\tof one work\n--format html|pdf|csv\tform (html)\n--out FILE\tinto a file", ctl_dga_report},
	{"dga failure-report", "MONTH", "failures of transmission, which the user must report",
	 "--client NAME\tof one client\n--work WORK\tof one work\n--format html|pdf|csv\tform (a table)\n--out FILE\tinto a file", ctl_dga_failure_report},
	{"dga sheet", "MONTH", "a spreadsheet for works that are filed by sheet",
	 "--client NAME\tof one client\n--work WORK\tof one work\n--all\twhat is filed already too\n--out FILE\tinto a file", ctl_dga_sheet},
	{"dga cutover plan", "WORK", "which slot collides at a switch from local time, and when to switch",
	 "--at TIME\tour first slot (the work's start)\n--zone NAME\tclock of the other system (America/Santiago)", ctl_dga_cutover_plan},
	{"dga cutover import", "FILE", "receipts of another system from CSV",
	 "--source TEXT\tthe other system\n--skip-bad\timport the good lines although others are bad\n--dry\tcheck alone", ctl_dga_cutover_import},
	{"dga cutover compare", "WORK", "what the other system filed beside what we would have filed", DGA_WINDOW "\n--all\twhat is the same too\n--ask\task the regulator by GET for receipts that were not asked for\n--limit N\tat most N (1000)",
	 ctl_dga_cutover_compare},
	{"dga kill-switch", "[on|off]", "the global switch of filing, or set it", "--reason TEXT\tkept in the audit", ctl_dga_kill_switch},
	{"dga hold leave", "", "go on filing after a restore", "--reason TEXT\tkept in the audit", ctl_dga_hold_leave},
	{"dga release", "WORK", "its configuration was corrected: held slots go again from the next day", "--reason TEXT\tkept in the audit", ctl_dga_release},
	{"dga by-hand", "WORK DUE RECEIPT", "mark a slot as filed by sheet or form", "--reason TEXT\tkept in the audit", ctl_dga_by_hand},
	{"dga alarms", "", "alarms of filing", "--work WORK\tof one work\n--all\tthose that are over too", ctl_dga_alarms},
	{"dga acknowledge", "NUMBER", "somebody has seen an alarm", NULL, ctl_dga_acknowledge},
	{"check-config", "FILE", "check a hydro.lua without a daemon", NULL, ctl_check_config},
	{"config-reference", "", "all settings of hydro.lua, as Markdown", NULL, ctl_config_reference},
	{"get", "PATH", "any GET of the API, as JSON", NULL, ctl_get_path},
	{"completion", "bash", "completion script for the shell", NULL, ctl_completion},
	{"man", "hydroctl|hydro.lua", "a manual page, as roff", NULL, ctl_man},
};
const size_t ctl_command_count = HD_ARRAY_LEN(ctl_commands);

bool ctl_next_line(const char **at, struct ctl_line *ret)
{
	const char *p = *at;
	if (!p || !*p)
		return false;
	int whole = (int)strcspn(p, "\n"), left = (int)strcspn(p, "\t\n");
	*ret = (struct ctl_line){p, p + HD_MIN(left + 1, whole), left, whole - HD_MIN(left + 1, whole)};
	*at = p + whole + (p[whole] == '\n');
	return true;
}

static void print_lines(FILE *out, const char *lines, int width)
{
	struct ctl_line line;
	while (ctl_next_line(&lines, &line))
		(void)fprintf(out, "  %-*.*s %.*s\n", width, line.left_len, line.left, line.right_len, line.right);
}

static void help(FILE *out)
{
	(void)fputs("hydroctl — look at and steer a running hydrod over its REST API\n\n"
		    "usage: hydroctl [--url URL] [--key KEY | --key-file FILE] [--json] COMMAND …\n\n",
		    out);
	int width = 0;
	for (size_t i = 0; i < ctl_command_count; i++)
		width = HD_MAX(width, (int)(strlen(ctl_commands[i].name) + strlen(ctl_commands[i].args)) + 1);
	for (size_t i = 0; i < ctl_command_count; i++) {
		char call[80];
		(void)snprintf(call, sizeof call, "%s %s", ctl_commands[i].name, ctl_commands[i].args);
		(void)fprintf(out, "  %-*s  %s\n", width, call, ctl_commands[i].summary);
	}
	(void)fputs("\n", out);
	print_lines(out, ctl_global_options, 16);
	(void)fputs("\nA POINT is given by its id or its name, a WORK by its code, id or number, a CENTRE or INFORMANT by id, name or RUT.\n\nexit status:\n", out);
	print_lines(out, ctl_exit_statuses, 2);
}

static void command_help(const struct ctl_command *command)
{
	(void)printf("usage: hydroctl %s %s\n\n%s\n", command->name, command->args, command->summary);
	print_lines(stdout, command->options, 24);
}

/* The command whose words are the first arguments; the longest wins. */
static const struct ctl_command *find_command(int argc, char **argv, int *ret_words)
{
	const struct ctl_command *found = NULL;
	for (size_t i = 0; i < ctl_command_count; i++) {
		char name[64];
		(void)snprintf(name, sizeof name, "%s", ctl_commands[i].name);
		int words = 0;
		bool match = true;
		for (char *save = NULL, *word = strtok_r(name, " ", &save); word && match; word = strtok_r(NULL, " ", &save), words++)
			match = words < argc && strcmp(argv[words], word) == 0;
		if (match && (!found || words > *ret_words)) {
			found = &ctl_commands[i];
			*ret_words = words;
		}
	}
	return found;
}

/* Wrong on the command line it ends here; from the environment it is said, for not every command needs a key. */
static char *read_key_file(const char *path, bool given)
{
	static char key[512];
	FILE *file = fopen(path, "re");
	bool good = file && fgets(key, sizeof key, file);
	if (file)
		(void)fclose(file);
	if (!good)
		(void)fprintf(stderr, "hydroctl: cannot read the key file %s%s\n", path, given ? "" : " (HYDRO_API_KEY_FILE)");
	if (!good && given)
		exit(CTL_EXIT_USAGE);
	key[strcspn(key, "\r\n")] = '\0';
	return good ? key : NULL;
}

static void global_options(struct ctl *ctl)
{
	const char *url = ctl_option(ctl, "--url"), *key = ctl_option(ctl, "--key"), *file = ctl_option(ctl, "--key-file");
	ctl->json = ctl_flag(ctl, "--json");
	ctl->url = url ? url : getenv("HYDRO_URL") ? getenv("HYDRO_URL") : "http://127.0.0.1:8000";
	ctl->key = key ? key : getenv("HYDRO_API_KEY");
	if (file)
		ctl->key = read_key_file(file, true);
	else if (!ctl->key && getenv("HYDRO_API_KEY_FILE"))
		ctl->key = read_key_file(getenv("HYDRO_API_KEY_FILE"), false);
	if (ctl->key && !*ctl->key)
		ctl->key = NULL;
	struct winsize size = {0};
	ctl->tty = isatty(STDOUT_FILENO);
	ctl->color = ctl->tty && !getenv("NO_COLOR");
	ctl->width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 100;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {.argc = argc - 1, .argv = argv + 1};
	int words = 0;
	global_options(&ctl);
	if (ctl.argc == 0 || strcmp(ctl.argv[0], "--help") == 0 || strcmp(ctl.argv[0], "help") == 0) {
		help(ctl.argc ? stdout : stderr);
		return ctl.argc ? CTL_EXIT_OK : CTL_EXIT_USAGE;
	}
	if (strcmp(ctl.argv[0], "--version") == 0) {
		(void)puts("hydroctl " HYDRO_VERSION);
		return CTL_EXIT_OK;
	}
	const struct ctl_command *command = find_command(ctl.argc, ctl.argv, &words);
	if (!command) {
		(void)fprintf(stderr, "hydroctl: no command \"%s%s%s\"; see hydroctl --help\n", ctl.argv[0], ctl.argc > 1 ? " " : "", ctl.argc > 1 ? ctl.argv[1] : "");
		return CTL_EXIT_USAGE;
	}
	ctl.argc -= words;
	ctl.argv += words;
	if (ctl_flag(&ctl, "--help")) {
		command_help(command);
		return CTL_EXIT_OK;
	}
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	int code = command->run(&ctl);
	curl_global_cleanup();
	return code;
}
