/* SPDX-License-Identifier: MIT */
/*
 * Stops Lua that runs too long. One watchdog thread looks at all lua_States of the process; one whose call has used up its
 * CPU time gets a signal on its own thread, whose handler arms a hook that fires at every instruction until the chunk has
 * left. The call's number goes with the signal: a late one never stops the next call. A call costs two atomic exchanges,
 * no system call and no count hook.
 */
#ifndef HD_LUA_BUDGET_H
#define HD_LUA_BUDGET_H

#include "base/error.h"

#include <stdbool.h>

struct lua_State;
struct hd_watchdog;
struct hd_budget;

#define HD_BUDGET_CPU_US 2000u
#define HD_BUDGET_WALL_MS 2000u

/* Why a call was stopped. */
#define HD_STOP_NONE 0u
#define HD_STOP_CPU 1u    /* its CPU time is over: a strike */
#define HD_STOP_WALL 2u   /* the wall backstop: the machine is busy, no strike */
#define HD_STOP_MEMORY 3u /* its memory is over: a strike */

/* Starts the thread and installs the handler of HD_BUDGET_SIGNAL. HYDRO_E_NOMEM, HYDRO_E_FATAL. [control] */
int hd_watchdog_new(struct hd_watchdog **ret, struct hydro_error *err);
/* All budgets must be gone. NULL is fine. [control] */
void hd_watchdog_free(struct hd_watchdog **watchdog);

/* One per lua_State; the state has no coroutines, so L is the only thread in it. [control or owner] */
int hd_budget_new(struct hd_watchdog *watchdog, struct lua_State *L, struct hd_budget **ret);
void hd_budget_free(struct hd_budget **budget);

/*
 * Brackets a call into Lua on the calling thread; calls of different states may nest. Between them the hook is armed once
 * the thread has used cpu_us since the watchdog first saw the call (it looks every 1 ms or less), or wall_ms have passed.
 * [the state's thread]
 */
void hd_budget_begin(struct hd_budget *budget, uint32_t cpu_us, uint32_t wall_ms);
/* Disarms; says whether and why the call was stopped. */
uint32_t hd_budget_end(struct hd_budget *budget);
/* Arms the hook of a call under way by the caller itself, for its memory. [the state's thread] */
void hd_budget_stop(struct hd_budget *budget, uint32_t why);
/* Whether the call under way is to stop: for C functions that loop. */
bool hd_budget_is_over(const struct hd_budget *budget);

#endif
