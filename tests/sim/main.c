/* SPDX-License-Identifier: MIT */
#include "base/clock.h"
#include "base/fs.h"
#include "faults.h"
#include "http.h"
#include "options.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define FAULTS_BYTES_MAX (1u << 20)

static int load_faults(struct sim *sim, struct hydro_error *err)
{
	struct hd_buf text = {0};
	if (!sim->config.faults_file)
		return HYDRO_OK;
	int rc = hd_fs_read(sim->config.faults_file, FAULTS_BYTES_MAX, &text, err);
	if (rc == HYDRO_OK)
		rc = sim_faults_add(sim->faults, hd_buf_text(&text), text.len, hd_clock_wall_ms(), NULL, err);
	hd_buf_done(&text);
	return rc == HYDRO_OK ? rc : hd_error_while(err, "reading the faults of %s", sim->config.faults_file);
}

static int serve(struct sim *sim, const sigset_t *until, struct hydro_error *err)
{
	struct sim_http *http;
	int rc = load_faults(sim, err);
	if (rc == HYDRO_OK)
		rc = sim_http_start(sim, &http, err);
	if (rc != HYDRO_OK)
		return rc;
	(void)printf("hydro-sim ready port=%u\n", sim->port);
	(void)fflush(stdout);
	int caught;
	(void)sigwait(until, &caught);
	sim_http_stop(http);
	return HYDRO_OK;
}

int main(int argc, char **argv)
{
	struct sim_config config;
	struct sim sim;
	struct hydro_error err = {0};
	sigset_t stop;
	int rc = sim_options_read(argc, argv, &config, &err);
	if (rc == SIM_OPTIONS_HELP) {
		sim_options_help();
		return 0;
	}
	(void)sigemptyset(&stop);
	(void)sigaddset(&stop, SIGINT);
	(void)sigaddset(&stop, SIGTERM);
	(void)pthread_sigmask(SIG_BLOCK, &stop, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	if (rc == SIM_OPTIONS_RUN && config.clock_file)
		rc = hd_clock_simulate(config.clock_file, config.start_ms, &err);
	if (rc == HYDRO_OK)
		rc = sim_init(&sim, &config, &err);
	if (rc == HYDRO_OK) {
		rc = serve(&sim, &stop, &err);
		sim_done(&sim);
	}
	if (rc != HYDRO_OK)
		(void)fprintf(stderr, "hydro-sim: %s\n", err.text);
	return rc == HYDRO_OK ? 0 : 1;
}
