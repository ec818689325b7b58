/* SPDX-License-Identifier: MIT */
#include "base/clock.h"
#include "base/timefmt.h"
#include "daemon/daemon.h"

#include <stdio.h>
#include <string.h>

#define EXIT_WRONG_USAGE 2
#define SIM_START_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

static void help(void)
{
	(void)puts("hydrod: collects, processes and serves telemetry of water-extraction points\n"
		   "\nusage: hydrod [OPTIONS]\n"
		   "  --config FILE          configuration (default /etc/hydrod/hydro.lua)\n"
		   "  --check                check configuration, plugins and pipelines; start nothing\n"
		   "  --admin-key-file FILE  where the first start writes the admin API key (else it is printed once)\n"
		   "  --clock sim:FILE[@TIME]  simulated clock, shared through FILE, begun at TIME (tests)\n"
		   "  --until TIME           a simulated clock goes no further (tests)\n"
		   "  --step SPAN            a simulated clock stops at multiples of it only (tests)\n"
		   "  --help, --version\n"
		   "\nSee hydrod(8), hydro.lua(5), hydroctl(1).");
}

static int wrong(const char *what, const char *value)
{
	(void)fprintf(stderr, "hydrod: %s%s%s; see --help\n", what, value ? ": " : "", value ? value : "");
	return EXIT_WRONG_USAGE;
}

/* "sim:FILE[@TIME]" */
static int start_clock(char *text)
{
	struct hydro_error err = {0};
	int64_t start_ms = SIM_START_MS;
	if (strcmp(text, "real") == 0)
		return 0;
	if (strncmp(text, "sim:", 4) != 0)
		return wrong("--clock takes real or sim:FILE[@TIME]", text);
	char *at = strrchr(text, '@');
	if (at && !hd_time_parse(at + 1, strlen(at + 1), true, &start_ms))
		return wrong("not a time (RFC 3339)", at + 1);
	if (at)
		*at = '\0';
	if (hd_clock_simulate(text + 4, start_ms, &err) != HYDRO_OK)
		return wrong(err.text, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	struct hd_daemon_options options = {.config_path = "/etc/hydrod/hydro.lua"};
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		int code = 0;
		if (strcmp(argv[i], "--help") == 0) {
			help();
			return 0;
		} else if (strcmp(argv[i], "--version") == 0) {
			(void)puts("hydrod " HYDRO_VERSION);
			return 0;
		} else if (strcmp(argv[i], "--check") == 0) {
			options.check = true;
			continue;
		} else if (!value) {
			return wrong("unknown option, or one without its value", argv[i]);
		} else if (strcmp(argv[i], "--config") == 0) {
			options.config_path = value;
		} else if (strcmp(argv[i], "--admin-key-file") == 0) {
			options.admin_key_file = value;
		} else if (strcmp(argv[i], "--clock") == 0) {
			code = start_clock(argv[i + 1]);
		} else if (strcmp(argv[i], "--until") == 0) {
			if (!hd_time_parse(value, strlen(value), true, &options.until_ms))
				code = wrong("not a time (RFC 3339)", value);
		} else if (strcmp(argv[i], "--step") == 0) {
			if (!hd_duration_parse(value, &options.step_ms))
				code = wrong("not a time span like 10s", value);
		} else {
			code = wrong("unknown option", argv[i]);
		}
		if (code)
			return code;
		i++;
	}
	return hd_daemon_run(&options);
}
