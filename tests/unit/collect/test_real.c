/* SPDX-License-Identifier: MIT */
/* The collector with its real threads: io, a worker, an HTTP server that misbehaves, another thread that changes points. */
#include "check.h"

#include "base/queue.h"
#include "collect/collect.h"
#include "net/rawserver.h"

#include <cjson/cJSON.h>
#include <hydro/conv.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POINTS 12u
#define TOKEN "tok-5f1e9c"

struct real {
	struct rawserver *server;
	uint16_t port;
	struct hd_net *net;
	struct hd_points *points;
	struct hd_collect *collect;
	hydro_provider_ops ops;
	struct hd_collect_provider provider;
	struct hd_queue *queue;
	pthread_t worker;
	pthread_mutex_t lock; /* guards: fed, newest */
	pthread_cond_t cond;
	uint32_t fed[POINTS + 8];
	int64_t newest[POINTS + 8];
};

struct job {
	void (*fn)(void *arg, struct hd_worker *w);
	void *arg;
};

/* ---- provider: the point's option is its path ---- */

static int32_t login_request(void *instance, const hydro_options *account, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	(void)account;
	struct real *r = instance;
	ret->url = hydro_scratch_printf(scratch, "http://127.0.0.1:%u/login", r->port);
	ret->body = "{\"password\":\"hush-hush\"}";
	ret->body_len = strlen(ret->body);
	return ret->url ? HYDRO_OK : hydro_fail(err, HYDRO_E_LIMIT, "more scratch");
}

static int32_t login_parse(void *instance, const hydro_options *account, const hydro_http_response *response, hydro_token *ret,
			   struct hydro_error *err)
{
	(void)instance, (void)account;
	if (response->status != 200)
		return hydro_fail(err, HYDRO_E_IO, "HTTP %u", response->status);
	ret->token_len = (uint32_t)snprintf(ret->token, sizeof ret->token, "%.*s", (int)response->body_len, response->body);
	return HYDRO_OK;
}

static int32_t request(void *instance, const hydro_poll *poll, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	struct real *r = instance;
	hydro_http_header *headers = hydro_scratch_take(scratch, 2 * sizeof *headers);
	char *bearer = hydro_scratch_printf(scratch, "Bearer %s", poll->token);
	ret->url = hydro_scratch_printf(scratch, "http://127.0.0.1:%u/%s/device-secret-77", r->port, hydro_option_text(poll->point, 0));
	if (!headers || !bearer || !ret->url)
		return hydro_fail(err, HYDRO_E_LIMIT, "more scratch");
	headers[0] = (hydro_http_header){"Authorization", bearer, HYDRO_HEADER_SECRET, 0};
	headers[1] = (hydro_http_header){"Accept", "text/plain", 0, 0};
	ret->headers = headers;
	ret->header_count = 2;
	ret->header_stride = sizeof *headers;
	return HYDRO_OK;
}

static int32_t parse(void *instance, const hydro_poll *poll, const hydro_http_response *response, const hydro_emit *emit, hydro_outcome *ret,
		     struct hydro_error *err)
{
	(void)instance;
	if (response->status == 401) {
		ret->status = HYDRO_PART_UNAUTHORIZED;
		return HYDRO_OK;
	}
	if (response->status != 200)
		return hydro_fail(err, HYDRO_E_IO, "HTTP %u", response->status);
	hydro_raw raw = {.ts_ms = poll->now_ms, .value = 4.5, .metric = 1};
	ret->status = HYDRO_PART_DATA;
	return emit->raw(emit->ctx, &raw, 1);
}

static bool answer(void *arg, int fd, const char *text)
{
	(void)arg;
	if (strncmp(text, "POST /login", 11) == 0)
		return rawserver_answer(fd, 200, NULL, TOKEN);
	if (strncmp(text, "GET /hang", 9) == 0)
		return rawserver_hang(fd);
	if (strncmp(text, "GET /cut", 8) == 0)
		return false;
	if (strncmp(text, "GET /big", 8) == 0) {
		char *big = calloc(1, 70001);
		memset(big, 'x', 70000);
		rawserver_answer(fd, 200, NULL, big);
		free(big);
		return true;
	}
	if (!strstr(text, "Authorization: Bearer " TOKEN))
		return rawserver_answer(fd, 401, NULL, "");
	return rawserver_answer(fd, 200, NULL, "you sent " TOKEN);
}

/* ---- ops ---- */

struct options {
	hydro_options abi;
	hydro_option_value value;
	char text[];
};

static int make_options(void *arg, const struct hd_collect_provider *provider, uint32_t scope, const char *json, void **ret_handle,
			const hydro_options **ret_view, struct hydro_error *err)
{
	(void)arg, (void)provider, (void)scope, (void)err;
	struct options *o = calloc(1, sizeof *o + strlen(json) + 1);
	memcpy(o->text, json, strlen(json) + 1);
	o->value = (hydro_option_value){.is_set = 1, .text = o->text};
	o->abi = (hydro_options){sizeof o->abi, 1, sizeof o->value, 0, &o->value, o};
	*ret_handle = o;
	*ret_view = &o->abi;
	return HYDRO_OK;
}

static void free_options(void *arg, void *handle)
{
	(void)arg;
	free(handle);
}

static int account(void *arg, uint32_t id, struct hd_collect_account *ret, struct hydro_error *err)
{
	(void)arg, (void)id, (void)err;
	*ret = (struct hd_collect_account){1, strdup("{}")};
	return HYDRO_OK;
}

static uint32_t worker_of(void *arg, uint32_t point)
{
	(void)arg, (void)point;
	return 0;
}

static bool post(void *arg, uint32_t worker, void (*fn)(void *arg, struct hd_worker *w), void *fn_arg)
{
	(void)worker;
	struct real *r = arg;
	struct job *job = malloc(sizeof *job);
	*job = (struct job){fn, fn_arg};
	if (hd_queue_try_push(r->queue, job))
		return true;
	free(job);
	return false;
}

static int feed(void *arg, struct hd_worker *w, uint32_t point, const hydro_raw *raws, uint32_t count, const struct hd_collect_feed *how,
		struct hydro_error *err)
{
	(void)w, (void)how, (void)err;
	struct real *r = arg;
	pthread_mutex_lock(&r->lock);
	r->fed[point]++;
	r->newest[point] = raws[count - 1].ts_ms;
	pthread_cond_broadcast(&r->cond);
	pthread_mutex_unlock(&r->lock);
	return HYDRO_OK;
}

static int64_t newest(void *arg, uint32_t point)
{
	struct real *r = arg;
	pthread_mutex_lock(&r->lock);
	int64_t ms = r->newest[point];
	pthread_mutex_unlock(&r->lock);
	return ms;
}

static int dry_run(void *arg, uint32_t point, const hydro_raw *raws, uint32_t count, struct hd_buf *ret_json, struct hydro_error *err)
{
	(void)arg, (void)point, (void)raws, (void)err;
	hd_buf_printf(ret_json, "{\"seen\":%u}", count);
	return HYDRO_OK;
}

static void *work(void *arg)
{
	struct real *r = arg;
	void *item;
	while (hd_queue_pop(r->queue, &item, 1, -1) == 1) {
		struct job *job = item;
		job->fn(job->arg, NULL);
		free(job);
	}
	return NULL;
}

/* ---- life ---- */

static uint32_t put(struct real *r, uint32_t number, const char *path, uint32_t bits)
{
	struct hd_point_spec spec = {.index = HD_POINT_NONE,
				     .version = 1,
				     .bits = bits,
				     .account = 1,
				     .period_s = 3600,
				     .join_ms = 30000,
				     .name = "p",
				     .provider = "real",
				     .options = path};
	spec.id.bytes[0] = (uint8_t)(number + 1);
	spec.index = hd_points_find(r->points, &spec.id);
	uint32_t index;
	cr_assert_eq(hd_points_put(r->points, &spec, &index, NULL), HYDRO_OK);
	return index;
}

static void setup(struct real *r, uint32_t capabilities)
{
	memset(r, 0, sizeof *r);
	r->server = rawserver_start(answer, NULL, &r->port);
	struct hd_net_config net = {.timeout_ms = 20000, .body_max_bytes = 65536};
	cr_assert_eq(hd_net_open(&net, &r->net, NULL), HYDRO_OK);
	cr_assert_eq(hd_points_new(&r->points), HYDRO_OK);
	cr_assert_eq(hd_queue_new(4, &r->queue), HYDRO_OK);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->cond, NULL);
	cr_assert_eq(pthread_create(&r->worker, NULL, work, r), 0);
	r->ops = (hydro_provider_ops){.struct_size = sizeof r->ops,
				      .capabilities = capabilities,
				      .login_request = login_request,
				      .login_parse = login_parse,
				      .request = request,
				      .parse = parse};
	r->provider = (struct hd_collect_provider){.name = "real", .ops = &r->ops, .instance = r};
}

static void open_collect(struct real *r)
{
	struct hd_collect_config config = {
		.net = r->net,
		.points = r->points,
		.providers = &r->provider,
		.provider_count = 1,
		.ops = {.arg = r,
			.options = make_options,
			.options_free = free_options,
			.account = account,
			.worker_of = worker_of,
			.post = post,
			.feed = feed,
			.newest = newest,
			.dry_run = dry_run},
	};
	struct hydro_error err = {0};
	cr_assert_eq(hd_collect_open(&config, &r->collect, &err), HYDRO_OK, "%s", err.text);
}

static void teardown(struct real *r)
{
	hd_collect_close(&r->collect);
	hd_queue_close(r->queue);
	pthread_join(r->worker, NULL);
	hd_net_close(&r->net);
	hd_points_free(&r->points);
	hd_queue_free(&r->queue);
	rawserver_stop(r->server);
	pthread_cond_destroy(&r->cond);
	pthread_mutex_destroy(&r->lock);
}

static void wait_fed(struct real *r, uint32_t point, uint32_t times)
{
	pthread_mutex_lock(&r->lock);
	while (r->fed[point] < times)
		pthread_cond_wait(&r->cond, &r->lock);
	pthread_mutex_unlock(&r->lock);
}

/* Until the counters say so; each look is a round trip to the io thread, no clock is asked. */
static void wait_failed(struct real *r, uint64_t times)
{
	struct hd_collect_counters counters;
	do {
		cr_assert_eq(hd_collect_counters(r->collect, "real", &counters, NULL), HYDRO_OK);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	} while (counters.polls_failed < times);
}

Test(real, points_are_logged_in_polled_and_fed_over_real_http)
{
	struct real r;
	setup(&r, HYDRO_PROVIDER_HTTP | HYDRO_PROVIDER_LOGIN);
	for (uint32_t i = 0; i < POINTS; i++)
		put(&r, i, "good", HD_POINT_ACTIVE);
	open_collect(&r);
	uint32_t points;
	cr_assert_eq(hd_collect_now(r.collect, "real", &points, NULL), HYDRO_OK);
	cr_assert_eq(points, POINTS);
	for (uint32_t i = 0; i < POINTS; i++)
		wait_fed(&r, i, 1);
	struct hd_collect_counters counters;
	cr_assert_eq(hd_collect_counters(r.collect, "real", &counters, NULL), HYDRO_OK);
	cr_assert_eq(counters.logins, 1);
	cr_assert_eq(hd_collect_drain(r.collect, 20000, NULL), HYDRO_OK);
	teardown(&r);
}

Test(real, a_hang_a_cut_and_a_large_answer_harm_only_their_own_points)
{
	struct real r;
	setup(&r, HYDRO_PROVIDER_HTTP | HYDRO_PROVIDER_LOGIN);
	r.provider.timeout_ms = 200;
	put(&r, 0, "hang", HD_POINT_ACTIVE);
	put(&r, 1, "cut", HD_POINT_ACTIVE);
	put(&r, 2, "big", HD_POINT_ACTIVE);
	put(&r, 3, "good", HD_POINT_ACTIVE);
	open_collect(&r);
	uint32_t points;
	cr_assert_eq(hd_collect_now(r.collect, "real", &points, NULL), HYDRO_OK);
	wait_fed(&r, 3, 1);
	wait_failed(&r, 3);
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	cr_assert_eq(hd_collect_status_json(r.collect, "real", &buf, NULL), HYDRO_OK);
	const char *text = hd_buf_text(&buf);
	cr_assert_not_null(strstr(text, "time-out"), "%s", text);
	cr_assert_not_null(strstr(text, "connection cut"), "%s", text);
	cr_assert_not_null(strstr(text, "answer too large"), "%s", text);
	cr_assert_null(strstr(text, TOKEN));
	teardown(&r);
}

Test(real, draining_gives_up_on_a_hang_at_its_deadline)
{
	struct real r;
	setup(&r, HYDRO_PROVIDER_HTTP);
	put(&r, 0, "hang", HD_POINT_ACTIVE);
	open_collect(&r);
	cr_assert_eq(hd_collect_point_now(r.collect, 0, NULL), HYDRO_OK);
	struct hd_collect_counters counters;
	do {
		cr_assert_eq(hd_collect_counters(r.collect, "real", &counters, NULL), HYDRO_OK);
	} while (counters.requests == 0);
	cr_assert_eq(hd_collect_drain(r.collect, 50, NULL), HYDRO_E_TIMEOUT);
	cr_assert_eq(hd_collect_counters(r.collect, "real", &counters, NULL), HYDRO_OK);
	cr_assert_eq(counters.polls_failed, 1);
	teardown(&r);
}

static void *change_points(void *arg)
{
	struct real *r = arg;
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t index = put(r, i % POINTS, i % 3 ? "good" : "cut", i % 5 ? HD_POINT_ACTIVE : 0);
		(void)hd_collect_point_now(r->collect, index, NULL);
		(void)hd_collect_account_changed(r->collect, 1, NULL);
	}
	return NULL;
}

Test(real, points_and_accounts_change_while_they_are_polled)
{
	struct real r;
	setup(&r, HYDRO_PROVIDER_HTTP | HYDRO_PROVIDER_LOGIN);
	for (uint32_t i = 0; i < POINTS; i++)
		put(&r, i, "good", HD_POINT_ACTIVE);
	open_collect(&r);
	pthread_t changer;
	cr_assert_eq(pthread_create(&changer, NULL, change_points, &r), 0);
	for (int i = 0; i < 50; i++) {
		HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
		uint32_t points;
		cr_assert_eq(hd_collect_now(r.collect, "real", &points, NULL), HYDRO_OK);
		cr_assert_eq(hd_collect_providers_json(r.collect, &buf, NULL), HYDRO_OK);
	}
	pthread_join(changer, NULL);
	uint32_t last = put(&r, POINTS, "good", HD_POINT_ACTIVE);
	wait_fed(&r, last, 1);
	cr_assert_eq(hd_collect_drain(r.collect, 20000, NULL), HYDRO_OK);
	teardown(&r);
}

Test(real, a_dry_poll_shows_all_stores_nothing_and_hides_secrets)
{
	struct real r;
	setup(&r, HYDRO_PROVIDER_HTTP | HYDRO_PROVIDER_LOGIN);
	static const hydro_option rows[] = {{.key = "device", .type = HYDRO_OPT_STRING, .scope = HYDRO_SCOPE_POINT, .flags = HYDRO_OPT_SECRET}};
	r.provider.rows = rows;
	r.provider.row_count = 1;
	uint32_t good = put(&r, 0, "good", HD_POINT_ACTIVE), cut = put(&r, 1, "cut", HD_POINT_ACTIVE), off = put(&r, 2, "good", 0);
	open_collect(&r);
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	struct hydro_error err = {0};
	cr_assert_eq(hd_collect_dry(r.collect, good, &buf, &err), HYDRO_OK, "%s", err.text);
	const char *text = hd_buf_text(&buf);
	cJSON *json = cJSON_Parse(text);
	cr_assert_not_null(json, "%s", text);
	cr_assert_null(strstr(text, TOKEN), "%s", text);
	cr_assert_null(strstr(text, "device-secret-77"), "%s", text);
	cr_assert_null(strstr(text, "hush-hush"), "%s", text);
	cr_assert_not_null(strstr(text, "\"answer\":\"you sent ***\""), "%s", text);
	cr_assert_not_null(strstr(text, "\"Authorization\":\"***\""), "%s", text);
	cr_assert_not_null(strstr(text, "\"Accept\":\"text/plain\""), "%s", text);
	cr_assert_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "readings")), 1);
	cr_assert_float_eq(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "pipeline"), "seen")->valuedouble, 1, 0);
	cJSON_Delete(json);
	hd_buf_clear(&buf);
	cr_assert_eq(hd_collect_dry(r.collect, cut, &buf, &err), HYDRO_OK);
	cr_assert_not_null(strstr(hd_buf_text(&buf), "\"failure\":\"connection cut\""), "%s", hd_buf_text(&buf));
	cr_assert_not_null(strstr(hd_buf_text(&buf), "\"outcome\":\"failed\""));
	json = cJSON_Parse(hd_buf_text(&buf));
	cr_assert_not_null(json);
	cJSON_Delete(json);
	cr_assert_eq(hd_collect_dry(r.collect, off, &buf, &err), HYDRO_E_CONFIG);
	cr_assert_eq(hd_collect_dry(r.collect, 99, &buf, &err), HYDRO_E_NOTFOUND);
	pthread_mutex_lock(&r.lock);
	cr_assert_eq(r.fed[good] + r.fed[cut], 0);
	pthread_mutex_unlock(&r.lock);
	teardown(&r);
}
