/* SPDX-License-Identifier: MIT */
/* The form of the regulator's messages: reads and checks a POST, writes what a GET shows. */
#ifndef SIM_DGA_FORM_H
#define SIM_DGA_FORM_H

#include "http.h"
#include "ledger.h"

/* The kinds under Manual 1/2025, and groundwater under a later version that there is not (yet): another path, another name of the level. */
#define SIM_DGA_FORM_NEXT SIM_DGA_KINDS
#define SIM_DGA_FORMS (SIM_DGA_KINDS + 1u)

/*
 * Reads headers and body of a POST by the formats of DOMAIN §2; false with a Spanish sentence in `why`, and then what
 * could be read in *ret. [any]
 */
bool sim_dga_read(const struct sim_request *request, uint32_t form, struct sim_filing *ret, char *why, size_t why_size);
/* The body alone. [any] */
bool sim_dga_read_body(const char *body, size_t len, uint32_t form, struct sim_filing *ret, char *why, size_t why_size);
/* `data` of a GET: the kind's fields, the date as DD-MM-YYYY, numbers without trailing zeros. */
void sim_dga_print(const struct sim_filing *filing, uint32_t form, struct hd_buf *out);
/* The kind of a form. */
uint32_t sim_dga_kind(uint32_t form);
/* "76086428-5": digits, dash, right check digit, K in upper case. */
bool sim_dga_is_rut(const char *text);

#endif
