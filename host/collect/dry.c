/* SPDX-License-Identifier: MIT */
/* One poll for a person to look at: what was asked, answered, read, and what the pipeline would make of it. Stores nothing. */
#include "base/timefmt.h"
#include "collect/collect_impl.h"

#include <stdio.h>
#include <stdlib.h>

#define ANSWER_SHOWN_BYTES 16384u
#define SECRETS_MAX 64u
#define SECRET_BYTES_MIN 4u /* shorter ones would blacken the answer */
#define REQUESTS_SHOWN 64u
#define WAIT_S 60
#define LOOK_BACK_PERIODS 3
#define LOOK_BACK_MIN_MS (15 * 60 * HD_MS_PER_S)

/* Held by the caller and by the poll; the last one frees. */
struct dry {
	pthread_mutex_t lock; /* guards: refs, done */
	pthread_cond_t cond;
	uint32_t refs;
	bool done;
	/* the poll's until done, then the caller's */
	struct hd_collect *collect;
	uint32_t point;
	int rc;
	struct hydro_error error;
	struct hd_buf requests; /* JSON objects, by commas */
	uint32_t request_count;
	bool open; /* the last object waits for its outcome */
	char mode[16];
	char *secrets[SECRETS_MAX];
	uint32_t secret_count;
	hydro_raw *raws;
	uint32_t raw_count;
};

static void dry_unref(struct dry *dry)
{
	pthread_mutex_lock(&dry->lock);
	bool last = --dry->refs == 0;
	pthread_mutex_unlock(&dry->lock);
	if (!last)
		return;
	for (uint32_t i = 0; i < dry->secret_count; i++) {
		explicit_bzero(dry->secrets[i], strlen(dry->secrets[i]));
		free(dry->secrets[i]);
	}
	hd_buf_done(&dry->requests);
	free(dry->raws);
	pthread_mutex_destroy(&dry->lock);
	pthread_cond_destroy(&dry->cond);
	free(dry);
}

/* ---- secrets ---- */

static void secret_add(struct dry *dry, const char *text)
{
	if (!text || strlen(text) < SECRET_BYTES_MIN || dry->secret_count == SECRETS_MAX)
		return;
	char *copy = strdup(text);
	if (copy)
		dry->secrets[dry->secret_count++] = copy;
}

static void secrets_of(struct dry *dry, const struct hd_collect_provider *provider, const hydro_options *options, uint32_t scope)
{
	for (uint32_t i = 0; options && i < provider->row_count && i < options->count; i++) {
		const hydro_option *row = &provider->rows[i];
		if (row->scope != scope || !(row->flags & HYDRO_OPT_SECRET))
			continue;
		const hydro_option_value *value =
			(const hydro_option_value *)(const void *)((const char *)options->values + (size_t)i * options->value_stride);
		if (value->is_set)
			secret_add(dry, value->text);
	}
}

/* Text as JSON with every known secret replaced. */
static void put_redacted(struct dry *dry, const char *text, size_t len)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf clean = {0};
	size_t at = 0;
	while (at < len) {
		size_t hit = 0;
		for (uint32_t i = 0; i < dry->secret_count && !hit; i++) {
			size_t secret = strlen(dry->secrets[i]);
			if (secret <= len - at && memcmp(text + at, dry->secrets[i], secret) == 0)
				hit = secret;
		}
		if (hit)
			hd_buf_add_text(&clean, "***");
		else
			hd_buf_add_char(&clean, text[at]);
		at += hit ? hit : 1;
	}
	hd_buf_add_json(&dry->requests, clean.data ? clean.data : "", clean.len);
}

/* ---- what the poll tells, on the io thread ---- */

static void put_url(struct dry *dry, const hydro_http_request *request)
{
	if (request->url_log) {
		put_redacted(dry, request->url_log, strlen(request->url_log));
		return;
	}
	const char *host = strstr(request->url, "://");
	size_t len = host ? (size_t)(host - request->url) + 3 + strcspn(host + 3, "/?#") : 0;
	put_redacted(dry, request->url, len);
}

void dry_request(struct poll *poll, const hydro_http_request *request)
{
	struct dry *dry = poll->dry;
	static const char *const methods[] = {"", "GET", "POST", "PUT"};
	const struct hd_collect_provider *provider = &provider_of(poll->account)->config;
	if (dry->secret_count == 0) {
		secrets_of(dry, provider, poll->options->view, HYDRO_SCOPE_POINT);
		secrets_of(dry, provider, poll->account_options->view, HYDRO_SCOPE_ACCOUNT);
	}
	if (poll->token)
		secret_add(dry, poll->token->text);
	if (dry->request_count++ >= REQUESTS_SHOWN)
		return;
	hd_buf_printf(&dry->requests, "%s{\"part\":%u,\"page\":%u,\"method\":\"%s\",\"url\":", dry->requests.len ? "," : "", poll->part, poll->pages,
		      request->method <= HYDRO_HTTP_PUT ? methods[request->method] : "");
	put_url(dry, request);
	hd_buf_add_text(&dry->requests, ",\"headers\":{");
	size_t stride = request->header_stride ? request->header_stride : sizeof(hydro_http_header);
	for (uint32_t i = 0; i < request->header_count; i++) {
		const hydro_http_header *h = (const hydro_http_header *)(const void *)((const char *)request->headers + i * stride);
		hd_buf_add_text(&dry->requests, i ? "," : "");
		hd_buf_add_json(&dry->requests, h->name, strlen(h->name));
		hd_buf_add_char(&dry->requests, ':');
		if (h->flags & HYDRO_HEADER_SECRET)
			hd_buf_add_text(&dry->requests, "\"***\"");
		else
			put_redacted(dry, h->value, strlen(h->value));
	}
	hd_buf_add_char(&dry->requests, '}');
	dry->open = true;
}

void dry_answer(struct poll *poll, uint32_t status, const char *failure)
{
	struct dry *dry = poll->dry;
	if (!dry->open)
		return;
	if (failure) {
		hd_buf_add_text(&dry->requests, ",\"failure\":");
		hd_buf_add_json(&dry->requests, failure, strlen(failure));
	} else {
		size_t shown = HD_MIN(poll->body.len, ANSWER_SHOWN_BYTES);
		hd_buf_printf(&dry->requests, ",\"status\":%u,\"answer_bytes\":%zu,\"answer\":", status, poll->body.len);
		put_redacted(dry, poll->body.data ? poll->body.data : "", shown);
	}
	hd_buf_add_char(&dry->requests, '}');
	dry->open = false;
}

void dry_part_over(struct poll *poll, uint32_t outcome, const char *reason)
{
	static const char *const names[] = {"", "data", "more", "no_data", "unauthorized", "failed"};
	struct dry *dry = poll->dry;
	if (dry->open) {
		hd_buf_add_char(&dry->requests, '}');
		dry->open = false;
	}
	hd_buf_printf(&dry->requests, "%s{\"part\":%u,\"outcome\":\"%s\"", dry->requests.len ? "," : "", poll->part, names[outcome]);
	if (outcome == HYDRO_PART_FAILED && reason) {
		hd_buf_add_text(&dry->requests, ",\"reason\":");
		put_redacted(dry, reason, strlen(reason));
	}
	hd_buf_add_char(&dry->requests, '}');
}

static void dry_finish(struct dry *dry, int rc)
{
	dry->rc = rc;
	pthread_mutex_lock(&dry->lock);
	dry->done = true;
	pthread_cond_signal(&dry->cond);
	pthread_mutex_unlock(&dry->lock);
	dry_unref(dry);
}

void dry_over(struct poll *poll)
{
	struct hd_collect *c = poll->collect;
	struct dry *dry = HD_STEAL(poll->dry);
	dry->raws = HD_STEAL(poll->raws);
	dry->raw_count = poll->raw_count;
	poll->raw_count = poll->raw_capacity = 0;
	(void)snprintf(dry->mode, sizeof dry->mode, "%s", poll->mode == HYDRO_POLL_HISTORY ? "history" : "latest");
	c->polls--;
	poll_free(poll);
	dry_finish(dry, HYDRO_OK);
}

/* What is new since the last poll is mostly nothing: a person wants readings to look at, known ones too. */
static void look_back(struct poll *poll)
{
	struct hd_collect *c = poll->collect;
	int64_t newest_ms = c->ops.newest(c->ops.arg, poll->index);
	int64_t back_ms = HD_MAX(LOOK_BACK_PERIODS * c->schedule.entries[poll->index].period_s * HD_MS_PER_S, LOOK_BACK_MIN_MS);
	if (poll->mode != HYDRO_POLL_HISTORY || newest_ms <= 0)
		return;
	poll->from_ms = poll->begin_ms = HD_MAX(HD_MIN(poll->from_ms, newest_ms - back_ms), HD_MAX(poll->point->start_ms, 0));
}

static void dry_begin(void *arg)
{
	struct dry *dry = arg;
	struct hd_collect *c = dry->collect;
	changes_apply(c);
	const struct entry *entry = dry->point < c->schedule.count ? &c->schedule.entries[dry->point] : NULL;
	int rc = HYDRO_OK;
	if (c->draining)
		rc = hd_error_set(&dry->error, HYDRO_E_CANCELLED, "the collector is stopping");
	else if (!entry)
		rc = hd_error_set(&dry->error, HYDRO_E_NOTFOUND, "no point %u", dry->point);
	else if (entry->account == HD_POINT_NONE)
		rc = hd_error_set(&dry->error, HYDRO_E_CONFIG, "the point is not active or its provider is not configured");
	else if (!(provider_of(c->accounts[entry->account])->config.ops->capabilities & HYDRO_PROVIDER_HTTP))
		rc = hd_error_set(&dry->error, HYDRO_E_UNSUPPORTED, "its provider is not polled: it delivers by itself");
	struct poll *poll = rc == HYDRO_OK ? poll_new(c, c->accounts[entry->account], dry->point) : NULL;
	if (rc == HYDRO_OK && !poll)
		rc = hd_error_set(&dry->error, HYDRO_E_NOMEM, "no memory for a poll");
	if (rc != HYDRO_OK) {
		dry_finish(dry, rc);
		return;
	}
	poll->dry = dry;
	poll->bits |= POLL_DRY;
	poll_window(poll);
	look_back(poll);
	poll->bits &= ~POLL_SLICED;
	c->polls++;
	poll->account->login_at_ms = 0; /* a person asks: no waiting for the next login */
	send_push(poll->account, poll, true);
}

/* ---- the caller ---- */

static void put_readings(struct hd_collect *c, const struct dry *dry, struct hd_buf *ret)
{
	for (uint32_t i = 0; i < dry->raw_count; i++) {
		const hydro_raw *raw = &dry->raws[i];
		const char *name = c->ops.metric_name ? c->ops.metric_name(c->ops.arg, raw->metric) : NULL;
		char time[HD_TIME_TEXT], number[16];
		hd_time_format(raw->ts_ms, time);
		(void)snprintf(number, sizeof number, "%u", raw->metric);
		hd_buf_printf(ret, "%s{\"ts\":\"%s\",\"metric\":", i ? "," : "", time);
		hd_buf_add_json(ret, name ? name : number, strlen(name ? name : number));
		hd_buf_add_text(ret, ",\"value\":");
		hd_buf_add_number(ret, raw->value);
		hd_buf_add_text(ret, raw->flags & HYDRO_RAW_STATUS ? ",\"status_code\":true}" : "}");
	}
}

static void put_pipeline(struct hd_collect *c, const struct dry *dry, struct hd_buf *ret)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf trace = {0};
	struct hydro_error err = {.struct_size = sizeof err};
	if (dry->raw_count == 0 || !c->ops.dry_run) {
		hd_buf_add_text(ret, "null");
	} else if (c->ops.dry_run(c->ops.arg, dry->point, dry->raws, dry->raw_count, &trace, &err) == HYDRO_OK) {
		hd_buf_add(ret, trace.data, trace.len);
	} else {
		hd_buf_add_text(ret, "{\"error\":");
		hd_buf_add_json(ret, err.text, strlen(err.text));
		hd_buf_add_char(ret, '}');
	}
}

static int dry_report(struct hd_collect *c, struct dry *dry, struct hd_buf *ret, struct hydro_error *err)
{
	if (dry->rc != HYDRO_OK)
		return hd_error_set(err, dry->rc, "%s", dry->error.text);
	const struct hd_point *point = hd_points_get(c->config.points, dry->point);
	if (!point)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "no point %u", dry->point);
	char id[HD_UUID_TEXT];
	hd_uuid_format(&point->id, id);
	hd_buf_printf(ret, "{\"point\":\"%s\",\"provider\":", id);
	hd_buf_add_json(ret, hd_point_provider(point), strlen(hd_point_provider(point)));
	hd_buf_printf(ret, ",\"mode\":\"%s\",\"requests\":[", dry->mode);
	hd_buf_add(ret, dry->requests.data ? dry->requests.data : "", dry->requests.len);
	hd_buf_add_text(ret, "],\"readings\":[");
	put_readings(c, dry, ret);
	hd_buf_add_text(ret, "],\"pipeline\":");
	put_pipeline(c, dry, ret);
	hd_buf_add_char(ret, '}');
	hd_point_unref(point);
	return ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the report") : HYDRO_OK;
}

int hd_collect_dry(struct hd_collect *c, uint32_t point, struct hd_buf *ret_json, struct hydro_error *err)
{
	struct dry *dry = calloc(1, sizeof *dry);
	if (!dry)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a poll");
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&dry->lock, NULL);
	pthread_cond_init(&dry->cond, &attributes);
	pthread_condattr_destroy(&attributes);
	dry->refs = 2;
	dry->collect = c;
	dry->point = point;
	hd_net_call(c->config.net, dry_begin, dry);
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WAIT_S;
	pthread_mutex_lock(&dry->lock);
	int waited = 0;
	while (!dry->done && waited == 0)
		waited = pthread_cond_timedwait(&dry->cond, &dry->lock, &until);
	bool done = dry->done;
	pthread_mutex_unlock(&dry->lock);
	int rc = done ? dry_report(c, dry, ret_json, err)
		      : hd_error_set(err, HYDRO_E_TIMEOUT, "no answer within %d s: the account may be paused or waiting for its login", WAIT_S);
	dry_unref(dry);
	return rc;
}
