/* SPDX-License-Identifier: MIT */
/* Shared by the files of this folder. */
#ifndef HD_DAEMON_INTERNAL_H
#define HD_DAEMON_INTERNAL_H

#include "collect/wire.h"
#include "config/config.h"
#include "daemon/daemon.h"
#include "history/history.h"
#include "journal/journal.h"
#include "model/names.h"
#include "model/points.h"
#include "observe/log.h"
#include "observe/metrics.h"
#include "pipeline/detect.h"
#include "pipeline/latest.h"
#include "pipeline/pipeline.h"
#include "plugin/plugin.h"
#include "store/store.h"

struct hd_pipeline_link;
struct hd_scripts;
struct daemon_api;
struct daemon_filing;
struct hd_api_deps;
struct hd_health;

struct hd_daemon {
	const struct hd_daemon_options *options;
	struct hd_config *config;
	int lock_fd;
	struct hd_key key;
	bool seal_all;
	struct hd_names *names;
	struct hd_store *store;
	struct hd_points *points;
	struct hd_journal *journal;
	struct hd_history *history;
	struct hd_plugins *plugins;
	struct hd_instance *instances[HD_CONFIG_PROVIDERS_MAX];
	uint32_t instance_count;
	char instance_errors[HD_CONFIG_PROVIDERS_MAX][HYDRO_ERROR_TEXT_BYTES];
	struct hd_instance *analytics[HD_CONFIG_ANALYTICS_MAX]; /* NULL: could not be made, does not run */
	struct hd_detectors detectors; /* of all of them, in the same order */
	struct hd_pipeline_link *link;
	struct hd_derive *derive;
	struct hd_pipeline *pipeline;
	uint64_t recovered; /* records that the start ran again: 0 after an orderly end */
	struct hd_scripts *scripts;
	struct hd_net *net;
	struct hd_collect_wiring wiring;
	struct hd_collect *collect;
	struct daemon_api *api;
	struct daemon_filing *filing; /* NULL: this daemon does not file */
	struct hd_histogram *freshness;
	char *runner_path;
};

/* data.c: folder, lock, key, names, business database. */
int daemon_open_data(struct hd_daemon *d, struct hydro_error *err);
void daemon_close_data(struct hd_daemon *d);
/* record.c: journal and history, then the pipeline with its scripts; closed together. */
int daemon_open_record(struct hd_daemon *d, struct hydro_error *err);
int daemon_open_pipeline(struct hd_daemon *d, struct hydro_error *err);
void daemon_reload_pipelines(struct hd_daemon *d);
void daemon_close_record(struct hd_daemon *d);
/* providers.c: plugins, their instances, network, collector. */
/* Makes all instances as configured and frees them again. */
int daemon_check_plugins(struct hd_daemon *d, struct hydro_error *err);
int daemon_open_plugins(struct hd_daemon *d, struct hydro_error *err);
int daemon_open_collect(struct hd_daemon *d, struct hydro_error *err);
void daemon_close_collect(struct hd_daemon *d);
void daemon_close_plugins(struct hd_daemon *d);
/* analytics.c: instances of analytics plugins, for `detect` steps. */
int daemon_open_analytics(struct hd_daemon *d, struct hydro_error *err);
void daemon_close_analytics(struct hd_daemon *d);
/* filing.c: adapters, ledger, engine; nothing without the role dga or without adapters. */
int daemon_open_filing(struct hd_daemon *d, struct hydro_error *err);
/* Makes the adapters' instances and frees them again. */
int daemon_check_filing(struct hd_daemon *d, struct hydro_error *err);
void daemon_filing_deps(const struct hd_daemon *d, struct hd_api_deps *deps);
void daemon_filing_health(const struct hd_daemon *d, struct hd_health *ret);
/* Simulated clock: nothing is due; *ret_next_ms is lowered to when something is. */
bool daemon_filing_is_idle(const struct hd_daemon *d, int64_t *ret_next_ms);
void daemon_close_filing(struct hd_daemon *d);
/* serve.c: REST. */
int daemon_open_api(struct hd_daemon *d, struct hydro_error *err);
uint16_t daemon_api_port(const struct hd_daemon *d);
void daemon_close_api(struct hd_daemon *d);

/* Events of the parts, to the log; arg is the subsystem's name. */
void daemon_log_event(void *subsystem, uint32_t level, const char *event, const char *text);
/* "data_dir/name", allocated; NULL without memory. */
char *daemon_path(const struct hd_daemon *d, const char *name);

#endif
