/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include "../check.h"
#include "base/fs.h"
#include "model/batch.h"
#include "net/client.h"

#include <curl/curl.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void must(int rc, const struct hydro_error *err)
{
	cr_assert_eq(rc, HYDRO_OK, "%s", err->text);
}

/* ---- what the engine asks for ---- */

static int history(void *arg, const struct hd_history_query *q, hd_history_row_fn row, void *row_arg, struct hydro_error *err)
{
	struct rig *rig = arg;
	(void)err;
	for (uint32_t i = 0; i < rig->reading_count; i++) {
		const struct reading *r = &rig->readings[i];
		if (r->point != q->point || r->ts_ms < q->from_ms || r->ts_ms >= q->to_ms)
			continue;
		struct hd_value values[3] = {{r->flow, HD_METRIC_FLOW, r->quality}, {r->total, HD_METRIC_TOTAL, r->quality}, {r->level, HD_METRIC_WATER_TABLE, r->quality}};
		struct hd_flag flag = {HD_METRIC_FLOW, HD_FLAG_ABOVE_GRANTED, 0, 0};
		struct hd_sample sample = {.ts_ms = r->ts_ms, .point = r->point, .bits = r->bits, .values = values, .value_count = 3, .flags = &flag,
					   .flag_count = r->flagged};
		int rc = row(row_arg, &sample);
		if (rc != HYDRO_OK)
			return rc;
	}
	return HYDRO_OK;
}

static bool point(void *arg, const struct hd_uuid *id, uint32_t *ret)
{
	(void)arg;
	*ret = id->bytes[15];
	return true;
}

static bool clock_good(void *arg)
{
	return !((struct rig *)arg)->clock_bad;
}

static void event(void *arg, uint32_t level, const char *name, uint32_t work, const char *text)
{
	(void)arg;
	if (getenv("RIG_EVENTS"))
		(void)fprintf(stderr, "%u %s work=%u %s\n", level, name, work, text);
}

/* ---- life ---- */

void rig_open_ledger(struct rig *rig)
{
	struct hydro_error err = {0};
	char path[96], key_path[96], mark[96];
	struct hd_key key;
	(void)snprintf(path, sizeof path, "%s/filing.db", rig->dir);
	(void)snprintf(mark, sizeof mark, "%s/outside.mark", rig->dir);
	(void)snprintf(key_path, sizeof key_path, "%s/key", rig->dir);
	must(hd_key_open(key_path, true, &key, &err), &err);
	struct hd_ledger_config config = {.path = path, .mark_path = mark, .key = &key, .machine = "test"};
	must(hd_ledger_open(&config, &rig->ledger, &rig->restored, &err), &err);
	struct hd_net_config net = {.manual = true, .timeout_ms = RIG_TIMEOUT_MS, .connect_timeout_ms = RIG_TIMEOUT_MS};
	must(hd_net_open(&net, &rig->net, &err), &err);
}

static void parties(struct rig *rig)
{
	struct hydro_error err = {0};
	struct hd_centre centre = {.calls_per_s = 1, .check_share = 1, .registered_ms = RIG_START, .name = "centre", .identifier = "76086428-5", .registration = "R-1",
				   .state_why = "", .state_by = ""};
	must(hd_ledger_centre_create(rig->ledger, &centre, "test", &err), &err);
	struct hd_informant informant = {.name = "informant", .identifier = "12531909-2", .secret = "not-a-secret", .has_secret = true};
	must(hd_ledger_informant_create(rig->ledger, &informant, "test", &err), &err);
	rig->centre = centre.number;
	rig->informant = informant.number;
}

struct rig *rig_new(void)
{
	struct hydro_error err = {0};
	struct rig *rig = calloc(1, sizeof *rig);
	char clock[96];
	cr_assert(rig && sodium_init() >= 0);
	rig->readings = calloc(RIG_READINGS_MAX, sizeof *rig->readings);
	cr_assert(rig->readings);
	(void)snprintf(rig->dir, sizeof rig->dir, "/tmp/filing.XXXXXX");
	cr_assert(mkdtemp(rig->dir));
	(void)snprintf(clock, sizeof clock, "%s/clock", rig->dir);
	must(hd_clock_simulate(clock, RIG_START, &err), &err);
	regulator_start(&rig->regulator);
	rig->own_regulator = true;
	must(hd_names_open(NULL, &rig->names, &err), &err);
	must(hd_adapters_new(&rig->adapters, &err), &err);
	must(fake_adapter_add(rig->adapters, "fake", "2025-07-31", &rig->regulator, &err), &err);
	rig_open_ledger(rig);
	parties(rig);
	rig->config = (struct hd_filing_config){.manual = true, .lease_ms = 60000, .timeout_ms = RIG_TIMEOUT_MS, .arg = rig, .history = history, .point = point,
						.clock_good = clock_good, .event = event};
	return rig;
}

void rig_open(struct rig *rig)
{
	struct hydro_error err = {0};
	rig->config.ledger = rig->ledger;
	rig->config.adapters = rig->adapters;
	rig->config.names = rig->names;
	rig->config.net = rig->net;
	rig->config.restored = rig->restored;
	must(hd_filing_open(&rig->config, &rig->filing, &err), &err);
	must(hd_filing_switch(rig->filing, true, "test", "test", &err), &err);
}

void rig_close(struct rig *rig)
{
	hd_filing_close(&rig->filing);
	hd_net_close(&rig->net);
	hd_ledger_close(&rig->ledger);
}

void rig_restart(struct rig *rig)
{
	rig_close(rig);
	rig_open_ledger(rig);
	rig_open(rig);
}

void rig_free(struct rig *rig)
{
	char command[96];
	rig_close(rig);
	hd_adapters_free(&rig->adapters);
	hd_names_close(&rig->names);
	if (rig->own_regulator)
		regulator_stop(&rig->regulator);
	(void)snprintf(command, sizeof command, "rm -rf %s", rig->dir);
	if (system(command) != 0)
		(void)fprintf(stderr, "%s stays\n", rig->dir);
	free(rig->readings);
	free(rig);
}

/* ---- registry ---- */

struct hd_work rig_work_default(struct rig *rig, const char *code)
{
	struct hd_work work = {
		.mode = HD_MODE_LIVE, .centre = rig->centre, .informant = rig->informant, .pick = HD_PICK_NEAREST, .at_ms = -1, .starts_ms = RIG_START + HOUR_MS,
		.granted_lps = NAN, .granted_m3_year = NAN, .code = code, .name = code, .kind = "well", .standard = "mayor", .family = "fake", .client = "", .region = "",
		.shac = "", .notes = "", .held_why = "", .options = "", .adapters = "", .flow_metric = "", .total_metric = "", .level_metric = "",
	};
	work.point.bytes[0] = 1;
	work.point.bytes[15] = ++rig->points;
	return work;
}

void rig_work_with(struct rig *rig, struct hd_work *work)
{
	struct hydro_error err = {0};
	must(hd_ledger_work_create(rig->ledger, work, "test", &err), &err);
}

uint32_t rig_work(struct rig *rig, const char *code)
{
	struct hd_work work = rig_work_default(rig, code);
	rig_work_with(rig, &work);
	return work.number;
}

struct work_change {
	struct rig *rig;
	void (*fn)(struct hd_work *work);
};

static int change_work(void *arg, const struct hd_work *row, struct hydro_error *err)
{
	const struct work_change *change = arg;
	struct hd_work work = *row;
	change->fn(&work);
	return hd_ledger_work_replace(change->rig->ledger, &work, "test", "test", err);
}

void rig_work_change(struct rig *rig, uint32_t number, void (*fn)(struct hd_work *work))
{
	struct hydro_error err = {0};
	struct work_change change = {rig, fn};
	must(hd_ledger_work_get(rig->ledger, number, NULL, NULL, change_work, &change, &err), &err);
}

struct centre_change {
	struct rig *rig;
	void (*fn)(struct hd_centre *centre);
};

static int change_centre(void *arg, const struct hd_centre *row, struct hydro_error *err)
{
	const struct centre_change *change = arg;
	struct hd_centre centre = *row;
	change->fn(&centre);
	return hd_ledger_centre_replace(change->rig->ledger, &centre, "test", "test", err);
}

void rig_centre_change(struct rig *rig, void (*fn)(struct hd_centre *centre))
{
	struct hydro_error err = {0};
	struct centre_change change = {rig, fn};
	must(hd_ledger_centre_get(rig->ledger, rig->centre, NULL, change_centre, &change, &err), &err);
}

/* ---- readings ---- */

void rig_read_with(struct rig *rig, struct reading reading)
{
	cr_assert(rig->reading_count < RIG_READINGS_MAX);
	uint32_t i = rig->reading_count++;
	while (i > 0 && rig->readings[i - 1].ts_ms > reading.ts_ms) {
		rig->readings[i] = rig->readings[i - 1];
		i--;
	}
	rig->readings[i] = reading;
}

void rig_read(struct rig *rig, uint32_t point_number, int64_t ts_ms)
{
	double n = (double)((ts_ms - RIG_START) / MINUTE_MS);
	rig_read_with(rig, (struct reading){.point = point_number, .ts_ms = ts_ms, .flow = 10 + n / 1000, .total = 1000 + n, .level = 20, .quality = 1, .bits = HD_SAMPLE_FILE});
}

void rig_read_hours(struct rig *rig, uint32_t point_number, int64_t from_ms, int64_t to_ms)
{
	for (int64_t ts = (from_ms + HOUR_MS - 1) / HOUR_MS * HOUR_MS; ts < to_ms; ts += HOUR_MS)
		rig_read(rig, point_number, ts);
}

void rig_tell(struct rig *rig, uint32_t from)
{
	struct hd_sample samples[64];
	struct hd_batch batch = {.samples = samples};
	for (uint32_t i = from; i < rig->reading_count && batch.count < 64; i++)
		samples[batch.count++] = (struct hd_sample){.ts_ms = rig->readings[i].ts_ms, .point = rig->readings[i].point, .bits = rig->readings[i].bits};
	hd_filing_on_batch(rig->filing, &batch);
}

/* ---- running ---- */

void rig_run(struct rig *rig, int64_t ms)
{
	int64_t next;
	for (;;) {
		int64_t before_ms = hd_clock_wall_ms(); /* others may move the clock meanwhile */
		hd_filing_step(rig->filing, &next);
		cr_assert_geq(next, before_ms);
		while (hd_net_in_flight(rig->net) > 0)
			hd_net_run_once(rig->net, 50);
		if (!hd_filing_is_idle(rig->filing, &next))
			continue;
		if (next > ms)
			break;
		hd_clock_advance(next);
	}
	hd_clock_advance(ms);
	hd_filing_step(rig->filing, &next);
	while (hd_net_in_flight(rig->net) > 0)
		hd_net_run_once(rig->net, 50);
	hd_filing_step(rig->filing, &next);
}

struct hd_slot rig_slot(struct rig *rig, uint32_t work, int64_t due_ms)
{
	struct hydro_error err = {0};
	struct hd_slot slot = {0};
	int rc = hd_ledger_slot(rig->ledger, work, due_ms, &slot, &err);
	cr_assert(rc == HYDRO_OK || rc == HYDRO_E_NOTFOUND, "%s", err.text);
	return slot;
}

struct alarm_count {
	const char *kind;
	uint32_t count;
};

static int count_alarm(void *arg, const struct hd_alarm *alarm, struct hydro_error *err)
{
	struct alarm_count *c = arg;
	(void)err;
	c->count += strcmp(alarm->kind, c->kind) == 0;
	return HYDRO_OK;
}

uint32_t rig_alarms(struct rig *rig, const char *kind)
{
	struct hydro_error err = {0};
	struct alarm_count count = {kind, 0};
	must(hd_ledger_alarm_list(rig->ledger, true, HD_LEDGER_ALL, count_alarm, &count, &err), &err);
	return count.count;
}
