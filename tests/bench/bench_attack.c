/* SPDX-License-Identifier: MIT */
/*
 * What a point whose script attacks costs the others: 20,000 points at 20,000 measurements/s, one point beside them with an
 * attack in its Lua step, read twice a second and given its plan anew each time, so that being switched off after three
 * overruns does not spare it. Quiet and attacked halves of a second take turns.
 */
#include "bench.h"
#include "load.h"

#include <string.h>
#include <unistd.h>

#define POINTS 20000u
#define RATE 20000u
#define TURNS 16u
#define HALF_US 500000

static const struct {
	const char *name, *body;
} attacks[] = {
	{"an endless loop", "while true do end"},
	{"a pcall loop", "while true do pcall(error) end"},
	{"nested pcalls", "local function f() while true do pcall(f) end end f()"},
	{"deep recursion, caught, again", "local function f() return 1 + f() end while true do pcall(f) end"},
	{"a string of 1 GB", "local s = 'x' while true do pcall(function () while true do s = s .. s end end) end"},
	{"a pattern that explodes", "while true do pcall(string.find, ('a'):rep(30), ('a?'):rep(30) .. ('a'):rep(30)) end"},
	{"string.rep", "while true do pcall(string.rep, 'x', 1 << 30) pcall(string.rep, '', 1 << 60) end"},
	{"table.move", "local t = {} while true do pcall(table.move, t, 1, 1 << 40, 2) end"},
	{"xpcall with a handler", "while true do pcall(xpcall, error, function () while true do end end) end"},
	{"__gc", "while true do pcall(setmetatable, {}, {__gc = function () while true do end end}) end"},
	{"a lying __len", "local t = setmetatable({}, {__len = function () return 1 << 60 end}) while true do pcall(table.unpack, t) pcall(table.concat, t) end"},
	{"coroutines", "while true do pcall(function () coroutine.wrap(function () while true do end end)() end) end"},
};
_Static_assert(1 + 2 * HD_ARRAY_LEN(attacks) < LOAD_PHASES, "each has two phases");

static void write_scripts(const char *dir)
{
	char command[256], path[192];
	(void)snprintf(command, sizeof command, "cp -r scripts/lua/pipelines scripts/lua/lib '%s'", dir);
	if (system(command) != 0) {
		(void)fprintf(stderr, "bench_attack: run it from the repository's root\n");
		exit(1);
	}
	for (size_t i = 0; i < HD_ARRAY_LEN(attacks); i++) {
		(void)snprintf(path, sizeof path, "%s/pipelines/attack_%zu.lua", dir, i);
		FILE *file = fopen(path, "w");
		HD_ASSERT(file);
		(void)fprintf(file, "return pipeline { name = 'attack_%zu', build = function (point) return { function (m, state, point)\n%s\nend } end }\n", i, attacks[i].body);
		(void)fclose(file);
	}
}

static void bench_one(struct load *load, size_t i, uint64_t *number)
{
	uint32_t quiet_phase = (uint32_t)(1 + 2 * i), attack_phase = quiet_phase + 1;
	char pipeline[32];
	struct hd_pipeline_status before, after;
	(void)snprintf(pipeline, sizeof pipeline, "attack_%zu", i);
	hd_pipeline_status(load_pipeline(load), UINT32_MAX, &before);
	for (uint32_t turn = 0; turn < TURNS; turn++) {
		load_phase(load, quiet_phase);
		(void)usleep(HALF_US);
		load_phase(load, attack_phase);
		uint32_t point = load_beside(load, pipeline);
		(void)usleep(HALF_US / 2); /* its plan comes meanwhile */
		load_feed_beside(load, point, ++*number);
		(void)usleep(HALF_US / 2);
	}
	load_phase(load, 0);
	hd_pipeline_status(load_pipeline(load), UINT32_MAX, &after);
	uint64_t n;
	double quiet = load_latency(load, quiet_phase, 0.99, &n), attacked = load_latency(load, attack_phase, 0.99, &n);
	char name[128];
	(void)snprintf(name, sizeof name, "p99 of the other points, due to on disk, beside %s", attacks[i].name);
	bench_print(&(struct bench_figure){.bench = "attack", .name = name, .unit = "ms", .value = attacked, .reference = quiet, .reference_name = "quiet turns",
					   .goal = 2, .goal_is_ratio = true, .lower_is_better = true, .n = n});
	if (after.overruns + after.lua_errors == before.overruns + before.lua_errors)
		(void)fprintf(stderr, "bench_attack: %s was never stopped\n", attacks[i].name);
}

int main(void)
{
	char dir[] = "/tmp/hydro-attack-XXXXXX", pipelines[64], command[128];
	struct load *load;
	struct load_account account;
	uint64_t number = 0;
	HD_ASSERT(mkdtemp(dir) != NULL);
	write_scripts(dir);
	(void)snprintf(pipelines, sizeof pipelines, "%s/pipelines", dir);
	load_open(&(struct load_config){.points = POINTS, .pipelines = pipelines, .rate = RATE}, &load);
	load_wait(load, 2 * POINTS);
	for (size_t i = 0; i < HD_ARRAY_LEN(attacks); i++)
		bench_one(load, i, &number);
	load_stop(load, &account);
	bench_print(&(struct bench_figure){.bench = "attack", .name = "measurements of the other points lost or doubled", .unit = "measurements",
					   .value = (double)(account.lost + account.doubled), .reference = NAN, .goal = 0, .lower_is_better = true, .n = account.fed});
	load_close(&load);
	(void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
	return system(command) == 0 ? 0 : 1;
}
