/* SPDX-License-Identifier: MIT */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

static void take_out(struct ctl *ctl, int at, int count)
{
	for (int i = at; i + count < ctl->argc; i++)
		ctl->argv[i] = ctl->argv[i + count];
	ctl->argc -= count;
}

const char *ctl_option(struct ctl *ctl, const char *name)
{
	size_t len = strlen(name);
	for (int i = 0; i < ctl->argc; i++) {
		char *arg = ctl->argv[i];
		if (strcmp(arg, name) == 0 && i + 1 < ctl->argc) {
			const char *value = ctl->argv[i + 1];
			take_out(ctl, i, 2);
			return value;
		}
		if (strncmp(arg, name, len) == 0 && arg[len] == '=') {
			take_out(ctl, i, 1);
			return arg + len + 1;
		}
	}
	return NULL;
}

bool ctl_flag(struct ctl *ctl, const char *name)
{
	for (int i = 0; i < ctl->argc; i++)
		if (strcmp(ctl->argv[i], name) == 0) {
			take_out(ctl, i, 1);
			return true;
		}
	return false;
}

const char *ctl_positional(struct ctl *ctl)
{
	for (int i = 0; i < ctl->argc; i++)
		if (ctl->argv[i][0] != '-' || ctl->argv[i][1] == '\0') {
			const char *value = ctl->argv[i];
			take_out(ctl, i, 1);
			return value;
		}
	return NULL;
}

bool ctl_no_more(struct ctl *ctl)
{
	if (ctl->argc == 0)
		return true;
	(void)fprintf(stderr, "hydroctl: \"%s\" is not understood here; see --help\n", ctl->argv[0]);
	return false;
}

int ctl_usage(const char *why)
{
	(void)fprintf(stderr, "hydroctl: %s; see --help\n", why);
	return CTL_EXIT_USAGE;
}
