/* SPDX-License-Identifier: MIT */
/* REST: the API over the parts, and what belongs to the scripts. */
#include "daemon/internal.h"

#include "api/wire.h"
#include "base/fs.h"
#include "pipeline/plan.h"
#include "pipeline/scripts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOP_DRAIN_MS 5000u

struct daemon_api {
	struct hd_daemon *daemon;
	struct hd_api_parts parts;
	struct hd_instance *instances[HD_CONFIG_PROVIDERS_MAX + HD_CONFIG_ANALYTICS_MAX]; /* those that run */
	void (*parts_health)(void *arg, struct hd_health *health);
	struct hd_auth *auth;
	struct hd_api *api;
	struct hd_http *http;
	bool listening;
};

static struct hd_daemon *daemon_of(void *arg)
{
	return ((struct hd_api_parts *)arg)->extra;
}

static int pipelines(void *arg, struct hd_buf *ret, struct hydro_error *err)
{
	return hd_scripts_list(daemon_of(arg)->scripts, ret, err);
}

static int pipeline_check(void *arg, const char *name, const char *text, size_t len, struct hd_buf *ret, struct hydro_error *err)
{
	/* A script that is wrong is a good answer to the question whether it is right. */
	int rc = hd_scripts_check(daemon_of(arg)->scripts, name, text, len, ret, err);
	return rc == HYDRO_E_CONFIG && ret->len ? HYDRO_OK : rc;
}

static int pipeline_get(void *arg, const char *name, uint32_t version, struct hd_buf *ret, char ret_hash[17], struct hydro_error *err)
{
	return hd_scripts_show(daemon_of(arg)->scripts, name, version, ret, ret_hash, err);
}

static int pipeline_put(void *arg, const char *name, const char *text, size_t len, const struct hd_scripts_change *change, struct hd_buf *ret,
			struct hydro_error *err)
{
	return hd_scripts_put(daemon_of(arg)->scripts, name, text, len, change, ret, err);
}

static int pipeline_reload(void *arg, const char *name, const struct hd_scripts_change *change, struct hd_buf *ret, struct hydro_error *err)
{
	return hd_scripts_reload(daemon_of(arg)->scripts, name, change, ret, err);
}

static int pipeline_rollback(void *arg, const char *name, uint32_t version, const struct hd_scripts_change *change, struct hd_buf *ret,
			     struct hydro_error *err)
{
	return hd_scripts_rollback(daemon_of(arg)->scripts, name, version, change, ret, err);
}

static int pipeline_versions(void *arg, const char *name, struct hd_buf *ret, struct hydro_error *err)
{
	return hd_scripts_versions(daemon_of(arg)->scripts, name, ret, err);
}

static int pipeline_dry_run(void *arg, const char *name, const char *text, size_t len, uint32_t point, int64_t from_ms, int64_t to_ms, struct hd_buf *ret,
			    struct hydro_error *err)
{
	return hd_scripts_replay(daemon_of(arg)->scripts, name, text, len, point, from_ms, to_ms, ret, err);
}

static int pipeline_dry_reading(void *arg, const char *name, const char *text, size_t len, uint32_t point, const hydro_raw *raws, uint32_t count,
				struct hd_buf *ret, struct hydro_error *err)
{
	return hd_scripts_dry_run(daemon_of(arg)->scripts, name, text, len, point, raws, count, ret, err);
}

static int pipeline_reprocess(void *arg, const char *name, uint32_t point, int64_t from_ms, int64_t to_ms, struct hd_buf *ret, struct hydro_error *err)
{
	struct hd_daemon *d = daemon_of(arg);
	struct hd_reprocess_report report;
	HD_CLEANUP(hd_cleanup_point) const struct hd_point *config = hd_points_get(d->points, point);
	if (!config || strcmp(hd_point_pipeline(config), name) != 0)
		return hd_error_set(err, HYDRO_E_CONFLICT, "the point's pipeline is not %.60s", name);
	int rc = hd_pipeline_reprocess(d->pipeline, point, from_ms, to_ms, &report, err);
	if (rc == HYDRO_OK)
		hd_buf_printf(ret, "{\"readings\":%u,\"revisions\":%u,\"unprocessed\":%u}", report.readings, report.revisions, report.unprocessed);
	return rc;
}

static int reprocess_start(void *arg, const char *name, int64_t from_ms, int64_t to_ms, struct hd_buf *ret, struct hydro_error *err)
{
	return hd_scripts_reprocess(daemon_of(arg)->scripts, name, from_ms, to_ms, ret, err);
}

static int reprocess_state(void *arg, const char *name, struct hd_buf *ret, struct hydro_error *err)
{
	return hd_scripts_reprocess_state(daemon_of(arg)->scripts, name, ret, err);
}

static int reprocess_cancel(void *arg, const char *name, struct hd_buf *ret, struct hydro_error *err)
{
	return hd_scripts_reprocess_cancel(daemon_of(arg)->scripts, name, ret, err);
}

static int pipeline_eval(void *arg, uint32_t point, const struct hd_scripts_eval *what, struct hd_buf *ret, struct hydro_error *err)
{
	return hd_scripts_eval(daemon_of(arg)->scripts, point, what, ret, err);
}

/* What the parts say, and the instances that did not start. */
static void health(void *arg, struct hd_health *ret)
{
	struct hd_daemon *d = daemon_of(arg);
	d->api->parts_health(arg, ret);
	for (uint32_t i = 0; i < d->instance_count; i++)
		if (!d->instances[i])
			hd_health_add(ret, HD_HEALTH_DEGRADED, d->config->providers[i].name, d->instance_errors[i]);
	for (uint32_t i = 0; i < d->config->analytics_count; i++)
		if (!d->analytics[i])
			hd_health_add(ret, HD_HEALTH_DEGRADED, d->config->analytics[i].name, "it brought the daemon down and is not run: its points go on unannotated");
	daemon_filing_health(d, ret);
}

static int ready(void *arg, struct hydro_error *err)
{
	struct hd_journal_status status;
	hd_journal_status(daemon_of(arg)->journal, &status);
	return status.error_code == HYDRO_OK ? HYDRO_OK : hd_error_set(err, HYDRO_E_AGAIN, "the journal cannot write: %s", status.error_text);
}

struct compile {
	struct hd_daemon *daemon;
	struct hydro_error *err;
};

/* Whether the steps that the script gave for a point make a plan. */
static int compile_plan(void *arg, const struct hd_spec *spec, struct hd_script *script)
{
	struct compile *compile = arg;
	struct hd_daemon *d = compile->daemon;
	struct hd_plan *plan = NULL;
	uint32_t generation = hd_names_find(d->names, HD_NAME_GENERATION, spec->script);
	int rc = hd_plan_compile(hd_pipeline_shapes(d->pipeline), spec, generation, script, &plan, NULL, compile->err);
	hd_plan_free(&plan);
	return rc;
}

/* A point runs only if its pipeline builds for it: refused at the door, not later in the night. */
static int check_point(void *arg, const struct hd_point_spec *spec, struct hydro_error *err)
{
	struct hd_daemon *d = daemon_of(arg);
	if (!spec->pipeline || !*spec->pipeline)
		return HYDRO_OK;
	struct hd_point *point = hd_point_make(spec, err);
	if (!point)
		return err ? err->code : HYDRO_E_NOMEM;
	struct compile compile = {d, err};
	int rc = hd_scripts_with_spec(d->scripts, spec->pipeline, NULL, 0, point, compile_plan, &compile, err);
	hd_point_unref(point);
	if (rc != HYDRO_E_NOTFOUND)
		return rc;
	char nearest[64];
	bool near = hd_scripts_nearest(d->scripts, spec->pipeline, nearest);
	return hd_error_set(err, HYDRO_E_CONFIG, "pipeline: there is no pipeline \"%.60s\"%s%s%s", spec->pipeline, near ? "; did you mean \"" : "",
			    near ? nearest : "", near ? "\"?" : "");
}

static int first_key(struct hd_daemon *d, struct hydro_error *err)
{
	char key[HD_AUTH_KEY_BYTES + 1];
	bool made;
	int rc = hd_auth_first_key(d->api->auth, key, &made, err);
	if (rc != HYDRO_OK || !made)
		return rc;
	if (d->options->admin_key_file) {
		size_t len = strlen(key);
		key[len] = '\n';
		rc = hd_fs_write_atomic(d->options->admin_key_file, key, len + 1, 0600, err);
		if (rc == HYDRO_OK)
			hd_log(HD_LOG_INFO, "auth", "admin_key_made", HD_S("file", d->options->admin_key_file));
	} else {
		(void)fprintf(stderr, "hydrod: first start: the admin API key is %s\nhydrod: it is shown this once; keep it\n", key);
	}
	explicit_bzero(key, sizeof key);
	return rc;
}

static int start_http(struct hd_daemon *d, struct hydro_error *err)
{
	struct hd_http_config config = {.address = d->config->address, .port = (uint16_t)d->config->port, .threads = (uint32_t)d->config->http_threads,
					.spool_dir = d->config->data_dir};
	hd_api_serve(d->api->api, &config);
	return hd_http_start(&config, &d->api->http, err);
}

int daemon_open_api(struct hd_daemon *d, struct hydro_error *err)
{
	struct daemon_api *a = d->api = calloc(1, sizeof *a);
	if (!a)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the API");
	a->daemon = d;
	size_t running = 0;
	for (uint32_t i = 0; i < d->instance_count; i++)
		if (d->instances[i])
			a->instances[running++] = d->instances[i];
	for (uint32_t i = 0; i < d->config->analytics_count; i++)
		if (d->analytics[i])
			a->instances[running++] = d->analytics[i];
	a->parts = (struct hd_api_parts){.names = d->names, .collect = d->collect, .pipeline = d->pipeline, .journal = d->journal, .history = d->history,
					 .plugins = d->plugins, .points = d->points, .instances = a->instances, .instance_count = running, .config = d->config, .extra = d};
	struct hd_api_deps deps = {.version = HYDRO_VERSION, .store = d->store, .points = d->points, .names = d->names};
	int rc = hd_auth_open(d->store, &a->auth, err);
	if (rc == HYDRO_OK)
		rc = first_key(d, err);
	if (rc != HYDRO_OK)
		return rc;
	deps.auth = a->auth;
	daemon_filing_deps(d, &deps);
	hd_api_wire(&a->parts, &deps);
	a->parts_health = deps.health;
	deps.health = health;
	deps.checks.point = check_point;
	deps.ready = ready;
	deps.pipelines = pipelines;
	deps.pipeline_check = pipeline_check;
	deps.pipeline_get = pipeline_get;
	deps.pipeline_put = pipeline_put;
	deps.pipeline_reload = pipeline_reload;
	deps.pipeline_dry_run = pipeline_dry_run;
	deps.pipeline_reprocess = pipeline_reprocess;
	deps.pipeline_eval = pipeline_eval;
	deps.pipeline_dry_reading = pipeline_dry_reading;
	deps.reprocess_start = reprocess_start;
	deps.reprocess_state = reprocess_state;
	deps.reprocess_cancel = reprocess_cancel;
	deps.pipeline_versions = pipeline_versions;
	deps.pipeline_rollback = pipeline_rollback;
	rc = hd_api_new(&deps, &a->api, err);
	if (rc == HYDRO_OK)
		rc = hd_latest_listen(hd_pipeline_latest(d->pipeline), hd_api_on_batch, a->api, err);
	a->listening = rc == HYDRO_OK;
	return rc == HYDRO_OK ? start_http(d, err) : rc;
}

uint16_t daemon_api_port(const struct hd_daemon *d)
{
	return hd_http_port(d->api->http);
}

void daemon_close_api(struct hd_daemon *d)
{
	struct daemon_api *a = d->api;
	if (!a)
		return;
	if (a->http)
		(void)hd_http_drain(a->http, STOP_DRAIN_MS);
	hd_http_stop(&a->http);
	if (a->listening)
		hd_latest_unlisten(hd_pipeline_latest(d->pipeline), hd_api_on_batch, a->api);
	if (a->api)
		hd_api_unwire(&a->parts);
	hd_api_free(&a->api);
	hd_auth_close(&a->auth);
	free(a);
	d->api = NULL;
}
