/* SPDX-License-Identifier: MIT */
/* Manual pages as roff, from the tables that the programs themselves go by. */
#include "ctl.h"

#include "config/config.h"

#include <stdio.h>
#include <string.h>

/* Text with what roff would take for itself written otherwise; lines are broken at blanks from `wrap` on, 0 = not at all. */
static void put_wrapped(const char *text, int len, int wrap)
{
	for (int i = 0, column = 0; i < len; i++, column++) {
		char c = text[i];
		if (c == ' ' && wrap && column >= wrap) {
			c = '\n';
			column = -1;
		}
		if (c == '-')
			(void)fputs("\\-", stdout);
		else if (c == '\\')
			(void)fputs("\\e", stdout);
		else if (c == '\'')
			(void)fputs("\\(aq", stdout);
		else if (c == '.' && column == 0)
			(void)fputs("\\&.", stdout);
		else
			(void)putchar(c);
	}
}

static void put(const char *text, int len)
{
	put_wrapped(text, len, 0);
}

static void put_text(const char *text, int len)
{
	put_wrapped(text, len, 55);
	(void)putchar('\n');
}

/* ".TP", the term in bold up to its first blank, what follows in italics, then the text. */
static void put_item(const char *term, int term_len, const char *text, int text_len)
{
	int bold = 0;
	while (bold < term_len && term[bold] != ' ')
		bold++;
	(void)fputs(".TP\n\\fB", stdout);
	put(term, bold);
	(void)fputs("\\fR", stdout);
	if (bold < term_len) {
		(void)fputs(" \\fI", stdout);
		put(term + bold + 1, term_len - bold - 1);
		(void)fputs("\\fR", stdout);
	}
	(void)putchar('\n');
	put_text(text, text_len);
}

static void put_lines(const char *lines)
{
	for (struct ctl_line line; ctl_next_line(&lines, &line);)
		put_item(line.left, line.left_len, line.right, line.right_len);
}

static void put_command(const struct ctl_command *command)
{
	(void)fputs(".TP\n\\fB", stdout);
	put(command->name, (int)strlen(command->name));
	(void)fputs("\\fR", stdout);
	if (*command->args) {
		(void)fputs(" \\fI", stdout);
		put(command->args, (int)strlen(command->args));
		(void)fputs("\\fR", stdout);
	}
	(void)putchar('\n');
	put_text(command->summary, (int)strlen(command->summary));
	if (!command->options)
		return;
	(void)puts(".RS");
	put_lines(command->options);
	(void)puts(".RE");
}

static void page_hydroctl(void)
{
	(void)puts(".TH HYDROCTL 1 " HYDRO_MAN_DATE " \"hydrod " HYDRO_VERSION "\" \"User commands\"\n"
		   ".SH NAME\nhydroctl \\- look at and steer a running hydrod over its REST API\n"
		   ".SH SYNOPSIS\n.B hydroctl\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n"
		   ".SH DESCRIPTION\nEach command is one or a few requests to the REST API of\n.BR hydrod (8),\n"
		   "laid out for a person, or printed as they came with \\fB\\-\\-json\\fR.\n"
		   "A \\fIPOINT\\fR is given by its id or its name, a \\fIWORK\\fR by its code, id or\nnumber, a \\fICENTRE\\fR or \\fIINFORMANT\\fR by its id, name or RUT.\nTimes are RFC 3339; those without a zone are UTC.\n.SH OPTIONS");
	put_lines(ctl_global_options);
	(void)puts(".SH COMMANDS");
	for (size_t i = 0; i < ctl_command_count; i++)
		put_command(&ctl_commands[i]);
	(void)puts(".SH EXIT STATUS");
	put_lines(ctl_exit_statuses);
	(void)puts(".SH ENVIRONMENT");
	put_lines("HYDRO_URL\twhere hydrod listens, unless --url is given\nHYDRO_API_KEY\tAPI key, unless an option gives one\n"
		  "HYDRO_API_KEY_FILE\tfile with the API key, unless one is given otherwise\nNO_COLOR\tno colours, whatever its value");
	(void)puts(".SH EXAMPLES\n.nf\nhydroctl points import points.csv\nhydroctl history WELL\\-12 \\-\\-metric flow \\-\\-plot\n"
		   "hydroctl collect \\-\\-point WELL\\-12 \\-\\-dry\nhydroctl pipelines check well.lua && hydroctl pipelines reload\n"
		   "hydroctl dga works import works.csv \\-\\-dry\nhydroctl dga report 2026\\-01 \\-\\-format pdf \\-\\-out report.pdf\nhydroctl dga verify RECEIPT\n"
		   "source <(hydroctl completion bash)\n.fi\n.SH SEE ALSO\n.BR hydrod (8),\n.BR hydro.lua (5)");
}

/* "whole number, 1 to 64; default 2" */
static void put_bounds(const struct hd_config_setting *setting)
{
	char number[CTL_NUMBER_TEXT];
	(void)fputs("(", stdout);
	put(setting->type, (int)strlen(setting->type));
	if (setting->choices) {
		(void)fputs(":", stdout);
		put(setting->choices, (int)strlen(setting->choices) - 1);
	}
	if (setting->max > 0) {
		const char *unit = strcmp(setting->type, "time") == 0 ? " ms" : strcmp(setting->type, "size") == 0 ? " bytes" : "";
		(void)printf(", %s", ctl_number(setting->min, number));
		(void)printf(" to %s%s", ctl_number(setting->max, number), unit);
	}
	if (*setting->fallback) {
		(void)fputs("; default ", stdout);
		put(setting->fallback, (int)strlen(setting->fallback));
	}
	(void)puts(")");
}

static void page_config(void)
{
	struct hd_config_setting setting;
	(void)puts(".TH HYDRO.LUA 5 " HYDRO_MAN_DATE " \"hydrod " HYDRO_VERSION "\" \"File formats\"\n"
		   ".SH NAME\nhydro.lua \\- configuration of hydrod\n"
		   ".SH SYNOPSIS\n.I /etc/hydrod/hydro.lua\n"
		   ".SH DESCRIPTION\nA Lua chunk that returns a table.\nIt runs once, at the start, in a sandbox without files or network;\n"
		   ".BI env( name \"[, \" default ])\ngives an environment variable and\n.BI secret_file( path )\nthe text of a file, for what must not stand in the configuration.\n"
		   "Unknown settings, wrong types and values out of range are refused with file,\nline and reason, and nothing starts.\n"
		   "Times are written \"500ms\", \"90s\", \"15m\", \"2h\", \"1d\";\nsizes as numbers of bytes or \"64MiB\".\n"
		   "\\fIa.b\\fR stands for \\fIb\\fR in the table \\fIa\\fR.\n.SH SETTINGS");
	for (size_t i = 0; hd_config_setting_at(i, &setting); i++) {
		(void)fputs(".TP\n\\fB", stdout);
		put(setting.path, (int)strlen(setting.path));
		(void)puts("\\fR");
		put_text(setting.doc, (int)strlen(setting.doc));
		put_bounds(&setting);
	}
	(void)puts(".SH EXAMPLE\n.nf\nreturn {\n  data_dir = \"/var/lib/hydrod\",\n  plugins = { dirs = { \"/usr/lib/hydrod/plugins\" } },\n"
		   "  providers = {\n    twin = { options = { base_url = \"https://api.twindimension.com/tdata/v1\" } },\n  },\n}\n.fi\n"
		   ".SH SEE ALSO\n.BR hydrod (8),\n.BR hydroctl (1)");
}

int ctl_man(struct ctl *ctl)
{
	const char *page = ctl_positional(ctl);
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	if (page && strcmp(page, "hydroctl") == 0)
		page_hydroctl();
	else if (page && strcmp(page, "hydro.lua") == 0)
		page_config();
	else
		return ctl_usage("pages: hydroctl, hydro.lua");
	return CTL_EXIT_OK;
}
