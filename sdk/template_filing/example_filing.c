/* SPDX-License-Identifier: MIT */
/*
 * A complete sink that files with a regulator, to begin from. Its imagined service takes
 *     POST {base_url}/works/{code}/readings      X-Centre, X-Informant, X-Password
 *     {"due":"2026-01-01T18:00:00Z","flow_ls":25.700,"total_m3":1234500.000}
 * answers 201 {"receipt":"…"}, or 409 {"receipt":"…"} where it has that hour already, and shows what it has by
 *     GET {base_url}/receipts/{receipt}
 * Replace the tables, the names and the two readers; the rest stays. The host calls these functions from many threads: they only read.
 */
#include <hydro/conv.h>

#include <cjson/cJSON.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define VALUE_MAX 1e12
#define TOLERANCE 0.0005 /* of the three decimals that are sent */

enum { OPT_BASE_URL, OPT_COUNT };

static const hydro_option option_rows[OPT_COUNT] = {
	[OPT_BASE_URL] = {.key = "base_url", .type = HYDRO_OPT_URL, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "https://filing.example.com/v1", .doc = "where the service is"},
};

/* ---- what the regulator asks for ---- */

static const hydro_filing_standard standards[] = {
	{.name = "large", .every = HYDRO_EVERY_HOUR, .lag_ms = INT64_C(3) * 86400000, .doc = "each hour, within three days"},
	{.name = "small", .every = HYDRO_EVERY_MONTH, .flags = HYDRO_STANDARD_BY_SHEET, .lag_months = 1, .doc = "each month, within a month"},
};

static const hydro_filing_kind kinds[] = {
	{.name = "well", .fields = 1u << HYDRO_FIELD_FLOW | 1u << HYDRO_FIELD_TOTAL, .level_metric = "", .level_unit = "", .doc = "flow and total"},
};

/* Static, and the same at each call. A later version of the rules is another plugin of this family with a later date. */
static const hydro_filing_info info = {
	.struct_size = sizeof info,
	.utc_offset_s = 0,
	.family = "example",
	.valid_from = "2026-01-01",
	.deadline_ms = INT64_C(3600000),
	.spacing_ms = 0,
	.standards = standards,
	.kinds = kinds,
	.standard_count = sizeof standards / sizeof standards[0],
	.standard_stride = sizeof standards[0],
	.kind_count = sizeof kinds / sizeof kinds[0],
	.kind_stride = sizeof kinds[0],
	.authority = "the example's regulator",
};

struct example {
	char base_url[512];
};

static int32_t example_create(const hydro_host *host, const hydro_options *options, void **ret_instance, struct hydro_error *err)
{
	(void)host;
	const char *url = hydro_option_text(options, OPT_BASE_URL);
	size_t len = strlen(url);
	struct example *self = calloc(1, sizeof *self);
	if (!self)
		return hydro_fail(err, HYDRO_E_NOMEM, "no memory for an instance");
	while (len && url[len - 1] == '/')
		len--;
	if (len >= sizeof self->base_url) {
		free(self);
		return hydro_fail(err, HYDRO_E_CONFIG, "option 'base_url' is longer than %zu characters", sizeof self->base_url - 1);
	}
	memcpy(self->base_url, url, len);
	*ret_instance = self;
	return HYDRO_OK;
}

static const hydro_filing_info *example_info(void *instance)
{
	(void)instance;
	return &info;
}

/* ---- what a person gives: refused when it is typed, by its name ---- */

/* Letters, digits and dashes: safe in a URL's path and in a header. */
static bool is_word(const char *text)
{
	size_t len = text ? strlen(text) : 0;
	return len > 0 && len <= 64 && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static int32_t example_check_identifier(void *instance, const char *text, struct hydro_error *err)
{
	(void)instance;
	return is_word(text) ? HYDRO_OK : hydro_fail(err, HYDRO_E_INVALID, "an identifier is made of letters, digits and dashes");
}

static int32_t example_check_work(void *instance, const hydro_filing_slot *work, struct hydro_error *err)
{
	(void)instance;
	if (strcmp(work->kind, kinds[0].name) != 0)
		return hydro_fail(err, HYDRO_E_INVALID, "kind: '%.40s' is not well", work->kind);
	if (strcmp(work->standard, "large") != 0 && strcmp(work->standard, "small") != 0)
		return hydro_fail(err, HYDRO_E_INVALID, "standard: '%.40s' is not large or small", work->standard);
	return is_word(work->code) ? HYDRO_OK : hydro_fail(err, HYDRO_E_INVALID, "code: '%.40s' is not of letters, digits and dashes", work->code);
}

/* ---- what is sent ---- */

/* The bytes of a slot: a function of the slot alone, for the host sends the same ones until they are taken. */
static int32_t example_prepare(void *instance, const hydro_filing_slot *slot, hydro_filing_payload *ret, struct hydro_error *err)
{
	static const char *const names[] = {"flow", "total"};
	char due[40];
	time_t s = (time_t)(slot->due_ms / 1000);
	struct tm tm;
	int32_t rc = example_check_work(instance, slot, err);
	if (rc != HYDRO_OK)
		return rc;
	for (uint32_t i = 0; i < 2; i++) {
		double value = slot->values[i];
		if (!(slot->fields & 1u << i))
			return hydro_fail(err, HYDRO_E_INVALID, "%s: there is no value", names[i]);
		if (!isfinite(value) || fabs(value) > VALUE_MAX)
			return hydro_fail(err, HYDRO_E_INVALID, "%s: the value cannot be sent", names[i]);
	}
	if (!gmtime_r(&s, &tm) || strftime(due, sizeof due, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return hydro_fail(err, HYDRO_E_INVALID, "due: no time that can be");
	int n = snprintf(ret->text, sizeof ret->text, "{\"due\":\"%s\",\"flow_ls\":%.3f,\"total_m3\":%.3f}", due, slot->values[HYDRO_FIELD_FLOW], slot->values[HYDRO_FIELD_TOTAL]);
	ret->len = (uint32_t)n;
	return HYDRO_OK;
}

static bool is_header(const char *text)
{
	for (; text && *text; text++)
		if (*text < 0x20 || *text > 0x7e)
			return false;
	return text != NULL;
}

/* The password goes into a header that is marked secret: never into the URL, an error or the log. */
static int32_t example_request(void *instance, const hydro_filing_send *send, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	const struct example *self = instance;
	if (!is_word(send->code) || !is_word(send->centre) || !is_word(send->informant))
		return hydro_fail(err, HYDRO_E_INVALID, "code, centre or informant cannot be sent");
	if (!send->secret || !*send->secret || !is_header(send->secret))
		return hydro_fail(err, HYDRO_E_INVALID, "the password is empty, or has characters that a header cannot carry");
	if (!send->payload || send->payload_len == 0)
		return hydro_fail(err, HYDRO_E_INVALID, "there is no payload");
	hydro_http_header *headers = (hydro_http_header *)hydro_scratch_take(scratch, 4 * sizeof *headers);
	const char *centre = hydro_scratch_printf(scratch, "%s", send->centre), *informant = hydro_scratch_printf(scratch, "%s", send->informant);
	const char *secret = hydro_scratch_printf(scratch, "%s", send->secret), *body = hydro_scratch_printf(scratch, "%s", send->payload);
	const char *url = hydro_scratch_printf(scratch, "%s/works/%s/readings", self->base_url, send->code);
	if (!headers || !centre || !informant || !secret || !body || !url)
		return hydro_fail(err, HYDRO_E_LIMIT, "the request takes more memory");
	headers[0] = (hydro_http_header){.name = "Content-Type", .value = "application/json"};
	headers[1] = (hydro_http_header){.name = "X-Centre", .value = centre};
	headers[2] = (hydro_http_header){.name = "X-Informant", .value = informant};
	headers[3] = (hydro_http_header){.name = "X-Password", .value = secret, .flags = HYDRO_HEADER_SECRET};
	ret->method = HYDRO_HTTP_POST;
	ret->url = ret->url_log = url;
	ret->headers = headers;
	ret->header_count = 4;
	ret->header_stride = sizeof *headers;
	ret->body = body;
	ret->body_len = send->payload_len;
	return HYDRO_OK;
}

static int32_t example_check_request(void *instance, const hydro_filing_send *send, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	static const char hex[] = "0123456789ABCDEF";
	const struct example *self = instance;
	char receipt[3 * HYDRO_RECEIPT_BYTES], *to = receipt;
	for (const char *p = send->receipt; p && *p && p - send->receipt < (ptrdiff_t)HYDRO_RECEIPT_BYTES; p++) {
		*to++ = '%';
		*to++ = hex[(unsigned char)*p >> 4];
		*to++ = hex[(unsigned char)*p & 15];
	}
	*to = '\0';
	ret->method = HYDRO_HTTP_GET;
	ret->url = ret->url_log = hydro_scratch_printf(scratch, "%s/receipts/%s", self->base_url, receipt);
	return ret->url ? HYDRO_OK : hydro_fail(err, HYDRO_E_LIMIT, "the URL takes more memory");
}

/* ---- what comes back ---- */

/* A receipt that can be kept whole; false otherwise. */
static bool take_receipt(const cJSON *json, hydro_filing_answer *ret)
{
	const char *receipt = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "receipt"));
	if (!receipt || !*receipt || strlen(receipt) >= sizeof ret->receipt)
		return false;
	memcpy(ret->receipt, receipt, strlen(receipt) + 1);
	return true;
}

/* Only what the service calls success counts as filed; what is not understood is refused, and the host sends it again by its rules. */
static int32_t example_parse(void *instance, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_answer *ret, struct hydro_error *err)
{
	(void)instance;
	(void)send;
	(void)err;
	cJSON *json = response->body_len ? cJSON_ParseWithLength(response->body, (size_t)response->body_len) : NULL;
	bool has_receipt = cJSON_IsObject(json) && take_receipt(json, ret);
	if (response->status == 201 && cJSON_IsObject(json))
		ret->outcome = has_receipt ? HYDRO_FILING_FILED : HYDRO_FILING_NO_RECEIPT;
	else if (response->status == 409 && has_receipt)
		ret->outcome = HYDRO_FILING_DUPLICATE;
	else if (response->status == 403)
		ret->outcome = HYDRO_FILING_BLOCKED;
	else
		ret->outcome = HYDRO_FILING_REFUSED;
	(void)snprintf(ret->text, sizeof ret->text, "HTTP %u", response->status);
	cJSON_Delete(json);
	return HYDRO_OK;
}

static bool same_number(const cJSON *a, const cJSON *b, const char *name)
{
	const cJSON *x = cJSON_GetObjectItemCaseSensitive(a, name), *y = cJSON_GetObjectItemCaseSensitive(b, name);
	return cJSON_IsNumber(x) && cJSON_IsNumber(y) && fabs(x->valuedouble - y->valuedouble) <= TOLERANCE;
}

/* Names what differs, with both values. */
static void compare(const cJSON *sent, const cJSON *there, hydro_filing_check *ret)
{
	static const char *const numbers[] = {"flow_ls", "total_m3"};
	ret->outcome = HYDRO_CHECK_SAME;
	for (uint32_t i = 0; i < 2; i++)
		if (!same_number(sent, there, numbers[i])) {
			size_t len = strlen(ret->text);
			const cJSON *x = cJSON_GetObjectItemCaseSensitive(sent, numbers[i]), *y = cJSON_GetObjectItemCaseSensitive(there, numbers[i]);
			ret->outcome = HYDRO_CHECK_DIFFERS;
			(void)snprintf(ret->text + len, sizeof ret->text - len, "%s%s %.3f -> %.3f", len ? "; " : "", numbers[i], cJSON_GetNumberValue(x), cJSON_GetNumberValue(y));
		}
}

static int32_t example_check_parse(void *instance, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_check *ret, struct hydro_error *err)
{
	(void)instance;
	(void)err;
	cJSON *sent = cJSON_ParseWithLength(send->payload, send->payload_len);
	cJSON *there = response->body_len ? cJSON_ParseWithLength(response->body, (size_t)response->body_len) : NULL;
	if (response->status == 200 && cJSON_HasObjectItem(there, "due"))
		compare(sent, there, ret);
	else
		ret->outcome = response->status == 404 && cJSON_IsObject(there) && cJSON_HasObjectItem(there, "unknown") ? HYDRO_CHECK_ABSENT
			     : response->status == 403							       ? HYDRO_CHECK_BLOCKED
														       : HYDRO_CHECK_UNCLEAR;
	cJSON_Delete(sent);
	cJSON_Delete(there);
	return HYDRO_OK;
}

static const hydro_sink_ops ops = {
	.struct_size = sizeof ops,
	.capabilities = HYDRO_SINK_FILING,
	.create = example_create,
	.destroy = free,
	.filing_info = example_info,
	.filing_check_identifier = example_check_identifier,
	.filing_check_work = example_check_work,
	.filing_prepare = example_prepare,
	.filing_request = example_request,
	.filing_parse = example_parse,
	.filing_check_request = example_check_request,
	.filing_check_parse = example_check_parse,
};

static const hydro_plugin plugin = {
	.struct_size = sizeof plugin,
	.magic = HYDRO_ABI_MAGIC,
	.abi_major = HYDRO_ABI_MAJOR,
	.abi_minor_needed = 2,
	.kind = HYDRO_KIND_SINK,
	.name = "example_filing",
	.version = "0.1.0",
	.summary = "files with a regulator that is imagined",
	.licence = "MIT",
	.option_count = OPT_COUNT,
	.option_stride = sizeof option_rows[0],
	.options = option_rows,
	.ops = &ops,
};

const hydro_plugin *hydro_plugin_entry(uint32_t host_major, uint32_t host_minor)
{
	return host_major == HYDRO_ABI_MAJOR && host_minor >= 2 ? &plugin : NULL;
}
