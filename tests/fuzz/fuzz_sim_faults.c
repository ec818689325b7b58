/* SPDX-License-Identifier: MIT */
/* The simulator's faults from JSON: refused with a reason, or such that any slot of any point can still be read. */
#include "faults.h"
#include "options.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sim sim;
	struct hydro_error err = {0};
	if (!sim.series) {
		char name[] = "hydro-sim", *argv[] = {name};
		struct sim_config config;
		if (sim_options_read(1, argv, &config, &err) != SIM_OPTIONS_RUN || sim_init(&sim, &config, &err) != HYDRO_OK)
			abort();
	}
	struct sim_faults *kept = sim.faults;
	if (sim_faults_new(1, &sim.faults, &err) != HYDRO_OK)
		abort();
	int rc = sim_faults_add(sim.faults, (const char *)data, size, sim.config.start_ms, NULL, &err);
	if (rc != HYDRO_OK && !err.text[0])
		abort();
	for (uint32_t i = 0; i < 4 && rc == HYDRO_OK; i++) {
		struct sim_point point;
		struct sim_point_faults picked;
		struct sim_reading reading;
		sim_point_at(&sim, i, &point);
		sim_point_faults_pick(&sim, &point, &picked);
		for (int64_t slot = 525000; slot < 525010; slot++)
			sim_reading_at(&sim, &point, &picked, slot, &reading);
		struct hd_buf out = {0};
		sim_faults_print(sim.faults, &out);
		hd_buf_done(&out);
	}
	sim_faults_free(sim.faults);
	sim.faults = kept;
	return 0;
}
