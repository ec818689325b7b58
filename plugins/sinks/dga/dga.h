/* SPDX-License-Identifier: MIT */
/* Filing with the Dirección General de Aguas. What changes from one version of its manual to the next is a struct dga_manual. */
#ifndef DGA_H
#define DGA_H

#include <hydro/conv.h>
#include <stdbool.h>

enum { DGA_BASE_URL, DGA_STAMP, DGA_ORIGIN, DGA_PLAIN_HTTP, DGA_MINE_WATER, DGA_AUTOMATIC_GATES, DGA_OPTION_COUNT };

enum dga_stamp { DGA_STAMP_SLOT, DGA_STAMP_MEASURED };
enum dga_origin { DGA_ORIGIN_UTC4_0000, DGA_ORIGIN_UTC_0000, DGA_ORIGIN_UTC4_0400, DGA_ORIGIN_UTC_Z };
#define DGA_STAMP_CHOICES "slot|measured"
#define DGA_ORIGIN_CHOICES "utc4_0000|utc_0000|utc4_0400|utc_z"

#define DGA_FIELDS_MAX 6u
#define DGA_VALUE_BYTES 40u

enum dga_form { DGA_FORM_NUMBER, DGA_FORM_DATE, DGA_FORM_HOUR };

/* One member of a body. */
struct dga_field {
	const char *name;
	enum dga_form form;
	uint32_t source;    /* NUMBER: HYDRO_FIELD_* */
	uint32_t decimals;  /* NUMBER */
	uint32_t chars_max; /* NUMBER; 0 = no limit but that of what a double keeps */
	bool unsigned_only; /* NUMBER: a counter has no sign */
};

/* How one kind of measurement is sent; belongs to the kind of the same index in the manual's info. */
struct dga_kind {
	const char *path;
	const char *object;
	struct dga_field fields[DGA_FIELDS_MAX]; /* in the order of the body; ended by a NULL name */
	int empty_option;                        /* row of the work's option that lets its level be empty; -1 = none */
};

struct dga_manual {
	hydro_filing_info info;
	const struct dga_kind *kinds;
};

/* The version that this plugin is. */
extern const struct dga_manual dga_manual;

struct dga {
	char *base; /* without a slash at its end */
	enum dga_stamp stamp;
	enum dga_origin origin;
};

/* ---- form.c: formats of single values; all pure ---- */

/* The index of a kind's or standard's name, -1 for an unknown one. */
int dga_kind_index(const char *name);
const hydro_filing_standard *dga_standard(const char *name);
/* HYDRO_E_INVALID with how it should be: 12345678-5, no dots, right check digit, K in upper case. */
int32_t dga_check_rut(const char *what, const char *text, struct hydro_error *err);
/* ^O[BR]-[0-9]{4}-[1-9][0-9]*$ */
int32_t dga_check_code(const char *what, const char *text, struct hydro_error *err);
/*
 * A finite number with so many decimals, rounded half away from zero from the shortest decimal that reads back the same double: from
 * what the logger wrote, not from binary digits behind it. Never an exponent, never "-0", whatever the locale. False for more
 * than 15 digits before the point: a double no longer holds each of them.
 */
bool dga_put_number(double value, uint32_t decimals, char ret[DGA_VALUE_BYTES]);
/* The regulator's wall clock: "2026-01-01" and "14:00:00", fixed UTC-4; false outside of 1990–2100. */
bool dga_put_time(int64_t ms, int32_t utc_offset_s, char ret_date[DGA_VALUE_BYTES], char ret_hour[DGA_VALUE_BYTES]);

/* ---- the functions of the ABI ---- */

int32_t dga_check_identifier(void *instance, const char *text, struct hydro_error *err);
int32_t dga_check_work(void *instance, const hydro_filing_slot *work, struct hydro_error *err);
uint32_t dga_needed(void *instance, const hydro_filing_slot *work);
int32_t dga_prepare(void *instance, const hydro_filing_slot *slot, hydro_filing_payload *ret, struct hydro_error *err);
int32_t dga_request(void *instance, const hydro_filing_send *send, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err);
int32_t dga_parse(void *instance, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_answer *ret, struct hydro_error *err);
int32_t dga_check_request(void *instance, const hydro_filing_send *send, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err);
int32_t dga_check_parse(void *instance, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_check *ret,
			struct hydro_error *err);

/* ---- answer.c: what filing and asking read alike ---- */

#define DGA_MESSAGE_BYTES 1024u

struct dga_value {
	char name[48], text[DGA_VALUE_BYTES];
	bool readable; /* false: neither a text nor a number, or too long */
};

struct dga_values {
	struct dga_value items[16];
	uint32_t count;
};

struct dga_answer {
	bool is_json; /* the whole body is one object */
	bool ok;      /* status "00" */
	bool has_receipt, receipt_is_kept;
	bool has_data; /* `data` is an object with members */
	char message[DGA_MESSAGE_BYTES]; /* "" without; cut where it is longer */
	char receipt[HYDRO_RECEIPT_BYTES];
	struct dga_values data;
};

void dga_read_answer(const hydro_http_response *response, struct dga_answer *ret);
/* The members of an object of texts (a payload); false if it is none. */
bool dga_read_values(const char *text, size_t len, struct dga_values *ret);
/* Without regard to case: a note of the manual spells a name otherwise than its schema. NULL if it is not there. */
const struct dga_value *dga_find(const struct dga_values *values, const char *name);
/* Signs that the centre is blocked: 403, or a firewall's page. */
bool dga_is_block(const hydro_http_response *response);
/* `text` holds `part`, without regard to the case of ASCII letters. Where, or NULL. */
const char *dga_find_text(const char *text, size_t len, const char *part);
/* The message, else "HTTP 503 without JSON". */
void dga_words(const struct dga_answer *answer, const hydro_http_response *response, char *ret, size_t size);

#endif
