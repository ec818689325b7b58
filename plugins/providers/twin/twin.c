/* SPDX-License-Identifier: MIT */
/* Twin Data (TwinDimension "T.Data"), a service in the manner of ThingsBoard. See README.md. */
#include "twin.h"

#include "answer.h"
#include "options.h"
#include "text.h"

#include <stdlib.h>

static int32_t create(const hydro_host *host, const hydro_options *options, void **ret_instance, struct hydro_error *err)
{
	struct twin *twin = calloc(1, sizeof *twin);
	char *base = options_base_url(options, TWIN_BASE_URL);
	if (!twin || !base) {
		free(twin);
		free(base);
		return hydro_fail(err, HYDRO_E_NOMEM, "no memory for an instance");
	}
	twin->host = host;
	twin->base = base;
	twin->page_limit = options_u32(options, TWIN_PAGE_LIMIT);
	twin->key_list = options_u32(options, TWIN_KEY_LIST);
	twin->forbidden = options_u32(options, TWIN_FORBIDDEN);
	*ret_instance = twin;
	return HYDRO_OK;
}

static void destroy(void *instance)
{
	struct twin *twin = instance;
	if (!twin)
		return;
	free(twin->base);
	free(twin);
}

static int32_t check_point(void *instance, const hydro_options *point, struct hydro_error *err)
{
	const struct twin *twin = instance;
	int32_t result = options_check_segment(point, TWIN_DEVICE, "device", err);
	if (result == HYDRO_OK)
		result = options_check_keys(point, TWIN_KEYS, "keys", err);
	if (result != HYDRO_OK || twin->key_list != TWIN_KEYS_COMMA)
		return result;
	struct keys keys = options_keys(point, TWIN_KEYS);
	for (uint32_t i = 0; i < keys.count; i++)
		if (strchr(keys_at(&keys, i)->value, ','))
			return hydro_fail(err, HYDRO_E_CONFIG, "keys: \"%s\" has a comma; such keys need key_list = \"single\"", keys_at(&keys, i)->value);
	return HYDRO_OK;
}

static uint32_t parts(void *instance, const hydro_options *point)
{
	const struct twin *twin = instance;
	struct keys keys = options_keys(point, TWIN_KEYS);
	return twin->key_list == TWIN_KEYS_SINGLE && keys.count > 0 ? keys.count : 1;
}

/* The entries that a part asks for. */
static void part_range(const struct twin *twin, const struct keys *keys, uint32_t part, uint32_t *ret_first, uint32_t *ret_end)
{
	bool single = twin->key_list == TWIN_KEYS_SINGLE;
	*ret_first = single ? part : 0;
	*ret_end = single ? (part < keys->count ? part + 1 : part) : keys->count;
}

static const char *build_url(const struct twin *twin, const hydro_poll *poll, const struct pages *pages, bool redact, hydro_scratch *scratch)
{
	struct keys keys = options_keys(poll->point, TWIN_KEYS);
	uint32_t first, end;
	struct text t;
	text_begin(&t, scratch);
	text_put(&t, twin->base);
	text_put(&t, "/telemetry/DEVICE/");
	if (redact)
		text_put(&t, TEXT_REDACTED);
	else
		text_put_url(&t, hydro_option_text(poll->point, TWIN_DEVICE));
	text_put(&t, "/values/timeseries?keys=");
	part_range(twin, &keys, poll->part, &first, &end);
	for (uint32_t i = first; i < end; i++) {
		text_put(&t, i > first ? "," : "");
		text_put_url(&t, keys_at(&keys, i)->value);
	}
	if (pages) {
		text_put(&t, "&startTs=");
		text_put_int(&t, pages->from);
		text_put(&t, "&endTs=");
		text_put_int(&t, pages->to);
		text_put(&t, "&limit=");
		text_put_int(&t, answer_limit(poll, twin->page_limit));
		text_put(&t, "&asc=true");
	}
	return text_end(&t);
}

static int32_t build_headers(const hydro_poll *poll, hydro_scratch *scratch, hydro_http_request *ret)
{
	hydro_http_header *headers = hydro_scratch_take(scratch, 2 * sizeof *headers);
	if (!headers)
		return HYDRO_E_LIMIT;
	headers[0] = (hydro_http_header){.name = "Accept", .value = "application/json"};
	ret->headers = headers;
	ret->header_stride = sizeof *headers;
	ret->header_count = 1;
	if (poll->token && *poll->token) {
		char *value = hydro_scratch_printf(scratch, "Bearer %s", poll->token);
		if (!value)
			return HYDRO_E_LIMIT;
		headers[ret->header_count++] = (hydro_http_header){.name = "Authorization", .value = value, .flags = HYDRO_HEADER_SECRET};
	}
	return HYDRO_OK;
}

static int32_t request(void *instance, const hydro_poll *poll, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	const struct twin *twin = instance;
	struct pages pages;
	bool history = poll->mode == HYDRO_POLL_HISTORY;
	int32_t result = options_check_segment(poll->point, TWIN_DEVICE, "device", err);
	if (result == HYDRO_OK && poll->part >= parts(instance, poll->point))
		result = hydro_fail(err, HYDRO_E_INVALID, "a part that this point does not have");
	if (result == HYDRO_OK && history)
		result = pages_load(poll, PAGES_UP, &pages, err);
	if (result != HYDRO_OK)
		return result;
	ret->method = HYDRO_HTTP_GET;
	ret->url = build_url(twin, poll, history ? &pages : NULL, false, scratch);
	ret->url_log = build_url(twin, poll, history ? &pages : NULL, true, scratch);
	ret->body = NULL;
	ret->body_len = 0;
	ret->timeout_ms = 0;
	if (!ret->url || !ret->url_log || build_headers(poll, scratch, ret) != HYDRO_OK)
		return hydro_fail(err, HYDRO_E_LIMIT, "the request needs more scratch memory");
	return HYDRO_OK;
}

struct walk {
	struct keys keys;
	uint32_t first, end; /* entries of this part */
};

/* All rows of one key; each good one goes to every metric that has this key. */
static bool walk_key(const struct walk *walk, const struct json_text *key, uint32_t entry, struct json *j, struct rows *rows)
{
	static const struct row_form form = {.ts = "ts", .value = "value", .format = TS_MS};
	struct row row;
	if (!json_enter_array(j))
		return false;
	rows_series_begin(rows);
	while (json_element(j)) {
		if (!rows_read_row(rows, j, &form, &row))
			return false;
		for (uint32_t i = entry; row.good && i < walk->end; i++) {
			const hydro_map_entry *at = keys_at(&walk->keys, i);
			if (i == entry || json_text_equal(key, at->value, strlen(at->value)))
				rows_add(rows, row.ts_ms, row.value, at->metric, 0);
		}
	}
	rows_series_end(rows);
	return !j->error;
}

/* {"key":[{"ts":ms,"value":"text"},…],…}; {} is empty. Keys that were not asked for are read over. */
static bool walk_answer(void *ctx, struct json *j, struct rows *rows)
{
	const struct walk *walk = ctx;
	struct json_text key;
	if (json_peek(j) != JSON_OBJECT && !j->error)
		return rows_wrong_form(rows, "the answer is not an object");
	if (!json_enter_object(j))
		return false;
	while (json_member(j, &key)) {
		uint32_t i = walk->first;
		enum json_kind kind = json_peek(j);
		while (i < walk->end && !json_text_equal(&key, keys_at(&walk->keys, i)->value, strlen(keys_at(&walk->keys, i)->value)))
			i++;
		if (kind != JSON_ARRAY && kind != JSON_NULL && kind != JSON_NONE)
			return rows_wrong_form(rows, "a member of the answer is not a list of values");
		if (kind == JSON_ARRAY && i < walk->end ? !walk_key(walk, &key, i, j, rows) : !json_skip(j))
			return false;
	}
	return !j->error;
}

static int32_t parse(void *instance, const hydro_poll *poll, const hydro_http_response *response, const hydro_emit *emit,
		     hydro_outcome *ret, struct hydro_error *err)
{
	const struct twin *twin = instance;
	struct walk walk = {.keys = options_keys(poll->point, TWIN_KEYS)};
	struct answer answer = {.provider = "twin", .host = twin->host, .poll = poll, .response = response, .emit = emit, .ret = ret, .err = err};
	answer.rules = ANSWER_LOGIN | (twin->forbidden == TWIN_FORBIDDEN_LOGIN ? ANSWER_FORBIDDEN_IS_LOGIN : 0);
	answer.limit = answer_limit(poll, twin->page_limit);
	answer.direction = PAGES_UP;
	part_range(twin, &walk.keys, poll->part, &walk.first, &walk.end);
	return provider_answer_parse(&answer, walk_answer, &walk);
}

static const hydro_option options[TWIN_OPTION_COUNT] = {
	[TWIN_BASE_URL] = {.key = "base_url", .type = HYDRO_OPT_URL, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "https://api.twindimension.com/tdata/v1",
			   .doc = "Where the service answers"},
	[TWIN_PAGE_LIMIT] = {.key = "page_limit", .type = HYDRO_OPT_INT, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "100", .min = 1, .max = 10000,
			     .doc = "Values of one key asked for in one answer of history; not more than the service gives"},
	[TWIN_KEY_LIST] = {.key = "key_list", .type = HYDRO_OPT_CHOICE, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "comma", .choices = "comma|single",
			   .doc = "All keys in one request (comma), or one request for each (single) where the service does not know lists"},
	[TWIN_FORBIDDEN] = {.key = "forbidden", .type = HYDRO_OPT_CHOICE, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "login", .choices = "login|failed",
			    .doc = "What HTTP 403 means: a token that is over (login), or a device that the account may not read (failed)"},
	[TWIN_USERNAME] = {.key = "username", .type = HYDRO_OPT_STRING, .scope = HYDRO_SCOPE_ACCOUNT, .flags = HYDRO_OPT_REQUIRED, .min = 1, .max = 256,
			   .doc = "User of the account"},
	[TWIN_PASSWORD] = {.key = "password", .type = HYDRO_OPT_STRING, .scope = HYDRO_SCOPE_ACCOUNT, .flags = HYDRO_OPT_REQUIRED | HYDRO_OPT_SECRET,
			   .min = 1, .max = 256, .doc = "Password of the account"},
	[TWIN_DEVICE] = {.key = "device", .type = HYDRO_OPT_STRING, .scope = HYDRO_SCOPE_POINT, .flags = HYDRO_OPT_REQUIRED | HYDRO_OPT_SECRET, .min = 1,
			 .max = 256, .doc = "Token of the device"},
	[TWIN_KEYS] = {.key = "keys", .type = HYDRO_OPT_MAP, .scope = HYDRO_SCOPE_POINT, .flags = HYDRO_OPT_REQUIRED | HYDRO_OPT_METRIC_KEYS,
		       .doc = "Metric → key of the device's variable, e.g. { pulses = \"5003\" }"},
};

static const hydro_provider_ops ops = {
	.struct_size = sizeof ops,
	.capabilities = HYDRO_PROVIDER_HTTP | HYDRO_PROVIDER_LOGIN | HYDRO_PROVIDER_HISTORY,
	.create = create,
	.destroy = destroy,
	.check_point = check_point,
	.parts = parts,
	.login_request = twin_login_request,
	.login_parse = twin_login_parse,
	.request = request,
	.parse = parse,
};

static const hydro_plugin plugin = {
	.struct_size = sizeof plugin,
	.magic = HYDRO_ABI_MAGIC,
	.abi_major = HYDRO_ABI_MAJOR,
	.abi_minor_needed = 1,
	.kind = HYDRO_KIND_PROVIDER,
	.name = "twin",
	.version = "0.1.0",
	.summary = "Twin Data (TwinDimension): login, latest values and history over HTTPS",
	.licence = "MIT",
	.flags = HYDRO_PLUGIN_UNLOADABLE,
	.option_count = TWIN_OPTION_COUNT,
	.option_stride = sizeof(hydro_option),
	.options = options,
	.ops = &ops,
};

const hydro_plugin *hydro_plugin_entry(uint32_t host_major, uint32_t host_minor)
{
	return host_major == HYDRO_ABI_MAJOR && host_minor >= 1 ? &plugin : NULL;
}
