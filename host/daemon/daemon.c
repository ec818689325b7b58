/* SPDX-License-Identifier: MIT */
#include "daemon/internal.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/thread.h"
#include "daemon/notify.h"
#include "store/points.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <poll.h>
#include <unistd.h>

#define TICK_MS 500
#define HANG_NS (30 * HD_NS_PER_S)

void daemon_log_event(void *subsystem, uint32_t level, const char *event, const char *text)
{
	hd_log(level, subsystem, event, HD_S("message", text));
}

static int failed(const struct hydro_error *err)
{
	(void)fprintf(stderr, "hydrod: %s\n", err->text);
	return 1;
}

/* As many descriptors as the limit allows: connections, segments and databases need them. */
static void raise_limits(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int load_config(struct hd_daemon *d, struct hydro_error *err)
{
	int rc = hd_config_load(d->options->config_path, &d->config, err);
	if (rc != HYDRO_OK)
		return rc;
	uint32_t level = HD_LOG_INFO;
	(void)hd_log_level_parse(d->config->log_level, &level);
	const char *format = d->config->log_format;
	hd_log_setup(level, strcmp(format, "ecs") == 0 ? HD_LOG_ECS : strcmp(format, "logfmt") == 0 ? HD_LOG_LOGFMT : HD_LOG_AUTO);
	return HYDRO_OK;
}

struct load {
	struct hd_daemon *d;
	int rc;
	struct hydro_error err;
};

static void *load_points(void *arg)
{
	struct load *load = arg;
	load->rc = hd_store_points_load(load->d->store, load->d->points, &load->err);
	return NULL;
}

/* Beside what does not need the points: plugins are waited for, the journal is read. */
static int open_beside_points(struct hd_daemon *d, struct hydro_error *err)
{
	struct load load = {.d = d, .err = {.struct_size = sizeof load.err}};
	pthread_t thread;
	int rc = hd_thread_start(&thread, HD_ROLE_ANY, "points", load_points, &load, err);
	if (rc != HYDRO_OK)
		return rc;
	rc = daemon_open_plugins(d, err);
	if (rc == HYDRO_OK)
		rc = daemon_open_record(d, err);
	(void)pthread_join(thread, NULL);
	if (rc != HYDRO_OK || load.rc == HYDRO_OK)
		return rc;
	return hd_error_set(err, load.rc, "%s", load.err.text);
}

static int open_all(struct hd_daemon *d, struct hydro_error *err)
{
	int rc = daemon_open_data(d, err);
	if (rc == HYDRO_OK)
		rc = open_beside_points(d, err);
	if (rc == HYDRO_OK)
		rc = daemon_open_pipeline(d, err);
	if (rc == HYDRO_OK)
		rc = daemon_open_filing(d, err);
	if (rc == HYDRO_OK)
		rc = daemon_open_collect(d, err);
	return rc == HYDRO_OK ? daemon_open_api(d, err) : rc;
}

static void close_all(struct hd_daemon *d)
{
	daemon_close_api(d);
	daemon_close_collect(d);
	daemon_close_filing(d);
	daemon_close_record(d);
	daemon_close_plugins(d);
	daemon_close_data(d);
	hd_config_free(&d->config);
}

static void tell_ready(struct hd_daemon *d)
{
	struct hydro_error err = {0};
	char port[16];
	int len = snprintf(port, sizeof port, "%u\n", daemon_api_port(d));
	hd_log(HD_LOG_INFO, "daemon", "ready", HD_S("address", d->config->address), HD_I("port", daemon_api_port(d)), HD_I("points", hd_points_count(d->points)));
	if (d->config->ready_file[0] && hd_fs_write_atomic(d->config->ready_file, port, (size_t)len, 0644, &err) != HYDRO_OK)
		hd_log_error(HD_LOG_WARN, "daemon", "ready_file_not_written", &err);
	daemon_notify("READY=1");
}

static void reload(struct hd_daemon *d)
{
	struct hydro_error err = {0};
	daemon_notify("RELOADING=1");
	if (hd_plugins_scan(d->plugins, &err) != HYDRO_OK)
		hd_log_error(HD_LOG_ERROR, "plugin", "scan_failed", &err);
	daemon_reload_pipelines(d);
	daemon_notify("READY=1");
}

/* A plugin that never returns is the daemon's end on purpose: after the restart it runs isolated. */
static void check_hung(void)
{
	struct hd_crumb_where where;
	if (hd_crumbs_check_hung(hd_clock_real_ns(), HANG_NS, &where) == 0)
		return;
	hd_log(HD_LOG_ERROR, "plugin", "plugin_hung", HD_S("instance", where.instance), HD_S("plugin", where.plugin), HD_S("message", "the daemon ends and starts again without it in process"));
	hd_crumbs_abort_hung();
}

static void wait_for_end(struct hd_daemon *d, int signals)
{
	int64_t pinged = 0, ping_every = daemon_watchdog_ns();
	for (;;) {
		struct pollfd ready = {.fd = signals, .events = POLLIN};
		int n = poll(&ready, 1, TICK_MS);
		struct signalfd_siginfo info;
		if (n > 0 && read(signals, &info, sizeof info) == (ssize_t)sizeof info) {
			if (info.ssi_signo != SIGHUP) {
				hd_log(HD_LOG_INFO, "daemon", "stopping", HD_S("signal", info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM"));
				daemon_notify("STOPPING=1");
				return;
			}
			reload(d);
		}
		check_hung();
		int64_t now = hd_clock_real_ns();
		if (ping_every && now - pinged > ping_every / 2) {
			daemon_notify("WATCHDOG=1");
			pinged = now;
		}
	}
}

static int check_only(struct hd_daemon *d, struct hydro_error *err)
{
	struct hd_names *names = NULL;
	int rc = hd_names_open(NULL, &names, err);
	d->names = names;
	if (rc == HYDRO_OK)
		rc = daemon_check_plugins(d, err);
	hd_names_close(&d->names);
	return rc;
}

int hd_daemon_run(const struct hd_daemon_options *options)
{
	struct hd_daemon *d = calloc(1, sizeof *d);
	struct hydro_error err = {0};
	sigset_t set;
	if (!d)
		return 1;
	d->options = options;
	d->lock_fd = -1;
	hd_thread_set_role(HD_ROLE_CONTROL);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	raise_limits();
	int rc = sodium_init() < 0 ? hd_error_set(&err, HYDRO_E_FATAL, "libsodium does not start") : load_config(d, &err);
	if (rc == HYDRO_OK && options->check) {
		rc = check_only(d, &err);
		if (rc == HYDRO_OK)
			(void)printf("%s: good\n", options->config_path);
	} else if (rc == HYDRO_OK) {
		HD_CLEANUP(hd_cleanup_fd) int signals = signalfd(-1, &set, SFD_CLOEXEC);
		rc = open_all(d, &err);
		if (rc == HYDRO_OK) {
			tell_ready(d);
			wait_for_end(d, signals);
		}
		close_all(d);
		if (rc == HYDRO_OK)
			hd_log(HD_LOG_INFO, "daemon", "stopped", HD_S("message", "all that was taken is on disk"));
	}
	hd_config_free(&d->config);
	free(d);
	return rc == HYDRO_OK ? 0 : failed(&err);
}
