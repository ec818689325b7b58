/* SPDX-License-Identifier: MIT */
/*
 * The binary interface between hydrod and its plugins. The rules that keep it stable are in sdk/ABI.md.
 *
 * Only <stddef.h> and <stdint.h> are needed. There are no enums, bools, bit-fields or third-party types in it. Every table
 * begins with struct_size and grows at its end only; arrays carry a stride. Text is UTF-8; `const char *` ends in NUL.
 *
 * Who may call what, and from where:
 *   [control]  one thread at a time per instance, may block for seconds
 *   [worker]   any worker thread; calls for one point never overlap; must not block
 *   [any]      any thread at any time, must not block, must be pure in its arguments
 * The host holds no lock while it calls a plugin. Who allocates frees: nothing crosses to be freed on the other side.
 */
#ifndef HYDRO_ABI_H
#define HYDRO_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HYDRO_ABI_MAGIC 0x4f525948u /* "HYRO" */
#define HYDRO_ABI_MAJOR 0u
#define HYDRO_ABI_MINOR 2u

/* ---- results ------------------------------------------------------------------------------------------------------- */

#define HYDRO_OK 0
#define HYDRO_E_CONFIG (-1)        /* the configuration must be corrected first */
#define HYDRO_E_INVALID (-2)       /* an argument or a value is wrong */
#define HYDRO_E_PARSE (-3)         /* input that does not parse */
#define HYDRO_E_IO (-4)            /* input or output failed; may pass */
#define HYDRO_E_AGAIN (-5)         /* busy; try again later */
#define HYDRO_E_TIMEOUT (-6)       /* a deadline passed */
#define HYDRO_E_NOMEM (-7)         /* no memory */
#define HYDRO_E_FULL (-8)          /* no space where it should be written */
#define HYDRO_E_LIMIT (-9)         /* larger than a named limit */
#define HYDRO_E_NOTFOUND (-10)     /* no such thing */
#define HYDRO_E_EXISTS (-11)       /* there is one already */
#define HYDRO_E_CONFLICT (-12)     /* not in this state */
#define HYDRO_E_STALE (-13)        /* changed since it was read */
#define HYDRO_E_UNAUTHORIZED (-14) /* credentials missing, wrong or expired */
#define HYDRO_E_DENIED (-15)       /* authenticated, but not allowed */
#define HYDRO_E_UNSUPPORTED (-16)  /* not offered by this side */
#define HYDRO_E_ABI (-17)          /* host and plugin do not fit each other */
#define HYDRO_E_PROTOCOL (-18)     /* the remote side broke its protocol */
#define HYDRO_E_CORRUPT (-19)      /* stored data does not check */
#define HYDRO_E_KEY (-20)          /* wrong or missing key */
#define HYDRO_E_CANCELLED (-21)    /* given up on request */
#define HYDRO_E_FATAL (-22)        /* cannot go on; the instance must be destroyed */

#define HYDRO_ERROR_TEXT_BYTES 504u

/* Owned by the caller; the callee writes it where the cause is known, and only when it fails. Never holds a secret. */
struct hydro_error {
	uint32_t struct_size;
	int32_t code;
	char text[HYDRO_ERROR_TEXT_BYTES];
};

/* ---- options -------------------------------------------------------------------------------------------------------- */

#define HYDRO_OPT_BOOL 1u
#define HYDRO_OPT_INT 2u
#define HYDRO_OPT_NUMBER 3u
#define HYDRO_OPT_STRING 4u
#define HYDRO_OPT_DURATION 5u /* "90s", "15m", "2h", "1d"; arrives in ms in `integer` */
#define HYDRO_OPT_URL 6u      /* http or https, checked by the host */
#define HYDRO_OPT_CHOICE 7u   /* one of `choices`; arrives as text, its index in `integer` */
#define HYDRO_OPT_MAP 8u      /* string → string; arrives as `entries` */

#define HYDRO_SCOPE_INSTANCE 1u /* given where the instance is configured */
#define HYDRO_SCOPE_ACCOUNT 2u  /* given with an account: credentials shared by many points */
#define HYDRO_SCOPE_POINT 3u    /* given with each point: device token, variable keys */

#define HYDRO_OPT_REQUIRED 1u
#define HYDRO_OPT_SECRET 2u      /* sealed at rest, never shown, never logged */
#define HYDRO_OPT_RELOADABLE 4u  /* may change through `configure` without a new instance */
#define HYDRO_OPT_METRIC_KEYS 8u /* MAP whose keys are metric names; entries carry the metric's id */

/* A row of the descriptor. The host validates, redacts and documents from these rows; the plugin only reads values. */
typedef struct hydro_option {
	const char *key;
	uint32_t type;             /* HYDRO_OPT_* type */
	uint32_t scope;            /* HYDRO_SCOPE_* */
	uint32_t flags;            /* HYDRO_OPT_REQUIRED | … */
	uint32_t reserved;         /* 0 */
	const char *default_value; /* as written in configuration; NULL = none */
	double min, max;           /* INT, NUMBER, DURATION (ms), and the length of STRING; max <= min: no bound */
	const char *choices;       /* "a|b|c" for CHOICE, else NULL */
	const char *doc;           /* one line */
} hydro_option;

typedef struct hydro_map_entry {
	const char *key;
	const char *value;
	uint32_t metric; /* id of the metric named by key where the row has METRIC_KEYS, else 0 */
	uint32_t reserved;
} hydro_map_entry;

/* values[i] belongs to row i of the descriptor; a row of another scope, or without value and default, has is_set = 0. */
typedef struct hydro_option_value {
	uint32_t is_set;
	uint32_t entry_count;
	int64_t integer; /* BOOL (0, 1), INT, DURATION (ms), CHOICE (index) */
	double number;   /* NUMBER, INT */
	const char *text;
	const hydro_map_entry *entries; /* stride is map_stride of the table */
} hydro_option_value;

typedef struct hydro_options {
	uint32_t struct_size;
	uint32_t count;
	uint32_t value_stride;
	uint32_t map_stride;
	const hydro_option_value *values;
	const void *identity; /* the same pointer = the same values; a plugin may not follow it */
} hydro_options;

/* ---- services of the host ------------------------------------------------------------------------------------------- */

#define HYDRO_LOG_ERROR 0u
#define HYDRO_LOG_WARN 1u
#define HYDRO_LOG_INFO 2u
#define HYDRO_LOG_DEBUG 3u

/* Passed to create; valid until destroy has returned. All functions [any]. */
typedef struct hydro_host {
	uint32_t struct_size;
	uint32_t abi_major;
	uint32_t abi_minor;
	uint32_t reserved;
	void *ctx; /* first argument of each function below */
	/* Finished text, no format; rate-limited by the host. */
	void (*log)(void *ctx, uint32_t level, const char *text);
	/* Id (> 0) of a metric name; 0 if the name is not valid. Call in create, keep the id. */
	uint32_t (*metric)(void *ctx, const char *name);
	/* Name of an id, or NULL. */
	const char *(*metric_name)(void *ctx, uint32_t metric);
	/* Wall clock in ms since 1970 UTC; simulated in tests. */
	int64_t (*now_ms)(void *ctx);
	/* Monotonic nanoseconds. */
	int64_t (*mono_ns)(void *ctx);
} hydro_host;

/*
 * Memory of the host for one call: take from it with hydro_scratch_take (conv.h). When it does not suffice the plugin sets
 * `wanted` and returns HYDRO_E_LIMIT; the host calls again with more, up to 1 MiB.
 */
typedef struct hydro_scratch {
	char *mem;
	size_t size;
	size_t used;
	size_t wanted;
} hydro_scratch;

/* ---- HTTP, shared by providers and HTTP sinks ------------------------------------------------------------------------ */

#define HYDRO_HTTP_GET 1u
#define HYDRO_HTTP_POST 2u
#define HYDRO_HTTP_PUT 3u

#define HYDRO_HEADER_SECRET 1u

typedef struct hydro_http_header {
	const char *name;
	const char *value;
	uint32_t flags; /* HYDRO_HEADER_* */
	uint32_t reserved;
} hydro_http_header;

/* Filled by the plugin; every pointer lives in the scratch, the options or the plugin itself until the call's poll ends. */
typedef struct hydro_http_request {
	uint32_t struct_size;
	uint32_t method;
	const char *url;
	const char *url_log; /* the same without secrets; NULL: the host logs scheme and host only */
	const hydro_http_header *headers;
	uint32_t header_count;
	uint32_t header_stride;
	const char *body;
	uint64_t body_len;
	uint32_t timeout_ms; /* 0: the host's default */
	uint32_t reserved;
} hydro_http_request;

typedef struct hydro_http_response {
	uint32_t struct_size;
	uint32_t status; /* HTTP status, > 0 */
	const char *body; /* not ended by NUL */
	uint64_t body_len;
	const char *content_type; /* "" if absent */
	int64_t received_ms;      /* wall clock */
	int64_t retry_after_ms;   /* from Retry-After; -1 if absent */
} hydro_http_response;

/* ---- providers -------------------------------------------------------------------------------------------------------- */

#define HYDRO_KIND_PROVIDER 1u
#define HYDRO_KIND_SINK 2u
#define HYDRO_KIND_ANALYTICS 3u

#define HYDRO_PROVIDER_HTTP 1u      /* request and parse are there */
#define HYDRO_PROVIDER_LOGIN 2u     /* login_request and login_parse are there */
#define HYDRO_PROVIDER_HISTORY 4u   /* polls with mode HISTORY are understood */
#define HYDRO_PROVIDER_SUBSCRIBE 8u /* subscribe, ack, nack, credit are there */

#define HYDRO_POLL_LATEST 1u  /* the newest values; from_ms and to_ms are not used */
#define HYDRO_POLL_HISTORY 2u /* all readings with from_ms <= ts <= to_ms, oldest first where the provider allows */

#define HYDRO_CONTINUATION_BYTES 64u

/* What one part of one poll came to. */
#define HYDRO_PART_DATA 1u         /* readings were emitted and there are no more */
#define HYDRO_PART_MORE 2u         /* ask again with the continuation; readings may have been emitted */
#define HYDRO_PART_NO_DATA 3u      /* answered well, nothing there */
#define HYDRO_PART_UNAUTHORIZED 4u /* token refused: the host logs in once and asks again */
#define HYDRO_PART_FAILED 5u       /* failed(status, reason); never a value */

typedef struct hydro_poll {
	uint32_t struct_size;
	uint32_t mode; /* HYDRO_POLL_* */
	uint32_t part; /* 0 … parts-1 */
	uint32_t limit; /* rows wanted in one answer at most; 0 = the provider's default */
	int64_t from_ms, to_ms; /* inclusive */
	int64_t now_ms;
	const hydro_options *point;
	const hydro_options *account; /* the account's values; never NULL, may have nothing set */
	const char *token;            /* from login; "" without */
	const void *continuation;     /* what the last answer of this part left, NULL on the first page */
	uint32_t continuation_len;
	uint32_t reserved;
} hydro_poll;

#define HYDRO_RAW_STATUS 1u /* the value is a logger's status code, not a measurement: kept, never a datum */

/* One raw value at the logger's own timestamp. */
typedef struct hydro_raw {
	int64_t ts_ms; /* ms since 1970 UTC, by the logger */
	double value;  /* as sent, in the provider's unit; never NaN or infinite */
	uint32_t metric;
	uint32_t flags; /* HYDRO_RAW_* */
} hydro_raw;

/* Where parse puts its raw values. [worker] */
typedef struct hydro_emit {
	uint32_t struct_size;
	uint32_t reserved;
	void *ctx;
	/* HYDRO_OK, or HYDRO_E_INVALID for a value that cannot be (NaN, ts out of 1990–2100, unknown metric). */
	int32_t (*raw)(void *ctx, const hydro_raw *values, uint32_t count);
	/* A point of a message that does not name the polled point (subscriptions): its key as configured. */
	int32_t (*raw_for)(void *ctx, const char *point_key, const hydro_raw *values, uint32_t count);
} hydro_emit;

typedef struct hydro_outcome {
	uint32_t struct_size;
	uint32_t status; /* HYDRO_PART_* */
	unsigned char continuation[HYDRO_CONTINUATION_BYTES];
	uint32_t continuation_len;
	uint32_t reserved;
	/* The reason of FAILED, in words, goes into the call's hydro_error. */
} hydro_outcome;

#define HYDRO_TOKEN_BYTES 4096u

typedef struct hydro_token {
	uint32_t struct_size;
	uint32_t token_len;
	char token[HYDRO_TOKEN_BYTES]; /* ended by NUL */
	int64_t expires_at_ms;         /* wall clock; 0 = unknown */
} hydro_token;

/* Where a subscription delivers. */
typedef struct hydro_stream {
	uint32_t struct_size;
	uint32_t reserved;
	void *ctx;
	/* Readings of one message with the plugin's own token; the host acks tokens in order once they are on disk. [any] */
	int32_t (*emit)(void *ctx, const char *point_key, const hydro_raw *values, uint32_t count, uint64_t token);
	/* State of the link, for health: connected = 1 or 0, reason in words. [any] */
	void (*link)(void *ctx, uint32_t connected, const char *reason);
} hydro_stream;

typedef struct hydro_provider_ops {
	uint32_t struct_size;
	uint32_t capabilities; /* HYDRO_PROVIDER_* */
	/* [control] A new instance from its options. `host` stays valid until destroy. */
	int32_t (*create)(const hydro_host *host, const hydro_options *options, void **ret_instance, struct hydro_error *err);
	/* [control] After stop; frees everything. */
	void (*destroy)(void *instance);
	/* [control] New values for RELOADABLE options; NULL = a new instance is made instead. On failure the old ones hold. */
	int32_t (*configure)(void *instance, const hydro_options *options, struct hydro_error *err);
	/* [control] Checks a point's options beyond what the rows say; NULL = nothing more to check. */
	int32_t (*check_point)(void *instance, const hydro_options *point, struct hydro_error *err);
	/* [any] Number of requests that one poll of this point takes, at least 1. NULL = 1. */
	uint32_t (*parts)(void *instance, const hydro_options *point);
	/* [any] The login request of an account. */
	int32_t (*login_request)(void *instance, const hydro_options *account, hydro_scratch *scratch, hydro_http_request *ret,
				 struct hydro_error *err);
	/* [worker] Its answer. HYDRO_E_UNAUTHORIZED = the credentials are wrong; HYDRO_E_IO = try again later. */
	int32_t (*login_parse)(void *instance, const hydro_options *account, const hydro_http_response *response,
			       hydro_token *ret, struct hydro_error *err);
	/* [any] The request of one part of a poll. */
	int32_t (*request)(void *instance, const hydro_poll *poll, hydro_scratch *scratch, hydro_http_request *ret,
			   struct hydro_error *err);
	/* [worker] Its answer. Returns HYDRO_OK with ret->status set; anything else counts as FAILED with the error's text. */
	int32_t (*parse)(void *instance, const hydro_poll *poll, const hydro_http_response *response, const hydro_emit *emit,
			 hydro_outcome *ret, struct hydro_error *err);
	/* [control] Starts to deliver into `stream`, which stays valid until stop has returned. */
	int32_t (*subscribe)(void *instance, const hydro_stream *stream, struct hydro_error *err);
	/* [any] All tokens up to and with this one are on disk. */
	void (*ack)(void *instance, uint64_t token);
	/* [any] This token and all after it were not taken and must come again. */
	void (*nack)(void *instance, uint64_t token);
	/* [any] The host takes `credits` more messages; at zero the plugin stops reading. */
	void (*credit)(void *instance, uint32_t credits);
	/* [control] Finish what is under way, by the deadline (mono_ns). NULL = nothing to wait for. */
	int32_t (*drain)(void *instance, int64_t deadline_ns, struct hydro_error *err);
	/* [control] No call into the host after this has returned. NULL = nothing to stop. */
	void (*stop)(void *instance);
} hydro_provider_ops;

/* ---- sinks ------------------------------------------------------------------------------------------------------------- */

#define HYDRO_SINK_WRITE 1u /* write is there */
#define HYDRO_SINK_QUERY 2u /* query is there */
#define HYDRO_SINK_HTTP 4u  /* request and parse are there */
#define HYDRO_SINK_FILING 8u /* filing_info and the filing_ functions are there: it files with a regulator (since 0.2) */

typedef struct hydro_value {
	double value;
	uint32_t metric;
	float quality;       /* 0 … 1 */
	uint32_t flag_count; /* flags of this metric, in `flags` of the record */
	uint32_t reserved;
} hydro_value;

typedef struct hydro_flag {
	uint32_t metric; /* 0 = the whole measurement */
	uint32_t flag;   /* number of the flag scheme */
	const char *name;
	const char *rule; /* provenance: script, version and step, or plugin and version */
} hydro_flag;

typedef struct hydro_record {
	uint32_t struct_size;
	uint32_t rev; /* revision of (point, ts); a higher one replaces a lower one */
	unsigned char point_id[16];
	int64_t ts_ms;
	uint64_t sequence; /* position in the host's journal */
	const char *provider;
	const hydro_value *values;
	uint32_t value_count;
	uint32_t value_stride;
	const hydro_value *raws;
	uint32_t raw_count;
	uint32_t flag_count;
	const hydro_flag *flags;
	uint32_t flag_stride;
	uint32_t poll_period_s;
} hydro_record;

typedef struct hydro_batch {
	uint32_t struct_size;
	uint32_t record_count;
	uint32_t record_stride;
	uint32_t reserved;
	const hydro_record *records;
} hydro_batch;

#define HYDRO_WRITE_OK 1u     /* stored, with receipt */
#define HYDRO_WRITE_RETRY 2u  /* not stored; try again */
#define HYDRO_WRITE_REJECT 3u /* will never be stored; reason */

#define HYDRO_RECEIPT_BYTES 64u

typedef struct hydro_write_outcome {
	uint32_t status;   /* HYDRO_WRITE_* */
	uint32_t http_status;
	char receipt[HYDRO_RECEIPT_BYTES];
	char reason[192];
} hydro_write_outcome;

typedef struct hydro_query {
	uint32_t struct_size;
	uint32_t limit;
	unsigned char point_id[16];
	int64_t from_ms, to_ms; /* from inclusive, to exclusive */
} hydro_query;

typedef struct hydro_rows {
	uint32_t struct_size;
	uint32_t reserved;
	void *ctx;
	int32_t (*row)(void *ctx, const hydro_record *record); /* other than HYDRO_OK ends the query */
} hydro_rows;

/* ---- filing with a regulator (since 0.2) --------------------------------------------------------------------------------- */

/*
 * A regulator's rules and wire, as one version of its manual gives them. The host's core knows slots, claims, pacing and
 * proof; all that is the regulator's own stands here. Every function is pure but for the instance's options.
 */

#define HYDRO_EVERY_HOUR 1u
#define HYDRO_EVERY_DAY 2u
#define HYDRO_EVERY_MONTH 3u
#define HYDRO_EVERY_HALF_YEAR 4u

/* Fields of a measurement that may be filed; the index into hydro_filing_slot.values. */
#define HYDRO_FIELD_FLOW 0u  /* l/s */
#define HYDRO_FIELD_TOTAL 1u /* m3 */
#define HYDRO_FIELD_LEVEL 2u /* in the kind's level_unit: depth of the water table in m, or stage of a channel in cm */
#define HYDRO_FIELDS 3u       /* known of this minor; more may come */
#define HYDRO_FIELDS_ROOM 16u /* there can never be more */

#define HYDRO_STANDARD_BY_SHEET 1u /* its users may file by sheet or form instead of online */

typedef struct hydro_filing_standard {
	const char *name;    /* "mayor" */
	uint32_t every;      /* HYDRO_EVERY_* */
	uint32_t flags;      /* HYDRO_STANDARD_* */
	uint32_t lag_months; /* longest time between measurement and filing: months, else lag_ms */
	uint32_t empty_fields; /* bits 1 << HYDRO_FIELD_*: may be empty under this standard */
	int64_t lag_ms;
	const char *doc; /* one line */
} hydro_filing_standard;

typedef struct hydro_filing_kind {
	const char *name;        /* "subterranea" */
	uint32_t fields;         /* bits 1 << HYDRO_FIELD_* that its body has */
	uint32_t reserved;
	const char *level_metric; /* metric that its level is read from by default, "" without a level */
	const char *level_unit;   /* "m", "cm"; the value is in it, unrounded */
	const char *doc;
} hydro_filing_kind;

typedef struct hydro_filing_info {
	uint32_t struct_size;
	int32_t utc_offset_s;   /* of the regulator's clock, fixed all year: -14400 */
	const char *family;     /* "dga": the plugins of a family take over from one another by date */
	const char *valid_from; /* "2025-07-31", first local date that this version holds for */
	int64_t deadline_ms;    /* from measurement to filing, while all is well */
	int64_t spacing_ms;     /* least time between two filings of one work */
	const hydro_filing_standard *standards;
	const hydro_filing_kind *kinds;
	uint32_t standard_count, standard_stride;
	uint32_t kind_count, kind_stride;
	/* For reports to people; NULL: the family's name, and nothing. */
	const char *authority;        /* "DGA" */
	const char *failures_note;    /* what must be done about what was not filed within its lag, in the country's language … */
	const char *failures_note_en; /* … and in English */
} hydro_filing_info;

/* What is to be filed for one slot. */
typedef struct hydro_filing_slot {
	uint32_t struct_size;
	uint32_t fields; /* bits 1 << HYDRO_FIELD_* whose value is there */
	const char *code;     /* of the work */
	const char *kind;     /* name of one of info's kinds */
	const char *standard; /* name of one of info's standards */
	const hydro_options *work; /* the work's own options: rows of HYDRO_SCOPE_POINT */
	int64_t due_ms;       /* the slot */
	int64_t measured_ms;  /* of the reading that it files */
	double values[HYDRO_FIELDS_ROOM];
} hydro_filing_slot;

#define HYDRO_PAYLOAD_BYTES 2040u

/* The bytes that will be sent for a slot, however often; without credentials. Frozen by the host before the first try. */
typedef struct hydro_filing_payload {
	uint32_t struct_size;
	uint32_t len;
	char text[HYDRO_PAYLOAD_BYTES]; /* ended by NUL */
} hydro_filing_payload;

typedef struct hydro_filing_send {
	uint32_t struct_size;
	uint32_t payload_len;
	const char *code, *kind;
	const char *payload;
	const char *centre;    /* identifier of the control centre */
	const char *informant; /* identifier of who informs */
	const char *secret;    /* the informant's password; NULL in requests of a check */
	const char *receipt;   /* in requests of a check; else NULL */
	int64_t now_ms;
	const hydro_options *work;
} hydro_filing_send;

#define HYDRO_FILING_FILED 1u      /* taken, with receipt: never send again */
#define HYDRO_FILING_NO_RECEIPT 2u /* taken, without one: never send again */
#define HYDRO_FILING_DUPLICATE 3u  /* it had one for this slot before; receipt of that one: compare, never send again */
#define HYDRO_FILING_HELD 4u       /* the work's configuration at the regulator is wrong; a person must correct it */
#define HYDRO_FILING_REFUSED 5u    /* not taken: again by the rules */
#define HYDRO_FILING_BLOCKED 6u    /* signs that the centre as a whole is blocked */

typedef struct hydro_filing_answer {
	uint32_t struct_size;
	uint32_t outcome; /* HYDRO_FILING_* */
	char receipt[HYDRO_RECEIPT_BYTES];
	char text[192]; /* the regulator's words, shortened */
} hydro_filing_answer;

#define HYDRO_CHECK_SAME 1u
#define HYDRO_CHECK_DIFFERS 2u /* text names the fields with both values */
#define HYDRO_CHECK_ABSENT 3u  /* the receipt is not known there */
#define HYDRO_CHECK_UNCLEAR 4u /* no answer that tells: ask again later */
#define HYDRO_CHECK_BLOCKED 5u

typedef struct hydro_filing_check {
	uint32_t struct_size;
	uint32_t outcome; /* HYDRO_CHECK_* */
	char text[192];
} hydro_filing_check;

typedef struct hydro_sink_ops {
	uint32_t struct_size;
	uint32_t capabilities; /* HYDRO_SINK_* */
	int32_t (*create)(const hydro_host *host, const hydro_options *options, void **ret_instance, struct hydro_error *err); /* [control] */
	void (*destroy)(void *instance);                                                                                     /* [control] */
	int32_t (*configure)(void *instance, const hydro_options *options, struct hydro_error *err);                         /* [control] */
	/* [worker] One outcome per record, outcomes[record_count] by the host. A return other than HYDRO_OK = all RETRY. */
	int32_t (*write)(void *instance, const hydro_batch *batch, hydro_write_outcome *outcomes, uint32_t outcome_stride,
			 struct hydro_error *err);
	/* [worker] Rows in ts order. */
	int32_t (*query)(void *instance, const hydro_query *query, const hydro_rows *rows, struct hydro_error *err);
	/* [any] / [worker] An HTTP sink: one record a request; the outcome of the answer. */
	int32_t (*request)(void *instance, const hydro_record *record, hydro_scratch *scratch, hydro_http_request *ret,
			   struct hydro_error *err);
	int32_t (*parse)(void *instance, const hydro_record *record, const hydro_http_response *response,
			 hydro_write_outcome *ret, struct hydro_error *err);
	int32_t (*drain)(void *instance, int64_t deadline_ns, struct hydro_error *err); /* [control] */
	void (*stop)(void *instance);                                                   /* [control] */
	/* Since 0.2, all [any]. The info is static and the same at each call. */
	const hydro_filing_info *(*filing_info)(void *instance);
	/* An identifier of a centre or informant (a RUT with its digit) is well formed. HYDRO_E_INVALID says how not. */
	int32_t (*filing_check_identifier)(void *instance, const char *text, struct hydro_error *err);
	/* A work's code and options as a whole (values and times are not looked at). HYDRO_E_INVALID; the text begins with what is wrong
	 * and a colon: "code: …", "kind: …", "standard: …", "options.<key>: …". */
	int32_t (*filing_check_work)(void *instance, const hydro_filing_slot *work, struct hydro_error *err);
	/* The payload of a slot. HYDRO_E_INVALID for what its format cannot carry, naming the field; odd values are carried. */
	int32_t (*filing_prepare)(void *instance, const hydro_filing_slot *slot, hydro_filing_payload *ret, struct hydro_error *err);
	/* The request that files a payload; only headers and credentials may differ between two tries. */
	int32_t (*filing_request)(void *instance, const hydro_filing_send *send, hydro_scratch *scratch, hydro_http_request *ret,
				  struct hydro_error *err);
	/* Any answer has an outcome; what is not understood is REFUSED. */
	int32_t (*filing_parse)(void *instance, const hydro_filing_send *send, const hydro_http_response *response,
				hydro_filing_answer *ret, struct hydro_error *err);
	/* Asks what the regulator has under a receipt, and compares it with the payload as numbers and times. NULL: it cannot be asked. */
	int32_t (*filing_check_request)(void *instance, const hydro_filing_send *send, hydro_scratch *scratch, hydro_http_request *ret,
					struct hydro_error *err);
	int32_t (*filing_check_parse)(void *instance, const hydro_filing_send *send, const hydro_http_response *response,
				      hydro_filing_check *ret, struct hydro_error *err);
	/* Fields (bits) that a slot of this work cannot do without, by its kind, standard and options. NULL: the kind's, less those that the
	 * standard lets be empty. */
	uint32_t (*filing_needed)(void *instance, const hydro_filing_slot *work);
} hydro_sink_ops;

/* ---- analytics ------------------------------------------------------------------------------------------------------------ */

#define HYDRO_ANALYTICS_UPDATE 1u
#define HYDRO_ANALYTICS_RUN 2u

typedef struct hydro_sample {
	uint32_t struct_size;
	uint32_t metric;
	int64_t ts_ms;
	double value;
	float quality;
	uint32_t reserved;
	double range_min, range_max; /* the sensor's configured range; max <= min: none */
} hydro_sample;

typedef struct hydro_annotation {
	uint32_t struct_size;
	uint32_t flag; /* 0 = none */
	double score;  /* 0 … 1 */
	float quality; /* < 0 = leave as it is */
	uint32_t reserved;
} hydro_annotation;

typedef struct hydro_series {
	uint32_t struct_size;
	uint32_t count;
	uint32_t sample_stride;
	uint32_t reserved;
	const hydro_sample *samples;
} hydro_series;

typedef struct hydro_result {
	uint32_t struct_size;
	uint32_t reserved;
	void *ctx;
	int32_t (*number)(void *ctx, const char *key, double value);
	int32_t (*text)(void *ctx, const char *key, const char *value);
	int32_t (*point)(void *ctx, const char *series, int64_t ts_ms, double value, double low, double high);
} hydro_result;

typedef struct hydro_analytics_ops {
	uint32_t struct_size;
	uint32_t capabilities;  /* HYDRO_ANALYTICS_* */
	uint32_t state_size;    /* bytes per point, owned, moved and persisted by the host; no pointers in it */
	uint32_t state_version;
	int32_t (*create)(const hydro_host *host, const hydro_options *options, void **ret_instance, struct hydro_error *err); /* [control] */
	void (*destroy)(void *instance);                                                                                     /* [control] */
	void (*state_init)(void *instance, const hydro_options *point, void *state); /* [worker] */
	/* [control] Old state to new; NULL: a state of another version is refused at a swap unless reset is asked for. */
	int32_t (*migrate)(void *instance, uint32_t from_version, const void *old_state, void *new_state, struct hydro_error *err);
	/* [worker] In order of ts for one point. */
	int32_t (*update)(void *instance, void *state, const hydro_sample *sample, hydro_annotation *ret);
	/* [worker] The batch side: forecast, trend, report. */
	int32_t (*run)(void *instance, const hydro_series *series, const hydro_options *parameters, const hydro_result *result,
		       struct hydro_error *err);
	void (*stop)(void *instance); /* [control] */
} hydro_analytics_ops;

/* ---- the descriptor --------------------------------------------------------------------------------------------------------- */

#define HYDRO_PLUGIN_UNLOADABLE 1u /* its code may be unmapped after the last instance: no threads, no atexit, no TLS destructors */

/* The first five members never move, in any major. */
typedef struct hydro_plugin {
	uint32_t struct_size;
	uint32_t magic; /* HYDRO_ABI_MAGIC */
	uint16_t abi_major;
	uint16_t abi_minor_needed; /* the lowest minor of the host that works */
	uint32_t kind;             /* HYDRO_KIND_* */
	const char *name;          /* [a-z][a-z0-9_]{0,31} */
	const char *version;       /* semantic version of the plugin */
	const char *summary;       /* one line */
	const char *licence;       /* SPDX */
	uint32_t flags;            /* HYDRO_PLUGIN_* */
	uint32_t option_count;
	uint32_t option_stride;
	uint32_t reserved;
	const hydro_option *options;
	const void *ops; /* hydro_provider_ops, hydro_sink_ops or hydro_analytics_ops */
} hydro_plugin;

/* The only exported symbol of a plugin. Pure: no side effects; the same pointer each time. NULL = no common ground. */
typedef const hydro_plugin *(*hydro_plugin_entry_fn)(uint32_t host_major, uint32_t host_minor);

#if defined(__GNUC__)
#define HYDRO_EXPORT __attribute__((visibility("default")))
#else
#define HYDRO_EXPORT
#endif

HYDRO_EXPORT const hydro_plugin *hydro_plugin_entry(uint32_t host_major, uint32_t host_minor);

#ifdef __cplusplus
}
#endif

#endif
