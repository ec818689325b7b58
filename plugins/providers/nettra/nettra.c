/* SPDX-License-Identifier: MIT */
/* Nettra, over TheThings.io. See README.md. */
#include "answer.h"
#include "text.h"
#include "variable.h"

#include <stdlib.h>

/* Rows of the option table, in its order. */
enum { BASE_URL, PAGE_LIMIT, HISTORY, DATE_FORMAT, NOT_FOUND, THING, KEYS, OPTION_COUNT };

enum { NOT_FOUND_FAILED, NOT_FOUND_NO_DATA };

struct nettra {
	const hydro_host *host;
	char *base;
	uint32_t page_limit;
	uint32_t history;
	uint32_t date_format; /* enum text_date */
	uint32_t not_found;
};

static int32_t create(const hydro_host *host, const hydro_options *options, void **ret_instance, struct hydro_error *err)
{
	struct nettra *nettra = calloc(1, sizeof *nettra);
	char *base = options_base_url(options, BASE_URL);
	if (!nettra || !base) {
		free(nettra);
		free(base);
		return hydro_fail(err, HYDRO_E_NOMEM, "no memory for an instance");
	}
	nettra->host = host;
	nettra->base = base;
	nettra->page_limit = options_u32(options, PAGE_LIMIT);
	nettra->history = options_u32(options, HISTORY);
	nettra->date_format = options_u32(options, DATE_FORMAT);
	nettra->not_found = options_u32(options, NOT_FOUND);
	*ret_instance = nettra;
	return HYDRO_OK;
}

static void destroy(void *instance)
{
	struct nettra *nettra = instance;
	if (!nettra)
		return;
	free(nettra->base);
	free(nettra);
}

static int32_t check_point(void *instance, const hydro_options *point, struct hydro_error *err)
{
	(void)instance;
	int32_t result = options_check_segment(point, THING, "thing", err);
	if (result == HYDRO_OK)
		result = options_check_keys(point, KEYS, "keys", err);
	struct keys keys = options_keys(point, KEYS);
	for (uint32_t i = 0; result == HYDRO_OK && i < keys.count; i++)
		if (!text_is_segment(keys_at(&keys, i)->value))
			result = hydro_fail(err, HYDRO_E_CONFIG, "keys: \"%s\" is nothing that a URL's path can carry", keys_at(&keys, i)->value);
	return result;
}

static uint32_t parts(void *instance, const hydro_options *point)
{
	(void)instance;
	return variable_parts(point, KEYS);
}

static const char *build_url(const struct nettra *nettra, const hydro_poll *poll, const char *key, const struct pages *pages, bool redact,
			     hydro_scratch *scratch)
{
	struct text t;
	text_begin(&t, scratch);
	text_put(&t, nettra->base);
	text_put(&t, "/things/");
	if (redact)
		text_put(&t, TEXT_REDACTED);
	else
		text_put_url(&t, hydro_option_text(poll->point, THING));
	text_put(&t, "/resources/");
	text_put_url(&t, key);
	text_put(&t, "?limit=");
	text_put_int(&t, pages ? answer_limit(poll, nettra->page_limit) : 1);
	if (pages) {
		text_put(&t, "&startDate=");
		text_put_date(&t, pages->from, (enum text_date)nettra->date_format, false);
		text_put(&t, "&endDate=");
		text_put_date(&t, pages->to, (enum text_date)nettra->date_format, true);
	}
	return text_end(&t);
}

static int32_t request(void *instance, const hydro_poll *poll, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	static const hydro_http_header headers[] = {{"Accept", "application/json", 0, 0}};
	const struct nettra *nettra = instance;
	const hydro_map_entry *entry = variable_at(poll, KEYS, err);
	struct pages pages;
	bool history = poll->mode == HYDRO_POLL_HISTORY;
	if (!entry)
		return HYDRO_E_INVALID;
	int32_t result = options_check_segment(poll->point, THING, "thing", err);
	if (result == HYDRO_OK && history && !nettra->history)
		result = hydro_fail(err, HYDRO_E_UNSUPPORTED, "history is switched off for this instance");
	if (result == HYDRO_OK && history)
		result = pages_load(poll, PAGES_DOWN, &pages, err);
	if (result != HYDRO_OK)
		return result;
	ret->method = HYDRO_HTTP_GET;
	ret->url = build_url(nettra, poll, entry->value, history ? &pages : NULL, false, scratch);
	ret->url_log = build_url(nettra, poll, entry->value, history ? &pages : NULL, true, scratch);
	ret->headers = headers;
	ret->header_count = 1;
	ret->header_stride = sizeof headers[0];
	ret->body = NULL;
	ret->body_len = 0;
	ret->timeout_ms = 0;
	if (!ret->url || !ret->url_log)
		return hydro_fail(err, HYDRO_E_LIMIT, "the request needs more scratch memory");
	return HYDRO_OK;
}

/* [{"datetime":"2026-01-01T00:00:00.000Z","value":42},…], newest first; [] is empty. */
static bool walk_answer(void *ctx, struct json *j, struct rows *rows)
{
	static const struct row_form form = {.ts = "datetime", .value = "value", .format = TS_RFC3339};
	const hydro_map_entry *entry = ctx;
	struct row row;
	if (json_peek(j) != JSON_ARRAY && !j->error)
		return rows_wrong_form(rows, "the answer is not a list of values");
	if (!json_enter_array(j))
		return false;
	rows_series_begin(rows);
	while (json_element(j)) {
		if (!rows_read_row(rows, j, &form, &row))
			return false;
		if (row.good)
			rows_add(rows, row.ts_ms, row.value, entry->metric, 0);
	}
	rows_series_end(rows);
	return !j->error;
}

static int32_t parse(void *instance, const hydro_poll *poll, const hydro_http_response *response, const hydro_emit *emit,
		     hydro_outcome *ret, struct hydro_error *err)
{
	const struct nettra *nettra = instance;
	const hydro_map_entry *entry = variable_at(poll, KEYS, err);
	hydro_map_entry asked;
	struct answer answer = {.provider = "nettra", .host = nettra->host, .poll = poll, .response = response, .emit = emit, .ret = ret, .err = err};
	if (!entry)
		return HYDRO_E_INVALID;
	asked = *entry;
	answer.rules = ANSWER_304_IS_NO_DATA | (nettra->not_found == NOT_FOUND_NO_DATA ? ANSWER_404_IS_NO_DATA : 0);
	answer.limit = answer_limit(poll, nettra->page_limit);
	answer.direction = PAGES_DOWN;
	return provider_answer_parse(&answer, walk_answer, &asked);
}

static const hydro_option options[OPTION_COUNT] = {
	[BASE_URL] = {.key = "base_url", .type = HYDRO_OPT_URL, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "https://api.thethings.io/v2",
		      .doc = "Where the service answers"},
	[PAGE_LIMIT] = {.key = "page_limit", .type = HYDRO_OPT_INT, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "100", .min = 1, .max = 10000,
			.doc = "Values asked for in one answer of history; not more than the service gives"},
	[HISTORY] = {.key = "history", .type = HYDRO_OPT_BOOL, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "true",
		     .doc = "The service understands startDate and endDate; if false, a gap stays a gap"},
	[DATE_FORMAT] = {.key = "date_format", .type = HYDRO_OPT_CHOICE, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "iso", .choices = TEXT_DATE_CHOICES,
			 .doc = "How startDate and endDate are written: iso, compact (YYYYMMDDhhmmss), ms or s since 1970; always UTC"},
	[NOT_FOUND] = {.key = "not_found", .type = HYDRO_OPT_CHOICE, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "failed", .choices = "failed|no_data",
		       .doc = "What HTTP 404 becomes: it happens now and then, and is also the answer to a wrong token"},
	[THING] = {.key = "thing", .type = HYDRO_OPT_STRING, .scope = HYDRO_SCOPE_POINT, .flags = HYDRO_OPT_REQUIRED | HYDRO_OPT_SECRET, .min = 1, .max = 256,
		   .doc = "Token of the thing"},
	[KEYS] = {.key = "keys", .type = HYDRO_OPT_MAP, .scope = HYDRO_SCOPE_POINT, .flags = HYDRO_OPT_REQUIRED | HYDRO_OPT_METRIC_KEYS,
		  .doc = "Metric → resource of the thing, e.g. { flow = \"caudal\" }; one request each"},
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
	.name = "nettra",
	.version = "0.1.0",
	.summary = "Nettra (TheThings.io): latest values and history over HTTPS, one request a variable",
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
