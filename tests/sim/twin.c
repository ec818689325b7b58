/* SPDX-License-Identifier: MIT */
/* "twin": login for a JWT, then the timeseries of a device; values are strings, timestamps ms. */
#include "account.h"
#include "http.h"
#include "jwt.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#define LIMIT_DEFAULT 100
#define BASE "/tdata/v1"
#define DEVICE BASE "/telemetry/DEVICE/"
#define SERIES "/values/timeseries"

static void login(struct sim_request *q, struct sim_answer *a)
{
	if (strcmp(q->method, "POST") != 0) {
		sim_answer_text(a, 405, "{\"status\":405,\"message\":\"POST only\"}");
		return;
	}
	if (sim_fault_answer(q, a, SIM_TWIN, SIM_NO_POINT, "{}"))
		return;
	cJSON *body = q->body_len ? cJSON_ParseWithLength(q->body, q->body_len) : NULL;
	const char *user = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, "username"));
	const char *password = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, "password"));
	uint32_t account = 0;
	for (; user && password && account < q->sim->config.accounts; account++) {
		char name[SIM_KEY_TEXT], right[SIM_TOKEN_TEXT];
		sim_account_user(SIM_TWIN, account, name);
		if (strcmp(name, user) != 0)
			continue;
		sim_account_password(q->sim, SIM_TWIN, account, right);
		if (strcmp(right, password) != 0)
			break;
		char token[SIM_JWT_TEXT];
		sim_jwt_make(q->sim, account, q->now_ms, token);
		a->status = 200;
		(void)hd_buf_printf(&a->body, "{\"token\":\"%s\",\"refreshToken\":\"%s\"}", token, token);
		cJSON_Delete(body);
		return;
	}
	bool malformed = !user || !password;
	cJSON_Delete(body);
	if (malformed)
		sim_answer_text(a, 400, "{\"status\":400,\"message\":\"username and password are required\",\"errorCode\":31}");
	else
		sim_answer_text(a, 401, "{\"status\":401,\"message\":\"Invalid username or password\",\"errorCode\":10}");
}

static bool authorized(struct sim_request *q, struct sim_answer *a, uint32_t *ret_account)
{
	static const char bearer[] = "Bearer ";
	const char *header = sim_request_header(q, "Authorization");
	int rc = SIM_JWT_UNKNOWN;
	if (header && strncmp(header, bearer, sizeof bearer - 1) == 0) {
		const char *token = header + sizeof bearer - 1;
		rc = sim_jwt_check(q->sim, token, strlen(token), q->now_ms, ret_account);
	}
	if (rc == SIM_JWT_EXPIRED)
		sim_answer_text(a, 401, "{\"status\":401,\"message\":\"Token has expired\",\"errorCode\":11}");
	else if (rc != SIM_JWT_OK)
		sim_answer_text(a, 401, "{\"status\":401,\"message\":\"Authentication failed\",\"errorCode\":10}");
	return rc == SIM_JWT_OK;
}

static bool read_query(struct sim_request *q, struct sim_query *ret)
{
	int64_t limit, from, to;
	const char *asc = sim_request_arg(q, "asc"), *start = sim_request_arg(q, "startTs");
	if (!sim_request_number(q, "limit", LIMIT_DEFAULT, 1, INT32_MAX, &limit) || !sim_request_number(q, "startTs", 0, 0, INT64_MAX, &from) ||
	    !sim_request_number(q, "endTs", q->now_ms, 0, INT64_MAX, &to))
		return false;
	*ret = (struct sim_query){.from_ms = from, .to_ms = to, .metric = SIM_METRICS, .limit = (uint32_t)limit,
	                          .ascending = asc && strcmp(asc, "true") == 0, .latest = !start && !sim_request_arg(q, "endTs")};
	return true;
}

static void add_key(struct sim_answer *a, const struct sim_point *point, const struct sim_rows *rows, uint32_t metric, const char *key, size_t key_len)
{
	(void)hd_buf_add_text(&a->body, a->body.len > 1 ? ",\"" : "\"");
	(void)hd_buf_add(&a->body, key, key_len);
	(void)hd_buf_add_text(&a->body, "\":[");
	for (size_t i = 0; i < rows->count; i++) {
		const struct sim_reading *r = &rows->rows[i];
		for (unsigned n = 0; n < (r->twice ? 2u : 1u); n++) {
			(void)hd_buf_add_text(&a->body, i + n ? ",{\"ts\":" : "{\"ts\":");
			sim_add_whole(&a->body, sim_reading_ts(point, r, metric));
			(void)hd_buf_add_text(&a->body, ",\"value\":\"");
			sim_add_value(&a->body, metric, r->served[metric]);
			(void)hd_buf_add_text(&a->body, "\"}");
		}
	}
	(void)hd_buf_add_char(&a->body, ']');
}

static void series(struct sim_request *q, struct sim_answer *a, const struct sim_point *point)
{
	struct sim_query query;
	struct sim_rows rows;
	if (!read_query(q, &query)) {
		sim_answer_text(a, 400, "{\"status\":400,\"message\":\"Invalid query\",\"errorCode\":31}");
		return;
	}
	if (!sim_query_run(q->sim, point, &query, q->now_ms, &rows))
		return;
	uint32_t wanted[SIM_METRICS] = {0}, count = 0;
	const char *keys = sim_request_arg(q, "keys");
	for (const char *p = keys; p && *p && count < SIM_METRICS;) {
		size_t len = strcspn(p, ",");
		uint32_t m = sim_point_metric(point, p, len);
		if (m < SIM_METRICS)
			wanted[count++] = m;
		p += len + (p[len] == ',');
	}
	for (; !keys && count < SIM_METRICS; count++)
		wanted[count] = count;
	if (a->fate == SIM_FATE_SEND)
		for (uint32_t i = 0; i < count; i++)
			sim_account_serve_rows(q->sim->account, point->index, wanted[i], &rows);
	if (a->shuffle)
		sim_rows_shuffle(&rows, point->hash);
	a->status = 200;
	(void)hd_buf_reserve(&a->body, 64 + rows.count * count * 48);
	(void)hd_buf_add_char(&a->body, '{');
	for (uint32_t i = 0; i < count && rows.count; i++) {
		char key[SIM_KEY_TEXT];
		sim_point_key(point, wanted[i], key);
		add_key(a, point, &rows, wanted[i], key, strlen(key));
	}
	(void)hd_buf_add_char(&a->body, '}');
}

void sim_twin_handle(struct sim_request *q, struct sim_answer *a)
{
	if (strcmp(q->path, BASE "/login") == 0) {
		login(q, a);
		return;
	}
	if (strncmp(q->path, DEVICE, sizeof DEVICE - 1) != 0)
		return;
	const char *token = q->path + sizeof DEVICE - 1;
	size_t len = strcspn(token, "/");
	uint32_t account, index = sim_point_of_token(q->sim, SIM_TWIN, token, len);
	if (strcmp(token + len, SERIES) != 0)
		return;
	if (sim_fault_answer(q, a, SIM_TWIN, index, "{}") || !authorized(q, a, &account))
		return;
	struct sim_point point;
	if (index != SIM_NO_POINT)
		sim_point_at(q->sim, index, &point);
	if (index == SIM_NO_POINT || point.account != account)
		sim_answer_text(a, 404, "{\"status\":404,\"message\":\"Device is not found\",\"errorCode\":32}");
	else
		series(q, a, &point);
}
