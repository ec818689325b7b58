/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define START_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define SCRATCH_START 4096u

static hydro_testkit *kit_new(void)
{
	hydro_testkit *kit = calloc(1, sizeof *kit);
	if (!kit)
		return NULL;
	kit->now_ms = START_MS;
	kit->scratch_start = SCRATCH_START;
	kit->link = -1;
	kit->last = &kit->first;
	kit_host_init(kit);
	return kit;
}

int32_t hydro_testkit_open(hydro_plugin_entry_fn entry, hydro_testkit **ret, struct hydro_error *err)
{
	hydro_testkit *kit = kit_new();
	if (!kit)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the test kit");
	kit->module.entry = entry;
	int rc = hd_descriptor_read(entry, &kit->module.descriptor, err);
	if (rc != HYDRO_OK) {
		hydro_testkit_close(&kit);
		return rc;
	}
	*ret = kit;
	return HYDRO_OK;
}

int32_t hydro_testkit_open_file(const char *path, hydro_testkit **ret, struct hydro_error *err)
{
	hydro_testkit *kit = kit_new();
	if (!kit)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the test kit");
	int rc = hd_module_open(path, &kit->module, err);
	if (rc != HYDRO_OK) {
		hydro_testkit_close(&kit);
		return rc;
	}
	*ret = kit;
	return HYDRO_OK;
}

void hydro_testkit_close(hydro_testkit **kit)
{
	hydro_testkit *old = HD_STEAL(*kit);
	if (!old)
		return;
	hydro_testkit_destroy(old);
	hd_options_unref(&old->account);
	hd_options_unref(&old->point);
	hd_options_unref(&old->state_options);
	hd_options_unref(&old->work);
	hd_module_close(&old->module);
	kit_host_done(old);
	free(old->scratch);
	free(old->raws);
	free(old->state);
	free(old);
}

const hydro_plugin *hydro_testkit_plugin(const hydro_testkit *kit)
{
	return &kit->module.descriptor->plugin;
}

void *hydro_testkit_instance(const hydro_testkit *kit)
{
	return kit->instance;
}

const hydro_host *hydro_testkit_host(hydro_testkit *kit)
{
	return &kit->host;
}

static const void *ops_of(const hydro_testkit *kit, uint32_t kind)
{
	return kit->module.descriptor->plugin.kind == kind ? &kit->module.descriptor->ops : NULL;
}

const hydro_provider_ops *hydro_testkit_provider(const hydro_testkit *kit)
{
	return ops_of(kit, HYDRO_KIND_PROVIDER);
}

const hydro_sink_ops *hydro_testkit_sink(const hydro_testkit *kit)
{
	return ops_of(kit, HYDRO_KIND_SINK);
}

const hydro_analytics_ops *hydro_testkit_analytics(const hydro_testkit *kit)
{
	return ops_of(kit, HYDRO_KIND_ANALYTICS);
}

static int intern(void *ctx, const char *name, uint32_t *ret, struct hydro_error *err)
{
	uint32_t id = hydro_testkit_metric(ctx, name);
	if (id == 0)
		return hd_error_set(err, HYDRO_E_INVALID, "not a metric's name: \"%.80s\"", name);
	*ret = id;
	return HYDRO_OK;
}

int kit_options(hydro_testkit *kit, uint32_t scope, const char *json, struct hd_options **ret, struct hydro_error *err)
{
	struct hd_metric_source metrics = {.ctx = kit, .intern = intern};
	cJSON *parsed = NULL;
	if (json && !(parsed = cJSON_Parse(json)))
		return hd_error_set(err, HYDRO_E_CONFIG, "the options are not JSON");
	int rc = hd_options_build(kit->module.descriptor, scope, parsed, &metrics, ret, err);
	cJSON_Delete(parsed);
	return rc;
}

int32_t hydro_testkit_create(hydro_testkit *kit, const char *options_json, struct hydro_error *err)
{
	hydro_testkit_destroy(kit);
	int rc = kit_options(kit, HYDRO_SCOPE_INSTANCE, options_json, &kit->options, err);
	if (rc != HYDRO_OK)
		return rc;
	const hydro_options *abi = hd_options_abi(kit->options);
	switch (kit->module.descriptor->plugin.kind) {
	case HYDRO_KIND_PROVIDER:
		rc = kit->module.descriptor->ops.provider.create(&kit->host, abi, &kit->instance, err);
		break;
	case HYDRO_KIND_SINK:
		rc = kit->module.descriptor->ops.sink.create(&kit->host, abi, &kit->instance, err);
		break;
	default:
		rc = kit->module.descriptor->ops.analytics.create(&kit->host, abi, &kit->instance, err);
	}
	if (rc != HYDRO_OK) {
		kit->instance = NULL;
		hd_options_unref(&kit->options);
	}
	return rc;
}

int32_t hydro_testkit_configure(hydro_testkit *kit, const char *options_json, struct hydro_error *err)
{
	const struct hd_descriptor *d = kit->module.descriptor;
	int32_t (*configure)(void *, const hydro_options *, struct hydro_error *) = d->plugin.kind == HYDRO_KIND_PROVIDER ? d->ops.provider.configure
										   : d->plugin.kind == HYDRO_KIND_SINK   ? d->ops.sink.configure
															 : NULL;
	if (!configure || !kit->instance)
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "plugin %s has no configure: a new instance is made instead", d->plugin.name);
	struct hd_options *options = NULL;
	int rc = kit_options(kit, HYDRO_SCOPE_INSTANCE, options_json, &options, err);
	if (rc == HYDRO_OK)
		rc = configure(kit->instance, hd_options_abi(options), err);
	if (rc != HYDRO_OK) {
		hd_options_unref(&options);
		return rc;
	}
	hd_options_unref(&kit->options);
	kit->options = options;
	return HYDRO_OK;
}

void hydro_testkit_destroy(hydro_testkit *kit)
{
	if (kit->instance) {
		const struct hd_descriptor *d = kit->module.descriptor;
		void (*stop)(void *) = d->plugin.kind == HYDRO_KIND_PROVIDER ? d->ops.provider.stop
				     : d->plugin.kind == HYDRO_KIND_SINK     ? d->ops.sink.stop
									     : d->ops.analytics.stop;
		void (*destroy)(void *) = d->plugin.kind == HYDRO_KIND_PROVIDER ? d->ops.provider.destroy
					: d->plugin.kind == HYDRO_KIND_SINK     ? d->ops.sink.destroy
										: d->ops.analytics.destroy;
		if (stop)
			stop(kit->instance);
		destroy(kit->instance);
		kit->instance = NULL;
	}
	hd_options_unref(&kit->options);
}

int32_t hydro_testkit_state(hydro_testkit *kit, const char *point_json, void **ret_state, struct hydro_error *err)
{
	const hydro_analytics_ops *ops = hydro_testkit_analytics(kit);
	if (!ops || !ops->state_init || !kit->instance)
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "no instance of an analytics routine with state");
	hd_options_unref(&kit->state_options);
	int rc = kit_options(kit, HYDRO_SCOPE_POINT, point_json, &kit->state_options, err);
	if (rc != HYDRO_OK)
		return rc;
	free(kit->state);
	kit->state = calloc(1, (size_t)ops->state_size + 1u);
	if (!kit->state)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the state");
	ops->state_init(kit->instance, hd_options_abi(kit->state_options), kit->state);
	*ret_state = kit->state;
	return HYDRO_OK;
}
