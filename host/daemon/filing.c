/* SPDX-License-Identifier: MIT */
/* Filing: the adapters' instances, the ledger, an HTTP client of its own, the engine, and what is told of them. */
#include "daemon/internal.h"

#include "api/api.h"
#include "base/clock.h"
#include "filing/filing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>

#define STOP_MS 5000u
#define CONNECTIONS 64u
#define ANSWER_BYTES_MAX (1u << 20)

struct metric_arg;

struct daemon_filing {
	struct hd_daemon *daemon;
	struct hd_instance *instances[HD_CONFIG_ADAPTERS_MAX];
	struct hd_adapters *adapters;
	struct hd_ledger *ledger;
	struct hd_net *net;
	struct hd_filing *filing;
	struct metric_arg *metric_args; /* of all metrics; NULL before */
	bool listening;
	char not_started[HYDRO_ERROR_TEXT_BYTES]; /* why there is no engine; "" = there is one */
};

static bool has_role(const struct hd_config *config, const char *role)
{
	for (uint32_t i = 0; i < config->role_count; i++)
		if (strcmp(config->roles[i], role) == 0)
			return true;
	return false;
}

/* ---- what the engine asks for ---- */

static int history(void *arg, const struct hd_history_query *query, hd_history_row_fn row, void *row_arg, struct hydro_error *err)
{
	struct daemon_filing *f = arg;
	return hd_history_query(f->daemon->history, query, row, row_arg, err);
}

static bool point(void *arg, const struct hd_uuid *id, uint32_t *ret)
{
	struct daemon_filing *f = arg;
	*ret = hd_points_find(f->daemon->points, id);
	return *ret != HD_POINT_NONE;
}

static bool clock_good(void *arg)
{
	(void)arg;
	struct timex state = {0};
	if (hd_clock_is_simulated())
		return true;
	int kernel = adjtimex(&state);
	/* A machine on which it cannot be asked is not stopped by that. */
	return kernel < 0 || (kernel != TIME_ERROR && !(state.status & STA_UNSYNC));
}

static void event(void *arg, uint32_t level, const char *name, uint32_t work, const char *text)
{
	(void)arg;
	if (work)
		hd_log(level, "filing", name, HD_I("work", work), HD_S("message", text));
	else
		hd_log(level, "filing", name, HD_S("message", text));
}

/* ---- metrics ---- */

struct filing_metric {
	const char *name, *labels, *help;
	double (*fn)(const struct hd_filing_status *status, uint32_t index);
	uint32_t index;
};

static double state_count(const struct hd_filing_status *s, uint32_t index)
{
	return (double)s->states[index];
}

static double answer_count(const struct hd_filing_status *s, uint32_t index)
{
	return (double)s->answers[index];
}

static double post_count(const struct hd_filing_status *s, uint32_t index)
{
	(void)index;
	return (double)s->posts;
}

static double check_count(const struct hd_filing_status *s, uint32_t index)
{
	(void)index;
	return (double)s->checks;
}

static double in_flight(const struct hd_filing_status *s, uint32_t index)
{
	(void)index;
	return s->in_flight;
}

static double is_on(const struct hd_filing_status *s, uint32_t index)
{
	(void)index;
	return s->on && !s->on_hold && s->clock_good;
}

static double blocked(const struct hd_filing_status *s, uint32_t index)
{
	(void)index;
	return s->centres_blocked;
}

static double held(const struct hd_filing_status *s, uint32_t index)
{
	(void)index;
	return s->works_held;
}

static double oldest(const struct hd_filing_status *s, uint32_t index)
{
	(void)index;
	return s->oldest_due_ms ? (double)(hd_clock_wall_ms() - s->oldest_due_ms) / 1000 : 0;
}
static double amber(const struct hd_filing_status *s, uint32_t index)
{
	(void)index;
	return s->alarms_amber;
}

static double red(const struct hd_filing_status *s, uint32_t index)
{
	(void)index;
	return s->alarms_red;
}

static double works(const struct hd_filing_status *s, uint32_t index)
{
	return s->works[index];
}


static const struct filing_metric metrics[] = {
	{"hydro_filing_slots", "state=\"due\"", "Slots by state; due: waiting for a measurement.", state_count, HD_SLOT_DUE},
	{"hydro_filing_slots", "state=\"queued\"", "", state_count, HD_SLOT_QUEUED},
	{"hydro_filing_slots", "state=\"sending\"", "", state_count, HD_SLOT_SENDING},
	{"hydro_filing_slots", "state=\"filed\"", "", state_count, HD_SLOT_FILED},
	{"hydro_filing_slots", "state=\"filed_no_receipt\"", "", state_count, HD_SLOT_FILED_NO_RECEIPT},
	{"hydro_filing_slots", "state=\"filed_differs\"", "", state_count, HD_SLOT_FILED_DIFFERS},
	{"hydro_filing_slots", "state=\"unknown\"", "", state_count, HD_SLOT_UNKNOWN},
	{"hydro_filing_slots", "state=\"refused\"", "", state_count, HD_SLOT_REFUSED},
	{"hydro_filing_slots", "state=\"held\"", "", state_count, HD_SLOT_HELD},
	{"hydro_filing_slots", "state=\"missing\"", "", state_count, HD_SLOT_MISSING},
	{"hydro_filing_slots", "state=\"shadow\"", "", state_count, HD_SLOT_SHADOW},
	{"hydro_filing_slots", "state=\"by_hand\"", "", state_count, HD_SLOT_BY_HAND},
	{"hydro_filing_answers_total", "class=\"none\"", "Answers of regulators by class; none: no whole answer.", answer_count, 0},
	{"hydro_filing_answers_total", "class=\"filed\"", "", answer_count, HYDRO_FILING_FILED},
	{"hydro_filing_answers_total", "class=\"no_receipt\"", "", answer_count, HYDRO_FILING_NO_RECEIPT},
	{"hydro_filing_answers_total", "class=\"duplicate\"", "", answer_count, HYDRO_FILING_DUPLICATE},
	{"hydro_filing_answers_total", "class=\"held\"", "", answer_count, HYDRO_FILING_HELD},
	{"hydro_filing_answers_total", "class=\"refused\"", "", answer_count, HYDRO_FILING_REFUSED},
	{"hydro_filing_answers_total", "class=\"blocked\"", "", answer_count, HYDRO_FILING_BLOCKED},
	{"hydro_filing_posts_total", "", "Filings sent.", post_count, 0},
	{"hydro_filing_checks_total", "", "Checks by GET sent.", check_count, 0},
	{"hydro_filing_in_flight", "", "Calls under way.", in_flight, 0},
	{"hydro_filing_on", "", "1 while the switch is on, nothing is on hold and the clock is good.", is_on, 0},
	{"hydro_filing_centres_blocked", "", "Centres that show signs of a block and wait for a person.", blocked, 0},
	{"hydro_filing_works_held", "", "Works held by an error of their configuration.", held, 0},
	{"hydro_filing_works", "mode=\"off\"", "Works by mode.", works, HD_MODE_OFF},
	{"hydro_filing_works", "mode=\"shadow\"", "", works, HD_MODE_SHADOW},
	{"hydro_filing_works", "mode=\"live\"", "", works, HD_MODE_LIVE},
	{"hydro_filing_oldest_seconds", "", "Age of the oldest slot that still has to be filed.", oldest, 0},
	{"hydro_filing_at_risk", "level=\"amber\"", "Works with slots that are late for their hour (amber) or near the end of their lag (red).", amber, 0},
	{"hydro_filing_at_risk", "level=\"red\"", "", red, 0},
};

struct metric_arg {
	struct daemon_filing *filing;
	const struct filing_metric *metric;
};

static double metric_value(void *arg)
{
	const struct metric_arg *m = arg;
	struct hd_filing_status status;
	hd_filing_status(m->filing->filing, &status);
	return m->metric->fn(&status, m->metric->index);
}

/* ---- life ---- */

static int open_adapters(struct hd_daemon *d, struct daemon_filing *f, struct hydro_error *err)
{
	int rc = hd_adapters_new(&f->adapters, err);
	for (uint32_t i = 0; rc == HYDRO_OK && i < d->config->adapter_count; i++) {
		const struct hd_config_instance *a = &d->config->adapters[i];
		struct hydro_error why = {0};
		rc = hd_instance_create_isolated(d->plugins, a->name, a->plugin, a->options, a->isolated ? HD_ISOLATION_PROCESS : HD_ISOLATION_AUTO, &f->instances[i], &why);
		if (rc == HYDRO_OK)
			rc = hd_adapters_add(f->adapters, f->instances[i], &why);
		if (rc != HYDRO_OK)
			return hd_error_set(err, rc, "%s: filing.adapters.%s: %s", d->config->path, a->name, why.text);
	}
	return rc;
}

static void close_adapters(struct daemon_filing *f)
{
	hd_adapters_free(&f->adapters);
	for (uint32_t i = 0; i < HD_CONFIG_ADAPTERS_MAX; i++) {
		struct hydro_error err = {0};
		if (f->instances[i] && hd_instance_stop(f->instances[i], STOP_MS, &err) != HYDRO_OK)
			hd_log_error(HD_LOG_WARN, "plugin", "instance_did_not_drain", &err);
		hd_instance_free(&f->instances[i]);
	}
}

int daemon_check_filing(struct hd_daemon *d, struct hydro_error *err)
{
	struct daemon_filing f = {.daemon = d};
	int rc = open_adapters(d, &f, err);
	close_adapters(&f);
	return rc;
}

static int open_ledger(struct hd_daemon *d, struct daemon_filing *f, bool *ret_restored, struct hydro_error *err)
{
	HD_CLEANUP(hd_cleanup_free) char *path = daemon_path(d, "filing.db");
	char mark[4096];
	if (!path)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for paths");
	if (d->config->filing_mark_file[0])
		(void)snprintf(mark, sizeof mark, "%s", d->config->filing_mark_file);
	else
		(void)snprintf(mark, sizeof mark, "%s.mark", d->config->key_file);
	struct hd_ledger_config config = {.path = path, .mark_path = mark, .key = &d->key};
	const struct hd_adapter *first = hd_adapters_at(f->adapters, 0);
	config.utc_offset_s = first ? hd_adapter_info(first)->utc_offset_s : 0;
	return hd_ledger_open(&config, &f->ledger, ret_restored, err);
}

static int open_engine(struct hd_daemon *d, struct daemon_filing *f, bool restored, struct hydro_error *err)
{
	const struct hd_config *c = d->config;
	struct hd_net_config net = {.connections_max = CONNECTIONS, .timeout_ms = (uint32_t)c->filing_timeout_ms, .body_max_bytes = ANSWER_BYTES_MAX,
				    .ca_file = c->filing_ca_file[0] ? c->filing_ca_file : NULL, .proxy = c->filing_proxy[0] ? c->filing_proxy : NULL};
	net.connect_timeout_ms = (uint32_t)HD_MIN(c->filing_timeout_ms, (int64_t)HD_NET_CONNECT_TIMEOUT_MS);
	int rc = hd_net_open(&net, &f->net, err);
	if (rc != HYDRO_OK)
		return rc;
	struct hd_filing_config config = {
		.ledger = f->ledger, .adapters = f->adapters, .names = d->names, .net = f->net, .restored = restored,
		.send_from_ms = c->filing_send_from_ms, .send_until_ms = c->filing_send_until_ms, .deadline_reserve_ms = c->filing_reserve_ms,
		.lease_ms = c->filing_lease_ms, .timeout_ms = c->filing_timeout_ms, .look_again_ms = c->filing_look_again_ms, .amber_ms = c->filing_amber_ms,
		.red_ms = c->filing_red_ms, .circuit_failures = (uint32_t)c->filing_circuit_failures, .circuit_probe_ms = c->filing_circuit_probe_ms,
		.block_works = (uint32_t)c->filing_block_works, .no_connection_is_unsent = c->filing_no_connection_is_unsent,
		.arg = f, .history = history, .point = point, .clock_good = c->filing_clock_sync ? clock_good : NULL, .event = event,
	};
	return hd_filing_open(&config, &f->filing, err);
}

int daemon_open_filing(struct hd_daemon *d, struct hydro_error *err)
{
	bool restored = false;
	if (!has_role(d->config, "dga") || d->config->adapter_count == 0)
		return HYDRO_OK;
	struct daemon_filing *f = d->filing = calloc(1, sizeof *f);
	if (!f)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for filing");
	f->daemon = d;
	int rc = open_adapters(d, f, err);
	if (rc == HYDRO_E_CONFLICT) {
		/* An adapter that crashed again and again harms filing alone; the others of its family must not take its slots. */
		(void)snprintf(f->not_started, sizeof f->not_started, "%s", err->text);
		hd_log_error(HD_LOG_ERROR, "filing", "filing_not_started", err);
		hd_error_clear(err);
		return HYDRO_OK;
	}
	if (rc == HYDRO_OK)
		rc = open_ledger(d, f, &restored, err);
	if (rc == HYDRO_OK)
		rc = open_engine(d, f, restored, err);
	if (rc != HYDRO_OK)
		return hd_error_while(err, "opening filing");
	rc = hd_latest_listen(hd_pipeline_latest(d->pipeline), hd_filing_on_batch, f->filing, err);
	f->listening = rc == HYDRO_OK;
	struct metric_arg *args = f->metric_args = calloc(HD_ARRAY_LEN(metrics), sizeof *args);
	for (size_t i = 0; args && i < HD_ARRAY_LEN(metrics); i++) {
		args[i] = (struct metric_arg){f, &metrics[i]};
		hd_metrics_gauge(metrics[i].name, metrics[i].help, metrics[i].labels, metric_value, &args[i]);
	}
	return rc;
}

void daemon_filing_deps(const struct hd_daemon *d, struct hd_api_deps *deps)
{
	if (!d->filing || !d->filing->filing)
		return;
	deps->filing = d->filing->filing;
	deps->ledger = d->filing->ledger;
	deps->adapters = d->filing->adapters;
}

void daemon_filing_health(const struct hd_daemon *d, struct hd_health *ret)
{
	struct hd_filing_status s;
	char text[128];
	if (!d->filing)
		return;
	if (!d->filing->filing) {
		hd_health_add(ret, HD_HEALTH_FAILING, "filing", d->filing->not_started);
		return;
	}
	hd_filing_status(d->filing->filing, &s);
	if (s.centres_blocked) {
		(void)snprintf(text, sizeof text, "%u centres show signs of a block: nothing of them is sent until a person lets them go on", s.centres_blocked);
		hd_health_add(ret, HD_HEALTH_FAILING, "filing", text);
	}
	if (s.on_hold)
		hd_health_add(ret, HD_HEALTH_DEGRADED, "filing", "on hold after a restore: waits for a person");
	if (!s.clock_good)
		hd_health_add(ret, HD_HEALTH_FAILING, "filing", "the machine's clock is not to be trusted: nothing is sent");
	if (s.alarms_red) {
		(void)snprintf(text, sizeof text, "%u works have measurements not filed near the end of their lag", s.alarms_red);
		hd_health_add(ret, HD_HEALTH_DEGRADED, "filing", text);
	}
	if (s.works_held) {
		(void)snprintf(text, sizeof text, "%u works are held by an error of their configuration", s.works_held);
		hd_health_add(ret, HD_HEALTH_DEGRADED, "filing", text);
	}
}

bool daemon_filing_is_idle(const struct hd_daemon *d, int64_t *ret_next_ms)
{
	int64_t next;
	if (!d->filing || !d->filing->filing)
		return true;
	bool idle = hd_filing_is_idle(d->filing->filing, &next);
	*ret_next_ms = HD_MIN(*ret_next_ms, next);
	return idle;
}

void daemon_close_filing(struct hd_daemon *d)
{
	struct daemon_filing *f = d->filing;
	if (!f)
		return;
	for (size_t i = 0; f->metric_args && i < HD_ARRAY_LEN(metrics); i++)
		hd_metrics_gauge_forget(&f->metric_args[i]);
	if (f->listening)
		hd_latest_unlisten(hd_pipeline_latest(d->pipeline), hd_filing_on_batch, f->filing);
	hd_filing_close(&f->filing);
	hd_net_close(&f->net);
	hd_ledger_close(&f->ledger);
	close_adapters(f);
	free(f->metric_args);
	free(f);
	d->filing = NULL;
}
