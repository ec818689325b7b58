/* SPDX-License-Identifier: MIT */
/*
 * The route table. One row says everything about a route; dispatch, checks of parameters, roles, "method not allowed" and
 * the OpenAPI document all come from it.
 */
#ifndef HD_HTTP_ROUTE_H
#define HD_HTTP_ROUTE_H

#include "auth/role.h"
#include "base/uuid.h"
#include "http/uri.h"

#define HD_METHOD_GET 0u
#define HD_METHOD_POST 1u
#define HD_METHOD_PUT 2u
#define HD_METHOD_PATCH 3u
#define HD_METHOD_DELETE 4u
#define HD_METHODS 5u

#define HD_PARAM_TEXT 0u   /* at most `max` bytes (0: 256) */
#define HD_PARAM_INT 1u    /* min … max */
#define HD_PARAM_BOOL 2u   /* true, false, 1, 0 */
#define HD_PARAM_TIME 3u   /* RFC 3339 or ms since 1970; arrives as ms */
#define HD_PARAM_UUID 4u
#define HD_PARAM_CHOICE 5u /* one of "a|b|c"; its index in `integer` */

#define HD_IN_QUERY 0u
#define HD_IN_PATH 1u

#define HD_ROUTE_PARAMS_MAX 12u

struct hd_http_param {
	const char *name;
	uint32_t in, type;
	const char *default_value; /* NULL: none */
	int64_t min, max;
	const char *choices;
	const char *doc;
};

struct hd_http_value {
	bool is_set; /* given, or a default is there */
	const char *text;
	int64_t integer;
	struct hd_uuid uuid;
};

#define HD_ROUTE_INLINE 1u      /* never blocks: runs on the event loop's own thread */
#define HD_ROUTE_IDEMPOTENT 2u  /* takes Idempotency-Key; never together with INLINE */
#define HD_ROUTE_VERSIONED 4u   /* answers with ETag, takes If-Match */
#define HD_ROUTE_BODY_OPTIONAL 8u
#define HD_ROUTE_STREAM 16u     /* may answer with text/event-stream */
#define HD_ROUTE_SECRET_BODY 32u /* what it answers or takes is never kept (keys shown once) */

struct hd_http_request;
struct hd_http_response;

/* HYDRO_OK with *resp filled, or an error that becomes problem+json. On an http worker, or on the event loop if INLINE. */
typedef int (*hd_http_handler)(void *arg, const struct hd_http_request *req, struct hd_http_response *resp, struct hydro_error *err);

struct hd_http_route {
	uint32_t method;
	uint32_t roles; /* HD_ROLE_BIT(…) of who may; 0 = open to all, without credentials */
	uint32_t flags;
	uint32_t body_max;      /* bytes; 0 = takes no body */
	const char *path;       /* "/api/v1/points/{id}" */
	const char *id;         /* operationId */
	const char *tag;
	const char *summary;
	const char *body_type;  /* media type taken; NULL = application/json */
	const char *body_schema; /* name in components/schemas, NULL = any */
	const char *answer_type; /* NULL = application/json */
	const char *answer_schema;
	uint32_t answer_status; /* 0 = 200 */
	hd_http_handler handle;
	struct hd_http_param params[HD_ROUTE_PARAMS_MAX]; /* ends at the first without name */
};

struct hd_http_match {
	const struct hd_http_route *route; /* NULL: none with this method */
	uint32_t allowed;                  /* bits 1 << HD_METHOD_* of the routes with this path; 0 = no such path */
};

/* "GET" … */
const char *hd_http_method_name(uint32_t method);
/* Finds the row of a path; a literal segment goes before a {parameter}. [any] */
struct hd_http_match hd_http_route_find(const struct hd_http_route *routes, size_t count, uint32_t method, const struct hd_uri *uri);
/*
 * Takes the parameters of path and query into ret[i], by row of route->params. Unknown, repeated or missing ones and values
 * that do not fit are HYDRO_E_INVALID with the parameter's name. Texts point into `uri`. [any]
 */
int hd_http_params_take(const struct hd_http_route *route, const struct hd_uri *uri, struct hd_http_value ret[HD_ROUTE_PARAMS_MAX],
			struct hydro_error *err);

#endif
