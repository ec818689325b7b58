/* SPDX-License-Identifier: MIT */
#include "api/api.h"

#include "api/internal.h"
#include "base/clock.h"
#include "observe/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void make_metrics(struct hd_api *api)
{
	static const double bounds[] = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
	for (unsigned i = 0; i < HD_ARRAY_LEN(api->answers); i++) {
		char labels[32];
		(void)snprintf(labels, sizeof labels, "class=\"%uxx\"", i);
		api->answers[i] = hd_metrics_counter("hydro_http_answers_total", "Answers of the REST API by class of status", labels);
	}
	api->took = hd_metrics_histogram("hydro_http_seconds", "Time from a request's first line to its answer", "", bounds, HD_ARRAY_LEN(bounds));
}

int hd_api_new(const struct hd_api_deps *deps, struct hd_api **ret, struct hydro_error *err)
{
	struct hd_api *api = calloc(1, sizeof *api);
	if (!api)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the API");
	HD_ASSERT(deps->store && deps->auth && deps->points && deps->names);
	api->magic = HD_API_MAGIC;
	api->deps = *deps;
	(void)pthread_mutex_init(&api->watch_lock, NULL);
	make_metrics(api);
	*ret = api;
	return HYDRO_OK;
}

void hd_api_free(struct hd_api **api_ptr)
{
	struct hd_api *api = *api_ptr;
	if (!api)
		return;
	hd_api_watches_sweep(api, true);
	(void)pthread_mutex_destroy(&api->watch_lock);
	api->magic = 0;
	free(api);
	*api_ptr = NULL;
}

/* ---- hooks of the server -------------------------------------------------------------------------------------------------- */

static int authenticate(void *arg, const struct hd_http_credentials *credentials, struct hd_principal *ret, struct hydro_error *err)
{
	return hd_auth_check(HD_API(arg)->deps.auth, credentials->authorization, credentials->api_key, ret, err);
}

struct replay {
	const struct hd_http_request *req;
	struct hd_http_response *resp;
	bool other;
};

static void replay_kept(void *arg, const struct hd_store_kept *kept)
{
	struct replay *replay = arg;
	replay->other = memcmp(kept->fingerprint, replay->req->fingerprint, sizeof kept->fingerprint) != 0;
	if (replay->other)
		return;
	replay->resp->status = kept->status;
	(void)snprintf(replay->resp->etag, sizeof replay->resp->etag, "%s", kept->etag);
	(void)snprintf(replay->resp->location, sizeof replay->resp->location, "%s", kept->location);
	hd_buf_add(&replay->resp->body, kept->body ? kept->body : "", kept->body_len);
}

static int find_kept(void *arg, const struct hd_http_request *req, struct hd_http_response *resp, bool *ret_found, struct hydro_error *err)
{
	struct replay replay = {req, resp, false};
	int rc = hd_store_kept_get(HD_API(arg)->deps.store, req->principal.id, req->idempotency_key, replay_kept, &replay, err);
	*ret_found = rc == HYDRO_OK;
	if (rc == HYDRO_OK && replay.other)
		return hd_error_set(err, HYDRO_E_CONFLICT, "this Idempotency-Key was used for another request");
	return rc == HYDRO_E_NOTFOUND ? HYDRO_OK : rc;
}

struct keep {
	const struct hd_http_request *req;
	struct hd_http_response copy;
};

static int run_keep(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct keep *keep = arg;
	return hd_api_keep(db, keep->req, &keep->copy, err);
}

static int keep_answer(void *arg, const struct hd_http_request *req, const struct hd_http_response *resp, struct hydro_error *err)
{
	struct keep keep = {req, *resp};
	return hd_store_write(HD_API(arg)->deps.store, run_keep, NULL, &keep, err);
}

static void observe(void *arg, const struct hd_http_route *route, uint32_t status, int64_t took_ns)
{
	struct hd_api *api = HD_API(arg);
	(void)route;
	hd_counter_add(api->answers[HD_MIN(status / 100, 5u)], 1);
	hd_histogram_observe(api->took, (double)took_ns / 1e9);
}

void hd_api_serve(struct hd_api *api, struct hd_http_config *config)
{
	config->routes = hd_api_routes;
	config->route_count = hd_api_routes_count;
	config->arg = api;
	config->hooks = (struct hd_http_hooks){.arg = api, .authenticate = authenticate, .idempotency_find = find_kept, .idempotency_keep = keep_answer,
					       .observe = observe};
}
