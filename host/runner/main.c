/* SPDX-License-Identifier: MIT */
/* hydro-runner: looks at a plugin, or runs it, outside the daemon. */
#include "probe.h"
#include "serve.h"

#include <hydro/abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef HD_VERSION
#define HD_VERSION "0.1.0"
#endif

static const char usage[] =
	"usage: hydro-runner --probe FILE.so   print the plugin's descriptor as JSON; status 0 taken, 1 refused\n"
	"       hydro-runner --serve FILE.so FD       run a provider for the daemon over a socket; not for use by hand\n"
	"       hydro-runner --version\n"
	"       hydro-runner --help\n";

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--probe") == 0)
		return hd_runner_probe(argv[2]);
	if (argc == 4 && strcmp(argv[1], "--serve") == 0)
		return hd_runner_serve(argv[2], atoi(argv[3]));
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return fputs(usage, stdout) < 0;
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return printf("hydro-runner %s, ABI %u.%u\n", HD_VERSION, HYDRO_ABI_MAJOR, HYDRO_ABI_MINOR) < 0;
	(void)fputs(usage, stderr);
	return 2;
}
