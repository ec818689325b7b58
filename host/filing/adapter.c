/* SPDX-License-Identifier: MIT */
/* Adapters as a set; calls are in adapter_call.c. */
#include "filing/adapter_impl.h"

#include <stdlib.h>
#include <string.h>

struct hd_adapters {
	struct hd_adapter *items[HD_ADAPTERS_MAX];
	uint32_t count;
};

int hd_adapters_new(struct hd_adapters **ret, struct hydro_error *err)
{
	struct hd_adapters *adapters = calloc(1, sizeof *adapters);
	if (!adapters)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for adapters");
	*ret = adapters;
	return HYDRO_OK;
}

static void adapter_free(struct hd_adapter *adapter)
{
	if (!adapter)
		return;
	hd_filing_info_done(&adapter->about);
	free(adapter);
}

void hd_adapters_free(struct hd_adapters **adapters)
{
	struct hd_adapters *old = HD_STEAL(*adapters);
	for (uint32_t i = 0; old && i < old->count; i++)
		adapter_free(old->items[i]);
	free(old);
}

static bool is_complete(const hydro_sink_ops *ops)
{
	return (ops->capabilities & HYDRO_SINK_FILING) && ops->filing_info && ops->filing_check_identifier && ops->filing_check_work && ops->filing_prepare &&
	       ops->filing_request && ops->filing_parse && !ops->filing_check_request == !ops->filing_check_parse;
}

static int add(struct hd_adapters *adapters, const char *name, const struct hd_sink *sink, const struct hd_descriptor *descriptor, struct hydro_error *err)
{
	if (!sink || !is_complete(&sink->ops))
		return hd_error_set(err, HYDRO_E_CONFIG, "'%s' is no sink that files with a regulator", name);
	if (adapters->count == HD_ADAPTERS_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "more than %u adapters", HD_ADAPTERS_MAX);
	for (uint32_t i = 0; i < adapters->count; i++)
		if (strcmp(adapters->items[i]->name, name) == 0)
			return hd_error_set(err, HYDRO_E_EXISTS, "there is an adapter '%s' already", name);
	struct hd_adapter *adapter = calloc(1, sizeof *adapter);
	if (!adapter)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for an adapter");
	adapter->name = name;
	adapter->sink = sink;
	adapter->descriptor = descriptor;
	hd_adapter_enter(adapter);
	const hydro_filing_info *raw = sink->ops.filing_info(sink->self);
	hd_adapter_leave(adapter);
	int rc = hd_filing_info_read(raw, &adapter->about, err);
	if (rc != HYDRO_OK) {
		adapter_free(adapter);
		return hd_error_while(err, "taking '%s' as an adapter", name);
	}
	adapters->items[adapters->count++] = adapter;
	return HYDRO_OK;
}

int hd_adapters_add(struct hd_adapters *adapters, struct hd_instance *instance, struct hydro_error *err)
{
	return add(adapters, hd_instance_name(instance), hd_instance_sink(instance), hd_instance_descriptor(instance), err);
}

int hd_adapters_add_sink(struct hd_adapters *adapters, const char *name, const struct hd_sink *sink, struct hydro_error *err)
{
	return add(adapters, name, sink, NULL, err);
}

/* ---- asking ---- */

static bool is_better(const struct hd_adapter *a, const struct hd_adapter *than)
{
	if (!than || a->about.valid_from_ms != than->about.valid_from_ms)
		return !than || a->about.valid_from_ms > than->about.valid_from_ms;
	return strcmp(a->name, than->name) < 0;
}

const struct hd_adapter *hd_adapters_pick(const struct hd_adapters *adapters, const char *family, const char *name, int64_t due_ms)
{
	const struct hd_adapter *best = NULL;
	for (uint32_t i = 0; i < adapters->count; i++) {
		const struct hd_adapter *a = adapters->items[i];
		if (strcmp(a->about.info.family, family) != 0)
			continue;
		bool fits = name && *name ? strcmp(a->name, name) == 0 : a->about.valid_from_ms <= due_ms;
		if (fits && is_better(a, best))
			best = a;
	}
	return best;
}

const struct hd_adapter *hd_adapters_at(const struct hd_adapters *adapters, uint32_t i)
{
	return i < adapters->count ? adapters->items[i] : NULL;
}

const char *hd_adapter_name(const struct hd_adapter *adapter)
{
	return adapter->name;
}

const char *hd_adapter_version(const struct hd_adapter *adapter)
{
	return adapter->sink->version ? adapter->sink->version : "";
}

int64_t hd_adapter_valid_from_ms(const struct hd_adapter *adapter)
{
	return adapter->about.valid_from_ms;
}

const hydro_filing_info *hd_adapter_info(const struct hd_adapter *adapter)
{
	return &adapter->about.info;
}

const hydro_filing_kind *hd_adapter_kind(const struct hd_adapter *adapter, const char *name)
{
	for (uint32_t i = 0; i < adapter->about.info.kind_count; i++)
		if (strcmp(adapter->about.kinds[i].name, name) == 0)
			return &adapter->about.kinds[i];
	return NULL;
}

const hydro_filing_standard *hd_adapter_standard(const struct hd_adapter *adapter, const char *name)
{
	for (uint32_t i = 0; i < adapter->about.info.standard_count; i++)
		if (strcmp(adapter->about.standards[i].name, name) == 0)
			return &adapter->about.standards[i];
	return NULL;
}

bool hd_adapter_can_check(const struct hd_adapter *adapter)
{
	return adapter->sink->ops.filing_check_request != NULL;
}
