/* SPDX-License-Identifier: MIT */
/*
 * How the daemon and hydro-runner speak about calls into an isolated plugin: frames over a stream socket, each
 * u32 length, u32 type, body. Same machine, same build: integers are native. Readers check every length; the other side
 * may be a process with damaged memory.
 */
#ifndef HD_HOSTSIDE_WIRE_H
#define HD_HOSTSIDE_WIRE_H

#include "base/buf.h"
#include "base/error.h"

#define HD_WIRE_BYTES_MAX (80u << 20) /* of one frame */

/* Calls, daemon to runner. Each is answered by one HD_WIRE_RESULT; before it the runner may send requests for services. */
#define HD_WIRE_CREATE 1u
#define HD_WIRE_CONFIGURE 2u
#define HD_WIRE_CHECK_POINT 3u
#define HD_WIRE_PARTS 4u
#define HD_WIRE_LOGIN_REQUEST 5u
#define HD_WIRE_LOGIN_PARSE 6u
#define HD_WIRE_REQUEST 7u
#define HD_WIRE_PARSE 8u
#define HD_WIRE_DRAIN 9u
#define HD_WIRE_STOP 10u
#define HD_WIRE_DESTROY 11u
/* of a sink that files */
#define HD_WIRE_FILING_INFO 12u
#define HD_WIRE_FILING_IDENTIFIER 13u
#define HD_WIRE_FILING_WORK 14u
#define HD_WIRE_FILING_NEEDED 15u
#define HD_WIRE_FILING_PREPARE 16u
#define HD_WIRE_FILING_REQUEST 17u
#define HD_WIRE_FILING_PARSE 18u
#define HD_WIRE_FILING_CHECK_REQUEST 19u
#define HD_WIRE_FILING_CHECK_PARSE 20u
/* Runner to daemon. */
#define HD_WIRE_RESULT 32u
#define HD_WIRE_LOG 33u         /* not answered */
#define HD_WIRE_METRIC 34u      /* answered by HD_WIRE_ANSWER */
#define HD_WIRE_METRIC_NAME 35u /* the same */
#define HD_WIRE_NOW 36u         /* the same: wall ms, monotonic ns */
#define HD_WIRE_ANSWER 48u

/* ---- writing: into a buffer whose `failed` is looked at once, when it is sent ---- */

void hd_wire_begin(struct hd_buf *buf, uint32_t type);
void hd_wire_u32(struct hd_buf *buf, uint32_t value);
void hd_wire_i64(struct hd_buf *buf, int64_t value);
void hd_wire_f64(struct hd_buf *buf, double value);
/* NULL stays NULL. */
void hd_wire_text(struct hd_buf *buf, const char *text);
void hd_wire_bytes(struct hd_buf *buf, const void *data, size_t len);
void hd_wire_error(struct hd_buf *buf, int32_t rc, const struct hydro_error *err);
void hd_wire_options(struct hd_buf *buf, const hydro_options *options);
void hd_wire_poll(struct hd_buf *buf, const hydro_poll *poll);
void hd_wire_response(struct hd_buf *buf, const hydro_http_response *response);
void hd_wire_request(struct hd_buf *buf, const hydro_http_request *request);
struct hd_filing_info;
void hd_wire_filing_info(struct hd_buf *buf, const struct hd_filing_info *about);
void hd_wire_filing_slot(struct hd_buf *buf, const hydro_filing_slot *slot);
void hd_wire_filing_send(struct hd_buf *buf, const hydro_filing_send *send);
/* Their texts are ended first, whatever a plugin wrote. */
void hd_wire_filing_payload(struct hd_buf *buf, hydro_filing_payload *payload);
void hd_wire_filing_answer(struct hd_buf *buf, hydro_filing_answer *answer);
void hd_wire_filing_check(struct hd_buf *buf, hydro_filing_check *check);

/* ---- reading: `bad` stays set after the first thing that is not there; what is read then is zero, "" or NULL ---- */

struct hd_wire_reader {
	const char *at, *end;
	bool bad;
	void **owned; /* memory behind decoded structs; freed by hd_wire_reader_done */
	size_t owned_count;
};

void hd_wire_reader_init(struct hd_wire_reader *reader, const char *body, size_t len);
void hd_wire_reader_done(struct hd_wire_reader *reader);
uint32_t hd_wire_get_u32(struct hd_wire_reader *reader);
int64_t hd_wire_get_i64(struct hd_wire_reader *reader);
double hd_wire_get_f64(struct hd_wire_reader *reader);
/* Points into the body. */
const char *hd_wire_get_text(struct hd_wire_reader *reader);
const void *hd_wire_get_bytes(struct hd_wire_reader *reader, size_t *ret_len);
int32_t hd_wire_get_error(struct hd_wire_reader *reader, struct hydro_error *err);
/* Texts point into the body, tables are owned by the reader. NULL when bad. */
const hydro_options *hd_wire_get_options(struct hd_wire_reader *reader);
void hd_wire_get_poll(struct hd_wire_reader *reader, hydro_poll *ret);
void hd_wire_get_response(struct hd_wire_reader *reader, hydro_http_response *ret);
/* Zeroed memory that the reader frees; NULL makes it bad. */
void *hd_wire_own(struct hd_wire_reader *reader, size_t size);
/* Texts point into the body, tables are owned by the reader. NULL when bad; what it says is not checked. */
const hydro_filing_info *hd_wire_get_filing_info(struct hd_wire_reader *reader);
void hd_wire_get_filing_slot(struct hd_wire_reader *reader, hydro_filing_slot *ret);
void hd_wire_get_filing_send(struct hd_wire_reader *reader, hydro_filing_send *ret);
void hd_wire_get_filing_payload(struct hd_wire_reader *reader, hydro_filing_payload *ret);
void hd_wire_get_filing_answer(struct hd_wire_reader *reader, hydro_filing_answer *ret);
void hd_wire_get_filing_check(struct hd_wire_reader *reader, hydro_filing_check *ret);
/* Everything is copied into the scratch; HYDRO_E_LIMIT with `wanted` set, HYDRO_E_PROTOCOL when bad. */
int32_t hd_wire_get_request(struct hd_wire_reader *reader, hydro_scratch *scratch, hydro_http_request *ret);

/* ---- frames ---- */

/* Sends what was begun by hd_wire_begin. HYDRO_E_TIMEOUT at deadline_ns (hd_clock_real_ns; 0 = none), HYDRO_E_IO, HYDRO_E_NOMEM. */
int hd_wire_send(int fd, struct hd_buf *buf, int64_t deadline_ns);
/* Reads one frame, replacing what the buffer held: *ret_type and the body. HYDRO_E_IO at the end of the stream, HYDRO_E_PROTOCOL. */
int hd_wire_receive(int fd, struct hd_buf *buf, uint32_t *ret_type, int64_t deadline_ns);

#endif
