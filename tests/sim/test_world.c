/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "faults.h"
#include "options.h"
#include "series.h"

#include <string.h>

static void open_sim(struct sim *sim, const char *points)
{
	char *argv[] = {(char[]){"hydro-sim"}, (char[]){"--points"}, strdup(points)};
	struct sim_config config;
	struct hydro_error err = {0};
	cr_assert_eq(sim_options_read(3, argv, &config, &err), SIM_OPTIONS_RUN);
	cr_assert_eq(sim_init(sim, &config, &err), HYDRO_OK, "%s", err.text);
	free(argv[2]);
}

Test(world, finds_each_point_by_its_token_and_no_other)
{
	struct sim sim;
	open_sim(&sim, "500");
	for (uint32_t i = 0; i < 500; i++) {
		struct sim_point point;
		char token[SIM_TOKEN_TEXT];
		sim_point_at(&sim, i, &point);
		sim_point_token(&sim, point.provider, i, token);
		cr_assert_eq(sim_point_of_token(&sim, point.provider, token, strlen(token)), i);
		cr_assert_eq(sim_point_of_token(&sim, (point.provider + 1) % SIM_PROVIDERS, token, strlen(token)), SIM_NO_POINT);
		cr_assert_eq(sim_point_of_token(&sim, point.provider, token, strlen(token) - 1), SIM_NO_POINT);
		token[strlen(token) - 1] ^= 1;
		cr_assert_eq(sim_point_of_token(&sim, point.provider, token, strlen(token)), SIM_NO_POINT);
	}
	sim_done(&sim);
}

Test(world, replays_without_end_and_never_backwards)
{
	struct sim sim;
	open_sim(&sim, "20");
	for (size_t t = 0; t < sim.series->volume_count; t++) {
		const struct sim_track *track = &sim.series->volumes[t];
		int64_t cycle_ms = (int64_t)track->count * track->step_ms;
		double last = 0;
		for (int64_t at = 0; at < 2 * cycle_ms; at += track->step_ms / 2) {
			double v = sim_track_volume(track, at);
			cr_assert_geq(v, last);
			last = v;
		}
		cr_assert_float_eq(sim_track_volume(track, 2 * cycle_ms), 2 * track->total, 1e-6 * track->total);
	}
	sim_done(&sim);
}

Test(world, reads_a_slot_the_same_with_no_fault_and_with_one_elsewhere)
{
	struct sim sim;
	struct sim_point point;
	struct sim_point_faults faults;
	struct sim_reading before, after;
	static const char elsewhere[] = "{\"kind\":\"jitter\",\"from\":\"2025-06-01T00:00:00Z\"}";
	open_sim(&sim, "20");
	sim_point_at(&sim, 7, &point);
	sim_point_faults_pick(&sim, &point, &faults);
	sim_reading_at(&sim, &point, &faults, 1000, &before);
	cr_assert_eq(sim_faults_add(sim.faults, elsewhere, sizeof elsewhere - 1, 0, NULL, NULL), HYDRO_OK);
	sim_point_faults_pick(&sim, &point, &faults);
	cr_assert_eq(faults.count, 1u);
	sim_reading_at(&sim, &point, &faults, 1000, &after);
	cr_assert_arr_eq(before.served, after.served, sizeof before.served);
	cr_assert_eq(after.events, 0u);
	sim_done(&sim);
}
