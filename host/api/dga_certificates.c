/* SPDX-License-Identifier: MIT */
/* /api/v1/dga/certificates: X.509 certificates used towards the regulator, and when they end. */
#include "api/dga.h"
#include "filing/certificates.h"

#include <hydro/abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct list {
	struct hd_buf *ret;
	const struct hd_registry_ids *ids;
	int64_t now_ms;
};

static void print_certificate(struct hd_buf *ret, const struct hd_certificate *c, const struct hd_registry_ids *ids, int64_t now_ms)
{
	static const struct hd_uuid none;
	const struct hd_registry_row *centre = hd_registry_centre(ids, c->centre);
	int64_t days = hd_certificate_days_left(c->not_after_ms, now_ms);
	hd_buf_add_char(ret, '{');
	hd_json_id(ret, "id", &c->id);
	hd_json_text(ret, "name", c->name);
	hd_json_id(ret, "centre", centre ? &centre->id : &none);
	hd_json_text(ret, "subject", c->subject);
	hd_json_text(ret, "issuer", c->issuer);
	hd_json_text(ret, "serial", c->serial);
	hd_json_time(ret, "not_before", c->not_before_ms);
	hd_json_time(ret, "not_after", c->not_after_ms);
	hd_json_int(ret, "days_left", days);
	hd_json_text(ret, "state", days < 0 ? "ended" : days < 7 ? "red" : days < 60 ? "amber" : "good");
	hd_json_time(ret, "created_at", c->created_ms);
	hd_buf_add_char(ret, '}');
}

static int add_item(void *arg, const struct hd_certificate *certificate, struct hydro_error *err)
{
	struct list *list = arg;
	hd_json_item(list->ret);
	print_certificate(list->ret, certificate, list->ids, list->now_ms);
	return list->ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the page") : HYDRO_OK;
}

HD_HANDLER(dga_certificates_list)
{
	struct hd_api *api = HD_API(arg);
	struct hd_registry_ids ids = {.centres = NULL};
	struct list list = {&resp->body, &ids, hd_clock_wall_ms()};
	(void)req;
	HD_NEED(api, ledger);
	int rc = hd_registry_ids_load(api->deps.ledger, &ids, err);
	hd_buf_add_text(&resp->body, "{\"items\":[");
	if (rc == HYDRO_OK)
		rc = hd_ledger_certificate_list(api->deps.ledger, add_item, &list, err);
	hd_buf_add_text(&resp->body, "]}");
	hd_registry_ids_done(&ids);
	return rc;
}

static int find_centre(const struct hd_registry_ids *ids, const struct hd_http_value *centre, uint32_t *ret, struct hydro_error *err)
{
	*ret = 0;
	for (uint32_t i = 0; i < ids->centre_count && centre->is_set; i++)
		if (hd_uuid_equal(&ids->centres[i].id, &centre->uuid))
			*ret = ids->centres[i].number;
	return *ret || !centre->is_set ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOTFOUND, "parameter centre: there is no such control centre");
}

static int add(struct hd_api *api, const struct hd_http_request *req, struct hd_http_response *resp, const char *pem, struct hydro_error *err)
{
	struct hd_registry_ids ids = {.centres = NULL};
	struct hd_certificate_facts facts;
	uint32_t centre = 0;
	int rc = hd_certificate_parse(req->body, req->body_len, &facts, err);
	if (rc == HYDRO_OK)
		rc = hd_registry_ids_load(api->deps.ledger, &ids, err);
	if (rc == HYDRO_OK)
		rc = find_centre(&ids, hd_http_param(req, "centre"), &centre, err);
	if (rc == HYDRO_OK) {
		struct hd_certificate row = {.centre = centre, .name = hd_http_param(req, "name")->text, .subject = facts.subject, .issuer = facts.issuer,
					     .serial = facts.serial, .pem = pem, .not_before_ms = facts.not_before_ms, .not_after_ms = facts.not_after_ms};
		rc = hd_ledger_certificate_add(api->deps.ledger, &row, hd_dga_by(req), err);
		if (rc == HYDRO_OK)
			print_certificate(&resp->body, &row, &ids, hd_clock_wall_ms());
	}
	if (rc == HYDRO_OK)
		rc = hd_certificates_watch(api->deps.ledger, hd_clock_wall_ms(), err);
	hd_registry_ids_done(&ids);
	return rc;
}

HD_HANDLER(dga_certificates_add)
{
	struct hd_api *api = HD_API(arg);
	HD_NEED(api, ledger);
	if (memchr(req->body, '\0', req->body_len))
		return hd_error_set(err, HYDRO_E_PARSE, "the body is no PEM text");
	HD_CLEANUP(hd_cleanup_free) char *pem = strndup(req->body, req->body_len);
	return pem ? add(api, req, resp, pem, err) : hd_error_set(err, HYDRO_E_NOMEM, "no memory");
}

HD_HANDLER(dga_certificate_delete)
{
	struct hd_api *api = HD_API(arg);
	(void)resp;
	HD_NEED(api, ledger);
	int rc = hd_ledger_certificate_remove(api->deps.ledger, &hd_http_param(req, "id")->uuid, hd_dga_by(req), err);
	return rc == HYDRO_OK ? hd_certificates_watch(api->deps.ledger, hd_clock_wall_ms(), err) : rc;
}
