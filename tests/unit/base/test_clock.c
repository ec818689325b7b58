/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/clock.h"

#include <stdio.h>
#include <unistd.h>

Test(clock, a_simulated_clock_stands_still_until_advanced_and_never_goes_back)
{
	char path[64];
	(void)snprintf(path, sizeof path, "/tmp/hydro-clock-%d", (int)getpid());
	cr_assert_eq(hd_clock_simulate(path, 1000000, NULL), HYDRO_OK);
	int64_t mono = hd_clock_mono_ns();
	cr_assert_eq(hd_clock_wall_ms(), 1000000);
	hd_clock_advance(1000500);
	cr_assert_eq(hd_clock_wall_ms(), 1000500);
	cr_assert_eq(hd_clock_mono_ns() - mono, 500 * HD_NS_PER_MS);
	hd_clock_advance(1000100);
	cr_assert_eq(hd_clock_wall_ms(), 1000500);
	(void)unlink(path);
}
