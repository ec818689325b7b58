/* SPDX-License-Identifier: MIT */
/*
 * The one interface to all clocks. Real by default; simulated when opened on a clock file that the simulators share:
 * then wall and monotonic time stand still until hd_clock_advance, and sleeping is the caller's loop's affair.
 * Socket time-outs stay real: use hd_clock_real_ns for them.
 */
#ifndef HD_BASE_CLOCK_H
#define HD_BASE_CLOCK_H

#include "base/error.h"

#include <stdbool.h>

#define HD_MS_PER_S INT64_C(1000)
#define HD_NS_PER_MS INT64_C(1000000)
#define HD_NS_PER_S INT64_C(1000000000)

/* Wall clock, ms since 1970 UTC. [any] */
int64_t hd_clock_wall_ms(void);
/* CLOCK_BOOTTIME, ns: goes on while the machine sleeps; never steps back. Simulated with the wall clock. [any] */
int64_t hd_clock_mono_ns(void);
/* CLOCK_MONOTONIC of the machine, ns, never simulated: latencies, socket time-outs. [any] */
int64_t hd_clock_real_ns(void);
/* CPU time of the calling thread, ns. [any] */
int64_t hd_clock_thread_cpu_ns(void);

/* The layout of a clock file (4096 bytes, mapped shared). now_ms is the wall clock of all who share it. */
#define HD_SIMCLOCK_MAGIC UINT64_C(0x4b434f4c434d4953)
struct hd_simclock {
	uint64_t magic;
	int64_t now_ms;    /* atomic */
	int64_t start_ms;
	uint64_t advances; /* atomic */
};

/* Switches this process to a simulated clock: maps `path`, creating it at start_ms when it is not there. [control, once] */
int hd_clock_simulate(const char *path, int64_t start_ms, struct hydro_error *err);
bool hd_clock_is_simulated(void);
/* Moves the simulated clock on to now_ms (never back); ignored on a real clock. [any] */
void hd_clock_advance(int64_t now_ms);
/* For tests of clock steps: an offset added to the wall clock only. [any] */
void hd_clock_step_wall(int64_t offset_ms);

#endif
