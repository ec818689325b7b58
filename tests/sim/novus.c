/* SPDX-License-Identifier: MIT */
/* "novus": NOVUS loggers through TagoIO; one variable a request, rows in no order, the device's token in a header. */
#include "account.h"
#include "http.h"

#include <string.h>

#define QTY_DEFAULT 15

static bool read_query(struct sim_request *q, uint32_t metric, struct sim_query *ret)
{
	int64_t qty, from, to;
	const char *query = sim_request_arg(q, "query");
	if (query && strcmp(query, "last_item") != 0 && strcmp(query, "last_value") != 0)
		return false;
	if (!sim_request_number(q, "qty", QTY_DEFAULT, 1, 10000, &qty) || !sim_request_time(q, "start_date", 0, &from) ||
	    !sim_request_time(q, "end_date", q->now_ms, &to))
		return false;
	*ret = (struct sim_query){.from_ms = from, .to_ms = to, .metric = metric, .limit = (uint32_t)qty, .latest = query != NULL};
	return true;
}

static void data(struct sim_request *q, struct sim_answer *a, const struct sim_point *point, uint32_t metric)
{
	struct sim_query query;
	struct sim_rows rows;
	char key[SIM_KEY_TEXT];
	if (!read_query(q, metric, &query)) {
		sim_answer_text(a, 400, "{\"status\":false,\"message\":\"Invalid query\"}");
		return;
	}
	if (!sim_query_run(q->sim, point, &query, q->now_ms, &rows))
		return;
	if (a->fate == SIM_FATE_SEND)
		sim_account_serve_rows(q->sim->account, point->index, metric, &rows);
	if (rows.count > 1)
		sim_rows_shuffle(&rows, sim_mix(point->hash, (uint64_t)rows.rows[0].slot));
	sim_point_key(point, metric, key);
	a->status = 200;
	(void)hd_buf_reserve(&a->body, 32 + rows.count * 96);
	(void)hd_buf_add_text(&a->body, "{\"status\":true,\"result\":[");
	for (size_t i = 0; i < rows.count; i++) {
		const struct sim_reading *r = &rows.rows[i];
		for (unsigned n = 0; n < (r->twice ? 2u : 1u); n++) {
			(void)hd_buf_add_text(&a->body, i + n ? ",{\"variable\":\"" : "{\"variable\":\"");
			(void)hd_buf_add_text(&a->body, key);
			(void)hd_buf_add_text(&a->body, "\",\"time\":\"");
			sim_add_time(&a->body, sim_reading_ts(point, r, metric));
			(void)hd_buf_add_text(&a->body, "\",\"value\":");
			sim_add_value(&a->body, metric, r->served[metric]);
			(void)hd_buf_add_char(&a->body, '}');
		}
	}
	(void)hd_buf_add_text(&a->body, "]}");
}

void sim_novus_handle(struct sim_request *q, struct sim_answer *a)
{
	static const char empty[] = "{\"status\":true,\"result\":[]}";
	if (strcmp(q->path, "/data") != 0)
		return;
	const char *token = sim_request_header(q, "authorization"), *variable = sim_request_arg(q, "variable");
	if (!token)
		token = sim_request_header(q, "Device-Token");
	uint32_t index = token ? sim_point_of_token(q->sim, SIM_NOVUS, token, strlen(token)) : SIM_NO_POINT;
	if (sim_fault_answer(q, a, SIM_NOVUS, index, empty))
		return;
	if (index == SIM_NO_POINT) {
		sim_answer_text(a, 401, "{\"status\":false,\"message\":\"Authorization denied\"}");
		return;
	}
	struct sim_point point;
	sim_point_at(q->sim, index, &point);
	uint32_t metric = variable ? sim_point_metric(&point, variable, strlen(variable)) : SIM_METRICS;
	if (metric == SIM_METRICS)
		sim_answer_text(a, 200, empty);
	else
		data(q, a, &point, metric);
}
