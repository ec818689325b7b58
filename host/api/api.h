/* SPDX-License-Identifier: MIT */
/*
 * The REST API: the route table and its handlers. Store, auth, points and names are used directly; every other part of the
 * daemon is reached through the functions of hd_api_deps, so that a role without a part (or a test) leaves its function
 * NULL: those routes then answer 501. wire.h fills them from the real parts.
 */
#ifndef HD_API_API_H
#define HD_API_API_H

#include "auth/auth.h"
#include "history/history.h"
#include "http/http.h"
#include "model/batch.h"
#include "model/names.h"
#include "pipeline/latest.h"
#include "pipeline/scripts.h"
#include "store/import.h"

struct hd_adapters;
struct hd_api;
struct hd_filing;
struct hd_ledger;

#define HD_HEALTH_OK 0u
#define HD_HEALTH_DEGRADED 1u /* goes on, something needs a look */
#define HD_HEALTH_FAILING 2u  /* does not do its work */

/* What /health says; the worst state of its reasons is the whole's. */
struct hd_health {
	uint32_t state;
	struct hd_buf reasons; /* comma-separated JSON objects */
};
/* Adds a reason: the part ("journal"), and why in words. */
void hd_health_add(struct hd_health *health, uint32_t state, const char *part, const char *why);

/* Functions write JSON (one value) to ret unless said otherwise. All are called on http workers and may wait, but for those
 * marked [inline], which must not block. NULL = this daemon has no such part. */
struct hd_api_deps {
	const char *version;
	struct hd_store *store;
	struct hd_auth *auth;
	struct hd_points *points;
	struct hd_names *names;
	struct hd_store_checks checks;
	/* Filing; all three or none. */
	struct hd_filing *filing;
	struct hd_ledger *ledger;
	struct hd_adapters *adapters;

	void *arg; /* first argument of all below */
	void (*health)(void *arg, struct hd_health *health);          /* [inline] */
	int (*ready)(void *arg, struct hydro_error *err);             /* [inline] HYDRO_OK, or why not yet */
	int (*providers)(void *arg, struct hd_buf *ret, struct hydro_error *err); /* array */
	int (*provider_status)(void *arg, const char *provider, struct hd_buf *ret, struct hydro_error *err);
	int (*collect_provider)(void *arg, const char *provider, uint32_t *ret_points, struct hydro_error *err);
	int (*collect_point)(void *arg, uint32_t point, struct hydro_error *err);
	int (*collect_dry)(void *arg, uint32_t point, struct hd_buf *ret, struct hydro_error *err);
	void (*account_changed)(void *arg, uint32_t account);
	/* Readings entered by hand; returns once they are on disk. */
	int (*feed)(void *arg, uint32_t point, const hydro_raw *raws, uint32_t count, uint32_t *ret_accepted, uint32_t *ret_dropped,
		    struct hydro_error *err);
	int (*history)(void *arg, const struct hd_history_query *query, hd_history_row_fn row, void *row_arg, struct hydro_error *err);
	int (*aggregates)(void *arg, const struct hd_history_aggregate_query *query, hd_history_aggregate_fn row, void *row_arg, struct hydro_error *err);
	bool (*latest)(void *arg, uint32_t point, struct hd_latest_value *ret); /* false: none yet */
	int (*plugins)(void *arg, struct hd_buf *ret, struct hydro_error *err);   /* array */
	int (*plugins_scan)(void *arg, struct hydro_error *err);
	int (*instances)(void *arg, struct hd_buf *ret, struct hydro_error *err); /* array */
	int (*pipelines)(void *arg, struct hd_buf *ret, struct hydro_error *err); /* array */
	/* `text` is a candidate's source, NULL (len 0): the file as it is on disk. */
	int (*pipeline_check)(void *arg, const char *name, const char *text, size_t len, struct hd_buf *ret, struct hydro_error *err);
	/* Source, hash, generation and number of the live script (version 0) or a kept one. */
	int (*pipeline_get)(void *arg, const char *name, uint32_t version, struct hd_buf *ret, char ret_hash[17], struct hydro_error *err);
	/* The three that change what runs may write an answer with "diagnostics" beside their error; name NULL: all that changed on disk. */
	int (*pipeline_put)(void *arg, const char *name, const char *text, size_t len, const struct hd_scripts_change *change, struct hd_buf *ret,
			    struct hydro_error *err);
	int (*pipeline_reload)(void *arg, const char *name, const struct hd_scripts_change *change, struct hd_buf *ret, struct hydro_error *err);
	int (*pipeline_rollback)(void *arg, const char *name, uint32_t version, const struct hd_scripts_change *change, struct hd_buf *ret,
				 struct hydro_error *err);
	int (*pipeline_versions)(void *arg, const char *name, struct hd_buf *ret, struct hydro_error *err); /* array */
	/* A past window of a point through the candidate (as above): what would differ. Stores nothing. */
	int (*pipeline_dry_run)(void *arg, const char *name, const char *text, size_t len, uint32_t point, int64_t from_ms, int64_t to_ms, struct hd_buf *ret,
				struct hydro_error *err);
	/* Raw values through the candidate, step by step. Stores nothing. */
	int (*pipeline_dry_reading)(void *arg, const char *name, const char *text, size_t len, uint32_t point, const hydro_raw *raws, uint32_t count,
				    struct hd_buf *ret, struct hydro_error *err);
	/* The readings of a window once more through the live script: what comes out differently is on disk as revisions. */
	int (*pipeline_reprocess)(void *arg, const char *name, uint32_t point, int64_t from_ms, int64_t to_ms, struct hd_buf *ret, struct hydro_error *err);
	/* The same of all the pipeline's points, on a thread of its own: begun, looked at, ended. */
	int (*reprocess_start)(void *arg, const char *name, int64_t from_ms, int64_t to_ms, struct hd_buf *ret, struct hydro_error *err);
	int (*reprocess_state)(void *arg, const char *name, struct hd_buf *ret, struct hydro_error *err);
	int (*reprocess_cancel)(void *arg, const char *name, struct hd_buf *ret, struct hydro_error *err);
	/* A line of Lua or steps over a point's recent measurements. Stores nothing. */
	int (*pipeline_eval)(void *arg, uint32_t point, const struct hd_scripts_eval *what, struct hd_buf *ret, struct hydro_error *err);
	int (*config)(void *arg, struct hd_buf *ret, struct hydro_error *err);
};

/* deps is copied; what it points to outlives the API. [control] */
int hd_api_new(const struct hd_api_deps *deps, struct hd_api **ret, struct hydro_error *err);
/* After the server has stopped and hd_api_on_batch can no longer be called. [control] */
void hd_api_free(struct hd_api **api);
/* Fills routes, handler argument and hooks of a server's configuration; the rest stays as it is. */
void hd_api_serve(struct hd_api *api, struct hd_http_config *config);
/* A listener for hd_latest_listen: sends synced samples to the clients that watch their points. arg is the api. [journal] */
void hd_api_on_batch(void *arg, const struct hd_batch *batch);
/* The OpenAPI 3.1 document of all routes. [any] */
void hd_api_openapi(const struct hd_api *api, struct hd_buf *ret);

#endif
