/* SPDX-License-Identifier: MIT */
#include "nab.h"

#include "base/buf.h"
#include "base/fs.h"
#include "base/timefmt.h"

#include <cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FALSE_ALARM 0.11
#define PROBATION_SHARE 0.15
#define PROBATION_MAX 750u

/* "2014-04-10 16:15:00[.000000]", UTC. */
static int64_t time_of(const char *text)
{
	char iso[24];
	int64_t ms = 0;
	(void)snprintf(iso, sizeof iso, "%.10sT%.8sZ", text, text + 11);
	(void)hd_time_parse(iso, strlen(iso), true, &ms);
	return ms;
}

static void take_rows(struct nab_series *s, char *text)
{
	char *rest = text, *line = strsep(&rest, "\n"); /* the head */
	uint32_t room = 0;
	while ((line = strsep(&rest, "\n")) != NULL) {
		char *comma = strchr(line, ',');
		if (!comma)
			continue;
		if (s->count == room) {
			room = room ? room * 2 : 4096;
			s->ts_ms = realloc(s->ts_ms, room * sizeof *s->ts_ms);
			s->values = realloc(s->values, room * sizeof *s->values);
		}
		double value = strtod(comma + 1, NULL);
		s->lowest = s->count ? fmin(s->lowest, value) : value;
		s->highest = s->count ? fmax(s->highest, value) : value;
		s->ts_ms[s->count] = time_of(line);
		s->values[s->count++] = value;
	}
	s->scores = calloc(s->count + 1, sizeof *s->scores);
}

static void take_windows(struct nab_series *s, const cJSON *windows)
{
	const cJSON *pair;
	s->window = calloc((size_t)cJSON_GetArraySize(windows) + 1, sizeof *s->window);
	cJSON_ArrayForEach(pair, windows) {
		int64_t from = time_of(cJSON_GetArrayItem(pair, 0)->valuestring), to = time_of(cJSON_GetArrayItem(pair, 1)->valuestring);
		struct nab_window *w = &s->window[s->windows++];
		w->first = s->count;
		for (uint32_t i = 0; i < s->count; i++) {
			if (s->ts_ms[i] < from || s->ts_ms[i] > to)
				continue;
			w->first = i < w->first ? i : w->first;
			w->last = i;
		}
	}
}

int nab_load(const char *dir, struct nab *ret)
{
	char path[1024];
	struct hd_buf text = {0};
	struct hydro_error err = {.struct_size = sizeof err};
	(void)snprintf(path, sizeof path, "%s/nab/windows.json", dir);
	if (hd_fs_read(path, 1u << 20, &text, &err) != HYDRO_OK)
		return 0;
	cJSON *json = cJSON_ParseWithLength(text.data, text.len);
	const cJSON *windows;
	hd_buf_done(&text);
	ret->count = 0;
	ret->series = calloc((size_t)cJSON_GetArraySize(json) + 1, sizeof *ret->series);
	cJSON_ArrayForEach(windows, json) {
		struct nab_series *s = &ret->series[ret->count];
		(void)snprintf(path, sizeof path, "%s/nab/data/%s", dir, windows->string);
		if (hd_fs_read(path, 64u << 20, &text, &err) == HYDRO_OK) {
			(void)hd_buf_add_char(&text, '\0');
			(void)snprintf(s->name, sizeof s->name, "%s", windows->string);
			take_rows(s, text.data);
			take_windows(s, windows);
			ret->count++;
		}
		hd_buf_done(&text);
	}
	cJSON_Delete(json);
	return ret->count > 0;
}

void nab_free(struct nab *nab)
{
	for (uint32_t i = 0; i < nab->count; i++) {
		free(nab->series[i].ts_ms);
		free(nab->series[i].values);
		free(nab->series[i].scores);
		free(nab->series[i].window);
	}
	free(nab->series);
}

static double sigma(double y)
{
	return 2.0 / (1.0 + exp(5.0 * y)) - 1.0;
}

static double series_score(const struct nab_series *s, double threshold)
{
	uint32_t probation = (uint32_t)fmin(PROBATION_SHARE * s->count, PROBATION_MAX), at = 0; /* at: windows that lie behind */
	double sum = 0, best = 0;
	int found = 0;
	for (uint32_t i = 0; i < s->count; i++) {
		for (; at < s->windows && i > s->window[at].last; at++, found = 0, best = 0)
			sum += found ? best : -1.0;
		if (i < probation || s->scores[i] < threshold)
			continue;
		if (at < s->windows && i >= s->window[at].first) {
			const struct nab_window *w = &s->window[at];
			double worth = sigma(-((double)(w->last - i) + 1.0) / ((double)(w->last - w->first) + 1.0)) / sigma(-1.0);
			best = found ? fmax(best, worth) : worth;
			found = 1;
		} else if (at == 0) {
			sum -= FALSE_ALARM;
		} else {
			const struct nab_window *w = &s->window[at - 1];
			sum += FALSE_ALARM * sigma((double)(i - w->last) / (double)(w->last - w->first));
		}
	}
	for (; at < s->windows; at++, found = 0, best = 0)
		sum += found ? best : -1.0;
	return sum;
}

double nab_score(const struct nab *nab, double threshold)
{
	double sum = 0, windows = 0;
	for (uint32_t i = 0; i < nab->count; i++) {
		sum += series_score(&nab->series[i], threshold);
		windows += nab->series[i].windows;
	}
	return 100.0 * (sum + windows) / (2.0 * windows);
}
