/* SPDX-License-Identifier: MIT */
/* Scripts of a folder of their own on a pipeline of the rig. */
#ifndef HD_TESTS_STAND_H
#define HD_TESTS_STAND_H

#include "rig.h"

#include "pipeline/scripts.h"

#define HEAD "return pipeline { name = 't', samples = { {} }, "
#define TOTAL "counter { from = 'pulses', to = 'total', litres_per_pulse = point.litres_per_pulse or 1000 }, "
#define FIRST HEAD "build = function (point) return { " TOTAL "rate { from = 'total', to = 'flow' } } end }"
#define SECOND HEAD "build = function (point) return { " TOTAL "rate { from = 'total', to = 'flow' }, range { 'flow', max = 1 } } end }"
#define WITH_LUA \
	HEAD "build = function (point) return { " TOTAL "lua { id = 'n', state = {'n'}, function (m, state, point) state.n = (state.n or 0) + 1\nm.volume = state.n end } } end }"

struct stand {
	struct rig rig;
	char dir[64];
	struct hd_scripts *scripts;
	struct hydro_error err;
	struct hd_buf json;
	int64_t ts;
	pthread_mutex_t lock; /* guards: live */
	pthread_cond_t changed;
	uint32_t live, refused;
};

/* One pipeline `t` with that text, on the points p0 … */
void stand_open(struct stand *st, uint32_t points, const char *text, uint32_t edit, bool watch);
void stand_close(struct stand *st);
void stand_write(struct stand *st, const char *name, const char *text);
/* The last answer. */
const char *answer(struct stand *st);
int reload(struct stand *st, const char *name, const struct hd_scripts_change *change);
/* An hour later: another reading; gives what came of it. */
const struct hd_sample *feed(struct stand *st, uint32_t point, double pulses);
/* name@hash of what made it. */
const char *generation(struct stand *st, const struct hd_sample *sample);

#endif
