/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "support.h"

#include "model/names.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct hd_lua_step_doc steps[] = {
	{"counter", "from to litres_per_pulse offset max_m3h"}, {"rate", "from to max_gap"}, {"range", "min max tolerance"},
	{"frozen", "readings"}, {"rating", "from to"}, {"free", "*"},
};

static bool get(void *arg, uint32_t metric, double *ret)
{
	struct bench *b = arg;
	if (metric >= 64 || isnan(b->values[metric]))
		return false;
	*ret = b->values[metric];
	return true;
}

static int set(void *arg, uint32_t metric, double value)
{
	struct bench *b = arg;
	if (metric >= 64)
		return HYDRO_E_LIMIT;
	b->values[metric] = value;
	return HYDRO_OK;
}

static int flag(void *arg, uint32_t metric, uint32_t number, const char *name)
{
	struct bench *b = arg;
	size_t used = strlen(b->flags);
	(void)snprintf(b->flags + used, sizeof b->flags - used, "%u:%u:%s ", metric, number, name);
	return HYDRO_OK;
}

static int quality(void *arg, uint32_t metric, double value)
{
	struct bench *b = arg;
	b->quality[metric] = value;
	return HYDRO_OK;
}

struct hd_lua *bench_state(struct bench *b)
{
	struct hd_lua_config config = {.watchdog = b->watchdog, .names = b->names, .steps = steps, .step_count = HD_ARRAY_LEN(steps)};
	struct hd_lua *lua = NULL;
	cr_assert_eq(hd_lua_new(&config, &lua, &b->err), HYDRO_OK, "%s", b->err.text);
	return lua;
}

void bench_open(struct bench *b)
{
	memset(b, 0, sizeof *b);
	cr_assert_eq(hd_watchdog_new(&b->watchdog, &b->err), HYDRO_OK);
	cr_assert_eq(hd_names_open(NULL, &b->names, &b->err), HYDRO_OK);
	cr_assert_eq(hd_points_new(&b->points), HYDRO_OK);
	b->lua = bench_state(b);
	b->view = (struct hd_mview){.arg = b, .ts_ms = 1700000000000, .get = get, .set = set, .flag = flag, .quality = quality};
	for (size_t i = 0; i < 64; i++)
		b->values[i] = NAN;
}

void bench_close(struct bench *b)
{
	hd_spec_done(&b->spec);
	hd_lua_free(&b->lua);
	hd_script_unref(&b->script);
	hd_points_free(&b->points);
	hd_names_close(&b->names);
	hd_watchdog_free(&b->watchdog);
}

int bench_load(struct bench *b, const char *text)
{
	if (b->script) {
		hd_lua_detach(b->lua, b->script);
		hd_script_unref(&b->script);
	}
	memset(&b->diag, 0, sizeof b->diag);
	int rc = hd_script_new("t", "t.lua", text, strlen(text), NULL, 0, &b->script, &b->err);
	return rc == HYDRO_OK ? hd_lua_attach(b->lua, b->script, &b->diag, &b->err) : rc;
}

const struct hd_point *bench_point(struct bench *b, const char *params)
{
	uint32_t index = 0;
	struct hd_point_spec spec = {.index = HD_POINT_NONE, .id = hd_uuid_new(), .period_s = 300, .name = "well 1", .params = params};
	cr_assert_eq(hd_points_put(b->points, &spec, &index, &b->err), HYDRO_OK);
	return hd_points_get(b->points, index);
}

int bench_build(struct bench *b, const char *params)
{
	const struct hd_point *point = bench_point(b, params);
	int rc = hd_script_build(b->lua, b->script, point, &b->spec, &b->diag, &b->err);
	hd_point_unref(point);
	return rc;
}

int bench_run_in_build(struct bench *b, const char *body)
{
	char text[8192];
	(void)snprintf(text, sizeof text, "return pipeline { name = 't', build = function (point) %s\n return {} end }", body);
	int rc = bench_load(b, text);
	return rc == HYDRO_OK ? bench_build(b, "{}") : rc;
}

int bench_call(struct bench *b, uint32_t step, double *slots, const char *params)
{
	const struct hd_point *point = bench_point(b, params);
	int rc = hd_lua_call_step(b->lua, b->script, b->spec.steps[step].function, &b->view, slots, point, &b->fault);
	hd_point_unref(point);
	return rc;
}

int bench_run_in_step(struct bench *b, const char *body)
{
	char text[8192];
	(void)snprintf(text, sizeof text, "return pipeline { name = 't', build = function (point) return { function (m, state, point) %s\n end } end }", body);
	int rc = bench_load(b, text);
	if (rc == HYDRO_OK)
		rc = bench_build(b, "{}");
	return rc == HYDRO_OK ? bench_call(b, 0, NULL, "{}") : rc;
}
