/* SPDX-License-Identifier: MIT */
#include "collect/wire.h"

#include "model/names.h"
#include "observe/log.h"
#include "pipeline/pipeline.h"
#include "plugin/plugin.h"

#include <cjson/cJSON.h>
#include <string.h>

#define STOP_MS 5000u

static int wire_options(void *arg, const struct hd_collect_provider *provider, uint32_t scope, const char *json, void **ret_handle,
			const hydro_options **ret_view, struct hydro_error *err)
{
	const struct hd_collect_wiring *w = arg;
	struct hd_options *options = NULL;
	cJSON *parsed = NULL;
	if (json && *json && !(parsed = cJSON_Parse(json)))
		return hd_error_set(err, HYDRO_E_CONFIG, "the options of the %s are not JSON", hd_scope_name(scope));
	int rc = hd_options_parse(provider->descriptor, scope, parsed, w->names, &options, err);
	cJSON_Delete(parsed);
	if (rc != HYDRO_OK)
		return rc;
	*ret_handle = options;
	*ret_view = hd_options_abi(options);
	return HYDRO_OK;
}

static void wire_options_free(void *arg, void *handle)
{
	(void)arg;
	struct hd_options *options = handle;
	hd_options_unref(&options);
}

static int wire_account(void *arg, uint32_t account, struct hd_collect_account *ret, struct hydro_error *err)
{
	const struct hd_collect_wiring *w = arg;
	return w->account(w->account_arg, account, ret, err);
}

static uint32_t wire_worker_of(void *arg, uint32_t point)
{
	const struct hd_collect_wiring *w = arg;
	return hd_pipeline_worker_of(w->pipeline, point);
}

static bool wire_post(void *arg, uint32_t worker, void (*fn)(void *arg, struct hd_worker *w), void *fn_arg)
{
	const struct hd_collect_wiring *w = arg;
	return hd_pipeline_post(w->pipeline, worker, fn, fn_arg);
}

static int wire_feed(void *arg, struct hd_worker *w, uint32_t point, const hydro_raw *raws, uint32_t count, const struct hd_collect_feed *how,
		     struct hydro_error *err)
{
	(void)arg;
	struct hd_feed feed = {.mode = how->mode == HD_COLLECT_BACKFILL ? HD_FEED_BACKFILL : HD_FEED_LIVE,
			       .source = how->source,
			       .received_ns = how->received_ns,
			       .synced = how->synced,
			       .arg = how->arg};
	return hd_pipeline_feed(w, point, raws, count, &feed, err);
}

static int64_t wire_newest(void *arg, uint32_t point)
{
	const struct hd_collect_wiring *w = arg;
	return hd_pipeline_newest(w->pipeline, point);
}

static void wire_hold(void *arg, struct hd_worker *w, uint32_t point)
{
	(void)arg;
	hd_pipeline_hold(w, point);
}

static void wire_release(void *arg, struct hd_worker *w, uint32_t point)
{
	(void)arg;
	hd_pipeline_release(w, point);
}

static int wire_dry_run(void *arg, uint32_t point, const hydro_raw *raws, uint32_t count, struct hd_buf *ret_json, struct hydro_error *err)
{
	const struct hd_collect_wiring *w = arg;
	return hd_pipeline_dry_run(w->pipeline, point, raws, count, NULL, NULL, ret_json, err);
}

static const char *wire_metric_name(void *arg, uint32_t metric)
{
	const struct hd_collect_wiring *w = arg;
	return hd_names_get(w->names, HD_NAME_METRIC, metric);
}

static bool wire_idle(void *arg, int64_t *ret_next_ms)
{
	const struct hd_collect_wiring *w = arg;
	struct hd_pipeline_status status;
	hd_pipeline_status(w->pipeline, UINT32_MAX, &status);
	return status.queued == 0 && (!w->idle || w->idle(w->idle_arg, ret_next_ms));
}

static void wire_event(void *arg, uint32_t level, const char *event, const char *text)
{
	(void)arg;
	static const uint32_t levels[] = {HD_LOG_ERROR, HD_LOG_WARN, HD_LOG_INFO};
	hd_log(levels[HD_MIN(level, 2u)], "collect", event, HD_S("text", text));
}

static void wire_stop(void *arg, const struct hd_collect_provider *provider)
{
	const struct hd_collect_wiring *w = arg;
	struct hydro_error err = {.struct_size = sizeof err};
	if (hd_instance_stop(provider->owner, w->stop_ms ? w->stop_ms : STOP_MS, &err) != HYDRO_OK)
		hd_log_error(HD_LOG_WARN, "collect", "stop", &err);
}

static void wire_enter(void *arg, uint32_t crumb, const void *point_id)
{
	(void)arg;
	hd_crumb_enter(crumb, point_id);
}

static void wire_leave(void *arg)
{
	(void)arg;
	hd_crumb_leave();
}

void hd_collect_wire(const struct hd_collect_wiring *wiring, struct hd_collect_ops *ret)
{
	*ret = (struct hd_collect_ops){
		/* The ops have one argument for all; nothing writes through it. */
		.arg = (void *)(uintptr_t)wiring,
		.options = wire_options,
		.options_free = wire_options_free,
		.account = wire_account,
		.worker_of = wire_worker_of,
		.post = wire_post,
		.feed = wire_feed,
		.newest = wire_newest,
		.hold = wire_hold,
		.release = wire_release,
		.dry_run = wire_dry_run,
		.metric_name = wire_metric_name,
		.idle = wire_idle,
		.event = wire_event,
		.stop = wire_stop,
		.enter = wire_enter,
		.leave = wire_leave,
	};
}

bool hd_collect_wire_provider(struct hd_instance *instance, struct hd_collect_provider *ret)
{
	const struct hd_provider *provider = hd_instance_provider(instance);
	const struct hd_descriptor *descriptor = hd_instance_descriptor(instance);
	if (!provider || !descriptor)
		return false;
	*ret = (struct hd_collect_provider){
		.name = hd_instance_name(instance),
		.ops = &provider->ops,
		.instance = provider->self,
		.owner = instance,
		.descriptor = descriptor,
		.rows = descriptor->rows,
		.row_count = descriptor->row_count,
		.crumb = provider->crumb,
	};
	return true;
}
