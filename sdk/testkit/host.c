/* SPDX-License-Identifier: MIT */
/* The world around a plugin under test: services of the host, and the stream of a subscription. */
#include "kit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void fake_log(void *ctx, uint32_t level, const char *text)
{
	static const char *const levels[] = {"error", "warn", "info", "debug"};
	hydro_testkit *kit = ctx;
	(void)pthread_mutex_lock(&kit->lock);
	(void)hd_buf_printf(&kit->log, "%s %s\n", level < HD_ARRAY_LEN(levels) ? levels[level] : "level?", text);
	(void)pthread_mutex_unlock(&kit->lock);
}

static bool metric_valid(const char *name)
{
	size_t len = strlen(name);
	if (len == 0 || len > 160 || name[0] < 'a' || name[0] > 'z')
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

uint32_t hydro_testkit_metric(hydro_testkit *kit, const char *name)
{
	uint32_t id = 0;
	if (!name || !metric_valid(name))
		return 0;
	(void)pthread_mutex_lock(&kit->lock);
	for (uint32_t i = 0; i < kit->metric_count && id == 0; i++)
		if (strcmp(kit->metrics[i], name) == 0)
			id = i + 1;
	if (id == 0 && kit->metric_count < KIT_METRICS_MAX) {
		kit->metrics[kit->metric_count] = strdup(name);
		if (kit->metrics[kit->metric_count])
			id = ++kit->metric_count;
	}
	(void)pthread_mutex_unlock(&kit->lock);
	return id;
}

const char *hydro_testkit_metric_name(hydro_testkit *kit, uint32_t metric)
{
	(void)pthread_mutex_lock(&kit->lock);
	const char *name = metric > 0 && metric <= kit->metric_count ? kit->metrics[metric - 1] : NULL;
	(void)pthread_mutex_unlock(&kit->lock);
	return name;
}

static uint32_t fake_metric(void *ctx, const char *name)
{
	return hydro_testkit_metric(ctx, name);
}

static const char *fake_metric_name(void *ctx, uint32_t metric)
{
	return hydro_testkit_metric_name(ctx, metric);
}

static int64_t fake_now_ms(void *ctx)
{
	hydro_testkit *kit = ctx;
	(void)pthread_mutex_lock(&kit->lock);
	int64_t now = kit->now_ms;
	(void)pthread_mutex_unlock(&kit->lock);
	return now;
}

static int64_t fake_mono_ns(void *ctx)
{
	return fake_now_ms(ctx) * 1000000;
}

void hydro_testkit_set_now(hydro_testkit *kit, int64_t now_ms)
{
	(void)pthread_mutex_lock(&kit->lock);
	kit->now_ms = now_ms;
	(void)pthread_mutex_unlock(&kit->lock);
}

const char *hydro_testkit_log(hydro_testkit *kit)
{
	(void)pthread_mutex_lock(&kit->lock);
	const char *text = hd_buf_text(&kit->log);
	(void)pthread_mutex_unlock(&kit->lock);
	return text ? text : "";
}

/* ---- the stream of a subscription ---- */

static int32_t stream_emit(void *ctx, const char *point_key, const hydro_raw *values, uint32_t count, uint64_t token)
{
	hydro_testkit *kit = ctx;
	struct kit_message *entry = calloc(1, sizeof *entry);
	if (!entry)
		return HYDRO_E_NOMEM;
	if (count > HD_ARRAY_LEN(entry->message.raws) || !point_key) {
		free(entry);
		return HYDRO_E_INVALID;
	}
	(void)snprintf(entry->message.point_key, sizeof entry->message.point_key, "%s", point_key);
	entry->message.token = token;
	entry->message.raw_count = count;
	memcpy(entry->message.raws, values, count * sizeof *values);
	(void)pthread_mutex_lock(&kit->lock);
	*kit->last = entry;
	kit->last = &entry->next;
	(void)pthread_cond_signal(&kit->arrived);
	(void)pthread_mutex_unlock(&kit->lock);
	return HYDRO_OK;
}

static void stream_link(void *ctx, uint32_t connected, const char *reason)
{
	hydro_testkit *kit = ctx;
	(void)reason;
	(void)pthread_mutex_lock(&kit->lock);
	kit->link = connected ? 1 : 0;
	(void)pthread_mutex_unlock(&kit->lock);
}

int32_t hydro_testkit_subscribe(hydro_testkit *kit, uint32_t credits, struct hydro_error *err)
{
	const hydro_provider_ops *ops = hydro_testkit_provider(kit);
	if (!ops || !(ops->capabilities & HYDRO_PROVIDER_SUBSCRIBE) || !kit->instance)
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "no instance of a provider that subscribes");
	kit->stream = (hydro_stream){.struct_size = sizeof kit->stream, .ctx = kit, .emit = stream_emit, .link = stream_link};
	int rc = ops->subscribe(kit->instance, &kit->stream, err);
	if (rc == HYDRO_OK)
		ops->credit(kit->instance, credits);
	return rc;
}

int32_t hydro_testkit_message_take(hydro_testkit *kit, uint32_t timeout_ms, hydro_testkit_message *ret)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_REALTIME, &until);
	int64_t ns = until.tv_nsec + (int64_t)timeout_ms * 1000000;
	until.tv_sec += ns / 1000000000;
	until.tv_nsec = ns % 1000000000;
	(void)pthread_mutex_lock(&kit->lock);
	int waited = 0;
	while (!kit->first && waited == 0)
		waited = pthread_cond_timedwait(&kit->arrived, &kit->lock, &until);
	struct kit_message *entry = kit->first;
	if (entry) {
		kit->first = entry->next;
		if (!kit->first)
			kit->last = &kit->first;
	}
	(void)pthread_mutex_unlock(&kit->lock);
	if (!entry)
		return 0;
	*ret = entry->message;
	free(entry);
	return 1;
}

int32_t hydro_testkit_link(hydro_testkit *kit)
{
	(void)pthread_mutex_lock(&kit->lock);
	int32_t link = kit->link;
	(void)pthread_mutex_unlock(&kit->lock);
	return link;
}

void kit_host_init(hydro_testkit *kit)
{
	(void)pthread_mutex_init(&kit->lock, NULL);
	(void)pthread_cond_init(&kit->arrived, NULL);
	kit->host = (hydro_host){
		.struct_size = sizeof kit->host,
		.abi_major = HYDRO_ABI_MAJOR,
		.abi_minor = HYDRO_ABI_MINOR,
		.ctx = kit,
		.log = fake_log,
		.metric = fake_metric,
		.metric_name = fake_metric_name,
		.now_ms = fake_now_ms,
		.mono_ns = fake_mono_ns,
	};
}

void kit_host_done(hydro_testkit *kit)
{
	while (kit->first) {
		struct kit_message *next = kit->first->next;
		free(kit->first);
		kit->first = next;
	}
	for (uint32_t i = 0; i < kit->metric_count; i++)
		free(kit->metrics[i]);
	hd_buf_done(&kit->log);
	(void)pthread_cond_destroy(&kit->arrived);
	(void)pthread_mutex_destroy(&kit->lock);
}
