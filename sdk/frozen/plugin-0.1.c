/* SPDX-License-Identifier: MIT */
/* A provider as it was written for ABI 0.1, kept with the header of its time: it must go on loading and working. */
#include <hydro/conv.h>

#include <stdlib.h>

enum { OPT_BASE_URL, OPT_TOKEN, OPT_KEYS, OPT_COUNT };

static const hydro_option rows[OPT_COUNT] = {
	[OPT_BASE_URL] = {.key = "base_url", .type = HYDRO_OPT_URL, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "http://127.0.0.1:9", .doc = "where the service is"},
	[OPT_TOKEN] = {.key = "device_token", .type = HYDRO_OPT_STRING, .scope = HYDRO_SCOPE_POINT, .flags = HYDRO_OPT_REQUIRED | HYDRO_OPT_SECRET, .doc = "token of the device"},
	[OPT_KEYS] = {.key = "keys", .type = HYDRO_OPT_MAP, .scope = HYDRO_SCOPE_POINT, .flags = HYDRO_OPT_METRIC_KEYS, .default_value = "flow=q", .doc = "metric to key"},
};

struct frozen {
	const hydro_host *host;
	const char *base_url;
};

static int32_t frozen_create(const hydro_host *host, const hydro_options *options, void **ret_instance, struct hydro_error *err)
{
	struct frozen *self = malloc(sizeof *self);
	if (!self)
		return hydro_fail(err, HYDRO_E_NOMEM, "no memory");
	if (host->struct_size < sizeof *host || host->metric(host->ctx, "flow") == 0) {
		free(self);
		return hydro_fail(err, HYDRO_E_ABI, "the host lacks services of ABI 0.1");
	}
	*self = (struct frozen){host, hydro_option_text(options, OPT_BASE_URL)};
	*ret_instance = self;
	return HYDRO_OK;
}

static int32_t frozen_request(void *instance, const hydro_poll *poll, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	const struct frozen *self = instance;
	ret->method = HYDRO_HTTP_GET;
	ret->url = hydro_scratch_printf(scratch, "%s/%s", self->base_url, hydro_option_text(poll->point, OPT_TOKEN));
	return ret->url ? HYDRO_OK : hydro_fail(err, HYDRO_E_LIMIT, "the URL takes more memory");
}

/* The body is a number: the present value of the first key's metric. */
static int32_t frozen_parse(void *instance, const hydro_poll *poll, const hydro_http_response *response, const hydro_emit *emit, hydro_outcome *ret,
			    struct hydro_error *err)
{
	char text[32] = "", *end;
	(void)instance;
	const hydro_option_value *keys = hydro_option_at(poll->point, OPT_KEYS);
	if (response->status != 200 || response->body_len >= sizeof text || keys->entry_count == 0)
		return hydro_fail(err, HYDRO_E_IO, "HTTP status %u", response->status);
	memcpy(text, response->body, response->body_len);
	hydro_raw raw = {.ts_ms = poll->now_ms, .value = strtod(text, &end), .metric = hydro_option_entry(poll->point, keys, 0)->metric};
	if (end == text || *end || emit->raw(emit->ctx, &raw, 1) != HYDRO_OK)
		return hydro_fail(err, HYDRO_E_PROTOCOL, "the answer is not a number");
	ret->status = HYDRO_PART_DATA;
	return HYDRO_OK;
}

static const hydro_provider_ops ops = {.struct_size = sizeof ops, .capabilities = HYDRO_PROVIDER_HTTP, .create = frozen_create, .destroy = free,
				       .request = frozen_request, .parse = frozen_parse};
static const hydro_plugin plugin = {.struct_size = sizeof plugin, .magic = HYDRO_ABI_MAGIC, .abi_major = HYDRO_ABI_MAJOR, .abi_minor_needed = 1,
				    .kind = HYDRO_KIND_PROVIDER, .name = "frozen_0_1", .version = "1.0.0", .summary = "built with the header of ABI 0.1", .licence = "MIT",
				    .option_count = OPT_COUNT, .option_stride = sizeof rows[0], .options = rows, .ops = &ops};

const hydro_plugin *hydro_plugin_entry(uint32_t host_major, uint32_t host_minor)
{
	return host_major == HYDRO_ABI_MAJOR && host_minor >= 1 ? &plugin : NULL;
}
