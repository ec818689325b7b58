/* SPDX-License-Identifier: MIT */
/* Instances of analytics plugins, as `detect` steps name them. */
#include "daemon/internal.h"

#include <stdio.h>

#define STOP_MS 5000u

static double samples_of(void *arg)
{
	return (double)atomic_load(&((struct hd_detector *)arg)->samples);
}

static double flagged_of(void *arg)
{
	return (double)atomic_load(&((struct hd_detector *)arg)->flagged);
}

static double failures_of(void *arg)
{
	return (double)atomic_load(&((struct hd_detector *)arg)->failures);
}

/*
 * One that crashed the daemon before is not run: analytics have no process of their own yet. Its steps flag `unannotated`
 * and the points go on; a new version of the plugin, or an operator's pardon, brings it back.
 */
static int open_one(struct hd_daemon *d, const struct hd_config_instance *a, struct hd_instance **ret, struct hydro_error *err)
{
	const struct hd_descriptor *descriptor;
	char text[256];
	int rc;
	if (hd_plugins_crash_state(d->plugins, a->name, text) != HD_CRASH_NONE)
		hd_log(HD_LOG_ERROR, "plugin", "analytics_not_started", HD_S("instance", a->name), HD_S("message", text));
	else if ((rc = hd_instance_create(d->plugins, a->name, a->plugin, a->options, ret, err)) != HYDRO_OK)
		return rc;
	rc = hd_plugins_descriptor(d->plugins, a->plugin, &descriptor, err);
	return rc == HYDRO_OK ? hd_detectors_add(&d->detectors, a->name, *ret, descriptor, d->names, err) : rc;
}

static void show(struct hd_detector *detector)
{
	char labels[160];
	(void)snprintf(labels, sizeof labels, "instance=\"%s\",plugin=\"%s\"", detector->name, detector->plugin);
	hd_metrics_gauge("hydro_detect_samples_total", "Readings that a detector judged.", labels, samples_of, detector);
	hd_metrics_gauge("hydro_detect_flagged_total", "Readings that a detector flagged.", labels, flagged_of, detector);
	hd_metrics_gauge("hydro_detect_failures_total", "Readings that a detector failed at; they go on unannotated.", labels, failures_of, detector);
}

int daemon_open_analytics(struct hd_daemon *d, struct hydro_error *err)
{
	d->detectors.event = daemon_log_event;
	d->detectors.event_arg = (void *)(uintptr_t)"pipeline";
	for (uint32_t i = 0; i < d->config->analytics_count; i++) {
		const struct hd_config_instance *a = &d->config->analytics[i];
		struct hydro_error why = {0};
		int rc = open_one(d, a, &d->analytics[i], &why);
		if (rc != HYDRO_OK)
			return hd_error_set(err, rc, "%s: analytics.%s: %s", d->config->path, a->name, why.text);
		show(d->detectors.list[i]);
	}
	return HYDRO_OK;
}

void daemon_close_analytics(struct hd_daemon *d)
{
	for (uint32_t i = 0; i < d->config->analytics_count; i++) {
		struct hydro_error err = {0};
		if (d->analytics[i] && hd_instance_stop(d->analytics[i], STOP_MS, &err) != HYDRO_OK)
			hd_log_error(HD_LOG_WARN, "plugin", "instance_did_not_drain", &err);
		hd_instance_free(&d->analytics[i]);
	}
	for (uint32_t i = 0; i < d->detectors.count; i++)
		hd_metrics_gauge_forget(d->detectors.list[i]);
	hd_detectors_done(&d->detectors);
}
