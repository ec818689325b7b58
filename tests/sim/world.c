/* SPDX-License-Identifier: MIT */
#include "sim.h"

#include "account.h"
#include "base/clock.h"
#include "base/hash.h"
#include "faults.h"
#include "judge.h"
#include "series.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIX_SUM_MAX 10000u
#define SKEW_MAX_MS INT64_C(4000)
#define HOUR_MS INT64_C(3600000)
#define VARIANTS 4u

const char *const sim_service_names[SIM_SERVICES] = {"twin", "nettra", "novus", "http_json", "dga"};
const char *const sim_metric_names[SIM_METRICS] = {"flow", "level", "pulses"};
const unsigned sim_metric_decimals[SIM_METRICS] = {2, 3, 0};

/* What each choice of a point is drawn with, so that one choice does not follow from another. */
enum { DRAW_POINT = 1, DRAW_VOLUME, DRAW_STAGE, DRAW_PHASE, DRAW_SHIFT, DRAW_SCALE, DRAW_LEVEL, DRAW_PULSES, DRAW_SKEW, DRAW_TOKEN, DRAW_NOISE, DRAW_SCRAMBLE };

uint64_t sim_mix(uint64_t a, uint64_t b)
{
	return hd_hash_u64(hd_hash_u64(a) ^ (b * UINT64_C(0x9e3779b97f4a7c15)));
}

bool sim_chance(uint64_t hash, double share)
{
	return (double)(hash >> 11) * 0x1p-53 < share;
}

static double unit(uint64_t hash)
{
	return (double)(hash >> 11) * 0x1p-53;
}

/* Spreads the shares evenly (as Bresenham's line), so that any run of points has about the wanted mix. */
static int make_mix(struct sim *sim, struct hydro_error *err)
{
	uint64_t sum = 0;
	for (unsigned p = 0; p < SIM_PROVIDERS; p++)
		sum += sim->config.mix[p];
	if (sum == 0 || sum > MIX_SUM_MAX)
		return hd_error_set(err, HYDRO_E_INVALID, "the shares of the mix must add up to 1..%u", MIX_SUM_MAX);
	sim->mix_sum = (uint32_t)sum;
	sim->mix_table = malloc(sum);
	if (!sim->mix_table)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the mix");
	int64_t owed[SIM_PROVIDERS] = {0};
	for (uint64_t i = 0; i < sum; i++) {
		unsigned best = 0;
		for (unsigned p = 0; p < SIM_PROVIDERS; p++) {
			owed[p] += sim->config.mix[p];
			if (owed[p] > owed[best])
				best = p;
		}
		owed[best] -= (int64_t)sum;
		sim->mix_table[i] = (uint8_t)best;
	}
	return HYDRO_OK;
}

int sim_init(struct sim *sim, const struct sim_config *config, struct hydro_error *err)
{
	*sim = (struct sim){.config = *config};
	if (config->dga_tolerance_ms < 0)
		sim->config.dga_tolerance_ms = hd_clock_is_simulated() ? 0 : SIM_TOLERANCE_MS;
	int rc = make_mix(sim, err);
	if (rc == HYDRO_OK)
		rc = sim_series_load(config->data_dir, &sim->series, err);
	if (rc == HYDRO_OK)
		rc = sim_faults_new(config->seed, &sim->faults, err);
	if (rc == HYDRO_OK)
		rc = sim_account_new(config->points, &sim->account, err);
	if (rc == HYDRO_OK)
		rc = sim_ledger_open(config->dga_ledger_file, &sim->ledger, err);
	if (rc == HYDRO_OK)
		rc = sim_judge_new(sim, &sim->judge, err);
	if (rc != HYDRO_OK)
		sim_done(sim);
	return rc;
}

void sim_done(struct sim *sim)
{
	sim_judge_free(sim->judge);
	sim_ledger_free(sim->ledger);
	sim_account_free(sim->account);
	sim_faults_free(sim->faults);
	sim_series_free(sim->series);
	free(sim->mix_table);
	*sim = (struct sim){0};
}

static uint64_t draw(const struct sim_point *point, uint64_t what)
{
	return sim_mix(point->hash, what);
}

static void draw_volume(const struct sim *sim, struct sim_point *p)
{
	static const int64_t steps[] = {10, 100, 1000};
	p->volume = &sim->series->volumes[draw(p, DRAW_VOLUME) % sim->series->volume_count];
	uint64_t shift = draw(p, DRAW_SHIFT);
	p->volume_shift_ms = (int64_t)(shift % p->volume->count) * p->volume->step_ms;
	/* A well's pump at its busiest: 3 to 60 l/s, evenly over the logarithm. Flows of districts are replayed as they are. */
	bool district = strncmp(p->volume->name, "bwdf/", 5) == 0;
	double peak = 3.0 * pow(20.0, unit(draw(p, DRAW_SCALE)));
	p->scale = district ? 1.0 : fmax(1.0, floor(peak / p->volume->max_rate));
	peak = p->scale * p->volume->max_rate;
	p->flow_granted_lps = ceil(peak);
	uint64_t pulses = draw(p, DRAW_PULSES);
	p->litres_per_pulse = steps[pulses % 3];
	p->start_pulses = (int64_t)(pulses >> 8) % 4000000 + 5000;
	p->offset_m3 = (pulses >> 40) % 5 == 0 ? (double)((pulses >> 44) % 250000) : 0.0;
}

static void draw_level(const struct sim *sim, struct sim_point *p)
{
	p->stage = &sim->series->stages[draw(p, DRAW_STAGE) % sim->series->stage_count];
	uint64_t shift = sim_mix(draw(p, DRAW_SHIFT), DRAW_STAGE), level = draw(p, DRAW_LEVEL);
	p->stage_shift_ms = (int64_t)(shift % p->stage->count) * p->stage->step_ms;
	double range_m = 1.0 + 4.0 * unit(level);
	p->level_base_m = 5.0 + floor(35.0 * unit(sim_mix(level, 1)));
	p->level_gain = range_m / fmax(p->stage->high - p->stage->low, 1.0);
	p->sensor_depth_m = ceil(p->level_base_m + range_m + 3.0 + 25.0 * unit(sim_mix(level, 2)));
}

void sim_point_at(const struct sim *sim, uint32_t index, struct sim_point *ret)
{
	HD_ASSERT(index < sim->config.points);
	struct sim_point *p = ret;
	*p = (struct sim_point){.index = index, .provider = sim->mix_table[index % sim->mix_sum]};
	p->hash = sim_mix(sim->config.seed, ((uint64_t)DRAW_POINT << 32) | index);
	p->account = (uint32_t)(draw(p, DRAW_TOKEN) % sim->config.accounts);
	p->variant = (uint32_t)((draw(p, DRAW_TOKEN) >> 32) % VARIANTS);
	p->period_ms = sim->config.period_ms[p->provider];
	int64_t phase = (int64_t)(draw(p, DRAW_PHASE) % (uint64_t)p->period_ms);
	/* Loggers of these providers stamp whole seconds. */
	p->first_ms = sim->config.origin_ms + p->period_ms + (p->period_ms >= 10000 ? phase / 1000 * 1000 : phase);
	draw_volume(sim, p);
	draw_level(sim, p);
	if (sim->config.skew && (p->provider == SIM_NETTRA || p->provider == SIM_NOVUS)) {
		uint64_t most = (uint64_t)HD_MIN(SKEW_MAX_MS, p->period_ms / 10) + 1, skew = draw(p, DRAW_SKEW);
		p->skew_ms[SIM_LEVEL] = (int64_t)(skew % most);
		p->skew_ms[SIM_PULSES] = (int64_t)((skew >> 32) % most);
	}
}

void sim_point_name(uint32_t index, char ret[SIM_KEY_TEXT])
{
	(void)snprintf(ret, SIM_KEY_TEXT, "SIM-%07u", index + 1);
}

void sim_point_token(const struct sim *sim, uint32_t provider, uint32_t index, char ret[SIM_TOKEN_TEXT])
{
	uint64_t mask = sim_mix(sim->config.seed, DRAW_SCRAMBLE + provider);
	uint64_t h = sim_mix(sim_mix(sim->config.seed, ((uint64_t)DRAW_TOKEN << 8) | provider), index);
	uint64_t low = hd_hash_u64(h);
	unsigned scrambled = (unsigned)(index ^ (uint32_t)mask);
	switch (provider) {
	case SIM_NOVUS:
		(void)snprintf(ret, SIM_TOKEN_TEXT, "%08x-%04x-4%03x-a%03x-%012" PRIx64, scrambled, (unsigned)(h & 0xffff),
		               (unsigned)(h >> 16 & 0xfff), (unsigned)(h >> 28 & 0xfff), low & UINT64_C(0xffffffffffff));
		break;
	case SIM_NETTRA:
		(void)snprintf(ret, SIM_TOKEN_TEXT, "%08x%016" PRIx64 "%016" PRIx64, scrambled, h, low);
		break;
	default:
		(void)snprintf(ret, SIM_TOKEN_TEXT, "%08x%012" PRIx64, scrambled, h & UINT64_C(0xffffffffffff));
	}
}

uint32_t sim_point_of_token(const struct sim *sim, uint32_t provider, const char *token, size_t len)
{
	uint32_t scrambled = 0;
	if (len < 20 || len >= SIM_TOKEN_TEXT)
		return SIM_NO_POINT;
	for (size_t i = 0; i < 8; i++) {
		char c = token[i];
		unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10u : 16u;
		if (digit > 15)
			return SIM_NO_POINT;
		scrambled = scrambled << 4 | digit;
	}
	uint32_t index = scrambled ^ (uint32_t)sim_mix(sim->config.seed, DRAW_SCRAMBLE + provider);
	if (index >= sim->config.points || sim->mix_table[index % sim->mix_sum] != provider)
		return SIM_NO_POINT;
	char right[SIM_TOKEN_TEXT];
	sim_point_token(sim, provider, index, right);
	return strlen(right) == len && memcmp(right, token, len) == 0 ? index : SIM_NO_POINT;
}

void sim_point_key(const struct sim_point *point, uint32_t metric, char ret[SIM_KEY_TEXT])
{
	static const char *const nettra[SIM_METRICS][VARIANTS] = {
		{"caudal", "flow", "Caudal1", "q_inst"}, {"nivel", "level", "Nivel1", "n_pozo"}, {"pulsos", "pulses", "Totalizador1", "acum"}};
	static const char *const novus[SIM_METRICS] = {"cuc1v", "cuc2v", "cdi1va"};
	switch (point->provider) {
	case SIM_TWIN:
		(void)snprintf(ret, SIM_KEY_TEXT, "%u", 5001u + point->variant * 10u + metric);
		break;
	case SIM_NETTRA:
		(void)snprintf(ret, SIM_KEY_TEXT, "%s", nettra[metric][point->variant]);
		break;
	case SIM_NOVUS:
		(void)snprintf(ret, SIM_KEY_TEXT, "%ugre%s", 3u + point->variant, novus[metric]);
		break;
	default:
		(void)snprintf(ret, SIM_KEY_TEXT, "%s", sim_metric_names[metric]);
	}
}

uint32_t sim_point_metric(const struct sim_point *point, const char *key, size_t len)
{
	char own[SIM_KEY_TEXT];
	for (uint32_t m = 0; m < SIM_METRICS; m++) {
		sim_point_key(point, m, own);
		if (strlen(own) == len && memcmp(own, key, len) == 0)
			return m;
	}
	return SIM_METRICS;
}

/* Litres that have run through the site's meter since the origin. */
static double litres(const struct sim *sim, const struct sim_point *p, int64_t ts_ms)
{
	int64_t t = HD_MAX(ts_ms - sim->config.origin_ms, 0);
	return p->scale * (sim_track_volume(p->volume, t + p->volume_shift_ms) - sim_track_volume(p->volume, p->volume_shift_ms));
}

int64_t sim_point_pulses(const struct sim *sim, const struct sim_point *point, int64_t ts_ms)
{
	return point->start_pulses + (int64_t)floor(litres(sim, point, ts_ms) / (double)point->litres_per_pulse);
}

void sim_point_read(const struct sim *sim, const struct sim_point *point, int64_t slot, int64_t ret[SIM_METRICS])
{
	int64_t ts = sim_slot_ts(point, slot);
	double now = litres(sim, point, ts);
	/* The mean since the reading before, so that counter and flow tell the same. */
	double lps = (now - litres(sim, point, ts - point->period_ms)) * 1000.0 / (double)point->period_ms;
	uint64_t noise = sim_mix(draw(point, DRAW_NOISE), (uint64_t)slot);
	lps *= 1.0 + sim->config.noise * (2.0 * unit(noise) - 1.0);
	double stage_m = (sim_track_stage(point->stage, HD_MAX(ts - sim->config.origin_ms, 0) + point->stage_shift_ms) - point->stage->low) * point->level_gain;
	ret[SIM_FLOW] = llround(lps * 100.0);
	ret[SIM_LEVEL] = llround((point->level_base_m + stage_m) * 1000.0);
	ret[SIM_PULSES] = sim_point_pulses(sim, point, ts);
}
