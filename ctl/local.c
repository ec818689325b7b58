/* SPDX-License-Identifier: MIT */
/* Commands that need no running daemon. */
#include "ctl.h"

#include "config/config.h"

#include <stdio.h>
#include <string.h>

int ctl_check_config(struct ctl *ctl)
{
	const char *file = ctl_positional(ctl);
	struct hd_config *config = NULL;
	struct hydro_error err = {0};
	if (!file)
		return ctl_usage("which file?");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	if (hd_config_load(file, &config, &err) != HYDRO_OK) {
		(void)fprintf(stderr, "%s\n", err.text);
		return CTL_EXIT_FAILED;
	}
	struct hd_buf text = {0};
	hd_config_json(config, &text);
	if (ctl->json)
		(void)puts(hd_buf_text(&text));
	else
		(void)printf("%s: good; data in %s, API on %s:%lld, %u providers\n", file, config->data_dir, config->address, (long long)config->port, config->provider_count);
	hd_buf_done(&text);
	hd_config_free(&config);
	return CTL_EXIT_OK;
}

int ctl_config_reference(struct ctl *ctl)
{
	struct hd_buf text = {0};
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	hd_config_reference(&text);
	(void)fputs(hd_buf_text(&text), stdout);
	hd_buf_done(&text);
	return CTL_EXIT_OK;
}

/* Made from the command table, so that it never lags behind. */
int ctl_completion(struct ctl *ctl)
{
	const char *shell = ctl_positional(ctl);
	if (!shell || strcmp(shell, "bash") != 0)
		return ctl_usage("completion is there for: bash");
	(void)fputs("# bash completion for hydroctl; made by `hydroctl completion bash`\n_hydroctl() {\n"
		    "  local cur=${COMP_WORDS[COMP_CWORD]} line=\" ${COMP_WORDS[*]:1:COMP_CWORD-1} \" words=\"\"\n  case \"$line\" in\n",
		    stdout);
	for (size_t i = 0; i < ctl_command_count; i++) {
		const struct ctl_command *command = &ctl_commands[i];
		(void)printf("    \" %s \"*) words=\"--help", command->name);
		for (const char *p = command->options; p && *p;) {
			size_t n = strcspn(p, "\n");
			if (*p == '-')
				(void)printf(" %.*s", (int)strcspn(p, " \t"), p);
			p += n + (p[n] == '\n');
		}
		(void)puts("\" ;;");
	}
	const char *last_group = "";
	for (size_t i = 0; i < ctl_command_count; i++) {
		const char *space = strchr(ctl_commands[i].name, ' ');
		size_t len = space ? (size_t)(space - ctl_commands[i].name) : 0;
		if (!space || strncmp(last_group, ctl_commands[i].name, len + 1) == 0)
			continue;
		last_group = ctl_commands[i].name;
		(void)printf("    \" %.*s \") words=\"", (int)len, last_group);
		for (size_t k = 0; k < ctl_command_count; k++)
			if (strncmp(ctl_commands[k].name, last_group, len + 1) == 0)
				(void)printf("%s ", ctl_commands[k].name + len + 1);
		(void)puts("\" ;;");
	}
	(void)fputs("    *) words=\"--url --key --key-file --json --help --version", stdout);
	last_group = "";
	for (size_t i = 0; i < ctl_command_count; i++) {
		size_t len = strcspn(ctl_commands[i].name, " ");
		if (strncmp(last_group, ctl_commands[i].name, len) != 0 || last_group[len] != ctl_commands[i].name[len])
			(void)printf(" %.*s", (int)len, ctl_commands[i].name);
		last_group = ctl_commands[i].name;
	}
	(void)fputs("\" ;;\n  esac\n  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
		    "  [ ${#COMPREPLY[@]} -eq 0 ] && mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n}\ncomplete -F _hydroctl hydroctl\n",
		    stdout);
	return CTL_EXIT_OK;
}
