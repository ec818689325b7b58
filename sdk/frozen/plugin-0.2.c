/* SPDX-License-Identifier: MIT */
/* A sink that files with a regulator, as it was written for ABI 0.2, kept with the header of its time: it must go on loading and working. */
#include <hydro/conv.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { OPT_BASE_URL, OPT_NO_LEVEL, OPT_COUNT };

static const hydro_option rows[OPT_COUNT] = {
	[OPT_BASE_URL] = {.key = "base_url", .type = HYDRO_OPT_URL, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "http://127.0.0.1:9", .doc = "where the service is"},
	[OPT_NO_LEVEL] = {.key = "no_level", .type = HYDRO_OPT_BOOL, .scope = HYDRO_SCOPE_POINT, .default_value = "false", .doc = "the level may be empty"},
};

static const hydro_filing_standard standards[] = {
	{.name = "hourly", .every = HYDRO_EVERY_HOUR, .lag_ms = INT64_C(86400000), .doc = "each hour, within a day"},
	{.name = "monthly", .every = HYDRO_EVERY_MONTH, .flags = HYDRO_STANDARD_BY_SHEET, .lag_months = 1, .empty_fields = 1u << HYDRO_FIELD_LEVEL, .doc = "each month, within a month"},
};

static const hydro_filing_kind kinds[] = {
	{.name = "well", .fields = 1u << HYDRO_FIELD_FLOW | 1u << HYDRO_FIELD_TOTAL | 1u << HYDRO_FIELD_LEVEL, .level_metric = "water_table", .level_unit = "m", .doc = "all three"},
	{.name = "meter", .fields = 1u << HYDRO_FIELD_FLOW | 1u << HYDRO_FIELD_TOTAL, .level_metric = "", .level_unit = "", .doc = "flow and total"},
};

static const hydro_filing_info info = {
	.struct_size = sizeof info,
	.utc_offset_s = -4 * 3600,
	.family = "frozen",
	.valid_from = "2026-01-01",
	.deadline_ms = 3600000,
	.spacing_ms = 300000,
	.standards = standards,
	.kinds = kinds,
	.standard_count = sizeof standards / sizeof standards[0],
	.standard_stride = sizeof standards[0],
	.kind_count = sizeof kinds / sizeof kinds[0],
	.kind_stride = sizeof kinds[0],
	.authority = "Frozen",
	.failures_note = "nota",
	.failures_note_en = "note",
};

struct frozen {
	const char *base_url;
};

static int32_t frozen_create(const hydro_host *host, const hydro_options *options, void **ret_instance, struct hydro_error *err)
{
	struct frozen *self = malloc(sizeof *self);
	if (!self)
		return hydro_fail(err, HYDRO_E_NOMEM, "no memory");
	if (host->struct_size < sizeof *host || host->abi_minor < 2) {
		free(self);
		return hydro_fail(err, HYDRO_E_ABI, "the host lacks services of ABI 0.2");
	}
	*self = (struct frozen){hydro_option_text(options, OPT_BASE_URL)};
	*ret_instance = self;
	return HYDRO_OK;
}

static const hydro_filing_info *frozen_info(void *instance)
{
	(void)instance;
	return &info;
}

static int32_t frozen_check_identifier(void *instance, const char *text, struct hydro_error *err)
{
	(void)instance;
	return text && *text ? HYDRO_OK : hydro_fail(err, HYDRO_E_INVALID, "an identifier is missing");
}

static const hydro_filing_kind *kind_of(const char *name)
{
	for (uint32_t i = 0; i < info.kind_count; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

static int32_t frozen_check_work(void *instance, const hydro_filing_slot *work, struct hydro_error *err)
{
	(void)instance;
	if (!kind_of(work->kind))
		return hydro_fail(err, HYDRO_E_INVALID, "kind: '%.40s' is none", work->kind);
	if (strcmp(work->standard, "hourly") != 0 && strcmp(work->standard, "monthly") != 0)
		return hydro_fail(err, HYDRO_E_INVALID, "standard: '%.40s' is none", work->standard);
	return strncmp(work->code, "W-", 2) == 0 ? HYDRO_OK : hydro_fail(err, HYDRO_E_INVALID, "code: '%.40s' does not begin with W-", work->code);
}

static uint32_t frozen_needed(void *instance, const hydro_filing_slot *work)
{
	(void)instance;
	const hydro_filing_kind *kind = kind_of(work->kind);
	bool empty = strcmp(work->standard, "monthly") == 0 || hydro_option_at(work->work, OPT_NO_LEVEL)->integer;
	return kind ? kind->fields & ~(empty ? 1u << HYDRO_FIELD_LEVEL : 0u) : 0;
}

static int32_t frozen_prepare(void *instance, const hydro_filing_slot *slot, hydro_filing_payload *ret, struct hydro_error *err)
{
	static const char *const names[HYDRO_FIELDS] = {"flow", "total", "level"};
	int32_t rc = frozen_check_work(instance, slot, err);
	if (rc != HYDRO_OK)
		return rc;
	uint32_t needed = frozen_needed(instance, slot), fields = kind_of(slot->kind)->fields;
	int len = snprintf(ret->text, sizeof ret->text, "%lld", (long long)slot->due_ms);
	for (uint32_t i = 0; i < HYDRO_FIELDS; i++) {
		bool there = slot->fields & fields & 1u << i;
		if (!there && needed & 1u << i)
			return hydro_fail(err, HYDRO_E_INVALID, "%s: there is no value", names[i]);
		if (there && (!isfinite(slot->values[i]) || fabs(slot->values[i]) > 1e15))
			return hydro_fail(err, HYDRO_E_INVALID, "%s: the value cannot be sent", names[i]);
		if (there)
			len += snprintf(ret->text + len, sizeof ret->text - (size_t)len, " %s=%.2f", names[i], slot->values[i]);
	}
	ret->len = (uint32_t)len;
	return HYDRO_OK;
}

static int32_t frozen_request(void *instance, const hydro_filing_send *send, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	const struct frozen *self = instance;
	if (!send->secret || !*send->secret || !*send->code || !*send->centre || !*send->informant || send->payload_len == 0)
		return hydro_fail(err, HYDRO_E_INVALID, "something of the filing is missing");
	ret->method = HYDRO_HTTP_POST;
	ret->url = ret->url_log = hydro_scratch_printf(scratch, "%s/filings", self->base_url);
	ret->body = ret->url ? hydro_scratch_printf(scratch, "%s|%s|%s|%s|%s", send->code, send->centre, send->informant, send->secret, send->payload) : NULL;
	if (!ret->body)
		return hydro_fail(err, HYDRO_E_LIMIT, "the request takes more memory");
	ret->body_len = strlen(ret->body);
	return HYDRO_OK;
}

/* "OK receipt", "ALREADY receipt", "HELD". */
static int32_t frozen_parse(void *instance, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_answer *ret, struct hydro_error *err)
{
	static const struct {
		const char *word;
		uint32_t outcome;
	} words[] = {{"OK ", HYDRO_FILING_FILED}, {"ALREADY ", HYDRO_FILING_DUPLICATE}, {"HELD", HYDRO_FILING_HELD}};
	(void)instance;
	(void)send;
	(void)err;
	ret->outcome = response->status == 403 ? HYDRO_FILING_BLOCKED : HYDRO_FILING_REFUSED;
	for (size_t i = 0; i < sizeof words / sizeof words[0] && response->status == 200; i++) {
		size_t len = strlen(words[i].word), rest = response->body_len > len ? (size_t)response->body_len - len : 0;
		if (response->body_len < len || memcmp(response->body, words[i].word, len) != 0 || rest >= sizeof ret->receipt || (i < 2 && rest == 0))
			continue;
		ret->outcome = words[i].outcome;
		memcpy(ret->receipt, response->body + len, rest);
		ret->receipt[rest] = '\0';
	}
	(void)snprintf(ret->text, sizeof ret->text, "HTTP %u", response->status);
	return HYDRO_OK;
}

static int32_t frozen_check_request(void *instance, const hydro_filing_send *send, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	const struct frozen *self = instance;
	char receipt[2 * HYDRO_RECEIPT_BYTES] = "";
	size_t len = 0;
	for (const char *p = send->receipt; p && *p && len + 3 < sizeof receipt; p++)
		len += (size_t)snprintf(receipt + len, sizeof receipt - len, "%02x", (unsigned)(unsigned char)*p);
	ret->method = HYDRO_HTTP_GET;
	ret->url = ret->url_log = hydro_scratch_printf(scratch, "%s/filings/%s", self->base_url, receipt);
	return ret->url ? HYDRO_OK : hydro_fail(err, HYDRO_E_LIMIT, "the URL takes more memory");
}

static int32_t frozen_check_parse(void *instance, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_check *ret, struct hydro_error *err)
{
	(void)instance;
	(void)err;
	bool same = response->body_len == send->payload_len && response->body_len > 0 && memcmp(response->body, send->payload, send->payload_len) == 0;
	ret->outcome = response->status == 403 ? HYDRO_CHECK_BLOCKED : HYDRO_CHECK_UNCLEAR;
	if (response->status == 200 && same)
		ret->outcome = HYDRO_CHECK_SAME;
	return HYDRO_OK;
}

static const hydro_sink_ops ops = {.struct_size = sizeof ops,
				   .capabilities = HYDRO_SINK_FILING,
				   .create = frozen_create,
				   .destroy = free,
				   .filing_info = frozen_info,
				   .filing_check_identifier = frozen_check_identifier,
				   .filing_check_work = frozen_check_work,
				   .filing_prepare = frozen_prepare,
				   .filing_request = frozen_request,
				   .filing_parse = frozen_parse,
				   .filing_check_request = frozen_check_request,
				   .filing_check_parse = frozen_check_parse,
				   .filing_needed = frozen_needed};

static const hydro_plugin plugin = {.struct_size = sizeof plugin, .magic = HYDRO_ABI_MAGIC, .abi_major = 0, .abi_minor_needed = 2, .kind = HYDRO_KIND_SINK,
				    .name = "frozen_0_2", .version = "0.2.0", .summary = "a sink that files, of ABI 0.2", .licence = "MIT", .option_count = OPT_COUNT,
				    .option_stride = sizeof rows[0], .options = rows, .ops = &ops};

const hydro_plugin *hydro_plugin_entry(uint32_t host_major, uint32_t host_minor)
{
	return host_major == 0 && host_minor >= 2 ? &plugin : NULL;
}
