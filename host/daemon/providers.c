/* SPDX-License-Identifier: MIT */
#include "daemon/internal.h"

#include "base/fs.h"
#include "store/accounts.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STOP_MS 5000u
#define DRAIN_MS 10000
#define DEEP_POINTS_MAX 200000u /* as config.c says */

/* hydro-runner as configured, else beside this program. */
static char *find_runner(const struct hd_daemon *d)
{
	char self[4096];
	if (d->config->runner[0])
		return strdup(d->config->runner);
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n <= 0)
		return NULL;
	self[n] = '\0';
	return hd_fs_join(dirname(self), "hydro-runner");
}

static void plugin_log(void *arg, uint32_t level, const char *instance, const char *text)
{
	(void)arg;
	hd_log(level, "plugin", "plugin_says", HD_S("instance", instance), HD_S("message", text));
}

static int open_catalog(struct hd_daemon *d, const char *crumbs, struct hydro_error *err)
{
	d->runner_path = find_runner(d);
	if (!d->runner_path)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for paths");
	struct hd_plugins_config config = {
		.dirs = d->config->plugin_dirs, .dir_count = d->config->plugin_dir_count, .runner_path = d->runner_path, .crumb_path = crumbs,
		.names = d->names, .log = plugin_log,
	};
	int rc = hd_plugins_open(&config, &d->plugins, err);
	if (rc != HYDRO_OK)
		return hd_error_while(err, "looking for plugins");
	for (size_t i = 0; i < hd_plugins_count(d->plugins); i++) {
		struct hd_plugin_info info;
		if (hd_plugins_get(d->plugins, i, &info) && info.state == HD_PLUGIN_REFUSED)
			hd_log(HD_LOG_WARN, "plugin", "plugin_refused", HD_S("file", info.path), HD_S("message", info.refusal));
	}
	return HYDRO_OK;
}

static int create_instances(struct hd_daemon *d, struct hydro_error *err)
{
	int rc;
	for (uint32_t i = 0; i < d->config->provider_count; i++) {
		const struct hd_config_provider *p = &d->config->providers[i];
		uint32_t isolation = strcmp(p->isolation, "process") == 0 ? HD_ISOLATION_PROCESS : HD_ISOLATION_AUTO;
		struct hydro_error why = {0};
		char text[256];
		if (hd_plugins_crash_state(d->plugins, p->name, text) != HD_CRASH_NONE)
			hd_log(HD_LOG_ERROR, "plugin", "plugin_crashed_before", HD_S("instance", p->name), HD_S("message", text));
		rc = hd_instance_create_isolated(d->plugins, p->name, p->plugin, p->options, isolation, &d->instances[i], &why);
		d->instance_count = i + 1;
		if (rc == HYDRO_OK)
			continue;
		/* One bad provider harms itself alone once the daemon has run; a bad configuration starts nothing. */
		if (rc != HYDRO_E_CONFLICT)
			return hd_error_set(err, rc, "%s: providers.%s: %s", d->config->path, p->name, why.text);
		(void)snprintf(d->instance_errors[i], sizeof d->instance_errors[i], "%s", why.text);
		hd_log_error(HD_LOG_ERROR, "plugin", "instance_not_started", &why);
	}
	return HYDRO_OK;
}

int daemon_open_plugins(struct hd_daemon *d, struct hydro_error *err)
{
	HD_CLEANUP(hd_cleanup_free) char *crumbs = daemon_path(d, "crumbs");
	if (!crumbs)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for paths");
	int rc = open_catalog(d, crumbs, err);
	if (rc == HYDRO_OK)
		rc = create_instances(d, err);
	return rc == HYDRO_OK ? daemon_open_analytics(d, err) : rc;
}

int daemon_check_plugins(struct hd_daemon *d, struct hydro_error *err)
{
	int rc = open_catalog(d, NULL, err);
	if (rc == HYDRO_OK)
		rc = create_instances(d, err);
	if (rc == HYDRO_OK)
		rc = daemon_open_analytics(d, err);
	if (rc == HYDRO_OK)
		rc = daemon_check_filing(d, err);
	daemon_close_plugins(d);
	return rc;
}

void daemon_close_plugins(struct hd_daemon *d)
{
	daemon_close_analytics(d);
	for (uint32_t i = 0; i < d->instance_count; i++) {
		struct hydro_error err = {0};
		if (d->instances[i] && hd_instance_stop(d->instances[i], STOP_MS, &err) != HYDRO_OK)
			hd_log_error(HD_LOG_WARN, "plugin", "instance_did_not_drain", &err);
		hd_instance_free(&d->instances[i]);
	}
	hd_plugins_close(&d->plugins);
	free(d->runner_path);
}

static int take_account(void *arg, const struct hd_store_account *account, struct hydro_error *err)
{
	struct hd_collect_account *ret = arg;
	ret->version = account->version;
	ret->options = strdup(account->options ? account->options : "{}");
	return ret->options ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOMEM, "no memory for an account");
}

static int look_up_account(void *arg, uint32_t number, struct hd_collect_account *ret, struct hydro_error *err)
{
	struct hd_daemon *d = arg;
	return hd_store_account_get(d->store, NULL, number, true, take_account, ret, err);
}

static bool is_idle(void *arg, int64_t *ret_next_ms)
{
	struct hd_daemon *d = arg;
	struct hd_pipeline_status pipeline;
	struct hd_journal_status journal;
	hd_pipeline_status(d->pipeline, UINT32_MAX, &pipeline);
	hd_journal_status(d->journal, &journal);
	return pipeline.queued == 0 && journal.queued == 0 && daemon_filing_is_idle(d, ret_next_ms);
}

/* As the collector wants it: 0 = its default, negative = never. Of a minute's logger a look asks each reading twice more. */
static int64_t deep_ms(const struct hd_daemon *d)
{
	int64_t ms = d->config->collect_deep_ms;
	if (ms != HD_CONFIG_AUTO)
		return ms ? ms : -1;
	if (hd_points_count(d->points) <= DEEP_POINTS_MAX)
		return 0;
	hd_log(HD_LOG_INFO, "collect", "deep_look_off", HD_S("message", "with so many points the last day is not asked again twice a day; collect.deep asks for it"));
	return -1;
}

int daemon_open_collect(struct hd_daemon *d, struct hydro_error *err)
{
	struct hd_net_config net = {.connections_max = (uint32_t)d->config->connections, .ca_file = d->config->ca_file[0] ? d->config->ca_file : NULL};
	struct hd_collect_provider providers[HD_CONFIG_PROVIDERS_MAX];
	uint32_t count = 0;
	int rc = hd_net_open(&net, &d->net, err);
	for (uint32_t i = 0; rc == HYDRO_OK && i < d->instance_count; i++) {
		const struct hd_config_provider *c = &d->config->providers[i];
		if (!d->instances[i])
			continue;
		struct hd_collect_provider *to = &providers[count];
		if (!hd_collect_wire_provider(d->instances[i], to))
			continue;
		to->concurrency = (uint32_t)c->concurrency;
		to->timeout_ms = (uint32_t)c->timeout_ms;
		to->rate = c->rate;
		count++;
	}
	if (rc != HYDRO_OK)
		return rc;
	struct hd_collect_config config = {
		.ahead_ms = d->config->collect_ahead_ms ? d->config->collect_ahead_ms : -1, .deep_ms = deep_ms(d), .net = d->net, .points = d->points, .providers = providers, .provider_count = count, .in_flight_max = (uint32_t)d->config->connections,
		.sim_until_ms = d->options->until_ms, .sim_step_ms = d->options->step_ms,
		.skew_ms = HD_MAX(d->config->ahead_ms, 1), .after_crash = d->recovered > 0,
	};
	d->wiring = (struct hd_collect_wiring){.pipeline = d->pipeline, .names = d->names, .account = look_up_account, .account_arg = d, .idle = is_idle, .idle_arg = d};
	hd_collect_wire(&d->wiring, &config.ops);
	return hd_collect_open(&config, &d->collect, err);
}

void daemon_close_collect(struct hd_daemon *d)
{
	struct hydro_error err = {0};
	if (d->collect && hd_collect_drain(d->collect, DRAIN_MS, &err) != HYDRO_OK)
		hd_log_error(HD_LOG_WARN, "collect", "polls_cancelled", &err);
	hd_collect_close(&d->collect);
	hd_net_close(&d->net);
}
