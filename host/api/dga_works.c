/* SPDX-License-Identifier: MIT */
/* /api/v1/dga/works: the works, their import, release after a correction, and the daily proof. */
#include "api/dga.h"
#include "filing/works_import.h"

#include <stdio.h>
#include <string.h>

#define TRIES 4u
#define WORK(req) (hd_http_param(req, "work")->text)

static struct hd_work_context context_of(struct hd_api *api, const struct hd_registry_ids *ids, struct hd_http_response *resp)
{
	return (struct hd_work_context){.adapters = api->deps.adapters, .ids = ids, .now_ms = hd_clock_wall_ms(), .arg = api, .point = hd_dga_point,
					.problem = hd_dga_problem, .problem_arg = resp};
}

/* ---- reading --------------------------------------------------------------------------------------------------------------- */

struct list {
	struct hd_buf *ret;
	const struct hd_registry_ids *ids;
};

static int add_item(void *arg, const struct hd_work *work, struct hydro_error *err)
{
	struct list *list = arg;
	hd_json_item(list->ret);
	hd_work_print(list->ret, work, list->ids);
	return list->ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the page") : HYDRO_OK;
}

static const char *text_or_null(const struct hd_http_request *req, const char *name)
{
	const struct hd_http_value *value = hd_http_param(req, name);
	return value->is_set ? value->text : NULL;
}

static int take_filter(struct hd_api *api, const struct hd_http_request *req, const struct hd_registry_ids *ids, struct hd_work_filter *ret,
		       struct hydro_error *err)
{
	const struct hd_http_value *mode = hd_http_param(req, "mode"), *held = hd_http_param(req, "held"), *centre = hd_http_param(req, "centre"),
				   *point = hd_http_param(req, "point");
	int64_t after;
	*ret = (struct hd_work_filter){.code_prefix = text_or_null(req, "code"), .client = text_or_null(req, "client"), .standard = text_or_null(req, "standard"),
				       .region = text_or_null(req, "region"), .shac = text_or_null(req, "shac"), .mode = mode->is_set ? (int)mode->integer : -1,
				       .held = held->is_set ? (int)held->integer : -1, .centre = HD_LEDGER_ALL, .limit = (uint32_t)hd_http_param(req, "limit")->integer,
				       .want_total = hd_http_param(req, "total")->integer};
	int rc = hd_api_cursor(hd_http_param(req, "cursor"), &after, err);
	ret->after = after > 0 ? (uint32_t)after : 0;
	for (uint32_t i = 0; i < ids->centre_count && centre->is_set; i++)
		if (hd_uuid_equal(&ids->centres[i].id, &centre->uuid))
			ret->centre = ids->centres[i].number;
	if (rc == HYDRO_OK && centre->is_set && ret->centre == HD_LEDGER_ALL)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "there is no such control centre");
	if (rc == HYDRO_OK && point->is_set)
		rc = hd_dga_point(api, point->text, &ret->point, err);
	return rc;
}

HD_HANDLER(dga_works_list)
{
	struct hd_api *api = HD_API(arg);
	struct hd_work_filter filter;
	struct hd_registry_ids ids = {.centres = NULL};
	struct hd_store_page page = {.next = -1};
	struct list list = {&resp->body, &ids};
	HD_NEED(api, ledger);
	int rc = hd_registry_ids_load(api->deps.ledger, &ids, err);
	if (rc == HYDRO_OK && (rc = take_filter(api, req, &ids, &filter, err)) == HYDRO_OK) {
		hd_buf_add_text(&resp->body, "{\"items\":[");
		rc = hd_ledger_work_list(api->deps.ledger, &filter, add_item, &list, &page, err);
	}
	if (rc == HYDRO_OK)
		hd_api_page_end(&resp->body, &page, filter.want_total);
	hd_registry_ids_done(&ids);
	return rc;
}

struct answer {
	struct hd_http_response *resp;
	const struct hd_registry_ids *ids;
};

static int answer_work(void *arg, const struct hd_work *work, struct hydro_error *err)
{
	struct answer *answer = arg;
	if (work->deleted)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "the work is deleted");
	hd_buf_clear(&answer->resp->body);
	hd_work_print(&answer->resp->body, work, answer->ids);
	hd_http_set_version(answer->resp, work->version);
	return HYDRO_OK;
}

HD_HANDLER(dga_work_get)
{
	struct hd_api *api = HD_API(arg);
	struct hd_registry_ids ids = {.centres = NULL};
	struct answer answer = {resp, &ids};
	HD_NEED(api, ledger);
	int rc = hd_registry_ids_load(api->deps.ledger, &ids, err);
	if (rc == HYDRO_OK)
		rc = hd_dga_with_work(api, WORK(req), answer_work, &answer, err);
	hd_registry_ids_done(&ids);
	return rc;
}

/* ---- writing ----------------------------------------------------------------------------------------------------------------- */

static void written(struct hd_api *api, struct hd_http_response *resp, const struct hd_work *work, const struct hd_registry_ids *ids)
{
	hd_buf_clear(&resp->body);
	hd_work_print(&resp->body, work, ids);
	hd_http_set_version(resp, work->version);
	hd_dga_changed(api);
}

HD_HANDLER(dga_works_create)
{
	struct hd_api *api = HD_API(arg);
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	struct hd_registry_ids ids = {.centres = NULL};
	struct hd_work_draft draft = {.options = NULL};
	HD_NEED(api, ledger);
	int rc = hd_body_parse(req, &hd_schema_dga_work, false, resp, &body, err);
	if (rc == HYDRO_OK)
		rc = hd_registry_ids_load(api->deps.ledger, &ids, err);
	if (rc == HYDRO_OK) {
		struct hd_work_context context = context_of(api, &ids, resp);
		rc = hd_work_draft_take(body, &context, &draft, err);
	}
	if (rc == HYDRO_OK && (rc = hd_ledger_work_create(api->deps.ledger, &draft.row, hd_dga_by(req), err)) == HYDRO_OK) {
		char id[HD_UUID_TEXT];
		hd_uuid_format(&draft.row.id, id);
		(void)snprintf(resp->location, sizeof resp->location, "/api/v1/dga/works/%s", id);
		written(api, resp, &draft.row, &ids);
	}
	hd_work_draft_done(&draft);
	hd_registry_ids_done(&ids);
	return rc;
}

struct present {
	const struct hd_registry_ids *ids;
	cJSON *document;
	struct hd_work_draft draft;
};

static int take_present(void *arg, const struct hd_work *work, struct hydro_error *err)
{
	struct present *present = arg;
	if (work->deleted)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "the work is deleted");
	return hd_work_draft_copy(work, present->ids, &present->document, &present->draft, err);
}

/* One try: the present row, changed by `body` (NULL: deleted), written over the version that was read. */
static int change_once(struct hd_api *api, const struct hd_http_request *req, struct hd_http_response *resp, const cJSON *body, struct hydro_error *err)
{
	struct hd_registry_ids ids = {.centres = NULL};
	struct present present = {.ids = &ids};
	int rc = hd_registry_ids_load(api->deps.ledger, &ids, err);
	if (rc == HYDRO_OK)
		rc = hd_dga_with_work(api, WORK(req), take_present, &present, err);
	if (rc == HYDRO_OK)
		rc = hd_http_check_version(req, present.draft.row.version, err);
	if (rc == HYDRO_OK && body) {
		struct hd_work_context context = context_of(api, &ids, resp);
		hd_json_merge(present.document, body);
		hd_buf_clear(&resp->problems);
		rc = hd_work_draft_take(present.document, &context, &present.draft, err);
	} else if (rc == HYDRO_OK) {
		present.draft.row.deleted = true;
		present.draft.row.mode = HD_MODE_OFF;
	}
	if (rc == HYDRO_OK)
		rc = hd_ledger_work_replace(api->deps.ledger, &present.draft.row, hd_dga_by(req), body ? "" : "deleted", err);
	if (rc == HYDRO_OK)
		written(api, resp, &present.draft.row, &ids);
	hd_work_draft_done(&present.draft);
	cJSON_Delete(present.document);
	hd_registry_ids_done(&ids);
	return rc;
}

static int change(struct hd_api *api, const struct hd_http_request *req, struct hd_http_response *resp, const cJSON *body, struct hydro_error *err)
{
	int rc = HYDRO_E_STALE;
	for (unsigned i = 0; i < TRIES && rc == HYDRO_E_STALE; i++) {
		rc = change_once(api, req, resp, body, err);
		if (req->if_match)
			break;
	}
	return rc;
}

HD_HANDLER(dga_work_patch)
{
	struct hd_api *api = HD_API(arg);
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	HD_NEED(api, ledger);
	int rc = hd_body_parse(req, &hd_schema_dga_work, true, resp, &body, err);
	return rc == HYDRO_OK ? change(api, req, resp, body, err) : rc;
}

HD_HANDLER(dga_work_delete)
{
	struct hd_api *api = HD_API(arg);
	HD_NEED(api, ledger);
	int rc = change(api, req, resp, NULL, err);
	hd_buf_clear(&resp->body);
	resp->etag[0] = '\0';
	return rc;
}

HD_HANDLER(dga_works_import)
{
	struct hd_api *api = HD_API(arg);
	struct hd_registry_ids ids = {.centres = NULL};
	struct hd_import_report report = {.lines = 0};
	struct hd_dga_points points = {.api = api};
	bool dry = hd_http_param(req, "dry")->integer;
	HD_NEED(api, ledger);
	int rc = hd_registry_ids_load(api->deps.ledger, &ids, err);
	if (rc == HYDRO_OK) {
		struct hd_work_context context = context_of(api, &ids, resp);
		context.arg = &points;
		context.point = hd_dga_points_find;
		struct hd_works_import import = {.ledger = api->deps.ledger, .context = &context, .by = hd_dga_by(req), .skip_bad = hd_http_param(req, "skip_bad")->integer,
						 .dry = dry};
		rc = hd_works_import(&import, req->body, req->body_len, &report, err);
	}
	if (rc == HYDRO_OK) {
		resp->status = report.failed == 0 || report.applied ? 200 : 422;
		hd_import_report_print(&resp->body, &report, dry);
	}
	if (report.applied)
		hd_dga_changed(api);
	hd_import_report_done(&report);
	hd_map_done(&points.names);
	hd_registry_ids_done(&ids);
	return rc;
}

HD_HANDLER(dga_work_release)
{
	struct hd_api *api = HD_API(arg);
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	struct hd_dga_work work;
	const char *reason;
	HD_NEED(api, filing);
	int rc = hd_dga_find_work(api, WORK(req), &work, err);
	if (rc == HYDRO_OK)
		rc = hd_dga_reason(req, resp, &body, &reason, err);
	if (rc == HYDRO_OK)
		rc = hd_filing_release(api->deps.filing, work.number, hd_dga_by(req), reason, err);
	return rc == HYDRO_OK ? hd_api_dga_work_get(arg, req, resp, err) : rc;
}

/* ---- the daily proof --------------------------------------------------------------------------------------------------------------- */

static void print_day(struct hd_buf *ret, const struct hd_day_proof *proof, int32_t utc_offset_s)
{
	char date[32];
	hd_local_date(hd_calendar_day_start(utc_offset_s, proof->day), utc_offset_s, date);
	hd_json_item(ret);
	hd_buf_add_char(ret, '{');
	hd_json_text(ret, "day", date);
	hd_json_int(ret, "due", (int64_t)proof->due);
	hd_json_int(ret, "filed", (int64_t)proof->filed);
	hd_json_int(ret, "explained", (int64_t)proof->explained);
	hd_json_int(ret, "open", (int64_t)proof->open);
	hd_json_bool(ret, "adds_up", proof->adds_up);
	hd_buf_add_char(ret, '}');
}

HD_HANDLER(dga_work_days)
{
	struct hd_api *api = HD_API(arg);
	struct hd_dga_work work;
	int64_t from, to;
	int32_t offset = 0;
	HD_NEED(api, filing);
	int rc = hd_dga_find_work(api, WORK(req), &work, err);
	if (rc == HYDRO_OK)
		rc = hd_dga_offset(api, &offset, err);
	if (rc == HYDRO_OK)
		rc = hd_dga_window(api, req, 7, &from, &to, err);
	if (rc != HYDRO_OK)
		return rc;
	int64_t first = hd_calendar_day(offset, from), last = hd_calendar_day(offset, to - 1);
	if (last - first >= HD_DGA_DAYS_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "more than %d days", HD_DGA_DAYS_MAX);
	hd_buf_add_text(&resp->body, "{\"items\":[");
	for (int64_t day = first; day <= last && rc == HYDRO_OK; day++) {
		struct hd_day_proof proof;
		rc = hd_filing_day_proof(api->deps.filing, work.number, day, &proof, err);
		if (rc == HYDRO_OK)
			print_day(&resp->body, &proof, offset);
	}
	hd_buf_add_text(&resp->body, "]}");
	return rc;
}
