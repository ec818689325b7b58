/* SPDX-License-Identifier: MIT */
/*
 * Faults on demand. Three scopes: of a request (decided by the service's clock and a count of matching requests), of the
 * data (a pure function of seed, fault, point and slot, so that asking twice shows the same), and of the DGA.
 */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "base/buf.h"
#include "reading.h"

#include <stdatomic.h>

#define SIM_SCOPE_REQUEST 0u
#define SIM_SCOPE_DATA 1u
#define SIM_SCOPE_EVENT 2u /* data; changes the counter from one moment on */
#define SIM_SCOPE_DGA 3u   /* of a request, at the DGA alone */

/* constant, name, scope, what it does */
#define SIM_FAULT_KINDS(X)                                                                                             \
	X(HTTP_5XX, "http_5xx", REQUEST, "answers `status` (default 503)")                                               \
	X(HANG, "hang", REQUEST, "takes the request and never answers; the connection is cut after --hang-max")          \
	X(CUT, "cut", REQUEST, "sends the head and half of the answer, then cuts the connection")                        \
	X(UNAUTHORIZED, "unauthorized", REQUEST, "answers 401 whatever the token")                                       \
	X(NOT_FOUND, "not_found", REQUEST, "answers 404")                                                                \
	X(RATE_LIMIT, "rate_limit", REQUEST, "answers 429 with Retry-After (`delay`, default 30 s)")                     \
	X(EMPTY, "empty", REQUEST, "answers 200 in the provider's form for no data")                                     \
	X(NOT_JSON, "not_json", REQUEST, "answers 200 with an HTML page")                                                \
	X(OUT_OF_ORDER, "out_of_order", REQUEST, "shuffles the rows of a history answer")                                \
	X(OUTAGE, "outage", REQUEST, "in its window each request fails by `mode` (http_5xx, hang, cut); with `history` false "        \
	  "the readings of the window are never seen")                                                                   \
	X(DUPLICATE, "duplicate", DATA, "serves a reading twice in one answer")                                          \
	X(LATE, "late", DATA, "a reading is to be had only `delay` after its time, without `delay` at the window's end") \
	X(MISSING, "missing", DATA, "readings that never existed")                                                       \
	X(NEGATIVE_STATUS, "negative_status", DATA, "a negative logger status code (`value`, default 1..5) for values")  \
	X(DISCONNECTED, "disconnected", DATA, "zero for all variables with a fresh time")                                \
	X(ZERO, "zero", DATA, "the counter reads zero")                                                                  \
	X(JITTER, "jitter", DATA, "the counter reads less than 1 % too low")                                             \
	X(TRUNCATED, "truncated", DATA, "the counter loses its last `value` digits (default 2)")                         \
	X(FROZEN, "frozen", DATA, "the counter stands for `length` readings (default 12) while water flows")             \
	X(CLOCK_AHEAD, "clock_ahead", DATA, "the logger's time is `delay` (default 1 h) ahead")                          \
	X(COUNTER_RESET, "counter_reset", EVENT, "the counter begins again at `value` (default 0)")                      \
	X(METER_REPLACEMENT, "meter_replacement", EVENT, "another meter counts on from `value` (default 0..39)")         \
	X(ROLLBACK, "rollback", EVENT, "the counter falls by the share `value` (default 0.3) and counts on")             \
	X(ROLLOVER, "rollover", EVENT, "the counter passes 10^k to 0: shifts all its readings, so set it before polling") \
	X(JUMP, "jump", EVENT, "the counter springs up by `value` pulses (default: ten hours at full flow)")             \
	X(DGA_ACCEPT_HANG, "dga_accept_hang", DGA, "takes the filing into its ledger, then never answers")               \
	X(DGA_ACCEPT_CUT, "dga_accept_cut", DGA, "takes the filing into its ledger, then cuts the connection")           \
	X(DGA_NO_RECEIPT, "dga_no_receipt", DGA, "takes the filing, answers \"00\" without numeroComprobante")           \
	X(DGA_NOT_STORED, "dga_not_stored", DGA, "answers \"00\" and a receipt, but GET finds nothing")                  \
	X(DGA_DUPLICATE, "dga_duplicate", DGA, "another system has filed this hour; with `value` 1 the same values, else others") \
	X(DGA_NOT_INFORMANT, "dga_not_informant", DGA, "answers that the user is not the work's informant")              \
	X(DGA_MESSAGE, "dga_message", DGA, "answers 400 with another message")                                           \
	X(DGA_OTHER_STATUS, "dga_other_status", DGA, "answers 200 with a `status` other than \"00\"")                    \
	X(DGA_BLOCK, "dga_block", DGA, "answers 403 with a firewall's page to POST and GET")

enum sim_fault_kind {
#define X(id, name, scope, doc) SIM_FAULT_##id,
	SIM_FAULT_KINDS(X)
#undef X
		SIM_FAULT_KIND_COUNT
};

struct sim_fault_info {
	const char *name;
	uint32_t scope;
	const char *doc;
};
extern const struct sim_fault_info sim_fault_infos[SIM_FAULT_KIND_COUNT];

struct sim_fault {
	uint32_t id; /* from 1, in order of arrival */
	uint32_t kind;
	uint32_t services;               /* bits */
	uint32_t point_first, point_last; /* both in */
	uint32_t metrics;                /* bits: of negative_status */
	double probability;
	int64_t from_ms;
	_Atomic int64_t until_ms;        /* the first moment after; brought forward when the fault is ended */
	int64_t count;                   /* hits of a request's fault; -1 = any number */
	int64_t delay_ms;                /* -1 = not given */
	int64_t length;                  /* slots of one episode */
	double value;
	bool has_value;
	bool history;
	uint32_t status;
	uint32_t mode;                   /* kind by which an outage fails */
	bool forgotten;
	_Atomic uint64_t seen;           /* requests that matched */
	_Atomic uint64_t hits;
};

/* An immutable list; a change makes another one and keeps the old until the end (changes are few). */
struct sim_fault_list {
	size_t count;
	struct sim_fault_list *older;
	struct sim_fault *rows[];
};

int sim_faults_new(uint64_t seed, struct sim_faults **ret, struct hydro_error *err);
void sim_faults_free(struct sim_faults *faults);
/* The list of now; borrowed until the end. [any] */
const struct sim_fault_list *sim_faults_list(const struct sim_faults *faults);
uint64_t sim_faults_seed(const struct sim_faults *faults);
/*
 * Adds the fault (or array of faults) of a JSON text; relative times ("+10m", "-1h") count from now. All or none.
 * HYDRO_E_PARSE or HYDRO_E_INVALID with the member's name; ret_first_id may be NULL. [any]
 */
int sim_faults_add(struct sim_faults *faults, const char *json, size_t len, int64_t now_ms, uint32_t *ret_first_id, struct hydro_error *err);
/* Only the reading of them: *ret is an array of owned faults. As sim_faults_add. [any] */
int sim_faults_parse(const char *json, size_t len, int64_t now_ms, struct sim_fault ***ret, size_t *ret_count, struct hydro_error *err);
/* Ends one fault (id 0: all) at now_ms: what it has made of readings before then stays as it is, unless it is forgotten. false: no such fault. [any] */
bool sim_faults_end(struct sim_faults *faults, uint32_t id, int64_t now_ms, bool forget);
/* The list as a JSON array. [any] */
void sim_faults_print(const struct sim_faults *faults, struct hd_buf *out);

/*
 * The fault that a request of this service and point (or SIM_NO_POINT) runs into, or NULL; counts it. `kinds` is a bit
 * mask of those that can apply here. [any]
 */
struct sim_fault *sim_faults_hit(struct sim_faults *faults, uint32_t service, uint32_t point, int64_t now_ms, uint64_t kinds);
#define SIM_FAULT_BIT(kind) (UINT64_C(1) << (kind))

#endif
