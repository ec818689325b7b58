/* SPDX-License-Identifier: MIT */
#include "import.h"

#include "base/timefmt.h"
#include "judge.h"
#include "jwt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 32768u
#define PIPELINE "well"
#define JSON_PAGE 100u

static const struct {
	const char *base;    /* of the service here */
	const char *secret;  /* the point option that carries its token */
	bool login;
} providers[SIM_PROVIDERS] = {
	[SIM_TWIN] = {"/twin/tdata/v1", "device", true},
	[SIM_NETTRA] = {"/nettra/v2", "thing", false},
	[SIM_NOVUS] = {"/novus", "device_token", false},
	[SIM_JSON] = {"/json", "token", false},
};

static void add_options(const struct sim *sim, const struct sim_point *p, struct hd_buf *out)
{
	char token[SIM_TOKEN_TEXT], key[SIM_KEY_TEXT];
	sim_point_token(sim, p->provider, p->index, token);
	(void)hd_buf_printf(out, "{\"%s\":\"%s\",\"keys\":{", providers[p->provider].secret, token);
	for (uint32_t m = 0; m < SIM_METRICS; m++) {
		sim_point_key(p, m, key);
		(void)hd_buf_printf(out, "%s\"%s\":\"%s\"", m ? "," : "", sim_metric_names[m], key);
	}
	(void)hd_buf_add_text(out, "}}");
}

static void add_params(const struct sim_point *p, struct hd_buf *out)
{
	(void)hd_buf_printf(out, "{\"litres_per_pulse\":%" PRId64 ",\"offset\":%.0f,\"sensor_depth\":%.0f,\"flow_granted\":%.0f}", p->litres_per_pulse,
	                    p->offset_m3, p->sensor_depth_m, p->flow_granted_lps);
}

static void add_account(const struct sim_point *p, char ret[SIM_KEY_TEXT])
{
	sim_account_user(p->provider, p->account, ret);
}

void sim_import_add_json(const struct sim *sim, uint32_t index, struct hd_buf *out)
{
	struct sim_point p;
	char name[SIM_KEY_TEXT], account[SIM_KEY_TEXT];
	sim_point_at(sim, index, &p);
	sim_point_name(index, name);
	add_account(&p, account);
	(void)hd_buf_printf(out, "{\"point\":%u,\"name\":\"%s\",\"provider\":\"%s\",\"account\":\"%s\",\"options\":", index, name,
	                    sim_service_names[p.provider], account);
	add_options(sim, &p, out);
	(void)hd_buf_add_text(out, ",\"params\":");
	add_params(&p, out);
	(void)hd_buf_printf(out, ",\"period_s\":%" PRId64 ",\"pipeline\":\"" PIPELINE "\",\"phase_ms\":%" PRId64 ",\"skew_ms\":[%" PRId64 ",%" PRId64 ",%" PRId64 "]}",
	                    HD_MAX(p.period_ms / 1000, 1), p.first_ms - sim->config.origin_ms - p.period_ms, p.skew_ms[0], p.skew_ms[1], p.skew_ms[2]);
}

/* A JSON text as one CSV field (RFC 4180). */
static void add_quoted(struct hd_buf *out, const struct hd_buf *text)
{
	(void)hd_buf_add_char(out, '"');
	for (size_t i = 0; i < text->len; i++) {
		if (text->data[i] == '"')
			(void)hd_buf_add_char(out, '"');
		(void)hd_buf_add_char(out, text->data[i]);
	}
	(void)hd_buf_add_char(out, '"');
}

/* poll_ms 0: as often as the logger reads. */
static void add_line(const struct sim *sim, uint32_t index, int64_t poll_ms, const char *pipeline, struct hd_buf *field, struct hd_buf *out)
{
	struct sim_point p;
	char name[SIM_KEY_TEXT], account[SIM_KEY_TEXT];
	sim_point_at(sim, index, &p);
	sim_point_name(index, name);
	add_account(&p, account);
	(void)hd_buf_printf(out, "%s,%s,%s,%" PRId64 ",%s,", name, sim_service_names[p.provider], account,
	                    HD_MAX((poll_ms ? poll_ms : p.period_ms) / 1000, 1), pipeline);
	hd_buf_clear(field);
	add_options(sim, &p, field);
	add_quoted(out, field);
	(void)hd_buf_add_char(out, ',');
	hd_buf_clear(field);
	add_params(&p, field);
	add_quoted(out, field);
	(void)hd_buf_add_char(out, '\n');
}

struct stream {
	const struct sim *sim;
	uint32_t next, end;
	int64_t poll_ms;
	char pipeline[64];
	struct hd_buf pending, field;
	size_t sent;
};

static ssize_t stream_read(void *cls, uint64_t pos, char *out, size_t max)
{
	struct stream *s = cls;
	(void)pos;
	if (s->sent == s->pending.len) {
		s->sent = 0;
		hd_buf_clear(&s->pending);
		while (s->next < s->end && s->pending.len < BLOCK_BYTES)
			add_line(s->sim, s->next++, s->poll_ms, s->pipeline, &s->field, &s->pending);
		if (s->pending.failed || s->field.failed)
			return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	if (!s->pending.len)
		return MHD_CONTENT_READER_END_OF_STREAM;
	size_t n = HD_MIN(max, s->pending.len - s->sent);
	memcpy(out, s->pending.data + s->sent, n);
	s->sent += n;
	return (ssize_t)n;
}

static void stream_free(void *cls)
{
	struct stream *s = cls;
	hd_buf_done(&s->pending);
	hd_buf_done(&s->field);
	free(s);
}

void sim_import_csv(struct sim_request *q, struct sim_answer *a)
{
	int64_t offset, limit, all = q->sim->config.points;
	int64_t poll_ms = 0;
	const char *poll = sim_request_arg(q, "poll"), *pipeline = sim_request_arg(q, "pipeline");
	if (!sim_request_number(q, "offset", 0, 0, all, &offset) || !sim_request_number(q, "limit", all, 1, all, &limit) ||
	    (poll && !hd_duration_parse(poll, &poll_ms)) || (pipeline && strcspn(pipeline, ",\"\r\n") != strlen(pipeline))) {
		sim_answer_text(a, 400, "{\"message\":\"offset, limit, poll or pipeline is wrong\"}");
		return;
	}
	struct stream *s = calloc(1, sizeof *s);
	if (!s)
		return;
	*s = (struct stream){.sim = q->sim, .next = (uint32_t)offset, .end = (uint32_t)HD_MIN(all, offset + limit), .poll_ms = poll_ms};
	(void)snprintf(s->pipeline, sizeof s->pipeline, "%s", pipeline ? pipeline : PIPELINE);
	(void)hd_buf_add_text(&s->pending, "name,provider,account,period,pipeline,options,params\n");
	a->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, stream_read, s, stream_free);
	a->status = 200;
	a->type = "text/csv";
}

/* What the provider's plugin is to be told, beside the credentials. */
static void add_instance(struct hd_buf *out, uint32_t provider, const char *host)
{
	const char *base = providers[provider].base;
	if (provider == SIM_JSON)
		(void)hd_buf_printf(out, "{\"url\":\"http://%s%s/devices/{token}/latest\","
		                    "\"history_url\":\"http://%s%s/devices/{token}/readings?from={from}&to={to}&limit={limit}\",\"items\":\"readings\","
		                    "\"ts\":\"time\",\"order\":\"asc\",\"page_limit\":%u}", host, base, host, base, JSON_PAGE);
	else
		(void)hd_buf_printf(out, "{\"base_url\":\"http://%s%s\"}", host, base);
}

void sim_import_accounts(struct sim_request *q, struct sim_answer *a)
{
	const char *host = sim_request_header(q, "Host");
	char own[32];
	(void)snprintf(own, sizeof own, "127.0.0.1:%u", __atomic_load_n(&q->sim->port, __ATOMIC_RELAXED));
	host = host ? host : own;
	a->status = 200;
	(void)hd_buf_add_char(&a->body, '[');
	for (uint32_t i = 0; i < q->sim->config.accounts * SIM_PROVIDERS; i++) {
		uint32_t provider = i % SIM_PROVIDERS, account = i / SIM_PROVIDERS;
		char name[SIM_KEY_TEXT], password[SIM_TOKEN_TEXT] = "";
		sim_account_user(provider, account, name);
		if (providers[provider].login)
			sim_account_password(q->sim, provider, account, password);
		(void)hd_buf_printf(&a->body, "%s{\"name\":\"%s\",\"provider\":\"%s\",\"base_url\":\"http://%s%s\",\"username\":\"%s\",\"password\":\"%s\",\"options\":", i ? ",\n" : "",
		                    name, sim_service_names[provider], host, providers[provider].base, providers[provider].login ? name : "", password);
		add_instance(&a->body, provider, host);
		(void)hd_buf_add_char(&a->body, '}');
	}
	(void)hd_buf_add_char(&a->body, ']');
}

void sim_import_accounts_csv(struct sim_request *q, struct sim_answer *a)
{
	a->status = 200;
	a->type = "text/csv";
	(void)hd_buf_add_text(&a->body, "name,provider,options\n");
	for (uint32_t i = 0; i < q->sim->config.accounts * SIM_PROVIDERS; i++) {
		uint32_t provider = i % SIM_PROVIDERS, account = i / SIM_PROVIDERS;
		char name[SIM_KEY_TEXT], password[SIM_TOKEN_TEXT];
		sim_account_user(provider, account, name);
		sim_account_password(q->sim, provider, account, password);
		(void)hd_buf_printf(&a->body, "%s,%s,", name, sim_service_names[provider]);
		if (providers[provider].login)
			(void)hd_buf_printf(&a->body, "\"{\"\"username\"\":\"\"%s\"\",\"\"password\"\":\"\"%s\"\"}\"", name, password);
		(void)hd_buf_add_char(&a->body, '\n');
	}
}

/* The works of the points, as the daemon imports them; what is not given is not there as a column. */
void sim_import_works_csv(struct sim_request *q, struct sim_answer *a)
{
	static const char *const given[] = {"centre", "informant", "mode", "starts", "client"};
	const char *values[HD_ARRAY_LEN(given)];
	int64_t offset, limit, all = q->sim->config.points;
	if (!sim_request_number(q, "offset", 0, 0, all, &offset) || !sim_request_number(q, "limit", all, 1, all, &limit)) {
		sim_answer_text(a, 400, "{\"message\":\"offset or limit is wrong\"}");
		return;
	}
	a->status = 200;
	a->type = "text/csv";
	(void)hd_buf_add_text(&a->body, "code,name,kind,standard,point");
	for (size_t i = 0; i < HD_ARRAY_LEN(given); i++) {
		values[i] = sim_request_arg(q, given[i]);
		if (values[i])
			(void)hd_buf_printf(&a->body, ",%s", given[i]);
	}
	for (int64_t i = offset; i < all && i < offset + limit; i++) {
		char code[SIM_WORK_TEXT], name[SIM_KEY_TEXT];
		sim_work_code((uint32_t)i, code);
		sim_point_name((uint32_t)i, name);
		(void)hd_buf_printf(&a->body, "\n%s,Work of %s,subterranea,mayor,%s", code, name, name);
		for (size_t k = 0; k < HD_ARRAY_LEN(given); k++)
			if (values[k])
				(void)hd_buf_printf(&a->body, ",\"%.*s\"", (int)strcspn(values[k], "\"\r\n"), values[k]);
	}
	(void)hd_buf_add_char(&a->body, '\n');
}
