/* SPDX-License-Identifier: MIT */
#include "ctl.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const struct ctl_command ctl_commands[] = {
	{"status", "", "health of the daemon, its journal, history and providers", NULL, ctl_status},
	{"providers", "[NAME]", "providers with their state, or one in full", NULL, ctl_providers},
	{"collect", "PROVIDER | --point ID", "collect now",
	 "--point ID\tone point instead of all of a provider\n--dry\tprint request, answer, readings and each pipeline step; store nothing", ctl_collect},
	{"points list", "", "points", "--provider NAME\tof one provider\n--pipeline NAME\tof one pipeline\n--limit N\tat most N (50)", ctl_points_list},
	{"points show", "ID", "one point in full", NULL, ctl_points_show},
	{"points create", "FILE", "a point from a JSON file (- = standard input)", NULL, ctl_points_create},
	{"points set", "ID KEY=VALUE…", "change a point's configuration, live; VALUE is JSON or text; KEY may have dots", NULL, ctl_points_set},
	{"points import", "FILE", "points from CSV, with errors per line", "--skip-bad\timport the good lines although others are bad", ctl_points_import},
	{"accounts list", "", "accounts", NULL, ctl_accounts_list},
	{"accounts create", "FILE", "an account from a JSON file (- = standard input)", NULL, ctl_accounts_create},
	{"accounts import", "FILE", "accounts from CSV", "--skip-bad\timport the good lines although others are bad", ctl_accounts_import},
	{"history", "POINT", "measurements of a point",
	 "--from TIME\tRFC 3339 (24 h ago)\n--to TIME\tRFC 3339 (now)\n--metric NAME\tone metric\n--limit N\tat most N\n--plot\tdraw it in the terminal", ctl_history},
	{"aggregates", "POINT", "hours, days or months of a point", "--period hour|day|month\t(day)\n--from TIME\tRFC 3339\n--to TIME\tRFC 3339\n--zone NAME\ttime zone of days", ctl_aggregates},
	{"watch", "POINT", "follow a point's measurements as they become durable", NULL, ctl_watch},
	{"plugins", "", "plugins found, loaded and refused, with the reason", NULL, ctl_plugins},
	{"instances", "", "instances of plugins", NULL, ctl_instances},
	{"pipelines list", "", "pipelines with generation and points", NULL, ctl_pipelines_list},
	{"pipelines check", "FILE", "check a script: syntax, steps, options, selftest", NULL, ctl_pipelines_check},
	{"pipelines reload", "", "take all pipelines whose file has changed; a failure keeps what runs", NULL, ctl_pipelines_reload},
	{"pipelines versions", "NAME", "kept versions of a pipeline", NULL, ctl_pipelines_versions},
	{"pipelines rollback", "NAME VERSION", "make a kept version live again", NULL, ctl_pipelines_rollback},
	{"check-config", "FILE", "check a hydro.lua without starting anything", NULL, ctl_check_config},
	{"config-reference", "", "all settings of hydro.lua, as Markdown", NULL, ctl_config_reference},
	{"get", "PATH", "any GET of the API, as JSON", NULL, ctl_get_path},
	{"completion", "bash", "completion script for the shell", NULL, ctl_completion},
};
const size_t ctl_command_count = HD_ARRAY_LEN(ctl_commands);

static void help(FILE *out)
{
	(void)fputs("hydroctl — look at and steer a running hydrod over its REST API\n\n"
		    "usage: hydroctl [--url URL] [--key KEY | --key-file FILE] [--json] COMMAND …\n\n",
		    out);
	for (size_t i = 0; i < ctl_command_count; i++) {
		char call[80];
		(void)snprintf(call, sizeof call, "%s %s", ctl_commands[i].name, ctl_commands[i].args);
		(void)fprintf(out, "  %-34s %s\n", call, ctl_commands[i].summary);
	}
	(void)fputs("\n  --url URL        where hydrod listens; else HYDRO_URL; else http://127.0.0.1:8000\n"
		    "  --key KEY        API key; else HYDRO_API_KEY\n"
		    "  --key-file FILE  file with the API key; else HYDRO_API_KEY_FILE\n"
		    "  --json           print answers as JSON\n"
		    "  COMMAND --help   options of a command\n"
		    "\nexit status: 0 done, 1 refused or not reached, 2 wrong usage\n",
		    out);
}

static void command_help(const struct ctl_command *command)
{
	(void)printf("usage: hydroctl %s %s\n\n%s\n", command->name, command->args, command->summary);
	for (const char *p = command->options; p && *p;) {
		size_t n = strcspn(p, "\n"), tab = strcspn(p, "\t");
		(void)printf("  %-28.*s %.*s\n", (int)HD_MIN(tab, n), p, tab < n ? (int)(n - tab - 1) : 0, p + HD_MIN(tab + 1, n));
		p += n + (p[n] == '\n');
	}
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

static char *read_key_file(const char *path)
{
	static char key[512];
	FILE *file = fopen(path, "re");
	if (!file || !fgets(key, sizeof key, file)) {
		(void)fprintf(stderr, "hydroctl: cannot read the key file %s\n", path);
		exit(CTL_EXIT_USAGE);
	}
	(void)fclose(file);
	key[strcspn(key, "\r\n")] = '\0';
	return key;
}

static void global_options(struct ctl *ctl)
{
	const char *url = ctl_option(ctl, "--url"), *key = ctl_option(ctl, "--key"), *file = ctl_option(ctl, "--key-file");
	ctl->json = ctl_flag(ctl, "--json");
	ctl->url = url ? url : getenv("HYDRO_URL") ? getenv("HYDRO_URL") : "http://127.0.0.1:8000";
	ctl->key = key ? key : getenv("HYDRO_API_KEY");
	if (!file && !ctl->key)
		file = getenv("HYDRO_API_KEY_FILE");
	if (file)
		ctl->key = read_key_file(file);
	struct winsize size = {0};
	ctl->color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
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
