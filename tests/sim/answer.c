/* SPDX-License-Identifier: MIT */
/* What all services need to read a request and write an answer. */
#include "http.h"

#include "base/timefmt.h"
#include "faults.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_AFTER_MS 30000

static const char html_page[] = "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>";

void sim_answer_text(struct sim_answer *answer, unsigned status, const char *json)
{
	answer->status = status;
	hd_buf_clear(&answer->body);
	(void)hd_buf_add_text(&answer->body, json);
}

static void answer_status(struct sim_answer *a, unsigned status, const char *what)
{
	char text[128];
	(void)snprintf(text, sizeof text, "{\"status\":%u,\"message\":\"%s\"}", status, what);
	sim_answer_text(a, status, text);
}

/* false: the answer is to be made all the same. */
static bool spoil(struct sim_answer *a, const struct sim_fault *f, uint32_t kind, const char *empty)
{
	switch (kind) {
	case SIM_FAULT_HTTP_5XX:
		answer_status(a, f->status, "Service failed");
		return true;
	case SIM_FAULT_HANG:
		a->fate = SIM_FATE_HANG;
		return true;
	case SIM_FAULT_CUT:
		a->fate = SIM_FATE_CUT;
		return false;
	case SIM_FAULT_UNAUTHORIZED:
		answer_status(a, 401, "Authentication failed");
		return true;
	case SIM_FAULT_NOT_FOUND:
		answer_status(a, 404, "Not found");
		return true;
	case SIM_FAULT_RATE_LIMIT:
		answer_status(a, 429, "Too many requests");
		a->retry_after_ms = f->delay_ms >= 0 ? f->delay_ms : RETRY_AFTER_MS;
		return true;
	case SIM_FAULT_EMPTY:
		sim_answer_text(a, 200, empty);
		return true;
	case SIM_FAULT_NOT_JSON:
		sim_answer_text(a, 200, html_page);
		a->type = "text/html";
		return true;
	case SIM_FAULT_OUT_OF_ORDER:
		a->shuffle = true;
		return false;
	default:
		return false;
	}
}

bool sim_fault_answer(struct sim_request *q, struct sim_answer *a, uint32_t service, uint32_t point, const char *empty)
{
	static const uint64_t kinds =
		SIM_FAULT_BIT(SIM_FAULT_HTTP_5XX) | SIM_FAULT_BIT(SIM_FAULT_HANG) | SIM_FAULT_BIT(SIM_FAULT_CUT) | SIM_FAULT_BIT(SIM_FAULT_UNAUTHORIZED) |
		SIM_FAULT_BIT(SIM_FAULT_NOT_FOUND) | SIM_FAULT_BIT(SIM_FAULT_RATE_LIMIT) | SIM_FAULT_BIT(SIM_FAULT_EMPTY) |
		SIM_FAULT_BIT(SIM_FAULT_NOT_JSON) | SIM_FAULT_BIT(SIM_FAULT_OUT_OF_ORDER) | SIM_FAULT_BIT(SIM_FAULT_OUTAGE);
	const struct sim_fault *f = sim_faults_hit(q->sim->faults, service, point, q->now_ms, kinds);
	return f && spoil(a, f, f->kind == SIM_FAULT_OUTAGE ? f->mode : f->kind, empty);
}

const char *sim_request_arg(const struct sim_request *q, const char *name)
{
	return MHD_lookup_connection_value(q->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *sim_request_header(const struct sim_request *q, const char *name)
{
	return MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, name);
}

static bool whole(const char *text, int64_t *ret)
{
	char *end;
	errno = 0;
	long long v = strtoll(text, &end, 10);
	if (end == text || *end || errno)
		return false;
	*ret = v;
	return true;
}

bool sim_request_number(const struct sim_request *q, const char *name, int64_t missing, int64_t least, int64_t most, int64_t *ret)
{
	const char *text = sim_request_arg(q, name);
	if (!text) {
		*ret = missing;
		return true;
	}
	return whole(text, ret) && *ret >= least && *ret <= most;
}

/* Digits alone: YYYYMMDDhhmmss by their count, seconds up to ten digits, else ms. */
static bool bare_time(const char *text, int64_t *ret)
{
	size_t n = strlen(text);
	char iso[32];
	if (!whole(text, ret))
		return false;
	if (n == 14) {
		int len = snprintf(iso, sizeof iso, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", text, text + 4, text + 6, text + 8, text + 10, text + 12);
		return hd_time_parse(iso, (size_t)len, false, ret);
	}
	if (n <= 10)
		*ret *= 1000;
	return true;
}

bool sim_request_time(const struct sim_request *q, const char *name, int64_t missing, int64_t *ret)
{
	const char *text = sim_request_arg(q, name);
	if (!text) {
		*ret = missing;
		return true;
	}
	return bare_time(text, ret) || hd_time_parse(text, strlen(text), false, ret);
}

/* Written by hand: half of the work of an answer is its numbers. */
static void add_whole(struct hd_buf *out, uint64_t v, unsigned digits_least)
{
	char text[20];
	size_t at = sizeof text;
	for (; v || digits_least; v /= 10, digits_least -= digits_least > 0)
		text[--at] = (char)('0' + v % 10);
	(void)hd_buf_add(out, text + at, sizeof text - at);
}

void sim_add_whole(struct hd_buf *out, int64_t value)
{
	if (value < 0)
		(void)hd_buf_add_char(out, '-');
	add_whole(out, value < 0 ? (uint64_t)-value : (uint64_t)value, 1);
}

void sim_add_value(struct hd_buf *out, uint32_t metric, int64_t value)
{
	unsigned decimals = sim_metric_decimals[metric];
	uint64_t scale = 1, v = value < 0 ? (uint64_t)-value : (uint64_t)value;
	for (unsigned i = 0; i < decimals; i++)
		scale *= 10;
	if (value < 0)
		(void)hd_buf_add_char(out, '-');
	add_whole(out, v / scale, 1);
	uint64_t part = v % scale;
	if (!part)
		return;
	while (part % 10 == 0) {
		part /= 10;
		decimals--;
	}
	(void)hd_buf_add_char(out, '.');
	add_whole(out, part, decimals);
}

void sim_add_time(struct hd_buf *out, int64_t ms)
{
	int64_t day = ms / 86400000, rest = ms % 86400000, year;
	unsigned month, date;
	if (rest < 0) {
		day--;
		rest += 86400000;
	}
	hd_civil_from_days(day, &year, &month, &date);
	const struct {
		uint64_t value;
		unsigned digits;
		char after;
	} parts[] = {{(uint64_t)year, 4, '-'}, {month, 2, '-'}, {date, 2, 'T'}, {(uint64_t)rest / 3600000, 2, ':'},
	             {(uint64_t)rest / 60000 % 60, 2, ':'}, {(uint64_t)rest / 1000 % 60, 2, '.'}, {(uint64_t)rest % 1000, 3, 'Z'}};
	for (size_t i = 0; i < HD_ARRAY_LEN(parts); i++) {
		add_whole(out, parts[i].value, parts[i].digits);
		(void)hd_buf_add_char(out, parts[i].after);
	}
}

void sim_rows_shuffle(struct sim_rows *rows, uint64_t key)
{
	for (size_t i = rows->count; i > 1; i--) {
		size_t j = sim_mix(key, i) % i;
		struct sim_reading other = rows->rows[i - 1];
		rows->rows[i - 1] = rows->rows[j];
		rows->rows[j] = other;
	}
}
