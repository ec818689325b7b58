/* SPDX-License-Identifier: MIT */
/* NOVUS loggers through TagoIO. See README.md. */
#include "answer.h"
#include "text.h"
#include "variable.h"

#include <stdlib.h>

/* Rows of the option table, in its order. */
enum { BASE_URL, PAGE_LIMIT, TOKEN_HEADER, NEGATIVE_IS_STATUS, DEVICE_TOKEN, KEYS, OPTION_COUNT };

struct novus {
	const hydro_host *host;
	char *base;
	uint32_t page_limit;
	uint32_t token_header;
	uint32_t negative_is_status;
};

static int32_t create(const hydro_host *host, const hydro_options *options, void **ret_instance, struct hydro_error *err)
{
	struct novus *novus = calloc(1, sizeof *novus);
	char *base = options_base_url(options, BASE_URL);
	if (!novus || !base) {
		free(novus);
		free(base);
		return hydro_fail(err, HYDRO_E_NOMEM, "no memory for an instance");
	}
	novus->host = host;
	novus->base = base;
	novus->page_limit = options_u32(options, PAGE_LIMIT);
	novus->token_header = options_u32(options, TOKEN_HEADER);
	novus->negative_is_status = options_u32(options, NEGATIVE_IS_STATUS);
	*ret_instance = novus;
	return HYDRO_OK;
}

static void destroy(void *instance)
{
	struct novus *novus = instance;
	if (!novus)
		return;
	free(novus->base);
	free(novus);
}

static int32_t check_point(void *instance, const hydro_options *point, struct hydro_error *err)
{
	(void)instance;
	int32_t result = options_check_header(point, DEVICE_TOKEN, "device_token", err);
	return result == HYDRO_OK ? options_check_keys(point, KEYS, "keys", err) : result;
}

static uint32_t parts(void *instance, const hydro_options *point)
{
	(void)instance;
	return variable_parts(point, KEYS);
}

static const char *build_url(const struct novus *novus, const hydro_poll *poll, const char *variable, const struct pages *pages,
			     hydro_scratch *scratch)
{
	struct text t;
	text_begin(&t, scratch);
	text_put(&t, novus->base);
	text_put(&t, "/data?variable=");
	text_put_url(&t, variable);
	if (pages) {
		text_put(&t, "&start_date=");
		text_put_date(&t, pages->from, TEXT_DATE_ISO, false);
		text_put(&t, "&end_date=");
		text_put_date(&t, pages->to, TEXT_DATE_ISO, true);
		text_put(&t, "&qty=");
		text_put_int(&t, answer_limit(poll, novus->page_limit));
	} else {
		text_put(&t, "&query=last_item");
	}
	return text_end(&t);
}

static int32_t request(void *instance, const hydro_poll *poll, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	static const char *const names[] = {"authorization", "Device-Token"};
	const struct novus *novus = instance;
	const hydro_map_entry *entry = variable_at(poll, KEYS, err);
	struct pages pages;
	bool history = poll->mode == HYDRO_POLL_HISTORY;
	if (!entry)
		return HYDRO_E_INVALID;
	int32_t result = options_check_header(poll->point, DEVICE_TOKEN, "device_token", err);
	if (result == HYDRO_OK && history)
		result = pages_load(poll, PAGES_UNKNOWN, &pages, err);
	if (result != HYDRO_OK)
		return result;
	hydro_http_header *headers = hydro_scratch_take(scratch, 2 * sizeof *headers);
	ret->url = ret->url_log = build_url(novus, poll, entry->value, history ? &pages : NULL, scratch);
	if (!headers || !ret->url)
		return hydro_fail(err, HYDRO_E_LIMIT, "the request needs more scratch memory");
	headers[0] = (hydro_http_header){.name = "Accept", .value = "application/json"};
	headers[1] = (hydro_http_header){.name = names[novus->token_header ? 1 : 0],
					 .value = hydro_option_text(poll->point, DEVICE_TOKEN),
					 .flags = HYDRO_HEADER_SECRET};
	ret->method = HYDRO_HTTP_GET;
	ret->headers = headers;
	ret->header_count = 2;
	ret->header_stride = sizeof *headers;
	ret->body = NULL;
	ret->body_len = 0;
	ret->timeout_ms = 0;
	return HYDRO_OK;
}

struct walk {
	const char *variable;
	uint32_t metric;
	bool negative_is_status;
};

static bool walk_result(const struct walk *walk, struct json *j, struct rows *rows)
{
	/* The variable is compared where it is told: a value of another one would be a wrong value, not a missing one. */
	const struct row_form form = {.ts = "time", .value = "value", .format = TS_RFC3339, .same = "variable", .same_value = walk->variable};
	struct row row;
	if (!json_enter_array(j))
		return false;
	rows_series_begin(rows);
	while (json_element(j)) {
		if (!rows_read_row(rows, j, &form, &row))
			return false;
		if (row.good)
			rows_add(rows, row.ts_ms, row.value, walk->metric, walk->negative_is_status && row.value < 0 ? HYDRO_RAW_STATUS : 0);
	}
	rows_series_end(rows);
	return !j->error;
}

/* "status":false is a refusal that comes with HTTP 200. */
static bool walk_status(struct json *j, struct rows *rows)
{
	bool good = true;
	if (json_peek(j) != JSON_BOOL)
		return json_skip(j);
	if (!json_bool(j, &good))
		return false;
	return good || rows_wrong_form(rows, "the service answered status false");
}

/* {"status":true,"result":[{"time":"…Z","value":7.5,"variable":"…",…},…]}; an empty result is empty. */
static bool walk_answer(void *ctx, struct json *j, struct rows *rows)
{
	struct json_text name;
	bool has_result = false;
	if (json_peek(j) != JSON_OBJECT && !j->error)
		return rows_wrong_form(rows, "the answer is not an object");
	if (!json_enter_object(j))
		return false;
	while (json_member(j, &name)) {
		enum json_kind kind = json_peek(j);
		bool ok;
		if (json_text_equal(&name, "status", 6)) {
			ok = walk_status(j, rows);
		} else if (json_text_equal(&name, "result", 6)) {
			if (has_result)
				return rows_wrong_form(rows, "the answer has two results");
			if (kind != JSON_ARRAY && kind != JSON_NULL && kind != JSON_NONE)
				return rows_wrong_form(rows, "the result is not a list of values");
			has_result = true;
			ok = kind == JSON_ARRAY ? walk_result(ctx, j, rows) : json_skip(j);
		} else {
			ok = json_skip(j);
		}
		if (!ok)
			return false;
	}
	if (j->error)
		return false;
	return has_result || rows_wrong_form(rows, "the answer has no result");
}

static int32_t parse(void *instance, const hydro_poll *poll, const hydro_http_response *response, const hydro_emit *emit,
		     hydro_outcome *ret, struct hydro_error *err)
{
	const struct novus *novus = instance;
	const hydro_map_entry *entry = variable_at(poll, KEYS, err);
	struct answer answer = {.provider = "novus", .host = novus->host, .poll = poll, .response = response, .emit = emit, .ret = ret, .err = err};
	if (!entry)
		return HYDRO_E_INVALID;
	struct walk walk = {.variable = entry->value, .metric = entry->metric, .negative_is_status = novus->negative_is_status};
	answer.limit = answer_limit(poll, novus->page_limit);
	answer.direction = PAGES_UNKNOWN;
	return provider_answer_parse(&answer, walk_answer, &walk);
}

static const hydro_option options[OPTION_COUNT] = {
	[BASE_URL] = {.key = "base_url", .type = HYDRO_OPT_URL, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "https://api.tago.io",
		      .doc = "Where the service answers; regional hosts exist"},
	[PAGE_LIMIT] = {.key = "page_limit", .type = HYDRO_OPT_INT, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "100", .min = 1, .max = 10000,
			.doc = "Values asked for in one answer of history (qty); not more than the service gives"},
	[TOKEN_HEADER] = {.key = "token_header", .type = HYDRO_OPT_CHOICE, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "authorization",
			  .choices = "authorization|device-token", .doc = "Header that carries the device's token"},
	[NEGATIVE_IS_STATUS] = {.key = "negative_is_status", .type = HYDRO_OPT_BOOL, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "true",
				.doc = "Negative values are the logger's status codes: kept and marked, never a datum"},
	[DEVICE_TOKEN] = {.key = "device_token", .type = HYDRO_OPT_STRING, .scope = HYDRO_SCOPE_POINT, .flags = HYDRO_OPT_REQUIRED | HYDRO_OPT_SECRET,
			  .min = 1, .max = 256, .doc = "Token of the device"},
	[KEYS] = {.key = "keys", .type = HYDRO_OPT_MAP, .scope = HYDRO_SCOPE_POINT, .flags = HYDRO_OPT_REQUIRED | HYDRO_OPT_METRIC_KEYS,
		  .doc = "Metric → variable of the device, e.g. { flow = \"3grecuc1v\" }; one request each"},
};

static const hydro_provider_ops ops = {
	.struct_size = sizeof ops,
	.capabilities = HYDRO_PROVIDER_HTTP | HYDRO_PROVIDER_HISTORY,
	.create = create,
	.destroy = destroy,
	.check_point = check_point,
	.parts = parts,
	.request = request,
	.parse = parse,
};

static const hydro_plugin plugin = {
	.struct_size = sizeof plugin,
	.magic = HYDRO_ABI_MAGIC,
	.abi_major = HYDRO_ABI_MAJOR,
	.abi_minor_needed = 1,
	.kind = HYDRO_KIND_PROVIDER,
	.name = "novus",
	.version = "0.1.0",
	.summary = "NOVUS loggers through TagoIO: latest values and history over HTTPS, one request a variable",
	.licence = "MIT",
	.flags = HYDRO_PLUGIN_UNLOADABLE,
	.option_count = OPTION_COUNT,
	.option_stride = sizeof(hydro_option),
	.options = options,
	.ops = &ops,
};

const hydro_plugin *hydro_plugin_entry(uint32_t host_major, uint32_t host_minor)
{
	return host_major == HYDRO_ABI_MAJOR && host_minor >= 1 ? &plugin : NULL;
}
