/* SPDX-License-Identifier: MIT */
/*
 * Reloads of 100,000 points under 100,000 measurements/s: what is lost or doubled on the way to the disk, how long a worker
 * and a measurement wait for it, and what 1,000 of them leave behind in memory (memory [RELOADS [POINTS]]: that alone).
 */
#include "bench.h"
#include "load.h"

#include "base/clock.h"

#include <string.h>
#include <unistd.h>

#define POINTS 100000u
#define RATE 100000u
#define RATE_LONG 10000u /* while memory is looked at */
#define RELOADS 20u
#define RELOADS_LONG 1000u
#define WARM 10u /* reloads before memory is looked at first: allocators have seen it all then */

enum { PHASE_WARM, PHASE_QUIET, PHASE_RELOAD };

static double number_of(const struct hd_buf *json, const char *key)
{
	const char *at = strstr(json->data, key);
	return at ? strtod(at + strlen(key), NULL) : NAN;
}

static double rss_kib(void)
{
	char line[256];
	double kib = NAN;
	FILE *file = fopen("/proc/self/status", "r");
	while (file && fgets(line, sizeof line, file))
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = strtod(line + 6, NULL);
	if (file)
		(void)fclose(file);
	return kib;
}

static void print(const char *name, const char *unit, double value, double reference, const char *reference_name, double goal, uint64_t n)
{
	bench_print(&(struct bench_figure){.bench = "reload", .name = name, .unit = unit, .value = value, .reference = reference, .reference_name = reference_name,
					   .goal = goal, .lower_is_better = true, .n = n});
}

static void reload(struct load *load, uint32_t points, double *ret_pause_ms, double *ret_cpu_ms, double *ret_build_ms)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_buf json = {0};
	load_must(hd_scripts_reload(load_scripts(load), "well", &(struct hd_scripts_change){.force = true}, &json, &err), &err, "reload");
	*ret_pause_ms = number_of(&json, "\"worst_pause_ms\":");
	*ret_cpu_ms = number_of(&json, "\"worst_pause_cpu_ms\":");
	*ret_build_ms = number_of(&json, "\"build_ms\":");
	if (number_of(&json, "\"points\":") != points || number_of(&json, "\"lost\":") != 0)
		(void)fprintf(stderr, "bench_reload: %s\n", hd_buf_text(&json));
	hd_buf_done(&json);
}

static struct load *open_load(uint32_t points, uint32_t rate, bool no_disk)
{
	const char *dir = getenv("HYDRO_PIPELINES");
	struct load *load;
	load_open(&(struct load_config){.points = points, .pipelines = dir ? dir : "scripts/lua/pipelines", .rate = rate, .no_disk = no_disk}, &load);
	return load;
}

static void bench_pause(void)
{
	struct load *load = open_load(POINTS, RATE, false);
	double pauses[RELOADS], cpu[RELOADS], builds[RELOADS];
	struct load_account account;
	uint64_t quiet, busy;
	load_wait(load, 2 * POINTS);
	for (uint32_t i = 0; i < RELOADS; i++) {
		load_phase(load, PHASE_QUIET);
		(void)usleep(500000);
		load_phase(load, PHASE_RELOAD);
		reload(load, POINTS, &pauses[i], &cpu[i], &builds[i]);
	}
	load_phase(load, PHASE_WARM);
	load_stop(load, &account);
	print("measurements lost over the reloads", "measurements", (double)account.lost, NAN, NULL, 0, account.fed);
	print("measurements doubled over the reloads", "measurements", (double)account.doubled, NAN, NULL, 0, account.fed);
	print("worst pause of a worker", "ms", bench_quantile(pauses, RELOADS, 1), NAN, NULL, 10, RELOADS);
	print("CPU time of the worst pause, the swap's own part", "ms", bench_quantile(cpu, RELOADS, 1), NAN, NULL, NAN, RELOADS);
	print("pause of a worker, median of reloads", "ms", bench_quantile(pauses, RELOADS, 0.5), NAN, NULL, NAN, RELOADS);
	double still = load_latency(load, PHASE_QUIET, 0.99, &quiet), moving = load_latency(load, PHASE_RELOAD, 0.99, &busy);
	print("due to on disk while reloading, p99", "ms", moving, still, "without a reload, p99", NAN, busy);
	still = load_latency(load, PHASE_QUIET, 1, &quiet), moving = load_latency(load, PHASE_RELOAD, 1, &busy);
	print("due to on disk while reloading, longest", "ms", moving, still, "without a reload, longest", NAN, busy);
	print("build of 100,000 points, median", "ms", bench_quantile(builds, RELOADS, 0.5), NAN, NULL, NAN, RELOADS);
	load_close(&load);
}

static void bench_memory(uint32_t reloads, uint32_t points)
{
	struct load *load = open_load(points, RATE_LONG, true);
	double rss = NAN, largest = 0, pause, cpu, build;
	struct load_account account;
	load_wait(load, points);
	for (uint32_t i = 0; i < reloads + WARM; i++) {
		reload(load, points, &pause, &cpu, &build);
		if (i + 1 == WARM)
			rss = rss_kib();
		else if (i >= WARM)
			largest = HD_MAX(largest, rss_kib());
		if (getenv("HYDRO_BENCH_VERBOSE") && i % 50 == 0)
			(void)fprintf(stderr, "%u reloads: RSS %.1f MiB\n", i + 1, rss_kib() / 1024);
	}
	double after = rss_kib();
	load_stop(load, &account);
	print("RSS after the reloads to RSS before them", "ratio", after / rss, NAN, NULL, 1.02, reloads);
	print("largest RSS between two of them to RSS before them", "ratio", largest / rss, NAN, NULL, NAN, reloads);
	print("RSS", "MiB", after / 1024, NAN, NULL, NAN, reloads);
	print("measurements lost or doubled meanwhile", "measurements", (double)(account.lost + account.doubled), NAN, NULL, 0, account.fed);
	load_close(&load);
}

int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : "";
	if (!only[0] || strcmp(only, "pause") == 0)
		bench_pause();
	if (!only[0] || strcmp(only, "memory") == 0)
		bench_memory(argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : RELOADS_LONG, argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : POINTS);
	return 0;
}
