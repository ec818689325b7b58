/* SPDX-License-Identifier: MIT */
/* Measurements as JSON. */
#include "api/internal.h"

#include "model/flags.h"

#include <stdio.h>
#include <string.h>

static const struct {
	uint16_t bit;
	const char *name;
} notes[] = {{HD_SAMPLE_CLOCK, "clock"}, {HD_SAMPLE_UNPROCESSED, "unprocessed"}, {HD_SAMPLE_HELD, "held"}, {HD_SAMPLE_LATE, "late"}, {HD_SAMPLE_MANUAL, "manual"},
	   {HD_SAMPLE_FILE, "fileable"}};

const char *hd_sample_note(uint32_t i, uint16_t *ret_bit)
{
	if (i >= HD_ARRAY_LEN(notes))
		return NULL;
	*ret_bit = notes[i].bit;
	return notes[i].name;
}

int hd_api_metrics(struct hd_api *api, const char *text, uint32_t ret[HD_METRICS_PER_SAMPLE_MAX + 1], struct hydro_error *err)
{
	uint32_t count = 0;
	ret[0] = 0;
	for (const char *p = text ? text : ""; *p;) {
		char name[HD_NAME_BYTES_MAX + 1];
		size_t len = strcspn(p, ",");
		(void)snprintf(name, sizeof name, "%.*s", (int)HD_MIN(len, sizeof name - 1), p);
		uint32_t metric = hd_names_find(api->deps.names, HD_NAME_METRIC, name);
		if (metric == 0)
			return hd_error_set(err, HYDRO_E_INVALID, "parameter metrics: there is no metric \"%.64s\"", name);
		if (count == HD_METRICS_PER_SAMPLE_MAX)
			return hd_error_set(err, HYDRO_E_INVALID, "parameter metrics: more than %u", HD_METRICS_PER_SAMPLE_MAX);
		ret[count++] = metric;
		ret[count] = 0;
		p += len + (p[len] == ',');
	}
	return HYDRO_OK;
}

static bool wanted(const uint32_t *only, uint32_t metric)
{
	if (!only || !only[0] || metric == 0)
		return true;
	while (*only && *only != metric)
		only++;
	return *only != 0;
}

static const char *metric_name(struct hd_api *api, uint32_t metric)
{
	const char *name = hd_names_get(api->deps.names, HD_NAME_METRIC, metric);
	return name ? name : "?";
}

static void add_value(struct hd_api *api, struct hd_buf *ret, bool first, uint32_t metric, double value, double quality)
{
	const char *name = metric_name(api, metric), *unit = hd_metric_unit(metric);
	if (!first)
		hd_buf_add_char(ret, ',');
	hd_buf_add_json(ret, name, strlen(name));
	hd_buf_add_text(ret, ":{\"value\":");
	hd_buf_add_number(ret, value);
	hd_buf_printf(ret, ",\"unit\":\"%s\",\"quality\":%.4g}", unit, quality);
}

static void add_flag(struct hd_api *api, struct hd_buf *ret, bool first, const struct hd_flag *flag)
{
	const char *rule = hd_names_get(api->deps.names, HD_NAME_RULE, flag->rule);
	if (!first)
		hd_buf_add_char(ret, ',');
	hd_buf_add_char(ret, '{');
	hd_json_text(ret, "flag", hd_flag_text(api->deps.names, flag));
	if (flag->metric)
		hd_json_text(ret, "metric", metric_name(api, flag->metric));
	else
		hd_buf_add_text(ret, ",\"metric\":null");
	if (rule)
		hd_json_text(ret, "rule", rule);
	hd_buf_add_char(ret, '}');
}

static void add_values(struct hd_api *api, struct hd_buf *ret, const struct hd_sample *sample, const uint32_t *only)
{
	double sum = 0;
	bool first = true;
	hd_buf_add_text(ret, ",\"values\":{");
	for (uint32_t i = 0; i < sample->value_count; i++) {
		const struct hd_value *value = &sample->values[i];
		sum += (double)value->quality;
		if (!wanted(only, value->metric))
			continue;
		add_value(api, ret, first, value->metric, value->value, (double)value->quality);
		first = false;
	}
	hd_buf_add_char(ret, '}');
	if (sample->value_count)
		hd_buf_printf(ret, ",\"score\":%.4g", sum / sample->value_count);
}

static void add_raws(struct hd_api *api, struct hd_buf *ret, const struct hd_sample *sample)
{
	hd_buf_add_text(ret, ",\"raw\":{");
	for (uint32_t i = 0; i < sample->raw_count; i++) {
		const char *name = metric_name(api, sample->raws[i].metric);
		if (i)
			hd_buf_add_char(ret, ',');
		hd_buf_add_json(ret, name, strlen(name));
		hd_buf_add_text(ret, ":{\"value\":");
		hd_buf_add_number(ret, sample->raws[i].value);
		hd_buf_add_text(ret, sample->raws[i].quality > 0 ? ",\"status\":false}" : ",\"status\":true}");
	}
	hd_buf_add_char(ret, '}');
}

void hd_json_sample(struct hd_api *api, struct hd_buf *ret, const struct hd_sample *sample, const uint32_t *only, bool with_raw)
{
	bool first = true;
	hd_buf_add_char(ret, '{');
	hd_json_time(ret, "ts", sample->ts_ms);
	hd_json_int(ret, "rev", sample->rev);
	add_values(api, ret, sample, only);
	hd_buf_add_text(ret, ",\"flags\":[");
	for (uint32_t i = 0; i < sample->flag_count; i++) {
		if (!wanted(only, sample->flags[i].metric))
			continue;
		add_flag(api, ret, first, &sample->flags[i]);
		first = false;
	}
	hd_buf_add_text(ret, "],\"notes\":[");
	first = true;
	for (uint32_t i = 0; i < HD_ARRAY_LEN(notes); i++) {
		if (!(sample->bits & notes[i].bit))
			continue;
		hd_buf_printf(ret, "%s\"%s\"", first ? "" : ",", notes[i].name);
		first = false;
	}
	hd_buf_add_char(ret, ']');
	const char *generation = hd_names_get(api->deps.names, HD_NAME_GENERATION, sample->generation);
	if (generation)
		hd_json_text(ret, "pipeline", generation);
	else
		hd_buf_add_text(ret, ",\"pipeline\":null");
	if (with_raw)
		add_raws(api, ret, sample);
	hd_buf_add_char(ret, '}');
}

void hd_json_latest(struct hd_api *api, struct hd_buf *ret, const struct hd_latest_value *latest)
{
	double sum = 0;
	bool first = true;
	hd_buf_add_char(ret, '{');
	hd_json_time(ret, "ts", latest->ts_ms);
	hd_json_int(ret, "rev", latest->rev);
	hd_buf_add_text(ret, ",\"values\":{");
	for (uint32_t i = 0; i < latest->count; i++) {
		const struct hd_latest_metric *m = &latest->metrics[i];
		add_value(api, ret, i == 0, m->metric, m->value, (double)m->quality);
		sum += (double)m->quality;
	}
	hd_buf_add_char(ret, '}');
	if (latest->count)
		hd_buf_printf(ret, ",\"score\":%.4g", sum / latest->count);
	hd_buf_add_text(ret, ",\"flags\":[");
	for (uint32_t i = 0; i < latest->count; i++) {
		if (latest->metrics[i].flag == 0)
			continue;
		struct hd_flag flag = {.metric = latest->metrics[i].metric, .flag = (uint16_t)latest->metrics[i].flag};
		add_flag(api, ret, first, &flag);
		first = false;
	}
	hd_buf_add_text(ret, "]}");
}
