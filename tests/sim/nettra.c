/* SPDX-License-Identifier: MIT */
/* "nettra": one resource of a thing a request, newest first; the thing's token is in the path. */
#include "account.h"
#include "http.h"

#include <string.h>

#define THINGS "/v2/things/"
#define RESOURCES "/resources/"
#define LIMIT_DEFAULT 100

static bool read_query(struct sim_request *q, uint32_t metric, struct sim_query *ret)
{
	int64_t limit, from, to;
	bool window = sim_request_arg(q, "startDate") || sim_request_arg(q, "endDate");
	bool many = window || sim_request_arg(q, "limit");
	if (!sim_request_number(q, "limit", LIMIT_DEFAULT, 1, INT32_MAX, &limit) || !sim_request_time(q, "startDate", 0, &from) ||
	    !sim_request_time(q, "endDate", q->now_ms, &to))
		return false;
	*ret = (struct sim_query){.from_ms = from, .to_ms = to, .metric = metric, .limit = (uint32_t)limit, .latest = !many};
	return true;
}

static void resource(struct sim_request *q, struct sim_answer *a, const struct sim_point *point, uint32_t metric)
{
	struct sim_query query;
	struct sim_rows rows;
	if (!read_query(q, metric, &query)) {
		sim_answer_text(a, 400, "{\"status\":\"error\",\"message\":\"wrong parameters\"}");
		return;
	}
	if (!sim_query_run(q->sim, point, &query, q->now_ms, &rows))
		return;
	if (a->fate == SIM_FATE_SEND)
		sim_account_serve_rows(q->sim->account, point->index, metric, &rows);
	if (a->shuffle)
		sim_rows_shuffle(&rows, point->hash);
	a->status = 200;
	(void)hd_buf_reserve(&a->body, 16 + rows.count * 64);
	(void)hd_buf_add_char(&a->body, '[');
	for (size_t i = 0; i < rows.count; i++) {
		const struct sim_reading *r = &rows.rows[i];
		for (unsigned n = 0; n < (r->twice ? 2u : 1u); n++) {
			(void)hd_buf_add_text(&a->body, i + n ? ",{\"datetime\":\"" : "{\"datetime\":\"");
			sim_add_time(&a->body, sim_reading_ts(point, r, metric));
			(void)hd_buf_add_text(&a->body, "\",\"value\":");
			sim_add_value(&a->body, metric, r->served[metric]);
			(void)hd_buf_add_char(&a->body, '}');
		}
	}
	(void)hd_buf_add_char(&a->body, ']');
}

void sim_nettra_handle(struct sim_request *q, struct sim_answer *a)
{
	if (strncmp(q->path, THINGS, sizeof THINGS - 1) != 0)
		return;
	const char *token = q->path + sizeof THINGS - 1, *rest = token + strcspn(token, "/");
	if (strncmp(rest, RESOURCES, sizeof RESOURCES - 1) != 0)
		return;
	uint32_t index = sim_point_of_token(q->sim, SIM_NETTRA, token, (size_t)(rest - token));
	if (sim_fault_answer(q, a, SIM_NETTRA, index, "[]"))
		return;
	if (index == SIM_NO_POINT) {
		sim_answer_text(a, 404, "{\"status\":\"error\",\"message\":\"thing not found\"}");
		return;
	}
	struct sim_point point;
	const char *key = rest + sizeof RESOURCES - 1;
	sim_point_at(q->sim, index, &point);
	uint32_t metric = sim_point_metric(&point, key, strlen(key));
	if (metric == SIM_METRICS)
		sim_answer_text(a, 200, "[]");
	else
		resource(q, a, &point, metric);
}
