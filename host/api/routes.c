/* SPDX-License-Identifier: MIT */
/* The route table. A new route is a row here and a handler; dispatch, checks and OpenAPI follow. */
#include "api/internal.h"

#define JSON_BYTES (256u << 10)
#define CSV_BYTES (1u << 30)
#define SCRIPT_BYTES (1u << 20)
#define ALL_ROLES (HD_ROLES_READ | HD_ROLE_BIT(CLIENT))

#define P_ID {.name = "id", .in = HD_IN_PATH, .type = HD_PARAM_UUID, .doc = "UUID"}
#define P_NAME {.name = "name", .in = HD_IN_PATH, .type = HD_PARAM_TEXT, .max = 128, .doc = "name of the pipeline"}
#define P_AUTHOR {.name = "author", .type = HD_PARAM_TEXT, .max = 128, .doc = "who makes the change; default: the key's name"}
#define P_REASON {.name = "reason", .type = HD_PARAM_TEXT, .max = 500, .doc = "why, kept with the version"}
#define P_SHARE {.name = "share", .type = HD_PARAM_INT, .min = 0, .max = 100, .default_value = "0", .doc = "percent of the points that get it, a canary; 0: all"}
#define P_PROVIDER_PATH {.name = "provider", .in = HD_IN_PATH, .type = HD_PARAM_TEXT, .max = 64, .doc = "name of the provider instance"}
#define P_LIMIT(most, preset) {.name = "limit", .type = HD_PARAM_INT, .min = 1, .max = (most), .default_value = (preset), .doc = "rows of a page at most"}
#define P_CURSOR {.name = "cursor", .type = HD_PARAM_TEXT, .max = 64, .doc = "`next` of the page before"}
#define P_FROM {.name = "from", .type = HD_PARAM_TIME, .doc = "inclusive; default: 30 days before `to`"}
#define P_TO {.name = "to", .type = HD_PARAM_TIME, .doc = "exclusive; default: now"}
#define P_METRICS {.name = "metrics", .type = HD_PARAM_TEXT, .max = 1024, .doc = "only these, comma-separated"}
#define P_FORMAT {.name = "format", .type = HD_PARAM_CHOICE, .choices = "json|csv", .default_value = "json", .doc = "form of the answer"}
#define P_SKIP_BAD {.name = "skip_bad", .type = HD_PARAM_BOOL, .default_value = "false", .doc = "store the good lines although others do not fit"}

const struct hd_http_route hd_api_routes[] = {
	{.method = HD_METHOD_GET, .path = "/", .id = "page", .tag = "health", .summary = "A small page for people", .flags = HD_ROUTE_INLINE,
	 .answer_type = "text/html; charset=utf-8", .handle = hd_api_page},
	{.method = HD_METHOD_GET, .path = "/health", .id = "health", .tag = "health", .summary = "How the daemon is, with reasons", .flags = HD_ROUTE_INLINE,
	 .answer_schema = "Health", .handle = hd_api_health},
	{.method = HD_METHOD_GET, .path = "/livez", .id = "livez", .tag = "health", .summary = "The process answers", .flags = HD_ROUTE_INLINE,
	 .handle = hd_api_livez},
	{.method = HD_METHOD_GET, .path = "/readyz", .id = "readyz", .tag = "health", .summary = "Ready to work, or 503", .flags = HD_ROUTE_INLINE,
	 .handle = hd_api_readyz},
	{.method = HD_METHOD_GET, .path = "/metrics", .id = "metrics", .tag = "health", .summary = "Metrics in Prometheus' text format",
	 .roles = HD_ROLES_READ, .answer_type = "text/plain; version=0.0.4; charset=utf-8", .handle = hd_api_metrics_get},
	{.method = HD_METHOD_GET, .path = "/openapi.json", .id = "openapi", .tag = "health", .summary = "This document", .roles = ALL_ROLES,
	 .handle = hd_api_openapi_get},

	{.method = HD_METHOD_GET, .path = "/providers", .id = "listProviders", .tag = "collector", .summary = "Provider instances with their health",
	 .roles = HD_ROLES_READ, .handle = hd_api_providers_get},
	{.method = HD_METHOD_GET, .path = "/status/{provider}", .id = "providerStatus", .tag = "collector", .summary = "One provider's health and counters",
	 .roles = HD_ROLES_READ, .handle = hd_api_provider_status, .params = {P_PROVIDER_PATH}},
	{.method = HD_METHOD_POST, .path = "/collect/{provider}", .id = "collectProvider", .tag = "collector",
	 .summary = "Makes all active points of a provider due now", .roles = HD_ROLES_WRITE, .flags = HD_ROUTE_IDEMPOTENT | HD_ROUTE_BODY_OPTIONAL, .body_max = 1024,
	 .answer_status = 202, .answer_schema = "Collected", .handle = hd_api_provider_collect, .params = {P_PROVIDER_PATH}},

	{.method = HD_METHOD_GET, .path = "/api/v1/points/", .id = "listPoints", .tag = "points", .summary = "Points in pages", .roles = HD_ROLES_READ,
	 .answer_schema = "Points", .handle = hd_api_points_list,
	 .params = {P_LIMIT(HD_STORE_PAGE_MAX, "100"), P_CURSOR,
		    {.name = "provider", .type = HD_PARAM_TEXT, .doc = "of this provider instance"},
		    {.name = "pipeline", .type = HD_PARAM_TEXT, .doc = "through this pipeline"},
		    {.name = "active", .type = HD_PARAM_BOOL, .doc = "polled or not"},
		    {.name = "name", .type = HD_PARAM_TEXT, .max = 200, .doc = "names that begin so"},
		    {.name = "total", .type = HD_PARAM_BOOL, .default_value = "true", .doc = "count all rows that pass"}}},
	{.method = HD_METHOD_POST, .path = "/api/v1/points/", .id = "createPoint", .tag = "points", .summary = "A new point", .roles = HD_ROLES_WRITE,
	 .flags = HD_ROUTE_IDEMPOTENT | HD_ROUTE_VERSIONED, .body_max = JSON_BYTES, .body_schema = "Point", .answer_status = 201, .answer_schema = "Point",
	 .handle = hd_api_points_create},
	{.method = HD_METHOD_POST, .path = "/api/v1/points/import", .id = "importPoints", .tag = "points", .summary = "Points from CSV, with errors by line",
	 .roles = HD_ROLES_WRITE, .flags = HD_ROUTE_IDEMPOTENT, .body_max = CSV_BYTES, .body_type = "text/csv", .answer_schema = "ImportReport",
	 .handle = hd_api_points_import, .params = {P_SKIP_BAD}},
	{.method = HD_METHOD_GET, .path = "/api/v1/points/{id}", .id = "getPoint", .tag = "points", .summary = "One point", .roles = HD_ROLES_READ,
	 .flags = HD_ROUTE_VERSIONED, .answer_schema = "Point", .handle = hd_api_point_get, .params = {P_ID}},
	{.method = HD_METHOD_PATCH, .path = "/api/v1/points/{id}", .id = "patchPoint", .tag = "points", .summary = "Changes a point (RFC 7396 merge patch), live",
	 .roles = HD_ROLES_WRITE, .flags = HD_ROUTE_IDEMPOTENT | HD_ROUTE_VERSIONED, .body_max = JSON_BYTES, .body_schema = "Point", .answer_schema = "Point",
	 .handle = hd_api_point_patch, .params = {P_ID}},
	{.method = HD_METHOD_PUT, .path = "/api/v1/points/{id}/config", .id = "putPointConfig", .tag = "points", .summary = "Replaces a point's configuration, live",
	 .roles = HD_ROLES_WRITE, .flags = HD_ROUTE_IDEMPOTENT | HD_ROUTE_VERSIONED, .body_max = JSON_BYTES, .body_schema = "PointConfig", .answer_schema = "Point",
	 .handle = hd_api_point_config, .params = {P_ID}},
	{.method = HD_METHOD_DELETE, .path = "/api/v1/points/{id}", .id = "deletePoint", .tag = "points", .summary = "Deletes a point; its data stays",
	 .roles = HD_ROLES_WRITE, .flags = HD_ROUTE_IDEMPOTENT | HD_ROUTE_VERSIONED, .answer_status = 204, .handle = hd_api_point_delete, .params = {P_ID}},
	{.method = HD_METHOD_POST, .path = "/api/v1/points/{id}/readings", .id = "enterReadings", .tag = "points", .summary = "Readings by hand; answered once on disk",
	 .roles = HD_ROLES_ENTER, .flags = HD_ROUTE_IDEMPOTENT, .body_max = JSON_BYTES, .body_schema = "Readings", .answer_schema = "Accepted",
	 .handle = hd_api_point_readings, .params = {P_ID}},
	{.method = HD_METHOD_POST, .path = "/api/v1/points/{id}/collect", .id = "collectPoint", .tag = "points",
	 .summary = "Polls a point now; dry: shows request, answer and each step, and stores nothing", .roles = HD_ROLES_WRITE,
	 .flags = HD_ROUTE_BODY_OPTIONAL, .body_max = 1024, .handle = hd_api_point_collect,
	 .params = {P_ID, {.name = "dry", .type = HD_PARAM_BOOL, .default_value = "false", .doc = "store nothing"}}},

	{.method = HD_METHOD_GET, .path = "/api/v1/accounts/", .id = "listAccounts", .tag = "accounts", .summary = "Accounts in pages, secrets hidden",
	 .roles = HD_ROLES_WRITE, .answer_schema = "Accounts", .handle = hd_api_accounts_list,
	 .params = {P_LIMIT(HD_STORE_PAGE_MAX, "100"), P_CURSOR, {.name = "provider", .type = HD_PARAM_TEXT, .doc = "of this provider instance"}}},
	{.method = HD_METHOD_POST, .path = "/api/v1/accounts/", .id = "createAccount", .tag = "accounts", .summary = "A new account", .roles = HD_ROLES_WRITE,
	 .flags = HD_ROUTE_IDEMPOTENT | HD_ROUTE_VERSIONED, .body_max = JSON_BYTES, .body_schema = "Account", .answer_status = 201, .answer_schema = "Account",
	 .handle = hd_api_accounts_create},
	{.method = HD_METHOD_POST, .path = "/api/v1/accounts/import", .id = "importAccounts", .tag = "accounts", .summary = "Accounts from CSV, with errors by line",
	 .roles = HD_ROLES_WRITE, .flags = HD_ROUTE_IDEMPOTENT, .body_max = 64u << 20, .body_type = "text/csv", .answer_schema = "ImportReport",
	 .handle = hd_api_accounts_import, .params = {P_SKIP_BAD}},
	{.method = HD_METHOD_GET, .path = "/api/v1/accounts/{id}", .id = "getAccount", .tag = "accounts", .summary = "One account, secrets hidden",
	 .roles = HD_ROLES_WRITE, .flags = HD_ROUTE_VERSIONED, .answer_schema = "Account", .handle = hd_api_account_get, .params = {P_ID}},
	{.method = HD_METHOD_PATCH, .path = "/api/v1/accounts/{id}", .id = "patchAccount", .tag = "accounts", .summary = "Changes an account (merge patch), live",
	 .roles = HD_ROLES_WRITE, .flags = HD_ROUTE_IDEMPOTENT | HD_ROUTE_VERSIONED, .body_max = JSON_BYTES, .body_schema = "Account", .answer_schema = "Account",
	 .handle = hd_api_account_patch, .params = {P_ID}},
	{.method = HD_METHOD_DELETE, .path = "/api/v1/accounts/{id}", .id = "deleteAccount", .tag = "accounts", .summary = "Deletes an account that no point uses",
	 .roles = HD_ROLES_WRITE, .flags = HD_ROUTE_VERSIONED, .answer_status = 204, .handle = hd_api_account_delete, .params = {P_ID}},

	{.method = HD_METHOD_GET, .path = "/api/v1/api-keys/", .id = "listApiKeys", .tag = "keys", .summary = "All keys, without their secrets",
	 .roles = HD_ROLES_ADMIN, .handle = hd_api_keys_list},
	{.method = HD_METHOD_POST, .path = "/api/v1/api-keys/", .id = "createApiKey", .tag = "keys", .summary = "A new key, shown this once",
	 .roles = HD_ROLES_ADMIN, .flags = HD_ROUTE_SECRET_BODY, .body_max = 4096, .body_schema = "ApiKey", .answer_status = 201, .answer_schema = "ApiKey",
	 .handle = hd_api_keys_create},
	{.method = HD_METHOD_DELETE, .path = "/api/v1/api-keys/{key}", .id = "revokeApiKey", .tag = "keys", .summary = "Revokes a key at once",
	 .roles = HD_ROLES_ADMIN, .answer_status = 204, .handle = hd_api_key_revoke,
	 .params = {{.name = "key", .in = HD_IN_PATH, .type = HD_PARAM_INT, .min = 1, .max = INT64_MAX, .doc = "number of the key"}}},

	{.method = HD_METHOD_GET, .path = "/api/v1/analytics/points/{id}/history", .id = "history", .tag = "analytics", .summary = "Measurements of a point in pages",
	 .roles = HD_ROLES_READ, .answer_schema = "History", .handle = hd_api_history,
	 .params = {P_ID, P_FROM, P_TO, P_LIMIT(10000, "1000"), P_CURSOR, P_METRICS, P_FORMAT,
		    {.name = "order", .type = HD_PARAM_CHOICE, .choices = "asc|desc", .default_value = "asc", .doc = "by time"},
		    {.name = "raw", .type = HD_PARAM_BOOL, .default_value = "false", .doc = "raw values too"},
		    {.name = "revisions", .type = HD_PARAM_BOOL, .default_value = "false", .doc = "every revision, not the highest alone"}}},
	{.method = HD_METHOD_GET, .path = "/api/v1/analytics/points/{id}/realtime", .id = "realtime", .tag = "analytics",
	 .summary = "Newest measurement; a stream with Accept: text/event-stream", .roles = HD_ROLES_READ, .flags = HD_ROUTE_STREAM,
	 .answer_schema = "Measurement", .handle = hd_api_realtime, .params = {P_ID}},
	{.method = HD_METHOD_GET, .path = "/api/v1/analytics/points/{id}/aggregates", .id = "aggregates", .tag = "analytics",
	 .summary = "Aggregates by hour, day or month", .roles = HD_ROLES_READ, .answer_schema = "Aggregates", .handle = hd_api_aggregates,
	 .params = {P_ID, P_FROM, P_TO, P_METRICS, P_FORMAT,
		    {.name = "period", .type = HD_PARAM_CHOICE, .choices = "hour|day|month", .default_value = "day", .doc = "length of a period"},
		    {.name = "zone", .type = HD_PARAM_TEXT, .max = 64, .doc = "whose days and months; default: the point's"}}},

	{.method = HD_METHOD_GET, .path = "/admin/v1/plugins/", .id = "listPlugins", .tag = "admin", .summary = "Plugins found, and why any was refused",
	 .roles = HD_ROLES_WRITE, .handle = hd_api_plugins_list},
	{.method = HD_METHOD_POST, .path = "/admin/v1/plugins/scan", .id = "scanPlugins", .tag = "admin", .summary = "Looks through the plugin folders again",
	 .roles = HD_ROLES_ADMIN, .flags = HD_ROUTE_BODY_OPTIONAL, .body_max = 1024, .handle = hd_api_plugins_scan},
	{.method = HD_METHOD_GET, .path = "/admin/v1/instances/", .id = "listInstances", .tag = "admin", .summary = "Instances that run", .roles = HD_ROLES_WRITE,
	 .handle = hd_api_instances_list},
	{.method = HD_METHOD_GET, .path = "/admin/v1/pipelines/", .id = "listPipelines", .tag = "admin", .summary = "Pipelines and what is live",
	 .roles = HD_ROLES_READ, .handle = hd_api_pipelines_list},
	{.method = HD_METHOD_POST, .path = "/admin/v1/pipelines/reload", .id = "reloadPipelines", .tag = "admin",
	 .summary = "Compiles, tests and swaps what changed; any failure keeps what runs", .roles = HD_ROLES_WRITE, .flags = HD_ROUTE_BODY_OPTIONAL,
	 .body_max = 1024, .handle = hd_api_pipelines_reload},
	{.method = HD_METHOD_GET, .path = "/admin/v1/pipelines/{name}", .id = "getPipeline", .tag = "admin", .summary = "The live script", .roles = HD_ROLES_READ,
	 .flags = HD_ROUTE_VERSIONED, .answer_schema = "Pipeline", .handle = hd_api_pipeline_get, .params = {P_NAME}},
	{.method = HD_METHOD_PUT, .path = "/admin/v1/pipelines/{name}", .id = "putPipeline", .tag = "admin",
	 .summary = "A new script, tested and built for all its points before any of them switches; any failure keeps what runs", .roles = HD_ROLES_WRITE,
	 .flags = HD_ROUTE_VERSIONED, .body_max = SCRIPT_BYTES, .body_type = "text/plain", .answer_schema = "PipelineChange", .handle = hd_api_pipeline_put,
	 .params = {P_NAME, P_AUTHOR, P_REASON, P_SHARE}},
	{.method = HD_METHOD_POST, .path = "/admin/v1/pipelines/{name}/reload", .id = "reloadPipeline", .tag = "admin",
	 .summary = "Takes one script from its file; any failure keeps what runs", .roles = HD_ROLES_WRITE, .flags = HD_ROUTE_BODY_OPTIONAL, .body_max = 1024,
	 .answer_schema = "PipelineChange", .handle = hd_api_pipeline_reload,
	 .params = {P_NAME, P_AUTHOR, P_REASON, P_SHARE,
		    {.name = "force", .type = HD_PARAM_BOOL, .default_value = "false", .doc = "also when the text is what runs: builds all points anew"}}},
	{.method = HD_METHOD_POST, .path = "/admin/v1/pipelines/{name}/check", .id = "checkPipeline", .tag = "admin",
	 .summary = "Compiles and tests a candidate, changes nothing", .roles = HD_ROLES_WRITE, .flags = HD_ROUTE_BODY_OPTIONAL, .body_max = SCRIPT_BYTES,
	 .body_schema = "PipelineSource", .handle = hd_api_pipeline_check, .params = {P_NAME}},
	{.method = HD_METHOD_GET, .path = "/admin/v1/pipelines/{name}/versions", .id = "listPipelineVersions", .tag = "admin", .summary = "Versions kept",
	 .roles = HD_ROLES_READ, .handle = hd_api_pipeline_versions, .params = {P_NAME}},
	{.method = HD_METHOD_GET, .path = "/admin/v1/pipelines/{name}/versions/{version}", .id = "getPipelineVersion", .tag = "admin",
	 .summary = "The script of a version kept", .roles = HD_ROLES_READ, .flags = HD_ROUTE_VERSIONED, .answer_schema = "Pipeline",
	 .handle = hd_api_pipeline_version_get,
	 .params = {P_NAME, {.name = "version", .in = HD_IN_PATH, .type = HD_PARAM_INT, .min = 1, .max = UINT32_MAX, .doc = "its number"}}},
	{.method = HD_METHOD_POST, .path = "/admin/v1/pipelines/{name}/rollback", .id = "rollbackPipeline", .tag = "admin", .summary = "Back to a version kept",
	 .roles = HD_ROLES_WRITE, .flags = HD_ROUTE_BODY_OPTIONAL, .body_max = 1024, .answer_schema = "PipelineChange", .handle = hd_api_pipeline_rollback,
	 .params = {P_NAME, P_AUTHOR, P_REASON,
		    {.name = "version", .type = HD_PARAM_INT, .min = 0, .max = UINT32_MAX, .default_value = "0", .doc = "its number; 0: the one before"}}},
	{.method = HD_METHOD_POST, .path = "/admin/v1/pipelines/{name}/dry-run", .id = "dryRunPipeline", .tag = "admin",
	 .summary = "A past window of a point through a candidate: what would differ", .roles = HD_ROLES_WRITE, .body_max = SCRIPT_BYTES,
	 .body_schema = "PipelineSource", .handle = hd_api_pipeline_dry_run, .params = {P_NAME}},
	{.method = HD_METHOD_POST, .path = "/admin/v1/pipelines/{name}/reprocess", .id = "reprocessPipeline", .tag = "admin",
	 .summary = "A past window of a point once more through the live script: revisions, nothing is overwritten", .roles = HD_ROLES_WRITE, .body_max = 4096,
	 .body_schema = "Reprocess", .answer_schema = "Reprocessed", .handle = hd_api_pipeline_reprocess, .params = {P_NAME}},
	{.method = HD_METHOD_GET, .path = "/admin/v1/config", .id = "config", .tag = "admin", .summary = "Configuration in force, without secrets",
	 .roles = HD_ROLES_ADMIN, .handle = hd_api_config_get},
};
const size_t hd_api_routes_count = HD_ARRAY_LEN(hd_api_routes);
