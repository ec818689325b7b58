/* SPDX-License-Identifier: MIT */
/* Certificates as PEM: refused in words, or texts that end and are UTF-8, with two dates. */
#include "base/utf8.h"
#include "filing/certificates.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hd_certificate_facts facts;
	struct hydro_error err = {.struct_size = sizeof err};
	if (hd_certificate_parse((const char *)data, size, &facts, &err) != HYDRO_OK) {
		HD_ASSERT(err.text[0]);
		return 0;
	}
	HD_ASSERT(memchr(facts.subject, 0, sizeof facts.subject) && memchr(facts.issuer, 0, sizeof facts.issuer) && memchr(facts.serial, 0, sizeof facts.serial));
	HD_ASSERT(hd_utf8_valid(facts.subject, strlen(facts.subject)) && hd_utf8_valid(facts.issuer, strlen(facts.issuer)));
	return 0;
}
