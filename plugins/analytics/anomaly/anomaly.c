/* SPDX-License-Identifier: MIT */
/* Readings unlike the ones before. The formulas are in README.md. */
#include <hydro/conv.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#define MAD_TO_SIGMA 1.2533
#define FLOOR_SHARE 0.01   /* of the range: below it differences mean nothing */
#define CLIP 2.0           /* deviations that learning takes in at most */
#define FAST 8.0           /* readings of the short mean of the raw score */
#define FAST_SHARE 0.15    /* its variance against the raw score's */
#define SINGLE_WEIGHT 0.3  /* of one reading against the short mean */
#define SCORE_MEMORY 1000.0
#define SCORE_CLIP 4.0     /* deviations above the mean that the score's own past takes in */
#define SCORE_FLOOR 0.05
#define CENTRE 4.0
#define BEYOND_SHARE 0.02
#define BEYOND_SCORE 0.97
#define BEYOND_AFTER 20u   /* readings that make a spread */
#define CLIP_AFTER 30u

enum { MEMORY, THRESHOLD, REST, LEARN, OPTION_COUNT };

struct anomaly {
	double memory, threshold;
	uint32_t rest, learn;
};

struct state {
	uint32_t count, resting;
	double mean, deviation;    /* of the value */
	double last, step;         /* step: mean absolute difference */
	double fast;               /* short mean of the raw score */
	double score_mean, score_variance;
	double lowest, highest;
};

static int32_t create(const hydro_host *host, const hydro_options *options, void **ret_instance, struct hydro_error *err)
{
	(void)host;
	struct anomaly *a = calloc(1, sizeof *a);
	if (!a)
		return hydro_fail(err, HYDRO_E_NOMEM, "no memory for an instance");
	a->memory = (double)hydro_option_at(options, MEMORY)->integer;
	a->threshold = hydro_option_at(options, THRESHOLD)->number;
	a->rest = (uint32_t)hydro_option_at(options, REST)->integer;
	a->learn = (uint32_t)hydro_option_at(options, LEARN)->integer;
	*ret_instance = a;
	return HYDRO_OK;
}

static void state_init(void *instance, const hydro_options *point, void *state)
{
	(void)instance;
	(void)point;
	memset(state, 0, sizeof(struct state));
}

static double clip(double x, double limit)
{
	return x > limit ? limit : x < -limit ? -limit : x;
}

/* How unlike the past a value is, as the raw score; learns it. */
static double surprise(const struct anomaly *a, struct state *s, double x, double range)
{
	double floor = FLOOR_SHARE * range;
	double weight = fmax(1.0 / a->memory, 1.0 / (s->count + 1.0));
	double level = x - s->mean, change = x - s->last;
	double usual = MAD_TO_SIGMA * s->deviation + floor, usual_step = MAD_TO_SIGMA * s->step + floor;
	double z = fmax(usual > 0 ? fabs(level) / usual : 0, usual_step > 0 ? fabs(change) / usual_step : 0);
	bool clips = s->count >= CLIP_AFTER;
	double taken = clips ? clip(level, CLIP * usual) : level, taken_step = clips ? clip(change, CLIP * usual_step) : change;
	s->mean += weight * taken;
	s->deviation += weight * (fabs(taken) - s->deviation);
	s->step += weight * (fabs(taken_step) - s->step);
	return log1p(z);
}

/* The raw score against its own past, 0 … 1; learns it. */
static double likelihood(struct state *s, double raw)
{
	double deviation = sqrt(s->score_variance);
	s->fast += s->count ? (raw - s->fast) / FAST : 0;
	double lasting = (s->fast - s->score_mean) / (deviation * sqrt(FAST_SHARE) + SCORE_FLOOR);
	double single = SINGLE_WEIGHT * (raw - s->score_mean) / (deviation + SCORE_FLOOR);
	double weight = fmax(1.0 / SCORE_MEMORY, 1.0 / (s->count + 1.0));
	double difference = (s->count >= CLIP_AFTER ? fmin(raw, s->score_mean + SCORE_CLIP * deviation) : raw) - s->score_mean;
	s->score_mean += weight * difference;
	s->score_variance = (1.0 - weight) * (s->score_variance + weight * difference * difference);
	return 1.0 / (1.0 + exp(CENTRE - fmax(lasting, single)));
}

static int32_t update(void *instance, void *state, const hydro_sample *sample, hydro_annotation *ret)
{
	const struct anomaly *a = instance;
	struct state *s = state;
	double x = sample->value;
	if (sample->quality <= 0.0f || !isfinite(x))
		return HYDRO_OK;
	if (s->count == 0)
		s->mean = s->last = s->lowest = s->highest = x;
	double seen = s->highest - s->lowest;
	bool configured = sample->range_max > sample->range_min;
	double range = configured ? sample->range_max - sample->range_min : fmax(seen, fabs(x) * 1e-6);
	double score = likelihood(s, surprise(a, s, x, range));
	bool beyond = x > s->highest + BEYOND_SHARE * seen || x < s->lowest - BEYOND_SHARE * seen;
	if (beyond && s->count > BEYOND_AFTER)
		score = fmax(score, BEYOND_SCORE);
	s->lowest = fmin(s->lowest, x);
	s->highest = fmax(s->highest, x);
	s->last = x;
	if (s->count < UINT32_MAX)
		s->count++;
	if (s->count <= a->learn)
		return HYDRO_OK;
	if (s->resting) {
		s->resting--;
		score /= 2.0;
	} else if (score >= a->threshold) {
		s->resting = a->rest;
	}
	ret->score = score;
	ret->flag = score >= a->threshold ? HYDRO_FLAG_ANOMALY : 0;
	return HYDRO_OK;
}

static const hydro_option options[OPTION_COUNT] = {
	[MEMORY] = {.key = "memory", .type = HYDRO_OPT_INT, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "200", .min = 20, .max = 100000,
		    .doc = "readings over which the usual level, step and spread are learned"},
	[THRESHOLD] = {.key = "threshold", .type = HYDRO_OPT_NUMBER, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "0.54", .min = 0.01, .max = 1,
		       .doc = "score from which a reading is flagged"},
	[REST] = {.key = "rest", .type = HYDRO_OPT_INT, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "300", .min = 0, .max = 1000000,
		  .doc = "readings after a flag in which only half the score counts"},
	[LEARN] = {.key = "learn", .type = HYDRO_OPT_INT, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "100", .min = 1, .max = 1000000,
		   .doc = "readings before the first judgement"},
};

static const hydro_analytics_ops ops = {
	.struct_size = sizeof ops, .capabilities = HYDRO_ANALYTICS_UPDATE, .state_size = sizeof(struct state), .state_version = 1, .create = create,
	.destroy = free, .state_init = state_init, .update = update,
};

static const hydro_plugin plugin = {
	.struct_size = sizeof plugin, .magic = HYDRO_ABI_MAGIC, .abi_major = HYDRO_ABI_MAJOR, .abi_minor_needed = 1, .kind = HYDRO_KIND_ANALYTICS,
	.name = "anomaly", .version = "1.0.0", .summary = "readings unlike the ones before", .licence = "MIT", .option_count = OPTION_COUNT,
	.option_stride = sizeof(hydro_option), .options = options, .ops = &ops,
};

HYDRO_EXPORT const hydro_plugin *hydro_plugin_entry(uint32_t host_major, uint32_t host_minor)
{
	(void)host_minor;
	return host_major == HYDRO_ABI_MAJOR ? &plugin : NULL;
}
