/* SPDX-License-Identifier: MIT */
#include "daemon/internal.h"

#include "base/clock.h"
#include "pipeline/derive.h"
#include "pipeline/link.h"
#include "pipeline/scripts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRAIN_MS 20000

static const double freshness_bounds[] = {0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30};

/* Answer received → visible over REST: the values are in `latest` once the link has passed the batch on. */
static void on_synced(void *arg, struct hd_batch *batch)
{
	struct hd_daemon *d = arg;
	int64_t received = batch->received_ns;
	hd_pipeline_link_synced(d->link, batch);
	if (received)
		hd_histogram_observe(d->freshness, (double)(hd_clock_real_ns() - received) / 1e9);
}

static double freshness_p99(void *arg)
{
	return hd_histogram_quantile(((struct hd_daemon *)arg)->freshness, 0.99);
}

static double journal_synced_lsn(void *arg)
{
	struct hd_journal_status status;
	hd_journal_status(((struct hd_daemon *)arg)->journal, &status);
	return (double)status.synced_lsn;
}

static double journal_bytes(void *arg)
{
	struct hd_journal_status status;
	hd_journal_status(((struct hd_daemon *)arg)->journal, &status);
	return (double)status.bytes;
}

static double journal_stuck(void *arg)
{
	struct hd_journal_status status;
	hd_journal_status(((struct hd_daemon *)arg)->journal, &status);
	return status.error_code != HYDRO_OK;
}

static double journal_written(void *arg)
{
	struct hd_journal_status status;
	hd_journal_status(((struct hd_daemon *)arg)->journal, &status);
	return (double)status.written_bytes;
}

#define HISTORY_GAUGE(field)                                                                   \
	static double history_##field(void *arg)                                               \
	{                                                                                      \
		struct hd_history_status status;                                               \
		hd_history_status(((struct hd_daemon *)arg)->history, &status);                \
		return (double)status.field;                                                   \
	}
HISTORY_GAUGE(merged_lsn)
HISTORY_GAUGE(written_bytes)
HISTORY_GAUGE(bytes_waiting)
HISTORY_GAUGE(bytes)
HISTORY_GAUGE(months_waiting)
HISTORY_GAUGE(month_point)
HISTORY_GAUGE(month_chunks)
HISTORY_GAUGE(month_points_by_days)

static double history_month(void *arg)
{
	struct hd_history_status status;
	hd_history_status(((struct hd_daemon *)arg)->history, &status);
	return (double)status.month_ms / 1000;
}

static double history_last_merge(void *arg)
{
	struct hd_history_status status;
	hd_history_status(((struct hd_daemon *)arg)->history, &status);
	return (double)status.last_merge_ns / 1e9;
}

#define PIPELINE_GAUGE(field)                                                                  \
	static double pipeline_##field(void *arg)                                              \
	{                                                                                      \
		struct hd_pipeline_status status;                                              \
		hd_pipeline_status(((struct hd_daemon *)arg)->pipeline, UINT32_MAX, &status);  \
		return (double)status.field;                                                   \
	}
PIPELINE_GAUGE(readings)
PIPELINE_GAUGE(samples)
PIPELINE_GAUGE(dropped)
PIPELINE_GAUGE(revisions)
PIPELINE_GAUGE(late)
PIPELINE_GAUGE(unprocessed)
PIPELINE_GAUGE(overruns)
PIPELINE_GAUGE(steps_off)
PIPELINE_GAUGE(waits)
PIPELINE_GAUGE(state_bytes)
PIPELINE_GAUGE(state_behind)
PIPELINE_GAUGE(queued)

static const struct { const char *name, *help; double (*fn)(void *arg); } gauges[] = {
	{"hydro_readings_total", "Distinct readings taken.", pipeline_readings},
	{"hydro_measurements_total", "Measurements given to the journal, revisions too.", pipeline_samples},
	{"hydro_readings_dropped_total", "Readings equal to what was known.", pipeline_dropped},
	{"hydro_revisions_total", "Revisions of known readings.", pipeline_revisions},
	{"hydro_readings_late_total", "Readings older than their point's newest.", pipeline_late},
	{"hydro_unprocessed_total", "Readings kept raw because the pipeline did not finish.", pipeline_unprocessed},
	{"hydro_step_overruns_total", "Lua steps stopped over their budget.", pipeline_overruns},
	{"hydro_steps_off", "Lua steps of points that are switched off after three overruns.", pipeline_steps_off},
	{"hydro_pipeline_waits_total", "Times a worker waited for the journal.", pipeline_waits},
	{"hydro_state_written_bytes_total", "Bytes of step state written.", pipeline_state_bytes},
	{"hydro_state_behind_records", "Records that a start after a crash would run again.", pipeline_state_behind},
	{"hydro_journal_written_bytes_total", "Bytes written to the journal: batches, padding, zero fill, indexes.", journal_written},
	{"hydro_pipeline_jobs_waiting", "Jobs waiting for a worker.", pipeline_queued},
	{"hydro_journal_synced_lsn", "Highest durable record of the journal.", journal_synced_lsn},
	{"hydro_journal_bytes", "Bytes of all journal files.", journal_bytes},
	{"hydro_journal_stuck", "1 while the journal cannot write.", journal_stuck},
	{"hydro_history_merged_lsn", "Everything up to it is in history.", history_merged_lsn},
	{"hydro_history_written_bytes_total", "Bytes written to history.db and its log.", history_written_bytes},
	{"hydro_history_merge_seconds", "How long the last merge into history took; 0 = none since the start.", history_last_merge},
	{"hydro_history_waiting_bytes", "Bytes of sealed journal segments that are not merged into history.", history_bytes_waiting},
	{"hydro_history_bytes", "Bytes of history.db with its log.", history_bytes},
	{"hydro_history_months_waiting", "Months that are over and not merged yet, or have much that came late.", history_months_waiting},
	{"hydro_history_month_seconds", "Start of the month being merged, as Unix time; 0 = none.", history_month},
	{"hydro_history_month_point", "Points of that month up to which it is merged.", history_month_point},
	{"hydro_history_month_chunks_total", "Months of points merged into one chunk.", history_month_chunks},
	{"hydro_history_month_points_by_days_total", "Months of points left in day chunks, being large or damaged.", history_month_points_by_days},
	{"hydro_freshness_p99_seconds", "99th percentile of answer received to visible, to the bucket.", freshness_p99},
};

/* A bounded journal must not come to its bound while it waits to be merged. */
static uint64_t merge_pending(const struct hd_config *c)
{
	uint64_t pending = (uint64_t)c->merge_pending_bytes, most = (uint64_t)c->journal_max_bytes / 2;
	return most ? HD_MIN(pending, most) : pending;
}

int daemon_open_record(struct hd_daemon *d, struct hydro_error *err)
{
	HD_CLEANUP(hd_cleanup_free) char *journal_dir = daemon_path(d, "journal");
	HD_CLEANUP(hd_cleanup_free) char *history_dir = daemon_path(d, "history");
	if (!journal_dir || !history_dir)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for paths");
	d->freshness = hd_metrics_histogram("hydro_freshness_seconds", "Answer received to visible over REST.", "", freshness_bounds, HD_ARRAY_LEN(freshness_bounds));
	const struct hd_config *c = d->config;
	if (hd_pipeline_link_new(&d->link) != HYDRO_OK)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the pipeline");
	struct hd_journal_config journal = {
		.dir = journal_dir, .segment_bytes = (uint64_t)c->segment_bytes, .max_bytes = (uint64_t)c->journal_max_bytes,
		.commit_ms = c->commit_ms ? (uint32_t)c->commit_ms : HD_JOURNAL_COMMIT_NOW, .commit_bytes = (uint32_t)c->commit_bytes,
		.spares = (uint32_t)HD_MIN(merge_pending(c) / (uint64_t)c->segment_bytes + 4, UINT64_C(1000)), /* what a merge releases at once */
		.seal = d->seal_all ? &d->key : NULL, .synced = on_synced, .synced_arg = d, .event = daemon_log_event, .event_arg = (void *)(uintptr_t)"journal",
	};
	int rc = hd_journal_open(&journal, &d->journal, err);
	if (rc != HYDRO_OK)
		return hd_error_while(err, "opening the journal");
	struct hd_history_config history = {
		.dir = history_dir, .journal = d->journal, .seal = d->seal_all ? &d->key : NULL, .merge_after_ms = c->merge_after_ms,
		.merge_pending = merge_pending(c), .month_after_ms = c->month_after_ms,
		.event = daemon_log_event, .event_arg = (void *)(uintptr_t)"history",
	};
	return hd_history_open(&history, &d->history, err);
}

struct row_adapter {
	hd_sample_row_fn row;
	void *arg;
};

static int history_row(void *arg, const struct hd_sample *sample)
{
	struct row_adapter *adapter = arg;
	return adapter->row(adapter->arg, sample, 0);
}

static int read_history(void *arg, uint32_t point, int64_t from_ms, int64_t to_ms, hd_sample_row_fn row, void *row_arg, struct hydro_error *err)
{
	struct row_adapter adapter = {row, row_arg};
	struct hd_history_query query = {.point = point, .from_ms = from_ms, .to_ms = to_ms, .all_revs = true};
	return hd_history_query(((struct hd_daemon *)arg)->history, &query, history_row, &adapter, err);
}

static void pipeline_event(void *arg, uint32_t level, const char *event, uint32_t point, const char *text)
{
	struct hd_daemon *d = arg;
	char id[HD_UUID_TEXT] = "";
	if (point != HD_POINT_NONE) {
		struct hd_uuid uuid = hd_points_id(d->points, point);
		hd_uuid_format(&uuid, id);
	}
	hd_log(level, "pipeline", event, HD_S("point", id), HD_S("message", text));
}

static int open_scripts(struct hd_daemon *d, uint32_t workers, struct hydro_error *err)
{
	HD_CLEANUP(hd_cleanup_free) char *versions = daemon_path(d, "pipelines");
	if (!versions)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for paths");
	struct hd_scripts_config config = {
		.dir = d->config->pipeline_dir, .state_dir = versions, .names = d->names, .points = d->points, .workers = workers,
		.step_cpu_us = (uint32_t)d->config->step_budget_us, .edit = strcmp(d->config->pipeline_edit, "write") == 0 ? HD_SCRIPTS_EDIT_WRITE : HD_SCRIPTS_EDIT_REFUSE,
		.watch = d->config->pipeline_watch, .detectors = &d->detectors, .event = daemon_log_event, .event_arg = (void *)(uintptr_t)"pipelines",
	};
	return hd_scripts_open(&config, &d->scripts, err);
}

int daemon_open_pipeline(struct hd_daemon *d, struct hydro_error *err)
{
	HD_CLEANUP(hd_cleanup_free) char *state = daemon_path(d, "state");
	if (!state)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for paths");
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t workers = d->config->workers ? (uint32_t)d->config->workers : (uint32_t)HD_MIN(HD_MAX(cores, 1L), (long)HD_WORKERS_MAX);
	int rc = hd_derive_new(d->points, &d->derive, err);
	if (rc == HYDRO_OK)
		rc = open_scripts(d, workers, err);
	if (rc != HYDRO_OK)
		return hd_error_while(err, "loading the pipelines of %s", d->config->pipeline_dir);
	struct hd_pipeline_config config = {
		.workers = workers, .ahead_ms = d->config->ahead_ms, .checkpoint_ms = d->config->checkpoint_ms, .replay_records = (uint64_t)d->config->replay_records, .state_dir = state, .names = d->names, .points = d->points,
		.history = read_history, .history_arg = d,
		.call_lua = hd_scripts_call_lua, .call_lua_arg = d->scripts, .event = pipeline_event, .event_arg = d,
	};
	rc = hd_pipeline_link_journal(d->link, d->journal, &config, err);
	if (rc == HYDRO_OK)
		rc = hd_pipeline_open(&config, &d->pipeline, err);
	if (rc != HYDRO_OK)
		return hd_error_while(err, "opening the pipeline");
	hd_pipeline_link_pipeline(d->link, d->pipeline);
	rc = hd_scripts_start(d->scripts, d->pipeline, err);
	if (rc != HYDRO_OK)
		return hd_error_while(err, "building the plans of all points");
	rc = hd_pipeline_recover(d->pipeline, &d->recovered, err);
	if (rc != HYDRO_OK)
		return hd_error_while(err, "bringing the step state to the journal's end");
	hd_log(HD_LOG_INFO, "pipeline", "recovered", HD_I("records", d->recovered));
	HD_CLEANUP(hd_cleanup_free) char *cursor = daemon_path(d, "derived");
	struct hd_derive_config derive = {.pipeline = d->pipeline, .points = d->points, .names = d->names, .journal = d->journal, .cursor_path = cursor,
					  .event = daemon_log_event, .event_arg = (void *)(uintptr_t)"pipeline"};
	rc = hd_derive_start(d->derive, &derive, err);
	if (rc != HYDRO_OK)
		return hd_error_while(err, "following the sources of derived points");
	for (size_t i = 0; i < HD_ARRAY_LEN(gauges); i++)
		hd_metrics_gauge(gauges[i].name, gauges[i].help, "", gauges[i].fn, d);
	return HYDRO_OK;
}

void daemon_reload_pipelines(struct hd_daemon *d)
{
	struct hd_scripts_change change = {.author = "SIGHUP"};
	struct hd_buf answer = {0};
	struct hydro_error err = {0};
	if (hd_scripts_reload(d->scripts, NULL, &change, &answer, &err) != HYDRO_OK)
		hd_log_error(HD_LOG_ERROR, "pipelines", "reload_refused", &err);
	hd_buf_done(&answer);
}

/* Drain, close the journal (which gives all batches back), then what they belonged to. */
void daemon_close_record(struct hd_daemon *d)
{
	struct hydro_error err = {0};
	hd_metrics_gauge_forget(d);
	if (d->scripts)
		hd_scripts_stop(d->scripts);
	if (d->derive)
		hd_derive_stop(d->derive);
	if (d->pipeline && hd_pipeline_drain(d->pipeline, DRAIN_MS, &err) != HYDRO_OK)
		hd_log_error(HD_LOG_ERROR, "pipeline", "not_drained", &err);
	hd_history_close(&d->history);
	if (d->link)
		hd_pipeline_link_detach(d->link);
	hd_journal_close(&d->journal);
	hd_pipeline_close(&d->pipeline);
	hd_pipeline_link_free(&d->link);
	hd_scripts_close(&d->scripts);
	hd_derive_free(&d->derive);
}
