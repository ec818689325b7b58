/* SPDX-License-Identifier: MIT */
/* What handlers share: cursors, kept answers, merging. */
#include "api/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- requests ----------------------------------------------------------------------------------------------------------- */

int hd_api_find_point(struct hd_api *api, const struct hd_http_request *req, uint32_t *ret, struct hydro_error *err)
{
	uint32_t index = hd_points_find(api->deps.points, &hd_http_param(req, "id")->uuid);
	HD_CLEANUP(hd_cleanup_point) const struct hd_point *point = index == HD_POINT_NONE ? NULL : hd_points_get(api->deps.points, index);
	if (!point || (point->bits & HD_POINT_DELETED))
		return hd_error_set(err, HYDRO_E_NOTFOUND, "there is no such point");
	*ret = index;
	return HYDRO_OK;
}

int hd_api_cursor(const struct hd_http_value *value, int64_t *ret, struct hydro_error *err)
{
	*ret = -1;
	if (!value->is_set)
		return HYDRO_OK;
	char *end;
	errno = 0;
	long long number = strtoll(value->text, &end, 10);
	if (errno || *end || end == value->text || number < 0)
		return hd_error_set(err, HYDRO_E_INVALID, "parameter cursor: take it from `next` of the page before");
	*ret = number;
	return HYDRO_OK;
}

void hd_api_page_end(struct hd_buf *ret, const struct hd_store_page *page, bool with_total)
{
	hd_buf_add_char(ret, ']');
	if (page->next >= 0)
		hd_buf_printf(ret, ",\"next\":\"%lld\"", (long long)page->next);
	else
		hd_buf_add_text(ret, ",\"next\":null");
	if (with_total)
		hd_buf_printf(ret, ",\"total\":%llu", (unsigned long long)page->total);
	hd_buf_add_char(ret, '}');
}

static struct hd_store_kept kept_of(const struct hd_http_request *req, const struct hd_http_response *resp)
{
	uint32_t status = resp->status ? resp->status : req->route->answer_status ? req->route->answer_status : 200;
	struct hd_store_kept kept = {.principal = req->principal.id, .key = req->idempotency_key, .status = status, .etag = resp->etag,
				     .location = resp->location, .body = resp->body.data, .body_len = resp->body.len};
	memcpy(kept.fingerprint, req->fingerprint, sizeof kept.fingerprint);
	return kept;
}

int hd_api_keep(struct hd_db *db, const struct hd_http_request *req, struct hd_http_response *resp, struct hydro_error *err)
{
	if (!req->idempotency_key)
		return HYDRO_OK;
	struct hd_store_kept kept = kept_of(req, resp);
	resp->kept = true;
	return hd_store_kept_insert(db, &kept, err);
}

/* ---- merging ------------------------------------------------------------------------------------------------------------ */

/* Puts `item` (owned) where a member of its name stands, so that the order stays, or behind the last. */
static void put_member(cJSON *target, const char *name, cJSON *item)
{
	if (!cJSON_GetObjectItemCaseSensitive(target, name))
		(void)cJSON_AddItemToObject(target, name, item);
	else
		(void)cJSON_ReplaceItemInObjectCaseSensitive(target, name, item);
}

void hd_json_merge(cJSON *target, const cJSON *patch)
{
	for (const cJSON *item = patch->child; item; item = item->next) {
		cJSON *there = cJSON_GetObjectItemCaseSensitive(target, item->string);
		if (cJSON_IsNull(item)) {
			cJSON_DeleteItemFromObjectCaseSensitive(target, item->string);
		} else if (cJSON_IsObject(item) && cJSON_IsObject(there)) {
			hd_json_merge(there, item);
		} else if (cJSON_IsObject(item)) {
			/* Nulls within a new object are no members either. */
			cJSON *made = cJSON_CreateObject();
			hd_json_merge(made, item);
			put_member(target, item->string, made);
		} else {
			put_member(target, item->string, cJSON_Duplicate(item, true));
		}
	}
}

int hd_json_restore_secrets(cJSON *options, const cJSON *known, struct hydro_error *err)
{
	for (cJSON *item = options ? options->child : NULL, *next; item; item = next) {
		next = item->next;
		if (!cJSON_IsString(item) || strcmp(item->valuestring, "***") != 0)
			continue;
		const cJSON *old = known ? cJSON_GetObjectItemCaseSensitive(known, item->string) : NULL;
		if (!old)
			return hd_error_set(err, HYDRO_E_INVALID, "options.%.64s: \"***\" keeps a secret, but there is none yet", item->string);
		cJSON *copy = cJSON_Duplicate(old, true);
		if (!copy || !cJSON_ReplaceItemViaPointer(options, item, copy))
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory");
	}
	return HYDRO_OK;
}
