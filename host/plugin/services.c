/* SPDX-License-Identifier: MIT */
#include "plugin/services.h"

#include "base/clock.h"
#include "model/names.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct hd_services {
	hydro_host host;
	struct hd_names *names;
	void (*log)(void *arg, uint32_t level, const char *instance, const char *text);
	void *log_arg;
	char instance[64];
	pthread_mutex_t lock; /* guards: tokens, filled_ns, dropped */
	double tokens;
	int64_t filled_ns;
	uint64_t dropped;
	_Atomic uint32_t retired;
	_Atomic uint32_t late; /* told, or not to be told */
	struct hd_services *next;
};

static _Atomic uint64_t late_calls;
static pthread_mutex_t graveyard_lock = PTHREAD_MUTEX_INITIALIZER; /* guards: graveyard */
static struct hd_services *graveyard;

uint64_t hd_services_late_calls(void)
{
	return atomic_load(&late_calls);
}

/* True for a table whose instance is gone; tells of the first such call. */
static bool is_late(struct hd_services *services)
{
	if (HD_LIKELY(!atomic_load(&services->retired)))
		return false;
	(void)atomic_fetch_add(&late_calls, 1);
	if (atomic_exchange(&services->late, 1) == 0 && services->log)
		services->log(services->log_arg, HYDRO_LOG_ERROR, services->instance,
			      "plugin called into the host after its stop had returned: it left a thread running");
	return true;
}

/* Whether a line may pass; *ret_dropped = lines dropped since the last one that did. */
static bool may_log(struct hd_services *services, uint64_t *ret_dropped)
{
	int64_t now = hd_clock_real_ns();
	(void)pthread_mutex_lock(&services->lock);
	services->tokens += (double)(now - services->filled_ns) * HD_SERVICES_LOG_RATE / (double)HD_NS_PER_S;
	services->tokens = HD_MIN(services->tokens, (double)HD_SERVICES_LOG_BURST);
	services->filled_ns = now;
	bool may = services->tokens >= 1.0;
	*ret_dropped = may ? services->dropped : 0;
	if (may) {
		services->tokens -= 1.0;
		services->dropped = 0;
	} else {
		services->dropped++;
	}
	(void)pthread_mutex_unlock(&services->lock);
	return may;
}

void hd_services_log(struct hd_services *services, uint32_t level, const char *text)
{
	uint64_t dropped;
	if (is_late(services) || !services->log || !text || !may_log(services, &dropped))
		return;
	char line[HD_SERVICES_LOG_BYTES];
	if (dropped) {
		(void)snprintf(line, sizeof line, "%llu lines of this plugin were dropped: it logs more than %u a second", (unsigned long long)dropped,
			       HD_SERVICES_LOG_RATE);
		services->log(services->log_arg, HYDRO_LOG_WARN, services->instance, line);
	}
	(void)snprintf(line, sizeof line, "%s", text);
	/* One call is one line: what a remote side sent must not forge others. */
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	services->log(services->log_arg, HD_MIN(level, HYDRO_LOG_DEBUG), services->instance, line);
}

static void host_log(void *ctx, uint32_t level, const char *text)
{
	hd_services_log(ctx, level, text);
}

static uint32_t host_metric(void *ctx, const char *name)
{
	struct hd_services *services = ctx;
	uint32_t metric = 0;
	if (is_late(services) || !name || hd_names_intern(services->names, HD_NAME_METRIC, name, &metric, NULL) != HYDRO_OK)
		return 0;
	return metric;
}

static const char *host_metric_name(void *ctx, uint32_t metric)
{
	struct hd_services *services = ctx;
	return is_late(services) ? NULL : hd_names_get(services->names, HD_NAME_METRIC, metric);
}

static int64_t host_now_ms(void *ctx)
{
	(void)ctx;
	return hd_clock_wall_ms();
}

static int64_t host_mono_ns(void *ctx)
{
	(void)ctx;
	return hd_clock_mono_ns();
}

struct hd_services *hd_services_new(const struct hd_plugins_config *cfg, const char *instance)
{
	struct hd_services *services = calloc(1, sizeof *services);
	if (!services)
		return NULL;
	services->names = cfg->names;
	services->log = cfg->log;
	services->log_arg = cfg->log_arg;
	services->tokens = HD_SERVICES_LOG_BURST;
	services->filled_ns = hd_clock_real_ns();
	(void)pthread_mutex_init(&services->lock, NULL);
	(void)snprintf(services->instance, sizeof services->instance, "%s", instance);
	services->host = (hydro_host){
		.struct_size = sizeof services->host,
		.abi_major = HYDRO_ABI_MAJOR,
		.abi_minor = HYDRO_ABI_MINOR,
		.ctx = services,
		.log = host_log,
		.metric = host_metric,
		.metric_name = host_metric_name,
		.now_ms = host_now_ms,
		.mono_ns = host_mono_ns,
	};
	return services;
}

const hydro_host *hd_services_host(struct hd_services *services)
{
	return &services->host;
}

void hd_services_retire(struct hd_services **services)
{
	struct hd_services *old = HD_STEAL(*services);
	if (!old)
		return;
	atomic_store(&old->retired, 1);
	(void)pthread_mutex_lock(&graveyard_lock);
	old->next = graveyard;
	graveyard = old;
	(void)pthread_mutex_unlock(&graveyard_lock);
}

void hd_services_silence(void)
{
	(void)pthread_mutex_lock(&graveyard_lock);
	for (struct hd_services *services = graveyard; services; services = services->next)
		atomic_store(&services->late, 1);
	(void)pthread_mutex_unlock(&graveyard_lock);
}
