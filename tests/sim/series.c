/* SPDX-License-Identifier: MIT */
#include "series.h"

#include "base/fs.h"
#include "base/timefmt.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define LINE_BYTES 512u
#define FIELDS_MAX 16u
#define TRACKS_MAX 256u
#define HOUR_MS INT64_C(3600000)
#define STAGE_STEP_MS INT64_C(900000)
#define GAP_MS (3 * HOUR_MS)       /* longer spans without a reading are cut out of a meter's series */
#define METER_MAX_LPH 2000.0       /* a household meter cannot run faster: a step above is no water */
#define METER_MIN_LPH 2.0          /* emptier series are of no use here */
#define TRACK_MIN 500u
#define STAGE_MAX_CM 1000.0

/* A series that grows by points (time, cumulated value). */
struct points {
	int64_t *ms;
	double *value;
	size_t count, cap;
};

static void points_done(struct points *p)
{
	free(p->ms);
	free(p->value);
	*p = (struct points){0};
}

static bool points_add(struct points *p, int64_t ms, double value)
{
	if (p->count == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 4096;
		int64_t *times = realloc(p->ms, cap * sizeof *times);
		if (times)
			p->ms = times;
		double *values = realloc(p->value, cap * sizeof *values);
		if (values)
			p->value = values;
		if (!times || !values)
			return false;
		p->cap = cap;
	}
	p->ms[p->count] = ms;
	p->value[p->count++] = value;
	return true;
}

/* Splits in place at commas; returns the count, at most FIELDS_MAX. */
static size_t split(char *line, char *fields[FIELDS_MAX])
{
	size_t n = 0;
	line[strcspn(line, "\r\n")] = '\0';
	for (char *p = line; p && n < FIELDS_MAX;) {
		fields[n++] = p;
		p = strchr(p, ',');
		if (p)
			*p++ = '\0';
	}
	return n;
}

static bool number(const char *text, double *ret)
{
	char *end;
	if (!*text)
		return false;
	*ret = strtod(text, &end);
	return *end == '\0' && isfinite(*ret);
}

static gzFile open_csv(const char *dir, const char *name)
{
	char path[1024];
	static const char *const endings[] = {"", ".gz"};
	for (size_t i = 0; i < HD_ARRAY_LEN(endings); i++) {
		int n = snprintf(path, sizeof path, "%s/%s%s", dir, name, endings[i]);
		gzFile f = n > 0 && (size_t)n < sizeof path ? gzopen(path, "rb") : NULL;
		if (f)
			return f;
	}
	return NULL;
}

static void track_done(struct sim_track *track)
{
	free(track->values);
	*track = (struct sim_track){0};
}

/* Even hourly steps of a cumulated volume: straight between the points, so the volume is kept. */
static int volume_track(const struct points *p, const char *name, struct sim_track *ret)
{
	size_t count = (size_t)((p->ms[p->count - 1] - p->ms[0]) / HOUR_MS);
	double *values = malloc((count + 1) * sizeof *values);
	if (!values)
		return HYDRO_E_NOMEM;
	size_t at = 0;
	*ret = (struct sim_track){.step_ms = HOUR_MS, .count = count, .values = values};
	for (size_t i = 0; i <= count; i++) {
		int64_t t = p->ms[0] + (int64_t)i * HOUR_MS;
		while (at + 2 < p->count && p->ms[at + 1] <= t)
			at++;
		double span = (double)(p->ms[at + 1] - p->ms[at]);
		double part = span > 0 ? (double)(t - p->ms[at]) / span : 0;
		values[i] = p->value[at] + part * (p->value[at + 1] - p->value[at]) - p->value[0];
		if (i)
			ret->max_rate = fmax(ret->max_rate, (values[i] - values[i - 1]) * 1000.0 / (double)HOUR_MS);
	}
	ret->total = values[count];
	(void)snprintf(ret->name, sizeof ret->name, "%s", name);
	return HYDRO_OK;
}

static int add_volume(struct sim_series *s, const struct points *p, const char *name)
{
	if (p->count < TRACK_MIN || s->volume_count == TRACKS_MAX)
		return HYDRO_OK;
	int rc = volume_track(p, name, &s->volumes[s->volume_count]);
	if (rc == HYDRO_OK)
		s->volume_count++;
	return rc;
}

/* One meter's readings: highest so far (its jitter is no water), gaps and impossible steps cut out. */
static bool meter_add(struct points *p, int64_t *last_ms, double *highest, int64_t ms, double litres)
{
	if (!p->count) {
		*last_ms = ms;
		*highest = litres;
		return points_add(p, 0, 0);
	}
	int64_t span = ms - *last_ms;
	if (span <= 0)
		return true;
	double step = fmax(litres - *highest, 0);
	bool cut = span > GAP_MS || step > METER_MAX_LPH * fmax((double)span, (double)HOUR_MS) / (double)HOUR_MS;
	*last_ms = ms;
	*highest = fmax(litres, *highest);
	if (cut)
		return true;
	return points_add(p, p->ms[p->count - 1] + span, p->value[p->count - 1] + step);
}

static int finish_meter(struct sim_series *s, struct points *p, const char *meter)
{
	char name[32];
	(void)snprintf(name, sizeof name, "daiad/%.16s", meter);
	double hours = p->count ? (double)p->ms[p->count - 1] / (double)HOUR_MS : 0;
	int rc = hours > 0 && p->value[p->count - 1] / hours >= METER_MIN_LPH ? add_volume(s, p, name) : HYDRO_OK;
	p->count = 0;
	return rc;
}

static int load_meters(struct sim_series *s, const char *dir)
{
	gzFile f = open_csv(dir, "daiad/totalizer.csv");
	if (!f)
		return HYDRO_OK;
	struct points p = {0};
	char line[LINE_BYTES], meter[32] = "";
	int64_t last_ms = 0;
	double highest = 0;
	int rc = HYDRO_OK;
	while (rc == HYDRO_OK && gzgets(f, line, sizeof line)) {
		char *fields[FIELDS_MAX];
		double epoch, litres;
		if (split(line, fields) < 3 || !number(fields[1], &epoch) || !number(fields[2], &litres))
			continue;
		if (strcmp(meter, fields[0]) != 0) {
			rc = finish_meter(s, &p, meter);
			(void)snprintf(meter, sizeof meter, "%.31s", fields[0]);
		}
		if (rc == HYDRO_OK && !meter_add(&p, &last_ms, &highest, (int64_t)(epoch * 1000), litres))
			rc = HYDRO_E_NOMEM;
	}
	if (rc == HYDRO_OK)
		rc = finish_meter(s, &p, meter);
	points_done(&p);
	gzclose(f);
	return rc;
}

/* Hourly flows in l/s, cumulated; an hour without a value is left out. */
static int load_inflows(struct sim_series *s, const char *dir)
{
	gzFile f = open_csv(dir, "bwdf/inflow_hourly_lps.csv");
	if (!f)
		return HYDRO_OK;
	struct points p[FIELDS_MAX] = {{0}};
	char names[FIELDS_MAX][32] = {{0}}, line[LINE_BYTES], *fields[FIELDS_MAX];
	size_t columns = gzgets(f, line, sizeof line) ? split(line, fields) : 0;
	for (size_t c = 2; c < columns; c++)
		(void)snprintf(names[c], sizeof names[c], "bwdf/%.16s", fields[c]);
	int rc = HYDRO_OK;
	while (rc == HYDRO_OK && gzgets(f, line, sizeof line)) {
		size_t n = split(line, fields);
		for (size_t c = 2; c < n && c < columns && rc == HYDRO_OK; c++) {
			double lps;
			if (!number(fields[c], &lps) || lps < 0)
				continue;
			if (!p[c].count && !points_add(&p[c], 0, 0))
				rc = HYDRO_E_NOMEM;
			else if (!points_add(&p[c], p[c].ms[p[c].count - 1] + HOUR_MS, p[c].value[p[c].count - 1] + lps * 3600.0))
				rc = HYDRO_E_NOMEM;
		}
	}
	for (size_t c = 2; c < columns; c++) {
		if (rc == HYDRO_OK)
			rc = add_volume(s, &p[c], names[c]);
		points_done(&p[c]);
	}
	gzclose(f);
	return rc;
}

/* The technician's corrected stage where there is one; rows without (or -9999) are left out. */
static int load_stage(struct sim_series *s, const char *dir, const char *file)
{
	gzFile f = open_csv(dir, file);
	if (!f)
		return HYDRO_OK;
	struct points p = {0};
	char line[LINE_BYTES];
	bool ok = true;
	while (ok && gzgets(f, line, sizeof line)) {
		char *fields[FIELDS_MAX];
		double cm;
		if (split(line, fields) >= 3 && number(fields[2], &cm) && fabs(cm) < STAGE_MAX_CM)
			ok = points_add(&p, (int64_t)p.count * STAGE_STEP_MS, cm);
	}
	gzclose(f);
	if (!ok || p.count < TRACK_MIN || s->stage_count == TRACKS_MAX) {
		points_done(&p);
		return ok ? HYDRO_OK : HYDRO_E_NOMEM;
	}
	struct sim_track *t = &s->stages[s->stage_count++];
	*t = (struct sim_track){.step_ms = STAGE_STEP_MS, .count = p.count, .values = HD_STEAL(p.value), .low = HUGE_VAL, .high = -HUGE_VAL};
	for (size_t i = 0; i < t->count; i++) {
		t->low = fmin(t->low, t->values[i]);
		t->high = fmax(t->high, t->values[i]);
	}
	(void)snprintf(t->name, sizeof t->name, "%.47s", file);
	points_done(&p);
	return HYDRO_OK;
}

static int load_stages(struct sim_series *s, const char *dir)
{
	char *folder = hd_fs_join(dir, "stage");
	if (!folder)
		return HYDRO_E_NOMEM;
	struct dirent **entries;
	int n = scandir(folder, &entries, NULL, alphasort);
	free(folder);
	int rc = HYDRO_OK;
	for (int i = 0; i < n; i++) {
		char name[300];
		if (rc == HYDRO_OK && entries[i]->d_name[0] != '.' && strstr(entries[i]->d_name, ".csv")) {
			(void)snprintf(name, sizeof name, "stage/%s", entries[i]->d_name);
			rc = load_stage(s, dir, name);
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return rc;
}

int sim_series_load(const char *dir, struct sim_series **ret, struct hydro_error *err)
{
	struct sim_series *s = calloc(1, sizeof *s);
	if (s) {
		s->volumes = calloc(TRACKS_MAX, sizeof *s->volumes);
		s->stages = calloc(TRACKS_MAX, sizeof *s->stages);
	}
	if (!s || !s->volumes || !s->stages) {
		sim_series_free(s);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the series");
	}
	int rc = load_meters(s, dir);
	if (rc == HYDRO_OK)
		rc = load_inflows(s, dir);
	if (rc == HYDRO_OK)
		rc = load_stages(s, dir);
	if (rc != HYDRO_OK)
		(void)hd_error_set(err, rc, "cannot load the series of %s", dir);
	else if (!s->volume_count || !s->stage_count)
		rc = hd_error_set(err, HYDRO_E_NOTFOUND, "%s holds no volume or no stage series (daiad/, bwdf/, stage/)", dir);
	if (rc != HYDRO_OK) {
		sim_series_free(s);
		return rc;
	}
	*ret = s;
	return HYDRO_OK;
}

void sim_series_free(struct sim_series *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->volume_count; i++)
		track_done(&s->volumes[i]);
	for (size_t i = 0; i < s->stage_count; i++)
		track_done(&s->stages[i]);
	free(s->volumes);
	free(s->stages);
	free(s);
}

double sim_track_volume(const struct sim_track *track, int64_t t_ms)
{
	int64_t step = t_ms / track->step_ms, cycle = step / (int64_t)track->count;
	size_t i = (size_t)(step % (int64_t)track->count);
	double part = (double)(t_ms % track->step_ms) / (double)track->step_ms;
	return (double)cycle * track->total + track->values[i] + part * (track->values[i + 1] - track->values[i]);
}

double sim_track_stage(const struct sim_track *track, int64_t t_ms)
{
	int64_t step = t_ms / track->step_ms;
	size_t i = (size_t)(step % (int64_t)track->count), next = i + 1 < track->count ? i + 1 : 0;
	double part = (double)(t_ms % track->step_ms) / (double)track->step_ms;
	return track->values[i] + part * (track->values[next] - track->values[i]);
}
