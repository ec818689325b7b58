/* SPDX-License-Identifier: MIT */
#include "api/internal.h"

#include <sodium.h>

static void print_key(struct hd_buf *ret, const struct hd_auth_key *key, const char *secret)
{
	hd_buf_add_char(ret, '{');
	hd_json_int(ret, "id", key->id);
	hd_json_text(ret, "name", key->name);
	hd_json_text(ret, "role", hd_auth_role_name(key->role));
	if (secret)
		hd_json_text(ret, "key", secret);
	hd_json_time(ret, "created_at", key->created_ms);
	hd_json_time(ret, "last_used_at", key->last_used_ms);
	hd_json_time(ret, "revoked_at", key->revoked_ms);
	hd_buf_add_char(ret, '}');
}

static void add_item(void *arg, const struct hd_auth_key *key)
{
	struct hd_buf *ret = arg;
	if (ret->data[ret->len - 1] != '[')
		hd_buf_add_char(ret, ',');
	print_key(ret, key, NULL);
}

HD_HANDLER(keys_list)
{
	(void)req, (void)err;
	hd_buf_add_text(&resp->body, "{\"items\":[");
	hd_auth_keys_list(HD_API(arg)->deps.auth, add_item, &resp->body);
	hd_buf_add_text(&resp->body, "]}");
	return HYDRO_OK;
}

HD_HANDLER(keys_create)
{
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	struct hd_auth_key key;
	char secret[HD_AUTH_KEY_BYTES];
	int rc = hd_body_parse(req, &hd_schema_api_key, false, resp, &body, err);
	if (rc == HYDRO_OK)
		rc = hd_auth_key_create(HD_API(arg)->deps.auth, hd_body_text(body, "name"), hd_auth_role_by_name(hd_body_text(body, "role")), secret, &key, err);
	if (rc == HYDRO_OK)
		print_key(&resp->body, &key, secret);
	sodium_memzero(secret, sizeof secret);
	return rc;
}

HD_HANDLER(key_revoke)
{
	(void)resp;
	return hd_auth_key_revoke(HD_API(arg)->deps.auth, hd_http_param(req, "key")->integer, err);
}
