/* SPDX-License-Identifier: MIT */
/*
 * A process for the tests of crashes: opens the plugin host on a folder, creates an instance and gives its parse a body.
 * crasher RUNNER DIR INSTANCE PLUGIN BODY HANG_MS; prints what failed, exits 0 when all went well.
 */
#include "model/names.h"
#include "plugin/plugin.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static void print_log(void *arg, uint32_t level, const char *instance, const char *text)
{
	(void)arg;
	(void)level;
	(void)printf("%s: %s\n", instance, text);
}

static int32_t ignore_raw(void *ctx, const hydro_raw *values, uint32_t count)
{
	(void)ctx;
	(void)values;
	(void)count;
	return HYDRO_OK;
}

static int give_body(const struct hd_provider *provider, const char *body, struct hydro_error *err)
{
	static const unsigned char point[16] = {0xaa, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xbb};
	hydro_poll poll = {.struct_size = sizeof poll, .now_ms = INT64_C(1767225600000), .token = ""};
	hydro_http_response response = {.struct_size = sizeof response, .status = 200, .body = body, .body_len = strlen(body), .content_type = ""};
	hydro_emit emit = {.struct_size = sizeof emit, .raw = ignore_raw};
	hydro_outcome outcome = {.struct_size = sizeof outcome};
	hd_crumb_enter(provider->crumb, point);
	if (strcmp(body, "KILL") == 0)
		(void)raise(SIGKILL);
	int rc = provider->ops.parse(provider->self, &poll, &response, &emit, &outcome, err);
	hd_crumb_leave();
	return rc;
}

int main(int argc, char **argv)
{
	if (argc != 7)
		return 2;
	struct rlimit no_core = {0, 0};
	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	char crumbs[512];
	(void)snprintf(crumbs, sizeof crumbs, "%s/crumbs", argv[2]);
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_names *names = NULL;
	struct hd_plugins *plugins = NULL;
	struct hd_instance *instance = NULL;
	const char *dirs[] = {argv[2]};
	struct hd_plugins_config cfg = {.dirs = dirs, .dir_count = 1, .runner_path = argv[1], .crumb_path = crumbs, .log = print_log, .probe_ms = 20000,
					.hang_ms = (uint32_t)atoi(argv[6])};
	int rc = hd_names_open(NULL, &names, &err);
	cfg.names = names;
	if (rc == HYDRO_OK)
		rc = hd_plugins_open(&cfg, &plugins, &err);
	if (rc == HYDRO_OK)
		rc = hd_instance_create(plugins, argv[3], argv[4], NULL, &instance, &err);
	if (rc == HYDRO_OK)
		rc = give_body(hd_instance_provider(instance), argv[5], &err);
	if (rc != HYDRO_OK)
		(void)printf("failed: %s\n", err.text);
	hd_instance_free(&instance);
	hd_plugins_close(&plugins);
	hd_names_close(&names);
	return rc == HYDRO_OK ? 0 : 1;
}
