/* SPDX-License-Identifier: MIT */
/* The one HTTP port: takes a request, lets a service make the answer, lets a fault spoil it. */
#ifndef SIM_HTTP_H
#define SIM_HTTP_H

#include "base/buf.h"
#include "sim.h"

#include <microhttpd.h>

struct sim_http;
struct sim_fault;

#define SIM_FATE_SEND 0u
#define SIM_FATE_HANG 1u
#define SIM_FATE_CUT 2u

struct sim_request {
	struct sim *sim;
	struct MHD_Connection *connection;
	const char *method;
	const char *path; /* after the service's prefix, from its '/' */
	const char *body;
	size_t body_len;
	int64_t now_ms;
};

/* What becomes of the request. All zero with status 0 is "no such path". */
struct sim_answer {
	unsigned status;
	const char *type; /* NULL: application/json */
	unsigned fate;
	bool shuffle;       /* the rows of a history, by a fault */
	int64_t retry_after_ms;
	struct hd_buf body;
	struct MHD_Response *response; /* instead of a body; owned */
};

/* A service answers what comes under its prefix. [any; several threads] */
void sim_twin_handle(struct sim_request *request, struct sim_answer *answer);
void sim_nettra_handle(struct sim_request *request, struct sim_answer *answer);
void sim_novus_handle(struct sim_request *request, struct sim_answer *answer);
void sim_json_handle(struct sim_request *request, struct sim_answer *answer);
void sim_dga_handle(struct sim_request *request, struct sim_answer *answer);
void sim_control_handle(struct sim_request *request, struct sim_answer *answer);

/* Starts to listen on 127.0.0.1 (config.port, 0 = any) and sets sim->port. HYDRO_E_IO. [control] */
int sim_http_start(struct sim *sim, struct sim_http **ret, struct hydro_error *err);
void sim_http_stop(struct sim_http *http);

/*
 * For services: lets a request's fault happen. `empty` is the body of an answer without data. true: the answer is
 * finished (its fate may still be to hang or be cut).
 */
bool sim_fault_answer(struct sim_request *request, struct sim_answer *answer, uint32_t service, uint32_t point, const char *empty);
/* Finishes the answer with a JSON text. */
void sim_answer_text(struct sim_answer *answer, unsigned status, const char *json);

const char *sim_request_arg(const struct sim_request *request, const char *name);
const char *sim_request_header(const struct sim_request *request, const char *name);
/* The argument as a number; `missing` when it is not there; false when it is no whole number of [least, most]. */
bool sim_request_number(const struct sim_request *request, const char *name, int64_t missing, int64_t least, int64_t most, int64_t *ret);
/* The argument as RFC 3339, YYYYMMDDhhmmss, or s (up to ten digits) or ms since 1970; UTC. */
bool sim_request_time(const struct sim_request *request, const char *name, int64_t missing, int64_t *ret);

void sim_add_whole(struct hd_buf *out, int64_t value);
/* Number of a metric in its shortest form ("7.5"). */
void sim_add_value(struct hd_buf *out, uint32_t metric, int64_t value);
/* "2026-01-01T00:00:00.000Z" */
void sim_add_time(struct hd_buf *out, int64_t ms);
/* Shuffles rows, always the same way for the same key. */
struct sim_rows;
void sim_rows_shuffle(struct sim_rows *rows, uint64_t key);

#endif
