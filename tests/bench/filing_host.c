/* SPDX-License-Identifier: MIT */
/*
 * filing_host OPTIONS -- SIMULATOR'S OPTIONS: the engine of filing with its ledger and the dga plugin, over HTTP, on works whose history is the
 * simulator's truth. It moves the simulated clock from one thing to do to the next, so that a month takes as long as the machine needs.
 *   --dir DIR        filing.db and its key           --dga PORT       the simulator's
 *   --plugins DIR    with dga.so                     --runner FILE    hydro-runner
 *   --works N --centres N --rate CALLS/S             of one centre
 *   --start MS --end MS --until MS                   of compliance; where the clock ends
 *   --timeout MS --lease MS                          of a call; of a claim
 *   --send-from MS --send-until MS                   of the hour, as the engine's
 *   --step MS        the clock goes in steps of that, so that calls of several centres go together
 *   --pace           the clock goes as the real one; the engine has its thread; CPU is counted after the first 20 s
 *   --no-sync        figures of CPU alone
 *   --verify         at the end all chains of the ledger are walked
 * Prints "ready", at the end one line of JSON, then ends with 0. SIGTERM ends it before.
 */
#include "base/clock.h"
#include "base/fs.h"
#include "faults.h"
#include "filing/filing.h"
#include "judge.h"
#include "net/client.h"
#include "options.h"
#include "plugin/plugin.h"
#include "reading.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#define FAULTS_BYTES_MAX (1u << 20)
#define BY "bench"
#define PACE_TICK_NS 2000000
#define WARM_MS 20000

struct options {
	const char *dir, *plugins, *runner;
	int64_t dga, works, centres, start, end, until, timeout, lease, send_from, send_until, step;
	double rate;
	bool pace, no_sync, verify;
};

struct host {
	struct options o;
	struct sim sim;
	struct hd_names *names;
	struct hd_plugins *plugins;
	struct hd_instance *instance;
	struct hd_adapters *adapters;
	struct hd_ledger *ledger;
	struct hd_net *net;
	struct hd_filing *filing;
	struct hydro_error err;
};

static atomic_bool stopping;

static void on_signal(int number)
{
	(void)number;
	atomic_store(&stopping, true);
}

static void must(struct host *h, int rc, const char *what)
{
	if (rc == HYDRO_OK)
		return;
	(void)fprintf(stderr, "filing_host: %s: %s\n", what, h->err.text);
	exit(1);
}

/* ---- history: what the simulator's points read ------------------------------------------------------------------------------- */

static void sample_of(const struct sim_point *p, const struct sim_reading *r, struct hd_value values[3], struct hd_sample *ret)
{
	const struct hd_value all[3] = {
		{(double)r->served[SIM_FLOW] / 100.0, HD_METRIC_FLOW, 1},
		{(double)(r->served[SIM_PULSES] * p->litres_per_pulse) / 1000.0 + p->offset_m3, HD_METRIC_TOTAL, 1},
		{p->sensor_depth_m - (double)r->served[SIM_LEVEL] / 1000.0, HD_METRIC_WATER_TABLE, 1},
	};
	memcpy(values, all, sizeof all);
	*ret = (struct hd_sample){.ts_ms = r->ts_ms, .point = p->index, .bits = HD_SAMPLE_FILE, .value_count = 3, .values = values};
}

static int history(void *arg, const struct hd_history_query *q, hd_history_row_fn row, void *row_arg, struct hydro_error *err)
{
	struct host *h = arg;
	struct sim_point p;
	struct sim_rows rows;
	struct sim_query query = {.from_ms = q->from_ms, .to_ms = q->to_ms - 1, .metric = SIM_METRICS, .limit = q->limit ? q->limit : SIM_ROWS_MAX, .ascending = !q->descending};
	sim_point_at(&h->sim, q->point, &p);
	if (!sim_query_run(&h->sim, &p, &query, hd_clock_wall_ms(), &rows))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for readings");
	for (size_t i = 0; i < rows.count; i++) {
		struct hd_value values[3];
		struct hd_sample sample;
		sample_of(&p, &rows.rows[i], values, &sample);
		int rc = row(row_arg, &sample);
		if (rc != HYDRO_OK)
			return rc;
	}
	return HYDRO_OK;
}

static struct hd_uuid point_id(uint32_t index)
{
	struct hd_uuid id = {{0xb0}};
	for (unsigned i = 0; i < 4; i++)
		id.bytes[12 + i] = (uint8_t)(index >> (24 - 8 * i));
	return id;
}

static bool point_of(void *arg, const struct hd_uuid *id, uint32_t *ret)
{
	const struct host *h = arg;
	*ret = (uint32_t)id->bytes[12] << 24 | (uint32_t)id->bytes[13] << 16 | (uint32_t)id->bytes[14] << 8 | id->bytes[15];
	return *ret < h->sim.config.points;
}

static void event(void *arg, uint32_t level, const char *name, uint32_t work, const char *text)
{
	(void)arg;
	if (level <= HYDRO_LOG_WARN)
		(void)fprintf(stderr, "%s work=%u %s\n", name, work, text);
}

/* ---- registry ----------------------------------------------------------------------------------------------------------------- */

/* An invented RUT with its check digit. */
static void make_rut(unsigned number, char ret[16])
{
	unsigned sum = 0, weight = 2;
	for (unsigned n = number; n; n /= 10, weight = weight == 7 ? 2 : weight + 1)
		sum += n % 10 * weight;
	unsigned digit = 11 - sum % 11;
	(void)snprintf(ret, 16, "%u-%c", number, digit == 11 ? '0' : digit == 10 ? 'K' : (int)('0' + digit));
}

static int count_work(void *arg, const struct hd_work *work, struct hydro_error *err)
{
	(void)work;
	(void)err;
	++*(int64_t *)arg;
	return HYDRO_OK;
}

static uint32_t make_centre(struct host *h, int64_t i)
{
	char rut[16], name[32];
	make_rut(76100000u + (unsigned)i * 137u, rut);
	(void)snprintf(name, sizeof name, "centre %" PRId64, i + 1);
	struct hd_centre centre = {.calls_per_s = h->o.rate, .check_share = 1, .registered_ms = h->o.start, .name = name, .identifier = rut, .registration = "bench",
				   .state_why = "", .state_by = ""};
	must(h, hd_ledger_centre_create(h->ledger, &centre, BY, &h->err), "a centre");
	return centre.number;
}

static void make_registry(struct host *h)
{
	int64_t have = 0;
	struct hd_work_filter filter = {.mode = -1, .held = -1, .centre = HD_LEDGER_ALL, .limit = 1};
	struct hd_store_page page = {0};
	uint32_t *centres = calloc((size_t)h->o.centres, sizeof *centres);
	must(h, hd_ledger_work_list(h->ledger, &filter, count_work, &have, &page, &h->err), "reading works");
	if (have || !centres) {
		free(centres);
		return;
	}
	for (int64_t i = 0; i < h->o.centres; i++)
		centres[i] = make_centre(h, i);
	char rut[16], code[SIM_WORK_TEXT], name[SIM_KEY_TEXT];
	make_rut(12345000, rut);
	struct hd_informant informant = {.name = "informant", .identifier = rut, .secret = "not-a-secret", .has_secret = true};
	must(h, hd_ledger_informant_create(h->ledger, &informant, BY, &h->err), "an informant");
	for (int64_t i = 0; i < h->o.works; i++) {
		sim_work_code((uint32_t)i, code);
		sim_point_name((uint32_t)i, name);
		struct hd_work work = {.mode = HD_MODE_LIVE, .centre = centres[i % h->o.centres], .informant = informant.number, .pick = HD_PICK_NEAREST, .at_ms = -1,
				       .point = point_id((uint32_t)i), .starts_ms = h->o.start, .ends_ms = h->o.end, .granted_lps = NAN, .granted_m3_year = NAN, .code = code, .name = name,
				       .kind = "subterranea", .standard = "mayor", .family = "dga", .client = "", .region = "", .shac = "", .notes = "", .held_why = "",
				       .options = "", .adapters = "", .flow_metric = "", .total_metric = "", .level_metric = ""};
		must(h, hd_ledger_work_create(h->ledger, &work, BY, &h->err), "a work");
	}
	free(centres);
}

/* ---- the parts ------------------------------------------------------------------------------------------------------------------ */

static void open_adapter(struct host *h)
{
	struct hd_plugins_config config = {.dirs = &h->o.plugins, .dir_count = 1, .runner_path = h->o.runner, .names = h->names};
	cJSON *options = cJSON_CreateObject();
	char url[96];
	(void)snprintf(url, sizeof url, "http://127.0.0.1:%" PRId64 "/dga/api/v1/mediciones/", h->o.dga);
	(void)cJSON_AddStringToObject(options, "base_url", url);
	must(h, hd_plugins_open(&config, &h->plugins, &h->err), "plugins");
	must(h, hd_instance_create(h->plugins, "dga", "dga", options, &h->instance, &h->err), "the dga plugin");
	must(h, hd_adapters_new(&h->adapters, &h->err), "adapters");
	must(h, hd_adapters_add(h->adapters, h->instance, &h->err), "the dga adapter");
	cJSON_Delete(options);
}

static void open_sim(struct host *h, int argc, char **argv)
{
	struct sim_config config;
	must(h, sim_options_read(argc, argv, &config, &h->err) == SIM_OPTIONS_RUN ? HYDRO_OK : HYDRO_E_INVALID, "the simulator's options");
	must(h, hd_clock_simulate(config.clock_file, config.start_ms, &h->err), "the clock");
	must(h, sim_init(&h->sim, &config, &h->err), "the simulator's world");
	if (!config.faults_file)
		return;
	struct hd_buf text = {0};
	must(h, hd_fs_read(config.faults_file, FAULTS_BYTES_MAX, &text, &h->err), "the faults");
	must(h, sim_faults_add(h->sim.faults, hd_buf_text(&text), text.len, 0, NULL, &h->err), "the faults");
	hd_buf_done(&text);
}

static void open_ledger(struct host *h, bool *ret_restored)
{
	char path[512], key_path[512];
	struct hd_key key;
	(void)snprintf(path, sizeof path, "%s/filing.db", h->o.dir);
	(void)snprintf(key_path, sizeof key_path, "%s/key", h->o.dir);
	must(h, hd_key_open(key_path, true, &key, &h->err), "the key");
	struct hd_ledger_config config = {.path = path, .key = &key, .unsafe_no_sync = h->o.no_sync};
	must(h, hd_ledger_open(&config, &h->ledger, ret_restored, &h->err), "the ledger");
	hd_key_wipe(&key);
}

static void open_host(struct host *h)
{
	bool restored = false;
	must(h, hd_names_open(NULL, &h->names, &h->err), "names");
	open_adapter(h);
	open_ledger(h, &restored);
	make_registry(h);
	struct hd_net_config net = {.manual = !h->o.pace, .timeout_ms = (uint32_t)h->o.timeout, .connect_timeout_ms = (uint32_t)h->o.timeout};
	must(h, hd_net_open(&net, &h->net, &h->err), "the client");
	struct hd_filing_config config = {.ledger = h->ledger, .adapters = h->adapters, .names = h->names, .net = h->net, .restored = restored, .manual = !h->o.pace,
					  .lease_ms = h->o.lease, .timeout_ms = h->o.timeout, .send_from_ms = h->o.send_from, .send_until_ms = h->o.send_until, .arg = h, .history = history, .point = point_of, .event = event};
	must(h, hd_filing_open(&config, &h->filing, &h->err), "filing");
	struct hd_filing_status status;
	hd_filing_status(h->filing, &status);
	if (!status.on)
		must(h, hd_filing_switch(h->filing, true, BY, BY, &h->err), "the switch");
}

/* ---- the clock ------------------------------------------------------------------------------------------------------------------ */

static double cpu_seconds(void)
{
	struct rusage usage;
	(void)getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* From one thing to do to the next. */
static void run_simulated(struct host *h)
{
	int64_t next;
	while (!atomic_load(&stopping)) {
		hd_filing_step(h->filing, &next);
		while (hd_net_in_flight(h->net) && !atomic_load(&stopping))
			hd_net_run_once(h->net, 100);
		if (!hd_filing_is_idle(h->filing, &next))
			continue;
		if (next > h->o.until)
			break;
		hd_clock_advance((next + h->o.step - 1) / h->o.step * h->o.step);
	}
	if (!atomic_load(&stopping))
		hd_clock_advance(h->o.until);
}

/* As the real clock goes. *ret_cpu_s, *ret_from_ms: when counting begins. */
static void run_paced(struct host *h, double *ret_cpu_s, int64_t *ret_from_ms)
{
	int64_t begin_ms = hd_clock_wall_ms(), begin_ns = hd_clock_real_ns(), next;
	bool counting = false;
	while (!atomic_load(&stopping) && hd_clock_wall_ms() < h->o.until) {
		if (!counting && hd_clock_wall_ms() - begin_ms >= WARM_MS) {
			counting = true;
			*ret_cpu_s = cpu_seconds();
			*ret_from_ms = hd_clock_wall_ms();
		}
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = PACE_TICK_NS}, NULL);
		hd_clock_advance(begin_ms + (hd_clock_real_ns() - begin_ns) / HD_NS_PER_MS);
		if (hd_filing_is_idle(h->filing, &next) && next <= hd_clock_wall_ms())
			hd_filing_wake(h->filing);
	}
}

static void print_result(struct host *h, double cpu_s, int64_t from_ms)
{
	struct hd_filing_status status;
	struct rusage usage;
	(void)getrusage(RUSAGE_SELF, &usage);
	hd_filing_status(h->filing, &status);
	(void)printf("{\"simulated_ms\":%" PRId64 ",\"cpu_s\":%.3f,\"rss_mib\":%ld,\"posts\":%" PRIu64 ",\"checks\":%" PRIu64 ",\"states\":{", hd_clock_wall_ms() - from_ms,
		     cpu_s, usage.ru_maxrss / 1024, status.posts, status.checks);
	const char *comma = "";
	for (uint32_t s = 0; s < HD_SLOT_STATE_COUNT; s++)
		if (*hd_slot_state_name(s)) {
			(void)printf("%s\"%s\":%" PRIu64, comma, hd_slot_state_name(s), status.states[s]);
			comma = ",";
		}
	(void)printf("},\"blocked\":%u,\"held\":%u", status.centres_blocked, status.works_held);
	if (h->o.verify) {
		struct hd_ledger_verdict v = {0};
		int64_t began_ns = hd_clock_real_ns();
		must(h, hd_ledger_verify(h->ledger, HD_LEDGER_ALL, &v, &h->err), "verifying the ledger");
		if (!v.good)
			(void)fprintf(stderr, "filing_host: the chain of work %u breaks at row %" PRIu64 ": %s\n", v.work, v.sequence, v.text);
		(void)printf(",\"chains\":\"%s\",\"rows\":%" PRIu64 ",\"anchors\":%" PRIu64 ",\"verify_s\":%.1f", v.good ? "good" : "broken", v.rows, v.anchors,
			     (double)(hd_clock_real_ns() - began_ns) / 1e9);
	}
	(void)printf("}\n");
	(void)fflush(stdout);
}

static void close_host(struct host *h)
{
	hd_filing_close(&h->filing);
	hd_net_close(&h->net);
	hd_ledger_close(&h->ledger);
	hd_adapters_free(&h->adapters);
	hd_instance_free(&h->instance);
	hd_plugins_close(&h->plugins);
	hd_names_close(&h->names);
	sim_done(&h->sim);
}

/* ---- options -------------------------------------------------------------------------------------------------------------------- */

static bool take_option(struct options *o, const char *name, const char *value)
{
	const struct {
		const char *name;
		int64_t *number;
		const char **text;
	} rows[] = {{"--dir", NULL, &o->dir}, {"--plugins", NULL, &o->plugins}, {"--runner", NULL, &o->runner}, {"--dga", &o->dga, NULL},
		    {"--works", &o->works, NULL}, {"--centres", &o->centres, NULL}, {"--start", &o->start, NULL}, {"--until", &o->until, NULL},
		    {"--timeout", &o->timeout, NULL}, {"--lease", &o->lease, NULL}, {"--end", &o->end, NULL},
		    {"--send-from", &o->send_from, NULL}, {"--send-until", &o->send_until, NULL}, {"--step", &o->step, NULL}};
	if (strcmp(name, "--rate") == 0) {
		o->rate = strtod(value, NULL);
		return o->rate > 0;
	}
	for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++)
		if (strcmp(name, rows[i].name) == 0) {
			if (rows[i].text)
				*rows[i].text = value;
			else
				*rows[i].number = strtoll(value, NULL, 10);
			return true;
		}
	return false;
}

/* The number of arguments taken; what follows "--" is the simulator's. */
static int take_options(int argc, char **argv, struct options *o)
{
	int i = 1;
	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--pace") == 0)
			o->pace = true;
		else if (strcmp(argv[i], "--no-sync") == 0)
			o->no_sync = true;
		else if (strcmp(argv[i], "--verify") == 0)
			o->verify = true;
		else if (i + 1 >= argc || !take_option(o, argv[i], argv[i + 1]))
			return -1;
		else
			i++;
	}
	bool good = i < argc && o->dir && o->plugins && o->runner && o->dga && o->works > 0 && o->centres > 0 && o->start > 0 && o->until > o->start && o->step > 0;
	return good ? i : -1;
}

int main(int argc, char **argv)
{
	static struct host host = {.o = {.rate = 1, .timeout = 300, .lease = 60000, .step = 1}};
	struct host *h = &host;
	h->err.struct_size = sizeof h->err;
	int taken = take_options(argc, argv, &h->o);
	if (taken < 0) {
		(void)fprintf(stderr, "filing_host: the options are at the head of filing_host.c\n");
		return 2;
	}
	(void)signal(SIGTERM, on_signal);
	(void)signal(SIGPIPE, SIG_IGN);
	open_sim(h, argc - taken, argv + taken);
	open_host(h);
	(void)printf("ready\n");
	(void)fflush(stdout);
	double cpu_s = cpu_seconds();
	int64_t from_ms = hd_clock_wall_ms();
	if (h->o.pace)
		run_paced(h, &cpu_s, &from_ms);
	else
		run_simulated(h);
	print_result(h, cpu_seconds() - cpu_s, from_ms);
	close_host(h);
	return 0;
}
