/* SPDX-License-Identifier: MIT */
/*
 * The collector with the three provider plugins against hydro-sim over real HTTP, on a shared simulated clock, with faults:
 * what was fed must be exactly what the simulator's own account says it served, and no slot may be missing.
 */
#include "check.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/queue.h"
#include "collect/collect.h"
#include "hostside/module.h"
#include "model/names.h"
#include "plugin/options.h"

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MS INT64_C(1767225600000)
#define HOUR_MS INT64_C(3600000)
#define POINTS 24
#define PROVIDERS 3

static const char *const provider_names[PROVIDERS] = {"twin", "nettra", "novus"};
static const char *const metric_names[3] = {"flow", "level", "pulses"};

static const char faults[] =
	"[{\"kind\":\"http_5xx\",\"probability\":0.03,\"until\":\"+6h\"},{\"kind\":\"cut\",\"probability\":0.02,\"until\":\"+6h\"},"
	"{\"kind\":\"unauthorized\",\"provider\":\"twin\",\"probability\":0.03,\"until\":\"+6h\"},"
	"{\"kind\":\"not_found\",\"provider\":\"nettra\",\"probability\":0.03,\"until\":\"+6h\"},"
	"{\"kind\":\"empty\",\"probability\":0.03,\"until\":\"+6h\"},{\"kind\":\"not_json\",\"probability\":0.01,\"until\":\"+6h\"},"
	"{\"kind\":\"rate_limit\",\"probability\":0.01,\"delay\":\"20s\",\"until\":\"+6h\"},"
	"{\"kind\":\"duplicate\",\"probability\":0.05,\"until\":\"+6h\"},{\"kind\":\"out_of_order\",\"probability\":0.2,\"until\":\"+6h\"},"
	"{\"kind\":\"late\",\"probability\":0.01,\"delay\":\"30m\",\"until\":\"+4h\"},"
	"{\"kind\":\"negative_status\",\"provider\":\"novus\",\"probability\":0.02,\"until\":\"+6h\"},"
	"{\"kind\":\"outage\",\"mode\":\"http_5xx\",\"from\":\"+2h\",\"until\":\"+3h\"}]";

struct job {
	void (*fn)(void *arg, struct hd_worker *w);
	void *arg;
};

static struct rig {
	pid_t sim;
	uint16_t port;
	char dir[64];
	struct hd_names *names;
	hydro_host host;
	struct hd_module modules[PROVIDERS];
	struct hd_collect_provider providers[PROVIDERS];
	char base_url[PROVIDERS][128], username[64], password[64];
	struct hd_points *points;
	struct hd_net *net;
	struct hd_collect *collect;
	struct hd_queue *queue;
	pthread_t worker;
	atomic_uint working;
	/* worker; read when all is over */
	struct hd_map seen;
	uint64_t counts[POINTS][3], sums[POINTS][3];
	int64_t first[POINTS], last[POINTS];
	_Atomic int64_t newest[POINTS];
} rig;

/* ---- a host for the plugins ---- */

static void host_log(void *ctx, uint32_t level, const char *text)
{
	(void)ctx, (void)level, (void)text;
}

static uint32_t host_metric(void *ctx, const char *name)
{
	(void)ctx;
	uint32_t id = 0;
	(void)hd_names_intern(rig.names, HD_NAME_METRIC, name, &id, NULL);
	return id;
}

static const char *host_metric_name(void *ctx, uint32_t metric)
{
	(void)ctx;
	return hd_names_get(rig.names, HD_NAME_METRIC, metric);
}

static int64_t host_now_ms(void *ctx)
{
	(void)ctx;
	return hd_clock_wall_ms();
}

static int64_t host_mono_ns(void *ctx)
{
	(void)ctx;
	return hd_clock_mono_ns();
}

/* ---- the ops ---- */

static int make_options(void *arg, const struct hd_collect_provider *provider, uint32_t scope, const char *json, void **ret_handle,
			const hydro_options **ret_view, struct hydro_error *err)
{
	(void)arg;
	struct hd_options *options;
	cJSON *parsed = cJSON_Parse(json);
	int rc = hd_options_parse(provider->descriptor, scope, parsed, rig.names, &options, err);
	cJSON_Delete(parsed);
	if (rc == HYDRO_OK) {
		*ret_handle = options;
		*ret_view = hd_options_abi(options);
	}
	return rc;
}

static void free_options(void *arg, void *handle)
{
	(void)arg;
	struct hd_options *options = handle;
	hd_options_unref(&options);
}

static int account(void *arg, uint32_t id, struct hd_collect_account *ret, struct hydro_error *err)
{
	(void)arg, (void)id, (void)err;
	char text[256];
	(void)snprintf(text, sizeof text, "{\"username\":\"%s\",\"password\":\"%s\"}", rig.username, rig.password);
	*ret = (struct hd_collect_account){1, strdup(text)};
	return HYDRO_OK;
}

static uint32_t worker_of(void *arg, uint32_t point)
{
	(void)arg, (void)point;
	return 0;
}

static bool post(void *arg, uint32_t worker, void (*fn)(void *arg, struct hd_worker *w), void *fn_arg)
{
	(void)arg, (void)worker;
	struct job *job = malloc(sizeof *job);
	*job = (struct job){fn, fn_arg};
	atomic_fetch_add(&rig.working, 1);
	if (hd_queue_try_push(rig.queue, job))
		return true;
	atomic_fetch_sub(&rig.working, 1);
	free(job);
	return false;
}

static void *work(void *arg)
{
	(void)arg;
	void *item;
	while (hd_queue_pop(rig.queue, &item, 1, -1) == 1) {
		struct job *job = item;
		job->fn(job->arg, NULL);
		free(job);
		atomic_fetch_sub(&rig.working, 1);
	}
	return NULL;
}

static int feed(void *arg, struct hd_worker *w, uint32_t point, const hydro_raw *raws, uint32_t count, const struct hd_collect_feed *how,
		struct hydro_error *err)
{
	(void)arg, (void)w, (void)how, (void)err;
	for (uint32_t i = 0; i < count; i++) {
		struct {
			int64_t ts;
			uint32_t point, metric;
		} key = {raws[i].ts_ms, point, 0};
		const char *name = hd_names_get(rig.names, HD_NAME_METRIC, raws[i].metric);
		while (key.metric < 3 && strcmp(name, metric_names[key.metric]) != 0)
			key.metric++;
		cr_assert_lt(key.metric, 3);
		uint64_t before;
		if (hd_map_get(&rig.seen, &key, sizeof key, &before))
			continue;
		cr_assert(hd_map_put(&rig.seen, &key, sizeof key, 1));
		rig.counts[point][key.metric]++;
		rig.sums[point][key.metric] += hd_hash_u64((uint64_t)raws[i].ts_ms);
		if (key.metric == 0) {
			rig.first[point] = rig.first[point] ? HD_MIN(rig.first[point], raws[i].ts_ms) : raws[i].ts_ms;
			rig.last[point] = HD_MAX(rig.last[point], raws[i].ts_ms);
		}
		if (raws[i].ts_ms > atomic_load(&rig.newest[point]))
			atomic_store(&rig.newest[point], raws[i].ts_ms);
	}
	return HYDRO_OK;
}

static int64_t newest(void *arg, uint32_t point)
{
	(void)arg;
	return atomic_load(&rig.newest[point]);
}

static bool idle(void *arg, int64_t *ret_next_ms)
{
	(void)ret_next_ms;
	(void)arg;
	return atomic_load(&rig.working) == 0;
}

/* ---- the simulator ---- */

static void path_in(char *ret, size_t size, const char *name)
{
	(void)snprintf(ret, size, "%s/%s", rig.dir, name);
}

static void sim_start(void)
{
	char clock[128], file[128], a_clock[160], a_faults[160];
	path_in(clock, sizeof clock, "clock");
	path_in(file, sizeof file, "faults");
	FILE *f = fopen(file, "w");
	cr_assert_not_null(f);
	(void)fputs(faults, f);
	(void)fclose(f);
	cr_assert_eq(hd_clock_simulate(clock, START_MS, NULL), HYDRO_OK);
	(void)snprintf(a_clock, sizeof a_clock, "--clock=%s", clock);
	(void)snprintf(a_faults, sizeof a_faults, "--faults=%s", file);
	int out[2];
	cr_assert_eq(pipe(out), 0);
	rig.sim = fork();
	if (rig.sim == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(out[1], STDOUT_FILENO);
		(void)close(out[0]);
		execl(HD_BINARY_DIR "/bin/hydro-sim", "hydro-sim", "--points=24", "--mix=8:8:8:0", a_clock, a_faults, (char *)NULL);
		_exit(127);
	}
	(void)close(out[1]);
	FILE *lines = fdopen(out[0], "r");
	char line[256];
	unsigned port = 0;
	while (!port && fgets(line, sizeof line, lines))
		(void)sscanf(line, "hydro-sim ready port=%u", &port);
	(void)fclose(lines);
	cr_assert_gt(port, 0);
	rig.port = (uint16_t)port;
}

static size_t gather(char *data, size_t size, size_t count, void *arg)
{
	return hd_buf_add(arg, data, size * count) ? size * count : 0;
}

static cJSON *sim_get(const char *path)
{
	char url[256];
	struct hd_buf body = {0};
	CURL *easy = curl_easy_init();
	(void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", rig.port, path);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, gather);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, &body);
	cr_assert_eq(curl_easy_perform(easy), CURLE_OK);
	curl_easy_cleanup(easy);
	cJSON *json = cJSON_Parse(hd_buf_text(&body));
	cr_assert_not_null(json);
	hd_buf_done(&body);
	return json;
}

static const char *text_of(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
	return item && item->valuestring ? item->valuestring : "";
}

static int provider_number(const char *name)
{
	for (int i = 0; i < PROVIDERS; i++)
		if (strcmp(provider_names[i], name) == 0)
			return i;
	return -1;
}

static void load_accounts(void)
{
	cJSON *accounts = sim_get("/sim/accounts");
	const cJSON *item;
	cJSON_ArrayForEach(item, accounts)
	{
		int i = provider_number(text_of(item, "provider"));
		if (i < 0)
			continue;
		struct hydro_error err = {0};
		char path[256];
		(void)snprintf(path, sizeof path, "%s/plugins/%s.so", HD_BINARY_DIR, provider_names[i]);
		cr_assert_eq(hd_module_open(path, &rig.modules[i], &err), HYDRO_OK, "%s", err.text);
		const struct hd_descriptor *d = rig.modules[i].descriptor;
		struct hd_options *options;
		cr_assert_eq(hd_options_parse(d, HYDRO_SCOPE_INSTANCE, cJSON_GetObjectItem(item, "options"), rig.names, &options, &err), HYDRO_OK,
			     "%s", err.text);
		rig.providers[i] = (struct hd_collect_provider){
			.name = provider_names[i], .ops = &d->ops.provider, .descriptor = d, .rows = d->rows, .row_count = d->row_count};
		cr_assert_eq(d->ops.provider.create(&rig.host, hd_options_abi(options), &rig.providers[i].instance, &err), HYDRO_OK, "%s", err.text);
		hd_options_unref(&options);
		if (i == 0) {
			(void)snprintf(rig.username, sizeof rig.username, "%s", text_of(item, "username"));
			(void)snprintf(rig.password, sizeof rig.password, "%s", text_of(item, "password"));
		}
	}
	cJSON_Delete(accounts);
}

static void load_points(void)
{
	cJSON *answer = sim_get("/sim/points?offset=0&limit=1000");
	const cJSON *item;
	uint32_t i = 0;
	cJSON_ArrayForEach(item, cJSON_GetObjectItem(answer, "points"))
	{
		char *options = cJSON_PrintUnformatted(cJSON_GetObjectItem(item, "options"));
		const char *provider = text_of(item, "provider");
		struct hd_point_spec spec = {.index = i,
					     .version = 1,
					     .bits = HD_POINT_ACTIVE,
					     .account = strcmp(provider, "twin") == 0 ? 1 : 0,
					     .period_s = i % 2 ? 300 : 900,
					     .join_ms = 30000,
					     .start_ms = START_MS,
					     .name = text_of(item, "name"),
					     .provider = provider,
					     .options = options};
		spec.id.bytes[0] = (uint8_t)(i + 1);
		uint32_t index;
		cr_assert_eq(hd_points_put(rig.points, &spec, &index, NULL), HYDRO_OK);
		cJSON_free(options);
		i++;
	}
	cr_assert_eq(i, POINTS);
	cJSON_Delete(answer);
}

static void run_until(int64_t until_ms)
{
	struct hd_collect_config config = {
		.net = rig.net,
		.points = rig.points,
		.providers = rig.providers,
		.provider_count = PROVIDERS,
		.deep_ms = 4 * HOUR_MS,
		.deep_every_ms = HOUR_MS,
		.slice_ms = HOUR_MS / 2,
		.sim_step_ms = 10000,
		.sim_until_ms = until_ms,
		.seed = 11,
		.ops = {.options = make_options,
			.options_free = free_options,
			.account = account,
			.worker_of = worker_of,
			.post = post,
			.feed = feed,
			.newest = newest,
			.idle = idle},
	};
	struct hydro_error err = {0};
	cr_assert_eq(hd_collect_open(&config, &rig.collect, &err), HYDRO_OK, "%s", err.text);
	while (hd_clock_wall_ms() < until_ms)
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	cr_assert_eq(hd_collect_drain(rig.collect, 60000, &err), HYDRO_OK, "%s", err.text);
}

static void compare_point(uint32_t point)
{
	char path[64];
	(void)snprintf(path, sizeof path, "/sim/served/%u", point);
	cJSON *served = sim_get(path);
	for (int m = 0; m < 3; m++) {
		const cJSON *account_of = cJSON_GetObjectItem(served, metric_names[m]);
		uint64_t count = (uint64_t)cJSON_GetObjectItem(account_of, "count")->valuedouble;
		uint64_t sum = strtoull(text_of(account_of, "checksum"), NULL, 16);
		cr_assert_eq(rig.counts[point][m], count, "point %u %s: fed %llu, served %llu", point, metric_names[m],
			     (unsigned long long)rig.counts[point][m], (unsigned long long)count);
		cr_assert_eq(rig.sums[point][m], sum, "point %u %s: other timestamps were fed than served", point, metric_names[m]);
	}
	uint64_t slots = (uint64_t)((rig.last[point] - rig.first[point]) / 60000 + 1);
	cr_assert_eq(rig.counts[point][0], slots, "point %u: %llu of %llu slots", point, (unsigned long long)rig.counts[point][0],
		     (unsigned long long)slots);
	cr_assert_leq(rig.first[point], START_MS + 60000);
	cr_assert_geq(rig.last[point], START_MS + 8 * HOUR_MS - 900000 - 60000);
	/* The last slot's may have come after the last poll: they have timestamps of their own. */
	cr_assert_geq(rig.counts[point][1], slots - 1, "point %u level", point);
	cr_assert_geq(rig.counts[point][2], slots - 1, "point %u pulses", point);
	cJSON_Delete(served);
}

static void cleanup(void)
{
	hd_collect_close(&rig.collect);
	hd_queue_close(rig.queue);
	pthread_join(rig.worker, NULL);
	hd_queue_free(&rig.queue);
	hd_net_close(&rig.net);
	hd_points_free(&rig.points);
	for (int i = 0; i < PROVIDERS; i++) {
		rig.providers[i].ops->destroy(rig.providers[i].instance);
		hd_module_close(&rig.modules[i]);
	}
	hd_names_close(&rig.names);
	hd_map_done(&rig.seen);
	(void)kill(rig.sim, SIGTERM);
	(void)waitpid(rig.sim, NULL, 0);
	char path[128];
	path_in(path, sizeof path, "clock");
	(void)unlink(path);
	path_in(path, sizeof path, "faults");
	(void)unlink(path);
	(void)rmdir(rig.dir);
}

Test(sim, eight_hours_with_faults_and_an_outage_lose_nothing_and_invent_nothing, .timeout = 200)
{
	(void)snprintf(rig.dir, sizeof rig.dir, "/tmp/hydro-collect-sim-XXXXXX");
	cr_assert_not_null(mkdtemp(rig.dir));
	sim_start();
	cr_assert_eq(hd_names_open(NULL, &rig.names, NULL), HYDRO_OK);
	rig.host = (hydro_host){sizeof rig.host, HYDRO_ABI_MAJOR, HYDRO_ABI_MINOR,  0,           NULL,
				host_log,        host_metric,     host_metric_name, host_now_ms, host_mono_ns};
	struct hd_net_config net = {0};
	cr_assert_eq(hd_net_open(&net, &rig.net, NULL), HYDRO_OK);
	cr_assert_eq(hd_points_new(&rig.points), HYDRO_OK);
	cr_assert_eq(hd_queue_new(256, &rig.queue), HYDRO_OK);
	cr_assert_eq(pthread_create(&rig.worker, NULL, work, NULL), 0);
	load_accounts();
	load_points();
	run_until(START_MS + 8 * HOUR_MS);
	struct hd_collect_counters counters;
	cr_assert_eq(hd_collect_counters(rig.collect, NULL, &counters, NULL), HYDRO_OK);
	for (uint32_t i = 0; i < POINTS; i++)
		compare_point(i);
	cr_assert_gt(counters.parts_failed, 0);
	cr_assert_gt(counters.retries, 0);
	cr_assert_gt(counters.slices, 0);
	cr_assert_gt(counters.logins, 1);
	cleanup();
}
