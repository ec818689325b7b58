/* SPDX-License-Identifier: MIT */
/* The completion script for bash, made from the command table, so that it never lags behind. */
#include "ctl.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Readline breaks words at ":" and "=", which a URL has: the words before the cursor are taken from the line itself. */
static const char head[] =
	"# bash completion for hydroctl; made by `hydroctl completion bash`\n"
	"_hydroctl() {\n"
	"  local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_LINE:0:COMP_POINT} command=\"\" words=\"\" options=\"\" files=\"\" skip=\"\" word\n"
	"  local -a typed=()\n"
	"  read -ra typed <<<\"$before\"\n"
	"  [[ $before == *[[:space:]] ]] || unset 'typed[-1]'\n"
	"  local previous=${typed[-1]}\n"
	"  for word in \"${typed[@]:1}\"; do\n"
	"    if [[ $skip ]]; then skip=\"\"; continue; fi\n"
	"    case $word in --url|--key|--key-file) skip=1 ;; -*) ;; *) command+=\"$word \" ;; esac\n"
	"  done\n";

static const char tail[] =
	"  if [[ $cur == -* || ( -z $words && -z $files ) ]]; then words=$options; files=\"\"; fi\n"
	"  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	"  if [[ $files ]]; then\n"
	"    compopt -o filenames 2>/dev/null\n"
	"    mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$cur\")\n"
	"  fi\n"
	"}\n"
	"complete -F _hydroctl hydroctl\n";

/* "--period hour|day|month" -> --period */
static int name_len(const struct ctl_line *line)
{
	int len = 0;
	while (len < line->left_len && line->left[len] != ' ')
		len++;
	return len;
}

static void put_options(const char *options)
{
	struct ctl_line line;
	while (ctl_next_line(&options, &line))
		(void)printf(" %.*s", name_len(&line), line.left);
}

/* Words in lower case of an argument, "hydroctl|hydro.lua", with blanks for bars. */
static void put_choices(const char *text, int len)
{
	for (int i = 0; i < len; i++)
		(void)putchar(text[i] == '|' ? ' ' : text[i]);
}

static bool is_choice(const char *text, int len)
{
	for (int i = 0; i < len; i++)
		if (!islower((unsigned char)text[i]) && text[i] != '|' && text[i] != '.')
			return false;
	return len > 0;
}

static void put_command(const struct ctl_command *command)
{
	(void)printf("    \"%s \"*)", command->name);
	if (strcmp(command->args, "FILE") == 0)
		(void)fputs(" files=1", stdout);
	else if (is_choice(command->args, (int)strlen(command->args))) {
		(void)fputs(" words=\"", stdout);
		put_choices(command->args, (int)strlen(command->args));
		(void)putchar('"');
	}
	(void)fputs(" options=\"--help --json", stdout);
	put_options(command->options);
	(void)puts("\" ;;");
}

/* The first words of all commands, or the second ones of a group, each once. */
static void put_words(const char *group, size_t group_len)
{
	const char *last = "";
	for (size_t i = 0; i < ctl_command_count; i++) {
		const char *name = ctl_commands[i].name;
		if (group && (strncmp(name, group, group_len) != 0 || name[group_len] != ' '))
			continue;
		const char *word = group ? name + group_len + 1 : name;
		size_t len = strcspn(word, " ");
		if (strncmp(last, word, len) != 0 || (last[len] != '\0' && last[len] != ' '))
			(void)printf(" %.*s", (int)len, word);
		last = word;
	}
}

/* Each group of commands, "dga " and "dga works " alike, with the words that may follow. Commands of a group stand together. */
static void put_groups(void)
{
	const char *last = "";
	for (size_t i = 0; i < ctl_command_count; i++) {
		const char *name = ctl_commands[i].name;
		for (size_t len = strcspn(name, " "); name[len] != '\0'; len += 1 + strcspn(name + len + 1, " ")) {
			if (strncmp(last, name, len + 1) == 0)
				continue;
			(void)printf("    \"%.*s \") words=\"", (int)len, name);
			put_words(name, len);
			(void)puts("\" ;;");
		}
		last = name;
	}
}

/* After an option that takes a value: its choices, a file, or nothing. */
static void put_values(void)
{
	(void)fputs("  case $previous in\n    --key-file) words=\"\" options=\"\" files=1 ;;\n    --url|--key) words=\"\" options=\"\" files=\"\" ;;\n", stdout);
	for (size_t i = 0; i < ctl_command_count; i++) {
		const char *options = ctl_commands[i].options;
		for (struct ctl_line line; ctl_next_line(&options, &line);) {
			int name = name_len(&line), len = line.left_len - name - 1;
			if (len <= 0)
				continue;
			(void)printf("    %.*s) options=\"\" files=\"\" words=\"", name, line.left);
			if (is_choice(line.left + name + 1, len))
				put_choices(line.left + name + 1, len);
			(void)puts("\" ;;");
		}
	}
	(void)puts("  esac");
}

int ctl_completion(struct ctl *ctl)
{
	const char *shell = ctl_positional(ctl);
	if (!shell || strcmp(shell, "bash") != 0)
		return ctl_usage("completion is there for: bash");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	(void)fputs(head, stdout);
	(void)puts("  case $command in");
	for (size_t i = 0; i < ctl_command_count; i++)
		put_command(&ctl_commands[i]);
	put_groups();
	(void)fputs("    \"\") options=\"", stdout);
	put_options(ctl_global_options);
	(void)fputs("\" words=\"", stdout);
	put_words(NULL, 0);
	(void)puts("\" ;;\n  esac");
	put_values();
	(void)fputs(tail, stdout);
	return CTL_EXIT_OK;
}
