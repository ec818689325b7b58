/* SPDX-License-Identifier: MIT */
/* Script text as it comes from a file or a client: loading, building and calling its steps never crash or hang. */
#include "lua/lua.h"

#include "model/names.h"
#include "model/points.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const struct hd_lua_step_doc steps[] = {{"counter", "from to litres_per_pulse offset"}, {"rate", "from to"}, {"range", "min max"}, {"free", "*"}};

static struct hd_lua *lua;
static struct hd_point *point;

static bool get(void *arg, uint32_t metric, double *ret)
{
	(void)arg;
	*ret = metric;
	return metric % 2;
}

static int set(void *arg, uint32_t metric, double value)
{
	(void)arg, (void)metric, (void)value;
	return HYDRO_OK;
}

static int flag(void *arg, uint32_t metric, uint32_t number, const char *name)
{
	(void)arg, (void)metric, (void)number, (void)name;
	return HYDRO_OK;
}

static int quality(void *arg, uint32_t metric, double value)
{
	(void)arg, (void)metric, (void)value;
	return HYDRO_OK;
}

static void open_once(void)
{
	static struct hd_watchdog *watchdog;
	static struct hd_names *names;
	if (lua)
		return;
	if (hd_watchdog_new(&watchdog, NULL) != HYDRO_OK || hd_names_open(NULL, &names, NULL) != HYDRO_OK)
		abort();
	struct hd_lua_config config = {.watchdog = watchdog, .names = names, .steps = steps, .step_count = HD_ARRAY_LEN(steps), .load_cpu_us = 5000,
				       .build_cpu_us = 5000};
	if (hd_lua_new(&config, &lua, NULL) != HYDRO_OK || hd_lua_point_new("p", "{\"offset\": 1, \"list\": [1, {\"a\": \"b\"}]}", &point, NULL) != HYDRO_OK)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	open_once();
	struct hd_script *script = NULL;
	struct hd_diag diag;
	struct hd_spec spec = {0};
	struct hydro_error err = {0};
	if (hd_script_new("t", "t.lua", (const char *)data, size, NULL, 0, &script, &err) != HYDRO_OK)
		return 0;
	if (hd_lua_attach(lua, script, &diag, &err) == HYDRO_OK) {
		const struct hd_mview view = {.ts_ms = 1, .get = get, .get_raw = get, .set = set, .flag = flag, .quality = quality};
		double slots[HD_SPEC_SLOTS_MAX] = {0};
		if (hd_script_build(lua, script, point, &spec, &diag, &err) == HYDRO_OK)
			for (uint32_t i = 0; i < spec.step_count; i++)
				if (strcmp(spec.steps[i].kind, HD_SPEC_KIND_LUA) == 0)
					(void)hd_lua_call_step(lua, script, spec.steps[i].function, &view, slots, point, NULL);
		hd_lua_detach(lua, script);
	}
	hd_script_unref(&script);
	hd_spec_done(&spec);
	return 0;
}
