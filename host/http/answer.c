/* SPDX-License-Identifier: MIT */
/* What handlers use of request and response, and the problem document. */
#include "http/http.h"

#include <stdio.h>
#include <string.h>

const struct hd_http_value *hd_http_param(const struct hd_http_request *req, const char *name)
{
	for (uint32_t i = 0; i < HD_ROUTE_PARAMS_MAX && req->route->params[i].name; i++)
		if (strcmp(req->route->params[i].name, name) == 0)
			return &req->values[i];
	HD_ASSERT(!"a parameter of this route");
	return NULL;
}

void hd_http_set_version(struct hd_http_response *resp, uint64_t version)
{
	(void)snprintf(resp->etag, sizeof resp->etag, "\"%llu\"", (unsigned long long)version);
}

/* Takes one entity tag from a list; false when it is not one. */
static bool next_tag(const char **at, const char **ret, size_t *ret_len)
{
	*at += strspn(*at, " \t,");
	if (**at != '"')
		return false;
	const char *end = strchr(*at + 1, '"');
	if (!end)
		return false;
	*ret = *at;
	*ret_len = (size_t)(end + 1 - *at);
	*at = end + 1;
	*at += strspn(*at, " \t,");
	return true;
}

int hd_http_check_version(const struct hd_http_request *req, uint64_t version, struct hydro_error *err)
{
	char mine[HD_HTTP_ETAG_BYTES];
	const char *at = req->if_match, *tag;
	size_t len;
	if (!at || strcmp(at, "*") == 0)
		return HYDRO_OK;
	(void)snprintf(mine, sizeof mine, "\"%llu\"", (unsigned long long)version);
	do {
		if (!next_tag(&at, &tag, &len))
			return hd_error_set(err, HYDRO_E_INVALID, "If-Match holds no strong entity tag");
		if (len == strlen(mine) && memcmp(tag, mine, len) == 0)
			return HYDRO_OK;
	} while (*at);
	return hd_error_set(err, HYDRO_E_STALE, "it is at version %llu now; read it again before changing it", (unsigned long long)version);
}

void hd_http_problem_add(struct hd_http_response *resp, const char *what, const char *why)
{
	if (resp->problems.len)
		hd_buf_add_char(&resp->problems, ',');
	hd_buf_add_text(&resp->problems, "{\"field\":");
	hd_buf_add_json(&resp->problems, what, strlen(what));
	hd_buf_add_text(&resp->problems, ",\"detail\":");
	hd_buf_add_json(&resp->problems, why, strlen(why));
	hd_buf_add_char(&resp->problems, '}');
}

void hd_http_problem_write(struct hd_buf *ret, const struct hydro_error *err, uint32_t status, const char *instance, const struct hd_buf *problems)
{
	const struct hd_error_info *info = hd_error_info(err->code);
	hd_buf_printf(ret, "{\"type\":\"urn:hydro:problem:%s\",\"title\":\"%s\",\"status\":%u,\"code\":\"%s\",\"detail\":", info->slug, info->title,
		      status, info->name);
	hd_buf_add_json(ret, err->text, strnlen(err->text, sizeof err->text));
	hd_buf_add_text(ret, ",\"instance\":");
	hd_buf_add_json(ret, instance, strlen(instance));
	if (problems && problems->len) {
		hd_buf_add_text(ret, ",\"errors\":[");
		hd_buf_add(ret, problems->data, problems->len);
		hd_buf_add_char(ret, ']');
	}
	hd_buf_add_text(ret, "}");
}
