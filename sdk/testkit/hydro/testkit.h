/* SPDX-License-Identifier: MIT */
/*
 * A fake host for tests of plugins: it keeps the ABI's promises as the daemon does (checked descriptor, checked options,
 * metric ids, scratch that grows, checked values) and stands in for clock, log and network. A test of a provider is:
 *
 *     hydro_testkit *kit = NULL;
 *     struct hydro_error err = {.struct_size = sizeof err};
 *     hydro_testkit_open(hydro_plugin_entry, &kit, &err);             // or hydro_testkit_open_file("x.so", …)
 *     hydro_testkit_create(kit, "{\"base_url\":\"http://h/\"}", &err);   // options of the instance, as JSON
 *     hydro_testkit_point(kit, NULL, "{\"device_token\":\"t\"}", &err);   // options of the account and of the point
 *     hydro_testkit_request(kit, &request, &err);                     // what it would ask
 *     hydro_testkit_parse(kit, 200, body, strlen(body), &answer);     // what it makes of recorded bytes
 *     hydro_testkit_close(&kit);
 *
 * All functions are for one thread. What is returned by pointer is borrowed and lasts until the next call of the same
 * function, or until hydro_testkit_close. Functions that can fail return HYDRO_OK or HYDRO_E_* with the text in `err`.
 */
#ifndef HYDRO_TESTKIT_H
#define HYDRO_TESTKIT_H

#include <hydro/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HYDRO_TESTKIT_API __attribute__((visibility("default")))

typedef struct hydro_testkit hydro_testkit;

/* ---- plugin and instance ---------------------------------------------------------------------------------------------- */

/* A plugin linked into the test: pass its hydro_plugin_entry. */
HYDRO_TESTKIT_API int32_t hydro_testkit_open(hydro_plugin_entry_fn entry, hydro_testkit **ret, struct hydro_error *err);
/* A plugin's file. */
HYDRO_TESTKIT_API int32_t hydro_testkit_open_file(const char *path, hydro_testkit **ret, struct hydro_error *err);
/* Stops and destroys the instance if there is one, frees everything, sets the pointer to NULL. */
HYDRO_TESTKIT_API void hydro_testkit_close(hydro_testkit **kit);
/* The plugin's descriptor, checked and in this header's sizes. */
HYDRO_TESTKIT_API const hydro_plugin *hydro_testkit_plugin(const hydro_testkit *kit);
/* Options of the instance (JSON object; NULL = none) → create. HYDRO_E_CONFIG when the rows do not take them. */
HYDRO_TESTKIT_API int32_t hydro_testkit_create(hydro_testkit *kit, const char *options_json, struct hydro_error *err);
HYDRO_TESTKIT_API int32_t hydro_testkit_configure(hydro_testkit *kit, const char *options_json, struct hydro_error *err);
/* stop, then destroy. */
HYDRO_TESTKIT_API void hydro_testkit_destroy(hydro_testkit *kit);
/* The plugin's own pointer, NULL without an instance. */
HYDRO_TESTKIT_API void *hydro_testkit_instance(const hydro_testkit *kit);
/* The functions of the plugin's kind, what its tables lack reads as NULL; NULL for another kind. */
HYDRO_TESTKIT_API const hydro_provider_ops *hydro_testkit_provider(const hydro_testkit *kit);
HYDRO_TESTKIT_API const hydro_sink_ops *hydro_testkit_sink(const hydro_testkit *kit);
HYDRO_TESTKIT_API const hydro_analytics_ops *hydro_testkit_analytics(const hydro_testkit *kit);
/* The host's table as it is passed to create. */
HYDRO_TESTKIT_API const hydro_host *hydro_testkit_host(hydro_testkit *kit);

/* ---- the world around it ------------------------------------------------------------------------------------------------- */

/* The fake clock (wall, ms since 1970 UTC); starts at 2026-01-01T00:00:00Z. The monotonic clock moves with it. */
HYDRO_TESTKIT_API void hydro_testkit_set_now(hydro_testkit *kit, int64_t now_ms);
/* All lines logged so far: "error text\nwarn text\n…". */
HYDRO_TESTKIT_API const char *hydro_testkit_log(hydro_testkit *kit);
/* Id of a metric's name, made if new; 0 for a name that is none. */
HYDRO_TESTKIT_API uint32_t hydro_testkit_metric(hydro_testkit *kit, const char *name);
HYDRO_TESTKIT_API const char *hydro_testkit_metric_name(hydro_testkit *kit, uint32_t metric);
/* Bytes of scratch that calls begin with (default 4096); a plugin that asks for more is called again, up to 1 MiB. */
HYDRO_TESTKIT_API void hydro_testkit_set_scratch(hydro_testkit *kit, size_t bytes);
/* How often the last request was called before its scratch sufficed. */
HYDRO_TESTKIT_API uint32_t hydro_testkit_scratch_calls(const hydro_testkit *kit);

/* ---- providers ----------------------------------------------------------------------------------------------------------- */

/*
 * Begins a poll of a point: options of the account and the point (JSON objects; NULL = none), check_point is called if it
 * is there. The poll is LATEST, part 0, token "", first page; change it through hydro_testkit_poll.
 */
HYDRO_TESTKIT_API int32_t hydro_testkit_point(hydro_testkit *kit, const char *account_json, const char *point_json, struct hydro_error *err);
/* The poll that the next request and parse get: set mode, part, limit, from_ms, to_ms, token as wanted. */
HYDRO_TESTKIT_API hydro_poll *hydro_testkit_poll(hydro_testkit *kit);
/* Number of parts of a poll of the present point. */
HYDRO_TESTKIT_API uint32_t hydro_testkit_parts(hydro_testkit *kit);
HYDRO_TESTKIT_API int32_t hydro_testkit_request(hydro_testkit *kit, const hydro_http_request **ret, struct hydro_error *err);
HYDRO_TESTKIT_API int32_t hydro_testkit_login_request(hydro_testkit *kit, const hydro_http_request **ret, struct hydro_error *err);
HYDRO_TESTKIT_API int32_t hydro_testkit_login_parse(hydro_testkit *kit, uint32_t status, const char *body, size_t body_len,
						     const hydro_token **ret, struct hydro_error *err);
/* Value of a header of the request (names without regard to case), NULL if it has none. */
HYDRO_TESTKIT_API const char *hydro_testkit_header(const hydro_http_request *request, const char *name);

/* What a provider made of an answer. */
typedef struct hydro_testkit_answer {
	int32_t rc;              /* what parse returned */
	uint32_t status;         /* HYDRO_PART_*; FAILED when rc is not HYDRO_OK, as the host counts it */
	const char *reason;      /* text of the error, "" without */
	const hydro_raw *raws;   /* what it emitted and the host took, in order */
	uint32_t raw_count;
	uint32_t refused;        /* values that the host did not take: NaN, infinite, ts out of 1990–2100, unknown metric */
	const void *continuation;
	uint32_t continuation_len;
} hydro_testkit_answer;

/*
 * Calls parse with recorded bytes. After HYDRO_PART_MORE the poll carries the continuation, so that the next
 * hydro_testkit_request asks for the next page; any other outcome clears it.
 */
HYDRO_TESTKIT_API void hydro_testkit_parse(hydro_testkit *kit, uint32_t status, const char *body, size_t body_len, hydro_testkit_answer *ret);
/* The n-th value of a metric in an answer, or NULL. */
HYDRO_TESTKIT_API const hydro_raw *hydro_testkit_find(hydro_testkit *kit, const hydro_testkit_answer *answer, const char *metric, uint32_t n);

/* Messages of a subscription: what the plugin delivered. */
typedef struct hydro_testkit_message {
	char point_key[128];
	uint64_t token;
	uint32_t raw_count;
	hydro_raw raws[32];
} hydro_testkit_message;

/* Calls subscribe with a stream that keeps messages (thread-safe), then grants `credits`. */
HYDRO_TESTKIT_API int32_t hydro_testkit_subscribe(hydro_testkit *kit, uint32_t credits, struct hydro_error *err);
/* Takes the oldest message not taken yet, waiting up to timeout_ms; 0 = none came, else 1. */
HYDRO_TESTKIT_API int32_t hydro_testkit_message_take(hydro_testkit *kit, uint32_t timeout_ms, hydro_testkit_message *ret);
/* Last state of the link: 1 connected, 0 not, -1 never said. */
HYDRO_TESTKIT_API int32_t hydro_testkit_link(hydro_testkit *kit);

/* ---- sinks that file with a regulator ------------------------------------------------------------------------------------------- */

/* Options of a work (JSON object; NULL = none) as the functions get them; valid until the next call. HYDRO_E_CONFIG. */
HYDRO_TESTKIT_API int32_t hydro_testkit_work(hydro_testkit *kit, const char *work_json, const hydro_options **ret, struct hydro_error *err);
/* The request of a filing, or (check != 0) that of the check of send->receipt. */
HYDRO_TESTKIT_API int32_t hydro_testkit_filing_request(hydro_testkit *kit, const hydro_filing_send *send, int32_t check, const hydro_http_request **ret,
							struct hydro_error *err);
/* What the plugin makes of recorded bytes; its return value. content_type may be NULL: application/json. */
HYDRO_TESTKIT_API int32_t hydro_testkit_filing_parse(hydro_testkit *kit, const hydro_filing_send *send, uint32_t status, const char *content_type,
						      const char *body, size_t body_len, hydro_filing_answer *ret, struct hydro_error *err);
HYDRO_TESTKIT_API int32_t hydro_testkit_filing_check_parse(hydro_testkit *kit, const hydro_filing_send *send, uint32_t status, const char *content_type,
							    const char *body, size_t body_len, hydro_filing_check *ret, struct hydro_error *err);

/* ---- analytics --------------------------------------------------------------------------------------------------------------- */

/* A fresh state of state_size bytes by state_init, kept by the kit; options of the point as JSON. */
HYDRO_TESTKIT_API int32_t hydro_testkit_state(hydro_testkit *kit, const char *point_json, void **ret_state, struct hydro_error *err);

#ifdef __cplusplus
}
#endif

#endif
