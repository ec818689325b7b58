/* SPDX-License-Identifier: MIT */
/*
 * The daemon's configuration: `hydro.lua`, a sandboxed chunk that returns a table. env(name [, default]) and
 * secret_file(path) are there, the file system otherwise is not. Unknown keys, wrong types and values out of range are
 * refused with file, line, path of the key and what was expected. Read once, then immutable.
 */
#ifndef HD_CONFIG_CONFIG_H
#define HD_CONFIG_CONFIG_H

#include "base/buf.h"
#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

#define HD_CONFIG_FILE_BYTES_MAX (1u << 20)
#define HD_CONFIG_LIST_MAX 16u
#define HD_CONFIG_AUTO (-1) /* of a time that may be "auto" */
#define HD_CONFIG_PROVIDERS_MAX 64u
#define HD_CONFIG_ANALYTICS_MAX 32u
#define HD_CONFIG_ADAPTERS_MAX 16u

/* A provider instance: a plugin with options, under a name that points refer to. */
struct hd_config_provider {
	const char *name;
	const char *plugin;
	const cJSON *options;     /* object or NULL; checked against the plugin's rows when the instance is made */
	const char *isolation;    /* "none" or "process" */
	int64_t concurrency;      /* requests under way at once, per account */
	double rate;              /* requests a second, per account; 0 = no limit */
	int64_t timeout_ms;
};

/* An instance of an analytics plugin, under a name that `detect` steps refer to; or of a sink that files. */
struct hd_config_instance {
	const char *name;
	const char *plugin;
	const cJSON *options; /* as a provider's */
	bool isolated;        /* in a process of its own; of a sink that files */
};

struct hd_config {
	char *path;
	cJSON *root; /* owns all texts below */
	const char *data_dir;
	const char *key_file;
	const char *seal; /* "secrets" or "all" */
	const char *address;
	int64_t port;
	const char *ready_file; /* "" = none; gets the port once ready */
	const char *log_level;
	const char *log_format; /* "auto", "logfmt", "ecs" */
	int64_t workers;        /* 0 = one per core */
	int64_t http_threads;
	int64_t segment_bytes, journal_max_bytes, commit_ms, commit_bytes;
	int64_t merge_after_ms, merge_pending_bytes, month_after_ms;
	const char *pipeline_dir;
	bool pipeline_watch;
	const char *pipeline_edit; /* "write" or "refuse" */
	int64_t step_budget_us;
	int64_t memory_per_state_bytes;
	const char *runner;
	int64_t connections;
	int64_t checkpoint_ms, replay_records, collect_ahead_ms, collect_deep_ms; /* the last may be HD_CONFIG_AUTO */
	int64_t ahead_ms; /* a logger's time further ahead than this is flagged `clock` */
	const char *ca_file;
	const char *plugin_dirs[HD_CONFIG_LIST_MAX];
	uint32_t plugin_dir_count;
	const char *roles[HD_CONFIG_LIST_MAX];
	uint32_t role_count;
	struct hd_config_provider providers[HD_CONFIG_PROVIDERS_MAX];
	uint32_t provider_count;
	struct hd_config_instance analytics[HD_CONFIG_ANALYTICS_MAX];
	uint32_t analytics_count;
	struct hd_config_instance adapters[HD_CONFIG_ADAPTERS_MAX]; /* of filing; none = this daemon does not file */
	uint32_t adapter_count;
	int64_t filing_send_from_ms, filing_send_until_ms, filing_reserve_ms, filing_lease_ms, filing_timeout_ms, filing_look_again_ms, filing_amber_ms, filing_red_ms;
	int64_t filing_circuit_failures, filing_circuit_probe_ms, filing_block_works;
	bool filing_no_connection_is_unsent, filing_clock_sync;
	const char *filing_ca_file, *filing_proxy, *filing_mark_file;
};

/* Reads, runs and checks the file. [control] */
int hd_config_load(const char *path, struct hd_config **ret, struct hydro_error *err);
/* The same from text; `name` stands for the path in errors. */
int hd_config_parse(const char *name, const char *text, size_t len, struct hd_config **ret, struct hydro_error *err);
void hd_config_free(struct hd_config **config);
/* For HD_CLEANUP. */
void hd_cleanup_config(struct hd_config **config);
/* The configuration in force as JSON, without provider options (they may hold secrets). */
void hd_config_json(const struct hd_config *config, struct hd_buf *ret);
/* A setting as the table that checks it knows it: what references, manual pages and help are made of. All texts static. */
struct hd_config_setting {
	const char *path;     /* "listen.port", "providers.NAME.rate" */
	const char *type;     /* "text", "whole number", "true or false", "time", "size", "choice", "list", "table" */
	const char *fallback; /* as it would be written; "" = none */
	const char *choices;  /* " a b "; NULL unless a choice */
	double min, max;      /* of a number, of a time in ms, of a size in bytes; both 0 = not bounded */
	const char *doc;
};

/* The setting of a number from 0 on, in the order of the reference; false past the last one. [any] */
bool hd_config_setting_at(size_t index, struct hd_config_setting *ret);
/* The reference of all keys, as Markdown, made from the same table that checks them. */
void hd_config_reference(struct hd_buf *ret);
/* From a list of names the one nearest to text by edit distance, if near enough; else NULL. Shared by error texts. */
const char *hd_nearest_name(const char *text, const char *const *names, size_t count);

#endif
