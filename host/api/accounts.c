/* SPDX-License-Identifier: MIT */
#include "api/internal.h"

#include <hydro/abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 4u

static void print_account(struct hd_buf *ret, const struct hd_store_account *a)
{
	hd_buf_add_char(ret, '{');
	hd_json_id(ret, "id", &a->id);
	hd_json_int(ret, "version", (int64_t)a->version);
	hd_json_text(ret, "provider", a->provider);
	hd_json_text(ret, "name", a->name);
	hd_json_raw(ret, "options", a->shown);
	hd_json_int(ret, "points", (int64_t)a->points);
	hd_json_time(ret, "created_at", a->created_ms);
	hd_json_time(ret, "updated_at", a->updated_ms);
	hd_buf_add_char(ret, '}');
}

static int add_item(void *arg, const struct hd_store_account *account, struct hydro_error *err)
{
	struct hd_buf *ret = arg;
	if (ret->data[ret->len - 1] != '[')
		hd_buf_add_char(ret, ',');
	print_account(ret, account);
	return ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the page") : HYDRO_OK;
}

HD_HANDLER(accounts_list)
{
	struct hd_api *api = HD_API(arg);
	struct hd_store_page page;
	int64_t after;
	int rc = hd_api_cursor(hd_http_param(req, "cursor"), &after, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_buf_add_text(&resp->body, "{\"items\":[");
	rc = hd_store_account_list(api->deps.store, hd_http_param(req, "provider")->text, after, (uint32_t)hd_http_param(req, "limit")->integer, add_item,
				   &resp->body, &page, err);
	if (rc == HYDRO_OK)
		hd_api_page_end(&resp->body, &page, true);
	return rc;
}

static int answer_account(void *arg, const struct hd_store_account *account, struct hydro_error *err)
{
	struct hd_http_response *resp = arg;
	(void)err;
	print_account(&resp->body, account);
	hd_http_set_version(resp, account->version);
	return HYDRO_OK;
}

HD_HANDLER(account_get)
{
	return hd_store_account_get(HD_API(arg)->deps.store, &hd_http_param(req, "id")->uuid, 0, false, answer_account, resp, err);
}

/* ---- writing --------------------------------------------------------------------------------------------------------------- */

struct draft {
	struct hd_store_account row;
	cJSON *document;
	char *options;
	struct hd_buf shown;
};

static void draft_done(struct draft *draft)
{
	cJSON_Delete(draft->document);
	free(draft->options);
	hd_buf_done(&draft->shown);
}

static int fill_row(struct hd_api *api, struct draft *draft, struct hydro_error *err)
{
	const struct hd_store_checks *checks = &api->deps.checks;
	const char *name = hd_body_text(draft->document, "name"), *provider = hd_body_text(draft->document, "provider");
	const cJSON *options = cJSON_GetObjectItemCaseSensitive(draft->document, "options");
	draft->row.name = name ? name : "";
	draft->row.provider = provider ? provider : "";
	draft->options = options ? cJSON_PrintUnformatted(options) : strdup("{}");
	if (!draft->options)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory");
	int rc = hd_store_account_check(&draft->row, err);
	if (rc == HYDRO_OK && checks->options)
		rc = checks->options(checks->arg, draft->row.provider, HYDRO_SCOPE_ACCOUNT, draft->options, &draft->shown, &draft->row.has_secret, err);
	else
		hd_buf_add_text(&draft->shown, draft->options);
	draft->row.options = draft->options;
	draft->row.shown = hd_buf_text(&draft->shown);
	return rc == HYDRO_OK && !draft->row.shown ? hd_error_set(err, HYDRO_E_NOMEM, "no memory") : rc;
}

struct write {
	const struct hd_http_request *req;
	struct hd_http_response *resp;
	bool with_location;
};

static int written(void *arg, struct hd_db *db, const struct hd_store_account *account, struct hydro_error *err)
{
	struct write *write = arg;
	char id[HD_UUID_TEXT];
	hd_buf_clear(&write->resp->body);
	print_account(&write->resp->body, account);
	hd_http_set_version(write->resp, account->version);
	hd_uuid_format(&account->id, id);
	if (write->with_location)
		(void)snprintf(write->resp->location, sizeof write->resp->location, "/api/v1/accounts/%s", id);
	return hd_api_keep(db, write->req, write->resp, err);
}

HD_HANDLER(accounts_create)
{
	struct hd_api *api = HD_API(arg);
	struct draft draft = {.row = {.number = 0}};
	struct write write = {req, resp, true};
	int rc = hd_body_parse(req, &hd_schema_account, false, resp, &draft.document, err);
	if (rc == HYDRO_OK)
		rc = hd_json_restore_secrets(cJSON_GetObjectItemCaseSensitive(draft.document, "options"), NULL, err);
	if (rc == HYDRO_OK && (rc = fill_row(api, &draft, err)) == HYDRO_OK)
		rc = hd_store_account_create(api->deps.store, &draft.row, written, &write, err);
	draft_done(&draft);
	return rc;
}

static int take_present(void *arg, const struct hd_store_account *account, struct hydro_error *err)
{
	struct draft *draft = arg;
	struct hd_buf text = {0};
	struct hd_store_account full = *account;
	full.shown = account->options;
	print_account(&text, &full);
	draft->row = (struct hd_store_account){.id = account->id, .version = account->version, .points = account->points};
	draft->document = text.failed ? NULL : cJSON_ParseWithLength(text.data, text.len);
	hd_buf_done(&text);
	return draft->document ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOMEM, "no memory");
}

static int patch_once(struct hd_api *api, const struct hd_http_request *req, struct hd_http_response *resp, const cJSON *body, struct hydro_error *err)
{
	struct draft draft = {.row = {.number = 0}};
	struct write write = {req, resp, false};
	int rc = hd_store_account_get(api->deps.store, &hd_http_param(req, "id")->uuid, 0, true, take_present, &draft, err);
	if (rc == HYDRO_OK && (rc = hd_http_check_version(req, draft.row.version, err)) == HYDRO_OK) {
		cJSON *known = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(draft.document, "options"), true);
		hd_json_merge(draft.document, body);
		rc = hd_json_restore_secrets(cJSON_GetObjectItemCaseSensitive(draft.document, "options"), known, err);
		cJSON_Delete(known);
	}
	if (rc == HYDRO_OK && (rc = fill_row(api, &draft, err)) == HYDRO_OK)
		rc = hd_store_account_replace(api->deps.store, &draft.row, written, &write, err);
	if (rc == HYDRO_OK && api->deps.account_changed)
		api->deps.account_changed(api->deps.arg, draft.row.number);
	draft_done(&draft);
	return rc;
}

HD_HANDLER(account_patch)
{
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	int rc = hd_body_parse(req, &hd_schema_account, true, resp, &body, err);
	if (rc != HYDRO_OK)
		return rc;
	rc = HYDRO_E_STALE;
	for (unsigned i = 0; i < TRIES && rc == HYDRO_E_STALE; i++) {
		rc = patch_once(HD_API(arg), req, resp, body, err);
		if (req->if_match)
			break;
	}
	return rc;
}

static int take_version(void *arg, const struct hd_store_account *account, struct hydro_error *err)
{
	(void)err;
	*(uint64_t *)arg = account->version;
	return HYDRO_OK;
}

HD_HANDLER(account_delete)
{
	struct hd_api *api = HD_API(arg);
	const struct hd_uuid *id = &hd_http_param(req, "id")->uuid;
	uint64_t version = 0;
	(void)resp;
	int rc = hd_store_account_get(api->deps.store, id, 0, false, take_version, &version, err);
	if (rc == HYDRO_OK)
		rc = hd_http_check_version(req, version, err);
	return rc == HYDRO_OK ? hd_store_account_delete(api->deps.store, id, req->if_match ? version : 0, err) : rc;
}
