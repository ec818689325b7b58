/* SPDX-License-Identifier: MIT */
/* Calling a Lua step on a row. Inside the pipeline only. */
#ifndef HD_PIPELINE_RUN_LUA_H
#define HD_PIPELINE_RUN_LUA_H

#include "lua/lua.h"
#include "pipeline/run.h"

struct hd_run_lua_call {
	int (*call)(void *arg, uint32_t worker, struct hd_script *script, uint32_t function, const struct hd_mview *view, double *slots,
		    const struct hd_point *point, struct hd_lua_fault *fault);
	void *arg;
	uint32_t worker;
	uint32_t raw_count;
	const struct hd_value *raws;
};

/* One call with row i as `m`; its state slots of a fresh point must hold NaN already. [worker] */
int hd_run_call_lua(struct hd_run *run, const struct hd_step *step, uint32_t i, const struct hd_run_lua_call *how, struct hd_lua_fault *fault);

#endif
