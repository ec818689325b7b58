/* SPDX-License-Identifier: MIT */
/* X.509 certificates that are used towards the regulator: taken apart, and watched so that none expires unseen. */
#ifndef HD_FILING_CERTIFICATES_H
#define HD_FILING_CERTIFICATES_H

#include "filing/ledger.h"

#define HD_CERTIFICATE_BYTES_MAX 65536u
#define HD_CERTIFICATE_TEXT 256u

struct hd_certificate_facts {
	char subject[HD_CERTIFICATE_TEXT], issuer[HD_CERTIFICATE_TEXT], serial[96]; /* RFC 2253; hex */
	int64_t not_before_ms, not_after_ms;
};

/*
 * The one certificate of a PEM text. HYDRO_E_PARSE: none that parses; HYDRO_E_INVALID: a private key, or more than one;
 * HYDRO_E_LIMIT above HD_CERTIFICATE_BYTES_MAX. [any, pure]
 */
int hd_certificate_parse(const char *pem, size_t len, struct hd_certificate_facts *ret, struct hydro_error *err);
/* Days until it ends, negative afterwards. */
int64_t hd_certificate_days_left(int64_t not_after_ms, int64_t now_ms);
/* Raises, changes and clears the alarm "certificate" of each centre: amber from 60 days before the end of its first to end, again at
 * 30, red from 7. To be called once an hour or so. [any that may wait] */
int hd_certificates_watch(struct hd_ledger *ledger, int64_t now_ms, struct hydro_error *err);

#endif
