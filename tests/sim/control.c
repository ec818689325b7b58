/* SPDX-License-Identifier: MIT */
/* What a test asks the simulator itself: how to reach its points, what it served, what is true, and faults. */
#include "account.h"
#include "base/clock.h"
#include "base/timefmt.h"
#include "faults.h"
#include "http.h"
#include "import.h"
#include "judge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_DEFAULT 10000
#define POINTS_DEFAULT 100

static void answer_error(struct sim_answer *a, unsigned status, const char *message)
{
	hd_buf_clear(&a->body);
	a->status = status;
	(void)hd_buf_add_text(&a->body, "{\"message\":");
	(void)hd_buf_add_json(&a->body, message, strlen(message));
	(void)hd_buf_add_char(&a->body, '}');
}

static bool is_method(const struct sim_request *q, const char *method)
{
	return strcmp(q->method, method) == 0;
}

static void faults_add(struct sim_request *q, struct sim_answer *a)
{
	struct hydro_error err = {0};
	uint32_t first = 0;
	if (sim_faults_add(q->sim->faults, q->body_len ? q->body : "", q->body_len, q->now_ms, &first, &err) != HYDRO_OK) {
		answer_error(a, 400, err.text);
		return;
	}
	a->status = 201;
	(void)hd_buf_printf(&a->body, "{\"id\":%u}", first);
}

static void faults_kinds(struct sim_answer *a)
{
	static const char *const scopes[] = {"request", "data", "event", "dga"};
	a->status = 200;
	(void)hd_buf_add_char(&a->body, '[');
	for (size_t k = 0; k < SIM_FAULT_KIND_COUNT; k++) {
		const struct sim_fault_info *info = &sim_fault_infos[k];
		(void)hd_buf_printf(&a->body, "%s{\"kind\":\"%s\",\"scope\":\"%s\",\"doc\":", k ? "," : "", info->name, scopes[info->scope]);
		(void)hd_buf_add_json(&a->body, info->doc, strlen(info->doc));
		(void)hd_buf_add_char(&a->body, '}');
	}
	(void)hd_buf_add_char(&a->body, ']');
}

/* /faults, /faults/kinds, /faults/{id} */
static void faults(struct sim_request *q, struct sim_answer *a, const char *rest)
{
	if (strcmp(rest, "/kinds") == 0 && is_method(q, "GET")) {
		faults_kinds(a);
	} else if (is_method(q, "GET") && !*rest) {
		a->status = 200;
		sim_faults_print(q->sim->faults, &a->body);
	} else if (is_method(q, "POST") && !*rest) {
		faults_add(q, a);
	} else if (is_method(q, "DELETE")) {
		uint32_t id = *rest == '/' ? (uint32_t)strtoul(rest + 1, NULL, 10) : 0;
		bool forget = sim_request_arg(q, "forget") != NULL;
		if (*rest && id == 0)
			return;
		if (sim_faults_end(q->sim->faults, id, q->now_ms, forget))
			sim_answer_text(a, 200, "{}");
		else
			answer_error(a, 404, "no such fault");
	}
}

/* The point of "/12" or "/SIM-0000013"; answers 404 itself. */
static bool point_of_path(struct sim_request *q, struct sim_answer *a, const char *rest, struct sim_point *ret)
{
	char *end = NULL;
	bool named = strncmp(rest, "/SIM-", 5) == 0;
	unsigned long long v = *rest == '/' ? strtoull(rest + (named ? 5 : 1), &end, 10) : 0;
	if (!end || *end || end == rest + 1 || v - named >= q->sim->config.points) {
		answer_error(a, 404, "no such point");
		return false;
	}
	sim_point_at(q->sim, (uint32_t)(v - named), ret);
	return true;
}

static void served(struct sim_request *q, struct sim_answer *a, const char *rest)
{
	struct sim_point point;
	if (!*rest) {
		a->status = 200;
		sim_account_print(q->sim->account, &a->body);
	} else if (point_of_path(q, a, rest, &point)) {
		a->status = 200;
		sim_account_print_point(q->sim, &point, &a->body);
	}
}

static void served_csv(struct sim_request *q, struct sim_answer *a)
{
	int64_t first, last, most = (int64_t)q->sim->config.points - 1;
	if (!sim_request_number(q, "first", 0, 0, most, &first) || !sim_request_number(q, "last", most, first, most, &last)) {
		answer_error(a, 400, "first and last must be points");
		return;
	}
	a->status = 200;
	a->type = "text/csv";
	(void)hd_buf_add_text(&a->body, "name,point,measurements,checksum\n");
	sim_account_print_csv(q->sim, (uint32_t)first, (uint32_t)last, &a->body);
}

static void add_values(struct hd_buf *out, const char *name, const int64_t values[SIM_METRICS])
{
	(void)hd_buf_printf(out, ",\"%s\":{", name);
	for (uint32_t m = 0; m < SIM_METRICS; m++) {
		(void)hd_buf_printf(out, "%s\"%s\":", m ? "," : "", sim_metric_names[m]);
		sim_add_value(out, m, values[m]);
	}
	(void)hd_buf_add_char(out, '}');
}

static void add_truth(struct hd_buf *out, const struct sim_point *point, const struct sim_reading *r)
{
	(void)hd_buf_printf(out, "{\"ts\":%" PRId64, r->ts_ms);
	add_values(out, "true", r->truth);
	if (memcmp(r->truth, r->served, sizeof r->truth) != 0)
		add_values(out, "served", r->served);
	if (r->shift_ms)
		(void)hd_buf_printf(out, ",\"served_ts\":%" PRId64, sim_reading_ts(point, r, SIM_METRICS));
	if (r->available_ms > r->ts_ms)
		(void)hd_buf_printf(out, ",\"available\":%" PRId64, r->available_ms);
	if (r->lost)
		(void)hd_buf_add_text(out, ",\"lost\":true");
	if (r->events) {
		(void)hd_buf_add_text(out, ",\"events\":[");
		const char *comma = "";
		for (size_t k = 0; k < SIM_FAULT_KIND_COUNT; k++)
			if (r->events & SIM_FAULT_BIT(k)) {
				(void)hd_buf_printf(out, "%s\"%s\"", comma, sim_fault_infos[k].name);
				comma = ",";
			}
		(void)hd_buf_add_char(out, ']');
	}
	(void)hd_buf_add_char(out, '}');
}

/* All slots of [from, to] up to now, those that no provider shows too. */
static void truth(struct sim_request *q, struct sim_answer *a, const char *rest)
{
	struct sim_point point;
	int64_t from, to, limit;
	if (!point_of_path(q, a, rest, &point))
		return;
	if (!sim_request_time(q, "from", q->now_ms - 3600000, &from) || !sim_request_time(q, "to", q->now_ms, &to) ||
	    !sim_request_number(q, "limit", ROWS_DEFAULT, 1, 1000000, &limit)) {
		answer_error(a, 400, "from and to must be times, limit a number");
		return;
	}
	struct sim_point_faults picked;
	sim_point_faults_pick(q->sim, &point, &picked);
	int64_t slot = sim_slot_at(&point, HD_MAX(from, 0) - 1) + 1, last = sim_slot_at(&point, HD_MIN(to, q->now_ms));
	a->status = 200;
	(void)hd_buf_printf(&a->body, "{\"point\":%u,\"skew_ms\":[%" PRId64 ",%" PRId64 ",%" PRId64 "],\"readings\":[", point.index, point.skew_ms[0],
	                    point.skew_ms[1], point.skew_ms[2]);
	for (int64_t n = 0; slot <= last && n < limit; slot++, n++) {
		struct sim_reading r;
		sim_reading_at(q->sim, &point, &picked, slot, &r);
		(void)hd_buf_add_text(&a->body, n ? ",\n" : "");
		add_truth(&a->body, &point, &r);
	}
	(void)hd_buf_printf(&a->body, "],\"next\":%" PRId64 "}", slot <= last ? sim_slot_ts(&point, slot) : INT64_C(-1));
}

static void points(struct sim_request *q, struct sim_answer *a)
{
	int64_t offset, limit, all = q->sim->config.points;
	if (!sim_request_number(q, "offset", 0, 0, all, &offset) || !sim_request_number(q, "limit", POINTS_DEFAULT, 1, 10000, &limit)) {
		answer_error(a, 400, "offset and limit must be whole numbers");
		return;
	}
	a->status = 200;
	(void)hd_buf_printf(&a->body, "{\"total\":%" PRId64 ",\"points\":[", all);
	for (int64_t i = offset; i < all && i < offset + limit; i++) {
		(void)hd_buf_add_text(&a->body, i > offset ? ",\n" : "");
		sim_import_add_json(q->sim, (uint32_t)i, &a->body);
	}
	(void)hd_buf_add_text(&a->body, "]}");
}

static void ledger(struct sim_request *q, struct sim_answer *a)
{
	int64_t offset, limit;
	if (!sim_request_number(q, "offset", 0, 0, INT64_MAX, &offset) || !sim_request_number(q, "limit", ROWS_DEFAULT, 1, 1000000, &limit)) {
		answer_error(a, 400, "offset and limit must be whole numbers");
		return;
	}
	a->status = 200;
	sim_ledger_print(q->sim->ledger, sim_request_arg(q, "work"), (size_t)offset, (size_t)limit, &a->body);
}

static void informant(struct sim_request *q, struct sim_answer *a)
{
	const char *work = sim_request_arg(q, "work"), *user = sim_request_arg(q, "rut");
	if (!work || !user || !is_method(q, "POST"))
		answer_error(a, 400, "POST with work and rut");
	else if (sim_ledger_set_informant(q->sim->ledger, work, user))
		sim_answer_text(a, 200, "{}");
}

/* The judge's counts, and which slots of [from, to) of works [first, last] are filed. */
static void verdict(struct sim_request *q, struct sim_answer *a)
{
	struct sim_verdict_query query;
	int64_t first, last, limit, most = (int64_t)q->sim->config.points - 1;
	if (!sim_request_number(q, "first", 0, 0, most, &first) || !sim_request_number(q, "last", most, first, most, &last) ||
	    !sim_request_number(q, "limit", 20, 0, 1000, &limit) || !sim_request_time(q, "from", q->now_ms, &query.from_ms) || !sim_request_time(q, "to", q->now_ms, &query.to_ms)) {
		answer_error(a, 400, "first and last must be points, from and to times, limit a number");
		return;
	}
	query.first = (uint32_t)first;
	query.last = (uint32_t)last;
	query.limit = (uint32_t)limit;
	a->status = 200;
	sim_judge_print(q->sim->judge, &query, q->now_ms, &a->body);
}

static void death(struct sim_request *q, struct sim_answer *a)
{
	if (!is_method(q, "POST"))
		return;
	sim_judge_death(q->sim->judge, q->now_ms);
	sim_answer_text(a, 200, "{}");
}

static void revoke_tokens(struct sim_request *q, struct sim_answer *a)
{
	if (!is_method(q, "POST"))
		return;
	(void)__atomic_add_fetch(&q->sim->token_generation, 1, __ATOMIC_RELAXED);
	sim_answer_text(a, 200, "{}");
}

static void status(struct sim_request *q, struct sim_answer *a)
{
	char now[HD_TIME_TEXT], origin[HD_TIME_TEXT];
	hd_time_format(q->now_ms, now);
	hd_time_format(q->sim->config.origin_ms, origin);
	a->status = 200;
	(void)hd_buf_printf(&a->body, "{\"now\":\"%s\",\"now_ms\":%" PRId64 ",\"simulated\":%s,\"points\":%u,\"seed\":%" PRIu64 ",\"origin\":\"%s\",\"retention_ms\":%" PRId64 "}",
	                    now, q->now_ms, hd_clock_is_simulated() ? "true" : "false", q->sim->config.points, q->sim->config.seed, origin, q->sim->config.retention_ms);
}

void sim_control_handle(struct sim_request *q, struct sim_answer *a)
{
	static const struct {
		const char *name;
		void (*plain)(struct sim_request *q, struct sim_answer *a);
		void (*with_rest)(struct sim_request *q, struct sim_answer *a, const char *rest);
	} routes[] = {
		{"/faults", NULL, faults}, {"/served.csv", served_csv, NULL}, {"/served", NULL, served}, {"/truth", NULL, truth},
		{"/points.csv", sim_import_csv, NULL}, {"/points", points, NULL}, {"/accounts.csv", sim_import_accounts_csv, NULL},
		{"/accounts", sim_import_accounts, NULL}, {"/works.csv", sim_import_works_csv, NULL}, {"/dga/ledger", ledger, NULL},
		{"/dga/informant", informant, NULL}, {"/dga/verdict", verdict, NULL}, {"/dga/death", death, NULL}, {"/revoke", revoke_tokens, NULL}, {"/status", status, NULL},
	};
	for (size_t i = 0; i < HD_ARRAY_LEN(routes); i++) {
		size_t n = strlen(routes[i].name);
		const char *rest = q->path + n;
		if (strncmp(q->path, routes[i].name, n) != 0)
			continue;
		if (routes[i].plain && !*rest) {
			routes[i].plain(q, a);
			return;
		}
		if (routes[i].with_rest && (!*rest || *rest == '/')) {
			routes[i].with_rest(q, a, rest);
			return;
		}
	}
}
