/* SPDX-License-Identifier: MIT */
/* What the tests of the adapter share. All identifiers, codes and receipts are made up. */
#ifndef HD_TESTS_DGA_SUPPORT_H
#define HD_TESTS_DGA_SUPPORT_H

#include "check.h"

#include <hydro/testkit.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CODE "OB-0101-7"
#define CENTRE "76086428-5"
#define INFORMANT "12531909-2"
#define PASSWORD "una \"clave\" \\ ñ\n"
#define DUE INT64_C(1767290400000) /* 2026-01-01T18:00:00Z, 14:00 by the DGA's clock */
#define PAYLOAD "{\"caudal\":\"25.70\",\"fechaMedicion\":\"2026-01-01\",\"horaMedicion\":\"14:00:00\",\"nivelFreaticoDelPozo\":\"3.00\",\"totalizador\":\"1234500\"}"
#define CHANNEL_PAYLOAD "{\"alturaLimnimetrica\":\"120\",\"caudal\":\"110.00\",\"fechaMedicion\":\"2026-01-01\",\"horaMedicion\":\"14:00:00\"}"

hydro_testkit *dga_kit(const char *options);
/* Groundwater under standard mayor, all three fields: 25.7 l/s, 1234500 m3, 3 m. */
hydro_filing_slot slot_of(const char *kind, const char *standard);
hydro_filing_send send_of(const char *kind, const char *payload);
/* The payload of a slot; asserts that there is one. */
const char *prepared(hydro_testkit *kit, const hydro_filing_slot *slot);
/* True if the slot is refused with HYDRO_E_INVALID and a text that holds `why`. */
bool not_prepared(hydro_testkit *kit, const hydro_filing_slot *slot, const char *why);
hydro_filing_answer answer_of(hydro_testkit *kit, uint32_t status, const char *body);
hydro_filing_check check_of(hydro_testkit *kit, const hydro_filing_send *send, uint32_t status, const char *body);
/* Bytes of tests/fixtures/recorded/<file>, ended by NUL; to be freed. */
char *recorded(const char *file);

#endif
