/* SPDX-License-Identifier: MIT */
/* The Numenta Anomaly Benchmark's score (standard profile) over the series of the shared data; see its README. */
#ifndef HD_TESTS_NAB_H
#define HD_TESTS_NAB_H

#include <stdint.h>

struct nab_window {
	uint32_t first, last; /* records */
};

struct nab_series {
	char name[96];
	uint32_t count, windows;
	int64_t *ts_ms;
	double *values, *scores; /* scores: by the detector */
	double lowest, highest;
	struct nab_window *window;
};

struct nab {
	struct nab_series *series;
	uint32_t count;
};

/* False when the data is not there. */
int nab_load(const char *dir, struct nab *ret);
void nab_free(struct nab *nab);
/* 100 = perfect, 0 = says nothing. */
double nab_score(const struct nab *nab, double threshold);

#endif
