/* SPDX-License-Identifier: MIT */
/*
 * The simulated world: any number of points, each a pure function of (seed, index), and what each instrument reads at
 * each of its own timestamps, a pure function of (seed, index, slot). Nothing of it is stored.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "base/error.h"

#include <stdbool.h>

#define SIM_TWIN 0u
#define SIM_NETTRA 1u
#define SIM_NOVUS 2u
#define SIM_JSON 3u
#define SIM_PROVIDERS 4u /* those that serve readings */
#define SIM_DGA 4u
#define SIM_SERVICES 5u

#define SIM_FLOW 0u   /* 0.01 l/s */
#define SIM_LEVEL 1u  /* mm */
#define SIM_PULSES 2u /* counter */
#define SIM_METRICS 3u

#define SIM_TOKEN_TEXT 48u
#define SIM_KEY_TEXT 24u
#define SIM_NO_POINT UINT32_MAX
#define SIM_TOLERANCE_MS 1000
#define SIM_POINTS_MAX (1u << 27)

extern const char *const sim_service_names[SIM_SERVICES];
extern const char *const sim_metric_names[SIM_METRICS];
/* Digits after the point of a metric's integer form. */
extern const unsigned sim_metric_decimals[SIM_METRICS];

struct sim_config {
	uint64_t seed;
	uint32_t points;
	uint32_t mix[SIM_PROVIDERS];
	uint32_t accounts; /* per provider */
	uint32_t threads;
	uint32_t port;
	uint32_t connections;
	int64_t period_ms[SIM_PROVIDERS];
	int64_t origin_ms;    /* no logger read anything before */
	int64_t retention_ms; /* of the providers' histories */
	int64_t token_life_ms;
	int64_t hang_max_ms;
	int64_t start_ms; /* of a clock file made here */
	double noise;     /* of an instrument, share of the flow */
	bool skew;        /* nettra and novus variables have timestamps of their own */
	const char *data_dir;
	const char *clock_file;
	const char *dga_ledger_file;
	const char *faults_file;
	/* What the judge of the filings goes by. */
	uint32_t dga_rate;        /* calls a second of one centre */
	int64_t dga_spacing_ms;   /* between POSTs of one work */
	int64_t dga_window_ms;    /* before a slot, in which its reading lies */
	int64_t dga_lag_ms;
	int64_t dga_tolerance_ms; /* of arrivals on a real clock; -1: none on a simulated one, else SIM_TOLERANCE_MS */
};

struct sim_series;
struct sim_track;
struct sim_faults;
struct sim_account;
struct sim_ledger;
struct sim_judge;

struct sim {
	struct sim_config config;
	struct sim_series *series;
	struct sim_faults *faults;
	struct sim_account *account;
	struct sim_ledger *ledger;
	struct sim_judge *judge;
	uint8_t *mix_table; /* provider of index % mix_sum */
	uint32_t mix_sum;
	uint32_t port; /* bound; atomic, for it is known only once the server runs */
	/* Twin tokens of older generations are not accepted; raised by POST /sim/revoke. */
	uint32_t token_generation; /* atomic */
};

struct sim_point {
	uint32_t index;
	uint32_t provider;
	uint32_t account; /* 0-based, of its provider */
	uint32_t variant; /* of the variable keys */
	uint64_t hash;
	int64_t period_ms;
	int64_t first_ms; /* ts of slot 0: a period after the origin, plus the logger's own phase */
	const struct sim_track *volume;
	const struct sim_track *stage;
	int64_t volume_shift_ms; /* where in the excerpt this point begins */
	int64_t stage_shift_ms;
	double scale; /* site's volume / excerpt's volume */
	double level_base_m, level_gain;
	double sensor_depth_m;
	double flow_granted_lps;
	double offset_m3;
	int64_t litres_per_pulse;
	int64_t start_pulses;
	int64_t skew_ms[SIM_METRICS]; /* a metric's ts is its slot's plus this */
};

/* Copies the configuration and loads the series. The sim owns what it points at; end it with sim_done. [control] */
int sim_init(struct sim *sim, const struct sim_config *config, struct hydro_error *err);
void sim_done(struct sim *sim);

/* index < config.points. [any] */
void sim_point_at(const struct sim *sim, uint32_t index, struct sim_point *ret);
/* "SIM-0000001"; the point's name in lists. [any] */
void sim_point_name(uint32_t index, char ret[SIM_KEY_TEXT]);
/* The point's secret at its provider. [any] */
void sim_point_token(const struct sim *sim, uint32_t provider, uint32_t index, char ret[SIM_TOKEN_TEXT]);
/* The point of a token of this provider, or SIM_NO_POINT. [any] */
uint32_t sim_point_of_token(const struct sim *sim, uint32_t provider, const char *token, size_t len);
/* The provider's variable key of a metric, and back: SIM_METRICS when the point has no such key. [any] */
void sim_point_key(const struct sim_point *point, uint32_t metric, char ret[SIM_KEY_TEXT]);
uint32_t sim_point_metric(const struct sim_point *point, const char *key, size_t len);

/* Timestamp of a slot; the newest slot at or before ts (-1: none yet). [any] */
static inline int64_t sim_slot_ts(const struct sim_point *point, int64_t slot)
{
	return point->first_ms + slot * point->period_ms;
}
static inline int64_t sim_slot_at(const struct sim_point *point, int64_t ts_ms)
{
	return ts_ms < point->first_ms ? -1 : (ts_ms - point->first_ms) / point->period_ms;
}

/* What the instruments truly read in a slot, and the counter at any moment. [any] */
void sim_point_read(const struct sim *sim, const struct sim_point *point, int64_t slot, int64_t ret[SIM_METRICS]);
int64_t sim_point_pulses(const struct sim *sim, const struct sim_point *point, int64_t ts_ms);

/* Mixes two 64-bit values into one; the root of all that is "random" here. [any] */
uint64_t sim_mix(uint64_t a, uint64_t b);
/* hash < share of 2^64, for 0 <= share <= 1. [any] */
bool sim_chance(uint64_t hash, double share);

#endif
