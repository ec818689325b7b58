/* SPDX-License-Identifier: MIT */
/* Inside of the api folder: its shape, what handlers share, and the handlers themselves. */
#ifndef HD_API_INTERNAL_H
#define HD_API_INTERNAL_H

#include "api/api.h"
#include "api/schema.h"
#include "base/json.h"
#include "store/keys.h"

#include <pthread.h>

#define HD_API_MAGIC 0x49504148u

struct hd_watch;
struct hd_counter;
struct hd_histogram;

struct hd_api {
	uint32_t magic;
	struct hd_api_deps deps;
	struct hd_counter *answers[6]; /* by class of status */
	struct hd_histogram *took;
	pthread_mutex_t watch_lock; /* guards: watches; taken before a stream's lock */
	struct hd_watch *watches;
	uint32_t watch_count; /* atomic; changed under watch_lock */
};

extern const struct hd_http_route hd_api_routes[];
extern const size_t hd_api_routes_count;

#define HD_API(arg) HD_CAST(struct hd_api, HD_API_MAGIC, arg)
/* In a handler: leaves with 501 when this daemon has no such part. */
#define HD_NEED(api, function) \
	do { \
		if (!(api)->deps.function) \
			return hd_error_set(err, HYDRO_E_UNSUPPORTED, "this daemon runs without that part"); \
	} while (0)

/* ---- shared -------------------------------------------------------------------------------------------------------------- */

/* Index of the point of the path's {id}; deleted ones are not found. */
int hd_api_find_point(struct hd_api *api, const struct hd_http_request *req, uint32_t *ret, struct hydro_error *err);
/* A list's cursor: "after" as a number, from text; HYDRO_E_INVALID. */
int hd_api_cursor(const struct hd_http_value *value, int64_t *ret, struct hydro_error *err);
/* Ends a page: "next" and "total" behind the items. */
void hd_api_page_end(struct hd_buf *ret, const struct hd_store_page *page, bool with_total);
/* In a write: keeps the answer under the request's Idempotency-Key, if it has one. [store] */
int hd_api_keep(struct hd_db *db, const struct hd_http_request *req, struct hd_http_response *resp, struct hydro_error *err);
/* RFC 7396: members of patch replace those of target; null removes. */
void hd_json_merge(cJSON *target, const cJSON *patch);
/* Replaces each "***" in options by what `known` has there. HYDRO_E_INVALID when it has nothing. */
int hd_json_restore_secrets(cJSON *options, const cJSON *known, struct hydro_error *err);
/* One measurement as JSON. `only` (NULL: all) is a zero-ended list of metrics. */
void hd_json_sample(struct hd_api *api, struct hd_buf *ret, const struct hd_sample *sample, const uint32_t *only, bool with_raw);
void hd_json_latest(struct hd_api *api, struct hd_buf *ret, const struct hd_latest_value *latest);
/* Names of HD_SAMPLE_* bits, NULL behind the last. */
const char *hd_sample_note(uint32_t i, uint16_t *ret_bit);
/* Metrics of "flow,level" as a zero-ended list; HYDRO_E_INVALID for an unknown one. NULL text: *ret[0] = 0. */
int hd_api_metrics(struct hd_api *api, const char *text, uint32_t ret[HD_METRICS_PER_SAMPLE_MAX + 1], struct hydro_error *err);
/* Ends the watches of all clients that are gone, or all. */
void hd_api_watches_sweep(struct hd_api *api, bool all);

/* ---- handlers -------------------------------------------------------------------------------------------------------------- */

#define HD_HANDLER(name) \
	int hd_api_##name(void *arg, const struct hd_http_request *req, struct hd_http_response *resp, struct hydro_error *err)

HD_HANDLER(page);
HD_HANDLER(health);
HD_HANDLER(livez);
HD_HANDLER(readyz);
HD_HANDLER(metrics_get);
HD_HANDLER(openapi_get);
HD_HANDLER(providers_get);
HD_HANDLER(provider_status);
HD_HANDLER(provider_collect);
HD_HANDLER(points_list);
HD_HANDLER(points_create);
HD_HANDLER(points_import);
HD_HANDLER(point_get);
HD_HANDLER(point_patch);
HD_HANDLER(point_config);
HD_HANDLER(point_delete);
HD_HANDLER(point_readings);
HD_HANDLER(point_collect);
HD_HANDLER(accounts_list);
HD_HANDLER(accounts_create);
HD_HANDLER(accounts_import);
HD_HANDLER(account_get);
HD_HANDLER(account_patch);
HD_HANDLER(account_delete);
HD_HANDLER(keys_list);
HD_HANDLER(keys_create);
HD_HANDLER(key_revoke);
HD_HANDLER(history);
HD_HANDLER(realtime);
HD_HANDLER(aggregates);
HD_HANDLER(plugins_list);
HD_HANDLER(plugins_scan);
HD_HANDLER(instances_list);
HD_HANDLER(config_get);
HD_HANDLER(pipelines_list);
HD_HANDLER(pipelines_reload);
HD_HANDLER(pipeline_get);
HD_HANDLER(pipeline_version_get);
HD_HANDLER(pipeline_put);
HD_HANDLER(pipeline_reload);
HD_HANDLER(pipeline_reprocess);
HD_HANDLER(pipeline_eval);
HD_HANDLER(reprocess_state);
HD_HANDLER(reprocess_cancel);
HD_HANDLER(pipeline_check);
HD_HANDLER(pipeline_versions);
HD_HANDLER(pipeline_rollback);
HD_HANDLER(pipeline_dry_run);

#endif
