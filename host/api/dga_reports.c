/* SPDX-License-Identifier: MIT */
/* /api/v1/dga/: compliance, the monthly report, failures of transmission, and the sheet. */
#include "api/dga.h"
#include "filing/report.h"

#include <hydro/abi.h>
#include <string.h>

#define CSV_TYPE "text/csv; charset=utf-8"
#define HTML_TYPE "text/html; charset=utf-8"

static const char *text_or_null(const struct hd_http_request *req, const char *name)
{
	const struct hd_http_value *value = hd_http_param(req, name);
	return value->is_set && *value->text ? value->text : NULL;
}

/* Code of the work of the request's parameter in `ret`; NULL when none was given. */
static int take_code(struct hd_api *api, const struct hd_http_request *req, struct hd_dga_work *found, const char **ret, struct hydro_error *err)
{
	const char *text = text_or_null(req, "work");
	*ret = NULL;
	if (!text)
		return HYDRO_OK;
	int rc = hd_dga_find_work(api, text, found, err);
	*ret = found->code;
	return rc;
}

HD_HANDLER(dga_compliance)
{
	struct hd_api *api = HD_API(arg);
	struct hd_dga_work found;
	struct hd_compliance compliance = {.rows = NULL};
	struct hd_work_filter filter = {.mode = -1, .held = -1, .centre = HD_LEDGER_ALL, .client = text_or_null(req, "client"),
					.standard = text_or_null(req, "standard"), .region = text_or_null(req, "region")};
	struct hd_compliance_query query = {.by = (uint32_t)hd_http_param(req, "by")->integer, .works = &filter, .now_ms = hd_clock_wall_ms()};
	HD_NEED(api, ledger);
	int rc = take_code(api, req, &found, &query.code, err);
	if (rc == HYDRO_OK)
		rc = hd_dga_window(api, req, 30, &query.from_ms, &query.to_ms, err);
	if (rc == HYDRO_OK && query.to_ms - query.from_ms > HD_DGA_DAYS_MAX * INT64_C(86400000))
		rc = hd_error_set(err, HYDRO_E_LIMIT, "more than %d days", HD_DGA_DAYS_MAX);
	if (rc == HYDRO_OK)
		rc = hd_compliance_take(api->deps.ledger, api->deps.adapters, &query, &compliance, err);
	if (rc == HYDRO_OK)
		hd_compliance_print(&resp->body, &compliance);
	hd_compliance_done(&compliance);
	return rc;
}

static int take_query(struct hd_api *api, const struct hd_http_request *req, struct hd_dga_work *found, struct hd_report_query *ret, struct hydro_error *err)
{
	*ret = (struct hd_report_query){.client = text_or_null(req, "client"), .now_ms = hd_clock_wall_ms()};
	int rc = take_code(api, req, found, &ret->code, err);
	if (rc == HYDRO_OK)
		rc = hd_dga_window(api, req, 31, &ret->from_ms, &ret->to_ms, err);
	if (rc == HYDRO_OK && ret->to_ms - ret->from_ms > HD_DGA_DAYS_MAX * INT64_C(86400000))
		rc = hd_error_set(err, HYDRO_E_LIMIT, "more than %d days", HD_DGA_DAYS_MAX);
	return rc;
}

/* html|pdf|csv */
HD_HANDLER(dga_report_monthly)
{
	struct hd_api *api = HD_API(arg);
	static const char *const types[] = {HTML_TYPE, "application/pdf", CSV_TYPE};
	int64_t format = hd_http_param(req, "format")->integer;
	struct hd_dga_work found;
	struct hd_report_query query;
	HD_NEED(api, ledger);
	int rc = take_query(api, req, &found, &query, err);
	if (rc == HYDRO_OK && format == 2)
		rc = hd_report_csv(api->deps.ledger, api->deps.adapters, &query, &resp->body, err);
	else if (rc == HYDRO_OK)
		rc = hd_report_document(api->deps.ledger, api->deps.adapters, &query, format == 1 ? HD_DOC_PDF : HD_DOC_HTML, &resp->body, err);
	resp->content_type = types[format];
	return rc;
}

/* json|csv|html|pdf */
HD_HANDLER(dga_failure_report)
{
	struct hd_api *api = HD_API(arg);
	static const char *const types[] = {"application/json", CSV_TYPE, HTML_TYPE, "application/pdf"};
	int64_t format = hd_http_param(req, "format")->integer;
	struct hd_dga_work found;
	struct hd_report_query query;
	HD_NEED(api, ledger);
	int rc = take_query(api, req, &found, &query, err);
	if (rc != HYDRO_OK)
		return rc;
	resp->content_type = types[format];
	if (format == 0)
		return hd_failures_json(api->deps.ledger, api->deps.adapters, &query, &resp->body, err);
	if (format == 1)
		return hd_failures_csv(api->deps.ledger, api->deps.adapters, &query, &resp->body, err);
	return hd_failures_document(api->deps.ledger, api->deps.adapters, &query, format == 3 ? HD_DOC_PDF : HD_DOC_HTML, &resp->body, err);
}

HD_HANDLER(dga_sheet)
{
	struct hd_api *api = HD_API(arg);
	struct hd_dga_work found;
	struct hd_report_query query;
	HD_NEED(api, ledger);
	int rc = take_query(api, req, &found, &query, err);
	if (rc == HYDRO_OK)
		rc = hd_sheet(api->deps.ledger, api->deps.adapters, &query, hd_http_param(req, "all")->integer, &resp->body, err);
	return rc;
}
