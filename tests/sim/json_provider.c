/* SPDX-License-Identifier: MIT */
/* A plain JSON API, for providers that are described by options alone: rows of an object, all metrics in each. */
#include "account.h"
#include "http.h"

#include <string.h>

#define DEVICES "/devices/"
#define LIMIT_DEFAULT 100

static void add_row(struct hd_buf *out, const struct sim_point *point, const struct sim_reading *r)
{
	(void)hd_buf_add_text(out, "{\"time\":\"");
	sim_add_time(out, sim_reading_ts(point, r, SIM_METRICS));
	(void)hd_buf_add_char(out, '"');
	for (uint32_t m = 0; m < SIM_METRICS; m++) {
		(void)hd_buf_add_text(out, ",\"");
		(void)hd_buf_add_text(out, sim_metric_names[m]);
		(void)hd_buf_add_text(out, "\":");
		sim_add_value(out, m, r->served[m]);
	}
	(void)hd_buf_add_char(out, '}');
}

static bool read_query(struct sim_request *q, bool latest, struct sim_query *ret)
{
	int64_t limit, from, to;
	if (!sim_request_number(q, "limit", LIMIT_DEFAULT, 1, INT32_MAX, &limit) || !sim_request_time(q, "from", 0, &from) ||
	    !sim_request_time(q, "to", q->now_ms, &to))
		return false;
	*ret = (struct sim_query){.from_ms = from, .to_ms = to, .metric = SIM_METRICS, .limit = (uint32_t)limit, .ascending = true, .latest = latest};
	return true;
}

void sim_json_handle(struct sim_request *q, struct sim_answer *a)
{
	if (strncmp(q->path, DEVICES, sizeof DEVICES - 1) != 0)
		return;
	const char *token = q->path + sizeof DEVICES - 1, *rest = token + strcspn(token, "/");
	bool latest = strcmp(rest, "/latest") == 0;
	if (!latest && strcmp(rest, "/readings") != 0)
		return;
	uint32_t index = sim_point_of_token(q->sim, SIM_JSON, token, (size_t)(rest - token));
	if (sim_fault_answer(q, a, SIM_JSON, index, "{\"readings\":[]}"))
		return;
	struct sim_query query;
	struct sim_rows rows;
	struct sim_point point;
	if (index == SIM_NO_POINT || !read_query(q, latest, &query)) {
		sim_answer_text(a, index == SIM_NO_POINT ? 404 : 400, "{\"message\":\"no such device or wrong query\"}");
		return;
	}
	sim_point_at(q->sim, index, &point);
	if (!sim_query_run(q->sim, &point, &query, q->now_ms, &rows))
		return;
	for (uint32_t m = 0; a->fate == SIM_FATE_SEND && m < SIM_METRICS; m++)
		sim_account_serve_rows(q->sim->account, index, m, &rows);
	if (a->shuffle)
		sim_rows_shuffle(&rows, point.hash);
	a->status = 200;
	(void)hd_buf_add_text(&a->body, "{\"readings\":[");
	for (size_t i = 0; i < rows.count; i++)
		for (unsigned n = 0; n < (rows.rows[i].twice ? 2u : 1u); n++) {
			if (i + n)
				(void)hd_buf_add_char(&a->body, ',');
			add_row(&a->body, &point, &rows.rows[i]);
		}
	(void)hd_buf_add_text(&a->body, "]}");
}
