/* SPDX-License-Identifier: MIT */
/* The POST that files a payload and the GET that asks for it (Manual §4). */
#include "dga.h"

#include "text.h"

#define LIMIT_WORDS "the request needs more scratch memory"

/* "Fecha y hora actual con formato yyyy-MM-ddTHH:mm:ss-0000"; whose clock it is the manual does not say. */
static const char *put_origin(const struct dga *dga, int64_t now_ms, hydro_scratch *scratch)
{
	static const struct {
		bool local;
		const char *zone;
	} forms[] = {
		[DGA_ORIGIN_UTC4_0000] = {true, "-0000"},
		[DGA_ORIGIN_UTC_0000] = {false, "-0000"},
		[DGA_ORIGIN_UTC4_0400] = {true, "-0400"},
		[DGA_ORIGIN_UTC_Z] = {false, "Z"},
	};
	char date[DGA_VALUE_BYTES] = "", hour[DGA_VALUE_BYTES] = "";
	(void)dga_put_time(now_ms, forms[dga->origin].local ? dga_manual.info.utc_offset_s : 0, date, hour);
	return hydro_scratch_printf(scratch, "%sT%s%s", date, hour, forms[dga->origin].zone);
}

static const char *put_url(const struct dga *dga, const char *path, const hydro_filing_send *send, hydro_scratch *scratch)
{
	struct text t;
	text_begin(&t, scratch);
	text_put(&t, dga->base);
	text_put(&t, "/");
	text_put(&t, path);
	if (send->receipt) {
		text_put(&t, "?codigoObra=");
		text_put_url(&t, send->code);
		text_put(&t, "&numeroComprobante=");
		text_put_url(&t, send->receipt);
	}
	return text_end(&t);
}

static const char *put_body(const char *object, const hydro_filing_send *send, hydro_scratch *scratch)
{
	struct text t;
	text_begin(&t, scratch);
	text_put(&t, "{\"autenticacion\":{\"password\":\"");
	text_put_json(&t, send->secret);
	text_put(&t, "\",\"rutEmpresa\":\"");
	text_put(&t, send->centre);
	text_put(&t, "\",\"rutUsuario\":\"");
	text_put(&t, send->informant);
	text_put(&t, "\"},\"");
	text_put(&t, object);
	text_put(&t, "\":");
	text_put_bytes(&t, send->payload, send->payload_len);
	text_put(&t, "}");
	return text_end(&t);
}

static int32_t check_send(const hydro_filing_send *send, struct hydro_error *err)
{
	if (dga_kind_index(send->kind) < 0)
		return hydro_fail(err, HYDRO_E_INVALID, "kind: '%.40s' is none of this manual", send->kind ? send->kind : "");
	return dga_check_code("codigoObra", send->code, err);
}

/* What was frozen under one version of the manual is not sent by the rules of another. */
static int32_t check_payload(const hydro_filing_send *send, struct hydro_error *err)
{
	struct dga_values values;
	const struct dga_field *field = dga_manual.kinds[dga_kind_index(send->kind)].fields;
	if (!send->payload || !dga_read_values(send->payload, send->payload_len, &values))
		return hydro_fail(err, HYDRO_E_INVALID, "the payload is not one that was prepared here");
	for (uint32_t i = 0; i < DGA_FIELDS_MAX && field[i].name; i++)
		if (!dga_find(&values, field[i].name))
			return hydro_fail(err, HYDRO_E_INVALID, "the payload has no %s: it was prepared for another kind or under another version of the manual", field[i].name);
	return HYDRO_OK;
}

static int32_t check_filing(const hydro_filing_send *send, struct hydro_error *err)
{
	int32_t rc = check_send(send, err);
	if (rc == HYDRO_OK)
		rc = dga_check_rut("rutEmpresa", send->centre, err);
	if (rc == HYDRO_OK)
		rc = dga_check_rut("rutUsuario", send->informant, err);
	if (rc != HYDRO_OK)
		return rc;
	if (!send->secret || !*send->secret)
		return hydro_fail(err, HYDRO_E_INVALID, "password: the informant has none");
	return check_payload(send, err);
}

int32_t dga_request(void *instance, const hydro_filing_send *send, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	const struct dga *dga = instance;
	hydro_filing_send post = *send;
	int32_t rc = check_filing(send, err);
	if (rc != HYDRO_OK)
		return rc;
	post.receipt = NULL;
	const struct dga_kind *kind = &dga_manual.kinds[dga_kind_index(send->kind)];
	hydro_http_header *headers = hydro_scratch_take(scratch, 4 * sizeof *headers);
	const char *origin = headers ? put_origin(dga, send->now_ms, scratch) : NULL;
	const char *code = origin ? hydro_scratch_printf(scratch, "%s", send->code) : NULL;
	const char *url = code ? put_url(dga, kind->path, &post, scratch) : NULL;
	const char *body = url ? put_body(kind->object, send, scratch) : NULL;
	if (!body)
		return hydro_fail(err, HYDRO_E_LIMIT, LIMIT_WORDS);
	headers[0] = (hydro_http_header){.name = "codigoObra", .value = code};
	headers[1] = (hydro_http_header){.name = "timeStampOrigen", .value = origin};
	headers[2] = (hydro_http_header){.name = "Content-Type", .value = "application/json"};
	headers[3] = (hydro_http_header){.name = "Accept", .value = "application/json"};
	ret->method = HYDRO_HTTP_POST;
	ret->url = ret->url_log = url;
	ret->headers = headers;
	ret->header_count = 4;
	ret->header_stride = sizeof *headers;
	ret->body = body;
	ret->body_len = strlen(body);
	ret->timeout_ms = 0;
	return HYDRO_OK;
}

int32_t dga_check_request(void *instance, const hydro_filing_send *send, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	static const hydro_http_header headers[] = {{"Accept", "application/json", 0, 0}};
	int32_t rc = check_send(send, err);
	if (rc != HYDRO_OK)
		return rc;
	if (!send->receipt || !*send->receipt)
		return hydro_fail(err, HYDRO_E_INVALID, "numeroComprobante: without a receipt the DGA can be asked nothing");
	const char *url = put_url(instance, dga_manual.kinds[dga_kind_index(send->kind)].path, send, scratch);
	if (!url)
		return hydro_fail(err, HYDRO_E_LIMIT, LIMIT_WORDS);
	ret->method = HYDRO_HTTP_GET;
	ret->url = ret->url_log = url;
	ret->headers = headers;
	ret->header_count = 1;
	ret->header_stride = sizeof headers[0];
	ret->body = NULL;
	ret->body_len = 0;
	ret->timeout_ms = 0;
	return HYDRO_OK;
}
