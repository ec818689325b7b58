/* SPDX-License-Identifier: MIT */
/*
 * Polls a second through the collector with the twin plugin's own request and parse, against a bare libcurl multi loop,
 * both over the same number of connections to the same server, in turns.
 *   bench_poll TWIN_SO [SECONDS] [ROUNDS] [CONNECTIONS]
 */
#include "bench.h"
#include "poll_server.h"

#include "base/clock.h"
#include "base/queue.h"
#include "base/thread.h"
#include "collect/collect.h"
#include "hostside/module.h"
#include "model/names.h"
#include "plugin/options.h"

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define POINTS 40000u /* each due once a second: always more than can be polled */
#define ROUNDS_MAX 32

static uint32_t connections = 1000;
static uint16_t port;

/* ---- the bare loop ---- */

struct bare {
	CURLM *multi;
	int epoll;
	int64_t due_ns;
	uint64_t done, bytes;
};

static size_t bare_body(char *data, size_t size, size_t count, void *arg)
{
	(void)data;
	((struct bare *)arg)->bytes += size * count;
	return size * count;
}

static int bare_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	(void)easy;
	struct bare *b = arg;
	if (what == CURL_POLL_REMOVE) {
		(void)epoll_ctl(b->epoll, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	struct epoll_event event = {.data.fd = fd};
	if (what & CURL_POLL_IN)
		event.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		event.events |= EPOLLOUT;
	(void)epoll_ctl(b->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
	(void)curl_multi_assign(b->multi, fd, b);
	return 0;
}

static int bare_timer(CURLM *multi, long timeout_ms, void *arg)
{
	(void)multi;
	((struct bare *)arg)->due_ns = timeout_ms < 0 ? INT64_MAX : hd_clock_real_ns() + timeout_ms * HD_NS_PER_MS;
	return 0;
}

static void bare_turn(struct bare *b, bool again)
{
	struct epoll_event events[256];
	int running, left;
	int64_t wait_ns = b->due_ns == INT64_MAX ? HD_NS_PER_S : HD_MAX(b->due_ns - hd_clock_real_ns(), 0);
	int count = epoll_wait(b->epoll, events, 256, (int)(HD_MIN(wait_ns, HD_NS_PER_S) / HD_NS_PER_MS));
	for (int i = 0; i < count; i++) {
		int what = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0);
		(void)curl_multi_socket_action(b->multi, events[i].data.fd, what, &running);
	}
	if (b->due_ns <= hd_clock_real_ns()) {
		b->due_ns = INT64_MAX;
		(void)curl_multi_socket_action(b->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	for (CURLMsg *m; (m = curl_multi_info_read(b->multi, &left));) {
		CURL *easy = m->easy_handle;
		b->done += m->msg == CURLMSG_DONE && m->data.result == CURLE_OK;
		(void)curl_multi_remove_handle(b->multi, easy);
		if (again)
			(void)curl_multi_add_handle(b->multi, easy);
	}
}

static double bare_run(double seconds)
{
	struct bare b = {.multi = curl_multi_init(), .epoll = epoll_create1(0), .due_ns = INT64_MAX};
	CURL **easies = calloc(connections, sizeof(CURL *));
	struct curl_slist *headers = curl_slist_append(NULL, "Authorization: Bearer bench-token");
	headers = curl_slist_append(headers, "Accept: application/json");
	char url[256];
	(void)snprintf(url, sizeof url, "http://127.0.0.1:%u/telemetry/DEVICE/device-00001/values/timeseries?keys=5001,5002,5003", port);
	curl_multi_setopt(b.multi, CURLMOPT_SOCKETFUNCTION, bare_socket);
	curl_multi_setopt(b.multi, CURLMOPT_SOCKETDATA, &b);
	curl_multi_setopt(b.multi, CURLMOPT_TIMERFUNCTION, bare_timer);
	curl_multi_setopt(b.multi, CURLMOPT_TIMERDATA, &b);
	curl_multi_setopt(b.multi, CURLMOPT_MAXCONNECTS, (long)connections);
	for (uint32_t i = 0; i < connections; i++) {
		easies[i] = curl_easy_init();
		curl_easy_setopt(easies[i], CURLOPT_URL, url);
		curl_easy_setopt(easies[i], CURLOPT_PROXY, "");
		curl_easy_setopt(easies[i], CURLOPT_NOSIGNAL, 1L);
		curl_easy_setopt(easies[i], CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(easies[i], CURLOPT_WRITEFUNCTION, bare_body);
		curl_easy_setopt(easies[i], CURLOPT_WRITEDATA, &b);
		(void)curl_multi_add_handle(b.multi, easies[i]);
	}
	while (b.done < 2 * connections)
		bare_turn(&b, true);
	int64_t begin_ns = hd_clock_real_ns(), end_ns = begin_ns + (int64_t)(seconds * 1e9);
	uint64_t before = b.done;
	while (hd_clock_real_ns() < end_ns)
		bare_turn(&b, true);
	double rate = (double)(b.done - before) / ((double)(hd_clock_real_ns() - begin_ns) / 1e9);
	for (uint32_t i = 0; i < connections; i++) {
		(void)curl_multi_remove_handle(b.multi, easies[i]);
		curl_easy_cleanup(easies[i]);
	}
	curl_multi_cleanup(b.multi);
	curl_slist_free_all(headers);
	free(easies);
	close(b.epoll);
	return rate;
}

/* ---- the collector ---- */

struct job {
	void (*fn)(void *arg, struct hd_worker *w);
	void *arg;
};

#define JOBS 8192u

static struct {
	struct hd_module twin;
	struct hd_names *names;
	hydro_host host;
	void *instance;
	struct hd_points *points;
	struct hd_queue *queue;
	pthread_t worker;
	int64_t newest_ms[POINTS]; /* by the worker, read by io */
	uint64_t raws;
} rig;

static void host_log(void *ctx, uint32_t level, const char *text)
{
	(void)ctx;
	(void)fprintf(stderr, "twin %u: %s\n", level, text);
}

static uint32_t host_metric(void *ctx, const char *name)
{
	(void)ctx;
	uint32_t id = 0;
	return hd_names_intern(rig.names, HD_NAME_METRIC, name, &id, NULL) == HYDRO_OK ? id : 0;
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
	*ret = (struct hd_collect_account){1, strdup("{\"username\":\"u\",\"password\":\"p\"}")};
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
	static struct job ring[2 * JOBS]; /* more places than the queue holds and the worker has in hand */
	static size_t next;
	struct job *job = &ring[next % HD_ARRAY_LEN(ring)];
	*job = (struct job){fn, fn_arg};
	if (!hd_queue_try_push(rig.queue, job))
		return false;
	next++;
	return true;
}

static void *work(void *arg)
{
	(void)arg;
	void *items[64];
	for (size_t n; (n = hd_queue_pop(rig.queue, items, 64, -1)) > 0;)
		for (size_t i = 0; i < n; i++) {
			struct job *job = items[i];
			job->fn(job->arg, NULL);
		}
	return NULL;
}

static int feed(void *arg, struct hd_worker *w, uint32_t point, const hydro_raw *raws, uint32_t count, const struct hd_collect_feed *how,
		struct hydro_error *err)
{
	(void)arg, (void)w, (void)how, (void)err;
	__atomic_store_n(&rig.newest_ms[point], raws[count - 1].ts_ms, __ATOMIC_RELAXED);
	__atomic_add_fetch(&rig.raws, count, __ATOMIC_RELAXED);
	return HYDRO_OK;
}

static int64_t newest(void *arg, uint32_t point)
{
	(void)arg;
	return __atomic_load_n(&rig.newest_ms[point], __ATOMIC_RELAXED);
}

static void must(int rc, const struct hydro_error *err, const char *what)
{
	if (rc == HYDRO_OK)
		return;
	(void)fprintf(stderr, "bench_poll: %s: %s\n", what, err->text);
	exit(1);
}

static void rig_open(const char *twin)
{
	struct hydro_error err = {.struct_size = sizeof err};
	must(hd_module_open(twin, &rig.twin, &err), &err, twin);
	must(hd_names_open(NULL, &rig.names, &err), &err, "names");
	rig.host = (hydro_host){sizeof rig.host, HYDRO_ABI_MAJOR, HYDRO_ABI_MINOR,  0,           NULL,
				host_log,        host_metric,     host_metric_name, host_now_ms, host_mono_ns};
	char json[256];
	(void)snprintf(json, sizeof json, "{\"base_url\":\"http://127.0.0.1:%u\"}", port);
	cJSON *parsed = cJSON_Parse(json);
	struct hd_options *options;
	must(hd_options_parse(rig.twin.descriptor, HYDRO_SCOPE_INSTANCE, parsed, rig.names, &options, &err), &err, "options");
	cJSON_Delete(parsed);
	must(rig.twin.descriptor->ops.provider.create(&rig.host, hd_options_abi(options), &rig.instance, &err), &err, "create");
	hd_options_unref(&options);
	must(hd_points_new(&rig.points), &err, "points");
	for (uint32_t i = 0; i < POINTS; i++) {
		(void)snprintf(json, sizeof json, "{\"device\":\"device-%05u\",\"keys\":{\"flow\":\"5001\",\"level\":\"5002\",\"pulses\":\"5003\"}}",
			       i);
		struct hd_point_spec spec = {.index = i,
					     .version = 1,
					     .bits = HD_POINT_ACTIVE,
					     .account = 1,
					     .period_s = 1,
					     .join_ms = 30000,
					     .name = "p",
					     .provider = "twin",
					     .options = json};
		memcpy(spec.id.bytes, &i, sizeof i);
		spec.id.bytes[15] = 1;
		uint32_t index;
		must(hd_points_put(rig.points, &spec, &index, &err), &err, "point");
		rig.newest_ms[i] = hd_clock_wall_ms() - 1000;
	}
	must(hd_queue_new(JOBS, &rig.queue), &err, "queue");
	must(hd_thread_start(&rig.worker, HD_ROLE_WORKER, "hd-worker", work, NULL, &err), &err, "worker");
}

static void rig_close(void)
{
	hd_queue_close(rig.queue);
	pthread_join(rig.worker, NULL);
	hd_queue_free(&rig.queue);
	rig.twin.descriptor->ops.provider.destroy(rig.instance);
	hd_points_free(&rig.points);
	hd_module_close(&rig.twin);
	hd_names_close(&rig.names);
}

static uint64_t good_polls(struct hd_collect *collect, struct hd_collect_counters *ret)
{
	(void)hd_collect_counters(collect, NULL, ret, NULL);
	return ret->polls_good;
}

static double collect_run(double seconds, double *ret_data_share)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_net *net;
	struct hd_net_config net_config = {.connections_max = connections};
	must(hd_net_open(&net_config, &net, &err), &err, "net");
	struct hd_collect_provider provider = {.name = "twin",
					       .ops = &rig.twin.descriptor->ops.provider,
					       .instance = rig.instance,
					       .descriptor = rig.twin.descriptor,
					       .concurrency = connections};
	struct hd_collect_config config = {
		.net = net,
		.points = rig.points,
		.providers = &provider,
		.provider_count = 1,
		.in_flight_max = connections,
		.overlap_ms = -1,
		.deep_ms = -1,
		.ops = {.options = make_options,
			.options_free = free_options,
			.account = account,
			.worker_of = worker_of,
			.post = post,
			.feed = feed,
			.newest = newest},
	};
	struct hd_collect *collect;
	must(hd_collect_open(&config, &collect, &err), &err, "collect");
	struct hd_collect_counters counters;
	/* The connections are open and everybody has been busy once. */
	while (good_polls(collect, &counters) < 2 * connections)
		usleep(10000);
	int64_t begin_ns = hd_clock_real_ns();
	uint64_t before = good_polls(collect, &counters);
	usleep((useconds_t)(seconds * 1e6));
	uint64_t done = good_polls(collect, &counters) - before;
	double rate = (double)done / ((double)(hd_clock_real_ns() - begin_ns) / 1e9);
	*ret_data_share = (double)counters.parts_data / (double)(counters.parts_data + counters.parts_no_data + counters.parts_failed);
	if (counters.polls_failed > 0)
		(void)fprintf(stderr, "bench_poll: %llu polls failed\n", (unsigned long long)counters.polls_failed);
	(void)hd_collect_drain(collect, 5000, NULL);
	hd_collect_close(&collect);
	hd_net_close(&net);
	return rate;
}

/* The bare loop in a process of its own: libcurl's allocator is set once a process, and hydrod's wipes what it frees. */
static pid_t bare_start(int *ret_ask, int *ret_rate)
{
	int ask[2], rate[2];
	if (pipe(ask) != 0 || pipe(rate) != 0)
		abort();
	pid_t child = fork();
	if (child == 0) {
		double seconds, result;
		(void)close(ask[1]);
		(void)curl_global_init(CURL_GLOBAL_DEFAULT);
		while (read(ask[0], &seconds, sizeof seconds) == (ssize_t)sizeof seconds) {
			result = bare_run(seconds);
			if (write(rate[1], &result, sizeof result) != (ssize_t)sizeof result)
				break;
		}
		_exit(0);
	}
	(void)close(ask[0]);
	(void)close(rate[1]);
	*ret_ask = ask[1];
	*ret_rate = rate[0];
	return child;
}

static double bare_ask(int ask, int rate, double seconds)
{
	double result = NAN;
	if (write(ask, &seconds, sizeof seconds) != (ssize_t)sizeof seconds || read(rate, &result, sizeof result) != (ssize_t)sizeof result) {
		(void)fprintf(stderr, "bench_poll: the bare loop has ended\n");
		exit(1);
	}
	return result;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		(void)fprintf(stderr, "bench_poll TWIN_SO [SECONDS] [ROUNDS] [CONNECTIONS]\n");
		return 2;
	}
	double seconds = argc > 2 ? atof(argv[2]) : 3;
	int rounds = argc > 3 ? HD_MIN(atoi(argv[3]), ROUNDS_MAX) : 5;
	connections = argc > 4 ? (uint32_t)atoi(argv[4]) : connections;
	struct rlimit files = {65536, 65536};
	if (setrlimit(RLIMIT_NOFILE, &files) != 0) {
		(void)getrlimit(RLIMIT_NOFILE, &files);
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	pid_t server = poll_server_start(&port);
	int ask, rate;
	pid_t bare_loop = bare_start(&ask, &rate);
	rig_open(argv[1]);
	double bare[ROUNDS_MAX], ours[ROUNDS_MAX], ratio[ROUNDS_MAX], share = 0;
	for (int i = 0; i < rounds; i++) {
		bare[i] = bare_ask(ask, rate, seconds);
		ours[i] = collect_run(seconds, &share);
		ratio[i] = ours[i] / bare[i];
		(void)fprintf(stderr, "round %d: bare %.0f/s, collector %.0f/s, ratio %.2f, with data %.2f\n", i + 1, bare[i], ours[i], ratio[i],
			      share);
	}
	struct bench_figure figure = {.bench = "poll",
				      .name = "polls a second, parse included",
				      .unit = "polls/s",
				      .value = bench_quantile(ours, (size_t)rounds, 0.5),
				      .reference = bench_quantile(bare, (size_t)rounds, 0.5),
				      .reference_name = "bare libcurl multi loop, same connections and server",
				      .goal = 0.7,
				      .goal_is_ratio = true,
				      .n = (uint64_t)rounds};
	bench_print(&figure);
	rig_close();
	(void)close(ask);
	(void)waitpid(bare_loop, NULL, 0);
	poll_server_stop(server);
	return 0;
}
