/* SPDX-License-Identifier: MIT */
/*
 * A complete provider to begin from. Its imagined service answers
 *     GET {base_url}/devices/{device_token}/values[?from=<ms>&to=<ms>]      Authorization: Bearer {api_key of the account}
 * with
 *     {"rows":[{"ts":1767225600000,"values":{"q":12.5,"h":3.2}}, …]}
 * where a value that is null was not measured. Replace the names, the URL and read_rows; the rest stays.
 */
#include <hydro/conv.h>

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* 1990-01-01 … 2100-01-01, what the host takes as a logger's time. */
#define TS_MIN_MS 631152000000.0
#define TS_MAX_MS 4102444800000.0

/* The rows of the descriptor; the enum gives each its index. */
enum { OPT_BASE_URL, OPT_API_KEY, OPT_DEVICE_TOKEN, OPT_KEYS, OPT_COUNT };

static const hydro_option option_rows[OPT_COUNT] = {
	[OPT_BASE_URL] = {.key = "base_url", .type = HYDRO_OPT_URL, .scope = HYDRO_SCOPE_INSTANCE,
			  .default_value = "https://api.example.com/v1", .doc = "where the service is"},
	[OPT_API_KEY] = {.key = "api_key", .type = HYDRO_OPT_STRING, .scope = HYDRO_SCOPE_ACCOUNT, .flags = HYDRO_OPT_REQUIRED | HYDRO_OPT_SECRET,
			 .doc = "key of the account"},
	[OPT_DEVICE_TOKEN] = {.key = "device_token", .type = HYDRO_OPT_STRING, .scope = HYDRO_SCOPE_POINT, .flags = HYDRO_OPT_REQUIRED | HYDRO_OPT_SECRET,
			      .min = 1, .max = 128, .doc = "token of the point's device"},
	[OPT_KEYS] = {.key = "keys", .type = HYDRO_OPT_MAP, .scope = HYDRO_SCOPE_POINT, .flags = HYDRO_OPT_REQUIRED | HYDRO_OPT_METRIC_KEYS,
		      .doc = "metric to the service's name of it, e.g. {\"flow\":\"q\"}"},
};

struct example {
	const hydro_host *host;
	char base_url[512];
};

static int32_t set_base_url(struct example *self, const hydro_options *options, struct hydro_error *err)
{
	const char *url = hydro_option_text(options, OPT_BASE_URL);
	size_t len = strlen(url);
	if (len >= sizeof self->base_url)
		return hydro_fail(err, HYDRO_E_CONFIG, "option 'base_url' is longer than %zu characters", sizeof self->base_url - 1);
	while (len && url[len - 1] == '/')
		len--;
	memcpy(self->base_url, url, len);
	self->base_url[len] = '\0';
	return HYDRO_OK;
}

static int32_t example_create(const hydro_host *host, const hydro_options *options, void **ret_instance, struct hydro_error *err)
{
	struct example *self = calloc(1, sizeof *self);
	if (!self)
		return hydro_fail(err, HYDRO_E_NOMEM, "no memory for an instance");
	self->host = host;
	int32_t rc = set_base_url(self, options, err);
	if (rc != HYDRO_OK) {
		free(self);
		return rc;
	}
	*ret_instance = self;
	return HYDRO_OK;
}

static void example_destroy(void *instance)
{
	free(instance);
}

static int32_t example_request(void *instance, const hydro_poll *poll, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	struct example *self = instance;
	hydro_http_header *header = hydro_scratch_take(scratch, sizeof *header);
	char *bearer = hydro_scratch_printf(scratch, "Bearer %s", hydro_option_text(poll->account, OPT_API_KEY));
	char window[64] = "";
	if (poll->mode == HYDRO_POLL_HISTORY)
		(void)snprintf(window, sizeof window, "?from=%lld&to=%lld", (long long)poll->from_ms, (long long)poll->to_ms);
	char *url = hydro_scratch_printf(scratch, "%s/devices/%s/values%s", self->base_url, hydro_option_text(poll->point, OPT_DEVICE_TOKEN), window);
	char *url_log = hydro_scratch_printf(scratch, "%s/devices/***/values%s", self->base_url, window);
	if (!header || !bearer || !url || !url_log)
		return hydro_fail(err, HYDRO_E_LIMIT, "the request takes more memory");
	*header = (hydro_http_header){.name = "Authorization", .value = bearer, .flags = HYDRO_HEADER_SECRET};
	ret->method = HYDRO_HTTP_GET;
	ret->url = url;
	ret->url_log = url_log;
	ret->headers = header;
	ret->header_count = 1;
	ret->header_stride = sizeof *header;
	return HYDRO_OK;
}

/* Values of one row that the point has a metric for; returns how many, or -1 for a row that is not as documented. */
static int read_row(const cJSON *row, const hydro_poll *poll, hydro_raw *ret, int max)
{
	const cJSON *ts = cJSON_GetObjectItemCaseSensitive(row, "ts");
	const cJSON *values = cJSON_GetObjectItemCaseSensitive(row, "values");
	const hydro_option_value *keys = hydro_option_at(poll->point, OPT_KEYS);
	/* What the host would not take is refused before anything is emitted. */
	if (!cJSON_IsNumber(ts) || !cJSON_IsObject(values) || !(ts->valuedouble >= TS_MIN_MS && ts->valuedouble < TS_MAX_MS))
		return -1;
	int count = 0;
	for (uint32_t i = 0; i < keys->entry_count && count < max; i++) {
		const hydro_map_entry *entry = hydro_option_entry(poll->point, keys, i);
		const cJSON *value = cJSON_GetObjectItemCaseSensitive(values, entry->value);
		if (!value || cJSON_IsNull(value))
			continue;
		if (!cJSON_IsNumber(value) || !isfinite(value->valuedouble))
			return -1;
		ret[count++] = (hydro_raw){.ts_ms = (int64_t)ts->valuedouble, .value = value->valuedouble, .metric = entry->metric};
	}
	return count;
}

/* First pass counts, second emits: nothing is emitted of an answer that is wrong further down. */
static int32_t read_rows(const cJSON *rows, const hydro_poll *poll, const hydro_emit *emit, uint32_t *ret_status, struct hydro_error *err)
{
	hydro_raw raws[32];
	const cJSON *row;
	int total = 0;
	cJSON_ArrayForEach(row, rows)
	{
		int count = read_row(row, poll, raws, 32);
		if (count < 0)
			return hydro_fail(err, HYDRO_E_PROTOCOL, "a row of the answer has no ts, no values or a value that is no number");
		total += count;
	}
	cJSON_ArrayForEach(row, rows)
	{
		int count = read_row(row, poll, raws, 32);
		if (count > 0 && emit->raw(emit->ctx, raws, (uint32_t)count) != HYDRO_OK)
			return hydro_fail(err, HYDRO_E_PROTOCOL, "a row of the answer has a time or value that cannot be");
	}
	*ret_status = total ? HYDRO_PART_DATA : HYDRO_PART_NO_DATA;
	return HYDRO_OK;
}

static int32_t example_parse(void *instance, const hydro_poll *poll, const hydro_http_response *response, const hydro_emit *emit,
			     hydro_outcome *ret, struct hydro_error *err)
{
	(void)instance;
	ret->status = HYDRO_PART_FAILED;
	if (response->status == 401 || response->status == 403)
		return hydro_fail(err, HYDRO_E_UNAUTHORIZED, "HTTP status %u: the account's api_key is refused", response->status);
	if (response->status == 404) {
		ret->status = HYDRO_PART_NO_DATA;
		return HYDRO_OK;
	}
	if (response->status != 200)
		return hydro_fail(err, HYDRO_E_IO, "HTTP status %u", response->status);
	cJSON *json = cJSON_ParseWithLength(response->body, (size_t)response->body_len);
	const cJSON *rows = cJSON_GetObjectItemCaseSensitive(json, "rows");
	int32_t rc = cJSON_IsArray(rows) ? read_rows(rows, poll, emit, &ret->status, err)
					 : hydro_fail(err, HYDRO_E_PROTOCOL, "the answer is not JSON with an array \"rows\"");
	cJSON_Delete(json);
	return rc;
}

static const hydro_provider_ops ops = {
	.struct_size = sizeof ops,
	.capabilities = HYDRO_PROVIDER_HTTP | HYDRO_PROVIDER_HISTORY,
	.create = example_create,
	.destroy = example_destroy,
	.request = example_request,
	.parse = example_parse,
};

static const hydro_plugin plugin = {
	.struct_size = sizeof plugin,
	.magic = HYDRO_ABI_MAGIC,
	.abi_major = HYDRO_ABI_MAJOR,
	.abi_minor_needed = 1,
	.kind = HYDRO_KIND_PROVIDER,
	.name = "example",
	.version = "1.0.0",
	.summary = "A provider to begin from",
	.licence = "MIT",
	.flags = HYDRO_PLUGIN_UNLOADABLE,
	.option_count = OPT_COUNT,
	.option_stride = sizeof option_rows[0],
	.options = option_rows,
	.ops = &ops,
};

const hydro_plugin *hydro_plugin_entry(uint32_t host_major, uint32_t host_minor)
{
	(void)host_minor;
	return host_major == HYDRO_ABI_MAJOR ? &plugin : NULL;
}
