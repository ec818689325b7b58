/* SPDX-License-Identifier: MIT */
/* What is checked before a byte of the body is taken. Each check either passes or marks the exchange as failed. */
#include "http/exchange.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool fail(struct hd_exchange *x, uint32_t status)
{
	hd_exchange_fail(x, status);
	return false;
}

/* A header's value, NULL if absent; one that is too long fails. */
static bool header(struct hd_exchange *x, const char *name, const char **ret)
{
	*ret = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
	if (!*ret || strlen(*ret) <= HD_HTTP_HEADER_BYTES_MAX)
		return true;
	hd_error_set(&x->err, HYDRO_E_LIMIT, "header %s is longer than %u bytes", name, HD_HTTP_HEADER_BYTES_MAX);
	return fail(x, 431);
}

static uint32_t method_number(struct hd_exchange *x, const char *name)
{
	if (strcmp(name, "HEAD") == 0) {
		x->req.head = true;
		name = "GET";
	}
	for (uint32_t i = 0; i < HD_METHODS; i++)
		if (strcmp(name, hd_http_method_name(i)) == 0)
			return i;
	return HD_METHODS;
}

static bool check_route(struct hd_exchange *x, const char *method_name)
{
	uint32_t method = method_number(x, method_name);
	if (hd_uri_parse(x->target, strlen(x->target), &x->uri, &x->err) != HYDRO_OK)
		return fail(x, x->err.code == HYDRO_E_LIMIT ? 414 : 0);
	struct hd_http_match match = hd_http_route_find(x->http->config.routes, x->http->config.route_count, method, &x->uri);
	x->allowed = match.allowed;
	x->req.route = match.route;
	if (match.route)
		return true;
	if (!match.allowed) {
		hd_error_set(&x->err, HYDRO_E_NOTFOUND, "there is nothing at this path");
		return fail(x, 404);
	}
	if (strcmp(method_name, "OPTIONS") == 0)
		return fail(x, 204);
	hd_error_set(&x->err, HYDRO_E_UNSUPPORTED, "method %.16s is not allowed here", method_name);
	return fail(x, 405);
}

static bool check_who(struct hd_exchange *x)
{
	struct hd_http_credentials credentials;
	const struct hd_http_hooks *hooks = &x->http->config.hooks;
	uint32_t roles = x->req.route->roles;
	if (roles == 0)
		return true;
	if (!header(x, "Authorization", &credentials.authorization) || !header(x, "X-API-Key", &credentials.api_key))
		return false;
	int rc = hooks->authenticate ? hooks->authenticate(hooks->arg, &credentials, &x->req.principal, &x->err)
				     : hd_error_set(&x->err, HYDRO_E_UNAUTHORIZED, "nobody can be authenticated here");
	if (rc != HYDRO_OK)
		return fail(x, 0);
	if (x->req.principal.role < 32 && (roles >> x->req.principal.role & 1))
		return true;
	const char *role = hd_auth_role_name(x->req.principal.role);
	hd_error_set(&x->err, HYDRO_E_DENIED, "role %s may not do this", role ? role : "?");
	return fail(x, 403);
}

/* Media types compare without parameters; "application/merge-patch+json" and the like are JSON too. */
static bool type_fits(const char *have, const char *wanted)
{
	size_t len = strcspn(have, "; \t");
	if (len == strlen(wanted) && strncasecmp(have, wanted, len) == 0)
		return true;
	return strcmp(wanted, "application/json") == 0 && len > 5 && strncasecmp(have, "application/", 12) == 0 &&
	       strncasecmp(have + len - 5, "+json", 5) == 0;
}

static bool check_body(struct hd_exchange *x)
{
	const struct hd_http_route *route = x->req.route;
	const char *length, *type, *coding;
	if (!header(x, "Content-Length", &length) || !header(x, "Content-Type", &type) || !header(x, "Transfer-Encoding", &coding))
		return false;
	unsigned long long bytes = length ? strtoull(length, NULL, 10) : 0;
	if (bytes > route->body_max) {
		if (route->body_max == 0)
			hd_error_set(&x->err, HYDRO_E_LIMIT, "this takes no body");
		else
			hd_error_set(&x->err, HYDRO_E_LIMIT, "the body is larger than %u bytes", route->body_max);
		return fail(x, 413);
	}
	const char *wanted = route->body_type ? route->body_type : "application/json";
	if (route->body_max > 0 && (bytes > 0 || coding) && (!type || !type_fits(type, wanted))) {
		hd_error_set(&x->err, HYDRO_E_INVALID, "a body of type %s is wanted", wanted);
		return fail(x, 415);
	}
	return true;
}

static bool check_headers(struct hd_exchange *x)
{
	struct hd_http_request *req = &x->req;
	if (!header(x, "If-Match", &req->if_match) || !header(x, "If-None-Match", &req->if_none_match) || !header(x, "Accept", &req->accept) ||
	    !header(x, "Idempotency-Key", &req->idempotency_key))
		return false;
	if (!(req->route->flags & HD_ROUTE_IDEMPOTENT))
		req->idempotency_key = NULL;
	size_t len = req->idempotency_key ? strlen(req->idempotency_key) : 1;
	if (len > 0 && len <= HD_HTTP_IDEMPOTENCY_KEY_BYTES)
		return true;
	hd_error_set(&x->err, HYDRO_E_INVALID, "Idempotency-Key must have 1 to %u characters", HD_HTTP_IDEMPOTENCY_KEY_BYTES);
	return fail(x, 0);
}

void hd_gate_check(struct hd_exchange *x, const char *method)
{
	if (!check_route(x, method) || !check_who(x) || !check_headers(x))
		return;
	if (hd_http_params_take(x->req.route, &x->uri, x->req.values, &x->err) != HYDRO_OK)
		(void)fail(x, 0);
	else
		(void)check_body(x);
}
