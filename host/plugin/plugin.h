/* SPDX-License-Identifier: MIT */
/*
 * The plugin host: finds plugins, probes them in a child, maps a private copy of what was probed, and runs instances.
 * Functions are [control] (one thread at a time) unless said otherwise. No lock is held while a plugin is called.
 */
#ifndef HD_PLUGIN_PLUGIN_H
#define HD_PLUGIN_PLUGIN_H

#include "plugin/crumb.h"
#include "plugin/options.h"

struct cJSON;
struct hd_names;
struct hd_plugins;
struct hd_instance;

#define HD_PLUGIN_PROBE_MS 2000u
#define HD_PLUGIN_CALL_MS 10000u
#define HD_PLUGIN_HANG_MS 30000u
#define HD_PLUGIN_INSTANCES_MAX 512u

struct hd_plugins_config {
	const char *const *dirs; /* searched in order; of two plugins of one name the first wins */
	size_t dir_count;
	const char *runner_path; /* hydro-runner */
	const char *crumb_path;  /* in the data directory; crash counts are kept in "<crumb_path>.crashes". NULL = neither */
	struct hd_names *names;  /* borrowed until close */
	/* Finished lines of plugins, already rate-limited; `instance` names who. NULL = dropped. [any] */
	void (*log)(void *arg, uint32_t level, const char *instance, const char *text);
	void *log_arg;
	uint32_t probe_ms; /* time a probe may take; 0 = HD_PLUGIN_PROBE_MS */
	uint32_t hang_ms;  /* a call on a worker that takes longer aborts the daemon on purpose; 0 = HD_PLUGIN_HANG_MS */
	uint32_t call_ms;  /* time create, configure, destroy and stop may take; 0 = HD_PLUGIN_CALL_MS */
};

#define HD_PLUGIN_AVAILABLE 1u /* probed well, not mapped */
#define HD_PLUGIN_LOADED 2u    /* mapped */
#define HD_PLUGIN_REFUSED 3u   /* `refusal` says why */

struct hd_plugin_info {
	char path[512];
	char name[HD_PLUGIN_NAME_BYTES_MAX + 1]; /* "" when refused before a name was known */
	char version[64];
	uint32_t kind; /* HYDRO_KIND_*, 0 when refused */
	char summary[256];
	char licence[64];
	char hash[65]; /* BLAKE2b-256 of the file, hexadecimal */
	uint32_t abi_minor_needed;
	uint32_t capabilities;
	uint32_t state; /* HD_PLUGIN_* */
	uint32_t instances;
	/* REFUSED: why. Otherwise "" or why the newer file on disk is refused while the one loaded before goes on. */
	char refusal[HYDRO_ERROR_TEXT_BYTES];
};

/* Reads the crumbs of the last run, counts crashes, then scans. Plugins refused are no failure. HYDRO_E_IO, HYDRO_E_CONFIG
 * without a runner, HYDRO_E_NOMEM. */
int hd_plugins_open(const struct hd_plugins_config *cfg, struct hd_plugins **ret, struct hydro_error *err);
/* Looks through the folders again: new files are probed, changed ones become what new instances are made from, instances
 * that run are not touched. A folder that cannot be read is an error; the others are still scanned. */
int hd_plugins_scan(struct hd_plugins *plugins, struct hydro_error *err);
/* All instances must have been freed. */
void hd_plugins_close(struct hd_plugins **plugins);
/* One entry per file. [any] */
size_t hd_plugins_count(struct hd_plugins *plugins);
bool hd_plugins_get(struct hd_plugins *plugins, size_t i, struct hd_plugin_info *ret);
/* The entry of a plugin's name that is not refused; HYDRO_E_NOTFOUND names the folders searched and, if a refused file would
 * have been it, why. [any] */
int hd_plugins_find(struct hd_plugins *plugins, const char *name, struct hd_plugin_info *ret, struct hydro_error *err);
/* The descriptor of a plugin's present version; maps it if need be. Valid until hd_plugins_scan or hd_plugins_close. */
int hd_plugins_descriptor(struct hd_plugins *plugins, const char *name, const struct hd_descriptor **ret, struct hydro_error *err);

/* ---- crashes ---------------------------------------------------------------------------------------------------------------- */

#define HD_CRASH_NONE 0u
#define HD_CRASH_ISOLATE 1u    /* crashed once in process: from now on in a process of its own */
#define HD_CRASH_QUARANTINE 2u /* crashed again: not started */

/* State of an instance's name with this version of its plugin, and a sentence for people. A new version starts at NONE. */
uint32_t hd_plugins_crash_state(struct hd_plugins *plugins, const char *instance_name, char ret_text[256]);
/* An operator's act: forgets the crashes of an instance. HYDRO_E_NOTFOUND when there are none. */
int hd_plugins_pardon(struct hd_plugins *plugins, const char *instance_name, struct hydro_error *err);

/* ---- instances ---------------------------------------------------------------------------------------------------------------- */

#define HD_ISOLATION_AUTO 0u    /* in process, unless it has crashed there */
#define HD_ISOLATION_PROCESS 1u /* in hydro-runner: a crash or hang harms this instance alone (providers over HTTP, sinks that file) */

/*
 * Checks the options (an object, or NULL), maps the plugin and creates. HYDRO_E_CONFIG for options; HYDRO_E_NOTFOUND for an
 * unknown plugin; HYDRO_E_EXISTS for a second instance of a name; HYDRO_E_CONFLICT when quarantined; HYDRO_E_TIMEOUT when
 * create does not return in time (its thread is left behind, the plugin stays mapped); else what create failed with.
 */
int hd_instance_create(struct hd_plugins *plugins, const char *instance_name, const char *plugin_name, const struct cJSON *options,
		       struct hd_instance **ret, struct hydro_error *err);
int hd_instance_create_isolated(struct hd_plugins *plugins, const char *instance_name, const char *plugin_name, const struct cJSON *options,
				uint32_t isolation, struct hd_instance **ret, struct hydro_error *err);
/* New values for the RELOADABLE options; others must be as they were (HYDRO_E_CONFLICT names the key: make a new instance).
 * On failure the old values hold. */
int hd_instance_configure(struct hd_instance *instance, const struct cJSON *options, struct hydro_error *err);
/* drain within deadline_ms, then stop. HYDRO_E_TIMEOUT when it did not drain in time: stopped all the same. Nobody may call
 * the instance any more. */
int hd_instance_stop(struct hd_instance *instance, uint32_t deadline_ms, struct hydro_error *err);
/* Stops if not stopped, destroys, frees, sets the pointer to NULL. Options made with its descriptor must be gone. */
void hd_instance_free(struct hd_instance **instance);

const char *hd_instance_name(const struct hd_instance *instance);              /* [any] */
const char *hd_instance_plugin(const struct hd_instance *instance);            /* [any] */
const char *hd_instance_version(const struct hd_instance *instance);           /* [any] */
bool hd_instance_is_isolated(const struct hd_instance *instance);              /* [any] */
/* For options of accounts and points; valid as long as the instance. [any] */
const struct hd_descriptor *hd_instance_descriptor(const struct hd_instance *instance);
/* The instance's options, secrets as "***"; to be freed by cJSON_Delete. [any] */
struct cJSON *hd_instance_options_json(const struct hd_instance *instance);

/* What callers of a plugin hold: valid until hd_instance_free. A function the plugin lacks is NULL in `ops`. Around each call
 * stand hd_crumb_enter(crumb, point id) and hd_crumb_leave(). */
struct hd_provider {
	hydro_provider_ops ops;
	void *self;
	const char *instance, *plugin, *version;
	uint32_t crumb;
};

struct hd_sink {
	hydro_sink_ops ops;
	void *self;
	const char *instance, *plugin, *version;
	uint32_t crumb;
};

struct hd_analytics {
	hydro_analytics_ops ops;
	void *self;
	const char *instance, *plugin, *version;
	uint32_t crumb;
};

/* NULL for an instance of another kind. [any] */
const struct hd_provider *hd_instance_provider(const struct hd_instance *instance);
const struct hd_sink *hd_instance_sink(const struct hd_instance *instance);
const struct hd_analytics *hd_instance_analytics(const struct hd_instance *instance);

#endif
