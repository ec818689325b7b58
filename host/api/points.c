/* SPDX-License-Identifier: MIT */
/* Points: list, get, create, patch, configuration, delete. */
#include "api/internal.h"

#include "base/timefmt.h"
#include "base/tz.h"

#include <hydro/abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 4u /* a change without If-Match is made again when another came between */

static void print_point(struct hd_buf *ret, const struct hd_store_point *p)
{
	hd_buf_add_char(ret, '{');
	hd_json_id(ret, "id", &p->id);
	hd_json_int(ret, "number", p->number);
	hd_json_int(ret, "version", (int64_t)p->version);
	hd_json_text(ret, "name", p->name);
	hd_json_text(ret, "provider", p->provider);
	hd_json_bool(ret, "active", p->bits & HD_POINT_ACTIVE);
	hd_json_id(ret, "account", &p->account_id);
	hd_json_text(ret, "pipeline", p->pipeline);
	hd_json_int(ret, "period_s", p->period_s);
	hd_json_int(ret, "join_ms", p->join_ms);
	hd_json_time(ret, "start", p->start_ms);
	hd_json_text(ret, "zone", p->zone);
	hd_json_raw(ret, "options", p->shown);
	hd_json_raw(ret, "params", p->params);
	hd_json_time(ret, "created_at", p->created_ms);
	hd_json_time(ret, "updated_at", p->updated_ms);
	hd_buf_add_char(ret, '}');
}

/* ---- reading -------------------------------------------------------------------------------------------------------------- */

static int add_item(void *arg, const struct hd_store_point *point, struct hydro_error *err)
{
	struct hd_buf *ret = arg;
	if (ret->data[ret->len - 1] != '[')
		hd_buf_add_char(ret, ',');
	print_point(ret, point);
	return ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the page") : HYDRO_OK;
}

HD_HANDLER(points_list)
{
	struct hd_api *api = HD_API(arg);
	const struct hd_http_value *active = hd_http_param(req, "active");
	struct hd_store_page page;
	struct hd_store_point_filter filter = {.provider = hd_http_param(req, "provider")->text, .pipeline = hd_http_param(req, "pipeline")->text,
					       .name_prefix = hd_http_param(req, "name")->text, .active = active->is_set ? (int)active->integer : -1,
					       .limit = (uint32_t)hd_http_param(req, "limit")->integer, .want_total = hd_http_param(req, "total")->integer};
	int rc = hd_api_cursor(hd_http_param(req, "cursor"), &filter.after, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_buf_add_text(&resp->body, "{\"items\":[");
	rc = hd_store_point_list(api->deps.store, &filter, add_item, &resp->body, &page, err);
	if (rc == HYDRO_OK)
		hd_api_page_end(&resp->body, &page, filter.want_total);
	return rc;
}

static int answer_point(void *arg, const struct hd_store_point *point, struct hydro_error *err)
{
	struct hd_http_response *resp = arg;
	(void)err;
	print_point(&resp->body, point);
	hd_http_set_version(resp, point->version);
	return HYDRO_OK;
}

HD_HANDLER(point_get)
{
	return hd_store_point_get(HD_API(arg)->deps.store, &hd_http_param(req, "id")->uuid, false, answer_point, resp, err);
}

/* ---- from a document to a row ---------------------------------------------------------------------------------------------- */

/* A row that is about to be written, with the texts it borrows. */
struct draft {
	struct hd_store_point row;
	cJSON *document; /* complete: what is not in it takes its default */
	char *options, *params;
	struct hd_buf shown;
};

static void draft_done(struct draft *draft)
{
	cJSON_Delete(draft->document);
	free(draft->options);
	free(draft->params);
	hd_buf_done(&draft->shown);
}

static int account_number(void *arg, const struct hd_store_account *account, struct hydro_error *err)
{
	(void)err;
	*(uint32_t *)arg = account->number;
	return HYDRO_OK;
}

static int take_account(struct hd_api *api, const cJSON *document, struct hd_store_point *row, struct hydro_error *err)
{
	struct hd_uuid id;
	const char *text = hd_body_text(document, "account");
	row->account = 0;
	if (!text)
		return HYDRO_OK;
	if (!hd_uuid_parse(text, &id) || hd_store_account_get(api->deps.store, &id, 0, false, account_number, &row->account, err) != HYDRO_OK)
		return hd_error_set(err, HYDRO_E_INVALID, "account: there is no such account");
	return HYDRO_OK;
}

static int take_zone(const char *zone, struct hydro_error *err)
{
	struct hd_tz *tz = NULL;
	int rc = zone[0] ? hd_tz_load(zone, &tz, err) : HYDRO_OK;
	hd_tz_free(&tz);
	return rc == HYDRO_OK ? rc : hd_error_set(err, HYDRO_E_INVALID, "zone: there is no time zone \"%.64s\"", zone);
}

static int take_options(struct hd_api *api, struct draft *draft, struct hydro_error *err)
{
	const struct hd_store_checks *checks = &api->deps.checks;
	const cJSON *options = cJSON_GetObjectItemCaseSensitive(draft->document, "options"), *params = cJSON_GetObjectItemCaseSensitive(draft->document, "params");
	draft->options = options ? cJSON_PrintUnformatted(options) : strdup("{}");
	draft->params = params ? cJSON_PrintUnformatted(params) : strdup("{}");
	if (!draft->options || !draft->params)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory");
	int rc = HYDRO_OK;
	if (checks->options)
		rc = checks->options(checks->arg, draft->row.provider, HYDRO_SCOPE_POINT, draft->options, &draft->shown, &draft->row.has_secret, err);
	else
		hd_buf_add_text(&draft->shown, draft->options);
	draft->row.options = draft->options;
	draft->row.params = draft->params;
	draft->row.shown = hd_buf_text(&draft->shown);
	return rc == HYDRO_OK && !draft->row.shown ? hd_error_set(err, HYDRO_E_NOMEM, "no memory") : rc;
}

static uint32_t number_of(const cJSON *document, const char *name, uint32_t preset)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(document, name);
	return cJSON_IsNumber(item) ? (uint32_t)item->valuedouble : preset;
}

static const char *text_of(const cJSON *document, const char *name)
{
	const char *text = hd_body_text(document, name);
	return text ? text : "";
}

/* Fills draft->row from draft->document and runs all checks. Id and version are the caller's. */
static int fill_row(struct hd_api *api, struct draft *draft, struct hydro_error *err)
{
	const cJSON *document = draft->document;
	struct hd_store_point *row = &draft->row;
	const char *start = hd_body_text(document, "start");
	row->name = text_of(document, "name");
	row->provider = text_of(document, "provider");
	row->pipeline = text_of(document, "pipeline");
	row->zone = text_of(document, "zone");
	row->period_s = number_of(document, "period_s", HD_POINT_PERIOD_S_DEFAULT);
	row->join_ms = number_of(document, "join_ms", HD_POINT_JOIN_MS_DEFAULT);
	row->bits = cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(document, "active")) ? 0 : HD_POINT_ACTIVE;
	row->start_ms = 0;
	if (start && !hd_time_parse(start, strlen(start), false, &row->start_ms))
		return hd_error_set(err, HYDRO_E_INVALID, "start: a time as RFC 3339 is wanted");
	int rc = take_account(api, document, row, err);
	if (rc == HYDRO_OK)
		rc = take_zone(row->zone, err);
	if (rc == HYDRO_OK && (rc = take_options(api, draft, err)) == HYDRO_OK)
		rc = hd_store_point_check(row, err);
	if (rc != HYDRO_OK || !api->deps.checks.point)
		return rc;
	struct hd_point_spec spec = {.index = HD_POINT_NONE, .id = row->id, .version = row->version, .bits = row->bits, .account = row->account,
				     .period_s = row->period_s, .join_ms = row->join_ms, .start_ms = row->start_ms, .name = row->name, .provider = row->provider,
				     .pipeline = row->pipeline, .options = row->options, .params = row->params, .zone = row->zone};
	return api->deps.checks.point(api->deps.checks.arg, &spec, err);
}

/* ---- writing -------------------------------------------------------------------------------------------------------------- */

struct write {
	const struct hd_http_request *req;
	struct hd_http_response *resp;
	bool with_location;
};

/* In the transaction: the answer, kept with the row or not at all. */
static int written(void *arg, struct hd_db *db, const struct hd_store_point *point, struct hydro_error *err)
{
	struct write *write = arg;
	char id[HD_UUID_TEXT];
	hd_buf_clear(&write->resp->body);
	if (!(point->bits & HD_POINT_DELETED)) {
		print_point(&write->resp->body, point);
		hd_http_set_version(write->resp, point->version);
	}
	hd_uuid_format(&point->id, id);
	if (write->with_location)
		(void)snprintf(write->resp->location, sizeof write->resp->location, "/api/v1/points/%s", id);
	return hd_api_keep(db, write->req, write->resp, err);
}

HD_HANDLER(points_create)
{
	struct hd_api *api = HD_API(arg);
	struct draft draft = {.row = {.number = 0}};
	struct write write = {req, resp, true};
	int rc = hd_body_parse(req, &hd_schema_point, false, resp, &draft.document, err);
	if (rc == HYDRO_OK)
		rc = hd_json_restore_secrets(cJSON_GetObjectItemCaseSensitive(draft.document, "options"), NULL, err);
	if (rc == HYDRO_OK && (rc = fill_row(api, &draft, err)) == HYDRO_OK)
		rc = hd_store_point_create(api->deps.store, &draft.row, written, &write, err);
	draft_done(&draft);
	return rc;
}

/* The present row as a document, options in full. */
static int take_present(void *arg, const struct hd_store_point *point, struct hydro_error *err)
{
	struct draft *draft = arg;
	struct hd_buf text = {0};
	struct hd_store_point full = *point;
	full.shown = point->options;
	print_point(&text, &full);
	draft->row = (struct hd_store_point){.id = point->id, .version = point->version};
	draft->document = text.failed ? NULL : cJSON_ParseWithLength(text.data, text.len);
	hd_buf_done(&text);
	return draft->document ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOMEM, "no memory");
}

/* What a PATCH, a PUT of the configuration, or a DELETE makes of the document. */
typedef int (*change_fn)(cJSON **document, const cJSON *body, struct hydro_error *err);

static int apply_patch(cJSON **document, const cJSON *body, struct hydro_error *err)
{
	cJSON *known = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(*document, "options"), true);
	hd_json_merge(*document, body);
	int rc = hd_json_restore_secrets(cJSON_GetObjectItemCaseSensitive(*document, "options"), known, err);
	cJSON_Delete(known);
	return rc;
}

static int apply_config(cJSON **document, const cJSON *body, struct hydro_error *err)
{
	static const char *const kept[] = {"name", "provider", "active"};
	cJSON *made = cJSON_Duplicate(body, true);
	int rc = hd_json_restore_secrets(cJSON_GetObjectItemCaseSensitive(made, "options"), cJSON_GetObjectItemCaseSensitive(*document, "options"), err);
	for (size_t i = 0; i < HD_ARRAY_LEN(kept); i++)
		(void)cJSON_AddItemToObject(made, kept[i], cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(*document, kept[i]), true));
	cJSON_Delete(*document);
	*document = made;
	return rc;
}

static int change_once(struct hd_api *api, const struct hd_http_request *req, struct hd_http_response *resp, const cJSON *body, change_fn change,
		       struct hydro_error *err)
{
	struct draft draft = {.row = {.number = 0}};
	struct write write = {req, resp, false};
	int rc = hd_store_point_get(api->deps.store, &hd_http_param(req, "id")->uuid, true, take_present, &draft, err);
	if (rc == HYDRO_OK && (rc = hd_http_check_version(req, draft.row.version, err)) == HYDRO_OK && change)
		rc = change(&draft.document, body, err);
	/* A point may be deleted although its provider or pipeline is gone. */
	struct hd_api unchecked = {.magic = HD_API_MAGIC, .deps = {.store = api->deps.store}};
	if (rc == HYDRO_OK && change) {
		rc = fill_row(api, &draft, err);
	} else if (rc == HYDRO_OK && (rc = fill_row(&unchecked, &draft, err)) == HYDRO_OK) {
		draft.row.bits = HD_POINT_DELETED;
		draft.row.shown = draft.row.options = "{}"; /* the secrets go with it */
	}
	if (rc == HYDRO_OK)
		rc = hd_store_point_replace(api->deps.store, &draft.row, written, &write, err);
	draft_done(&draft);
	return rc;
}

static int change_point(struct hd_api *api, const struct hd_http_request *req, struct hd_http_response *resp, const cJSON *body, change_fn change,
			struct hydro_error *err)
{
	int rc = HYDRO_E_STALE;
	for (unsigned i = 0; i < TRIES && rc == HYDRO_E_STALE; i++) {
		rc = change_once(api, req, resp, body, change, err);
		if (req->if_match)
			break;
	}
	return rc;
}

HD_HANDLER(point_patch)
{
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	int rc = hd_body_parse(req, &hd_schema_point, true, resp, &body, err);
	return rc == HYDRO_OK ? change_point(HD_API(arg), req, resp, body, apply_patch, err) : rc;
}

HD_HANDLER(point_config)
{
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	int rc = hd_body_parse(req, &hd_schema_point_config, false, resp, &body, err);
	return rc == HYDRO_OK ? change_point(HD_API(arg), req, resp, body, apply_config, err) : rc;
}

HD_HANDLER(point_delete)
{
	return change_point(HD_API(arg), req, resp, NULL, NULL, err);
}
