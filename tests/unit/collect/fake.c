/* SPDX-License-Identifier: MIT */
#include "collect/fake.h"

#include "base/clock.h"
#include "check.h"

#include <hydro/conv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START_MS INT64_C(1767225600000) /* 2026-01-01 */

struct fake_pending {
	struct fake_pending *next;
	struct fake_request request;
	hd_net_done_fn done;
	void *arg;
};

struct fake_job {
	struct fake_job *next;
	void (*fn)(void *arg, struct hd_worker *w);
	void *arg;
};

int64_t fake_now(void)
{
	return hd_clock_wall_ms();
}

static void clock_begin(void)
{
	if (hd_clock_is_simulated())
		return;
	char dir[] = "/tmp/hydro-collect-XXXXXX", path[64];
	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(path, sizeof path, "%s/clock", dir);
	cr_assert_eq(hd_clock_simulate(path, START_MS, NULL), HYDRO_OK);
	unlink(path);
	rmdir(dir);
}

/* ---- the provider ---- */

static int32_t login_request(void *instance, const hydro_options *account, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	(void)instance;
	ret->url = hydro_scratch_printf(scratch, "http://fake/login?secret=%s", hydro_option_text(account, 0));
	return ret->url ? HYDRO_OK : hydro_fail(err, HYDRO_E_LIMIT, "more scratch");
}

static int32_t login_parse(void *instance, const hydro_options *account, const hydro_http_response *response, hydro_token *ret,
			   struct hydro_error *err)
{
	(void)instance, (void)account;
	if (response->status == 401)
		return hydro_fail(err, HYDRO_E_UNAUTHORIZED, "wrong password");
	if (response->status != 200)
		return hydro_fail(err, HYDRO_E_IO, "HTTP %u", response->status);
	unsigned life_s = 0;
	char token[64] = "", text[128];
	(void)snprintf(text, sizeof text, "%.*s", (int)response->body_len, response->body);
	cr_assert_eq(sscanf(text, "%63s %u", token, &life_s), 2);
	ret->token_len = (uint32_t)snprintf(ret->token, sizeof ret->token, "%s", token);
	ret->expires_at_ms = life_s ? response->received_ms + life_s * 1000 : 0;
	return HYDRO_OK;
}

static uint32_t parts(void *instance, const hydro_options *point)
{
	(void)point;
	return ((struct fake *)instance)->parts;
}

static int32_t request(void *instance, const hydro_poll *poll, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	const struct fake *f = instance;
	const char *options = hydro_option_text(poll->point, 0);
	if (f->latest_only && poll->mode == HYDRO_POLL_HISTORY)
		return hydro_fail(err, HYDRO_E_UNSUPPORTED, "no history here");
	if (strcmp(options, "bad") == 0)
		return hydro_fail(err, HYDRO_E_CONFIG, "no such device");
	/* Large on purpose: the first scratch does not suffice. */
	char *room = hydro_scratch_take(scratch, 10000);
	ret->url = room ? hydro_scratch_printf(scratch, "http://fake/%s?part=%u&mode=%u&from=%lld&to=%lld&token=%s&cont=%.*s", options, poll->part,
					       poll->mode, (long long)poll->from_ms, (long long)poll->to_ms, poll->token, (int)poll->continuation_len,
					       poll->continuation ? (const char *)poll->continuation : "")
			: NULL;
	ret->url_log = "http://fake/***";
	return ret->url ? HYDRO_OK : hydro_fail(err, HYDRO_E_LIMIT, "more scratch");
}

/* Lines: "r <ts> <value> <metric>", then "more <continuation>", "none", "fail <reason>", "end", "bad" or nothing valid. */
static int32_t parse(void *instance, const hydro_poll *poll, const hydro_http_response *response, const hydro_emit *emit, hydro_outcome *ret,
		     struct hydro_error *err)
{
	(void)instance, (void)poll;
	if (response->status == 401) {
		ret->status = HYDRO_PART_UNAUTHORIZED;
		return HYDRO_OK;
	}
	if (response->status != 200)
		return hydro_fail(err, HYDRO_E_IO, "HTTP %u", response->status);
	char *text = strndup(response->body, response->body_len), *rest = text;
	ret->status = HYDRO_PART_NO_DATA;
	for (char *line; (line = strsep(&rest, "\n"));) {
		hydro_raw raw = {0};
		long long ts;
		if (sscanf(line, "r %lld %lf %u", &ts, &raw.value, &raw.metric) == 3) {
			raw.ts_ms = ts;
			cr_assert_eq(emit->raw(emit->ctx, &raw, 1), HYDRO_OK);
			ret->status = HYDRO_PART_DATA;
		} else if (strncmp(line, "more ", 5) == 0) {
			ret->status = HYDRO_PART_MORE;
			ret->continuation_len = (uint32_t)strlen(line + 5);
			memcpy(ret->continuation, line + 5, ret->continuation_len);
		} else if (strncmp(line, "fail ", 5) == 0) {
			ret->status = HYDRO_PART_FAILED;
			(void)hydro_fail(err, HYDRO_E_PROTOCOL, "%s", line + 5);
		} else if (strcmp(line, "bad") == 0) {
			ret->status = 99;
		}
	}
	free(text);
	return HYDRO_OK;
}

/* ---- the server ---- */

void fake_serve_series(struct fake *f, const struct fake_request *q, struct fake_reply *reply)
{
	if (f->down) {
		reply->failure = HD_NET_CONNECT;
		return;
	}
	reply->status = 200;
	if (q->login) {
		(void)snprintf(reply->body, sizeof reply->body, "t%llu %u", (unsigned long long)f->tokens, f->token_life_s);
		return;
	}
	char expected[32];
	(void)snprintf(expected, sizeof expected, "t%llu", (unsigned long long)f->tokens);
	if (f->ops.capabilities & HYDRO_PROVIDER_LOGIN && strcmp(q->token, expected) != 0) {
		reply->status = 401;
		return;
	}
	int64_t newest = fake_now() / f->reading_ms * f->reading_ms, from = newest, to = newest;
	if (q->mode == HYDRO_POLL_HISTORY) {
		from = (q->from_ms + f->reading_ms - 1) / f->reading_ms * f->reading_ms;
		to = HD_MIN(q->to_ms, newest);
	}
	if (q->continuation[0])
		from = strtoll(q->continuation, NULL, 10);
	size_t len = 0;
	uint32_t rows = 0;
	for (int64_t ts = from; ts <= to; ts += f->reading_ms) {
		if (f->page_rows && rows == f->page_rows) {
			(void)snprintf(reply->body + len, sizeof reply->body - len, "more %lld\n", (long long)ts);
			return;
		}
		if (ts >= f->silent_from_ms && ts < f->silent_to_ms)
			continue;
		len += (size_t)snprintf(reply->body + len, sizeof reply->body - len, "r %lld %u %u\n", (long long)ts, q->point, q->part + 1);
		cr_assert_lt(len, sizeof reply->body - 64);
		rows++;
	}
}

static int submit(void *arg, const struct hd_net_request *request, hd_net_done_fn done, void *done_arg, struct hydro_error *err)
{
	(void)err;
	struct fake *f = arg;
	struct fake_pending *p = calloc(1, sizeof *p);
	cr_assert_not_null(p);
	struct fake_request *q = &p->request;
	q->at_ms = fake_now();
	if (sscanf(request->url, "http://fake/login?secret=%31s", q->secret) >= 1) {
		q->login = true;
		f->login_count++;
	} else {
		long long from, to;
		cr_assert_geq(sscanf(request->url, "http://fake/%u?part=%u&mode=%u&from=%lld&to=%lld", &q->point, &q->part, &q->mode, &from, &to), 5);
		q->from_ms = from;
		q->to_ms = to;
		const char *token = strstr(request->url, "&token=") + 7, *cont = strstr(request->url, "&cont=") + 6;
		(void)snprintf(q->token, sizeof q->token, "%.*s", (int)(cont - 6 - token), token);
		(void)snprintf(q->continuation, sizeof q->continuation, "%s", cont);
		f->in_flight++;
		f->most_in_flight = HD_MAX(f->most_in_flight, f->in_flight);
	}
	cr_assert_lt(f->request_count, FAKE_REQUESTS_MAX);
	f->requests[f->request_count++] = *q;
	p->done = done;
	p->arg = done_arg;
	*f->pending_end = p;
	f->pending_end = &p->next;
	return HYDRO_OK;
}

static struct fake_pending *pending_take(struct fake *f)
{
	struct fake_pending **at = &f->pending;
	while (f->logins_first && *at && !(*at)->request.login)
		at = &(*at)->next;
	if (!*at)
		at = &f->pending;
	struct fake_pending *taken = *at;
	*at = taken->next;
	f->pending_end = &f->pending;
	while (*f->pending_end)
		f->pending_end = &(*f->pending_end)->next;
	return taken;
}

static bool deliver_one(struct fake *f)
{
	if (!f->pending || f->hold_replies)
		return false;
	struct fake_pending *p = pending_take(f);
	struct fake_reply *reply = calloc(1, sizeof *reply);
	cr_assert_not_null(reply);
	reply->retry_after_ms = -1;
	(f->serve ? f->serve : fake_serve_series)(f, &p->request, reply);
	struct hd_buf body = {0};
	hd_buf_add_text(&body, reply->body);
	struct hd_net_result result = {.status = reply->status,
				       .failure = reply->status ? HD_NET_NONE : reply->failure,
				       .sent = true,
				       .body = &body,
				       .content_type = "text/plain",
				       .retry_after_ms = reply->retry_after_ms,
				       .received_ns = hd_clock_real_ns(),
				       .detail = ""};
	f->in_flight -= !p->request.login;
	p->done(p->arg, &result);
	hd_buf_done(&body);
	free(reply);
	free(p);
	return true;
}

/* ---- the ops ---- */

struct fake_options {
	hydro_options abi;
	hydro_option_value value;
	char text[];
};

static int make_options(void *arg, const struct hd_collect_provider *provider, uint32_t scope, const char *json, void **ret_handle,
			const hydro_options **ret_view, struct hydro_error *err)
{
	(void)arg, (void)provider, (void)scope;
	if (strcmp(json, "invalid") == 0)
		return hd_error_set(err, HYDRO_E_CONFIG, "option 'device' is missing");
	struct fake_options *o = calloc(1, sizeof *o + strlen(json) + 1);
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
	struct fake *f = arg;
	if (id == 99)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "no account %u", id);
	ret->version = f->account_version;
	ret->options = strdup(f->account_options);
	return HYDRO_OK;
}

static uint32_t worker_of(void *arg, uint32_t point)
{
	(void)arg;
	return point % FAKE_WORKERS;
}

static bool post(void *arg, uint32_t worker, void (*fn)(void *arg, struct hd_worker *w), void *fn_arg)
{
	(void)worker;
	struct fake *f = arg;
	if (f->workers_full)
		return false;
	struct fake_job *job = calloc(1, sizeof *job);
	job->fn = fn;
	job->arg = fn_arg;
	*f->jobs_end = job;
	f->jobs_end = &job->next;
	return true;
}

static int feed(void *arg, struct hd_worker *w, uint32_t point, const hydro_raw *raws, uint32_t count, const struct hd_collect_feed *how,
		struct hydro_error *err)
{
	(void)w;
	struct fake *f = arg;
	if (f->refuse_feed)
		return hd_error_set(err, HYDRO_E_INVALID, "not today");
	cr_assert_lt(f->feed_count, FAKE_FEEDS_MAX);
	struct fake_feed *feed = &f->feeds[f->feed_count++];
	*feed = (struct fake_feed){
		.point = point, .count = count, .mode = how->mode, .first_ms = raws[0].ts_ms, .last_ms = raws[count - 1].ts_ms, .sorted = true};
	int64_t newest = f->newest_ms[point], last = newest;
	for (uint32_t i = 0; i < count; i++) {
		feed->sorted = feed->sorted && (i == 0 || raws[i].ts_ms >= raws[i - 1].ts_ms);
		f->rows[point] += raws[i].ts_ms > last;
		last = HD_MAX(last, raws[i].ts_ms);
	}
	f->newest_ms[point] = last;
	if (how->synced && f->hold_syncs) {
		f->syncs[f->sync_count].synced = how->synced;
		f->syncs[f->sync_count++].arg = how->arg;
	} else if (how->synced) {
		how->synced(how->arg, count, 0);
	}
	return HYDRO_OK;
}

static int64_t newest(void *arg, uint32_t point)
{
	return ((struct fake *)arg)->newest_ms[point];
}

static void hold(void *arg, struct hd_worker *w, uint32_t point)
{
	(void)w, (void)point;
	((struct fake *)arg)->holds++;
}

static void release(void *arg, struct hd_worker *w, uint32_t point)
{
	(void)w, (void)point;
	((struct fake *)arg)->releases++;
}

static bool idle(void *arg, int64_t *ret_next_ms)
{
	(void)ret_next_ms;
	struct fake *f = arg;
	return f->idle && f->idle(f);
}

static void event(void *arg, uint32_t level, const char *name, const char *text)
{
	(void)level, (void)text;
	struct fake *f = arg;
	(void)snprintf(f->last_event, sizeof f->last_event, "%s", name);
}

/* ---- life ---- */

struct fake *fake_new(void)
{
	clock_begin();
	struct fake *f = calloc(1, sizeof *f);
	cr_assert_not_null(f);
	f->pending_end = &f->pending;
	f->jobs_end = &f->jobs;
	f->parts = 1;
	f->reading_ms = 60000;
	f->tokens = 1;
	(void)snprintf(f->account_options, sizeof f->account_options, "pw1");
	struct hd_net_config net = {.manual = true};
	cr_assert_eq(hd_net_open(&net, &f->net, NULL), HYDRO_OK);
	cr_assert_eq(hd_points_new(&f->points), HYDRO_OK);
	f->ops = (hydro_provider_ops){.struct_size = sizeof f->ops,
				      .capabilities = HYDRO_PROVIDER_HTTP | HYDRO_PROVIDER_HISTORY,
				      .parts = parts,
				      .login_request = login_request,
				      .login_parse = login_parse,
				      .request = request,
				      .parse = parse};
	f->provider = (struct hd_collect_provider){.name = "fake", .ops = &f->ops, .instance = f};
	f->config = (struct hd_collect_config){
		.net = f->net,
		.points = f->points,
		.providers = &f->provider,
		.provider_count = 1,
		.seed = 7,
		.ahead_ms = -1,
		.overlap_ms = -1,
		.deep_ms = -1,
		.submit = submit,
		.submit_arg = f,
		.ops = {.arg = f,
			.options = make_options,
			.options_free = free_options,
			.account = account,
			.worker_of = worker_of,
			.post = post,
			.feed = feed,
			.newest = newest,
			.hold = hold,
			.release = release,
			.idle = idle,
			.event = event},
	};
	return f;
}

static void put(struct fake *f, uint32_t index, uint32_t period_s, uint32_t bits, uint32_t account_id, const char *options, bool fresh)
{
	struct hd_point_spec spec = {.index = fresh ? HD_POINT_NONE : index,
				     .version = 1,
				     .bits = bits,
				     .account = account_id,
				     .period_s = period_s,
				     .join_ms = 30000,
				     .name = "p",
				     .provider = "fake",
				     .options = options};
	memset(spec.id.bytes, 0, sizeof spec.id.bytes);
	spec.id.bytes[15] = (uint8_t)(index + 1);
	if (!fresh) {
		const struct hd_point *old = hd_points_get(f->points, index);
		spec.version = old->version + 1;
		spec.account = old->account;
		hd_point_unref(old);
	}
	uint32_t got;
	struct hydro_error err = {0};
	cr_assert_eq(hd_points_put(f->points, &spec, &got, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(got, index);
}

uint32_t fake_point(struct fake *f, uint32_t period_s, uint32_t account_id)
{
	uint32_t index = hd_points_count(f->points);
	cr_assert_lt(index, FAKE_POINTS_MAX);
	char options[16];
	(void)snprintf(options, sizeof options, "%u", index);
	put(f, index, period_s, HD_POINT_ACTIVE, account_id, options, true);
	f->newest_ms[index] = fake_now() / f->reading_ms * f->reading_ms;
	return index;
}

void fake_point_set(struct fake *f, uint32_t index, uint32_t period_s, uint32_t bits, const char *options)
{
	put(f, index, period_s, bits, 0, options, false);
}

void fake_open(struct fake *f)
{
	struct hydro_error err = {0};
	cr_assert_eq(hd_collect_open(&f->config, &f->collect, &err), HYDRO_OK, "%s", err.text);
}

static bool job_one(struct fake *f)
{
	struct fake_job *job = f->jobs;
	if (!job)
		return false;
	f->jobs = job->next;
	if (!f->jobs)
		f->jobs_end = &f->jobs;
	job->fn(job->arg, NULL);
	free(job);
	return true;
}

void fake_pump(struct fake *f)
{
	bool any;
	do {
		uint32_t before = f->request_count;
		hd_net_run_once(f->net, 0);
		/* The workers before the network, so that an answer's consequences come before the next answer. */
		any = job_one(f) || deliver_one(f);
		any |= f->request_count != before;
		if (any)
			continue;
		/* Once more: the last callbacks may have posted. */
		hd_net_run_once(f->net, 0);
		any = f->request_count != before || (f->pending && !f->hold_replies) || f->jobs;
	} while (any);
}

void fake_run(struct fake *f, int64_t ms, int64_t step_ms)
{
	int64_t end = fake_now() + ms;
	fake_pump(f);
	while (fake_now() < end) {
		hd_clock_advance(HD_MIN(fake_now() + step_ms, end));
		fake_pump(f);
	}
}

void fake_free(struct fake *f)
{
	f->workers_full = f->hold_replies = false;
	if (f->collect) {
		hd_collect_drain_begin(f->collect);
		fake_pump(f);
		cr_assert(hd_collect_is_drained(f->collect));
		hd_collect_close(&f->collect);
	}
	hd_points_free(&f->points);
	hd_net_close(&f->net);
	free(f);
}

uint32_t fake_polls(const struct fake *f, uint32_t from)
{
	uint32_t n = 0;
	for (uint32_t i = from; i < f->request_count; i++)
		n += !f->requests[i].login;
	return n;
}

struct hd_collect_counters fake_counters(struct fake *f)
{
	struct hd_collect_counters counters;
	cr_assert_eq(hd_collect_counters(f->collect, NULL, &counters, NULL), HYDRO_OK);
	return counters;
}
