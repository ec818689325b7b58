/* SPDX-License-Identifier: MIT */
/* Calls of an adapter's functions: scratch, and what a plugin may get wrong, stay on this side. */
#include "filing/adapter_impl.h"

#include "hostside/option_value.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SCRATCH_START 4096u
#define SCRATCH_MAX (1u << 20)
#define HEADERS_MAX 64u

/* ---- a work's options ---- */

static int no_metrics(void *ctx, const char *name, uint32_t *ret, struct hydro_error *err)
{
	(void)ctx;
	(void)ret;
	return hd_error_set(err, HYDRO_E_UNSUPPORTED, "an adapter's options name no metrics, '%.40s'", name);
}

int hd_adapter_options(const struct hd_adapter *adapter, const char *json, struct hd_options **ret, struct hydro_error *err)
{
	static const struct hd_metric_source metrics = {.intern = no_metrics};
	cJSON *parsed = NULL;
	int rc = HYDRO_OK;
	*ret = NULL;
	if (json && *json && !(parsed = cJSON_Parse(json)))
		return hd_error_set(err, HYDRO_E_CONFIG, "the options of the work are not JSON");
	if (adapter->descriptor)
		rc = hd_options_build(adapter->descriptor, HYDRO_SCOPE_POINT, parsed, &metrics, ret, err);
	else if (parsed && (!cJSON_IsObject(parsed) || parsed->child))
		rc = hd_error_set(err, HYDRO_E_CONFIG, "adapter '%s' takes no options of a work", adapter->name);
	cJSON_Delete(parsed);
	return rc;
}

void hd_adapter_options_free(struct hd_options **options)
{
	hd_options_unref(options);
}

/* ---- texts that came back ---- */

/* Ends it, and leaves nothing that a log or a JSON text cannot take. */
static void tidy(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	/* A character that was cut at the end goes; whatever else is not UTF-8 is not shown. */
	size_t len = strlen(text);
	for (size_t cut = 0; hd_text_problem(text, len) && len > 0 && cut < 3; cut++)
		text[--len] = '\0';
	if (hd_text_problem(text, len))
		for (char *p = text; *p; p++)
			if ((unsigned char)*p >= 0x80)
				*p = '?';
}

/* A regulator, or a plugin, may repeat the password in its words. */
static void redact(char *text, size_t size, const char *secret)
{
	size_t secret_len = secret ? strlen(secret) : 0;
	text[size - 1] = '\0';
	if (secret_len == 0 || !strstr(text, secret))
		return;
	char clean[HYDRO_ERROR_TEXT_BYTES];
	size_t len = 0;
	for (const char *p = text; *p && len + 4 < sizeof clean && len + 4 < size;) {
		bool hit = strncmp(p, secret, secret_len) == 0;
		if (hit)
			memcpy(clean + len, "***", 3);
		else
			clean[len] = *p;
		len += hit ? 3 : 1;
		p += hit ? secret_len : 1;
	}
	clean[len] = '\0';
	memcpy(text, clean, len + 1);
}

/* A plugin's result: a code that is none of ours becomes FATAL, its text is ended and redacted. `who` may be "": what a person gave is
 * refused by its own name. */
static int finish(const char *who, int rc, struct hydro_error *said, const char *secret, struct hydro_error *err)
{
	if (rc == HYDRO_OK)
		return HYDRO_OK;
	rc = hd_error_info(rc)->code;
	redact(said->text, sizeof said->text, secret);
	tidy(said->text, sizeof said->text);
	return hd_error_set(err, rc, "%s%s%.440s", who, *who ? ": " : "", said->text[0] ? said->text : hd_error_info(rc)->title);
}

/* ---- calls without memory ---- */

int hd_adapter_check_identifier(const struct hd_adapter *adapter, const char *text, struct hydro_error *err)
{
	struct hydro_error said = {.struct_size = sizeof said};
	hd_adapter_enter(adapter);
	int rc = adapter->sink->ops.filing_check_identifier(adapter->sink->self, text, &said);
	hd_adapter_leave(adapter);
	return finish("", rc, &said, NULL, err);
}

int hd_adapter_check_work(const struct hd_adapter *adapter, const hydro_filing_slot *work, struct hydro_error *err)
{
	struct hydro_error said = {.struct_size = sizeof said};
	hd_adapter_enter(adapter);
	int rc = adapter->sink->ops.filing_check_work(adapter->sink->self, work, &said);
	hd_adapter_leave(adapter);
	return finish("", rc, &said, NULL, err);
}

uint32_t hd_adapter_needed(const struct hd_adapter *adapter, const hydro_filing_slot *work)
{
	const hydro_filing_kind *kind = hd_adapter_kind(adapter, work->kind);
	const hydro_filing_standard *standard = hd_adapter_standard(adapter, work->standard);
	if (!kind)
		return 0;
	if (!adapter->sink->ops.filing_needed)
		return kind->fields & ~(standard ? standard->empty_fields : 0);
	hd_adapter_enter(adapter);
	uint32_t needed = adapter->sink->ops.filing_needed(adapter->sink->self, work);
	hd_adapter_leave(adapter);
	return needed & kind->fields;
}

int hd_adapter_prepare(const struct hd_adapter *adapter, const hydro_filing_slot *slot, hydro_filing_payload *ret, struct hydro_error *err)
{
	struct hydro_error said = {.struct_size = sizeof said};
	hydro_filing_payload payload = {.struct_size = sizeof payload};
	hd_adapter_enter(adapter);
	int rc = adapter->sink->ops.filing_prepare(adapter->sink->self, slot, &payload, &said);
	hd_adapter_leave(adapter);
	if (rc != HYDRO_OK)
		return finish("", rc, &said, NULL, err);
	if (payload.len == 0 || payload.len >= sizeof payload.text || payload.text[payload.len] || strlen(payload.text) != payload.len)
		return hd_error_set(err, HYDRO_E_FATAL, "%s: the payload has no length that can be", adapter->name);
	payload.struct_size = sizeof payload;
	*ret = payload;
	return HYDRO_OK;
}

/* ---- requests ---- */

static const hydro_http_header *header_at(const hydro_http_request *request, uint32_t i)
{
	return (const hydro_http_header *)(const void *)((const char *)request->headers + (size_t)i * request->header_stride);
}

static const char *headers_problem(const hydro_http_request *request, const char *secret)
{
	if (request->header_count > HEADERS_MAX || (request->header_count && !request->headers) || request->header_stride < sizeof(hydro_http_header) ||
	    request->header_stride % _Alignof(hydro_http_header))
		return "a table of headers that cannot be";
	for (uint32_t i = 0; i < request->header_count; i++) {
		const hydro_http_header *header = header_at(request, i);
		if (!header->name || !header->name[0] || !header->value || hd_text_problem(header->value, strlen(header->value)) ||
		    hd_text_problem(header->name, strlen(header->name)))
			return "a header without name or value, or with control characters";
		if (secret && *secret && !(header->flags & HYDRO_HEADER_SECRET) && strstr(header->value, secret))
			return "the secret in a header that is not marked so";
	}
	return NULL;
}

static const char *request_problem(const hydro_http_request *request, const char *secret)
{
	if (request->method < HYDRO_HTTP_GET || request->method > HYDRO_HTTP_PUT)
		return "a method that this host does not know";
	if (!request->url || hd_url_problem(request->url) || (request->url_log && hd_text_problem(request->url_log, strlen(request->url_log))))
		return "no URL that can be";
	if (request->body_len && !request->body)
		return "a length without body";
	/* A URL stands in logs and proxies, whatever url_log says. */
	if (secret && *secret && (strstr(request->url, secret) || (request->url_log && strstr(request->url_log, secret))))
		return "the secret in its URL";
	return headers_problem(request, secret);
}

int hd_adapter_request(const struct hd_adapter *adapter, const hydro_filing_send *send, bool check, struct hd_buf *memory, hydro_http_request *ret,
		       struct hydro_error *err)
{
	const hydro_sink_ops *ops = &adapter->sink->ops;
	int32_t (*make)(void *, const hydro_filing_send *, hydro_scratch *, hydro_http_request *, struct hydro_error *) = check ? ops->filing_check_request : ops->filing_request;
	if (!make)
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "%s: this regulator cannot be asked what it has", adapter->name);
	memory->secret = true;
	hd_buf_clear(memory);
	for (size_t size = HD_MAX(memory->cap, (size_t)SCRATCH_START);;) {
		if (!hd_buf_reserve(memory, size))
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a request");
		struct hydro_error said = {.struct_size = sizeof said};
		hydro_scratch scratch = {.mem = memory->data, .size = size};
		hydro_http_request request = {.struct_size = sizeof request, .method = HYDRO_HTTP_GET, .header_stride = sizeof(hydro_http_header)};
		hd_adapter_enter(adapter);
		int rc = make(adapter->sink->self, send, &scratch, &request, &said);
		hd_adapter_leave(adapter);
		if (rc == HYDRO_E_LIMIT && scratch.wanted > size && scratch.wanted <= SCRATCH_MAX) {
			size = scratch.wanted;
			continue;
		}
		if (rc != HYDRO_OK)
			return finish(adapter->name, rc, &said, send->secret, err);
		const char *problem = request_problem(&request, send->secret);
		if (problem)
			return hd_error_set(err, HYDRO_E_FATAL, "%s: the request has %s", adapter->name, problem);
		*ret = request;
		return HYDRO_OK;
	}
}

static bool is_told(const hydro_http_header *header, const hydro_filing_send *send)
{
	return strcasecmp(header->name, "Accept") == 0 || strcasecmp(header->name, "Content-Type") == 0 || (send->code && strcmp(header->value, send->code) == 0);
}

static void add_member(struct hd_buf *ret, const char *comma, const char *name, const char *value)
{
	(void)hd_buf_add_text(ret, comma);
	(void)hd_buf_add_json(ret, name, strlen(name));
	(void)hd_buf_add_char(ret, ':');
	(void)hd_buf_add_json(ret, value, strlen(value));
}

void hd_adapter_describe(const hydro_http_request *request, const hydro_filing_send *send, struct hd_buf *ret)
{
	static const char *const methods[] = {"", "GET", "POST", "PUT"};
	char host[256];
	const char *url = request->url_log;
	if (!url) {
		const char *at = strstr(request->url, "://");
		size_t len = at ? (size_t)(at + 3 - request->url) + strcspn(at + 3, "/?#") : 0;
		(void)snprintf(host, sizeof host, "%.*s/***", (int)HD_MIN(len, sizeof host - 8), request->url);
		url = host;
	}
	add_member(ret, "{", methods[request->method <= HYDRO_HTTP_PUT ? request->method : 0], url);
	for (uint32_t i = 0; i < request->header_count; i++) {
		const hydro_http_header *header = header_at(request, i);
		if (!is_told(header, send))
			add_member(ret, ",", header->name, header->flags & HYDRO_HEADER_SECRET ? "***" : header->value);
	}
	if (send->centre && send->secret)
		add_member(ret, ",", "centre", send->centre);
	if (send->informant && send->secret)
		add_member(ret, ",", "informant", send->informant);
	(void)hd_buf_add_char(ret, '}');
}

/* ---- answers ---- */

int hd_adapter_parse(const struct hd_adapter *adapter, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_answer *ret,
		     struct hydro_error *err)
{
	struct hydro_error said = {.struct_size = sizeof said};
	hydro_filing_answer answer = {.struct_size = sizeof answer};
	hd_adapter_enter(adapter);
	int rc = adapter->sink->ops.filing_parse(adapter->sink->self, send, response, &answer, &said);
	hd_adapter_leave(adapter);
	rc = finish(adapter->name, rc, &said, send->secret, err);
	bool ended = memchr(answer.receipt, '\0', sizeof answer.receipt) != NULL;
	if (rc == HYDRO_OK && (answer.outcome < HYDRO_FILING_FILED || answer.outcome > HYDRO_FILING_BLOCKED || !ended))
		rc = hd_error_set(err, HYDRO_E_FATAL, "%s: an answer with an outcome or a receipt that cannot be", adapter->name);
	if (rc != HYDRO_OK) {
		answer = (hydro_filing_answer){.outcome = HYDRO_FILING_REFUSED};
		(void)snprintf(answer.text, sizeof answer.text, "HTTP %u: %.160s", response->status, said.text[0] ? said.text : "the adapter cannot tell");
	}
	answer.struct_size = sizeof answer;
	if ((answer.outcome == HYDRO_FILING_FILED || answer.outcome == HYDRO_FILING_DUPLICATE) && !answer.receipt[0])
		answer.outcome = HYDRO_FILING_NO_RECEIPT;
	redact(answer.text, sizeof answer.text, send->secret);
	tidy(answer.text, sizeof answer.text);
	*ret = answer;
	return rc;
}

int hd_adapter_check_parse(const struct hd_adapter *adapter, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_check *ret,
			   struct hydro_error *err)
{
	struct hydro_error said = {.struct_size = sizeof said};
	hydro_filing_check check = {.struct_size = sizeof check};
	int rc = HYDRO_E_UNSUPPORTED;
	if (adapter->sink->ops.filing_check_parse) {
		hd_adapter_enter(adapter);
		rc = adapter->sink->ops.filing_check_parse(adapter->sink->self, send, response, &check, &said);
		hd_adapter_leave(adapter);
	}
	rc = finish(adapter->name, rc, &said, send->secret, err);
	if (rc == HYDRO_OK && (check.outcome < HYDRO_CHECK_SAME || check.outcome > HYDRO_CHECK_BLOCKED))
		rc = hd_error_set(err, HYDRO_E_FATAL, "%s: an outcome of a check that cannot be", adapter->name);
	if (rc != HYDRO_OK) {
		check = (hydro_filing_check){.outcome = HYDRO_CHECK_UNCLEAR};
		(void)snprintf(check.text, sizeof check.text, "HTTP %u: %.160s", response->status, said.text[0] ? said.text : "the adapter cannot tell");
	}
	check.struct_size = sizeof check;
	redact(check.text, sizeof check.text, send->secret);
	tidy(check.text, sizeof check.text);
	*ret = check;
	return rc;
}
