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
