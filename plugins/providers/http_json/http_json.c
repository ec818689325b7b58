/* SPDX-License-Identifier: MIT */
/* Any JSON over HTTP, by a mapping in its options. See README.md. */
#include "http_json.h"

#include "answer.h"
#include "path.h"
#include "template.h"

#include <stdlib.h>

#define HEADERS_MAX 16u
#define WINDOW (TEMPLATE_FROM | TEMPLATE_TO | TEMPLATE_LIMIT)

struct header {
	char *name, *value;
};

struct http_json {
	const hydro_host *host;
	char *url, *history_url, *body, *history_body;
	struct header headers[HEADERS_MAX];
	uint32_t header_count;
	uint32_t method, date_format, direction, page_limit;
	struct mapping mapping;
};

static void destroy(void *instance)
{
	struct http_json *hj = instance;
	if (!hj)
		return;
	for (uint32_t i = 0; i < hj->header_count; i++) {
		free(hj->headers[i].name);
		free(hj->headers[i].value);
	}
	char *texts[] = {hj->url, hj->history_url, hj->body, hj->history_body, hj->mapping.items, hj->mapping.ts, hj->mapping.value};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		free(texts[i]);
	free(hj);
}

static int32_t copy_text(const hydro_options *options, uint32_t row, char **ret, struct hydro_error *err)
{
	*ret = strdup(hydro_option_text(options, row));
	return *ret ? HYDRO_OK : hydro_fail(err, HYDRO_E_NOMEM, "no memory for an instance");
}

static bool is_header_name(const char *s)
{
	size_t len = strlen(s);
	return len > 0 && len == strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
}

static int32_t copy_headers(struct http_json *hj, const hydro_options *options, struct hydro_error *err)
{
	const hydro_option_value *map = hydro_option_at(options, HJ_HEADERS);
	uint32_t count = map->is_set && map->entries ? map->entry_count : 0;
	if (count > HEADERS_MAX)
		return hydro_fail(err, HYDRO_E_CONFIG, "headers: more than %u", HEADERS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		const hydro_map_entry *entry = hydro_option_entry(options, map, i);
		if (!is_header_name(entry->key) || !text_is_header_value(entry->value))
			return hydro_fail(err, HYDRO_E_CONFIG, "headers: number %u is not a header that can be sent", i + 1);
		if (template_uses(entry->value) & WINDOW)
			return hydro_fail(err, HYDRO_E_CONFIG, "headers: \"%s\" cannot hold {from}, {to} or {limit}", entry->key);
		struct header *header = &hj->headers[hj->header_count++];
		header->name = strdup(entry->key);
		header->value = strdup(entry->value);
		if (!header->name || !header->value)
			return hydro_fail(err, HYDRO_E_NOMEM, "no memory for an instance");
	}
	return HYDRO_OK;
}

static int32_t check_url(const char *url, const char *what, struct hydro_error *err)
{
	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		return hydro_fail(err, HYDRO_E_CONFIG, "%s: must begin with http:// or https://", what);
	for (const char *p = url; *p; p++)
		if (*p <= 0x20 || *p > 0x7e)
			return hydro_fail(err, HYDRO_E_CONFIG, "%s: has a blank or a character that a URL cannot carry", what);
	return HYDRO_OK;
}

static int32_t check_templates(const struct http_json *hj, struct hydro_error *err)
{
	int32_t result = check_url(hj->url, "url", err);
	if (result == HYDRO_OK && *hj->history_url)
		result = check_url(hj->history_url, "history_url", err);
	if (result != HYDRO_OK)
		return result;
	if ((template_uses(hj->url) | template_uses(hj->body)) & WINDOW)
		return hydro_fail(err, HYDRO_E_CONFIG, "{from}, {to} and {limit} are of history_url and history_body alone");
	uint32_t window = template_uses(hj->history_url) | template_uses(hj->history_body);
	if (*hj->history_url && !(window & TEMPLATE_FROM))
		return hydro_fail(err, HYDRO_E_CONFIG, "history_url: neither it nor history_body has {from}");
	if (hj->method == HJ_METHOD_GET && (*hj->body || *hj->history_body))
		return hydro_fail(err, HYDRO_E_CONFIG, "body: needs method = \"POST\"");
	return HYDRO_OK;
}

static int32_t check_paths(const struct http_json *hj, struct hydro_error *err)
{
	const char *paths[] = {hj->mapping.items, hj->mapping.ts, hj->mapping.value};
	static const char *const names[] = {"items", "ts", "value"};
	bool uses_key = (template_uses(hj->url) | template_uses(hj->body) | template_uses(hj->history_url) | template_uses(hj->history_body)) & TEMPLATE_KEY;
	for (uint32_t i = 0; i < hj->header_count; i++)
		uses_key |= (template_uses(hj->headers[i].value) & TEMPLATE_KEY) != 0;
	for (size_t i = 0; i < 3; i++) {
		if (!path_is_valid(paths[i]))
			return hydro_fail(err, HYDRO_E_CONFIG, "%s: \"%s\" is not a path", names[i], paths[i]);
		uses_key |= path_uses_key(paths[i]);
	}
	if (!*hj->mapping.ts)
		return hydro_fail(err, HYDRO_E_CONFIG, "ts: a value without its own time cannot be used");
	if (uses_key && !*hj->mapping.value)
		return hydro_fail(err, HYDRO_E_CONFIG, "{key}: needs `value`, the path of the one value that each request is for");
	return HYDRO_OK;
}

static int32_t load(struct http_json *hj, const hydro_options *options, struct hydro_error *err)
{
	static const uint32_t directions[] = {PAGES_UNKNOWN, PAGES_UP, PAGES_DOWN};
	const struct {
		uint32_t row;
		char **to;
	} texts[] = {{HJ_URL, &hj->url},
		     {HJ_HISTORY_URL, &hj->history_url},
		     {HJ_BODY, &hj->body},
		     {HJ_HISTORY_BODY, &hj->history_body},
		     {HJ_ITEMS, &hj->mapping.items},
		     {HJ_TS, &hj->mapping.ts},
		     {HJ_VALUE, &hj->mapping.value}};
	int32_t result = HYDRO_OK;
	for (size_t i = 0; result == HYDRO_OK && i < sizeof texts / sizeof texts[0]; i++)
		result = copy_text(options, texts[i].row, texts[i].to, err);
	if (result != HYDRO_OK)
		return result;
	hj->method = options_u32(options, HJ_METHOD);
	hj->date_format = options_u32(options, HJ_DATE_FORMAT);
	hj->page_limit = options_u32(options, HJ_PAGE_LIMIT);
	hj->direction = directions[options_u32(options, HJ_ORDER) % 3];
	hj->mapping.ts_format = (enum ts_format)options_u32(options, HJ_TS_FORMAT);
	hj->mapping.missing_items = options_u32(options, HJ_MISSING_ITEMS);
	result = copy_headers(hj, options, err);
	if (result == HYDRO_OK)
		result = check_templates(hj, err);
	return result == HYDRO_OK ? check_paths(hj, err) : result;
}

static int32_t create(const hydro_host *host, const hydro_options *options, void **ret_instance, struct hydro_error *err)
{
	struct http_json *hj = calloc(1, sizeof *hj);
	if (!hj)
		return hydro_fail(err, HYDRO_E_NOMEM, "no memory for an instance");
	hj->host = host;
	int32_t result = load(hj, options, err);
	if (result != HYDRO_OK) {
		destroy(hj);
		return result;
	}
	*ret_instance = hj;
	return HYDRO_OK;
}

/* The point's own token, else the account's. */
static const char *token_of(const hydro_options *point, const hydro_options *account)
{
	const char *token = hydro_option_text(point, HJ_TOKEN);
	return *token ? token : hydro_option_text(account, HJ_ACCOUNT_TOKEN);
}

static int32_t check_point(void *instance, const hydro_options *point, struct hydro_error *err)
{
	const struct http_json *hj = instance;
	const char *texts[4 + HEADERS_MAX] = {hj->url, hj->history_url, hj->body, hj->history_body};
	struct keys keys = options_keys(point, HJ_KEYS);
	char name[64];
	int32_t result = options_check_keys(point, HJ_KEYS, "keys", err);
	for (uint32_t i = 0; i < hj->header_count; i++)
		texts[4 + i] = hj->headers[i].value;
	for (uint32_t i = 0; result == HYDRO_OK && i < 4 + hj->header_count; i++)
		if (template_unknown(texts[i], point, HJ_PARAMS, name, sizeof name))
			result = hydro_fail(err, HYDRO_E_CONFIG, "params: {%s} is used by the instance, and has no value here", name);
	for (uint32_t i = 0; result == HYDRO_OK && i < keys.count && !*hj->mapping.value; i++)
		if (!path_is_valid(keys_at(&keys, i)->value))
			result = hydro_fail(err, HYDRO_E_CONFIG, "keys: \"%s\" is not a path", keys_at(&keys, i)->value);
	return result;
}

static uint32_t parts(void *instance, const hydro_options *point)
{
	const struct http_json *hj = instance;
	struct keys keys = options_keys(point, HJ_KEYS);
	return *hj->mapping.value && keys.count ? keys.count : 1;
}

static const char *fill(const char *text, const struct template_values *values, enum template_escape escape, hydro_scratch *scratch)
{
	struct text t;
	text_begin(&t, scratch);
	template_put(&t, text, values, escape);
	return text_end(&t);
}

static int32_t build_headers(const struct http_json *hj, const struct template_values *values, hydro_scratch *scratch, hydro_http_request *ret,
			     struct hydro_error *err)
{
	hydro_http_header *headers = hydro_scratch_take(scratch, (hj->header_count + 2) * sizeof *headers);
	uint32_t count = 0;
	if (!headers)
		return HYDRO_E_LIMIT;
	headers[count++] = (hydro_http_header){.name = "Accept", .value = "application/json"};
	if (hj->method == HJ_METHOD_POST)
		headers[count++] = (hydro_http_header){.name = "Content-Type", .value = "application/json"};
	for (uint32_t i = 0; i < hj->header_count; i++) {
		const char *value = fill(hj->headers[i].value, values, TEMPLATE_HEADER, scratch);
		if (!value)
			return HYDRO_E_LIMIT;
		if (!text_is_header_value(value))
			return hydro_fail(err, HYDRO_E_CONFIG, "headers: what {…} of \"%s\" stands for cannot be sent in a header", hj->headers[i].name);
		/* Also what is written into the configuration itself may be an API key: none of these is shown. */
		headers[count++] = (hydro_http_header){.name = hj->headers[i].name, .value = value, .flags = HYDRO_HEADER_SECRET};
	}
	ret->headers = headers;
	ret->header_count = count;
	ret->header_stride = sizeof *headers;
	return HYDRO_OK;
}

static int32_t build(const struct http_json *hj, bool history, struct template_values *values, hydro_scratch *scratch, hydro_http_request *ret,
		     struct hydro_error *err)
{
	const char *url = history ? hj->history_url : hj->url, *body = history ? hj->history_body : hj->body;
	int32_t result = build_headers(hj, values, scratch, ret, err);
	if (result == HYDRO_E_CONFIG)
		return result;
	ret->method = hj->method == HJ_METHOD_POST ? HYDRO_HTTP_POST : HYDRO_HTTP_GET;
	ret->url = fill(url, values, TEMPLATE_URL, scratch);
	ret->body = *body ? fill(body, values, TEMPLATE_JSON, scratch) : "";
	values->redact = true;
	ret->url_log = fill(url, values, TEMPLATE_URL, scratch);
	ret->timeout_ms = 0;
	if (result != HYDRO_OK || !ret->url || !ret->url_log || !ret->body)
		return hydro_fail(err, HYDRO_E_LIMIT, "the request needs more scratch memory");
	ret->body_len = strlen(ret->body);
	if (ret->body_len == 0)
		ret->body = NULL;
	return HYDRO_OK;
}

static int32_t request(void *instance, const hydro_poll *poll, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	const struct http_json *hj = instance;
	struct keys keys = options_keys(poll->point, HJ_KEYS);
	struct pages pages;
	bool history = poll->mode == HYDRO_POLL_HISTORY;
	if (poll->part >= parts(instance, poll->point) || poll->part >= keys.count)
		return hydro_fail(err, HYDRO_E_INVALID, "a part that this point does not have");
	if (history && !*hj->history_url)
		return hydro_fail(err, HYDRO_E_UNSUPPORTED, "history: no history_url is configured");
	struct template_values values = {.point = poll->point,
					 .params_row = HJ_PARAMS,
					 .token = token_of(poll->point, poll->account),
					 .key = keys_at(&keys, poll->part)->value,
					 .now_ms = poll->now_ms,
					 .limit = answer_limit(poll, hj->page_limit),
					 .date_format = (enum text_date)hj->date_format};
	if (history) {
		int32_t result = pages_load(poll, hj->direction, &pages, err);
		if (result != HYDRO_OK)
			return result;
		values.from_ms = pages.from;
		values.to_ms = pages.to;
	}
	return build(hj, history, &values, scratch, ret, err);
}

static int32_t parse(void *instance, const hydro_poll *poll, const hydro_http_response *response, const hydro_emit *emit,
		     hydro_outcome *ret, struct hydro_error *err)
{
	const struct http_json *hj = instance;
	bool single = *hj->mapping.value != 0;
	struct mapping_walk walk = {.mapping = &hj->mapping, .keys = options_keys(poll->point, HJ_KEYS)};
	struct answer answer = {.provider = "http_json", .host = hj->host, .poll = poll, .response = response, .emit = emit, .ret = ret, .err = err};
	if (poll->part >= parts(instance, poll->point) || poll->part >= walk.keys.count)
		return hydro_fail(err, HYDRO_E_INVALID, "a part that this point does not have");
	walk.first = single ? poll->part : 0;
	walk.end = single ? poll->part + 1 : walk.keys.count;
	answer.limit = hj->page_limit ? answer_limit(poll, hj->page_limit) : 0;
	answer.direction = hj->direction;
	return provider_answer_parse(&answer, mapping_walk_answer, &walk);
}

#define TEXT(row, name, flag, value, line) \
	[row] = {.key = name, .type = HYDRO_OPT_STRING, .scope = HYDRO_SCOPE_INSTANCE, .flags = flag, .default_value = value, .doc = line}
#define CHOICE(row, name, value, list, line) \
	[row] = {.key = name, .type = HYDRO_OPT_CHOICE, .scope = HYDRO_SCOPE_INSTANCE, .default_value = value, .choices = list, .doc = line}

static const hydro_option options[HJ_OPTION_COUNT] = {
	TEXT(HJ_URL, "url", HYDRO_OPT_REQUIRED, NULL, "URL of the latest values; {token}, {key}, {now} and names of `params` are replaced"),
	TEXT(HJ_HISTORY_URL, "history_url", 0, NULL, "URL of a window of history; {from}, {to} and {limit} too. Without it a gap stays a gap"),
	CHOICE(HJ_METHOD, "method", "GET", "GET|POST", "HTTP method"),
	TEXT(HJ_BODY, "body", 0, NULL, "JSON text sent for the latest values; placeholders as in `url`"),
	TEXT(HJ_HISTORY_BODY, "history_body", 0, NULL, "JSON text sent for history; placeholders as in `history_url`"),
	[HJ_HEADERS] = {.key = "headers", .type = HYDRO_OPT_MAP, .scope = HYDRO_SCOPE_INSTANCE,
			.doc = "Headers, e.g. { authorization = \"Bearer {token}\" }; placeholders as in `url`"},
	CHOICE(HJ_DATE_FORMAT, "date_format", "iso", TEXT_DATE_CHOICES, "How {from}, {to} and {now} are written; always UTC"),
	TEXT(HJ_ITEMS, "items", 0, NULL, "Path to the list of items, or to the one item; nothing = the whole answer"),
	CHOICE(HJ_MISSING_ITEMS, "missing_items", "failed", "failed|no_data", "What an answer without anything at `items` becomes"),
	TEXT(HJ_TS, "ts", 0, "ts", "Path to an item's time; $… = from the root of the answer"),
	CHOICE(HJ_TS_FORMAT, "ts_format", "rfc3339", "ms|s|rfc3339|rfc3339_utc", "Form of the time; rfc3339_utc: a time without a zone is UTC"),
	TEXT(HJ_VALUE, "value", 0, NULL, "Path to the value where each key is a request of its own ({key}); without it each key is the path of its value"),
	CHOICE(HJ_ORDER, "order", "any", "any|asc|desc", "Which rows of a window a full answer holds: the oldest (asc), the newest (desc), or not known"),
	[HJ_PAGE_LIMIT] = {.key = "page_limit", .type = HYDRO_OPT_INT, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "0", .min = 0, .max = 100000,
			   .doc = "Items in an answer of history at most ({limit}), the sign that there may be more; 0 = answers are whole"},
	[HJ_ACCOUNT_TOKEN] = {.key = "account_token", .type = HYDRO_OPT_STRING, .scope = HYDRO_SCOPE_ACCOUNT, .flags = HYDRO_OPT_SECRET, .min = 1, .max = 4096,
			      .doc = "What {token} stands for at points without a token of their own"},
	[HJ_TOKEN] = {.key = "token", .type = HYDRO_OPT_STRING, .scope = HYDRO_SCOPE_POINT, .flags = HYDRO_OPT_SECRET, .min = 1, .max = 4096,
		      .doc = "What {token} stands for"},
	[HJ_PARAMS] = {.key = "params", .type = HYDRO_OPT_MAP, .scope = HYDRO_SCOPE_POINT, .doc = "What the other {names} stand for; not secret"},
	[HJ_KEYS] = {.key = "keys", .type = HYDRO_OPT_MAP, .scope = HYDRO_SCOPE_POINT, .flags = HYDRO_OPT_REQUIRED | HYDRO_OPT_METRIC_KEYS,
		     .doc = "Metric → path of its value in an item; with `value`: metric → {key}"},
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
	.name = "http_json",
	.version = "0.1.0",
	.summary = "Any JSON over HTTP, by a mapping in its options",
	.licence = "MIT",
	.flags = HYDRO_PLUGIN_UNLOADABLE,
	.option_count = HJ_OPTION_COUNT,
	.option_stride = sizeof(hydro_option),
	.options = options,
	.ops = &ops,
};

const hydro_plugin *hydro_plugin_entry(uint32_t host_major, uint32_t host_minor)
{
	return host_major == HYDRO_ABI_MAJOR && host_minor >= 1 ? &plugin : NULL;
}
