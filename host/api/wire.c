/* SPDX-License-Identifier: MIT */
#include "api/wire.h"

#include "api/checks.h"
#include "api/internal.h"
#include "api/wire_feed.h"
#include "base/clock.h"
#include "base/timefmt.h"
#include "journal/journal.h"

#include <stdio.h>
#include <string.h>

#define PARTS(arg) ((struct hd_api_parts *)(arg))

/* ---- health ----------------------------------------------------------------------------------------------------------------- */

/* A minute without an answer is an outage; a single failure is not. */
#define DOWN_TOLD_MS (60 * HD_MS_PER_S)

static void health_of_providers(const struct hd_collect *collect, struct hd_health *ret)
{
	const char *name;
	int64_t since_ms;
	for (uint32_t i = 0; hd_collect_next_down(collect, &i, &name, &since_ms);) {
		char time[HD_TIME_TEXT], text[96];
		if (hd_clock_wall_ms() - since_ms < DOWN_TOLD_MS)
			continue;
		hd_time_format(since_ms, time);
		(void)snprintf(text, sizeof text, "provider not reachable since %s", time);
		hd_health_add(ret, HD_HEALTH_DEGRADED, name, text);
	}
}

static void health(void *arg, struct hd_health *ret)
{
	struct hd_api_parts *parts = PARTS(arg);
	if (parts->collect)
		health_of_providers(parts->collect, ret);
	if (parts->journal) {
		struct hd_journal_status status;
		hd_journal_status(parts->journal, &status);
		if (status.error_code != HYDRO_OK)
			hd_health_add(ret, HD_HEALTH_FAILING, "journal", status.error_text);
		if (status.set_aside > 0)
			hd_health_add(ret, HD_HEALTH_DEGRADED, "journal", "damaged ranges were set aside: see the journal's set-aside folder");
	}
	if (parts->pipeline) {
		struct hd_pipeline_status status;
		char text[160];
		hd_pipeline_status(parts->pipeline, UINT32_MAX, &status);
		(void)snprintf(text, sizeof text, "%llu Lua steps of points are switched off, over their budget three times each: `step_off` in the log names them",
			       (unsigned long long)status.steps_off);
		if (status.steps_off)
			hd_health_add(ret, HD_HEALTH_DEGRADED, "pipeline", text);
	}
	if (parts->history) {
		struct hd_history_status status;
		hd_history_status(parts->history, &status);
		if (status.error_code != HYDRO_OK)
			hd_health_add(ret, HD_HEALTH_DEGRADED, "history", status.error_text);
		if (status.month_error_code != HYDRO_OK)
			hd_health_add(ret, HD_HEALTH_DEGRADED, "history", status.month_error_text);
	}
}

/* ---- collector ---------------------------------------------------------------------------------------------------------------- */

static int providers(void *arg, struct hd_buf *ret, struct hydro_error *err)
{
	return hd_collect_providers_json(PARTS(arg)->collect, ret, err);
}

static int provider_status(void *arg, const char *provider, struct hd_buf *ret, struct hydro_error *err)
{
	return hd_collect_status_json(PARTS(arg)->collect, provider, ret, err);
}

static int collect_provider(void *arg, const char *provider, uint32_t *ret_points, struct hydro_error *err)
{
	return hd_collect_now(PARTS(arg)->collect, provider, ret_points, err);
}

static int collect_point(void *arg, uint32_t point, struct hydro_error *err)
{
	return hd_collect_point_now(PARTS(arg)->collect, point, err);
}

static int collect_dry(void *arg, uint32_t point, struct hd_buf *ret, struct hydro_error *err)
{
	return hd_collect_dry(PARTS(arg)->collect, point, ret, err);
}

static void account_changed(void *arg, uint32_t account)
{
	/* It is in the store; a collector that is closing need not know. */
	(void)hd_collect_account_changed(PARTS(arg)->collect, account, NULL);
}

/* ---- data --------------------------------------------------------------------------------------------------------------------- */

static int feed(void *arg, uint32_t point, const hydro_raw *raws, uint32_t count, uint32_t *ret_accepted, uint32_t *ret_dropped, struct hydro_error *err)
{
	return hd_api_wire_feed(PARTS(arg)->pipeline, point, raws, count, ret_accepted, ret_dropped, err);
}

static bool latest(void *arg, uint32_t point, struct hd_latest_value *ret)
{
	return hd_latest_get(hd_pipeline_latest(PARTS(arg)->pipeline), point, ret);
}

static int history(void *arg, const struct hd_history_query *query, hd_history_row_fn row, void *row_arg, struct hydro_error *err)
{
	return hd_history_query(PARTS(arg)->history, query, row, row_arg, err);
}

static int aggregates(void *arg, const struct hd_history_aggregate_query *query, hd_history_aggregate_fn row, void *row_arg, struct hydro_error *err)
{
	return hd_history_aggregates(PARTS(arg)->history, query, row, row_arg, err);
}

/* ---- plugins ------------------------------------------------------------------------------------------------------------------- */

static void print_plugin(struct hd_buf *ret, const struct hd_plugin_info *info)
{
	static const char *const states[] = {"?", "available", "loaded", "refused"};
	const char *kind = hd_kind_name(info->kind);
	hd_buf_add_char(ret, '{');
	hd_json_text(ret, "name", info->name);
	hd_json_text(ret, "kind", kind ? kind : "");
	hd_json_text(ret, "version", info->version);
	hd_json_text(ret, "state", states[info->state < HD_ARRAY_LEN(states) ? info->state : 0]);
	hd_json_text(ret, "refusal", info->refusal);
	hd_json_text(ret, "summary", info->summary);
	hd_json_text(ret, "licence", info->licence);
	hd_json_text(ret, "hash", info->hash);
	hd_json_text(ret, "path", info->path);
	hd_json_int(ret, "abi_minor_needed", info->abi_minor_needed);
	hd_json_int(ret, "instances", info->instances);
	hd_buf_add_char(ret, '}');
}

static int plugins(void *arg, struct hd_buf *ret, struct hydro_error *err)
{
	struct hd_api_parts *parts = PARTS(arg);
	struct hd_plugin_info info;
	(void)err;
	hd_buf_add_char(ret, '[');
	for (size_t i = 0; i < hd_plugins_count(parts->plugins); i++) {
		if (!hd_plugins_get(parts->plugins, i, &info))
			break;
		if (i)
			hd_buf_add_char(ret, ',');
		print_plugin(ret, &info);
	}
	hd_buf_add_char(ret, ']');
	return HYDRO_OK;
}

static int plugins_scan(void *arg, struct hydro_error *err)
{
	struct hd_api_parts *parts = PARTS(arg);
	(void)pthread_mutex_lock(&parts->control);
	int rc = hd_plugins_scan(parts->plugins, err);
	(void)pthread_mutex_unlock(&parts->control);
	return rc;
}

static int instances(void *arg, struct hd_buf *ret, struct hydro_error *err)
{
	struct hd_api_parts *parts = PARTS(arg);
	hd_buf_add_char(ret, '[');
	for (size_t i = 0; i < parts->instance_count; i++) {
		const struct hd_instance *instance = parts->instances[i];
		cJSON *options = hd_instance_options_json(instance);
		char *text = options ? cJSON_PrintUnformatted(options) : NULL;
		cJSON_Delete(options);
		if (!text)
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory");
		hd_buf_add_text(ret, i ? ",{" : "{");
		hd_json_text(ret, "name", hd_instance_name(instance));
		hd_json_text(ret, "plugin", hd_instance_plugin(instance));
		hd_json_text(ret, "version", hd_instance_version(instance));
		hd_json_bool(ret, "isolated", hd_instance_is_isolated(instance));
		hd_json_raw(ret, "options", text);
		hd_buf_add_char(ret, '}');
		cJSON_free(text);
	}
	hd_buf_add_char(ret, ']');
	return HYDRO_OK;
}

static int config(void *arg, struct hd_buf *ret, struct hydro_error *err)
{
	(void)err;
	hd_config_json(PARTS(arg)->config, ret);
	return HYDRO_OK;
}

void hd_api_wire(struct hd_api_parts *parts, struct hd_api_deps *deps)
{
	(void)pthread_mutex_init(&parts->control, NULL);
	deps->arg = parts;
	deps->health = health;
	deps->checks.arg = parts;
	deps->checks.option_type = hd_api_check_option_type;
	deps->checks.options = hd_api_check_options;
	if (parts->collect) {
		deps->providers = providers;
		deps->provider_status = provider_status;
		deps->collect_provider = collect_provider;
		deps->collect_point = collect_point;
		deps->collect_dry = collect_dry;
		deps->account_changed = account_changed;
	}
	if (parts->pipeline) {
		deps->feed = feed;
		deps->latest = latest;
	}
	if (parts->history) {
		deps->history = history;
		deps->aggregates = aggregates;
	}
	if (parts->plugins) {
		deps->plugins = plugins;
		deps->plugins_scan = plugins_scan;
	}
	deps->instances = instances;
	if (parts->config)
		deps->config = config;
}

void hd_api_unwire(struct hd_api_parts *parts)
{
	(void)pthread_mutex_destroy(&parts->control);
}
